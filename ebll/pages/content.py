"""What the page shows: every cell of a sweep with its numbers, curve and seeds, counted and rounded."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from ebll.config import RunConfig
from ebll.errors import InputError
from ebll.plots.style import Style, styles
from ebll.sweeps import maps
from ebll.sweeps.indexed import Run, SweepIndex, Value
from ebll.sweeps.tables import plain

__all__ = ["MOST_CELLS", "MOST_STEPS", "content", "kinds_of", "offered_methods"]

MOST_STEPS = 60
"""Measurements of a curve that are shown; of more, as many, evenly spread."""
MOST_CELLS = 20_000
"""Combinations of settings, done or not, for one pair of tasks and one method."""

_PERCENT, _DISTANCE = 4, 4  # decimals of percent; significant digits of a distance


def content(index: SweepIndex) -> dict[str, Any]:
    """Everything that the page shows, as JSON can hold it.

    tasks, methods, data    what there is to choose from; a method has its axes, each with its values as text, the place
                            of the axis along the map's columns, those that may be its rows, and the kit's own settings
    ranges                  "task.method" -> data -> quantity -> ends of the colour scale, in %
    steps                   lists of optimiser steps, to which the curves of the cells refer
    cells                   "task.method.value.value..." (places in the lists above) -> a cell. Its accuracies and
                            forgetting are in %, rounded; what is not known is null

    raises  `InputError` where no run has ended, or there are too many combinations
    """
    offered = offered_methods(index)
    if not any(not run.failure for run in index.runs):
        first = next((run.failure for run in index.runs if run.failure), "")
        told = f"all {len(index.runs)} runs failed, the first with: {first}" if index.runs else "no run is done yet"
        raise InputError(f"There is nothing to show: {told}")
    shown = [*offered, *(name for name in maps.REFERENCES if name in index.methods and name not in offered)]
    made = _Cells(index, shown)
    ranges = {}
    for t, tasks in enumerate(index.tasks):
        for m, method in enumerate(offered):
            _check_size(index, method)
            made.add_all(tasks, method)
            ranges[f"{t}.{m}"] = {data: _ranges(index, maps.SweepView(tasks, method, data)) for data in maps.DATA}
    return {
        "tasks": [_task(name) for name in index.tasks],
        "methods": [_method(index, name) for name in offered],
        "kinds": {name: look.label for name, look in kinds_of(index).items()},
        "data": list(maps.DATA),
        "runs": len(index.runs),
        "failed": sum(bool(run.failure) for run in index.runs),
        "planned": index.planned,
        "seeds": len({run.seed for run in index.runs}),
        "thinned": made.thinned,
        "ranges": ranges,
        "steps": [list(steps) for steps in made.steps],
        "cells": made.cells,
    }


def offered_methods(index: SweepIndex) -> list[str]:
    """The methods to choose from, that with the most settings first: all but the references, if there are others."""
    offered = [name for name in index.methods if name not in maps.REFERENCES] or list(index.methods)
    return sorted(offered, key=lambda name: -_combinations(index, name))


def kinds_of(index: SweepIndex) -> dict[str, Style]:
    """The look of each method that the page shows, in the fixed order."""
    return styles([*offered_methods(index), *(name for name in maps.REFERENCES if name in index.methods)])


class _Cells:
    """Cells by key, and the lists of steps that they share."""

    def __init__(self, index: SweepIndex, methods: Sequence[str]) -> None:
        self._index, self._methods = index, list(methods)
        self.cells: dict[str, dict[str, Any]] = {}
        self.steps: dict[tuple[int, ...], int] = {}
        self.thinned = False

    def add_all(self, tasks: str, method: str) -> None:
        """Every cell of a method on some tasks that the table has, each as every map shows it."""
        axes = self._index.axes[method]
        for view, rows in _maps_of(self._index, tasks, method):
            for row in maps.map_cells(self._index, view).itertuples():
                if not row.planned:
                    continue
                along = {view.columns: row.column, view.rows: row.row}
                at = {name: along.get(name, value) for name, value in view.at.items()}
                cell = self._cell(tasks, method, {name: at[name] for name in axes})
                cell[view.data] = _figures(row)
                cell["front"][view.data] += [rows] if row.on_front else []

    def _cell(self, tasks: str, method: str, at: Mapping[str, Value]) -> dict[str, Any]:
        key = self._key(tasks, method, at)
        if key in self.cells:
            return self.cells[key]
        runs = self._index.found(tasks, method, at)
        view = maps.SweepView(tasks, method, **at)
        cell = {
            "done": [sum(not run.failure for run in runs), sum(bool(run.failure) for run in runs)],
            "planned": self._index.asked(tasks, method, at),
            "front": {data: [] for data in maps.DATA},
            "curve": self._curve(maps.distance_curves(self._index, view), method),
            "seeds": [_seed(run) for run in runs],
        }
        self.cells[key] = cell
        cell["references"] = self._references(view)
        return cell

    def _references(self, view: maps.SweepView) -> dict[str, str]:
        """Method -> key of the cell that stands beside this one."""
        found = {}
        own = self._index.constant[view.method] | view.at
        for name in maps.reference_points(self._index, view)["method"]:
            at = {axis: own[axis] for axis in self._index.axes[name]}
            found[name] = self._key(view.tasks, name, at)
            if found[name] not in self.cells:
                beside = self._cell(view.tasks, name, at)
                for data in maps.DATA:
                    (row,) = maps.map_cells(self._index, maps.SweepView(view.tasks, name, data, **at)).itertuples()
                    beside[data] = _figures(row)
        return found

    def _curve(self, curves: pd.DataFrame, method: str) -> list[Any] | None:
        """Place of its steps, then mean, lowest and highest distance there."""
        rows = curves[(curves["method"] == method) & (curves["seeds"] > 0)]
        if rows.empty:
            return None
        if len(rows) > MOST_STEPS:
            self.thinned = True
            rows = rows.iloc[sorted({round(i * (len(rows) - 1) / (MOST_STEPS - 1)) for i in range(MOST_STEPS)})]
        place = self.steps.setdefault(tuple(int(step) for step in rows["step"]), len(self.steps))
        return [place, *([_short(value) for value in rows[name]] for name in ("mean", "low", "high"))]

    def _key(self, tasks: str, method: str, at: Mapping[str, Value]) -> str:
        axes = self._index.axes[method]
        places = [values.index(at[name]) for name, values in axes.items()]
        return ".".join(map(str, [self._index.tasks.index(tasks), self._methods.index(method), *places]))


def _maps_of(index: SweepIndex, tasks: str, method: str) -> Iterator[tuple[maps.SweepView, int]]:
    """Every map that the page can show of a method, with the place of the setting along its rows among the axes."""
    axes = index.axes[method]
    columns, choices = _edges(index, method)
    for rows in choices or [""]:
        others = [name for name in axes if name not in (columns, rows)]
        for values in itertools.product(*(axes[name] for name in others)):
            at = {name: values[0] for name, values in axes.items()} | dict(zip(others, values, strict=True))
            for data in maps.DATA:
                yield maps.SweepView(tasks, method, data, columns, rows, **at), _place(axes, rows)


def _place(axes: Mapping[str, Any], name: str) -> int:
    return list(axes).index(name) if name else -1


def _edges(index: SweepIndex, method: str) -> tuple[str, list[str]]:
    """The setting along the columns of a map, and those that may stand along its rows, the usual one first."""
    view = maps.settled(index, maps.SweepView(method=method))
    others = [name for name in index.axes[method] if name not in (view.columns, view.rows)]
    return view.columns, [view.rows, *others] if view.rows else others


def _check_size(index: SweepIndex, method: str) -> None:
    if (count := _combinations(index, method)) > MOST_CELLS:
        told = ", ".join(f"{name} x {len(values)}" for name, values in index.axes[method].items())
        raise InputError(
            f"{method}: the values of {told} make {count:,} combinations; a page shows at most {MOST_CELLS:,}. Export "
            "the rows of fewer values."
        )


def _combinations(index: SweepIndex, method: str) -> int:
    return math.prod(map(len, index.axes[method].values()))


def _task(name: str) -> dict[str, str]:
    parts = name.split("-")
    old, new = parts if len(parts) == 2 else ("", "")
    return {"name": name, "old": old, "new": new}


def _method(index: SweepIndex, name: str) -> dict[str, Any]:
    axes = index.axes[name]
    columns, rows = _edges(index, name)
    usual = maps.settled(index, maps.SweepView(method=name)).at
    return {
        "name": name,
        "label": styles([name])[name].label,
        "axes": [_axis(axis, values) for axis, values in axes.items()],
        "columns": _place(axes, columns),
        "rows": [_place(axes, one) for one in rows],
        "usual": [values.index(usual[axis]) for axis, values in axes.items()],
        "constant": {key: plain(value) for key, value in index.constant[name].items()},
    }


def _axis(name: str, values: Iterable[Value]) -> dict[str, Any]:
    rules = RunConfig.metadata()[name]
    symbol = f" ({rules['symbol']})" if rules["symbol"] else ""
    hint = re.split(r"[:;,.]", rules["doc"])[0]
    return {"name": name, "label": name + symbol, "hint": hint, "values": [plain(value) for value in values]}


def _ranges(index: SweepIndex, view: maps.SweepView) -> dict[str, list[float] | None]:
    made = maps.quantity_ranges(index, view)
    return {name: None if math.isnan(low) else [_percent(low), _percent(high)] for name, (low, high) in made.items()}


def _figures(row: Any) -> list[float | None]:
    """Means of old, new and forgetting, then their standard deviations."""
    names = [*maps.QUANTITIES, *(f"{name}_sd" for name in maps.QUANTITIES)]
    return [_percent(getattr(row, name)) for name in names]


def _seed(run: Run) -> list[Any]:
    """The seed, then why it has no figures, or its figures by data."""
    if run.failure:
        return [run.seed, run.failure]
    return [run.seed, "", *([_percent(run.figures[data, name]) for name in maps.QUANTITIES] for data in maps.DATA)]


def _percent(value: float) -> float | None:
    return round(100 * value, _PERCENT) if math.isfinite(value) else None


def _short(value: float) -> float | None:
    return float(f"{value:.{_DISTANCE}g}") if math.isfinite(value) else None
