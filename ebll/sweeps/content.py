"""The cells of a sweep as JSON, for the front end of the explorer and of the page: `front/explorer.js` reads it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import pandas as pd

from ebll.config import RunConfig
from ebll.plots.style import METHODS
from ebll.sweeps.maps import DATA, QUANTITIES, Maps
from ebll.sweeps.view import label_of, settled
from ebll.widgets.controls import NAMES

__all__ = ["content"]


def content(maps: Maps) -> dict[str, Any]:
    """Everything that the front end shows.

    tasks, data     what there is to choose from
    methods         name -> its label; its axes, setting -> values; its usual view; its constant settings
    settings        name of an axis -> its name in words, the same with its symbol, and what it does
    ranges          tasks -> method -> data -> quantity -> ends of the colour scale, in %
    cells           a list: tasks and method; `at`, values of the method's axes; `done`, seeds that ended and that
                    failed; `planned`; for each data old, new and forgetting in % and their standard deviations;
                    `curve`, the place of its steps in `steps`, then mean, low and high; `seeds`, each with its failure
                    or its numbers by data; `beside`, method -> place of the cell beside it
    """
    rows = maps.cells.astype(object).where(maps.cells.notna(), None)
    curves = dict(list(maps.curves.groupby("cell")))
    seeds = dict(list(maps.runs.groupby("cell")))
    steps: dict[tuple, int] = {}
    cells = []
    for cell, row in zip(rows.index, rows.to_dict("records"), strict=True):
        made = {name: row[name] for name in ("tasks", "method", "planned")}
        made["at"] = [row[name] for name in maps.axes[row["method"]]]
        made["done"] = [row["ended"], row["failed"]]
        for data in DATA:
            names = [f"{name}_{data}" for name in QUANTITIES]
            made[data] = [_percent(row[name]) for name in (*names, *(f"{name}_sd" for name in names))]
        made["curve"] = _curve(curves.get(cell), steps)
        made["seeds"] = [_seed(run) for run in seeds[cell].to_dict("records")] if cell in seeds else []
        made["beside"] = maps.beside[cell]
        cells.append(made)
    axes = dict.fromkeys(name for own in maps.axes.values() for name in own)
    main = settled(maps)["method"]
    return {
        "tasks": list(maps.tasks),
        "data": list(DATA),
        "methods": {name: _method(maps, name) for name in sorted(maps.methods, key=lambda name: name != main)},
        "settings": {name: {"name": NAMES.get(name, name), "label": label_of(name),
                            "hint": RunConfig.metadata()[name]["doc"]} for name in axes},
        "ranges": {tasks: {method: {data: _ranges(maps, tasks, method, data) for data in DATA}
                           for method in maps.methods} for tasks in maps.tasks},
        "runs": len(maps.runs),
        "failed": int((maps.runs["failure"] != "").sum()),
        "planned": maps.planned,
        "seeds": int(maps.runs["seed"].nunique()),
        "steps": [list(one) for one in steps],
        "cells": cells,
    }  # fmt: skip


def _method(maps: Maps, name: str) -> dict[str, Any]:
    label = METHODS[name].label if name in METHODS else name
    axes = {axis: list(values) for axis, values in maps.axes[name].items()}
    return {"label": label, "axes": axes, "usual": settled(maps, {"method": name}), "constant": maps.constant[name]}


def _curve(rows: pd.DataFrame | None, steps: dict[tuple, int]) -> list[Any] | None:
    if rows is None:
        return None
    place = steps.setdefault(tuple(int(step) for step in rows["step"]), len(steps))
    return [place, *([_short(value) for value in rows[name]] for name in ("mean", "low", "high"))]


def _seed(run: dict[str, Any]) -> list[Any]:
    """The seed, then why it has no numbers, or "" and its numbers by data."""
    if run["failure"]:
        return [run["seed"], run["failure"]]
    return [run["seed"], "", *([_percent(run[f"{name}_{data}"]) for name in QUANTITIES] for data in DATA)]


def _ranges(maps: Maps, *which: str) -> dict[str, list[float] | None]:
    ends: Iterable = maps.ranges(*which).items()
    return {name: None if math.isnan(low) else [_percent(low), _percent(high)] for name, (low, high) in ends}


def _percent(value: float | None) -> float | None:
    return round(100 * value, 4) if value is not None and math.isfinite(value) else None


def _short(value: float) -> float | None:
    return float(f"{value:.4g}") if math.isfinite(value) else None
