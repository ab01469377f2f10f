"""What `ebll run` does: one run with its progress, the tables that it leaves, and its result in words."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ebll import metrics
from ebll.experiments import report
from ebll.experiments.jobs import Result
from ebll.experiments.plan import Experiment
from ebll.experiments.reproduce import Collector, write_tables
from ebll.protocol import begin, learn
from ebll.recording import Recorder
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
    alone: list[float] = field(default_factory=list)

    @property
    def steps(self) -> int:
        """Optimiser steps in all: every task, the warm-up of the later ones, and a network alone for each of those."""
        batches = [math.ceil(len(task.train) / self.training.batch_size) for task in self.tasks]
        later = (2 * self.training.epochs + self.training.warmup_epochs) * sum(batches[1:])
        return self.training.epochs * batches[0] + later

    def do(self, on_step: Callable[[str], None]) -> None:
        """Learn the tasks, then each later one alone for the forward transfer."""
        self.result = self._learn(self.tasks, self.method, self.recorder, on_step)
        self.alone = [math.nan]
        for task in self.tasks[1:]:
            run = self._learn([task], "finetune", Recorder(log_every=0), on_step)
            self.alone.append(run.recorder.accuracy_rows[0]["accuracy"])

    def _learn(
        self, tasks: list[Task], method: Method | str, recorder: Recorder, on_step: Callable[[str], None]
    ) -> Run:
        tasks = [task.to(self.device) for task in tasks]
        run = begin(tasks, method, net=self.net, seed=self.seed, device=self.device, recorder=recorder)
        with cpu_threads(self.training.threads):
            for step in learn(run, tasks, self.training, consolidate_last=True):
                if step.index < step.total:
                    self.done += 1
                    on_step("")
        return run

    @property
    def name(self) -> str:
        """The sequence as tables name it."""
        return Experiment(self.net, tuple(task.name for task in self.tasks)).id

    def keep(self) -> list[str]:
        """Write the tables so far; returns the names of the files in the folder, none if nothing was recorded."""
        if not self.folder or not (self.recorder.accuracy_rows or self.recorder.curve_rows):
            return []
        experiment = Experiment(self.net, tuple(task.name for task in self.tasks))
        collector = Collector([experiment])
        facts = {"sequence": experiment.id, "net": self.net, "method": self.method.name, "seed": self.seed}
        rows = self.recorder
        collector.results.append(Result(facts, rows.curve_rows, rows.accuracy_rows, rows.memory_rows))
        write_tables(collector, self.folder)
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
            forward = metrics.forward_transfer(matrix, np.array(self.alone))
            lines += [
                f"forgetting         {100 * metrics.forgetting(matrix):6.1f} points",
                f"backward transfer  {100 * metrics.backward_transfer(matrix):+6.1f} points",
                f"forward transfer   {100 * forward:+6.1f} points, against a network that learns the task alone",
            ]
        return f"\nTest accuracy in %\n\n{table}\n\n" + "\n".join(lines)
