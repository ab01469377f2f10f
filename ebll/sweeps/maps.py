"""What a sweep's tables show for one choice of settings: maps over two of them, and all that hangs on one cell.

index = index_of(found)                          # a Sweep, its tables, a store, or None for the ready-made sweep
view = settled(index, SweepView(alpha=3.0))
map_cells(index, view)                           # a row a cell: means and spread over the seeds
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ebll.errors import InputError
from ebll.metrics import pareto_front
from ebll.sweeps.indexed import KNOBS, QUANTITIES, Run, SweepIndex, Value
from ebll.sweeps.ready import ready_sweep
from ebll.sweeps.sweep import load_sweep
from ebll.sweeps.tables import Sweep
from ebll.sweeps.view import DATA, SweepView, kept, main_method, nearest, settled

__all__ = [
    "DATA",
    "KNOBS",
    "QUANTITIES",
    "REFERENCES",
    "SweepIndex",
    "SweepView",
    "axes_of_table",
    "distance_curves",
    "index_of",
    "kept",
    "map_cells",
    "nearest",
    "quantity_ranges",
    "reference_points",
    "seed_distances",
    "seed_spread",
    "settled",
]

REFERENCES = ("finetune", "lwf")
"""Methods that stand beside the chosen one, where the sweep has them with the same settings."""

_APART = 0.02  # least width of a colour scale
_COURSE = ("step", "mean", "low", "high", "seeds")
_SUMMARY = [*QUANTITIES, *(f"{name}_sd" for name in QUANTITIES), "ended", "failed"]


def index_of(source: Any = None) -> SweepIndex:
    """The runs of a sweep, ready to be asked.

    source   a `Sweep`, which may still grow; anything with `.table` and `.curves`; the folder of a store; None for the
             ready-made sweep
    raises   `InputError` for anything else, for a store that is not there, and for finished tables without a run
    """
    if isinstance(source, Sweep):
        return SweepIndex(sweep=source)
    if source is None:
        source = ready_sweep()
    elif isinstance(source, str | Path):
        source = load_sweep(source)
        if lost := [*source.damaged, *source.unknown]:
            warnings.warn(f"{len(lost)} results could not be read and are left out: {', '.join(lost)}.", stacklevel=2)
    if not hasattr(source, "table") or not hasattr(source, "curves"):
        raise InputError(
            "sweep: what ebll.sweep returns, its tables, or the folder of its store; None for the ready-made sweep; "
            f"got {type(source).__name__}."
        )
    index = SweepIndex(source.table, source.curves)
    if not index.runs:
        raise InputError("sweep: there is no run in it. Make some, such as ebll.sweep({'alpha': [1.0, 3.0]}).")
    return index


def axes_of_table(table: pd.DataFrame, method: str = "") -> dict[str, tuple[Value, ...]]:
    """Setting -> its values in this table, numbers rising, of the settings that vary among the rows of a method.

    method   "" for the one with the most combinations
    """
    index = SweepIndex(table)
    return dict(index.axes[main_method(index, method)]) if index.methods else {}


def map_cells(index: SweepIndex, view: SweepView) -> pd.DataFrame:
    """A row a cell of the map of a settled view, row by row; combinations that the sweep does not have are there too.

    column, row                    values of the settings along the edges; "" where there is none
    old, new, forgetting           mean over the seeds that ended, 0..1; NaN without any
    old_sd, new_sd, forgetting_sd  sample standard deviation over them; NaN for fewer than two
    ended, failed                  seeds that have figures, and seeds that diverged or could not begin; both 0 where the
                                   sweep has no run
    planned                        seeds that there will be; more than both together while the sweep goes on
    chosen                         whether it is the cell that is looked at
    on_front                       whether no other cell is at least as good for both tasks and better for one; cells of
                                   which a seed failed do not take part
    """
    axes, at = index.axes.get(view.method, {}), view.at
    made = []
    for row in axes.get(view.rows, ("",)):
        for column in axes.get(view.columns, ("",)):
            here = at | ({view.columns: column} if view.columns else {}) | ({view.rows: row} if view.rows else {})
            runs = index.found(view.tasks, view.method, here)
            asked = index.asked(view.tasks, view.method, here)
            own = {"planned": asked, "chosen": here == at and bool(index.methods)}
            made.append({"column": column, "row": row, **_summary(runs, view.data), **own})
    points = [(one["new"], one["old"]) if not one["failed"] else (math.nan, math.nan) for one in made]
    for one, on_front in zip(made, pareto_front(points), strict=True):
        one["on_front"] = on_front
    return pd.DataFrame(made, columns=["column", "row", *_SUMMARY, "planned", "chosen", "on_front"])


def quantity_ranges(index: SweepIndex, view: SweepView) -> dict[str, tuple[float, float]]:
    """Quantity -> ends of its colour scale, the same for all settings of the view's tasks, method and data.

    From the best mean of a cell to that which a fifth of the cells is worse than, so that settings that went wrong do
    not take all colours; at least two points apart. (NaN, NaN) where nothing ended.
    """
    key = (view.tasks, view.method, view.data)
    if key not in index.cache:
        means = [_summary(runs, view.data) for runs in index.cells(view.tasks, view.method)]
        index.cache[key] = {name: _ends([one[name] for one in means], name == "forgetting") for name in QUANTITIES}
    return index.cache[key]


def distance_curves(index: SweepIndex, view: SweepView) -> pd.DataFrame:
    """M2 over the steps of the last task's training: the chosen cell, then the references on the same tasks.

    method, step  `REFERENCES` come with the settings that they share with the cell
    mean          over the seeds that ended and were measured at that step, and over the old tasks
    low, high     the lowest and the highest of these seeds
    seeds         how many they are
    """
    parts = {view.method: _chosen(index, view)} | _references(index, view)
    courses = [_course(runs) for runs in parts.values()]
    columns = (np.concatenate(column) for column in zip(*courses, strict=True))
    methods = np.repeat(np.array(list(parts), object), [len(steps) for steps, *_ in courses])
    return pd.DataFrame({"method": methods} | dict(zip(_COURSE, columns, strict=True)))


def seed_distances(index: SweepIndex, view: SweepView) -> pd.DataFrame:
    """M2 of every seed of the chosen cell: seed, step, distance, and failed, whether the run broke off."""
    runs = _chosen(index, view)
    counts = [len(run.steps) for run in runs]
    columns = {
        "seed": np.repeat(np.array([run.seed for run in runs], int), counts),
        "step": np.concatenate([np.empty(0), *(run.steps for run in runs)]).astype(int),
        "distance": np.concatenate([np.empty(0), *(run.distances for run in runs)]),
        "failed": np.repeat(np.array([bool(run.failure) for run in runs], bool), counts),
    }
    return pd.DataFrame(columns)


def seed_spread(index: SweepIndex, view: SweepView) -> pd.DataFrame:
    """A row a seed of the chosen cell: seed, old, new, forgetting (0..1, NaN if it failed) and failure, in words."""
    made = [
        {"seed": run.seed, **{name: run.figures[view.data, name] for name in QUANTITIES}, "failure": run.failure}
        for run in _chosen(index, view)
    ]
    return pd.DataFrame(made, columns=["seed", *QUANTITIES, "failure"])


def reference_points(index: SweepIndex, view: SweepView) -> pd.DataFrame:
    """A row a reference of the chosen cell: method, then means, spread and counts of seeds as in `map_cells`."""
    made = [{"method": name, **_summary(runs, view.data)} for name, runs in _references(index, view).items()]
    return pd.DataFrame(made, columns=["method", *_SUMMARY])


def _references(index: SweepIndex, view: SweepView) -> dict[str, list[Run]]:
    """Reference -> its runs on the same tasks, with the settings that it shares with the chosen cell."""
    chosen, made = index.constant.get(view.method, {}) | view.at, {}
    for method in REFERENCES:
        if method == view.method or method not in index.methods:
            continue
        axes, constant = index.axes[method], index.constant[method]
        differ = [name for name in constant if name != "log_every" and chosen.get(name) not in (None, constant[name])]
        at = {name: chosen[name] for name in axes if name in chosen}
        if not differ and len(at) == len(axes) and (runs := index.found(view.tasks, method, at)):
            made[method] = runs
    return made


def _chosen(index: SweepIndex, view: SweepView) -> list[Run]:
    return index.found(view.tasks, view.method, view.at)


def _summary(runs: Iterable[Run], data: str) -> dict[str, float]:
    runs = list(runs)
    ended = [run for run in runs if not run.failure]
    made: dict[str, float] = {}
    for name in QUANTITIES:
        values = [run.figures[data, name] for run in ended]
        mean = made[name] = math.fsum(values) / len(values) if values else math.nan
        squares = math.fsum((value - mean) ** 2 for value in values)
        made[f"{name}_sd"] = math.sqrt(squares / (len(values) - 1)) if len(values) > 1 else math.nan
    return made | {"ended": len(ended), "failed": len(runs) - len(ended)}


def _ends(values: list[float], falling: bool) -> tuple[float, float]:
    values = [value for value in values if math.isfinite(value)]
    if not values:
        return math.nan, math.nan
    worst = float(np.quantile(values, 0.8 if falling else 0.2))
    if falling:
        return min(values), max(worst, min(values) + _APART)
    return min(worst, max(values) - _APART), max(values)


def _course(runs: Iterable[Run]) -> tuple[np.ndarray, ...]:
    """Steps; mean, lowest and highest distance over the runs that ended; how many were measured there."""
    runs = [run for run in runs if not run.failure and len(run.steps)]
    steps = np.unique(np.concatenate([np.empty(0), *(run.steps for run in runs)])).astype(int)
    values = np.full((len(runs), len(steps)), np.nan)
    for row, run in zip(values, runs, strict=True):
        row[np.searchsorted(steps, run.steps)] = run.distances
    there = ~np.isnan(values)
    count = there.sum(axis=0)
    mean = values.sum(axis=0, where=there) / np.where(count, count, np.nan)
    low, high = (f(values, axis=0, initial=end, where=there) for f, end in ((np.min, np.inf), (np.max, -np.inf)))
    return steps, mean, *(np.where(count, edge, np.nan) for edge in (low, high)), count
