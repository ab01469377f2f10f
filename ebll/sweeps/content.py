"""The cells of a sweep as JSON, for the front end of the explorer and of the page: `front/explorer.js` reads it."""

from __future__ import annotations

import math
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
    measured = {data: [f"{name}_{data}" for name in QUANTITIES] for data in DATA}
    curves, steps = dict(list(maps.curves.groupby("cell"))), {}
    seeds: dict[int, list[Any]] = {}
    for run in _records(maps.runs):
        numbers = [] if run["failure"] else [[run[name] for name in names] for names in measured.values()]
        seeds.setdefault(run["cell"], []).append([run["seed"], run["failure"], *numbers])
    cells = []
    for cell, row in zip(maps.cells.index, _records(maps.cells), strict=True):
        made = {name: row[name] for name in ("tasks", "method", "planned")}
        made |= {"at": [row[name] for name in maps.axes[row["method"]]], "done": [row["ended"], row["failed"]]}
        made |= {data: [row[f"{name}{sd}"] for sd in ("", "_sd") for name in names] for data, names in measured.items()}
        made |= {"curve": None, "seeds": seeds.get(cell, []), "beside": maps.beside[cell]}
        if (rows := curves.get(cell)) is not None:
            place = steps.setdefault(tuple(map(int, rows["step"])), len(steps))
            made["curve"] = [place, *([float(f"{v:.4g}") for v in rows[name]] for name in ("mean", "low", "high"))]
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


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows, what is measured in % with four decimals, None for what is not known."""
    measured = [name for name in frame if name.startswith(tuple(f"{quantity}_" for quantity in QUANTITIES))]
    frame = frame.assign(**(100 * frame[measured]).round(4)).astype(object)
    return frame.where(frame.notna(), None).to_dict("records")


def _method(maps: Maps, name: str) -> dict[str, Any]:
    label = METHODS[name].label if name in METHODS else name
    axes = {axis: list(values) for axis, values in maps.axes[name].items()}
    return {"label": label, "axes": axes, "usual": settled(maps, {"method": name}), "constant": maps.constant[name]}


def _ranges(maps: Maps, *which: str) -> dict[str, list[float] | None]:
    ends = maps.ranges(*which).items()
    return {
        name: None if math.isnan(low) else [round(100 * low, 4), round(100 * high, 4)] for name, (low, high) in ends
    }
