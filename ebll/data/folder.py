"""Image folders, one subfolder a class, read into uint8 tensors of one size; torchvision lists the files."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from ebll.data.arrays import listed
from ebll.data.splits import stratified_split
from ebll.errors import DataMissing, InputError, check_count, check_number

__all__ = ["class_files", "eight_bit", "read_folder", "refuse_twice", "same_classes", "split_folders"]

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
    parts = split_folders(root)
    files = {key: class_files(folder) for key, folder in (parts or {"train": root}).items()}
    refuse_twice(file for found in files.values() for part in found.values() for file in part)
    classes = same_classes(files, root)
    pairs = {key: _read(found, classes, size, channels) for key, found in files.items()}
    if not parts:
        inputs, labels = pairs["train"]
        number = max(1, round(fraction * len(labels)))
        kept, held = stratified_split(labels, number, generator, classes=classes, what="a test set")
        pairs = {"train": (inputs[kept], labels[kept]), "test": (inputs[held], labels[held])}
    return pairs, classes


def _subfolders(folder: Path) -> list[Path]:
    # Hidden ones are left by notebooks (.ipynb_checkpoints) and file managers.
    return sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))


def split_folders(root: Path) -> dict[str, Path]:
    """The split folders, or nothing where the subfolders are classes (of which one may be called "train")."""
    inside = {p.name.lower(): p for p in _subfolders(root)}
    if "train" not in inside or not _subfolders(inside["train"]):
        return {}
    if "test" not in inside:
        raise InputError(f"{root} has train/ but no test/; found: {listed(sorted(inside))}. {_LAYOUTS}")
    parts = {"train": inside["train"], "test": inside["test"]}
    validation = [inside[n] for n in _VALIDATION_NAMES if n in inside]
    return parts | ({"validation": validation[0]} if validation else {})


def class_files(folder: Path) -> dict[str, list[str]]:
    """The image files of each class, both in alphabetical order; every class has at least one."""
    from torchvision.datasets.folder import IMG_EXTENSIONS, make_dataset

    found: dict[str, list[str]] = {p.name: [] for p in _subfolders(folder)}
    number = {name: i for i, name in enumerate(found)}
    for file, label in make_dataset(str(folder), number, IMG_EXTENSIONS, allow_empty=True) if found else ():
        if not os.path.basename(file).startswith("."):
            found[list(found)[label]].append(file)
    empty = [name for name, files in found.items() if not files]
    if empty or not found:
        where = f"its class folders {listed(empty)}" if empty else "any subfolder"
        raise InputError(f"{folder} has no images ({', '.join(IMG_EXTENSIONS)}) in {where}. {_LAYOUTS}")
    return found


def refuse_twice(files: Iterable[str]) -> None:
    """A link to another class, from test/ to train/, or back to a folder above brings an image in twice."""
    seen: dict[str, str] = {}
    for file in files:
        first = seen.setdefault(os.path.realpath(file), file)
        if first != file:
            raise InputError(f"{file} is the same file as {first}, by way of a link. Remove one of the two.")


def same_classes(files: dict[str, dict[str, list[str]]], root: Path) -> tuple[str, ...]:
    """The class names that all splits have; raises `InputError` where they differ."""
    train = set(files["train"])
    for key, found in files.items():
        lacking, extra = sorted(train - set(found)), sorted(set(found) - train)
        if lacking or extra:
            sides = (("train", lacking), (key, extra))
            words = [f"only in {side}: {listed(names)}" for side, names in sides if names]
            raise InputError(f"{root}: train and {key} must have the same class folders; {'; '.join(words)}.")
    return tuple(sorted(train))


def _read(found: dict[str, list[str]], classes: tuple[str, ...], size: int, channels: int) -> Pair:
    images = [_image(file, size, channels) for c in classes for file in found[c]]
    labels = [i for i, c in enumerate(classes) for _ in found[c]]
    return torch.from_numpy(np.stack(images)), torch.tensor(labels)


def _image(file: str, size: int, channels: int) -> np.ndarray:
    """One image as uint8 (channels, size, size): upright, central square, resized with anti-aliasing."""
    try:
        with Image.open(file) as opened:
            image = eight_bit(ImageOps.exif_transpose(opened)).convert("L" if channels == 1 else "RGB")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
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
