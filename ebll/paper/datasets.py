"""The paper's photo sets, found where they lie and checked against what is published; no image is opened here.

torchvision reads Flowers-102 and ImageNet; a function each reads the lists of CUB-200-2011 and MIT Indoor-67. None of
the sets comes with ebll, and some ask for registration; a missing one is answered with its official page.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from torchvision.datasets import Flowers102, ImageFolder, ImageNet

from ebll.data.folder import image_files
from ebll.data.splits import split_generator
from ebll.errors import DataMissing, InputError, expanded

__all__ = ["PHOTO_SETS", "Part", "PhotoSet", "Photos", "find_photos", "fingerprint"]

Samples = list[tuple[str, int]]
"""Path and label of each image."""

TEST_SHARE = 0.2  # of a folder of one's own that is not divided into train/ and test/


class Part(NamedTuple):
    """The images of one part: files relative to the set's folder, and labels, which are positions in its classes."""

    files: tuple[str, ...]
    labels: tuple[int, ...]


def fingerprint(base: Path, *parts: Part) -> str:
    """A hash of names, labels and lengths of all files: it tells images from others wherever they lie."""
    files = [base / file for part in parts for file in part.files]
    lengths = [os.path.getsize(file) if os.path.exists(file) else -1 for file in files]  # also where none may be seen
    return hashlib.sha256(json.dumps([parts, lengths]).encode()).hexdigest()


@dataclass(frozen=True)
class Photos:
    """Which files a set consists of."""

    name: str
    base: Path  #: the folder that all files are relative to
    classes: tuple[str, ...] = field(repr=False)
    train: Part = field(repr=False)
    test: Part = field(repr=False)
    source: str


def _birds(base: Path, download: bool) -> tuple[list[str], Samples, Samples]:
    """In the order of images.txt; only numbers tie the lists together."""
    stems = ("classes", "images", "image_class_labels", "train_test_split")
    names, images, labels, parts = (
        dict(line.split(maxsplit=1) for line in _lines(base / f"{stem}.txt")) for stem in stems
    )
    order = sorted(names, key=int)
    titles = [names[number].partition(".")[2].replace("_", " ") for number in order]  # 001.Black_footed_Albatross
    found: dict[str, Samples] = {"0": [], "1": []}
    for image, path in images.items():
        found[parts[image]].append((str(base / "images" / path), order.index(labels[image])))
    return titles, found["1"], found["0"]


def _scenes(base: Path, download: bool) -> tuple[list[str], Samples, Samples]:
    """In the order of the two lists, which may have gone through Windows; classes are those with training images."""
    lists = [_lines(base / f"{part}Images.txt") for part in ("Train", "Test")]
    train, test = ([line.replace("\\", "/").split("/") for line in lines] for lines in lists)
    names = sorted({kind for kind, _ in train})
    parts = [[(str(base / "Images" / kind / file), names.index(kind)) for kind, file in part] for part in (train, test)]
    return names, *parts


def _lines(file: Path) -> list[str]:
    return [line.strip() for line in file.read_text(encoding="utf-8-sig").splitlines() if line.strip()]


def _flowers(base: Path, download: bool) -> tuple[list[str], Samples, Samples]:
    parts = {split: Flowers102(str(base.parent), split, download=download) for split in ("train", "val", "test")}
    # torchvision keeps the paths and labels of this set to itself, unlike those of all others.
    pairs = {split: list(zip(map(str, one._image_files), one._labels, strict=True)) for split, one in parts.items()}
    names = getattr(Flowers102, "classes", [f"flower {i}" for i in range(1, 103)])  # torchvision 0.21 has none
    return names, pairs["train"] + pairs["val"], pairs["test"]


def _imagenet(base: Path, download: bool) -> tuple[list[str], Samples, Samples]:
    named = (base / "meta.bin").is_file()  # torchvision's list of names; without it a class is called by its folder
    train, test = (ImageNet(str(base), part) if named else ImageFolder(str(base / part)) for part in ("train", "val"))
    if train.classes != test.classes:
        raise ValueError("train/ and val/ have other class folders")
    if not named:
        return train.classes, train.samples, test.samples
    first = [words[0] for words in train.classes]  # two classes are called crane
    names = [one if first.count(one) == 1 else f"{one} ({wnid})" for one, wnid in zip(first, train.wnids, strict=True)]
    return names, train.samples, test.samples


@dataclass(frozen=True)
class PhotoSet:
    """What is published about a set, and how it must lie under the data root."""

    label: str  #: what it is called elsewhere
    classes: int
    train: int  #: images; of the flowers with those of the published validation part
    test: int  #: of ImageNet the published validation images
    folder: str  #: its name under the data root
    read: Callable[[Path, bool], tuple[list[str], Samples, Samples]]  #: (folder, download) -> classes, train, test
    source: str  #: address of the official page
    download: bool = False  #: whether torchvision can fetch it


PHOTO_SETS = {
    "flowers": PhotoSet("Flowers-102", 102, 2_040, 6_149, "flowers-102", _flowers,
                        "https://www.robots.ox.ac.uk/~vgg/data/flowers/102/", download=True),
    "scenes": PhotoSet("MIT Indoor-67", 67, 5_360, 1_340, "indoor67", _scenes,
                       "https://web.mit.edu/torralba/www/indoor.html"),
    "birds": PhotoSet("CUB-200-2011", 200, 5_994, 5_794, "CUB_200_2011", _birds,
                      "https://www.vision.caltech.edu/datasets/cub_200_2011/"),
    "imagenet": PhotoSet("ImageNet ILSVRC-2012", 1_000, 1_281_167, 50_000, "imagenet", _imagenet,
                         "https://www.image-net.org/download.php"),
}  # fmt: skip


def find_photos(
    name: str | os.PathLike, root: str | os.PathLike, *, incomplete: bool = False, download: bool = False
) -> Photos:
    """The files of a photo set under the data root `root`, checked against what is published.

    name         flowers, scenes, birds or imagenet; or a folder of one's own, under `root` or anywhere, with
                 train/<class>/ and test/<class>/, or <class>/ alone, of which a fifth is drawn as the test part
    incomplete   accept fewer images or classes than were published
    download     fetch what torchvision can fetch, the flowers
    raises       `DataMissing` where the set is not there, with its page and layout; `InputError` where there are other
                 numbers than published, or lists that cannot be read
    """
    root = expanded(root, "root")
    if name not in list(PHOTO_SETS):
        return _own(name, root)
    info = PHOTO_SETS[name]
    base = root / info.folder
    try:
        classes, *parts = info.read(base, download)
    except Exception as error:  # a damaged list may raise anything
        missing = isinstance(error, OSError) or not base.is_dir()
        how = f"Get it from {info.source} , and name its place with --root DIR" + ", or take --download" * info.download
        raise (DataMissing if missing else InputError)(
            f"photo set {name!r} ({info.label}) {'is not whole' if missing else 'cannot be read'} in {base}: "
            f"{type(error).__name__}: {' '.join(str(error).split())}. {how}."
        ) from error
    wanted, came = (info.classes, info.train, info.test), (len(classes), *map(len, parts))
    if not all(came) or (came != wanted and not incomplete):
        numbers = "{:,} classes, {:,} training images, {:,} test images"
        raise InputError(
            f"photo set {name!r} in {base}: wanted {numbers.format(*wanted)}; got {numbers.format(*came)}. "
            f"Get it again from {info.source} " + ("." if incomplete else ", or accept fewer images with --incomplete.")
        )
    return Photos(name, base, tuple(classes), *(_part(base, part) for part in parts), info.source)


def _part(base: Path, samples: Samples) -> Part:
    skip = len(str(base)) + 1
    return Part(tuple(Path(path).as_posix()[skip:] for path, _ in samples), tuple(label for _, label in samples))


def _own(name: Any, root: Path) -> Photos:
    """A folder of one's own, read as `Task.from_folder` reads one; images of validation/ count as training images."""
    places = [root / expanded(name, "photos"), expanded(name, "photos")]
    base = next((place for place in places if place.is_dir()), None)
    if base is None:
        raise DataMissing(
            f"photos {os.fspath(name)!r}: neither one of {', '.join(PHOTO_SETS)} nor a folder; looked for {places[0]}. "
            "Put your own images in DIR/<name>/<class>/, or in DIR/<name>/train/<class>/ and DIR/<name>/test/<class>/, "
            "and name DIR with --root DIR."
        )
    files, classes = image_files(base, TEST_SHARE, split_generator(0))
    train = files["train"] + files.get("validation", [])
    title = base.resolve().name or "photos"
    return Photos(title, base, classes, _part(base, train), _part(base, files["test"]), str(base))
