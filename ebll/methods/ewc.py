"""Elastic Weight Consolidation: keep the parameters that mattered to the old tasks (E6, E7)."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from ebll.data import Task
from ebll.fisher import fisher_diagonal
from ebll.losses import class_loss, quadratic_penalty
from ebll.methods.base import Batch, Memory, Method, Term
from ebll.networks import Network
from ebll.seeds import derive_seed, generator
from ebll.settings import MethodSettings, as_in, setting

__all__ = ["EWC", "EWCMemory"]


@dataclass(frozen=True)
class EWCMemory(Memory):
    """The shared parameters after the last task and the importance of each, summed over the tasks."""

    anchors: list[Tensor]
    fisher: list[Tensor]

    def bytes(self) -> int:
        """Memory kept between tasks; it does not grow with their number."""
        return sum(tensor.nbytes for tensor in [*self.anchors, *self.fisher])

    def tensors(self) -> dict[str, Tensor]:
        """anchor.i and fisher.i, shaped like the shared parameter i."""
        kinds = (("anchor", self.anchors), ("fisher", self.fisher))
        return {f"{name}.{i}": value for name, values in kinds for i, value in enumerate(values)}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor], report: Mapping[str, float]) -> EWCMemory:
        """Anchors and importances again."""
        count = range(len(tensors) // 2)
        return cls([tensors[f"anchor.{i}"] for i in count], [tensors[f"fisher.{i}"] for i in count])


@final
@dataclass(frozen=True)
class EWC(Method):
    """E1 of the new task + ewc_strength * E6 on F and T (Kirkpatrick et al., arXiv 1612.00796).

    The new head has no old value and is left out of the penalty; the old heads get no gradient from new data and need
    none. One penalty serves all old tasks: their Fisher diagonals add up, centred on the newest parameters (Huszar,
    arXiv 1712.03847); with `fisher_decay` below 1 the old ones fade, as in online EWC (arXiv 1805.06370), without its
    normalisation of each task's diagonal.
    """

    name = "ewc"
    label = "EWC"

    ewc_strength: float = as_in(MethodSettings, "ewc_strength")
    fisher: str = as_in(MethodSettings, "fisher")
    fisher_samples: int = as_in(MethodSettings, "fisher_samples")
    fisher_decay: float = setting(1.0, "Share of the old importance kept at each task.", symbol="γ", high=1.0)

    def loss_terms(self, net: Network, batches: Sequence[Batch], memory: EWCMemory | None) -> dict[str, Term]:
        """task: E1; penalty: E6."""
        (batch,) = batches
        terms = {"task": Term(class_loss(net(batch.inputs, batch.task), batch.labels))}
        if memory is not None:
            terms["penalty"] = Term(quadratic_penalty(_shared(net), memory.anchors, memory.fisher), self.ewc_strength)
        return terms

    def consolidate(self, net: Network, t: int, task: Task, memory: EWCMemory | None, seed: int) -> EWCMemory:
        """Add this task's Fisher diagonal and move the anchor to the parameters as they are now."""
        count = len(task.train)
        rows = torch.randperm(count, generator=generator(seed, "fisher samples", t))[: self.fisher_samples]
        rows = rows.to(task.train.labels.device)
        fisher = fisher_diagonal(
            net,
            lambda inputs: net(inputs, t),
            _shared(net),
            task.train.inputs[rows],
            task.train.labels[rows],
            self.fisher,
            derive_seed(seed, "fisher", t),
        )
        if memory is not None:
            fisher = [self.fisher_decay * old + new for old, new in zip(memory.fisher, fisher, strict=True)]
        # Row by row, whatever the network's own order (channels last): sums then repeat once it was read from a file.
        kept = ([parameter.detach() for parameter in _shared(net)], fisher)
        return EWCMemory(*([value.clone(memory_format=torch.contiguous_format) for value in part] for part in kept))

    @property
    def memory_key(self) -> Hashable:
        """All but the strength, which changes nothing of what is kept."""
        return self.replace(ewc_strength=0.0)


def _shared(net: Network) -> list[torch.nn.Parameter]:
    return [*net.features.parameters(), *net.operator.parameters()]
