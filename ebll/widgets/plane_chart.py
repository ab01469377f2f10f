"""The chart of the plane: a row for each method, a column for each moment on show, and lines over steps below."""

from __future__ import annotations

import altair as alt

from ebll.plots import METHODS
from ebll.plots.style import Style

from .look import INK, OVER_STEPS, SOFT, STROKE, channels, framed, legend_of, over_steps, quantity, step, words
from .planes import SHOWN

__all__ = ["CLASSES", "plane_chart"]

CLASSES = {
    "upper moon": Style("", "#b0571a", "-", "o"),
    "lower moon": Style("", "#00757a", "-", "s"),
    "blob": Style("", "#8c8c8c", "-", "^"),
}
LOOKS = {name: METHODS[name] for name in SHOWN}
STEP = "optimiser step on the blobs"
SHADES = ["#f6dcc6", "#ffffff", "#cbe7e6"]
"""Of the regions: sure of the upper moon, undecided, sure of the lower one."""


def plane_chart() -> alt.TopLevelMixin:
    """Inputs on the left, features on the right, accuracy and movement over steps below.

    data   "marks" and "curves", as `plane_drawing` makes them
    """
    legend = alt.Legend(orient="top", symbolOpacity=1, symbolSize=50, symbolStrokeWidth=0)
    left, right = (
        {name: one for name, one in channels("group:N", CLASSES, shown).items() if name in ("fill", "shape")}
        for shown in (legend, None)
    )
    grid = {"columns": 2, "spacing": {"row": 14, "column": 18}}
    panels = alt.concat(_inputs(left), _features(right), **grid).resolve_scale(fill="independent", shape="independent")
    lines = alt.concat(
        _over_steps("accuracy", "'accuracy on the moons, %'", 100),
        _over_steps("across", "'movement of their features across the level lines'", 1),
        **grid,
    )
    side = "max(110, (available - 60) / across - 50)"
    panel = "max(60, (available - 78 * across) / across / length(shown))"
    reading = {
        **{"table": "curves", "time": "step", "rows": "method", "panels": ["accuracy", "across"]},
        "labels": {name: look.label for name, look in LOOKS.items()},
        "columns": [
            ["accuracy", "moons, %", 100], ["accuracy_new", "blobs, %", 100], ["feature_distance", "movement", 1],
            ["across", "across the level lines", 1], ["along", "along them", 1],
        ],
        "sizes": {"inputs_child_width": panel, "features_child_width": panel, "concat_1_childWidth": side},
    }  # fmt: skip
    return framed(
        alt.vconcat(panels, lines, spacing=14).resolve_scale(fill="independent"),
        reading,
        two=560,
        **{"moments": [], "shown": alt.ExprRef("length(moments) ? moments : [at]"), **OVER_STEPS},
        **{f"{name}_range": [0, 1] for name in ("x", "y", "free", "held")},
    )


def _of(kind: str) -> alt.Chart:
    return alt.Chart().transform_filter(f"datum.kind === '{kind}'")


def _placed(chart: alt.Chart, ends: tuple[str, str], both: bool = False, last: bool = False, **more) -> alt.Chart:
    """At x and y, whose ranges are these parameters; from there to x2 and y2; or where it leads to."""
    axes, end = [quantity(f"{name}_range") for name in ends], "2" if last else ""
    more |= {"x2": "x2", "y2": "y2"} if both else {}
    return chart.encode(x=alt.X(f"x{end}:Q", **axes[0]), y=alt.Y(f"y{end}:Q", **axes[1]), **more)


def _faceted(name: str, layers: list[alt.Chart], x: str, y: str, names: bool) -> alt.FacetChart:
    """A row for each method, a column for each moment on show; titles of the axes, and whether methods are named."""
    text = {"labelColor": INK, "labelFontSize": 12, "titleColor": INK, "titleFontSize": 12, "titleFontWeight": "normal"}
    labels = words({name: look.label for name, look in LOOKS.items()})
    row = alt.Header(labelExpr=labels, title=y or None, labels=names, labelAngle=-90, titlePadding=2, **text)
    above = {"labelExpr": "'step ' + shown[datum.value]", "labelPadding": 2}
    column = alt.Header(title=x or None, titleOrient="bottom", **above, **text)
    chart = alt.layer(*layers, data=alt.NamedData("marks")).properties(width=240, height=130)
    facets = {"row": alt.Row("method:N", sort=list(SHOWN), header=row), "column": alt.Column("place:O", header=column)}
    # By place among the moments on show: Vega does not draw facets whose keys are new.
    placed = chart.facet(**facets, spacing=6).transform_calculate(place="indexof(shown, datum.step)")
    return placed.transform_filter("datum.place >= 0").properties(name=name)


def _inputs(group: dict) -> alt.FacetChart:
    """The plane of the inputs: how the old head divides it now and before, and points of both tasks."""
    axes = "x", "y"
    shade = alt.Color("value:Q", scale=alt.Scale(domain=[0, 0.5, 1], range=SHADES), legend=None)
    wrong = alt.condition("datum.kind === 'old' && datum.value === 0", alt.value(INK), alt.value("white"))
    points = {"filled": True, "opacity": 1, "strokeWidth": 1, "clip": True}
    told = "'moons ' + format(100 * datum.value, '.0f') + ', blobs ' + format(100 * datum.x2, '.0f')"
    read = (
        _of("read")
        .transform_calculate(words=told)
        .mark_text(align="left", baseline="bottom", dx=2, dy=4, fontSize=10, color=INK)
    )
    return _faceted("inputs", [
        _placed(_of("cell").mark_rect(clip=True), axes, both=True, color=shade),
        _placed(_of("border").mark_rule(color=INK, strokeDash=[2, 2], strokeWidth=1.2, clip=True), axes, both=True),
        _placed(_of("new").mark_point(size=22, **points), axes, **group),
        _placed(_of("old").mark_point(size=36, **points), axes, stroke=wrong, **group),
        _placed(read, axes, text=alt.Text("words:N")),
    ], "", "", names=True)  # fmt: skip


def _features(group: dict) -> alt.FacetChart:
    """The plane of the features: level lines of the code, what the decoder can make, and where points have moved."""
    axes = "free", "held"
    level = _of("level").mark_rule(color="#9a9a9a", strokeWidth=1, clip=True)
    move = _of("move")
    wrong = alt.condition("datum.value === 0", alt.value(INK), alt.value("white"))
    points = {"filled": True, "clip": True}
    return _faceted("features", [
        _placed(level, axes, both=True),
        _placed(_of("made").mark_rule(color=SOFT, strokeWidth=5, opacity=0.45, clip=True), axes, both=True),
        _placed(move.mark_rule(color=SOFT, strokeWidth=0.8, opacity=0.7, clip=True), axes, both=True),
        _placed(move.mark_point(size=16, opacity=0.45, strokeWidth=0, **points), axes, **group),
        _placed(move.mark_point(size=36, opacity=1, strokeWidth=1, **points), axes, last=True, stroke=wrong, **group),
    ], "free: the code does not see it", "held: the code sees it", names=False)  # fmt: skip


def _over_steps(name: str, title: str, factor: int) -> alt.LayerChart:
    """One column of the curves over steps, a line a method, and a rule at the step on show."""
    method = channels("method:N", LOOKS, legend_of(LOOKS, **STROKE) if name == "accuracy" else None)
    up = {"axis": alt.Axis(tickCount=4, minExtent=36), "scale": alt.Scale(zero=False, nice=True), "title": None}
    lines = alt.Chart(alt.NamedData("curves")).mark_line(strokeWidth=2, clip=True).encode(
        x=step(STEP), y=alt.Y("shown:Q", **up), color=method["color"], strokeDash=method["strokeDash"]
    )  # fmt: skip
    shown = lines.transform_calculate(shown=f"{factor} * datum.{name}")
    return over_steps(name, title, STEP, shown, height=90)
