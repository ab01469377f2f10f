"""One heat map that is redrawn while sliders move: colours, numbers, hatching where nothing was run, the chosen cell.

See `canvas` for what stands still.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.colors import to_hex
from matplotlib.patches import Rectangle

from . import layout
from .numbers import Number, Numbers
from .style import HEAT, INK, SMALL, ink_on

__all__ = ["EMPTY", "HATCH", "HeatMap", "shown"]

EMPTY, HATCH = "#efefef", "////"
_NUMBERS = SMALL - 0.5  # points, of what stands in a cell
_WIDE, _TALL = 0.075, 0.17  # inches that a digit and a line of them need
_BAR = (0.44, 0.09)  # inches of the colour bar


class HeatMap:
    """A map in axes of its own, `width` x `height` inches.

    title    its quantity, with the unit
    falling  whether less is better: brighter is always better
    """

    def __init__(self, axes: Axes, size: tuple[float, float], title: str, falling: bool = False) -> None:
        self.axes, self._size, self._falling = axes, size, falling
        self._colors = matplotlib.colormaps[f"{HEAT}_r" if falling else HEAT]
        axes.set_title(title, loc="left", size=SMALL, color=INK, pad=4, y=1.0)
        axes.grid(False)
        axes.tick_params(length=0, pad=3)
        for side in ("left", "bottom"):
            axes.spines[side].set_visible(False)
        blank = np.full((1, 1, 4), 255, np.uint8)
        self._image = axes.imshow(blank, origin="lower", aspect="auto", interpolation="nearest", zorder=1.0)
        self._hatched = PolyCollection(
            [], facecolor="white", edgecolor="#8a8a8a", hatch=HATCH, linewidth=0.6, zorder=1.1
        )
        axes.add_collection(self._hatched, autolim=False)
        self._frames = [
            Rectangle((0, 0), 1, 1, fill=False, edgecolor=color, linewidth=width, zorder=3 + i / 10, clip_on=False)
            for i, (color, width) in enumerate((("white", 4.2), (INK, 2.2)))
        ]
        for one in (self._image, self._hatched, *map(axes.add_patch, self._frames)):
            one.set_animated(True)
        self._numbers = Numbers(axes, _NUMBERS, zorder=1.2)
        self._numbers.set_animated(True)
        axes.add_artist(self._numbers)
        self._seen: Any = None
        self._chosen: tuple[int, int] | None = None
        self._bar(axes)

    def _bar(self, axes: Axes) -> None:
        """A colour bar at the right end of the title's line, with the ends of the scale beside it."""
        (wide, tall), (width, height) = _BAR, self._size
        left, bottom = 1 - (wide + 0.4) / width, 1 + 0.075 / height
        own = axes.inset_axes((left, bottom, wide / width, tall / height))
        own.imshow(np.linspace(0, 1, 64)[None], aspect="auto", cmap=self._colors, vmin=0, vmax=1)
        own.set_axis_off()
        middle = bottom + 0.45 * tall / height
        self._ends = Numbers(axes, SMALL, zorder=1.05)
        self._ends.set_transform(axes.transAxes)
        self._ends.set_animated(True)
        axes.add_artist(self._ends)
        self._ends_at = [(left - 0.21 / width, middle), (left + (wide + 0.21) / width, middle)]

    def dress(self, columns: Sequence[str], rows: Sequence[str], named: bool) -> None:
        """Set what stands still: the names of the columns and, if `named`, of the rows."""
        axes = self.axes
        axes.set_xlim(-0.5, len(columns) - 0.5)
        axes.set_ylim(-0.5, len(rows) - 0.5)
        axes.set_xticks(*_some(columns, self._size[0] / (0.12 + max(map(layout.text_width, columns)))))
        axes.set_yticks(*_some(rows, self._size[1] / _TALL))
        axes.tick_params(labelleft=named)

    def set(
        self, values: np.ndarray, ran: np.ndarray, failed: np.ndarray, ends: tuple[float, float],
        chosen: tuple[int, int] | None,
    ) -> None:  # fmt: skip
        """Bring what moves in step with the numbers, (rows, columns) each.

        values  mean of each cell, NaN for none
        ran     whether the sweep has any run there
        failed  seeds of it that failed
        ends    of the colour scale; what is worse has the colour of the worse end
        chosen  row and column of the cell with a frame
        """
        self._chosen = chosen
        for frame in self._frames:
            frame.set_visible(chosen is not None)
            if chosen is not None:
                frame.set_xy((chosen[1] - 0.5, chosen[0] - 0.5))
        seen = (values.tobytes(), ran.tobytes(), failed.tobytes(), ends, values.shape)
        if seen == self._seen:
            return
        self._seen, (tall, wide) = seen, values.shape
        colors = self._shades(values, ends)
        beyond = ("", "≥") if self._falling else ("≤", "")
        told = ["" if math.isnan(end) else f"{sign}{shown(end)}" for end, sign in zip(ends, beyond, strict=True)]
        self._ends.entries = [Number(*at, text, INK) for at, text in zip(self._ends_at, told, strict=True) if text]
        self._image.set_data(colors)
        self._image.set_extent((-0.5, wide - 0.5, -0.5, tall - 0.5))
        self._hatched.set_verts([_corners(row, column) for row, column in np.argwhere(~ran)])
        self._numbers.entries = list(self._words(values, ran, failed, colors))

    @property
    def moving(self) -> list[tuple[Artist, Any]]:
        """The artists that are drawn on top, each with a key that says what it looks like."""
        still = [self._image, self._hatched, self._ends, self._numbers]
        made = [(artist, (id(self), i, self._seen)) for i, artist in enumerate(still)]
        return made + [(frame, (id(frame), self._chosen)) for frame in self._frames]

    def _shades(self, values: np.ndarray, ends: tuple[float, float]) -> np.ndarray:
        low, high = ends
        with np.errstate(invalid="ignore"):
            share = (values - low) / (high - low) if high > low else np.where(np.isnan(values), np.nan, 0.5)
        colors = self._colors(np.clip(np.nan_to_num(share), 0, 1), bytes=True)
        colors[np.isnan(share)] = [*(int(EMPTY[i : i + 2], 16) for i in (1, 3, 5)), 255]
        return colors

    def _words(self, values: np.ndarray, ran: np.ndarray, failed: np.ndarray, colors: np.ndarray) -> Iterable[Number]:
        """What stands in the cells, as far as there is room for it."""
        rows, columns = values.shape
        wide, tall = self._size[0] / columns, self._size[1] / rows
        digits = next((n for n in (1, 0) if wide >= _WIDE * (4.4 if n else 2.4)), None)
        if digits is None or tall < _TALL:
            return
        apart = 0.5 * _TALL / tall if tall >= 2 * _TALL else 0.0  # of the two lines that a cell may have
        for row, column in np.argwhere(ran):
            value, lost = values[row, column], int(failed[row, column])
            color = ink_on(to_hex(colors[row, column] / 255))
            both = apart if lost and not math.isnan(value) else 0.0
            if not lost or (both and not math.isnan(value)):
                yield Number(column, row - both, shown(value, digits), color)
            if lost:
                yield Number(column, row + both, f"×{lost}", color, bold=True)


def shown(value: float, digits: int = 1) -> str:
    """A number of percent or points as it stands in a cell; a dash where nothing was measured."""
    if math.isnan(value):
        return "–"
    text = f"{value:.{digits}f}"
    return (text.lstrip("-") if float(text) == 0 else text).replace("-", "−")


def _some(names: Sequence[str], room: float) -> tuple[list[int], list[str]]:
    """Places and names of as many ticks as there is room for, evenly apart."""
    every = max(1, math.ceil(len(names) / max(1.0, room)))
    places = list(range(0, len(names), every))
    return places, [names[place] for place in places]


def _corners(row: int, column: int) -> list[tuple[float, float]]:
    return [(column + dx, row + dy) for dx, dy in ((-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5))]
