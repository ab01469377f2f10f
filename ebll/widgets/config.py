"""The settings of a widget: a frozen object that becomes a line of code, and is read back from one.

config = LabConfig(new="mnist", alpha=1.0)
config.line()                        # 'ebll.LabConfig(new="mnist", alpha=1.0)'
LabConfig.read(config.line()) == config
"""

from __future__ import annotations

import ast
import dataclasses
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Self

from ebll.config import PRESETS, OfNet, RunConfig, take_own
from ebll.errors import InputError, check_choice, check_count
from ebll.methods import METHODS, settings_of
from ebll.settings import Settings, as_in, setting

__all__ = ["LAB_METHODS", "MID_RUN", "Change", "LabConfig", "SubmanifoldConfig", "line_of_run", "read_run"]

LAB_METHODS = ("finetune", "feature-extraction", "lwf", "ewc", "ebll", "ebll-separate")
"""The methods that the forgetting lab offers: those that learn the new task without the old one's data."""
MID_RUN = ("alpha", "distill_weight", "ewc_strength")
"""The settings that may change in mid-run: the weights of the loss terms."""

_MLP = PRESETS["mlp"]


class Change(NamedTuple):
    """One setting changed in mid-run: from this optimiser step on it has this value."""

    step: int
    name: str
    value: float


class WidgetConfig(Settings):
    """Settings that a line of code holds."""

    call: ClassVar[str]  #: what makes such an object, with braces for its settings

    def line(self, call: str = "") -> str:
        """A line of code that makes this object; settings at their defaults are left out."""
        return line_of(self, call or self.call)

    @classmethod
    def read(cls, text: str | Self) -> Self:
        """A config from a line such as `line` writes, or from just `name=value, ...`; nothing in it is executed.

        raises   `InputError` where it cannot be read
        """
        if isinstance(text, cls):
            return text
        given = keywords_of(text, cls.__name__)
        for name in given:
            check_choice(name, cls.__dataclass_fields__, f"Setting of {cls.__name__}")
        return cls(**given)


@dataclass(frozen=True)
class LabConfig(WidgetConfig):
    """What the forgetting lab runs: two tasks, a net, methods and their weights; each method is one `RunConfig`.

    The old task is always learned with the net's own settings. `learning_rate` and `epochs` are those of the new task.
    """

    call = "ebll.LabConfig({})"

    old: str = setting("letters", "Task that is learned first, and that may be forgotten.", free=True)
    new: str = setting("textures", "Task that is learned second.", free=True)
    net: str = as_in(RunConfig, "net", "mlp")
    methods: tuple[str, ...] = ("finetune", "lwf", "ebll")
    alpha: float = as_in(RunConfig, "alpha", OfNet(_MLP.alpha), high=1e6)
    temperature: float = as_in(RunConfig, "temperature", 2.0, high=1e3)
    distill_weight: float = as_in(RunConfig, "distill_weight", OfNet(_MLP.distill_weight), high=1e6)
    ewc_strength: float = as_in(RunConfig, "ewc_strength", OfNet(_MLP.ewc_strength), high=1e9)
    code_size: int = as_in(RunConfig, "code_size", _MLP.code_size, high=100_000)
    recon_weight: float = as_in(RunConfig, "recon_weight", 1e-2, high=1e6)
    learning_rate: float = as_in(RunConfig, "learning_rate", OfNet(_MLP.train.learning_rate), high=1e3)
    epochs: int = as_in(RunConfig, "epochs", _MLP.train.epochs, high=1000)
    seed: int = as_in(RunConfig, "seed", 0)

    def __post_init__(self):
        take_own(self)
        super().__post_init__()
        names = (self.methods,) if isinstance(self.methods, str) else self.methods
        if not isinstance(names, Iterable) or not (names := tuple(names)):
            raise InputError(f"methods: name at least one of {', '.join(LAB_METHODS)}; got {self.methods!r}.")
        chosen = {check_choice(name, LAB_METHODS, "Method") for name in names}
        object.__setattr__(self, "methods", tuple(name for name in METHODS if name in chosen))
        if self.old == self.new:
            raise InputError(f"old and new must be different tasks; both are {self.old!r}.")

    def run(self, method: str) -> RunConfig:
        """The run of one method."""
        shared = RunConfig.__dataclass_fields__.keys() & self.__dataclass_fields__.keys()
        own = {name: getattr(self, name) for name in shared}
        return RunConfig(tasks=(self.old, self.new), method=check_choice(method, LAB_METHODS, "Method"), **own)

    def with_net(self, net: str) -> LabConfig:
        """The same with another net: what stood at the old net's own setting goes to the new one's."""
        return LabConfig(net=net).replace(**{n: getattr(self, n) for n in changed_in(self) if n != "net"})


@dataclass(frozen=True)
class SubmanifoldConfig(WidgetConfig):
    """What the submanifold explorer shows; the defaults are those of docs/settings.md."""

    call = "ebll.widgets.SubmanifoldConfig({})"

    task: str = setting("letters", "Task whose features are looked at.", free=True)
    net: str = as_in(RunConfig, "net", "mlp")
    label: str = setting("A", "Class whose features are shown.", free=True)
    code_size: int = as_in(RunConfig, "code_size", _MLP.code_size, high=100_000)
    recon_weight: float = as_in(RunConfig, "recon_weight", 1e-2, high=1e6)
    seed: int = as_in(RunConfig, "seed", 0)


def acts_on(name: str, methods: Iterable[str]) -> bool:
    """Whether a setting changes anything for one of these methods."""
    return not any(name in settings_of(one) for one in METHODS) or any(name in settings_of(one) for one in methods)


def changed_in(config: Any) -> list[str]:
    """Names of the settings that are not at the defaults of a config's net; the net where it is not the first one."""
    usual, of_net = type(config)(), type(config)(net=config.net)
    names = [field.name for field in dataclasses.fields(config)]
    return [n for n in names if getattr(config, n) != getattr(usual if n == "net" else of_net, n)]


# Lines of code


def line_of(config: Settings, call: str) -> str:
    """The settings that are not at their defaults, as `name=value, ...`, put into the braces of `call`."""
    return call.format(", ".join(f"{name}={_literal(getattr(config, name))}" for name in changed_in(config)))


def line_of_run(config: LabConfig, changes: Iterable[Sequence[Any]] = ()) -> str:
    """The line of code that makes a run again; `read_run` reads it."""
    listed = ", ".join(repr(tuple(change)) for change in changes)
    return config.line(f"ebll.widgets.run(ebll.LabConfig({{}}){f', changes=[{listed}]' if listed else ''})")


def read_run(text: str | LabConfig) -> tuple[LabConfig, tuple[Change, ...]]:
    """Config and changes from a line that `line_of_run` writes; nothing in it is executed.

    A line without changes, or just `LabConfig(...)`, means none.
    """
    config, given = LabConfig.read(text), {}
    for call in [] if isinstance(text, LabConfig) else _calls_in(text, "run"):
        given |= {keyword.arg: keyword.value for keyword in call.keywords}
        given |= dict(zip(("config", "changes"), call.args, strict=False))
    for name in given:
        check_choice(name, ("config", "changes"), "Argument of run")
    try:
        changes = ast.literal_eval(given["changes"]) if "changes" in given else ()
    except (ValueError, TypeError):
        raise InputError('config: a line such as run(LabConfig(), changes=[(60, "alpha", 0.0)]).') from None
    return config, checked_changes(config, changes)


def checked_changes(config: LabConfig, changes: Any) -> tuple[Change, ...]:
    """Changes in the order of their steps.

    changes  each (step, name, value), such as (60, "alpha", 0.0)
    """
    if not isinstance(changes, Iterable) or isinstance(changes, str):
        raise InputError(f"changes: a list such as [(60, 'alpha', 0.0)]; got {changes!r}.")
    made = []
    for change in changes:
        if not isinstance(change, Sequence) or isinstance(change, str) or len(change) != 3:
            raise InputError(f"changes: each is (step, name, value), such as (60, 'alpha', 0.0); got {change!r}.")
        step, name, value = change
        check_count(step, "step of a change", low=0)
        check_choice(name, MID_RUN, "A setting that may change in mid-run")
        made.append(Change(int(step), name, getattr(config.replace(**{name: value}), name)))
    return tuple(sorted(made, key=lambda change: change.step))


def keywords_of(text: str, name: str) -> dict[str, Any]:
    """What the one call of a class of this name in a line of code is given; the line may be just what it is given."""
    if not isinstance(text, str):
        raise InputError(f"config: a {name}, or a line such as '{name}(seed=1)'; got {type(text).__name__}.")
    found = _calls_in(text, name) or _calls_in(f"{name}({text})", name)
    if len(found) != 1 or found[0].args or any(keyword.arg is None for keyword in found[0].keywords):
        shown = text if len(text) <= 80 else f"{text[:79]}…"
        raise InputError(f"config: a line such as {name}(seed=1); got {shown!r}.")
    try:
        return {keyword.arg: ast.literal_eval(keyword.value) for keyword in found[0].keywords}
    except (ValueError, TypeError):  # the latter for a key that cannot be one
        raise InputError("config: every value must be a number, a text in quotes, or a list of texts.") from None


def _literal(value: Any) -> str:
    if isinstance(value, tuple):
        return f"({', '.join(map(_literal, value))}{',' if len(value) == 1 else ''})"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)


def _calls_in(text: str, name: str) -> list[ast.Call]:
    """The calls of a function or class of this name in a line of code; none where it is no code."""
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return []
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return [call for call in calls if name in (getattr(call.func, "attr", None), getattr(call.func, "id", None))]
