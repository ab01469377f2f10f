"""Where the runs of a sequence begin: the photo sets as tasks, and the network that has learned the first of them.

A network pretrained on ImageNet has learned that set already and keeps its head; any other first set is learned here,
once for all methods, and kept in a file.
"""

from __future__ import annotations

import contextlib
import copy
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from ebll.backbones import BACKBONES, CutNet, accelerated, load_backbone
from ebll.checkpoints import read_checkpoint, write_checkpoint
from ebll.data import Task
from ebll.errors import InputError, OutputError, check_number
from ebll.methods import EncoderMemory, EWCMemory, Memory, Method
from ebll.networks import Network
from ebll.paper.plan import PaperSettings
from ebll.photos import load_photos
from ebll.recording import Recorder
from ebll.runs import Snapshot
from ebll.seeds import cpu_threads, seeded

__all__ = [
    "Place",
    "bfloat16",
    "first_memory",
    "first_network",
    "load_task",
    "network_of",
    "quick_products",
]


@dataclass(frozen=True)
class Place:
    """Where data are found and results are left, and what may be used on the way.

    No number depends on it, but that a GPU works in bfloat16 where the settings leave it the choice.

    root     the data root, under which the photo sets lie
    out      folder for results and checkpoints
    device   "cpu", "cuda" or "cuda:1"
    cache    for converted images, by default under the root
    room     bytes of images to hold in memory; by default half of what is free
    minutes  between two checkpoints, above 0

    raises   `InputError` for minutes that cannot be
    """

    root: Path
    out: Path
    device: str = "cpu"
    cache: Path | None = None
    room: int | None = None
    minutes: float = 10.0
    incomplete: bool = False  #: accept fewer images than were published
    skip_unreadable: bool = False
    download: bool = False
    keep_weights: bool = False  #: keep the network of every finished run

    def __post_init__(self):
        check_number(self.minutes, "minutes", above=True)

    def elsewhere(self, device: str) -> Place:
        """The same place on another device."""
        return replace(self, device=device)


def bfloat16(settings: PaperSettings, device: str) -> bool:
    """Whether products are made in bfloat16 on this device."""
    if settings.precision == "auto":
        return torch.device(device).type == "cuda" and torch.cuda.is_bf16_supported()
    return settings.precision == "bfloat16"


@contextlib.contextmanager
def quick_products(settings: PaperSettings, device: str) -> Iterator[None]:
    """Where F and T run in bfloat16, let products of heads, encoders and autoencoders on a GPU run in TF32."""
    before = torch.get_float32_matmul_precision()
    if torch.device(device).type == "cuda" and bfloat16(settings, device):
        torch.set_float32_matmul_precision("high")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def cut_net(settings: PaperSettings, seed: int) -> CutNet:
    """The backbone; its weights come from `seed` where it is not pretrained."""
    with seeded(seed, "network"):
        return load_backbone(
            settings.backbone, weights=settings.weights, dropout=settings.dropout, input_size=settings.photos.size
        )


def network_of(settings: PaperSettings, seed: int, device: str) -> tuple[Network, CutNet]:
    """A network without heads on a device, and the backbone that it was made of."""
    made = cut_net(settings, seed)
    quick = {
        "precision": "bfloat16" if bfloat16(settings, device) else "float32",
        "channels_last": True,
        "compile": settings.compile,
    }
    fast = replace(made, features=accelerated(made.features, **quick), operator=accelerated(made.operator, **quick))
    return fast.network().to(device), made


_loaded: dict[Any, Task] = {}


def load_task(place: Place, settings: PaperSettings, name: str, progress: Callable[[str], Any] | None = None) -> Task:
    """A photo set as a task for this backbone, on the place's device; the newest four stay in memory."""
    mean, deviation = _standardising(settings)
    key = (place, settings.photos_of(name), name, mean, deviation)
    task = _loaded.get(key)
    if task is None:  # the runs of several threads may be here at once
        task = load_photos(
            name, place.root, settings.photos_of(name), mean=mean, deviation=deviation, device=place.device,
            cache=place.cache, room=place.room, progress=progress, incomplete=place.incomplete,
            skip_unreadable=place.skip_unreadable, download=place.download,
        )  # fmt: skip
        for old in list(_loaded)[:-3]:
            _loaded.pop(old, None)
        _loaded[key] = task
    return task


def _standardising(settings: PaperSettings) -> tuple[tuple[float, ...], tuple[float, ...]]:
    published = BACKBONES[settings.backbone.partition("@")[0]].weights
    return published.mean, published.std


def first_network(network: Network, made: CutNet, task: Task, settings: PaperSettings, recorder: Recorder) -> Snapshot:
    """A pretrained network with its own head as one that has learned the set it was pretrained on."""
    if made.head.out_features != task.class_count:
        raise InputError(
            f"{task.name} has {task.class_count} classes here, but the pretrained head of {settings.backbone} has "
            f"{made.head.out_features}. Complete the set (a part of the images of all classes will do), or begin with "
            "another set."
        )
    with seeded(0, "head"):
        network.add_head(task.class_count)
    network.heads[0].load_state_dict(made.head.state_dict())
    with cpu_threads(settings.train.threads):
        recorder.add_accuracies(network, [task], 0)
    return Snapshot(network, recorder, settings.backbone)


def first_memory(
    folder: Path, method: Method, start: Snapshot, task: Task, seed: int, memories: dict[Any, Memory | None]
) -> Memory | None:
    """What a method keeps of the first task: from `memories`, else from a file in `folder`, else fitted.

    folder   for this start alone, as its networks are not told apart
    """
    key = method.memory_key
    if key in memories:
        return memories[key]
    path = folder / f"memory-{hashlib.sha256(repr(key).encode()).hexdigest()[:12]}.safetensors"
    known = {cls.__name__: cls for cls in (EncoderMemory, EWCMemory)}
    if path.is_file():
        try:
            tensors, facts = read_checkpoint(path)
            device = next(start.net.parameters()).device
            on_device = {name: value.to(device) for name, value in tensors.items()}
            memories[key] = known[facts["memory"]].from_tensors(on_device, facts["report"])
            return memories[key]
        except (InputError, KeyError, TypeError, AttributeError):
            path.unlink(missing_ok=True)  # damaged, or something else: fitted anew
    memory = memories[key] = method.consolidate(copy.deepcopy(start.net), 0, task, None, seed)
    if memory is not None and type(memory).__name__ in known:
        with contextlib.suppress(OutputError):  # it can be fitted again
            write_checkpoint(path, memory.tensors(), {"memory": type(memory).__name__, "report": memory.report()})
    return memory
