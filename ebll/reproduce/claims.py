"""The claims of the lesson, C1 to C9, stated for each regime and decided by the tables. Nothing is written in by hand.

A regime is a net and the old task that its pairs share: the same claim can hold in one and fail in another, and that is
part of the lesson. `ebll.reproduce.verdicts` says how a claim is decided.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import pandas as pd

from ebll import metrics
from ebll.comparison import ALONE
from ebll.methods import METHODS
from ebll.networks import NETS
from ebll.reproduce.plan import DEFAULT_HEADLINE, HEADLINE, Experiment
from ebll.reproduce.verdicts import Claim, Part

__all__ = ["claims_of", "curve_shapes", "seed_outcomes"]

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
    regimes: dict[tuple[str, str], list[Experiment]] = {}
    for e in experiments:
        regimes.setdefault((e.net, e.tasks[0]), []).append(e)
    found: dict[str, dict[tuple[str, str], Claim]] = {}
    for regime, group in regimes.items():
        order = _by_gap([e for e in group if len(e.tasks) == 2], gaps)
        evidence = Evidence(outcomes, tuple(e.id for e in order))
        where = f"{_net(regime[0])}, {regime[1]} first"
        claims = _method_claims(evidence, order, where) + _curve_claims(shapes, order, where)
        claims += _gap_claims(evidence, order, where, not gaps.empty)
        claims += [claim for e in group if len(e.tasks) > 2 for claim in _sequence_claims(evidence, e)]
        for claim in claims:
            if claim.parts and all(part.values for part in claim.parts):
                found.setdefault(claim.id, {})[regime] = claim
    plain, others = [], []
    for name in sorted(found):
        wanted = HEADLINE.get(name, DEFAULT_HEADLINE)
        headline = wanted if wanted in found[name] else next(iter(found[name]))
        for regime, claim in found[name].items():
            if regime == headline:
                plain.append(claim)
            else:
                others.append(replace(claim, id=f"{name} ({regime[0]}, {regime[1]} first)"))
    return plain + others


def _by_gap(pairs: list[Experiment], gaps: pd.DataFrame) -> list[Experiment]:
    """Pairs from the nearest domain to the farthest, by the measured gap (M8)."""
    if gaps.empty:
        return pairs
    mean = gaps.groupby("sequence")["gap"].mean()
    return sorted(pairs, key=lambda e: mean.get(e.id, 0.0))


def _method_claims(evidence: Evidence, pairs: list[Experiment], where: str) -> list[Claim]:
    """C1 to C6: what separates the methods, averaged over the regime's pairs."""
    present = set(evidence.outcomes["method"])
    diff = evidence.difference
    over = f"{where}; mean over {', '.join(e.tasks[1] for e in pairs)}"

    def against(column: str, methods: Iterable[str], best: str | None = None, worst: str | None = None) -> list[Part]:
        pairs = [(best or m, worst or m) for m in methods if m in present and m not in (best, worst)]
        parts = [Part(f"{COLUMNS[column]}, {_label(a)} minus {_label(b)}", diff(column, a, b)) for a, b in pairs]
        return [part for part in parts if part.values]  # a method none of whose runs came to the end has none

    learned = against("new", [*TRAINED, "joint"], worst="feature-extraction")
    kept = tuple(-abs(v) for v in evidence.per_seed("feature-extraction", "forgetting"))
    return [
        Claim(
            "C1",
            f"Fine-tuning forgets most ({over}).",
            tuple(against("forgetting", [*TRAINED, "feature-extraction", "joint"], best="finetune")),
        ),
        Claim(
            "C2",
            f"Feature extraction forgets nothing and learns the new task worst ({over}).",
            (Part("nothing forgotten (minus what is)", kept, above=-1e-9), *learned) if learned else (),
        ),
        Claim(
            "C3",
            f"LwF forgets less than fine-tuning ({over}).",
            tuple(against("forgetting", ["finetune"], worst="lwf")),
        ),
        Claim(
            "C4",
            f"EBLL forgets less than LwF, at a new-task accuracy within one point of LwF's ({over}).",
            (
                Part("forgetting, LwF minus EBLL", diff("forgetting", "lwf", "ebll")),
                Part("accuracy on the new tasks, EBLL minus LwF", diff("new", "ebll", "lwf"), above=-0.01),
            ),
        ),
        Claim(
            "C5",
            "EBLL with separate operators forgets least of the methods that train the feature extractor without old "
            f"data ({over}).",
            tuple(against("forgetting", TRAINED, worst="ebll-separate")),
        ),
        Claim(
            "C6",
            f"Joint training, at the same number of steps, bounds the average accuracy of the others ({over}).",
            tuple(against("average", [*TRAINED, "feature-extraction"], best="joint")),
        ),
    ]


def _curve_claims(shapes: pd.DataFrame, pairs: list[Experiment], where: str) -> list[Claim]:
    """C7: the paper's curve, on the nearest pair."""
    if not pairs:
        return []
    rows = shapes[shapes["sequence"] == pairs[0].id]
    of = {m: rows[rows["method"] == m] for m in ("ebll", "lwf")}
    return [
        Claim(
            "C7",
            "With EBLL the feature distance of the old task rises first and then falls to under half of its peak, "
            f"while LwF's ends above half of its own ({where}; new task {pairs[0].tasks[1]}).",
            (
                Part("0.5 minus end / peak of EBLL's distance", tuple(0.5 - of["ebll"]["ratio"])),
                Part("end / peak of LwF's distance minus 0.5", tuple(of["lwf"]["ratio"] - 0.5)),
                Part("0.5 minus the place of EBLL's peak, as a share of the training", tuple(0.5 - of["ebll"]["when"])),
            ),
        )
    ]


def _gap_claims(evidence: Evidence, pairs: list[Experiment], where: str, measured: bool) -> list[Claim]:
    """C8: forgetting and gain from pair to pair, in the order of the domain gap; nothing where none was measured."""
    if len(pairs) < 2 or not measured:
        return []
    parts = []
    for near, far in pairwise(pairs):
        step = f"{near.tasks[1]} to {far.tasks[1]}"
        lost = [evidence.per_seed("lwf", "forgetting", [e.id]) for e in (far, near)]
        gain = [
            lost_by - evidence.per_seed("ebll", "forgetting", [e.id])
            for lost_by, e in zip(lost, (far, near), strict=True)
        ]
        parts += [
            Part(f"rise of LwF's forgetting from {step}", _paired(*lost)),
            Part(f"rise of EBLL's gain over LwF from {step}", _paired(*gain)),
        ]
    order = ", ".join(e.tasks[1] for e in pairs)
    statement = f"LwF's forgetting, and EBLL's gain over it, grow with the measured domain gap ({where}; {order})."
    return [Claim("C8", statement, tuple(parts))]


def _sequence_claims(evidence: Evidence, e: Experiment) -> list[Claim]:
    """C9: EBLL against LwF over a longer sequence."""
    values = evidence.difference("forgetting", "lwf", "ebll", [e.id])
    statement = (
        f"EBLL's gain over LwF holds over a sequence of {len(e.tasks)} tasks ({_net(e.net)}; {', '.join(e.tasks)})."
    )
    return [Claim("C9", statement, (Part("forgetting, LwF minus EBLL", values),))]


COLUMNS = {"forgetting": "forgetting", "new": "accuracy on the new tasks", "average": "average accuracy"}


def _label(method: str) -> str:
    return METHODS[method].label


def _net(name: str) -> str:
    return name.upper() if name in NETS else name


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


def _paired(more: pd.Series, less: pd.Series) -> tuple[float, ...]:
    return tuple((more - less).dropna())


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
