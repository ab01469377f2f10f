"""How an exercise is checked: run the student's function on small cases, and say in words what it seems to compute.

An `Exercise` holds the right function, the cases, and a table of slips: wrong functions that students do write, each
with its hint. Where the student's values are not the right ones, the slip that gives the same values on every case is
what the student did. The first case is small enough to follow by hand; the others differ in size, so that no two
functions agree by chance.
"""

from __future__ import annotations

import inspect
import textwrap
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

import torch
from torch import Tensor

from ebll.checks.calls import Run, call, unchanged
from ebll.checks.words import Wording, numbers, raised, shaped, show, showing, stub, swapped, unreturned
from ebll.errors import EbllError

__all__ = ["CheckFailed", "Exercise", "Habit", "Slip", "check"]


class CheckFailed(EbllError, AssertionError):
    """An exercise is not right yet; the text is a hint, and a notebook shows it without a traceback."""

    def _render_traceback_(self) -> list[str]:
        return [line for part in str(self).split("\n") for line in textwrap.wrap(part, 100) or [""]]


@dataclass(frozen=True)
class Slip:
    """A wrong answer that is known by its values.

    hint   two or three sentences: what the answer seems to compute, why it matters, what to change
    wrong  a function that makes the slip, with the exercise's arguments
    also   other functions that deserve the same hint
    """

    hint: str
    wrong: Callable[..., Any]
    also: tuple[Callable[..., Any], ...] = ()


@dataclass(frozen=True)
class Habit:
    """A fault that is known by how the function behaves rather than by its values.

    hint   as in `Slip`
    wrong  a function that has the habit
    seen   one `Run` -> whether the habit shows in it
    early  looked for before the values are compared, since they would be off as well
    """

    hint: str
    wrong: Callable[..., Any]
    seen: Callable[[Run], bool]
    early: bool = False


@dataclass(frozen=True, kw_only=True)
class Exercise:
    """One exercise and all that is known of wrong answers to it.

    name      of the public check
    equation  id in docs/equations.md
    takes     names of the arguments, in order
    task      what is to be written, for the stub: "not written yet: <task>"
    kind      "number", "loss", "tensor" or "tensors"; or a function (value, arguments) -> list of tensors to compare
    right     the library's function
    cases     () -> list of tuples of arguments, the same ones each time; the first is small enough for paper
    verified  what a right answer has been seen to do, for the line of success
    slips     known by their values
    habits    known by their behaviour
    gradient  positions of the arguments that the result's gradient must reach
    show      how one value is written in a hint; value, arguments -> text
    """

    name: str
    equation: str
    takes: tuple[str, ...]
    task: str
    kind: str | Callable[[Any, tuple], list[Tensor]]
    right: Callable[..., Any]
    cases: Callable[[], list[tuple]]
    verified: str
    slips: tuple[Slip, ...] = ()
    habits: tuple[Habit, ...] = ()
    gradient: tuple[int, ...] = ()
    show: Callable[[Any, tuple], str] = lambda value, arguments: show(value)


def check(exercise: Exercise, function: object) -> None:
    """Print one line if the function is right; otherwise raise `CheckFailed` with a hint.

    Random state, gradient mode and default dtype are afterwards as they were; the arguments are copies made for each
    call. Order: whether it is written and runs, early habits, values, arguments changed in place, gradient, habits.
    """
    with torch.enable_grad():
        _check(exercise, function)
    print(f"{exercise.name}: correct. {exercise.verified}")


def _check(exercise: Exercise, function: object) -> None:
    cases = exercise.cases()
    _callable(exercise, function, cases[0])
    wanted = [call(exercise.right, case, exercise.gradient) for case in cases]
    try:
        runs = [_run(exercise, function, case) for case in cases]
        _habits(exercise, runs, early=True)
        _values(exercise, runs, wanted)
    except CheckFailed as failed:
        if swapped(function, exercise.takes):
            _misfit(exercise, function, failed)
        raise
    _left_alone(exercise, runs)
    _gradients(exercise, runs, wanted)
    _habits(exercise, runs, early=False)


def _fail(exercise: Exercise, hint: str, cause: BaseException | None = None) -> NoReturn:
    raise CheckFailed(f"{exercise.name} ({exercise.equation}): {hint}") from cause


def _unwritten(exercise: Exercise) -> NoReturn:
    _fail(exercise, f"not written yet: {exercise.task}")


def _callable(exercise: Exercise, function: object, case: tuple) -> None:
    if function is None or function is ...:
        _unwritten(exercise)
    if not callable(function):
        wanted = ", ".join(exercise.takes)
        _fail(
            exercise,
            f"give the check your function itself, by its name and without parentheses; a {type(function).__name__} "
            f"came. It will be called with ({wanted}).",
        )
    try:
        inspect.signature(function).bind(*case)
    except TypeError:
        _misfit(exercise, function)
    except ValueError:
        pass  # a built-in that does not tell its signature


def _misfit(exercise: Exercise, function: Callable, cause: BaseException | None = None) -> NoReturn:
    wanted = ", ".join(exercise.takes)
    takes = inspect.signature(function)
    _fail(exercise, f"your function must take ({wanted}), in this order; it takes {takes}.", cause)


def _run(exercise: Exercise, function: Callable, case: tuple, seed: int = 0) -> Run:
    try:
        run = call(function, case, exercise.gradient, seed)
    except Exception as error:
        if isinstance(error, NotImplementedError) and stub(error, function):
            _unwritten(exercise)
        if "ellipsis" in str(error):  # a `...` of the stub that is still in a formula
            _unwritten(exercise)
        _fail(exercise, raised(error, function, shaped(exercise.takes, case)), error)
    run.again = lambda: _run(exercise, function, case, seed + 1).value
    if run.value is None and unreturned(function):
        _fail(
            exercise,
            "your function gives None back: either no `return` is reached, or what follows it gives None itself, as "
            f"`print(...)` and `.backward()` do. Wanted: {exercise.task}",
        )
    if run.value is None or run.value is ... or run.value is NotImplemented:
        _unwritten(exercise)
    try:
        _numbers(exercise, run)
    except Wording as words:
        _fail(exercise, str(words))
    return run


def _numbers(exercise: Exercise, run: Run) -> list[Tensor]:
    kind = exercise.kind
    return kind(run.value, run.arguments) if callable(kind) else numbers(run.value, kind)


def _same(ours: list[Tensor], theirs: list[Tensor]) -> bool:
    return len(ours) == len(theirs) and all(
        a.shape == b.shape and torch.allclose(a, b, rtol=1e-4, atol=1e-6, equal_nan=True)
        for a, b in zip(ours, theirs, strict=True)
    )


def _values(exercise: Exercise, runs: list[Run], wanted: list[Run]) -> None:
    came = [_numbers(exercise, run) for run in runs]
    right = [_numbers(exercise, run) for run in wanted]
    agree = [_same(*pair) for pair in zip(came, right, strict=True)]
    if all(agree):
        return
    for slip in exercise.slips:
        if any(_makes(exercise, wrong, runs, came) for wrong in (slip.wrong, *slip.also)):
            _fail(exercise, slip.hint)
    first = agree.index(False)
    run, want = runs[first], wanted[first]
    shapes = [[tuple(part.shape) for part in parts] for parts in (came[first], right[first])]
    if shapes[0] != shapes[1]:
        given = shaped(exercise.takes, run.case)
        gave, asked = (str(part[0] if len(part) == 1 else part) for part in shapes)
        single = " A single number is wanted: say how the entries are summed or averaged." if asked == "()" else ""
        _fail(
            exercise, f"the shape is not the wanted one. Called with {given}, it gave {gave}; wanted {asked}.{single}"
        )
    where = "Go through this small case" if first == 0 else "The smallest case is right, but not this one"
    most = 25 // len(run.case) if first else 16
    _fail(
        exercise,
        "the values are not right, and it is none of the usual slips. "
        f"{where}: {showing(exercise.takes, run.case, most)}.\n"
        f"Came:   {exercise.show(run.value, run.arguments)}\nWanted: {exercise.show(want.value, want.arguments)}",
    )


def _makes(exercise: Exercise, wrong: Callable, runs: list[Run], came: list[list[Tensor]]) -> bool:
    """Whether a wrong function gives the student's values on every case."""
    for run, theirs in zip(runs, came, strict=True):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                ours = _numbers(exercise, call(wrong, run.case, exercise.gradient))
        except Exception:
            return False
        if not _same(ours, theirs):
            return False
    return True


def _left_alone(exercise: Exercise, runs: list[Run]) -> None:
    for run in runs:
        for name, now, before in zip(exercise.takes, run.arguments, run.case, strict=True):
            if not unchanged(now, before):
                _fail(
                    exercise,
                    f"the values are right, but your function changes its argument `{name}` in place, so whoever uses "
                    "it next finds other numbers. Leave out operations such as `+=`, `.sub_()` or `x[...] =` on it, or "
                    "make a copy first.",
                )
        if run.mode_left:
            _fail(exercise, f"the values are right, but afterwards {run.mode_left}. Undo it, or use a `with` block.")


def _gradients(exercise: Exercise, runs: list[Run], wanted: list[Run]) -> None:
    if not exercise.gradient:
        return
    names = " and ".join(f"`{exercise.takes[position]}`" for position in exercise.gradient)
    for run, right in zip(runs, wanted, strict=True):
        if not isinstance(run.value, Tensor):
            _fail(
                exercise,
                f"the value is right, but a {type(run.value).__name__} carries no gradient, so training with it "
                "changes nothing. Return the tensor itself, without `.item()`, `float()` or numpy.",
            )
        if not run.value.requires_grad:
            _fail(
                exercise,
                f"the value is right, but no gradient goes back to {names}, so training with it changes nothing. "
                "`.detach()`, `.data`, `torch.no_grad()` and wrapping a result in `torch.tensor(...)` all cut it off.",
            )
        try:
            theirs = run.gradients()
        except RuntimeError as error:
            _fail(exercise, f"the value is right, but its gradient cannot be taken: {str(error).splitlines()[0]}")
        for (name, came), (_, want) in zip(theirs, right.gradients(), strict=True):
            label = exercise.takes[name[0]] + (f"[{name[1]}]" if len(name) > 1 else "")
            if came is None:
                _fail(
                    exercise,
                    f"the value is right, but no gradient reaches `{label}`, so that part would not be trained. Look "
                    f"for a `.detach()`, `.data`, `.item()` or `torch.tensor(...)` around it.",
                )
            if not _same([came.double()], [want.double()]):
                _fail(
                    exercise,
                    f"the value is right, but the gradient that reaches `{label}` is not: part of it is cut off or "
                    "counted twice. Look for a `.detach()`, `.data`, `.item()` or `torch.tensor(...)`.",
                )


def _habits(exercise: Exercise, runs: list[Run], early: bool) -> None:
    for habit in exercise.habits:
        if habit.early == early and any(habit.seen(run) for run in runs):
            _fail(exercise, habit.hint)
