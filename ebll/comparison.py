"""Several methods side by side: for each seed all branch from one network that has learned the first task.

So they differ in the method alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
import torch

from ebll.data import Task
from ebll.errors import InputError, TrainingDiverged, check_choice, check_count
from ebll.methods import METHODS, Method
from ebll.networks import NetSpec, build_network
from ebll.protocol import begin, check_start, checked_tasks, first_task, learn, learn_first
from ebll.recording import Recorder, Run, Snapshot, sequence_id
from ebll.seeds import cpu_threads
from ebll.settings import USUAL, TrainSettings
from ebll.training import Step

__all__ = ["SINGLE_TASK", "Comparison", "compare", "learn_with"]

SINGLE_TASK = "single-task"
"""Name in the tables of the reference that trains a fresh network on each task alone."""

Progress = Callable[[int, int, str], None]
"""Called after each run with: runs done, runs in all, the name of the run just finished."""


@dataclass
class Comparison:
    """What `compare` leaves: a run for each name and seed, and their tables in one."""

    runs: dict[tuple[str, int], Run] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)  #: in words, the runs that diverged; their rows so far are kept
    single_task_rows: list[dict[str, Any]] = field(default_factory=list)
    starts: dict[int, Snapshot] = field(default_factory=dict)  #: by seed, the networks that all methods branched from

    @property
    def curves(self) -> pd.DataFrame:
        """A row per run, logging step and old task; the columns are listed in `ebll.recording`."""
        return self._table("curves")

    @property
    def accuracy(self) -> pd.DataFrame:
        """sequence, net, method, seed, after, task, accuracy: test accuracy in 0..1; `single-task` where asked for."""
        table = self._table("accuracy")
        return (
            pd.concat([pd.DataFrame(self.single_task_rows), table], ignore_index=True)
            if self.single_task_rows
            else table
        )

    @property
    def predictions(self) -> pd.DataFrame:
        """A row per run, logging step, old task and held-out image, where `log_predictions`; see `ebll.recording`."""
        return self._table("predictions")

    @property
    def kept(self) -> pd.DataFrame:
        """after, bytes, ...: what each method kept, and how well its newest autoencoder does."""
        return self._table("kept")

    def _table(self, name: str) -> pd.DataFrame:
        parts = [getattr(run, name).assign(method=key) for (key, _), run in self.runs.items()]
        # A method that keeps nothing has an empty table, and concatenating those would change the types of columns.
        parts = [part for part in parts if len(part)]
        return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def compare(
    tasks: Sequence[Task],
    methods: Mapping[str, Method] | Iterable[str | Method],
    *,
    net: NetSpec = "mlp",
    settings: TrainSettings | None = None,
    seeds: Iterable[int] = range(3),
    device: str | torch.device = "cpu",
    log_every: int = 20,
    dense: float = 0.0,
    samples: int = 256,
    log_predictions: bool = False,
    progress: Progress | None = None,
    into: Comparison | None = None,
    starts: Mapping[int, Snapshot] | None = None,
) -> Comparison:
    """Learn a sequence of tasks with several methods and seeds.

    methods    objects or names; or a dict from a name of your choice to an object, where a setting is varied:
               {"alpha 1": EBLL(alpha=1.0), "alpha 10": EBLL(alpha=10.0)}. The name "single-task" trains a fresh
               network on each task instead, for as many epochs as the others see it, warm-up included
    net, settings, device, seeds   as in `run_sequence`; all methods of a seed branch from the same first task
    log_every, dense, samples, log_predictions   as in `Recorder`: when to measure, on how many held-out images,
               and whether to keep what is predicted for each of them
    progress   called after each run with: runs done, runs in all, name
    into       collects the runs as they end: pass your own `Comparison()` to keep them if you stop in the middle
    starts     networks that have learned the first task, by seed, such as `.starts` of an earlier comparison with the
               same first task and net: they are not trained again. Seeds that are not in it are
    returns    a `Comparison`; a run that diverges is told in `.failures` and stops no other
    """
    named, seeds, tasks = _named(methods), _seeds(seeds), checked_tasks(tasks, device)
    if progress is not None and not callable(progress):
        raise InputError(f"progress takes a function (done, total, name); got {type(progress).__name__}.")
    settings, starts = settings or USUAL, _starts(starts)
    for seed in set(starts).intersection(seeds):
        check_start(starts[seed], tasks[0], net if isinstance(net, str) else "own")
    network = build_network(net, tasks[0].input_shape)
    for method in filter(None, named.values()):
        method.check(network, len(tasks))  # before anything is learned
        method.check_tasks(tasks)
    record = {"log_every": log_every, "dense": dense, "samples": samples, "log_predictions": log_predictions}
    made, done, total = Comparison() if into is None else into, 0, len(named) * len(seeds)
    for seed in seeds:
        options = {"net": net, "settings": settings, "seed": seed, "device": device}
        try:
            start = starts[seed] if seed in starts else learn_first([tasks[0]], recorder=Recorder(**record), **options)
        except TrainingDiverged as error:
            made.failures.append(str(error))
            done += len(named)
            if progress:
                progress(done, total, f"the first task, seed {seed}")
            continue
        made.starts[seed] = start
        for name, method in named.items():
            with cpu_threads(settings.threads):
                for _ in learn_with(made, name, method, tasks, start, **record, **options):
                    pass
            done += 1
            if progress:
                progress(done, total, name)
    return made


def learn_with(
    made: Comparison,
    name: str,
    method: Method | None,
    tasks: Sequence[Task],
    start: Snapshot,
    *,
    net: NetSpec,
    settings: TrainSettings,
    seed: int,
    device: str | torch.device = "cpu",
    **record: Any,
) -> Iterator[Step]:
    """Learn the later tasks of a sequence with one method from a snapshot; yields the loop's steps.

    made      takes the run, from its beginning on; a run that diverges is told in its `failures`
    method    None for the reference `single-task`: a fresh network for each task but the first, trained for as many
              epochs as the others see that task
    record    of `Recorder`, such as log_every
    """
    try:
        if method is not None:
            recorder = Recorder(**record)
            run = begin(tasks, method, start=start, recorder=recorder, seed=seed, device=device)
            made.runs[name, seed] = run
            yield from learn(run, tasks, settings)
            return
        longer = settings.replace(first_epochs=settings.epochs + settings.warmup_epochs)
        sequence = sequence_id(start.net_name, [task.name for task in tasks])
        facts = {"sequence": sequence, "net": start.net_name, "method": SINGLE_TASK, "seed": seed}
        for task in tasks[1:]:
            single = yield from first_task(task, net, longer, seed, device=device)
            made.single_task_rows += [facts | row for row in single.recorder.accuracy_rows]
    except TrainingDiverged as error:
        made.failures.append(str(error) if method is not None and name == method.name else f"{name}: {error}")


def _seeds(seeds: Iterable[int]) -> list[int]:
    if not isinstance(seeds, Iterable):
        raise InputError(f"seeds takes several, such as range(3) or [0]; got {seeds!r}.")
    several = list(dict.fromkeys(check_count(seed, "seed", low=0) for seed in seeds))
    if not several:
        raise InputError("seeds: name at least one, such as range(3).")
    return several


def _starts(starts: Mapping[int, Snapshot] | None) -> Mapping[int, Snapshot]:
    starts = {} if starts is None else starts
    if not isinstance(starts, Mapping) or not all(isinstance(one, Snapshot) for one in starts.values()):
        raise InputError("starts takes a dict from a seed to a Snapshot, such as `.starts` of an earlier comparison.")
    return starts


def _named(methods: Mapping[str, Method] | Iterable[str | Method]) -> dict[str, Method | None]:
    """Name -> method, None for the reference alone."""
    if isinstance(methods, str | Method):
        methods = [methods]
    if not isinstance(methods, Mapping):
        if not isinstance(methods, Iterable):
            raise InputError(f"methods takes a list or a dict of methods; got {methods!r}.")
        methods = list(methods)
        names = [method if isinstance(method, str) else getattr(method, "name", "") for method in methods]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise InputError(
                f"methods: {', '.join(twice)} comes more than once. Give each a name of its own in a dict, such as "
                '{"alpha 1": EBLL(alpha=1.0), "alpha 10": EBLL(alpha=10.0)}.'
            )
        methods = dict(zip(names, methods, strict=True))
    named: dict[str, Method | None] = {}
    for name, method in methods.items():
        if not isinstance(name, str):
            raise InputError(f"methods: the names in the dict must be text; got {name!r}.")
        if (name == SINGLE_TASK) != (isinstance(method, str) and method == SINGLE_TASK):
            raise InputError(
                f"methods: the name {SINGLE_TASK!r} belongs to the reference {SINGLE_TASK!r}, and to it only."
            )
        if name == SINGLE_TASK:
            named[SINGLE_TASK] = None
            continue
        made = METHODS[check_choice(method, [*METHODS, SINGLE_TASK], "Method")]() if isinstance(method, str) else method
        if not isinstance(made, Method):
            raise InputError(f"methods: {name!r} must be a method, such as ebll.EBLL(alpha=1.0); got {method!r}.")
        named[name] = made
    if not named:
        raise InputError(f"methods: name at least one of {', '.join(METHODS)}.")
    return named
