"""Exercises of notebook 02 on numbers: a temperature, softened answers, and the distillation term."""

from __future__ import annotations

import math
from collections.abc import Callable
from numbers import Real

import torch
from torch import Tensor
from torch.nn import functional

from ebll import terms
from ebll.checks.core import CheckFailed, Exercise, Slip, check
from ebll.seeds import generator

__all__ = ["distillation", "soften", "temperature"]


def temperature(value: float) -> None:
    """Check a number chosen as the temperature of distillation (theta in E3 and E3a).

    value    a number without unit; wanted: above 1 and at most 20
    source   docs/equations.md, E3a and "Slips of common summaries"; LwF and the authors' EBLL code use 2
    """

    def fail(hint: str):
        raise CheckFailed(f"temperature (E3a): {hint}")

    if value is None or value is ...:
        fail("not written yet: a number, the temperature that you would distill with.")
    if isinstance(value, torch.Tensor) and value.numel() == 1:
        value = value.item()
    if isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(value):
        shown = f"{float(value)}" if isinstance(value, float) else f"a {type(value).__name__}"
        fail(f"a finite number is wanted; {shown} came.")
    if value <= 0:
        fail(
            f"{value:g} cannot be a temperature: the logits are divided by it, and a negative one would turn "
            "their order round. Which side of 1 lifts the small probabilities?"
        )
    if value < 1:
        fail(
            f"{value:g} is below 1, which sharpens: the largest probability grows and the small ones vanish, yet those "
            "are what the old network knows about the other classes. Some summaries do print 'temperature < 1'; that "
            "is a slip, and the authors' code is on the other side of 1."
        )
    if value == 1:
        fail(
            "1 changes nothing: E3 is then cross-entropy with the old answers as they are. That works, but their small "
            "probabilities count for little. Go to the side that lifts them."
        )
    if value > 20:
        fail(
            f"{value:g} flattens everything: all classes become nearly equal, and at an unchanged weight the gradient "
            "of the term falls as 1/theta^2, so it fades; it would need a weight hundreds of times as large. Take 20 "
            "or less."
        )
    print(f"temperature: correct. {value:g} is above 1, so it lifts the small probabilities; the authors use 2.")


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
        return logits, terms.soften(before, theta), theta

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
    right=terms.soften,
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
            (lambda z, t: torch.softmax(z, dim=0),),
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
            "your answer divides by the temperature and stops: these are still logits. E3a wants probabilities, rows "
            "that sum to 1.",
            lambda z, t: z / t,
        ),
        Slip(
            "your answer divides the probabilities by the temperature, so each row sums to 1/temperature and the "
            "proportions stay as they were. To change proportions, the temperature must act before the softmax.",
            lambda z, t: torch.softmax(z, dim=1) / t,
            (lambda z, t: torch.softmax(z / t, dim=1) / t,),
        ),
    ),
)

_DISTILLATION = Exercise(
    name="distillation",
    equation="E3",
    takes=("logits_now", "soft_targets", "temperature"),
    task="the cross-entropy between the soft targets and the new logits, softened by the same temperature.",
    kind="loss",
    right=terms.distillation,
    cases=_distill_cases,
    gradient=(0,),
    verified="E3 at three sizes: sum over the classes, mean over the batch; gradient reaches logits_now.",
    slips=(
        Slip(
            "your answer is a sum over the batch. The term then grows with the batch size, and its weight would mean "
            "something else for every batch: E3 sums over the classes and takes the mean over the images.",
            lambda z, p, t: terms.distillation(z, p, t) * len(z),
        ),
        Slip(
            "your answer also divides by the number of classes, as `.mean()` over all entries does. Heads with many "
            "classes would count less: E3 sums over the classes and takes the mean over the images only.",
            lambda z, p, t: terms.distillation(z, p, t) / z.shape[1],
        ),
        Slip(
            "your answer lacks the minus of E3. Logarithms of probabilities are negative, so minimising this would "
            "push the new answers away from the old ones.",
            lambda z, p, t: -terms.distillation(z, p, t),
            (lambda z, p, t: terms.distillation(z, p, t) * -len(z),),
        ),
        Slip(
            "your answer does not apply the temperature to the new logits. The soft targets have been softened with "
            "it; the new answers can only match them if they are softened too, as in E3.",
            lambda z, p, t: terms.distillation(z, p, 1.0),
        ),
        Slip(
            "your answer multiplies by the temperature squared, as Hinton's distillation does to keep the gradient's "
            "size. E3 has factor 1: with the extra factor the distillation weight would mean something else.",
            lambda z, p, t: terms.distillation(z, p, t) * t**2,
            (lambda z, p, t: _kl(z, p, t) * t**2,),
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
            lambda z, p, t: terms.distillation(z, torch.softmax(p / t, dim=1), t),
            (
                lambda z, p, t: terms.distillation(z, functional.normalize(p ** (1 / t), p=1, dim=1), t),
                lambda z, p, t: terms.distillation(z, torch.softmax(p, dim=1), t),
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
