"""The golden files, read, written and compared.

A file records what it was made on: processor, vector unit, versions, threads, and the variables by which another
processor is emulated. Where all of these are equal, results must be equal in every digit that is written, and final
weights to the last bit, by their hash.

Elsewhere sums are taken in another order, which changes the last bits of a float32 (relative 1e-7), and every optimiser
step magnifies the difference. So where something was trained, a column of numbers may be off by the share `TRAINED` of
its largest entry; tables that are computed in double precision only by `ROUNDED`, the last digit that is written.
Counts, bytes, names, settings and layouts are exact everywhere, with one exception: an input whose two largest logits
are all but equal may be classified otherwise. So an accuracy may be off by one image (`ONE_IMAGE`), and at most one in
`IMAGES_IN` accuracies of a part may be: the states of a widget show the same run again and again.
"""

import json
import math
import os
from dataclasses import dataclass, field
from pathlib import Path

import torch

from notebooks.source.machine import this_machine

__all__ = ["OVERRIDES", "Report", "compare", "machine", "plain", "write"]

FOLDER = Path(__file__).parent
OVERRIDES = ("ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA", "MKL_CBWR")
DIGITS = 9  # that are written of a number: all of a float32

# On emulated processors (the three variables alone and together, with one and two threads) at most 1.3e-4 was seen.
TRAINED = 5e-4
ROUNDED = 1e-8
ONE_IMAGE = {
    "runs": {"right": 1, "right_new": 1},
    "widgets": dict.fromkeys(("before", "old", "new"), 100 / 36)
    | dict.fromkeys(("accuracy", "accuracy_new", "direct", "autoencoder", "pca"), 1 / 36)
    | {"forgetting": 200 / 36},
    "sweep": dict.fromkeys(("old", "new", "average"), 1 / 240)
    | dict.fromkeys(("old_validation", "new_validation"), 1 / 36)
    | {"forgetting": 2 / 240},
}
"""Part that is trained -> column -> what one image is worth in it; forgetting is a difference of two accuracies."""
IMAGES_IN = 20


@dataclass
class Report:
    """How a part compares with its file: whether exactly, what is wrong in words, and how many numbers differ."""

    exact: bool
    problems: list[str] = field(default_factory=list)
    moved: int = 0


def machine():
    """All that decides the last bit of a float."""
    overrides = {name: os.environ.get(name, "") for name in OVERRIDES}
    return this_machine() | overrides | {"threads": str(torch.get_num_threads())}


def write(part, content):
    """Write a part's file, with a line for each column; returns its path."""
    file, whole = FOLDER / f"{part}.json", {"part": part, "made_on": machine(), "content": plain(content)}
    file.write_text(f"{_lines(whole)}\n", encoding="utf-8", newline="\n")
    return file


def compare(part, content):
    """A part as it was computed here, beside what its file holds: a `Report`."""
    file = json.loads((FOLDER / f"{part}.json").read_text(encoding="utf-8"))
    held, here = _columns(file["content"]), _columns(plain(content))
    report, images, accuracies = Report(exact=file["made_on"].items() <= machine().items()), 0, 0
    report.problems += [f"{' / '.join(path)}: in the file, and no longer here" for path in held.keys() - here.keys()]
    report.problems += [f"{' / '.join(path)}: here, and not in the file" for path in here.keys() - held.keys()]
    for path in held.keys() & here.keys():
        was, now, where = held[path], here[path], " / ".join(path)
        if len(was) != len(now):
            report.problems.append(f"{where}: {len(was)} entries in the file, {len(now)} here")
        elif report.exact or path[-1] != "sha256":
            image = ONE_IMAGE.get(part, {}).get(path[-1])
            share = TRAINED if part in ONE_IMAGE else ROUNDED
            allowed = image or share * max((abs(one) for one in was if isinstance(one, float)), default=0.0)
            apart = [pair for pair in zip(was, now, strict=True) if pair[0] != pair[1]]
            report.moved += len(apart)
            accuracies += len(was) if image else 0
            images += len(apart) if image else 0
            wrong = [pair for pair in apart if report.exact or not _near(*pair, allowed)]
            report.problems += [f"{where}: {one!r} in the file, {other!r} here" for one, other in wrong[:1]]
    most = max(1, accuracies // IMAGES_IN)
    if not report.exact and images > most:
        report.problems.append(f"{images} of {accuracies} accuracies are off by an image; {most} may be")
    if report.problems:
        how = "exactly, as it was made here" if report.exact else "within tolerances, as it was made on another machine"
        report.problems.insert(0, f"tests/golden/{part}.json holds something else (compared {how}).")
        again = f"python -m tests.golden.make {part}"
        report.problems.append(f"If that is meant, `{again}`, in a commit of its own that says why.")
    return report


def plain(value):
    """The value as JSON holds it, with as many digits as are written: None for NaN."""
    if isinstance(value, dict):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None if math.isnan(value) else str(value)
    return value


def _columns(value, path=()):
    """Path -> column of numbers or texts; a single value is a column of one."""
    if isinstance(value, dict) and value:
        return {k: column for key, one in value.items() for k, column in _columns(one, (*path, key)).items()}
    return {path: value if isinstance(value, list) else [value]}


def _near(was, now, allowed):
    """Whether two numbers differ by no more than is allowed; anything else must be equal."""
    numbers = all(isinstance(one, int | float) and not isinstance(one, bool) for one in (was, now))
    # The difference of two rounded numbers has an end of its own.
    return numbers and abs(was - now) <= allowed * (1 + 1e-6)


def _lines(value, indent=0):
    """JSON with a line for each column: a list of single values stays on one."""
    if isinstance(value, dict) and value:
        inner = " " * (indent + 1)
        rows = [f"{inner}{json.dumps(key)}: {_lines(one, indent + 1)}" for key, one in value.items()]
        return "{\n" + ",\n".join(rows) + "\n" + " " * indent + "}"
    return json.dumps(value, ensure_ascii=False, allow_nan=False)
