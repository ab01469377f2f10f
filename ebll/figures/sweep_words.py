"""What the picture of a sweep shows, as tables and in words: its sheet, its caption, its text, its numbers."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from . import alt
from .heat import shown
from .style import looks

__all__ = ["MAPS", "SweepSheet", "cell_words", "sweep_alt", "sweep_caption", "sweep_table", "value_words"]

MAPS = {"old": ("old task, %", False), "new": ("new task, %", False), "forgetting": ("forgotten, points", True)}
"""Quantity -> title of its map, and whether less of it is better."""
_FEW = 4  # cells that are named one by one


@dataclass(frozen=True, eq=False)
class SweepSheet:
    """What is drawn: tables as `ebll.sweeps.maps` makes them for one view, shares from 0 to 1, and words.

    cells, curves, lines, seeds, references   of `map_cells`, `distance_curves`, `seed_distances`, `seed_spread` and
                                              `reference_points`
    ranges       quantity -> ends of its colour scale
    method       that of the cells, as in code
    column, row  names of the settings along the edges; "" where there is none
    data         "validation" or "test"
    title        tasks, method and settings
    note         what is to be said of a sweep that is not at its end, or ""
    """

    cells: pd.DataFrame
    curves: pd.DataFrame
    lines: pd.DataFrame
    seeds: pd.DataFrame
    references: pd.DataFrame
    ranges: Mapping[str, tuple[float, float]]
    method: str
    column: str
    row: str
    data: str
    title: str
    note: str = ""

    @functools.cached_property
    def rows(self) -> list[dict[str, Any]]:
        """The cells, one by one."""
        return self.cells.to_dict("records")

    @property
    def chosen(self) -> dict[str, Any] | None:
        """The chosen cell, or None."""
        return next((cell for cell in self.rows if cell["chosen"]), None)

    @functools.cached_property
    def edges(self) -> tuple[list[Any], list[Any]]:
        """Values along the edges: columns, then rows."""
        return tuple(list(dict.fromkeys(cell[name] for cell in self.rows)) for name in ("column", "row"))


def value_words(value: Any) -> str:
    """A setting's value as people write it; one for each task in brackets."""
    if isinstance(value, int | float):
        return f"{value:g}".replace("e-0", "e-")
    return f"({value})" if "," in value else value


def cell_words(cell: Mapping[str, Any], name: str) -> str:
    """One quantity of a cell: mean, standard deviation and seeds, or why there is none."""
    if not cell["ended"] + cell["failed"]:
        return "no run"
    lost = f"{alt.counted(int(cell['failed']), 'seed')} failed" if cell["failed"] else ""
    if not cell["ended"]:
        return lost
    spread = cell[f"{name}_sd"]
    around = "" if math.isnan(spread) else f" ± {100 * spread:.1f}"
    value = "not measured" if math.isnan(cell[name]) else shown(100 * cell[name]) + around
    return f"{value} ({', '.join([alt.counted(int(cell['ended']), 'seed'), *([lost] if lost else [])])})"


def sweep_caption(sheet: SweepSheet) -> str:
    """Seeds, data, and how the marks are to be read."""
    counts = [cell["ended"] for cell in sheet.rows if cell["ended"]]
    seeds = alt.counted(max(counts), "seed") if counts else "no seed"
    if counts and min(counts) < max(counts):
        seeds = f"{min(counts)} to {seeds}"
    held = "; forgetting: of the curves' held-out inputs" if sheet.data == "validation" else ""
    return alt.sentences(
        sheet.note,
        f"{sheet.data.capitalize()} data{held}. Cells: mean of {seeds}. Brighter is better; colours mean the same "
        "wherever the sliders are",
        "Distances: line, mean; band, lowest to highest seed. Cross and ±: one standard deviation of the seeds. A "
        "cell with a failed seed is off the front; small triangles: cells beyond the axes",
    )


def sweep_alt(sheet: SweepSheet) -> str:
    """What is seen, in words."""
    return alt.sentences(
        sheet.title, sheet.note, *_map_words(sheet), _missing_words(sheet), _failed_words(sheet), _chosen_words(sheet),
        _distance_words(sheet), _front_words(sheet), _seed_words(sheet), f"All of {sheet.data} data",
    )  # fmt: skip


def sweep_table(sheet: SweepSheet) -> pd.DataFrame:
    """All numbers that are drawn, in one long table: `part` says of which of the sheet's tables a row is."""
    parts = {
        "cell": sheet.cells,
        "reference": sheet.references,
        "seed": sheet.seeds,
        "distance": sheet.curves,
        "seed distance": sheet.lines,
    }
    frames = [frame.assign(part=name) for name, frame in parts.items() if len(frame)]
    whole = pd.concat(frames, ignore_index=True)
    whole = whole.rename(columns={"column": sheet.column or "column", "row": sheet.row or "row"})
    return whole[["part", *(name for name in whole if name != "part")]]


def _place(sheet: SweepSheet, cell: Mapping[str, Any]) -> str:
    told = [(sheet.column, cell["column"]), (sheet.row, cell["row"])]
    # An axis is named with its symbol; read aloud, the name says it.
    named = [(name if name.isascii() else name.rpartition(" ")[0], value) for name, value in told if name]
    return ", ".join(f"{name} {value_words(value)}" for name, value in named) or "the only cell"


def _map_words(sheet: SweepSheet) -> list[str]:
    """A sentence a map: from where to where, and which cell is best."""
    made = []
    for name, (title, falling) in MAPS.items():
        cells, (what, unit) = [cell for cell in sheet.rows if not math.isnan(cell[name])], title.split(", ")
        if not cells:
            made.append(f"Map of {what}: nothing measured")
            continue
        low, high = (end(cells, key=lambda cell: cell[name]) for end in (min, max))
        made.append(
            f"Map of {what}: {shown(100 * low[name])} to {shown(100 * high[name])} {unit} in "
            f"{alt.counted(len(cells), 'cell')}, best at {_place(sheet, low if falling else high)}"
        )
    return made


def _missing_words(sheet: SweepSheet) -> str:
    cells = [cell for cell in sheet.rows if not cell["ended"] + cell["failed"]]
    return _counted_cells(cells, "without a run, hatched", [_place(sheet, cell) for cell in cells])


def _failed_words(sheet: SweepSheet) -> str:
    cells = [cell for cell in sheet.rows if cell["failed"]]
    return _counted_cells(cells, "with failed seeds", [f"{_place(sheet, one)} ({one['failed']})" for one in cells])


def _counted_cells(cells: list[Any], what: str, each: list[str]) -> str:
    return f"{alt.counted(len(cells), 'cell')} {what}: {'; '.join(_few(each, _FEW))}" if cells else ""


def _few(words: list[str], count: int) -> list[str]:
    return words if len(words) <= count else [*words[:count], f"{len(words) - count} more"]


def _chosen_words(sheet: SweepSheet) -> str:
    cell = sheet.chosen
    if cell is None:
        return "No cell is chosen"
    told = "; ".join(f"{title.partition(',')[0]} {cell_words(cell, name)}" for name, (title, _) in MAPS.items())
    return f"The chosen cell, {_place(sheet, cell)}: {told if cell['ended'] else cell_words(cell, 'old')}"


def _distance_words(sheet: SweepSheet) -> str:
    methods, steps, means = (sheet.curves[name].to_numpy() for name in ("method", "step", "mean"))
    names = list(dict.fromkeys(methods))
    styles = looks(names)
    courses = [f"{styles[name].label} {alt.course(steps[methods == name], means[methods == name])}" for name in names]
    if sheet.method not in names:
        courses.insert(0, "not measured for the chosen cell")
    return f"Feature distance: {'; '.join(courses)}"


def _front_words(sheet: SweepSheet) -> str:
    cells = sorted((cell for cell in sheet.rows if cell["on_front"]), key=lambda cell: cell["new"])
    beside = [f"{looks([one['method']])[one['method']].label} {_both(one)}"
              for one in sheet.references.to_dict("records") if one["ended"]]  # fmt: skip
    told = _few([f"{_place(sheet, cell)} ({_both(cell)})" for cell in cells], 2 * _FEW)
    front = f"Pareto front of the map: {'; '.join(told)}" if told else "Trade-off: no cell is on a Pareto front"
    return f"{front}. Beside it: {'; '.join(beside)}" if beside else front


def _both(cell: Mapping[str, Any]) -> str:
    return f"{shown(100 * cell['old'])} % old, {shown(100 * cell['new'])} % new"


def _seed_words(sheet: SweepSheet) -> str:
    ended = [seed for seed in sheet.seeds.to_dict("records") if not seed["failure"]]
    if len(ended) < 2:
        return "Fewer than two seeds ended there: no spread"
    spans = []
    for name, (title, _) in MAPS.items():
        values = [100 * seed[name] for seed in ended if not math.isnan(seed[name])]
        if values:
            spans.append(f"{title.partition(',')[0]} {shown(min(values))} to {shown(max(values))}")
    return f"Its seeds: {'; '.join(spans)}"
