"""How the checks speak of values, shapes and exceptions: short, and the same words each time."""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Callable
from numbers import Real
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

__all__ = ["Wording", "numbers", "raised", "shaped", "show", "showing", "stub", "swapped", "unreturned"]


class Wording(Exception):
    """Words about a value that cannot be compared at all; the core puts the exercise's name before them."""


def numbers(value: Any, kind: str) -> list[Tensor]:
    """A value as a list of float64 tensors, whatever library and dtype it came in; `Wording` if it is no such thing.

    kind  "number", "loss": one number, of any shape with one entry; "tensor": one array; "tensors": a list of arrays
    """
    if kind == "tensors":
        if not isinstance(value, list | tuple):
            raise Wording(f"a list of tensors is wanted, one for each parameter; a {type(value).__name__} came back.")
        return [numbers(part, "tensor")[0] for part in value]
    wanted = {"number": "a single number", "loss": "a tensor with a single number", "tensor": "a tensor"}[kind]
    if isinstance(value, tuple | dict | str | bool) or not isinstance(value, Tensor | np.ndarray | np.generic | Real):
        try:
            if not isinstance(value, list):
                raise TypeError
            value = torch.tensor(value)
        except (TypeError, ValueError, RuntimeError):
            raise Wording(f"{wanted} is wanted; a {type(value).__name__} came back.") from None
    try:
        tensor = torch.as_tensor(value).detach()
        if tensor.is_complex():
            raise Wording(f"{wanted} is wanted; complex numbers came back.")
        tensor = tensor.to("cpu", torch.float64).to_dense()
    except (TypeError, ValueError, RuntimeError):
        raise Wording(f"{wanted} is wanted; a {type(value).__name__} that holds no plain numbers came back.") from None
    return [tensor.reshape(()) if kind != "tensor" and tensor.numel() == 1 else tensor]


def show(value: Any, most: int = 16) -> str:
    """A value in a few characters: numbers to four digits, arrays of up to `most` entries in full, others by shape."""
    if isinstance(value, Tensor | np.ndarray):
        array = value
        if isinstance(value, Tensor):
            array = value.detach().cpu()
            array = (array.double() if array.is_floating_point() else array).numpy()
        if array.size > most:
            head = ", ".join(show(entry.item()) for entry in array.ravel()[:3])
            return f"{'x'.join(map(str, array.shape)) or 'a'} number{'s' * bool(array.ndim)} beginning {head}"
        return show(array.tolist())
    if isinstance(value, list | tuple):
        return f"[{', '.join(show(part, most) for part in value)}]"
    if isinstance(value, Real) and not isinstance(value, bool | int):
        return f"{float(value):.4g}"
    if isinstance(value, nn.Module):
        return " ".join(repr(value).split()) if not list(value.children()) else f"a {type(value).__name__}"
    return str(value)


def showing(names: tuple[str, ...], arguments: tuple, most: int = 16) -> str:
    """Arguments by name, as `show` writes them."""
    return ", ".join(f"{name} = {show(value, most)}" for name, value in zip(names, arguments, strict=True))


def shaped(names: tuple[str, ...], arguments: tuple) -> str:
    """Arguments by name, arrays by their shape alone."""

    def shape(value: Any) -> str:
        if isinstance(value, Tensor | np.ndarray):
            return f"of shape {tuple(value.shape)}"
        if isinstance(value, list) and all(isinstance(part, Tensor) for part in value):
            return f"of shapes {[tuple(part.shape) for part in value]}"
        return f"= {show(value)}"

    return ", ".join(f"{name} {shape(value)}" for name, value in zip(names, arguments, strict=True))


def raised(error: Exception, function: Callable, given: str) -> str:
    """An exception of the student's code in words: which, in which line, with what it was called."""
    code = _code(function)
    frames = [f for f in traceback.extract_tb(error.__traceback__) if code and f.filename == code.co_filename]
    text = str(error).split("\n")[0].rstrip(".")
    what = f"{type(error).__name__}: {text}" if text else type(error).__name__
    line = frames[-1].line or "" if frames else ""
    line = line if len(line) <= 90 else f"{line[:86]} ..."
    where = f"\nIt happened in line {frames[-1].lineno}: `{line}`" if line else ""
    return f"your function stopped with {what}.{where}\nIt was called with {given}."


def stub(error: NotImplementedError, function: Callable) -> bool:
    """Whether the function itself says that it is not written; torch, too, raises this error, and so do other stubs."""
    code, last = _code(function), traceback.extract_tb(error.__traceback__)[-1]
    if code is None:
        return True
    own = (last.filename, last.name) == (code.co_filename, code.co_name)
    return own and (not last.line or "NotImplementedError" in last.line)


def unreturned(function: Callable) -> bool:
    """Whether a function that gave None back does something: it is then written, and lacks its `return`."""
    code = _code(function)
    if code is None:
        return False
    stars = sum(bool(code.co_flags & flag) for flag in (inspect.CO_VARARGS, inspect.CO_VARKEYWORDS))
    return bool(code.co_names) or code.co_nlocals > code.co_argcount + code.co_kwonlyargcount + stars


def swapped(function: Callable, names: tuple[str, ...]) -> bool:
    """Whether a function names its arguments as they are wanted, but in another order."""
    try:
        theirs = tuple(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        return False
    return theirs != names and sorted(theirs) == sorted(names)


def _code(function: Callable) -> Any:
    return getattr(inspect.unwrap(function), "__code__", None)
