"""The same work on both sides: one net, one start, one order of batches, by ebll here and by Avalanche in its process.

Either side can do it in single precision, where it is timed, and in double, where `agreement` compares it.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks.made import DoubleSplit, Ready
from ebll.data import Task
from ebll.methods import EBLL, EWC, Finetune, LwF, Method
from ebll.networks import Network
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
TOLERANCE = 1e-10  # of losses and weights after all steps, in double precision

Arrays = dict[str, np.ndarray]


def made_data(seed: int = 0) -> Arrays:
    """Two tasks of random inputs whose labels a net can learn, and the weights that both sides begin with."""
    draw = np.random.default_rng(seed)
    data: Arrays = {}
    for t in range(2):
        data[f"x{t}"] = draw.normal(size=(IMAGES, SIZES[0]))
        data[f"y{t}"] = (data[f"x{t}"] @ draw.normal(size=(SIZES[0], CLASSES))).argmax(axis=1).astype("int64")
    shapes = {"f": SIZES[1::-1], "o": SIZES[2:0:-1], "h0": [CLASSES, SIZES[2]], "h1": [CLASSES, SIZES[2]]}
    for name, (out, size) in shapes.items():
        data[f"{name}w"] = draw.normal(size=(out, size)) / np.sqrt(size)
        data[f"{name}b"] = np.zeros(out)
    return data


def in_single(data: Arrays) -> Arrays:
    """The same data and weights, rounded to single precision."""
    return {name: value.astype("float32") if value.dtype == "float64" else value for name, value in data.items()}


def in_our_order(data: Arrays) -> Arrays:
    """The data in the order in which our loop will draw it, for a loader that does not shuffle."""
    moved = dict(data)
    for t in range(2):
        order = torch.randperm(IMAGES, generator=generator(0, "batches", t, t)).numpy()
        moved |= {f"x{t}": data[f"x{t}"][order], f"y{t}": data[f"y{t}"][order]}
    return moved


def begun(name: str, data: Arrays) -> Ready:
    """Our side with the first task learned and the second one's head in place; nothing is recorded yet."""
    method, tasks = METHODS[name], [_task(data, t) for t in range(2)]
    net = _network(data)
    _add_head(net, data, 0)
    for _ in train(net, Finetune(), 0, {0: tasks[0]}, settings=SETTINGS):
        pass
    memory = method.consolidate(net, 0, tasks[0], None, 0)
    _add_head(net, data, 1)
    return Ready(method, net, memory, {}, tasks[1])


def targets(ready: Ready) -> Ready:
    """The same with what the method records of the second task's inputs."""
    return replace(ready, targets=ready.method.record_targets(ready.net, 1, ready.task.train.inputs, ready.memory))


def epoch(ready: Ready, losses: list[float] | None = None) -> None:
    """The second task's epoch; the class loss of each step is appended to `losses`."""
    options = {"settings": SETTINGS, "memory": ready.memory, "targets": ready.targets}
    for step in train(ready.net, ready.method, 1, {1: ready.task}, **options):
        if step.terms and losses is not None:
            losses.append(step.terms["task"].weighted().item())


def ours(name: str, data: Arrays) -> dict[str, float]:
    """Seconds of the second task's epoch by ebll, and of all that belongs to it."""
    first = begun(name, data)
    start = time.perf_counter()
    ready = targets(first)
    middle = time.perf_counter()
    epoch(ready)
    end = time.perf_counter()
    ready.method.consolidate(ready.net, 1, ready.task, ready.memory, 0)
    return {"seconds": end - middle, "whole": time.perf_counter() - start}


def _task(data: Arrays, t: int) -> Task:
    whole = DoubleSplit(torch.from_numpy(data[f"x{t}"]), torch.from_numpy(data[f"y{t}"]))
    few = whole.take(torch.arange(64))
    return Task(f"task{t}", tuple(map(str, range(CLASSES))), whole, few, few)


def _network(data: Arrays) -> Network:
    first, second = nn.Linear(*SIZES[:2]), nn.Linear(*SIZES[1:])
    net = Network(nn.Sequential(first, nn.ReLU()), nn.Sequential(second, nn.ReLU()), (SIZES[0],))
    for layer, name in ((first, "f"), (second, "o")):
        _set(layer, data, name)
    return net


def _add_head(net: Network, data: Arrays, t: int) -> None:
    net.add_head(CLASSES)
    _set(net.heads[t], data, f"h{t}")


def _set(layer: nn.Linear, data: Arrays, name: str) -> None:
    for part, value in (("weight", data[f"{name}w"]), ("bias", data[f"{name}b"])):
        setattr(layer, part, nn.Parameter(torch.from_numpy(value.copy())))


class Peer:
    """The process of the other side."""

    def __init__(self, python: str, threads: int, folder: Path):
        worker = Path(__file__).with_name("avalanche_worker.py")
        self.faults = (folder / "faults.txt").open("w+")
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": self.faults, "text": True}
        self.process = subprocess.Popen([python, str(worker), str(threads)], **pipes)
        self.folder = folder
        self._answer()

    def run(self, name: str, precision: str = "single", losses: bool = False) -> dict[str, Any]:
        """One order, one answer."""
        order = {
            "method": PEERS[name], "data": str(self.folder / f"{precision}.npz"), "out": str(self.folder / "out.npz"),
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

    def weights(self) -> list[np.ndarray]:
        """Of F and T at the end of the last order."""
        with np.load(self.folder / "out.npz") as saved:
            return [saved[f"{layer}.0.weight"] for layer in ("features", "operator")]


@contextmanager
def peer(python: str, threads: int, data: Arrays) -> Iterator[Peer]:
    """The other side, ready to take orders on this data in either precision."""
    with tempfile.TemporaryDirectory() as folder:
        moved = in_our_order(data)
        for name, arrays in (("double", moved), ("single", in_single(moved))):
            np.savez(Path(folder) / f"{name}.npz", **arrays)
        other = Peer(python, threads, Path(folder))
        try:
            yield other
        finally:
            other.process.stdin.close()
            other.process.wait()


def agreement(name: str, data: Arrays, other: Peer) -> float:
    """The largest difference of the second task's class losses, and of F's and T's weights at its end.

    data     in double precision; single precision rounds differently wherever products are added up in another order
    raises   `SystemExit` where the sides do not do the same work

    EWC's importances differ by definition (Avalanche squares the mean gradient of a batch), so there only the loss of
    the first step is compared.
    """
    ready, losses = targets(begun(name, data)), []
    epoch(ready, losses)
    theirs = other.run(name, "double", losses=True)["losses"]
    found = {"first loss": abs(losses[0] - theirs[0])}
    if name != "ewc":
        found["every loss"] = float(np.abs(np.subtract(losses, theirs)).max())
        mine = [part[0].weight.detach().numpy() for part in (ready.net.features[0], ready.net.operator)]
        found["weights"] = max(float(np.abs(a - b).max()) for a, b in zip(mine, other.weights(), strict=True))
    return checked(name, found)


def checked(name: str, found: dict[str, float]) -> float:
    """The largest of the differences.

    raises   `SystemExit` where one is too large
    """
    if not all(value <= TOLERANCE for value in found.values()):
        raise SystemExit(f"{name}: the sides do not do the same work: {found}, tolerance {TOLERANCE}.")
    return max(found.values())
