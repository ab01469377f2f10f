"""A photo set as a task: squares of bytes, of which a batch's crops are cut and standardised when it is asked for.

A `PhotoSplit` stands wherever a `Split` does, so methods, loop and record are the same at every scale. Its inputs are
`Pixels`, which act like a float32 tensor (n, 3, size, size) of which only what is asked for is ever made.
"""

from __future__ import annotations

import functools
import math
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ebll.data import Split, Task
from ebll.data.splits import stratified_split
from ebll.errors import InputError, expanded
from ebll.paper.cache import cached
from ebll.paper.datasets import Part, Photos, find_photos
from ebll.seeds import generator
from ebll.settings import Settings, setting

__all__ = ["Crops", "PhotoSettings", "PhotoSplit", "Pixels", "chosen_rows", "load_photos"]

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
PORTION = 256  # images in one portion of a pass that asks for more: 150 MB as floats


@dataclass(frozen=True)
class PhotoSettings(Settings):
    """How photographs are kept and cut; the same for all tasks of a run."""

    stored: int = setting(256, "Pixels a side of the squares that are kept on disk and in memory.", low=8, high=4096)
    size: int = setting(224, "Pixels a side of the crops that the network sees.", low=8, high=4096)
    augment: str = setting(
        "fixed",
        "Crops of the training images: drawn once, again in every epoch (the old network then answers every batch), or "
        "the central ones.",
        choices=("fixed", "random", "none"),
    )
    versions: int = setting(5, "Crops of each image in the fixed set, the central one among them.", low=1, high=1000)
    held_out: float = setting(0.1, "Share of each class's training images kept for validation.", above=True, high=0.9)
    images: int = setting(0, "Training images taken of a set, every class in its share; 0 takes all.")
    split_seed: int = setting(0, "Decides which images those are, which are held out, and the fixed crops.", high=2**31)

    def __post_init__(self):
        super().__post_init__()
        if self.size > self.stored:
            raise InputError(f"size: a crop of {self.size} pixels does not fit into {self.stored} stored ones.")


# ---- crops


class Crops(NamedTuple):
    """Where to cut, one crop an image."""

    top: Tensor  #: int64 (n,), of the upper left corner in pixels
    left: Tensor
    flip: Tensor  #: bool (n,), whether it is mirrored

    def take(self, rows: Tensor) -> Crops:
        """The crops of `rows`."""
        return Crops(*(part[rows] for part in self))

    def to(self, device: torch.device | str) -> Crops:
        """The same crops on a device."""
        return Crops(*(part.to(device, non_blocking=True) for part in self))


def central_crops(count: int, stored: int, size: int) -> Crops:
    """The central crop of each image of `stored` pixels, as test images are always seen."""
    corner = torch.full((count,), (stored - size) // 2)
    return Crops(corner, corner, torch.zeros(count, dtype=torch.bool))


def random_crops(count: int, stored: int, size: int, draw: torch.Generator) -> Crops:
    """A crop anywhere in each image, mirrored or not, all equally likely."""
    top, left = (torch.randint(stored - size + 1, (count,), generator=draw) for _ in range(2))
    return Crops(top, left, torch.randint(2, (count,), generator=draw).bool())


def fixed_crops(count: int, versions: int, stored: int, size: int, draw: torch.Generator) -> Crops:
    """count * versions crops, those of one image side by side: the central one, then random ones, drawn once."""
    kinds = [central_crops(count, stored, size)]
    kinds += [random_crops(count, stored, size, draw) for _ in range(versions - 1)]
    return Crops(*(torch.stack(parts, dim=1).flatten() for parts in zip(*kinds, strict=True)))


def cut(images: Tensor, crops: Crops, size: int, scale: Tensor, shift: Tensor) -> Tensor:
    """The crops of stored images as a network takes them, all in one gather: transforms would cut one at a time.

    images        uint8 (n, stored, stored, 3)
    crops         n of them, on the images' device, as are scale and shift
    scale, shift  (3,), of each channel: out comes value * scale + shift
    returns       float32 (n, 3, size, size), channels last in memory
    """
    steps = torch.arange(size, device=images.device)
    rows = crops.top[:, None] + steps
    columns = crops.left[:, None] + torch.where(crops.flip[:, None], size - 1 - steps, steps)
    which = torch.arange(len(images), device=images.device)
    pixels = images[which[:, None, None], rows[:, :, None], columns[:, None, :]]  # (n, size, size, 3)
    return torch.addcmul(shift, pixels.to(torch.float32), scale).permute(0, 3, 1, 2)


# ---- inputs and splits


@dataclass(frozen=True, eq=False)
class Pixels:
    """What networks take, made on demand: float32 (n, 3, size, size), channels last.

    images        uint8 (m, stored, stored, 3), in the memory of a device or mapped from a file
    rows          int64 (n,), which of them each entry is cut from
    crops         n crops; these and all of the following lie on the device of the entries
    scale, shift  (3,), from a byte to a standardised value
    """

    images: Tensor
    rows: Tensor
    crops: Crops
    size: int
    scale: Tensor
    shift: Tensor

    dtype = torch.float32
    ndim = 4

    @property
    def shape(self) -> torch.Size:
        """(n, 3, size, size)."""
        return torch.Size((len(self.rows), 3, self.size, self.size))

    @property
    def device(self) -> torch.device:
        """Where crops are cut."""
        return self.rows.device

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int | slice | Tensor) -> Tensor:
        """Entries as a tensor, all at once."""
        several = torch.arange(len(self), device=self.device)[index]
        found = torch.cat(list(self.batches(several.reshape(-1), PORTION)))
        return found.reshape(*several.shape, *self.shape[1:])

    def split(self, batch_size: int) -> Iterator[Tensor]:
        """All entries in their order, in portions of at most `batch_size`."""
        return self.batches(torch.arange(len(self), device=self.device), min(batch_size, PORTION))

    def batches(self, rows: Tensor, batch_size: int, crops: Crops | None = None) -> Iterator[Tensor]:
        """The entries of `rows` (int64, (m,)) in portions, from `crops` in place of their own if given."""
        crops = self.crops if crops is None else crops.to(self.device)
        rows = rows.to(self.device)
        stored = self.rows[rows].to(self.images.device).split(batch_size)
        for portion, of in zip(rows.split(batch_size), stored, strict=True):
            images = self.images[of].to(self.device, non_blocking=True)
            yield cut(images, crops.take(portion), self.size, self.scale, self.shift)

    def take(self, rows: Tensor) -> Pixels:
        """The entries of `rows`, still to be made."""
        return replace(self, rows=self.rows[rows], crops=self.crops.take(rows))

    def to(self, device: torch.device | str) -> Pixels:
        """The same entries, made on another device; the stored images stay where they are."""
        return replace(self, **{name: getattr(self, name).to(device) for name in ("rows", "crops", "scale", "shift")})

    def min(self) -> Tensor:
        """What black gives in the channel where it is lowest."""
        return self.shift.min()

    def max(self) -> Tensor:
        """What white gives in the channel where it is highest."""
        return (255 * self.scale + self.shift).max()


@dataclass(frozen=True, eq=False)
class PhotoSplit(Split):
    """A split whose inputs are `Pixels`.

    resampled   True: every epoch cuts other crops, so that what a method records must be asked of a teacher in the
                loop; False: the crops are those of `inputs`, once and for all
    skipped     files of the part that were left out as unreadable, those of validation with training's
    """

    inputs: Pixels
    resampled: bool = False
    skipped: tuple[str, ...] = ()

    @property
    def changing(self) -> bool:
        """Whether every epoch cuts other crops."""
        return self.resampled

    def versions(self, order: torch.Generator) -> Crops | None:
        """The crops of one epoch."""
        if not self.resampled:
            return None
        return random_crops(len(self), self.inputs.images.shape[1], self.inputs.size, order)

    def batches(self, rows: Tensor, batch_size: int, versions: object = None) -> Iterator[Tensor]:
        """The inputs of `rows` in portions, one portion at a time."""
        return self.inputs.batches(rows, batch_size, versions)

    def take(self, indices: Tensor) -> PhotoSplit:
        """The rows `indices` as a split of their own; their pixels are still to be made."""
        return replace(self, inputs=self.inputs.take(indices), labels=self.labels[indices])

    def to(self, device: torch.device | str) -> PhotoSplit:
        """The same split on `device`."""
        return replace(self, inputs=self.inputs.to(device), labels=self.labels.to(device))


# ---- tasks


def load_photos(
    name: str | os.PathLike | Photos,
    root: str | os.PathLike,
    settings: PhotoSettings | None = None,
    *,
    mean: Sequence[float] = IMAGENET_MEAN,
    std: Sequence[float] = IMAGENET_STD,
    device: str | torch.device = "cpu",
    cache: str | os.PathLike | None = None,
    progress: Callable[[str, int, int], None] = lambda what, done, total: None,
    skip_unreadable: bool = False,
    **options: bool,
) -> Task:
    """A photo set as a task with inputs (n, 3, size, size).

    name             flowers, birds, scenes, imagenet, a folder of images, or what `find_photos` has found
    root             the data root, under which the sets lie
    mean, std        a value a channel, as the network was pretrained with; by default torchvision's for ImageNet
    device           where crops are cut; a GPU holds the stored images where they fit into half of its free memory
    cache            folder for the resized images; by default `ebll-cache` under the root
    progress         called as (what is resized, images done, of how many)
    skip_unreadable  leave out files that cannot be read, as long as every class keeps some
    options          incomplete, download: see `find_photos`
    raises           `DataMissing`, `InputError`, `OutputError`; see `find_photos` and `cached`
    """
    settings = PhotoSettings() if settings is None else settings
    if not isinstance(settings, PhotoSettings):
        raise InputError(f"settings takes PhotoSettings(...); got {type(settings).__name__}.")
    mean, std = tuple(map(float, mean)), tuple(map(float, std))
    if len(mean) != 3 or len(std) != 3 or not all(map(math.isfinite, mean + std)) or min(std) <= 0:
        raise InputError(f"mean and std are three numbers each, std above 0; got {mean} and {std}.")
    scale = torch.tensor([1 / (255 * s) for s in std])
    shift = torch.tensor([-m / s for m, s in zip(mean, std, strict=True)])
    photos = name if isinstance(name, Photos) else find_photos(name, root, **options)
    folder = expanded(root, "root") / "ebll-cache" if cache is None else expanded(cache, "cache")
    rows, _ = chosen_rows(photos, settings)
    chosen = Part(*(tuple(values[row] for row in rows.tolist()) for values in photos.train))
    images, labels, skipped = {}, {}, {}
    for part, of in (("train", chosen), ("test", photos.test)):
        told = functools.partial(progress, f"{photos.name} {part}")
        stored, labels[part], skipped[part] = cached(
            photos.base, of, folder, f"{photos.name}-{part}", settings.stored, told, skip_unreadable
        )
        if lost := set(of.labels) - set(labels[part].tolist()):
            raise InputError(f"photos {photos.name!r}: no {part} image of {photos.classes[min(lost)]!r} can be read.")
        images[part] = _held(stored, torch.device(device))
    kept, validation = _divided(labels["train"], settings, photos)

    def split(part: str, rows: Tensor, versions: int = 1, **more: Any) -> PhotoSplit:
        draw = generator(settings.split_seed, "windows", photos.name)  # another word would draw other crops
        crops = fixed_crops(len(rows), versions, settings.stored, settings.size, draw)
        rows = rows.repeat_interleave(versions)
        pixels = Pixels(images[part], rows, crops, settings.size, scale, shift).to(device)
        return PhotoSplit(pixels, labels[part][rows].to(device), **more)

    versions = settings.versions if settings.augment == "fixed" else 1
    return Task(
        photos.name,
        photos.classes,
        split("train", kept, versions, resampled=settings.augment == "random", skipped=skipped["train"]),
        split("train", validation),
        split("test", torch.arange(len(labels["test"])), skipped=skipped["test"]),
        source=photos.source,
        offset=mean,
        scale=std,
    )


def chosen_rows(photos: Photos, settings: PhotoSettings) -> tuple[Tensor, int]:
    """(positions of the training images to take, how many of them are held out), before any image is read.

    raises   `InputError` where they do not give each class an image to learn and one to hold out
    """
    labels = torch.tensor(photos.train.labels)
    rows, classes = torch.arange(len(labels)), len(labels.unique())
    if 0 < settings.images < len(labels):
        if settings.images < classes:
            raise InputError(f"images: {settings.images} do not give each of {classes} classes one. Take more.")
        rows = _divided(labels, settings, photos, settings.images, "images")[1]
    return rows, len(_divided(labels[rows], settings, photos)[1])


def _divided(
    labels: Tensor, settings: PhotoSettings, photos: Photos, number: int = 0, purpose: str = "held out"
) -> tuple[Tensor, Tensor]:
    """(kept, held), as `stratified_split` has them, over the classes that have images: an incomplete set may lack some.

    number   of images to hold; those for validation by default
    """
    present, compact = labels.unique(return_inverse=True)
    names, draw = [photos.classes[c] for c in present.tolist()], generator(settings.split_seed, purpose, photos.name)
    number = number or max(1, round(settings.held_out * len(labels)))
    return stratified_split(compact, number, draw, classes=names, what="a validation set")


def _held(images: Tensor, device: torch.device) -> Tensor:
    """The images on a GPU where they fit into half of its free memory, else where they are."""
    fits = device.type == "cuda" and images.nbytes <= torch.cuda.mem_get_info(device)[0] // 2
    return images.to(device) if fits else images
