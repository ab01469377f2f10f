"""`ebll sweep`: a grid of settings from a TOML file, every run kept as it comes, then the tables."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ebll.cli.params import Name, Number, device_names, examples
from ebll.cli.terminal import Progress, facts, say, wrapped
from ebll.errors import InputError

if TYPE_CHECKING:
    from ebll.sweeps import Sweep

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
@click.option("--dry-run", is_flag=True, help="Say how many runs there are and how many are done, and do nothing.")
def sweep(file: str, out: str | None, workers: Any, device: str, dask: str | None, dry_run: bool) -> None:
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
    from ebll.reproduce import choose_device
    from ebll.sweeps import axes_of, configs_of, load_sweep, read_grid
    from ebll.sweeps import sweep as run_all

    if dask is not None and workers is not None:
        raise InputError("--workers and --dask: name one of them; a cluster has workers of its own.")
    folder = Path("out", Path(file).stem) if out is None else Path(out)
    store, device, grid = folder / "store", choose_device(device), read_grid(file)
    known = load_sweep(store, grid) if (store / "format.json").exists() else None
    runs, done = len(configs_of(grid)), len(known.results) if known else 0
    axes = ", ".join(f"{name} x {len(values)}" if len(values) > 1 else f"{name} {_plain(values[0])}"
                     for name, values in axes_of(grid).items())  # fmt: skip
    rows = [("grid", axes), ("runs", f"{runs:,}, of which {done:,} are done"), ("results", str(folder))]
    say(f"Sweep {file}\n" + facts(rows))
    for name in known.damaged if known else ():
        say(wrapped(f"damaged, its run is done again: {store / 'runs' / name}"), error=True)
    if dry_run:
        return
    with contextlib.ExitStack() as stack:
        executor = stack.enter_context(dask_executor(dask)) if dask else None
        bar = stack.enter_context(Progress(runs - done, "runs"))
        try:
            found = run_all(
                grid, store=store, workers=workers, executor=executor, device=device,
                progress=lambda now, total: bar.at(now - done) if now > done else None,
            )  # fmt: skip
        except KeyboardInterrupt:
            bar.close()
            kept = len(load_sweep(store, grid).results) if (store / "format.json").exists() else 0
            say(f"stopped after {kept} of {runs} runs; they are kept in {store}, and the same command goes on from "
                "there", error=True)  # fmt: skip
            raise click.exceptions.Exit(130) from None
    found.save(folder)
    _report(found, folder)


def _plain(value: Any) -> str:
    return "-".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _report(found: Sweep, folder: Path) -> None:
    if summary := _summary(found):
        say(f"\nMean over the seeds in %. Choose by validation images; the others are of test images.\n\n{summary}")
    failures = found.failures
    for failure in failures[:MOST_FAILURES]:
        say(wrapped(f"failed: {failure}", "  ", ""))
    say(f"\nResults are in {folder}: table.csv, curves.csv, store")
    if failures:
        where = (
            "named above" if len(failures) <= MOST_FAILURES else f"{MOST_FAILURES} are named above, all in table.csv"
        )
        say(f"error: {len(failures)} of {len(found.configs)} runs failed; {where}", error=True)
        raise click.exceptions.Exit(1)


def _summary(found: Sweep) -> str:
    """A line for each combination of the settings that vary, if there are few."""
    from ebll.reproduce.report import markdown
    from ebll.sweeps.sweep import plain

    table, varied = found.table, [name for name in found.varied if name != "seed"]
    shown = ["old_validation", "new_validation", "old", "new", "forgetting"]
    means = table[table["failure"] == ""].groupby(varied or "net", dropna=False, sort=False)[shown].mean()
    if not varied or not 0 < len(means) <= MOST_LINES:
        return ""
    rows = [row if isinstance(row, tuple) else (row,) for row in means.index]
    names = [", ".join("-" if value != value else plain(value) for value in row) for row in rows]
    return markdown(means.mul(100).map("{:.1f}".format).set_axis(names), ", ".join(varied))
