"""The paper's way of laying out its results: two-task tables by first set, one table a longer sequence.

Beside every measured column stands an empty one, for a reader's own copy of the paper's numbers: they could not be
checked here, so none is printed. Numbers come in finished; nothing is trained here.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from ebll.reproduce.plan import Experiment
from ebll.reproduce.report import LABELS, cell, final_numbers, markdown

__all__ = ["LAYOUT_LEGEND", "layout_text", "layouts"]

LAYOUT_LEGEND = """Test accuracy in % at the end of the sequence, with the points above or below the reference in
brackets: for the first set the network before any other was learned, for a later one fine-tuning just after learning
it. Two-task tables end with the mean change over the pairs. The columns "paper" are empty, for your own copy of its
numbers.
"""


def layouts(accuracy: pd.DataFrame, experiments: Sequence[Experiment]) -> dict[str, pd.DataFrame]:
    """Headline -> table of text, a row a method: one for the pairs of each first set, one for each longer sequence.

    accuracy   sequence, method, seed, after, task, accuracy, as the main job's
    """
    tables: dict[str, pd.DataFrame] = {}
    pairs: dict[str, list[Experiment]] = {}
    for e in experiments:
        if len(e.tasks) == 2:
            pairs.setdefault(e.tasks[0], []).append(e)
    for first, group in pairs.items():
        tables[f"Two tasks, from {_label(first)}"] = _pairs_table(accuracy, group)
    for e in experiments:
        if len(e.tasks) > 2:
            tables[" → ".join(map(_label, e.tasks))] = _sequence_table(accuracy, e)
    return tables


def layout_text(tables: dict[str, pd.DataFrame]) -> str:
    """All tables as Markdown."""
    parts = [f"## {title}\n\n{markdown(table, 'method')}" for title, table in tables.items()]
    return "\n\n".join(["# Results in the paper's layout", LAYOUT_LEGEND, *parts]) + "\n"


def _label(name: str) -> str:
    return {"imagenet": "ImageNet"}.get(name, name.capitalize())


def _change(values: Sequence[float]) -> str:
    mean = float(np.mean(values))
    return "" if np.isnan(mean) else f"{mean:+.1f}".replace("-0.0", "0.0").replace("+0.0", "0.0")


def _pairs_table(accuracy: pd.DataFrame, group: Sequence[Experiment]) -> pd.DataFrame:
    """Old and new task of every pair, then the mean change of each."""
    found = {e: final_numbers(accuracy, e) for e in group}
    rows: dict[str, dict[str, str]] = {}
    for method in _methods(found.values()):
        row, changes = {}, ([], [])
        for e, (numbers, reference) in found.items():
            for i, task in enumerate(e.tasks):
                values = numbers.get(method, {}).get(task, pd.Series(dtype=float))
                title = f"{_label(e.tasks[1])}: {'new' if i else 'old'}"
                row |= {title: cell(values, reference[task]), f"{title}, paper": ""}
                changes[i].append(values.mean() - reference[task])
        for i, which in enumerate(("old", "new")):
            row |= {f"mean change, {which}": _change(changes[i]), f"mean change, {which}, paper": ""}
        rows[LABELS[method]] = row
    return pd.DataFrame.from_dict(rows, orient="index").fillna("")


def _sequence_table(accuracy: pd.DataFrame, e: Experiment) -> pd.DataFrame:
    """Every set at the end of the sequence, then the mean change."""
    numbers, reference = final_numbers(accuracy, e)
    rows: dict[str, dict[str, str]] = {}
    for method in _methods([(numbers, reference)]):
        row = {}
        for task in e.tasks:
            row |= {_label(task): cell(numbers[method][task], reference[task]), f"{_label(task)}, paper": ""}
        change = _change([numbers[method][task].mean() - reference[task] for task in e.tasks])
        rows[LABELS[method]] = row | {"mean change": change, "mean change, paper": ""}
    return pd.DataFrame.from_dict(rows, orient="index").fillna("")


def _methods(found) -> list[str]:
    present = {method for numbers, _ in found for method in numbers}
    return [method for method in LABELS if method in present]
