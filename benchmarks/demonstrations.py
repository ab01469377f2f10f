"""Where demonstrations run: settings of the forgetting lab at which an effect is large, found on validation data.

    python -m benchmarks.demonstrations            # writes docs/demonstrations.csv and .md; goes on if stopped
    python -m benchmarks.demonstrations --restart  # begins again

A regime is one setting of the lab and an effect to be seen there, written as rungs: runs of which each is to keep more
of the old task than the one before. Every candidate is run on one seed, the best of each regime and new task on four
more, and what wins there by the rule of docs/demonstrations.md on the seeds that the notebooks use.
`ebll.course.DEMONSTRATIONS` holds the winners; a test compares the two.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import itertools
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch

from benchmarks.choose_settings import NEW_TASKS, SEEDS
from ebll.executors import completed
from ebll.files import write_table
from ebll.plots import METHODS as LOOKS
from ebll.reproduce.report import markdown
from ebll.widgets import LabConfig, run
from ebll.widgets.config import acts_on

DOCS = Path(__file__).parents[1] / "docs"
SCREENED, LESSON = (SEEDS[0],), tuple(range(5))
COST = 3.0  # points of the new task by which the rungs may differ
CLOSE = 2.0  # points below the best score within which the smaller learning rate is taken
PART = 10  # runs between two writings of the rows
RATES, ALPHAS, DISTILLED = (0.02, 0.03, 0.05), (0.3, 1.0, 3.0, 10.0), (0.0, 0.5, 1.0)
CHANGED_AT = 60
HOW = {"mean": np.mean, "min": min, "max": max}
Rows = dict[tuple[str, int], dict]
"""(line, seed) -> the row of that run."""

PAGE = """# Where demonstrations run

Written by `python -m benchmarks.demonstrations`; every run is a row of `demonstrations.csv`. **These are not
rankings.** A demonstration runs where an effect is large enough to be seen in one run, with weights that were chosen
for that; what the kit claims of the methods rests on weights that were tuned for each ([settings.md](settings.md)).

The net is `mlp`, the old task is letters, learned with the usual settings. Everything is read on validation images.
A regime is written as rungs, of which each is to keep more of the old task than the one before:

{asked}

The rule. A candidate is suitable if no run of it diverged or drew a warning, the mean accuracies of its rungs on the
new task lie within {cost:g} points, and its score is above 0. The score is the smallest gap between neighbouring rungs
in points of the old task: for methods (*weights*, *code-term*) from the highest seed of a rung to the lowest of the
next, so that the ranges over the seeds are apart; for a slider, which is moved within one seed, on the seed where it
is least. Of the candidates within {close:g} points of the best score the one with the smallest learning rate is taken,
then the best, then the one with the largest rise of the means. At first the gap of the means was the score, which
overlooks how far seeds lie apart: the rule was changed when the seeds {chosen} and 0 to 4 of its winners had been seen.

Candidates: {counted}.
All were run on seed {screened}, the best of each regime and new task on the seeds {chosen}, by which the winner is
taken. The numbers below are those of the winners on the seeds {lesson}, by which no candidate was chosen: mean, and in
brackets the lowest and the highest seed; before the new task it is {before:.1f} % of letters. *Least step*: by how many
points more than with the rung before, on the seed where that is least.

{table}

`ebll.course.DEMONSTRATIONS` has the regimes by these names:

{lines}
"""


class Regime(NamedTuple):
    """What is to be seen.

    asked   the rungs in words
    paired  whether the rungs are those of a slider, which is moved within one seed, and not methods over seeds
    """

    asked: str
    paired: bool = True


REGIMES = {
    "weights": Regime("fine-tuning, LwF, EBLL", paired=False),
    "code-term": Regime("fine-tuning, EBLL without distillation", paired=False),
    "alpha": Regime("EBLL with three values of alpha over a decade"),
    "lambda": Regime("EBLL with two values of the reconstruction weight"),
    "what-if": Regime(f"EBLL with alpha 0 from step {CHANGED_AT} on, EBLL with alpha all the way"),
}


class Candidate(NamedTuple):
    """A setting for a regime: the line that the lab opens with, and a line of one run for each rung, by name."""

    regime: str
    line: str
    rungs: tuple[tuple[str, str], ...]


def rung(config: LabConfig, method: str) -> str:
    """The line of one method's run, in which what it does not use stands at its default."""
    usual = LabConfig()
    unused = [n for n in config.metadata() if hasattr(usual, n) and not acts_on(n, [method])]
    return config.replace(methods=(method,), **{n: getattr(usual, n) for n in unused}).line()


@functools.cache
def candidates() -> list[Candidate]:
    """All candidates of all regimes."""
    found = []

    def add(regime: str, config: LabConfig, rungs: dict[str, tuple[LabConfig, str]]) -> None:
        methods = ("finetune", "lwf", "ebll") if config.distill_weight else ("finetune", "ebll")
        methods = ("ebll",) if regime == "what-if" else methods
        lines = tuple((name, rung(*of)) for name, of in rungs.items())
        found.append(Candidate(regime, config.replace(methods=methods).line(), lines))

    for new, rate, distilled in itertools.product(NEW_TASKS, RATES, DISTILLED):
        base = LabConfig(new=new, learning_rate=rate, distill_weight=distilled)
        finetune = {LOOKS["finetune"].label: (base, "finetune")}
        for alpha in ALPHAS:
            one = base.replace(alpha=alpha)
            ebll = {LOOKS["ebll"].label: (one, "ebll")}
            lwf = {LOOKS["lwf"].label: (base, "lwf")} if distilled else {}
            add("weights" if distilled else "code-term", one, finetune | lwf | ebll)
            if distilled < 1 and alpha >= 3:
                changed = one.replace(changes=[(CHANGED_AT, "alpha", 0.0)])
                add("what-if", changed, {"alpha 0": (changed, "ebll"), f"alpha {alpha:g}": (one, "ebll")})
        for three in zip(ALPHAS, ALPHAS[1:], ALPHAS[2:], strict=False):
            add("alpha", base.replace(alpha=three[1]),
                {f"alpha {a:g}": (base.replace(alpha=a), "ebll") for a in three})  # fmt: skip
    for new, size, alpha in itertools.product(NEW_TASKS, (4, 16), (3.0, 10.0)):
        base = LabConfig(new=new, learning_rate=0.03, code_size=size, alpha=alpha, distill_weight=0.0)
        for two in itertools.permutations((0.0, 0.01, 10.0), 2):
            rungs = {f"lambda {w:g}": (base.replace(recon_weight=w), "ebll") for w in two}
            add("lambda", base.replace(recon_weight=two[1]), rungs)
    return found


def measure(part: tuple[int, Sequence[str]]) -> list[dict]:
    """A row a line on one seed: validation accuracies of the old task before, of both at the end, and warnings."""
    torch.set_num_threads(1)
    seed, rows = part[0], []
    for line in part[1]:
        made = run(line, seed=seed)
        ((old, new),) = made.validation.values() or [(0.0, 0.0)]  # where it diverged, all is forgotten
        facts = {"line": line, "seed": seed, "notes": len(made.notes)}
        rows.append(facts | {"before": made.before, "old": old, "new": new})
    return rows


def summary(candidate: Candidate, table: Rows, seeds: Sequence[int]) -> list[dict]:
    """For each rung means in %, and lowest and highest seed, of the old and of the new task; warnings; and `step`, the
    least that a seed keeps more of the old task than with the rung before, in points."""
    rungs, before = [], None
    for name, line in candidate.rungs:
        rows = [table[line, seed] for seed in seeds]
        of = {f"{task} {how}": 100 * HOW[how]([row[task] for row in rows]) for task in ("old", "new") for how in HOW}
        old = np.array([row["old"] for row in rows])
        step = math.nan if before is None else 100 * (old - before).min()
        rungs.append({"rung": name, **of, "notes": sum(row["notes"] for row in rows), "step": step})
        before = old
    return rungs


def score(regime: Regime, rungs: list[dict]) -> tuple[float, float] | None:
    """In points of the old task: the smallest gap between neighbouring rungs, and the rise of the means from the first
    to the last; None if unsuitable. A gap is that of the ranges over seeds, or within the seed where it is least."""
    apart = min(high["old min"] - low["old max"] for low, high in itertools.pairwise(rungs))
    gap = min(one["step"] for one in rungs[1:]) if regime.paired else apart
    new = [one["new mean"] for one in rungs]
    suitable = gap > 0 and max(new) - min(new) <= COST and not any(one["notes"] for one in rungs)
    return (gap, rungs[-1]["old mean"] - rungs[0]["old mean"]) if suitable else None


def ranked(name: str, table: Rows, seeds: Sequence[int]) -> list[Candidate]:
    """The suitable candidates of a regime that were run on these seeds, in the order of the rule."""
    there = [one for one in candidates() if one.regime == name]
    there = [one for one in there if all((line, seed) in table for _, line in one.rungs for seed in seeds)]
    scores = {one: score(REGIMES[name], summary(one, table, seeds)) for one in there}
    found = {one: scored for one, scored in scores.items() if scored}
    best = max((gap for gap, _ in found.values()), default=0.0)

    def order(one: Candidate) -> tuple:
        gap, whole = found[one]
        close = gap >= best - CLOSE
        return not close, LabConfig.read(one.line).learning_rate if close else 0.0, -gap, -whole

    return sorted(found, key=order)


def wanted(rows: list[dict]) -> list[tuple[str, int]]:
    """Line and seed of each run that is still to be made, of the earliest stage that is not whole."""
    table = indexed(rows)
    todo = [(line, seed) for seed in SCREENED for one in candidates() for _, line in one.rungs]
    if not (left := [each for each in dict.fromkeys(todo) if each not in table]):
        todo = [(line, seed) for seed in SEEDS for one in finalists(table) for _, line in one.rungs]
        if not (left := [each for each in dict.fromkeys(todo) if each not in table]):
            todo = [(line, seed) for seed in LESSON for one in winners(table).values() for _, line in one.rungs]
            left = [each for each in dict.fromkeys(todo) if each not in table]
    return left


def finalists(table: Rows) -> list[Candidate]:
    """For each regime and new task the candidate that is best on the seeds that all were run on."""
    best = {}
    for name in REGIMES:
        for one in ranked(name, table, SCREENED):
            best.setdefault((name, LabConfig.read(one.line).new), one)
    return list(best.values())


def winners(table: Rows) -> dict[str, Candidate]:
    """Regime -> the candidate that won; a regime without a suitable one is left out. EBLL's separate operators are
    shown beside the methods, and not part of the rule."""
    won = {name: found[0] for name in REGIMES if (found := ranked(name, table, list(SEEDS)))}
    if "weights" in won:
        one = won["weights"]
        separate = (LOOKS["ebll-separate"].label, rung(LabConfig.read(one.line), "ebll-separate"))
        won["weights"] = one._replace(rungs=(*one.rungs, separate))
    return won


def indexed(rows: list[dict]) -> Rows:
    """The rows by line and seed."""
    return {(row["line"], row["seed"]): row for row in rows}


def work(rows: list[dict], workers: int) -> Iterator[list[dict]]:
    """All that is not among these rows yet; yields them with each part's rows as it ends."""
    while left := wanted(rows):
        parts = []
        for seed, some in itertools.groupby(left, key=lambda each: each[1]):
            lines = [line for line, _ in some]
            parts += [(seed, lines[i : i + PART]) for i in range(0, len(lines), PART)]
        with contextlib.closing(completed(measure, parts, workers=workers)) as results:
            for _, part in results:
                rows = [*rows, *part]
                yield rows
    yield rows


def page(rows: list[dict]) -> str:
    """docs/demonstrations.md."""
    table = indexed(rows)
    won, lines = winners(table), {}
    for name, one in won.items():
        for row in summary(one, table, LESSON):
            told = "{:.1f} ({:.1f} to {:.1f})"
            cells = {f"{task}, %": told.format(*(row[f"{task} {how}"] for how in HOW)) for task in ("old", "new")}
            step = "" if math.isnan(row["step"]) else f"{row['step']:+.1f}"
            lines[f"{name}: {row['rung']}"] = cells | {"least step": step}
    counts = pd.Series([one.regime for one in candidates()]).value_counts()
    return PAGE.format(
        asked="\n".join(f"- *{name}*: {regime.asked}" for name, regime in REGIMES.items()),
        before=100 * np.mean([row["before"] for row in rows if row["seed"] in LESSON]),
        cost=COST, close=CLOSE, lesson=f"{LESSON[0]} to {LESSON[-1]}",
        screened=SCREENED[0], chosen=f"{min(SEEDS)} to {max(SEEDS)}",
        counted=", ".join(f"{counts[name]} for *{name}*" for name in REGIMES),
        table=markdown(pd.DataFrame.from_dict(lines, orient="index"), "regime: rung"),
        lines="\n".join(f"- *{name}*: `{one.line}`" for name, one in won.items()),
    )  # fmt: skip


def main() -> None:
    """Run what is missing, keep the rows as they come, write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--restart", action="store_true", help="begin again, in place of going on")
    parser.add_argument("--workers", type=int, default=1)
    given, path = parser.parse_args(), DOCS / "demonstrations.csv"
    known = pd.read_csv(path).to_dict("records") if path.exists() and not given.restart else []
    for rows in work(known, given.workers):
        write_table(pd.DataFrame(rows), path)
        print(f"{len(rows)} rows", flush=True)
    text = page(pd.read_csv(path).to_dict("records"))  # the page is made from the rows as they are kept
    (DOCS / "demonstrations.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
