"""How large photo sets are: as they lie there, or as they were published. Nothing is converted."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ebll.data.splits import stratified_split
from ebll.errors import DataMissing, EbllError, InputError
from ebll.paper.plan import PaperSettings
from ebll.paper.start import Place
from ebll.photos import PHOTO_SETS, Listing, PhotoSettings, find_photos
from ebll.photos.loading import refuse_few

__all__ = ["SetSize", "set_size"]


@dataclass(frozen=True)
class SetSize:
    """How large a set is, in images; `windows` are what one epoch sees."""

    name: str
    classes: int
    train: int
    windows: int
    validation: int
    test: int
    bytes: int  #: once converted, training and test images
    note: str  #: "" if it is there, and a run would take it


def set_size(place: Place, settings: PaperSettings, name: str) -> SetSize:
    """Of the set as it lies there, or as it was published; the note is what a run would say to it.

    Where a run would refuse to take the images that it is told to take, the numbers are those of all images.

    raises   for a folder of one's own, `DataMissing` where it is not there, `InputError` where a run would refuse it
    """
    photos, info = settings.photos_of(name), PHOTO_SETS.get(name)
    found, note = _found(place, name)
    if found is None:
        classes, train, test = info.classes, info.train, info.test
    else:
        classes, train, test = len(found.classes), len(found.train.paths), len(found.test.paths)
        if info and not note and (train, test) != (info.train, info.test):
            note = f"incomplete: {train:,} training and {test:,} test images"
    try:
        taken, validation = _foreseen(train, classes, photos) if found is None else _shares(found, photos)
    except InputError as error:
        if info is None:
            raise
        note = f"{note} {error}" if note.endswith(".") else str(error)
        taken, validation = train, min(train, max(1, round(photos.held_out * train)))
    versions = photos.versions if photos.augment == "fixed" else 1
    stored = (taken + test) * 3 * photos.stored**2
    return SetSize(name, classes, taken, (taken - validation) * versions, validation, test, stored, note)


def _found(place: Place, name: str) -> tuple[Listing | None, str]:
    """The files of a set, None where they are not there or cannot be listed, and why a run would refuse them."""
    try:
        return find_photos(name, place.root, incomplete=place.incomplete), ""
    except (DataMissing, InputError) as error:
        if name not in PHOTO_SETS:
            raise
        words, info = str(error), PHOTO_SETS[name]
        if isinstance(error, DataMissing):
            return None, words
    try:  # other numbers than were published: they are counted all the same
        return info.read(info.look(place.root)[0], info), words
    except (EbllError, OSError):
        return None, words


def _foreseen(train: int, classes: int, photos: PhotoSettings) -> tuple[int, int]:
    """As `_shares`, of so many images in classes of about one size."""
    taken = min(train, photos.images) if photos.images else train
    if taken < train:
        refuse_few(photos, classes)
    return taken, max(1, round(photos.held_out * taken))


def _shares(found: Listing, photos: PhotoSettings) -> tuple[int, int]:
    """How many training images are taken, and how many of them held out, each class giving its share.

    raises   `InputError` where a class has too few, in the words of `ebll.photos.loading`
    """

    def chosen(labels: Tensor, number: int, what: str) -> Tensor:
        present, compact = labels.unique(return_inverse=True)
        options = {"classes": [found.classes[c] for c in present.tolist()], "what": what}
        return labels[stratified_split(compact, number, torch.Generator(), **options)[1]]

    taken = torch.tensor(found.train.labels, dtype=torch.int64)
    if not len(taken):
        return 0, 0
    if 0 < photos.images < len(taken):
        refuse_few(photos, len(taken.unique()))
        taken = chosen(taken, photos.images, "a part")
    return len(taken), len(chosen(taken, max(1, round(photos.held_out * len(taken))), "a validation set"))
