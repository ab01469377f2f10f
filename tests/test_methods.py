"""What each method adds up, on a real network part-way through a sequence, and the laws that tie methods together."""

import copy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from messages import raises
from tiny import AUTOENCODER, FEATURES, SETTINGS, blobs, method, move, noisy, same, sequence, small, state, trained
from torch import nn

from ebll import METHODS, InputError, Recorder, build_network, run_sequence
from ebll.autoencoder import Encoder, fit_autoencoder
from ebll.fisher import fisher_diagonal
from ebll.losses import code_distance
from ebll.methods import Batch, Method, Term
from ebll.methods.base import per_old_task, record
from ebll.methods.lwf import old_logits
from ebll.networks import frozen
from ebll.protocol import learn_first
from ebll.seeds import derive_seed, generator, seeded
from ebll.training import batches_of

CODE_METHODS = ["code-only", "ebll", "ebll-separate"]
DISTILLING = ["lwf", "ebll"]


class Midway:
    """A method just before it learns the last of some tasks: trained network, memory, new head, recorded answers."""

    def __init__(self, name, tasks=None, net=small, **changes):
        self.tasks = tasks or sequence(2)
        self.method = method(name, **changes)
        run = run_sequence(self.tasks[:-1], self.method, net=net, settings=SETTINGS)
        self.net, self.memory, self.t = run.net, run.memory, len(self.tasks) - 1
        torch.manual_seed(1)
        self.net.add_head(self.tasks[-1].class_count)
        self.before = copy.deepcopy(self.net).eval()
        self.inputs, self.labels = self.tasks[-1].train.inputs, self.tasks[-1].train.labels
        self.targets = self.method.record_targets(self.net, self.t, self.inputs, self.memory)
        self.batch = Batch(self.t, self.inputs, self.labels, self.targets)

    def terms(self):
        return self.method.loss_terms(self.net, [self.batch], self.memory)


def gradients(term, module):
    """Gradients of a term to a module's parameters, None where there are none."""
    return torch.autograd.grad(term.weighted(), list(module.parameters()), retain_graph=True, allow_unused=True)


def leaves(value):
    """Ids of all tensors that backward from this value would give a gradient to."""
    waiting, seen, found = [value.grad_fn], set(), set()
    while waiting:
        node = waiting.pop()
        if node is not None and node not in seen:
            seen.add(node)
            found |= {id(node.variable)} if hasattr(node, "variable") else set()
            waiting += [before for before, _ in node.next_functions]
    return found


def untouched(found):
    return all(gradient is None or (gradient == 0).all() for gradient in found)


def close(value, expected, **options):
    torch.testing.assert_close(torch.as_tensor(value), torch.as_tensor(expected), check_dtype=False, **options)


def final(name, tasks=None, settings=SETTINGS, net=small, seed=0, **changes):
    return run_sequence(tasks or sequence(3), method(name, **changes), net=net, settings=settings, seed=seed).net


# The term and the record.


def test_a_term_weighs_its_values_one_by_one_or_together():
    values = torch.tensor([1.0, 2.0, 4.0])
    assert Term(values).weighted() == 7
    assert Term(values, 0.5).weighted() == 3.5
    assert Term(values, torch.tensor([1.0, 0.0, 0.25])).weighted() == 2
    assert Term(values[2]).weighted() == 4
    assert Term(values[2], 0.5).weighted() == 2
    assert Term(values[2], 0.0).weighted() == 0


def test_one_weight_serves_all_tasks_or_each_has_its_own():
    assert per_old_task(0.5, 3, "alpha") == (0.5, 0.5, 0.5)
    assert per_old_task((1.0, 2.0, 3.0), 2, "alpha") == (1.0, 2.0)
    with raises(InputError, "alpha", "1 entries", "2 old tasks"):
        per_old_task((1.0,), 2, "alpha")


def test_recording_in_parts_is_recording_at_once():
    net, inputs = build_network(small, (12,)), torch.randn(50, 12)
    whole = record(net, inputs, features=lambda f: f)["features"]
    assert not whole.requires_grad
    close(whole, net.features(inputs))
    for size in (1, 7, 50, 99):
        close(record(net, inputs, batch_size=size, features=lambda f: f)["features"], whole)


@pytest.mark.parametrize("name", METHODS)
def test_names_and_labels_identify_the_methods(name):
    assert METHODS[name].name == name
    assert sum(kind.label == METHODS[name].label for kind in METHODS.values()) == 1


@pytest.mark.parametrize("name", METHODS)
def test_the_first_task_is_plain_training_for_every_method(name):
    task, net = blobs("a", 1), build_network(small, (12,))
    net.add_head(3)
    chosen = method(name)
    assert chosen.record_targets(net, 0, task.train.inputs, None) == {}
    assert chosen.tasks_for(0, [task]) == [0]
    terms = chosen.loss_terms(net, [Batch(0, task.train.inputs, task.train.labels, {})], None)
    assert list(terms) == ["task"]
    close(terms["task"].weighted(), nn.functional.cross_entropy(net(task.train.inputs, 0), task.train.labels))


# E1: the task term.


@pytest.mark.parametrize("name", [name for name in METHODS if name != "joint"])
def test_E1_the_task_term_is_the_mean_loss_of_the_new_head_on_new_inputs(name):
    midway = Midway(name, sequence(3))
    expected = nn.functional.cross_entropy(midway.net(midway.inputs, 2), midway.labels)
    close(midway.terms()["task"].weighted(), expected)


def test_E1_joint_adds_up_the_mean_losses_of_all_tasks():
    midway = Midway("joint", sequence(3))
    assert midway.method.tasks_for(2, midway.tasks) == [0, 1, 2]
    batches = [
        Batch(i, task.train.inputs[: 10 + i], task.train.labels[: 10 + i], {}) for i, task in enumerate(midway.tasks)
    ]
    terms = midway.method.loss_terms(midway.net, batches, None)
    losses = [nn.functional.cross_entropy(midway.net(b.inputs, b.task), b.labels) for b in batches]
    assert list(terms) == ["task"]
    close(terms["task"].weighted(), losses[0] + losses[1] + losses[2])
    assert not untouched(gradients(terms["task"], midway.net.heads[0]))


@pytest.mark.parametrize("name", [name for name in METHODS if name != "joint"])
def test_only_joint_training_uses_old_data(name):
    assert method(name).tasks_for(2, sequence(3)) == [2]


# E3: distillation.


@pytest.mark.parametrize("name", DISTILLING)
@pytest.mark.parametrize("temperature", [1.0, 2.0, 3.5])
def test_E3_soft_targets_are_the_old_heads_softmax_at_the_temperature(name, temperature):
    midway = Midway(name, sequence(3), temperature=temperature)
    targets = midway.targets["soft_targets"]
    old = [(midway.before(midway.inputs, i) / temperature).softmax(dim=1) for i in (0, 1)]
    close(targets, torch.cat(old, dim=1))
    close(targets[:, :3].sum(dim=1), torch.ones(len(targets)))
    close(targets[:, 3:].sum(dim=1), torch.ones(len(targets)))
    assert not targets.requires_grad


@pytest.mark.parametrize("name", DISTILLING)
def test_E3_at_the_start_of_a_task_is_the_entropy_of_the_targets_and_pulls_nowhere(name):
    midway = Midway(name)
    term, targets = midway.terms()["distill"], midway.targets["soft_targets"]
    close(term.raw, -(targets * targets.log()).sum(dim=1).mean())
    assert all(gradient is None or gradient.abs().max() < 1e-6 for gradient in gradients(term, midway.net))


@pytest.mark.parametrize("name", DISTILLING)
def test_E3_after_a_move_is_one_soft_cross_entropy_an_old_head_and_reaches_f_t_and_that_head(name):
    midway = Midway(name, sequence(3), temperature=3.0, distill_weight=0.7)
    move(midway.net, 0.2)
    term = midway.terms()["distill"]
    for i in (0, 1):
        answers, targets = midway.net(midway.inputs, i) / 3, (midway.before(midway.inputs, i) / 3).softmax(dim=1)
        close(term.raw[i], nn.functional.cross_entropy(answers, targets))
    close(term.weighted(), 0.7 * (term.raw[0] + term.raw[1]))
    for part in (midway.net.features, midway.net.operator, midway.net.heads[0], midway.net.heads[1]):
        assert all(gradient.abs().sum() > 0 for gradient in gradients(term, part))
    assert untouched(gradients(term, midway.net.heads[2]))


class OneByOne(nn.Linear):
    """A head that is not known to be a plain linear layer, so that it is asked by itself."""


def of_sizes(sizes):
    return [blobs(f"task{i}", i, classes=classes) for i, classes in enumerate(sizes)]


@pytest.mark.parametrize("sizes", [(3, 3, 3, 3), (3, 2, 4, 3), (2, 4)])
@pytest.mark.parametrize("name", DISTILLING)
def test_E3_all_old_heads_as_one_product_are_the_old_heads_one_by_one(name, sizes, monkeypatch):
    midway = Midway(name, of_sizes(sizes))
    move(midway.net, 0.2)
    plain = copy.deepcopy(midway.net)
    for head in plain.heads:
        head.__class__ = OneByOne
    calls = []
    for kind in (nn.Linear, OneByOne):
        forward = kind.forward
        monkeypatch.setattr(kind, "forward", lambda self, x, f=forward: calls.append(self) or f(self, x))
    quick = midway.method.loss_terms(midway.net, [midway.batch], midway.memory)["distill"]
    slow = midway.method.loss_terms(plain, [midway.batch], midway.memory)["distill"]
    alone = 1 if len(sizes) > 2 else 2  # the new head, and an old one where there is no other
    asked = [[sum(call is head for call in calls) > 0 for head in net.heads] for net in (midway.net, plain)]
    assert (sum(asked[0]), sum(asked[1])) == (alone, len(sizes))
    close(quick.raw, slow.raw)
    for one, other in zip(gradients(quick, midway.net), gradients(slow, plain), strict=True):
        close(torch.zeros(1) if one is None else one, torch.zeros(1) if other is None else other)


def test_E3_heads_with_more_to_them_than_weight_and_bias_are_asked_themselves():
    midway = Midway("lwf", sequence(4))
    move(midway.net, 0.2)
    hidden = midway.net.operator(midway.net.features(midway.inputs))
    plain = old_logits(midway.net, 3, hidden)
    midway.net.heads[1].register_forward_hook(lambda head, inputs, output: output + 1)
    hooked = old_logits(midway.net, 3, hidden)
    first, second, *_ = midway.net.classes
    close(hooked - plain, torch.zeros_like(plain).index_fill(1, torch.arange(first, first + second), 1.0))
    torch.nn.utils.parametrizations.weight_norm(midway.net.heads[2])
    close(old_logits(midway.net, 3, hidden), hooked)


# E4: the code term.


@pytest.mark.parametrize("name", CODE_METHODS)
def test_E4_recorded_codes_are_the_sigmoid_codes_of_the_old_features(name):
    midway = Midway(name, sequence(3))
    features = midway.before.features(midway.inputs)
    codes = [torch.sigmoid(features @ encoder.weight.T + encoder.bias) for encoder in midway.memory.encoders]
    close(midway.targets["codes"], torch.cat(codes, dim=1))
    assert not midway.targets["codes"].requires_grad


@pytest.mark.parametrize("name", CODE_METHODS)
@pytest.mark.parametrize("length", [2, 3])
def test_E4_is_zero_at_the_start_of_a_task_and_pulls_nowhere(name, length):
    midway = Midway(name, sequence(length))
    term = midway.terms()["code"]
    assert term.raw.numel() == length - 1
    assert term.raw.abs().max() < 1e-10
    assert all(gradient is None or gradient.abs().max() < 1e-5 for gradient in gradients(term, midway.net))


@pytest.mark.parametrize("name", CODE_METHODS)
@pytest.mark.parametrize("length", [2, 3])
def test_E4_after_a_move_its_gradient_reaches_the_features_and_not_the_encoder(name, length):
    midway = Midway(name, sequence(length))
    move(midway.net, 0.1)
    term = midway.terms()["code"]
    assert (term.raw > 1e-6).all()
    inputs = torch.randn(5, FEATURES)
    codes = midway.memory.codes(inputs)
    # Whatever could receive this term's gradient is a parameter of F: no encoder, and nothing above F, from which
    # the codes do not hang.
    assert leaves(term.weighted()) == {id(parameter) for parameter in midway.net.features.parameters()}
    term.weighted().backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in midway.net.features.parameters())
    assert not any(p.requires_grad for encoder in midway.memory.encoders for p in encoder.parameters())
    assert torch.equal(midway.memory.codes(inputs), codes)


@pytest.mark.parametrize("name", CODE_METHODS)
def test_E4_is_half_the_squared_norm_of_each_old_tasks_code_weighted_by_its_alpha(name):
    midway = Midway(name, sequence(3), alpha=(0.25, 4.0))
    move(midway.net, 0.3)
    term = midway.terms()["code"]
    now, then = midway.net.features(midway.inputs), midway.before.features(midway.inputs)
    by_hand = [
        0.5 * (encoder(now) - encoder(then)).square().sum(dim=1).mean().item() for encoder in midway.memory.encoders
    ]
    assert term.raw.tolist() == pytest.approx(by_hand, rel=1e-5)
    assert term.weighted().item() == pytest.approx(0.25 * by_hand[0] + 4.0 * by_hand[1], rel=1e-5)


@pytest.mark.parametrize("sizes", [(4, 4, 4), (2, 4, 3)])
@pytest.mark.parametrize("alpha", [0.7, (0.25, 4.0, 1.5)])
def test_E4_of_codes_of_equal_and_of_different_sizes_is_that_of_each_encoder(sizes, alpha):
    settings = AUTOENCODER.replace(code_size=sizes)
    midway = Midway("ebll", sequence(4), alpha=alpha, autoencoder=settings)
    move(midway.net, 0.3)
    term = midway.terms()["code"]
    now, then = midway.net.features(midway.inputs), midway.before.features(midway.inputs)
    by_hand = torch.stack([code_distance(encoder(now), encoder(then)) for encoder in midway.memory.encoders])
    close(term.raw, by_hand)
    weights = torch.tensor(alpha if isinstance(alpha, tuple) else (alpha,) * 3)
    close(term.weighted(), (weights * by_hand).sum())
    ours = gradients(term, midway.net.features)
    for one, other in zip(ours, gradients(Term(by_hand, weights), midway.net.features), strict=True):
        close(one, other)


def test_E5_is_the_sum_of_its_three_parts():
    midway = Midway("ebll", sequence(3), alpha=0.3, distill_weight=0.7, temperature=2.5)
    move(midway.net, 0.3)
    terms = midway.terms()
    assert list(terms) == ["task", "distill", "code"]
    now, then = midway.net.features(midway.inputs), midway.before.features(midway.inputs)
    expected = nn.functional.cross_entropy(midway.net(midway.inputs, 2), midway.labels)
    for i, encoder in enumerate(midway.memory.encoders):
        targets = (midway.before(midway.inputs, i) / 2.5).softmax(dim=1)
        expected = expected + 0.7 * nn.functional.cross_entropy(midway.net(midway.inputs, i) / 2.5, targets)
        expected = expected + 0.3 / 2 * nn.MSELoss(reduction="sum")(encoder(now), encoder(then)) / len(now)
    close(sum(term.weighted() for term in terms.values()), expected)


# What is recorded belongs to the inputs, and comes from a teacher in eval mode.


@pytest.mark.parametrize("name", [*DISTILLING, *CODE_METHODS, "feature-extraction"])
@pytest.mark.parametrize("net", [small, noisy])
def test_recorded_rows_belong_to_the_very_inputs_of_each_shuffled_batch(name, net):
    midway = Midway(name, sequence(3), net=net)
    stream = batches_of(midway.tasks[2], 2, midway.targets, 16, torch.Generator().manual_seed(0))
    steps = 2 * -(-len(midway.inputs) // 16)
    first_inputs = []
    for batch in (next(stream) for _ in range(steps)):
        again = midway.method.record_targets(midway.before, 2, batch.inputs, midway.memory)
        assert again.keys() == batch.targets.keys() != set()
        for key, value in again.items():
            close(batch.targets[key], value, rtol=1e-4, atol=1e-6)
        first_inputs.append(batch.inputs[0])
    assert not torch.equal(first_inputs[0], first_inputs[steps // 2])  # the second epoch is shuffled anew


@pytest.mark.parametrize("name", [*DISTILLING, *CODE_METHODS, "feature-extraction"])
def test_recording_is_in_eval_mode_even_from_a_net_left_in_train_mode(name):
    midway = Midway(name, net=noisy)
    midway.net.statistics_frozen = False
    midway.net.train()
    kept, random = state(midway.net), torch.get_rng_state()
    for _ in range(2):
        again = midway.method.record_targets(midway.net, 1, midway.inputs, midway.memory)
        assert all(torch.equal(value, midway.targets[key]) for key, value in again.items())
    assert all(part.training for part in midway.net.modules())
    assert all(parameter.requires_grad for parameter in midway.net.parameters())
    assert same(midway.net, kept)
    assert torch.equal(torch.get_rng_state(), random)


class Spy(nn.Module):
    """Notes, at each pass, what a layer that behaves otherwise in training would do."""

    def __init__(self, log):
        super().__init__()
        self.log, self.weight = log, nn.Parameter(torch.ones(1))

    def __deepcopy__(self, memo):
        twin = Spy(self.log)
        twin.train(self.training)
        return twin

    def forward(self, x):
        learns = torch.is_grad_enabled() and self.weight.requires_grad
        self.log.append((self.training, learns))
        return x * self.weight


@pytest.mark.parametrize("name", METHODS)
def test_a_layer_is_in_train_mode_exactly_while_it_learns(name):
    """So no teacher, no measurement and no autoencoder ever sees the network in train mode."""
    log = []

    def net(shape):
        features, operator = small(shape)
        return nn.Sequential(features, Spy(log)), nn.Sequential(operator, Spy(log))

    run_sequence(sequence(3), method(name), net=net, settings=SETTINGS)
    measured = {(False, True)} if name == "ewc" else set()  # the Fisher information needs gradients in eval mode
    assert set(log) == {(True, True), (False, False)} | measured


@pytest.mark.parametrize("name", METHODS)
def test_statistics_move_on_the_first_task_only(name):
    tasks = sequence(3)
    start = learn_first(tasks, net=noisy, settings=SETTINGS)
    fresh = build_network(noisy, (12,)).features[0][2]
    first = start.net.features[0][2]
    assert not torch.equal(first.running_mean, fresh.running_mean)
    norm = run_sequence(tasks, method(name), settings=SETTINGS, start=start).net.features[0][2]
    assert torch.equal(norm.running_mean, first.running_mean)
    assert torch.equal(norm.running_var, first.running_var)
    assert norm.num_batches_tracked == first.num_batches_tracked > 0


@pytest.mark.parametrize("name", METHODS)
def test_layers_that_their_owner_froze_stay_frozen_and_unmoved(name):
    features, operator = small((12,))
    features[1].requires_grad_(False)
    net = final(name, net=(features, operator))
    assert same(net.features[0][1], features[1])
    assert not any(parameter.requires_grad for parameter in net.features.parameters())
    head_or_operator = [*net.operator.parameters(), *net.heads.parameters()]
    assert head_or_operator
    assert all(parameter.requires_grad for parameter in head_or_operator)
    assert not any(part.training for part in net.modules())


# Laws that tie the methods together.


def test_E5_with_alpha_0_gives_exactly_the_weights_of_lwf():
    assert same(final("ebll", alpha=0), final("lwf"))
    assert not same(final("ebll", alpha=1), final("lwf"))
    assert same(final("ebll", alpha=0, temperature=3, distill_weight=2), final("lwf", temperature=3, distill_weight=2))


@pytest.mark.parametrize(("name", "off"), [("lwf", {}), ("ebll", {"alpha": 0})])
def test_E3_without_weight_gives_exactly_fine_tuning_but_for_the_decay_of_old_heads(name, off):
    found, plain = final(name, distill_weight=0, **off), final("finetune")
    for part in ("features", "operator"):
        assert same(getattr(found, part), getattr(plain, part))
    assert same(found.heads[-1], plain.heads[-1])
    # A gradient of zero still lets weight decay act, where no gradient at all does not.
    assert found.heads[0].weight.norm() < plain.heads[0].weight.norm()
    bare = SETTINGS.replace(weight_decay=0)
    assert same(final(name, settings=bare, distill_weight=0, **off), final("finetune", settings=bare))


def test_E4_alone_without_alpha_gives_exactly_fine_tuning():
    assert same(final("code-only", alpha=0), final("finetune"))
    assert not same(final("code-only", alpha=1), final("finetune"))


def test_E5_without_distillation_is_the_code_term_alone():
    bare = SETTINGS.replace(weight_decay=0)
    assert same(final("ebll", settings=bare, distill_weight=0), final("code-only", settings=bare))


@pytest.mark.parametrize("name", CODE_METHODS)
def test_E4_equal_alphas_in_a_list_equal_one_alpha(name):
    assert same(final(name, alpha=(0.7, 0.7)), final(name, alpha=0.7))
    assert not same(final(name, alpha=(0.7, 7.0)), final(name, alpha=0.7))


@pytest.mark.parametrize("name", CODE_METHODS)
def test_E4_too_few_alphas_are_refused(name):
    with raises(InputError, "alpha", "1 entries", "2 old tasks"):
        final(name, alpha=(0.7,))
    assert final(name, tasks=sequence(2), alpha=(0.7,))


def test_E6_without_strength_gives_exactly_fine_tuning():
    assert same(final("ewc", ewc_strength=0), final("finetune"))
    assert not same(final("ewc", ewc_strength=10), final("finetune"))


@pytest.mark.parametrize("name", ["code-only", "ebll-separate"])
def test_E4_a_larger_alpha_keeps_the_codes_closer(name):
    def distance(alpha):
        run = run_sequence(sequence(2), method(name, alpha=alpha), net=small, settings=SETTINGS)
        return run.curves["code_distance"].dropna().iloc[-1]

    distances = [distance(alpha) for alpha in (0, 1, 10)]
    assert distances[0] > distances[1] > distances[2] > 0


def test_E3_distillation_keeps_the_old_answers_closer_on_the_new_inputs():
    start = learn_first(sequence(2), net=small, settings=SETTINGS)
    inputs = sequence(2)[1].train.inputs
    before = start.net(inputs, 0).softmax(dim=1)

    def moved(name, **changes):
        net = run_sequence(sequence(2), method(name, **changes), settings=SETTINGS, start=start).net
        return (net(inputs, 0).softmax(dim=1) - before).square().sum().item()

    assert moved("lwf", distill_weight=5) < moved("lwf") < moved("finetune")


# EWC.


def test_E6_penalty_is_zero_at_the_anchor_and_quadratic_in_the_displacement():
    midway = Midway("ewc", ewc_strength=30)
    assert midway.terms()["penalty"].raw == 0
    directions = [torch.randn(anchor.shape) for anchor in midway.memory.anchors]

    def penalty(scale):
        with torch.no_grad():
            shared = [*midway.net.features.parameters(), *midway.net.operator.parameters()]
            for parameter, anchor, direction in zip(shared, midway.memory.anchors, directions, strict=True):
                parameter.copy_(anchor + scale * direction)
        return midway.terms()["penalty"]

    once, twice, back = penalty(0.01), penalty(0.02), penalty(-0.01)
    by_hand = sum((f * d.square()).sum() for f, d in zip(midway.memory.fisher, directions, strict=True)) * 0.01**2 / 2
    assert once.raw.item() == pytest.approx(by_hand.item(), rel=1e-4)
    assert once.raw > 0
    assert twice.raw.item() == pytest.approx(4 * once.raw.item(), rel=1e-4)
    assert back.raw.item() == pytest.approx(once.raw.item(), rel=1e-4)
    assert once.weighted().item() == pytest.approx(30 * once.raw.item())


def test_E6_leaves_the_heads_out():
    midway = Midway("ewc")
    move(midway.net.heads, 1.0)
    term = midway.terms()["penalty"]
    assert term.raw == 0
    assert untouched(gradients(term, midway.net.heads))
    move(midway.net.features, 0.1)
    move(midway.net.operator, 0.1)
    term = midway.terms()["penalty"]
    assert term.raw > 0
    assert untouched(gradients(term, midway.net.heads))
    assert not untouched(gradients(term, midway.net.features))
    assert not untouched(gradients(term, midway.net.operator))


def test_E6_penalty_grows_with_its_strength_and_is_not_zero_after_real_training():
    last = {}
    for strength in (1, 50):
        chosen, recorder = method("ewc", ewc_strength=strength), Recorder(log_every=1)
        run = run_sequence(sequence(2), chosen, net=small, settings=SETTINGS, recorder=recorder)
        rows = run.curves.query("stage == 'train' and training == 'task1'").dropna(subset="loss_penalty")
        assert rows["raw_penalty"].iloc[0] == 0
        assert (rows["raw_penalty"].iloc[1:] > 0).all()
        assert rows["loss_penalty"].tolist() == pytest.approx((strength * rows["raw_penalty"]).tolist(), rel=1e-5)
        last[strength] = rows["raw_penalty"].iloc[-1]
    assert last[50] < last[1]
    midway = Midway("ewc")
    move(midway.net, 0.1)
    pulls = [
        midway.method.replace(ewc_strength=s).loss_terms(midway.net, [midway.batch], midway.memory) for s in (1, 2, 9)
    ]
    weighted = [terms["penalty"].weighted().item() for terms in pulls]
    assert weighted == pytest.approx([weighted[0], 2 * weighted[0], 9 * weighted[0]])


def test_E6_anchors_are_the_newest_parameters_and_memory_does_not_grow():
    tasks, sizes = sequence(4), []
    for length in (1, 2, 3, 4):
        run = run_sequence(tasks[:length], method("ewc"), net=small, settings=SETTINGS)
        shared = [*run.net.features.parameters(), *run.net.operator.parameters()]
        assert all(torch.equal(anchor, p) for anchor, p in zip(run.memory.anchors, shared, strict=True))
        assert not any(anchor.data_ptr() == p.data_ptr() for anchor, p in zip(run.memory.anchors, shared, strict=True))
        assert run.kept["bytes"].nunique() == 1
        sizes.append(run.memory.bytes())
    assert set(sizes) == {2 * 4 * sum(p.numel() for p in shared)}


@pytest.mark.parametrize("decay", [1.0, 0.5, 0.0])
@pytest.mark.parametrize("kind", ["exact", "empirical"])
def test_E6_old_importance_fades_by_the_decay_and_the_new_is_added(decay, kind):
    tasks = sequence(2)
    made = method("ewc", fisher_decay=decay, fisher=kind, ewc_strength=1)
    nets = [run_sequence(tasks[:n], made, net=small, settings=SETTINGS).net for n in (1, 2)]
    parts = []
    for t, net in enumerate(nets):
        shared = [*net.features.parameters(), *net.operator.parameters()]
        data = tasks[t].train
        parts.append(fisher_diagonal(net, lambda x, n=net, t=t: n(x, t), shared, data.inputs, data.labels, kind))
    memory = run_sequence(tasks, made, net=small, settings=SETTINGS).memory
    for found, old, new in zip(memory.fisher, *parts, strict=True):
        close(found, decay * old + new, rtol=1e-4, atol=1e-8)


@pytest.mark.parametrize("t", [0, 1])
def test_E7_each_task_draws_its_samples_and_their_labels_from_streams_of_its_own(t):
    tasks, made = sequence(2), method("ewc", fisher="sampled", fisher_samples=9)
    run = run_sequence(tasks[: t + 1], made, net=small, settings=SETTINGS, seed=4)
    rows = torch.randperm(len(tasks[t].train), generator=generator(4, "fisher samples", t))[:9]
    shared, data = [*run.net.features.parameters(), *run.net.operator.parameters()], tasks[t].train.take(rows)
    options = (data.inputs, data.labels, "sampled", derive_seed(4, "fisher", t))
    expected = fisher_diagonal(run.net, lambda x: run.net(x, t), shared, *options)
    found = made.consolidate(run.net, t, tasks[t], None, 4).fisher
    assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))


@pytest.mark.parametrize("t", [0, 1])
def test_E2_each_task_draws_its_images_and_its_autoencoder_from_streams_of_its_own(t):
    settings = AUTOENCODER.replace(images=9)
    tasks, made = sequence(2), method("ebll", autoencoder=settings)
    net = run_sequence(tasks[: t + 1], "finetune", net=small, settings=SETTINGS, seed=4).net
    rows = torch.randperm(len(tasks[t].train), generator=generator(4, "autoencoder images", t))[:9].sort().values
    data = tasks[t].train.take(rows)
    with frozen(net), torch.no_grad():
        features = net.features(data.inputs)
    with frozen(net):
        seed = derive_seed(4, "autoencoder", t)
        fit = fit_autoencoder(features, data.labels, lambda f: net.heads[t](net.operator(f)), settings, seed=seed)
    kept = made.consolidate(net, t, tasks[t], None, 4).encoders[0]
    assert torch.equal(kept.weight, fit.autoencoder.encode.weight)


def test_E7_takes_at_most_the_samples_asked_for_and_a_seeded_choice_of_them():
    midway, seen = Midway("ewc", fisher_samples=7), []

    def memory(seed):
        handle = midway.net.features.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
        made = midway.method.consolidate(midway.net, 1, midway.tasks[1], None, seed)
        handle.remove()
        return made

    one, again, other = memory(0), memory(0), memory(1)
    assert {len(inputs) for inputs in seen} == {7}
    assert len(seen[0].unique(dim=0)) == 7
    assert all(torch.equal(a, b) for a, b in zip(one.fisher, again.fisher, strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(one.fisher, other.fisher, strict=True))


@pytest.mark.parametrize("name", METHODS)
def test_a_net_whose_features_and_operator_have_no_weights_is_learned(name):
    net = final(name, net=(nn.Flatten(), nn.Identity()))
    assert len(net.heads) == 3


# Feature extraction and separate operators.


def test_feature_extraction_leaves_old_outputs_the_same_to_the_last_bit():
    tasks = sequence(3)
    start = learn_first(tasks, net=noisy, settings=SETTINGS)
    net = run_sequence(tasks, method("feature-extraction"), settings=SETTINGS, start=start).net
    assert same(net.features, start.net.features)
    assert same(net.operator, start.net.operator)
    assert torch.equal(net(tasks[0].test.inputs, 0), start.net(tasks[0].test.inputs, 0))
    run = run_sequence(tasks, method("feature-extraction"), net=small, settings=SETTINGS)
    matrix = run.accuracy_matrix().to_numpy()
    assert matrix[0, 0] == matrix[1, 0] == matrix[2, 0]
    assert matrix[1, 1] == matrix[2, 1]
    assert (run.curves.query("task != ''")["feature_distance"] == 0).all()


def test_feature_extraction_learns_the_same_head_with_and_without_recording():
    tasks = sequence(2)
    start = learn_first(tasks, net=small, settings=SETTINGS)
    found = run_sequence(tasks, method("feature-extraction"), settings=SETTINGS.replace(warmup_epochs=0), start=start)

    class Live(Method):
        """The slow way: through F and T at each step."""

        def trained_parts(self, net, t):
            return net.heads[t]

        def loss_terms(self, net, batches, memory):
            (batch,) = batches
            return {"task": Term(nn.functional.cross_entropy(net(batch.inputs, batch.task), batch.labels))}

    net = copy.deepcopy(start.net)
    with seeded(0, "head", 1):
        net.add_head(tasks[1].class_count)
    trained(net, Live(), 1, {1: tasks[1]}, settings=SETTINGS, seed=0)
    close(found.net.heads[1].weight, net.heads[1].weight, rtol=1e-4, atol=1e-6)
    assert same(found.net.features, net.features)


def test_separate_operators_leave_old_operators_and_heads_bit_equal():
    tasks = sequence(4)
    start = learn_first(tasks, net=small, settings=SETTINGS)
    nets = [run_sequence(tasks[:n], method("ebll-separate"), settings=SETTINGS, start=start).net for n in (1, 2, 3, 4)]
    assert same(nets[0].heads[0][0], start.net.operator)
    assert same(nets[0].heads[0][1], start.net.heads[0])
    assert torch.equal(nets[0](tasks[0].test.inputs, 0), start.net(tasks[0].test.inputs, 0))
    for later in nets[1:]:
        assert same(later.heads[0], nets[0].heads[0])
        assert not same(later.features, nets[0].features)
    assert same(nets[2].heads[1], nets[1].heads[1])
    assert same(nets[3].heads[2], nets[2].heads[2])
    assert not start.net.operators_are_separate  # the snapshot is a copy


@pytest.mark.parametrize("name", ["finetune", "code-only", "ewc"])
def test_old_heads_get_no_gradient_and_stay_where_nothing_distils_them(name):
    tasks = sequence(3)
    start = learn_first(tasks, net=small, settings=SETTINGS)
    net = run_sequence(tasks, method(name), settings=SETTINGS, start=start).net
    assert same(net.heads[0], start.net.heads[0])
    assert not same(net.operator, start.net.operator)


# Memory.


@pytest.mark.parametrize("name", CODE_METHODS)
def test_memory_counts_the_encoders_and_grows_by_one_a_task(name):
    run = run_sequence(sequence(3), method(name), net=small, settings=SETTINGS)
    encoder = 4 * (FEATURES * AUTOENCODER.code_size + AUTOENCODER.code_size)
    assert run.kept["bytes"].tolist() == [encoder, 2 * encoder, 3 * encoder]
    assert run.memory.encoder(2) is run.memory.encoders[2]
    assert run.memory.encoder(3) is None


@pytest.mark.parametrize("name", CODE_METHODS)
def test_memory_holds_no_decoder_and_no_gradients(name):
    memory = run_sequence(sequence(3), method(name), net=small, settings=SETTINGS).memory
    waiting, held = [memory], {}
    while waiting:
        thing = waiting.pop()
        if isinstance(thing, torch.Tensor):
            held[thing.untyped_storage().data_ptr()] = thing.untyped_storage().nbytes()
            waiting += [] if thing.grad is None else [thing.grad]
        elif isinstance(thing, nn.Module):
            assert type(thing) is Encoder
            waiting += thing.parameters()
        elif isinstance(thing, list | tuple):
            waiting += thing
        elif hasattr(thing, "__dict__"):
            waiting += vars(thing).values()
    assert memory.bytes() <= sum(held.values()) <= 2 * memory.bytes()  # each encoder, and once more in the stack


@pytest.mark.parametrize("name", CODE_METHODS)
def test_E2_each_encoder_is_fitted_on_its_own_tasks_features_with_their_labels(name):
    tasks = sequence(2)
    for t in (0, 1):
        run = run_sequence(tasks[: t + 1], method(name), net=small, settings=SETTINGS)
        net, splits = run.net, (tasks[t].train, tasks[t].validation)
        features, held = [net.features(split.inputs).detach() for split in splits]
        with frozen(net):
            fit = fit_autoencoder(
                features,
                splits[0].labels,
                lambda f, net=net, t=t: net.heads[t](net.operator(f)),
                AUTOENCODER,
                seed=derive_seed(0, "autoencoder", t),
                held_out=(held, splits[1].labels),
            )
        close(run.memory.encoders[t].weight, fit.autoencoder.encode.weight.detach(), rtol=1e-4, atol=1e-5)
        row = run.kept.iloc[-1]
        assert row["reconstruction"] == pytest.approx(fit.reconstruction[-1], rel=1e-4)
        assert row["task_loss"] == pytest.approx(fit.task_loss[-1], rel=1e-4)
        assert row["accuracy_reconstructed"] == fit.accuracy_reconstructed


@pytest.mark.parametrize("name", CODE_METHODS)
def test_memory_reports_how_the_newest_autoencoder_does(name):
    run = run_sequence(sequence(2), method(name), net=small, settings=SETTINGS)
    assert list(run.kept["after"]) == ["task0", "task1"]
    row, validation = run.kept.iloc[-1], sequence(2)[1].validation
    direct = (run.net(validation.inputs, 1).argmax(dim=1) == validation.labels).double().mean().item()
    assert row["accuracy_direct"] == direct
    assert 0 <= row["accuracy_reconstructed"] <= 1
    assert row["reconstruction"] > 0
    assert row["task_loss"] > 0


@pytest.mark.parametrize("name", [*CODE_METHODS, "ewc"])
def test_fitting_what_is_kept_leaves_no_gradient_in_the_network(name):
    midway = Midway(name)
    kept = state(midway.net)
    midway.method.consolidate(midway.net, 1, midway.tasks[1], midway.memory, 0)
    assert same(midway.net, kept)
    assert all(parameter.requires_grad and parameter.grad is None for parameter in midway.net.parameters())


@pytest.mark.parametrize("name", ["joint", "finetune", "feature-extraction", "lwf"])
def test_the_other_methods_keep_nothing(name):
    run = run_sequence(sequence(2), method(name), net=small, settings=SETTINGS)
    assert run.memory is None
    assert run.kept.empty


def test_old_encoders_stay_as_they_were_fitted():
    tasks = sequence(3)
    runs = [run_sequence(tasks[:n], method("ebll"), net=small, settings=SETTINGS) for n in (1, 2, 3)]
    assert same(runs[2].memory.encoders[0], runs[0].memory.encoders[0])
    assert same(runs[2].memory.encoders[1], runs[1].memory.encoders[1])
    assert not same(runs[2].memory.encoders[1], runs[2].memory.encoders[0])


@settings(max_examples=8)
@given(st.integers(2, 9), st.integers(1, 9), st.lists(st.integers(2, 5), min_size=2, max_size=3), st.data())
def test_any_sizes_of_net_code_and_tasks(features, hidden, classes, data):
    name = data.draw(st.sampled_from(sorted(METHODS)))
    tasks = [blobs(f"t{i}", i, count=12 * count, classes=count, shape=(5,)) for i, count in enumerate(classes)]
    pair = nn.Sequential(nn.Linear(5, features), nn.Tanh()), nn.Sequential(nn.Linear(features, hidden), nn.ReLU())
    chosen = method(name)
    if hasattr(chosen, "autoencoder"):
        code = data.draw(st.integers(1, features - 1))
        chosen = chosen.replace(autoencoder=AUTOENCODER.replace(code_size=code, epochs=1))
    run = run_sequence(tasks, chosen, net=pair, settings=SETTINGS.replace(epochs=1))
    matrix = run.accuracy_matrix().to_numpy()
    assert matrix.shape == (len(classes), len(classes))
    assert np.array_equal(np.isnan(matrix), ~np.tri(len(classes), dtype=bool))
    assert [run.net(tasks[t].test.inputs, t).shape[1] for t in range(len(classes))] == classes


@pytest.mark.parametrize("name", CODE_METHODS)
def test_codes_begin_at_a_distance_of_zero_also_where_the_operator_is_written_in_place(name):
    net = nn.Linear(12, FEATURES), nn.Sequential(nn.ReLU(inplace=True), nn.Linear(FEATURES, 6))
    run = run_sequence(sequence(2), method(name), net=net, settings=SETTINGS, recorder=Recorder(log_every=1))
    first, *later = run.curves.query("training == 'task1' and stage == 'train'").itertuples()
    assert first.step == 0
    assert first.raw_code == pytest.approx(0, abs=1e-9)
    assert first.code_distance == first.feature_distance == 0
    assert max(row.raw_code for row in later) > 1e-6
