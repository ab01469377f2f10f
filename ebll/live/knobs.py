"""Weights that act while training goes on: a method whose settings may change from one step to the next.

A change is asked for by any thread, takes effect at the next step, and is kept with that step, so that the run can be
made again: `LiveKnobs(config, "ebll", changes=earlier.changes)`. This room knows methods; nothing of pictures.
"""

from __future__ import annotations

import ast
import copy
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

from torch import Tensor, nn

from ebll.autoencoder import Encoder
from ebll.data import Task
from ebll.errors import InputError, check_choice, check_count
from ebll.live.config import LAB_METHODS, LabConfig, calls_in
from ebll.methods import Batch, EncoderMemory, Memory, Method, Recorded, Term
from ebll.methods.base import record
from ebll.nets import Network
from ebll.runs import Snapshot

__all__ = ["LIVE", "Change", "LiveKnobs", "LiveMethod", "live_line", "read_live"]

LIVE = ("alpha", "distill_weight", "ewc_strength", "recon_weight")
"""The settings that may change in mid-run. A new `recon_weight` means another encoder: it is fitted at that moment, to
the old task's features as they were before the new task."""


class Change(NamedTuple):
    """One setting changed: from this optimiser step on it has this value."""

    step: int
    name: str
    value: float


def read_live(text: str | LabConfig) -> tuple[LabConfig, str, tuple[Change, ...]]:
    """Config, method and changes from a line such as `ebll.live.run_live(ebll.LabConfig(...), "ebll", changes=[...])`.

    A line without method or changes, or just `LabConfig(...)`, means none; nothing in it is executed.
    """
    config = LabConfig.read(text)
    calls = [] if isinstance(text, LabConfig) else calls_in(text, "run_live")
    if not calls:
        return config, "", ()
    given = dict(zip(("config", "method", "changes"), calls[0].args, strict=False))
    given |= {keyword.arg: keyword.value for keyword in calls[0].keywords if keyword.arg}
    try:
        method, changes = (ast.literal_eval(given[k]) if k in given else () for k in ("method", "changes"))
    except (ValueError, TypeError):
        raise InputError(
            'config: a line such as run_live(LabConfig(), "ebll", changes=[(60, "alpha", 0.0)]).'
        ) from None
    if method:
        check_choice(method, LAB_METHODS, "Method")
    if not isinstance(changes, list | tuple):
        raise InputError(f"changes: a list such as [(60, 'alpha', 0.0)]; got {changes!r}.")
    return config, method or "", tuple(_checked(config, change) for change in changes)


def live_line(config: LabConfig, method: str, changes: Iterable[Sequence[Any]]) -> str:
    """The line that `read_live` reads."""
    listed = ", ".join(repr(tuple(change)) for change in changes)
    return config.line(
        f'ebll.live.run_live(ebll.LabConfig({{}}), "{method}"{f", changes=[{listed}]" if listed else ""})'
    )


class LiveKnobs:
    """The settings of one run, for another thread to change.

    config    where the run begins
    name      the method
    changes   (step, name, value), to be made when the run comes there
    """

    def __init__(self, config: LabConfig, name: str, changes: Iterable[tuple[int, str, float]] = ()) -> None:
        self.name, self.config = name, config
        self.method = config.method(name)
        self._lock = threading.Lock()
        self._asked: dict[str, float] = {}
        self._planned = sorted((_checked(config, change) for change in changes), key=lambda change: change.step)
        self.changes: list[Change] = []  #: made so far, in order

    def set(self, name: str, value: float) -> None:
        """Ask for a change at the next step; the last of several asked for in between counts."""
        change = _checked(self.config, (0, name, value))
        with self._lock:
            self._asked[name] = change.value

    def at(self, step: int) -> tuple[Change, ...]:
        """Make the changes that are due at this step, called by the run itself; returns those made."""
        with self._lock:
            asked = [Change(step, name, value) for name, value in self._asked.items()]
            self._asked.clear()
        due = [*(change for change in self._planned if change.step <= step), *asked]
        self._planned = [change for change in self._planned if change.step > step]
        made = []
        for _, name, value in due:
            if getattr(self.config, name) != value:
                self.config = self.config.replace(**{name: value})
                made.append(Change(step, name, value))
        if made:
            self.method = self.config.method(self.name)
            self.changes += made
        return tuple(made)


def _checked(config: LabConfig, change: Sequence[Any]) -> Change:
    if not isinstance(change, Sequence) or isinstance(change, str) or len(change) != 3:
        raise InputError(f"changes: each is (step, name, value), such as (60, 'alpha', 0.0); got {change!r}.")
    step, name, value = change
    check_count(step, "step of a change", low=0)
    value = getattr(config.replace(**{check_choice(name, LIVE, "A setting that may change in mid-run"): value}), name)
    return Change(step, name, value)


@dataclass(frozen=True)
class LiveMemory(Memory):
    """What a method keeps of the old task, where it may be fitted anew in mid-run."""

    held: list[Any]  #: one entry: the memory of this moment

    def bytes(self) -> int:
        """Memory kept now."""
        return self.held[0].bytes() if self.held[0] is not None else 0

    def encoder(self, task: int) -> Encoder | None:
        """The encoder of this moment."""
        return self.held[0].encoder(task) if self.held[0] is not None else None

    def report(self) -> dict[str, float]:
        """The report on the newest fit."""
        return self.held[0].report() if self.held[0] is not None else {}


@dataclass(frozen=True)
class LiveMethod(Method):
    """One of the methods, with the settings that its `LiveKnobs` have at each step.

    live    shared with whoever turns the knobs
    start   the network that the run branches from, and
    task    the task that it has learned: for an encoder that is fitted anew
    seed    of the run
    """

    name: ClassVar[str] = "live"
    label: ClassVar[str] = "live"

    live: LiveKnobs
    start: Snapshot
    task: Task
    seed: int

    def __post_init__(self):
        super().__post_init__()
        object.__setattr__(self, "name", self.live.method.name)
        object.__setattr__(self, "label", self.live.method.label)
        object.__setattr__(self, "_step", [0])

    def check(self, net: Network, tasks: int) -> None:
        """As the method's own."""
        self.live.method.check(net, tasks)

    def prepare(self, net: Network) -> None:
        """As the method's own."""
        self.live.method.prepare(net)

    def trained_parts(self, net: Network, t: int) -> nn.Module:
        """As the method's own."""
        return self.live.method.trained_parts(net, t)

    def before_task(self, net: Network, t: int, inputs: Tensor, memory: LiveMemory) -> Recorded:
        """The method's own, and the old features, from which codes of another encoder can be had."""
        recorded = self.live.method.before_task(net, t, inputs, memory.held[0])
        return recorded | record(net, inputs, features=lambda f: f) if "codes" in recorded else recorded

    def loss_terms(self, net: Network, batches: Sequence[Batch], memory: LiveMemory) -> dict[str, Term]:
        """Make the changes that are due, then the method's own terms."""
        made = self.live.at(self._step[0])
        self._step[0] += 1
        fitted = isinstance(memory.held[0], EncoderMemory)
        if fitted and any(change.name == "recon_weight" for change in made):
            net_before = copy.deepcopy(self.start.net)  # others may be branching from it
            memory.held[0] = self.live.method.after_task(net_before, 0, self.task, None, self.seed)
            memory.held[1:] = ["anew"]
        if fitted and len(memory.held) > 1:
            batches = [_with_codes(batch, memory.held[0]) for batch in batches]
        return self.live.method.loss_terms(net, batches, memory.held[0])

    def after_task(self, net: Network, t: int, task: Task, memory: LiveMemory | None, seed: int) -> LiveMemory:
        """As the method's own."""
        kept = self.live.method.after_task(net, t, task, memory.held[0] if memory else None, seed)
        return LiveMemory([kept])


def _with_codes(batch: Batch, memory: EncoderMemory) -> Batch:
    """The codes that an encoder of this moment gives the old features."""
    return batch._replace(recorded=batch.recorded | {"codes": memory.codes(batch.recorded["features"])})
