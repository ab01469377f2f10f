"""Running the plan: one job a net, first task and seed, spread over the cores, results as they come.

Within a job all methods branch from one network that has learned the first task, so that they differ in the method
alone. A job is a pure function of its fields.
"""

from __future__ import annotations

import contextlib
import functools
import heapq
import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from ebll.autoencoder import Autoencoder, AutoencoderSettings
from ebll.comparison import ALONE, alone, branch
from ebll.config import NEW_TASK_IMAGES, PRESETS, Preset
from ebll.data import TASKS, Task, load_task
from ebll.errors import TrainingDiverged
from ebll.experiments.plan import Experiment
from ebll.methods import Memory, Method
from ebll.methods.base import record
from ebll.methods.codes import fit_to_task
from ebll.metrics import unexplained_share
from ebll.protocol import begin, learn
from ebll.recording import Recorder
from ebll.runs import Snapshot
from ebll.seeds import cpu_threads
from ebll.training import Step
from ebll.workers import FORKED, preload, send, streamed

__all__ = ["Job", "Result", "Steps", "jobs_of", "longest", "run_job", "run_jobs"]

LOG_EVERY = 20
TELL_EVERY = 0.2  # seconds between two messages about the steps of a job

# What an optimiser step costs, for the time left, to one of the mlp on its first task. The cnn's is 4.0
# to 4.4 with AVX-512 and AVX2, 5.7 with SSE; what is measured and recorded, and fitted to later tasks, is in them.
NET_COST = {"mlp": 1.0, "cnn": 4.0}
RUN_COST = {"joint": 1.7, "feature-extraction": 0.3}  # the others' is 1.2
FIT_COST = {ALONE: 1.2, "ewc": 1.2, "code-only": 1.2}  # more in a job's first sequence, for a fit to the first task


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

    @property
    def first_steps(self) -> int:
        """Optimiser steps in which the first task is learned."""
        return self.preset.train.epochs * self._batches(TASKS[self.first].train)

    def run_steps(self, e: Experiment) -> int:
        """Optimiser steps of one run: the later tasks, with their warm-up."""
        train = self.preset.train
        images = (min(NEW_TASK_IMAGES, TASKS[name].train) for name in e.tasks[1:])
        return (train.epochs + train.warmup_epochs) * sum(map(self._batches, images))

    def _batches(self, images: int) -> int:
        return math.ceil(images / self.preset.train.batch_size)

    def work_left(self, done: int = 0) -> float:
        """Work that is left once so many steps are done, known beforehand: 1 is a step of the mlp on its first task."""
        parts, left = [(self.first_steps, 1.0)], 0.0
        for i, e in enumerate(self.experiments):
            for name in (ALONE, *self.methods):
                fit = FIT_COST.get(name, 0.0) if i == 0 else 0.0
                parts.append((self.run_steps(e), RUN_COST.get(name, 1.2) + fit))
        for steps, cost in parts:
            left += cost * max(0, steps - max(0, done))
            done -= steps
        return NET_COST.get(self.net, 1.0) * left


@dataclass(frozen=True)
class Steps:
    """How many of a job's optimiser steps are done."""

    job: Job
    done: int


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
    return sorted(jobs, key=lambda job: -job.work_left())


def longest(work: Iterable[float], workers: int) -> float:
    """The work of the worker that is done last, if each takes the next piece as soon as it has none."""
    loads = [0.0] * workers
    for piece in work:
        heapq.heapreplace(loads, loads[0] + piece)
    return max(loads)


class _Meter:
    """Counts the steps of a job, and tells of them every `TELL_EVERY` seconds."""

    def __init__(self, job: Job, tell: Callable[[Steps], object]):
        self.job, self.tell, self.done, self.told = job, tell, 0, 0.0

    def follow(self, steps: Iterable[Step]) -> None:
        """Take a run to its end, and count the steps that it makes."""
        for step in steps:
            if step.index < step.total:
                self.step()

    def step(self) -> None:
        """One more step is about to be made."""
        if time.monotonic() - self.told >= TELL_EVERY:
            self.at(self.done)
        self.done += 1

    def at(self, done: int) -> None:
        """So many steps are done; those that a diverged run did not make count as done."""
        self.done, self.told = done, time.monotonic()
        self.tell(Steps(self.job, done))


@functools.cache
def _task(name: str) -> Task:
    """A worker has several jobs and loads each task once."""
    return load_task(name)


def run_job(job: Job, tell: Callable[[Steps], object] = lambda steps: None) -> Iterator[Result]:
    """Run a job, yielding each result when it is done.

    tell   called once the first task is loaded, a few times a second while steps are made, and after each run
    """
    preset, meter, first = job.preset, _Meter(job, tell), _task(job.first).to(job.device)
    meter.at(0)
    recorder = Recorder(log_every=LOG_EVERY)
    run = begin([first], "finetune", net=job.net, seed=job.seed, device=job.device, recorder=recorder)
    meter.follow(learn(run, [first], preset.train))
    start = Snapshot(run.net, recorder, job.net)
    done = job.first_steps
    names = {name for e in job.experiments for name in e.tasks[1:]}
    later = {name: _task(name).subset(NEW_TASK_IMAGES, seed=job.seed).to(job.device) for name in names}
    memories: dict[Any, Memory | None] = {}
    autoencoder = _first_autoencoder(job, first, start, preset)
    for e in job.experiments:
        sequence = [first, *(later[name] for name in e.tasks[1:])]
        gap = _gap_row(job, e.tasks[1], sequence[1], start, autoencoder)
        for name in (ALONE, *job.methods):
            if name == ALONE:
                yield _alone(job, e, sequence, preset, [gap])
            else:
                yield _branch(job, e, sequence, preset.method(name), preset, start, memories, meter)
            done += job.run_steps(e)
            meter.at(done)


def _branch(
    job: Job,
    e: Experiment,
    tasks: list[Task],
    method: Method,
    preset: Preset,
    start: Snapshot,
    memories: dict[Any, Memory | None],
    meter: _Meter,
) -> Result:
    result = Result({"sequence": e.id, "net": e.net, "method": method.name, "seed": job.seed})
    recorder = Recorder(log_every=LOG_EVERY)
    options = {"settings": preset.train, "seed": job.seed, "device": job.device, "recorder": recorder}
    try:
        meter.follow(learn(branch(tasks, method, start, memories, **options), tasks, preset.train))
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
    return fit_to_task(start.net, 0, task, settings, job.seed).autoencoder


def _gap_row(job: Job, name: str, task: Task, start: Snapshot, autoencoder: Autoencoder) -> dict[str, Any]:
    """M8 of the second task's training features under the first task's autoencoder, before any of it is learned."""
    features = record(start.net, task.train.inputs, features=lambda f: f)["features"]
    with torch.no_grad():
        return {"old": job.first, "new": name, "gap": unexplained_share(autoencoder(features), features)}


def run_jobs(jobs: Sequence[Job], workers: int, take: Callable[[Result | Steps], None]) -> None:
    """Run jobs in `workers` processes of one thread each, or in this process if that is 1.

    take       called in this thread with each result, and with the steps that a job has done, as they come, in no fixed
               order
    raises     what a job raised; then, and on Ctrl-C, the workers end at once, and what they had finished was delivered
    """
    if workers <= 1:
        with cpu_threads(1):
            for job in jobs:
                for result in run_job(job, take):
                    take(result)
        return
    preload(__name__)
    with contextlib.closing(streamed(functools.partial(run_job, tell=send), jobs, workers, FORKED)) as results:
        for result in results:
            if result is not None:
                take(result)
