"""The main job and what it is made of: the plan, the jobs, the claims, the report."""

from __future__ import annotations

from ebll.experiments.claims import claims_of
from ebll.experiments.outcomes import curve_shapes, seed_outcomes
from ebll.experiments.plan import EXPERIMENTS, PRESETS, PROFILES, Experiment, Preset
from ebll.experiments.reproduce import Outcome, reproduce
from ebll.experiments.verdicts import Claim, Part

__all__ = [
    "EXPERIMENTS",
    "PRESETS",
    "PROFILES",
    "Claim",
    "Experiment",
    "Outcome",
    "Part",
    "Preset",
    "claims_of",
    "curve_shapes",
    "reproduce",
    "seed_outcomes",
]
