"""The paper's protocol in milliseconds: tiny photo sets, and a backbone of two convolutions for every pretrained one.

photos(root)                                   # flowers, birds, scenes and imagenet, few images each
with small_net():
    paper(root, settings=settings(), out=out, **QUIET)
"""

import contextlib
import json

import numpy as np
import pytest
import tiny_photos
import torch
from PIL import Image
from torch import nn
from torchvision.datasets import Flowers102

import ebll.paper.protocol
import ebll.reproduce.report
from ebll.paper import Backbone, Crops, PaperSettings, PhotoSettings
from ebll.training import TrainSettings

SIZE = 24
COUNTS = {"flowers": (3, 8, 3), "birds": (4, 8, 2), "scenes": (3, 6, 2), "imagenet": (3, 10, 3)}
"""Set -> classes, training and test images a class."""
QUIET = {"incomplete": True, "device": "cpu"}
TABLES = ("accuracy.csv", "curves.csv", "kept.csv")


def photos(root, names=tuple(COUNTS)):
    """Write these sets under a data root."""
    for name in names:
        tiny_photos.WRITERS[name](root, *COUNTS[name])


def tiny_backbone(name, *, weights="default", dropout=0.0, input_size=SIZE):
    """As `load_backbone` gives one, with a head of three classes; weights from torch's global generator."""
    features = nn.Sequential(nn.Conv2d(3, 6, 5, stride=3), nn.ReLU(), nn.Conv2d(6, 4, 3, stride=2), nn.ReLU())
    operator, head = nn.Sequential(nn.Linear(4 * 3 * 3, 10), nn.ReLU(), nn.Dropout(dropout)), nn.Linear(10, 3)
    mean, std = (0.5,) * 3, (0.25,) * 3
    shape = (3, input_size, input_size)
    return Backbone("tiny", "conv2", features, operator, head, mean, std, shape, 36, weights != "none")


def settings(**changes):
    """Settings of milliseconds; training and photo settings are told apart by their names."""
    usual = dict(backbone="resnet18", alpha=0.3, alpha_imagenet=0.1, code_size=5, code_size_imagenet=7, log_every=2)
    usual |= dict(fisher_samples=8, autoencoder_images=0)
    train = dict(epochs=2, warmup_epochs=1, batch_size=8, learning_rate=0.02, threads=1)
    cut = dict(stored=32, size=SIZE, versions=2)
    for name, value in changes.items():
        kind = next((k for k, c in ((train, TrainSettings), (cut, PhotoSettings)) if name in c.metadata()), usual)
        kind[name] = value
    return PaperSettings(**usual, train=TrainSettings(**train), photos=PhotoSettings(**cut))


@contextlib.contextmanager
def small_net():
    """Every backbone is the tiny net; pictures, which take longest, are not drawn."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ebll.paper.protocol, "load_backbone", tiny_backbone)
        patch.setattr(Flowers102, "_check_integrity", lambda self: True)
        patch.setattr(ebll.reproduce.report, "draw", lambda *given: [])
        yield


def same_results(folder, other):
    """The tables of two folders, and what is concluded from them, are equal to the last byte."""
    names = [*TABLES, "claims.json", "claims-parts.csv", "outcomes.csv", "tables.md", "paper-layout.md"]
    names += [path.name for path in folder.glob("paper-layout-*.csv")]
    assert [name for name in names if (folder / name).read_bytes() != (other / name).read_bytes()] == []


def same_rows(rows, others):
    """Two lists of rows are equal to the last bit; NaN is not equal to itself, but its text is."""
    assert json.dumps(rows) == json.dumps(others)


# ---- photographs of known pixels


def coded(numbers, stored):
    """Squares that say where one looks: red is the row, green the column, blue the number of the image."""
    images = torch.empty(len(numbers), stored, stored, 3, dtype=torch.uint8)
    images[..., 0] = torch.arange(stored)[:, None]
    images[..., 1] = torch.arange(stored)
    images[..., 2] = torch.as_tensor(numbers)[:, None, None]
    return images


def decoded(pixels):
    """(numbers of the images, crops) that `coded` squares were cut into: pixels 0..255, (n, 3, size, size)."""
    pixels = pixels.round().to(torch.int64)
    flip = pixels[:, 1, 0, 0] > pixels[:, 1, 0, -1]
    crops = Crops(pixels[:, 0, 0, 0], pixels[:, 1].amin(dim=(1, 2)), flip)
    numbers = pixels[:, 2, 0, 0]
    assert torch.equal(pixels[:, 2], numbers[:, None, None].expand_as(pixels[:, 2]))
    return numbers, crops


def write_photos(root, name, **parts):
    """Write root/name/<part>/<class>/*.png; each part is (uint8 (n, size, size, 3), labels in ascending order)."""
    for part, (images, labels) in parts.items():
        for i, (image, label) in enumerate(zip(images.numpy(), map(int, labels), strict=True)):
            file = root / name / part / f"class{label}" / f"{i:04}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.ascontiguousarray(image)).save(file, compress_level=1)
