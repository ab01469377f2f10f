"""What the forgetting lab computes: a config in, the runs of its methods out, with everything recorded on the way.

    made = ebll.widgets.run(new="mnist", alpha=1.0)
    made.table()                      # accuracy before, old and new task after, forgetting, distance
    ebll.plots.feature_distance(made.curves)
    ebll.plots.landscape(*made.landscape("lwf"))

All methods branch from one network that has learned the old task. They are trained side by side, a step of each in
turn, so that a weight that is changed in mid-run changes for all of them at the same step.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
import torch

from ebll.data import Task
from ebll.dynamics import landscape, weights_of
from ebll.errors import InputError, TrainingDiverged
from ebll.methods import METHODS
from ebll.protocol import begin, first_task, learn
from ebll.recording import TERMS, Recorder, Run, Snapshot, measure_accuracy, sequence_id
from ebll.seeds import cpu_threads
from ebll.settings import USUAL
from ebll.training import Step

from .config import Change, LabConfig, cut, offered_task, own_tasks

__all__ = ["LabRun", "run", "training"]

LOG_EVERY = 15
SAMPLES = 128
"""Held-out images of each task that the curves look at: half as many as in the course's figures, since one waits."""
DOTS = 16
"""Of a path through the space of weights, at most; a usual run has one each ten steps."""
FAR = 10
"""Features that have moved by this many times their own length have not been learned: the steps overshoot."""

SHOWN = ["feature_distance", "accuracy", "accuracy_new"]
LOSSES = [f"loss_{term}" for term in TERMS]
"""With `SHOWN`, the columns of the curves table that the chart shows."""

_KEPT = 16
_runs: dict[Any, tuple[Run, dict[int, torch.Tensor], Snapshot, Task]] = {}
_ENDED = object()


class LabRecorder(Recorder):
    """Records the training of the new task only."""

    def measure(self, *args: Any, **facts: Any) -> None:
        """As a `Recorder`, apart from the warm-up."""
        if facts["stage"] == "train":
            super().measure(*args, **facts)


@dataclass(eq=False)
class LabRun:
    """The runs of one config, one a method: finished, or as far as they have come.

    tasks, start  the old task and the new one, and the network that has learned the old one
    recorders    method -> its record so far, also where the run was stopped or diverged
    paths        method -> step, every ten or so -> weights (n,) of its network, of half precision
    validation   method -> accuracy on all validation images of the old and of the new task at its end, 0..1
    notes        sentences about what did not go as asked
    planned      changes still to be made in mid-run, at first those of the config
    changes      those that were made so far, in order
    every_step   whether to measure at every step
    """

    config: LabConfig
    tasks: list[Task] = field(default_factory=list)
    start: Snapshot | None = None
    recorders: dict[str, Recorder] = field(default_factory=dict)
    paths: dict[str, dict[int, torch.Tensor]] = field(default_factory=dict)
    runs: dict[str, Run] = field(default_factory=dict)
    validation: dict[str, tuple[float, float]] = field(default_factory=dict)
    diverged: set[str] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    step: int = 0  #: optimiser steps that each method has made, after the warm-up
    steps: int = 0  #: and those that it will make
    coming: int = 0  #: the step at which a change acts that is asked for now
    before: float = math.nan  #: accuracy on all validation images of the old task before the new one
    every_step: bool = False
    reused: bool = False  #: whether a method was taken from an earlier run
    stepped: bool = False  #: whether it was measured at every step for a while

    def __post_init__(self):
        self.planned, self.now = self.config.changes, self.config.replace(changes=())
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
        others = [one for one in self.planned if one[:2] != (self.coming, name)]
        planned = self.config.replace(changes=[*others, (self.coming, name, value)]).changes
        if self.steps and self.step == self.steps:
            raise InputError("This run has ended, and cannot change any more: press Run, then change.")
        self.planned = planned

    @property
    def made_again(self) -> LabConfig:
        """The config that makes the same run again, with the changes that were asked for while it went on."""
        return self.config.replace(changes=(*self.changes, *self.planned))

    def at(self, step: int) -> LabConfig:
        """The settings from this step on: changes that are due are made and noted."""
        due = [change for change in self.planned if change.step <= step]
        self.planned = self.planned[len(due) :]
        for change in due:
            if getattr(self.now, change.name) != change.value:
                self.now = self.now.replace(**{change.name: change.value})
                self.changes.append(change)
        return self.now

    @property
    def measured(self) -> int:
        """How many times it has been measured so far."""
        return sum(len(recorder.curve_rows) for recorder in self.recorders.values())

    @property
    def shown(self) -> pd.DataFrame:
        """The columns of `curves` that the chart shows."""
        rows = [{"method": name, **row} for name, recorder in self.recorders.items() for row in recorder.curve_rows]
        table = pd.DataFrame(rows, columns=["method", "step", *SHOWN, *LOSSES])
        return table.astype({"step": int} | dict.fromkeys([*SHOWN, *LOSSES], float))

    @property
    def curves(self) -> pd.DataFrame:
        """The curves table (see `ebll.recording`) of all methods, as far as they have come."""
        return self._together({name: recorder.curves() for name, recorder in self.recorders.items()})

    @property
    def predictions(self) -> pd.DataFrame:
        """The predictions (see `ebll.recording`) of all methods on held-out images of the old task, so far."""
        return self._together({name: recorder.predictions() for name, recorder in self.recorders.items()})

    @property
    def accuracy(self) -> pd.DataFrame:
        """The accuracy table of the methods that have ended: test accuracy in 0..1 after each task."""
        return self._together({name: run.recorder.accuracy() for name, run in self.runs.items()})

    def table(self) -> pd.DataFrame:
        """A row a method: before, old, new (percent of all validation images), forgetting (M5, points), distance (M2).

        Whoever moves sliders chooses by them: test images are in `.accuracy` alone."""
        rows = {}
        for name, recorder in self.recorders.items():
            old, new = (100 * share for share in self.validation.get(name, (math.nan, math.nan)))
            distance = recorder.curve_rows[-1]["feature_distance"] if recorder.curve_rows else math.nan
            rows[name] = 100 * self.before, old, new, 100 * self.before - old, distance
        return pd.DataFrame.from_dict(rows, orient="index", columns=["before", "old", "new", "forgetting", "distance"])

    def landscape(self, method: str = "") -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
        """Losses in a plane of weights, paths, losses on lines: `ebll.dynamics.landscape` on validation images.

        The plane goes through the start, the end of joint training, which is run for it once, and that of a method.
        Methods with more weights than joint training (EBLL with separate operators) are left out.

        method   the last of the run if empty
        raises   `InputError` where this method has not come to its end, or has more weights than joint training
        """
        method, settings = method or self.config.methods[-1], self.config.train
        if method not in self.runs:
            raise InputError(
                f"The landscape needs a run of {METHODS[method].label} that has come to its end; "
                f"ended here: {', '.join(METHODS[name].label for name in self.runs) or 'none'}."
            )
        options = {"start": self.start, "seed": self.config.seed, "recorder": Recorder(log_every=0)}
        with cpu_threads(settings.threads):
            if "joint" not in self.paths:
                path: dict[int, torch.Tensor] = {}
                for step in learn(begin(self.tasks, METHODS["joint"](), **options), self.tasks, settings):
                    _keep(path, step)
                self.paths["joint"] = path
            size = len(self.paths["joint"][0])
            paths = {name: path for name, path in self.paths.items() if name in ("joint", method, *self.runs)}
            paths = {name: path for name, path in paths.items() if name == method or len(path[0]) == size}
            old, new = (task.validation.take(task.validation.spread(SAMPLES)) for task in self.tasks)
            return landscape(next(iter(self.runs.values())).net, paths, ("joint", method), old, new)

    def _together(self, tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
        config = self.config
        facts = {"sequence": sequence_id(config.net, [config.old, config.new]), "net": config.net, "seed": config.seed}
        parts = [tables[name].assign(**facts, method=name) for name in config.methods if len(tables.get(name, ()))]
        return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def run(config: LabConfig | str = "", *, tasks: Iterable[Task] = (), **settings: Any) -> LabRun:
    """Train the new task with each method of a config, from one network that has learned the old task.

    config    a `LabConfig`, or a line such as 'alpha=1.0, new="mnist"'
    tasks     the user's own tasks, which a config may name
    settings  any of `LabConfig` by name, such as changes=[(60, "alpha", 0.0)]: from this optimiser step on
    returns   a `LabRun`; its `.notes` say which method diverged, or cannot be used with these settings
    """
    made = LabRun(LabConfig.read(config, **settings))
    with cpu_threads(made.config.train.threads):
        for _ in training(made, tasks):
            pass
    return made


def training(made: LabRun, tasks: Iterable[Task] = (), *, reuse: bool = False) -> Iterator[Step | bool]:
    """Train all methods of `made.config`, and record into `made`.

    tasks   the user's own tasks
    reuse   take a method's run from earlier with the same settings, to the last bit the same
    yields  the loop's steps while the old task is learned; then after a step of each method whether it was measured
    """
    if made.recorders:
        raise InputError("This LabRun has been trained: make a new one of its config.")
    config, tasks = made.config, own_tasks(tasks)
    first, second = offered_task(config.old, tasks), cut(offered_task(config.new, tasks))
    start = yield from first_task(first, config.net, USUAL, config.seed)
    both, settings = [first, second], config.train
    made.tasks, made.start = both, start
    made.before = measure_accuracy(start.net, 0, first.validation)
    made.steps = steps_of(config, second)
    reuse = reuse and not made.planned and not made.changes
    with contextlib.ExitStack() as stack:
        going, own = [], {}
        for name in config.methods:
            key = (id(start), id(second), settings, config.seed, config.run(name).made_method())
            if reuse and key in _runs:
                (made.runs[name], made.paths[name], *_), made.reused = _runs[key], True
                made.recorders[name] = made.runs[name].recorder
                _finish(made, name, both)
            else:
                made.recorders[name] = own[name] = LabRecorder(LOG_EVERY, samples=SAMPLES, log_predictions=True)
                going.append(stack.enter_context(contextlib.closing(_train_one(made, name, both, start, key))))
        while going:
            measured, made.stepped = made.measured, made.stepped or made.every_step
            for recorder in own.values():
                recorder.log_every = 1 if made.every_step else LOG_EVERY
            going = [one for one in going if next(one, _ENDED) is not _ENDED]
            yield made.measured > measured
    for step, name, _ in made.planned:
        what = f"{name.replace('_', ' ')} was to change at step {step}"
        made.notes.append(f"{what}, but the last of the {made.steps} steps had begun: it did not act.")
    made.planned = ()


def _train_one(made: LabRun, name: str, both: list[Task], start: Snapshot, key: Any) -> Generator[None, None, None]:
    """Train the new task with one method; yields after each step."""
    config, settings, path = made.config, made.config.train, made.paths.setdefault(name, {})
    try:
        now = made.at(0)
        options = {"start": start, "seed": config.seed}
        run = begin(both, now.run(name).made_method(), recorder=made.recorders[name], **options)
        for step in learn(run, both, settings):
            learning = step.stage == "train"
            _keep(path, step)
            made.step = step.index if learning else 0
            made.coming = coming = step.index + 1 if learning else 0
            yield
            if coming < step.total and now is not made.at(coming):
                now = made.at(coming)
                run.method = now.run(name).made_method()
                if learning:
                    step.method = run.method
    except TrainingDiverged as error:
        made.diverged.add(name)
        what = str(error).partition(": training diverged: ")[2] or error
        made.notes.append(f"{METHODS[name].label} diverged: {what}")
    except InputError as error:
        made.diverged.add(name)
        made.notes.append(f"{METHODS[name].label} was left out: {error}")
    else:
        made.runs[name] = run
        _finish(made, name, both)
        if not made.changes and not made.stepped:
            _runs[key] = (run, path, start, both[1])  # with what its key's ids belong to
            while len(_runs) > _KEPT:
                _runs.pop(next(iter(_runs)))


def _finish(made: LabRun, name: str, both: list[Task]) -> None:
    """Measure a run that has come to its end, and say so where its features have moved very far."""
    net, rows = made.runs[name].net, made.recorders[name].curve_rows
    made.validation[name] = tuple(measure_accuracy(net, t, task.validation) for t, task in enumerate(both))
    if rows and rows[-1]["feature_distance"] > FAR * rows[0]["feature_norm"]:
        made.notes.append(
            f"{METHODS[name].label}: the features ended {rows[-1]['feature_distance']:.3g} away from where they were; "
            f"their own length was {rows[0]['feature_norm']:.3g}. The steps were too large for these weights: try a "
            "smaller learning rate, or a smaller weight."
        )


def _keep(path: dict[int, torch.Tensor], step: Step) -> None:
    """Add the weights to a path; half precision takes half the memory."""
    if step.stage == "train" and (step.index % max(10, step.total // DOTS) == 0 or step.index == step.total):
        path[step.index] = weights_of(step.net).half()


def steps_of(config: LabConfig, new: Task) -> int:
    """Optimiser steps of one method on the new task, after the warm-up."""
    return math.ceil(len(cut(new).train) / config.train.batch_size) * config.epochs
