"""Whole nets, cut nets and files of weights, quick to make; shared by the tests of the pretrained nets."""

import math

import torch
from torch import nn
from torchvision import models

from ebll.backbones.chains import build_empty, chain_of, shapes
from ebll.backbones.cuts import _features, _operator

SMALL = "mobilenet_v3_small"  # the quickest net that has a T
SIZE = 64


def filled(name):
    """The whole net with weights that are quick to make: noise that repeats, scaled so that it neither dies nor grows.

    A pair of layers in the wrong order, or one left out, changes the answers as it would with any other weights.
    """
    net = build_empty(name).to_empty(device="cpu").eval()
    noise = torch.randn(100_003)
    with torch.no_grad():
        for i, (key, value) in enumerate(net.state_dict().items()):
            if not value.is_floating_point():
                value.zero_()
            elif key.endswith("running_var"):
                value.fill_(1 + i % 7 / 10)
            elif value.ndim < 2:
                value.copy_(0.1 * noise[i : i + value.numel()] + (1.0 if key.endswith("weight") else 0.0))
            else:
                size = value.numel()
                values = noise.roll(i).repeat(-(-size // len(noise)))[:size].view_as(value)
                value.copy_(values * math.sqrt(2 * len(value) / size))
    return net


def parts_at(name, net, cut, size=SIZE):
    chain = chain_of(name, net)
    return _features(chain, cut), _operator(chain, cut, shapes(name, size)[cut]), chain.head


def leaves(*modules):
    """The layers in order, without those that only change the shape."""
    found = [part for module in modules for part in module.modules() if not list(part.children())]
    return [part for part in found if not isinstance(part, nn.Flatten | nn.Unflatten | nn.Identity)]


def as_file(tmp_path, state, name="weights.pth"):
    torch.save(state, tmp_path / name)
    return tmp_path / name


def one_state(seed=3, classes=1000, name=SMALL):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return models.get_model(name, weights=None, num_classes=classes).state_dict()


def whole(cut):
    return nn.Sequential(cut.features, nn.Flatten(), cut.operator, cut.head).eval()


def same_answers(cut, net):
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(whole(cut)(images), net.eval()(images))


def torchvision_net(state, name=SMALL):
    classes = state[next(key for key in reversed(state) if key.endswith(".bias"))].numel()
    net = models.get_model(name, weights=None, num_classes=classes)
    net.load_state_dict(state)
    return net
