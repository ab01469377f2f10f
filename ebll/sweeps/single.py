"""A run of a sweep as a pure function of its config: rows out, nothing kept but networks that save time.

What is kept, the networks that have learned a first task, changes no number: a run gives the same in any order, in any
process.
"""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ebll import metrics
from ebll.config import PRESETS, RunConfig
from ebll.data import Task, load_task
from ebll.errors import EbllError, InputError, RunStopped, TrainingDiverged
from ebll.protocol import begin, learn
from ebll.recording import Recorder, measure_accuracy
from ebll.runs import Run
from ebll.seeds import cpu_threads
from ebll.starts import first_task
from ebll.sweeps.version import code_version
from ebll.training import Step

__all__ = ["FIGURES", "RunResult", "run_one", "sequence_of"]

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
        tasks = sequence_of(config, device)
        settings = PRESETS[config.net].train
        _, start, memories = drained(first_task(tasks[0], config.net, settings, config.seed, device=device), stop)
        options = {"start": start, "memories": memories, "seed": config.seed, "device": device, "recorder": recorder}
        run = begin(tasks, config.made_method(), **options)
        drained(learn(run, tasks, config.train), stop)
        return run

    with cpu_threads(1):
        result = _settled(config, recorder, run, device)
    result.seconds = time.perf_counter() - begun
    return result


def drained(steps: Generator[Step, None, Any], stop: Callable[[], bool]) -> Any:
    """What a generator of steps returns at its end.

    raises   `RunStopped` once `stop` says so
    """
    while True:
        try:
            next(steps)
        except StopIteration as ended:
            return ended.value
        if stop():
            steps.close()
            raise RunStopped("The run was stopped.")


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
