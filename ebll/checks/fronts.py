"""Exercise of notebook 07: which cells of a sweep's map are on the Pareto front."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ebll import metrics
from ebll.checks.core import Exercise, Slip, check

__all__ = ["pareto_front"]


def pareto_front(fn: Callable) -> None:
    """Check which points are on the Pareto front of two accuracies (M1).

    fn       fn(old, new) -> True or False for each point; old, new (points,), numpy, in 0..1, NaN where a run failed
    wanted   True where no other point is at least as good on both and better on one; equal points stay together, and
             a point with NaN is never on the front
    source   `ebll.metrics.pareto_front`
    """
    check(_FRONT, fn)


def _cases() -> list[tuple]:
    """A pair of equal points; ties along one axis and a dent in the front; failed runs; one point that wins."""
    small = np.array([0.8, 0.7, 0.6, 0.7]), np.array([0.5, 0.6, 0.55, 0.6])
    old = np.array([0.9, 0.85, 0.71, 0.7, 0.7, 0.5, 0.5, 0.3])
    dent = old, np.array([0.2, 0.2, 0.26, 0.26, 0.3, 0.7, 0.6, 0.65])
    failed = np.array([0.6, np.nan, 0.75, 0.5, 0.4]), np.array([0.9, np.nan, 0.6, np.nan, 0.95])
    wins = np.array([0.6, 0.9, 0.5]), np.array([0.5, 0.8, 0.7])
    return [small, dent, failed, wins]


def _right(old: np.ndarray, new: np.ndarray) -> list[bool]:
    return metrics.pareto_front(zip(new, old, strict=True))


def _whole(old: np.ndarray, new: np.ndarray) -> np.ndarray:
    return np.isfinite(old) & np.isfinite(new)


def _unless(beaten: Callable, itself: bool = False) -> Callable:
    """(old, new) -> the points for which `beaten(u, v, x, y)` holds with no other point (u, v)."""

    def made(old: np.ndarray, new: np.ndarray) -> list[bool]:
        points = list(zip(old, new, strict=True))
        return [
            bool(np.isfinite([x, y]).all())
            and not any(beaten(u, v, x, y) for j, (u, v) in enumerate(points) if itself or i != j)
            for i, (x, y) in enumerate(points)
        ]

    return made


def _hull(old: np.ndarray, new: np.ndarray) -> np.ndarray:
    """The points that are best for some weighted mean of the two."""
    marks = np.zeros(len(old), bool)
    for weight in np.linspace(0.001, 0.999, 333):
        mean = np.where(_whole(old, new), weight * old + (1 - weight) * new, -1.0)
        marks |= mean >= mean.max() - 1e-12
    return marks


_FRONT = Exercise(
    name="pareto_front",
    equation="M1",
    takes=("old", "new"),
    task="True for each point unless another is at least as good on both accuracies and better on one.",
    kind="tensor",
    right=_right,
    cases=_cases,
    verified="M1 of old and new, 3 to 8 points: ties, equal points and failed runs are as they should be.",
    slips=(
        Slip(
            "your answer takes a point off only where another is better on both axes. One that is equal on one axis "
            "and better on the other is a better choice, too: at least as good on both, and better on one.",
            _unless(lambda u, v, x, y: u > x and v > y),
        ),
        Slip(
            "your answer lets equal points push each other off. Neither is better than the other, so both stay: at "
            "least as good on both axes is not enough, one of the two has to be better.",
            _unless(lambda u, v, x, y: u >= x and v >= y),
        ),
        Slip(
            "your answer compares each point with itself, by 'at least as good', so that no point is left. Ask for "
            "better on one axis as well; then a point cannot push itself off.",
            _unless(lambda u, v, x, y: u >= x and v >= y, itself=True),
        ),
        Slip(
            "your answer marks the points that are off the front: it is turned round. True means that no other point "
            "is at least as good on both axes and better on one.",
            lambda old, new: ~np.array(_right(old, new)),
            (lambda old, new: ~np.array(_right(old, new)) & _whole(old, new),),
        ),
        Slip(
            "your answer takes a point off as soon as another is better on one axis. Nearly every point is beaten on "
            "one axis by some other; it also has to be at least as good on the second.",
            _unless(lambda u, v, x, y: u > x or v > y),
        ),
        Slip(
            "your answer keeps only the points that are best on one axis. Between these two ends the front goes on: a "
            "point that gives up a little of one accuracy for much of the other is on it.",
            lambda old, new: (old == np.nanmax(old)) | (new == np.nanmax(new)),
        ),
        Slip(
            "your answer keeps only the best mean of the two. That is one point of the front, for who values both "
            "accuracies alike; the front holds a choice for every other taste, too.",
            lambda old, new: old + new == np.nanmax(old + new),
            (lambda old, new: np.arange(len(old)) == np.nanargmax(old + new),),
        ),
        Slip(
            "your answer keeps the points that are best for some weighted mean. In a dent of the front no weights "
            "choose a point, though nothing beats it: compare points with each other, without weights.",
            _hull,
        ),
        Slip(
            "your answer has a failed run on the front. Every comparison with NaN is False, so nothing seems to beat "
            "such a point. Ask first whether both numbers are there, as `np.isfinite` does.",
            lambda old, new: [
                not any(u >= x and v >= y and (u > x or v > y) for u, v in zip(old, new, strict=True))
                for x, y in zip(old, new, strict=True)
            ],
        ),
        Slip(
            "your answer gives the places of the points on the front. Wanted is a True or a False for each point, in "
            "the order in which they came, so that it can choose rows of a table.",
            lambda old, new: np.flatnonzero(_right(old, new)),
        ),
    ),
)

EXERCISES = (_FRONT,)
