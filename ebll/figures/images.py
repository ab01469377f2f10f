"""A contact sheet: a few images of each task, a row a task.

This room knows arrays and names of classes, not where they come from.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd

from ebll.errors import InputError

from . import alt, layout
from .picture import Picture
from .style import INK, SMALL, WIDTH, styled

__all__ = ["task_images", "task_images_table"]

_MOST = 10  # images in a row


def task_images_table(rows: Mapping[str, tuple[np.ndarray, Iterable[str]]]) -> pd.DataFrame:
    """Return what `task_images` draws, a row per image: task, place, label, height, width (pixels), mean (0 to 1)."""
    facts = [
        (task, place, label, *image.shape[:2], float(image.mean()))
        for task, (images, labels) in _checked(rows).items()
        for place, (image, label) in enumerate(zip(images, labels, strict=True))
    ]
    return pd.DataFrame(facts, columns=["task", "place", "label", "height", "width", "mean"])


@styled
def task_images(
    rows: Mapping[str, tuple[np.ndarray, Iterable[str]]], *, labels: bool = True, title: str = ""
) -> Picture:
    """Draw images of several tasks as a contact sheet: a row a task, at most ten images each.

    rows    for each task its images, and the class of each: (n, height, width), grey from 0 (black) to 1 (white), or
            (n, height, width, 3), red, green and blue from 0 to 1
    labels  write the class below each image
    title   in place of the one that counts the tasks
    """
    checked, table = _checked(rows), task_images_table(rows)
    columns = int(table["place"].max()) + 1
    names = {task: layout.wrap(task, 1.1) for task in checked}
    side = max(layout.text_width(line) for name in names.values() for line in name.split("\n")) + 0.2
    cell = min((WIDTH - side - 0.2) / columns, 1.2)
    tall = cell + (0.2 if labels else 0.06)
    title = title or ("Images of the task" if len(checked) == 1 else f"Images of {len(checked)} tasks")
    picture = layout.compose(title, "", height=tall * len(checked))
    picture.set_layout_engine("none")
    width, height = picture.get_size_inches()
    for row, (task, (images, classes)) in enumerate(checked.items()):
        top = 1 - (height - tall * len(checked) - 0.1 + tall * row) / height
        picture.text((side - 0.08) / width, top - cell / 2 / height, names[task], ha="right", va="center", size=SMALL)
        for place, (image, label) in enumerate(zip(images, classes, strict=True)):
            left = (side + place * cell) / width
            axes = picture.add_axes((left, top - (cell - 0.06) / height, (cell - 0.06) / width, (cell - 0.06) / height))
            axes.imshow(image, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
            axes.set_axis_off()
            if labels:
                under = layout.shorten(label, cell - 0.04)
                axes.text(0.5, -0.02, under, transform=axes.transAxes, ha="center", va="top", size=SMALL, color=INK)
    words = [f"{task}: {', '.join(classes)}" for task, (_, classes) in checked.items()]
    kind = "grey image" if all(images.ndim == 3 for images, _ in checked.values()) else "image"
    lead = f"{alt.counted(len(checked), 'row')} of up to {alt.counted(columns, kind)}"
    return layout.finish(picture, table, alt.sentences(title, lead, *words))


def _checked(rows: Mapping) -> dict[str, tuple[np.ndarray, list[str]]]:
    """Return the first images of each task with their classes; say what is amiss."""
    if not isinstance(rows, Mapping) or not rows:
        raise InputError("rows must map the name of at least one task to its images and their labels.")
    out = {}
    for task, pair in rows.items():
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise InputError(f"{task}: give a pair, the images and the list of their labels.")
        images, labels = np.asarray(pair[0]), [str(label) for label in pair[1]]
        colour = images.ndim == 4 and images.shape[-1] == 3
        if not (images.ndim == 3 or colour) or not len(images):
            raise InputError(
                f"{task}: images must be an array (n, height, width), or (n, height, width, 3) in colour; got the "
                f"shape {images.shape}."
            )
        if len(labels) != len(images):
            raise InputError(f"{task}: there are {len(images)} images but {len(labels)} labels.")
        low, high = images.min(), images.max()
        if not (low >= -1e-4 and high <= 1 + 1e-4):  # standardising and back leaves the last bits
            raise InputError(f"{task}: images must hold values from 0 to 1; got {low:g} to {high:g}.")
        out[str(task)] = (images[:_MOST].clip(0, 1), labels[:_MOST])
    return out
