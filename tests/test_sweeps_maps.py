"""The maps of a sweep: every mean by hand or by another way, nothing between grid points, nothing hidden."""

import dataclasses
import math
import threading

import numpy as np
import pandas as pd
import pytest
from ebll.sweeps.indexed import setting_value
from messages import raises
from sweep_rig import GRID, PAIR, config, figures_of, result, swept, whole
from tiny_sweep import CHEAP

import ebll
from ebll import metrics
from ebll.errors import InputError
from ebll.metrics import pareto_front
from ebll.sweeps import RunConfig, Store, Sweep
from ebll.sweeps import maps as m
from ebll.sweeps.maps import SweepView

NEAR, FAR = "letters-mnist", "letters-textures"


@pytest.fixture(scope="module")
def found():
    return whole()


@pytest.fixture(scope="module")
def index(found):
    return m.index_of(found)


def cells_of(index, **view):
    settled = m.settled(index, SweepView(**view))
    return m.map_cells(index, settled).set_index(["column", "row"])


def test_a_cell_by_hand(index):
    cell = cells_of(index, tasks=NEAR, alpha=1.0, recon_weight=1e-4, distill_weight=2.0).loc[(1.0, 1e-4)]
    assert cell["old"] == pytest.approx(0.7 + 0.01 + 0.04 + 0.01 + 0.05)  # alpha, lambda_o, mean seed, validation
    assert cell["new"] == pytest.approx(0.9 - 0.01 - 1e-4 - 0.01 + 0.05)
    assert cell["forgetting"] == pytest.approx(0.95 - 0.84)  # of the curves: before minus end
    assert cell["old_sd"] == pytest.approx(0.01)  # of 0, 1 and 2 hundredths
    assert cell["forgetting_sd"] == pytest.approx(0.01)
    assert (cell["ended"], cell["failed"], cell["planned"]) == (3, 0, 3)
    assert cell["chosen"]
    test = cells_of(index, tasks=NEAR, data="test").loc[(1.0, 1e-4)]
    assert test["old"] == pytest.approx(cell["old"] - 0.05)
    assert test["forgetting"] == pytest.approx(0.1 - 0.01)


@pytest.mark.parametrize("data", m.DATA)
@pytest.mark.parametrize("tasks", [NEAR, FAR])
@pytest.mark.parametrize("edges", [("alpha", "recon_weight"), ("distill_weight", "alpha")])
def test_all_cells_against_pandas(found, index, data, tasks, edges):
    view = m.settled(index, SweepView(tasks=tasks, data=data, columns=edges[0], rows=edges[1]))
    table = found.table[(found.table["tasks"] == tasks) & (found.table["method"] == "ebll")]
    fixed = [name for name in ("alpha", "distill_weight", "recon_weight") if name not in edges]
    for name in fixed:
        table = table[table[name] == getattr(view, name)]
    suffix = "" if data == "test" else "_validation"
    groups = table.groupby(list(edges))
    made = m.map_cells(index, view).set_index(["column", "row"])
    for name in ("old", "new"):
        for wanted, column in ((groups[name + suffix].mean(), name), (groups[name + suffix].std(), f"{name}_sd")):
            np.testing.assert_allclose(made[column].reindex(wanted.index), wanted, rtol=1e-12)
    assert (
        made["failed"].reindex(groups.size().index).tolist() == groups["old"].apply(lambda o: o.isna().sum()).tolist()
    )
    assert len(made) == np.prod([found.table[name].nunique() for name in edges])


def test_failed_seeds_are_counted_and_never_averaged(index):
    cells = cells_of(index, tasks=NEAR)
    some, all_ = cells.loc[(10.0, 1e-2)], cells.loc[(10.0, 1e-4)]
    assert (some["ended"], some["failed"]) == (2, 1)
    assert some["old"] == pytest.approx(0.7 + 0.1 + 0.04 + 0.005 + 0.05)  # of seeds 0 and 1
    assert (all_["ended"], all_["failed"]) == (0, 3)
    assert all_[["old", "new", "forgetting", "old_sd"]].isna().all()


def test_a_combination_without_a_run_is_there_and_missing():
    part = swept(GRID, figures_of, done=lambda c: not (c.alpha == 1.0 and c.recon_weight == 1e-2))
    cells = cells_of(m.index_of(part.tables()), tasks=NEAR)
    hole = cells.loc[(1.0, 1e-2)]
    assert (hole["ended"], hole["failed"], hole["planned"]) == (0, 0, 0)
    assert hole[["old", "new", "forgetting"]].isna().all()
    assert not hole["on_front"]
    assert cells.drop(index=[(1.0, 1e-2)])["planned"].eq(3).all()
    assert cells_of(m.index_of(part), tasks=NEAR).loc[(1.0, 1e-2), "planned"] == 3  # its grid is known


def test_the_front_is_that_of_the_cells_in_which_no_seed_failed(index):
    cells = cells_of(index, tasks=NEAR).reset_index()
    good = cells[cells["failed"] == 0]
    assert cells.loc[good.index, "on_front"].tolist() == pareto_front(good[["new", "old"]].to_numpy())
    assert not cells.loc[cells["failed"] > 0, "on_front"].any()
    assert cells["on_front"].any()


def test_axes_are_the_settings_that_vary_within_a_method_and_rise(found):
    assert m.axes_of_table(found.table) == {
        "alpha": (0.0, 1.0, 10.0), "distill_weight": (1.0, 2.0), "recon_weight": (1e-4, 1e-2)
    }  # fmt: skip
    assert m.axes_of_table(found.table.iloc[::-1], "lwf") == {"distill_weight": (1.0, 2.0)}
    assert m.axes_of_table(found.table, "finetune") == {}
    assert m.axes_of_table(found.table.iloc[:0]) == {}


def test_alphas_for_each_task_are_a_value_of_their_own():
    tasks = ("letters", "mnist", "textures")
    found = swept({"tasks": [tasks], "alpha": [(10.0, 1.0), 3.0, (2.0, 1.0), 0.0], "seed": [0, 1]})
    index = m.index_of(found)
    assert index.axes["ebll"]["alpha"] == (0.0, 3.0, "2, 1", "10, 1")
    assert m.settled(index, SweepView(alpha=(2.0, 1.0))).alpha == "2, 1"
    assert cells_of(index).loc[("2, 1", ""), "ended"] == 2


def test_tables_that_were_written_and_read_give_the_same_maps(found, index, tmp_path):
    table, curves = (pd.read_csv(path) for path in found.save(tmp_path))
    again = m.index_of(dataclasses.make_dataclass("Tables", ["table", "curves"])(table, curves))
    view = m.settled(again, SweepView(tasks=NEAR))
    assert view == m.settled(index, SweepView(tasks=NEAR))
    pd.testing.assert_frame_equal(m.map_cells(again, view), m.map_cells(index, view), rtol=1e-5)
    pd.testing.assert_frame_equal(m.distance_curves(again, view), m.distance_curves(index, view), rtol=1e-5)


def test_distances_by_hand(index):
    view = m.settled(index, SweepView(tasks=NEAR, alpha=1.0, recon_weight=1e-2))
    curves = m.distance_curves(index, view)
    own = curves[curves["method"] == "ebll"]
    assert own[["step", "mean", "low", "high", "seeds"]].to_numpy().tolist() == [
        [0, 0, 0, 0, 3], [10, 5, 4, 6, 3], [20, 2, 2, 2, 3]
    ]  # fmt: skip
    lines = m.seed_distances(index, view)
    assert lines[lines["step"] == 10].set_index("seed")["distance"].to_dict() == {0: 4.0, 1: 5.0, 2: 6.0}
    assert not lines["failed"].any()


def test_a_seed_that_broke_off_is_a_line_and_no_part_of_the_mean(index):
    view = m.settled(index, SweepView(tasks=NEAR, alpha=10.0, recon_weight=1e-2))
    own = m.distance_curves(index, view).query("method == 'ebll'")
    assert own["high"].max() == 5.0
    assert own["seeds"].tolist() == [2, 2, 2]
    lines = m.seed_distances(index, view)
    assert lines[lines["failed"]][["seed", "distance"]].to_numpy().tolist() == [[2, 0], [2, 900]]
    spread = m.seed_spread(index, view).set_index("seed")
    assert spread["failure"].tolist() == ["", "", "the loss became nan"]
    assert spread.loc[2, ["old", "new", "forgetting"]].isna().all()
    assert spread.loc[0, "old"] == pytest.approx(0.7 + 0.1 + 0.04 + 0.05)


def test_seeds_measured_at_other_steps_are_averaged_where_they_were():
    courses = {0: ((0, 1.0), (10, 4.0)), 1: ((0, 3.0), (5, 2.0), (10, 6.0))}
    index = m.index_of(swept({"tasks": [PAIR], "seed": [0, 1]}, lambda c: {"course": courses[c.seed]}))
    curves = m.distance_curves(index, m.settled(index))
    assert curves["step"].tolist() == [0, 5, 10]
    assert curves["mean"].tolist() == [2.0, 2.0, 5.0]
    assert curves["seeds"].tolist() == [2, 1, 2]


def three_tasks():
    """A run over three tasks: (training, stage, step, task, distance, accuracy), with its accuracy matrix."""
    tasks = ("letters", "mnist", "textures")
    rows = [
        ("mnist", "warm-up", 0, "letters", 0.0, 0.9), ("mnist", "train", 10, "letters", 7.0, 0.6),
        ("textures", "warm-up", 0, "letters", 0.0, 0.7), ("textures", "warm-up", 0, "mnist", 0.0, 0.8),
        ("textures", "train", 0, "letters", 0.0, 0.7), ("textures", "train", 0, "mnist", 0.0, 0.8),
        ("textures", "train", 10, "letters", 2.0, 0.5), ("textures", "train", 10, "mnist", 4.0, 0.75),
    ]  # fmt: skip
    names = ("training", "stage", "step", "task", "feature_distance", "accuracy")
    made = result(RunConfig(tasks=tasks))
    made.curves[:] = [dict(zip(names, row, strict=True)) for row in rows]
    matrix = np.array([[0.9, np.nan, np.nan], [0.7, 0.8, np.nan], [0.5, 0.75, 0.9]])
    return Sweep([made.config], {made.config: made}), matrix


def test_three_tasks_distance_is_of_the_last_training_over_its_old_tasks_and_forgetting_is_M5():
    found, matrix = three_tasks()
    index = m.index_of(found)
    view = m.settled(index)
    assert m.distance_curves(index, view)[["step", "mean"]].to_numpy().tolist() == [[0, 0], [10, 3]]
    forgotten = m.seed_spread(index, view).loc[0, "forgetting"]
    assert forgotten == pytest.approx(metrics.forgetting(matrix))
    assert forgotten == pytest.approx((0.9 - 0.5 + 0.8 - 0.75) / 2)


def test_references_share_tasks_and_settings_with_the_cell(index):
    for weight in (1.0, 2.0):
        view = m.settled(index, SweepView(tasks=FAR, distill_weight=weight))
        points = m.reference_points(index, view).set_index("method")
        assert points.loc["lwf", "old"] == pytest.approx(0.5 + 0.05 * weight + 0.01 + 0.05)
        assert points.loc["finetune", "old"] == pytest.approx(0.5 + 0.01 + 0.05)
        curves = m.distance_curves(index, view)
        assert curves[curves["method"] == "lwf"]["high"].max() == 9.0 - weight
        assert list(dict.fromkeys(curves["method"])) == ["ebll", "finetune", "lwf"]
    view = m.settled(index, SweepView(method="lwf"))
    assert m.reference_points(index, view)["method"].tolist() == ["finetune"]


def test_what_differs_in_a_shared_setting_is_no_reference():
    grid = {"tasks": [PAIR], "alpha": [1.0, 3.0], "seed": [0]}
    other = swept({"tasks": [PAIR], "method": ["finetune", "lwf"], "epochs": [3], "seed": [0]})
    found = swept(grid)
    both = Sweep(found.configs + other.configs, found.results | other.results)
    index = m.index_of(both)
    assert m.reference_points(index, m.settled(index)).empty
    weights = swept({"tasks": [PAIR], "method": ["lwf"], "distill_weight": [0.5, 7.0], "seed": [0]})
    index = m.index_of(Sweep(found.configs + weights.configs, found.results | weights.results))
    assert m.reference_points(index, m.settled(index)).empty


def test_colours_mean_the_same_wherever_the_sliders_are(index):
    views = [
        m.settled(index, SweepView(tasks=NEAR, alpha=a, distill_weight=w)) for a in (0.0, 10.0) for w in (1.0, 2.0)
    ]
    ranges = [m.quantity_ranges(index, view) for view in views]
    assert all(one == ranges[0] for one in ranges)
    assert m.quantity_ranges(index, m.settled(index, SweepView(tasks=FAR))) != ranges[0]
    cells = pd.concat([m.map_cells(index, view) for view in views])  # both distill weights: all that the sweep has
    assert ranges[0]["old"][1] == cells["old"].max()
    assert ranges[0]["forgetting"][0] == cells["forgetting"].min()


def test_a_colour_scale_leaves_out_the_worst_fifth_and_is_two_points_wide_at_least():
    accuracy = {0.0: 0.1, 1.0: 0.7, 2.0: 0.72, 3.0: 0.74, 10.0: 0.8, 30.0: 0.82}
    grid = {"tasks": [PAIR], "alpha": list(accuracy), "seed": [0]}
    index = m.index_of(
        swept(grid, lambda c: {"old": accuracy[c.alpha], "shift": 0.0, "forgetting": 0.9 - c.alpha / 100})
    )
    ranges = m.quantity_ranges(index, m.settled(index))
    assert ranges["old"] == pytest.approx((0.7, 0.82))
    assert ranges["new"] == pytest.approx((0.88, 0.9))  # all alike
    assert m.quantity_ranges(index, m.settled(index, SweepView(data="test")))["forgetting"] == pytest.approx(
        (0.6, 0.89)
    )


def test_without_a_run_that_ended_there_are_no_ends():
    index = m.index_of(swept({"tasks": [PAIR], "alpha": [1.0, 3.0]}, lambda c: {"failure": "nan"}))
    view = m.settled(index)
    for ends in m.quantity_ranges(index, view).values():
        assert all(map(math.isnan, ends))
    assert m.map_cells(index, view)["failed"].tolist() == [1, 1]
    assert m.distance_curves(index, view).empty


def test_without_curves_there_are_no_distances_and_only_the_tests_forgetting():
    found = swept({"tasks": [PAIR], "alpha": [1.0, 3.0]}, lambda c: {"course": ()})
    assert found.curves.empty
    index = m.index_of(found)
    for data, known in (("validation", False), ("test", True)):
        view = m.settled(index, SweepView(data=data))
        assert m.map_cells(index, view)["forgetting"].notna().tolist() == [known, known]
        assert m.map_cells(index, view)["old"].notna().all()
    assert m.distance_curves(index, view).empty
    assert m.seed_distances(index, view).empty


def test_of_two_rows_of_one_run_the_later_counts(found):
    again = found.table.assign(old_validation=0.5)
    index = m.SweepIndex(pd.concat([found.table, again]), found.curves)
    cells = m.map_cells(index, m.settled(index, SweepView(tasks=NEAR)))
    assert set(cells["old"].dropna()) == {0.5}
    assert cells["ended"].max() == 3


# Views


def test_what_is_left_open_is_the_kits_own_or_in_the_middle(index):
    view = m.settled(index)
    assert (view.tasks, view.method, view.data) == (NEAR, "ebll", "validation")
    assert (view.columns, view.rows) == ("alpha", "recon_weight")
    usual = RunConfig()
    assert view.recon_weight == usual.recon_weight
    assert view.distill_weight == usual.distill_weight
    assert view.alpha == 1.0  # of 0, 1, 10; the kit's 3 is not among them
    assert view.code_size is None  # it does not vary
    assert m.settled(index, view) == view


@pytest.mark.parametrize(
    ("view", "named"),
    [
        (SweepView(tasks="letters-mnst"), ["letters-mnst", "Did you mean 'letters-mnist'"]),
        (SweepView(method="ebl"), ["no 'ebl'", "Did you mean 'ebll'"]),
        (SweepView(data="tests"), ["Did you mean 'test'"]),
        (SweepView(columns="alfa"), ["Did you mean 'alpha'"]),
        (SweepView(columns="code_size"), ["Choose one of: alpha, distill_weight, recon_weight"]),
        (SweepView(columns="alpha", rows="alpha"), ["alpha"]),
        (SweepView(alpha=11.0), ["alpha", "11", "ebll", "0; 1; 10"]),
        (SweepView(ewc_strength=10.0), ["ewc_strength", "ebll", "alpha, distill_weight"]),
        (SweepView(method="lwf", alpha=1.0), ["alpha", "lwf"]),
        (SweepView(alpha={}), ["a setting", "got {}"]),
    ],
)  # fmt: skip
def test_what_the_sweep_does_not_have_is_refused(index, view, named):
    with raises(InputError, *named):
        m.settled(index, view)


def test_a_view_of_a_constant_setting_is_taken_if_it_is_that(index):
    assert m.settled(index, SweepView(code_size=64)) == m.settled(index)
    with raises(InputError, "code_size", 32, "ebll"):
        m.settled(index, SweepView(code_size=32))


def test_an_edge_that_is_asked_for_moves_the_other_one_away(index):
    assert m.settled(index, SweepView(rows="alpha")).columns == "distill_weight"
    assert m.settled(index, SweepView(columns="recon_weight")).rows == "distill_weight"


def test_kept_drops_only_what_is_not_there_any_more(index):
    view = m.settled(index, SweepView(tasks=FAR, alpha=10.0, recon_weight=1e-4, data="test"))
    lwf = m.kept(index, view.replace(method="lwf"))
    assert (lwf.tasks, lwf.data, lwf.columns, lwf.rows) == (FAR, "test", "distill_weight", "")
    other = m.index_of(swept({"tasks": [("letters", "textures")], "alpha": [0.3, 10.0], "recon_weight": [1e-2, 1.0]}))
    assert m.kept(other, view) == m.settled(other, SweepView(alpha=10.0, data="test"))
    with raises(InputError, "'alfa'", "Did you mean 'alpha'"):
        view.replace(alfa=1.0)


@pytest.mark.parametrize(("value", "nearest"), [(0.4, 0.0), (0.6, 1.0), (1e9, 10.0), (-5.0, 0.0)])
def test_the_nearest_value_is_one_of_the_sweeps(value, nearest):
    assert m.nearest((0.0, 1.0, 10.0, "1, 3"), value) == nearest


def test_settings_as_tables_hold_them():
    read = [setting_value(v) for v in ("1.0", " 1, 3 ", (1.0, 3.0), np.int64(64), float("nan"), None, "mlp")]
    assert read == [1.0, "1, 3", "1, 3", 64.0, None, None, "mlp"]


# A sweep that grows


def test_a_sweep_that_grows_gives_at_last_what_the_whole_one_gives(found):
    growing = Sweep()
    index = m.index_of(growing)
    assert (index.runs, index.methods, index.planned) == ([], (), 0)
    assert m.settled(index) == SweepView()
    empty = m.map_cells(index, m.settled(index))
    assert (len(empty), int(empty["ended"].sum()), bool(empty["chosen"].any())) == (1, 0, False)
    assert not index.refresh()
    growing.configs[:] = found.configs
    assert index.refresh()
    assert (len(index.runs), index.planned) == (0, len(found.configs))
    assert index.axes == m.index_of(found).axes  # the grid is known before the first run
    for one in reversed(found.configs):
        growing.results[one] = found.results[one]
    assert index.refresh()
    assert not index.refresh()
    for tasks in (NEAR, FAR):
        view = m.settled(index, SweepView(tasks=tasks, alpha=10.0))
        for show in (m.map_cells, m.distance_curves, m.seed_distances, m.seed_spread, m.reference_points):
            pd.testing.assert_frame_equal(show(index, view), show(m.index_of(found), view))
        assert m.quantity_ranges(index, view) == m.quantity_ranges(m.index_of(found), view)


def test_another_grid_in_the_same_sweep_takes_the_place_of_the_first(found):
    growing = whole()
    index = m.index_of(growing)
    other = swept({"tasks": [PAIR], "alpha": [0.5, 5.0], "seed": [0]})
    growing.results.update(other.results)
    growing.configs[:] = other.configs
    assert index.refresh()
    assert index.axes == {"ebll": {"alpha": (0.5, 5.0)}}
    assert len(index.runs) == 2
    assert not index.refresh()


def test_a_sweep_may_be_asked_while_a_thread_fills_it(found):
    growing = Sweep(list(found.configs))
    index = m.index_of(growing)
    thread = threading.Thread(target=lambda: [growing.results.update({c: found.results[c]}) for c in found.configs])
    thread.start()
    seen = []
    while thread.is_alive() or index.refresh():
        index.refresh()
        seen.append(len(index.runs))
    thread.join()
    index.refresh()
    assert seen == sorted(seen)
    assert len(index.runs) == len(found.configs)


# Bad input


def test_a_store_a_path_that_is_none_and_things_that_are_no_sweep(tmp_path, found):
    store = Store(tmp_path / "sweep")
    for one in found.results.values():
        store.put(one)
    assert len(m.index_of(tmp_path / "sweep").runs) == len(found.configs)
    with raises(InputError, tmp_path / "none"):
        m.index_of(str(tmp_path / "none"))
    for thing in (7, {"alpha": [1.0]}, found.table):
        with raises(InputError, "sweep", f"got {type(thing).__name__}"):
            m.index_of(thing)


def test_none_is_the_ready_made_sweep(monkeypatch, found):
    monkeypatch.setattr(m, "ready_sweep", found.tables)
    assert len(m.index_of(None).runs) == len(found.configs)


def test_tables_that_cannot_be_read_are_refused_in_words(found):
    table, curves = found.table, found.curves
    for frame, named in [
        (table.drop(columns=["alpha", "old"]), "no alpha, old"),
        (table.assign(tasks=None), "tasks"),
        (None, "got NoneType"),
    ]:
        with raises(InputError, "table", named):
            m.SweepIndex(frame, curves)
    for frame in (table.assign(old="much"), table.assign(seed=np.nan)):
        with pytest.raises(InputError, match=r"^table: .* numbers"):  # and how pandas puts it
            m.SweepIndex(frame, curves)
    with raises(InputError, "curves", "no step"):
        m.SweepIndex(table, curves.drop(columns="step"))
    with raises(InputError, "no run"):
        m.index_of(Sweep().tables())
    assert len(m.SweepIndex(table).runs) == len(table)  # without curves


def test_one_pair_one_seed_one_value_is_one_cell():
    index = m.index_of(Sweep([config()], {config(): result(config())}))
    view = m.settled(index)
    assert (view.columns, view.rows, view.at) == ("", "", {})
    cells = m.map_cells(index, view)
    assert cells[["column", "row", "ended", "chosen"]].to_numpy().tolist() == [["", "", 1, True]]
    assert cells["old_sd"].isna().all()


def test_files_that_could_not_be_read_are_named(tmp_path):
    ebll.sweep({**CHEAP, "method": "finetune", "seed": [0, 1]}, store=tmp_path, workers=1)
    broken = next((tmp_path / "runs").glob("*/*.json"))
    broken.write_text("x")
    with pytest.warns(UserWarning, match=f"^1 .*{broken.name}"):
        assert len(m.index_of(tmp_path).runs) == 1


def test_a_sweep_that_stopped_is_told_from_one_that_goes_on():
    found = ebll.sweep({**CHEAP, "method": "finetune", "seed": [0, 1]}, workers=1)
    growing = ebll.sweeps.Sweep(list(found.configs), dict([next(iter(found.results.items()))]))
    index = m.index_of(growing)
    assert not index.stopped
    assert not index.refresh()
    growing.stopped = True
    assert index.refresh()
    assert index.stopped
