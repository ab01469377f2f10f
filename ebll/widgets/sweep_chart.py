"""The chart of the sweep explorer and of its page: three maps, feature distance, and the trade-off.

It is given the tables of a sweep as they are, and which cells are looked at; it picks their numbers itself.
"""

from __future__ import annotations

import warnings

import altair as alt

from ebll.plots.style import HEAT, METHODS, PALE, Style

from .look import INK, STROKE, channels, framed, legend_of, panel

__all__ = ["PINNED", "sweep_chart"]

PINNED = Style("pinned cell", "#a3123f", (0, (2, 1.5)), "D")
_LOOKS = {**METHODS, "pinned": PINNED}
_LABELS = {name: look.label for name, look in _LOOKS.items()}
_KINDS = {"values": alt.ExprRef("kinds"), "columns": 2}
_MISSING = "#ededed"
_MAPS = {
    "old": "accuracy on the old task, %",
    "new": "accuracy on the new task, %",
    "forgetting": "forgetting, points",
}
_MEASURED = [f"{name}_{images}" for images in ("validation", "test") for name in (*_MAPS, "words")]
_OF_IMAGES = {name: f"datum['{name}_' + images]" for name in _MAPS}


def sweep_chart() -> alt.ConcatChart:
    """Maps of old and new accuracy and of forgetting; below them curves and trade-off, of the cell that is chosen.

    data       the sweep's "cells" (cell, name, failed, and old, new, forgetting and words, each for `_validation` and
               `_test`), "runs" (cell, seed, failure, the same numbers) and "curves" (cell, step, mean, low, high);
               shares in %. Which of them are seen: "map" (column, row, cell, chosen) and "compared" (cell, kind)
    settings   images, "validation" or "test"; near, whether the trade-off leaves out cells far from its front; numbers
               of the cells chosen and pinned; titles and ends of the axes
    selection  "hovered", the cell under the pointer, which is marked in all views
    """
    hovered = alt.selection_point(
        name="hovered", fields=["column", "row"], on="pointerover", clear="pointerout", empty=False
    )
    with warnings.catch_warnings():  # Altair says that a selection which several views share is one
        warnings.simplefilter("ignore", UserWarning)
        views = [*(_map(name, hovered) for name in _MAPS), _curves(), _tradeoff(hovered)]
        chart = alt.concat(*views, columns=2, spacing={"row": 18, "column": 16})
    whole = framed(
        chart,
        # the five views have one width
        {"table": "cells", "time": "cell", "sizes": {"childWidth": "max(120, (available - 30) / across - 75)"}},
        two=460, available=900, across=alt.ExprRef("available < 460 ? 1 : available < 760 ? 2 : 3"),
        x_title="", y_title="", columns_shown=[], rows_shown=[], kinds=[], method="ebll", images="validation",
        near=True, chosen=-1, pinned=-1, old_range=[0, 1], new_range=[0, 1], forgetting_range=[0, 1],
    )  # fmt: skip
    return whole.properties(title=alt.Title(alt.ExprRef("heading"), fontSize=13, limit=2000))


def _of_cells(*layers: alt.Chart) -> alt.LayerChart:
    """Layers of the cells of the map with their numbers; those that the sweep does not have are there without."""
    found = alt.LookupData(alt.NamedData("cells"), key="cell", fields=["name", "failed", *_MEASURED])
    tooltip = "isValid(datum.name) ? datum.name + ': ' + datum['words_' + images] : 'not in this sweep'"
    looked_up = alt.layer(*layers, data=alt.NamedData("map")).transform_lookup("cell", from_=found)
    return looked_up.transform_calculate(tooltip=tooltip, **_OF_IMAGES)


def _compared(table: str) -> alt.Chart:
    """The rows of a table that are of compared cells, with their kind."""
    found = alt.LookupData(alt.NamedData("compared"), key="cell", fields=["kind"])
    return alt.Chart(alt.NamedData(table)).transform_lookup("cell", from_=found).transform_filter("isValid(datum.kind)")


def _map(name: str, hovered: alt.Parameter) -> alt.LayerChart:
    less = name == "forgetting"  # is better
    base = alt.Chart().encode(
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
        base.transform_filter("datum.cell === pinned").mark_rect(filled=False, stroke=PINNED.color, strokeWidth=3),
        chosen.mark_rect(filled=False, stroke="white", strokeWidth=5),
        chosen.mark_rect(filled=False, stroke=INK, strokeWidth=2.5),
    ]
    # names of axes must be constants
    text = f"[{_MAPS[name]!r}, x_title + ' →' + (y_title ? ', ' + y_title + ' ↑' : '')]"
    return _of_cells(*layers).properties(name=name, title=alt.Title(alt.ExprRef(text)), width=200, height=170)


def _curves() -> alt.LayerChart:
    """The mean over the seeds, and as thin lines the lowest and the highest of them."""
    kinds = channels("kind:N", _LOOKS, legend_of(_LOOKS, **_KINDS, **STROKE, symbolFillColor="transparent"))
    x = alt.X(
        "step:Q", title="optimiser step of the last task", axis=alt.Axis(tickCount=4, grid=False),
        scale=alt.Scale(nice=False),
    )  # fmt: skip
    base = _compared("curves").encode(x=x, color=kinds["color"], strokeDash=kinds["strokeDash"])
    y = {"title": None, "axis": alt.Axis(tickCount=4)}
    width = {"mean": 2, "low": PALE["linewidth"], "high": PALE["linewidth"]}
    layers = [
        base.mark_line(strokeWidth=width[name], opacity=1 if name == "mean" else 0.5, clip=True).encode(
            y=alt.Y(f"{name}:Q", **y)
        )
        for name in ("low", "high", "mean")
    ]
    title = "'feature distance, feature units'"
    return panel("curves", title, *layers, width=200, height=190)


def _tradeoff(hovered: alt.Parameter) -> alt.LayerChart:
    look = channels("kind:N", _LOOKS, legend_of(_LOOKS, **_KINDS, symbolSize=70))
    axes = {
        name: {
            "title": f"accuracy on the {name} task, %",
            "axis": alt.Axis(tickCount=4),
            "scale": alt.Scale(zero=False, padding=10),
        }
        for name in ("new", "old")
    }
    place = {"x": alt.X("new:Q", **axes["new"]), "y": alt.Y("old:Q", **axes["old"]), "tooltip": "tooltip:N"}
    told = " + ': old ' + format(datum.old, '.1f') + ', new ' + format(datum.new, '.1f')"
    seeds = alt.Chart(alt.NamedData("runs")).transform_filter("datum.cell === chosen && !datum.failure")
    seeds = seeds.transform_calculate(kind="method", tooltip="'seed ' + datum.seed", **_OF_IMAGES)
    means = _compared("cells").transform_filter("datum.kind !== method")
    means = means.transform_calculate(tooltip=f"({_LABELS!r})[datum.kind]", **_OF_IMAGES)
    kinds = {"color": look["color"], "shape": look["shape"]}
    seeds, means = (
        one.transform_filter("isValid(datum.old)")
        .transform_calculate(tooltip=f"datum.tooltip{told}")
        .encode(**place, **kinds)
        for one in (seeds, means)
    )
    own = f"{ ({name: look.color for name, look in _LOOKS.items()})!r}[method]"
    ring = {"filled": False, "stroke": INK}
    cells = alt.Chart().encode(**place)
    layers = [
        cells.transform_filter("datum.on_front")
        .mark_line(strokeWidth=1.2, stroke=alt.ExprRef(own))
        .encode(order="new:Q"),
        cells.mark_point(
            size=40, opacity=1, filled=False, strokeWidth=1.3, cursor="pointer", stroke=alt.ExprRef(own),
            fill=alt.ExprRef(f"datum.on_front ? {own} : 'white'"),
        ).add_params(hovered).properties(name="tradeoff_cells"),
        cells.transform_filter(hovered).mark_point(size=160, strokeWidth=1.5, strokeDash=[3, 2], **ring),
        cells.transform_filter("datum.chosen").mark_point(size=200, strokeWidth=2.5, opacity=1, **ring),
    ]  # fmt: skip
    # On the front: of cells in which no seed failed, none is as good on one task and better on the other.
    known = _of_cells(*layers).transform_filter("isValid(datum.old) && isValid(datum.new)")
    known = known.transform_calculate(
        whole_old="datum.failed ? null : datum.old", whole_new="datum.failed ? null : datum.new"
    )
    for side, other in (("old", "new"), ("new", "old")):  # the best of all cells that are as good on the other task
        order = [alt.SortField(other, "descending")]
        known = known.transform_window(**{f"best_{side}": f"max(whole_{side})"}, frame=[None, 0], sort=order)
    best = "!datum.failed && datum.old === datum.best_old && datum.new === datum.best_new"
    front = known.transform_calculate(on_front=best)
    near = front.transform_calculate(seen="datum.on_front || datum.chosen || !near").transform_calculate(
        least_old="datum.seen ? datum.old : null", least_new="datum.seen ? datum.new : null"
    )
    near = near.transform_joinaggregate(low_old="min(least_old)", low_new="min(least_new)")
    near = near.transform_filter("datum.old >= datum.low_old && datum.new >= datum.low_new")
    points = seeds.mark_point(size=12, filled=True, opacity=0.9), means.mark_point(size=90, filled=True, opacity=1)
    return panel("tradeoff", "'stability-plasticity trade-off'", near, *points, width=200, height=190)
