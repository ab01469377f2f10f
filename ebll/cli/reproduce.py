"""`ebll reproduce`: the main job with its progress, then its tables and claims."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from ebll.cli.options import CommaList, Progress, device_option, examples, workers_option
from ebll.executors import default_workers, preload

if TYPE_CHECKING:
    from ebll.reproduce import Outcome
    from ebll.reproduce.jobs import Job

__all__ = ["reproduce"]


@click.command(
    epilog=examples(
        "ebll reproduce",
        "ebll reproduce --profile fast --out out/fast",
        "ebll reproduce --profile fast --methods finetune,lwf,ebll --seeds 3 --first-seed 10",
    )
)
@click.option("--profile", default="full", show_default=True, metavar="fast|full", help="How much to run.")
@click.option("--seeds", type=int, help="How many seeds, in place of the profile's number.")
@click.option("--first-seed", type=int, default=0, show_default=True, help="Seeds count up from it.")
@click.option("--out", default="out", show_default=True, metavar="DIR", help="Folder for tables, claims and figures.")
@click.option("--methods", type=CommaList(), metavar="A,B", help="Only these methods.  [default: all]")
@device_option
@workers_option
def reproduce(
    profile: str, seeds: int | None, first_seed: int, out: str, methods: Sequence[str] | None, device: str,
    workers: int | None,
) -> None:  # fmt: skip
    """Run every method on every sequence; print tables and claims; write tables, claims and figures.

    Ctrl-C keeps the tables of finished jobs, in the folder `unfinished` of --out.
    """
    if (workers or default_workers()) != 1:
        preload("ebll.reproduce.jobs")  # workers import torch while this process does
    from ebll.reproduce import reproduce as run_all

    options: dict[str, Any] = {"seeds": seeds, "first_seed": first_seed, "device": device, "workers": workers}
    with Progress() as progress:

        def on_progress(done: int, total: int, name: str, share: float) -> None:
            progress.at(share, f"{done} of {total} runs ({name})")

        def on_start(jobs: Sequence[Job], workers: int) -> None:
            total = sum(job.runs for job in jobs)
            click.echo(
                f"{profile}: {total} runs in {workers} process{'es' * (workers > 1)}, results to {out}", err=True
            )

        outcome = run_all(profile, out=out, methods=methods, on_start=on_start, on_progress=on_progress, **options)
    _show(outcome)
    if outcome.failures:
        click.echo(f"{len(outcome.failures)} runs diverged; they are named above.", err=True)
        raise click.exceptions.Exit(1)


def _show(outcome: Outcome) -> None:
    from ebll.reproduce.report import LEGEND

    click.echo(LEGEND.rstrip())
    for e in outcome.experiments:
        click.echo(f"\n{outcome.table(e)}")
    if outcome.claims:
        click.echo("\nClaims, decided by paired differences over seeds (fractions, not %)")
    for claim in (claim.as_dict() for claim in outcome.claims):
        interval = "no interval from one seed"
        if claim["low"] is not None:
            interval = f"95 % interval {claim['low']:.3f} to {claim['high']:.3f}"
        click.echo(f"\n{claim['id']}: {claim['verdict']} (estimate {claim['estimate']:.3f}, {interval})")
        click.echo(textwrap.indent(textwrap.fill(claim["statement"], 96, break_on_hyphens=False), "    "))
    for failure in outcome.failures:
        click.echo(f"diverged: {failure}")
    click.echo(f"\nTables, claims and figures are in {outcome.folder}.")
