"""Lines with bands over training steps, named at their ends, in panels that share the steps.

This room knows plotted tables (quantity, method, step, mean, low, high), not where they come from.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from . import layout
from .picture import Picture
from .style import BAND, SMALL, SOFT, TERMS, Look, looks

__all__ = ["LOSSES", "draw_lines", "draw_terms", "stack"]

LOSSES = tuple(f"loss_{term}" for term in TERMS)
_LOG_FROM = 30  # terms whose peaks differ more than this cannot share a linear axis


def stack(picture: Picture, heights: list[float]) -> list[Axes]:
    """Return panels of these heights, one above the other, with one axis of steps."""
    axes = picture.subplots(len(heights), 1, sharex=True, height_ratios=heights, squeeze=False)[:, 0]
    for one in axes:
        one.tick_params(length=3)
        one.margins(x=0.01)
    return list(axes)


def draw_lines(
    axes: Axes, table: pd.DataFrame, column: str, styles: dict[str, Look], markers: bool | str = False, *,
    x: str = "step", band: float = BAND,
) -> None:  # fmt: skip
    """Draw a line and a band for each value of `column`, and name the lines at their ends.

    markers  True for a few of the values, shifted from line to line; "spaced" for a few at even distances of `x`, where
             values are denser in places; "all" for every value
    band     opacity of the bands
    """
    ends = []
    for place, (name, look) in enumerate(styles.items()):
        rows = table[table[column] == name]
        every = max(1, len(rows) // 6)
        at = [*range(place * every // len(styles), len(rows) - every // 2, every), len(rows) - 1]
        if markers == "spaced":
            at = _spaced(rows[x].to_numpy(float), place / len(styles))
        marker = {"marker": look.marker, "markevery": None if markers == "all" else at} if markers else {}
        axes.plot(rows[x], rows["mean"], color=look.color, linestyle=look.line, label=look.label, **marker)
        axes.fill_between(rows[x], rows["low"], rows["high"], color=look.color, alpha=band, linewidth=0)
        ends.append((rows["mean"].iloc[-1], look))
    layout.end_labels(axes, ends)


def _spaced(values: np.ndarray, shift: float, count: int = 6) -> list[int]:
    """Return the places of about `count` values at even distances, and of the last one."""
    wanted = values[0] + (np.arange(count) + shift) * (values[-1] - values[0]) / count
    return sorted({int(np.abs(values - one).argmin()) for one in wanted} | {len(values) - 1})


def draw_terms(panels: list[Axes], table: pd.DataFrame, methods: list[str]) -> None:
    """Draw the loss terms of one method in each panel, all panels on one vertical scale."""
    table = table[table["quantity"].isin(LOSSES)]
    table = table.assign(term=table["quantity"].str.removeprefix("loss_"))
    floor, top = _log_floor(table), table[["mean", "high"]].max(axis=None) or 1.0
    for axes, method in zip(panels, methods, strict=True):
        rows = table[table["method"] == method]
        if floor:
            axes.set_yscale("log")
            axes.yaxis.set_major_locator(LogLocator(numticks=7))
            axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            axes.yaxis.set_minor_formatter(NullFormatter())
            rows = rows.assign(**{c: rows[c].clip(lower=floor) for c in ("mean", "low", "high")})
        axes.set_ylim(floor or 0, top * (1.6 if floor else 1.05))
        present = {term: look for term, look in TERMS.items() if (rows["term"] == term).any()}
        draw_lines(axes, rows, "term", present)
        axes.set_ylabel("weighted\nloss, nats")
        axes.set_title(looks([method])[method].label, loc="left", size=SMALL, weight="bold", color=SOFT, pad=3)


def _log_floor(table: pd.DataFrame) -> float | None:
    """Return the lower edge of a logarithmic axis, or None where a linear one shows all terms."""
    peaks = table.groupby(["method", "term"])["mean"].max()
    peaks = peaks[peaks > 0]
    if peaks.empty or peaks.max() <= _LOG_FROM * peaks.min():
        return None
    return float(max(table.loc[table["mean"] > 0, "mean"].min(), peaks.min() / 100))
