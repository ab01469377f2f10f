"""The main job: every method on every sequence of a profile, then tables, claims and figures.

    reproduce("fast", out="out")        # what `ebll reproduce --profile fast --out out` calls

`plan` has the sequences, `jobs` runs them, `claims` and `verdicts` decide what the lesson claims, `report` writes.
"""

from __future__ import annotations

import contextlib
import platform
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lazy_loader
import pandas as pd
import torch

from ebll.data import TASKS
from ebll.errors import DataMissing, TrainingDiverged, check_choice, check_count, choose_device
from ebll.executors import completed, default_workers
from ebll.files import prepare_folder, write_json, write_table, write_text
from ebll.methods import METHODS, method_from
from ebll.reproduce import report
from ebll.reproduce.jobs import Tables, jobs_of, run_job
from ebll.reproduce.plan import EXPERIMENTS, MAIN, PROFILES, Experiment
from ebll.settings import MAIN_METHODS

if TYPE_CHECKING:
    from ebll.reproduce.verdicts import Claim

# Claims need scipy, which a worker process would import for nothing.
__getattr__, _, _ = lazy_loader.attach(
    __name__,
    submodules=["claims", "verdicts"],
    submod_attrs={"claims": ["claims_of", "curve_shapes", "seed_outcomes"], "verdicts": ["Claim", "Part"]},
)
__all__ = ["EXPERIMENTS", "PROFILES", "Experiment", "Outcome", "conclude", "reproduce", "versions"]


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
    summary: str  #: tables of the main regime, or of all where it was not run, then the claims, as in tables.md


def reproduce(
    profile: str = "full",
    *,
    seeds: int | None = None,
    first_seed: int = 0,
    out: str | Path = "out",
    device: str = "cpu",
    methods: str | Sequence[str] | None = None,
    workers: int | None = None,
    on_progress: Callable[[float], None] | None = None,
) -> Outcome:
    """Run a profile and write its results.

    profile       "full" or "fast"; see `ebll.reproduce.plan`
    seeds         how many, the same for all runs, in place of the profile's numbers; they count up from `first_seed`
    out           folder for accuracy.csv, curves.csv, claims.json, the other tables and the figures
    device        "auto", "cpu" or "cuda"
    methods       one name, or several, to run in place of `MAIN_METHODS`; close claims have no more seeds then
    workers       processes; as many as cores (at most 8) unless given, or one on a GPU
    on_progress   called with the share of the work that is done: 0 once all is checked, 1 before figures are made
    returns       an `Outcome`; if interrupted, the tables of finished jobs are in the folder `unfinished` of `out`, and
                  what an earlier run has left in `out` stays
    """
    chosen = PROFILES[check_choice(profile, PROFILES, "Profile")]
    more = chosen.more if seeds is None and not methods else ()
    seeds = check_count(chosen.seeds if seeds is None else seeds, "seeds")
    first_seed = check_count(first_seed, "first_seed", low=0, high=2**31)
    several = range(first_seed, first_seed + seeds)
    methods = [methods] if isinstance(methods, str) else methods or MAIN_METHODS
    names = list(dict.fromkeys(check_choice(name, METHODS, "Method") for name in methods))
    device = choose_device(device)
    jobs = jobs_of(chosen, names, several, more, device)
    for name in dict.fromkeys(name for e in chosen.experiments for name in e.tasks):
        here, how = TASKS[name].available()
        if not here:  # told before anything is trained
            raise DataMissing(how)
    folder = prepare_folder(out)
    usual = default_workers() if device == "cpu" else 1
    workers = min(usual if workers is None else check_count(workers, "workers"), len(jobs))
    tables, done, worked, work = Tables(), 0, 0.0, sum(job.work for job in jobs)
    tell = on_progress or (lambda share: None)
    tell(0)
    try:
        with contextlib.closing(completed(run_job, jobs, workers=workers)) as results:
            for job, result in results:
                tables.add(result)
                done += job.runs
                worked += job.work
                tell(worked / work)
        if not tables.parts["accuracy"]:
            raise TrainingDiverged("Every run diverged. " + " ".join(f"{failure}." for failure in tables.failures))
        about = {
            "profile": profile,
            "seeds": list(several),
            "more seeds": [{"sequences": [e.id for e in one.experiments], **one.seeds} for one in more],
            "sequences": [e.id for e in chosen.experiments],
            "settings": [repr(chosen.train), *(repr(method_from(name, chosen.weights)) for name in names)],
            "diverged": tables.failures,
            **versions(),
            "device": device,
        }
        return conclude(tables, chosen.experiments, folder, about)
    except BaseException as error:
        if tables.parts["accuracy"]:
            unfinished = report.write_unfinished(tables.joined(chosen.experiments), folder)
            error.add_note(f"The tables of the {done} finished runs are in {unfinished}.")
        raise


def versions() -> dict[str, str]:
    """Of ebll, torch and Python, for the description of a run."""
    own, of_torch = version("ebll"), torch.__version__.partition("+")[0]
    return {"ebll": own, "torch": of_torch, "python": platform.python_version()}


def conclude(made: Tables, experiments: Sequence[Experiment], folder: Path, about: Mapping[str, Any]) -> Outcome:
    """Write tables, claims, summaries and figures of results, and what the run was (`about`, as JSON can hold it).

    Claims are decided by all seeds; tables and figures show `about["seeds"]`, which all methods share. An earlier
    result stays until all of this one is written.
    """
    from ebll.reproduce.claims import claims_of, seed_outcomes
    from ebll.reproduce.verdicts import parts_table

    tables = made.joined(experiments)
    accuracy, curves, gaps = tables["accuracy"], tables["curves"], tables["gaps"]
    experiments = [e for e in experiments if e.id in set(accuracy["sequence"])]  # of others, every run has diverged
    outcomes = seed_outcomes(accuracy, experiments)
    claims = claims_of(outcomes, curves, gaps, experiments)
    shown, seen = (table[table["seed"].isin(about["seeds"])] for table in (accuracy, curves))
    with tempfile.TemporaryDirectory(dir=folder, prefix=".ebll-") as name:
        beside = Path(name)
        report.write_tables(tables, beside)
        write_json([claim.as_dict() for claim in claims], beside / "claims.json")
        write_table(parts_table(claims), beside / "claims-parts.csv")
        write_table(outcomes, beside / "outcomes.csv")
        write_text(report.summary(shown, claims, experiments, made.failures), beside / "tables.md")
        write_json(dict(about), beside / "run.json")
        report.draw(shown, seen, gaps, claims, experiments, beside)
        new = [path.name for path in beside.iterdir()]
        for name in new:
            (beside / name).replace(folder / name)
    report.drop_results(folder, keep=new)
    report.drop_unfinished(folder)
    main = [e for e in experiments if e.regime == MAIN] or experiments
    return Outcome(
        **tables, claims=claims, experiments=tuple(experiments), failures=made.failures, folder=folder,
        summary=report.summary(shown, claims, main),
    )  # fmt: skip
