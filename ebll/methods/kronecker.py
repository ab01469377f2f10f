"""Quadratic penalties on layers (E8), one thing changed a rung: L2 (A = G = 1), input moments (G = 1), K-FAC.

EWC (`ebll.methods.ewc`) stands beside them: it keeps the importance of each parameter and no products of two.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from ebll.data import Task
from ebll.fisher import kronecker_factors, linear_layers, weight_matrix
from ebll.losses import kronecker_penalty, moment_root
from ebll.methods.base import Memory, drawn_samples
from ebll.methods.ewc import WeightPenalty
from ebll.networks import Network
from ebll.seeds import derive_seed
from ebll.settings import MethodSettings, as_in

__all__ = ["KFAC", "L2", "InputMoments", "KroneckerMemory"]


@dataclass(frozen=True)
class KroneckerMemory(Memory):
    """Of each layer W* R after the newest task, all that E8 needs of the old weights, and R and G where measured.

    A = R R^T is a sum over the tasks, cut to `rank` after each, and G a mean: as if all tasks had one A.
    """

    before: list[Tensor]
    roots: list[Tensor]
    outputs: list[Tensor]


@dataclass(frozen=True)
class _LayerPenalty(WeightPenalty):
    """E8 on each linear and convolutional layer of F and T, towards the newest weights; other layers are not held."""

    measures: ClassVar[tuple[bool, bool]] = (False, False)  #: A, G; what is not measured is the identity

    def check(self, net: Network, tasks: int) -> None:
        """Refuse a network without a layer that E8 is written for."""
        linear_layers(net.features, net.operator)

    def penalty(self, net: Network, memory: KroneckerMemory) -> Tensor:
        """E8, summed over the layers."""
        layers = linear_layers(net.features, net.operator)
        roots, outputs = (kept or [None] * len(layers) for kept in (memory.roots, memory.outputs))
        moved = [weight_matrix(*of) - before for *of, before in zip(layers, roots, memory.before, strict=True)]
        return torch.stack([kronecker_penalty(*pair) for pair in zip(moved, outputs, strict=True)]).sum()

    def consolidate(self, net: Network, t: int, task: Task, memory: KroneckerMemory | None, seed: int) -> Memory:
        """Measure the factors on this task's data and let the penalty begin at the weights as they are now."""
        layers, roots, outputs = linear_layers(net.features, net.operator), [], []
        if any(self.measures):
            samples, key = drawn_samples(task, self.fisher_samples, seed, t), derive_seed(seed, "fisher", t)
            given = (samples.inputs, samples.labels)
            moments, outputs = kronecker_factors(net, lambda x: net(x, t), layers, *given, seed=key)
            outputs = outputs if self.measures[1] else []
            if memory is not None:
                moments = [new + root @ root.T for new, root in zip(moments, memory.roots, strict=True)]
                outputs = [(new + t * old) / (t + 1) for new, old in zip(outputs, memory.outputs, strict=True)]
            roots = [moment_root(moment, self.rank) for moment in moments]
        before = [weight_matrix(*of).detach().clone() for of in zip(layers, roots or [None] * len(layers), strict=True)]
        return KroneckerMemory(before, roots, outputs)


@final
@dataclass(frozen=True)
class L2(_LayerPenalty):
    """A = G = 1: stay near the old weights (Li, Grandvalet and Davoine 2018)."""

    name, label, weighs_only = "l2", "L2", "l2_strength"
    l2_strength: float = as_in(MethodSettings, "l2_strength")


@final
@dataclass(frozen=True)
class InputMoments(_LayerPenalty):
    """G = 1: keep each layer's answers to old inputs; softly what OWM (Zeng 2019) and GPM (Saha 2021) enforce."""

    name, label, weighs_only, measures = "input-moments", "Input moments", "moments_strength", (True, False)
    moments_strength: float = as_in(MethodSettings, "moments_strength")
    rank: int = as_in(MethodSettings, "rank")
    fisher_samples: int = as_in(MethodSettings, "fisher_samples")


@final
@dataclass(frozen=True)
class KFAC(_LayerPenalty):
    """A and G measured: a layer's Fisher information as a Kronecker product (Ritter et al. 2018)."""

    name, label, weighs_only, measures = "kfac", "K-FAC", "kfac_strength", (True, True)
    kfac_strength: float = as_in(MethodSettings, "kfac_strength")
    rank: int = as_in(MethodSettings, "rank")
    fisher_samples: int = as_in(MethodSettings, "fisher_samples")
