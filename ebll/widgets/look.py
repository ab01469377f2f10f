"""How the interactive charts look: the style table of the figures in Vega's terms, fonts, axes; and their compiler."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import altair as alt
import vl_convert

from ebll.plots.style import INK, SOFT, TERMS, Style

__all__ = [
    "CROSS", "INK", "OVER_STEPS", "SOFT", "STROKE", "TERMS", "channels", "compiled", "framed", "legend_of",
    "over_steps", "panel", "quantity", "step", "words",
]  # fmt: skip

_TEXT = {"labelFontSize": 11, "titleFontSize": 12, "titleFontWeight": "normal", "labelColor": INK, "titleColor": INK}
CONFIG = {
    "font": "system-ui, 'DejaVu Sans', sans-serif",
    "background": "white",
    "padding": 6,
    "aria": False,  # a chart has one text that describes it as a whole
    "view": {"stroke": None},
    "axis": {**_TEXT, "titlePadding": 4, "gridColor": "#e4e4e4", "domainColor": SOFT, "tickColor": SOFT},
    "legend": {**_TEXT, "title": None, "labelLimit": 260},
    "title": {
        "anchor": "start",
        "color": INK,
        "fontSize": 12,
        "fontWeight": "normal",
        "offset": 6,
        "limit": {"expr": "available / across - 20"},
    },
}
CROSS = "M-1,-1L1,1M-1,1L1,-1"
"""A thin cross: here a run diverged."""

_SHAPES = {
    "o": "circle", "s": "square", "D": "diamond", "d": "diamond", "v": "triangle-down", "^": "triangle-up",
    "<": "triangle-left", ">": "triangle-right", "P": "cross", "p": "M0,-1L.95,-.31L.59,.81L-.59,.81L-.95,-.31Z",
    "X": "M-1,-.6L-.6,-1L0,-.4L.6,-1L1,-.6L.4,0L1,.6L.6,1L0,.4L-.6,1L-1,.6L-.4,0Z",
    "*": "M0,-1.2L.29,-.4L1.1,-.4L.44,.12L.68,.95L0,.45L-.68,.95L-.44,.12L-1.1,-.4L-.29,-.4Z",
}  # fmt: skip
"""The markers of the style table as Vega knows them."""


def channels(field: str, looks: Mapping[str, Style], legend: alt.Legend | None = None) -> dict[str, Any]:
    """The channels color, fill, stroke, strokeDash and shape of a field whose values are the keys of `looks`."""
    ranges = {
        "color": [look.color for look in looks.values()],
        "strokeDash": [[1, 0] if look.line == "-" else [2 * part for part in look.line[1]] for look in looks.values()],
        "shape": [_SHAPES.get(look.marker, "circle") for look in looks.values()],
    }
    ranges |= {"fill": ranges["color"], "stroke": ranges["color"]}
    kinds = {
        "color": alt.Color,
        "fill": alt.Fill,
        "stroke": alt.Stroke,
        "strokeDash": alt.StrokeDash,
        "shape": alt.Shape,
    }
    scale = {name: alt.Scale(domain=list(looks), range=values) for name, values in ranges.items()}
    return {name: kind(field, scale=scale[name], legend=legend) for name, kind in kinds.items()}


STROKE = {"symbolType": "stroke", "symbolSize": 400, "symbolStrokeWidth": 2}
"""Of a legend of lines."""


def legend_of(looks: Mapping[str, Style], **more: Any) -> alt.Legend:
    """A legend with the labels of these looks, above the panel unless placed elsewhere."""
    labels = words({name: look.label for name, look in looks.items()})
    return alt.Legend(**{"orient": "top", "labelExpr": labels, "symbolOpacity": 1, **more})


def quantity(domain: str, title: str | None = None, ticks: int = 4, grid: bool = False, **axis: Any) -> dict[str, Any]:
    """Title, scale and axis of a quantity; `domain` is the Vega expression of its ends."""
    scale = alt.Scale(domain=alt.ExprRef(domain), nice=False, zero=False)
    return {"title": title, "scale": scale, "axis": alt.Axis(tickCount=ticks, grid=grid, **axis)}


def panel(
    name: str, title: str, *layers: alt.Chart, width: int = 300, height: int = 120, **more: Any
) -> alt.LayerChart:
    """Layers below a title, which is a Vega expression."""
    title = alt.Title(alt.ExprRef(title), **more)
    return alt.layer(*layers).properties(name=name, title=title, width=width, height=height)


OVER_STEPS = {"steps": 1, "zoomed": None, "visible": alt.ExprRef("zoomed || [0, steps]")}
"""The signals of a chart that has panels over steps."""


def step(title: str | None, at: str = "") -> alt.X | alt.XDatum:
    """The axis of steps: of the column `step`, or for a rule at a value of a Vega expression."""
    parts = quantity("visible", title, ticks=5, tickMinStep=1, format="d")
    return alt.XDatum(alt.ExprRef(at), type="quantitative", **parts) if at else alt.X("step:Q", **parts)


def over_steps(name: str, title: str, x_title: str | None, *layers: alt.Chart, height: int = 120) -> alt.LayerChart:
    """A panel over steps, with a rule at the step on show."""
    here = alt.Chart(alt.InlineData([{}])).mark_rule(color=INK, opacity=alt.ExprRef("held ? 1 : 0"), clip=True)
    return panel(name, title, *layers, here.encode(x=step(x_title, "at")), height=height)


def words(labels: Mapping[str, str]) -> str:
    """A Vega expression that writes an axis' or a legend's keys as `labels`."""
    return f"({dict(labels)!r})[datum.value]"


def framed(chart: alt.TopLevelMixin, reading: dict[str, Any], two: int, **values: Any) -> alt.TopLevelMixin:
    """A whole chart with what `ebll.widgets.Chart` needs: title and caption, signals, and how to read its table.

    reading   chart: its name; table, time, rows, labels, columns and panels: what the page reads values from; sizes:
              name of a size of Vega's -> its expression
    two       the width from which on two panels stand side by side
    values    of the chart's own parameters, which its settings may change; or expressions, which they may not
    """
    values = {"available": 800, "at": 0, "held": False, "heading": [""], "caption": [""], **values}
    values = {"across": alt.ExprRef(f"available < {two} ? 1 : 2"), **values}
    parameters = [
        alt.VariableParameter(name=name, **{"expr": one.expr} if isinstance(one, alt.ExprRef) else {"value": one})
        for name, one in values.items()
    ]
    own = [] if chart.params is alt.Undefined else chart.params  # its selections
    return chart.resolve_scale(color="independent", strokeDash="independent", shape="independent").properties(
        title=alt.Title(alt.ExprRef("heading"), fontSize=13, limit=alt.ExprRef("available - 60")),
        usermeta={"ebll": reading},
        params=[*own, *parameters],
    )


def compiled(chart: alt.TopLevelMixin) -> dict[str, Any]:
    """The Vega specification of a chart, whose panels follow the width `available`."""
    spec = chart.to_dict()
    made = vl_convert.vegalite_to_vega({**spec, "config": CONFIG})
    made.pop("$schema", None)  # an address on the network
    sizes = made["usermeta"]["ebll"].pop("sizes")
    for one in made["signals"]:
        if one["name"] in sizes:
            one.pop("value", None)
            one["update"] = sizes[one["name"]]
    made["usermeta"]["made_by"] = [alt.__version__, vl_convert.__version__]
    made["title"]["subtitle"] = {"signal": "caption"}
    _follow(made)
    return made


def _follow(part: dict[str, Any]) -> None:
    """Grids of two columns have as many as `across` says: a signal, which Vega-Lite has no place for."""
    if part.get("layout", {}).get("columns") == 2:
        part["layout"]["columns"] = {"signal": "across"}
    for mark in part.get("marks", ()):
        _follow(mark)
