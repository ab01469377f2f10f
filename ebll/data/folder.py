"""Image folders, one subfolder a class, read into uint8 tensors of one size; torchvision lists the files."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor
from torchvision.datasets.folder import IMG_EXTENSIONS, ImageFolder, has_file_allowed_extension

from ebll.data.arrays import listed
from ebll.data.splits import stratified_split
from ebll.errors import DataMissing, InputError, check_count, check_number

__all__ = ["eight_bit", "image_files", "read_folder"]

_VALIDATION_NAMES = ("validation", "val", "valid")
_LAYOUTS = "Put the images in <folder>/<class>/, or in <folder>/train/<class>/ and <folder>/test/<class>/."

Pair = tuple[Tensor, Tensor]


def read_folder(
    path: str | os.PathLike, *, size: int, channels: int, test_fraction: float, generator: torch.Generator
) -> tuple[dict[str, Pair], tuple[str, ...]]:
    """(inputs, labels) for 'train', 'test' and, where the folder has one, 'validation', with the class names.

    Inputs are uint8 (n, channels, size, size). See `Task.from_folder` for layouts and errors.
    """
    root = Path(path)
    check_count(size, "size", low=4)
    if channels not in (1, 3) or isinstance(channels, bool):
        raise InputError(f"channels must be 1 (grey) or 3 (RGB); got {channels!r}.")
    fraction = check_number(test_fraction, "test_fraction", above=True, high=0.9)
    if not root.is_dir():
        what = "a file" if root.is_file() else "not there"
        raise DataMissing(f"no image folder at {root}: it is {what}. {_LAYOUTS}")
    files, classes = image_files(root, fraction, generator)
    pairs = {
        split: (
            torch.from_numpy(np.stack([_image(file, size, channels) for file, _ in found])),
            torch.tensor([label for _, label in found]),
        )
        for split, found in files.items()
    }
    return pairs, classes


def image_files(
    root: Path, test_fraction: float, generator: torch.Generator
) -> tuple[dict[str, list[tuple[str, int]]], tuple[str, ...]]:
    """The images as (file, label), classes and files in alphabetical order, of each split; and the class names.

    Splits are 'train', 'test' and, where the folder has one, 'validation'; of a folder of classes `test_fraction` is
    drawn as the test split. Raises `InputError` for a class without images, classes that differ between splits, and a
    file found twice.
    """
    found = {split: _Images(folder) for split, folder in (_split_folders(root) or {"train": root}).items()}
    classes = found["train"].classes
    for split, images in found.items():
        lacking, extra = set(classes).difference(images.classes), set(images.classes).difference(classes)
        if lacking or extra:
            sides = (("train", lacking), (split, extra))
            words = [f"only in {side}: {listed(sorted(names))}" for side, names in sides if names]
            raise InputError(f"{root}: train and {split} must have the same class folders; {'; '.join(words)}.")
    # A link to another class, from test/ to train/, or back to a folder above brings an image in twice.
    seen: dict[str, str] = {}
    for images in found.values():
        for file, _ in images.samples:
            first = seen.setdefault(os.path.realpath(file), file)
            if first != file:
                raise InputError(f"{file} is the same file as {first}, by way of a link. Remove one of the two.")
    files = {split: images.samples for split, images in found.items()}
    if "test" not in files:
        number = max(1, round(test_fraction * len(files["train"])))
        labels = torch.tensor(found["train"].targets)
        rows = stratified_split(labels, number, generator, classes=classes, what="a test set")
        files = {s: [files["train"][i] for i in some.tolist()] for s, some in zip(("train", "test"), rows, strict=True)}
    return files, tuple(classes)


class _Images(ImageFolder):
    """torchvision's image folder, without the hidden files and folders that notebooks and file managers leave."""

    def __init__(self, folder: Path):
        try:
            super().__init__(str(folder), is_valid_file=_is_image)
        except FileNotFoundError as error:
            endings = ", ".join(IMG_EXTENSIONS)
            reason = str(error).strip(" .")
            raise InputError(f"{folder} has no images ({endings}): {reason}. {_LAYOUTS}") from error

    def find_classes(self, directory: str) -> tuple[list[str], dict[str, int]]:
        names = [p.name for p in _subfolders(Path(directory))]
        if not names:
            raise FileNotFoundError("it has no subfolder")
        return names, {name: i for i, name in enumerate(names)}


def _is_image(file: str) -> bool:
    return has_file_allowed_extension(file, IMG_EXTENSIONS) and not os.path.basename(file).startswith(".")


def _subfolders(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))


def _split_folders(root: Path) -> dict[str, Path]:
    """The split folders, or nothing where the subfolders are classes (of which one may be called "train")."""
    inside = {p.name.lower(): p for p in _subfolders(root)}
    if "train" not in inside or not _subfolders(inside["train"]):
        return {}
    if "test" not in inside:
        raise InputError(f"{root} has train/ but no test/; found: {listed(sorted(inside))}. {_LAYOUTS}")
    parts = {"train": inside["train"], "test": inside["test"]}
    validation = [inside[n] for n in _VALIDATION_NAMES if n in inside]
    return parts | ({"validation": validation[0]} if validation else {})


def _image(file: str, size: int, channels: int) -> np.ndarray:
    """One image as uint8 (channels, size, size): upright, central square, resized with anti-aliasing."""
    try:
        with Image.open(file) as opened:
            image = eight_bit(ImageOps.exif_transpose(opened)).convert("L" if channels == 1 else "RGB")
    except Exception as error:  # Pillow raises many kinds for a damaged file
        raise InputError(
            f"{file} cannot be read as an image: {error}. Delete it or save it again as PNG or JPEG."
        ) from error
    pixels = np.asarray(ImageOps.fit(image, (size, size), Image.Resampling.BILINEAR))
    return pixels[None] if channels == 1 else pixels.transpose(2, 0, 1)


def eight_bit(image: Image.Image) -> Image.Image:
    """The image with 8 bits a channel."""
    # Pillow would clip 16-bit grey to white instead of scaling it down.
    if not image.mode.startswith("I"):
        return image
    return Image.fromarray((np.asarray(image).clip(0, 65535) // 256).astype(np.uint8))
