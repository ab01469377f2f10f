"""A task: images and labels in three disjoint splits, standardised by its own training split."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ebll.data.arrays import as_inputs, as_labels, as_tensor, check_class_names, check_same_form
from ebll.data.splits import apply_affine, channel_affine, split_generator, stratified_split
from ebll.errors import InputError, check_count, check_number

__all__ = ["Split", "Task"]

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True, eq=False)
class Split:
    """Images with their labels.

    Attributes:
        inputs: float32, (n, channels, height, width) or (n, features).
        labels: int64, (n,), values 0..classes-1.

    Raises:
        InputError: another type, rank or number of labels.
    """

    inputs: Tensor
    labels: Tensor

    changing = False
    """Whether every epoch sees other crops of the inputs; what is recorded of them must then follow."""

    def __post_init__(self):
        good = self.inputs.dtype == torch.float32 and self.inputs.ndim in (2, 4)
        if not good or self.labels.dtype != torch.int64 or self.labels.shape != self.inputs.shape[:1]:
            raise InputError(
                "a Split takes float32 inputs (n, channels, height, width) or (n, features) and int64 labels (n,); got "
                f"{self.inputs.dtype} {tuple(self.inputs.shape)} and {self.labels.dtype} {tuple(self.labels.shape)}. "
                "Task.from_tensors converts for you."
            )

    def __len__(self) -> int:
        return len(self.inputs)

    def __repr__(self) -> str:
        return f"Split({len(self):,} x {' x '.join(map(str, self.inputs.shape[1:]))})"

    def versions(self, order: torch.Generator) -> object:
        """What an epoch draws for the inputs besides their order, to be handed to `batches`: nothing here."""
        return None

    def batches(self, rows: Tensor, batch_size: int, versions: object = None) -> Iterable[Tensor]:
        """The inputs of `rows` (int64, (m,)) in portions of (batch_size, *input_shape)."""
        # A portion at a time stays in the processor's cache; an epoch at once would go through memory twice.
        return (self.inputs.index_select(0, some) for some in rows.split(batch_size))

    def take(self, indices: Tensor) -> Split:
        """The rows `indices` (int64, (m,)) as a split of their own (a copy)."""
        return Split(self.inputs[indices], self.labels[indices])

    def spread(self, count: int) -> Tensor:
        """Up to `count` rows, evenly spread: a split may be sorted by class, and its first rows be of one."""
        count = min(count, len(self))
        return torch.arange(count, device=self.labels.device) * len(self) // count

    def to(self, device: torch.device | str) -> Split:
        """The split on `device`; itself where it is there already."""
        inputs, labels = self.inputs.to(device), self.labels.to(device)
        same = inputs is self.inputs and labels is self.labels
        return self if same else dataclasses.replace(self, inputs=inputs, labels=labels)


@dataclass(frozen=True, eq=False)
class Task:
    """What one head learns: three disjoint splits of the same classes.

    Attributes:
        name: short name, as it appears in tables and legends.
        classes: one name a label, in the order of the labels.
        train, validation, test: the splits. Choose settings on validation; report test.
        source: where the images come from.
        licence: under which terms.
        offset, scale: one number a channel. `inputs * scale + offset` gives the images as they came in;
            0 and 1 where nothing was standardised.
    """

    name: str
    classes: tuple[str, ...]
    train: Split
    validation: Split
    test: Split
    source: str = ""
    licence: str = ""
    offset: tuple[float, ...] = (0.0,)
    scale: tuple[float, ...] = (1.0,)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one input: (channels, height, width) or (features,)."""
        return tuple(self.train.inputs.shape[1:])

    @property
    def class_count(self) -> int:
        """Number of classes, hence of outputs of the task's head."""
        return len(self.classes)

    def __repr__(self) -> str:
        sizes = ", ".join(f"{s} {len(getattr(self, s)):,}" for s in SPLITS)
        names = ", ".join(self.classes[:10]) + (", ..." if self.class_count > 10 else "")
        low, high = self.train.inputs.min().item(), self.train.inputs.max().item()
        return (
            f"Task {self.name!r}: {sizes}\n"
            f"  {self.class_count} classes: {names}\n"
            f"  one input: {' x '.join(map(str, self.input_shape))}, training values {low:.2f} to {high:.2f}"
            + "".join(f"\n  {key}: {getattr(self, key)}" for key in ("source", "licence") if getattr(self, key))
        )

    @classmethod
    def from_tensors(
        cls,
        name: str,
        train: tuple[object, object],
        test: tuple[object, object],
        validation: tuple[object, object] | None = None,
        classes: Sequence[str] | None = None,
        *,
        validation_fraction: float = 0.15,
        seed: int = 0,
        standardise: bool = True,
        source: str = "",
        licence: str = "",
    ) -> Task:
        """A task from (inputs, labels) pairs of tensors, numpy arrays or nested lists.

        Inputs: (n, channels, height, width), (n, height, width), which gains one channel, or (n, features).
        uint8 is divided by 255; other numbers keep their values. Labels: whole numbers 0..classes-1, shape (n,).
        The data is copied to the CPU; `to(device)` moves it.

        Without `validation`, `validation_fraction` (above 0, at most 0.9) of every class is taken out of training,
        chosen by `seed`; test is never touched. `standardise=False` leaves the values as they are.

        Raises:
            InputError: what cannot be used, in words: type, shape, NaN, labels, classes, too few images.
        """
        if not isinstance(name, str) or not name.strip():
            raise InputError(f"a task needs a name, such as 'leaves'; got {name!r}.")
        fraction = check_number(validation_fraction, "validation_fraction", above=True, high=0.9)
        pairs = {"train": train, "validation": validation, "test": test}
        given = {key: _split(pair, f"task {name!r}: {key}") for key, pair in pairs.items() if pair is not None}
        # uint8 is divided by 255 and floats are not: mixed, test would lie on another scale than train.
        eight = [key for key in given if as_tensor(pairs[key][0], key).dtype == torch.uint8]
        if 0 < len(eight) < len(given):
            raise InputError(
                f"task {name!r}: all splits must use one scale of values; uint8 (0..255) only in: {', '.join(eight)}. "
                "Convert alike."
            )
        names = check_class_names(classes, given["train"].labels, name)
        for key, split in given.items():
            check_same_form(given["train"].inputs, split.inputs, split.labels, len(names), f"task {name!r}: {key}")
        if validation is None:
            labels, number = given["train"].labels, max(1, round(fraction * len(given["train"])))
            kept, held = stratified_split(labels, number, split_generator(seed), classes=names, what="a validation set")
            given |= {"train": given["train"].take(kept), "validation": given["train"].take(held)}
        channels = given["train"].inputs.shape[1] if given["train"].inputs.ndim == 4 else 1
        unmoved = {"offset": (0.0,) * channels, "scale": (1.0,) * channels}
        task = cls(name, names, **given, source=source, licence=licence, **unmoved)
        return task.standardised() if standardise else task

    @classmethod
    def from_folder(
        cls,
        path: str | os.PathLike,
        name: str | None = None,
        *,
        size: int = 28,
        channels: int = 1,
        validation_fraction: float = 0.15,
        test_fraction: float = 0.2,
        seed: int = 0,
        standardise: bool = True,
    ) -> Task:
        """A task from a folder of images, one subfolder a class.

        Accepted: path/<class>/*, split by `test_fraction` and then `validation_fraction`, or
        path/train/<class>/* with path/test/<class>/* and, if you like, path/validation (or val)/<class>/*.
        Each image is turned upright, cropped to its central square and resized to `size` x `size` pixels,
        grey (`channels=1`) or RGB (`channels=3`). Hidden files and folders are passed over.

        Raises:
            DataMissing: no such folder.
            InputError: no images, a broken image, classes that differ between splits, too few images.
        """
        from ebll.data.folder import read_folder  # Pillow and torchvision only where a folder is read

        pairs, classes = read_folder(
            path, size=size, channels=channels, test_fraction=test_fraction, generator=split_generator(seed)
        )
        title = os.path.basename(os.path.abspath(path)) if name is None else name
        options = {"validation_fraction": validation_fraction, "seed": seed, "standardise": standardise}
        return cls.from_tensors(title, **pairs, classes=classes, source=str(path), **options)

    def standardised(self) -> Task:
        """Inputs minus the mean and over the standard deviation of the training split, one pair a channel.

        The same map is applied to all three splits. A constant channel becomes 0. Repeating it changes nothing.
        """
        if not isinstance(self.train.inputs, Tensor):
            raise InputError(
                f"task {self.name!r} is of photographs, standardised as their network was pretrained: give mean "
                "and std to load_photos."
            )
        mean, std = channel_affine(self.train.inputs)
        splits = {key: getattr(self, key) for key in SPLITS}
        moved = {key: Split(apply_affine(part.inputs, mean, std), part.labels) for key, part in splits.items()}
        offset = tuple(o + s * m for m, o, s in zip(mean, self.offset, self.scale, strict=True))
        scale = tuple(s * d for d, s in zip(std, self.scale, strict=True))
        return dataclasses.replace(self, **moved, offset=offset, scale=scale)

    def restored(self, inputs: Tensor) -> Tensor:
        """`inputs` of this task (n, *input_shape) as they were before standardising, for showing them."""
        # x * s + o is the map (x - (-o / s)) / (1 / s).
        offset = [-o / s for o, s in zip(self.offset, self.scale, strict=True)]
        return apply_affine(inputs, offset, [1 / s for s in self.scale])

    def to(self, device: torch.device | str) -> Task:
        """The task with its tensors on `device`, such as "cuda"; itself where they are there already."""
        try:
            moved = {key: getattr(self, key).to(device) for key in SPLITS}
        except torch.OutOfMemoryError:
            raise
        except (RuntimeError, AssertionError) as error:
            reason = str(error).splitlines()[0]
            raise InputError(f"task {self.name!r} cannot move to device {device!r}: {reason}. Use 'cpu'.") from error
        stay = all(split is getattr(self, key) for key, split in moved.items())
        return self if stay else dataclasses.replace(self, **moved)

    def subset(self, train: int, *, seed: int = 0) -> Task:
        """The same task with about `train` training images, every class in its share; the rest stays as it is."""
        check_count(train, "train", low=self.class_count, hint="Every class needs one.")
        if train >= len(self.train):
            return self
        labels = self.train.labels.cpu()
        _, held = stratified_split(labels, train, split_generator(seed), classes=self.classes, what="a subset")
        return dataclasses.replace(self, train=self.train.take(held.to(self.train.labels.device)))


def _split(pair: object, what: str) -> Split:
    if not isinstance(pair, tuple | list) or len(pair) != 2:
        raise InputError(f"{what} must be a pair (inputs, labels); got {type(pair).__name__}.")
    inputs = as_inputs(pair[0], f"{what} inputs")
    return Split(inputs, as_labels(pair[1], len(inputs), f"{what} labels"))
