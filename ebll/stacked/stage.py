"""The lesson's loop for many runs at once: `ebll.training.train` with a row for each run, on the same pure terms.

Runs may differ in seed, in the numbers of their method and in the learning rate; what is drawn, added up and stepped is
what each would do alone. This room trains; it knows nothing of sequences or results.
"""

from __future__ import annotations

import contextlib
import functools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

from ebll.data import Task
from ebll.errors import TrainingDiverged
from ebll.methods import Batch, Memory, Method, Recorded, Term
from ebll.nets import Network, training_only
from ebll.seeds import generator
from ebll.stacked.graph import Replayed
from ebll.stacked.lifted import CannotStack, lift
from ebll.training import TrainSettings, check_finite
from ebll.turns import turn

__all__ = ["Member", "train_stacked"]

Answer = tuple[Tensor, dict[str, Tensor], dict[str, Tensor]]

LOOK = 50  # steps between two looks at the losses on a GPU, which must wait for each; as in the lesson's loop


@dataclass
class Member:
    """One run of a stack, as far as a stage of training needs it.

    net       is changed in place
    method, settings, memory   as in `ebll.training.train`
    seed      decides the order of the batches
    recorded  name -> (n, ...), a row for each training input of the task, from `method.before_task`
    observe   as in `ebll.training.train`
    diverged  why it has no result, once that is so; the others go on
    """

    net: Network
    method: Method
    seed: int
    settings: TrainSettings
    memory: Memory | None = None
    recorded: Recorded = field(default_factory=dict)
    observe: Callable[[int, int, Mapping[str, Term], float], None] | None = None
    diverged: TrainingDiverged | None = None


def train_stacked(members: Sequence[Member], t: int, data: Mapping[int, Task], epochs: int) -> str:
    """Train task t in all networks; each ends as `train` would leave it, to rounding.

    members  runs whose networks, methods and settings differ in numbers only
    data     as in `train`: index -> task whose training split may be used
    epochs   passes over task t
    returns  "", or in words why a GPU could not record a CUDA graph
    raises   `CannotStack` where they differ in more; nothing has been changed then
    """
    settings, members = _common(members), sorted(members, key=lambda member: member.settings.learning_rate)
    total = epochs * math.ceil(len(data[t].train) / settings.batch_size)
    drop = round(settings.drop_at * total)
    with contextlib.ExitStack() as flags:
        for member in members:
            flags.enter_context(training_only(member.net, member.method.trained_parts(member.net, t)))
        stack = _Stack(members, t, data, settings)
        step_of = Replayed(stack.gradients, stack.apply, stack.device)
        for step in range(total):
            turn()  # here a sweep can be stopped
            if step == drop:
                stack.slow_down()
            losses, *terms = step_of.answer(next(stack.rows))
            if stack.device.type == "cpu" or step % LOOK == 0:
                stack.check(losses, terms, step, total)
                if all(member.diverged is not None for member in members):
                    break
            stack.observe(step, total, terms)
            step_of.apply()
        # As the lesson's loop does at its end: the last step may have spoilt the weights, of which the sum tells.
        stack.check(sum(tensor.detach().flatten(1).sum(1) for tensor in stack.leaves), (), total, total)
        stack.observe(total, total, ())
        stack.hand_back()
    return step_of.fault


def _common(members: Sequence[Member]) -> TrainSettings:
    if any(member.net.may_draw() for member in members):
        raise CannotStack("layers that draw random numbers, such as dropout, cannot be stacked")
    if len({id(member.net) for member in members}) < len(members):
        raise CannotStack("each run needs a network of its own; copy it with copy.deepcopy")
    if any(_learns_statistics(member.net) for member in members):
        raise CannotStack("BatchNorm that still learns its statistics cannot be stacked; see `freeze_statistics`")
    settings = {member.settings.replace(learning_rate=1.0) for member in members}
    if len(settings) > 1:
        raise CannotStack("the runs of a stack are trained alike, apart from the learning rate")
    return settings.pop()


def _learns_statistics(net: Network) -> bool:
    kept = (part.track_running_stats for part in net.modules() if isinstance(part, _NormBase))
    return not net.statistics_frozen and any(kept)


class _Stack:
    """Networks, methods and memories of all runs as one of each, and what a step does with them."""

    def __init__(self, members: Sequence[Member], t: int, data: Mapping[int, Task], settings: TrainSettings) -> None:
        self.members, self.t, self.data = members, t, data
        self.device = data[t].train.labels.device
        self.parts = lift([(member.net, member.method, member.memory) for member in members], self.device)
        answers = [member.recorded for member in members]
        self.recorded = {name: torch.stack([each[name] for each in answers]) for name in answers[0]}
        self.parts.tensors = [_laid_out(tensor) for tensor in self.parts.tensors]
        self.leaves = [tensor for tensor in self.parts.tensors if tensor.requires_grad]
        for tensor, sources in zip(self.parts.tensors, self.parts.sources, strict=True):
            if tensor.requires_grad:  # the networks now look into the stack, so that they can be measured at any time
                for source, row in zip(sources, tensor.detach(), strict=True):
                    source.data = row
        seeds = list(dict.fromkeys(member.seed for member in members))
        self._stream = torch.tensor([seeds.index(member.seed) for member in members], device=self.device)
        self._alike = len(seeds) == 1  # then all see the same batch, and it is drawn once
        streams = [_rows(len(task.train), t, i, seeds, settings.batch_size) for i, task in data.items()]
        self.rows = ([rows.to(self.device) for rows in step] for step in zip(*streams, strict=False))
        self._weights: dict[str, float] = {}  # of terms whose weight is one number for all
        self._optimize(settings)

    def _optimize(self, settings: TrainSettings) -> None:
        """SGD as in the lesson's loop, a group of parameters for each learning rate."""
        groups, begin = [], 0
        self._pieces: list[tuple[nn.Parameter, int, slice]] = []
        for rate, same in groupby(member.settings.learning_rate for member in self.members):
            rows = slice(begin, begin := begin + len(list(same)))
            pieces = [nn.Parameter(_flat(leaf.detach())[rows]) for leaf in self.leaves]
            self._pieces += [(piece, i, rows) for i, piece in enumerate(pieces)]
            lr = rate if self.device.type == "cpu" else torch.tensor(rate, device=self.device)
            groups.append({"params": pieces, "lr": lr, "rate": rate})
        self._optimizer = torch.optim.SGD(
            groups, momentum=settings.momentum, weight_decay=settings.weight_decay, fused=True
        )
        self._share = 1.0

    def gradients(self, rows: Sequence[Tensor]) -> Answer:
        """The runs' losses (runs,), raw values (runs, ...) and those weights that differ, by term; keeps gradients."""
        batches = [self._batch(i, drawn) for i, drawn in zip(self.data, rows, strict=True)]
        dims = [Batch(None, *[None if self._alike else 0] * 2, dict.fromkeys(b.recorded, 0)) for b in batches]

        def one(
            tensors: Sequence[Tensor], parts: Sequence[Batch]
        ) -> tuple[Tensor, dict[str, Tensor], dict[str, Tensor]]:
            net, method, memory = self.parts.build(tensors)
            terms = method.loss_terms(net, parts, memory)
            numbers = {name: term.weight for name, term in terms.items()}
            self._weights = {name: number for name, number in numbers.items() if not isinstance(number, Tensor)}
            differ = {name: number for name, number in numbers.items() if isinstance(number, Tensor)}
            loss = functools.reduce(torch.add, [term.weighted() for term in terms.values()])
            return loss, {name: term.raw for name, term in terms.items()}, differ

        losses, raw, differ = torch.vmap(one, in_dims=(0, dims))(self.parts.tensors, batches)
        gradients = torch.autograd.grad(losses.sum(), self.leaves, allow_unused=True)
        for piece, i, of_group in self._pieces:
            piece.grad = None if gradients[i] is None else _flat(gradients[i])[of_group].contiguous()
        return losses.detach(), raw, differ

    def _batch(self, i: int, drawn: Tensor) -> Batch:
        """Task i's batch from the rows drawn (seeds, batch): for all runs the same, or (runs, batch, ...)."""
        train, recorded = self.data[i].train, {}
        mine = drawn[0] if self._alike else drawn[self._stream]
        if i == self.t:
            each = torch.arange(len(self.members), device=self.device)[:, None]
            recorded = {name: answers[each, mine] for name, answers in self.recorded.items()}
        return Batch(i, train.inputs[mine], train.labels[mine], recorded)

    def apply(self) -> None:
        """One step down."""
        self._optimizer.step()

    def slow_down(self) -> None:
        """The learning rates fall to a tenth."""
        self._share = 0.1
        for group in self._optimizer.param_groups:
            lower = 0.1 * group["rate"]
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(lower)
            else:
                group["lr"] = lower

    def check(self, values: Tensor, terms: Sequence[Mapping[str, Tensor]], step: int, total: int) -> None:
        """Mark the runs whose loss is not finite."""
        if values.isfinite().all():
            return
        for k, member in enumerate(self.members):
            if member.diverged is None:
                try:
                    check_finite(values[k], self._terms(terms, k), step, total, member.settings)
                except TrainingDiverged as error:
                    member.diverged = error

    def observe(self, step: int, total: int, terms: Sequence[Mapping[str, Tensor]]) -> None:
        """Let those look on who still run."""
        for k, member in enumerate(self.members):
            if member.observe is not None and member.diverged is None:
                rate = self._share * member.settings.learning_rate
                member.observe(step, total, self._terms(terms, k), rate)

    def hand_back(self) -> None:
        """Give each network weights of its own again."""
        for leaf, sources in zip(self.parts.tensors, self.parts.sources, strict=True):
            if leaf.requires_grad:
                for source in sources:
                    source.data = source.data.clone(memory_format=torch.contiguous_format)

    def _terms(self, terms: Sequence[Mapping[str, Tensor]], k: int) -> dict[str, Term]:
        """The terms of one run."""
        if not terms:
            return {}
        raw, differ = terms
        return {
            name: Term(values[k].detach(), differ[name][k].detach() if name in differ else self._weights[name])
            for name, values in raw.items()
        }


def _rows(count: int, t: int, i: int, seeds: Sequence[int], batch_size: int) -> Iterator[Tensor]:
    """Endless batches as row numbers (seeds, batch), each seed's as `batches_of` draws them."""
    orders = [generator(seed, "batches", t, i) for seed in seeds]
    while True:
        yield from torch.stack([torch.randperm(count, generator=order) for order in orders]).split(batch_size, dim=1)


def _laid_out(tensor: Tensor) -> Tensor:
    """Weights as (runs, in, out) in memory, as their gradients come: the fused step reads both in one go."""
    if not tensor.requires_grad or tensor.ndim != 3:
        return tensor
    return tensor.detach().mT.contiguous().mT.requires_grad_()


def _flat(tensor: Tensor) -> Tensor:
    """The view of what `_laid_out` gave, or of its gradient, in the order of the memory."""
    return tensor.mT if tensor.ndim == 3 else tensor
