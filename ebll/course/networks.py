"""Exercises on a whole network: the loss of replay (E1), and how firmly its parameters may be held (E6, E8)."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from ebll.course.exercise import Wrong, exercise, normal
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


def _with_stored_images() -> list[tuple]:
    """One, two and three old tasks, with different numbers of stored images; labels of 0 and 1 suit every head."""
    cases, sizes = [], [(2, (2, 3), [1], 1.0), (5, (3, 2, 4), [2, 3], 0.5), (4, (2, 3, 2, 4), [3, 1, 2], 2.0)]
    for count, heads, stored, weight in sizes:
        net = small_network(count, 3, heads).eval()  # in train mode, dropout would draw
        images = [2 * normal(i, n, 3) for i, n in enumerate([*stored, count])]
        labels = [torch.arange(len(one)) % 2 for one in images]
        cases.append((net, len(stored), images[-1], labels[-1], images[:-1], labels[:-1], weight))
    return cases


def _replay(
    net: Network, t: int, inputs: Tensor, labels: Tensor, old_inputs: list[Tensor], old_labels: list[Tensor],
    weight: float,
) -> Tensor:  # fmt: skip
    old = [cross_entropy(net(x, i), y) for i, (x, y) in enumerate(zip(old_inputs, old_labels, strict=True))]
    return cross_entropy(net(inputs, t), labels) + weight * sum(old)


@exercise("E1", _replay, _with_stored_images, gradient=("inputs", "old_inputs"))
def replay_loss(
    net: Network, t: int, x: Tensor, y: Tensor, old_x: list[Tensor], old_y: list[Tensor], weight: float
) -> Wrong:
    """The loss of the new task's batch, plus weight times the loss of each old task's stored images, summed."""
    new, whole = cross_entropy(net(x, t), y), partial(cross_entropy, reduction="sum")
    pairs, n = list(zip(old_x, old_y, strict=True)), sum(map(len, old_y))
    old = [cross_entropy(net(x, i), y) for i, (x, y) in enumerate(pairs)]
    sums = [whole(net(x, i), y) for i, (x, y) in enumerate(pairs)]
    twice = [cross_entropy(net(x, i).softmax(dim=1), y) for i, (x, y) in enumerate([*pairs, (x, y)])]
    return {
        "no-replay": [new],
        "no-weight": [new + sum(old)],
        "mean": [new + weight * sum(old) / t],
        "pooled": [new + weight * sum(sums) / n, (whole(net(x, t), y) + weight * sum(sums)) / (n + len(y))],
        "sum-images": [whole(net(x, t), y) + weight * sum(sums), new + weight * sum(sums)],
        "new-head": [new + weight * sum(cross_entropy(net(x, t), y) for x, y in pairs)],
        "softmax-twice": [twice[-1] + weight * sum(twice[:-1])],
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


def _layer(weight: Tensor, bias: Tensor, inputs: Tensor, gradients: Tensor) -> Tensor:
    moved = nn.functional.linear(inputs, weight, bias)
    return 0.5 * (gradients @ moved.T).square().mean()


def _moved_layers() -> list[tuple]:
    """As many outputs as inputs with the bias's, so that A and G could change places; the first is for paper."""
    small = ([[1.0], [0.0]], [1.0, 2.0], [[1.0], [3.0]], [[1.0, 0.0], [1.0, 2.0]])
    drawn = [(normal(0, k + 1, k), normal(1, k + 1), normal(2, n, k), normal(3, n, k + 1)) for n, k in ((5, 3), (4, 2))]
    return [tuple(map(torch.tensor, small)), *drawn]


@exercise("E8", _layer, _moved_layers, gradient=("weight", "bias"))
def layer_penalty(weight: Tensor, bias: Tensor, inputs: Tensor, gradients: Tensor) -> Wrong:
    """Half the trace of G dW A dW^T, with the changes of weight and bias side by side in dW."""
    right, n = _layer(weight, bias, inputs, gradients), len(inputs)
    moved, read = torch.cat([weight, bias[:, None]], dim=1), torch.cat([inputs, torch.ones(n, 1)], dim=1)
    a, g = read.T @ read / n, gradients.T @ gradients / n
    return {
        "half": [2 * right],
        "bias": [_layer(weight, 0 * bias, inputs, gradients)],
        "swapped": [0.5 * (a @ moved @ g * moved).sum()],
        "sum": [n**2 * right, n * right],
        "no-gradients": [0.5 * (moved @ a * moved).sum()],
        "no-inputs": [0.5 * (g @ moved * moved).sum()],
        "diagonal": [0.5 * (g.diagonal()[:, None] * moved.square() * a.diagonal()).sum()],
        "per-sample": [0.5 * (gradients * (read @ moved.T)).sum(dim=1).square().mean()],
    }
