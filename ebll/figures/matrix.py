"""Accuracy after each task on each task so far: one heat map per method.

This room knows the accuracy table; it measures nothing itself.
"""

from __future__ import annotations

from collections.abc import Iterable

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.image import AxesImage

from . import alt, layout, tables
from .picture import Picture
from .style import HEAT, SMALL, WIDTH, ink_on, looks, ordered, styled

__all__ = ["accuracy_matrix", "accuracy_matrix_table"]

_BAR = 0.75  # inches for the colour bar and its numbers


def accuracy_matrix_table(
    accuracy: pd.DataFrame, sequence: str | None = None, methods: str | Iterable[str] | None = None
) -> pd.DataFrame:
    """Return what `accuracy_matrix` draws: method, after, task, mean, low, high (95 % interval), seeds; in percent."""
    rows = tables.of_sequence(tables.check_accuracy(accuracy), sequence)
    names = tables.chosen(rows, methods)
    tasks = tables.task_order(rows)
    rows = rows[rows["method"].isin(names)].assign(percent=lambda r: 100 * r["accuracy"])
    out = tables.interval(rows, ["method", "after", "task"], "percent")
    rank = {name: i for i, name in enumerate([*names, *tasks])}
    order = out[["method", "after", "task"]].astype(object).map(lambda name: rank[name])
    return out.loc[order.sort_values(["method", "after", "task"]).index].reset_index(drop=True)


@styled
def accuracy_matrix(
    accuracy: pd.DataFrame, sequence: str | None = None, methods: str | Iterable[str] | None = None
) -> Picture:
    """Draw accuracy in percent after each learned task (rows) on each task so far (columns), a heat map per method.

    accuracy  the accuracy table, fractions from 0 to 1
    sequence  id of the sequence, as in the table; may be left out where it holds one
    methods   which methods (default: all in the table)

    Numbers are means over seeds; where cells are wide enough the half-width of the 95 % t-interval stands below, and
    the widest one is always stated. 'One network per task' has its diagonal only.
    """
    table = accuracy_matrix_table(accuracy, sequence, methods)
    rows = tables.of_sequence(accuracy, sequence)
    tasks, names = tables.task_order(rows), ordered(table["method"])
    columns = min(len(names), 3)
    lines = -(-len(names) // columns)
    ticks = [layout.shorten(str(task), 0.95) for task in tasks]
    side = max(map(layout.text_width, ticks)) + 0.15
    cell = (WIDTH - _BAR - side - 0.2) / columns / len(tasks) - 0.05
    turned = side - 0.1 > cell
    hanging = 2 if lines > 1 and len(names) % columns else 1  # a short last row leaves tick labels in the row above
    height = lines * ((0.4 if cell > 0.5 else 0.3) * len(tasks) + 0.3) + hanging * (side if turned else 0.2) + 0.25
    title = f"Accuracy after each task: {tables.sequence_words(rows)}"
    spread = _spread_words(table, cell)
    caption = f"{spread} Test data. Rows: the task just learned; columns: the task measured; accuracy in %."
    picture = layout.compose(title, caption, height=height)
    grid = picture.subplots(lines, columns, sharex=True, sharey=True, squeeze=False)
    low = 10 * np.floor(table["mean"].min() / 10)
    for axes, name in zip(grid.flat, names, strict=False):
        image = _draw(axes, table[table["method"] == name], tasks, low, cell)
        label = layout.wrap(looks([name])[name].label, len(tasks) * (cell + 0.05) - 0.1)
        axes.set_title(label, loc="left", size=SMALL, weight="bold")
    layout.label_below(grid, len(names), "")
    _name_cells(grid, ticks, turned)
    _add_bar(picture, grid, image)
    return layout.finish(picture, table, alt.sentences(title, *_words(table, tasks), caption))


def _name_cells(grid: np.ndarray, ticks: list[str], turned: bool) -> None:
    for axes in grid.flat:
        axes.set_xticks(range(len(ticks)), ticks)
        axes.set_yticks(range(len(ticks)), ticks)
        axes.tick_params(axis="x", rotation=90 if turned else 0)


def _add_bar(picture: Picture, grid: np.ndarray, image: AxesImage) -> None:
    bar = picture.colorbar(image, ax=grid, aspect=30, pad=0.02, fraction=0.05)
    bar.set_label("accuracy, %", size=SMALL)
    bar.outline.set_visible(False)


def _draw(axes: Axes, table: pd.DataFrame, tasks: list[str], low: float, cell: float) -> AxesImage:
    """Draw one heat map with its numbers; what was not measured stays white."""
    means = table.pivot(index="after", columns="task", values="mean").reindex(index=tasks, columns=tasks)
    shades = matplotlib.colormaps[HEAT]
    values = np.ma.masked_invalid(means.to_numpy(float))
    image = axes.imshow(values, cmap=shades, vmin=low, vmax=100, aspect="auto")
    for row in table.itertuples(index=False):
        ink = ink_on(to_hex(shades((row.mean - low) / max(100 - low, 1e-9))))
        place = {"x": tasks.index(row.task), "y": tasks.index(row.after)}
        axes.text(**place, s=_cell_words(row, cell), ha="center", va="center", size=SMALL, color=ink, linespacing=1.05)
    axes.tick_params(length=0)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    return image


def _cell_words(row, cell: float) -> str:
    if cell < 0.36:
        return f"{row.mean:.0f}"
    if cell < 0.5 or np.isnan(row.low):
        return f"{row.mean:.1f}"
    return f"{row.mean:.1f}\n±{row.high - row.mean:.1f}"


def _spread_words(table: pd.DataFrame, cell: float) -> str:
    words = tables.seeds_words(table["seeds"])
    half = (table["high"] - table["mean"]).max()
    where = "as ±" if cell >= 0.5 else "not written in the cells"
    widest = "" if np.isnan(half) else f", {where}; the widest is ±{half:.1f} points"
    return f"{words[0].upper()}{words[1:]}{widest}."


def _words(table: pd.DataFrame, tasks: list[str]) -> list[str]:
    """Return a sentence per method: each task when just learned, and at the end."""
    out = []
    for method in ordered(table["method"]):
        means = table[table["method"] == method].set_index(["after", "task"])["mean"]
        parts = []
        for task in tasks:
            first, last = means.get((task, task), np.nan), means.get((tasks[-1], task), np.nan)
            both = task != tasks[-1] and not np.isnan(last)
            parts.append(f"{task} {alt.points(first)}" + (f", at the end {alt.points(last)}" if both else ""))
        out.append(f"{looks([method])[method].label}: {'; '.join(parts)}")
    return out
