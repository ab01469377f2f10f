"""The command line: `ebll`, also as `python -m ebll`.

Commands import what they need when they run: `ebll --help` waits for neither torch nor pandas. Every error that ebll
raises on purpose is caught here, once, and printed as one line.
"""

from __future__ import annotations

import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, NoReturn

import click

from ebll.cli.backbones import backbones
from ebll.cli.export import export
from ebll.cli.listing import completion, doctor, methods, tasks
from ebll.cli.main_job import reproduce
from ebll.cli.one_run import run
from ebll.cli.paper import paper
from ebll.cli.params import examples
from ebll.cli.sweep import sweep
from ebll.cli.terminal import say
from ebll.errors import EbllError, TrainingDiverged, check_choice

__all__ = ["Edge", "cli", "main"]

STOPPED = 130  # what a shell reports for a program that Ctrl-C ended


class Edge(click.Group):
    """The group of all commands, and the one place where errors become a line and an exit code."""

    def main(self, args: Sequence[str] | None = None, prog_name: str | None = None, **extra: Any) -> NoReturn:
        """Run a command and exit: 0 done, 1 a training diverged or a fault, 2 bad input, 130 stopped by Ctrl-C."""
        args = list(sys.argv[1:] if args is None else args)
        debug = "--debug" in args  # it works wherever it stands
        args = [arg for arg in args if arg != "--debug"]
        extra["standalone_mode"] = False
        sys.exit(_exit_code(lambda: super(Edge, self).main(args, prog_name="ebll", **extra), debug))

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        """Find the command; an unknown one is refused with the near ones."""
        if args and not ctx.resilient_parsing and not args[0].startswith("-"):
            check_choice(args[0], self.commands, "Command")
        return super().resolve_command(ctx, args)


def _exit_code(call: Callable[[], Any], debug: bool) -> int:
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a symbol that the terminal lacks is no reason to stop
    with _noting_interrupts() as interrupted:
        try:
            return call() or 0
        except Exception as error:
            if debug:
                traceback.print_exc()
            # Deep inside an import, Ctrl-C can come out as another error.
            code, words = (STOPPED, "") if interrupted else _in_words(error)
        except KeyboardInterrupt:
            code, words = STOPPED, ""
    say(words or "stopped before there was anything to keep", error=True)
    return code


def _in_words(error: Exception) -> tuple[int, str]:
    if isinstance(error, click.Abort):
        return STOPPED, ""
    if isinstance(error, click.UsageError):
        where = error.ctx.command_path if error.ctx else "ebll"
        return 2, f"error: {_one_line(error.format_message())} See: {where} --help"
    if isinstance(error, click.ClickException):
        return error.exit_code, f"error: {_one_line(error.format_message())}"
    if isinstance(error, EbllError):
        return (1 if isinstance(error, TrainingDiverged) else 2), f"error: {_one_line(str(error))}"
    return 1, (
        f"error: {type(error).__name__}: {_one_line(str(error))} (not foreseen by ebll; the same command with --debug "
        "shows where it happened)"
    )


def _one_line(text: str) -> str:
    return " ".join(text.split())


@contextmanager
def _noting_interrupts() -> Iterator[list[int]]:
    """Ctrl-C raises KeyboardInterrupt as always, and is noted besides; one that is ignored stays ignored."""
    seen: list[int] = []

    def note(number: int, frame: Any) -> None:
        seen.append(number)
        raise KeyboardInterrupt

    try:
        before = signal.signal(signal.SIGINT, note) if signal.getsignal(signal.SIGINT) is _usual else None
        # `kill`, `timeout` and batch systems end a program so: the tables are kept just the same.
        term = signal.signal(signal.SIGTERM, note) if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL else None
    except ValueError:  # not in the main thread, where nobody can press Ctrl-C
        before = term = None
    try:
        yield seen
    finally:
        if before is not None:
            signal.signal(signal.SIGINT, before)
        if term is not None:
            signal.signal(signal.SIGTERM, term)


_usual = signal.default_int_handler


@click.group(
    cls=Edge,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=examples(
        "ebll reproduce --profile fast",
        "ebll run --tasks letters,textures --method ebll --alpha 3",
        "ebll sweep alphas.toml",
        "ebll paper --root data --dry-run",
        "ebll export page.html",
        "ebll methods",
    ),
)
@click.version_option(package_name="ebll", prog_name="ebll", message="%(prog)s %(version)s")
@click.option("--debug", is_flag=True, help="On an error also print where in the code it happened.")
@click.pass_context
def cli(ctx: click.Context, debug: bool) -> None:
    """Encoder Based Lifelong Learning: run every method, read the numbers, see the figures."""
    if ctx.invoked_subcommand is None:
        say(ctx.get_help())


for _command in (reproduce, run, sweep, paper, export, tasks, methods, backbones, doctor, completion):
    cli.add_command(_command)


def main(args: Sequence[str] | None = None) -> NoReturn:
    """What `ebll` and `python -m ebll` call."""
    try:
        cli.main(args)
    finally:  # an impatient second Ctrl-C must not break into the interpreter's own end
        with suppress(ValueError):
            signal.signal(signal.SIGINT, signal.SIG_IGN)
