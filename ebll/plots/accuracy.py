"""Plots of the accuracy table: the matrix, forgetting as bars and over the gap, old-task against new-task accuracy."""

from __future__ import annotations

import dataclasses
import textwrap
from collections.abc import Iterable, Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ebll.errors import InputError
from ebll.metrics import pareto_front

from . import tables, words
from .figure import describe, label, legend_beside, new_figure, t_interval
from .style import INK, METHODS, SOFT, Style, drawing, styles
from .tables import Names

REFERENCES = ("single-task", "joint")  # what can be had without learning in sequence
AXES = ("accuracy on new tasks when just learned, %", "accuracy on old tasks at the end, %")
SIDES = {"old_": " % old", "new_": " % new"}


@drawing()
def accuracy_matrix(accuracy: pd.DataFrame, sequence: str | None = None, methods: Names = None) -> Figure:
    """Draw accuracy in percent after each learned task (rows) on each task so far (columns), a heat map per method.

    Below the mean stands the half-width of the interval. 'One network per task' has its diagonal only.
    table: method, after, task, mean, low, high, seeds
    """
    import seaborn

    rows, tasks, named = tables.one_sequence(accuracy, sequence, methods)
    table = tables.intervals(rows, ["method", "after", "task"], "percent", after=tasks, task=tasks)
    names, title = styles(table["method"]), f"Accuracy after each task: {named}"
    note = "Test data of each task (column) after each task (row)"
    columns = min(len(names), max(15 // len(tasks), 1), 3)  # a cell is wide enough for its numbers
    headings, layout = [style.label for style in names.values()], {"columns": columns, "sharex": True, "sharey": True}
    figure, axes = new_figure(table, title, note, headings, len(tasks) * 0.42 + 0.3, **layout)
    half = (table["high"] - table["mean"]).map("\n±{:.1f}".format).where(table["high"].notna(), "")
    cells = table.assign(text=table["mean"].map("{:.1f}".format) + half)
    cells = cells.pivot(index=["method", "after"], columns="task", values=["mean", "text"])
    look = {"vmin": 10 * (table["mean"].min() // 10), "vmax": 100, "cbar": False, "fmt": "", "linewidths": 1}
    look |= {"cmap": seaborn.light_palette("#2f94d1", as_cmap=True), "annot_kws": {"color": "black", "size": 9}}
    look |= {"xticklabels": range(1, len(tasks) + 1)}
    look |= {"yticklabels": [f"{i} {task}" for i, task in enumerate(tasks, 1)]}
    for one, (name, style) in zip(axes, names.items(), strict=True):
        means, notes = (cells.loc[name][what].reindex(index=tasks, columns=tasks) for what in ("mean", "text"))
        seaborn.heatmap(means.astype(float), annot=notes, ax=one, **look)
        one.set(xlabel="", ylabel="")
        one.grid(visible=False)
        one.tick_params("y", rotation=0)
        ends = means.loc[tasks[-1]].iloc[:-1].dropna().map(", at the end {:.1f}".format)
        told = [f"{task} {words.percent(means.at[task, task])}{ends.get(task, '')}" for task in tasks]
        describe(figure, f"{style.label}: {'; '.join(told)}")
    return figure


@drawing()
def forgetting_bars(
    accuracy: pd.DataFrame, sequences: Names = None, methods: Names = None, *, ax: Axes | None = None
) -> Figure:
    """Draw the forgetting of the old tasks: one panel per sequence, one bar per method, in percentage points.

    Forgetting is the best accuracy before the last task minus accuracy at the end, mean over the old tasks; below zero
    a task has gained. Dots are seeds.
    table: a row per seed: sequence, method, seed, value (its forgetting), mean, low, high, seeds
    """
    import seaborn

    rows = tables.of_methods(tables.outcomes(accuracy, sequences), methods).dropna(subset="forgetting")
    if rows.empty:
        raise InputError(
            "There is no forgetting to draw: no method was measured both just after a task and at the end."
        )
    titles = dict(zip(rows["sequence"], rows["words"], strict=True))
    table = tables.in_order(tables.by_seed(rows, "forgetting"), ["sequence", "method"], sequence=titles)
    names, columns = styles(table["method"]), {1: 1, 2: 2, 4: 2}.get(len(titles), 3)
    note = "Best accuracy on the old task so far minus that at the end, test data; dots: seeds"
    layout = {"columns": columns, "ax": ax, "sharex": True, "sharey": True}
    height = 0.28 * len(names) + 0.5
    figure, axes = new_figure(table, "Forgetting of the old tasks", note, [*titles.values()], height, **layout)
    bars = {"hue": "method", "palette": {name: style.color for name, style in names.items()}, "alpha": 0.5}
    for one, (sequence, heading) in zip(axes, titles.items(), strict=True):
        rows = table[table["sequence"] == sequence]
        shared = {"x": "value", "y": "method", "order": list(names), "legend": False, "ax": one}
        seaborn.barplot(rows, **shared, **bars, err_kws={"color": INK, "linewidth": 1.4}, errorbar=t_interval)
        dots = {"hue": "seed", "palette": [INK] * rows["seed"].nunique(), "dodge": True, "jitter": False, "size": 3}
        seaborn.stripplot(rows, **shared, **dots)
        one.set_yticks(range(len(names)), [textwrap.fill(style.label, 18) for style in names.values()])
        one.axvline(0, color=SOFT, linewidth=0.8)
        one.grid(visible=False, axis="y")
        describe(figure, f"{heading}, percentage points: {_in_words(rows, names)}")
    label(axes, "forgetting, points", "")
    return figure


def _in_words(rows: pd.DataFrame, names: Mapping[str, Style]) -> str:
    """Return each method's mean and interval."""
    rows = rows.drop_duplicates("method")
    return words.listed(words.means(rows, [names[name].label for name in rows["method"]]))


@drawing()
def forgetting_by_gap(accuracy: pd.DataFrame, order: Iterable[str] | Mapping[str, str]) -> Figure:
    """Draw forgetting of fine-tuning, LwF and EBLL from the nearest to the farthest pair of tasks; below, EBLL's gain.

    order   ids of the sequences from near to far, or a dict from a word to an id: {"near": "mlp:letters-mnist"}

    The gain is EBLL's accuracy on old tasks at the end minus LwF's, seed by seed. Dots are seeds (below: one difference
    each). Lines between pairs lead the eye: there is nothing in between.
    table: a row per seed, in percentage points: panel (forgetting or gain), place (0 for the nearest pair), sequence,
    method, seed, value, mean, low, high, seeds
    """
    sequences = list(order.values() if isinstance(order, Mapping) else order)
    if len(set(sequences)) != len(sequences):
        raise InputError(f"order: each sequence has one place from near to far; got {', '.join(sequences)}.")
    rows = tables.outcomes(accuracy, sequences)
    tables.chosen(rows, ["ebll", "lwf"])  # both must be there
    titles = dict(zip(rows["sequence"], rows["words"], strict=True))
    old = rows.pivot(index=["sequence", "seed"], columns="method", values="old")
    gain = (old["ebll"] - old["lwf"]).rename("gain").reset_index().assign(method="ebll minus lwf")
    lost = rows[rows["method"].isin(["finetune", "lwf", "ebll"])]
    panels = {"forgetting": tables.by_seed(lost, "forgetting"), "gain": tables.by_seed(gain, "gain")}
    table = pd.concat(panels, names=["panel"]).reset_index("panel").reset_index(drop=True)
    table.insert(1, "place", table["sequence"].map(sequences.index))
    names = styles(panels["forgetting"]["method"])
    gains = {"ebll minus lwf": dataclasses.replace(METHODS["ebll"], label="EBLL minus LwF")}
    title = "Forgetting from the nearest to the farthest pair of tasks"
    note = "Test data; dots: seeds, below the same seed with both methods"
    figure, (above, below) = new_figure(table, title, note, ["", ""], [2.5, 1.7], sharex=True)
    _draw_pairs(above, table[table["panel"] == "forgetting"], names)
    _draw_pairs(below, table[table["panel"] == "gain"], gains)
    above.set(xlabel="", ylabel="forgetting, points")
    below.set(xlabel="pair of tasks, from near (left) to far (right)", ylabel="EBLL minus LwF,\nold tasks, points")
    legend_beside(above, names.values())
    lead = [f"{word}\n" for word in order] if isinstance(order, Mapping) else [""] * len(titles)
    ticks = [a + textwrap.fill(b, max(12, 72 // len(titles))) for a, b in zip(lead, titles.values(), strict=True)]
    below.set_xticks(range(len(ticks)), ticks)
    for name, rows in table.groupby("sequence", sort=False):
        parts = [f"{panel} {_in_words(part, names | gains)}" for panel, part in rows.groupby("panel")]
        describe(figure, f"{titles[name]}: {'; '.join(parts)}")
    return figure


def _draw_pairs(axes: Axes, rows: pd.DataFrame, names: Mapping[str, Style]) -> None:
    """Draw means with intervals, and seeds as dots, at each place; the methods of a place stand side by side."""
    import seaborn

    shared = {"x": "place", "y": "value", "hue": "method", "hue_order": list(names), "legend": False, "ax": axes}
    shared |= {"palette": [style.color for style in names.values()]}
    lines = {"linestyles": [style.line for style in names.values()], "linewidth": 1.3, "err_kws": {"linewidth": 1.3}}
    marks = {"markers": [style.marker for style in names.values()], "markersize": 7, "markeredgecolor": "white"}
    apart = 0.8 - 0.8 / len(names)  # as far as the dots of the strips
    seaborn.stripplot(rows, **shared, dodge=True, jitter=False, size=3, alpha=0.6)
    seaborn.pointplot(rows, **shared, **lines, **marks, dodge=apart or False, errorbar=t_interval)
    axes.axhline(0, color=SOFT, linewidth=0.8, zorder=1)
    axes.grid(visible=False, axis="x")


@drawing()
def stability_plasticity(
    accuracy: pd.DataFrame, sequences: Names = None, methods: Names = None, *, ax: Axes | None = None
) -> Figure:
    """Draw old-task accuracy (kept, at the end) against new-task accuracy (when just learned), a panel per sequence.

    A marker is a mean, its cross the two intervals, light dots are seeds. The lines through 'one network per task' and
    'joint training' mark what can be had without learning in sequence.
    table: in percent, a row per seed: sequence, method, seed, old and new, of both mean, low and high; seeds
    """
    import seaborn

    rows, by = tables.outcomes(accuracy, sequences), ["sequence", "method"]
    rows = tables.of_methods(rows, methods).dropna(subset=["old", "new"])
    titles = dict(zip(rows["sequence"], rows["words"], strict=True))
    table = rows.merge(tables.intervals(rows, by, "old", "new"), on=by)
    table = tables.in_order(table, by, sequence=titles)
    columns = [f"{side}{what}" for side in ("old", "new") for what in ("", "_mean", "_low", "_high")]
    table, names, columns = table[[*by, "seed", *columns, "seeds"]], styles(table["method"]), min(len(titles), 2)
    title, note = "What is kept against what is learned", "Test data; dots: seeds"
    height = 3.6 if columns == 1 else 2.4
    figure, axes = new_figure(table, title, note, [*titles.values()], height, columns=columns, ax=ax)
    dots = {"hue": "method", "palette": {name: style.color for name, style in names.items()}, "legend": False}
    for one, (sequence, heading) in zip(axes, titles.items(), strict=True):
        rows = table[table["sequence"] == sequence]
        means = rows.drop_duplicates("method")
        seaborn.scatterplot(rows, x="new", y="old", **dots, s=12, alpha=0.4, linewidth=0, ax=one)
        _draw_means(one, means, names)
        describe(figure, f"{heading}: {'; '.join(words.means(means, _labels(means), SIDES))}")
    label(axes, *AXES, middle=0.37)
    legend_beside(axes[columns - 1], [_in_legend(name, style) for name, style in names.items()])
    return figure


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


def _labels(rows: pd.DataFrame) -> list[str]:
    """Return the label of each row's method, with its setting where it has one."""
    labels, settings = [styles([name])[name].label for name in rows["method"]], [""] * len(rows)
    if "strength" in rows:
        settings = rows["strength"].map(" at {:g}".format).where(rows["strength"].notna(), "")
    return [f"{name}{setting}" for name, setting in zip(labels, settings, strict=True)]


def _in_legend(name: str, style: Style) -> Style:
    """Return the style of a method that is a mark; only references have lines."""
    return style if name in REFERENCES else dataclasses.replace(style, line="")


@drawing()
def tradeoff_fronts(
    accuracy: pd.DataFrame, sequence: str | None = None, methods: Names = None, *,
    split: str = "test", ax: Axes | None = None,
) -> Figure:  # fmt: skip
    """Draw what each method keeps (upwards) against what it learns (to the right) as its strength is turned up.

    accuracy  the accuracy table with a column `strength`: the strength of the method in that run, such as EBLL's alpha;
              empty or 0 for a method without one
    split     which data the accuracies are of, for the caption; settings are explored on "validation"

    A line runs from a method's weakest to its strongest setting, where its arrow points; the legend names both.
    Filled marks are the Pareto front of their method: no other setting of it is at least as good on both axes and
    better on one.
    table: in percent, a row per method and `strength`, by its size: mean, low and high of old and new; seeds that
    reached the end; runs that began (most seeds of any row); on_front
    """
    rows, _, named = tables.one_sequence(accuracy, sequence, methods, "strength")
    table = _fronts(rows.assign(strength=rows["strength"].astype(float).fillna(0.0)))
    drawn, title = table[table["seeds"] > 0], f"What is kept against what is learned: {named}"
    names, legend = styles(drawn["method"]), []
    note = f"{split.capitalize()} data; lines: weak to strong; filled: on the Pareto front"
    figure, (axes,) = new_figure(table, title, note, [""], 4.2, ax=ax)
    for name, rows in drawn.groupby("method", sort=False):
        style, strengths, places = names[name], rows["strength"].dropna(), rows[["new_mean", "old_mean"]].to_numpy()
        if strengths.empty:
            legend.append(_in_legend(name, style))
            continue
        over = f"{strengths.iloc[0]:g} to {strengths.iloc[-1]:g}"
        legend.append(dataclasses.replace(style, label=f"{style.label}\n{over}"))
        axes.plot(*places.T, color=style.color, linestyle=style.line, linewidth=1.3)
        arrow = {"arrowstyle": "-|>", "color": style.color, "mutation_scale": 14, "shrinkB": 5, "linewidth": 0}
        if len(places) > 1:
            axes.annotate("", places[-1], places[-2], arrowprops=arrow)
    _draw_means(axes, drawn[drawn["on_front"]], names)
    _draw_means(axes, drawn[~drawn["on_front"]], names, markerfacecolor="white", markeredgecolor=None)
    axes.margins(0.09)
    label([axes], *AXES)
    legend_beside(axes, legend)
    front = _labels(drawn[drawn["on_front"] & drawn["strength"].notna()])
    missed = table[(table["seeds"] < table["runs"]) & (table["method"] != "single-task")]
    ended = missed["seeds"].map(" {} of ".format) + missed["runs"].map(str)
    ended = [name + count for name, count in zip(_labels(missed), ended, strict=True)]
    text = ["On the Pareto front: " + words.listed(front) if front else ""]
    text += ["Seeds that reached the end: " + words.listed(ended) if ended else ""]
    return describe(figure, "; ".join(words.means(drawn, _labels(drawn), SIDES)), *text)


def _fronts(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the table of `tradeoff_fronts` from the rows of one sequence."""
    by = ["method", "strength"]
    begun = rows.groupby(by, sort=False, as_index=False).agg(runs=("seed", "nunique"))
    ended = tables.outcomes(rows, None, ("strength",)).dropna(subset=["old", "new"])
    if ended.empty:
        raise InputError("No run in the accuracy table reached the end of its sequence: there is nothing to draw.")
    table = begun[by].merge(tables.intervals(ended, by, "old", "new"), how="left", on=by)
    table = table.fillna({"seeds": 0}).astype({"seeds": int})
    table = table[(table["seeds"] > 0) | (table["method"] != "single-task")]  # it has no end that it could miss
    table = tables.in_order(table.assign(runs=begun["runs"].max()), by)
    for _, own in table.groupby("method"):
        table.loc[own.index, "on_front"] = pareto_front(own[["new_mean", "old_mean"]].to_numpy())
    without = table.groupby("method")["strength"].transform(lambda strengths: strengths.eq(0).all()).astype(bool)
    return table.astype({"on_front": bool}).assign(strength=table["strength"].mask(without))
