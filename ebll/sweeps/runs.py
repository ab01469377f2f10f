"""One run of a sweep, a pure function of its config, and the folder that holds the results, a file a run.

    folder/format.json       the version of the results
    folder/planned.json      the configs of the sweep that was begun last
    folder/runs/ab12….json   a result, named by a hash of its config

Files are written whole or not at all; several processes may write into one folder.
"""

from __future__ import annotations

import functools
import hashlib
import json
import math
import re
from collections.abc import Generator, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ebll import metrics
from ebll.config import PRESETS, RunConfig
from ebll.data import Task, load_task
from ebll.errors import EbllError, InputError, OutputError, TrainingDiverged
from ebll.files import write_whole
from ebll.protocol import begin, complete, first_task
from ebll.recording import Recorder, Run, measure_accuracy
from ebll.seeds import cpu_threads

__all__ = ["RESULTS_VERSION", "SCALARS", "RunResult", "Store", "run_key", "run_one"]

RESULTS_VERSION = 1
"""To be raised by hand when the same config gives other numbers, or the files change."""

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
            options = {"start": _result(first), "seed": config.seed, "device": device}
            run = begin(tasks, config.made_method(), recorder=recorder, **options)
            scalars = _scalars(complete(run, tasks, config.train), tasks)
        except TrainingDiverged as error:
            failure = str(error)
        except InputError as error:
            failure, repeat = str(error), device != "cpu"  # another worker may have that device
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


def run_key(config: RunConfig) -> str:
    """A hash of the settings of a run that act, and of the version of the results."""
    text = json.dumps([config.canonical().as_dict(), RESULTS_VERSION], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


class Store:
    """The results in a folder; made where it is not there, unless `make` is False.

    damaged    names of the files that could not be read, since this object was made; their runs count as not done
    raises     `OutputError` where the folder cannot be written, `InputError` where it holds something else, or results
               of another version
    """

    def __init__(self, folder: str | Path, *, make: bool = True) -> None:
        self.folder, self.damaged = Path(folder), list[str]()
        about = self.folder / "format.json"
        try:
            if make and not about.exists():
                own = {"runs", about.name}  # of another process that makes this very store
                if {one.name for one in self.folder.glob("[!.]*")} - own:
                    raise InputError(f"{self.folder} is not empty and holds no sweep. Name another folder.")
                (self.folder / "runs").mkdir(parents=True, exist_ok=True)
                write_whole(about, json.dumps({"results": RESULTS_VERSION}))
            version = re.search(r'"results": (\d+)', about.read_text(encoding="utf-8", errors="replace"))
        except FileNotFoundError:
            raise InputError(f"{self.folder} holds no sweep. Name the folder that a sweep had as its store.") from None
        except OSError as error:
            raise OutputError(
                f"The results cannot go to {self.folder}: {error.strerror or error}. Name a folder that you may "
                "write to."
            ) from error
        found = version[1] if version else "unknown"
        if found != str(RESULTS_VERSION):
            raise InputError(
                f"{self.folder} holds results of version {found}, which another ebll has written; this one has version "
                f"{RESULTS_VERSION}. Name another folder, or use that ebll."
            )

    def plan(self, configs: Iterable[RunConfig]) -> None:
        """Note which runs there will be, so that others can say how far the sweep is."""
        self._write(self.folder / "planned.json", [config.as_dict() for config in configs])

    def planned(self) -> list[RunConfig]:
        """The runs of the sweep that was begun last."""
        try:
            held = json.loads((self.folder / "planned.json").read_text(encoding="utf-8"))
            return [RunConfig.from_dict(one) for one in held]
        except (FileNotFoundError, ValueError, TypeError, AttributeError):  # a damaged plan counts as none
            return []

    def path(self, config: RunConfig) -> Path:
        """Where the result of a config is, or would be."""
        return self.folder / "runs" / f"{run_key(config)}.json"

    def put(self, result: RunResult) -> None:
        """Write a result.

        raises  `OutputError` where it cannot be written
        """
        self._write(self.path(result.config), vars(result) | {"config": result.config.canonical().as_dict()})

    def _write(self, path: Path, value: object) -> None:
        try:
            write_whole(path, json.dumps(value))
        except OSError as error:
            raise OutputError(
                f"A result cannot be written to {path}: {error.strerror or error}. What was written before is kept; "
                "make room, and the same sweep goes on."
            ) from error

    def get(self, config: RunConfig) -> RunResult | None:
        """The result of a config; None where there is none, or a damaged file."""
        path = self.path(config)
        return self._read(path) if path.exists() else None

    def read(self, but: Iterable[Path] = ()) -> list[RunResult]:
        """The results in all files but those whose paths are given."""
        paths = sorted({*(self.folder / "runs").glob("*.json")} - set(but))
        return [result for path in paths if (result := self._read(path)) is not None]

    def _read(self, path: Path) -> RunResult | None:
        try:
            held = json.loads(path.read_text(encoding="utf-8"))
            result = RunResult(**held | {"config": RunConfig.from_dict(held["config"])})
            if run_key(result.config) != path.stem:
                raise ValueError("the result of another run")
            return result
        except (ValueError, TypeError, KeyError):  # InputError, for settings that this version does not know, is one
            self.damaged.append(path.name)
            return None
