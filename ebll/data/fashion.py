"""Fashion-MNIST, where someone has put it: torchvision's download or Debian's package dataset-fashion-mnist."""

from __future__ import annotations

import gzip
import math
import os
import zlib
from pathlib import Path

import numpy as np
import torch

from ebll.data.places import DEBIAN, FASHION_FILES, HOW_TO_GET, data_root, fashion_file, find_fashion
from ebll.data.task import Task
from ebll.errors import DataMissing

__all__ = ["load_fashion"]

SEED = 0
CLASSES = ("t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")


def load_fashion(root: str | os.PathLike | None = None, *, download: bool = False, **words: object) -> Task:
    """Fashion-MNIST, 60,000 + 10,000 images: (n, 1, 28, 28), grey 0 to 1 before standardising.

    Looks in `root` (or EBLL_DATA, or ~/.cache/ebll) and, if no root is given, in Debian's folder; `download=True`
    fetches it there with torchvision (30 MB). `words` go to `Task.from_tensors`.

    Raises:
        DataMissing: not there, with the ways to get it; or a file that is damaged.
    """
    folder = find_fashion(root)
    if folder is None and download:
        _download(data_root(root))
        folder = find_fashion(root)
    if folder is None:
        looked = f"{data_root(root)}{'' if root else f' (environment variable EBLL_DATA) and {DEBIAN}'}"
        raise DataMissing(f"task 'fashion' is optional and its four files are not in {looked}. {HOW_TO_GET}.")
    pairs = {
        split: tuple(_read_idx(fashion_file(folder, name)) for name in names) for split, names in FASHION_FILES.items()
    }
    return Task.from_tensors("fashion", **pairs, classes=CLASSES, seed=SEED, **words)


def _read_idx(file: Path) -> torch.Tensor:
    """One IDX file of bytes: two zeros, type 8, the number of axes, each length (4 bytes, big end first), values."""
    try:
        with (gzip.open if file.suffix == ".gz" else open)(file, "rb") as stream:
            data = stream.read()
    except (OSError, EOFError, zlib.error) as error:
        raise DataMissing(f"{file} cannot be read: {error}. {HOW_TO_GET}.") from error
    axes = data[3] if data[:3] == b"\x00\x00\x08" and len(data) > 4 else 0
    start = 4 + 4 * axes
    shape = [int(n) for n in np.frombuffer(data[4:start], dtype=">i4")] if len(data) >= start else []
    if not shape or len(data) - start != math.prod(shape):
        raise DataMissing(
            f"{file} is damaged: {len(data)} bytes do not hold the IDX array that it announces. {HOW_TO_GET}."
        )
    return torch.from_numpy(np.frombuffer(data, dtype=np.uint8, offset=start).reshape(shape).copy())


def _download(base: Path) -> None:
    from torchvision.datasets import FashionMNIST

    try:
        FashionMNIST(str(base), train=False, download=True)  # fetches all four files, checksums included
    except (OSError, RuntimeError) as error:
        raise DataMissing(f"the download of Fashion-MNIST to {base} failed: {error}. {HOW_TO_GET}.") from error
