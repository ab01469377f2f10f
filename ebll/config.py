"""One run as one frozen object: tasks, net, method, its weights, training, seed.

config = ebll.RunConfig(tasks=("letters", "mnist"), alpha=1.0)
config.alpha, config.learning_rate          # what is not given was chosen on validation data (docs/settings.md)
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ebll.errors import InputError
from ebll.settings import (
    METHOD_NAMES,
    NET_NAMES,
    USUAL,
    AutoencoderSettings,
    MethodSettings,
    Settings,
    TrainSettings,
    as_in,
    setting,
)

if TYPE_CHECKING:  # torch is imported where a method is made: `ebll run --help` does without
    from ebll.methods import Method

__all__ = ["NEW_TASK_IMAGES", "RunConfig"]

NEW_TASK_IMAGES = 1190
"""Training images of every task but the first: as many as the smallest has, so that they do not differ in size."""


@dataclass(frozen=True)
class RunConfig(Settings):
    """One run: a sequence of tasks, a net, a method with its weights, a seed.

    The first task is always learned with the usual settings, so that all runs of a net and seed branch from the same
    network; `learning_rate`, `epochs` and `warmup_epochs` are those of the tasks after it. `alpha` is one number, or a
    tuple with one for each task but the last. The defaults were chosen on validation data (docs/settings.md).
    """

    tasks: tuple[str, ...] = ("letters", "textures")
    net: str = setting("mlp", "Network: a small MLP, or a small CNN, which takes longer.", choices=NET_NAMES)
    method: str = setting("ebll", "What is minimised.", choices=METHOD_NAMES)
    alpha: float | tuple[float, ...] = as_in(MethodSettings, "alpha", per_task=True)
    temperature: float = as_in(MethodSettings, "temperature")
    distill_weight: float = as_in(MethodSettings, "distill_weight")
    ewc_strength: float = as_in(MethodSettings, "ewc_strength")
    l2_strength: float = as_in(MethodSettings, "l2_strength")
    moments_strength: float = as_in(MethodSettings, "moments_strength")
    kfac_strength: float = as_in(MethodSettings, "kfac_strength")
    replay_weight: float = as_in(MethodSettings, "replay_weight")
    code_size: int = as_in(AutoencoderSettings, "code_size")
    recon_weight: float = as_in(AutoencoderSettings, "recon_weight")
    learning_rate: float = as_in(TrainSettings, "learning_rate")
    epochs: int = as_in(TrainSettings, "epochs", doc="Passes over the images of each task but the first.")
    warmup_epochs: int = as_in(TrainSettings, "warmup_epochs")
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
        """A config from settings by name, such as `dataclasses.asdict` gives them, also by way of JSON.

        raises  `InputError` for an unknown setting, with the near ones, and for a value out of range
        """
        return cls().replace(**given)

    @property
    def unused(self) -> frozenset[str]:
        """Names of the settings that change nothing for this method."""
        return _unused(self.method)

    def canonical(self) -> RunConfig:
        """The same run with what it does not use at the defaults: two configs of one run become equal."""
        own = {name: self.__dataclass_fields__[name].default for name in self.unused}
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
        return USUAL.replace(**own)


@functools.cache
def _unused(method: str) -> frozenset[str]:
    from ebll.methods import settings_of

    of_methods = frozenset().union(*map(settings_of, METHOD_NAMES)) & set(RunConfig.__dataclass_fields__)
    return of_methods - settings_of(method)
