"""Lines with bands: what plots of them share, accuracy along a sequence, and any quantity over a setting."""

from __future__ import annotations

import dataclasses
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter

from ebll.errors import InputError, check_choice, check_number

from . import tables, words
from .figure import finish, legend_beside, new_figure
from .style import BAND, METHODS, SOFT, Style, drawing, ordered, styles
from .tables import Names


@dataclass
class Panel:
    """What one panel shows: `table` (a row for each `by` and x: mean, low, high), with a style for each value of `by`.

    A row without x is a level line. Below `bottom` there is nothing, whatever an interval says.
    """

    label: str
    table: pd.DataFrame
    styles: Mapping[str, Style]
    by: str = "method"
    title: str = ""
    height: float = 2.2  # inches; 0 for what is told in words only
    bottom: float = 0.0

    def draw(self, axes: Axes, x: str) -> None:
        """Draw means as lines, and their intervals as bands; markers at all values, or a few of many."""
        few = None if self.table[x].nunique() < 20 else 0.13
        for name, style in self.styles.items():
            rows = self.table[self.table[self.by] == name]
            for level in rows.loc[rows[x].isna(), "mean"]:
                axes.axhline(level, color=style.color, linestyle=style.line, linewidth=1.3, zorder=1.5)
            rows, look = rows[rows[x].notna()], {"color": style.color, "linestyle": style.line, "marker": style.marker}
            look |= {"markersize": 6.5, "markeredgewidth": 0.4, "markeredgecolor": "white", "markevery": few}
            axes.plot(rows[x], rows["mean"], **look)
            axes.fill_between(rows[x], rows["low"], rows["high"], color=style.color, alpha=BAND, linewidth=0)
        axes.margins(x=0.01)
        low, high = axes.get_ylim()
        axes.set_ylim(max(low, self.bottom), min(high, 100) if "%" in self.label else high)
        axes.set(ylabel=self.label)

    def words(self, x: str) -> str:
        """Return the course of each line; nothing where there is no line."""
        told = []
        for name, style in self.styles.items():
            means = self.table[self.table[self.by] == name].set_index(x)["mean"]
            line, levels = means[means.index.notna()], means[means.index.isna()]
            told += [f"{style.label} {words.course(line)}"] if len(line) else []
            told += [f"{style.label}, level: {words.number(level)}" for level in levels]
        return " ".join(f"{self.title} {self.label} over {x}: {'; '.join(told)}".split()) if told else ""


def line_figure(
    panels: list[Panel], x: str, table: pd.DataFrame, title: str, caption: str, xlabel: str, ax: Axes | None = None
) -> tuple[Figure, list[Axes]]:
    """Return a finished Figure of panels one above the other; a legend stands where styles differ from those above."""
    drawn, above = [panel for panel in panels if panel.height], None
    headings, heights = [panel.title for panel in drawn], [panel.height for panel in drawn]
    figure, axes = new_figure(title, caption, headings, heights, ax=ax, sharex=True)
    for one, panel in zip(axes, drawn, strict=True):
        panel.draw(one, x)
        if panel.styles != above:
            legend_beside(one, panel.styles.values())
        above = panel.styles
    axes[-1].set_xlabel(xlabel)
    return finish(figure, table, title, *(panel.words(x) for panel in panels), caption), axes


def average_along_sequence_table(
    accuracy: pd.DataFrame, sequence: str | None = None, methods: Names = None
) -> pd.DataFrame:
    """Return what `average_along_sequence` draws, in percent: quantity, method, learned, task, mean, low, high, seeds.

    quantity  'average' (over the tasks learned so far) or 'first' (accuracy on the first task)
    learned   how many tasks have been learned; `task` is the newest of them

    A run counts at a place only where all its tasks so far were measured. For 'alone' each network stays as it is.
    """
    rows = tables.of_sequence(tables.check_accuracy(accuracy), sequence)
    tasks, names, parts = tables.task_order(rows), tables.chosen(rows, methods), []
    if len(tasks) < 2:
        raise InputError(f"There is no way along a sequence of one task ({tasks[0]}). Choose a longer sequence.")
    rows = rows[rows["method"].isin(names) & rows["percent"].notna()]
    for count, newest in enumerate(tasks, 1):
        now = rows[rows["task"].isin(tasks[:count]) & ((rows["after"] == newest) | (rows["method"] == "alone"))]
        runs = now.groupby(["method", "seed"], sort=False)["percent"].agg(average="mean", count="size")
        runs["first"] = now[now["task"] == tasks[0]].set_index(["method", "seed"])["percent"]
        parts.append(runs[runs["count"] == count].reset_index().assign(learned=count, task=newest))
    runs = pd.concat(parts).melt(["method", "seed", "learned", "task"], ["average", "first"], "quantity", "value")
    if runs.empty:
        raise InputError(f"No run of {words.listed(names)} was measured on all of its tasks so far: nothing to draw.")
    table = tables.intervals(runs, ["quantity", "method", "learned", "task"])
    return tables.in_order(table, ["quantity", "method", "learned"])


@drawing()
def average_along_sequence(accuracy: pd.DataFrame, sequence: str | None = None, methods: Names = None) -> Figure:
    """Draw, after each learned task, the average accuracy on the tasks so far and, below, that on the first task."""
    table = average_along_sequence_table(accuracy, sequence, methods)
    rows = tables.of_sequence(tables.check_accuracy(accuracy), sequence)
    tasks, names = tables.task_order(rows), styles(table["method"])
    first = words.shortened(tasks[0], 12)
    about = {"average": "average accuracy on\ntasks so far, %", "first": f"accuracy on {first}\n(first task), %"}
    shown = [Panel(about[quantity], own, names) for quantity, own in table.groupby("quantity")]
    title = f"Accuracy along the sequence {tables.sequence_words(rows)}"
    caption = f"{words.seeds_words(table['seeds'])}; test data; tasks differ in difficulty: compare at one place."
    xlabel = "tasks learned so far, with the newest one's name"
    figure, axes = line_figure(shown, "learned", table, title, caption, xlabel)
    ticks = [f"{i}\n{words.shortened(task, min(60 // len(tasks), 16))}" for i, task in enumerate(tasks, 1)]
    axes[-1].set_xticks(range(1, len(tasks) + 1), ticks)
    return figure


def over_setting_table(
    table: pd.DataFrame, x: str, ys: Mapping[str, str], *, by: str = "kind",
    references: Mapping[str, Mapping[str, float]] | None = None,
) -> pd.DataFrame:  # fmt: skip
    """Return what `over_setting` draws: quantity (a column in `ys`), `by`, `x`, mean, low, high, seeds.

    A reference is a row without a value of `x`, interval and seeds.
    """
    if not isinstance(ys, Mapping) or not ys:
        raise InputError(
            "ys must map at least one column to the label of its axis, such as {'accuracy': 'accuracy, %'}."
        )
    table = tables.check(table, "given", (x, by, "seed", *ys), (x, by, "seed"), (x, *ys))
    if not np.isfinite(table[x].astype(float)).all():
        raise InputError(f"The given table must have a finite number in the column {x} in every row.")
    kinds = list(table[by].unique())
    numeric = all(isinstance(kind, Real) for kind in kinds)
    names = {kind: f"{kind:g}" if isinstance(kind, Real) else str(kind) for kind in kinds}
    rows = table.assign(**{by: table[by].map(names)}).melt([by, x, "seed"], list(ys), "quantity", "value")
    rows = tables.finite(rows)
    for y in ys:
        if y not in set(rows["quantity"]):
            raise InputError(f"The given table holds no {y}: all of its values are empty.")
    order = [names[kind] for kind in sorted(kinds)] if numeric else ordered(names.values())
    parts = [tables.in_order(tables.intervals(rows, ["quantity", by, x]), [by, x], **{by: order})]
    for label, at in (references or {}).items():
        if not isinstance(at, Mapping):
            example = f"{{{next(iter(ys))!r}: 90.0}}"
            raise InputError(f"references: {label!r} must map a column to its level, such as {example}.")
        for column, level in at.items():
            check_choice(column, ys, f"reference {label!r}, column")
            check_number(level, f"reference {label!r}, {column}", low=-np.inf)
        parts.append(pd.DataFrame({"quantity": list(at), by: label, "mean": list(at.values())}))
    made = pd.concat(parts, ignore_index=True).astype({"seeds": "Int64"})
    return tables.in_order(made, ["quantity"], quantity=ys)


@drawing()
def over_setting(
    table: pd.DataFrame, x: str, ys: Mapping[str, str], *, by: str = "kind", xlabel: str, title: str,
    references: Mapping[str, Mapping[str, float]] | None = None, log: bool = True, log_y: bool = False,
    caption: str = "", ax: Axes | None = None,
) -> Figure:  # fmt: skip
    """Draw quantities over a setting, such as accuracy over code size: a panel each, one above the other.

    table       a row per setting, kind and seed, with columns `x`, `by`, `seed` and those in `ys`
    ys          for each column its axis label, with the unit: {"accuracy": "accuracy, %", "share": "share missed"}
    by          column that tells lines apart; methods keep their styles, anything else gets a spare one
    references  level lines: {"joint": {"accuracy": 91.2}}; a method's name keeps its style
    log, log_y  logarithmic axes; across, 0 has a place left of the others, upwards all values must be above 0
    caption     what else to say below, such as which data
    """
    drawn = over_setting_table(table, x, ys, by=by, references=references)
    if log_y and not (drawn["mean"] > 0).all():
        raise InputError(f"log_y takes values above 0; the smallest given is {drawn['mean'].min():g}.")
    kinds = drawn.loc[drawn[x].notna(), by].unique()
    looks = {kind: styles(kinds)[kind] for kind in kinds}
    for place, name in enumerate(references or {}):
        grey = Style(name, SOFT, (0, (1 + 3 * place, 2)))
        looks.setdefault(name, dataclasses.replace(METHODS.get(name, grey), marker=""))
    height, shown = 2.6 if len(ys) == 1 else 2.0, []
    for y, label in ys.items():
        label = label if "\n" in label else textwrap.fill(label, int(11 * height))
        bottom = 0.0 if table[y].min() >= 0 else -np.inf
        shown.append(Panel(label, drawn[drawn["quantity"] == y], looks, by, height=height, bottom=bottom))
    below = words.sentences(words.seeds_words(drawn["seeds"].dropna()), caption)
    figure, axes = line_figure(shown, x, drawn, title, below, xlabel, ax)
    for one in axes:
        _scale(one, drawn[x].dropna().unique(), log)
        if log_y:
            one.set_yscale("log")
            one.yaxis.set_major_formatter("{x:,.10g}")
            one.yaxis.set_minor_formatter(LogFormatter())
            one.autoscale(axis="y")
    return figure


def _scale(axes: Axes, values: np.ndarray, log: bool) -> None:
    """Set a linear or logarithmic axis with ticks at the values, where these are far enough apart for their names."""
    values = np.sort(values.astype(float))
    if log and (values > 0).any():  # linear from 0 to the smallest value above it, so that 0 has a place
        axes.set_xscale("symlog", linthresh=values[values > 0][0], linscale=0.5)
    axes.margins(x=0.03)
    axes.autoscale(axis="x")
    axes.xaxis.set_major_formatter("{x:g}")
    places, shown = axes.xaxis.get_transform().transform(values), [0]
    for i, place in enumerate(places):
        shown += [i] if place - places[shown[-1]] > 0.02 * np.ptp(places) * len(f"{values[i]:g}") else []
    if log or len(shown) == len(values):
        axes.set_xticks(values[shown])
        axes.xaxis.minorticks_off()
