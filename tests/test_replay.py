"""Experience replay: what is stored, what is replayed, and that with every image stored it is joint training."""

import dataclasses
import math

import pytest
import torch
from messages import raises
from tiny import SETTINGS, blobs, same, small
from torch import nn

from benchmarks.paper_speed import noise_task
from ebll import Joint, Replay, compare, learn_first, run_sequence
from ebll.config import RunConfig
from ebll.errors import InputError
from ebll.methods import Batch, ReplayMemory
from ebll.methods.replay import exemplars
from ebll.networks import Network
from ebll.paper import PhotoSettings
from ebll.seeds import generator

PER_CLASS = 17  # training images of each class: 20, less what validation takes
TASKS = [blobs("one", 0, count=60, classes=3), blobs("two", 1, count=80, classes=4), blobs("three", 2, mixed=False)]
ALL = Replay(images_per_class=PER_CLASS)


def stored(method, tasks, net=None, seed=0):
    """The memory after these tasks; what is stored does not depend on the network."""
    memory = None
    for t, task in enumerate(tasks):
        memory = method.consolidate(net, t, task, memory, seed)
    return memory


def network(heads=3):
    torch.manual_seed(0)
    net = Network(*small((12,)), (12,))
    for task in TASKS[:heads]:
        net.add_head(task.class_count)
    return net


def whole(t):
    return Batch(t, TASKS[t].train.inputs, TASKS[t].train.labels, {})


def test_E1_replay_is_the_mean_loss_on_each_tasks_stored_images_by_hand():
    """Heads that answer every class alike lose log(classes); one that favours class 0 by log 2 loses less on it."""
    net, method = network(), Replay(images_per_class=2, replay_weight=0.7)
    for head in net.heads:
        nn.init.zeros_(head.weight), nn.init.zeros_(head.bias)
    with torch.no_grad():
        net.heads[1].bias[0] = math.log(2)  # probabilities 2/5 and three times 1/5
    terms = method.loss_terms(net, [whole(2)], stored(method, TASKS[:2]))
    old = [math.log(3), math.log(5) - math.log(2) / 4]
    assert list(terms) == ["task", "replay"]
    assert terms["task"].weighted().item() == pytest.approx(math.log(3), rel=1e-5)
    assert terms["replay"].raw.tolist() == pytest.approx(old, rel=1e-5)
    assert terms["replay"].weighted().item() == pytest.approx(0.7 * sum(old), rel=1e-5)
    assert list(method.loss_terms(net, [whole(0)], None)) == ["task"]  # nothing is stored yet


@pytest.mark.parametrize("t", [1, 2])
def test_E1_with_every_image_stored_each_gradient_is_that_of_joint_training(t):
    net, batches = network(t + 1), [whole(i) for i in range(t + 1)]
    made = (ALL.loss_terms(net, batches[-1:], stored(ALL, TASKS[:t])), Joint().loss_terms(net, batches, None))
    losses = [sum(term.weighted() for term in terms.values()) for terms in made]
    mine, joint = (torch.autograd.grad(loss, list(net.parameters())) for loss in losses)
    torch.testing.assert_close(mine, joint, rtol=1e-4, atol=1e-6)
    assert all(gradient.abs().sum() > 0 for gradient in mine)  # F, T and every head


def test_a_run_on_full_batches_with_every_image_stored_is_joint_training():
    settings = SETTINGS.replace(batch_size=1000, epochs=10)
    start = learn_first(TASKS, net=small, settings=settings)
    mine, joint = (run_sequence(TASKS, method, settings=settings, start=start).net for method in (ALL, Joint()))
    torch.testing.assert_close(mine.state_dict(), joint.state_dict(), rtol=1e-3, atol=1e-5)
    assert not same(mine.heads[0], start.net.heads[0])


def test_the_same_number_of_each_class_is_stored_from_the_training_split_as_the_seed_decides():
    method = Replay(images_per_class=4)
    memory = stored(method, TASKS, seed=3)
    for t, (task, kept) in enumerate(zip(TASKS, memory.stored, strict=True)):
        assert torch.bincount(kept.labels).tolist() == [4] * task.class_count
        rows = exemplars(task, 4, generator(3, "replay images", t))
        assert len(set(rows.tolist())) == len(rows)
        assert torch.equal(kept.inputs, task.train.inputs[rows])
        assert torch.equal(kept.labels, task.train.labels[rows])
    again, other = (stored(method, TASKS, seed=seed).tensors() for seed in (3, 4))
    assert all(torch.equal(value, again[name]) for name, value in memory.tensors().items())
    assert not any(torch.equal(memory.tensors()[f"inputs.{t}"], other[f"inputs.{t}"]) for t in range(3))
    twins = stored(method, [TASKS[0], TASKS[0]]).stored  # each task has a stream of its own
    assert not torch.equal(twins[0].inputs, twins[1].inputs)


def test_every_training_image_is_as_likely_to_be_stored():
    """300 draws of 5 of 17: each image 88 times on average, with a standard deviation of 7.9."""
    drawn = torch.cat([exemplars(TASKS[0], 5, generator(seed, "draw")) for seed in range(300)])
    times = torch.bincount(drawn, minlength=3 * PER_CLASS)
    assert times.sum() == 300 * 5 * 3
    assert 88 - 5 * 7.9 < times.min() < times.max() < 88 + 5 * 7.9


def test_memory_counts_every_stored_number_and_comes_back_from_its_tensors():
    method = Replay(images_per_class=2)
    run = run_sequence(TASKS, method, net=small, settings=SETTINGS)
    one_image = 12 * 4 + 8  # float32 inputs and an int64 label
    assert run.kept["bytes"].tolist() == [2 * 3 * one_image, 2 * 7 * one_image, 2 * 10 * one_image]
    tensors = run.memory.tensors()
    again = ReplayMemory.from_tensors(tensors, {}).tensors()
    assert again.keys() == tensors.keys()
    assert all(torch.equal(value, again[name]) for name, value in tensors.items())
    owned = sum(value.untyped_storage().nbytes() for value in tensors.values())
    assert owned == run.memory.bytes()  # copies, which do not keep the task's images alive


def test_of_photographs_one_crop_is_stored_also_where_epochs_cut_others():
    task = noise_task(PhotoSettings(stored=20, size=16), 200)
    task = dataclasses.replace(task, train=dataclasses.replace(task.train, changing=True))
    assert task.train.changing
    (kept,) = stored(Replay(images_per_class=1), [task]).stored
    rows = exemplars(task, 1, generator(0, "replay images", 0))
    assert kept.inputs.shape == (100, 3, 16, 16)
    assert not kept.changing
    assert torch.equal(kept.inputs, task.train.inputs[rows])


def test_more_images_than_a_class_has_are_refused():
    with raises(InputError, "images_per_class is 18", "class '0' of one", "17 training images"):
        run_sequence(TASKS, ALL.replace(images_per_class=18), net=small, settings=SETTINGS)


def test_too_large_a_memory_is_refused_before_anything_is_learned(monkeypatch):
    monkeypatch.setattr("ebll.protocol.train", None)  # any step would fail
    too_many = ALL.replace(images_per_class=PER_CLASS + 1)
    begun = [
        lambda: run_sequence(TASKS, too_many, net=small, settings=SETTINGS),
        lambda: compare(TASKS, {"mine": too_many}, net=small, settings=SETTINGS, seeds=[0]),
    ]
    for begin in begun:
        with raises(InputError, f"images_per_class is {PER_CLASS + 1}"):
            begin()
    assert RunConfig(method="replay", replay_weight=0.5).made_method() == Replay(replay_weight=0.5)
