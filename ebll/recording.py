"""What a run leaves: tidy rows in, pandas tables out. Measuring draws no random numbers and changes no weight.

Columns of `curves`, a row per logging step and old task:

    training            the task being learned
    stage               "warm-up" (only the new head learns) or "train"
    step                optimiser steps made in this stage before the row was measured
    task                the old task that the row is about; empty while the first task is learned
    feature_distance    M2 on held-out inputs of the old task: an oracle, since a learner has no old data
    feature_norm        M3 of the same features today
    code_distance       E4 on the same inputs, where the method keeps an encoder of that task
    accuracy            M1 of the old task on the same inputs
    accuracy_new        M1 of the task being learned, on held-out inputs of its own
    learning_rate       of the step about to be made
    loss_total          what is minimised on the step's batch apart from weight decay, the sum of the next columns
    loss_task ... loss_replay    each term times its weight, summed over the old tasks
    raw_task ... raw_replay      each term before its weight, summed over the old tasks

Columns of `predictions`, where they are asked for: a row per logging step, old task and held-out image:

    training, stage, step, task    as above
    image                          row of the validation split
    label, predicted               names of the image's class, and of the class that the old task's head answers

Held-out means the validation split here; the test split is read for `accuracy` alone, after each task.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from ebll import metrics
from ebll.autoencoder import Encoder
from ebll.data import Split, Task
from ebll.errors import InputError, check_count, check_number
from ebll.losses import code_distance
from ebll.methods import Memory, Method, Term
from ebll.metrics import accuracy, feature_distance, feature_norm
from ebll.networks import Network, evaluating

if TYPE_CHECKING:  # pandas is imported where a table is made: it would take most of what `import ebll` takes
    import pandas as pd

__all__ = [
    "ACCURACY_COLUMNS",
    "CURVE_COLUMNS",
    "PREDICTION_COLUMNS",
    "TERMS",
    "Probe",
    "Recorder",
    "Run",
    "Snapshot",
    "measure_accuracy",
    "sequence_id",
]

TERMS = ("task", "distill", "code", "penalty", "replay")
ACCURACY_COLUMNS = ["after", "task", "accuracy"]
CURVE_COLUMNS = [
    *("training", "stage", "step", "task", "feature_distance", "feature_norm", "code_distance"),
    *("accuracy", "accuracy_new", "learning_rate", "loss_total"),
    *(f"loss_{name}" for name in TERMS),
    *(f"raw_{name}" for name in TERMS),
]
PREDICTION_COLUMNS = ["training", "stage", "step", "task", "image", "label", "predicted"]


def measure_accuracy(net: Network, t: int, split: Split, batch_size: int = 1024) -> float:
    """M1 of task t's head on a split, in eval mode and without gradients."""
    with evaluating(net), torch.no_grad():
        logits = torch.cat([net(batch, t) for batch in split.inputs.split(batch_size)])
    return accuracy(logits, split.labels)


@dataclass
class Probe:
    """Held-out inputs of one task, with the features that the network gave them before the present task.

    seen    rows of the validation split that the inputs are, and the names of their classes
    still   F and T do not change while this is in use, so that one pass through them serves every measurement
    """

    name: str
    task: int
    inputs: Tensor
    labels: Tensor
    features_before: Tensor
    classes: tuple[str, ...]
    seen: dict[str, list]
    still: bool = False
    predicted: Tensor | None = None  #: labels at the newest measurement
    _said: tuple[Tensor, Tensor] | None = None
    _code_before: tuple[Encoder, Tensor] | None = None

    @classmethod
    def of(cls, net: Network, t: int, task: Task, samples: int, still: bool = False) -> Probe:
        """Record F*(x) on up to `samples` inputs of the validation split."""
        split = task.validation
        rows = split.spread(samples)
        inputs, labels = split.inputs[rows], split.labels[rows]
        with evaluating(net), torch.no_grad():
            features = net.features(inputs)
            said = features, net.operator(features)
        seen = {"image": rows.tolist(), "label": [task.classes[label] for label in labels.tolist()]}
        return cls(task.name, t, inputs, labels, features, task.classes, seen, still, _said=said)

    def answers(self, net: Network, moved: bool) -> tuple[Tensor, Tensor]:
        """F(x) and T(F(x)) of the network as it is now (call inside `evaluating` and no_grad).

        moved   whether a step has been made since `of`
        """
        if self._said is None or (moved and not self.still):
            self._said = None  # before the next is made, so that there is one at a time
            features = net.features(self.inputs)
            self._said = features, net.operator(features)
        return self._said

    def accuracy(self, net: Network, moved: bool = True) -> float:
        """M1 of the network as it is now."""
        return accuracy(net.heads[self.task](self.answers(net, moved)[1]), self.labels)

    def measure(self, net: Network, memory: Memory | None, moved: bool = True) -> dict[str, float]:
        """M2, M3, M1 and, where there is a code, E4 of the network as it is now (inside `evaluating` and no_grad)."""
        features, hidden = self.answers(net, moved)
        logits = net.heads[self.task](hidden)
        self.predicted = logits.argmax(dim=1)
        encoder = memory.encoder(self.task) if memory is not None else None
        if encoder is not None and (self._code_before is None or self._code_before[0] is not encoder):
            self._code_before = encoder, encoder(self.features_before)
        return {
            "feature_distance": feature_distance(features, self.features_before),
            "feature_norm": feature_norm(features),
            "code_distance": float("nan")
            if encoder is None
            else code_distance(encoder(features), self._code_before[1]).item(),
            "accuracy": accuracy(logits, self.labels),
        }


@dataclass
class Recorder:
    """Collects rows while a run goes on, so that an interrupted run loses none of them.

    log_every   optimiser steps between two measurements, and five times as often in the first `2 * log_every` steps,
                where the curves turn; 0 measures nothing but the accuracies after each task
    samples     held-out inputs a task that each measurement looks at; all of them where there are fewer
    log_predictions   whether to keep what each measurement saw: the label predicted for every one of these inputs
    dense       share of a stage, from its beginning, in which every step is measured: short dips are seen there
    """

    log_every: int = 20
    samples: int = 256
    log_predictions: bool = False
    dense: float = 0.0
    curve_rows: list[dict[str, Any]] = field(default_factory=list)
    accuracy_rows: list[dict[str, Any]] = field(default_factory=list)
    memory_rows: list[dict[str, Any]] = field(default_factory=list)
    prediction_rows: list[dict[str, Any]] = field(default_factory=list)  #: a row per logging step and old task

    def __post_init__(self):
        check_count(self.log_every, "log_every", low=0)
        check_count(self.samples, "samples")
        check_number(self.dense, "dense", high=1)

    def due(self, step: int, total: int) -> bool:
        """Whether to measure before this step, of so many."""
        if not self.log_every:
            return False
        if step < self.dense * total:
            return True
        early = step < 2 * self.log_every and step % max(1, self.log_every // 5) == 0
        return step == total or early or step % self.log_every == 0

    def measure(
        self,
        net: Network,
        probes: Sequence[Probe],
        new: Probe,
        memory: Memory | None,
        terms: Mapping[str, Term],
        **facts: Any,
    ) -> None:
        """Add a row per old task, or one row with an empty task while there is none."""
        losses, moved = _losses(terms), facts.get("step") != 0
        with evaluating(net), torch.no_grad():
            fresh = new.accuracy(net, moved)
            measured = [{"task": probe.name, **probe.measure(net, memory, moved)} for probe in probes] or [{"task": ""}]
        self.curve_rows += [{**facts, **row, "accuracy_new": fresh, **losses} for row in measured]
        if self.log_predictions:
            now = {name: facts[name] for name in PREDICTION_COLUMNS if name in facts}
            for probe in probes:
                predicted = [probe.classes[label] for label in probe.predicted.tolist()]
                self.prediction_rows.append({**now, "task": probe.name, **probe.seen, "predicted": predicted})

    def watching(
        self,
        net: Network,
        tasks: Sequence[Task],
        t: int,
        memory: Memory | None,
        stage: str,
        trained: nn.Module | None = None,
    ) -> Callable[[Any], None]:
        """A function of the loop's steps (`ebll.training.Step`) that measures where it is due.

        net      as it is before the stage: distances are from its features
        tasks    those of the sequence, of which task t is being learned
        stage    "warm-up" or "train"
        trained  the module that the stage trains, all of the network if None
        """
        still = trained is not None and set(trained.parameters()) <= set(net.heads.parameters())
        probes = [Probe.of(net, i, tasks[i], self.samples, still) for i in range(t)]
        new = Probe.of(net, t, tasks[t], self.samples, still)
        facts = {"training": tasks[t].name, "stage": stage}

        def observe(step: Any) -> None:
            if self.due(step.index, step.total):
                now = {"step": step.index, "learning_rate": step.learning_rate}
                self.measure(net, probes, new, memory, step.terms, **facts, **now)

        return observe

    def extend(self, other: Recorder) -> None:
        """Begin with another recorder's rows, those of the snapshot that a run branches from."""
        self.curve_rows += other.curve_rows
        self.accuracy_rows += other.accuracy_rows
        self.memory_rows += other.memory_rows
        self.prediction_rows += other.prediction_rows

    def add_accuracies(self, net: Network, tasks: Sequence[Task], t: int) -> None:
        """Add the row of the accuracy matrix that belongs to task t: test accuracy on every task learned so far."""
        self.accuracy_rows += [
            {"after": tasks[t].name, "task": task.name, "accuracy": measure_accuracy(net, i, task.test)}
            for i, task in enumerate(tasks[: t + 1])
        ]

    def add_memory(self, after: str, memory: Memory | None) -> None:
        """Add what the method keeps after a task: bytes, and its own report."""
        if memory is not None:
            self.memory_rows.append({"after": after, "bytes": memory.bytes(), **memory.report()})

    def curves(self) -> pd.DataFrame:
        """The rows so far; columns as at the top of this file, then those of a user's own terms."""
        import pandas as pd

        own = dict.fromkeys(name for row in self.curve_rows for name in row if name not in CURVE_COLUMNS)
        return pd.DataFrame(self.curve_rows, columns=[*CURVE_COLUMNS, *own])

    def predictions(self) -> pd.DataFrame:
        """The predictions so far, none unless `log_predictions`; columns as at the top of this file."""
        import pandas as pd

        table = pd.DataFrame(self.prediction_rows, columns=PREDICTION_COLUMNS)
        return table.explode(PREDICTION_COLUMNS[-3:], ignore_index=True).astype({"image": int})

    def accuracy(self) -> pd.DataFrame:
        """after, task, accuracy (0..1, test split): the accuracy matrix in long form."""
        import pandas as pd

        return pd.DataFrame(self.accuracy_rows, columns=ACCURACY_COLUMNS)

    def memory(self) -> pd.DataFrame:
        """after, bytes, and for the EBLL methods the newest autoencoder's losses and accuracies."""
        import pandas as pd

        return pd.DataFrame(self.memory_rows)


@dataclass
class Snapshot:
    """A network that has learned the first task, and the record of it: every method can branch from a copy."""

    net: Network
    recorder: Recorder
    net_name: str = "mlp"  #: as tables name it; "own" for a user's modules
    task: Task | None = None  #: runs that begin with this very object share what methods keep of it
    memories: dict[Any, Memory | None] = field(default_factory=dict)  #: by `ebll.protocol.shared_key`


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
    def predictions(self) -> pd.DataFrame:
        """A row per logging step, old task and held-out image, where `log_predictions`; see `ebll.recording`."""
        return self._with_facts(self.recorder.predictions())

    @property
    def kept(self) -> pd.DataFrame:
        """after, bytes, ...: what the method kept, and how well its newest autoencoder does."""
        return self._with_facts(self.recorder.memory())

    def accuracy_matrix(self) -> pd.DataFrame:
        """Row: after which task; column: which task; entry: test accuracy in 0..1, NaN for tasks not yet seen."""
        table = self.recorder.accuracy()
        matrix = table.pivot(index="after", columns="task", values="accuracy")
        return matrix.loc[table["after"].unique(), table["task"].unique()]

    def summary(self, single_task: Sequence[float] | None = None) -> pd.Series:
        """M4 to M7 of the accuracy matrix, in fractions; `forward_transfer` needs a reference.

        single_task  accuracy of a fresh network trained on each task alone, one a task in the order learned
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
        if single_task is not None:
            figures["forward_transfer"] = metrics.forward_transfer(matrix, single_task)
        return pd.Series(figures, name=self.method.name)

    def _with_facts(self, table: pd.DataFrame) -> pd.DataFrame:
        import pandas as pd

        facts = pd.DataFrame(self.facts, index=table.index)
        return pd.concat([facts, table], axis=1)


def sequence_id(net: str, tasks: Sequence[str]) -> str:
    """The name in the column `sequence`, such as mlp:letters-textures; joined by "+" where a task's name has a "-"."""
    return f"{net}:{('+' if any('-' in task for task in tasks) else '-').join(tasks)}"


def _losses(terms: Mapping[str, Term]) -> dict[str, float]:
    """The columns loss_* and raw_*, each summed over the old tasks; terms that the method lacks stay empty."""
    weighted = {name: term.weighted().item() for name, term in terms.items()}
    columns = {f"loss_{name}": value for name, value in weighted.items()}
    columns |= {f"raw_{name}": term.raw.sum().item() for name, term in terms.items()}
    return columns | ({"loss_total": sum(weighted.values())} if terms else {})
