"""ImageNet's thousand classes, in folders as torchvision leaves them, with names where its meta.bin has them."""

from __future__ import annotations

import os
import pickle
import tempfile
import warnings
from collections import Counter
from pathlib import Path

from ebll.errors import InputError
from ebll.photos.listing import Listing, Part, PhotoSet, image_names, refuse_both, shown

__all__ = ["read_imagenet"]

_DEVKIT = "ILSVRC2012_devkit_t12.tar.gz"
_UNSORTED = "torchvision.datasets.ImageNet(folder, split) unpacks the archives into one folder a class"


def read_imagenet(base: Path, info: PhotoSet) -> Listing:
    """The listing of what is in `base`/train and, as the test part, in `base`/val.

    A label is the position of the class's folder among those of train/, in alphabetical order, as in torchvision.

    Raises:
        InputError: no class folders, a class that training or torchvision's list does not have, an image in both
            parts, or a list of names that cannot be read.
    """
    train, test = _by_class(base / "train"), _by_class(base / "val")
    unknown = sorted(set(test) - set(train))
    if unknown:
        raise InputError(f"{base}: val has classes that train has not: {shown(unknown)}. Add or remove their folders.")
    known = _known(base)
    strange = sorted(set(train) - set(known)) if known else []
    if strange:
        raise InputError(
            f"{base}/train has folders that are no class of ImageNet: {shown(strange)}. Remove them, or give such "
            "images as a set of their own."
        )
    refuse_both(base, *({f"{kind}/{name}" for kind in part for name in part[kind]} for part in (train, test)))
    wnids = tuple(sorted(train))
    return Listing(
        name=info.name,
        base=base,
        classes=_names(wnids, known),
        train=_part("train", train, wnids),
        test=_part("val", test, wnids),
        source=info.source,
        licence=info.licence,
    )


def _by_class(folder: Path) -> dict[str, list[str]]:
    """The image files of each class folder, in order."""
    with os.scandir(folder) as entries:
        names = sorted(entry.name for entry in entries if entry.is_dir() and not entry.name.startswith("."))
    found = {name: image_names(folder / name) for name in names}
    empty = [name for name in names if not found[name]]
    if len(empty) == len(names):
        raise InputError(f"{folder} holds no class folder with images. {_UNSORTED}.")
    if empty:
        raise InputError(f"{folder} has class folders without images: {shown(empty)}. Fill them or delete them.")
    return found


def _part(folder: str, found: dict[str, list[str]], wnids: tuple[str, ...]) -> Part:
    pairs = [(f"{folder}/{wnid}/{name}", label) for label, wnid in enumerate(wnids) for name in found.get(wnid, ())]
    return Part(tuple(path for path, _ in pairs), tuple(label for _, label in pairs))


def _names(wnids: tuple[str, ...], known: dict[str, tuple[str, ...]]) -> tuple[str, ...]:
    """The first name of each class; two classes are called crane, and such keep the number of their folder."""
    first = [known[wnid][0] if known else wnid for wnid in wnids]
    count = Counter(first)
    return tuple(name if count[name] == 1 else f"{name} ({wnid})" for name, wnid in zip(first, wnids, strict=True))


def _known(base: Path) -> dict[str, tuple[str, ...]]:
    """Names of all classes by folder, from meta.bin or from the archive it is made of; none where neither is there."""
    try:
        if (base / "meta.bin").is_file():
            return _meta(base / "meta.bin")
        if (base / _DEVKIT).is_file():
            from torchvision.datasets.imagenet import parse_devkit_archive

            with tempfile.TemporaryDirectory() as scratch:  # the data folder may be one that we may only read
                parse_devkit_archive(scratch, str((base / _DEVKIT).absolute()))
                return _meta(Path(scratch, "meta.bin"))
    except (
        OSError,
        RuntimeError,
        ValueError,
        TypeError,
        LookupError,
        AttributeError,
        EOFError,
        pickle.PickleError,
    ) as error:
        raise InputError(
            f"{base}: torchvision's list of class names (meta.bin, or {_DEVKIT}) cannot be read: {error}. Remove it "
            "to go without names, or let torchvision.datasets.ImageNet make it again."
        ) from error
    return {}


def _meta(file: Path) -> dict[str, tuple[str, ...]]:
    import torch

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a pickle that torch has not written
            held = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file may raise anything
        # What torch advises in its text, to load the file without care, is left out.
        raise ValueError(f"it is damaged, or torchvision has not written it ({type(error).__name__})") from error
    names = held[0] if isinstance(held, tuple | list) and held else None
    if not isinstance(names, dict) or not names or not all(map(_is_entry, names.items())):
        raise ValueError("it holds no names by class")
    return {wnid: tuple(words) for wnid, words in names.items()}


def _is_entry(entry: tuple[object, object]) -> bool:
    """Whether this is a class's folder with its names, of which there is at least one."""
    wnid, words = entry
    if not isinstance(wnid, str) or not isinstance(words, tuple | list):
        return False
    return bool(words) and all(isinstance(word, str) for word in words)
