"""Encoder Based Lifelong Learning with a shared task operator, the paper's main method (E5)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from torch import Tensor

from ebll.losses import class_loss
from ebll.methods.base import Batch, Targets, Term, record
from ebll.methods.codes import CodeMethod, EncoderMemory, code_term
from ebll.methods.lwf import LwF, distill_term, old_soft_targets
from ebll.networks import Network
from ebll.settings import as_in

__all__ = ["EBLL"]


@final
@dataclass(frozen=True)
class EBLL(CodeMethod):
    r"""E5: E1 of the new task + distill_weight * sum of E3 + sum over the old tasks of alpha_t * E4.

    $\mathcal{R} = \ell(T_\mathcal{T} T F) + \lambda_o \sum_{t<\mathcal{T}} \ell_{dist}(T_t T F, T_t^* T^* F^*)
    + \sum_{t<\mathcal{T}} \frac{\alpha_t}{2}\|\sigma(W_{enc,t} F) - \sigma(W_{enc,t} F^*)\|_2^2$,
    all on inputs of the new task (EBLL sections 3.3.3 and 3.4). Soft targets and codes are recorded once per task, for
    all old tasks, from the network as it stood before the task; after it, its own autoencoder is fitted.
    """

    name = "ebll"
    label = "EBLL"

    temperature: float = as_in(LwF, "temperature", 2.0)
    distill_weight: float = as_in(LwF, "distill_weight", 1.0)

    def record_targets(self, net: Network, t: int, inputs: Tensor, memory: EncoderMemory | None) -> Targets:
        """soft_targets: (n, sum of the old heads' classes); codes: (n, sum of the code sizes)."""
        if memory is None:
            return {}
        return record(
            net,
            inputs,
            soft_targets=lambda features: old_soft_targets(net, t, features, self.temperature),
            codes=memory.codes,
        )

    def loss_terms(self, net: Network, batches: Sequence[Batch], memory: EncoderMemory | None) -> dict[str, Term]:
        """task: E1; distill: E3; code: E4; the latter two with one value an old task."""
        (batch,) = batches
        features = net.features(batch.inputs)
        hidden = net.operator(features)
        terms = {"task": Term(class_loss(net.heads[batch.task](hidden), batch.labels))}
        if memory is not None:
            terms["distill"] = distill_term(net, batch, hidden, self.temperature, self.distill_weight)
            terms["code"] = code_term(batch, features, memory, self.alpha)
        return terms
