"""Choosing alpha from a table: answers worked out by hand, and tables from which none can be had."""

import math

import pandas as pd
import pytest
from messages import raises

from ebll import InputError
from ebll.sweeps import choose_alpha

COLUMNS = ["method", "alpha", "seed", "old_validation", "new_validation", "code_loss", "old", "new", "average"]
NAN = math.nan


def table(*rows):
    """Rows of: method, alpha, old and new validation accuracy, code loss; two seeds 0.02 apart, tests half of it."""
    made = []
    for method, alpha, old, new, code in rows:
        for seed, off in ((0, -0.01), (1, 0.01)):
            test = [(old + off) / 2, (new + off) / 2]
            made.append([method, alpha, seed, old + off, new + off, code, *test, sum(test) / 2])
    return pd.DataFrame(made, columns=COLUMNS)


ROWS = [
    ("finetune", NAN, 0.40, 0.80, NAN),
    ("ebll", 0.1, 0.60, 0.80, 0.50),
    ("ebll", 1.0, 0.70, 0.78, 0.20),
    ("ebll", 10.0, 0.80, 0.74, 0.05),
    ("ebll", 100.0, 0.85, 0.60, 0.01),
]


def test_the_choice_gives_way_as_far_as_the_new_task_needs_and_the_oracle_looks_at_the_old():
    """At least 0.95 * 0.80 = 0.76: alpha 1. Best sum of old and new: 1.40, 1.48, 1.54, 1.45: alpha 10."""
    choice = choose_alpha(table(*ROWS))
    assert (choice.chosen, choice.oracle, choice.reference) == (1.0, 10.0, pytest.approx(0.80))
    assert choice.regret == pytest.approx((0.80 + 0.74) / 4 - (0.70 + 0.78) / 4)
    assert choice.words() == (
        "Alpha 1 (35.0 / 39.0 % old / new). With old data to look at one would take 10 (40.0 / 37.0 %): +1.5 points on "
        "average."
    )
    assert list(choice.table["failed"]) == [0, 0, 0, 0]


@pytest.mark.parametrize(("tolerance", "wanted"), [(0.0, 0.1), (0.05, 1.0), (0.08, 10.0), (0.26, 100.0), (1.0, 100.0)])
def test_the_more_the_new_task_may_lose_the_stronger_the_protection(tolerance, wanted):
    assert choose_alpha(table(*ROWS), tolerance=tolerance).chosen == wanted


def test_a_larger_code_loss_bars_an_alpha():
    rows = [*ROWS[:3], ("ebll", 10.0, 0.80, 0.79, 0.30)]
    choice = choose_alpha(table(*rows))
    assert (choice.chosen, choice.oracle) == (1.0, 10.0)


def test_a_failed_seed_bars_an_alpha_for_both():
    made = table(*ROWS)
    made.loc[(made["alpha"] == 10.0) & (made["seed"] == 1), COLUMNS[3:]] = NAN
    choice = choose_alpha(made)
    assert (choice.chosen, choice.oracle) == (1.0, 1.0)
    assert choice.table.loc[10.0, "failed"] == 1
    assert choice.words().endswith("The oracle takes the same.")
    assert choice.regret == 0


def test_without_fine_tuning_the_smallest_alpha_is_the_reference():
    rows = [("ebll", 0.1, 0.6, 0.76, 0.5), ("ebll", 1.0, 0.7, 0.73, 0.2)]
    assert choose_alpha(table(*rows)).reference == pytest.approx(0.76)
    assert choose_alpha(table(*rows)).chosen == 1.0  # 0.95 * 0.76 = 0.722
    assert choose_alpha(table(*rows, ("finetune", NAN, 0.4, 0.80, NAN))).chosen == 0.1  # none will do, so the smallest


def test_the_choice_looks_at_no_old_image_and_neither_choice_at_a_test_image():
    made = table(*ROWS)
    made[["old", "new", "average"]] *= -1  # what was best by test images is worst
    assert (choose_alpha(made).chosen, choose_alpha(made).oracle) == (1.0, 10.0)
    made["old_validation"] = 0.5
    assert choose_alpha(made).chosen == 1.0


def test_the_reference_is_of_the_same_tasks():
    made = table(*ROWS).assign(tasks="letters-mnist")
    other = table(("finetune", NAN, 0.1, 0.10, NAN)).assign(tasks="letters-textures")
    assert choose_alpha(pd.concat([other, made])).reference == pytest.approx(0.80)


@pytest.mark.parametrize(
    ("made", "options", "named"),
    [
        (table(*ROWS).drop(columns="code_loss"), {}, ["table", "no code_loss"]),
        (table(*ROWS[:2]), {}, ["alpha", "'ebll'", "has 1"]),
        (table(*ROWS), {"method": "lwf"}, ["method", "'lwf'"]),
        (table(*ROWS), {"method": "code-only"}, ["alpha", "'code-only'", "has 0"]),
        (table(*ROWS), {"tolerance": 2}, ["tolerance", "at most 1", "got 2"]),
        (table(*ROWS, *ROWS), {}, ["once"]),
        (table(*ROWS).iloc[:-1], {}, ["missing"]),
        (table(*ROWS).assign(code_size=[64] * 9 + [32]), {}, ["code_size", "table[table['code_size'] == 64]"]),
        (table(*ROWS).assign(code_loss=NAN), {}, ["log_every above 0"]),
        (table(*ROWS).assign(new_validation=NAN), {}, ["every alpha"]),
        (table(*ROWS).assign(alpha="1, 3"), {}, ["alpha", "each task"]),
    ],
)
def test_a_table_that_will_not_do_is_refused(made, options, named):
    with raises(InputError, *named):
        choose_alpha(made, **options)
