"""Does forgetting grow with the gap between domains, and does the code term give more back the wider it is?

This room knows the table of outcomes; it measures nothing itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pandas as pd
from matplotlib.axes import Axes

from ebll.errors import InputError

from . import alt, layout, tables
from .forgetting import draw_dots, jitter
from .outcomes import outcomes, with_intervals
from .picture import Picture
from .style import INK, SOFT, WIDTH, looks, ordered, styled

__all__ = ["forgetting_by_gap", "forgetting_by_gap_table"]

METHODS = ("finetune", "lwf", "ebll")


def forgetting_by_gap_table(
    accuracy: pd.DataFrame, order: Iterable[str] | Mapping[str, str], *,
    methods: Iterable[str] = METHODS, better: str = "ebll", than: str = "lwf",
) -> pd.DataFrame:  # fmt: skip
    """Return what `forgetting_by_gap` draws, a row per seed, in percentage points.

    panel         'forgetting', or 'gain': old-task accuracy at the end of `better` minus that of `than`, same seed
    place         0 for the nearest pair, then 1, 2, ...
    sequence, method, seed, value; mean, low, high (over seeds, 95 % interval); seeds
    """
    sequences = _sequences(order)
    rows = outcomes(accuracy, sequences)
    names = tables.chosen(rows, methods)
    lost = with_intervals(rows[rows["method"].isin(names)], ["sequence", "method"], "forgetting")
    lost.insert(0, "panel", "forgetting")
    tables.chosen(rows, [better, than])
    old = rows.pivot(index=["sequence", "seed"], columns="method", values="old")
    gain = (old[better] - old[than]).rename("gain").dropna().reset_index()
    if gain.empty:
        raise InputError(f"The gain of {better} over {than} is paired by seed, and they share no seed.")
    gain = with_intervals(gain.assign(method=f"{better} minus {than}"), ["sequence", "method"], "gain")
    gain.insert(0, "panel", "gain")
    table = pd.concat([lost, gain], ignore_index=True)
    table.insert(1, "place", table["sequence"].map({s: i for i, s in enumerate(sequences)}))
    return table


@styled
def forgetting_by_gap(
    accuracy: pd.DataFrame, order: Iterable[str] | Mapping[str, str], *,
    methods: Iterable[str] = METHODS, better: str = "ebll", than: str = "lwf",
) -> Picture:  # fmt: skip
    """Draw forgetting from the nearest to the farthest pair of tasks, and below it what `better` gives back.

    accuracy  the accuracy table, fractions from 0 to 1
    order     ids of the sequences from near to far, or a dict from a word to an id: {"near": "mlp:letters-mnist", ...}
    methods   whose forgetting is drawn above (default: finetune, lwf, ebll)
    better, than  the two methods whose old-task accuracy at the end is compared below, seed by seed

    Marks are means over seeds, bars 95 % t-intervals of the mean, dots the seeds (below: one difference each); all in
    percentage points. The lines between pairs lead the eye: there is nothing in between.
    """
    table = forgetting_by_gap_table(accuracy, order, methods=methods, better=better, than=than)
    sequences, lost, gain = _sequences(order), table[table["panel"] == "forgetting"], table[table["panel"] == "gain"]
    words = outcomes(accuracy, sequences).drop_duplicates("sequence").set_index("sequence")["words"]
    ticks = _tick_words(order, words)
    styles = looks(lost["method"])
    names = [looks([m])[m].label for m in (better, than)]
    seeds = tables.seeds_words(table["seeds"])
    caption = f"{seeds[0].upper()}{seeds[1:]}; dots: seeds (below: the same seed with both methods); test data."
    title = "Forgetting from the nearest to the farthest pair of tasks"
    height = 3.9 + 0.15 * max(tick.count("\n") for tick in ticks)
    picture = layout.compose(title, caption, height=height, legend=layout.handles(styles.values()))
    above, below = picture.subplots(2, 1, sharex=True, height_ratios=[1.5, 1])
    for place, (method, look) in enumerate(styles.items()):
        shift = 0.1 * (place - (len(styles) - 1) / 2)
        _draw_course(above, lost[lost["method"] == method], look, shift)
    _draw_course(below, gain, looks([better])[better], 0.0)
    above.set_ylabel("forgetting, points")
    below.set_ylabel(layout.wrap(f"{names[0]} minus {names[1]}, old tasks, points", 1.3))
    for axes in (above, below):
        axes.axhline(0, color=SOFT, linewidth=0.8, zorder=1)
        axes.grid(visible=False, axis="x")
    below.set_xticks(range(len(sequences)), ticks)
    below.set_xlim(-0.5, len(sequences) - 0.5)
    below.set_xlabel("pair of tasks, from near (left) to far (right)")
    return layout.finish(picture, table, alt.sentences(title, *_words(table, words, names), caption))


def _sequences(order: Iterable[str] | Mapping[str, str]) -> list[str]:
    sequences = (
        list(order.values()) if isinstance(order, Mapping) else [order] if isinstance(order, str) else list(order)
    )
    if len(set(sequences)) != len(sequences):
        raise InputError(f"order: each sequence has one place from near to far; got {', '.join(sequences)}.")
    return sequences


def _tick_words(order: Iterable[str] | Mapping[str, str], words: pd.Series) -> list[str]:
    sequences = _sequences(order)
    width = (WIDTH - 0.9) / len(sequences) - 0.1
    prefix = [f"{word}\n" for word in order] if isinstance(order, Mapping) else [""] * len(sequences)
    return [first + layout.wrap(words[s], width) for first, s in zip(prefix, sequences, strict=True)]


def _draw_course(axes: Axes, table: pd.DataFrame, look, shift: float) -> None:
    means = table.drop_duplicates("place").sort_values("place")
    axes.plot(means["place"] + shift, means["mean"], color=look.color, linestyle=look.line, linewidth=1.2, zorder=2)
    for m in means.itertuples(index=False):
        values = table.loc[table["place"] == m.place, "value"]
        draw_dots(axes, m.place + shift + jitter(len(values), 0.06), values, look.color)
        axes.plot([m.place + shift] * 2, [m.low, m.high], color=INK, linewidth=1.4, zorder=4)
        layout.draw_mark(axes, m.place + shift, m.mean, look, zorder=5)


def _words(table: pd.DataFrame, words: pd.Series, names: list[str]) -> list[str]:
    """Return a sentence per pair: each method's forgetting, then the paired gain."""
    out = []
    for place in sorted(table["place"].unique()):
        rows = table[table["place"] == place].drop_duplicates(["panel", "method"])
        lost = rows[rows["panel"] == "forgetting"].set_index("method")["mean"]
        parts = [f"{looks([m])[m].label} forgets {alt.points(lost[m])}" for m in ordered(lost.index)]
        for g in rows[rows["panel"] == "gain"].itertuples(index=False):
            parts.append(f"{names[0]} minus {names[1]} {alt.points(g.mean, sign=True)} ({alt.span(g.low, g.high)})")
        out.append(f"{words[rows['sequence'].iloc[0]]}: {alt.listed(parts)}")
    return out
