"""`Picture`: a matplotlib Figure that carries the table it shows and a text for those who cannot see it.

No pyplot: a picture may be made and shown from any thread.
"""

from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from ebll.plots import save

from .style import drawing

__all__ = ["Picture"]

_PACK = np.array([256**2, 256, 1])  # three bytes of a colour as one number
_AREAS = 32  # colours kept exactly


class Picture(Figure):
    """A Figure with `table` (the numbers that are drawn), `alt` (what is seen, in words) and `save(stem)`.

    It shows itself as the last value of a notebook cell, with the alt text where screen readers look for it.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        FigureCanvasAgg(self)
        self.table = pd.DataFrame()
        self.alt = ""

    def save(self, stem: str | Path) -> dict[str, Path]:
        """Write `stem`.png, .svg, .csv (the table) and .txt (the alt text); return their paths by suffix."""
        return save(self, stem)

    def draw(self, renderer) -> None:
        """Draw under our settings, also when someone else's canvas asks."""
        with drawing():
            super().draw(renderer)

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        with drawing():
            self.savefig(buffer, format="png", metadata={"Software": None})
        return _with_palette(buffer)

    def _repr_mimebundle_(self, include=None, exclude=None) -> tuple[dict, dict]:
        # The alt text is also the plain text: terminals and diffs get the content instead of a size in pixels.
        data = {"image/png": base64.b64encode(self._repr_png_()).decode("ascii"), "text/plain": self.alt}
        return data, {"image/png": {"alt": self.alt}}


def _with_palette(png: io.BytesIO) -> bytes:
    """Return the image with 256 colours: it looks the same, and a notebook with eight pictures stays light.

    The most frequent colours stay as they are: areas keep their tint. The others are spread so that rare colours, at
    the edges of letters and lines, have one nearby.
    """
    image = Image.open(png)
    pixels = np.asarray(image.convert("RGB"))
    colors, where, counts = np.unique(pixels.reshape(-1, 3) @ _PACK, return_inverse=True, return_counts=True)
    colors = colors[:, None] // _PACK % 256
    few = colors[np.argsort(-counts, kind="stable")[: 256 if len(colors) <= 256 else _AREAS]]
    if len(few) < len(colors):
        sample = Image.fromarray(colors[None].astype(np.uint8)).quantize(256 - _AREAS, Image.Quantize.MAXCOVERAGE)
        few = np.concatenate([few, np.reshape(sample.getpalette(), (-1, 3))])
    nearest = [np.argmin(((few - color) ** 2).sum(axis=1)) for color in colors]
    out = Image.fromarray(np.array(nearest, np.uint8)[where.reshape(pixels.shape[:2])])
    out.putpalette(few.astype(np.uint8).tobytes())
    buffer = io.BytesIO()
    out.save(buffer, format="png", optimize=True, dpi=image.info.get("dpi"))
    return buffer.getvalue()
