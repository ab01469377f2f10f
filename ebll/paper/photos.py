"""A photo set as a task: squares of bytes, of which a batch's crops are cut and standardised when it is asked for.

Photographs are resized once, into one file a part, which is mapped into memory and read by row.

A `PhotoSplit` stands wherever a `Split` does, so methods, loop and record are the same at every scale. Its inputs are
`Pixels`, which act like a float32 tensor (n, 3, size, size) of which only what is asked for is ever made.
"""

from __future__ import annotations

import functools
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from filelock import FileLock
from PIL import Image, ImageOps
from torch import Tensor
from torchvision.transforms import v2

from ebll.data import Split, Task
from ebll.data.folder import eight_bit
from ebll.data.splits import stratified_split
from ebll.errors import InputError, OutputError, expanded
from ebll.files import whole
from ebll.paper.datasets import Part, Photos, find_photos, fingerprint
from ebll.paper.plan import PhotoSettings
from ebll.seeds import generator

__all__ = ["Crops", "PhotoSplit", "Pixels", "load_photos"]

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
CHUNK = 256  # images between two reports of progress
PORTION = 256  # images in one portion of a pass that asks for more: 150 MB as floats


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

    changing   True: every epoch cuts other crops, so that what a method records must be asked of a teacher in the
               loop; False: the crops are those of `inputs`, once and for all
    """

    inputs: Pixels
    changing: bool = False

    def versions(self, order: torch.Generator) -> Crops | None:
        """The crops of one epoch."""
        if not self.changing:
            return None
        return random_crops(len(self), self.inputs.images.shape[1], self.inputs.size, order)

    def batches(self, rows: Tensor, batch_size: int, versions: object = None) -> Iterator[Tensor]:
        """The inputs of `rows` in portions, one portion at a time."""
        return self.inputs.batches(rows, batch_size, versions)

    def take(self, indices: Tensor) -> PhotoSplit:
        """The rows `indices` as a split of their own; their pixels are still to be made."""
        return replace(self, inputs=self.inputs.take(indices), labels=self.labels[indices])


# ---- files


def cached(
    base: Path,
    part: Part,
    folder: Path,
    title: str,
    size: int,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Tensor:
    """The photographs of a part as squares of `size` pixels, resized unless the cache has them.

    base, part   the files and their labels
    folder       for all caches; a cache's name has the fingerprint of its files
    title        begins that name
    progress     called as (images done, of how many)
    returns      uint8 (n, size, size, 3), mapped from its file
    raises       `InputError` for images that cannot be read; `OutputError` where the cache cannot be written
    """
    pixels, count = folder / f"{title}-{size}-{fingerprint(base, part)[:16]}.bin", len(part.files)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(pixels.with_suffix(".lock")):  # another process may be making it
            if not pixels.is_file() or pixels.stat().st_size != count * size * size * 3:
                _write(base, part.files, pixels, size, progress)
    except OSError as error:
        reason = error.strerror or error
        raise OutputError(f"{folder} cannot be written: {reason}. Name another with --cache.") from error
    images = torch.from_file(str(pixels), shared=False, size=count * size * size * 3, dtype=torch.uint8)
    return images.view(count, size, size, 3)


def _write(base: Path, files: Sequence[str], pixels: Path, size: int, progress: Callable[[int, int], None]) -> None:
    """Write the squares of all files, if all can be read."""
    for half in pixels.parent.glob(f".{pixels.name}.*"):  # of a process that was killed
        half.unlink()
    unreadable: list[str] = []

    def read(file: str) -> bytes:
        try:
            return square(base / file, size).tobytes()
        except Exception as error:  # Pillow raises many kinds for a damaged file
            unreadable.append(f"{file} ({' '.join(str(error).split()) or type(error).__name__})")
            return b""

    # Pillow decodes and resizes without Python's lock, so threads keep the processor busy.
    pool = ThreadPoolExecutor(min(8, os.cpu_count() or 1))
    with warnings.catch_warnings(), pool, whole(pixels) as half, half.open("wb") as stream:
        warnings.simplefilter("ignore")  # damaged notes of a camera are no fault of the picture
        progress(0, len(files))
        for start in range(0, len(files), CHUNK):
            for one in pool.map(read, files[start : start + CHUNK]):
                stream.write(one)
            progress(min(start + CHUNK, len(files)), len(files))
        if unreadable:
            some = ", ".join(sorted(unreadable)[:20]) + ", ..." * (len(unreadable) > 20)
            raise InputError(
                f"{base}: {len(unreadable):,} of {len(files):,} images cannot be read: {some}. Replace them."
            )


def square(file: Path, size: int) -> np.ndarray:
    """The photograph in a file as uint8 (size, size, 3), RGB and upright: the shorter side resized, the centre kept."""
    with Image.open(file) as opened:
        opened.draft("RGB", (2 * size, 2 * size))  # a big JPEG is decoded at a fraction that leaves twice the size
        image = eight_bit(ImageOps.exif_transpose(opened)).convert("RGB")
    return np.asarray(v2.functional.center_crop(v2.functional.resize(image, [size]), [size]))


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
    **options: bool,
) -> Task:
    """A photo set as a task with inputs (n, 3, size, size).

    name             flowers, birds, scenes, imagenet, a folder of images, or what `find_photos` has found
    root             the data root, under which the sets lie
    mean, std        a value a channel, as the network was pretrained with; by default torchvision's for ImageNet
    device           where crops are cut; a GPU holds the stored images where they fit into half of its free memory
    cache            folder for the resized images; by default `ebll-cache` under the root
    progress         called as (what is resized, images done, of how many)
    options          incomplete, download: see `find_photos`
    raises           `DataMissing`, `InputError`, `OutputError`; see `find_photos` and `cached`
    """
    settings = PhotoSettings() if settings is None else settings
    if len(mean) != 3 or len(std) != 3 or min(std) <= 0:
        raise InputError(f"mean and std are three numbers each, std above 0; got {tuple(mean)} and {tuple(std)}.")
    scale = torch.tensor([1 / (255 * s) for s in std])
    shift = torch.tensor([-m / s for m, s in zip(mean, std, strict=True)])
    photos = name if isinstance(name, Photos) else find_photos(name, root, **options)
    folder = expanded(root, "root") / "ebll-cache" if cache is None else expanded(cache, "cache")
    parts, images = {"train": _some(photos, settings), "test": photos.test}, {}
    for part, files in parts.items():
        told, title = functools.partial(progress, f"{photos.name} {part}"), f"{photos.name}-{part}"
        images[part] = _held(cached(photos.base, files, folder, title, settings.stored, told), torch.device(device))
    labels = {part: torch.tensor(files.labels) for part, files in parts.items()}
    number = max(1, round(settings.held_out * len(labels["train"])))
    kept, validation = _divided(photos, labels["train"], number, settings, "held out")

    def split(part: str, rows: Tensor, versions: int = 1, changing: bool = False) -> PhotoSplit:
        draw = generator(settings.split_seed, "windows", photos.name)  # another word would draw other crops
        crops = fixed_crops(len(rows), versions, settings.stored, settings.size, draw)
        rows = rows.repeat_interleave(versions)
        pixels = Pixels(images[part], rows, crops, settings.size, scale, shift).to(device)
        return PhotoSplit(pixels, labels[part][rows].to(device), changing)

    versions = settings.versions if settings.augment == "fixed" else 1
    return Task(
        photos.name,
        photos.classes,
        split("train", kept, versions, changing=settings.augment == "random"),
        split("train", validation),
        split("test", torch.arange(len(labels["test"]))),
        source=photos.source,
        offset=tuple(mean),
        scale=tuple(std),
    )


def _some(photos: Photos, settings: PhotoSettings) -> Part:
    """The training images that are taken, every class in its share.

    raises   `InputError` where they do not give each class an image
    """
    files, labels = photos.train
    if not 0 < settings.images < len(files):
        return photos.train
    if settings.images < (classes := len(set(labels))):
        raise InputError(f"images: {settings.images} do not give each of {classes} classes one. Take more.")
    rows = _divided(photos, torch.tensor(labels), settings.images, settings, "images")[1].tolist()
    return Part(tuple(files[row] for row in rows), tuple(labels[row] for row in rows))


def _divided(
    photos: Photos, labels: Tensor, number: int, settings: PhotoSettings, purpose: str
) -> tuple[Tensor, Tensor]:
    """(kept, held), `number` of them held, as `stratified_split` has them; an incomplete set may lack classes."""
    present, compact = labels.unique(return_inverse=True)
    names, draw = [photos.classes[c] for c in present.tolist()], generator(settings.split_seed, purpose, photos.name)
    return stratified_split(compact, number, draw, classes=names, what="a validation set")


def _held(images: Tensor, device: torch.device) -> Tensor:
    """The images on a GPU where they fit into half of its free memory, else where they are."""
    fits = device.type == "cuda" and images.nbytes <= torch.cuda.mem_get_info(device)[0] // 2
    return images.to(device) if fits else images
