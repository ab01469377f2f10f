"""Tasks, nets and settings so small that a sequence is learned in milliseconds; shared by the tests of the core."""

import copy

import torch
from torch import nn

from ebll import METHODS, AutoencoderSettings, Task, TrainSettings
from ebll.training import train

SETTINGS = TrainSettings(epochs=2, warmup_epochs=1, batch_size=16, learning_rate=0.05)
AUTOENCODER = AutoencoderSettings(code_size=3, epochs=4, batch_size=16)
FEATURES, HIDDEN = 8, 6  # sizes of F(x) and T(F(x)) in `small`


def blobs(name, seed, *, count=60, classes=3, shape=(12,), mixed=True):
    """A task of Gaussian blobs, one a class; `mixed=False` sorts the rows by class."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % classes
    if not mixed:
        labels = labels.sort().values
    centres = torch.randn(classes, *shape, generator=generator)

    def draw():
        return centres[labels] + 0.7 * torch.randn(count, *shape, generator=generator), labels

    return Task.from_tensors(name, draw(), draw())


def sequence(length=3):
    """Tasks with different sizes and numbers of classes, all of 12 features."""
    return [blobs(f"task{i}", seed=i, count=60 + 12 * i, classes=3 + i % 2) for i in range(length)]


def small(input_shape):
    """Any inputs - 8 (F) - 6 (T), smooth enough for closed forms and quick."""
    size = int(torch.Size(input_shape).numel())
    features = nn.Sequential(nn.Flatten(), nn.Linear(size, FEATURES), nn.ReLU())
    return features, nn.Sequential(nn.Linear(FEATURES, HIDDEN), nn.ReLU())


def noisy(input_shape):
    """The same with BatchNorm in F and dropout in F and T: what a user's own net may bring."""
    size = int(torch.Size(input_shape).numel())
    features = nn.Sequential(
        nn.Flatten(), nn.Linear(size, FEATURES), nn.BatchNorm1d(FEATURES), nn.ReLU(), nn.Dropout(0.3)
    )
    return features, nn.Sequential(nn.Linear(FEATURES, HIDDEN), nn.ReLU(), nn.Dropout(0.3))


def method(name, **changes):
    """A method by name, with a small autoencoder where it has one."""
    made = METHODS[name]()
    if hasattr(made, "autoencoder"):
        changes = {"autoencoder": AUTOENCODER, **changes}
    return made.replace(**changes)


def state(module):
    """A copy of all weights and buffers."""
    return copy.deepcopy(module.state_dict())


def same(one, other):
    """Whether two modules (or states) hold the same weights and buffers to the last bit."""
    one, other = (m if isinstance(m, dict) else m.state_dict() for m in (one, other))
    return one.keys() == other.keys() and all(torch.equal(value, other[name]) for name, value in one.items())


def move(module, amount, seed=0):
    """Add Gaussian noise to every parameter, as if it had been trained on."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter += amount * torch.randn(parameter.shape, generator=generator)


def trained(*given, watch=lambda step: None, **options):
    """The loop, taken to its end; `watch` is called with each step."""
    for step in train(*given, **options):
        watch(step)
