"""Plots over the steps of training: feature distance, loss terms, and accuracy on an old and a new task."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter

from ebll.errors import InputError, check_choice

from . import tables, words
from .lines import Panel, line_figure
from .style import TERMS, drawing, ordered, styles
from .tables import Names

LOSSES = {f"loss_{term}": style for term, style in TERMS.items()}
USUAL = ("finetune", "lwf", "ebll")


def feature_distance_table(
    curves: pd.DataFrame, sequence: str | None = None, *, methods: Names = None, panels: Iterable[str] | None = None,
    **which: object,
) -> pd.DataFrame:  # fmt: skip
    """Return what `feature_distance` draws: quantity, method, step, mean, low, high, seeds.

    `quantity` is feature_distance (all steps, all methods), feature_norm (first and last step, all methods) or a
    weighted loss term (all steps, methods in `panels`).
    """
    quantities = ["feature_distance", "feature_norm", *LOSSES]
    rows = _rows(curves, sequence, quantities, "feature distance", methods, **which)
    names, steps = ordered(rows["method"]), rows.groupby("method")["step"]
    below = _usual(names) if panels is None else [check_choice(panel, names, "panel") for panel in panels]
    within = (rows["step"] > steps.transform("min")) & (rows["step"] < steps.transform("max"))
    hidden = (rows["quantity"] == "feature_norm") & within
    return _table(rows[~hidden & (rows["method"].isin(below) | ~rows["quantity"].isin(LOSSES))])


@drawing()
def feature_distance(
    curves: pd.DataFrame, sequence: str | None = None, *, methods: Names = None, panels: Iterable[str] | None = None,
    **which: object,
) -> Figure:  # fmt: skip
    """Draw how far the features of an old task move while a new one is learned: the paper's curve.

    panels  methods whose weighted loss terms are drawn below, on the same steps (default: finetune, lwf, ebll)
    which   `training`: the task being learned (default: the first one that has an old task); `task`: the old task that
            is measured, on its held-out inputs (default: the first); `warm_up=True`: also show the warm-up, when only
            the new head learns, at negative steps
    """
    table = feature_distance_table(curves, sequence, methods=methods, panels=panels, **which)
    training, task = table.attrs["training"], table.attrs["task"]
    distance, norm = (table[table["quantity"] == f"feature_{what}"] for what in ("distance", "norm"))
    names, below = styles(distance["method"]), _loss_panels(table, 1.2)
    shown = [Panel("feature distance\n‖F(x) − F*(x)‖", distance, names, height=2.6)]
    shown += [Panel("mean feature norm", norm, names, height=0), *below]
    held = f"held-out inputs of {task}" + (f" (top), training batches of {training} (below)" if below else "")
    figure, axes = _figure(table, shown, f"How far the features of {task} move", held)
    _share_scale(axes[1:], table)
    return figure


def loss_terms_table(
    curves: pd.DataFrame, sequence: str | None = None, methods: Names = None, **which: object
) -> pd.DataFrame:
    """Return what `loss_terms` draws: quantity (a weighted loss term), method, step, mean, low, high, seeds."""
    rows = _rows(curves, sequence, LOSSES, "loss terms", methods, **which)
    return _table(rows if methods else rows[rows["method"].isin(_usual(ordered(rows["method"])))])


@drawing()
def loss_terms(curves: pd.DataFrame, sequence: str | None = None, methods: Names = None, **which: object) -> Figure:
    """Draw the weighted terms of a method's loss over the steps, a panel a method (default: finetune, lwf, ebll).

    The scale is logarithmic when the peaks of two terms differ more than thirtyfold; a term of zero is then below it.
    which  training, task, warm_up as in `feature_distance`
    """
    table = loss_terms_table(curves, sequence, methods, **which)
    shown = _loss_panels(table, 1.6 if table["method"].nunique() > 1 else 2.8)
    figure, axes = _figure(table, shown, "Loss terms in competition", "training batches; each term with its weight")
    _share_scale(axes, table)
    return figure


def accuracy_over_steps_table(
    curves: pd.DataFrame, sequence: str | None = None, methods: Names = None, **which: object
) -> pd.DataFrame:
    """Return what `accuracy_over_steps` draws, in percent: quantity, method, step, mean, low, high, seeds.

    `quantity` is accuracy (of the old task) or accuracy_new.
    """
    rows = _rows(curves, sequence, ("accuracy", "accuracy_new"), "accuracy on an old task", methods, **which)
    for quantity, values in rows.groupby("quantity")["value"]:
        tables.check_fractions(values, f"The column {quantity} of the curves table")
    return _table(rows.assign(value=100 * rows["value"]))


@drawing()
def accuracy_over_steps(
    curves: pd.DataFrame, sequence: str | None = None, methods: Names = None, **which: object
) -> Figure:
    """Draw accuracy on an old task (above) and on the new one (below) while the new one is learned, in percent.

    which  training, task, warm_up as in `feature_distance`
    """
    table = accuracy_over_steps_table(curves, sequence, methods, **which)
    training, task = table.attrs["training"], table.attrs["task"]
    old, new = (words.shortened(name, 12) for name in (task, training))
    about = {"accuracy": f"accuracy on {old}\n(old task), %", "accuracy_new": f"accuracy on {new}\n(new task), %"}
    names = styles(table["method"])
    shown = [Panel(about[quantity], part, names) for quantity, part in table.groupby("quantity")]
    before = "; before step 0 only the new head learns" if table["step"].min() < 0 else ""
    held = f"held-out inputs of {task} (old) and {training} (new){before}"
    return _figure(table, shown, f"Accuracy on {task} and on {training}", held)[0]


def _rows(curves, sequence, quantities, what, methods=None, training=None, task=None, warm_up=False) -> pd.DataFrame:
    """Return a row per quantity, method, seed and step with its `value`, of one old task while one new task is learned.

    Empty values are left out, and those of a run that diverged. `what` is the first quantity in words; there must be
    some of it. Steps of the warm-up are negative.
    """
    key = ("sequence", "method", "seed", "training", "stage", "step", "task")
    rows = tables.check(curves, "curves", (*tables.CURVES, *quantities), key, quantities)
    rows = tables.of_sequence(rows, sequence)
    rows = rows[rows["task"].notna() & (rows["task"] != "")]  # while the first task is learned there is no old one
    if rows.empty:
        raise InputError("The curves table is about a first task only: there is no old task whose features could move.")
    old_tasks = rows.groupby("training", sort=False)["task"].nunique()
    training = old_tasks.idxmin() if training is None else check_choice(training, old_tasks.index, "training")
    rows = rows[rows["training"] == training]
    task = rows["task"].iloc[0] if task is None else check_choice(task, rows["task"].unique(), "old task")
    rows = rows[rows["task"] == task]
    trained, before = rows[rows["stage"] == "train"], rows[rows["stage"] != "train"]
    if trained.empty:
        raise InputError(f"The curves table has no rows of stage 'train' for {training}.")
    if len(before) and before["step"].max() >= 0:  # it counts from 0: its last step becomes -1
        before = before.assign(step=before["step"] - before["step"].max() - 1)
    rows = pd.concat([before, trained]) if warm_up else trained
    rows = rows[rows["method"].isin(tables.chosen(rows, methods))]
    names, keys = words.listed(ordered(rows["method"])), ["training", "task", "net", "method", "seed", "step"]
    rows = tables.finite(rows.melt(keys, list(quantities), "quantity", "value"))
    if next(iter(quantities)) not in set(rows["quantity"]):
        raise InputError(f"The curves table holds no {what} for {names}: all are empty.")
    return rows


def _usual(names: list[str]) -> list[str]:
    return [name for name in USUAL if name in names] or names[:3]


def _table(rows: pd.DataFrame) -> pd.DataFrame:
    """Return means and intervals; `attrs` name the new task, the old task and the network."""
    by = ["quantity", "method", "step"]
    table = tables.in_order(tables.intervals(rows, by), by, quantity=rows["quantity"].unique())
    table.attrs = {"training": rows["training"].iloc[0], "task": rows["task"].iloc[0], "net": tables.net_words(rows)}
    return table


def _figure(table: pd.DataFrame, panels: list[Panel], title: str, data: str) -> tuple[Figure, list[Axes]]:
    learned = f"while {table.attrs['training']} is learned"
    title, caption = f"{title} {learned} ({table.attrs['net']})", f"{words.seeds_words(table['seeds'])}; {data}."
    return line_figure(panels, "step", table, title, caption, f"optimiser step {learned}")


def _loss_panels(table: pd.DataFrame, height: float) -> list[Panel]:
    table = table[table["quantity"].isin(LOSSES)]
    terms = {loss: style for loss, style in LOSSES.items() if (table["quantity"] == loss).any()}
    return [
        Panel("weighted\nloss, nats", table[table["method"] == name], terms, "quantity", style.label, height)
        for name, style in styles(table["method"]).items()
    ]


def _share_scale(axes: list[Axes], table: pd.DataFrame) -> None:
    """Give panels of loss terms one vertical scale."""
    table = table[table["quantity"].isin(LOSSES)]
    peaks = table.groupby(["method", "quantity"])["mean"].max()
    peaks, top = peaks[peaks > 0], table[["mean", "high"]].max(axis=None) or 1.0
    log = len(peaks) > 0 and peaks.max() > 30 * peaks.min()
    for one in axes:
        if log:
            one.set_yscale("log")
            one.yaxis.set_major_formatter("{x:g}")
            one.yaxis.set_minor_formatter(LogFormatter())
        bottom = max(table.loc[table["mean"] > 0, "mean"].min(), peaks.min() / 100) if log else 0
        one.set_ylim(bottom, (1.6 if log else 1.05) * top)
