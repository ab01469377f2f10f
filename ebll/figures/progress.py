"""Accuracy step by step: what is lost of an old task, and what is won on the new one, while the new one is learned.

This room knows the curves table; it measures nothing itself.
"""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd
from matplotlib.axes import Axes

from ebll.errors import InputError

from . import alt, layout, lines, tables
from .moment import means, moment
from .picture import Picture
from .style import BAND, FAINT, looks, ordered, styled

__all__ = ["accuracy_over_steps", "accuracy_over_steps_table"]

QUANTITIES = ("accuracy", "accuracy_new")


def accuracy_over_steps_table(
    curves: pd.DataFrame, sequence: str | None = None, *, training: str | None = None, task: str | None = None,
    methods: str | Iterable[str] | None = None, warm_up: bool = False,
) -> pd.DataFrame:  # fmt: skip
    """Return what `accuracy_over_steps` draws: quantity, method, step, mean, low, high (95 % interval), seeds.

    `quantity` is accuracy (of the old task) or accuracy_new; both in percent. Arguments: see `accuracy_over_steps`.
    """
    rows = moment(curves, sequence, training, task, warm_up, QUANTITIES)
    for quantity in QUANTITIES:
        tables.check_fractions(rows[quantity], f"The column {quantity} of the curves table")
    names = tables.chosen(rows, methods)
    rows = rows[rows["method"].isin(names)]
    parts = [means(rows, quantity, 100) for quantity in QUANTITIES]
    if parts[0].empty:
        raise InputError(f"The curves table holds no accuracy on an old task for {alt.listed(names)}: all are empty.")
    return pd.concat([part for part in parts if len(part)], ignore_index=True)


@styled
def accuracy_over_steps(
    curves: pd.DataFrame, sequence: str | None = None, *, training: str | None = None, task: str | None = None,
    methods: str | Iterable[str] | None = None, warm_up: bool = False,
) -> Picture:  # fmt: skip
    """Draw accuracy on an old task (above) and on the new one (below) while the new one is learned, in percent.

    curves    the curves table: one row per (step, measured old task); accuracies are fractions on held-out inputs
    sequence  id of the sequence, as in the table; may be left out where it holds one
    training  the task being learned (default: the first one that has an old task)
    task      the old task (default: the first)
    methods   which methods (default: all in the table)
    warm_up   also show the warm-up, when only the new head learns, at negative steps

    Lines are means over seeds; bands are 95 % t-intervals of these means, missing where there is one seed.
    """
    options = {"training": training, "task": task, "warm_up": warm_up}
    table = accuracy_over_steps_table(curves, sequence, methods=methods, **options)
    rows = moment(curves, sequence, **options)
    training, task = str(rows["training"].iloc[0]), str(rows["task"].iloc[0])
    shown = [quantity for quantity in QUANTITIES if (table["quantity"] == quantity).any()]
    title = f"Accuracy on {task} and on {training} while {training} is learned ({tables.net_words(rows)})"
    words = tables.seeds_words(table["seeds"])
    before = " Before step 0: the warm-up, when only the new head learns." if table["step"].min() < 0 else ""
    caption = f"{words[0].upper()}{words[1:]}; held-out inputs of {task} (old) and {training} (new).{before}"
    picture = layout.compose(title, caption, height=2.3 * len(shown) + 0.35)
    axes = lines.stack(picture, [2.3] * len(shown))
    for one, quantity in zip(axes, shown, strict=True):
        part = table[table["quantity"] == quantity]
        styles = looks(part["method"])
        lines.draw_lines(one, part, "method", styles, markers="spaced", band=BAND if len(styles) <= 4 else BAND / 2)
        _percent(one, before)
        name, age = (task, "old") if quantity == "accuracy" else (training, "new")
        one.set_ylabel(f"accuracy on {layout.shorten(name, 1.2)}\n({age} task), %")
    axes[-1].set_xlabel(f"optimiser step while {training} is learned")
    return layout.finish(picture, table, alt.sentences(title, *_words(table, task, training), caption))


def _percent(axes: Axes, before: str) -> None:
    """Cut the axis at what an accuracy can be, and mark where training begins after a warm-up."""
    low, high = axes.get_ylim()
    axes.set_ylim(max(low, 0), min(high, 100))
    if before:
        axes.axvline(0, color=FAINT, linewidth=1.2, zorder=1)


def _words(table: pd.DataFrame, task: str, training: str) -> list[str]:
    """Return a sentence per method: where the old task starts, falls to and ends, and what the new one reaches."""
    out = []
    for method in ordered(table["method"]):
        old, new = (table[(table["method"] == method) & (table["quantity"] == q)] for q in QUANTITIES)
        parts = [f"{task} {_course(old)}"] if len(old) else []
        if len(new):
            parts.append(f"{training} {alt.points(new['mean'].iloc[0])} % to {alt.points(new['mean'].iloc[-1])} %")
        out.append(f"{looks([method])[method].label}: {'; '.join(parts)}")
    return out


def _course(old: pd.DataFrame) -> str:
    first, last = old.iloc[0], old.iloc[-1]
    lowest = old.loc[old["mean"].idxmin()]
    fall = "" if lowest["step"] in (first["step"], last["step"]) else (
        f", lowest {alt.points(lowest['mean'])} % at step {lowest['step']:g}"
    )  # fmt: skip
    start = f"{alt.points(first['mean'])} % at step {first['step']:g}"
    return f"{start}{fall}, {alt.points(last['mean'])} % at step {last['step']:g}"
