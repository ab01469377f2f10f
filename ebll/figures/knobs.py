"""Anything measured over a setting: a line and a band per kind, references as level lines.

This room knows tidy tables of a reader's own; it measures nothing itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Real

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, NullLocator

from ebll.errors import InputError, check_choice, check_number

from . import alt, layout, lines, tables
from .picture import Picture
from .style import METHODS, SOFT, WIDTH, Look, looks, ordered, styled

__all__ = ["over_knob", "over_knob_table"]

_LEVELS = ((0, (1, 1.5)), (0, (6, 2)), (0, (6, 2, 1, 2)), (0, (2, 2)))  # line styles of references


def over_knob_table(
    table: pd.DataFrame, x: str, ys: Mapping[str, str], *, by: str = "kind",
    references: Mapping[str, Mapping[str, float]] | None = None,
) -> pd.DataFrame:  # fmt: skip
    """Return what `over_knob` draws: quantity, `by`, `x`, mean, low, high (95 % interval), seeds.

    `quantity` is a column in `ys`. A reference is a row without a value of `x`, interval and seeds.
    """
    if not isinstance(ys, Mapping) or not ys:
        raise InputError(
            "ys must map at least one column to the label of its axis, such as {'accuracy': 'accuracy, %'}."
        )
    tables.check(table, (x, by, "seed", *ys), "given", key=(x, by, "seed"))
    tables.check_numbers(table, (x, *ys), "given")
    rows = table.assign(**{column: table[column].astype(float) for column in (x, *ys)})
    rows = rows.assign(**{by: rows[by].map(_name).astype(object)})
    if not np.isfinite(rows[x]).all():
        raise InputError(f"The given table must have a finite number in the column {x} in every row.")
    rank = {name: i for i, name in enumerate(_kinds(table[by]))}
    parts = []
    for y in ys:
        out = tables.interval(rows[np.isfinite(rows[y])], [by, x], y)
        if out.empty:
            raise InputError(f"The given table holds no {y}: all of its values are empty.")
        out = out.loc[out.assign(**{by: out[by].map(rank)}).sort_values([by, x]).index]
        out.insert(0, "quantity", y)
        levels = [(y, label, values[y]) for label, values in _checked(references, ys).items() if y in values]
        parts += [out, pd.DataFrame(levels, columns=["quantity", by, "mean"])] if levels else [out]
    return pd.concat(parts, ignore_index=True).astype({"seeds": "Int64"})


@styled
def over_knob(
    table: pd.DataFrame, x: str, ys: Mapping[str, str], *, by: str = "kind", xlabel: str, title: str,
    references: Mapping[str, Mapping[str, float]] | None = None, log: bool = True, log_y: bool = False,
    caption: str = "",
) -> Picture:  # fmt: skip
    """Draw quantities over a setting, such as accuracy over code size: a panel each, one above the other.

    table       a row per setting, kind and seed, with columns `x`, `by`, `seed` and those in `ys`
    ys          for each column its axis label, with the unit: {"accuracy": "accuracy, %", "share": "share missed"}
    by          column that tells lines apart; methods keep their looks, anything else gets a spare one
    references  level lines: {"joint": {"accuracy": 91.2}}; a method's name keeps its look
    log         a logarithmic axis; 0, where it occurs, then stands left of it
    log_y       the same for all quantities, which must then be above 0
    caption     what else to say below, such as which data

    Ticks are the values in the table, or round numbers where these are too many for a linear axis. Lines are means over
    seeds; bands are 95 % t-intervals of these means.
    """
    drawn = over_knob_table(table, x, ys, by=by, references=references)
    if log_y and not (drawn["mean"] > 0).all():
        raise InputError(f"log_y takes values above 0; the smallest given is {drawn['mean'].min():g}.")
    lined = drawn[drawn[x].notna()]
    kinds = [kind for kind in _kinds(table[by]) if (lined[by] == kind).any()]
    styles = {kind: looks(kinds)[kind] for kind in kinds}
    levels = _level_looks(references or {})
    values = sorted(lined[x].unique())
    place = _places(values, log)
    tall = 2.5 if len(ys) == 1 else 1.9
    words = tables.seeds_words(lined["seeds"])
    note = (
        " On the horizontal axis, 0 stands left of the logarithmic scale."
        if log and 0 in values and len(values) > 1
        else ""
    )
    below = alt.sentences(f"{words[0].upper()}{words[1:]}", caption).rstrip() + note
    picture = layout.compose(title, below, height=tall * len(ys) + 0.35)
    axes = lines.stack(picture, [tall] * len(ys))
    for one, (y, label) in zip(axes, ys.items(), strict=True):
        part = lined[lined["quantity"] == y].assign(place=lambda rows: rows[x].map(place))
        present = {kind: look for kind, look in styles.items() if (part[by] == kind).any()}
        for name, look in levels.items():
            if y in references[name]:
                one.axhline(references[name][y], color=look.color, linestyle=look.line, linewidth=1.3, zorder=1.5)
        lines.draw_lines(one, part, by, present, markers="all", x="place")
        layout.end_labels(one, [(references[name][y], look) for name, look in levels.items() if y in references[name]])
        # An interval may reach beyond what can be: below nothing, above the whole.
        if log_y:
            one.set_yscale("log")
            one.yaxis.set_major_formatter(lambda value, place: f"{value:,.10g}")
        low, high = one.get_ylim()
        if (part["mean"] >= 0).all() and not log_y:
            low = max(low, -0.02 * high)
        if "%" in label and part["mean"].between(0, 100).all():
            high = min(high, 100)
        one.set_ylim(low, high)
        one.set_ylabel(layout.wrap(label, tall - 0.2))
    _scale(axes, place, log)
    axes[-1].set_xlabel(xlabel)
    text = alt.sentences(title, *_words(drawn, x, ys, by, styles, levels), below)
    return layout.finish(picture, drawn, text)


def _name(value: object) -> str:
    return f"{value:g}" if isinstance(value, Real) and not isinstance(value, bool) else str(value)


def _kinds(column: pd.Series) -> list[str]:
    """Return the names of the lines: numbers by size, names in the fixed order of the methods."""
    values = list(column.unique())
    if all(isinstance(value, Real) for value in values):
        return [_name(value) for value in sorted(values)]
    return ordered(map(_name, values))


def _checked(references: Mapping | None, ys: Mapping[str, str]) -> dict[str, dict[str, float]]:
    out = {}
    for label, values in (references or {}).items():
        if not isinstance(values, Mapping):
            raise InputError(
                f"references: {label!r} must map a column to its level, such as {{{next(iter(ys))!r}: 90.0}}."
            )
        out[label] = {
            check_choice(column, ys, f"reference {label!r}, column"): check_number(
                level, f"reference {label!r}, {column}", low=-np.inf
            )
            for column, level in values.items()
        }
    return out


def _level_looks(references: Mapping[str, Mapping]) -> dict[str, Look]:
    """Return a method's own look, or a grey line of its own."""
    own = [label for label in references if label not in METHODS]
    grey = {label: Look(label, SOFT, _LEVELS[i % len(_LEVELS)]) for i, label in enumerate(own)}
    return {label: METHODS.get(label) or grey[label] for label in references}


def _places(values: list[float], log: bool) -> dict[float, float]:
    """Return where each value stands on the axis: at itself, but 0 one step left of a logarithmic axis."""
    place = {value: value for value in values}
    above = [value for value in values if value > 0]
    if log and values[0] < 0:
        raise InputError(f"A logarithmic axis has no place for {values[0]:g}. Pass log=False.")
    if log and 0 in place and above:
        steps = np.diff(np.log10(above))
        place[0.0] = above[0] / 10 ** (np.median(steps) if len(steps) else 1.0)
    return place


def _scale(axes: list[Axes], place: dict[float, float], log: bool) -> None:
    """Ticks at the values; where names would touch, round numbers on a linear axis, else some ticks without a name."""
    spots = list(place.values())
    log = log and spots[0] > 0
    across = np.log10(spots) if log else np.array(spots)
    reach = (across[-1] - across[0]) or 1.0
    limits = np.array([across[0] - 0.02 * reach, across[-1] + 0.012 * reach])
    for one in axes:
        if log:
            powers = np.log2(spots)
            one.set_xscale("log", base=2 if np.allclose(powers, np.round(powers)) else 10)
        one.xaxis.set_minor_locator(NullLocator())
        one.set_xlim(10**limits if log else limits)
    width = (WIDTH - 2.5) * (across - across[0]) / reach
    names = [f"{value:g}" for value in place]
    half = [layout.text_width(name) / 2 + 0.04 for name in names]
    right, last = -np.inf, len(names) - 1
    for i, name in enumerate(names):
        free = width[i] - half[i] >= right and (i == last or width[i] + half[i] <= width[last] - half[last])
        right = width[i] + half[i] if free or i == last else right
        names[i] = name if free or i == last else ""
    if log or all(names):
        axes[-1].set_xticks(spots, names)
    else:
        axes[-1].xaxis.set_major_locator(MaxNLocator(nbins=8, steps=[1, 2, 4, 5, 10]))


def _words(drawn: pd.DataFrame, x: str, ys: Mapping[str, str], by: str, styles: dict, levels: dict) -> list[str]:
    """Return for each quantity a sentence: each line at its first and last value and at its best, then the levels."""
    out = []
    for y, label in ys.items():
        rows = drawn[drawn["quantity"] == y]
        parts = [f"{look.label} {_course(rows[rows[by] == kind], x)}" for kind, look in styles.items()
                 if (rows[by] == kind).any()]  # fmt: skip
        flat = rows[rows[x].isna()].set_index(by)["mean"]
        parts += [f"{levels[name].label}, level: {alt.number(value)}" for name, value in flat.items()]
        out.append(f"{' '.join(label.split())}: {'; '.join(parts)}")
    return out


def _course(rows: pd.DataFrame, x: str) -> str:
    rows = rows[rows[x].notna()]
    first, last = rows.iloc[0], rows.iloc[-1]
    ends = f"{alt.number(first['mean'])} at {first[x]:g}"
    if len(rows) == 1:
        return ends
    low, high = rows.loc[rows["mean"].idxmin()], rows.loc[rows["mean"].idxmax()]
    turns = [f"{word} {alt.number(row['mean'])} at {row[x]:g}" for word, row in (("lowest", low), ("highest", high))
             if row[x] not in (first[x], last[x])]  # fmt: skip
    return ", ".join([ends, *turns, f"{alt.number(last['mean'])} at {last[x]:g}"])
