"""The one loop against plain PyTorch written out here, and what must change no weight: logging, branching, luck."""

import copy
import dataclasses
import math
import pickle
import random
import re

import numpy as np
import pandas as pd
import pytest
import torch
from tiny import AUTOENCODER, SETTINGS, blobs, method, noisy, same, sequence, small, state
from torch import nn
from torch.nn import functional

import ebll
from ebll import (
    EBLL,
    METHODS,
    AutoencoderSettings,
    Recorder,
    TrainingDiverged,
    TrainSettings,
    build_network,
    run_sequence,
)
from ebll.data import Split
from ebll.protocol import learn_first
from ebll.seeds import derive_seed, generator
from ebll.training import train


def learn(name, tasks=None, net=small, settings=SETTINGS, seed=0, log_every=3, **options):
    chosen = method(name) if isinstance(name, str) else name
    options.setdefault("recorder", Recorder(log_every=log_every))
    return run_sequence(tasks or sequence(3), chosen, net=net, settings=settings, seed=seed, **options)


def close(one, other, **options):
    for a, b in zip(one.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(a, b, **options)


def drawn(index, count, epochs, batch_size, seed=0, t=None):
    """The rows of each step, by the documented generator: one permutation an epoch, cut into batches."""
    order = generator(seed, "batches", index if t is None else t, index)
    return [rows for _ in range(epochs) for rows in torch.randperm(count, generator=order).split(batch_size)]


def sgd_by_hand(parameters, steps, loss_of, settings):
    """Momentum, weight decay and the drop of the learning rate, in arithmetic."""
    velocity = [None] * len(parameters)
    for step, rows in enumerate(steps):
        rate = settings.learning_rate * (0.1 if step >= round(settings.drop_at * len(steps)) else 1)
        gradients = torch.autograd.grad(loss_of(rows), parameters)
        with torch.no_grad():
            for i, (parameter, gradient) in enumerate(zip(parameters, gradients, strict=True)):
                pull = gradient + settings.weight_decay * parameter
                velocity[i] = pull if velocity[i] is None else settings.momentum * velocity[i] + pull
                parameter -= rate * velocity[i]


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize(
    "settings",
    [SETTINGS, TrainSettings(epochs=3, batch_size=7, learning_rate=0.1, momentum=0, weight_decay=0.1, drop_at=0.4)],
    ids=["usual", "other"],
)
def test_a_sequence_of_one_task_is_plain_sgd_written_by_hand(name, settings):
    task, seed = blobs("only", 3), 5
    torch.manual_seed(derive_seed(seed, "network"))
    features, operator = small((12,))
    torch.manual_seed(derive_seed(seed, "head", 0))
    plain = nn.Sequential(features, operator, nn.Linear(6, 3))
    inputs, labels = task.train.inputs, task.train.labels

    def loss(rows):
        return -plain(inputs[rows]).log_softmax(dim=1)[range(len(rows)), labels[rows]].mean()

    untrained = state(plain)
    steps = drawn(0, len(labels), settings.epochs, settings.batch_size, seed)
    sgd_by_hand(list(plain.parameters()), steps, loss, settings)
    net = learn(name, [task], settings=settings, seed=seed).net
    answers = net(task.test.inputs, 0)
    torch.testing.assert_close(answers, plain(task.test.inputs), rtol=1e-4, atol=1e-5)
    if name != "ebll-separate":
        close(net, plain, rtol=1e-4, atol=1e-6)
    assert not same(untrained, plain)


def second_task_by_hand(start, tasks, objective, head_alone=False):
    """Head, warm-up of the head alone, frozen copy, training: the protocol of the paper in a few lines."""
    net, data = copy.deepcopy(start.net), tasks[1].train
    torch.manual_seed(derive_seed(0, "head", 1))
    head = nn.Linear(net.operator_size, tasks[1].class_count)

    def task_loss(rows):
        return functional.cross_entropy(head(net.operator(net.features(data.inputs[rows]))), data.labels[rows])

    def loss(rows):
        return task_loss(rows) + objective(net, before, data.inputs[rows])

    warm_up, training = (
        drawn(1, len(data), epochs, SETTINGS.batch_size) for epochs in (SETTINGS.warmup_epochs, SETTINGS.epochs)
    )
    sgd_by_hand(list(head.parameters()), warm_up, task_loss, SETTINGS)
    before = copy.deepcopy(net).requires_grad_(False)
    trained = [] if head_alone else [*net.parameters()]
    sgd_by_hand([*trained, *head.parameters()], training, loss, SETTINGS)
    net.heads.append(head)
    return net


@pytest.fixture(scope="module")
def pair():
    """Two tasks, and the network that has learned the first."""
    tasks = sequence(2)
    return tasks, learn_first(tasks, net=small, settings=SETTINGS)


def test_feature_extraction_is_the_new_head_alone_trained_through_f_and_t_at_each_step(pair):
    tasks, start = pair
    expected = second_task_by_hand(start, tasks, lambda net, before, inputs: 0, head_alone=True)
    found = learn("feature-extraction", tasks, start=start).net
    close(found, expected, rtol=1e-4, atol=1e-6)
    assert same(found.features, start.net.features)


def test_E5_ebll_is_the_protocol_of_the_paper_written_by_hand(pair):
    tasks, start = pair
    chosen = EBLL(alpha=0.8, temperature=3, distill_weight=0.5, autoencoder=AUTOENCODER)
    (encoder,) = learn(chosen, tasks[:1], start=start).memory.encoders

    def objective(net, before, inputs):
        targets = (before(inputs, 0) / 3).softmax(dim=1)
        codes = [torch.sigmoid(n.features(inputs) @ encoder.weight.T + encoder.bias) for n in (net, before)]
        code_loss = (codes[0] - codes[1]).square().sum(dim=1).mean()
        return 0.5 * functional.cross_entropy(net(inputs, 0) / 3, targets) + 0.8 / 2 * code_loss

    expected = second_task_by_hand(start, tasks, objective)
    found = learn(chosen, tasks, start=start).net
    close(found, expected, rtol=1e-3, atol=1e-5)
    plain = second_task_by_hand(start, tasks, lambda net, before, inputs: 0 * net(inputs, 0).sum())
    assert (found.features[0][1].weight - plain.features[0][1].weight).abs().max() > 1e-3  # the terms did something


def test_joint_training_adds_up_the_tasks_in_every_step_and_goes_round_the_shorter_one():
    tasks = sequence(2)
    tasks[0] = blobs("short", 0, count=40)
    start = learn_first(tasks, net=small, settings=SETTINGS)
    found = learn("joint", tasks, start=start, settings=SETTINGS.replace(warmup_epochs=0))
    net = copy.deepcopy(start.net)
    torch.manual_seed(derive_seed(0, "head", 1))
    net.add_head(tasks[1].class_count)
    long = drawn(1, len(tasks[1].train), SETTINGS.epochs, 16)
    short = drawn(0, len(tasks[0].train), 9, 16, t=1)[: len(long)]
    assert len(long) > SETTINGS.epochs * math.ceil(len(tasks[0].train) / 16)

    def loss(pair):
        parts = zip(pair, tasks, strict=True)
        return sum(
            functional.cross_entropy(net(task.train.inputs[rows], i), task.train.labels[rows])
            for i, (rows, task) in enumerate(parts)
        )

    sgd_by_hand(list(net.parameters()), list(zip(short, long, strict=True)), loss, SETTINGS)
    close(found.net, net, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("name", METHODS)
def test_statistics_of_batchnorm_move_while_the_first_task_is_learned_and_never_after(name):
    tasks = sequence(2)
    start = learn_first(tasks, net=noisy, settings=SETTINGS)
    fresh, before, after = (
        net.features[0][2] for net in (build_network(noisy, (12,)), start.net, learn(name, tasks, start=start).net)
    )
    assert not torch.equal(fresh.running_mean, before.running_mean)
    assert torch.equal(after.running_mean, before.running_mean)
    assert torch.equal(after.running_var, before.running_var)
    assert after.num_batches_tracked == before.num_batches_tracked > 0


def states():
    """What may not change: the global generators."""
    return torch.get_rng_state().tolist(), random.getstate(), np.random.get_state()[1].tolist()  # noqa: NPY002


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("net", [small, noisy])
def test_same_seed_same_weights_and_tables_however_it_is_run(name, net):
    tasks = sequence(3)
    kept = copy.deepcopy([task.train for task in tasks])
    start = learn_first(tasks, net=net, settings=SETTINGS, recorder=Recorder(log_every=3))
    begun, rows = state(start.net), len(start.recorder.curve_rows)
    plain = learn(name, tasks, net=net)
    torch.manual_seed(999)
    random_states = states()
    alike = {
        "again, with the global generator elsewhere": learn(name, tasks, net=net),
        "branched from a snapshot": learn(name, tasks, start=start),
        "branched once more, with the first task's memory shared": learn(name, tasks, start=start),
    }
    for what, run in alike.items():
        assert same(run.net, plain.net), what
        for table in ("curves", "accuracy", "kept"):
            pd.testing.assert_frame_equal(getattr(run, table), getattr(plain, table), check_exact=True)
    often, never = (learn(name, tasks, net=net, log_every=n) for n in (1, 0))
    short = learn(name, tasks, net=net, consolidate_last=False)
    for run in (often, never, short):
        assert same(run.net, plain.net)
        pd.testing.assert_frame_equal(run.accuracy, plain.accuracy, check_exact=True)
    assert len(often.curves) > 30
    assert never.curves.empty
    # What was not measured after the last task is not reported under its name.
    pd.testing.assert_frame_equal(short.kept, plain.kept[:2], check_exact=True)
    assert not same(plain.net, learn(name, tasks, net=net, seed=5).net)
    assert states() == random_states
    assert same(start.net, begun)
    assert len(start.recorder.curve_rows) == rows
    for split, task in zip(kept, tasks, strict=True):
        assert torch.equal(task.train.inputs, split.inputs)
        assert torch.equal(task.train.labels, split.labels)


@dataclasses.dataclass(frozen=True)
class Kept(ebll.methods.Memory):
    """What it was made from."""

    facts: tuple

    def bytes(self):
        return 0


@dataclasses.dataclass(frozen=True)
class Keeping(ebll.methods.Method):
    """Fine-tuning that keeps what it was made from."""

    setting: object = 0
    name, label = "keeping", "Keeping"
    loss_terms = ebll.Finetune.loss_terms

    def consolidate(self, net, t, task, memory, seed):
        return Kept((self.setting, len(task.train), seed, torch.get_num_threads()))


def test_memories_are_shared_by_runs_that_would_fit_the_same_and_by_no_other():
    tasks = sequence(2)
    start = learn_first(tasks, net=small, settings=SETTINGS)
    other = dataclasses.replace(tasks[0], train=tasks[0].train.take(torch.arange(40)))

    def kept(setting=0, first=tasks[0], **changes):
        options = {"start": start, "consolidate_last": False, "seed": 0, "settings": SETTINGS} | changes
        return run_sequence([first, tasks[1]], Keeping(setting), **options).memory

    assert kept() is kept()
    assert kept(seed=1).facts == (0, 51, 1, 1)
    assert kept(1).facts == (1, 51, 0, 1)
    assert kept(first=other).facts == (0, 40, 0, 1)
    assert kept(settings=SETTINGS.replace(threads=2)).facts == (0, 51, 0, 2)
    for number in range(9):  # settings that cannot be told apart by a hash are never shared
        assert kept([number]).facts == ([number], 51, 0, 1)


@pytest.mark.parametrize("net", [small, noisy])
def test_fitting_autoencoders_shifts_no_later_random_stream(net):
    """With alpha 0 the codes play no part, so how they were fitted must not show in the weights."""
    one = method("ebll-separate", alpha=0)
    other = one.replace(autoencoder=AutoencoderSettings(code_size=2, epochs=9, batch_size=5))
    assert same(learn(one, net=net).net, learn(other, net=net).net)


def test_seeds_differ_by_purpose_and_are_the_same_in_every_process_and_release():
    """Numbers of today, which stored results depend on: no seed may come from Python's hash, say."""
    purposes = [(), ("a",), ("b",), ("a", 1), ("a", 1, 2), ("a", 2, 1)]  # zeros at the end would not count
    made = [derive_seed(seed, *purpose) for seed in (0, 1) for purpose in purposes]
    assert len(set(made)) == len(made)
    assert all(0 <= seed < 2**63 for seed in made)
    assert derive_seed(0, "batches", 1, 0) == 5012865063465757781 != derive_seed(0, "batches", 0, 1)
    assert derive_seed(7, "network") == 8336615759412919583


class Anew(Split):
    """A split that says its inputs change, so that the old network is asked about each batch; here they do not."""

    changing = True

    def to(self, device):
        return self


@pytest.mark.parametrize("name", ["lwf", "ebll", "code-only", "ebll-separate"])
def test_where_inputs_change_the_targets_are_those_of_the_network_before_the_task(pair, name):
    tasks, start = pair
    split = tasks[1].train
    anew = [tasks[0], dataclasses.replace(tasks[1], train=Anew(split.inputs, split.labels))]
    targets, asked = learn(name, tasks, start=start), learn(name, anew, start=start)
    close(asked.net, targets.net, rtol=1e-3, atol=1e-5)  # batches of other sizes: other last bits


def test_four_tasks_in_a_row_give_a_full_lower_triangle_in_the_order_learned():
    names = ["zebra", "apple", "mango", "fig"]
    run = learn("lwf", [blobs(task, i, classes=3 + i % 2) for i, task in enumerate(names)])
    matrix = run.accuracy_matrix()
    assert list(matrix.index) == list(matrix.columns) == names
    assert np.array_equal(matrix.notna().to_numpy(), np.tri(4, dtype=bool))
    assert matrix.stack().dropna().between(0, 1).all()
    assert len(run.net.heads) == 4
    assert run.method == method("lwf")


def test_every_method_learns_what_can_be_learned():
    """Well separated blobs, seen long enough: the loop does learn, the new task and the old."""
    tasks = sequence(2)
    for name in METHODS:
        weight = {"ewc_strength": 100.0} if name == "ewc" else {}  # of this net
        run = learn(method(name, **weight), tasks, settings=SETTINGS.replace(epochs=12, warmup_epochs=4))
        matrix = run.accuracy_matrix().to_numpy()
        assert matrix[0, 0] > 0.9
        assert matrix[1, 1] > 0.6  # of four classes


@pytest.mark.parametrize(
    ("name", "weight"),
    [
        *((name, None) for name in METHODS),
        ("lwf", "distill_weight"),
        ("ewc", "ewc_strength"),
        ("ebll", "alpha"),
        ("replay", "replay_weight"),
        ("l2", "l2_strength"),
        ("input-moments", "moments_strength"),
        ("kfac", "kfac_strength"),
    ],
)
def test_divergence_says_where_and_what_to_try_and_keeps_the_tables_of_the_tasks_before(name, weight):
    tasks = sequence(2)
    chosen = method(name, **({weight: 3.4e38} if weight else {}))  # near the largest float
    settings = SETTINGS if weight else SETTINGS.replace(learning_rate=1e30)
    start = learn_first(tasks, net=small, settings=SETTINGS, recorder=Recorder(log_every=1))
    with pytest.raises(TrainingDiverged) as caught:  # at a step and in terms that depend on the processor
        learn(chosen, tasks, start=start, settings=settings, log_every=1)
    text, run = str(caught.value), caught.value.run
    steps = math.ceil(len(tasks[1].train) / 16) * (SETTINGS.epochs if weight else SETTINGS.warmup_epochs)
    assert re.match(rf"{METHODS[name].label}, seed 0: .*\(.* = -?(inf|nan).* step [0-9]+ of {steps}\b", text)
    assert (weight or "learning_rate below 1e+30") in text
    assert not weight or all(knob in METHODS[name].metadata() for knob in re.findall(r"\w+_(?:weight|strength)", text))
    assert run.curves.query("training == 'task0'").shape[0] == start.recorder.curves().shape[0] > 0
    assert run.curves.query("training == 'task1'").shape[0] > 0  # up to the step that failed
    assert run.recorder.accuracy().equals(start.recorder.accuracy())
    if name != "feature-extraction":
        assert not any(part.training for part in run.net.modules())
    again = pickle.loads(pickle.dumps(caught.value))  # as between processes
    assert str(again) == text
    pd.testing.assert_frame_equal(again.run.accuracy, run.accuracy)


def test_the_loop_hands_out_every_step_and_the_learning_rate_falls_once():
    task, seen = blobs("a", 1), []
    net = build_network(small, (12,))
    net.add_head(3)
    settings = SETTINGS.replace(epochs=5, drop_at=0.75)
    before = state(net)

    for step in train(net, method("finetune"), 0, {0: task}, settings=settings):
        seen.append((step.index, step.total, sorted(step.terms), round(step.learning_rate, 9)))
    total = 5 * math.ceil(len(task.train) / 16)
    drop = round(0.75 * total)
    assert seen == [
        (step, total, ["task"] if step < total else [], 0.05 if step < drop else 0.005) for step in range(total + 1)
    ]
    assert not same(net, before)
    assert not net.training


def test_ctrl_c_keeps_the_tables_so_far():
    class Impatient(Recorder):
        def measure(self, *args, **facts):
            super().measure(*args, **facts)
            if facts["training"] == "task1" and facts["step"] == 2:
                raise KeyboardInterrupt

    recorder = Impatient(log_every=1)
    with pytest.raises(KeyboardInterrupt):
        learn("ebll", recorder=recorder)
    assert len(recorder.accuracy()) == 1
    assert recorder.curves().query("training == 'task1'").shape[0] == 3


def test_a_run_uses_its_threads_and_gives_the_old_count_back(monkeypatch):
    before, seen = torch.get_num_threads(), []
    original = ebll.training.train

    def spy(*arguments, **options):
        seen.append(torch.get_num_threads())
        return original(*arguments, **options)

    monkeypatch.setattr(ebll.protocol, "train", spy)
    learn("lwf", settings=SETTINGS.replace(threads=2))
    assert seen
    assert set(seen) == {2}
    assert torch.get_num_threads() == before
