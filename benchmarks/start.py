"""How long it takes until something happens: imports, `ebll --help`, the built-in tasks, the main job.

Everything runs in fresh Python processes, as a user's first command does. Files have been read before by the warm-up,
so that the disk plays no part.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from benchmarks.rounds import Figure, figure, interleaved, ratio_of
from ebll.experiments.jobs import jobs_of
from ebll.experiments.plan import plan
from ebll.methods import METHODS

__all__ = ["TITLE", "python", "run"]

TITLE = "How soon it starts"
THREADS = "1 a process"
IMPORT_BAR, HELP_BAR, FULL_BAR = 0.1, 0.3, 60.0  # seconds
TASKS = ("mnist", "digits", "letters", "textures")
LOADS, FAST, FULL = 5, 2, 1  # rounds at most
FULL_FROM = 5  # rounds with which the full profile is run too, unless EBLL_BENCH_FULL says 0 or 1

TORCH, PANDAS, EBLL, BOTH, READY, HELP = (
    "import torch",
    "import torch, pandas",
    "import ebll",
    "import torch, ebll",
    "import torch, ebll; ebll.run_sequence",
    "ebll --help",
)
SCRIPTS = {"pass": "pass", TORCH: TORCH, PANDAS: PANDAS, EBLL: EBLL, BOTH: BOTH}
CLOCKED = """import torch, time
begun = time.perf_counter()
import ebll
ebll.run_sequence
print(time.perf_counter() - begun)"""
LOAD = """import json, sys, time, torch, ebll
load, marks = ebll.load_task, [time.perf_counter()]
for _ in range(2):
    load(sys.argv[1])
    marks.append(time.perf_counter())
print(json.dumps([1e3 * (marks[1] - marks[0]), 1e3 * (marks[2] - marks[1])]))"""

TEXT = """Whole processes, from their start to their end, in turns. `import ebll` alone loads neither torch nor the
parts of `ebll`: they come when they are first named, so `ebll.run_sequence` stands for what a user touches first, and
brings the core with it (pandas comes where a table is made). What is beyond torch is the time of a process less that of
`import torch` in the same round; the import of torch varies from round to round, more than ebll's takes, so the bar
is put to the figure by the clock of one process, between the import of torch and the end of its own.

A task is loaded in a process that has imported torch: the first time, which also imports what its images are read
with, and once more in the same process. `ebll reproduce` is timed as a command of its own, with as many processes as
cores ({cores}); its files go to a temporary folder. {full}
"""
STORY = """The full profile has {runs} runs: {whole:.0f} s are {spent:.2f} s of a core for each, and {bar:.0f} s would
leave {left:.2f} s. What the runs are made of is in the sections above: steps, measurements and fits."""


def run(rounds: int, device: str) -> tuple[str, list[Figure]]:
    """Imports and help, the built-in tasks, the main job.

    device   not used: none of this computes on a GPU
    """
    asked = os.environ.get("EBLL_BENCH_FULL", "")
    full = asked == "1" or (asked != "0" and rounds >= FULL_FROM)
    figures = [*imports(rounds), *loads(min(rounds, LOADS)), *main_job("fast", min(rounds, FAST))]
    if full:
        figures += main_job("full", FULL, FULL_BAR, " (make reproduce, after set-up)")
    return words(figures), figures


def words(figures: Sequence[Figure]) -> str:
    """How it was measured, and what the time of the full profile comes to for a run."""
    whole = [one.value for one in figures if one.bar == FULL_BAR]
    told = "The full profile was left out; EBLL_BENCH_FULL=1 asks for it."
    if whole:
        chosen, cores = plan("full"), os.cpu_count() or 1
        runs = sum(job.runs for job in jobs_of(chosen.experiments, list(METHODS), range(chosen.seeds)))
        spent, left = (cores * seconds / runs for seconds in (whole[0], FULL_BAR))
        told = STORY.format(runs=runs, whole=whole[0], spent=spent, bar=FULL_BAR, left=left)
    return TEXT.format(cores=os.cpu_count(), full=told)


def imports(rounds: int) -> list[Figure]:
    """What `import ebll` and `ebll --help` take, and what of it is ebll's own."""
    clock: list[float] = []
    cases = {name: lambda code=code: python("-c", code) for name, code in SCRIPTS.items()}
    cases[READY] = lambda: clock.append(float(python("-c", CLOCKED)))
    cases[HELP] = lambda: python(*ebll("--help"))
    times = interleaved(cases, rounds)
    python_itself = times["pass"]
    return [
        figure(TORCH, "beyond Python itself", "s", times[TORCH] - python_itself),
        figure(PANDAS, "pandas beyond torch itself", "s", times[PANDAS] - times[TORCH]),
        figure(EBLL, "beyond Python itself", "s", times[EBLL] - python_itself),
        figure(BOTH, "import ebll beyond torch itself", "s", times[BOTH] - times[TORCH]),
        ratio_of(times, BOTH, TORCH, BOTH, "to import torch"),
        figure(READY, "import ebll beyond torch itself", "s", times[READY] - times[TORCH]),
        ratio_of(times, READY, TORCH, READY, "to import torch"),
        figure(READY, "the same, by the clock of one process", "s", clock[-rounds:], IMPORT_BAR),
        figure(HELP, "whole process", "s", times[HELP], HELP_BAR),
    ]


def loads(rounds: int) -> list[Figure]:
    """Milliseconds of each built-in task, when it is loaded first in a process and when again."""
    turns = [{name: json.loads(python("-c", LOAD, name)) for name in TASKS} for _ in range(1 + rounds)]
    times = pd.DataFrame(turns[1:])  # the first warms up
    return [
        figure(f"load_task({name!r})", what, "ms", times[name].str[place])
        for name in TASKS
        for place, what in enumerate(("first time", "again"))
    ]


def main_job(profile: str, rounds: int, bar: float | None = None, note: str = "") -> list[Figure]:
    """Seconds of `ebll reproduce`, its processes, tables and pictures included."""
    with tempfile.TemporaryDirectory() as folder:
        work = {profile: lambda: python(*ebll("reproduce", "--profile", profile, "--out", folder))}
        times = interleaved(work, rounds, warm_up=0)
    return [figure(f"reproduce --profile {profile}{note}", "whole command", "s", times[profile], bar)]


def ebll(*arguments: str) -> Sequence[str]:
    """The command line of `ebll`: its script beside this Python, or the module where there is none."""
    script = Path(sys.executable).with_name("ebll")
    return (str(script) if script.is_file() else "-mebll", *arguments)


def python(*arguments: str) -> str:
    """Run a Python process to its end; returns what it printed."""
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(arguments)} failed:\n{done.stderr}")
    return done.stdout
