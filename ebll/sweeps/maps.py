"""What a sweep's tables show, cell by cell: a cell is a combination of settings, its numbers are over its seeds.

maps = maps_of(found)            # a Sweep, its tables, the folder of a store, or None for the precomputed sweep
maps.cells                       # a row a cell: settings, means and standard deviations
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ebll.errors import InputError
from ebll.metrics import pareto_front
from ebll.sweeps.precomputed import precomputed_sweep
from ebll.sweeps.sweep import SETTINGS, Sweep, load_sweep, plain, settings_row

__all__ = ["DATA", "KNOBS", "QUANTITIES", "REFERENCES", "Maps", "map_cells", "maps_of"]

DATA = ("validation", "test")
"""Settings are chosen on the first."""
QUANTITIES = ("old", "new", "forgetting")
REFERENCES = ("finetune", "lwf")
"""Methods that stand beside a cell, where the sweep has them with the same settings."""
KNOBS = tuple(name for name in SETTINGS if name not in ("tasks", "method", "seed"))
"""Settings that may differ between the cells of a method on some tasks."""

_OF_TEST = {"old": "old_test", "new": "new_test", "forgetting": "forgetting_test"}
_MEASURED = [f"{name}_{data}" for data in DATA for name in QUANTITIES]
_OF_CURVES = ("training", "stage", "step", "task", "feature_distance", "accuracy")
_APART = 0.02  # least width of a colour scale


class Maps:
    """The cells of a sweep.

    Args:
        table, curves: as `ebll.sweeps.Sweep` has them. Without curves there are no distances, and no forgetting on
            validation images. Of two rows of the same run the later counts.
        planned: settings of runs that there will be, a row each as in `table`.

    Attributes:
        runs: a row a run: `cell`, `seed`, `failure`, and `old`, `new` and `forgetting`, each for `_validation` and
            `_test`, 0..1. Forgetting on validation images is M5 of the curves' held-out inputs.
        cells: a row a cell, by its number: tasks, method, `KNOBS` (NaN for what the method does not have); the columns
            of `runs` as means over the seeds that ended, and with `_sd` their sample standard deviations; how many
            seeds have `ended`, `failed` and are `planned`.
        curves: cell, step, mean, low, high, seeds: M2 while the last task is trained, mean over the old tasks; mean,
            lowest and highest over the seeds that ended and were measured there, and how many they are.
        axes: method -> setting -> its values, rising, of the settings that vary among its cells.
        constant: method -> setting -> its value, of the others.

    Raises:
        InputError: columns are missing, or hold what they should not.
    """

    def __init__(
        self, table: pd.DataFrame, curves: pd.DataFrame | None = None, planned: pd.DataFrame | None = None
    ) -> None:
        runs = _runs(table, planned)
        if curves is not None and len(curves):
            courses = _of_runs(_checked(curves, (*SETTINGS, *_OF_CURVES), "curves"), runs)
            runs["forgetting_validation"] = _forgotten(courses).reindex(runs.index)
        runs.loc[~runs["ended"], _MEASURED] = math.nan
        runs["cell"] = runs.groupby(["tasks", "method", *KNOBS], dropna=False, sort=False).ngroup()
        groups = runs.groupby("cell")
        self.cells = runs.drop_duplicates("cell").set_index("cell")[["tasks", "method", *KNOBS]]
        self.cells = self.cells.join([groups[_MEASURED].mean(), groups[_MEASURED].std().add_suffix("_sd")])
        self.cells["ended"] = groups["ended"].sum()
        self.cells["failed"] = (runs["failure"] != "").groupby(runs["cell"]).sum()
        self.cells["planned"] = groups.size()
        self.curves = pd.DataFrame(columns=["cell", "step", "mean", "low", "high", "seeds"])
        if curves is not None and len(curves):
            self.curves = _distances(courses[runs["ended"].loc[courses["run"]].to_numpy()], runs["cell"])
        self.planned = len(runs)
        self.runs = runs.loc[runs["ended"] | (runs["failure"] != ""), ["cell", "seed", "failure", *_MEASURED]]
        self.tasks, self.methods = (tuple(dict.fromkeys(self.cells[name])) for name in ("tasks", "method"))
        self.axes: dict[str, dict[str, tuple]] = {}
        self.constant: dict[str, dict[str, Any]] = {}
        for method, own in self.cells.groupby("method", sort=False):
            values = {name: sorted(own[name].dropna().unique().tolist(), key=_rank) for name in KNOBS}
            self.axes[method] = {name: tuple(found) for name, found in values.items() if len(found) > 1}
            self.constant[method] = {name: found[0] for name, found in values.items() if len(found) == 1}

    @functools.cached_property
    def beside(self) -> dict[int, dict[str, int]]:
        """Cell -> method of `REFERENCES` -> its cell on the same tasks, with the settings that both methods have."""
        found: dict[int, dict[str, int]] = {cell: {} for cell in self.cells.index}
        there = self.cells[self.cells["ended"] + self.cells["failed"] > 0].reset_index()
        for method in self.methods:
            own = self.cells[self.cells["method"] == method].reset_index()
            has = {*self.axes[method], *self.constant[method]}
            for other in REFERENCES:
                if other == method or other not in self.methods or not has.issuperset(self.axes[other]):
                    continue
                same = [*self.axes[other], *(has & {*self.constant[other]} - {"log_every"})]
                rows = there[there["method"] == other]
                for pair in own.merge(rows, on=["tasks", *same], suffixes=("", "_other")).itertuples():
                    found[pair.cell][other] = pair.cell_other
        return found

    def ranges(self, tasks: str, method: str, data: str) -> dict[str, tuple[float, float]]:
        """Quantity -> ends of its colour scale, the same for all maps of a method on these tasks.

        From the best mean of a cell to that which a fifth of the cells is worse than, so that settings that went wrong
        do not take all colours; at least two points apart. NaN where nothing ended.
        """
        rows = self.cells[(self.cells["tasks"] == tasks) & (self.cells["method"] == method)]
        return {name: _ends(rows[f"{name}_{data}"].dropna(), name == "forgetting") for name in QUANTITIES}


def maps_of(source: Any = None) -> Maps:
    """The cells of a sweep.

    source   a `Sweep`; anything with `.table` and `.curves`; the folder of a store; None for the precomputed sweep
    raises   `InputError` for anything else, and for a sweep in which there is nothing
    """
    if isinstance(source, str | Path):
        source = load_sweep(source)
    source = precomputed_sweep() if source is None else source
    if not hasattr(source, "table") or not hasattr(source, "curves"):
        raise InputError(
            "sweep: what ebll.sweep returns, its tables, or the folder of its store; None for the precomputed sweep; "
            f"got {type(source).__name__}."
        )
    planned = pd.DataFrame(map(settings_row, source.configs)) if isinstance(source, Sweep) else None
    if not len(source.table) and (planned is None or planned.empty):
        raise InputError("sweep: there is no run in it. Make some, such as ebll.sweep({'alpha': [1.0, 3.0]}).")
    return Maps(source.table, source.curves, planned)


def map_cells(maps: Maps, view: Mapping[str, Any]) -> pd.DataFrame:
    """A row a cell of the map, row by row, from below; combinations that the sweep does not have are there too.

    cell, column, row                  number of the cell (NaN where there is none), values along the edges
    old, new, forgetting, and _sd      means and standard deviations over the seeds that ended, of the view's data, 0..1
    ended, failed, planned             how many seeds; 0 where the sweep has no such cell
    chosen, on_front                   whether it is looked at; whether it is on the Pareto front of old and new
                                       accuracy, of the cells of which no seed failed
    """
    axes, here = maps.axes[view["method"]], maps.cells
    here = here[(here["tasks"] == view["tasks"]) & (here["method"] == view["method"])]
    for name in axes:
        if name not in (view["columns"], view["rows"]):
            here = here[here[name] == view[name]]
    measured = {f"{name}_{view['data']}{sd}": f"{name}{sd}" for name in QUANTITIES for sd in ("", "_sd")}
    edges = {"row": view["rows"], "column": view["columns"]}
    here = here.reset_index().assign(**{edge: here[name].to_numpy() if name else "" for edge, name in edges.items()})
    here = here.rename(columns=measured)[[*edges, "cell", *measured.values(), "ended", "failed", "planned"]]
    values = [axes.get(name, ("",)) for name in edges.values()]
    whole = pd.MultiIndex.from_product(values, names=list(edges)).to_frame(index=False)
    cells = whole.merge(here, on=list(edges), how="left").fillna({"ended": 0, "failed": 0, "planned": 0})
    chosen = {edge: view[name] if name else "" for edge, name in edges.items()}
    points = [(r.new, r.old) if not r.failed else (math.nan, math.nan) for r in cells.itertuples()]
    return cells.assign(
        chosen=(cells["row"] == chosen["row"]) & (cells["column"] == chosen["column"]), on_front=pareto_front(points)
    )


def setting_value(value: Any) -> float | str:
    """A setting as maps hold it: a number, a text (a net, or alphas for several tasks), or NaN where it is empty.

    raises  `InputError` for anything else
    """
    if isinstance(value, tuple | list):
        value = ", ".join(map(plain, value))
    try:
        return math.nan if pd.isna(value) else float(value)
    except ValueError:
        return value.strip()
    except TypeError:
        raise InputError(f"A value of a setting is a number or a text; got {value!r:.60}.") from None


def _checked(frame: Any, columns: Iterable[str], name: str) -> pd.DataFrame:
    if not isinstance(frame, pd.DataFrame):
        raise InputError(f"{name}: that of a sweep, such as ebll.sweep(...).{name}; got {type(frame).__name__}.")
    if missing := [column for column in columns if column not in frame]:
        raise InputError(f"{name}: that of a sweep, such as ebll.sweep(...).{name}; it has no {', '.join(missing)}.")
    frame = frame[list(columns)].reset_index(drop=True)
    for knob in KNOBS:
        codes, values = pd.factorize(frame[knob])
        read = [*map(setting_value, values), math.nan]  # the last for the code -1
        texts = any(isinstance(one, str) for one in read)
        frame[knob] = np.array(read, dtype=object if texts else float)[codes]
    return frame


def _runs(table: Any, planned: pd.DataFrame | None) -> pd.DataFrame:
    """A row a run, done or planned, by its settings; of those that failed only why."""
    numbers = [*_OF_TEST, "old_validation", "new_validation"]
    runs = _checked(table, (*SETTINGS, *numbers, "failure"), "table")
    if runs[["tasks", "method"]].isna().any(axis=None):
        raise InputError("table: every row names its tasks and its method.")
    try:
        runs = runs.astype({**dict.fromkeys(numbers, float), "seed": int}).rename(columns=_OF_TEST)
    except (ValueError, TypeError) as error:
        raise InputError(f"table: seeds and measured values must be numbers; {error}.") from None
    runs["failure"] = runs["failure"].fillna("").astype(str).str.strip()
    runs.loc[(runs["failure"] == "") & runs["old_test"].isna(), "failure"] = "no numbers"
    runs["ended"], runs["forgetting_validation"] = runs["failure"] == "", math.nan
    if planned is not None and len(planned):
        order = _checked(planned, SETTINGS, "planned")
        runs = _joined(order, runs, "left")
        runs["ended"], runs["failure"] = runs["ended"].eq(True), runs["failure"].fillna("")
    return runs.drop_duplicates(list(SETTINGS), keep="last", ignore_index=True)


def _joined(left: pd.DataFrame, right: pd.DataFrame, how: str) -> pd.DataFrame:
    """Rows of equal settings side by side; a setting may hold numbers on one side, and on the other also texts."""
    left, right = (frame.astype(dict.fromkeys(KNOBS, object)) for frame in (left, right))
    return left.merge(right, on=list(SETTINGS), how=how).infer_objects()


def _of_runs(curves: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
    """The rows of curves, with the number of their run, and whether they are of the last task's training."""
    own = _joined(curves, runs[list(SETTINGS)].assign(run=runs.index), "inner")
    last = [a == b or str(a).endswith(f"-{b}") for a, b in zip(own["tasks"], own["training"], strict=True)]
    return own.assign(last=last)


def _forgotten(courses: pd.DataFrame) -> pd.Series:
    """M5 a run: the best accuracy of an old task before a training, minus that at the end of the last, mean."""
    before = courses.groupby(["run", "training", "task"])["accuracy"].first()
    best = before.groupby(["run", "task"]).max()
    end = courses[courses["last"]].groupby(["run", "task"])["accuracy"].last()
    return (best - end).groupby("run").mean()


def _distances(courses: pd.DataFrame, cell_of: pd.Series) -> pd.DataFrame:
    train = courses[courses["last"] & (courses["stage"] == "train")]
    means = train.groupby(["run", "step"])["feature_distance"].mean().reset_index()
    groups = means.assign(cell=cell_of.loc[means["run"]].to_numpy()).groupby(["cell", "step"])["feature_distance"]
    return groups.agg(mean="mean", low="min", high="max", seeds="count").reset_index()


def _rank(value: float | str) -> tuple[bool, list[float], str]:
    """Numbers first; texts of numbers, such as "1, 3", by these numbers."""
    if not isinstance(value, str):
        return False, [value], ""
    try:
        return True, [float(part) for part in value.split(",")], value
    except ValueError:
        return True, [math.inf], value


def _ends(values: Sequence[float], falling: bool) -> tuple[float, float]:
    if not len(values):
        return math.nan, math.nan
    worst = float(np.quantile(values, 0.8 if falling else 0.2))
    if falling:
        return min(values), max(worst, min(values) + _APART)
    return min(worst, max(values) - _APART), max(values)
