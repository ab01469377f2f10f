"""Exercises of notebook 07: how much a winner shrinks on fresh seeds, and choosing alpha without old data."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from ebll import sweeps
from ebll.checks.core import Exercise, Slip, check

__all__ = ["honest_alpha", "shrinkage"]


def shrinkage(fn: Callable) -> None:
    """Check how much better the best cell looks on the seeds that chose it (M4).

    fn       fn(scores, k) -> float; scores (cells, seeds), numpy: average accuracy on validation images; k at least 1
    wanted   of the cell with the best mean over the first k seeds: that mean minus its mean over the other seeds
    source   notebook 07, section 5
    """
    check(_SHRINKAGE, fn)


def honest_alpha(fn: Callable) -> None:
    """Check the choice of alpha by what a learner sees without old data: E4 on new images, and M1 on the new task.

    fn       fn(alphas, code_loss, new_accuracy, reference, tolerance) -> one of the alphas; the first three (n,),
             numpy, alphas rising; reference: fine-tuning's accuracy, tolerance: the share of it that may be lost
    wanted   the largest alpha whose code loss is not above that of the next smaller one and whose accuracy is at least
             (1 - tolerance) times the reference; the smallest alpha where there is none
    source   `ebll.sweeps.choose_alpha`
    """
    check(_HONEST, fn)


def _score_cases() -> list[tuple]:
    """Three cells and seeds, chosen by one seed; then five by four chosen by two, and four by six chosen by three."""
    small = np.array([[0.7, 0.65, 0.66], [0.6, 0.72, 0.7], [0.68, 0.7, 0.69]])
    more = np.array([[61, 62, 70, 64], [66, 60, 59, 63], [67, 58, 71, 72], [62, 63, 60, 65], [50, 52, 75, 71]]) / 100
    wide = [[80, 83, 79, 78, 84, 77], [85, 78, 82, 79, 80, 76], [70, 88, 71, 90, 86, 89], [79, 81, 84, 83, 70, 82]]
    return [(small, 1), (more, 2), (np.array(wide) / 100, 3)]


def _shrunk(best: Callable, claimed: Callable | None = None, fresh: Callable | None = None) -> Callable:
    """(scores, k) -> claimed minus fresh, of the cell that `best(scores, k)` names."""
    claimed = claimed or (lambda scores, k: scores[:, :k])
    fresh = fresh or (lambda scores, k: scores[:, k:])

    def made(scores: np.ndarray, k: int) -> float:
        cell = best(scores, k)
        return claimed(scores, k)[cell].mean() - fresh(scores, k)[cell].mean()

    return made


def _winner(scores: np.ndarray, k: int) -> int:
    return int(scores[:, :k].mean(axis=1).argmax())


def _everywhere(scores: np.ndarray, k: int) -> np.ndarray:
    return scores


_SHRINKAGE = Exercise(
    name="shrinkage",
    equation="M4",
    takes=("scores", "k"),
    task="of the cell that is best on the first k seeds, its mean there minus its mean on the other seeds.",
    kind="number",
    right=_shrunk(_winner),
    cases=_score_cases,
    verified="M4 with 3, 4 and 6 seeds: chosen by the first k, looked at on the others.",
    slips=(
        Slip(
            "your answer lets all seeds choose. Then no seed is fresh: the cell looks good on the others because they "
            "helped to choose it. Only the first k may have a say.",
            _shrunk(lambda scores, k: int(scores.mean(axis=1).argmax())),
        ),
        Slip(
            "your answer subtracts the mean over all seeds. Those that have chosen are among them and carry their luck "
            "along, so the winner seems to shrink less than it does. Take the others only.",
            _shrunk(_winner, fresh=_everywhere),
        ),
        Slip(
            "your answer compares with the best that any cell has on the other seeds. That is another cell, chosen by "
            "what should only judge. Keep the cell that the first k seeds chose, and look at it again.",
            lambda scores, k: scores[:, :k].mean(axis=1).max() - scores[:, k:].mean(axis=1).max(),
        ),
        Slip(
            "your answer has its sign turned round. Shrinkage is positive where the winner looked better on the seeds "
            "that chose it: the claimed mean minus the fresh one.",
            lambda scores, k: -_shrunk(_winner)(scores, k),
        ),
        Slip(
            "your answer lets the other seeds choose, and looks at the first k. The slice `[:, :k]` holds the first k "
            "seeds, `[:, k:]` the rest.",
            _shrunk(lambda scores, k: int(scores[:, k:].mean(axis=1).argmax())),
            (lambda scores, k: _shrunk(lambda s, n: int(s[:, n:].mean(axis=1).argmax()))(scores, k) * -1,),
        ),
        Slip(
            "your answer chooses by the best single run. A maximum over seeds looks for luck; take the mean over the "
            "first k seeds of each cell, and then the largest of these means.",
            _shrunk(lambda scores, k: int(scores[:, :k].max(axis=1).argmax())),
        ),
        Slip(
            "your answer takes the axes the wrong way round: a row is a cell, a column is a seed. The mean over seeds "
            "is `mean(axis=1)`, the first k seeds are `scores[:, :k]`.",
            lambda scores, k: _shrunk(_winner)(scores.T, k),
        ),
        Slip(
            "your answer is the mean over all cells of first seeds minus others. That says which seeds are easier, and "
            "nothing of the winner. Choose one cell first.",
            lambda scores, k: scores[:, :k].mean() - scores[:, k:].mean(),
        ),
        Slip(
            "your answer is the claimed mean alone. What makes it a shrinkage is the second look: subtract the mean of "
            "the same cell over the other seeds.",
            lambda scores, k: scores[:, :k].mean(axis=1).max(),
        ),
        Slip(
            "your answer is in percent. Scores between 0 and 1 came, and the difference stays in that unit; multiply "
            "only where you print.",
            lambda scores, k: 100 * _shrunk(_winner)(scores, k),
        ),
    ),
)


def _alpha_cases() -> list[tuple]:
    """As on a far pair; a code loss that falls again, not to its least; none that will do; and a costly hold."""
    far = (
        np.array([0.0, 1.0, 3.0, 10.0]),
        np.array([0.7, 0.05, 0.03, 0.2]),
        np.array([0.4, 0.39, 0.38, 0.37]),
        0.41,
        0.1,
    )
    alphas = np.array([0.1, 0.3, 1.0, 3.0, 10.0, 30.0])
    loss, new = np.array([0.3, 0.1, 0.12, 0.05, 0.06, 0.055]), np.array([0.93, 0.95, 0.96, 0.91, 0.9, 0.89])
    none = alphas[2:], np.array([0.5, 0.6, 0.4, 0.45]), np.array([0.5, 0.6, 0.55, 0.52]), 0.9, 0.2
    costly = alphas[1:], np.array([0.5, 0.2, 0.1, 0.05, 0.04]), np.array([0.5, 0.48, 0.47, 0.44, 0.04]), 0.52, 0.1
    return [far, (alphas, loss, new, 0.97, 0.09), none, costly]


def _honest(alphas: np.ndarray, code_loss: np.ndarray, new: np.ndarray, reference: float, tolerance: float) -> float:
    """By the library: one run an alpha, beside one of fine-tuning."""
    rows = {"method": "ebll", "alpha": alphas, "seed": 0, "new_validation": new, "code_loss": code_loss}
    plain = {"method": ["finetune"], "seed": [0], "new_validation": [reference]}
    unseen = dict.fromkeys(("old_validation", "old", "new", "average"), 0.0)
    table = pd.concat([pd.DataFrame(rows | unseen), pd.DataFrame(plain)], ignore_index=True)
    return sweeps.choose_alpha(table, tolerance=tolerance).honest


def _largest(good: np.ndarray, alphas: np.ndarray) -> float:
    return float(alphas[good].max()) if good.any() else float(alphas[0])


def _holds(code_loss: np.ndarray) -> np.ndarray:
    return np.diff(code_loss, prepend=np.inf) <= 0


def _upwards(good: np.ndarray, alphas: np.ndarray) -> float:
    """Walk up from the smallest and stop before the first bad one."""
    return float(alphas[max(0, int(np.argmin(good)) - 1 if not good.all() else len(good) - 1)])


_HONEST = Exercise(
    name="honest_alpha",
    equation="E4",
    takes=("alphas", "code_loss", "new_accuracy", "reference", "tolerance"),
    task="the largest alpha at which the code loss has not grown and the new task is still learned well enough.",
    kind="number",
    right=_honest,
    cases=_alpha_cases,
    verified="E4 must not grow and M1 must hold; tried on 4 to 6 alphas, once where none will do.",
    slips=(
        Slip(
            "your answer does not look at the code loss. Where the steps overshoot, the new task may be learned as "
            "well as ever while the old one is lost; a code loss that grows with alpha is the only sign of it.",
            lambda a, c, n, r, t: _largest(n >= (1 - t) * r, a),
        ),
        Slip(
            "your answer does not look at the new task. A strong hold may cost more of it than the tolerance allows: "
            "ask for at least (1 - tolerance) times the reference.",
            lambda a, c, n, r, t: _largest(_holds(c), a),
        ),
        Slip(
            "your answer takes the smallest alpha that will do. The honest choice begins with the strongest protection "
            "and gives way only as far as it must, so it goes from the largest down.",
            lambda a, c, n, r, t: float(next(iter(a[_holds(c) & (n >= (1 - t) * r)]), a[0])),
        ),
        Slip(
            "your answer takes the tolerance for points: reference minus tolerance. It is a share of the reference, so "
            "that it means the same on an easy and on a hard task: (1 - tolerance) times the reference.",
            lambda a, c, n, r, t: _largest(_holds(c) & (n >= r - t), a),
        ),
        Slip(
            "your answer asks for only tolerance times the reference. The tolerance is the share that may be lost, so "
            "the share that must be kept is what is left of 1: (1 - tolerance) times the reference.",
            lambda a, c, n, r, t: _largest(_holds(c) & (n >= t * r), a),
        ),
        Slip(
            "your answer is the alpha at which the new task is learned best. That is usually the weakest protection. "
            "The new task only has to be learned well enough; beyond that, hold as much as possible.",
            lambda a, c, n, r, t: float(a[n.argmax()]),
        ),
        Slip(
            "your answer is the alpha with the smallest code loss. It may cost the new task too much; and a loss that "
            "is a little larger at a larger alpha only says that the steps have begun to overshoot.",
            lambda a, c, n, r, t: float(a[c.argmin()]),
            (lambda a, c, n, r, t: float(a[len(c) - 1 - c[::-1].argmin()]),),
        ),
        Slip(
            "your answer compares with the code loss of the next larger alpha. What tells is whether going up to this "
            "alpha has made it grow, so compare with the next smaller one.",
            lambda a, c, n, r, t: _largest((np.diff(c, append=np.inf) >= 0) & (n >= (1 - t) * r), a),
        ),
        Slip(
            "your answer asks for a code loss below that of every smaller alpha. It may have been lower far to the "
            "left; what tells is whether the last step up has made it grow. Compare with the next smaller alone.",
            lambda a, c, n, r, t: _largest((c <= np.minimum.accumulate(c)) & (n >= (1 - t) * r), a),
        ),
        Slip(
            "your answer goes up from the smallest alpha and stops before the first that will not do. By chance a code "
            "loss may grow a little early on, so begin at the largest and go down.",
            lambda a, c, n, r, t: _upwards(_holds(c) & (n >= (1 - t) * r), a),
        ),
        Slip(
            "your answer measures the new task against the smallest alpha. The reference is the accuracy of "
            "fine-tuning, which is given: what could be had with no protection at all.",
            lambda a, c, n, r, t: _largest(_holds(c) & (n >= (1 - t) * n[0]), a),
        ),
        Slip(
            "your answer gives the place of the alpha in the list. Wanted is the alpha itself: take the entry of "
            "`alphas` at that place.",
            lambda a, c, n, r, t: float(np.flatnonzero(a == _honest(a, c, n, r, t))[0]),
        ),
        Slip(
            "your answer falls back to the largest alpha where none will do. That is where the most is at stake; the "
            "smallest is the least harm.",
            lambda a, c, n, r, t: _largest(g, a) if (g := _holds(c) & (n >= (1 - t) * r)).any() else float(a[-1]),
        ),
    ),
)

EXERCISES = (_SHRINKAGE, _HONEST)
