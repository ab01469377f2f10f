"""The paper's protocol in seconds: tiny photo sets, and a backbone of two convolutions in place of a pretrained net.

photos(root)                                   # flowers, birds, scenes and imagenet, few images each
with small_net():                              # also: initializer=install in a process of one's own
    paper(root, settings=settings(), out=out, **QUIET)
"""

import contextlib
import json

import pytest
import tiny_photos
from torch import nn

import ebll.paper.main
import ebll.paper.spread
import ebll.paper.start
import ebll.reproduce.report
from ebll.backbones import CutNet
from ebll.paper import PaperSettings
from ebll.photos import PhotoSettings
from ebll.seeds import seeded
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


def cut_net(settings, seed):
    """The tiny net with its head of three classes, weights from the seed, as `ebll.paper.start.cut_net` gives one."""
    with seeded(seed, "network"):
        features = nn.Sequential(nn.Conv2d(3, 6, 5, stride=3), nn.ReLU(), nn.Conv2d(6, 4, 3, stride=2), nn.ReLU())
        operator, head = nn.Sequential(nn.Linear(4 * 3 * 3, 10), nn.ReLU()), nn.Linear(10, 3)
    about = {"name": "tiny", "cut": "conv2", "weights_from": "the seed", "note": "", "keeps_statistics": False}
    shape = (3, SIZE, SIZE)
    return CutNet(features, operator, head, (0.5,) * 3, (0.25,) * 3, shape, 4 * 3 * 3, **about)


def settings(**changes):
    """Settings of seconds; training and photo settings are told apart by their names."""
    usual = dict(
        backbone="resnet18",
        alpha=0.3,
        alpha_imagenet=0.1,
        code_size=5,
        code_size_imagenet=7,
        fisher_samples=8,
        log_every=2,
    )
    usual |= dict(autoencoder_images=0)
    train = dict(epochs=2, warmup_epochs=1, batch_size=8, learning_rate=0.02)
    cut = dict(stored=32, size=SIZE, versions=2)
    for name, value in changes.items():
        kind = next((k for k, c in ((train, TrainSettings), (cut, PhotoSettings)) if name in c.metadata()), usual)
        kind[name] = value
    return PaperSettings(**usual, train=TrainSettings(**train), photos=PhotoSettings(**cut))


def install():
    """Put the tiny net in place of every backbone of this process, for good."""
    ebll.paper.start.cut_net = cut_net


def portion(*given):
    """As `ebll.paper.spread._portion`, in a process that has the tiny net."""
    install()
    return ebll.paper.spread._portion(*given)


@contextlib.contextmanager
def small_net(draw=False):
    """Every backbone is the tiny net; pictures, which take longest, are drawn only if wanted."""
    with pytest.MonkeyPatch.context() as patch:
        for room in (ebll.paper.start, ebll.paper.main):
            patch.setattr(room, "cut_net", cut_net)
        patch.setattr(ebll.paper.start, "_loaded", {})
        if not draw:
            patch.setattr(ebll.reproduce.report, "draw", lambda *given: [])
        yield


def tables(folder):
    """Name -> bytes of the tables and of what is concluded from them, run.json excepted."""
    names = [*TABLES, "claims.json", "claims-parts.csv", "outcomes.csv", "tables.md", "paper-layout.md"]
    found = {name: (folder / name).read_bytes() for name in names}
    return found | {path.name: path.read_bytes() for path in folder.glob("paper-layout-*.csv")}


def same_results(folder, other):
    """The tables of two folders are equal to the last byte."""
    one, two = tables(folder), tables(other)
    assert one.keys() == two.keys()
    assert [name for name in one if one[name] != two[name]] == []


def same_rows(rows, others):
    """Two lists of rows are equal to the last bit; NaN is not equal to itself, but its text is."""
    assert json.dumps(rows) == json.dumps(others)
