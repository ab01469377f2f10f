"""How firm the verdicts are: the headline claims on other seeds, other processors' kernels, disturbed first weights.

    python -m benchmarks.verdicts           # an hour or so; goes on if it was stopped; writes docs/verdicts.md and .csv
    python -m benchmarks.verdicts --only 3  # three repetitions more, to look at: no page is written before the last

Each repetition makes the runs that the headline claims of the profile `full` need, with seeds of its own: on disjoint
sets of seeds, with the kernels of other processors (the settings of `make test-processors`), and with first weights
that are disturbed by one part in a million. A claim has enough seeds where 19 of 20 repetitions give one verdict.
"""

from __future__ import annotations

import argparse
import itertools
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple
from unittest import mock

import pandas as pd
import torch

from benchmarks.section import write_section
from ebll import protocol
from ebll.comparison import SINGLE_TASK
from ebll.config import NEW_TASK_IMAGES
from ebll.executors import completed, default_workers
from ebll.files import write_table
from ebll.methods import method_from
from ebll.networks import NetSpec, Network, build_network
from ebll.reproduce import versions
from ebll.reproduce.claims import claims_of, seed_outcomes
from ebll.reproduce.jobs import Job, Tables, jobs_of, run_job
from ebll.reproduce.plan import PROFILES, headline
from ebll.reproduce.report import markdown
from ebll.reproduce.verdicts import Claim
from ebll.settings import MAIN_METHODS, NET_NAMES
from tests.processors import SETTINGS

DOCS = Path(__file__).parents[1] / "docs"
PLAN = PROFILES["full"]
CURVES = [e for e in PLAN.experiments if e.regime == headline("C7", PLAN.experiments)][:1]
REST = [e for e in PLAN.experiments if e.regime == headline("C1", PLAN.experiments)]
DISJOINT, DISTURBED, FIRST_SEED = 12, 4, 1000
SEEDS = max(number for more in PLAN.more for number in more.seeds.values())
NUMBERS = (3, 5, 8, 10, 12, 16, 20, 26)
"""Of seeds, for which it is told how often each verdict came."""
DISTURBANCE = 1e-6
MADE_BY = "plan.txt"

PAGE = """# How firm the verdicts are

Written by `python -m benchmarks.verdicts`; the rows behind it are in `verdicts.csv`. The headline claims of the
main job were decided {count} times, each time with as many seeds as `ebll reproduce` has, others in each
repetition: on {seeds} disjoint sets of seeds; {processor} times with settings of the numeric libraries that stand
for other processors; and {disturbed} times with first weights disturbed by one part in a million. A claim is firm
where 19 of 20 verdicts agree. Beside the verdicts stands the part that decided, with the mean of its estimates and,
in brackets, the smallest and the largest of them; the seeds are those of one repetition.

{claims}

How many seeds it takes. The numbers of all repetitions together, each part of a claim cut into disjoint groups of
so many seeds; a cell counts the verdicts of the groups.

{sizes}
"""


class Repetition(NamedTuple):
    """One repetition of the plan: its seeds, its environment, and whether first weights are disturbed."""

    name: str
    first_seed: int
    environment: dict[str, str]
    disturbed: bool = False


def repetitions() -> list[Repetition]:
    """All of them; each has seeds of its own."""
    kinds = [(f"seeds {i + 1}", {}, False) for i in range(DISJOINT)]
    kinds += [(f"processor {name}", environment, False) for name, environment in SETTINGS.items()]
    kinds += [(f"disturbed {i + 1}", {}, True) for i in range(DISTURBED)]
    seeds = itertools.count(FIRST_SEED, SEEDS)
    return [Repetition(name, next(seeds), environment, disturbed) for name, environment, disturbed in kinds]


def jobs(first_seed: int) -> list[Job]:
    """What the headline claims need, with seeds from this one on; the reference of single tasks is not among it."""
    seeds, made = range(first_seed, first_seed + PLAN.seeds), []
    for some, methods in ((CURVES, ["lwf", "ebll"]), (REST, MAIN_METHODS)):  # the CNN takes longest
        more = [one for one in PLAN.more if set(one.experiments) <= set(some)]
        made += jobs_of(replace(PLAN, experiments=tuple(some)), methods, seeds, more)
    return [replace(job, methods=tuple(m for m in job.methods if m != SINGLE_TASK)) for job in made]


def disturbed_network(net: NetSpec, input_shape: tuple[int, ...], seed: int) -> Network:
    """`build_network`, with every weight changed by about one part in a million."""
    made, stream = build_network(net, input_shape, seed), torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in made.parameters():
            weight *= 1 + DISTURBANCE * torch.randn(weight.shape, generator=stream)
    return made


def run_disturbed(job: Job) -> Tables:
    """`run_job` with disturbed first weights."""
    with mock.patch.object(protocol, "build_network", disturbed_network):
        return run_job(job)


def plan_of(one: Repetition) -> str:
    """What decides the runs of a repetition, but for the code itself."""
    methods = [method_from(name, PLAN.weights) for name in MAIN_METHODS]
    nets = [build_network(net, (1, 28, 28)) for net in NET_NAMES]
    facts = [versions(), DISTURBANCE, NEW_TASK_IMAGES, *methods, *nets, one, *jobs(one.first_seed)]
    return "\n".join(map(repr, facts)) + "\n"


def whole(one: Repetition, folder: Path) -> bool:
    """Whether a repetition has been made, by the present plan."""
    note = folder / one.name / MADE_BY
    return note.exists() and note.read_text(encoding="utf-8") == plan_of(one)


def make(one: Repetition, folder: Path) -> None:
    """Run a repetition, in this process's environment; its tables go to a folder."""
    tables, todo = Tables(), jobs(one.first_seed)
    worker = run_disturbed if one.disturbed else run_job
    for _, result in completed(worker, todo, workers=min(default_workers(), len(todo))):
        tables.add(result)
    print("\n".join(tables.failures), end="")  # a run that diverged decides nothing, as in the main job
    part = Path(tempfile.mkdtemp(dir=folder.parent))
    (part / MADE_BY).write_text(plan_of(one), encoding="utf-8")
    for name, table in tables.joined([*REST, *CURVES]).items():
        table.to_csv(part / f"{name}.csv", index=False)
    shutil.rmtree(folder, ignore_errors=True)  # of another plan
    part.rename(folder)


def tables_of(folder: Path) -> dict[str, pd.DataFrame]:
    """Accuracy, curves and gaps of a repetition."""
    return {
        name: pd.read_csv(folder / f"{name}.csv", keep_default_na=False, na_values=[""]).fillna({"task": ""})
        for name in ("accuracy", "curves", "gaps")
    }


def decided(tables: dict[str, pd.DataFrame]) -> list[Claim]:
    """The headline claims of some tables."""
    outcomes = seed_outcomes(tables["accuracy"], [*REST, *CURVES])
    claims = claims_of(outcomes, tables["curves"], tables["gaps"], [*REST, *CURVES])
    return [claim for claim in claims if " " not in claim.id]


def by_number(found: list[dict[str, pd.DataFrame]]) -> pd.DataFrame:
    """Claim x number of seeds: how often each verdict came on disjoint groups of so many of the seeds that were run."""
    rows: dict[str, dict[str, str]] = {}
    for claim in decided({name: pd.concat([tables[name] for tables in found]) for name in found[0]}):
        for n in NUMBERS:
            several = min(len(part.values) // n for part in claim.parts)
            verdicts: Counter[str] = Counter()
            for i in range(several):
                parts = tuple(replace(part, values=part.values[i * n : (i + 1) * n]) for part in claim.parts)
                verdicts[replace(claim, parts=parts).verdict] += 1
            if verdicts:
                told = ", ".join(f"{times} {verdict}" for verdict, times in verdicts.most_common())
                rows.setdefault(claim.id, {})[f"{n} seeds"] = told
    return pd.DataFrame.from_dict(rows, orient="index").fillna("")


def page(found: dict[str, dict[str, pd.DataFrame]]) -> tuple[str, pd.DataFrame]:
    """docs/verdicts.md, and the table of all repetitions' claims behind it."""
    rows = [{"repetition": name, **claim.as_dict()} for name, tables in found.items() for claim in decided(tables)]
    table, lines = pd.DataFrame(rows), {}
    for name, claims in table.groupby("id", sort=False):
        verdicts = ", ".join(f"{verdict} {times}" for verdict, times in Counter(claims["verdict"]).most_common())
        cells = {"claim": claims["statement"].iloc[0], "verdicts": f"{verdicts} of {len(claims)}"}
        for what, some in claims.groupby("measured", sort=False):  # which part decides may differ
            low, mean, high = some["estimate"].agg(["min", "mean", "max"])
            numbers = f"{mean:.2f} ({low:.2f} to {high:.2f}) {some['unit'].iloc[0]}"
            told = f"{what}, {some['seeds'].iloc[0]} seeds: {numbers}"
            cells["decided by"] = f"{cells['decided by']}; {told}" if "decided by" in cells else told
        lines[name] = cells
    facts = {kind: sum(name.startswith(kind) for name in found) for kind in ("seeds", "processor", "disturbed")}
    claims = markdown(pd.DataFrame.from_dict(lines, orient="index"), "id")
    sizes = markdown(by_number(list(found.values())), "claim")
    return PAGE.format(count=len(found), **facts, claims=claims, sizes=sizes), table


def main() -> None:
    """Make what is missing, then write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("out/verdicts"), help="where tables are kept (%(default)s)")
    parser.add_argument("--only", type=int, help="stop after this many")
    parser.add_argument("--make", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    every = repetitions()
    if given.make is not None:
        make(every[given.make], given.out / every[given.make].name)
        return
    missing = [i for i, one in enumerate(every) if not whole(one, given.out)]
    for i in missing[: given.only]:
        command = [sys.executable, "-m", "benchmarks.verdicts", "--out", str(given.out), "--make", str(i)]
        subprocess.run(command, env=os.environ | every[i].environment, check=True)  # kernels are chosen at the start
        print(f"{every[i].name}: made", flush=True)
    if not (found := {one.name: tables_of(given.out / one.name) for one in every if whole(one, given.out)}):
        return
    text, table = page(found)
    print(text)
    if len(found) < len(every):
        return
    write_table(table, DOCS / "verdicts.csv")
    write_section(DOCS / "verdicts.md", "verdicts", text)


if __name__ == "__main__":
    main()
