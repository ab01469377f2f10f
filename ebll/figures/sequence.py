"""Along a longer sequence: the average over the tasks learned so far, and what is left of the first one.

This room knows the accuracy table; it measures nothing itself.
"""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from ebll.errors import InputError

from . import alt, layout, lines, tables
from .picture import Picture
from .style import WIDTH, looks, ordered, styled

__all__ = ["average_along_sequence", "average_along_sequence_table"]

PANELS = {"average": "average accuracy on\ntasks so far, %", "first": "accuracy on {first}\n(first task), %"}


def average_along_sequence_table(
    accuracy: pd.DataFrame, sequence: str | None = None, methods: str | Iterable[str] | None = None
) -> pd.DataFrame:
    """Return what `average_along_sequence` draws: quantity, method, learned, task, mean, low, high, seeds; in percent.

    quantity  'average' (over the tasks learned so far) or 'first' (accuracy on the first task)
    learned   how many tasks have been learned; `task` is the newest of them

    A run counts at a place only where all its tasks so far were measured. For 'alone' each network stays as it is.
    """
    rows = tables.of_sequence(tables.check_accuracy(accuracy), sequence)
    tasks = tables.task_order(rows)
    if len(tasks) < 2:
        raise InputError(f"There is no way along a sequence of one task ({tasks[0]}). Choose a longer sequence.")
    names = tables.chosen(rows, methods)
    rows = rows[rows["method"].isin(names)]
    rows = rows.assign(**{c: rows[c].astype(object) for c in ("method", "after", "task")})
    rows = rows[rows["accuracy"].notna()].assign(percent=lambda r: 100 * r["accuracy"])
    parts = pd.concat([_at(rows, tasks[:count]) for count in range(1, len(tasks) + 1)])
    if parts.empty:
        raise InputError(f"No run of {alt.listed(names)} was measured on all of its tasks so far: nothing to draw.")
    out = tables.interval(parts, ["quantity", "method", "learned", "task"], "percent")
    rank = {name: i for i, name in enumerate([*PANELS, *names])}
    order = out.assign(**{c: out[c].map(rank) for c in ("quantity", "method")})
    return out.loc[order.sort_values(["quantity", "method", "learned"]).index].reset_index(drop=True)


@styled
def average_along_sequence(
    accuracy: pd.DataFrame, sequence: str | None = None, methods: str | Iterable[str] | None = None
) -> Picture:
    """Draw, after each learned task, the average accuracy on the tasks so far and, below, that on the first task.

    accuracy  the accuracy table, fractions from 0 to 1
    sequence  id of the sequence, as in the table; may be left out where it holds one
    methods   which methods (default: all in the table)

    Lines are means over seeds; bands are 95 % t-intervals of these means, missing where there is one seed. New tasks
    may be harder or easier than old ones: the average moves for that reason too, so compare methods at one place.
    """
    table = average_along_sequence_table(accuracy, sequence, methods)
    rows = tables.of_sequence(accuracy, sequence)
    tasks = tables.task_order(rows)
    title = f"Accuracy along the sequence {tables.sequence_words(rows)}"
    words = tables.seeds_words(table["seeds"])
    caption = (
        f"{words[0].upper()}{words[1:]}; test data. The average also moves because tasks differ in difficulty: "
        "compare methods at the same number of tasks."
    )
    picture = layout.compose(title, caption, height=2 * 2.3 + 0.5)
    axes = lines.stack(picture, [2.3, 2.3])
    for one, (quantity, label) in zip(axes, PANELS.items(), strict=True):
        part = table[table["quantity"] == quantity]
        lines.draw_lines(one, part, "method", looks(part["method"]), markers="all", x="learned")
        one.set_ylim(max(one.get_ylim()[0], 0), min(one.get_ylim()[1], 100))
        one.set_ylabel(label.format(first=layout.shorten(tasks[0], 1.2)))
    width = (WIDTH - 2.6) / (len(tasks) - 1) - 0.1
    ticks = [f"{i}\n{layout.shorten(str(task), min(width, 1.1))}" for i, task in enumerate(tasks, 1)]
    axes[-1].set_xticks(range(1, len(tasks) + 1), ticks)
    axes[-1].set_xlim(1 - 0.02 * (len(tasks) - 1), 1 + 1.012 * (len(tasks) - 1))
    axes[-1].set_xlabel("tasks learned so far, with the newest one's name")
    return layout.finish(picture, table, alt.sentences(title, *_words(table, tasks), caption))


def _at(rows: pd.DataFrame, tasks: list[str]) -> pd.DataFrame:
    """Return the two quantities of each method and seed after the last of `tasks`."""
    now = rows[rows["task"].isin(tasks)]
    now = now[(now["after"] == tasks[-1]) | (now["method"] == "alone")]
    key = ["method", "seed"]
    runs = now.groupby(key, sort=False)["percent"].agg(average="mean", count="size")
    runs["first"] = now[now["task"] == tasks[0]].set_index(key)["percent"]
    runs = runs[runs["count"] == len(tasks)].reset_index()
    long = runs.melt(key, list(PANELS), "quantity", "percent")
    return long.assign(learned=len(tasks), task=tasks[-1])


def _words(table: pd.DataFrame, tasks: list[str]) -> list[str]:
    """Return a sentence per method: the averages along the sequence, then the first task at both ends."""
    out = []
    for method in ordered(table["method"]):
        rows = table[table["method"] == method]
        average, first = (rows[rows["quantity"] == quantity] for quantity in PANELS)
        steps = " → ".join(alt.points(value) for value in average["mean"])
        change = f"{alt.points(first['mean'].iloc[0])} % → {alt.points(first['mean'].iloc[-1])} %"
        out.append(f"{looks([method])[method].label}: average {steps} %; {tasks[0]} {change}")
    return out
