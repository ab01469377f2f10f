"""`ebll sweep`: a grid of settings from a TOML file, every run kept as it comes, then the tables."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ebll.cli.params import Name, Number, device_names, examples
from ebll.cli.terminal import Progress, facts, say, wrapped
from ebll.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

    from ebll.sweeps import Sweep, SweepPlan

__all__ = ["sweep"]

MOST_LINES = 24  # of a table in the terminal; the files have them all
MOST_FAILURES = 5


@click.command(
    short_help="Run a grid of settings from a TOML file.",
    epilog=examples(
        "ebll sweep alphas.toml",
        "ebll sweep alphas.toml --dry-run",
        "ebll sweep alphas.toml --out results --workers 4",
        "ebll sweep alphas.toml --dask tcp://10.0.0.1:8786",
    ),
)
@click.argument("file", type=click.Path(), metavar="FILE.toml")
@click.option(
    "--out", metavar="DIR", help="Folder for table.csv, curves.csv and the store of all runs. [default: out/FILE]"
)
@click.option("--workers", type=Number(), metavar="N", help="Processes. [default: as many as cores, at most 8]")
@click.option(
    "--device", type=Name("Device", device_names), default="cpu", show_default=True, metavar="auto|cpu|cuda",
    help="Where to train.",
)  # fmt: skip
@click.option("--dask", metavar="ADDRESS", help="Scheduler of a Dask cluster that does the runs in their place.")
@click.option("--dry-run", is_flag=True, help="Say what would be done and what it would cost, and do nothing.")
def sweep(file: str, out: str | None, workers: Any, device: str, dask: str | None, dry_run: bool) -> None:
    """Run every combination of the settings in a file once; write a table of figures and one of curves.

    \b
    [grid]
    tasks = ["letters", "textures"]
    method = ["lwf", "ebll"]
    alpha = [0.3, 1.0, 3.0]
    seed = [0, 1, 2]

    Any setting of a run can stand in the table [grid], alone or as a list. Every run is kept in DIR/store as it ends:
    after Ctrl-C, a crash or an added value, the same command does only what is missing.
    """
    from ebll.reproduce import choose_device
    from ebll.sweeps import Sweep, plan_sweep
    from ebll.sweeps import sweep as run_all

    if dask is not None and workers is not None:
        raise InputError("--workers and --dask: name one of them; a cluster has workers of its own.")
    folder = Path("out", Path(file).stem) if out is None else Path(out)
    device = choose_device(device)
    if dry_run:
        say(_plan(file, plan_sweep(file, store=folder / "store", workers=workers), folder))
        return
    made, bar = Sweep(), list[Progress]()

    def start(plan: SweepPlan) -> None:
        say(_plan(file, plan, folder))
        for name in made.damaged:
            say(wrapped(f"damaged, set aside and run again: {folder / 'store' / 'damaged' / name}"), error=True)
        bar.append(Progress(plan.runs - plan.known, "runs"))

    def step(done: int, total: int) -> None:
        if done > total - bar[0].total + bar[0].done:  # the first call says only what was there
            bar[0].step()

    try:
        options = {"workers": workers, "device": device, "client": dask, "into": made}
        run_all(file, store=folder / "store", on_plan=start, progress=step, **options)
    except KeyboardInterrupt:
        _close(bar)
        say(_stopped(made, folder), error=True)
        raise click.exceptions.Exit(130) from None
    finally:
        _close(bar)
    made.save(folder)
    _tell(made, folder)


def _close(bar: list[Progress]) -> None:
    for progress in bar:
        progress.close()


def _plan(file: str, plan: SweepPlan, folder: Path) -> str:
    from ebll.sweeps import axes_of, read_grid

    axes = axes_of(read_grid(file))
    grid = ", ".join(
        f"{name} {_short(values[0]) if len(values) == 1 else f'x {len(values)}'}" for name, values in axes.items()
    )
    return f"Sweep {file}\n" + facts([("grid", grid), ("runs", plan.words()), ("results", str(folder))])


def _short(value: Any) -> str:
    return "-".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _stopped(made: Sweep, folder: Path) -> str:
    if not made.configs:
        return "stopped before the first run"
    from ebll.sweeps import Store

    # Workers write what they have done before they tell of it, so that the store may know of more.
    store = Store(folder / "store", write=False)
    kept = sum(config in store for config in made.configs)
    return (
        f"stopped after {kept} of {len(made.configs)} runs; they are kept in {store.folder}, and the same command goes "
        "on from there"
    )


def _tell(made: Sweep, folder: Path) -> None:
    table = made.table
    if summary := _summary(table[table["failure"] == ""], [name for name in made.varied if name != "seed"]):
        say(f"\nMean over the seeds in %. Choose by validation images; the others are of test images.\n\n{summary}")
    failures = made.failures
    for failure in failures[:MOST_FAILURES]:
        say(wrapped(f"failed: {failure}", "  ", ""))
    say(f"\nResults are in {folder}: table.csv, curves.csv, store")
    if failures:
        more = (
            "named above"
            if len(failures) <= MOST_FAILURES
            else f"the first {MOST_FAILURES} are named above, all in table.csv"
        )
        say(f"error: {len(failures)} of {len(made.configs)} runs failed; {more}", error=True)
        raise click.exceptions.Exit(1)


def _summary(table: pd.DataFrame, varied: list[str]) -> str:
    """A line for each combination of the settings that vary, if there are few."""
    from ebll.reproduce.report import markdown
    from ebll.sweeps.tables import plain

    if table.empty or not varied:
        return ""
    shown = ["old_validation", "new_validation", "old", "new", "forgetting"]
    means = table.groupby(varied, dropna=False, sort=False)[shown].mean()
    if len(means) > MOST_LINES:
        return ""
    names = [
        ", ".join("-" if v != v else plain(v) for v in (row if isinstance(row, tuple) else (row,)))
        for row in means.index
    ]
    return markdown(means.mul(100).map("{:.1f}".format).set_axis(names), ", ".join(varied))
