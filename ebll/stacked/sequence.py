"""Tasks one after the other for many runs at once: `ebll.protocol.run_sequence` with the stacked loop.

This room keeps to the protocol of the lesson's; what a step is stands in `stage`.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from ebll.data import Task
from ebll.errors import InputError, TrainingDiverged
from ebll.methods import FeatureExtraction, Method
from ebll.record import Recorder
from ebll.runs import Run, Snapshot, check_start, checked_tasks
from ebll.seeds import cpu_threads, seeded
from ebll.stacked.lifted import CannotStack
from ebll.stacked.stage import Member, train_stacked
from ebll.training import TrainSettings

__all__ = ["Branch", "Learned", "learn_stacked"]


@dataclass(frozen=True)
class Branch:
    """One run to be: where it begins, and how it goes on.

    method     with its weights
    seed       decides the new heads and the order of the batches
    settings   how the tasks after the first are learned
    start      a network that has learned the first task; it is copied. What the method keeps of that task is fitted
               where `start.memory` does not hold it
    recorder   collects the run's rows
    """

    method: Method
    seed: int
    settings: TrainSettings
    start: Snapshot
    recorder: Recorder = field(default_factory=Recorder)


@dataclass
class Learned:
    """What a stack leaves.

    runs   a `Run` for each branch, in order, or the `TrainingDiverged` with the run so far
    note   in words, why a GPU could not record its steps; "" otherwise
    """

    runs: list[Run | TrainingDiverged]
    note: str = ""


def learn_stacked(tasks: Sequence[Task], branches: Sequence[Branch], *, device: str | torch.device = "cpu") -> Learned:
    """Learn the tasks after the first in all branches at once; what is kept of the last task is not fitted.

    tasks      of the same input shape; the first is the one that every start has learned
    branches   of one kind of method, net and training, which differ in numbers: weights, learning rate, seed
    device     where they are trained
    returns    a `Learned` with a run for each branch; one that diverges stops no other
    raises     `InputError` as `run_sequence` does, `CannotStack` where branches differ in more
    """
    tasks, branches, runs = checked_tasks(tasks, device), list(branches), []
    if not branches or not all(isinstance(branch, Branch) for branch in branches):
        raise InputError("branches: at least one Branch(method, seed, settings, start).")
    for branch in branches:
        check_start(branch.start, tasks[0])
        branch.method.check(branch.start.net, len(tasks))
        runs.append(_begun(branch, tasks, device))
    stack, faults = _Stack(tasks, branches, runs), set[str]()
    threads = {branch.settings.threads for branch in branches}
    if len(threads) > 1:
        raise CannotStack("the runs of a stack are trained alike, on equally many threads too")
    with cpu_threads(threads.pop()):
        for t in range(1, len(tasks)):
            faults.add(stack.learn(t))
    return Learned([stack.failed.get(k, run) for k, run in enumerate(runs)], "; ".join(sorted(faults - {""})))


def _begun(branch: Branch, tasks: Sequence[Task], device: Any) -> Run:
    start, recorder = branch.start, branch.recorder
    recorder.extend(start.recorder)
    names, net = tuple(task.name for task in tasks), copy.deepcopy(start.net).to(device)
    branch.method.prepare(net)
    memory = start.memory
    if memory is None:
        memory = branch.method.after_task(net, 0, tasks[0], None, branch.seed)
    recorder.add_memory(tasks[0].name, memory)
    return Run(branch.method, names, start.net_name, branch.seed, net, memory, recorder)


class _Stack:
    """The runs on their way through the tasks; those that diverge are left behind."""

    def __init__(self, tasks: Sequence[Task], branches: Sequence[Branch], runs: Sequence[Run]) -> None:
        self.tasks, self.branches, self.runs = tasks, branches, runs
        self.failed: dict[int, TrainingDiverged] = {}

    def learn(self, t: int) -> str:
        """The protocol for one task, as `ebll.protocol.learn_task` has it; returns what a GPU objected to."""
        faults = set[str]()
        for _, run in self._left():
            with seeded(run.seed, "head", t):
                run.net.add_head(self.tasks[t].class_count)
        if (settings := self.branches[0].settings).warmup_epochs:
            faults.add(self._stage(t, lambda _: FeatureExtraction(), "warm-up", settings.warmup_epochs))
        faults.add(self._stage(t, lambda run: run.method, "train", settings.epochs))
        for k, run in self._left():
            run.recorder.add_accuracies(run.net, self.tasks, t)
            if t < len(self.tasks) - 1:
                self._look_back(k, run, t)
        return "; ".join(sorted(faults - {""}))

    def _stage(self, t: int, method_of: Callable[[Run], Method], stage: str, epochs: int) -> str:
        members: dict[int, Member] = {}
        for k, run in self._left():
            method, inputs = method_of(run), self.tasks[t].train.inputs
            trained = method.trained_parts(run.net, t)
            observe = run.recorder.watching(run.net, self.tasks, t, run.memory, stage, trained)
            recorded = method.before_task(run.net, t, inputs, run.memory)
            settings = self.branches[k].settings
            members[k] = Member(run.net, method, run.seed, settings, run.memory, recorded, observe)
        if not members:
            return ""
        first = next(iter(members.values())).method
        data = {i: self.tasks[i] for i in first.tasks_for(t, self.tasks)}
        fault = train_stacked(list(members.values()), t, data, epochs)
        for k, member in members.items():
            if member.diverged is not None:
                self._fail(k, member.diverged)
        return fault

    def _look_back(self, k: int, run: Run, t: int) -> None:
        try:
            run.memory = run.method.after_task(run.net, t, self.tasks[t], run.memory, run.seed)
        except TrainingDiverged as error:
            self._fail(k, error)
        else:
            run.recorder.add_memory(self.tasks[t].name, run.memory)

    def _fail(self, k: int, error: TrainingDiverged) -> None:
        run = self.runs[k]
        self.failed[k] = TrainingDiverged(f"{run.method.label}, seed {run.seed}: {error}", run)

    def _left(self) -> list[tuple[int, Run]]:
        return [(k, run) for k, run in enumerate(self.runs) if k not in self.failed]
