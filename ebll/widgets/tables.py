"""The tables and settings that the charts show, from what was recorded: what `Chart.show` takes."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ebll.plots.style import TERMS, styles

__all__ = ["LOSSES", "curves_of", "lab_tables", "submanifold_tables"]

LOSSES = [f"loss_{term}" for term in TERMS]
SHOWN = ["feature_distance", "accuracy", "accuracy_new"]


def curves_of(record: Mapping[str, Sequence[Mapping[str, Any]]]) -> pd.DataFrame:
    """The columns of the curves table that the chart shows: made ten times a second while a run goes on.

    record   method -> rows of its record so far
    """
    rows = [(name, row) for name, rows in record.items() for row in rows]
    losses = [name for name in LOSSES if any(name in row for _, row in rows)]
    columns = {column: [row.get(column, math.nan) for _, row in rows] for column in ["step", *SHOWN, *losses]}
    return pd.DataFrame({"method": [name for name, _ in rows], **columns})


def lab_tables(
    curves: pd.DataFrame, *, old: str, new: str, methods: Iterable[str] = (), terms_of: str = "", steps: int = 0,
    beside: pd.DataFrame | None = None, changes: Sequence[tuple[int, str]] = (), diverged: Collection[str] = (),
) -> tuple[dict[str, pd.DataFrame], dict[str, Any]]:  # fmt: skip
    """The data sets and the settings of a `lab_chart`, for `Chart.show`.

    curves    rows of one old task, as the record has them, with a column `method`; accuracies are shares, losses nats
    old, new  names of the tasks
    methods   those that have a row of bars, also before they have begun; those of the table if empty
    terms_of  the method whose weighted loss terms are shown; the last of the table if empty
    steps     where the horizontal axes end, in optimiser steps; the last step of the table if 0
    beside    runs to compare with, drawn faintly: such rows with a column `run` that names each run
    changes   (step, text) of what was changed in mid-run
    diverged  methods whose last point gets a cross
    """
    losses = [name for name in LOSSES if name in curves]
    # Arrays instead of pandas' own operations, since this is done ten times a second while a run goes on.
    held = {name: curves[name].to_numpy() if name in curves else np.array([]) for name in ["method", "step", *SHOWN]}
    held |= {name: curves[name].to_numpy() for name in losses}
    method, broken = held["method"], np.zeros(len(curves), bool)
    for name in diverged:
        broken[np.flatnonzero(method == name)[-1:]] = True
    terms_of = terms_of or (method[-1] if len(method) else "")
    mine = {name: held[name][method == terms_of].astype(float) for name in losses}
    highest = max([1.0, *(_largest(values) for values in mine.values())])
    names = list(styles(tuple(methods) or dict.fromkeys(method)))
    settings = {
        "old_task": old,
        "new_task": new,
        "methods": names,
        "steps": int(steps or held["step"].max(initial=1)),
        "top": _round_up(_largest(held["feature_distance"].astype(float))),
        "loss_top": float(10 ** np.ceil(np.log10(1.01 * highest))),
        "terms_of": terms_of,
        "terms_label": styles([terms_of])[terms_of].label if terms_of else "",
        # A legend without entries would have no size, and the chart none either.
        "terms": [name for name, values in mine.items() if not np.isnan(values).all()] or LOSSES,
    }
    table = pd.DataFrame({**held, "run": "", "diverged": broken})
    if beside is not None and len(beside):
        table = pd.concat([table, beside.reindex(columns=list(table)).assign(diverged=False)], ignore_index=True)
    tables = {"curves": table, "changes": pd.DataFrame(changes, columns=["step", "text"])}
    return tables | {"methods": pd.DataFrame({"method": names})}, settings


def submanifold_tables(history: Sequence[Any]) -> tuple[dict[str, pd.DataFrame], dict[str, Any]]:
    """The data sets and the settings of a `submanifold_chart`, for `Chart.show`.

    history   an `ebll.widgets.Explored` of each epoch of one fit, the newest last; to those before it the scrubber
              goes back
    """
    last = history[-1]
    left, right, bottom, top = last.extent
    tables = {
        "shares": pd.DataFrame(
            [
                {"epoch": one.epoch, "name": name, "accuracy": share, "missed": one.missed.get(name, np.nan)}
                for one in history
                for name, share in one.accuracy.items()
            ]
        ),
        "points": pd.concat([one.points.assign(epoch=one.epoch) for one in history]),
        "others": pd.DataFrame(np.asarray(last.others), columns=["x", "y"]),
        "holds": pd.concat(
            [
                pd.DataFrame({"epoch": one.epoch, "direction": np.arange(1, len(one.holds) + 1), "hold": one.holds})
                for one in history
            ]
        ),
        "field": pd.concat([_cells(one) for one in history]),
    }
    rows, columns = last.field.shape
    settings = {
        "x_range": [left, right],
        "y_range": [bottom, top],
        "half_cell": [(right - left) / (columns - 1) / 2, (top - bottom) / (rows - 1) / 2],
        "e4_top": float(np.nanquantile(np.asarray(last.field), 0.98)) or 1e-9,
        "directions": len(last.holds),
        "code_size": last.config.code_size,
    }
    return tables, settings


def _cells(one: Any) -> pd.DataFrame:
    """Centre and E4 of each cell of the field, whose outer cells are centred on the edges of the plane."""
    field = np.asarray(one.field)
    left, right, bottom, top = one.extent
    x, y = np.meshgrid(np.linspace(left, right, field.shape[1]), np.linspace(bottom, top, field.shape[0]))
    return pd.DataFrame({"epoch": one.epoch, "x": x.ravel(), "y": y.ravel(), "e4": field.ravel()})


def _largest(values: np.ndarray) -> float:
    """The largest finite value, or 0."""
    return float(np.max(values, where=np.isfinite(values), initial=0.0))


def _round_up(value: float) -> float:
    """The limit of an axis: it grows in large steps, so that the axis seldom moves while a run goes on."""
    value = min(max(1.05 * float(value), 1.0), 1e15)
    power = 10 ** np.floor(np.log10(value))
    return float(next(step * power for step in (1, 1.5, 2.5, 4, 6, 10) if step * power >= value))
