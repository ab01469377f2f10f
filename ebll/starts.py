"""Networks that have learned a first task: learned once in a process, then shared by all runs that branch from them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Generator
from typing import Any

from ebll.data import Task
from ebll.networks import NetSpec
from ebll.protocol import begin, learn
from ebll.recording import Recorder
from ebll.runs import Snapshot
from ebll.training import Step, TrainSettings

__all__ = ["first_task"]

KEPT = 8
_starts: OrderedDict[Any, Snapshot] = OrderedDict()


def first_task(
    task: Task, net: NetSpec, settings: TrainSettings, seed: int, *, device: str = "cpu", log_every: int = 0
) -> Generator[Step, None, Snapshot]:
    """Learn a task first; yields the loop's steps, none where the same was done before.

    task        the very object, of which the cache keeps the newest `KEPT`
    log_every   optimiser steps between two measurements, 0 for none
    """
    key = (id(task), net, settings, seed, device, log_every)
    if key not in _starts:
        recorder = Recorder(log_every=log_every)
        run = begin([task], "finetune", net=net, seed=seed, device=device, recorder=recorder)
        yield from learn(run, [task], settings)
        _starts[key] = Snapshot(run.net, recorder, run.net_name, task)  # with the task, so that its id stays its own
        while len(_starts) > KEPT:
            _starts.popitem(last=False)
    _starts.move_to_end(key)
    return _starts[key]
