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

__all__ = ["PAGE", "TABLE", "check_outputs", "number", "read", "spread", "table_of", "write_part"]

PAGE, TABLE = (Path(__file__).with_name(name) for name in ("RESULTS.md", "results.csv"))
COLUMNS = ["part", *(field.name for field in dataclasses.fields(Figure)), "met"]
FACTS = ["machine", "torch", "python", "threads", "load"]
HEAD = """# How fast it is

Each section is written by a command (`make bench`, `make bench-peers`; sweeps, panels and AlexNet are taken over from
pages that theirs write), which also keeps the numbers in `results.csv`. A figure is the median over the rounds of one
run, with the lowest and the highest round in brackets; without brackets it is one measurement. Cases take turns within
a round, and a ratio is taken there. "A to B" in x is how many times as long A takes as B; where only B is named, A is
the case. A bar is what the project aims for: where it says "at most", less is better, and where "at least", more. Where
the rounds lie on both sides of a bar, the verdict says so. Why one is missed stands in the text of its section, where
counted operations or a profile tell it.

`mlp` is 784-256-128 and `cnn` two convolutions and a layer ([ebll/nets.py](../ebll/nets.py)), each with a head a task;
[glossary](../docs/glossary.md) and [equations](../docs/equations.md) explain the methods' words.
"""


def number(value: float, unit: str) -> str:
    """A value as the page writes it."""
    if unit == "bytes":
        return f"{value:,.0f}"
    if unit == "%":
        return f"{value:.1f}"
    if abs(value) < 0.095:
        return f"{value:.3f}"
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
    digits = len(number(one.value, one.unit).partition(".")[2])
    by = f"{abs(one.value - one.bar):,.{digits}f}"
    missed = "missed by " + (by if by.strip("0.,") else "less than its last digit")
    close = one.low < one.bar < one.high
    return f"{bar}: {'met' if one.met else missed}{', rounds on both sides' if close else ''}"


def table_of(figures: Sequence[Figure]) -> str:
    """A Markdown table: a row a case and a column a number where most cases have them all, else a row a figure."""
    usual = usual_rounds(figures)
    told = {(one.case, one.what): _told(one, usual) for one in figures}
    cases, whats = ([*dict.fromkeys(names)] for names in zip(*told, strict=True))
    if len(whats) <= 4 and 2 * len(cases) * len(whats) < 3 * len(told) and len(told) > len(cases):
        columns = {what: [told.get((case, what), "") for case in cases] for what in whats}
        return markdown(pd.DataFrame(columns, index=cases), "case")
    rows = pd.DataFrame([(one.what, _told(one, usual)) for one in figures], columns=["what", "measured"])
    return markdown(rows.set_axis([one.case for one in figures]), "case")


def usual_rounds(figures: Sequence[Figure]) -> int:
    """The rounds of most figures that were measured more than once."""
    counts = [one.rounds for one in figures if one.rounds > 1]
    return int(pd.Series(counts or [1]).mode()[0])


def _told(one: Figure, usual: int) -> str:
    bar = verdict(one)
    rounds = f", {one.rounds} rounds" if one.rounds not in (1, usual) else ""
    return f"{spread(one)} {one.unit}{rounds}" + (f"; {bar}" if bar else "")


def check_outputs(page: Path, table: Path) -> None:
    """Refuse, before anything is measured, files that could not be read or written afterwards.

    raises   `SystemExit`, in words
    """
    if page.resolve() == table.resolve():
        raise SystemExit(f"--page and --table are both {page}: give each a file of its own.")
    try:
        for path in (page, table):
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("a", encoding="utf-8"):
                pass
            if not path.stat().st_size:
                path.unlink()
        if table.is_file() and list(pd.read_csv(table, nrows=1).columns) != [*COLUMNS, *FACTS]:
            raise ValueError("its columns are others")
        if page.is_file():
            page.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise SystemExit(f"{page} and {table} cannot be used: {error}. Name others with --page and --table.") from error


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
    part_file = table.with_name(f"{table.name}.part")  # so that a stop in between leaves the table as it was
    rows.to_csv(part_file, index=False, float_format="%.9g", lineterminator="\n")
    part_file.replace(table)
    figures = [one for name, one in read(table) if name == part]  # as the table of all bars reads them
    if not page.is_file():
        page.write_text(HEAD, encoding="utf-8")
    write_section(page, "bars", bars(table))
    told = ", ".join(f"{name} {value}" if name != "machine" else value for name, value in facts.items())
    rounds = f", in {usual_rounds(figures)} rounds where a row does not say otherwise"
    last = f"\n\nMeasured on {told}{rounds}." if told else ""
    write_section(page, part, f"## {title}\n\n{text.strip()}\n\n{table_of(figures)}{last}")


def bars(table: Path = TABLE) -> str:
    """All figures that have a bar."""
    held = [(part, one) for part, one in read(table) if one.bar is not None]
    missed = sum(not one.met for _, one in held)
    rows = pd.DataFrame(
        [(one.what, f"{spread(one)} {one.unit}", verdict(one)) for _, one in held],
        columns=["what", "measured", "bar"],
        index=[f"{part}: {one.case}" for part, one in held],
    )
    torn = sum("both sides" in verdict(one) for _, one in held)
    counted = f"{len(held) - missed} met, {missed} missed; {torn} of them with rounds on both sides."
    return f"## The bars\n\n{counted}\n\n{markdown(rows, 'figure')}"
