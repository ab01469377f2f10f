"""Lines with bands: what plots of them share, and accuracy along a sequence."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ebll.errors import InputError

from . import tables, words
from .figure import finish, legend_beside, new_figure, t_interval
from .style import BAND, Style, drawing, styles

__all__ = ["Panel", "average_along_sequence", "average_along_sequence_table", "line_figure"]


@dataclass
class Panel:
    """What one panel shows: `rows` (a row a seed: `by`, x, value), a style for each value of `by`, and level lines."""

    label: str
    rows: pd.DataFrame
    styles: Mapping[str, Style]
    by: str = "method"
    title: str = ""
    height: float = 2.2  # inches
    levels: Sequence[tuple[Style, float]] = ()

    def draw(self, axes: Axes, x: str) -> None:
        """Draw means over seeds as lines, and their intervals as bands; markers at all values, or a few of many."""
        import seaborn

        for style, level in self.levels:
            axes.axhline(level, color=style.color, linestyle=style.line, linewidth=1.3, zorder=1.5)
        names, looks = list(self.styles), self.styles.items()
        seaborn.lineplot(
            self.rows, x=x, y="value", hue=self.by, hue_order=names, style=self.by, style_order=names,
            palette={name: style.color for name, style in looks},
            dashes={name: style.dashes for name, style in looks},
            markers={name: style.marker for name, style in looks},
            errorbar=t_interval, err_kws={"alpha": BAND, "linewidth": 0}, markersize=6.5, markeredgewidth=0.4,
            markevery=None if self.rows[x].nunique() < 20 else 0.13, legend=False, ax=axes,
        )  # fmt: skip
        axes.margins(x=0.01)
        low, high = axes.get_ylim()  # an interval may reach beyond what can be: below nothing, above the whole
        low, high = max(low, 0) if self.rows["value"].min() >= 0 else low, min(high, 100) if "%" in self.label else high
        axes.set_ylim(low, high)
        axes.set(xlabel="", ylabel=self.label)

    def words(self, x: str) -> str:
        """Return the course of each line; nothing where there is no line."""
        table = tables.intervals(self.rows, [self.by, x]).sort_values(x)
        means = {name: rows.set_index(x)["mean"] for name, rows in table.groupby(self.by)}
        told = [f"{self.styles[name].label} {words.course(means[name])}" for name in self.styles if name in means]
        told += [f"{style.label}, level: {words.number(level)}" for style, level in self.levels]
        return " ".join(f"{self.title} {self.label} over {x}: {'; '.join(told)}".split()) if told else ""


def line_figure(
    panels: list[Panel], x: str, title: str, caption: str, xlabel: str, ax: Axes | None = None
) -> tuple[Figure, list[Axes]]:
    """Return a Figure of panels one above the other; a legend stands where styles differ from those above."""
    headings, heights = [panel.title for panel in panels], [panel.height for panel in panels]
    figure, axes = new_figure(title, caption, headings, heights, ax=ax, sharex=True)
    above = None
    for one, panel in zip(axes, panels, strict=True):
        panel.draw(one, x)
        if panel.styles != above:
            legend_beside(one, panel.styles.values())
        above = panel.styles
    axes[-1].set_xlabel(xlabel)
    return figure, axes


def average_along_sequence_table(
    accuracy: pd.DataFrame, sequence: str | None = None, methods: str | Iterable[str] | None = None
) -> pd.DataFrame:
    """Return what `average_along_sequence` draws, in percent: quantity, method, learned, task, mean, low, high, seeds.

    quantity  'average' (over the tasks learned so far) or 'first' (accuracy on the first task)
    learned   how many tasks have been learned; `task` is the newest of them

    A run counts at a place only where all its tasks so far were measured. For 'alone' each network stays as it is.
    """
    table = tables.intervals(_along(accuracy, sequence, methods)[0], ["quantity", "method", "learned", "task"])
    return tables.in_order(table, ["quantity", "method", "learned"])


@drawing()
def average_along_sequence(
    accuracy: pd.DataFrame, sequence: str | None = None, methods: str | Iterable[str] | None = None
) -> Figure:
    """Draw, after each learned task, the average accuracy on the tasks so far and, below, that on the first task."""
    rows, tasks, name = _along(accuracy, sequence, methods)
    table = average_along_sequence_table(accuracy, sequence, methods)
    first, names = words.shortened(tasks[0], 12), styles(rows["method"])
    about = {"average": "average accuracy on\ntasks so far, %", "first": f"accuracy on {first}\n(first task), %"}
    shown = [Panel(about[quantity], rows[rows["quantity"] == quantity], names) for quantity in about]
    title = f"Accuracy along the sequence {name}"
    caption = f"{words.seeds_words(table['seeds'])}; test data; tasks differ in difficulty: compare at one place."
    figure, axes = line_figure(shown, "learned", title, caption, "tasks learned so far, with the newest one's name")
    ticks = [f"{i}\n{words.shortened(task, min(60 // len(tasks), 16))}" for i, task in enumerate(tasks, 1)]
    axes[-1].set_xticks(range(1, len(tasks) + 1), ticks)
    return finish(figure, table, title, *(panel.words("learned") for panel in shown), caption)


def _along(accuracy, sequence, methods) -> tuple[pd.DataFrame, list[str], str]:
    """Return the two quantities of each method and seed after each task, the tasks, and the sequence in words."""
    rows = tables.of_sequence(tables.check_accuracy(accuracy), sequence)
    tasks, name = tables.task_order(rows), tables.sequence_words(rows)
    if len(tasks) < 2:
        raise InputError(f"There is no way along a sequence of one task ({tasks[0]}). Choose a longer sequence.")
    names = tables.chosen(rows, methods)
    rows, parts = rows[rows["method"].isin(names) & rows["percent"].notna()], []
    for count, newest in enumerate(tasks, 1):
        now = rows[rows["task"].isin(tasks[:count]) & ((rows["after"] == newest) | (rows["method"] == "alone"))]
        runs = now.groupby(["method", "seed"], sort=False)["percent"].agg(average="mean", count="size")
        runs["first"] = now[now["task"] == tasks[0]].set_index(["method", "seed"])["percent"]
        parts.append(runs[runs["count"] == count].reset_index().assign(learned=count, task=newest))
    runs = pd.concat(parts).melt(["method", "seed", "learned", "task"], ["average", "first"], "quantity", "value")
    if runs.empty:
        raise InputError(f"No run of {words.listed(names)} was measured on all of its tasks so far: nothing to draw.")
    return runs, tasks, name
