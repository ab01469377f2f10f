"""The commands that train nothing: which tasks and methods there are, is all set up, completion in the shell."""

from __future__ import annotations

import inspect
import os
import platform
import sys
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ebll.cli.params import Name, examples
from ebll.cli.terminal import facts, say, wrapped

if TYPE_CHECKING:
    from ebll.cli.knobs import Knob
    from ebll.data import TaskInfo

__all__ = ["completion", "doctor", "methods", "tasks"]

PACKAGES = ("torch", "torchvision", "numpy", "pandas", "scipy", "matplotlib", "seaborn", "click", "tqdm")


@click.command(short_help="List the tasks.", epilog=examples("ebll tasks", "ebll tasks --csv > tasks.csv"))
@click.option("--csv", "as_csv", is_flag=True, help="Print a CSV with one row a task.")
def tasks(as_csv: bool) -> None:
    """List the tasks: classes, sizes, source, licence, and whether the images are here."""
    if as_csv:
        from ebll.data import task_table

        say(task_table().to_csv(index=False, lineterminator="\n").rstrip("\n"))
        return
    from ebll.data import TASKS

    row = "{:<10} {:>7} {:>7} {:>10} {:>7}  {}"
    say(row.format("name", "classes", "train", "validation", "test", "available"))
    for info in TASKS.values():
        here, how = info.available()
        sizes = (f"{n:,}" for n in (info.classes, info.train, info.validation, info.test))
        say("\n" + row.format(info.name, *sizes, "yes" if here else "no"))
        say(facts(_about(info, how)))
    say("\n" + wrapped("Your own images: name the path of a folder with one subfolder a class, as in ./leaves."))


def _about(info: TaskInfo, how: str) -> list[tuple[str, str]]:
    missing = [("to get it", how)] if how else []
    return [("what", info.note), ("source", info.source), ("licence", info.licence), *missing]


@click.command(
    short_help="List the methods and their settings.",
    epilog=examples("ebll methods", "ebll run --method ewc --ewc-strength 300 --fisher sampled"),
)
def methods() -> None:
    """List the methods, and every setting with its symbol, default and meaning."""
    from ebll.cli.knobs import knobs
    from ebll.methods import METHODS

    every = knobs()
    for name, cls in METHODS.items():
        say(f"{name}: {cls.label}")
        say(wrapped(_first_paragraph(cls), "  "))
        _settings(knob for knob in every if knob.room == "method" and name in knob.methods)
    coded = [knob for knob in every if knob.room == "autoencoder"]
    say(f"The autoencoder of {', '.join(coded[0].methods)}")
    _settings(coded)
    say("How every method is trained")
    _settings(knob for knob in every if knob.room == "training")


def _settings(shown: Iterable[Knob]) -> None:
    for knob in shown:
        say(wrapped(knob.sentence, " " * 6, f"    {knob.title}  "))
    say()


def _first_paragraph(cls: type) -> str:
    """What the method's file says of it at its top, the same sentence that a reader of the code meets."""
    text = inspect.getdoc(sys.modules[cls.__module__]) or ""
    return " ".join(text.split("\n\n")[0].split())


@click.command(
    short_help="Say what is installed and whether it will run.",
    epilog=examples("ebll doctor", "ebll doctor --out figures"),
)
@click.option("--out", default="out", show_default=True, metavar="DIR", help="Folder that results would go to.")
def doctor(out: str) -> None:
    """Say what is installed and whether it will run: versions, device, tasks, output folder."""
    from ebll.data import TASKS
    from ebll.environment import problems

    found = {name: info.available() for name, info in TASKS.items()}
    writable = _writable(Path(out))
    rows = [
        ("ebll", f"{_version('ebll')} on Python {platform.python_version()}, {platform.system()}"),
        ("packages", ", ".join(f"{name} {_version(name)}" for name in PACKAGES)),
        ("device", _device()),
        *((name, "available" if here else f"not here. {how}") for name, (here, how) in found.items()),
        ("output", f"{out} {'can be written' if writable else 'cannot be written: choose another with --out'}"),
    ]
    unfit = problems()
    rows += [("package", sentence) for sentence in unfit]
    say(facts(rows))
    amiss = [*unfit, *(name for name, (here, _) in found.items() if not here and not TASKS[name].optional)]
    if amiss or not writable:
        say("not ready: see above", error=True)
        raise click.exceptions.Exit(1)
    say("  ready")


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "(not installed)"


def _device() -> str:
    import torch

    from ebll.workers import default_workers

    gpu = f"cuda, {torch.cuda.get_device_name(0)}" if torch.cuda.is_available() else "cpu, torch sees no GPU"
    return f"{gpu}; {torch.get_num_threads()} threads, {default_workers()} worker processes"


def _writable(folder: Path) -> bool:
    """Whether the folder, or the nearest one above it that exists, takes new files; nothing is made."""
    near = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    return near.is_dir() and os.access(near, os.W_OK | os.X_OK)


_HOW = {
    "bash": '# Append to ~/.bashrc:   eval "$(ebll completion bash)"',
    "zsh": '# Append to ~/.zshrc, after compinit:   eval "$(ebll completion zsh)"',
    "fish": "# Once:   ebll completion fish > ~/.config/fish/completions/ebll.fish",
}


@click.command(
    short_help="Print what switches on completion with the tab key.",
    epilog=examples('eval "$(ebll completion bash)"', "ebll completion fish > ~/.config/fish/completions/ebll.fish"),
)
@click.argument("shell", type=Name("Shell", lambda: _HOW), metavar="bash|zsh|fish")
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the script that switches on completion with the tab key."""
    from click.shell_completion import ShellComplete, get_completion_class

    kind: Any = get_completion_class(shell)
    made = kind(ctx.find_root().command, {}, "ebll", "_EBLL_COMPLETE")
    say(f"{_HOW[shell]}\n{ShellComplete.source(made)}")  # the base class: bash's own first looks for a bash to ask
