"""One file of squares: what it must be, making it from photographs, and writing it whole or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ebll.errors import EbllError, OutputError
from ebll.files import whole
from ebll.photos.pixels import UNREADABLE, reason, square

__all__ = ["Job", "Made", "Shard", "gigabytes", "in_words", "make", "write_hashed"]

ROOM = "Make room, or name another folder; what is finished is kept."


@dataclass(frozen=True)
class Shard:
    """What a file of squares must be.

    Attributes:
        file: its name.
        rows: squares in it.
        bytes: its length; the squares are at its end.
        sha256: of all its bytes.
        skipped: positions, among the images that were meant for it, of those left out as unreadable.
    """

    file: str
    rows: int
    bytes: int
    sha256: str
    skipped: tuple[int, ...] = ()

    @classmethod
    def from_dict(cls, held: dict[str, Any]) -> Shard:
        """From what `dataclasses.asdict` made of it; raises KeyError, TypeError or ValueError for anything else."""
        shard = cls(**{**held, "skipped": tuple(held["skipped"])})
        numbers = (shard.rows, shard.bytes, *shard.skipped)
        if not all(type(number) is int and number >= 0 for number in numbers) or type(shard.sha256) is not str:
            raise ValueError(f"not a line about a shard: {held}")
        if Path(shard.file).name != shard.file:
            raise ValueError(f"a shard outside the folder: {shard.file!r}")
        return shard

    def fault(self, folder: Path) -> str:
        """What is wrong with the file at first sight, its absence or its length; an empty text if nothing."""
        try:
            length = (folder / self.file).stat().st_size
        except OSError:
            return "is not there"
        return "" if length == self.bytes else f"has {length:,} bytes where {self.bytes:,} were written"


@dataclass(frozen=True)
class Job:
    """A shard to be made.

    Attributes:
        base: the folder that the paths start from.
        paths: of the images.
        folder, file: where the squares go.
        size: height and width of a square, in pixels.
        skip: leave out what cannot be read, rather than make no shard.
    """

    base: Path
    paths: tuple[str, ...]
    folder: Path
    file: str
    size: int
    skip: bool

    @property
    def bytes(self) -> int:
        """Bytes of the pixels."""
        return len(self.paths) * self.size * self.size * 3

    def kept(self) -> Shard | None:
        """The shard, if it has been made before and is whole at first sight."""
        try:
            held = json.loads((self.folder / f"{self.file}.json").read_text(encoding="utf-8"))
            shard = Shard.from_dict(held)
        except (OSError, ValueError, KeyError, TypeError):
            return None
        complete = self.fits(shard) and (self.skip or not shard.skipped)
        return shard if complete and not shard.fault(self.folder) else None

    def fits(self, shard: Shard) -> bool:
        """Whether a shard can be what came of this job: each image is in it, or left out."""
        left_out = set(shard.skipped) & set(range(len(self.paths)))
        return shard.file == self.file and len(shard.skipped) == len(left_out) == len(self.paths) - shard.rows


@dataclass(frozen=True)
class Made:
    """What came of a job: a shard, or the images that could not be read, as (position, reason)."""

    file: str
    shard: Shard | None
    unreadable: tuple[tuple[int, str], ...] = ()


def make(job: Job) -> Iterator[Made | int]:
    """Do a job: yields 1 for each image, and at last what came of it; raises `OutputError`."""
    kept = job.kept()  # another conversion may have made it meanwhile
    if kept is not None:
        yield len(job.paths)
        yield Made(job.file, kept)
        return
    pixels = np.empty((len(job.paths), job.size, job.size, 3), dtype=np.uint8)
    good, bad = 0, []
    for position, path in enumerate(job.paths):
        try:
            pixels[good] = square(job.base / path, job.size)
            good += 1
        except UNREADABLE as error:
            bad.append((position, reason(error)))
        yield 1
    if bad and not job.skip:
        yield Made(job.file, None, tuple(bad))
    else:
        yield Made(job.file, _written(job, pixels[:good], tuple(position for position, _ in bad)))


def _written(job: Job, pixels: np.ndarray, skipped: tuple[int, ...]) -> Shard:
    path = job.folder / job.file
    with in_words(job.folder, job.bytes):
        sha256 = write_hashed(path, lambda stream: np.save(stream, pixels, allow_pickle=False))
        shard = Shard(job.file, len(pixels), path.stat().st_size, sha256, skipped)
        line = json.dumps(asdict(shard)).encode()
        write_hashed(path.with_name(f"{path.name}.json"), lambda stream: stream.write(line))
    return shard


def write_hashed(path: Path, write: Callable[[BinaryIO], object]) -> str:
    """Write a file so that others see all of it or nothing, also after a crash; returns its sha256.

    Raises:
        OSError: it cannot be written; then nothing of it stays.
    """
    with whole(path) as part, part.open("w+b") as stream:
        write(stream)
        stream.seek(0)
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return digest


@contextlib.contextmanager
def in_words(folder: Path, needed: int) -> Iterator[None]:
    """Turn an OSError inside the block into an `OutputError`: `needed` bytes were to be written to `folder`."""
    try:
        yield
    except EbllError:
        raise
    except OSError as error:
        free = ""
        with contextlib.suppress(OSError):
            free = f" {gigabytes(needed)} were to be written, {gigabytes(shutil.disk_usage(folder).free)} are free."
        raise OutputError(f"{folder} cannot be written: {reason(error)}.{free} {ROOM}") from error


def gigabytes(count: int) -> str:
    """Bytes as text in units of 10^9."""
    return f"{count / 1e9:,.3f} GB"
