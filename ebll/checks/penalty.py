"""Exercise of notebook 06: the quadratic penalty of Elastic Weight Consolidation."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ebll import losses
from ebll.checks.core import Exercise, Slip, check
from ebll.seeds import generator

__all__ = ["quadratic_penalty"]

Tensors = list[Tensor]


def quadratic_penalty(fn: Callable) -> None:
    """Check E6, the penalty of EWC.

    fn       fn(now, before, fisher) -> tensor with one number; three lists of tensors of the same shapes, now carries
             gradient
    wanted   factor 1/2, sum over all parameters of importance times squared difference; gradient reaches now
    source   docs/equations.md, E6; EWC equation 3
    """
    check(_PENALTY, fn)


def _penalty_cases() -> list[tuple]:
    def case(*shapes):
        draw = generator(0, "checks", "penalty", *shapes[0])
        now, before = ([torch.randn(shape, generator=draw, dtype=torch.float32) for shape in shapes] for _ in range(2))
        return now, before, [torch.rand(shape, generator=draw, dtype=torch.float32) + 0.1 for shape in shapes]

    by_hand = ([[1.0, 3.0], [0.0]], [[0.0, 1.0], [1.0]], [[2.0, 0.5], [4.0]])
    small = tuple([torch.tensor(part, dtype=torch.float32) for part in parts] for parts in by_hand)
    return [small, case((3, 4), (3,)), case((5,), (2, 3), (2,), (1, 2, 2))]


def _penalty(part: Callable[[Tensor, Tensor], Tensor], scale: float = 0.5) -> Callable:
    """Scale times the sum over all tensors of part(difference, fisher), summed."""

    def wrong(now, before, fisher):
        return scale * sum(part(a - b, f).sum() for a, b, f in zip(now, before, fisher, strict=True))

    return wrong


def _count(tensors: Tensors) -> int:
    return sum(tensor.numel() for tensor in tensors)


_PENALTY = Exercise(
    name="quadratic_penalty",
    equation="E6",
    takes=("now", "before", "fisher"),
    task="half the sum over all parameters of importance times squared difference.",
    kind="loss",
    right=losses.quadratic_penalty,
    cases=_penalty_cases,
    gradient=(0,),
    verified="E6 on two to four tensors: squared, weighted by the Fisher, halved, summed; gradient reaches now.",
    slips=(
        Slip(
            "your answer does not square the difference, a slip that some summaries print too. It can go negative, so "
            "minimising it rewards moving one way without end: E6 has the square, which pulls back from both sides.",
            _penalty(lambda d, f: f * d),
            (_penalty(lambda d, f: f * d, 1.0), _penalty(lambda d, f: (f * d).mean())),
        ),
        Slip(
            "your answer takes the size of the difference without its square. Its pull is as strong for a tiny move as "
            "for a large one, so it never fades near the old value: E6 squares.",
            _penalty(lambda d, f: f * d.abs()),
            (_penalty(lambda d, f: f * d.abs(), 1.0),),
        ),
        Slip(
            "your answer is twice E6: the factor 1/2 is missing. Papers and programs differ in this, and the weight "
            "in front means half as much in one as in the other.",
            _penalty(lambda d, f: f * d.square(), 1.0),
        ),
        Slip(
            "your answer takes a mean instead of the sum over parameters. The pull would then be weaker the larger "
            "the network, or a tensor in it, is: E6 sums over every single parameter.",
            lambda now, before, fisher: losses.quadratic_penalty(now, before, fisher) / _count(now),
            (
                _penalty(lambda d, f: (f * d.square()).mean()),
                _penalty(lambda d, f: (f * d.square()).mean(), 1.0),
                lambda now, before, fisher: losses.quadratic_penalty(now, before, fisher) / len(now),
                lambda now, before, fisher: 2 * losses.quadratic_penalty(now, before, fisher) / _count(now),
            ),
        ),
        Slip(
            "your answer does not use the Fisher information: every parameter is held alike. What EWC adds is that the "
            "unimportant ones may move; in E6 each squared difference is weighted by its own importance.",
            _penalty(lambda d, f: d.square()),
            (_penalty(lambda d, f: d.square(), 1.0), _penalty(lambda d, f: d.square().mean(), 1.0)),
        ),
        Slip(
            "your answer squares the Fisher information too. It is a mean of squares already (E7): in E6 only the "
            "difference is squared.",
            _penalty(lambda d, f: (f * d).square()),
            (_penalty(lambda d, f: (f * d).square(), 1.0),),
        ),
        Slip(
            "your answer counts a single tensor of the list. The others could move freely: E6 sums over all "
            "parameters, so go through the three lists side by side.",
            lambda now, before, fisher: losses.quadratic_penalty(now[:1], before[:1], fisher[:1]),
            (
                lambda now, before, fisher: losses.quadratic_penalty(now[-1:], before[-1:], fisher[-1:]),
                lambda now, before, fisher: 2 * losses.quadratic_penalty(now[:1], before[:1], fisher[:1]),
                lambda now, before, fisher: 2 * losses.quadratic_penalty(now[-1:], before[-1:], fisher[-1:]),
            ),
        ),
        Slip(
            "your answer halves the differences before they are squared, which makes a quarter. In E6 the 1/2 stands "
            "outside the square.",
            _penalty(lambda d, f: f * d.square(), 0.25),
        ),
        Slip(
            "your answer squares the sum of a tensor, in which positive and negative differences have cancelled. E6 "
            "squares each difference first, weighs it, then sums.",
            lambda now, before, fisher: (
                0.5 * sum((f * (a - b)).sum().square() for a, b, f in zip(now, before, fisher, strict=True))
            ),
            (
                lambda now, before, fisher: sum(
                    (f * (a - b)).sum().square() for a, b, f in zip(now, before, fisher, strict=True)
                ),
            ),
        ),
        Slip(
            "your answer has its sign turned round: minimising it would drive the parameters away from the old ones. "
            "E6 is never negative.",
            _penalty(lambda d, f: -f * d.square()),
        ),
    ),
)

EXERCISES = (_PENALTY,)
