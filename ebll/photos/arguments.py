"""What callers hand in besides files and settings: devices, numbers of channels and functions, refused in words."""

from __future__ import annotations

import math
from numbers import Real

import torch

from ebll.errors import InputError

__all__ = ["check_channels", "check_device", "check_function"]


def check_function(value: object, name: str, of: str) -> None:
    """Raise `InputError` for what is neither None nor can be called; `of` says what it is called with."""
    if value is not None and not callable(value):
        raise InputError(f"{name} takes a function of {of}, or None; got {value!r} of type {type(value).__name__}.")


def check_device(device: object) -> torch.device:
    """A device that is here and can hold images; raises `InputError` for any other."""
    if not isinstance(device, str | torch.device):
        raise InputError(
            f"device takes a name such as 'cpu' or 'cuda'; got {device!r} of type {type(device).__name__}."
        )
    try:
        found = torch.device(device)
    except (RuntimeError, ValueError):
        raise InputError(f"device: torch knows none called {str(device)!r}. Name 'cpu', or 'cuda' for a GPU.") from None
    try:
        torch.empty(1, device=found).cpu()  # "meta" can make a tensor, but has no bytes to give back
    except (RuntimeError, AssertionError, ImportError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
        raise InputError(f"device {str(device)!r} cannot be used here: {reason}. Use 'cpu'.") from error
    return found


def check_channels(mean: object, deviation: object) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and deviation as three finite numbers each, from lists, tuples, arrays or tensors; else `InputError`."""
    means, deviations = _three(mean), _three(deviation)
    if not means or not deviations or min(deviations) <= 0:
        raise InputError(
            f"mean and deviation are three numbers each, a deviation above 0; got {mean!r} and {deviation!r}."
        )
    return means, deviations


def _three(values: object) -> tuple[float, ...]:
    """Three finite numbers, or none for anything else."""
    held = values.tolist() if hasattr(values, "tolist") else values
    if not isinstance(held, list | tuple) or len(held) != 3:
        return ()
    if not all(isinstance(value, Real) and not isinstance(value, bool) for value in held):
        return ()
    try:
        numbers = tuple(float(value) for value in held)
    except OverflowError:
        return ()
    return numbers if all(map(math.isfinite, numbers)) else ()
