"""`benchmarks/RESULTS.md`, a page to read, and `benchmarks/results.csv`, which has every figure.

A part writes its own rows and its own section, from its heading to the next, and leaves the others as they are; the
table at the top has the figures with a bar. Whether a bar is met, and by how much it is missed, is worked out here; no
verdict is typed.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import fill

import pandas as pd

from benchmarks.rounds import Figure
from ebll.reproduce.report import markdown

__all__ = ["PAGE", "TABLE", "check_outputs", "number", "read", "spread", "table_of", "write_part"]

PAGE, TABLE = (Path(__file__).with_name(name) for name in ("RESULTS.md", "results.csv"))
COLUMNS = ["part", *(field.name for field in dataclasses.fields(Figure)), "met"]
FACTS = ["machine", "torch", "python", "threads", "load"]
TOP = """# How fast it is

{table}

{met} of {all} bars are met. Measured is the median over the rounds of a run, with the lowest and the highest in
brackets; "A to B" is how many times as long A takes as B, within each round, in which the cases take turns. "On both
sides" says that single rounds lie on both sides of the bar. `make bench` and `make bench-peers` write this page; panels
and AlexNet are taken from the pages of `make bench-widgets` and `make bench-paper`. Every figure, also those that no
table here shows, is in [results.csv](results.csv). `mlp` is 784-256-128 and `cnn` two convolutions and a layer
([networks.py](../ebll/networks.py)), each with a head a task.
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
    whole = middle if one.rounds < 2 else f"{middle} ({number(one.low, one.unit)} to {number(one.high, one.unit)})"
    return f"{whole} {one.unit}"


def verdict(one: Figure) -> str:
    """Whether the bar is met, and else by how much it is missed."""
    digits = len(number(one.value, one.unit).partition(".")[2])
    by = f"{abs(one.value - one.bar):,.{digits}f}"
    missed = "missed by " + (by if by.strip("0.,") else "less than its last digit")
    return f"{'met' if one.met else missed}{', on both sides' if one.low < one.bar < one.high else ''}"


def table_of(figures: Sequence[Figure]) -> str:
    """A Markdown table, a row a case and a column a number."""
    told = {(one.case, one.what): spread(one) for one in figures}
    cases, whats = ([*dict.fromkeys(names)] for names in zip(*told, strict=True))
    columns = {what: [told.get((case, what), "") for case in cases] for what in whats}
    return markdown(pd.DataFrame(columns, index=cases), "case")


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
    """Replace a part's rows in the table and its section on the page, and the table of bars at the top.

    text    Markdown; none of its numbers is typed by hand
    facts   of `benchmarks.rounds.machine`; empty where the text says what was measured on
    """
    rows = pd.DataFrame([{"part": part, **dataclasses.asdict(one), "met": one.met, **facts} for one in figures])
    before = pd.read_csv(table) if table.is_file() else pd.DataFrame(columns=[*COLUMNS, *FACTS])
    order = [*dict.fromkeys([*before["part"], part])]  # a part stays where it was
    parts = dict(iter(before.groupby("part"))) | {part: rows}
    part_file = table.with_name(f"{table.name}.part")  # so that a stop in between leaves the table as it was
    rows = pd.concat([parts[name] for name in order if len(parts[name])], ignore_index=True)
    rows.reindex(columns=[*COLUMNS, *FACTS]).to_csv(part_file, index=False, float_format="%.6g", lineterminator="\n")
    part_file.replace(table)
    told = ", ".join(f"{name} {value}" if name != "machine" else value for name, value in facts.items())
    rounds = max(one.rounds for one in figures)
    last = f"\n\nMeasured on {told}, in {rounds} round{'s' * (rounds > 1)}." if told else ""
    sections = sections_of(page) | {title: f"## {title}\n\n{wrapped(text + last)}\n"}
    part_file = page.with_name(f"{page.name}.part")
    part_file.write_text("\n".join([top(table), *sections.values()]), encoding="utf-8")
    part_file.replace(page)


def wrapped(text: str) -> str:
    """Paragraphs in lines of at most 120 characters; tables as they are."""
    blocks = (block.strip() for block in text.split("\n\n"))
    return "\n\n".join(b if b.startswith("|") else fill(b, 120, break_on_hyphens=False) for b in blocks)


def sections_of(page: Path) -> dict[str, str]:
    """Title -> section, with its heading, of a page written so far."""
    there = page.read_text(encoding="utf-8") if page.is_file() else ""
    parts = re.split(r"^(?=## )", there, flags=re.MULTILINE)[1:]
    return {part.partition("\n")[0].removeprefix("## "): part.strip() + "\n" for part in parts}


def top(table: Path = TABLE) -> str:
    """The figures that have a bar, and how to read the page."""
    held = [one for _, one in read(table) if one.bar is not None]
    columns = {
        "what": [one.what for one in held],
        "measured": [spread(one) for one in held],
        "bar": [f"at {'most' if one.most else 'least'} {one.bar:g} {one.unit}" for one in held],
        "": [verdict(one) for one in held],
    }
    rows = markdown(pd.DataFrame(columns, index=[one.case for one in held]), "case")
    return TOP.format(table=rows, met=sum(bool(one.met) for one in held), all=len(held))
