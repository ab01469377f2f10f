"""What is forgotten, by hand: recall of each class, the order in which images are lost, and the confusion."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.quiver import Quiver
from tiny import SETTINGS, sequence, small

from ebll import Task, compare, plots
from ebll.plots import confusion, lost_images

LABELS = "AABBC"
ANSWERS = {0: "AABCC", 5: "BABCC", 10: "AACCC", 15: "CABBC", 20: "CACBB"}
# by image:  0 A B A C C   lost for good at 15, to C; the loss at step 5 was made good
#            1 A A A A A   never lost
#            2 B B C B C   lost for good at 20
#            3 C C C B B   wrong at first, then right: not forgotten
#            4 C C C C B   lost at the last step


def predictions(answers=ANSWERS, method="lwf", seed=0, **more):
    rows = [
        {"sequence": "mlp:old-new", "net": "mlp", "method": method, "seed": seed, "training": "new", "stage": "train",
         "step": step, "task": "old", "image": 7 * i, "label": LABELS[i], "predicted": answer}
        for step, line in answers.items() for i, answer in enumerate(line)
    ]  # fmt: skip
    return pd.DataFrame(rows).assign(**more)


def test_images_are_lost_at_the_step_from_which_on_every_answer_is_wrong_in_that_order():
    found = lost_images(predictions())
    assert found[["image", "label", "step", "predicted"]].to_numpy().tolist() == [
        [0, "A", 15, "C"], [14, "B", 20, "C"], [28, "C", 20, "B"],
    ]  # fmt: skip
    still = predictions(dict.fromkeys((0, 3), "AABCC"))
    assert lost_images(still).empty
    assert list(lost_images(still).columns) == list(found.columns)
    both = lost_images(pd.concat([predictions(), predictions(seed=1), predictions(method="ebll")]))
    assert both.groupby(["method", "seed"]).size().to_dict() == {("ebll", 0): 3, ("lwf", 0): 3, ("lwf", 1): 3}


def test_confusion_is_the_percentage_of_each_answer_before_and_after_of_every_run_at_its_own_end():
    short = predictions({0: "AABBC", 2: "BBBBC"}, method="ebll")
    found = confusion(pd.concat([predictions(), short])).set_index(["method", "label", "predicted"])
    assert found.loc["lwf", ["before", "after"]].T.to_dict("list") == {
        ("A", "A"): [100, 50], ("A", "C"): [0, 50], ("B", "B"): [50, 50], ("B", "C"): [50, 50],
        ("C", "C"): [100, 0], ("C", "B"): [0, 100],
    }  # fmt: skip
    assert found.loc[("ebll", "A"), "after"].to_dict() == {"A": 0, "B": 100}
    assert np.allclose(found.groupby(["method", "label"])[["before", "after"]].sum(), 100)


def test_the_warm_up_changes_nothing_and_classes_may_be_categories():
    rows = pd.concat([predictions().assign(stage="warm-up", predicted="C"), predictions()])
    named = predictions().astype({"label": "category", "predicted": "category"})
    for function in (lost_images, confusion):
        pd.testing.assert_frame_equal(function(rows), function(predictions()))
        pd.testing.assert_frame_equal(function(named), function(predictions()), check_dtype=False)


def test_the_tables_of_a_comparison_agree_with_its_curves():
    tasks = sequence(2)
    options = {"log_every": 1, "samples": 5, "log_predictions": True}
    runs = compare(tasks, ["finetune", "lwf"], net=small, settings=SETTINGS, seeds=[0, 1], **options)
    found = confusion(runs.predictions).query("label == predicted").set_index(["method", "label"])["after"] / 100
    last = runs.predictions.query("stage == 'train' and seed == 0")
    last = last[last["step"] == last["step"].max()].groupby(["method", "label"]).size() / 5  # the share of each class
    curves = runs.curves.query("task == 'task0' and stage == 'train'")
    curves = curves[curves["step"] == curves["step"].max()].groupby("method")["accuracy"].mean()
    assert (found * last).groupby("method").sum().to_dict() == pytest.approx(curves.to_dict())


# The figures


def test_arrows_lead_from_the_mean_recall_before_to_that_after_and_classes_stand_by_their_loss():
    seeds = [predictions({0: "AABBC", 20: end}, seed=seed) for seed, end in enumerate(["CABBC", "CCBBC"])]
    figure = plots.class_recall(pd.concat(seeds))
    assert figure.table[["seed", "label", "before", "after"]].to_numpy().tolist() == [
        [0, "A", 100, 50], [0, "B", 100, 100], [0, "C", 100, 100],
        [1, "A", 100, 0], [1, "B", 100, 100], [1, "C", 100, 100],
    ]  # fmt: skip
    (axes,) = figure.axes
    assert [text.get_text() for text in axes.get_xticklabels()] == ["A", "B", "C"]
    (arrows,) = axes.findobj(Quiver)
    assert np.column_stack([arrows.X, arrows.Y, arrows.U, arrows.V]).tolist() == [
        [0, 100, 0, -75], [1, 100, 0, 0], [2, 100, 0, 0],
    ]  # fmt: skip
    assert figure.alt.endswith("LwF: macro average 100.0 → 75.0 %; lost most: A −75.")


def test_the_average_of_recalls_counts_classes_alike_and_a_gain_is_no_loss():
    figure = plots.class_recall(predictions({0: "AACCC", 20: "AABBC"}))  # B gains all of its images
    assert "macro average 66.7 → 100.0 %" in figure.alt  # of the images, 60 % and 100 %
    assert "lost most: none" in figure.alt


def test_the_confusion_is_drawn_before_and_after_as_means_over_seeds_also_where_a_seed_lacks_a_pair():
    seeds = [predictions({0: "AABBC", 20: end}, seed=seed) for seed, end in enumerate(["CABBC", "BBBBC"])]
    figure = plots.confusion_matrix(pd.concat(seeds), classes=1)
    table = figure.table.set_index(["label", "predicted"])
    assert table.loc["A", ["before", "after"]].T.to_dict("list") == {"A": [100, 25], "B": [0, 50], "C": [0, 25]}
    before, after = figure.axes
    assert [text.get_text() for text in before.get_yticklabels()] == ["A"]
    assert [text.get_text() for text in before.texts] == ["100", "", ""]
    assert [text.get_text() for text in after.texts] == ["25", "50", "25"]
    assert figure.alt.endswith("Before: confused most: none. After, LwF: confused most: A → B 50 %, A → C 25 %.")


def test_the_images_drawn_are_those_that_were_lost():
    grey = np.linspace(0, 1, 30)[:, None, None] * np.ones((1, 6, 6))
    labels = np.arange(30) % 3
    task = Task.from_tensors("old", (grey, labels), (grey, labels), validation=(grey, labels), classes=list("ABC"))
    figure = plots.forgotten_images(predictions(), task)
    (axes,) = figure.axes
    drawn = axes.images[0].get_array()
    assert [drawn[3, 8 * i + 3] for i in range(3)] == pytest.approx([0 / 29, 14 / 29, 28 / 29], abs=1e-6)
    told = [" ".join(text.get_text().split()) for text in axes.get_xticklabels()]
    assert told == ["A → C step 15", "B → C step 20", "C → B step 20"]
    assert " ".join(axes.get_ylabel().split()) == "LwF: 3 of 4 lost"
    assert len(figure.table) == 3
    assert "A → C step 15" in figure.alt
    both = pd.concat([predictions(), predictions(dict.fromkeys((0, 3), "AABCC"), method="ebll")])
    figure = plots.forgotten_images(both, task)
    assert len(figure.axes) == 1
    assert "EBLL: 0 of 4 lost" in figure.alt  # it is not left out
