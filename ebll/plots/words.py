"""Words for numbers: the alt text of a plot is made from its table."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import pandas as pd

__all__ = ["listed", "number", "percent", "seeds_words", "sentences", "series", "with_interval"]


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


def with_interval(mean: float, low: float, high: float, show=percent) -> str:
    """Return a mean with its interval, where there is one: '2.0 (1.5 to 2.5)'."""
    return show(mean) if math.isnan(low) else f"{show(mean)} ({show(low)} to {show(high)})"


def series(lead: str, lines: Mapping[str, pd.DataFrame], x: str) -> str:
    """Return each line's first and last mean, and its lowest and highest where they lie between: 'lead: LwF 0 at 0'."""
    return f"{lead}: {'; '.join(f'{label} {_course(rows, x)}' for label, rows in lines.items())}" if lines else ""


def _course(rows: pd.DataFrame, x: str) -> str:
    places = {rows.index[0]: "", rows["mean"].idxmin(): "lowest ", rows["mean"].idxmax(): "highest "}
    places |= {rows.index[0]: "", rows.index[-1]: ""}
    return ", ".join(f"{places[i]}{number(rows.at[i, 'mean'])} at {rows.at[i, x]:g}" for i in sorted(places))


def listed(items: Iterable[str]) -> str:
    """Return 'a', 'a and b' or 'a, b and c'."""
    *rest, last = list(items)
    return f"{', '.join(rest)} and {last}" if rest else last


def sentences(*parts: str) -> str:
    """Join parts into sentences: each ends in a full stop, empty ones are left out."""
    return " ".join(part if part.endswith(".") else f"{part}." for part in parts if part)


def seeds_words(seeds: Iterable[int]) -> str:
    """Return what mean and interval are of: 'Mean and 95 % interval of 5 seeds'."""
    counts = sorted({int(n) for n in seeds if n > 0})
    if not counts or counts[-1] == 1:
        return "One seed, no interval"
    if len(counts) == 1:
        return f"Mean and 95 % interval of {counts[0]} seeds"
    single = " (no interval for one seed)" if counts[0] == 1 else ""
    return f"Mean and 95 % interval of {counts[0]} to {counts[-1]} seeds{single}"


def shortened(name: object, width: int) -> str:
    """Return a name of at most `width` letters: the end of a longer one becomes an ellipsis."""
    return str(name) if len(str(name)) <= width else f"{str(name)[: width - 1]}…"
