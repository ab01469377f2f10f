"""From a record to the numbers of a picture: what a table must hold, who is in it, means and intervals over seeds.

This room knows pandas, not matplotlib. All intervals are 95 % Student-t intervals of a mean over seeds.
"""

from __future__ import annotations

from collections.abc import Iterable
from numbers import Real

import numpy as np
import pandas as pd
from pandas.api.types import is_numeric_dtype
from scipy.special import stdtrit

from ebll.errors import InputError, check_choice

from .style import ordered

__all__ = [
    "ACCURACY",
    "CURVES",
    "check",
    "check_fractions",
    "check_numbers",
    "chosen",
    "interval",
    "of_sequence",
    "seeds_words",
    "task_order",
]

ACCURACY = ("sequence", "net", "method", "seed", "after", "task", "accuracy")
CURVES = ("sequence", "net", "method", "seed", "training", "stage", "step", "task")
_NETS = {"mlp": "MLP", "cnn": "CNN"}


def check(table: pd.DataFrame, columns: Iterable[str], name: str, key: Iterable[str] = ()) -> pd.DataFrame:
    """Return `table` if it has `columns`, has rows, and no two rows share `key`; otherwise say what is amiss.

    Two rows for one seed would count as two seeds and make an interval look narrower than it is.
    """
    if not isinstance(table, pd.DataFrame):
        raise InputError(f"The {name} table must be a pandas DataFrame; got {type(table).__name__}.")
    missing = [column for column in columns if column not in table.columns]
    if missing:
        has = ", ".join(map(str, table.columns)) or "none"
        raise InputError(f"The {name} table lacks the columns: {', '.join(missing)}. It has: {has}.")
    if table.empty:
        raise InputError(f"The {name} table is empty: there is nothing to draw. Run an experiment first.")
    twice = table.duplicated(list(key)) if key else None
    if twice is not None and twice.any():
        row = ", ".join(f"{k} {table.loc[twice, k].iloc[0]}" for k in key)
        raise InputError(
            f"The {name} table has more than one row for {row}. Pick one setting (say, one alpha) before drawing."
        )
    return table


def check_numbers(table: pd.DataFrame, columns: Iterable[str], name: str) -> pd.DataFrame:
    """Return `table` if these columns hold numbers; empty values are numbers too."""
    for column in columns:
        kept = table[column][table[column].notna()]
        wrong = None if is_numeric_dtype(kept) else next((v for v in kept if not isinstance(v, Real)), None)
        if wrong is not None:
            raise InputError(f"The {name} table must hold numbers in the column {column}; got {wrong!r}.")
    return table


def check_accuracy(accuracy: pd.DataFrame, *more: str) -> pd.DataFrame:
    """Return the accuracy table if it can be drawn: columns, unique rows, fractions between 0 and 1.

    more   further columns that must be there and tell rows apart, such as a setting
    """
    key = ("sequence", "method", *more, "seed", "after", "task")
    check(accuracy, (*ACCURACY, *more), "accuracy", key=key)
    check_numbers(accuracy, ["accuracy"], "accuracy")
    check_fractions(accuracy["accuracy"], "The accuracy table")
    return accuracy


def check_fractions(values: pd.Series, what: str) -> None:
    """Refuse numbers that are no fractions from 0 to 1."""
    low, high = values.min(), values.max()
    if low < 0 or high > 1:
        raise InputError(f"{what} must hold fractions from 0 to 1; got {low:g} to {high:g}. Percent? Divide by 100.")


def of_sequence(table: pd.DataFrame, sequence: str | None) -> pd.DataFrame:
    """Return the rows of one sequence; None will do where the table holds just one."""
    present = table["sequence"].unique()
    if sequence is None:
        if len(present) > 1:
            raise InputError(f"The table holds {len(present)} sequences; name one of: {', '.join(map(str, present))}.")
        return table
    check_choice(sequence, present, "sequence")
    return table[table["sequence"] == sequence]


def chosen(table: pd.DataFrame, methods: str | Iterable[str] | None) -> list[str]:
    """Return the methods to draw in the fixed order: all in the table, or those asked for, which must be in it."""
    present = ordered(table["method"].unique())
    if methods is None:
        return present
    wanted = [methods] if isinstance(methods, str) else list(methods)
    if not wanted:
        raise InputError(f"methods: name at least one. The table has: {', '.join(present)}.")
    return ordered(check_choice(method, present, "method") for method in wanted)


def task_order(rows: pd.DataFrame) -> list[str]:
    """Return the tasks of one sequence as they were learned: a task comes in when few others have been measured."""
    several = rows[rows["method"] != "alone"]
    rows = several if len(several) else rows
    stage_size = rows.groupby("after", observed=True)["task"].nunique()
    first_seen = rows["after"].map(stage_size).astype(int).groupby(rows["task"].astype(object), sort=False).min()
    return list(first_seen.sort_values(kind="stable").index)


def sequence_words(rows: pd.DataFrame) -> str:
    """Return one sequence in words: 'letters → textures (MLP)'."""
    return f"{' → '.join(map(str, task_order(rows)))} ({net_words(rows)})"


def net_words(rows: pd.DataFrame) -> str:
    """Return the name of the network of one sequence."""
    net = str(rows["net"].iloc[0])
    return _NETS.get(net, net)


def interval(table: pd.DataFrame, by: list[str], value: str) -> pd.DataFrame:
    """Return for each group its `mean`, `low` and `high` end of the 95 % t-interval of the mean, and `seeds`.

    Missing values do not count as seeds. One seed has no interval: `low` and `high` are NaN.
    """
    groups = table.groupby(by, sort=False, observed=True)[value]
    out = groups.agg(mean="mean", spread="std", seeds="count").reset_index()
    freedom = (out["seeds"] - 1).where(out["seeds"] > 1).astype(float)
    half = stdtrit(freedom, 0.975) * out["spread"] / np.sqrt(out["seeds"].where(out["seeds"] > 0).astype(float))
    out["low"], out["high"] = out["mean"] - half, out["mean"] + half
    return out[[*by, "mean", "low", "high", "seeds"]]


def seeds_words(seeds: Iterable[int]) -> str:
    """Return what mean and band are, in words: 'mean and 95 % interval of 5 seeds'."""
    counts = sorted({int(n) for n in seeds if n > 0})
    if not counts or counts[-1] == 1:
        return "one seed, no interval"
    if len(counts) == 1:
        return f"mean and 95 % interval of {counts[0]} seeds"
    single = " (no interval for one seed)" if counts[0] == 1 else ""
    return f"mean and 95 % interval of {counts[0]} to {counts[-1]} seeds{single}"
