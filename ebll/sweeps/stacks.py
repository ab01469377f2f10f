"""Runs of a sweep that are trained as one: which go together, how many, and what each leaves.

    for portion in portions(configs, How(device="cuda")):
        results = run_stack(portion, "cuda")

This room knows configs and results; how many are trained at once is the business of `ebll.stacked`.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from ebll.errors import EbllError, InputError, RunStopped
from ebll.nets import build_network
from ebll.record import Recorder
from ebll.seeds import cpu_threads
from ebll.stacked import Branch, learn_stacked, room
from ebll.sweeps.config import RunConfig
from ebll.sweeps.plan import free_memory
from ebll.sweeps.single import RunResult, prepared, run_one, sequence_of, settled

__all__ = ["ALONE", "How", "portions", "run_stack", "stack_key"]

_NUMBERS = ("temperature", "distill_weight", "ewc_strength", "recon_weight", "learning_rate", "seed")


@dataclass(frozen=True)
class How:
    """How runs are done.

    device   where: "cpu", or a GPU such as "cuda"
    stack    many as one program; None where that is quicker: on a GPU, and for nets of few weights
    """

    device: str = "cpu"
    stack: bool | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.stack, bool | None):
            raise InputError(f"stack: True, False, or None for where it is quicker; got {self.stack!r:.60}.")
        try:
            kind = torch.device(self.device).type
        except (RuntimeError, TypeError):
            kind = ""
        if kind not in room.MOST:
            raise InputError(f"device: 'cpu', or a GPU such as 'cuda' or 'cuda:1'; got {self.device!r}.")
        if kind == "cuda" and not torch.cuda.is_available():
            raise InputError(f"device: {self.device!r} is not on this machine, or torch has no CUDA. Take 'cpu'.")

    def stacked(self, config: RunConfig) -> bool:
        """Whether this run is done together with its like."""
        return room.worth_it(_bare(config.net), self.device) if self.stack is None else self.stack


ALONE = How(stack=False)


def stack_key(config: RunConfig) -> Any:
    """What runs of one stack have in common: all but numbers; of alpha, whether it is one or one a task."""
    common = {name: value for name, value in config.canonical().as_dict().items() if name not in _NUMBERS}
    common["alpha"] = len(common["alpha"]) if isinstance(common["alpha"], list) else 0
    return tuple(tuple(value) if isinstance(value, list) else value for value in common.values())


def portions(configs: Sequence[RunConfig], how: How) -> list[list[RunConfig]]:
    """The runs in stacks as large as memory allows; those that are not stacked stand alone."""
    groups: dict[Any, list[RunConfig]] = {}
    for config in configs:
        groups.setdefault(stack_key(config) if how.stacked(config) else config, []).append(config)
    sizes = [_size(group[0], how.device) if len(group) > 1 else 1 for group in groups.values()]
    return [group[i : i + n] for group, n in zip(groups.values(), sizes, strict=True) for i in range(0, len(group), n)]


def run_stack(configs: Sequence[RunConfig], device: str = "cpu") -> list[RunResult]:
    """Train configs of one `stack_key` at once; as `run_one` for each, to rounding.

    A stack that memory does not hold after all is halved; runs that cannot be stacked are done one after the other.

    raises  `RunStopped` where this thread's run was told to stop (`ebll.turns`)
    """
    if len(configs) == 1:
        return [run_one(configs[0], device)]
    begun = time.perf_counter()
    try:
        with cpu_threads(1):
            results = _stacked(configs, device)
    except RunStopped:
        raise
    except (torch.OutOfMemoryError, MemoryError):
        half = len(configs) // 2
        return [*run_stack(configs[:half], device), *run_stack(configs[half:], device)]
    except Exception:  # among others `CannotStack`; what is amiss with a run, it says alone
        return [run_one(config, device) for config in configs]
    for result in results.values():
        result.seconds = (time.perf_counter() - begun) / len(configs)
    return [results[config] for config in configs]


def _stacked(configs: Sequence[RunConfig], device: str) -> dict[RunConfig, RunResult]:
    results: dict[RunConfig, RunResult] = {}
    branches: dict[RunConfig, Branch] = {}
    # By seed, so that a first network is learned, branched from, and let go.
    for config in sorted(configs, key=lambda config: config.seed):
        recorder = Recorder(log_every=config.log_every)
        try:
            start = prepared(config, device)
        except EbllError as error:
            results[config] = settled(config, recorder, functools.partial(_raise, error), device)
        else:
            branches[config] = Branch(config.made_method(), config.seed, config.train, start, recorder)
    if branches:
        learned = learn_stacked(sequence_of(configs[0], device), list(branches.values()), device=device)
        for (config, branch), run in zip(branches.items(), learned.runs, strict=True):
            results[config] = settled(config, branch.recorder, functools.partial(_raise, run), device)
    return results


def _raise(run: Any) -> Any:
    if isinstance(run, Exception):
        raise run
    return run


def _size(config: RunConfig, device: str) -> int:
    """Runs in one stack of this one and its like."""
    free = torch.cuda.mem_get_info(device)[0] if torch.device(device).type == "cuda" else free_memory()
    task = max(sequence_of(config)[1:], key=lambda task: len(task.train))
    size = room.bytes_of_run(_bare(config.net), task, config.code_size, config.train.batch_size)
    return room.runs_at_once(size, device, free)


@functools.cache
def _bare(net: str) -> Any:
    return build_network(net, (1, 28, 28), 0)
