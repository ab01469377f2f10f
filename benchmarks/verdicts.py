"""How firm the verdicts are: the headline claims on other seeds, other processors' kernels, disturbed first weights.

    python -m benchmarks.verdicts           # an hour or so; goes on if it was stopped; writes docs/verdicts.md and .csv
    python -m benchmarks.verdicts --only 3  # three repetitions more, to look at

Each repetition makes the runs that the headline claims of the profile `full` need, with seeds of its own: on disjoint
sets of seeds, with the kernels of other processors (the settings of `make test-processors`), and with first weights
that are disturbed by one part in a million. A claim has enough seeds where 19 of 20 repetitions give one verdict.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import os
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import pandas as pd
import torch

from benchmarks.section import write_section
from ebll import protocol
from ebll.comparison import SINGLE_TASK
from ebll.executors import completed, default_workers
from ebll.files import write_table
from ebll.methods import METHODS
from ebll.networks import Network, build_network
from ebll.reproduce.claims import claims_of
from ebll.reproduce.jobs import Job, Tables, jobs_of, run_job
from ebll.reproduce.plan import CLOSE, PROFILES, headline
from ebll.reproduce.report import markdown
from tests.processors import SETTINGS

DOCS = Path(__file__).parents[1] / "docs"
PLAN = PROFILES["full"]
CURVES = [e for e in PLAN.experiments if e.regime == headline("C7", PLAN.experiments)][:1]
REST = [e for e in PLAN.experiments if e.regime == headline("C1", PLAN.experiments)]
DISJOINT, DISTURBED, FIRST_SEED = 12, 4, 1000
NUMBERS = (3, 5, 10, 20, 40)
"""Of seeds, of which the share of the commonest verdict is told."""
DISTURBANCE = 1e-6

PAGE = """# How firm the verdicts are

Written by `python -m benchmarks.verdicts`; the rows behind it are in `verdicts.csv`. The headline claims of the main
job were decided {count} times, each time with {seeds} seeds, {close} for {methods} on pairs, as `ebll reproduce` does:
on {disjoint} disjoint sets of seeds; with the kernels of {processors} other kinds of processors; and {disturbed} times
with first weights disturbed by one part in a million, the seeds being others again. A claim is firm where 19 of 20
verdicts agree.

{claims}

Seeds of all sets together, in disjoint parts of each size: the commonest verdict, and in how many of the parts it came.

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
    seeds = itertools.count(FIRST_SEED, max(PLAN.seeds, PLAN.close))
    return [Repetition(name, next(seeds), environment, disturbed) for name, environment, disturbed in kinds]


def jobs(first_seed: int) -> list[Job]:
    """What the headline claims need, with seeds from this one on; the reference of single tasks is not among it."""
    seeds = range(first_seed, first_seed + PLAN.seeds)
    more = range(first_seed + PLAN.seeds, first_seed + max(PLAN.seeds, PLAN.close))
    rest, curves = (dataclasses.replace(PLAN, experiments=tuple(some)) for some in (REST, CURVES))
    every = [*jobs_of(rest, list(METHODS), seeds, more), *(jobs_of(curves, CLOSE, seeds) if CURVES else ())]
    without = [dataclasses.replace(job, methods=tuple(m for m in job.methods if m != SINGLE_TASK)) for job in every]
    return sorted(without, key=lambda job: -job.work)


def disturbed_network(*given: Any) -> Network:
    """`build_network`, with every weight changed by about one part in a million."""
    net = build_network(*given)
    with torch.no_grad():
        for weight in net.parameters():
            weight *= 1 + DISTURBANCE * torch.randn_like(weight)
    return net


def run_disturbed(job: Job) -> Tables:
    """`run_job` with disturbed first weights."""
    with mock.patch.object(protocol, "build_network", disturbed_network):
        return run_job(job)


def make(one: Repetition, folder: Path) -> None:
    """Run a repetition, in this process's environment; its tables go to a folder."""
    tables, todo = Tables(), jobs(one.first_seed)
    worker = run_disturbed if one.disturbed else run_job
    for _, result in completed(worker, todo, workers=min(default_workers(), len(todo))):
        tables.add(result)
    if tables.failures:
        raise SystemExit(f"{one.name}: {tables.failures[0]}")
    part = Path(tempfile.mkdtemp(dir=folder.parent))
    for name, table in tables.joined([*REST, *CURVES]).items():
        table.to_csv(part / f"{name}.csv", index=False)
    part.rename(folder)


def tables_of(folder: Path) -> dict[str, pd.DataFrame]:
    """Accuracy, curves and gaps of a repetition."""
    return {
        name: pd.read_csv(folder / f"{name}.csv", keep_default_na=False, na_values=[""]).fillna({"task": ""})
        for name in ("accuracy", "curves", "gaps")
    }


def decided(tables: dict[str, pd.DataFrame]) -> list[dict[str, Any]]:
    """The headline claims of some tables."""
    claims = claims_of(tables["accuracy"], tables["curves"], tables["gaps"], [*REST, *CURVES])
    return [claim.as_dict() for claim in claims if " " not in claim.id]


def by_number(found: list[dict[str, pd.DataFrame]], close: set[str]) -> pd.DataFrame:
    """Claim x number of seeds: the commonest verdict on disjoint parts of that many seeds, of all that were run.

    close   claims that the seeds of the methods `CLOSE` decide, of which there are more
    """
    pool = {name: pd.concat([tables[name] for tables in found]) for name in found[0]}
    rows: dict[str, dict[str, str]] = {}
    for number in NUMBERS:
        verdicts: dict[str, list[str]] = {}
        for few, of in ((False, "curves"), (True, "accuracy")):
            seeds = pool[of]["seed"].unique()
            for start in range(0, len(seeds) - number + 1, number):
                own = seeds[start : start + number]
                part = {name: table[table["seed"].isin(own)] for name, table in pool.items()} | {"gaps": pool["gaps"]}
                for claim in decided(part):
                    if (claim["id"] in close) == few:
                        verdicts.setdefault(claim["id"], []).append(claim["verdict"])
        for name, several in verdicts.items():
            ((verdict, times),) = Counter(several).most_common(1)
            rows.setdefault(name, {})[f"{number} seeds"] = f"{verdict}, {times} of {len(several)}"
    return pd.DataFrame.from_dict(rows, orient="index").fillna("").sort_index()


def page(found: dict[str, dict[str, pd.DataFrame]]) -> tuple[str, pd.DataFrame]:
    """docs/verdicts.md, and the table of all repetitions' claims behind it."""
    rows = [{"repetition": name, **claim} for name, tables in found.items() for claim in decided(tables)]
    table, lines = pd.DataFrame(rows), {}
    for name, claims in table.groupby("id"):
        verdicts = Counter(claims["verdict"])
        told = ", ".join(f"{verdict} {times} of {len(claims)}" for verdict, times in verdicts.most_common())
        low, mean, high = claims["estimate"].agg(["min", "mean", "max"])
        lines[name] = {
            "claim": claims["statement"].iloc[0],
            "seeds": str(claims["seeds"].iloc[0]),
            "verdicts": told,
            "estimates": f"{mean:+.2f}, from {low:+.2f} to {high:+.2f} {claims['unit'].iloc[0]}",
        }
    facts = {
        "count": len(found), "seeds": PLAN.seeds, "close": PLAN.close, "methods": " and ".join(CLOSE),
        "disjoint": DISJOINT, "processors": len(SETTINGS), "disturbed": DISTURBED,
    }  # fmt: skip
    claims = markdown(pd.DataFrame.from_dict(lines, orient="index"), "id")
    sizes = by_number(list(found.values()), set(table.loc[table["seeds"] > PLAN.seeds, "id"]))
    return PAGE.format(**facts, claims=claims, sizes=markdown(sizes, "claim")), table


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
    missing = [i for i, one in enumerate(every) if not (given.out / one.name).exists()]
    for i in missing[: given.only]:
        command = [sys.executable, "-m", "benchmarks.verdicts", "--out", str(given.out), "--make", str(i)]
        subprocess.run(command, env=os.environ | every[i].environment, check=True)  # kernels are chosen at the start
        print(f"{every[i].name}: made", flush=True)
    found = {one.name: tables_of(given.out / one.name) for one in every if (given.out / one.name).exists()}
    text, table = page(found)
    print(text)
    if len(found) == len(every):
        write_table(table, DOCS / "verdicts.csv")
        write_section(DOCS / "verdicts.md", "verdicts", text)


if __name__ == "__main__":
    main()
