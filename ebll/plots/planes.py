"""Plots in a plane: old-task against new-task accuracy, and features beside their reconstructions."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ebll.errors import InputError
from ebll.metrics import pareto_front

from . import tables, words
from .figure import describe, label, legend_beside, new_figure
from .style import Style, drawing, styles
from .tables import Names

REFERENCES = ("alone", "joint")  # what can be had without learning in sequence
AXES = ("accuracy on new tasks, %", "accuracy on old tasks, %")


def stability_plasticity_table(accuracy: pd.DataFrame, sequences: Names = None, methods: Names = None) -> pd.DataFrame:
    """Return what `stability_plasticity` draws, in percent: old and new of each seed, their mean, low, high; seeds."""
    rows, by = tables.outcomes(accuracy, sequences), ["sequence", "method"]
    kept = tables.of_methods(rows, methods).dropna(subset=["old", "new"])
    table = kept[[*by, "seed", "old", "new"]].merge(_both(kept, by), on=by)
    table = tables.in_order(table, by, sequence=rows["sequence"].unique())
    columns = [f"{side}{what}" for side in ("old", "new") for what in ("", "_mean", "_low", "_high")]
    return tables.titled(table[[*by, "seed", *columns, "seeds"]], rows)


def _both(rows: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Return means and intervals of old and new accuracy."""
    old, new = (tables.intervals(rows, by, side, f"{side}_") for side in ("old", "new"))
    return old.drop(columns="seeds").merge(new, on=by)


@drawing()
def stability_plasticity(
    accuracy: pd.DataFrame, sequences: Names = None, methods: Names = None, *, ax: Axes | None = None
) -> Figure:
    """Draw old-task accuracy (kept, at the end) against new-task accuracy (when just learned), a panel per sequence.

    A marker is a mean, its cross the two intervals, light dots are seeds. The lines through 'one network per task' and
    'joint training' mark what can be had without learning in sequence.
    """
    import seaborn

    table = stability_plasticity_table(accuracy, sequences, methods)
    names, titles = styles(table["method"]), table.attrs["titles"]
    columns = min(len(titles), 2)
    title = "What is kept against what is learned"
    note = "Dots: seeds; test data; old: at the end, new: when just learned."
    height = 3.6 if columns == 1 else 2.4
    figure, axes = new_figure(table, title, note, list(titles.values()), height, columns=columns, ax=ax)
    dots = {"hue": "method", "palette": {name: style.color for name, style in names.items()}, "legend": False}
    text = []
    for one, (sequence, heading) in zip(axes, titles.items(), strict=True):
        rows = table[table["sequence"] == sequence]
        seaborn.scatterplot(rows, x="new", y="old", **dots, s=12, alpha=0.4, linewidth=0, ax=one)
        _draw_means(one, rows.drop_duplicates("method"), names)
        text.append(f"{heading}: {_means_words(rows.drop_duplicates('method'))}")
    label(axes, columns, *AXES)
    legend_beside(axes[columns - 1], [_in_legend(name, style) for name, style in names.items()])
    return describe(figure, *text)


def _draw_means(axes: Axes, means: pd.DataFrame, names: Mapping[str, Style], **look: object) -> None:
    """Draw means as marks, with crosses of their intervals, and lines through the references."""
    for name, rows in means.groupby("method", sort=False):
        style = names[name]
        across, up = (rows[f"{side}_high"] - rows[f"{side}_mean"] for side in ("new", "old"))
        shown = {"color": style.color, "markersize": 8, "elinewidth": 1, "zorder": 4} | look
        axes.errorbar(rows["new_mean"], rows["old_mean"], up, across, fmt=style.marker, **shown)
        if name in REFERENCES:
            line = {"color": style.color, "linestyle": style.line, "linewidth": 1, "zorder": 1}
            axes.axhline(rows["old_mean"].iloc[0], **line)
            axes.axvline(rows["new_mean"].iloc[0], **line)
    axes.locator_params(nbins=6, steps=[1, 2, 5, 10])


def _in_legend(name: str, style: Style) -> Style:
    """Return the style of a method that is a mark; only references have lines."""
    return style if name in REFERENCES else dataclasses.replace(style, line="")


def _means_words(means: pd.DataFrame) -> str:
    """Return old and new accuracy of each method, and of each of its settings."""
    parts = []
    for m in means.itertuples():
        old = words.with_interval(m.old_mean, m.old_low, m.old_high)
        new = words.with_interval(m.new_mean, m.new_low, m.new_high)
        parts.append(f"{_named(m)} {old} % old, {new} % new")
    return "; ".join(parts)


def _named(row) -> str:
    """Return the label of a row's method, with its setting where it has one."""
    setting = getattr(row, "knob", math.nan)
    return styles([row.method])[row.method].label + ("" if math.isnan(setting) else f" at {setting:g}")


def tradeoff_fronts_table(accuracy: pd.DataFrame, sequence: str | None = None, methods: Names = None) -> pd.DataFrame:
    """Return what `tradeoff_fronts` draws, in percent, a row per method and setting (`knob`), by its size.

    Mean, low and high of old and new; seeds that reached the end; runs that began (most seeds of any row); on_front.
    """
    accuracy = tables.check_accuracy(accuracy, "knob")
    accuracy = accuracy.assign(knob=accuracy["knob"].astype(float).fillna(0.0))
    rows, by = tables.of_sequence(accuracy, sequence), ["method", "knob"]
    title, rows = tables.sequence_words(rows), tables.of_methods(rows, methods)
    begun = rows.groupby(by, sort=False, as_index=False).agg(runs=("seed", "nunique"))
    ended = tables.outcomes(rows, None, ("knob",)).dropna(subset=["old", "new"])
    if ended.empty:
        raise InputError("No run in the accuracy table reached the end of its sequence: there is nothing to draw.")
    table = begun[by].merge(_both(ended, by), how="left", on=by).fillna({"seeds": 0}).astype({"seeds": int})
    table = table[(table["seeds"] > 0) | (table["method"] != "alone")]  # it has no end that it could miss
    table = tables.in_order(table.assign(runs=begun["runs"].max()), by)
    for _, own in table.groupby("method"):
        table.loc[own.index, "on_front"] = pareto_front(own[["new_mean", "old_mean"]].to_numpy())
    without = table.groupby("method")["knob"].transform(lambda knobs: knobs.eq(0).all()).astype(bool)
    table = table.astype({"on_front": bool}).assign(knob=table["knob"].mask(without))
    table.attrs = {"title": title}
    return table


@drawing()
def tradeoff_fronts(
    accuracy: pd.DataFrame, sequence: str | None = None, methods: Names = None, *,
    split: str = "test", ax: Axes | None = None,
) -> Figure:  # fmt: skip
    """Draw what each method keeps (upwards) against what it learns (to the right) as its strength is turned up.

    accuracy  the accuracy table with a column `knob`: the strength of the method in that run, such as EBLL's alpha;
              empty or 0 for a method without one
    split     which data the accuracies are of, for the caption; settings are explored on "validation"

    A line runs from a method's weakest to its strongest setting, where its arrow points; the legend names both.
    Filled marks are the Pareto front of their method: no other setting of it is at least as good on both axes and
    better on one.
    """
    table = tradeoff_fronts_table(accuracy, sequence, methods)
    drawn = table[table["seeds"] > 0]
    names, legend = styles(drawn["method"]), []
    title = f"What is kept against what is learned: {table.attrs['title']}"
    note = f"{split.capitalize()} data; lines: weak to strong; filled: on the Pareto front."
    figure, (axes,) = new_figure(table, title, note, [""], 4.2, ax=ax)
    for name, rows in drawn.groupby("method", sort=False):
        style, knobs, places = names[name], rows["knob"].dropna(), rows[["new_mean", "old_mean"]].to_numpy()
        if knobs.empty:
            legend.append(_in_legend(name, style))
            continue
        legend.append(dataclasses.replace(style, label=f"{style.label}\n{knobs.iloc[0]:g} to {knobs.iloc[-1]:g}"))
        axes.plot(*places.T, color=style.color, linestyle=style.line, linewidth=1.3)
        arrow = {"arrowstyle": "-|>", "color": style.color, "mutation_scale": 14, "shrinkB": 5, "linewidth": 0}
        if len(places) > 1:
            axes.annotate("", places[-1], places[-2], arrowprops=arrow)
    _draw_means(axes, drawn[drawn["on_front"]], names)
    _draw_means(axes, drawn[~drawn["on_front"]], names, markerfacecolor="white", markeredgecolor=None)
    axes.margins(0.09)
    label([axes], 1, *AXES)
    legend_beside(axes, legend)
    front = [_named(m) for m in drawn[drawn["on_front"] & drawn["knob"].notna()].itertuples()]
    missed = table[(table["seeds"] < table["runs"]) & (table["method"] != "alone")].itertuples()
    ended = [f"{_named(m)} {m.seeds} of {m.runs}" for m in missed]
    text = ["On the Pareto front: " + words.listed(front) if front else ""]
    text += ["Seeds that reached the end: " + words.listed(ended) if ended else ""]
    return describe(figure, _means_words(drawn), *text)


# Colour and marker of each class of images, where no method is drawn.
CLASSES = {"#332288": "o", "#c2571a": "s", "#14866d": "^", "#b0528f": "D", "#3a8fc4": "v", "#5c4a00": "P"}
PLACES = ["x", "y", "x_back", "y_back"]
FACTS = {"share": "misses {:.1f} % of spread", "accuracy": "accuracy {:.1f} %"}


def submanifold_table(points: pd.DataFrame) -> pd.DataFrame:
    """Return what `submanifold` draws: panel, label, x, y, x_back, y_back, and share and accuracy where given."""
    facts = [fact for fact in FACTS if fact in getattr(points, "columns", ())]
    points = tables.check(points, "points", ("panel", "label", *PLACES))
    out = points[["panel", "label", *PLACES, *facts]].reset_index(drop=True)
    if (count := out["label"].nunique()) > len(CLASSES):
        raise InputError(f"At most {len(CLASSES)} classes can be told apart; got {count}. Keep the rows of a few.")
    return out.astype({"panel": str, "label": str} | dict.fromkeys(PLACES, float))


@drawing()
def submanifold(points: pd.DataFrame, *, ax: Axes | None = None) -> Figure:
    """Draw features of held-out images and their reconstructions in a plane of two principal components.

    points  a row per image: panel (what was reconstructed how), label (class, at most six), x and y of its features,
            x_back and y_back of their reconstruction; and, the same for all rows of a panel, where known: share (of the
            spread of the features that the reconstruction misses) and accuracy, both from 0 to 1

    A marker is an image, a thin line leads to its reconstruction, a small open dot. All panels share their axes.
    """
    import seaborn

    table = submanifold_table(points)
    panels, names = dict(list(table.groupby("panel", sort=False))), sorted(table["label"].unique())
    classes = {
        name: Style(name, color, "", marker) for name, (color, marker) in zip(names, CLASSES.items(), strict=False)
    }
    facts = {
        name: [FACTS[fact].format(100 * value) for fact, value in rows.iloc[0].reindex(list(FACTS)).dropna().items()]
        for name, rows in panels.items()
    }
    columns = {1: 1, 2: 2, 4: 2}.get(len(panels), 3)
    title = "Features of held-out images and their reconstructions"
    note = "Held-out images of one network, no interval; marker: features; open dot: their reconstruction."
    headings = ["\n".join([name, *lines]) for name, lines in facts.items()]
    layout = {"columns": columns, "ax": ax, "sharex": True, "sharey": True}
    figure, axes = new_figure(table, title, note, headings, {1: 3.6, 2: 3.3, 3: 2.8}[columns], **layout)
    colors = {name: style.color for name, style in classes.items()}
    markers = {name: style.marker for name, style in classes.items()}
    marks = {"hue": "label", "palette": colors, "style": "label", "markers": markers, "legend": False}
    text = []
    for one, (name, rows) in zip(axes, panels.items(), strict=True):
        for kind, own in rows.groupby("label"):
            one.plot(own[["x", "x_back"]].T, own[["y", "y_back"]].T, color=colors[kind], linewidth=0.7, alpha=0.55)
            one.scatter("x_back", "y_back", s=11, data=own, facecolor="white", edgecolor=colors[kind], linewidth=0.8)
        seaborn.scatterplot(rows, x="x", y="y", **marks, s=26, linewidth=0.4, zorder=4, ax=one)
        one.set_aspect("equal", adjustable="box" if len(panels) > 1 else "datalim")
        away = words.number(np.hypot(rows["x"] - rows["x_back"], rows["y"] - rows["y_back"]).mean())
        distance = f"mean distance in the plane to the reconstruction {away}"
        text.append(f"{name}: {', '.join([f'{len(rows)} images', distance, *facts[name]])}")
    label(axes, columns, "first principal component", "second principal component")
    legend_beside(axes[columns - 1], classes.values())
    return describe(figure, *text, f"Classes: {words.listed(classes)}")
