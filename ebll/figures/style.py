"""What live pictures add to the styles of `ebll.plots`: sizes of letters, their own rc settings, ink on a colour."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import matplotlib.style

from ebll.plots.style import BAND, HEAT, INK, LOCK, SOFT
from ebll.plots.style import Style as Look
from ebll.plots.style import styles as looks

__all__ = [
    "BAND",
    "HEAT",
    "INK",
    "SOFT",
    "Look",
    "contrast_to_white",
    "drawing",
    "ink_on",
    "looks",
]

SMALL, NORMAL, TITLE = 9.0, 10.0, 11.5  # points
FONT = "DejaVu Sans"  # ships with matplotlib: the same picture on every machine

_SETTINGS = {
    "font.family": FONT,
    "font.size": SMALL,
    "text.color": INK,
    "text.parse_math": False,  # a task called "a$b$" stays one; mathtext also is the part with the thread races
    "axes.titlesize": NORMAL,
    "axes.labelsize": SMALL,
    "axes.labelcolor": INK,
    "axes.edgecolor": SOFT,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.formatter.use_mathtext": False,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.7,
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "lines.linewidth": 1.8,
    "lines.markersize": 5.5,
    "lines.dash_capstyle": "butt",
    "legend.fontsize": SMALL,
    "legend.frameon": False,
    "figure.facecolor": "white",
    "svg.fonttype": "none",  # text stays text: searchable, readable aloud
    "svg.hashsalt": "ebll",  # the same picture has the same bytes
    "pdf.fonttype": 42,
}


@contextmanager
def drawing() -> Iterator[None]:
    """Lend matplotlib our settings; one thread at a time, because those settings belong to the whole process."""
    with LOCK, matplotlib.style.context(_SETTINGS, after_reset=True):
        yield


def contrast_to_white(color: str) -> float:
    """Return the WCAG contrast ratio of a colour to white: 1 (none) to 21 (black); 3 is asked of lines, 4.5 of text."""
    channels = (int(color[i : i + 2], 16) / 255 for i in (1, 3, 5))
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 1.05 / (0.2126 * red + 0.7152 * green + 0.0722 * blue + 0.05)


def ink_on(color: str) -> str:
    """Return black or white, whichever reads better on `color` (a contrast of 4.5 or more, always)."""
    return "#ffffff" if contrast_to_white(color) > 21 / contrast_to_white(color) else "#000000"
