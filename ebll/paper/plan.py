"""What the paper ran: its sequences of photo sets, the settings that a source gives for them, and what a run takes.

Sources: a published summary of the paper for alpha; the authors' MATLAB code for lambda, sizes of codes, epochs, step
size, batch and augmented versions. Nothing here was tuned by us, as the photo sets do not come with ebll.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import torch

from ebll.autoencoder import AutoencoderSettings
from ebll.errors import DataMissing, InputError, check_choice, check_count
from ebll.methods import METHODS, Method, method_from
from ebll.paper.backbones import BACKBONES, load_backbone
from ebll.paper.datasets import PHOTO_SETS, find_photos
from ebll.paper.photos import PhotoSettings, chosen_rows
from ebll.reproduce.plan import Experiment
from ebll.settings import Settings, as_in, setting
from ebll.training import TrainSettings

if TYPE_CHECKING:
    from ebll.paper.protocol import Workspace

__all__ = ["PRETRAINED_ON", "SEQUENCES", "PaperSettings", "Unit", "dry_run", "steps_of", "units_of"]

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
        values = {field: getattr(self, field) for field in self.metadata()}  # a method takes those that it has
        values["alpha"] = tuple(self.alpha_imagenet if t == PRETRAINED_ON else self.alpha for t in old)
        values["code_size"] = tuple(self.code_size_imagenet if t == PRETRAINED_ON else self.code_size for t in old)
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


# ---- what a run would take


class _Size(NamedTuple):
    classes: int
    train: int
    validation: int  # of the training images
    test: int
    note: str  # what a run would refuse


def dry_run(space: Workspace, units: Sequence[Unit]) -> dict[str, list[tuple[str, str]]]:
    """What the runs would take: headline -> lines of (name, words). Nothing is fetched or written.

    raises   for a folder of one's own, `DataMissing` where it is not there, `InputError` where a run would refuse it
    """
    names = list(dict.fromkeys(name for unit in units for name in unit.experiment.tasks))
    sizes = {name: _size(space, name) for name in names}
    photos, epochs, batch = space.settings.photos, space.settings.train.epochs, space.settings.train.batch_size
    versions = photos.versions if photos.augment == "fixed" else 1
    crops = {name: (size.train - size.validation) * versions for name, size in sizes.items()}
    images = [
        (
            name,
            f"{size.classes:,} classes; {crops[name]:,} training crops an epoch, {size.validation:,} validation and "
            f"{size.test:,} test images" + (f". {size.note}" if size.note else ""),
        )
        for name, size in sizes.items()
    ]
    runs = [steps_of(unit, space.settings, crops) for unit in units]
    learned = {unit.start for unit in units if unit.start[0] != PRETRAINED_ON or space.settings.weights == "none"}
    first = sum(epochs * math.ceil(crops[name] / batch) for name, _ in learned)
    steps = [
        ("first sets", f"{first:,}" if first else "none: the pretrained network is taken over"),
        ("runs", f"{sum(runs):,} in {len(runs)} runs, {min(runs):,} to {max(runs):,} each"),
    ]
    return {"Images": images, "Optimiser steps": steps, "Bytes": _bytes(space, sizes, units)}


def _size(space: Workspace, name: str) -> _Size:
    """Of a set as it lies there; as it was published where a run would refuse it, with the words of the run."""
    photos, info = space.settings.photos_of(name), PHOTO_SETS.get(name)
    try:
        found = find_photos(name, space.root, incomplete=space.incomplete)
        rows, validation = chosen_rows(found, photos)
        return _Size(len(found.classes), len(rows), validation, len(found.test.files), "")
    except (DataMissing, InputError) as error:
        if info is None:
            raise
        train = min(info.train, photos.images or info.train)
        return _Size(info.classes, train, max(1, round(photos.held_out * train)), info.test, str(error))


def _bytes(space: Workspace, sizes: dict[str, _Size], units: Sequence[Unit]) -> list[tuple[str, str]]:
    settings = space.settings
    with torch.random.fork_rng(devices=[]):
        backbone = load_backbone(settings.backbone, weights="none", input_size=settings.photos.size)
    weights = sum(p.numel() for part in (backbone.features, backbone.operator) for p in part.parameters())
    networks, encoders = [], []
    for tasks in {unit.experiment.tasks for unit in units}:
        heads = sum(sizes[name].classes * (backbone.head.in_features + 1) for name in tasks)
        codes = settings.method("ebll", tasks).autoencoder.code_size
        networks.append(4 * (weights + heads))  # float32
        encoders.append(4 * sum(codes) * (backbone.feature_size + 1))
    images = sum(size.train + size.test for size in sizes.values()) * 3 * settings.photos.stored**2
    return [
        ("resized images", f"{_in_bytes(images)} in {space.cache}"),
        ("network", f"up to {_in_bytes(max(networks))}, and {_in_bytes(max(encoders))} of encoders kept by EBLL"),
        # Weights where the stage began and now, and momentum.
        ("checkpoint", f"up to {_in_bytes(3 * max(networks) + max(encoders))} in {space.out}"),
    ]


def _in_bytes(count: int) -> str:
    return f"{count / 1e9:.3g} GB" if count >= 1e8 else f"{count / 1e6:.3g} MB"
