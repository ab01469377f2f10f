"""The chart of the sweep explorer and of its page: three maps, feature distance, and the trade-off.

`ebll/sweeps/front/explorer.js` and `ebll.sweeps.view.drawing_of` make its data.
"""

from __future__ import annotations

import warnings

import altair as alt

from ebll.plots.style import BAND, HEAT, METHODS, Style

from .look import INK, framed, scales, words

__all__ = ["PINNED", "sweep_chart"]

PINNED = Style("pinned cell", "#7b52a1", (0, (2, 1.5)), "D")
_LOOKS = {**METHODS, "pinned": PINNED}
_LABELS = {name: look.label for name, look in _LOOKS.items()}
_MISSING = "#ededed"


def sweep_chart() -> alt.ConcatChart:
    """Maps of old and new accuracy and of forgetting; below them curves and trade-off, of the cell that is chosen.

    data       "cells" (column, row, old, new, forgetting, failed, tooltip, chosen, pinned, on_front), "curves" (kind,
               step, mean, low, high), "points" (kind, role, old, new, tooltip); shares in %
    selection  "hovered", the cell under the pointer, which is marked in all views
    """
    hovered = alt.selection_point(
        name="hovered", fields=["column", "row"], on="pointerover", clear="pointerout", empty=False
    )
    maps = [
        _map(name, title, less, hovered)
        for name, title, less in (
            ("old", "old task: accuracy, %", False),
            ("new", "new task: accuracy, %", False),
            ("forgetting", "forgotten, points", True),
        )
    ]
    with warnings.catch_warnings():  # Altair says that a selection which several views share is one
        warnings.simplefilter("ignore", UserWarning)
        chart = alt.concat(*maps, _curves(), _tradeoff(hovered), columns=2, spacing={"row": 18, "column": 16})
    whole = framed(
        chart,
        # the five views have one width
        {"table": "cells", "time": "cell", "sizes": {"childWidth": "max(120, (available - 30) / across - 75)"}},
        available=900, across=alt.ExprRef("available < 460 ? 1 : available < 760 ? 2 : 3"),
        x_title="", y_title="", columns_shown=[], rows_shown=[], kinds=[], method="ebll", top=1, last=1,
        old_shown=[0, 100], new_shown=[0, 100], old_range=[0, 1], new_range=[0, 1], forgetting_range=[0, 1],
    )  # fmt: skip
    return whole.properties(title=alt.Title(alt.ExprRef("heading"), fontSize=13, limit=2000))


def _map(name: str, title: str, less: bool, hovered: alt.Parameter) -> alt.LayerChart:
    base = alt.Chart(alt.NamedData("cells")).encode(
        x=alt.X(
            "column:O", title=None, scale=alt.Scale(domain=alt.ExprRef("columns_shown")),
            axis=alt.Axis(labelAngle=0, labelOverlap=True, grid=False, ticks=False, domain=False),
        ),
        y=alt.Y(
            "row:O", title=None, scale=alt.Scale(domain=alt.ExprRef("rows_shown")),
            axis=alt.Axis(grid=False, ticks=False, domain=False),
        ),
        tooltip="tooltip:N",
    )  # fmt: skip
    known = f"isValid(datum.{name})"
    color = alt.Color(
        f"{name}:Q",
        scale=alt.Scale(scheme=HEAT, domain=alt.ExprRef(f"{name}_range"), clamp=True, reverse=less),
        legend=alt.Legend(orient="bottom", tickCount=3, gradientThickness=8, gradientLength=140),
    )
    # cividis from dark to bright: white letters on the darker half
    share = f"(datum.{name} - {name}_range[0]) / ({name}_range[1] - {name}_range[0])"
    light = f"{known} && {share} {'>' if less else '<'} 0.5"
    ink = alt.condition(light, alt.value("white"), alt.value("black"))
    number = base.transform_calculate(
        shown=f"{known} ? format(datum.{name}, '.1f') : ''",
        beside=f"datum.failed ? '×' + datum.failed : {known} ? '' : '–'",
    )
    chosen = base.transform_filter("datum.chosen")
    layers = [
        base.transform_filter(f"!{known}").mark_rect(fill=_MISSING, stroke="white", cursor="pointer"),
        base.transform_filter(known)
        .mark_rect(stroke="white", cursor="pointer")
        .encode(color=color)
        .add_params(hovered)
        .properties(name=f"{name}_cells"),
        number.mark_text(fontSize=11, baseline=alt.ExprRef("datum.failed ? 'bottom' : 'middle'")).encode(
            text="shown:N", color=ink
        ),
        number.mark_text(fontSize=10, dy=alt.ExprRef(f"{known} ? 7 : 0")).encode(text="beside:N", color=ink),
        base.transform_filter(hovered).mark_rect(filled=False, stroke="white", strokeWidth=2, strokeDash=[3, 2]),
        base.transform_filter("datum.pinned").mark_rect(filled=False, stroke=PINNED.color, strokeWidth=3),
        chosen.mark_rect(filled=False, stroke="white", strokeWidth=5),
        chosen.mark_rect(filled=False, stroke=INK, strokeWidth=2.5),
    ]
    text = f"[{title!r}, x_title + ' →' + (y_title ? ', ' + y_title + ' ↑' : '')]"  # names of axes must be constants
    return alt.layer(*layers).properties(name=name, title=alt.Title(alt.ExprRef(text)), width=200, height=170)


def _legend(**more: object) -> alt.Legend:
    return alt.Legend(
        orient="top", values=alt.ExprRef("kinds"), labelExpr=words(_LABELS), columns=2, symbolOpacity=1, **more
    )  # fmt: skip


def _curves() -> alt.LayerChart:
    scale = scales(_LOOKS)
    legend = _legend(symbolType="stroke", symbolSize=400, symbolStrokeWidth=2, symbolFillColor="transparent")
    base = alt.Chart(alt.NamedData("curves")).encode(
        x=alt.X(
            "step:Q", title="optimiser step of the last task", axis=alt.Axis(tickCount=4, grid=False),
            scale=alt.Scale(domain=alt.ExprRef("[0, last]"), nice=False),
        ),
        color=alt.Color("kind:N", scale=scale["color"], legend=legend),
    )  # fmt: skip
    y = {"scale": alt.Scale(domain=alt.ExprRef("[0, top]")), "title": None, "axis": alt.Axis(tickCount=4)}
    band = base.mark_area(opacity=BAND, clip=True).encode(y=alt.Y("low:Q", **y), y2="high:Q")
    line = base.mark_line(strokeWidth=2, clip=True).encode(
        y=alt.Y("mean:Q", **y), strokeDash=alt.StrokeDash("kind:N", scale=scale["strokeDash"], legend=legend)
    )
    return alt.layer(band, line).properties(
        name="curves", title="feature distance, feature units", width=200, height=190
    )


def _tradeoff(hovered: alt.Parameter) -> alt.LayerChart:
    scale, legend = scales(_LOOKS), _legend(symbolSize=70)
    axes = {
        name: {"title": f"{name} task, %", "axis": alt.Axis(tickCount=4),
               "scale": alt.Scale(domain=alt.ExprRef(f"{name}_shown"), nice=False)}
        for name in ("new", "old")
    }  # fmt: skip
    cells = (
        alt.Chart(alt.NamedData("cells"))
        .transform_filter("isValid(datum.old) && isValid(datum.new)")
        .encode(x=alt.X("new:Q", **axes["new"]), y=alt.Y("old:Q", **axes["old"]), tooltip="tooltip:N")
    )
    own = f"{ ({name: look.color for name, look in _LOOKS.items()})!r}[method]"
    front = cells.transform_filter("datum.on_front")
    points = alt.Chart(alt.NamedData("points")).encode(
        x=alt.X("new:Q", **axes["new"]),
        y=alt.Y("old:Q", **axes["old"]),
        color=alt.Color("kind:N", scale=scale["color"], legend=legend),
        shape=alt.Shape("kind:N", scale=scale["shape"], legend=legend),
        tooltip="tooltip:N",
    )
    ring = {"filled": False, "stroke": INK}
    layers = [
        front.mark_line(strokeWidth=1.2, clip=True, stroke=alt.ExprRef(own)).encode(order="new:Q"),
        cells.mark_point(
            clip=True, size=40, opacity=1, filled=False, strokeWidth=1.3, cursor="pointer", stroke=alt.ExprRef(own),
            fill=alt.ExprRef(f"datum.on_front ? {own} : 'white'"),
        ).add_params(hovered).properties(name="tradeoff_cells"),
        points.transform_filter("datum.role === 'seed'").mark_point(clip=True, size=12, filled=True, opacity=0.9),
        points.transform_filter("datum.role !== 'seed'").mark_point(clip=True, size=90, filled=True, opacity=1),
        cells.transform_filter(hovered).mark_point(clip=True, size=160, strokeWidth=1.5, strokeDash=[3, 2], **ring),
        cells.transform_filter("datum.chosen").mark_point(size=200, strokeWidth=2.5, opacity=1, **ring),
    ]  # fmt: skip
    return alt.layer(*layers).properties(
        name="tradeoff", title="what is kept against what is learned", width=200, height=190
    )
