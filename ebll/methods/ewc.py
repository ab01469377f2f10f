"""Penalties on each parameter by itself (E6): all alike (L2), or by how much they matter to old tasks (EWC, E7)."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

from ebll.data import Task
from ebll.fisher import fisher_diagonal
from ebll.losses import class_loss, quadratic_penalty
from ebll.methods.base import Batch, Memory, Method, Term, drawn_samples
from ebll.networks import Network
from ebll.seeds import derive_seed
from ebll.settings import MethodSettings, as_in, setting

__all__ = ["EWC", "L2", "EWCMemory", "WeightPenalty"]


@dataclass(frozen=True)
class EWCMemory(Memory):
    """The shared parameters after the last task and the importance of each, summed over the tasks; none with L2."""

    anchors: list[Tensor]
    fisher: list[Tensor]


class WeightPenalty(Method):
    """E1 of the new task + strength, named by `weighs_only`, * a penalty on how far the weights have moved."""

    @abstractmethod
    def penalty(self, net: Network, memory: Any) -> Tensor:
        """The penalty before its strength, ()."""

    def loss_terms(self, net: Network, batches: Sequence[Batch], memory: Any) -> dict[str, Term]:
        """task: E1; penalty: E6, or E8 on layers, once there is a memory."""
        (batch,) = batches
        terms = {"task": Term(class_loss(net(batch.inputs, batch.task), batch.labels))}
        if memory is not None:
            terms["penalty"] = Term(self.penalty(net, memory), getattr(self, self.weighs_only))
        return terms


@final
@dataclass(frozen=True)
class L2(WeightPenalty):
    """E1 of the new task + l2_strength * E6 with importances of 1: stay near the old weights (arXiv 1802.01483).

    All parameters of F and T are held, but for those of normalisation layers, which E8 does not hold either.
    """

    name, label, weighs_only = "l2", "L2", "l2_strength"
    l2_strength: float = as_in(MethodSettings, "l2_strength")

    def penalty(self, net: Network, memory: EWCMemory) -> Tensor:
        """E6 with importances of 1."""
        held = _without_norms(net)
        return quadratic_penalty(held, memory.anchors, [torch.ones(())] * len(held))

    def consolidate(self, net: Network, t: int, task: Task, memory: EWCMemory | None, seed: int) -> EWCMemory:
        """Move the anchor to the parameters as they are now."""
        return EWCMemory([p.detach().clone(memory_format=torch.contiguous_format) for p in _without_norms(net)], [])


@final
@dataclass(frozen=True)
class EWC(WeightPenalty):
    """E1 of the new task + ewc_strength * E6 on F and T (Kirkpatrick et al., arXiv 1612.00796).

    The new head has no old value and is left out of the penalty; the old heads get no gradient from new data and need
    none. One penalty serves all old tasks: their Fisher diagonals add up, centred on the newest parameters (Huszar,
    arXiv 1712.03847); with `fisher_decay` below 1 the old ones fade, as in online EWC (arXiv 1805.06370), without its
    normalisation of each task's diagonal.
    """

    name = "ewc"
    label = "EWC"
    weighs_only = "ewc_strength"

    ewc_strength: float = as_in(MethodSettings, "ewc_strength")
    fisher: str = as_in(MethodSettings, "fisher")
    fisher_samples: int = as_in(MethodSettings, "fisher_samples")
    fisher_decay: float = setting(1.0, "Share of the old importance kept at each task.", symbol="γ", high=1.0)

    def penalty(self, net: Network, memory: EWCMemory) -> Tensor:
        """E6."""
        return quadratic_penalty(_shared(net), memory.anchors, memory.fisher)

    def consolidate(self, net: Network, t: int, task: Task, memory: EWCMemory | None, seed: int) -> EWCMemory:
        """Add this task's Fisher diagonal and move the anchor to the parameters as they are now."""
        samples = drawn_samples(task, self.fisher_samples, seed, t)
        fisher = fisher_diagonal(
            net,
            lambda inputs: net(inputs, t),
            _shared(net),
            samples.inputs,
            samples.labels,
            self.fisher,
            derive_seed(seed, "fisher", t),
        )
        if memory is not None:
            fisher = [self.fisher_decay * old + new for old, new in zip(memory.fisher, fisher, strict=True)]
        # Row by row, whatever the network's own order (channels last): sums then repeat once it was read from a file.
        kept = ([parameter.detach() for parameter in _shared(net)], fisher)
        return EWCMemory(*([value.clone(memory_format=torch.contiguous_format) for value in part] for part in kept))


def _shared(net: Network) -> list[nn.Parameter]:
    return list(dict.fromkeys([*net.features.parameters(), *net.operator.parameters()]))


def _without_norms(net: Network) -> list[nn.Parameter]:
    norms = [part for part in net.modules() if isinstance(part, _NormBase | nn.LayerNorm | nn.GroupNorm)]
    left_out = {parameter for part in norms for parameter in part.parameters()}
    return [parameter for parameter in _shared(net) if parameter not in left_out]
