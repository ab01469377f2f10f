"""How much of the old tasks each method forgot: bars with intervals and the seeds as dots.

This room knows the table of outcomes; it measures nothing itself.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from ebll.errors import InputError

from . import alt, layout, tables
from .outcomes import outcomes, with_intervals
from .picture import Picture
from .style import INK, NORMAL, SOFT, WIDTH, looks, ordered, styled

__all__ = ["draw_dots", "forgetting_bars", "forgetting_table", "jitter"]

_LABEL = 1.25  # inches for a method's name
_MEANING = "Forgetting: best accuracy so far minus accuracy at the end, in percentage points."


def forgetting_table(
    accuracy: pd.DataFrame, sequences: str | Iterable[str] | None = None, methods: Iterable[str] | None = None
) -> pd.DataFrame:
    """Return what `forgetting_bars` draws, a row per seed: sequence, method, seed, value, mean, low, high, seeds.

    `value` is the forgetting of that seed; mean and 95 % interval are over seeds; all in percentage points.
    """
    rows = outcomes(accuracy, sequences)
    names = tables.chosen(rows, methods)
    table = with_intervals(rows[rows["method"].isin(names)], ["sequence", "method"], "forgetting")
    if table.empty:
        raise InputError("Nobody can have forgotten: no method was measured both just after a task and at the end.")
    place = {sequence: i for i, sequence in enumerate(rows["sequence"].unique())}
    return table.sort_values("sequence", key=lambda s: s.map(place), kind="stable").reset_index(drop=True)


@styled
def forgetting_bars(
    accuracy: pd.DataFrame, sequences: str | Iterable[str] | None = None, methods: Iterable[str] | None = None
) -> Picture:
    """Draw the forgetting of the old tasks: one panel per sequence, one bar per method, in percentage points.

    accuracy   the accuracy table, fractions from 0 to 1
    sequences  one id or several (default: all in the table)
    methods    which methods (default: all that can forget)

    Forgetting is the best accuracy before the last task minus accuracy at the end, mean over the old tasks;
    below zero a task has gained. Bars are means over seeds, black lines 95 % t-intervals of the mean, dots the seeds.
    """
    table = forgetting_table(accuracy, sequences, methods)
    words = outcomes(accuracy, sequences).drop_duplicates("sequence").set_index("sequence")["words"]
    shown, names = list(table["sequence"].unique()), ordered(table["method"])
    columns = len(shown) if len(shown) <= 3 else 2 if len(shown) == 4 else 3
    rows = -(-len(shown) // columns)
    width = (WIDTH - _LABEL - 0.4) / columns - 0.1
    titles = {sequence: layout.wrap(words[sequence], width, NORMAL) for sequence in shown}
    tall = 0.21 * len(names) + 0.2 + 0.16 * max(title.count("\n") + 1 for title in titles.values())
    seeds = tables.seeds_words(table["seeds"])
    caption = f"{seeds[0].upper()}{seeds[1:]}; dots: seeds; test data. {_MEANING}"
    picture = layout.compose("Forgetting of the old tasks", caption, height=rows * tall + 0.4)
    grid = picture.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    for axes, sequence in zip(grid.flat, shown, strict=False):
        _draw_bars(axes, table[table["sequence"] == sequence], names)
        axes.set_title(titles[sequence], loc="left", size=NORMAL, color=SOFT)
    layout.label_below(grid, len(shown), "forgetting, points")
    text = alt.sentences("Forgetting of the old tasks in percentage points", *_words(table, words), caption)
    return layout.finish(picture, table, text)


def jitter(count: int, width: float) -> np.ndarray:
    """Return places for `count` dots spread evenly over `width`, centred on 0: the same for the same count."""
    return (np.arange(count) - (count - 1) / 2) * (width / max(count, 1))


def draw_dots(axes: Axes, x, y, color: str) -> None:
    """Draw seeds as small dots with a white rim, in front of bars and behind means."""
    axes.scatter(x, y, s=11, color=color, edgecolor="white", linewidth=0.5, zorder=3, clip_on=False)


def _draw_bars(axes: Axes, table: pd.DataFrame, names: list[str]) -> None:
    styles = looks(names)
    for place, name in enumerate(names):
        rows = table[table["method"] == name]
        if rows.empty:
            continue
        mean, low, high = rows[["mean", "low", "high"]].iloc[0]
        color = styles[name].color
        axes.barh(place, mean, height=0.62, color=color, alpha=0.45, zorder=2)
        draw_dots(axes, rows["value"], place + jitter(len(rows), 0.6), color)
        axes.plot([low, high], [place, place], color=INK, linewidth=1.4, zorder=4)
        layout.draw_mark(axes, mean, place, styles[name], zorder=5)
    axes.axvline(0, color=SOFT, linewidth=0.8)
    axes.set_yticks(range(len(names)), [layout.wrap(styles[n].label, _LABEL) for n in names], linespacing=0.9)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)


def _words(table: pd.DataFrame, words: pd.Series) -> list[str]:
    """Return a sentence per sequence: each method's mean and interval."""
    out = []
    for sequence, rows in table.groupby("sequence", sort=False):
        bars = rows.drop_duplicates("method")
        names = looks(bars["method"])
        parts = [
            f"{names[b.method].label} {alt.points(b.mean)} ({alt.span(b.low, b.high)})"
            for b in bars.itertuples(index=False)
        ]
        out.append(f"{words[sequence]}: {alt.listed(parts)}")
    return out
