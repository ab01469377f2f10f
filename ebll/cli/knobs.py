"""From the settings that the library declares to options, and from options back to a method and its training.

An option for every setting of every method, of the autoencoder and of the training comes from `Settings.metadata()`:
a new setting appears on the command line with its sentence, default and limits, and nothing is written here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import click

from ebll.autoencoder import AutoencoderSettings
from ebll.cli.params import Name, Number
from ebll.errors import InputError
from ebll.methods import METHODS, Method
from ebll.methods.base import per_old_task
from ebll.training import TrainSettings

__all__ = ["ROOMS", "Knob", "build", "knobs"]

ROOMS = {"method": "Settings of the method", "autoencoder": "Settings of its autoencoder", "training": "Training"}
"""Where a setting belongs -> headline in the help."""

# Settings of the autoencoder that say by their name whose they are; the others get a prefix.
_PLAIN = ("code_size", "recon_weight")


@dataclass(frozen=True)
class Knob:
    """One setting as an option: its field, the rules it declares, where it belongs, which methods have it."""

    field: str
    rules: Mapping[str, Any]
    room: str
    methods: tuple[str, ...]

    @property
    def parameter(self) -> str:
        """Name as Python sees it, different for every knob."""
        prefix = self.room == "autoencoder" and self.field not in _PLAIN
        return f"autoencoder_{self.field}" if prefix else self.field

    @property
    def option(self) -> str:
        """Name on the command line."""
        return "--" + self.parameter.replace("_", "-")

    @property
    def title(self) -> str:
        """Option, symbol and default."""
        symbol = f" ({self.rules['symbol']})" if self.rules["symbol"] else ""
        return f"{self.option}{symbol} = {_plain(self.rules['default'])}"

    @property
    def sentence(self) -> str:
        """What it does, with the choices where it has some."""
        choices = f" One of: {', '.join(self.rules['choices'])}." if self.rules["choices"] else ""
        return self.rules["doc"] + choices

    def as_option(self) -> click.Option:
        """The option of `ebll run`; without a value the library's default holds."""
        has = "" if self.room == "training" else f"; {', '.join(self.methods)}"
        words = f"{self.sentence}  [default: {_plain(self.rules['default'])}{has}]"
        if isinstance(self.rules["default"], bool):
            return click.Option([f"{self.option}/--no-{self.option[2:]}"], default=None, help=words)
        if self.rules["free"]:
            return click.Option([self.option], metavar="TEXT", help=words)
        if self.rules["choices"]:
            return click.Option([self.option], type=Name(self.field, lambda: self.rules["choices"]), help=words)
        many = self.rules["per_task"]
        metavar = "N[,N...]" if many else "N"
        return click.Option([self.option], type=Number(many=many), metavar=metavar, help=words)


def _plain(default: Any) -> str:
    return f"{default:g}" if isinstance(default, float) else str(default)


def knobs() -> list[Knob]:
    """All settings: those of the methods, then the autoencoder's, then the training's."""
    rules: dict[str, Mapping[str, Any]] = {}
    having: dict[str, list[str]] = {}
    for name, cls in METHODS.items():
        for field, said in cls.metadata().items():
            rules.setdefault(field, said)
            having.setdefault(field, []).append(name)
    found = [Knob(field, said, "method", tuple(having[field])) for field, said in rules.items()]
    coded = tuple(name for name, cls in METHODS.items() if _has_autoencoder(cls))
    found += [Knob(field, said, "autoencoder", coded) for field, said in AutoencoderSettings.metadata().items()]
    return found + [Knob(field, said, "training", tuple(METHODS)) for field, said in TrainSettings.metadata().items()]


def _has_autoencoder(cls: type[Method]) -> bool:
    return "autoencoder" in (field.name for field in fields(cls))


def build(method: str, given: Mapping[str, Any], old_tasks: int) -> tuple[Method, TrainSettings]:
    """The method and the training settings that the given options ask for; all others keep their defaults.

    raises   `InputError` for a setting that the method lacks, a value it refuses, or a wrong number of values
    """
    chosen: dict[str, dict[str, Any]] = {room: {} for room in ROOMS}
    for knob in knobs():
        value = given.get(knob.parameter)
        if value is None:
            continue
        if method not in knob.methods:
            raise InputError(
                f"{knob.option} is not a setting of {method}. Methods that have it: {', '.join(knob.methods)}. "
                "Leave it out, or choose one of these with --method."
            )
        chosen[knob.room][knob.field] = value
    if _has_autoencoder(METHODS[method]):
        chosen["method"]["autoencoder"] = AutoencoderSettings(**chosen["autoencoder"])
    made = METHODS[method](**chosen["method"])
    for field, rules in type(made).metadata().items():
        if rules["per_task"]:
            values = getattr(made, field)
            per_old_task(values, old_tasks, field)
            if isinstance(values, tuple) and len(values) > old_tasks:
                raise InputError(
                    f"{field} has {len(values)} entries, but these tasks come to {old_tasks} old ones: give one number "
                    "for all, or one per old task in the order learned."
                )
    return made, TrainSettings(**chosen["training"])
