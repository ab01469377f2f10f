"""The main job: every method on every sequence of a profile, then tables, claims and pictures.

reproduce("fast", out="out")        # what `ebll reproduce --profile fast --out out` calls
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import torch

from ebll.config import PRESETS
from ebll.errors import InputError, check_choice, check_count
from ebll.experiments import report
from ebll.experiments.jobs import Job, Result, Steps, jobs_of, longest, run_jobs
from ebll.experiments.plan import ALONE, Experiment, plan
from ebll.methods import METHODS
from ebll.recording import ACCURACY_COLUMNS, CURVE_COLUMNS, TERMS
from ebll.workers import default_workers

if TYPE_CHECKING:
    from ebll.experiments.verdicts import Claim

__all__ = ["Collector", "Outcome", "choose_device", "conclude", "reproduce", "versions", "write_tables"]

FACTS = ["sequence", "net", "method", "seed"]
DRAWING = 700.0
"""Work of the tables, claims and figures of one more sequence, as `Job.work_left` counts it; what does not grow with
their number, imports and tables for the most part, is five times as much."""


@dataclass
class Outcome:
    """What the main job leaves; also written to its folder."""

    accuracy: pd.DataFrame
    curves: pd.DataFrame
    kept: pd.DataFrame
    gaps: pd.DataFrame
    claims: list[Claim]
    experiments: tuple[Experiment, ...]
    failures: list[str]
    folder: Path

    def table(self, e: Experiment) -> str:
        """Methods x tasks of one sequence, to print."""
        return report.markdown(report.final_table(self.accuracy, e), f"{e.id}")


class Collector:
    """Takes results as they come, in any order; its tables are in the order of the plan."""

    def __init__(self, experiments: Sequence[Experiment]):
        self.results: list[Result] = []
        self._place = {e.id: i for i, e in enumerate(experiments)}
        self._method = {name: i for i, name in enumerate([ALONE, *METHODS])}

    def table(self, name: str, columns: Sequence[str]) -> pd.DataFrame:
        """All rows of one kind with the facts of their run before them."""
        ordered = sorted(
            self.results,
            key=lambda r: (self._place[r.facts["sequence"]], self._method[r.facts["method"]], r.facts["seed"]),
        )
        rows = [{**result.facts, **row} for result in ordered for row in getattr(result, name)]
        return pd.DataFrame(rows, columns=[*FACTS, *columns])


def reproduce(
    profile: str = "full",
    *,
    seeds: int | None = None,
    first_seed: int = 0,
    out: str | Path = "out",
    device: str = "auto",
    methods: str | Sequence[str] | None = None,
    workers: int | None = None,
    on_start: Callable[[Sequence[Job], int], None] | None = None,
    on_progress: Callable[[int, int, str, float], None] | None = None,
) -> Outcome:
    """Run a profile and write its results.

    profile       "full" or "fast"; see `ebll.experiments.plan`
    seeds         how many, in place of the profile's number; they count up from `first_seed`
    out           folder for accuracy.csv, curves.csv, claims.json, the other tables and the pictures
    device        "auto", "cpu" or "cuda"
    methods       one name, or several, to run in place of all
    workers       processes; as many as cores (at most 8) unless given
    on_start      called once all is checked, before anything is trained, with the jobs and the number of processes
    on_progress   called a few times a second, once a first task is loaded, with runs done, runs in all, the name of the
                  run finished last, and the share of the work that is done: of the process that has most of it, counted
                  in optimiser steps, and of the tables and figures at the end
    returns       an `Outcome`; if interrupted, what was finished is in the folder before the error goes on,
                  and claims and summaries of an earlier run there are removed
    """
    chosen = plan(profile)
    seeds = check_count(chosen.seeds if seeds is None else seeds, "seeds")
    first_seed = check_count(first_seed, "first_seed", low=0)
    methods = [methods] if isinstance(methods, str) else methods or METHODS
    names = list(dict.fromkeys(check_choice(name, METHODS, "Method") for name in methods))
    device = choose_device(device)
    folder = report.prepare_folder(out)
    jobs = jobs_of(chosen.experiments, names, range(first_seed, first_seed + seeds), device)
    workers = min(default_workers() if workers is None else check_count(workers, "workers"), len(jobs))
    total, left = sum(job.runs for job in jobs), {job: job.work_left() for job in jobs}
    drawing = DRAWING * (5 + len(chosen.experiments))
    whole, name = longest(left.values(), workers) + drawing, ""
    collector = Collector(chosen.experiments)
    if on_start:
        on_start(jobs, workers)

    def take(came: Result | Steps) -> None:
        nonlocal name
        if isinstance(came, Result):
            collector.results.append(came)
            name = f"{came.facts['sequence']} {came.facts['method']}"
        else:
            left[came.job] = came.job.work_left(came.done)
            name = name or f"{came.job.net}: {came.job.first} loaded"
        if on_progress:
            on_progress(len(collector.results), total, name, 1 - (longest(left.values(), workers) + drawing) / whole)

    try:
        run_jobs(jobs, workers, take)
        if on_progress:
            on_progress(total, total, "tables and figures", 1 - drawing / whole)
    except BaseException:
        if collector.results:  # else a stop in the first seconds would empty the tables of an earlier run
            write_tables(collector, folder)
            report.drop_conclusions(folder)  # those of an earlier run would not belong to these tables
        raise
    about = {
        "profile": profile,
        "seeds": list(range(first_seed, first_seed + seeds)),
        "sequences": [e.id for e in chosen.experiments],
        "settings": {net: repr(preset) for net, preset in PRESETS.items()},
        **versions(),
        "device": device,
    }
    return conclude(collector, chosen.experiments, folder, about)


def choose_device(name: str) -> str:
    """ "auto" is the GPU where torch sees one, else the processor; "cuda" without a GPU is refused."""
    check_choice(name, ("auto", "cpu", "cuda"), "Device")
    if name == "cuda" and not torch.cuda.is_available():
        raise InputError("Device: 'cuda' was asked for, but torch sees no GPU here. Use --device cpu, or auto.")
    return ("cuda" if torch.cuda.is_available() else "cpu") if name == "auto" else name


def write_tables(collector: Collector, folder: Path) -> dict[str, pd.DataFrame]:
    """Write accuracy.csv, curves.csv, kept.csv and, where gaps were measured, gaps.csv; returns them in full."""
    losses = [f"loss_{name}" for name in TERMS]
    tables = {
        "accuracy": collector.table("accuracy", ACCURACY_COLUMNS),
        "curves": collector.table("curves", CURVE_COLUMNS),
        "kept": collector.table("kept", ["after", "bytes", "accuracy_direct", "accuracy_reconstructed"]),
        "gaps": collector.table("gaps", ["old", "new", "gap"]),
    }
    files = dict(tables)
    # The first task's curve is the same for all methods, and the raw terms are the weighted ones over fixed weights.
    shown = tables["curves"][(tables["curves"]["task"] != "")]
    columns = [c for c in shown.columns if not c.startswith("raw_") and c not in ("learning_rate", "loss_total", "net")]
    first = ["sequence", "method", "seed", "step", "task", "feature_distance", *losses]
    files["curves"] = shown[[*first, *(c for c in columns if c not in first)]]
    files["accuracy"] = tables["accuracy"][["sequence", "method", "seed", "after", "task", "accuracy", "net"]]
    for name, table in files.items():
        if name != "gaps" or len(table):
            report.write_table(table, folder / f"{name}.csv")
    return tables


def versions() -> dict[str, str]:
    """Of ebll, torch and Python, for the description of a run."""
    python = platform.python_version()
    return {"ebll": version("ebll"), "torch": torch.__version__.partition("+")[0], "python": python}


def conclude(
    collector: Collector, experiments: Sequence[Experiment], folder: Path, about: Mapping[str, Any]
) -> Outcome:
    """Write tables, claims, summaries and pictures of results, and what the run was (`about`, as JSON can hold it)."""
    from ebll.experiments.claims import claims_of
    from ebll.experiments.outcomes import seed_outcomes
    from ebll.experiments.verdicts import parts_table

    tables = write_tables(collector, folder)
    report.drop_conclusions(folder)  # a stop from here on must not leave those of an earlier run beside these tables
    failures = [result.failure for result in collector.results if result.failure]
    claims = claims_of(tables["accuracy"], tables["curves"], tables["gaps"], experiments)
    report.write_json([claim.as_dict() for claim in claims], folder / "claims.json")
    report.write_table(parts_table(claims), folder / "claims-parts.csv")
    report.write_table(seed_outcomes(tables["accuracy"]), folder / "outcomes.csv")
    text = [report.markdown(report.final_table(tables["accuracy"], e), e.id) for e in experiments]
    report.write_text("\n\n".join(["# Methods and tasks", report.LEGEND, *text]) + "\n", folder / "tables.md")
    report.write_json(dict(about), folder / "run.json")
    outcome = Outcome(**tables, claims=claims, experiments=tuple(experiments), failures=failures, folder=folder)
    report.draw(tables["accuracy"], tables["curves"], tables["gaps"], claims, experiments, folder)
    return outcome
