"""Words for numbers: the alt text of a picture is made from the same table as the picture."""

from __future__ import annotations

import math
from collections.abc import Sequence

__all__ = ["counted", "course", "number", "sentences"]


def number(value: float, digits: int = 3) -> str:
    """Return a number with `digits` significant digits, without an exponent where it can be read without one."""
    if value is None or not math.isfinite(value):
        return "not measured"
    if value == 0:
        return "0"
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    return f"{value:.{digits - 1}e}" if decimals > 5 else f"{value:.{decimals}f}".replace("-", "−")


def course(steps: Sequence[float], values: Sequence[float]) -> str:
    """Return the course of a curve in words: where it peaks, where it ends, and how much of the peak is left."""
    finite = [(s, v) for s, v in zip(steps, values, strict=True) if not math.isnan(v)]
    if not finite:
        return "not measured"
    (start, first), (end, last) = finite[0], finite[-1]
    at, peak = max(finite, key=lambda pair: pair[1])
    if peak == min(v for _, v in finite):
        return f"stays at {number(peak)}"
    if at == end:
        return f"rises to {number(peak)} at the last step, {end:g}"
    rise = f"starts at its peak, {number(first)}," if at == start else f"rises to {number(peak)} at step {at:g},"
    left = f", {100 * last / peak:.0f} % of its peak" if peak > 0 else ""
    return f"{rise} then ends at {number(last)} at step {end:g}{left}"


def counted(count: int, noun: str) -> str:
    """Return '1 row' or '3 rows'."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def sentences(*parts: str) -> str:
    """Join parts into sentences: each ends in a full stop, empty ones are left out."""
    return " ".join(part if part.endswith(".") else f"{part}." for part in parts if part)
