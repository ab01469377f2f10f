"""The command line: `ebll`, also as `python -m ebll`."""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

import click

from ebll.cli.commands import COMMANDS
from ebll.cli.options import examples
from ebll.errors import EbllError, TrainingDiverged

__all__ = ["COMMANDS", "cli", "main"]


class Commands(click.Group):
    """The one place where errors become a line and an exit code."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order in which they stand here."""
        return list(self.commands)

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
            raise click.exceptions.Exit(130) from None  # what a shell reports for a program that Ctrl-C ended


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


for command in COMMANDS:
    cli.add_command(command)


def main(args: Sequence[str] | None = None) -> NoReturn:
    """What `ebll` and `python -m ebll` call."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a symbol that the terminal lacks is no reason to stop
    with contextlib.suppress(ValueError):  # not in the main thread
        # `kill`, `timeout` and batch systems end a program so: results are kept as after Ctrl-C. Ignored stays ignored.
        if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        cli.main(args, prog_name="ebll")
    finally:  # a second Ctrl-C must not break into the interpreter's own end
        with contextlib.suppress(ValueError):
            signal.signal(signal.SIGINT, signal.SIG_IGN)
