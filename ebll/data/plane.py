"""Two tasks in the plane, where a network can be drawn whole: two moons first, three blobs second.

moons, blobs = ebll.plane_tasks(distance=2.4)
"""

from __future__ import annotations

import functools

import numpy as np

from ebll.data.task import Task
from ebll.errors import check_count, check_number

__all__ = ["plane_tasks"]

MIDDLE, DIRECTION = np.array([0.5, 0.25]), np.array([0.89, -0.46])
"""The middle of the moons, and where the blobs lie as seen from there."""
CENTRES = np.array([[-0.07, -0.73], [0.73, 0.27], [-0.67, 0.47]])
"""Of the blobs, as seen from their own middle."""


def plane_tasks(distance: float = 2.4, size: int = 600, seed: int = 0) -> list[Task]:
    """Moons (2 classes) and blobs (3 classes), points of the plane with two coordinates each.

    distance  of the middle of the blobs from the middle of the moons, whose own width is 3; at 0 they lie on them
    size      points in each split of a task
    seed      of the points; the moons do not depend on the distance
    raises    `InputError` for a distance below 0 or above 100, or fewer than 12 points
    """
    distance = check_number(distance, "distance", high=100, hint="The moons are 3 wide; 2.4 is the usual distance.")
    size = check_count(size, "size", low=12, hint="Every class needs a few points in each split.")
    seed = check_count(seed, "seed", low=0, high=10**9)
    return [_moons(size, seed), _blobs(distance, size, seed)]


@functools.lru_cache(maxsize=8)
def _moons(size: int, seed: int) -> Task:
    from sklearn.datasets import make_moons  # its import takes longer than that of the tasks of images

    splits = {name: make_moons(size, noise=0.08, random_state=3 * seed + i) for i, name in enumerate(_SPLITS)}
    return Task.from_tensors("moons", **splits, classes=("upper moon", "lower moon"), standardise=False)


@functools.lru_cache(maxsize=8)
def _blobs(distance: float, size: int, seed: int) -> Task:
    from sklearn.datasets import make_blobs

    centres = MIDDLE + distance * DIRECTION + CENTRES
    splits = {
        name: make_blobs(size, centers=centres, cluster_std=0.22, random_state=3 * seed + i)
        for i, name in enumerate(_SPLITS)
    }
    return Task.from_tensors("blobs", **splits, classes=("blob 1", "blob 2", "blob 3"), standardise=False)


_SPLITS = ("train", "validation", "test")
