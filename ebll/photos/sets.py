"""The photo sets of the paper by name: what is published, where each comes from, and finding it under a data root.

No image is opened.
"""

from __future__ import annotations

import difflib
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ebll.errors import DataMissing, EbllError, InputError, expanded
from ebll.photos.birds import read_birds
from ebll.photos.flowers import fetch_flowers, read_flowers
from ebll.photos.imagenet import read_imagenet
from ebll.photos.listing import Listing, PhotoSet
from ebll.photos.scenes import read_scenes

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["PHOTO_SETS", "find_photos", "photos_table"]

_OWN = "DIR/<name>/<class>/, or DIR/<name>/train/<class>/ and DIR/<name>/test/<class>/"

_LIST = (
    PhotoSet(
        name="flowers",
        label="Flowers-102",
        classes=102,
        train=2_040,
        test=6_149,
        source="https://www.robots.ox.ac.uk/~vgg/data/flowers/102/",
        licence="see the official page",
        folders=("flowers-102",),
        needs=("jpg/", "imagelabels.mat", "setid.mat"),
        layout="flowers-102/jpg/image_00001.jpg and so on, flowers-102/imagelabels.mat, flowers-102/setid.mat",
        read=read_flowers,
        fetch=fetch_flowers,
        remark="the published training and validation images are the training part",
    ),
    PhotoSet(
        name="scenes",
        label="MIT Indoor-67",
        classes=67,
        train=5_360,
        test=1_340,
        source="https://web.mit.edu/torralba/www/indoor.html",
        licence="for research purposes only; see the official page",
        folders=("indoor67", "indoorCVPR_09", "scenes"),
        needs=("Images/", "TrainImages.txt", "TestImages.txt"),
        layout="indoor67/Images/<class>/*.jpg, indoor67/TrainImages.txt, indoor67/TestImages.txt",
        read=read_scenes,
    ),
    PhotoSet(
        name="birds",
        label="CUB-200-2011",
        classes=200,
        train=5_994,
        test=5_794,
        source="https://www.vision.caltech.edu/datasets/cub_200_2011/",
        licence="see the official page",
        folders=("CUB_200_2011",),
        needs=("images/", "images.txt", "image_class_labels.txt", "train_test_split.txt", "classes.txt"),
        layout=(
            "CUB_200_2011/images/<class>/*.jpg with images.txt, image_class_labels.txt, train_test_split.txt and "
            "classes.txt beside images/"
        ),
        read=read_birds,
        remark="the official page warns that its images overlap with ImageNet's",
    ),
    PhotoSet(
        name="imagenet",
        label="ImageNet ILSVRC-2012",
        classes=1_000,
        train=1_281_167,
        test=50_000,
        source="https://www.image-net.org/download.php",
        licence="non-commercial research and education, after registration; see the official page",
        folders=("imagenet",),
        needs=("train/", "val/"),
        layout=(
            "imagenet/train/<wnid>/*.JPEG and imagenet/val/<wnid>/*.JPEG, as torchvision.datasets.ImageNet unpacks the "
            "archives"
        ),
        read=read_imagenet,
        remark="the validation images are the test part",
    ),
)
PHOTO_SETS: dict[str, PhotoSet] = {info.name: info for info in _LIST}


def find_photos(
    name: str | os.PathLike,
    root: str | os.PathLike,
    *,
    incomplete: bool = False,
    download: bool = False,
    test_fraction: float = 0.2,
    seed: int = 0,
) -> Listing:
    """The files of a photo set under the data root `root`, checked against what is published.

    Args:
        name: flowers, scenes, birds or imagenet; or a folder of one's own, under `root` or anywhere.
        root: the folder that holds the sets' folders.
        incomplete: accept fewer images or classes than are published.
        download: fetch the flowers if they are not there; the other sets have to be fetched by hand.
        test_fraction: of class folders alone, the share of images that is held out, above 0 and at most 0.9.
        seed: of that choice.

    Raises:
        DataMissing: not there, with the official page and the layout.
        InputError: other numbers than published, split files that cannot be used, images that are named and not
            there, or are there twice; a name or a root that is no path.
    """
    if not isinstance(name, str | os.PathLike):
        raise InputError(
            f"photos are called by a name ({', '.join(PHOTO_SETS)}) or by a folder's path; got {name!r} of type "
            f"{type(name).__name__}."
        )
    root = expanded(root, "root")
    info = PHOTO_SETS.get(os.fspath(name))
    if info is None:
        return _own(name, root, test_fraction, seed)
    base, missing = info.look(root)
    if missing and download and info.fetch:
        info.fetch(root)
        base, missing = info.look(root)
    if missing:
        raise DataMissing(_how_to_get(info, root, missing))
    try:
        listing = info.read(base, info)
    except EbllError:
        raise
    except OSError as error:
        raise InputError(
            f"{error.filename or base} cannot be read: {error.strerror}. See to its permissions."
        ) from error
    _check_numbers(listing, info, incomplete)
    return listing


def _own(name: str | os.PathLike, root: Path, test_fraction: float, seed: int) -> Listing:
    places = [root / name, expanded(name or ".", "photos")]
    base = next((place for place in places if os.fspath(name) and place.is_dir()), None)
    if base is None:
        raise DataMissing(
            f"photos {os.fspath(name)!r}: neither one of {', '.join(PHOTO_SETS)} nor a folder{_near(name)}; looked for "
            f"{' and '.join(dict.fromkeys(map(str, places)))}. Put your own images in {_OWN}, and name DIR with "
            "--root DIR."
        )
    from ebll.photos.folders import read_own

    listing = read_own(base, test_fraction=test_fraction, seed=seed)
    usual = listing.name not in PHOTO_SETS and (root / listing.name).resolve() == base.resolve()
    return replace(listing, usual=usual)


def _near(name: str | os.PathLike) -> str:
    near = difflib.get_close_matches(os.fspath(name).lower(), list(PHOTO_SETS), n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""


def _how_to_get(info: PhotoSet, root: Path, missing: tuple[str, ...]) -> str:
    by_itself = ", or take download=True (--download), which fetches it there" if info.fetch else ""
    absent = "" if root.exists() else ", which does not exist"
    own = (
        f" A folder of your own needs another name, or its path: {root / info.name}."
        if (root / info.name).is_dir()
        else ""
    )
    return (
        f"photo set {info.name!r} ({info.label}) is not under {root}{absent}: {', '.join(missing)} missing. Get it "
        f"from {info.source} and name its place with --root DIR, so that DIR has {info.layout}{by_itself}.{own}"
    )


def _check_numbers(listing: Listing, info: PhotoSet, incomplete: bool) -> None:
    wanted = (info.classes, info.train, info.test)
    came = (len(listing.classes), len(listing.train.paths), len(listing.test.paths))
    said = f"photo set {info.name!r} in {listing.base}: wanted {_numbers(wanted)}; came {_numbers(came)}."
    if any(more > published for more, published in zip(came, wanted, strict=True)):
        raise InputError(f"{said} There are more than were published: take out what does not belong to the set.")
    if not all(came):
        raise InputError(f"{said} Both parts need images. Fetch the set again from {info.source} .")
    if came != wanted and not incomplete:
        raise InputError(
            f"{said} Fetch what is missing from {info.source} , or accept fewer images with incomplete=True "
            "(--incomplete)."
        )


def _numbers(counts: tuple[int, int, int]) -> str:
    return "{:,} classes, {:,} training images, {:,} test images".format(*counts)


def photos_table(root: str | os.PathLike) -> pd.DataFrame:
    """One row a set: name, label, classes, train, test, found, note, source, licence. Opens no file.

    The three numbers are the published ones. `found` says whether the set's files and folders are under `root`; the
    note says where, or what is missing. A root that is no path is an `InputError`.
    """
    import pandas as pd

    root = expanded(root, "root")
    columns = ("name", "label", "classes", "train", "test")
    rows = []
    for info in PHOTO_SETS.values():
        base, missing = info.look(root)
        place = f"missing: {', '.join(missing)}; get it from {info.source}" if missing else f"in {base}"
        note = f"{place}; {info.remark}" if info.remark else place
        about = {"found": not missing, "note": note, "source": info.source, "licence": info.licence}
        rows.append({column: getattr(info, column) for column in columns} | about)
    return pd.DataFrame(rows)
