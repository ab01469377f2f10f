"""Avalanche's side: a process that trains when it is told to, and says how long it took and what came out.

It runs in Avalanche's own environment and imports nothing of ebll. A line of JSON comes in for each order, and one goes
out.
"""

from __future__ import annotations

import json
import sys
import time

import numpy as np
import torch
from avalanche.benchmarks.scenarios.deprecated.generic_benchmark_creation import (
    create_generic_benchmark_from_tensor_lists,
)
from avalanche.models import MultiHeadClassifier, MultiTaskModule
from avalanche.training.plugins import EvaluationPlugin, SupervisedPlugin
from avalanche.training.supervised import EWC, LwF, Naive
from torch import nn


class TwoLayers(MultiTaskModule):
    """784-256-256 and a head a task."""

    def __init__(self, sizes: list[int], classes: int):
        super().__init__()
        inputs, first, second = sizes
        self.features = nn.Sequential(nn.Linear(inputs, first), nn.ReLU())
        self.operator = nn.Sequential(nn.Linear(first, second), nn.ReLU())
        self.classifier = MultiHeadClassifier(second, initial_out_features=classes, masking=False)

    def forward(self, x, task_labels):
        """Logits of the heads that the labels ask for."""
        return self.classifier(self.operator(self.features(x)), task_labels)


class Eyes(SupervisedPlugin):
    """Sets the new head's weights as ebll's, keeps the losses, and times the epoch."""

    def __init__(self, heads: list[tuple[torch.Tensor, torch.Tensor]]):
        super().__init__()
        self.heads, self.losses, self.seconds, self.begun = heads, [], 0.0, 0.0
        self.watching = False

    def before_training_exp(self, strategy, **_):
        """The head is there by now. Momentum begins anew with a task, as in ebll; Avalanche would carry it on."""
        strategy.optimizer.state.clear()
        task = strategy.experience.current_experience
        head = strategy.model.classifier.classifiers[str(task)].classifier
        weight, bias = self.heads[task]
        with torch.no_grad():
            head.weight.copy_(weight)
            head.bias.copy_(bias)

    def before_training_epoch(self, strategy, **_):
        """The clock starts."""
        self.begun = time.perf_counter()

    def after_training_epoch(self, strategy, **_):
        """The clock stops."""
        self.seconds = time.perf_counter() - self.begun

    def before_backward(self, strategy, **_):
        """The class loss, before LwF or EWC add theirs."""
        if self.watching:
            self.losses.append(strategy.loss.item())


def run(order: dict) -> dict:
    """Learn two tasks from given weights; the second is what is timed."""
    data = np.load(order["data"])
    tensors = [(torch.from_numpy(data[f"x{t}"]), torch.from_numpy(data[f"y{t}"])) for t in range(2)]
    torch.set_default_dtype(tensors[0][0].dtype)  # of the model, and of the heads that Avalanche adds
    few = [(x[:8], y[:8]) for x, y in tensors]
    scenario = create_generic_benchmark_from_tensor_lists(train_tensors=tensors, test_tensors=few, task_labels=[0, 1])
    model = TwoLayers(order["sizes"], order["classes"])
    with torch.no_grad():
        for name, layer in (("f", model.features[0]), ("o", model.operator[0])):
            layer.weight.copy_(torch.from_numpy(data[f"{name}w"]))
            layer.bias.copy_(torch.from_numpy(data[f"{name}b"]))
    heads = [tuple(torch.from_numpy(data[f"h{t}{part}"]) for part in "wb") for t in range(2)]
    eyes = Eyes(heads)
    eyes.watching = order["losses"]
    optimizer = torch.optim.SGD(
        model.parameters(), lr=order["rate"], momentum=order["momentum"], weight_decay=order["decay"]
    )
    options = dict(
        model=model, optimizer=optimizer, criterion=nn.CrossEntropyLoss(), train_mb_size=order["batch"],
        train_epochs=1, plugins=[eyes], evaluator=EvaluationPlugin(),
    )  # fmt: skip
    if order["method"] == "lwf":
        strategy = LwF(alpha=order["weight"], temperature=order["temperature"], **options)
    elif order["method"] == "ewc":
        strategy = EWC(ewc_lambda=order["weight"], mode="separate", **options)
    else:
        strategy = Naive(**options)
    for experience in scenario.train_stream:
        eyes.losses.clear()
        begun = time.perf_counter()
        strategy.train(experience, shuffle=False, drop_last=False)
        whole = time.perf_counter() - begun
    np.savez(order["out"], **{name: value.detach().numpy() for name, value in model.state_dict().items()})
    return {"seconds": eyes.seconds, "whole": whole, "losses": eyes.losses}


def main() -> None:
    """Orders in, answers out, until the input ends."""
    threads = int(sys.argv[1])
    torch.set_num_threads(threads)
    answers, sys.stdout = sys.stdout, sys.stderr  # what the library prints must not come between
    print(json.dumps({"ready": True}), file=answers, flush=True)
    for line in sys.stdin:
        print(json.dumps(run(json.loads(line))), file=answers, flush=True)


if __name__ == "__main__":
    main()
