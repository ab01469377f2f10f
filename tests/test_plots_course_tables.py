"""The numbers behind the figures of the course's notebooks, against hand-made ones, and the words of refusal."""

import math

import numpy as np
import pandas as pd
import pytest
from messages import raises
from plots_rig import CURVES, PAIR, accuracy_table, cloud, curves_table, diverged, sheet, sizes, swept_accuracy
from test_plots_tables import HALF, same, small_accuracy

from ebll import plots
from ebll.errors import InputError
from ebll.plots import tables

NAMES = {"accuracy": "accuracy from the reconstruction, %", "share": "share of the spread missed"}
HEADS = {"xlabel": "code size, units", "title": "What a code of few units keeps"}


def over(table, ys=("accuracy", "share"), **options):
    return plots.over_setting(table, "code", {y: NAMES[y] for y in ys}, **HEADS | options)


def test_accuracy_over_steps_is_the_mean_over_seeds_in_percent():
    curves = curves_table(seeds=3, methods=["ebll", "finetune"], steps=20)
    curves["accuracy"] = 0.8 + 0.01 * curves["seed"]
    curves["accuracy_new"] = curves["step"] / 100
    table = plots.accuracy_over_steps_table(curves, CURVES)
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
    alt = plots.accuracy_over_steps(curves.dropna(subset="accuracy"), CURVES).alt
    assert "accuracy on letters (old task), % over step: EBLL 90.0 at 0, lowest 70.0 at 10, 80.0 at 20." in alt
    assert "accuracy on textures (new task), % over step: EBLL 0 at 0, 20.0 at 20." in alt
    assert alt.endswith("One seed, no interval; held-out inputs of letters (old) and textures (new).")


def test_without_the_new_accuracy_one_panel_is_left():
    figure = plots.accuracy_over_steps(curves_table(seeds=2, methods=["lwf"], steps=20).assign(accuracy_new=np.nan))
    assert len(figure.axes) == 1


def along(values, method="lwf", seed=0):
    rows = [("s:a-b-c", "mlp", method, seed, after, task, value) for (after, task), value in values.items()]
    return pd.DataFrame(rows, columns=list(tables.ACCURACY))


RUN = {("a", "a"): 0.9, ("b", "a"): 0.8, ("b", "b"): 0.7, ("c", "a"): 0.5, ("c", "b"): 0.6, ("c", "c"): 0.4}


def test_average_along_sequence_by_hand():
    table = plots.average_along_sequence_table(along(RUN))
    assert table["quantity"].tolist() == ["average"] * 3 + ["first"] * 3
    assert table["learned"].tolist() == [1, 2, 3] * 2
    assert table["task"].tolist() == ["a", "b", "c"] * 2
    assert table["mean"].tolist() == pytest.approx([90, 75, 50, 90, 80, 50])
    alt = plots.average_along_sequence(along(RUN)).alt
    assert "average accuracy on tasks so far, % over learned: LwF 90.0 at 1, 50.0 at 3." in alt


def test_a_run_counts_only_where_all_its_tasks_were_measured():
    short = {key: value for key, value in RUN.items() if key != ("c", "b")}
    table = plots.average_along_sequence_table(pd.concat([along(RUN), along(short, seed=1)]))
    assert table["seeds"].tolist() == [2, 2, 1] * 2
    assert table["low"].isna().tolist() == [False, False, True] * 2  # a band is missing where one seed is left


def test_networks_of_their_own_stay_as_they_are():
    alone = along({("a", "a"): 0.9, ("b", "b"): 0.7, ("c", "c"): 0.5}, "alone")
    table = plots.average_along_sequence_table(pd.concat([along(RUN), alone]))
    assert table.loc[table["method"] == "alone", "mean"].tolist() == pytest.approx([90, 80, 70, 90, 90, 90])


def test_tradeoff_fronts_by_hand():
    weak = small_accuracy([0.9] * 3, [0.50, 0.51, 0.52], [0.7] * 3).assign(knob=1.0)
    bad = small_accuracy([0.9] * 3, [0.50, 0.51, 0.52], [0.6] * 3).assign(knob=3.0)
    strong = small_accuracy([0.9] * 3, [0.71, 0.72, 0.73], [0.4, 0.5, 0.6]).assign(knob=10.0)
    plain = small_accuracy([0.9] * 3, [0.3] * 3, [0.8] * 3, "finetune").assign(knob=np.nan)
    table = plots.tradeoff_fronts_table(pd.concat([strong, bad, weak, plain]))
    assert table["method"].tolist() == ["finetune", "lwf", "lwf", "lwf"]
    assert math.isnan(table["knob"].iloc[0])
    assert table["knob"].tolist()[1:] == [1, 3, 10]
    assert table["old_mean"].tolist() == pytest.approx([30, 51, 51, 72])
    assert table["new_mean"].tolist() == pytest.approx([80, 70, 60, 50])
    assert table["new_high"].iloc[3] == pytest.approx(50 + 10 * HALF)
    assert table["old_low"].iloc[3] == pytest.approx(72 - HALF)
    assert table["on_front"].tolist() == [True, True, False, True]
    alt = plots.tradeoff_fronts(pd.concat([strong, bad, weak, plain])).alt
    assert "Fine-tuning 30.0 (30.0 to 30.0) % old, 80.0 (80.0 to 80.0) % new; LwF at 1 51.0 (48.5 to 53.5) % old" in alt
    assert "On the Pareto front: LwF at 1 and LwF at 10." in alt


def test_settings_that_did_not_end_are_named():
    accuracy = diverged(swept_accuracy())
    table = plots.tradeoff_fronts_table(accuracy).query("method == 'ewc'")
    assert table["seeds"].tolist() == [3, 3, 3, 3, 1, 0]
    assert not table["on_front"].iloc[-1]
    assert table["low" if "low" in table else "old_low"].isna().tolist() == [False] * 4 + [True] * 2
    alt = plots.tradeoff_fronts(accuracy).alt
    assert "Seeds that reached the end: EWC at 3000 1 of 3 and EWC at 10000 0 of 3." in alt


def test_networks_of_their_own_have_no_end_to_miss():
    accuracy = accuracy_table(PAIR, methods=["alone", "lwf"], seeds=2).assign(knob=np.nan)
    accuracy = accuracy[(accuracy["method"] == "lwf") | (accuracy["after"] == "textures")]
    assert plots.tradeoff_fronts_table(accuracy)["method"].tolist() == ["lwf"]


def test_submanifold_keeps_the_points_and_measures_the_way_back():
    points = cloud(["p"], "AB", count=2).assign(x=[0.0, 3.0], y=0.0, x_back=[3.0, 3.0], y_back=[4.0, 1.0], share=0.25)
    figure = plots.submanifold(points.assign(accuracy=0.5))
    assert figure.table[["x", "x_back", "y_back"]].to_numpy().tolist() == [[0, 3, 4], [3, 3, 1]]
    told = "mean distance in the plane to the reconstruction 3.00, misses 25.0 % of spread, accuracy 50.0 %."
    assert f"p: 2 images, {told} Classes: A and B." in figure.alt


def test_task_images_in_colour_are_drawn_in_colour_and_called_images():
    images = np.zeros((2, 4, 5, 3))
    images[0, :, :, 0], images[1] = 1, 0.5
    figure = plots.task_images({"own": (images, ["red", "grey"])})
    assert figure.alt == "Images of the task. A row a task, classes from left to right. own: red, grey."
    drawn = [one.get_array() for axes in figure.axes for one in axes.get_images()]
    assert [np.asarray(one).shape for one in drawn] == [(6, 14, 3)]
    np.testing.assert_array_equal(np.asarray(drawn[0])[1, 1], (1, 0, 0))
    assert figure.table[["height", "width"]].to_numpy().tolist() == [[4, 5]] * 2
    assert figure.table["mean"].tolist() == pytest.approx([1 / 3, 0.5])


def test_over_setting_has_a_logarithmic_axis_upwards_for_values_above_0_alone():
    figure = plots.over_setting(sizes(), "code", {"accuracy": "a, %"}, log_y=True, **HEADS)
    assert [axes.get_yscale() for axes in figure.axes] == ["log"]
    low, high = figure.axes[0].get_ylim()
    assert figure.axes[0].yaxis.get_major_formatter()(10_000, 0) == "10,000"
    assert 0 < low < sizes()["accuracy"].min()
    assert high > sizes()["accuracy"].max()
    with raises(InputError, "log_y", "above 0", "given is 0"):
        plots.over_setting(sizes().assign(accuracy=0.0), "code", {"accuracy": "a, %"}, log_y=True, **HEADS)


def test_over_setting_by_hand():
    rows = [(2, "mine", s, 10.0 + s, 1.0) for s in range(3)] + [(8, "mine", 0, 20.0, 2.0), (2, "ebll", 0, 5.0, np.nan)]
    table = pd.DataFrame(rows, columns=["code", "kind", "seed", "accuracy", "share"])
    levels = {"joint": {"accuracy": 90}}
    drawn = plots.over_setting_table(table, "code", {"accuracy": "a, %", "share": "s"}, references=levels)
    assert list(drawn) == ["quantity", "kind", "code", "mean", "low", "high", "seeds"]
    assert drawn["kind"].tolist() == ["ebll", "mine", "mine", "joint", "mine", "mine"]
    assert drawn["mean"].tolist() == [5, 11, 20, 90, 1, 2]
    assert drawn["high"].iloc[1] == pytest.approx(11 + HALF, rel=1e-6)
    assert drawn["high"].isna().tolist() == [True, False, True, True, False, True]
    figure = over(table, references=levels)
    assert "over code: EBLL 5.00 at 2; mine 11.0 at 2, 20.0 at 8; Joint training, level: 90.0." in figure.alt
    assert "Mean and 95 % interval of 1 to 3 seeds (no interval for one seed)." in figure.alt


def test_kinds_that_are_numbers_come_by_size():
    table = sizes([1, 2], [10, 2.5, 0])
    assert plots.over_setting_table(table, "code", {"share": "s"})["kind"].drop_duplicates().tolist() == [
        "0",
        "2.5",
        "10",
    ]
    assert [text.get_text() for text in over(table).axes[0].get_legend().get_texts()] == ["0", "2.5", "10"]


def test_task_images_lists_tasks_and_classes():
    figure = plots.task_images(sheet(mnist="012", letters="ABCDEFGHIJKL"))
    assert figure.table.groupby("task", sort=False)["label"].agg("".join).tolist() == ["012", "ABCDEFGHIJ"]
    assert figure.alt == (
        "Images of 2 tasks. A row a task, classes from left to right. mnist: 0, 1, 2. "
        "letters: A, B, C, D, E, F, G, H, I, J."
    )


ACCURACY = accuracy_table(PAIR, methods=["lwf", "ebll"], seeds=2)
STEPS = curves_table(seeds=2, methods=["lwf", "ebll"], steps=20)


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: plots.accuracy_over_steps(STEPS.drop(columns="accuracy_new")), ["curves table", "accuracy_new"]),
        (lambda: plots.accuracy_over_steps(STEPS[:0]), ["curves table", "empty"]),
        (lambda: plots.accuracy_over_steps(STEPS.assign(accuracy=np.nan)),
         ["curves table", "accuracy", "lwf and ebll"]),
        (lambda: plots.accuracy_over_steps(STEPS.assign(accuracy=80.0)),
         ["accuracy", "curves table", "0 to 1", "got 80 to 80"]),
        (lambda: plots.accuracy_over_steps(STEPS.assign(accuracy="high")), ["curves table", "accuracy", "'high'"]),
        (lambda: plots.forgetting_bars(ACCURACY.assign(accuracy=["0.9"] + [0.5] * (len(ACCURACY) - 1))),
         ["accuracy table", "column accuracy", "'0.9'"]),
        (lambda: plots.average_along_sequence(ACCURACY[ACCURACY["after"] == "letters"]), ["one task", "letters"]),
        (lambda: plots.average_along_sequence(ACCURACY.assign(accuracy=np.nan)), ["lwf and ebll", "nothing to draw"]),
        (lambda: plots.tradeoff_fronts(ACCURACY), ["accuracy table", "columns: knob"]),
        (lambda: plots.tradeoff_fronts(ACCURACY.assign(knob="weak")), ["accuracy table", "knob", "'weak'"]),
        (lambda: plots.tradeoff_fronts(ACCURACY.assign(knob=np.inf)), ["accuracy table", "finite", "column knob"]),
        (lambda: plots.tradeoff_fronts(pd.concat([ACCURACY.assign(knob=0), ACCURACY.assign(knob=np.nan)])),
         ["accuracy table", "mlp:letters-textures, method lwf, knob 0.0, seed 0"]),
        (lambda: plots.submanifold(cloud().drop(columns="x_back")), ["points table", "x_back"]),
        (lambda: plots.submanifold(cloud().assign(share=np.arange(180) / 180)),
         ["points table", "share", "code of 2"]),
        (lambda: plots.submanifold(cloud().assign(x=np.nan)), ["points table", "x, y, x_back and y_back"]),
        (lambda: plots.submanifold(cloud(classes="ABCDEFG")), ["6 classes", "got 7"]),
        (lambda: plots.over_setting(sizes(), "code", {}, **HEADS), ["ys", "at least one"]),
        (lambda: plots.over_setting(sizes(), "alpha", {"share": "s"}, **HEADS),
         ["given table", "alpha", "code, kind, seed, accuracy, share"]),
        (lambda: over(sizes().assign(share=np.nan)), ["given table", "share", "empty"]),
        (lambda: over(sizes(), references={"joint": 90}), ["references", "'joint'"]),
        (lambda: over(sizes(), references={"joint": {"acuracy": 90}}),
         ["'joint'", "'acuracy'", "Did you mean 'accuracy'"]),
        (lambda: over(pd.concat([sizes(), sizes()])), ["given table", "code 2, kind autoencoder"]),
        (lambda: plots.task_images({}), ["rows", "at least one"]),
        (lambda: plots.task_images({"a": (np.zeros((2, 3, 4, 4)), "ab")}), ["a", "(n, height, width)", "(2, 3, 4,"]),
        (lambda: plots.task_images({"a": (np.zeros((2, 4, 4)), "abc")}), ["a", "2 images", "3 labels"]),
        (lambda: plots.task_images({"a": (np.full((1, 4, 4), 255), "a")}), ["a", "0 to 1", "got 255 to 255"]),
    ],
)  # fmt: skip
def test_refusals(call, named):
    with raises(InputError, *named):
        call()


def test_tables_are_what_the_figures_draw_and_the_readers_are_left_alone():
    accuracy, points, table = swept_accuracy(), cloud(), sizes()
    copies = [frame.copy() for frame in (accuracy, points, table, STEPS)]
    pairs = [
        (plots.tradeoff_fronts(accuracy), plots.tradeoff_fronts_table(accuracy)),
        (plots.submanifold(points), plots.submanifold_table(points)),
        (over(table, ["share"]), plots.over_setting_table(table, "code", {"share": "s"})),
        (plots.accuracy_over_steps(STEPS), plots.accuracy_over_steps_table(STEPS)),
        (plots.average_along_sequence(ACCURACY), plots.average_along_sequence_table(ACCURACY)),
        (plots.task_images(sheet(a="01")), plots.task_images_table(sheet(a="01"))),
    ]
    for figure, numbers in pairs:
        pd.testing.assert_frame_equal(figure.table, numbers)
    for frame, copy in zip((accuracy, points, table, STEPS), copies, strict=True):
        pd.testing.assert_frame_equal(frame, copy)


def test_categories_are_as_good_as_text():
    accuracy = swept_accuracy(seeds=2)
    categories = accuracy.astype(dict.fromkeys(["sequence", "net", "method", "after", "task"], "category"))
    same(plots.tradeoff_fronts_table, categories, accuracy)
    plain = accuracy.drop_duplicates(["method", "seed", "after", "task"])
    same(plots.average_along_sequence_table, categories.loc[plain.index], plain)
    kinds = sizes().astype({"kind": "category"})
    same(lambda table: plots.over_setting_table(table, "code", NAMES), kinds, sizes())
