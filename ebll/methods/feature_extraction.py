"""Feature extraction: F and T frozen, only the new head learns. It forgets nothing and adapts least."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from torch import Tensor, nn

from ebll.losses import class_loss
from ebll.methods.base import Batch, Memory, Method, Targets, Term, record
from ebll.networks import Network

__all__ = ["FeatureExtraction"]


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
