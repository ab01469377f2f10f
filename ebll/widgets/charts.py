"""The charts of the forgetting lab and of the submanifold explorer, written with Altair; and the file of each chart.

    python -m ebll.widgets.charts        # after a change here, in plane_chart.py, sweep_chart.py or look.py

writes all charts as Vega reads them: to import Altair and to compile them takes seconds, and showing one needs neither.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import altair as alt

from ebll.plots import METHODS
from ebll.plots.style import Style

from .controls import FRONT
from .lab import LOSSES
from .look import (
    CROSS,
    INK,
    OVER_STEPS,
    SOFT,
    STROKE,
    TERMS,
    channels,
    compiled,
    framed,
    legend_of,
    over_steps,
    panel,
    quantity,
    step,
    words,
)  # fmt: skip
from .plane_chart import plane_chart
from .sweep_chart import sweep_chart

__all__ = ["CHARTS", "lab_chart", "submanifold_chart", "write"]

Parts = dict[str, Any]
DOTTED = {"color": SOFT, "strokeDash": [2, 3], "strokeWidth": 1.2, "clip": True}

# The forgetting lab

NOW = "datum.run == ''"


def lab_chart() -> alt.TopLevelMixin:
    """Bars of both accuracies, with the legend of the methods; four panels over optimiser steps; a map of images.

    data   "curves", "changes", "methods" and "answers", as `lab_drawing` makes them
    """
    labels, method = {name: look.label for name, look in METHODS.items()}, channels("method:N", METHODS)
    panels = {
        "distance": _method_panel(method, "distance", "'feature distance of ' + old_task + ', ‖F(x) − F*(x)‖'"),
        "terms": _terms_panel(),
        "old": _method_panel(method, "old", "'accuracy on ' + old_task + ' (old task), %'"),
        "new": _method_panel(method, "new", "'accuracy on ' + new_task + ' (new task), %'"),
    }
    apart = dict.fromkeys(("color", "strokeDash", "shape"), "independent")
    grid = alt.concat(*panels.values(), columns=2, spacing={"row": 14, "column": 18}).resolve_scale(**apart)
    columns = [["feature_distance", "feature distance", 1], ["accuracy", "{old_task}, %", 100]]
    columns += [["accuracy_new", "{new_task}, %", 100]]
    columns += [[f"loss_{term}", f"{look.label}, nats", 1] for term, look in TERMS.items()]
    reading = {
        **{"chart": "lab", "table": "curves", "time": "step", "rows": "method"},
        **{"columns": columns, "panels": list(panels)},
        "labels": labels,
        "sizes": {
            "bars_width": "max(150, available - 96)",
            "bars_height": "34 * length(methods)",
            "answers_width": "max(150, available - 76)",
            "concat_1_childWidth": "max(120, (available - 34) / across - 58)",
        },
    }
    chart = framed(
        alt.vconcat(_bars(labels, method), grid, _answers(), spacing=14).properties(data=alt.NamedData("curves")),
        reading,
        two=560,
        narrow=alt.ExprRef("available < 440"),
        lead=alt.ExprRef("narrow ? 70 : 160"),
        **{"old_task": "old task", "new_task": "new task", "methods": list(METHODS), "top": 1.0},
        **{"columns": 1.0, "old_range": [0, 100], "new_range": [0, 100]},
        **{"loss_top": 1.0, "terms_of": "", "terms_label": "", "terms": LOSSES, **OVER_STEPS},
    )
    # The curves with what several panels need: percent, and which points get a marker (about five of a line).
    marked = "datum.run === '' && (datum.n === datum.count || datum.n % ceil(datum.count / 5) === 1)"
    return (
        chart.transform_window(n="row_number()", groupby=["run", "method"], sort=[{"field": "step"}])
        .transform_joinaggregate(count="count()", groupby=["run", "method"])
        .transform_calculate(old="100 * datum.accuracy", new="100 * datum.accuracy_new", marked=marked)
    )


def _method_panel(method: Parts, name: str, title: str) -> alt.LayerChart:
    """One quantity of all methods over steps; "distance" is the upper one, with the texts of changes in mid-run."""
    upper = name == "distance"
    x_title, domain = (None, "[0, top]") if upper else ("optimiser step", f"{name}_range")
    y = alt.Y(f"{'feature_distance' if upper else name}:Q", **_up(domain))
    base = alt.Chart().encode(x=step(x_title), y=y, color=method["color"])
    now, held = base.transform_filter(NOW), base.transform_filter(f"{NOW} && held && datum.step === at")
    points = now.transform_filter("datum.marked").mark_point(filled=True, size=32, opacity=1, clip=True)
    changes = alt.Chart(alt.NamedData("changes")).encode(x=step(x_title))
    layers = [
        _shade(changes),
        *_lines(base.encode(strokeDash=method["strokeDash"])),
        points.encode(shape=method["shape"]),
        now.transform_filter("datum.diverged").mark_point(shape=CROSS, size=90, strokeWidth=2, opacity=1),
        held.mark_point(filled=True, size=60, opacity=1, stroke="white", strokeWidth=1, clip=True),
    ]
    if upper:  # what was changed, on the freer side of the rule
        late = "datum.step > (visible[0] + visible[1]) / 2"
        text = changes.transform_window(n="row_number()").mark_text(
            fontSize=10, color=INK, baseline="top", clip=True, align=alt.ExprRef(f"{late} ? 'right' : 'left'"),
            dx=alt.ExprRef(f"{late} ? -4 : 4"), dy=alt.ExprRef("12 * ((datum.n - 1) % 4)"),
        )  # fmt: skip
        layers.append(text.encode(y=alt.value(2), text="text:N"))
    return over_steps(name, title, x_title, *layers)


def _terms_panel() -> alt.LayerChart:
    """The weighted loss terms of one method, in nats, on a logarithmic axis; a zero leaves a gap.

    The uppermost decade, two in a narrow panel, is kept free for the legend.
    """
    looks = {f"loss_{term}": look for term, look in TERMS.items()}
    legend = legend_of(
        looks, **STROKE, orient="top-left", offset=2, values=alt.ExprRef("terms"), rowPadding=1,
        fillColor="white", zindex=1,  # in front of the rule of a change
        columns=alt.ExprRef("concat_1_childWidth < 280 ? 2 : 4"), columnPadding=8,
    )  # fmt: skip
    y = _up("[0.001, (concat_1_childWidth < 280 ? 100 : 10) * loss_top]", type="log", format="~g")
    term = channels("term:N", looks, legend)
    base = (
        alt.Chart()
        .transform_filter("datum.method === terms_of && (datum.run === '' || datum.run === 'before')")
        .transform_fold(LOSSES, as_=["term", "loss"])
        .transform_calculate(loss="datum.loss > 0 ? datum.loss : null")
        .encode(x=step(None), y=alt.Y("loss:Q", **y), color=term["color"], strokeDash=term["strokeDash"])
    )
    changes = _shade(alt.Chart(alt.NamedData("changes")).encode(x=step(None)))
    title = "'weighted loss terms of ' + terms_label + ', nats'"
    return over_steps("terms", title, None, changes, *_lines(base))


def _shade(changes: alt.Chart) -> alt.Chart:
    """From where on a setting was changed in mid-run."""
    return changes.mark_rect(color=SOFT, opacity=0.12, clip=True).encode(x2=alt.value("width"))


def _lines(base: alt.Chart) -> list[alt.Chart]:
    """The lines of the run on show; runs to compare with are thin and pale."""
    pale = base.transform_filter("datum.run !== ''").mark_line(strokeWidth=1, opacity=0.45, clip=True)
    return [pale.encode(detail="run:N"), base.transform_filter(NOW).mark_line(strokeWidth=2, clip=True)]


def _up(domain: str, type: str = "linear", **axis: Any) -> Parts:
    parts = quantity(domain, grid=True, minExtent=36, maxExtent=36, **axis)
    return parts | {"scale": alt.Scale(type=type, domain=alt.ExprRef(domain), clamp=True)}


def _bars(labels: dict[str, str], method: Parts) -> alt.LayerChart:
    """Both accuracies of each method at the step on show, or at the end; beside its name a sample of its line."""
    place = {"offset": alt.ExprRef("-lead"), "labelLimit": alt.ExprRef("lead + 5"), "labelFontSize": 12}
    axis = alt.Axis(labelExpr=words(labels), title=None, ticks=False, domain=False, grid=False, **place)
    y = alt.Y("method:N", sort=None, scale=alt.Scale(domain=alt.ExprRef("methods"), paddingInner=0.2), axis=axis)
    # Names and samples of lines (where there is room) stand on the left, numbers on the right, the bars between.
    ends = [alt.ExprRef("lead + (narrow ? 6 : 46)"), alt.ExprRef("bars_width - (narrow ? 36 : 80)")]
    x_axis = alt.Axis(values=[0, 25, 50, 75, 100], domain=False)
    bars = (
        alt.Chart()
        .transform_filter(f"{NOW} && datum.step <= at")
        .transform_joinaggregate(last="max(step)", groupby=["method"])
        .transform_filter("datum.step === datum.last")
        .transform_fold(["old", "new"], as_=["which", "share"])
        .transform_calculate(task="truncate(datum.which === 'old' ? old_task : new_task, 12)")
        .transform_calculate(told="format(datum.share, '.1f') + (narrow ? '' : ' ' + datum.task)")
        .encode(
            x=alt.X("share:Q", title=None, scale=alt.Scale(domain=[0, 100], range=ends), axis=x_axis),
            y=y,
            yOffset=alt.YOffset("which:N", scale=alt.Scale(domain=["old", "new"])),
        )
    )
    full = alt.condition("datum.which === 'old'", alt.value(1), alt.value(0.25))
    sample = alt.Chart(alt.NamedData("methods")).encode(y=y, color=method["color"])
    left, right = alt.value(alt.ExprRef("lead + 4")), alt.value(alt.ExprRef("lead + (narrow ? 4 : 40)"))
    layers = [
        bars.mark_bar(strokeWidth=1).encode(color=method["color"], stroke=method["stroke"], fillOpacity=full),
        bars.mark_text(align="left", dx=4, fontSize=11, color=INK).encode(text="told:N"),
        sample.mark_rule(strokeWidth=2).encode(x=left, x2=right, strokeDash=method["strokeDash"]),
        sample.mark_point(filled=True, size=alt.ExprRef("narrow ? 0 : 36"), opacity=1).encode(
            x=alt.value(alt.ExprRef("lead + 22")), shape=method["shape"]
        ),
    ]
    what = "'accuracy, %, on ' + old_task + ' (full) and ' + new_task + ' (pale), at step ' + at"
    return panel("bars", what, *layers, width=600, height=100, limit=alt.ExprRef("available - 70"))


def _answers() -> alt.LayerChart:
    """Held-out images of the old task, class by class, as the method in detail answers them at the step on show."""
    axis = alt.Axis(
        orient="top", title=None, ticks=False, domain=False, grid=False, labelAngle=0, labelOverlap=True,
        labelExpr="slice(datum.value, -2) === ' 0' ? slice(datum.value, 0, -2) : ''",  # over the first of a class
        labelLimit=alt.ExprRef("3 * answers_width / columns"),
        minExtent=16, maxExtent=16,  # also before there are answers, so that the chart keeps its height
    )  # fmt: skip
    now = (
        alt.Chart(alt.NamedData("answers"))
        .transform_filter("datum.step <= at")
        .transform_joinaggregate(last="max(step)", groupby=["column", "row"])
        .transform_filter("datum.step === datum.last")
        .transform_calculate(
            method="terms_of", text="datum.state === 'right' ? '' : slice(datum.answer, 0, answers_width / columns / 7)"
        )
        .encode(
            x=alt.X("column:N", axis=axis, scale=alt.Scale(padding=0.1)),
            y=alt.Y("row:O", axis=None, scale=alt.Scale(padding=0.1)),
        )
    )
    look, wrong = channels("method:N", METHODS), "datum.state === 'wrong'"
    cells = now.mark_rect(strokeWidth=1).encode(
        fill=alt.condition(wrong, alt.value("#ececec"), look["fill"]),
        stroke=alt.condition(wrong, alt.value("#ececec"), look["stroke"]),
        fillOpacity=alt.condition("datum.state === 'lost'", alt.value(0.08), alt.value(1)),
    )
    texts = now.mark_text(fontSize=10).encode(
        text="text:N", color=alt.condition(wrong, alt.value(SOFT), alt.value(INK))
    )
    key = "filled: right; framed: forgotten, with the new answer; grey: wrong at first"
    title = "'images of ' + old_task + ' by class, ' + terms_label + ' at step ' + at"
    more = {"subtitle": key, "subtitleColor": SOFT, "limit": alt.ExprRef("available - 80")}
    return panel("answers", title, cells, texts, width=600, height=95, **more)


# The submanifold explorer

BARS = {"direct": "features themselves", "autoencoder": "through the autoencoder", "pca": "through PCA of that size"}
COLORS = {"direct": "#1f3d73", "autoencoder": "#c2571a", "pca": "#14866d"}
POINTS = {
    "features of a held-out image": Style("", COLORS["direct"], "-", "o"),
    "their reconstruction": Style("", COLORS["autoencoder"], "-", "s"),
    "other classes": Style("", "#a8a8a8", "-", "o"),
}
AT = "datum.epoch === at"


def submanifold_chart() -> alt.TopLevelMixin:
    """The plane on the left; the hold along the principal directions, accuracy and unexplained variance on the right.

    data   "shares", "points", "others", "holds" and "field", as `explored_drawing` makes them
    """
    columns = {"accuracy": "accuracy, %", "missed": "variance not explained, %"}
    shares = [_shares(name, title) for name, title in columns.items()]
    right = alt.vconcat(_holds(), *shares, spacing=12).resolve_scale(color="independent", shape="independent")
    chart = alt.concat(_plane(), right, columns=2, spacing={"row": 14, "column": 24})
    side = "max(80, (available - 40) / across - 185)"
    reading = {
        **{"chart": "submanifold", "table": "shares", "time": "epoch", "rows": "name", "labels": BARS, "panels": []},
        "columns": [[name, title, 100] for name, title in columns.items()],
        # In one column all panels begin where the longest label of the bars ends.
        "sizes": {
            "plane_width": "across === 1 ? max(100, available - 180) : max(150, (available - 40) / across - 60)",
            **{f"{name}_width": side for name in ("holds", *columns)},
        },
    }
    settings = {"x_range": [0, 1], "y_range": [0, 1], "half_cell": [0.1, 0.1], "e4_top": 1.0}
    return framed(chart, reading, two=620, directions=10, code_size=1, **settings)


def _plane() -> alt.LayerChart:
    """Features, their reconstructions and the other classes, over E4 of a move to each place."""
    axes = {name: quantity(f"{name}_range", f"{word} component, feature units", 5)
            for name, word in (("x", "first"), ("y", "second"))}  # fmt: skip
    legend = alt.Legend(orient="top", columns=alt.ExprRef("across === 2 ? 2 : 1"), symbolOpacity=1, symbolSize=50)
    look = channels("kind:N", POINTS, legend)

    def placed(chart: alt.Chart, x: str, y: str, **more: Any) -> alt.Chart:
        return chart.encode(x=alt.X(f"{x}:Q", **axes["x"]), y=alt.Y(f"{y}:Q", **axes["y"]), **more)

    def dots(chart: alt.Chart, kind: str, x: str, y: str, size: int, opacity: float = 1) -> alt.Chart:
        named = chart.transform_calculate(kind=repr(kind))
        marks = named.mark_point(filled=True, size=size, opacity=opacity, clip=True)
        return placed(marks, x, y, color=look["color"], shape=look["shape"])

    here, back, other = POINTS
    edges = {f"{name}{i}": f"datum.{name} {'-+'[i]} half_cell[{c}]" for c, name in enumerate("xy") for i in (0, 1)}
    cells = alt.Chart(alt.NamedData("field")).transform_filter(AT).transform_calculate(**edges)
    e4 = alt.Scale(range=["#ffffff", TERMS["code"].color], domain=alt.ExprRef("[0, e4_top]"), clamp=True)
    cells = cells.mark_rect(opacity=0.45, clip=True).encode(fill=alt.Fill("e4:Q", legend=None, scale=e4))
    points = alt.Chart(alt.NamedData("points")).transform_filter(AT)
    lines = points.mark_rule(color=SOFT, strokeWidth=0.7, opacity=0.6, clip=True)
    return panel(
        "plane", "'plane of two principal components'",
        placed(cells, "x0", "y0", x2="x1", y2="y1"),
        dots(alt.Chart(alt.NamedData("others")), other, "x", "y", 6, 0.6),
        placed(lines, "x", "y", x2="x_back", y2="y_back"),
        dots(points, back, "x_back", "y_back", 24),
        dots(points, here, "x", "y", 32),
        height=320,
    )  # fmt: skip


def _holds() -> alt.LayerChart:
    """E4 along each principal direction; a dotted rule where the code's size is, if that is among them."""
    x = alt.X("direction:Q", **quantity("[0, directions + 1]", "principal direction, by falling variance", 5))
    y = alt.Y(
        "shown:Q", title=None, scale=alt.Scale(type="log", domain=[1e-7, 1], clamp=True),
        axis=alt.Axis(values=[1e-7, 1e-5, 1e-3, 1e-1], format=".0e", minExtent=36),
    )  # fmt: skip
    base = alt.Chart(alt.NamedData("holds")).transform_filter(AT).transform_calculate(shown="max(datum.hold, 1e-7)")
    inside = alt.ExprRef("code_size <= directions ? 1 : 0")
    size = alt.Chart(alt.InlineData([{}])).encode(x=alt.XDatum(alt.ExprRef("code_size"), type="quantitative"))
    text = size.mark_text(align="left", baseline="top", dx=4, fontSize=10, color=INK, opacity=inside)
    return panel(
        "holds", "'E4 for a move by one standard deviation'",
        base.mark_line(color=COLORS["autoencoder"], strokeWidth=1.6, clip=True).encode(x=x, y=y),
        size.mark_rule(**DOTTED, opacity=inside),
        text.encode(y=alt.value(0), text=alt.value("code size")),
        height=110, limit=alt.ExprRef("available / across - 130"),
    )  # fmt: skip


def _shares(column: str, title: str) -> alt.LayerChart:
    """Bars in percent with their numbers."""
    axis = alt.Axis(
        labelExpr=words(BARS), title=None, ticks=False, domain=False, grid=False, minExtent=146, maxExtent=146
    )
    names = [name for name in BARS if column == "accuracy" or name != "direct"]
    base = (
        alt.Chart(alt.NamedData("shares"))
        .transform_filter(f"{AT} && isValid(datum.{column})")
        .transform_calculate(percent=f"min(100 * datum.{column}, 105)", told=f"format(100 * datum.{column}, '.1f')")
        .encode(
            x=alt.X("percent:Q", title=None, scale=alt.Scale(domain=[0, 125]), axis=alt.Axis(values=[0, 50, 100])),
            y=alt.Y("name:N", sort=names, scale=alt.Scale(domain=names), axis=axis),
        )
    )
    color = alt.Color("name:N", scale=alt.Scale(domain=list(COLORS), range=list(COLORS.values())), legend=None)
    layers = [base.mark_bar().encode(color=color), base.mark_text(align="left", dx=4, color=INK).encode(text="told:N")]
    return panel(column, repr(title), *layers, width=190, height=20 * len(names))


# As Vega reads them

CHARTS: dict[str, Callable[[], alt.TopLevelMixin]] = {
    "lab": lab_chart, "plane": plane_chart, "submanifold": submanifold_chart, "sweep": sweep_chart,
}  # fmt: skip


def write() -> None:
    """Write all charts, a file each."""
    for name, make in CHARTS.items():
        text = json.dumps(compiled(make()), ensure_ascii=False, separators=(",", ":"))
        (FRONT / f"{name}.json").write_text(f"{text}\n", encoding="utf-8")


if __name__ == "__main__":
    write()
