"""One moment of a sequence, step by step: an old task is measured while a new one is learned.

This room knows the curves table, not matplotlib.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from ebll.errors import InputError, check_choice

from . import tables
from .style import ordered

__all__ = ["means", "moment"]


def moment(
    curves: pd.DataFrame, sequence: str | None, training: str | None, task: str | None, warm_up: bool,
    columns: tuple[str, ...] = (),
) -> pd.DataFrame:  # fmt: skip
    """Return the rows of one old task while one new task is learned; `columns` must be there and hold numbers.

    By default `training` is the first task that has an old one, and `task` the first of the old ones. Steps of the
    warm-up, where wanted, are negative.
    """
    key = ("sequence", "method", "seed", "training", "stage", "step", "task")
    rows = tables.of_sequence(tables.check(curves, (*tables.CURVES, *columns), "curves", key=key), sequence)
    tables.check_numbers(rows, columns, "curves")
    rows = rows[rows["task"].notna() & (rows["task"] != "")]  # while the first task is learned there is no old one
    if rows.empty:
        raise InputError("The curves table is about a first task only: there is no old task whose features could move.")
    old_tasks = rows.groupby("training", sort=False, observed=True)["task"].nunique()
    training = old_tasks.idxmin() if training is None else check_choice(training, old_tasks.index, "training")
    rows = rows[rows["training"] == training]
    task = rows["task"].iloc[0] if task is None else check_choice(task, rows["task"].unique(), "old task")
    rows = rows[rows["task"] == task]
    trained = rows[rows["stage"] == "train"]
    if trained.empty:
        raise InputError(f"The curves table has no rows of stage 'train' for {training}.")
    return pd.concat([_before_zero(rows[rows["stage"] != "train"]), trained]) if warm_up else trained


def means(rows: pd.DataFrame, quantity: str, scale: float = 1.0) -> pd.DataFrame:
    """Return quantity, method, step, mean, low, high, seeds of one column times `scale`; empty values do not count."""
    measured = rows.assign(**{quantity: scale * rows[quantity].astype(float)})
    measured = measured[np.isfinite(measured[quantity])]  # a run that diverged counts as long as it has numbers
    out = tables.interval(measured, ["method", "step"], quantity).sort_values("step", kind="stable")
    rank = {name: i for i, name in enumerate(ordered(out["method"]))}
    out = out.sort_values("method", key=lambda m: m.astype(object).map(rank).astype(int), kind="stable")
    out.insert(0, "quantity", quantity)
    return out.reset_index(drop=True)


def _before_zero(warm_up: pd.DataFrame) -> pd.DataFrame:
    """Return warm-up rows at negative steps; those that count from 0 are moved so that they end at -1."""
    moved = warm_up["step"] - (warm_up["step"].max() + 1) if len(warm_up) and warm_up["step"].max() >= 0 else None
    return warm_up if moved is None else warm_up.assign(step=moved)
