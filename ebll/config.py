"""One run as one frozen object: tasks, net, method, its weights, training, seed.

    config = ebll.RunConfig(tasks=("letters", "mnist"), alpha=1.0)
    config.alpha, config.learning_rate          # what is not given is what was chosen for the net

The settings of a net were chosen on validation splits with seeds 100 and up (`benchmarks/choose_settings.py`,
docs/settings.md).
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from ebll.errors import InputError, check_choice
from ebll.settings import METHOD_NAMES, AutoencoderSettings, MethodSettings, Settings, TrainSettings, as_in, setting

if TYPE_CHECKING:  # torch is imported where a method is made: `ebll run --help` does without
    from ebll.methods import Method

__all__ = ["NEW_TASK_IMAGES", "PRESETS", "NetSettings", "OfNet", "Preset", "RunConfig"]

NEW_TASK_IMAGES = 1190
"""Training images of every task but the first: as many as the smallest has, so that they do not differ in size."""


@dataclass(frozen=True)
class Preset:
    """Settings of one net: how every task is trained, and what its methods weigh."""

    train: TrainSettings
    distill_weight: float
    alpha: float
    ewc_strength: float
    code_size: int = 64

    def method(self, name: str) -> Method:
        """A method by its name, with this net's settings."""
        from ebll.methods import method_from

        return method_from(name, dataclasses.asdict(self))


PRESETS = {
    "mlp": Preset(TrainSettings(), distill_weight=2.0, alpha=3.0, ewc_strength=300.0),
    "cnn": Preset(TrainSettings(), distill_weight=1.0, alpha=3.0, ewc_strength=300.0),
}


class OfNet(float):
    """A setting's default that gives way to the net's own when a config is built."""


class NetSettings(Settings):
    """Settings with a field `net`, where what is not given is as was chosen for the net."""

    net: str

    def __post_init__(self):
        preset = PRESETS[check_choice(self.net, PRESETS, "net")]
        for field in dataclasses.fields(self):
            if isinstance(getattr(self, field.name), OfNet):
                owner = preset if hasattr(preset, field.name) else preset.train
                object.__setattr__(self, field.name, getattr(owner, field.name))
        super().__post_init__()

    def replace(self, /, **changes: Any) -> Self:
        """As `Settings.replace`; with another net, what stood at the old net's own value goes to the new one's."""
        net = changes.get("net", self.net)
        if net == self.net:
            return super().replace(**changes)
        usual = type(self)(net=self.net)
        fields = [field.name for field in dataclasses.fields(self) if field.name != "net"]
        given = {name: getattr(self, name) for name in fields if getattr(self, name) != getattr(usual, name)}
        return type(self)(net=net).replace(**given | changes)


_MLP = PRESETS["mlp"]


@dataclass(frozen=True)
class RunConfig(NetSettings):
    """One run: a sequence of tasks, a net, a method with its weights, a seed.

    The first task is always learned with the net's own settings, so that all runs of a net and seed branch from the
    same network; `learning_rate`, `epochs` and `warmup_epochs` are those of the tasks after it. `alpha` is one number,
    or a tuple with one for each task but the last. What is not given is as was chosen for the net (docs/settings.md).
    """

    tasks: tuple[str, ...] = ("letters", "textures")
    net: str = setting("mlp", "Network: a small MLP, or a small CNN, which takes longer.", choices=tuple(PRESETS))
    method: str = setting("ebll", "What is minimised.", choices=METHOD_NAMES)
    alpha: float | tuple[float, ...] = as_in(MethodSettings, "alpha", OfNet(_MLP.alpha), per_task=True)
    temperature: float = as_in(MethodSettings, "temperature")
    distill_weight: float = as_in(MethodSettings, "distill_weight", OfNet(_MLP.distill_weight))
    ewc_strength: float = as_in(MethodSettings, "ewc_strength", OfNet(_MLP.ewc_strength))
    code_size: int = as_in(AutoencoderSettings, "code_size", _MLP.code_size)
    recon_weight: float = as_in(AutoencoderSettings, "recon_weight")
    learning_rate: float = as_in(TrainSettings, "learning_rate", OfNet(_MLP.train.learning_rate))
    epochs: int = as_in(
        TrainSettings, "epochs", _MLP.train.epochs, doc="Passes over the images of each task but the first."
    )
    warmup_epochs: int = as_in(TrainSettings, "warmup_epochs", _MLP.train.warmup_epochs)
    seed: int = setting(0, "Decides everything that is random.", high=2**31)
    images: int = setting(NEW_TASK_IMAGES, "Training images of every task but the first; 0 takes all.")
    log_every: int = setting(20, "Optimiser steps between two measurements; 0 for none.")

    def __post_init__(self):
        super().__post_init__()
        names = tuple(self.tasks) if isinstance(self.tasks, Iterable) and not isinstance(self.tasks, str) else ()
        if len(names) < 2 or not all(isinstance(name, str) and name.strip() for name in names):
            raise InputError(f"tasks: at least two names, such as letters and mnist; got {self.tasks!r}.")
        if len(set(names)) < len(names):
            raise InputError(f"tasks: each once in a sequence; got {', '.join(names)}.")
        object.__setattr__(self, "tasks", names)
        # A longer tuple would serve the library, but here it is most often several values that should be a list.
        if isinstance(self.alpha, tuple) and len(self.alpha) != len(names) - 1 and "alpha" not in self.unused:
            raise InputError(
                f"alpha: {self.alpha} has {len(self.alpha)} numbers, but {'-'.join(names)} needs {len(names) - 1}, one "
                "a task but the last. In a grid, several values to try are a list."
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
        from ebll.methods import method_from

        return method_from(self.method, {field.name: getattr(self, field.name) for field in dataclasses.fields(self)})

    @property
    def train(self) -> TrainSettings:
        """How the tasks after the first are learned."""
        own = {name: getattr(self, name) for name in ("learning_rate", "epochs", "warmup_epochs")}
        return PRESETS[self.net].train.replace(**own)

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
    from ebll.methods import settings_of

    of_methods = frozenset().union(*map(settings_of, METHOD_NAMES)) & set(RunConfig.__dataclass_fields__)
    return of_methods - settings_of(method)
