"""Exercises on a whole network: the loss of replay (E1), how much each parameter matters (E7), and how firmly (E6)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from ebll.course.exercise import Wrong, exercise, normal, tensors
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
        "unsquared": [mean(torch.clone, weight) for weight in (best, one, -best)],
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
