"""Small words beside points, placed where they cover neither points nor each other.

This room knows places in a panel, not methods.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from matplotlib.axes import Axes

from .layout import text_width
from .style import SMALL, text_color

__all__ = ["Word", "label_points"]

_TALL = SMALL * 1.0  # points
_MARK = 4.5  # half the size of a marker, in points
_WAYS = [(1, 0), (0, 1), (-1, 0), (0, -1), (1, 1), (1, -1), (-1, 1), (-1, -1)]
_FAR = (3.0, 9.0, 17.0, 27.0)  # points between a marker and its word
_LED = 10.0  # from here on a thin line leads from the word to its marker

Word = tuple[float, float, str, str, bool]  # x, y, text, colour, whether it may not be left out


def label_points(axes: Axes, words: Sequence[Word], points: np.ndarray, lines: Sequence[np.ndarray] = ()) -> None:
    """Write each word beside its point; call when the layout is settled. What finds no place is left out, or crowds.

    words   the obligatory ones find a place first
    points  (n, 2), where markers are: words cover none of them
    lines   corners (n, 2) of what else is drawn: words keep off where they can
    """
    scale = 72 / axes.figure.dpi
    frame = axes.get_window_extent()
    edges = np.array([frame.x0, frame.y0, frame.x1, frame.y1]) * scale
    marks = axes.transData.transform(np.asarray(points, float)) * scale
    courses = [axes.transData.transform(np.asarray(line, float)) * scale for line in lines]
    dots = np.array([spot for course in courses for spot in _along(course)]).reshape(-1, 2)
    taken: list[np.ndarray] = []
    for x, y, text, color, needed in sorted(words, key=lambda word: not word[-1]):
        at = axes.transData.transform((x, y)) * scale
        size = np.array([72 * text_width(text), _TALL])
        others = marks[np.hypot(*(marks - at).T) > 0.5]
        costs = [
            (_cost(box, far, taken, marks, dots, edges) + 30 * (far < _LED and _misread(box, at, others)), far, box)
            for far, box in _boxes(at, size)
        ]
        cost, far, box = min(costs, key=lambda found: found[0])
        if cost >= 100 and not needed:
            continue
        taken.append(box)
        centre = (box[:2] + box[2:]) / 2
        line = {"arrowstyle": "-", "color": color, "lw": 0.6, "shrinkA": 0, "shrinkB": _MARK} if far > _LED else None
        label = axes.annotate(
            text, (x, y), xytext=tuple(centre - at), textcoords="offset points", ha="center", va="center",
            size=SMALL, color=text_color(color), zorder=20, arrowprops=line, annotation_clip=False,
        )  # fmt: skip
        label.set_gid("point-label")


def _boxes(at: np.ndarray, size: np.ndarray):
    for far in _FAR:
        for way in _WAYS:
            slant = math.sqrt(0.5) if all(way) else 1.0
            centre = at + np.array(way) * (size / 2 + (_MARK + far) * slant)
            yield far, np.concatenate([centre - size / 2, centre + size / 2])


def _cost(box, far, taken, marks, dots, edges) -> float:
    """Return how bad a place is: 100 or more for covering a word or a point, or for leaving the panel."""
    outside = (box[:2] < edges[:2]).any() or (box[2:] > edges[2:]).any()
    words = sum((box[:2] < other[2:] + 1).all() and (other[:2] < box[2:] + 1).all() for other in taken)
    return 400 * outside + 200 * words + 100 * _inside(box, marks, _MARK) + 1.5 * _inside(box, dots, 0.5) + far / 4


def _misread(box: np.ndarray, at: np.ndarray, others: np.ndarray) -> bool:
    """Whether a word without a line could as well belong to another marker: one is nearly as close to it."""
    centre = (box[:2] + box[2:]) / 2
    return bool((np.hypot(*(others - centre).T) < 1.6 * np.hypot(*(at - centre))).any())


def _inside(box: np.ndarray, spots: np.ndarray, room: float) -> int:
    """Count the places in a box that is larger by `room` on each side."""
    return int(((spots > box[:2] - room) & (spots < box[2:] + room)).all(axis=1).sum())


def _along(course: np.ndarray):
    """Yield places every few points along a line."""
    for start, end in pairwise(course):
        count = max(2, int(np.hypot(*(end - start)) // 4))
        yield from start + np.linspace(0, 1, count)[:, None] * (end - start)
