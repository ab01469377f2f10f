"""What runs at paper scale would take, in images, optimiser steps and bytes; nothing is fetched or written."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence

from ebll.errors import DataMissing, InputError, expanded
from ebll.paper.datasets import PHOTO_SETS, find_photos
from ebll.paper.plan import PRETRAINED_ON, PaperSettings, Unit, steps_of

__all__ = ["dry_run"]

Rows = list[tuple[str, str]]


def dry_run(
    units: Sequence[Unit],
    settings: PaperSettings,
    *,
    root: str | os.PathLike,
    cache: str | os.PathLike | None = None,
    incomplete: bool = False,
) -> dict[str, Rows]:
    """What `paper` would take with the same arguments: headline -> lines of (name, words).

    A set counts as it was published where a run would refuse it, with the words of the run.

    raises   for a folder of one's own, `DataMissing` where it is not there, `InputError` where a run would refuse it
    """
    images, crops, stored = [], {}, 0
    for name in dict.fromkeys(name for unit in units for name in unit.tasks):
        photos, info, note = settings.photos_of(name), PHOTO_SETS.get(name), ""
        try:
            found = find_photos(name, root, incomplete=incomplete)
            classes, train, test = len(found.classes), len(found.train.files), len(found.test.files)
            present = len(set(found.train.labels))
        except (DataMissing, InputError) as error:
            if info is None:
                raise
            classes, train, test, present, note = info.classes, info.train, info.test, info.classes, f". {error}"
        train = min(train, photos.images or train)
        validation = max(present, round(photos.held_out * train))
        if validation >= train:
            raise InputError(
                f"{name}: of {train:,} training images {validation:,} would be held out for validation, and none is "
                "left. Take more images."
            )
        crops[name] = (train - validation) * (photos.versions if photos.augment == "fixed" else 1)
        stored += (train + test) * 3 * photos.stored**2
        sizes = f"{crops[name]:,} training crops an epoch, {validation:,} validation and {test:,} test images"
        images.append((name, f"{classes:,} classes; {sizes}{note}"))
    runs = [steps_of(unit, settings, crops) for unit in units]
    learned = {unit.start for unit in units if unit.start[0] != PRETRAINED_ON or settings.weights == "none"}
    epochs = sum(settings.train.stages(0).values())
    first = sum(epochs * math.ceil(crops[name] / settings.train.batch_size) for name, _ in learned)
    steps = [
        ("first sets", f"{first:,}" if first else "none: the pretrained network is taken over"),
        ("runs", f"{sum(runs):,} in {len(runs)} runs, {min(runs):,} to {max(runs):,} each"),
    ]
    place = expanded(root, "root") / "ebll-cache" if cache is None else expanded(cache, "cache")
    size = f"{stored / 1e9:.3g} GB" if stored >= 1e8 else f"{stored / 1e6:.3g} MB"
    return {"Images": images, "Optimiser steps": steps, "Bytes": [("resized images", f"{size} in {place}")]}
