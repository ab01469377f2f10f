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
from ebll.metrics import pareto_front

from . import tables, words
from .figure import describe, label, legend_beside, new_figure
from .lines import Panel, line_figure
from .style import INK, METHODS, PALE, SOFT, Style, drawing, styles
from .tables import Names

REFERENCES = ("single-task", "joint")  # what can be had without learning in sequence
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
    columns = min(len(names), max(15 // len(tasks), 1), 3)  # a cell is wide enough for its numbers
    headings, layout = [style.label for style in names.values()], {"columns": columns, "sharex": True, "sharey": True}
    figure, axes = new_figure(table.drop(columns="seeds"), title, note, headings, len(order) * 0.42 + 0.3, **layout)
    look = {"vmin": 0, "vmax": 100, "cbar": False, "fmt": "", "linewidths": 1, "xticklabels": range(1, len(tasks) + 1)}
    look |= {"cmap": seaborn.light_palette("#2f94d1", as_cmap=True), "annot_kws": {"color": "black", "size": 9}}
    look |= {"yticklabels": [*order[: -len(tasks)], *(f"{i} {task}" for i, task in enumerate(tasks, 1))]}
    for one, (name, style) in zip(axes, names.items(), strict=True):
        means = cells.loc[name].unstack("task").reindex(index=order, columns=tasks)
        change = (means.loc[tasks] - np.diag(means.loc[tasks])).map("\n{:+z.1f}".format).where(earlier, "")
        notes = means.map("{:.1f}".format)
        notes.loc[tasks] += change.replace("-", "−", regex=True)
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
    layout = {"columns": columns, "ax": ax, "sharex": True, "sharey": True}
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


@drawing()
def forgetting_by_gap(accuracy: pd.DataFrame, gaps: Mapping[str, float]) -> Figure:
    """Draw the forgetting of LwF and EBLL over the gap between the tasks of a pair; below, what EBLL gains on LwF.

    gaps    id of each pair's sequence -> gap (M8); of the main job's table `gaps.groupby("sequence")["gap"].mean()`

    The gain is EBLL's accuracy on old tasks at the end minus LwF's, seed by seed. Fine-tuning, which forgets many times
    as much, is in the heading. Lines between pairs lead the eye: there is nothing in between.
    table: a row per seed, in points: panel (forgetting or gain), gap, sequence, method, seed, value, mean, seeds
    """
    if not isinstance(gaps, Mapping | pd.Series):
        raise InputError(f"gaps must map each sequence to its gap, such as {{'mlp:a-b': 0.2}}; got {gaps!r}.")
    gaps = {name: check_number(gaps[name], f"The gap of {name}") for name in sorted(gaps.keys(), key=gaps.get)}
    rows = tables.outcomes(accuracy, gaps)
    tables.chosen(rows, ["ebll", "lwf"])  # both must be there
    titles = dict(zip(rows["sequence"], rows["words"], strict=True))
    old = rows.pivot(index=["sequence", "seed"], columns="method", values="old")
    gain = (old["ebll"] - old["lwf"]).rename("value").reset_index().assign(method="ebll minus lwf")
    lost = rows[rows["method"].isin(["finetune", "lwf", "ebll", "ebll-separate"])]
    parts = {"forgetting": lost.assign(value=lost["forgetting"]), "gain": gain}
    table = pd.concat(parts, names=["panel"]).reset_index("panel")
    table = tables.by_seed(table, ["panel", "sequence", "method"], "value", panel=parts, sequence=gaps)
    table.insert(1, "gap", table["sequence"].map(gaps))
    lost, gain = (table[table["panel"] == panel] for panel in parts)
    plain = lost[lost["method"] == "finetune"].drop_duplicates("sequence")["mean"].map(words.percent)
    heading = f"Fine-tuning, from near to far: {words.listed(plain)} (not shown)." if len(plain) else ""
    looks = styles(lost.loc[lost["method"] != "finetune", "method"])
    gains = {"ebll minus lwf": dataclasses.replace(METHODS["ebll"], label="EBLL minus LwF")}
    panels = Panel("forgetting,\npoints", lost, looks, "method", heading), Panel("old tasks,\npoints", gain, gains)
    title, heights = "Forgetting over the gap between the tasks of a pair", [2.3, 1.7]
    figure, axes = line_figure(list(panels), "gap", table, title, "Test data", "gap (M8)", heights)
    axes[-1].set_xticks(list(gaps.values()), [f"{titles[sequence]}: {gap:.2f}" for sequence, gap in gaps.items()])
    for tick in axes[-1].xaxis.get_major_ticks()[1::2]:  # on two levels, as gaps may be close
        tick.set_pad(18)
    for one in axes:
        one.set_ylim(bottom=min(one.get_ylim()[0], 0))
        one.axhline(0, color=SOFT, linewidth=0.8, zorder=1)
    return figure


@drawing()
def stability_plasticity(
    accuracy: pd.DataFrame, sequences: Names = None, methods: Names = None, *, ax: Axes | None = None
) -> Figure:
    """Draw old-task accuracy (kept, at the end) against new-task accuracy (when just learned), a panel per sequence.

    A marker is a mean, pale dots are its seeds. The lines through 'one network per task' and 'joint training' mark what
    can be had without learning in sequence.
    table: in percent, a row per seed: sequence, method, seed, old, new, old_mean, new_mean, seeds
    """
    rows = tables.of_methods(tables.outcomes(accuracy, sequences), methods).dropna(subset=["old", "new"])
    titles = dict(zip(rows["sequence"], rows["words"], strict=True))
    table = tables.by_seed(rows, ["sequence", "method"], "old", "new", sequence=titles)
    names, columns = styles(table["method"]), min(len(titles), 2)
    title, height = "What is kept against what is learned", 3.6 if columns == 1 else 2.8
    figure, axes = new_figure(table, title, "Test data", [*titles.values()], height, columns=columns, ax=ax)
    for one, (sequence, heading) in zip(axes, titles.items(), strict=True):
        rows = table[table["sequence"] == sequence]
        for name, own in rows.groupby("method", sort=False):
            one.plot(own[["new_mean", "new"]].T, own[["old_mean", "old"]].T, color=names[name].color, **PALE)
            one.scatter("new", "old", s=9, data=own, color=names[name].color, **PALE | {"linewidth": 0})
        _draw_means(one, rows, names)
        describe(figure, f"{heading}: {_sides(rows)}")
    label(axes, *AXES, middle=0.37)
    legend_beside(axes[columns - 1], [_in_legend(name, style) for name, style in names.items()])
    return figure


def _draw_means(axes: Axes, rows: pd.DataFrame, names: Mapping[str, Style], hollow: bool = False) -> None:
    """Draw means as marks, and lines through the references; the axes end at 100 %."""
    for name, own in rows.groupby("method", sort=False):
        style, means = names[name], own.drop_duplicates(["new_mean", "old_mean"])
        above = 4 if style.marker in "os" else 4.5  # a cross or a star is seen on a disc, which would hide it
        shown = {"color": style.color, "linestyle": "", "markersize": 8, "zorder": above}
        shown |= {"markerfacecolor": "white", "markeredgecolor": style.color, "markeredgewidth": 1.3} if hollow else {}
        axes.plot(means["new_mean"], means["old_mean"], marker=style.marker, **shown)
        if name in REFERENCES:
            line = {"color": style.color, "linestyle": style.line, "linewidth": 1, "zorder": 1}
            axes.axhline(means["old_mean"].iloc[0], **line)
            axes.axvline(means["new_mean"].iloc[0], **line)
    axes.set(xlim=(None, min(axes.get_xlim()[1], 100)), ylim=(None, min(axes.get_ylim()[1], 100)))
    axes.locator_params(nbins=6, steps=[1, 2, 5, 10])


def _sides(rows: pd.DataFrame) -> str:
    """Return each method's accuracies, with its setting where it has one."""
    by = ["method", "strength"] if "strength" in rows else ["method"]
    groups = [own for _, own in rows.groupby(by, sort=False, dropna=False)]
    told = [(_labels(own)[0], words.spread(own["old"]), words.spread(own["new"])) for own in groups]
    return "; ".join(f"{name} {old} % old, {new} % new" for name, old, new in told)


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
    better on one. Pale dots and lines are the seeds.
    table: in percent, a row per method, `strength` and seed that reached the end, or one without: old, new, their
    means; seeds; runs that began (most seeds of any setting); on_front
    """
    rows, _, named = tables.one_sequence(accuracy, sequence, methods, "strength")
    table = _fronts(rows.assign(strength=rows["strength"].astype(float).fillna(0.0)))
    drawn, title = table[table["seeds"] > 0], f"What is kept against what is learned: {named}"
    names, legend = styles(drawn["method"]), []
    note = f"{split.capitalize()} data; lines: weak to strong; hollow: another setting is better"
    figure, (axes,) = new_figure(table, title, note, [""], 4.2, ax=ax)
    for name, rows in drawn.groupby("method", sort=False):
        style, means = names[name], rows.drop_duplicates("strength")
        strengths, places = means["strength"].dropna(), means[["new_mean", "old_mean"]].to_numpy()
        for _, own in rows.groupby("seed"):
            axes.plot(own["new"], own["old"], color=style.color, marker=".", **PALE)
        if strengths.empty:
            legend.append(_in_legend(name, style))
            continue
        over = f"{strengths.iloc[0]:g} to {strengths.iloc[-1]:g}"
        legend.append(dataclasses.replace(style, label=f"{style.label}\n{over}"))
        axes.plot(*places.T, color=style.color, linestyle=style.line, linewidth=1.3)
        arrow = {"arrowstyle": "-|>", "color": style.color, "mutation_scale": 14, "shrinkB": 5, "linewidth": 0}
        if len(places) > 1:
            axes.annotate("", places[-1], places[-2], arrowprops=arrow)
    axes.margins(0.09)
    _draw_means(axes, drawn[drawn["on_front"]], names)
    _draw_means(axes, drawn[~drawn["on_front"]], names, hollow=True)
    label([axes], *AXES)
    legend_beside(axes, legend)
    settings = table.drop_duplicates(["method", "strength"])
    front = _labels(settings[settings["on_front"] & settings["strength"].notna()])
    missed = settings[(settings["seeds"] < settings["runs"]) & (settings["method"] != "single-task")]
    counts = zip(_labels(missed), missed["seeds"], missed["runs"], strict=True)
    ended = [f"{name} {seeds} of {runs}" for name, seeds, runs in counts]
    text = ["On the Pareto front: " + words.listed(front) if front else ""]
    text += ["Seeds that reached the end: " + words.listed(ended) if ended else ""]
    return describe(figure, _sides(drawn), *text)


def _fronts(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the table of `tradeoff_fronts` from the rows of one sequence."""
    by = ["method", "strength"]
    begun = rows.groupby(by, sort=False, as_index=False).agg(runs=("seed", "nunique"))
    ended = tables.outcomes(rows, None, ("strength",)).dropna(subset=["old", "new"])
    if ended.empty:
        raise InputError("No run in the accuracy table reached the end of its sequence: there is nothing to draw.")
    table = begun[by].merge(tables.by_seed(ended, by, "old", "new"), how="left", on=by)
    table = table.fillna({"seeds": 0}).astype({"seeds": int, "seed": "Int64"})
    table = table[(table["seeds"] > 0) | (table["method"] != "single-task")]  # it has no end that it could miss
    table = tables.in_order(table.assign(runs=begun["runs"].max()), [*by, "seed"])
    for _, own in table.groupby("method"):
        table.loc[own.index, "on_front"] = pareto_front(own[["new_mean", "old_mean"]].to_numpy())
    without = table.groupby("method")["strength"].transform(lambda strengths: strengths.eq(0).all()).astype(bool)
    return table.astype({"on_front": bool}).assign(strength=table["strength"].mask(without))
