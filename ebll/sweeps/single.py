"""One run of a sweep, a pure function of its config: the same numbers in any order, in any process."""

from __future__ import annotations

import functools
import math
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ebll import metrics
from ebll.config import PRESETS, RunConfig
from ebll.data import Task, load_task
from ebll.errors import EbllError, InputError, TrainingDiverged
from ebll.protocol import begin, complete
from ebll.recording import Recorder, measure_accuracy
from ebll.runs import Run
from ebll.seeds import cpu_threads
from ebll.starts import first_task

__all__ = ["SCALARS", "RunResult", "run_one"]

SCALARS = {
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
    """What one run leaves.

    scalars    the columns of `SCALARS`; empty where the run diverged or could not begin
    accuracy   rows of `ebll.recording`: test accuracy on every task learned so far, after each task
    curves     rows of `ebll.recording` about old tasks
    failure    why there are no scalars, or ""
    repeat     whether another try may end otherwise, as after want of memory: then it is not saved
    """

    config: RunConfig
    scalars: dict[str, float] = field(default_factory=dict)
    accuracy: list[dict[str, Any]] = field(default_factory=list)
    curves: list[dict[str, Any]] = field(default_factory=list)
    failure: str = ""
    repeat: bool = False


def run_one(config: RunConfig, device: str = "cpu") -> RunResult:
    """Train one config and measure it; where something goes wrong, `failure` says what, and no other run is lost."""
    recorder, scalars, failure, repeat = Recorder(log_every=config.log_every), {}, "", False
    with cpu_threads(1):
        try:
            tasks = _sequence(config, device)
            first = first_task(tasks[0], config.net, PRESETS[config.net].train, config.seed, device=device)
            _, start, memories = _result(first)
            options = {"start": start, "memories": memories, "seed": config.seed, "device": device}
            run = begin(tasks, config.made_method(), recorder=recorder, **options)
            scalars = _scalars(complete(run, tasks, config.train), tasks)
        except (TrainingDiverged, InputError) as error:
            failure = str(error)
        except Exception as error:
            words = str(error) if isinstance(error, EbllError) else f"{type(error).__name__}: {error}"
            failure, repeat = f"{words} (not saved: the same sweep tries this run again)", True
    curves = [row for row in recorder.curve_rows if row["task"]]
    return RunResult(config, scalars, recorder.accuracy_rows, curves, failure, repeat)


def _result(steps: Generator[Any, None, Any]) -> Any:
    """What a generator of steps returns at its end."""
    while True:
        try:
            next(steps)
        except StopIteration as ended:
            return ended.value


def _scalars(run: Run, tasks: list[Task]) -> dict[str, float]:
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


def _sequence(config: RunConfig, device: str) -> list[Task]:
    """The config's tasks, all but the first with as many training images as it asks for."""
    first, *later = config.tasks
    return [_cut(first, 0, device), *(_cut(name, config.images, device) for name in later)]
