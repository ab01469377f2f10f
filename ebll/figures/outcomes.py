"""What a method kept and what it learned, seed by seed, from the accuracy table: the numbers behind three pictures.

This room knows the accuracy table, not matplotlib.
"""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from ebll.errors import InputError, check_choice

from . import tables
from .style import ordered

__all__ = ["outcomes", "with_intervals"]


def outcomes(
    accuracy: pd.DataFrame, sequences: str | Iterable[str] | None = None, more: tuple[str, ...] = ()
) -> pd.DataFrame:
    """Return one row per sequence, method and seed, in percent and percentage points.

    old         accuracy on all tasks but the last, measured at the very end; mean over these tasks
    new         accuracy on all tasks but the first, each measured when it was just learned; mean over these tasks
    forgetting  best accuracy on an old task before the last was learned minus at the very end; mean over the old tasks
    words       the sequence in words

    `more` names further columns that tell runs apart, such as a setting; they are returned too.
    For 'alone' there is no end: its networks stay as they are, and it has no forgetting.
    """
    tables.check_accuracy(accuracy, *more)
    return pd.concat([_of(accuracy, s, more) for s in chosen_sequences(accuracy, sequences)], ignore_index=True)


def chosen_sequences(accuracy: pd.DataFrame, sequences: str | Iterable[str] | None) -> list[str]:
    """Return the sequences to draw: all in the order of the table, or those asked for, in the order asked."""
    present = list(accuracy["sequence"].unique())
    wanted = present if sequences is None else [sequences] if isinstance(sequences, str) else list(sequences)
    if not wanted:
        raise InputError(f"sequences: name at least one. The table has: {', '.join(present)}.")
    return [check_choice(sequence, present, "sequence") for sequence in wanted]


def with_intervals(rows: pd.DataFrame, by: list[str], value: str) -> pd.DataFrame:
    """Return a row per seed: by, seed, value, and beside it mean, low, high (95 % t-interval), seeds of its group."""
    rows = rows[rows[value].notna()]
    seeds = rows[[*by, "seed", value]].rename(columns={value: "value"})
    merged = seeds.merge(tables.interval(rows, by, value), on=by, how="left")
    rank = {name: i for i, name in enumerate(ordered(merged["method"]))} if "method" in by else {}
    return merged.sort_values("method", key=lambda m: m.map(rank), kind="stable") if rank else merged


def _of(accuracy: pd.DataFrame, sequence: str, more: tuple[str, ...]) -> pd.DataFrame:
    rows = tables.of_sequence(accuracy, sequence)
    tasks = tables.task_order(rows)
    if len(tasks) < 2:
        raise InputError(f"{sequence}: nothing can be forgotten with one task ({tasks[0]}). Choose a longer sequence.")
    rows = rows.assign(
        **{c: rows[c].astype(object) for c in ("method", "after", "task")}, percent=100 * rows["accuracy"]
    )
    key = ["method", *more, "seed", "task"]
    learned = rows[rows["after"] == rows["task"]].set_index(key)["percent"]
    final = rows[(rows["after"] == tasks[-1]) | (rows["method"] == "alone")].set_index(key)["percent"]
    best = rows[rows["after"] != tasks[-1]].groupby(key, sort=False)["percent"].max()
    lost = (best - final).where(lambda lost: lost.index.get_level_values("method") != "alone")
    out = pd.DataFrame({"old": _mean(final, tasks[:-1]), "new": _mean(learned, tasks[1:])})
    out["forgetting"] = _mean(lost.dropna(), tasks[:-1])
    out = out.reset_index()
    out.insert(0, "sequence", sequence)
    out["words"] = tables.sequence_words(rows)
    return out


def _mean(values: pd.Series, tasks: list[str]) -> pd.Series:
    """Return the mean over `tasks` for each method and seed (and what else tells runs apart)."""
    kept = values[values.index.get_level_values("task").isin(tasks)]
    return kept.groupby(level=[level for level in values.index.names if level != "task"]).mean()
