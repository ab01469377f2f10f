"""What an autoencoder of a given size keeps of a task's features: measured, for the submanifold explorer.

found = ebll.widgets.explore(code_size=16)
found.accuracy                  # of the features themselves, through the autoencoder, through PCA of that size
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from ebll.autoencoder import Autoencoder, Encoder, fit_epochs
from ebll.data import Task
from ebll.errors import InputError, check_choice
from ebll.losses import code_distance
from ebll.metrics import accuracy, unexplained_variance
from ebll.networks import Network, frozen
from ebll.plots.words import sentences, shortened
from ebll.protocol import first_task
from ebll.seeds import cpu_threads, derive_seed
from ebll.settings import USUAL, AutoencoderSettings
from ebll.training import Step

from .chart import Drawing, spec_of
from .config import SubmanifoldConfig, offered_task

__all__ = ["Explored", "explore", "explored_drawing", "exploring"]

SHOWN = 40
"""Held-out images of the class that are shown."""
CAPTION = (
    "Held-out images, one network and autoencoder. A line leads from features to their reconstruction. The darker a "
    "place, the larger the code term (E4) of a move there from the middle of the class."
)
LONGEST = 30  # letters of a task's or a class's name in a title
DIRECTIONS = 256
"""Directions, in falling order of spread, along which the hold is measured."""


@dataclass(frozen=True, eq=False)
class Explored:
    """What was found, so far.

    epoch, epochs   of the autoencoder's fit
    points      a row per held-out image of the class: x, y in the plane of the two leading principal components of the
                training features, x_back, y_back of its reconstruction
    others      (n, 2) places of held-out images of the other classes
    accuracy    shares of the held-out images: direct, autoencoder, pca (of the same size)
    missed      M8 on held-out features: autoencoder, pca
    holds       E4 for a move by one standard deviation along each principal direction, mean over the images shown
    field       (rows, columns) E4 of a move from the middle of the class to each place of the plane
    extent      left, right, bottom, top of the field
    """

    config: SubmanifoldConfig
    epoch: int
    epochs: int
    points: pd.DataFrame
    others: Tensor
    accuracy: dict[str, float]
    missed: dict[str, float]
    holds: list[float]
    field: Tensor
    extent: tuple[float, float, float, float]


@dataclass(frozen=True, eq=False)
class _Features:
    """Of one network and task: features, and the principal components of those of training, widest first."""

    train: Tensor
    held: Tensor
    mean: Tensor
    directions: Tensor  # a row a direction
    spread: Tensor  # standard deviation of the training features along each

    def plane(self, features: Tensor) -> Tensor:
        """(n, 2) where features lie in the plane of the two leading components."""
        return (features - self.mean) @ self.directions[:2].T


@functools.lru_cache(maxsize=4)
def _features(net: Network, task: Task) -> _Features:
    with frozen(net), torch.no_grad():
        train, held = (
            torch.cat([net.features(b) for b in s.inputs.split(1024)]) for s in (task.train, task.validation)
        )
        mean = train.mean(dim=0)
        if not train.isfinite().all():
            raise InputError(f"The features of {task.name} are no finite numbers. Are its images all alike?")
        values, vectors = torch.linalg.eigh((train - mean).T @ (train - mean))
        spread = (values.flip(dims=(0,)).clamp_min(0) / max(1, len(train) - 1)).sqrt()
    return _Features(train, held, mean, vectors.flip(dims=(1,)).T, spread)


def hold(encoder: Encoder, features: Tensor, moves: Tensor) -> Tensor:
    """E4 when features make each of these moves: how firmly the code term, at alpha 1, holds them there.

    features  (batch, features)
    moves     (count, features); each is made there and, from the same place, back to the other side
    returns   (count,)  mean over the batch and over both sides, since a principal direction has no sign
    """
    with torch.no_grad():
        before, slope = torch.nn.functional.linear(features, encoder.weight, encoder.bias), moves @ encoder.weight.T
        now = torch.sigmoid(before + torch.stack([slope, -slope])[:, :, None])  # (side, count, batch, code)
        return 0.5 * (now - torch.sigmoid(before)).square().sum(dim=3).mean(dim=(0, 2))


def explore(config: SubmanifoldConfig | str = "", *, tasks: Iterable[Task] = (), **settings: Any) -> Explored:
    """Fit the autoencoder of a config and measure what it keeps.

    config, settings   a `SubmanifoldConfig` or a line that makes one, and any of its settings by name
    raises   `InputError` where the code is not smaller than the features, or the task has no such class
    """
    config = SubmanifoldConfig.read(config, **settings)
    with cpu_threads(USUAL.threads):
        *_, found = exploring(config, tasks)
    return found


def exploring(config: SubmanifoldConfig, tasks: Iterable[Task] = ()) -> Iterator[Step | Explored]:
    """As `explore`, step by step: the loop's steps while the task is learned, then what is found at each epoch."""
    task = offered_task(config.task, tasks)
    start = yield from first_task(task, config.net, USUAL, config.seed)
    label = list(task.classes).index(check_choice(config.label, task.classes, f"Class of {task.name}"))
    labels = task.validation.labels
    mine = (labels == label).nonzero()[:SHOWN, 0]
    if not len(mine):
        raise InputError(f"{task.name} has no held-out image of class {config.label!r}. Choose another class.")
    # A copy, since it is frozen while others have their turn, who may be branching from the network.
    net, found = copy.deepcopy(start.net), _features(start.net, task)

    def classified(features: Tensor) -> Tensor:
        return net.heads[0](net.operator(features))

    def look(autoencoder: Autoencoder) -> dict[str, Any]:
        back = {"autoencoder": autoencoder(found.held), "pca": pca}
        field, extent = _field(autoencoder.encode, found, found.held[mine].mean(dim=0), places)
        points = torch.cat([places[mine], found.plane(back["autoencoder"][mine])], dim=1)
        return {
            "points": pd.DataFrame(points.numpy(), columns=["x", "y", "x_back", "y_back"]),
            "others": places[labels != label],
            "accuracy": {name: accuracy(classified(f), labels) for name, f in ({"direct": found.held} | back).items()},
            "missed": {name: unexplained_variance(features, found.held) for name, features in back.items()},
            "holds": hold(autoencoder.encode, found.held[mine], moves).tolist(),
            "field": field,
            "extent": extent,
        }

    settings = AutoencoderSettings(code_size=config.code_size, recon_weight=config.recon_weight)
    places, moves = found.plane(found.held), (found.directions * found.spread[:, None])[:DIRECTIONS]
    kept = found.directions[: config.code_size]
    pca = found.mean + (found.held - found.mean) @ kept.T @ kept
    seed = derive_seed(config.seed, "autoencoder", 0)
    with frozen(net):
        for autoencoder, history in fit_epochs(found.train, task.train.labels, classified, settings, seed=seed):
            with torch.no_grad():
                seen = look(autoencoder)
            yield Explored(config, len(history), settings.epochs, **seen)


def _field(
    encoder: Encoder, found: _Features, middle: Tensor, places: Tensor, count: int = 24
) -> tuple[Tensor, tuple[float, float, float, float]]:
    """E4 of a move from the middle of a class to each place of the plane, on a grid that covers all places."""
    low, high = places.min(dim=0).values, places.max(dim=0).values
    low, high = low - 0.05 * (high - low), high + 0.05 * (high - low)
    across, up = (torch.linspace(float(low[i]), float(high[i]), count) for i in (0, 1))
    grid = torch.stack(torch.meshgrid(across, up, indexing="xy"), dim=2).reshape(-1, 2)
    now, before = encoder(middle + (grid - found.plane(middle)) @ found.directions[:2]), encoder(middle[None])
    field = torch.vmap(lambda code: code_distance(code[None], before))(now)
    return field.reshape(count, count), tuple(float(edge) for edge in (low[0], high[0], low[1], high[1]))


# As a drawing, and in words


def explored_drawing(history: Sequence[Explored], with_alt: bool = True) -> Drawing:
    """The plane, E4 along the principal directions, accuracy and unexplained variance at each epoch of a fit.

    history    what was found at each epoch of one fit, the newest last; to those before it the scrubber goes back
    with_alt   whether to put into words what is seen
    """
    last = history[-1]
    left, right, bottom, top = last.extent
    # Cells have a centre each; the outer ones are centred on the edges of the plane.
    rows, columns = last.field.shape
    x, y = np.meshgrid(np.linspace(left, right, columns), np.linspace(bottom, top, rows))
    shares = [(one.epoch, n, share, one.missed.get(n, np.nan)) for one in history for n, share in one.accuracy.items()]
    tables = {
        "shares": pd.DataFrame(shares, columns=["epoch", "name", "accuracy", "missed"]),
        "points": pd.concat([one.points.assign(epoch=one.epoch) for one in history]),
        "others": pd.DataFrame(np.asarray(last.others), columns=["x", "y"]),
        "holds": _by_epoch(history, lambda one: {"direction": np.arange(1, len(one.holds) + 1), "hold": one.holds}),
        "field": _by_epoch(history, lambda one: {"x": x.ravel(), "y": y.ravel(), "e4": np.asarray(one.field).ravel()}),
    }
    settings = {
        "x_range": [left, right],
        "y_range": [bottom, top],
        "half_cell": [(right - left) / (columns - 1) / 2, (top - bottom) / (rows - 1) / 2],
        "e4_top": float(np.nanquantile(np.asarray(last.field), 0.98)) or 1e-9,
        "directions": len(last.holds),
        "code_size": last.config.code_size,
    }
    alt, heading = explored_alt(last) if with_alt else "", explored_title(last)
    return Drawing(spec_of("submanifold"), tables, settings, alt=alt, heading=heading, caption=CAPTION)


def _by_epoch(history: Sequence[Explored], columns: Callable[[Explored], dict[str, Any]]) -> pd.DataFrame:
    return pd.concat([pd.DataFrame({"epoch": one.epoch, **columns(one)}) for one in history])


def explored_title(found: Explored) -> str:
    """Task, class, net, seed and settings of a fit."""
    config = found.config
    about = f"{shortened(config.task, LONGEST)} {shortened(config.label, LONGEST)}"
    return (
        f"{about} ({config.net.upper()}, seed {config.seed}): code of {config.code_size}, "
        f"lambda {config.recon_weight:g}"
    )


def explored_words(found: Explored) -> str:
    """What an autoencoder keeps: accuracy through it, and the variance that it does not explain."""
    share, missed, size = found.accuracy, found.missed, found.config.code_size
    return (
        f"Accuracy on held-out images: {100 * share['direct']:.1f} %, through the autoencoder "
        f"{100 * share['autoencoder']:.1f} %, through PCA of size {size} {100 * share['pca']:.1f} %. Variance not "
        f"explained: autoencoder {100 * missed['autoencoder']:.1f} %, PCA {100 * missed['pca']:.1f} %."
    )


def explored_alt(found: Explored) -> str:
    """What is seen of an autoencoder, in words."""
    count, holds = min(found.config.code_size, len(found.holds)), found.holds
    beyond = f", and {np.mean(holds[count:]):.2g} along those beyond" if len(holds) > count else ""
    within = f"{np.mean(holds[:count]):.2g} on average along the first {count} principal directions{beyond}"
    return sentences(
        explored_title(found), explored_words(found), f"Code term for a move by one standard deviation: {within}"
    )
