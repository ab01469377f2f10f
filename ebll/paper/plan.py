"""What the paper ran: its sequences of photo sets, and the settings that a source gives for them.

Sources: a published summary of the paper for alpha; the authors' MATLAB code for lambda, sizes of codes, epochs, step
size, batch and augmented versions. Nothing here was tuned by us, as the photo sets do not come with ebll. Nothing here
needs torch, so that `ebll paper --help` does not wait for it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ebll.errors import InputError, check_choice, check_count
from ebll.settings import METHOD_NAMES, AutoencoderSettings, MethodSettings, Settings, TrainSettings, as_in, setting

if TYPE_CHECKING:
    from ebll.methods import Method
    from ebll.reproduce.plan import Experiment

__all__ = [
    "BACKBONES",
    "PAPER_METHODS",
    "PRETRAINED_ON",
    "SEQUENCES",
    "PaperSettings",
    "PhotoSettings",
    "Unit",
    "steps_of",
    "units_of",
]

PAPER_METHODS = ("joint", "finetune", "feature-extraction", "lwf", "ewc", "code-only", "ebll", "ebll-separate")

SEQUENCES: dict[str, tuple[str, ...]] = {
    "imagenet-scenes": ("imagenet", "scenes"),
    "imagenet-birds": ("imagenet", "birds"),
    "imagenet-flowers": ("imagenet", "flowers"),
    "flowers-scenes": ("flowers", "scenes"),
    "flowers-birds": ("flowers", "birds"),
    "imagenet-scenes-birds": ("imagenet", "scenes", "birds"),
}
"""Name -> photo sets in the order learned: five pairs and a sequence of three."""

BACKBONES = (
    *("alexnet", "vgg11", "vgg11_bn", "vgg16", "vgg16_bn", "resnet18", "resnet34", "resnet50", "densenet121"),
    *("mobilenet_v2", "mobilenet_v3_small", "mobilenet_v3_large", "efficientnet_b0", "efficientnet_lite0"),
    *("regnet_y_400mf", "convnext_tiny"),
)
"""Networks that `load_backbone` cuts; AlexNet is the paper's."""

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
class PhotoSettings(Settings):
    """How photographs are kept and cut; the same for all tasks of a run."""

    stored: int = setting(256, "Pixels a side of the squares that are kept on disk and in memory.", low=8, high=4096)
    size: int = setting(224, "Pixels a side of the crops that the network sees.", low=8, high=4096)
    augment: str = setting(
        "fixed",
        "Crops of the training images: drawn once, again in every epoch (the old network then answers every batch), or "
        "the central ones.",
        choices=("fixed", "random", "none"),
    )
    versions: int = setting(5, "Crops of each image in the fixed set, the central one among them.", low=1, high=1000)
    held_out: float = setting(0.1, "Share of each class's training images kept for validation.", above=True, high=0.9)
    images: int = setting(0, "Training images taken of a set, every class in its share; 0 takes all.")
    split_seed: int = setting(0, "Decides which images those are, which are held out, and the fixed crops.", high=2**31)

    def __post_init__(self):
        super().__post_init__()
        if self.size > self.stored:
            raise InputError(f"size: a crop of {self.size} pixels does not fit into {self.stored} stored ones.")


@dataclass(frozen=True)
class PaperSettings(Settings):
    """Everything that decides the result of a run at paper scale, but its tasks, its method and its seed."""

    backbone: str = setting("alexnet", "Pretrained network; NET@MODULE cuts it elsewhere.", free=True)
    weights: str = setting("default", "Its weights: torchvision's, 'none' for a random start, or a file.", free=True)
    dropout: float = setting(0.0, "Dropout in T while it learns; 0 for none.", high=0.99)
    alpha: float = as_in(MethodSettings, "alpha", 1e-2, doc="Weight of the code term of every set but ImageNet.")
    alpha_imagenet: float = as_in(MethodSettings, "alpha", 1e-3, doc="Weight of ImageNet's code term.")
    temperature: float = as_in(MethodSettings, "temperature")
    distill_weight: float = as_in(MethodSettings, "distill_weight")
    ewc_strength: float = as_in(MethodSettings, "ewc_strength", 300.0)
    fisher: str = as_in(MethodSettings, "fisher", "sampled")
    fisher_samples: int = as_in(MethodSettings, "fisher_samples")
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

    def method(self, name: str, tasks: tuple[str, ...]) -> Method:
        """A method with these settings for a sequence: its alphas and the sizes of its codes go by the set."""
        from ebll.methods import method_from

        values = {field: getattr(self, field) for field in self.metadata()}  # a method takes those that it has
        pretrained = [task == PRETRAINED_ON for task in tasks[:-1]]
        values["alpha"] = tuple(self.alpha_imagenet if known else self.alpha for known in pretrained)
        values["code_size"] = tuple(self.code_size_imagenet if known else self.code_size for known in pretrained)
        made = method_from(name, values)
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

    net: str
    tasks: tuple[str, ...]
    method: str
    seed: int

    @property
    def experiment(self) -> Experiment:
        """Network and sequence, as the main job has them."""
        from ebll.reproduce.plan import Experiment

        return Experiment(self.net, self.tasks)

    @property
    def name(self) -> str:
        """Also the name of its folder."""
        return f"{self.experiment.id.partition(':')[2]}/{self.method}-{self.seed}"

    @property
    def start(self) -> tuple[str, int]:
        """First set and seed: runs that share them begin with the same network."""
        return self.tasks[0], self.seed

    @property
    def facts(self) -> dict[str, str | int]:
        """The first columns of every table."""
        return {"sequence": self.experiment.id, "net": self.net, "method": self.method, "seed": self.seed}


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
    methods = [methods] if isinstance(methods, str) else methods or PAPER_METHODS
    if costly := [name for name in methods if name in METHOD_NAMES and name not in PAPER_METHODS]:
        raise InputError(
            f"Not offered at paper scale: {', '.join(costly)}. Replay goes through all stored images in each step, and "
            f"penalties on layers of 9,216 inputs would take gigabytes. Choose among {', '.join(PAPER_METHODS)}."
        )
    names = list(dict.fromkeys(check_choice(name, PAPER_METHODS, "Method") for name in methods))
    seeds, first_seed = check_count(seeds, "seeds", high=1000), check_count(first_seed, "first_seed", low=0, high=2**31)
    wanted = [experiments] if isinstance(experiments, str) else experiments or SEQUENCES
    sequences = list(dict.fromkeys(map(_tasks, wanted)))
    firsts = list(dict.fromkeys(tasks[0] for tasks in sequences))
    sequences.sort(key=lambda tasks: firsts.index(tasks[0]))
    return [
        Unit(settings.backbone, tasks, name, seed)
        for seed in range(first_seed, first_seed + seeds)
        for tasks in sequences
        for name in names
    ]


def steps_of(unit: Unit, settings: PaperSettings, crops: Mapping[str, int]) -> int:
    """Optimiser steps of a run behind its first set.

    crops   set -> training crops of an epoch
    """
    train = settings.train
    batches = sum(math.ceil(crops[name] / train.batch_size) for name in unit.tasks[1:])
    return batches * (train.warmup_epochs + train.epochs)


def _tasks(name: str) -> tuple[str, ...]:
    tasks = SEQUENCES.get(name) or tuple(part.rstrip("/") for part in name.split(":" if ":" in name else "-") if part)
    if len(tasks) < 2 or len(set(tasks)) < len(tasks):
        raise InputError(
            f"Experiment: {name!r} is neither one of {', '.join(SEQUENCES)} nor different sets joined by '-'."
        )
    for task in tasks:  # their names become the names of folders
        if not task or task.startswith((".", "~")) or set(task) & set("/\\+"):
            raise InputError(
                f"Experiment: {task!r} is no folder directly under the data root, such as 'leaves' in 'leaves-birds'. "
                "Put a link there; its name must not hold '+'."
            )
    return tasks
