"""Answers to the exercises as people write them, right and wrong, independent of the tables of known mistakes.

They stand in course_answers.txt; those that take more than a line are functions here.
"""

import copy
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from sklearn.neighbors import KNeighborsClassifier, NearestCentroid  # noqa: F401 - named in the table
from torch import nn  # noqa: F401 - named in the table, as other imports are
from torch.nn import functional as F

import ebll
from ebll.autoencoder import Encoder
from ebll.course import checks
from ebll.methods.ebll import EncoderMemory

TABLE = Path(__file__).with_name("course_answers.txt")


def recorded_in_batches(net, inputs, t, temperature):
    net.eval()
    with torch.inference_mode():
        rows = [ebll.losses.soften(net(x[None], t), temperature)[0] for x in inputs]
    net.train()
    return torch.stack(rows)


def recorded_frozen(net, inputs, t, temperature):
    with ebll.networks.frozen(net):
        return ebll.losses.soften(net(inputs, t), temperature).double().detach()


def pca_sklearn(features, size):
    model = PCA(size).fit(features.numpy())
    return model.inverse_transform(model.transform(features.numpy()))


def pca_lowrank(features, size):
    u, s, v = torch.pca_lowrank(features, q=min(features.shape), niter=4)
    return u[:, :size] @ torch.diag(s[:size]) @ v[:, :size].T + features.mean(0)


def cka_of_kernels(x, y):
    """With the matrices of inner products between images, centred on both sides."""
    h = torch.eye(len(x)) - 1 / len(x)
    k, m = h @ x @ x.T @ h, h @ y @ y.T @ h
    return torch.trace(k @ m) / torch.sqrt(torch.trace(k @ k) * torch.trace(m @ m))


def training(
    code=lambda now, before: 0.5 * (now - before).square().sum(1).mean(), soften=lambda z, t: F.softmax(z / t, 1),
    star=copy.deepcopy, learns=lambda net, encoder: net.parameters(), clear=lambda optimizer: optimizer.zero_grad(),
    momentum=0.0,
):  # fmt: skip
    """The loop of a student, in which one thing is otherwise."""

    def mine(net, encoder, inputs, labels, alpha, distill_weight, temperature, learning_rate):
        old, optimizer = star(net), torch.optim.SGD(learns(net, encoder), lr=learning_rate, momentum=momentum)
        for x, y in zip(inputs, labels, strict=True):
            with torch.no_grad():
                targets, codes = soften(old(x, 0), temperature), encoder(old.features(x))
            answers = soften(net(x, 0), temperature)
            distillation = -(targets * answers.log()).sum(1).mean()
            term = code(encoder(net.features(x)), codes)
            loss = F.cross_entropy(net(x, 1), y) + distill_weight * distillation + alpha * term
            clear(optimizer)
            loss.backward()
            optimizer.step()
        return list(net.parameters())

    return mine


training_by_hand = training()


def training_recorded(net, encoder, inputs, labels, alpha, distill_weight, temperature, learning_rate):
    """Without an optimiser, in train mode, all targets recorded at once, gradients taken and subtracted."""
    with torch.no_grad():
        x = inputs.flatten(0, 1)
        rows = zip(F.softmax(net(x, 0) / temperature, 1).split(8), encoder(net.features(x)).split(8), strict=True)
        rows = list(rows)
    encoder.requires_grad_(False)
    net.train()
    for x, y, (targets, codes) in zip(inputs, labels, rows, strict=True):
        features = net.features(x)
        hidden = net.operator(features)
        loss = F.cross_entropy(net.heads[1](hidden), y) + alpha * F.mse_loss(encoder(features), codes) * 3 / 2
        loss = loss + distill_weight * F.cross_entropy(net.heads[0](hidden) / temperature, targets)
        gradients = torch.autograd.grad(loss, list(net.parameters()))
        with torch.no_grad():
            for p, g in zip(net.parameters(), gradients, strict=True):
                p -= learning_rate * g
    return [p.detach().numpy() for p in net.parameters()]


def shift_by_pseudoinverse(now, before, weight):
    move = (now - before).T
    across = torch.linalg.pinv(weight) @ (weight @ move)
    return across.norm(dim=0).mean(), (move - across).norm(dim=0).mean().item()


def class_means(features, labels):
    chosen = F.one_hot(labels).to(features)
    return chosen.T @ features / chosen.sum(0)[:, None]


def nearest_loops(features, labels, queries):
    means, found = class_means(features, labels), []
    for query in queries:
        apart = [float(((query - mean) ** 2).sum()) for mean in means]
        found.append(apart.index(min(apart)))
    return found


def encoder_bytes_built(feature_size, code_size, old_tasks):
    encoders = tuple(Encoder(feature_size, code_size) for _ in range(old_tasks))
    return EncoderMemory(encoders, {}).bytes()


def strength_by_trial(fisher, learning_rate, momentum):
    """Bisect for the strength at which the recursion's matrix gets an eigenvalue of size 1."""
    largest, low, high = max(part.max().item() for part in fisher), 0.0, 1e4
    for _ in range(60):
        strength = (low + high) / 2
        step = np.array([[1 + momentum - learning_rate * strength * largest, -momentum], [1, 0]])
        grows = np.abs(np.linalg.eigvals(step)).max() > 1 + 1e-9
        low, high = (low, strength) if grows else (strength, high)
    return low


def layer_by_loops(weight, bias, inputs, gradients):
    """Half the mean over all pairs of samples (one input, one gradient) of the squared change along the gradient."""
    total = 0.0
    for x in inputs:
        for g in gradients:
            total = total + (g * (weight @ x + bias)).sum() ** 2
    return total / len(inputs) / len(gradients) / 2


def layer_by_factors(weight, bias, inputs, gradients, product=lambda A, G, moved: G @ moved @ A @ moved.T):
    read = F.pad(inputs, (0, 1), value=1.0)
    A, G = (torch.einsum("ni,nj->ij", rows, rows) / len(rows) for rows in (read, gradients))
    return 0.5 * product(A, G, torch.column_stack([weight, bias])).trace()


def layer_by_the_library(weight, bias, inputs, gradients):
    read = F.pad(inputs, (0, 1), value=1.0)
    root = ebll.losses.moment_root(read.T @ read / len(read), rank=len(weight))
    moved = torch.column_stack([weight, bias]) @ root
    return ebll.losses.kronecker_penalty(moved, gradients.T @ gradients / len(gradients))


def replay_in_a_loop(net, t, inputs, labels, old_inputs, old_labels, weight, head=None):
    total = F.cross_entropy(net(inputs, t), labels)
    for i in range(len(old_inputs)):
        total = total + weight * F.cross_entropy(net(old_inputs[i], i if head is None else head), old_labels[i])
    return total


def replay_as_joint_training(net, t, inputs, labels, old_inputs, old_labels, weight):
    total = 0.0
    for i, (images, answers) in enumerate(zip([*old_inputs, inputs], [*old_labels, labels], strict=True)):
        log_p = F.log_softmax(net.heads[i](net.operator(net.features(images))), dim=-1)
        total -= (1.0 if i == t else weight) * log_p.gather(1, answers[:, None]).mean()
    return total


def replay_by_the_library(net, t, inputs, labels, old_inputs, old_labels, weight):
    stored = tuple(map(ebll.data.Split, old_inputs, old_labels))
    batch = ebll.methods.Batch(t, inputs, labels, {})
    terms = ebll.Replay(replay_weight=weight).loss_terms(net, [batch], ebll.methods.replay.ReplayMemory(stored))
    return sum(term.weighted() for term in terms.values())


def replay_in_one_mean(net, t, inputs, labels, old_inputs, old_labels, weight):
    losses = [
        F.cross_entropy(net(x, i), y, reduction="none")
        for i, (x, y) in enumerate(zip(old_inputs, old_labels, strict=True))
    ]
    return F.cross_entropy(net(inputs, t), labels) + weight * torch.cat(losses).mean()


def replay_averaged(net, t, inputs, labels, old_inputs, old_labels, weight):
    losses = [F.cross_entropy(net(x, i), y) for i, (x, y) in enumerate(zip(old_inputs, old_labels, strict=True))]
    return F.cross_entropy(net(inputs, t), labels) + weight * torch.stack(losses).mean()


def front_by_sorting(old, new):
    """Sweep from the best old accuracy down: on the front is what beats all new accuracies so far."""
    on, best = [False] * len(old), -1.0
    ended = [i for i in range(len(old)) if old[i] == old[i] and new[i] == new[i]]
    for value in sorted({old[i] for i in ended}, reverse=True):
        level = [i for i in ended if old[i] == value]
        top = max(new[i] for i in level)
        if top > best:
            for i in level:
                on[i] = bool(new[i] == top)
            best = top
    return on


def front_at_once(old, new):
    at_least = (old[None] >= old[:, None]) & (new[None] >= new[:, None])
    better = (old[None] > old[:, None]) | (new[None] > new[:, None])
    return ~(at_least & better).any(axis=1) & np.isfinite(old) & np.isfinite(new)


def shrinkage_loops(scores, k):
    best, mean = 0, -1.0
    for cell in range(len(scores)):
        of_cell = sum(scores[cell][seed] for seed in range(k)) / k
        if of_cell > mean:
            best, mean = cell, of_cell
    fresh = [scores[best][seed] for seed in range(k, len(scores[best]))]
    return mean - sum(fresh) / len(fresh)


def selected_by_mask(alphas, code_loss, new_accuracy, reference, tolerance):
    good = np.append(True, np.diff(code_loss) <= 0) & (new_accuracy >= (1 - tolerance) * reference)
    return alphas[good].max() if good.any() else alphas.min()


def selected_rule(grown, enough=lambda reference, tolerance: (1 - tolerance) * reference):
    """From the largest alpha down, with grown(code_loss, i) -> bool and the least accuracy on the new task."""

    def mine(alphas, code_loss, new_accuracy, reference, tolerance):
        for i in reversed(range(len(alphas))):
            if not grown(code_loss, i) and new_accuracy[i] >= enough(reference, tolerance):
                return alphas[i]
        return alphas[0]

    return mine


def windows_by_grid(teacher, stored, top, left, size, temperature):
    """All windows at once, by their rows' and columns' numbers."""
    rows = top[:, None] + torch.arange(size)
    columns = left[:, None] + torch.arange(size)
    picked = torch.arange(len(stored))[:, None, None]
    windows = stored[picked, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
    other = copy.deepcopy(teacher).eval()
    return F.softmax(other.heads[0](other.operator(other.features(windows))).detach() / temperature, dim=-1)


def windows_one_by_one(teacher, stored, top, left, size, temperature):
    said = []
    with ebll.networks.frozen(teacher):
        for image, y, x in zip(stored, top, left, strict=True):
            said.append(teacher(image[None].narrow(2, int(y), size).narrow(3, int(x), size), 0)[0])
    return F.softmax(torch.stack(said) / temperature, dim=1)


def recorded_bytes_built(windows, classes, code_sizes):
    rows = [torch.empty(windows, columns) for columns in (*classes, *code_sizes)]
    return sum(row.numel() * row.element_size() for row in rows)


def train_mode(net, inputs, t, temperature):
    with torch.no_grad():
        return torch.softmax(net(inputs, t) / temperature, dim=1)


def gradient_kept(net, inputs, t, temperature):
    net.eval()
    answer = torch.softmax(net(inputs, t) / temperature, dim=1)
    net.train()
    return answer


def windows_mislaid(teacher, stored, top, left, size, temperature):
    """Recorded once, of the central windows."""
    at = (stored.shape[2] - size) // 2
    other = copy.deepcopy(teacher).eval()
    return F.softmax(other(stored[:, :, at : at + size, at : at + size], 0).detach() / temperature, dim=1)


def windows_swapped(teacher, stored, top, left, size, temperature):
    return windows_one_by_one(teacher, stored, left, top, size, temperature)


def answers():
    """(check, verdict, expression) of each line of the table."""
    for number, line in enumerate(TABLE.read_text("utf-8").splitlines(), 1):
        if line.startswith("["):
            name = line.strip("[]")
        elif line and not line.startswith("#"):
            yield pytest.param(name, *line.split(maxsplit=1), id=f"{name}-line {number}")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("name", "verdict", "answer"), list(answers()))
def test_right_answers_in_other_styles_pass_and_classic_wrong_ones_get_their_hint(name, verdict, answer, capsys):
    check, function = getattr(checks, name), eval(answer)
    if verdict == "correct":
        check(function)
        assert capsys.readouterr().out.startswith(f"{name}: correct. ")
    else:
        with pytest.raises(checks.CheckFailed) as caught:
            check(function)
        assert caught.value.mistake == verdict


def test_every_check_has_other_right_answers_beside_the_librarys():
    right = Counter(case.values[0] for case in answers() if case.values[1] == "correct")
    assert [
        name
        for name in checks.__all__
        if name not in ("CheckFailed", "find_the_bug", "least_alpha") and right[name] < 2
    ] == []


def test_ebll_training_leads_where_the_librarys_loop_leads():
    net, encoder, _, _, alpha, weight, theta, rate = checks.ebll_training.cases()[0]
    split = torch.randn(40, 4), torch.arange(40) % 4
    task = ebll.Task.from_tensors("new", split, split, split, standardise=False)
    method, memory = ebll.EBLL(alpha=alpha, distill_weight=weight, temperature=theta), EncoderMemory((encoder,), {})
    options = {
        "epochs": 1,
        "batch_size": 8,
        "learning_rate": rate,
        "momentum": 0.0,
        "weight_decay": 0.0,
        "drop_at": 1.0,
    }
    order = ebll.training.batches_of(task, 1, None, 8, ebll.seeds.generator(0, "batches", 1, 1))
    batches = [next(order) for _ in range(5)]
    inputs, labels = (torch.stack(parts) for parts in zip(*((b.inputs, b.labels) for b in batches), strict=True))
    ours = checks.ebll_training.right(copy.deepcopy(net), encoder, inputs, labels, alpha, weight, theta, rate)
    targets = method.record_targets(net, 1, task.train.inputs, memory)
    settings = ebll.TrainSettings(**options)
    for step in ebll.training.train(net, method, 1, {1: task}, settings=settings, memory=memory, targets=targets):
        assert step.total == 5
    for mine, theirs in zip(ours, net.parameters(), strict=True):
        assert torch.allclose(mine, theirs, atol=1e-6), "the same sums in another order of rounding"


def test_encoder_bytes_of_the_paper_sized_net():
    """9,216 features and a code of 100, one old task: 3,686,800 bytes."""
    assert encoder_bytes_built(9216, 100, 1) == 3_686_800
