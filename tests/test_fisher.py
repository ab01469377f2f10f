"""The Fisher diagonal (E7) against a loop written here, numbers by hand, and what must not be mistaken for it."""

import pytest
import torch
from hypothesis import given, settings, strategies as st
from tiny import small
from torch import nn

import ebll.fisher
from ebll import build_network
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
    """A linear layer that is used twice; or two that own one weight."""

    def __init__(self, tied=False):
        super().__init__()
        self.one, self.top = nn.Linear(8, 8), nn.Linear(8, CLASSES)
        self.two = nn.Linear(8, 8) if tied else self.one
        self.two.weight = self.one.weight

    def forward(self, x):
        return self.top(torch.tanh(self.two(torch.tanh(self.one(x)))))


class ScaledConv(nn.Conv2d):
    """A convolution that does something else with its weight."""

    def forward(self, x):
        return self._conv_forward(x, self.weight / self.weight.norm(), self.bias)


def chain(*layers):
    return nn.Sequential(*layers, nn.Flatten(), nn.LazyLinear(CLASSES))


def image(*layers):
    return chain(nn.Unflatten(1, (2, 4, 4)), *layers, nn.Tanh())


QUICK = {  # what the closed form must cover: name -> (inputs, network)
    "linear": (8, lambda: nn.Linear(8, CLASSES)),
    "mlp": (8, lambda: chain(nn.Linear(8, 6), nn.ReLU(inplace=True), nn.Linear(6, 5, bias=False), nn.Tanh())),
    "dropout": (8, lambda: chain(nn.Linear(8, 6), nn.Dropout(0.5), nn.ReLU())),
    "branches": (8, Branches),
    "cnn": (32, lambda: image(nn.Conv2d(2, 3, 3, padding=1), nn.ReLU(inplace=True), nn.Conv2d(3, 2, 2, dilation=2))),
    "uneven": (32, lambda: image(nn.Conv2d(2, 3, (1, 3), stride=(2, 1), padding=(0, 2), bias=False), nn.MaxPool2d(2))),
}
SLOW = {  # what it does not cover, and must notice
    "batch norm": (8, lambda: chain(nn.Linear(8, 6), nn.BatchNorm1d(6), nn.Tanh())),
    "layer used twice": (8, Twice),
    "tied weights": (8, lambda: Twice(tied=True)),
    "tokens": (8, lambda: chain(nn.Unflatten(1, (2, 4)), nn.Linear(4, 5), nn.Tanh())),
    "spectral norm": (8, lambda: chain(nn.utils.spectral_norm(nn.Linear(8, 6)))),
    "conv subclass": (32, lambda: image(ScaledConv(2, 3, 3))),
    "grouped conv": (32, lambda: image(nn.Conv2d(2, 4, 3, groups=2))),
    "padding by name": (32, lambda: image(nn.Conv2d(2, 3, 3, padding="same"))),
    "reflecting": (32, lambda: image(nn.Conv2d(2, 3, 3, padding=1, padding_mode="reflect"))),
    "one-dimensional": (8, lambda: chain(nn.Unflatten(1, (2, 4)), nn.Conv1d(2, 2, 2))),
}
EITHER = {**QUICK, **SLOW}


close = torch.testing.assert_close


def made(name, count=11):
    """Network in double precision, its parameters, inputs and labels."""
    torch.manual_seed(7)
    size, build = EITHER[name]
    inputs = torch.randn(count, size, dtype=torch.float64)
    network = build().double()
    network.eval()
    network(inputs[:2])  # makes the lazy layers
    return network, list(network.parameters()), inputs, torch.randint(0, CLASSES, (count,))


def by_hand(network, parameters, inputs, weights=None):
    """Squares of one gradient a sample and class, weighted and averaged; plain `backward` calls, nothing of ebll's."""
    weights = network(inputs).softmax(dim=1).detach() if weights is None else weights
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


@pytest.mark.parametrize("name", EITHER)
def test_E7_exact_and_empirical_equal_one_sample_and_class_at_a_time(name):
    network, parameters, inputs, labels = made(name)
    for kind, weights in {"exact": None, "empirical": nn.functional.one_hot(labels, CLASSES)}.items():
        expected = by_hand(network, parameters, inputs, weights)
        assert sum(part.sum() for part in expected) > 0
        close(fisher_diagonal(network, network, parameters, inputs, labels, kind), expected)
        close(fisher_diagonal_loop(network, network, parameters, inputs, labels, kind), expected)


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


@pytest.mark.parametrize("name", ["mlp", "cnn", "batch norm"])
@pytest.mark.parametrize("kind", FISHER_KINDS)
def test_E7_does_not_depend_on_the_batch_size(name, kind):
    network, parameters, inputs, labels = made(name)
    whole = fisher_diagonal(network, network, parameters, inputs, labels, kind, seed=3)
    for size in (1, 4, 11, 100):
        close(fisher_diagonal(network, network, parameters, inputs, labels, kind, 3, batch_size=size), whole)


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
    close(fisher_diagonal(network, network, parameters, inputs, (labels + 1) % CLASSES, "sampled", seed=1), one)
    close(fisher_diagonal_loop(network, network, parameters, inputs, labels, "sampled", seed=1), one)
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
    close(measure(network, network, parameters, inputs, labels), expected)
    assert [part.training for part in network.modules()] == modes
    assert [parameter.requires_grad for parameter in parameters].count(False) == 1
    assert not network[0].bias.requires_grad
    assert all(torch.equal(value, kept[key]) for key, value in network.state_dict().items())
    assert all(parameter.grad is None for parameter in parameters)
    assert torch.equal(torch.get_rng_state(), random)
    assert not any(module._forward_hooks for module in network.modules())


@pytest.mark.parametrize("separate", [False, True])
@pytest.mark.parametrize("task", [0, 1])
def test_E7_of_a_network_with_heads(separate, task, monkeypatch):
    net = build_network(small, (12,), seed=1)
    net.add_head(CLASSES)
    if separate:
        net.separate_operators()
    net.add_head(CLASSES)
    net.double()
    inputs, parameters = torch.randn(12, 12).double(), list(net.parameters())
    found = fisher_diagonal(net, lambda x: net(x, task), parameters, inputs, torch.zeros(len(inputs)).long())
    forward = net.forward
    monkeypatch.setattr(net, "forward", lambda x: forward(x, task))
    close(found, by_hand(net, parameters, inputs))
    unused = {id(parameter) for parameter in net.heads[1 - task].parameters()}
    assert all((part == 0).all() for part, p in zip(found, parameters, strict=True) if id(p) in unused)


@settings(max_examples=25)
@given(st.integers(1, 9), st.integers(1, 5), st.integers(2, 5), st.integers(1, 9), st.integers(0, 2**31))
def test_E7_quick_equals_loop_for_any_sizes_and_any_of_the_parameters(size, hidden, classes, count, seed):
    torch.manual_seed(seed)
    network = nn.Sequential(nn.Linear(size, hidden), nn.Tanh(), nn.Linear(hidden, classes)).double()
    inputs, labels = torch.randn(count, size, dtype=torch.float64), torch.randint(0, classes, (count,))
    parameters = list(network.parameters())
    for kind in FISHER_KINDS:
        whole = fisher_diagonal_loop(network, network, parameters, inputs, labels, kind, seed)
        for some in (slice(None), slice(1, 3), slice(None, None, -1), slice(0, 0)):
            close(fisher_diagonal(network, network, parameters[some], inputs, labels, kind, seed), whole[some])
