"""The folded answers of the notebooks say what the widgets, the precomputed sweep and a checkpoint show."""

import functools

import numpy as np
import pytest
from tiny import SETTINGS, blobs, method, noisy, small

import ebll
from ebll.paper import save_checkpoint
from ebll.paper.checkpoint import STAGE, STEP, read_tensors
from ebll.protocol import begin, learn
from ebll.sweeps import maps_of
from ebll.sweeps.view import complete_view

pytestmark = pytest.mark.notebook  # the answers are about runs at their real size
SEEDS = range(3)


@functools.cache
def runs(**settings):
    """Rows of `LabRun.table()` for each seed."""
    return [ebll.widgets.run(**settings, seed=seed) for seed in SEEDS]


def mean(method, column, **settings):
    return np.mean([run.table().loc[method, column] for run in runs(**settings)])


def test_01_small_steps_forget_less_and_learn_a_little_less_while_more_epochs_change_little():
    usual = {"new": "mnist", "methods": ("finetune",)}
    small, longer = usual | {"learning_rate": 0.005}, usual | {"epochs": 16}
    assert mean("finetune", "old", **small) > mean("finetune", "old", **usual) + 5
    assert 0 < mean("finetune", "new", **usual) - mean("finetune", "new", **small) < 5
    assert abs(mean("finetune", "old", **longer) - mean("finetune", "old", **usual)) < 2
    assert abs(mean("finetune", "new", **longer) - mean("finetune", "new", **usual)) < 2


@pytest.mark.parametrize("new", ["digits", "mnist", "textures"])
def test_02_a_distillation_weight_of_10_loses_letters_unless_the_steps_are_smaller(new):
    usual = {"new": new, "methods": ("lwf",)}
    heavy = usual | {"distill_weight": 10.0}
    small = heavy | {"learning_rate": 0.005}
    assert mean("lwf", "old", **heavy) < mean("lwf", "old", **usual) - 15
    assert mean("lwf", "old", **heavy) + 15 < mean("lwf", "old", **small) < mean("lwf", "old", **usual) + 2


def test_02_letters_are_lost_most_with_textures():
    kept = {
        n: mean("lwf", "old", new=n, methods=("lwf",), distill_weight=10.0) for n in ("digits", "mnist", "textures")
    }
    assert min(kept, key=kept.get) == "textures"


def test_03_the_hold_falls_off_where_the_code_ends_and_pca_loses_more():
    for size in (64, 8):
        found = ebll.widgets.explore(f"code_size={size}")
        hold = np.array(found.holds)
        assert hold[:size].mean() > 2 * hold[size : 2 * size].mean()
        lost = {kind: found.accuracy["direct"] - found.accuracy[kind] for kind in ("autoencoder", "pca")}
        assert size == 64 or 0.05 < lost["autoencoder"] < lost["pca"] - 0.2


def test_04_alpha_10_and_a_code_of_8_let_the_features_go_further_and_the_smaller_code_costs_letters():
    usual = {"methods": ("ebll",)}
    for other in ({"alpha": 10.0}, {"code_size": 8}):
        assert mean("ebll", "distance", **usual, **other) > mean("ebll", "distance", **usual) + 0.5
    assert abs(mean("ebll", "old", **usual, alpha=10.0) - mean("ebll", "old", **usual)) < 3
    assert mean("ebll", "old", **usual, code_size=8) < mean("ebll", "old", **usual) - 1


def test_04_a_code_term_that_comes_back_stops_the_drift_and_undoes_hardly_any_of_it():
    for seed in SEEDS:
        changed, gone = (
            ebll.widgets.run(methods="ebll", seed=seed, changes=changes).curves.set_index("step")["feature_distance"]
            for changes in ([(20, "alpha", 0.0), (60, "alpha", 3.0)], [(20, "alpha", 0.0)])
        )
        assert gone.iloc[-1] > gone[60] + 0.3
        assert abs(changed.iloc[-1] - changed[60]) < 0.35


def test_06_strength_and_learning_rate_cross_the_limit_and_epochs_do_not():
    def breaks(**settings):
        made = ebll.widgets.run(methods=("ewc",), **{"ewc_strength": 12_000.0, **settings})
        return "ewc" in made.diverged

    assert not breaks()
    assert breaks(ewc_strength=24_000.0)
    assert breaks(learning_rate=0.04)
    assert not breaks(epochs=16)
    assert not breaks(ewc_strength=4 * 12_000.0, learning_rate=0.005)
    assert breaks(ewc_strength=8 * 12_000.0, learning_rate=0.005)


@pytest.fixture(scope="module")
def index():
    return maps_of()


def chosen(index, new="textures", **at):
    """Number of a cell of EBLL."""
    at = {"alpha": 3.0, "distill_weight": 1.0, "code_size": 64, "recon_weight": 0.01} | at
    return index.place(complete_view(index, {"tasks": f"letters-{new}", **at}))


def old(index, new="textures", **at):
    """Old-task validation accuracy of a cell, in %, a value a seed."""
    runs = index.runs[index.runs["cell"] == chosen(index, new, **at)]
    return 100 * runs["old_validation"].to_numpy()


@pytest.mark.parametrize("new", ["mnist", "textures"])
def test_07_a_code_of_16_keeps_the_column_of_alpha_30(index, new):
    for weight in (0.0, 1.0, 2.0):
        short, usual = ({"distill_weight": weight, "code_size": size} for size in (16, 64))
        assert old(index, new, alpha=30.0, **short).mean() > max(75, old(index, new, alpha=10.0, **short).mean())
        dark, neighbour = (np.nanmean(old(index, new, alpha=alpha, **usual)) for alpha in (30.0, 10.0))
        assert dark < neighbour - 5


def test_07_alpha_30_costs_most_of_letters_after_textures_and_less_than_ten_points_after_mnist(index):
    after, before = (old(index, alpha=alpha).mean() for alpha in (30.0, 3.0))
    assert after < before / 2
    assert 5 < old(index, "mnist", alpha=3.0).mean() - old(index, "mnist", alpha=30.0).mean() < 10


def test_07_lambda_moves_the_cell_by_less_than_its_seeds_lie_apart(index):
    weak, strong = old(index, "mnist", recon_weight=1e-4), old(index, "mnist", recon_weight=1.0)
    assert abs(weak.mean() - strong.mean()) < np.ptp(old(index, "mnist"))


def test_07_past_the_limit_the_features_leap_in_the_first_steps_and_never_come_back(index):
    cell = chosen(index, alpha=30.0)
    curves = index.curves.set_index("step").groupby("cell")["mean"]
    far, other = curves.get_group(cell), curves.get_group(index.beside[cell]["finetune"])
    early = far.index[far.index <= 0.25 * far.index[-1]]
    assert far[early].max() > 3 * other.max()
    assert far.iloc[-1] > 3 * other.max()


def test_07_row_5_lies_below_all_others(index):
    for new in ("digits", "mnist", "textures"):
        for alpha in (0.0, 0.3, 1.0, 3.0, 10.0, 30.0):
            rows = [np.nanmean(old(index, new, alpha=alpha, distill_weight=weight)) for weight in (0.0, 1.0, 2.0, 5.0)]
            assert rows[3] < min(rows[:3])


@pytest.mark.parametrize("exercise", ["pareto_front", "shrinkage", "selected_alpha"])
def test_07_the_cases_for_paper_are_those_of_the_text(exercise):
    found = getattr(ebll.course.checks, exercise)
    wanted = {"pareto_front": [True, True, False, True], "shrinkage": 0.045, "selected_alpha": 3.0}[exercise]
    assert np.allclose(found.right(*found.cases()[0]), wanted)


@pytest.mark.parametrize("draws", [False, True])
def test_10_what_is_in_a_checkpoint_and_what_is_not(draws, tmp_path):
    tasks = [blobs("one", 0), blobs("two", 1)]
    run = begin(tasks, method("ebll"), net=noisy if draws else small, recorder=ebll.Recorder(log_every=1))
    for step in learn(run, tasks, SETTINGS):
        save_checkpoint(tmp_path, run, step)
        if (step.task, step.stage, step.index) == (1, "train", 3):
            break
    (stage, _), (tensors, facts) = read_tensors(tmp_path / STAGE), read_tensors(tmp_path / STEP)
    assert (facts["stage"], facts["index"]) == ([1, "train"], 3)
    assert facts["curve_rows"]
    assert any(name.startswith("momentum.") for name in tensors)
    assert any(name.startswith("random.") for name in tensors) == draws
    assert {"memory.weight.0", "memory.bias.0"} <= set(stage)
    assert {name.split(".")[0] for name in [*tensors, *stage]} <= {"net", "momentum", "random", "memory"}
    rows = len(tasks[1].train)  # of recorded targets, or of an order of batches, there would be one for each image
    assert not [name for name, value in {**tensors, **stage}.items() if value.ndim and len(value) == rows]
