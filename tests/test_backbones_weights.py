"""A pretrained net's weights: read from files in torchvision's layout, fetched once, refused where they do not fit."""

import os
import pickle
import re
import urllib.error

import pytest
import torch
from backbone_rig import SMALL, as_file, filled, one_state, same_answers, torchvision_net, whole
from messages import raises, review
from safetensors.torch import save_file
from torch import nn
from torchvision import models

from ebll.backbones import BACKBONES, load_backbone
from ebll.backbones.chains import build_empty
from ebll.backbones.weights import to_fetch
from ebll.errors import DataMissing, InputError

pytestmark = pytest.mark.paper

# Weights from a file.


@pytest.mark.parametrize("kind", ["plain", "state_dict", "model", "DataParallel", "ordered"])
def test_a_file_in_torchvisions_layout_is_read(tmp_path, kind):
    state = one_state()
    wrapped = {
        "plain": dict(state),
        "ordered": state,
        "state_dict": {"state_dict": state, "epoch": 90, "best": 55.1},
        "model": {"model": state, "optimizer": {"lr": 0.1}},
        "DataParallel": {"state_dict": {f"module.{key}": value for key, value in state.items()}},
    }[kind]
    before = torch.get_rng_state()
    cut = load_backbone(SMALL, weights=str(as_file(tmp_path, wrapped)), input_size=64)
    assert torch.equal(torch.get_rng_state(), before)
    same_answers(cut, torchvision_net(state))
    assert all(p.requires_grad and p.dtype == torch.float32 for p in whole(cut).parameters())


def test_safetensors_are_read(tmp_path):
    state = one_state()
    save_file(state, tmp_path / "net.safetensors")
    same_answers(load_backbone(SMALL, weights=tmp_path / "net.safetensors", input_size=64), torchvision_net(state))


def test_half_precision_becomes_single(tmp_path):
    stored = {key: value.half() for key, value in filled("alexnet").state_dict().items()}
    cut = load_backbone("alexnet", weights=as_file(tmp_path, stored))
    assert {p.dtype for p in whole(cut).parameters()} == {torch.float32}
    assert torch.equal(cut.head.weight, stored["classifier.6.weight"].float())
    assert torch.equal(cut.operator.fc6[1].weight, stored["classifier.1.weight"].float())
    assert cut.head.out_features == 1000


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_every_floating_type_becomes_single_in_statistics_too_and_counters_stay_whole(tmp_path, dtype):
    state = {key: v.to(dtype) if v.is_floating_point() else v.int() for key, v in one_state().items()}
    read = whole(load_backbone(SMALL, weights=as_file(tmp_path, state))).state_dict()
    assert {v.dtype for key, v in read.items() if not key.endswith("num_batches_tracked")} == {torch.float32}
    assert {v.dtype for key, v in read.items() if key.endswith("num_batches_tracked")} == {torch.int64}
    wanted = [v for v in state.values() if v.is_floating_point()]
    got = [v for v in read.values() if v.is_floating_point()]
    assert all(torch.equal(one, other.float()) for one, other in zip(got, wanted, strict=True))


def test_tensors_that_share_memory_in_the_file_get_their_own(tmp_path):
    """A bias spread from one number, and two statistics in one place; training writes into both."""
    state = dict(one_state())
    state["features.0.1.bias"] = torch.full((1,), 0.25).expand(16)
    state["features.0.1.weight"] = state["features.0.1.running_var"]
    norm = load_backbone(SMALL, weights=as_file(tmp_path, state)).features.stem[0][1]
    assert norm.bias.stride() == (1,)
    assert norm.bias.tolist() == [0.25] * 16
    with torch.no_grad():
        norm.bias[3] = 7.0
        norm.weight.fill_(5.0)
    assert norm.bias.tolist() == [0.25] * 3 + [7.0] + [0.25] * 12
    assert norm.running_var.tolist() == [1.0] * 16


def test_a_head_of_other_classes_is_kept(tmp_path):
    state = one_state(classes=7)
    cut = load_backbone(SMALL, weights=as_file(tmp_path, state), input_size=64)
    assert cut.head.out_features == 7
    same_answers(cut, torchvision_net(state))


def test_counters_that_older_files_lack_are_no_fault(tmp_path):
    state = one_state()
    old = {key: value for key, value in state.items() if not key.endswith("num_batches_tracked")}
    assert len(old) < len(state)
    same_answers(load_backbone(SMALL, weights=as_file(tmp_path, old), input_size=64), torchvision_net(state))


def test_the_published_densenets_older_names_are_understood(tmp_path):
    state = one_state(name="densenet121")
    old = {key.replace(".norm1.", ".norm.1.").replace(".conv2.", ".conv.2."): v for key, v in state.items()}
    assert "features.denseblock1.denselayer1.norm.1.weight" in old
    cut = load_backbone("densenet121", weights=as_file(tmp_path, old), input_size=64)
    same_answers(cut, torchvision_net(state, "densenet121"))


def test_a_file_of_another_net_is_refused_with_what_came(tmp_path):
    path = as_file(tmp_path, one_state(name="resnet18"))
    wanted = len(build_empty(SMALL).state_dict())
    lacking = f"{wanted} of {wanted}", "features.0.0.weight, features.0.1.weight, features.0.1.bias"
    with raises(InputError, path, "mobilenet_v3_small", *lacking, 122, "conv1.weight, bn1.weight, bn1.bias"):
        load_backbone(SMALL, weights=path)


def test_a_file_of_a_sibling_is_refused_by_its_shapes(tmp_path):
    state = one_state()
    state["features.0.0.weight"] = torch.zeros(16, 3, 5, 5)
    state["classifier.3.weight"] = torch.zeros(1000, 77)
    with raises(InputError, "mobilenet_v3_small", 2, "features.0.0.weight", "(16, 3, 3, 3)", "(16, 3, 5, 5)"):
        load_backbone(SMALL, weights=as_file(tmp_path, state))


STEM, HEAD, NORM = "features.0.0.weight", "classifier.3.weight", "features.0.1"


@pytest.mark.parametrize(
    ("key", "change", "named"),
    [
        (STEM, lambda v: v.long(), "int64"),
        (STEM, lambda v: v > 0, "bool"),
        (STEM, lambda v: torch.quantize_per_tensor(v, 0.1, 0, torch.qint8), "qint8"),
        (STEM, lambda v: v.cfloat(), "complex64"),
        (STEM, lambda v: v.to_sparse(), "sparse_coo"),
        (HEAD, lambda v: v.to_sparse_csr(), "sparse_csr"),
        (STEM, lambda v: v.to("meta"), "device meta"),
        (STEM, lambda v: v.index_fill(0, torch.tensor([2]), torch.nan), "27 of 432"),
        (f"{NORM}.bias", lambda v: v + torch.inf, "16 of 16"),
        (f"{NORM}.bias", lambda v: v.double() + 1e39, "16 of 16"),
        (f"{NORM}.running_var", lambda v: v - 1.5, "variance of -0.5"),
        (f"{NORM}.num_batches_tracked", lambda v: v > 0, "bool"),
    ],
)
@pytest.mark.filterwarnings("ignore:Sparse", "ignore:torch.quantize", "ignore:TypedStorage")
def test_a_tensor_that_nothing_can_be_learned_with_is_named_with_what_it_holds(tmp_path, key, change, named):
    state = one_state()
    path = as_file(tmp_path, state | {key: change(state[key])})
    with raises(InputError, path, SMALL, key, named, "torch.save(net.state_dict(), FILE)"):
        load_backbone(SMALL, weights=path)


def test_several_such_tensors_are_counted(tmp_path):
    state = {key: v / 0 if key.endswith("running_mean") else v for key, v in one_state().items()}
    with raises(InputError, f"{NORM}.running_mean", "16 of 16", "33 more", "features.1.block.0.1.running_mean"):
        load_backbone(SMALL, weights=as_file(tmp_path, state))


def test_a_file_of_another_net_is_refused_as_such_whatever_its_tensors_hold(tmp_path):
    state = {key: value.long() for key, value in one_state(name="resnet18").items()}
    with raises(InputError, "mobilenet_v3_small", "244 of 244"):
        load_backbone(SMALL, weights=as_file(tmp_path, state))


class Trap:
    """An object that runs code when it is unpickled."""

    def __reduce__(self):
        return os.system, ("exit 7",)


def write(path, kind):
    if kind == "text":
        path.write_text("no weights at all")
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "cut short":
        torch.save(one_state(), path)
        path.write_bytes(path.read_bytes()[:100_000])
    elif kind == "code":
        path.write_bytes(pickle.dumps({"conv1.weight": Trap()}, protocol=2))
    elif kind == "whole net":
        torch.save(nn.Linear(2, 2), path)
    elif kind == "tensor":
        torch.save(torch.zeros(2), path)
    elif kind == "nothing":
        torch.save({}, path)
    elif kind == "nested":
        torch.save({"conv1.weight": torch.nested.nested_tensor([torch.zeros(2), torch.zeros(3)])}, path)
    else:
        torch.save({"conv1.weight": torch.zeros(2), "epoch": 3}, path)


@pytest.mark.parametrize(
    ("kind", "named"),
    [
        ("tensor", ["state dict", "Tensor"]),
        ("nothing", ["state dict", "nothing"]),
        ("number", ["state dict", "epoch", "int"]),
        ("nested", ["state dict", "conv1.weight", "nested tensor"]),
    ],
)
@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
def test_what_is_no_file_of_weights_is_refused(tmp_path, kind, named):
    path = tmp_path / "weights.pth"
    write(path, kind)
    with raises(InputError, path, *named):
        load_backbone(SMALL, weights=path)


@pytest.mark.parametrize("kind", ["text", "empty", "cut short", "code", "whole net"])
def test_what_torch_cannot_read_is_refused_and_nothing_in_it_is_run(tmp_path, monkeypatch, kind):
    ran = []
    monkeypatch.setattr(os, "system", ran.append)
    path = tmp_path / "weights.pth"
    write(path, kind)
    with pytest.raises(InputError) as error:  # which names torch's error
        load_backbone(SMALL, weights=path)
    assert str(error.value).startswith(f"{path} cannot be read")
    assert "torch.save(net.state_dict(), FILE)" in str(error.value)
    assert "weights_only" not in str(error.value)  # torch's own advice would run what the file holds
    assert ran == []


def test_a_damaged_safetensors_is_refused(tmp_path):
    path = tmp_path / "net.safetensors"
    path.write_bytes(bytes(range(40)))
    with pytest.raises(InputError, match=r"net\.safetensors cannot be read"):  # then the words of safetensors
        load_backbone(SMALL, weights=path)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with raises(DataMissing, "defautl", "not there", "'default'", "'none'", ".safetensors", "alexnet"):
        load_backbone("alexnet", weights="defautl")
    with raises(DataMissing, tmp_path, "a folder"):
        load_backbone("alexnet", weights=tmp_path)
    with pytest.raises(DataMissing, match="x: it is not there"):
        load_backbone("alexnet", weights="x" * 5000)  # longer than a file's name may be


def test_the_home_of_nobody_is_refused():
    with raises(InputError, "no home", "'~nosuch/x'"):
        load_backbone("alexnet", weights="~nosuch/x")


# Weights from torchvision.


class Cache:
    """torch's cache, empty; a download is noted in `asked`, and fails with `fault` or leaves `state`."""

    def __init__(self, hub):
        self.folder, self.asked = hub / "checkpoints", []
        self.state, self.fault = None, urllib.error.URLError("no route to host")

    def download(self, url, file, hash_prefix=None, progress=True):
        self.asked.append((url, file, hash_prefix))
        if self.state is None:
            raise self.fault
        torch.save(self.state, file)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    made = Cache(tmp_path / "hub")
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    monkeypatch.setattr(torch.hub, "download_url_to_file", made.download)
    return made


@pytest.mark.parametrize(
    "fault", [urllib.error.URLError("no route to host"), RuntimeError('invalid hash value (expected "7be5be79")')]
)
def test_offline_the_error_says_where_the_file_is_and_where_it_goes(cache, fault):
    cache.fault = fault
    file = "alexnet-owt-7be5be79.pth"
    url, place = f"https://download.pytorch.org/models/{file}", cache.folder / file
    with raises(DataMissing, "alexnet", fault, url, place, f"--weights {file}"):
        load_backbone("alexnet")
    assert cache.asked == [(url, str(place), "7be5be79")]


def test_what_is_in_torchs_cache_is_not_fetched_again(cache):
    state = one_state()
    cache.folder.mkdir(parents=True)
    as_file(cache.folder, state, "mobilenet_v3_small-047dcff4.pth")
    cut = load_backbone(SMALL, input_size=64)
    same_answers(cut, torchvision_net(state))
    assert cache.asked == []
    assert cut.weights_from == "pretrained: torchvision's IMAGENET1K_V1 (mobilenet_v3_small-047dcff4.pth)"
    assert cut.keeps_statistics


def test_the_file_is_fetched_into_torchs_cache(cache):
    cache.state = state = one_state()
    same_answers(load_backbone(SMALL, input_size=64), torchvision_net(state))
    same_answers(load_backbone(SMALL, input_size=64), torchvision_net(state))
    assert len(cache.asked) == 1


def test_what_would_be_fetched_is_said_without_fetching_it(cache):
    url, place = "https://download.pytorch.org/models/resnet18-f37072fd.pth", cache.folder / "resnet18-f37072fd.pth"
    review(to_fetch("resnet18"), "45 MB", url, place, "--weights resnet18-f37072fd.pth")
    place.parent.mkdir(parents=True)
    place.touch()
    assert to_fetch("resnet18") == ""
    assert to_fetch("efficientnet_lite0") == ""  # a package brings it
    assert cache.asked == []


def test_a_damaged_file_in_the_cache_is_named(cache):
    cache.folder.mkdir(parents=True)
    place = cache.folder / "mobilenet_v3_small-047dcff4.pth"
    place.write_bytes(b"half of it")
    with pytest.raises(InputError, match=rf"^{re.escape(str(place))} .*damaged"):  # and torch's error by name
        load_backbone(SMALL)


@pytest.mark.parametrize("name", [n for n in BACKBONES if n != "efficientnet_lite0"])
def test_the_check_of_a_download_is_the_hash_in_its_name(cache, name):
    with pytest.raises(DataMissing):
        load_backbone(name)
    ((url, file, digest),) = cache.asked
    assert torch.hub.HASH_REGEX.search(file).group(1) == digest
    assert url == models.get_model_weights(name).DEFAULT.url
