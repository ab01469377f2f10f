"""Many runs as one call: a grid in, tidy tables out; what is finished is never lost and never done twice.

found = ebll.sweep({"method": ["lwf", "ebll"], "alpha": [0.3, 1.0, 3.0], "seed": range(3)}, store="sweep")
found.table                        # a row a run
found.curves                       # a row a run, step and old task
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import math
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from ebll.config import RunConfig
from ebll.errors import EbllError, check_count, choose_device
from ebll.executors import completed, default_workers
from ebll.files import write_table
from ebll.recording import CURVE_COLUMNS
from ebll.sweeps.grid import Grid, check_runs, configs_of
from ebll.sweeps.runs import RESULTS_VERSION, SCALARS, RunResult, Store, run_one

__all__ = [
    "CURVES", "PRECOMPUTED", "SETTINGS", "Sweep", "SweepTables", "load_sweep", "plain", "precomputed_sweep",
    "settings_row", "sweep", "unpack",
]  # fmt: skip

SETTINGS = tuple(field.name for field in dataclasses.fields(RunConfig))
CURVES = ["step_learning_rate" if name == "learning_rate" else name for name in CURVE_COLUMNS]
"""Columns of `Sweep.curves` after the settings, one of which has the name of a column of `ebll.recording`."""


def sweep(
    grid: Grid,
    *,
    store: str | Path | None = None,
    workers: int | None = None,
    executor: Executor | None = None,
    device: str = "cpu",
    progress: Callable[[int, int], object] | None = None,
) -> Sweep:
    """Run every combination of a grid once.

    grid       setting -> values (see `ebll.sweeps.axes_of`), a list of `RunConfig`, or a TOML file with a table [grid]
    store      folder that keeps every result as it comes: the same call with it does only what is missing, also after
               it was killed, and several processes may share it. None keeps the results in memory only
    workers    processes on this machine, one thread each; all cores, at most 8, if None; 1 runs in this very process
    executor   in their place, an executor of `concurrent.futures`, such as a Dask client's `get_executor()`
    device     where they train: "cpu", "cuda", or "auto" for the GPU if there is one; a GPU has one process
    progress   called with runs done and runs in all, once before the first
    returns    a `Sweep`; all executors give equal tables
    raises     `InputError` for a grid that cannot be run, `DataMissing` for absent images, `OutputError` for a folder
               that cannot be written, before anything runs; `EbllError` where workers were lost
    """
    configs, device = configs_of(grid), choose_device(device)
    check_runs(configs)
    usual = default_workers() if device == "cpu" else 1
    workers = usual if workers is None else check_count(workers, "workers")
    kept = None if store is None else Store(store)
    found = _known(configs, kept) if kept else Sweep(configs)
    if kept:
        kept.plan(configs)
    if progress:
        progress(len(found.results), len(configs))
    # One after the other, those that branch from one network: a process that has learned it keeps it.
    items = sorted(found.missing, key=lambda config: (config.tasks[0], config.net, config.seed))
    work = functools.partial(run_into, folder=kept and kept.folder.absolute(), device=device, version=RESULTS_VERSION)
    with contextlib.closing(completed(work, items, executor=executor, workers=workers)) as results:
        for config, result in results:
            found.results[config] = result
            if kept and not result.repeat and kept.get(config) is None:
                kept.put(result)  # by a worker that does not see the folder
            if progress:
                progress(len(found.results), len(configs))
    return found


def run_into(config: RunConfig, folder: Path | None, device: str, version: int) -> RunResult:
    """Run a config in a worker, and save its result if the worker sees the folder and it is not there meanwhile.

    raises  `EbllError` where the worker has another version of ebll than the process that asks
    """
    if version != RESULTS_VERSION:
        raise EbllError(
            "The workers have another version of ebll than this process. Install the same, and restart them."
        )
    store = Store(folder) if folder and folder.exists() else None
    result = (store and store.get(config)) or run_one(config, device)
    if store and not result.repeat:
        store.put(result)
    return result


def load_sweep(store: str | Path, grid: Grid | None = None) -> Sweep:
    """The results in a store, without running any.

    store      the folder, or that in which `ebll sweep` has left it
    grid       what to look for, as in `sweep`; None for all that is there and all that was planned
    returns    a `Sweep`, whose `missing` has what was not run yet
    raises     `InputError` where there is no store, or one of another version
    """
    inner = Path(store, "store")
    kept = Store(inner if (inner / "format.json").exists() else store, make=False)
    if grid is not None:
        return _known(configs_of(grid), kept)
    results = {result.config: result for result in kept.read()}
    return Sweep(list(dict.fromkeys([*kept.planned(), *sorted(results, key=repr)])), results, kept.damaged)


@dataclass(repr=False)
class Sweep:
    """The runs of a sweep.

    configs   in the order of the grid
    results   config -> its result, of those that are done
    damaged   files of the store that could not be read; their runs count as not done
    """

    configs: list[RunConfig] = field(default_factory=list)
    results: dict[RunConfig, RunResult] = field(default_factory=dict)
    damaged: list[str] = field(default_factory=list)

    def __repr__(self) -> str:
        return f"Sweep({len(self.results):,} of {len(self.configs):,} runs, {len(self.failures):,} failed)"

    @property
    def missing(self) -> list[RunConfig]:
        """The configs that were not run."""
        return [config for config in self.configs if config not in self.results]

    @property
    def table(self) -> pd.DataFrame:
        """A row a run that is done, in the grid's order: settings, the columns of `SCALARS`, then `failure`.

        A setting that the run's method does not have is empty. `failure` says why a run has no numbers.
        """
        done = [config in self.results for config in self.configs]
        return self.planned[done].reset_index(drop=True)

    @property
    def planned(self) -> pd.DataFrame:
        """As `table`, with a row also for each run that is missing, which has neither numbers nor a failure."""
        rows = []
        for config in self.configs:
            result = self.results.get(config, RunResult(config))
            rows.append(settings_row(config) | result.scalars | {"failure": result.failure})
        return pd.DataFrame(rows, columns=[*SETTINGS, *SCALARS, "failure"])

    @property
    def curves(self) -> pd.DataFrame:
        """A row a run, step and old task: the settings, then the columns of `ebll.recording`.

        `learning_rate` is the setting here; that of the step about to be made is `step_learning_rate`.
        """
        rows = []
        for config in self.configs:
            settings = settings_row(config)
            for row in self.results.get(config, RunResult(config)).curves:
                rows.append({**row, "step_learning_rate": row.get("learning_rate", math.nan), **settings})
        return pd.DataFrame(rows, columns=[*SETTINGS, *CURVES])

    @property
    def varied(self) -> list[str]:
        """Names of the settings in which the runs differ."""
        return [name for name in SETTINGS if len({getattr(config, name) for config in self.configs}) > 1]

    @property
    def failures(self) -> list[str]:
        """In words, the runs that diverged or could not begin, each with the settings in which the runs differ."""
        failed, words = self.planned.query("failure != ''"), []
        for row in failed.to_dict("records"):
            told = ", ".join(f"{name} {plain(row[name])}" for name in self.varied if row[name] == row[name])
            words.append(f"{told}: {row['failure']}" if told else row["failure"])
        return words

    def save(self, folder: str | Path) -> list[Path]:
        """Write `table.csv` and `curves.csv`, numbers with six significant digits; returns the files.

        raises  `OutputError` where they cannot be written
        """
        files = {Path(folder, "table.csv"): self.table, Path(folder, "curves.csv"): self.curves}
        for path, table in files.items():
            write_table(table, path)
        return list(files)


def settings_row(config: RunConfig) -> dict[str, Any]:
    """The settings as a row of a table: tasks as one name, alphas as one text, what the method does not have as NaN."""
    row = {name: getattr(config, name) for name in SETTINGS}
    if isinstance(row["alpha"], tuple):
        row["alpha"] = ", ".join(map(plain, row["alpha"]))
    row["tasks"] = "-".join(row["tasks"])
    return row | dict.fromkeys(config.unused, math.nan)


def plain(value: Any) -> str:
    """A setting's value as people write it."""
    return f"{value:g}".replace("e-0", "e-") if isinstance(value, float) else str(value)


def _known(configs: list[RunConfig], kept: Store) -> Sweep:
    """Which of these runs a store has."""
    results = {config: result for config in configs if (result := kept.get(config))}
    return Sweep(configs, results, kept.damaged)


# The sweep that comes with the package: `data/grid.toml` is its grid, `make precomputed` runs it and packs the tables

PRECOMPUTED = Path(__file__).parent / "data"


class SweepTables(NamedTuple):
    """The two tables of a sweep, as `Sweep` has them."""

    table: pd.DataFrame
    curves: pd.DataFrame


@functools.lru_cache(maxsize=1)
def precomputed_sweep() -> SweepTables:
    """EBLL after letters: alpha x lambda x lambda_o x code size x five seeds, on three new tasks.

    Beside it stand fine-tuning and LwF with the same seeds. All runs use the small MLP. Numbers have four significant
    digits, and the curves are those of the stage "train". The tables are shared, so copy what you change.
    """
    return unpack(PRECOMPUTED)


def unpack(folder: Path) -> SweepTables:
    """The tables that `benchmarks.precomputed` has packed."""
    table = pd.read_csv(folder / "table.csv.gz", dtype={"failure": str}).fillna({"failure": ""})
    packed = pd.read_csv(folder / "curves.csv.gz")
    settings = table.loc[packed.pop("run"), list(SETTINGS)].reset_index(drop=True)
    own = packed.assign(stage="train", training=settings["tasks"].str.split("-").str[-1])
    return SweepTables(table, pd.concat([settings, own.reindex(columns=CURVES)], axis=1))
