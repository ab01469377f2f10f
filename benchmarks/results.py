"""`benchmarks/RESULTS.md` and `benchmarks/results.csv`: every figure of every part, and all bars in one table.

A part writes its own section and its own rows, and leaves the others as they are. Whether a bar is met, and by how much
it is missed, is worked out here from the figures; no verdict is typed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from benchmarks.rounds import Figure
from benchmarks.section import write_section
from ebll.experiments.report import markdown

__all__ = ["PAGE", "TABLE", "number", "read", "spread", "table_of", "write_part"]

PAGE, TABLE = (Path(__file__).with_name(name) for name in ("RESULTS.md", "results.csv"))
COLUMNS = ["part", *(field.name for field in dataclasses.fields(Figure)), "met"]
FACTS = ["machine", "torch", "python", "threads", "load"]
HEAD = """# How fast it is

Every figure is a ratio, a share or a time measured in one run, in rounds that take turns: the median, and in brackets
the lowest and the highest round. Written by `make bench`, `make bench-peers`, `make bench-sweeps` and
`make bench-panels`, each its own sections; the numbers are in `results.csv`. A bar is what the project aims for.
"""


def number(value: float, unit: str) -> str:
    """A value as the page writes it."""
    if unit == "bytes":
        return f"{value:,.0f}"
    if unit == "%":
        return f"{value:.1f}"
    return f"{value:.2f}" if abs(value) < 100 else f"{value:,.0f}"


def spread(one: Figure) -> str:
    """Median (lowest to highest) unit."""
    middle = number(one.value, one.unit)
    return middle if one.rounds < 2 else f"{middle} ({number(one.low, one.unit)} to {number(one.high, one.unit)})"


def verdict(one: Figure) -> str:
    """Whether the bar is met, and else by how much it is missed; empty without a bar."""
    if one.bar is None:
        return ""
    bar = f"at {'most' if one.most else 'least'} {one.bar:g} {one.unit}"
    by = number(abs(one.value - one.bar), one.unit)
    missed = "missed by " + (by if by.strip("0.,") else "less than its last digit")
    return f"{bar}: {'met' if one.met else missed}"


def table_of(figures: Sequence[Figure]) -> str:
    """A Markdown table, one row a figure."""
    rows = pd.DataFrame(
        [(one.what, f"{spread(one)} {one.unit}", verdict(one)) for one in figures],
        columns=["what", "median (lowest to highest)", "bar"],
        index=[one.case for one in figures],
    )
    return markdown(rows, "case")


def read(table: Path = TABLE) -> list[tuple[str, Figure]]:
    """(part, figure) of every row written so far."""
    if not table.is_file():
        return []
    rows = pd.read_csv(table)
    names = [field.name for field in dataclasses.fields(Figure)]
    found = []
    for row in rows[["part", *names]].to_dict("records"):
        part = row.pop("part")
        row["bar"] = None if pd.isna(row["bar"]) else row["bar"]
        found.append((part, Figure(**row)))
    return found


def write_part(
    part: str,
    title: str,
    text: str,
    figures: Sequence[Figure],
    facts: Mapping[str, str],
    page: Path = PAGE,
    table: Path = TABLE,
) -> None:
    """Replace a part's rows in the table and its section on the page, and the table of all bars at the top.

    text    Markdown above the part's own table; None of its numbers is typed by hand
    facts   of `benchmarks.rounds.machine`; empty where the text says what was measured on
    """
    rows = pd.DataFrame([{"part": part, **dataclasses.asdict(one), "met": one.met, **facts} for one in figures])
    before = pd.read_csv(table) if table.is_file() else pd.DataFrame(columns=[*COLUMNS, *FACTS])
    kept = before[before["part"] != part]
    rows = pd.concat([kept, rows], ignore_index=True) if len(kept) else rows
    rows.to_csv(table, index=False, float_format="%.6g", lineterminator="\n")
    if not page.is_file():
        page.write_text(HEAD, encoding="utf-8")
        write_section(page, "bars", bars(table))
    told = ", ".join(f"{name} {value}" if name != "machine" else value for name, value in facts.items())
    last = f"\n\nMeasured on {told}." if told else ""
    write_section(page, part, f"## {title}\n\n{text.strip()}\n\n{table_of(figures)}{last}")
    write_section(page, "bars", bars(table))


def bars(table: Path = TABLE) -> str:
    """All figures that have a bar."""
    held = [(part, one) for part, one in read(table) if one.bar is not None]
    missed = sum(not one.met for _, one in held)
    rows = pd.DataFrame(
        [(one.what, f"{spread(one)} {one.unit}", verdict(one)) for _, one in held],
        columns=["what", "measured", "bar"],
        index=[f"{part}: {one.case}" for part, one in held],
    )
    return f"## The bars\n\n{len(held) - missed} met, {missed} missed.\n\n{markdown(rows, 'figure')}"
