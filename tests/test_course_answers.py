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
from torch.func import functional_call, jacrev, vmap
from torch.nn import functional as F

import ebll
from ebll.autoencoder import Encoder
from ebll.course import checks
from ebll.fisher import fisher_diagonal
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


def objective_inplace(task_loss, distill_losses, code_losses, alphas, distill_weight):
    total = torch.zeros(1)
    total += task_loss
    total += distill_weight * distill_losses.sum()
    total += torch.dot(torch.tensor(alphas), code_losses)
    return total


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


def fisher_backward(net, parameters, inputs):
    totals = [torch.zeros_like(p) for p in parameters]
    for x in inputs:
        classes = net(x.unsqueeze(0)).shape[1]
        for y in range(classes):
            net.zero_grad()
            log_p = F.log_softmax(net(x.unsqueeze(0)), dim=1)[0]
            log_p[y].backward()
            for total, p in zip(totals, parameters, strict=True):
                total += log_p[y].exp().item() * p.grad**2 / len(inputs)
    return totals


def fisher_vmap(net, parameters, inputs):
    names = [next(name for name, p in net.named_parameters() if p is wanted) for wanted in parameters]
    chosen = {name: p.detach() for name, p in zip(names, parameters, strict=True)}

    def log_p(values, x):
        return F.log_softmax(functional_call(net, values, (x[None],)), dim=1)[0]

    jacobian = vmap(jacrev(log_p), in_dims=(None, 0))(chosen, inputs)
    p = F.softmax(net(inputs), dim=1)
    parts = (torch.einsum("nc,nc...->...", p, jacobian[name] ** 2) / len(inputs) for name in names)
    return (part.double().detach().numpy() for part in parts)


def fisher_library(net, parameters, inputs):
    return fisher_diagonal(net, net, parameters, inputs, torch.zeros(len(inputs), dtype=torch.int64))


def penalty_loop(now, before, fisher):
    total = 0.0
    for i in range(len(now)):
        total += torch.sum(fisher[i] / 2 * torch.pow(now[i] - before[i], 2))
    return total


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


def eval_left_on(net, inputs, t, temperature):
    net.eval()
    with torch.no_grad():
        return torch.softmax(net(inputs, t) / temperature, dim=1)


def gradient_kept(net, inputs, t, temperature):
    net.eval()
    answer = torch.softmax(net(inputs, t) / temperature, dim=1)
    net.train()
    return answer


def flags_left_off(net, inputs, t, temperature):
    net.requires_grad_(False)
    return gradient_kept(net, inputs, t, temperature)


def fisher_of_the_batch(net, parameters, inputs):
    log_p = F.log_softmax(net(inputs), dim=1)
    loss = F.nll_loss(log_p, log_p.argmax(dim=1))
    return [g**2 for g in torch.autograd.grad(loss, parameters)]


def fisher_piled_up(net, parameters, inputs):
    totals = [torch.zeros_like(p) for p in parameters]
    for x in inputs:
        for y in range(net(x[None]).shape[1]):
            log_p = F.log_softmax(net(x[None]), dim=1)[0, y]
            log_p.backward()
            totals = [
                t + log_p.detach().exp() * p.grad**2 / len(inputs) for t, p in zip(totals, parameters, strict=True)
            ]
    return totals


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


def test_encoder_bytes_of_the_paper_sized_net():
    """9,216 features and a code of 100, one old task: 3,686,800 bytes."""
    assert encoder_bytes_built(9216, 100, 1) == 3_686_800
