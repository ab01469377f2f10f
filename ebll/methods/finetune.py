"""Fine-tuning: the new task's loss and nothing else. It learns freely and forgets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

from ebll.losses import class_loss
from ebll.methods.base import Batch, Method, Term
from ebll.networks import Network

__all__ = ["Finetune"]


@final
@dataclass(frozen=True)
class Finetune(Method):
    """E1 of the new task; F and T move as it pleases, the old heads stay as they were."""

    name = "finetune"
    label = "Fine-tuning"

    def loss_terms(self, net: Network, batches: Sequence[Batch], memory: Any) -> dict[str, Term]:
        """task: E1."""
        (batch,) = batches
        return {"task": Term(class_loss(net(batch.inputs, batch.task), batch.labels))}
