"""What several commands share: options, examples in their help, and progress."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

import click

__all__ = ["CommaList", "Progress", "config_options", "device_option", "examples", "workers_option"]

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


def config_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add an option for each setting of `ebll.RunConfig` but its tasks: type, values and help are those of the field.

    A command gets None for what was not given: defaults that depend on the net are looked up by `RunConfig`.
    """
    from ebll.config import OfNet, RunConfig

    for name, rules in reversed(RunConfig.metadata().items()):
        kind: Any = type(rules["default"])
        if rules["per_task"]:
            kind = CommaList(float)
        elif rules["choices"]:
            kind = click.Choice(rules["choices"])
        elif kind is OfNet:
            kind = float
        default = (
            f"{rules['default']}, or as chosen for the net" if isinstance(rules["default"], OfNet) else rules["default"]
        )
        text = f"{rules['doc']}  [default: {default}]"
        command = click.option(f"--{name.replace('_', '-')}", type=kind, metavar=_metavar(kind), help=text)(command)
    return command


def _metavar(kind: Any) -> str | None:
    if isinstance(kind, CommaList):
        return "A[,B...]"
    return {int: "N", float: "X"}.get(kind)


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
