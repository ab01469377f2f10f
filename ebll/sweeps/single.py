"""A run of a sweep as a pure function of its config: rows out, nothing kept but networks that save time.

What is kept, the networks that have learned a first task, changes no number: a run gives the same in any order, in any
process.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ebll import metrics
from ebll.comparison import memory_of
from ebll.config import PRESETS, RunConfig
from ebll.data import Task, load_task
from ebll.errors import EbllError, InputError, RunStopped, TrainingDiverged
from ebll.methods import Memory
from ebll.protocol import begin, learn, learn_first
from ebll.recording import Recorder, measure_accuracy
from ebll.runs import Run, Snapshot
from ebll.seeds import cpu_threads
from ebll.sweeps.version import code_version
from ebll.training import TrainSettings

__all__ = ["FIGURES", "RunResult", "prepared", "run_one", "sequence_of"]

FIGURES = {
    "old": "test accuracy after the last task, mean over the tasks before it, 0..1",
    "new": "test accuracy on the last task, 0..1",
    "average": "M4 over all tasks, test accuracy, 0..1",
    "forgetting": "M5 over the tasks before the last, test accuracy, 0..1",
    "old_validation": "as `old`, on validation images: choose by these, never by test images",
    "new_validation": "as `new`, on validation images",
    "distance": "M2 of the held-out inputs at the last step, mean over the old tasks",
    "code_loss": "E4 on training batches of the last task, summed over the old tasks, mean of the last quarter's rows",
    "kept_bytes": "what the method keeps between tasks",
}
"""Column -> what it is: the numbers of a finished run."""


@dataclass
class RunResult:
    """What one run leaves. `figures` is empty and `failure` says why where it diverged or could not begin."""

    config: RunConfig
    figures: dict[str, float] = field(default_factory=dict)
    curves: list[dict[str, Any]] = field(default_factory=list)  #: rows of `ebll.recording` about old tasks
    failure: str = ""
    seconds: float = 0.0  #: for estimates; in no table
    code: str = field(default_factory=lambda: code_version())  #: version of the code that ran it
    final: bool = True  #: False where another try may end otherwise, as after want of memory: it is not kept


def run_one(config: RunConfig, device: str = "cpu", stop: Callable[[], bool] = lambda: False) -> RunResult:
    """Train one config and measure it.

    returns  the figures and curves; where training diverged or anything else went wrong, `failure` in their place
    stop     asked after every step
    raises   `RunStopped` once `stop` says so
    """
    begun, recorder = time.perf_counter(), Recorder(log_every=config.log_every)

    def run() -> Run:
        tasks, start = sequence_of(config, device), prepared(config, device)
        run = begin(tasks, config.made_method(), start=start, seed=config.seed, device=device, recorder=recorder)
        for _ in learn(run, tasks, config.train):
            if stop():
                raise RunStopped("The run was stopped.")
        return run

    with cpu_threads(1):
        result = _settled(config, recorder, run, device)
    result.seconds = time.perf_counter() - begun
    return result


def _settled(config: RunConfig, recorder: Recorder, run: Callable[[], Run], device: str = "cpu") -> RunResult:
    """The result of a run; what goes wrong is told in it and costs no other run."""
    figures, failure, final = {}, "", True
    try:
        figures = _figures(run(), sequence_of(config, device))
    except RunStopped:
        raise
    except (TrainingDiverged, InputError) as error:
        failure = str(error)
    except Exception as error:
        words = str(error) if isinstance(error, EbllError) else f"{type(error).__name__}: {error}"
        failure, final = f"{words} (not kept: the same sweep tries this run again)", False
    rows = [row for row in recorder.curve_rows if row["task"]]
    return RunResult(config, figures, rows, failure, final=final)


def prepared(config: RunConfig, device: str = "cpu") -> Snapshot:
    """The network that has learned the config's first task, with what its method keeps of it.

    raises  `TrainingDiverged`, `InputError`
    """
    settings, (first, seed) = PRESETS[config.net].train, (config.tasks[0], config.seed)
    start, memories = _start(first, config.net, seed, settings, device)
    kept = memory_of(config.made_method(), start, _cut(first, 0, device), memories, seed)
    return dataclasses.replace(start, memory=kept)


def _figures(run: Run, tasks: list[Task]) -> dict[str, float]:
    matrix = run.accuracy_matrix().to_numpy()
    held = [measure_accuracy(run.net, t, task.validation) for t, task in enumerate(tasks)]
    rows = [row for row in run.recorder.curve_rows if row["task"] and row["training"] == tasks[-1].name]
    last = [row["feature_distance"] for row in rows if row["step"] == rows[-1]["step"] and row["stage"] == "train"]
    codes = [row["raw_code"] for row in rows if row["stage"] == "train" and row["task"] == tasks[0].name
             and "raw_code" in row]  # fmt: skip
    return {
        "old": float(np.mean(matrix[-1, :-1])),
        "new": float(matrix[-1, -1]),
        "average": metrics.average_accuracy(matrix),
        "forgetting": metrics.forgetting(matrix),
        "old_validation": float(np.mean(held[:-1])),
        "new_validation": held[-1],
        "distance": float(np.mean(last)) if last else math.nan,
        "code_loss": float(np.mean(codes[-max(1, len(codes) // 4) :])) if codes else math.nan,
        "kept_bytes": float(run.memory.bytes()) if run.memory is not None else 0.0,
    }


@functools.lru_cache(maxsize=8)
def _task(name: str) -> Task:
    return load_task(name)


@functools.lru_cache(maxsize=16)
def _cut(name: str, images: int, device: str) -> Task:
    task = _task(name)
    return (task.subset(images) if 0 < images < len(task.train) else task).to(device)


def sequence_of(config: RunConfig, device: str = "cpu") -> list[Task]:
    """The config's tasks, all but the first with as many training images as it wants."""
    first, *later = config.tasks
    return [_cut(first, 0, device), *(_cut(name, config.images, device) for name in later)]


@functools.lru_cache(maxsize=8)
def _start(
    first: str, net: str, seed: int, settings: TrainSettings, device: str
) -> tuple[Snapshot, dict[Any, Memory | None]]:
    """The network that has learned the first task, and what methods keep of it, to which `memory_of` adds."""
    recorder = Recorder(log_every=0)
    task = _cut(first, 0, device)
    return learn_first([task], net=net, settings=settings, seed=seed, device=device, recorder=recorder), {}
