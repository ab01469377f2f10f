"""From a record to the numbers of a plot: checks of a table, choice of rows, outcomes of runs, means over seeds."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from ebll.errors import InputError, check_choice

from .style import ordered

Names = str | Iterable[str] | None  # one, several, or None for all that are there
ACCURACY = ("sequence", "net", "method", "seed", "after", "task", "accuracy")
CURVES = ("sequence", "net", "method", "seed", "training", "stage", "step", "task")


def check(table: pd.DataFrame, name: str, columns: Iterable[str], key: Iterable[str] = ()) -> pd.DataFrame:
    """Return `table` if it has `columns` and rows, no two with the same `key`.

    Two rows for one seed would count as two seeds and make an interval look narrower than it is. Categories are
    returned as what they stand for.
    """
    if not isinstance(table, pd.DataFrame):
        raise InputError(f"The {name} table must be a pandas DataFrame; got {type(table).__name__}.")
    if missing := [column for column in columns if column not in table.columns]:
        has = ", ".join(map(str, table.columns)) or "none"
        raise InputError(f"The {name} table lacks the columns: {', '.join(missing)}. It has: {has}.")
    if table.empty:
        raise InputError(f"The {name} table is empty: there is nothing to draw. Run an experiment first.")
    twice = table[table.duplicated(list(key))] if key else ()
    if len(twice):
        row = ", ".join(f"{column} {twice[column].iloc[0]}" for column in key)
        raise InputError(
            f"The {name} table has more than one row for {row}. Pick one setting (say, one alpha) before drawing."
        )
    return table.astype({name: column.cat.categories.dtype for name, column in table.select_dtypes("category").items()})


def check_fractions(values: pd.Series, what: str) -> None:
    """Refuse numbers that are no fractions from 0 to 1."""
    low, high = values.astype(float).agg(["min", "max"])
    if low < 0 or high > 1:
        raise InputError(f"{what} must hold fractions from 0 to 1; got {low:g} to {high:g}. Percent? Divide by 100.")


def check_accuracy(accuracy: pd.DataFrame, *more: str) -> pd.DataFrame:
    """Return the accuracy table with a column `percent`; columns in `more` must be there too and tell runs apart."""
    key = ("sequence", "method", *more, "seed", "after", "task")
    accuracy = check(accuracy, "accuracy", (*ACCURACY, *more), key)
    check_fractions(accuracy["accuracy"], "The accuracy table")
    return accuracy.assign(percent=100 * accuracy["accuracy"].astype(float))


def of_sequence(table: pd.DataFrame, sequence: str | None) -> pd.DataFrame:
    """Return the rows of one sequence; None will do where the table holds just one."""
    present = list(table["sequence"].unique())
    if sequence is None and len(present) > 1:
        raise InputError(f"The table holds {len(present)} sequences; name one of: {', '.join(map(str, present))}.")
    return table if sequence is None else table[table["sequence"] == check_choice(sequence, present, "sequence")]


def chosen(table: pd.DataFrame, names: Names, column: str = "method") -> list[str]:
    """Return the methods (or sequences) to draw: all in the table, or those asked for, which must be in it."""
    present = list(table[column].unique())
    present = ordered(present) if column == "method" else present
    wanted = present if names is None else [names] if isinstance(names, str) else list(names)
    if not wanted:
        raise InputError(f"{column}s: name at least one. The table has: {', '.join(present)}.")
    wanted = [check_choice(name, present, column) for name in wanted]
    return ordered(wanted) if column == "method" else wanted


def of_methods(table: pd.DataFrame, methods: Names) -> pd.DataFrame:
    """Return the rows of the methods asked for, by default of all."""
    return table[table["method"].isin(chosen(table, methods))]


def task_order(rows: pd.DataFrame) -> list[str]:
    """Return the tasks of one sequence as they were learned: a task comes in when few others have been measured."""
    several = rows[rows["method"] != "single-task"]
    rows = several if len(several) else rows
    measured = rows.groupby("after")["task"].nunique()
    return list(rows["after"].map(measured).groupby(rows["task"], sort=False).min().sort_values(kind="stable").index)


def net_words(rows: pd.DataFrame) -> str:
    """Return the name of the network of one sequence."""
    net = str(rows["net"].iloc[0])
    return net.upper() if net in ("mlp", "cnn") else net


def sequence_words(rows: pd.DataFrame) -> str:
    """Return one sequence in words: 'letters → textures (MLP)'."""
    return f"{' → '.join(map(str, task_order(rows)))} ({net_words(rows)})"


def one_sequence(
    accuracy: pd.DataFrame, sequence: str | None, methods: Names, *more: str
) -> tuple[pd.DataFrame, list[str], str]:
    """Return the rows of one sequence and of the methods asked for, the tasks in order, and the sequence in words."""
    rows = of_sequence(check_accuracy(accuracy, *more), sequence)
    return of_methods(rows, methods), task_order(rows), sequence_words(rows)


def outcomes(accuracy: pd.DataFrame, sequences: Names = None, more: tuple[str, ...] = ()) -> pd.DataFrame:
    """Return one row per sequence, method and seed, in percent and percentage points.

    old         accuracy on all tasks but the last, measured at the very end; mean over these tasks
    new         accuracy on all tasks but the first, each measured when it was just learned; mean over these tasks
    forgetting  best accuracy on an old task before the last was learned minus at the very end; mean over the old tasks
    words       the sequence in words

    `more` names further columns that tell runs apart, such as a setting; they are returned too.
    For 'single-task' there is no end: its networks stay as they are, and it has no forgetting.
    """
    accuracy, run, parts = check_accuracy(accuracy, *more), ["method", *more, "seed"], []
    for sequence in chosen(accuracy, sequences, "sequence"):
        rows = of_sequence(accuracy, sequence)
        tasks = task_order(rows)
        first, last = tasks[0], tasks[-1]
        if len(tasks) < 2:
            raise InputError(f"{sequence}: nothing can be forgotten with one task ({last}). Choose a longer sequence.")
        single, ended = rows["method"] == "single-task", rows["after"] == last
        end = rows[(ended | single) & (rows["task"] != last)]
        learned = rows[(rows["after"] == rows["task"]) & (rows["task"] != first)]
        best = rows[~ended & ~single].groupby([*run, "task"])["percent"].max()
        lost = (best - end.set_index([*run, "task"])["percent"]).dropna()
        means = {
            "old": end.groupby(run, dropna=False)["percent"].mean(),
            "new": learned.groupby(run, dropna=False)["percent"].mean(),
        }
        out = pd.DataFrame(means | {"forgetting": lost.groupby(level=run).mean()}).reset_index()
        out.insert(0, "sequence", sequence)
        parts.append(out.assign(words=sequence_words(rows)))
    return pd.concat(parts, ignore_index=True)


def by_seed(rows: pd.DataFrame, by: list[str], *values: str, **orders: Iterable[str]) -> pd.DataFrame:
    """Return a row per group in `by` and seed, with means of `values` over the seeds, and how many `seeds` have them.

    A single value is called `value`, its mean `mean`; of several, the means are old_mean and new_mean.
    """
    rows = rows.dropna(subset=list(values))[[*by, "seed", *values]]
    groups, names = rows.groupby(by), {value: f"{value}_mean" if len(values) > 1 else "mean" for value in values}
    means = {name: groups[value].transform("mean") for value, name in names.items()}
    rows = rows.rename(columns={values[0]: "value"}) if len(values) == 1 else rows
    return in_order(rows.assign(**means, seeds=groups["seed"].transform("count")), [*by, "seed"], **orders)


def in_order(table: pd.DataFrame, by: list[str], **orders: Iterable[str]) -> pd.DataFrame:
    """Return `table` sorted by columns: methods in their fixed order, others as in `orders` or by value."""
    orders = {"method": ordered(table["method"]) if "method" in table else [], **orders}

    def rank(column: pd.Series) -> pd.Series:
        return pd.Index(list(orders[column.name])).get_indexer(column) if column.name in orders else column

    return table.sort_values(by, key=rank, kind="stable", ignore_index=True)
