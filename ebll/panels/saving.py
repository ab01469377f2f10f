"""Where a panel writes: into its folder, under the next number that is free.

This room knows files and nothing else.
"""

from __future__ import annotations

from pathlib import Path

__all__ = ["free_stem"]


def free_stem(folder: Path, kind: str) -> Path:
    """folder/kind-1, or the first number after it of which nothing is there yet."""
    number = 1
    while any(folder.glob(f"{kind}-{number}*")):
        number += 1
    return folder / f"{kind}-{number}"
