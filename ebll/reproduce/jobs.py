"""The plan in jobs, one a net, first task and seed: within it all methods branch from one network, so that they differ
in the method alone. A job is a pure function of its fields.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd
import torch

from ebll.comparison import SINGLE_TASK, Comparison, learn_with
from ebll.config import NEW_TASK_IMAGES, PRESETS, Preset
from ebll.data import TASKS, Task
from ebll.data.catalog import load_cut
from ebll.errors import TrainingDiverged
from ebll.executors import count
from ebll.methods import METHODS
from ebll.methods.base import record
from ebll.methods.ebll import fit_to_task
from ebll.metrics import unexplained_variance
from ebll.protocol import first_task
from ebll.recording import ACCURACY_COLUMNS, CURVE_COLUMNS
from ebll.reproduce.plan import Experiment, regimes_of
from ebll.seeds import cpu_threads
from ebll.settings import AutoencoderSettings
from ebll.training import Step

__all__ = ["Job", "Tables", "jobs_of", "run_job"]

LOG_EVERY = 20
NET_COST = {"mlp": 1.0, "cnn": 4.0}  # of an optimiser step, for the time left: 4.0 to 4.4 with AVX-512 and AVX2
FACTS = ["sequence", "net", "method", "seed"]
COLUMNS = {
    "accuracy": ACCURACY_COLUMNS,
    "curves": CURVE_COLUMNS,
    "kept": ["after", "bytes", "accuracy_direct", "accuracy_reconstructed"],
    "gaps": ["old", "new", "gap"],
}
"""Table -> its columns after the facts of a run."""


@dataclass(frozen=True)
class Job:
    """All experiments that share a net, a first task and a seed."""

    net: str
    first: str
    seed: int
    experiments: tuple[Experiment, ...]
    methods: tuple[str, ...]
    preset: Preset
    device: str = "cpu"

    @property
    def runs(self) -> int:
        """Every method, and the reference alone, for every experiment."""
        return len(self.experiments) * (len(self.methods) + 1)

    @property
    def work(self) -> float:
        """Optimiser steps of all runs, and of the first task, times what a step of the net costs."""
        train, first = self.preset.train, TASKS[self.first].train
        steps = train.epochs * math.ceil(first / train.batch_size)
        for e in self.experiments:
            images = (min(NEW_TASK_IMAGES, TASKS[name].train) for name in e.tasks[1:])
            batches = sum(math.ceil(many / train.batch_size) for many in images)
            steps += (train.epochs + train.warmup_epochs) * batches * (len(self.methods) + 1)
        return NET_COST.get(self.net, 1.0) * steps


@dataclass
class Tables:
    """Tables of several runs, by name as in `COLUMNS`, and in words the runs that diverged."""

    parts: dict[str, list[pd.DataFrame]] = field(default_factory=lambda: {name: [] for name in COLUMNS})
    failures: list[str] = field(default_factory=list)

    def add(self, other: Tables) -> None:
        """Append the rows of other runs."""
        for name, tables in other.parts.items():
            self.parts[name] += tables
        self.failures += other.failures

    def joined(self, experiments: Sequence[Experiment]) -> dict[str, pd.DataFrame]:
        """Each table in one, ordered by experiment, method and seed."""
        place = {e.id: i for i, e in enumerate(experiments)} | {
            name: i for i, name in enumerate([SINGLE_TASK, *METHODS])
        }
        joined = {}
        for name, columns in COLUMNS.items():
            parts = [part for part in self.parts[name] if len(part)]
            table = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=FACTS)
            table = table.sort_values(
                ["sequence", "method", "seed"], kind="stable", key=lambda c: c.map(place) if c.name != "seed" else c
            )
            joined[name] = table.reindex(columns=[*FACTS, *columns]).reset_index(drop=True)
        return joined


def jobs_of(
    experiments: Sequence[Experiment], methods: Sequence[str], seeds: Sequence[int], device: str = "cpu"
) -> list[Job]:
    """Group experiments into jobs, the costliest first, so that the cores finish together."""
    jobs = [
        Job(net, first, seed, tuple(group), tuple(methods), PRESETS[net], device)
        for (net, first), group in regimes_of(experiments).items()
        for seed in seeds
    ]
    return sorted(jobs, key=lambda job: -job.work)


def run_job(job: Job) -> Tables:
    """Run a job in one thread; `ebll.executors.count` is called with the work as it is done."""
    tables, done, cost = Tables(), 0.0, NET_COST.get(job.net, 1.0)
    try:
        with cpu_threads(1):
            for step in _steps(job, tables):
                if step.index < step.total:
                    count(cost)
                    done += cost
    except TrainingDiverged as error:  # of the first task: there is nothing to branch from
        tables.failures.append(f"{job.net}, all runs that begin with {job.first}: {error}")
    count(job.work - done)  # steps that a diverged run has not made
    return tables


def _steps(job: Job, tables: Tables) -> Generator[Step, None, None]:
    """The steps of all runs of a job, whose rows go to `tables`."""
    settings, seed = job.preset.train, job.seed
    options = {"settings": settings, "seed": seed, "device": job.device, "log_every": LOG_EVERY}
    first = load_cut(job.first, 0, 0, job.device)
    start = yield from first_task(first, job.net, **options)
    for e in job.experiments:
        later = [load_cut(name, NEW_TASK_IMAGES, seed, job.device) for name in e.tasks[1:]]
        tasks, made = [first, *later], Comparison()
        facts = {"sequence": e.id, "net": e.net, "method": SINGLE_TASK, "seed": seed}
        tables.parts["gaps"].append(pd.DataFrame([facts | _gap(job, start.net, *tasks[:2])]))
        for name in (SINGLE_TASK, *job.methods):
            method = None if name == SINGLE_TASK else job.preset.method(name)
            yield from learn_with(made, name, method, tasks, start, net=job.net, **options)
        tables.parts["accuracy"].append(made.accuracy)
        tables.parts["curves"].append(made.curves)
        tables.parts["kept"].append(made.kept)
        tables.failures += [f"{e.id}: {failure}" for failure in made.failures]


def _gap(job: Job, net: torch.nn.Module, first: Task, new: Task) -> Mapping[str, object]:
    """M8 of the second task's training features under the first task's autoencoder, before any of it is learned."""
    autoencoder = _autoencoder(net, first, job.preset.code_size, job.seed)
    features = record(net, new.train.inputs, features=lambda f: f)["features"]
    with torch.no_grad():
        return {"old": first.name, "new": new.name, "gap": unexplained_variance(autoencoder(features), features)}


@functools.lru_cache(maxsize=1)
def _autoencoder(net: torch.nn.Module, task: Task, code_size: int, seed: int) -> torch.nn.Module:
    return fit_to_task(net, 0, task, AutoencoderSettings(code_size=code_size), seed).autoencoder
