"""The runs of the forgetting lab as a drawing, as a table, as files, and in words."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from ebll.errors import InputError
from ebll.plots import METHODS as LOOKS
from ebll.plots.words import course, listed, percent, sentences, shortened
from ebll.recording import Recorder

from .chart import Drawing, spec_of, write_files
from .config import Change, LabConfig, acts_on
from .lab import LOSSES, SAMPLES, LabRun

__all__ = ["lab_drawing"]

LONGEST = 30  # letters of a task's name in a chart
ANSWERS = ["step", "column", "row", "label", "answer", "state"]
DEEP = 5  # images of a class below each other
HEADS = {
    "run": "run",
    "method": "method",
    "before": "old task before, %",
    "old": "old task after, %",
    "forgetting": "forgetting, points",
    "new": "new task, %",
    "distance": "feature distance",
    "settings": "set differently",
}
"""Columns of the table of results -> their titles."""


def lab_drawing(
    made: LabRun, terms_of: str = "", beside: Mapping[str, LabRun] | None = None, with_alt: bool = True
) -> Drawing:
    """Feature distance, loss terms and accuracies over optimiser steps, bars of the accuracies, answers image by image.

    terms_of  the method whose weighted loss terms and answers are shown; the last of the run if empty
    beside    runs to compare with, drawn faintly, by name
    with_alt  whether to put into words what is seen
    """
    config, now, beside = made.config, made.shown.assign(run="", diverged=False), beside or {}
    terms_of = terms_of or config.methods[-1]
    for name in made.diverged:  # its last point gets a cross
        now.loc[now.index[now["method"] == name][-1:], "diverged"] = True
    losses = now.loc[now["method"] == terms_of, LOSSES]
    others = [one.shown.assign(run=name, diverged=False) for name, one in beside.items()]
    table = pd.concat([now, *others], ignore_index=True)
    answers = answers_of(made.recorders.get(terms_of))
    changes = [(step, f"{name} {value:g}".replace("_", " ")) for step, name, value in made.changes]
    settings = {
        **dict(zip(("old_task", "new_task"), _tasks(config), strict=True)),
        "methods": list(config.methods),
        "steps": int(made.steps or (now["step"].max() if len(now) else 1)),
        "top": _round_up(_largest(now["feature_distance"])),
        "loss_top": float(10 ** np.ceil(np.log10(1.01 * max(1.0, _largest(losses))))),
        "terms_of": terms_of,
        "terms_label": LOOKS[terms_of].label,
        # A legend without entries would have no size, and the chart none either.
        "terms": list(losses.dropna(axis=1, how="all")) or LOSSES,
        "old_range": _zoomed(table["accuracy"]),
        "new_range": _zoomed(table["accuracy_new"]),
        "columns": max(1, answers["column"].nunique()),
    }
    tables = {
        "curves": table,
        "changes": pd.DataFrame(changes, columns=["step", "text"]),
        "methods": pd.DataFrame({"method": settings["methods"]}),
        "answers": answers,
    }
    texts = {"heading": lab_title(made), "caption": lab_caption(made, beside), "alt": lab_alt(made) if with_alt else ""}
    return Drawing(spec_of("lab"), tables, settings, **texts)


def answers_of(recorder: Recorder | None) -> pd.DataFrame:
    """A row for each held-out image of the old task at the first measurement, and one whenever its answer changes.

    column, row     place of the image: a class has columns of its own, the first "A 0", of `DEEP` images each
    label, answer   its class and the class that is answered
    state   "right"; "lost" where it was right at first; "wrong" where it was wrong at first
    """
    rows = recorder.prediction_rows if recorder is not None else []
    if not rows:
        return pd.DataFrame(columns=ANSWERS)
    label, answers = np.array(rows[0]["label"]), np.array([row["predicted"] for row in rows])
    across, down = np.divmod(pd.Series(label).groupby(label).cumcount().to_numpy(), DEEP)
    column = np.array([f"{name} {number}" for name, number in zip(label, across, strict=True)])
    state = np.where(answers == label, "right", np.where(answers[0] == label, "lost", "wrong"))
    changed = np.vstack([np.full(len(label), True), answers[1:] != answers[:-1]])
    moment, image = changed.nonzero()
    step = np.array([row["step"] for row in rows])[moment]
    columns = (step, column[image], down[image], label[image], answers[changed], state[changed])
    return pd.DataFrame(dict(zip(ANSWERS, columns, strict=True)))


def _largest(values: pd.Series | pd.DataFrame) -> float:
    """The largest finite value, or 0."""
    return float(np.max(values.to_numpy(), where=np.isfinite(values.to_numpy()), initial=0.0))


def _round_up(value: float) -> float:
    """The limit of an axis: it grows in large steps, so that the axis seldom moves while a run goes on."""
    value = min(max(1.05 * float(value), 1.0), 1e15)
    power = 10 ** np.floor(np.log10(value))
    return float(next(step * power for step in (1, 1.5, 2.5, 4, 6, 10) if step * power >= value))


def _zoomed(shares: pd.Series) -> list[float]:
    """The limits of an axis of accuracies in %: whole tens, so that the axis seldom moves while a run goes on."""
    percent = 100 * shares.to_numpy(float)
    low, high = np.nanmin(percent, initial=100), np.nanmax(percent, initial=0)
    tens = (10.0 * np.floor((low - 5) / 10), 10.0 * np.ceil((high + 5) / 10)) if low <= high else (0, 100)
    return [float(one) for one in np.clip(tens, 0, 100)]


# As a table of results, and as files


def results_table(runs: Mapping[str, LabRun]) -> pd.DataFrame:
    """A row a run and method: its results, see `LabRun.table`, and what is set differently from the defaults."""
    parts = []
    for name, made in runs.items():
        settings = ", ".join([differences(made.config), *changes_in_words(made.changes)])
        parts.append(made.table().reset_index(names="method").assign(run=name, settings=settings))
    return pd.concat(parts, ignore_index=True)[list(HEADS)]


def results_html(table: pd.DataFrame) -> str:
    """The results table as HTML."""
    if table.empty:
        return ""
    shown = table.assign(method=[LOOKS[name].label for name in table["method"]]).rename(columns=HEADS)
    return shown.to_html(
        index=False, float_format=lambda v: f"{v:.1f}", na_rep="not reached", border=0, justify="right"
    )


def save_results(runs: Mapping[str, LabRun], folder: Path) -> list[Path]:
    """Write curves and results as CSV, and the configs as JSON; returns the files."""
    runs = {name: made for name, made in runs.items() if made.measured}
    if not runs:
        raise InputError("There is nothing to take yet: press Run first.")
    curves = pd.concat([made.curves.assign(run=name) for name, made in runs.items()], ignore_index=True)
    about = {
        "configs": {name: made.made_again.line() for name, made in runs.items()},
        "notes": {name: made.notes for name, made in runs.items() if made.notes},
    }
    files = {
        folder / "curves.csv": curves.to_csv(index=False, lineterminator="\n"),
        folder / "results.csv": results_table(runs).to_csv(index=False, lineterminator="\n"),
        folder / "config.json": json.dumps(about, indent=2) + "\n",
    }
    write_files(files)
    return list(files)


# In words


def _tasks(config: LabConfig) -> tuple[str, str]:
    return shortened(config.old, LONGEST), shortened(config.new, LONGEST)


def differences(config: LabConfig, title: bool = False) -> str:
    """What a config sets differently from the defaults, in short; for a title alpha is always told."""
    apart = ("changes", *(("old", "new", "net", "seed", "methods", "alpha") if title else ()))
    told = [f"alpha {config.alpha:g}"] if title and acts_on("alpha", config.methods) else []
    for name in config.changed:
        if name not in apart and acts_on(name, config.methods):
            value = getattr(config, name)
            written = f"{value:g}" if isinstance(value, float) else ", ".join(value) if name == "methods" else value
            told.append(f"{name.replace('_', ' ')} {shortened(written, 3 * LONGEST)}")
    return ", ".join(told) or "default settings"


def changes_in_words(changes: Iterable[Change]) -> list[str]:
    """What was changed in mid-run, in short."""
    return [f"{name.replace('_', ' ')} is {value:g} from step {step}" for step, name, value in changes]


def lab_title(made: LabRun) -> str:
    """Tasks, net, seed and settings of a run."""
    config, changed = made.config, ", changed in mid-run" if made.changes else ""
    about = f"{config.net.upper()}, seed {config.seed}"
    return f"{' → '.join(_tasks(config))} ({about}): {differences(config, title=True)}{changed}"


def lab_caption(made: LabRun, beside: Iterable[str]) -> str:
    """What the numbers are, and which runs are drawn faintly beside them."""
    names = ["the run before" if name == "before" else f"pinned {name}" for name in beside]
    faint = f" Faint: {listed(names)}." if names else ""
    old, new = _tasks(made.config)
    return f"One run a method, no interval; {SAMPLES} held-out images of {old} and of {new}.{faint}"


def lab_alt(made: LabRun) -> str:
    """What is seen, in words: how far the features move, and what becomes of both accuracies."""
    told, tasks, shown = [], _tasks(made.config), made.shown
    for name, recorder in made.recorders.items():
        rows = shown[shown["method"] == name]
        if rows.empty:
            told.append(f"{LOOKS[name].label}: nothing measured")
            continue
        distance = course(rows.set_index("step")["feature_distance"])
        kept, won = (
            f"{task} {percent(100 * rows[column].iloc[0])} to {percent(100 * rows[column].iloc[-1])} %"
            for task, column in zip(tasks, ("accuracy", "accuracy_new"), strict=True)
        )
        answers = answers_of(recorder).drop_duplicates(["column", "row"], keep="last")
        lost = answers["label"][answers["state"] == "lost"]
        most = f", most of {listed(lost.value_counts().index[:3])}" if len(lost) else ""
        gone = f"{len(lost)} of {len(answers)} images of {tasks[0]} are forgotten{most}"
        told.append(f"{LOOKS[name].label}: feature distance by step {distance}; accuracy on {kept}, on {won}; {gone}")
    return sentences(lab_title(made), *told, *changes_in_words(made.changes), *made.notes)


def ended(made: LabRun) -> str:
    """What each method kept of the old task and learned of the new one: accuracies on validation images."""
    if not made.runs:
        return "No method has come to its end."
    rows = made.table().dropna(subset="old").iterrows()
    parts = [f"{LOOKS[name].label} {row['old']:.1f} / {row['new']:.1f}" for name, row in rows]
    old, new = _tasks(made.config)
    return f"Validation images right, % of {old} (before: {100 * made.before:.1f}) / {new}: {'; '.join(parts)}."


def going_on(made: LabRun, held: bool) -> str:
    """Where a run is."""
    if not made.measured:
        return "Held before the new task's first step." if held else "Learning the old task, and what to keep of it."
    return f"{'Held at' if held else 'Training:'} step {made.step} of {made.steps}."
