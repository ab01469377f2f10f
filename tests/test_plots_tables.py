"""The numbers behind the figures, against hand-made ones; their words; and the tables that are refused."""

import math

import numpy as np
import pandas as pd
import pytest
from messages import raises
from plots_rig import (
    CLAIMS,
    CURVES,
    HEADS,
    PAIR,
    accuracy_table,
    cloud,
    curves_table,
    diverged,
    over,
    sheet,
    sizes,
    swept_accuracy,
)

from ebll import plots
from ebll.errors import InputError
from ebll.plots import tables, words

# t(0.975, 2) = 4.302653; the standard deviation of 1, 2, 3 is 1, so the half-width is 4.302653 / sqrt(3).
HALF = 4.302653 / math.sqrt(3)


def small_accuracy(just_learned, at_end, new, method="lwf", sequence=PAIR):
    rows = []
    for seed, values in enumerate(zip(just_learned, at_end, new, strict=True)):
        stages = (("letters", "letters"), ("textures", "letters"), ("textures", "textures"))
        for (after, task), value in zip(stages, values, strict=True):
            rows.append((sequence, "mlp", method, seed, after, task, value))
    return pd.DataFrame(rows, columns=list(tables.ACCURACY))


def test_interval_is_students_t():
    row = tables.intervals(pd.DataFrame({"g": "a", "v": [1.0, 2.0, 3.0, np.nan]}), ["g"], "v").iloc[0]
    assert row["seeds"] == 3
    assert row["mean"] == 2
    assert row["high"] - row["mean"] == pytest.approx(HALF, rel=1e-6)
    assert row["mean"] - row["low"] == pytest.approx(HALF, rel=1e-6)


def test_one_seed_has_no_interval():
    row = tables.intervals(pd.DataFrame({"g": ["a"], "v": [1.0]}), ["g"], "v").iloc[0]
    assert (row["mean"], row["seeds"]) == (1, 1)
    assert math.isnan(row["low"])
    assert math.isnan(row["high"])


@pytest.mark.parametrize(
    ("seeds", "said"),
    [
        ([5, 5], "Mean and 95 % interval of 5 seeds"),
        ([1, 1], "One seed, no interval"),
        ([3, 5], "Mean and 95 % interval of 3 to 5 seeds"),
        ([1, 5], "Mean and 95 % interval of 1 to 5 seeds (no interval for one seed)"),
    ],
)
def test_seeds_are_stated(seeds, said):
    assert words.seeds_words(seeds) == said


def test_forgetting_by_hand():
    accuracy = small_accuracy([0.90, 0.91, 0.92], [0.89, 0.89, 0.89], [0.5, 0.6, 0.7])
    table = plots.forgetting_table(accuracy)
    assert table["value"].tolist() == pytest.approx([1, 2, 3])
    assert table["mean"].tolist() == pytest.approx([2, 2, 2])
    assert table["high"].iloc[0] == pytest.approx(2 + HALF, rel=1e-6)


def test_forgetting_of_three_tasks_is_the_mean_over_the_old_ones():
    rows = [("s:a-b-c", "mlp", "ewc", 0, after, task, value) for after, task, value in (
        ("a", "a", 0.9), ("b", "a", 0.8), ("b", "b", 0.7), ("c", "a", 0.5), ("c", "b", 0.6), ("c", "c", 0.4),
    )]  # fmt: skip
    out = plots.outcomes(pd.DataFrame(rows, columns=list(tables.ACCURACY))).iloc[0]
    assert out["forgetting"] == pytest.approx((40 + 10) / 2)
    assert out["old"] == pytest.approx((50 + 60) / 2)
    assert out["new"] == pytest.approx((70 + 40) / 2)
    assert out["words"] == "a → b → c (MLP)"


def test_alone_is_a_reference_without_forgetting():
    out = plots.outcomes(accuracy_table(PAIR, methods=["alone", "lwf"])).set_index("method")
    assert out.loc["alone", "forgetting"].isna().all()
    assert out.loc["alone", ["old", "new"]].notna().all(axis=None)
    assert "alone" not in set(plots.forgetting_table(accuracy_table(PAIR))["method"])


def test_task_order_ignores_the_order_of_rows():
    accuracy = accuracy_table("cnn:mnist-digits-letters").sample(frac=1, random_state=0)
    assert tables.task_order(accuracy) == ["mnist", "digits", "letters"]


def test_stability_plasticity_by_hand():
    row = plots.stability_plasticity_table(small_accuracy([0.9] * 3, [0.71, 0.72, 0.73], [0.4, 0.5, 0.6])).iloc[0]
    assert row[["old_mean", "new_mean"]].tolist() == pytest.approx([72, 50])
    assert row[["old_high", "new_high"]].tolist() == pytest.approx([72 + HALF, 50 + 10 * HALF])


def test_gain_is_paired_by_seed():
    lwf = small_accuracy([0.9] * 3, [0.70, 0.75, 0.80], [0.5] * 3, "lwf")
    ebll = small_accuracy([0.9] * 3, [0.71, 0.77, 0.83], [0.5] * 3, "ebll")
    table = plots.forgetting_by_gap_table(pd.concat([lwf, ebll]), [PAIR])
    gain = table[table["panel"] == "gain"]
    assert gain["value"].tolist() == pytest.approx([1, 2, 3])
    assert gain["low"].iloc[0] == pytest.approx(2 - HALF, abs=1e-5)


def test_accuracy_matrix_by_hand():
    table = plots.accuracy_matrix_table(small_accuracy([0.90] * 3, [0.71, 0.72, 0.73], [0.5] * 3), PAIR)
    assert table[["after", "task"]].values.tolist() == [["letters"] * 2, ["textures", "letters"], ["textures"] * 2]
    assert table["mean"].tolist() == pytest.approx([90, 72, 50])
    assert table["high"].iloc[1] == pytest.approx(72 + HALF, rel=1e-6)


def test_feature_distance_is_the_mean_over_seeds_at_each_step():
    curves = curves_table(seeds=3, methods=["lwf", "ebll"], steps=50)
    table = plots.feature_distance_table(curves, CURVES)
    rows = curves[(curves.method == "lwf") & (curves.stage == "train") & (curves.step == 20)]
    drawn = table[(table.quantity == "feature_distance") & (table.method == "lwf") & (table.step == 20)].iloc[0]
    values = rows["feature_distance"].to_numpy()
    assert drawn["mean"] == pytest.approx(values.mean())
    assert drawn["high"] - drawn["mean"] == pytest.approx(4.302653 * values.std(ddof=1) / math.sqrt(3), rel=1e-6)
    assert set(table[table.quantity == "loss_code"]["method"]) == {"ebll"}
    assert table["step"].min() == 0


def test_warm_up_lies_before_step_zero():
    curves = curves_table(seeds=2, methods=["lwf"], steps=50)
    table = plots.loss_terms_table(curves, CURVES, "lwf", warm_up=True)
    assert table["step"].min() == -51
    assert table["step"].is_monotonic_increasing or table["quantity"].nunique() > 1
    negative = curves.assign(step=curves["step"].where(curves["stage"] == "train", curves["step"] - 60))
    assert plots.loss_terms_table(negative, CURVES, "lwf", warm_up=True)["step"].min() == -60


def test_first_transition_and_first_old_task_by_default():
    curves = curves_table("cnn:mnist-digits-letters", seeds=2, methods=["lwf"], steps=20)
    picture = plots.feature_distance(curves, "cnn:mnist-digits-letters")
    assert picture.alt.startswith("How far the features of mnist move while digits is learned (CNN).")
    other = plots.feature_distance(curves, "cnn:mnist-digits-letters", training="letters", task="digits")
    assert other.alt.startswith("How far the features of digits move while letters is learned (CNN).")


def test_claims_table_fills_what_may_be_missing():
    table = plots.claims_table([CLAIMS[0] | {"low": None, "high": None}])
    assert table.loc[0, ["unit", "reference"]].tolist() == ["", 0]
    assert math.isnan(table.loc[0, "low"])


@pytest.mark.parametrize(
    ("means", "said"),
    [
        ([0, 2, 4], "0 at 0, 4.00 at 2"),
        ([4, 2, 1], "4.00 at 0, 1.00 at 2"),
        ([0, 17.2, 3.1], "0 at 0, highest 17.2 at 1, 3.10 at 2"),
        ([9, 1, 3], "9.00 at 0, lowest 1.00 at 1, 3.00 at 2"),
        ([5], "5.00 at 0"),
    ],
)
def test_lines_in_words(means, said):
    assert words.course(pd.Series(means, dtype=float)) == said


@pytest.mark.parametrize(
    ("value", "said"), [(0, "0"), (18.23, "18.2"), (1234.5, "1234"), (-0.5, "−0.500"), (0.00001, "1.00e-05")]
)
def test_numbers_in_words(value, said):
    assert words.number(value) == said


def test_means_with_their_intervals_in_words():
    assert words.with_interval(-0.04, -1.0, 1.26) == "0.0 (−1.0 to 1.3)"
    assert words.with_interval(2.0, math.nan, math.nan) == "2.0"


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
    assert "(CNN). One seed, no interval. Held-out inputs of letters (old) and textures (new). accuracy on" in alt


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
SWEPT, POINTS, SIZES = swept_accuracy(seeds=2), cloud(), sizes()


def test_tables_are_what_the_figures_draw_and_the_readers_are_left_alone():
    readers = ACCURACY, STEPS, SWEPT, POINTS, SIZES
    copies = [frame.copy() for frame in readers]
    pairs = [
        (plots.accuracy_matrix(ACCURACY), plots.accuracy_matrix_table(ACCURACY)),
        (plots.forgetting_bars(ACCURACY), plots.forgetting_table(ACCURACY)),
        (plots.stability_plasticity(ACCURACY), plots.stability_plasticity_table(ACCURACY)),
        (plots.average_along_sequence(ACCURACY), plots.average_along_sequence_table(ACCURACY)),
        (plots.accuracy_over_steps(STEPS), plots.accuracy_over_steps_table(STEPS)),
        (plots.feature_distance(STEPS, warm_up=True), plots.feature_distance_table(STEPS, warm_up=True)),
        (plots.tradeoff_fronts(SWEPT), plots.tradeoff_fronts_table(SWEPT)),
        (plots.submanifold(POINTS), plots.submanifold_table(POINTS)),
        (over(SIZES, ["share"]), plots.over_setting_table(SIZES, "code", {"share": "s"})),
        (plots.task_images(sheet(a="01")), plots.task_images_table(sheet(a="01"))),
    ]
    for figure, numbers in pairs:
        pd.testing.assert_frame_equal(figure.table, numbers)
    for frame, copy in zip(readers, copies, strict=True):
        pd.testing.assert_frame_equal(frame, copy)


def test_categories_are_as_good_as_text():
    texts = ["sequence", "net", "method", "after", "task"]
    on_pair = plots.forgetting_table, plots.stability_plasticity_table, plots.accuracy_matrix_table
    for function in (*on_pair, plots.average_along_sequence_table):
        categories = ACCURACY.astype(dict.fromkeys(texts, "category"))
        pd.testing.assert_frame_equal(function(categories), function(ACCURACY))
    fronts = [plots.tradeoff_fronts_table(table) for table in (SWEPT, SWEPT.astype(dict.fromkeys(texts, "category")))]
    pd.testing.assert_frame_equal(*fronts)
    kinds = [
        plots.over_setting_table(table, "code", {"share": "s"}) for table in (SIZES, SIZES.astype({"kind": "category"}))
    ]
    pd.testing.assert_frame_equal(*kinds)


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: plots.forgetting_bars([1]), ["accuracy table", "got list"]),
        (lambda: plots.forgetting_bars(ACCURACY[:0]), ["accuracy table", "empty"]),
        (lambda: plots.forgetting_bars(ACCURACY.drop(columns=["seed", "after"])),
         ["accuracy table", "seed, after", "sequence, net, method, task, accuracy"]),
        (lambda: plots.forgetting_bars(ACCURACY.assign(accuracy=92.0)),
         ["accuracy table", "0 to 1", "got 92 to 92"]),
        (lambda: plots.forgetting_bars(pd.concat([ACCURACY, ACCURACY], ignore_index=True)),
         ["accuracy table", "mlp:letters-textures, method lwf, seed 0, after letters, task letters"]),
        (lambda: plots.accuracy_matrix(ACCURACY, "mlp:letters"),
         ["sequence", "'mlp:letters'", "Did you mean 'mlp:letters-textures'"]),
        (lambda: plots.accuracy_matrix(ACCURACY, PAIR, ["lfw"]), ["method", "'lfw'", "Did you mean 'lwf'"]),
        (lambda: plots.accuracy_matrix(ACCURACY, PAIR, []), ["methods", "at least one", "lwf, ebll"]),
        (lambda: plots.stability_plasticity(ACCURACY[ACCURACY["after"] == "letters"]), ["one task", "letters"]),
        (lambda: plots.average_along_sequence(ACCURACY[ACCURACY["after"] == "letters"]), ["one task", "letters"]),
        (lambda: plots.average_along_sequence(ACCURACY.assign(accuracy=np.nan)), ["lwf and ebll", "nothing to draw"]),
        (lambda: plots.forgetting_by_gap(ACCURACY, [PAIR, PAIR]), ["order", "mlp:letters-textures"]),
        (lambda: plots.tradeoff_fronts(ACCURACY), ["accuracy table", "columns: knob"]),
        (lambda: plots.accuracy_over_steps(STEPS.drop(columns="accuracy_new")), ["curves table", "accuracy_new"]),
        (lambda: plots.accuracy_over_steps(STEPS.assign(accuracy=np.nan)),
         ["curves table", "accuracy", "lwf and ebll"]),
        (lambda: plots.accuracy_over_steps(STEPS.assign(accuracy=80.0)), ["curves table", "accuracy", "got 80 to 80"]),
        (lambda: plots.feature_distance(STEPS[STEPS["stage"] == "warm-up"]), ["stage 'train'", "textures"]),
        (lambda: plots.feature_distance(STEPS, panels=["ewc"]), ["panel", "'ewc'", "lwf"]),
        (lambda: plots.feature_distance(STEPS, task="mnist"), ["old task", "'mnist'", "letters"]),
        (lambda: plots.submanifold(POINTS.drop(columns="x_back")), ["points table", "x_back"]),
        (lambda: plots.submanifold(cloud(classes="ABCDEFG")), ["6 classes", "got 7"]),
        (lambda: plots.over_setting(SIZES, "code", {}, **HEADS), ["ys", "at least one"]),
        (lambda: over(SIZES.assign(share=np.nan)), ["given table", "share", "empty"]),
        (lambda: over(SIZES, references={"joint": {"acuracy": 90}}), ["'joint'", "'acuracy'", "'accuracy'"]),
        (lambda: plots.task_images({}), ["rows", "at least one"]),
        (lambda: plots.task_images({"a": (np.zeros((2, 3, 4, 4)), "ab")}), ["a", "(n, height, width)", "(2, 3, 4,"]),
        (lambda: plots.task_images({"a": (np.zeros((2, 4, 4)), "abc")}), ["a", "2 images", "3 labels"]),
        (lambda: plots.task_images({"a": (np.full((1, 4, 4), 255), "a")}), ["a", "0 to 1", "got 255 to 255"]),
        (lambda: plots.claims_overview([]), ["claims", "id, statement, estimate, low, high, verdict"]),
        (lambda: plots.claims_overview([{"id": "C1", "statement": "x", "estimate": 1.0}]),
         ["claims", "low, high, verdict"]),
    ],
)  # fmt: skip
def test_refusals(call, named):
    with raises(InputError, *named):
        call()
