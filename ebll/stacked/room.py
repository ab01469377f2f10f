"""How many runs go into one stack: as many as its memory holds, and on a processor as many as still gain.

This room counts bytes; it trains nothing.
"""

from __future__ import annotations

import torch

from ebll.data import Task
from ebll.nets import Network

__all__ = ["MOST", "SMALL", "bytes_of_run", "runs_at_once", "worth_it"]

SMALL = 100_000
"""Weights up to which a net gains from a stack on a processor: beyond, its own products keep a core busy."""

MOST = {"cpu": 128, "cuda": 4096}
"""Runs beyond which a stack gains nothing more."""

SHARE = 0.5  # of the free memory that a stack may take


def worth_it(net: Network, device: str | torch.device) -> bool:
    """Whether a stack is quicker than the same runs one by one on each core."""
    return torch.device(device).type == "cuda" or sum(p.numel() for p in net.parameters()) <= SMALL


def bytes_of_run(net: Network, task: Task, code_size: int, batch_size: int) -> int:
    """Bytes that a run takes in a stack, roughly: float32 throughout.

    Weights, gradients twice (as they come and as they are stepped), momentum, and for EWC anchors and importance; what
    is recorded of the task's inputs; a batch, its features and their gradients, three times; the inputs of the old and
    the new task that measurements look at, 256 of each.
    """
    weights = sum(p.numel() for p in net.parameters())
    recorded = len(task.train) * (max(64, sum(net.classes)) + max(code_size, net.operator_size))
    batch = batch_size * (task.train.inputs[0].numel() + net.feature_size + net.operator_size + code_size)
    watched = 2 * 256 * (task.train.inputs[0].numel() + net.feature_size)
    return 4 * (6 * weights + recorded + 3 * batch + watched)


def runs_at_once(size: int, device: str | torch.device, free: float) -> int:
    """Runs that fit into one stack, at least one.

    size   bytes of a run
    free   bytes of memory that are free on the device
    """
    return max(1, min(MOST[torch.device(device).type], int(SHARE * free // size)))
