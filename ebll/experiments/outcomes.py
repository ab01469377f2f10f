"""From the tables of a job to one row a run: forgetting, transfer, and the shape of the distance curve."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ebll import metrics
from ebll.experiments.plan import ALONE

__all__ = ["curve_shapes", "seed_outcomes"]

OUTCOME_COLUMNS = [
    "sequence",
    "method",
    "seed",
    "forgetting",
    "new",
    "average",
    "backward_transfer",
    "forward_transfer",
]


def seed_outcomes(accuracy: pd.DataFrame) -> pd.DataFrame:
    """Accuracy table -> a row per sequence, method and seed: forgetting (M5), new, average (M4), transfers (M6, M7).

    All are fractions. `new` is the mean, over the tasks after the first, of the accuracy just after learning each.
    Runs that ended early, and the reference `alone`, are left out.
    """
    rows = []
    task_count = accuracy.groupby("sequence")["task"].nunique()
    alone = accuracy[accuracy["method"] == ALONE].set_index(["sequence", "seed", "task"])["accuracy"]
    runs = accuracy[accuracy["method"] != ALONE].groupby(["sequence", "method", "seed"], sort=False)
    for (sequence, method, seed), run in runs:
        order = run["after"].unique()
        if len(order) < task_count[sequence]:
            continue
        matrix = run.pivot(index="after", columns="task", values="accuracy").reindex(index=order, columns=order)
        reference = [alone.get((sequence, seed, task), float("nan")) for task in order]
        rows.append(
            {
                "sequence": sequence,
                "method": method,
                "seed": seed,
                "forgetting": metrics.forgetting(matrix),
                "new": float(np.diag(matrix)[1:].mean()),
                "average": metrics.average_accuracy(matrix),
                "backward_transfer": metrics.backward_transfer(matrix),
                "forward_transfer": metrics.forward_transfer(matrix, reference),
            }
        )
    return pd.DataFrame(rows, columns=OUTCOME_COLUMNS)


def curve_shapes(curves: pd.DataFrame) -> pd.DataFrame:
    """Curves -> per sequence, method and seed: where the first task's feature distance peaked and where it ended.

    Looks at the first new task's training: peak (largest distance), end (last distance), when (step of the peak as a
    share of the training), ratio (end / peak; 1 where nothing moved).
    """
    rows = curves[(curves["stage"] == "train") & (curves["task"] != "")]
    shapes = []
    for (sequence, method, seed), run in rows.groupby(["sequence", "method", "seed"], sort=False):
        run = run[(run["training"] == run["training"].iloc[0]) & (run["task"] == run["task"].iloc[0])]
        distance = run.set_index("step")["feature_distance"].sort_index()
        peak, end = distance.max(), distance.iloc[-1]
        facts = {"peak": peak, "end": end, "when": distance.idxmax() / max(1, distance.index[-1])}
        facts["ratio"] = end / peak if peak > 0 else 1.0
        shapes.append({"sequence": sequence, "method": method, "seed": seed, **facts})
    return pd.DataFrame(shapes, columns=["sequence", "method", "seed", "peak", "end", "when", "ratio"])
