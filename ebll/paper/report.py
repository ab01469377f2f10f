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
    groups: dict[str, list[Experiment]] = {}
    for e in sorted(experiments, key=lambda e: len(e.tasks) > 2):
        pair, names = len(e.tasks) == 2, list(map(_label, e.tasks))
        groups.setdefault(f"Two tasks, from {names[0]}" if pair else " → ".join(names), []).append(e)
    return {title: _table(accuracy, group) for title, group in groups.items()}


def layout_text(tables: dict[str, pd.DataFrame]) -> str:
    """All tables as Markdown."""
    parts = [f"## {title}\n\n{markdown(table, 'method')}" for title, table in tables.items()]
    return "\n\n".join(["# Results in the paper's layout", LAYOUT_LEGEND, *parts]) + "\n"


def _label(name: str) -> str:
    return {"imagenet": "ImageNet"}.get(name, name.capitalize())


def _change(values: Sequence[float]) -> str:
    mean = float(np.mean(values))
    return "" if np.isnan(mean) else f"{mean:+.1f}".replace("-0.0", "0.0").replace("+0.0", "0.0")


def _table(accuracy: pd.DataFrame, group: Sequence[Experiment]) -> pd.DataFrame:
    """Every set at the end of its sequence, then the mean change: over the pairs, or over the sets of one sequence."""
    found, rows = {e: final_numbers(accuracy, e) for e in group}, {}
    for method in [name for name in LABELS if any(name in numbers for numbers, _ in found.values())]:
        row: dict[str, str] = {}
        changes: dict[str, list[float]] = {}
        for e, (numbers, reference) in found.items():
            for i, task in enumerate(e.tasks):
                values = numbers.get(method, {}).get(task, pd.Series(dtype=float))
                title, kind = _label(task), "mean change"
                if len(e.tasks) == 2:
                    age = "new" if i else "old"
                    title, kind = f"{_label(e.tasks[1])}: {age}", f"{kind}, {age}"
                row[title] = cell(values, reference[task])
                changes.setdefault(kind, []).append(values.mean() - reference[task])
        row |= {kind: _change(values) for kind, values in changes.items()}
        rows[LABELS[method]] = {name: row.get(name, "") for title in row for name in (title, f"{title}, paper")}
    return pd.DataFrame.from_dict(rows, orient="index")
