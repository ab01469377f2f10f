"""What makes a run repeat: one seed, an independent stream of random numbers for each purpose, a fixed thread count.

Separate streams keep methods comparable: fitting an autoencoder, say, does not shift the order of the batches. Nothing
here touches the global state, save inside `seeded` and `GlobalStream`, which put it back. The warm-up and the training
of a task draw from equal streams, so that both begin with the same order of batches.
"""

from __future__ import annotations

import contextlib
import threading
import zlib
from collections.abc import Iterator

import numpy as np
import torch

from ebll.errors import check_count

__all__ = ["GlobalStream", "cpu_threads", "derive_seed", "generator", "seeded"]

# Random state and number of threads belong to the process: on an executor of threads one run waits for the other.
_PROCESS = threading.RLock()


def derive_seed(seed: int, *purpose: str | int) -> int:
    """A 63-bit seed from the run's seed and a purpose such as ("batches", 2); stable across machines and versions.

    Zeros at a purpose's end do not count, so purposes of one kind have the same length. torch's generator for the
    processor takes the low 32 bits.
    """
    check_count(seed, "seed", low=0, high=2**63 - 1)
    # A folder's name need not be text: its other bytes stand in a str as lone surrogates.
    words = [zlib.crc32(part.encode(errors="surrogateescape")) if isinstance(part, str) else part for part in purpose]
    high, low = np.random.SeedSequence([seed, *words]).generate_state(2)
    return (int(high) << 32 | int(low)) >> 1


def generator(seed: int, *purpose: str | int) -> torch.Generator:
    """A CPU generator of its own for one purpose."""
    return torch.Generator().manual_seed(derive_seed(seed, *purpose))


@contextlib.contextmanager
def seeded(seed: int, *purpose: str | int) -> Iterator[None]:
    """Torch's global generators seeded for one purpose inside the block, as they were after it.

    For code that takes no generator: layer initialisation, and dropout in a user's network.
    """
    with _PROCESS:
        before = _states()
        try:
            torch.manual_seed(derive_seed(seed, *purpose))
            yield
        finally:
            _set_states(before)


class GlobalStream:
    """Torch's global generators in a state of their own inside `with`, and as they were after it.

    Each `with` goes on where the one before has ended. For layers that draw while they learn, such as dropout.

    before   states (bytes of the CPU's generator, then of each GPU's) at the newest `with`, or at the beginning
    """

    def __init__(self, seed: int, *purpose: str | int) -> None:
        with seeded(seed, *purpose):
            self.set(_states())

    def set(self, states: list[torch.Tensor]) -> None:
        """Go on from these states."""
        self.before = self._now = states

    def __enter__(self) -> None:
        _PROCESS.acquire()
        self._outside, self.before = _states(), self._now
        _set_states(self._now)

    def __exit__(self, *error: object) -> None:
        self._now = _states()
        _set_states(self._outside)
        _PROCESS.release()


def _states() -> list[torch.Tensor]:
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    return [torch.get_rng_state(), *cuda]


def _set_states(states: list[torch.Tensor]) -> None:
    torch.set_rng_state(states[0])
    if len(states) > 1 and len(states) - 1 == (torch.cuda.device_count() if torch.cuda.is_available() else 0):
        torch.cuda.set_rng_state_all(states[1:])


@contextlib.contextmanager
def cpu_threads(count: int) -> Iterator[None]:
    """Torch on `count` processor threads inside the block, as before after it; 0 leaves it alone.

    The number of threads decides the order of sums, hence the last bits and in the end the accuracies.
    """
    with _PROCESS:
        before = torch.get_num_threads()
        try:
            torch.set_num_threads(count or before)
            yield
        finally:
            torch.set_num_threads(before)
