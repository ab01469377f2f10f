"""Photographs as a task's splits: bytes on a shelf, windows cut and scaled when a batch is asked for.

A `PhotoSplit` stands wherever a `Split` does, so methods, loop and record are the same at every scale. Its inputs are
`Pixels`, which act like a float32 tensor (n, 3, size, size) of which only what is asked for is ever made.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor

from ebll.data import Split, Task
from ebll.errors import InputError
from ebll.photos.crops import Windows, cut, drawn_windows
from ebll.photos.store import Store

__all__ = ["PhotoSplit", "Pixels", "Resident", "Shelf", "Streamed", "skipped"]

PORTION = 256  # images in one portion of a pass that asks for more: 150 MB as floats
AHEAD = 3  # batches that a disk is read ahead of their use


class Shelf(Protocol):
    """Where the bytes of the stored images lie."""

    size: int  #: pixels a side
    device: torch.device  #: where they are handed out

    def read(self, several: Sequence[Tensor]) -> Iterator[Tensor]:
        """For each int64 (m,), uint8 (m, size, size, 3) on the device."""

    def to(self, device: torch.device | str) -> Shelf:
        """The same images, handed out on another device."""


class Resident:
    """Images held in the memory of one device."""

    def __init__(self, images: Tensor):
        shape = tuple(images.shape)
        if images.dtype != torch.uint8 or len(shape) != 4 or shape[1] != shape[2] or shape[3] != 3:
            raise InputError(f"Stored images are uint8 (n, size, size, 3); got {images.dtype} {shape}.")
        self.images, self.size, self.device = images, images.shape[1], images.device
        self._elsewhere: dict[torch.device, Resident] = {}

    def read(self, several: Sequence[Tensor]) -> Iterator[Tensor]:
        """Gathered on the device, which waits for nobody."""
        for rows in several:
            yield self.images[rows.to(self.device, non_blocking=True)]

    def to(self, device: torch.device | str) -> Resident:
        """The splits of a task share a shelf, and go on sharing it where they are moved."""
        device = torch.empty(0, device=device).device
        if device == self.device:
            return self
        if device not in self._elsewhere:
            self._elsewhere[device] = Resident(self.images.to(device))
        return self._elsewhere[device]


class Streamed:
    """Images on disk, read ahead of their use in a thread of its own."""

    def __init__(self, store: Store, device: torch.device | str = "cpu"):
        self.store, self.size, self.device = store, store.size, torch.empty(0, device=device).device

    def read(self, several: Sequence[Tensor]) -> Iterator[Tensor]:
        """From disk through page-locked memory, while the device is at the batches before."""
        with ThreadPoolExecutor(1) as reader:
            coming: deque = deque()
            for rows in [*(rows.cpu() for rows in several), *[None] * AHEAD]:
                if rows is not None:
                    coming.append(reader.submit(self._one, rows))
                if coming and (rows is None or len(coming) > AHEAD):
                    yield coming.popleft().result().to(self.device, non_blocking=True)

    def _one(self, rows: Tensor) -> Tensor:
        pixels = self.store.read(rows)
        return pixels.pin_memory() if self.device.type == "cuda" else pixels

    def to(self, device: torch.device | str) -> Streamed:
        """The same store, handed out elsewhere."""
        return Streamed(self.store, device)


@dataclass(frozen=True, eq=False)
class Pixels:
    """What networks take, made on demand: float32 (n, 3, size, size), channels last, on the shelf's device.

    shelf            the stored images
    rows             int64 (n,)  which of them each entry is cut from
    windows          n windows, where each is cut
    size             pixels a side of a window
    mean, deviation  of each channel, for values 0..1
    """

    shelf: Shelf
    rows: Tensor
    windows: Windows
    size: int
    mean: tuple[float, ...]
    deviation: tuple[float, ...]

    dtype = torch.float32
    ndim = 4

    @property
    def shape(self) -> torch.Size:
        """(n, 3, size, size)."""
        return torch.Size((len(self.rows), 3, self.size, self.size))

    @property
    def device(self) -> torch.device:
        """Where the windows are cut."""
        return self.shelf.device

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int | slice | Tensor) -> Tensor:
        """Entries as a tensor, all at once; one entry for a whole number."""
        several = torch.arange(len(self), device=self.rows.device)[index]
        portions = list(self.batches(several.reshape(-1), PORTION))
        found = torch.cat(portions or [torch.empty(0, *self.shape[1:], device=self.device)])
        return found.reshape(*several.shape, *self.shape[1:])

    def __iter__(self) -> Iterator[Tensor]:
        """One entry after the other."""
        for portion in self.split(PORTION):
            yield from portion

    def split(self, batch_size: int) -> Iterator[Tensor]:
        """All entries in their order, in portions of at most `batch_size`."""
        yield from self.batches(torch.arange(len(self), device=self.rows.device), min(batch_size, PORTION))

    def batches(self, rows: Tensor, batch_size: int, windows: Windows | None = None) -> Iterator[Tensor]:
        """The entries of `rows` (int64, (m,)) in portions, cut from `windows` in place of their own if given."""
        windows = (self.windows if windows is None else windows).to(self.device)
        portions = rows.to(self.device).split(batch_size) if len(rows) else []
        stored = self.rows.to(rows.device)[rows].split(batch_size)
        for portion, images in zip(portions, self.shelf.read(stored if len(rows) else []), strict=True):
            yield cut(images, windows.take(portion), self.size, self.mean, self.deviation)

    def take(self, rows: Tensor) -> Pixels:
        """The entries of `rows`, still to be made."""
        return replace(self, rows=self.rows[rows], windows=self.windows.take(rows))

    def to(self, device: torch.device | str) -> Pixels:
        """The same entries, made on another device."""
        shelf = self.shelf.to(device)
        return replace(self, shelf=shelf, rows=self.rows.to(shelf.device), windows=self.windows.to(shelf.device))

    def min(self) -> Tensor:
        """What black gives in the channel where it is lowest."""
        return torch.tensor(min(-m / d for m, d in zip(self.mean, self.deviation, strict=True)))

    def max(self) -> Tensor:
        """What white gives in the channel where it is highest."""
        return torch.tensor(max((1 - m) / d for m, d in zip(self.mean, self.deviation, strict=True)))


@dataclass(frozen=True, eq=False)
class PhotoSplit(Split):
    """A split whose inputs are `Pixels`.

    anew      True: every epoch cuts other windows, so that what a method records must be asked of a teacher in the
              loop; False: the windows are those of `inputs`, once and for all
    skipped   paths, relative to the set's folder, of the images of this part that were left out as unreadable; those
              of validation stand with training's, of which it is taken
    """

    inputs: Pixels
    anew: bool = False
    skipped: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"PhotoSplit({len(self):,} x 3 x {self.inputs.size} x {self.inputs.size}{', cut anew' * self.anew})"

    @property
    def changing(self) -> bool:
        """Whether every epoch cuts other windows."""
        return self.anew

    def versions(self, order: torch.Generator) -> Windows | None:
        """The windows of one epoch."""
        if not self.anew:
            return None
        return drawn_windows(len(self), self.inputs.shelf.size, self.inputs.size, order)

    def batches(self, rows: Tensor, batch_size: int, versions: object = None) -> Iterator[Tensor]:
        """The inputs of `rows` in portions, one portion at a time."""
        return self.inputs.batches(rows, batch_size, versions)

    def take(self, indices: Tensor) -> PhotoSplit:
        """The rows `indices` as a split of their own; their pixels are still to be made."""
        return replace(self, inputs=self.inputs.take(indices), labels=self.labels[indices])

    def to(self, device: torch.device | str) -> PhotoSplit:
        """The same split on `device`."""
        return replace(self, inputs=self.inputs.to(device), labels=self.labels.to(device))


def skipped(task: Task) -> list[str]:
    """Paths of the images that a task's set has and the task lacks, since they could not be read; mostly none.

    They are relative to the set's folder, those of the training part first. A task that is not of photographs has none.

    Raises:
        InputError: no task.
    """
    if not isinstance(task, Task):
        raise InputError(f"skipped takes a Task, as load_photos makes it; got {type(task).__name__}.")
    splits = (task.train, task.validation, task.test)
    return [path for split in splits if isinstance(split, PhotoSplit) for path in split.skipped]
