"""Exercises of notebook 03 on the autoencoder: the reconstruction error and the objective."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from ebll import losses
from ebll.checks.core import Exercise, Slip, check
from ebll.checks.halves import half_square_slips, pair
from ebll.seeds import generator

__all__ = ["autoencoder_loss", "reconstruction_error"]


def reconstruction_error(fn: Callable) -> None:
    """Check E2a, the reconstruction error.

    fn       fn(reconstructed, features) -> tensor with one number; both (batch, features), the first carries gradient
    wanted   factor 1/2, sum over the features, mean over the batch; gradient reaches reconstructed
    source   docs/equations.md, E2a; EBLL section 3.3.1, squared and halved as in the authors' code
    """
    check(_ERROR, fn)


def autoencoder_loss(fn: Callable) -> None:
    """Check E2, the objective of the task-aware autoencoder.

    fn       fn(reconstructed, features, logits, labels, recon_weight) -> tensor with one number; reconstructed and
             features (batch, features), logits (batch, classes), labels (batch,) int64, recon_weight a float
    wanted   recon_weight * E2a + E1, means over the batch; gradient reaches reconstructed and logits
    source   docs/equations.md, E2; EBLL section 3.3.1
    """
    check(_OBJECTIVE, fn)


def _random(name: str, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=generator(0, "checks", name, *shape), dtype=torch.float32)


_ERROR = Exercise(
    name="reconstruction_error",
    equation="E2a",
    takes=("reconstructed", "features"),
    task="half the squared distance of each row, and the mean over the rows.",
    kind="loss",
    right=losses.reconstruction_error,
    cases=lambda: [
        pair([[1.0, 2.0, 0.0], [0.0, 1.0, 1.0]], [[0.0, 2.0, 2.0], [0.0, 1.0, 4.0]]),
        (_random("now", 5, 3), _random("before", 5, 3)),
        (_random("now", 4, 7), _random("before", 4, 7)),
    ],
    gradient=(0,),
    verified="E2a on three sizes: factor 1/2, sum over the features, mean over the batch; its gradient arrives.",
    slips=half_square_slips("E2a", "lambda", "feature"),
)


def _objective_cases() -> list[tuple]:
    def case(rows, columns, classes, weight):
        labels = torch.arange(rows) % classes
        matrices = (_random("now", rows, columns), _random("before", rows, columns), 2 * _random("z", rows, classes))
        return *matrices, labels, weight

    first = pair([[1.0, 2.0, 0.0], [0.0, 1.0, 1.0]], [[0.0, 2.0, 2.0], [0.0, 1.0, 4.0]])
    return [
        (*first, torch.zeros(2, 2, dtype=torch.float32), torch.tensor([0, 1]), 0.1),
        case(5, 4, 3, 0.3),
        case(4, 7, 5, 0.05),
    ]


def _weighted(recon: Callable, task: Callable = losses.class_loss) -> Callable:
    """Recon_weight times one function of (reconstructed, features), plus another of (logits, labels)."""
    return lambda r, v, z, y, w: w * recon(r, v) + task(z, y)


def _e2a(r: Tensor, v: Tensor) -> Tensor:
    return losses.reconstruction_error(r, v)


_OBJECTIVE = Exercise(
    name="autoencoder_loss",
    equation="E2",
    takes=("reconstructed", "features", "logits", "labels", "recon_weight"),
    task="the weighted reconstruction error (E2a) plus the task's own loss (E1).",
    kind="loss",
    right=losses.autoencoder_loss,
    cases=_objective_cases,
    gradient=(0, 2),
    verified="E2 on three sizes and weights: the weight is on E2a alone; gradient reaches reconstructed and logits.",
    slips=(
        Slip(
            "your answer puts the weight on the task loss. In E2 lambda weighs the reconstruction, whose numbers are "
            "large because they are summed over the features; the task loss has weight 1.",
            lambda r, v, z, y, w: _e2a(r, v) + w * losses.class_loss(z, y),
            (
                lambda r, v, z, y, w: 2 * _e2a(r, v) + w * losses.class_loss(z, y),
                lambda r, v, z, y, w: functional.mse_loss(r, v) + w * losses.class_loss(z, y),
                lambda r, v, z, y, w: w * _e2a(r, v) + (1 - w) * losses.class_loss(z, y),
            ),
        ),
        Slip(
            "your answer weighs both terms. Then lambda only changes the step size, not what counts more: in E2 it "
            "stands before the reconstruction alone.",
            lambda r, v, z, y, w: w * (_e2a(r, v) + losses.class_loss(z, y)),
            (
                lambda r, v, z, y, w: w * (2 * _e2a(r, v) + losses.class_loss(z, y)),
                lambda r, v, z, y, w: w * (functional.mse_loss(r, v) + losses.class_loss(z, y)),
            ),
        ),
        Slip(
            "your answer does not use the weight. The reconstruction error is summed over the features and would "
            "drown the task loss; in E2 lambda brings the two to one scale.",
            lambda r, v, z, y, w: _e2a(r, v) + losses.class_loss(z, y),
            (lambda r, v, z, y, w: 2 * _e2a(r, v) + losses.class_loss(z, y),),
        ),
        Slip(
            "your answer takes `MSELoss` for the reconstruction: it divides by the feature size as well and has no "
            "factor 1/2. Its weight w then means lambda = 2w/feature: E2a sums over the features.",
            _weighted(lambda r, v: functional.mse_loss(r, v)),
            (lambda r, v, z, y, w: functional.mse_loss(r, v) + losses.class_loss(z, y),),
        ),
        Slip(
            "your answer takes half of `MSELoss` for the reconstruction: it divides by the feature size as well. Its "
            "weight w then means lambda = w/feature: E2a sums over the features.",
            _weighted(lambda r, v: 0.5 * functional.mse_loss(r, v)),
        ),
        Slip(
            "your answer lacks the factor 1/2 of the reconstruction error (E2a), so lambda counts twice.",
            _weighted(lambda r, v: 2 * _e2a(r, v)),
        ),
        Slip(
            "your answer sums the reconstruction error over the batch. E2a is a mean over the rows, as the task loss "
            "is; otherwise the balance of the two depends on the batch size.",
            _weighted(lambda r, v: len(r) * _e2a(r, v)),
            (_weighted(lambda r, v: 2 * len(r) * _e2a(r, v)),),
        ),
        Slip(
            "your answer uses the norm without squaring it. E2a is half the squared norm, as in the authors' code.",
            _weighted(lambda r, v: torch.linalg.vector_norm(r - v, dim=1).mean()),
            (_weighted(lambda r, v: 0.5 * torch.linalg.vector_norm(r - v, dim=1).mean()),),
        ),
        Slip(
            "your answer lacks the task loss. Without it the autoencoder keeps what varies most, whether the task "
            "needs it or not; E2 adds E1 of the reconstruction's logits, which makes it task-aware.",
            lambda r, v, z, y, w: w * _e2a(r, v),
            (
                lambda r, v, z, y, w: _e2a(r, v),
                lambda r, v, z, y, w: 2 * w * _e2a(r, v),
                lambda r, v, z, y, w: w * functional.mse_loss(r, v),
            ),
        ),
        Slip(
            "your answer lacks the reconstruction error. Then anything that the head classifies well would do, near "
            "the features or not; E2 adds E2a with the weight lambda.",
            lambda r, v, z, y, w: losses.class_loss(z, y),
        ),
        Slip(
            "your answer takes the softmax twice: `cross_entropy` wants logits and does it itself. Twice flattens the "
            "answers, and the task loss of E1 hardly moves.",
            _weighted(_e2a, lambda z, y: functional.cross_entropy(torch.softmax(z, dim=1), y)),
        ),
        Slip(
            "your answer adds up both terms over the batch. E1 and E2a are means over the rows; otherwise the step "
            "grows with the batch.",
            lambda r, v, z, y, w: len(r) * losses.autoencoder_loss(r, v, z, y, w),
        ),
        Slip(
            "your answer averages the squares over the features and adds up the rows: the axes are the wrong way "
            "round. E2a sums along each row (`dim=1`) and averages over the rows.",
            _weighted(lambda r, v: 0.5 * (r - v).square().mean(dim=1).sum()),
            (_weighted(lambda r, v: (r - v).square().mean(dim=1).sum()),),
        ),
        Slip(
            "your answer gives `nll_loss` something else than log-probabilities, so no logarithm is taken and the loss "
            "can go below zero. `cross_entropy` takes the logits as they are; that is E1.",
            _weighted(_e2a, lambda z, y: functional.nll_loss(torch.softmax(z, dim=1), y)),
            (_weighted(_e2a, lambda z, y: functional.nll_loss(z, y)),),
        ),
        Slip(
            "your answer does not square the differences of the reconstruction, so large ones count too little, or "
            "opposite ones cancel. E2a is half the squared norm.",
            _weighted(lambda r, v: 0.5 * (r - v).sum(dim=1).mean()),
            (
                _weighted(lambda r, v: (r - v).sum(dim=1).mean()),
                _weighted(lambda r, v: (r - v).abs().sum(dim=1).mean()),
                _weighted(lambda r, v: 0.5 * (r - v).abs().sum(dim=1).mean()),
                _weighted(lambda r, v: (r - v).abs().mean()),
            ),
        ),
        Slip(
            "your answer subtracts the task loss, so training would make the answers worse. Both terms of E2 are to be "
            "small: add them.",
            _weighted(_e2a, lambda z, y: -losses.class_loss(z, y)),
        ),
        Slip(
            "your answer sums the task loss over the batch. E1 is a mean over the rows, as E2a is; otherwise the "
            "balance of the two depends on the batch size.",
            _weighted(_e2a, lambda z, y: functional.cross_entropy(z, y, reduction="sum")),
        ),
    ),
)

EXERCISES = (_ERROR, _OBJECTIVE)
