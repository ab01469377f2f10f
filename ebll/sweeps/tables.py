"""What a sweep leaves, as tables: a row a run, and a row a run, step and old task."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from ebll.config import RunConfig
from ebll.recording import CURVE_COLUMNS
from ebll.reproduce.report import prepare_folder, write_table
from ebll.sweeps.single import FIGURES, RunResult

__all__ = ["SETTINGS", "Sweep", "SweepTables", "curve_columns", "in_order", "plain", "settings_row"]

SETTINGS = tuple(field.name for field in dataclasses.fields(RunConfig))
_RENAMED = {"learning_rate": "step_learning_rate"}  # a column of curves that would meet a setting


@dataclass(frozen=True, eq=False)
class SweepTables:
    """The two tables of a sweep, cut loose from it: what maps, panels and pages are made from.

    table    as `Sweep.table`
    curves   as `Sweep.curves`
    """

    table: pd.DataFrame
    curves: pd.DataFrame

    def __repr__(self) -> str:
        return f"SweepTables({len(self.table):,} runs, {len(self.curves):,} rows of curves)"


@dataclass(repr=False)
class Sweep:
    """What a sweep leaves; it grows while the sweep goes on.

    configs   in the order of the grid
    results   config -> its result, of those that are done
    damaged   files of the store that did not hold what they should; they were set aside, and their runs done again
    unknown   files of the store that another version has written, with settings that this one does not know
    stopped   whether it ended before all runs were done
    """

    configs: list[RunConfig] = field(default_factory=list)
    results: dict[RunConfig, RunResult] = field(default_factory=dict)
    damaged: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    stopped: bool = False

    def __repr__(self) -> str:
        done = [bool(result.failure) for _, result in self._done()]
        failed = sum(done)
        return f"Sweep({len(done):,} of {len(self.configs):,} runs, {failed:,} failed)"

    @property
    def table(self) -> pd.DataFrame:
        """A row a run that is done, in the grid's order: settings, the columns of `FIGURES`, then `failure` and `code`.

        A setting that the run's method does not have is empty. `failure` says why a run has no figures, `code` which
        version of the code ran it.
        """
        rows = [
            settings_row(config)
            | {name: result.figures.get(name, math.nan) for name in FIGURES}
            | {"failure": result.failure, "code": result.code}
            for config, result in self._done()
        ]
        return pd.DataFrame(rows, columns=[*SETTINGS, *FIGURES, "failure", "code"])

    @property
    def curves(self) -> pd.DataFrame:
        """A row a run, step and old task: the settings, then the columns of `ebll.recording`.

        `learning_rate` is the setting here; that of the step about to be made is `step_learning_rate`.
        """
        rows = []
        for config, result in self._done():
            settings = settings_row(config)
            rows += [settings | {_RENAMED.get(name, name): v for name, v in row.items()} for row in result.curves]
        return pd.DataFrame(rows, columns=[*SETTINGS, *curve_columns()])

    def tables(self) -> SweepTables:
        """Both tables as they are now, while the sweep may go on."""
        return SweepTables(self.table, self.curves)

    @property
    def varied(self) -> list[str]:
        """Names of the settings in which the runs differ."""
        return [name for name in SETTINGS if len({getattr(config, name) for config in self.configs}) > 1]

    @property
    def failures(self) -> list[str]:
        """In words, the runs that diverged or could not begin, each with the settings in which the runs differ."""
        names = self.varied
        words = []
        for config, result in self._done():
            if result.failure:
                row = settings_row(config)
                told = ", ".join(f"{name} {plain(row[name])}" for name in names if row[name] == row[name])
                words.append(f"{told}: {result.failure}" if told else result.failure)
        return words

    def save(self, folder: str | Path) -> list[Path]:
        """Write `table.csv` and `curves.csv`, numbers with six significant digits; returns the files.

        raises  `OutputError` where they cannot be written
        """
        folder = prepare_folder(folder)
        tables = {"table.csv": self.table, "curves.csv": self.curves}
        for name, table in tables.items():
            write_table(table, folder / name)
        return [folder / name for name in tables]

    def _done(self) -> Iterator[tuple[RunConfig, RunResult]]:
        return ((config, self.results[config]) for config in self.configs if config in self.results)


def curve_columns() -> list[str]:
    """Columns of `Sweep.curves` after the settings."""
    return [_RENAMED.get(name, name) for name in CURVE_COLUMNS]


def settings_row(config: RunConfig) -> dict[str, Any]:
    """The settings as a row of a table: tasks as one name, alphas as one text, what the method does not have as NaN."""
    row = {name: getattr(config, name) for name in SETTINGS}
    if isinstance(row["alpha"], tuple):
        row["alpha"] = ", ".join(map(plain, row["alpha"]))
    row["tasks"] = "-".join(row["tasks"])
    return row | dict.fromkeys(config.unused, math.nan)


def plain(value: Any) -> str:
    """A setting's value as people write it."""
    return f"{value:g}" if isinstance(value, float) else str(value)


def in_order(configs: Iterable[RunConfig]) -> list[RunConfig]:
    """Configs by their settings, the first setting changing slowest; numbers as numbers, what is not there first."""

    def rank(value: Any) -> tuple[int, float, str]:
        if isinstance(value, str):
            return 2, 0.0, value
        return (0, 0.0, "") if value != value else (1, float(value), "")

    return sorted(configs, key=lambda config: [rank(value) for value in settings_row(config).values()])
