"""The main job and what it is made of: the plan, the jobs, the claims, the report."""

from __future__ import annotations

import importlib

from ebll.experiments.plan import EXPERIMENTS, PROFILES, Experiment
from ebll.experiments.reproduce import Outcome, reproduce

__all__ = [
    "EXPERIMENTS",
    "PROFILES",
    "Claim",
    "Experiment",
    "Outcome",
    "Part",
    "claims_of",
    "curve_shapes",
    "reproduce",
    "seed_outcomes",
]

# Imported when they are first named: claims need scipy, which a worker process would import for nothing.
_HOME = {
    "Claim": "verdicts",
    "Part": "verdicts",
    "claims_of": "claims",
    "curve_shapes": "outcomes",
    "seed_outcomes": "outcomes",
}


def __getattr__(name: str) -> object:
    if name in _HOME:
        return getattr(importlib.import_module(f"ebll.experiments.{_HOME[name]}"), name)
    if name in _HOME.values():
        return importlib.import_module(f"ebll.experiments.{name}")
    raise AttributeError(f"module 'ebll.experiments' has no attribute {name!r}")
