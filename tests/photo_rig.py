"""Photo sets of known pixels, as PNG squares that are stored as they are; shared by the tests of photo tasks."""

import numpy as np
import torch
from PIL import Image

from ebll.photos.convert import convert
from ebll.photos.crops import Windows
from ebll.photos.sets import find_photos


def coded(numbers, stored):
    """Squares that say where one looks: red is the row, green the column, blue the number of the image."""
    images = torch.empty(len(numbers), stored, stored, 3, dtype=torch.uint8)
    images[..., 0] = torch.arange(stored)[:, None]
    images[..., 1] = torch.arange(stored)
    images[..., 2] = torch.as_tensor(numbers)[:, None, None]
    return images


def decoded(pixels):
    """(numbers of the images, windows) that `coded` squares were cut into: pixels 0..255, (n, 3, size, size)."""
    pixels = pixels.round().to(torch.int64)
    flip = pixels[:, 1, 0, 0] > pixels[:, 1, 0, -1]
    windows = Windows(pixels[:, 0, 0, 0], pixels[:, 1].amin(dim=(1, 2)), flip)
    numbers = pixels[:, 2, 0, 0]
    assert torch.equal(pixels[:, 2], numbers[:, None, None].expand_as(pixels[:, 2]))
    return numbers, windows


def tinted(labels, stored, seed=0):
    """Noise with the colour of its class, so that a class can be learned and every window looks different."""
    draw = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 176, (len(labels), stored, stored, 3), generator=draw)
    images[torch.arange(len(labels)), :, :, torch.as_tensor(labels) % 3] += 80
    return images.to(torch.uint8)


def write_photos(root, name, **parts):
    """Write root/name/<part>/<class>/*.png; each part is (uint8 (n, size, size, 3), labels in ascending order)."""
    for part, (images, labels) in parts.items():
        labels = [int(label) for label in labels]
        assert labels == sorted(labels), "files are listed class by class"
        for i, (image, label) in enumerate(zip(images.numpy(), labels, strict=True)):
            file = root / name / part / f"class{label}" / f"{i:04}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.ascontiguousarray(image)).save(file, compress_level=1)


def stores(root, name, size):
    """(training store, test store) of such a set, converted in this process."""
    listing = find_photos(name, root)
    return tuple(convert(listing, part, root / "cache", size=size, workers=1) for part in ("train", "test"))
