"""Pretrained nets cut into F, T and head: together they are the net, wherever it is cut."""

import math

import pytest
import torch
from backbone_rig import SIZE, SMALL, as_file, filled, leaves, one_state, parts_at, torchvision_net, whole
from messages import raises
from torch import nn
from torchvision import models
from torchvision.ops import StochasticDepth

from ebll.backbones import BACKBONES, load_backbone
from ebll.backbones.chains import LARGEST, _shapes, build_empty, chain_of, parameters, shapes
from ebll.backbones.cuts import _features, _operator, _set_chances
from ebll.errors import InputError
from ebll.networks import Network

pytestmark = pytest.mark.paper

every = pytest.mark.parametrize("name", BACKBONES)


# The list.


def test_the_papers_net_stands_first_with_the_papers_cut():
    first, *_ = BACKBONES.values()
    assert first.name == "alexnet"
    assert first.stages == ("conv1", "pool1", "conv2", "pool2", "conv3", "conv4", "conv5", "pool5", "fc6", "fc7")
    assert (first.cut, first.features, first.operator_stages) == ("pool5", 9216, ("fc6", "fc7"))
    assert shapes("alexnet")["pool5"] == (256, 6, 6)
    assert parameters("alexnet")["fc6"] == 9216 * 4096 + 4096


@every
def test_the_list_says_what_the_net_is(name):
    net, record = build_empty(name), BACKBONES[name]
    given = shapes(name)
    assert tuple(given) == record.stages
    assert math.prod(given[record.cut]) == record.features
    assert record.batch_norm == any(isinstance(part, nn.BatchNorm2d) for part in net.modules())
    assert record.weights.parameters == sum(p.numel() for p in net.parameters())
    head = chain_of(name, net).head
    assert sum(parameters(name).values()) + sum(p.numel() for p in head.parameters()) == record.weights.parameters


def test_what_is_said_of_the_weights_is_torchvisions_record():
    said, record = BACKBONES["resnet50"].weights, models.ResNet50_Weights.DEFAULT
    assert (said.url, said.parameters) == (record.url, record.meta["num_params"])
    assert said.top1 == record.meta["_metrics"]["ImageNet-1K"]["acc@1"]
    assert (said.mean, said.std) == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    assert said.source == "torchvision's IMAGENET1K_V2 (resnet50-11ad3fa6.pth)"


# The law: F, T and head are the net.


@every
def test_the_three_parts_together_are_the_net(name):
    net, images = filled(name), torch.randn(2, 3, SIZE, SIZE)
    record = BACKBONES[name]
    # VGG's layers of 4,096 take most of the time, and pool1 to pool4 say nothing that the next test does not.
    cuts = {record.stages[0], record.cut, *record.stages[-2:]} if name.startswith("vgg") else record.stages
    with torch.no_grad():
        wanted = net(images)
        assert wanted.std() > 1e-3 * wanted.abs().mean() > 0  # answers that tell images and classes apart
        for cut in cuts:
            features, operator, head = parts_at(name, net, cut)
            given = features(images)
            assert given.shape[1:] == shapes(name, SIZE)[cut]
            got = head(operator(given.flatten(1)))
            torch.testing.assert_close(got, wanted, msg=lambda text, cut=cut: f"{name}@{cut}: {text}")


@every
def test_every_cut_keeps_every_layer_and_their_order(name):
    net, given = build_empty(name), shapes(name)
    chain = chain_of(name, net)
    row = leaves(*(part for parts in chain.stages.values() for part in parts), *chain.before_head, chain.head)
    for cut in BACKBONES[name].stages:
        assert leaves(_features(chain, cut), _operator(chain, cut, given[cut]), chain.head) == row
    learning = {id(p) for layer in row for p in layer.parameters()}
    # ConvNeXt scales its blocks by parameters of the block itself.
    scales = {id(p) for key, p in net.named_parameters() if key.endswith("layer_scale")}
    assert learning | scales == {id(p) for p in net.parameters()}


@every
def test_the_smallest_image_that_a_net_takes_still_has_features(name):
    smallest = BACKBONES[name].weights.min_size
    given = shapes(name, smallest)
    assert min(min(shape) for shape in given.values()) >= 1
    with raises(InputError, "input_size", f"at least {smallest}", f"got {smallest - 1}", name):
        shapes(name, smallest - 1)


def test_the_largest_image_has_its_shapes():
    """AlexNet: (4096 + 4 - 11) // 4 + 1 positions of the first convolution; the adaptive pooling gives 6 x 6 of all."""
    given = shapes("alexnet", LARGEST)
    assert (given["conv1"], given["pool5"]) == ((64, 1023, 1023), (256, 6, 6))


@pytest.mark.parametrize(("name", "cut"), [("alexnet", "pool5"), ("resnet18", "layer2")])
def test_gradients_are_those_of_the_net(name, cut):
    net, images, labels = filled(name), torch.randn(2, 3, SIZE, SIZE), torch.tensor([7, 901])
    loss = nn.functional.cross_entropy
    wanted = torch.autograd.grad(loss(net(images), labels), list(net.parameters()))
    features, operator, head = parts_at(name, net, cut)
    got = torch.autograd.grad(loss(head(operator(features(images).flatten(1))), labels), list(net.parameters()))
    for one, other in zip(got, wanted, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize(("name", "size"), [("alexnet", 224), ("resnet18@layer3", 64), ("densenet121@dense2", 64)])
def test_a_network_is_made_of_it(name, size):
    cut = load_backbone(name, weights="none", input_size=size)
    images = torch.randn(2, 3, size, size)
    with torch.no_grad():
        wanted = whole(cut)(images)
        net = Network(cut.features, cut.operator, cut.input_shape).eval()
        assert net.feature_size == math.prod(shapes(cut.name, size)[cut.cut])
        torch.testing.assert_close(cut.head(net.operator(net.features(images))), wanted)
    assert net.operator_size == cut.head.in_features
    assert not any(getattr(part, "inplace", False) for part in net.modules())
    net.add_head(4)
    assert net(images, 0).shape == (2, 4)


# What is asked for.


def test_a_cut_is_part_of_the_name_or_stands_beside_it():
    for cut in (
        load_backbone("resnet18@layer3", weights="none", input_size=32),
        load_backbone("resnet18", "layer3", weights="none", input_size=32),
        load_backbone("resnet18@layer3", "layer3", weights="none", input_size=32),
    ):
        assert (cut.name, cut.cut, cut.input_shape) == ("resnet18", "layer3", (3, 32, 32))
        assert list(dict(cut.features.named_children())) == ["stem", "layer1", "layer2", "layer3"]
        assert list(dict(cut.operator.named_children())) == ["shape", "layer4", "pool"]
    usual = load_backbone("resnet18", weights="none")
    assert (usual.cut, usual.input_shape) == ("pool", (3, 224, 224))
    assert isinstance(usual.operator, nn.Identity)


@pytest.mark.parametrize(
    ("asked", "named"),
    [
        ({"name": "alexnte"}, ["Backbone", "'alexnte'", "Did you mean 'alexnet'"]),
        ({"name": "resnet18@layer33"}, ["Cut of resnet18", "'layer33'", "Did you mean 'layer3'"]),
        ({"name": "resnet18@"}, ["Cut of resnet18", "no ''"]),
        ({"name": "resnet18@layer3", "cut": "layer2"}, ["resnet18", "'layer3'", "'layer2'"]),
        ({"name": 18}, ["Backbone", "no 18"]),
        ({"name": "alexnet", "dropout": 1.0}, ["dropout", "at least 0", "at most 0.99", "got 1"]),
        ({"name": "alexnet", "input_size": 62}, ["input_size", "at least 63", "got 62"]),
        ({"name": "alexnet", "input_size": 224.0}, ["input_size", "at least 63", "got 224.0"]),
        ({"name": "alexnet", "weights": None}, ["weights", "'default'", "'none'", "got NoneType"]),
        ({"name": "alexnet", "weights": 3}, ["weights", "'default'", "'none'", "got int"]),
        ({"name": "alexnet", "weights": b"x"}, ["weights", "'default'", "'none'", "got bytes"]),
        ({"name": None}, ["Backbone", "no None"]),
        ({"name": ["alexnet"]}, ["Backbone", "no ['alexnet']"]),
        ({"name": "resnet18", "cut": 3}, ["Cut of resnet18", "no 3"]),
        ({"name": "resnet18@layer3", "cut": ["layer3"]}, ["Cut of resnet18", "no ['layer3']"]),
        ({"name": "alexnet", "dropout": "0.5"}, ["dropout", "at most 0.99", "got '0.5'"]),
        ({"name": "alexnet", "dropout": None}, ["dropout", "at most 0.99", "got None"]),
        ({"name": "alexnet", "input_size": None}, ["input_size", "at least 63", "got None"]),
        ({"name": "alexnet", "input_size": "224"}, ["input_size", "at least 63", "got '224'"]),
        ({"name": "alexnet", "input_size": 10**9}, ["input_size", "at most 4096", "got 1000000000"]),
        ({"name": "alexnet", "input_size": 4097}, ["input_size", "at least 63", "at most 4096", "got 4097"]),
    ],
)
def test_what_does_not_exist_is_refused(asked, named):
    with raises(InputError, *named):
        load_backbone(**{"weights": "none"} | asked)


def test_dropout_is_off_unless_asked_for(tmp_path):
    def rates(**asked):
        cut = load_backbone(SMALL, "last", weights=file, **asked)
        return [part.p for part in (*cut.features.modules(), *cut.operator.modules()) if isinstance(part, nn.Dropout)]

    file = as_file(tmp_path, one_state())
    assert rates() == []
    assert rates(dropout=0.5) == [0.5]
    chain = chain_of("alexnet", build_empty("alexnet"))
    assert [type(part).__name__ for part in chain.stages["fc6"]] == ["Flatten", "Dropout", "Linear", "ReLU"]
    assert [type(part).__name__ for part in chain.stages["fc7"]] == ["Dropout", "Linear", "ReLU"]
    assert chain.before_head == []


@pytest.mark.parametrize("rate", [0.0, 0.3])
def test_every_dropout_gets_the_rate(rate):
    net = build_empty("vgg16")
    _set_chances(net, rate)
    assert [part.p for part in net.modules() if isinstance(part, nn.Dropout)] == [rate, rate]


def test_the_heads_own_dropout_goes_to_the_operator():
    cut = load_backbone("mobilenet_v2", weights="none", dropout=0.5, input_size=32)
    (layer,) = leaves(cut.operator)
    assert isinstance(layer, nn.Dropout)
    assert layer.p == 0.5
    assert isinstance(load_backbone("mobilenet_v2", weights="none", input_size=32).operator, nn.Identity)


@pytest.mark.parametrize("name", ["efficientnet_b0", "convnext_tiny"])
def test_no_block_is_left_out_at_random(name):
    net = filled(name)
    assert any(part.p > 0 for part in net.modules() if isinstance(part, StochasticDepth))
    assert _set_chances(net, 0.0)
    net.train()
    for part in net.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.eval()
    images = torch.randn(2, 3, SIZE, SIZE)
    with torch.no_grad():
        torch.testing.assert_close(net(images), net.eval()(images))


def test_the_notes_say_what_is_particular_to_a_net(tmp_path):
    drawn = load_backbone(SMALL, weights="none")
    assert (drawn.keeps_statistics, drawn.weights_from) == (False, "random initialisation")
    assert drawn.note == "BatchNorm statistics are learned on the first task"
    path = as_file(tmp_path, one_state())
    read = load_backbone(SMALL, weights=path)
    assert (read.keeps_statistics, read.weights_from) == (True, f"the file {path}")
    assert read.note == "BatchNorm statistics stay as they were pretrained"
    assert (read.mean, read.std) == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    assert "no block is left out at random" in load_backbone("convnext_tiny", weights="none").note


def test_a_cut_net_gives_a_network_with_its_own_T_or_another_and_pretrained_statistics_frozen(tmp_path):
    state = one_state()
    cut = load_backbone(SMALL, weights=as_file(tmp_path, state), input_size=64)
    net, other = cut.network(), cut.network(nn.Sequential(nn.Linear(cut.feature_size, 7), nn.ReLU()))
    assert (net.statistics_frozen, net.feature_size) == (True, cut.feature_size)
    assert (other.statistics_frozen, other.feature_size, other.operator_size) == (True, cut.feature_size, 7)
    images = torch.randn(2, *cut.input_shape)
    with torch.no_grad():
        logits = cut.head(net.eval().operator(net.features(images)))
        torch.testing.assert_close(logits, torchvision_net(state).eval()(images))
        assert torch.equal(other.eval().features(images), net.features(images))
    assert not load_backbone(SMALL, weights="none", input_size=64).network().statistics_frozen


# Weights at random.


def test_a_random_start_is_torchvisions_own_from_the_same_seed():
    _shapes.cache_clear()
    for _ in range(2):  # as well once the sizes are known and nothing is tried out any more
        torch.manual_seed(5)
        cut = load_backbone("regnet_y_400mf@block2", weights="none", input_size=48)
        after = torch.get_rng_state()
        torch.manual_seed(5)
        net = models.regnet_y_400mf()
        assert torch.equal(torch.get_rng_state(), after)
        for one, other in zip(
            (p for part in (cut.features, cut.operator, cut.head) for p in part.parameters()),
            net.parameters(),
            strict=True,
        ):
            assert torch.equal(one, other)
