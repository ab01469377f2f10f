"""One call of a function on copies of its arguments, with everything global put back after it."""

from __future__ import annotations

import contextlib
import copy
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ebll.seeds import seeded

__all__ = ["Run", "call", "unchanged"]


@dataclass
class Run:
    """What one call was given and what it left.

    value      what came back; a generator is read out into a list
    case       the arguments as they were
    arguments  the copies that the function was given, after the call
    leaves     (position,) or (position, index in the list) -> the tensor whose gradient is wanted
    mode_left  words for a global mode that the function left changed, or ""
    again      () -> the value of a second call, on fresh copies and with other random numbers, checked like the first
    """

    value: Any
    case: tuple
    arguments: tuple
    leaves: dict[tuple[int, ...], Tensor]
    mode_left: str
    again: Callable[[], Any] | None = None

    def gradients(self) -> list[tuple[tuple[int, ...], Tensor | None]]:
        """Gradient of the value with respect to each leaf, None where it does not depend on it."""
        gradients = torch.autograd.grad(self.value.sum(), list(self.leaves.values()), allow_unused=True)
        return list(zip(self.leaves, gradients, strict=True))


def call(function: Callable, case: tuple, gradient: tuple[int, ...] = (), seed: int = 0) -> Run:
    """Call a function on copies of the arguments; those at the positions in `gradient` carry gradient.

    Torch's, numpy's and Python's global random states are set for the call and put back after it, as are the gradient
    mode and the default dtype.
    """
    arguments, leaves = list(copy.deepcopy(case)), {}
    for position in gradient:
        given = arguments[position]
        if isinstance(given, list):
            for index, tensor in enumerate(given):
                leaves[position, index] = tensor.requires_grad_()
                given[index] = tensor.clone()
        else:
            leaves[position,] = given.requires_grad_()
            arguments[position] = given.clone()
    with _undisturbed(seed):
        dtype = torch.get_default_dtype()
        value = function(*arguments)
        if isinstance(value, Iterator):
            value = list(value)
        left = "" if torch.is_grad_enabled() else "gradients stay switched off for the whole session"
        if torch.get_default_dtype() != dtype:
            left = "torch's default dtype stays changed for the whole session"
    return Run(value, case, tuple(arguments), leaves, left)


def unchanged(now: object, before: object) -> bool:
    """Whether an argument still holds the same numbers; a module's modes and flags are not looked at."""
    if isinstance(before, Tensor):
        alike = isinstance(now, Tensor) and (now.shape, now.dtype) == (before.shape, before.dtype)
        return alike and torch.equal(now.detach(), before.detach())
    if isinstance(before, np.ndarray):
        return np.array_equal(now, before, equal_nan=True)
    if isinstance(before, list):
        return len(now) == len(before) and all(unchanged(*pair) for pair in zip(now, before, strict=True))
    if isinstance(before, nn.Module):
        states = now.state_dict(), before.state_dict()
        return states[0].keys() == states[1].keys() and all(unchanged(states[0][k], states[1][k]) for k in states[0])
    return now == before


@contextlib.contextmanager
def _undisturbed(seed: int) -> Iterator[None]:
    dtype, python = torch.get_default_dtype(), random.getstate()
    legacy = np.random.get_state()  # noqa: NPY002
    try:
        with seeded(seed, "checks"), torch.enable_grad():
            random.seed(seed)
            np.random.seed(seed)  # noqa: NPY002
            yield
    finally:
        random.setstate(python)
        np.random.set_state(legacy)  # noqa: NPY002
        torch.set_default_dtype(dtype)
