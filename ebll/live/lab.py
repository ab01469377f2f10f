"""What the panels compute: a config in, the runs of its methods out, with everything recorded on the way.

    made = ebll.live.run(ebll.LabConfig(new="mnist", alpha=1.0))
    made.table()                      # accuracy before, old and new task after, forgetting, distance
    ebll.plots.feature_distance(made.curves)

All methods branch from one network that has learned the old task; it is kept, so that the next config begins at once.
This room trains and tabulates; it knows nothing of widgets or pictures.
"""

from __future__ import annotations

import copy
import dataclasses
import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from ebll.comparison import branch, memory_of
from ebll.config import PRESETS
from ebll.data import Task
from ebll.errors import InputError, TrainingDiverged, check_choice
from ebll.live.config import LabConfig
from ebll.live.cost import remember
from ebll.live.knobs import Change, LiveKnobs, LiveMemory, LiveMethod
from ebll.live.offered import cut, offered_tasks
from ebll.methods import METHODS, Memory
from ebll.protocol import begin, learn
from ebll.record import Recorder, measure_accuracy
from ebll.runs import Run, Snapshot
from ebll.seeds import cpu_threads
from ebll.training import TrainSettings
from ebll.turns import lent, turn

__all__ = ["LabRecorder", "LabRun", "learned", "run", "run_live", "start_of"]

LOG_EVERY = 15
SAMPLES = 128
"""Held-out images of each task that the curves look at: half as many as in the course's figures, since one waits."""
FAR = 10
"""Features that have moved by this many times their own length have not been learned: the steps overshoot."""

_KEPT = 8  # networks that have learned an old task
_starts: OrderedDict[Any, tuple[Task, Snapshot, dict[Any, Memory | None]]] = OrderedDict()
_runs: dict[Any, tuple[Run, Snapshot, Task]] = {}
_lock = threading.Lock()


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


@dataclass
class LabRun:
    """The runs of one config: those that have ended, and what is recorded of the one that is on.

    recorders   method -> its record so far, also where the run was stopped or diverged
    held        method -> accuracy on all validation images of the old and of the new task at its end, 0..1
    notes       sentences about what did not go as asked
    changes     settings that were changed in mid-run, for `run_live`
    """

    config: LabConfig
    recorders: dict[str, Recorder] = field(default_factory=dict)
    runs: dict[str, Run] = field(default_factory=dict)
    held: dict[str, tuple[float, float]] = field(default_factory=dict)
    diverged: set[str] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    live: str = ""  #: the method, for `run_live`
    steps: int = 0  #: optimiser steps of the new task for one method, after the warm-up
    before: float = math.nan  #: accuracy on all validation images of the old task before the new one

    @property
    def measured(self) -> int:
        """How many times it has been measured so far."""
        return sum(len(recorder.curve_rows) for recorder in list(self.recorders.values()))

    @property
    def curves(self) -> pd.DataFrame:
        """The curves table (see `ebll.record`) of all methods, as far as they have come."""
        parts = [recorder.curves().assign(**self._facts(name)) for name, recorder in self.recorders.items()]
        parts = [part for part in parts if len(part)]
        return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()

    @property
    def accuracy(self) -> pd.DataFrame:
        """The accuracy table of the methods that have ended: test accuracy in 0..1 after each task."""
        parts = [run.recorder.accuracy().assign(**self._facts(name)) for name, run in self.runs.items()]
        return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()

    def table(self) -> pd.DataFrame:
        """A row a method: before, old, new (percent of all validation images), forgetting (M5, points), distance (M2).

        Whoever moves sliders chooses by them: test images are in `.accuracy` alone."""
        rows = {}
        for name, recorder in self.recorders.items():
            old, new = (100 * share for share in self.held.get(name, (math.nan, math.nan)))
            distance = recorder.curve_rows[-1]["feature_distance"] if recorder.curve_rows else math.nan
            row = {"before": 100 * self.before, "old": old, "new": new, "forgetting": 100 * self.before - old}
            rows[name] = row | {"distance": distance}
        return pd.DataFrame.from_dict(rows, orient="index", columns=["before", "old", "new", "forgetting", "distance"])

    def _facts(self, name: str) -> dict[str, Any]:
        config = self.config
        sequence = f"{config.net}:{config.old}-{config.new}"
        return {"sequence": sequence, "net": config.net, "method": name, "seed": config.seed}


def learned(
    name: str, net: str, seed: int, tasks: Iterable[Task] = ()
) -> tuple[Task, Snapshot, dict[Any, Memory | None]]:
    """A task, the network that has learned it first, and what methods have kept of it so far."""
    offered = offered_tasks(tasks)
    task = offered[check_choice(name, offered, "Task")]()
    key = (id(task), net, seed)
    with _lock:
        if key in _starts:
            _starts.move_to_end(key)
            return _starts[key]
    run = begin([task], "finetune", net=net, seed=seed, recorder=Recorder(log_every=0))
    start = Snapshot(_taken_on(run, [task], PRESETS[net].train).net, run.recorder, net)
    with _lock:
        kept = _starts.setdefault(key, (task, start, {}))  # the task too, so that its id stays its own
        while len(_starts) > _KEPT:
            _starts.popitem(last=False)
    return kept


def start_of(config: LabConfig, tasks: Iterable[Task] = ()) -> tuple[list[Task], Snapshot, dict[Any, Memory | None]]:
    """Both tasks, the network that has learned the old one, and what the methods have kept of it so far."""
    offered = offered_tasks(tasks)
    second = offered[check_choice(config.new, offered, "Task")]()
    first, start, memories = learned(config.old, config.net, config.seed, tasks)
    return [first, cut(second)], start, memories


def run(
    config: LabConfig | str = "",
    *,
    tasks: Iterable[Task] = (),
    into: LabRun | None = None,
    every_step: Callable[[], bool] = lambda: False,
    reuse: bool = False,
) -> LabRun:
    """Train the new task with each method of a config, from one network that has learned the old task.

    config      a `LabConfig`, or a line that makes one
    tasks       the user's own tasks, which a config may name
    into        collects the record as the run goes on: pass your own to see it, or to keep it if the run is stopped
    every_step  asked at each step: whether to measure there too
    reuse       take a method's run from an earlier call with the same settings, to the last bit the same
    returns     a `LabRun`; a method that diverges, or cannot be used with these settings, is told in `.notes`
    """
    config = LabConfig.read(config)
    made = LabRun(config) if into is None else into
    with cpu_threads(config.first.threads):
        _run_all(made, tasks, every_step, reuse)
    return made


def _run_all(made: LabRun, tasks: Iterable[Task], every_step: Callable[[], bool], reuse: bool) -> None:
    config = made.config
    both, start, memories = start_of(config, tasks)
    made.before = _read(start, both[0])
    made.steps = math.ceil(len(both[1].train) / config.train.batch_size) * config.train.epochs
    for name in config.methods:
        key = (id(start), id(both[1]), config.train, config.seed, config.method(name))
        known = _runs.get(key) if reuse else None
        if known is not None:
            made.recorders[name], made.runs[name] = known[0].recorder, known[0]
            _look_back(made, name, both)
            continue
        recorder = made.recorders[name] = LabRecorder(log_every=LOG_EVERY, samples=SAMPLES, every_step=every_step)
        begun = time.perf_counter() - lent()
        if len(memories) > 4 * _KEPT:
            memories.clear()
        options = {"settings": config.train, "seed": config.seed, "recorder": recorder}
        _attempt(made, name, both, lambda name=name, options=options: _taken_on(
            branch(both, config.method(name), start, memories, **options), both, config.train
        ))  # fmt: skip
        if name in made.runs:
            remember(config, name, time.perf_counter() - lent() - begun)
            _runs[key] = (made.runs[name], start, both[1])  # kept with it, so that their ids stay theirs
            while len(_runs) > 4 * _KEPT:
                _runs.pop(next(iter(_runs)), None)


def run_live(
    config: LabConfig | str = "",
    method: str = "ebll",
    changes: Iterable[tuple[int, str, float]] = (),
    *,
    tasks: Iterable[Task] = (),
    into: LabRun | None = None,
    knobs: LiveKnobs | None = None,
    every_step: Callable[[], bool] = lambda: False,
) -> LabRun:
    """Train the new task with one method whose weights change on the way.

    changes   (step, name, value): from this optimiser step on, the setting has this value
    knobs     for another thread to turn; made of `config`, `method` and `changes` if None
    returns   a `LabRun` whose `.changes` make the run again; other arguments as in `run`
    """
    config = LabConfig.read(config)
    knobs = knobs or LiveKnobs(config, method, changes)
    made = LabRun(config) if into is None else into
    with cpu_threads(config.first.threads):
        _run_one(made, knobs, tasks, every_step)
    return made


def _run_one(made: LabRun, knobs: LiveKnobs, tasks: Iterable[Task], every_step: Callable[[], bool]) -> None:
    config, name = made.config, knobs.method.name
    made.live = name
    both, start, memories = start_of(config, tasks)
    made.before, made.changes = _read(start, both[0]), knobs.changes
    made.steps = math.ceil(len(both[1].train) / config.train.batch_size) * config.train.epochs
    recorder = made.recorders[name] = LabRecorder(log_every=LOG_EVERY, samples=SAMPLES, every_step=every_step)

    def job() -> Run:
        live = LiveMethod(knobs, start, both[0], config.seed)
        own = config.method(name)
        own.check(start.net, 2)
        memory = memory_of(own, start, both[0], memories, config.seed)
        held = dataclasses.replace(start, memory=LiveMemory([memory]))
        return _taken_on(begin(both, live, start=held, seed=config.seed, recorder=recorder), both, config.train)

    _attempt(made, name, both, job)


def _taken_on(run: Run, tasks: list[Task], settings: TrainSettings) -> Run:
    """Take a run to its end, in turns with the others of this process."""
    for _ in learn(run, tasks, settings):
        turn()
    return run


def _read(start: Snapshot, task: Task) -> float:
    # Of a copy: measuring freezes a network for a moment, and other runs may be branching from this one.
    return measure_accuracy(copy.deepcopy(start.net), 0, task.validation)


def _attempt(made: LabRun, name: str, both: list[Task], job: Callable[[], Run]) -> None:
    label, rows = METHODS[name].label, made.recorders[name].curve_rows
    try:
        made.runs[name] = job()
    except TrainingDiverged as error:
        made.diverged.add(name)
        where = f" after step {rows[-1]['step']}" if rows else ""
        made.notes.append(f"{label} diverged{where}: {str(error).partition(': training diverged: ')[2] or error}")
    except InputError as error:
        made.diverged.add(name)
        made.notes.append(f"{label} was left out: {error}")
    else:
        _look_back(made, name, both)


def _look_back(made: LabRun, name: str, both: list[Task]) -> None:
    """Measure a run that has come to its end, and say so if it has not done so in good order."""
    net = made.runs[name].net
    made.held[name] = tuple(measure_accuracy(net, t, task.validation) for t, task in enumerate(both))
    label, rows = METHODS[name].label, made.recorders[name].curve_rows
    if rows:
        far, length = rows[-1]["feature_distance"], rows[0]["feature_norm"]
        if far > FAR * length:
            made.notes.append(
                f"{label}: the features ended {far:.3g} away from where they were; their own length was {length:.3g}. "
                "The steps were too large for these weights: try a smaller learning rate, or a smaller weight."
            )
