"""The sweep explorer: maps of a sweep, finished or growing, in a notebook; nothing is trained.

    ebll.panels.sweep_explorer()

Without a kernel, or where a program executes the notebook, the same call leaves a picture of the default state.
"""

from __future__ import annotations

from ebll.panels.sweep_explorer import SweepExplorer, sweep_explorer

__all__ = ["SweepExplorer", "sweep_explorer"]
