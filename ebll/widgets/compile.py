"""Writes the charts as Vega reads them, so that showing one needs neither Altair nor a compiler.

python -m ebll.widgets.compile        # after a change in a chart or in look.py
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import altair
import vl_convert

from .lab_chart import lab_chart
from .look import CONFIG
from .submanifold_chart import submanifold_chart
from .sweep_chart import sweep_chart

__all__ = ["CHARTS", "compiled", "source_of", "write"]

CHARTS: dict[str, Callable[[], altair.TopLevelMixin]] = {
    "lab": lab_chart, "submanifold": submanifold_chart, "sweep": sweep_chart,
}  # fmt: skip
FOLDER = Path(__file__).parent / "front"


def compiled(chart: altair.TopLevelMixin) -> dict[str, Any]:
    """The Vega specification of a chart, whose panels follow the width `available`."""
    spec = chart.to_dict()
    made = vl_convert.vegalite_to_vega({**spec, "config": CONFIG})
    made.pop("$schema", None)  # an address, and nobody is to ask there
    sizes = made["usermeta"]["ebll"].pop("sizes")
    for one in made["signals"]:
        if one["name"] in sizes:
            one.pop("value", None)
            one["update"] = sizes[one["name"]]
    made["title"]["subtitle"] = {"signal": "caption"}
    _follow(made)
    return made


def _follow(part: dict[str, Any]) -> None:
    """Grids of two columns have as many as `across` says: a signal, which Vega-Lite has no place for."""
    if part.get("layout", {}).get("columns") == 2:
        part["layout"]["columns"] = {"signal": "across"}
    for mark in part.get("marks", ()):
        _follow(mark)


def source_of(chart: altair.TopLevelMixin) -> str:
    """A hash of what a chart is compiled from."""
    text = json.dumps({**chart.to_dict(), "$schema": "", "look": CONFIG}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def write() -> None:
    """Write all charts, a file each."""
    for name, make in CHARTS.items():
        spec = compiled(make())
        spec["usermeta"] |= {"source": source_of(make()), "altair": altair.__version__}
        (FOLDER / f"{name}.json").write_text(json.dumps(spec, ensure_ascii=False, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    write()
