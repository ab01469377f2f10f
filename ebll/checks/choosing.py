"""Exercise of notebook 02: a number to choose, the temperature."""

from __future__ import annotations

import math
from numbers import Real

import numpy as np
import torch

from ebll.checks.core import CheckFailed

__all__ = ["temperature"]


def temperature(value: float) -> None:
    """Check a number chosen as the temperature of distillation (theta in E3 and E3a).

    value    a number without unit; wanted: above 1 and at most 20
    source   docs/equations.md, E3a and "Slips of common summaries"; LwF and the authors' EBLL code use 2
    """

    def fail(hint: str):
        raise CheckFailed(f"temperature (E3a): {hint}")

    if value is None or value is ...:
        fail("not written yet: a number, the temperature that you would distill with.")
    if isinstance(value, torch.Tensor | np.ndarray) and math.prod(value.shape) == 1:
        value = value.item()
    if isinstance(value, bool | np.bool_) or not isinstance(value, Real):
        fail(f"a finite number is wanted; a {type(value).__name__} came.")
    try:
        value = float(value)
    except OverflowError:
        value = math.inf
    if not math.isfinite(value):
        fail(f"a finite number is wanted; {value} came.")
    if value <= 0:
        fail(
            f"{value:g} cannot be a temperature: the logits are divided by it, and a negative one would turn "
            "their order round. Which side of 1 lifts the small probabilities?"
        )
    if value < 1:
        fail(
            f"{value:.12g} is below 1, which sharpens: the largest probability grows and the small ones vanish, yet "
            "those are what the old network knows about the other classes. Some summaries do print 'temperature < 1'; "
            "that is a slip, and the authors' code is on the other side of 1."
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
