"""One photograph as a square of bytes: upright, in colour, resized with anti-aliasing, its middle cut out."""

from __future__ import annotations

import math
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from ebll.data.folder import eight_bit

__all__ = ["UNREADABLE", "reason", "square"]

UNREADABLE = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    EOFError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
    MemoryError,
)
"""What Pillow raises for files that are damaged, no images, or too large to open."""

_LONG = 8  # squares in a resized image above which its middle is cut out first

_ORIENTATION = 0x0112  # the tag in which cameras say how they were held
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def square(file: str | Path, size: int) -> np.ndarray:
    """The photograph in `file` as uint8 (size, size, 3), RGB; what is transparent loses its transparency.

    The shorter side becomes `size` (bilinear over the area that a new pixel covers), and the middle is kept.

    Raises:
        one of `UNREADABLE`: the file is damaged, no image, or too large for the memory
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a note of the camera that is out of order is no fault of the picture
        with Image.open(file) as opened:
            turn = _UPRIGHT.get(_orientation(opened))
            opened.draft(None, (2 * size, 2 * size))  # big JPEGs are decoded at a fraction that leaves twice the size
            image = eight_bit(opened).convert("RGB")
    if turn is not None:
        image = image.transpose(turn)
    short = min(image.size)
    width, height = (size * side // short for side in image.size)
    left, top = (round((side - size) / 2) for side in (width, height))  # rounded as torchvision does
    if max(width, height) > _LONG * size:  # a strip that resized as a whole could fill the memory
        return np.asarray(_cut_first(image, (left / width, top / height), (size / width, size / height), size))
    resized = image.resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(resized.crop((left, top, left + size, top + size)))


def _cut_first(image: Image.Image, corner: tuple[float, float], extent: tuple[float, float], size: int) -> Image.Image:
    """A part of an image, resized to a square: the same pixels, to rounding, as resizing all of it and cropping.

    corner, extent   upper left corner of the part, and its width and height, as shares of the image's
    """
    spans = []
    for side, begin, share in zip(image.size, corner, extent, strict=True):
        low, high = begin * side, (begin + share) * side
        reach = math.ceil(max(share * side / size, 1)) + 1  # pixels beyond the part that weigh in at its edge
        first, last = max(0, math.floor(low) - reach), min(side, math.ceil(high) + reach)
        spans.append((first, last, low - first, min(high, last) - first))
    (left, right, x0, x1), (top, bottom, y0, y1) = spans
    near = image.crop((left, top, right, bottom))
    return near.resize((size, size), Image.Resampling.BILINEAR, box=(x0, y0, x1, y1))


def _orientation(image: Image.Image) -> int:
    """How the camera was held, 1 to 8; 1 (upright) where that cannot be read."""
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except UNREADABLE:
        return 1


def reason(error: BaseException) -> str:
    """What went wrong, without the name of the file."""
    if isinstance(error, UnidentifiedImageError):
        return "no image that Pillow knows"
    if isinstance(error, MemoryError):
        return "too large for the memory that is free"
    return (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
