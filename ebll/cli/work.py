"""What `ebll run` does: one run with its progress, the tables that it leaves, and its result in words."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ebll import metrics
from ebll.comparison import ALONE, Comparison, learn_with
from ebll.errors import TrainingDiverged
from ebll.protocol import begin, learn
from ebll.recording import Recorder
from ebll.reproduce import report
from ebll.reproduce.jobs import Tables
from ebll.reproduce.plan import Experiment
from ebll.runs import Snapshot, sequence_id
from ebll.seeds import cpu_threads

if TYPE_CHECKING:
    from ebll.data import Task
    from ebll.methods import Method
    from ebll.runs import Run
    from ebll.training import TrainSettings

__all__ = ["Work"]


@dataclass
class Work:
    """One run of `ebll run`; what is recorded stays here also when it is interrupted."""

    tasks: list[Task]
    method: Method
    net: str
    training: TrainSettings
    seed: int
    device: str
    folder: Path | None
    done: int = 0
    recorder: Recorder = field(default_factory=Recorder)
    result: Run | None = None
    made: Comparison = field(default_factory=Comparison)  #: takes the accuracies of networks that learn a task alone

    @property
    def steps(self) -> int:
        """Optimiser steps in all: every task, the warm-up of the later ones, and a network alone for each of those."""
        batches = [math.ceil(len(task.train) / self.training.batch_size) for task in self.tasks]
        later = 2 * (self.training.epochs + self.training.warmup_epochs) * sum(batches[1:])
        return self.training.epochs * batches[0] + later

    def do(self, on_step: Callable[[str], None]) -> None:
        """Learn the tasks, then each later one alone for the forward transfer."""
        tasks = [task.to(self.device) for task in self.tasks]
        options = {"net": self.net, "seed": self.seed, "device": self.device}
        self.result = begin(tasks, self.method, recorder=self.recorder, **options)
        start = Snapshot(self.result.net, self.recorder, self.net)
        alone = learn_with(self.made, ALONE, None, tasks, start, {}, settings=self.training, **options)
        with cpu_threads(self.training.threads):
            for step in itertools.chain(learn(self.result, tasks, self.training, consolidate_last=True), alone):
                if step.index < step.total:
                    self.done += 1
                    on_step("")
        if self.made.failures:
            raise TrainingDiverged(self.made.failures[0])

    @property
    def name(self) -> str:
        """The sequence as tables name it."""
        return sequence_id(self.net, [task.name for task in self.tasks])

    def keep(self) -> list[str]:
        """Write the tables so far; returns the names of the files in the folder, none if nothing was recorded."""
        if not self.folder or not (self.recorder.accuracy_rows or self.recorder.curve_rows):
            return []
        tables = Tables()
        for name, part in (
            ("accuracy", self.result.accuracy),
            ("curves", self.result.curves),
            ("kept", self.result.kept),
        ):
            tables.parts[name].append(part)
        report.write_tables(tables.joined([Experiment(self.net, self.result.tasks)]), self.folder)
        return [f"{name}.csv" for name in ("accuracy", "curves", "kept")] + [
            path.name for path in sorted(self.folder.glob("feature-distance.*"))
        ]

    def draw(self) -> None:
        """Draw the feature distance of the first task; a sequence of one task has none."""
        if self.folder and self.result and len(self.tasks) > 1:
            from ebll import plots

            figure = plots.feature_distance(self.result.curves, self.name)
            plots.save(figure, self.folder / "feature-distance")

    def summary(self) -> str:
        """Accuracy matrix and what it comes to."""
        assert self.result is not None
        matrix = self.result.accuracy_matrix()
        shown = matrix.map(lambda value: "" if math.isnan(value) else f"{100 * value:.1f}")
        table = report.markdown(pd.DataFrame(shown), "after")
        lines = [f"average accuracy   {100 * metrics.average_accuracy(matrix):6.1f} %"]
        if len(self.tasks) > 1:
            forward = metrics.forward_transfer(
                matrix, np.array([math.nan, *(row["accuracy"] for row in self.made.alone_rows)])
            )
            lines += [
                f"forgetting         {100 * metrics.forgetting(matrix):6.1f} points",
                f"backward transfer  {100 * metrics.backward_transfer(matrix):+6.1f} points",
                f"forward transfer   {100 * forward:+6.1f} points, against a network that learns the task alone",
            ]
        return f"\nTest accuracy in %\n\n{table}\n\n" + "\n".join(lines)
