"""What the main job runs: which tasks in which order, on which net, with how many seeds; these are from 0."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ebll.recording import sequence_id
from ebll.settings import USUAL, TrainSettings

__all__ = ["EXPERIMENTS", "MAIN", "PROFILES", "Experiment", "More", "Profile", "drawn", "headline", "regimes_of"]

Regime = tuple[str, str]
"""A net and the task that it learns first."""


@dataclass(frozen=True)
class Experiment:
    """A net and the tasks that it learns in this order."""

    net: str
    tasks: tuple[str, ...]

    @property
    def id(self) -> str:
        """The name in the column `sequence`, such as mlp:letters-textures."""
        return sequence_id(self.net, self.tasks)

    @property
    def regime(self) -> Regime:
        """All experiments of a regime begin with one network that has learned the first task."""
        return self.net, self.tasks[0]


def regimes_of(experiments: Iterable[Experiment]) -> dict[Regime, list[Experiment]]:
    """Regime -> its experiments."""
    regimes: dict[Regime, list[Experiment]] = {}
    for e in experiments:
        regimes.setdefault(e.regime, []).append(e)
    return regimes


EXPERIMENTS = (
    Experiment("mlp", ("letters", "mnist")),
    Experiment("mlp", ("letters", "digits")),
    Experiment("mlp", ("letters", "textures")),
    Experiment("mlp", ("letters", "mnist", "digits", "textures")),
    Experiment("mlp", ("mnist", "letters")),
    Experiment("cnn", ("letters", "mnist")),
    Experiment("cnn", ("letters", "textures")),
)

MAIN: Regime = ("mlp", "letters")
"""The regime of most claims, and of the tables that are printed."""
# On validation data the rise and fall of the distance (C7) was seen with the convolutional net only.
_HEADLINE = {"C7": ("cnn", "letters")}


def headline(claim: str, experiments: Iterable[Experiment]) -> Regime:
    """The regime that a claim's plain id stands for; where it was not planned for (own tasks), that of the first."""
    regimes = list(regimes_of(experiments))
    wanted = _HEADLINE.get(claim, MAIN)
    return wanted if MAIN in regimes or wanted in regimes else regimes[0]


def drawn(experiments: Iterable[Experiment]) -> Regime:
    """The regime whose curves the figures show."""
    regimes = list(regimes_of(experiments))
    return next((regime for regime in regimes if regime[0] == "cnn"), regimes[0])


@dataclass(frozen=True)
class More:
    """More seeds than all methods have, where a claim is close: of some methods, on some experiments of one regime.

    Only accuracies are recorded.

    seeds   method -> how many in all; docs/verdicts.md says how firm the verdicts are with them
    """

    experiments: tuple[Experiment, ...]
    seeds: Mapping[str, int]


@dataclass(frozen=True)
class Profile:
    """How much of the plan to run.

    seeds    of every method on every experiment
    weights  settings by name, where they are not the methods' defaults
    """

    experiments: tuple[Experiment, ...]
    seeds: int
    more: tuple[More, ...] = ()
    train: TrainSettings = USUAL
    weights: Mapping[str, float] = field(default_factory=dict)


_FAST = (EXPERIMENTS[0], EXPERIMENTS[2], Experiment("mlp", ("letters", "mnist", "textures")))
_MORE = (More(EXPERIMENTS[:3], {"lwf": 26, "ebll": 26, "ebll-separate": 10, "joint": 10, "ewc": 10, "kfac": 10}),)
PROFILES = {
    "full": Profile(EXPERIMENTS, seeds=5, more=_MORE),
    "fast": Profile(_FAST, seeds=2),
}
