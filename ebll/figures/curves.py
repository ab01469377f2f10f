"""Pictures over training steps: how far an old task's features move, and which loss terms compete meanwhile.

This room knows the curves table; it measures nothing itself.
"""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from ebll.errors import InputError, check_choice

from . import alt, layout, lines, tables
from .lines import LOSSES
from .moment import means, moment
from .picture import Picture
from .style import TERMS, looks, ordered, styled

__all__ = ["feature_distance", "feature_distance_table", "loss_terms", "loss_terms_table"]

PANELS = ("finetune", "lwf", "ebll")


def feature_distance_table(
    curves: pd.DataFrame, sequence: str | None = None, *, training: str | None = None, task: str | None = None,
    methods: Iterable[str] | None = None, panels: Iterable[str] | None = None, warm_up: bool = False,
) -> pd.DataFrame:  # fmt: skip
    """Return what `feature_distance` draws: quantity, method, step, mean, low, high (95 % interval), seeds.

    `quantity` is feature_distance (all steps, all methods), feature_norm (first and last step, all methods) or a
    weighted loss term (all steps, methods in `panels`). Arguments: see `feature_distance`.
    """
    rows = moment(curves, sequence, training, task, warm_up, ("feature_distance", "feature_norm", *LOSSES))
    names = tables.chosen(rows, methods)
    rows = rows[rows["method"].isin(names)]
    below = rows[rows["method"].isin(_panels(names, panels))]
    ends = rows.groupby("method", observed=True)["step"]
    ends = rows[(rows["step"] == ends.transform("min")) | (rows["step"] == ends.transform("max"))]
    parts = [means(rows, "feature_distance"), means(ends, "feature_norm"), *(means(below, loss) for loss in LOSSES)]
    if parts[0].empty:
        raise InputError(f"The curves table holds no feature distance for {alt.listed(names)}: all are empty.")
    return pd.concat([part for part in parts if len(part)], ignore_index=True)


@styled
def feature_distance(
    curves: pd.DataFrame, sequence: str | None = None, *, training: str | None = None, task: str | None = None,
    methods: Iterable[str] | None = None, panels: Iterable[str] | None = None, warm_up: bool = False,
) -> Picture:  # fmt: skip
    """Draw how far the features of an old task move while a new one is learned: the paper's curve.

    curves    the curves table: one row per (step, measured old task); distance and norm in units of the features
    sequence  id of the sequence, as in the table; may be left out where it holds one
    training  the task being learned (default: the first one that has an old task)
    task      the old task that is measured, on its held-out inputs (default: the first)
    methods   which methods (default: all in the table)
    panels    methods whose weighted loss terms are drawn below, on the same steps (default: finetune, lwf, ebll)
    warm_up   also show the warm-up, at negative steps

    Lines are means over seeds; bands are 95 % t-intervals of these means, missing where there is one seed.
    """
    options = {"training": training, "task": task, "warm_up": warm_up}
    table = feature_distance_table(curves, sequence, methods=methods, panels=panels, **options)
    rows = moment(curves, sequence, **options)
    training, task, net = rows["training"].iloc[0], rows["task"].iloc[0], tables.net_words(rows)
    distance = table[table["quantity"] == "feature_distance"]
    below = ordered(table.loc[table["quantity"].isin(LOSSES), "method"])
    norms = _norm_words(table)
    words = tables.seeds_words(distance["seeds"])
    title = f"How far the features of {task} move while {training} is learned ({net})"
    caption = (
        f"{words[0].upper()}{words[1:]}; held-out inputs of {task}"
        f"{f' (top), training batches of {training} (below)' if len(below) else ''}. "
        f"{norms}"
        f"{_floor_words(below, table)}"
    )
    picture = layout.compose(title, caption, height=2.6 + 1.1 * len(below) + 0.35)
    axes = lines.stack(picture, [2.6] + [1.1] * len(below))
    lines.draw_lines(axes[0], distance, "method", looks(distance["method"]), markers=True)
    axes[0].set_ylim(bottom=0)
    axes[0].set_ylabel("feature distance\n‖F(x) − F*(x)‖")
    lines.draw_terms(axes[1:], table, below)
    axes[-1].set_xlabel(f"optimiser step while {training} is learned")
    text = alt.sentences(title, *_course_words(distance), norms, *_ends_words(table, below), caption.split(". ")[0])
    return layout.finish(picture, table, text)


def loss_terms_table(
    curves: pd.DataFrame, sequence: str | None = None, methods: str | Iterable[str] | None = None, *,
    training: str | None = None, warm_up: bool = False,
) -> pd.DataFrame:  # fmt: skip
    """Return what `loss_terms` draws: quantity (a weighted loss term), method, step, mean, low, high, seeds."""
    rows = moment(curves, sequence, training, None, warm_up, LOSSES)
    names = tables.chosen(rows, PANELS if methods is None else methods)
    rows = rows[rows["method"].isin(names)]
    parts = [part for loss in LOSSES if len(part := means(rows, loss))]
    if not parts:
        raise InputError(f"The curves table holds no loss terms for {alt.listed(names)}: all of them are empty.")
    return pd.concat(parts, ignore_index=True)


@styled
def loss_terms(
    curves: pd.DataFrame, sequence: str | None = None, methods: str | Iterable[str] | None = None, *,
    training: str | None = None, warm_up: bool = False,
) -> Picture:  # fmt: skip
    """Draw the weighted loss terms that compete while a task is learned, one panel per method on the same axes.

    curves    the curves table; loss terms as they enter the sum that is minimised, in nats
    sequence  id of the sequence, as in the table; may be left out where it holds one
    methods   one method or several (default: finetune, lwf, ebll)
    training  the task being learned (default: the first one that has an old task)
    warm_up   also show the warm-up, at negative steps

    Lines are means over seeds; bands are 95 % t-intervals of these means. The scale is logarithmic when the peaks of
    two terms differ more than thirtyfold; a term of zero then lies on the lower edge.
    """
    table = loss_terms_table(curves, sequence, methods, training=training, warm_up=warm_up)
    rows = moment(curves, sequence, training, None, warm_up)
    names, training = ordered(table["method"]), rows["training"].iloc[0]
    title = f"Loss terms in competition while {training} is learned ({tables.net_words(rows)})"
    words = tables.seeds_words(table["seeds"])
    height = 1.6 if len(names) > 1 else 2.8
    caption = f"{words[0].upper()}{words[1:]}; training batches; each term with its weight.{_floor_words(names, table)}"
    picture = layout.compose(title, caption, height=height * len(names) + 0.35)
    axes = lines.stack(picture, [height] * len(names))
    lines.draw_terms(axes, table, names)
    axes[-1].set_xlabel(f"optimiser step while {training} is learned")
    return layout.finish(picture, table, alt.sentences(title, *_ends_words(table, names, peaks=True), caption))


def _floor_words(methods: list[str], table: pd.DataFrame) -> str:
    """What a reader of the loss panels must know of distillation, where it is drawn."""
    if not methods or "loss_distill" not in set(table["quantity"]):
        return ""
    return " Distillation cannot fall below the entropy of the old answers."


def _panels(names: list[str], panels: Iterable[str] | None) -> list[str]:
    if panels is not None:
        return ordered(check_choice(panel, names, "panel") for panel in panels)
    return [name for name in PANELS if name in names] or names[:3]


def _norm_words(table: pd.DataFrame) -> str:
    norms = table[table["quantity"] == "feature_norm"]
    if norms.empty:
        return ""
    start = norms.loc[norms["step"] == norms["step"].min(), "mean"].mean()
    last = norms.groupby("method", sort=False)["mean"].last().sort_values()
    last = last if len(last) <= 3 else last.iloc[[0, -1]]
    parts = [f"{alt.number(v)} ({looks([m])[m].label})" for m, v in last.items()]
    ends = " to ".join(parts) if norms["method"].nunique() > 3 else alt.listed(parts)
    return f"Mean feature norm: {alt.number(start)} at the start; at the end {ends}."


def _course_words(distance: pd.DataFrame) -> list[str]:
    groups = {m: distance[distance["method"] == m] for m in ordered(distance["method"])}
    names = looks(groups)
    return [f"{names[m].label}: {alt.course(rows['step'], rows['mean'])}" for m, rows in groups.items()]


def _ends_words(table: pd.DataFrame, methods: list[str], peaks: bool = False) -> list[str]:
    """Return for each method the last value (and the peak) of each of its weighted loss terms."""
    out = []
    for method in methods:
        parts = []
        for term, look in TERMS.items():
            values = table.loc[(table["method"] == method) & (table["quantity"] == f"loss_{term}"), "mean"]
            if len(values):
                peak = f" (peak {alt.number(values.max())})" if peaks else ""
                parts.append(f"{look.label} {alt.number(values.iloc[-1])}{peak}")
        out.append(f"Weighted loss terms of {looks([method])[method].label} at the end: {alt.listed(parts)}")
    return out
