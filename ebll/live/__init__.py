"""Runs to watch and to steer: a config, its runs, and the thread they go on in. No widgets and no pictures.

made = ebll.live.run(ebll.LabConfig(new="mnist", alpha=1.0))     # what a panel does, without the panel
made.table()
changed = ebll.live.run_live(ebll.LabConfig(), "ebll", changes=[(60, "alpha", 0.0)])
"""

from __future__ import annotations

from ebll.live.config import LAB_METHODS, LabConfig
from ebll.live.knobs import LIVE, Change, LiveKnobs
from ebll.live.lab import LabRun, run, run_live
from ebll.live.offered import offered_tasks
from ebll.live.submanifold import Explored, SubmanifoldConfig, explore
from ebll.live.worker import Handle, Worker

__all__ = [
    "LAB_METHODS",
    "LIVE",
    "Change",
    "Explored",
    "Handle",
    "LabConfig",
    "LabRun",
    "LiveKnobs",
    "SubmanifoldConfig",
    "Worker",
    "explore",
    "offered_tasks",
    "run",
    "run_live",
]
