"""The folded answer below the panel of notebook 07 says what the precomputed sweep shows, and so does its prose."""

import numpy as np
import pytest

import ebll
from ebll.sweeps import maps_of
from ebll.sweeps.maps import map_cells
from ebll.sweeps.view import complete_view


@pytest.fixture(scope="module")
def index():
    return maps_of()


def chosen(index, new="textures", **at):
    """Number of a cell of EBLL."""
    at = {"alpha": 3.0, "distill_weight": 2.0, "code_size": 64, "recon_weight": 0.01} | at
    cells = map_cells(index, complete_view(index, {"tasks": f"letters-{new}", "rows": "distill_weight", **at}))
    return int(cells.loc[cells["chosen"], "cell"].item())


def old(index, new="textures", **at):
    """Old-task validation accuracy of a cell, in %, a value a seed."""
    runs = index.runs[index.runs["cell"] == chosen(index, new, **at)]
    return 100 * runs["old_validation"].to_numpy()


def test_a_code_of_16_keeps_the_column_of_alpha_30(index):
    lost = {}
    for weight in (0.0, 1.0, 2.0, 5.0):
        short = {"distill_weight": weight, "code_size": 16}
        lost[weight] = old(index, alpha=10.0, **short).mean() - old(index, alpha=30.0, **short).mean()
        assert old(index, alpha=30.0, distill_weight=weight).mean() < 30
        assert old(index, alpha=30.0, **short).mean() > 65
    assert max(abs(lost[weight]) for weight in (0.0, 1.0, 2.0)) < 2
    assert lost[5.0] > 2


def test_alpha_10_falls_behind_3_after_textures_and_not_after_mnist(index):
    assert old(index, alpha=10.0).mean() < old(index, alpha=3.0).mean() - 1
    assert old(index, "mnist", alpha=10.0).mean() >= old(index, "mnist", alpha=3.0).mean()


def test_lambda_moves_the_cell_by_less_than_its_seeds_lie_apart(index):
    weak, strong = old(index, recon_weight=1e-4), old(index, recon_weight=1.0)
    assert abs(weak.mean() - strong.mean()) < np.ptp(old(index))


def test_past_the_border_the_features_leap_in_the_first_steps_and_never_come_back(index):
    cell = chosen(index, alpha=30.0)
    curves = index.curves.set_index("step").groupby("cell")["mean"]
    far, other = curves.get_group(cell), curves.get_group(index.beside[cell]["finetune"])
    early = far.index[far.index <= 0.25 * far.index[-1]]
    assert far[early].max() > 3 * other.max()
    assert far.iloc[-1] > 3 * other.max()


def test_row_5_lies_below_rows_1_and_2_without_alpha(index):
    for new in ("digits", "mnist", "textures"):
        rows = [old(index, new, alpha=0.0, distill_weight=weight).mean() for weight in (1.0, 2.0, 5.0)]
        assert rows[2] < min(rows[:2])


@pytest.mark.parametrize("exercise", ["pareto_front", "shrinkage", "honest_alpha"])
def test_the_cases_for_paper_are_those_of_the_text(exercise):
    found = getattr(ebll.course.checks, exercise)
    wanted = {"pareto_front": [True, True, False, True], "shrinkage": 0.045, "honest_alpha": 3.0}[exercise]
    assert np.allclose(found.right(*found.cases()[0]), wanted)
