"""The one training loop: any method, any network, small tensors or photographs.

`train` is the loop itself; `ebll.protocol` has the paper's protocol around it. Nothing is printed here and no picture
is drawn.
"""

from __future__ import annotations

import contextlib
import functools
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from ebll.data import Task
from ebll.errors import TrainingDiverged
from ebll.methods import Batch, Memory, Method, Recorded, Term
from ebll.nets import Network, training_only
from ebll.runs import NOTHING_KEPT, Keeper
from ebll.seeds import generator, seeded
from ebll.settings import Settings, setting
from ebll.turns import turn

__all__ = ["TrainSettings", "batches_of", "check_finite", "train"]

Observer = Callable[[int, int, Mapping[str, Term], float], None]
"""Called before each step, and once after the last, with: steps made, steps in all, terms, learning rate."""

Teacher = Callable[[Tensor], Recorded]
"""What the network of before a task says of a batch of inputs, for tasks whose inputs are cut anew in each epoch."""


@dataclass(frozen=True)
class TrainSettings(Settings):
    """How every task is trained; the same for all methods, so that they differ in their objective only."""

    epochs: int = setting(8, "Passes over a task's training inputs.", low=1)
    warmup_epochs: int = setting(2, "Passes in which only the new head learns, before the rest moves.", low=0)
    batch_size: int = setting(64, "Inputs per step.", low=1, high=2**31)
    learning_rate: float = setting(0.02, "Step size of SGD.", above=True, hint="0.02 suits the built-in nets.")
    momentum: float = setting(0.9, "Share of the last step carried into the next.", high=0.999)
    weight_decay: float = setting(5e-4, "Pull of every trained weight towards zero.")
    threads: int = setting(
        1,
        "Processor threads; 1 is quickest for small nets, and numbers repeat for one count only. 0: torch's own.",
        low=0,
        high=1024,
    )
    drop_at: float = setting(0.75, "Share of the steps after which the learning rate falls to a tenth.", high=1.0)


def train(
    net: Network,
    method: Method,
    t: int,
    data: Mapping[int, Task],
    *,
    settings: TrainSettings,
    memory: Memory | None = None,
    recorded: Recorded | Teacher | None = None,
    epochs: int | None = None,
    seed: int = 0,
    observe: Observer | None = None,
    keep: Keeper = NOTHING_KEPT,
) -> None:
    """The loop: draw a batch, add up the method's terms, step. Changes `net` in place.

    data       index -> task whose training split may be used; an epoch is one pass over task t, beside which the others
               are drawn from as often as needed
    recorded   rows belonging to task t's training inputs, from `method.before_task`, or a function that gives them
    epochs     in place of `settings.epochs`, for the warm-up
    seed       decides the order of the batches, and dropout where a network has it
    keep       may put the net back to where it was stopped, and is told of each step
    raises     `TrainingDiverged` at the first step whose loss is not finite
    """
    epochs = settings.epochs if epochs is None else epochs
    total = epochs * math.ceil(len(data[t].train) / settings.batch_size)
    drop = round(settings.drop_at * total)
    with training_only(net, method.trained_parts(net, t)) as parameters, _dropout(net, seed, t):
        optimizer = torch.optim.SGD(
            parameters,
            lr=settings.learning_rate,
            momentum=settings.momentum,
            weight_decay=settings.weight_decay,
            fused=True,
        )
        done, size = keep.resumed(net, optimizer), settings.batch_size
        streams = [
            batches_of(task, i, recorded if i == t else None, size, generator(seed, "batches", t, i), done)
            for i, task in data.items()
        ]
        for step in range(done, total):
            turn()  # here a run can be paused or stopped
            if step == drop:
                optimizer.param_groups[0]["lr"] = 0.1 * settings.learning_rate
            terms = method.loss_terms(net, [next(stream) for stream in streams], memory)
            loss = functools.reduce(torch.add, [term.weighted() for term in terms.values()])
            # Reading a number back makes a GPU wait, so there only every 50th step is looked at.
            if loss.device.type == "cpu" or step % 50 == 0:
                check_finite(loss, terms, step, total, settings)
            if observe:
                observe(step, total, terms, optimizer.param_groups[0]["lr"])
            for parameter in parameters:
                parameter.grad = None  # what optimizer.zero_grad() does, at a fifth of its time
            loss.backward()
            optimizer.step()
            keep.step(step + 1, net, optimizer)
        optimizer.zero_grad()  # a finished network need not carry its last gradient along
        check_finite(sum(parameter.sum() for parameter in parameters), {}, total, total, settings)
        if observe:
            observe(total, total, {}, optimizer.param_groups[0]["lr"])


def batches_of(
    task: Task,
    index: int,
    recorded: Recorded | Teacher | None,
    batch_size: int,
    order: torch.Generator,
    skip: int = 0,
) -> Iterator[Batch]:
    """Endless seeded batches of a task's training split, with the recorded rows that belong to them.

    skip   batches to leave out at the beginning, as if they had been drawn: a run that goes on gets those that follow

    Labels and recorded rows are shuffled once an epoch, a batch is a view of them; inputs are large, and a split draws
    them as they are needed. Both are cheaper than a DataLoader, which collates samples one by one.
    """
    teacher = recorded if callable(recorded) else None
    columns = {} if teacher or recorded is None else recorded
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


def _dropout(net: Network, seed: int, t: int) -> contextlib.AbstractContextManager[None]:
    """Seeds torch's global generators for layers that draw; without such layers those generators are left alone."""
    return seeded(seed, "training", t) if net.may_draw() else contextlib.nullcontext()


def check_finite(value: Tensor, terms: Mapping[str, Term], step: int, total: int, settings: TrainSettings) -> None:
    """Raise `TrainingDiverged`, with what to try, if a loss with these terms, or a sum of weights, is not finite."""
    if math.isfinite(value.item()):
        return
    bad = [f"{name} = {term.weighted().item():g}" for name, term in terms.items() if not term.weighted().isfinite()]
    what = f"the loss is not finite ({', '.join(bad) or 'the sum of its terms'})" if terms else "weights are not finite"
    raise TrainingDiverged(
        f"training diverged: {what} at step {step} of {total}. Try a learning_rate below {settings.learning_rate:g}, "
        "or a smaller weight (alpha, distill_weight, ewc_strength) on the term that grew."
    )
