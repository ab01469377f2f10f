"""`ebll run`: one method on any sequence of tasks, every setting an option; what was recorded is never lost."""

from __future__ import annotations

import dataclasses
import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ebll.cli.params import Name, Number, TaskNames, device_names, examples, method_names, net_names
from ebll.cli.terminal import Progress, facts, say
from ebll.errors import check_choice, check_count

if TYPE_CHECKING:
    from ebll.cli.knobs import Knob
    from ebll.cli.work import Work
    from ebll.data import Task

__all__ = ["RunCommand", "run"]


class RunCommand(click.Command):
    """A command whose options for settings are made from what the library declares, when they are first needed."""

    _rooms: dict[str, str] | None = None

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """The command's own options, then one for every setting."""
        if self._rooms is None:
            every = self.every()
            self.params = [*self.params, *(knob.as_option() for _, knob in every)]
            self._rooms = {knob.parameter: title for title, knob in every}
        return super().get_params(ctx)

    def every(self) -> list[tuple[str, Knob]]:
        """Headline and knob of each setting."""
        from ebll.cli.knobs import ROOMS, knobs

        return [(ROOMS[knob.room], knob) for knob in knobs()]

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Options under a headline each for the command, the method, its autoencoder and the training."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record:
                sections.setdefault((self._rooms or {}).get(param.name or "", "Options"), []).append(record)
        sections["Options"] = sections.pop("Options")  # --help comes last among the parameters, yet belongs there
        for title in ("Options", *(name for name in sections if name != "Options")):
            with formatter.section(title):
                formatter.write_dl(sections[title])


@click.command(
    cls=RunCommand,
    short_help="Run one method on a sequence of tasks of your choice.",
    epilog=examples(
        "ebll run --tasks letters,mnist --method ebll --alpha 3",
        "ebll run --tasks letters,mnist,textures --method ebll --alpha 3,1 --net cnn --out out/cnn",
        "ebll run --tasks mnist,./leaves --method lwf --temperature 2 --epochs 16",
    ),
)
@click.option(
    "--tasks", type=TaskNames(), multiple=True, default=("letters,mnist",), metavar="A,B[,...]", show_default=True,
    help="Tasks in the order learned; a folder of images is named by its path.",
)  # fmt: skip
@click.option(
    "--method", type=Name("Method", method_names), default="ebll", show_default=True, metavar="NAME",
    help="`ebll methods` lists them.",
)  # fmt: skip
@click.option("--net", type=Name("Net", net_names), default="mlp", show_default=True, metavar="mlp|cnn")
@click.option("--seed", type=Number(), default=0, show_default=True, metavar="S", help="Decides all that is random.")
@click.option("--out", metavar="DIR", help="Folder for accuracy.csv, curves.csv, kept.csv and the figure.")
@click.option(
    "--device", type=Name("Device", device_names), default="cpu", show_default=True, metavar="auto|cpu|cuda",
    help="auto takes the GPU where there is one; the built-in nets gain nothing from it.",
)  # fmt: skip
def run(
    tasks: Sequence[Sequence[str]], method: str, net: str, seed: Any, out: str | None, device: str, **settings: Any
) -> None:
    """Learn tasks one after the other with one method; print what was learned and what was forgotten.

    Settings that are not given keep the library's defaults. Ctrl-C, and a training that diverges, keep the tables so
    far in --out.
    """
    from ebll.cli.knobs import build
    from ebll.cli.work import Work
    from ebll.reproduce import choose_device, report

    names = tuple(name for group in tasks for name in group)
    made, training = build(method, settings, len(names) - 1)
    folder = None if out is None else report.prepare_folder(out)
    seed = check_count(seed, "seed", low=0)
    work = Work([_load(name) for name in names], made, net, training, seed, choose_device(device), folder)
    say(_plan(work))
    try:
        with Progress(work.steps, "steps") as progress:
            work.do(progress.step)
        work.keep()  # before the figure, a full disk or a closed pipe can end the command
        work.draw()
    except KeyboardInterrupt:
        _keep(work)
        raise click.exceptions.Exit(130) from None
    except Exception:
        if work.done:
            with suppress(OSError):  # the first error is the one to show
                _keep(work)
        raise
    say(work.summary())
    if folder:
        say(f"\nResults are in {folder}: {', '.join(work.keep())}")


def _load(name: str) -> Task:
    from ebll.data import TASKS, Task, load_task

    if name not in TASKS and _is_path(name):
        return Task.from_folder(Path(name).expanduser())
    return load_task(check_choice(name, [*TASKS, "the path of a folder of images, such as ./leaves"], "Task"))


def _is_path(name: str) -> bool:
    return name.startswith(("~", ".")) or os.sep in name or Path(name).is_dir()


def _plan(work: Work) -> str:
    tuned = [*_changed(work.method), *_changed(getattr(work.method, "autoencoder", None)), *_changed(work.training)]
    return f"{work.method.label}\n" + facts(
        [
            ("tasks", ", ".join(task.name for task in work.tasks)),
            ("net", f"{work.net} on {work.device}, seed {work.seed}"),
            ("settings", ", ".join(tuned) or "all at their defaults"),
            ("images", "every training image; the main job takes 1,190 of each task after the first"),
        ]
    )


def _changed(settings: Any) -> Iterator[str]:
    """The settings that differ from their defaults, as name = value."""
    for field in dataclasses.fields(settings) if settings is not None else ():
        value = getattr(settings, field.name)
        if "doc" in field.metadata and value != field.default:
            yield f"{field.name} = {value}"


def _keep(work: Work) -> None:
    """Write what there is, and say so; a second Ctrl-C waits until it is written."""
    with _undisturbed():
        if not work.folder:
            where = "nothing was kept: --out DIR names a folder for the tables"
        elif written := work.keep():
            where = f"the tables so far are in {work.folder} ({', '.join(written)})"
        else:
            where = "there was nothing to keep yet"
    say(f"stopped at step {work.done} of {work.steps}; {where}", error=True)


@contextmanager
def _undisturbed() -> Iterator[None]:
    try:
        before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
    except ValueError:  # not in the main thread, where nobody can press Ctrl-C
        yield
        return
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
