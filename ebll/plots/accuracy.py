"""Plots of the accuracy table: the matrix, forgetting as bars and over the gap, old-task against new-task accuracy."""

from __future__ import annotations

import dataclasses
import textwrap
from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ebll.errors import InputError, check_number

from . import tables, words
from .figure import describe, label, legend_beside, new_figure
from .lines import over_setting
from .style import INK, PALE, SOFT, Style, drawing, styles
from .tables import Names

REFERENCES = ("single-task", "joint")  # what can be had without learning in sequence
TITLE = "Stability-plasticity trade-off"
AXES = ("accuracy on new tasks when just learned, %", "accuracy on old tasks at the end, %")


@drawing()
def accuracy_matrix(accuracy: pd.DataFrame, sequence: str | None = None, methods: Names = None) -> Figure:
    """Draw accuracy in percent after each learned task (rows) on each task so far (columns), a heat map per method.

    Below it stands the change since the task was learned. Networks of their own ('single-task') are a row "alone".
    table: a row per seed: method, after (a task, or "alone"), task, seed, value, mean
    """
    import seaborn

    rows, tasks, named = tables.one_sequence(accuracy, sequence, methods)
    single = rows["method"] == "single-task"
    if not single.all():
        alone = [rows[single].assign(method=name, after="alone") for name in rows.loc[~single, "method"].unique()]
        rows = pd.concat([rows[~single], *alone])
    by, order = ["method", "after", "task"], [*(["alone"] if "alone" in set(rows["after"]) else []), *tasks]
    table = tables.by_seed(rows, by, "percent", after=order, task=tasks)
    cells, earlier = table.drop_duplicates(by).set_index(by)["mean"], np.tri(len(tasks), k=-1, dtype=bool)
    names, title = styles(table["method"]), f"Accuracy after each task: {named}"
    note = f"Test data after each task (row); below: change since learned; mean of {words.seeds_words(table['seeds'])}"
    columns = min(len(names), max(14 // len(tasks), 1), 3)  # a cell is wide enough for its numbers
    headings, layout = [style.label for style in names.values()], {"columns": columns, "sharex": True, "sharey": True}
    figure, axes = new_figure(table.drop(columns="seeds"), title, note, headings, len(order) * 0.42 + 0.3, **layout)
    look = {"vmin": 0, "vmax": 100, "cbar": False, "fmt": "", "linewidths": 1}
    look |= {"cmap": seaborn.light_palette("#2f94d1", as_cmap=True), "annot_kws": {"color": "black", "size": 9}}
    wide = {"width": max(60 // (columns * len(tasks)), 8), "max_lines": 2, "placeholder": "…"}
    short = [textwrap.fill(task, **wide) for task in tasks]
    look |= {"xticklabels": short, "yticklabels": order}
    for one, (name, style) in zip(axes, names.items(), strict=True):
        means = cells.loc[name].unstack("task").reindex(index=order, columns=tasks)
        change = (means.loc[tasks] - np.diag(means.loc[tasks])).map("\n{:+z.1f}".format).where(earlier, "")
        notes = means.map("{:.1f}".format)
        notes.loc[tasks] += change.replace("-", "−", regex=True)
        seaborn.heatmap(means.astype(float), annot=notes, ax=one, **look)
        one.set(xlabel="", ylabel="")
        one.grid(visible=False)
        one.tick_params(rotation=0)
        ends = means.loc[tasks[-1]].iloc[:-1].dropna().map(", at the end {:.1f}".format)
        told = [f"{task} {words.percent(means.at[task, task])}{ends.get(task, '')}" for task in tasks]
        describe(figure, f"{style.label}: {'; '.join(told)}")
    return figure


@drawing()
def forgetting_bars(accuracy: pd.DataFrame, sequences: Names = None, methods: Names = None) -> Figure:
    """Draw the forgetting of the old tasks: one panel per sequence, one bar per method, in percentage points.

    Forgetting is the best accuracy before the last task minus accuracy at the end, mean over the old tasks; below zero
    a task has gained. Dots are seeds.
    table: a row per seed: sequence, method, seed, value (its forgetting), mean, seeds
    """
    import seaborn

    rows = tables.of_methods(tables.outcomes(accuracy, sequences), methods).dropna(subset="forgetting")
    if rows.empty:
        raise InputError(
            "There is no forgetting to draw: no method was measured both just after a task and at the end."
        )
    titles = dict(zip(rows["sequence"], rows["words"], strict=True))
    table = tables.by_seed(rows, ["sequence", "method"], "forgetting", sequence=titles)
    names, columns = styles(table["method"]), {1: 1, 2: 2, 4: 2}.get(len(titles), 3)
    note = "Best accuracy on the old task so far minus that at the end, test data"
    layout = {"columns": columns, "sharex": True, "sharey": True}
    height = 0.28 * len(names) + 0.5
    figure, axes = new_figure(table, "Forgetting of the old tasks", note, [*titles.values()], height, **layout)
    bars = {"hue": "method", "palette": {name: style.color for name, style in names.items()}, "alpha": 0.5}
    for one, (sequence, heading) in zip(axes, titles.items(), strict=True):
        rows = table[table["sequence"] == sequence]
        shared = {"x": "value", "y": "method", "order": list(names), "legend": False, "ax": one}
        seaborn.barplot(rows, **shared, **bars, errorbar=None)
        dots = {"hue": "seed", "palette": [INK] * rows["seed"].nunique(), "dodge": True, "jitter": False, "size": 3}
        seaborn.stripplot(rows, **shared, **dots)
        one.set_yticks(range(len(names)), [textwrap.fill(style.label, 18) for style in names.values()])
        one.axvline(0, color=SOFT, linewidth=0.8)
        one.grid(visible=False, axis="y")
        groups = rows.groupby("method", sort=False)["value"]
        told = words.listed(f"{names[name].label} {words.spread(values)}" for name, values in groups)
        describe(figure, f"{heading}, percentage points: {told}")
    label(axes, "forgetting, points", "")
    return figure


def forgetting_by_gap(accuracy: pd.DataFrame, gaps: Mapping[str, float]) -> Figure:
    """Draw the forgetting of LwF and EBLL over the gap between the tasks of a pair; below, what EBLL gains on LwF.

    gaps    id of each pair's sequence -> gap (M8); of the main job's table `gaps.groupby("sequence")["gap"].mean()`

    The gain is EBLL's accuracy on old tasks at the end minus LwF's, seed by seed. Fine-tuning, which forgets many times
    as much, is in the caption. Lines between pairs lead the eye: there is nothing in between.
    table: as `over_setting` has it, in points: quantity (forgetting or gain), method, gap, seed, value, mean, seeds
    """
    if not isinstance(gaps, Mapping | pd.Series):
        raise InputError(f"gaps must map each sequence to its gap, such as {{'mlp:a-b': 0.2}}; got {gaps!r}.")
    gaps = {name: check_number(gaps[name], f"The gap of {name}") for name in sorted(gaps.keys(), key=gaps.get)}
    rows = tables.outcomes(accuracy, gaps)
    tables.chosen(rows, ["ebll", "lwf"])  # both must be there
    old = rows.pivot(index=["sequence", "seed"], columns="method", values="old")
    gain = (old["ebll"] - old["lwf"]).rename("gain").reset_index().assign(method="EBLL minus LwF")
    lost = rows[rows["method"].isin(["lwf", "ebll", "ebll-separate"])]
    table = pd.concat([lost, gain]).assign(gap=lambda both: both["sequence"].map(gaps))
    plain = rows[rows["method"] == "finetune"].groupby("sequence")["forgetting"].mean().reindex(gaps).dropna()
    caption = f"Test data; fine-tuning, from near to far: {words.listed(plain.map(words.percent))} (not shown)"
    titles = rows.drop_duplicates("sequence").set_index("sequence")["words"]
    pairs = words.listed(f"{titles[name]} {gap:.2f}" for name, gap in gaps.items())
    return over_setting(
        table, "gap", {"forgetting": "forgetting, points", "gain": "gain on old tasks, points"}, by="method",
        xlabel=f"gap (M8): {pairs}", title="Forgetting over the gap between the tasks of a pair", log=False,
        caption=caption if len(plain) else "Test data",
    )  # fmt: skip


@drawing()
def stability_plasticity(
    accuracy: pd.DataFrame, sequences: Names = None, methods: Names = None, *, split: str = "test"
) -> Figure:
    """Draw old-task accuracy (kept, at the end) against new-task accuracy (when just learned), a panel per sequence.

    accuracy  may have a column `strength`, that of the method in a run, such as EBLL's alpha; empty for one without:
              then a line runs from a method's weakest to its strongest setting, where its arrow points; the seed is
              None for what is a mean over seeds
    split     which data the accuracies are of, for the caption; settings are explored on "validation"

    A marker is a mean, pale dots are its seeds. The lines through 'one network per task' and 'joint training' mark what
    can be had without learning in sequence.
    table: in percent, a row per seed: sequence, method, strength where given, seed, old, new, their means, seeds
    """
    more = ("strength",) if "strength" in getattr(accuracy, "columns", ()) else ()
    if more:
        accuracy = accuracy.assign(strength=accuracy["strength"].astype(float).fillna(0.0))
    rows = tables.of_methods(tables.outcomes(accuracy, sequences, more), methods).dropna(subset=["old", "new"])
    if rows.empty:
        raise InputError("No run in the accuracy table reached the end of its sequence: there is nothing to draw.")
    titles = dict(zip(rows["sequence"], rows["words"], strict=True))
    table = tables.by_seed(rows, ["sequence", "method", *more], "old", "new", sequence=titles)
    names, columns = styles(table["method"]), min(len(titles), 2)
    several = {name for name, own in table.groupby("method") if more and own["strength"].nunique() > 1}
    note = f"{split.capitalize()} data" + ("; lines: weak to strong" if several else "")
    height = 3.6 if columns == 1 else 2.8
    figure, axes = new_figure(table, TITLE, note, [*titles.values()], height, columns=columns)
    for one, (sequence, heading) in zip(axes, titles.items(), strict=True):
        told = []
        for name, own in table[table["sequence"] == sequence].groupby("method", sort=False):
            _draw_method(one, name, names[name], own)
            for _, setting in own.groupby([*more] or "method", sort=False):
                at = f" at {setting['strength'].iloc[0]:g}" if name in several else ""
                numbers = f"{words.spread(setting['old'])} % old, {words.spread(setting['new'])} % new"
                told.append(f"{names[name].label}{at} {numbers}")
        one.set(xlim=(None, min(one.get_xlim()[1], 100)), ylim=(None, min(one.get_ylim()[1], 100)))
        one.locator_params(nbins=6, steps=[1, 2, 5, 10])
        describe(figure, f"{heading}: {'; '.join(told)}")
    label(axes, *AXES, middle=0.37)
    lines = several.union(REFERENCES)
    looks = [style if name in lines else dataclasses.replace(style, line="") for name, style in names.items()]
    legend_beside(axes[columns - 1], looks)
    return figure


def _draw_method(axes: Axes, name: str, style: Style, own: pd.DataFrame) -> None:
    """Draw a method's seeds and means, the line along its settings, and the lines through a reference."""
    axes.plot(own[["new_mean", "new"]].T, own[["old_mean", "old"]].T, color=style.color, **PALE)
    axes.scatter("new", "old", s=9, data=own, color=style.color, **PALE | {"linewidth": 0})
    places = own[["new_mean", "old_mean"]].drop_duplicates().to_numpy()
    above = 4 if style.marker in "os" else 4.5  # a cross or a star is seen on a disc, which would hide it
    line = {"color": style.color, "linestyle": style.line}
    axes.plot(*places.T, **line, linewidth=1.3, marker=style.marker, markersize=8, zorder=above)
    if len(places) > 1:
        arrow = {"arrowstyle": "-|>", "color": style.color, "mutation_scale": 14, "shrinkB": 5, "linewidth": 0}
        axes.annotate("", places[-1], places[-2], arrowprops=arrow)
    if name in REFERENCES:
        axes.axhline(places[0, 1], **line, linewidth=1, zorder=1)
        axes.axvline(places[0, 0], **line, linewidth=1, zorder=1)
