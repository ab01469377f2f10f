"""`ebll reproduce`: the main job with its progress, then the tables, the claims and where the files are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from ebll.cli.params import Name, Number, device_names, examples, flat, method_names
from ebll.cli.terminal import Progress, facts, say, wrapped
from ebll.executors import default_workers, preload

if TYPE_CHECKING:
    from ebll.reproduce import Claim, Outcome
    from ebll.reproduce.jobs import Job

__all__ = ["reproduce", "tell"]


def _profiles() -> Any:
    from ebll.reproduce import PROFILES

    return PROFILES


class Profile(Name):
    """A name that is checked by the main job itself, so that its workers can start before torch is imported here."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """As it is."""
        return value


@click.command(
    short_help="Run the main job: every method on every sequence.",
    epilog=examples(
        "ebll reproduce",
        "ebll reproduce --profile fast --out out/fast",
        "ebll reproduce --profile fast --methods finetune,lwf,ebll --seeds 3 --first-seed 10",
    ),
)
@click.option(
    "--profile", type=Profile("Profile", _profiles), default="full", show_default=True, metavar="fast|full",
    help="How much to run: a look within half a minute, or everything with five seeds.",
)  # fmt: skip
@click.option("--seeds", type=Number(), metavar="N", help="How many seeds, in place of the profile's number.")
@click.option("--first-seed", type=Number(), default=0, show_default=True, metavar="S", help="Seeds count up from it.")
@click.option("--out", default="out", show_default=True, metavar="DIR", help="Folder for tables, claims and figures.")
@click.option(
    "--device", type=Name("Device", device_names), default="cpu", show_default=True, metavar="auto|cpu|cuda",
    help="auto takes the GPU where there is one; the built-in nets gain nothing from it.",
)  # fmt: skip
@click.option(
    "--methods", type=Name("Method", method_names, many=True), multiple=True, metavar="A,B",
    help="Only these methods; may be given several times. [default: all]",
)  # fmt: skip
@click.option("--workers", type=Number(), metavar="N", help="Processes. [default: as many as cores, at most 8]")
def reproduce(
    profile: str, seeds: Any, first_seed: Any, out: str, device: str, methods: Sequence[Sequence[str]], workers: Any
) -> None:
    """Run every method on every sequence; print tables and claims; write tables, claims and figures.

    Ctrl-C keeps the tables of all runs that were done.
    """
    if (workers or default_workers()) != 1:
        preload("ebll.reproduce.jobs")
    from ebll.reproduce import reproduce as run_all

    bar: list[Progress] = []

    def progress(done: int, total: int, name: str, share: float) -> None:
        if not bar:
            say(f"0 of {total} runs ({name}), time left after the first steps", error=True)
            bar.append(Progress(total, "runs", share=share))
        bar[0].at(done, name, share)

    try:
        outcome = run_all(
            profile, seeds=seeds, first_seed=first_seed, out=out, device=device, methods=flat(methods) or None,
            workers=workers, on_start=lambda jobs, workers: say(_plan(profile, jobs, workers, out)),
            on_progress=progress,
        )  # fmt: skip
    except KeyboardInterrupt:
        _close(bar)
        say(_stopped(bar, out), error=True)
        raise click.exceptions.Exit(130) from None
    finally:
        _close(bar)
    tell(outcome)
    if outcome.failures:
        say(f"error: {len(outcome.failures)} of {bar[0].total} runs ended early; they are named above", error=True)
        raise click.exceptions.Exit(1)


def _close(bar: Sequence[Progress]) -> None:
    for progress in bar:
        progress.close()


def _plan(profile: str, jobs: Sequence[Job], workers: int, out: str) -> str:
    sequences = list(dict.fromkeys(e.id for e in _profiles()[profile].experiments))
    seeds = sorted({job.seed for job in jobs})
    runs = sum(job.runs for job in jobs)
    span = f"{seeds[0]} to {seeds[-1]}" if len(seeds) > 1 else f"{seeds[0]}"
    return f"Profile {profile}\n" + facts(
        [
            (f"{len(sequences)} sequences", ", ".join(sequences)),
            (f"{len(jobs[0].methods)} methods", ", ".join(jobs[0].methods) + "; beside them one network per task"),
            (f"{len(seeds)} seeds" if len(seeds) > 1 else "1 seed", span),
            (f"{runs} runs", f"in {workers} {'processes' if workers > 1 else 'process'} on {jobs[0].device}"),
            ("results", out),
        ]
    )


def _stopped(bar: Sequence[Progress], out: str) -> str:
    if not bar or not bar[0].done:
        return "stopped before the first run was done; nothing was written"
    done, total = bar[0].done, bar[0].total
    if done == total:
        return f"stopped after all {total} runs; their tables are in {out}, claims and figures may be missing there"
    return (
        f"stopped after {done} of {total} runs; their tables are in {out} (accuracy.csv, curves.csv, kept.csv); "
        "pictures there, if any, are of an earlier run"
    )


def tell(outcome: Outcome) -> None:
    """Print tables, claims, what ended early, and where the files are."""
    from ebll.reproduce.report import LEGEND

    say(f"\n{LEGEND}".rstrip())
    for e in outcome.experiments:
        say(f"\n{outcome.table(e)}")
    if outcome.claims:
        say("\nClaims, decided by paired differences over seeds (fractions, not %)")
    for claim in outcome.claims:
        say(_claim(claim))
    for failure in outcome.failures:
        say(wrapped(f"ended early: {failure}", "  ", ""))
    figures = sorted(path.stem for path in outcome.folder.glob("*.png"))
    files = sorted(path for path in outcome.folder.iterdir() if path.suffix in (".csv", ".json", ".md"))
    names = [path.name for path in files if path.suffix != ".csv" or path.stem not in figures]
    say(f"\nResults are in {outcome.folder}")
    say(
        facts(
            [("tables", ", ".join(names)), ("figures", f"{', '.join(figures)} (.png, .svg, .csv, and .txt in words)")]
        )
    )


def _claim(claim: Claim) -> str:
    said = claim.as_dict()
    spread = "no interval from one seed"
    if said["low"] is not None:
        spread = f"95 % interval {said['low']:.3f} to {said['high']:.3f}"
    head = f"\n{said['id']}: {said['verdict']} (estimate {said['estimate']:.3f}, {spread})"
    return f"{head}\n{wrapped(said['statement'], '    ')}"
