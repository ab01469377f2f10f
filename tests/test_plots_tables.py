"""The numbers behind the figures, against hand-made ones; and their words."""

import numpy as np
import pandas as pd
import pytest
from golden import inputs

from ebll import plots
from ebll.plots import words

PAIR = "mlp:letters-textures"


def accuracies(measured, method="lwf", sequence=PAIR, first_seed=0, **more):
    """The accuracy table of a method: (after, task) -> a number a seed."""
    facts = {"sequence": sequence, "net": "mlp", "method": method, **more}
    return pd.DataFrame(
        {**facts, "seed": first_seed + i, "after": after, "task": task, "accuracy": value}
        for (after, task), values in measured.items()
        for i, value in enumerate(values)
    )


def pair(just_learned, at_end, new, method="lwf", **more):
    when = [("letters", "letters"), ("textures", "letters"), ("textures", "textures")]
    return accuracies(dict(zip(when, (just_learned, at_end, new), strict=True)), method, **more)


def along(*values, method="ewc", first_seed=0):
    """One seed of three tasks, measured after a: a, after b: a, b, after c: a, b, c; None is not measured."""
    when = [("a", "a"), ("b", "a"), ("b", "b"), ("c", "a"), ("c", "b"), ("c", "c")]
    measured = {key: [value] for key, value in zip(when, values, strict=True) if value is not None}
    return accuracies(measured, method, "s:a-b-c", first_seed)


RUN = along(0.9, 0.8, 0.7, 0.5, 0.6, 0.4)
SIZES = inputs.code_sizes()
ACCURACY = inputs.accuracy([PAIR]).query("method in ('lwf', 'ebll')").reset_index(drop=True)


def over(table, ys=("accuracy", "share"), **options):
    return plots.over_setting(table, "code", {y: f"{y}, %" for y in ys}, xlabel="size", title="Codes", **options)


CURVES = inputs.curves().query("training == 'digits' and method in ('lwf', 'ebll')").reset_index(drop=True)


def test_numbers_in_words():
    for made, text in [
        (words.seeds_words([5, 5]), "5 seeds"),
        (words.seeds_words([1, 1]), "one seed"),
        (words.seeds_words([0]), ""),
        (words.seeds_words([1, 5, 0]), "1 to 5 seeds"),
        (words.course(pd.Series([0.0, 2, 4])), "0 at 0, 4.00 at 2"),
        (words.course(pd.Series([0, 17.2, 3.1])), "0 at 0, highest 17.2 at 1, 3.10 at 2"),
        (words.course(pd.Series([9.0, 1, 3])), "9.00 at 0, lowest 1.00 at 1, 3.00 at 2"),
        (words.course(pd.Series([5.0])), "5.00 at 0"),
        (words.number(1234.5), "1234"),
        (words.number(-0.5), "−0.500"),
        (words.number(0.00001), "1.00e-05"),
        (words.listed("abc"), "a, b and c"),
        (words.between(-0.04, -1.0, 1.26), "0.0 (−1.0 to 1.3)"),
        (words.between(2.0, np.nan, np.nan), "2.0"),
        (words.spread(pd.Series([1.0, 2.0, 6.0])), "3.0 (1.0 to 6.0)"),
        (words.spread(pd.Series([2.0])), "2.0"),
    ]:
        assert made == text


def test_forgetting_outcomes_and_accuracies_by_hand():
    figure = plots.forgetting_bars(pair([0.90, 0.91, 0.92], [0.89, 0.89, 0.89], [0.5, 0.6, 0.7]))
    assert figure.table["value"].tolist() == pytest.approx([1, 2, 3])
    assert figure.table["mean"].tolist() == pytest.approx([2, 2, 2])
    assert figure.table["seeds"].tolist() == [3, 3, 3]
    assert figure.alt.endswith("letters → textures (MLP), percentage points: LwF 2.0 (1.0 to 3.0).")
    ended = pair([0.9] * 3, [0.71, 0.72, 0.73], [0.4, 0.5, 0.6])
    figure = plots.stability_plasticity(ended)
    table = figure.table[["old", "new", "old_mean", "new_mean"]]
    assert table.to_numpy() == pytest.approx(np.array([[71, 40, 72, 50], [72, 50, 72, 50], [73, 60, 72, 50]]))
    assert figure.alt.endswith("LwF 72.0 (71.0 to 73.0) % old, 50.0 (40.0 to 60.0) % new.")
    table = plots.accuracy_matrix(ended, PAIR).table
    places = [["letters"] * 2, ["textures", "letters"], ["textures"] * 2]
    assert table[["after", "task"]].values.tolist() == [place for place in places for _ in range(3)]
    assert table["mean"].tolist() == pytest.approx([90] * 3 + [72] * 3 + [50] * 3)
    assert table["value"].tolist() == pytest.approx([90] * 3 + [71, 72, 73] + [40, 50, 60])


def test_outcomes_of_three_tasks_are_means_over_old_and_new_ones_and_averages_go_along():
    alone = along(0.9, None, 0.7, None, None, 0.5, method="single-task")
    short = along(0.9, 0.8, 0.7, 0.5, None, 0.4, first_seed=1)  # counts where all its tasks so far were measured
    found = plots.outcomes(pd.concat([RUN, alone]).sample(frac=1, random_state=0)).set_index("method")
    assert set(found["words"]) == {"a → b → c (MLP)"}
    measured = found[["forgetting", "old", "new"]]
    assert measured.loc["ewc"].tolist() == pytest.approx([(40 + 10) / 2, (50 + 60) / 2, (70 + 40) / 2])
    assert measured.loc["single-task"].tolist() == pytest.approx([np.nan, 80, 60], nan_ok=True)
    figure = plots.average_along_sequence(RUN)
    assert figure.table["quantity"].tolist() == ["average"] * 3 + ["first"] * 3
    assert figure.table["learned"].tolist() == [1, 2, 3] * 2
    assert [text.get_text() for text in figure.axes[-1].get_xticklabels()] == ["1\na", "2\nb", "3\nc"]
    assert figure.table["mean"].tolist() == pytest.approx([90, 75, 50, 90, 80, 50])
    assert "average accuracy on tasks so far, % over learned: EWC 90.0 at 1, 50.0 at 3." in figure.alt
    table = plots.average_along_sequence(pd.concat([RUN, short, alone])).table
    runs, own = table[table["method"] == "ewc"], table[table["method"] == "single-task"]
    assert runs["learned"].tolist() == [1, 1, 2, 2, 3] * 2
    assert runs["seeds"].tolist() == [2, 2, 2, 2, 1] * 2
    assert own["mean"].tolist() == pytest.approx([90, 80, 70, 90, 90, 90])  # networks of their own stay as they are


def test_gain_is_paired_by_seed():
    lwf = pair([0.9] * 3, [0.70, 0.75, 0.80], [0.5] * 3)
    ebll = pair([0.9] * 3, [0.71, 0.77, 0.83], [0.5] * 3, "ebll")
    plain = pair([0.9] * 3, [0.50, 0.55, 0.60], [0.5] * 3, "finetune")
    figure = plots.forgetting_by_gap(pd.concat([lwf, ebll, plain]), {PAIR: 0.4})
    gain = figure.table.query("quantity == 'gain'")
    assert gain["value"].tolist() == pytest.approx([1, 2, 3])
    assert set(figure.table["gap"]) == {0.4}
    assert "fine-tuning, from near to far: 35.0 (not shown)" in figure.alt
    assert "forgetting, points over gap: LwF 15.0 at 0.4; EBLL 13.0 at 0.4." in figure.alt
    assert "EBLL minus LwF 2.00 at 0.4." in figure.alt


def test_pairs_stand_at_their_gaps():
    far, near = PAIR, "mlp:letters-mnist"
    figure = plots.forgetting_by_gap(inputs.accuracy([near, far]), pd.Series({far: 0.43, near: 0.16}))
    outcomes = plots.outcomes(inputs.accuracy([near, far])).query("method == 'lwf'").groupby("sequence")["forgetting"]
    drawn = figure.table.query("quantity == 'forgetting' and method == 'lwf'").groupby("gap")["mean"].first()
    assert drawn.to_dict() == pytest.approx({0.16: outcomes.mean()[near], 0.43: outcomes.mean()[far]})
    marked = [line for line in figure.axes[0].lines if line.get_marker() not in ("None", "")]
    for line in (line for line in marked if len(line.get_xdata())):
        assert list(line.get_xdata()) == [0.16, 0.43]
    assert "letters → mnist (MLP) 0.16 and letters → textures (MLP) 0.43" in figure.axes[-1].get_xlabel().replace(
        "\n", " "
    )


def test_feature_distance_is_the_mean_over_seeds_at_each_step():
    figure = plots.feature_distance(CURVES)
    rows = CURVES.query("method == 'lwf' and stage == 'train' and step == 8")
    drawn = figure.table.query("quantity == 'feature_distance' and method == 'lwf' and step == 8")
    values = rows["feature_distance"].to_numpy()
    assert drawn["mean"].tolist() == pytest.approx([values.mean()] * 3)
    assert drawn["value"].tolist() == pytest.approx(list(values))
    assert set(figure.table.query("quantity == 'loss_code'")["method"]) == {"ebll"}
    assert figure.table["step"].min() == 0
    later = {"training": "textures", "task": "digits"}
    for options, old, new in [({}, "letters", "digits"), (later, "digits", "textures")]:
        told = plots.feature_distance(inputs.curves(), **options).alt
        assert told.startswith(f"How far the features of {old} move while {new} is learned (MLP).")


def test_distillation_counts_from_each_seeds_first_step_and_other_terms_as_they_are():
    curves = CURVES.assign(loss_distill=CURVES["loss_distill"] + CURVES["seed"])
    drawn = plots.loss_terms(curves, methods=["lwf", "ebll"]).table
    rises = drawn[drawn["quantity"] == "loss_distill"]
    assert rises["value"].tolist() == pytest.approx(list(0.02 * rises["step"]))  # 0.1 + 0.02 a step, in the inputs
    code = drawn[drawn["quantity"] == "loss_code"]
    assert code["value"].tolist() == pytest.approx(list(0.1 + 0.02 * code["step"]))


def test_warm_up_lies_before_step_zero():
    for curves, first in [
        (CURVES, -5),  # the last of 0 to 4 is -1
        (CURVES.assign(step=CURVES["step"].where(CURVES["stage"] == "train", CURVES["step"] - 60)), -60),
    ]:
        assert plots.loss_terms(curves, methods="lwf", warm_up=True).table["step"].min() == first


def test_accuracy_over_steps_is_the_mean_over_seeds_in_percent():
    curves = CURVES.assign(accuracy=0.8 + 0.01 * CURVES["seed"], accuracy_new=CURVES["step"] / 100)
    table = plots.accuracy_over_steps(curves).table
    assert table["method"].drop_duplicates().tolist() == ["lwf", "ebll"]
    old = table.query("quantity == 'accuracy' and method == 'ebll'")
    assert old["step"].tolist() == [0, 0, 0, 4, 4, 4, 8, 8, 8, 16, 16, 16]
    assert old["mean"].tolist() == pytest.approx([81] * 12)
    assert old["value"].tolist() == pytest.approx([80, 81, 82] * 4)
    new = table[table["quantity"] == "accuracy_new"].drop_duplicates(["method", "step"])
    assert new["mean"].tolist() == pytest.approx([0, 4, 8, 16] * 2)
    curves = CURVES.query("method == 'ebll' and seed == 0 and stage == 'train'")
    curves = curves.assign(accuracy=[0.9, 0.7, 0.8, 0.85], accuracy_new=curves["step"] / 100)
    assert plots.accuracy_over_steps(curves).alt == (
        "Accuracy while digits is learned (MLP). Held-out inputs; one seed. "
        "accuracy on letters (old task), % over step: EBLL 90.0 at 0, lowest 70.0 at 4, 85.0 at 16. "
        "accuracy on digits (new task), % over step: EBLL 0 at 0, 16.0 at 16."
    )
    assert len(plots.accuracy_over_steps(curves.assign(accuracy_new=np.nan)).axes) == 1


def test_settings_of_a_method_by_hand():
    weak = pair([0.9] * 3, [0.50, 0.51, 0.52], [0.7] * 3, strength=1.0)
    strong = pair([0.9] * 3, [0.71, 0.72, 0.73], [0.4, 0.5, 0.6], strength=10.0)
    plain = pair([0.9] * 3, [0.3] * 3, [0.8] * 3, "finetune", strength=np.nan)
    figure = plots.stability_plasticity(pd.concat([strong, weak, plain]), split="validation")
    assert figure.table["old"].tolist() == pytest.approx([30] * 3 + [50, 51, 52] + [71, 72, 73])
    table = figure.table.drop_duplicates(["method", "strength"])
    assert table["method"].tolist() == ["finetune", "lwf", "lwf"]
    assert table["old_mean"].tolist() == pytest.approx([30, 51, 72])
    assert table["new_mean"].tolist() == pytest.approx([80, 70, 50])
    told = "Fine-tuning 30.0 % old, 80.0 % new; LwF at 1 51.0 (50.0 to 52.0) % old, 70.0 % new"
    assert told in figure.alt
    assert "Validation data" in figure.alt
    means = (
        pd.concat([strong, weak]).groupby(["method", "strength", "after", "task"], as_index=False)["accuracy"].mean()
    )
    means = means.assign(sequence=weak["sequence"].iloc[0], net="mlp", seed=None)
    drawn = plots.stability_plasticity(means).table
    assert drawn["old_mean"].tolist() == drawn["old"].tolist() == pytest.approx([51, 72])


def test_a_setting_that_did_not_end_is_left_out_and_seeds_that_ended_are_counted():
    swept = inputs.accuracy_by_setting()
    broken = (swept["after"] == "textures") & (swept["method"] == "ewc")
    broken &= (swept["strength"] == 1) | (swept["seed"] > 0)
    ewc = plots.stability_plasticity(swept[~broken]).table.query("method == 'ewc'")
    assert ewc[["strength", "seeds"]].to_numpy().tolist() == [[0, 1], [10, 1]]


def test_submanifold_keeps_the_points_and_measures_the_way_back_and_claims_of_one_seed_have_no_interval():
    points = pd.DataFrame({"panel": "p", "label": ["A", "B"], "x": [0.0, 3.0], "y": 0.0, "x_back": [3.0, 3.0]})
    figure = plots.submanifold(points.assign(y_back=[4.0, 1.0], share=0.25, accuracy=0.5))
    assert figure.table[["x", "x_back", "y_back"]].to_numpy().tolist() == [[0, 3, 4], [3, 3, 1]]
    told = "mean distance in the plane to the reconstruction 3.00, unexplained 25.0 %, accuracy 50.0 %."
    assert f"p: 2 inputs, {told} Classes: A and B." in figure.alt
    figure = plots.claims_overview([inputs.claims()[0] | {"low": None, "high": None}])
    assert figure.table.loc[0, ["unit", "reference"]].tolist() == ["", 0]
    assert figure.table["low"].isna().all()
    assert figure.alt.endswith("C1, supported: EBLL keeps more of the old task than LwF: 5.20.")


def test_ten_images_of_a_task_are_drawn_and_those_in_colour_in_colour():
    images = np.zeros((2, 4, 5, 3))
    images[0, :, :, 0], images[1] = 1, 0.5
    figure = plots.task_images({"own": (images, ["red", "grey"])})
    (drawn,) = [np.asarray(one.get_array()) for axes in figure.axes for one in axes.get_images()]
    assert drawn.shape == (6, 14, 3)
    assert drawn[1, 1].tolist() == [1, 0, 0]
    assert figure.table[["height", "width"]].to_numpy().tolist() == [[4, 5]] * 2
    assert figure.table["mean"].tolist() == pytest.approx([1 / 3, 0.5])
    figure = plots.task_images({"a": (np.zeros((3, 4, 4)), "012"), "b": (np.zeros((12, 4, 4)), "ABCDEFGHIJKL")})
    assert figure.table.groupby("task")["label"].agg("".join).tolist() == ["012", "ABCDEFGHIJ"]
    told = "Images of 2 tasks. A row a task, classes from left to right. a: 0, 1, 2. b: A, B, C, D, E, F, G, H, I, J."
    assert figure.alt == told


def test_over_setting_has_a_logarithmic_axis_upwards_and_kinds_that_are_numbers_come_by_size():
    figure = over(SIZES.replace({"PCA": 10, "autoencoder": 2.5}).astype({"kind": float}), ["accuracy"], log_y=True)
    assert [axes.get_yscale() for axes in figure.axes] == ["log"]
    low, high = figure.axes[0].get_ylim()
    assert figure.axes[0].yaxis.get_major_formatter()(10_000, 0) == "10,000"
    assert 0 < low < SIZES["accuracy"].min() < SIZES["accuracy"].max() < high
    assert figure.table["kind"].drop_duplicates().tolist() == ["2.5", "10"]
    assert [text.get_text() for text in figure.axes[0].get_legend().get_texts()] == ["2.5", "10"]


def test_over_setting_by_hand():
    rows = [(2, "mine", s, 10.0 + s, 1.0) for s in range(3)] + [(8, "mine", 0, 20.0, 2.0), (2, "ebll", 0, 5.0, np.nan)]
    table = pd.DataFrame(rows, columns=["code", "kind", "seed", "accuracy", "share"])
    figure = over(table, references={"joint": {"accuracy": 90}}, caption="Validation data.")
    drawn = figure.table
    assert list(drawn) == ["quantity", "kind", "code", "seed", "value", "mean", "seeds"]
    assert drawn["kind"].tolist() == ["ebll", *["mine"] * 4, "joint", *["mine"] * 4]
    assert drawn["mean"].tolist() == [5, 11, 11, 11, 20, 90, 1, 1, 1, 2]
    assert drawn["value"].tolist() == pytest.approx([5, 10, 11, 12, 20, np.nan, 1, 1, 1, 2], nan_ok=True)
    assert "over code: EBLL 5.00 at 2; mine 11.0 at 2, 20.0 at 8; Joint training, level: 90.0." in figure.alt
    assert " Validation data; 1 to 3 seeds and their mean. " in figure.alt
    computed = over(table.groupby(["code", "kind"], as_index=False).mean().assign(seed=None), caption="Means.")
    assert computed.table["mean"].tolist() == [5, 11, 20, 1, 2]
    assert len(computed.axes[0].lines) == 2, "no line for a seed"
    assert " Means. " in computed.alt
    figure = over(table, ["accuracy"], references={"4 x": {"accuracy": {2: 8.0, 4: 16.0}}})
    assert figure.table.query("kind == '4 x'")[["code", "mean"]].to_numpy().tolist() == [[2, 8], [4, 16]]
    line = figure.axes[0].lines[-1]
    assert (line.get_xdata().tolist(), line.get_ydata().tolist(), line.get_marker()) == ([2, 4], [8, 16], "")


POINTS = inputs.points()
DRAWN = {
    plots.accuracy_matrix: ACCURACY, plots.forgetting_bars: ACCURACY, plots.stability_plasticity: ACCURACY,
    plots.average_along_sequence: ACCURACY, plots.accuracy_over_steps: CURVES,
    plots.submanifold: POINTS, over: SIZES,
}  # fmt: skip


@pytest.mark.parametrize("plot", DRAWN)
def test_a_readers_table_is_left_alone_and_its_categories_are_as_good_as_text(plot):
    table = DRAWN[plot]
    copy, texts = table.copy(), table.select_dtypes(["object", "string"]).columns
    drawn = plot(table).table
    pd.testing.assert_frame_equal(plot(table.astype(dict.fromkeys(texts, "category"))).table, drawn)
    pd.testing.assert_frame_equal(table, copy)
