"""Figures with a bar that other commands measure and keep beside their own page in docs/, for the page of all bars.

Nothing is measured here: panels need a browser, and AlexNet's bars a GPU.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from benchmarks.paper_speed import BARS as GPU_BARS
from benchmarks.results import spread
from benchmarks.rounds import Figure, figure
from benchmarks.widget_speed import BARS

__all__ = ["alexnet", "panels"]

DOCS = Path(__file__).parents[1] / "docs"
PAPER = Path(__file__).with_name("paper_speed.csv")
PANELS = ("slider to changed picture", "Stop to stopped", "default run, Run to done", "watched run / unwatched run")
IMAGES_BAR = 39_000
ABOUT = 1.1  # how far a panel's page lets a number go beyond a bar of "about"


def panels() -> tuple[str, list[Figure]]:
    """How soon the widgets answer, from docs/widget-speed.csv; what was not measured there is left out."""
    values, figures = pd.read_csv(DOCS / "widget-speed.csv").groupby("what")["value"], []
    for what in (name for name in PANELS if name in values.groups):
        unit, bar, sense = BARS[what]
        bar *= ABOUT if sense == "about" else 1
        figures.append(figure("panel", what, "x" if unit == "ratio" else unit, values.get_group(what), bar))
    page = "[docs/widget-speed.md](../docs/widget-speed.md)"
    text = (
        f"Measured by `make bench-widgets` in JupyterLab and a Chromium: {page}. A bar of about 1 s allows {ABOUT:g} s."
    )
    return text, figures


def alexnet() -> tuple[str, list[Figure]]:
    """EBLL's step of AlexNet, from benchmarks/paper_speed.csv; its bars are set for a GPU and hold on one only."""
    rows = pd.read_csv(PAPER)
    row = rows[(rows["method"] == "ebll") & (rows["windows"] == "fixed")].iloc[0]
    bars = (GPU_BARS["ebll", "fixed"], IMAGES_BAR) if row.device.startswith("cuda") else (None, None)
    case = f"AlexNet, batch {row.batch}, {row.precision}, {row.device}, ebll"
    figures = [
        Figure(case, "to fine-tuning", "x", row.ratio, row.low, row.high, row.rounds, bars[0]),
        figure(case, "images a second", "images", [row.images], bars[1], most=False),
    ]
    page = "[docs/performance.md](../docs/performance.md)"
    told = (
        f"On {row.device}, batch {row.batch}, {row.precision}, a step of EBLL takes {spread(figures[0])} fine-tuning's"
    )
    return f"{told}. Measured by `make bench-paper`: {page}. The bars are set for an H100.", figures
