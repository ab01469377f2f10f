"""A photo set as a task: found, checked, converted, held in memory where it fits, and cut as the network wants it."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ebll.data import Task
from ebll.data.splits import stratified_split
from ebll.errors import InputError, check_count, expanded
from ebll.photos.arguments import check_channels, check_device, check_function
from ebll.photos.convert import convert
from ebll.photos.crops import fixed_windows
from ebll.photos.listing import Listing, some
from ebll.photos.sets import find_photos
from ebll.photos.split import PhotoSplit, Pixels, Resident, Shelf, Streamed
from ebll.photos.store import Store, default_cache
from ebll.seeds import generator
from ebll.settings import Settings, setting

__all__ = [
    "AUGMENTATIONS",
    "PhotoSettings",
    "converted",
    "free_memory",
    "held_out",
    "load_photos",
    "photo_task",
    "refuse_few",
]

IMAGENET_MEAN, IMAGENET_DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
AUGMENTATIONS = {
    "fixed": "a fixed set of windows, drawn once: the old network's answers are recorded once",
    "random": "other windows in every epoch: the old network answers every batch again",
    "none": "the central window alone",
}


@dataclass(frozen=True)
class PhotoSettings(Settings):
    """How photographs are kept and cut; the same for all tasks of a run."""

    stored: int = setting(256, "Pixels a side of the squares that are kept on disk and in memory.", low=8, high=4096)
    size: int = setting(224, "Pixels a side of the windows that the network sees.", low=8, high=4096)
    augment: str = setting("fixed", "Which windows of the training images are learned.", choices=tuple(AUGMENTATIONS))
    versions: int = setting(5, "Windows of each image in the fixed set, the central one among them.", low=1, high=1000)
    held_out: float = setting(0.1, "Share of each class's training images kept for validation.", above=True, high=0.9)
    images: int = setting(0, "Training images taken of a set, every class in its share; 0 takes all.")
    split_seed: int = setting(
        0, "Decides which images those are, which are held out, and the fixed windows.", high=2**31
    )

    def __post_init__(self):
        super().__post_init__()
        if self.size > self.stored:
            raise InputError(f"size: a window of {self.size} pixels does not fit into {self.stored} stored ones.")


def load_photos(
    name: str | os.PathLike,
    root: str | os.PathLike,
    settings: PhotoSettings | None = None,
    *,
    mean: tuple[float, ...] = IMAGENET_MEAN,
    deviation: tuple[float, ...] = IMAGENET_DEVIATION,
    device: str | torch.device = "cpu",
    cache: str | os.PathLike | None = None,
    room: int | None = None,
    workers: int | None = None,
    progress: Callable[[str], Callable[[int, int], None]] | None = None,
    incomplete: bool = False,
    skip_unreadable: bool = False,
    download: bool = False,
) -> Task:
    """A photo set as a task with inputs (n, 3, size, size).

    name             flowers, birds, scenes, imagenet, or a folder of images
    root             the data root, under which the sets lie
    mean, deviation  a value a channel, as the network was pretrained with; by default torchvision's for ImageNet
    device           where windows are cut; the stored images are held there if they fit into `room`
    cache            for the converted images; by default a folder under `root`
    room             bytes that may be held; by default half of what is free there. Larger sets are read from disk as
                     they are needed
    progress         called with the name of a part, gives a function of images done and of how many
    incomplete       accept fewer images than were published
    skip_unreadable  leave out files that cannot be read, which `skipped` then names, as long as every class keeps some
    download         fetch what torchvision can fetch
    raises           `DataMissing`, `InputError`, `OutputError` in words; see `find_photos` and `convert`
    """
    settings = PhotoSettings() if settings is None else settings
    device, mean, deviation = _checked(settings, device, room, mean, deviation)
    check_function(progress, "progress", "a part's name")
    cache = default_cache(root) if cache is None else expanded(cache, "cache")
    listing = find_photos(name, root, incomplete=incomplete, download=download)
    options = {"workers": workers, "progress": progress, "skip_unreadable": skip_unreadable}
    train, test = converted(listing, cache, settings, **options)
    return photo_task(
        train, test, settings, listing.name, mean=mean, deviation=deviation, device=device, room=room,
        source=listing.source, licence=listing.licence,
    )  # fmt: skip


def converted(
    listing: Listing,
    cache: str | os.PathLike,
    settings: PhotoSettings,
    *,
    workers: int | None = None,
    progress: Callable[[str], Callable[[int, int], None]] | None = None,
    skip_unreadable: bool = False,
) -> tuple[Store, Store]:
    """The stores of training and test images, made where they are not there yet; arguments as in `load_photos`.

    raises   `InputError` where a class has images of which none can be read; see `convert`
    """
    stores = []
    check_function(progress, "progress", "a part's name")
    for part, rows in (("train", _some(listing, settings)), ("test", None)):
        told = progress(f"{listing.name} {part}") if progress else None
        options = {"size": settings.stored, "workers": workers, "progress": told, "skip_unreadable": skip_unreadable}
        stores.append(convert(listing, part, cache, rows=rows, **options))
        _refuse_lost(listing, part, stores[-1])
    return stores[0], stores[1]


def _refuse_lost(listing: Listing, part: str, store: Store) -> None:
    """Raise `InputError` where leaving unreadable files out has taken all images of a class."""
    label_of = dict(zip(*listing.part(part), strict=True)) if store.skipped else {}
    left, lost = set(store.labels.tolist()), {}
    for path in store.skipped:
        if label_of[path] not in left:
            lost.setdefault(label_of[path], []).append(path)
    kind = {"train": "training", "test": "test"}[part]
    for label, paths in lost.items():
        raise InputError(
            f"photos {listing.name!r}: class {listing.classes[label]!r} has no {kind} image left, since "
            f"{some(paths, 'file')} of it cannot be read, such as {paths[0]}. Fetch them again, or take the class out "
            "of the set."
        )


def _some(listing: Listing, settings: PhotoSettings) -> np.ndarray | None:
    """Positions of the training images to take, or None for all."""
    labels = torch.tensor(listing.train.labels)
    if not 0 < settings.images < len(labels):
        return None
    refuse_few(settings, len(labels.unique()))
    draw = generator(settings.split_seed, "images", listing.name)
    return _split(labels, settings.images, draw, listing.classes, "a part")[1].numpy()


def refuse_few(settings: PhotoSettings, classes: int) -> None:
    """Raise `InputError` where `settings.images` are fewer than the classes that each need one."""
    if settings.images < classes:
        raise InputError(
            f"images: {settings.images} do not give each of {classes} classes one. Take {classes} or more."
        )


def photo_task(
    train: Store,
    test: Store,
    settings: PhotoSettings,
    name: str,
    *,
    mean: tuple[float, ...] = IMAGENET_MEAN,
    deviation: tuple[float, ...] = IMAGENET_DEVIATION,
    device: str | torch.device = "cpu",
    room: int | None = None,
    source: str = "",
    licence: str = "",
) -> Task:
    """A task from two converted stores; arguments as in `load_photos`."""
    device, mean, deviation = _checked(settings, device, room, mean, deviation)
    shelves, left = {}, free_memory(device) // 2 if room is None else room
    for part, store in (("train", train), ("test", test)):
        shelves[part] = _shelf(store, device, left)
        left -= store.nbytes if isinstance(shelves[part], Resident) else 0
    kept, held = held_out(train.labels, settings, train.classes, name)

    def pixels(shelf: Shelf, rows: Tensor, versions: int = 1) -> Pixels:
        draw = generator(settings.split_seed, "windows", name)
        windows = fixed_windows(len(rows), versions, shelf.size, settings.size, draw)
        several = rows.repeat_interleave(versions)
        return Pixels(shelf, several, windows, settings.size, mean, deviation).to(shelf.device)

    def split(part: str, labels: Tensor, rows: Tensor, skipped: tuple[str, ...] = ()) -> PhotoSplit:
        return PhotoSplit(pixels(shelves[part], rows), labels[rows].to(shelves[part].device), skipped=skipped)

    versions = settings.versions if settings.augment == "fixed" else 1
    inputs = pixels(shelves["train"], kept, versions)
    labels = train.labels[kept].repeat_interleave(versions).to(inputs.device)
    return Task(
        name,
        tuple(train.classes),
        PhotoSplit(inputs, labels, anew=settings.augment == "random", skipped=train.skipped),
        split("train", train.labels, held),
        split("test", test.labels, torch.arange(len(test)), test.skipped),
        source=source,
        licence=licence,
        offset=mean,
        scale=deviation,
    )


def _checked(
    settings: object, device: object, room: object, mean: object, deviation: object
) -> tuple[torch.device, tuple[float, ...], tuple[float, ...]]:
    """(device, mean, deviation) as they are used; raises `InputError` for what cannot be."""
    if not isinstance(settings, PhotoSettings):
        raise InputError(f"settings takes PhotoSettings(...); got {type(settings).__name__}.")
    if room is not None:
        check_count(room, "room", low=0, hint="It is a number of bytes; None takes half of what is free.")
    return check_device(device), *check_channels(mean, deviation)


def held_out(labels: Tensor, settings: PhotoSettings, classes: tuple[str, ...], name: str) -> tuple[Tensor, Tensor]:
    """Indices (kept for training, held out for validation); the same for every seed of a run.

    labels   int64 (n,) of the training images
    raises   `InputError` where a class has fewer than two
    """
    number = max(1, round(settings.held_out * len(labels)))
    draw = generator(settings.split_seed, "held out", name)
    return _split(labels, number, draw, classes, "a validation set")


def _split(
    labels: Tensor, number: int, draw: torch.Generator, classes: tuple[str, ...], what: str
) -> tuple[Tensor, Tensor]:
    """As `stratified_split`, over the classes that have images: an incomplete set may lack some."""
    present, compact = labels.unique(return_inverse=True)
    return stratified_split(compact, number, draw, classes=[classes[c] for c in present.tolist()], what=what)


def _shelf(store: Store, device: str | torch.device, room: int) -> Shelf:
    return Resident(store.whole().to(device)) if store.nbytes <= room else Streamed(store, device)


def free_memory(device: str | torch.device) -> int:
    """Bytes that are free on a device: of the GPU, or of the machine where the system tells, else 4 GiB."""
    if torch.device(device).type == "cuda":
        return torch.cuda.mem_get_info(torch.device(device))[0]
    try:
        with open("/proc/meminfo", encoding="ascii") as file:
            free = next(line for line in file if line.startswith("MemAvailable"))
        return 1024 * int(free.split()[1])
    except (OSError, StopIteration, ValueError):
        return 4 * 2**30
