"""Choosing alpha as a learner must, without old data, beside the choice of an oracle that may peek.

In the manner of the continual hyperparameter framework (De Lange et al., arXiv 1909.08383): begin with the strongest
protection, and give way only as far as the new task needs. What tells here is the new task's validation accuracy, and
the recorded code loss (E4 on the new task's own batches): where a larger alpha leaves a *larger* code loss, the steps
overshoot, and what the term promises is not kept.
"""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from ebll.errors import InputError, check_choice, check_number
from ebll.methods import METHODS, settings_of
from ebll.sweeps.sweep import SETTINGS

__all__ = ["Choice", "choose_alpha"]

_SEEN = ("old_validation", "new_validation", "code_loss", "old", "new", "average")
_SAME = tuple(name for name in SETTINGS if name not in ("method", "alpha", "seed"))


@dataclass(frozen=True, eq=False)
class Choice:
    """What was chosen, and what peeking would have been worth.

    chosen, oracle   the alphas
    reference        new task's validation accuracy without protection, from which the choice may fall a little
    table            a row an alpha, means over the seeds: what both choices saw, the test accuracies that neither saw,
                     and how many seeds `failed`
    """

    chosen: float
    oracle: float
    reference: float
    table: pd.DataFrame

    @property
    def regret(self) -> float:
        """Average test accuracy of the oracle's alpha minus that of the choice, 0..1; below 0 if peeking misled."""
        return float(self.table.loc[self.oracle, "average"] - self.table.loc[self.chosen, "average"])

    def words(self) -> str:
        """In a sentence."""
        chosen, oracle = (self.table.loc[alpha] for alpha in (self.chosen, self.oracle))
        same = " The oracle takes the same." if self.chosen == self.oracle else (
            f" With old data to look at one would take {self.oracle:g} ({100 * oracle['old']:.1f} / "
            f"{100 * oracle['new']:.1f} %): {100 * self.regret:+.1f} points on average."
        )  # fmt: skip
        return f"Alpha {self.chosen:g} ({100 * chosen['old']:.1f} / {100 * chosen['new']:.1f} % old / new).{same}"


def choose_alpha(table: pd.DataFrame, method: str = "ebll", tolerance: float = 0.05) -> Choice:
    """Choose alpha from the table of a sweep, without old data and by an oracle; both look at validation images only.

    Alphas at which a seed has failed are out. From the largest down the choice takes the first whose code loss
    is not above that of the next smaller one, and whose validation accuracy on the new task is at least
    (1 - tolerance) times that of fine-tuning, or, where the table has none, of the smallest alpha. Where no alpha will
    do, it takes the smallest. The oracle takes the best mean of old and new validation accuracy, for which
    it needs old images.

    table      `Sweep.table` with rows that differ in alpha and seed only; rows of "finetune" on the same tasks and net
               serve as the reference
    method     name of one that has an alpha
    tolerance  share of the reference that the new task may lose, 0 to 1
    raises     `InputError` where columns, alphas or seeds are missing, or rows differ in something else
    """
    check_number(tolerance, "tolerance", high=1.0)
    check_choice(method, [name for name in METHODS if "alpha" in settings_of(name)], "method")
    rows = _rows(table, method)
    failed = rows["new_validation"].isna().groupby(rows["alpha"]).sum().rename("failed")
    means = rows.groupby("alpha")[list(_SEEN)].mean().join(failed)
    whole = means[means["failed"] == 0]
    if whole.empty:
        raise InputError("table: runs failed at every alpha; sweep over smaller ones.")
    if whole["code_loss"].isna().any():
        raise InputError(
            "table: it has no code_loss, as nothing was measured on the way; sweep with log_every above 0."
        )
    plain = _reference(table, rows)
    reference = float(plain.mean()) if len(plain) else float(whole["new_validation"].iloc[0])
    grows = whole["code_loss"].diff().fillna(0.0) > 0
    good = whole[~grows & (whole["new_validation"] >= (1 - tolerance) * reference)]
    chosen = good.index.max() if len(good) else whole.index.min()
    oracle = (whole["old_validation"] + whole["new_validation"]).idxmax()
    return Choice(float(chosen), float(oracle), reference, means)


def _rows(table: pd.DataFrame, method: str) -> pd.DataFrame:
    """The method's rows, if one can choose from them."""
    if missing := [name for name in ("method", "alpha", "seed", *_SEEN) if name not in table]:
        raise InputError(f"table: that of a sweep, such as ebll.sweep(...).table; it has no {', '.join(missing)}.")
    rows = table[table["method"] == method]
    if rows["alpha"].map(lambda value: isinstance(value, str)).any():
        raise InputError("table: one alpha a run to choose from; it has runs with one for each task. Leave them out.")
    rows = rows.assign(alpha=rows["alpha"].astype(float))
    if (count := rows["alpha"].nunique()) < 2:
        raise InputError(f"table: at least two values of alpha for {method!r} to choose from; it has {count}.")
    if differ := [name for name in _SAME if name in rows and rows[name].nunique(dropna=False) > 1]:
        raise InputError(
            f"table: its rows differ in {', '.join(differ)} besides alpha and seed; choose for one value at a time, "
            f"such as table[table[{differ[0]!r}] == {rows[differ[0]].tolist()[0]!r}]."
        )
    if (pd.crosstab(rows["alpha"], rows["seed"]) != 1).any(axis=None):
        raise InputError(
            "table: every alpha needs each seed once, and some are missing or come twice. Take the table of one sweep "
            "that has come to its end."
        )
    return rows


def _reference(table: pd.DataFrame, rows: pd.DataFrame) -> pd.Series:
    """The new task's validation accuracy of fine-tuning, with the same seeds and settings."""
    plain = table[(table["method"] == "finetune") & table["seed"].isin(rows["seed"])]
    for name in {*_SAME} - {"log_every"} & {*plain}:
        plain = plain[plain[name].isna() | (plain[name] == rows[name].iloc[0])]  # empty: fine-tuning lacks it
    return plain["new_validation"].dropna()
