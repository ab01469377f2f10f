"""Live panels for notebooks: one call each, to be moved, watched and compared.

    ebll.panels.forgetting_lab("alpha=1.0")       # any methods, side by side
    ebll.panels.what_if("alpha=3.0", "ebll")      # alpha and lambda act while it trains
    ebll.panels.submanifold_explorer()            # what the code keeps of the features
    ebll.panels.sweep_explorer()                  # maps of a sweep, finished or growing; nothing is trained

Without a kernel, or where a program executes the notebook, the same call leaves a picture of the default state.
"""

from __future__ import annotations

from ebll.panels.base import Panel
from ebll.panels.forgetting_lab import ForgettingLab, forgetting_lab
from ebll.panels.submanifold_explorer import SubmanifoldExplorer, submanifold_explorer
from ebll.panels.sweep_explorer import SweepExplorer, sweep_explorer
from ebll.panels.what_if import WhatIf, what_if

__all__ = [
    "ForgettingLab",
    "Panel",
    "SubmanifoldExplorer",
    "SweepExplorer",
    "WhatIf",
    "forgetting_lab",
    "submanifold_explorer",
    "sweep_explorer",
    "what_if",
]
