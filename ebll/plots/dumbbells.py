"""What a second method changes of the first one's numbers: a bar between two marks in each row."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter

from ebll.errors import InputError

from . import tables, words
from .figure import describe, label, legend_beside, new_figure
from .style import SOFT, drawing, styles


@drawing()
def dumbbells(
    table: pd.DataFrame, value: str, row: str, panel: str, *, xlabel: str, title: str, caption: str = ""
) -> Figure:
    """Draw a quantity with two methods, joined by a bar with the factor between their means, on one logarithmic axis.

    table    a row per method, seed, `row` and `panel`; two methods, the first in the fixed order is the reference
    value    column with the quantity, above 0
    row      column that tells the bars of a panel apart; `panel`: that which tells the panels apart
    caption  what else to say below, such as which data

    Marks are means over the seeds, small dots the seeds.
    Its table: a row per seed: `panel`, `row`, method, seed, value, mean, seeds
    """
    key = [panel, row, "method"]
    table = tables.check(table, "given", (*key, "seed", value), (*key, "seed"))
    looks = styles(table["method"])
    if len(looks) != 2 or (table.groupby([panel, row])["method"].nunique() != 2).any():
        raise InputError(
            f"dumbbells take two methods in every {row} of every {panel}; the table holds {words.listed(looks)}. Keep "
            "the rows of two that were measured everywhere."
        )
    if not (table[value] > 0).all():
        raise InputError(
            f"{value} must be above 0 on a logarithmic axis; the smallest given is {table[value].min():g}."
        )
    panels, names = table[panel].unique(), table[row].unique()
    drawn = tables.by_seed(table, key, value, **{panel: panels, row: names})
    means = drawn.drop_duplicates(key).set_index(key)["mean"].sort_index()
    figure, axes = new_figure(drawn, title, caption, panels, 0.42 * len(names) + 0.35, sharex=True, sharey=True)
    first, second = looks
    for one, part in zip(axes, panels, strict=True):
        told = []
        for y, name in enumerate(names):
            if (part, name) not in means:
                continue
            ends = {method: means[part, name, method] for method in looks}
            factor = ends[first] / ends[second]
            one.plot(list(ends.values()), [y, y], color=SOFT, linewidth=1.2, zorder=1.5)
            times = f"÷ {words.number(factor)}" if factor >= 1 else f"× {words.number(1 / factor)}"
            middle = (ends[first] * ends[second]) ** 0.5
            one.annotate(times, (middle, y), (0, 3), textcoords="offset points", ha="center")
            for method, style in looks.items():
                seeds = drawn.loc[(drawn[key] == [part, name, method]).all(axis=1), "value"]
                one.plot(seeds, [y] * len(seeds), ".", color=style.color, alpha=0.45, markersize=5, markeredgewidth=0)
                one.plot(ends[method], y, linestyle="", color=style.color, marker=style.marker, markersize=8)
            told.append(f"{name}: " + ", ".join(f"{looks[m].label} {words.number(end)}" for m, end in ends.items()))
        one.set(ylim=(len(names) - 0.5, -0.7), xscale="log")
        one.set_yticks(range(len(names)), names)
        one.xaxis.set_major_formatter("{x:,.10g}")
        one.xaxis.set_minor_formatter(LogFormatter())
        one.margins(x=0.08)
        one.grid(visible=False, axis="y")
        describe(figure, f"{part}, {'; '.join(told)}")
    legend_beside(axes[0], [*looks.values()])
    label(axes, xlabel, "")
    return figure
