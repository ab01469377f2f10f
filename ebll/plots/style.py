"""One colour, line style and marker for each method and each loss term, in every plot.

Fine-tuning, LwF and EBLL have colours of seaborn's palette "colorblind"; every line has a contrast of at least 3 : 1 to
white. Purple is distillation and nothing else.
"""

from __future__ import annotations

import dataclasses
import re
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import matplotlib.style
import numpy as np
from matplotlib.colors import LinearSegmentedColormap, to_hex

__all__ = ["METHODS", "TERMS", "Style", "drawing", "ordered", "styles"]

INK, SOFT = "#222222", "#5a5a5a"
BAND = 0.16  # opacity of an interval's band
PALE = {"alpha": 0.35, "linewidth": 0.8, "zorder": 1.8}  # one seed, below the mean
HEAT = "cividis"


@dataclass(frozen=True)
class Style:
    """How one method or one loss term is drawn, in every plot; `line` is "-", matplotlib's (offset, dashes), or ""."""

    label: str
    color: str
    line: str | tuple
    marker: str = ""


METHODS = {
    "single-task": Style("One network per task", "#767676", (0, (1, 2.2)), "D"),
    "joint": Style("Joint training", "#222222", (0, (1, 1)), "s"),
    "finetune": Style("Fine-tuning", "#d55e00", (0, (5, 1.5)), "v"),
    "feature-extraction": Style("Feature extraction", "#7a4a1e", (0, (3, 1, 1, 1)), "P"),
    "lwf": Style("LwF", "#029e73", (0, (6, 1.5, 1, 1.5)), "^"),
    "l2": Style("L2", "#a3667c", (0, (1, 1.5, 1, 4)), "d"),
    "ewc": Style("EWC", "#df6a98", (0, (3, 1, 1, 1, 1, 1)), "X"),
    "input-moments": Style("Input moments", "#b3146a", (0, (4, 1, 1, 1)), "H"),
    "kfac": Style("K-FAC", "#7a0f4a", (0, (7, 1.2)), "p"),
    "replay": Style("Replay", "#006677", (0, (8, 1, 1, 1, 1, 1, 1, 1)), ">"),
    "code-only": Style("Code term alone", "#1f3d73", (0, (2, 1)), "<"),
    "ebll": Style("EBLL", "#0173b2", "-", "o"),
    "ebll-separate": Style("EBLL, separate operators", "#2f94d1", (0, (9, 2)), "*"),
}

TERMS = {
    "task": Style("task", "#3b3b3b", "-"),
    "distill": Style("distillation", "#7b52a1", (0, (5, 1.5))),
    "code": Style("code", "#a87800", (0, (6, 1.5, 1, 1.5))),
    "penalty": Style("penalty", "#b23a55", (0, (2, 1))),
    "replay": Style("replay", "#006677", (0, (1, 1))),
}

SPARE = (  # for methods that a reader adds, and other kinds of lines that have no order
    Style("", "#7f6a00", (0, (4, 1, 2, 1)), "p"),
    Style("", "#8a2f1b", (0, (7, 1, 1, 1, 1, 1)), "h"),
    Style("", "#5f7a00", (0, (1, 1, 4, 1)), "<"),
    Style("", "#a3123f", (0, (2, 2)), "d"),
    Style("", "#3d6b1f", (0, (8, 1.5, 2, 1.5)), "H"),
    Style("", "#1f4e5f", (0, (1, 1, 1, 1, 5, 1)), "8"),
    Style("", "#a35c00", (0, (5, 1, 1, 1, 1, 1, 1, 1)), "s"),
    Style("", "#4a5a78", (0, (3, 3)), "^"),
)

SIZES = LinearSegmentedColormap.from_list("sizes", ["#2b9c8c", "#14637f", "#0b1f3a"])  # small to large, bright to dark
NUMBER = re.compile(r"(?:(?<!\S)-)?\d+(?:\.\d+)?(?:e[+-]?\d+)?")

_SETTINGS = {
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same plot on every machine
    "font.size": 9.0,
    "text.color": INK,
    "text.parse_math": False,  # a task called "a$b$" stays one
    "figure.titlesize": 11.0,
    "figure.titleweight": "bold",
    "figure.labelsize": 9.0,
    "axes.titlesize": 9.0,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e4e4e4",
    "lines.linewidth": 1.8,
    "lines.markersize": 6.5,
    "lines.markeredgecolor": "white",
    "lines.markeredgewidth": 0.4,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "legend.frameon": False,
    "legend.handlelength": 2.8,
    "svg.fonttype": "none",  # text stays text: it can be searched and read aloud
    "svg.hashsalt": "ebll",
}
LOCK = threading.RLock()  # rc settings belong to the whole process


@contextmanager
def drawing() -> Iterator[None]:
    """Lend matplotlib our rc settings, for a block or as a decorator: one thread at a time, since they are global."""
    with LOCK, matplotlib.style.context(_SETTINGS, after_reset=True):
        yield


def ordered(methods: Iterable[str]) -> list[str]:
    """Return each method once, in the fixed order of `METHODS`; others follow, by name and by the numbers in it."""
    present = set(methods)
    return [m for m in METHODS if m in present] + sorted(present - set(METHODS), key=_without_numbers)


def _without_numbers(name: str) -> tuple[str, list[float]]:
    """Return what is left of a name without its numbers, and these: ("alpha , code ", [0.3, 64.0])."""
    return NUMBER.sub("", name), [float(number) for number in NUMBER.findall(name)]


def styles(methods: Iterable[str]) -> dict[str, Style]:
    """Return the style of each method or loss term, methods in the fixed order; others get spare styles.

    Names that differ in numbers alone, such as "alpha 1" and "alpha 3", are values of one setting: their colours go
    from bright to dark with it.
    """
    names = ordered(methods)
    known = METHODS | {name: style for name, style in TERMS.items() if name not in METHODS}
    own = [name for name in names if name not in known]
    settings = [_without_numbers(name)[0] for name in own]
    sizes = [name for name, setting in zip(own, settings, strict=True) if settings.count(setting) > 1]
    colors = dict(zip(sizes, map(to_hex, SIZES(np.linspace(0, 1, len(sizes)))), strict=True))
    spare = {name: dataclasses.replace(SPARE[i % len(SPARE)], label=name) for i, name in enumerate(own)}
    spare |= {name: dataclasses.replace(spare[name], color=color) for name, color in colors.items()}
    return {name: known.get(name) or spare[name] for name in names}
