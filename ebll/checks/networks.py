"""Exercises on a whole network: which parameters may learn (notebook 01), recorded soft targets (02)."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from ebll import losses
from ebll.checks.calls import Run
from ebll.checks.core import Exercise, Habit, Slip, check
from ebll.checks.words import Wording, numbers
from ebll.methods.base import record
from ebll.networks import Network
from ebll.seeds import generator, seeded

__all__ = ["new_head_only", "recorded_targets"]


def new_head_only(fn: Callable) -> None:
    """Check what feature extraction may train while task t is learned.

    fn       fn(net, t) -> list of parameters; net an `ebll.Network` with at least two heads, t from 1
    wanted   the parameters of heads[t], the very ones of the net, in any order
    source   EBLL section 2; `ebll.methods.FeatureExtraction`
    """
    check(_NEW_HEAD, fn)


def recorded_targets(fn: Callable) -> None:
    """Check the recording of soft targets before a task is learned.

    fn       fn(net, inputs, t, temperature) -> tensor; net an `ebll.Network` with dropout, in train mode;
             inputs (n, *input_shape); t the old task whose head answers
    wanted   (n, classes of head t), E3a of the answers in eval mode, without gradient; net left as it was found
    source   docs/equations.md, E3a; LwF, recording step
    """
    check(_RECORDED, fn)


def _net(seed: int, size: int, heads: tuple[int, ...]) -> Network:
    """Inputs (size,) - 6 features - 5 hidden, dropout after both; in train mode, as a network is while it learns."""
    with seeded(seed, "checks"):
        features = nn.Sequential(nn.Linear(size, 6), nn.ReLU(), nn.Dropout(0.4))
        net = Network(features, nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Dropout(0.4)), (size,))
        for classes in heads:
            net.add_head(classes)
    return net.to(torch.float32).train()


def _head_cases() -> list[tuple]:
    return [(_net(0, 2, (2, 3)), 1), (_net(1, 3, (2, 3, 4)), 1), (_net(2, 3, (3, 2, 4)), 2)]


def _chosen(value: Any, arguments: tuple) -> list[Tensor]:
    """How often each of the net's parameters was chosen, and how many others."""
    if isinstance(value, nn.Module):
        raise Wording("a list of parameters is wanted; a module came back. A module can list its own parameters.")
    if isinstance(value, Tensor | str | dict) or not isinstance(value, Iterable):
        raise Wording(f"a list of parameters is wanted; a {type(value).__name__} came back.")
    ours = [id(parameter) for parameter in arguments[0].parameters()]
    for item in value:
        if not isinstance(item, Tensor):
            raise Wording(f"a list of parameters is wanted; a {type(item).__name__} is among its entries.")
    ids = [id(item) for item in value]
    counts = [ids.count(known) for known in ours] + [sum(i not in ours for i in ids)]
    return [torch.tensor(counts, dtype=torch.float64)]


def _names(value: Any, arguments: tuple) -> str:
    known = {id(parameter): name for name, parameter in arguments[0].named_parameters()}
    return ", ".join(known.get(id(item), "(not of this net)") for item in value) or "none"


def _of(*parts: nn.Module) -> list[nn.Parameter]:
    return [parameter for part in parts for parameter in part.parameters()]


def _others(net: Network, t: int) -> list[nn.Module]:
    return [head for task, head in enumerate(net.heads) if task != t]


_NEW_HEAD = Exercise(
    name="new_head_only",
    equation="E1",
    takes=("net", "t"),
    task="the list of parameters that feature extraction may train while task t is learned.",
    kind=_chosen,
    show=_names,
    right=lambda net, t: _of(net.heads[t]),
    cases=_head_cases,
    verified="Nets with 2 and 3 heads: only the head of task t may learn, F, T and the other heads stand still.",
    slips=(
        Slip(
            "your answer lets everything learn: that is fine-tuning, which moves the features under the old heads. In "
            "feature extraction F and T stand still, so list only what belongs to the new task.",
            lambda net, t: _of(net),
        ),
        Slip(
            "your answer takes all heads, or several. The others belong to tasks whose images are not here, and with F "
            "and T standing still there is nothing they would have to adapt to: only the head of task t learns.",
            lambda net, t: _of(net.heads),
            (lambda net, t: _of(*net.heads[: t + 1]), lambda net, t: _of(*net.heads[t:])),
        ),
        Slip(
            "your answer takes an old head. It would unlearn its own task, and the new one would stay without a "
            "trained head: `net.heads` is indexed by the task, counted from 0.",
            lambda net, t: _of(net.heads[t - 1]),
            (
                lambda net, t: _of(net.heads[0]),
                lambda net, t: _of(*net.heads[:t]),
                lambda net, t: _of(*_others(net, t)),
            ),
        ),
        Slip(
            "your answer includes F or T (`net.features`, `net.operator`). As soon as one of them moves, the old "
            "heads answer differently; feature extraction keeps both as they are.",
            lambda net, t: _of(net.features, net.operator, net.heads[t]),
            (
                lambda net, t: _of(net.features, net.heads[t]),
                lambda net, t: _of(net.operator, net.heads[t]),
                lambda net, t: _of(net.features, net.operator),
                lambda net, t: _of(net.features),
                lambda net, t: _of(net.operator),
                lambda net, t: _of(net.operator, net.heads),
                lambda net, t: _of(net.features, net.heads),
                lambda net, t: _of(net.features, net.operator, *_others(net, t)),
            ),
        ),
        Slip(
            "your answer holds parameters of a copy, or tensors cut off from the parameters. An optimiser given those "
            "leaves the network as it is: list the parameters of `net` themselves, without clone, deepcopy, `.data`, "
            "`.detach()` or `state_dict()`.",
            lambda net, t: _of(copy.deepcopy(net).heads[t]),
        ),
        Slip(
            "your answer takes the last head whichever task is asked for. That fits only while t is the newest task: "
            "use t.",
            lambda net, t: _of(net.heads[-1]),
        ),
        Slip(
            "your answer leaves out the head's bias. It belongs to the new head as much as the weight, and nothing old "
            "depends on it.",
            lambda net, t: [net.heads[t].weight],
        ),
        Slip(
            "your list is empty, so nothing would learn. The head of the new task may: with F and T standing still it "
            "disturbs no old answer.",
            lambda net, t: [],
        ),
    ),
)


def _target_cases() -> list[tuple]:
    def case(seed, size, heads, rows, t, theta):
        inputs = torch.randn(rows, size, generator=generator(seed, "checks", "inputs"), dtype=torch.float32)
        net = _net(seed, size, heads)
        with torch.no_grad():
            for head in net.heads:
                head.weight.mul_(4)
        net.heads[-1].requires_grad_(seed % 2 == 0)  # a flag of the owner's own, to be found again
        return net, inputs, t, theta

    return [case(3, 2, (2, 3), 3, 0, 2.0), case(4, 4, (3, 2), 7, 0, 3.0), case(5, 3, (2, 4, 3), 5, 1, 1.5)]


def _record_targets(net: Network, inputs: Tensor, t: int, temperature: float) -> Tensor:
    return record(net, inputs, z=lambda f: losses.soften(net.heads[t](net.operator(f)), temperature))["z"]


def _quiet(net: Network, inputs: Tensor, t: int) -> Tensor:
    """Logits of a copy in eval mode, with gradient."""
    return copy.deepcopy(net).eval()(inputs, t)


def _left_in_eval(net: Network, inputs: Tensor, t: int, temperature: float) -> Tensor:
    net.eval()
    return losses.soften(net(inputs, t), temperature).detach()


def _left_frozen(net: Network, inputs: Tensor, t: int, temperature: float) -> Tensor:
    net.requires_grad_(False)
    return losses.soften(_quiet(net, inputs, t), temperature)


def _modes(net: nn.Module) -> list[tuple]:
    """Mode of each module, and the share that a dropout drops."""
    return [(module.training, getattr(module, "p", None)) for module in net.modules()]


def _flags(net: nn.Module) -> list[bool]:
    return [parameter.requires_grad for parameter in net.parameters()]


def _drawn(run: Run) -> bool:
    """Whether a second call gives other values."""
    (first,), (second,) = numbers(run.value, "tensor"), numbers(run.again(), "tensor")
    return first.shape == second.shape and not torch.allclose(first, second)


_RECORDED = Exercise(
    name="recorded_targets",
    equation="E3a",
    takes=("net", "inputs", "t", "temperature"),
    task="the softened answers of head t to the inputs, from the network as it is, without dropout and gradient.",
    kind="tensor",
    right=_record_targets,
    cases=_target_cases,
    verified="E3a from three nets with dropout: eval mode while recording, no gradient, nets left as they were found.",
    habits=(
        Habit(
            "two calls with the same inputs differ: the network answers in train mode, so dropout draws anew each "
            "time. A teacher that says something else every time teaches noise; put it into eval mode while it is "
            "recorded, and back afterwards (`ebll.networks.frozen` does both).",
            lambda net, inputs, t, theta: losses.soften(net(inputs, t), theta).detach(),
            _drawn,
            early=True,
        ),
        Habit(
            "the values are right, but they still carry gradient. Training would then move the recorded targets as "
            "well, and memory for the whole graph is kept: record without gradient.",
            lambda net, inputs, t, theta: losses.soften(_quiet(net, inputs, t), theta),
            lambda run: isinstance(run.value, Tensor) and run.value.requires_grad,
        ),
        Habit(
            "the values are right, but the network is left in another mode than it was found in. If it came in train "
            "mode, dropout would stay off for the training that follows: put each module back, or use "
            "`ebll.networks.frozen`, which does.",
            _left_in_eval,
            lambda run: _modes(run.arguments[0]) != _modes(run.case[0]),
        ),
        Habit(
            "the values are right, but afterwards other parameters have `requires_grad` than before, so the training "
            "that follows would move others than its owner chose. To record without gradient a `with` block is "
            "enough; it leaves the parameters alone.",
            _left_frozen,
            lambda run: _flags(run.arguments[0]) != _flags(run.case[0]),
        ),
    ),
    slips=(
        Slip(
            "your answer is the plain softmax: the temperature has no effect. E3 compares softened new answers with "
            "the targets, so they must be softened at the same temperature (E3a).",
            lambda net, inputs, t, theta: torch.softmax(_quiet(net, inputs, t), dim=1),
        ),
        Slip(
            "your answer holds logits. Soft targets are probabilities, rows that sum to 1: soften the logits (E3a).",
            lambda net, inputs, t, theta: _quiet(net, inputs, t),
            (lambda net, inputs, t, theta: _quiet(net, inputs, t) / theta,),
        ),
        Slip(
            "your answer multiplies by the temperature, which sharpens. E3a should lift the small probabilities.",
            lambda net, inputs, t, theta: losses.soften(_quiet(net, inputs, t), 1 / theta),
        ),
        Slip(
            "your answer comes from another head. What shall be kept is how the old task t is answered, so its own "
            "head must speak: use t.",
            lambda net, inputs, t, theta: losses.soften(_quiet(net, inputs, -1), theta),
            (
                lambda net, inputs, t, theta: losses.soften(_quiet(net, inputs, t + 1), theta),
                lambda net, inputs, t, theta: losses.soften(_quiet(net, inputs, t - 1), theta),
                lambda net, inputs, t, theta: losses.soften(_quiet(net, inputs, 0), theta),
            ),
        ),
        Slip(
            "your answer holds logarithms of probabilities. E3 needs the logarithm of the new answers only; the "
            "targets are probabilities (E3a), rows that sum to 1.",
            lambda net, inputs, t, theta: torch.log_softmax(_quiet(net, inputs, t) / theta, dim=1),
        ),
        Slip(
            "your answer takes the softmax over the batch: the columns sum to 1, so images compete with one another. "
            "In E3a the rows do, over the classes.",
            lambda net, inputs, t, theta: torch.softmax(_quiet(net, inputs, t) / theta, dim=0),
        ),
        Slip(
            "your answer keeps only the first choice of the old network. How likely the other classes seemed is what "
            "distillation passes on: record the softened probabilities (E3a).",
            lambda net, inputs, t, theta: _quiet(net, inputs, t).argmax(dim=1),
            (lambda net, inputs, t, theta: torch.eye(net.classes[t])[_quiet(net, inputs, t).argmax(dim=1)],),
        ),
    ),
)

EXERCISES = (_NEW_HEAD, _RECORDED)
