"""Make the sweep that comes with the package: run its grid, and pack the tables.

    python -m benchmarks.precomputed            # writes ebll/sweeps/data/*.csv.gz; goes on where it was stopped

3,315 runs of the MLP; the store is kept in out/precomputed, so that the command may be stopped and given again.
"""

from __future__ import annotations

import gzip
import sys
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from ebll.sweeps import sweep
from ebll.sweeps.sweep import PRECOMPUTED, SETTINGS

KEPT = (
    *("step", "task", "feature_distance", "feature_norm", "code_distance", "accuracy", "accuracy_new"),
    *("raw_task", "raw_distill", "raw_code"),
)
"""Columns of the curves that are packed; the others are empty after unpacking."""


def pack(table: pd.DataFrame, curves: pd.DataFrame, folder: Path) -> list[Path]:
    """Write the tables of a sweep as two small files, the same bytes for the same tables; returns the files."""
    runs = curves.merge(table[list(SETTINGS)].assign(run=range(len(table))), on=list(SETTINGS), how="left")
    files = {"table.csv.gz": table, "curves.csv.gz": runs.loc[runs["stage"] == "train", ["run", *KEPT]]}
    for name, frame in files.items():
        text = frame.to_csv(index=False, float_format="%.4g", lineterminator="\n")
        (folder / name).write_bytes(gzip.compress(text.encode(), compresslevel=9, mtime=0))
    return [folder / name for name in files]


def main(store: str = "out/precomputed") -> None:
    """Run what is missing in the store, then pack all."""
    with tqdm(unit="run", smoothing=0.05) as bar:

        def step(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        made = sweep(PRECOMPUTED / "grid.toml", store=store, progress=step)
    for path in pack(made.table, made.curves, PRECOMPUTED):
        print(f"{path.relative_to(Path.cwd())}: {path.stat().st_size / 1000:,.0f} kB")


if __name__ == "__main__":
    main(*sys.argv[1:])
