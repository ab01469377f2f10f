"""Exercises on distillation: softened answers (E3a), the term (E3), what is recorded of an old network."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import torch
from torch import Tensor, nn

from ebll import losses
from ebll.course.exercise import HINTS, Wrong, exercise, fail, normal, tensor
from ebll.course.networks import small_network
from ebll.networks import Network, frozen
from ebll.seeds import seeded

NOW, BEFORE = torch.tensor([[[2.0, 0, -2], [0, 1, 1]], [[0, 2, 0], [1, 0, 3]]], dtype=torch.float32)


def _softened(z: Tensor, theta: float) -> Wrong:
    """Mistakes in E3a, from the logits (n, classes)."""
    plain, soft = torch.softmax(z, dim=1), torch.softmax(z / theta, dim=1)
    power = plain ** (1 / theta)
    return {
        "sharpened": [torch.softmax(z * theta, dim=1)],
        "plain": [plain],
        "over-batch": [*(torch.softmax(a, dim=0) for a in (z / theta, z, z * theta)), power / power.sum(dim=0)],
        "denominator": [power, torch.exp(z / theta)],
        "logarithms": [soft.log(), plain.log()],
        "logits": [z / theta, z, z * theta],
        "outside": [plain / theta, soft / theta, plain * theta, soft * theta, soft * theta**2],
        "softmax-twice": [torch.softmax(once, dim=1) for once in (plain / theta, soft, power)],
    }


LARGE = torch.tensor([[3000.0, 2880, 1500], [-3000, -2880, -1500]])  # exp is infinite, or a probability 0


@exercise("E3a", losses.soften, lambda: [(NOW, 2.0), (normal(0, 4, 5), 3.5), (LARGE, 30.0)], read=tensor)
def soften(z: Tensor, theta: float) -> Wrong:
    """Turn logits (batch, classes) into probabilities, softened by the temperature."""
    powers, probabilities = torch.exp(z / theta), torch.softmax(z, dim=1) ** (1 / theta)
    return _softened(z, theta) | {
        "out-of-range": [rows / rows.sum(dim=1, keepdim=True) for rows in (powers, probabilities)]
    }


def _answers() -> list[tuple]:
    cases = [(NOW, BEFORE, 2.0), (*2 * normal(0, 2, 4, 6), 3.5), (*2 * normal(0, 2, 7, 3), 1.5)]
    return [(now, losses.soften(before, theta), theta) for now, before, theta in cases]


@exercise("E3", losses.distillation, _answers, gradient=("logits_now",))
def distillation(z: Tensor, p: Tensor, theta: float) -> Wrong:
    """The cross-entropy between the soft targets and the new logits, softened by the same temperature."""
    e3, (rows, classes) = losses.distillation, z.shape
    right, cold = e3(z, p, theta), e3(z, p, 1.0)
    soft, plain = torch.softmax(z / theta, dim=1), torch.softmax(z, dim=1)
    entropy, errors = -(p * p.log()).sum(dim=1).mean(), (soft - p).square()
    divergence = right - entropy
    return {
        "batch-sum": [right * rows, divergence * rows],
        "over-classes": [right / classes],
        "sharpened": [e3(z, p, 1 / theta)],
        "softmax-twice": [e3(once, p, second) for once in (soft, plain) for second in (1.0, theta)],
        "over-batch": [-(p * torch.log_softmax(z / theta, dim=0)).sum(dim=1).mean()],
        "sign": [-right, -right * rows, -right / classes, -cold],
        "no-temperature": [cold, cold * rows, cold / classes, cold - entropy],
        "temperature-squared": [right * theta] + [e * theta**2 for e in (right, divergence, divergence / classes)],
        "divergence": [divergence],
        "divergence-mean": [divergence / classes],
        "swapped": [-(now * p.log()).sum(dim=1).mean() for now in (soft, plain)],
        "squared-error": [errors.sum(dim=1).mean(), errors.mean(), errors.sum(dim=1).mean() / 2],
    }


def _logits(net: Network, inputs: Tensor, t: int = 0) -> Tensor:
    with frozen(net), torch.no_grad():
        return net(inputs, t)


def _recorded(net: Network, inputs: Tensor, t: int, temperature: float) -> Tensor:
    return losses.soften(_logits(net, inputs, t), temperature)


def _learned() -> list[tuple]:
    """Networks in train mode that have learned two or three tasks, one of them with a head that is frozen."""
    nets = [small_network(3, 2, (2, 3)), small_network(4, 4, (3, 2)), small_network(5, 3, (2, 4, 3))]
    nets[0].heads[1].requires_grad_(False)
    return [(nets[0], normal(0, 3, 2), 0, 2.0), (nets[1], normal(0, 7, 4), 0, 3.0), (nets[2], normal(0, 5, 3), 1, 1.5)]


@exercise("E3a", _recorded, _learned, read=tensor, constant=True)
def recorded_targets(net: Network, inputs: Tensor, t: int, theta: float) -> Wrong:
    """The softened answers of head t to the inputs, from the network as it is, without dropout and gradient."""
    others = [_recorded(net, inputs, head, theta) for head in (-1, t + 1, t - 1, 0)]
    return _softened(_logits(net, inputs, t), theta) | {"other-head": others}


def _side_by_side(nets: list[Network], inputs: Tensor, temperature: float) -> Tensor:
    return torch.cat([_recorded(net, inputs, i, temperature) for i, net in enumerate(nets)], dim=1)


def _checkpoints() -> list[tuple]:
    """Networks just after one task to three, in eval mode."""
    heads, cases = (2, 3, 4), []
    for count, theta in ((2, 2.0), (3, 1.5), (1, 3.0)):
        nets = [small_network(i, 3, heads[: i + 1]).eval() for i in range(count)]
        cases.append((nets, normal(count, 3 + count, 3), theta))
    return cases


@exercise("E3a", _side_by_side, _checkpoints, read=tensor, constant=True)
def original_targets(nets: list[Network], inputs: Tensor, theta: float) -> Wrong:
    """The softened answers of each old head, from the network just after its task, side by side."""
    logits = torch.cat([_logits(net, inputs, i) for i, net in enumerate(nets)], dim=1)
    newest = [_logits(nets[-1], inputs, i) for i in range(len(nets))]
    return {
        "newest-teacher": [torch.cat([losses.soften(one, theta) for one in newest], dim=1)],
        "own-head": [torch.cat([_recorded(net, inputs, 0, theta) for net in nets], dim=1)],
        "across-heads": [losses.soften(logits, theta), torch.softmax(logits, dim=1)],
        "plain": [_side_by_side(nets, inputs, 1.0)],
        "sharpened": [_side_by_side(nets, inputs, 1 / theta)],
        "logits": [logits, logits / theta],
    }


def _cut(stored: Tensor, size: int, top: Tensor, left: Tensor) -> Tensor:
    corners = zip(stored, top.tolist(), left.tolist(), strict=True)
    return torch.stack([image[:, y : y + size, x : x + size] for image, y, x in corners])


def _asked(teacher: Network, stored: Tensor, top: Tensor, left: Tensor, size: int, temperature: float) -> Tensor:
    return losses.soften(_logits(teacher, _cut(stored, size, top, left)), temperature)


def _stored() -> list[tuple]:
    def case(seed: int, classes: int, side: int, theta: float, top: list[int], left: list[int]) -> tuple:
        with seeded(seed, "checks"), torch.no_grad():  # pooled, so it takes images of any size
            parts = nn.Conv2d(3, 5, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Dropout(0.4)
            teacher = Network(nn.Sequential(*parts), nn.Identity(), (3, 4, 4))
            teacher.add_head(classes)
            teacher.heads[0].weight.mul_(8)
        return teacher.train(), normal(seed, len(top), 3, side, side), torch.tensor(top), torch.tensor(left), 4, theta

    return [
        case(0, 2, 7, 2.0, [0, 3], [1, 0]),
        case(1, 3, 8, 3.0, [4, 0, 1], [0, 3, 4]),
        case(2, 5, 10, 1.5, [6, 5, 0, 1], [0, 6, 1, 2]),
    ]


@exercise("E3a", _asked, _stored, read=tensor, constant=True)
def window_targets(teacher: Network, stored: Tensor, top: Tensor, left: Tensor, size: int, theta: float) -> Wrong:
    """Cut each image's crop, ask the frozen teacher about these crops, and soften what head 0 says."""
    cut, middle = partial(_cut, stored, size), torch.full_like(top, (stored.shape[-1] - size) // 2)
    inputs = {
        "central": [cut(middle, middle), cut(0 * top, 0 * left)],
        "whole-image": [stored],
        "swapped": [cut(left, top)],
    }
    wrong = {name: [losses.soften(_logits(teacher, part), theta) for part in parts] for name, parts in inputs.items()}
    return _softened(_logits(teacher, cut(top, left)), theta) | wrong


_CURVES = {"teacher not frozen": "C", "mean squared error": "A", "targets in train mode": "D", "late warm-up": "B"}


def curve_of(bug: str) -> str:
    """Name of the curve in the exercise "find the bug" of an implementation of LwF that does one thing otherwise."""
    return _CURVES[bug]


def find_the_bug(answer: Mapping[str, str]) -> None:
    """Check which of four implementations of LwF is which, by their curves alone.

    answer  name of a curve -> what that implementation does otherwise; all four
    raises  `CheckFailed` with a hint on the first that is wrong
    """
    section = "find_the_bug (E3)"
    if not isinstance(answer, Mapping) or sorted(map(str, answer)) != sorted(_CURVES.values()):
        fail(section, "unwritten")
    for curve, bug in sorted(answer.items()):
        if bug not in list(_CURVES):
            fail(section, "no-such-bug", curve=curve, came=bug, names="; ".join(_CURVES))
        if curve_of(bug) != curve:
            fail(section, bug, curve=curve)
    print("find_the_bug: correct.", HINTS[section]["correct"])
