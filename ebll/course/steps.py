"""Exercises on what moves while a new task is learned: all weights, by EBLL's steps (E5), and the features (M10)."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ebll import losses, metrics
from ebll.autoencoder import Encoder
from ebll.course.exercise import Unreadable, Wrong, exercise, normal, number, tensors
from ebll.course.networks import small_network
from ebll.methods import EBLL, Batch
from ebll.methods.ebll import EncoderMemory
from ebll.networks import Network
from ebll.seeds import generator, seeded


def _trained(
    net: Network, encoder: Encoder, inputs: Tensor, labels: Tensor, alpha: float, distill_weight: float,
    temperature: float, learning_rate: float,
) -> list[Tensor]:  # fmt: skip
    """With the library's targets and terms."""
    method = EBLL(alpha=alpha, distill_weight=distill_weight, temperature=temperature)
    memory = EncoderMemory((encoder,), {})
    batches = [Batch(1, x, y, method.record_targets(net, 1, x, memory)) for x, y in zip(inputs, labels, strict=True)]
    optimizer = torch.optim.SGD(net.parameters(), lr=learning_rate)
    for batch in batches:
        terms = method.loss_terms(net, [batch], memory)
        optimizer.zero_grad()
        torch.stack([term.weighted() for term in terms.values()]).sum().backward()
        optimizer.step()
    return list(net.parameters())


def _learners() -> list[tuple]:
    """Networks that have learned a task, its encoder, five mini-batches of the next task, and weights."""
    weights = [(8.0, 2.0, 2.0, 0.3), (20.0, 3.0, 3.0, 0.3)]
    cases = []
    for seed, ((size, old, new), values) in enumerate(zip([(4, 4, 4), (3, 2, 3)], weights, strict=True)):
        net = small_network(seed, size, (old, new))
        for part in net.modules():
            if isinstance(part, nn.Dropout):
                part.p = 0.0  # a teacher in train mode is an exercise of its own
        with seeded(seed, "encoder"), torch.no_grad():
            encoder = Encoder(6, 3)
            encoder.weight.mul_(3)
        labels = torch.randint(new, (5, 8), generator=generator(seed, "labels"))
        cases.append((net, encoder, normal(seed, 5, 8, size), labels, *values))
    return cases


@exercise("E5", _trained, _learners, read=tensors, changes=("net", "encoder"))
def ebll_training(
    net: Network, encoder: Encoder, inputs: Tensor, labels: Tensor, alpha: float, weight: float, theta: float,
    rate: float,
) -> Wrong:  # fmt: skip
    """Take one plain SGD step on E5 for each mini-batch, and return the list of the network's weights."""

    def trained(
        a: float = alpha, w: float = weight, learns: str = "net", steps: int | None = None, piled: bool = False
    ) -> list[Tensor]:
        """The weights after steps with other weights of E4 and E3, or of other parameters (names that begin so)."""
        pair = copy.deepcopy(nn.ModuleDict({"net": net, "encoder": encoder}))
        now, code, before = pair["net"], pair["encoder"], copy.deepcopy(net)
        learning = [p for name, p in pair.named_parameters() if name.startswith(tuple(learns.split()))]
        optimizer = torch.optim.SGD(learning, lr=rate)
        for x, y in zip(inputs[:steps], labels, strict=False):
            if not piled:
                optimizer.zero_grad()
            features = now.features(x)
            hidden = now.operator(features)
            with torch.no_grad():
                targets, code_before = losses.soften(before(x, 0), theta), code(before.features(x))
            e3, e4 = losses.distillation(now.heads[0](hidden), targets, theta), losses.code_distance
            (losses.class_loss(now.heads[1](hidden), y) + w * e3 + a * e4(code(features), code_before)).backward()
            optimizer.step()
        return list(now.parameters())

    return {
        "twice": [trained(a=2 * alpha)],
        "no-code": [trained(a=0)],
        "no-distillation": [trained(w=0)],
        "no-copy": [trained(a=0, w=0)],
        "encoder-learns": [trained(learns="net encoder")],
        "piled-up": [trained(piled=True)],
        "one-step": [trained(steps=1)],
    }


def _shift(now: Tensor, before: Tensor, weight: Tensor) -> list[float]:
    return list(metrics.feature_shift(now, before, weight))


def _moves() -> list[tuple]:
    small = torch.tensor([[7.0, 9.0], [5.0, -2.0]]), torch.ones(2, 2), torch.tensor([[3.0, 4.0]])
    return [small, *((*normal(k, 2, rows, size), 2 * normal(k, k, size)) for k, rows, size in ((2, 5, 4), (3, 7, 8)))]


def _two(value: Any, arguments: Sequence) -> list[Tensor]:
    try:
        across, along = value
    except (TypeError, ValueError):
        raise Unreadable("type", {"wanted": "a pair (across, along)", "came": type(value).__name__}) from None
    return [*number(across), *number(along)]


@exercise("M10", _shift, _moves, read=_two)
def feature_shift(now: Tensor, before: Tensor, weight: Tensor) -> Wrong:
    """The mean length of the movement's part within the span of the rows of `weight`, and of what is left of it."""
    move, (_, _, rows) = now - before, torch.linalg.svd(weight, full_matrices=False)
    seen, length = move @ rows.T @ rows, torch.linalg.vector_norm

    def split(across: Tensor) -> list[Tensor]:
        return [length(across, dim=1).mean(), length(move - across, dim=1).mean()]

    (across, along), whole = split(seen), length(move, dim=1).mean()
    squares = [part.square().sum(dim=1).mean() for part in (seen, move - seen)]
    unit = weight / length(weight, dim=1, keepdim=True)
    return {
        "not-orthonormal": [split(move @ basis.T @ basis) for basis in (weight, unit)],
        "in-code": [[length(move @ weight.T, dim=1).mean(), rest] for rest in (along, whole)],
        "everything": [split(move)],
        "difference": [[across, whole - across], [across, (whole**2 - across**2).abs().sqrt()]],
        "whole": [[across, whole]],
        "swapped": [[along, across]],
        "mean-first": [[length(part.mean(dim=0)) for part in (seen, move - seen)]],
        "squared": [squares, [part.sqrt() for part in squares]],
    }
