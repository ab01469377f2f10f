"""The numbers behind the pictures of the course's notebooks, against hand-made ones, and the words of refusal."""

import math

import numpy as np
import pandas as pd
import pytest
from messages import raises
from test_figures_course import cloud, diverged, knob_accuracy, over, sheet, sizes
from test_figures_data import CLAIMS, accuracy_table, curves_table
from test_figures_tables import HALF, PAIR, small_accuracy

from ebll import figures
from ebll.errors import InputError
from ebll.figures import tables

CURVES = "cnn:letters-textures"


def test_accuracy_over_steps_is_the_mean_over_seeds_in_percent():
    curves = curves_table(seeds=3, methods=["ebll", "finetune"], steps=20)
    curves["accuracy"] = 0.8 + 0.01 * curves["seed"]
    curves["accuracy_new"] = curves["step"] / 100
    table = figures.accuracy_over_steps_table(curves, CURVES)
    assert list(table) == ["quantity", "method", "step", "mean", "low", "high", "seeds"]
    assert table["method"].drop_duplicates().tolist() == ["finetune", "ebll"]
    old = table[(table["quantity"] == "accuracy") & (table["method"] == "ebll")]
    assert old["step"].tolist() == [0, 10, 20]
    assert old["mean"].tolist() == pytest.approx([81] * 3)
    assert old["high"].tolist() == pytest.approx([81 + HALF] * 3, rel=1e-6)
    assert table.loc[table["quantity"] == "accuracy_new", "mean"].tolist() == pytest.approx([0, 10, 20] * 2)


def test_accuracy_over_steps_in_words():
    curves = curves_table(seeds=1, methods=["ebll"], steps=20)
    curves["accuracy"] = curves["step"].map({0: 0.9, 10: 0.7, 20: 0.8})
    curves["accuracy_new"] = curves["step"] / 100
    alt = figures.accuracy_over_steps(curves.dropna(subset="accuracy"), CURVES).alt
    assert (
        "EBLL: letters 90.0 % at step 0, lowest 70.0 % at step 10, 80.0 % at step 20; textures 0.0 % to 20.0 %" in alt
    )
    assert alt.endswith("One seed, no interval; held-out inputs of letters (old) and textures (new).")


def test_without_the_new_accuracy_one_panel_is_left():
    picture = figures.accuracy_over_steps(curves_table(seeds=2, methods=["lwf"], steps=20).assign(accuracy_new=np.nan))
    assert len(picture.axes) == 1


def along(values, method="lwf", seed=0):
    rows = [("s:a-b-c", "mlp", method, seed, after, task, value) for (after, task), value in values.items()]
    return pd.DataFrame(rows, columns=list(tables.ACCURACY))


RUN = {("a", "a"): 0.9, ("b", "a"): 0.8, ("b", "b"): 0.7, ("c", "a"): 0.5, ("c", "b"): 0.6, ("c", "c"): 0.4}


def test_average_along_sequence_by_hand():
    table = figures.average_along_sequence_table(along(RUN))
    assert table["quantity"].tolist() == ["average"] * 3 + ["first"] * 3
    assert table["learned"].tolist() == [1, 2, 3] * 2
    assert table["task"].tolist() == ["a", "b", "c"] * 2
    assert table["mean"].tolist() == pytest.approx([90, 75, 50, 90, 80, 50])
    alt = figures.average_along_sequence(along(RUN)).alt
    assert "LwF: average 90.0 → 75.0 → 50.0 %; a 90.0 % → 50.0 %." in alt


def test_a_run_counts_only_where_all_its_tasks_were_measured():
    short = {key: value for key, value in RUN.items() if key != ("c", "b")}
    table = figures.average_along_sequence_table(pd.concat([along(RUN), along(short, seed=1)]))
    assert table["seeds"].tolist() == [2, 2, 1] * 2
    assert table["low"].isna().tolist() == [False, False, True] * 2  # a band is missing where one seed is left


def test_networks_of_their_own_stay_as_they_are():
    alone = along({("a", "a"): 0.9, ("b", "b"): 0.7, ("c", "c"): 0.5}, "alone")
    table = figures.average_along_sequence_table(pd.concat([along(RUN), alone]))
    assert table.loc[table["method"] == "alone", "mean"].tolist() == pytest.approx([90, 80, 70, 90, 90, 90])


@pytest.mark.parametrize(
    ("points", "front"),
    [
        ([(1, 3), (2, 2), (3, 1)], [True, True, True]),
        ([(1, 3), (2, 2), (2, 2), (1, 2), (2, 1)], [True, True, True, False, False]),  # ties stay, weak ones go
        ([(1, 1), (np.nan, 5), (0, 1)], [True, False, False]),
        ([(4, 4)], [True]),
        ([], []),
    ],
)
def test_pareto_front_by_hand(points, front):
    assert figures.pareto_front(points) == front


def test_tradeoff_fronts_by_hand():
    weak = small_accuracy([0.9] * 3, [0.50, 0.51, 0.52], [0.7] * 3).assign(knob=1.0)
    bad = small_accuracy([0.9] * 3, [0.50, 0.51, 0.52], [0.6] * 3).assign(knob=3.0)
    strong = small_accuracy([0.9] * 3, [0.71, 0.72, 0.73], [0.4, 0.5, 0.6]).assign(knob=10.0)
    plain = small_accuracy([0.9] * 3, [0.3] * 3, [0.8] * 3, "finetune").assign(knob=np.nan)
    table = figures.tradeoff_fronts_table(pd.concat([strong, bad, weak, plain]))
    assert table["method"].tolist() == ["finetune", "lwf", "lwf", "lwf"]
    assert math.isnan(table["knob"].iloc[0])
    assert table["knob"].tolist()[1:] == [1, 3, 10]
    assert table["old_mean"].tolist() == pytest.approx([30, 51, 51, 72])
    assert table["new_mean"].tolist() == pytest.approx([80, 70, 60, 50])
    assert table["new_high"].iloc[3] == pytest.approx(50 + 10 * HALF)
    assert table["old_low"].iloc[3] == pytest.approx(72 - HALF)
    assert table["on_front"].tolist() == [True, True, False, True]
    alt = figures.tradeoff_fronts(pd.concat([strong, bad, weak, plain])).alt
    assert "Fine-tuning, 30.0 % old, 80.0 % new." in alt
    assert "LwF, 1: 51.0 % old, 70.0 % new; 3: 51.0 % old, 60.0 % new; 10: 72.0 % old, 50.0 % new;" in alt
    assert "on its Pareto front: 1 and 10." in alt
    assert "finished" not in alt


def test_settings_that_did_not_end_are_named():
    accuracy = diverged(knob_accuracy())
    table = figures.tradeoff_fronts_table(accuracy).query("method == 'ewc'")
    assert table["seeds"].tolist() == [3, 3, 3, 3, 1, 0]
    assert not table["on_front"].iloc[-1]
    assert table["low" if "low" in table else "old_low"].isna().tolist() == [False] * 4 + [True] * 2
    words = "EWC at 3000: 1 of 3 seeds finished; EWC at 10000: 0 of 3 seeds finished."
    assert figures.tradeoff_fronts(accuracy).alt.endswith(words)


def test_networks_of_their_own_have_no_end_to_miss():
    accuracy = accuracy_table(PAIR, methods=["alone", "lwf"], seeds=2).assign(knob=np.nan)
    accuracy = accuracy[(accuracy["method"] == "lwf") | (accuracy["after"] == "textures")]
    assert figures.tradeoff_fronts_table(accuracy)["method"].tolist() == ["lwf"]


def test_submanifold_keeps_the_points_and_measures_the_way_back():
    points = cloud(["p"], "AB", count=2).assign(x=[0.0, 3.0], y=0.0, x_back=[3.0, 3.0], y_back=[4.0, 1.0], share=0.25)
    picture = figures.submanifold(points.assign(accuracy=0.5))
    assert picture.table[["x", "x_back", "y_back"]].to_numpy().tolist() == [[0, 3, 4], [3, 3, 1]]
    assert "p: 2 points, mean distance in the plane to the reconstruction 3.00" in picture.alt
    assert "share of the spread that is missed: 25.0 %, accuracy 50.0 %. Classes: A and B." in picture.alt


def test_task_images_in_colour_are_drawn_in_colour_and_called_images():
    images = np.zeros((2, 4, 5, 3))
    images[0, :, :, 0], images[1] = 1, 0.5
    picture = figures.task_images({"own": (images, ["red", "grey"])})
    assert picture.alt == "Images of the task. 1 row of up to 2 images. own: red, grey."
    drawn = [one.get_array() for axes in picture.axes for one in axes.get_images()]
    assert [np.asarray(one).shape for one in drawn] == [(4, 5, 3)] * 2
    np.testing.assert_array_equal(np.asarray(drawn[0])[0, 0], (1, 0, 0))
    assert picture.table[["height", "width"]].to_numpy().tolist() == [[4, 5]] * 2
    assert picture.table["mean"].tolist() == pytest.approx([1 / 3, 0.5])


def test_over_knob_has_a_logarithmic_axis_upwards_for_values_above_0_alone():
    picture = figures.over_knob(sizes(), "code", {"accuracy": "a, %"}, log_y=True, **HEADS)
    assert [axes.get_yscale() for axes in picture.axes] == ["log"]
    low, high = picture.axes[0].get_ylim()
    assert picture.axes[0].yaxis.get_major_formatter()(10_000, 0) == "10,000"
    assert 0 < low < sizes()["accuracy"].min()
    assert high > sizes()["accuracy"].max()
    with raises(InputError, "log_y", "above 0", "given is 0"):
        figures.over_knob(sizes().assign(accuracy=0.0), "code", {"accuracy": "a, %"}, log_y=True, **HEADS)


def test_over_knob_by_hand():
    rows = [(2, "mine", s, 10.0 + s, 1.0) for s in range(3)] + [(8, "mine", 0, 20.0, 2.0), (2, "ebll", 0, 5.0, np.nan)]
    table = pd.DataFrame(rows, columns=["code", "kind", "seed", "accuracy", "share"])
    levels = {"joint": {"accuracy": 90}}
    drawn = figures.over_knob_table(table, "code", {"accuracy": "a, %", "share": "s"}, references=levels)
    assert list(drawn) == ["quantity", "kind", "code", "mean", "low", "high", "seeds"]
    assert drawn["kind"].tolist() == ["ebll", "mine", "mine", "joint", "mine", "mine"]
    assert drawn["mean"].tolist() == [5, 11, 20, 90, 1, 2]
    assert drawn["high"].iloc[1] == pytest.approx(11 + HALF, rel=1e-6)
    assert drawn["high"].isna().tolist() == [True, False, True, True, False, True]
    picture = over(table, references=levels)
    assert "EBLL 5.00 at 2; mine 11.0 at 2, 20.0 at 8; Joint training, level: 90.0." in picture.alt
    assert "Mean and 95 % interval of 1 to 3 seeds (no interval for one seed)." in picture.alt


def test_kinds_that_are_numbers_come_by_size():
    table = sizes([1, 2], [10, 2.5, 0])
    assert figures.over_knob_table(table, "code", {"share": "s"})["kind"].drop_duplicates().tolist() == [
        "0",
        "2.5",
        "10",
    ]
    assert [line.get_label() for line in over(table).axes[0].lines] == ["0", "2.5", "10"]


def test_task_images_lists_tasks_and_classes():
    picture = figures.task_images(sheet(mnist="012", letters="ABCDEFGHIJKL"))
    assert picture.table.groupby("task", sort=False)["label"].agg("".join).tolist() == ["012", "ABCDEFGHIJ"]
    assert picture.alt == (
        "Images of 2 tasks. 2 rows of up to 10 grey images. mnist: 0, 1, 2. letters: A, B, C, D, E, F, G, H, I, J."
    )


ACCURACY = accuracy_table(PAIR, methods=["lwf", "ebll"], seeds=2)
STEPS = curves_table(seeds=2, methods=["lwf", "ebll"], steps=20)
HEADS = {"xlabel": "x", "title": "t"}


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: figures.accuracy_over_steps(STEPS.drop(columns="accuracy_new")), ["curves table", "accuracy_new"]),
        (lambda: figures.accuracy_over_steps(STEPS[:0]), ["curves table", "empty"]),
        (lambda: figures.accuracy_over_steps(STEPS.assign(accuracy=np.nan)),
         ["curves table", "accuracy", "lwf and ebll"]),
        (lambda: figures.accuracy_over_steps(STEPS.assign(accuracy=80.0)),
         ["accuracy", "curves table", "0 to 1", "got 80 to 80"]),
        (lambda: figures.accuracy_over_steps(STEPS.assign(accuracy="high")), ["curves table", "accuracy", "'high'"]),
        (lambda: figures.forgetting_bars(ACCURACY.assign(accuracy=["0.9"] + [0.5] * (len(ACCURACY) - 1))),
         ["accuracy table", "column accuracy", "'0.9'"]),
        (lambda: figures.average_along_sequence(ACCURACY[ACCURACY["after"] == "letters"]), ["one task", "letters"]),
        (lambda: figures.average_along_sequence(ACCURACY.assign(accuracy=np.nan)), ["lwf and ebll", "nothing to draw"]),
        (lambda: figures.tradeoff_fronts(ACCURACY), ["accuracy table", "columns: knob"]),
        (lambda: figures.tradeoff_fronts(ACCURACY.assign(knob="weak")), ["accuracy table", "knob", "'weak'"]),
        (lambda: figures.tradeoff_fronts(ACCURACY.assign(knob=np.inf)), ["accuracy table", "finite", "column knob"]),
        (lambda: figures.tradeoff_fronts(pd.concat([ACCURACY.assign(knob=0), ACCURACY.assign(knob=np.nan)])),
         ["accuracy table", "mlp:letters-textures, method lwf, knob 0.0, seed 0"]),
        (lambda: figures.submanifold(cloud().drop(columns="x_back")), ["points table", "x_back"]),
        (lambda: figures.submanifold(cloud(classes="ABCDEFG")), ["6 classes", "got 7", "A, B, C, D, E, F, G"]),
        (lambda: figures.submanifold(cloud().assign(share=np.arange(180) / 180)),
         ["points table", "share", "code of 2"]),
        (lambda: figures.submanifold(cloud().assign(x=np.nan)), ["points table", "x, y, x_back and y_back"]),
        (lambda: figures.over_knob(sizes(), "code", {}, **HEADS), ["ys", "at least one"]),
        (lambda: figures.over_knob(sizes(), "alpha", {"share": "s"}, **HEADS),
         ["given table", "alpha", "code, kind, seed, accuracy, share"]),
        (lambda: over(sizes().assign(share=np.nan)), ["given table", "share", "empty"]),
        (lambda: over(sizes([-1, 1])), ["-1", "log=False"]),
        (lambda: over(sizes(), references={"joint": 90}), ["references", "'joint'"]),
        (lambda: over(sizes(), references={"joint": {"acuracy": 90}}),
         ["'joint'", "'acuracy'", "Did you mean 'accuracy'"]),
        (lambda: over(pd.concat([sizes(), sizes()])), ["given table", "code 2, kind autoencoder"]),
        (lambda: figures.task_images({}), ["rows", "at least one"]),
        (lambda: figures.task_images({"a": (np.zeros((2, 3, 4, 4)), "ab")}), ["a", "(n, height, width)", "(2, 3, 4,"]),
        (lambda: figures.task_images({"a": (np.zeros((2, 4, 4)), "abc")}), ["a", "2 images", "3 labels"]),
        (lambda: figures.task_images({"a": (np.full((1, 4, 4), 255), "a")}), ["a", "0 to 1", "got 255 to 255"]),
    ],
)  # fmt: skip
def test_refusals(call, named):
    with raises(InputError, *named):
        call()


@pytest.mark.parametrize("name", ["", ".", "/", "figures/.."])
def test_a_picture_without_a_name_is_not_saved(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with raises(InputError, f"got {name!r}"):
        figures.claims_overview(CLAIMS).save(name)
    assert list(tmp_path.iterdir()) == []


def test_tables_are_what_the_pictures_draw_and_the_readers_are_left_alone():
    accuracy, points, table = knob_accuracy(), cloud(), sizes()
    copies = [frame.copy() for frame in (accuracy, points, table, STEPS)]
    pairs = [
        (figures.tradeoff_fronts(accuracy), figures.tradeoff_fronts_table(accuracy)),
        (figures.submanifold(points), figures.submanifold_table(points)),
        (over(table, ["share"]), figures.over_knob_table(table, "code", {"share": "s"})),
        (figures.accuracy_over_steps(STEPS), figures.accuracy_over_steps_table(STEPS)),
        (figures.average_along_sequence(ACCURACY), figures.average_along_sequence_table(ACCURACY)),
        (figures.task_images(sheet(a="01")), figures.task_images_table(sheet(a="01"))),
    ]
    for picture, numbers in pairs:
        pd.testing.assert_frame_equal(picture.table, numbers)
    for frame, copy in zip((accuracy, points, table, STEPS), copies, strict=True):
        pd.testing.assert_frame_equal(frame, copy)


def test_categories_are_as_good_as_text():
    accuracy = knob_accuracy(seeds=2)
    categories = accuracy.astype(dict.fromkeys(["sequence", "net", "method", "after", "task"], "category"))
    assert figures.tradeoff_fronts(categories).alt == figures.tradeoff_fronts(accuracy).alt
    plain = accuracy.drop_duplicates(["method", "seed", "after", "task"])
    categories = categories.loc[plain.index]
    assert figures.average_along_sequence(categories).alt == figures.average_along_sequence(plain).alt
    assert over(sizes().astype({"kind": "category"})).alt == over(sizes()).alt
