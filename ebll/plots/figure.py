"""A figure under a heading and over a caption, with the table that it shows and its alt text."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ebll.errors import InputError
from ebll.metrics import confidence_interval

from .style import SOFT, Style
from .words import sentences

WIDTH, DPI = 7.0, 144  # inches; 9 points are 14 pixels of a figure that is shown 800 pixels wide


def new_figure(
    title: str, caption: str, headings: Sequence[str], heights: float | Sequence[float], *, columns: int = 1,
    margin: float = 0.85, ax: Axes | None = None, **shared: object,
) -> tuple[Figure, list[Axes]]:  # fmt: skip
    """Return a Figure and one Axes under each of `headings`, in rows of `columns`.

    heights  inches of every row, or of each
    margin   inches for title, caption and the labels below
    ax       an Axes of the caller's, where a plot of one panel is drawn without title and caption
    shared   `sharex` and `sharey`, as in `Figure.subplots`
    """
    if ax is not None:
        if len(headings) > 1:
            raise InputError(f"ax takes a plot of one panel; this one has {len(headings)}. Leave ax out, or draw less.")
        figure, axes = ax.figure, [ax]
    else:
        heights = [heights] * math.ceil(len(headings) / columns) if isinstance(heights, float) else heights
        figure = Figure(figsize=(WIDTH, sum(heights) + margin), dpi=DPI, layout="constrained")
        figure.get_layout_engine().set(w_pad=0.06, h_pad=0.06)
        figure.suptitle(title, x=0.01, ha="left", wrap=True)
        figure.supxlabel(caption, x=0.01, ha="left", wrap=True, color=SOFT)
        grid = figure.subplots(len(heights), columns, height_ratios=heights, squeeze=False, **shared).ravel()
        axes, spare = list(grid[: len(headings)]), grid[len(headings) :]
        for one in spare:
            one.remove()
        for one in axes[-columns:]:  # nothing is below it
            one.tick_params(labelbottom=True)
    for one, heading in zip(axes, headings, strict=True):
        one.set_title("\n".join(textwrap.fill(line, 75 // columns) for line in heading.splitlines()))
    return figure, axes


def label(axes: Sequence[Axes], columns: int, xlabel: str, ylabel: str) -> None:
    """Name the horizontal axis under the lowest panel of each column, and the vertical one at the left of each row."""
    for place, one in enumerate(axes):
        below, left = place + columns >= len(axes), place % columns == 0
        one.set(xlabel=xlabel if below else "", ylabel=ylabel if left else "")


def legend_beside(axes: Axes, styles: Iterable[Style]) -> None:
    """Name lines and marks at the right of a panel."""
    handles = [style.handle() for style in styles]
    axes.legend(handles=handles, loc="upper left", bbox_to_anchor=(1.01, 1), borderaxespad=0, labelspacing=0.6)


def finish(figure: Figure, table: pd.DataFrame, *words: str) -> Figure:
    """Attach the table and the alt text; what is drawn into a figure that has some is added to it."""
    before = getattr(figure, "table", None)
    figure.table = table if before is None else pd.concat([before, table], ignore_index=True)
    figure.alt = sentences(getattr(figure, "alt", ""), *words)
    return figure


def t_interval(values: pd.Series) -> tuple[float, float]:
    """Return the ends of the 95 % interval (M9), as seaborn's `errorbar` takes them."""
    return confidence_interval(values)[1:]
