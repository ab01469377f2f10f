"""What every notebook of the course begins with: a look at the environment, and how much to compute.

lesson = ebll.lesson.setup("fast")
letters, mnist = lesson.load("letters", "mnist")
made = ebll.compare([letters, mnist], lesson.methods("mlp", "lwf", "ebll"), **lesson.options("mlp"))
"""

from __future__ import annotations

import inspect
import textwrap
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from IPython.display import DisplayHandle, display

from ebll.config import NEW_TASK_IMAGES, PRESETS
from ebll.data import Task, load_task
from ebll.environment import check_environment, versions
from ebll.errors import check_choice
from ebll.methods import Method

__all__ = ["PROFILES", "Lesson", "examples", "progress", "say", "setup", "source"]

PROFILES = {"fast": 3, "full": 10}
"""Profile -> seeds: "fast" is for a lecture on two cores; "full" also takes a GPU and every image of the new tasks."""


@dataclass(frozen=True)
class Lesson:
    """How much a notebook computes, and on what."""

    profile: str
    seeds: range  #: of the runs; means and bands are over these
    device: str  #: "cpu" or "cuda"
    images: int | None  #: training images of every task but the first, so that they do not differ in size; None: all

    def load(self, first: str, *later: str) -> list[Task]:
        """Tasks by name on the lesson's device; of those after the first only `images` training images."""
        tasks = [load_task(first), *(self._cut(load_task(name)) for name in later)]
        return [task.to(self.device) for task in tasks]

    def methods(self, net: str, *names: str) -> dict[str, Method]:
        """Methods with the settings that were chosen for a net on validation data (docs/settings.md)."""
        return {name: PRESETS[check_choice(net, PRESETS, "Net")].method(name) for name in names}

    def options(self, net: str) -> dict[str, Any]:
        """What `ebll.compare` takes besides tasks and methods: net, its settings, seeds, device and progress."""
        settings = PRESETS[check_choice(net, PRESETS, "Net")].train
        return {"net": net, "settings": settings, "seeds": self.seeds, "device": self.device, "progress": progress()}

    def _cut(self, task: Task) -> Task:
        return task if self.images is None else task.subset(self.images)


def setup(profile: str = "fast") -> Lesson:
    """Check the installed packages, fix the number of threads, and say what is here.

    profile  "fast": three seeds on the processor; "full": ten seeds, all images, and the GPU where there is one
    raises   `EbllError` in words where a package is missing or too old
    """
    check_environment()
    count = PROFILES[check_choice(profile, PROFILES, "Profile")]
    torch.set_num_threads(1)  # nets this small gain nothing from more, and numbers repeat for one count only
    full = profile == "full"
    lesson = Lesson(
        profile,
        range(count),
        "cuda" if full and torch.cuda.is_available() else "cpu",
        None if full else NEW_TASK_IMAGES,
    )
    print(versions("ebll", "torch", "torchvision", "pandas", "matplotlib", "ipykernel"))
    print(f"profile {profile}: {count} seeds on the {'GPU' if lesson.device == 'cuda' else 'processor'}")
    return lesson


def examples(*tasks: Task, count: int = 10) -> dict[str, tuple[np.ndarray, list[str]]]:
    """One training image of each of the first `count` classes, as `ebll.plots.task_images` takes them.

    returns  name of the task -> (images (classes, height, width) in 0..1, names of the classes)
    """
    shown = {}
    for task in tasks:
        labels = task.train.labels.cpu()
        rows = [int((labels == label).nonzero()[0]) for label in range(min(count, task.class_count))]
        shown[task.name] = (task.restored(task.train.inputs[rows])[:, 0].cpu().numpy(), list(task.classes[:count]))
    return shown


def progress() -> Callable[[int, int, str], None]:
    """A callback for `ebll.compare` that keeps one line below the cell: runs done, and the time left."""
    handle: DisplayHandle | None = None
    begun = time.monotonic()

    def show(done: int, total: int, name: str) -> None:
        nonlocal handle
        left = (time.monotonic() - begun) * (total - done) / done
        line = f"{done} of {total} runs" + (f", about {left:.0f} s left" if done < total else "")
        if handle is None:
            handle = display(_bundle(line), raw=True, display_id=True)
        else:
            handle.update(_bundle(line), raw=True)

    return show


def say(text: str) -> None:
    """Show a sentence with computed numbers as prose, so that the text cannot disagree with the data."""
    display(_bundle(textwrap.dedent(text).strip()), raw=True)


def source(thing: Any) -> None:
    """Print the library's live source of a function or class, as it runs here."""
    print(textwrap.dedent(inspect.getsource(thing)).rstrip())


def _bundle(text: str) -> dict[str, str]:
    return {"text/markdown": text, "text/plain": text}
