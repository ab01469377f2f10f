"""Make the sweep that comes with the package: run its grid, and pack the tables.

    python -m benchmarks.ready_made            # writes ebll/sweeps/ready_made/*.csv.gz; goes on where it was stopped

3,315 runs of the MLP; the store is kept in out/ready-made, so that the command may be stopped and given again.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tqdm import tqdm

from ebll.sweeps import sweep
from ebll.sweeps.ready import FOLDER, pack


def main(store: str = "out/ready-made") -> None:
    """Run what is missing in the store, then pack all."""
    with tqdm(unit="run", smoothing=0.05) as bar:

        def step(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        made = sweep(FOLDER / "grid.toml", store=store, progress=step)
    for path in pack(made.tables(), FOLDER):
        print(f"{path.relative_to(Path.cwd())}: {path.stat().st_size / 1000:,.0f} kB")


if __name__ == "__main__":
    main(*sys.argv[1:])
