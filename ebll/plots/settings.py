"""Any quantity over a setting, such as accuracy over code size, with references as level lines."""

from __future__ import annotations

import dataclasses
import textwrap
from collections.abc import Mapping
from numbers import Real

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter

from ebll.errors import InputError, check_choice, check_number

from . import tables, words
from .figure import finish, legend_beside
from .lines import Panel, line_figure
from .style import METHODS, SOFT, Style, drawing, ordered, styles

__all__ = ["over_setting", "over_setting_table"]


def over_setting_table(
    table: pd.DataFrame, x: str, ys: Mapping[str, str], *, by: str = "kind",
    references: Mapping[str, Mapping[str, float]] | None = None,
) -> pd.DataFrame:  # fmt: skip
    """Return what `over_setting` draws: quantity (a column in `ys`), `by`, `x`, mean, low, high, seeds.

    A reference is a row without a value of `x`, interval and seeds.
    """
    rows, kinds = _setting_rows(table, x, ys, by)
    lines = tables.in_order(tables.intervals(rows, ["quantity", by, x]), [by, x], **{by: kinds})
    levels = [
        {"quantity": y, by: name, "mean": level}
        for name, at in _checked_references(references, ys).items()
        for y, level in at.items()
    ]
    made = pd.concat([lines, pd.DataFrame(levels)], ignore_index=True).astype({"seeds": "Int64"})
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
    rows, kinds = _setting_rows(table, x, ys, by)
    looks = {kind: styles(kinds)[kind] for kind in kinds}
    levels = {}
    for place, name in enumerate(references or {}):
        own = Style(name, SOFT, (0, (1 + 3 * place, 2)))
        levels[name] = dataclasses.replace(METHODS.get(name, own), marker="")
    height = 2.6 if len(ys) == 1 else 2.0
    shown = []
    for y, heading in ys.items():
        heading = heading if "\n" in heading else textwrap.fill(heading, int(11 * height))
        lines = [(style, references[name][y]) for name, style in levels.items() if y in references[name]]
        shown.append(Panel(heading, rows[rows["quantity"] == y], looks, by, height=height, levels=lines))
    below = words.sentences(words.seeds_words(drawn["seeds"].dropna()), caption)
    figure, axes = line_figure(shown, x, title, below, xlabel, ax)
    legend_beside(axes[0], [*looks.values(), *levels.values()])
    for one in axes:
        _scale(one, rows[x].unique(), log)
        if log_y:
            one.set_yscale("log")
            one.yaxis.set_major_formatter("{x:,.10g}")
            one.yaxis.set_minor_formatter(LogFormatter())
            one.autoscale(axis="y")
    return finish(figure, drawn, title, *(panel.words(x) for panel in shown), below)


def _setting_rows(table, x, ys, by) -> tuple[pd.DataFrame, list[str]]:
    """Return a row per quantity, kind, setting and seed, and the kinds: numbers by size, methods in the fixed order."""
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
    return rows, [names[kind] for kind in sorted(kinds)] if numeric else ordered(names.values())


def _checked_references(references, ys) -> dict[str, dict[str, float]]:
    """Return the references with their levels checked."""
    for label, at in (references or {}).items():
        if not isinstance(at, Mapping):
            example = f"{{{next(iter(ys))!r}: 90.0}}"
            raise InputError(f"references: {label!r} must map a column to its level, such as {example}.")
        for column, level in at.items():
            check_choice(column, ys, f"reference {label!r}, column")
            check_number(level, f"reference {label!r}, {column}", low=-np.inf)
    return dict(references or {})


def _scale(axes: Axes, values: np.ndarray, log: bool) -> None:
    """Set a linear or logarithmic axis with ticks at the values, where these are far enough apart for their names."""
    values = np.sort(values.astype(float))
    if log and (values > 0).any():  # linear from 0 to the smallest value above it, so that 0 has a place
        axes.set_xscale("symlog", linthresh=values[values > 0][0], linscale=0.5)
    axes.margins(x=0.03)
    axes.autoscale(axis="x")
    axes.xaxis.set_major_formatter("{x:g}")
    places = axes.xaxis.get_transform().transform(values)
    shown = [0]
    for i, place in enumerate(places):
        shown += [i] if place - places[shown[-1]] > 0.02 * np.ptp(places) * len(f"{values[i]:g}") else []
    if log or len(shown) == len(values):
        axes.set_xticks(values[shown])
        axes.xaxis.minorticks_off()
