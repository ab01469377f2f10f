"""Exercises on accuracies: nearest class means, M5, M12, the front of a sweep, a winner's shrinkage, alpha."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ebll import metrics
from ebll.course.exercise import Wrong, exercise, normal, tensor

Array = np.ndarray


def _matrices() -> list[tuple]:
    """Two tasks, then five and three: tasks that peak late, that gain at the end, and a matrix without gaps."""
    late = [[0.9, 0, 0, 0, 0], [0.7, 0.6, 0, 0, 0], [0.95, 0.5, 0.8, 0, 0], [0.6, 0.4, 0.7, 0.5, 0]]
    gaps = np.where(np.tri(5, dtype=bool), [*late, [0.65, 0.7, 0.45, 0.3, 0.85]], np.nan)
    full = [[0.8, 0.1, 0.125], [0.9, 0.7, 0.15], [0.55, 0.75, 0.6]]
    return [(np.array([[0.9, np.nan], [0.6, 0.8]]),), (gaps,), (np.array(full),)]


def _lost(m: Array) -> tuple[Array, Array, Array]:
    """Of each old task: what is lost since its best before the last stage, since its best of all, since it was new."""
    old = range(len(m) - 1)
    before, ever = (np.array([m[j:end, j].max() for j in old]) for end in (-1, None))
    return before - m[-1, :-1], ever - m[-1, :-1], m.diagonal()[:-1] - m[-1, :-1]


@exercise("M5", metrics.forgetting, _matrices)
def forgetting(m: Array) -> Wrong:
    """For each old task the best accuracy before the last stage minus the accuracy at the end, then the mean."""
    drops, late, learned = _lost(m)
    return {
        "last-stage": [late.mean()],
        "all-tasks": [drops.sum() / len(m), late.sum() / len(m)],
        "just-learned": [learned.mean(), learned.sum() / len(m)],
        "transfer": [-learned.mean()],
        "sign": [-drops.mean(), -drops.sum() / len(m)],
        "percent": [100 * drops.mean()],
        "sum": [drops.sum()],
    }


def _nearest(features: Tensor, labels: Tensor, queries: Tensor) -> Tensor:
    return torch.cdist(queries, _class_means(features, labels)).argmin(dim=1)


def _class_means(features: Tensor, labels: Tensor) -> Tensor:
    return torch.stack([features[labels == label].mean(dim=0) for label in labels.unique()])


def _clouds() -> list[tuple]:
    """Two classes of two features, then more of more; some classes have far more rows than others."""
    small = torch.tensor([[0.0, 0.0], [0.0, 4.0], [5.0, 2.0]]), torch.tensor([0, 0, 1])
    cases = [(*small, torch.tensor([[1.0, 2.0], [3.5, 2.0], [2.0, 5.0]]))]
    for classes, size in ((3, 4), (5, 2)):
        labels = torch.arange(6 * classes) % (2 * classes - 1) % classes
        features = normal(0, len(labels), size) + 2 * normal(1, classes, size)[labels] + 1
        cases.append((features, labels, 2 * normal(2, 9 + classes, size) + 1))
    return cases


@exercise("M1", _nearest, _clouds, read=tensor)
def nearest_mean(features: Tensor, labels: Tensor, queries: Tensor) -> Wrong:
    """For each query the class, a number from 0, whose mean of the features is nearest."""
    means, counts = _class_means(features, labels), labels.bincount()[:, None]
    apart = torch.cdist(queries, means)
    return {
        "single-image": [labels[torch.cdist(queries, features).argmin(dim=1)]],
        "sums": [torch.cdist(queries, counts * means).argmin(dim=1)],
        "inner-product": [(queries @ means.T).argmax(dim=1)],
        "distances": [apart.min(dim=1).values, apart.square().min(dim=1).values],
    }


def _points() -> list[tuple]:
    """A pair of equal points; ties along one axis and a dent in the front; failed runs; one point that wins."""
    dent = [0.9, 0.85, 0.71, 0.7, 0.7, 0.5, 0.5, 0.3], [0.2, 0.2, 0.26, 0.26, 0.3, 0.7, 0.6, 0.65]
    failed = [0.6, np.nan, 0.75, 0.5, 0.4], [0.9, np.nan, 0.6, np.nan, 0.95]
    points = [([0.8, 0.7, 0.6, 0.7], [0.5, 0.6, 0.55, 0.6]), dent, failed, ([0.6, 0.9, 0.5], [0.5, 0.8, 0.7])]
    return [(np.array(old), np.array(new)) for old, new in points]


def _on_front(old: Array, new: Array) -> Array:
    return np.array(metrics.pareto_front(zip(new, old, strict=True)))


@exercise("M1", _on_front, _points, read=tensor)
def pareto_front(old: Array, new: Array) -> Wrong:
    """True for each point unless another is at least as good on both accuracies and better on one."""
    right, whole = _on_front(old, new), np.isfinite(old) & np.isfinite(new)
    at_least = (old >= old[:, None]) & (new >= new[:, None])  # [i, j]: point j against point i
    better, both = (old > old[:, None]) | (new > new[:, None]), (old > old[:, None]) & (new > new[:, None])
    return {
        "strict": [whole & ~both.any(axis=1)],
        "equal-points": [whole & ~(at_least & ~np.eye(len(old), dtype=bool)).any(axis=1)],
        "inverted": [~right, ~right & whole],
        "failed-run": [~(at_least & better).any(axis=1)],
    }


def _scores() -> list[tuple]:
    """Three cells by three seeds, chosen by one seed; five by four, chosen by two; four by six, chosen by three."""
    small = [[70, 65, 66], [60, 72, 70], [68, 70, 69]]
    more = [[61, 62, 70, 64], [66, 60, 59, 63], [67, 58, 71, 72], [62, 63, 60, 65], [50, 52, 75, 71]]
    wide = [[80, 83, 79, 78, 84, 77], [85, 78, 82, 79, 80, 76], [70, 88, 71, 90, 86, 89], [79, 81, 84, 83, 70, 82]]
    return [(np.array(scores) / 100, k) for scores, k in ((small, 1), (more, 2), (wide, 3))]


def _shrunk(scores: Array, k: int) -> float:
    best = scores[:, :k].mean(axis=1).argmax()
    return scores[best, :k].mean() - scores[best, k:].mean()


@exercise("M4", _shrunk, _scores)
def shrinkage(scores: Array, k: int) -> Wrong:
    """Of the cell that is best on the first k seeds, its mean there minus its mean on the other seeds."""
    first, others = scores[:, :k].mean(axis=1), scores[:, k:].mean(axis=1)
    best, drops = first.argmax(), first - others
    return {
        "all-choose": [drops[scores.mean(axis=1).argmax()]],
        "all-judge": [first[best] - scores[best].mean()],
        "other-cell": [first.max() - others.max()],
        "sign": [-drops[best]],
        "others-choose": [drops[others.argmax()], -drops[others.argmax()]],
    }


def _alphas() -> list[tuple]:
    """As on a far pair; a code loss that falls again, not to its least; none that will do; and a costly hold."""
    far, wide = [0.0, 1, 3, 10], [0.1, 0.3, 1.0, 3.0, 10.0, 30.0]
    cases = [
        (far, [0.7, 0.05, 0.03, 0.2], [0.4, 0.39, 0.38, 0.37], 0.41, 0.1),
        (wide, [0.3, 0.1, 0.12, 0.05, 0.06, 0.055], [0.93, 0.95, 0.96, 0.91, 0.9, 0.89], 0.97, 0.09),
        (wide[2:], [0.5, 0.6, 0.4, 0.45], [0.5, 0.6, 0.55, 0.52], 0.9, 0.2),
        (wide[1:], [0.5, 0.2, 0.1, 0.05, 0.04], [0.5, 0.48, 0.47, 0.44, 0.04], 0.52, 0.1),
    ]
    return [(*map(np.array, case[:3]), *case[3:]) for case in cases]


def _largest(good: Array, alphas: Array) -> float:
    return alphas[good].max() if good.any() else alphas[0]


def _chosen(alphas: Array, code_loss: Array, new_accuracy: Array, reference: float, tolerance: float) -> float:
    holds = np.diff(code_loss, prepend=np.inf) <= 0
    return _largest(holds & (new_accuracy >= (1 - tolerance) * reference), alphas)


@exercise("E4", _chosen, _alphas)
def selected_alpha(a: Array, loss: Array, new: Array, reference: float, tolerance: float) -> Wrong:
    """The largest alpha at which the code loss has not grown and the new task is still learned well enough."""
    holds, learns = np.diff(loss, prepend=np.inf) <= 0, new >= (1 - tolerance) * reference
    good = holds & learns
    stop = len(good) if good.all() else good.argmin()
    return {
        "no-code-loss": [_largest(learns, a)],
        "no-new-task": [_largest(holds, a)],
        "smallest": [a[good.argmax()]],
        "points": [_largest(holds & (new >= reference - tolerance), a)],
        "kept-share": [_largest(holds & (new >= tolerance * reference), a)],
        "every-smaller": [_largest((loss <= np.minimum.accumulate(loss)) & learns, a)],
        "upwards": [a[max(stop - 1, 0)]],
    }


def _readings() -> list[tuple]:
    """Two seeds that are lowest at different steps; three, of which one only falls."""
    small = [[90, 70, 80, 85], [88, 84, 72, 81]]
    more = [[83, 60, 71, 75, 79], [80, 78, 75, 73, 70], [85, 66, 64, 80, 88]]
    return [(np.array(readings) / 100,) for readings in (small, more)]


def _depth(readings: Array) -> float:
    return float(np.mean([metrics.stability_gap(run)[1] for run in readings]))


@exercise("M12", _depth, _readings)
def stability_gap(a: Array) -> Wrong:
    """For each seed the accuracy at the end minus the lowest on the way, then the mean over the seeds."""
    start, lowest, end = a[:, 0], a.min(axis=1), a[:, -1]
    return {
        "mean-first": [metrics.stability_gap(a.mean(axis=0))[1]],
        "of-all": [end.mean() - a.min()],
        "from-start": [(start - lowest).mean(), (a.max(axis=1) - lowest).mean()],
        "lost": [(start - end).mean()],
        "sign": [(lowest - end).mean()],
        "lowest": [lowest.mean()],
    }
