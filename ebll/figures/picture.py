"""`Picture`: a matplotlib Figure that carries the table it shows and a text for those who cannot see it.

This room knows neither methods nor tables. No pyplot: a picture may be made and shown from any thread.
"""

from __future__ import annotations

import base64
import io
from pathlib import Path

import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from .save import save
from .style import drawing

__all__ = ["Picture"]


class Picture(Figure):
    """A Figure with `table` (the numbers that are drawn), `alt` (what is seen, in words) and `save(stem)`.

    It shows itself as the last value of a notebook cell, with the alt text where screen readers look for it.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        FigureCanvasAgg(self)
        self.table = pd.DataFrame()
        self.alt = ""

    def draw(self, renderer) -> None:
        """Draw under our settings, also when someone else's canvas asks."""
        with drawing():
            super().draw(renderer)

    def save(self, stem: str | Path) -> dict[str, Path]:
        """Write `stem`.png, .svg, .csv (the table) and .txt (the alt text); return their paths by suffix."""
        return save(self, stem, self.table, self.alt)

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        with drawing():
            self.savefig(buffer, format="png", metadata={"Software": None})
        return buffer.getvalue()

    def _repr_mimebundle_(self, include=None, exclude=None) -> tuple[dict, dict]:
        # The alt text is also the plain text: terminals and diffs get the content instead of a size in pixels.
        data = {"image/png": base64.b64encode(self._repr_png_()).decode("ascii"), "text/plain": self.alt}
        return data, {"image/png": {"alt": self.alt}}
