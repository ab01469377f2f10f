"""A picture in parts: what stands still is painted once and kept, what moves is drawn on top of it, frame by frame.

Whoever shares a canvas between threads locks it.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from PIL import Image

from . import layout
from .picture import Picture
from .style import SMALL, SOFT, TITLE, drawing

__all__ = ["ON_SCREEN", "Canvas", "plain"]

DPI = 100
_LEGEND = 0.29  # inches below the upper edge where the legend begins
ON_SCREEN = 0.94
"""Letters are fitted to whole pixels here, which makes a line of them up to 6 % wider than `layout` knows."""


class Canvas:
    """A figure of some inches, with axes by key.

    head, foot   inches at the top and the bottom that belong to heading and caption
    """

    def __init__(self, width: float, height: float, head: float, foot: float) -> None:
        self.width, self.height, self._edges = width, height, (head, foot)
        self.figure = Picture(figsize=(width, height), dpi=DPI)
        self.figure.canvas.draw()
        self._cells: dict[str, tuple[Axes, tuple[int, int, int, int]]] = {}
        self._around: dict[str, list[Artist]] = {"title": [], "legend": [], "caption": []}
        self._painted: dict[str, Any] = {}
        self._background: Any = None  # what stands still
        self._layer: Any = None  # that, and the artists in `_kept` on top of it
        self._kept: list[Any] = []
        self._seen: list[Any] = []  # keys of the last frame's artists

    def add(
        self, key: str, place: tuple[float, float, float, float], around: tuple[float, float, float, float]
    ) -> Axes:
        """Axes at `place` (left, bottom, width, height), with inches for labels `around` (left, top, right, below)."""
        left, bottom, width, height = place
        axes = self.figure.add_axes((left / self.width, bottom / self.height, width / self.width, height / self.height))
        top = self.height - bottom - height
        edges = (left - around[0], top - around[1], left + width + around[2], top + height + around[3])
        limits = (self.width, self.height) * 2
        cell = tuple(round(DPI * min(max(0.0, edge), most)) for edge, most in zip(edges, limits, strict=True))
        self._cells[key] = (axes, cell)
        return axes

    def box(self, key: str) -> list[float]:
        """Where the axes are: left, top, right, bottom as shares of the picture."""
        left, bottom, width, height = self._cells[key][0].get_position().bounds
        return [round(v, 4) for v in (left, 1 - bottom - height, left + width, 1 - bottom)]

    def frame(
        self,
        parts: Mapping[str, Any],
        dress: Callable[[str, Any], None],
        moving: Iterable[tuple[Artist, Any]],
    ) -> bytes:
        """Paint the parts that have changed, draw what moves on top, and return the bytes of a PNG.

        parts   key of axes, "title", "legend" or "caption" -> what it looks like; compared with the last frame's
        dress   called for each part that has changed
        moving  artists that are marked as animated, each with a key that says what it looks like; the first of them, as
                far as none has changed since the last frame, are not drawn again
        """
        canvas = self.figure.canvas
        stale = [part for part, looks in parts.items() if self._painted.get(part, self) != looks]
        if stale:
            self._repaint(stale, parts, dress)
        ordered = sorted(moving, key=lambda one: one[0].get_zorder())
        same = _in_common([key for _, key in ordered], self._seen)
        kept = min(same, len(self._kept)) if self._kept == self._seen[: len(self._kept)] else 0
        if kept < len(self._kept):
            self._kept, self._layer, kept = [], self._background, 0
        canvas.restore_region(self._layer)
        for place, (artist, _) in enumerate(ordered[kept:], kept):
            if place == same and same > kept:  # what has stood still since the last frame is kept from now on
                self._kept, self._layer = [key for _, key in ordered[:same]], canvas.copy_from_bbox(self.figure.bbox)
            artist.axes.draw_artist(artist)
        self._seen = [key for _, key in ordered]
        return _encoded(canvas.buffer_rgba())

    def _repaint(self, stale: Sequence[str], parts: Mapping[str, Any], dress: Callable[[str, Any], None]) -> None:
        canvas = self.figure.canvas
        if self._background is not None:
            canvas.restore_region(self._background)
        with drawing():
            for part in stale:
                for old in self._around.get(part, ()):
                    old.remove()
                dress(part, parts[part])
                self._paint(part)
                self._painted[part] = parts[part]
        self._background = self._layer = canvas.copy_from_bbox(self.figure.bbox)
        self._kept, self._seen = [], []

    def title(self, text: str) -> None:
        """Set the heading, cut to one line."""
        inner = ON_SCREEN * (self.width - 0.2)
        bold = layout.text_width(text, TITLE, "bold") / max(layout.text_width(text, TITLE), 1e-9)
        shown = layout.shorten(text, inner / bold, TITLE) if text else ""
        place = (0.08 / self.width, 1 - 0.08 / self.height)
        self._around["title"] = [self.figure.text(*place, shown, size=TITLE, weight="bold", va="top")]

    def caption(self, text: str) -> None:
        """Set the caption, in as many lines as there is room for."""
        shown = _lines(text, ON_SCREEN * (self.width - 0.2), self._edges[1] - 0.05)
        place = (0.08 / self.width, 0.05 / self.height)
        self._around["caption"] = [self.figure.text(*place, shown, size=SMALL, color=SOFT, va="bottom")]

    def picture(self, alt: str, table: pd.DataFrame) -> Picture:
        """The figure itself, with its text and its numbers; the canvas is not to be used after that."""
        self.figure.table, self.figure.alt = table.reset_index(drop=True), alt
        return self.figure

    def _paint(self, part: str) -> None:
        renderer, pixels = self.figure.canvas.get_renderer(), np.asarray(self.figure.canvas.buffer_rgba())
        if part in self._around:
            head, foot = self._edges
            top, bottom = {
                "title": (0, _LEGEND),
                "legend": (_LEGEND, head),
                "caption": (self.height - foot, self.height),
            }[part]
            pixels[round(DPI * top) : round(DPI * bottom)] = 255
            for text in self._around[part]:
                text.draw(renderer)
            return
        axes, (left, top, right, bottom) = self._cells[part]
        pixels[top:bottom, left:right] = 255
        axes.draw(renderer)


def plain(value: float, _: int = 0) -> str:
    """A tick's label that needs no power of ten above the axes, where the title stands."""
    return f"{value:g}".replace("e+", "e").replace("e-0", "e-").replace("-", "−")


def _lines(text: str, width: float, height: float) -> str:
    """Text broken into lines, of which as many are left as `height` has room for."""
    lines, room = layout.wrap(text, width).split("\n"), max(1, int(height / (SMALL * layout.LINE) + 1e-6))
    lines[room - 1 :] = [" ".join(lines[room - 1 :])]
    return "\n".join(layout.shorten(line, width) for line in lines)


def _in_common(one: Sequence[Any], other: Sequence[Any]) -> int:
    """How many entries two sequences begin with alike."""
    return next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def _encoded(pixels: memoryview) -> bytes:
    tall, wide, _ = pixels.shape
    buffer, image = io.BytesIO(), Image.frombytes("RGB", (wide, tall), pixels, "raw", "RGBX")
    image.save(buffer, format="png", compress_level=1)
    return buffer.getvalue()
