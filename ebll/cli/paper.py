"""`ebll paper`: the paper's own experiments on photo sets of yours, with progress, checkpoints and tables."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import click

from ebll.cli.paper_options import BackboneName, PaperCommand, SequenceNames, settings_from
from ebll.cli.params import Name, Number, examples, flat, method_names
from ebll.cli.reproduce import _show as tell
from ebll.cli.terminal import Progress, facts, say, wrapped
from ebll.errors import InputError, RunStopped, expanded

if TYPE_CHECKING:
    from ebll.paper import Brake, PaperSettings, Unit
    from ebll.paper.estimate import Cost

__all__ = ["paper"]


@click.command(
    cls=PaperCommand,
    short_help="Run the paper's experiments on photo sets of yours.",
    epilog=examples(
        "ebll paper --root data --dry-run",
        "ebll paper --root data --experiment flowers-birds --methods finetune,lwf,ebll",
        "ebll paper --root data --experiment imagenet-scenes-birds --device cuda --compile",
        "ebll paper --root data --experiment imagenet-scenes-birds --device cuda --compile --resume",
        "ebll paper --root data --experiment leaves-birds --backbone resnet18@layer3",
    ),
)
@click.option("--root", required=True, metavar="DIR", help="Folder under which the photo sets lie.")
@click.option(
    "--experiment", type=SequenceNames(), multiple=True, metavar="A-B[,...]",
    help="Sequences: imagenet-scenes, imagenet-birds, imagenet-flowers, flowers-scenes, flowers-birds, "
    "imagenet-scenes-birds, or sets and folders of your own joined by '-' or ':'. [default: these six]",
)  # fmt: skip
@click.option(
    "--methods", type=Name("Method", method_names, many=True), multiple=True, metavar="A,B",
    help="Only these methods; may be given several times. [default: all]",
)  # fmt: skip
@click.option(
    "--backbone", type=BackboneName(), metavar="NET[@CUT]", help="`ebll backbones` lists them. [default: alexnet]"
)
@click.option(
    "--weights", metavar="FILE",
    help="Its pretrained weights, .pth or .safetensors, in torchvision's names; 'none' for a random start. "
    "[default: torchvision's, fetched once]",
)  # fmt: skip
@click.option("--seeds", type=Number(), default=1, show_default=True, metavar="N", help="How many seeds.")
@click.option("--first-seed", type=Number(), default=0, show_default=True, metavar="S", help="Seeds count up from it.")
@click.option(
    "--out", default="out/paper", show_default=True, metavar="DIR", help="Folder for results and checkpoints."
)
@click.option("--cache", metavar="DIR", help="Folder for converted images. [default: ebll-cache under --root]")
@click.option(
    "--device", default="auto", show_default=True, metavar="auto|cpu|cuda[,...]",
    help="auto takes the GPU where there is one; several, as in cuda:0,cuda:1, share the runs.",
)  # fmt: skip
@click.option(
    "--dask", metavar="ADDRESS", help="Scheduler of a Dask cluster that does the runs; it must see the folders."
)
@click.option("--minutes", type=Number(), default=10, show_default=True, metavar="N", help="Between two checkpoints.")
@click.option("--resume", is_flag=True, help="Go on with what an earlier command with this --out has begun.")
@click.option("--dry-run", is_flag=True, help="Say what would be done and what it would take, and do nothing.")
@click.option("--incomplete", is_flag=True, help="Accept sets with fewer images than were published.")
@click.option("--skip-unreadable", is_flag=True, help="Leave out image files that cannot be read.")
@click.option("--download", is_flag=True, help="Fetch the sets that torchvision can fetch (Flowers-102).")
@click.option("--keep-weights", is_flag=True, help="Keep the network of every finished run.")
def paper(
    root: str, experiment: Sequence[Sequence[str]], methods: Sequence[Sequence[str]], backbone: str | None,
    weights: str | None, seeds: Any, first_seed: Any, out: str, cache: str | None, device: str, dask: str | None,
    minutes: Any, resume: bool, dry_run: bool, **more: Any,
) -> None:  # fmt: skip
    """Run the paper's protocol on photo sets under a data root; write tables, claims, figures, the paper's layout.

    The sets are not part of ebll: what is missing is named with its official page and the layout it needs. Images are
    converted once. Ctrl-C and SIGTERM write a checkpoint and end; --resume goes on from there.
    """
    from ebll.paper import Brake, Place
    from ebll.paper.main import chosen_units

    place = {name: more.pop(name) for name in ("incomplete", "skip_unreadable", "download", "keep_weights")}
    settings = settings_from({"backbone": backbone, "weights": weights, **more})
    wanted = {
        "experiments": flat(experiment),
        "methods": flat(methods) or None,
        "seeds": seeds,
        "first_seed": first_seed,
    }
    devices = _devices(device)
    if dask is not None and len(devices) > 1:
        raise InputError(
            "--device and --dask: several devices or a cluster, not both; a cluster's workers have their own."
        )
    units = chosen_units(settings, **wanted)
    place |= {"cache": None if cache is None else expanded(cache, "--cache"), "minutes": minutes}
    if dry_run:
        from ebll.paper.estimate import estimate

        here = Place(expanded(root, "--root"), expanded(out, "--out"), device=devices[0], **place)
        say(_plan(units, settings, devices, out, dask))
        say(_costs(estimate(here, settings, units)))
        return
    options = dict(settings=settings, out=out, device=devices[0], resume=resume, **wanted, **place)
    _run(root, units, settings, Brake(), devices, dask, out, options)


def _devices(text: str) -> list[str]:
    from ebll.reproduce import choose_device

    names = [name.strip() for name in text.split(",") if name.strip()] or ["auto"]
    for name in names:
        choose_device(name.partition(":")[0])
    if len(names) > 1:
        return names
    return [names[0] if ":" in names[0] else choose_device(names[0])]


def _run(
    root: str, units: Sequence[Unit], settings: PaperSettings, brake: Brake, devices: Sequence[str], dask: str | None,
    out: str, options: dict[str, Any],
) -> None:  # fmt: skip
    from ebll.paper import paper as run_all

    bars: dict[str, Progress] = {}
    alone = len(devices) < 2 and dask is None

    def on_data(name: str) -> Callable[[int, int], None]:
        def step(done: int, total: int) -> None:
            if done == total and name not in bars:
                return  # all was there
            bar = bars.setdefault(name, Progress(total, f"images of {name}"))
            _forward(bar, done, "")
            if done == total:
                bar.close()

        return step

    upto, done = [0], [0]  # steps made once so many runs are done; runs done

    def start(units: Sequence[Unit], steps: Sequence[int]) -> None:
        say(_plan(units, settings, devices, out, dask))
        upto.extend(accumulate(steps) if alone else range(1, len(units) + 1))
        bars["runs"] = Progress(upto[-1], "steps" if alone else "runs")

    def step(count: int) -> None:
        if alone:  # elsewhere nothing is heard of steps
            _forward(bars["runs"], bars["runs"].done + count, f"run {done[0] + 1} of {len(units)}")

    def result(count: int, total: int, name: str) -> None:
        done[0] = count
        _forward(bars["runs"], upto[count], name)

    def tell_of(text: str) -> None:
        say(wrapped(text), error=True)

    try:
        with _stopping(brake), _cluster(dask) as elsewhere:
            told = dict(on_data=on_data, on_start=start, on_step=step, on_result=result, say=tell_of)
            several = devices if len(devices) > 1 else ()
            outcome = run_all(root, brake=brake, devices=several, **elsewhere, **options, **told)
    except KeyboardInterrupt:
        _close(bars)
        where = (
            "at once, without a last checkpoint" if brake.ready else "while images were made ready; those done are kept"
        )
        say(f"stopped {where}. The same command{' with --resume' * brake.ready} goes on", error=True)
        raise click.exceptions.Exit(130) from None
    except RunStopped:
        _close(bars)
        say(f"stopped after {done[0]} of {len(units)} runs; the same command with --resume goes on", error=True)
        raise click.exceptions.Exit(130) from None
    finally:
        _close(bars)
    tell(outcome)
    say(wrapped(f"The paper's layout, with empty columns for its numbers: {outcome.folder / 'paper-layout.md'}"))
    if outcome.failures:
        say(f"error: {len(outcome.failures)} of {len(units)} runs ended early; they are named above", error=True)
        raise click.exceptions.Exit(1)


def _forward(bar: Progress, done: int, note: str) -> None:
    """Up to so many units; a bar never goes back, nor beyond its end."""
    while bar.done < min(done, bar.total):
        bar.step(note)


def _close(bars: dict[str, Progress]) -> None:
    for bar in bars.values():
        bar.close()


@contextmanager
def _cluster(address: str | None) -> Iterator[dict[str, Any]]:
    if address is None:
        yield {}
        return
    from ebll.sweeps.cluster import connected, workers_of

    with connected(address) as client:
        yield {"executor": client, "workers": workers_of(client, 1)}


@contextmanager
def _stopping(brake: Brake) -> Iterator[None]:
    """The first Ctrl-C or SIGTERM presses the brake; a second one, or one while images are converted, ends at once."""

    def press(number: int, frame: Any) -> None:
        if brake.pressed or not brake.ready:
            raise KeyboardInterrupt
        brake.press()
        say("stopping, with a checkpoint of the step that it is at. Once more ends at once", error=True)

    try:
        heard = [n for n in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(n) != signal.SIG_IGN]
        before = {number: signal.signal(number, press) for number in heard}
    except ValueError:  # not in the main thread, where nobody can press Ctrl-C
        yield
        return
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _plan(units: Sequence[Unit], settings: PaperSettings, devices: Sequence[str], out: str, dask: str | None) -> str:
    sequences = list(dict.fromkeys(unit.experiment.id for unit in units))
    methods = list(dict.fromkeys(unit.method for unit in units))
    seeds = sorted({unit.seed for unit in units})
    where = f"on a cluster at {dask}" if dask else f"on {', '.join(devices)}"
    epochs = f"{settings.train.warmup_epochs} epochs of warm-up, {settings.train.epochs} of training"
    rows = [
        ("sequences", ", ".join(sequences)),
        ("network", _network(settings)),
        ("methods", ", ".join(methods)),
        ("seeds", ", ".join(map(str, seeds))),
        ("runs", f"{len(units)}, {where}; {epochs}, batch {settings.train.batch_size}"),
        ("results", out),
    ]
    return "The paper's protocol\n" + facts(rows)


def _network(settings: PaperSettings) -> str:
    """The backbone, where it is cut, and what happens to its statistics."""
    from math import prod

    from ebll.backbones import BACKBONES
    from ebll.backbones.chains import shapes

    name, _, cut = settings.backbone.partition("@")
    net = BACKBONES[name]
    features = prod(shapes(name, settings.photos.size)[cut or net.cut])
    weights = {"default": net.weights.source, "none": "random weights"}.get(settings.weights, settings.weights)
    words = f"{name} cut at {cut or net.cut}, {features:,} features; {weights}"
    kept = net.batch_norm and settings.weights != "none"
    return words + ("; BatchNorm statistics stay as they were pretrained" if kept else "")


def _costs(cost: Cost) -> str:
    titles = {"data": "Data", "disk": "Disk", "memory": "Memory", "time": "Time"}
    return "\n".join(f"\n{title}\n{facts(getattr(cost, name))}" for name, title in titles.items())
