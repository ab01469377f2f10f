"""Windows cut out of stored images on the device that holds them: where they lie is drawn at random."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ebll.errors import InputError

__all__ = ["Windows", "centre_windows", "cut", "drawn_windows", "fixed_windows"]


@dataclass(frozen=True, eq=False)
class Windows:
    """Where to cut, one window an image.

    top, left   int64 (n,)  of the window's upper left corner, in pixels
    flip        bool (n,)   whether it is mirrored
    """

    top: Tensor
    left: Tensor
    flip: Tensor

    def __len__(self) -> int:
        return len(self.top)

    def take(self, rows: Tensor) -> Windows:
        """The windows of `rows` (int64, (m,))."""
        return Windows(self.top[rows], self.left[rows], self.flip[rows])

    def to(self, device: torch.device | str) -> Windows:
        """The same windows on a device."""
        return Windows(*(part.to(device, non_blocking=True) for part in (self.top, self.left, self.flip)))


def centre_windows(count: int, stored: int, size: int) -> Windows:
    """The central window of each image, as the test images are always seen.

    stored, size   pixels a side of the stored images and of the window
    """
    corner = torch.full((count,), _room(stored, size) // 2)
    return Windows(corner, corner.clone(), torch.zeros(count, dtype=torch.bool))


def drawn_windows(count: int, stored: int, size: int, draw: torch.Generator) -> Windows:
    """A window anywhere in each image, mirrored or not, all equally likely."""
    room = _room(stored, size) + 1
    top, left = (torch.randint(room, (count,), generator=draw) for _ in range(2))
    return Windows(top, left, torch.randint(2, (count,), generator=draw).bool())


def fixed_windows(count: int, versions: int, stored: int, size: int, draw: torch.Generator) -> Windows:
    """The augmented versions of each image that are drawn once and for all: the central window and drawn ones.

    versions   at least 1; the authors' code takes 5, of which 4 are drawn
    returns    count * versions windows, those of one image side by side, the central one first
    """
    kinds = [centre_windows(count, stored, size)]
    kinds += [drawn_windows(count, stored, size, draw) for _ in range(versions - 1)]
    names = ("top", "left", "flip")
    return Windows(*(torch.stack([getattr(kind, name) for kind in kinds], dim=1).flatten() for name in names))


def cut(images: Tensor, windows: Windows, size: int, mean: Sequence[float], deviation: Sequence[float]) -> Tensor:
    """The windows of stored images as a network takes them.

    images           uint8 (n, stored, stored, 3)
    windows          n of them, on the device of the images
    size             pixels a side of a window
    mean, deviation  of each channel, for values 0..1: out comes (value / 255 - mean) / deviation
    returns          float32 (n, 3, size, size), channels last in memory
    """
    steps = torch.arange(size, device=images.device)
    rows = windows.top[:, None] + steps
    columns = windows.left[:, None] + torch.where(windows.flip[:, None], size - 1 - steps, steps)
    which = torch.arange(len(images), device=images.device)
    pixels = images[which[:, None, None], rows[:, :, None], columns[:, None, :]]  # (n, size, size, 3)
    scale = [1 / (255 * d) for d in deviation]
    # One multiplication and one addition a value; `tensor` from numbers on the device makes nobody wait.
    factor = _on(images.device, scale)
    shift = _on(images.device, [-m / d for m, d in zip(mean, deviation, strict=True)])
    return torch.addcmul(shift, pixels.to(torch.float32), factor).permute(0, 3, 1, 2)


_constants: dict[tuple[str, tuple[float, ...]], Tensor] = {}


def _on(device: torch.device, values: Sequence[float]) -> Tensor:
    """Three numbers on a device, moved there once: a copy in every step would make a GPU wait."""
    key = (str(device), tuple(values))
    if key not in _constants:
        _constants[key] = torch.tensor(key[1], dtype=torch.float32, device=device)
    return _constants[key]


def _room(stored: int, size: int) -> int:
    if not 0 < size <= stored:
        raise InputError(
            f"A window of {size} pixels does not fit into images stored at {stored}. Store them larger, or cut smaller."
        )
    return stored - size
