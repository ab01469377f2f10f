"""The slips that E2a and E4 share: both are half a squared norm, summed over the columns and averaged over the rows."""

from __future__ import annotations

import torch
from torch import Tensor

from ebll.checks.core import Slip

__all__ = ["half_square_slips", "pair"]


def pair(first: list[list[float]], second: list[list[float]]) -> tuple[Tensor, Tensor]:
    """A case to follow on paper, as two float32 tensors (rows, columns)."""
    return torch.tensor(first, dtype=torch.float32), torch.tensor(second, dtype=torch.float32)


def _squares(now: Tensor, before: Tensor) -> Tensor:
    """Squared norm of each row's difference, (rows,)."""
    return (now - before).square().sum(dim=1)


def _norms(now: Tensor, before: Tensor) -> Tensor:
    return torch.linalg.vector_norm(now - before, dim=1)


def half_square_slips(equation: str, weight: str, columns: str) -> tuple[Slip, ...]:
    """The table for one of the two equations.

    equation  "E2a" or "E4"
    weight    name of the weight in front of it
    columns   what the columns are, in the singular: "feature" or "code"
    """
    return (
        Slip(
            f"your answer is `MSELoss`: it divides by the {columns} size as well and has no factor 1/2. A weight w in "
            f"front of it then means {weight} = 2w/{columns}, so no published weight carries over: {equation} sums "
            "over the columns.",
            lambda now, before: torch.nn.functional.mse_loss(now, before),
        ),
        Slip(
            f"your answer takes the mean over all entries, halved: it divides by the {columns} size as well. The "
            f"same {weight} would then weigh less the more columns there are: {equation} sums over the columns and "
            "averages over the rows only.",
            lambda now, before: 0.5 * (now - before).square().mean(),
        ),
        Slip(
            f"your answer is twice {equation}: the factor 1/2 is missing. It changes what {weight} means: with the "
            "half, the gradient is just the difference times the weight.",
            lambda now, before: _squares(now, before).mean(),
        ),
        Slip(
            f"your answer is a sum over the batch. It then grows with the batch size, and {weight} would mean "
            f"something else for every batch: {equation} takes the mean over the rows.",
            lambda now, before: 0.5 * _squares(now, before).sum(),
            (lambda now, before: _squares(now, before).sum(),),
        ),
        Slip(
            f"your answer uses the norm without squaring it. Its gradient has the same length however small the "
            f"difference is, so it never comes to rest; {equation} has the square, as the authors' code does.",
            lambda now, before: 0.5 * _norms(now, before).mean(),
            (
                lambda now, before: _norms(now, before).mean(),
                lambda now, before: _norms(now, before).sum(),
                lambda now, before: 0.5 * _norms(now, before).sum(),
                lambda now, before: (now - before).square().mean().sqrt(),
                lambda now, before: torch.linalg.vector_norm(now - before),
                lambda now, before: 0.5 * torch.linalg.vector_norm(now - before),
            ),
        ),
        Slip(
            f"your answer adds up absolute differences. They weigh a small difference like a large one; {equation} is "
            "half the squared Euclidean norm.",
            lambda now, before: (now - before).abs().sum(dim=1).mean(),
            (
                lambda now, before: 0.5 * (now - before).abs().sum(dim=1).mean(),
                lambda now, before: (now - before).abs().mean(),
                lambda now, before: (now - before).abs().sum(),
            ),
        ),
        Slip(
            f"your answer adds up the differences without squaring them, so positive and negative ones cancel. "
            f"{equation} squares first, then sums.",
            lambda now, before: 0.5 * (now - before).sum(dim=1).mean(),
            (lambda now, before: (now - before).sum(dim=1).mean(), lambda now, before: (now - before).mean()),
        ),
        Slip(
            f"your answer averages over the columns and adds up the rows: the axes are the wrong way round. {equation} "
            "sums along each row (`dim=1`) and averages over the rows.",
            lambda now, before: 0.5 * (now - before).square().mean(dim=1).sum(),
            (lambda now, before: (now - before).square().mean(dim=1).sum(),),
        ),
        Slip(
            f"your answer halves the differences before they are squared, which makes a quarter. In {equation} the 1/2 "
            "stands outside the square.",
            lambda now, before: _squares(now, before).mean() / 4,
        ),
        Slip(
            f"your answer squares the sum of a row, in which positive and negative differences have cancelled. "
            f"{equation} squares each difference first, then sums.",
            lambda now, before: 0.5 * (now - before).sum(dim=1).square().mean(),
            (lambda now, before: (now - before).sum(dim=1).square().mean(),),
        ),
        Slip(
            f"your answer has its sign turned round: minimising it would drive the two apart. {equation} is never "
            "negative.",
            lambda now, before: -0.5 * _squares(now, before).mean(),
        ),
        Slip(
            f"your answer has a value per row. {equation} is one number: the mean over the rows.",
            lambda now, before: 0.5 * _squares(now, before),
            (_squares, _norms, lambda now, before: 0.5 * (now - before).square().mean(dim=1)),
        ),
    )
