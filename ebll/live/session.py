"""What the forgetting lab remembers: the config, the run on show, the one before, and those that were pinned.

No widgets and no pictures: a panel asks, and is told when something has changed.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from ebll.data import Task
from ebll.errors import InputError, OutputError
from ebll.live.config import LabConfig, acts_on, changed_in
from ebll.live.knobs import LiveKnobs, live_line
from ebll.live.lab import LabRun, run, run_live
from ebll.live.worker import Handle, Worker
from ebll.turns import Control

__all__ = ["Pinned", "Session", "changed", "differences", "line_of_run"]

NAMES = "ABCDEFGH"
"""Names of pinned runs: there can be as many."""


@dataclass(frozen=True)
class Pinned:
    """A run that was kept to compare with."""

    name: str
    made: LabRun


class Session:
    """The runs of one panel, at most one of them alive.

    config   where it begins
    tasks    the user's own tasks
    live     the method whose weights may be changed in mid-run; all methods of the config in turn if empty
    changes  for a live method: (step, name, value), to be made on the way
    on_turn  called in the run's thread before each step
    on_end   called in the run's thread at its end, with its `Handle`
    """

    def __init__(
        self,
        config: LabConfig,
        tasks: Iterable[Task] = (),
        *,
        live: str = "",
        changes: Iterable[tuple[int, str, float]] = (),
        on_turn: Callable[[], None] | None = None,
        on_end: Callable[[Handle], None] | None = None,
    ) -> None:
        self.config, self.tasks, self.live, self.changes = config, tuple(tasks), live, tuple(changes)
        self.on_turn, self.pace = on_turn, 0.0
        self.current: LabRun | None = None
        self.before: LabRun | None = None
        self.pinned: list[Pinned] = []
        self.knobs: LiveKnobs | None = None
        self.worker = Worker(on_end)
        self._lock = threading.Lock()

    def run_here(self) -> LabRun:
        """Run in this very thread, and wait for it."""
        made, job = self._prepare(None, reuse=True)
        job()
        return made

    def start(self, *, held: bool = False, reuse: bool = False, ready: Callable[[], None] = lambda: None) -> Handle:
        """Run in the background; one that is on stops.

        held    stop at the first measurement, for `step`
        reuse   take results that are known already, of methods on which a changed setting does not act
        ready   called when the run is the one on show, before it begins
        """
        control = Control(on_turn=self.on_turn)
        made, job = self._prepare(control, reuse)
        if held:
            control.step(self._measured(made))
        ready()
        return self.worker.start(job, control)

    def step(self) -> None:
        """Let the run that is on go to its next measurement, which is one optimiser step away, and hold it there."""
        control, made = self.control, self.current
        if control is None or made is None:
            raise InputError("Nothing is running: press Run.")
        control.step(self._measured(made))

    @staticmethod
    def _measured(made: LabRun) -> Callable[[], bool]:
        begun = made.measured
        return lambda: made.measured > begun

    def _prepare(self, control: Control | None, reuse: bool = False) -> tuple[LabRun, Callable[[], Any]]:
        with self._lock:
            config, made = self.config, LabRun(self.config)
            if self.current is not None and self.current.measured:
                self.before = self.current
            self.current = made
            options = {"tasks": self.tasks, "into": made, "every_step": lambda: bool(control and control.paused)}
            if not self.live:
                return made, lambda: run(config, reuse=reuse, **options)
            knobs = self.knobs = LiveKnobs(config, self.live, self.changes)
            return made, lambda: run_live(config, self.live, knobs=knobs, **options)

    @property
    def control(self) -> Control | None:
        """The reins of the newest run, if it is alive."""
        handle = self.worker.current
        return handle.control if handle is not None and handle.state in ("waiting", "running") else None

    def reset(self, config: LabConfig) -> None:
        """Stop, forget all runs, and begin at a config."""
        self.worker.stop()
        with self._lock:
            self.config, self.current, self.before, self.pinned, self.knobs = config, None, None, [], None

    def pin(self) -> Pinned:
        """Keep the run on show; with eight pinned the oldest goes."""
        if self.current is None or not self.current.measured:
            raise InputError("There is no run to pin yet: press Run first.")
        if any(one.made is self.current for one in self.pinned):
            raise InputError("This run is pinned already: change something and run again.")
        if self.worker.busy:
            raise InputError("The run is still on: wait until it has ended, or press Stop, and pin it then.")
        self.pinned = self.pinned[-(len(NAMES) - 1) :]
        name = next(name for name in NAMES if name not in {one.name for one in self.pinned})
        self.pinned.append(Pinned(name, self.current))
        return self.pinned[-1]

    def record(self) -> Mapping[str, list[dict[str, Any]]]:
        """Method -> rows so far, of the run on show."""
        return rows_of(self.current)

    def _shown(self) -> list[Pinned]:
        known = self.current is None or any(one.made is self.current for one in self.pinned)
        return [*self.pinned, *([] if known else [Pinned("now", self.current)])]

    def table(self) -> pd.DataFrame:
        """A row for each pinned run and method, and for the run on show: its results and what is set differently."""
        parts = []
        for one in self._shown():
            made = one.made.table().reset_index(names="method")
            made.insert(0, "run", one.name)
            made["settings"] = ", ".join([differences(one.made.config), *changed(one.made)])
            parts.append(made)
        return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()

    def save_data(self, folder: str | Path) -> list[Path]:
        """Write what was recorded: curves and results as CSV, the configs as JSON; returns the files."""
        folder = Path(folder)
        shown = self._shown()
        if not shown or self.table().empty:
            raise InputError("There is nothing to take yet: press Run first.")
        curves = pd.concat([one.made.curves.assign(run=one.name) for one in shown], ignore_index=True)
        lines = {one.name: line_of_run(one.made) for one in shown}
        changes = {one.name: [list(change) for change in one.made.changes] for one in shown if one.made.changes}
        notes = {one.name: one.made.notes for one in shown if one.made.notes}
        files = {
            "curves.csv": curves.to_csv(index=False, lineterminator="\n"),
            "results.csv": self.table().to_csv(index=False, lineterminator="\n"),
            "config.json": json.dumps({"configs": lines, "changes": changes, "notes": notes}, indent=2) + "\n",
        }
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for name, text in files.items():
                (folder / name).write_text(text, encoding="utf-8")
        except OSError as error:
            raise OutputError(
                f"Cannot write into the folder {str(folder)!r}: {error.strerror or error}. Choose one that you may "
                "write to: the panel's argument `folder`."
            ) from error
        return [folder / name for name in files]


def rows_of(made: LabRun | None) -> dict[str, list[dict[str, Any]]]:
    """Method -> rows so far."""
    return {} if made is None else {name: list(r.curve_rows) for name, r in made.recorders.items()}


def differences(config: LabConfig, title: bool = False, methods: Iterable[str] = ()) -> str:
    """What a config sets differently from the defaults, in short; for a title alpha is always told.

    methods  those that are run, where they are not the config's: what acts on none of them is not told
    """
    methods = tuple(methods) or config.methods
    apart = () if not title else ("old", "new", "net", "seed", "methods", "alpha")
    told = [f"alpha {config.alpha:g}"] if title and acts_on("alpha", methods) else []
    for name in changed_in(config):
        if name not in apart and acts_on(name, methods):
            value = getattr(config, name)
            shown = f"{value:g}" if isinstance(value, float) else value
            told.append(f"{name} {', '.join(value) if isinstance(value, tuple) else shown}".replace("_", " "))
    return ", ".join(told) or "default settings"


def changed(made: LabRun) -> list[str]:
    """What was changed in mid-run, in short."""
    return [f"{name.replace('_', ' ')} {value:g} from step {step}" for step, name, value in made.changes]


def line_of_run(made: LabRun) -> str:
    """The line of code that makes a run again."""
    if made.live:
        return live_line(made.config, made.live, made.changes)
    return made.config.line("ebll.live.run(ebll.LabConfig({}))")
