"""The one way to write a file: whole or not at all, so that a reader never sees half of it."""

from __future__ import annotations

import contextlib
import json
import os
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ebll.errors import OutputError, expanded

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["prepare_folder", "whole", "write_files", "write_json", "write_table", "write_text", "write_whole"]


@contextlib.contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A place beside `path` to write to; what is there at the block's end is moved to `path`, also safe from a crash.

    raises   `OSError` where it cannot be moved; then, and where the block raises, nothing of it stays
    """
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        yield part
        with part.open("r+b") as stream:
            os.fsync(stream.fileno())
        os.replace(part, path)
    finally:
        with contextlib.suppress(OSError):  # moved already, or never begun
            part.unlink()


def write_whole(path: Path, content: bytes | str) -> None:
    """Write a file so that others see all of it or nothing; text as UTF-8."""
    with whole(path) as part:
        part.write_bytes(content.encode() if isinstance(content, str) else content)


def prepare_folder(path: str | os.PathLike) -> Path:
    """Make the folder for the results and check that it is writable."""
    folder = expanded(path, "The folder for the results")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".ebll-{os.getpid()}"
        probe.write_text("")
        probe.unlink()
    except OSError as error:
        raise OutputError(
            f"Results cannot be written to {folder}: {error.strerror or error}. Choose a folder that you may write to."
        ) from error
    return folder


def write_table(table: pd.DataFrame, path: Path) -> None:
    """Write a CSV with six significant digits."""
    write_text(table.to_csv(index=False, float_format="%.6g", lineterminator="\n"), path)


def write_json(value: object, path: Path) -> None:
    """Write JSON."""
    write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", path)


def write_text(text: str, path: Path) -> None:
    """Write text."""
    write_files({path: text})


def write_files(files: Mapping[Path, bytes | str]) -> None:
    """Write the files of a result, each whole or not at all; missing folders are made.

    raises   `OutputError` where one cannot be written
    """
    for path, content in files.items():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, content)
        except (OSError, ValueError) as error:  # the latter for what cannot be a path
            reason = getattr(error, "strerror", None) or error
            raise OutputError(
                f"{path} cannot be written: {reason}. Free some space, or choose another folder."
            ) from error
