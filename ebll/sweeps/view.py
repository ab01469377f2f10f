"""A choice of what is looked at in a sweep: tasks, method, data, the two edges of a map, and a cell of it."""

from __future__ import annotations

import dataclasses
import difflib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ebll.config import PRESETS, RunConfig
from ebll.errors import InputError, check_choice
from ebll.sweeps.indexed import KNOBS, SweepIndex, Value, setting_value
from ebll.sweeps.tables import plain

__all__ = ["DATA", "SweepView", "kept", "main_method", "nearest", "settled"]

DATA = ("validation", "test")
"""Settings are chosen on the first."""


@dataclass(frozen=True)
class SweepView:
    """What is looked at; "" and None leave it to `settled`.

    tasks, method   as in the table
    data            "validation", on which settings are chosen, or "test"
    columns, rows   the settings along the map's two edges; rows are "" where only one setting varies
    the others      value of a setting: along the edges that of the chosen cell, elsewhere that of the whole map
    """

    tasks: str = ""
    method: str = ""
    data: str = "validation"
    columns: str = ""
    rows: str = ""
    net: str | None = None
    alpha: Value | None = None
    temperature: float | None = None
    distill_weight: float | None = None
    ewc_strength: float | None = None
    code_size: int | None = None
    recon_weight: float | None = None
    learning_rate: float | None = None
    epochs: int | None = None
    warmup_epochs: int | None = None
    images: int | None = None
    log_every: int | None = None

    @property
    def at(self) -> dict[str, Value]:
        """Setting -> value, of those that have one."""
        return {name: value for name in KNOBS if (value := getattr(self, name)) is not None}

    def replace(self, /, **changes: Any) -> SweepView:
        """A copy with some of it changed; unknown names are refused with the near ones."""
        for name in changes:
            check_choice(name, self.__dataclass_fields__, "Setting of SweepView")
        return dataclasses.replace(self, **changes)


def settled(index: SweepIndex, view: SweepView | None = None) -> SweepView:
    """The view with everything chosen that was left open, and without what does not vary.

    Left open, columns are alpha, rows lambda or lambda_o, whichever has more values; a value is the kit's default where
    the sweep has that, and else the one in the middle.

    raises  `InputError` for tasks, a method, a setting or a value that the sweep does not have
    """
    view = view or SweepView()
    check_choice(view.data, DATA, "data")
    if not index.methods:
        return SweepView(data=view.data)
    tasks = check_choice(view.tasks, index.tasks, "tasks") if view.tasks else index.tasks[0]
    method = main_method(index, view.method)
    axes, constant = index.axes[method], index.constant[method]
    for name, value in view.at.items():
        _check_value(name, value, axes, constant, method)
    columns, rows = _edges(view, axes)
    given = {name: setting_value(value) for name, value in view.at.items()}
    at = {name: given.get(name, _usual(name, values, constant, view)) for name, values in axes.items()}
    whole = {name: int(value) for name, value in at.items() if isinstance(_default(name), int)}
    return SweepView(tasks, method, view.data, columns, rows, **(at | whole))


def kept(index: SweepIndex, view: SweepView) -> SweepView:
    """The view as it was, settled anew where the sweep does not have it any more."""
    tasks = view.tasks if view.tasks in index.tasks else ""
    method = view.method if view.method in index.methods else ""
    if not index.methods:
        return SweepView(data=view.data)
    axes = index.axes[main_method(index, method)]
    edges = {name: value if (value := getattr(view, name)) in axes else "" for name in ("columns", "rows")}
    at = {name: value for name, value in view.at.items() if setting_value(value) in axes.get(name, ())}
    return settled(index, SweepView(tasks, method, view.data, **edges, **at))


def main_method(index: SweepIndex, name: str = "") -> str:
    """The method of that name; without one, that with the most combinations of settings."""
    if name:
        return check_choice(name, index.methods, "method")
    return max(index.methods, key=lambda one: math.prod(len(values) for values in index.axes[one].values()))


def nearest(values: Iterable[Value], value: float) -> Value:
    """The number among a setting's values that is nearest to another one."""
    numbers = [one for one in values if not isinstance(one, str)]
    return max(numbers) if value > max(numbers) else min(numbers, key=lambda one: abs(one - value))


def _edges(view: SweepView, axes: Mapping[str, tuple]) -> tuple[str, str]:
    for name in ("columns", "rows"):
        if getattr(view, name):
            check_choice(getattr(view, name), axes, name)
    if view.columns and view.columns == view.rows:
        raise InputError(f"rows and columns must be different settings; both are {view.rows!r}.")
    columns = view.columns or _first(("alpha", *axes), axes, view.rows)
    lambdas = sorted(("recon_weight", "distill_weight"), key=lambda name: -len(axes.get(name, ())))
    rows = view.rows or _first((*lambdas, *axes), axes, columns)
    return columns, rows


def _first(wanted: Iterable[str], there: Iterable[str], but: str) -> str:
    return next((name for name in wanted if name in there and name != but), "")


def _check_value(name: str, value: Any, axes: Mapping[str, tuple], constant: Mapping[str, Value], method: str) -> None:
    values = axes.get(name) or ((constant[name],) if name in constant else ())
    if not values:
        raise InputError(f"{name}: {method} has no such setting. It varies {', '.join(axes) or 'none'} in this sweep.")
    if setting_value(value) not in values:
        told = [plain(one) for one in values]
        near = difflib.get_close_matches(plain(value), told, n=2, cutoff=0.5)
        hint = f" Did you mean {' or '.join(near)}?" if near else ""
        raise InputError(
            f"{name}: this sweep has no {plain(value)} for {method}.{hint} Choose one of: {'; '.join(told)}."
        )


def _default(name: str, net: str = "mlp") -> Any:
    return getattr(RunConfig(net=net if net in PRESETS else "mlp"), name)


def _usual(name: str, values: tuple[Value, ...], constant: Mapping[str, Value], view: SweepView) -> Value:
    """The kit's own value if there is one among these, or else that in the middle."""
    usual = setting_value(_default(name, str(view.net or constant.get("net"))))
    return usual if usual in values else values[(len(values) - 1) // 2]
