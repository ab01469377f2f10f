"""What the main job runs: which tasks in which order, on which net, with how many seeds; these are from 0."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ebll.recording import sequence_id

__all__ = ["DEFAULT_HEADLINE", "EXPERIMENTS", "HEADLINE", "PROFILES", "Experiment", "Profile", "regimes_of"]


@dataclass(frozen=True)
class Experiment:
    """A net and the tasks that it learns in this order."""

    net: str
    tasks: tuple[str, ...]

    @property
    def id(self) -> str:
        """The name in the column `sequence`, such as mlp:letters-textures."""
        return sequence_id(self.net, self.tasks)


def regimes_of(experiments: Iterable[Experiment]) -> dict[tuple[str, str], list[Experiment]]:
    """(net, first task) -> its experiments: all of them begin with one network that has learned that task."""
    regimes: dict[tuple[str, str], list[Experiment]] = {}
    for e in experiments:
        regimes.setdefault((e.net, e.tasks[0]), []).append(e)
    return regimes


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
