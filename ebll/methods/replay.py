"""Experience replay: a few stored images of each class of the old tasks, learned beside the new task (E1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from ebll.data import Split, Task
from ebll.errors import InputError
from ebll.losses import class_loss
from ebll.methods.base import Batch, Memory, Method, Term
from ebll.networks import Network
from ebll.seeds import generator
from ebll.settings import MethodSettings, as_in, setting

__all__ = ["Replay", "ReplayMemory", "exemplars"]


@dataclass(frozen=True)
class ReplayMemory(Memory):
    """Stored images of every old task with their labels, in the order learned."""

    stored: tuple[Split, ...]

    def tensors(self) -> dict[str, Tensor]:
        """inputs.t (n, *input_shape), float32 as they are replayed, and labels.t (n,) of each old task."""
        return {f"{k}.{t}": getattr(split, k) for t, split in enumerate(self.stored) for k in ("inputs", "labels")}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor], report: Mapping[str, float]) -> ReplayMemory:
        """The stored images again."""
        # Cloned, since sums go by where a tensor lies: those of a file begin anywhere, not at a multiple of 64 bytes.
        kept = {name: value.clone() for name, value in tensors.items()}
        return cls(tuple(Split(kept[f"inputs.{t}"], kept[f"labels.{t}"]) for t in range(len(kept) // 2)))


@final
@dataclass(frozen=True)
class Replay(Method):
    """E1 of the new task + replay_weight * sum over the old tasks of E1 on their stored images.

    Also called rehearsal (Robins 1995; Chaudhry et al., arXiv 1902.10486). With weight 1 it is what joint training
    minimises, on the stored images alone. Every step replays all of them, and costs more with each class and task:
    batches, the last of which can be tiny, protected no better, and some runs failed. Of photographs that are cropped
    again in each epoch, one crop is stored.
    """

    name = "replay"
    label = "Replay"
    weighs_only = "replay_weight"

    images_per_class: int = setting(5, "Training images of each class that are stored once a task is learned.", low=1)
    replay_weight: float = as_in(MethodSettings, "replay_weight")

    def check_tasks(self, tasks: Sequence[Task]) -> None:
        """As many images of each class as are to be stored, in every task: a sequence may go on."""
        for task in tasks:
            _check_classes(task, self.images_per_class)

    def loss_terms(self, net: Network, batches: Sequence[Batch], memory: ReplayMemory | None) -> dict[str, Term]:
        """task: E1; replay: E1 on the stored images, one value an old task."""
        (batch,) = batches
        terms = {"task": Term(class_loss(net(batch.inputs, batch.task), batch.labels))}
        if memory is not None:
            old = [class_loss(net(split.inputs, t), split.labels) for t, split in enumerate(memory.stored)]
            terms["replay"] = Term(torch.stack(old), self.replay_weight)
        return terms

    def consolidate(self, net: Network, t: int, task: Task, memory: ReplayMemory | None, seed: int) -> ReplayMemory:
        """Store images of this task, drawn by the seed."""
        rows = exemplars(task, self.images_per_class, generator(seed, "replay images", t))
        new = Split(task.train.inputs[rows], task.train.labels[rows])
        return ReplayMemory((*memory.stored, new) if memory else (new,))


def exemplars(task: Task, per_class: int, draw: torch.Generator) -> Tensor:
    """Rows of a task's training split, int64 (classes * per_class,) and rising, equally many of each class.

    raises   `InputError` where a class has fewer images
    """
    _check_classes(task, per_class)
    labels = task.train.labels
    order = torch.randperm(len(labels), generator=draw).to(labels.device)
    return torch.cat([order[labels[order] == c][:per_class] for c in range(task.class_count)]).sort().values


def _check_classes(task: Task, per_class: int) -> None:
    counts = torch.bincount(task.train.labels, minlength=task.class_count)
    least = int(counts.argmin())
    if counts[least] < per_class:
        raise InputError(
            f"Replay: images_per_class is {per_class}, but class {task.classes[least]!r} of {task.name} has "
            f"{counts[least]} training images. Choose at most that many."
        )
