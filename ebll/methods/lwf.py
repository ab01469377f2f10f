"""Learning without Forgetting: keep the old heads' softened answers (E3a) to the new inputs (E3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor, nn
from torch.nn import functional

from ebll.losses import class_loss, distillation, soften
from ebll.methods.base import Batch, Memory, Method, Targets, Term, each_task, record
from ebll.networks import Network
from ebll.settings import MethodSettings, as_in

__all__ = ["LwF", "distill_term", "old_logits", "old_soft_targets"]


@final
@dataclass(frozen=True)
class LwF(Method):
    """E1 of the new task + distill_weight * sum over the old tasks of E3 (Li and Hoiem, arXiv 1606.09282).

    The soft targets are recorded once per task, for all old heads, from the network as it stood before the task.
    """

    name = "lwf"
    label = "LwF"

    temperature: float = as_in(MethodSettings, "temperature")
    distill_weight: float = as_in(MethodSettings, "distill_weight")

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


def old_soft_targets(net: Network, t: int, features: Tensor, temperature: float) -> Tensor:
    """E3a for all heads before t, side by side: features (batch, feature_size) -> (batch, sum of their classes)."""
    hidden = net.operator(features)
    return torch.cat([soften(head(hidden), temperature) for head in net.heads[:t]], dim=1)


def distill_term(net: Network, batch: Batch, hidden: Tensor, temperature: float, weight: float) -> Term:
    """E3 for each old head, one raw value an old task.

    hidden  (batch, operator_size)  T(F(x)) of the new inputs, carries gradient
    """
    logits = old_logits(net, batch.task, hidden)
    distances = each_task(
        lambda now, before: distillation(now, before, temperature),
        (logits, batch.targets["soft_targets"]),
        net.classes[: batch.task],
    )
    return Term(distances, weight)


def old_logits(net: Network, t: int, hidden: Tensor) -> Tensor:
    """Logits of all heads before t, side by side: hidden (batch, operator_size) -> (batch, sum of their classes)."""
    heads = [*net.heads][:t]  # not net.heads[:t]: that builds a new ModuleList, which costs as much as the heads
    if t > 1 and all(map(_is_plain, heads)):
        # One product for all old heads instead of one each, so that a step costs much the same after many tasks.
        weights, biases = torch.cat([h.weight for h in heads]), torch.cat([h.bias for h in heads])
        return functional.linear(hidden, weights, biases)
    logits = [head(hidden) for head in heads]
    return logits[0] if t == 1 else torch.cat(logits, dim=1)


def _is_plain(head: nn.Module) -> bool:
    """Whether a head is its weight and bias and nothing else: no hooks, no weight that is computed from others."""
    hooks = head._forward_hooks or head._forward_pre_hooks or head._backward_hooks
    return type(head) is nn.Linear and not hooks and head._parameters.keys() == {"weight", "bias"}
