"""Encoder Based Lifelong Learning (E5): the code term (E4) on an encoder kept for each old task (E2), with variants."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import final

import torch
from torch import Tensor

from ebll.autoencoder import AutoencoderFit, Encoder, check_code_size, encoder_of, fit_autoencoder, stack_encoders
from ebll.data import Task
from ebll.errors import InputError
from ebll.losses import class_loss, code_distance
from ebll.methods.base import Batch, Memory, Method, Targets, Term, each_task, per_old_task, record
from ebll.methods.lwf import distill_term, old_soft_targets
from ebll.networks import Network, frozen
from ebll.seeds import derive_seed, generator
from ebll.settings import AutoencoderSettings, MethodSettings, as_in

__all__ = ["EBLL", "CodeMethod", "CodeOnly", "EBLLSeparate", "EncoderMemory", "code_term", "fit_to_task"]


@dataclass(frozen=True)
class EncoderMemory(Memory):
    """The encoder of every old task, in the order learned; the decoders are not needed any more."""

    encoders: tuple[Encoder, ...]
    newest: Mapping[str, float]  #: how the newest autoencoder did, before its decoder was dropped
    codes: Encoder = field(init=False, repr=False)  #: of all old tasks side by side: (batch, sum of the code sizes)

    def __post_init__(self):
        object.__setattr__(self, "codes", stack_encoders(self.encoders))

    def encoder(self, task: int) -> Encoder | None:
        """The encoder of one old task."""
        return self.encoders[task] if task < len(self.encoders) else None

    def report(self) -> dict[str, float]:
        """E2a and E1 at the end of the newest fit, and accuracy with and without the autoencoder."""
        return dict(self.newest)

    def tensors(self) -> dict[str, Tensor]:
        """weight.t (code, features) and bias.t (code,) of each old task's encoder."""
        return {f"{name}.{t}": value for t, e in enumerate(self.encoders) for name, value in e.state_dict().items()}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor], report: Mapping[str, float]) -> EncoderMemory:
        """The encoders again."""
        pairs = [(tensors[f"weight.{t}"], tensors[f"bias.{t}"]) for t in range(len(tensors) // 2)]
        return cls(tuple(encoder_of(weight, bias) for weight, bias in pairs), dict(report))


def fit_to_task(net: Network, t: int, task: Task, settings: AutoencoderSettings, seed: int) -> AutoencoderFit:
    """E2 on a task's own data with F, T and T_t frozen."""
    settings, train = settings.of_task(t), task.train
    if 0 < settings.images < len(train):
        some = torch.randperm(len(train), generator=generator(seed, "autoencoder images", t))[: settings.images]
        train = train.take(some.sort().values.to(train.labels.device))
    features = record(net, train.inputs, features=lambda f: f)["features"]
    held_out = record(net, task.validation.inputs, features=lambda f: f)["features"], task.validation.labels
    with frozen(net):
        return fit_autoencoder(
            features,
            train.labels,
            lambda reconstructed: net.heads[t](net.operator(reconstructed)),
            settings,
            seed=derive_seed(seed, "autoencoder", t),
            held_out=held_out,
        )


def code_term(batch: Batch, features: Tensor, memory: EncoderMemory, alpha: float | tuple[float, ...]) -> Term:
    """E4 for each old task, one raw value an old task, weighted by its alpha.

    features  (batch, feature_size)  F(x) of the new inputs, carries gradient
    """
    sizes = [encoder.out_features for encoder in memory.encoders]
    distances = each_task(code_distance, (memory.codes(features), batch.targets["codes"]), sizes)
    if not isinstance(alpha, tuple):
        return Term(distances, alpha)  # one weight for all
    weights = per_old_task(alpha, len(sizes), "alpha")
    # `new_full` copies nothing to a GPU.
    return Term(distances, torch.stack([distances.new_full((), weight) for weight in weights]).view_as(distances))


@dataclass(frozen=True)
class CodeMethod(Method):
    """E1 of the new task + sum over the old tasks of alpha_t * E4: what the three EBLL methods share."""

    alpha: float | tuple[float, ...] = as_in(MethodSettings, "alpha", per_task=True)
    autoencoder: AutoencoderSettings = field(default_factory=AutoencoderSettings)

    def check(self, net: Network, tasks: int) -> None:
        """A smaller code than features, and an alpha for each old task."""
        settings = self.autoencoder
        if not isinstance(settings, AutoencoderSettings):
            raise InputError(
                f"autoencoder takes AutoencoderSettings(code_size=..., ...); got {type(settings).__name__}."
            )
        if tasks > 1:
            for t in range(tasks):
                check_code_size(net.feature_size, settings.of_task(t).code_size)
            per_old_task(self.alpha, tasks - 1, "alpha")

    def record_targets(self, net: Network, t: int, inputs: Tensor, memory: EncoderMemory | None) -> Targets:
        """codes: (n, sum of the code sizes)."""
        return {} if memory is None else record(net, inputs, codes=memory.codes)

    def loss_terms(self, net: Network, batches: Sequence[Batch], memory: EncoderMemory | None) -> dict[str, Term]:
        """task: E1; code: E4, one value an old task."""
        (batch,) = batches
        features = net.features(batch.inputs)
        terms = {"task": Term(class_loss(net.heads[batch.task](net.operator(features)), batch.labels))}
        if memory is not None:
            terms["code"] = code_term(batch, features, memory, self.alpha)
        return terms

    def consolidate(self, net: Network, t: int, task: Task, memory: EncoderMemory | None, seed: int) -> EncoderMemory:
        """Fit this task's autoencoder (E2) and keep its encoder."""
        return self.keep(fit_to_task(net, t, task, self.autoencoder, seed), memory)

    def keep(self, fit: AutoencoderFit, memory: EncoderMemory | None = None) -> EncoderMemory:
        """The memory with the encoder of a fit; the decoder is dropped."""
        encoder = stack_encoders([fit.autoencoder.encode])  # a copy without the gradients of the fit
        newest = {
            "reconstruction": fit.reconstruction[-1],
            "task_loss": fit.task_loss[-1],
            "accuracy_direct": fit.accuracy_direct,
            "accuracy_reconstructed": fit.accuracy_reconstructed,
        }
        return EncoderMemory((*(memory.encoders if memory else ()), encoder), newest)

    @property
    def memory_key(self) -> Hashable:
        """The first task's autoencoder, whatever the method does with its code."""
        if type(self).__module__ != __name__:  # a reader's subclass may keep something else
            return super().memory_key
        return CodeMethod, self.autoencoder.of_task(0)


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

    temperature: float = as_in(MethodSettings, "temperature")
    distill_weight: float = as_in(MethodSettings, "distill_weight")

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


@final
@dataclass(frozen=True)
class CodeOnly(CodeMethod):
    """E1 of the new task + sum over the old tasks of alpha_t * E4, with T shared.

    F is held where the codes are, but nothing holds T, which the old heads need too.
    """

    name = "code-only"
    label = "Code term alone"


@final
@dataclass(frozen=True)
class EBLLSeparate(CodeMethod):
    """E1 of the new task + sum over the old tasks of alpha_t * E4, with T empty and T_t all layers above F.

    The old tasks' operators and heads get no gradient from the new task and stay as they are (EBLL section 3.3.2). A
    new task's operator begins as a copy of the newest one.
    """

    name = "ebll-separate"
    label = "EBLL, separate operators"

    def prepare(self, net: Network) -> None:
        """Give the first head an operator of its own."""
        net.separate_operators()
