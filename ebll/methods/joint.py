"""Joint training: all tasks' data at hand, the bound that lifelong learning is measured against (E1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

from ebll.data import Task
from ebll.losses import class_loss
from ebll.methods.base import Batch, Method, Term
from ebll.networks import Network

__all__ = ["Joint"]


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
