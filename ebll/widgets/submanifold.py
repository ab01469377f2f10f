"""What an autoencoder of a given size keeps of a task's features: measured, for the submanifold explorer.

found = ebll.widgets.explore("code_size=16")
found.accuracy                  # of the features themselves, through the autoencoder, through PCA of that size
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import pandas as pd
import torch
from torch import Tensor

from ebll.autoencoder import Autoencoder, AutoencoderSettings, Encoder, fit_epochs
from ebll.config import PRESETS
from ebll.data import Task
from ebll.errors import InputError, check_choice
from ebll.losses import code_distance
from ebll.metrics import accuracy, unexplained_share
from ebll.networks import Network, frozen
from ebll.seeds import cpu_threads, derive_seed
from ebll.starts import first_task
from ebll.training import Step

from .config import SubmanifoldConfig
from .starts import offered_task

__all__ = ["Explored", "explore", "exploring", "hold"]

SHOWN = 40
"""Held-out images of the class that are shown."""
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

    @property
    def table(self) -> pd.DataFrame:
        """Quantity and value: all that is drawn but the points."""
        rows = [(f"accuracy_{name}", value) for name, value in self.accuracy.items()]
        rows += [(f"missed_{name}", value) for name, value in self.missed.items()]
        rows += [(f"hold_direction_{i + 1}", value) for i, value in enumerate(self.holds)]
        return pd.DataFrame(rows, columns=["quantity", "value"])


@dataclass(frozen=True, eq=False)
class _Features:
    """Of one network and task: features, and the principal components of those of training, widest first."""

    train: Tensor
    held: Tensor
    mean: Tensor
    directions: Tensor  # a row a direction
    spread: Tensor  # standard deviation of the training features along each


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
        before, slope = (
            torch.nn.functional.linear(features, encoder.weight, encoder.bias),
            moves @ encoder.weight.T,
        )
        now = torch.sigmoid(before + torch.stack([slope, -slope])[:, :, None])  # (side, count, batch, code)
        return 0.5 * (now - torch.sigmoid(before)).square().sum(dim=3).mean(dim=(0, 2))


def explore(config: SubmanifoldConfig | str = "", *, tasks: Iterable[Task] = ()) -> Explored:
    """Fit the autoencoder of a config and measure what it keeps.

    raises   `InputError` where the code is not smaller than the features, or the task has no such class
    """
    config = SubmanifoldConfig.read(config)
    with cpu_threads(PRESETS[config.net].train.threads):
        *_, found = exploring(config, tasks)
    return found


def exploring(config: SubmanifoldConfig, tasks: Iterable[Task] = ()) -> Iterator[Step | Explored]:
    """As `explore`, step by step: the loop's steps while the task is learned, then what is found at each epoch."""
    task, start, _ = yield from first_task(
        offered_task(config.task, tasks), config.net, PRESETS[config.net].train, config.seed
    )
    label = list(task.classes).index(check_choice(config.label, task.classes, f"Class of {task.name}"))
    # A copy, since it is frozen while others have their turn, who may be branching from the network.
    net, found = copy.deepcopy(start.net), _features(start.net, task)
    settings = AutoencoderSettings(code_size=config.code_size, recon_weight=config.recon_weight)
    still = _standing_still(config, net, task, label, found)
    with frozen(net):
        for autoencoder, history in fit_epochs(
            found.train,
            task.train.labels,
            lambda reconstructed: net.heads[0](net.operator(reconstructed)),
            settings,
            seed=derive_seed(config.seed, "autoencoder", 0),
        ):
            yield _look(config, len(history), settings.epochs, autoencoder, net, task, found, still)


@dataclass(frozen=True, eq=False)
class _Still:
    """What does not change while the autoencoder is fitted."""

    mine: Tensor  # rows of the class that are shown
    here: Tensor  # places of all held-out images
    others: Tensor
    accuracy: dict[str, float]
    missed: float  # by PCA of this size


def _standing_still(config: SubmanifoldConfig, net: Network, task: Task, label: int, found: _Features) -> _Still:
    labels = task.validation.labels
    mine = (labels == label).nonzero()[:SHOWN, 0]
    if not len(mine):
        raise InputError(f"{task.name} has no held-out image of class {config.label!r}. Choose another class.")
    with torch.no_grad():
        kept = found.directions[: config.code_size]
        pca = found.mean + (found.held - found.mean) @ kept.T @ kept
        here = (found.held - found.mean) @ found.directions[:2].T
        read = {"direct": _read(net, found.held, labels), "pca": _read(net, pca, labels)}
        return _Still(mine, here, here[labels != label], read, unexplained_share(pca, found.held))


def _read(net: Network, features: Tensor, labels: Tensor) -> float:
    return accuracy(net.heads[0](net.operator(features)), labels)


def _look(
    config: SubmanifoldConfig, epoch: int, epochs: int, autoencoder: Autoencoder, net: Network, task: Task,
    found: _Features, still: _Still,
) -> Explored:  # fmt: skip
    mine, direct, pca = still.mine, still.accuracy["direct"], still.accuracy["pca"]
    with torch.no_grad():
        back = autoencoder(found.held)
        there = (back[mine] - found.mean) @ found.directions[:2].T
        field, extent = _field(autoencoder.encode, found, found.held[mine].mean(dim=0), still.here)
        points = torch.cat([still.here[mine], there], dim=1).numpy()
        moves = (found.directions * found.spread[:, None])[:DIRECTIONS]
        return Explored(
            *(config, epoch, epochs, pd.DataFrame(points, columns=["x", "y", "x_back", "y_back"])),
            others=still.others,
            accuracy={"direct": direct, "autoencoder": _read(net, back, task.validation.labels), "pca": pca},
            missed={"autoencoder": unexplained_share(back, found.held), "pca": still.missed},
            holds=hold(autoencoder.encode, found.held[mine], moves).tolist(),
            field=field,
            extent=extent,
        )


def _field(
    encoder: Encoder, found: _Features, middle: Tensor, places: Tensor, count: int = 24
) -> tuple[Tensor, tuple[float, float, float, float]]:
    """E4 of a move from the middle of a class to each place of the plane, on a grid that covers all places."""
    low, high = places.min(dim=0).values, places.max(dim=0).values
    low, high = low - 0.05 * (high - low), high + 0.05 * (high - low)
    across, up = (torch.linspace(float(low[i]), float(high[i]), count) for i in (0, 1))
    grid = torch.stack(torch.meshgrid(across, up, indexing="xy"), dim=2).reshape(-1, 2)
    from_here = grid - ((middle - found.mean) @ found.directions[:2].T)
    now, before = encoder(middle + from_here @ found.directions[:2]), encoder(middle[None])
    each = torch.vmap(lambda code: code_distance(code[None], before))(now)
    extent = tuple(float(edge) for edge in (low[0], high[0], low[1], high[1]))
    return each.reshape(count, count), extent
