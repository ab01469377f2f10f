"""`ebll run`: one method on any sequence of tasks, every setting of `ebll.RunConfig` an option."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from ebll import metrics
from ebll.cli.options import CommaList, Progress, device_option, examples, setting_options
from ebll.comparison import ALONE, Comparison, learn_with
from ebll.config import PRESETS, RunConfig
from ebll.data import TASKS, Task, load_task
from ebll.environment import choose_device
from ebll.errors import OutputError, TrainingDiverged, check_choice
from ebll.files import prepare_folder
from ebll.protocol import begin, first_task
from ebll.recording import Run
from ebll.reproduce import report
from ebll.reproduce.jobs import Tables
from ebll.seeds import cpu_threads
from ebll.training import Step

__all__ = ["run"]


@click.command(
    epilog=examples(
        "ebll run --tasks letters,mnist --method ebll --alpha 3",
        "ebll run --tasks letters,mnist,textures --alpha 3,1 --net cnn --out out/cnn",
        "ebll run --tasks mnist,./leaves --method lwf --temperature 2 --epochs 16",
    )
)
@click.option(
    "--tasks", type=CommaList(choices=TASKS), default="letters,textures", show_default=True, metavar="A,B[,...]",
    help="Tasks in the order learned; a folder of images is named by its path.",
)  # fmt: skip
@setting_options(RunConfig())
@click.option("--out", metavar="DIR", help="Folder for accuracy.csv, curves.csv, kept.csv and the figure.")
@device_option
def run(tasks: Sequence[str], out: str | None, device: str, **settings: Any) -> None:
    """Learn tasks one after the other with one method; print what was learned and what was forgotten.

    Ctrl-C, and a training that diverges, keep the tables so far in --out.
    """
    config = RunConfig.of(tasks=tasks, **{name: value for name, value in settings.items() if value is not None})
    if ignored := [name for name in sorted(config.unused) if settings.get(name) is not None]:
        raise click.UsageError(f"{', '.join(ignored)}: {config.method} has no such setting.")
    device = choose_device(device)
    loaded = [_load(name).to(device) for name in tasks]
    if config.images:
        loaded[1:] = [task.subset(config.images) for task in loaded[1:]]
    begin(loaded, config.made_method(), net=config.net)  # refuses settings that do not fit before anything is learned
    folder = None if out is None else prepare_folder(out)
    made, total = Comparison(), _step_count(loaded, config)
    try:
        with Progress() as progress, cpu_threads(config.train.threads):
            for i, step in enumerate(_steps(config, loaded, device, made)):
                progress.at(i / total, f"step {step.index} of {step.total}, {step.stage}")
    except BaseException:
        if folder:
            with contextlib.suppress(OutputError):  # the first error is the one to show
                _write(made, folder, "Tables so far")
        raise
    done = made.runs.get((config.method, config.seed))
    if folder:
        with contextlib.suppress(OutputError) if made.failures else contextlib.nullcontext():
            _write(made, folder, "Tables")
    if done is not None and done.learned == len(loaded):
        _show(done, [row["accuracy"] for row in made.alone_rows])
        if folder and len(done.curves):
            from ebll import plots

            plots.save(plots.feature_distance(done.curves), folder / "feature-distance")
    if made.failures:
        raise TrainingDiverged(made.failures[0])


def _steps(config: RunConfig, tasks: Sequence[Task], device: str, made: Comparison) -> Iterator[Step]:
    """The steps of the first task with the net's own settings, of the method, and of a network alone for each task."""
    options = {"seed": config.seed, "device": device, "log_every": config.log_every}
    start = yield from first_task(tasks[0], config.net, PRESETS[config.net].train, **options)
    options |= {"net": config.net, "settings": config.train}
    for name, method in ((config.method, config.made_method()), (ALONE, None)):
        yield from learn_with(made, name, method, tasks, start, **options)


def _load(name: str) -> Task:
    if name not in TASKS and (name.startswith(("~", ".")) or os.sep in name or Path(name).is_dir()):
        return Task.from_folder(Path(name).expanduser())
    return load_task(check_choice(name, [*TASKS, "the path of a folder of images, such as ./leaves"], "Task"))


def _step_count(tasks: Sequence[Task], config: RunConfig) -> int:
    """How many steps `_steps` yields; a stage yields once more after its last step."""
    train, first = config.train, PRESETS[config.net].train.epochs
    batches = [math.ceil(len(task.train) / train.batch_size) for task in tasks]
    stages = 2 + bool(train.warmup_epochs)
    return first * batches[0] + 1 + sum(2 * (train.epochs + train.warmup_epochs) * n + stages for n in batches[1:])


def _write(made: Comparison, folder: Path, what: str) -> None:
    """Write the tables so far; none where nothing was recorded."""
    tables = Tables()
    for name in ("accuracy", "curves", "kept"):
        tables.parts[name].append(getattr(made, name))
    if any(len(part) for part in tables.parts["accuracy"]):
        report.write_tables(tables.joined([]), folder)
        click.echo(f"{what} are in {folder}.", err=True)


def _show(made: Run, alone: Sequence[float]) -> None:
    matrix = made.accuracy_matrix()
    click.echo("Test accuracy in %\n")
    click.echo((100 * matrix).round(1).to_string(na_rep=""))
    click.echo(f"\naverage accuracy   {100 * metrics.average_accuracy(matrix):6.1f} %")
    click.echo(f"forgetting         {100 * metrics.forgetting(matrix):6.1f} points")
    click.echo(f"backward transfer  {100 * metrics.backward_transfer(matrix):+6.1f} points")
    if len(alone) == len(made.tasks) - 1:  # none of them diverged
        forward = metrics.forward_transfer(matrix, [math.nan, *alone])
        click.echo(f"forward transfer   {100 * forward:+6.1f} points, against a network that learns the task alone")
