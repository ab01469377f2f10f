"""The charts of the page: Vega-Lite through Altair, compiled to Vega; looks without numbers.

A chart reads a data set named "rows" and signals for its titles and limits; the page fills them in the reader's
browser.
"""

from __future__ import annotations

from typing import Any

import altair as alt
import vl_convert

from ebll.plots.style import BAND, HEAT, INK, SOFT, Style

__all__ = ["charts", "drawn", "runtime"]

MISSING = "#ededed"
_FONT = "system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif"
_SIZE = 13
_SMALL = 11
_WORDS = {"labelFontSize": _SIZE, "titleFontSize": _SIZE, "titleFontWeight": "normal", "labelColor": INK}
_CONFIG = {
    "font": _FONT,
    "background": "white",
    "aria": False,  # the page gives every chart a text of its own
    "mark": {"aria": False},
    "view": {"stroke": None},
    "axis": {
        **_WORDS, "titleColor": INK, "titlePadding": 6, "labelLimit": 130, "gridColor": "#e4e4e4", "domainColor": SOFT,
        "tickColor": SOFT,
    },
    "legend": {**_WORDS, "labelLimit": 260},
}  # fmt: skip
_SHAPES = {
    "o": "circle", "s": "square", "D": "diamond", "d": "diamond", "v": "triangle-down", "^": "triangle-up",
    "<": "triangle-left", ">": "triangle-right", "P": "cross",
    "X": "M-.5,-.3L-.3,-.5L0,-.2L.3,-.5L.5,-.3L.2,0L.5,.3L.3,.5L0,.2L-.3,.5L-.5,.3L-.2,0Z",
    "*": "M0,-.6L.14,-.19L.57,-.19L.22,.07L.35,.49L0,.23L-.35,.49L-.22,.07L-.57,-.19L-.14,-.19Z",
}  # fmt: skip
"""matplotlib's markers as Vega knows them."""


def charts() -> dict[str, dict[str, Any]]:
    """Name -> Vega specification of each chart."""
    made = {"map": _map(), "curves": _curves(), "tradeoff": _tradeoff(), "seeds": _seeds()}
    return {name: _compiled(chart) for name, chart in made.items()}


def drawn(look: Style) -> dict[str, Any]:
    """A method's look as Vega knows it: color, dash (pixels on and off) and shape."""
    dash = [1, 0] if look.line == "-" else [2 * part for part in look.line[1]]
    return {"color": look.color, "dash": dash, "shape": _SHAPES.get(look.marker, "circle")}


def runtime() -> str:
    """The JavaScript of Vega, whole: it sets `window.vegaEmbed`, and asks the network for nothing."""
    # The bundle is a module; as a plain script its thousand names would be global.
    return f"(() => {{\n{vl_convert.javascript_bundle('window.vegaEmbed = vegaEmbed;')}\n}})();"


def _compiled(chart: alt.LayerChart) -> dict[str, Any]:
    fitted = chart.properties(width="container", autosize=alt.AutoSizeParams(type="fit-x", contains="padding"))
    spec = fitted.to_dict()
    spec["config"] = _CONFIG
    made = vl_convert.vegalite_to_vega(spec)
    made.pop("$schema", None)  # an address, and nobody is to ask there
    return _with_signals(made)


def _with_signals(part: Any) -> Any:
    """Make titles such as "@x_title" signals: those of Vega can change, those of Vega-Lite cannot."""
    if isinstance(part, dict):
        return {key: _with_signals(value) for key, value in part.items()}
    if isinstance(part, list):
        return [_with_signals(value) for value in part]
    return {"signal": part[1:]} if isinstance(part, str) and part.startswith("@") else part


def _titles() -> list[alt.Parameter]:
    return [alt.param(name=name, value="") for name in ("x_title", "y_title")]


def _map() -> alt.LayerChart:
    """rows: column, row, shown, failed, told (texts), value (a number, or null where there is none), chosen (0/1)."""
    base = alt.Chart(alt.NamedData("rows")).encode(
        x=alt.X(
            "column:O", title="@x_title", scale=alt.Scale(domain=alt.ExprRef("columns")),
            axis=alt.Axis(labelAngle=0, labelOverlap=True, grid=False),
        ),
        y=alt.Y(
            "row:O", title="@y_title", scale=alt.Scale(domain=alt.ExprRef("rows_down")), axis=alt.Axis(grid=False)
        ),
        tooltip="told:N",
    )  # fmt: skip
    color = alt.Color(
        "value:Q",
        scale=alt.Scale(
            scheme=HEAT, domainMin=alt.ExprRef("low"), domainMax=alt.ExprRef("high"), clamp=True,
            reverse=alt.ExprRef("less_is_better"),
        ),
        legend=alt.Legend(
            orient="bottom", title=None, tickCount=4, gradientThickness=10,
            gradientLength=alt.ExprRef("min(200, width)"),
        ),
    )  # fmt: skip
    known = "isValid(datum.value)"
    ink = "contrast('white', scale('color', datum.value)) > contrast('black', scale('color', datum.value))"
    light = alt.condition(f"{known} && {ink}", alt.value("white"), alt.value("black"))
    wide = "bandwidth('x') >= {} ? datum.{} : ''"  # no number at all is better than half of one
    words = base.mark_text(fontSize=12, text=alt.ExprRef(wide.format(29, "shown"))).encode(color=light)
    failed = base.mark_text(fontSize=_SMALL, dy=15, text=alt.ExprRef(wide.format(18, "failed"))).encode(color=light)
    frame = base.transform_filter("datum.chosen == 1")
    return alt.layer(
        base.transform_filter(f"!{known}").mark_rect(fill=MISSING, stroke="white"),
        base.transform_filter(known).mark_rect(stroke="white", cursor="pointer").encode(color=color),
        words,
        failed,
        frame.mark_rect(filled=False, strokeWidth=5.5, stroke="white"),
        frame.mark_rect(filled=False, strokeWidth=3, stroke=INK),
        height=alt.Step(46),
    ).add_params(
        *_titles(),
        alt.param(name="columns", value=[]),
        alt.param(name="rows_down", value=[]),
        alt.param(name="low", value=0.0),
        alt.param(name="high", value=1.0),
        alt.param(name="less_is_better", value=False),
    )


def _kinds(field: str) -> alt.Scale:
    """Up to three methods at a time: the page names them, and how each is drawn."""
    return alt.Scale(domain=alt.ExprRef("kinds"), range=[alt.ExprRef(f"{field}[{i}]") for i in range(3)])


def _looks() -> list[alt.Parameter]:
    return [*_titles(), *(alt.param(name=name, value=[]) for name in ("kinds", "color", "dash", "shape"))]


def _curves() -> alt.LayerChart:
    """rows: kind (a method's label), step, mean, low, high; the axis ends at the signal `high`."""
    legend = alt.Legend(
        orient="top", title=None, symbolType="stroke", symbolSize=900, symbolStrokeWidth=2.5, symbolOpacity=1,
        symbolFillColor="transparent",
    )  # fmt: skip
    base = alt.Chart(alt.NamedData("rows")).encode(
        x=alt.X("step:Q", title="@x_title", axis=alt.Axis(tickCount=5, grid=False), scale=alt.Scale(nice=False)),
        color=alt.Color("kind:N", scale=_kinds("color"), legend=legend),
    )
    scale = alt.Scale(domainMin=0, domainMax=alt.ExprRef("high"))
    y = {"title": "@y_title", "scale": scale, "axis": alt.Axis(tickCount=5)}
    band = base.mark_area(opacity=BAND, clip=True).encode(y=alt.Y("low:Q", **y), y2="high:Q")
    line = base.mark_line(strokeWidth=2.5, clip=True).encode(
        y=alt.Y("mean:Q", **y), strokeDash=alt.StrokeDash("kind:N", scale=_kinds("dash"), legend=legend)
    )
    return alt.layer(band, line, height=260).add_params(*_looks(), alt.param(name="high", value=1.0))


def _tradeoff() -> alt.LayerChart:
    """rows: kind, new and old (in %), told (text), role ("cell" or "reference"), front and chosen (0/1)."""
    legend = alt.Legend(orient="top", title=None, symbolSize=90, symbolOpacity=1)
    scale = alt.Scale(zero=False, padding=16)
    place = alt.Chart(alt.NamedData("rows")).encode(
        x=alt.X("new:Q", title="@x_title", scale=scale, axis=alt.Axis(tickCount=5)),
        y=alt.Y("old:Q", title="@y_title", scale=scale, axis=alt.Axis(tickCount=5)),
        color=alt.Color("kind:N", scale=_kinds("color"), legend=legend),
    )
    base = place.encode(tooltip="told:N", shape=alt.Shape("kind:N", scale=_kinds("shape"), legend=legend))
    cells, on_front = "datum.role == 'cell'", "datum.front == 1"
    front = f"{cells} && {on_front}"
    chosen = {"color": alt.value(INK), "shape": alt.value("circle")}
    return alt.layer(
        place.transform_filter(front).mark_line(strokeWidth=1.2).encode(order="new:Q"),
        base.transform_filter(f"{cells} && !({on_front})").mark_point(
            size=45, filled=False, fill="white", strokeWidth=1.3, cursor="pointer"
        ),
        base.transform_filter(front).mark_point(size=55, filled=True, opacity=1, cursor="pointer"),
        base.transform_filter("datum.role == 'reference'").mark_point(size=120, filled=True, opacity=1),
        base.transform_filter("datum.chosen == 1")
        .mark_point(size=230, strokeWidth=3, filled=False, opacity=1)
        .encode(**chosen),
        height=260,
    ).add_params(*_looks())


def _seeds() -> alt.LayerChart:
    """rows: kind, seed, value (in %), mean (0/1): a mark a seed, joined across methods, and a dash at each mean."""
    place = alt.Chart(alt.NamedData("rows")).encode(
        x=alt.X("kind:N", sort=None, title="@x_title", axis=alt.Axis(labelAngle=0, grid=False)),
        y=alt.Y("value:Q", title="@y_title", scale=alt.Scale(zero=False, padding=10), axis=alt.Axis(tickCount=5)),
    )
    seeds = place.transform_filter("datum.mean == 0")
    color = alt.Color("kind:N", scale=_kinds("color"), legend=None)
    return alt.layer(
        seeds.mark_line(color="#9a9a9a", strokeWidth=1).encode(detail="seed:N"),
        seeds.mark_point(filled=True, size=60, opacity=0.85).encode(
            color=color, shape=alt.Shape("kind:N", scale=_kinds("shape"), legend=None)
        ),
        place.transform_filter("datum.mean == 1").mark_tick(thickness=3, size=34, opacity=1).encode(color=color),
        height=200,
    ).add_params(*_looks())
