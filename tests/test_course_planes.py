"""The plane through the means of three classes, and what the frozen head says there."""

import numpy as np
import pytest
import torch
from messages import raises

import ebll
from ebll.course import in_plane
from ebll.errors import InputError

NAMES = {0: "A", 2: "B", 3: "C"}
MEANS = torch.tensor([[1.0, 0, 0, 2], [9, 9, 9, 9], [4, 0, 0, 2], [2, 4, 0, 2]])  # of labels 0 to 3
ASIDE = torch.tensor([[0.0, 0, 3, 0], [0, 0, -3, 0]])  # at right angles to the plane
FEATURES = (MEANS[:, None] + ASIDE).reshape(-1, 4)
LABELS = torch.arange(4).repeat_interleave(2)


def nearest(features):
    """Logits of the class whose mean is nearest."""
    return -torch.cdist(features, MEANS)


def test_three_means_lie_in_the_plane_at_their_true_places_and_what_sticks_out_is_projected_away():
    back = FEATURES + torch.tensor([0.5, 0, 7, 0])
    found = in_plane({"moved": back}, FEATURES, LABELS, nearest, NAMES)
    points = found["points"]
    assert points["label"].tolist() == ["A", "A", "B", "B", "C", "C"]
    assert np.allclose(points[["x", "y"]], [[0, 0], [0, 0], [3, 0], [3, 0], [1, 4], [1, 4]], atol=1e-5)
    assert np.allclose(points["x_back"], points["x"] + 0.5, atol=1e-5)
    assert np.allclose(points["y_back"], points["y"], atol=1e-5)
    assert found["axes"] == ("from the mean of A to that of B", "towards the mean of C")


def test_facts_are_of_all_inputs_however_few_are_drawn():
    back = FEATURES.flip(dims=(0,))
    points = in_plane({"same": FEATURES, "turned": back}, FEATURES, LABELS, nearest, NAMES, each=1)["points"]
    assert points.groupby("panel").size().to_dict() == {"same": 3, "turned": 3}
    facts = points.groupby("panel")[["share", "accuracy"]].first()
    assert facts.loc["same"].tolist() == [0, 1]
    assert facts.loc["turned"].tolist() == [pytest.approx(ebll.metrics.unexplained_variance(back, FEATURES)), 0]


def test_the_head_is_asked_in_the_plane_and_other_answers_have_no_name():
    regions = in_plane({"same": FEATURES}, FEATURES, LABELS, nearest, NAMES)["regions"]
    first, second = torch.tensor([1.0, 0, 0, 0]), torch.tensor([0.0, 1, 0, 0])
    for row in regions.iloc[::37].itertuples():
        place = MEANS[0] + row.x * first + row.y * second
        assert row.label == NAMES[int(nearest(place[None]).argmax())]
    regions = in_plane({"same": FEATURES}, FEATURES, LABELS, lambda v: nearest(v)[:, [1, 0, 3, 2]], NAMES)["regions"]
    assert set(regions["label"]) == {"", "B", "C"}


def test_two_features_are_the_plane_themselves():
    features = torch.tensor([[1.0, 5], [2, 7], [4, 4]])
    found = in_plane({"zero": 0 * features}, features, torch.tensor([0, 1, 1]), lambda v: v, {0: "up", 1: "down"})
    assert found["points"][["x", "y", "x_back", "y_back"]].to_numpy().tolist() == [
        [1, 5, 0, 0],
        [2, 7, 0, 0],
        [4, 4, 0, 0],
    ]
    assert found["axes"] == ("first feature", "second feature")
    with raises(InputError, "three", "2"):
        in_plane({"same": FEATURES}, FEATURES, LABELS, nearest, {0: "A", 1: "B"})
