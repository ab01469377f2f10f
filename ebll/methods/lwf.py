"""Learning without Forgetting: keep the old heads' answers to the new inputs (E3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from torch import Tensor

from ebll.losses import class_loss
from ebll.methods.base import Batch, Memory, Method, Targets, Term, record
from ebll.methods.soft_targets import distill_term, old_soft_targets
from ebll.networks import Network
from ebll.settings import setting

__all__ = ["LwF"]


@final
@dataclass(frozen=True)
class LwF(Method):
    """E1 of the new task + distill_weight * sum over the old tasks of E3 (Li and Hoiem, arXiv 1606.09282).

    The soft targets are recorded once per task, for all old heads, from the network as it stood before the task.
    """

    name = "lwf"
    label = "LwF"

    temperature: float = setting(
        2.0,
        "Softens the old answers; above 1 it lifts the small probabilities.",
        symbol="θ",
        above=True,
        hint="LwF and the authors' EBLL code use 2.",
    )
    distill_weight: float = setting(1.0, "Weight of the distillation of each old head.", symbol="λo")

    def record_targets(self, net: Network, t: int, inputs: Tensor, memory: Memory | None) -> Targets:
        """soft_targets: (n, sum of the old heads' classes)."""
        if t == 0:
            return {}
        return record(net, inputs, soft_targets=lambda features: old_soft_targets(net, t, features, self.temperature))

    def loss_terms(self, net: Network, batches: Sequence[Batch], memory: Memory | None) -> dict[str, Term]:
        """task: E1; distill: E3, one value an old task."""
        (batch,) = batches
        hidden = net.operator(net.features(batch.inputs))
        terms = {"task": Term(class_loss(net.heads[batch.task](hidden), batch.labels))}
        if batch.task:
            terms["distill"] = distill_term(net, batch, hidden, self.temperature, self.distill_weight)
        return terms
