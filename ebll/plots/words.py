"""Words for numbers: caption and alt text of a plot are made from its table."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping

import pandas as pd

__all__ = ["course", "listed", "means", "number", "percent", "seeds_words", "sentences", "shortened"]


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


def means(
    rows: pd.DataFrame, labels: Iterable[str], units: Mapping[str, str] | None = None, show: Callable = percent
) -> list[str]:
    """Return each row's mean with its interval, where there is one: ['LwF 2.0 (1.5 to 2.5)', 'EBLL 1.0'].

    labels   of the rows
    units    for several means in a row, the beginnings of their columns and what to say after each: {"old_": " % old"}
    """
    told = []
    for label, row in zip(labels, rows.to_dict("records"), strict=True):
        parts = []
        for prefix, unit in (units or {"": ""}).items():
            mean, low, high = (row[f"{prefix}{what}"] for what in ("mean", "low", "high"))
            interval = "" if math.isnan(low) else f" ({show(low)} to {show(high)})"
            parts.append(f"{show(mean)}{interval}{unit}")
        told.append(f"{label} {', '.join(parts)}")
    return told


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


def seeds_words(seeds: Iterable[int]) -> str:
    """Return what mean and interval are of: 'mean and 95 % interval of 5 seeds'."""
    counts = sorted({int(n) for n in seeds if n > 0})
    if not counts or counts[-1] == 1:
        return "one seed, no interval"
    if len(counts) == 1:
        return f"mean and 95 % interval of {counts[0]} seeds"
    single = " (no interval for one seed)" if counts[0] == 1 else ""
    return f"mean and 95 % interval of {counts[0]} to {counts[-1]} seeds{single}"


def shortened(name: object, width: int) -> str:
    """Return a name of at most `width` letters: the end of a longer one becomes an ellipsis."""
    return str(name) if len(str(name)) <= width else f"{str(name)[: width - 1]}…"
