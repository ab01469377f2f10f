"""The checks of all submitted copies of the notebooks, each answer in a process of its own.

lines = submissions("submitted")
rows = dict(graded(lines, seconds=60))
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import re
import secrets
import signal
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing import connection
from pathlib import Path

import pandas as pd

from ebll.course.answer import run
from ebll.errors import DataMissing, InputError, check_count, check_number, expanded
from ebll.executors import START, default_workers, own_environment, preload

__all__ = ["EXERCISES", "Line", "graded", "submissions", "summary", "table"]

EXERCISES = {
    "00_first_look": {"least_alpha": "my_line"},
    "01_joint_training": {"forgetting": "my_forgetting", "replay_loss": "my_replay_loss"},
    "02_lwf_and_its_shortcomings": {"distillation": "my_distillation", "find_the_bug": "my_bugs"},
    "02b_distillation_details": {"recorded_targets": "my_recorded_targets", "soften": "my_soften"},
    "03_autoencoder_submanifold": {"autoencoder_loss": "my_autoencoder_loss", "feature_shift": "my_feature_shift"},
    "03b_autoencoder_details": {
        "pca_reconstruction": "my_pca_reconstruction", "converted_weight": "my_converted_weight",
    },
    "04_ebll": {"code_distance": "my_code_distance", "ebll_training": "my_training"},
    "05_long_sequences": {"original_targets": "my_original_targets", "encoder_bytes": "my_encoder_bytes"},
    "06_ewc_and_parameter_constraints": {
        "layer_penalty": "my_layer_penalty", "largest_strength": "my_largest_strength",
    },
    "07_hyperparameter_explorer": {
        "pareto_front": "my_front", "shrinkage": "my_shrinkage", "selected_alpha": "my_selected_alpha",
    },
    "08_your_own_data": {"nearest_mean": "my_nearest_mean", "recon_weight": "my_recon_weight"},
    "09_what_forgetting_is_made_of": {"stability_gap": "my_stability_gap", "cka": "my_cka"},
    "10_paper_scale": {"window_targets": "my_targets", "recorded_bytes": "my_recorded_bytes"},
}  # fmt: skip
"""Notebook -> check -> the name that it is called with."""
VERDICTS = ("right", "wrong", "not attempted", "error", "time limit", "no such cell")
LARGEST = 100 << 20
"""Bytes of a notebook that is read."""
START_LIMIT = 120.0
"""Seconds until a process must have begun its answer: it may have to import torch."""

Row = dict[str, str]


@dataclass(frozen=True)
class Line:
    """One line of the result, before it is graded: an exercise of a submitted notebook.

    student  the folder below that of the submissions; else what the file's name has beside that of the notebook
    name     what the check is called with
    cells    sources of the code cells; None for a file that is no notebook
    """

    student: str
    exercise: str
    file: str
    name: str
    cells: Sequence[str] | None

    def row(self, verdict: str, mistake: str = "", detail: str = "") -> Row:
        """The line as it is written, safe to open in a spreadsheet."""
        row = {"student": self.student, "exercise": self.exercise, "verdict": verdict, "mistake": mistake}
        return {name: _plain(text) for name, text in (row | {"detail": detail, "file": self.file}).items()}


def _plain(text: str) -> str:
    text = " ".join("".join(one if one.isprintable() else " " for one in text).split())
    return f"'{text}" if text.startswith(("=", "+", "-", "@")) else text  # else a formula


def submissions(folder: str | os.PathLike) -> list[Line]:
    """The lines of all notebooks below a folder, by student and file; hidden folders are left out."""
    root = expanded(folder, "The folder of the submitted notebooks")
    if not root.is_dir():
        raise DataMissing(f"{root} is no folder that is there. Name the one that holds the submitted notebooks.")
    lines = []
    for path in sorted(root.rglob("*.ipynb")):
        inner = path.relative_to(root)
        if not path.is_file() or any(part.startswith((".", "__MACOSX")) for part in inner.parts):
            continue
        cells = _cells(path)
        notebook = _notebook(path.stem, cells or [])
        stem = re.sub(r" ?\(\d+\)$", "", path.stem)  # as browsers name a second download
        rest = stem.replace(notebook, "").strip(" _-.,()") or stem
        student = inner.parts[0] if len(inner.parts) > 1 else rest
        for exercise, name in EXERCISES.get(notebook, {"": ""}).items():
            lines.append(Line(student, exercise, str(inner), name, cells))
    if not lines:
        raise InputError(
            f"{root} holds no notebook, FOLDER/STUDENT/01_joint_training.ipynb or the like. Unpack archives."
        )
    return sorted(lines, key=lambda line: (line.student, line.file))


def _cells(path: Path) -> list[str] | None:
    try:
        if path.stat().st_size > LARGEST:
            return None
        cells = json.loads(path.read_bytes())["cells"]
        return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None


def _notebook(stem: str, cells: Sequence[str]) -> str:
    """The notebook that a file's name holds, else the one most of whose names its code has; "" if it has none."""
    words = set(re.findall(r"\bmy_\w+", "\n".join(cells)))
    found = {notebook: len(words.intersection(names.values())) for notebook, names in EXERCISES.items()}
    best = next((notebook for notebook in EXERCISES if notebook in stem), max(found, key=lambda one: found[one]))
    return best if best in stem or found[best] else ""


@dataclass
class _Running:
    """The process of an answer."""

    line: Line
    seconds: float
    nonce: str = field(default_factory=lambda: secrets.token_hex(16))
    came: bytes = b""

    def __post_init__(self) -> None:
        self.folder = tempfile.mkdtemp(prefix="ebll-answer-")
        self.pipe, far = multiprocessing.Pipe(duplex=False)
        given = (far, self.folder, self.nonce, self.seconds)
        given += (self.line.cells, self.line.exercise, self.line.name)
        self.process = multiprocessing.get_context(START).Process(target=run, args=given)
        with own_environment(bare=True):  # where each process starts Python, as on macOS
            self.process.start()
        far.close()
        self.deadline = time.monotonic() + START_LIMIT

    def look(self, ready: bool) -> Row | None:
        """The row, once it is known. What comes is not trusted: it is read as it comes, and unpickled never.

        The nonce stops blind writes only: an answer that looks for it among the variables of its process finds it.
        """
        if ready:
            chunk = os.read(self.pipe.fileno(), 4096)
            if chunk and not self.came:
                self.deadline = time.monotonic() + self.seconds
            self.came += chunk
            if not chunk or b"\n" in self.came or len(self.came) > 4096:
                return self._told()
        if time.monotonic() < self.deadline:
            return None
        return self.line.row("time limit", "", f"{self.seconds:g} s" if self.came else "the process did not start")

    def _told(self) -> Row:
        try:
            nonce, verdict, mistake, detail = json.loads(self.came[1:])
            if nonce == self.nonce and verdict in VERDICTS:
                return self.line.row(verdict, mistake, detail)
        except (ValueError, TypeError, AttributeError, RecursionError):
            pass
        return self.line.row("error", "", "its process ended without a verdict")

    def end(self) -> None:
        """Kill the process and all that it has started."""
        with contextlib.suppress(OSError):  # it has ended, or has not begun
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.kill()
        self.process.join()
        self.pipe.close()
        for command in (["chmod", "-R", "u+rwx"], ["rm", "-rf"]):  # of any depth: shutil.rmtree calls itself
            subprocess.run([*command, self.folder], stderr=subprocess.DEVNULL)


def graded(lines: Sequence[Line], seconds: float = 60.0, workers: int | None = None) -> Iterator[tuple[int, Row]]:
    """Yield (number of the line, its row) as they are done.

    seconds  that an answer and its check may take together
    workers  answers at a time; as many as cores, at most 8, if None
    Closing the generator ends what runs. Of the environment an answer may read what `executors.KEPT` names, and all of
    it where this process has started workers before.
    """
    check_number(seconds, "seconds", above=True)
    workers = default_workers() if workers is None else check_count(workers, "workers")
    if os.name != "posix":
        raise InputError("Grading needs Linux or macOS. On Windows, run it in WSL or in a container.")
    preload("ebll.course.answer", bare=True)
    waiting, running = list(enumerate(lines)), {}
    waiting.reverse()
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                number, line = waiting.pop()
                if not line.exercise:
                    yield number, line.row("no such cell", "", "neither named as a notebook of the course nor like one")
                elif line.cells is None:
                    yield number, line.row("error", "", "no notebook: no JSON with cells, too large, or not readable")
                else:
                    answer = _Running(line, seconds)
                    running[answer.pipe] = number, answer
            left = [answer.deadline - time.monotonic() for _, answer in running.values()]
            ready = connection.wait(list(running), max(0.0, min(left))) if running else []
            for pipe, (number, answer) in list(running.items()):
                row = answer.look(pipe in ready)
                if row:
                    answer.end()
                    del running[pipe]
                    yield number, row
    finally:
        for _, answer in running.values():
            answer.end()


def table(rows: Mapping[int, Row]) -> pd.DataFrame:
    """student, exercise, verdict, mistake, detail, file, in the order of the lines."""
    columns = list(Line("", "", "", "", None).row(""))
    return pd.DataFrame([rows[number] for number in sorted(rows)], columns=columns)


def summary(made: pd.DataFrame) -> pd.DataFrame:
    """Of each exercise, in the order of the course: how many copies, right ones, and the most frequent mistake."""
    rows = []
    for exercise in [exercise for names in EXERCISES.values() for exercise in names]:
        part = made[made["exercise"] == exercise]
        mistakes = Counter(part["mistake"][part["mistake"] != ""]).most_common(1)
        counts = {verdict: int((part["verdict"] == verdict).sum()) for verdict in VERDICTS[:3]}
        other = len(part) - sum(counts.values())
        most = ", ".join(f"{mistake} ({count})" for mistake, count in mistakes)
        if len(part):
            rows.append({"exercise": exercise, "copies": len(part), **counts, "other": other, "mistake": most})
    return pd.DataFrame(rows)
