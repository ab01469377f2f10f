"""Running the plan: one job a net, first task and seed, spread over the cores, results as they come.

Within a job all methods branch from one network that has learned the first task, so that they differ in the method
alone. A job is a pure function of its fields. This room draws nothing and decides nothing about claims.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from ebll.autoencoder import Autoencoder, AutoencoderSettings
from ebll.comparison import ALONE, alone, branch
from ebll.data import Task, load_task
from ebll.errors import TrainingDiverged
from ebll.experiments.plan import NEW_TASK_IMAGES, PRESETS, Experiment, Preset
from ebll.methods import Memory, Method
from ebll.methods.base import record
from ebll.methods.codes import fit_to_task
from ebll.metrics import unexplained_share
from ebll.protocol import learn_first
from ebll.record import Recorder
from ebll.runs import Snapshot
from ebll.seeds import cpu_threads
from ebll.workers import streamed

__all__ = ["Job", "Result", "jobs_of", "run_job", "run_jobs"]

LOG_EVERY = 20


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
        """How many results the job will deliver: every method, and the reference alone, for every experiment."""
        return len(self.experiments) * (len(self.methods) + 1)


@dataclass
class Result:
    """The rows of one method on one sequence with one seed; `failure` says why a run ended early."""

    facts: dict[str, Any]
    curves: list[dict[str, Any]] = field(default_factory=list)
    accuracy: list[dict[str, Any]] = field(default_factory=list)
    kept: list[dict[str, Any]] = field(default_factory=list)
    gaps: list[dict[str, Any]] = field(default_factory=list)
    failure: str = ""


def jobs_of(
    experiments: Sequence[Experiment], methods: Sequence[str], seeds: Sequence[int], device: str = "cpu"
) -> list[Job]:
    """Group experiments into jobs, the costliest first, so that the cores finish together."""
    groups: dict[tuple[str, str], list[Experiment]] = {}
    for e in experiments:
        groups.setdefault((e.net, e.tasks[0]), []).append(e)
    jobs = [
        Job(net, first, seed, tuple(group), tuple(methods), PRESETS[net], device)
        for (net, first), group in groups.items()
        for seed in seeds
    ]
    cost = {"cnn": 2}
    return sorted(jobs, key=lambda job: -cost.get(job.net, 1) * sum(len(e.tasks) ** 2 for e in job.experiments))


@functools.cache
def _task(name: str) -> Task:
    """A worker has several jobs and loads each task once."""
    return load_task(name)


def run_job(job: Job) -> Iterator[Result]:
    """Run a job, yielding each result when it is done."""
    preset = job.preset
    names = {name for e in job.experiments for name in e.tasks}
    tasks = {name: _task(name) for name in names}
    later = {name: task.subset(NEW_TASK_IMAGES, seed=job.seed) for name, task in tasks.items() if name != job.first}
    start = learn_first(
        [tasks[job.first]],
        net=job.net,
        settings=preset.train,
        seed=job.seed,
        device=job.device,
        recorder=Recorder(log_every=LOG_EVERY),
    )
    memories: dict[Any, Memory | None] = {}
    autoencoder = _first_autoencoder(job, tasks[job.first], start, preset)
    for e in job.experiments:
        sequence = [tasks[job.first], *(later[name] for name in e.tasks[1:])]
        yield _alone(job, e, sequence, preset, [_gap_row(job, e.tasks[1], sequence[1], start, autoencoder)])
        for name in job.methods:
            yield _branch(job, e, sequence, preset.method(name), preset, start, memories)


def _branch(
    job: Job,
    e: Experiment,
    tasks: list[Task],
    method: Method,
    preset: Preset,
    start: Snapshot,
    memories: dict[Any, Memory | None],
) -> Result:
    result = Result({"sequence": e.id, "net": e.net, "method": method.name, "seed": job.seed})
    recorder = Recorder(log_every=LOG_EVERY)
    try:
        branch(
            tasks, method, start, memories, settings=preset.train, seed=job.seed, device=job.device, recorder=recorder
        )
    except TrainingDiverged as error:
        result.failure = f"{e.id}: {error}"
    result.curves, result.accuracy, result.kept = recorder.curve_rows, recorder.accuracy_rows, recorder.memory_rows
    return result


def _alone(job: Job, e: Experiment, tasks: list[Task], preset: Preset, gaps: list[dict[str, Any]]) -> Result:
    """The reference: a fresh network for each task but the first."""
    result = Result({"sequence": e.id, "net": e.net, "method": ALONE, "seed": job.seed}, gaps=gaps)
    try:
        for row in alone(tasks, net=job.net, settings=preset.train, seed=job.seed, device=job.device):
            result.accuracy.append(row)
    except TrainingDiverged as error:
        result.failure = f"{e.id}, {ALONE}: {error}"
    return result


def _first_autoencoder(job: Job, task: Task, start: Snapshot, preset: Preset) -> Autoencoder:
    settings = AutoencoderSettings(code_size=preset.code_size)
    return fit_to_task(start.net, 0, task.to(job.device), settings, job.seed).autoencoder


def _gap_row(job: Job, name: str, task: Task, start: Snapshot, autoencoder: Autoencoder) -> dict[str, Any]:
    """M8 of the second task's training features under the first task's autoencoder, before any of it is learned."""
    features = record(start.net, task.to(job.device).train.inputs, features=lambda f: f)["features"]
    with torch.no_grad():
        return {"old": job.first, "new": name, "gap": unexplained_share(autoencoder(features), features)}


def run_jobs(jobs: Sequence[Job], workers: int, on_result: Callable[[Result], None]) -> None:
    """Run jobs in `workers` processes of one thread each, or in this process if that is 1.

    on_result  called in this thread for each result as it comes, in no fixed order
    raises     what a job raised; then, and on Ctrl-C, the workers end at once, and what they had finished was delivered
    """
    if workers <= 1:
        with cpu_threads(1):
            for job in jobs:
                for result in run_job(job):
                    on_result(result)
        return
    with contextlib.closing(streamed(run_job, jobs, workers)) as results:
        for result in results:
            if result is not None:
                on_result(result)
