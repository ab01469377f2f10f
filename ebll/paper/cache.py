"""Photographs resized once: squares of bytes in one file a part, which is mapped into memory and read by row."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock
from PIL import Image, ImageOps
from torch import Tensor
from torchvision.transforms import v2

from ebll.data.folder import eight_bit
from ebll.errors import InputError, OutputError
from ebll.files import whole
from ebll.paper.datasets import Part, fingerprint

__all__ = ["cached", "square"]

CHUNK = 256  # images between two reports of progress


def cached(
    base: Path,
    part: Part,
    folder: Path,
    title: str,
    size: int,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Tensor:
    """The photographs of a part as squares of `size` pixels, resized unless the cache has them.

    base, part   the files and their labels
    folder       for all caches; a cache's name has the fingerprint of its files
    title        begins that name
    progress     called as (images done, of how many)
    returns      uint8 (n, size, size, 3), mapped from its file
    raises       `InputError` for images that cannot be read; `OutputError` where the cache cannot be written
    """
    pixels, count = folder / f"{title}-{size}-{fingerprint(base, part)[:16]}.bin", len(part.files)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(pixels.with_suffix(".lock")):  # another process may be making it
            if not pixels.is_file() or pixels.stat().st_size != count * size * size * 3:
                _write(base, part.files, pixels, size, progress)
    except OSError as error:
        reason = error.strerror or error
        raise OutputError(f"{folder} cannot be written: {reason}. Name another with --cache.") from error
    images = torch.from_file(str(pixels), shared=False, size=count * size * size * 3, dtype=torch.uint8)
    return images.view(count, size, size, 3)


def _write(base: Path, files: Sequence[str], pixels: Path, size: int, progress: Callable[[int, int], None]) -> None:
    """Write the squares of all files, if all can be read."""
    for half in pixels.parent.glob(f".{pixels.name}.*"):  # of a process that was killed
        half.unlink()
    unreadable: list[str] = []

    def read(file: str) -> bytes:
        try:
            return square(base / file, size).tobytes()
        except Exception as error:  # Pillow raises many kinds for a damaged file
            unreadable.append(f"{file} ({' '.join(str(error).split()) or type(error).__name__})")
            return b""

    # Pillow decodes and resizes without Python's lock, so threads keep the processor busy.
    pool = ThreadPoolExecutor(min(8, os.cpu_count() or 1))
    with warnings.catch_warnings(), pool, whole(pixels) as half, half.open("wb") as stream:
        warnings.simplefilter("ignore")  # damaged notes of a camera are no fault of the picture
        progress(0, len(files))
        for start in range(0, len(files), CHUNK):
            for one in pool.map(read, files[start : start + CHUNK]):
                stream.write(one)
            progress(min(start + CHUNK, len(files)), len(files))
        if unreadable:
            some = ", ".join(sorted(unreadable)[:20]) + ", ..." * (len(unreadable) > 20)
            raise InputError(
                f"{base}: {len(unreadable):,} of {len(files):,} images cannot be read: {some}. Replace them."
            )


def square(file: Path, size: int) -> np.ndarray:
    """The photograph in a file as uint8 (size, size, 3), RGB and upright: the shorter side resized, the centre kept."""
    with Image.open(file) as opened:
        opened.draft("RGB", (2 * size, 2 * size))  # a big JPEG is decoded at a fraction that leaves twice the size
        image = eight_bit(ImageOps.exif_transpose(opened)).convert("RGB")
    return np.asarray(v2.functional.center_crop(v2.functional.resize(image, [size]), [size]))
