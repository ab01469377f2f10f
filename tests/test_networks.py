"""The network F, T, T_t: its sizes and seeds, what stays frozen, and how operators separate."""

import contextlib

import pytest
import torch
from tiny import FEATURES, HIDDEN, move, noisy, same, small, state
from torch import nn

from ebll import Network, build_network
from ebll.networks import frozen, training_only


def with_heads(spec=small, shape=(12,), heads=(3, 4), seed=0):
    net = build_network(spec, shape, seed)
    for classes in heads:
        net.add_head(classes)
    return net


def modes(net):
    return [part.training for part in net.modules()]


def flags(net):
    return [parameter.requires_grad for parameter in net.parameters()]


def test_forward_is_head_of_operator_of_features():
    net, inputs = with_heads(), torch.randn(5, 12)
    for task, head in enumerate(net.heads):
        assert torch.equal(net(inputs, task), head(net.operator(net.features(inputs))))
    assert net(inputs, 0).shape == (5, 3)
    assert net(inputs, 1).shape == (5, 4)


@pytest.mark.parametrize(
    ("spec", "shape", "features", "hidden"),
    [
        ("mlp", (1, 28, 28), 256, 128),
        ("mlp", (12,), 256, 128),
        ("cnn", (1, 28, 28), 1568, 128),
        ("cnn", (3, 9, 14), 32 * 3 * 4, 128),
        (small, (3, 4), FEATURES, HIDDEN),
        ((nn.Conv2d(1, 2, 3), nn.Identity()), (1, 8, 8), 2 * 6 * 6, 2 * 6 * 6),  # features of an image are flattened
    ],
)
def test_nets_have_the_sizes_they_state(spec, shape, features, hidden):
    net = build_network(spec, shape)
    net.add_head(5)
    assert (net.feature_size, net.operator_size) == (features, hidden)
    assert net.features(torch.randn(2, *shape)).shape == (2, features)
    assert net(torch.randn(2, *shape), 0).shape == (2, 5)


def test_weights_come_from_the_seed_alone_or_from_the_pair_that_is_given_and_copied():
    before = torch.get_rng_state()
    one = build_network("mlp", (12,), seed=3)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(99)
    assert same(one, build_network("mlp", (12,), seed=3))
    assert not same(one, build_network("mlp", (12,), seed=4))
    pair = small((12,))
    kept = state(nn.ModuleList(pair))
    net = build_network(pair, (12,), seed=7)
    assert same(net.features[0], pair[0])
    assert same(net.operator, pair[1])
    move(net, 1.0)
    assert same(nn.ModuleList(pair), kept)


def test_probing_the_sizes_moves_no_statistics_and_keeps_the_modes():
    features, operator = noisy((12,))
    features[2].eval()
    kept, before = state(features), modes(features)
    net = Network(features, operator, (12,))
    assert same(features, kept)
    assert modes(features) == before
    assert net.operator.training


def test_frozen_restores_modes_and_flags_even_after_an_error():
    net = with_heads(noisy)
    net.operator.eval()
    net.features[0][1].weight.requires_grad_(False)
    before = modes(net), flags(net)
    assert len(set(before[0])) == len(set(before[1])) == 2
    with contextlib.suppress(RuntimeError), frozen(net):
        assert not any(modes(net))
        assert not any(flags(net))
        raise RuntimeError("stop")
    assert (modes(net), flags(net)) == before


def test_frozen_lets_gradients_through_to_what_comes_before():
    net, features = with_heads(), torch.randn(4, FEATURES, requires_grad=True)
    with frozen(net):
        net.heads[0](net.operator(features)).sum().backward()
    assert features.grad.abs().sum() > 0
    assert all(parameter.grad is None for parameter in net.parameters())


def test_training_only_trains_one_part_and_leaves_what_was_frozen_frozen():
    net = with_heads(noisy)
    net.features[0][1].weight.requires_grad_(False)  # a layer that its owner froze
    before = flags(net)
    with training_only(net, net) as parameters:
        assert {id(p) for p in parameters} == {id(p) for p in net.parameters()} - {id(net.features[0][1].weight)}
        assert flags(net) == before
        assert all(modes(net))
    with contextlib.suppress(RuntimeError), training_only(net, net.heads[1]) as parameters:
        assert {id(p) for p in parameters} == {id(p) for p in net.heads[1].parameters()}
        assert flags(net) == [any(p is q for q in parameters) for p in net.parameters()]
        assert net.heads[1].training
        assert not any(modes(net.features) + modes(net.operator) + modes(net.heads[0]))
        raise RuntimeError("stop")
    assert flags(net) == before
    assert not any(modes(net))


def test_frozen_statistics_do_not_move_in_train_mode_while_its_weights_and_dropout_still_do():
    net = with_heads(noisy)
    norm = net.features[0][2]
    net.train()
    net(torch.randn(16, 12), 0)
    assert norm.num_batches_tracked == 1
    net.freeze_statistics()
    kept = state(norm)
    for block in (contextlib.nullcontext(net.train()), training_only(net, net)):
        with block:
            assert net.features[0][4].training
            net(5 + torch.randn(16, 12), 0).sum().backward()
    assert norm.weight.grad is not None
    assert same(norm, kept)


def test_frozen_statistics_stay_frozen_in_a_head_that_is_trained_alone():
    net = with_heads(lambda shape: (nn.Linear(12, 8), nn.Sequential(nn.BatchNorm1d(8), nn.Dropout(0.3))), heads=(3,))
    net.separate_operators()
    net.add_head(4)
    net.freeze_statistics()
    with training_only(net, net.heads[1]):
        norm, dropout = net.heads[1][0]
        kept = state(norm)
        net(5 + torch.randn(16, 12), 1)
        assert dropout.training
        assert same(norm, kept)


def test_separate_operators_change_no_output_and_share_nothing_above_the_features():
    net, inputs = with_heads(), torch.randn(7, 12)
    before = net(inputs, 0)
    assert not net.operators_are_separate
    net.separate_operators()
    kept = state(net)
    net.separate_operators()  # a second time changes nothing
    assert same(net, kept)
    assert net.operators_are_separate
    assert torch.equal(net(inputs, 0), before)
    net(inputs, 1).sum().backward()
    assert all(parameter.grad is None for parameter in net.heads[0].parameters())
    assert all(parameter.grad.abs().sum() > 0 for parameter in net.heads[1].parameters())
    assert not list(net.operator.parameters())


def test_a_new_task_begins_with_a_copy_of_the_newest_operator():
    net = with_heads(heads=(3,))
    net.separate_operators()
    net.add_head(4)
    move(net.heads[1], 0.5)
    net.add_head(5)
    assert same(net.heads[2][0], net.heads[1][0])
    assert not same(net.heads[2][0], net.heads[0][0])
    assert net.heads[2][1].weight.shape == (5, HIDDEN)
    newest = state(net.heads[1])
    move(net.heads[2], 1.0)
    assert same(net.heads[1], newest)


@pytest.mark.parametrize("layers", [[nn.ReLU(inplace=True)], [nn.Dropout(0.5, inplace=True), nn.ELU(inplace=True)]])
def test_in_place_layers_leave_the_data_and_the_features_alone(layers):
    features = nn.Sequential(nn.ReLU(inplace=True), nn.Linear(12, FEATURES))
    net, inputs = (
        with_heads((features, nn.Sequential(*layers, nn.Linear(FEATURES, HIDDEN)))).train(),
        torch.randn(5, 12),
    )
    data = inputs.clone()
    features = net.features(inputs).detach()
    kept = features.clone()
    assert net.operator(features).shape == (5, HIDDEN)
    assert (kept < 0).any()
    assert torch.equal(features, kept)
    assert torch.equal(inputs, data)
