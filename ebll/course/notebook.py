"""What every notebook of the course begins with, and how it shows progress, sentences and source."""

from __future__ import annotations

import inspect
import platform
import textwrap
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from packaging.requirements import Requirement

from ebll.comparison import Comparison, compare
from ebll.config import NEW_TASK_IMAGES
from ebll.data import Task
from ebll.data.catalog import load_cut
from ebll.errors import DataMissing, EbllError, InputError, check_choice
from ebll.methods import Method
from ebll.protocol import learn_first
from ebll.recording import Snapshot

__all__ = ["PROFILES", "Lesson", "examples", "main_job", "progress", "say", "setup", "source"]

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
        images = self.images or 0
        return [load_cut(first, 0, self.device), *(load_cut(name, images, self.device) for name in later)]

    def options(self, net: str) -> dict[str, Any]:
        """What `ebll.compare` takes besides tasks and methods: net, seeds, device and progress."""
        return {"net": net, "seeds": self.seeds, "device": self.device, "progress": progress()}

    def demonstrate(
        self, line: str, methods: Mapping[str, Method] | None = None, starts: Mapping[int, Snapshot] | None = None
    ) -> Comparison:
        """The runs of a line of the forgetting lab on the lesson's seeds; as there, the old task is learned as usual.

        line     such as one of `DEMONSTRATIONS`
        methods  as in `ebll.compare`, in place of those of the line
        starts   by seed, networks that have learned the old task as usual; others are learned here
        raises   `InputError` for a line with changes in mid-run
        """
        from ebll.widgets import LabConfig  # the rest of a notebook does without widgets

        config = LabConfig.read(line)
        if config.changes:
            raise InputError(
                "demonstrate: changes in mid-run are for ebll.widgets.run and forgetting_lab; leave them out."
            )
        methods = methods or {name: config.run(name).made_method() for name in config.methods}
        tasks, options = self.load(config.old, config.new), self.options(config.net)
        first, starts = {"net": config.net, "device": self.device}, starts or {}
        starts = {seed: starts.get(seed) or learn_first(tasks[:1], seed=seed, **first) for seed in self.seeds}
        return compare(tasks, methods, settings=config.train, starts=starts, **options)


def check_environment() -> None:
    """Raise `EbllError` with what is missing or too old, and the command that installs it."""
    problems = []
    for wanted in map(Requirement, metadata.requires("ebll") or []):
        if wanted.marker is None or wanted.marker.evaluate({"extra": ""}):
            try:
                here = metadata.version(wanted.name)
            except metadata.PackageNotFoundError:
                here = "not installed"
            if here == "not installed" or not wanted.specifier.contains(here, prereleases=True):
                problems.append(f"{wanted.name} is {here}; ebll needs {wanted}.")
    if problems:
        listed = "\n  ".join(problems)
        raise EbllError(
            f"This Python lacks something that the notebooks need:\n  {listed}\n"
            "In the folder of the kit, `make lab` sets up a Python that has it all; or install it into this one with "
            "`python -m pip install -e .` there, and restart the kernel."
        )


def setup(profile: str = "fast") -> Lesson:
    """Check the installed packages, fix the number of threads, and print versions and profile.

    profile  "fast": three seeds on the processor; "full": ten seeds, all images, and the GPU where there is one
    raises   `EbllError` where a package is missing or too old
    """
    check_environment()
    count = PROFILES[check_choice(profile, PROFILES, "Profile")]
    torch.set_num_threads(1)  # nets this small gain nothing from more, and numbers repeat for one count only
    full = profile == "full"
    device = "cuda" if full and torch.cuda.is_available() else "cpu"
    names = ("ebll", "torch", "torchvision", "pandas", "matplotlib", "ipykernel")
    print(", ".join(f"{name} {metadata.version(name)}" for name in names), f"on Python {platform.python_version()}")
    print(f"profile {profile}: {count} seeds on the {'GPU' if device == 'cuda' else 'processor'}")
    return Lesson(profile, range(count), device, None if full else NEW_TASK_IMAGES)


def main_job(table: str) -> pd.DataFrame:
    """A table of the main job, such as "accuracy" or "curves", from the nearest folder `figures` here or above.

    raises   `DataMissing` where there is none, as for a notebook that was copied elsewhere
    """
    for folder in (Path.cwd(), *Path.cwd().parents):
        if (path := folder / "figures" / f"{table}.csv").exists():
            return pd.read_csv(path)
    raise DataMissing(
        f"No figures/{table}.csv here or in a folder above: open the notebook in the kit's folder, or run "
        "`ebll reproduce --out figures` beside it."
    )


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
    """A callback for `ebll.compare` that keeps one line below the cell: runs done, and the time left.

    After the last run it starts anew, so that the next comparison has a line below its own cell.
    """
    begun, before, handle = time.monotonic(), 0, None

    def show(done: int, total: int, name: str) -> None:
        nonlocal begun, before, handle
        if begun is None:
            begun, before = time.monotonic(), done
        left = (time.monotonic() - begun) * (total - done) / (done - before) if done > before else 0
        handle = _show(f"{done} of {total} runs" + (f", about {left:.0f} s left" if left else ""), handle)
        if done == total:
            begun = handle = None

    return show


def say(text: str) -> None:
    """Show a sentence with computed numbers as prose, so that the text cannot disagree with the data."""
    _show(textwrap.dedent(text).strip())


def source(thing: Any) -> None:
    """Show the library's live source of a function or class, as it runs here, highlighted as Python."""
    _show(f"```python\n{textwrap.dedent(inspect.getsource(thing)).rstrip()}\n```")


def _show(text: str, handle: Any = None) -> Any:
    """Show a text below the cell, or put it in place of the one that a handle stands for; returns the handle."""
    from IPython.display import display  # a check needs no notebook

    data = {"text/markdown": text, "text/plain": text}
    if handle is None:
        return display(data, raw=True, display_id=True)
    handle.update(data, raw=True)
    return handle
