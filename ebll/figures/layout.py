"""Where things go: a heading and a legend above the panels, a caption below them, labels at the ends of lines.

This room knows inches and text, not methods. Legend and labels get space of their own and so never cover data.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.font_manager import FontProperties
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.textpath import text_to_path
from matplotlib.transforms import blended_transform_factory

from .picture import Picture
from .style import FONT, INK, SCREEN_DPI, SMALL, SOFT, TITLE, WIDTH, Look

__all__ = ["compose", "draw_mark", "end_labels", "finish", "handles", "label_below", "shorten", "text_width", "wrap"]

LINE = 1.25 / 72  # height of a line of text in inches, for each point of its size
EDGE = 0.08  # inches of white around everything


@functools.lru_cache(maxsize=4096)
def text_width(text: str, size: float = SMALL, weight: str = "normal") -> float:
    """Return the width of one line of text in inches."""
    font = FontProperties(family=FONT, size=size, weight=weight)
    return text_to_path.get_text_width_height_descent(text, font, ismath=False)[0] / 72


def wrap(text: str, width: float, size: float = SMALL, weight: str = "normal") -> str:
    """Break text between words into lines of at most `width` inches; a longer word keeps a line of its own."""
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and text_width(longer, size, weight) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return "\n".join(lines)


def shorten(text: str, width: float, size: float = SMALL) -> str:
    """Return text of at most `width` inches: the end of a longer one becomes an ellipsis."""
    if text_width(text, size) <= width:
        return text
    fits = [cut for cut in range(1, len(text)) if text_width(f"{text[:cut]}…", size) <= width]
    return f"{text[: max(fits, default=1)]}…"


def handles(looks: Iterable[Look], *, line: bool = True) -> list[Line2D]:
    """Return legend entries: marker, with its line where the picture draws lines."""
    return [
        Line2D([], [], color=k.color, linestyle=k.line if line else "", marker=k.marker, label=k.label) for k in looks
    ]


def compose(title: str, caption: str, *, height: float, legend: Sequence[Line2D] = (), width: float = WIDTH) -> Picture:
    """Return an empty picture with heading, legend and caption in place; `height` inches are left for the panels."""
    inner = width - 2 * EDGE
    title, caption = wrap(title, inner, TITLE, "bold"), wrap(caption, inner)
    columns = _columns(legend, inner)
    rows = -(-len(legend) // columns) if legend else 0
    head = EDGE + _height(title, TITLE) + rows * (SMALL * LINE + 0.05) + 0.05
    foot = EDGE + _height(caption, SMALL) + 0.03
    total = head + height + foot
    picture = Picture(figsize=(width, total), dpi=SCREEN_DPI)
    picture.text(EDGE / width, 1 - EDGE / total, title, size=TITLE, weight="bold", va="top")
    picture.text(EDGE / width, EDGE / total, caption, size=SMALL, color=SOFT, va="bottom")
    if legend:
        top = 1 - (EDGE + _height(title, TITLE)) / total
        place = {"loc": "upper left", "bbox_to_anchor": (0, top), "borderaxespad": 0.2, "borderpad": 0.2}
        box = picture.legend(handles=list(legend), ncols=columns, **place, columnspacing=1.6, handlelength=3)
        box.set_in_layout(False)
    area = (EDGE / width, foot / total, inner / width, height / total)
    picture.set_layout_engine(ConstrainedLayoutEngine(rect=area, w_pad=0.03, h_pad=0.03, hspace=0.02, wspace=0.02))
    return picture


def finish(picture: Picture, table: pd.DataFrame, alt: str) -> Picture:
    """Settle the layout, once for all sizes and formats, set labels apart, and attach table and alt text."""
    picture.draw_without_rendering()
    picture.set_layout_engine("none")
    for axes in picture.axes:
        # The solver's last bits differ from run to run and would show in the SVG's ids.
        axes.set_position([round(edge, 5) for edge in axes.get_position().bounds])
        _spread(axes)
    picture.table, picture.alt = table.reset_index(drop=True), alt
    return picture


def label_below(grid: np.ndarray, used: int, label: str) -> None:
    """Name the horizontal axis under the lowest panel of each column, and hide the panels past the `used` ones."""
    columns = grid.shape[1]
    for place, axes in enumerate(grid.flat):
        axes.set_visible(place < used)
        if place < used <= place + columns:
            axes.set_xlabel(label)
            axes.tick_params(labelbottom=True)


def draw_mark(axes: Axes, x: float, y: float, look: Look, zorder: float, *, hollow: bool = False) -> None:
    """Draw the marker of one method at a mean, with a thin white rim that keeps it apart from lines."""
    size = 9.5 if look.marker == "*" else 7.5 if look.marker in "PX" else 6.5
    rim = {"markeredgecolor": "white", "markeredgewidth": 0.6}
    if hollow:
        size, rim = size - 0.6, {"markeredgecolor": look.color, "markeredgewidth": 1.2, "markerfacecolor": "white"}
    axes.plot([x], [y], color=look.color, linestyle="", marker=look.marker, markersize=size, **rim, zorder=zorder)


def end_labels(axes: Axes, ends: Iterable[tuple[float, Look]], width: float = 1.15) -> None:
    """Name lines beside their right ends; call after the limits are set. `finish` sets crowded labels apart.

    ends   for each line the value where it ends, and its look
    width  inches for the text; longer names are broken
    """
    place = blended_transform_factory(axes.transAxes, axes.transData)
    for value, look in ends:
        label = axes.annotate(
            wrap(look.label, width), (1, value), xycoords=place, textcoords="offset points", xytext=(14, 0),
            va="center", size=SMALL, color=INK, linespacing=1.0, annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": look.color, "lw": 1.4, "shrinkA": 1, "shrinkB": 0,
                        "relpos": (0, 0.5)},
        )  # fmt: skip
        label.set_gid("end-label")


def _spread(axes: Axes) -> None:
    """Move end labels up and down, in their order, until none touches another and all stay beside the axes."""
    labels = [text for text in axes.texts if text.get_gid() == "end-label"]
    if not labels:
        return
    points = axes.get_window_extent().height / axes.figure.dpi * 72
    anchors = [axes.transAxes.inverted().transform(axes.transData.transform((0, t.xy[1])))[1] * points for t in labels]
    order = np.argsort(anchors, kind="stable")
    sizes = np.array([1.15 * SMALL * (1 + labels[i].get_text().count("\n")) for i in order])
    offsets = np.concatenate([[0], np.cumsum((sizes[1:] + sizes[:-1]) / 2)])
    lowest, highest = 0, points - sizes[-1] / 2 - offsets[-1]
    centres = np.clip(_monotone(np.array(anchors)[order] - offsets), lowest, max(lowest, highest)) + offsets
    for place, i in enumerate(order):
        labels[i].set_position((14, centres[place] - anchors[i]))


def _monotone(values: np.ndarray) -> np.ndarray:
    """Return the nearest sequence that never falls (least squares, by pooling neighbours)."""
    blocks: list[list[float]] = []  # [mean, count]
    for value in values:
        blocks.append([float(value), 1])
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            mean, count = blocks.pop()
            before, n = blocks.pop()
            blocks.append([(before * n + mean * count) / (n + count), n + count])
    return np.concatenate([np.full(count, mean) for mean, count in blocks])


def _columns(legend: Sequence[Line2D], inner: float) -> int:
    if not legend:
        return 1
    # Handle of three font sizes, its gap, and the space between columns.
    widths = np.array([text_width(h.get_label()) + (3 + 0.8 + 1.6) * SMALL / 72 for h in legend])
    for count in range(len(widths), 1, -1):
        if sum(column.max() for column in np.array_split(widths, count)) <= inner:  # matplotlib splits like numpy
            return count
    return 1


def _height(text: str, size: float) -> float:
    return (1 + text.count("\n")) * size * LINE if text else 0.0
