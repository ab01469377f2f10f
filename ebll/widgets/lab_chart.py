"""The chart of the forgetting lab: feature distance, accuracy of old and new task, loss terms, step by step.

    chart = Chart("lab")
    chart.show(*lab_tables(made.curves, old="letters", new="mnist", terms_of="ebll"))

`python -m ebll.widgets.compile` writes what `Chart` shows, so that showing it does not need Altair. All numbers come
from the record's curves table (see `ebll.recording`).
"""

from __future__ import annotations

from typing import Any

import altair as alt

from ebll.plots import METHODS

from .lab import LOSSES
from .look import CROSS, INK, SOFT, TERMS, framed, scales, styles, words

__all__ = ["lab_chart"]

HEIGHT = 120  # pixels of each panel
NOW = "datum.run == ''"


def lab_chart() -> alt.TopLevelMixin:
    """Bars of both accuracies on top, which are the legend too, and four panels over optimiser steps.

    data   "curves", "changes" and "methods", as `lab_tables` makes them
    """
    looks = styles(METHODS)
    titles = {
        "distance": "'feature distance of ' + old_task + ', ‖F(x) − F*(x)‖'",
        "old": "'accuracy on ' + old_task + ' (old task), %'",
        "new": "'accuracy on ' + new_task + ' (new task), %'",
    }
    made = {name: _panel(name, title, _method(looks)) for name, title in titles.items()}
    panels = {"distance": made["distance"], "terms": _terms(), "old": made["old"], "new": made["new"]}
    apart = {"color": "independent", "strokeDash": "independent", "shape": "independent"}
    grid = alt.concat(*panels.values(), columns=2, spacing={"row": 14, "column": 18}).resolve_scale(**apart)
    columns = [["feature_distance", "feature distance", 1], ["accuracy", "{old_task}, %", 100]]
    columns += [["accuracy_new", "{new_task}, %", 100]]
    columns += [[f"loss_{term}", f"{look.label}, nats", 1] for term, look in TERMS.items()]
    reading = {
        **{"table": "curves", "time": "step", "rows": "method", "columns": columns, "panels": list(panels)},
        "labels": {name: look.label for name, look in looks.items()},
        "sizes": {
            "bars_width": "max(150, available - 96)",
            "bars_height": "34 * length(methods)",
            "concat_1_childWidth": "max(120, (available - 34) / across - 58)",
        },
    }
    narrow = {"across": alt.ExprRef("available < 560 ? 1 : 2"), "narrow": alt.ExprRef("available < 440")}
    settings = {"old_task": "old task", "new_task": "new task", "methods": list(looks), "steps": 1, "top": 1.0}
    settings |= {"loss_top": 1.0, "terms_of": "", "terms_label": "", "terms": LOSSES}
    zoom = {"zoomed": None, "visible": alt.ExprRef("zoomed || [0, steps]")}
    chart = alt.vconcat(_bars(looks), grid, spacing=14).properties(data=alt.NamedData("curves"))
    chart = framed(chart, reading, **narrow, lead=alt.ExprRef("narrow ? 70 : 160"), **settings, **zoom)
    # The curves with what several panels need: percent, and which points get a marker (about five of a line).
    marked = "datum.run === '' && (datum.n === datum.count || datum.n % ceil(datum.count / 5) === 1)"
    return (
        chart.transform_window(n="row_number()", groupby=["run", "method"], sort=[{"field": "step"}])
        .transform_joinaggregate(count="count()", groupby=["run", "method"])
        .transform_calculate(old="100 * datum.accuracy", new="100 * datum.accuracy_new", marked=marked)
    )


def _method(looks: Any) -> dict[str, Any]:
    """The channels that tell methods apart; their legend is the panel of bars."""
    made, field = scales(looks), "method:N"
    return {
        "color": alt.Color(field, scale=made["color"], legend=None),
        "strokeDash": alt.StrokeDash(field, scale=made["strokeDash"], legend=None),
        "shape": alt.Shape(field, scale=made["shape"], legend=None),
    }


def _step(title: str | None, what: str = "step:Q") -> alt.X | alt.XDatum:
    """The axis of steps, for a field or, with `what` = "@name", for a parameter."""
    axis = alt.Axis(tickCount=5, tickMinStep=1, grid=False, format="d")
    parts = {"title": title, "axis": axis, "scale": alt.Scale(domain=alt.ExprRef("visible"), nice=False)}
    if what.startswith("@"):
        return alt.XDatum(alt.ExprRef(what[1:]), type="quantitative", **parts)
    return alt.X(what, **parts)


def _axis(**more: Any) -> alt.Axis:
    return alt.Axis(tickCount=4, title=None, minExtent=36, maxExtent=36, **more)


def _panel(name: str, title: str, method: dict[str, Any]) -> alt.LayerChart:
    """One quantity of all methods over steps; runs to compare with are thin and pale."""
    x_title = None if name == "distance" else "optimiser step"
    field, domain = ("feature_distance:Q", "[0, top]") if name == "distance" else (f"{name}:Q", "[0, 100]")
    scale = alt.Scale(domain=alt.ExprRef(domain), clamp=True)
    base = alt.Chart().encode(x=_step(x_title), y=alt.Y(field, scale=scale, axis=_axis()), color=method["color"])
    line = base.encode(strokeDash=method["strokeDash"])
    now, held = base.transform_filter(NOW), f"{NOW} && held && datum.step === at"
    layers = [
        line.transform_filter("datum.run !== ''")
        .mark_line(strokeWidth=1, opacity=0.45, clip=True)
        .encode(detail="run:N"),
        line.transform_filter(NOW).mark_line(strokeWidth=2, clip=True),
        now.transform_filter("datum.marked")
        .mark_point(filled=True, size=32, opacity=1, clip=True)
        .encode(shape=method["shape"]),
        now.transform_filter("datum.diverged").mark_point(shape=CROSS, size=90, strokeWidth=2, opacity=1),
        base.transform_filter(held).mark_point(
            filled=True, size=60, opacity=1, stroke="white", strokeWidth=1, clip=True
        ),
    ]
    marks = _marks(x_title, with_text=name == "distance")
    named = {"name": name, "title": alt.Title(alt.ExprRef(title))}
    return alt.layer(*layers, *marks).properties(width=300, height=HEIGHT, **named)


def _terms() -> alt.LayerChart:
    """The weighted loss terms of one method, in nats, on a logarithmic axis; a nought leaves a gap.

    The uppermost decade, two in a narrow panel, is kept free for the legend.
    """
    looks = {f"loss_{term}": look for term, look in TERMS.items()}
    made, labels = scales(looks), words({name: look.label for name, look in looks.items()})
    legend = alt.Legend(
        orient="top-left", offset=2, symbolOpacity=1, values=alt.ExprRef("terms"), labelExpr=labels,
        symbolType="stroke", symbolSize=400, symbolStrokeWidth=2, rowPadding=1,
        columns=alt.ExprRef("concat_1_childWidth < 280 ? 2 : 4"), columnPadding=8,
    )  # fmt: skip
    scale = alt.Scale(
        type="log", domain=alt.ExprRef("[0.001, (concat_1_childWidth < 280 ? 100 : 10) * loss_top]"), clamp=True
    )
    base = (
        alt.Chart()
        .transform_filter("datum.method === terms_of && (datum.run === '' || datum.run === 'before')")
        .transform_fold(LOSSES, as_=["term", "loss"])
        .transform_filter("datum.loss > 0")
        .encode(
            x=_step(None),
            y=alt.Y("loss:Q", scale=scale, axis=_axis(format="~g")),
            color=alt.Color("term:N", scale=made["color"], legend=legend),
            strokeDash=alt.StrokeDash("term:N", scale=made["strokeDash"], legend=legend),
        )
    )
    layers = [
        base.transform_filter("datum.run !== ''").mark_line(strokeWidth=1, opacity=0.45, clip=True),
        base.transform_filter(NOW).mark_line(strokeWidth=2, clip=True),
    ]
    title = alt.Title(alt.ExprRef("'weighted loss terms of ' + terms_label + ', nats'"))
    return alt.layer(*layers, *_marks(None)).properties(name="terms", title=title, width=300, height=HEIGHT)


def _marks(x_title: str | None, with_text: bool = False) -> list[alt.Chart]:
    """A rule at the step on show, and a dotted one where a setting was changed, with its text on the freer side."""
    here = alt.Chart(alt.InlineData([{}])).mark_rule(
        color=INK, strokeWidth=1, opacity=alt.ExprRef("held ? 1 : 0"), clip=True
    )
    changes = alt.Chart(alt.NamedData("changes")).encode(x=_step(x_title))
    made = [
        here.encode(x=_step(x_title, "@at")),
        changes.mark_rule(color=SOFT, strokeDash=[2, 3], strokeWidth=1.2, clip=True),
    ]
    if with_text:
        late = "datum.step > (visible[0] + visible[1]) / 2"
        made.append(
            changes.transform_window(n="row_number()").mark_text(
                fontSize=10, color=INK, baseline="top", clip=True, align=alt.ExprRef(f"{late} ? 'right' : 'left'"),
                dx=alt.ExprRef(f"{late} ? -4 : 4"), dy=alt.ExprRef("12 * ((datum.n - 1) % 4)"),
            ).encode(y=alt.value(2), text="text:N")
        )  # fmt: skip
    return made


def _bars(looks: Any) -> alt.LayerChart:
    """Both accuracies of each method at the step on show, or at the end; beside its name a sample of its line."""
    made, method = scales(looks), _method(looks)
    labels = words({name: look.label for name, look in looks.items()})
    place = {"offset": alt.ExprRef("-lead"), "labelLimit": alt.ExprRef("lead + 5"), "labelFontSize": 12}
    axis = alt.Axis(labelExpr=labels, title=None, ticks=False, domain=False, grid=False, **place)
    y = alt.Y("method:N", sort=None, scale=alt.Scale(domain=alt.ExprRef("methods"), paddingInner=0.2), axis=axis)
    # Names and samples of lines (where there is room) stand on the left, numbers on the right, the bars between.
    ends = [alt.ExprRef("lead + (narrow ? 6 : 46)"), alt.ExprRef("bars_width - (narrow ? 36 : 80)")]
    scale = alt.Scale(domain=[0, 100], range=ends)
    bars = (
        alt.Chart()
        .transform_filter(f"{NOW} && datum.step <= at")
        .transform_joinaggregate(last="max(step)", groupby=["method"])
        .transform_filter("datum.step === datum.last")
        .transform_fold(["old", "new"], as_=["which", "share"])
        .transform_calculate(task="truncate(datum.which === 'old' ? old_task : new_task, 12)")
        .transform_calculate(told="format(datum.share, '.1f') + (narrow ? '' : ' ' + datum.task)")
        .encode(
            x=alt.X("share:Q", title=None, scale=scale, axis=alt.Axis(values=[0, 25, 50, 75, 100], domain=False)),
            y=y,
            yOffset=alt.YOffset("which:N", scale=alt.Scale(domain=["old", "new"])),
        )
    )
    full = alt.condition("datum.which === 'old'", alt.value(1), alt.value(0.25))
    edge = alt.Stroke("method:N", scale=made["color"], legend=None)
    sample = alt.Chart(alt.NamedData("methods")).encode(y=y, color=method["color"])
    dash, shape = ({name: method[name]} for name in ("strokeDash", "shape"))
    layers = [
        bars.mark_bar(strokeWidth=1).encode(color=method["color"], stroke=edge, fillOpacity=full),
        bars.mark_text(align="left", dx=4, fontSize=11, color=INK).encode(text="told:N"),
        sample.mark_rule(strokeWidth=2).encode(
            x=alt.value(alt.ExprRef("lead + 4")), x2=alt.value(alt.ExprRef("lead + (narrow ? 4 : 40)")), **dash
        ),
        sample.mark_point(filled=True, size=alt.ExprRef("narrow ? 0 : 36"), opacity=1).encode(
            x=alt.value(alt.ExprRef("lead + 22")), **shape
        ),
    ]
    when = "'at step ' + at"
    what = "'accuracy, %, on ' + old_task + ' (full) and ' + new_task + ' (pale), '"
    title = alt.Title(alt.ExprRef(f"{what} + {when}"), limit=alt.ExprRef("available - 70"))
    return alt.layer(*layers).properties(name="bars", title=title, width=600, height=100)
