"""What the main job runs: which tasks in which order, on which net, with how many seeds; these are from 0."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ebll.recording import sequence_id
from ebll.settings import USUAL, TrainSettings

__all__ = ["CLOSE", "EXPERIMENTS", "PROFILES", "Experiment", "Profile", "headline", "regimes_of"]

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

# On validation data the rise and fall of the distance (C7) was seen with the convolutional net only.
_HEADLINE = {"C7": ("cnn", "letters")}


def headline(claim: str, experiments: Iterable[Experiment]) -> Regime:
    """The regime that a claim's plain id stands for; where it was not planned for (own tasks), that of the first."""
    regimes = list(regimes_of(experiments))
    wanted = _HEADLINE.get(claim, ("mlp", "letters"))
    return wanted if ("mlp", "letters") in regimes or wanted in regimes else regimes[0]


CLOSE = ("lwf", "ebll")
"""Methods that differ by a point or so, and that claims compare: they have more seeds than the others."""


@dataclass(frozen=True)
class Profile:
    """How much of the plan to run.

    seeds    of every method on every sequence
    close    of the methods `CLOSE` on the pairs of the headline regime; docs/verdicts.md says how firm verdicts are
    claims   what the runs must suffice for
    weights  settings by name, where they are not the methods' defaults
    """

    experiments: tuple[Experiment, ...]
    seeds: int
    close: int
    claims: tuple[str, ...]
    train: TrainSettings = USUAL
    weights: Mapping[str, float] = field(default_factory=dict)


_FAST = (EXPERIMENTS[0], EXPERIMENTS[2], Experiment("mlp", ("letters", "mnist", "textures")))
_ALL = tuple(f"C{n}" for n in range(1, 10))
PROFILES = {
    "full": Profile(EXPERIMENTS, seeds=5, close=20, claims=_ALL),
    "fast": Profile(_FAST, seeds=2, close=2, claims=tuple(name for name in _ALL if name != "C7")),
}
