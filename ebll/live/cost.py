"""What a run will cost, said before it begins: steps, and seconds as measured on this machine.

The first guess is that of a laptop; every run that ends makes the next estimate better.
"""

from __future__ import annotations

import math

from ebll.config import NEW_TASK_IMAGES
from ebll.live.config import LabConfig

__all__ = ["main_steps_of", "remember", "seconds_of", "steps_of", "words"]

_GUESS = {"mlp": 0.002, "cnn": 0.007}  # seconds a step, measuring included
_measured: dict[tuple[str, str], float] = {}


def steps_of(config: LabConfig) -> int:
    """Optimiser steps of the new task for one method, the warm-up included."""
    train = config.train
    return math.ceil(NEW_TASK_IMAGES / train.batch_size) * (train.epochs + train.warmup_epochs)


def main_steps_of(config: LabConfig) -> int:
    """Optimiser steps of the new task for one method after the warm-up: where the horizontal axis ends."""
    return math.ceil(NEW_TASK_IMAGES / config.train.batch_size) * config.train.epochs


def remember(config: LabConfig, method: str, seconds: float) -> None:
    """Note how long one method of a config has taken."""
    rate, key = seconds / steps_of(config), (config.net, method)
    _measured[key] = 0.5 * (_measured.get(key, rate) + rate)


def seconds_of(config: LabConfig) -> float:
    """How long all methods of a config will take, in seconds."""
    known = [rate for (net, _), rate in _measured.items() if net == config.net]
    usual = sum(known) / len(known) if known else _GUESS[config.net]
    return steps_of(config) * sum(_measured.get((config.net, name), usual) for name in config.methods)


def words(config: LabConfig) -> str:
    """The cost in words: 'about 1.2 s (3 methods, 152 steps each after a warm-up)'."""
    seconds, count = seconds_of(config), len(config.methods)
    time = f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
    steps = f"{main_steps_of(config)} steps each after a warm-up"
    return f"about {time} ({count} method{'s' if count > 1 else ''}, {steps})"
