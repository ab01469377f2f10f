"""What several commands share: options, examples in their help, and progress."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import click
from click.shell_completion import CompletionItem

from ebll.settings import METHOD_NAMES, Settings

__all__ = [
    "CommaList", "Progress", "device_option", "examples", "methods_option", "seeds_option", "setting_options", "taken",
    "workers_option",
]  # fmt: skip


def examples(*lines: str) -> str:
    """An epilog of a command's help: a line each."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


class CommaList(click.ParamType):
    """Values with commas between them, as a tuple, and a single number as it is; the names in `choices` complete."""

    name = "list"

    def __init__(self, one: Callable[[str], Any] = str, choices: Sequence[str] | Mapping[str, Any] = ()) -> None:
        self.one, self.choices = one, choices

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Split at commas."""
        if isinstance(value, tuple):
            return value
        try:
            several = tuple(self.one(part.strip()) for part in value.split(","))
        except ValueError:
            self.fail(f"{value!r} is neither a number nor a list of them, such as 3,1.", param, ctx)
        return several[0] if len(several) == 1 and self.one is float else several

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Complete the last name."""
        first, comma, last = incomplete.rpartition(",")
        return [CompletionItem(first + comma + name) for name in self.choices if name.startswith(last)]


def setting_options(settings: Settings) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """An option for every setting of an object: kind, values and help are those of the field.

    A command gets None for what was not given.
    """

    def add(command: Callable[..., Any]) -> Callable[..., Any]:
        for field, rules in reversed(settings.metadata().items()):
            default, name = getattr(settings, field), f"--{field.replace('_', '-')}"
            kind: Any = click.Choice(rules["choices"]) if rules["choices"] else type(default)
            metavar = {int: "N", float: "X"}.get(kind)
            if rules["per_task"]:
                kind, metavar = CommaList(float), "A[,B...]"
            shown = f"{default:g}" if isinstance(default, float) else str(default)
            flag = f"{name}/--no-{name[2:]}" if kind is bool else name
            text = f"{rules['doc']}  [default: {shown}]"
            command = click.option(flag, type=kind, default=None, metavar=metavar, help=text)(command)
        return command

    return add


def taken(settings: Settings, options: dict[str, Any]) -> Any:
    """The settings with what was given for them; their options are taken out of `options`."""
    given = {name: options.pop(name) for name in settings.metadata()}
    return settings.replace(**{name: value for name, value in given.items() if value is not None})


device_option = click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="cpu",
    show_default=True,
    help="auto takes the GPU where there is one; the built-in nets gain nothing from it.",
)
workers_option = click.option("--workers", type=int, help="Processes.  [default: as many as cores, at most 8]")
seeds_option = click.option("--first-seed", type=int, default=0, show_default=True, help="Seeds count up from it.")
methods_option = click.option(
    "--methods", type=CommaList(choices=METHOD_NAMES), default=(), metavar="A,B", help="[default: all but replay]"
)


class Progress:
    """How far a command is and how long it will take, as a bar on stderr; in a file, a line of it every 10 seconds."""

    def __init__(self) -> None:
        self.bar: Any = None

    def at(self, share: float, text: str) -> None:
        """A share of the work, 0..1, is done; a smaller one than before begins another piece of work."""
        from tqdm import tqdm

        if self.bar is None or share < self.bar.n:
            self.close()
            terminal = sys.stderr.isatty()
            form = "{percentage:3.0f}%|{bar}| {desc} [{elapsed}<{remaining}]" + "\n" * (not terminal)
            every = 0.1 if terminal else 10.0
            self.bar = tqdm(
                total=1.0, initial=share, bar_format=form, smoothing=0, miniters=0, mininterval=every, delay=0.1,
                leave=False,
            )  # fmt: skip
        self.bar.set_description_str(text, refresh=False)
        self.bar.n = share
        self.bar.update(0)  # shows it where it is time to

    def close(self) -> None:
        """Take the bar away."""
        if self.bar is not None:
            self.bar.close()

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
