"""Plots over the steps of training: feature distance, loss terms, and accuracy on an old and a new task."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter

from ebll.errors import check_choice

from . import tables, words
from .figure import finish
from .lines import Panel, line_figure
from .style import TERMS, drawing, ordered, styles

__all__ = [
    "accuracy_over_steps", "accuracy_over_steps_table", "feature_distance", "feature_distance_table", "loss_terms",
    "loss_terms_table",
]  # fmt: skip

LOSSES = {f"loss_{term}": style for term, style in TERMS.items()}
USUAL = ("finetune", "lwf", "ebll")


def feature_distance_table(curves: pd.DataFrame, sequence: str | None = None, **options: object) -> pd.DataFrame:
    """Return what `feature_distance` draws: quantity, method, step, mean, low, high, seeds.

    `quantity` is feature_distance (all steps, all methods), feature_norm (first and last step, all methods) or a
    weighted loss term (all steps, methods in `panels`).
    """
    return tables.curve_table(_distance_rows(curves, sequence, **options))


@drawing()
def feature_distance(
    curves: pd.DataFrame, sequence: str | None = None, *, training: str | None = None, task: str | None = None,
    methods: Iterable[str] | None = None, panels: Iterable[str] | None = None, warm_up: bool = False,
) -> Figure:  # fmt: skip
    """Draw how far the features of an old task move while a new one is learned: the paper's curve.

    training  the task being learned (default: the first one that has an old task)
    task      the old task that is measured, on its held-out inputs (default: the first)
    panels    methods whose weighted loss terms are drawn below, on the same steps (default: finetune, lwf, ebll)
    warm_up   also show the warm-up, when only the new head learns, at negative steps
    """
    options = {"training": training, "task": task, "methods": methods, "panels": panels, "warm_up": warm_up}
    rows = _distance_rows(curves, sequence, **options)
    table, (training, task, net) = tables.curve_table(rows), tables.where(rows)
    distance, norm = (rows[rows["quantity"] == f"feature_{what}"] for what in ("distance", "norm"))
    shown = [Panel("feature distance\n‖F(x) − F*(x)‖", distance, styles(distance["method"]), height=2.6)]
    shown += _loss_panels(rows, 1.2)
    title = f"How far the features of {task} move while {training} is learned ({net})"
    held = f"held-out inputs of {task}" + (f" (top), training batches of {training} (below)" if shown[1:] else "")
    caption = f"{words.seeds_words(table['seeds'])}; {held}."
    figure, axes = line_figure(shown, "step", title, caption, f"optimiser step while {training} is learned")
    _share_scale(axes[1:], table)
    norms = Panel("mean feature norm", norm, shown[0].styles)
    return finish(figure, table, title, *(panel.words("step") for panel in [shown[0], norms, *shown[1:]]), caption)


def loss_terms_table(
    curves: pd.DataFrame, sequence: str | None = None, methods: str | Iterable[str] | None = None, **options: object
) -> pd.DataFrame:
    """Return what `loss_terms` draws: quantity (a weighted loss term), method, step, mean, low, high, seeds."""
    return tables.curve_table(_loss_rows(curves, sequence, methods, **options))


@drawing()
def loss_terms(
    curves: pd.DataFrame, sequence: str | None = None, methods: str | Iterable[str] | None = None, *,
    training: str | None = None, warm_up: bool = False,
) -> Figure:  # fmt: skip
    """Draw the weighted terms of a method's loss over the steps, a panel a method (default: finetune, lwf, ebll).

    The scale is logarithmic when the peaks of two terms differ more than thirtyfold; a term of zero is then below it.
    """
    rows = _loss_rows(curves, sequence, methods, training=training, warm_up=warm_up)
    table, (training, _, net) = tables.curve_table(rows), tables.where(rows)
    shown = _loss_panels(rows, 1.6 if rows["method"].nunique() > 1 else 2.8)
    title = f"Loss terms in competition while {training} is learned ({net})"
    caption = f"{words.seeds_words(table['seeds'])}; training batches; each term with its weight."
    figure, axes = line_figure(shown, "step", title, caption, f"optimiser step while {training} is learned")
    _share_scale(axes, table)
    return finish(figure, table, title, *(panel.words("step") for panel in shown), caption)


def accuracy_over_steps_table(curves: pd.DataFrame, sequence: str | None = None, **options: object) -> pd.DataFrame:
    """Return what `accuracy_over_steps` draws, in percent: quantity, method, step, mean, low, high, seeds.

    `quantity` is accuracy (of the old task) or accuracy_new.
    """
    return tables.curve_table(_accuracy_rows(curves, sequence, **options))


@drawing()
def accuracy_over_steps(
    curves: pd.DataFrame, sequence: str | None = None, *, training: str | None = None, task: str | None = None,
    methods: str | Iterable[str] | None = None, warm_up: bool = False,
) -> Figure:  # fmt: skip
    """Draw accuracy on an old task (above) and on the new one (below) while the new one is learned, in percent.

    training, task, warm_up  as in `feature_distance`
    """
    options = {"training": training, "task": task, "methods": methods, "warm_up": warm_up}
    rows = _accuracy_rows(curves, sequence, **options)
    table, (training, task, net) = tables.curve_table(rows), tables.where(rows)
    old, new = (words.shortened(name, 12) for name in (task, training))
    about = {"accuracy": f"accuracy on {old}\n(old task), %", "accuracy_new": f"accuracy on {new}\n(new task), %"}
    names, parts = styles(rows["method"]), {quantity: rows[rows["quantity"] == quantity] for quantity in about}
    shown = [Panel(about[quantity], part, names) for quantity, part in parts.items() if len(part)]
    title = f"Accuracy on {task} and on {training} while {training} is learned ({net})"
    before = "; before step 0 only the new head learns" if rows["step"].min() < 0 else ""
    caption = f"{words.seeds_words(table['seeds'])}; held-out inputs of {task} (old) and {training} (new){before}."
    figure, _ = line_figure(shown, "step", title, caption, f"optimiser step while {training} is learned")
    return finish(figure, table, title, *(panel.words("step") for panel in shown), caption)


def _distance_rows(curves, sequence, *, methods=None, panels=None, **where) -> pd.DataFrame:
    quantities = ["feature_distance", "feature_norm", *LOSSES]
    rows = tables.select_curves(curves, sequence, quantities, methods, **where)
    names = ordered(rows["method"])
    below = _usual(names) if panels is None else [check_choice(panel, names, "panel") for panel in panels]
    steps = rows.groupby("method")["step"]
    ends = (rows["step"] == steps.transform("min")) | (rows["step"] == steps.transform("max"))
    rows = rows.assign(feature_norm=rows["feature_norm"].where(ends))
    rows = rows.assign(**{loss: rows[loss].where(rows["method"].isin(below)) for loss in LOSSES})
    return tables.in_rows(rows, quantities, "feature distance")


def _loss_rows(curves, sequence, methods=None, **where) -> pd.DataFrame:
    rows = tables.select_curves(curves, sequence, LOSSES, methods, **where)
    names = _usual(ordered(rows["method"])) if methods is None else ordered(rows["method"])
    return tables.in_rows(rows[rows["method"].isin(names)], LOSSES, "loss terms")


def _accuracy_rows(curves, sequence, *, methods=None, **where) -> pd.DataFrame:
    rows = tables.select_curves(curves, sequence, ["accuracy", "accuracy_new"], methods, **where)
    for quantity in ("accuracy", "accuracy_new"):
        tables.check_fractions(rows[quantity], f"The column {quantity} of the curves table")
    rows = tables.in_rows(rows, ["accuracy", "accuracy_new"], "accuracy on an old task")
    return rows.assign(value=100 * rows["value"])


def _usual(names: list[str]) -> list[str]:
    return [name for name in USUAL if name in names] or names[:3]


def _loss_panels(rows: pd.DataFrame, height: float) -> list[Panel]:
    rows = rows[rows["quantity"].isin(LOSSES)]
    terms = {loss: style for loss, style in LOSSES.items() if (rows["quantity"] == loss).any()}
    return [
        Panel("weighted\nloss, nats", rows[rows["method"] == name], terms, "quantity", style.label, height)
        for name, style in styles(rows["method"]).items()
    ]


def _share_scale(axes: list[Axes], table: pd.DataFrame) -> None:
    """Give panels of loss terms one vertical scale; after drawing, since seaborn would average logarithms."""
    table = table[table["quantity"].isin(LOSSES)]
    peaks = table.groupby(["method", "quantity"])["mean"].max()
    peaks, top = peaks[peaks > 0], table[["mean", "high"]].max(axis=None) or 1.0
    log = len(peaks) > 0 and peaks.max() > 30 * peaks.min()
    for one in axes:
        if log:
            one.set_yscale("log")
            one.yaxis.set_major_formatter("{x:g}")
            one.yaxis.set_minor_formatter(LogFormatter())
            one.set_ylim(max(table.loc[table["mean"] > 0, "mean"].min(), peaks.min() / 100), 1.6 * top)
        else:
            one.set_ylim(0, 1.05 * top)
