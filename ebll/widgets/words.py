"""What a widget says of its runs: titles, text alternatives, the status line, and the table of results."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from ebll.plots import METHODS as LOOKS
from ebll.plots.words import listed, number, percent, sentences

from .config import Change, LabConfig, acts_on, changed_in
from .lab import SAMPLES, LabRun
from .submanifold import Explored

__all__ = [
    "changes_in_words",
    "differences",
    "ended",
    "explored",
    "explored_alt",
    "explored_title",
    "going_on",
    "lab_alt",
    "lab_caption",
    "lab_title",
    "results_html",
]

_HEADS = {
    "run": "run",
    "method": "method",
    "before": "old task before, %",
    "old": "old task after, %",
    "forgetting": "forgotten, points",
    "new": "new task, %",
    "distance": "feature distance",
    "settings": "set differently",
}


def differences(config: LabConfig, title: bool = False) -> str:
    """What a config sets differently from the defaults, in short; for a title alpha is always told."""
    apart = () if not title else ("old", "new", "net", "seed", "methods", "alpha")
    told = [f"alpha {config.alpha:g}"] if title and acts_on("alpha", config.methods) else []
    for name in changed_in(config):
        if name not in apart and acts_on(name, config.methods):
            value = getattr(config, name)
            written = f"{value:g}" if isinstance(value, float) else value
            told.append(f"{name} {', '.join(value) if isinstance(value, tuple) else written}".replace("_", " "))
    return ", ".join(told) or "default settings"


def changes_in_words(changes: Iterable[Change]) -> list[str]:
    """What was changed in mid-run, in short."""
    return [f"{name.replace('_', ' ')} {value:g} from step {step}" for step, name, value in changes]


def lab_title(made: LabRun) -> str:
    """Tasks, net, seed and settings of a run."""
    config, changed = made.config, ", changed in mid-run" if made.changes else ""
    about = f"{config.old} → {config.new} ({config.net.upper()}, seed {config.seed})"
    return f"{about}: {differences(config, title=True)}{changed}"


def lab_caption(made: LabRun, beside: Sequence[str]) -> str:
    """What the numbers are, and what is drawn faintly beside them."""
    faint = f" Faint: {listed(beside)}." if beside else ""
    held = f"{SAMPLES} held-out images of {made.config.old} and of {made.config.new}"
    return f"One run a method, no interval; {held}.{faint}"


def lab_alt(made: LabRun) -> str:
    """What is seen, in words: how far the features move, and what becomes of both accuracies."""
    old, new, told = made.config.old, made.config.new, []
    for name, recorder in made.recorders.items():
        rows, label = recorder.curve_rows, LOOKS[name].label
        if not rows:
            told.append(f"{label}: nothing measured")
            continue
        first, last, distance = rows[0], rows[-1], _course(rows)
        gone = f"{old} {_percent(first['accuracy'])} to {_percent(last['accuracy'])}"
        won = f"{new} {_percent(first['accuracy_new'])} to {_percent(last['accuracy_new'])}"
        told.append(f"{label}: feature distance {distance}; accuracy on {gone}, on {won}")
    changes = [f"{name.replace('_', ' ')} is {value:g} from step {step}" for step, name, value in made.changes]
    return sentences(lab_title(made), *told, *changes, *made.notes)


def ended(made: LabRun | None) -> str:
    """What each method kept of the old task and learned of the new one: accuracies on validation images."""
    if made is None or not made.runs:
        return "No method has come to its end."
    table = made.table()
    parts = [f"{LOOKS[name].label} {row['old']:.1f} / {row['new']:.1f}" for name, row in table.iterrows()
             if not math.isnan(row["old"])]  # fmt: skip
    config = made.config
    was = f"{100 * made.before:.1f}"
    return f"Validation images right, % of {config.old} (before: {was}) / {config.new}: {'; '.join(parts)}."


def going_on(made: LabRun, held: bool) -> str:
    """Where a run is."""
    if not any(recorder.curve_rows for recorder in made.recorders.values()):
        return "Held before the new task's first step." if held else "Learning the old task, and what to keep of it."
    return f"{'Held at' if held else 'Training:'} step {made.step} of {made.steps}."


def explored_title(found: Explored) -> str:
    """Task, class, net, seed and settings of a fit."""
    config = found.config
    about = f"{config.task} {config.label} ({config.net.upper()}, seed {config.seed})"
    return f"{about}: code of {config.code_size}, lambda {config.recon_weight:g}"


def explored_alt(found: Explored) -> str:
    """What is seen of an autoencoder, in words."""
    count, holds = min(found.config.code_size, len(found.holds)), found.holds
    beyond = f", and {np.mean(holds[count:]):.2g} along those beyond" if len(holds) > count else ""
    within = f"{np.mean(holds[:count]):.2g} on average along the first {count} principal directions{beyond}"
    held = f"Code term for a move by one standard deviation: {within}"
    return sentences(explored_title(found), explored(found), held)


def explored(found: Explored) -> str:
    """What an autoencoder keeps: accuracy through it, and what it misses."""
    read, missed, size = found.accuracy, found.missed, found.config.code_size
    return (
        f"Held-out images read right: {100 * read['direct']:.1f} %, through the autoencoder "
        f"{100 * read['autoencoder']:.1f} %, through PCA of size {size} {100 * read['pca']:.1f} %. Of the spread the "
        f"autoencoder misses {100 * missed['autoencoder']:.1f} %, PCA {100 * missed['pca']:.1f} %."
    )


def results_html(table: pd.DataFrame) -> str:
    """The results table as HTML: a row a run and method."""
    if table.empty:
        return ""
    named = table.assign(method=[LOOKS[name].label for name in table["method"]])
    shown = named[list(_HEADS)].rename(columns=_HEADS)
    return shown.to_html(
        index=False, float_format=lambda v: f"{v:.1f}", na_rep="not reached", border=0, justify="right"
    )


def _course(rows: Sequence[dict]) -> str:
    """The course of the feature distance: where it peaks, and where it ends."""
    finite = [(row["feature_distance"], row["step"]) for row in rows if np.isfinite(row["feature_distance"])]
    peak, at = max(finite, default=(math.nan, 0))
    end = number(rows[-1]["feature_distance"]) if len(finite) == len(rows) else "beyond all numbers"
    highest = "" if at == rows[-1]["step"] else f"at most {number(peak)}, at step {at}, and "
    return f"{highest}{end} at step {rows[-1]['step']}"


def _percent(share: float) -> str:
    return f"{percent(100 * share)} %" if np.isfinite(share) else "not a number"
