"""The names of ebll.data; `name as name` says to type checkers that it is for users."""

from .catalog import TASKS as TASKS
from .catalog import TaskInfo as TaskInfo
from .catalog import load_task as load_task
from .catalog import task_table as task_table
from .task import Split as Split
from .task import Task as Task
