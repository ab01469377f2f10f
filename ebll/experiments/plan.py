"""What the main job runs: which tasks in which order, on which net, with which settings and methods.

The settings were chosen on validation splits with seeds 100 and up (`benchmarks/choose_settings.py`, docs/settings.md);
the main job reports test accuracy with seeds from 0. This room knows settings and names, nothing of how they are run.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from ebll.comparison import ALONE
from ebll.errors import check_choice
from ebll.methods import Method, method_from
from ebll.training import TrainSettings

__all__ = [
    "ALONE",
    "DEFAULT_HEADLINE",
    "EXPERIMENTS",
    "HEADLINE",
    "NEW_TASK_IMAGES",
    "PRESETS",
    "PROFILES",
    "Experiment",
    "OfNet",
    "Preset",
    "Profile",
    "experiment",
    "plan",
    "take_own",
]

NEW_TASK_IMAGES = 1190
"""Training images of every task but the first: as many as the smallest has, so that they do not differ in size."""


@dataclass(frozen=True)
class Preset:
    """Settings of one net: how every task is trained, and what its methods weigh."""

    train: TrainSettings
    distill_weight: float
    alpha: float
    ewc_strength: float
    code_size: int = 64

    def method(self, name: str) -> Method:
        """A method by its name, with this net's settings."""
        return method_from(name, dataclasses.asdict(self))


PRESETS = {
    "mlp": Preset(TrainSettings(), distill_weight=2.0, alpha=3.0, ewc_strength=300.0),
    "cnn": Preset(TrainSettings(), distill_weight=1.0, alpha=3.0, ewc_strength=300.0),
}


class OfNet(float):
    """A setting's default that gives way to the net's own when a config is built: see `take_own`."""


def take_own(config: Any) -> None:
    """Put the net's own values in the place of defaults that were left as they are; first in a `__post_init__`."""
    preset = PRESETS[check_choice(config.net, PRESETS, "net")]
    for name in config.__dataclass_fields__:
        if isinstance(getattr(config, name), OfNet):
            owner = preset if hasattr(preset, name) else preset.train
            object.__setattr__(config, name, getattr(owner, name))


@dataclass(frozen=True)
class Experiment:
    """A net and the tasks that it learns in this order."""

    net: str
    tasks: tuple[str, ...]

    @property
    def id(self) -> str:
        """The name in the column `sequence`, such as mlp:letters-textures; joined by "+" where a name holds a "-"."""
        return f"{self.net}:{self.joined}"

    @property
    def joined(self) -> str:
        """The tasks as one name, such as letters-textures."""
        return ("+" if any("-" in task for task in self.tasks) else "-").join(self.tasks)


EXPERIMENTS = (
    Experiment("mlp", ("letters", "mnist")),
    Experiment("mlp", ("letters", "digits")),
    Experiment("mlp", ("letters", "textures")),
    Experiment("mlp", ("mnist", "letters")),
    Experiment("mlp", ("letters", "mnist", "digits", "textures")),
    Experiment("cnn", ("letters", "mnist")),
    Experiment("cnn", ("letters", "textures")),
)


#: Net and first task whose verdict a claim's plain id stands for; the other regimes' ids name theirs. On validation
#: data the rise and fall of the distance (C7) was seen with the convolutional net only, so there it is put to the test.
HEADLINE = {"C7": ("cnn", "letters")}
DEFAULT_HEADLINE = ("mlp", "letters")


@dataclass(frozen=True)
class Profile:
    """How much of the plan to run."""

    experiments: tuple[Experiment, ...]
    seeds: int
    note: str


_FAST = (EXPERIMENTS[0], EXPERIMENTS[2], Experiment("mlp", ("letters", "mnist", "textures")))
PROFILES = {
    "full": Profile(EXPERIMENTS, 5, "both nets, near and far pairs, a sequence of four tasks, five seeds"),
    "fast": Profile(_FAST, 2, "the small net, a near and a far pair, a sequence of three tasks, two seeds"),
}


def experiment(name: str) -> Experiment:
    """An experiment by its id."""
    known = {e.id: e for profile in PROFILES.values() for e in profile.experiments}
    return known[check_choice(name, known, "Experiment")]


def plan(profile: str) -> Profile:
    """A profile by its name."""
    return PROFILES[check_choice(profile, PROFILES, "Profile")]
