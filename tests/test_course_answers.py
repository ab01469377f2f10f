"""Answers to the exercises as people write them, right and wrong, independent of the tables of known mistakes."""

import copy
import math

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.decomposition import PCA
from torch import nn
from torch.func import functional_call, jacrev, vmap
from torch.nn import functional as F

import ebll
from ebll.autoencoder import Encoder
from ebll.course import checks
from ebll.fisher import fisher_diagonal
from ebll.methods.codes import EncoderMemory


def table(*rows):
    """(check, function, words) -> parameters named by check and number."""
    return [pytest.param(*row, id=f"{row[0]}-{n}") for n, row in enumerate(rows)]


def forgetting_loops(a):
    total = 0.0
    for task in range(a.shape[0] - 1):
        best = -1.0
        for stage in range(task, a.shape[0] - 1):
            best = max(best, a[stage][task])
        total += best - a[-1][task]
    return total / (a.shape[0] - 1)


def backward_loops(a):
    changes = []
    for j in range(len(a) - 1):
        changes.append(a[len(a) - 1][j] - a[j][j])
    return sum(changes) / len(changes)


def recorded_by_hand(net, inputs, t, temperature):
    modes = [module.training for module in net.modules()]
    net.eval()
    with torch.no_grad():
        answer = torch.softmax(net(inputs, t) / temperature, dim=1)
    for module, mode in zip(net.modules(), modes, strict=True):
        module.training = mode
    return answer


def recorded_from_a_copy(net, inputs, t, temperature):
    teacher = copy.deepcopy(net).eval()
    for parameter in teacher.parameters():
        parameter.requires_grad = False
    hidden = teacher.operator(teacher.features(inputs))
    return ebll.losses.soften(teacher.heads[t](hidden), temperature)


def recorded_in_batches(net, inputs, t, temperature):
    net.eval()
    with torch.inference_mode():
        rows = [ebll.losses.soften(net(x[None], t), temperature)[0] for x in inputs]
    net.train()
    return torch.stack(rows)


def recorded_frozen(net, inputs, t, temperature):
    with ebll.networks.frozen(net):
        return ebll.losses.soften(net(inputs, t), temperature).double().detach()


def pca_eigh(features, size):
    mean = features.mean(0, keepdim=True)
    _, vectors = torch.linalg.eigh((features - mean).T @ (features - mean))
    basis = vectors[:, -size:]
    return torch.einsum("nd,dk,ek->ne", features - mean, basis, basis) + mean


def pca_numpy(features, size):
    x = features.numpy().astype(float)
    u, s, vt = np.linalg.svd(x - x.mean(0), full_matrices=False)
    return (u[:, :size] * s[:size]) @ vt[:size] + x.mean(0)


def pca_sklearn(features, size):
    model = PCA(size).fit(features.numpy())
    return model.inverse_transform(model.transform(features.numpy()))


def pca_lowrank(features, size):
    u, s, v = torch.pca_lowrank(features, q=min(features.shape), niter=4)
    return u[:, :size] @ torch.diag(s[:size]) @ v[:, :size].T + features.mean(0)


def half_square_loops(now, before):
    total = 0
    for a, b in zip(now, before, strict=True):
        for x, y in zip(a, b, strict=True):
            total = total + (x - y) ** 2 / 2
    return total / len(now)


HALF_SQUARES = [
    half_square_loops,
    lambda now, before: torch.einsum("nc,nc->", now - before, now - before) / (2 * now.shape[0]),
    lambda now, before: (0.5 * torch.linalg.norm(now - before, dim=1) ** 2).mean(),
    lambda now, before: F.mse_loss(now, before) * now.shape[1] / 2,
    lambda now, before: 0.5 * ((before.double() - now.double()) ** 2).sum(-1).mean(),
    lambda now, before: nn.MSELoss(reduction="sum")(now, before.detach()) / 2 / len(now),
    lambda now, before: (0.5 * (now - before).pow(2).sum(dim=1)).mean(dim=0, keepdim=True),
]


def objective_loop(task_loss, distill_losses, code_losses, alphas, distill_weight):
    total = task_loss
    for distill, code, alpha in zip(distill_losses, code_losses, alphas, strict=True):
        total = total + distill_weight * distill + alpha * code
    return total


def objective_inplace(task_loss, distill_losses, code_losses, alphas, distill_weight):
    total = torch.zeros(1)
    total += task_loss
    total += distill_weight * distill_losses.sum()
    total += torch.dot(torch.tensor(alphas), code_losses)
    return total


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
    return tuple(torch.einsum("nc,nc...->...", p, jacobian[name] ** 2) / len(inputs) for name in names)


def fisher_library(net, parameters, inputs):
    return fisher_diagonal(net, net, parameters, inputs, torch.zeros(len(inputs), dtype=torch.int64))


def fisher_doubles(net, parameters, inputs):
    parts = fisher_vmap(net, parameters, inputs)
    return (part.double().detach().numpy() for part in parts)


def penalty_flat(now, before, fisher):
    now, before, fisher = (torch.cat([t.flatten() for t in part]) for part in (now, before, fisher))
    return 0.5 * (fisher * (now - before) ** 2).sum()


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


def honest_by_mask(alphas, code_loss, new_accuracy, reference, tolerance):
    good = np.append(True, np.diff(code_loss) <= 0) & (new_accuracy >= (1 - tolerance) * reference)
    return alphas[good].max() if good.any() else alphas.min()


def honest_upwards(alphas, code_loss, new_accuracy, reference, tolerance):
    chosen = alphas[0]
    for i in range(1, len(alphas)):
        if code_loss[i] <= code_loss[i - 1] and new_accuracy[i] >= reference - tolerance * reference:
            chosen = alphas[i]
    return chosen


def honest_rule(grown, enough=lambda reference, tolerance: (1 - tolerance) * reference):
    """From the largest alpha down, with grown(code_loss, i) -> bool and the least accuracy on the new task."""

    def mine(alphas, code_loss, new_accuracy, reference, tolerance):
        for i in reversed(range(len(alphas))):
            if not grown(code_loss, i) and new_accuracy[i] >= enough(reference, tolerance):
                return alphas[i]
        return alphas[0]

    return mine


def honest_by_the_library(alphas, code_loss, new_accuracy, reference, tolerance):
    """From a table as of a sweep: one run an alpha, beside one of fine-tuning."""
    rows = {"method": "ebll", "alpha": alphas, "seed": 0, "new_validation": new_accuracy, "code_loss": code_loss}
    plain = {"method": ["finetune"], "seed": [0], "new_validation": [reference]}
    unseen = dict.fromkeys(("old_validation", "old", "new", "average"), 0.0)
    table = pd.concat([pd.DataFrame(rows | unseen), pd.DataFrame(plain)], ignore_index=True)
    return ebll.sweeps.choose_alpha(table, tolerance=tolerance).honest


def windows_by_grid(teacher, stored, top, left, size, temperature):
    """All windows at once, by their rows' and columns' numbers."""
    rows = top[:, None] + torch.arange(size)
    columns = left[:, None] + torch.arange(size)
    picked = torch.arange(len(stored))[:, None, None]
    windows = stored[picked, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
    other = copy.deepcopy(teacher).eval()
    return F.softmax(other.heads[0](other.operator(other.features(windows))).detach() / temperature, dim=-1)


@torch.no_grad()
def windows_one_by_one(teacher, stored, top, left, size, temperature):
    was = [(m, m.training) for m in teacher.modules()]
    teacher.eval()
    said = []
    for i in range(len(stored)):
        window = stored[i : i + 1].narrow(2, int(top[i]), size).narrow(3, int(left[i]), size)
        said.append(teacher(window, 0)[0])
    for m, mode in was:
        m.training = mode
    logits = torch.stack(said) / temperature
    return logits.exp() / logits.exp().sum(dim=1, keepdim=True)


def recorded_bytes_built(windows, classes, code_sizes):
    rows = [torch.empty(windows, c) for c in classes] + [torch.empty(windows, size) for size in code_sizes]
    return sum(row.numel() * row.element_size() for row in rows)


def recorded_bytes_loop(windows, classes, code_sizes):
    total = 0
    for task in range(len(classes)):
        total += 4 * windows * classes[task]
        total += 4 * windows * code_sizes[task]
    return total


RIGHT = table(
    ("pareto_front", front_by_sorting),
    ("pareto_front", front_at_once),
    ("shrinkage", shrinkage_loops),
    ("shrinkage", lambda s, k: np.subtract(*(part[s[:, :k].mean(1).argmax()].mean() for part in (s[:, :k], s[:, k:])))),
    ("honest_alpha", honest_by_mask),
    ("honest_alpha", honest_upwards),
    ("honest_alpha", honest_by_the_library),
    ("honest_alpha", honest_rule(lambda loss, i: loss[i] > loss[i - 1])),  # the smallest is taken, passing or not
    ("forgetting", forgetting_loops),
    ("forgetting", lambda m: (np.nanmax(m[:-1, :-1], axis=0) - m[-1, :-1]).mean()),
    ("forgetting", lambda m: float(np.mean([np.max(m[j:-1, j]) - m[-1, j] for j in range(len(m) - 1)]))),
    ("forgetting", lambda m: np.float32(ebll.metrics.forgetting(m))),
    ("average_accuracy", lambda m: m[-1].mean()),
    ("average_accuracy", lambda m: sum(m[len(m) - 1, j] for j in range(len(m))) / m.shape[1]),
    ("average_accuracy", lambda m: torch.tensor(m)[-1].mean()),
    ("backward_transfer", backward_loops),
    ("backward_transfer", lambda m: np.mean(m[-1, :-1] - np.diag(m)[:-1])),
    ("backward_transfer", lambda m: (m[-1] - m.diagonal()).sum() / (len(m) - 1)),
    ("new_head_only", lambda net, t: list(net.heads[t].parameters())),
    ("new_head_only", lambda net, t: net.heads[t].parameters()),
    ("new_head_only", lambda net, t: [net.heads[t].bias, net.heads[t].weight]),
    ("new_head_only", lambda net, t: [p for name, p in net.named_parameters() if name.startswith(f"heads.{t}.")]),
    ("new_head_only", lambda net, t: list(ebll.FeatureExtraction().trained_parts(net, t).parameters())),
    ("soften", lambda z, t: F.softmax(z / t, dim=-1)),
    ("soften", lambda z, t: torch.exp(z / t) / torch.exp(z / t).sum(1, keepdim=True)),
    ("soften", lambda z, t: F.normalize(torch.softmax(z.double(), 1) ** (1 / t), p=1, dim=1)),
    ("soften", lambda z, t: torch.stack([torch.softmax(row / t, 0) for row in z])),
    ("distillation", lambda z, p, t: F.cross_entropy(z / t, p)),
    ("distillation", lambda z, p, t: -(p * torch.log(torch.softmax(z / t, 1))).sum() / len(z)),
    ("distillation", lambda z, p, t: -torch.einsum("nc,nc->n", p, F.log_softmax(z / t, -1)).mean()),
    ("distillation", lambda z, p, t: sum(-(a @ F.log_softmax(b / t, 0)) for a, b in zip(p, z, strict=True)) / len(z)),
    ("distillation", lambda z, p, t: F.cross_entropy(z.double() / t, p.double())),
    ("recorded_targets", recorded_by_hand),
    ("recorded_targets", recorded_from_a_copy),
    ("recorded_targets", recorded_in_batches),
    ("recorded_targets", recorded_frozen),
    ("pca_reconstruction", pca_eigh),
    ("pca_reconstruction", pca_numpy),
    ("pca_reconstruction", pca_sklearn),
    ("pca_reconstruction", pca_lowrank),
    *(("reconstruction_error", function) for function in HALF_SQUARES),
    *(("code_distance", function) for function in HALF_SQUARES),
    ("autoencoder_loss", lambda r, v, z, y, w: w * 0.5 * ((r - v) ** 2).sum(1).mean() + F.cross_entropy(z, y)),
    ("autoencoder_loss", lambda r, v, z, y, w: nn.CrossEntropyLoss()(z, y) + (w / 2 * (r - v) ** 2).sum() / len(r)),
    (
        "autoencoder_loss",
        lambda r, v, z, y, w: torch.stack(
            [w * (a - b) @ (a - b) / 2 - F.log_softmax(c, 0)[k] for a, b, c, k in zip(r, v, z, y, strict=True)]
        ).mean(),
    ),
    ("ebll_objective", objective_loop),
    ("ebll_objective", objective_inplace),
    ("ebll_objective", lambda loss, d, c, a, w: loss + (w * d + torch.as_tensor(a).double() * c).sum()),
    ("encoder_bytes", encoder_bytes_built),
    ("encoder_bytes", lambda f, c, n: n * c * (f + 1) * 4),
    ("encoder_bytes", lambda f, c, n: (f * c + c) * 32 / 8 * n),
    ("encoder_bytes", lambda f, c, n: sum(p.nbytes for p in Encoder(f, c).parameters()) * n),
    ("fisher_diagonal", fisher_backward),
    ("fisher_diagonal", fisher_vmap),
    ("fisher_diagonal", fisher_library),
    ("fisher_diagonal", fisher_doubles),
    ("alpha_from_mse", lambda weight, code_size: weight / (0.5 * code_size)),
    ("alpha_from_mse", lambda w, n: w * F.mse_loss(torch.ones(n), torch.zeros(n)).item() / (0.5 * n)),
    ("window_targets", windows_by_grid),
    ("window_targets", windows_one_by_one),
    ("recorded_bytes", recorded_bytes_built),
    ("recorded_bytes", recorded_bytes_loop),
    ("quadratic_penalty", penalty_flat),
    ("quadratic_penalty", penalty_loop),
    ("quadratic_penalty", lambda a, b, f: sum((w * (x - y).square()).sum() for x, y, w in zip(a, b, f)) * 0.5),  # noqa: B905
)


@pytest.mark.parametrize(("name", "function"), RIGHT)
def test_right_answers_in_other_styles_pass(name, function, capsys):
    getattr(checks, name)(function)
    assert capsys.readouterr().out.startswith(f"{name}: correct. ")


def test_every_check_has_other_right_answers_beside_the_librarys():
    names = [case.values[0] for case in RIGHT]
    assert all(names.count(name) >= 2 for name in checks.__all__ if name not in ("CheckFailed", "temperature"))


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
    for parameter in net.parameters():
        parameter.requires_grad = False
    net.eval()
    answer = torch.softmax(net(inputs, t) / temperature, dim=1)
    net.train()
    return answer


def fisher_of_the_batch(net, parameters, inputs):
    log_p = F.log_softmax(net(inputs), dim=1)
    loss = F.nll_loss(log_p, log_p.argmax(dim=1))
    return [g**2 for g in torch.autograd.grad(loss, parameters)]


def fisher_by_class_of_the_batch(net, parameters, inputs):
    log_p = F.log_softmax(net(inputs), dim=1)
    result = [torch.zeros_like(p) for p in parameters]
    for y in range(log_p.shape[1]):
        gradients = torch.autograd.grad(log_p[:, y].mean(), parameters, retain_graph=True)
        for total, g in zip(result, gradients, strict=True):
            total += log_p[:, y].exp().mean().detach() * g**2
    return result


def fisher_of_the_best_guess(net, parameters, inputs):
    result = [torch.zeros_like(p) for p in parameters]
    for x in inputs:
        log_p = F.log_softmax(net(x[None]), dim=1)
        for total, g in zip(result, torch.autograd.grad(log_p.max(), parameters), strict=True):
            total += g**2 / len(inputs)
    return result


def forgetting_without_the_first(m):
    return np.mean([m[j:-1, j].max() - m[-1, j] for j in range(1, len(m) - 1)])


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


def fisher_sampled(net, parameters, inputs):
    totals = [torch.zeros_like(p) for p in parameters]
    for x in inputs:
        log_p = F.log_softmax(net(x[None]), dim=1)[0]
        y = torch.distributions.Categorical(logits=log_p).sample()
        for total, g in zip(totals, torch.autograd.grad(log_p[y], parameters), strict=True):
            total += g**2 / len(inputs)
    return totals


def dropout_left_off(net, inputs, t, temperature):
    for module in net.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    return torch.softmax(net(inputs, t) / temperature, dim=1).detach()


def fisher_unsquared(net, parameters, inputs):
    log_p = F.log_softmax(net(inputs), dim=1)
    return list(torch.autograd.grad((log_p.exp().detach() * log_p).sum(dim=1).mean(), parameters))


def windows_mislaid(teacher, stored, top, left, size, temperature):
    """Recorded once, of the central windows."""
    at = (stored.shape[2] - size) // 2
    other = copy.deepcopy(teacher).eval()
    return F.softmax(other(stored[:, :, at : at + size, at : at + size], 0).detach() / temperature, dim=1)


def windows_swapped(teacher, stored, top, left, size, temperature):
    return windows_one_by_one(teacher, stored, left, top, size, temperature)


def windows_noisy(teacher, stored, top, left, size, temperature):
    cut = torch.stack([image[:, y : y + size, x : x + size] for image, y, x in zip(stored, top, left, strict=True)])
    return F.softmax(teacher(cut, 0).detach() / temperature, dim=1)


WRONG = table(
    ("honest_alpha", honest_rule(lambda loss, i: loss[i] > loss[: i + 1].min()), "every-smaller"),
    ("honest_alpha", honest_rule(lambda loss, i: i > 0 and loss[i] > loss[i - 1], lambda r, t: t * r), "kept-share"),
    ("alpha_from_mse", lambda w, n: w, "as-it-is"),
    ("alpha_from_mse", lambda w, n: 0.5 * w * n, "inverse"),
    ("alpha_from_mse", lambda w, n: w / n, "no-half"),
    ("window_targets", windows_mislaid, "central"),
    ("window_targets", windows_swapped, "swapped"),
    ("window_targets", windows_noisy, "random"),
    ("recorded_bytes", lambda n, c, s: n * (sum(c) + sum(s)), "numbers"),
    ("recorded_bytes", lambda n, c, s: 4 * (sum(c) + sum(s)), "one-window"),
    ("recorded_bytes", lambda n, c, s: 4 * n * sum(c), "no-codes"),
    ("forgetting", lambda m: np.mean([m[j:, j].max() - m[-1, j] for j in range(len(m) - 1)]), "last-stage"),
    ("forgetting", lambda m: sum(m[j:-1, j].max() - m[-1, j] for j in range(len(m) - 1)) / len(m), "all-tasks"),
    ("forgetting", lambda m: (np.diag(m) - m[-1])[:-1].mean(), "just-learned"),
    ("forgetting", lambda m: (m[-1] - np.diag(m))[:-1].mean(), "transfer"),
    ("forgetting", lambda m: (m.max(axis=0) - m[-1])[:-1].mean(), "nan"),
    ("forgetting", lambda m: (m[:-1].max(axis=0) - m[-1]).mean(), "nan"),
    ("forgetting", lambda m: np.mean([abs(m[j:-1, j].max() - m[-1, j]) for j in range(len(m) - 1)]), "size"),
    ("forgetting", forgetting_without_the_first, "first-task"),
    ("average_accuracy", lambda m: np.nanmean(m[:, -1]), "newest-alone"),
    ("average_accuracy", lambda m: m.mean(), "nan"),
    ("average_accuracy", lambda m: np.nanmean(m), "triangle"),
    ("average_accuracy", lambda m: np.trace(m) / len(m), "diagonal"),
    ("average_accuracy", lambda m: m[-1][:-1].mean(), "without-newest"),
    ("backward_transfer", lambda m: (np.diag(m) - m[-1])[:-1].mean(), "sign"),
    ("backward_transfer", lambda m: (m[-1] - np.diag(m)).mean(), "all-tasks"),
    ("backward_transfer", lambda m: np.mean(m[-1, :-1] - np.nanmax(m[:-1, :-1], 0)), "best"),
    ("new_head_only", lambda net, t: list(net.parameters()), "everything"),
    ("new_head_only", lambda net, t: list(net.heads.parameters()), "all-heads"),
    ("new_head_only", lambda net, t: list(net.heads[t - 1].parameters()), "old-head"),
    ("new_head_only", lambda net, t: [*net.operator.parameters(), *net.heads[t].parameters()], "shared-parts"),
    ("new_head_only", lambda net, t: list(copy.deepcopy(net.heads[t]).parameters()), "copies"),
    ("new_head_only", lambda net, t: [p.data for p in net.heads[t].parameters()], "copies"),
    ("new_head_only", lambda net, t: list(net.features.parameters()), "shared-parts"),
    ("new_head_only", lambda net, t: [p.clone() for p in net.heads[t].parameters()], "copies"),
    ("soften", lambda z, t: F.softmax(z * t, dim=1), "sharpened"),
    ("soften", lambda z, t: F.softmax(z / (1 / t), dim=1), "sharpened"),
    ("soften", lambda z, t: F.softmax(z, dim=-1), "plain"),
    ("soften", lambda z, t: F.softmax(z / t, dim=0), "over-batch"),
    ("soften", lambda z, t: F.softmax(z, 1).pow(1 / t), "denominator"),
    ("soften", lambda z, t: F.log_softmax(z / t, 1), "logarithms"),
    ("soften", lambda z, t: z / t, "logits"),
    ("soften", lambda z, t: F.softmax(F.softmax(z, 1) / t, 1), "softmax-twice"),
    ("soften", lambda z, t: torch.exp(z / t) / torch.exp(z / t).sum(), "one-sum"),
    ("distillation", lambda z, p, t: F.cross_entropy(z * t, p), "sharpened"),
    ("distillation", lambda z, p, t: F.cross_entropy(F.softmax(z / t, 1), p), "softmax-twice"),
    ("distillation", lambda z, p, t: -(p * F.log_softmax(z / t, 1)).sum(0).mean(), "axes"),
    ("distillation", lambda z, p, t: -(p * F.log_softmax(z / t, 0)).sum(1).mean(), "over-batch"),
    ("distillation", lambda z, p, t: F.cross_entropy(z / t, p, reduction="sum"), "batch-sum"),
    ("distillation", lambda z, p, t: -(p * F.log_softmax(z / t, 1)).mean(), "over-classes"),
    ("distillation", lambda z, p, t: (p * F.log_softmax(z / t, 1)).sum(1).mean(), "sign"),
    ("distillation", lambda z, p, t: F.cross_entropy(z, p), "no-temperature"),
    ("distillation", lambda z, p, t: F.cross_entropy(z / t, p) * t * t, "temperature-squared"),
    ("distillation", lambda z, p, t: nn.KLDivLoss(reduction="batchmean")(F.log_softmax(z / t, 1), p), "divergence"),
    ("distillation", lambda z, p, t: nn.KLDivLoss()(F.log_softmax(z / t, 1), p), "divergence-mean"),
    ("distillation", lambda z, p, t: -(F.softmax(z / t, 1) * torch.log(p)).sum(1).mean(), "swapped"),
    ("distillation", lambda z, p, t: -(p * F.softmax(z / t, 1)).sum(1).mean(), "no-logarithm"),
    ("distillation", lambda z, p, t: F.mse_loss(F.softmax(z / t, 1), p), "squared-error"),
    ("recorded_targets", train_mode, "random"),
    ("recorded_targets", lambda net, x, t, k: F.softmax(net(x, t) / k, 1), "random"),
    ("recorded_targets", eval_left_on, "mode-left"),
    ("recorded_targets", dropout_left_off, "mode-left"),
    ("recorded_targets", gradient_kept, "keeps-gradient"),
    ("recorded_targets", flags_left_off, "flags-left"),
    ("recorded_targets", lambda net, x, t, k: F.softmax(copy.deepcopy(net).eval()(x, t), 1), "plain"),
    ("pca_reconstruction", lambda v, k: v @ (b := torch.linalg.svd(v)[2][:k]).T @ b, "not-centred"),
    ("pca_reconstruction", lambda v, k: pca_eigh(v, k) - v.mean(0), "mean-missing"),
    ("pca_reconstruction", lambda v, k: pca_eigh(v, k + 1), "one-more"),
    ("pca_reconstruction", lambda v, k: PCA(k).fit_transform(v.numpy()), "coordinates"),
    ("pca_reconstruction", lambda v, k: v.clone(), "unchanged"),
    ("reconstruction_error", lambda r, v: 0.5 * ((r - v) ** 2).sum(0).mean(), "axes"),
    ("reconstruction_error", lambda r, v: ((0.5 * (r - v)) ** 2).sum(1).mean(), "quarter"),
    ("reconstruction_error", nn.MSELoss(), "mse"),
    ("reconstruction_error", lambda r, v: (r - v).pow(2).sum(1).mean(), "twice"),
    ("reconstruction_error", lambda r, v: F.mse_loss(r, v, reduction="sum") / 2, "batch-sum"),
    ("reconstruction_error", lambda r, v: 0.5 * (r - v).norm(dim=1).mean(), "norm"),
    ("autoencoder_loss", lambda r, v, z, y, w: w * F.mse_loss(r, v) + F.cross_entropy(z, y), "mse"),
    ("autoencoder_loss", lambda r, v, z, y, w: w * 0.5 * (r - v).square().sum(1).mean(), "no-task-loss"),
    (
        "autoencoder_loss",
        lambda r, v, z, y, w: 0.5 * (r - v).square().sum(1).mean() + w * F.cross_entropy(z, y),
        "weight-on-task",
    ),
    ("autoencoder_loss", lambda r, v, z, y, w: w * F.mse_loss(r, v), "no-task-loss"),
    ("autoencoder_loss", lambda r, v, z, y, w: w * F.l1_loss(r, v) + F.cross_entropy(z, y), "absolute"),
    (
        "autoencoder_loss",
        lambda r, v, z, y, w: w * ((r - v) ** 2).sum(1).mean() / 2 + F.nll_loss(F.softmax(z, 1), y),
        "nll",
    ),
    ("code_distance", lambda a, b: 0.5 * ((a - b) ** 2).sum(0).mean(), "axes"),
    ("code_distance", lambda a, b: 0.5 * (a - b).sum(1).pow(2).mean(), "squared-sum"),
    ("code_distance", F.mse_loss, "mse"),
    ("code_distance", lambda a, b: 0.5 * F.mse_loss(a, b), "half-mse"),
    ("code_distance", lambda a, b: ((a - b) ** 2).sum(dim=1).mean(), "twice"),
    ("code_distance", lambda a, b: 0.5 * ((a - b) ** 2).sum(), "batch-sum"),
    ("code_distance", lambda a, b: torch.dist(a, b), "norm"),
    ("code_distance", lambda a, b: 0.5 * ((a.detach() - b) ** 2).sum(1).mean(), "no-gradient"),
    ("ebll_objective", lambda e, d, c, a, w: e + w * d.mean() + (torch.tensor(a) * c).mean(), "mean"),
    ("ebll_objective", lambda e, d, c, a, w: e + w * d.sum() + a[0] * c.sum(), "one-alpha"),
    ("ebll_objective", lambda e, d, c, a, w: e + w * d.sum() + np.mean(a) * c.sum(), "one-alpha"),
    ("ebll_objective", lambda e, d, c, a, w: e + w * d.sum() + (torch.tensor(a) / 2 * c).sum(), "half"),
    ("ebll_objective", lambda e, d, c, a, w: e + d.sum() + (torch.tensor(a) * c).sum(), "no-distill-weight"),
    ("ebll_objective", lambda e, d, c, a, w: w * e + d.sum() + (torch.tensor(a) * c).sum(), "weight-on-task"),
    ("encoder_bytes", lambda f, c, n: 4 * n * sum(p.numel() for p in ebll.Autoencoder(f, c).parameters()), "decoder"),
    ("ebll_objective", lambda e, d, c, a, w: e + w * d[0] + a[0] * c[0], "single"),
    ("ebll_objective", lambda e, d, c, a, w: e + d.sum() + c.sum(), "no-alphas"),
    ("encoder_bytes", lambda f, c, n: 32 * n * (f * c + c), "bits"),
    ("encoder_bytes", lambda f, c, n: 4 * (n * f * c + c), "single-bias"),
    ("encoder_bytes", lambda f, c, n: 4 * n * f * c, "no-bias"),
    ("encoder_bytes", lambda f, c, n: n * (f * c + c), "numbers"),
    ("encoder_bytes", lambda f, c, n: 4 * (f * c + c), "one-task"),
    ("encoder_bytes", lambda f, c, n: 4 * n * (f * c + c) / 1024**2, "unit"),
    ("fisher_diagonal", fisher_of_the_batch, "whole-batch"),
    ("fisher_diagonal", fisher_by_class_of_the_batch, "whole-batch"),
    ("fisher_diagonal", fisher_of_the_best_guess, "likeliest"),
    ("fisher_diagonal", fisher_unsquared, "zero"),
    ("fisher_diagonal", fisher_piled_up, "piled-up"),
    ("fisher_diagonal", fisher_sampled, "random"),
    ("fisher_diagonal", lambda n, p, x: [part / 2 for part in fisher_library(n, p, x)], "half"),
    ("fisher_diagonal", lambda n, p, x: [len(x) * part for part in fisher_library(n, p, x)], "sum"),
    ("quadratic_penalty", lambda a, b, f: 0.5 * sum((w * (x - y)).sum() for x, y, w in zip(a, b, f)), "unsquared"),  # noqa: B905
    ("quadratic_penalty", lambda a, b, f: 2 * penalty_loop(a, b, f), "twice"),
    ("quadratic_penalty", lambda a, b, f: penalty_loop(a[:1], b[:1], f[:1]), "single"),
    ("quadratic_penalty", lambda a, b, f: penalty_loop(a, b, f) / sum(x.numel() for x in a), "mean"),
    ("quadratic_penalty", lambda a, b, f: penalty_loop(a, b, [1.0] * len(a)), "no-fisher"),
    ("quadratic_penalty", lambda a, b, f: penalty_loop(a, b, [w**2 for w in f]), "fisher-squared"),
    ("quadratic_penalty", lambda a, b, f: penalty_loop([x.data for x in a], b, f), "no-gradient"),
)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("name", "function", "mistake"), WRONG)
def test_classic_wrong_answers_get_their_hint(name, function, mistake):
    with pytest.raises(checks.CheckFailed) as caught:
        getattr(checks, name)(function)
    assert caught.value.mistake == mistake


def test_encoder_bytes_of_the_paper_sized_net():
    """9,216 features and a code of 100, one old task: 3,686,800 bytes."""
    assert math.isclose(encoder_bytes_built(9216, 100, 1), 3_686_800)
