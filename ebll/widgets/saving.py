"""Where a widget writes: into its folder, under the next number that is free."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from ebll.errors import InputError, OutputError

__all__ = ["folder_of", "free_stem"]


def folder_of(folder: str | Path) -> Path:
    """The folder as a path, `~` taken for the home folder."""
    if not isinstance(folder, str | os.PathLike):
        raise InputError(f"folder: the name of a folder, such as 'widget-results'; got {folder!r}.")
    path = Path(folder)
    with contextlib.suppress(RuntimeError):  # no user of that name: then it is a name like any other
        path = path.expanduser()
    return path


def free_stem(folder: Path, kind: str) -> Path:
    """folder/kind-1, or the first number after it of which nothing is there yet."""
    number = 1
    try:
        while any(folder.glob(f"{kind}-{number}*")):
            number += 1
    except (OSError, ValueError) as error:
        raise OutputError(f"Nothing can be written into {str(folder)[:80]!r}: {error}. Name another folder.") from error
    return folder / f"{kind}-{number}"
