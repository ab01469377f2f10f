"""What each method adds up, on a real network part-way through a sequence, and the laws that tie methods together."""

import copy

import pytest
import torch
from messages import raises
from tiny import AUTOENCODER, FEATURES, SETTINGS, blobs, method, move, noisy, same, sequence, small, state
from torch import nn

from ebll import METHODS, Recorder, build_network, run_sequence
from ebll.autoencoder import Encoder, fit_autoencoder
from ebll.errors import InputError
from ebll.fisher import FISHER_KINDS, fisher_diagonal
from ebll.methods import Batch, Term
from ebll.methods.base import per_old_task, record
from ebll.methods.lwf import old_logits
from ebll.networks import frozen
from ebll.protocol import learn_first
from ebll.seeds import derive_seed, generator

CODE_METHODS = ["code-only", "ebll", "ebll-separate"]
DISTILLING = ["lwf", "ebll"]
KRONECKER = ["l2", "input-moments", "kfac"]


class Midway:
    """A method just before it learns the last of some tasks: trained network, memory, new head, recorded answers."""

    def __init__(self, name, tasks=None, net=small, **changes):
        self.tasks = tasks or sequence(2)
        self.method = method(name, **changes)
        run = learned(name, self.tasks[:-1], net, **changes)
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


def untouched(found, at_most=0):
    return all(gradient is None or gradient.abs().max() <= at_most for gradient in found)


def close(value, expected, **options):
    torch.testing.assert_close(torch.as_tensor(value), torch.as_tensor(expected), check_dtype=False, **options)


def learned(name, tasks=None, net=small, seed=0, settings=SETTINGS, start=None, recorder=None, **changes):
    """The run of a method over some tasks, three by default."""
    begun = {"net": net, "seed": seed} if start is None else {"start": start}
    return run_sequence(tasks or sequence(3), method(name, **changes), settings=settings, recorder=recorder, **begun)


def final(name, **options):
    return learned(name, **options).net


def shared_parameters(net):
    return [*net.features.parameters(), *net.operator.parameters()]


def test_one_weight_serves_all_tasks_or_each_has_its_own():
    assert per_old_task(0.5, 3, "alpha") == (0.5, 0.5, 0.5)
    assert per_old_task((1.0, 2.0, 3.0), 2, "alpha") == (1.0, 2.0)
    values = torch.tensor([1.0, 2.0, 4.0])
    for term, total in [
        (Term(values), 7),
        (Term(values, 0.5), 3.5),
        (Term(values, torch.tensor([1.0, 0.0, 0.25])), 2),
        (Term(values[2]), 4),
        (Term(values[2], 0.5), 2),
        (Term(values[2], 0.0), 0),
    ]:
        assert term.weighted() == total


def test_recording_in_parts_is_recording_at_once():
    net, inputs = build_network(small, (12,)), torch.randn(50, 12)
    whole = record(net, inputs, features=lambda f: f)["features"]
    assert not whole.requires_grad
    close(whole, net.features(inputs))
    for size in (1, 7, 50, 99):
        close(record(net, inputs, batch_size=size, features=lambda f: f)["features"], whole)


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


@pytest.mark.parametrize("temperature", [1.0, 3.0])
@pytest.mark.parametrize("sizes", [(3, 3, 3, 3), (3, 2, 4, 3), (2, 4)])
@pytest.mark.parametrize("name", DISTILLING)
def test_E3_after_a_move_is_one_soft_cross_entropy_an_old_head_and_reaches_f_t_and_that_head(name, sizes, temperature):
    tasks = [blobs(f"task{i}", i, classes=classes) for i, classes in enumerate(sizes)]
    midway = Midway(name, tasks, temperature=temperature, distill_weight=0.7)
    move(midway.net, 0.2)
    term, by_hand = midway.terms()["distill"], []
    for i in range(len(sizes) - 1):
        now, before = (net(midway.inputs, i) / temperature for net in (midway.net, midway.before))
        by_hand.append(nn.functional.cross_entropy(now, before.softmax(dim=1)))
    close(term.raw.flatten(), torch.stack(by_hand))
    close(term.weighted(), 0.7 * sum(by_hand))
    for part in (midway.net.features, midway.net.operator, *midway.net.heads[:-1]):
        assert all(gradient.abs().sum() > 0 for gradient in gradients(term, part))
    assert untouched(gradients(term, midway.net.heads[-1]))


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


@pytest.mark.parametrize("name", CODE_METHODS)
@pytest.mark.parametrize("length", [2, 3])
def test_E4_after_a_move_its_gradient_reaches_the_features_and_not_the_encoder(name, length):
    midway = Midway(name, sequence(length))
    assert midway.terms()["code"].raw.abs().max() < 1e-10
    move(midway.net, 0.1)
    term = midway.terms()["code"]
    assert (term.raw > 1e-6).all()
    inputs = torch.randn(5, FEATURES)
    codes = midway.memory.codes(inputs)
    term.weighted().backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in midway.net.features.parameters())
    # Nothing above F, from which the codes do not hang, and no encoder.
    above = [*midway.net.operator.parameters(), *midway.net.heads.parameters()]
    encoders = [parameter for encoder in midway.memory.encoders for parameter in encoder.parameters()]
    assert all(parameter.grad is None for parameter in (*above, *encoders))
    assert not any(parameter.requires_grad for parameter in encoders)
    assert torch.equal(midway.memory.codes(inputs), codes)


@pytest.mark.parametrize("name", CODE_METHODS)
@pytest.mark.parametrize("sizes", [(4, 4, 4), (2, 4, 3)])
@pytest.mark.parametrize("alpha", [0.7, (0.25, 4.0, 1.5)])
def test_E4_is_half_the_squared_norm_of_each_old_tasks_code_weighted_by_its_alpha(name, sizes, alpha):
    midway = Midway(name, sequence(4), alpha=alpha, autoencoder=AUTOENCODER.replace(code_size=sizes))
    move(midway.net, 0.3)
    term = midway.terms()["code"]
    now, then = midway.net.features(midway.inputs), midway.before.features(midway.inputs)
    by_hand = torch.stack(
        [0.5 * (encoder(now) - encoder(then)).square().sum(dim=1).mean() for encoder in midway.memory.encoders]
    )
    close(term.raw, by_hand)
    weights = torch.tensor(alpha if isinstance(alpha, tuple) else (alpha,) * 3)
    close(term.weighted(), (weights * by_hand).sum())


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

    final(name, net=net)
    measured = {(False, True)} if name == "ewc" else set()  # the Fisher information needs gradients in eval mode
    assert set(log) == {(True, True), (False, False)} | measured


@pytest.mark.parametrize("name", METHODS)
def test_layers_that_their_owner_froze_stay_frozen_and_unmoved(name):
    features, operator = small((12,))
    features[1].requires_grad_(False)
    net = final(name, net=(features, operator))
    assert same(net.features[0][1], features[1])
    frozen_parts = [not p.requires_grad for part in (net.features, net.operator, net.heads) for p in part.parameters()]
    assert frozen_parts == [True, True] + [False] * (len(frozen_parts) - 2)
    assert not any(part.training for part in net.modules())


BARE = {"settings": SETTINGS.replace(weight_decay=0)}
LIMITS = [
    ("ebll", {"alpha": 0}, "lwf", {}),
    ("ebll", {"alpha": 0, "temperature": 3, "distill_weight": 2}, "lwf", {"temperature": 3, "distill_weight": 2}),
    ("ebll", BARE | {"distill_weight": 0}, "code-only", BARE),
    ("ebll", BARE | {"distill_weight": 0, "alpha": 0}, "finetune", BARE),
    ("lwf", BARE | {"distill_weight": 0}, "finetune", BARE),
    ("code-only", {"alpha": 0}, "finetune", {}),
    ("ewc", {"ewc_strength": 0}, "finetune", {}),
    ("replay", BARE | {"replay_weight": 0}, "finetune", BARE),
    *((name, {"alpha": (0.7, 0.7)}, name, {"alpha": 0.7}) for name in CODE_METHODS),
]


@pytest.mark.parametrize(("name", "changes", "other", "others"), LIMITS)
def test_E5_with_alpha_0_gives_exactly_the_weights_of_lwf_and_other_limits(name, changes, other, others):
    assert same(final(name, **changes), final(other, **others))


@pytest.mark.parametrize(
    ("name", "changes", "other", "others"),
    [
        ("lwf", {}, "finetune", {}),
        ("ebll", {"alpha": 1}, "lwf", {}),
        ("ebll", {"alpha": (0.7, 7.0)}, "ebll", {"alpha": 0.7}),
        ("code-only", {"alpha": 10}, "finetune", {}),
        ("ewc", {"ewc_strength": 10}, "finetune", {}),
        ("replay", {}, "finetune", {}),
    ],
)
def test_a_weight_makes_a_difference(name, changes, other, others):
    assert not same(final(name, **changes).features, final(other, **others).features)


def test_E6_penalty_is_zero_at_the_anchor_and_quadratic_in_the_displacement():
    midway = Midway("ewc", ewc_strength=30)
    move(midway.net.heads, 1.0)  # heads are left out
    assert midway.terms()["penalty"].raw == 0
    directions = [torch.randn(anchor.shape) for anchor in midway.memory.anchors]

    def penalty(scale):
        with torch.no_grad():
            parts = zip(shared_parameters(midway.net), midway.memory.anchors, directions, strict=True)
            for parameter, anchor, direction in parts:
                parameter.copy_(anchor + scale * direction)
        return midway.terms()["penalty"]

    once, twice, back = (penalty(scale) for scale in (0.01, 0.02, -0.01))
    by_hand = sum((f * d.square()).sum() for f, d in zip(midway.memory.fisher, directions, strict=True)) * 0.01**2 / 2
    assert once.raw > 0
    close(once.raw, by_hand, rtol=1e-4, atol=0)
    close(twice.raw, 4 * once.raw, rtol=1e-4, atol=0)
    close(back.raw, once.raw, rtol=1e-4, atol=0)
    close(once.weighted(), 30 * once.raw)
    assert untouched(gradients(once, midway.net.heads))
    assert not untouched(gradients(once, midway.net.features))
    assert not untouched(gradients(once, midway.net.operator))


def test_E6_anchors_are_the_newest_parameters_and_memory_does_not_grow():
    tasks = sequence(3)
    for length in (1, 2, 3):
        run = learned("ewc", tasks[:length])
        shared = shared_parameters(run.net)
        for anchor, parameter in zip(run.memory.anchors, shared, strict=True):
            assert torch.equal(anchor, parameter)
            assert anchor.data_ptr() != parameter.data_ptr()
        assert set(run.kept["bytes"]) == {run.memory.bytes()} == {2 * 4 * sum(p.numel() for p in shared)}


@pytest.mark.parametrize("decay", [1.0, 0.5, 0.0])
@pytest.mark.parametrize("kind", FISHER_KINDS)
def test_E6_E7_old_importance_fades_by_the_decay_and_the_new_is_added(decay, kind):
    """Each task's Fisher information through its own head, and from streams of its own for samples and labels."""
    tasks, parts, seed = sequence(2), [], 4
    changes = {"fisher_decay": decay, "fisher": kind, "ewc_strength": 1, "fisher_samples": 40}
    for t in (0, 1):
        run = learned("ewc", tasks[: t + 1], seed=seed, **changes)
        net, data = run.net, tasks[t].train
        data = data.take(torch.randperm(len(data), generator=generator(seed, "fisher samples", t))[:40])
        given = (shared_parameters(net), data.inputs, data.labels, kind, derive_seed(seed, "fisher", t))
        parts.append(fisher_diagonal(net, lambda x, net=net, t=t: net(x, t), *given))
    for found, old, new in zip(run.memory.fisher, *parts, strict=True):
        close(found, decay * old + new, rtol=1e-4, atol=1e-8)


@pytest.mark.parametrize("name", METHODS)
def test_a_net_whose_features_and_operator_have_no_weights_is_learned_or_refused(name):
    if name in KRONECKER[1:]:
        with raises(InputError, "nn.Linear"):
            final(name, net=(nn.Flatten(), nn.Identity()))
        return
    net = final(name, net=(nn.Flatten(), nn.Identity()))
    assert len(net.heads) == 3


def test_feature_extraction_leaves_old_outputs_the_same_to_the_last_bit():
    tasks = sequence(3)
    start = learn_first(tasks, net=noisy, settings=SETTINGS, recorder=Recorder(log_every=3))
    run = learned("feature-extraction", tasks, start=start, recorder=Recorder(log_every=3))
    assert same(run.net.features, start.net.features)
    assert same(run.net.operator, start.net.operator)
    assert torch.equal(run.net(tasks[0].test.inputs, 0), start.net(tasks[0].test.inputs, 0))
    matrix = run.accuracy_matrix().to_numpy()
    assert matrix[0, 0] == matrix[1, 0] == matrix[2, 0]
    assert matrix[1, 1] == matrix[2, 1]
    assert (run.curves.query("task != ''")["feature_distance"] == 0).all()


def test_separate_operators_leave_old_operators_and_heads_bit_equal():
    tasks = sequence(3)
    start = learn_first(tasks, net=small, settings=SETTINGS)
    nets = [final("ebll-separate", tasks=tasks[:n], start=start) for n in (1, 2, 3)]
    assert same(nets[0].heads[0][0], start.net.operator)
    assert same(nets[0].heads[0][1], start.net.heads[0])
    assert torch.equal(nets[0](tasks[0].test.inputs, 0), start.net(tasks[0].test.inputs, 0))
    for later in nets[1:]:
        assert same(later.heads[0], nets[0].heads[0])
        assert not same(later.features, nets[0].features)
    assert same(nets[2].heads[1], nets[1].heads[1])
    assert not start.net.operators_are_separate  # the snapshot is a copy


@pytest.mark.parametrize("name", METHODS)
def test_memory_counts_the_encoders_and_grows_by_one_a_task_or_there_is_none(name):
    run = learned(name)
    if name not in CODE_METHODS:
        assert (run.memory is None) == run.kept.empty == (name not in ("ewc", "replay", *KRONECKER))
        return
    encoder = 4 * (FEATURES * AUTOENCODER.code_size + AUTOENCODER.code_size)
    assert run.kept["bytes"].tolist() == [encoder, 2 * encoder, 3 * encoder]
    assert run.memory.encoder(2) is run.memory.encoders[2]
    assert run.memory.encoder(3) is None
    waiting, held = [run.memory], {}
    while waiting:  # whatever the memory leads to: encoders, no decoders, and no gradients
        thing = waiting.pop()
        if isinstance(thing, torch.Tensor):
            assert thing.grad is None
            held[thing.untyped_storage().data_ptr()] = thing.untyped_storage().nbytes()
        elif isinstance(thing, nn.Module):
            assert type(thing) is Encoder
            waiting += thing.parameters()
        elif isinstance(thing, list | tuple):
            waiting += thing
        elif hasattr(thing, "__dict__"):
            waiting += vars(thing).values()
    assert run.memory.bytes() <= sum(held.values()) <= 2 * run.memory.bytes()  # once more in the stack


@pytest.mark.parametrize("name", CODE_METHODS)
def test_E2_each_encoder_is_fitted_on_its_own_tasks_features_with_their_labels(name):
    """By streams of its own for images and weights; how it does on the validation split is reported."""
    tasks, settings, seed = sequence(2), AUTOENCODER.replace(images=40), 4
    runs = [learned(name, tasks[:n], seed=seed, autoencoder=settings) for n in (1, 2)]
    for t, (task, run) in enumerate(zip(tasks, runs, strict=True)):
        net, held = run.net, task.validation
        rows = torch.randperm(len(task.train), generator=generator(seed, "autoencoder images", t))[:40].sort().values
        data = task.train.take(rows)

        def classify(features, net=net, t=t):
            return net.heads[t](net.operator(features))

        with frozen(net):
            fit = fit_autoencoder(
                net.features(data.inputs).detach(),
                data.labels,
                classify,
                settings,
                seed=derive_seed(seed, "autoencoder", t),
                held_out=(net.features(held.inputs).detach(), held.labels),
            )
        close(run.memory.encoders[t].weight, fit.autoencoder.encode.weight.detach(), rtol=1e-4, atol=1e-5)
        row = run.kept.iloc[-1]
        assert row["after"] == task.name
        assert row["reconstruction"] == pytest.approx(fit.reconstruction[-1], rel=1e-4)
        assert row["task_loss"] == pytest.approx(fit.task_loss[-1], rel=1e-4)
        assert row["accuracy_direct"] == (net(held.inputs, t).argmax(dim=1) == held.labels).double().mean().item()
        assert row["accuracy_reconstructed"] == fit.accuracy_reconstructed
    assert same(runs[1].memory.encoders[0], runs[0].memory.encoders[0])  # old encoders stay as they were fitted
    assert not same(runs[1].memory.encoders[1], runs[1].memory.encoders[0])


@pytest.mark.parametrize("name", ["finetune", "code-only", "ewc"])
def test_old_heads_get_no_gradient_and_stay_where_nothing_distils_them(name):
    tasks = sequence(3)
    start = learn_first(tasks, net=small, settings=SETTINGS)
    net = final(name, tasks=tasks, start=start)
    assert same(net.heads[0], start.net.heads[0])
    assert not same(net.operator, start.net.operator)
