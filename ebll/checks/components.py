"""Exercise of notebook 03: the reconstruction from principal components."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ebll.checks.core import Exercise, Habit, Slip, check
from ebll.seeds import generator

__all__ = ["pca_reconstruction"]


def pca_reconstruction(fn: Callable) -> None:
    """Check the reconstruction of features from their first principal components.

    fn       fn(features, size) -> tensor or array; features (n, d), size the number of components, below d
    wanted   (n, d), the features' mean plus the centred features projected on the components of largest variance
    source   the linear autoencoder of smallest E2a; `ebll.autoencoder` starts there
    """
    check(_PCA, fn)


def _random(name: str, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=generator(0, "checks", name, *shape), dtype=torch.float32)


def _pca_cases() -> list[tuple]:
    def case(rows, columns, size):
        scales = 4.0 ** -torch.arange(columns, dtype=torch.float32)
        turned = torch.linalg.qr(_random("turn", columns, columns))[0]
        return 3 * (_random("pca", rows, columns) * scales) @ turned + _random("mean", columns) + 1, size

    small = torch.tensor([[0.0, 0.0], [4.0, 0.0], [0.0, 2.0], [4.0, 2.0]], dtype=torch.float32)
    return [(small, 1), case(9, 4, 2), case(7, 5, 3)]


def _project(features: Tensor, first: int, last: int | None, mean: Tensor | float, back: Tensor | float) -> Tensor:
    """Projected on the components first .. last of (features - mean), `back` added."""
    centred = features - mean
    basis = torch.linalg.svd(centred, full_matrices=True)[2][first:last]
    return centred @ basis.T @ basis + back


def _pca(features: Tensor, size: int) -> Tensor:
    return _project(features, 0, size, features.mean(dim=0), features.mean(dim=0))


def _columns(features: Tensor, size: int) -> Tensor:
    """Columns of Vh where its rows were meant, without the mean."""
    centred = features - features.mean(dim=0)
    basis = torch.linalg.svd(centred)[2][:, :size]
    return centred @ basis @ basis.T


def _mixed(features: Tensor, size: int) -> Tensor:
    """The right directions, but the features are projected with their mean still in them."""
    basis = torch.linalg.svd(features - features.mean(dim=0))[2][:size]
    return features @ basis.T @ basis


def _turned(features: Tensor, size: int) -> Tensor:
    """Centred features, but the directions are those of the features with their mean still in them."""
    basis = torch.linalg.svd(features)[2][:size]
    mean = features.mean(dim=0)
    return (features - mean) @ basis.T @ basis + mean


_PCA = Exercise(
    name="pca_reconstruction",
    equation="E2a",
    takes=("features", "size"),
    task="centre the features, keep their first `size` principal components, and go back to (n, d).",
    kind="tensor",
    right=_pca,
    cases=_pca_cases,
    verified="Three sizes: centred, the directions of largest variance, and the mean is back in the result.",
    habits=(
        Habit(
            "your answer stops at the coordinates, one column a component: that is the code. A reconstruction has as "
            "many columns as the features; go back through the same components and add the mean.",
            lambda v, k: (v - v.mean(dim=0)) @ torch.linalg.svd(v - v.mean(dim=0))[2][:k].T,
            lambda run: tuple(getattr(run.value, "shape", ())) == (len(run.case[0]), run.case[1]),
            early=True,
        ),
    ),
    slips=(
        Slip(
            "your answer does not centre the features. Then the first direction points from zero to the mean and is "
            "lost for the spread: subtract the mean first, and add it again at the end.",
            lambda v, k: _project(v, 0, k, 0.0, 0.0),
            (
                _mixed,
                lambda v, k: _project(v, 0, k, 0.0, v.mean(dim=0)),
                lambda v, k: _mixed(v, k) + v.mean(dim=0),
                _turned,
            ),
        ),
        Slip(
            "your answer is centred at zero: the mean was subtracted and not added again. E2a compares with the "
            "features as they are, and the missing mean would count as error.",
            lambda v, k: _project(v, 0, k, v.mean(dim=0), 0.0),
        ),
        Slip(
            "your answer keeps the components of smallest variance, which hold the least of the features. "
            "`torch.linalg.eigh` lists them smallest first, `svd` largest first: take the other end.",
            lambda v, k: _project(v, -k, None, v.mean(dim=0), v.mean(dim=0)),
            (lambda v, k: _project(v, -k, None, v.mean(dim=0), 0.0),),
        ),
        Slip(
            "your answer takes columns of the matrix of components, but `torch.linalg.svd` returns it transposed: "
            "its rows are the directions. Take the first rows of the third result.",
            lambda v, k: _columns(v, k) + v.mean(dim=0),
            (_columns,),
        ),
        Slip(
            "your answer keeps one component more than `size`. A code of that size has room for `size` numbers only: "
            "look at where the slice ends.",
            lambda v, k: _project(v, 0, k + 1, v.mean(dim=0), v.mean(dim=0)),
        ),
        Slip(
            "your answer keeps one component fewer than `size`, so a part of the spread is lost for nothing: look at "
            "where the slice begins and ends.",
            lambda v, k: _project(v, 0, k - 1, v.mean(dim=0), v.mean(dim=0)),
        ),
        Slip(
            "your answer gives the features back as they came. With `size` components, fewer than the features have, "
            "something must be lost: slice the directions to the first `size`.",
            lambda v, k: v,
        ),
        Slip(
            "your answer takes the mean of each row, or one over all entries. PCA centres every feature on its own: "
            "the mean over the rows, `dim=0`.",
            lambda v, k: _project(v, 0, k, v.mean(dim=1, keepdim=True), v.mean(dim=1, keepdim=True)),
            (lambda v, k: _project(v, 0, k, v.mean(), v.mean()),),
        ),
        Slip(
            "your answer leaves out the first component, the one that holds most. Components are counted from 0: look "
            "at where the slice begins.",
            lambda v, k: _project(v, 1, k + 1, v.mean(dim=0), v.mean(dim=0)),
            (lambda v, k: _project(v, 1, k, v.mean(dim=0), v.mean(dim=0)),),
        ),
    ),
)

EXERCISES = (_PCA,)
