"""Plots of the accuracy table: the matrix, and forgetting as bars or over the gap between domains."""

from __future__ import annotations

import dataclasses
import textwrap
from collections.abc import Iterable, Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ebll.errors import InputError

from . import tables, words
from .figure import describe, label, legend_beside, new_figure, t_interval
from .style import INK, METHODS, SOFT, Style, drawing, styles
from .tables import Names


def accuracy_matrix_table(accuracy: pd.DataFrame, sequence: str | None = None, methods: Names = None) -> pd.DataFrame:
    """Return what `accuracy_matrix` draws, in percent: method, after, task, mean, low, high, seeds."""
    rows, by = tables.of_sequence(tables.check_accuracy(accuracy), sequence), ["method", "after", "task"]
    tasks, title = tables.task_order(rows), tables.sequence_words(rows)
    table = tables.intervals(tables.of_methods(rows, methods), by, "percent", after=tasks, task=tasks)
    table.attrs = {"title": title, "tasks": tasks}
    return table


@drawing()
def accuracy_matrix(accuracy: pd.DataFrame, sequence: str | None = None, methods: Names = None) -> Figure:
    """Draw accuracy in percent after each learned task (rows) on each task so far (columns), a heat map per method.

    Below the mean stands the half-width of the interval. 'One network per task' has its diagonal only.
    """
    import seaborn

    table = accuracy_matrix_table(accuracy, sequence, methods)
    tasks, names = table.attrs["tasks"], styles(table["method"])
    title = f"Accuracy after each task: {table.attrs['title']}"
    note = "Test data; rows: just learned; columns: measured, in the same order."
    columns = min(len(names), max(15 // len(tasks), 1), 3)  # a cell is wide enough for its numbers
    headings, layout = [style.label for style in names.values()], {"columns": columns, "sharex": True, "sharey": True}
    figure, axes = new_figure(table, title, note, headings, len(tasks) * 0.42 + 0.3, **layout)
    half = (table["high"] - table["mean"]).map("\n±{:.1f}".format).where(table["high"].notna(), "")
    cells = table.assign(text=table["mean"].map("{:.1f}".format) + half)
    cells = cells.pivot(index=["method", "after"], columns="task", values=["mean", "text"])
    shared = {"vmin": 10 * (table["mean"].min() // 10), "vmax": 100, "cbar": False, "fmt": "", "linewidths": 1}
    shared |= {"cmap": seaborn.light_palette("#2f94d1", as_cmap=True), "annot_kws": {"color": "black", "size": 9}}
    shared |= {
        "xticklabels": range(1, len(tasks) + 1),
        "yticklabels": [f"{i} {task}" for i, task in enumerate(tasks, 1)],
    }
    text = []
    for one, (name, style) in zip(axes, names.items(), strict=True):
        means, notes = (cells.loc[name][what].reindex(index=tasks, columns=tasks) for what in ("mean", "text"))
        seaborn.heatmap(means.astype(float), annot=notes, ax=one, **shared)
        one.set(xlabel="", ylabel="")
        one.grid(visible=False)
        one.tick_params("y", rotation=0)
        ends = means.loc[tasks[-1]].iloc[:-1].dropna().map(", at the end {:.1f}".format)
        told = [f"{task} {words.percent(means.at[task, task])}{ends.get(task, '')}" for task in tasks]
        text.append(f"{style.label}: {'; '.join(told)}")
    return describe(figure, *text)


def forgetting_table(accuracy: pd.DataFrame, sequences: Names = None, methods: Names = None) -> pd.DataFrame:
    """Return what `forgetting_bars` draws, a row per seed: sequence, method, seed, value, mean, low, high, seeds.

    `value` is the forgetting of that seed, mean and interval are over seeds; all in percentage points.
    """
    rows = tables.outcomes(accuracy, sequences)
    table = tables.with_intervals(tables.of_methods(rows, methods), "forgetting")
    if table.empty:
        raise InputError(
            "There is no forgetting to draw: no method was measured both just after a task and at the end."
        )
    return tables.titled(tables.in_order(table, ["sequence", "method"], sequence=rows["sequence"].unique()), rows)


@drawing()
def forgetting_bars(
    accuracy: pd.DataFrame, sequences: Names = None, methods: Names = None, *, ax: Axes | None = None
) -> Figure:
    """Draw the forgetting of the old tasks: one panel per sequence, one bar per method, in percentage points.

    Forgetting is the best accuracy before the last task minus accuracy at the end, mean over the old tasks; below zero
    a task has gained. Dots are seeds.
    """
    import seaborn

    table = forgetting_table(accuracy, sequences, methods)
    names, titles = styles(table["method"]), table.attrs["titles"]
    columns = {1: 1, 2: 2, 4: 2}.get(len(titles), 3)
    title, note = "Forgetting of the old tasks", "Dots: seeds; test data; best accuracy so far minus at the end."
    layout = {"columns": columns, "ax": ax, "sharex": True, "sharey": True}
    figure, axes = new_figure(table, title, note, list(titles.values()), 0.28 * len(names) + 0.5, **layout)
    palette = {name: style.color for name, style in names.items()}
    text = []
    for one, (sequence, heading) in zip(axes, titles.items(), strict=True):
        rows = table[table["sequence"] == sequence]
        shared = {"x": "value", "y": "method", "order": list(names), "legend": False, "ax": one}
        bars = {"hue": "method", "palette": palette, "alpha": 0.5, "err_kws": {"color": INK, "linewidth": 1.4}}
        seaborn.barplot(rows, **shared, **bars, errorbar=t_interval)
        dots = {"hue": "seed", "palette": [INK] * rows["seed"].nunique(), "dodge": True, "jitter": False, "size": 3}
        seaborn.stripplot(rows, **shared, **dots)
        one.set_yticks(range(len(names)), [textwrap.fill(style.label, 18) for style in names.values()])
        one.axvline(0, color=SOFT, linewidth=0.8)
        one.grid(visible=False, axis="y")
        text.append(f"{heading}, percentage points: {_means_words(rows, names)}")
    label(axes, columns, "forgetting, points", "")
    return describe(figure, *text)


def _means_words(table: pd.DataFrame, names: Mapping[str, Style]) -> str:
    """Return each method's mean and interval."""
    rows = table.drop_duplicates("method").itertuples()
    return words.listed(f"{names[m.method].label} {words.with_interval(m.mean, m.low, m.high)}" for m in rows)


def forgetting_by_gap_table(accuracy: pd.DataFrame, order: Iterable[str] | Mapping[str, str]) -> pd.DataFrame:
    """Return what `forgetting_by_gap` draws, a row per seed, in percentage points.

    panel         'forgetting', or 'gain': old-task accuracy at the end of EBLL minus that of LwF, same seed
    place         0 for the nearest pair, then 1, 2, ...
    sequence, method, seed, value; mean, low, high (over seeds); seeds
    """
    sequences = list(order.values() if isinstance(order, Mapping) else order)
    if len(set(sequences)) != len(sequences):
        raise InputError(f"order: each sequence has one place from near to far; got {', '.join(sequences)}.")
    rows = tables.outcomes(accuracy, sequences)
    tables.chosen(rows, ["ebll", "lwf"])  # both must be there
    old = rows.pivot(index=["sequence", "seed"], columns="method", values="old")
    gain = (old["ebll"] - old["lwf"]).rename("gain").reset_index().assign(method="ebll minus lwf")
    lost = tables.with_intervals(rows[rows["method"].isin(["finetune", "lwf", "ebll"])], "forgetting")
    gain = tables.with_intervals(gain, "gain")
    table = pd.concat([lost.assign(panel="forgetting"), gain.assign(panel="gain")], ignore_index=True)
    table = table.assign(place=table["sequence"].map(sequences.index))[["panel", "place", *gain.columns]]
    return tables.titled(table, rows)


@drawing()
def forgetting_by_gap(accuracy: pd.DataFrame, order: Iterable[str] | Mapping[str, str]) -> Figure:
    """Draw forgetting of fine-tuning, LwF and EBLL from the nearest to the farthest pair of tasks; below, EBLL's gain.

    order   ids of the sequences from near to far, or a dict from a word to an id: {"near": "mlp:letters-mnist"}

    The gain is EBLL's accuracy on old tasks at the end minus LwF's, seed by seed. Dots are seeds (below: one difference
    each). Lines between pairs lead the eye: there is nothing in between.
    """
    table = forgetting_by_gap_table(accuracy, order)
    titles, panels = table.attrs["titles"], dict(list(table.groupby("panel")))
    names = styles(panels["forgetting"]["method"])
    pair = {"ebll minus lwf": dataclasses.replace(METHODS["ebll"], label="EBLL minus LwF")}
    title = "Forgetting from the nearest to the farthest pair of tasks"
    note = "Dots: seeds (below: the same seed with both methods); test data."
    figure, (above, below) = new_figure(table, title, note, ["", ""], [2.5, 1.7], sharex=True)
    _draw_pairs(above, panels["forgetting"], names)
    _draw_pairs(below, panels["gain"], pair)
    above.set(xlabel="", ylabel="forgetting, points")
    below.set(xlabel="pair of tasks, from near (left) to far (right)", ylabel="EBLL minus LwF,\nold tasks, points")
    legend_beside(above, names.values())
    lead = [f"{word}\n" for word in order] if isinstance(order, Mapping) else [""] * len(titles)
    ticks = [a + textwrap.fill(b, max(12, 72 // len(titles))) for a, b in zip(lead, titles.values(), strict=True)]
    below.set_xticks(range(len(ticks)), ticks)
    text = []
    for sequence, heading in titles.items():
        means = [_means_words(part, names | pair) for _, part in table[table["sequence"] == sequence].groupby("panel")]
        text.append(f"{heading}: forgetting {'; '.join(means)}")
    return describe(figure, *text)


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
