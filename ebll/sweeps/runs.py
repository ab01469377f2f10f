"""One run of a sweep, a pure function of its config, and the folder that holds the results, a file a run.

    folder/format.json       the version of the results
    folder/planned.json      the configs of the sweep that was begun last
    folder/runs/ab12….json   a result, named by a hash of its config

Files are written whole or not at all; several processes may write into one folder.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ebll import metrics
from ebll.config import RunConfig
from ebll.data import Task
from ebll.data.catalog import load_cut
from ebll.errors import EbllError, InputError, TrainingDiverged, expanded
from ebll.files import write_text
from ebll.protocol import begin, first_task, learn
from ebll.recording import Recorder, Run, measure_accuracy
from ebll.seeds import cpu_threads
from ebll.settings import USUAL
from ebll.training import Step

__all__ = ["RESULTS_VERSION", "SCALARS", "RunResult", "Store", "run_key", "run_one"]

RESULTS_VERSION = 2
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
    result, recorder = RunResult(config), Recorder(log_every=config.log_every)
    try:
        with cpu_threads(1):
            for _ in _steps(config, device, recorder, result.scalars):
                pass
    except Exception as error:
        result.failure = str(error) if isinstance(error, EbllError) else f"{type(error).__name__}: {error}"
        if not isinstance(error, TrainingDiverged):
            result.failure, result.repeat = f"{result.failure} (not saved: the same sweep tries this run again)", True
    result.accuracy, result.curves = recorder.accuracy_rows, [row for row in recorder.curve_rows if row["task"]]
    return result


def _steps(config: RunConfig, device: str, recorder: Recorder, scalars: dict[str, float]) -> Iterator[Step]:
    """The steps of all of the config's tasks; all but the first have as many training images as it asks for."""
    first, *later = config.tasks
    tasks = [load_cut(first, 0, device), *(load_cut(name, config.images, device) for name in later)]
    start = yield from first_task(tasks[0], config.net, USUAL, config.seed, device=device)
    run = begin(tasks, config.made_method(), start=start, recorder=recorder, seed=config.seed, device=device)
    yield from learn(run, tasks, config.train)
    scalars.update(_scalars(run, tasks))


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


def run_key(config: RunConfig) -> str:
    """A hash of the settings of a run that act, and of the version of the results."""
    text = json.dumps([dataclasses.asdict(config.canonical()), RESULTS_VERSION], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


class Store:
    """The results in a folder; made where it is not there, unless `make` is False.

    damaged    names of the files that could not be read, since this object was made; their runs count as not done
    raises     `OutputError` where the folder cannot be written, `InputError` where it holds no sweep, or results of
               another version
    """

    def __init__(self, folder: str | Path, *, make: bool = True) -> None:
        self.folder, self.damaged = expanded(folder, "store"), list[str]()
        about = self.folder / "format.json"
        if make and not about.exists():
            write_text(json.dumps({"results": RESULTS_VERSION}), about)
        try:
            found = json.loads(about.read_text(encoding="utf-8"))["results"]
        except (FileNotFoundError, NotADirectoryError):
            raise InputError(f"{self.folder} holds no sweep. Name the folder that a sweep had as its store.") from None
        except (ValueError, KeyError, TypeError):
            found = "unknown"
        if found != RESULTS_VERSION:
            raise InputError(
                f"{self.folder} holds results of version {found}, which another ebll has written; this one has version "
                f"{RESULTS_VERSION}. Name another folder, or use that ebll."
            )

    def plan(self, configs: Iterable[RunConfig]) -> None:
        """Note which runs there will be, so that others can say how far the sweep is."""
        write_text(json.dumps([dataclasses.asdict(config) for config in configs]), self.folder / "planned.json")

    def planned(self) -> list[RunConfig]:
        """The runs of the sweep that was begun last."""
        try:
            held = json.loads((self.folder / "planned.json").read_text(encoding="utf-8"))
            return [RunConfig.of(**one) for one in held]
        except (FileNotFoundError, ValueError, TypeError, AttributeError):  # a damaged plan counts as none
            return []

    def path(self, config: RunConfig) -> Path:
        """Where the result of a config is, or would be."""
        return self.folder / "runs" / f"{run_key(config)}.json"

    def put(self, result: RunResult) -> None:
        """Write a result.

        raises  `OutputError` where it cannot be written
        """
        held = vars(result) | {"config": dataclasses.asdict(result.config.canonical())}
        write_text(json.dumps(held), self.path(result.config))

    def get(self, config: RunConfig) -> RunResult | None:
        """The result of a config; None where there is none, or a damaged file."""
        return self._read(self.path(config))

    def read(self) -> list[RunResult]:
        """The results in all files."""
        paths = sorted((self.folder / "runs").glob("*.json"))
        return [result for path in paths if (result := self._read(path)) is not None]

    def _read(self, path: Path) -> RunResult | None:
        try:
            held = json.loads(path.read_text(encoding="utf-8"))
            result = RunResult(**held | {"config": RunConfig.of(**held["config"])})
            if run_key(result.config) != path.stem:
                raise ValueError("the result of another run")
            return result
        except FileNotFoundError:  # it never was there, or somebody has removed it meanwhile
            return None
        except (OSError, ValueError, TypeError, KeyError, AttributeError):  # or settings that are not known here
            self.damaged.append(path.name)
            return None
