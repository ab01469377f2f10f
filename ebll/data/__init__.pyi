"""The names of ebll.data; `name as name` says to type checkers that it is for users."""

from .catalog import TASKS as TASKS, TaskInfo as TaskInfo, load_task as load_task, task_table as task_table
from .plane import plane_tasks as plane_tasks
from .task import Split as Split, Task as Task
