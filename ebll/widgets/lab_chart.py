"""The chart of the forgetting lab: feature distance, accuracy of old and new task, loss terms, step by step.

    chart = Chart(lab_chart("letters", "mnist", ["lwf", "ebll"]))
    chart.show(*lab_tables(made.curves, terms_of="ebll"))

All numbers come from the record's curves table (see `ebll.record`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from .look import CROSS, INK, SOFT, TERMS, looks, scales, signals, words

__all__ = ["lab_chart", "lab_tables"]

LOSSES = [f"loss_{term}" for term in TERMS]
SHOWN = ["feature_distance", "accuracy", "accuracy_new"]
PANELS = ("distance", "terms", "old", "new")
HEIGHT = 120  # pixels of each panel
NOW = "datum.run == ''"


def lab_tables(
    curves: pd.DataFrame, *, terms_of: str = "", steps: int = 0, beside: pd.DataFrame | None = None,
    changes: Sequence[tuple[int, str]] = (), diverged: Collection[str] = (),
) -> tuple[dict[str, pd.DataFrame], dict[str, Any]]:  # fmt: skip
    """The data sets and the settings of a `lab_chart`, for `Chart.show`.

    curves    rows of one old task, as the record has them, with a column `method`; accuracies are shares, losses nats
    terms_of  the method whose weighted loss terms are shown; the last of the table if empty
    steps     where the horizontal axes end, in optimiser steps; the last step of the table if 0
    beside    runs to compare with, drawn faintly: such rows with a column `run` that names each run
    changes   (step, text) of what was changed in mid-run
    diverged  methods whose last point gets a cross
    """
    losses = [name for name in LOSSES if name in curves]
    # Arrays instead of pandas' own operations, since this is done ten times a second while a run goes on.
    held = {name: curves[name].to_numpy() for name in ("method", "step", *SHOWN, *losses)}
    method, broken = held["method"], np.zeros(len(curves), bool)
    for name in diverged:
        broken[np.flatnonzero(method == name)[-1:]] = True
    terms_of = terms_of or (method[-1] if len(method) else "")
    mine = {name: held[name][method == terms_of].astype(float) for name in losses}
    highest = max([1.0, *(_largest(values) for values in mine.values())])
    settings = {
        "steps": int(steps or held["step"].max(initial=1)),
        "top": _round_up(_largest(held["feature_distance"].astype(float))),
        "loss_top": float(10 ** np.ceil(np.log10(1.01 * highest))),
        "terms_of": terms_of,
        "terms_label": looks([terms_of])[terms_of].label if terms_of else "",
        # A legend without entries would have no size, and the chart none either.
        "terms": [name for name, values in mine.items() if not np.isnan(values).all()] or LOSSES,
    }
    table = pd.DataFrame({**held, "run": "", "diverged": broken})
    if beside is not None and len(beside):
        table = pd.concat([table, beside.reindex(columns=list(table)).assign(diverged=False)], ignore_index=True)
    return {"curves": table, "changes": pd.DataFrame(changes, columns=["step", "text"])}, settings


def lab_chart(old: str, new: str, methods: Iterable[str]) -> alt.VConcatChart:
    """Bars of both accuracies on top, which are the legend too, and four panels over optimiser steps.

    old, new  names of the tasks
    methods   those that may occur in the data, at most eight
    data      "curves" and "changes", as `lab_tables` makes them
    """
    styles = looks(methods)
    labels = {name: look.label for name, look in styles.items()}
    method = _method(styles)
    panels = [
        _panel("distance", f"feature distance of {old}, ‖F(x) − F*(x)‖", "feature_distance:Q", "[0, top]", method),
        _terms(),
        _panel("old", f"accuracy on {old} (old task), %", "old:Q", "[0, 100]", method, f"optimiser step on {new}"),
        _panel("new", f"accuracy on {new} (new task), %", "new:Q", "[0, 100]", method, f"optimiser step on {new}"),
    ]
    grid = alt.concat(*panels, columns=2, spacing={"row": 14, "column": 18})
    apart = {"color": "independent", "strokeDash": "independent", "shape": "independent"}
    chart = alt.vconcat(_bars(old, new, styles), grid.resolve_scale(**apart), spacing=14).resolve_scale(**apart)
    settings = signals(
        **{
            "available": 800,
            "across": alt.ExprRef("available < 560 ? 1 : 2"),
            "narrow": alt.ExprRef("available < 440"),
        },
        **{"lead": alt.ExprRef("narrow ? 90 : 160"), "at": 0, "held": False, "steps": 1},
        **{"zoomed": None, "visible": alt.ExprRef("zoomed || [0, steps]"), "top": 1.0, "loss_top": 1.0},
        **{"terms_of": "", "terms_label": "", "terms": LOSSES, "heading": [""], "caption": [""]},
    )
    sizes = {"bars_width": "max(230, available - 96)"}
    sizes["concat_1_childWidth"] = "max(120, (available - 34) / across - 58)"
    columns = [["feature_distance", "feature distance", 1], ["accuracy", f"{old}, %", 100]]
    columns += [["accuracy_new", f"{new}, %", 100]]
    columns += [[f"loss_{term}", f"{look.label}, nats", 1] for term, look in TERMS.items()]
    reading = {"table": "curves", "time": "step", "rows": "method", "labels": labels, "columns": columns}
    # The curves with what several panels need: percent, and which points get a marker (about five of a line).
    marked = "datum.run === '' && (datum.n === datum.count || datum.n % ceil(datum.count / 5) === 1)"
    return (
        chart.properties(
            data=alt.NamedData("curves"),
            title=alt.Title(alt.ExprRef("heading"), fontSize=13, limit=2000),
            usermeta={"ebll": {**reading, "panels": list(PANELS), "sizes": sizes}},
            params=settings,
        )
        .transform_window(n="row_number()", groupby=["run", "method"], sort=[{"field": "step"}])
        .transform_joinaggregate(count="count()", groupby=["run", "method"])
        .transform_calculate(old="100 * datum.accuracy", new="100 * datum.accuracy_new", marked=marked)
    )


def _method(styles: Any) -> dict[str, Any]:
    """The channels that tell methods apart; their legend is the panel of bars."""
    made, field = scales(styles), "method:N"
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


def _panel(
    name: str, title: str, field: str, domain: str, method: dict[str, Any], x_title: str | None = None
) -> alt.LayerChart:
    """One quantity of all methods over steps; runs to compare with are thin and pale."""
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
    return alt.layer(*layers, *marks).properties(name=name, title=title, width=300, height=HEIGHT)


def _terms() -> alt.LayerChart:
    """The weighted loss terms of one method, in nats, on a logarithmic axis; a nought leaves a gap.

    The uppermost decade is kept free for the legend.
    """
    styles = {f"loss_{term}": look for term, look in TERMS.items()}
    made, labels = scales(styles), words({name: look.label for name, look in styles.items()})
    legend = alt.Legend(
        orient="top-left", offset=2, symbolOpacity=1, values=alt.ExprRef("terms"), labelExpr=labels,
        symbolType="stroke", symbolSize=400, symbolStrokeWidth=2, rowPadding=1,
        columns=alt.ExprRef("concat_1_childWidth < 280 ? 2 : 4"), columnPadding=8,
    )  # fmt: skip
    scale = alt.Scale(type="log", domain=alt.ExprRef("[0.001, 10 * loss_top]"), clamp=True)
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


def _bars(old: str, new: str, styles: Any) -> alt.LayerChart:
    """Both accuracies of each method at the step on show, or at the end; beside its name a sample of its line."""
    names = list(styles)
    made, method = scales(styles), _method(styles)
    labels = words({name: look.label for name, look in styles.items()})
    place = {"offset": alt.ExprRef("-lead"), "labelLimit": alt.ExprRef("lead + 5"), "labelFontSize": 12}
    axis = alt.Axis(labelExpr=labels, title=None, ticks=False, domain=False, grid=False, **place)
    y = alt.Y("method:N", sort=names, scale=alt.Scale(domain=names, paddingInner=0.2), axis=axis)
    # Names and samples of lines stand on the left, numbers on the right; the bars have what is between.
    ends = [alt.ExprRef("lead + 46"), alt.ExprRef("bars_width - (narrow ? 36 : 80)")]
    scale = alt.Scale(domain=[0, 100], range=ends)
    bars = (
        alt.Chart()
        .transform_filter(f"{NOW} && datum.step <= at")
        .transform_joinaggregate(last="max(step)", groupby=["method"])
        .transform_filter("datum.step === datum.last")
        .transform_fold(["old", "new"], as_=["which", "share"])
        .transform_calculate(
            told=f"format(datum.share, '.1f') + (narrow ? '' : ' ' + (datum.which === 'old' ? {old!r} : {new!r}))"
        )
        .encode(
            x=alt.X("share:Q", title=None, scale=scale, axis=alt.Axis(values=[0, 25, 50, 75, 100], domain=False)),
            y=y,
            yOffset=alt.YOffset("which:N", scale=alt.Scale(domain=["old", "new"])),
        )
    )
    full = alt.condition("datum.which === 'old'", alt.value(1), alt.value(0.25))
    edge = alt.Stroke("method:N", scale=made["color"], legend=None)
    sample = alt.Chart(alt.InlineData([{"method": name} for name in names])).encode(y=y, color=method["color"])
    dash, shape = ({name: method[name]} for name in ("strokeDash", "shape"))
    layers = [
        bars.mark_bar(strokeWidth=1).encode(color=method["color"], stroke=edge, fillOpacity=full),
        bars.mark_text(align="left", dx=4, fontSize=11, color=INK).encode(text="told:N"),
        sample.mark_rule(strokeWidth=2).encode(
            x=alt.value(alt.ExprRef("lead + 4")), x2=alt.value(alt.ExprRef("lead + 40")), **dash
        ),
        sample.mark_point(filled=True, size=36, opacity=1).encode(x=alt.value(alt.ExprRef("lead + 22")), **shape),
    ]
    when = "(held ? 'at step ' + at : 'after the last step')"
    what = f"accuracy, %, on {old} (full) and {new} (pale), "
    title = alt.Title(alt.ExprRef(f"{what!r} + {when}"), limit=alt.ExprRef("available - 70"))
    return alt.layer(*layers).properties(name="bars", title=title, width=600, height=28 * len(names))


def _largest(values: np.ndarray) -> float:
    """The largest finite value, or 0."""
    return float(np.max(values, where=np.isfinite(values), initial=0.0))


def _round_up(value: float) -> float:
    """The limit of an axis: it grows in large steps, so that the axis seldom moves while a run goes on."""
    value = min(max(1.05 * float(value), 1.0), 1e15)
    power = 10 ** np.floor(np.log10(value))
    return float(next(step * power for step in (1, 1.5, 2.5, 4, 6, 10) if step * power >= value))
