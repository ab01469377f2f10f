"""Writing a picture: PNG and SVG to show, CSV to check, TXT to hear. The same picture gives the same bytes.

This room knows files, not methods.
"""

from __future__ import annotations

import io
import os
import tempfile
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from ebll.errors import InputError, OutputError

from .style import PRINT_DPI, drawing

__all__ = ["save"]


def save(figure: Figure, path_stem: str | Path, table: pd.DataFrame, alt: str) -> dict[str, Path]:
    """Write the four files of one picture and return their paths: {"png": ..., "svg": ..., "csv": ..., "txt": ...}.

    figure     any matplotlib Figure
    path_stem  folder and name without suffix; missing folders are made
    table      the numbers that are drawn, written with six significant digits and without an index
    alt        what is seen, in words; also put into the SVG as its description

    Each file is written beside its place and then moved there: a reader never meets half a file.
    """
    if not str(alt).strip():
        raise InputError(f"{path_stem}: a picture is saved with its alt text, and this one has none. Pass alt=...")
    if not isinstance(table, pd.DataFrame) or table.empty:
        raise InputError(f"{path_stem}: a picture is saved with the table it shows, and this one has none.")
    stem = Path(path_stem)
    if stem.name in ("", ".."):
        raise InputError(f"A picture is saved under a name, such as 'figures/forgetting'; got {str(path_stem)!r}.")
    contents = {
        "png": _render(figure, "png", dpi=PRINT_DPI, metadata={"Software": None}),
        "svg": _render(figure, "svg", metadata={"Date": None, "Creator": None, "Description": alt}),
        "csv": table.to_csv(index=False, float_format="%.6g", lineterminator="\n").encode(),
        "txt": f"{alt.strip()}\n".encode(),
    }
    try:
        stem.parent.mkdir(parents=True, exist_ok=True)
        return {suffix: _replace(stem.with_name(f"{stem.name}.{suffix}"), data) for suffix, data in contents.items()}
    except OSError as error:
        raise OutputError(
            f"Cannot write the picture {stem.name!r} into the folder {str(stem.parent)!r}: {error.strerror or error}. "
            "Choose a folder that you may write to."
        ) from error


def _render(figure: Figure, kind: str, **options) -> bytes:
    buffer = io.BytesIO()
    with drawing():
        figure.savefig(buffer, format=kind, **options)
    return buffer.getvalue()


def _replace(path: Path, data: bytes) -> Path:
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.chmod(temporary, 0o666 & ~_umask())  # mkstemp makes files that only their owner may read
        os.replace(temporary, path)
    except BaseException:  # Ctrl-C too
        Path(temporary).unlink(missing_ok=True)
        raise
    return path


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
