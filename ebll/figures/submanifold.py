"""Features in a plane and what a reconstruction makes of them: how near the old task's features lie to a submanifold.

This room knows points with names; it measures nothing itself.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection

from ebll.errors import InputError

from . import alt, layout, tables
from .picture import Picture
from .style import NORMAL, SMALL, SOFT, WIDTH, Look, class_looks, styled

__all__ = ["submanifold", "submanifold_table"]

_PLACES = ("x", "y", "x_back", "y_back")
_AXES = ("first principal component, feature units", "second principal component, feature units")
_FACTS = {"share": "misses {} % of the spread", "accuracy": "accuracy {} %"}


def submanifold_table(points: pd.DataFrame) -> pd.DataFrame:
    """Return what `submanifold` draws: panel, label, x, y, x_back, y_back, and share and accuracy where given."""
    tables.check(points, ("panel", "label", *_PLACES), "points")
    facts = [fact for fact in _FACTS if fact in points.columns]
    tables.check_numbers(points, (*_PLACES, *facts), "points")
    out = points[["panel", "label", *_PLACES, *facts]].astype(
        {"panel": str, "label": str} | dict.fromkeys(_PLACES, float)
    )
    if not np.isfinite(out[list(_PLACES)]).all(axis=None):
        raise InputError("The points table must hold finite numbers in the columns x, y, x_back and y_back.")
    for fact in facts:
        tables.check_fractions(out[fact], f"The column {fact} of the points table")
        several = out.groupby("panel", sort=False)[fact].nunique(dropna=False)
        if (several > 1).any():
            raise InputError(f"The points table must hold one {fact} a panel; panel {several.idxmax()} has several.")
    class_looks(out["label"])
    return out.reset_index(drop=True)


@styled
def submanifold(points: pd.DataFrame) -> Picture:
    """Draw features of held-out images and their reconstructions in a plane of two principal components.

    points  a row per image: panel (what was reconstructed how), label (class, at most six), x and y of its features,
            x_back and y_back of their reconstruction; and, the same for all rows of a panel, where known: share (of the
            spread of the features that the reconstruction misses) and accuracy, both from 0 to 1

    A marker is an image, a thin line leads to its reconstruction, a small open dot. All panels share their axes.
    """
    table = submanifold_table(points)
    names, styles = list(table["panel"].unique()), class_looks(table["label"])
    columns = len(names) if len(names) <= 3 else 2 if len(names) == 4 else 3
    rows = -(-len(names) // columns)
    width = (WIDTH - 0.75) / columns - 0.12
    size = NORMAL if columns < 3 else SMALL
    heads = {name: _head(name, table[table["panel"] == name].iloc[0], width, size) for name in names}
    low, high = table[["x", "x_back"]].min().min(), table[["x", "x_back"]].max().max()
    down, up = table[["y", "y_back"]].min().min(), table[["y", "y_back"]].max().max()
    shape = np.clip((up - down) / max(high - low, 1e-12), 0.55, 1.25) if columns > 1 else 0.62
    tall = width * shape + 0.17 * max(head.count("\n") + 1 for head in heads.values()) + 0.15
    title = "Features of held-out images and their reconstructions"
    caption = (
        f"{_counts(table)} of one network, no interval. Marker: features of an image; open dot at the end of its line: "
        f"their reconstruction. All panels share one plane and one scale.{_spread_words(table)}"
    )
    hanging = 2 if rows > 1 and len(names) % columns else 1  # a short last row leaves an axis label in the row above
    legend = layout.handles(styles.values(), line=False)
    picture = layout.compose(title, caption, height=rows * tall + 0.52 * hanging, legend=legend)
    grid = picture.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    for axes, name in zip(grid.flat, names, strict=False):
        _draw(axes, table[table["panel"] == name], styles)
        axes.set_title(heads[name], loc="left", size=size, color=SOFT)
        axes.set_aspect("equal", adjustable="box" if len(names) > 1 else "datalim")
        axes.locator_params(nbins=5, steps=[1, 2, 5, 10])
    layout.label_below(grid, len(names), layout.wrap(_AXES[0], width))
    for axes in grid[:, 0]:
        axes.set_ylabel(layout.wrap(_AXES[1], width * shape))
    return layout.finish(picture, table, alt.sentences(title, *_words(table), caption))


def _head(name: str, row: pd.Series, width: float, size: float) -> str:
    facts = [words.format(alt.points(100 * row[fact])) for fact, words in _FACTS.items()
             if fact in row.index and not np.isnan(row[fact])]  # fmt: skip
    line = ", ".join(facts)
    facts = facts if layout.text_width(line, size) > width else [line]
    return "\n".join(layout.wrap(part, width, size) for part in [name, *facts] if part)


def _draw(axes: Axes, rows: pd.DataFrame, styles: dict[str, Look]) -> None:
    for label, look in styles.items():
        own = rows[rows["label"] == label]
        ways = own[list(_PLACES)].to_numpy().reshape(-1, 2, 2)
        axes.add_collection(LineCollection(list(ways), colors=look.color, linewidths=0.7, alpha=0.55, zorder=2))
        axes.scatter(own["x_back"], own["y_back"], s=9, marker="o", facecolor="white", edgecolor=look.color,
                     linewidth=0.8, zorder=3)  # fmt: skip
        axes.scatter(own["x"], own["y"], s=24 if look.marker == "P" else 18, marker=look.marker, color=look.color,
                     edgecolor="white", linewidth=0.4, zorder=4)  # fmt: skip


def _counts(table: pd.DataFrame) -> str:
    counts = sorted(set(table["panel"].value_counts()))
    word = "image" if counts == [1] else "images"
    return f"{' to '.join(str(n) for n in (counts if len(counts) < 3 else counts[:: len(counts) - 1]))} held-out {word}"


def _spread_words(table: pd.DataFrame) -> str:
    known = "share" in table.columns and table["share"].notna().any()
    return " Spread: squared distance of the features from their mean, over all directions." if known else ""


def _words(table: pd.DataFrame) -> list[str]:
    """Return a sentence per panel: how many images, how far their reconstructions lie, and the facts of the panel."""
    out = []
    for name, rows in table.groupby("panel", sort=False):
        away = np.hypot(rows["x"] - rows["x_back"], rows["y"] - rows["y_back"])
        facts = [f"{fact} {alt.points(100 * rows[fact].iloc[0])} %" for fact in _FACTS
                 if fact in rows.columns and rows[fact].notna().all()]  # fmt: skip
        facts = [fact.replace("share", "share of the spread that is missed:") for fact in facts]
        text = f"{len(rows)} points, mean distance in the plane to the reconstruction {alt.number(away.mean())}"
        out.append(f"{name}: {', '.join([text, *facts])}")
    return [*out, f"Classes: {alt.listed(sorted(set(table['label'])))}"]
