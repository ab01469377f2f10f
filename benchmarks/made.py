"""What the benchmarks of steps are made of: tasks of noise, a net, and methods that stand ready to learn a task."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from ebll.data import Task
from ebll.methods import Memory, Method, Recorded
from ebll.nets import Network
from ebll.training import TrainSettings, train

__all__ = ["Ready", "random_task", "wide_mlp"]


def random_task(name: str, classes: int, seed: int, images: int = 2048) -> Task:
    """So many training images of noise: the cost of a step does not depend on what they show."""
    draw = torch.Generator().manual_seed(seed)
    pixels = torch.rand(images + 200, 1, 28, 28, generator=draw)
    labels = torch.arange(images + 200) % classes
    held_out = (pixels[images:], labels[images:])
    return Task.from_tensors(name, (pixels[:images], labels[:images]), held_out, held_out)


def wide_mlp(input_shape: tuple[int, ...]) -> tuple[nn.Module, nn.Module]:
    """784-256-256, the net that other libraries' timings are compared on."""
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 256), nn.ReLU()), nn.Sequential(nn.Linear(256, 256), nn.ReLU())


@dataclass(frozen=True)
class Ready:
    """A method about to learn task t: the network with its new head, what is kept, and what was recorded before."""

    method: Method
    net: Network
    memory: Memory | None
    recorded: Recorded
    task: Task
    t: int = 1

    def learn(self, steps: int, batch: int) -> None:
        """Go on for so many steps, which must be whole epochs, through the loop that a user's run takes."""
        epochs = steps // -(-len(self.task.train) // batch)
        settings = TrainSettings(epochs=epochs, batch_size=batch, learning_rate=1e-4)
        options = {"settings": settings, "memory": self.memory, "recorded": self.recorded}
        train(self.net, self.method, self.t, {self.t: self.task}, **options)
