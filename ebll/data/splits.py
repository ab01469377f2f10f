"""Seeded choice of who is held out, class by class, and the standardising that follows from training alone.

The global random generator is never touched.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ebll.errors import InputError, check_count

__all__ = ["apply_affine", "channel_affine", "split_generator", "split_off_test", "stratified_split"]

_ROWS = 512  # rows in double precision at a time: they stay in the cache, and 60,000 images need no second copy


def split_generator(seed: int) -> torch.Generator:
    """A generator of its own for `seed`, a whole number of at least 0."""
    return torch.Generator().manual_seed(check_count(seed, "seed", low=0))


def stratified_split(
    labels: Tensor, held_out: int, generator: torch.Generator, *, classes: Sequence[str], what: str
) -> tuple[Tensor, Tensor]:
    """Indices (kept, held) that share out `labels`, disjoint, complete and each in ascending order.

    Each class gives its share of `held_out` (rounded by largest remainder), at least one image, and keeps at
    least one; with very small classes the number held may therefore differ from `held_out`.

    Args:
        labels: int64, (n,), values 0..len(classes)-1.
        held_out: number of images to hold.
        generator: source of the random choice.
        classes: names, for the error.
        what: what is being split off, for the error ("a validation set").

    Raises:
        InputError: a class has fewer than two images.
    """
    counts = torch.bincount(labels, minlength=len(classes))
    for name, count in zip(classes, counts.tolist(), strict=True):
        if count < 2:
            raise InputError(
                f"class {name!r} has {count} image{'' if count == 1 else 's'} where 2 are needed to split off {what}. "
                f"Add images of it, or bring {what} of your own."
            )
    take = _shares(counts, held_out)
    order = torch.randperm(len(labels), generator=generator)
    mixed = labels[order]
    held = torch.cat([order[mixed == c][:number] for c, number in enumerate(take.tolist())])
    is_held = torch.zeros(len(labels), dtype=torch.bool)
    is_held[held] = True
    return (~is_held).nonzero().flatten(), is_held.nonzero().flatten()


def split_off_test(
    inputs: Tensor, labels: Tensor, number: int, generator: torch.Generator, classes: Sequence[str]
) -> dict[str, tuple[Tensor, Tensor]]:
    """'train' and 'test' -> (inputs, labels), with about `number` test images as `stratified_split` chooses them."""
    kept, held = stratified_split(labels, number, generator, classes=classes, what="a test set")
    return {"train": (inputs[kept], labels[kept]), "test": (inputs[held], labels[held])}


def _shares(counts: Tensor, total: int) -> Tensor:
    exact = counts.double() * total / counts.sum()
    take = torch.minimum(exact.floor().long().clamp(min=1), counts - 1)
    # Largest remainder first; a stable sort keeps ties in class order.
    for c in (exact - take).sort(descending=True, stable=True).indices.tolist():
        if take.sum() >= total:
            break
        take[c] += int(take[c] < counts[c] - 1)
    return take


def channel_affine(inputs: Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation (divisor n) of each channel; one of each for flat inputs.

    Where a channel is constant its deviation is given as 1, so that standardising makes it 0 and not NaN.

    Args:
        inputs: float32, (n, channels, height, width) or (n, features).
    """
    # numpy, because these many small steps would each wait for torch's threads while another program computes.
    rows = (inputs.flatten(2) if inputs.ndim == 4 else inputs.unsqueeze(1)).detach().cpu().numpy()
    parts, number = [rows[i : i + _ROWS] for i in range(0, len(rows), _ROWS)], rows.shape[0] * rows.shape[2]
    mean = sum(p.sum(axis=(0, 2), dtype=np.float64) for p in parts) / number
    variance = sum(np.square(p - mean[:, None]).sum(axis=(0, 2)) for p in parts) / number
    deviation = np.sqrt(variance)
    # float32 resolves 6e-8 of a value: a spread below 1e-6 of the mean is rounding, not content.
    deviation = np.where(deviation <= 1e-6 * np.abs(mean), 1.0, deviation)
    return tuple(mean.tolist()), tuple(deviation.tolist())


def apply_affine(inputs: Tensor, offset: Sequence[float], scale: Sequence[float]) -> Tensor:
    """(inputs - offset) / scale, channel by channel, as a new tensor of the same shape and device."""
    shape = (-1, 1, 1) if inputs.ndim == 4 else (-1,)
    offsets, scales = (torch.tensor(v, dtype=inputs.dtype, device=inputs.device).view(shape) for v in (offset, scale))
    return torch.sub(inputs, offsets).div_(scales)
