"""What the benchmarks of steps are made of: tasks of noise, nets, and methods that stand ready to learn a task."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ebll.data import Split, Task
from ebll.methods import METHODS, EncoderMemory, Memory, Method, Targets
from ebll.networks import NetSpec, Network
from ebll.protocol import learn_first
from ebll.recording import Recorder
from ebll.training import Step, TrainSettings, train

__all__ = ["DoubleSplit", "Ready", "prepared", "random_task", "wide_mlp"]

IMAGES = 2048


def random_task(name: str, classes: int, seed: int, images: int = IMAGES) -> Task:
    """So many training images of noise: the cost of a step does not depend on what they show."""
    draw = torch.Generator().manual_seed(seed)
    pixels = torch.rand(images + 200, 1, 28, 28, generator=draw)
    labels = torch.arange(images + 200) % classes
    held_out = (pixels[images:], labels[images:])
    return Task.from_tensors(name, (pixels[:images], labels[:images]), held_out, held_out)


def wide_mlp(input_shape: tuple[int, ...]) -> tuple[nn.Module, nn.Module]:
    """784-256-256, the net that is compared with Avalanche's."""
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 256), nn.ReLU()), nn.Sequential(nn.Linear(256, 256), nn.ReLU())


class DoubleSplit(Split):
    """A split in double precision, where two implementations can be compared closely; `Split` takes single only."""

    def __post_init__(self) -> None:
        """Takes any type."""

    def take(self, indices: Tensor) -> DoubleSplit:
        """The rows `indices` as a split of their own."""
        return DoubleSplit(self.inputs[indices], self.labels[indices])


@dataclass(frozen=True)
class Ready:
    """A method about to learn task t: the network with its new head, its memory, and the targets recorded before."""

    method: Method
    net: Network
    memory: Memory | None
    targets: Targets
    task: Task
    t: int = 1

    def learn(self, steps: int, batch: int, rate: float = 1e-4, observe: Callable[[Step], Any] | None = None) -> None:
        """Go on for so many steps, which must be whole epochs, through the loop that a user's run takes."""
        epochs = steps // -(-len(self.task.train) // batch)
        settings = TrainSettings(epochs=epochs, batch_size=batch, learning_rate=rate, drop_at=1.0)
        options = {"settings": settings, "memory": self.memory, "targets": self.targets}
        for step in train(self.net, self.method, self.t, {self.t: self.task}, **options):
            if observe:
                observe(step)

    def in_double(self) -> Ready:
        """The same in double precision, its targets recorded anew."""
        split, net, memory = self.task.train, copy.deepcopy(self.net).double(), self.memory
        task = dataclasses.replace(self.task, train=DoubleSplit(split.inputs.double(), split.labels))
        if isinstance(memory, EncoderMemory):
            memory = EncoderMemory(tuple(copy.deepcopy(encoder).double() for encoder in memory.encoders), {})
        targets = self.method.record_targets(net, self.t, task.train.inputs, memory)
        return dataclasses.replace(self, net=net, memory=memory, targets=targets, task=task)


def prepared(net: NetSpec, batch: int, device: str, names: Iterable[str]) -> dict[str, Ready]:
    """Each method with a network that has learned a task of 26 classes, about to learn one of 10."""
    old, new = (random_task(*facts, images=IMAGES).to(device) for facts in (("old", 26, 0), ("new", 10, 1)))
    quick = TrainSettings(epochs=1, batch_size=batch, learning_rate=1e-3)
    start = learn_first([old], net=net, settings=quick, device=device, recorder=Recorder(log_every=0))
    ready = {}
    for name in names:
        method, network = METHODS[name](), copy.deepcopy(start.net)
        memory = method.consolidate(network, 0, old, None, 0)
        network.add_head(new.class_count)
        targets = method.record_targets(network, 1, new.train.inputs, memory)
        ready[name] = Ready(method, network, memory, targets, new)
    return ready
