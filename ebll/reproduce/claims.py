"""The claims of the lesson, C1 to C9, stated for each regime and decided by the tables. Nothing is written in by hand.

A regime is a net and the old task that its pairs share: the same claim can hold in one and fail in another, and that is
part of the lesson. `ebll.reproduce.verdicts` says how a claim is decided.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import pandas as pd

from ebll import metrics
from ebll.comparison import SINGLE_TASK
from ebll.methods import METHODS
from ebll.networks import NETS
from ebll.reproduce.plan import DEFAULT_HEADLINE, HEADLINE, Experiment, regimes_of
from ebll.reproduce.verdicts import Claim, Part

__all__ = ["by_gap", "claims_of", "curve_shapes", "seed_outcomes"]

#: Methods that train F on the new task without the old task's data, so that keeping the old one is their own merit.
TRAINED = ("finetune", "lwf", "ewc", "code-only", "ebll", "ebll-separate")


def claims_of(
    accuracy: pd.DataFrame, curves: pd.DataFrame, gaps: pd.DataFrame, experiments: Sequence[Experiment]
) -> list[Claim]:
    """All claims that the tables can decide, regime by regime: a net and the old task that its pairs share.

    The plain ids C1 ... C9 stand for the regime that `plan.HEADLINE` names (or the first that has the claim); the
    others carry their regime, as in "C4 (cnn, letters first)". Claims that lack a method or a pair are left out.
    """
    outcomes, shapes = seed_outcomes(accuracy), curve_shapes(curves)
    found: dict[str, dict[tuple[str, str], Claim]] = {}
    for regime, group in regimes_of(experiments).items():
        for claim in _claims_of(group, outcomes, shapes, gaps):
            if claim.parts and all(part.values for part in claim.parts):
                found.setdefault(claim.id, {})[regime] = claim
    plain, others = [], []
    for name in sorted(found):
        wanted = HEADLINE.get(name, DEFAULT_HEADLINE)
        headline = wanted if wanted in found[name] else next(iter(found[name]))
        plain.append(found[name].pop(headline))
        others += [replace(claim, id=f"{name} ({net}, {first} first)") for (net, first), claim in found[name].items()]
    return plain + others


def by_gap(pairs: Sequence[Experiment], gaps: pd.DataFrame) -> list[Experiment]:
    """Pairs from the nearest domain to the farthest, by the measured gap (M8); as they come where none was."""
    mean = gaps.groupby("sequence")["gap"].mean()
    return sorted(pairs, key=lambda e: mean.get(e.id, 0.0))


def _claims_of(
    group: Sequence[Experiment], outcomes: pd.DataFrame, shapes: pd.DataFrame, gaps: pd.DataFrame
) -> Iterator[Claim]:
    """The claims of one regime: C1 to C6 averaged over its pairs, C7 and C8 pair by pair, C9 of longer sequences."""
    pairs = by_gap([e for e in group if len(e.tasks) == 2], gaps)
    evidence = Evidence(outcomes, tuple(e.id for e in pairs))
    net = group[0].net.upper() if group[0].net in NETS else group[0].net
    where, order = f"{net}, {group[0].tasks[0]} first", ", ".join(e.tasks[1] for e in pairs)
    against, diff, over = evidence.against, evidence.difference, f"{where}; mean over {order}"

    most = against("forgetting", [*TRAINED, "feature-extraction", "joint"], best="finetune")
    yield Claim("C1", f"Fine-tuning forgets most ({over}).", most)
    learned = against("new", [*TRAINED, "joint"], worst="feature-extraction")
    kept = tuple(-abs(v) for v in evidence.per_seed("feature-extraction", "forgetting"))
    nothing = Part("nothing forgotten (minus what is)", kept, above=-1e-9)
    yield Claim(
        "C2", f"Feature extraction forgets nothing and learns the new task worst ({over}).",
        (nothing, *learned) if learned else (),
    )  # fmt: skip
    less = against("forgetting", ["finetune"], worst="lwf")
    yield Claim("C3", f"LwF forgets less than fine-tuning ({over}).", less)
    yield Claim(
        "C4", f"EBLL forgets less than LwF, at a new-task accuracy within one point of LwF's ({over}).",
        (
            Part("forgetting, LwF minus EBLL", diff("forgetting", "lwf", "ebll")),
            Part("accuracy on the new tasks, EBLL minus LwF", diff("new", "ebll", "lwf"), above=-0.01),
        ),
    )  # fmt: skip
    yield Claim(
        "C5", "EBLL with separate operators forgets least of the methods that train the feature extractor without old "
        f"data ({over}).", against("forgetting", TRAINED, worst="ebll-separate"),
    )  # fmt: skip
    yield Claim(
        "C6", f"Joint training, at the same number of steps, bounds the average accuracy of the others ({over}).",
        against("average", [*TRAINED, "feature-extraction"], best="joint"),
    )  # fmt: skip
    if pairs:  # the paper's curve, on the nearest pair
        rows = shapes[shapes["sequence"] == pairs[0].id]
        ebll, lwf = (rows[rows["method"] == method] for method in ("ebll", "lwf"))
        yield Claim(
            "C7",
            "With EBLL the feature distance of the old task rises first and then falls to under half of its peak, "
            f"while LwF's ends above half of its own ({where}; new task {pairs[0].tasks[1]}).",
            (
                Part("0.5 minus end / peak of EBLL's distance", tuple(0.5 - ebll["ratio"])),
                Part("end / peak of LwF's distance minus 0.5", tuple(lwf["ratio"] - 0.5)),
                Part("0.5 minus the place of EBLL's peak, as a share of the training", tuple(0.5 - ebll["when"])),
            ),
        )
    if not gaps.empty:
        parts = []
        for near, far in pairwise(pairs):
            step = f"{near.tasks[1]} to {far.tasks[1]}"
            lost = [evidence.per_seed("lwf", "forgetting", [e.id]) for e in (far, near)]
            ours = [evidence.per_seed("ebll", "forgetting", [e.id]) for e in (far, near)]
            parts += [
                Part(f"rise of LwF's forgetting from {step}", _paired(*lost)),
                Part(f"rise of EBLL's gain over LwF from {step}", _paired(lost[0] - ours[0], lost[1] - ours[1])),
            ]
        yield Claim(
            "C8", f"LwF's forgetting, and EBLL's gain over it, grow with the measured domain gap ({where}; {order}).",
            tuple(parts),
        )  # fmt: skip
    for e in group:
        if len(e.tasks) > 2:
            holds = f"EBLL's gain over LwF holds over a sequence of {len(e.tasks)} tasks ({net}; {', '.join(e.tasks)})."
            gain = Part("forgetting, LwF minus EBLL", diff("forgetting", "lwf", "ebll", [e.id]))
            yield Claim("C9", holds, (gain,))


COLUMNS = {"forgetting": "forgetting", "new": "accuracy on the new tasks", "average": "average accuracy"}


@dataclass(frozen=True)
class Evidence:
    """The tables of one regime, paired by seed."""

    outcomes: pd.DataFrame
    pairs: tuple[str, ...]

    def per_seed(self, method: str, column: str, sequences: Iterable[str] | None = None) -> pd.Series:
        """Mean over the sequences of one column, a number a seed; seeds that lack a sequence are left out."""
        sequences = list(sequences or self.pairs)
        rows = self.outcomes[(self.outcomes["method"] == method) & self.outcomes["sequence"].isin(sequences)]
        table = rows.pivot(index="seed", columns="sequence", values=column).reindex(columns=sequences)
        return table.dropna().mean(axis=1)

    def difference(
        self, column: str, more: str, less: str, sequences: Iterable[str] | None = None
    ) -> tuple[float, ...]:
        """Method `more` minus method `less`, seed by seed."""
        return _paired(self.per_seed(more, column, sequences), self.per_seed(less, column, sequences))

    def against(
        self, column: str, methods: Iterable[str], best: str | None = None, worst: str | None = None
    ) -> tuple[Part, ...]:
        """The best method minus each of the others, or each of them minus the worst."""
        pairs = [(best or name, worst or name) for name in methods if name not in (best, worst)]
        parts = [
            Part(f"{COLUMNS[column]}, {METHODS[a].label} minus {METHODS[b].label}", self.difference(column, a, b))
            for a, b in pairs
        ]
        return tuple(part for part in parts if part.values)  # a method that did not run, or never to the end, has none


def _paired(more: pd.Series, less: pd.Series) -> tuple[float, ...]:
    return tuple((more - less).dropna())


OUTCOME_COLUMNS = [
    *("sequence", "method", "seed"),
    *("forgetting", "new", "average", "backward_transfer", "forward_transfer"),
]


def seed_outcomes(accuracy: pd.DataFrame) -> pd.DataFrame:
    """Accuracy table -> a row per sequence, method and seed: forgetting (M5), new, average (M4), transfers (M6, M7).

    All are fractions. `new` is the mean, over the tasks after the first, of the accuracy just after learning each.
    Runs that ended early, and the reference `single-task`, are left out.
    """
    rows = []
    task_count = accuracy.groupby("sequence")["task"].nunique()
    single = accuracy[accuracy["method"] == SINGLE_TASK].set_index(["sequence", "seed", "task"])["accuracy"]
    runs = accuracy[accuracy["method"] != SINGLE_TASK].groupby(["sequence", "method", "seed"], sort=False)
    for (sequence, method, seed), run in runs:
        order = run["after"].unique()
        if len(order) < task_count[sequence]:
            continue
        matrix = run.pivot(index="after", columns="task", values="accuracy").reindex(index=order, columns=order)
        reference = [single.get((sequence, seed, task), float("nan")) for task in order]
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
