"""The equations against arithmetic done by hand, PyTorch's own losses, closed-form gradients, and laws (E1 to E6)."""

import math

import pytest
import torch
from hypothesis import given, strategies as st
from torch import nn
from torch.autograd import gradcheck

from ebll.losses import (
    autoencoder_loss,
    class_loss,
    code_distance,
    distillation,
    quadratic_penalty,
    reconstruction_error,
    soften,
)

LOGITS = [[1.0, 2.0, 0.5], [0.0, -1.0, 1.0]]
LABELS = [1, 2]
NOW = [[1.0, 2.0, 0.0], [3.0, 4.0, -1.0]]
BEFORE = [[0.0, 2.0, 2.0], [1.0, 1.0, -1.0]]
SQUARES = [1 + 0 + 4, 4 + 9 + 0]  # of NOW - BEFORE, row by row

sizes = st.integers(1, 9)
classes = st.integers(2, 7)
seeds = st.integers(0, 2**31)
temperatures = st.floats(0.25, 8.0)
each_square = pytest.mark.parametrize("term", [reconstruction_error, code_distance], ids=["E2a", "E4"])


def softmax(row, temperature=1.0):
    powers = [math.exp(z / temperature) for z in row]
    return [p / sum(powers) for p in powers]


def double(values):
    return torch.tensor(values, dtype=torch.float64)


def normal(seed, *shape, grad=False):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, dtype=torch.float64, generator=generator).requires_grad_(grad)


def gradient(loss, leaf):
    return torch.autograd.grad(loss, leaf)[0]


def close(value, expected):
    torch.testing.assert_close(torch.as_tensor(value, dtype=torch.float64), torch.as_tensor(expected).double())


# Numbers by hand.


def test_E1_class_loss_is_minus_log_p_of_the_label_by_hand():
    expected = -(math.log(softmax(LOGITS[0])[1]) + math.log(softmax(LOGITS[1])[2])) / 2
    close(class_loss(double(LOGITS), torch.tensor(LABELS)), expected)


@each_square
def test_E2a_E4_half_the_squared_norm_summed_over_columns_and_averaged_over_rows(term):
    assert sum(SQUARES) == 18
    close(term(double(NOW), double(BEFORE)), 0.5 * 18 / 2)
    # PyTorch's MSELoss with a weight w is the term with the weight 2 w / columns.
    close((2 * 0.1 / 3) * term(double(NOW), double(BEFORE)), 0.1 * nn.MSELoss()(double(NOW), double(BEFORE)))


def test_E2_autoencoder_loss_is_lambda_times_reconstruction_plus_class_loss_by_hand():
    by_hand = 0.25 * (0.5 * 18 / 2) - (math.log(softmax(LOGITS[0])[1]) + math.log(softmax(LOGITS[1])[2])) / 2
    close(autoencoder_loss(double(NOW), double(BEFORE), double(LOGITS), torch.tensor(LABELS), 0.25), by_hand)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0, 3.7])
def test_E3a_soften_is_probabilities_to_one_over_theta_normalised(temperature):
    powers = [[p ** (1 / temperature) for p in softmax(row)] for row in LOGITS]
    close(soften(double(LOGITS), temperature), [[p / sum(row) for p in row] for row in powers])


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_E3_distillation_by_hand(temperature):
    before = [[0.5, 0.0, -2.0], [3.0, 1.0, 1.0]]
    total = 0.0
    for now_row, before_row in zip(LOGITS, before, strict=True):
        targets, answers = softmax(before_row, temperature), softmax(now_row, temperature)
        total -= sum(t * math.log(a) for t, a in zip(targets, answers, strict=True))
    close(distillation(double(LOGITS), soften(double(before), temperature), temperature), total / 2)


def test_E6_quadratic_penalty_by_hand():
    now = [double([[1.0, 2.0], [3.0, 4.0]]), double([0.5])]
    before = [double([[0.0, 2.0], [1.0, 5.0]]), double([1.5])]
    fisher = [double([[2.0, 7.0], [0.5, 3.0]]), double([4.0])]
    by_hand = 0.5 * (2.0 * 1**2 + 7.0 * 0**2 + 0.5 * 2**2 + 3.0 * (-1) ** 2 + 4.0 * (-1) ** 2)
    assert by_hand == 5.5
    close(quadratic_penalty(now, before, fisher), by_hand)
    close(quadratic_penalty([], [], []), 0.0)
    with pytest.raises(ValueError, match="zip"):
        quadratic_penalty(now, before, fisher[:1])


# PyTorch's own losses as references.


@given(sizes, classes, seeds)
def test_E1_and_E3_at_temperature_1_equal_crossentropyloss(batch, count, seed):
    now, before = normal(seed, batch, count), normal(seed + 1, batch, count)
    labels = torch.arange(batch) % count
    close(class_loss(now, labels), nn.CrossEntropyLoss()(now, labels))
    close(distillation(now, soften(before, 1.0), 1.0), nn.CrossEntropyLoss()(now, before.softmax(dim=1)))
    one_hot = nn.functional.one_hot(labels, count).double()
    close(distillation(now, one_hot, 1.0), class_loss(now, labels))


@given(sizes, classes, seeds, temperatures)
def test_E3_minus_the_entropy_of_the_targets_equals_kldivloss(batch, count, seed, temperature):
    now, before = normal(seed, batch, count), normal(seed + 1, batch, count)
    targets = soften(before, temperature)
    entropy = -(targets * targets.log()).sum(dim=1).mean()
    divergence = nn.KLDivLoss(reduction="batchmean")((now / temperature).log_softmax(dim=1), targets)
    close(distillation(now, targets, temperature) - entropy, divergence)


# Gradients against finite differences and a closed form.


@given(sizes, classes, seeds, temperatures)
def test_E3_gradient_is_z_minus_target_over_theta_over_n(batch, count, seed, temperature):
    now, before = normal(seed, batch, count, grad=True), normal(seed + 1, batch, count)
    now_soft, targets = (now.detach() / temperature).softmax(dim=1), (before / temperature).softmax(dim=1)
    close(gradient(distillation(now, targets, temperature), now), (now_soft - targets) / temperature / batch)


def test_gradcheck_of_every_term_in_double_precision():
    labels, rows = torch.tensor([1, 0, 3]), normal(0, 3, 5, grad=True)
    logits, constant = normal(1, 3, 4, grad=True), normal(2, 3, 5)
    assert gradcheck(lambda z: class_loss(z, labels), logits)
    assert gradcheck(lambda r: reconstruction_error(r, constant), rows)
    assert gradcheck(lambda r, z: autoencoder_loss(r, constant, z, labels, 0.3), (rows, logits))
    assert gradcheck(lambda z: soften(z, 2.0), logits)
    assert gradcheck(lambda z: distillation(z, soften(normal(3, 3, 4), 2.0), 2.0), logits)
    assert gradcheck(lambda r: code_distance(r, constant), rows)
    assert gradcheck(lambda r: quadratic_penalty([r], [constant], [constant.square()]), rows)


# Laws over shapes and sizes.


@given(sizes, classes, seeds, st.floats(1.05, 6.0))
def test_E3a_temperature_above_1_lifts_the_small_and_below_1_sharpens(batch, count, seed, temperature):
    logits = normal(seed, batch, count)
    plain, lifted, sharpened = soften(logits, 1.0), soften(logits, temperature), soften(logits, 1 / temperature)
    assert (lifted.amax(dim=1) < plain.amax(dim=1)).all()
    assert (lifted.amin(dim=1) > plain.amin(dim=1)).all()
    assert (sharpened.amax(dim=1) > plain.amax(dim=1)).all()


@each_square
@given(batch=sizes, columns=sizes, seed=seeds, scale=st.floats(0.1, 10))
def test_E2a_E4_zero_only_where_equal_quadratic_in_the_displacement_and_the_sum_of_its_columns(
    term, batch, columns, seed, scale
):
    before, step = normal(seed, batch, columns + 1), normal(seed + 1, batch, columns + 1)
    now = before + step
    assert term(before, before) == 0
    once = term(now, before)
    assert once > 0
    close(term(before + scale * step, before), scale**2 * once)
    close(term(now[:, :columns], before[:, :columns]) + term(now[:, columns:], before[:, columns:]), once)


@given(half=sizes, count=classes, seed=seeds)
def test_a_batch_is_the_mean_of_its_halves_in_any_order(half, count, seed):
    now, before, rows = normal(seed, 2 * half, count), normal(seed + 1, 2 * half, count), torch.arange(2 * half)
    labels, targets = rows % count, soften(before, 2.0)
    shuffled = torch.randperm(2 * half, generator=torch.Generator().manual_seed(seed))
    for term in (
        lambda rows: class_loss(now[rows], labels[rows]),
        lambda rows: reconstruction_error(now[rows], before[rows]),
        lambda rows: autoencoder_loss(now[rows], before[rows], now[rows], labels[rows], 0.3),
        lambda rows: distillation(now[rows], targets[rows], 2.0),
        lambda rows: code_distance(now[rows], before[rows]),
    ):
        whole = term(rows)
        close((term(rows[:half]) + term(rows[half:])) / 2, whole)
        close(term(shuffled), whole)
        close(term(rows.repeat(3)), whole)


@pytest.mark.parametrize("size", [1e4, -1e4])
def test_E1_and_E3_stay_finite_where_the_softmax_saturates(size):
    logits = torch.tensor([[size, 0.0, -size]], requires_grad=True)
    targets = soften(torch.tensor([[-size, 0.0, size]]), 2.0)
    for loss in (class_loss(logits, torch.tensor([2])), distillation(logits, targets, 2.0)):
        assert loss.isfinite()
        assert gradient(loss, logits).isfinite().all()


@given(batch=sizes, tasks=st.integers(1, 5), size=st.integers(2, 20), seed=seeds)
def test_E3_E4_of_many_tasks_at_once_are_those_of_each_alone(batch, tasks, size, seed):
    now = normal(seed, batch, tasks, size, grad=True)
    before = normal(seed + 1, batch, tasks, size).softmax(dim=-1)
    for term in (lambda a, b: distillation(a, b, 2.0), code_distance):
        together, alone = term(now, before), torch.stack([term(now[:, t], before[:, t]) for t in range(tasks)])
        close(together, alone)
        close(gradient(together.sum(), now), gradient(alone.sum(), now))
