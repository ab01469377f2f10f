"""Images: a contact sheet, and their features beside reconstructions; and the claims with their verdicts."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, to_rgb
from matplotlib.figure import Figure

from ebll.errors import InputError

from . import tables, words
from .figure import describe, label, legend_beside, new_figure
from .style import INK, Style, drawing

MOST = 10  # images in a row
FIELDS = ("id", "statement", "estimate", "low", "high", "verdict")
VERDICTS = {"supported": ("#0173b2", "o"), "not supported": ("#d55e00", "X")}  # colour and marker
OTHER = ("#5a5a5a", "D")  # of any other verdict


@drawing()
def task_images(rows: Mapping[str, tuple[np.ndarray, Iterable[str]]], *, title: str = "", note: str = "") -> Figure:
    """Draw images of several tasks as a contact sheet: a row a task, at most ten images each, classes below.

    rows    for each task its images, and the class of each: (n, height, width), grey from 0 (black) to 1 (white), or
            (n, height, width, 3), red, green and blue from 0 to 1
    title   in place of the one that counts the tasks
    note    a caption, which says what a row is
    table: a row per image: task, place, label, height, width (pixels), mean (0 to 1)
    """
    checked = _checked(rows)
    facts = [
        (task, place, label, *image.shape[:2], float(image.mean()))
        for task, (images, labels) in checked.items()
        for place, (image, label) in enumerate(zip(images, labels, strict=True))
    ]
    table = pd.DataFrame(facts, columns=["task", "place", "label", "height", "width", "mean"])
    columns = int(table["place"].max()) + 1
    title = title or ("Images of the task" if len(checked) == 1 else f"Images of {len(checked)} tasks")
    cell = min(5.8 / columns, 1.2)
    figure, axes = new_figure(table, title, note, [""] * len(checked), cell + 0.25)
    for one, (task, (images, classes)) in zip(axes, checked.items(), strict=True):
        width = images.shape[2] + 2
        white = np.pad(images, [(0, 0), (1, 1), (1, 1)] + [(0, 0)] * (images.ndim - 3), constant_values=1)
        one.imshow(np.concatenate(list(white), axis=1), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        one.set(xlim=(-0.5, columns * width - 0.5), anchor="W", yticks=[])
        one.set_ylabel(textwrap.fill(task, 16), rotation=0, ha="right", va="center")
        names = [textwrap.fill(name, int(14 * cell)) for name in classes]
        one.set_xticks((np.arange(len(names)) + 0.5) * width - 0.5, names)
        one.spines[:].set_visible(False)
        one.grid(visible=False)
    lists = [f"{task}: {', '.join(classes)}" for task, (_, classes) in checked.items()]
    return describe(figure, "" if note else "A row a task, classes from left to right", *lists)


def _checked(rows: Mapping) -> dict[str, tuple[np.ndarray, list[str]]]:
    """Return the first images of each task with their classes; say what is amiss."""
    if not rows:
        raise InputError("rows must map the name of at least one task to its images and their labels.")
    out = {}
    for task, (images, labels) in rows.items():
        images, labels = np.asarray(images), [str(label) for label in labels]
        if not len(images) or images.ndim not in (3, 4) or images.shape[3:] not in ((), (3,)):
            raise InputError(
                f"{task}: images must be an array (n, height, width), or (n, height, width, 3) in colour; got the "
                f"shape {images.shape}."
            )
        if len(labels) != len(images):
            raise InputError(f"{task}: there are {len(images)} images but {len(labels)} labels.")
        if not (images.min() >= -1e-4 and images.max() <= 1 + 1e-4):  # standardising and back leaves the last bits
            raise InputError(f"{task}: images must hold values from 0 to 1; got {images.min():g} to {images.max():g}.")
        out[str(task)] = (images[:MOST].clip(0, 1), labels[:MOST])
    return out


# Colour and marker of each class of images, where no method is drawn.
CLASSES = {"#1f3d73": "o", "#c2571a": "s", "#14866d": "^", "#df6a98": "D", "#3a8fc4": "v", "#5c4a00": "P"}
PLACES = ["x", "y", "x_back", "y_back"]
FACTS = {"share": "unexplained {:.1f} %", "accuracy": "accuracy {:.1f} %"}


@drawing()
def submanifold(
    points: pd.DataFrame, *, regions: pd.DataFrame | None = None,
    axes: tuple[str, str] = ("first direction", "second direction"),
) -> Figure:  # fmt: skip
    """Draw features of held-out inputs and their reconstructions in a plane.

    points   a row per input: panel (what was reconstructed how), label (class, at most six), x and y of its features,
             x_back and y_back of their reconstruction; and, the same for all rows of a panel, where known: share (of
             the variance that is unexplained, M8) and accuracy, both from 0 to 1
    regions  x, y of a grid, and the label that the frozen head gives there; labels of other classes stay white
    axes     what the plane's two directions are

    A pale marker is an input, a thin line leads to its reconstruction, an open marker. All panels share their axes.
    table: panel, label, x, y, x_back, y_back, and share and accuracy where given
    """
    points = tables.check(points, "points", ("panel", "label", *PLACES))
    table = points[["panel", "label", *PLACES, *(fact for fact in FACTS if fact in points)]].reset_index(drop=True)
    table = table.astype({"panel": str, "label": str} | dict.fromkeys(PLACES, float))
    if (count := table["label"].nunique()) > len(CLASSES):
        raise InputError(f"At most {len(CLASSES)} classes can be told apart; got {count}. Keep the rows of a few.")
    panels, names = dict(list(table.groupby("panel", sort=False))), sorted(table["label"].unique())
    classes = {
        name: Style(name, color, "", marker) for name, (color, marker) in zip(names, CLASSES.items(), strict=False)
    }
    facts = {
        name: [FACTS[fact].format(100 * value) for fact, value in rows.iloc[0].reindex(list(FACTS)).dropna().items()]
        for name, rows in panels.items()
    }
    columns = {1: 1, 2: 2, 4: 2}.get(len(panels), 3)
    title = "Features of held-out inputs and their reconstructions"
    note = "Held-out inputs of one network, no interval; pale: features; open: their reconstruction"
    if regions is not None:
        regions = tables.check(regions, "regions", ("x", "y", "label"))
        note += "; shaded: what the frozen head says there" + (
            "" if set(regions["label"]) <= set(names) else " (white: another class)"
        )
    headings = ["\n".join([name, *lines]) for name, lines in facts.items()]
    layout = {"columns": columns, "sharex": True, "sharey": True}
    spans = [np.ptp((table if regions is None else regions).filter(regex=f"^{name}(_back)?$")) for name in "xy"]
    wide, tall = {1: (5.0, 3.6), 2: (2.6, 3.3), 3: (1.8, 2.8)}[columns]
    tall = float(min(tall, 0.7 + wide * spans[1] / (spans[0] or 1)))  # panels keep the shape of the plane
    figure, drawn = new_figure(table, title, note, headings, tall, **layout)
    for one, (name, rows) in zip(drawn, panels.items(), strict=True):
        if regions is not None:
            _shade(one, regions, classes)
        for kind, own in rows.groupby("label"):
            mark = {"color": classes[kind].color, "marker": classes[kind].marker}
            one.plot(own[["x", "x_back"]].T, own[["y", "y_back"]].T, color=mark["color"], linewidth=0.7, alpha=0.4)
            one.scatter("x", "y", s=15, data=own, **mark, alpha=0.4, linewidth=0)
            back = {"facecolor": "white", "edgecolor": mark["color"], "marker": mark["marker"]}
            one.scatter("x_back", "y_back", s=22, data=own, **back, linewidth=1, zorder=4)
        one.set_aspect("equal", adjustable="box" if len(panels) > 1 else "datalim")
        away = words.number(np.hypot(rows["x"] - rows["x_back"], rows["y"] - rows["y_back"]).mean())
        distance = f"mean distance in the plane to the reconstruction {away}"
        describe(figure, f"{name}: {', '.join([f'{len(rows)} inputs', distance, *facts[name]])}")
    label(drawn, *axes)
    legend_beside(drawn[columns - 1], classes.values())
    return describe(figure, f"Classes: {words.listed(classes)}")


def _shade(axes: Axes, regions: pd.DataFrame, classes: Mapping[str, Style]) -> None:
    """Fill the places of a grid with the pale colour of the class that is said there."""
    codes = {name: place for place, name in enumerate(classes, 1)}
    grid = regions.assign(code=regions["label"].map(codes).fillna(0)).pivot(index="y", columns="x", values="code")
    pale = ListedColormap(["white", *((*to_rgb(style.color), 0.16) for style in classes.values())])
    axes.pcolormesh(grid.columns, grid.index, grid, cmap=pale, vmin=0, vmax=len(codes), shading="nearest", zorder=0)
    axes.grid(visible=False)
    axes.set(xlim=(grid.columns[0], grid.columns[-1]), ylim=(grid.index[0], grid.index[-1]))


@drawing()
def claims_overview(claims: Iterable[Mapping]) -> Figure:
    """Draw each claim as a row: its statement, its estimate with interval, and its verdict as a word and a mark.

    claims  dicts {id, statement, estimate, low, high, verdict}; may also have `unit` (each unit gets a panel of its
            own) and `reference` (the value that the claim is held against, 0 if not given); one without `low` and
            `high` (None or NaN: one seed) stays without an interval
    table: id, statement, estimate, low, high, verdict, unit (or ""), reference
    """
    table = pd.DataFrame([{"unit": "", "reference": 0.0, **claim} for claim in claims])
    table = tables.check(table, "claims", FIELDS)[[*FIELDS, "unit", "reference"]]
    table = table.astype(dict.fromkeys(("estimate", "low", "high", "reference"), float))
    lines = [textwrap.fill(f"{claim.id}  {claim.statement}", 52) for claim in table.itertuples()]
    tall = 0.15 * max(line.count("\n") + 1 for line in lines) + 0.12
    units = table.groupby("unit", sort=False)
    title = "Claims and verdicts"
    note = "Estimate and 95 % interval over seeds; vertical line: what the claim is held against"
    figure, axes = new_figure(table, title, note, [""] * len(units), [tall * size for size in units.size()])
    for one, (unit, rows) in zip(axes, units, strict=True):
        for y, claim in enumerate(rows.itertuples()):
            color, marker = VERDICTS.get(str(claim.verdict).lower(), OTHER)
            one.plot(claim.estimate, y, color=color, marker=marker, markersize=8)
            one.plot([claim.low, claim.high], [y, y], "|-", color=color, linewidth=2, ms=13, mew=1.5, mec=color)
            one.vlines(claim.reference, y - 0.5, y + 0.5, color=INK, linewidth=1)
        one.set_yticks(range(len(rows)), [lines[i] for i in rows.index], ha="left")
        wide = max(name.get_window_extent().width for name in one.get_yticklabels())
        one.tick_params("y", pad=72 * wide / figure.dpi + 6)
        one.set(xlabel=unit, ylim=(len(rows) - 0.5, -0.5))
        one.grid(visible=False, axis="y")
        verdicts = one.secondary_yaxis("right")
        verdicts.spines[:].set_visible(False)
        names = [textwrap.fill(str(verdict), 14) for verdict in rows["verdict"]]
        verdicts.set_yticks(range(len(rows)), names, weight="bold")
        told = [f"{claim.id}, {claim.verdict}: {claim.statement.rstrip('.')}:" for claim in rows.itertuples()]
        numbers = [words.between(*row, words.number) for row in rows[["estimate", "low", "high"]].to_numpy()]
        describe(figure, *(f"{text} {number} {unit}".rstrip() for text, number in zip(told, numbers, strict=True)))
    return figure
