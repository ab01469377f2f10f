"""Exercises on squared distances (E4), the objective of the autoencoder (E2), PCA, and likeness (M16)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from ebll import losses, metrics
from ebll.course.exercise import Unreadable, Wrong, exercise, normal, tensor

ROWS = [[[1.0, 2, 0], [0, 1, 1]], [[0, 2, 2], [0, 1, 4]]]
CODES = [[[0.5, 0.2, 0.9], [0.1, 0.6, 0.4]], [[0.5, 0.4, 0.8], [0.3, 0.6, 0]]]


def _pairs(small: list) -> list[tuple]:
    return [tuple(torch.tensor(small)), tuple(normal(0, 2, 5, 3)), tuple(normal(0, 2, 4, 7))]


def _half_square(now: Tensor, before: Tensor) -> Wrong:
    """Mistakes in half the squared norm of each row's difference, averaged over the rows."""
    d = now - before
    squares, norms, sizes = d.square().sum(dim=1), torch.linalg.vector_norm(d, dim=1), d.abs().sum(dim=1)
    whole = torch.linalg.vector_norm(d)
    return {
        "mse": [d.square().mean()],
        "half-mse": [d.square().mean() / 2],
        "twice": [squares.mean()],
        "batch-sum": [squares.sum() / 2, squares.sum()],
        "norm": [norms.mean() / 2, norms.mean(), whole, whole / 2, d.square().mean().sqrt()],
        "absolute": [sizes.mean(), sizes.mean() / 2, d.abs().mean(), sizes.sum()],
        "axes": [d.square().mean(dim=1).sum() / 2, d.square().mean(dim=1).sum()],
    }


@exercise("E4", losses.code_distance, lambda: _pairs(CODES), gradient=("code_now",))
def code_distance(now: Tensor, before: Tensor) -> Wrong:
    """Half the squared distance of the two codes of each row, and the mean over the rows."""
    return _half_square(now, before)


def _autoencoder_cases() -> list[tuple]:
    labels = torch.arange(5)
    return [
        (*torch.tensor(ROWS), torch.zeros(2, 2), labels[:2], 0.1),
        (*normal(0, 2, 5, 4), 2 * normal(2, 5, 3), labels % 3, 0.3),
        (*normal(0, 2, 4, 7), 2 * normal(2, 4, 5), labels[:4], 0.05),
    ]


@exercise("E2", losses.autoencoder_loss, _autoencoder_cases, gradient=("reconstructed", "logits"))
def autoencoder_loss(r: Tensor, v: Tensor, z: Tensor, y: Tensor, w: float) -> Wrong:
    """The weighted reconstruction error (E2a) plus the task's own loss (E1)."""
    half, e1, n = losses.reconstruction_error(r, v), losses.class_loss(z, y), len(r)
    parts = half, 2 * half, functional.mse_loss(r, v)
    within = {name: [w * value + e1 for value in values] for name, values in _half_square(r, v).items()}
    within["mse"].append(parts[2] + e1)
    within["batch-sum"] += [n * (w * half + e1), w * half + n * e1]
    return within | {
        "weight-on-task": [*(part + w * e1 for part in parts), w * half + (1 - w) * e1],
        "no-weight": [half + e1, 2 * half + e1],
        "no-task-loss": [*(w * part for part in parts), half],
        "no-reconstruction": [e1],
        "softmax-twice": [w * half + functional.cross_entropy(torch.softmax(z, dim=1), y)],
    }


def _features() -> list[tuple]:
    """Features (n, d) that spread less in each direction than in the one before, and the number of components."""
    cases = [(torch.tensor([[0.0, 0.0], [4.0, 0.0], [0.0, 2.0], [4.0, 2.0]]), 1)]
    for rows, columns, size in ((9, 4, 2), (7, 5, 3)):
        turned = torch.linalg.qr(normal(0, columns, columns))[0]
        spread = 3 * normal(0, rows, columns) * 4.0 ** -torch.arange(columns)
        cases.append((spread @ turned + normal(0, columns) + 1, size))
    return cases


def _directions(centred: Tensor) -> Tensor:
    """Of largest spread first, a row each."""
    return torch.linalg.svd(centred)[2]


def _through(features: Tensor, rows: Tensor) -> Tensor:
    """Projected on directions, and back."""
    return features @ rows.T @ rows


def _pca(features: Tensor, size: int) -> Tensor:
    mean = features.mean(dim=0)
    return _through(features - mean, _directions(features - mean)[:size]) + mean


def _reconstruction(value: Any, arguments: Sequence) -> list[Tensor]:
    (found,) = tensor(value)
    if found.shape == (len(arguments[0]), arguments[1]):
        raise Unreadable("coordinates", {})  # their signs are free, so they cannot be compared
    return [found]


@exercise("E2a", _pca, _features, read=_reconstruction)
def pca_reconstruction(v: Tensor, k: int) -> Wrong:
    """Centre the features, keep their first `size` principal components, and go back to (n, d)."""
    mean = v.mean(dim=0)
    centred = v - mean
    own, raw = _directions(centred), _directions(v)
    uncentred = [_through(v, rows) + back for rows in (raw[:k], own[:k]) for back in (0, mean)]
    return {
        "not-centred": [*uncentred, _through(centred, raw[:k]) + mean],
        "mean-missing": [_through(centred, own[:k])],
        "one-more": [_through(centred, own[:end]) + mean for end in (k + 1, k - 1)],
        "unchanged": [v],
    }


def _views() -> list[tuple]:
    small = torch.tensor([[1.0, 0.0], [3.0, 0.0], [2.0, 3.0]]), torch.tensor([[0.0], [2.0], [1.0]])
    return [small, *((normal(0, n, a) + 1, normal(1, n, b)) for n, a, b in ((6, 4, 3), (9, 3, 5)))]


@exercise("M16", metrics.cka, _views)
def cka(x: Tensor, y: Tensor) -> Wrong:
    """Centre each column, then the squared norm of Y'X over the product of the norms of X'X and Y'Y."""

    def ratio(a: Tensor, b: Tensor, power: float = 2.0) -> Tensor:
        return (b.T @ a).norm() ** power / ((a.T @ a).norm() * (b.T @ b).norm()) ** (power / 2)

    a, b = (side - side.mean(dim=0) for side in (x, y))
    return {
        "not-centred": [ratio(x, y)],
        "rows": [ratio(*(side - side.mean(dim=1, keepdim=True) for side in (x, y))), ratio(x - x.mean(), y - y.mean())],
        "root": [ratio(a, b, 1.0), (b.T @ a).norm() / ((a.T @ a).norm() * (b.T @ b).norm())],
        "length": [((b.T @ a).norm() / (a.norm() * b.norm())) ** 2, (b.T @ a).norm() / (a.norm() * b.norm())],
    }
