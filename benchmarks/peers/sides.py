"""The same work on both sides: one net, one start, one order of batches, by ebll here and by Avalanche in its process.

`agreement` compares losses and weights before anything is timed.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from ebll.data import Split, Task
from ebll.methods import EBLL, EWC, Finetune, LwF, Method
from ebll.nets import Network
from ebll.seeds import generator
from ebll.training import TrainSettings, train

SIZES, CLASSES, BATCH = [784, 256, 256], 10, 128
IMAGES = 100 * BATCH
SETTINGS = TrainSettings(epochs=1, batch_size=BATCH, learning_rate=0.01, momentum=0.9, weight_decay=0.0, drop_at=1.0)
METHODS: dict[str, Method] = {
    "naive": Finetune(),
    "lwf": LwF(distill_weight=1.0, temperature=2.0),
    "ewc": EWC(ewc_strength=2.0, fisher="empirical", fisher_samples=IMAGES),  # Avalanche takes all of them
    "ebll": EBLL(distill_weight=1.0, temperature=2.0),
}
PEERS = {"naive": "naive", "lwf": "lwf", "ewc": "ewc", "ebll": "lwf"}  # Avalanche has no EBLL: LwF stands against it


def made_data(seed: int = 0) -> dict[str, np.ndarray]:
    """Two tasks of random inputs whose labels a net can learn, and the weights that both sides begin with."""
    draw = np.random.default_rng(seed)
    data: dict[str, np.ndarray] = {}
    for t in range(2):
        data[f"x{t}"] = draw.normal(size=(IMAGES, SIZES[0])).astype("float32")
        teacher = draw.normal(size=(SIZES[0], CLASSES)).astype("float32")
        data[f"y{t}"] = (data[f"x{t}"] @ teacher).argmax(axis=1).astype("int64")
    shapes = {"f": SIZES[1::-1], "o": SIZES[2:0:-1], "h0": [CLASSES, SIZES[2]], "h1": [CLASSES, SIZES[2]]}
    for name, (out, size) in shapes.items():
        data[f"{name}w"] = (draw.normal(size=(out, size)) / np.sqrt(size)).astype("float32")
        data[f"{name}b"] = np.zeros(out, dtype="float32")
    return data


def in_our_order(data: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The data in the order in which our loop will draw it, for a loader that does not shuffle."""
    moved = dict(data)
    for t in range(2):
        order = torch.randperm(IMAGES, generator=generator(0, "batches", t, t)).numpy()
        moved |= {f"x{t}": data[f"x{t}"][order], f"y{t}": data[f"y{t}"][order]}
    return moved


def ours(name: str, data: dict[str, np.ndarray], losses: bool) -> dict[str, Any]:
    """Both tasks by ebll; seconds of the second one's epoch, and of all that belongs to it."""
    method, tasks = METHODS[name], [_task(data, t) for t in range(2)]
    net, seen = _network(data), []

    def observe(step: int, total: int, terms: Any, rate: float) -> None:
        if terms:
            seen.append(terms["task"].weighted().item())

    _add_head(net, data, 0)
    train(net, Finetune(), 0, {0: tasks[0]}, settings=SETTINGS)
    memory = method.after_task(net, 0, tasks[0], None, 0)
    _add_head(net, data, 1)
    begun = time.perf_counter()
    recorded = method.before_task(net, 1, tasks[1].train.inputs, memory)
    middle = time.perf_counter()
    options = {"settings": SETTINGS, "memory": memory, "recorded": recorded, "observe": observe if losses else None}
    train(net, method, 1, {1: tasks[1]}, **options)
    end = time.perf_counter()
    method.after_task(net, 1, tasks[1], memory, 0)
    return {"seconds": end - middle, "whole": time.perf_counter() - begun, "losses": seen, "net": net}


def _task(data: dict[str, np.ndarray], t: int) -> Task:
    whole = Split(torch.from_numpy(data[f"x{t}"]), torch.from_numpy(data[f"y{t}"]))
    few = whole.take(torch.arange(64))
    return Task(f"task{t}", tuple(map(str, range(CLASSES))), whole, few, few)


def _network(data: dict[str, np.ndarray]) -> Network:
    first, second = nn.Linear(*SIZES[:2]), nn.Linear(*SIZES[1:])
    for layer, name in ((first, "f"), (second, "o")):
        _set(layer, data, name)
    return Network(nn.Sequential(first, nn.ReLU()), nn.Sequential(second, nn.ReLU()), (SIZES[0],))


def _add_head(net: Network, data: dict[str, np.ndarray], t: int) -> None:
    net.add_head(CLASSES)
    _set(net.heads[t], data, f"h{t}")


def _set(layer: nn.Linear, data: dict[str, np.ndarray], name: str) -> None:
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(data[f"{name}w"]))
        layer.bias.copy_(torch.from_numpy(data[f"{name}b"]))


class Peer:
    """The process of the other side."""

    def __init__(self, python: str, threads: int, folder: Path):
        worker = Path(__file__).with_name("avalanche_worker.py")
        self.faults = (folder / "faults.txt").open("w+")
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": self.faults, "text": True}
        self.process = subprocess.Popen([python, str(worker), str(threads)], **pipes)
        self.folder = folder
        self._answer()

    def run(self, name: str, losses: bool) -> dict[str, Any]:
        """One order, one answer."""
        order = {
            "method": PEERS[name], "data": str(self.folder / "data.npz"), "out": str(self.folder / "out.npz"),
            "sizes": SIZES, "classes": CLASSES, "batch": BATCH, "rate": SETTINGS.learning_rate,
            "momentum": SETTINGS.momentum, "decay": SETTINGS.weight_decay, "weight": 1.0, "temperature": 2.0,
            "losses": losses,
        }  # fmt: skip
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        line = self.process.stdout.readline()
        if not line:
            self.faults.seek(0)
            raise SystemExit(f"Avalanche's side ended:\n{self.faults.read()[-2000:]}")
        return json.loads(line)

    def weights(self) -> np.ndarray:
        """F's weights at the end of the last order."""
        return np.load(self.folder / "out.npz")["features.0.weight"]


@contextmanager
def peer(python: str, threads: int, data: dict[str, np.ndarray]) -> Iterator[Peer]:
    """The other side, ready to take orders."""
    with tempfile.TemporaryDirectory() as folder:
        np.savez(Path(folder) / "data.npz", **in_our_order(data))
        other = Peer(python, threads, Path(folder))
        try:
            yield other
        finally:
            other.process.stdin.close()
            other.process.wait()


def agreement(name: str, data: dict[str, np.ndarray], other: Peer) -> dict[str, float]:
    """Largest difference of the class losses over the second task's steps, and of F's weights at the end.

    EWC's importances differ by definition (Avalanche squares the mean gradient of a batch), so there only the first
    step can agree.
    """
    mine, theirs = ours(name, data, True), other.run(name, True)
    first = abs(mine["losses"][0] - theirs["losses"][0])
    every = max(abs(a - b) for a, b in zip(mine["losses"], theirs["losses"], strict=True))
    weights = mine["net"].features[0][0].weight.detach().numpy()
    return {"first loss": first, "every loss": every, "weights": float(np.abs(weights - other.weights()).max())}
