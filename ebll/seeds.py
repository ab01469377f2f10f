"""What makes a run repeat: one seed, an independent stream of random numbers for each purpose, a fixed thread count.

Separate streams keep methods comparable: fitting an autoencoder, say, does not shift the order of the batches. Nothing
here touches the global state, save inside `seeded`, which puts it back.
"""

from __future__ import annotations

import contextlib
import threading
import zlib
from collections.abc import Iterator

import numpy as np
import torch

from ebll.errors import check_count

__all__ = ["cpu_threads", "derive_seed", "generator", "seeded"]

# Random state and thread count belong to the process: runs in several threads of it wait for each other.
_PROCESS = threading.RLock()


def derive_seed(seed: int, *purpose: str | int) -> int:
    """A 63-bit seed from the run's seed and a purpose such as ("batches", 2); stable across machines and versions."""
    check_count(seed, "seed", low=0, high=2**63 - 1)
    words = [zlib.crc32(part.encode()) if isinstance(part, str) else part for part in purpose]
    high, low = np.random.SeedSequence([seed, *words]).generate_state(2)
    return (int(high) << 32 | int(low)) >> 1


def generator(seed: int, *purpose: str | int) -> torch.Generator:
    """A CPU generator of its own for one purpose."""
    return torch.Generator().manual_seed(derive_seed(seed, *purpose))


@contextlib.contextmanager
def seeded(seed: int, *purpose: str | int) -> Iterator[None]:
    """Torch's global generators seeded for one purpose inside the block, as they were after it.

    Other threads that ask for it wait until the block ends. For code that takes no generator: layer
    initialisation, and dropout in a user's network.
    """
    with _PROCESS, torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(derive_seed(seed, *purpose))
        yield


@contextlib.contextmanager
def cpu_threads(count: int) -> Iterator[None]:
    """Torch on `count` processor threads inside the block, as before after it; 0 leaves it alone.

    The number of threads decides the order of sums, hence the last bits and in the end the accuracies. It is the
    process's, so another thread that asks for it waits until this block ends.
    """
    with _PROCESS:
        before = torch.get_num_threads()
        torch.set_num_threads(count or before)
        try:
            yield
        finally:
            torch.set_num_threads(before)
