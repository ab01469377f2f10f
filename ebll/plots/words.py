"""Words for numbers: caption and alt text of a plot are made from its table."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import pandas as pd

__all__ = ["between", "course", "listed", "number", "percent", "seeds_words", "sentences", "shortened", "spread"]


def number(value: float) -> str:
    """Return a number with three significant digits, without an exponent where it can be read without one."""
    if not math.isfinite(value):
        return "not measured"
    if value == 0:
        return "0"
    decimals = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:.2e}" if decimals > 5 else f"{value:.{decimals}f}".replace("-", "−")


def percent(value: float) -> str:
    """Return percent or percentage points with one decimal."""
    return "not measured" if math.isnan(value) else f"{round(value, 1) + 0.0:.1f}".replace("-", "−")


def between(mean: float, low: float, high: float, show: Callable = percent) -> str:
    """Return a mean with what it lies between, where that is not the mean itself: '2.0 (1.5 to 2.5)'."""
    return show(mean) + ("" if math.isnan(low) or low == high else f" ({show(low)} to {show(high)})")


def spread(values: pd.Series) -> str:
    """Return the mean of the seeds in percent or points, with the lowest and the highest of them."""
    return between(*values.agg(["mean", "min", "max"]))


def course(line: pd.Series) -> str:
    """Return the first and last value of a line, and its lowest and highest where they lie between: '0 at 0, 4 at 2'.

    line   means, with the places of the horizontal axis as index, each of them once
    """
    first, last = line.index[0], line.index[-1]
    names = {line.idxmin(): "lowest ", line.idxmax(): "highest ", first: "", last: ""}
    return ", ".join(f"{names[x]}{number(line[x])} at {x:g}" for x in sorted(names))


def listed(items: Iterable[str]) -> str:
    """Return 'a', 'a and b' or 'a, b and c'."""
    *rest, last = list(items)
    return f"{', '.join(rest)} and {last}" if rest else last


def sentences(*parts: str) -> str:
    """Join parts into sentences: each ends in a full stop, empty ones are left out."""
    return " ".join(part if part.endswith(".") else f"{part}." for part in parts if part)


def seeds_words(counts: Iterable[int]) -> str:
    """Return of how many seeds a mean is: '5 seeds', '1 to 5 seeds' where some have none there, or 'one seed'."""
    found = sorted({int(n) for n in counts if n > 0})
    if not found:  # means over seeds, or computed
        return ""
    if found[-1] == 1:
        return "one seed"
    return f"{found[0]} seeds" if len(found) == 1 else f"{found[0]} to {found[-1]} seeds"


def shortened(name: object, width: int) -> str:
    """Return a name of at most `width` letters: the end of a longer one becomes an ellipsis."""
    return str(name) if len(str(name)) <= width else f"{str(name)[: width - 1]}…"
