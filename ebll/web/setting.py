"""What the lab in the page trains, in the kit: images of 14 x 14, the net 196-64-32, its settings as a line of code.

run('new="mnist", alpha=1.0').curves      # the line that the page shows
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from ebll.comparison import Comparison, compare
from ebll.config import NEW_TASK_IMAGES, RunConfig
from ebll.data import Task
from ebll.data.catalog import load_cut
from ebll.data.task import SPLITS
from ebll.errors import InputError
from ebll.protocol import learn_first
from ebll.recording import Recorder, Snapshot
from ebll.settings import TrainSettings, as_in, setting
from ebll.widgets.config import WidgetConfig

__all__ = [
    "CODE_SIZES",
    "DEMONSTRATION",
    "FIRST",
    "HELD",
    "METHODS",
    "NEW_TASKS",
    "SIDE",
    "WebConfig",
    "first",
    "run",
    "small",
    "small_net",
]

FIRST, NEW_TASKS, METHODS = "letters", ("mnist", "digits", "textures"), ("finetune", "lwf", "ebll", "ebll-separate")
SIDE, LEVELS = 14, 16  # pixels, and grey values, which halve the file and leave the accuracies where they are
CODE_SIZES = (4, 8, 16, 32)
HELD = 260  # validation images a task at most, for the curves: in the page, what is measured waits for them
DEMONSTRATION = {"learning_rate": 0.05, "epochs": 8, "distill_weight": 0.1, "alpha": 10.0}
"""Where the page opens: an effect large enough to be seen in one run (`python -m benchmarks.web_regime`)."""
LEARNED = TrainSettings(first_epochs=16, learning_rate=0.05)  # the first task


@dataclass(frozen=True)
class WebConfig(WidgetConfig):
    """The settings of the lab in the page; `ebll.web.run` does with them in the kit what the page does.

    The defaults are the tuned setting (`python -m benchmarks.web_regime`).
    """

    call, widget = "ebll.web.run", "lab"

    new: str = setting("textures", "Task that is learned second.", choices=(*NEW_TASKS, "own"))
    alpha: float = as_in(RunConfig, "alpha", 30.0, high=1e6)
    distill_weight: float = as_in(RunConfig, "distill_weight", 3.0, high=1e6)
    temperature: float = as_in(RunConfig, "temperature", high=1e3)
    learning_rate: float = as_in(RunConfig, "learning_rate", high=1e3)
    code_size: int = as_in(RunConfig, "code_size", 16, high=63)
    epochs: int = as_in(RunConfig, "epochs", high=100)
    seed: int = setting(0, "Decides the new head's start and the order of the images.", high=2**31)


def small_net(input_shape: tuple[int, ...]) -> tuple[nn.Module, nn.Module]:
    """Inputs - 64 (F) - 32 (T): the built-in MLP in small."""
    size = int(torch.Size(input_shape).numel())
    features = nn.Sequential(nn.Flatten(), nn.Linear(size, 64), nn.ReLU())
    return features, nn.Sequential(nn.Linear(64, 32), nn.ReLU())


def halved(images: Tensor) -> Tensor:
    """Means of 2 x 2 pixels in 16 grey values: (n, 1, 28, 28) in 0..1 -> uint8 (n, 1, 14, 14), multiples of 17."""
    steps = LEVELS - 1
    return (functional.avg_pool2d(images, 2) * steps).round().clamp(0, steps).to(torch.uint8) * (255 // steps)


@functools.cache
def small(name: str) -> Task:
    """A task of the kit with images of 14 x 14; a new task has as many training images as in the kit's runs."""
    task = load_cut(name, 0 if name == FIRST else NEW_TASK_IMAGES)
    parts = {split: getattr(task, split) for split in SPLITS}
    pairs = {split: (halved(task.restored(part.inputs)), part.labels) for split, part in parts.items()}
    return Task.from_tensors(name, **pairs, classes=task.classes, source=task.source, licence=task.licence)


@functools.cache
def first() -> Snapshot:
    """The network that has learned the letters: that of the page, whose seed is 0."""
    return learn_first([small(FIRST)], net=small_net, settings=LEARNED, recorder=Recorder(log_every=0))


def run(
    config: str | WebConfig = "", *, methods: Iterable[str] = METHODS, log_every: int = 5, **settings: float | str
) -> Comparison:
    """Learn the page's new task with fine-tuning, LwF and both forms of EBLL, from the page's first network.

    config    a `WebConfig`, or a line such as the page shows
    methods   of the kit by name
    settings  of `WebConfig` by name
    returns   their tables; they differ from the page's as seeds do, since the page has random numbers of its own and
              its encoders are those of seed 0
    """
    config = WebConfig.read(config, **settings)
    if config.new == "own":
        raise InputError("A task drawn in the page stays there. Choose new='mnist', 'digits' or 'textures'.")
    base = RunConfig(
        tasks=(FIRST, config.new), alpha=config.alpha, distill_weight=config.distill_weight,
        temperature=config.temperature, code_size=config.code_size, learning_rate=config.learning_rate,
        epochs=config.epochs, seed=config.seed,
    )  # fmt: skip
    named = {name: base.replace(method=name).made_method() for name in methods}
    pair, starts = [small(FIRST), small(config.new)], {config.seed: first()}
    options = {"settings": base.train, "seeds": [config.seed], "log_every": log_every, "samples": HELD}
    return compare(pair, named, net=small_net, starts=starts, **options)
