"""Timing in turns: the rounds that every benchmark takes, and the figures that come of them.

In each round every case runs once, in an order that turns from round to round, and a ratio is taken within a round, so
that a slow moment of the machine falls on both sides. A `Figure` is the median over the rounds with the lowest and the
highest; `benchmarks.results` writes figures down.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import version

import pandas as pd
import torch
from tqdm import tqdm

__all__ = ["Figure", "figure", "interleaved", "machine", "ratio_of"]


@dataclass(frozen=True)
class Figure:
    """One measured number.

    case    what was measured, such as "mlp 784-256-256, batch 128, ebll"
    what    which number of it, such as "to fine-tuning"
    unit    "x" for a ratio, "%" for a share, else "ms", "s", "bytes"
    value   median over the rounds; low and high are the extremes
    bar     what the project aims for, if it says so
    most    whether the bar is the most that is wanted, rather than the least
    """

    case: str
    what: str
    unit: str
    value: float
    low: float
    high: float
    rounds: int
    bar: float | None = None
    most: bool = True

    @property
    def met(self) -> bool | None:
        """Whether the median keeps to the bar; None without one."""
        if self.bar is None:
            return None
        return self.value <= self.bar if self.most else self.value >= self.bar


def interleaved(
    cases: Mapping[str, Callable[[], object]],
    rounds: int,
    *,
    warm_up: int = 1,
    per: float = 1.0,
    ready: Callable[[], None] | None = None,
) -> pd.DataFrame:
    """Seconds of each case (columns) in each round (rows), divided by `per`.

    warm_up   rounds whose times are dropped
    ready     called after each case before the clock stops, such as `torch.cuda.synchronize`
    """
    rows, names = [], list(cases)
    for number in tqdm(range(warm_up + rounds), desc=f"rounds of {len(names)} cases", leave=False):
        row = {}
        for name in names[number % len(names) :] + names[: number % len(names)]:
            begun = time.perf_counter()
            cases[name]()
            if ready:
                ready()
            row[name] = (time.perf_counter() - begun) / per
        rows.append(row)
    return pd.DataFrame(rows[warm_up:], columns=names)


def figure(case: str, what: str, unit: str, values: Iterable[float], bar: float | None = None, **options) -> Figure:
    """The median of a number's values, one a round."""
    column = pd.Series(list(values), dtype=float)
    return Figure(case, what, unit, column.median(), column.min(), column.max(), len(column), bar, **options)


def ratio_of(
    times: pd.DataFrame, of: str, to: str, case: str, what: str, bar: float | None = None, most: bool = True
) -> Figure:
    """How many times as long `of` took as `to`, round by round."""
    return figure(case, what, "x", times[of] / times[to], bar, most=most)


def machine(device: str = "cpu") -> dict[str, str]:
    """What the figures were measured on; the load is that of the minute before, in running processes."""
    gpu = f", {torch.cuda.get_device_name()}" if device == "cuda" else ""
    return {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores{gpu}",
        "torch": version("torch").partition("+")[0],
        "python": platform.python_version(),
        "threads": str(torch.get_num_threads()),
        "load": f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown",
    }
