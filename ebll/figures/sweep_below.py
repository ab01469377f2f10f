"""What hangs on one cell of a sweep's maps, each in axes of its own: distances, the trade-off of all cells, seeds.

Numbers in, artists set; `sweep` puts them into one picture.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator
from matplotlib.transforms import Transform

from .canvas import plain
from .heat import shown
from .numbers import Number, Numbers
from .style import BAND, INK, SMALL, SOFT, Look, looks

__all__ = ["Distances", "Seeds", "TradeOff", "by"]

Moving = list[tuple[Artist, Any]]
Limits = tuple[tuple[float, float] | None, tuple[float, float] | None]
_BESIDE = 2  # methods that stand beside the chosen one, at most
_NARROW = 2.0  # points that an axis of accuracies spans at least
_REACHES = (2.5, 5.0, 12.0, 30.0)  # points that the seeds' axes go up and down; few, so that they stand still


class Distances:
    """M2 over the steps of the last task's training: mean and range of the chosen cell, its seeds, the references."""

    def __init__(self, axes: Axes) -> None:
        self.axes, self._keys = axes, [None] * _BESIDE
        _furnished(axes, "feature distance, held-out old inputs", x=True)
        _label(axes, x="optimiser step on the last task")
        self._band = PolyCollection([], alpha=BAND, linewidth=0, zorder=2.1, animated=True)
        self._each = LineCollection([], linewidths=0.9, alpha=0.6, zorder=2.2, animated=True)
        for one in (self._band, self._each):
            axes.add_collection(one, autolim=False)
        self._broken = _line(axes, 2.3, marker="x", color=SOFT, markersize=7, markeredgewidth=1.8)
        self._beside = [_line(axes, 1.5 + i / 10) for i in range(_BESIDE)]
        self._mean = _line(axes, 2.5)
        self._word = _numbers(axes, axes.transAxes)

    def set(self, curves: pd.DataFrame, lines: pd.DataFrame, method: str) -> Limits:
        """Show these; returns the limits of both axes, which grow in large steps."""
        parts = {name: own for name, own in by(curves, "method", ["step", "mean", "low", "high"])}
        styles = looks([method, *parts])
        own, beside = parts.pop(method, np.empty((0, 4))), list(parts.items())
        _styled(self._mean, styles[method], own)
        for i, line in enumerate(self._beside):
            name, other = beside[i] if i < len(beside) else (method, np.empty((0, 4)))
            _styled(line, styles[name], other)
            self._keys[i] = (name, other.tobytes())
        edge = np.concatenate([own[:, [0, 2]], own[::-1][:, [0, 3]]])
        self._band.set_verts([edge] if len(own) else [])
        each = [one for _, one in by(lines, "seed", ["step", "distance"])]
        self._each.set_segments([one for one in each if len(one)])
        for one in (self._band, self._each):
            one.set_color(styles[method].color)
        drawn = [one for one in (own, *parts.values()) if len(one)]
        tops = [one[:, 3] for one in drawn] or [one[:, 1] for one in each]  # what broke off counts where all did
        top = _round_up(1.04 * float(max([0.1, *(np.max(one, initial=0.1, where=np.isfinite(one)) for one in tops)])))
        self._word.entries = [] if drawn or each else [Number(0.5, 0.5, "not measured", SOFT)]
        ends = np.array([one[-1] for _, one in by(lines[lines["failed"]], "seed", ["step", "distance"])])
        x, y = ends.reshape(-1, 2).T
        self._broken.set_data(x, np.clip(np.nan_to_num(y, nan=np.inf), 0, 0.985 * top))
        last = float(max([*(one[-1, 0] for one in (*drawn, *each) if len(one)), 1]))
        return (-0.01 * last, 1.02 * last), (0.0, top)

    @property
    def moving(self) -> Moving:
        """The artists that are drawn on top, each with a key that says what it looks like."""
        made = list(zip(self._beside, self._keys, strict=True))
        return made + [(one, object()) for one in (self._band, self._each, self._broken, self._mean, self._word)]


class TradeOff:
    """Old against new of every cell of the map: the Pareto front, the chosen cell, the references."""

    def __init__(self, axes: Axes) -> None:
        self.axes, self._key = axes, None
        _furnished(axes, "every cell of the maps", x=True)
        _label(axes, x="new task, %", y="old task, %")
        rim = {"markeredgecolor": "white", "markeredgewidth": 0.6}
        self._front = _line(axes, 1.6, linewidth=1.0, linestyle="-")
        self._off = _line(axes, 1.7, marker="o", markerfacecolor="white", markersize=4.5, markeredgewidth=1.0)
        small = {"markerfacecolor": "white", "markersize": 4.5, "markeredgewidth": 1.0}
        self._out, self._aside = (_line(axes, 1.75 + i / 100, marker=m, **small) for i, m in enumerate("v<"))
        self._on = _line(axes, 1.8, marker="o", markersize=6, **rim)
        self._beside = [_line(axes, 1.9 + i / 100, markersize=8, **rim) for i in range(_BESIDE)]
        self._cross = LineCollection([], linewidths=1.2, colors=INK, zorder=2.0, animated=True)
        axes.add_collection(self._cross, autolim=False)
        self._ring = _line(axes, 2.6, marker="o", markersize=11, markerfacecolor="none", color=INK)
        self._ring.set_markeredgewidth(2.0)

    def set(self, cells: pd.DataFrame, references: pd.DataFrame, method: str, ranges: Mapping[str, Any]) -> Limits:
        """Show these, shares from 0 to 1; returns the limits of both axes: around `ranges`, whose ends the worst fifth
        of the cells is beyond, and around the references. What is beyond stands on the edge, as a triangle.
        """  # fmt: skip
        columns, there = ["new", "old", "new_sd", "old_sd"], cells["ended"].to_numpy() > 0
        points, on = 100 * _array(cells, columns)[there], cells["on_front"].to_numpy(bool)[there]
        chosen, beside = points[cells["chosen"].to_numpy(bool)[there]], 100 * _array(references, columns)
        limits = [
            _around([*(100 * end for end in ranges[name]), *beside[:, i], *points[on, i]])
            for i, name in enumerate(("new", "old"))
        ]
        lows, highs = np.array(limits).T
        margin = 0.05 * (highs - lows)  # a ring on the very edge would be cut in half
        inside = ((points[:, :2] >= lows) & (points[:, :2] <= highs)).all(axis=1)
        shown = np.where(inside[:, None], points[:, :2], np.clip(points[:, :2], lows + margin, highs - margin))
        front = shown[on][np.argsort(shown[on, 0], kind="stable")]
        styles = looks([method, *references["method"]])
        aside = (points[:, 0] < lows[0]) & (points[:, 1] >= lows[1])  # only too far to the left
        parts = {self._front: front, self._on: shown[on], self._off: shown[~on & inside]}
        parts |= {self._out: shown[~inside & ~aside], self._aside: shown[aside]}
        for line, part in parts.items():
            line.set_data(part[:, 0], part[:, 1])
            line.set(color=styles[method].color)
        for line in (self._off, self._out, self._aside):
            line.set_markeredgecolor(styles[method].color)
        for i, line in enumerate(self._beside):
            line.set_data(*(beside[i : i + 1, :2].T))
            if i < len(references):
                look = styles[references["method"].iloc[i]]
                line.set(color=look.color, marker=look.marker)
        self._ring.set_data(*shown[cells["chosen"].to_numpy(bool)[there]].T)
        self._cross.set_segments([way for one in chosen for way in _cross(*one)])
        self._key = (points.tobytes(), on.tobytes(), beside.tobytes(), *limits, *references["method"], method)
        return tuple(limits)

    @property
    def moving(self) -> Moving:
        """The artists that are drawn on top, each with a key that says what it looks like."""
        still = [self._front, self._off, self._out, self._aside, self._on, *self._beside]
        return [(one, (i, self._key)) for i, one in enumerate(still)] + [
            (one, object()) for one in (self._cross, self._ring)
        ]


class Seeds:
    """How far each seed of the chosen cell is from their mean, for the old task, the new one, and forgetting."""

    _NAMES = ("old", "new", "forgetting")

    def __init__(self, axes: Axes) -> None:
        self.axes = axes
        _furnished(axes, "seeds minus mean", x=False)
        _label(axes, y="percentage points")
        axes.set_xlim(-0.45, 2.45)
        axes.set_xticks(range(3), ["old", "new", "forgot"])
        axes.tick_params(axis="x", pad=12)
        for label in axes.get_xticklabels():
            label.set_va("baseline")
        axes.grid(False, axis="x")
        axes.axhline(0, color=SOFT, linewidth=1.0, zorder=1.0)
        self._ways = LineCollection([], linewidths=0.9, alpha=0.6, zorder=2.1, animated=True)
        axes.add_collection(self._ways, autolim=False)
        self._dots = _line(axes, 2.2, marker="o", markersize=5, markeredgecolor="white", markeredgewidth=0.6)
        self._sums = _numbers(axes, axes.get_xaxis_transform())

    def set(self, seeds: pd.DataFrame, cells: pd.DataFrame, method: str) -> Limits:
        """Show these, shares from 0 to 1, beside the chosen one of the cells. Returns the limits of both axes."""
        chosen, spreads = cells["chosen"].to_numpy(bool), 100 * _array(cells, (f"{name}_sd" for name in self._NAMES))
        color = looks([method])[method].color
        values = 100 * _array(seeds, self._NAMES)
        values = values[np.isfinite(values).any(axis=1)]
        means = 100 * _array(cells, self._NAMES)[chosen]
        apart = values - means if len(values) and len(means) else np.empty((0, 3))
        ways = [np.column_stack([np.arange(3), one]) for one in apart]
        self._ways.set_segments([way[np.isfinite(way[:, 1])] for way in ways])
        self._ways.set_color(color)
        self._dots.set_data(np.tile(np.arange(3), len(apart)), apart.ravel())
        self._dots.set_color(color)
        told = [(i, 0.94, shown(mean)) for i, mean in enumerate(means.ravel())]
        told += [(i, 0.86, f"±{wide:.1f}") for i, wide in enumerate(spreads[chosen].ravel()) if math.isfinite(wide)]
        self._sums.entries = [Number(*one, INK) for one in told]
        most = max([*np.abs(apart[np.isfinite(apart)]), 0.0])
        reach = next((one for one in _REACHES if one >= most), 100.0)
        return None, (-1.1 * reach, 1.9 * reach)  # with room for the means above

    @property
    def moving(self) -> Moving:
        """The artists that are drawn on top, each with a key that says what it looks like."""
        return [(one, object()) for one in (self._ways, self._dots, self._sums)]


def _furnished(axes: Axes, title: str, x: bool) -> None:
    axes.set_title(title, loc="left", size=SMALL, color=INK, pad=4, y=1.0)
    axes.tick_params(length=3)
    for axis in (axes.yaxis, *((axes.xaxis,) if x else ())):
        axis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
        axis.set_major_formatter(FuncFormatter(_tick))


def _label(axes: Axes, x: str = "", y: str = "") -> None:
    """Name axes at fixed places: to be placed beside the ticks, they would be measured each time."""
    place, picture = axes.get_position(), axes.figure.get_size_inches()
    wide, tall = place.width * picture[0], place.height * picture[1]
    axes.set_xlabel(x, va="top")
    axes.set_ylabel(y, va="bottom")
    axes.xaxis.set_label_coords(0.5, -0.25 / tall)
    axes.yaxis.set_label_coords(-0.3 / wide, 0.5)


def _tick(value: float, _: int = 0) -> str:
    """A tick's label that needs little room: 5e5 for what would have more than four digits."""
    return plain(value) if abs(value) < 1e4 else f"{value:.1e}".replace("e+0", "e").replace(".0e", "e")


def _line(axes: Axes, zorder: float, **look: Any) -> Line2D:
    (made,) = axes.plot([], [], zorder=zorder, animated=True, **({"linestyle": ""} | look))
    return made


def _numbers(axes: Axes, transform: Transform) -> Numbers:
    made = Numbers(axes, SMALL - 0.5, zorder=2.4)
    made.set_transform(transform)
    made.set_animated(True)
    axes.add_artist(made)
    return made


def _styled(line: Line2D, look: Look, course: np.ndarray) -> None:
    line.set_data(course[:, 0], course[:, 1])
    line.set(color=look.color, linestyle=look.line, linewidth=2.0, marker=look.marker, markersize=5)
    count = len(course)
    line.set_markevery(sorted({*range(0, count, max(1, count // 4)), max(0, count - 1)}))


def by(frame: pd.DataFrame, name: str, columns: Iterable[str]) -> list[tuple[Any, np.ndarray]]:
    """The rows of each value of a column, as (rows, columns), in the order in which the values come."""
    keys, values = frame[name].to_numpy(), _array(frame, columns)
    return [(key, values[keys == key]) for key in dict.fromkeys(keys.tolist())]


def _array(frame: pd.DataFrame, columns: Iterable[str]) -> np.ndarray:
    """Columns side by side; a list of names as an index would cost a millisecond."""
    return np.column_stack([frame[name].to_numpy(float) for name in columns])


def _cross(x: float, y: float, dx: float, dy: float) -> list[list[tuple[float, float]]]:
    """One standard deviation to each side, where there is one."""
    ways = [[(x - dx, y), (x + dx, y)], [(x, y - dy), (x, y + dy)]]
    return [way for way, wide in zip(ways, (dx, dy), strict=True) if math.isfinite(wide)]


def _around(values: Iterable[float]) -> tuple[float, float]:
    """Limits that hold all values, at round numbers."""
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return 0.0, 100.0
    low, high = min(finite), max(finite)
    wider = max(0.0, _NARROW - (high - low)) / 2
    low, high = low - wider, high + wider
    step = _round_up((high - low) / 8)
    return step * (math.floor(low / step) - 0.5), step * (math.ceil(high / step) + 0.5)


def _round_up(value: float) -> float:
    power = 10 ** math.floor(math.log10(value))
    return float(next(step * power for step in (1, 2, 5, 10) if step * power >= value * (1 - 1e-9)))
