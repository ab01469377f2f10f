"""Exercise of notebook 06: the Fisher diagonal of Elastic Weight Consolidation."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor, nn

from ebll.checks.calls import Run
from ebll.checks.core import Exercise, Habit, Slip, check
from ebll.checks.words import numbers
from ebll.fisher import fisher_diagonal_loop
from ebll.seeds import generator, seeded

__all__ = ["fisher_diagonal"]

Tensors = list[Tensor]


def fisher_diagonal(fn: Callable) -> None:
    """Check E7, the exact diagonal of the Fisher information.

    fn       fn(net, parameters, inputs) -> list of tensors shaped like the parameters; net an `nn.Module` in eval mode,
             inputs (n, d) -> logits (n, classes); parameters a list of some of the net's
    wanted   mean over the samples of the sum over the classes of p(y | x) times the squared gradient of log p(y | x)
    source   docs/equations.md, E7 with exact weights; EWC; van de Ven, arXiv 2502.11756
    """
    check(_FISHER, fn)


def _fisher_cases() -> list[tuple]:
    def case(rows, sizes, only=None):
        with seeded(len(sizes), "checks", "fisher"):
            layers = [nn.Linear(a, b) for a, b in pairwise(sizes)]
        net = nn.Sequential(*[part for layer in layers for part in (layer, nn.Tanh())][:-1]).to(torch.float32)
        with torch.no_grad():
            layers[-1].weight.mul_(3)
        draw = generator(0, "checks", "inputs", rows)
        return net.eval(), list(net.parameters())[:only], 2 * torch.randn(rows, sizes[0], generator=draw).float()

    with seeded(0, "checks", "fisher"):
        flat = nn.Linear(1, 2).to(torch.float32).eval()
    with torch.no_grad():
        flat.weight.zero_()
        flat.bias.copy_(torch.tensor([3.0, 1.0]).log())  # p = 3/4 and 1/4 for every input
    by_hand = torch.tensor([[1.0], [2.0]], dtype=torch.float32)
    return [(flat, list(flat.parameters()), by_hand), case(5, (3, 4, 3)), case(7, (4, 5), None), case(4, (2, 3, 4), 2)]


def _log_p(net: nn.Module, inputs: Tensor) -> Tensor:
    return torch.log_softmax(net(inputs), dim=1)


def _gradients(value: Tensor, parameters: Tensors) -> Tensors:
    return list(torch.autograd.grad(value, parameters, retain_graph=True))


def _right(net: nn.Module, parameters: Tensors, inputs: Tensor) -> Tensors:
    labels = torch.zeros(len(inputs), dtype=torch.int64)
    return fisher_diagonal_loop(net, net, parameters, inputs, labels, "exact")


def _scaled(factor: Callable[[int, int], float]) -> Callable:
    """The right answer times a number that depends on (samples, classes)."""

    def wrong(net, parameters, inputs):
        scale = factor(len(inputs), net(inputs).shape[1])
        return [scale * part for part in _right(net, parameters, inputs)]

    return wrong


def _per_sample(weigh: Callable[[Tensor, Tensor], Tensor], power: int = 2) -> Callable:
    """Mean over the samples, sum over the classes; weigh(p (classes,), gradient (classes, ...)) and then the power."""

    def wrong(net, parameters, inputs):
        totals = [torch.zeros_like(parameter) for parameter in parameters]
        for sample in inputs:
            log_p = _log_p(net, sample[None])[0]
            columns = zip(*(_gradients(value, parameters) for value in log_p), strict=True)
            p = log_p.detach().exp()
            for total, column in zip(totals, columns, strict=True):
                gradient = torch.stack(column)
                total += weigh(p.reshape(-1, *[1] * (gradient.ndim - 1)), gradient).pow(power).sum(dim=0)
        return [total / len(inputs) for total in totals]

    return wrong


def _best(p: Tensor) -> Tensor:
    """1 for the likeliest class, 0 elsewhere; same shape."""
    return (p == p.max()).to(p.dtype)


def _batch_squared(net: nn.Module, parameters: Tensors, inputs: Tensor) -> Tensors:
    """For each class the gradient of the batch's mean, squared, weighted by the mean probability."""
    log_p = _log_p(net, inputs)
    totals = [torch.zeros_like(parameter) for parameter in parameters]
    for y, share in enumerate(log_p.detach().exp().mean(dim=0)):
        for total, gradient in zip(totals, _gradients(log_p[:, y].mean(), parameters), strict=True):
            total += share * gradient.square()
    return totals


def _batch_of_weighted(net: nn.Module, parameters: Tensors, inputs: Tensor) -> Tensors:
    """As `_batch_squared`, but each sample's log p is weighted before the mean."""
    log_p = _log_p(net, inputs)
    means = (log_p.detach().exp() * log_p).mean(dim=0)
    return [sum(g.square() for g in gs) for gs in zip(*(_gradients(m, parameters) for m in means), strict=True)]


def _batch_argmax(net: nn.Module, parameters: Tensors, inputs: Tensor) -> Tensors:
    """The common loop: cross-entropy of a batch with its own answers, one backward pass, squared."""
    value = _log_p(net, inputs).amax(dim=1).mean()
    return [gradient.square() for gradient in _gradients(value, parameters)]


def _piling_up(each_sample: bool) -> Callable:
    """As from `.backward()` without `zero_grad()`: gradients add up over the classes, and over the samples or not."""

    def wrong(net, parameters, inputs):
        totals, piled = ([torch.zeros_like(parameter) for parameter in parameters] for _ in range(2))
        for sample in inputs:
            for value in _log_p(net, sample[None])[0]:
                piled = [old + new for old, new in zip(piled, _gradients(value, parameters), strict=True)]
                totals = [t + value.detach().exp() * g.square() for t, g in zip(totals, piled, strict=True)]
            piled = [torch.zeros_like(parameter) for parameter in parameters] if each_sample else piled
        return [total / len(inputs) for total in totals]

    return wrong


def _of(output: Callable[[Tensor], Tensor]) -> Callable:
    """The right answer, but the gradient is that of output(logits) instead of log p."""

    def wrong(net, parameters, inputs):
        totals = [torch.zeros_like(parameter) for parameter in parameters]
        for sample in inputs:
            logits = net(sample[None])[0]
            for p, value in zip(torch.softmax(logits, dim=0).detach(), output(logits), strict=True):
                totals = [t + p * g.square() for t, g in zip(totals, _gradients(value, parameters), strict=True)]
        return [total / len(inputs) for total in totals]

    return wrong


def _batch_unweighted(net: nn.Module, parameters: Tensors, inputs: Tensor) -> Tensors:
    """As `_batch_squared`, with every class alike."""
    means = _log_p(net, inputs).mean(dim=0)
    return [sum(g.square() for g in gs) for gs in zip(*(_gradients(m, parameters) for m in means), strict=True)]


def _sampled(net: nn.Module, parameters: Tensors, inputs: Tensor) -> Tensors:
    """One label for each sample, drawn from the network's own answer."""
    totals = [torch.zeros_like(parameter) for parameter in parameters]
    for sample in inputs:
        log_p = _log_p(net, sample[None])[0]
        label = torch.multinomial(log_p.detach().exp(), 1).item()
        totals = [t + g.square() for t, g in zip(totals, _gradients(log_p[label], parameters), strict=True)]
    return [total / len(inputs) for total in totals]


def _drawn(run: Run) -> bool:
    """Whether a second call gives other values."""
    first, second = numbers(run.value, "tensors"), numbers(run.again(), "tensors")
    return any(a.shape != b.shape or not torch.allclose(a, b) for a, b in zip(first, second, strict=False))


_FISHER = Exercise(
    name="fisher_diagonal",
    equation="E7",
    takes=("net", "parameters", "inputs"),
    task="for each sample and class the squared gradient of log p, weighted by p, then the mean over the samples.",
    kind="tensors",
    right=_right,
    cases=_fisher_cases,
    verified="E7 on four nets: every class weighted by p, squared sample by sample, then the mean.",
    habits=(
        Habit(
            "two calls with the same inputs differ, so labels are drawn: that is the sampled Fisher, right only on the "
            "average over many draws. E7 with exact weights goes over all classes and weighs each by p(y|x).",
            _sampled,
            _drawn,
            early=True,
        ),
    ),
    slips=(
        Slip(
            "your answer squares the gradient of a whole batch. Gradients of different samples mix before they are "
            "squared, so its size depends on the batch, too small for a mean and too large for a sum: in E7 the square "
            "comes first, sample by sample, then the mean.",
            _batch_squared,
            (
                _batch_of_weighted,
                _batch_unweighted,
                lambda net, ps, x: [len(x) ** 2 * part for part in _batch_unweighted(net, ps, x)],
                lambda net, ps, x: [len(x) ** 2 * part for part in _batch_of_weighted(net, ps, x)],
                lambda net, ps, x: [len(x) ** 3 * part for part in _batch_squared(net, ps, x)],
                _batch_argmax,
                lambda net, ps, x: [len(x) * part for part in _batch_squared(net, ps, x)],
                lambda net, ps, x: [len(x) ** 2 * part for part in _batch_squared(net, ps, x)],
                lambda net, ps, x: [len(x) * part for part in _batch_argmax(net, ps, x)],
                lambda net, ps, x: [len(x) ** 2 * part for part in _batch_argmax(net, ps, x)],
            ),
        ),
        Slip(
            "your answer is a sum over the samples. Twice as many samples would make every parameter twice as "
            "important, and the weight of E6 would have to follow: E7 is a mean.",
            _scaled(lambda n, c: n),
        ),
        Slip(
            "your answer counts every class alike. A class that the network thinks impossible has the largest "
            "gradients and would rule: E7 weighs each class by its probability p(y|x).",
            _per_sample(lambda p, g: g),
            (
                _per_sample(lambda p, g: g / len(p) ** 0.5),
                lambda net, ps, x: [len(x) * part for part in _per_sample(lambda p, g: g)(net, ps, x)],
            ),
        ),
        Slip(
            "your answer takes only the class that the network thinks likeliest. Where it is sure, that gradient is "
            "nearly zero, and what matters most seems not to matter: E7 goes over all classes, weighted by p(y|x).",
            _per_sample(lambda p, g: _best(p) * g),
            (lambda net, ps, x: [len(x) * part for part in _per_sample(lambda p, g: _best(p) * g)(net, ps, x)],),
        ),
        Slip(
            "your answer is zero everywhere. Weighted by p(y|x) and added up over the classes, the gradients of log p "
            "cancel exactly; that sum says nothing of importance. In E7 each gradient is squared before it is weighted "
            "and added.",
            _per_sample(lambda p, g: p * g, power=1),
        ),
        Slip(
            "your answer is a mean of gradients that were not squared. Their signs cancel, and importance could come "
            "out negative: E7 has the square.",
            _per_sample(lambda p, g: _best(p) * g, power=1),
            (_per_sample(lambda p, g: g, power=1), _per_sample(lambda p, g: -_best(p) * g, power=1)),
        ),
        Slip(
            "your answer squares the probability along with the gradient. In E7 it weighs the squared gradient and is "
            "not squared itself; otherwise unlikely classes count too little.",
            _per_sample(lambda p, g: p * g),
        ),
        Slip(
            "your answer is divided by the number of samples twice. One mean is enough in E7; look for a `.mean()` in "
            "the loss as well as a division after it.",
            _scaled(lambda n, c: 1 / n),
        ),
        Slip(
            "your answer is divided by the number of classes as well. The probabilities p(y|x) already add up to 1, "
            "so in E7 the sum over the classes is a mean of its own.",
            _scaled(lambda n, c: 1 / c),
        ),
        Slip(
            "your answer is half of E7. The factor 1/2 stands in the penalty (E6); with another one here, every weight "
            "would be held half as strongly.",
            _scaled(lambda n, c: 0.5),
        ),
        Slip(
            "your gradients pile up from one `.backward()` to the next, since `.grad` adds. Set them back before each "
            "one (`net.zero_grad()`), or take `torch.autograd.grad`, which returns them fresh.",
            _piling_up(each_sample=False),
            (_piling_up(each_sample=True),),
        ),
        Slip(
            "your answer takes the gradient of p or of the logits. E7 has that of log p: take `log_softmax` of the "
            "logits first.",
            _of(lambda logits: torch.softmax(logits, dim=0)),
            (_of(lambda logits: logits),),
        ),
        Slip(
            "your answer uses absolute gradients instead of squares, which is nearer to another method's importance "
            "(MAS). E7 is the variance of the gradients of log p: it has the square.",
            _per_sample(lambda p, g: p * g.abs(), power=1),
        ),
    ),
)


EXERCISES = (_FISHER,)
