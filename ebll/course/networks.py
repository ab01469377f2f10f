"""Exercises on a network's parameters: which may learn (E1), how much each matters (E7), how firmly to hold it (E6)."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from ebll.course.exercise import Unreadable, Wrong, exercise, normal, tensors
from ebll.networks import Network
from ebll.seeds import seeded


def small_network(seed: int, size: int, heads: tuple[int, ...]) -> Network:
    """Inputs (size,) - 6 features - 5 hidden, dropout after both; in train mode, as a network is while it learns."""
    with seeded(seed, "checks"), torch.no_grad():
        features = nn.Sequential(nn.Linear(size, 6), nn.ReLU(), nn.Dropout(0.4))
        net = Network(features, nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Dropout(0.4)), (size,))
        for classes in heads:
            net.add_head(classes)
            net.heads[-1].weight.mul_(4)  # else all answers are nearly the same
    return net.train()


def _two_or_three_heads() -> list[tuple]:
    cases = (2, (2, 3), 1), (3, (2, 3, 4), 1), (3, (3, 2, 4), 2)
    return [(small_network(seed, size, heads), t) for seed, (size, heads, t) in enumerate(cases)]


def _names(value: Any, arguments: Sequence) -> list[str]:
    """Sorted names of the parameters in a list."""
    if isinstance(value, nn.Module | Tensor | str | dict) or not isinstance(value, Iterable):
        raise Unreadable("type", {"wanted": "a list of parameters", "came": type(value).__name__})
    value, known = list(value), {id(parameter): name for name, parameter in arguments[0].named_parameters()}
    others = [type(part).__name__ for part in value if not isinstance(part, Tensor)]
    if others:
        raise Unreadable("type", {"wanted": "a list of parameters", "came": f"list with a {others[0]}"})
    return sorted(known.get(id(part), "(not of this net)") for part in value)


def _parameters(parts: Iterable[nn.Module]) -> list[nn.Parameter]:
    return [parameter for part in parts for parameter in part.parameters()]


def _new_head(net: Network, t: int) -> list[nn.Parameter]:
    return _parameters([net.heads[t]])


@exercise("E1", _new_head, _two_or_three_heads, read=_names)
def new_head_only(net: Network, t: int) -> Wrong:
    """The list of parameters that feature extraction may train while task t is learned."""
    f, operator, head, heads = net.features, net.operator, net.heads[t], net.heads
    others = [other for other in heads if other is not head]
    shared = [(f, operator, head), (f, head), (operator, head), (f, operator), (f,), (operator,)]
    shared += [(operator, heads), (f, heads), (f, operator, *others)]
    parts = {
        "everything": [[net]],
        "all-heads": [[heads], heads[: t + 1], heads[t:]],
        "old-head": [[heads[t - 1]], [heads[0]], [heads[-1]], heads[:t], others],
        "shared-parts": shared,
        "copies": [[copy.deepcopy(head)]],
    }
    wrong = {name: [_parameters(one) for one in several] for name, several in parts.items()}
    return wrong | {"no-bias": [[head.weight]]}


def _nets() -> list[tuple]:
    """One that says 3/4 and 1/4 to every input, then others; of the last one only two parameters are asked for."""
    cases = []
    for rows, sizes, only in ((2, (1, 2), 2), (5, (3, 4, 3), 4), (7, (4, 5), 2), (4, (2, 3, 4), 2)):
        with seeded(rows, "checks"), torch.no_grad():
            layers = [part for a, b in pairwise(sizes) for part in (nn.Linear(a, b), nn.Tanh())][:-1]
            layers[-1].weight.mul_(3)
        net = nn.Sequential(*layers).eval()
        cases.append((net, list(net.parameters())[:only], 2 * normal(0, rows, sizes[0])))
    with torch.no_grad():
        flat, inputs = cases[0][0][0], cases[0][2]
        flat.weight.zero_()
        flat.bias.copy_(torch.tensor([3.0, 1.0]).log())
        inputs.copy_(torch.tensor([[1.0], [2.0]]))
    return cases


def _gradients(values: Tensor, parameters: list[Tensor]) -> list[Tensor]:
    """Gradients of values (n, classes): for each parameter (n, classes, *its shape)."""
    found = [torch.autograd.grad(value, parameters, retain_graph=True) for value in values.flatten()]
    return [torch.stack(parts).unflatten(0, values.shape) for parts in zip(*found, strict=True)]


def _fisher(net: nn.Module, parameters: list[Tensor], inputs: Tensor) -> list[Tensor]:
    log_p = torch.log_softmax(net(inputs), dim=1)
    p = log_p.detach().exp()
    return [torch.einsum("nc,nc...->...", p, g.square()) / len(inputs) for g in _gradients(log_p, parameters)]


@exercise("E7", _fisher, _nets, read=tensors)
def fisher_diagonal(net: nn.Module, parameters: list[Tensor], inputs: Tensor) -> Wrong:
    """For each sample and class the squared gradient of log p, weighted by p, then the mean over the samples."""
    logits = net(inputs)
    (n, c), p = logits.shape, torch.softmax(logits, dim=1).detach()
    one, best = torch.ones_like(p), (p == p.amax(dim=1, keepdim=True)).to(p.dtype)
    of_logits, of_log_p = _gradients(logits, parameters), _gradients(torch.log_softmax(logits, dim=1), parameters)

    def mean(value: Callable, weight: Tensor = p, scale: float = 1.0, of: list[Tensor] = of_log_p) -> list[Tensor]:
        """Sum over the classes of weight times value(gradient), mean over the samples, scaled."""
        return [scale * torch.einsum("nc,nc...->...", weight, value(g)) / n for g in of]

    def mixed(weight: Tensor, power: int, outside: Tensor | None = None) -> list[Tensor]:
        """Mean over the samples of weight times gradient, then squared; times n**power."""
        means = [torch.einsum("nc,nc...->c...", weight, g) / n for g in of_log_p]
        outside = torch.ones(c) if outside is None else outside
        return [n**power * torch.einsum("c,c...->...", outside, g.square()) for g in means]

    return {
        "whole-batch": [
            *(mixed(one, power, p.mean(dim=0)) for power in range(4)),
            *(mixed(weight, power) for weight in (p, one) for power in (0, 2)),
            *([n**power * g.square() for g in mean(torch.clone, best)] for power in range(3)),
        ],
        "sum": [mean(torch.square, scale=n)],
        "unweighted": [mean(torch.square, one, scale) for scale in (1, 1 / c, n)],
        "likeliest": [mean(torch.square, best, scale) for scale in (1, n)],
        "zero": [mean(torch.clone)],
        "unsquared": [mean(torch.clone, weight) for weight in (best, one, -best)],
        "weight-squared": [mean(torch.square, p.square())],
        "divided-twice": [mean(torch.square, scale=scale) for scale in (1 / n, 1 / c)],
        "half": [mean(torch.square, scale=0.5)],
        "piled-up": [
            mean(lambda g: g.flatten(0, 1).cumsum(dim=0).unflatten(0, (n, c)).square()),
            mean(lambda g: g.cumsum(dim=1).square()),
        ],
        # The gradient of p is p times that of log p.
        "not-of-log": [mean(torch.square, p**3), mean(torch.square, of=of_logits)],
    }


def _largest_strength(fisher: list[Tensor], learning_rate: float, momentum: float) -> float:
    return 2 * (1 + momentum) / (learning_rate * max(part.max().item() for part in fisher))


def _importances() -> list[tuple]:
    """The most important parameter stands in the first tensor, then in the last; then one tensor, without momentum."""
    small = [torch.tensor([1.0, 5.0]), torch.tensor([[2.0], [0.0]])], 0.1, 0.5
    late = [normal(0, 3, 4).square(), 9 * normal(1, 5, 2).square()]
    return [small, (late, 0.02, 0.9), ([normal(2, 9).square()], 0.3, 0.0)]


@exercise("E6", _largest_strength, _importances)
def largest_strength(fisher: list[Tensor], learning_rate: float, momentum: float) -> Wrong:
    """The largest strength at which no parameter overshoots ever further from its anchor."""
    right, values = _largest_strength(fisher, learning_rate, momentum), torch.cat([part.flatten() for part in fisher])
    others = [values.mean(), values.sum(), values.min() + 1e-9, values.norm(), fisher[0].max(), fisher[-1].max()]
    limit = right * values.max().item()
    return {
        "no-momentum": [right / (1 + momentum)],
        "momentum-lowers": [right * (1 - momentum) / (1 + momentum)],
        "monotone": [right / 2, right / 2 / (1 + momentum)],
        "importance": [limit / other.item() for other in others],
        "curvature": [limit, limit / (1 + momentum)],
        "penalty-half": [2 * right],
    }
