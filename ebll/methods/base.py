"""What every method is made of: settings that never change, and a few hooks that the training loop calls.

A method is a frozen dataclass of settings. What it must keep from one task to the next (encoders, a Fisher diagonal)
is a memory that it returns and the loop hands back, so that a run can branch anywhere. A new method is one new file
with one final class, entered in `ebll.methods.METHODS`, and its name in `ebll.settings.METHOD_NAMES`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from ebll.autoencoder import Encoder
from ebll.data import Split, Task
from ebll.errors import InputError
from ebll.networks import Network, frozen
from ebll.seeds import generator
from ebll.settings import Settings

__all__ = ["Batch", "Memory", "Method", "Targets", "Term", "drawn_samples", "each_task", "per_old_task", "record"]

Targets = dict[str, Tensor]
"""Name -> tensor with a row per training input of the new task: what the network answered before it was changed."""


class Batch(NamedTuple):
    """One step's samples of one task."""

    task: int  #: index of the task, hence of its head
    inputs: Tensor  #: (batch, *input_shape)
    labels: Tensor  #: (batch,)
    targets: Targets  #: the rows of what was recorded before the task that belong to these very inputs


@dataclass(slots=True)
class Term:
    """One part of the objective: its raw values, one per old task or just one, and the weight of each."""

    raw: Tensor
    weight: float | Tensor = 1.0

    def weighted(self) -> Tensor:
        """Sum of weight times raw value, what the loop adds up."""
        if isinstance(self.weight, float) and self.weight == 1.0:
            return self.raw.sum() if self.raw.ndim else self.raw
        return (self.weight * self.raw).sum() if self.raw.ndim else self.weight * self.raw


class Memory:
    """What a method keeps between tasks; its size is the method's memory cost.

    A dataclass of lists of tensors needs no more; another form overrides `tensors` and `from_tensors`. Runs may share a
    memory, so it is never changed once it was made.
    """

    def bytes(self) -> int:
        """Memory kept for all old tasks together."""
        return sum(tensor.nbytes for tensor in self.tensors().values())

    def encoder(self, task: int) -> Encoder | None:
        """The encoder kept for an old task, where the method keeps one."""
        return None

    def report(self) -> dict[str, float]:
        """Figures worth keeping about what was fitted after the newest task."""
        return {}

    def tensors(self) -> dict[str, Tensor]:
        """All of it but the report as tensors by name, for a file: field.i is tensor i of a field."""
        lists = {field.name: getattr(self, field.name) for field in fields(self)} if is_dataclass(self) else {}
        if not lists or not all(isinstance(several, list) for several in lists.values()):
            raise InputError(
                f"{type(self).__name__} is not a dataclass of lists of tensors: give it tensors() and from_tensors()."
            )
        return {f"{name}.{i}": value for name, several in lists.items() for i, value in enumerate(several)}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor], report: Mapping[str, float]) -> Memory:
        """A memory from what `tensors` and `report` gave."""
        counts = {field.name: sum(name.startswith(f"{field.name}.") for name in tensors) for field in fields(cls)}
        # Cloned, since sums go by where a tensor lies: those of a file begin anywhere, not at a multiple of 64 bytes.
        return cls(**{name: [tensors[f"{name}.{i}"].clone() for i in range(n)] for name, n in counts.items()})


class Method(Settings, ABC):
    """Base of the methods; all hooks but `loss_terms` do nothing unless filled in, at most once each.

    name         key in `METHODS`, file names and tables
    label        as figures write it
    weighs_only  name of a setting, if any, that changes nothing of what is kept: runs that differ in it share a memory
    """

    name: ClassVar[str]
    label: ClassVar[str]
    weighs_only: ClassVar[str] = ""

    def check(self, net: Network, tasks: int) -> None:
        """Refuse settings that cannot serve this network and number of tasks, before anything is learned."""

    def check_tasks(self, tasks: Sequence[Task]) -> None:
        """Refuse tasks whose data cannot serve these settings, before anything is learned."""

    def prepare(self, net: Network) -> None:
        """Change the structure of a network with one head, before it learns a second task."""

    def tasks_for(self, t: int, tasks: Sequence[Task]) -> list[int]:
        """Indices of the tasks whose training data may be used while task t is learned."""
        return [t]

    def trained_parts(self, net: Network, t: int) -> nn.Module:
        """The module whose parameters may change while task t is learned."""
        return net

    def record_targets(self, net: Network, t: int, inputs: Tensor, memory: Any) -> Targets:
        """What to record once of the new inputs (n, *input_shape), from the network as it is before task t."""
        return {}

    @abstractmethod
    def loss_terms(self, net: Network, batches: Sequence[Batch], memory: Any) -> dict[str, Term]:
        """The parts of the objective by name; the loop adds up what they weigh."""

    def consolidate(self, net: Network, t: int, task: Task, memory: Any, seed: int) -> Memory | None:
        """The memory to carry on, once task t has been learned; may look at that task's data a last time."""
        return None

    @property
    def memory_key(self) -> Hashable:
        """What decides the first task's memory: methods with equal keys share one, fitted once; with None, none is."""
        try:
            hash(self)
        except TypeError:  # a setting of a reader's own may be a list
            return None
        return self.replace(**{self.weighs_only: 0.0}) if self.weighs_only else self


def record(net: Network, inputs: Tensor, *, batch_size: int = 1024, **answers: Callable[[Tensor], Tensor]) -> Targets:
    """Send many inputs through F once, without gradients, and keep what each function gives for the features.

    inputs    (n, *input_shape)
    answers   name -> function of features (batch, feature_size) giving (batch, ...)
    returns   name -> (n, ...)
    """
    parts: dict[str, list[Tensor]] = {name: [] for name in answers}
    with frozen(net), torch.no_grad():
        for batch in inputs.split(batch_size):
            features = net.features(batch)
            for name, answer in answers.items():
                parts[name].append(answer(features))
        return {name: torch.cat(several) for name, several in parts.items()}


def per_old_task(value: float | tuple[float, ...], count: int, name: str) -> tuple[float, ...]:
    """One weight per old task: a single number serves them all, a list must be long enough (a sequence may go on)."""
    if isinstance(value, tuple) and len(value) < count:
        raise InputError(
            f"{name} has {len(value)} entries, but there are {count} old tasks by now: give one number for all, or one "
            "per old task in the order learned."
        )
    return value[:count] if isinstance(value, tuple) else (value,) * count


def drawn_samples(task: Task, count: int, seed: int, t: int) -> Split:
    """Up to `count` training samples of task t, drawn by the seed: those that a Fisher information is taken over."""
    rows = torch.randperm(len(task.train), generator=generator(seed, "fisher samples", t))[:count]
    return task.train.take(rows.to(task.train.labels.device))


def each_task(term: Callable[[Tensor, Tensor], Tensor], pair: tuple[Tensor, Tensor], sizes: Sequence[int]) -> Tensor:
    """A term of two tensors whose columns belong to the old tasks side by side: one value an old task.

    term      (batch, columns of a task) twice -> (), and (batch, tasks, columns) twice -> (tasks,)
    pair      (batch, sum of the sizes) each: now, and before the task
    sizes     columns of each old task
    returns   () for one old task, else (tasks,)
    """
    if len(sizes) == 1:
        return term(*pair)
    if len(set(sizes)) == 1:  # alike: all of them in one computation
        return term(*(side.unflatten(1, (len(sizes), sizes[0])) for side in pair))
    return torch.stack([term(*parts) for parts in zip(*(side.split(list(sizes), dim=1) for side in pair), strict=True)])
