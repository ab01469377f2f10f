"""Figures that other commands measure and keep beside their own page in docs/, for the page of all figures.

Nothing is measured here: sweeps take a machine to themselves, and panels need a browser.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from benchmarks.panel_speed import BARS
from benchmarks.paper_speed import BARS as GPU_BARS
from benchmarks.rounds import Figure, figure

__all__ = ["alexnet", "panels", "sweeps"]

DOCS = Path(__file__).parents[1] / "docs"
ABOUT = 1.1  # how far a panel's page lets a number go beyond a bar of "about"

ALEXNET = """Measured by `make bench-paper`; details are in [docs/performance.md](../docs/performance.md). Batch
{batch}, {precision}, device {device}, {threads} threads, on {machine}, torch {torch}. The project's bars for AlexNet
are set for an H100 (`make bench-paper PAPER_FLAGS="--device cuda --compile"`), so none stands below unless the device
is a GPU.
"""
SWEEPS = """Measured by `make bench-sweeps`; details, and the machine of that run, are in
[docs/sweep-speed.md](../docs/sweep-speed.md). How many times as fast: one stack against the same runs one by one, and
several processes against one, whose two rows are of an earlier run than the stacks (the last lines of that page say
more). A stack saves calls and not arithmetic: the runs of a stack share what a call costs, so few runs save less of it
than many, and large nets and batches have less of it to save. On a GPU, `python -m benchmarks.sweep_speed --device
cuda` prints how many times as fast a thousand runs in one stack are as the loop; those figures are not kept here.
"""
PANELS = """Measured by `make bench-panels` in JupyterLab and a Chromium; details, and the machine of that run, are in
[docs/panel-speed.md](../docs/panel-speed.md). {loose}{missing}
"""


def alexnet() -> tuple[str, list[Figure]]:
    """What a step of AlexNet costs beside fine-tuning's, from benchmarks/paper_speed.csv."""
    rows, figures = pd.read_csv(Path(__file__).with_name("paper_speed.csv")), []
    facts = rows.iloc[0]
    for row in rows.itertuples():
        case = f"AlexNet, {row.windows} windows, {row.method}"
        if row.method != "finetune":
            bar = GPU_BARS.get((row.method, row.windows)) if facts["device"].startswith("cuda") else None
            figures.append(Figure(case, "to fine-tuning", "x", row.ratio, row.low, row.high, row.rounds, bar))
    return ALEXNET.format(**facts[["batch", "precision", "device", "threads", "machine", "torch"]]), figures


def sweeps() -> tuple[str, list[Figure]]:
    """What stacks and processes gain, from docs/sweep-speed.csv."""
    figures = []
    for row in pd.read_csv(DOCS / "sweep-speed.csv").itertuples():
        case, _, what = row.case.partition(": ")
        bar = None if pd.isna(row.bar) else row.bar
        figures.append(
            Figure(case, f"times as fast, {what}", "x", row.ratio, row.low, row.high, row.rounds, bar, most=False)
        )
    return SWEEPS, figures


def panels() -> tuple[str, list[Figure]]:
    """How soon the panels answer, from docs/panel-speed.csv; the text names what was not measured there."""
    values = pd.read_csv(DOCS / "panel-speed.csv").groupby("what")["value"]
    figures, loose, missing = [], [], []
    for what, (unit, bar, sense) in BARS.items():
        if what not in values.groups:
            missing.append(what)
            continue
        if sense == "about":
            loose.append(f"{what}, {bar:g} {unit}")
        options = {"bar": bar * (ABOUT if sense == "about" else 1), "most": sense != "at least"}
        figures.append(figure("panel", what, "x" if unit == "ratio" else unit, values.get_group(what), **options))
    told = {
        "loose": f"A bar of `about` allows {ABOUT - 1:.0%} more: {'; '.join(loose)}." if loose else "",
        "missing": f"\n\nNot measured in that run, though it has a bar: {'; '.join(missing)}." if missing else "",
    }
    return PANELS.format(**told), figures
