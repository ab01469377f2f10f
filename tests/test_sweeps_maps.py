"""The maps of a sweep: every mean by hand or by another way, nothing between grid points, nothing hidden."""

import math
import re

import numpy as np
import pandas as pd
import pytest
from messages import raises
from sweep_rig import GRID, PAIR, figures_of, map_of, result, swept, whole

from ebll import metrics
from ebll.errors import InputError
from ebll.sweeps import Maps, RunConfig, Sweep, SweepTables, maps_of
from ebll.sweeps.view import complete_view, drawing_of

NEAR, FAR = "letters-mnist", "letters-textures"


@pytest.fixture(scope="module")
def found():
    return whole()


@pytest.fixture(scope="module")
def maps(found):
    return maps_of(found)


def cells_of(maps, **view):
    return map_of(maps, **view).set_index(["column", "row"])


def place(maps, **view):
    """Number of the chosen cell."""
    return maps.place(complete_view(maps, view))


def curve(maps, cell):
    return maps.curves[maps.curves["cell"] == cell].drop(columns="cell")


def test_a_cell_by_hand(maps):
    cell = cells_of(maps, tasks=NEAR, alpha=1.0, recon_weight=1e-4, distill_weight=2.0).loc[(1.0, 1e-4)]
    assert cell["old"] == pytest.approx(0.7 + 0.01 + 0.04 + 0.01 + 0.05)  # alpha, lambda_o, mean seed, validation
    assert cell["new"] == pytest.approx(0.9 - 0.01 - 1e-4 - 0.01 + 0.05)
    assert cell["forgetting"] == pytest.approx(0.95 - 0.84)  # of the curves: before minus end
    assert cell["old_sd"] == pytest.approx(0.01)  # of 0, 1 and 2 hundredths
    assert cell["forgetting_sd"] == pytest.approx(0.01)
    assert (cell["ended"], cell["failed"], cell["planned"]) == (3, 0, 3)
    assert cell["chosen"]
    test = cells_of(maps, tasks=NEAR, data="test", distill_weight=2.0).loc[(1.0, 1e-4)]
    assert test["old"] == pytest.approx(cell["old"] - 0.05)
    assert test["forgetting"] == pytest.approx(0.1 - 0.01)


def test_failed_seeds_are_counted_and_never_averaged(maps):
    cells = cells_of(maps, tasks=NEAR, distill_weight=2.0)
    some, all_ = cells.loc[(10.0, 1e-2)], cells.loc[(10.0, 1e-4)]
    assert (some["ended"], some["failed"]) == (2, 1)
    assert some["old"] == pytest.approx(0.7 + 0.1 + 0.04 + 0.005 + 0.05)  # of seeds 0 and 1
    assert (all_["ended"], all_["failed"]) == (0, 3)
    assert all_[["old", "new", "forgetting", "old_sd"]].isna().all()
    runs = maps.runs[maps.runs["cell"] == some["cell"]].set_index("seed")
    assert runs["failure"].tolist() == ["", "", "the loss became nan"]
    assert runs.loc[2, ["old_test", "old_validation"]].isna().all()
    assert curve(maps, some["cell"])[["high", "seeds"]].max().tolist() == [5.0, 2], "900 in the seed that broke off"


def test_a_combination_without_a_run_is_there_and_missing():
    part = swept(GRID, figures_of, done=lambda c: not (c.alpha == 1.0 and c.recon_weight == 1e-2))
    cells = cells_of(maps_of(SweepTables(part.table, part.curves)), tasks=NEAR)
    hole = cells.loc[(1.0, 1e-2)]
    assert (hole["ended"], hole["failed"], hole["planned"]) == (0, 0, 0)
    assert hole[["old", "new", "forgetting"]].isna().all()
    assert cells.drop(index=[(1.0, 1e-2)])["planned"].eq(3).all()
    assert cells_of(maps_of(part), tasks=NEAR).loc[(1.0, 1e-2), "planned"] == 3  # its grid is known


def test_axes_are_the_settings_that_vary_within_a_method_and_rise(found):
    maps = Maps(found.table.iloc[::-1])
    ebll = {"alpha": (0.0, 1.0, 10.0), "distill_weight": (1.0, 2.0), "recon_weight": (1e-4, 1e-2)}
    assert maps.axes == {"ebll": ebll, "lwf": {"distill_weight": (1.0, 2.0)}, "finetune": {}}
    assert maps.constant["lwf"]["temperature"] == 2.0
    assert "alpha" not in maps.constant["lwf"]


def test_alphas_for_each_task_are_a_value_of_their_own_also_in_a_sweep_that_has_begun():
    tasks = ("letters", "mnist", "textures")
    maps = maps_of(swept({"tasks": [tasks], "alpha": [(10.0, 1.0), 3.0, (2.0, 1.0), 0.0], "seed": [0, 1]}))
    assert maps.axes["ebll"]["alpha"] == (0.0, 3.0, "10, 1", "2, 1")
    assert complete_view(maps, {"alpha": (2.0, 1.0)})["alpha"] == "2, 1"
    assert cells_of(maps).loc[("2, 1", ""), "ended"] == 2
    grid = {"tasks": [tasks], "method": ["finetune", "ebll"], "alpha": [3.0, (1.0, 3.0)]}
    for method, course in {"finetune": 1, "ebll": 2}.items():  # alphas are numbers in one, and texts in the other
        growing = maps_of(swept(grid, done=lambda config, method=method: config.method == method))
        assert growing.cells["ended"].tolist() == [int(own == method) for own in growing.cells["method"]]
        assert growing.curves["cell"].nunique() == course


def test_tables_that_were_written_and_read_give_the_same_maps(found, maps, tmp_path):
    again = maps_of(SweepTables(*(pd.read_csv(path) for path in found.save(tmp_path))))
    view = complete_view(again, {"tasks": NEAR})
    assert view == complete_view(maps, {"tasks": NEAR})
    pd.testing.assert_frame_equal(again.cells, maps.cells, rtol=1e-5)
    pd.testing.assert_frame_equal(again.curves, maps.curves, rtol=1e-5)


def test_distances_by_hand(maps):
    own = curve(maps, place(maps, tasks=NEAR, alpha=1.0, recon_weight=1e-2))
    assert own.to_numpy().tolist() == [[0, 0, 0, 0, 3], [10, 5, 4, 6, 3], [20, 2, 2, 2, 3]]
    courses = {0: ((0, 1.0), (10, 4.0)), 1: ((0, 3.0), (5, 2.0), (10, 6.0))}  # a step that one seed alone has
    other = maps_of(swept({"tasks": [PAIR], "seed": [0, 1]}, lambda c: {"course": courses[c.seed]})).curves
    assert other[["step", "mean", "seeds"]].to_numpy().tolist() == [[0, 2, 2], [5, 2, 1], [10, 5, 2]]


def test_three_tasks_distance_is_of_the_last_training_over_its_old_tasks_and_forgetting_is_M5():
    tasks = ("letters", "mnist", "textures")
    rows = [
        ("mnist", "warm-up", 0, "letters", 0.0, 0.9), ("mnist", "train", 10, "letters", 7.0, 0.6),
        ("textures", "warm-up", 0, "letters", 0.0, 0.7), ("textures", "warm-up", 0, "mnist", 0.0, 0.8),
        ("textures", "train", 0, "letters", 0.0, 0.7), ("textures", "train", 0, "mnist", 0.0, 0.8),
        ("textures", "train", 10, "letters", 2.0, 0.5), ("textures", "train", 10, "mnist", 4.0, 0.75),
    ]  # fmt: skip
    made = result(RunConfig(tasks=tasks))
    names = ("training", "stage", "step", "task", "feature_distance", "accuracy")
    made.curves[:] = [dict(zip(names, row, strict=True)) for row in rows]
    maps = maps_of(Sweep([made.config], {made.config: made}))
    assert maps.curves[["step", "mean"]].to_numpy().tolist() == [[0, 0], [10, 3]]
    forgotten = maps.runs["forgetting_validation"].item()
    assert forgotten == pytest.approx((0.9 - 0.5 + 0.8 - 0.75) / 2)
    matrix = [[0.9, math.nan, math.nan], [0.7, 0.8, math.nan], [0.5, 0.75, 0.9]]
    assert forgotten == pytest.approx(metrics.forgetting(np.array(matrix)))


def test_references_share_tasks_and_settings_with_the_cell(maps):
    for weight in (1.0, 2.0):
        beside = maps.beside[place(maps, tasks=FAR, distill_weight=weight)]
        assert list(beside) == ["finetune", "lwf"]
        lwf, finetune = (maps.cells.loc[beside[name]] for name in ("lwf", "finetune"))
        assert lwf["old_validation"] == pytest.approx(0.5 + 0.05 * weight + 0.01 + 0.05)
        assert finetune["old_validation"] == pytest.approx(0.5 + 0.01 + 0.05)
        assert curve(maps, beside["lwf"])["high"].max() == 9.0 - weight
    assert list(maps.beside[place(maps, method="lwf")]) == ["finetune"]
    found = swept({"tasks": [PAIR], "alpha": [1.0, 3.0], "seed": [0]})
    for odd in ({"method": ["finetune", "lwf"], "epochs": [3]}, {"method": ["lwf"], "distill_weight": [0.5, 7.0]}):
        other = swept({"tasks": [PAIR], "seed": [0], **odd})
        both = maps_of(Sweep(found.configs + other.configs, found.results | other.results))
        assert both.beside[place(both, method="ebll")] == {}, "a shared setting differs"


def test_a_colour_scale_leaves_out_the_worst_fifth_and_is_two_points_wide_at_least():
    accuracy = {0.0: 0.1, 1.0: 0.7, 2.0: 0.72, 3.0: 0.74, 10.0: 0.8, 30.0: 0.82}
    like = lambda c: {"old": accuracy[c.alpha], "shift": 0.0, "forgetting": 0.9 - c.alpha / 100}  # noqa: E731
    maps = maps_of(swept({"tasks": [PAIR], "alpha": list(accuracy), "seed": [0]}, like))
    ranges = maps.ranges(NEAR, "ebll", "validation")
    assert ranges["old"] == pytest.approx((70, 82))
    assert ranges["new"] == pytest.approx((88, 90))  # all alike
    assert maps.ranges(NEAR, "ebll", "test")["forgetting"] == pytest.approx((60, 89))
    two = maps_of(whole()).ranges(NEAR, "ebll", "validation")["old"][1]  # wherever the sliders are
    assert two == pytest.approx(70 + 10 + 4 + 0.5 + 5)


def test_without_a_run_that_ended_or_without_curves_nothing_is_made_up():
    failed = maps_of(swept({"tasks": [PAIR], "alpha": [1.0, 3.0]}, lambda c: {"failure": "nan"}))
    assert set(failed.ranges(NEAR, "ebll", "test").values()) == {None}
    assert cells_of(failed)["failed"].tolist() == [1, 1]
    bare = maps_of(swept({"tasks": [PAIR], "alpha": [1.0, 3.0]}, lambda c: {"course": ()}))
    assert cells_of(bare)["forgetting"].isna().all()
    assert cells_of(bare, data="test")[["forgetting", "old"]].notna().all(axis=None)
    assert failed.curves.empty
    assert bare.curves.empty
    for maps in (failed, bare):
        assert drawing_of(maps, complete_view(maps)).settings["forgetting_range"] == [0.0, 100.0]


# Views


def test_what_is_left_open_is_the_kits_own_or_in_the_middle(maps):
    view, usual = complete_view(maps), RunConfig()
    assert view == {
        "tasks": NEAR, "method": "ebll", "data": "validation", "columns": "alpha", "rows": "recon_weight",
        "near": True, "alpha": 1.0,  # of 0, 1, 10; the kit's 3 is not among them
        "distill_weight": usual.distill_weight, "recon_weight": usual.recon_weight,
    }  # fmt: skip
    assert complete_view(maps, view) == view
    assert complete_view(maps, {"rows": "alpha"})["columns"] == "distill_weight"
    assert complete_view(maps, {"columns": "recon_weight"})["rows"] == "distill_weight"
    assert complete_view(maps, {"code_size": 64}) == view  # it does not vary


@pytest.mark.parametrize(
    ("view", "named"),
    [
        ({"tasks": "letters-mnst"}, ["letters-mnst", "Did you mean 'letters-mnist'"]),
        ({"method": "ebl"}, ["no 'ebl'", "Did you mean 'ebll'"]),
        ({"columns": "code_size"}, ["Choose one of: alpha, distill_weight, recon_weight"]),
        ({"columns": "alpha", "rows": "alpha"}, ["alpha"]),
        ({"alpha": 11.0}, ["alpha", "11", "ebll", "0; 1; 10"]),
        ({"code_size": 32}, ["code_size", 32, "ebll"]),
        ({"ewc_strength": 10.0}, ["ewc_strength", "ebll", "not used"]),
        ({"alpha": {}}, ["a setting", "got {}"]),
        ({"alfa": 1.0}, ["'alfa'", "Did you mean 'alpha'"]),
    ],
)  # fmt: skip
def test_what_the_sweep_does_not_have_is_refused(maps, view, named):
    with raises(InputError, *named):
        complete_view(maps, view)


# What is drawn and said


def test_the_chart_is_given_what_is_looked_at(maps):
    view = complete_view(maps, {"tasks": NEAR, "alpha": 10.0})
    pinned = place(maps, tasks=NEAR, alpha=1.0)
    drawn = drawing_of(maps, view, pinned)
    tables, settings = drawn.data, drawn.settings
    seen = tables["map"].merge(tables["cells"], on="cell", how="left").set_index(["column", "row"])
    assert seen.loc[("10", "0.01"), "old_validation"] == pytest.approx(87.5)
    assert seen["failed"].to_dict() == {(c, r): 0 for c in "01" for r in ("0.0001", "0.01")} | {
        ("10", "0.0001"): 3, ("10", "0.01"): 1,
    }  # fmt: skip
    assert seen.index[seen["chosen"]].tolist() == [("10", "0.01")]
    assert (settings["chosen"], settings["pinned"]) == (maps.place(view), pinned)
    assert settings["kinds"] == tables["compared"]["kind"].tolist() == ["finetune", "lwf", "ebll", "pinned"]
    assert set(tables["curves"]["cell"]) == set(tables["compared"]["cell"])
    assert tables["runs"]["seed"].tolist() == [0, 1, 2]
    assert (settings["columns_shown"], settings["rows_shown"]) == (["0", "1", "10"], ["0.01", "0.0001"])
    assert settings["old_range"] == maps.ranges(NEAR, "ebll", "validation")["old"]


@pytest.mark.parametrize("seed", range(2))
def test_the_chart_joins_the_pareto_front_and_leaves_out_what_is_below_it(seed):
    """By the circles of its SVG: those that are filled are on the front; the others have white inside."""
    rng, grid = np.random.default_rng(seed), {"tasks": [PAIR], "alpha": [1.0, 2.0, 3.0], "recon_weight": [1e-4, 1e-2]}

    def like(config):
        old, new = rng.integers(70, 80, size=2) / 100
        return {"old": old, "new": new, "shift": 0.0, "failure": "nan" if rng.random() < 0.2 else ""}

    maps = maps_of(swept({**grid, "seed": [0, 1]}, like))
    cells = map_of(maps)
    circles = {}
    for near in (True, False):
        svg = drawing_of(maps, complete_view(maps, {"near": near})).svg()
        group = re.search(r'<g class="[^"]*tradeoff_cells.*?</g>', svg, re.S)[0]
        circles[near] = re.findall(r'<path[^>]* fill="([^"]+)"', group)
        assert sum(fill != "white" for fill in circles[near]) == cells["on_front"].sum()
    known, seen = cells.dropna(subset=["old", "new"]), cells[cells["on_front"] | cells["chosen"]]
    assert len(circles[False]) == len(known)
    above = (known["old"] >= seen["old"].min()) & (known["new"] >= seen["new"].min())
    assert len(circles[True]) == above.sum()


def test_the_text_says_what_is_seen(maps):
    told = drawing_of(maps, complete_view(maps, {"tasks": NEAR, "alpha": 1.0, "distill_weight": 2.0})).alt
    best = "EBLL with alpha 10, distillation weight 2, reconstruction weight 0.01: 89.5 % on the old task"
    for words in (
        "letters-mnist: EBLL with alpha 1, distillation weight 2, reconstruction weight 0.01. Validation images.",
        "Chosen cell: 81.0 % on the old task, 92.0 % on the new task, 11.0 points forgotten (3 seeds).",
        "Fine-tuning: 56.0 % on the old task, 95.0 % on the new task", "LwF: 66.0 %", f"Map of old, best: {best}",
        f"Map of forgetting, best: {best}",
    ):  # fmt: skip
        assert words in told
    lost = complete_view(maps, {"alpha": 10.0, "recon_weight": 1e-4})
    assert "Chosen cell: no numbers (0 seeds, 3 failed)." in drawing_of(maps, lost).alt
    part = swept(GRID, figures_of, done=lambda c: not (c.alpha == 1.0 and c.recon_weight == 1e-2))
    begun = drawing_of(maps_of(part), complete_view(maps, {"data": "test", "alpha": 1.0, "recon_weight": 1e-2}))
    assert "78 of 90 runs so far. Test images" in begun.caption
    assert "Chosen cell: no numbers (0 seeds, 3 not done yet)" in begun.alt
    table = maps_of(SweepTables(part.table, part.curves))
    assert "not in this sweep" in drawing_of(table, complete_view(table, {"alpha": 1.0, "recon_weight": 1e-2})).alt


# Where it comes from


def test_what_is_no_sweep_or_has_no_run_or_lacks_a_column_is_refused(tmp_path, found):
    table, curves = found.table, found.curves
    for thing, named in [
        (str(tmp_path / "none"), [tmp_path / "none"]),
        (7, ["sweep", "got int"]),
        (table, ["sweep", "got DataFrame"]),
        (Sweep(), ["no run"]),
        (SweepTables(table.iloc[:0], curves), ["no run"]),
        (SweepTables(table.drop(columns=["alpha", "old"]), curves), ["table", "no alpha, old"]),
        (SweepTables(table, curves.drop(columns="step")), ["curves", "no step"]),
    ]:
        with raises(InputError, *named):
            maps_of(thing)
