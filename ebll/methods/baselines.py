"""The baselines, which keep nothing between tasks: fine-tuning, feature extraction and joint training (E1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

from torch import Tensor, nn

from ebll.data import Task
from ebll.losses import class_loss
from ebll.methods.base import Batch, Memory, Method, Targets, Term, record
from ebll.networks import Network

__all__ = ["FeatureExtraction", "Finetune", "Joint"]


@final
@dataclass(frozen=True)
class Finetune(Method):
    """E1 of the new task; F and T move without restraint, the old heads stay as they were."""

    name = "finetune"
    label = "Fine-tuning"

    def loss_terms(self, net: Network, batches: Sequence[Batch], memory: Any) -> dict[str, Term]:
        """task: E1."""
        (batch,) = batches
        return {"task": Term(class_loss(net(batch.inputs, batch.task), batch.labels))}


@final
@dataclass(frozen=True)
class FeatureExtraction(Method):
    """E1 of the new task, with gradient to its head alone; old answers stay the same to the last bit.

    Since F and T stand still, T(F(x)) is recorded once and the steps need only the head. The warm-up of every other
    method is a few epochs of this one.
    """

    name = "feature-extraction"
    label = "Feature extraction"

    def trained_parts(self, net: Network, t: int) -> nn.Module:
        """The whole network for the first task, the new head afterwards."""
        return net.heads[t] if t else net

    def record_targets(self, net: Network, t: int, inputs: Tensor, memory: Memory | None) -> Targets:
        """hidden: (n, operator_size), T(F(x))."""
        return record(net, inputs, hidden=net.operator) if t else {}

    def loss_terms(self, net: Network, batches: Sequence[Batch], memory: Memory | None) -> dict[str, Term]:
        """task: E1."""
        (batch,) = batches
        logits = net.heads[batch.task](batch.targets["hidden"]) if batch.task else net(batch.inputs, batch.task)
        return {"task": Term(class_loss(logits, batch.labels))}


@final
@dataclass(frozen=True)
class Joint(Method):
    """E1 over all tasks so far: the sum of their mean losses (EBLL section 3.1).

    Every step draws a batch of each task. It goes on from the network that has learned the tasks before, for as many
    steps as the other methods take: a bound within that budget, not the best that joint training can do.
    """

    name = "joint"
    label = "Joint training"

    def tasks_for(self, t: int, tasks: Sequence[Task]) -> list[int]:
        """All tasks up to t."""
        return list(range(t + 1))

    def loss_terms(self, net: Network, batches: Sequence[Batch], memory: Any) -> dict[str, Term]:
        """task: E1, summed over the tasks."""
        return {"task": Term(sum(class_loss(net(batch.inputs, batch.task), batch.labels) for batch in batches))}
