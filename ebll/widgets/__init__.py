"""Widgets for notebooks: one call each, to be moved, watched and compared.

    ebll.widgets.forgetting_lab("alpha=1.0")                # any methods, side by side
    ebll.widgets.forgetting_lab("alpha=3.0", mode="mid-run")   # alpha acts while it trains
    ebll.widgets.plane()                                    # two tasks in the plane, everything drawn
    ebll.widgets.submanifold_explorer()                     # what the code keeps of the features
    ebll.widgets.sweep_explorer()                           # maps of finished runs

Without a kernel, or where a program executes the notebook, the same call leaves a picture of the first run. What a
widget computes can be had without it: `run`, `plane_run` and `explore`. `Chart` is what both show.
"""

from __future__ import annotations

from typing import Any

from .chart import Chart, Drawing
from .config import Change, LabConfig, SubmanifoldConfig
from .explorer import Plane, SubmanifoldExplorer, plane, submanifold_explorer
from .forgetting import ForgettingLab, forgetting_lab
from .lab import LabRun, run, training
from .lab_view import lab_drawing
from .planes import PlaneConfig, PlaneRun, plane_drawing, plane_run, plane_training
from .submanifold import Explored, explore, explored_drawing, exploring

__all__ = [
    "Change", "Chart", "Drawing", "Explored", "ForgettingLab", "LabConfig", "LabRun", "Plane", "PlaneConfig",
    "PlaneRun", "SubmanifoldConfig", "SubmanifoldExplorer", "explore", "explored_drawing", "exploring",
    "forgetting_lab", "lab_drawing", "plane", "plane_drawing", "plane_run", "plane_training", "run",
    "submanifold_explorer", "training",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in ("SweepExplorer", "sweep_explorer"):  # they stand with the sweeps, which stand on these widgets
        import importlib

        return getattr(importlib.import_module("ebll.sweeps.explorer"), name)
    raise AttributeError(f"module 'ebll.widgets' has no attribute {name!r}")
