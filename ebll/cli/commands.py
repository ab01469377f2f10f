"""The commands; what one of them needs is imported when it runs, so that help waits for neither torch nor pandas."""

from __future__ import annotations

import contextlib
import os
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ebll.cli.options import (
    CommaList,
    Progress,
    device_option,
    examples,
    methods_option,
    seeds_option,
    setting_options,
    taken,
    workers_option,
)
from ebll.config import RunConfig
from ebll.data.catalog import TASKS, load_task, task_table
from ebll.errors import InputError, OutputError, TrainingDiverged, check_choice, choose_device, expanded
from ebll.executors import default_workers, preload
from ebll.files import prepare_folder, write_table
from ebll.paper.plan import SEQUENCES, PaperSettings, units_of
from ebll.settings import USUAL

if TYPE_CHECKING:
    from ebll.comparison import Comparison
    from ebll.data import Task
    from ebll.recording import Run
    from ebll.reproduce import Outcome
    from ebll.sweeps import Sweep
    from ebll.training import Step

__all__ = ["COMMANDS"]


@click.command(
    epilog=examples(
        "ebll reproduce",
        "ebll reproduce --profile fast --out out/fast",
        "ebll reproduce --profile fast --methods finetune,lwf,ebll --seeds 3 --first-seed 10",
    )
)
@click.option("--profile", default="full", show_default=True, metavar="fast|full", help="How much to run.")
@click.option("--seeds", type=int, help="How many seeds, in place of the profile's number.")
@seeds_option
@click.option("--out", default="out", show_default=True, metavar="DIR", help="Folder for tables, claims and figures.")
@methods_option
@device_option
@workers_option
def reproduce(profile: str, out: str, workers: int | None, **options: Any) -> None:
    """Run the main job: every method on every sequence.

    Tables and claims are printed; tables, claims and figures are written. Ctrl-C keeps the tables of finished jobs, in
    the folder `unfinished` of --out.
    """
    if (workers or default_workers()) != 1:
        preload("ebll.reproduce.jobs")  # workers import torch while this process does
    click.echo(f"{profile}: results to {out}", err=True)
    from ebll.reproduce import reproduce as run_all

    with Progress() as progress:

        def told(share: float) -> None:
            progress.at(share, {0: "learning the first tasks", 1: "tables and figures"}.get(share, "training"))

        outcome = run_all(profile, out=out, workers=workers, on_progress=told, **options)
    show_outcome(outcome)


def show_outcome(outcome: Outcome) -> None:
    """Print tables, claims and failures; exit code 1 where a run diverged."""
    click.echo(outcome.summary)
    for failure in outcome.failures:
        click.echo(f"diverged: {failure}")
    click.echo(f"All tables, claims and figures are in {outcome.folder}.")
    if outcome.failures:
        click.echo(f"{len(outcome.failures)} runs diverged; they are named above.", err=True)
        raise click.exceptions.Exit(1)


@click.command(
    epilog=examples(
        "ebll run --tasks letters,mnist --method ebll --alpha 3",
        "ebll run --tasks letters,mnist,textures --alpha 3,1 --net cnn --out out/cnn",
        "ebll run --tasks mnist,./leaves --method lwf --temperature 2 --epochs 16",
    )
)
@click.option(
    "--tasks", type=CommaList(choices=TASKS), default="letters,textures", show_default=True, metavar="A,B[,...]",
    help="Tasks in the order learned; a folder of images is named by its path.",
)  # fmt: skip
@setting_options(RunConfig())
@click.option("--out", metavar="DIR", help="Folder for accuracy.csv, curves.csv, kept.csv and the figure.")
@device_option
def run(tasks: Sequence[str], out: str | None, device: str, **options: Any) -> None:
    """Run one method on a sequence of tasks.

    What was learned and what was forgotten is printed. Ctrl-C, and a training that diverges, keep the tables so far in
    --out.
    """
    config = RunConfig.of(tasks=tasks, **{name: value for name, value in options.items() if value is not None})
    for name in tasks:
        if not _is_path(name):
            check_choice(name, [*TASKS, "the path of a folder of images, such as ./leaves"], "Task")
    if ignored := [name for name in sorted(config.unused) if options[name] is not None]:
        raise click.UsageError(f"{', '.join(ignored)}: {config.method} has no such setting.")
    device = choose_device(device)
    from ebll.comparison import Comparison
    from ebll.data import Task
    from ebll.protocol import begin
    from ebll.seeds import cpu_threads

    loaded = [Task.from_folder(Path(name).expanduser()) if _is_path(name) else load_task(name) for name in tasks]
    loaded = [task.to(device) for task in loaded]
    if config.images:
        loaded[1:] = [task.subset(config.images) for task in loaded[1:]]
    begin(loaded, config.made_method(), net=config.net)  # refuses settings that do not fit before anything is learned
    folder, made = None if out is None else prepare_folder(out), Comparison()
    try:
        with Progress() as progress, cpu_threads(config.train.threads):
            for step in _steps(config, loaded, device, made):
                what = f"{loaded[step.task].name}, {step.stage}"
                progress.at(step.index / step.total, f"{what}: step {step.index} of {step.total}")
        if made.failures:
            raise TrainingDiverged(made.failures[0])
    except BaseException:
        if folder:
            with contextlib.suppress(OutputError):  # the first error is the one to show
                _write(made, folder, "Tables so far")
        raise
    done = made.runs[config.method, config.seed]
    if folder:
        _write(made, folder, "Tables")
    _show(done, [row["accuracy"] for row in made.single_task_rows])
    if folder and len(done.curves):
        from ebll import plots

        plots.save(plots.feature_distance(done.curves), folder / "feature-distance")


def _is_path(name: str) -> bool:
    return name not in TASKS and (name.startswith(("~", ".")) or os.sep in name or Path(name).is_dir())


def _steps(config: RunConfig, tasks: Sequence[Task], device: str, made: Comparison) -> Iterator[Step]:
    """The steps of the first task with the usual settings, of the method, and of a network alone for each task."""
    from ebll.comparison import SINGLE_TASK, learn_with
    from ebll.protocol import first_task

    options: Any = {"seed": config.seed, "device": device, "log_every": config.log_every}
    start = yield from first_task(tasks[0], config.net, USUAL, **options)
    options |= {"net": config.net, "settings": config.train}
    for name, method in ((config.method, config.made_method()), (SINGLE_TASK, None)):
        yield from learn_with(made, name, method, tasks, start, **options)


def _write(made: Comparison, folder: Path, what: str) -> None:
    """Write the tables so far; none where nothing was recorded."""
    from ebll.reproduce import report
    from ebll.reproduce.jobs import Tables

    tables = Tables()
    for name in ("accuracy", "curves", "kept"):
        tables.parts[name].append(getattr(made, name))
    if any(len(part) for part in tables.parts["accuracy"]):
        report.write_tables(tables.joined([]), folder)
        click.echo(f"{what} are in {folder}.", err=True)


def _show(made: Run, single_task: Sequence[float]) -> None:
    summary = made.summary([float("nan"), *single_task])
    click.echo("Test accuracy in %\n")
    click.echo((100 * made.accuracy_matrix()).round(1).to_string(na_rep=""))
    click.echo(f"\naverage accuracy   {100 * summary['average_accuracy']:6.1f} %")
    click.echo(f"forgetting         {100 * summary['forgetting']:6.1f} points")
    click.echo(f"backward transfer  {100 * summary['backward_transfer']:+6.1f} points")
    forward = summary["forward_transfer"]
    click.echo(f"forward transfer   {100 * forward:+6.1f} points, against a network that learns the task alone")


@click.command(
    epilog=examples(
        "ebll sweep alphas.toml",
        "ebll sweep alphas.toml --dry-run",
        "ebll sweep alphas.toml --out results --workers 4",
    )
)
@click.argument("file", type=click.Path(), metavar="FILE.toml")
@click.option("--out", metavar="DIR", help="Folder for table.csv, curves.csv and the store.  [default: out/FILE]")
@workers_option
@device_option
@click.option("--dry-run", is_flag=True, help="Say how many runs there are and how many are done, and do nothing.")
def sweep(file: str, out: str | None, dry_run: bool, **options: Any) -> None:
    """Run a grid of hyperparameters from a TOML file.

    Every combination of the settings in the file is run once; a table of numbers and one of curves are written.

    \b
    [grid]
    tasks = ["letters", "textures"]
    method = ["lwf", "ebll"]
    alpha = [0.3, 1.0, 3.0]
    seed = [0, 1, 2]

    Any setting of a run can stand in the table [grid], alone or as a list. Every run is kept in DIR/store as it ends:
    after Ctrl-C, a crash or an added value, the same command does only what is missing.
    """
    from ebll.sweeps import Sweep, configs_of, load_sweep, sweep as run_all

    folder, configs = Path("out", Path(file).stem) if out is None else Path(out), configs_of(Path(file))
    store = folder / "store"
    found = load_sweep(store, configs) if (store / "format.json").exists() else Sweep(configs)
    runs, done = len(configs), len(found.results)
    click.echo(f"{file}: {runs:,} runs, of which {done:,} are done; results to {folder}", err=True)
    for name in found.damaged:
        click.echo(f"damaged, so its run counted as not done: {store / 'runs' / name}", err=True)
    if dry_run:
        return
    with Progress() as progress:

        def step(now: int, total: int) -> None:
            progress.at(now / max(1, total), f"{now} of {total} runs")

        try:
            found = run_all(configs, store=store, progress=step, **options)
        except KeyboardInterrupt as error:
            error.add_note(f"Finished runs are kept in {store}; the same command goes on.")
            raise
    found.save(folder)
    _summarise(found)
    for failure in found.failures[:5]:
        click.echo(f"failed: {failure}")
    click.echo(f"Results are in {folder}: table.csv, curves.csv, store")
    if found.failures:
        click.echo(f"{len(found.failures)} of {runs} runs failed; all are named in table.csv.", err=True)
        raise click.exceptions.Exit(1)


def _summarise(found: Sweep) -> None:
    """A line for each combination of the settings that vary, if there are few; the files have them all."""
    shown = ["old_validation", "new_validation", "old", "new", "forgetting"]
    varied = [name for name in found.varied if name != "seed"]
    table = found.table[found.table["failure"] == ""]
    means = table.groupby(varied, dropna=False, sort=False)[shown].mean() if varied else table.iloc[:0]
    if 0 < len(means) <= 24:
        click.echo("Mean over the seeds in %. Choose by validation images; the others are of test images.\n")
        click.echo(means.mul(100).round(1).to_string(sparsify=False) + "\n")


@click.command(
    epilog=examples(
        "ebll export page.html",
        "ebll export page.html --store out/alphas",
        'ebll export site/week7.html --title "Week 7: what alpha does"',
    )
)
@click.argument("file", type=click.Path(), metavar="FILE.html")
@click.option(
    "--store", type=click.Path(), metavar="DIR",
    help="A store of `ebll sweep`, or its output folder.  [default: the sweep that comes with the kit]",
)  # fmt: skip
@click.option("--title", default="", metavar="TEXT", help="Headline of the page.")
def export(file: str, store: str | None, title: str) -> None:
    """Write a sweep as a web page that needs no kernel.

    The page has maps over two settings, curves, trade-off and seeds, and works from disk, from a course site and
    without a network. It is written whole or not at all; a file that is there is replaced.
    """
    from ebll.sweeps.page import export as write

    size = write(file, store, title).stat().st_size / 1e6
    click.echo(f"{file}: {size:.1f} MB; more than 3 MB load slowly on a phone")


@click.command(
    epilog=examples(
        "ebll grade submitted",
        "ebll grade submitted --out week2.csv --seconds 20",
        "ebll grade submitted --workers 4",
    )
)
@click.argument("folder", type=click.Path(), metavar="FOLDER")
@click.option("--out", default="grades.csv", show_default=True, metavar="FILE.csv", help="A file there is replaced.")
@click.option("--seconds", type=float, default=60, show_default=True, help="Limit for an answer with its check.")
@workers_option
def grade(folder: str, out: str, seconds: float, workers: int | None) -> None:
    """Check the exercises in all submitted copies of the notebooks.

    \b
    FOLDER/STUDENT/01_joint_training.ipynb
    FOLDER/STUDENT_01_joint_training.ipynb

    Both are found. A line of the CSV is an exercise of a copy: student, exercise, verdict, mistake, detail, file. The
    verdict is right, wrong, not attempted, error, time limit or no such cell; the mistake is the id of a hint in
    hints.ini. Each answer runs in a process without network that may write in a temporary folder only. That is no
    sandbox, and an author who wants to can forge a verdict: read the answers that count, and use a container for
    strangers' answers. Ctrl-C keeps the lines so far.
    """
    file = expanded(out, "--out")
    if file.is_dir():
        raise InputError(f"--out takes a file; {file} is a folder. Name the CSV in it.")
    preload("ebll.course.answer", bare=True)  # while this process imports torch, too
    from ebll.course.grade import graded, submissions, summary, table
    from ebll.course.limits import enforced

    lines = submissions(folder)
    prepare_folder(file.parent)
    if lacking := [name for name, there in enforced().items() if not there]:
        click.echo(
            f"This system has no {' and no '.join(lacking)}: code of an answer that is not Python may pass its limits. "
            "Grade on Linux 5.13 or later, on x86-64 or ARM, or in a container.",
            err=True,
        )
    rows: dict[int, dict[str, str]] = {}
    try:
        with Progress() as progress, contextlib.closing(graded(lines, seconds, workers)) as results:
            for number, row in results:
                rows[number] = row
                progress.at(len(rows) / len(lines), f"{len(rows)} of {len(lines)} answers")
    except KeyboardInterrupt as error:
        error.add_note(f"{len(rows)} of {len(lines)} answers are graded; they are in {file}.")
        raise
    finally:
        if rows:
            write_table(table(rows), file)
    if len(told := summary(table(rows))):
        click.echo(told.to_string(index=False))
    click.echo(f"\n{len(rows)} answers are in {file}.")


@click.command(epilog=examples("ebll site site", "ebll site public/course --source ../ebll"))
@click.argument("folder", type=click.Path(), metavar="DIR")
@click.option("--source", type=click.Path(), default=".", metavar="DIR", help="Folder of the kit.  [default: this one]")
def site(folder: str, source: str) -> None:
    """Write the course as web pages: notebooks, documents, library.

    They work from disk, from a stick and from any web server, without a network; open DIR/index.html. Nothing is run:
    the notebooks are shown with the outputs that they are kept with. Needs pip install 'ebll[site]'.
    """
    try:
        from ebll.site import build
    except ModuleNotFoundError as error:
        raise InputError(
            f"`ebll site` needs the package {error.name}, which is not installed: pip install 'ebll[site]'."
        ) from error
    click.echo(f"Writing notebooks, slides, documents and the library to {folder} ...", err=True)
    made = build(folder, source)
    for note in made.notes:
        click.echo(note, err=True)
    size = sum(path.stat().st_size for path in made.folder.rglob("*") if path.is_file()) / 1e6
    click.echo(
        f"{made.folder / 'index.html'}: {len(made.pages)} pages, {size:.0f} MB in all; {made.decks} decks in slides/"
    )


PAPER = PaperSettings()


@click.command(
    epilog=examples(
        "ebll paper --root data --dry-run",
        "ebll paper --root data --experiment flowers-birds --methods finetune,lwf,ebll",
        "ebll paper --root data --experiment imagenet-scenes-birds --device cuda --compile",
        "ebll paper --root data --experiment leaves-birds --backbone resnet18@layer3",
    )
)
@click.option("--root", required=True, metavar="DIR", help="Folder under which the photo sets lie.")
@click.option(
    "--experiment", "experiments", type=CommaList(choices=SEQUENCES), default=(), metavar="A-B[,...]",
    help=f"Of {', '.join(SEQUENCES)}, or sets and folders joined by '-' or ':'.  [default: these six]",
)  # fmt: skip
@methods_option
@click.option("--seeds", type=int, default=1, show_default=True, help="How many seeds.")
@seeds_option
@click.option("--out", default="out/paper", show_default=True, metavar="DIR", help="For results and checkpoints.")
@click.option("--cache", metavar="DIR", help="Folder for resized images.  [default: ebll-cache under --root]")
@click.option("--device", default="auto", show_default=True, metavar="auto|cpu|cuda[:N]", help="auto: a GPU if any.")
@click.option("--minutes", type=float, default=10, show_default=True, help="Between two checkpoints.")
@click.option("--dry-run", is_flag=True, help="Say what a run would take, in images, steps and bytes; do nothing.")
@click.option("--incomplete", is_flag=True, help="Accept sets with fewer images than were published.")
@click.option("--download", is_flag=True, help="Fetch the sets that torchvision can fetch (Flowers-102).")
@click.option("--keep-weights", is_flag=True, help="Keep the network of every finished run.")
@setting_options(PAPER)
@setting_options(PAPER.photos)
@setting_options(PAPER.train)
def paper(dry_run: bool, **options: Any) -> None:
    """Run the paper's experiments on photographs of yours.

    The photo sets are not part of ebll: a missing one is named with its official page. Images are resized once. Tables,
    claims, figures and the paper's own table layout are written. Ctrl-C and SIGTERM write a checkpoint and end; the
    same command goes on from there.
    """
    inner = {part: taken(getattr(PAPER, part), options) for part in ("photos", "train")}
    settings = taken(PAPER, options).replace(**inner)
    units = units_of(settings, *(options[name] for name in ("experiments", "methods", "seeds", "first_seed")))
    options["device"] = choose_device(options["device"])
    from ebll.paper import dry_run as what_it_takes, paper as run_all

    sequences = ", ".join(dict.fromkeys("-".join(unit.tasks) for unit in units))
    click.echo(f"The paper's protocol: {len(units)} runs on {options['device']}; {sequences}", err=not dry_run)
    if dry_run:
        place = {name: options[name] for name in ("root", "cache", "incomplete")}
        for title, rows in what_it_takes(units, settings, **place).items():
            click.echo("\n".join([f"\n{title}", *(f"  {name}: {words}" for name, words in rows)]))
        return
    with Progress() as progress:
        outcome = run_all(
            settings=settings, **options,
            progress=lambda what, done, total: progress.at(done / max(total, 1), f"{done:,} of {total:,} {what}"),
        )  # fmt: skip
    click.echo(f"The paper's layout, with empty columns for its numbers: {outcome.folder / 'paper-layout.md'}\n")
    show_outcome(outcome)


@click.command(epilog=examples("ebll tasks", "ebll tasks --csv > tasks.csv"))
@click.option("--csv", "as_csv", is_flag=True, help="Print a CSV with one row a task.")
def tasks(as_csv: bool) -> None:
    """List the built-in tasks.

    Classes, sizes, source, licence, and whether the images are on this machine.
    """
    table = task_table()
    if as_csv:
        click.echo(table.to_csv(index=False, lineterminator="\n").rstrip("\n"))
        return
    short = [column for column in table.columns if table[column].astype(str).str.len().max() <= 12]
    click.echo(table[short].to_string(index=False))
    for _, row in table.iterrows():
        lines = [f"{column}: {row[column]}" for column in table.columns if column not in short and row[column]]
        click.echo("\n".join([f"\n{row['name']}", *(textwrap.indent(textwrap.fill(line, 96), "  ") for line in lines)]))
    click.echo("\nYour own images: give the path of a folder with one subfolder a class, such as ./leaves.")


COMMANDS = (reproduce, run, sweep, export, site, grade, paper, tasks)
