"""What the paper ran: its sequences of photo sets, and the settings that a source gives for them.

Sources: a published summary of the paper for alpha; the authors' MATLAB code for lambda, sizes of codes, epochs, step
size, batch and augmented versions. Nothing here was tuned by us, as the photo sets do not come with ebll.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ebll.autoencoder import AutoencoderSettings
from ebll.errors import InputError, check_choice, check_count
from ebll.methods import METHODS, Method, method_from
from ebll.paper.backbones import BACKBONES
from ebll.paper.photos import PhotoSettings
from ebll.reproduce.plan import Experiment
from ebll.settings import Settings, as_in, setting
from ebll.training import TrainSettings

__all__ = ["PRETRAINED_ON", "SEQUENCES", "PaperSettings", "Unit", "steps_of", "units_of"]

SEQUENCES: dict[str, tuple[str, ...]] = {
    "imagenet-scenes": ("imagenet", "scenes"),
    "imagenet-birds": ("imagenet", "birds"),
    "imagenet-flowers": ("imagenet", "flowers"),
    "flowers-scenes": ("flowers", "scenes"),
    "flowers-birds": ("flowers", "birds"),
    "imagenet-scenes-birds": ("imagenet", "scenes", "birds"),
}
"""Name -> photo sets in the order learned: five pairs and a sequence of three."""

PRETRAINED_ON = "imagenet"
"""The set that a pretrained backbone has learned already: as a first task it is taken over, head and all."""

RECIPES = {
    "pca": dict(start="pca", optimizer="adam", learning_rate=1e-5, epochs=20, batch_size=512),
    "authors": dict(start="random", optimizer="adadelta", learning_rate=1.0, epochs=100, batch_size=5000),
}
"""How an autoencoder is fitted: from the principal components, as everywhere in ebll, or as the authors' code does.

Adam moves every weight by about its step size, so a code's argument by that times the sum of some 10,000 features:
with the small nets' 1e-3 the first steps would undo the start, and many codes would end flat.
"""


@dataclass(frozen=True)
class PaperSettings(Settings):
    """Everything that decides the result of a run at paper scale, but its tasks, its method and its seed."""

    backbone: str = setting("alexnet", "Pretrained network; NET@MODULE cuts it elsewhere.", free=True)
    weights: str = setting("default", "Its weights: torchvision's, 'none' for a random start, or a file.", free=True)
    dropout: float = setting(0.0, "Dropout in T while it learns; 0 for none.", high=0.99)
    alpha: float = as_in(METHODS["ebll"], "alpha", 1e-2, doc="Weight of the code term of every set but ImageNet.")
    alpha_imagenet: float = as_in(METHODS["ebll"], "alpha", 1e-3, doc="Weight of ImageNet's code term.")
    temperature: float = as_in(METHODS["lwf"], "temperature", 2.0)
    distill_weight: float = as_in(METHODS["lwf"], "distill_weight", 1.0)
    ewc_strength: float = as_in(METHODS["ewc"], "ewc_strength", 300.0)
    fisher: str = as_in(METHODS["ewc"], "fisher", "sampled")
    fisher_samples: int = as_in(METHODS["ewc"], "fisher_samples", 512)
    code_size: int = as_in(AutoencoderSettings, "code_size", 100, doc="Numbers in the code of every other set.")
    code_size_imagenet: int = as_in(AutoencoderSettings, "code_size", 300, doc="Numbers in ImageNet's code.")
    recon_weight: float = as_in(AutoencoderSettings, "recon_weight", 1e-6)
    autoencoder: str = setting("pca", "How autoencoders are fitted.", choices=tuple(RECIPES))
    autoencoder_images: int = setting(100_000, "Training crops that the fit looks at; 0 takes all.")
    imagenet_images: int = setting(100_000, "Training images of ImageNet that are used; 0 takes all 1.28 million.")
    log_every: int = setting(200, "Optimiser steps between two measurements; 0 for none.")
    precision: str = setting(
        "auto", "Of products in F and T; auto: bfloat16 on a GPU.", choices=("auto", "float32", "bfloat16")
    )
    compile: bool = setting(False, "Compile F and T, which takes minutes once and pays on long runs.")
    photos: PhotoSettings = field(default_factory=PhotoSettings)
    train: TrainSettings = field(
        default_factory=lambda: TrainSettings(
            epochs=72, warmup_epochs=72, batch_size=128, learning_rate=4e-4, drop_at=0.75, threads=0
        )
    )

    def __post_init__(self):
        super().__post_init__()
        for name, kind in (("photos", PhotoSettings), ("train", TrainSettings)):
            if not isinstance(getattr(self, name), kind):
                raise InputError(f"{name} takes {kind.__name__}(...); got {type(getattr(self, name)).__name__}.")

    def method(self, name: str, tasks: tuple[str, ...]) -> Method:
        """A method with these settings for a sequence: its alphas and the sizes of its codes go by the set."""
        old = tasks[:-1]
        values = {key: getattr(self, key) for key in ("temperature", "distill_weight", "ewc_strength", "recon_weight")}
        values |= {"fisher": self.fisher, "fisher_samples": self.fisher_samples}
        values["alpha"] = tuple(self.alpha_imagenet if t == PRETRAINED_ON else self.alpha for t in old)
        values["code_size"] = tuple(self.code_size_imagenet if t == PRETRAINED_ON else self.code_size for t in old)
        made = method_from(check_choice(name, METHODS, "Method"), values)
        if not hasattr(made, "autoencoder"):
            return made
        recipe = RECIPES[self.autoencoder] | {"images": self.autoencoder_images}
        return made.replace(autoencoder=made.autoencoder.replace(**recipe))

    def photos_of(self, name: str) -> PhotoSettings:
        """How a set's images are kept and cut."""
        return self.photos.replace(images=self.imagenet_images) if name == PRETRAINED_ON else self.photos


@dataclass(frozen=True)
class Unit:
    """One run: a sequence, a method, a seed. Nothing of it depends on another."""

    experiment: Experiment
    method: str
    seed: int

    @property
    def name(self) -> str:
        """Also the name of its folder."""
        return f"{self.experiment.id.partition(':')[2]}/{self.method}-{self.seed}"

    @property
    def start(self) -> tuple[str, int]:
        """First set and seed: runs that share them begin with the same network."""
        return self.experiment.tasks[0], self.seed

    @property
    def facts(self) -> dict[str, str | int]:
        """The first columns of every table."""
        e = self.experiment
        return {"sequence": e.id, "net": e.net, "method": self.method, "seed": self.seed}


def units_of(
    settings: PaperSettings,
    experiments: str | Sequence[str] = (),
    methods: str | Sequence[str] = (),
    seeds: int = 1,
    first_seed: int = 0,
) -> list[Unit]:
    """The runs that are asked for, those that begin with the same network side by side.

    experiments   names of `SEQUENCES`, or sets joined by "-"; by ":" where a folder's name has a "-". All for none
    methods       all for none
    raises        `InputError` for a sequence, a method, a backbone or a number that cannot be
    """
    check_choice(settings.backbone.partition("@")[0], BACKBONES, "Backbone")
    methods = [methods] if isinstance(methods, str) else methods or METHODS
    names = list(dict.fromkeys(check_choice(name, METHODS, "Method") for name in methods))
    seeds, first_seed = check_count(seeds, "seeds", high=1000), check_count(first_seed, "first_seed", low=0)
    wanted = [experiments] if isinstance(experiments, str) else experiments or SEQUENCES
    found = [Experiment(settings.backbone, tasks) for tasks in dict.fromkeys(map(_tasks, wanted))]
    if len({one.id for one in found}) < len(found):
        raise InputError("Experiment: two sequences would have one name. Rename a folder, so that no name holds '+'.")
    firsts = list(dict.fromkeys(one.tasks[0] for one in found))
    found.sort(key=lambda one: firsts.index(one.tasks[0]))
    return [Unit(one, name, seed) for seed in range(first_seed, first_seed + seeds) for one in found for name in names]


def steps_of(unit: Unit, settings: PaperSettings, crops: Mapping[str, int]) -> int:
    """Optimiser steps of a run behind its first set.

    crops   set -> training crops of an epoch
    """
    train = settings.train
    batches = sum(math.ceil(crops[name] / train.batch_size) for name in unit.experiment.tasks[1:])
    return batches * (train.warmup_epochs + train.epochs)


def _tasks(name: str) -> tuple[str, ...]:
    tasks = SEQUENCES.get(name) or tuple(part.rstrip("/") for part in name.split(":" if ":" in name else "-") if part)
    if len(tasks) < 2 or len(set(tasks)) < len(tasks):
        raise InputError(
            f"Experiment: {name!r} is neither one of {', '.join(SEQUENCES)} nor different sets joined by '-'."
        )
    for task in tasks:
        if task in ("", ".", "..") or task.startswith("~") or "/" in task or "\\" in task:
            raise InputError(
                f"Experiment: {task!r} is a path. Name folders that lie directly under the data root, such as "
                "'leaves-birds'; a link there will do."
            )
    return tasks
