"""What was kept against what was learned: stability and plasticity in one picture.

This room knows the table of outcomes; it measures nothing itself.
"""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd
from matplotlib.axes import Axes

from . import alt, layout, tables
from .outcomes import outcomes, with_intervals
from .picture import Picture
from .style import NORMAL, SOFT, Look, looks, ordered, styled

__all__ = ["draw_reference", "reference_words", "stability_plasticity", "stability_plasticity_table"]

REFERENCES = ("alone", "joint")


def stability_plasticity_table(
    accuracy: pd.DataFrame, sequences: str | Iterable[str] | None = None, methods: Iterable[str] | None = None
) -> pd.DataFrame:
    """Return what `stability_plasticity` draws, a row per seed, in percent.

    sequence, method, seed; old and new (accuracy of that seed); old_mean, old_low, old_high, new_mean, new_low,
    new_high (mean over seeds and its 95 % interval); seeds.
    """
    rows = outcomes(accuracy, sequences)
    rows = rows[rows["method"].isin(tables.chosen(rows, methods))].dropna(subset=["old", "new"])
    by = ["sequence", "method"]
    old, new = (
        with_intervals(rows, by, side).rename(
            columns={"value": side} | {c: f"{side}_{c}" for c in ("mean", "low", "high")}
        )
        for side in ("old", "new")
    )
    table = old.drop(columns="seeds").merge(new, on=[*by, "seed"])
    place = {sequence: i for i, sequence in enumerate(rows["sequence"].unique())}
    return table.sort_values("sequence", key=lambda s: s.map(place), kind="stable").reset_index(drop=True)


@styled
def stability_plasticity(
    accuracy: pd.DataFrame, sequences: str | Iterable[str] | None = None, methods: Iterable[str] | None = None
) -> Picture:
    """Draw old-task accuracy (kept, at the end) against new-task accuracy (when just learned), both in percent.

    accuracy   the accuracy table, fractions from 0 to 1
    sequences  one id or several: a panel each (default: all in the table)
    methods    which methods (default: all in the table)

    A marker is a mean over seeds, its cross the two 95 % t-intervals, light dots are seeds. The lines through
    'one network per task' and 'joint training' mark what can be had without learning in sequence.
    """
    table = stability_plasticity_table(accuracy, sequences, methods)
    words = outcomes(accuracy, sequences).drop_duplicates("sequence").set_index("sequence")["words"]
    shown, styles = list(table["sequence"].unique()), looks(table["method"])
    columns = min(len(shown), 2 if len(shown) in (2, 4) else 3)
    rows = -(-len(shown) // columns)
    tall = {1: 3.6, 2: 2.9, 3: 2.3}[columns]
    seeds = tables.seeds_words(table["seeds"])
    caption = (
        f"{seeds[0].upper()}{seeds[1:]}; light dots: seeds; test data. Old: at the end; new: when just learned. "
        f"Up and to the right is better.{reference_words(styles)}"
    )
    title = "What is kept against what is learned"
    picture = layout.compose(title, caption, height=rows * tall + 0.3, legend=_handles(styles))
    grid = picture.subplots(rows, columns, squeeze=False)
    for axes, sequence in zip(grid.flat, shown, strict=False):
        _draw(axes, table[table["sequence"] == sequence], styles)
        axes.set_title(layout.wrap(words[sequence], 6.2 / columns - 0.3, NORMAL), loc="left", size=NORMAL, color=SOFT)
    layout.label_below(grid, len(shown), "accuracy on new tasks, %")
    for axes in grid[:, 0]:
        axes.set_ylabel("accuracy on old tasks, %")
    return layout.finish(picture, table, alt.sentences(title, *_words(table, words), caption))


def _handles(styles: dict[str, Look]) -> list:
    entries = layout.handles(styles.values(), line=False)
    for name, entry in zip(styles, entries, strict=True):
        if name in REFERENCES:
            entry.set_linestyle(styles[name].line)
            entry.set_linewidth(1)
    return entries


def _draw(axes: Axes, table: pd.DataFrame, styles: dict[str, Look]) -> None:
    for place, name in enumerate(ordered(table["method"])):
        rows, look = table[table["method"] == name], styles[name]
        m = rows.iloc[0]
        axes.scatter(rows["new"], rows["old"], s=10, color=look.color, alpha=0.4, linewidth=0, zorder=2)
        axes.plot([m["new_low"], m["new_high"]], [m["old_mean"]] * 2, color=look.color, linewidth=1.3, zorder=3)
        axes.plot([m["new_mean"]] * 2, [m["old_low"], m["old_high"]], color=look.color, linewidth=1.3, zorder=3)
        layout.draw_mark(axes, m["new_mean"], m["old_mean"], look, zorder=4 + place)
        if name in REFERENCES:
            draw_reference(axes, m["new_mean"], m["old_mean"], look)
    axes.margins(0.08)
    axes.locator_params(nbins=5, steps=[1, 2, 5, 10])


def draw_reference(axes: Axes, new: float, old: float, look: Look) -> None:
    """Draw what can be had without learning in sequence: a line across and a line up."""
    axes.axhline(old, color=look.color, linestyle=look.line, linewidth=1, zorder=1)
    axes.axvline(new, color=look.color, linestyle=look.line, linewidth=1, zorder=1)


def reference_words(styles: dict[str, Look]) -> str:
    """Return a sentence that names the lines of the references."""
    drawn = [styles[name].label.lower() for name in REFERENCES if name in styles]
    return f" Lines: {alt.listed(drawn)}." if drawn else ""


def _words(table: pd.DataFrame, words: pd.Series) -> list[str]:
    """Return a sentence per sequence: each method's old and new accuracy."""
    out = []
    for sequence, rows in table.groupby("sequence", sort=False):
        names = looks(rows["method"])
        means = rows.drop_duplicates("method").set_index("method")
        parts = [
            f"{names[m].label} {alt.points(r['old_mean'])} % old, {alt.points(r['new_mean'])} % new"
            for m, r in means.iterrows()
        ]
        out.append(f"{words[sequence]}: {'; '.join(parts)}")
    return out
