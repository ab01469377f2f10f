"""What several commands share: options, examples in their help, and progress."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from ebll.settings import Settings

__all__ = ["CommaList", "Progress", "device_option", "examples", "setting_options", "workers_option"]

EVERY = 10.0  # seconds between two lines of progress where no bar can be drawn

device_option = click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="cpu",
    show_default=True,
    help="auto takes the GPU where there is one; the built-in nets gain nothing from it.",
)
workers_option = click.option("--workers", type=int, help="Processes.  [default: as many as cores, at most 8]")


def examples(*lines: str) -> str:
    """An epilog of a command's help: a line each."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


class CommaList(click.ParamType):
    """Values with commas between them, as a tuple, and a single number as it is; the names in `choices` complete."""

    name = "list"

    def __init__(self, one: Callable[[str], Any] = str, choices: Mapping[str, Any] | None = None) -> None:
        self.one, self.choices = one, choices or {}

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Split at commas."""
        if isinstance(value, tuple):
            return value
        try:
            several = tuple(self.one(part.strip()) for part in value.split(","))
        except ValueError:
            self.fail(f"{value!r} is neither a number nor a list of them, such as 3,1.", param, ctx)
        return several[0] if len(several) == 1 and self.one is float else several

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[Any]:
        """Complete the last name."""
        first, comma, last = incomplete.rpartition(",")
        return [click.shell_completion.CompletionItem(first + comma + n) for n in self.choices if n.startswith(last)]


def setting_options(*several: Settings) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Options for all settings of these objects: kind, values and help are those of the fields.

    A command gets None for what was not given: defaults that depend on the net are looked up by `RunConfig`.
    """
    from ebll.config import OfNet

    def add(command: Callable[..., Any]) -> Callable[..., Any]:
        for settings in reversed(several):
            for field, rules in reversed(settings.metadata().items()):
                default, name = getattr(settings, field), f"--{field.replace('_', '-')}"
                kind: Any = click.Choice(rules["choices"]) if rules["choices"] else type(default)
                metavar = {int: "N", float: "X"}.get(kind)
                if rules["per_task"]:
                    kind, metavar = CommaList(float), "A[,B...]"
                shown = f"{default:g}" if isinstance(default, float) else str(default)
                shown += ", or as chosen for the net" * isinstance(rules["default"], OfNet)
                flag = f"{name}/--no-{name[2:]}" if kind is bool else name
                text = f"{rules['doc']}  [default: {shown}]"
                command = click.option(flag, type=kind, default=None, metavar=metavar, help=text)(command)
        return command

    return add


class Progress:
    """How far a command is and how long it will take: a bar on a terminal, elsewhere a line now and then."""

    def __init__(self) -> None:
        from tqdm import tqdm

        form = "{percentage:3.0f}%|{bar}| {desc} [{elapsed}<{remaining}]"
        self.bar = tqdm(total=1.0, bar_format=form, smoothing=0, leave=False, disable=not sys.stderr.isatty())
        self.clock = tqdm.format_interval
        self.first = self.shown = time.monotonic()
        self.before = math.inf  # the share that was done at `first`

    def at(self, share: float, text: str) -> None:
        """A share of the work, 0..1, is done; `text` says which."""
        now = time.monotonic()
        if share == 0 or self.before == math.inf:  # what comes before, imports say, says nothing of the pace
            self.first, self.shown, self.before = now, now, share
            self.bar.start_t, self.bar.initial, self.bar.n = time.time(), share, share
        if not self.bar.disable:
            self.bar.set_description_str(text, refresh=False)
            self.bar.update(max(0.0, share - self.bar.n))
        elif share > self.before and now - self.shown >= (EVERY if self.shown > self.first else 0.5):
            self.shown, spent = now, now - self.first
            left = self.clock(spent * (1 - share) / (share - self.before))
            click.echo(f"{text}: {100 * share:.0f} % after {self.clock(spent)}, about {left} left", err=True)

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *error: object) -> None:
        self.bar.close()
