"""A user's own photographs as a set: one folder a class, divided by folders or by a seeded choice."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from itertools import chain
from pathlib import Path

import torch

from ebll.data import folder as layouts
from ebll.data.splits import seeded, stratified_split
from ebll.errors import check_number
from ebll.photos.listing import Listing, Part, refuse_no_files

__all__ = ["read_own"]


def read_own(base: Path, *, test_fraction: float, seed: int) -> Listing:
    """The listing of `base`, which holds <class>/, or train/<class>/ and test/<class>/; it is called by its name.

    Images of a folder validation/ count as training images, as with the flowers. Class folders alone give
    `test_fraction` of each class to the test part.

    Raises:
        InputError: empty or different class folders, links that bring an image in twice, an image that is no file, a
            class too small to divide.
    """
    fraction = check_number(test_fraction, "test_fraction", above=True, high=0.9)
    inside = layouts.split_folders(base)
    if not inside:
        return _divided(base, fraction, seed)
    files = {key: layouts.class_files(folder) for key, folder in inside.items()}
    layouts.refuse_twice(file for found in files.values() for part in found.values() for file in part)
    classes = layouts.same_classes(files, base)
    train = [files[key][name] for key in ("train", "validation") if key in files for name in classes]
    labels = [label for key in ("train", "validation") if key in files for label in range(len(classes))]
    test = [files["test"][name] for name in classes]
    return _listing(base, classes, _part(base, train, labels), _part(base, test, range(len(classes))))


def _divided(base: Path, fraction: float, seed: int) -> Listing:
    found = layouts.class_files(base)
    layouts.refuse_twice(chain.from_iterable(found.values()))
    classes = tuple(found)
    everything = _part(base, list(found.values()), range(len(classes)))
    number = max(1, round(fraction * len(everything.labels)))
    kept, held = stratified_split(
        torch.tensor(everything.labels), number, seeded(seed), classes=classes, what="a test set"
    )
    train, test = (
        Part(tuple(everything.paths[i] for i in rows), tuple(everything.labels[i] for i in rows))
        for rows in (kept.tolist(), held.tolist())
    )
    return _listing(base, classes, train, test)


def _part(base: Path, groups: list[list[str]], labels: Sequence[int]) -> Part:
    paths = (os.path.relpath(file, base).replace(os.sep, "/") for files in groups for file in files)
    return Part(tuple(paths), tuple(label for label, files in zip(labels, groups, strict=True) for _ in files))


def _listing(base: Path, classes: tuple[str, ...], train: Part, test: Part) -> Listing:
    refuse_no_files(base, [path for path in (*train.paths, *test.paths) if not os.path.isfile(base / path)])
    place = base.resolve()
    mark = hashlib.sha256(os.fsencode(place)).hexdigest()[:8]
    licence = "the user's own images"
    return Listing(place.name or "photos", base, classes, train, test, source=str(base), licence=licence, mark=mark)
