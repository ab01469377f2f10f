"""Lines of seeds and their means: over the steps of training, along a sequence of tasks, and over a setting."""

from __future__ import annotations

import dataclasses
import textwrap
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter

from ebll.errors import InputError, check_choice

from . import tables, words
from .figure import describe, legend_beside, new_figure
from .style import INK, METHODS, PALE, SOFT, TERMS, Style, drawing, ordered, styles
from .tables import Names

LOSSES = {f"loss_{term}": style for term, style in TERMS.items()}
LOSSES["loss_distill"] = dataclasses.replace(TERMS["distill"], label="distillation,\nabove its floor")
USUAL = ("finetune", "lwf", "ebll")


class Panel(NamedTuple):
    """Lines to draw into one panel: a row per `by`, x and seed (value, mean); one without x is a level line."""

    ylabel: str
    table: pd.DataFrame
    styles: Mapping[str, Style]
    by: str = "method"
    heading: str = ""


def line_figure(
    panels: list[Panel], x: str, table: pd.DataFrame, title: str, note: str, xlabel: str,
    heights: float | list[float] = 2.1,
) -> tuple[Figure, list[Axes]]:  # fmt: skip
    """Return a finished Figure of panels one above the other.

    What neighbours share is printed once: a legend stands where styles differ from those above, a name of the vertical
    axis at the middle one of its panels.
    """
    figure, axes = new_figure(table, title, note, [panel.heading for panel in panels], heights, sharex=True)
    labels, above = [panel.ylabel for panel in panels], None
    for place, (one, panel) in enumerate(zip(axes, panels, strict=True)):
        draw_lines(one, panel, x)
        middle = labels.index(panel.ylabel) + labels.count(panel.ylabel) // 2
        one.set_ylabel(panel.ylabel if place == middle else "")
        if panel.styles != above:
            legend_beside(one, panel.styles.values())
        above = panel.styles
        describe(figure, in_words(panel, x))
    axes[-1].set_xlabel(textwrap.fill(xlabel, 85))
    return figure, axes


def draw_lines(axes: Axes, panel: Panel, x: str) -> None:
    """Draw seeds as thin pale lines, and means as strong ones with markers at all values, or a few of many."""
    few = None if panel.table[x].nunique() < 20 else 0.13
    for name, style in panel.styles.items():
        rows, look = panel.table[panel.table[panel.by] == name], {"color": style.color, "linestyle": style.line}
        for level in rows.loc[rows[x].isna(), "mean"]:
            axes.axhline(level, **look, linewidth=1.3, zorder=1.5)
        for _, seed in rows.groupby("seed"):
            axes.plot(seed[x], seed["value"], color=style.color, **PALE)
        means = rows.drop_duplicates(x)
        axes.plot(means[x], means["mean"], **look, marker=style.marker, markevery=few)
    (low, high), values = axes.get_ylim(), panel.table["value"]  # no margin leads below 0 or above 100 %
    low = low if (values < 0).any() else max(low, 0)
    axes.set_ylim(low, min(high, 100) if "%" in panel.ylabel and not (values > 100).any() else high)
    axes.margins(x=0.02)


def in_words(panel: Panel, x: str) -> str:
    """Return the course of each line."""
    told = []
    for name, style in panel.styles.items():
        means = panel.table[panel.table[panel.by] == name].drop_duplicates(x).set_index(x)["mean"]
        line, levels = means[means.index.notna()], means[means.index.isna()]
        told += [f"{style.label} {words.course(line)}"] if len(line) else []
        told += [f"{style.label}, level: {words.number(level)}" for level in levels]
    return " ".join(f"{panel.heading} {panel.ylabel} over {x}: {'; '.join(told)}".split())


def _panels(table: pd.DataFrame, labels: Mapping[str, str], looks: Mapping[str, Style], by: str = "method") -> list:
    """Return a panel for each quantity in `table`, with the styles of the lines that it has."""
    parts = {textwrap.fill(labels[quantity], 22): part for quantity, part in table.groupby("quantity", sort=False)}
    own = [{name: look for name, look in looks.items() if name in set(part[by])} for part in parts.values()]
    return [Panel(label, part, look, by) for (label, part), look in zip(parts.items(), own, strict=True)]


def _log_upwards(axes: Axes) -> None:
    """Make the vertical axis logarithmic, with plain numbers at its ticks; what is not above 0 is not drawn."""
    axes.set_yscale("log", nonpositive="mask")
    axes.yaxis.set_major_formatter("{x:,.10g}")
    axes.yaxis.set_minor_formatter(LogFormatter())


def steps_of(curves, sequence, quantities, what, methods=None, training=None, task=None, warm_up=False) -> tuple:
    """Return a row per quantity, method, seed and step with its `value`, of one old task while a new one is learned.

    With it come the names of the new task, of the old one and of the network. Empty values are left out, and those of a
    run that diverged. `what` is the first quantity in words; there must be some of it. Steps of the warm-up are
    negative.
    """
    key = ("sequence", "method", "seed", "training", "stage", "step", "task")
    needed = [q for q in quantities if q not in [*LOSSES][1:]]  # methods without a term may lack its column
    rows = tables.check(curves, "curves", (*tables.CURVES, *needed), key)
    rows = tables.of_sequence(rows, sequence)
    rows = rows[rows["task"].notna() & (rows["task"] != "")]  # while the first task is learned there is no old one
    if rows.empty:
        raise InputError("The curves table is about a first task only: there is no old task whose features could move.")
    old_tasks = rows.groupby("training", sort=False)["task"].nunique()
    training = old_tasks.idxmin() if training is None else check_choice(training, old_tasks.index, "training")
    rows = rows[rows["training"] == training]
    task = rows["task"].iloc[0] if task is None else check_choice(task, rows["task"].unique(), "old task")
    rows, net = rows[rows["task"] == task], tables.net_words(rows)
    trained, before = rows[rows["stage"] == "train"], rows[rows["stage"] != "train"]
    if trained.empty:
        raise InputError(f"The curves table has no rows of stage 'train' for {training}.")
    if len(before) and before["step"].max() >= 0:  # it counts from 0: its last step becomes -1
        before = before.assign(step=before["step"] - before["step"].max() - 1)
    rows = tables.of_methods(pd.concat([before, trained]) if warm_up else trained, methods)
    names = words.listed(ordered(rows["method"]))
    present = [q for q in quantities if q in rows]
    rows = rows.melt(["method", "seed", "step"], present, "quantity", "value").astype({"value": float})
    rows = rows[np.isfinite(rows["value"])]
    if next(iter(quantities)) not in set(rows["quantity"]):
        raise InputError(f"The curves table holds no {what} for {names}: all are empty.")
    return rows, training, task, net


def over_steps(rows: pd.DataFrame) -> pd.DataFrame:
    """Return a row per seed, with the means over the seeds; distillation counts from its value at a seed's first step.

    Nothing has moved there, so that value is the least that E3 can be, the entropy of the recorded answers. Later
    batches have entropies of their own: a small remainder is noise and may be negative.
    """
    distill = rows[rows["quantity"] == "loss_distill"].sort_values("step")
    floor = distill.groupby(["method", "seed"])["value"].transform("first").reindex(rows.index, fill_value=0)
    rows, quantities = rows.assign(value=rows["value"] - floor), rows["quantity"].unique()
    return tables.by_seed(rows, ["quantity", "method", "step"], "value", quantity=quantities)


def _usual(names: list[str]) -> list[str]:
    return [name for name in USUAL if name in names] or names[:3]


@drawing()
def feature_distance(
    curves: pd.DataFrame, sequence: str | None = None, *, methods: Names = None, panels: Iterable[str] | None = None,
    **which: object,
) -> Figure:  # fmt: skip
    """Draw how far the features of an old task move while a new one is learned: the paper's curve.

    panels  methods whose weighted loss terms are drawn below, on the same steps (default: finetune, lwf, ebll)
    which   `training`: the task being learned (default: the first one that has an old task); `task`: the old task that
            is measured, on its held-out inputs (default: the first); `warm_up=True`: also show the warm-up, when only
            the new head learns, at negative steps
    table: a row per seed: quantity, method, step, seed, value, mean, seeds; `quantity` is feature_distance,
    feature_norm (first and last step) or a weighted loss term as in `loss_terms` (methods in `panels`)
    """
    quantities = ["feature_distance", "feature_norm", *LOSSES]
    rows, training, task, net = steps_of(curves, sequence, quantities, "feature distance", methods, **which)
    names, steps = ordered(rows["method"]), rows.groupby("method")["step"]
    below = _usual(names) if panels is None else [check_choice(panel, names, "panel") for panel in panels]
    within = (rows["step"] > steps.transform("min")) & (rows["step"] < steps.transform("max"))
    hidden = (rows["quantity"] == "feature_norm") & within
    table = over_steps(rows[~hidden & (rows["method"].isin(below) | ~rows["quantity"].isin(LOSSES))])
    distance, norm = (table[table["quantity"] == f"feature_{what}"] for what in ("distance", "norm"))
    looks, losses = styles(distance["method"]), _loss_panels(table)
    title = f"How far the features of {task} move while {training} is learned ({net})"
    note = f"Held-out inputs of {task}" + (f" (top), batches of {training} (below)" if losses else "")
    shown = [Panel("feature distance\n‖F(x) − F*(x)‖", distance, looks), *losses]
    heights = [2.6] + [1.2] * len(losses)
    figure, axes = line_figure(shown, "step", table, title, note, "optimiser step", heights)
    _share_scale(axes[1:], losses)
    return describe(figure, in_words(Panel("mean feature norm", norm, looks), "step") if len(norm) else "")


@drawing()
def loss_terms(curves: pd.DataFrame, sequence: str | None = None, methods: Names = None, **which: object) -> Figure:
    """Draw the weighted terms of a method's loss over the steps, a panel a method (default: finetune, lwf, ebll).

    Distillation is drawn above its value before the first step. The scale is linear up to 0.1 nats, then logarithmic.
    which  training, task, warm_up as in `feature_distance`
    table: a row per seed: quantity (a weighted loss term), method, step, seed, value, mean, seeds
    """
    rows, training, _, net = steps_of(curves, sequence, LOSSES, "loss terms", methods, **which)
    table = over_steps(rows if methods else rows[rows["method"].isin(_usual(ordered(rows["method"])))])
    losses, title = _loss_panels(table), f"Loss terms in competition while {training} is learned ({net})"
    note, height = "Training batches; each term with its weight", 1.6 if len(losses) > 1 else 2.8
    figure, axes = line_figure(losses, "step", table, title, note, "optimiser step", height)
    _share_scale(axes, losses)
    return figure


def _loss_panels(table: pd.DataFrame) -> list[Panel]:
    rows = table[table["quantity"].isin(LOSSES)]
    terms = {loss: style for loss, style in LOSSES.items() if (rows["quantity"] == loss).any()}
    return [
        Panel("weighted\nloss, nats", rows[rows["method"] == name], terms, "quantity", style.label)
        for name, style in styles(rows["method"]).items()
    ]


def _share_scale(axes: list[Axes], panels: list[Panel]) -> None:
    """Give panels of loss terms one vertical scale: linear where noise of batches is large, and logarithmic above."""
    values = [value for panel in panels for value in panel.table["value"]]
    for one in axes:
        one.set_yscale("symlog", linthresh=0.1)
        one.yaxis.set_major_formatter("{x:g}")
        one.set_ylim(1.1 * min(0, *values), 1.2 * max(values))
        one.axhline(0, color=SOFT, linewidth=0.8, zorder=1)


@drawing()
def accuracy_over_steps(
    curves: pd.DataFrame, sequence: str | None = None, methods: Names = None, **which: object
) -> Figure:
    """Draw accuracy on an old task (above) and on the new one (below) while the new one is learned, in percent.

    which  training, task, warm_up as in `feature_distance`
    table: a row per seed: quantity (accuracy, of the old task, or accuracy_new), method, step, seed, value, mean, seeds
    """
    quantities = ("accuracy", "accuracy_new")
    rows, training, task, net = steps_of(curves, sequence, quantities, "accuracy on an old task", methods, **which)
    for quantity, values in rows.groupby("quantity")["value"]:
        tables.check_fractions(values, f"The column {quantity} of the curves table")
    table = over_steps(rows.assign(value=100 * rows["value"]))
    labels = {"accuracy": f"accuracy on {task} (old task), %", "accuracy_new": f"accuracy on {training} (new task), %"}
    note = "Held-out inputs" + ("; before step 0 only the new head learns" if table["step"].min() < 0 else "")
    panels, title = _panels(table, labels, styles(table["method"])), f"Accuracy while {training} is learned ({net})"
    return line_figure(panels, "step", table, title, note, "optimiser step")[0]


@drawing()
def average_along_sequence(accuracy: pd.DataFrame, sequence: str | None = None, methods: Names = None) -> Figure:
    """Draw, after each learned task, the average accuracy on the tasks so far and, below, that on the first task.

    A run counts at a place only where all its tasks so far were measured. For 'single-task' each network stays as it
    is.
    table: in percent, a row per seed: quantity ('average' over the tasks learned so far, or 'first', accuracy on the
    first task), method, learned (how many tasks), seed, value, mean, seeds
    """
    rows, tasks, named = tables.one_sequence(accuracy, sequence, methods)
    parts = []
    if len(tasks) < 2:
        raise InputError(f"There is no way along a sequence of one task ({tasks[0]}). Choose a longer sequence.")
    for count, newest in enumerate(tasks, 1):
        now = rows[(rows["after"] == newest) | (rows["method"] == "single-task")]
        now = now.pivot(index=["method", "seed"], columns="task", values="percent")
        now = now.reindex(columns=tasks[:count]).dropna()
        facts = {"average": now.mean(axis=1), "first": now[tasks[0]], "learned": count}
        parts.append(pd.DataFrame(facts).reset_index())
    labels = {"average": "average accuracy on tasks so far, %", "first": f"accuracy on {tasks[0]} (first task), %"}
    figure = over_setting(
        pd.concat(parts), "learned", labels, by="method", xlabel="tasks learned so far, with the newest one's name",
        title=f"Accuracy along the sequence {named}", log=False, caption="Test data; tasks differ in difficulty",
    )  # fmt: skip
    ticks = [f"{i}\n{textwrap.fill(task, max(60 // len(tasks), 6))}" for i, task in enumerate(tasks, 1)]
    figure.axes[-1].set_xticks(range(1, len(tasks) + 1), ticks)
    return figure


@drawing()
def over_setting(
    table: pd.DataFrame, x: str, ys: Mapping[str, str], *, by: str = "kind", xlabel: str, title: str,
    references: Mapping[str, Mapping[str, float | Mapping]] | None = None, log: bool = True, log_y: bool = False,
    caption: str = "",
) -> Figure:  # fmt: skip
    """Draw quantities over a setting, such as accuracy over code size: a panel each, one above the other.

    table       a row per setting, kind and seed, with columns `x`, `by`, `seed` and those in `ys`; the seed is None for
                what is computed without one, or is a mean
    ys          for each column its axis label, with the unit: {"accuracy": "accuracy, %", "share": "share missed"}
    by          column that tells lines apart; their styles are those of `styles`, numbers count as a setting's values
    references  lines to compare with: {"joint": {"accuracy": 91.2}} a level, {"1 / x": {"share": {1: 1.0, 8: 0.125}}}
                through points; a method's name keeps its style
    log, log_y  logarithmic axes; across, 0 stands left of a break in the axis, upwards all values must be above 0
    caption     what else to say below, such as which data

    Its table: a row per seed: quantity (of `ys`), `by`, `x`, seed, value, mean, seeds; a reference has a mean alone.
    """
    references = references or {}
    drawn = _over_setting(table, x, ys, by, references)
    if log_y and not (drawn["mean"] > 0).all():
        raise InputError(f"log_y takes values above 0; the smallest given is {drawn['mean'].min():g}.")
    looks = styles(drawn.loc[drawn["value"].notna(), by])
    for place, name in enumerate(references):
        grey = Style(name, SOFT, (0, (1 + 3 * place, 2)))
        looks.setdefault(name, dataclasses.replace(METHODS.get(name, grey), marker=""))
    height = 2.6 if len(ys) == 1 else 2.0
    figure, axes = line_figure(_panels(drawn, ys, looks, by), x, drawn, title, caption, xlabel, height)
    _scale(axes, drawn[x].dropna().unique(), log)
    for one in axes if log_y else ():
        _log_upwards(one)
        one.autoscale(axis="y")
    return figure


def _over_setting(
    table: pd.DataFrame, x: str, ys: Mapping[str, str], by: str, references: Mapping[str, Mapping[str, float | Mapping]]
) -> pd.DataFrame:
    """Return the table that `over_setting` draws."""
    if not ys:
        raise InputError("ys must name at least one column with its label, such as {'accuracy': 'accuracy, %'}.")
    table = tables.check(table, "given", (x, by, "seed", *ys), (x, by, "seed"))
    if not np.isfinite(table[x].astype(float)).all():
        raise InputError(f"The given table must have a finite number in the column {x} in every row.")
    numeric = pd.api.types.is_numeric_dtype(table[by])
    table = table.assign(**{by: table[by].map("{:g}".format if numeric else str)})
    rows = table.melt([by, x, "seed"], list(ys), "quantity", "value").astype({"value": float})
    rows = rows[np.isfinite(rows["value"])]  # a run that diverged has none
    if empty := [y for y in ys if y not in set(rows["quantity"])]:
        raise InputError(f"The given table holds no {words.listed(empty)}: all values are empty.")
    parts = [tables.by_seed(rows, ["quantity", by, x], "value", quantity=ys, **{by: ordered(rows[by])})]
    for label, at in references.items():
        for column, values in at.items():
            check_choice(column, ys, f"reference {label!r}, column")
            line = values if isinstance(values, Mapping) else {np.nan: values}
            parts.append(pd.DataFrame({"quantity": column, by: label, x: [*line], "mean": [*line.values()]}))
    made = pd.concat(parts, ignore_index=True).astype({"seeds": "Int64"})
    return tables.in_order(made, ["quantity"], quantity=ys)


def _scale(axes: list[Axes], values: np.ndarray, log: bool) -> None:
    """Set a linear or logarithmic axis with ticks at the values, where these are far enough apart for their names."""
    values, lowest = np.sort(values.astype(float)), axes[-1]
    if log and (values > 0).any():  # linear from 0 to the smallest value above it, so that 0 has a place
        above = values[values > 0][0]
        lowest.set_xscale("symlog", linthresh=above, linscale=0.5)
        for one in axes if values[0] == 0 else ():
            _break(one, 0.5 * above)
    lowest.margins(x=0.03)
    lowest.autoscale(axis="x")
    lowest.xaxis.set_major_formatter("{x:g}")
    places, shown = lowest.xaxis.get_transform().transform(values), [0]
    for i, place in enumerate(places):
        shown += [i] if place - places[shown[-1]] > 0.02 * np.ptp(places) * len(f"{values[i]:g}") else []
    if log or len(shown) == len(values):
        lowest.set_xticks(values[shown])
        lowest.xaxis.minorticks_off()


def _break(axes: Axes, place: float) -> None:
    """Break the horizontal axis at a place: two small slashes and nothing between them."""
    slash = {"marker": [(-1, -2), (1, 2)], "markersize": 9, "markeredgecolor": INK, "markeredgewidth": 1}
    ends, across = [0.85 * place, 1.15 * place], axes.get_xaxis_transform()
    axes.plot(ends, [0, 0], color="white", linewidth=3, zorder=4, clip_on=False, transform=across, **slash)
