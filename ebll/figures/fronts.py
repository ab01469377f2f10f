"""Stability against plasticity with a knob: each method's points from weak to strong, and its Pareto front.

This room knows the table of outcomes; it measures nothing itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from ebll.errors import InputError

from . import alt, layout, tables
from .labels import Word, label_points
from .outcomes import outcomes
from .picture import Picture
from .style import Look, looks, ordered, styled
from .tradeoff import REFERENCES, draw_reference, reference_words

__all__ = ["pareto_front", "tradeoff_fronts", "tradeoff_fronts_table"]

_COLUMNS = ["mean", "low", "high"]


def pareto_front(points: Iterable[Sequence[float]]) -> list[bool]:
    """Return for each point whether it is on the Pareto front, where more is better on both axes.

    A point is off the front when another is at least as good on both axes and better on one; equal points stay
    together. A point with a missing coordinate is never on the front.
    """
    points = [(float(x), float(y)) for x, y in points]
    return [
        bool(np.isfinite([x, y]).all())
        and not any(u >= x and v >= y and (u > x or v > y) for u, v in points)
        for x, y in points
    ]  # fmt: skip


def tradeoff_fronts_table(
    accuracy: pd.DataFrame, sequence: str | None = None, methods: str | Iterable[str] | None = None
) -> pd.DataFrame:
    """Return what `tradeoff_fronts` draws, in percent, a row per method and knob in the order of the knob.

    method; knob (empty for a method without one); old_mean, old_low, old_high, new_mean, new_low, new_high (over seeds,
    95 % interval); seeds (that reached the end); runs (that began: the most seeds of any row); on_front.
    """
    tables.check_accuracy(accuracy, "knob")
    tables.check_numbers(accuracy, ["knob"], "accuracy")
    accuracy = accuracy.assign(knob=accuracy["knob"].astype(float).fillna(0.0))
    if not np.isfinite(accuracy["knob"]).all():
        raise InputError("The accuracy table must hold finite numbers in the column knob.")
    rows = tables.of_sequence(accuracy, sequence)
    rows = rows[rows["method"].isin(tables.chosen(rows, methods))]
    begun = rows.groupby(["method", "knob"], sort=False, observed=True)["seed"].nunique()
    ended = outcomes(rows, None, ("knob",))
    ended = ended[ended["old"].notna() & ended["new"].notna()]
    if ended.empty:
        raise InputError("No run in the accuracy table reached the end of its sequence: there is nothing to draw.")
    table = begun.reset_index()[["method", "knob"]].astype({"method": object})
    for side in ("old", "new"):
        part = tables.interval(ended, ["method", "knob"], side).rename(columns={c: f"{side}_{c}" for c in _COLUMNS})
        table = table.merge(part if side == "new" else part.drop(columns="seeds"), how="left", on=["method", "knob"])
    table["seeds"] = table["seeds"].fillna(0).astype(int)
    table = table[(table["seeds"] > 0) | (table["method"] != "alone")]  # it has no end that it could miss
    table["runs"] = int(begun.max())
    rank = {name: i for i, name in enumerate(ordered(table["method"]))}
    table = table.loc[table.assign(method=table["method"].map(rank)).sort_values(["method", "knob"]).index]
    for _, own in table.groupby("method", sort=False):
        table.loc[own.index, "on_front"] = pareto_front(own[["new_mean", "old_mean"]].to_numpy())
        if set(own["knob"]) == {0.0}:
            table.loc[own.index, "knob"] = np.nan
    return table.astype({"on_front": bool}).reset_index(drop=True)


@styled
def tradeoff_fronts(
    accuracy: pd.DataFrame, sequence: str | None = None, methods: str | Iterable[str] | None = None, *,
    split: str = "test",
) -> Picture:  # fmt: skip
    """Draw what each method keeps (upwards) against what it learns (to the right) as its strength is turned up.

    accuracy  the accuracy table, fractions from 0 to 1, with a column `knob`: the strength of the method in that run,
              such as EWC's strength or EBLL's alpha; empty or 0 for a method without one
    sequence  id of the sequence, as in the table; may be left out where it holds one
    methods   which methods (default: all in the table)
    split     which data the accuracies are of, for the caption; settings are explored on "validation"

    A mark is a mean over seeds, its thin cross the two 95 % t-intervals; the line of a method runs from its weakest to
    its strongest setting, and small numbers are settings. Filled marks are the Pareto front of their method: no other
    setting of it is at least as good on both axes and better on one. Hollow marks are off it.
    """
    table = tradeoff_fronts_table(accuracy, sequence, methods)
    rows = tables.of_sequence(accuracy, sequence)
    drawn = table[table["seeds"] > 0]
    styles = looks(drawn["method"])
    words = tables.seeds_words(drawn["seeds"])
    knobs = drawn["knob"].notna().any()
    meaning = (
        " Small numbers: the strength; lines run from weak to strong. Filled: on the method's Pareto front; hollow: "
        "another strength of that method is at least as good on both axes and better on one." if knobs else ""
    )  # fmt: skip
    caption = (
        f"{words[0].upper()}{words[1:]}; {split} data. Old: at the end; new: when just learned. Up and to the right is "
        f"better.{meaning}{reference_words(styles)}{_finished_words(table)}"
    )
    title = f"What is kept against what is learned: {tables.sequence_words(rows)}"
    picture = layout.compose(title, caption, height=4.3, legend=_handles(drawn, styles))
    axes = picture.subplots()
    for place, (name, look) in enumerate(styles.items()):
        _draw(axes, drawn[drawn["method"] == name], look, place)
        if name in REFERENCES:
            m = drawn[drawn["method"] == name].iloc[0]
            draw_reference(axes, m["new_mean"], m["old_mean"], look)
    axes.margins(0.09)
    axes.set_xlabel("accuracy on new tasks, %")
    axes.set_ylabel("accuracy on old tasks, %")
    layout.finish(picture, table, alt.sentences(title, *_words(table), caption))
    label_points(axes, _labels(drawn, styles), drawn[["new_mean", "old_mean"]].to_numpy(), _courses(axes))
    return picture


def _draw(axes: Axes, rows: pd.DataFrame, look: Look, place: int) -> None:
    axes.plot(rows["new_mean"], rows["old_mean"], color=look.color, linestyle=look.line, linewidth=1.4, zorder=3)
    cross = {"color": look.color, "linewidth": 0.9, "alpha": 0.55, "zorder": 2}
    for m in rows.itertuples(index=False):
        axes.plot([m.new_low, m.new_high], [m.old_mean] * 2, **cross)
        axes.plot([m.new_mean] * 2, [m.old_low, m.old_high], **cross)
        layout.draw_mark(axes, m.new_mean, m.old_mean, look, zorder=5 + place / 10 + m.on_front, hollow=not m.on_front)


def _handles(drawn: pd.DataFrame, styles: dict[str, Look]) -> list[Line2D]:
    """Return legend entries: with a line where a method has several settings or is a reference."""
    entries = layout.handles(styles.values())
    for name, entry in zip(styles, entries, strict=True):
        if name in REFERENCES:
            entry.set_linewidth(1)
        elif (drawn["method"] == name).sum() == 1:
            entry.set_linestyle("")
    return entries


def _labels(drawn: pd.DataFrame, styles: dict[str, Look]) -> list[Word]:
    """Return the settings to write: the first and last of each method, and a few between where there is room."""
    words = []
    for name, rows in drawn[drawn["knob"].notna()].groupby("method", sort=False):
        last = len(rows) - 1
        some = set(np.linspace(0, last, min(len(rows), 6)).round().astype(int))
        for i, m in enumerate(rows.itertuples(index=False)):
            if i in some:
                words.append((m.new_mean, m.old_mean, f"{m.knob:g}", styles[name].color, i in (0, last)))
    return words


def _courses(axes: Axes) -> list[np.ndarray]:
    """Return the corners of all lines: those of methods, the intervals, and the references across the panel."""
    courses = [np.asarray(line.get_xydata(), float) for line in axes.lines]
    across = [line.get_transform() - axes.transData for line in axes.lines]
    courses = [way.transform(course) for way, course in zip(across, courses, strict=True)]
    return [course for course in courses if len(course) > 1 and np.isfinite(course).all()]


def _setting(name: str, knob: float) -> str:
    label = looks([name])[name].label
    return label if np.isnan(knob) else f"{label} at {knob:g}"


def _finished_words(table: pd.DataFrame) -> str:
    """Name the settings of which not every run reached the end."""
    short = table[(table["seeds"] < table["runs"]) & (table["method"] != "alone")]
    parts = [f"{_setting(m.method, m.knob)}: {m.seeds} of {m.runs}" for m in short.itertuples(index=False)]
    return f" {'; '.join(f'{part} seeds finished' for part in parts)}." if parts else ""


def _words(table: pd.DataFrame) -> list[str]:
    """Return a sentence per method: old and new accuracy at each setting, and which settings are on the front."""
    out = []
    for name, rows in table[table["seeds"] > 0].groupby("method", sort=False):
        parts = [
            ("" if np.isnan(m.knob) else f"{m.knob:g}: ")
            + f"{alt.points(m.old_mean)} % old, {alt.points(m.new_mean)} % new"
            for m in rows.itertuples(index=False)
        ]
        front = [f"{knob:g}" for knob in rows.loc[rows["on_front"], "knob"].dropna()]
        tail = f"; on its Pareto front: {alt.listed(front)}" if front and len(rows) > 1 else ""
        out.append(f"{looks([name])[name].label}, {'; '.join(parts)}{tail}")
    return out
