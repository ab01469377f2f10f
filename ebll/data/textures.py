"""Patches of the photographs inside scikit-image; the class is the picture.

Every picture is cut into square tiles and each tile belongs to one split alone, so that no pixel of a test patch
occurs in a training or validation patch.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ebll.data.places import package_file
from ebll.data.splits import seeded
from ebll.data.task import SPLITS, Task
from ebll.errors import DataMissing

__all__ = ["PICTURES", "load_textures", "patch_positions"]

SEED = 0
PATCH = 28  # pixels
TILE = 2 * PATCH  # leaves 29 x 29 positions inside a tile
PATCHES = {"train": 382, "validation": 68, "test": 110}  # of each picture
TILE_ENDS = (0.68, 0.80)  # 68 % of the tiles train, 12 % validate: as the patches, so that all overlap alike

# Pictures with content all over, and with terms of use stated in skimage.data's documentation. Left out for plain
# sky or background in most patches: cell, clock, retina, rocket; without stated terms: moon, page, motorcycle.
PICTURES = {
    "astronaut": "astronaut.png",
    "brick": "brick.png",
    "camera": "camera.png",
    "chelsea": "chelsea.png",
    "coffee": "coffee.png",
    "coins": "coins.png",
    "grass": "grass.png",
    "gravel": "gravel.png",
    "hubble": "hubble_deep_field.jpg",
    "ihc": "ihc.png",
}


def patch_positions(height: int, width: int, generator: torch.Generator) -> dict[str, Tensor]:
    """Top-left corners of the patches of one picture: split name -> int64 (number, 2), rows and columns in pixels.

    Whole tiles of 56 x 56 pixels are shared out at random; a patch lies within one tile. Patches of one split
    may overlap, those of two splits never do, and no position occurs twice.
    """
    tiles = torch.cartesian_prod(torch.arange(height // TILE), torch.arange(width // TILE)) * TILE
    tiles = tiles[torch.randperm(len(tiles), generator=generator)]
    ends = [round(len(tiles) * end) for end in TILE_ENDS]
    steps = torch.arange(TILE - PATCH + 1)
    inside = torch.cartesian_prod(steps, steps)
    positions = {}
    for split, own in zip(SPLITS, torch.tensor_split(tiles, ends), strict=True):
        every = (own[:, None] + inside).flatten(0, 1)
        positions[split] = every[torch.randperm(len(every), generator=generator)[: PATCHES[split]]]
    return positions


def load_textures(**words: object) -> Task:
    """Grey patches of ten photographs inside scikit-image: (n, 1, 28, 28), 0 to 1 before standardising.

    382 training, 68 validation and 110 test patches of each picture, from disjoint tiles.
    `words` go to `Task.from_tensors`.
    """
    generator = seeded(SEED)
    parts: dict[str, list[Tensor]] = {split: [] for split in SPLITS}
    for file in PICTURES.values():
        picture = _grey(package_file("skimage", f"data/{file}", pip_name="scikit-image", task="textures"))
        for split, corners in patch_positions(*picture.shape, generator).items():
            parts[split].append(cut(picture, corners))
    pairs = {s: (torch.cat(p), torch.arange(len(p)).repeat_interleave(PATCHES[s])) for s, p in parts.items()}
    return Task.from_tensors("textures", **pairs, classes=tuple(PICTURES), **words)


def cut(picture: Tensor, corners: Tensor) -> Tensor:
    """The patches of `picture` (height, width) at `corners` (n, 2), as (n, 1, 28, 28)."""
    windows = picture.unfold(0, PATCH, 1).unfold(1, PATCH, 1)
    return windows[corners[:, 0], corners[:, 1]].unsqueeze(1)


def _grey(file: Path) -> Tensor:
    try:
        with Image.open(file) as picture:
            return torch.from_numpy(np.array(picture.convert("L")))
    except OSError as error:
        raise DataMissing(f"{file} cannot be read: {error}. Install scikit-image again.") from error
