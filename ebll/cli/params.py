"""How words on the command line become values: names with near matches and completion, numbers checked by the library.

What is allowed is asked of the library when a value is there to check, so that `ebll --help` does not wait for torch.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import click
from click.shell_completion import CompletionItem

from ebll.errors import InputError, check_choice

__all__ = ["Name", "Number", "TaskNames", "device_names", "examples", "flat", "listed", "method_names", "net_names"]


class Name(click.ParamType):
    """One of the names that `options()` gives, or with `many` several of them, separated by commas."""

    name = "name"

    def __init__(self, what: str, options: Callable[[], Iterable[str]], *, many: bool = False):
        self.what, self.options, self.many = what, options, many

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Check each name; an unknown one is refused with its near matches."""
        if not self.many:
            return check_choice(value, self.options(), self.what)
        return tuple(check_choice(name, self.options(), self.what) for name in listed(value, self.what))

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """The names that go on from what has been typed, after the last comma where there may be several."""
        return _names_from(self.options(), incomplete, self.many)


class TaskNames(click.ParamType):
    """Tasks separated by commas: names, or paths of image folders. Whether they exist is seen when they are loaded."""

    name = "tasks"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        """Split at the commas."""
        return value if isinstance(value, tuple) else listed(value, "Tasks")

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Names of tasks, or folders once a path has been begun."""
        last = incomplete.rpartition(",")[2]
        if last.startswith(("~", ".")) or os.sep in last:
            return [CompletionItem(incomplete, type="dir")]
        from ebll.data import TASKS

        return _names_from(TASKS, incomplete, True)


class Number(click.ParamType):
    """A number, or with `many` several separated by commas; what is none stays text for the library to refuse."""

    name = "number"

    def __init__(self, *, many: bool = False):
        self.many = many

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Text to int or float where it is one."""
        if not isinstance(value, str):
            return value
        if self.many and "," in value:
            return tuple(_number(part) for part in value.split(","))
        return _number(value)


def _number(text: str) -> int | float | str:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def listed(value: str, what: str) -> tuple[str, ...]:
    """Names separated by commas; raises `InputError` where there is none."""
    names = tuple(name.strip() for name in value.split(",") if name.strip())
    if not names:
        raise InputError(f"{what}: name at least one, or several separated by commas; got {value!r}.")
    return names


def _names_from(options: Iterable[str], incomplete: str, many: bool) -> list[CompletionItem]:
    before, comma, last = incomplete.rpartition(",") if many else ("", "", incomplete)
    taken = before.split(",")
    return [CompletionItem(before + comma + n) for n in options if n.startswith(last) and n not in taken]


def flat(groups: Iterable[Iterable[str]]) -> tuple[str, ...]:
    """What a repeatable comma list holds, each name once, in the order given."""
    return tuple(dict.fromkeys(name for group in groups for name in group))


def method_names() -> Mapping[str, Any]:
    """The methods by name."""
    from ebll.methods import METHODS

    return METHODS


def net_names() -> Mapping[str, Any]:
    """The built-in nets by name."""
    from ebll.networks import NETS

    return NETS


def device_names() -> tuple[str, ...]:
    """What --device takes."""
    return ("auto", "cpu", "cuda")


def examples(*lines: str) -> str:
    r"""The block at the end of a command's help; \b keeps click from joining its lines."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)
