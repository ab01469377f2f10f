"""Accuracy, distances and the summaries of an accuracy matrix: by hand, and laws over sizes (M1 to M11)."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, strategies as st
from hypothesis.extra.numpy import arrays

from ebll.metrics import (
    accuracy,
    average_accuracy,
    backward_transfer,
    confidence_interval,
    feature_distance,
    feature_norm,
    feature_shift,
    forgetting,
    forward_transfer,
    largest_curvature,
    pareto_front,
    unexplained_variance,
)

NAN = math.nan
MATRIX = [
    [0.9, NAN, NAN],
    [0.7, 0.8, NAN],
    [0.75, 0.6, 0.95],
]
RISEN = [
    [0.5, NAN, NAN],
    [0.9, 0.8, NAN],  # the first task got better while the second was learned
    [0.6, 0.7, 0.4],
]
longer = st.integers(2, 6).flatmap(lambda n: arrays(float, (n, n), elements=st.floats(0, 1)))
sizes = st.integers(1, 12)
seeds = st.integers(0, 2**31)


def normal(seed, *shape):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def test_M1_accuracy_by_hand():
    logits = torch.tensor([[0.1, 0.9], [2.0, 1.0], [-3.0, -4.0], [0.0, 5.0]])
    assert accuracy(logits, torch.tensor([1, 0, 1, 0])) == 2 / 4
    assert accuracy(logits, torch.tensor([1, 0, 0, 1])) == 1
    assert accuracy(logits, torch.tensor([0, 1, 1, 0])) == 0
    assert accuracy(logits[:3], torch.tensor([1, 0, 1])) == 2 / 3  # which single precision does not hold


def test_M2_feature_distance_is_the_mean_euclidean_norm_by_hand():
    now, before = torch.tensor([[3.0, 4.0], [1.0, 1.0]]), torch.tensor([[0.0, 0.0], [1.0, 3.0]])
    assert feature_distance(now, before) == (5.0 + 2.0) / 2  # not squared, not the norm of the whole batch


def test_M3_feature_norm_by_hand():
    assert feature_norm(torch.tensor([[3.0, 4.0], [0.0, 0.0], [0.0, -1.0]])) == (5 + 0 + 1) / 3


def test_M8_unexplained_variance_by_hand():
    features = torch.tensor([[0.0, 0.0], [2.0, 4.0]])  # mean (1, 2), so each row is 1 + 4 away from it
    rebuilt = torch.tensor([[1.0, 0.0], [2.0, 3.0]])
    assert unexplained_variance(rebuilt, features) == pytest.approx(((1 + 0) + (0 + 1)) / 2 / 5)


@given(st.integers(2, 12), sizes, seeds)
def test_M8_is_0_for_the_features_1_for_their_mean_and_has_no_units(batch, columns, seed):
    features, rebuilt = normal(seed, batch, columns), normal(seed + 1, batch, columns)
    share = unexplained_variance(rebuilt, features)
    assert unexplained_variance(features, features) == 0
    assert unexplained_variance(features.mean(dim=0).expand_as(features), features) == pytest.approx(1)
    assert unexplained_variance(7 * rebuilt + 3, 7 * features + 3) == pytest.approx(share)
    assert share > 0


def test_M4_average_accuracy_by_hand():
    assert average_accuracy(MATRIX) == pytest.approx((0.75 + 0.6 + 0.95) / 3)


def test_M5_forgetting_by_hand():
    assert forgetting(MATRIX) == pytest.approx(((0.9 - 0.75) + (0.8 - 0.6)) / 2)
    assert forgetting(RISEN) == pytest.approx(((0.9 - 0.6) + (0.8 - 0.7)) / 2)  # from the best, not from the first


def test_M5_forgetting_is_negative_where_later_tasks_helped_and_zero_for_one_task():
    assert forgetting([[0.5, NAN], [0.75, 0.9]]) == -0.25
    assert forgetting([[0.4]]) == backward_transfer([[0.4]]) == forward_transfer([[0.4]], [0.3]) == 0


def test_M6_backward_transfer_by_hand():
    assert backward_transfer(MATRIX) == pytest.approx(((0.75 - 0.9) + (0.6 - 0.8)) / 2)
    assert backward_transfer(RISEN) == pytest.approx(((0.6 - 0.5) + (0.7 - 0.8)) / 2)


def test_M7_forward_transfer_by_hand():
    alone = [NAN, 0.85, 0.9]  # the first is not read
    assert forward_transfer(MATRIX, alone) == pytest.approx(((0.8 - 0.85) + (0.95 - 0.9)) / 2)
    assert forward_transfer(MATRIX, [0.0, 0.7, 0.9]) == pytest.approx(((0.8 - 0.7) + (0.95 - 0.9)) / 2)


@given(sizes, sizes, seeds)
def test_M2_is_a_metric_and_the_mean_of_its_rows(batch, features, seed):
    one, two, three = (normal(seed + i, batch, features) for i in range(3))
    distance = feature_distance(one, two)
    assert feature_distance(one, one) == 0
    assert distance > 0
    assert feature_distance(two, one) == pytest.approx(distance)
    assert distance <= feature_distance(one, three) + feature_distance(three, two) + 1e-12
    assert feature_distance(3 * one, 3 * two) == pytest.approx(3 * distance)
    assert np.mean([feature_distance(one[i : i + 1], two[i : i + 1]) for i in range(batch)]) == pytest.approx(distance)
    assert feature_distance(one, torch.zeros_like(one)) == pytest.approx(feature_norm(one))


@given(longer)
def test_M5_is_at_least_minus_M6_since_the_best_is_no_worse_than_the_first(matrix):
    """And the same for two tasks, where there is only one time to compare with."""
    assert forgetting(matrix) >= -backward_transfer(matrix) - 1e-12
    assert forgetting(matrix[:2, :2]) == pytest.approx(-backward_transfer(matrix[:2, :2]))


@given(longer)
def test_M4_is_the_mean_of_the_diagonal_plus_what_was_transferred_back(matrix):
    tasks = len(matrix)
    diagonal = np.diag(matrix).mean()
    assert average_accuracy(matrix) == pytest.approx(diagonal + backward_transfer(matrix) * (tasks - 1) / tasks)


def test_M9_confidence_interval_is_students_t_by_hand():
    # t(0.975, 2) = 4.302653; the standard deviation of 1, 2, 3 is 1
    half = 4.302653 / math.sqrt(3)
    assert confidence_interval([1.0, 2.0, 3.0, NAN]) == pytest.approx((2, 2 - half, 2 + half), rel=1e-6)
    for values, mean in [([4.0], 4.0), ([4.0, NAN], 4.0), ([], NAN)]:  # below two seeds there is no interval
        assert confidence_interval(values) == pytest.approx((mean, NAN, NAN), nan_ok=True)


@pytest.mark.parametrize(
    ("points", "front"),
    [
        ([(1, 3), (2, 2), (3, 1)], [True, True, True]),
        ([(1, 3), (2, 2), (2, 2), (1, 2), (2, 1)], [True, True, True, False, False]),  # ties stay, weak ones go
        ([(1, 1), (math.nan, 5), (0, 1)], [True, False, False]),
        ([(4, 4)], [True]),
        ([], []),
    ],
)
def test_pareto_front_by_hand(points, front):
    assert pareto_front(points) == front


def test_M10_feature_shift_by_hand_and_by_pythagoras():
    before = torch.zeros(2, 3)
    now = torch.tensor([[3.0, 4.0, 0.0], [0.0, 1.0, 0.0]])
    weight = torch.tensor([[2.0, 0.0, 0.0]])  # sees the first feature alone, whatever its scale
    assert feature_shift(now, before, weight) == pytest.approx((1.5, 2.5))
    moves, rows = torch.randn(1, 5), torch.randn(2, 5)
    across, along = feature_shift(moves, torch.zeros(1, 5), rows)
    assert across**2 + along**2 == pytest.approx(moves.square().sum().item(), rel=1e-5)
    free = torch.linalg.qr(rows.T, mode="complete").Q[:, 2:] @ torch.randn(3)
    assert feature_shift(free[None], torch.zeros(1, 5), rows)[0] == pytest.approx(0, abs=1e-5)


def test_M10_projects_onto_the_span_of_rows_that_depend_on_each_other():
    draw = torch.Generator().manual_seed(0)
    weight = torch.randn(4, 2, generator=draw) @ torch.randn(2, 6, generator=draw)  # four rows, two directions
    move = torch.randn(5, 6, generator=draw)
    rows = torch.linalg.svd(weight).Vh[:2]
    seen = move @ rows.T @ rows
    wanted = seen.norm(dim=1).mean().item(), (move - seen).norm(dim=1).mean().item()
    assert feature_shift(move, torch.zeros(1, 6), weight) == pytest.approx(wanted, rel=1e-4)
    assert feature_shift(move, torch.zeros(1, 6), 0 * weight)[0] == 0


def test_M11_largest_curvature_by_hand_and_of_a_hessian():
    x, y = torch.tensor(2.0, requires_grad=True), torch.tensor([1.0, -1.0], requires_grad=True)
    value = 1.5 * x.square() + y @ torch.tensor([0.5, -2.0]) - 2 * y[0].square()  # h: 3 along x, -4 along the first y
    assert largest_curvature(value, [x, y]) == pytest.approx(4)
    assert largest_curvature(1.5 * x.square(), [x], steps=1) == pytest.approx(3)
    root = normal(0, 6, 6)
    weights = normal(1, 2, 3).requires_grad_()
    largest = torch.linalg.eigvalsh(root @ root.T).max().item()
    assert largest_curvature((root.T @ weights.flatten()).square().sum() / 2, [weights], 500) == pytest.approx(largest)
    x, y = torch.ones((), requires_grad=True), torch.ones((), requires_grad=True)
    assert largest_curvature((x - y).square() / 2, [x, y]) == pytest.approx(2)  # it is flat where both grow alike
    assert largest_curvature(0 * x.square() * y, [x, y]) == 0
