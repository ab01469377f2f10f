"""The sweep that comes with the package: some thousand runs to explore without waiting, and how they were packed.

    ebll.sweeps.ready_sweep().table

`ready_made/grid.toml` is its grid; `make ready-made` runs it and packs the tables anew.
"""

from __future__ import annotations

import functools
import gzip
import io
import zlib
from pathlib import Path

import pandas as pd

from ebll.errors import EbllError
from ebll.reproduce.report import prepare_folder
from ebll.sweeps.tables import SETTINGS, SweepTables, curve_columns

__all__ = ["FOLDER", "pack", "ready_sweep", "unpack"]

FOLDER = Path(__file__).parent / "ready_made"
KEPT = (
    *("step", "task", "feature_distance", "feature_norm", "code_distance", "accuracy", "accuracy_new"),
    *("raw_task", "raw_distill", "raw_code"),
)
"""Columns of the curves that are packed; the others are empty after unpacking."""


@functools.lru_cache(maxsize=1)
def ready_sweep() -> SweepTables:
    """The ready-made sweep: EBLL after letters, alpha x lambda x lambda_o x code size x five seeds on three new tasks.

    Beside it stand fine-tuning and LwF with the same seeds. All runs use the small MLP. The column `code` says which
    version of the code ran them; figures have four significant digits, and the curves are those of the stage "train".

    returns  the tables; they are shared, so copy what you change
    raises   `EbllError` where the package came without them
    """
    return unpack(FOLDER)


def pack(tables: SweepTables, folder: str | Path) -> list[Path]:
    """Write the tables of a sweep as two small files, the same bytes for the same tables; returns the files.

    raises  `OutputError` where they cannot be written
    """
    folder, table = prepare_folder(folder), tables.table
    runs = tables.curves.merge(table[list(SETTINGS)].assign(run=range(len(table))), on=list(SETTINGS), how="left")
    curves = runs.loc[runs["stage"] == "train", ["run", *KEPT]]
    files = {"table.csv.gz": table, "curves.csv.gz": curves}
    for name, frame in files.items():
        text = frame.to_csv(index=False, float_format="%.4g", lineterminator="\n")
        (folder / name).write_bytes(gzip.compress(text.encode(), compresslevel=9, mtime=0))
    return [folder / name for name in files]


def unpack(folder: str | Path) -> SweepTables:
    """What `pack` has written.

    raises  `EbllError` where the files are not there or do not hold what they should
    """
    try:
        table, packed = (_read(Path(folder, name)) for name in ("table.csv.gz", "curves.csv.gz"))
        table = table.assign(failure=table["failure"].fillna(""))
        settings = table.loc[packed.pop("run"), list(SETTINGS)].reset_index(drop=True)
        own = packed.assign(stage="train", training=settings["tasks"].str.split("-").str[-1])
        return SweepTables(table, pd.concat([settings, own.reindex(columns=curve_columns())], axis=1))
    except FileNotFoundError as error:
        raise EbllError(f"{error.filename} is not there. Install ebll again, or pack a sweep with `pack`.") from None
    except (OSError, EOFError, KeyError, ValueError, zlib.error) as error:
        raise EbllError(f"{folder} does not hold a packed sweep ({error}). Install ebll again.") from error


def _read(path: Path) -> pd.DataFrame:
    # A version such as 12345e6789012345 is no number.
    return pd.read_csv(io.BytesIO(gzip.decompress(path.read_bytes())), dtype={"code": str, "failure": str})
