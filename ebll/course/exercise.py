"""How an exercise is checked: call the student's function on small cases, compare, and name the mistake."""

from __future__ import annotations

import configparser
import contextlib
import copy
import inspect
import math
import random
import textwrap
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import resources
from numbers import Real
from typing import Any, NoReturn

import numpy as np
import torch
from torch import Tensor, nn

from ebll.errors import EbllError
from ebll.seeds import generator, seeded

Wrong = dict[str, list]
"""Id of a known mistake -> the values that answers with this mistake give on a case."""

HINTS = configparser.ConfigParser(interpolation=None, default_section="every exercise")
HINTS.read_string(resources.files("ebll.course").joinpath("hints.ini").read_text("utf-8"))


class CheckFailed(EbllError, AssertionError):
    """An exercise is not right yet; the text is a hint, and a notebook shows it without a traceback.

    mistake   what went wrong: a key of hints.ini
    """

    def __init__(self, text: str, mistake: str) -> None:
        super().__init__(text)
        self.mistake = mistake

    def _render_traceback_(self) -> list[str]:
        return [line for part in str(self).split("\n") for line in textwrap.wrap(part, 100) or [""]]


class Unreadable(Exception):
    """A value that cannot be compared at all: (id of the mistake, words that its hint takes)."""


def fail(section: str, mistake: str, cause: Exception | None = None, before: str = "", **words: object) -> NoReturn:
    """Raise `CheckFailed` with the hint that a section of hints.ini has for a mistake."""
    texts = {key: " ".join(text.split()) for key, text in HINTS[section].items()} | words
    raise CheckFailed(f"{section}: {before}{texts[mistake].format_map(texts)}", mistake) from cause


def tensor(value: Any, arguments: Sequence = (), wanted: str = "a tensor") -> list[Tensor]:
    """A number or an array, of any library and dtype, as one float64 tensor."""
    try:
        array = torch.as_tensor(value).detach()
        if isinstance(value, tuple | bool) or array.is_complex():
            raise TypeError
        return [array.to("cpu", torch.float64).to_dense()]
    except (TypeError, ValueError, RuntimeError):
        raise Unreadable("type", {"wanted": wanted, "came": type(value).__name__}) from None


def number(value: Any, arguments: Sequence = ()) -> list[Tensor]:
    """A single number, of any shape with one entry; larger arrays stay, so that their shape can be named."""
    (array,) = tensor(value, wanted="a single number")
    return [array.reshape(()) if array.numel() == 1 else array]


def tensors(value: Any, arguments: Sequence = ()) -> list[Tensor]:
    """A list of arrays."""
    if not isinstance(value, list | tuple):
        raise Unreadable("type", {"wanted": "a list of tensors, one for each parameter,", "came": type(value).__name__})
    return [tensor(part)[0] for part in value]


@dataclass(frozen=True)
class Call:
    """What came of one call of a function."""

    value: list  #: as it is compared
    carries: bool  #: gradient
    arguments: list  #: the copies that the function was given
    gradients: list[tuple[str, Tensor | None]]  #: name of an argument, the gradient that reaches it


@dataclass(frozen=True)
class Exercise:
    """A check, to be called with the student's function: it prints one line, or raises `CheckFailed` with a hint.

    mistakes   arguments of a case -> `Wrong`; its name is that of the check, its docstring says what is to be written
    equation   id in docs/equations.md
    right      the right function; its arguments are those of the exercise
    cases      () -> list of tuples of arguments; the first is small enough for paper, the others differ in size
    read       (value, arguments) -> what is compared, as tensors; raises `Unreadable`
    gradient   names of the arguments that the gradient of the result must reach
    constant   whether the result must carry no gradient
    changes    names of the arguments that the function may change
    """

    mistakes: Callable[..., Wrong]
    equation: str
    right: Callable[..., Any]
    cases: Callable[[], list[tuple]]
    read: Callable[[Any, Sequence], list] = number
    gradient: tuple[str, ...] = ()
    constant: bool = False
    changes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Name of the check."""
        return self.mistakes.__name__

    @property
    def takes(self) -> tuple[str, ...]:
        """Names of the arguments."""
        return tuple(inspect.signature(self.right).parameters)

    def __call__(self, function: object) -> None:
        """Check a function. Random state, gradient mode and default dtype are afterwards as they were."""
        if function is None or function is ...:
            self._fail("unwritten")
        if not callable(function):
            self._fail("not-a-function", came=type(function).__name__)
        with _session():
            cases, signature = self.cases(), inspect.signature(self.right)
            with contextlib.suppress(ValueError):  # of a built-in that does not tell what it takes
                signature = inspect.signature(function)
            try:
                signature.bind(*cases[0])
            except TypeError:
                self._fail("arguments", came=signature)
            try:
                self._check(function, cases)
            except CheckFailed:
                names = tuple(signature.parameters)
                if names != self.takes and sorted(names) == sorted(self.takes):
                    self._fail("arguments", came=signature)
                raise
        print(f"{self.name}: correct. {HINTS[f'{self.name} ({self.equation})']['correct']}")

    def _fail(self, mistake: str, cause: Exception | None = None, **words: object) -> NoReturn:
        words |= {"equation": self.equation, "task": self.mistakes.__doc__, "takes": f"({', '.join(self.takes)})"}
        fail(f"{self.name} ({self.equation})", mistake, cause, **words)

    def _check(self, function: Callable, cases: list[tuple]) -> None:
        wanted = [self._call(self.right, case) for case in cases]
        came, again = ([self._call(function, case) for case in cases] for _ in range(2))
        if not all(_alike(first.value, second.value) for first, second in zip(came, again, strict=True)):
            self._fail("random")
        agree = [_alike(call.value, right.value) for call, right in zip(came, wanted, strict=True)]
        if not all(agree):
            self._name_mistake(cases, came)
            first = agree.index(False)
            self._show_difference(first, cases[first], came[first].value, wanted[first].value)
        for case, call, right in zip(cases, came, wanted, strict=True):
            self._look_around(case, call, right)

    def _call(self, function: Callable, case: tuple) -> Call:
        """Call a function on copies of the arguments."""
        given, leaves = dict(zip(self.takes, copy.deepcopy(case), strict=True)), []
        for name in self.gradient:
            parts = given[name] if isinstance(given[name], list) else [given[name]]
            leaves += [(name, part.requires_grad_()) for part in parts]
            copies = [part.clone() for part in parts]
            given[name] = copies if isinstance(given[name], list) else copies[0]
        gradients: Sequence[Tensor | None] = [None] * len(leaves)
        try:
            value = function(*given.values())
            if isinstance(value, Iterator):
                value = list(value)
            carries = isinstance(value, Tensor) and value.requires_grad
            if leaves and carries:
                gradients = torch.autograd.grad(value.sum(), [leaf for _, leaf in leaves], allow_unused=True)
        except Exception as error:
            self._stopped(error, function, case)
        if not torch.is_grad_enabled() or torch.get_default_dtype() != torch.float32:
            self._fail("session")
        if value is None:
            self._fail("nothing")
        if value is ... or value is NotImplemented:
            self._fail("unwritten")
        try:
            read = self.read(value, tuple(given.values()))
        except Unreadable as error:
            self._fail(error.args[0], **error.args[1])
        named = [(name, found) for (name, _), found in zip(leaves, gradients, strict=True)]
        return Call(read, carries, list(given.values()), named)

    def _stopped(self, error: Exception, function: Callable, case: tuple) -> NoReturn:
        """Tell an exception in words, unless it is that of a stub, or of a `...` that is still in a formula."""
        code = getattr(inspect.unwrap(function), "__code__", None)
        frames = traceback.extract_tb(error.__traceback__)
        own = [frame for frame in frames if code and frame.filename == code.co_filename]
        stub = own and frames[-1] is own[-1] and own[-1].name == code.co_name and isinstance(error, NotImplementedError)
        if stub and "NotImplementedError" in (own[-1].line or "NotImplementedError"):  # torch raises it, too
            self._fail("unwritten")
        if "ellipsis" in str(error):
            self._fail("unwritten")
        text = traceback.format_exception_only(error)[0].splitlines()[0].rstrip(".")
        if own and own[-1].line:
            text += f" in line {own[-1].lineno}: `{textwrap.shorten(own[-1].line, 90, placeholder=' ...')}`"
        self._fail("stopped", error, error=text, given=_written(self.takes, case, most=0))

    def _name_mistake(self, cases: list[tuple], came: list[Call]) -> None:
        """Fail with the hint of the mistake that gives the student's values on every case, if there is one."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a wrong answer may divide by zero, or average nothing
            known = [self.mistakes(*case) for case in cases]
        for mistake, answers in known[0].items():
            for i in range(len(answers)):
                values = [self.read(found[mistake][i], case) for found, case in zip(known, cases, strict=True)]
                if all(_alike(value, call.value) for value, call in zip(values, came, strict=True)):
                    self._fail(mistake, before="your answer ")
        if any(isinstance(part, Tensor) and not part.isfinite().all() for call in came for part in call.value):
            self._fail("nan")

    def _show_difference(self, number: int, case: tuple, came: list, wanted: list) -> NoReturn:
        gave, asked = ([tuple(part.shape) for part in parts if isinstance(part, Tensor)] for parts in (came, wanted))
        if gave != asked:
            given = _written(self.takes, case, most=0)
            self._fail("shape", given=given, came=_only(gave), wanted=_only(asked) or "(), a single number")
        self._fail(
            "unknown",
            where="The smallest case is right, but not this one" if number else "Go through this small case",
            given=_written(self.takes, case),
            values=f"\nCame:   {_show(_only(came))}\nWanted: {_show(_only(wanted))}",
        )

    def _look_around(self, case: tuple, call: Call, right: Call) -> None:
        """The values are right: what became of the arguments and of the gradient?"""
        for name, now, before in zip(self.takes, call.arguments, case, strict=True):
            if name not in self.changes and not _unchanged(now, before):
                self._fail("in-place", argument=name)
        for (name, came), (_, wanted) in zip(call.gradients, right.gradients, strict=True):
            if came is None:
                self._fail("no-gradient", argument=name)
            if not _alike([came], [wanted.to(came.dtype)]):
                self._fail("part-of-gradient", argument=name)
        if self.constant and call.carries:
            self._fail("keeps-gradient")


def exercise(*arguments: Any, **options: Any) -> Callable[[Callable[..., Wrong]], Exercise]:
    """Make an `Exercise` of the decorated function, which gives the values of known mistakes."""
    return lambda mistakes: Exercise(mistakes, *arguments, **options)


def normal(seed: int, *shape: int) -> Tensor:
    """The same normal numbers each time."""
    return torch.randn(shape, generator=generator(seed, "checks", *shape))


@contextlib.contextmanager
def _session() -> Iterator[None]:
    """Gradients on and float32 by default inside the block; what belongs to the session is put back after it."""
    python, legacy, dtype = random.getstate(), np.random.get_state(), torch.get_default_dtype()  # noqa: NPY002
    try:
        random.seed(0)
        np.random.seed(0)  # noqa: NPY002
        torch.set_default_dtype(torch.float32)
        with seeded(0, "checks"), torch.enable_grad():
            yield
    finally:
        random.setstate(python)
        np.random.set_state(legacy)  # noqa: NPY002
        torch.set_default_dtype(dtype)


def _alike(ours: list, theirs: list) -> bool:
    """Whether two values are the same up to rounding in float32."""
    if len(ours) != len(theirs):
        return False
    return all(
        a.shape == b.shape and torch.allclose(a, b, 1e-4, 1e-5, equal_nan=True)
        for a, b in zip(ours, theirs, strict=True)
    )


def _unchanged(now: object, before: object) -> bool:
    """Whether an argument still holds the same numbers."""
    if isinstance(before, nn.Module):
        now, before = list(now.state_dict().values()), list(before.state_dict().values())
    if isinstance(before, list):
        return len(now) == len(before) and all(map(_unchanged, now, before))
    if isinstance(before, Tensor | np.ndarray):
        alike = isinstance(now, type(before)) and (now.shape, now.dtype) == (before.shape, before.dtype)
        return alike and bool(((now == before) | (now != now) & (before != before)).all())  # NaN does not equal itself
    return now == before


def _only(parts: list) -> Any:
    return parts[0] if len(parts) == 1 else parts


def _written(names: Sequence[str], arguments: tuple, most: int = 16) -> str:
    return ", ".join(f"{name} = {_show(value, most)}" for name, value in zip(names, arguments, strict=True))


def _show(value: Any, most: int = 16) -> str:
    """A value in a few characters: numbers to four digits, arrays of more than `most` entries by their shape."""
    if isinstance(value, Tensor | np.ndarray):
        return _show(value.tolist()) if math.prod(value.shape) <= most else f"an array of shape {tuple(value.shape)}"
    if isinstance(value, list):
        return f"[{', '.join(_show(part, most) for part in value)}]"
    if isinstance(value, Real) and not isinstance(value, bool | int) and not float(value).is_integer():
        return f"{value:.4g}"
    return f"a {type(value).__name__}" if isinstance(value, nn.Module) else str(value).removesuffix(".0")
