"""A step at paper scale reads nothing back from the device: on a GPU each such reading makes the processor wait."""

import copy
import dataclasses

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from benchmarks.paper_speed import noise_task
from ebll.methods import EncoderMemory
from ebll.networks import Network
from ebll.paper import PaperSettings, PhotoSettings
from ebll.paper.backbones import Fast
from ebll.seeds import generator
from ebll.training import batches_of

pytestmark = pytest.mark.paper

# What hands a number, or a size that depends on numbers, to Python.
WAITING = {"_local_scalar_dense", "nonzero", "is_nonzero", "equal", "item", "masked_select", "unique2", "_unique2"}


class Waits(TorchDispatchMode):
    """Notes the operations that make a GPU's user wait."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = function.overloadpacket.__name__
        indexed = name in ("index", "index_put_") and any(
            i is not None and i.dtype == torch.bool for i in args[1]
        )  # a boolean index is a nonzero in disguise
        if name in WAITING or indexed:
            self.seen.append(name)
        return function(*args, **(kwargs or {}))


SETTINGS = PaperSettings(photos=PhotoSettings(stored=20, size=16, augment="none"))


def network():
    torch.manual_seed(0)
    features = Fast(nn.Sequential(nn.Conv2d(3, 4, 3, stride=2), nn.ReLU()))
    net = Network(features, nn.Sequential(nn.Linear(4 * 49, 12), nn.ReLU()), (3, 16, 16))
    net.add_head(7)
    return net


@pytest.mark.parametrize("resampled", [False, True], ids=["fixed", "random"])
@pytest.mark.parametrize("name", ["finetune", "feature-extraction", "lwf", "ebll", "ebll-separate"])
@pytest.mark.parametrize("old", [1, 3])
def test_a_step_waits_for_nothing(name, resampled, old):
    net = network()
    method = SETTINGS.method(name, ("imagenet", "birds", "scenes", "flowers")[: old + 1])
    method.prepare(net)
    task = noise_task(SETTINGS.photos, 8)
    task = dataclasses.replace(task, train=dataclasses.replace(task.train, changing=resampled))
    for _ in range(old - 1):
        net.add_head(5)
    net.add_head(task.class_count)
    encoders = [EncoderMemory.from_tensors({"weight.0": torch.randn(6, net.feature_size), "bias.0": torch.zeros(6)}, {})
                for _ in range(old)]  # fmt: skip
    memory = EncoderMemory(tuple(kept.encoders[0] for kept in encoders), {})
    teacher = copy.deepcopy(net)

    def answers(inputs):
        return method.record_targets(teacher, old, inputs, memory)

    targets = answers if resampled else answers(task.train.inputs)
    stream = batches_of(task, old, targets, 4, generator(0, "batches"))
    parameters = list(method.trained_parts(net, old).parameters())
    optimizer = torch.optim.SGD(parameters, lr=1e-3, momentum=0.9, fused=True)
    next(stream)  # an epoch may be drawn and moved; its batches follow
    with Waits() as waits:
        terms = method.loss_terms(net, [next(stream)], memory)
        loss = sum(term.weighted() for term in terms.values())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert waits.seen == []


def test_the_watch_sees_what_waits():
    with Waits() as waits:
        values = torch.arange(4.0)
        values.sum().item()
        values[values > 1]
        torch.nonzero(values)
    assert waits.seen.count("_local_scalar_dense") == 1
    assert {"index", "nonzero"} <= set(waits.seen)
