"""What it does to learn the first task longer: how much of it can be lost then, and how much a method saves.

python -m benchmarks.first_epochs     # writes docs/first-epochs.csv and the section "first task" of docs/settings.md
"""

from __future__ import annotations

import contextlib
from pathlib import Path

import pandas as pd
import torch

from benchmarks.choose_settings import CHOICES, FIRST, NEW_TASKS, SEEDS, told
from benchmarks.section import write_section
from ebll.config import NEW_TASK_IMAGES
from ebll.data.catalog import load_cut
from ebll.executors import completed
from ebll.files import write_table
from ebll.methods import METHODS
from ebll.protocol import learn_first, run_sequence
from ebll.recording import Recorder, measure_accuracy
from ebll.reproduce.report import markdown
from ebll.settings import USUAL

DOCS = Path(__file__).parents[1] / "docs"
SHOWN = ("finetune", "lwf", "ewc", "ebll", "ebll-separate")

TEXT = """## How long the first task is learned

Written by `python -m benchmarks.first_epochs`; rows in `first-epochs.csv`. What is forgotten where the first task was
learned for more or fewer epochs: the net `mlp` learns {first} for so many, then {later}, each alone, with the weights
that were chosen at 16 epochs. Validation accuracy of {first} before, and the points of it that each method loses, mean
over the new tasks; {seeds} seeds, ± half of the 95 % t-interval.

"""


def measure(seed: int) -> list[dict]:
    """A row an epoch number, method and new task: accuracy of the first task before and after."""
    torch.set_num_threads(1)
    old, rows = load_cut(FIRST), []
    for epochs in CHOICES["first_epochs"].values:
        options = {"settings": USUAL.replace(first_epochs=int(epochs)), "seed": seed}
        start = learn_first([old], recorder=Recorder(log_every=0), **options)
        before = measure_accuracy(start.net, 0, old.validation)
        for method in SHOWN:
            for name in NEW_TASKS:
                pair, recorder = [old, load_cut(name, NEW_TASK_IMAGES)], Recorder(log_every=0)
                run = run_sequence(pair, method, start=start, recorder=recorder, consolidate_last=False, **options)
                after = measure_accuracy(run.net, 0, old.validation)
                facts = {"first_epochs": int(epochs), "method": method, "new_task": name, "seed": seed}
                rows.append(facts | {"before": before, "after": after})
    return rows


def page(rows: pd.DataFrame) -> str:
    """The section of docs/settings.md."""
    lost = rows.assign(lost=rows["before"] - rows["after"])
    lines = {}
    for epochs, some in lost.groupby("first_epochs"):
        cells = {f"{FIRST} before": told(some.groupby("seed")["before"].mean())}
        for method in SHOWN:
            of = some[some["method"] == method]
            cells[f"lost, {METHODS[method].label}"] = told(of.groupby("seed")["lost"].mean())
        lines[str(epochs)] = cells
    text = TEXT.format(first=FIRST, later=", ".join(NEW_TASKS), seeds=rows["seed"].nunique())
    return text + markdown(pd.DataFrame.from_dict(lines, orient="index"), "epochs")


def main() -> None:
    """Measure, keep the rows, write the section."""
    with contextlib.closing(completed(measure, SEEDS)) as results:
        table = pd.DataFrame([row for _, rows in results for row in rows])
    write_table(table, DOCS / "first-epochs.csv")
    write_section(DOCS / "settings.md", "first task", page(table))
    print(page(table))


if __name__ == "__main__":
    main()
