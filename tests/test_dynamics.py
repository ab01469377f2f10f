"""Measures along the run (M12 to M18): numbers by hand, limits, and that measuring changes nothing of a run."""

import copy
import math
import pickle

import pytest
import torch
from hypothesis import given, strategies as st
from messages import raises
from tiny import FEATURES, HIDDEN, SETTINGS, method, move, same, sequence, small
from torch import nn

from ebll import InputError, TrainingDiverged, build_network, dynamics, metrics
from ebll.autoencoder import encoder_of
from ebll.losses import class_loss
from ebll.methods import Term
from ebll.networks import cnn, toy
from ebll.protocol import begin, complete, learn_first
from ebll.recording import measure_accuracy

TASKS = sequence(2)
SEEDS = st.integers(0, 2**31)


@pytest.fixture(scope="module")
def start():
    return learn_first(TASKS, net=small, settings=SETTINGS.replace(first_epochs=30))


def network(heads=1):
    torch.manual_seed(3)
    net = build_network(small, (12,))
    for task in TASKS[:heads]:
        net.add_head(task.class_count)
    return net


def random(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.double)


def test_M12_stability_gap_by_hand():
    lowest, depth = metrics.stability_gap([0.8, 0.6, 0.65, 0.75])
    assert (lowest, depth) == (0.6, pytest.approx(0.15))
    assert metrics.stability_gap([0.8, 0.7, 0.6])[1] == 0  # it only falls: forgotten, but no gap


def test_M13_norms_and_cosines_by_hand():
    found = dynamics.gradient_cosines(
        {"a": torch.tensor([3.0, 4.0]), "b": torch.tensor([-4.0, 3.0]), "c": torch.zeros(2)}
    )
    assert (found["norm_a"], found["norm_b"], found["cosine_a_b"]) == (5.0, 5.0, 0.0)
    assert math.isnan(found["cosine_a_c"])
    assert dynamics.gradient_cosines({"a": torch.ones(4), "b": -2 * torch.ones(4)})["cosine_a_b"] == pytest.approx(-1)


def test_M13_the_gradients_of_the_weighted_terms_add_up_to_that_of_the_loss():
    net, task = network(), TASKS[0]
    loss = class_loss(net(task.train.inputs, 0), task.train.labels)
    norm = sum(parameter.square().sum() for parameter in net.features.parameters())
    terms = {
        "task": Term(loss, 2.0),
        "penalty": Term(torch.stack([norm, 3 * norm]), 0.5),
        "constant": Term(torch.ones(())),
    }
    parameters = list(net.features.parameters())
    gradients = dynamics.term_gradients(terms, parameters)
    (2 * loss + 2 * norm).backward()
    whole = torch.cat([parameter.grad.flatten() for parameter in parameters])
    torch.testing.assert_close(sum(gradients.values()), whole)
    assert not gradients["constant"].any()


@pytest.mark.parametrize("name", ["ebll", "joint", "kfac"])
def test_measuring_changes_nothing_of_a_run(name, start):
    plain = complete(begin(TASKS, method(name), start=start), TASKS, SETTINGS)
    run = begin(TASKS, method(name), start=start)
    before, old = copy.deepcopy(start.net), TASKS[0].validation
    encoder = encoder_of(torch.randn(3, FEATURES), torch.zeros(3))
    measures = [
        dynamics.competition(old),
        dynamics.curvatures,
        dynamics.drift(before, encoder, {"old": old.inputs, "new": TASKS[1].validation.inputs}),
    ]
    table = dynamics.along(run, TASKS, SETTINGS, measures, every=3)
    assert same(run.net, plain.net)
    assert same(before, start.net)
    steps = table["step"].tolist()
    assert steps[0] == 0
    assert steps[-1] > steps[-2]
    assert set(steps[:-1]) == set(range(0, steps[-1], 3))
    assert table["code_old"].iloc[0] == 0  # nothing has moved yet
    assert table["norm_task"].iloc[:-1].gt(0).all()
    assert table["norm_task"].isna().iloc[-1]
    assert table["curvature_task"].iloc[:-1].gt(0).all()


def test_what_was_measured_before_a_run_diverged_is_kept(start):
    def read(step):
        return {"loss": step.terms["task"].raw.item()}

    settings = SETTINGS.replace(learning_rate=1e20, warmup_epochs=0)
    with pytest.raises(TrainingDiverged) as caught:
        dynamics.along(begin(TASKS, method("finetune"), start=start), TASKS, settings, [read], every=1)
    for error in (caught.value, pickle.loads(pickle.dumps(caught.value))):
        assert error.table["step"].tolist() == [*range(len(error.table))] != []
        assert error.table["loss"].map(math.isfinite).all()
        assert error.run.curves.equals(caught.value.run.curves)


def test_there_is_nothing_to_measure_beside_a_first_task():
    with raises(InputError, "one task"):
        dynamics.along(begin(TASKS[:1], "finetune"), TASKS[:1], SETTINGS, [])


def test_frozen_features_have_no_gradients_to_compare(start):
    table = dynamics.along(
        begin(TASKS, method("feature-extraction"), start=start),
        TASKS, SETTINGS, [dynamics.competition(TASKS[0].validation), dynamics.curvatures],
    )  # fmt: skip
    assert list(table) == ["training", "step"]


def test_M14_parts_of_the_drift_by_hand():
    """Three directions: the code sees the first, the head the first two."""
    now, before = torch.tensor([[1.0, 2.0, 3.0], [3.0, 0.0, 1.0]]), torch.zeros(2, 3)
    code, head = torch.tensor([[2.0, 0.0, 0.0]]), torch.tensor([[1.0, 1.0, 0.0], [5.0, 0.0, 0.0]])
    bases = metrics.row_basis(code), metrics.row_basis(torch.cat([code, head]))
    assert metrics.drift_parts(now, before, *bases) == pytest.approx((5.0, 2.0, 5.0))


@given(SEEDS, st.integers(1, 7))
def test_M14_parts_add_up_whatever_the_ranks(seed, rank):
    now, before = random(seed, 9, 8), random(seed + 1, 9, 8)
    code = random(seed + 2, 7, rank) @ random(seed + 3, rank, 8)
    both = torch.cat([code, random(seed + 4, 1, 8)])
    parts = metrics.drift_parts(now, before, metrics.row_basis(code), metrics.row_basis(both))
    projected = [(now - before) @ torch.linalg.pinv(rows, rtol=1e-9) @ rows for rows in (code, both)]
    coded, read = (part.square().sum(dim=1).mean().item() for part in projected)
    free = (now - before - projected[1]).square().sum(dim=1).mean().item()  # what is left, measured by itself
    assert parts == pytest.approx((coded, read - coded, free), abs=1e-6)


def test_M15_a_probe_finds_what_is_linear_and_nothing_in_noise():
    features, noise = random(0, 400, 6), random(1, 400, 6)
    labels = (features[:, 0] > 0).long() + 2 * (features[:, 1] > 0).long()  # a quadrant each
    assert dynamics.probe_accuracy(features[:300], labels[:300], features[300:], labels[300:]) > 0.9
    assert dynamics.probe_accuracy(noise[:300], labels[:300], noise[300:], labels[300:]) < 0.45
    with raises(InputError, "one class"):
        dynamics.probe_accuracy(features, torch.zeros(400, dtype=torch.long), features, labels)


def test_M15_features_of_any_scale_are_probed_alike_and_constant_ones_say_nothing():
    features = random(0, 90, 3)
    labels = (features[:, 0] > 0).long()
    plain = dynamics.probe_accuracy(features, labels, features, labels)
    assert dynamics.probe_accuracy(1e4 * features + 1e5, labels, 1e4 * features + 1e5, labels) == plain > 0.9
    with_constant = torch.cat([features, torch.full((90, 1), 0.1)], dim=1)
    assert dynamics.probe_accuracy(with_constant, labels, with_constant, labels) > 0.9
    constant, share = torch.full((90, 3), 0.1), labels.double().mean().item()
    found = dynamics.probe_accuracy(constant, labels, constant, labels)
    assert found == pytest.approx(max(share, 1 - share))


def test_M15_a_probe_regains_what_only_the_head_has_lost(start):
    net, task = copy.deepcopy(start.net), TASKS[0]
    nn.init.zeros_(net.heads[0].weight)
    last = f"layer {len(list(dynamics.representations(net, 0, task.train.inputs))) - 1}"
    assert measure_accuracy(net, 0, task.validation) < 0.5
    assert dynamics.probes(net, 0, task, [last])[last] >= measure_accuracy(start.net, 0, task.validation) > 0.8
    with raises(InputError, "features"):
        dynamics.probes(net, 0, task, ["layer 9"])


def test_representations_are_what_the_layers_are_given():
    net, inputs = network(), TASKS[0].train.inputs[:5]
    found = dynamics.representations(net, 0, inputs)
    assert [*found] == ["images", "features", "layer 2"]
    assert torch.equal(found["images"], inputs)
    assert torch.equal(found["features"], net.features(inputs))
    assert found["layer 2"].shape == (5, HIDDEN)
    torch.testing.assert_close(net.heads[0](found["layer 2"]), net(inputs, 0))
    net.separate_operators()
    again = dynamics.representations(net, 0, inputs)
    assert all(torch.equal(again[name], value) for name, value in found.items())
    plane = build_network(toy, (2,))
    plane.add_head(2)
    points = torch.randn(5, 2)
    read = dynamics.representations(plane, 0, points)
    assert [*read] == ["images", "layer 1", "features", "layer 3"]  # T begins with a tanh
    torch.testing.assert_close(read["features"], torch.tanh(plane.features(points)))
    grouped = build_network((nn.Conv2d(2, 2, 3, groups=2), nn.Sequential(nn.Flatten(), nn.Linear(72, 3))), (2, 8, 8))
    grouped.add_head(2)
    assert [*dynamics.representations(grouped, 0, torch.zeros(2, 2, 8, 8))] == ["images", "features", "layer 2"]
    bare = build_network((nn.Flatten(), nn.Identity()), (12,))
    bare.add_head(2)
    assert [*dynamics.representations(bare, 0, inputs)] == ["features"]  # what the head reads: the images themselves
    images = build_network(cnn, (1, 8, 8))
    images.add_head(2)
    assert [*dynamics.representations(images, 0, torch.zeros(2, 1, 8, 8))] == [
        "images",
        "layer 1",
        "features",
        "layer 3",
    ]


@given(SEEDS)
def test_M16_cka_is_blind_to_rotation_and_scale_and_equals_its_formula(seed):
    x, y = random(seed, 12, 4), random(seed + 1, 12, 6)
    turn = torch.linalg.qr(random(seed + 2, 4, 4)).Q
    assert metrics.cka(3 * x @ turn + 1, x) == pytest.approx(1)
    a, b = x - x.mean(0), y - y.mean(0)
    wanted = (b.T @ a).norm() ** 2 / ((a.T @ a).norm() * (b.T @ b).norm())
    assert metrics.cka(x, y) == pytest.approx(wanted.item())
    assert metrics.cka(x, y) == pytest.approx(metrics.cka(y, x))


@given(SEEDS)
def test_M17_a_plane_holds_the_three_ends_it_was_made_of(seed):
    ends = random(seed, 3, 10)
    axes = dynamics.plane_through(*ends)
    torch.testing.assert_close(axes @ axes.T, torch.eye(2, dtype=torch.double))
    places = (ends - ends[0]) @ axes.T
    torch.testing.assert_close(ends[0] + places @ axes, ends)
    assert places[0].abs().max() == 0
    assert abs(places[1, 1]) < 1e-9


def test_M17_losses_at_a_networks_own_weights_are_its_losses():
    net, other = network(2), network(2)
    move(other, 0.3)
    splits = {t: task.validation for t, task in enumerate(TASKS)}
    before = copy.deepcopy(net)
    found = dynamics.losses_at(net, torch.stack([dynamics.weights_of(one) for one in (net, other)]), splits)
    wanted = [[class_loss(one(s.inputs, t), s.labels).item() for t, s in splits.items()] for one in (net, other)]
    torch.testing.assert_close(found, torch.tensor(wanted))
    assert same(net, before)


def test_M17_the_landscape_holds_the_losses_of_the_three_ends():
    nets = [network(2) for _ in range(3)]
    for seed, net in enumerate(nets):
        move(net, 0.3, seed)
    start, *ends = (dynamics.weights_of(net) for net in nets)
    middle = 0.5 * (start + ends[0]) + 0.25 * ends[1]
    paths = {"joint": {0: start, 7: ends[0]}, "lwf": {0: start, 7: ends[1]}, "ewc": {0: start, 3: middle, 7: ends[0]}}
    old, new = (task.validation for task in TASKS)
    surface, places, lines = dynamics.landscape(nets[0], paths, ("joint", "lwf"), old, new, points=5)
    wanted = [
        class_loss(net(split.inputs, t), split.labels).item() for t, split in enumerate((old, new)) for net in nets
    ]
    own = [line[line["share"].isin([0, 1])] for _, line in lines.groupby("method", sort=False)]
    assert own[0]["old"].tolist() + own[1]["old"].tolist() == pytest.approx([wanted[i] for i in (0, 1, 0, 2)])
    assert own[0]["new"].tolist() + own[1]["new"].tolist() == pytest.approx([wanted[i] for i in (3, 4, 3, 5)])
    axes = dynamics.plane_through(start, *ends)
    assert places[places["method"] == "ewc"]["step"].tolist() == [0, 3, 7]
    assert places[["x", "y"]].to_numpy()[5].tolist() == pytest.approx(((middle - start) @ axes.T).tolist(), abs=1e-5)
    point = surface.iloc[8]  # any of the grid
    direct = dynamics.losses_at(nets[1], [start + point["x"] * axes[0] + point["y"] * axes[1]], {0: old, 1: new})
    assert direct[0].tolist() == pytest.approx(point[["old", "new"]].tolist(), rel=1e-4)
    assert len(surface) == 25


def test_M17_a_plane_needs_three_ends_of_one_structure():
    ends = random(0, 2, 10)
    with raises(InputError, "equal"):
        dynamics.plane_through(ends[0], ends[1], ends[1])
    with raises(InputError, "equal"):
        dynamics.plane_through(ends[0], ends[0], ends[1])
    with raises(InputError, "10", "11"):
        dynamics.plane_through(ends[0], ends[1], random(0, 11))


def test_M18_kl_divergence_by_hand():
    before, now = torch.tensor([[0.0, 0.0]]), torch.tensor([[math.log(3.0), 0.0]])
    assert metrics.kl_divergence(before, now) == pytest.approx(0.5 * math.log(0.5 / 0.75) + 0.5 * math.log(0.5 / 0.25))
    assert metrics.kl_divergence(now + 5, now) == pytest.approx(0, abs=1e-6)


def test_what_a_learner_sees_is_zero_where_nothing_moved_and_follows_the_features(start):
    encoder, inputs, now = (
        encoder_of(torch.randn(3, FEATURES), torch.zeros(3)),
        TASKS[1].train.inputs,
        copy.deepcopy(start.net),
    )
    assert not any(dynamics.learner_signals(start.net, now, encoder, inputs).values())
    move(now.heads, 0.5)
    found = dynamics.learner_signals(start.net, now, encoder, inputs)
    assert found["kl"] > 0
    assert found["code"] == found["features"] == found["weights"] == 0
    move(now.features, 0.5)
    found = dynamics.learner_signals(start.net, now, encoder, inputs)
    moved = [a - b for a, b in zip(now.features.parameters(), start.net.features.parameters(), strict=True)]
    assert found["weights"] == pytest.approx(math.sqrt(sum(part.square().sum().item() for part in moved)))
    assert found["features"] == metrics.feature_distance(now.features(inputs), start.net.features(inputs))
