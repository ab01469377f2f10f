"""Exercises of notebook 02: softened answers and the distillation term."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from ebll import losses
from ebll.checks.core import Exercise, Slip, check
from ebll.seeds import generator

__all__ = ["distillation", "soften"]


def soften(fn: Callable) -> None:
    """Check E3a, softened answers.

    fn       fn(logits, temperature) -> tensor; logits (batch, classes), temperature a float above 0
    wanted   (batch, classes), each row sums to 1
    source   docs/equations.md, E3a; LwF; EBLL section 3.3.3
    """
    check(_SOFTEN, fn)


def distillation(fn: Callable) -> None:
    """Check E3, the distillation term.

    fn       fn(logits_now, soft_targets, temperature) -> tensor with one number; logits_now (batch, classes) carry
             gradient, soft_targets (batch, classes) are probabilities that have been softened already
    wanted   cross-entropy, sum over the classes, mean over the batch, factor 1; gradient reaches logits_now
    source   docs/equations.md, E3; LwF; EBLL section 3.3.3
    """
    check(_DISTILLATION, fn)


def _logits(name: str, rows: int, classes: int) -> Tensor:
    return 2 * torch.randn(rows, classes, generator=generator(0, "checks", name, rows), dtype=torch.float32)


def _soften_cases() -> list[tuple]:
    small = torch.tensor([[2.0, 0.0, -2.0], [0.0, 1.0, 1.0]], dtype=torch.float32)
    return [(small, 2.0), (_logits("soften", 4, 5), 3.5), (_logits("soften", 7, 4), 1.25)]


def _distill_cases() -> list[tuple]:
    def case(logits, before, theta):
        return logits, losses.soften(before, theta), theta

    now = torch.tensor([[2.0, 0.0, -2.0], [0.0, 1.0, 1.0]], dtype=torch.float32)
    before = torch.tensor([[0.0, 2.0, 0.0], [1.0, 0.0, 3.0]], dtype=torch.float32)
    return [
        case(now, before, 2.0),
        case(_logits("now", 4, 6), _logits("before", 4, 6), 3.5),
        case(_logits("now", 7, 3), _logits("before", 7, 3), 1.5),
    ]


def _kl(now: Tensor, targets: Tensor, theta: float, reduction: str = "batchmean") -> Tensor:
    return functional.kl_div(torch.log_softmax(now / theta, dim=1), targets, reduction=reduction)


_SOFTEN = Exercise(
    name="soften",
    equation="E3a",
    takes=("logits", "temperature"),
    task="turn logits (batch, classes) into probabilities, softened by the temperature.",
    kind="tensor",
    right=losses.soften,
    cases=_soften_cases,
    verified="E3a for three sizes and temperatures: every row sums to 1, the order of the classes stays.",
    slips=(
        Slip(
            "your answer multiplies by the temperature, which is the same as dividing by its inverse, a temperature "
            "below 1. That sharpens: the largest probability grows. E3a should lift the small ones.",
            lambda z, t: torch.softmax(z * t, dim=1),
            (lambda z, t: functional.normalize(torch.softmax(z, dim=1) ** t, p=1, dim=1),),
        ),
        Slip(
            "your answer is the plain softmax; the temperature has no effect in it. Without it the old network's small "
            "probabilities are too small to teach anything: bring the temperature of E3a in.",
            lambda z, t: torch.softmax(z, dim=1),
        ),
        Slip(
            "your answer takes the softmax over the batch: the columns sum to 1, so images compete with one another. "
            "E3a turns each image's logits into probabilities of its classes, so the rows must sum to 1.",
            lambda z, t: torch.softmax(z / t, dim=0),
            (
                lambda z, t: torch.softmax(z, dim=0),
                lambda z, t: torch.softmax(z * t, dim=0),
                lambda z, t: functional.normalize(torch.softmax(z, dim=1) ** (1 / t), p=1, dim=0),
            ),
        ),
        Slip(
            "your answer raises the probabilities to the power 1/temperature and leaves it at that, so the rows do not "
            "sum to 1. E3a has a denominator: divide each row by its sum.",
            lambda z, t: torch.softmax(z, dim=1) ** (1 / t),
            (lambda z, t: torch.exp(z / t),),
        ),
        Slip(
            "your answer holds logarithms of probabilities: they are negative. E3 needs the logarithm of the new "
            "answers only; the soft targets of E3a are probabilities.",
            lambda z, t: torch.log_softmax(z / t, dim=1),
            (lambda z, t: torch.log_softmax(z, dim=1),),
        ),
        Slip(
            "your answer holds logits: no softmax has been taken. E3a wants probabilities, rows that sum to 1, from "
            "the logits divided by the temperature.",
            lambda z, t: z / t,
            (lambda z, t: z, lambda z, t: z * t),
        ),
        Slip(
            "your answer divides or multiplies the probabilities by the temperature, which changes no proportions: the "
            "rows only cease to sum to 1. In E3a the temperature acts before the softmax, and nowhere else.",
            lambda z, t: torch.softmax(z, dim=1) / t,
            (
                lambda z, t: torch.softmax(z / t, dim=1) / t,
                lambda z, t: torch.softmax(z, dim=1) * t,
                lambda z, t: torch.softmax(z / t, dim=1) * t,
                lambda z, t: torch.softmax(z / t, dim=1) * t**2,
            ),
        ),
        Slip(
            "your answer divides by one sum over the whole batch, so only all rows together sum to 1. In E3a each row "
            "has a sum of its own: `dim=1`, and `keepdim=True` to divide by it.",
            lambda z, t: torch.exp(z / t) / torch.exp(z / t).sum(),
        ),
        Slip(
            "your answer takes the softmax twice. Probabilities differ by less than 1, so the second one makes them "
            "nearly equal: in E3a the logits themselves are divided by the temperature.",
            lambda z, t: torch.softmax(torch.softmax(z, dim=1) / t, dim=1),
            (
                lambda z, t: torch.softmax(torch.softmax(z / t, dim=1), dim=1),
                lambda z, t: torch.softmax(torch.softmax(z, dim=1) ** (1 / t), dim=1),
            ),
        ),
        Slip(
            "your answer takes the sigmoid of each logit, which knows nothing of the other classes: the rows do not "
            "sum to 1. E3a is a softmax.",
            lambda z, t: torch.sigmoid(z / t),
            (lambda z, t: torch.sigmoid(z),),
        ),
    ),
)

_DISTILLATION = Exercise(
    name="distillation",
    equation="E3",
    takes=("logits_now", "soft_targets", "temperature"),
    task="the cross-entropy between the soft targets and the new logits, softened by the same temperature.",
    kind="loss",
    right=losses.distillation,
    cases=_distill_cases,
    gradient=(0,),
    verified="E3 at three sizes: sum over the classes, mean over the batch; gradient reaches logits_now.",
    slips=(
        Slip(
            "your answer is a sum over the batch. The term then grows with the batch size, and its weight would mean "
            "something else for every batch: E3 sums over the classes and takes the mean over the images.",
            lambda z, p, t: losses.distillation(z, p, t) * len(z),
            (lambda z, p, t: _kl(z, p, t, "sum"),),
        ),
        Slip(
            "your answer also divides by the number of classes, as `.mean()` over all entries does. Heads with many "
            "classes would count less: E3 sums over the classes and takes the mean over the images only.",
            lambda z, p, t: losses.distillation(z, p, t) / z.shape[1],
        ),
        Slip(
            "your answer averages over the classes and adds up the images: the axes are the wrong way round. E3 sums "
            "along each row (`dim=1`) and takes the mean over the rows.",
            lambda z, p, t: losses.distillation(z, p, t) * len(z) / z.shape[1],
        ),
        Slip(
            "your answer multiplies the new logits by the temperature, as a temperature below 1 would: that sharpens. "
            "The soft targets come from logits divided by it; E3 softens the new ones alike.",
            lambda z, p, t: losses.distillation(z, p, 1 / t),
        ),
        Slip(
            "your answer takes a softmax twice: `cross_entropy` and `log_softmax` want logits and do it themselves. "
            "Twice flattens the new answers, so that they could never match the targets of E3.",
            lambda z, p, t: losses.distillation(torch.softmax(z / t, dim=1), p, 1.0),
            (
                lambda z, p, t: losses.distillation(torch.softmax(z, dim=1), p, 1.0),
                lambda z, p, t: losses.distillation(torch.softmax(z, dim=1), p, t),
                lambda z, p, t: losses.distillation(torch.softmax(z / t, dim=1), p, t),
            ),
        ),
        Slip(
            "your answer takes the softmax over the batch (`dim=0`), so images compete with one another. In E3 the "
            "classes of one image do: `dim=1`.",
            lambda z, p, t: -(p * torch.log_softmax(z / t, dim=0)).sum(dim=1).mean(),
        ),
        Slip(
            "your answer is half of E3. The factor 1/2 belongs to the squared distances (E2a, E4); a cross-entropy has "
            "none.",
            lambda z, p, t: 0.5 * losses.distillation(z, p, t),
        ),
        Slip(
            "your answer lacks the minus of E3. Logarithms of probabilities are negative, so minimising this would "
            "push the new answers away from the old ones.",
            lambda z, p, t: -losses.distillation(z, p, t),
            (
                lambda z, p, t: losses.distillation(z, p, t) * -len(z),
                lambda z, p, t: -losses.distillation(z, p, t) / z.shape[1],
                lambda z, p, t: -losses.distillation(z, p, 1.0),
            ),
        ),
        Slip(
            "your answer does not apply the temperature to the new logits. The soft targets have been softened with "
            "it; the new answers can only match them if they are softened too, as in E3.",
            lambda z, p, t: losses.distillation(z, p, 1.0),
            (
                lambda z, p, t: losses.distillation(z, p, 1.0) * len(z),
                lambda z, p, t: losses.distillation(z, p, 1.0) / z.shape[1],
                lambda z, p, t: _kl(z, p, 1.0),
            ),
        ),
        Slip(
            "your answer multiplies by the temperature squared, as Hinton's distillation does to keep the gradient's "
            "size. E3 has factor 1: with the extra factor the distillation weight would mean something else.",
            lambda z, p, t: losses.distillation(z, p, t) * t**2,
            (
                lambda z, p, t: _kl(z, p, t) * t**2,
                lambda z, p, t: _kl(z, p, t) * t**2 / z.shape[1],
            ),
        ),
        Slip(
            "your answer is E3 times the temperature. In E3 it acts inside the softmax only, and the factor is 1.",
            lambda z, p, t: losses.distillation(z, p, t) * t,
        ),
        Slip(
            "your answer is the Kullback-Leibler divergence. It is smaller than E3 by the entropy of the soft targets, "
            "a constant: the gradient is the same, but the value is not. E3 is the cross-entropy.",
            _kl,
        ),
        Slip(
            "your answer is the Kullback-Leibler divergence with a mean over all entries, the default of `kl_div`. It "
            "divides by the number of classes as well and subtracts the targets' entropy: E3 is the cross-entropy, "
            "summed over the classes.",
            lambda z, p, t: _kl(z, p, t, "batchmean") / z.shape[1],
        ),
        Slip(
            "your answer has student and teacher swapped: the logarithm is taken of the soft targets. In E3 the old "
            "answers weigh and the new answers stand in the logarithm; the other way round has another gradient.",
            lambda z, p, t: -(torch.softmax(z / t, dim=1) * p.log()).sum(dim=1).mean(),
            (lambda z, p, t: -(torch.softmax(z, dim=1) * p.log()).sum(dim=1).mean(),),
        ),
        Slip(
            "your answer multiplies the two sets of probabilities without a logarithm. That is not a cross-entropy: it "
            "is smallest when all the weight is on one class. E3 takes the logarithm of the new answers.",
            lambda z, p, t: -(p * torch.softmax(z / t, dim=1)).sum(dim=1).mean(),
            (lambda z, p, t: (p * torch.softmax(z / t, dim=1)).sum(dim=1).mean(),),
        ),
        Slip(
            "your answer is a squared error between probabilities. It hardly sees the small probabilities, which "
            "softening has lifted for a purpose: E3 is a cross-entropy.",
            lambda z, p, t: (torch.softmax(z / t, dim=1) - p).square().sum(dim=1).mean(),
            (
                lambda z, p, t: (torch.softmax(z / t, dim=1) - p).square().mean(),
                lambda z, p, t: 0.5 * (torch.softmax(z / t, dim=1) - p).square().sum(dim=1).mean(),
            ),
        ),
        Slip(
            "your answer softens the soft targets once more. They come in as probabilities at this temperature, as E3a "
            "made them; use them as they are.",
            lambda z, p, t: losses.distillation(z, torch.softmax(p / t, dim=1), t),
            (
                lambda z, p, t: losses.distillation(z, functional.normalize(p ** (1 / t), p=1, dim=1), t),
                lambda z, p, t: losses.distillation(z, torch.softmax(p, dim=1), t),
            ),
        ),
        Slip(
            "your answer keeps only the old network's first choice. What distillation passes on is how likely the "
            "other classes seemed: E3 sums over all classes, weighted by the soft targets.",
            lambda z, p, t: functional.cross_entropy(z / t, p.argmax(dim=1)),
            (lambda z, p, t: functional.cross_entropy(z, p.argmax(dim=1)),),
        ),
    ),
)

EXERCISES = (_SOFTEN, _DISTILLATION)
