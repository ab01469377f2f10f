"""Exercises of notebook 08 on what goes with size: a weight from elsewhere, and what recorded answers take."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ebll.checks.core import Exercise, Slip, check

__all__ = ["alpha_from_mse", "recorded_bytes"]


def alpha_from_mse(fn: Callable) -> None:
    """Check how a weight given for `MSELoss` is turned into alpha.

    fn       fn(weight, code_size) -> alpha, a number; `weight` stands in front of `MSELoss` of two codes
    wanted   the alpha with which E4 weighs the same: 2 * weight / code_size
    source   docs/equations.md, "Reductions, and what a weight means elsewhere"
    """
    check(_ALPHA, fn)


def recorded_bytes(fn: Callable) -> None:
    """Check how much memory the answers take that EBLL records of a new task's windows.

    fn       fn(windows, classes, code_sizes) -> int, bytes; classes and code_sizes are lists with an entry an old task
    wanted   a row a window, float32: the softened answers of every old head (E3), and every old task's code (E4)
    source   docs/equations.md, E5; `ebll.EBLL.record_targets`
    """
    check(_RECORDED, fn)


_ALPHA = Exercise(
    name="alpha_from_mse",
    equation="E4",
    takes=("weight", "code_size"),
    task="the alpha with which E4 weighs as much as `weight` times `MSELoss` of the same two codes.",
    kind="number",
    right=lambda weight, size: 2 * weight / size,
    cases=lambda: [(0.5, 4), (0.1, 100), (1.0, 300), (0.02, 25)],
    verified="alpha times E4 and the weight times `MSELoss` are the same number, for codes of 4 to 300.",
    slips=(
        Slip(
            "your answer goes the other way: it is the weight in front of `MSELoss` that an alpha amounts to. Here it "
            "is given. `MSELoss` divides by the code, E4 does not, so for a long code alpha must be the smaller.",
            lambda weight, size: weight * size / 2,
            (
                lambda weight, size: weight * size,
                lambda weight, size: 2 * weight * size,
                lambda weight, size: size / (2 * weight),
            ),
        ),
        Slip(
            "your answer takes the weight over as it is. `MSELoss` is a mean over the code and E4 a sum, so the same "
            "number pulls harder there, the more the longer the code.",
            lambda weight, size: weight,
        ),
        Slip(
            "your answer forgets the half. E4 has a factor 1/2 that `MSELoss` lacks, so alpha has to make up for it.",
            lambda weight, size: weight / size,
        ),
        Slip(
            "your answer puts the half on the wrong side. E4 is already halved: alpha must be larger for it, not "
            "smaller.",
            lambda weight, size: weight / (2 * size),
            (lambda weight, size: weight / 2,),
        ),
        Slip(
            "your answer has the half and leaves the mean over the code out. The size of the code matters as well: "
            "divide by it.",
            lambda weight, size: 2 * weight,
        ),
        Slip(
            "your answer squares something that is not squared. Write both terms with the same sum of squares in them, "
            "and divide one by the other: the sum goes away, its power does not matter.",
            lambda weight, size: 2 * weight / size**2,
            (lambda weight, size: 2 * weight / size**0.5, lambda weight, size: weight / size**2),
        ),
    ),
)


def _answers(windows: int, classes: Sequence[int], sizes: Sequence[int]) -> int:
    """Bytes of what `ebll.EBLL.record_targets` gives, float32."""
    return 4 * windows * (sum(classes) + sum(sizes))


_RECORDED = Exercise(
    name="recorded_bytes",
    equation="E5",
    takes=("windows", "classes", "code_sizes"),
    task="the bytes of the recorded answers, float32: for each window every old head's and every old task's code.",
    kind="number",
    right=_answers,
    cases=lambda: [(3, [2], [4]), (10, [5, 3], [2, 6]), (7, [1000, 102], [300, 100])],
    verified="E5's recorded rows, 4 bytes a number: all old heads (E3) and all old codes (E4), a row a window.",
    slips=(
        Slip(
            "your answer counts numbers, not bytes. In float32 each takes 4.",
            lambda n, classes, sizes: n * (sum(classes) + sum(sizes)),
        ),
        Slip(
            "your answer leaves the codes out. E5 holds each window to two things: the old heads' softened answers "
            "(E3), and the old tasks' codes (E4). Both are recorded.",
            lambda n, classes, sizes: 4 * n * sum(classes),
        ),
        Slip(
            "your answer leaves the old heads' answers out. Beside the codes (E4), distillation needs a probability "
            "for each class of each old head (E3).",
            lambda n, classes, sizes: 4 * n * sum(sizes),
        ),
        Slip(
            "your answer looks at a single old task. All of them are held while the new one is learned: add up the "
            "classes of all old heads and the codes of all old tasks.",
            lambda n, classes, sizes: 4 * n * (classes[0] + sizes[0]),
            (lambda n, classes, sizes: 4 * n * (classes[-1] + sizes[-1]),),
        ),
        Slip(
            "your answer counts the tasks, not what is recorded of them. `classes` and `code_sizes` are lists: add up "
            "what is in them.",
            lambda n, classes, sizes: 4 * n * (len(classes) + len(sizes)),
            (
                lambda n, classes, sizes: 4 * n * (len(classes) + sum(sizes)),
                lambda n, classes, sizes: 4 * n * (sum(classes) + len(sizes)),
            ),
        ),
        Slip(
            "your answer turns only one of the two into bytes. Every recorded number takes 4: the heads' answers, and "
            "the codes.",
            lambda n, classes, sizes: n * (4 * sum(classes) + sum(sizes)),
            (lambda n, classes, sizes: n * (sum(classes) + 4 * sum(sizes)),),
        ),
        Slip(
            "your answer is for one window. A row is recorded for every window of the new task: each image has as many "
            "rows as versions.",
            lambda n, classes, sizes: 4 * (sum(classes) + sum(sizes)),
        ),
        Slip(
            "your answer multiplies classes and codes. They lie side by side in a row, one after the other: add them.",
            lambda n, classes, sizes: 4 * n * sum(classes) * sum(sizes),
            (lambda n, classes, sizes: 4 * n * sum(c * s for c, s in zip(classes, sizes, strict=True)),),
        ),
        Slip(
            "your answer is one number off in each old task: a code has no bias, and a head of c "
            "classes gives c probabilities, no fewer.",
            lambda n, classes, sizes: 4 * n * (sum(classes) + sum(sizes) + len(classes)),
            (lambda n, classes, sizes: 4 * n * (sum(classes) + sum(sizes) - len(classes)),),
        ),
        Slip(
            "your answer is in bits. A byte has 8 of them, and a number in float32 takes 4 bytes.",
            lambda n, classes, sizes: 8 * _answers(n, classes, sizes),
        ),
        Slip(
            "your answer takes 8 bytes a number, which is float64. What a network answers is float32: 4 bytes.",
            lambda n, classes, sizes: 2 * _answers(n, classes, sizes),
        ),
        Slip(
            "your answer is in kilobytes or megabytes. Bytes are asked for: convert only where you print.",
            lambda n, classes, sizes: _answers(n, classes, sizes) / 1e6,
            (
                lambda n, classes, sizes: _answers(n, classes, sizes) / 1e3,
                lambda n, classes, sizes: _answers(n, classes, sizes) / 2**10,
                lambda n, classes, sizes: _answers(n, classes, sizes) / 2**20,
            ),
        ),
    ),
)

EXERCISES = (_ALPHA, _RECORDED)
