"""What LwF and EBLL share: the old heads' softened answers (E3a), recorded before a task, kept while it is learned."""

from __future__ import annotations

import torch
from torch import Tensor

from ebll.methods.base import Batch, Term
from ebll.nets import Network
from ebll.terms import distillation, soften

__all__ = ["distill_term", "soft_answers"]


def soft_answers(net: Network, t: int, features: Tensor, temperature: float) -> Tensor:
    """E3a for all heads before t, side by side: features (batch, feature_size) -> (batch, sum of their classes)."""
    hidden = net.operator(features)
    return torch.cat([soften(head(hidden), temperature) for head in net.heads[:t]], dim=1)


def distill_term(net: Network, batch: Batch, hidden: Tensor, temperature: float, weight: float) -> Term:
    """E3 for each old head, one raw value an old task.

    hidden  (batch, operator_size)  T(F(x)) of the new inputs, carries gradient
    """
    # Indexed one by one: a slice of a ModuleList is a new ModuleList, which costs as much as the heads themselves.
    logits = [net.heads[i](hidden) for i in range(batch.task)]
    targets = batch.recorded["soft_targets"].split([answer.shape[1] for answer in logits], dim=1)
    distances = [distillation(now, before, temperature) for now, before in zip(logits, targets, strict=True)]
    return Term(distances[0] if len(distances) == 1 else torch.stack(distances), weight)
