"""What sweeps gain from several processes: the same grid through `ebll.sweep` with one process and with all cores.

    python -m benchmarks.sweep_speed        # a few minutes; writes docs/sweep-speed.md and .csv

Rounds alternate, and a ratio is taken in each.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import torch

import ebll
from ebll.reproduce.report import markdown


def rows(rounds: int, runs: int) -> Iterator[dict]:
    """Two rows: how many times as fast all cores are as one process, in all, and once they have begun."""
    count, whole, begun = os.cpu_count() or 1, [], []
    for k in range(rounds):
        grid = {"tasks": ["letters", "mnist"], "alpha": [0.3 + i / 100 for i in range(runs)], "seed": k}
        (one, slow), (other, quick) = (_timed(grid, workers) for workers in (1, count))
        whole.append(one / other)
        begun.append(quick / slow)
    what = f"{runs} runs of the MLP: {count} processes against one"
    yield _row(f"{what}, runs a second from the first result on", begun, 1.9 if count == 2 else None)
    yield _row(f"{what}, with the start of the processes", whole, None)


def _timed(grid: dict, workers: int) -> tuple[float, float]:
    """Seconds of a sweep, and its runs a second from the first result to the last."""
    marks: list[float] = []
    begun = time.perf_counter()
    ebll.sweep(grid, workers=workers, progress=lambda done, total: marks.append(time.perf_counter()))
    return time.perf_counter() - begun, (len(marks) - 2) / (marks[-1] - marks[1])


def _row(case: str, ratios: list[float], bar: float | None) -> dict:
    values = pd.Series(ratios)
    row = {"case": case, "ratio": values.median(), "low": values.min(), "high": values.max(), "bar": bar}
    row["rounds"] = len(values)
    print(f"{case}: {row['ratio']:.2f} ({row['low']:.2f} to {row['high']:.2f})", flush=True)
    return row


PAGE = """# What sweeps gain

Written by `make bench-sweeps`; the figures are in `sweep-speed.csv`. How many times as fast, median
with the lowest and highest; a ratio is taken within each round. Measured on {machine}, {cores} cores, torch {torch};
other work on the machine meanwhile: {busy}. No GPU was used. A bar is what the project aims for.

"""


def main() -> None:
    """Measure, and write both files."""
    arguments = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--runs", type=int, default=120, help="runs of the sweep")
    arguments.add_argument("--busy", default="unknown", help="what else ran meanwhile, for the page: none, some")
    arguments.add_argument("--page", default=str(Path(__file__).parents[1] / "docs" / "sweep-speed.md"))
    chosen = arguments.parse_args()
    result = pd.DataFrame(rows(chosen.rounds, chosen.runs))
    result.to_csv(Path(chosen.page).with_suffix(".csv"), index=False, float_format="%.3f", lineterminator="\n")
    Path(chosen.page).write_text(page(result, chosen.busy), encoding="utf-8")


def page(result: pd.DataFrame, busy: str) -> str:
    """docs/sweep-speed.md: how it was measured, and the table."""
    facts = {"machine": platform.machine(), "cores": os.cpu_count(), "busy": busy}
    facts |= {"torch": torch.__version__.partition("+")[0]}
    met = {True: "met", False: "missed"}
    told = [
        (
            f"{r.ratio:.2f} ({r.low:.2f} to {r.high:.2f})",
            f"{r.rounds}",
            f"{r.bar:g}, {met[r.ratio >= r.bar]}" if r.bar == r.bar else "",
        )
        for r in result.itertuples()
    ]
    table = pd.DataFrame(told, columns=["times as fast", "rounds", "bar"], index=result["case"])
    return PAGE.format(**facts) + markdown(table, "what") + "\n"


if __name__ == "__main__":
    main()
