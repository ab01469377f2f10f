"""How fast a backbone trains here: a few steps on noise, timed."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch

from ebll.data import Task
from ebll.methods import Finetune
from ebll.methods.base import record
from ebll.paper.plan import PaperSettings
from ebll.paper.start import network_of
from ebll.photos import PhotoSplit
from ebll.photos.crops import fixed_windows
from ebll.photos.split import Pixels, Resident
from ebll.protocol import refuse_batch_of_one
from ebll.seeds import cpu_threads
from ebll.training import train

__all__ = ["Speed", "measured_speed", "noise_task", "refuse_one"]


@dataclass(frozen=True)
class Speed:
    """Seconds for one window, and how they were measured."""

    step: float  #: of a training step
    forward: float  #: of a pass without gradients
    product: float  #: seconds for one floating-point operation of a large matrix product
    weights: int  #: parameters of F and T
    features: int
    operator: int  #: parameters of T
    width: int  #: numbers that T gives, which a head sees
    batch: int
    peak: int  #: bytes on a GPU in such a step, at this batch; 0 on a processor


def measured_speed(settings: PaperSettings, device: str, batch: int | None = None, rounds: int = 3) -> Speed:
    """Seconds for one window, from a few steps of fine-tuning on noise with a network of random weights.

    BatchNorm's statistics stay as they are, as in every run but while a first set is learned from random weights.

    batch   windows a step; the settings' own on a GPU, at most 8 of them on a processor
    """
    gpu = torch.device(device).type == "cuda"
    batch = batch or (settings.train.batch_size if gpu else min(8, settings.train.batch_size))
    net, _ = network_of(settings.replace(weights="none"), 0, device)
    net.add_head(100)
    net.add_head(100)
    net.freeze_statistics()
    task = noise_task(settings, batch, device)
    quick = settings.train.replace(epochs=1, batch_size=batch, learning_rate=1e-6)

    def step() -> None:
        for _ in train(net, Finetune(), 1, {1: task}, settings=quick):
            pass

    with cpu_threads(settings.train.threads):
        seconds = _median(step, device, rounds) / len(task.train)
        peak = torch.cuda.max_memory_allocated(device) if gpu else 0
        forward = _median(lambda: record(net, task.train.inputs, seen=net.operator), device, rounds) / len(task.train)
        square = torch.randn(1024, 1024, device=device)
        product = _median(lambda: square @ square, device, rounds) / (2 * 1024**3)
    parts = [sum(p.numel() for p in part.parameters()) for part in (net.features, net.operator)]
    return Speed(seconds, forward, product, sum(parts), net.feature_size, parts[1], net.operator_size, batch, peak)


def refuse_one(settings: PaperSettings, windows: Mapping[str, int]) -> None:
    """Refuse what learning a first set will: BatchNorm that learns from a batch of one input.

    windows   first set -> training windows of an epoch
    raises    `InputError` for the first set that would end in such a batch
    """
    batch = settings.train.batch_size
    ends = [name for name, count in windows.items() if (count % batch or batch) == 1]
    if not ends or settings.weights != "none":  # pretrained statistics are never learned
        return
    net, _ = network_of(settings, 0, "cpu")
    net.add_head(2)
    for name in ends:
        refuse_batch_of_one(net, name, windows[name], settings.train)


def noise_task(settings: PaperSettings, batch: int, device: str) -> Task:
    """Photographs of noise, 2 * batch of them: what a step costs does not depend on what they show."""
    photos, count = settings.photos, 2 * batch
    draw = torch.Generator().manual_seed(0)
    shelf = Resident(torch.randint(256, (count, photos.stored, photos.stored, 3), generator=draw, dtype=torch.uint8))
    windows = fixed_windows(count, 1, photos.stored, photos.size, draw)
    pixels = Pixels(shelf, torch.arange(count), windows, photos.size, (0.5,) * 3, (0.25,) * 3)
    split = PhotoSplit(pixels, torch.arange(count) % 100)
    return Task("noise", tuple(map(str, range(100))), split, split, split).to(device)


def _median(call: Callable[[], object], device: str, rounds: int) -> float:
    times = []
    for _ in range(rounds + 1):
        begun = time.perf_counter()
        call()
        if torch.device(device).type == "cuda":
            torch.cuda.synchronize(device)
        times.append(time.perf_counter() - begun)
    return sorted(times[1:])[rounds // 2]  # the first warms up
