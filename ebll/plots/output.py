"""A figure in files and in a notebook: PNG and SVG to show, CSV to check, and its alt text to read or hear."""

from __future__ import annotations

import base64
import io
import sys
from pathlib import Path

from matplotlib.figure import Figure
from PIL import Image

from ebll.errors import InputError, OutputError
from ebll.files import write_whole

from .style import drawing

__all__ = ["png", "register", "save"]


def save(figure: Figure, stem: str | Path) -> dict[str, Path]:
    """Write `stem`.png, .svg, .csv (the table) and .txt (the alt text), each whole or not at all; return their paths.

    figure   any Figure with attributes `table` and `alt`, which those of this package have
    stem     folder and name without suffix; missing folders are made
    """
    stem, table, alt = Path(stem), getattr(figure, "table", None), getattr(figure, "alt", "").strip()
    if not alt or table is None or table.empty:
        raise InputError(f"{stem}: a figure is saved with its table and its alt text. Set figure.table and figure.alt.")
    if stem.name in ("", ".."):
        raise InputError(f"A figure is saved under a name, such as 'figures/forgetting'; got {str(stem)!r}.")
    contents = {
        "png": _render(figure, "png", dpi=200, metadata={"Software": None}),
        "svg": _render(figure, "svg", metadata={"Date": None, "Creator": None, "Description": alt}),
        "csv": table.to_csv(index=False, float_format="%.6g", lineterminator="\n"),
        "txt": f"{alt}\n",
    }
    paths = {suffix: stem.with_name(f"{stem.name}.{suffix}") for suffix in contents}
    try:
        stem.parent.mkdir(parents=True, exist_ok=True)
        for suffix, path in paths.items():
            write_whole(path, contents[suffix])
    except OSError as error:
        raise OutputError(
            f"Cannot write the figure {stem.name!r} into the folder {str(stem.parent)!r}: {error.strerror or error}. "
            "Choose a folder that you may write to."
        ) from error
    return paths


def _render(figure: Figure, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    with drawing():
        figure.savefig(buffer, format=kind, **options)
    return buffer.getvalue()


def png(figure: Figure) -> bytes:
    """Return the figure as a PNG of 256 colours, as notebooks show it."""
    image = Image.open(io.BytesIO(_render(figure, "png"))).convert("RGB")
    buffer = io.BytesIO()
    image.quantize(256, dither=Image.Dither.NONE).save(buffer, format="png", optimize=True)
    return buffer.getvalue()


def register(formatter) -> None:
    """Have IPython's display formatter show figures with their alt text, where screen readers look for it."""
    formatter.ipython_display_formatter.for_type(Figure, _show)


def _show(figure: Figure) -> None:
    from IPython.display import display

    alt = getattr(figure, "alt", "")
    if not alt:
        raise NotImplementedError("IPython then shows the figure in its usual way")
    image = base64.b64encode(png(figure)).decode("ascii")
    display({"image/png": image, "text/plain": alt}, metadata={"image/png": {"alt": alt}}, raw=True)


if "IPython" in sys.modules and (shell := sys.modules["IPython"].get_ipython()) is not None:
    register(shell.display_formatter)
