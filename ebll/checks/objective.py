"""Exercises of notebook 04 on what EBLL adds: the code term and the objective."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ebll import losses
from ebll.checks.core import Exercise, Slip, check
from ebll.checks.halves import half_square_slips, pair
from ebll.seeds import generator

__all__ = ["code_distance", "ebll_objective"]


def code_distance(fn: Callable) -> None:
    """Check E4, the distance of an old task's codes.

    fn       fn(code_now, code_before) -> tensor with one number; both (batch, code), the first carries gradient
    wanted   factor 1/2, sum over the code, mean over the batch; gradient reaches code_now
    source   docs/equations.md, E4; EBLL section 3.3.3
    """
    check(_DISTANCE, fn)


def ebll_objective(fn: Callable) -> None:
    """Check E5, the whole objective of EBLL, from its parts.

    fn       fn(task_loss, distill_losses, code_losses, alphas, distill_weight) -> tensor with one number; task_loss ()
             is E1, distill_losses (old,) holds E3 and code_losses (old,) E4 of each old task, alphas is a list of as
             many floats, distill_weight a float
    wanted   E1 + distill_weight * sum of E3 + sum of alpha_t * E4; gradient reaches all three losses
    source   docs/equations.md, E5; EBLL sections 3.3.3 and 3.4
    """
    check(_OBJECTIVE, fn)


def _codes(rows: int, size: int) -> tuple[Tensor, Tensor]:
    draw = generator(0, "checks", "codes", rows, size)
    now, before = torch.rand(2, rows, size, generator=draw, dtype=torch.float32)
    return now, before


_DISTANCE = Exercise(
    name="code_distance",
    equation="E4",
    takes=("code_now", "code_before"),
    task="half the squared distance of the two codes of each row, and the mean over the rows.",
    kind="loss",
    right=losses.code_distance,
    cases=lambda: [
        pair([[0.5, 0.2, 0.9], [0.1, 0.6, 0.4]], [[0.5, 0.4, 0.8], [0.3, 0.6, 0.0]]),
        _codes(5, 3),
        _codes(4, 7),
    ],
    gradient=(0,),
    verified="E4 on three sizes: factor 1/2, sum over the code, mean over the batch; gradient reaches code_now.",
    slips=half_square_slips("E4", "alpha", "code"),
)


def _parts() -> list[tuple]:
    def case(task, distill, code, alphas, weight):
        return (*(torch.tensor(part, dtype=torch.float32) for part in (task, distill, code)), alphas, weight)

    return [
        case(1.0, [0.5, 0.25], [0.2, 0.1], [3.0, 1.0], 2.0),
        case(0.7, [0.9, 0.4, 1.3], [0.15, 0.6, 0.35], [0.5, 2.0, 7.0], 0.5),
        case(1.9, [0.35], [0.8], [4.0], 3.0),
    ]


def _sum(
    distill: Callable = lambda d, w: w * d.sum(),
    code: Callable = lambda c, a: (torch.tensor(a) * c).sum(),
    task: Callable = lambda loss, w: loss,
) -> Callable:
    """E5 with one of its parts exchanged."""
    return lambda loss, d, c, a, w: task(loss, w) + distill(d, w) + code(c, a)


def _mean_distill(d: Tensor, w: float) -> Tensor:
    return w * d.mean()


def _mean_code(c: Tensor, a: list[float]) -> Tensor:
    return (torch.tensor(a) * c).mean()


_OBJECTIVE = Exercise(
    name="ebll_objective",
    equation="E5",
    takes=("task_loss", "distill_losses", "code_losses", "alphas", "distill_weight"),
    task="the task loss, the weighted distillation of all old tasks, and each code loss with its own alpha, added up.",
    kind="loss",
    right=_sum(),
    cases=_parts,
    gradient=(0, 1, 2),
    verified="E5 with one, two and three old tasks: sums, one alpha per task; gradient reaches all three losses.",
    slips=(
        Slip(
            "your answer takes a mean over the old tasks. Then each old task counts less the more there are, while the "
            "new one keeps its full weight: E5 sums over the old tasks.",
            _sum(_mean_distill, _mean_code),
            (_sum(_mean_distill), _sum(code=_mean_code)),
        ),
        Slip(
            "your answer uses one alpha for all old tasks. Each encoder may have its own code size and scale, so E5 "
            "has an alpha_t for each: pair them up.",
            _sum(code=lambda c, a: a[0] * c.sum()),
            (
                _sum(code=lambda c, a: sum(a) / len(a) * c.sum()),
                _sum(code=lambda c, a: a[-1] * c.sum()),
                _sum(code=lambda c, a: sum(a) * c.sum()),
                _sum(code=lambda c, a: max(a) * c.sum()),
                _sum(lambda d, w: d.sum(), lambda c, a: a[0] * c.sum()),
            ),
        ),
        Slip(
            "your answer counts the task loss once for each old task. In E5 the new task has one loss, with weight 1, "
            "and only the terms that hold the old tasks are summed over them.",
            lambda loss, d, c, a, w: len(a) * loss + w * d.sum() + (torch.tensor(a) * c).sum(),
        ),
        Slip(
            "your answer takes half of each alpha. The 1/2 of the formula is already inside E4, which the code losses "
            "are; a second one halves what alpha means.",
            _sum(code=lambda c, a: 0.5 * (torch.tensor(a) * c).sum()),
        ),
        Slip(
            "your answer does not use `distill_weight`. In E5 it says how much the old answers count beside the new "
            "task.",
            _sum(lambda d, w: d.sum()),
        ),
        Slip(
            "your answer applies `distill_weight` to the code losses too. In E5 they have weights of their own, the "
            "alphas; this way changing one knob would turn both.",
            lambda loss, d, c, a, w: loss + w * (d.sum() + (torch.tensor(a) * c).sum()),
            (lambda loss, d, c, a, w: loss + d.sum() + w * (torch.tensor(a) * c).sum(),),
        ),
        Slip(
            "your answer puts `distill_weight` on the task loss. In E5 the new task has weight 1, and the weights say "
            "how strongly the old tasks hold against it.",
            _sum(lambda d, w: d.sum(), task=lambda loss, w: w * loss),
            (
                _sum(task=lambda loss, w: w * loss),
                _sum(task=lambda loss, w: (1 - w) * loss),
                lambda loss, d, c, a, w: w * (loss + d.sum() + (torch.tensor(a) * c).sum()),
            ),
        ),
        Slip(
            "your answer does not use the alphas. In E5 each code loss has its own weight; without them the code term "
            "is as strong as chance makes it.",
            _sum(code=lambda c, a: c.sum()),
            (_sum(lambda d, w: d.sum(), lambda c, a: c.sum()), _sum(code=lambda c, a: len(a) * c.sum())),
        ),
        Slip(
            "your answer weighs the distillation with the alphas. In E5 they belong to the code losses, and the "
            "distillation has one weight for all old tasks.",
            lambda loss, d, c, a, w: loss + (torch.tensor(a) * d).sum() + w * c.sum(),
            (lambda loss, d, c, a, w: loss + (torch.tensor(a) * (w * d + c)).sum(),),
        ),
        Slip(
            "your answer has no code term: this is Learning without Forgetting. What EBLL adds in E5 is the sum of the "
            "code losses, each with its alpha.",
            _sum(code=lambda c, a: 0.0),
        ),
        Slip(
            "your answer has no distillation: only the codes are held. The operator T is shared as well, and E5 holds "
            "it through the old answers (E3).",
            _sum(lambda d, w: 0.0),
        ),
        Slip(
            "your answer has no task loss, so the new task would not be learned at all. E5 begins with E1.",
            _sum(task=lambda loss, w: 0.0),
        ),
        Slip(
            "your answer counts a single old task. The others would be forgotten: E5 sums over all of them.",
            _sum(lambda d, w: w * d[-1], lambda c, a: a[-1] * c[-1]),
            (
                _sum(lambda d, w: w * d[0], lambda c, a: a[0] * c[0]),
                _sum(code=lambda c, a: a[-1] * c[-1]),
                _sum(code=lambda c, a: a[0] * c[0]),
                _sum(lambda d, w: w * d[-1]),
                _sum(lambda d, w: w * d[0]),
            ),
        ),
        Slip(
            "your answer leaves out the first old task. Tasks are counted from 0: look at where your loop begins; E5 "
            "sums over all of them.",
            _sum(lambda d, w: w * d[1:].sum(), lambda c, a: (torch.tensor(a[1:]) * c[1:]).sum()),
        ),
        Slip(
            "your answer subtracts the terms of the old tasks, so training would drive the network away from them. All "
            "terms of E5 are to be small: add them.",
            _sum(lambda d, w: -w * d.sum(), lambda c, a: -(torch.tensor(a) * c).sum()),
        ),
    ),
)


EXERCISES = (_DISTANCE, _OBJECTIVE)
