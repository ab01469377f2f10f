"""The claims of the lesson, C1 to C12, stated for each regime and decided by the tables. Nothing is written in by hand.

A regime is a net and the old task that its pairs share: the same claim can hold in one and fail in another, and that is
part of the lesson. `ebll.reproduce.verdicts` says how a claim is decided.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from ebll import metrics
from ebll.comparison import SINGLE_TASK
from ebll.methods import METHODS
from ebll.networks import NETS
from ebll.reproduce.plan import Experiment, headline, regimes_of
from ebll.reproduce.verdicts import Claim, Part

__all__ = ["by_gap", "claims_of", "curve_shapes", "seed_outcomes"]

#: Methods that train F on the new task without the old task's data, so that keeping the old one is their own merit.
TRAINED = ("finetune", "lwf", "l2", "ewc", "input-moments", "kfac", "code-only", "ebll", "ebll-separate")


def claims_of(
    outcomes: pd.DataFrame, curves: pd.DataFrame, gaps: pd.DataFrame, experiments: Sequence[Experiment]
) -> list[Claim]:
    """All claims that the tables can decide, regime by regime: a net and the old task that its pairs share.

    outcomes   as `seed_outcomes` makes them: a run that ended early decides nothing
    The plain ids C1 ... C12 stand for the regime that `plan.headline` names; the others, after them, carry theirs, as
    in "C4 (cnn, letters first)". Claims that lack a method or a pair are left out.
    """
    shapes = curve_shapes(curves).merge(outcomes[["sequence", "method", "seed"]])
    plain, others = [], []
    for regime, group in regimes_of(experiments).items():
        for claim in _claims_of(group, outcomes, shapes, gaps):
            if not all(part.values for part in claim.parts):
                continue
            if headline(claim.id, experiments) == regime:
                plain.append(claim)
            else:
                others.append(replace(claim, id=f"{claim.id} ({regime[0]}, {regime[1]} first)"))
    return [claim for several in (plain, others) for claim in sorted(several, key=_number)]


def _number(claim: Claim) -> int:
    return int(claim.id.split()[0].removeprefix("C"))


def by_gap(pairs: Sequence[Experiment], gaps: pd.DataFrame) -> list[Experiment]:
    """Pairs from the nearest domain to the farthest, by the measured gap (M8); as they come where none was."""
    mean = gaps.groupby("sequence")["gap"].mean()
    return sorted(pairs, key=lambda e: mean.get(e.id, 0.0))


def _claims_of(
    group: Sequence[Experiment], outcomes: pd.DataFrame, shapes: pd.DataFrame, gaps: pd.DataFrame
) -> Iterator[Claim]:
    """The claims of one regime: C9 of longer sequences, the others of its pairs, most of them averaged."""
    net, first = group[0].regime
    net = net.upper() if net in NETS else net
    if pairs := by_gap([e for e in group if len(e.tasks) == 2], gaps):
        evidence = Evidence(outcomes, tuple(e.id for e in pairs))
        against, difference = evidence.against, evidence.difference
        new = [e.tasks[1] for e in pairs]
        where = f"{net}; {first} first, then {_either(new)}" + " (mean)" * (len(new) > 1)

        most = against("forgetting", [*TRAINED, "feature-extraction", "joint"], more="finetune")
        yield Claim("C1", "Fine-tuning forgets more of the old task than any other method.", where, most)
        kept = tuple(-abs(v) for v in evidence.per_seed("feature-extraction", "forgetting"))
        yield Claim(
            "C2",
            "Feature extraction forgets nothing, by construction, and learns the new task less well than all methods "
            "that also train the shared layers.",
            where,
            (
                Part("nothing forgotten (minus what is)", kept, above=-1e-7),
                *against("new", [*TRAINED, "joint"], less="feature-extraction"),
            ),
        )
        less = Part("forgetting, Fine-tuning minus LwF", difference("forgetting", "finetune", "lwf"))
        yield Claim("C3", "LwF forgets less than fine-tuning.", where, (less,))
        yield Claim(
            "C4",
            "EBLL forgets less than LwF, at a cost of less than one point on the new tasks.",
            where,
            (
                Part("forgetting, LwF minus EBLL", difference("forgetting", "lwf", "ebll")),
                Part("accuracy on the new task, EBLL minus LwF", difference("new", "ebll", "lwf"), above=-1.0),
            ),
        )
        yield Claim(
            "C5",
            "EBLL with separate operators forgets least of all methods that go on training the shared features without "
            "old data.",
            where,
            against("forgetting", TRAINED, less="ebll-separate"),
        )
        yield Claim(
            "C6",
            "Joint training, which sees the old data, ends with a higher average accuracy than all methods that share "
            "layers between tasks and do not see it.",
            where,
            against("average", [*TRAINED, "feature-extraction"], more="joint"),
        )
        chosen = "; its layers were chosen among those that show this, on other seeds" * (group[0].net == "cnn")
        yield _curve(shapes[shapes["sequence"] == pairs[0].id], f"{net}; {first} first, then {new[0]}{chosen}")
        dips = Evidence(shapes, evidence.sequences)
        fall = Part("old-task accuracy, Joint training, first minus lowest", tuple(dips.per_seed("joint", "fall")))
        yield Claim(
            "C10",
            "Joint training, too, forgets on the way: its accuracy on the old task dips deeper below its own end than "
            "that of LwF and EBLL.",
            where,
            (fall, *dips.against("dip", ["lwf", "ebll"], more="joint")),
        )
        yield Claim(
            "C11",
            "A penalty with Kronecker factors forgets less than EWC's diagonal, both at the kit's strengths, at a "
            "cost of less than one point on the new tasks.",
            where,
            (
                Part("forgetting, EWC minus K-FAC", difference("forgetting", "ewc", "kfac")),
                Part("accuracy on the new task, K-FAC minus EWC", difference("new", "kfac", "ewc"), above=-1.0),
            ),
        )
        yield Claim(
            "C12",
            "The penalty with Kronecker factors, which holds weights, ends with a higher average accuracy than EBLL, "
            "which holds a code.",
            where,
            against("average", ["ebll"], more="kfac"),
        )
        measured = gaps.groupby("sequence")["gap"].mean()
        if len(pairs) > 1 and all(e.id in measured for e in pairs):
            *near, far = [e.id for e in pairs]
            lost = Evidence(outcomes, (far,)).per_seed("lwf", "forgetting")
            told = ", ".join(f"{e.tasks[1]} {measured[e.id]:.2f}" for e in pairs)
            yield Claim(
                "C8",
                "After the far new task LwF has forgotten more than after nearer ones, and EBLL saves a part of it.",
                f"{net}; {first} first, then {_either(new)}",
                (
                    Part(
                        f"forgetting of LwF, {new[-1]} minus {_either(new[:-1])}" + " (mean)" * (len(near) > 1),
                        _paired(lost, Evidence(outcomes, tuple(near)).per_seed("lwf", "forgetting")),
                    ),
                    Part(
                        f"forgetting after {new[-1]}, LwF minus EBLL",
                        Evidence(outcomes, (far,)).difference("forgetting", "lwf", "ebll"),
                    ),
                ),
                "; the far one has the largest gap, the fraction of variance in the new task's features that the "
                f"autoencoder of {first} leaves unexplained: {told}",
            )
    for e in group:
        if len(e.tasks) > 2:
            gain = Evidence(outcomes, (e.id,)).difference("forgetting", "lwf", "ebll")
            yield Claim(
                "C9",
                f"EBLL forgets less than LwF over a sequence of {len(e.tasks)} tasks too.",
                f"{net}; {', '.join(e.tasks)}",
                (Part("forgetting, mean of all but the last task, LwF minus EBLL", gain),),
            )


def _curve(shapes: pd.DataFrame, where: str) -> Claim:
    """The paper's curve: with EBLL the features of the old task go away and come back, with LwF they stay away."""
    ebll, lwf = (shapes[shapes["method"] == method] for method in ("ebll", "lwf"))
    largest = "% of the largest distance"
    return Claim(
        "C7",
        "With EBLL the features of the old task move away early and come back to under half of their largest distance; "
        "with LwF they stay above half of theirs.",
        where,
        (
            Part("distance that EBLL's features come back", tuple(100 * (1 - ebll["ratio"])), 50.0, largest),
            Part("distance at which LwF's features end", tuple(100 * lwf["ratio"]), 50.0, largest),
            Part("training that is left after EBLL's peak", tuple(100 * (1 - ebll["when"])), 50.0, "% of the steps"),
        ),
    )


def _either(names: Sequence[str]) -> str:
    return " or ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


COLUMNS = {
    "forgetting": "forgetting",
    "new": "accuracy on the new task",
    "average": "average accuracy",
    "dip": "stability gap",
}


@dataclass(frozen=True)
class Evidence:
    """Outcomes of some sequences, paired by seed, in points of accuracy."""

    outcomes: pd.DataFrame
    sequences: tuple[str, ...]

    def per_seed(self, method: str, column: str) -> pd.Series:
        """Mean over the sequences of one column, a number a seed; seeds that lack a sequence are left out."""
        rows = self.outcomes[(self.outcomes["method"] == method) & self.outcomes["sequence"].isin(self.sequences)]
        table = rows.pivot(index="seed", columns="sequence", values=column).reindex(columns=list(self.sequences))
        return 100 * table.dropna().mean(axis=1)

    def difference(self, column: str, more: str, less: str) -> tuple[float, ...]:
        """Method `more` minus method `less`, seed by seed."""
        return _paired(self.per_seed(more, column), self.per_seed(less, column))

    def against(
        self, column: str, methods: Iterable[str], more: str | None = None, less: str | None = None
    ) -> tuple[Part, ...]:
        """Method `more` minus each of the others, or each of them minus method `less`."""
        pairs = [(more or name, less or name) for name in methods if name not in (more, less)]
        return tuple(
            Part(f"{COLUMNS[column]}, {METHODS[a].label} minus {METHODS[b].label}", self.difference(column, a, b))
            for a, b in pairs
        )


def _paired(more: pd.Series, less: pd.Series) -> tuple[float, ...]:
    return tuple((more - less).dropna())


OUTCOME_COLUMNS = [
    *("sequence", "method", "seed"),
    *("forgetting", "new", "average", "backward_transfer", "forward_transfer"),
]


def seed_outcomes(accuracy: pd.DataFrame, experiments: Sequence[Experiment]) -> pd.DataFrame:
    """Accuracies of these experiments -> a row per sequence, method and seed.

    Columns: forgetting (M5), new, average (M4), transfers (M6, M7), all fractions. `new` is the mean, over the tasks
    after the first, of the accuracy just after learning each. Runs that ended early, and the reference `single-task`,
    are left out.
    """
    rows, whole = [], {e.id: len(e.tasks) for e in experiments}
    single = accuracy[accuracy["method"] == SINGLE_TASK].set_index(["sequence", "seed", "task"])["accuracy"]
    runs = accuracy[accuracy["method"] != SINGLE_TASK].groupby(["sequence", "method", "seed"], sort=False)
    for (sequence, method, seed), run in runs:
        order = run["after"].unique()
        if len(order) < whole.get(sequence, math.inf):
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
    """Curves -> per sequence, method and seed: how the first task's feature distance and accuracy went.

    Looks at the first new task's training: peak (largest distance), end (last distance), when (step of the peak as a
    share of the training), ratio (end / peak; 1 where nothing moved), dip (the depth of M12), fall (first accuracy
    minus the lowest).
    """
    rows = curves[(curves["stage"] == "train") & (curves["task"] != "")]
    shapes = []
    for (sequence, method, seed), run in rows.groupby(["sequence", "method", "seed"], sort=False):
        run = run[(run["training"] == run["training"].iloc[0]) & (run["task"] == run["task"].iloc[0])]
        run = run.set_index("step").sort_index()
        distance, (lowest, dip) = run["feature_distance"], metrics.stability_gap(run["accuracy"])
        peak, end = distance.max(), distance.iloc[-1]
        facts = {"peak": peak, "end": end, "when": distance.idxmax() / max(1, distance.index[-1]), "dip": dip}
        facts |= {"ratio": end / peak if peak > 0 else 1.0, "fall": run["accuracy"].iloc[0] - lowest}
        shapes.append({"sequence": sequence, "method": method, "seed": seed, **facts})
    return pd.DataFrame(shapes, columns=["sequence", "method", "seed", "peak", "end", "when", "ratio", "dip", "fall"])
