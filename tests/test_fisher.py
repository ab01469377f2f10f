"""The Fisher diagonal (E7) against a loop written here, numbers by hand, and what must not be mistaken for it."""

import pytest
import torch
from hypothesis import given, settings, strategies as st
from messages import raises
from tiny import blobs, small
from torch import nn

import ebll.fisher
from ebll import InputError, build_network
from ebll.fisher import FISHER_KINDS, fisher_diagonal, fisher_diagonal_loop

CLASSES = 3


class Branches(nn.Module):
    """Two linear layers on the same input, an in-place activation between, a skip connection, and a layer left out."""

    def __init__(self):
        super().__init__()
        self.one, self.two, self.unused = nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 8)
        self.top = nn.Linear(8, CLASSES)

    def forward(self, x):
        return self.top(torch.relu_(self.one(x)) + self.two(x) + x)


class Twice(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer, self.top = nn.Linear(8, 8), nn.Linear(8, CLASSES)

    def forward(self, x):
        return self.top(torch.tanh(self.layer(torch.tanh(self.layer(x)))))


class Tied(nn.Module):
    """Two layers that own one weight."""

    def __init__(self):
        super().__init__()
        self.one, self.two, self.top = nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, CLASSES)
        self.two.weight = self.one.weight

    def forward(self, x):
        return self.top(torch.tanh(self.two(torch.tanh(self.one(x)))))


class Tokens(nn.Module):
    """A linear layer on each of two halves, side by side in one three-dimensional input."""

    def __init__(self):
        super().__init__()
        self.layer, self.top = nn.Linear(4, 5), nn.Linear(10, CLASSES)

    def forward(self, x):
        return self.top(torch.tanh(self.layer(x.view(-1, 2, 4))).flatten(1))


class ScaledConv(nn.Conv2d):
    """A convolution that does something else with its weight."""

    def forward(self, x):
        return self._conv_forward(x, self.weight / self.weight.norm(), self.bias)


def image(*layers):
    return nn.Sequential(nn.Unflatten(1, (2, 4, 4)), *layers, nn.Flatten(), nn.LazyLinear(CLASSES))


QUICK = {  # what the closed form must cover: name -> (inputs, network)
    "linear": (8, lambda: nn.Linear(8, CLASSES)),
    "mlp": (8, lambda: nn.Sequential(nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, CLASSES))),
    "no bias": (8, lambda: nn.Sequential(nn.Linear(8, 6, bias=False), nn.Tanh(), nn.Linear(6, CLASSES, bias=False))),
    "in place": (8, lambda: nn.Sequential(nn.Linear(8, 6), nn.ReLU(inplace=True), nn.Linear(6, CLASSES))),
    "dropout": (8, lambda: nn.Sequential(nn.Linear(8, 6), nn.Dropout(0.5), nn.ReLU(), nn.Linear(6, CLASSES))),
    "branches": (8, Branches),
    "cnn": (32, lambda: image(nn.Conv2d(2, 3, 3, padding=1), nn.ReLU(inplace=True), nn.Conv2d(3, 2, 2), nn.Tanh())),
    "strided": (32, lambda: image(nn.Conv2d(2, 3, 3, stride=2, padding=1), nn.ReLU(), nn.MaxPool2d(2))),
    "uneven": (32, lambda: image(nn.Conv2d(2, 3, (1, 3), stride=(2, 1), padding=(0, 2), bias=False), nn.Tanh())),
    "dilated": (32, lambda: image(nn.Conv2d(2, 3, 2, dilation=2), nn.Tanh())),
}
SLOW = {  # what it does not cover, and must notice
    "layer norm": (8, lambda: nn.Sequential(nn.Linear(8, 6), nn.LayerNorm(6), nn.Tanh(), nn.Linear(6, CLASSES))),
    "batch norm": (8, lambda: nn.Sequential(nn.Linear(8, 6), nn.BatchNorm1d(6), nn.Tanh(), nn.Linear(6, CLASSES))),
    "layer used twice": (8, Twice),
    "tied weights": (8, Tied),
    "tokens": (8, Tokens),
    "spectral norm": (8, lambda: nn.Sequential(nn.utils.spectral_norm(nn.Linear(8, 6)), nn.Linear(6, CLASSES))),
    "conv subclass": (32, lambda: image(ScaledConv(2, 3, 3), nn.Tanh())),
    "grouped conv": (32, lambda: image(nn.Conv2d(2, 4, 3, groups=2), nn.Tanh())),
    "padding by name": (32, lambda: image(nn.Conv2d(2, 3, 3, padding="same"), nn.Tanh())),
    "reflecting": (32, lambda: image(nn.Conv2d(2, 3, 3, padding=1, padding_mode="reflect"), nn.Tanh())),
    "one-dimensional": (
        8,
        lambda: nn.Sequential(nn.Unflatten(1, (2, 4)), nn.Conv1d(2, 2, 2), nn.Flatten(), nn.Linear(6, 3)),
    ),
}
EITHER = {**QUICK, **SLOW}


def made(name, count=11):
    """Network in double precision, its parameters, inputs and labels."""
    torch.manual_seed(7)
    size, build = EITHER[name]
    inputs = torch.randn(count, size, dtype=torch.float64)
    network = build().double()
    network.eval()
    network(inputs[:2])  # makes the lazy layers
    return network, list(network.parameters()), inputs, torch.randint(0, CLASSES, (count,))


def by_hand(network, parameters, inputs, weights):
    """Squares of one gradient a sample and class, weighted and averaged; plain `backward` calls, nothing of ebll's."""
    totals = [torch.zeros_like(parameter) for parameter in parameters]
    for sample, weight in zip(inputs, weights, strict=True):
        for label in range(CLASSES):
            network.zero_grad()
            torch.log_softmax(network(sample[None])[0], dim=0)[label].backward()
            for total, parameter in zip(totals, parameters, strict=True):
                if parameter.grad is not None:
                    total += weight[label] * parameter.grad.square() / len(inputs)
    network.zero_grad()
    return totals


def probabilities(network, inputs):
    with torch.no_grad():
        return network(inputs).softmax(dim=1)


def assert_same(found, expected):
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("name", EITHER)
def test_E7_exact_and_empirical_equal_one_sample_and_class_at_a_time(name):
    network, parameters, inputs, labels = made(name)
    weights = {"exact": probabilities(network, inputs), "empirical": nn.functional.one_hot(labels, CLASSES)}
    for kind, weight in weights.items():
        expected = by_hand(network, parameters, inputs, weight)
        assert sum(part.sum() for part in expected) > 0
        assert_same(fisher_diagonal(network, network, parameters, inputs, labels, kind), expected)
        assert_same(fisher_diagonal_loop(network, network, parameters, inputs, labels, kind), expected)


@pytest.mark.parametrize("name", QUICK)
def test_E7_linear_and_convolutional_layers_take_the_closed_form(name, monkeypatch):
    monkeypatch.setattr(ebll.fisher, "fisher_diagonal_loop", lambda *args: pytest.fail("fell back to the loop"))
    network, parameters, inputs, labels = made(name)
    fisher_diagonal(network, network, parameters, inputs, labels)


def test_E7_of_two_samples_with_numbers():
    """One weight vector a class, two classes, logits 0 and log 3: p = 1/4, 3/4, so p (1 - p) = 3/16 for both."""
    model = nn.Linear(1, 2, bias=False).double()
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[0.0], [torch.tensor(3.0).log()]]))
    inputs, labels = torch.tensor([[1.0], [-1.0]]).double(), torch.tensor([0, 0])
    (exact,) = fisher_diagonal(model, model, [model.weight], inputs, labels)
    assert exact.flatten().tolist() == pytest.approx([3 / 16, 3 / 16])
    # Label 0 has p = 1/4 for the first sample and 3/4 for the second: squares (3/4)^2 and (1/4)^2.
    (empirical,) = fisher_diagonal(model, model, [model.weight], inputs, labels, "empirical")
    assert empirical.flatten().tolist() == pytest.approx([(9 / 16 + 1 / 16) / 2] * 2)


@pytest.mark.parametrize("kind", FISHER_KINDS)
def test_E7_squares_per_sample_and_not_the_gradient_of_the_batch(kind):
    network, parameters, inputs, labels = made("mlp")
    found = fisher_diagonal(network, network, parameters, inputs, labels, kind)
    loss = nn.functional.cross_entropy(network(inputs), labels)
    slip = [gradient.square() for gradient in torch.autograd.grad(loss, parameters)]
    assert sum(part.sum() for part in found) > 2 * sum(part.sum() for part in slip)


@pytest.mark.parametrize("name", ["mlp", "cnn", "layer norm"])
@pytest.mark.parametrize("kind", FISHER_KINDS)
def test_E7_does_not_depend_on_the_batch_size(name, kind):
    network, parameters, inputs, labels = made(name)
    whole = fisher_diagonal(network, network, parameters, inputs, labels, kind, seed=3)
    for size in (1, 4, 11, 100):
        assert_same(fisher_diagonal(network, network, parameters, inputs, labels, kind, 3, batch_size=size), whole)


def test_E7_sampled_converges_to_exact():
    network, parameters, inputs, labels = made("mlp")
    exact = fisher_diagonal(network, network, parameters, inputs, labels)
    draws = [fisher_diagonal(network, network, parameters, inputs, labels, "sampled", seed) for seed in range(400)]
    assert not torch.allclose(draws[0][0], draws[1][0])

    def error(count):
        means = [torch.stack(parts).mean(dim=0) for parts in zip(*draws[:count], strict=True)]
        difference = sum((mean - part).square().sum() for mean, part in zip(means, exact, strict=True))
        return (difference / sum(part.square().sum() for part in exact)).sqrt().item()

    assert error(400) < 0.05
    assert error(400) < error(4) / 3  # falls with the square root of the number of draws


def test_E7_sampled_draws_labels_from_the_seed_and_the_network_not_from_the_data():
    network, parameters, inputs, labels = made("mlp")
    before = torch.get_rng_state()
    one = fisher_diagonal(network, network, parameters, inputs, labels, "sampled", seed=1)
    assert torch.equal(torch.get_rng_state(), before)
    assert_same(fisher_diagonal(network, network, parameters, inputs, (labels + 1) % CLASSES, "sampled", seed=1), one)
    assert_same(fisher_diagonal_loop(network, network, parameters, inputs, labels, "sampled", seed=1), one)
    other = fisher_diagonal(network, network, parameters, inputs, labels, "sampled", seed=2)
    assert not torch.allclose(one[0], other[0])


@pytest.mark.parametrize("name", ["dropout", "batch norm"])
@pytest.mark.parametrize("measure", [fisher_diagonal, fisher_diagonal_loop])
def test_E7_measures_in_eval_mode_and_puts_everything_back(name, measure):
    network, parameters, inputs, labels = made(name)
    expected = measure(network, network, parameters, inputs, labels)
    network.train()
    network[1].eval()
    network[0].bias.requires_grad_(False)
    kept = {key: value.clone() for key, value in network.state_dict().items()}
    modes = [part.training for part in network.modules()]
    random = torch.get_rng_state()
    assert_same(measure(network, network, parameters, inputs, labels), expected)
    assert [part.training for part in network.modules()] == modes
    assert [parameter.requires_grad for parameter in parameters].count(False) == 1
    assert not network[0].bias.requires_grad
    assert all(torch.equal(value, kept[key]) for key, value in network.state_dict().items())
    assert all(parameter.grad is None for parameter in parameters)
    assert torch.equal(torch.get_rng_state(), random)
    assert not any(module._forward_hooks for module in network.modules())


def test_E7_of_some_parameters_is_the_same_as_of_all():
    network, parameters, inputs, labels = made("mlp")
    everything = fisher_diagonal(network, network, parameters, inputs, labels)
    assert_same(fisher_diagonal(network, network, parameters[1:3], inputs, labels), everything[1:3])
    assert_same(fisher_diagonal(network, network, parameters[::-1], inputs, labels), everything[::-1])
    assert fisher_diagonal(network, network, [], inputs, labels) == []


@pytest.mark.parametrize("separate", [False, True])
@pytest.mark.parametrize("task", [0, 1])
def test_E7_of_a_network_with_heads(separate, task):
    net = build_network(small, (12,), seed=1)
    net.add_head(CLASSES)
    if separate:
        net.separate_operators()
    net.add_head(CLASSES)
    net.double()

    class Answer(nn.Module):
        """The network as `by_hand` takes one: its forward knows the task."""

        def __init__(self):
            super().__init__()
            self.net = net

        def forward(self, x):
            return self.net(x, task)

    inputs, parameters, answer = blobs("a", 1, count=12).train.inputs.double(), list(net.parameters()), Answer()
    found = fisher_diagonal(net, answer, parameters, inputs, torch.zeros(len(inputs)).long())
    assert_same(found, by_hand(answer, parameters, inputs, probabilities(answer, inputs)))
    unused = {id(parameter) for parameter in net.heads[1 - task].parameters()}
    assert all((part == 0).all() for part, p in zip(found, parameters, strict=True) if id(p) in unused)


@settings(max_examples=25)
@given(st.integers(1, 9), st.integers(1, 5), st.integers(2, 5), st.integers(1, 9), st.integers(0, 2**31))
def test_E7_quick_equals_loop_for_any_sizes(size, hidden, classes, count, seed):
    torch.manual_seed(seed)
    network = nn.Sequential(nn.Linear(size, hidden), nn.Tanh(), nn.Linear(hidden, classes)).double()
    inputs, labels = torch.randn(count, size, dtype=torch.float64), torch.randint(0, classes, (count,))
    for kind in FISHER_KINDS:
        arguments = network, network, list(network.parameters()), inputs, labels, kind, seed
        assert_same(fisher_diagonal(*arguments), fisher_diagonal_loop(*arguments))


def test_bad_input_is_refused():
    network, parameters, inputs, labels = made("linear")
    for either in (fisher_diagonal, fisher_diagonal_loop):
        with raises(InputError, "Fisher", "'exat'", "Did you mean 'exact'"):
            either(network, network, parameters, inputs, labels, "exat")
    with raises(InputError, "none"):
        fisher_diagonal(network, network, parameters, inputs[:0], labels[:0])
