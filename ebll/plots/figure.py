"""A figure under a heading and over a caption, with the table that it shows and its alt text."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ebll.errors import InputError
from ebll.metrics import confidence_interval

from .style import SOFT
from .words import sentences

__all__ = ["finish", "label", "legend_beside", "new_figure", "t_interval"]


WIDTH, DPI = 7.0, 144  # inches; 9 points are 14 pixels of a figure that is shown 800 pixels wide


def new_figure(
    title: str, caption: str, heights: float | Sequence[float], *, columns: int = 1, count: int = 0,
    ax: Axes | None = None, margin: float = 0.85, **shared: object,
) -> tuple[Figure, list[Axes]]:  # fmt: skip
    """Return a Figure and `count` Axes in rows of `columns`; `heights` in inches, of all or of each row.

    margin  inches for heading, caption and the labels below
    ax      an Axes of the caller's, where a plot of one panel is drawn without heading and caption
    """
    heights = [heights] * math.ceil(count / columns) if isinstance(heights, float) else heights
    count = count or len(heights) * columns
    if ax is not None:
        if count > 1:
            raise InputError(f"ax takes a plot of one panel; this one has {count}. Leave ax out, or draw less.")
        return ax.figure, [ax]
    figure = Figure(figsize=(WIDTH, sum(heights) + margin), dpi=DPI, layout="constrained")
    figure.get_layout_engine().set(w_pad=0.06, h_pad=0.06)
    figure.suptitle(title, x=0.01, ha="left", wrap=True)
    figure.supxlabel(caption, x=0.01, ha="left", wrap=True, color=SOFT)
    grid = figure.subplots(len(heights), columns, height_ratios=heights, squeeze=False, **shared).ravel()
    for place, axes in enumerate(grid):
        if place + columns >= count:  # nothing is below it
            axes.tick_params(labelbottom=True)
        if place >= count:
            figure.delaxes(axes)
    return figure, list(grid[:count])


def label(axes: Sequence[Axes], columns: int, xlabel: str, ylabel: str) -> None:
    """Name the horizontal axis under the lowest panel of each column, and the vertical one at the left of each row."""
    for place, one in enumerate(axes):
        below, left = place + columns >= len(axes), place % columns == 0
        one.set(xlabel=xlabel if below else "", ylabel=ylabel if left else "")


def legend_beside(axes: Axes, handles: Iterable[Line2D]) -> None:
    """Name lines and marks at the right of a panel."""
    axes.legend(handles=list(handles), loc="upper left", bbox_to_anchor=(1.01, 1), borderaxespad=0, labelspacing=0.6)


def finish(figure: Figure, table: pd.DataFrame, *words: str) -> Figure:
    """Attach the table and the alt text; what is drawn into a figure that has some is added to it."""
    before = getattr(figure, "table", None)
    figure.table = table if before is None else pd.concat([before, table], ignore_index=True)
    figure.alt = sentences(getattr(figure, "alt", ""), *words)
    return figure


def t_interval(values: pd.Series) -> tuple[float, float]:
    """Return the ends of the 95 % interval (M9), as seaborn's `errorbar` takes them."""
    return confidence_interval(values)[1:]
