"""What runs at paper scale would take, in images, optimiser steps and bytes; nothing is fetched or written."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch

from ebll.errors import DataMissing, InputError, expanded
from ebll.paper.backbones import load_backbone
from ebll.paper.datasets import PHOTO_SETS, find_photos
from ebll.paper.plan import PRETRAINED_ON, PaperSettings, Unit, steps_of

__all__ = ["dry_run"]

Rows = list[tuple[str, str]]


class _Size(NamedTuple):
    classes: int
    train: int
    validation: int  # of the training images
    test: int
    note: str  # what a run would refuse


def dry_run(
    units: Sequence[Unit],
    settings: PaperSettings,
    *,
    root: str | os.PathLike,
    out: str | os.PathLike = "out/paper",
    cache: str | os.PathLike | None = None,
    incomplete: bool = False,
) -> dict[str, Rows]:
    """What `paper` would take with the same arguments: headline -> lines of (name, words).

    raises   for a folder of one's own, `DataMissing` where it is not there, `InputError` where a run would refuse it
    """
    sizes = {name: _size(name, settings, root, incomplete) for name in dict.fromkeys(n for u in units for n in u.tasks)}
    versions = settings.photos.versions if settings.photos.augment == "fixed" else 1
    crops = {name: (size.train - size.validation) * versions for name, size in sizes.items()}
    images = [
        (
            name,
            f"{size.classes:,} classes; {crops[name]:,} training crops an epoch, {size.validation:,} validation and "
            f"{size.test:,} test images" + (f". {size.note}" if size.note else ""),
        )
        for name, size in sizes.items()
    ]
    runs = [steps_of(unit, settings, crops) for unit in units]
    learned = {unit.start for unit in units if unit.start[0] != PRETRAINED_ON or settings.weights == "none"}
    epochs = sum(settings.train.stages(0).values())
    first = sum(epochs * math.ceil(crops[name] / settings.train.batch_size) for name, _ in learned)
    steps = [
        ("first sets", f"{first:,}" if first else "none: the pretrained network is taken over"),
        ("runs", f"{sum(runs):,} in {len(runs)} runs, {min(runs):,} to {max(runs):,} each"),
    ]
    place = expanded(root, "root") / "ebll-cache" if cache is None else expanded(cache, "cache")
    return {
        "Images": images,
        "Optimiser steps": steps,
        "Bytes": _bytes(settings, sizes, units, place, expanded(out, "out")),
    }


def _size(name: str, settings: PaperSettings, root: str | os.PathLike, incomplete: bool) -> _Size:
    """Of a set as it lies there; as it was published where a run would refuse it, with the words of the run."""
    photos, info, note = settings.photos_of(name), PHOTO_SETS.get(name), ""
    try:
        found = find_photos(name, root, incomplete=incomplete)
        classes, train, test = len(found.classes), len(found.train.files), len(found.test.files)
        least = len(set(found.train.labels))  # of the validation images: one a class
    except (DataMissing, InputError) as error:
        if info is None:
            raise
        classes, train, test, least, note = info.classes, info.train, info.test, info.classes, str(error)
    train = min(train, photos.images or train)
    validation = max(least, round(photos.held_out * train))
    if validation >= train:
        raise InputError(
            f"{name}: of {train:,} training images {validation:,} would be held out for validation, and none is left. "
            "Take more images."
        )
    return _Size(classes, train, validation, test, note)


def _bytes(settings: PaperSettings, sizes: dict[str, _Size], units: Sequence[Unit], cache: Path, out: Path) -> Rows:
    with torch.random.fork_rng(devices=[]):
        backbone = load_backbone(settings.backbone, weights="none", input_size=settings.photos.size)
    weights = sum(p.numel() for part in (backbone.features, backbone.operator) for p in part.parameters())
    largest = 0
    for tasks in {unit.tasks for unit in units}:
        heads = sum(sizes[name].classes * (backbone.head.in_features + 1) for name in tasks)
        codes = sum(settings.method("ebll", tasks).autoencoder.code_size)
        # Weights where the stage began and now, momentum, and what EBLL keeps; float32.
        largest = max(largest, 4 * (3 * (weights + heads) + codes * (backbone.feature_size + 1)))
    images = sum(size.train + size.test for size in sizes.values()) * 3 * settings.photos.stored**2
    return [
        ("resized images", f"{_in_bytes(images)} in {cache}"),
        ("checkpoint", f"up to {_in_bytes(largest)} in {out}"),
    ]


def _in_bytes(count: int) -> str:
    return f"{count / 1e9:.3g} GB" if count >= 1e8 else f"{count / 1e6:.3g} MB"
