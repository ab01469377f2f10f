"""The picture of the submanifold explorer: features and reconstructions in a plane, what the code term holds, accuracy.

Numbers in, picture out, many times a second; see `canvas`. This room measures nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.collections import LineCollection
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from . import alt
from .canvas import Canvas, plain
from .picture import Picture
from .style import INK, SMALL, SOFT, Look, drawing

__all__ = ["BARS", "ExplorerPlot", "explorer_alt"]

WIDTH, HEIGHT = 7.6, 5.4
FEATURES = Look("features of a held-out image", "#332288", "-", "o")
BACK = Look("their reconstruction", "#c2571a", "-", "s")
OTHERS = Look("other classes", "#a8a8a8", "-", ".")
BARS = {"direct": "features themselves", "autoencoder": "through the autoencoder", "pca": "through PCA of that size"}
STILL = {"direct", "pca"}
"""Bars that stand still while an autoencoder is fitted."""
_COLORS = {"direct": "#332288", "autoencoder": "#c2571a", "pca": "#14866d"}
_HATCH = {"direct": "", "autoencoder": "//", "pca": ".."}


class ExplorerPlot:
    """Plane on the left; hold along the directions, accuracy and missed share on the right."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._last: dict[str, Any] = {}
        with drawing():
            self._canvas = Canvas(WIDTH, HEIGHT, head=0.62, foot=0.56)
            self._plane = self._canvas.add("plane", (0.7, 1.1, 3.2, 3.4), (0.7, 0.28, 0.13, 0.5))
            self._holds = self._canvas.add("holds", (4.85, 3.3, 2.62, 1.2), (0.68, 0.28, 0.13, 0.42))
            self._bars = self._canvas.add("accuracy", (5.75, 2.02, 1.7, 0.6), (1.7, 0.26, 0.15, 0.08))
            self._miss = self._canvas.add("missed", (5.75, 1.1, 1.7, 0.42), (1.7, 0.26, 0.15, 0.42))
            self._furnish()

    def frame(
        self, *, points: pd.DataFrame, others: np.ndarray, accuracy: Mapping[str, float], missed: Mapping[str, float],
        holds: Sequence[float], field: np.ndarray, extent: tuple[float, float, float, float], code_size: int,
        title: str, caption: str, quick: bool = False,
    ) -> bytes:  # fmt: skip
        """Draw what was found (see `ebll.live.Explored`) and return the picture's bytes."""
        with self._lock:
            self._last = {name: value for name, value in locals().items() if name not in ("self", "quick")}
            self._field.set_data(field)
            self._field.set_extent(extent)
            self._field.set_interpolation("nearest" if quick else "bilinear")
            finite = field[np.isfinite(field)]
            self._field.set_clim(0, (float(np.quantile(finite, 0.98)) if finite.size else 0.0) or 1e-9)
            self._others.set_data(*others.T)
            self._here.set_data(points["x"], points["y"])
            self._back.set_data(points["x_back"], points["y_back"])
            self._ways.set_segments(points[["x", "y", "x_back", "y_back"]].to_numpy().reshape(-1, 2, 2))
            self._hold.set_data(np.arange(1, len(holds) + 1), np.maximum(holds, 1e-7))
            inside = code_size <= len(holds)  # of a code with more numbers, the axis does not show the end
            self._size.set_xdata([code_size if inside else np.nan] * 2)
            self._word.set_text("dotted: code size" if inside else "")
            for bars, values in ((self._rows, accuracy), (self._shares, missed)):
                for name, (bar, text) in bars.items():
                    bar.set_width(100 * min(values[name], 1.05))
                    text.set_text(f" {100 * values[name]:.1f}")
                    text.set_x(100 * min(values[name], 1.05))
            parts = {"title": title, "legend": (), "caption": caption, "plane": extent, "holds": len(holds)}
            parts |= {"accuracy": (), "missed": ()}
            same = {self._others: others.tobytes(), self._word: inside}
            for bars, values in ((self._rows, accuracy), (self._shares, missed)):
                same |= {artist: (name, values[name]) for name in STILL & bars.keys() for artist in bars[name]}
            moving = [(artist, same.get(artist, object())) for artist in self._moving]
            return self._canvas.frame(parts, self._dress, moving, quick)

    def picture(self, text: str, table: pd.DataFrame) -> Picture:
        """The last frame as a picture of its own."""
        with self._lock:
            own = ExplorerPlot()
            own.frame(**self._last)
        return own._canvas.picture(text, table)

    def _dress(self, part: str, what: Any) -> None:
        if part == "legend":
            self._canvas.legend((FEATURES, BACK, OTHERS), line=False)
        elif part in ("title", "caption"):
            getattr(self._canvas, part)(what)
        elif part == "plane":
            self._plane.set_xlim(*what[:2])
            self._plane.set_ylim(*what[2:])
        elif part == "holds":
            self._holds.set_xlim(0, what + 1)

    def _furnish(self) -> None:
        """Axes, their titles, and the artists that move."""
        plane, holds = self._plane, self._holds
        small = {"loc": "left", "size": SMALL, "color": INK, "pad": 4}
        plane.set_title("plane of two principal components", **small)
        plane.set_xlabel("first component, feature units", labelpad=2)
        plane.set_ylabel("second component, feature units", labelpad=2)
        plane.grid(False)
        for axis in (plane.xaxis, plane.yaxis):
            axis.set_major_locator(MaxNLocator(5))
            axis.set_major_formatter(FuncFormatter(plain))
        still = {"animated": True}
        self._field = plane.imshow(np.zeros((2, 2)), origin="lower", aspect="auto", cmap="Purples", alpha=0.45,
                                   interpolation="bilinear", zorder=1, **still)  # fmt: skip
        mark = {"linestyle": "", **still}
        (self._others,) = plane.plot(
            [], [], marker=".", color=OTHERS.color, markersize=2.5, alpha=0.6, zorder=1, **mark
        )
        self._ways = LineCollection([], colors=SOFT, linewidths=0.7, alpha=0.6, zorder=2, **still)
        plane.add_collection(self._ways)
        (self._back,) = plane.plot([], [], marker="s", color=BACK.color, markersize=3.5, zorder=3, **mark)
        (self._here,) = plane.plot([], [], marker="o", color=FEATURES.color, markersize=4.5, zorder=4, **mark)
        holds.set_title("E4 for a move by one standard deviation", **small)
        holds.set_yscale("log")
        holds.set_ylim(1e-7, 1)
        holds.yaxis.set_major_locator(LogLocator(numticks=5))
        holds.yaxis.set_major_formatter(FuncFormatter(plain))
        holds.yaxis.set_minor_formatter(NullFormatter())
        holds.set_xlabel("principal direction, by falling spread", labelpad=2)
        (self._hold,) = holds.plot([], [], color=BACK.color, linewidth=1.6, **still)
        self._size = holds.axvline(0, color=SOFT, linewidth=1.2, linestyle=(0, (1, 1.5)), **still)
        self._word = holds.text(
            0.98, 0.9, "dotted: code size", transform=holds.transAxes, ha="right", size=SMALL, color=SOFT
        )
        self._word.set_animated(True)
        self._word.set_zorder(0.1)
        self._bars.set_title("images read right, %", **small)
        self._miss.set_title("spread missed, %", **small)
        self._rows = self._barred(self._bars, BARS)
        self._shares = self._barred(self._miss, {name: BARS[name] for name in ("autoencoder", "pca")})
        ended = [artist for bars in (self._rows, self._shares) for pair in bars.values() for artist in pair]
        self._moving = [
            self._field,
            self._others,
            self._ways,
            self._back,
            self._here,
            self._hold,
            self._size,
            self._word,
        ]
        self._moving += ended

    @staticmethod
    def _barred(axes: Any, names: Mapping[str, str]) -> dict[str, tuple[Any, Any]]:
        axes.set_xlim(0, 142)  # with room for the numbers beyond the bars; a bar that ends past 100 is cut
        axes.set_xticks([0, 25, 50, 75, 100])
        axes.set_ylim(len(names) - 0.5, -0.5)
        axes.set_yticks(range(len(names)), list(names.values()))
        axes.tick_params(length=0, labelbottom=axes.get_position().y0 < 0.25)
        axes.grid(False, axis="y")
        made = {}
        for i, name in enumerate(names):
            (bar,) = axes.barh([i], [0], height=0.7, color=_COLORS[name], hatch=_HATCH[name], edgecolor="white")
            text = axes.text(0, i, "", va="center", size=SMALL, color=INK)
            for artist in (bar, text):
                artist.set_animated(True)
                artist.set_zorder(0.1 if name in STILL else 3)  # what stands still is drawn first, and kept
            made[name] = (bar, text)
        return made


def explorer_alt(
    title: str, accuracy: Mapping[str, float], missed: Mapping[str, float], holds: Sequence[float], code_size: int
) -> str:
    """What is seen, in words."""
    read = alt.listed(f"{BARS[name]} {alt.points(100 * value)} %" for name, value in accuracy.items())
    share = alt.listed(f"{BARS[name]} {alt.points(100 * value)} %" for name, value in missed.items())
    count = min(code_size, len(holds))
    within, beyond = np.mean(holds[:count]), np.mean(holds[count:]) if len(holds) > count else np.nan
    free = f", and {beyond:.2g} along those beyond" if np.isfinite(beyond) else ""
    held = (
        f"Code term for a move by one standard deviation: {within:.2g} on average along the first {count} principal "
        f"directions{free}"
    )
    return alt.sentences(title, f"Held-out images read right: {read}", f"Share of the spread missed: {share}", held)
