"""The main job's tables as text, files and pictures. Numbers come in finished; nothing is trained here."""

from __future__ import annotations

import contextlib
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ebll.comparison import SINGLE_TASK
from ebll.files import prepare_folder, write_table
from ebll.methods import METHODS
from ebll.recording import TERMS
from ebll.reproduce.jobs import COLUMNS
from ebll.reproduce.plan import Experiment, drawn, regimes_of

if TYPE_CHECKING:  # scipy and matplotlib are imported where they are needed: most of a worker's start would go to them
    from ebll.reproduce.verdicts import Claim, Part

__all__ = [
    "LABELS", "cell", "claims_text", "draw", "drop_results", "drop_unfinished", "final_numbers", "final_table",
    "markdown", "summary", "write_tables", "write_unfinished",
]  # fmt: skip

UNFINISHED = "unfinished"
SMALL = 1e-6  # of a margin that only allows for rounding

CLAIMS_LEGEND = """A claim has one or more parts, each a number a seed, for the most part a difference between two
methods in points of test accuracy. It is supported if the 95 % t-intervals of all its parts lie above zero, or above
what is asked, not supported if one lies below, and else undecided. Of more than three parts only the one with the
smallest margin is shown. Forgetting is accuracy on the old task before minus after. One network per task is a reference
and takes no part.

One set of weights serves both nets and all claims; it was chosen on validation data, over the pairs and the sequence of
four tasks. With other weights the order can change: docs/settings.md says with which. The tables above are of the seeds
that all methods have. Where a claim is close, the methods that it compares have more; how many it takes was found on
other seeds (docs/verdicts.md).
"""

LEGEND = """Test accuracy in % after the last task, best first: mean over the seeds ± half of the 95 % t-interval.
In brackets: points above or below the reference (ref.), which is, for the first task, its accuracy before any other was
learned; for a later task, fine-tuning's accuracy just after learning it; for the mean, the mean of these.
"""

FIGURES = (
    *("feature-distance", "feature-distance-far", "loss-terms", "forgetting", "forgetting-by-gap-*"),
    *("stability-plasticity", "accuracy-matrix-*", "claims"),
)
"""What `draw` may write, without suffixes."""

LABELS = {SINGLE_TASK: "One network per task", **{name: method.label for name, method in METHODS.items()}}


def final_table(accuracy: pd.DataFrame, e: Experiment) -> pd.DataFrame:
    """Methods x tasks of one sequence, as text: mean accuracy in % at its end, 95 % interval, change.

    The change is in points against the reference that the paper prints: for the first task the network that has learned
    it alone, for a later one fine-tuning just after learning it. The last column is the mean over the tasks; the best
    method stands first.
    """
    numbers, reference = final_numbers(accuracy, e)
    means, table = {name: pd.concat(last, axis=1).mean(axis=1) for name, last in numbers.items()}, {}
    for name in sorted(means, key=lambda name: np.nan_to_num(-means[name].mean(), nan=np.inf)):  # no run: last
        cells = {t: cell(values, reference[t]) for t, values in numbers[name].items()}
        table[LABELS[name]] = {**cells, "mean": cell(means[name], float(np.mean(list(reference.values()))))}
    return pd.DataFrame.from_dict(table, orient="index")


def final_numbers(accuracy: pd.DataFrame, e: Experiment) -> tuple[dict[str, dict[str, pd.Series]], dict[str, float]]:
    """Method -> task -> accuracy in % at the end of a sequence, a number a seed; and task -> the mean reference."""
    rows = accuracy[accuracy["sequence"] == e.id]
    runs = {name: rows[rows["method"] == name] for name in LABELS if name in set(rows["method"])}

    def seeds(rows: pd.DataFrame, after: str, task: str) -> pd.Series:
        found = rows[(rows["after"] == after) & (rows["task"] == task)].drop_duplicates("seed")
        return 100 * found.set_index("seed")["accuracy"]

    first, *later = e.tasks
    start = seeds(rows[rows["method"] != SINGLE_TASK], first, first)  # of the network that all methods branch from
    reference = {first: start.mean()} | {t: seeds(runs.get("finetune", rows[:0]), t, t).mean() for t in later}
    numbers = {name: {t: seeds(run, e.tasks[-1], t) for t in e.tasks} for name, run in runs.items()}
    if SINGLE_TASK in runs:
        numbers[SINGLE_TASK] = {first: start} | {t: seeds(runs[SINGLE_TASK], t, t) for t in later}
    return numbers, reference


def cell(values: pd.Series, reference: float) -> str:
    """A number a seed as text: mean, half of the 95 % interval where there is one, change against the reference."""
    from ebll.reproduce.verdicts import interval

    values = values.dropna()
    if values.empty:
        return "no run"
    low, high = interval(values)
    spread = "" if np.isnan(low) else f" ± {(high - low) / 2:.1f}"
    change = values.mean() - reference
    if np.isnan(change):  # fine-tuning, the reference of the later tasks, was not run
        return f"{values.mean():.1f}{spread}"
    shown = f"{change:+.1f}".replace("-0.0", "0.0").replace("+0.0", "0.0") if abs(change) > 1e-9 else "ref."
    return f"{values.mean():.1f}{spread} ({shown})"


def summary(
    accuracy: pd.DataFrame, claims: Sequence[Claim], experiments: Sequence[Experiment], failures: Sequence[str] = ()
) -> str:
    """Methods x tasks of these sequences, then the claims, then the runs that diverged, as Markdown."""
    tables = [markdown(final_table(accuracy, e), e.id) for e in experiments]
    parts = ["# Claims", claims_text(claims)] if claims else []
    parts += ["# Runs that diverged", "\n".join(f"- {failure}" for failure in failures)] if failures else []
    return "\n\n".join(["# Methods and tasks", LEGEND.rstrip(), *tables, *parts]) + "\n"


def claims_text(claims: Sequence[Claim]) -> str:
    """The claims that carry a plain id, a paragraph each, then one table of the same claims in the other regimes."""
    paragraphs, elsewhere = [CLAIMS_LEGEND.rstrip()], []
    for claim in claims:
        name, _, regime = claim.id.partition(" ")
        if regime:
            facts = {"claim": name, "where": claim.where, "verdict": claim.verdict}
            elsewhere.append(facts | {"decided by": _told(claim.deciding)})
            continue
        lines = [f"**{claim.id}: {claim.verdict}.** {claim.statement}", f"Where: {claim.where}{claim.remark}."]
        lines += [f"Measured: {_told(part)}." for part in (claim.parts if len(claim.parts) <= 3 else [claim.deciding])]
        paragraphs.append("\n".join(textwrap.fill(line, 120, break_on_hyphens=False) for line in lines))
    if elsewhere:
        paragraphs += ["The same claims elsewhere:", markdown(pd.DataFrame(elsewhere).set_index("claim"), "claim")]
    return "\n\n".join(paragraphs)


def _told(part: Part) -> str:
    """What was measured, of how many seeds, and what was asked for where that is not just more than nothing."""
    form = "+z.2f" if part.unit == "points" else ".1f"
    numbers = [format(value, form) for value in (part.estimate, *part.bounds)]
    spread = "" if np.isnan(part.bounds[0]) else f" ({numbers[1]} to {numbers[2]})"
    asked = f"; asked: above {part.above:g}" if abs(part.above) > SMALL else ""
    seeds = f"{len(part.values)} seed{'s' * (len(part.values) > 1)}"
    return f"{part.what}: {numbers[0]}{spread} {part.unit}{asked}; {seeds}"


def markdown(table: pd.DataFrame, corner: str) -> str:
    """A table of text as aligned Markdown, readable as it is in a terminal."""
    columns = [[corner, *table.index], *([str(c), *table[c]] for c in table.columns)]
    widths = [max(len(cell) for cell in column) for column in columns]
    lines = [
        "| " + " | ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)) + " |"
        for row in zip(*columns, strict=True)
    ]
    return "\n".join([lines[0], "|" + "|".join("-" * (w + 2) for w in widths) + "|", *lines[1:]])


def write_tables(tables: Mapping[str, pd.DataFrame], folder: Path) -> None:
    """Write accuracy.csv, curves.csv, kept.csv and, where gaps were measured, gaps.csv, into a new folder."""
    # The first task's curve is the same for all methods, and the raw terms are the weighted ones over fixed weights.
    curves = tables["curves"]
    losses = [c for c in (f"loss_{name}" for name in TERMS) if curves[c].notna().any()]  # terms that some run has
    shown = [c for c in curves.columns if not c.startswith(("raw_", "loss_", "learning_rate"))]
    first = ["sequence", "method", "seed", "step", "task", "feature_distance", *losses]
    files = dict(tables)
    files["curves"] = curves.loc[curves["task"] != "", [*first, *(c for c in shown if c not in first)]]
    files["accuracy"] = tables["accuracy"][["sequence", "method", "seed", "after", "task", "accuracy", "net"]]
    for name, table in files.items():
        if name != "gaps" or len(table):
            write_table(table, folder / f"{name}.csv")


def write_unfinished(tables: Mapping[str, pd.DataFrame], folder: Path) -> Path:
    """Write the tables of finished runs into the folder `unfinished` of a folder; returns it."""
    drop_unfinished(folder)
    write_tables(tables, unfinished := prepare_folder(folder / UNFINISHED))
    return unfinished


def drop_unfinished(folder: Path) -> None:
    """Remove the tables of an earlier run that was interrupted."""
    for name in COLUMNS:
        (folder / UNFINISHED / f"{name}.csv").unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # there is none, or somebody else's file in it
        (folder / UNFINISHED).rmdir()


def drop_results(folder: Path, keep: Sequence[str]) -> None:
    """Remove the gaps and figures of an earlier run, but for those of these names."""
    names = ["gaps.csv", *(f"{stem}.{suffix}" for stem in FIGURES for suffix in ("png", "svg", "csv", "txt"))]
    for old in [path for name in names for path in folder.glob(name) if path.name not in keep]:
        old.unlink()


def draw(
    accuracy: pd.DataFrame, curves: pd.DataFrame, gaps: pd.DataFrame, claims: Sequence[Claim],
    experiments: Sequence[Experiment], folder: Path,
) -> None:  # fmt: skip
    """Draw every figure that the tables allow into a folder."""
    from ebll import plots
    from ebll.reproduce.claims import by_gap

    pairs = [e for e in experiments if len(e.tasks) == 2]
    alike = by_gap([e for e in pairs if e.regime == drawn(experiments)], gaps)
    curve = (alike or pairs or list(experiments))[0]
    present, figures = set(accuracy["method"]) - {SINGLE_TASK}, {}
    shown = [m for m in ("finetune", "lwf", "ebll", "ebll-separate") if m in present] or sorted(present)
    terms = [m for m in ("finetune", "lwf", "ewc", "code-only", "ebll") if m in present] or sorted(present)
    if (curves["task"] != "").any():  # nothing was measured where no step was logged
        figures["feature-distance"] = plots.feature_distance(curves, curve.id, methods=shown)
        figures["loss-terms"] = plots.loss_terms(curves, curve.id, terms)
        if len(alike) > 1:
            figures["feature-distance-far"] = plots.feature_distance(curves, alike[-1].id, methods=shown)
    if pairs:
        same_net = [e.id for e in pairs if e.net == pairs[0].net]
        figures["forgetting"] = plots.forgetting_bars(accuracy, [e.id for e in pairs])
        figures["stability-plasticity"] = plots.stability_plasticity(accuracy, same_net)
    for net in dict.fromkeys(e.net for e in pairs):
        largest = max(regimes_of(e for e in pairs if e.net == net).values(), key=len)
        measured = gaps[gaps["sequence"].isin([e.id for e in largest])].groupby("sequence")["gap"].mean()
        if {"finetune", "lwf", "ebll"} <= present and len(measured) > 1:
            figures[f"forgetting-by-gap-{net}"] = plots.forgetting_by_gap(accuracy, measured)
    if plain := [claim.as_dict() for claim in claims if " " not in claim.id]:
        figures["claims"] = plots.claims_overview([{**c, "reference": c["above"]} for c in plain])
    for e in experiments:
        if len(e.tasks) > 2:
            figures[f"accuracy-matrix-{e.net}-{len(e.tasks)}"] = plots.accuracy_matrix(accuracy, e.id)
    for name, figure in figures.items():
        plots.save(figure, folder / name)
