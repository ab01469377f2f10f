"""The words in which ebll refuses: every error says what was wanted, what came, and what to do next."""

from __future__ import annotations

import difflib
import math
import os
from collections.abc import Iterable
from numbers import Integral, Real
from pathlib import Path

__all__ = [
    "DataMissing",
    "EbllError",
    "InputError",
    "OutputError",
    "RunStopped",
    "TrainingDiverged",
    "check_choice",
    "check_count",
    "check_number",
    "choose_device",
    "expanded",
]


class EbllError(Exception):
    """Base of every error that ebll raises on purpose; its text is meant for users."""


class InputError(EbllError, ValueError):
    """A value, a tensor or a file that cannot be used as it is."""


class DataMissing(EbllError, FileNotFoundError):
    """Data that is optional or the user's own, and is not where it should be."""

    # OSError's own __str__ would print an errno that we do not have.
    __str__ = Exception.__str__


class OutputError(EbllError, OSError):
    """A folder or file that cannot be written."""

    __str__ = Exception.__str__


class RunStopped(EbllError):
    """A run was told to stop; what it has recorded so far stays."""


class TrainingDiverged(EbllError, ArithmeticError):
    """A loss became NaN or infinite.

    `run` holds what was recorded up to that step (an `ebll.recording.Run`), and `table` what `ebll.dynamics.along` had
    measured by then (a `pandas.DataFrame`); each may be None.
    """

    def __init__(self, message: str, run: object | None = None):
        super().__init__(message)
        self.run, self.table = run, None

    def __reduce__(self):
        return type(self), (self.args[0],), vars(self)


def expanded(path: object, name: str) -> Path:
    """A path with ~ and ~user put in; anything that is no path, or empty, is refused."""
    if not isinstance(path, str | os.PathLike) or not os.fspath(path):
        raise InputError(f"{name} takes a path; got {path!r}.")
    try:
        return Path(path).expanduser()
    except RuntimeError:
        text = os.fspath(path)
        raise InputError(f"{name}: there is no home directory for {text!r}. Write the path in full.") from None


def check_choice(value: object, options: Iterable[str], what: str, hint: str = "") -> str:
    """Return `value` if it is one of `options`; otherwise say which exist and which is nearest."""
    options = list(options)
    if isinstance(value, str) and value in options:
        return value
    near = difflib.get_close_matches(str(value).lower(), options, n=2, cutoff=0.5)
    meant = f" Did you mean {' or '.join(repr(n) for n in near)}?" if near else ""
    raise InputError(f"{what}: there is no {value!r}.{meant} Choose one of: {', '.join(options)}.{_next(hint)}")


def check_number(
    value: object,
    name: str,
    *,
    low: float = 0.0,
    above: bool = False,
    high: float = math.inf,
    hint: str = "",
) -> float:
    """Return `value` as a finite float in [low, high]; `above=True` excludes `low` itself.

    Text, booleans, NaN and infinities are refused: a slider or a file that delivers them has a fault upstream.
    """
    wanted = f"a number {'above' if above else 'of at least'} {low:g}" + (
        f" and at most {high:g}" if high < math.inf else ""
    )
    if isinstance(value, bool) or not isinstance(value, Real):
        raise InputError(f"{name} must be {wanted}; got {value!r} of type {type(value).__name__}.{_next(hint)}")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number) or number < low or number > high or (above and number == low):
        raise InputError(f"{name} must be {wanted}; got {number:g}.{_next(hint)}")
    return number


def check_count(value: object, name: str, *, low: int = 1, high: float = math.inf, hint: str = "") -> int:
    """Return `value` if it is a whole number from `low` to `high`; 3.0 and "3" are refused, numpy's are not."""
    wanted = f"a whole number of at least {low}"
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise InputError(f"{name} must be {wanted}; got {value!r} of type {type(value).__name__}.{_next(hint)}")
    if int(value) < low:
        raise InputError(f"{name} must be {wanted}; got {int(value)}.{_next(hint)}")
    if int(value) > high:
        raise InputError(f"{name} must be {wanted} and at most {high}; got {int(value)}.{_next(hint)}")
    return int(value)


def _next(hint: str) -> str:
    return f" {hint}" if hint else ""


def choose_device(name: str) -> str:
    """ "auto" is the GPU where torch sees one, else the processor; "cuda", or "cuda:1", without a GPU is refused."""
    kind = name if name.startswith("auto") else name.partition(":")[0]
    check_choice(kind, ("auto", "cpu", "cuda"), "Device")
    import torch

    if kind == "cuda" and not torch.cuda.is_available():
        raise InputError("Device: 'cuda' was asked for, but torch sees no GPU here. Use 'cpu', or 'auto'.")
    return ("cuda" if torch.cuda.is_available() else "cpu") if name == "auto" else name
