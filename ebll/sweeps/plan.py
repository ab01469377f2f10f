"""What a sweep will cost, said before it begins: runs, time, room on disk and in memory.

The time is that of the runs in the store where there are any, and a laptop's otherwise.
"""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ebll.config import PRESETS, RunConfig
from ebll.errors import InputError

__all__ = ["SweepPlan", "check_room", "plan_of"]

_STEP = {"mlp": 0.0015, "cnn": 0.007}  # seconds, measuring included
_FIRST = {"mlp": 0.6, "cnn": 2.5}  # seconds to learn a first task, and fit what is kept of it
_BEGIN = 4.0  # seconds until worker processes have imported what they need
_RUN = 800  # bytes of a result without its curves
_ROW = 330  # bytes of one row of curves as JSON
_IN_MEMORY = 6  # bytes in memory for each on disk: dictionaries and tables


@dataclass(frozen=True)
class SweepPlan:
    """What is to be done."""

    runs: int
    known: int  #: of these, already in the store
    seconds: float  #: for the rest, with these workers; NaN where nothing is known of such a device
    disk: int  #: bytes that the rest will take in the store; 0 without one
    memory: int  #: bytes that the tables of all will take
    workers: int  #: runs at a time

    def words(self) -> str:
        """In a sentence."""
        left, several = self.runs - self.known, f", {self.workers:,} at a time" if self.workers > 1 else ""
        if not left:
            return f"{_runs(self.runs)}, all of them there already."
        time = "time unknown before the first" if math.isnan(self.seconds) else f"about {_clock(self.seconds)}{several}"
        time += f", {_size(self.disk)} on disk" if self.disk else ""
        if not self.known:
            return f"{_runs(self.runs)}: {time}."
        return f"{_runs(self.runs)}, {self.known:,} of them there already; the other {left:,}: {time}."


def plan_of(
    configs: Sequence[RunConfig], known: Mapping[RunConfig, float], workers: int, *, stored: bool = True,
    device: str = "cpu",
) -> SweepPlan:  # fmt: skip
    """The plan for a sweep.

    configs   all runs, at least one
    known     of these, those that are done -> seconds that each has taken
    workers   runs at a time
    stored    whether the results go to a disk
    device    where the runs are trained: guesses are of a processor
    """
    left = [config for config in configs if config not in known]
    # How much slower or faster this machine is than the guesses, by the runs that it has done.
    pace = sum(known.values()) / sum(map(_seconds, known)) if known else 1.0
    starts = {(config.tasks[0], config.net, config.seed) for config in left}
    first = 0.0 if known else sum(_FIRST[net] for _, net, _ in starts)
    seconds, workers = pace * sum(map(_seconds, left)) + first, max(1, min(workers, len(left)))
    seconds = seconds / workers + (_BEGIN if workers > 1 else 0.0)
    if device != "cpu" and left and not known:
        seconds = math.nan
    disk = sum(map(_bytes, left)) if stored else 0
    return SweepPlan(len(configs), len(known), seconds, disk, _IN_MEMORY * sum(map(_bytes, configs)), workers)


def check_room(plan: SweepPlan, folder: Path | None) -> None:
    """Refuse a sweep that does not fit on disk or in memory, before anything runs.

    raises  `InputError` with the estimate and the limit
    """
    if folder is not None:
        there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
        free = shutil.disk_usage(there).free
        if plan.disk > free:
            raise InputError(
                f"The results of {_runs(plan.runs - plan.known)} take about {_size(plan.disk)}, and the disk of "
                f"{folder} has {_size(free)} left. Take fewer values, measure less often (log_every), or name a folder "
                "on another disk."
            )
    free = free_memory()
    if plan.memory > free:
        raise InputError(
            f"The tables of {_runs(plan.runs)} take about {_size(plan.memory)} of memory, and {_size(free)} are free. "
            "Take fewer values, or measure less often (log_every)."
        )


def free_memory() -> float:
    """Bytes that a process may still take here: of the machine, and of the container where there is one."""
    limits = [math.inf]
    try:
        lines = Path("/proc/meminfo").read_text(encoding="utf-8").splitlines()
        limits += [1024.0 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")]
    except (OSError, ValueError, IndexError):  # Windows, macOS
        if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
            limits.append(float(os.sysconf("SC_PHYS_PAGES")) * os.sysconf("SC_PAGE_SIZE"))
    try:
        group = Path("/sys/fs/cgroup")
        most, used = ((group / name).read_text().strip() for name in ("memory.max", "memory.current"))
        limits += [max(0.0, float(most) - float(used))]
    except (OSError, ValueError):  # no container, or one without a limit ("max")
        pass
    return min(limits)


def _steps(config: RunConfig) -> tuple[int, int]:
    """Steps of the two stages of one task: warm-up and training."""
    batches = math.ceil((config.images or 4000) / PRESETS[config.net].train.batch_size)
    return config.warmup_epochs * batches, config.epochs * batches


def _seconds(config: RunConfig) -> float:
    return 0.05 + (len(config.tasks) - 1) * sum(_steps(config)) * _STEP[config.net]


def _bytes(config: RunConfig) -> int:
    return round(_RUN + _ROW * _rows(config))


def _rows(config: RunConfig) -> float:
    """Rows of curves, a row an old task and measurement: the rule is that of `ebll.recording.Recorder.due`."""
    every, later = config.log_every, len(config.tasks) - 1
    if not every:
        return 0.0
    measured = 0.0
    for steps in filter(None, _steps(config)):
        measured += min(steps, 2 * every) / max(1, every // 5) + max(0, steps - 2 * every) / every + 1
    return measured * later * (later + 1) / 2


def _runs(count: int) -> str:
    return f"{count:,} run" + ("s" if count != 1 else "")


def _clock(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s" if seconds >= 1.5 else "1 s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _size(count: float) -> str:
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}"
        count /= 1000
    return f"{count:,.1f} GB"
