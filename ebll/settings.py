"""Settings that document and check themselves: one place for default, symbol, sentence and limits of each.

A settings class is a frozen dataclass whose fields are made with `setting`. The same sentence serves the docstring, the
command line's help and a slider's tooltip.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any, Self

from ebll.errors import InputError, check_choice, check_count, check_number

__all__ = ["Settings", "as_in", "setting"]


def setting(
    default: Any,
    doc: str,
    *,
    symbol: str = "",
    low: float = 0,
    high: float = math.inf,
    above: bool = False,
    choices: tuple[str, ...] = (),
    per_task: bool = False,
    free: bool = False,
    hint: str = "",
) -> Any:
    """A dataclass field with its sentence, its symbol and the values it accepts.

    An int default asks for whole numbers, a float for finite numbers, a bool for True or False, a str for one of
    `choices`, or for any text if `free`. `above` excludes `low`. `per_task` also accepts one number per old task, in
    their order. `hint` is added to the error.
    """
    metadata = dict(doc=doc, symbol=symbol, low=low, high=high, above=above, choices=choices, per_task=per_task)
    metadata |= dict(free=free, hint=hint)
    return dataclasses.field(default=default, metadata=metadata)


def as_in(owner: type[Settings], name: str, default: Any, **changes: Any) -> Any:
    """A field with the sentence, symbol and limits of another settings class: they are written once."""
    rules = {key: value for key, value in owner.metadata()[name].items() if key != "default"}
    return setting(default, **{**rules, "per_task": False, **changes})


class Settings:
    """Base of the settings: checks every field made with `setting` when the object is built."""

    def __post_init__(self):
        for field in dataclasses.fields(self):
            if "doc" in field.metadata:
                object.__setattr__(self, field.name, _checked(field, getattr(self, field.name)))

    def replace(self, /, **changes: Any) -> Self:
        """A copy with some fields changed, checked again; unknown names are refused with the near ones."""
        names = [field.name for field in dataclasses.fields(self) if field.init]
        for name in changes:
            check_choice(name, names, f"Setting of {type(self).__name__}")
        return dataclasses.replace(self, **changes)

    @classmethod
    def metadata(cls) -> dict[str, dict[str, Any]]:
        """Name -> sentence, symbol, default and limits of every setting, for help texts and controls."""
        return {
            field.name: {**field.metadata, "default": field.default}
            for field in dataclasses.fields(cls)
            if "doc" in field.metadata
        }


def _checked(field: dataclasses.Field, value: Any) -> Any:
    rules, name = field.metadata, field.name + (f" ({field.metadata['symbol']})" if field.metadata["symbol"] else "")
    if rules["per_task"] and isinstance(value, (list, tuple)):
        if not value:
            raise InputError(f"{name}: one number, or one per old task; got an empty list.")
        whole = isinstance(field.default, int)
        return tuple((_count if whole else _number)(rules, v, f"{name}, entry {i}") for i, v in enumerate(value))
    if isinstance(field.default, bool):
        if not isinstance(value, bool):
            raise InputError(f"{name} is True or False; got {value!r}.")
        return value
    if rules["free"]:
        if not isinstance(value, str) or not value.strip():
            raise InputError(f"{name} must be a name; got {value!r}.")
        return value
    if isinstance(field.default, str):
        return check_choice(value, rules["choices"], name)
    if isinstance(field.default, int):
        return _count(rules, value, name)
    return _number(rules, value, name)


def _count(rules: dict[str, Any], value: Any, name: str) -> int:
    return check_count(value, name, low=rules["low"], high=rules["high"], hint=rules["hint"])


def _number(rules: dict[str, Any], value: Any, name: str) -> float:
    return check_number(value, name, low=rules["low"], high=rules["high"], above=rules["above"], hint=rules["hint"])
