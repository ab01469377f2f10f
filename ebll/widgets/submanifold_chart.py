"""The chart of the submanifold explorer: features and reconstructions in a plane, the code term, accuracy.

chart = Chart("submanifold")
chart.show(*submanifold_tables(history))    # what `ebll.widgets.submanifold.exploring` gave after each epoch
"""

from __future__ import annotations

from typing import Any

import altair as alt

from .look import INK, SOFT, framed, words

__all__ = ["submanifold_chart"]

BARS = {"direct": "features themselves", "autoencoder": "through the autoencoder", "pca": "through PCA of that size"}
COLORS = {"direct": "#332288", "autoencoder": "#c2571a", "pca": "#14866d"}
POINTS = {
    "features of a held-out image": (COLORS["direct"], "circle"),
    "their reconstruction": (COLORS["autoencoder"], "square"),
    "other classes": ("#a8a8a8", "circle"),
}
AT = "datum.epoch === at"


def submanifold_chart() -> alt.TopLevelMixin:
    """The plane on the left; the hold along the principal directions, accuracy and missed share on the right.

    data   "shares", "points", "others", "holds" and "field", as `submanifold_tables` makes them
    """
    columns = {"accuracy": "images read right, %", "missed": "spread missed, %"}
    shares = [_shares(name, title) for name, title in columns.items()]
    right = alt.vconcat(_holds(), *shares, spacing=12).resolve_scale(color="independent", shape="independent")
    chart = alt.concat(_plane(), right, columns=2, spacing={"row": 14, "column": 24})
    side = "max(100, (available - 40) / across - 170)"
    reading = {
        **{"table": "shares", "time": "epoch", "rows": "name", "labels": BARS, "panels": []},
        "columns": [[name, title, 100] for name, title in columns.items()],
        # In one column all panels begin where the longest label of the bars ends.
        "sizes": {
            "plane_width": "across === 1 ? max(100, available - 180) : max(150, (available - 40) / across - 60)",
            **{f"{name}_width": side for name in ("holds", *columns)},
        },
    }
    settings = {"x_range": [0, 1], "y_range": [0, 1], "half_cell": [0.1, 0.1], "e4_top": 1.0}
    settings |= {"directions": 10, "code_size": 1}
    return framed(chart, reading, across=alt.ExprRef("available < 620 ? 1 : 2"), **settings)


def _plane() -> alt.LayerChart:
    """Features, their reconstructions and the other classes, over E4 of a move to each place."""
    axes = {}
    for name, title in {"x": "first component, feature units", "y": "second component, feature units"}.items():
        scale = alt.Scale(domain=alt.ExprRef(f"{name}_range"), nice=False, zero=False)
        axes[name] = {"title": title, "scale": scale, "axis": alt.Axis(tickCount=5, grid=False)}
    color, shape = (alt.Scale(domain=list(POINTS), range=list(each)) for each in zip(*POINTS.values(), strict=True))
    legend = alt.Legend(orient="top", columns=alt.ExprRef("across === 2 ? 2 : 1"), symbolOpacity=1, symbolSize=50)

    def placed(chart: alt.Chart, x: str, y: str, **more: Any) -> alt.Chart:
        return chart.encode(x=alt.X(f"{x}:Q", **axes["x"]), y=alt.Y(f"{y}:Q", **axes["y"]), **more)

    def dots(chart: alt.Chart, kind: str, x: str, y: str, size: int, opacity: float = 1) -> alt.Chart:
        marks = chart.transform_calculate(kind=repr(kind)).mark_point(
            filled=True, size=size, opacity=opacity, clip=True
        )
        kinds = {"color": alt.Color("kind:N", scale=color, legend=legend)}
        return placed(marks, x, y, shape=alt.Shape("kind:N", scale=shape, legend=legend), **kinds)

    here, back, other = POINTS
    edges = {f"{name}{i}": f"datum.{name} {'-+'[i]} half_cell[{c}]" for c, name in enumerate("xy") for i in (0, 1)}
    cells = alt.Chart(alt.NamedData("field")).transform_filter(AT).transform_calculate(**edges)
    e4 = alt.Scale(scheme="purples", domain=alt.ExprRef("[0, e4_top]"), clamp=True)
    points = alt.Chart(alt.NamedData("points")).transform_filter(AT)
    lines = points.mark_rule(color=SOFT, strokeWidth=0.7, opacity=0.6, clip=True)
    layers = [
        placed(cells.mark_rect(opacity=0.45, clip=True), "x0", "y0", x2="x1", y2="y1").encode(
            fill=alt.Fill("e4:Q", legend=None, scale=e4)
        ),
        dots(alt.Chart(alt.NamedData("others")), other, "x", "y", 6, 0.6),
        placed(lines, "x", "y", x2="x_back", y2="y_back"),
        dots(points, back, "x_back", "y_back", 24),
        dots(points, here, "x", "y", 32),
    ]
    return alt.layer(*layers).properties(name="plane", title="plane of two principal components", width=300, height=320)


def _holds() -> alt.LayerChart:
    """E4 along each principal direction; a dotted rule where the code's size is, if that is among them."""
    across = alt.X(
        "direction:Q", title="principal direction, by falling spread", axis=alt.Axis(tickCount=5, grid=False),
        scale=alt.Scale(domain=alt.ExprRef("[0, directions + 1]"), nice=False),
    )  # fmt: skip
    scale = alt.Scale(type="log", domain=[1e-7, 1], clamp=True)
    up = alt.Y(
        "shown:Q", title=None, scale=scale, axis=alt.Axis(values=[1e-7, 1e-5, 1e-3, 1e-1], format="~g", minExtent=36)
    )
    line = (
        alt.Chart(alt.NamedData("holds"))
        .transform_filter(AT)
        .transform_calculate(shown="max(datum.hold, 1e-7)")
        .mark_line(color=COLORS["autoencoder"], strokeWidth=1.6, clip=True)
        .encode(x=across, y=up)
    )
    inside = "code_size <= directions ? 1 : 0"
    size = alt.Chart(alt.InlineData([{}])).encode(x=alt.XDatum(alt.ExprRef("code_size"), type="quantitative"))
    rule = size.mark_rule(color=SOFT, strokeDash=[2, 3], strokeWidth=1.2, opacity=alt.ExprRef(inside), clip=True)
    text = size.mark_text(
        align="left", baseline="top", dx=4, fontSize=10, color=INK, opacity=alt.ExprRef(inside)
    ).encode(y=alt.value(0), text=alt.value("code size"))
    return alt.layer(line, rule, text).properties(
        name="holds",
        title=alt.Title("E4 for a move by one standard deviation", limit=alt.ExprRef("available / across - 130")),
        width=300,
        height=110,
    )


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
    return alt.layer(*layers).properties(name=column, title=title, width=190, height=20 * len(names))
