"""Oxford's 102 kinds of flowers, from the two .mat files that divide and label them."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np

from ebll.errors import DataMissing, InputError
from ebll.photos.listing import Listing, Part, PhotoSet, refuse_absent, refuse_both, refuse_repeated, shown

__all__ = ["fetch_flowers", "read_flowers"]


def read_flowers(base: Path, info: PhotoSet) -> Listing:
    """The listing of the flowers in `base`; the published training and validation images are its training part.

    Raises:
        InputError: a .mat file that is damaged, has a label or a number out of range, puts an image into two splits or
            twice into one, or names an image that is not there.
    """
    labels = _whole_numbers(base / "imagelabels.mat", "labels", info.classes, "classes")
    train, validation, test = (
        _whole_numbers(base / "setid.mat", key, len(labels), "labels") for key in ("trnid", "valid", "tstid")
    )
    paths = [f"jpg/image_{number:05d}.jpg" for number in range(1, len(labels) + 1)]
    refuse_both(base, _chosen(paths, train), _chosen(paths, validation), ("trnid", "valid"))
    numbers = np.concatenate([train, validation])
    refuse_both(base, _chosen(paths, numbers), _chosen(paths, test))
    refuse_repeated(base / "setid.mat", _chosen(paths, np.concatenate([numbers, test])))
    refuse_absent(base, _chosen(paths, np.concatenate([numbers, test])), "setid.mat")
    return Listing(
        name=info.name,
        base=base,
        classes=_class_names(info.classes),
        train=Part(_chosen(paths, numbers), tuple((labels[numbers - 1] - 1).tolist())),
        test=Part(_chosen(paths, test), tuple((labels[test - 1] - 1).tolist())),
        source=info.source,
        licence=info.licence,
    )


def _chosen(paths: list[str], numbers: np.ndarray) -> tuple[str, ...]:
    return tuple(paths[number - 1] for number in numbers.tolist())


def _whole_numbers(file: Path, key: str, high: int, of: str) -> np.ndarray:
    """The numbers that a .mat file calls `key`, int64 (n,), all from 1 to `high`."""
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    again = "Fetch it again, or use --download."
    try:
        found = loadmat(file, variable_names=[key])
    except (OSError, ValueError, TypeError, KeyError, NotImplementedError, MatReadError, zlib.error) as error:
        raise InputError(f"{file} cannot be read as a .mat file: {error}. {again}") from error
    if key not in found:
        raise InputError(f"{file} holds nothing called {key!r}. {again}")
    values = np.asarray(found[key]).reshape(-1)
    if values.dtype.kind not in "iuf" or not len(values) or (values != np.floor(values)).any():
        raise InputError(f"{file}: {key!r} must be whole numbers; got {values.dtype}, {len(values)} of them. {again}")
    wrong = values[(values < 1) | (values > high)]
    if len(wrong):
        came = shown([f"{value:g}" for value in wrong])
        raise InputError(f"{file}: {key!r} must lie in 1..{high}, since there are {high} {of}; got {came}. {again}")
    return values.astype(np.int64)


def _class_names(count: int) -> tuple[str, ...]:
    """torchvision's names of the flowers; older versions have none, and then they are numbered as published."""
    from torchvision.datasets import Flowers102

    names = getattr(Flowers102, "classes", ())
    return tuple(names[:count]) if len(names) >= count else tuple(f"flower {i}" for i in range(1, count + 1))


def fetch_flowers(root: Path) -> None:
    """Download the set into `root` with torchvision (about 350 MB), checksums included; raises `DataMissing`."""
    from torchvision.datasets import Flowers102

    try:
        Flowers102(str(root), download=True)
    except (OSError, RuntimeError) as error:
        raise DataMissing(
            f"the download of Flowers-102 to {root} failed: {error}. Try again, or fetch the files by hand from "
            "https://www.robots.ox.ac.uk/~vgg/data/flowers/102/ ."
        ) from error
