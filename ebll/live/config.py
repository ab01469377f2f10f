"""One frozen object holds every setting of the panels, becomes a line of code, and is read back from one.

    config = LabConfig(new="mnist", alpha=1.0)
    config.line()                        # 'ebll.LabConfig(new="mnist", alpha=1.0)'
    LabConfig.read(config.line()) == config

This room knows the settings and their limits; it trains nothing.
"""

from __future__ import annotations

import ast
import dataclasses
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ebll.autoencoder import AutoencoderSettings
from ebll.config import PRESETS, OfNet, take_own
from ebll.errors import InputError, check_choice
from ebll.methods import EBLL, EWC, METHODS, LwF, Method, method_from, settings_of
from ebll.settings import Settings, as_in, setting
from ebll.training import TrainSettings

__all__ = ["LAB_METHODS", "LabConfig", "acts_on", "calls_in", "changed_in", "check_tasks", "keywords_of", "line_of"]

LAB_METHODS = ("finetune", "feature-extraction", "lwf", "ewc", "ebll", "ebll-separate")
"""The methods that a panel offers: those that learn the new task without the old one's data."""

_MLP = PRESETS["mlp"]


@dataclass(frozen=True)
class LabConfig(Settings):
    """What a panel shows: two tasks, a net, methods and their weights; the defaults are the net's in docs/settings.md.

    The old task is always learned with the net's own settings. `learning_rate` and `epochs` are those of the new task.
    """

    old: str = setting("letters", "Task that is learned first, and that may be forgotten.", free=True)
    new: str = setting("textures", "Task that is learned second.", free=True)
    net: str = setting("mlp", "Network: a small MLP, or a small CNN, which takes longer.", choices=tuple(PRESETS))
    methods: tuple[str, ...] = ("finetune", "lwf", "ebll")
    alpha: float = as_in(EBLL, "alpha", OfNet(_MLP.alpha), doc="Weight of the code term, in EBLL.", high=1e6)
    temperature: float = as_in(LwF, "temperature", 2.0, high=1e3)
    distill_weight: float = as_in(LwF, "distill_weight", OfNet(_MLP.distill_weight), high=1e6)
    ewc_strength: float = as_in(EWC, "ewc_strength", OfNet(_MLP.ewc_strength), high=1e9)
    code_size: int = as_in(AutoencoderSettings, "code_size", _MLP.code_size, high=100_000)
    recon_weight: float = as_in(AutoencoderSettings, "recon_weight", 1e-2, high=1e6)
    learning_rate: float = as_in(TrainSettings, "learning_rate", OfNet(_MLP.train.learning_rate), high=1e3)
    epochs: int = as_in(TrainSettings, "epochs", _MLP.train.epochs, high=1000)
    seed: int = setting(0, "Decides everything that is random.", high=2**31)

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

    def method(self, name: str) -> Method:
        """A method with these weights."""
        check_choice(name, LAB_METHODS, "Method")
        return method_from(name, {field.name: getattr(self, field.name) for field in dataclasses.fields(self)})

    @property
    def first(self) -> TrainSettings:
        """How the old task is learned: as everywhere in the kit."""
        return PRESETS[self.net].train

    @property
    def train(self) -> TrainSettings:
        """How the new task is learned."""
        return self.first.replace(learning_rate=self.learning_rate, epochs=self.epochs)

    def with_net(self, net: str) -> LabConfig:
        """The same with another net: what stood at the old net's own setting goes to the new one's."""
        old, new = PRESETS[self.net], PRESETS[check_choice(net, PRESETS, "Net")]
        own = {name: (getattr(old, name), getattr(new, name)) for name in ("alpha", "distill_weight", "ewc_strength")}
        own |= {name: (getattr(old.train, name), getattr(new.train, name)) for name in ("learning_rate", "epochs")}
        moved = {name: after for name, (before, after) in own.items() if getattr(self, name) == before}
        return self.replace(net=net, **moved)

    def line(self, call: str = "ebll.LabConfig({})") -> str:
        """A line of code that makes this object; settings at their defaults are left out."""
        return line_of(self, call)

    @classmethod
    def read(cls, text: str | LabConfig) -> LabConfig:
        """A config from a line such as `line` writes; nothing in it is executed.

        text     code that contains `LabConfig(name=value, ...)`, or just `name=value, ...`
        raises   `InputError` in words where it cannot be read
        """
        if isinstance(text, cls):
            return text
        given = keywords_of(text, cls.__name__)
        for name in given:
            check_choice(name, cls.__dataclass_fields__, f"Setting of {cls.__name__}")
        return cls(**given)


def acts_on(name: str, methods: Iterable[str]) -> bool:
    """Whether a setting changes anything for one of these methods."""
    return not any(name in settings_of(one) for one in METHODS) or any(name in settings_of(one) for one in methods)


def check_tasks(config: LabConfig, offered: Iterable[str]) -> LabConfig:
    """Return the config if both its tasks are offered; otherwise say which are."""
    for name in (config.old, config.new):
        check_choice(name, offered, "Task")
    return config


def _literal(value: Any) -> str:
    if isinstance(value, tuple):
        return f"({', '.join(map(_literal, value))}{',' if len(value) == 1 else ''})"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)


def calls_in(text: str, name: str) -> list[ast.Call]:
    """The calls of a function or class of this name in a line of code; none where it is no code."""
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return []
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return [call for call in calls if name in (getattr(call.func, "attr", None), getattr(call.func, "id", None))]


def changed_in(config: Any) -> list[str]:
    """Names of the settings that are not at the defaults of a config's net; the net where it is not the usual one."""
    usual, of_net = type(config)(), type(config)(net=config.net)
    names = [field.name for field in dataclasses.fields(config)]
    return [n for n in names if getattr(config, n) != getattr(usual if n == "net" else of_net, n)]


def line_of(config: Settings, call: str) -> str:
    """The settings that are not at their defaults, as `name=value, ...`, put into the braces of `call`."""
    return call.format(", ".join(f"{name}={_literal(getattr(config, name))}" for name in changed_in(config)))


def keywords_of(text: str, name: str) -> dict[str, Any]:
    """What the one call of a class of this name in a line of code is given; the line may be just what it is given."""
    if not isinstance(text, str):
        raise InputError(f"config: a {name}, or a line such as '{name}(seed=1)'; got {type(text).__name__}.")
    found = calls_in(text, name) or calls_in(f"{name}({text})", name)
    if len(found) != 1 or found[0].args or any(keyword.arg is None for keyword in found[0].keywords):
        shown = text if len(text) <= 80 else f"{text[:79]}…"
        raise InputError(f"config: a line such as {name}(seed=1); got {shown!r}.")
    try:
        return {keyword.arg: ast.literal_eval(keyword.value) for keyword in found[0].keywords}
    except (ValueError, TypeError):  # the latter for a key that cannot be one
        raise InputError("config: every value must be a number, a text in quotes, or a list of texts.") from None
