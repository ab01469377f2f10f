"""A sweep out, one HTML file in: written whole or not at all."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from ebll.errors import EbllError, InputError, OutputError
from ebll.files import write_whole
from ebll.sweeps.maps import index_of

__all__ = ["MOST_BYTES", "export", "size_words"]

MOST_BYTES = 3_000_000
"""More than this loads slowly on a phone."""
_SUFFIXES = (".html", ".htm")
_READY = "the sweep that comes with the kit"


def export(path: str | Path, sweep: Any = None, title: str = "") -> Path:
    """Write a page that shows a sweep without a kernel, from disk or from any web server, and needs no network.

    path     the file, which ends in .html; one that is there is replaced, and missing folders are made
    sweep    a `Sweep` or its tables; a folder: a store, or the output of `ebll sweep` that holds one; None for the
             ready-made sweep
    title    headline of the page
    returns  the file. A warning says so where it has more than `MOST_BYTES`
    raises   `InputError` where the extra is not installed, there is no sweep, or nothing in it to show; `OutputError`
             where the file cannot be written
    """
    path = _checked(path)
    document = _document()
    source = _READY if sweep is None else "a sweep"
    data = document.document(index_of(_opened(sweep)), title.strip() or document.TITLE, source).encode(errors="replace")
    _write(path, data)
    if len(data) > MOST_BYTES:
        warnings.warn(size_words(path), stacklevel=2)
    return path


def size_words(path: Path) -> str:
    """How large a page is, and what to do where that is too much."""
    size = path.stat().st_size
    told = f"{path}: {size / 1e6:.1f} MB"
    if size <= MOST_BYTES:
        return told
    return (
        f"{told}, more than the {MOST_BYTES / 1e6:g} MB that load well on a phone. Export fewer runs: "
        "ebll.pages.export takes the tables of a part of them, such as one pair of tasks."
    )


def _checked(path: str | Path) -> Path:
    if not isinstance(path, str | Path) or Path(path).suffix.lower() not in _SUFFIXES:
        raise InputError(f"A page is written to a file that ends in .html, such as 'page.html'; got {str(path)!r}.")
    try:
        path = Path(path).expanduser()
        folder = path.is_dir()
    except (OSError, RuntimeError, ValueError) as error:
        raise InputError(f"{str(path)[:80]!r} cannot be the name of a file: {error}.") from None
    if folder:
        raise InputError(f"{path} is a folder; name a file that ends in .html, such as {path / 'page.html'}.")
    return path


def _document() -> Any:
    """The room that makes the page; it needs packages that are an extra."""
    try:
        from ebll.pages import document
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] not in ("altair", "vl_convert"):
            raise
        raise EbllError(
            f"A page needs {error.name}, which is not installed: pip install \"ebll[page]\""
        ) from None  # fmt: skip
    return document


def _opened(sweep: Any) -> Any:
    """A folder as the store that it is, or holds."""
    if not isinstance(sweep, str | Path):
        return sweep
    folder = Path(sweep).expanduser()
    inner = folder / "store"
    return inner if (inner / "format.json").exists() and not (folder / "format.json").exists() else folder


def _write(path: Path, data: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, data)
    except OSError as error:
        raise OutputError(
            f"The page cannot be written to {path}: {error.strerror or error}. Name a file in a folder that "
            "you may write to."
        ) from error
