"""The sweep that comes with the package: some thousand runs to explore without waiting.

`data/grid.toml` is its grid; `make precomputed` runs it and packs the tables again.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from ebll.sweeps.sweep import SETTINGS, curve_columns

__all__ = ["FOLDER", "SweepTables", "precomputed_sweep", "unpack"]

FOLDER = Path(__file__).parent / "data"


class SweepTables(NamedTuple):
    """The two tables of a sweep, as `ebll.sweeps.Sweep` has them."""

    table: pd.DataFrame
    curves: pd.DataFrame


@functools.lru_cache(maxsize=1)
def precomputed_sweep() -> SweepTables:
    """EBLL after letters: alpha x lambda x lambda_o x code size x five seeds, on three new tasks.

    Beside it stand fine-tuning and LwF with the same seeds. All runs use the small MLP. Numbers have four significant
    digits, and the curves are those of the stage "train". The tables are shared, so copy what you change.
    """
    return unpack(FOLDER)


def unpack(folder: Path) -> SweepTables:
    """The tables that `benchmarks.precomputed` has packed."""
    table = pd.read_csv(folder / "table.csv.gz", dtype={"failure": str}).fillna({"failure": ""})
    packed = pd.read_csv(folder / "curves.csv.gz")
    settings = table.loc[packed.pop("run"), list(SETTINGS)].reset_index(drop=True)
    own = packed.assign(stage="train", training=settings["tasks"].str.split("-").str[-1])
    return SweepTables(table, pd.concat([settings, own.reindex(columns=curve_columns())], axis=1))
