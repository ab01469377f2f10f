"""What the submanifold explorer says, by hand: the autoencoder of EBLL, exact components, and E4 move by move."""

import copy
import dataclasses
import itertools
import types

import pandas as pd
import pytest
import torch
from messages import raises
from tiny import blobs, same, state
from widget_rig import first_learned

from ebll import InputError
from ebll.autoencoder import AutoencoderSettings, Encoder
from ebll.losses import code_distance
from ebll.methods.ebll import fit_to_task
from ebll.networks import build_network
from ebll.seeds import cpu_threads
from ebll.settings import USUAL
from ebll.widgets import SubmanifoldConfig, explore, exploring
from ebll.widgets.submanifold import DIRECTIONS, Explored, _features, hold

TASK = blobs("mine", 1, count=400, classes=5)
CONFIG = SubmanifoldConfig(task="mine", label=TASK.classes[2], code_size=3, seed=4)
EPOCHS = AutoencoderSettings().epochs
THREADS = USUAL.threads


def equal(one, other):
    """Whether two findings are the same to the last bit."""
    for name in ("config", "epoch", "epochs", "extent", "accuracy", "missed", "holds"):
        assert getattr(one, name) == getattr(other, name)
    assert torch.equal(one.others, other.others)
    assert torch.equal(one.field, other.field)
    pd.testing.assert_frame_equal(one.points, other.points, check_exact=True)


@pytest.fixture(scope="module")
def seen():
    with cpu_threads(THREADS):
        return [found for found in exploring(CONFIG, [TASK]) if isinstance(found, Explored)]


@pytest.fixture(scope="module")
def hand(seen):
    """By hand: network, fit, held-out features, and the components of the training features, in double precision."""
    net = first_learned(TASK, CONFIG.seed).net
    settings = AutoencoderSettings(code_size=CONFIG.code_size, recon_weight=CONFIG.recon_weight)
    with cpu_threads(THREADS):
        fit = fit_to_task(copy.deepcopy(net).requires_grad_(False), 0, TASK, settings, CONFIG.seed)
    train, held = (net.features(split.inputs).detach() for split in (TASK.train, TASK.validation))
    mean, mine = train.double().mean(dim=0), held[TASK.validation.labels == 2]
    directions = torch.linalg.svd(train.double() - mean, full_matrices=False).Vh
    shown = torch.tensor(seen[-1].points[["x", "y"]].to_numpy())
    signs = torch.sign(((mine - mean) @ directions[:2].T * shown).sum(dim=0))  # those that were shown
    plane = directions[:2] * signs[:, None]
    return types.SimpleNamespace(
        net=net, fit=fit, train=train, held=held, mine=mine, mean=mean, directions=directions, plane=plane
    )  # fmt: skip


# E4, move by move.


def test_E4_of_moves_along_directions_is_that_of_each_move_by_itself_and_0_where_the_encoder_does_not_see_it():
    encoder, features = Encoder(7, 3), torch.randn(5, 7)
    with torch.no_grad():
        encoder.weight[:, 6] = 0
        directions = torch.cat([3 * torch.linalg.qr(torch.randn(7, 4)).Q.T, torch.eye(7)[6:]])
        each = []
        for direction in directions:
            sides = (direction, -direction)
            moves = [code_distance(encoder(f[None] + d), encoder(f[None])).item() for f in features for d in sides]
            each.append(sum(moves) / len(moves))
    assert each[4] == 0 < min(each[:4])
    assert hold(encoder, features, directions).tolist() == pytest.approx(each, rel=1e-4)


# What is found.


def test_it_is_told_before_the_fit_and_after_each_epoch_but_not_while_the_task_is_learned_which_is_done_once(seen):
    assert [found.epoch for found in seen] == list(range(EPOCHS + 1))
    assert {(found.epochs, found.config) for found in seen} == {(EPOCHS, CONFIG)}
    assert len({found.missed["autoencoder"] for found in seen}) == len(seen)
    assert len({found.missed["pca"] for found in seen}) == 1
    equal(explore(CONFIG.line(), tasks=[TASK]), seen[-1])
    task = dataclasses.replace(TASK)  # nobody has learned it yet
    with cpu_threads(THREADS):
        found, other = (list(exploring(config, [task])) for config in (CONFIG, CONFIG.replace(code_size=5)))
    learning = len(found) - EPOCHS - 1
    assert learning > 0
    assert not any(isinstance(one, Explored) for one in found[:learning])
    assert all(isinstance(one, Explored) for one in other)
    for one, wanted in zip(found[learning:], seen, strict=True):
        equal(one, wanted)


def test_the_fit_is_that_of_the_method_ebll_and_pca_has_exact_components(seen, hand):
    assert seen[-1].accuracy["direct"] == hand.fit.accuracy_direct > 0.8
    assert seen[-1].accuracy["autoencoder"] == hand.fit.accuracy_reconstructed
    kept, features = hand.directions[: CONFIG.code_size], hand.held
    pca = (hand.mean + (features.double() - hand.mean) @ kept.T @ kept).float()
    for name, back in (("autoencoder", hand.fit.autoencoder(features)), ("pca", pca)):
        spread = (features - features.mean(dim=0)).square().sum()
        assert seen[-1].missed[name] == pytest.approx(((back - features).square().sum() / spread).item(), rel=1e-3)
        answers = hand.net.heads[0](hand.net.operator(back)).argmax(dim=1)
        right = (answers == TASK.validation.labels).double().mean().item()
        assert seen[-1].accuracy[name] == pytest.approx(right)


def test_the_points_lie_in_the_plane_of_the_two_leading_components(seen, hand):
    points = torch.tensor(seen[-1].points.to_numpy()).double()
    back = hand.fit.autoencoder(hand.mine).detach()
    places = torch.cat([(there.double() - hand.mean) @ hand.plane.T for there in (hand.mine, back)], dim=1)
    torch.testing.assert_close(points, places, rtol=1e-3, atol=1e-3)
    assert len(seen[-1].others) == len(hand.held) - len(hand.mine)
    left, right, bottom, top = seen[-1].extent
    everything = torch.cat([points[:, :2].float(), seen[-1].others])
    assert left < everything[:, 0].min() < everything[:, 0].max() < right
    assert bottom < everything[:, 1].min() < everything[:, 1].max() < top


def test_the_holds_are_E4_of_moves_along_exact_components(seen, hand):
    directions = hand.directions[:2].float()  # those after them may be mixed where spreads are nearly equal
    moves = directions * ((hand.train - hand.mean.float()) @ directions.T).std(dim=0)[:, None]
    wanted = hold(hand.fit.autoencoder.encode, hand.mine, moves)
    assert len(seen[-1].holds) == min(DIRECTIONS, hand.net.feature_size)
    assert seen[-1].holds[:2] == pytest.approx(wanted.tolist(), rel=1e-3, abs=1e-6)


def test_the_field_is_E4_of_a_move_from_the_middle_of_the_class_to_each_place(seen, hand):
    middle = hand.mine.mean(dim=0)
    left, right, bottom, top = seen[-1].extent
    here = hand.plane @ (middle.double() - hand.mean)
    rows, columns = seen[-1].field.shape
    for row, y in enumerate(torch.linspace(bottom, top, rows)):
        for column, x in list(enumerate(torch.linspace(left, right, columns)))[::7]:
            move = ((torch.stack([x, y]) - here) @ hand.plane).float()
            codes = [hand.fit.autoencoder.encode(f[None]) for f in (middle + move, middle)]
            assert seen[-1].field[row, column].item() == pytest.approx(code_distance(*codes).item(), rel=0.01, abs=1e-4)


def test_a_larger_code_misses_less_and_pca_misses_least_that_a_plane_can(seen):
    found = [explore(CONFIG.replace(code_size=size), tasks=[TASK]).missed for size in (1, 4, 11)]
    for name in ("autoencoder", "pca"):
        shares = [missed[name] for missed in found]
        assert shares == sorted(shares, reverse=True)
        assert 0 <= shares[-1] < shares[0] < 1
    other = explore(CONFIG.replace(recon_weight=1.0), tasks=[TASK])  # as another weight is another fit
    assert other.missed["autoencoder"] != seen[-1].missed["autoencoder"]
    assert other.missed["pca"] == seen[-1].missed["pca"]


def test_it_leaves_the_net_and_the_process_as_before_while_others_have_their_turn_and_where_it_is_left(hand, seen):
    def same_as_before():
        assert same(hand.net, weights)
        assert all(parameter.requires_grad for parameter in hand.net.parameters())  # others may train from it
        assert torch.get_num_threads() == threads

    weights, found = state(hand.net), []
    with cpu_threads(THREADS):
        threads = torch.get_num_threads()
        fits = (exploring(CONFIG.replace(code_size=size), [TASK]) for size in (CONFIG.code_size, 5))
        for one, _ in zip(*fits, strict=True):
            found.append(one)
            same_as_before()
            torch.rand(3)  # others draw random numbers in between
    for one, wanted in zip(found, seen, strict=True):
        equal(one, wanted)
    random, threads = torch.get_rng_state(), torch.get_num_threads()
    steps = exploring(CONFIG, [TASK])
    assert [one.epoch for one in itertools.islice(steps, 3)] == [0, 1, 2]
    steps.close()
    assert torch.equal(torch.get_rng_state(), random)
    same_as_before()
    equal(explore(CONFIG, tasks=[TASK]), seen[-1])


# Refusals.


def test_what_cannot_be_shown_is_refused():
    rows = (TASK.validation.labels != 2).nonzero()[:, 0]
    without = dataclasses.replace(TASK, validation=TASK.validation.take(rows))
    for task, changes, named in [
        (TASK, {"label": "Z"}, ["Class of mine", "'Z'"]),
        (TASK, {"net": "cnn"}, ["'cnn'", "images"]),
        (TASK, {"code_size": 256}, ["code_size", "at least 1", "256 features", "got 256"]),
        (without, {}, ["mine", f"class '{CONFIG.label}'"]),
    ]:
        with raises(InputError, *named):
            explore(CONFIG.replace(**changes), tasks=[task])
    with pytest.raises(InputError, match=r"^Task.*'nine'.*Did you mean 'mine'"):  # of those whose data are here
        explore(CONFIG.replace(task="nine"), tasks=[TASK])
    net = build_network("mlp", TASK.input_shape)
    with torch.no_grad():
        next(net.features.parameters()).fill_(float("nan"))
    with raises(InputError, "mine", "no finite numbers"):
        _features(net, TASK)
