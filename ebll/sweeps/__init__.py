"""Many runs: a grid of settings in, tidy tables out; kept as they come, resumed, spread over cores or a cluster.

    found = ebll.sweep({"method": "ebll", "alpha": [0.3, 1.0, 3.0], "seed": range(3)}, store="sweep")
    found.table

`config` is one run, `grid` makes many, `single` does one, `store` keeps it, `plan` says what it will cost, `engines`
and `cluster` spread the runs, `tables` holds what they leave, `choice` picks a setting
without peeking. `ready` is a finished sweep that comes with the package; `maps` looks at one, along the settings of a
`view`, in runs found by `indexed`.
"""

from __future__ import annotations

import importlib

from ebll.config import RunConfig
from ebll.sweeps.choice import Choice, choose_alpha
from ebll.sweeps.grid import axes_of, configs_of, read_grid
from ebll.sweeps.plan import SweepPlan
from ebll.sweeps.ready import ready_sweep
from ebll.sweeps.single import FIGURES, RunResult, run_one
from ebll.sweeps.store import Store
from ebll.sweeps.sweep import load_sweep, plan_sweep, sweep
from ebll.sweeps.tables import Sweep, SweepTables, settings_row

__all__ = [
    "FIGURES",
    "Choice",
    "RunConfig",
    "RunResult",
    "Store",
    "Sweep",
    "SweepPlan",
    "SweepTables",
    "axes_of",
    "choose_alpha",
    "configs_of",
    "load_sweep",
    "plan_sweep",
    "read_grid",
    "ready_sweep",
    "run_one",
    "settings_row",
    "sweep",
]


def __getattr__(name: str) -> object:
    if name == "maps":  # on first use, since it brings the figures with it
        return importlib.import_module("ebll.sweeps.maps")
    raise AttributeError(f"module 'ebll.sweeps' has no attribute {name!r}")
