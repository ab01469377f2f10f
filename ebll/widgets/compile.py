"""Writes the charts as Vega reads them, so that showing one needs neither Altair nor a compiler.

python -m ebll.widgets.compile        # after a change in a chart or in look.py
"""

from __future__ import annotations

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

__all__ = ["CHARTS", "compiled", "write"]

CHARTS: dict[str, Callable[[], altair.TopLevelMixin]] = {
    "lab": lab_chart, "submanifold": submanifold_chart, "sweep": sweep_chart,
}  # fmt: skip
FOLDER = Path(__file__).parent / "front"


def compiled(chart: altair.TopLevelMixin) -> dict[str, Any]:
    """The Vega specification of a chart, whose panels follow the width `available`."""
    spec = chart.to_dict()
    made = vl_convert.vegalite_to_vega({**spec, "config": CONFIG})
    made.pop("$schema", None)  # an address on the network
    sizes = made["usermeta"]["ebll"].pop("sizes")
    for one in made["signals"]:
        if one["name"] in sizes:
            one.pop("value", None)
            one["update"] = sizes[one["name"]]
    made["usermeta"]["made_by"] = [altair.__version__, vl_convert.__version__]
    made["title"]["subtitle"] = {"signal": "caption"}
    _follow(made)
    return made


def _follow(part: dict[str, Any]) -> None:
    """Grids of two columns have as many as `across` says: a signal, which Vega-Lite has no place for."""
    if part.get("layout", {}).get("columns") == 2:
        part["layout"]["columns"] = {"signal": "across"}
    for mark in part.get("marks", ()):
        _follow(mark)


def write() -> None:
    """Write all charts, a file each."""
    for name, make in CHARTS.items():
        text = json.dumps(compiled(make()), ensure_ascii=False, separators=(",", ":"))
        (FOLDER / f"{name}.json").write_text(f"{text}\n", encoding="utf-8")


if __name__ == "__main__":
    write()
