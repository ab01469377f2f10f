"""The paper's layout, from an accuracy table made by hand."""

import pandas as pd
import pytest

from ebll.paper.report import layout_text, layouts
from ebll.reproduce.plan import Experiment
from ebll.reproduce.report import LABELS

pytestmark = pytest.mark.paper

SCENES, BIRDS = Experiment("alexnet", ("flowers", "scenes")), Experiment("alexnet", ("flowers", "birds"))
THREE = Experiment("alexnet", ("imagenet", "scenes", "birds"))
LWF, TUNED, EBLL = LABELS["lwf"], LABELS["finetune"], LABELS["ebll"]
OLD, NEW = "mean change, old", "mean change, new"


def rows(e, method, *accuracies, seed=0):
    """Accuracies in %, in the order of the matrix: first after first, then both after the second, ..."""
    pairs = [(after, task) for i, after in enumerate(e.tasks) for task in e.tasks[: i + 1]]
    return [
        {"sequence": e.id, "method": method, "seed": seed, "after": after, "task": task, "accuracy": value / 100}
        for (after, task), value in zip(pairs, accuracies, strict=False)
    ]


def table(*parts):
    return pd.DataFrame([row for part in parts for row in part])


PAIRS = table(
    rows(SCENES, "finetune", 86.4, 61.6, 63.9),
    rows(SCENES, "lwf", 86.4, 83.7, 62.2),
    rows(BIRDS, "finetune", 86.4, 66.6, 57.5),
    rows(BIRDS, "lwf", 86.4, 82.0, 52.2),
)


def columns_of(found):
    return [name for name in found if not name.endswith(", paper")]


def test_pairs_by_hand():
    """Old: 83.7 - 86.4 = -2.7 and 82.0 - 86.4 = -4.4, in the mean -3.55; new: -1.7 and -5.3, in the mean -3.5."""
    ((title, found),) = layouts(PAIRS, [SCENES, BIRDS]).items()
    assert title == "Two tasks, from Flowers"
    assert "## Two tasks, from Flowers\n" in layout_text({title: found})
    assert list(found.index) == [TUNED, LWF]
    assert columns_of(found) == ["Scenes: old", "Scenes: new", "Birds: old", "Birds: new", OLD, NEW]
    assert list(found.loc[LWF, columns_of(found)]) == [
        "83.7 (-2.7)", "62.2 (-1.7)", "82.0 (-4.4)", "52.2 (-5.3)", "-3.6", "-3.5",
    ]  # fmt: skip
    assert list(found.loc[TUNED, columns_of(found)]) == [
        "61.6 (-24.8)", "63.9 (ref.)", "66.6 (-19.8)", "57.5 (ref.)", "-22.3", "0.0",
    ]  # fmt: skip


def test_beside_every_column_stands_an_empty_one_and_no_number_of_the_paper():
    everything = {**layouts(PAIRS, [SCENES, BIRDS]), **layouts(table(rows(THREE, "lwf", *range(50, 56))), [THREE])}
    for found in everything.values():
        names = list(found)
        assert names[1::2] == [f"{name}, paper" for name in names[::2]]
        assert (found[names[1::2]] == "").all(axis=None)
        assert (found[names[::2]] != "").any(axis=0).any()


def test_three_tasks_by_hand():
    """After the third: 54.0, 64.0, 57.0, against 57.0 before all, and fine-tuning's 65.0 and 58.0 just after each."""
    data = table(
        rows(THREE, "finetune", 57.0, 48.0, 65.0, 37.5, 45.6, 58.0),
        rows(THREE, "ebll", 57.0, 56.0, 64.5, 54.0, 64.0, 57.0),
    )
    ((title, found),) = layouts(data, [THREE]).items()
    assert title == "ImageNet → Scenes → Birds"
    assert columns_of(found) == ["ImageNet", "Scenes", "Birds", "mean change"]
    assert list(found.loc[EBLL, columns_of(found)]) == ["54.0 (-3.0)", "64.0 (-1.0)", "57.0 (-1.0)", "-1.7"]
    assert list(found.loc[TUNED, columns_of(found)]) == ["37.5 (-19.5)", "45.6 (-19.4)", "58.0 (ref.)", "-13.0"]


def test_seeds_are_averaged_with_half_their_interval():
    """Means of 80 and 84 with t(0.975, 1 degree of freedom) = 12.706: 82 +/- 12.706 * sqrt(8) / sqrt(2) = 25.4."""
    data = table(
        rows(SCENES, "finetune", 90, 60, 70), rows(SCENES, "finetune", 88, 60, 70, seed=1),
        rows(SCENES, "lwf", 90, 80, 66), rows(SCENES, "lwf", 88, 84, 66, seed=1),
    )  # fmt: skip
    (found,) = layouts(data, [SCENES]).values()
    assert found.loc[LWF, "Scenes: old"] == "82.0 ± 25.4 (-7.0)"
    assert found.loc[LWF, OLD] == "-7.0"


def test_without_fine_tuning_there_is_no_reference_for_the_new_sets():
    (found,) = layouts(PAIRS[PAIRS["method"] == "lwf"], [SCENES, BIRDS]).values()
    assert list(found.index) == [LWF]
    assert list(found.loc[LWF, columns_of(found)]) == [
        "83.7 (-2.7)", "62.2", "82.0 (-4.4)", "52.2", "-3.6", "",
    ]  # fmt: skip


def test_a_run_that_ended_early_or_is_missing_is_no_run_and_leaves_the_mean_open():
    ended = table(
        PAIRS.to_dict("records"), rows(SCENES, "ebll", 86.4, 84.9, 62.2), rows(BIRDS, "ebll", 86.4)
    )  # the birds diverged
    (found,) = layouts(ended, [SCENES, BIRDS]).values()
    assert list(found.loc[EBLL, columns_of(found)]) == ["84.9 (-1.5)", "62.2 (-1.7)", "no run", "no run", "", ""]
    absent = ended[~((ended["method"] == "ebll") & (ended["sequence"] == BIRDS.id))]
    (again,) = layouts(absent, [SCENES, BIRDS]).values()
    assert again.equals(found)
    (whole,) = layouts(table(rows(THREE, "lwf", 57, 55, 65)), [THREE]).values()
    assert set(whole.loc[LWF, ["ImageNet", "Scenes", "Birds"]]) == {"no run"}
    assert whole.loc[LWF, "mean change"] == ""


def test_a_tiny_change_has_no_sign():
    data = table(
        rows(SCENES, "finetune", 80, 70, 60), rows(SCENES, "lwf", 80, 79.96, 60.04), rows(SCENES, "ebll", 80, 90, 70.1)
    )  # fmt: skip
    (found,) = layouts(data, [SCENES]).values()
    assert list(found.loc[LWF, columns_of(found)]) == ["80.0 (0.0)", "60.0 (0.0)", "0.0", "0.0"]
    assert list(found.loc[EBLL, columns_of(found)]) == ["90.0 (+10.0)", "70.1 (+10.1)", "+10.0", "+10.1"]
