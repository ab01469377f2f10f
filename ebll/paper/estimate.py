"""What a run at paper scale would take, before anything is done: data, disk, memory, time.

Numbers of images are those found, or the published ones; times are those of a few steps, scaled up.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ebll.backbones.weights import to_fetch
from ebll.errors import DataMissing, InputError
from ebll.methods import METHODS, FeatureExtraction
from ebll.paper import start
from ebll.paper.footprint import asks, footprint_of
from ebll.paper.plan import PRETRAINED_ON, PaperSettings, Unit
from ebll.paper.sizes import SetSize, set_size
from ebll.paper.speed import Speed, measured_speed, refuse_one
from ebll.paper.start import Place
from ebll.photos import default_cache

__all__ = ["Cost", "estimate", "gb", "seconds_of", "steps_of", "words_of"]

HELD_SETS = 4  # whose images `ebll.paper.start` keeps in memory


@dataclass(frozen=True)
class Cost:
    """What it comes to: headline -> lines of (name, words)."""

    data: list[tuple[str, str]]  #: the sets, and "weights" where they are not here or do not fit
    disk: list[tuple[str, str]]
    memory: list[tuple[str, str]]
    time: list[tuple[str, str]]


def steps_of(units: Sequence[Unit], settings: PaperSettings, sizes: dict[str, SetSize]) -> list[int]:
    """Optimiser steps of each run; those of learning a first set are counted with the first run that needs it.

    It may come to fewer: where files are left out as unreadable, or a run ends early.
    """
    steps, begun = [], set()
    for unit in units:
        first, *later = unit.experiment.tasks
        batches = {name: math.ceil(sizes[name].windows / settings.train.batch_size) for name in unit.experiment.tasks}
        made = sum(batches[name] for name in later) * (settings.train.warmup_epochs + settings.train.epochs)
        if (first, unit.seed) not in begun and (first != PRETRAINED_ON or settings.weights == "none"):
            made += settings.train.epochs * batches[first]
        begun.add((first, unit.seed))
        steps.append(made)
    return steps


def seconds_of(unit: Unit, settings: PaperSettings, sizes: dict[str, SetSize], speed: Speed) -> float:
    """One run, its autoencoder of the first set included, that set's own learning not."""
    method = METHODS[unit.method]
    tasks = [sizes[name] for name in unit.experiment.tasks]
    targets = asks(method)
    total = _consolidation(tasks[0], settings, speed) if "autoencoder" in method.__dataclass_fields__ else 0.0
    for t, size in enumerate(tasks[1:], 1):
        step, epochs = speed.step, settings.train.epochs
        if method is FeatureExtraction:
            step = 0.0
        passes = settings.train.warmup_epochs + (epochs if targets else 0)
        if settings.photos.augment != "random":  # the old network answers once in each stage
            passes = bool(settings.train.warmup_epochs) + targets
        asked = passes * size.windows * speed.forward
        others = t if unit.method == "joint" else 0
        steps = epochs * size.windows * step * (1 + others)
        looks = 0 if not settings.log_every else epochs * size.windows / settings.train.batch_size / settings.log_every
        seen = looks * 256 * (t + 1) + sum(s.test for s in tasks[: t + 1])
        total += steps + asked + seen * speed.forward
        if t < len(tasks) - 1 and "autoencoder" in method.__dataclass_fields__:
            total += _consolidation(size, settings, speed)
    return total


def _consolidation(size: SetSize, settings: PaperSettings, speed: Speed) -> float:
    """The fit of an autoencoder: one pass for the features, then products with code and T, forwards and backwards."""
    rows = min(size.windows, settings.autoencoder_images or size.windows)
    code = settings.code_size_imagenet if size.name == PRETRAINED_ON else settings.code_size
    fit = settings.method("ebll", (size.name, "")).autoencoder
    each = 6 * (2 * code * speed.features + speed.operator)
    return rows * speed.forward + fit.epochs * rows * each * speed.product


def estimate(place: Place, settings: PaperSettings, units: Sequence[Unit], speed: Speed | None = None) -> Cost:
    """Everything that can be said beforehand; `speed` is measured here unless given. Nothing is fetched.

    raises   `InputError` for a last batch of one input that BatchNorm would refuse, as the run does; see `set_size`
    """
    names = list(dict.fromkeys(name for unit in units for name in unit.experiment.tasks))
    sizes = {name: set_size(place, settings, name) for name in names}
    refuse_one(settings, {unit.experiment.tasks[0]: sizes[unit.experiment.tasks[0]].windows for unit in units})
    speed = speed or measured_speed(settings, place.device)
    firsts = {(u.experiment.tasks[0], u.seed) for u in units}
    if settings.weights != "none":
        firsts = {(first, seed) for first, seed in firsts if first != PRETRAINED_ON}
    begin = sum(settings.train.epochs * sizes[name].windows * speed.step for name, _ in firsts)
    runs = [seconds_of(unit, settings, sizes, speed) for unit in units]
    return Cost(
        _data(sizes) + _weights(settings),
        _disk(place, settings, units, sizes, speed),
        _memory(settings, units, sizes, speed),
        _time(begin, runs, speed, place),
    )


def _weights(settings: PaperSettings) -> list[tuple[str, str]]:
    """A line on weights that are still to be fetched, or that the run would refuse; none where they are as wanted."""
    if settings.weights == "none":
        return []
    words = to_fetch(settings.backbone.partition("@")[0]) if settings.weights == "default" else ""
    try:
        if not words:
            start.cut_net(settings, 0)
    except (DataMissing, InputError) as error:
        words = str(error)
    return [("weights", words)] if words else []


def _data(sizes: dict[str, SetSize]) -> list[tuple[str, str]]:
    lines = []
    for size in sizes.values():
        words = f"{size.classes:,} classes; {size.windows:,} training windows an epoch, {size.validation:,} validation"
        lines.append((size.name, f"{words} and {size.test:,} test images" + (f". {size.note}" if size.note else "")))
    return lines


def _disk(
    place: Place, settings: PaperSettings, units: Sequence[Unit], sizes: dict[str, SetSize], speed: Speed
) -> list[tuple[str, str]]:
    cache = default_cache(place.root) if place.cache is None else place.cache
    prints = {unit: footprint_of(unit, settings, sizes, speed) for unit in units}
    firsts: dict[tuple[str, int], dict[int, int]] = {}  # first set and seed -> what is kept of it, by its size
    for unit, one in prints.items():
        kept = firsts.setdefault((unit.experiment.tasks[0], unit.seed), {0: one.start})
        kept[one.memory_of_first] = one.memory_of_first
    lines = [
        ("converted images", f"{gb(sum(size.bytes for size in sizes.values()))} in {cache} ({_free(cache)})"),
        (
            "checkpoints",
            f"up to {gb(max(one.checkpoints for one in prints.values()))} for the run in work, and "
            f"{gb(sum(sum(kept.values()) for kept in firsts.values()))} for first sets, in {place.out} "
            f"({_free(place.out)})",
        ),
    ]
    if place.keep_weights:
        lines.append(("networks", f"{gb(sum(one.network for one in prints.values()))} of finished runs"))
    return lines


def _memory(
    settings: PaperSettings, units: Sequence[Unit], sizes: dict[str, SetSize], speed: Speed
) -> list[tuple[str, str]]:
    prints = [footprint_of(unit, settings, sizes, speed) for unit in units]
    fitted = [unit for unit in units if "autoencoder" in METHODS[unit.method].__dataclass_fields__]
    rows = max((sizes[name].windows for unit in fitted for name in unit.experiment.tasks[:-1]), default=0)
    rows = min(rows, settings.autoencoder_images or rows)
    images = sum(sorted(size.bytes for size in sizes.values())[-HELD_SETS:])
    lines = [
        ("images", f"{gb(images)}, each set held where it fits, else read from disk"),
        (
            "network",
            f"up to {gb(max(one.in_memory for one in prints))}: weights, gradient, momentum, the network of before, "
            "and what a method keeps",
        ),
        ("recorded", f"up to {gb(max(one.targets for one in prints))} of answers and codes"),
        ("autoencoder", f"up to {gb(2 * rows * 4 * speed.features)} of features while it is fitted"),
    ]
    return lines + ([("step", f"{gb(speed.peak)} at batch {speed.batch}, measured")] if speed.peak else [])


def _time(begin: float, runs: list[float], speed: Speed, place: Place) -> list[tuple[str, str]]:
    step, forward, whole = 1e3 * speed.step, 1e3 * speed.forward, begin + sum(runs)
    shorter = ". Fewer sequences, methods or epochs, or a GPU, make it shorter" if whole > 86400 else ""
    return [
        (
            "measured",
            f"{step:.3g} ms to learn a window, {forward:.3g} ms to look at one; on {place.device}, "
            f"{speed.batch} at a time, just now, on noise",
        ),
        ("first sets", words_of(begin) if begin else "nothing to learn: the pretrained network is taken over"),
        ("runs", f"{len(runs)}, from {words_of(min(runs))} to {words_of(max(runs))} each"),
        ("in all", f"about {words_of(whole)} one after the other, without the conversion of images{shorter}"),
    ]


def words_of(seconds: float) -> str:
    """Seconds in words, such as 40 s, 12 min, 3.5 h or 2.1 days."""
    for unit, size in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 1.5 * size:
            return f"{seconds / size:.3g} {unit}"
    return f"{math.ceil(seconds)} s"


def gb(count: float) -> str:
    """Bytes in words: 3.69 MB, 1.2 GB."""
    return f"{count / 1e9:.3g} GB" if count >= 1e8 else f"{count / 1e6:.3g} MB"


def _free(path: Path) -> str:
    there = next((p for p in (Path(path), *Path(path).absolute().parents) if p.exists()), Path("/"))
    return f"{gb(shutil.disk_usage(there).free)} free"
