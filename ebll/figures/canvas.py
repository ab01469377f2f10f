"""A picture in parts: what stands still is painted once and kept, what moves is drawn on top of it, frame by frame.

This room knows parts and pixels; nothing of what they show. Whoever shares a canvas between threads locks it.
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
from .style import SMALL, SOFT, TITLE, Look, drawing

__all__ = ["ON_SCREEN", "Canvas", "plain"]

DPI = 100
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
        self._painted: dict[str, Any] = {}
        self._background: Any = None

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
        self, parts: Mapping[str, Any], dress: Callable[[str, Any], None], moving: Iterable[Artist], quick: bool
    ) -> bytes:
        """Paint the parts that have changed, draw what moves on top, and return the bytes of a PNG, or JPEG if `quick`.

        parts   key of axes, or "head" -> what it looks like; compared with the last frame's
        dress   called for each part that has changed
        moving  artists that are marked as animated
        """
        canvas = self.figure.canvas
        if self._background is not None:
            canvas.restore_region(self._background)
        stale = [part for part, looks in parts.items() if self._painted.get(part, self) != looks]
        if stale:
            with drawing():
                for part in stale:
                    dress(part, parts[part])
                    self._paint(part)
                    self._painted[part] = parts[part]
            self._background = canvas.copy_from_bbox(self.figure.bbox)
        for artist in sorted(moving, key=lambda one: one.get_zorder()):
            artist.axes.draw_artist(artist)
        return _encoded(np.asarray(canvas.buffer_rgba()), quick)

    def head(self, title: str, caption: str, legend: Sequence[Look] = (), *, line: bool = True) -> None:
        """Set heading, caption and legend."""
        for text in [*self.figure.texts, *self.figure.legends]:
            text.remove()
        inch, inner = 1 / self.height, ON_SCREEN * (self.width - 0.2)
        bold = layout.text_width(title, TITLE, "bold") / max(layout.text_width(title, TITLE), 1e-9)
        self.figure.text(0.08 / self.width, 1 - 0.08 * inch, layout.shorten(title, inner / bold, TITLE) if title
                         else "", size=TITLE, weight="bold", va="top")  # fmt: skip
        self.figure.text(0.08 / self.width, 0.05 * inch, _lines(caption, inner, self._edges[1] - 0.05), size=SMALL,
                         color=SOFT, va="bottom")  # fmt: skip
        if legend:
            place = {"loc": "upper left", "bbox_to_anchor": (0, 1 - 0.29 * inch), "borderaxespad": 0.1}
            handles = layout.handles(legend, line=line)
            self.figure.legend(handles=handles, ncols=4, columnspacing=1.4, handlelength=2.8, labelspacing=0.4, **place)

    def picture(self, alt: str, table: pd.DataFrame) -> Picture:
        """The figure itself, with its text and its numbers; the canvas is not to be used after that."""
        self.figure.table, self.figure.alt = table.reset_index(drop=True), alt
        return self.figure

    def _paint(self, part: str) -> None:
        renderer, pixels = self.figure.canvas.get_renderer(), np.asarray(self.figure.canvas.buffer_rgba())
        if part == "head":
            pixels[: round(DPI * self._edges[0])] = 255
            pixels[len(pixels) - round(DPI * self._edges[1]) :] = 255
            for text in [*self.figure.texts, *self.figure.legends]:
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


def _encoded(pixels: np.ndarray, quick: bool) -> bytes:
    buffer, image = io.BytesIO(), Image.fromarray(pixels[..., :3])
    if quick:
        image.save(buffer, format="jpeg", quality=90, subsampling=0)
    else:
        image.save(buffer, format="png", compress_level=1)
    return buffer.getvalue()
