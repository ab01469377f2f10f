"""The plan in jobs, one a regime and seed: within it all methods branch from one network, so that they differ in the
method alone. A job is a pure function of its fields.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd
import torch

from ebll.autoencoder import Autoencoder
from ebll.comparison import SINGLE_TASK, Comparison, learn_with
from ebll.config import NEW_TASK_IMAGES
from ebll.data import Task
from ebll.data.catalog import load_cut
from ebll.errors import TrainingDiverged, check_choice
from ebll.methods import METHODS, method_from
from ebll.methods.base import record
from ebll.methods.ebll import fit_to_task
from ebll.metrics import unexplained_variance
from ebll.protocol import first_task, shared_key
from ebll.recording import ACCURACY_COLUMNS, CURVE_COLUMNS, Snapshot
from ebll.reproduce.plan import Experiment, More, Profile, drawn, regimes_of
from ebll.seeds import cpu_threads
from ebll.settings import TrainSettings
from ebll.training import Step

__all__ = ["Job", "Tables", "jobs_of", "run_job"]

LOG_EVERY, DENSE = 20, 0.1  # every step of the first tenth, in which accuracies dip
COMPARED = ("joint", "lwf", "ebll")
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
    """All experiments that share a net, a first task and a seed.

    methods    names, and `SINGLE_TASK` for the reference
    weights    settings by name, where they are not the methods' defaults
    curves     methods whose curves are recorded, besides accuracies
    gaps       whether domain gaps are measured
    """

    net: str
    first: str
    seed: int
    experiments: tuple[Experiment, ...]
    methods: tuple[str, ...]
    train: TrainSettings
    weights: Mapping[str, float]
    device: str = "cpu"
    curves: tuple[str, ...] = ()
    gaps: bool = False

    @property
    def runs(self) -> int:
        """How many."""
        return len(self.experiments) * len(self.methods)

    @property
    def work(self) -> float:
        """What they cost, in runs of the MLP; one of the CNN takes about three times as long."""
        return (3.0 if self.net == "cnn" else 1.0) * self.runs

    @property
    def learned(self) -> dict[Experiment, list[Experiment]]:
        """Each experiment that is run -> those that it begins with, itself among them: their rows are read off it."""
        beginnings = {e: [o for o in self.experiments if o.tasks == e.tasks[: len(o.tasks)]] for e in self.experiments}
        read_off = {o for e, several in beginnings.items() for o in several if o != e}
        return {e: several for e, several in beginnings.items() if e not in read_off}


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
    profile: Profile, methods: Sequence[str], seeds: range, more: Sequence[More] = (), device: str = "cpu"
) -> list[Job]:
    """Group the experiments of a profile into jobs, the costliest first, so that the cores finish together.

    seeds   of these methods, and of the reference, on all experiments
    more    of a profile: seeds that go on from the last of `seeds`
    """
    given = {"train": profile.train, "weights": profile.weights, "device": device}
    jobs = []
    for regime, group in regimes_of(profile.experiments).items():
        # Figures show the curves of one regime; in the others, claims C7 and C10 compare three methods.
        shown = methods if regime == drawn(profile.experiments) else COMPARED
        curves = tuple(name for name in methods if name in shown)
        jobs += [
            Job(*regime, seed, tuple(group), (SINGLE_TASK, *methods), **given, curves=curves, gaps=True)
            for seed in seeds
        ]
    for extra in more:
        net, first = extra.experiments[0].regime
        for i in range(len(seeds), max(extra.seeds.values())):
            some = tuple(check_choice(name, METHODS, "Method") for name, n in extra.seeds.items() if n > i)
            jobs.append(Job(net, first, seeds[0] + i, extra.experiments, some, **given))
    return sorted(jobs, key=lambda job: -job.work)


def run_job(job: Job) -> Tables:
    """Run a job in one thread."""
    tables = Tables()
    try:
        with cpu_threads(1):
            for _ in _steps(job, tables):
                pass
    except TrainingDiverged as error:  # of the first task: there is nothing to branch from
        tables.failures.append(f"{job.net}, all runs that begin with {job.first}: {error}")
    return tables


def _steps(job: Job, tables: Tables) -> Generator[Step, None, None]:
    """The steps of all runs of a job, whose rows go to `tables`."""
    seed = job.seed
    options = {"settings": job.train, "seed": seed, "device": job.device}
    first = load_cut(job.first, 0, job.device)
    start = yield from first_task(first, job.net, **options)
    try:
        autoencoder = _autoencoder(job, start, first) if job.gaps else None
    except TrainingDiverged as error:  # methods that fit one diverge too, and are told by themselves
        tables.failures.append(f"{job.net}, gaps of sequences that begin with {job.first}: {error}")
        autoencoder = None
    for e, beginnings in job.learned.items():
        later = [load_cut(name, NEW_TASK_IMAGES, job.device) for name in e.tasks[1:]]
        tasks, made = [first, *later], Comparison()
        for name in job.methods:
            method = None if name == SINGLE_TASK else method_from(name, job.weights)
            record = {"log_every": LOG_EVERY if name in job.curves else 0, "dense": DENSE}
            yield from learn_with(made, name, method, tasks, start, net=job.net, **record, **options)
        tables.failures += [f"{e.id}: {failure}" for failure in made.failures]
        for part in beginnings:
            _add(tables, made, part)
            if autoencoder is not None:
                facts = {"sequence": part.id, "net": e.net, "method": SINGLE_TASK, "seed": seed}
                tables.parts["gaps"].append(pd.DataFrame([facts | _gap(autoencoder, start.net, *tasks[:2])]))


def _add(tables: Tables, made: Comparison, e: Experiment) -> None:
    """Add the rows of an experiment, which is the one that was run, or the beginning of it."""
    within = {"accuracy": ("after", e.tasks), "curves": ("training", e.tasks), "kept": ("after", e.tasks[:-1])}
    for name, (column, tasks) in within.items():
        table = getattr(made, name)
        if len(table):  # nothing is kept after the last task
            tables.parts[name].append(table[table[column].isin(tasks)].assign(sequence=e.id))


def _autoencoder(job: Job, start: Snapshot, first: Task) -> Autoencoder:
    """That of the first task, which all methods with autoencoders share, with the decoder that they drop."""
    method = method_from("ebll", job.weights)
    fit = fit_to_task(start.net, 0, first, method.autoencoder, job.seed)
    device = next(start.net.parameters()).device
    start.memories[shared_key(method, job.seed, device)] = method.keep(fit)
    return fit.autoencoder


def _gap(autoencoder: Autoencoder, net: torch.nn.Module, first: Task, new: Task) -> Mapping[str, object]:
    """M8 of the second task's training features under the first task's autoencoder, before any of it is learned."""
    features = record(net, new.train.inputs, features=lambda f: f)["features"]
    with torch.no_grad():
        return {"old": first.name, "new": new.name, "gap": unexplained_variance(autoencoder(features), features)}
