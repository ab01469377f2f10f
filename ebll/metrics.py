"""What is measured: accuracy, feature distance, and the summaries of an accuracy matrix.

An accuracy matrix A is square: A[i, j] is the accuracy on task j, in 0..1, once
task i has been learned; entries above the diagonal (tasks not yet seen) may be NaN and are never read.

Sources: Lopez-Paz and Ranzato, "Gradient Episodic Memory", 2017 (arXiv 1706.08840) for backward transfer; Chaudhry et
al., "Riemannian Walk", 2018 (arXiv 1801.10112) for forgetting; EBLL section 4 for the feature distance.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from ebll.errors import InputError

__all__ = [
    "accuracy",
    "average_accuracy",
    "backward_transfer",
    "cka",
    "confidence_interval",
    "drift_parts",
    "feature_distance",
    "feature_norm",
    "feature_shift",
    "forgetting",
    "forward_transfer",
    "kl_divergence",
    "largest_curvature",
    "pareto_front",
    "row_basis",
    "stability_gap",
    "unexplained_variance",
]


def accuracy(logits: Tensor, labels: Tensor) -> float:
    """M1: share of the inputs whose largest logit is the label's.

    logits (batch, classes), labels (batch,) -> a float in 0..1
    """
    return (logits.argmax(dim=1) == labels).double().mean().item()


def feature_distance(features_now: Tensor, features_before: Tensor) -> float:
    r"""M2: how far the features have moved.   mean over the inputs of $\|F(x) - F^*(x)\|_2$

    features_now, features_before  (batch, features)
    returns   a float in the units of the features; read it beside `feature_norm`
    note      on held-out inputs of an old task this is an oracle: a learner without old data could not compute it
    """
    return torch.linalg.vector_norm(features_now - features_before, dim=1).mean().item()


def feature_norm(features: Tensor) -> float:
    r"""M3: the scale to read a feature distance against.   mean over the inputs of $\|F(x)\|_2$

    features (batch, features) -> a float
    """
    return torch.linalg.vector_norm(features, dim=1).mean().item()


def feature_shift(now: Tensor, before: Tensor, weight: Tensor) -> tuple[float, float]:
    r"""M10: mean of $\lVert P(F(x) - F^*(x))\rVert_2$ and of what is left of it.

    $P$ projects onto the span of the encoder's rows, those of $W_{enc}$, which may depend on each other. A move across
    the level sets of a code changes it; along them it changes nothing, whatever its length.

    now, before  (batch, features)  F(x) and F*(x)
    weight       (code, features)   of the encoder
    returns      across, along: mean norms over the batch, in units of the features
    """
    move, basis = now - before, row_basis(weight)
    across = move @ basis.T @ basis
    return across.norm(dim=1).mean().item(), (move - across).norm(dim=1).mean().item()


def drift_parts(now: Tensor, before: Tensor, code: Tensor, both: Tensor) -> tuple[float, float, float]:
    r"""M14: the squared feature distance in parts: seen by the code, read by the old head beyond that, free.

    Means of $\lVert P_c v\rVert_2^2$, $\lVert (P_{ch} - P_c) v\rVert_2^2$ and $\lVert (I - P_{ch}) v\rVert_2^2$ with
    $v = F(x) - F^*(x)$, $P_c$ onto the rows of the encoder, $P_{ch}$ onto those of encoder and head together.

    now, before  (batch, features)  F(x) and F*(x)
    code         (rank, features)   `row_basis` of the old task's encoder
    both         (rank, features)   of the encoder's rows and those of the first layer on the way to the old head
    returns      three means over the batch, in squared units of the features; they add up to that of ||v||^2
    note         a direction that both see counts as seen by the code
    """
    move = now - before
    parts = (move, move @ code.T, move @ both.T)
    whole, coded, read = (part.square().sum(dim=1).mean().item() for part in parts)
    return coded, read - coded, whole - read


def row_basis(rows: Tensor) -> Tensor:
    """Orthonormal rows (rank, size) that span those of a matrix (count, size), whatever its rank."""
    _, values, basis = torch.linalg.svd(rows, full_matrices=False)
    return basis[values > values[0] * max(rows.shape) * torch.finfo(rows.dtype).eps]


def cka(now: Tensor, before: Tensor) -> float:
    r"""M16: linear CKA, how alike two representations are up to rotation and scale.

    $\lVert Y^\top X\rVert_F^2 \,/\, (\lVert X^\top X\rVert_F \lVert Y^\top Y\rVert_F)$, columns centred

    now, before  (batch, size) and (batch, other size)  of the same inputs, in the same order
    returns      0..1; 1 where one is a rotated and scaled copy of the other
    source       Kornblith et al. 2019
    """
    x, y = (side - side.mean(dim=0) for side in (now, before))
    x, y = x @ x.T, y @ y.T  # (batch, batch): the same numbers, whatever the sizes
    return ((x * y).sum() / (x.norm() * y.norm())).item()


def kl_divergence(logits_before: Tensor, logits_now: Tensor) -> float:
    r"""M18: how far answers have moved, without labels.   mean of $\sum_k p^*_k (\log p^*_k - \log p_k)$

    logits_before, logits_now  (batch, classes)
    returns  a float of at least 0, in nats
    source   as a predictor of forgetting: Shenfeld, Pari and Agrawal 2025 (arXiv 2509.04259)
    """
    before, now = (torch.log_softmax(logits, dim=1) for logits in (logits_before, logits_now))
    return (before.exp() * (before - now)).sum(dim=1).mean().item()


def stability_gap(readings: ArrayLike) -> tuple[float, float]:
    """M12: the lowest old-task accuracy on the way, and how far below the last one it lies.

    readings  (n,)  accuracies in the order of the steps of one training
    returns   lowest, depth: in the units of the readings; depth is at least 0
    source    De Lange, van de Ven and Tuytelaars 2023 (arXiv 2205.13452): their min-ACC, here against the end
    note      the least of noisy readings lies below the least of the true values: compare at equal numbers of readings
    """
    readings = np.asarray(readings, dtype=float)
    return float(readings.min()), float(readings[-1] - readings.min())


def unexplained_variance(reconstructed: Tensor, features: Tensor) -> float:
    r"""M8: the fraction of the variance of features that an autoencoder leaves unexplained, 1 - R².

    $\mathrm{mean}\|r(v) - v\|_2^2 \;/\; \mathrm{mean}\|v - \bar v\|_2^2$

    reconstructed, features  (batch, features)
    returns   a float of at least 0; 0 for perfect reconstructions; it may exceed 1, the score of the features' own mean
    use       with an old task's autoencoder and a new task's features, before the new task is learned, it says how
              badly the new inputs are covered by what the old task needs: the domain gap of the figures
    """
    missed = (reconstructed - features).square().sum(dim=1).mean()
    return (missed / (features - features.mean(dim=0)).square().sum(dim=1).mean()).item()


def largest_curvature(value: Tensor, parameters: Sequence[Tensor], steps: int = 40) -> float:
    r"""M11: largest $\lvert h \rvert$ over the eigenvalues of a value's Hessian in some parameters, by power iteration.

    SGD with learning rate $\eta$ and momentum $\mu$ is stable at a minimum of the value while $\eta h < 2(1 + \mu)$.
    Each step multiplies a direction by the Hessian and normalises it, so the result is approached from below.

    value       a number that carries gradient to the parameters
    parameters  tensors of any shapes, taken as one vector
    returns     in units of the value per squared unit of the parameters
    """
    gradients = torch.autograd.grad(value, parameters, create_graph=True)
    draw = torch.Generator().manual_seed(0)  # a plain direction, as that of ones, may lie where the Hessian is zero
    product = [torch.randn(p.shape, generator=draw, dtype=p.dtype).to(p.device) for p in parameters]
    for _ in range(steps):
        length = torch.cat([part.flatten() for part in product]).norm().clamp_min(1e-30)  # of a Hessian that is zero
        slope = sum((g * part / length).sum() for g, part in zip(gradients, product, strict=True))
        product = torch.autograd.grad(slope, parameters, retain_graph=True)
    return torch.cat([part.flatten() for part in product]).norm().item()


def average_accuracy(matrix: ArrayLike) -> float:
    """M4: mean accuracy over all tasks at the end of the sequence, the last row of the matrix. (T, T) -> 0..1"""
    return float(_square(matrix)[-1].mean())


def forgetting(matrix: ArrayLike) -> float:
    """M5: mean over the old tasks of (best accuracy so far minus accuracy at the end).

    (T, T) -> a float; 0 for a sequence of one task, negative where the old tasks gained on average
    source   Chaudhry et al. 2018: the best is taken over the stages before the last
    """
    matrix = _square(matrix)
    drops = [matrix[j:-1, j].max() - matrix[-1, j] for j in range(len(matrix) - 1)]
    return float(np.mean(drops)) if drops else 0.0


def backward_transfer(matrix: ArrayLike) -> float:
    """M6: mean over the old tasks of (accuracy at the end minus accuracy just after learning).

    (T, T) -> a float; negative means forgetting, 0 for a sequence of one task
    source   Lopez-Paz and Ranzato 2017
    """
    matrix = _square(matrix)
    return float((matrix[-1] - matrix.diagonal())[:-1].mean()) if len(matrix) > 1 else 0.0


def forward_transfer(matrix: ArrayLike, single_task: ArrayLike) -> float:
    """M7: mean over the later tasks of (accuracy just after learning minus that of a network trained on it alone).

    matrix       (T, T)
    single_task  (T,)  accuracy of a fresh network trained on each task alone, same budget; the first entry is not read
    returns      a float; positive where earlier tasks helped, 0 for a sequence of one task
    note         with one head per task an untrained head only guesses, so the zero-shot form of Lopez-Paz says nothing
    """
    matrix, single_task = _square(matrix), np.asarray(single_task, dtype=float)
    if single_task.shape != (len(matrix),):
        raise InputError(
            f"forward_transfer: `single_task` must have {len(matrix)} entries, one a task; got {single_task.shape}."
        )
    return float((matrix.diagonal() - single_task)[1:].mean()) if len(matrix) > 1 else 0.0


def confidence_interval(values: ArrayLike) -> tuple[float, float, float]:
    r"""M9: mean over the seeds, with its 95 % Student-t interval.   $\bar x \pm t_{0.975,\,n-1}\, s / \sqrt n$

    values   (n,)  one number a seed; NaN is no measurement and does not count
    returns  (mean, low, high); s has n - 1 in its denominator; with one seed there is no interval, both ends are NaN
    note     the interval speaks of other seeds, not of other test images
    """
    values = np.asarray(values, dtype=float)
    values = values[~np.isnan(values)]
    if len(values) < 2:
        return float(values[0]) if len(values) else math.nan, math.nan, math.nan
    from scipy.special import stdtrit  # on first use: whoever only trains does without scipy

    mean, half = values.mean(), stdtrit(len(values) - 1, 0.975) * values.std(ddof=1) / math.sqrt(len(values))
    return float(mean), float(mean - half), float(mean + half)


def pareto_front(points: Iterable[Sequence[float]]) -> list[bool]:
    """Return for each point whether it is on the Pareto front, where more is better on both axes.

    A point is off the front when another is at least as good on both axes and better on one; equal points stay
    together. A point with a missing coordinate is never on the front.
    """
    points = [(float(x), float(y)) for x, y in points]
    return [
        bool(np.isfinite([x, y]).all())
        and not any(u >= x and v >= y and (u > x or v > y) for u, v in points)
        for x, y in points
    ]  # fmt: skip


def _square(matrix: ArrayLike) -> np.ndarray:
    array = np.asarray(matrix, dtype=float)
    if array.ndim != 2 or array.shape[0] != array.shape[1] or not len(array):
        raise InputError(f"An accuracy matrix is square, a row and a column a task; got shape {array.shape}.")
    if np.isnan(np.tril(array)).any():
        raise InputError(
            "The accuracy matrix has gaps (NaN) on or below its diagonal: measure every task learned so far."
        )
    return array
