"""What is handed around: a network to branch from, and what a finished run leaves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch

from ebll import metrics
from ebll.data import Task
from ebll.errors import InputError
from ebll.methods import Memory, Method
from ebll.networks import Network
from ebll.recording import Recorder

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Run", "Snapshot", "check_start", "checked_tasks", "sequence_id"]


@dataclass
class Snapshot:
    """A network that has learned the first task, and the record of it: every method can branch from a copy."""

    net: Network
    recorder: Recorder
    net_name: str = "mlp"  #: as tables name it; "own" for a user's modules
    task: Task | None = None  #: runs that begin with this very object share what methods keep of it
    memories: dict[Any, Memory | None] = field(default_factory=dict)  #: by `Method.memory_key` and seed


@dataclass
class Run:
    """A run, to be learned by `ebll.protocol.learn` or learned: the network, the method's memory, and the record."""

    method: Method
    tasks: tuple[str, ...]
    net_name: str
    seed: int
    net: Network
    memory: Memory | None  #: what the method keeps of the tasks that it has consolidated
    recorder: Recorder
    learned: int = 0  #: tasks learned so far
    fitted: int = 0  #: of these, the tasks that what the method keeps was fitted to
    memories: dict[Any, Memory | None] = field(default_factory=dict)  #: of the first task: those of its snapshot

    @property
    def facts(self) -> dict[str, str | int]:
        """The first columns of every table: sequence (such as mlp:letters-textures), net, method, seed."""
        sequence = sequence_id(self.net_name, self.tasks)
        return {"sequence": sequence, "net": self.net_name, "method": self.method.name, "seed": self.seed}

    @property
    def curves(self) -> pd.DataFrame:
        """A row per logging step and old task; the columns are listed in `ebll.recording`."""
        return self._with_facts(self.recorder.curves())

    @property
    def accuracy(self) -> pd.DataFrame:
        """after, task, accuracy: test accuracy in 0..1 on every task learned so far."""
        return self._with_facts(self.recorder.accuracy())

    @property
    def kept(self) -> pd.DataFrame:
        """after, bytes, ...: what the method kept, and how well its newest autoencoder does."""
        return self._with_facts(self.recorder.memory())

    def accuracy_matrix(self) -> pd.DataFrame:
        """Row: after which task; column: which task; entry: test accuracy in 0..1, NaN for tasks not yet seen."""
        table = self.recorder.accuracy()
        matrix = table.pivot(index="after", columns="task", values="accuracy")
        return matrix.loc[table["after"].unique(), table["task"].unique()]

    def summary(self, alone: Sequence[float] | None = None) -> pd.Series:
        """M4 to M7 of the accuracy matrix, in fractions; `forward_transfer` needs a reference.

        alone  accuracy of a fresh network trained on each task alone, one a task in the order learned
        """
        import pandas as pd

        matrix = self.accuracy_matrix()
        if matrix.empty:
            raise InputError("No task was learned to its end, so there is nothing to sum up; see run.curves.")
        figures = {
            "average_accuracy": metrics.average_accuracy(matrix),
            "forgetting": metrics.forgetting(matrix),
            "backward_transfer": metrics.backward_transfer(matrix),
        }
        if alone is not None:
            figures["forward_transfer"] = metrics.forward_transfer(matrix, alone)
        return pd.Series(figures, name=self.method.name)

    def _with_facts(self, table: pd.DataFrame) -> pd.DataFrame:
        import pandas as pd

        facts = pd.DataFrame([self.facts] * len(table), index=table.index, columns=list(self.facts))
        return pd.concat([facts, table], axis=1)


def sequence_id(net: str, tasks: Sequence[str]) -> str:
    """The name in the column `sequence`, such as mlp:letters-textures; joined by "+" where a task's name has a "-"."""
    return f"{net}:{('+' if any('-' in task for task in tasks) else '-').join(tasks)}"


def checked_tasks(tasks: Sequence[Task], device: str | torch.device) -> list[Task]:
    """The tasks of a sequence on their device, if they fit together: different names, one input shape."""
    tasks = list(tasks) if isinstance(tasks, Sequence) and not isinstance(tasks, str) else []
    if not tasks or not all(isinstance(task, Task) for task in tasks):
        raise InputError(
            "tasks must be a list of at least one Task; load_task('mnist') or Task.from_folder(...) make one."
        )
    names = [task.name for task in tasks]
    if len(set(names)) < len(names):
        raise InputError(f"Tasks of one sequence need different names; got {', '.join(names)}.")
    shapes = {task.name: task.input_shape for task in tasks}
    if len(set(shapes.values())) > 1:
        listed = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        raise InputError(f"Tasks of one sequence need inputs of one shape, since they share F; got {listed}.")
    return [task.to(device) for task in tasks]


def check_start(start: Snapshot, first: Task, net_name: str | None = None) -> None:
    """Refuse a snapshot that has not learned the first task of the sequence, or with another network."""
    if not isinstance(start, Snapshot):
        raise InputError(f"start takes a Snapshot, such as learn_first(...) returns; got {type(start).__name__}.")
    learned = start.recorder.accuracy_rows[-1]["task"] if start.recorder.accuracy_rows else first.name
    has, wants = (start.net.input_shape, start.net.classes), (first.input_shape, [first.class_count])
    if learned != first.name or has != wants:
        raise InputError(
            f"start has learned {learned} (inputs {has[0]}, classes of its heads {has[1]}), but the sequence begins "
            f"with {first.name} (inputs {wants[0]}, classes {wants[1]}). Branch from learn_first([{first.name}, ...])."
        )
    if net_name is not None and start.net_name != net_name:
        raise InputError(f"start: a network {start.net_name!r} has learned the first task, but net is {net_name!r}.")
