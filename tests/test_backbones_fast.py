"""Quicker ways to run a part of a net: the same numbers, names and gradients as without them, up to rounding."""

import copy
import pickle
import warnings

import pytest
import torch
from messages import raises, review
from tiny import trained
from torch import nn

from ebll.backbones import Fast, accelerated
from ebll.data import Task
from ebll.errors import InputError
from ebll.methods import METHODS
from ebll.networks import Network, frozen, training_only
from ebll.seeds import seeded
from ebll.training import TrainSettings

pytestmark = pytest.mark.paper

# The compiler's eager backend traces and guards as any other does, but makes no machine code.
WAYS = {
    "channels last": {"channels_last": True},
    "compiled": {"compile": True, "backend": "eager"},
    "both": {"channels_last": True, "compile": True, "backend": "eager"},
    "bfloat16": {"precision": "bfloat16"},
    "all three": {"precision": "bfloat16", "channels_last": True, "compile": True, "backend": "eager"},
}
each_way = pytest.mark.parametrize("way", WAYS)


@pytest.fixture(autouse=True)
def compiler():
    torch.compiler.reset()


def net():
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 6, 3), nn.Dropout(0.0), nn.ReLU()
    )


def images(batch=4):
    return torch.randn(batch, 3, 13, 11)


def close(got, wanted, way):
    """Equal to 1e-5, or in bfloat16 to 2 % of the largest value."""
    if "bfloat16" in WAYS[way].values():
        assert (got - wanted).abs().max() <= 2e-2 * wanted.abs().max()
        assert not torch.equal(got, wanted)
    else:
        torch.testing.assert_close(got, wanted, rtol=1e-5, atol=1e-5)


def counting():
    """A backend that notes how often it compiles, and how often what it made is run."""
    counts = {"compiled": 0, "run": 0}

    def backend(graph, examples):
        counts["compiled"] += 1

        def call(*arguments):
            counts["run"] += 1
            return graph.forward(*arguments)

        return call

    return counts, backend


# The same numbers.


def test_nothing_asked_for_is_the_module_itself():
    module = net()
    assert accelerated(module) is module
    assert accelerated(module, precision="float32", channels_last=False, compile=False) is module
    nothing = nn.Identity()
    assert accelerated(nothing, precision="bfloat16", channels_last=True, compile=True) is nothing


@each_way
@pytest.mark.parametrize("training", [True, False])
def test_outputs_and_gradients_are_those_of_the_plain_module(way, training):
    plain, inputs = net().train(training), images().requires_grad_()
    fast = accelerated(copy.deepcopy(plain), **WAYS[way]).train(training)
    wanted, got = plain(inputs), fast(inputs)
    assert (got.dtype, got.is_contiguous()) == (torch.float32, True)
    close(got, wanted, way)
    weights = torch.randn_like(wanted)
    before = torch.autograd.grad((weights * wanted).sum(), [inputs, *plain.parameters()])
    after = torch.autograd.grad((weights * got).sum(), [inputs, *fast.parameters()])
    assert {one.dtype for one in after} == {torch.float32}
    whole = max(other.norm() for other in before)
    for one, other in zip(after, before, strict=True):
        # By norms, since a rounded value may pass a ReLU that the exact one does not. A bias in front of BatchNorm has
        # gradient 0 but for rounding, hence the share of the whole.
        rounding = 5e-2 if "bfloat16" in WAYS[way].values() else 1e-5
        assert (one - other).norm() <= rounding * max(other.norm(), 0.05 * whole)
    assert {p.dtype for p in fast.parameters()} == {torch.float32}
    torch.testing.assert_close(fast.inner[1].running_var, plain[1].running_var, rtol=2e-2, atol=1e-3)


def test_bfloat16_reaches_the_layers():
    seen = []
    module = net()
    module[3].register_forward_hook(lambda part, given, out: seen.append(out.dtype))
    accelerated(module, precision="bfloat16")(images())
    accelerated(module, channels_last=True)(images())
    assert seen == [torch.bfloat16, torch.float32]


def test_channels_last_reaches_the_layers_and_the_weights():
    module, seen = net(), []
    for part in (module[0], module[3]):
        part.register_forward_hook(lambda part, given, out: seen.append(given[0].stride()[1]))
    fast = accelerated(module, channels_last=True)
    fast(images())
    assert seen == [1, 1]  # neighbours in memory are the channels of one pixel
    assert fast.inner[3].weight.is_contiguous(memory_format=torch.channels_last)
    assert copy.deepcopy(fast).inner[3].weight.is_contiguous(memory_format=torch.channels_last)


def test_inputs_that_are_no_images_pass():
    module = nn.Sequential(nn.Unflatten(1, (3, 5, 5)), nn.Conv2d(3, 2, 3), nn.Flatten(), nn.Linear(18, 4))
    inputs = torch.randn(6, 75)
    wanted = module(inputs)
    got = accelerated(module, channels_last=True, compile=True, backend="eager")(inputs)
    torch.testing.assert_close(got, wanted)


# Compiling.


def test_it_compiles_at_the_first_batch_and_not_before():
    counts, backend = counting()
    fast = accelerated(net(), compile=True, backend=backend)
    assert counts["compiled"] == 0
    fast(images())
    fast(images())
    assert counts == {"compiled": 1, "run": 2}


def test_one_image_runs_as_it_is():
    counts, backend = counting()
    fast, plain = accelerated(net(), compile=True, backend=backend).eval(), net().eval()
    plain.load_state_dict(fast.state_dict())
    one = images(1)
    torch.testing.assert_close(fast(one), plain(one))
    assert counts["compiled"] == 0


def test_a_copy_computes_with_its_own_weights():
    counts, backend = counting()
    fast, inputs = accelerated(net(), compile=True, backend=backend).eval(), images()
    before = fast(inputs)
    copied = copy.deepcopy(fast)
    with torch.no_grad():
        for parameter in copied.parameters():
            parameter.mul_(2)
    plain = net().eval()
    plain.load_state_dict(copied.state_dict())
    torch.testing.assert_close(copied(inputs), plain(inputs))
    assert not torch.allclose(copied(inputs), before)
    torch.testing.assert_close(fast(inputs), before)
    assert counts["run"] == 4


def test_it_survives_being_sent_to_another_process():
    fast, inputs = accelerated(net(), compile=True, backend="eager", channels_last=True).eval(), images()
    wanted = fast(inputs)
    sent = pickle.loads(pickle.dumps(fast))
    torch.testing.assert_close(sent(inputs), wanted)


def test_every_part_is_compiled_in_all_its_states():
    # Torch would stop compiling after eight, all parts of all nets together.
    counts, backend = counting()
    calls = 0
    for activation in (nn.ReLU, nn.Tanh, nn.Sigmoid, nn.GELU):
        fast = accelerated(nn.Sequential(nn.Linear(4, 4), activation()), compile=True, backend=backend)
        for batch in (8, 5):
            for training in (True, False):
                fast.train(training).requires_grad_(training)
                with torch.set_grad_enabled(training):
                    fast(torch.randn(batch, 4))
                calls += 1
    assert counts["run"] == calls
    assert counts["compiled"] > 8


def test_where_compiling_fails_it_says_so_once_and_goes_on():
    def broken(graph, examples):
        raise RuntimeError("no compiler here\nand a long story")

    plain, inputs = net().eval(), images()
    fast = accelerated(copy.deepcopy(plain), compile=True, backend=broken).eval()
    with pytest.warns(RuntimeWarning) as told:
        got = fast(inputs)
    assert len(told) == 1
    review(str(told[0].message), "(RuntimeError: no compiler here)")
    torch.testing.assert_close(got, plain(inputs))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        torch.testing.assert_close(fast(inputs), plain(inputs))
        torch.testing.assert_close(copy.deepcopy(fast)(inputs), plain(inputs))


def test_an_input_that_does_not_fit_is_no_fault_of_the_compiler():
    counts, backend = counting()
    fast = accelerated(net(), compile=True, backend=backend)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(RuntimeError, match="channels"):
            fast(torch.randn(4, 5, 13, 11))
        fast(images())
    assert counts["run"] == 1


# As a part of a network.


def network(way=None, seed=0):
    torch.manual_seed(seed)
    features, operator = net(), nn.Sequential(nn.Linear(6 * 4 * 3, 7), nn.ReLU(inplace=True))
    if way:
        features, operator = accelerated(features, **WAYS[way]), accelerated(operator, **WAYS[way])
    made = Network(features, operator, (3, 13, 11))
    made.add_head(5)
    return made


@each_way
def test_it_is_a_part_of_a_network(way):
    plain, fast = network(), network(way)
    assert (fast.feature_size, fast.operator_size) == (plain.feature_size, plain.operator_size) == (72, 7)
    assert isinstance(fast.features[0], Fast)
    assert not any(getattr(part, "inplace", False) for part in fast.modules())
    fast.load_state_dict(plain.state_dict())
    inputs = images()
    close(fast.eval()(inputs, 0), plain.eval()(inputs, 0), way)
    close(copy.deepcopy(fast)(inputs, 0), plain(inputs, 0), way)


@each_way
def test_checkpoints_are_interchangeable(way):
    plain, fast = network(seed=1), network(way, seed=2)
    assert list(fast.state_dict()) == list(plain.state_dict())
    assert not torch.equal(fast.features[0].inner[0].weight, plain.features[0][0].weight)
    report = fast.load_state_dict(plain.state_dict())
    assert (report.missing_keys, report.unexpected_keys) == ([], [])
    for key, value in fast.state_dict().items():
        assert torch.equal(value, plain.state_dict()[key])
    other = network(seed=3)
    other.load_state_dict(fast.state_dict())
    assert torch.equal(other.features[0][0].weight, plain.features[0][0].weight)


@pytest.mark.parametrize("assign", [True, False])
def test_a_state_dict_goes_in_and_out_of_the_wrapper_alone(assign):
    one, other = net(), accelerated(net(), precision="bfloat16")
    other.load_state_dict(one.state_dict(), assign=assign)
    assert list(other.state_dict()) == list(one.state_dict())
    assert all(torch.equal(value, one.state_dict()[key]) for key, value in other.state_dict().items())


def test_names_that_are_not_the_modules_are_still_refused():
    fast, state = accelerated(net(), channels_last=True), net().state_dict()
    with pytest.raises(RuntimeError, match="Unexpected key"):
        fast.load_state_dict(state | {"9.weight": torch.zeros(1)})
    del state["3.bias"]
    with pytest.raises(RuntimeError, match="Missing key"):
        fast.load_state_dict(state)


class Nest(nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner
        self.weight = nn.Parameter(torch.randn(1))

    def forward(self, inputs):
        return self.weight * self.inner(inputs)


def test_a_module_with_parts_of_the_wrappers_own_name_keeps_them():
    one = Nest(Nest(nn.Linear(2, 2)))
    other = accelerated(Nest(Nest(nn.Linear(2, 2))), precision="bfloat16")
    other.load_state_dict(one.state_dict())
    assert (
        list(other.state_dict())
        == list(one.state_dict())
        == ["weight", "inner.weight", "inner.inner.weight", "inner.inner.bias"]
    )
    assert all(torch.equal(value, one.state_dict()[key]) for key, value in other.state_dict().items())


@each_way
def test_freezing_and_training_a_part_work_as_without_it(way):
    fast, inputs = network(way), images()
    with frozen(fast.features) as features:
        assert not features[0].inner[1].training
        assert not any(p.requires_grad for p in features.parameters())
        fast(inputs, 0).sum().backward()
    assert all(p.grad is None for p in fast.features.parameters())
    assert all(p.grad is not None for p in fast.heads.parameters())
    assert all(p.requires_grad for p in fast.parameters())
    with training_only(fast, fast.features) as trained:
        assert {id(p) for p in trained} == {id(p) for p in fast.features.parameters()}
        mean = fast.features[0].inner[1].running_mean.clone()
        fast(inputs, 0).sum().backward()
        assert not torch.equal(fast.features[0].inner[1].running_mean, mean)
    assert all(p.grad is not None for p in trained)
    fast.freeze_statistics()
    mean = fast.features[0].inner[1].running_mean.clone()
    fast.train()(inputs, 0)
    assert torch.equal(fast.features[0].inner[1].running_mean, mean)


@each_way
def test_a_step_of_training_changes_what_it_computes(way):
    fast, plain, inputs = network(way), network(), images()
    plain.load_state_dict(fast.state_dict())
    for one in (fast, plain):
        optimiser = torch.optim.SGD(one.parameters(), lr=0.1)
        before = one(inputs, 0)
        nn.functional.cross_entropy(before, torch.tensor([0, 1, 2, 3])).backward()
        optimiser.step()
        assert not torch.allclose(one(inputs, 0), before, atol=1e-3)
    close(fast.eval()(inputs, 0), plain.eval()(inputs, 0), way)


# What is refused.


def test_an_unknown_precision_is_refused():
    with raises(InputError, "Precision", "'bfloat'", "Did you mean 'bfloat16'"):
        accelerated(net(), precision="bfloat")


def test_what_is_no_module_is_refused():
    with raises(InputError, "accelerated", "nn.Module", "got function"):
        accelerated(lambda inputs: inputs, channels_last=True)


@pytest.mark.parametrize("parts", ["both", "features"])
def test_fisher_information_of_a_compiled_net_is_that_of_the_plain_one(parts):
    """Compiled code passes the layers by, whose inputs and outputs it is made of; T may have no weights of its own."""
    images = torch.randn(24, 3, 13, 11)
    task = Task.from_tensors("images", *[(images, torch.arange(24) % 3)] * 3)
    backends, found = {"aot": {"compile": True, "backend": "aot_eager"}, "plain": {}}, {}
    for name, how in backends.items():
        with seeded(0, "network"):
            operator = nn.Sequential(nn.Linear(16, 7), nn.ReLU()) if parts == "both" else nn.Sequential(nn.ReLU())
            features = nn.Sequential(nn.Conv2d(3, 6, 4, stride=2), nn.ReLU(), nn.Conv2d(6, 4, 2), nn.AvgPool2d((1, 2)))
            features.append(nn.Flatten())
            made = Network(accelerated(features, **how), accelerated(operator, **how), (3, 13, 11))
            made.add_head(3)
        finetuned = TrainSettings(epochs=1, warmup_epochs=0, batch_size=8)
        trained(made, METHODS["finetune"](), 0, {0: task}, settings=finetuned)
        found[name] = METHODS["ewc"](fisher="exact").consolidate(made, 0, task, None, 0).fisher
    assert all(value.sum() > 0 for value in found["plain"])
    for got, wanted in zip(found["aot"], found["plain"], strict=True):
        torch.testing.assert_close(got, wanted, rtol=1e-3, atol=1e-7)
