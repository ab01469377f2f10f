"""E8 and E9, the penalties on layers: numbers by hand, exact cases, loops written here, and what low rank keeps."""

from functools import partial

import pytest
import torch
from hypothesis import given, strategies as st
from messages import raises
from tiny import FEATURES, HIDDEN, blobs, method, move, noisy, sequence, small
from torch import nn
from torch.testing import assert_close as close

import ebll.fisher
from ebll import InputError, build_network
from ebll.fisher import FISHER_KINDS, kronecker_factors, linear_layers, weight_matrix
from ebll.losses import kronecker_penalty, moment_root, quadratic_penalty
from ebll.methods.base import drawn_samples
from ebll.protocol import begin, run_sequence

CLASSES = 3
SEEDS = st.integers(0, 2**31)


def draw(seed, *sizes, samples=7):
    """Weights that have moved and the two factors of a layer, second moments of random vectors, in double precision."""
    generator = torch.Generator().manual_seed(seed)
    out, given = sizes
    moved, inputs, outputs = (
        torch.randn(shape, generator=generator, dtype=torch.double)
        for shape in ((out, given), (samples, given), (samples, out))
    )
    return moved, inputs.T @ inputs / samples, outputs.T @ outputs / samples


def test_E8_by_hand():
    moved = torch.tensor([[1.0, 2.0], [0.0, 1.0]])
    root = torch.tensor([[1.0], [1.0]])  # A: every entry 1
    outputs = torch.tensor([[2.0, 0.0], [0.0, 4.0]])
    # dW R = (3, 1); 1/2 * (2 * 9 + 4 * 1)
    assert kronecker_penalty(moved @ root, outputs).item() == 11.0
    assert kronecker_penalty(moved @ root).item() == 5.0
    assert kronecker_penalty(moved).item() == 3.0


@given(SEEDS)
def test_E8_is_the_trace_and_its_gradient_the_product_of_the_factors(seed):
    moved, inputs, outputs = draw(seed, 3, 5)
    moved.requires_grad_()
    value = kronecker_penalty(moved @ moment_root(inputs, 5), outputs)
    close(value, 0.5 * torch.trace(outputs @ moved @ inputs @ moved.T))
    close(torch.autograd.grad(value, moved)[0], outputs @ moved @ inputs)


@given(SEEDS)
def test_E8_without_factors_is_E6_with_equal_importances(seed):
    moved, *_ = draw(seed, 3, 5)
    anchor = torch.zeros_like(moved)
    close(kronecker_penalty(moved), quadratic_penalty([moved], [anchor], [torch.ones_like(moved)]).double())


@given(SEEDS, st.integers(1, 6))
def test_E8_of_low_rank_leaves_out_at_most_the_next_eigenvalue(seed, rank):
    moved, inputs, outputs = draw(seed, 3, 6)
    whole, part = (kronecker_penalty(moved @ moment_root(inputs, r), outputs) for r in (6, rank))
    following = [*torch.linalg.eigvalsh(inputs).flip(0).tolist(), 0.0][rank]
    most = 0.5 * following * torch.linalg.eigvalsh(outputs)[-1] * moved.square().sum()
    assert -1e-9 <= whole - part <= most + 1e-9
    if rank == 6:
        close(part, whole)


@given(SEEDS)
def test_E8_with_input_moments_is_the_change_of_the_old_loss_of_a_linear_layer(seed):
    """Squared loss at its minimum, where the gradient is zero: what the penalty says is then exact."""
    generator = torch.Generator().manual_seed(seed)
    inputs, answers = (torch.randn(20, n, generator=generator, dtype=torch.double) for n in (4, 3))
    inputs = torch.cat([inputs, torch.ones(20, 1, dtype=torch.double)], dim=1)
    best = torch.linalg.lstsq(inputs, answers).solution.T
    moved, *_ = draw(seed, 3, 5)

    def loss(weights):
        return 0.5 * (inputs @ weights.T - answers).square().sum(dim=1).mean()

    root = moment_root(inputs.T @ inputs / 20, 5)
    close(kronecker_penalty(moved @ root), loss(best + moved) - loss(best))


def network(features):
    torch.manual_seed(1)
    net = build_network((features, nn.Sequential(nn.Linear(6, 4), nn.Tanh())), (2, 4, 4)).double()
    net.add_head(CLASSES)
    return net.double().eval()


def normalised():
    """A batch norm after the first layer, with statistics of its own."""
    norm = nn.BatchNorm1d(6)
    nn.init.uniform_(norm.weight)
    nn.init.uniform_(norm.running_mean)
    nn.init.uniform_(norm.running_var)
    return nn.Sequential(nn.Flatten(), nn.Linear(32, 6), norm, nn.Tanh())


NETS = {
    "batch norm": normalised,
    "mlp": lambda: nn.Sequential(nn.Flatten(), nn.Linear(32, 6, bias=False), nn.ReLU()),
    "cnn": lambda: nn.Sequential(nn.Conv2d(2, 3, 3, stride=2, padding=1), nn.Tanh(), nn.Flatten(), nn.Linear(12, 6)),
}


def factors_of(net, inputs, labels, kind="exact", seed=0):
    return kronecker_factors(
        net, lambda x: net(x, 0), linear_layers(net.features, net.operator), inputs, labels, kind, seed
    )


def batch(count=9):
    generator = torch.Generator().manual_seed(2)
    inputs = torch.randn(count, 2, 4, 4, generator=generator, dtype=torch.double)
    return inputs, torch.randint(CLASSES, (count,), generator=generator)


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("kind", ["exact", "empirical"])
def test_E9_equals_a_loop_over_samples_and_labels(name, kind):
    """Written as the definition: each layer's output has a gradient a sample and label, taken one at a time."""
    net, (inputs, labels) = network(NETS[name]()), batch()
    layers = linear_layers(net.features, net.operator)
    wanted = [(torch.zeros_like(a), torch.zeros_like(g)) for a, g in zip(*factors_of(net, inputs, labels), strict=True)]
    for x, label in zip(inputs, labels, strict=True):
        seen = {}
        remember = partial(lambda seen, layer, given, output: seen.update({layer: (given[0], output)}), seen)
        hooks = [layer.register_forward_hook(remember) for layer in layers]
        log_p = net(x[None], 0).log_softmax(dim=1)[0]
        for hook in hooks:
            hook.remove()
        weights = log_p.exp().detach() if kind == "exact" else nn.functional.one_hot(label, CLASSES)
        for layer, (a, g) in zip(layers, wanted, strict=True):
            given, output = seen[layer]
            if isinstance(layer, nn.Conv2d):
                padded = nn.functional.pad(given, 4 * layer.padding[:1])[0]
                step, (height, width) = layer.stride[0], layer.kernel_size
                places = [(i, j) for i in range(output.shape[2]) for j in range(output.shape[3])]
                columns = [
                    padded[:, i * step : i * step + height, j * step : j * step + width].flatten() for i, j in places
                ]
            else:
                places, columns = [()], [given[0]]
            for column in columns:
                column = column if layer.bias is None else torch.cat([column, torch.ones(1, dtype=column.dtype)])
                a += torch.outer(column, column).detach() / len(inputs) / len(places)
            for y in range(CLASSES):
                gradient = torch.autograd.grad(log_p[y], output, retain_graph=True)[0][0]
                for place in places:
                    one = gradient[(slice(None), *place)]
                    g += weights[y] * torch.outer(one, one) / len(inputs)
    found = factors_of(net, inputs, labels, kind)
    for (a, g), found_a, found_g in zip(wanted, *found, strict=True):
        close(found_a, a)
        close(found_g, g)


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("kind", FISHER_KINDS)
def test_E9_over_several_batches_is_that_of_one(name, kind, monkeypatch):
    net, (inputs, labels) = network(NETS[name]()), batch()
    whole = factors_of(net, inputs, labels, kind)
    monkeypatch.setattr(ebll.fisher, "_VALUES", 4 * inputs[0].numel())
    for found, wanted in zip(factors_of(net, inputs, labels, kind), whole, strict=True):
        close(found, wanted)


@pytest.mark.parametrize("name", ["mlp", "batch norm"])
@pytest.mark.parametrize("kind", FISHER_KINDS)
def test_E9_of_one_sample_is_the_whole_fisher_information_of_each_linear_layer(kind, name):
    net, (inputs, labels) = network(NETS[name]()), batch(1)
    layers = linear_layers(net.features, net.operator)
    moments, outputs = factors_of(net, inputs, labels, kind, seed=3)
    log_p = net(inputs, 0).log_softmax(dim=1)[0]
    for layer, a, g in zip(layers, moments, outputs, strict=True):
        moved, *_ = draw(4, *weight_matrix(layer).shape)
        parts = [layer.weight] if layer.bias is None else [layer.weight, layer.bias]
        along = []
        for y in range(CLASSES):
            gradients = torch.autograd.grad(log_p[y], parts, retain_graph=True)
            gradient = torch.cat([part.flatten(1) if part.ndim > 1 else part[:, None] for part in gradients], dim=1)
            along.append((gradient * moved).sum().square())
        along = torch.stack(along)
        found = kronecker_penalty(moved @ moment_root(a, len(a)), g)
        if kind == "exact":
            close(found, 0.5 * (log_p.exp() * along).sum())
        elif kind == "empirical":
            close(found, 0.5 * along[labels[0]])
        else:  # one label, whichever was drawn
            assert min((found - 0.5 * value).abs() for value in along) < 1e-9


def test_E8_does_not_change_when_inputs_are_scaled_and_weights_take_it_back():
    net, (inputs, labels) = network(NETS["mlp"]()), batch()
    moments, outputs = factors_of(net, inputs, labels)
    moved, *_ = draw(5, *net.features[0][1].weight.shape)
    before = kronecker_penalty(moved @ moment_root(moments[0], 32), outputs[0])
    with torch.no_grad():
        net.features[0][1].weight /= 3
    moments, outputs = factors_of(net, 3 * inputs, labels)
    close(kronecker_penalty(moved / 3 @ moment_root(moments[0], 32), outputs[0]), before)


def test_E9_of_a_convolution_as_large_as_its_image_is_that_of_a_linear_layer():
    inputs, labels = batch()
    torch.manual_seed(6)
    conv, flat = nn.Conv2d(2, 6, 4), nn.Linear(32, 6)
    flat.weight.data, flat.bias.data = conv.weight.data.flatten(1), conv.bias.data
    nets = network(nn.Sequential(conv, nn.Flatten())), network(nn.Sequential(nn.Flatten(), flat))
    for found, wanted in zip(*(factors_of(net, inputs, labels) for net in nets), strict=True):
        close(found, wanted)


def test_weight_matrix_times_a_root_is_what_the_layer_answers_to_its_columns():
    layer = nn.Linear(4, 3)
    root = torch.randn(5, 2)
    close(weight_matrix(layer, root), weight_matrix(layer) @ root)
    plain = nn.Conv2d(1, 3, 2, bias=False)
    close(weight_matrix(plain, root[:4]), plain.weight.flatten(1) @ root[:4])


def convolving(input_shape):
    return NETS["cnn"](), nn.Sequential(nn.Linear(6, HIDDEN), nn.Tanh())


WORLDS = {  # network, tasks
    "small": (small, sequence(2)),
    "batch norm": (noisy, sequence(2)),
    "cnn": (convolving, [blobs(f"task{i}", i, shape=(2, 4, 4), classes=3 + i) for i in range(2)]),
}


def consolidated(ladder, net_function, tasks):
    """A network that moves before each task, the memory after the last one, and factors measured here task by task."""
    torch.manual_seed(3)  # of the heads
    net, memory, measured = build_network(net_function, tasks[0].input_shape), None, []
    net.freeze_statistics()
    layers = linear_layers(net.features, net.operator)
    for t, task in enumerate(tasks):
        net.add_head(task.class_count)
        move(net, 0.1, seed=t)
        memory = ladder.consolidate(net, t, task, memory, seed=7)
        some = drawn_samples(task, 512, 7, t)
        measured.append(kronecker_factors(net, partial(net, task=t), layers, some.inputs, some.labels))
    return net, layers, memory, measured


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("name", ["l2", "input-moments", "kfac"])
def test_factors_add_up_over_tasks_and_the_penalty_begins_at_the_newest_weights(name, world):
    """A is their sum and G their mean, at full rank; L2 is the case of neither."""
    ladder = method(name) if name == "l2" else method(name, rank=1000)
    net, layers, memory, measured = consolidated(ladder, *WORLDS[world])
    assert ladder.penalty(net, memory).item() == 0
    old, wanted = [weight_matrix(layer).clone() for layer in layers], 0
    move(net, 0.1)
    for i, layer in enumerate(layers):
        moved = weight_matrix(layer) - old[i]
        a, g = sum(moments[i] for moments, _ in measured), sum(outputs[i] for _, outputs in measured) / len(measured)
        a = a if name != "l2" else torch.eye(len(a))
        g = g if name == "kfac" else torch.eye(len(g))
        wanted += 0.5 * torch.trace(g @ moved @ a @ moved.T)
    close(ladder.penalty(net, memory), wanted)
    again = type(memory).from_tensors(memory.tensors(), {})
    close(ladder.penalty(net, again), ladder.penalty(net, memory), rtol=0, atol=0)


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("name", ["input-moments", "kfac"])
def test_low_rank_is_cut_after_each_task_and_holds_no_more_than_full_rank(name, world):
    rank, ladder = 3, method(name, rank=3)
    net, layers, memory, measured = consolidated(ladder, *WORLDS[world])
    for i, layer in enumerate(layers):
        kept = torch.zeros(())
        for moments, _ in measured:
            u, s, v = torch.linalg.svd(moments[i] + kept)
            kept = u[:, :rank] * s[:rank] @ v[:rank]
        close(memory.roots[i] @ memory.roots[i].T, kept, rtol=1e-4, atol=1e-5)
        close(memory.before[i], weight_matrix(layer) @ memory.roots[i])
    *_, whole = consolidated(ladder.replace(rank=1000), *WORLDS[world])[:3]
    move(net, 0.1)
    assert 0 < ladder.penalty(net, memory) < ladder.penalty(net, whole)


def test_bytes_of_a_memory_by_hand():
    """Layers of 8 x 13 and 6 x 9 with their biases, in numbers of four bytes."""
    assert [FEATURES, HIDDEN] == [8, 6]
    kept = {"l2": 8 * 13 + 6 * 9, "input-moments": (8 + 13 + 6 + 9) * 3, "kfac": (8 + 13 + 6 + 9) * 3 + 64 + 36}
    for name, numbers in kept.items():
        ladder = method(name) if name == "l2" else method(name, rank=3)
        assert consolidated(ladder, *WORLDS["small"])[2].bytes() == 4 * numbers


class Tokens(nn.Module):
    """What E8 is not written for: attention, and a linear layer on tokens."""

    def __init__(self):
        super().__init__()
        self.attention = nn.TransformerEncoderLayer(4, 2, 5, dropout=0.0, batch_first=True)
        self.top = nn.Linear(4, 2)

    def forward(self, x):
        return self.top(self.attention(x.unflatten(1, (3, 4)))).flatten(1)


def test_L2_holds_every_weight_but_those_of_normalisation_layers_whatever_the_network():
    tasks, l2 = sequence(2), method("l2")
    run = run_sequence(tasks, l2, net=(Tokens(), nn.Identity()))
    wanted = 0
    for name, parameter in run.net.features.named_parameters():
        with torch.no_grad():
            parameter += 0.5
        wanted += 0.0 if "norm" in name else 0.5 * 0.5**2 * parameter.numel()
    assert any("norm" in name for name, _ in run.net.features.named_parameters())
    close(l2.penalty(run.net, run.memory).item(), wanted)


class OnTokens(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 2)

    def forward(self, x):
        return self.layer(x.unflatten(1, (3, 4)))


def test_layers_used_as_E8_does_not_cover_are_refused_before_training():
    layer = nn.Linear(12, 12)
    for net, why in {
        (OnTokens(), nn.Identity()): "(1, 3, 4)",
        (layer, layer): "second",
    }.items():
        for name in ("input-moments", "kfac"):
            with raises(InputError, "once", why):
                begin(sequence(2), name, net=net)


def test_a_layer_in_two_places_is_one_layer():
    shared = nn.Linear(4, 4)
    assert linear_layers(nn.Sequential(shared, shared), nn.Sequential(shared, nn.Linear(4, 2)))[:-1] == [shared]


def test_E9_needs_a_sample():
    net, (inputs, labels) = network(NETS["mlp"]()), batch()
    with raises(InputError, "one sample"):
        factors_of(net, inputs[:0], labels[:0])


def test_networks_without_linear_or_plain_convolutional_layers_are_refused():
    with raises(InputError, "nn.Linear", "none"):
        linear_layers(nn.Sequential(nn.Flatten(), nn.ReLU()))
    with raises(InputError, "Conv1d"):
        linear_layers(nn.Conv1d(1, 1, 3))
    with raises(InputError, "Conv2d"):
        linear_layers(nn.Conv2d(2, 2, 3, groups=2))
