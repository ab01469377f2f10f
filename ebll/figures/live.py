"""A picture that is redrawn while a run goes on: axes and text once, lines many times a second.

`LivePlot.frame` gives a PNG for a panel; `LivePlot.picture` the same as a `Picture`, to show without a kernel or to
save. This room knows traces and looks; it measures nothing and starts no thread. One lock serves all threads.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from . import layout
from .canvas import ON_SCREEN, Canvas, plain
from .picture import Picture
from .style import INK, SMALL, SOFT, Look, drawing

__all__ = ["LivePlot", "Mark", "Panel", "Trace"]

WIDTH, HEIGHT = 7.6, 5.7
_HEAD, _FOOT, _LEFT, _RIGHT, _GAP_X, _GAP_Y = 0.98, 0.78, 0.62, 0.1, 0.75, 0.52  # inches


ABOVE = 1e-4  # height of one line above the one before it


RUNAWAY = 1e3
"""Values from which on a faint line no longer counts for the limits of its axes."""


@dataclass(frozen=True)
class Panel:
    """One of the axes: its key in the traces, its title with the unit, and "linear", "percent" or "log".

    On "log" a nought leaves a gap, and what is smaller than 0.001 lies on the lower edge.
    """

    key: str
    title: str
    scale: str = "linear"


@dataclass(frozen=True, eq=False)
class Trace:
    """One line: where it belongs, how it looks, and its values so far.

    pale    drawn thin and faint, as something to compare with
    cross   whether a cross at its end says that it broke off
    """

    panel: str
    name: str
    look: Look
    x: Sequence[float]
    y: Sequence[float]
    pale: bool = False
    cross: bool = False


@dataclass(frozen=True)
class Mark:
    """A vertical line at a step, with a word of what happened there."""

    x: float
    text: str


class LivePlot:
    """Two by two axes over optimiser steps.

    panels    up to four
    steps     where the horizontal axis ends
    xlabel    its name

    What stands still is painted in parts, the heading and each of the axes, and only where it has changed; a frame
    adds the lines to it. Vertical axes grow with the data and shrink only in `reset`.
    """

    def __init__(self, panels: Sequence[Panel], steps: int, xlabel: str) -> None:
        self.panels, self.steps, self._xlabel = tuple(panels), steps, xlabel
        self._lock = threading.RLock()
        self._drawn: dict[tuple[str, str], list[Artist]] = {}
        self._shown: list[Trace] = []
        self.reset()

    def reset(self, panels: Sequence[Panel] | None = None, steps: int | None = None) -> None:
        """Begin with empty axes, of other panels or another number of steps where given."""
        with self._lock, drawing():
            self.panels, self.steps = tuple(panels or self.panels), steps or self.steps
            self._canvas = Canvas(WIDTH, HEIGHT, head=_HEAD - 0.24, foot=_FOOT - 0.4)
            self._axes = {panel.key: self._place(i, panel) for i, panel in enumerate(self.panels)}
            self._limits = {panel.key: _limits(panel.scale, []) for panel in self.panels}
            self._drawn.clear()
            self._keys: dict[tuple[str, str], Any] = {}  # what each line looks like
            self._last: tuple[Sequence[Trace], dict[str, Any]] = ((), {})

    def frame(
        self, traces: Sequence[Trace], *, title: str = "", caption: str = "", marks: Sequence[Mark] = (),
        legend: Sequence[Look] = (), inner: dict[str, Sequence[Look]] | None = None, quick: bool = False,
    ) -> bytes:  # fmt: skip
        """Draw these traces in place of those before.

        legend   entries above the axes
        inner    panel -> entries inside it
        quick    as JPEG, which takes half the time of the PNG
        returns  the picture's bytes
        """
        with self._lock:
            looks = {"title": title, "caption": caption, "marks": marks, "legend": legend, "inner": inner}
            self._last = (traces, looks)
            self._set(traces, marks)
            parts: dict[str, Any] = {"title": title, "legend": tuple(legend), "caption": caption}
            parts |= {key: (limits, tuple((inner or {}).get(key, ()))) for key, limits in self._limits.items()}
            artists = [(artist, self._keys.get(name, name)) for name, made in self._drawn.items() for artist in made]
            return self._canvas.frame(parts, self._dress, artists, quick)

    def loosen(self) -> None:
        """Forget how far the vertical axes have grown: the next frame gives them what it needs."""
        with self._lock:
            self._limits = {panel.key: _limits(panel.scale, []) for panel in self.panels}

    def picture(self, alt: str, table: pd.DataFrame) -> Picture:
        """The last frame as a picture of its own, with its numbers and its text."""
        with self._lock:
            own = LivePlot(self.panels, self.steps, self._xlabel)
            own._limits = dict(self._limits)
            traces, looks = self._last
            own.frame(traces, **looks)
        return own._canvas.picture(alt, table)

    def readout(self) -> list[dict[str, Any]]:
        """What a pointer over the last frame reads, a panel each: its box (left, top, right, bottom as shares of the
        picture), the range of its horizontal axis, and the traces.
        """  # fmt: skip
        with self._lock:
            return [
                {
                    "title": panel.title,
                    "box": self._canvas.box(panel.key),
                    "range": [float(edge) for edge in self._axes[panel.key].get_xlim()],
                    "series": [_series(trace) for trace in self._shown if trace.panel == panel.key],
                }
                for panel in self.panels
            ]

    def _place(self, i: int, panel: Panel) -> Axes:
        width, height = (WIDTH - _LEFT - _RIGHT - _GAP_X) / 2, (HEIGHT - _HEAD - _FOOT - _GAP_Y) / 2
        column, row = i % 2, i // 2
        left, bottom = _LEFT + column * (width + _GAP_X), _FOOT + (1 - row) * (height + _GAP_Y)
        below = 0.4 if row == 1 or len(self.panels) <= 2 else 0.12
        axes = self._canvas.add(panel.key, (left, bottom, width, height), (_LEFT, 0.24, _RIGHT, below))
        axes.set_xlim(-0.01 * self.steps, 1.02 * self.steps)
        title = layout.shorten(panel.title, ON_SCREEN * (width + 0.08))
        axes.set_title(title, loc="left", size=SMALL, color=INK, pad=4)
        lowest = row == 1 or len(self.panels) <= 2
        axes.tick_params(length=3, labelbottom=lowest)
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        axes.yaxis.set_major_locator(MaxNLocator(5))
        axes.yaxis.set_major_formatter(FuncFormatter(plain))
        if lowest:
            axes.set_xlabel(layout.shorten(self._xlabel, ON_SCREEN * width), labelpad=2)
        if panel.scale == "log":
            axes.set_yscale("log")
            axes.yaxis.set_major_locator(LogLocator(numticks=6))
            axes.yaxis.set_major_formatter(FuncFormatter(plain))
            axes.yaxis.set_minor_formatter(NullFormatter())
        return axes

    def _set(self, traces: Sequence[Trace], marks: Sequence[Mark]) -> None:
        """Bring lines and limits in step with the traces."""
        self._shown = [trace for trace in traces if trace.panel in self._axes and len(trace.x)]
        for panel in self.panels:
            low, high = self._limits[panel.key]
            mine = [trace for trace in self._shown if trace.panel == panel.key]
            # A faint line that has run away may leave the picture: it must not flatten the run on show.
            now = _limits(panel.scale, [trace.y for trace in mine if not trace.pale or np.nanmax(trace.y) < RUNAWAY])
            if now[1] > high:
                self._limits[panel.key] = (low, now[1])
        wanted = {(trace.panel, trace.name) for trace in self._shown}
        named = {f"mark {i} {mark.x:g} {mark.text}": (i, mark) for i, mark in enumerate(marks)}
        wanted |= {(panel.key, name) for panel in self.panels for name in named}
        for gone in [key for key in self._drawn if key not in wanted]:
            self._keys.pop(gone, None)
            for artist in self._drawn.pop(gone):
                artist.remove()
        missing = wanted - self._drawn.keys()
        if missing:
            with drawing():  # what is made takes its font and its caps from the settings of this moment
                for panel, name in missing:
                    axes, mark = self._axes[panel], named.get(name)
                    made = self._mark(axes, *mark, panel == self.panels[0].key) if mark else [
                        axes.add_line(Line2D([], [], animated=True))
                    ]  # fmt: skip
                    self._drawn[panel, name] = made
        for place, trace in enumerate(self._shown):
            self._update((trace.panel, trace.name), trace, place)

    def _update(self, name: tuple[str, str], trace: Trace, place: int) -> None:
        """Bring one line in step with its trace, if it has changed."""
        x, y = np.asarray(trace.x, float), np.asarray(trace.y, float)
        key = (name, place, trace.look, trace.pale, trace.cross, self._limits[trace.panel], x.tobytes(), y.tobytes())
        if self._keys.get(name) != key:
            self._keys[name] = key
            (line,) = self._drawn[name]
            _style(line, trace, place)
            if self._axes[trace.panel].get_yscale() == "log":
                y = np.where(y == 0, np.nan, y)  # nought has no place there: a gap
            line.set_data(x, np.clip(y, *self._limits[trace.panel]))

    def _mark(self, axes: Axes, place: int, mark: Mark, first: bool) -> list[Artist]:
        """Its line, and in the first of the axes its word, on that side of the line where there is more room."""
        look = {"color": SOFT, "linewidth": 1.2, "linestyle": (0, (1, 1.5)), "zorder": 1 + place * ABOVE}
        side = {"ha": "right" if 2 * mark.x > self.steps else "left", "zorder": 4 + place * ABOVE}
        made: list[Artist] = [axes.axvline(mark.x, animated=True, **look)]
        if first:
            made.append(axes.text(mark.x, 0.99 - 0.1 * (place % 4), f" {mark.text} ", size=SMALL - 1, va="top", **side,
                                  transform=axes.get_xaxis_transform(), color=INK, animated=True))  # fmt: skip
        return made

    def _dress(self, part: str, what: Any) -> None:
        """Set what stands still around the axes, or of one of them."""
        if part in ("title", "legend", "caption"):
            getattr(self._canvas, part)(what)
            return
        axes, (limits, inner) = self._axes[part], what
        axes.set_ylim(*limits)
        if axes.get_legend():
            axes.get_legend().remove()
        if inner:
            place = {"loc": "lower left", "ncols": 2, "borderaxespad": 0.2, "labelspacing": 0.2, "columnspacing": 1.0}
            frame = {"frameon": True, "framealpha": 0.8, "edgecolor": "none"}
            axes.legend(handles=layout.handles(inner), handlelength=2.2, **place, **frame)


def _style(line: Line2D, trace: Trace, place: int) -> None:
    look, count = trace.look, len(trace.x)
    line.set_color(look.color)
    line.set_linestyle(look.line)
    line.set_linewidth(1.0 if trace.pale else 1.9)
    line.set_alpha(0.45 if trace.pale else 1.0)
    line.set_zorder((2 if trace.pale else 3) + place * ABOVE)  # their order, whichever was there first
    every = max(1, count // 5)
    line.set_marker("x" if trace.cross else look.marker)
    line.set_markersize(9 if trace.cross else 4 if trace.pale else 5.5)
    line.set_markeredgewidth(2.0 if trace.cross else 0.8)
    line.set_markevery([count - 1] if trace.cross else [*range(place % every, count - 1, every), count - 1])


def _series(trace: Trace) -> dict[str, Any]:
    values = [None if not np.isfinite(v) else float(f"{v:.4g}") for v in np.asarray(trace.y, float)]
    return {"name": trace.name, "x": [float(v) for v in trace.x], "y": values}


def _limits(scale: str, values: list[Sequence[float]]) -> tuple[float, float]:
    """Limits that grow in large steps, so that the axes are seldom painted anew."""
    if scale == "percent":
        return 0.0, 100.0
    peaks = [
        np.nanmax(np.where(np.isfinite(one), one, np.nan)) for one in map(_numbers, values) if np.isfinite(one).any()
    ]
    top = min(max(peaks, default=0.0), 1e15)
    if scale == "log":
        return 1e-3, float(10 ** np.ceil(np.log10(max(top, 1.0) * 1.01)))
    return 0.0, _round_up(max(1.05 * top, 1.0))


def _numbers(values: Sequence[float]) -> np.ndarray:
    return np.asarray(values, float)


def _round_up(value: float) -> float:
    power = 10 ** np.floor(np.log10(value))
    return float(next(step * power for step in (1, 1.5, 2.5, 4, 6, 10) if step * power >= value))
