"""Choose the settings of the main job on validation data, with seeds that the main job does not use.

    python -m benchmarks.choose_settings            # writes docs/settings.csv and docs/settings.md; goes on if stopped
    python -m benchmarks.choose_settings --restart  # begins again

For each net, with letters first and then mnist, digits, or textures, in this order:

1. learning rate, for all tasks and methods: by the mean of the first task and, by fine-tuning, of the new ones; the
   smallest that is good;
2. epochs of the first task, at that rate: the fewest within a point of the best, since they cost time;
3. the weight of each method, of five values, by the mean accuracy on all tasks at the end, over the three pairs and the
   sequence of all four tasks; the largest that is good: distillation for LwF, strength for EWC, and, at LwF's
   distillation weight, alpha for each variant of EBLL; strength for the other penalties on weights; weight of replay.

A value is good if its mean lies within one standard error of the best. Everything is read on validation splits. The
winners are the defaults in `ebll/settings.py`, but for those that docs/settings.md names; a test compares the two.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import torch
from scipy.stats import t

from benchmarks.section import write_section
from ebll.config import NEW_TASK_IMAGES
from ebll.data import Task
from ebll.data.catalog import load_cut
from ebll.errors import TrainingDiverged
from ebll.executors import completed, default_workers
from ebll.files import write_table
from ebll.methods import METHODS, Finetune, Method
from ebll.metrics import confidence_interval
from ebll.protocol import learn_first, run_sequence
from ebll.recording import Recorder, Snapshot, measure_accuracy
from ebll.reproduce.report import markdown
from ebll.settings import NET_NAMES, USUAL, MethodSettings, TrainSettings

DOCS = Path(__file__).parents[1] / "docs"
SEEDS = range(100, 105)
FIRST, NEW_TASKS = "letters", ("mnist", "digits", "textures")
SEQUENCE = "all in turn"
CODES = ("ebll", "ebll-separate", "code-only")


class Choice(NamedTuple):
    """A setting to be chosen: its values, rising, the method that is run, and which of several good values is taken.

    slack   how far below the best mean score a good one may lie; by default the standard error of the best
    """

    values: tuple[float, ...]
    method: str = "finetune"
    largest: bool = True
    slack: float | None = None


CHOICES = {
    "learning_rate": Choice((0.005, 0.01, 0.02, 0.05), largest=False),
    "first_epochs": Choice((4, 8, 16, 32), largest=False, slack=0.01),
    "distill_weight": Choice((0.5, 1.0, 2.0, 3.0, 5.0), "lwf"),
    "ewc_strength": Choice((100.0, 300.0, 1000.0, 3000.0, 10_000.0), "ewc"),
    **{f"alpha of {name}": Choice((0.3, 1.0, 3.0, 10.0, 30.0), name) for name in CODES},
    "l2_strength": Choice((0.03, 0.1, 0.3, 1.0, 3.0), "l2"),
    "moments_strength": Choice((0.001, 0.003, 0.01, 0.03, 0.1), "input-moments"),
    "kfac_strength": Choice((0.3, 1.0, 3.0, 10.0, 30.0), "kfac"),
    "replay_weight": Choice((0.1, 0.3, 1.0, 3.0, 10.0), "replay"),
}
STAGES = (
    *(("learning_rate",), ("first_epochs",), ("distill_weight", "ewc_strength")),
    *(
        tuple(f"alpha of {name}" for name in CODES),
        ("l2_strength", "moments_strength", "kfac_strength", "replay_weight"),
    ),
)
"""Settings that are chosen together; those of a stage use what was chosen before."""
FIRST_EPOCHS = 16
"""Epochs of the first task while the learning rate is chosen."""

PAGE = """# How the settings of the main job were chosen

Written by `python -m benchmarks.choose_settings`; the rows behind it are in `settings.csv`. First task {first}, new
tasks with {images} training images each; the {count} seeds {low} to {high}, which the main job does not use.
Everything is read on validation images; no test accuracy was used.

One set of values serves both nets and all variants of EBLL: where the rule takes two, one of them is used, of two
strengths of a penalty the smaller, as the larger may diverge with the other net. Beside it stands what the rule below
takes for each net, and what it would take by the three pairs alone, without the sequence of all four tasks. In
brackets: the points of {first} that are forgotten with that value, mean over the three pairs.

{used}

The rule. For each net, in this order: the learning rate, for all tasks and methods alike, by the mean of the first
task's accuracy and that of the new one after fine-tuning; the epochs of the first task, by its accuracy; then a
weight for each method, by the accuracy of all tasks at the end, averaged over the three pairs and the sequence:
distillation for LwF, strength for EWC and, at LwF's distillation weight, alpha for each variant of EBLL; then strength
for the other penalties on weights, and the weight of the images that replay stores. Every weight has five values and
the same seeds. The sequence counts because what serves a pair can fail there: the penalties of
several tasks add up, and the steps of SGD are then too large for them. A run that diverged counts as 0.

A value is good if its mean score lies within one standard error of the best one (Breiman's rule). Of good weights the
largest is taken, the firmest constraint; of good learning rates the smallest; of epochs the fewest within a point of
the best, since they cost time.

The rules were settled on these seeds, after a look at tables like this one. Not chosen so: temperature 2 is LwF's;
the autoencoder's size, weight and start were set by looking at its fit on earlier settings; the number of images that
Replay stores; the epochs of the new tasks and their number of images are such that the main job stays within minutes.
All of it is for {first} as the first task; where the main job begins with another, the settings are used as they are.

## Every candidate

Accuracy in %, mean over the seeds ± half of its 95 % t-interval (a standard error is {t:.2f} times smaller). *first
task*: {first} before anything else is learned; *old* and *new*: at the end, after that new task was learned; in *all
in turn*, {later} one after the other, *old* is the mean of all but the last; *score*: what the rule compares.

"""


def measure(net: str, seed: int, stage: int, chosen: dict[str, float]) -> list[dict]:
    """Validation accuracies of all candidates of a stage on one seed: a row a setting, value and new task."""
    torch.set_num_threads(1)
    old = load_cut(FIRST)
    new = {name: load_cut(name, NEW_TASK_IMAGES) for name in NEW_TASKS}
    rows = []
    for setting in STAGES[stage]:
        for value in CHOICES[setting].values:
            at = {"first_epochs": FIRST_EPOCHS, **chosen}
            if setting in ("learning_rate", "first_epochs"):
                at[setting] = value
            train = TrainSettings(learning_rate=at["learning_rate"], first_epochs=int(at["first_epochs"]))
            facts = {"net": net, "setting": setting, "value": value, "seed": seed}
            start = _first(old, net, train, seed)
            before = measure_accuracy(start.net, 0, old.validation) if start else 0.0
            if setting == "first_epochs":
                rows.append({**facts, "new_task": "", "before": before, "old": before, "new": before})
                continue
            method, later = _method(setting, value, at), {name: [task] for name, task in new.items()}
            if CHOICES[setting].method != "finetune":
                later[SEQUENCE] = list(new.values())
            for name, tasks in later.items():
                reached = _reached(start, [old, *tasks], method, train, seed)
                means = {"old": sum(reached[:-1]) / len(tasks), "new": reached[-1]}
                rows.append({**facts, "new_task": name, "before": before, **means})
    return rows


_known: dict = {}


def _first(old: Task, net: str, train: TrainSettings, seed: int) -> Snapshot | None:
    """The network that has learned the first task; None where that diverged."""
    key = (net, train, seed)
    if key not in _known:
        _known.clear()  # the newest alone
        try:
            _known[key] = learn_first([old], net=net, settings=train, seed=seed, recorder=Recorder(log_every=0))
        except TrainingDiverged:
            _known[key] = None
    return _known[key]


def _method(setting: str, value: float, at: dict[str, float]) -> Method:
    name = CHOICES[setting].method
    if name == "finetune":
        return Finetune()
    given = {setting.partition(" ")[0]: value}
    if name == "ebll":
        given["distill_weight"] = at["distill_weight"]
    return METHODS[name](**given)


def _reached(start: Snapshot | None, tasks: list[Task], method: Method, train: TrainSettings, seed: int) -> list[float]:
    """Accuracy of each task at the end; where training diverged, nothing was learned, and all is forgotten."""
    if start is None:
        return [0.0] * len(tasks)
    recorder = Recorder(log_every=0)
    try:
        run = run_sequence(
            tasks, method, settings=train, seed=seed, recorder=recorder, start=start, consolidate_last=False
        )
    except TrainingDiverged:
        return [0.0] * len(tasks)
    return [measure_accuracy(run.net, t, task.validation) for t, task in enumerate(tasks)]


def scores(table: pd.DataFrame) -> pd.Series:
    """What a row is chosen by: the mean of the first task before and the new one, or of all tasks at the end."""
    first = table["setting"].isin(["learning_rate", "first_epochs"])
    old = table["before"].where(first, table["old"])
    share = table["new_task"].eq(SEQUENCE).map({True: 1 / (1 + len(NEW_TASKS)), False: 0.5})
    return (1 - share) * old + share * table["new"]


def winners(table: pd.DataFrame) -> pd.DataFrame:
    """A row per net and setting: the value that won, and its mean score over the seeds."""
    keys = ["net", "setting", "value"]
    per_seed = table.assign(score=scores(table)).groupby([*keys, "seed"], as_index=False)["score"].mean()
    means = per_seed.groupby(keys)["score"].agg(["mean", "sem"]).reset_index()
    won = []
    for (_, setting), several in means.groupby(["net", "setting"]):
        choice, best = CHOICES[setting], several.loc[several["mean"].idxmax()]
        slack = best["sem"] if choice.slack is None else choice.slack
        won.append(several[several["mean"] >= best["mean"] - slack].iloc[-1 if choice.largest else 0])
    return pd.DataFrame(won)[[*keys, "mean"]].rename(columns={"mean": "score"}).reset_index(drop=True)


def page(table: pd.DataFrame) -> str:
    """docs/settings.md: what is used, the rules, every candidate with its spread. Validation accuracies in %."""
    won = set(winners(table)[["net", "setting", "value"]].itertuples(index=False, name=None))
    order = {name: i for i, name in enumerate(CHOICES)}
    lines = {}
    for (net, setting, value), rows in sorted(
        table.assign(score=scores(table)).groupby(["net", "setting", "value"]),
        key=lambda p: (p[0][0], order[p[0][1]], p[0][2]),
    ):
        cells = {"first task": told(rows.groupby("seed")["before"].mean())}
        for name in (*NEW_TASKS, SEQUENCE):
            of = rows[rows["new_task"] == name]
            cells |= {f"{name}, {which}": told(of.set_index("seed")[which]) for which in ("old", "new")}
        cells["score"] = told(rows.groupby("seed")["score"].mean())
        by_rule = " *by the rule*" if (net, setting, value) in won else ""
        lines[f"{net} {setting} {value:g}{' **used**' if value == default_of(setting) else by_rule}"] = cells
    seeds = table["seed"].unique()
    facts = dict(first=FIRST, later=", ".join(NEW_TASKS), images=f"{NEW_TASK_IMAGES:,}", used=used(table))
    facts |= dict(count=len(seeds), low=seeds.min(), high=seeds.max(), t=t.ppf(0.975, len(seeds) - 1))
    return PAGE.format(**facts) + markdown(pd.DataFrame.from_dict(lines, orient="index"), "net, setting, value") + "\n"


def used(table: pd.DataFrame) -> str:
    """A row per setting: the value that is used, and what the rule takes for each net, by all and by pairs alone."""
    pairs = table[table["new_task"] != SEQUENCE]
    lost = (pairs["before"] - pairs["old"]).groupby([pairs[name] for name in ("net", "setting", "value")]).mean()
    lines: dict[str, dict[str, str]] = {}
    for how, rows in {"by the rule": table, "by the pairs alone": pairs}.items():
        for net, setting, value in winners(rows)[["net", "setting", "value"]].itertuples(index=False, name=None):
            forgotten = "" if setting == "first_epochs" else f" ({100 * lost[net, setting, value]:.1f})"
            line = lines.setdefault(setting, {"used": f"{default_of(setting):g}"})
            line[f"{net}, {how}"] = f"{value:g}{forgotten}"
    return markdown(pd.DataFrame.from_dict({name: lines[name] for name in CHOICES}, orient="index"), "setting")


def default_of(setting: str) -> float:
    """The default of a setting, in training or in the methods."""
    name = setting.partition(" ")[0]
    return getattr(USUAL if hasattr(USUAL, name) else MethodSettings(), name)


def told(values: pd.Series) -> str:
    """Fractions, one a seed, as their mean in % ± half of the 95 % interval."""
    if values.empty:
        return ""
    mean, low, high = confidence_interval(100 * values)
    return f"{mean:.1f}" if pd.isna(low) else f"{mean:.1f} ± {(high - low) / 2:.1f}"


def chosen_of(rows: list[dict], net: str) -> dict[str, float]:
    """Setting -> the value that won for a net, of those that have been measured."""
    return winners(pd.DataFrame(rows)).query("net == @net").set_index("setting")["value"].to_dict() if rows else {}


def expected(stage: int) -> list[tuple[str, float, str]]:
    """Setting, value and new task of each row that `measure` gives."""
    rows = []
    for setting in STAGES[stage]:
        later = [""] if setting == "first_epochs" else list(NEW_TASKS)
        later += [SEQUENCE] * (CHOICES[setting].method != "finetune")
        rows += [(setting, value, name) for value in CHOICES[setting].values for name in later]
    return rows


def work(known: list[dict], nets: Sequence[str], seeds: Sequence[int], workers: int) -> Iterator[list[dict]]:
    """All that is not among these rows yet, stage by stage; yields them with each part's rows as it ends.

    Rows of a part that is not whole, of other values or of other seeds are dropped, and so are those of later stages
    where one is not whole: they may have been measured with other choices.
    """
    rows: list[dict] = []
    for stage, settings in enumerate(STAGES):
        chosen, todo = {net: chosen_of(rows, net) for net in nets}, []
        for net, seed in itertools.product(nets, seeds):
            part = [row for row in known if (row["net"], row["seed"]) == (net, seed) and row["setting"] in settings]
            if sorted((row["setting"], row["value"], row["new_task"]) for row in part) == sorted(expected(stage)):
                rows += part
            else:
                todo.append((net, seed, stage, chosen[net]))
        known = [] if todo else known
        with contextlib.closing(completed(measured, todo, workers=workers)) as results:
            for _, part in results:
                rows = [*rows, *part]
                yield rows
    yield rows


def measured(part: tuple[str, int, int, dict[str, float]]) -> list[dict]:
    """`measure`, for a process."""
    return measure(*part)


def main() -> None:
    """Measure all candidates, keep the rows as they come, write the page, print the winners."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--restart", action="store_true", help="begin again, in place of going on")
    parser.add_argument("--workers", type=int, default=default_workers())
    given, path = parser.parse_args(), DOCS / "settings.csv"
    known = pd.read_csv(path, keep_default_na=False).to_dict("records") if path.exists() and not given.restart else []
    for rows in work(known, NET_NAMES, list(SEEDS), given.workers):
        write_table(pd.DataFrame(rows), path)
        print(f"{len(rows)} rows: {rows[-1]['net']}, {rows[-1]['setting']}, seed {rows[-1]['seed']}", flush=True)
    table = pd.read_csv(path, keep_default_na=False)  # the page is made from the rows as they are kept
    write_section(DOCS / "settings.md", "settings", page(table))
    print(winners(table).round(4).to_string())


if __name__ == "__main__":
    main()
