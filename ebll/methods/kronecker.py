"""Quadratic penalties on layers (E8), one thing changed a rung: input moments (G = 1), K-FAC (A and G).

L2, the rung below (A = G = 1), and EWC, which has no products of two parameters, are in `ebll.methods.ewc`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from ebll.data import Task
from ebll.fisher import kronecker_factors, linear_layers, traced, weight_matrix
from ebll.losses import kronecker_penalty, moment_root
from ebll.methods.base import Memory, drawn_samples
from ebll.methods.ewc import WeightPenalty
from ebll.networks import Network
from ebll.seeds import derive_seed
from ebll.settings import MethodSettings, as_in

__all__ = ["KFAC", "InputMoments", "KroneckerMemory"]


@dataclass(frozen=True)
class KroneckerMemory(Memory):
    """Of each layer W* R after the newest task, all that E8 needs of the old weights, R, and G where measured.

    A = R R^T is a sum over the tasks, cut to `rank` after each, and G a mean: as if all tasks had one A.
    """

    before: list[Tensor]
    roots: list[Tensor]
    outputs: list[Tensor]


@dataclass(frozen=True)
class _LayerPenalty(WeightPenalty):
    """E8 on each linear and convolutional layer of F and T, towards the newest weights; other layers are not held."""

    measures_outputs: ClassVar[bool]  #: G; else it is the identity

    def check(self, net: Network, tasks: int) -> None:
        """Refuse a network without a layer that E8 is written for, or that uses one otherwise: one input is tried."""
        layers = linear_layers(net.features, net.operator)
        traced(net, lambda x: net.operator(net.features(x)), layers, layers[0].weight.new_zeros(1, *net.input_shape))

    def penalty(self, net: Network, memory: KroneckerMemory) -> Tensor:
        """E8, summed over the layers."""
        layers = linear_layers(net.features, net.operator)
        outputs = memory.outputs or [None] * len(layers)
        moved = [weight_matrix(*of) - before for *of, before in zip(layers, memory.roots, memory.before, strict=True)]
        return torch.stack([kronecker_penalty(*pair) for pair in zip(moved, outputs, strict=True)]).sum()

    def consolidate(self, net: Network, t: int, task: Task, memory: KroneckerMemory | None, seed: int) -> Memory:
        """Measure the factors on this task's data and let the penalty begin at the weights as they are now."""
        layers, samples = linear_layers(net.features, net.operator), drawn_samples(task, self.fisher_samples, seed, t)
        given = (samples.inputs, samples.labels, "exact", derive_seed(seed, "fisher", t))
        moments, outputs = kronecker_factors(net, lambda x: net(x, t), layers, *given)
        outputs = outputs if self.measures_outputs else []
        if memory is not None:
            moments = [new + root @ root.T for new, root in zip(moments, memory.roots, strict=True)]
            outputs = [(new + t * old) / (t + 1) for new, old in zip(outputs, memory.outputs, strict=True)]
        roots = [moment_root(moment, self.rank) for moment in moments]
        before = [weight_matrix(*of).detach() for of in zip(layers, roots, strict=True)]
        return KroneckerMemory(before, roots, outputs)


@final
@dataclass(frozen=True)
class InputMoments(_LayerPenalty):
    """G = 1: keep each layer's answers to old inputs or patches; softly as OWM (Zeng 2019) and GPM (Saha 2021) do."""

    name, label, weighs_only, measures_outputs = "input-moments", "Input moments", "moments_strength", False
    moments_strength: float = as_in(MethodSettings, "moments_strength")
    rank: int = as_in(MethodSettings, "rank")
    fisher_samples: int = as_in(MethodSettings, "fisher_samples")


@final
@dataclass(frozen=True)
class KFAC(_LayerPenalty):
    """A and G measured: a layer's Fisher information as a Kronecker product (Ritter et al. 2018)."""

    name, label, weighs_only, measures_outputs = "kfac", "K-FAC", "kfac_strength", True
    kfac_strength: float = as_in(MethodSettings, "kfac_strength")
    rank: int = as_in(MethodSettings, "rank")
    fisher_samples: int = as_in(MethodSettings, "fisher_samples")
