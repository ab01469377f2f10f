"""The two settings of the lab in the page, found on validation images: the tuned one, and that of the demonstration.

python -m benchmarks.web_regime     # writes docs/web-regime.csv and the section "settings" of docs/web.md

Runs that the file has are not made again: delete it after a change of what is trained.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import torch

from benchmarks.choose_settings import SEEDS, told
from benchmarks.section import write_section
from ebll.executors import completed
from ebll.files import write_table
from ebll.plots import METHODS as LOOKS
from ebll.recording import measure_accuracy
from ebll.reproduce.report import markdown
from ebll.web import WebConfig, run
from ebll.web.setting import DEMONSTRATION, FIRST, METHODS, NEW_TASKS, small
from ebll.widgets.config import acts_on

DOCS = Path(__file__).parents[1] / "docs"
CHOSEN_ON, REPORTED_ON = SEEDS[:3], range(5)
COST = 3.0  # points of the new task by which the methods' means may differ
TUNED: dict[str, Sequence] = {
    "learning_rate": (0.01, 0.02, 0.03),
    "distill_weight": (0.5, 1.0, 2.0, 3.0, 5.0),
    "alpha": (0.3, 1.0, 3.0, 10.0, 30.0, 100.0),
}
SHOWN: dict[str, Sequence] = {
    "learning_rate": (0.03, 0.05, 0.1),
    "epochs": (8, 12),
    "distill_weight": (0.1, 0.3, 0.5),
    "alpha": (1.0, 3.0, 10.0),
}

TEXT = """## The two settings

Written by `python -m benchmarks.web_regime`; every run is a row of `web-regime.csv`. All numbers are of all
validation images, in %. Settings were chosen on the seeds {chosen}; the tables are of the seeds {reported}, by which
nothing was chosen, mean over the three new tasks, ± half of the 95 % t-interval over the seeds.

**Tuned**: {tuned}. First learning rate and distillation weight with the best mean
of old and new accuracy of LwF over the new tasks, then alpha with the best mean of both forms of EBLL. Candidates:
{tried}.

{tuned_table}

**Demonstration**, which ranks nothing: {shown}.
The setting with the largest score. The score is the smallest gap in points of the old task, over the new tasks, between
fine-tuning and LwF, and between LwF and each form of EBLL; the methods' means on the new tasks lie within {cost:g}
points. Candidates: {tried_shown}.

{shown_table}
"""


def config_of(method: str, settings: dict) -> str:
    """The line of a run: each setting that the method uses, whatever the defaults of the page are."""
    return ", ".join(f"{name}={value}" for name, value in settings.items() if acts_on(name, [method]))


def grid(values: dict[str, Sequence], fixed: dict | None = None) -> list[dict]:
    """All combinations."""
    return [(fixed or {}) | dict(zip(values, some, strict=True)) for some in itertools.product(*values.values())]


STEPS = grid({name: TUNED[name] for name in ("learning_rate", "distill_weight")})


def measure(part: tuple[str, str, int]) -> list[dict]:
    """Rows of one line, method and seed: accuracies at the end, of each new task."""
    torch.set_num_threads(1)
    line, method, seed = part
    rows = []
    for new in NEW_TASKS:
        made = run(line, methods=[method], new=new, seed=seed, log_every=0)
        ends = (0.0, 0.0)  # where it diverged, all is forgotten
        if not made.failures:
            net = made.runs[method, seed].net
            ends = (measure_accuracy(net, t, small(name).validation) for t, name in enumerate((FIRST, new)))
        facts = {"line": line, "method": method, "seed": seed, "new_task": new}
        rows.append(facts | dict(zip(("old", "new"), ends, strict=True)))
    return rows


def rows_of(wanted: list[tuple[str, dict, int]], workers: int | None, known: pd.DataFrame) -> pd.DataFrame:
    """The table with the runs that are wanted; those that are there are not made again."""
    there = set(zip(known["line"], known["method"], known["seed"], strict=True)) if len(known) else set()
    parts = dict.fromkeys((config_of(method, settings), method, seed) for method, settings, seed in wanted)
    todo = [part for part in parts if part not in there]
    with contextlib.closing(completed(measure, todo, workers=workers)) as results:
        made = [row for _, rows in results for row in rows]
    return pd.concat([known, pd.DataFrame(made)], ignore_index=True) if made else known


def ends(table: pd.DataFrame, method: str, settings: dict, seeds: Sequence[int]) -> pd.DataFrame:
    """The rows of a method and setting."""
    line = config_of(method, settings)
    return table[(table["line"] == line) & (table["method"] == method) & table["seed"].isin(seeds)]


def both(table: pd.DataFrame, methods: Sequence[str], settings: dict) -> float:
    """Mean of old and new accuracy over the methods."""
    return sum(ends(table, name, settings, CHOSEN_ON)[["old", "new"]].to_numpy().mean() for name in methods)


def score(table: pd.DataFrame, settings: dict) -> float:
    """Of a demonstration; below all others where a new task costs too much."""
    means = {
        name: ends(table, name, settings, CHOSEN_ON).groupby("new_task")[["old", "new"]].mean() for name in METHODS
    }
    new = [100 * of["new"].mean() for of in means.values()]
    pairs = (("finetune", "lwf"), ("lwf", "ebll"), ("lwf", "ebll-separate"))
    gap = min(100 * (means[high]["old"] - means[low]["old"]).min() for low, high in pairs)
    return gap if max(new) - min(new) <= COST else -100.0 + gap


def alphas(table: pd.DataFrame) -> list[dict]:
    """Candidates for alpha, at the learning rate and distillation weight that are best for LwF."""
    best = max(STEPS, key=lambda one: both(table, ["lwf"], one))
    return grid({"alpha": TUNED["alpha"]}, best)


def chosen(table: pd.DataFrame) -> tuple[dict, dict]:
    """The tuned setting, and that of the demonstration."""
    tuned = max(alphas(table), key=lambda one: both(table, ["ebll", "ebll-separate"], one))
    return tuned, max(grid(SHOWN), key=lambda one: score(table, one))


def shown_table(table: pd.DataFrame, settings: dict) -> str:
    """A row a method, on the seeds by which nothing was chosen."""
    lines = {}
    for name in METHODS:
        of = ends(table, name, settings, REPORTED_ON).groupby("seed")[["old", "new"]].mean()
        lines[LOOKS[name].label] = {"letters": told(of["old"]), "new task": told(of["new"])}
    return markdown(pd.DataFrame.from_dict(lines, orient="index"), "method")


def words(settings: dict) -> str:
    """Settings as code."""
    return ", ".join(f"`{name}={value:g}`" for name, value in settings.items())


def main() -> None:
    """Run what is missing, write rows and section."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int)
    workers, path = parser.parse_args().workers, DOCS / "web-regime.csv"
    table = pd.read_csv(path) if path.exists() else pd.DataFrame()

    def more(settings: list[dict], methods: Sequence[str], seeds: Sequence[int]) -> None:
        nonlocal table
        wanted = [(name, one, seed) for one in settings for name in methods for seed in seeds]
        table = rows_of(wanted, workers, table)
        write_table(table, path)
        print(f"{len(table)} rows", flush=True)

    more(STEPS, ["lwf"], CHOSEN_ON)
    more(alphas(table), ["ebll", "ebll-separate"], CHOSEN_ON)
    more(grid(SHOWN), METHODS, CHOSEN_ON)
    tuned, shown = chosen(table)
    more([tuned, shown], METHODS, REPORTED_ON)
    tables = {"tuned_table": shown_table(table, tuned), "shown_table": shown_table(table, shown)}
    text = TEXT.format(
        chosen=f"{CHOSEN_ON[0]} to {CHOSEN_ON[-1]}", reported=f"{REPORTED_ON[0]} to {REPORTED_ON[-1]}", cost=COST,
        tuned=words(tuned), shown=words(shown), **tables,
        tried="; ".join(f"{n} {', '.join(map('{:g}'.format, v))}" for n, v in TUNED.items()),
        tried_shown="; ".join(f"{n} {', '.join(map('{:g}'.format, v))}" for n, v in SHOWN.items()),
    )  # fmt: skip
    write_section(DOCS / "web.md", "settings", text)
    print(text)
    usual = WebConfig()
    if any(getattr(usual, name) != value for name, value in tuned.items()) or shown != DEMONSTRATION:
        print("ebll/web/setting.py has other settings: change the defaults of WebConfig and DEMONSTRATION.")


if __name__ == "__main__":
    main()
