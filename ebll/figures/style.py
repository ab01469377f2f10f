"""The one style of all pictures: a colour, a line style and a marker for each method and each loss term.

This room knows looks, not data. It changes nothing at import: `drawing()` lends matplotlib our settings for as long as
a picture is being made or rendered, whatever theme the notebook has set, and gives the old ones back.

The colours start from seaborn's "colorblind" palette, written out here because importing seaborn imports pyplot.
Where that palette is too pale for a projector it is darkened: every line has a contrast of at least 3 : 1 to white.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import matplotlib.style

from ebll.errors import InputError

__all__ = [
    "METHODS",
    "TERMS",
    "Look",
    "class_looks",
    "contrast_to_white",
    "drawing",
    "ink_on",
    "looks",
    "ordered",
    "styled",
    "text_color",
]

SMALL, NORMAL, TITLE = 9.0, 10.0, 11.5  # points, when the picture is printed WIDTH inches wide
WIDTH = 7.0
SCREEN_DPI, PRINT_DPI = 144, 200
INK, SOFT, FAINT = "#222222", "#5a5a5a", "#c8c8c8"
BAND = 0.16  # opacity of an interval's band
HEAT = "cividis"
FONT = "DejaVu Sans"  # ships with matplotlib: the same picture on every machine


@dataclass(frozen=True)
class Look:
    """How one method or one loss term is drawn, in every picture."""

    label: str
    color: str
    line: str | tuple
    marker: str = ""


METHODS = {
    "alone": Look("One network per task", "#767676", (0, (1, 2.2)), "D"),
    "joint": Look("Joint training", "#222222", (0, (1, 1)), "s"),
    "finetune": Look("Fine-tuning", "#d55e00", (0, (5, 1.5)), "v"),
    "feature-extraction": Look("Feature extraction", "#7a4a1e", (0, (3, 1, 1, 1)), "P"),
    "lwf": Look("LwF", "#029e73", (0, (6, 1.5, 1, 1.5)), "^"),
    "ewc": Look("EWC", "#cc78bc", (0, (3, 1, 1, 1, 1, 1)), "X"),
    "code-only": Look("Code term alone", "#1f3d73", (0, (2, 1)), "<"),
    "ebll": Look("EBLL", "#0173b2", "-", "o"),
    "ebll-separate": Look("EBLL, separate operators", "#2f94d1", (0, (9, 2)), "*"),
}

TERMS = {
    "task": Look("task", "#3b3b3b", "-"),
    "distill": Look("distillation", "#7b52a1", (0, (5, 1.5))),
    "code": Look("code", "#a87800", (0, (6, 1.5, 1, 1.5))),
    "penalty": Look("penalty", "#b23a55", (0, (2, 1))),
}

# For methods that a reader adds: they are drawn without anyone having to edit this file.
_SPARE = (
    Look("", "#7f6a00", (0, (4, 1, 2, 1)), "p"),
    Look("", "#5b3f8c", (0, (7, 1, 1, 1, 1, 1)), "h"),
    Look("", "#00757a", (0, (1, 1, 4, 1)), ">"),
    Look("", "#a3123f", (0, (2, 2)), "d"),
    Look("", "#3d6b1f", (0, (8, 1.5, 2, 1.5)), "H"),
    Look("", "#9a4fb0", (0, (1, 1, 1, 1, 5, 1)), "8"),
    Look("", "#a35c00", (0, (5, 1, 1, 1, 1, 1, 1, 1)), "s"),
    Look("", "#4a5a78", (0, (3, 3)), "^"),
)

# For classes of images, where no method is drawn.
_CLASSES = (
    Look("", "#332288", "-", "o"),
    Look("", "#c2571a", "-", "s"),
    Look("", "#14866d", "-", "^"),
    Look("", "#b0528f", "-", "D"),
    Look("", "#3a8fc4", "-", "v"),
    Look("", "#5c4a00", "-", "P"),
)

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
_LOCK = threading.RLock()


@contextmanager
def drawing() -> Iterator[None]:
    """Lend matplotlib our settings; one thread at a time, because those settings belong to the whole process."""
    with _LOCK, matplotlib.style.context(_SETTINGS, after_reset=True):
        yield


def styled(function: Callable) -> Callable:
    """Run a drawing function under our settings."""

    @functools.wraps(function)
    def wrapped(*args, **kwargs):
        with drawing():
            return function(*args, **kwargs)

    return wrapped


def ordered(methods: Iterable[str]) -> list[str]:
    """Return each method once, in the fixed order of `METHODS`; methods unknown to it follow, by name."""
    present = set(methods)
    return [m for m in METHODS if m in present] + sorted(present - set(METHODS))


def looks(methods: Iterable[str]) -> dict[str, Look]:
    """Return the look of each method, in the fixed order; a method of the reader's own gets a spare look."""
    names = ordered(methods)
    unknown = [name for name in names if name not in METHODS]
    spare = {name: _SPARE[i % len(_SPARE)] for i, name in enumerate(unknown)}
    own = {name: Look(name, s.color, s.line, s.marker) for name, s in spare.items()}
    return {name: METHODS.get(name) or own[name] for name in names}


def class_looks(labels: Iterable[str]) -> dict[str, Look]:
    """Return a colour and a marker for each class, by name; six can be told apart."""
    names = sorted(set(labels))
    if len(names) > len(_CLASSES):
        raise InputError(
            f"At most {len(_CLASSES)} classes can be told apart in one picture; got {len(names)}: {', '.join(names)}. "
            "Keep the rows of a few."
        )
    return {name: Look(name, k.color, k.line, k.marker) for name, k in zip(names, _CLASSES, strict=False)}


def text_color(color: str) -> str:
    """Return `color`, darkened until small text in it reads well on white (a contrast of 4.5)."""
    while contrast_to_white(color) < 4.5:
        color = "#" + "".join(f"{int(int(color[i : i + 2], 16) * 0.95):02x}" for i in (1, 3, 5))
    return color


def contrast_to_white(color: str) -> float:
    """Return the WCAG contrast ratio of a colour to white: 1 (none) to 21 (black); 3 is asked of lines, 4.5 of text."""
    channels = (int(color[i : i + 2], 16) / 255 for i in (1, 3, 5))
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 1.05 / (0.2126 * red + 0.7152 * green + 0.0722 * blue + 0.05)


def ink_on(color: str) -> str:
    """Return black or white, whichever reads better on `color` (a contrast of 4.5 or more, always)."""
    return "#ffffff" if contrast_to_white(color) > 21 / contrast_to_white(color) else "#000000"
