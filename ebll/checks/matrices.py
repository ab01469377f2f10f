"""Exercises on the accuracy matrix: forgetting (notebook 01), average accuracy and backward transfer (notebook 05)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ebll import metrics
from ebll.checks.core import Exercise, Habit, Slip, check

__all__ = ["average_accuracy", "backward_transfer", "forgetting"]


def forgetting(fn: Callable) -> None:
    """Check M5, forgetting.

    fn       fn(matrix) -> float; matrix (T, T), numpy, in 0..1: row i is the accuracies once task i has been learned,
             NaN above the diagonal
    wanted   mean over the T - 1 old tasks of (best accuracy before the last stage minus accuracy at the end)
    source   docs/equations.md, M5; Chaudhry et al. 2018
    """
    check(_FORGETTING, fn)


def average_accuracy(fn: Callable) -> None:
    """Check M4, average accuracy.

    fn       fn(matrix) -> float; matrix (T, T) as in `forgetting`
    wanted   mean over all T tasks of the accuracy at the end
    source   docs/equations.md, M4
    """
    check(_AVERAGE, fn)


def backward_transfer(fn: Callable) -> None:
    """Check M6, backward transfer.

    fn       fn(matrix) -> float; matrix (T, T) as in `forgetting`
    wanted   mean over the T - 1 old tasks of (accuracy at the end minus accuracy just after learning)
    source   docs/equations.md, M6; Lopez-Paz and Ranzato 2017
    """
    check(_BACKWARD, fn)


def _cases() -> list[tuple]:
    """Two tasks, then three and five: tasks that peak late, that gain at the end, and a matrix without gaps."""
    late = [[0.9, 0, 0, 0, 0], [0.7, 0.6, 0, 0, 0], [0.95, 0.5, 0.8, 0, 0], [0.6, 0.4, 0.7, 0.5, 0]]
    late += [[0.65, 0.7, 0.45, 0.3, 0.85]]
    gap = np.where(np.tri(5, dtype=bool), late, np.nan)
    small = np.array([[0.9, np.nan], [0.6, 0.8]])
    full = np.array([[0.8, 0.1, 0.125], [0.9, 0.7, 0.15], [0.55, 0.75, 0.6]])
    return [(small,), (gap,), (full,)]


def _best(matrix: np.ndarray, j: int, last: bool = False) -> float:
    return matrix[j : len(matrix) - (not last), j].max()


def _drops(matrix: np.ndarray, last: bool = False) -> list[float]:
    return [_best(matrix, j, last) - matrix[-1, j] for j in range(len(matrix) - 1)]


def _mean(values: list[float]) -> float:
    return sum(values) / len(values) if len(values) else np.nan


def _learned(matrix: np.ndarray) -> np.ndarray:
    """Accuracy just after learning minus accuracy at the end, all tasks."""
    return matrix.diagonal() - matrix[-1]


_GAPS = Habit(
    "your answer is NaN. The entries above the diagonal are tasks that have not been learned yet, and NaN there "
    "spreads into every mean or maximum that reads it. Read only entries on or below the diagonal.",
    lambda matrix: matrix.mean(),
    # With two tasks NaN may also be the mean of nothing.
    lambda run: len(run.case[0]) > 2 and bool(np.isnan(np.asarray(run.value, dtype=float)).any()),
    early=True,
)


_FORGETTING = Exercise(
    name="forgetting",
    equation="M5",
    takes=("matrix",),
    task="for each old task the best accuracy before the last stage minus the accuracy at the end, then the mean.",
    kind="number",
    right=metrics.forgetting,
    cases=_cases,
    verified="M5 on 2, 3 and 5 tasks: the best is taken before the last stage, the mean over the old tasks.",
    habits=(_GAPS,),
    slips=(
        Slip(
            "your answer takes the best over all stages, the last one included. Then an old task can never score below "
            "zero, and one that gained at the end looks like one that stayed. In M5 the last row is only subtracted.",
            lambda m: np.mean(_drops(m, last=True)),
        ),
        Slip(
            "your answer divides by the number of all tasks. The newest task has had no time to be forgotten, so in M5 "
            "the mean is over the old tasks, one fewer; otherwise short sequences look better than they are.",
            lambda m: sum(_drops(m)) / len(m),
        ),
        Slip(
            "your answer counts the newest task among the old ones, with a drop of zero. It has had no time to be "
            "forgotten; M5 leaves it out, of the drops and of the number that they are divided by.",
            lambda m: sum(_drops(m, last=True)) / len(m),
        ),
        Slip(
            "your answer compares with the accuracy just after learning. An old task may rise later, while others are "
            "learned; M5 starts from the best it ever had before the last stage.",
            lambda m: _learned(m)[:-1].mean(),
            (lambda m: _learned(m).sum() / len(m),),
        ),
        Slip(
            "your answer is backward transfer (M6): the end minus the accuracy just after learning, negative where "
            "something was lost. M5 counts a loss as positive and starts from the best accuracy, not from the first.",
            lambda m: -_learned(m)[:-1].mean(),
        ),
        Slip(
            "your answer has its sign turned round: forgetting is positive where accuracy was lost. M5 takes the best "
            "so far minus the end.",
            lambda m: -np.mean(_drops(m)),
            (lambda m: -sum(_drops(m)) / len(m),),
        ),
        Slip(
            "your answer is in percent. The matrix holds shares between 0 and 1 and M5 stays in that unit; multiply "
            "only where you print.",
            lambda m: 100 * np.mean(_drops(m)),
        ),
        Slip(
            "your answer takes the size of each drop, so an old task that gained at the end counts as forgotten. In M5 "
            "a gain is negative and makes up for a loss.",
            lambda m: np.mean(np.abs(_drops(m))),
        ),
        Slip(
            "your answer compares with the stage just before the last. M5 starts from the best accuracy that the old "
            "task had at any stage before the last, down its column.",
            lambda m: (m[-2] - m[-1])[:-1].mean(),
        ),
        Slip(
            "your answer leaves out the first task. It is the oldest of the old ones, and tasks are counted from 0: "
            "look at where your loop or slice begins.",
            lambda m: _mean(_drops(m)[1:]),
            (lambda m: sum(_drops(m)[1:]) / (len(m) - 1),),
        ),
        Slip(
            "your answer adds up the drops. Sums grow with the number of tasks, so sequences of different length could "
            "not be compared: M5 is the mean over the old tasks.",
            lambda m: sum(_drops(m)),
        ),
    ),
)

_AVERAGE = Exercise(
    name="average_accuracy",
    equation="M4",
    takes=("matrix",),
    task="the mean over all tasks of the accuracy at the end of the sequence.",
    kind="number",
    right=metrics.average_accuracy,
    cases=_cases,
    verified="M4 on 2, 3 and 5 tasks: the last row, the newest task included.",
    habits=(_GAPS,),
    slips=(
        Slip(
            "your answer is the mean over the whole lower triangle, so it also counts accuracies from earlier stages, "
            "before anything was forgotten. M4 asks how the tasks stand at the end: that is one row.",
            lambda m: m[np.tril_indices(len(m))].mean(),
            (
                lambda m: np.nanmean(m),
                lambda m: np.mean([m[i, : i + 1].mean() for i in range(len(m))]),
                lambda m: np.mean([m[j:, j].mean() for j in range(len(m))]),
                lambda m: np.nan_to_num(m).mean(),
            ),
        ),
        Slip(
            "your answer is the mean of the diagonal: each task just after it was learned. That shows how well tasks "
            "are learned and is blind to forgetting; M4 looks at the end of the sequence.",
            lambda m: m.diagonal().mean(),
        ),
        Slip(
            "your answer leaves the newest task out. Without it a method that learns nothing new would score best; M4 "
            "is the mean over all tasks, old and new.",
            lambda m: m[-1, :-1].mean(),
            (lambda m: m[-1, :-1].sum() / len(m),),
        ),
        Slip(
            "your answer is the mean of the first column: the first task over time. M4 wants all tasks at one time, "
            "the end, and a stage of learning is a row.",
            lambda m: m[:, 0].mean(),
        ),
        Slip(
            "your answer is in percent. The matrix holds shares between 0 and 1 and M4 stays in that unit; multiply "
            "only where you print.",
            lambda m: 100 * m[-1].mean(),
        ),
        Slip(
            "your answer is the accuracy of the newest task alone. M4 is the mean over all tasks, old and new: the "
            "whole last row, not its last entry or the last column.",
            lambda m: m[-1, -1],
            (lambda m: np.nanmean(m[:, -1]),),
        ),
        Slip(
            "your answer takes the best that each task ever had. That hides what was forgotten; M4 takes every task as "
            "it stands at the end.",
            lambda m: np.mean([_best(m, j, last=True) for j in range(len(m))]),
        ),
        Slip(
            "your answer divides by the number of the old tasks. All tasks are in the sum, the newest one too, so M4 "
            "divides by their number.",
            lambda m: m[-1].sum() / (len(m) - 1),
        ),
        Slip(
            "your answer adds up the accuracies. Sums grow with the number of tasks, so sequences of different length "
            "could not be compared: M4 is the mean.",
            lambda m: m[-1].sum(),
        ),
    ),
)

_BACKWARD = Exercise(
    name="backward_transfer",
    equation="M6",
    takes=("matrix",),
    task="for each old task the accuracy at the end minus the accuracy just after learning, then the mean.",
    kind="number",
    right=metrics.backward_transfer,
    cases=_cases,
    verified="M6 on 2, 3 and 5 tasks: negative means forgetting, the mean is over the old tasks.",
    habits=(_GAPS,),
    slips=(
        Slip(
            "your answer has its sign turned round. A transfer is a gain: M6 takes the end minus the accuracy just "
            "after learning, and comes out negative where a task was forgotten.",
            lambda m: _learned(m)[:-1].mean(),
            (lambda m: _learned(m).mean(), lambda m: _learned(m).sum()),
        ),
        Slip(
            "your answer divides by the number of all tasks, the newest one with its difference of zero among them. "
            "Nothing was learned after it, so M6 is the mean over the old tasks, one fewer.",
            lambda m: -_learned(m).mean(),
        ),
        Slip(
            "your answer starts from the best accuracy so far: that is forgetting (M5) with its sign turned round. M6 "
            "starts from the accuracy just after learning, the diagonal, so that later gains count too.",
            lambda m: -np.mean(_drops(m)),
        ),
        Slip(
            "your answer is forgetting (M5): the best so far minus the end, positive where something was lost. M6 is "
            "the end minus the accuracy just after learning, the diagonal.",
            lambda m: np.mean(_drops(m)),
        ),
        Slip(
            "your answer is in percent. The matrix holds shares between 0 and 1 and M6 stays in that unit; multiply "
            "only where you print.",
            lambda m: -100 * _learned(m)[:-1].mean(),
        ),
        Slip(
            "your answer takes the size of each change, so a loss looks like a gain. M6 keeps the sign: negative where "
            "a task got worse.",
            lambda m: np.abs(_learned(m)[:-1]).mean(),
        ),
        Slip(
            "your answer compares with the stage just before the last. M6 starts from the accuracy just after each "
            "task was learned: the diagonal.",
            lambda m: (m[-1] - m[-2])[:-1].mean(),
        ),
        Slip(
            "your answer leaves out the first task. It is the oldest of the old ones, and tasks are counted from 0: "
            "look at where your loop or slice begins.",
            lambda m: -_mean(_learned(m)[1:-1]),
            (lambda m: -_learned(m)[1:].mean(),),
        ),
        Slip(
            "your answer adds up the differences. Sums grow with the number of tasks, so sequences of different length "
            "could not be compared: M6 is the mean over the old tasks.",
            lambda m: -_learned(m).sum(),
        ),
    ),
)

EXERCISES = (_FORGETTING, _AVERAGE, _BACKWARD)
