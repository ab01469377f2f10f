"""Where the minutes of the main job go, by stage, method and sequence, and how soon it says how far it is.

Functions of the library are wrapped from outside; a call's time, less that of wrapped calls inside it, is its stage's.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any
from unittest import mock

import pandas as pd

from benchmarks.results import spread
from benchmarks.rounds import Figure, figure
from benchmarks.start import ebll
from ebll import protocol
from ebll.methods import ebll as ebll_methods, ewc
from ebll.recording import Recorder, sequence_id
from ebll.reproduce import jobs, reproduce

__all__ = ["TITLE", "Clock", "run", "watched"]

TITLE = "Where the main job spends its time"
CSV = Path(__file__).with_name("main_job.csv")
PROFILE, FIRST_BAR = "full", 5.0
STAGES = {
    "loading tasks": [(jobs, "load_cut")],
    "recording targets": [(protocol, "targets_of")],
    "measuring curves": [(Recorder, "measure"), (Recorder, "watching")],
    "test accuracy": [(Recorder, "add_accuracies")],
    "autoencoder fit": [(ebll_methods, "fit_to_task"), (jobs, "fit_to_task")],
    "Fisher": [(ewc, "fisher_diagonal")],
    "tables and figures": [(import_module("ebll.reproduce"), "conclude")],
}
FIRST, REST, SHARED = "first task", "everything else", "shared"

TEXT = """The profile `{}` with one seed, in one process of one thread, takes {:.0f} s of the processor, other programs
not counted. From the start of `ebll reproduce`, with as many processes as cores, it takes {} to the first line of
progress and {} to the first one with the time left. Of the processor's time: {stages}. Seconds by sequence, method and
stage are in [main_job.csv](main_job.csv).
"""


class Clock:
    """Adds up the time spent in nested blocks; what is spent inside an inner one counts for that one alone."""

    def __init__(self, now: Callable[[], float] = time.process_time):
        self.spent: Counter[tuple[str, str, str]] = Counter()  #: (sequence, method, stage) -> seconds
        self._now, self._since, self.where = now, now(), (SHARED, SHARED, REST)

    @contextlib.contextmanager
    def at(self, sequence: str = "", method: str = "", stage: str = "") -> Iterator[None]:
        """What is given holds inside the block, the rest is as outside."""
        before = self.where
        self._go((sequence or before[0], method or before[1], stage or before[2]))
        try:
            yield
        finally:
            self._go(before)

    def _go(self, where: tuple[str, str, str]) -> None:
        now = self._now()
        self.spent[self.where] += now - self._since
        self._since, self.where = now, where


def watched(clock: Clock) -> contextlib.ExitStack:
    """Wrap the functions that a run goes through, until the stack is closed."""
    stack = contextlib.ExitStack()

    def wrap(owner: Any, name: str, place: Callable[..., dict[str, str]]) -> None:
        original = getattr(owner, name)

        def call(*given: Any, **options: Any) -> Any:
            with clock.at(**place(*given, **options)):
                result = original(*given, **options)
                return list(result) if isinstance(result, Iterator) else result

        stack.enter_context(mock.patch.object(owner, name, call))

    def stage_of(run: Any, tasks: Any, t: int, stage: str, *more: Any) -> dict[str, str]:
        return {"stage": stage if stage == "warm-up" else "training" if t else FIRST}

    def first_of(run: Any, *more: Any) -> dict[str, str]:
        return {"sequence": sequence_id(run.net_name, run.tasks)}

    def run_of(made: Any, name: str, method: Any, tasks: Any, *more: Any, net: str, **options: Any) -> dict[str, str]:
        return {"sequence": sequence_id(net, [task.name for task in tasks]), "method": name}

    for stage, places in STAGES.items():
        for owner, name in places:
            wrap(owner, name, lambda *given, _stage=stage, **options: {"stage": _stage})
    wrap(protocol, "_stage", stage_of)
    wrap(protocol, "learn", first_of)
    wrap(jobs, "learn_with", run_of)
    return stack


def run(rounds: int, device: str) -> tuple[str, list[Figure]]:
    """The shares of one seed on the processor, whatever `device` is, and the waits in up to five rounds."""
    clock = Clock()
    with tempfile.TemporaryDirectory() as folder:
        with watched(clock):
            reproduce(PROFILE, seeds=1, out=folder, workers=1)
        waits = [first_lines(folder) for _ in range(min(rounds, 5))]
    columns = ["sequence", "method", "stage", "seconds"]
    rows = pd.DataFrame([(*where, s) for where, s in clock.spent.items()], columns=columns)
    whole = rows["seconds"].sum()
    case, (progress, left) = f"reproduce --profile {PROFILE}", zip(*waits, strict=True)
    figures = [
        figure(case, "to the first line of progress", "s", progress, FIRST_BAR),
        figure(case, "to the first line with the time left", "s", left),
    ]
    rows.to_csv(CSV, index=False, float_format="%.3g")
    shares = (100 * rows.groupby("stage")["seconds"].sum() / whole).sort_values(ascending=False)
    stages = ", ".join(f"{stage} {share:.1f} %" for stage, share in shares.items())
    return TEXT.format(PROFILE, whole, *map(spread, figures), stages=stages), figures


def first_lines(folder: str) -> list[float]:
    """Seconds from the start of the command to its first line of progress, and to the first one with the time left."""
    begun, found = time.perf_counter(), []
    command = [sys.executable, *ebll("reproduce", "--profile", PROFILE, "--out", folder)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        for words in (": results to ", "%|"):
            if words not in (line := process.stderr.readline()):
                raise SystemExit(f"{' '.join(command)} said {line!r} in place of its progress.")
            found.append(time.perf_counter() - begun)
        process.terminate()
        process.stderr.read()
    return found
