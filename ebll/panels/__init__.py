"""Live panels for notebooks: one call each, to be moved, watched and compared.

    ebll.panels.forgetting_lab("alpha=1.0")       # any methods, side by side
    ebll.panels.what_if("alpha=3.0", "ebll")      # alpha and lambda act while it trains
    ebll.panels.submanifold_explorer()            # what the code keeps of the features

Without a kernel, or where a program executes the notebook, the same call leaves a picture of the default state.
"""

from __future__ import annotations

from ebll.panels.base import Panel
from ebll.panels.forgetting_lab import ForgettingLab, forgetting_lab
from ebll.panels.submanifold_explorer import SubmanifoldExplorer, submanifold_explorer
from ebll.panels.what_if import WhatIf, what_if

__all__ = [
    "ForgettingLab",
    "Panel",
    "SubmanifoldExplorer",
    "WhatIf",
    "forgetting_lab",
    "submanifold_explorer",
    "what_if",
]
