"""One run of a sweep as a frozen object: tasks, net, method, every number, seed. Its key names its result in a store.

This room knows settings and their limits; it trains nothing.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import importlib.metadata
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ebll.autoencoder import AutoencoderSettings
from ebll.errors import InputError, check_choice
from ebll.experiments.plan import NEW_TASK_IMAGES, PRESETS, OfNet, take_own
from ebll.methods import EBLL, EWC, METHODS, LwF, Method, method_from, settings_of
from ebll.settings import Settings, as_in, setting
from ebll.training import TrainSettings

__all__ = ["RunConfig", "code_version", "key_of"]

_MLP = PRESETS["mlp"]
_ROOMS = (
    *("autoencoder.py", "comparison.py", "data", "fisher.py", "methods", "metrics.py", "nets.py", "protocol.py"),
    *(
        "record.py",
        "runs.py",
        "seeds.py",
        "sweeps/config.py",
        "sweeps/single.py",
        "terms.py",
        "training.py",
    ),
    "experiments/plan.py",
)


@dataclass(frozen=True)
class RunConfig(Settings):
    """One run: a sequence of tasks, a net, a method with its weights, a seed.

    The first task is always learned with the net's own settings, so that all runs of a net and seed branch from the
    same network; `learning_rate`, `epochs` and `warmup_epochs` are those of the tasks after it. `alpha` is one number,
    or a tuple with one for each task but the last. What is not given is as was chosen for the net (docs/settings.md).
    """

    tasks: tuple[str, ...] = ("letters", "textures")
    net: str = setting("mlp", "Network: a small MLP, or a small CNN, which takes longer.", choices=tuple(PRESETS))
    method: str = setting("ebll", "What is minimised.", choices=tuple(METHODS))
    alpha: float | tuple[float, ...] = as_in(EBLL, "alpha", OfNet(_MLP.alpha), per_task=True)
    temperature: float = as_in(LwF, "temperature", 2.0)
    distill_weight: float = as_in(LwF, "distill_weight", OfNet(_MLP.distill_weight))
    ewc_strength: float = as_in(EWC, "ewc_strength", OfNet(_MLP.ewc_strength))
    code_size: int = as_in(AutoencoderSettings, "code_size", _MLP.code_size)
    recon_weight: float = as_in(AutoencoderSettings, "recon_weight", 1e-2)
    learning_rate: float = as_in(TrainSettings, "learning_rate", OfNet(_MLP.train.learning_rate))
    epochs: int = as_in(TrainSettings, "epochs", _MLP.train.epochs)
    warmup_epochs: int = as_in(TrainSettings, "warmup_epochs", _MLP.train.warmup_epochs)
    seed: int = setting(0, "Decides everything that is random.", high=2**31)
    images: int = setting(NEW_TASK_IMAGES, "Training images of every task but the first; 0 takes all.")
    log_every: int = setting(20, "Optimiser steps between two measurements; 0 for none.")

    def __post_init__(self):
        take_own(self)
        super().__post_init__()
        names = tuple(self.tasks) if isinstance(self.tasks, Iterable) and not isinstance(self.tasks, str) else ()
        if len(names) < 2 or not all(isinstance(name, str) and name.strip() for name in names):
            raise InputError(f"tasks: at least two names, such as ('letters', 'mnist'); got {self.tasks!r}.")
        if len(set(names)) < len(names):
            raise InputError(f"tasks: each once in a sequence; got {', '.join(names)}.")
        object.__setattr__(self, "tasks", names)
        # A longer tuple would serve the library, but here it is most often several values that should be a list.
        if isinstance(self.alpha, tuple) and len(self.alpha) != len(names) - 1 and "alpha" not in self.unused:
            raise InputError(
                f"alpha: {self.alpha} is one number a task but the last, and {'-'.join(names)} needs {len(names) - 1}. "
                "Several values to try are a list; in a TOML file, numbers for each task are a list within that list."
            )

    @classmethod
    def of(cls, **given: Any) -> RunConfig:
        """A config from settings by name.

        raises  `InputError` for an unknown setting, with the near ones, and for a value out of range
        """
        for name in given:
            check_choice(name, cls.__dataclass_fields__, "Setting of RunConfig")
        return cls(**given)

    @property
    def unused(self) -> frozenset[str]:
        """Names of the settings that change nothing for this method."""
        return _unused(self.method)

    def canonical(self) -> RunConfig:
        """The same run with what it does not use at the defaults of its net: two configs of one run become equal."""
        usual = _usual(self.net)
        own = {name: getattr(usual, name) for name in self.unused}
        changes = {name: value for name, value in own.items() if getattr(self, name) != value}
        alpha = changes.get("alpha", self.alpha)
        if isinstance(alpha, tuple) and len(set(alpha)) == 1:
            changes["alpha"] = alpha[0]
        return self.replace(**changes) if changes else self

    def made_method(self) -> Method:
        """The method with these weights."""
        return method_from(self.method, {field.name: getattr(self, field.name) for field in dataclasses.fields(self)})

    @property
    def train(self) -> TrainSettings:
        """How the tasks after the first are learned."""
        own = {name: getattr(self, name) for name in ("learning_rate", "epochs", "warmup_epochs")}
        return PRESETS[self.net].train.replace(**own)

    @functools.cached_property
    def key(self) -> str:
        """What names the result of this run: a hash of its canonical settings and of the code that runs it."""
        return key_of(self.canonical().as_dict(), code_version())

    def as_dict(self) -> dict[str, Any]:
        """Name -> value, as JSON and TOML can hold it."""
        values = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> RunConfig:
        """What `as_dict` gave.

        raises  `InputError` for settings that this version does not know
        """
        return cls().replace(**{name: tuple(v) if isinstance(v, list) else v for name, v in values.items()})


@functools.cache
def _usual(net: str) -> RunConfig:
    return RunConfig(net=net)


@functools.cache
def _unused(method: str) -> frozenset[str]:
    of_methods = frozenset().union(*map(settings_of, METHODS)) & set(RunConfig.__dataclass_fields__)
    return of_methods - settings_of(method)


def key_of(settings: Mapping[str, Any], code: str) -> str:
    """The key of a run from its canonical settings, as `RunConfig.as_dict` gives them, and a code version."""
    text = json.dumps([dict(settings), code], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


@functools.cache
def code_version() -> str:
    """A hash of the source of every room that decides what a run gives, and of torch's version up to its second number.

    Another release of torch may add up in another order; its corrections (2.4.0 to 2.4.1) are taken to change nothing.
    """
    package = Path(__file__).parents[1]
    files = [file for room in _ROOMS for file in ([package / room] if "." in room else (package / room).rglob("*.py"))]
    digest = hashlib.sha256(".".join(importlib.metadata.version("torch").split(".")[:2]).encode())
    for file in sorted(files):
        digest.update(file.relative_to(package).as_posix().encode())
        digest.update(file.read_bytes().replace(b"\r\n", b"\n"))
    return digest.hexdigest()[:16]
