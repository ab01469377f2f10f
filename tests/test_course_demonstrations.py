"""The demonstrations: the regimes are what the committed runs say, they open the lab, and the target is checked."""

import contextlib
import math
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
import torch
from messages import refused
from widget_rig import BOTH, TASKS

import ebll
from benchmarks import demonstrations as bench
from ebll.course import DEMONSTRATIONS, TARGET, Lesson, checks
from ebll.course.demonstrations import KEPT, LEARNED
from ebll.course.exercise import CheckFailed
from ebll.widgets import LabConfig

DOCS = Path(__file__).parents[1] / "docs"


@pytest.fixture(scope="module")
def rows():
    return pd.read_csv(DOCS / "demonstrations.csv").to_dict("records")


def test_the_regimes_won_by_the_rule_and_the_page_is_what_the_rows_say(rows):
    won = {name: LabConfig.read(one.line) for name, one in bench.winners(bench.indexed(rows)).items()}
    assert won == {name: LabConfig.read(line) for name, line in DEMONSTRATIONS.items()}
    assert bench.wanted(rows) == [], "every candidate, finalist and winner was run"
    assert bench.page(rows).strip() == (DOCS / "demonstrations.md").read_text(encoding="utf-8").strip()
    assert not set(bench.LESSON) & set(bench.SEEDS), "the numbers shown are of seeds on which nothing was chosen"


SUITABLE = [(40, 45, 80), (60, 65, 81), (70, 76, 82)]  # lowest and highest seed on the old task, mean on the new one


@pytest.mark.parametrize(
    ("rungs", "notes", "paired", "wanted"),
    [
        (SUITABLE, 0, False, 5),
        (SUITABLE, 1, False, None),
        (SUITABLE, 0, True, 3),
        ([*SUITABLE[:2], (64, 82, 82)], 0, False, None),  # the ranges overlap
        ([*SUITABLE[:2], (64, 82, 82)], 0, True, 3),
        ([*SUITABLE[:2], (70, 76, 83.5)], 0, True, None),  # costs more of the new task than is allowed
    ],
)
def test_the_rule_by_hand(rungs, notes, paired, wanted):
    table = [
        {"old min": low, "old max": high, "old mean": (low + high) / 2, "new mean": new, "notes": notes, "step": step}
        for (low, high, new), step in zip(rungs, (math.nan, 9, 3), strict=True)
    ]
    assert bench.score(bench.Regime("", paired), table) == (wanted and (wanted, 30.5))


def test_a_step_is_that_of_the_seed_on_which_it_is_least():
    rows = [("a", 0, 0.5, 0.9), ("a", 1, 0.6, 0.8), ("b", 0, 0.7, 0.9), ("b", 1, 0.65, 0.7)]
    table = bench.indexed([dict(zip(("line", "seed", "old", "new"), row, strict=True), notes=1) for row in rows])
    low, high = bench.summary(bench.Candidate("", "", (("A", "a"), ("B", "b"))), table, [0, 1])
    assert (low["old mean"], low["old min"], low["new max"], high["notes"]) == pytest.approx((55, 50, 90, 2))
    assert (math.isnan(low["step"]), high["step"]) == (True, pytest.approx(5))


def test_a_run_of_a_rung_has_no_setting_that_its_method_does_not_use():
    config = LabConfig(alpha=7.0, distill_weight=0.5, learning_rate=0.05, seed=4)
    assert LabConfig.read(bench.rung(config, "finetune")) == LabConfig(methods="finetune", learning_rate=0.05, seed=4)
    assert LabConfig.read(bench.rung(config, "ebll")) == config.replace(methods="ebll")


def test_a_lesson_makes_the_runs_of_the_lab(monkeypatch):
    monkeypatch.setattr(Lesson, "load", lambda self, *names: TASKS)
    lesson = Lesson("fast", range(3, 4), "cpu", None)
    made = lesson.demonstrate(f"run({BOTH}, learning_rate=0.05)")
    assert made.runs.keys() == {("lwf", 3), ("ebll", 3)}
    for (name, seed), run in made.runs.items():
        lab = ebll.widgets.run(f"{BOTH}, learning_rate=0.05", seed=seed, tasks=TASKS).runs[name]
        for ours, theirs in zip(run.net.parameters(), lab.net.parameters(), strict=True):
            assert torch.equal(ours, theirs)
    refused(lambda: lesson.demonstrate(DEMONSTRATIONS["what-if"]))
    again = lesson.demonstrate(f"run({BOTH})", {"own": ebll.Finetune()}, made.starts)
    assert again.runs.keys() == {("own", 3)}
    assert again.starts[3] is made.starts[3], "not learned again"


# The target in the lab


@pytest.fixture
def reached(monkeypatch):
    """Runs that keep what the test says: (alpha) -> accuracy on the old and on the new task."""

    def use(law):
        def run(config, *, methods, alpha):
            return SimpleNamespace(validation=law(alpha))

        monkeypatch.setattr("ebll.widgets.run", run)

    return use


def line(**settings):
    return LabConfig.read(TARGET, **settings).line()


def kept_from(least, cost=lambda alpha: 0.0):
    return lambda alpha: {
        "ebll": (KEPT / 100 + (0.01 if alpha >= least else -0.01), LEARNED / 100 + 0.01 - cost(alpha))
    }


def test_the_least_alpha_passes_from_what_is_needed_to_just_below_twice_that(reached, capsys):
    reached(kept_from(1.5))
    for alpha in (1.5, 2.0, 2.99):
        checks.least_alpha(line(alpha=alpha, seed=5, methods=("lwf", "ebll")))
        assert capsys.readouterr().out.startswith("least_alpha: correct.")
    for alpha, mistake in ((1.49, "forgotten"), (3.0, "too-much"), (0.0, "forgotten")):
        with pytest.raises(CheckFailed) as caught:
            checks.least_alpha(line(alpha=alpha))
        assert caught.value.mistake == mistake
        assert f"{alpha:g}" in str(caught.value)


def test_a_line_that_misses_the_target_is_told_what_came(reached):
    reached(kept_from(1.5, cost=lambda alpha: 0.02 * (alpha > 100)))
    other = "textures" if LabConfig.read(TARGET).new != "textures" else "mnist"
    wrong = [
        None,
        3,
        "alpha=",
        "alpha=-1",
        "print(1)",
        line(new=other),
        line(alpha=2.0, epochs=1),
        line(changes=[(3, "alpha", 1.0)]),
    ]
    refused(
        *(lambda text=text: checks.least_alpha(text) for text in (*wrong, *(line(alpha=a) for a in (0.5, 4.0, 150.0))))
    )
    reached(lambda alpha: {})  # it diverged
    refused(lambda: checks.least_alpha(line(alpha=2.0)))


@pytest.mark.slow
def test_the_methods_keep_more_in_the_order_of_the_rungs_and_the_target_is_met_below_the_opening_line(capsys):
    for name in ("weights", "code-term"):
        runs = [ebll.widgets.run(DEMONSTRATIONS[name], seed=seed).table()["old"] for seed in (0, 1)]
        assert (sum(runs) / 2).diff().dropna().min() > 3, "half of what was measured, or less"
    for alpha, mistake in ((10.0, "too-much"), (0.0, "forgotten")):
        with pytest.raises(CheckFailed) as caught:
            checks.least_alpha(line(alpha=alpha))
        assert caught.value.mistake == mistake
    passed = []
    for alpha in (10.0, 5.0, 2.5, 1.25, 0.625):
        with contextlib.suppress(CheckFailed):
            checks.least_alpha(line(alpha=alpha))
            passed.append(alpha)
    assert passed
