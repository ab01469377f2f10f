"""What a user's type checker sees: calls of the public names, for `mypy` alone (`make lint`); never run."""

from collections.abc import Iterator
from pathlib import Path
from typing import assert_type

import matplotlib.figure
import pandas as pd
import torch
from torch import Tensor, nn

import ebll


def data() -> list[ebll.Task]:
    letters = ebll.load_task("letters")
    own = ebll.Task.from_tensors("own", (torch.zeros(4, 8), [0, 1, 0, 1]), (torch.zeros(2, 8), [0, 1]))
    folder = ebll.Task.from_folder(Path("leaves"), size=28, validation_fraction=0.2)
    assert_type(own, ebll.Task)
    assert_type(letters.train, ebll.Split)
    assert_type(letters.train.inputs, Tensor)
    assert_type(ebll.task_table(), pd.DataFrame)
    return [letters.subset(100, seed=1).to("cpu"), own, folder]


def runs(tasks: list[ebll.Task]) -> None:
    settings = ebll.TrainSettings(epochs=1, learning_rate=0.1)
    start = ebll.learn_first(tasks, net="mlp", settings=settings, seed=0)
    assert_type(start, ebll.Snapshot)
    run = ebll.run_sequence(tasks, ebll.EBLL(alpha=(3.0, 1.0), distill_weight=2.0), settings=settings, start=start)
    assert_type(run, ebll.Run)
    assert_type(run.curves, pd.DataFrame)
    assert_type(run.accuracy_matrix(), pd.DataFrame)
    assert_type(run.summary(), pd.Series)
    made = ebll.compare(tasks, ["finetune", ebll.LwF(temperature=2.0)], seeds=range(2), starts={0: start})
    assert_type(made.runs["lwf", 0], ebll.Run)
    assert_type(ebll.compare(tasks, {"weak": ebll.EWC(ewc_strength=1.0)}).accuracy, pd.DataFrame)
    config = ebll.RunConfig(tasks=("letters", "mnist"), alpha=1.0).replace(seed=1)
    assert_type(config, ebll.RunConfig)
    found = ebll.sweep({"alpha": [0.3, 1.0]}, store=Path("out"), workers=1)
    assert_type(found.table, pd.DataFrame)


def loop(net: ebll.Network, tasks: list[ebll.Task]) -> None:
    method = ebll.EBLL()
    for step in ebll.training.train(net, method, 1, {1: tasks[1]}, settings=ebll.TrainSettings(), seed=0):
        assert_type(step.index, int)
        assert_type(step.learning_rate, float)
        step.method = method.replace(alpha=0.0)


def networks() -> ebll.Network:
    pair = nn.Linear(8, 4), nn.Identity()
    assert_type(ebll.build_network(lambda shape: pair, (8,)), ebll.Network)
    net = ebll.build_network(pair, (8,), seed=1)
    net.add_head(2)
    fit = ebll.fit_autoencoder(torch.zeros(4, 4), torch.zeros(4), net.heads[0], ebll.AutoencoderSettings(code_size=2))
    assert_type(fit.autoencoder, ebll.Autoencoder)
    assert_type(fit.accuracy_direct, float)
    return net


def numbers(logits: Tensor, labels: Tensor, matrix: pd.DataFrame) -> None:
    assert_type(ebll.losses.class_loss(logits, labels), Tensor)
    assert_type(ebll.losses.code_distance(logits, logits), Tensor)
    assert_type(ebll.metrics.accuracy(logits, labels), float)
    assert_type(ebll.metrics.forgetting(matrix), float)
    assert_type(ebll.metrics.confidence_interval([1.0, 2.0]), tuple[float, float, float])


def figures(run: ebll.Run) -> None:
    figure = ebll.plots.feature_distance(run.curves)
    assert_type(figure, matplotlib.figure.Figure)
    ebll.plots.save(figure, Path("figures") / "feature-distance")


def widgets() -> None:
    ebll.widgets.forgetting_lab(alpha=1.0)
    ebll.widgets.submanifold_explorer()
    assert_type(ebll.LabConfig(new="mnist"), ebll.LabConfig)
    assert_type(ebll.web.Lab(state="new=mnist").state, str)


class Own(ebll.methods.Method):
    name = "own"
    label = "My own"

    def loss_terms(self, net: ebll.Network, batches: object, memory: object) -> dict[str, ebll.methods.Term]:
        return {}


def refused(tasks: list[ebll.Task]) -> Iterator[object]:
    """Each line is a slip that the hints must show: mypy tells of an ignore that is not needed."""
    yield ebll.load_task(3)  # type: ignore[arg-type]
    yield ebll.run_sequence(tasks, 3.0)  # type: ignore[arg-type]
    yield ebll.learn_first(tasks, seeds=3)  # type: ignore[call-arg]
    yield ebll.metrics.forgetting()  # type: ignore[call-arg]
    yield ebll.no_such_name  # type: ignore[attr-defined]
