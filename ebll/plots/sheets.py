"""A contact sheet of images, and the claims with their verdicts."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ebll.errors import InputError

from . import tables, words
from .figure import describe, new_figure
from .style import INK, drawing

MOST = 10  # images in a row
FIELDS = ("id", "statement", "estimate", "low", "high", "verdict")
VERDICTS = {"supported": ("#0173b2", "o"), "not supported": ("#d55e00", "X")}  # colour and marker
OTHER = ("#5a5a5a", "D")  # of any other verdict


def task_images_table(rows: Mapping[str, tuple[np.ndarray, Iterable[str]]]) -> pd.DataFrame:
    """Return what `task_images` draws, a row per image: task, place, label, height, width (pixels), mean (0 to 1)."""
    facts = [
        (task, place, label, *image.shape[:2], float(image.mean()))
        for task, (images, labels) in _checked(rows).items()
        for place, (image, label) in enumerate(zip(images, labels, strict=True))
    ]
    return pd.DataFrame(facts, columns=["task", "place", "label", "height", "width", "mean"])


@drawing()
def task_images(rows: Mapping[str, tuple[np.ndarray, Iterable[str]]], *, title: str = "") -> Figure:
    """Draw images of several tasks as a contact sheet: a row a task, at most ten images each, classes below.

    rows    for each task its images, and the class of each: (n, height, width), grey from 0 (black) to 1 (white), or
            (n, height, width, 3), red, green and blue from 0 to 1
    title   in place of the one that counts the tasks
    """
    checked, table = _checked(rows), task_images_table(rows)
    columns = int(table["place"].max()) + 1
    title = title or ("Images of the task" if len(checked) == 1 else f"Images of {len(checked)} tasks")
    cell = min(5.8 / columns, 1.2)
    figure, axes = new_figure(table, title, "", [""] * len(checked), cell + 0.2)
    for one, (task, (images, classes)) in zip(axes, checked.items(), strict=True):
        width = images.shape[2] + 2
        white = np.pad(images, [(0, 0), (1, 1), (1, 1)] + [(0, 0)] * (images.ndim - 3), constant_values=1)
        one.imshow(np.concatenate(list(white), axis=1), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        one.set(xlim=(-0.5, columns * width - 0.5), anchor="W", yticks=[])
        one.set_ylabel(textwrap.fill(task, 16), rotation=0, ha="right", va="center")
        names = [textwrap.fill(name, int(12 * cell)) for name in classes]
        one.set_xticks((np.arange(len(names)) + 0.5) * width - 0.5, names)
        one.spines[:].set_visible(False)
        one.grid(visible=False)
    lists = [f"{task}: {', '.join(classes)}" for task, (_, classes) in checked.items()]
    return describe(figure, "A row a task, classes from left to right", *lists)


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


def claims_table(claims: Iterable[Mapping]) -> pd.DataFrame:
    """Return what `claims_overview` draws: id, statement, estimate, low, high, verdict, unit (or ""), reference (or 0).

    A claim without `low` and `high` (None or NaN: one seed) stays without an interval.
    """
    rows = pd.DataFrame([{"unit": "", "reference": 0.0, **claim} for claim in claims])
    table = tables.check(rows, "claims", FIELDS)[[*FIELDS, "unit", "reference"]]
    return table.astype(dict.fromkeys(("estimate", "low", "high", "reference"), float))


@drawing()
def claims_overview(claims: Iterable[Mapping]) -> Figure:
    """Draw each claim as a row: its statement, its estimate with interval, and its verdict as a word and a mark.

    claims  dicts {id, statement, estimate, low, high, verdict}; may also have `unit` (each unit gets a panel of its
            own) and `reference` (the value that the claim is held against, 0 if not given)
    """
    table = claims_table(claims)
    lines = [textwrap.fill(f"{claim.id}  {claim.statement}", 52) for claim in table.itertuples()]
    tall = 0.15 * max(line.count("\n") + 1 for line in lines) + 0.12
    units = table.groupby("unit", sort=False)
    title = "Claims and verdicts"
    note = "Estimate and 95 % interval over seeds; test data; upright line: what the claim is held against."
    figure, axes = new_figure(table, title, note, [""] * len(units), [tall * size for size in units.size()])
    for one, (unit, rows) in zip(axes, units, strict=True):
        for y, claim in enumerate(rows.itertuples()):
            color, marker = VERDICTS.get(str(claim.verdict).lower(), OTHER)
            one.plot([claim.low, claim.high], [y, y], color=color, linewidth=2)
            one.plot(claim.estimate, y, color=color, marker=marker, markersize=8)
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
    text = [
        f"{claim.id}, {claim.verdict}: {claim.statement.rstrip('.')}: "
        f"{words.with_interval(claim.estimate, claim.low, claim.high, words.number)} {claim.unit}".rstrip()
        for claim in table.itertuples()
    ]
    return describe(figure, *text)
