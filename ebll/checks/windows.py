"""Exercise of notebook 08: soft targets that belong to the very pixels of windows that were cut just now."""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn

from ebll import losses
from ebll.checks.calls import Run
from ebll.checks.core import Exercise, Habit, Slip, check
from ebll.networks import Network, frozen
from ebll.seeds import generator, seeded

__all__ = ["window_targets"]


def window_targets(fn: Callable) -> None:
    """Check soft targets for freshly cut windows.

    fn       fn(teacher, stored, top, left, size, temperature) -> tensor; teacher an `ebll.Network` with one head
             and dropout, in train mode; stored (n, 3, side, side) the whole images; top and left
             (n,) int64, the upper left corner of each image's window; size pixels a side of a window
    wanted   (n, classes), E3a of the teacher's answers to those windows, in eval mode, without gradient
    source   docs/equations.md, E3a; `ebll.protocol`, where the inputs of a task are cut anew in each epoch
    """
    check(_WINDOWS, fn)


SIZE = 4  # pixels a side of a window


def _teacher(seed: int, classes: int) -> Network:
    """Convolution, normalisation, pooling and dropout: it takes windows of any size, and answers differ by place."""
    with seeded(seed, "checks"):
        convolution = nn.Conv2d(3, 5, 3)
        features = nn.Sequential(convolution, nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Dropout(0.4))
        net = Network(features, nn.Identity(), (3, SIZE, SIZE))
        net.add_head(classes)
        with torch.no_grad():
            net.heads[0].weight.mul_(8)
    return net.to(torch.float32).train()


def _cases() -> list[tuple]:
    def case(seed: int, classes: int, side: int, theta: float, top: list[int], left: list[int]) -> tuple:
        draw = generator(seed, "checks", "windows")
        stored = torch.randn(len(top), 3, side, side, generator=draw, dtype=torch.float32)
        return _teacher(seed, classes), stored, torch.tensor(top), torch.tensor(left), SIZE, theta

    return [
        case(0, 2, 7, 2.0, [0, 3], [1, 0]),
        case(1, 3, 8, 3.0, [4, 0, 1], [0, 3, 4]),
        case(2, 5, 10, 1.5, [6, 5, 0, 1], [0, 6, 1, 2]),
    ]


def _cut(stored: Tensor, top: Tensor, left: Tensor, size: int) -> Tensor:
    corners = zip(stored, top.tolist(), left.tolist(), strict=True)
    return torch.stack([image[:, y : y + size, x : x + size] for image, y, x in corners])


def _logits(teacher: Network, windows: Tensor) -> Tensor:
    with frozen(teacher), torch.no_grad():
        return teacher(windows, 0)


def _asked(teacher: Network, stored: Tensor, top: Tensor, left: Tensor, size: int, theta: float) -> Tensor:
    return losses.soften(_logits(teacher, _cut(stored, top, left, size)), theta)


def _central(teacher: Network, stored: Tensor, top: Tensor, left: Tensor, size: int, theta: float) -> Tensor:
    middle = torch.full_like(top, (stored.shape[-1] - size) // 2)
    return _asked(teacher, stored, middle, middle, size, theta)


def _corner(teacher: Network, stored: Tensor, top: Tensor, left: Tensor, size: int, theta: float) -> Tensor:
    return _asked(teacher, stored, 0 * top, 0 * left, size, theta)


def _one_for_all(teacher: Network, stored: Tensor, top: Tensor, left: Tensor, size: int, theta: float) -> Tensor:
    return _asked(teacher, stored, top[:1].expand_as(top), left[:1].expand_as(left), size, theta)


def _learning(teacher: Network, stored: Tensor, top: Tensor, left: Tensor, size: int, theta: float) -> Tensor:
    return losses.soften(teacher(_cut(stored, top, left, size), 0), theta).detach()


def _with_gradient(teacher: Network, stored: Tensor, top: Tensor, left: Tensor, size: int, theta: float) -> Tensor:
    return losses.soften(copy.deepcopy(teacher).eval()(_cut(stored, top, left, size), 0), theta)


def _left_in_eval(teacher: Network, stored: Tensor, top: Tensor, left: Tensor, size: int, theta: float) -> Tensor:
    return losses.soften(teacher.eval()(_cut(stored, top, left, size), 0), theta).detach()


def _drawn(run: Run) -> bool:
    """Whether a second call gives other values."""
    first, second = run.value, run.again()
    alike = isinstance(first, Tensor) and isinstance(second, Tensor) and first.shape == second.shape
    return alike and not torch.allclose(first.detach(), second.detach())


_WINDOWS = Exercise(
    name="window_targets",
    equation="E3a",
    takes=("teacher", "stored", "top", "left", "size", "temperature"),
    task="cut each image's window, ask the frozen teacher about these windows, and soften what head 0 says.",
    kind="tensor",
    right=_asked,
    cases=_cases,
    verified="E3a of the teacher's answers to the very windows, in eval mode and without gradient.",
    habits=(
        Habit(
            "two calls with the same windows differ: the teacher answers in train mode, so its dropout draws anew each "
            "time. Put it into eval mode while it is asked, and back afterwards; `ebll.networks.frozen` does both.",
            _learning,
            _drawn,
            early=True,
        ),
        Habit(
            "the values are right, but they still carry gradient. A target is a constant: ask the teacher without "
            "gradient, or its whole graph is kept in every step.",
            _with_gradient,
            lambda run: isinstance(run.value, Tensor) and run.value.requires_grad,
        ),
        Habit(
            "the values are right, but the teacher is left in another mode than it was found in. Use "
            "`ebll.networks.frozen`, which puts each of its modules back.",
            _left_in_eval,
            lambda run: [m.training for m in run.arguments[0].modules()] != [m.training for m in run.case[0].modules()],
        ),
    ),
    slips=(
        Slip(
            "your answer belongs to the central window of each image. The network that learns will see the window at "
            "(top, left), and would be held to what the teacher said of other pixels: ask it about that window.",
            _central,
            (_corner,),
        ),
        Slip(
            "your answer comes from the whole stored images. Convolutions take any size, so nothing complains; but the "
            "network that learns sees only the window. Cut first, then ask.",
            lambda t, stored, top, left, size, theta: losses.soften(_logits(t, stored), theta),
        ),
        Slip(
            "your answer has rows and columns swapped. A window begins `top` pixels down, along the images' third "
            "dimension, and `left` pixels to the right, along the fourth.",
            lambda t, stored, top, left, size, theta: _asked(t, stored, left, top, size, theta),
        ),
        Slip(
            "your answer cuts all images at the first one's corner. Each image has a corner of its own: go through "
            "images and corners together.",
            _one_for_all,
        ),
        Slip(
            "your answer mirrors the windows. They may be mirrored, but then the learner's too; here they are as they "
            "come.",
            lambda t, stored, top, left, size, theta: losses.soften(
                _logits(t, _cut(stored, top, left, size).flip(-1)), theta
            ),
        ),
        Slip(
            "your answer is the plain softmax: the temperature has no effect. E3 compares softened answers, so the "
            "targets must be softened as well (E3a).",
            lambda t, stored, top, left, size, theta: torch.softmax(_logits(t, _cut(stored, top, left, size)), dim=1),
        ),
        Slip(
            "your answer holds logits. Soft targets are probabilities, rows that sum to 1: soften them (E3a).",
            lambda t, stored, top, left, size, theta: _logits(t, _cut(stored, top, left, size)),
            (lambda t, stored, top, left, size, theta: _logits(t, _cut(stored, top, left, size)) / theta,),
        ),
        Slip(
            "your answer keeps the teacher's first choice alone. How likely the other classes seemed is what "
            "distillation passes on: give the softened probabilities (E3a).",
            lambda t, stored, top, left, size, theta: _logits(t, _cut(stored, top, left, size)).argmax(dim=1),
        ),
    ),
)

EXERCISES = (_WINDOWS,)
