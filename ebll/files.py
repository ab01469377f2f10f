"""The one way to write a file: whole or not at all."""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Iterator
from pathlib import Path

__all__ = ["whole", "write_whole"]


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
