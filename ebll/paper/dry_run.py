"""What a run would take, before anything is done: images, optimiser steps, bytes. Nothing is fetched or written."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch

from ebll.errors import DataMissing, InputError
from ebll.paper.backbones import load_backbone
from ebll.paper.datasets import PHOTO_SETS, find_photos
from ebll.paper.photos import chosen_rows
from ebll.paper.plan import PRETRAINED_ON, Unit, steps_of
from ebll.paper.protocol import Workspace

__all__ = ["dry_run"]

FLOAT = 4  # bytes


class _Size(NamedTuple):
    classes: int
    train: int
    validation: int  # of the training images
    test: int
    note: str  # what a run would refuse


def dry_run(space: Workspace, units: Sequence[Unit]) -> dict[str, list[tuple[str, str]]]:
    """Headline -> lines of (name, words).

    raises   for a folder of one's own, `DataMissing` where it is not there, `InputError` where a run would refuse it
    """
    names = list(dict.fromkeys(name for unit in units for name in unit.experiment.tasks))
    sizes = {name: _size(space, name) for name in names}
    photos, epochs, batch = space.settings.photos, space.settings.train.epochs, space.settings.train.batch_size
    versions = photos.versions if photos.augment == "fixed" else 1
    crops = {name: (size.train - size.validation) * versions for name, size in sizes.items()}
    images = [
        (
            name,
            f"{size.classes:,} classes; {crops[name]:,} training crops an epoch, {size.validation:,} validation and "
            f"{size.test:,} test images" + (f". {size.note}" if size.note else ""),
        )
        for name, size in sizes.items()
    ]
    runs = [steps_of(unit, space.settings, crops) for unit in units]
    learned = {unit.start for unit in units if unit.start[0] != PRETRAINED_ON or space.settings.weights == "none"}
    first = sum(epochs * math.ceil(crops[name] / batch) for name, _ in learned)
    steps = [
        ("first sets", f"{first:,}" if first else "none: the pretrained network is taken over"),
        ("runs", f"{sum(runs):,} in {len(runs)} runs, {min(runs):,} to {max(runs):,} each"),
    ]
    return {"Images": images, "Optimiser steps": steps, "Bytes": _bytes(space, sizes, units)}


def _size(space: Workspace, name: str) -> _Size:
    """Of a set as it lies there; as it was published where a run would refuse it, with the words of the run."""
    photos, info = space.settings.photos_of(name), PHOTO_SETS.get(name)
    try:
        found = find_photos(name, space.root, incomplete=space.incomplete)
        rows, validation = chosen_rows(found, photos)
        return _Size(len(found.classes), len(rows), validation, len(found.test.files), "")
    except (DataMissing, InputError) as error:
        if info is None:
            raise
        train = min(info.train, photos.images or info.train)
        return _Size(info.classes, train, max(1, round(photos.held_out * train)), info.test, str(error))


def _bytes(space: Workspace, sizes: dict[str, _Size], units: Sequence[Unit]) -> list[tuple[str, str]]:
    settings = space.settings
    with torch.random.fork_rng(devices=[]):
        backbone = load_backbone(settings.backbone, weights="none", input_size=settings.photos.size)
    weights = sum(p.numel() for part in (backbone.features, backbone.operator) for p in part.parameters())
    networks, encoders = [], []
    for tasks in {unit.experiment.tasks for unit in units}:
        heads = sum(sizes[name].classes * (backbone.head.in_features + 1) for name in tasks)
        codes = [settings.code_size_imagenet if name == PRETRAINED_ON else settings.code_size for name in tasks[:-1]]
        networks.append(FLOAT * (weights + heads))
        encoders.append(FLOAT * sum(codes) * (backbone.feature_size + 1))
    images = sum(size.train + size.test for size in sizes.values()) * 3 * settings.photos.stored**2
    return [
        ("resized images", f"{_words(images)} in {space.cache}"),
        ("network", f"up to {_words(max(networks))}, and {_words(max(encoders))} of encoders kept by EBLL"),
        # Weights where the stage began and now, and momentum.
        ("checkpoint", f"up to {_words(3 * max(networks) + max(encoders))} in {space.out}"),
    ]


def _words(count: int) -> str:
    return f"{count / 1e9:.3g} GB" if count >= 1e8 else f"{count / 1e6:.3g} MB"
