"""The command line: `ebll`, also as `python -m ebll`.

Each command is a module of this package, imported when it is used: `ebll --help` waits for neither torch nor pandas.
"""

from __future__ import annotations

import importlib
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, NoReturn

import click
from click.shell_completion import CompletionItem

from ebll.cli.options import examples
from ebll.errors import EbllError, TrainingDiverged

__all__ = ["COMMANDS", "cli", "main"]

COMMANDS = {
    "reproduce": "Run the main job: every method on every sequence.",
    "run": "Run one method on a sequence of tasks.",
    "sweep": "Run a grid of hyperparameters from a TOML file.",
    "export": "Write a sweep as a web page that needs no kernel.",
    "paper": "Run the paper's experiments on photographs of yours.",
    "tasks": "List the built-in tasks.",
}
STOPPED = 130  # what a shell reports for a program that Ctrl-C ended


class Commands(click.Group):
    """Commands that are imported on first use, and the one place where errors become a line and an exit code."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of the commands."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """Import a command."""
        return getattr(importlib.import_module(f"ebll.cli.{name}"), name) if name in COMMANDS else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete a command's name without importing any."""
        found = [CompletionItem(name, help=text) for name, text in COMMANDS.items() if name.startswith(incomplete)]
        return found + click.Command.shell_complete(self, ctx, incomplete)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; exit code 1 for a training that diverged, 2 for bad input, 130 for Ctrl-C."""
        try:
            return super().invoke(ctx)
        except EbllError as error:
            failure = click.ClickException("\n".join([str(error), *getattr(error, "__notes__", ())]))
            failure.exit_code = 1 if isinstance(error, TrainingDiverged) else 2
            raise failure from error
        except KeyboardInterrupt as error:
            click.echo("\n".join([*getattr(error, "__notes__", ()), "Stopped."]), err=True)
            raise click.exceptions.Exit(STOPPED) from None


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=examples(
        "ebll reproduce --profile fast",
        "ebll run --tasks letters,textures --method ebll --alpha 3",
        "ebll sweep alphas.toml",
    ),
)
@click.version_option(package_name="ebll", prog_name="ebll", message="%(prog)s %(version)s")
def cli() -> None:
    """Encoder Based Lifelong Learning: run every method, read the numbers, see the figures."""


def main(args: Sequence[str] | None = None) -> NoReturn:
    """What `ebll` and `python -m ebll` call."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a symbol that the terminal lacks is no reason to stop
    with suppress(ValueError):  # not in the main thread
        # `kill`, `timeout` and batch systems end a program so: results are kept as after Ctrl-C. Ignored stays ignored.
        if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        cli.main(args, prog_name="ebll")
    finally:  # a second Ctrl-C must not break into the interpreter's own end
        with suppress(ValueError):
            signal.signal(signal.SIGINT, signal.SIG_IGN)
