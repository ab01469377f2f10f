"""The runs of a sweep, found by their settings: read once, asked many times a second, and growing with the sweep."""

from __future__ import annotations

import contextlib
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ebll.errors import InputError
from ebll.sweeps.tables import SETTINGS, Sweep, plain, settings_row

__all__ = ["KNOBS", "QUANTITIES", "Run", "SweepIndex", "setting_value"]

QUANTITIES = ("old", "new", "forgetting")
KNOBS = tuple(name for name in SETTINGS if name not in ("tasks", "method", "seed"))
"""Settings that may be varied within a method and a sequence of tasks."""

Value = float | str
_FIGURES = ("old", "new", "forgetting", "old_validation", "new_validation")
_OF_CURVES = ("training", "stage", "step", "task", "feature_distance", "accuracy")
_NOTHING = np.empty(0)


@dataclass(frozen=True, eq=False)
class Run:
    """One run, as far as maps need it.

    settings   tasks, method and `KNOBS`; what its method does not have is left out
    failure    why it has no figures, or ""
    figures    (data, quantity) -> 0..1, of what ended; data is "validation" or "test". "forgetting" on validation data
               is M5 of the curves' held-out inputs, NaN where nothing was measured on the way
    steps      optimiser steps of the last task's training at which the distance was measured
    distances  M2 there, mean over the old tasks
    """

    settings: Mapping[str, Value]
    seed: int
    failure: str
    figures: Mapping[tuple[str, str], float]
    steps: np.ndarray
    distances: np.ndarray


class SweepIndex:
    """Runs by their settings.

    table, curves  as `ebll.sweeps.Sweep` has them; without curves there are no distances. Of two rows with the same
                   settings and seed the later one counts
    sweep          in their place, a `Sweep` that may still grow: `refresh` takes what is new
    raises         `InputError` where columns are missing or hold what they should not

    runs      in the table's order
    tasks     sequences of tasks, by name, in the table's order
    methods   in the table's order
    axes      method -> setting -> its values, of the settings that vary among the runs of the method; numbers rise,
              texts follow
    constant  method -> setting -> its value, of the others
    planned   runs that there will be; as many as there are where no grid is known
    """

    def __init__(
        self, table: pd.DataFrame | None = None, curves: pd.DataFrame | None = None, *, sweep: Sweep | None = None
    ) -> None:
        self._sweep, self._known, self._grid, self._count, self._ended = sweep, set(), [], 0, False
        self.runs: list[Run] = []
        if sweep is None:
            self.runs = _runs_of(table, curves)
            self._sort()
        elif not self.refresh():
            self._sort()

    @property
    def stopped(self) -> bool:
        """Whether the sweep ended before all its runs were done; False while it goes on."""
        return self._sweep is not None and self._sweep.stopped

    def refresh(self) -> bool:
        """Take what has come since; whether there was anything. A sweep that another thread runs may be asked."""
        sweep = self._sweep
        if sweep is None:
            return False
        grid, count, ended = list(sweep.configs), len(sweep.results), sweep.stopped
        if (grid, count, ended) == (self._grid, self._count, self._ended):
            return False
        changed, other = grid != self._grid, ended != self._ended
        self._count, self._ended = count, ended
        if changed:
            self._grid, self._known, self.runs = grid, set(), []
        new = [config for config in grid if config not in self._known and config in sweep.results]
        if new:
            came = Sweep(new, {config: sweep.results[config] for config in new})
            self.runs = [*self.runs, *_runs_of(came.table, came.curves)]
            self._known.update(new)
        if new or changed:
            self._sort()
        return bool(new or changed or other)

    def found(self, tasks: str, method: str, at: Mapping[str, Value]) -> list[Run]:
        """The runs of a method on some tasks with these values of its axes, by seed."""
        runs = self._by_key.get(self._key(tasks, method, at), {})
        return [runs[seed] for seed in sorted(runs)]

    def asked(self, tasks: str, method: str, at: Mapping[str, Value]) -> int:
        """How many such runs there will be, done or not."""
        return self._asked[self._key(tasks, method, at)]

    def cells(self, tasks: str, method: str) -> list[list[Run]]:
        """The runs of a method on some tasks, a list for each combination of settings that the sweep has."""
        return [list(runs.values()) for key, runs in self._by_key.items() if key[:2] == (tasks, method)]

    def _key(self, tasks: str, method: str, settings: Mapping[str, Value]) -> tuple:
        return tasks, method, *(settings.get(name) for name in self.axes.get(method, ()))

    def _sort(self) -> None:
        planned = [_settings(settings_row(config)) for config in self._grid] or [run.settings for run in self.runs]
        self.planned = len(planned)
        self.tasks = tuple(dict.fromkeys(one["tasks"] for one in planned))
        self.methods = tuple(dict.fromkeys(one["method"] for one in planned))
        values = {method: {name: {} for name in KNOBS} for method in self.methods}
        for one in planned:
            own = values[one["method"]]
            for name in KNOBS:
                if name in one:
                    own[name][one[name]] = None
        self.axes = {m: {k: tuple(sorted(v, key=_rank)) for k, v in own.items() if len(v) > 1}
                     for m, own in values.items()}  # fmt: skip
        self.constant = {m: {k: next(iter(v)) for k, v in own.items() if len(v) == 1} for m, own in values.items()}
        self._by_key: dict[tuple, dict[int, Run]] = {}
        for run in self.runs:
            key = self._key(run.settings["tasks"], run.settings["method"], run.settings)
            self._by_key.setdefault(key, {})[run.seed] = run
        self._asked = Counter(self._key(one["tasks"], one["method"], one) for one in planned)
        self.cache: dict[Any, Any] = {}


def setting_value(value: Any) -> Value | None:
    """A setting as tables hold it: a number, a text (a net, or alphas for several tasks), or None where it is empty.

    raises  `InputError` for anything else
    """
    if isinstance(value, tuple | list):
        value = ", ".join(map(plain, value))
    if isinstance(value, str):
        value = value.strip()
        with contextlib.suppress(ValueError):
            value = float(value)
    try:
        return (value or None) if isinstance(value, str) else None if pd.isna(value) else float(value)
    except (TypeError, ValueError):
        raise InputError(f"A value of a setting is a number or a text; got {value!r:.60}.") from None


def _settings(row: Mapping[str, Any]) -> dict[str, Value]:
    read = {name: row[name] if name in ("tasks", "method") else setting_value(row[name]) for name in SETTINGS}
    return {name: value for name, value in read.items() if value is not None and name != "seed"}


def _rank(value: Value) -> tuple[bool, list[float], str]:
    """Numbers first; texts of numbers, such as "1, 3", by these numbers."""
    if not isinstance(value, str):
        return False, [value], ""
    try:
        return True, [float(part) for part in value.split(",")], value
    except ValueError:
        return True, [math.inf], value


def _checked(frame: Any, columns: Iterable[str], name: str) -> pd.DataFrame:
    if not isinstance(frame, pd.DataFrame):
        raise InputError(f"{name}: that of a sweep, such as ebll.sweep(...).{name}; got {type(frame).__name__}.")
    if missing := [column for column in columns if column not in frame]:
        raise InputError(f"{name}: that of a sweep, such as ebll.sweep(...).{name}; it has no {', '.join(missing)}.")
    return frame


def _values(frame: pd.DataFrame) -> list[list[Any]]:
    """The settings of each row, a list a setting."""
    made = []
    for name in SETTINGS:
        codes, found = pd.factorize(frame[name])
        read = [str(one) if name in ("tasks", "method") else setting_value(one) for one in found]
        made.append([read[code] if code >= 0 else None for code in codes])
    return made


def _runs_of(table: Any, curves: Any) -> list[Run]:
    table = _checked(table, (*SETTINGS, *_FIGURES, "failure"), "table")
    try:
        figures = table[list(_FIGURES)].astype(float)
        seeds = table["seed"].astype(int).tolist()
    except (ValueError, TypeError) as error:
        raise InputError(f"table: figures and seeds must be numbers; {error}.") from None
    if table[["tasks", "method"]].isna().any(axis=None):
        raise InputError("table: every row names its tasks and its method.")
    keys = list(zip(*_values(table), strict=True))
    courses = _courses(curves)
    runs = []
    for key, seed, failure, values in zip(keys, seeds, table["failure"], figures.to_numpy(), strict=True):
        steps, distances, drop = courses.get(key, (_NOTHING, _NOTHING, math.nan))
        told = failure.strip() if isinstance(failure, str) else ""
        if not told and not np.isfinite(values[:2]).all():
            told = "no figures"
        old, new, forgetting, old_validation, new_validation = (math.nan,) * 5 if told else values.tolist()
        read = {("test", "old"): old, ("test", "new"): new, ("test", "forgetting"): forgetting}
        read |= {("validation", "old"): old_validation, ("validation", "new"): new_validation,
                 ("validation", "forgetting"): math.nan if told else drop}  # fmt: skip
        settings = {n: v for n, v in zip(SETTINGS, key, strict=True) if v is not None and n != "seed"}
        runs.append(Run(settings, seed, told, read, steps, distances))
    return runs


def _courses(curves: Any) -> dict[tuple, tuple[np.ndarray, np.ndarray, float]]:
    """Settings -> steps and distances of the last task's training, and M5 of the curves' held-out inputs."""
    if curves is None or (isinstance(curves, pd.DataFrame) and curves.empty):
        return {}
    curves = _checked(curves, (*SETTINGS, *_OF_CURVES), "curves")
    run = np.zeros(len(curves), np.int64)
    for name in SETTINGS:
        codes, found = pd.factorize(curves[name], use_na_sentinel=False)
        run = pd.factorize(run * len(found) + codes)[0]
    firsts = np.unique(run, return_index=True)[1]
    keys = list(zip(*_values(curves.iloc[firsts]), strict=True))
    pairs = curves[["tasks", "training"]].drop_duplicates()
    last = {(a, b) for a, b in pairs.itertuples(index=False) if a == b or str(a).endswith(f"-{b}")}
    names = pd.MultiIndex.from_frame(curves[["tasks", "training"]])
    final = names.isin(list(last)) if last else np.zeros(len(curves), bool)
    rows = curves[list(_OF_CURVES)].assign(run=run)
    drops = _forgotten(rows, final)
    train = rows[final & (rows["stage"] == "train").to_numpy()]
    means = train.groupby(["run", "step"])["feature_distance"].mean()  # sorted by both
    at, steps = (means.index.get_level_values(i).to_numpy() for i in (0, 1))
    edges = np.searchsorted(at, np.arange(len(keys) + 1))
    values = means.to_numpy()
    return {
        key: (steps[edges[i] : edges[i + 1]], values[edges[i] : edges[i + 1]], float(drops.get(i, math.nan)))
        for i, key in enumerate(keys)
    }


def _forgotten(rows: pd.DataFrame, final: np.ndarray) -> pd.Series:
    """M5 a run: the best accuracy of an old task before a training, minus that at the end of the last, mean."""
    before = rows.groupby(["run", "training", "task"])["accuracy"].first()
    best = before.groupby(["run", "task"]).max()
    end = rows[final].groupby(["run", "task"])["accuracy"].last()
    return (best - end).groupby("run").mean()
