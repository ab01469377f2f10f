"""Photographs resized once: squares of bytes in one file a part, which is mapped into memory and read by row."""

from __future__ import annotations

import itertools
import json
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
from ebll.files import whole, write_whole
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
    skip_unreadable: bool = False,
) -> tuple[Tensor, Tensor]:
    """The photographs of a part as squares of `size` pixels, resized unless the cache has them.

    base, part   the files and their labels
    folder       for all caches; a cache's name has the fingerprint of its files
    title        begins that name
    progress     called as (images done, of how many)
    returns      uint8 (n, size, size, 3), mapped from its file; labels int64 (n,)
    raises       `InputError` for images that cannot be read, unless they are left out, with a warning that names some;
                 `OutputError` where the cache cannot be written
    """
    stem = f"{title}-{size}-{fingerprint(base, part)[:16]}"
    pixels, index = folder / f"{stem}.bin", folder / f"{stem}.json"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / f"{stem}.lock"):  # another process may be making it
            if not index.is_file():
                _write(base, part.files, pixels, index, size, progress)
    except OSError as error:
        reason = error.strerror or error
        raise OutputError(f"{folder} cannot be written: {reason}. Name another with --cache.") from error
    unreadable = json.loads(index.read_text(encoding="utf-8"))
    kept = [row for row, file in enumerate(part.files) if file not in unreadable]
    if unreadable:
        some = ", ".join(f"{file} ({reason})" for file, reason in itertools.islice(unreadable.items(), 5))
        what = f"{base}: {len(unreadable):,} of {len(part.files):,} images cannot be read: {some}"
        if not kept or not skip_unreadable:
            raise InputError(f"{what}. Get them again, or leave them out with --skip-unreadable.")
        warnings.warn(f"{what}. They are left out; {index} names them all.", stacklevel=3)
    count = len(kept)
    images = torch.from_file(str(pixels), shared=False, size=count * size * size * 3, dtype=torch.uint8)
    return images.view(count, size, size, 3), torch.tensor(part.labels)[kept]


def _write(
    base: Path, files: Sequence[str], pixels: Path, index: Path, size: int, progress: Callable[[int, int], None]
) -> None:
    """Write the squares of all files that can be read, and an index of the others, each with the reason."""
    for half in pixels.parent.glob(f".{pixels.name}.*"):  # of a process that was killed
        half.unlink()
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
