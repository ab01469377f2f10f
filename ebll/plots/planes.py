"""Plots in a plane: old-task against new-task accuracy, and features beside their reconstructions."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ebll.errors import InputError
from ebll.metrics import pareto_front

from . import tables, words
from .figure import finish, label, legend_beside, new_figure
from .style import Style, class_styles, drawing, styles

__all__ = [
    "stability_plasticity", "stability_plasticity_table", "submanifold", "submanifold_table", "tradeoff_fronts",
    "tradeoff_fronts_table",
]  # fmt: skip


SIDES = ("old", "new")
REFERENCES = ("alone", "joint")  # what can be had without learning in sequence


def stability_plasticity_table(
    accuracy: pd.DataFrame, sequences: str | Iterable[str] | None = None, methods: str | Iterable[str] | None = None
) -> pd.DataFrame:
    """Return what `stability_plasticity` draws, a row per seed, in percent.

    sequence, method, seed; old and new (accuracy of that seed); old_mean, old_low, old_high, new_mean, new_low,
    new_high (over seeds); seeds.
    """
    rows, by = tables.outcomes(accuracy, sequences), ["sequence", "method"]
    kept = rows[rows["method"].isin(tables.chosen(rows, methods))].dropna(subset=SIDES)
    table = kept[[*by, "seed", *SIDES]].merge(_both(kept, by), on=by)
    table = tables.in_order(table, by, sequence=rows["sequence"].unique())
    sides = [f"{side}{what}" for side in SIDES for what in ("", "_mean", "_low", "_high")]
    return table[[*by, "seed", *sides, "seeds"]]


def _both(rows: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Return means and intervals of both sides."""
    old, new = (
        tables.intervals(rows, by, side).rename(columns={c: f"{side}_{c}" for c in ("mean", "low", "high")})
        for side in SIDES
    )
    return old.drop(columns="seeds").merge(new, on=by)


@drawing()
def stability_plasticity(
    accuracy: pd.DataFrame, sequences: str | Iterable[str] | None = None,
    methods: str | Iterable[str] | None = None, *, ax: Axes | None = None,
) -> Figure:  # fmt: skip
    """Draw old-task accuracy (kept, at the end) against new-task accuracy (when just learned), a panel per sequence.

    A marker is a mean, its cross the two intervals, light dots are seeds. The lines through 'one network per task' and
    'joint training' mark what can be had without learning in sequence.
    """
    import seaborn

    table = stability_plasticity_table(accuracy, sequences, methods)
    names, titles = styles(table["method"]), tables.titles(accuracy, table["sequence"])
    columns = min(len(titles), 2)
    title = "What is kept against what is learned"
    caption = f"{words.seeds_words(table['seeds'])}; dots: seeds; test data; old: at the end, new: when just learned."
    height = 3.6 if columns == 1 else 2.4
    figure, axes = new_figure(title, caption, height, columns=columns, count=len(titles), ax=ax)
    colors = {name: style.color for name, style in names.items()}
    dots = {"palette": colors, "s": 12, "alpha": 0.4, "linewidth": 0, "legend": False}
    for one, (sequence, heading) in zip(axes, titles.items(), strict=True):
        part = table[table["sequence"] == sequence]
        seaborn.scatterplot(part, x="new", y="old", hue="method", ax=one, **dots)
        _draw_means(one, part.drop_duplicates("method"), names)
        one.set_title(textwrap.fill(heading, 70 // columns))
    label(axes, columns, "accuracy on new tasks, %", "accuracy on old tasks, %")
    legend_beside(axes[columns - 1], _handles(names))
    text = [f"{heading}: {_plane_words(table[table['sequence'] == s])}" for s, heading in titles.items()]
    return finish(figure, table, title, *text, caption)


def _draw_means(axes: Axes, table: pd.DataFrame, names: Mapping[str, Style], **options: object) -> None:
    """Draw each method's means as marks, with crosses of their intervals, and lines through the references."""
    for name, rows in table.groupby("method", sort=False):
        style = names[name]
        across, up = (
            np.array([rows[f"{side}_mean"] - rows[f"{side}_low"], rows[f"{side}_high"] - rows[f"{side}_mean"]])
            for side in ("new", "old")
        )
        look = {"color": style.color, "markeredgecolor": "white", "markersize": 10 if style.marker == "*" else 7}
        look |= {"elinewidth": 1.2, "zorder": 4} | options
        axes.errorbar(rows["new_mean"], rows["old_mean"], up, across, fmt=style.marker, **look)
        if name in REFERENCES:
            line = {"color": style.color, "linestyle": style.line, "linewidth": 1, "zorder": 1}
            axes.axhline(rows["old_mean"].iloc[0], **line)
            axes.axvline(rows["new_mean"].iloc[0], **line)
    axes.locator_params(nbins=6, steps=[1, 2, 5, 10])


def _handles(names: Mapping[str, Style], lined: Iterable[str] = ()) -> list:
    """Return entries for a legend, with a line where there is one in the plot."""
    plain = {name: {} if name in (*REFERENCES, *lined) else {"linestyle": ""} for name in names}
    return [style.handle(**plain[name]) for name, style in names.items()]


def _named(row) -> str:
    """Return the label of a row's method, with its setting where it has one."""
    setting = getattr(row, "knob", math.nan)
    return styles([row.method])[row.method].label + ("" if math.isnan(setting) else f" at {setting:g}")


def _plane_words(table: pd.DataFrame) -> str:
    """Return old and new accuracy of each method, and of each of its settings."""
    parts = []
    for m in table.drop_duplicates(["method", "knob"] if "knob" in table else "method").itertuples():
        old = words.with_interval(m.old_mean, m.old_low, m.old_high)
        new = words.with_interval(m.new_mean, m.new_low, m.new_high)
        parts.append(f"{_named(m)} {old} % old, {new} % new")
    return "; ".join(parts)


def tradeoff_fronts_table(
    accuracy: pd.DataFrame, sequence: str | None = None, methods: str | Iterable[str] | None = None
) -> pd.DataFrame:
    """Return what `tradeoff_fronts` draws, in percent, a row per method and setting, by the size of the setting.

    method; knob (the setting, empty for a method without one); old_mean, old_low, old_high, new_mean, new_low, new_high
    (over seeds); seeds (that reached the end); runs (that began: the most seeds of any row); on_front.
    """
    accuracy = tables.check_accuracy(accuracy, "knob")
    accuracy = accuracy.assign(knob=accuracy["knob"].astype(float).fillna(0.0))
    if not np.isfinite(accuracy["knob"]).all():
        raise InputError("The accuracy table must hold finite numbers in the column knob.")
    rows, by = tables.of_sequence(accuracy, sequence), ["method", "knob"]
    rows = rows[rows["method"].isin(tables.chosen(rows, methods))]
    begun = rows.groupby(by, sort=False)["seed"].nunique().rename("runs").reset_index()
    ended = tables.outcomes(rows, None, ("knob",)).dropna(subset=SIDES)
    if ended.empty:
        raise InputError("No run in the accuracy table reached the end of its sequence: there is nothing to draw.")
    table = begun.drop(columns="runs").merge(_both(ended, by), how="left", on=by).fillna({"seeds": 0})
    table = table[(table["seeds"] > 0) | (table["method"] != "alone")]  # it has no end that it could miss
    table = tables.in_order(table.astype({"seeds": int}).assign(runs=int(begun["runs"].max())), by)
    fronts = table.groupby("method", sort=False)[["new_mean", "old_mean"]]
    table["on_front"] = [on for _, own in fronts for on in pareto_front(own.to_numpy())]
    single = table.groupby("method")["knob"].transform(lambda knobs: set(knobs) == {0.0})
    return table.assign(knob=table["knob"].mask(single.astype(bool)))


@drawing()
def tradeoff_fronts(
    accuracy: pd.DataFrame, sequence: str | None = None, methods: str | Iterable[str] | None = None, *,
    split: str = "test", ax: Axes | None = None,
) -> Figure:  # fmt: skip
    """Draw what each method keeps (upwards) against what it learns (to the right) as its strength is turned up.

    accuracy  the accuracy table with a column `knob`: the strength of the method in that run, such as EBLL's alpha;
              empty or 0 for a method without one
    split     which data the accuracies are of, for the caption; settings are explored on "validation"

    A line runs from a method's weakest to its strongest setting; small numbers are settings. Filled marks are the
    Pareto front of their method: no other setting of it is at least as good on both axes and better on one.
    """
    table = tradeoff_fronts_table(accuracy, sequence, methods)
    drawn, names = table[table["seeds"] > 0], styles(table.loc[table["seeds"] > 0, "method"])
    (name,) = tables.titles(accuracy, [sequence or accuracy["sequence"].iloc[0]]).values()
    title = f"What is kept against what is learned: {name}"
    short = table[(table["seeds"] < table["runs"]) & (table["method"] != "alone")]
    caption = f"{words.seeds_words(drawn['seeds'])}; {split} data; lines: weak to strong; filled: on the Pareto front."
    figure, (axes,) = new_figure(title, caption, [4.2], ax=ax)
    for name, rows in drawn.groupby("method", sort=False):
        axes.plot(
            rows["new_mean"], rows["old_mean"], color=names[name].color, linestyle=names[name].line, linewidth=1.3
        )
    _draw_means(axes, drawn[drawn["on_front"]], names, elinewidth=0.8)
    _draw_means(axes, drawn[~drawn["on_front"]], names, elinewidth=0.8, markerfacecolor="white", markeredgecolor=None)
    settings = drawn[drawn["knob"].notna()]
    _name_settings(axes, settings)
    axes.margins(0.09)
    label([axes], 1, "accuracy on new tasks, %", "accuracy on old tasks, %")
    legend_beside(axes, _handles(names, lined=settings["method"]))
    front = [_named(m) for m in settings[settings["on_front"]].itertuples()]
    ended = [f"{_named(m)} {m.seeds} of {m.runs}" for m in short.itertuples()]
    text = ["On the Pareto front: " + words.listed(front) if front else ""]
    text += ["Seeds that reached the end: " + words.listed(ended) if ended else ""]
    return finish(figure, table, title, _plane_words(drawn), *text, caption)


def _name_settings(axes: Axes, rows: pd.DataFrame) -> None:
    """Write the weakest and strongest setting of each method beside its mark; of two methods, those between as well."""
    ways = [((6, 5), "left"), ((-6, 5), "right"), ((6, -12), "left"), ((-6, -12), "right")]
    names, methods = list(rows["method"].unique()), rows.groupby("method", sort=False)
    spots = rows[["new_mean", "old_mean"]]
    apart = (spots / (spots.max() - spots.min()).clip(lower=1e-9)).T
    named = [*methods.head(1).index, *methods.tail(1).index]
    for i in rows.index if len(names) <= 2 else []:
        named += [i] if np.hypot(*apart[named].sub(apart[i], axis=0).to_numpy()).min() > 0.08 else []
    for i in dict.fromkeys(named):
        away, side = ways[names.index(rows.at[i, "method"]) % len(ways)]
        place = {"xytext": away, "textcoords": "offset points", "ha": side, "zorder": 6}
        axes.annotate(f"{rows.at[i, 'knob']:g}", tuple(spots.loc[i]), **place)


PLACES = ("x", "y", "x_back", "y_back")
FACTS = {"share": "misses {} % of spread", "accuracy": "accuracy {} %"}


def submanifold_table(points: pd.DataFrame) -> pd.DataFrame:
    """Return what `submanifold` draws: panel, label, x, y, x_back, y_back, and share and accuracy where given."""
    facts = [fact for fact in FACTS if fact in getattr(points, "columns", ())]
    tables.check(points, "points", ("panel", "label", *PLACES), (), (*PLACES, *facts))
    out = points[["panel", "label", *PLACES, *facts]].astype(
        {"panel": str, "label": str} | dict.fromkeys(PLACES, float)
    )
    if not np.isfinite(out[list(PLACES)]).all(axis=None):
        raise InputError("The points table must hold finite numbers in the columns x, y, x_back and y_back.")
    for fact in facts:
        tables.check_fractions(out[fact], f"The column {fact} of the points table")
        several = out.groupby("panel", sort=False)[fact].nunique(dropna=False)
        if (several > 1).any():
            raise InputError(f"The points table must hold one {fact} a panel; panel {several.idxmax()} has several.")
    class_styles(out["label"])
    return out.reset_index(drop=True)


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
    names, classes = list(table["panel"].unique()), class_styles(table["label"])
    columns = {1: 1, 2: 2, 4: 2}.get(len(names), 3)
    colors = {name: style.color for name, style in classes.items()}
    shared = {"hue": "label", "palette": colors, "legend": False}
    marks = {"style": "label", "markers": {name: style.marker for name, style in classes.items()}}
    title = "Features of held-out images and their reconstructions"
    caption = "Held-out images of one network, no interval; marker: features; open dot: their reconstruction."
    height, share = {1: 3.6, 2: 3.3, 3: 2.5}[columns], {"sharex": True, "sharey": True}
    figure, axes = new_figure(title, caption, height, columns=columns, count=len(names), ax=ax, **share)
    text = []
    for one, name in zip(axes, names, strict=True):
        own = table[table["panel"] == name]
        known = [fact for fact in FACTS if fact in own and own[fact].notna().any()]
        facts = [FACTS[fact].format(words.percent(100 * own[fact].iloc[0])) for fact in known]
        for kind, rows in own.groupby("label"):
            ways = rows[list(PLACES)].to_numpy().T
            one.plot(ways[::2], ways[1::2], color=colors[kind], linewidth=0.7, alpha=0.55)
            back = {"facecolor": "white", "edgecolor": colors[kind], "linewidth": 0.8, "zorder": 3}
            one.scatter(ways[2], ways[3], s=11, **back)
        seaborn.scatterplot(own, x="x", y="y", s=26, linewidth=0.4, zorder=4, ax=one, **shared, **marks)
        one.set_aspect("equal", adjustable="box" if len(names) > 1 else "datalim")
        one.set_title("\n".join(textwrap.fill(line, 75 // columns) for line in [name, *facts]))
        away = np.hypot(own["x"] - own["x_back"], own["y"] - own["y_back"]).mean()
        distance = f"mean distance in the plane to the reconstruction {words.number(away)}"
        text.append(f"{name}: {', '.join([f'{len(own)} images', distance, *facts])}")
    label(axes, columns, "first principal component", "second principal component")
    legend_beside(axes[columns - 1], [style.handle(linestyle="") for style in classes.values()])
    return finish(figure, table, title, *text, f"Classes: {words.listed(classes)}", caption)
