"""Checks at the public edge: what a user hands over becomes float32 inputs and int64 labels, or a worded refusal."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ebll.errors import InputError

__all__ = ["as_inputs", "as_labels", "as_tensor", "check_class_names", "check_same_form", "listed"]

_SHOWN = 5  # names or numbers listed in one error before it says "and more"


def as_tensor(values: object, what: str) -> Tensor:
    """`values` (tensor, numpy array or nested list of numbers) as a CPU tensor without gradient."""
    if isinstance(values, Tensor):
        return values.detach().cpu()
    try:
        array = np.ascontiguousarray(values)
        return torch.as_tensor(array.astype(array.dtype.newbyteorder("="), copy=False))
    except (TypeError, ValueError):  # rows of different length, objects, text
        raise InputError(
            f"{what} must be a tensor or an array of numbers; got {type(values).__name__} that does not convert. "
            "Give every image the same size."
        ) from None


def as_inputs(values: object, what: str) -> Tensor:
    """A fresh float32 copy of shape (n, channels, height, width) or (n, features).

    (n, height, width) gains a channel axis; uint8 is divided by 255, every other type keeps its values.
    Raises `InputError` for another rank, for bool or complex values, for no image at all, for channels placed last,
    and for NaN or infinite values.
    """
    tensor = as_tensor(values, what)
    if tensor.dtype == torch.bool or tensor.is_complex():
        raise InputError(f"{what} must be real numbers (uint8 0..255 or floats); got {tensor.dtype}. Convert first.")
    if tensor.ndim not in (2, 3, 4) or tensor.numel() == 0:
        raise InputError(
            f"{what} must have shape (n, channels, height, width), (n, height, width) or (n, features), and hold "
            f"images; got {tuple(tensor.shape)}. Reshape them first."
        )
    if tensor.ndim == 4 and min(tensor.shape[1:3]) > 4 and tensor.shape[3] in (1, 3, 4):
        raise InputError(
            f"{what} must have the channels second, (n, channels, height, width); {tuple(tensor.shape)} looks like "
            "channels last. Use inputs.permute(0, 3, 1, 2), or numpy's transpose(0, 3, 1, 2)."
        )
    floats = tensor.to(torch.float32, copy=True)
    if tensor.dtype == torch.uint8:
        floats /= 255
    if not all(torch.isfinite(extreme) for extreme in torch.aminmax(floats)):  # without a mask as large as the data
        rows = (~torch.isfinite(floats.flatten(1))).any(dim=1).nonzero().flatten().tolist()
        raise InputError(
            f"{what} must be finite float32 numbers; some are NaN or infinite, in image {listed(rows)}. "
            "Drop those images or repair them."
        )
    return floats.unsqueeze(1) if floats.ndim == 3 else floats


def as_labels(values: object, count: int, what: str) -> Tensor:
    """Labels as int64 of shape (count,); `InputError` for another type, shape or length and for negative numbers."""
    tensor = as_tensor(values, what)
    if tensor.is_floating_point() or tensor.is_complex() or tensor.dtype == torch.bool:
        raise InputError(f"{what} must be whole numbers 0, 1, 2, ...; got {tensor.dtype}. Use labels.long().")
    if tensor.shape != (count,):
        raise InputError(
            f"{what} must have shape (n,), one number an image: {count} images, labels {tuple(tensor.shape)}."
        )
    labels = tensor.to(torch.int64, copy=True)
    if labels.min() < 0:
        raise InputError(f"{what} must run from 0 upwards, in order; the lowest is {int(labels.min())}.")
    return labels


def check_class_names(classes: Sequence[str] | None, train_labels: Tensor, name: str) -> tuple[str, ...]:
    """The class names, by default '0', '1', ...; every class needs a training image, and there must be two or more."""
    highest = int(train_labels.max())
    if isinstance(classes, str):
        raise InputError(f"task {name!r}: classes must be names such as ('cat', 'dog'); got {classes!r}.")
    # Labels above the number of images leave gaps for certain; the names of the gaps could fill the memory.
    names = tuple(str(c) for c in (range(min(highest, len(train_labels)) + 1) if classes is None else classes))
    if twice := sorted({c for c in names if names.count(c) > 1}):
        raise InputError(f"task {name!r}: every class needs a name of its own; given twice: {listed(twice)}.")
    if highest >= len(names):
        raise InputError(
            f"task {name!r}: train labels must lie in 0..{len(names) - 1}, one for each of the {len(names)} classes; "
            f"the highest is {highest}. Name the missing classes or correct the labels."
        )
    if len(names) < 2:
        raise InputError(
            f"task {name!r}: a task needs at least 2 classes; got 1 ({names[0]!r}). Add images of another class."
        )
    counts = torch.bincount(train_labels, minlength=len(names))
    if absent := [repr(names[i]) for i in (counts == 0).nonzero().flatten().tolist()]:
        raise InputError(
            f"task {name!r}: every class needs training images; none for {listed(absent)}. "
            "Number the classes 0, 1, 2, ... without gaps, or leave the class out."
        )
    return names


def check_same_form(train: Tensor, inputs: Tensor, labels: Tensor, classes: int, what: str) -> None:
    """Refuse a split whose images are not of the shape of the training images, or of classes that training lacks."""
    if inputs.shape[1:] != train.shape[1:]:
        shapes = (" x ".join(map(str, images.shape[1:])) for images in (train, inputs))
        raise InputError("{} inputs must have the shape of train inputs, {} an image; got {}.".format(what, *shapes))
    if unseen := sorted(set(labels[labels >= classes].tolist())):
        raise InputError(
            f"{what} labels hold classes that training never saw: {listed(unseen)}; training has 0..{classes - 1}. "
            "Give train and test the same classes."
        )


def listed(items: Sequence[object]) -> str:
    """The first few items, comma separated, and how many more there are."""
    more = len(items) - _SHOWN
    return ", ".join(str(i) for i in items[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
