"""What the forgetting lab computes: a config in, the runs of its methods out, with everything recorded on the way.

    made = ebll.widgets.run(ebll.LabConfig(new="mnist", alpha=1.0))
    made.table()                      # accuracy before, old and new task after, forgetting, distance
    ebll.plots.feature_distance(made.curves)

All methods branch from one network that has learned the old task. They are trained side by side, a step of each in
turn, so that a weight that is changed in mid-run changes for all of them at the same step.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from ebll.config import NEW_TASK_IMAGES, PRESETS
from ebll.data import Task
from ebll.errors import InputError, TrainingDiverged
from ebll.methods import METHODS
from ebll.protocol import begin, learn
from ebll.recording import Recorder, measure_accuracy
from ebll.runs import Run
from ebll.seeds import cpu_threads
from ebll.starts import Start, first_task
from ebll.training import TrainSettings

from .config import Change, LabConfig, checked_changes, read_run
from .starts import cut, offered_task, own_tasks

__all__ = ["LabRun", "cost_of", "run", "seconds_of", "steps_of", "training"]

LOG_EVERY = 15
SAMPLES = 128
"""Held-out images of each task that the curves look at: half as many as in the course's figures, since one waits."""
FAR = 10
"""Features that have moved by this many times their own length have not been learned: the steps overshoot."""

_KEPT = 32
_runs: dict[Any, tuple[Run, Start, Task]] = {}
_seconds: dict[tuple[str, str], float] = {}  # (net, method) -> of a step, measured on this machine
_GUESS = {"mlp": 0.002, "cnn": 0.007}
_ENDED = object()


@dataclass
class LabRecorder(Recorder):
    """Records the training of the new task only, and every step while `every_step()` says so."""

    every_step: Callable[[], bool] = lambda: False

    def due(self, step: int, last: bool = False) -> bool:
        """As a `Recorder`, and also where every step is asked for."""
        return super().due(step, last) or self.every_step()

    def measure(self, *args: Any, **facts: Any) -> None:
        """As a `Recorder`, apart from the warm-up."""
        if facts["stage"] == "train":
            super().measure(*args, **facts)


@dataclass(eq=False)
class LabRun:
    """The runs of one config, one a method: finished, or as far as they have come.

    planned      changes to be made in mid-run
    recorders    method -> its record so far, also where the run was stopped or diverged
    validation   method -> accuracy on all validation images of the old and of the new task at its end, 0..1
    notes        sentences about what did not go as asked
    changes      settings that were changed in mid-run so far, in order
    every_step   whether to measure at every step
    """

    config: LabConfig
    planned: Iterable[Change] = ()
    recorders: dict[str, Recorder] = field(default_factory=dict)
    runs: dict[str, Run] = field(default_factory=dict)
    validation: dict[str, tuple[float, float]] = field(default_factory=dict)
    diverged: set[str] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    step: int = 0  #: optimiser steps that each method has made, after the warm-up
    steps: int = 0  #: and those that it will make
    before: float = math.nan  #: accuracy on all validation images of the old task before the new one
    every_step: bool = False
    reused: bool = False  #: whether a method was taken from an earlier run
    stepped: bool = False  #: whether it was measured at every step for a while

    def __post_init__(self):
        self.planned, self._asked, self.now = list(checked_changes(self.config, self.planned)), {}, self.config
        self.at(0)

    def change(self, name: str, value: float) -> None:
        """Ask for a change at the next step; the last of several asked for in between counts.

        raises   `InputError` for a value that may not be, and where methods were taken from earlier runs, on which it
                 could not act
        """
        if self.reused:
            raise InputError(
                "Some of these runs are earlier ones, which cannot change any more: press Run, then change."
            )
        (change,) = checked_changes(self.config, [(0, name, value)])
        self._asked[name] = change.value

    def at(self, step: int) -> LabConfig:
        """The settings from this step on: changes that are due are made and noted."""
        due = [change for change in self.planned if change.step <= step]
        due += [Change(step, name, value) for name, value in self._asked.items()]
        self.planned = [change for change in self.planned if change.step > step]
        self._asked.clear()
        for _, name, value in due:
            if getattr(self.now, name) != value:
                self.now = self.now.replace(**{name: value})
                self.changes.append(Change(step, name, value))
        return self.now

    @property
    def measured(self) -> int:
        """How many times it has been measured so far."""
        return sum(len(recorder.curve_rows) for recorder in self.recorders.values())

    @property
    def rows(self) -> dict[str, list[dict[str, Any]]]:
        """Method -> the rows of its record so far, as `curves` has them."""
        return {name: recorder.curve_rows for name, recorder in self.recorders.items()}

    @property
    def curves(self) -> pd.DataFrame:
        """The curves table (see `ebll.recording`) of all methods, as far as they have come."""
        return self._together({name: recorder.curves() for name, recorder in self.recorders.items()})

    @property
    def accuracy(self) -> pd.DataFrame:
        """The accuracy table of the methods that have ended: test accuracy in 0..1 after each task."""
        return self._together(
            {name: self.runs[name].recorder.accuracy() for name in self.recorders if name in self.runs}
        )

    def table(self) -> pd.DataFrame:
        """A row a method: before, old, new (percent of all validation images), forgetting (M5, points), distance (M2).

        Whoever moves sliders chooses by them: test images are in `.accuracy` alone."""
        rows = {}
        for name, recorder in self.recorders.items():
            old, new = (100 * share for share in self.validation.get(name, (math.nan, math.nan)))
            distance = recorder.curve_rows[-1]["feature_distance"] if recorder.curve_rows else math.nan
            row = {"before": 100 * self.before, "old": old, "new": new, "forgetting": 100 * self.before - old}
            rows[name] = row | {"distance": distance}
        return pd.DataFrame.from_dict(rows, orient="index", columns=["before", "old", "new", "forgetting", "distance"])

    def _together(self, tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
        config = self.config
        facts = {"sequence": f"{config.net}:{config.old}-{config.new}", "net": config.net, "seed": config.seed}
        parts = [table.assign(**facts, method=name) for name, table in tables.items() if len(table)]
        return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def run(
    config: LabConfig | str = "", changes: Iterable[tuple[int, str, float]] = (), *, tasks: Iterable[Task] = ()
) -> LabRun:
    """Train the new task with each method of a config, from one network that has learned the old task.

    config    a `LabConfig`, or a line that makes one
    changes   (step, name, value): from this optimiser step on, the setting has this value
    tasks     the user's own tasks, which a config may name
    returns   a `LabRun`; a method that diverges, or cannot be used with these settings, is told in `.notes`
    """
    config, written = read_run(config)
    made = LabRun(config, checked_changes(config, changes) or written)
    with cpu_threads(training_settings(config).threads):
        for _ in training(made, tasks):
            pass
    return made


def training(made: LabRun, tasks: Iterable[Task] = (), *, reuse: bool = False) -> Iterator[None]:
    """Train all methods of `made.config`, and put what comes into `made`; yields after a step of each method.

    tasks   the user's own tasks
    reuse   take a method's run from earlier with the same settings, to the last bit the same
    """
    if made.recorders:
        raise InputError("This LabRun has been trained: make a new one of its config.")
    config, tasks = made.config, own_tasks(tasks)
    second = cut(offered_task(config.new, tasks))
    start = yield from first_task(offered_task(config.old, tasks), config.net, PRESETS[config.net].train, config.seed)
    both, settings = [start.task, second], training_settings(config)
    made.before = measure_accuracy(start.snapshot.net, 0, start.task.validation)
    made.steps = math.ceil(len(second.train) / settings.batch_size) * settings.epochs
    reuse = reuse and not made.planned and not made.changes
    with contextlib.ExitStack() as stack:
        going = []
        for name in config.methods:
            key = (id(start.snapshot), id(second), settings, config.seed, config.run(name).made_method())
            if reuse and key in _runs:
                made.runs[name], made.reused = _runs[key][0], True
                made.recorders[name] = made.runs[name].recorder
                _finish(made, name, both)
            else:
                made.recorders[name] = LabRecorder(LOG_EVERY, SAMPLES, every_step=lambda: made.every_step)
                going.append(stack.enter_context(contextlib.closing(_train_one(made, name, both, start, key))))
        while going:
            made.stepped |= made.every_step
            going = [one for one in going if next(one, _ENDED) is not _ENDED]
            yield
    late = [*made.planned, *(Change(made.steps, name, value) for name, value in made._asked.items())]
    for step, name, _ in late:
        what = f"{name.replace('_', ' ')} was to change at step {step}"
        made.notes.append(f"{what}, but the last of the {made.steps} steps had begun: it did not act.")


def _train_one(made: LabRun, name: str, both: list[Task], start: Start, key: Any) -> Generator[None, None, None]:
    """Train the new task with one method; yields after each step."""
    config, settings = made.config, training_settings(made.config)
    recorder, seconds, count, begun = made.recorders[name], 0.0, 0, time.perf_counter()
    if len(start.memories) > _KEPT:
        start.memories.clear()
    try:
        now = made.at(0)
        options = {"start": start.snapshot, "memories": start.memories, "seed": config.seed, "recorder": recorder}
        run = begin(both, now.run(name).made_method(), **options)
        for step in learn(run, both, settings):
            seconds, count = seconds + time.perf_counter() - begun, count + 1
            made.step = step.index if step.stage == "train" else 0
            yield
            begun = time.perf_counter()
            if step.stage == "train" and step.index + 1 < step.total and now is not made.at(step.index + 1):
                now = made.at(step.index + 1)
                step.method = now.run(name).made_method()
    except TrainingDiverged as error:
        made.diverged.add(name)
        where = f" after step {recorder.curve_rows[-1]['step']}" if recorder.curve_rows else ""
        what = str(error).partition(": training diverged: ")[2] or error
        made.notes.append(f"{METHODS[name].label} diverged{where}: {what}")
    except InputError as error:
        made.diverged.add(name)
        made.notes.append(f"{METHODS[name].label} was left out: {error}")
    else:
        made.runs[name] = run
        _finish(made, name, both)
        rate, known = seconds / max(1, count), (config.net, name)
        _seconds[known] = 0.5 * (_seconds.get(known, rate) + rate)
        if not made.changes and not made.stepped:
            _runs[key] = (run, start, both[1])  # with what its key's ids belong to
            while len(_runs) > _KEPT:
                _runs.pop(next(iter(_runs)))


def _finish(made: LabRun, name: str, both: list[Task]) -> None:
    """Measure a run that has come to its end, and say so if it has not done so in good order."""
    net, rows = made.runs[name].net, made.recorders[name].curve_rows
    made.validation[name] = tuple(measure_accuracy(net, t, task.validation) for t, task in enumerate(both))
    if rows and rows[-1]["feature_distance"] > FAR * rows[0]["feature_norm"]:
        far, length = rows[-1]["feature_distance"], rows[0]["feature_norm"]
        made.notes.append(
            f"{METHODS[name].label}: the features ended {far:.3g} away from where they were; their own length was "
            f"{length:.3g}. The steps were too large for these weights: try a smaller learning rate, or a smaller "
            "weight."
        )


def training_settings(config: LabConfig) -> TrainSettings:
    """How the new task is learned, the same for all methods."""
    return config.run(config.methods[0]).train


def steps_of(config: LabConfig, images: int = NEW_TASK_IMAGES) -> tuple[int, int]:
    """Optimiser steps of the new task for one method: in the warm-up, and after it.

    images   that the new task has for training
    """
    settings = training_settings(config)
    batches = math.ceil(min(images, NEW_TASK_IMAGES) / settings.batch_size)
    return batches * settings.warmup_epochs, batches * settings.epochs


def seconds_of(config: LabConfig, images: int = NEW_TASK_IMAGES) -> float:
    """How long all methods of a config will take: at first a laptop's guess, later as measured here."""
    known = [rate for (net, _), rate in _seconds.items() if net == config.net]
    usual = sum(known) / len(known) if known else _GUESS[config.net]
    return sum(steps_of(config, images)) * sum(_seconds.get((config.net, name), usual) for name in config.methods)


def cost_of(config: LabConfig, images: int = NEW_TASK_IMAGES) -> str:
    """The cost in words: 'about 1.2 s (3 methods, 152 steps each after a warm-up)'."""
    seconds, count = max(0.1, seconds_of(config, images)), len(config.methods)
    duration = (
        f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
    )
    steps = f"{steps_of(config, images)[1]} steps each after a warm-up"
    return f"about {duration} ({count} method{'s' if count > 1 else ''}, {steps})"
