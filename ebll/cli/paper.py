"""`ebll paper`: the paper's own experiments on photo sets of yours, every setting of `PaperSettings` an option."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from ebll import paper as scale
from ebll.cli.options import CommaList, Progress, examples, setting_options
from ebll.cli.reproduce import _show
from ebll.environment import choose_device
from ebll.errors import RunStopped, expanded
from ebll.methods import METHODS

__all__ = ["paper"]

USUAL = scale.PaperSettings()
PARTS = {"": USUAL, "photos": USUAL.photos, "train": USUAL.train}
"""`PaperSettings`, and the settings inside it."""


def _settings_from(given: dict[str, Any]) -> scale.PaperSettings:
    """The settings of options, which are taken out of `given`."""
    chosen = {
        part: {field: value for field in type(settings).metadata() if (value := given.pop(field)) is not None}
        for part, settings in PARTS.items()
    }
    inner = {part: PARTS[part].replace(**chosen[part]) for part in ("photos", "train")}
    return USUAL.replace(**chosen[""], **inner)


@click.command(
    epilog=examples(
        "ebll paper --root data --dry-run",
        "ebll paper --root data --experiment flowers-birds --methods finetune,lwf,ebll",
        "ebll paper --root data --experiment imagenet-scenes-birds --device cuda --compile --resume",
        "ebll paper --root data --experiment leaves-birds --backbone resnet18@layer3",
    )
)
@click.option("--root", required=True, metavar="DIR", help="Folder under which the photo sets lie.")
@click.option(
    "--experiment", "experiments", type=CommaList(choices=scale.SEQUENCES), default=(), metavar="A-B[,...]",
    help=f"Of {', '.join(scale.SEQUENCES)}, or sets and folders joined by '-' or ':'.  [default: these six]",
)  # fmt: skip
@click.option(
    "--methods", type=CommaList(choices=METHODS), default=(), metavar="A,B", help="Only these.  [default: all]"
)
@click.option("--seeds", type=int, default=1, show_default=True, help="How many seeds.")
@click.option("--first-seed", type=int, default=0, show_default=True, help="Seeds count up from it.")
@click.option("--out", default="out/paper", show_default=True, metavar="DIR", help="For results and checkpoints.")
@click.option("--cache", metavar="DIR", help="Folder for resized images.  [default: ebll-cache under --root]")
@click.option("--device", default="auto", show_default=True, metavar="auto|cpu|cuda[:N]", help="auto: a GPU if any.")
@click.option("--minutes", type=float, default=10, show_default=True, help="Between two checkpoints.")
@click.option("--resume", is_flag=True, help="Go on with what this --out has begun, or share it with other processes.")
@click.option("--dry-run", is_flag=True, help="Say what a run would take, in images, steps and bytes; do nothing.")
@click.option("--incomplete", is_flag=True, help="Accept sets with fewer images than were published.")
@click.option("--skip-unreadable", is_flag=True, help="Leave out image files that cannot be read.")
@click.option("--download", is_flag=True, help="Fetch the sets that torchvision can fetch (Flowers-102).")
@click.option("--keep-weights", is_flag=True, help="Keep the network of every finished run.")
@setting_options(*PARTS.values())
def paper(root: str, dry_run: bool, **more: Any) -> None:
    """Run the paper's protocol on photo sets under a data root; write tables, claims, figures, the paper's layout.

    The sets are not part of ebll: a missing one is named with its official page. Images are resized once. Ctrl-C and
    SIGTERM write a checkpoint and end; --resume goes on from there.
    """
    settings = _settings_from(more)
    chosen = {name: more.pop(name) for name in ("experiments", "methods", "seeds", "first_seed")}
    units = scale.units_of(settings, **chosen)
    device = more["device"] if ":" in more["device"] else choose_device(more["device"])
    sequences = ", ".join(dict.fromkeys(unit.experiment.id for unit in units))
    click.echo(f"The paper's protocol: {len(units)} runs on {device}; {sequences}", err=not dry_run)
    if dry_run:
        place = {name: more[name] for name in ("cache", "minutes", "incomplete")}
        space = scale.Workspace(expanded(root, "root"), expanded(more["out"], "out"), settings, device, **place)
        for title, rows in scale.dry_run(space, units).items():
            click.echo("\n".join([f"\n{title}", *(f"  {name}: {words}" for name, words in rows)]))
        return
    bars: dict[str, Progress] = {}

    def progress(what: str, done: int, total: int) -> None:
        if what not in bars:
            for bar in bars.values():
                bar.bar.close()
        bars.setdefault(what, Progress()).at(done / max(total, 1), f"{done:,} of {total:,} {what}")

    try:
        with _asked_to_stop() as asked:
            outcome = scale.paper(
                root, settings=settings, **chosen, **more, progress=progress, stop=lambda: bool(asked),
                say=lambda text: click.echo(text, err=True),
            )  # fmt: skip
    except RunStopped as error:
        click.echo(f"Stopped: {error}", err=True)
        raise click.exceptions.Exit(130) from None
    _show(outcome)
    click.echo(f"The paper's layout, with empty columns for its numbers: {outcome.folder / 'paper-layout.md'}")
    if outcome.failures:
        click.echo(f"{len(outcome.failures)} of {len(units)} runs diverged; they are named above.", err=True)
        raise click.exceptions.Exit(1)


@contextmanager
def _asked_to_stop() -> Iterator[list[int]]:
    """A list that the first Ctrl-C or SIGTERM enters; a second one ends at once."""
    asked: list[int] = []

    def note(number: int, frame: Any) -> None:
        if asked:
            raise KeyboardInterrupt
        asked.append(number)
        click.echo("Stopping, with a checkpoint of the step that it is at. Once more ends at once.", err=True)

    try:
        before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    except ValueError:  # not in the main thread, where nobody can press Ctrl-C
        before = {}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
