"""The picture of a sweep: three maps over two settings, and what hangs on one cell: distances, trade-off, seeds.

Numbers in, picture out, many times a second; see `canvas`.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from . import layout
from .canvas import Canvas
from .heat import HATCH, HeatMap
from .picture import Picture
from .style import INK, SOFT, drawing, looks
from .sweep_below import Distances, Seeds, TradeOff, by
from .sweep_words import MAPS, SweepSheet, cell_words, sweep_alt, sweep_caption, sweep_table, value_words

__all__ = ["SweepPlot", "SweepSheet"]

WIDTH, HEIGHT = 8.6, 6.9
_LEFT, _WIDE, _TALL, _BOTTOM, _GAP = 0.8, 2.42, 1.95, 3.83, 0.22  # inches of the maps, and between two of them
_BELOW = {"distance": (0.5, 1.1, 3.4, 1.95), "scatter": (4.5, 1.1, 1.8, 1.95), "seeds": (7.05, 1.1, 1.45, 1.95)}
_AROUND = {"distance": (0.5, 0.27, 0.1, 0.42), "scatter": (0.55, 0.27, 0.22, 0.42), "seeds": (0.5, 0.27, 0.1, 0.42)}


class SweepPlot:
    """Three maps above; below them distances over training, the trade-off of all cells, the seeds of the chosen one."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._sheet: SweepSheet | None = None
        with drawing():
            self._canvas = _Keyed(WIDTH, HEIGHT, head=0.76, foot=0.66)
            self._maps = {name: self._map(i, name) for i, name in enumerate(MAPS)}
            axes = {key: self._canvas.add(key, place, _AROUND[key]) for key, place in _BELOW.items()}
            self._distances = Distances(axes["distance"])
            self._scatter, self._seeds = TradeOff(axes["scatter"]), Seeds(axes["seeds"])
            self._axes = axes

    def frame(self, sheet: SweepSheet) -> bytes:
        """Draw a sheet in place of the one before, and return the bytes of a PNG."""
        with self._lock:
            self._sheet = sheet
            parts = {"title": sheet.title, "legend": _entries(sheet), "caption": sweep_caption(sheet)}
            parts |= self._set_maps(sheet) | self._set_below(sheet)
            shown = (*self._maps.values(), self._distances, self._scatter, self._seeds)
            moving = [pair for one in shown for pair in one.moving]
            return self._canvas.frame(parts, self._dress, moving)

    def picture(self) -> Picture:
        """The last frame as a picture of its own, with its numbers and its text."""
        with self._lock:
            own, sheet = SweepPlot(), self._sheet
        own.frame(sheet)
        return own._canvas.picture(sweep_alt(sheet), sweep_table(sheet))

    def cell_at(self, x: float, y: float) -> tuple[Any, Any] | None:
        """Column and row of the cell at a place of the last frame: shares of its width and of its height from above."""
        with self._lock:
            columns, rows = self._sheet.edges
            for name in self._maps:
                left, top, right, bottom = self._canvas.box(name)
                if left <= x < right and top < y <= bottom:
                    across, up = (x - left) / (right - left), (bottom - y) / (bottom - top)
                    return columns[int(across * len(columns))], rows[int(up * len(rows))]
        return None

    def readout(self) -> list[dict[str, Any]]:
        """What a pointer over the last frame reads: the maps column by column, then the distances step by step."""
        with self._lock:
            sheet = self._sheet
            columns, rows = sheet.edges
            words = {str(i): f"{sheet.column} {value_words(one)}".strip() for i, one in enumerate(columns)}
            edge = {"range": [-0.5, len(columns) - 0.5], "words": words, "pick": True}
            made = [
                {"title": title, "box": self._canvas.box(name), "series": _rows(sheet, name, rows), **edge}
                for name, (title, _) in MAPS.items()
            ]
            limits = [float(end) for end in self._axes["distance"].get_xlim()]
            return [*made, {"title": "feature distance", "box": self._canvas.box("distance"), "range": limits,
                            "series": _lines(sheet)}]  # fmt: skip

    def _map(self, place: int, name: str) -> HeatMap:
        around = (_LEFT if place == 0 else _GAP / 2, 0.29, 0.08, 0.42)
        axes = self._canvas.add(name, (_LEFT + place * (_WIDE + _GAP), _BOTTOM, _WIDE, _TALL), around)
        return HeatMap(axes, (_WIDE, _TALL), *MAPS[name])

    def _set_maps(self, sheet: SweepSheet) -> Mapping[str, Any]:
        """Bring the maps in step; what stands still around each of them."""
        columns, rows = sheet.edges
        shape = (len(rows), len(columns))
        values = {name: np.array([cell[name] for cell in sheet.rows]).reshape(shape)
                  for name in (*MAPS, "ended", "failed", "chosen")}  # fmt: skip
        ran, failed = values["ended"] + values["failed"] > 0, values["failed"]
        chosen = next((tuple(map(int, at)) for at in np.argwhere(values["chosen"])), None)
        names = tuple(map(value_words, columns)), tuple(map(value_words, rows))
        parts = {}
        for name, one in self._maps.items():
            low, high = (100 * end for end in sheet.ranges[name])
            one.set(100 * values[name], ran, failed, (low, high), chosen)
            parts[name] = (*names, sheet.column, sheet.row)
        return parts

    def _set_below(self, sheet: SweepSheet) -> Mapping[str, Any]:
        """Bring the lower row in step; the limits of its axes."""
        return {
            "distance": self._distances.set(sheet.curves, sheet.lines, sheet.method),
            "scatter": self._scatter.set(sheet.cells, sheet.references, sheet.method, sheet.ranges),
            "seeds": self._seeds.set(sheet.seeds, sheet.cells, sheet.method),
        }

    def _dress(self, part: str, what: Any) -> None:
        if part in ("title", "caption"):
            getattr(self._canvas, part)(what)
        elif part == "legend":
            self._canvas.key(what)
        elif part in self._maps:
            columns, rows, column, row = what
            first = part == next(iter(self._maps))
            self._maps[part].dress(columns, rows, first)
            self._maps[part].axes.set_xlabel(column, labelpad=2)
            self._maps[part].axes.set_ylabel(row if first else "", labelpad=2)
        else:
            for axis, limits in zip("xy", what, strict=True):
                if limits is not None:
                    getattr(self._axes[part], f"set_{axis}lim")(*limits)


class _Keyed(Canvas):
    """A canvas whose legend also has patches."""

    def key(self, entries: tuple[tuple[str, str], ...]) -> None:
        """Set the legend from (kind, text): a method's name in code, or one of `_HANDLES`."""
        handles: list[Artist] = [_handle(kind, text) for kind, text in entries]
        wide = [layout.text_width(text) + 0.62 for _, text in entries]
        columns = next((n for n in range(len(wide), 1, -1)
                        if sum(max(wide[i::n]) for i in range(n)) < self.width - 0.1), 1)  # fmt: skip
        place = {"loc": "upper left", "bbox_to_anchor": (0, 1 - 0.29 / self.height), "borderaxespad": 0.1}
        # matplotlib fills column by column; entries are read row by row.
        handles = [handles[i] for n in range(columns) for i in range(n, len(handles), columns)]
        spaces = {"columnspacing": 1.2, "handlelength": 2.4, "labelspacing": 0.35, "handletextpad": 0.6}
        self._around["legend"] = [self.figure.legend(handles=handles, ncols=columns, **spaces, **place)]


def _handle(kind: str, text: str) -> Artist:
    if kind == "chosen":
        return Patch(facecolor="white", edgecolor=INK, linewidth=2.2, label=text)
    if kind == "missing":
        return Patch(facecolor="white", edgecolor="#8a8a8a", hatch=HATCH, linewidth=0.6, label=text)
    if kind == "failed":
        return Line2D([], [], linestyle="", marker="x", color=SOFT, markeredgewidth=1.8, label=text)
    if kind == "front":
        return Line2D([], [], color=SOFT, marker="o", markersize=6, linewidth=1.0, label=text)
    look = looks([kind])[kind]
    return Line2D([], [], color=look.color, linestyle=look.line, marker=look.marker, linewidth=2.0, label=text)


def _entries(sheet: SweepSheet) -> tuple[tuple[str, str], ...]:
    """What the legend has: (kind, text), see `_handle`."""
    made = [("chosen", "chosen cell")] if sheet.chosen else []
    if any(not cell["ended"] + cell["failed"] for cell in sheet.rows):
        made.append(("missing", "no run yet" if sheet.note else "no run"))
    if any(cell["failed"] for cell in sheet.rows):
        made.append(("failed", "×n: n seeds failed"))
    methods = {sheet.method, *sheet.references["method"].tolist(), *sheet.curves["method"].tolist()} - {""}
    made += [(name, look.label) for name, look in looks(methods).items()]
    return (*made, ("front", "Pareto front (hollow: off it)"))


def _rows(sheet: SweepSheet, name: str, rows: list[Any]) -> list[dict[str, Any]]:
    told, wide = [cell_words(cell, name) for cell in sheet.rows], len(sheet.edges[0])
    named = [f"{sheet.row} {value_words(row)}".strip() or "all" for row in rows]
    return [
        {"name": named[i], "x": list(range(wide)), "y": told[i * wide : (i + 1) * wide]}
        for i in reversed(range(len(rows)))
    ]


def _lines(sheet: SweepSheet) -> list[dict[str, Any]]:
    labels = {name: look.label for name, look in looks(sheet.curves["method"].tolist()).items()}
    means = [(labels[name], own) for name, own in by(sheet.curves, "method", ["step", "mean"])]
    seeds = [(f"seed {seed}", own) for seed, own in by(sheet.lines, "seed", ["step", "distance"])]
    return [
        {"name": name, "x": own[:, 0].astype(int).tolist(), "y": [_number(value) for value in own[:, 1]]}
        for name, own in means + seeds
    ]


def _number(value: float) -> float | None:
    return float(f"{value:.4g}") if np.isfinite(value) else None
