"""Many runs: a grid of settings in, tidy tables out; kept as they come, resumed, spread over cores or a cluster.

    found = ebll.sweep({"method": "ebll", "alpha": [0.3, 1.0, 3.0], "seed": range(3)}, store="sweep")
    found.table

`grid` makes the configs, `runs` runs one and keeps its result, `sweep` has them all; `maps` sums up cells over seeds,
`choice` picks alpha without old data. `explorer` shows a sweep in a notebook, `page` as a web page without a kernel;
what both show is made by `view`.
"""

from __future__ import annotations

import lazy_loader

from ebll.config import RunConfig
from ebll.sweeps.choice import Choice, choose_alpha
from ebll.sweeps.grid import axes_of, configs_of, read_grid
from ebll.sweeps.maps import Maps, maps_of
from ebll.sweeps.runs import RESULTS_VERSION, SCALARS, RunResult, Store, run_one
from ebll.sweeps.sweep import Sweep, SweepTables, load_sweep, precomputed_sweep, settings_row, sweep

# On first use, since it brings the widgets with it.
__getattr__, _, _ = lazy_loader.attach(__name__, submodules=["explorer", "page"], submod_attrs={"page": ["export"]})
__all__ = [
    "RESULTS_VERSION", "SCALARS", "Choice", "Maps", "RunConfig", "RunResult", "Store", "Sweep", "SweepTables",
    "axes_of", "choose_alpha", "configs_of", "export", "load_sweep", "maps_of", "precomputed_sweep", "read_grid",
    "run_one", "settings_row", "sweep",
]  # fmt: skip
