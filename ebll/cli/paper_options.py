"""Options of `ebll paper`: one for every setting, and the words that stand for sequences and backbones.

What is allowed is asked of the library when it is needed, so that `ebll --help` does not wait for torch.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from ebll.cli.one_run import RunCommand
from ebll.cli.params import listed

if TYPE_CHECKING:
    from ebll.cli.knobs import Knob
    from ebll.paper import PaperSettings

__all__ = ["BackboneName", "PaperCommand", "SequenceNames", "settings_from"]

ROOMS = {"paper": "Network and methods", "photos": "Photographs", "train": "Training"}
_BY_HAND = ("backbone", "weights")  # have options of their own, with completion


class PaperCommand(RunCommand):
    """A command with an option for every setting of `PaperSettings` and of what it holds."""

    def every(self) -> list[tuple[str, Knob]]:
        """Headline and knob of each setting."""
        return [(ROOMS[room], knob) for room, knob in _knobs()]


def _knobs() -> Iterator[tuple[str, Knob]]:
    from ebll.cli.knobs import Knob
    from ebll.paper import PaperSettings

    usual = PaperSettings()
    for room, settings in (("paper", usual), ("photos", usual.photos), ("train", usual.train)):
        for field, rules in type(settings).metadata().items():
            if field not in _BY_HAND:
                yield room, Knob(field, {**rules, "default": getattr(settings, field)}, "training", ())


class SequenceNames(click.ParamType):
    """Names of sequences, separated by commas."""

    name = "experiment"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        """Split at the commas; what they stand for is checked by the library."""
        return value if isinstance(value, tuple) else listed(value, "Experiment")

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """The paper's sequences."""
        from ebll.paper import SEQUENCES

        before, comma, last = incomplete.rpartition(",")
        return [CompletionItem(before + comma + name) for name in SEQUENCES if name.startswith(last)]


class BackboneName(click.ParamType):
    """A backbone, or NET@CUT."""

    name = "backbone"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Left to the library, which names the near ones."""
        return value

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Backbones, and after an @ their cuts."""
        from ebll.backbones import BACKBONES

        net, at, _ = incomplete.partition("@")
        names = [f"{net}@{cut}" for cut in BACKBONES[net].stages] if at and net in BACKBONES else list(BACKBONES)
        return [CompletionItem(name) for name in names if name.startswith(incomplete)]


def settings_from(given: dict[str, Any]) -> PaperSettings:
    """Settings from options; those that were not given keep their defaults.

    raises   `InputError` for a value out of range
    """
    from ebll.paper import PaperSettings

    usual = PaperSettings()
    chosen = {room: {} for room in ROOMS}
    for room, knob in _knobs():
        if given.get(knob.parameter) is not None:
            chosen[room][knob.field] = given[knob.parameter]
    chosen["paper"] |= {name: given[name] for name in _BY_HAND if given.get(name) is not None}
    inner = {room: getattr(usual, room).replace(**chosen[room]) for room in ("photos", "train")}
    return dataclasses.replace(usual, **chosen["paper"], **inner)
