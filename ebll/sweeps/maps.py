"""What a sweep's tables show, cell by cell: a cell is a combination of settings, its numbers are over its seeds.

maps = maps_of(found)            # a Sweep, its tables, the folder of a store, or None for the precomputed sweep
maps.cells                       # a row a cell: settings, means and standard deviations
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from ebll.errors import InputError
from ebll.sweeps.sweep import SETTINGS, Sweep, load_sweep, plain, precomputed_sweep

__all__ = ["BASELINES", "CELL_SETTINGS", "DATA", "QUANTITIES", "Maps", "maps_of", "setting_value"]

DATA = ("validation", "test")
"""Settings are chosen on the first."""
QUANTITIES = ("old", "new", "forgetting")
BASELINES = ("finetune", "lwf")
"""Methods that stand beside a cell, where the sweep has them with the same settings."""
CELL_SETTINGS = tuple(name for name in SETTINGS if name not in ("tasks", "method", "seed"))
"""Settings that may differ between the cells of a method on some tasks."""

_OF_TEST = {"old": "old_test", "new": "new_test", "forgetting": "forgetting_test"}
_MEASURED = [f"{name}_{data}" for data in DATA for name in QUANTITIES]
_OF_CURVES = ("training", "stage", "step", "task", "feature_distance", "accuracy")
_APART = 0.02  # least width of a colour scale


class Maps:
    """The cells of a sweep.

    Args:
        table, curves: as `ebll.sweeps.Sweep` has them; a row with neither numbers nor a failure is a run that is not
            done yet. Without curves there are no distances, and no forgetting on validation images. Of two rows of the
            same run the later counts.

    Attributes:
        runs: a row a run that is done: `cell`, `seed`, `failure`, and `old`, `new` and `forgetting`, each for
            `_validation` and `_test`, 0..1. Forgetting on validation images is M5 of the curves' held-out inputs.
        cells: a row a cell, by its number: tasks, method, `CELL_SETTINGS` (NaN for what the method does not have); the
            columns of `runs` as means over the seeds that ended, and with `_sd` their sample standard deviations; how
            many seeds have `ended`, `failed` and are `planned`.
        curves: cell, step, mean, low, high, seeds: M2 while the last task is trained, mean over the old tasks; mean,
            lowest and highest over the seeds that ended and were measured there, and how many they are.
        tasks, methods: the names there are; the method with the most cells stands first.
        axes: method -> setting -> its values, rising, of the settings that vary among its cells.
        constant: method -> setting -> its value, of the others.
        beside: cell -> method of `BASELINES` -> its cell on the same tasks, with the settings that both methods have.
        planned: number of runs, done or not.

    Raises:
        InputError: columns are missing, or a setting is neither a number nor a text.
    """

    def __init__(self, table: pd.DataFrame, curves: pd.DataFrame | None = None) -> None:
        runs = _runs(table)
        courses = _courses(curves, runs) if curves is not None and len(curves) else runs.iloc[:0]
        runs["forgetting_validation"] = _forgotten(courses).reindex(runs.index) if len(courses) else math.nan
        runs.loc[~runs["ended"], _MEASURED] = math.nan
        groups = runs.groupby("cell")
        own = runs.drop_duplicates("cell").set_index("cell")[["tasks", "method", *CELL_SETTINGS]].infer_objects()
        means, spread = groups[_MEASURED].mean(), groups[_MEASURED].std().add_suffix("_sd")
        self.cells = own.join([means, spread, groups[["ended", "failed"]].sum(), groups.size().rename("planned")])
        self.curves = _distances(courses)
        self.runs = runs.loc[runs["ended"] | runs["failed"], ["cell", "seed", "failure", *_MEASURED]]
        self.planned = len(runs)
        self.tasks = tuple(self.cells["tasks"].unique())
        self.axes: dict[str, dict[str, tuple]] = {}
        self.constant: dict[str, dict[str, Any]] = {}
        for method, rows in self.cells.groupby("method", sort=False):
            values = {name: _ordered(rows[name].dropna().unique().tolist()) for name in CELL_SETTINGS}
            self.axes[method] = {name: found for name, found in values.items() if len(found) > 1}
            self.constant[method] = {name: found[0] for name, found in values.items() if len(found) == 1}
        main = max(self.axes, key=lambda method: math.prod(map(len, self.axes[method].values())))
        self.methods = (main, *(method for method in self.axes if method != main))
        self._places = {self._key(cell): cell["cell"] for cell in self.cells.reset_index().to_dict("records")}
        self.beside = self._baselines()

    def place(self, view: Mapping[str, Any]) -> int | None:
        """Number of the cell that a view (see `ebll.sweeps.view`) looks at, None where the sweep has none."""
        return self._places.get(self._key(view))

    def _key(self, at: Mapping[str, Any]) -> tuple[Any, ...]:
        return at["tasks"], at["method"], *(at[name] for name in self.axes[at["method"]])

    def _baselines(self) -> dict[int, dict[str, int]]:
        found: dict[int, dict[str, int]] = {cell: {} for cell in self.cells.index}
        cells = self.cells.reset_index()
        done = cells[cells["ended"] + cells["failed"] > 0]
        for method in self.methods:
            has = {*self.axes[method], *self.constant[method]}
            for other in BASELINES:
                if other == method or other not in self.methods or not has.issuperset(self.axes[other]):
                    continue
                shared = [*self.axes[other], *(has & {*self.constant[other]} - {"log_every"})]
                mine, theirs = cells[cells["method"] == method], done[done["method"] == other]
                pairs = mine.merge(theirs, on=["tasks", *shared], suffixes=("", "_other"))
                for cell, reference in zip(pairs["cell"], pairs["cell_other"], strict=True):
                    found[cell][other] = reference
        return found

    def ranges(self, tasks: str, method: str, data: str) -> dict[str, list[float] | None]:
        """Quantity -> ends of its colour scale in %, the same for all maps of a method on these tasks.

        From the best mean of a cell to that which a fifth of the cells is worse than, so that settings that went wrong
        do not take all colours; at least two points apart. None where nothing ended.
        """
        rows = self.cells[(self.cells["tasks"] == tasks) & (self.cells["method"] == method)]
        old, new, lost = (rows[f"{name}_{data}"] for name in QUANTITIES)
        ends = {
            name: (min(values.quantile(0.2), values.max() - _APART), values.max())
            for name, values in (("old", old), ("new", new))
        }
        ends["forgetting"] = lost.min(), max(lost.quantile(0.8), lost.min() + _APART)
        return {
            name: None if math.isnan(low) else [round(100 * low, 4), round(100 * high, 4)]
            for name, (low, high) in ends.items()
        }


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
    table = source.planned if isinstance(source, Sweep) else source.table
    if not len(table):
        raise InputError("sweep: there is no run in it. Make some, such as ebll.sweep({'alpha': [1.0, 3.0]}).")
    return Maps(table, source.curves)


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


def _checked(frame: pd.DataFrame, columns: Iterable[str], name: str) -> pd.DataFrame:
    """These columns, with settings as maps hold them: as objects, since alpha may be numbers here and texts there."""
    if missing := [column for column in columns if column not in frame]:
        raise InputError(f"{name}: that of a sweep, such as ebll.sweep(...).{name}; it has no {', '.join(missing)}.")
    frame = frame[list(columns)].reset_index(drop=True)
    for setting in CELL_SETTINGS:
        values = {value: setting_value(value) for value in frame[setting].unique()}
        frame[setting] = frame[setting].map(values).astype(object)
    return frame


def _runs(table: pd.DataFrame) -> pd.DataFrame:
    """A row a run, with the number of its cell; of those that failed only why."""
    numbers = [*_OF_TEST, "old_validation", "new_validation"]
    runs = _checked(table, (*SETTINGS, *numbers, "failure"), "table")
    runs = runs.astype({**dict.fromkeys(numbers, float), "seed": int})
    runs = runs.rename(columns=_OF_TEST).drop_duplicates(list(SETTINGS), keep="last", ignore_index=True)
    runs["failure"] = runs["failure"].fillna("").astype(str).str.strip()
    runs["failed"] = runs["failure"] != ""
    runs["ended"] = ~runs["failed"] & runs["old_test"].notna()
    runs["cell"] = runs.groupby(["tasks", "method", *CELL_SETTINGS], dropna=False, sort=False).ngroup()
    return runs


def _courses(curves: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
    """The rows of curves with their run and cell, and whether they are of the last task's training."""
    of_runs = runs[[*SETTINGS, "cell", "ended"]].reset_index(names="run")
    courses = _checked(curves, (*SETTINGS, *_OF_CURVES), "curves").merge(of_runs, on=list(SETTINGS))
    pairs = zip(courses["tasks"], courses["training"], strict=True)
    return courses.assign(last=[tasks.endswith(f"-{training}") for tasks, training in pairs])


def _forgotten(courses: pd.DataFrame) -> pd.Series:
    """M5 a run: the best accuracy of an old task before a training, minus that at the end of the last, mean."""
    before = courses.groupby(["run", "training", "task"])["accuracy"].first()
    end = courses[courses["last"]].groupby(["run", "task"])["accuracy"].last()
    return (before.groupby(["run", "task"]).max() - end).groupby("run").mean()


def _distances(courses: pd.DataFrame) -> pd.DataFrame:
    if courses.empty:
        return pd.DataFrame(columns=["cell", "step", "mean", "low", "high", "seeds"])
    train = courses[courses["last"] & courses["ended"] & (courses["stage"] == "train")]
    means = train.groupby(["cell", "step", "run"])["feature_distance"].mean()
    return means.groupby(["cell", "step"]).agg(mean="mean", low="min", high="max", seeds="count").reset_index()


def _ordered(values: Iterable[float | str]) -> tuple[float | str, ...]:
    """Numbers rising; then texts, as they come."""
    return tuple(sorted(values, key=lambda value: math.inf if isinstance(value, str) else value))
