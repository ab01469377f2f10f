"""The numbers that are plotted, against hand-made ones; the words in which a table is refused."""

import math

import numpy as np
import pandas as pd
import pytest
from messages import raises
from plots_rig import CLAIMS, CURVES, PAIR, accuracy_table, curves_table

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
    ("call", "named"),
    [
        (lambda a: plots.forgetting_bars(a.drop(columns=["seed", "after"])),
         ["accuracy table", "seed, after", "sequence, net, method, task, accuracy"]),
        (lambda a: plots.forgetting_bars(a[:0]), ["accuracy table", "empty"]),
        (lambda a: plots.forgetting_bars([1]), ["accuracy table", "got list"]),
        (lambda a: plots.forgetting_bars(a.assign(accuracy=92.0)), ["accuracy table", "0 to 1", "got 92 to 92"]),
        (lambda a: plots.forgetting_bars(pd.concat([a, a], ignore_index=True)),
         ["accuracy table", "mlp:letters-textures, method lwf, seed 0, after letters, task letters"]),
        (lambda a: plots.accuracy_matrix(a, "mlp:letters"),
         ["sequence", "'mlp:letters'", "Did you mean 'mlp:letters-textures'"]),
        (lambda a: plots.accuracy_matrix(a, PAIR, ["lfw"]), ["method", "'lfw'", "Did you mean 'lwf'", "lwf, ebll"]),
        (lambda a: plots.accuracy_matrix(a, PAIR, []), ["methods", "at least one", "lwf, ebll"]),
        (lambda a: plots.stability_plasticity(a[a["after"] == "letters"]),
         ["mlp:letters-textures", "one task", "letters"]),
        (lambda a: plots.forgetting_by_gap(a, [PAIR, PAIR]),
         ["order", "mlp:letters-textures, mlp:letters-textures"]),
        (lambda a: plots.claims_overview([]), ["claims", "id, statement, estimate, low, high, verdict"]),
        (lambda a: plots.claims_overview([{"id": "C1", "statement": "x", "estimate": 1.0}]),
         ["C1", "low, high, verdict"]),
    ],
)  # fmt: skip
def test_refusals(call, named):
    with raises(InputError, *named):
        call(accuracy_table(PAIR, methods=["lwf", "ebll"], seeds=2))


def test_refusals_of_the_curves_table():
    curves = curves_table(seeds=1, methods=["lwf"], steps=20)
    with raises(InputError, "curves table", "loss_code"):
        plots.loss_terms(curves.drop(columns="loss_code"), CURVES, "lwf")
    with raises(InputError, "stage 'train'", "textures"):
        plots.feature_distance(curves[curves["stage"] == "warm-up"], CURVES)
    empty = curves.assign(**{f"loss_{term}": np.nan for term in plots.TERMS})
    with raises(InputError, "no loss terms", "lwf"):
        plots.loss_terms(empty, CURVES, "lwf")
    with raises(InputError, "panel", "'ewc'", "lwf"):
        plots.feature_distance(curves, CURVES, panels=["ewc"])
    with raises(InputError, "old task", "'mnist'", "letters"):
        plots.feature_distance(curves, CURVES, task="mnist")


def test_the_readers_table_is_left_alone():
    accuracy, curves = accuracy_table(PAIR, seeds=2), curves_table(seeds=2, methods=["ebll"], steps=20)
    copies = accuracy.copy(), curves.copy()
    plots.forgetting_bars(accuracy)
    plots.feature_distance(curves, CURVES, warm_up=True)
    pd.testing.assert_frame_equal(accuracy, copies[0])
    pd.testing.assert_frame_equal(curves, copies[1])


def same(function, categories, text):
    pd.testing.assert_frame_equal(function(categories), function(text))


def test_categories_are_as_good_as_text():
    accuracy = accuracy_table(PAIR, seeds=2)
    categories = accuracy.astype(dict.fromkeys(["sequence", "net", "method", "after", "task"], "category"))
    for function in (plots.forgetting_table, plots.stability_plasticity_table, plots.accuracy_matrix_table):
        same(function, categories, accuracy)


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
