"""Photographs resized once: squares of bytes in one file a part, which is mapped into memory and read by row."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import shutil
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
from ebll.files import whole, write_whole
from ebll.paper.datasets import Part

__all__ = ["cached", "square"]

CHUNK = 256  # images between two reports of progress


def cached(
    base: Path,
    part: Part,
    folder: Path,
    title: str,
    size: int,
    progress: Callable[[int, int], None] = lambda done, total: None,
    skip_unreadable: bool = False,
) -> tuple[Tensor, Tensor, tuple[str, ...]]:
    """The photographs of a part as squares of `size` pixels, resized unless the cache has them.

    base, part   the files and their labels
    folder       for all caches; a cache's name has a hash of its files' names, lengths and times of change
    title        begins that name
    progress     called as (images done, of how many)
    returns      uint8 (n, size, size, 3), mapped from its file; labels int64 (n,); the files left out as unreadable
    raises       `InputError` for images that cannot be read; `OutputError` where the cache cannot be written
    """
    stats = [os.stat(base / file) if (base / file).exists() else None for file in part.files]
    held = [(file, s and (s.st_size, s.st_mtime_ns)) for file, s in zip(part.files, stats, strict=True)]
    stem = f"{title}-{size}-{hashlib.sha256(json.dumps(held).encode()).hexdigest()[:16]}"
    pixels, index = folder / f"{stem}.bin", folder / f"{stem}.json"
    try:
        if not index.is_file():
            folder.mkdir(parents=True, exist_ok=True)
            with FileLock(folder / f"{stem}.lock"):
                if not index.is_file():  # no other process has made it meanwhile
                    _write(base, part.files, pixels, index, size, progress)
    except OSError as error:
        reason = error.strerror or error
        raise OutputError(f"{folder} cannot be written: {reason}. Name another with --cache.") from error
    skipped = json.loads(index.read_text(encoding="utf-8"))
    kept = [row for row, file in enumerate(part.files) if file not in skipped]
    if not kept:
        raise InputError(f"{base}: none of {len(skipped):,} images can be read. Get the set again.")
    if skipped and not skip_unreadable:
        some = ", ".join(f"{file} ({reason})" for file, reason in itertools.islice(skipped.items(), 5))
        raise InputError(
            f"{len(skipped):,} of {len(part.files):,} images cannot be read: {some}{', ...' * (len(skipped) > 5)}. Get "
            "them again, or leave them out with --skip-unreadable."
        )
    count = len(kept)
    images = torch.from_file(str(pixels), shared=False, size=count * size * size * 3, dtype=torch.uint8)
    return images.view(count, size, size, 3), torch.tensor(part.labels)[kept], tuple(skipped)


def _write(
    base: Path, files: Sequence[str], pixels: Path, index: Path, size: int, progress: Callable[[int, int], None]
) -> None:
    """Write the squares of all files that can be read, and an index of the others, each with the reason."""
    for half in pixels.parent.glob(f".{pixels.name}.*"):  # of a process that was killed
        half.unlink()
    needed, free = len(files) * size * size * 3, shutil.disk_usage(pixels.parent).free
    if free < needed:
        raise OSError(0, f"{needed / 1e9:.2f} GB are needed, {free / 1e9:.2f} GB are free")
    unreadable: dict[str, str] = {}

    def read(file: str) -> bytes:
        try:
            return square(base / file, size).tobytes()
        except Exception as error:  # Pillow raises many kinds for a damaged file
            unreadable[file] = " ".join(str(error).split()) or type(error).__name__
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
    write_whole(index, json.dumps(unreadable))


def square(file: Path, size: int) -> np.ndarray:
    """The photograph in a file as uint8 (size, size, 3), RGB and upright: the shorter side resized, the centre kept."""
    with Image.open(file) as opened:
        opened.draft("RGB", (2 * size, 2 * size))  # a big JPEG is decoded at a fraction that leaves twice the size
        image = eight_bit(ImageOps.exif_transpose(opened)).convert("RGB")
    return np.asarray(v2.functional.center_crop(v2.functional.resize(image, [size]), [size]))
