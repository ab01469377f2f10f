"""Fine-tuning, LwF and EBLL as one would write them by hand in a plain PyTorch loop: tensors, functions, no library.

`benchmarks.loop` times the library's loop against this one. Nothing of ebll is imported here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["NETS", "learn"]


def mlp(inputs: Tensor, weights: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """784-256-128: the features of F, and what T makes of them."""
    w1, b1, w2, b2 = weights
    features = F.relu(F.linear(inputs.flatten(1), w1, b1))
    return features, F.relu(F.linear(features, w2, b2))


def cnn(inputs: Tensor, weights: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Convolutions of 5 x 5 and 3 x 3, both of stride 2 (F), and a layer of 128 (T)."""
    w1, b1, w2, b2, w3, b3 = weights
    features = F.relu(F.conv2d(inputs, w1, b1, stride=2, padding=2))
    features = F.relu(F.conv2d(features, w2, b2, stride=2, padding=1)).flatten(1)
    return features, F.relu(F.linear(features, w3, b3))


NETS: dict[str, Callable[[Tensor, Sequence[Tensor]], tuple[Tensor, Tensor]]] = {"mlp": mlp, "cnn": cnn}


def learn(
    net: Callable[[Tensor, Sequence[Tensor]], tuple[Tensor, Tensor]],
    weights: Sequence[Tensor],
    old_head: Sequence[Tensor],
    new_head: Sequence[Tensor],
    inputs: Tensor,
    labels: Tensor,
    order: torch.Generator,
    *,
    epochs: int,
    batch: int,
    optimizer: torch.optim.Optimizer,
    soft_targets: Tensor | None = None,
    temperature: float = 2.0,
    codes: Tensor | None = None,
    encoder: Sequence[Tensor] = (),
    alpha: float = 3.0,
) -> list[Tensor]:
    """Learn the second task; fine-tuning unless targets are given. Returns the loss of each step.

    weights, old_head, new_head   weights and biases, which the optimizer changes in place
    soft_targets                  of the old head, for LwF and EBLL: a row an input
    codes, encoder                the old code of each input, and the encoder that gave them, for EBLL
    """
    losses = []
    for _ in range(epochs):
        for rows in torch.randperm(len(inputs), generator=order).to(inputs.device).split(batch):
            features, hidden = net(inputs[rows], weights)
            loss = F.cross_entropy(F.linear(hidden, *new_head), labels[rows])
            if soft_targets is not None:
                logits = F.linear(hidden, *old_head)
                loss = loss - (soft_targets[rows] * F.log_softmax(logits / temperature, dim=1)).sum(dim=1).mean()
            if codes is not None:
                moved = torch.sigmoid(F.linear(features, *encoder)) - codes[rows]
                loss = loss + alpha * 0.5 * moved.square().sum(dim=1).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.detach())
    return losses
