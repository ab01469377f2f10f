"""What sweeps gain from several processes: the same grid through `ebll.sweep` with one process and with all cores.

    python -m benchmarks.sweep_speed        # a few minutes; writes docs/sweep-speed.md and .csv

Rounds alternate, and a ratio is taken in each.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

import pandas as pd

import ebll
from benchmarks.results import table_of, verdict
from benchmarks.rounds import Figure, figure, machine

BAR = 1.9  # of two processes
PAGE = """# What sweeps gain

Written by `make bench-sweeps`; the figures are in `sweep-speed.csv`. How many times as fast, median
with the lowest and highest; a ratio is taken within each round. Measured on {machine}, torch {torch};
other work on the machine meanwhile: {busy}. No GPU was used.

{table}

{bar}
"""


def figures(rounds: int, runs: int) -> list[Figure]:
    """How many times as fast all cores are as one process: from the first result on, and with the processes' start."""
    count, whole, begun = os.cpu_count() or 1, [], []
    for k in range(rounds):
        grid = {"tasks": ["letters", "mnist"], "alpha": [0.3 + i / 100 for i in range(runs)], "seed": k}
        (one, slow), (other, quick) = (_timed(grid, workers) for workers in (1, count))
        whole.append(one / other)
        begun.append(quick / slow)
    case, bar = f"{runs} runs of the MLP: {count} processes against one", BAR if count == 2 else None
    return [
        figure(case, "runs a second from the first result on", "x", begun, bar, most=False),
        figure(case, "with the start of the processes", "x", whole),
    ]


def _timed(grid: dict, workers: int) -> tuple[float, float]:
    """Seconds of a sweep, and its runs a second from the first result to the last."""
    marks: list[float] = []
    begun = time.perf_counter()
    ebll.sweep(grid, workers=workers, progress=lambda done, total: marks.append(time.perf_counter()))
    return time.perf_counter() - begun, (len(marks) - 2) / (marks[-1] - marks[1])


def main() -> None:
    """Measure, and write both files."""
    arguments = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--runs", type=int, default=120, help="runs of the sweep")
    arguments.add_argument("--busy", default="unknown", help="what else ran meanwhile, for the page: none, some")
    arguments.add_argument("--page", type=Path, default=Path(__file__).parents[1] / "docs" / "sweep-speed.md")
    given = arguments.parse_args()
    found = figures(given.rounds, given.runs)
    table = pd.DataFrame(found).drop(columns="most")
    table.to_csv(given.page.with_suffix(".csv"), index=False, float_format="%.3f", lineterminator="\n")
    bar = f"The bar of {BAR} from the first result on: {verdict(found[0])}." if found[0].bar else ""
    text = PAGE.format(**machine(), busy=given.busy, table=table_of(found), bar=bar)
    given.page.write_text(f"{text.strip()}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
