"""`ebll sweep`: a grid of settings from a TOML file, every run kept as it comes, then the tables."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ebll.cli.options import Progress, device_option, examples, workers_option

if TYPE_CHECKING:
    from ebll.sweeps import Sweep

__all__ = ["sweep"]

MAX_LINES = 24  # of a table in the terminal; the files have them all
MAX_FAILURES = 5
SHOWN = ("old_validation", "new_validation", "old", "new", "forgetting")


@click.command(
    epilog=examples(
        "ebll sweep alphas.toml",
        "ebll sweep alphas.toml --dry-run",
        "ebll sweep alphas.toml --out results --workers 4",
        "ebll sweep alphas.toml --dask tcp://10.0.0.1:8786",
    )
)
@click.argument("file", type=click.Path(), metavar="FILE.toml")
@click.option("--out", metavar="DIR", help="Folder for table.csv, curves.csv and the store.  [default: out/FILE]")
@workers_option
@device_option
@click.option("--dask", metavar="ADDRESS", help="Scheduler of a Dask cluster, to be used in place of processes.")
@click.option("--dry-run", is_flag=True, help="Say how many runs there are and how many are done, and do nothing.")
def sweep(file: str, out: str | None, workers: int | None, device: str, dask: str | None, dry_run: bool) -> None:
    """Run every combination of the settings in a file once; write a table of numbers and one of curves.

    \b
    [grid]
    tasks = ["letters", "textures"]
    method = ["lwf", "ebll"]
    alpha = [0.3, 1.0, 3.0]
    seed = [0, 1, 2]

    Any setting of a run can stand in the table [grid], alone or as a list. Every run is kept in DIR/store as it ends:
    after Ctrl-C, a crash or an added value, the same command does only what is missing.
    """
    from ebll.executors import dask_executor
    from ebll.sweeps import Sweep, configs_of, load_sweep, sweep as run_all

    folder, configs = Path("out", Path(file).stem) if out is None else Path(out), configs_of(Path(file))
    store = folder / "store"

    def known() -> Sweep:
        """What of it is in the store."""
        return load_sweep(store, configs) if (store / "format.json").exists() else Sweep(configs)

    def announce(done: int) -> None:
        click.echo(f"{file}: {len(configs):,} runs, of which {done:,} are done; results to {folder}", err=True)

    if dry_run:
        found = known()
        announce(len(found.results))
        _name_damaged(found, store)
        return
    with contextlib.ExitStack() as stack:
        executor = stack.enter_context(dask_executor(dask)) if dask is not None else None
        begun: tuple[int, Progress] | None = None  # runs that were done before, and the bar

        def step(now: int, total: int) -> None:
            nonlocal begun
            if begun is None:
                announce(now)
                begun = now, stack.enter_context(Progress())
            before, progress = begun
            progress.at((now - before) / max(1, total - before), f"{now} of {total} runs")

        try:
            found = run_all(configs, store=store, workers=workers, executor=executor, device=device, progress=step)
        except KeyboardInterrupt:
            runs = f"{len(known().results)} of {len(configs)} runs"
            click.echo(f"Stopped after {runs}, kept in {store}; the same command goes on.", err=True)
            raise click.exceptions.Exit(130) from None
    _name_damaged(found, store)
    found.save(folder)
    _report(found, folder)


def _name_damaged(found: Sweep, store: Path) -> None:
    for name in found.damaged:
        click.echo(f"damaged, so its run counted as not done: {store / 'runs' / name}", err=True)


def _report(found: Sweep, folder: Path) -> None:
    _summarise(found)
    failures = found.failures
    for failure in failures[:MAX_FAILURES]:
        click.echo(f"failed: {failure}")
    click.echo(f"Results are in {folder}: table.csv, curves.csv, store")
    if failures:
        click.echo(f"{len(failures)} of {len(found.configs)} runs failed; all are named in table.csv.", err=True)
        raise click.exceptions.Exit(1)


def _summarise(found: Sweep) -> None:
    """A line for each combination of the settings that vary, if there are few."""
    from ebll.reproduce.report import markdown
    from ebll.sweeps.sweep import plain

    varied, shown = [name for name in found.varied if name != "seed"], list(SHOWN)
    table = found.table[found.table["failure"] == ""]
    means = table.groupby(varied, dropna=False, sort=False)[shown].mean() if varied else table.iloc[:0]
    if not 0 < len(means) <= MAX_LINES:
        return
    rows = means.index.to_frame().itertuples(index=False)
    names = [", ".join("-" if value != value else plain(value) for value in row) for row in rows]
    click.echo("Mean over the seeds in %. Choose by validation images; the others are of test images.\n")
    click.echo(markdown(means.mul(100).map("{:.1f}".format).set_axis(names), ", ".join(varied)) + "\n")
