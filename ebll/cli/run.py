"""`ebll run`: one method on any sequence of tasks, every setting of `ebll.RunConfig` an option."""

from __future__ import annotations

import contextlib
import itertools
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from ebll import metrics
from ebll.cli.options import CommaList, Progress, config_options, device_option, examples
from ebll.comparison import ALONE, Comparison, learn_with
from ebll.config import RunConfig
from ebll.data import TASKS, Task, load_task
from ebll.errors import OutputError, TrainingDiverged, check_choice
from ebll.protocol import begin, learn
from ebll.recording import Recorder
from ebll.reproduce import choose_device, report
from ebll.reproduce.jobs import Tables
from ebll.reproduce.plan import Experiment
from ebll.runs import Run, Snapshot
from ebll.seeds import cpu_threads

__all__ = ["run"]


@click.command(
    epilog=examples(
        "ebll run --tasks letters,mnist --method ebll --alpha 3",
        "ebll run --tasks letters,mnist,textures --alpha 3,1 --net cnn --out out/cnn",
        "ebll run --tasks mnist,./leaves --method lwf --temperature 2 --epochs 16",
    )
)
@click.option(
    "--tasks", type=CommaList(choices=TASKS), default="letters,mnist", show_default=True, metavar="A,B[,...]",
    help="Tasks in the order learned; a folder of images is named by its path.",
)  # fmt: skip
@config_options
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
    folder = None if out is None else report.prepare_folder(out)
    options = {"net": config.net, "seed": config.seed, "device": device}
    made = begin(loaded, config.made_method(), recorder=Recorder(log_every=config.log_every), **options)
    alone = Comparison()
    try:
        with Progress() as progress, cpu_threads(config.train.threads):
            reference = learn_with(
                alone, ALONE, None, loaded, Snapshot(made.net, made.recorder, config.net), {},
                settings=config.train, **options,
            )  # fmt: skip
            total = _steps(loaded, config)
            for i, step in enumerate(itertools.chain(learn(made, loaded, config.train), reference)):
                progress.at(i / total, f"step {step.index} of {step.total}, {step.stage}")
    except BaseException:
        if folder:
            with contextlib.suppress(OutputError):  # the first error is the one to show
                _write(made, folder)
        raise
    if alone.failures:
        raise TrainingDiverged(alone.failures[0])
    if folder:
        from ebll import plots

        _write(made, folder)
        plots.save(plots.feature_distance(made.curves), folder / "feature-distance")
    _show(made, [row["accuracy"] for row in alone.alone_rows])


def _load(name: str) -> Task:
    if name not in TASKS and (name.startswith(("~", ".")) or os.sep in name or Path(name).is_dir()):
        return Task.from_folder(Path(name).expanduser())
    return load_task(check_choice(name, [*TASKS, "the path of a folder of images, such as ./leaves"], "Task"))


def _steps(tasks: Sequence[Task], config: RunConfig) -> int:
    """Of the sequence, and of a network alone for each later task; a stage yields once more after its last step."""
    train = config.train
    batches = [math.ceil(len(task.train) / train.batch_size) for task in tasks]
    later = 2 * (train.epochs + train.warmup_epochs) * sum(batches[1:]) + 3 * len(batches[1:])
    return train.epochs * batches[0] + 1 + later


def _write(made: Run, folder: Path) -> None:
    """Write the tables so far; none where nothing was recorded."""
    if made.recorder.accuracy_rows or made.recorder.curve_rows:
        tables = Tables()
        for name in ("accuracy", "curves", "kept"):
            tables.parts[name].append(getattr(made, name))
        report.write_tables(tables.joined([Experiment(made.net_name, made.tasks)]), folder)
        click.echo(
            f"Tables so far are in {folder}." if made.learned < len(made.tasks) else f"Tables are in {folder}.",
            err=True,
        )


def _show(made: Run, alone: Sequence[float]) -> None:
    matrix = made.accuracy_matrix()
    click.echo("Test accuracy in %\n")
    click.echo((100 * matrix).round(1).to_string(na_rep=""))
    forward = metrics.forward_transfer(matrix, [math.nan, *alone])
    click.echo(f"\naverage accuracy   {100 * metrics.average_accuracy(matrix):6.1f} %")
    click.echo(f"forgetting         {100 * metrics.forgetting(matrix):6.1f} points")
    click.echo(f"backward transfer  {100 * metrics.backward_transfer(matrix):+6.1f} points")
    click.echo(f"forward transfer   {100 * forward:+6.1f} points, against a network that learns the task alone")
