"""The network F, T, T_t: its sizes and seeds, what stays frozen, and how operators separate."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from messages import raises
from tiny import FEATURES, HIDDEN, move, noisy, same, small, state
from torch import nn

from ebll import InputError, Network, build_network
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


# Sizes and building.


def test_forward_is_head_of_operator_of_features():
    net, inputs = with_heads(), torch.randn(5, 12)
    for task, head in enumerate(net.heads):
        assert torch.equal(net(inputs, task), head(net.operator(net.features(inputs))))
    assert net(inputs, 0).shape == (5, 3)
    assert net(inputs, 1).shape == (5, 4)


@pytest.mark.parametrize(
    ("name", "shape", "features"),
    [("mlp", (1, 28, 28), 256), ("mlp", (12,), 256), ("cnn", (1, 28, 28), 1568), ("cnn", (3, 9, 14), 32 * 3 * 4)],
)
def test_built_in_nets_have_the_sizes_they_state(name, shape, features):
    net = build_network(name, shape)
    net.add_head(5)
    assert (net.feature_size, net.operator_size) == (features, 128)
    assert net.features(torch.randn(2, *shape)).shape == (2, features)
    assert net(torch.randn(2, *shape), 0).shape == (2, 5)


@given(
    st.lists(st.integers(1, 6), min_size=1, max_size=3),
    st.integers(1, 20),
    st.integers(1, 20),
    st.lists(st.integers(2, 6), min_size=1, max_size=4),
)
def test_any_pair_of_modules_and_any_number_of_heads(shape, features, hidden, classes):
    size = int(torch.Size(shape).numel())
    pair = nn.Sequential(nn.Flatten(), nn.Linear(size, features)), nn.Linear(features, hidden)
    net = with_heads(pair, shape, classes)
    assert (net.feature_size, net.operator_size) == (features, hidden)
    assert [net(torch.randn(3, *shape), t).shape for t in range(len(classes))] == [(3, c) for c in classes]


def test_features_of_an_image_are_flattened():
    net = build_network((nn.Conv2d(1, 2, 3), nn.Identity()), (1, 8, 8))
    assert net.feature_size == net.operator_size == 2 * 6 * 6


def test_weights_come_from_the_seed_alone_and_leave_the_global_generator_alone():
    before = torch.get_rng_state()
    one = build_network("mlp", (12,), seed=3)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(99)
    assert same(one, build_network("mlp", (12,), seed=3))
    assert not same(one, build_network("mlp", (12,), seed=4))


def test_a_pair_of_modules_keeps_its_weights_and_is_copied():
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


# Frozen and training_only.


def test_frozen_restores_modes_and_flags_even_after_an_error():
    net = with_heads(noisy)
    net.operator.eval()
    net.features[0][1].weight.requires_grad_(False)
    before = modes(net), flags(net)
    assert len(set(before[0])) == len(set(before[1])) == 2
    with frozen(net):
        assert not any(modes(net))
        assert not any(flags(net))
    assert (modes(net), flags(net)) == before
    with pytest.raises(RuntimeError, match="stop"), frozen(net):
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
    with training_only(net, net.heads[1]) as parameters:
        assert {id(p) for p in parameters} == {id(p) for p in net.heads[1].parameters()}
        assert [p.requires_grad for p in net.parameters()] == [
            any(p is q for q in parameters) for p in net.parameters()
        ]
        assert net.heads[1].training
        assert not any(modes(net.features) + modes(net.operator) + modes(net.heads[0]))
    assert flags(net) == before
    assert not any(modes(net))


def test_training_only_restores_the_flags_after_an_error():
    net = with_heads()
    with pytest.raises(RuntimeError, match="stop"), training_only(net, net.heads[0]):
        raise RuntimeError("stop")
    assert all(flags(net))
    assert not any(modes(net))


def test_frozen_statistics_do_not_move_in_train_mode_while_its_weights_and_dropout_still_do():
    net = with_heads(noisy)
    norm = net.features[0][2]
    net.train()
    net(torch.randn(16, 12), 0)
    assert norm.num_batches_tracked == 1
    net.freeze_statistics()
    kept = state(norm)
    net.train()
    assert net.features[0][4].training
    net(5 + torch.randn(16, 12), 0).sum().backward()
    with training_only(net, net):
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


# Separate operators.


def test_separate_operators_change_no_output():
    net, inputs = with_heads(heads=(3,)), torch.randn(7, 12)
    before = net(inputs, 0)
    assert not net.operators_are_separate
    net.separate_operators()
    assert net.operators_are_separate
    assert torch.equal(net(inputs, 0), before)
    kept = state(net)
    net.separate_operators()  # a second time changes nothing
    assert same(net, kept)


def test_separate_operators_share_nothing_above_the_features():
    net, inputs = with_heads(), torch.randn(7, 12)
    net.separate_operators()
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


def test_separating_needs_a_head():
    with raises(InputError, "separate_operators", "add_head(classes)"):
        build_network(small, (12,)).separate_operators()


# Bad input.


def test_an_unknown_net_names_the_near_one():
    with raises(InputError, "'mpl'", "Did you mean 'mlp'"):
        build_network("mpl", (12,))


@pytest.mark.parametrize("net", [None, 3, nn.Linear(12, 3), (nn.Linear(12, 3),), (nn.Linear(12, 3), "T")], ids=repr)
def test_a_net_of_another_kind_is_refused(net):
    with raises(InputError, "net", "'mlp'", "'cnn'", "Network", "load_backbone"):
        build_network(net, (12,))


@pytest.mark.parametrize("made", [None, nn.Linear(12, 3), [nn.Identity(), None]], ids=repr)
def test_a_function_that_returns_no_pair_of_modules_is_refused(made):
    with raises(InputError, "nn.Modules"):
        build_network(lambda shape: made, (12,))


@pytest.mark.parametrize(
    "features",
    [nn.Linear(11, 8), nn.Conv2d(1, 2, 3), nn.BatchNorm2d(1), nn.Sequential(nn.Linear(12, 4), nn.LSTM(4, 2))],
    ids=["Linear", "Conv2d", "BatchNorm2d", "tuple output"],
)
def test_a_net_that_does_not_take_the_inputs_is_refused_with_their_shape(features):
    with raises(InputError, "(12,)"):
        build_network((features, nn.Identity()), (12,))


def test_an_operator_must_return_one_row_a_sample():
    with raises(InputError, "`operator`", "(batch, size)", "(1, 3, 4)"):
        build_network((nn.Flatten(), nn.Unflatten(1, (3, 4))), (12,))


@pytest.mark.parametrize("operator", [nn.LSTM(12, 4), nn.GRU(12, 4)], ids=["LSTM", "GRU"])
def test_an_operator_that_returns_no_tensor_is_refused(operator):
    with raises(InputError, "`operator`", "(batch, size)", "tuple"):
        build_network((nn.Flatten(), operator), (12,))


def test_an_operator_that_changes_the_features_in_place_is_refused():
    class Hasty(nn.Module):
        def forward(self, features):
            return nn.functional.relu_(features)

    with raises(InputError, "`operator`"):
        build_network((nn.Linear(12, 8), Hasty()), (12,))


def test_features_that_would_change_the_data_are_refused_and_in_place_layers_of_theirs_mended():
    class Hasty(nn.Module):
        def forward(self, inputs):
            return inputs.sub_(1)

    with raises(InputError, "`features`"):
        build_network((Hasty(), nn.Identity()), (12,))
    net = build_network((nn.Sequential(nn.ReLU(inplace=True), nn.Linear(12, 8)), nn.Identity()), (12,))
    inputs = torch.randn(5, 12)
    kept = inputs.clone()
    net.features(inputs)
    assert torch.equal(inputs, kept)


@pytest.mark.parametrize("layers", [[nn.ReLU(inplace=True)], [nn.Dropout(0.5, inplace=True), nn.ELU(inplace=True)]])
def test_in_place_layers_of_an_operator_leave_the_features_alone(layers):
    net = with_heads((nn.Linear(12, FEATURES), nn.Sequential(*layers, nn.Linear(FEATURES, HIDDEN)))).train()
    features = net.features(torch.randn(5, 12)).detach()
    kept = features.clone()
    assert net.operator(features).shape == (5, HIDDEN)
    assert (kept < 0).any()
    assert torch.equal(features, kept)


def test_the_cnn_wants_images():
    with raises(InputError, "'cnn'"):
        build_network("cnn", (12,))


@pytest.mark.parametrize("classes", [1, 0, 2.0, "3"], ids=repr)
def test_a_head_needs_two_classes(classes):
    with raises(InputError, "classes", "at least 2"):
        build_network(small, (12,)).add_head(classes)


def test_a_network_of_another_size_or_with_heads_is_refused_with_the_way_out():
    made = build_network("mlp", (1, 28, 28))
    with raises(InputError, "(1, 28, 28)", "(3, 32, 32)"):
        build_network(made, (3, 32, 32))
    made.add_head(3)
    with raises(InputError, "no heads", 1):
        build_network(made, (1, 28, 28))


def test_the_name_of_a_pretrained_net_is_refused_with_the_way_to_it():
    with raises(InputError, "'resnet18'", "ebll.paper.load_backbone(name).network()"):
        build_network("resnet18", (3, 224, 224))
