"""Many small numbers in one picture, drawn again and again: each is rendered once, and its pixels are kept.

In a file that is saved the numbers are text.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.font_manager import FontProperties
from matplotlib.text import Text

from .style import FONT

__all__ = ["Number", "Numbers"]


class Number(NamedTuple):
    """A short text around a place, in the axes' own units."""

    x: float
    y: float
    text: str
    color: str
    bold: bool = False


class Numbers(Artist):
    """Short texts in axes, `size` points high; `entries` are those to draw."""

    def __init__(self, axes: Axes, size: float, zorder: float) -> None:
        super().__init__()
        self.axes, self._size, self.entries = axes, size, []
        self.set_figure(axes.figure)
        self.set_transform(axes.transData)
        self.set_zorder(zorder)

    entries: Sequence[Number]

    def draw(self, renderer) -> None:
        """Draw all of them; matplotlib calls this."""
        if not self.entries or not self.get_visible():
            return
        places = self.get_transform().transform([(one.x, one.y) for one in self.entries])
        if not isinstance(renderer, RendererAgg) or self.figure.canvas.is_saving():
            self._as_text(renderer)
            return
        gc = renderer.new_gc()
        for one, (x, y) in zip(self.entries, places, strict=True):
            pixels = _pixels(one.text, one.color, one.bold, self._size, renderer.dpi)
            tall, wide, _ = pixels.shape
            renderer.draw_image(gc, round(x - wide / 2), round(y - tall / 2 + 0.5), pixels)
        gc.restore()

    def _as_text(self, renderer) -> None:
        for one in self.entries:
            text = Text(one.x, one.y, one.text, color=one.color, ha="center", va="center")
            text.set(fontsize=self._size, fontfamily=FONT, fontweight="bold" if one.bold else "normal")
            text.set_parse_math(False)
            text.set_figure(self.figure)
            text.axes = self.axes
            text.set_transform(self.get_transform())
            text.draw(renderer)


@functools.lru_cache(maxsize=4096)
def _pixels(text: str, color: str, bold: bool, size: float, dpi: float) -> np.ndarray:
    """The text as an image with a transparent ground, (height, width, RGBA)."""
    font = FontProperties(family=FONT, size=size, weight="bold" if bold else "normal")
    wide, tall, _ = RendererAgg(1, 1, dpi).get_text_width_height_descent(text, font, ismath=False)
    own = RendererAgg(math.ceil(wide) + 2, math.ceil(tall) + 2, dpi)
    gc = own.new_gc()
    gc.set_foreground(color)
    own.draw_text(gc, 1, math.ceil(tall) + 1, text, font, 0)
    return np.array(np.asarray(own.buffer_rgba())[::-1])  # images are drawn from the bottom up
