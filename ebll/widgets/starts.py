"""The tasks that a widget offers, and the networks that have learned one of them: each is made once."""

from __future__ import annotations

import functools
from collections import OrderedDict
from collections.abc import Callable, Generator, Iterable
from typing import Any, NamedTuple

from ebll.config import NEW_TASK_IMAGES, PRESETS
from ebll.data import TASKS, Task, load_task
from ebll.errors import InputError, check_choice
from ebll.methods import Memory
from ebll.protocol import begin, learn
from ebll.recording import Recorder
from ebll.runs import Snapshot

__all__ = ["Start", "cut", "learn_start", "offered_tasks", "own_tasks"]

_KEPT = 8


class Start(NamedTuple):
    """A task, the network that has learned it first, and what methods have kept of it so far."""

    task: Task
    snapshot: Snapshot
    memories: dict[Any, Memory | None]  #: see `ebll.comparison.branch`


_starts: OrderedDict[Any, Start] = OrderedDict()


def own_tasks(tasks: Task | Iterable[Task]) -> tuple[Task, ...]:
    """The user's own tasks, of which there may be just one."""
    listed = (tasks,) if isinstance(tasks, Task) or not isinstance(tasks, Iterable) else tuple(tasks)
    for task in listed:
        if not isinstance(task, Task):
            raise InputError(f"tasks: a list of ebll.Task, such as Task.from_folder(...); got {type(task).__name__}.")
    names = [task.name for task in listed]
    if twice := [name for name in names if names.count(name) > 1]:
        raise InputError(f"tasks: each needs a name of its own; {twice[0]!r} comes more than once.")
    return listed


def offered_tasks(own: Iterable[Task] = ()) -> dict[str, Callable[[], Task]]:
    """Name -> how to load it: the tasks that are on this machine, and the user's own."""
    known = {name: functools.partial(_loaded, name) for name, info in TASKS.items() if info.available()[0]}
    return known | {task.name: lambda task=task: task for task in own_tasks(own)}


@functools.lru_cache(maxsize=_KEPT)
def _loaded(name: str) -> Task:
    return load_task(name)


@functools.lru_cache(maxsize=_KEPT)
def cut(task: Task) -> Task:
    """With as many training images as later tasks have in the course, evenly spread over the classes."""
    return task.subset(NEW_TASK_IMAGES) if len(task.train) > NEW_TASK_IMAGES else task


def learn_start(name: str, net: str, seed: int, tasks: Iterable[Task] = ()) -> Generator[None, None, Start]:
    """Learn a task first, yielding after each step; nothing is yielded where that was done before.

    name   of a task that is offered, or of one of `tasks`
    """
    offered = offered_tasks(tasks)
    task = offered[check_choice(name, offered, "Task")]()
    key = (id(task), net, seed)
    if key not in _starts:
        run = begin([task], "finetune", net=net, seed=seed, recorder=Recorder(log_every=0))
        for _ in learn(run, [task], PRESETS[net].train):
            yield
        _starts[key] = Start(
            task, Snapshot(run.net, run.recorder, net), {}
        )  # with the task, so that its id stays its own
        while len(_starts) > _KEPT:
            _starts.popitem(last=False)
    _starts.move_to_end(key)
    return _starts[key]
