"""The tasks that a widget offers."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable

from ebll.config import NEW_TASK_IMAGES
from ebll.data import TASKS, Task, load_task
from ebll.errors import InputError, check_choice

__all__ = ["cut", "offered_task", "offered_tasks", "own_tasks"]


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


def offered_task(name: str, own: Iterable[Task] = ()) -> Task:
    """A task that is offered, by its name."""
    offered = offered_tasks(own)
    return offered[check_choice(name, offered, "Task")]()


_loaded = functools.lru_cache(maxsize=8)(load_task)


@functools.lru_cache(maxsize=8)
def cut(task: Task) -> Task:
    """With as many training images as later tasks have in the course, evenly spread over the classes."""
    return task.subset(NEW_TASK_IMAGES) if len(task.train) > NEW_TASK_IMAGES else task
