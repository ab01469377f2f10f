"""A folder of converted photographs: squares of bytes in shards that are read by row, and what they must be.

cache/flowers-train-256/manifest.json           labels, classes, and what each shard must be
cache/flowers-train-256/00000-ab12….npy         512 squares, uint8 (n, size, size, 3), plain numpy
cache/flowers-train-256/00000-ab12….npy.json    the shard's line of the manifest, for a conversion cut short
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ebll.errors import DataMissing, EbllError, InputError, expanded
from ebll.photos.shards import Shard, write_hashed

__all__ = [
    "VERSION",
    "OthersStore",
    "Store",
    "default_cache",
    "open_store",
    "row_numbers",
    "store_folder",
    "write_manifest",
]

VERSION = 1
MANIFEST = "manifest.json"
_WHAT = "photographs converted by ebll"
_AGAIN = "Delete it and convert the set again: shards that are whole are kept."
_HEADER = 1024  # numpy's header is shorter


class OthersStore(InputError):
    """A manifest that is not damaged but another program's, or another version's: it is not ours to overwrite."""


class Store:
    """The converted photographs of one part of a set, read by row; made by `convert` and `open_store`.

    No file stays open, so any number of threads may read, and copies in other processes too.

    Attributes:
        folder, name, part: where it lies, and what it holds.
        size: height and width of a square, in pixels.
        classes: class names.
        labels: int64 (n,), positions in `classes`.
        skipped: paths of the images that were left out as unreadable.
        digest: hash of the listing that it was made from.
        origin: where that lies, as seen from the folder of all converted sets; empty if that was not noted.
        shards: what its files must be.
    """

    def __init__(self, folder: Path, manifest: dict[str, Any]) -> None:
        self.folder, self.name, self.part = folder, str(manifest["name"]), str(manifest["part"])
        self.size, self.digest = int(manifest["size"]), str(manifest["digest"])
        self.origin = str(manifest.get("origin", ""))
        self.classes, self.skipped = tuple(manifest["classes"]), tuple(manifest["skipped"])
        self.labels = torch.tensor(manifest["labels"], dtype=torch.int64)
        self.shards = tuple(Shard.from_dict(held) for held in manifest["shards"])
        self._begins = np.cumsum([0, *(shard.rows for shard in self.shards)])
        if self.labels.ndim != 1 or not len(self.labels) or self._begins[-1] != len(self.labels):
            raise ValueError("labels and squares are not as many")
        if self.labels.min() < 0 or self.labels.max() >= len(self.classes):
            raise ValueError("a label has no class")
        if not all(0 < shard.bytes - shard.rows * self._square < _HEADER for shard in self.shards):
            raise ValueError("the length of a shard is not that of its squares")

    @property
    def _square(self) -> int:
        return self.size * self.size * 3

    def __len__(self) -> int:
        return len(self.labels)

    def __repr__(self) -> str:
        return f"Store({self.name!r}, {self.part!r}, {len(self)} squares of {self.size} pixels in {self.folder})"

    @property
    def nbytes(self) -> int:
        """Bytes of all pixels."""
        return len(self) * self._square

    def read(self, rows: Tensor | np.ndarray | Sequence[int]) -> Tensor:
        """The squares of `rows`, whole numbers from 0, in the order asked for: uint8 (m, size, size, 3).

        Raises:
            InputError: rows that are none, or a shard that is not as it was written.
        """
        wanted = row_numbers(rows, len(self))
        pixels = np.empty((len(wanted), self.size, self.size, 3), dtype=np.uint8)
        order = np.argsort(wanted, kind="stable")  # each file is opened once, and read forwards
        numbers, cuts = np.unique(np.searchsorted(self._begins, wanted[order], side="right") - 1, return_index=True)
        for number, places in zip(numbers.tolist(), np.split(order, cuts[1:]), strict=False):  # no rows: no shard
            self._read(self.shards[number], wanted[places] - self._begins[number], pixels, places)
        return torch.from_numpy(pixels)

    def _read(self, shard: Shard, rows: np.ndarray, pixels: np.ndarray, places: np.ndarray) -> None:
        """Squares `rows` of a shard into `pixels` at `places`."""
        begin = shard.bytes - shard.rows * self._square
        try:
            with (self.folder / shard.file).open("rb") as stream:
                for row, place in zip(rows.tolist(), places.tolist(), strict=True):
                    stream.seek(begin + row * self._square)
                    if stream.readinto(pixels[place]) != self._square:
                        raise InputError(f"{self.folder / shard.file} {shard.fault(self.folder)}. {_AGAIN}")
        except OSError as error:
            raise InputError(f"{self.folder / shard.file} cannot be read: {error.strerror}. {_AGAIN}") from error

    def whole(self) -> Tensor:
        """All squares in memory, uint8 (n, size, size, 3), each shard checked against its hash.

        Raises:
            InputError: a shard is damaged; it is named, with how to make it again.
        """
        pixels = np.empty((len(self), self.size, self.size, 3), dtype=np.uint8)
        for shard, begin in zip(self.shards, self._begins.tolist(), strict=False):
            if not self._sound(shard, pixels[begin : begin + shard.rows]):
                raise InputError(f"{self.folder / shard.file} is damaged. {_AGAIN}")
        return torch.from_numpy(pixels)

    def check(self) -> list[str]:
        """Names of the shards that are missing or damaged; every byte is read."""
        room = np.empty((max(shard.rows for shard in self.shards), self.size, self.size, 3), dtype=np.uint8)
        return [shard.file for shard in self.shards if not self._sound(shard, room[: shard.rows])]

    def _sound(self, shard: Shard, pixels: np.ndarray) -> bool:
        """Read all of a shard into `pixels`, and say whether it is what was written."""
        with contextlib.suppress(OSError), (self.folder / shard.file).open("rb") as stream:
            found = hashlib.sha256(stream.read(shard.bytes - pixels.nbytes))
            if stream.readinto(pixels) == pixels.nbytes and not stream.read(1):
                found.update(pixels)
                return found.hexdigest() == shard.sha256
        return False


def open_store(folder: str | os.PathLike) -> Store:
    """The converted photographs in `folder`; the lengths of its files are looked at, their bytes are not.

    Raises:
        DataMissing: no manifest there.
        InputError: a manifest that is damaged; a shard of another length; no path. As `OthersStore`: a manifest of
            another program or another version.
    """
    folder = expanded(folder, "folder")
    path = folder / MANIFEST
    if not path.is_file():
        raise DataMissing(
            f"{folder} holds no converted photographs: {MANIFEST} is missing. Convert the set into it; where that was "
            "cut short, it goes on from there."
        )
    try:
        store = Store(folder, _manifest(path))
    except EbllError:
        raise
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError, RuntimeError) as error:
        raise InputError(f"{path} is damaged: {error!r}. {_AGAIN}") from error
    for shard in store.shards:
        fault = shard.fault(folder)
        if fault:
            raise InputError(f"{folder / shard.file} {fault}. {_AGAIN}")
    return store


def _manifest(path: Path) -> dict[str, Any]:
    found = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(found, dict) or found.get("what") != _WHAT:
        raise OthersStore(f"{path} is another program's: it does not say {_WHAT!r}. Name another folder.")
    if found.get("version") != VERSION:
        raise OthersStore(
            f"{path} has version {found.get('version')!r}; this ebll reads version {VERSION}. Convert the set again "
            "into another folder, or use the version that wrote it."
        )
    return found


def write_manifest(folder: Path, shards: Sequence[Shard], about: dict[str, Any]) -> None:
    """Make a folder of shards a store; `about` has the other fields that `Store` reads. Raises OSError."""
    held = {"what": _WHAT, "version": VERSION, **about, "shards": [asdict(shard) for shard in shards]}
    write_hashed(folder / MANIFEST, lambda stream: stream.write(json.dumps(held).encode()))


def row_numbers(rows: Tensor | np.ndarray | Sequence[int], count: int) -> np.ndarray:
    """`rows` as int64 (m,), each from 0 to below `count`; raises `InputError` for anything else."""
    numbers = rows.detach().cpu().numpy() if isinstance(rows, Tensor) else np.asarray(rows)
    if numbers.ndim == 1 and not numbers.size:
        return np.empty(0, dtype=np.int64)
    if numbers.ndim != 1 or numbers.dtype.kind not in "iu":
        raise InputError(
            f"rows must be whole numbers of shape (m,); got {numbers.dtype} of shape {numbers.shape}. Give positions."
        )
    low, high = int(numbers.min()), int(numbers.max())
    if low < 0 or high >= count:
        raise InputError(f"rows must lie in 0..{count - 1}; got {low} to {high}. Leave out those beyond.")
    return numbers.astype(np.int64)


def default_cache(root: str | os.PathLike) -> Path:
    """The folder for converted photographs under a data root."""
    return expanded(root, "root") / "ebll-cache"


def store_folder(
    cache: str | os.PathLike, name: str, part: str, size: int, rows: Tensor | np.ndarray | Sequence[int] | None = None
) -> Path:
    """Where `convert` puts a part of a set under `cache`; a choice of rows gets a folder of its own, by their hash."""
    some = "" if rows is None else "-" + hashlib.sha256(np.asarray(rows, dtype="<i8").tobytes()).hexdigest()[:10]
    return expanded(cache, "cache") / f"{name}-{part}-{size}{some}"
