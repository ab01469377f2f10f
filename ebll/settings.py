"""Settings that document and check themselves: one place for default, symbol, sentence and limits of each.

A settings class is a frozen dataclass whose fields are made with `setting`. The same sentence serves the docstring, the
command line's help and a slider's tooltip. Nothing here needs torch, so that `ebll run --help` does not wait for it.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any, Self

from ebll.errors import InputError, check_choice, check_count, check_number

__all__ = [
    "FISHER_KINDS", "MAIN_METHODS", "METHOD_NAMES", "NET_NAMES", "USUAL",
    "AutoencoderSettings", "MethodSettings", "Settings", "TrainSettings", "as_in", "setting",
]  # fmt: skip

METHOD_NAMES = (
    "joint",
    "finetune",
    "feature-extraction",
    "lwf",
    "l2",
    "ewc",
    "input-moments",
    "kfac",
    "replay",
    "code-only",
    "ebll",
    "ebll-separate",
)
"""The methods in the order of every table and legend; `ebll.methods.METHODS` has their classes."""

MAIN_METHODS = tuple(name for name in METHOD_NAMES if name != "replay")
"""Those of the main job, unless others are named."""

NET_NAMES = ("mlp", "cnn")
"""The built-in nets; `ebll.networks.NETS` has them."""

FISHER_KINDS = ("exact", "sampled", "empirical")


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


def as_in(owner: type[Settings], name: str, default: Any = None, **changes: Any) -> Any:
    """A field with the sentence, symbol, limits and, unless another is given, the default of another settings class."""
    rules = {**owner.metadata()[name], "per_task": False, **changes}
    usual = rules.pop("default")
    return setting(usual if default is None else default, **rules)


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
        return tuple(_limited(field, v, f"{name}, entry {i}") for i, v in enumerate(value))
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
    return _limited(field, value, name)


def _limited(field: dataclasses.Field, value: Any, name: str) -> float:
    limits = {rule: field.metadata[rule] for rule in ("low", "high", "hint")}
    if isinstance(field.default, int):
        return check_count(value, name, **limits)
    return check_number(value, name, above=field.metadata["above"], **limits)


# ---- the settings of training, of autoencoders and of methods


@dataclass(frozen=True)
class TrainSettings(Settings):
    """How every task is trained; the same for all methods, so that they differ in their objective only."""

    epochs: int = setting(8, "Passes over a task's training inputs.", low=1)
    first_epochs: int = setting(0, "Passes over the first task's training inputs; 0: as many as over the others'.")
    warmup_epochs: int = setting(2, "Passes in which only the new head learns, before the rest moves.", low=0)
    batch_size: int = setting(64, "Inputs per step.", low=1, high=2**31)
    learning_rate: float = setting(0.02, "Step size of SGD.", above=True, hint="0.02 suits the built-in nets.")
    momentum: float = setting(0.9, "Share of the last step carried into the next.", high=0.999)
    weight_decay: float = setting(5e-4, "Pull of every trained weight towards zero.")
    threads: int = setting(
        1,
        "Processor threads; 1 is quickest for small nets, and numbers repeat for one count only. 0: torch's own.",
        low=0,
        high=1024,
    )
    drop_at: float = setting(0.75, "Share of the steps after which the learning rate falls to a tenth.", high=1.0)

    def stages(self, t: int) -> dict[str, int]:
        """Stage -> passes over the training inputs of task t; the first task has no warm-up."""
        if t == 0:
            return {"train": self.first_epochs or self.epochs}
        return {"warm-up": self.warmup_epochs, "train": self.epochs}


USUAL = TrainSettings(first_epochs=16)
"""What is used where no settings are given; docs/settings.md says how it was chosen."""


@dataclass(frozen=True)
class AutoencoderSettings(Settings):
    """How a task's autoencoder is built and fitted."""

    code_size: int | tuple[int, ...] = setting(
        64,
        "Numbers in the code, for all tasks or one per task; fewer protect less and leave more freedom.",
        low=1,
        per_task=True,
    )
    recon_weight: float = setting(
        1e-2,
        "Weight of the reconstruction beside the task's own loss; it scales with 1 / squared feature norm.",
        symbol="λ",
    )
    start: str = setting(
        "pca",
        "Where the fit starts: at the principal components, or at random weights.",
        choices=("pca", "random"),
    )
    epochs: int = setting(8, "Passes over the task's training features; a random start needs 30 or more.", low=1)
    batch_size: int = setting(128, "Features per step of the fit.", low=1, high=2**31)
    learning_rate: float = setting(1e-3, "Step size; for Adam, a random start needs 3e-3 or so.", above=True)
    optimizer: str = setting("adam", "Adam, or the AdaDelta of the authors' code.", choices=("adam", "adadelta"))
    images: int = setting(0, "Training images that the fit looks at, drawn by the seed; 0 takes all.")

    def of_task(self, t: int) -> AutoencoderSettings:
        """The settings with task t's own code size; the last one given serves the tasks after it."""
        if not isinstance(self.code_size, tuple):
            return self
        return self.replace(code_size=self.code_size[min(t, len(self.code_size) - 1)])


@dataclass(frozen=True)
class MethodSettings(Settings):
    """What the methods weigh, in one place for all of them; each has those of these settings that it uses."""

    alpha: float | tuple[float, ...] = setting(
        3.0, "Weight of the code term: one number, or one per old task.", symbol="α", per_task=True
    )
    temperature: float = setting(
        2.0,
        "Softens the old answers; above 1 it lifts the small probabilities.",
        symbol="θ",
        above=True,
        hint="LwF and the authors' EBLL code use 2.",
    )
    distill_weight: float = setting(1.0, "Weight of the distillation of each old head.", symbol="λo")
    ewc_strength: float = setting(1000.0, "Weight of the quadratic penalty; not portable between nets.", symbol="λ")
    l2_strength: float = setting(1.0, "Weight of L2 regularisation towards the old weights.", symbol="λ")
    moments_strength: float = setting(0.01, "Weight of the penalty on each layer's answers to old inputs.", symbol="λ")
    kfac_strength: float = setting(30.0, "Weight of the penalty with Kronecker factors.", symbol="λ")
    rank: int = setting(64, "Directions of each layer's input that the penalty sees, the strongest ones.", low=1)
    replay_weight: float = setting(1.0, "Weight of the loss on each old task's stored images.", symbol="λr")
    fisher: str = setting("exact", "Which labels the Fisher information is taken over.", choices=FISHER_KINDS)
    fisher_samples: int = setting(512, "Training samples that it is estimated from.", low=1)
