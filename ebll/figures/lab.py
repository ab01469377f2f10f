"""The picture of the forgetting lab: feature distance, loss terms in competition, old and new accuracy, step by step.

Rows of the record in, traces and words out. This room knows the columns of the curves table; it runs nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from . import alt, layout
from .live import Panel, Trace
from .style import TERMS, Look, looks

__all__ = [
    "LAB_COLUMNS",
    "lab_alt",
    "lab_caption",
    "lab_legend",
    "lab_panels",
    "lab_table",
    "lab_terms",
    "lab_title",
    "lab_traces",
]

LAB_COLUMNS = {
    "distance": ("feature_distance", 1.0),
    "old": ("accuracy", 100.0),
    "new": ("accuracy_new", 100.0),
}
"""Panel -> the column it shows, and by what it is multiplied."""

Rows = Sequence[Mapping[str, Any]]


def lab_panels(old: str, new: str, method: str) -> tuple[Panel, ...]:
    """The four panels of a pair of tasks; the loss terms are those of one method."""
    label = looks([method])[method].label
    return (
        Panel("distance", f"feature distance of {layout.shorten(old, 1.0)}, ‖F(x) − F*(x)‖"),
        Panel("terms", f"weighted loss terms of {layout.shorten(label, 1.1)}, nats", "log"),
        Panel("old", f"accuracy on {layout.shorten(old, 1.6)} (old task), %", "percent"),
        Panel("new", f"accuracy on {layout.shorten(new, 1.6)} (new task), %", "percent"),
    )


def lab_title(old: str, new: str, net: str, seed: int, settings: str) -> str:
    """What the picture is about: the pair of tasks, the net, the seed, and what is set differently."""
    return f"{old} → {new} ({net.upper()}, seed {seed}): {settings}"


def lab_traces(
    record: Mapping[str, Rows], *, terms_of: str = "", prefix: str = "", pale: bool = False,
    broken: Collection[str] = (),
) -> list[Trace]:  # fmt: skip
    """Lines for the rows that each method has so far.

    record    method -> rows with the columns of `ebll.record`
    terms_of  the method whose loss terms are drawn; none if empty
    prefix    put before the names, to tell one run from another
    pale      drawn faintly, to compare with
    broken    methods whose last point gets a cross: the run broke off there
    """
    out = []
    for method, look in looks(record).items():
        rows = [row for row in record[method] if "feature_distance" in row]
        x = [row["step"] for row in rows]
        for panel, (column, factor) in LAB_COLUMNS.items():
            y = [factor * row[column] for row in rows]
            out.append(Trace(panel, f"{prefix}{look.label}", look, x, y, pale, method in broken and not pale))
    for term, look in TERMS.items():
        column = f"loss_{term}"
        rows = [row for row in record.get(terms_of, ()) if column in row]
        if rows:
            values = [row[column] for row in rows]
            out.append(Trace("terms", f"{prefix}{look.label}", look, [row["step"] for row in rows], values, pale))
    return out


def lab_legend(methods: Iterable[str]) -> tuple[Look, ...]:
    """A legend entry for each method."""
    return tuple(looks(methods).values())


def lab_terms(record: Mapping[str, Rows], method: str) -> tuple[Look, ...]:
    """A legend entry for each loss term that a method has."""
    return tuple(look for term, look in TERMS.items() if any(f"loss_{term}" in row for row in record.get(method, ())))


def lab_caption(old: str, new: str, samples: int, compared: Sequence[str] = ()) -> str:
    """What the numbers are: one run a method, so many held-out images a task; and what is drawn faintly beside it."""
    faint = f" Faint: {alt.listed(compared)}." if compared else ""
    return f"One run a method, no interval; {samples} held-out images of {old} and of {new}.{faint}"


def lab_table(record: Mapping[str, Rows], **facts: Any) -> pd.DataFrame:
    """The numbers that are drawn: a row a method and step, with the facts of the run in front."""
    columns = ["step", *(column for column, _ in LAB_COLUMNS.values()), *(f"loss_{term}" for term in TERMS)]
    parts = [pd.DataFrame(list(rows)).reindex(columns=columns).assign(method=m) for m, rows in record.items() if rows]
    if not parts:
        return pd.DataFrame(columns=[*facts, "method", *columns])
    table = pd.concat(parts, ignore_index=True)
    return table.assign(**facts)[[*facts, "method", *columns]].dropna(axis=1, how="all")


def lab_alt(title: str, record: Mapping[str, Rows], old: str, new: str, notes: Sequence[str] = ()) -> str:
    """What is seen, in words: how far the features move, and what becomes of both accuracies."""
    words = []
    for method, look in looks(record).items():
        rows = [row for row in record[method] if "feature_distance" in row]
        if not rows:
            words.append(f"{look.label}: nothing measured")
            continue
        first, last = rows[0], rows[-1]
        distances = np.array([row["feature_distance"] for row in rows], float)
        distance = alt.course([row["step"] for row in rows], np.where(np.isfinite(distances), distances, np.nan))
        distance += "" if np.isfinite(distances).all() else ", beyond all numbers at times"
        gone = f"{old} {_percent(first['accuracy'])} to {_percent(last['accuracy'])}"
        won = f"{new} {_percent(first['accuracy_new'])} to {_percent(last['accuracy_new'])}"
        words.append(f"{look.label}: feature distance {distance}; accuracy on {gone}, on {won}")
    return alt.sentences(title, *words, *notes)


def _percent(share: float) -> str:
    return f"{alt.points(100 * share)} %" if np.isfinite(share) else "not a number"
