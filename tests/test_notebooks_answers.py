"""The folded answers below the widgets of the notebooks say what the widgets show, for three seeds."""

import functools

import numpy as np
import pytest

import ebll

pytestmark = pytest.mark.notebook  # the answers are about runs at their real size
SEEDS = range(3)


@functools.cache
def runs(**settings):
    """Rows of `LabRun.table()` for each seed."""
    return [ebll.widgets.run(ebll.LabConfig(**settings, seed=seed)) for seed in SEEDS]


def mean(method, column, **settings):
    return np.mean([run.table().loc[method, column] for run in runs(**settings)])


def test_00_smaller_steps_bring_the_letters_back_and_protect_fine_tuning_too():
    large, small = {"alpha": 30.0}, {"alpha": 30.0, "learning_rate": 0.005}
    assert mean("ebll", "old", **large) < 40 < 75 < mean("ebll", "old", **small)
    assert mean("ebll", "new", **small) > mean("ebll", "new", **large)
    assert mean("finetune", "forgetting", **small) < 3 < 10 < mean("finetune", "forgetting", **large)


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
    assert mean("lwf", "forgetting", **small) < 1.5
    if new != "mnist":
        assert mean("lwf", "new", **small) < mean("lwf", "new", **usual)


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


def test_04_alpha_10_and_a_code_of_8_let_the_features_go_further_and_cost_letters():
    usual = {"methods": ("ebll",)}
    for other in ({"alpha": 10.0}, {"code_size": 8}):
        assert mean("ebll", "distance", **usual, **other) > mean("ebll", "distance", **usual) + 1
        assert mean("ebll", "old", **usual, **other) < mean("ebll", "old", **usual) - 1


def test_04_a_code_term_that_comes_back_stops_the_drift_and_undoes_hardly_any_of_it():
    for seed in SEEDS:
        config = ebll.LabConfig(methods="ebll", seed=seed)
        changed, gone = (
            ebll.widgets.run(config, changes).curves.set_index("step")["feature_distance"]
            for changes in ([(20, "alpha", 0.0), (60, "alpha", 3.0)], [(20, "alpha", 0.0)])
        )
        assert gone.iloc[-1] > gone[60] + 1
        assert abs(changed.iloc[-1] - changed[60]) < 0.35


def test_06_strength_and_learning_rate_cross_the_border_and_epochs_do_not():
    def breaks(**settings):
        made = ebll.widgets.run(ebll.LabConfig(methods=("ewc",), **{"ewc_strength": 4000.0, **settings}))
        return "ewc" in made.diverged

    assert not breaks()
    assert breaks(ewc_strength=8000.0)
    assert breaks(learning_rate=0.04)
    assert not breaks(epochs=16)
    assert not breaks(ewc_strength=4 * 4000.0, learning_rate=0.005)
    assert breaks(ewc_strength=8 * 4000.0, learning_rate=0.005)
