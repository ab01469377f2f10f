"""What a run came to, in words and as a table for a panel.

This room knows the results table and its columns; nothing of widgets.
"""

from __future__ import annotations

import math

import pandas as pd

from ebll.live import Explored, LabRun
from ebll.plots import METHODS as LOOKS

__all__ = ["ended", "explored", "going_on", "progress_of", "results_html"]

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


def going_on(made: LabRun | None, steps: int, held: bool) -> str:
    """Where a run is."""
    if made is None or not made.recorders:
        return "Held: before the new task's first step." if held else "Learning the old task first."
    name = list(made.recorders)[-1]
    rows = made.recorders[name].curve_rows
    step = f"step {rows[-1]['step']} of {steps}" if rows else "before its first step"
    return f"{'Held' if held else 'Training'}: {LOOKS[name].label}, {step}."


def explored(found: Explored) -> str:
    """What an autoencoder keeps: accuracy through it, and what it misses."""
    read, missed, size = found.accuracy, found.missed, found.config.code_size
    return (
        f"Held-out images read right: {100 * read['direct']:.1f} %, through the autoencoder "
        f"{100 * read['autoencoder']:.1f} %, through PCA of size {size} {100 * read['pca']:.1f} %. Of the spread the "
        f"autoencoder misses {100 * missed['autoencoder']:.1f} %, PCA {100 * missed['pca']:.1f} %."
    )


def progress_of(made: LabRun | None, steps: int, count: int) -> float:
    """Share of a run of `count` methods, each of so many steps, that is done: from its record."""
    if made is None or not made.recorders:
        return 0.0
    ended = len(made.runs) + len(made.diverged)
    rows = list(made.recorders.values())[-1].curve_rows
    within = rows[-1]["step"] / steps if rows and ended < len(made.recorders) else 0.0
    return min(1.0, (ended + within) / count)


def results_html(table: pd.DataFrame) -> str:
    """The results table as HTML: a row a run and method."""
    if table.empty:
        return ""
    named = table.assign(method=[LOOKS[name].label for name in table["method"]])
    shown = named[list(_HEADS)].rename(columns=_HEADS)
    return shown.to_html(
        index=False, float_format=lambda v: f"{v:.1f}", na_rep="not reached", border=0, justify="right"
    )
