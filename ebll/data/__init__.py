"""Images to learn from: five tasks known by name, and a user's own tensors or folder as a task in one line.

    task = load_task("letters")                                # 28 x 28 grey, standardised by its own training split
    mine = Task.from_tensors("mine", (x, y), (x_test, y_test))
    leaves = Task.from_folder("leaves/", size=28)
    task_table()                                               # what there is, and under which licence

Four of the tasks are inside packages that ebll requires, so they work offline.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

# What a task is.
# Those that are known by name.
from ebll.data.catalog import TASKS, TaskInfo, load_task, task_table

if TYPE_CHECKING:
    from ebll.data.task import Split, Task

__all__ = ["TASKS", "Split", "Task", "TaskInfo", "load_task", "task_table"]


def __getattr__(name: str) -> object:
    # A list of the tasks needs no torch, whose import takes longer than everything else here.
    if name in ("Split", "Task"):
        from ebll.data import task

        return getattr(task, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
