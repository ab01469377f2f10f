"""What a run holds in memory and leaves on disk, counted from sizes: nothing is built, nothing measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ebll.methods import METHODS, FeatureExtraction, Joint, Method
from ebll.paper.plan import PRETRAINED_ON, PaperSettings, Unit
from ebll.paper.sizes import SetSize
from ebll.paper.speed import Speed

__all__ = ["Footprint", "footprint_of"]

FLOAT = 4  # bytes
FILES = 2  # of each kind that `ebll.checkpoints` keeps


@dataclass(frozen=True)
class Footprint:
    """Of one run while it learns its last task, in bytes."""

    network: int  #: F, T and all heads
    learned: int  #: the part of it that moves: it has a gradient and a momentum as well
    start: int  #: the network that has learned the first set, kept for the other methods
    memory: int  #: what the method keeps of the old tasks
    memory_of_first: int  #: and of the first of them
    teacher: int  #: the frozen copy that is asked about drawn windows
    targets: int  #: answers and codes of the new windows, with the copy that is in the order of an epoch

    @property
    def in_memory(self) -> int:
        """All but the recorded answers."""
        return self.network + 2 * self.learned + self.start + self.memory + self.teacher

    @property
    def checkpoints(self) -> int:
        """The files of a run in work: two of each kind, and one that is just being written beside them."""
        stage, step = self.network + self.memory, self.network + self.learned
        return FILES * (stage + step) + max(stage, step)


def footprint_of(unit: Unit, settings: PaperSettings, sizes: Mapping[str, SetSize], speed: Speed) -> Footprint:
    """The bytes of one run."""
    method, tasks = METHODS[unit.method], [sizes[name] for name in unit.experiment.tasks]
    heads = [size.classes * (speed.width + 1) for size in tasks]
    separate = unit.method == "ebll-separate"
    codes = [settings.code_size_imagenet if s.name == PRETRAINED_ON else settings.code_size for s in tasks[:-1]]
    if not _has_codes(method):
        codes = []
    whole = speed.weights + (len(tasks) - 1) * (speed.operator if separate else 0) + sum(heads)
    learned = heads[-1] + speed.weights
    if method is FeatureExtraction:
        learned = heads[-1]
    if method is Joint or _distils(method):
        learned = whole  # the old heads get gradients, too
    anchored = 2 * speed.weights if unit.method == "ewc" else 0
    kept = [code * (speed.features + 1) for code in codes]
    asked = settings.photos.augment == "random" and asks(method)
    return Footprint(
        network=FLOAT * whole,
        learned=FLOAT * learned,
        start=FLOAT * (speed.weights + heads[0]),
        memory=FLOAT * (sum(kept) + anchored),
        memory_of_first=FLOAT * (sum(kept[:1]) + anchored),
        teacher=FLOAT * whole if asked else 0,
        targets=0 if settings.photos.augment == "random" else _recorded(tasks, codes, settings, speed, unit),
    )


def asks(method: type[Method]) -> bool:
    """Whether the method asks the old network about the new windows."""
    return method.record_targets is not Method.record_targets


def _distils(method: type[Method]) -> bool:
    return "distill_weight" in method.__dataclass_fields__


def _has_codes(method: type[Method]) -> bool:
    return "autoencoder" in method.__dataclass_fields__


def _recorded(tasks: list[SetSize], codes: list[int], settings: PaperSettings, speed: Speed, unit: Unit) -> int:
    """The largest of all stages: the warm-up records what the new head sees, training the old answers and codes."""
    separate, method, largest = unit.method == "ebll-separate", METHODS[unit.method], 0
    seen = speed.features if separate else speed.width
    for t, size in enumerate(tasks[1:], 1):
        row = seen if settings.train.warmup_epochs or method is FeatureExtraction else 0
        if asks(method) and method is not FeatureExtraction:
            classes = sum(s.classes for s in tasks[:t]) if _distils(method) else 0
            row = max(row, classes + sum(codes[:t]))
        largest = max(largest, size.windows * row)
    return 2 * FLOAT * largest
