"""The one training loop: any method, any network, small tensors or photographs.

`train` is the loop itself, a generator; `ebll.protocol` has the paper's protocol around it. Whoever iterates records a
step, draws it, saves it, or changes the method for the next one; the loop knows of none of them.
"""

from __future__ import annotations

import contextlib
import functools
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from ebll.data import Task
from ebll.errors import TrainingDiverged
from ebll.methods import Batch, Memory, Method, Targets, Term
from ebll.networks import Network, training_only
from ebll.seeds import GlobalStream, generator
from ebll.settings import TrainSettings

__all__ = ["Resume", "Step", "TrainSettings", "batches_of", "diverged", "train"]

Teacher = Callable[[Tensor], Targets]
"""Outputs of the frozen network of before a task on a batch, for tasks whose crops are drawn again in each epoch."""


@dataclass(eq=False)
class Step:
    """Where the loop stands before an update, or after the last one."""

    index: int  #: updates made so far
    total: int  #: updates in all
    method: Method  #: one of the same kind with other weights, put here, is used from the next step to the stage's end
    net: Network
    optimizer: torch.optim.Optimizer
    dropout: GlobalStream | None  #: the random numbers of layers that draw
    terms: dict[str, Term] = field(default_factory=dict)  #: of the update about to be made; empty after the last
    task: int = 0  #: index of the task being learned
    stage: str = "train"  #: "warm-up" (only the new head learns) or "train"
    statistics: dict[str, Tensor] = field(default_factory=dict)  #: of BatchNorm, before these terms were computed

    @property
    def learning_rate(self) -> float:
        """Of the update about to be made."""
        return self.optimizer.param_groups[0]["lr"]

    def state(self) -> dict[str, Tensor]:
        """What decides how the loop goes on, by name: weights, statistics of BatchNorm, momentum, dropout's generators.

        The tensors are those of the run and change with it: write or clone them. A method put into the step is not
        among them.
        """
        tensors = {f"net.{name}": value for name, value in (self.net.state_dict() | self.statistics).items()}
        momentum = ((i, kept.get("momentum_buffer")) for i, kept in self.optimizer.state_dict()["state"].items())
        tensors |= {f"momentum.{i}": value for i, value in momentum if value is not None}
        random = self.dropout.before if self.dropout else ()
        return tensors | {f"random.{i}": value for i, value in enumerate(random)}


class Resume(NamedTuple):
    """Where a run that was stopped goes on: a stage of a task, and the step that its loop had come to."""

    task: int
    stage: str
    index: int
    state: Mapping[str, Tensor]  #: what `Step.state` gave at that step

    def of(self, kind: str) -> dict[str, Tensor]:
        """The tensors of one kind: net, momentum or random."""
        return {name.removeprefix(f"{kind}."): v for name, v in self.state.items() if name.startswith(f"{kind}.")}


def train(
    net: Network,
    method: Method,
    t: int,
    data: Mapping[int, Task],
    *,
    settings: TrainSettings,
    memory: Memory | None = None,
    targets: Targets | Teacher | None = None,
    seed: int = 0,
    resume: Resume | None = None,
) -> Iterator[Step]:
    """Draw a batch, add up the method's terms, yield the step, update; once more after the last update.

    Changes `net` in place, and leaves it in eval mode with its flags as they were, also when it is closed early, as a
    `for` does that is left. One loop at a time may be open on a network.

    data       index -> task whose training split may be used; an epoch is one pass over task t, beside which the others
               are drawn from as often as needed
    targets    rows belonging to task t's training inputs, from `method.record_targets`, or a function that gives them
    seed       decides the order of the batches, and dropout where a network has it
    yields     the same `Step` each time; whoever iterates may put another method into it
    raises     `TrainingDiverged` at the first step whose loss is not finite; on a GPU within 50 steps of it
    """
    total = settings.epochs * math.ceil(len(data[t].train) / settings.batch_size)
    drop = round(settings.drop_at * total)
    with training_only(net, method.trained_parts(net, t)) as parameters:
        optimizer = _sgd(parameters, settings)
        dropout = GlobalStream(seed, "training", t) if net.may_draw() else None
        step = Step(resume.index if resume else 0, total, method, net, optimizer, dropout, task=t)
        if resume:
            _restore(step, resume)
        size, statistics = settings.batch_size, net.running_statistics()
        streams = [
            batches_of(task, i, targets if i == t else None, size, generator(seed, "batches", t, i), step.index)
            for i, task in data.items()
        ]
        while step.index < total:
            optimizer.param_groups[0]["lr"] = settings.learning_rate * (0.1 if step.index >= drop else 1.0)
            batches = [next(stream) for stream in streams]
            step.statistics = {name: value.clone() for name, value in statistics.items()}
            with step.dropout or contextlib.nullcontext():
                step.terms = step.method.loss_terms(net, batches, memory)
            loss = functools.reduce(torch.add, [term.weighted() for term in step.terms.values()])
            # Reading a number back makes a GPU wait, so there only every 50th step is looked at.
            if (loss.device.type == "cpu" or step.index % 50 == 0) and not math.isfinite(loss.item()):
                raise diverged(step, settings)
            yield step
            for parameter in parameters:
                parameter.grad = None  # what optimizer.zero_grad() does, at a fifth of its time
            loss.backward()
            optimizer.step()
            step.index += 1
        optimizer.zero_grad()  # a finished network need not carry its last gradient along
        step.terms, step.statistics = {}, {}
        if not all(parameter.isfinite().all() for parameter in parameters):
            raise diverged(step, settings)
        yield step


def batches_of(
    task: Task,
    index: int,
    targets: Targets | Teacher | None,
    batch_size: int,
    order: torch.Generator,
    skip: int = 0,
) -> Iterator[Batch]:
    """Endless seeded batches of a task's training split, with the recorded rows that belong to them.

    skip   batches to leave out at the beginning, as if they had been drawn: a run that goes on gets those that follow

    Labels and recorded rows are shuffled once an epoch, a batch is a view of them; inputs are large, and a split draws
    them as they are needed. Both are cheaper than a DataLoader, which collates samples one by one.
    """
    teacher = targets if callable(targets) else None
    columns = {} if teacher or targets is None else targets
    split = task.train
    while True:
        rows = torch.randperm(len(split), generator=order)
        versions = split.versions(order)
        rows, skip = rows[skip * batch_size :].to(split.labels.device), max(0, skip - -(-len(rows) // batch_size))
        if not len(rows):
            continue
        parts = [column.index_select(0, rows).split(batch_size) for column in (split.labels, *columns.values())]
        for inputs, labels, *answers in zip(split.batches(rows, batch_size, versions), *parts, strict=True):
            known = teacher(inputs) if teacher else dict(zip(columns, answers, strict=True))
            yield Batch(index, inputs, labels, known)
        del parts, labels, answers, known  # views of the epoch's copy: it goes before the next one is made


def _sgd(parameters: list[torch.nn.Parameter], settings: TrainSettings) -> torch.optim.SGD:
    rates = {"lr": settings.learning_rate, "momentum": settings.momentum, "weight_decay": settings.weight_decay}
    return torch.optim.SGD(parameters, **rates, fused=True)


def _restore(step: Step, resume: Resume) -> None:
    """Put weights, momentum and random numbers back."""
    step.net.load_state_dict(resume.of("net"))
    state = step.optimizer.state_dict()
    state["state"] = {int(i): {"momentum_buffer": value} for i, value in resume.of("momentum").items()}
    step.optimizer.load_state_dict(state)
    for parameter, kept in step.optimizer.state.items():
        # Read from a file it lies row by row; SGD's fused step takes it to lie as its weight does, maybe channels last.
        kept["momentum_buffer"] = torch.empty_like(parameter).copy_(kept["momentum_buffer"])
    if step.dropout:
        random = resume.of("random")
        step.dropout.set([random[i] for i in sorted(random, key=int)])


def diverged(step: Step, settings: TrainSettings) -> TrainingDiverged:
    """What to raise where a loss is not finite, or a weight after the last update: which term, and what to try."""
    weighted = {name: term.weighted() for name, term in step.terms.items()}
    bad = [f"{name} = {value.item():g}" for name, value in weighted.items() if not value.isfinite()]
    what = (
        f"the loss is not finite ({', '.join(bad) or 'the sum of its terms'})" if weighted else "weights are not finite"
    )
    names = [name for name, of in type(step.method).metadata().items() if of["doc"].startswith("Weight of")]
    weights = f", or a smaller {' or '.join(names)}" if names and len(weighted) != 1 else ""
    return TrainingDiverged(
        f"training diverged: {what} at step {step.index} of {step.total}. Try a learning_rate below "
        f"{settings.learning_rate:g}{weights}."
    )
