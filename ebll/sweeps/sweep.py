"""Many runs as one call: a grid in, tidy tables out; what is finished is never lost and never done twice.

found = ebll.sweep({"method": ["lwf", "ebll"], "alpha": [0.3, 1.0, 3.0], "seed": range(3)}, store="sweep")
found.table                        # a row a run
found.curves                       # a row a run, step and old task
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from ebll.config import RunConfig
from ebll.errors import InputError, OutputError, check_count
from ebll.sweeps import engines
from ebll.sweeps.cluster import connected, is_dask, workers_of
from ebll.sweeps.grid import check_runs, configs_of, read_grid
from ebll.sweeps.plan import SweepPlan, check_room, plan_of
from ebll.sweeps.single import RunResult
from ebll.sweeps.store import Store
from ebll.sweeps.tables import Sweep, in_order
from ebll.sweeps.version import code_version
from ebll.workers import default_workers

__all__ = ["load_sweep", "plan_sweep", "sweep"]

Grid = Mapping[str, Any] | Iterable[RunConfig] | str | Path
Progress = Callable[[int, int], None]
"""Called with: runs done, runs in all; once before the first."""


def sweep(
    grid: Grid,
    *,
    store: str | Path | None = None,
    workers: int | None = None,
    executor: engines.Executor | None = None,
    client: Any = None,
    device: str = "cpu",
    progress: Progress | None = None,
    on_plan: Callable[[SweepPlan], None] | None = None,
    stop: Callable[[], bool] = lambda: False,
    into: Sweep | None = None,
) -> Sweep:
    """Run every combination of a grid once.

    grid       setting -> values (see `ebll.sweeps.axes_of`), a list of `RunConfig`, or a TOML file with a table [grid]
    store      folder that keeps every result as it comes: the same call with it does only what is missing, also after
               it was killed, and several processes may share it. None keeps the results in memory only
    workers    processes on this machine, one thread each; all cores, at most 8, if None; 1 runs in this very process
    executor   in their place, anything with the `submit` of `concurrent.futures`
    client     in their place, a Dask `Client`, or the address of a Dask scheduler: the runs go to its cluster
    device     where each process trains: "cpu", or a GPU such as "cuda", which one process has to itself
    progress   called with runs done and runs in all
    on_plan    called with the `SweepPlan` before the first run
    stop       asked often; the sweep ends soon after it says so, and what is done is returned
    into       collects the results as they come: pass your own `Sweep()` to look at it from another thread, and to have
               them after Ctrl-C where there is no store. What it holds already is not run again
    returns    a `Sweep`. Pool, executor and Dask give equal tables
    raises     `InputError` for a grid that cannot be run, `DataMissing` for absent images, `OutputError` for a folder
               that cannot be written, before anything runs; `EbllError` in words where workers or a cluster were lost
    """
    _check_device(device)
    for name, given in (("stop", stop), ("progress", progress), ("on_plan", on_plan)):
        if not (callable(given) or (given is None and name != "stop")):
            raise InputError(f"{name}: a function; got {given!r:.60}.")
    if not isinstance(into, Sweep | None):
        raise InputError(f"into: a Sweep() to collect the results in; got {type(into).__name__}.")
    configs, workers = _configs(grid), _workers(workers, device)
    if executor is not None and client is not None:
        raise InputError("executor and client: name one of them; both say where the runs go.")
    client, executor = (executor, None) if is_dask(executor) else (client, executor)
    kept = None if store is None else Store(store)
    made = Sweep() if into is None else into
    known = _known(configs, kept, made)
    with contextlib.nullcontext(executor) if client is None else connected(client) as elsewhere:
        at_a_time = workers if elsewhere is None else workers_of(elsewhere, workers)
        plan = plan_of(configs, _seconds(known), at_a_time, stored=kept is not None, device=device)
        check_room(plan, kept.folder if kept else None)
        if on_plan:
            on_plan(plan)
        if progress:
            progress(len(known), len(configs))
        full: OutputError | None = None
        made.stopped = False
        try:
            missing = [config for config in configs if config not in known]
            work = _results(missing, kept, plan.workers, elsewhere, lambda: full is not None or stop(), device)
            for done, result in enumerate(work, len(known) + 1):
                made.results[result.config] = result
                if kept and result.final and full is None:
                    try:
                        kept.put(result)
                    except OutputError as error:  # what the workers have finished besides still goes into `made`
                        full = error
                if progress:
                    progress(done, len(configs))
            if full is not None:
                raise full
        finally:
            made.damaged[:] = kept.damaged if kept else []
            made.stopped = any(config not in made.results for config in configs)
    return made


def plan_sweep(grid: Grid, *, store: str | Path | None = None, workers: int | None = None) -> SweepPlan:
    """What `sweep` would do, in numbers; nothing is run, and nothing on the disk is changed.

    grid, store, workers   as in `sweep`
    raises                 as `sweep` does before its first run
    """
    configs, workers = _configs(grid), _workers(workers, "cpu")
    is_there = store is not None and (Path(store) / "format.json").exists()
    known = _known(configs, Store(store, write=False) if is_there else None, Sweep())
    plan = plan_of(configs, _seconds(known), workers, stored=store is not None)
    check_room(plan, None if store is None else Path(store))
    return plan


def load_sweep(store: str | Path) -> Sweep:
    """All results in a store, also those that another version of the code has written, one a config.

    Where several versions have run a config, this version's result is taken, and else the one written last; the column
    `code` of `ebll.sweeps.Sweep.table` tells them apart. `sweep` takes none but this version's. Nothing is changed on
    the disk.

    store      the folder, or that in which `ebll sweep` has left it
    returns    a `Sweep`; `.damaged` and `.unknown` name the files that could not be read
    raises     `InputError` where there is no store, or one of another format
    """
    inner = Path(store, "store")
    kept = Store(inner if (inner / "format.json").exists() else store, write=False)
    results: dict[RunConfig, RunResult] = {}
    for result in kept.all():
        if result.config not in results or result.code == code_version():
            results[result.config] = result
    return Sweep(in_order(results), results, kept.damaged, kept.unknown)


def _configs(grid: Grid) -> list[RunConfig]:
    configs = configs_of(read_grid(grid) if isinstance(grid, str | Path) else grid)
    check_runs(configs)
    return configs


def _workers(workers: int | None, device: str) -> int:
    if workers is None:
        return default_workers() if device == "cpu" else 1
    return check_count(workers, "workers")


def _check_device(device: str) -> None:
    try:
        kind = torch.device(device).type
    except (RuntimeError, TypeError):
        kind = ""
    if kind not in ("cpu", "cuda"):
        raise InputError(f"device: 'cpu', or a GPU such as 'cuda' or 'cuda:1'; got {device!r}.")
    if kind == "cuda" and not torch.cuda.is_available():
        raise InputError(f"device: {device!r} is not on this machine, or torch has no CUDA. Take 'cpu'.")


def _known(configs: list[RunConfig], kept: Store | None, made: Sweep) -> dict[RunConfig, RunResult]:
    """What is done already: it is entered in `made`, with the configs."""
    made.configs[:] = configs
    for config in configs:
        if config not in made.results and kept and (found := kept.get(config)):
            made.results[config] = found
    made.damaged[:] = kept.damaged if kept else []
    return {config: made.results[config] for config in configs if config in made.results}


def _seconds(known: Mapping[RunConfig, RunResult]) -> dict[RunConfig, float]:
    return {config: result.seconds for config, result in known.items()}


def _results(
    missing: list[RunConfig], store: Store | None, workers: int, elsewhere: Any, stop: Callable[[], bool], device: str
) -> Iterator[RunResult]:
    if not missing:
        return iter(())
    if elsewhere is not None:
        return engines.on_executor(missing, elsewhere, workers, stop, device)
    if workers == 1:
        return engines.one_by_one(missing, store, stop, device)
    return engines.on_pool(missing, workers, store, stop, device)
