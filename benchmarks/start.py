"""How long it takes until something happens: imports, `ebll --help`, the built-in tasks.

Everything runs in fresh Python processes, as a user's first command does. Files have been read before by the warm-up,
so that the disk plays no part.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from benchmarks.results import spread
from benchmarks.rounds import Figure, figure, interleaved

__all__ = ["TITLE", "python", "run"]

TITLE = "How soon it starts"
THREADS = "1 a process"
IMPORT_BAR, HELP_BAR = 0.1, 0.3  # seconds
TASKS = ("mnist", "digits", "letters", "textures")
LOADS = 5  # rounds at most
TORCH, EBLL, HELP = "import torch", "import ebll; ebll.run_sequence", "ebll --help"
BEYOND, WHOLE = "import, beyond torch", "whole command"

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

TEXT = """Each in a fresh process. `import ebll` alone loads neither torch nor the parts of `ebll`, which come when
they are first named: `ebll.run_sequence` stands for what a user touches first. Its time begins once torch is imported,
which takes {torch}. Loading a built-in task takes {loads} the first time in
a process; each is in results.csv.
"""


def run(rounds: int, device: str) -> tuple[str, list[Figure]]:
    """Imports and help, and the built-in tasks.

    device   not used: none of this computes on a GPU
    """
    first, loaded = imports(rounds), loads(min(rounds, LOADS))
    quick, slow = (pick(loaded[::2], key=lambda one: one.value) for pick in (min, max))
    loads_in = f"{spread(quick)} ({quick.case}) to {spread(slow)} ({slow.case})"
    return TEXT.format(torch=spread(first[0]), loads=loads_in), [*first, *loaded]


def imports(rounds: int) -> list[Figure]:
    """What `import ebll` and `ebll --help` take, and the import of torch for comparison."""
    clock: list[float] = []
    cases = {
        "pass": lambda: python("-c", "pass"),
        TORCH: lambda: python("-c", TORCH),
        EBLL: lambda: clock.append(float(python("-c", CLOCKED))),
        HELP: lambda: python(*ebll("--help")),
    }
    times = interleaved(cases, rounds)
    return [
        figure(TORCH, "import, beyond Python itself", "s", times[TORCH] - times["pass"]),
        figure(EBLL, BEYOND, "s", clock[-rounds:], IMPORT_BAR),
        figure(HELP, WHOLE, "s", times[HELP], HELP_BAR),
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
