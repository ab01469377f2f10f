"""The claims: how a verdict is reached, and that every verdict comes from the numbers and from nothing else."""

import math

import numpy as np
import pandas as pd
import pytest
from claim_rig import (
    CURVES,
    DIPS,
    FAR,
    GAPS,
    LONG,
    NEAR,
    PLAN,
    SEEDS,
    STORY,
    accuracy_table,
    changed,
    curve_table,
    gap_table,
)

from ebll import METHODS
from ebll.comparison import SINGLE_TASK
from ebll.reproduce.claims import claims_of, curve_shapes, seed_outcomes
from ebll.reproduce.jobs import jobs_of
from ebll.reproduce.plan import PROFILES, Experiment
from ebll.reproduce.report import final_table, markdown
from ebll.reproduce.verdicts import Claim, Part, parts_table
from ebll.settings import MAIN_METHODS

YES, NO, OPEN = "supported", "not supported", "undecided"


def claims(table=None, curves=CURVES, gaps=GAPS, seeds=SEEDS, plan=PLAN, dips=DIPS):
    table = accuracy_table(STORY, seeds) if table is None else table
    outcomes, gaps = seed_outcomes(table, plan), gap_table(gaps, seeds)
    curves = pd.concat([curve_table(curves, seeds, e, dips) for e in (NEAR, FAR)])
    return {claim.id: claim for claim in claims_of(outcomes, curves, gaps, plan)}


def verdicts(story=STORY, seeds=SEEDS, **more):
    return {name: claim.verdict for name, claim in claims(accuracy_table(story, seeds), seeds=seeds, **more).items()}


CURVE = "C7 (mlp, letters first)"  # its plain id stands for another net


def test_in_a_world_made_for_them_all_claims_hold():
    assert verdicts() == {CURVE if n == 7 else f"C{n}": YES for n in range(1, 13)}


@pytest.mark.parametrize(
    ("claim", "world"),
    [
        ("C1", {"story": changed("finetune", forgets=0.1)}),
        ("C2", {"story": changed("feature-extraction", new=0.95)}),
        ("C2", {"story": changed("feature-extraction", forgets=1e-6)}),
        ("C2", {"story": changed("feature-extraction", forgets=-1e-6)}),
        ("C3", {"story": changed("lwf", forgets=0.5)}),
        ("C4", {"story": changed("ebll", forgets=0.3)}),
        ("C4", {"story": changed("ebll", new=0.78)}),
        ("C5", {"story": changed("ebll-separate", forgets=0.1)}),
        ("C6", {"story": changed("joint", new=0.3)}),
        (CURVE, {"curves": {**CURVES, "ebll": (0, 4, 6, 8, 10)}}),  # only rises
        (CURVE, {"curves": {**CURVES, "lwf": (0, 8, 5, 3, 2)}}),  # LwF comes back too
        (CURVE, {"curves": {**CURVES, "ebll": (0, 2, 6, 10, 4)}}),  # the peak comes late
        ("C8", {"gaps": {NEAR: 0.5, FAR: 0.2}}),
        ("C8", {"story": changed("lwf", forgets=0.05, only=[FAR])}),
        ("C8", {"story": changed("ebll", forgets=0.25, only=[FAR])}),  # LwF forgets more, but EBLL saves none of it
        ("C9", {"story": changed("ebll", forgets=0.2, only=[LONG])}),
        ("C10", {"dips": {**DIPS, "joint": 0.03}}),
        ("C10", {"dips": {**DIPS, "ebll": 0.3}}),
        ("C11", {"story": changed("kfac", forgets=0.12)}),
        ("C11", {"story": changed("kfac", new=0.73)}),
        ("C12", {"story": changed("kfac", new=0.7)}),
    ],
)
def test_no_verdict_is_written_in(claim, world):
    assert verdicts(**world)[claim] == NO


def test_a_claim_rests_on_differences_seed_by_seed_averaged_over_the_pairs():
    """Fine-tuning forgets 20 points more than LwF on both pairs, and each seed scales what is forgotten."""
    (part,) = claims()["C3"].parts
    assert part.values == pytest.approx([20 * (1 + 0.02 * seed) for seed in SEEDS])


def test_a_seed_that_lacks_a_pair_decides_nothing_about_the_mean_over_pairs():
    table = accuracy_table(STORY)
    lacking = (table["sequence"] == FAR.id) & (table["method"] == "lwf") & (table["seed"] == 2)
    (part,) = claims(table[~lacking])["C3"].parts
    assert part.values == pytest.approx([20 * (1 + 0.02 * seed) for seed in (0, 1, 3)])


def test_claims_about_all_methods_leave_none_out():
    found = claims()
    without_old_data = set(MAIN_METHODS) - {"joint", "feature-extraction"}
    others = {"C1": set(MAIN_METHODS) - {"finetune"}, "C5": without_old_data - {"ebll-separate"}}
    others["C6"] = set(MAIN_METHODS) - {"joint"}
    for claim, names in others.items():
        assert len(found[claim].parts) == len(names)
        assert all(any(METHODS[name].label in part.what for part in found[claim].parts) for name in names)


def test_feature_extraction_must_forget_nothing_at_all():
    assert verdicts(story=changed("feature-extraction", forgets=1e-12))["C2"] == YES  # rounding
    assert verdicts(story=changed("feature-extraction", forgets=1e-8))["C2"] == NO


def test_one_seed_decides_nothing_that_varies_and_has_no_interval():
    assert set(verdicts(seeds=[0]).values()) == {OPEN}
    said = Claim("C0", "Less.", "here", (Part("a minus b", (0.5,), above=-1.0),)).as_dict()
    assert said == {
        "id": "C0", "statement": "Less.", "where": "here", "measured": "a minus b", "estimate": 0.5, "low": None,
        "high": None, "unit": "points", "above": -1.0, "seeds": 1, "verdict": OPEN,
    }  # fmt: skip


def test_joint_training_that_only_gains_has_not_forgotten_on_the_way():
    """It ends far above its lowest accuracy, but that is where it began."""
    curves = pd.concat([curve_table(CURVES, e=e) for e in (NEAR, FAR)])
    curves.loc[(curves["method"] == "joint") & (curves["step"] == 0), "accuracy"] = 0.3
    found = claims_of(seed_outcomes(accuracy_table(STORY), PLAN), curves, gap_table(), PLAN)
    (claim,) = [claim for claim in found if claim.id == "C10"]
    assert [part.verdict for part in claim.parts] == [NO, YES, YES]
    assert claim.verdict == NO


def test_claims_that_lack_a_method_are_left_out():
    story = {name: STORY[name] for name in ("finetune", "lwf")}
    assert verdicts(story, curves={"lwf": CURVES["lwf"]}) == {"C3": YES}


@pytest.mark.parametrize(
    ("method", "e", "lost"),
    [
        ("joint", NEAR, ["C1", "C10", "C2", "C6"]),
        ("ebll", LONG, ["C9"]),
        ("ebll", FAR, ["C1", "C10", "C12", "C2", "C4", "C5", "C6", "C8"]),
    ],
)
def test_claims_that_lack_a_methods_runs_on_a_sequence_are_left_out(method, e, lost):
    """Those about one pair need that pair; those about the mean over the pairs need both."""
    story = {**STORY, method: {one: numbers for one, numbers in STORY[method].items() if one != e}}
    assert sorted(set(verdicts()) - set(verdicts(story))) == lost


@pytest.mark.parametrize(("name", "numbers"), [("full", range(1, 13)), ("fast", (1, 2, 3, 4, 5, 6, 8, 9, 10, 11, 12))])
def test_the_runs_of_a_profile_suffice_for_its_claims_whichever_task_is_far(name, numbers):
    chosen = PROFILES[name]
    jobs = jobs_of(chosen, MAIN_METHODS, range(chosen.seeds), chosen.more)
    runs = [(job, {"sequence": e.id, "method": m, "seed": job.seed})
            for job in jobs for e in job.experiments for m in job.methods]  # fmt: skip
    measures = ["forgetting", "new", "average"]
    outcomes = pd.DataFrame([run | dict.fromkeys(measures, 0.0) for _, run in runs])
    facts = {"stage": "train", "training": "new", "task": "old", "step": 0, "feature_distance": 1.0, "accuracy": 0.5}
    curves = pd.DataFrame([run | facts for job, run in runs if run["method"] in job.curves])
    gaps = pd.DataFrame([run | {"gap": 0.0} for job, run in runs if job.gaps])
    for far in chosen.experiments:
        measured = gaps.assign(gap=(gaps["sequence"] == far.id).astype(float))
        found = {claim.id for claim in claims_of(outcomes, curves, measured, chosen.experiments)}
        assert {f"C{n}" for n in numbers} <= found


def test_without_the_gap_of_every_pair_none_is_called_far():
    assert "C8" in claims()
    assert "C8" not in claims(gaps={NEAR: GAPS[NEAR]})


def test_the_curve_of_a_run_that_ended_early_decides_nothing():
    table = accuracy_table(STORY)
    early = (table["method"] == "ebll") & (table["sequence"] == NEAR.id) & (table["seed"] == 2)
    early &= table["after"] != "letters"
    assert [len(part.values) for part in claims(table[~early])[CURVE].parts] == [3, 4, 3]


def test_another_regime_has_claims_of_its_own():
    other = {e: Experiment("cnn", e.tasks) for e in PLAN}
    story = {method: {**rows, **{other[e]: v for e, v in rows.items()}} for method, rows in STORY.items()}
    story["lwf"][other[NEAR]] = story["lwf"][other[FAR]] = (0.9, 0.8)
    found = verdicts(story, plan=(*PLAN, *other.values()))
    assert (found["C3"], found["C3 (cnn, letters first)"]) == (YES, NO)


@pytest.mark.parametrize(
    ("values", "above", "verdict"),
    [
        ((1.0, 1.1, 1.2), 0.0, YES),
        ((-1.0, -1.1, -1.2), 0.0, NO),
        ((1.0, -1.0, 0.5), 0.0, OPEN),
        ((1.0, 1.1, 1.2), 2.0, NO),
        ((-0.005, -0.004, -0.006), -0.01, YES),
        ((0.3, 0.3, 0.3), 0.0, YES),
        ((0.0, 0.0, 0.0), 0.0, NO),  # equal is not more
        ((0.5,), 0.0, OPEN),
        ((1.0, 1.1, math.nan), 0.0, OPEN),
    ],
)
def test_the_interval_decides_a_part(values, above, verdict):
    assert Part("x", values, above).verdict == verdict


UP, DOWN, WIDE = Part("up", (1.0, 1.1)), Part("down", (-1.0, -1.1)), Part("wide", (1.0, -1.0))


@pytest.mark.parametrize(
    ("parts", "verdict", "deciding"),
    [
        ((UP, Part("more", (5.0, 5.1))), YES, "up"),  # the tightest of those that hold
        ((UP, DOWN), NO, "down"),
        ((UP, WIDE), OPEN, "wide"),
        ((UP, WIDE, DOWN), NO, "down"),
    ],
)
def test_a_claim_is_as_strong_as_its_weakest_part_and_all_are_in_the_table(parts, verdict, deciding):
    claim = Claim("C0", "All of it.", "here", parts)
    assert (claim.verdict, claim.deciding.what) == (verdict, deciding)
    said, table = claim.as_dict(), parts_table([claim])
    assert said["estimate"] == pytest.approx(np.mean(claim.deciding.values))
    assert (said["statement"], said["measured"]) == ("All of it.", deciding)
    assert list(zip(table["what"], table["verdict"], strict=True)) == [(part.what, part.verdict) for part in parts]
    assert table["values"][0] == "1.0000 1.1000"


def rows_of(method, seed, entries, sequence="mlp:a-b"):
    return [(sequence, "mlp", method, seed, after, task, value) for after, task, value in entries]


def test_seed_outcomes_by_hand():
    entries = [("a", "a", 0.8), ("b", "a", 0.7), ("b", "b", 0.9)]
    rows = rows_of("lwf", 0, entries) + rows_of("lwf", 1, entries[:1])  # seed 1 ended early
    rows += rows_of(SINGLE_TASK, 0, [("b", "b", 0.85)])
    table = pd.DataFrame(rows, columns=["sequence", "net", "method", "seed", "after", "task", "accuracy"])
    (only,) = seed_outcomes(table, [Experiment("mlp", ("a", "b"))]).to_dict("records")
    expected = {"forgetting": 0.1, "new": 0.9, "average": 0.8, "backward_transfer": -0.1, "forward_transfer": 0.05}
    assert {key: only.pop(key) for key in expected} == pytest.approx(expected)
    assert only == {"sequence": "mlp:a-b", "method": "lwf", "seed": 0}


def test_curve_shapes_by_hand():
    table = curve_table({"ebll": (0, 10, 6, 4, 3), "feature-extraction": (0, 0, 0, 0, 0)}, seeds=[0])
    later = table.assign(training="later", feature_distance=99.0)  # another training of the sequence is not looked at
    warm_up = table.assign(stage="warm-up", feature_distance=99.0)
    shapes = curve_shapes(pd.concat([warm_up, table, later])).set_index("method")
    assert shapes.loc["ebll", ["peak", "end", "when", "ratio", "dip", "fall"]].tolist() == pytest.approx(
        [10, 3, 0.25, 0.3, 0.04, 0.04]
    )
    assert shapes.loc["feature-extraction", ["peak", "end", "ratio"]].tolist() == [0, 0, 1]


def test_final_table_by_hand():
    """Reference of the first task: before the second, 80 %; of the second: fine-tuning just after it, 70 %."""
    rows = []
    for seed, shift in ((0, -0.01), (1, 0.01)):
        rows += rows_of("finetune", seed, [("a", "a", 0.8), ("b", "a", 0.5), ("b", "b", 0.7 + shift)])
        rows += rows_of("lwf", seed, [("a", "a", 0.8), ("b", "a", 0.76 + shift), ("b", "b", 0.72)])
        rows += rows_of(SINGLE_TASK, seed, [("b", "b", 0.74)])
    table = pd.DataFrame(rows, columns=["sequence", "net", "method", "seed", "after", "task", "accuracy"])
    shown = final_table(table, Experiment("mlp", ("a", "b")))
    assert list(shown.index) == ["One network per task", "LwF", "Fine-tuning"]
    half = 12.7062 * 1.0  # t(0.975, 1) times the standard error: deviation sqrt(2), two seeds
    assert shown.loc["Fine-tuning"].tolist() == [
        "50.0 ± 0.0 (-30.0)", f"70.0 ± {half:.1f} (ref.)", f"60.0 ± {half / 2:.1f} (-15.0)",
    ]  # fmt: skip
    assert shown.loc["LwF", "a"] == f"76.0 ± {half:.1f} (-4.0)"
    assert shown.loc["LwF", "b"] == "72.0 ± 0.0 (+2.0)"
    assert shown.loc["One network per task"].tolist()[:2] == ["80.0 ± 0.0 (ref.)", "74.0 ± 0.0 (+4.0)"]
    without = final_table(table[table["method"] == "lwf"], Experiment("mlp", ("a", "b")))
    assert without.loc["LwF", "b"] == "72.0 ± 0.0"  # no reference was run, so no change is claimed


def test_markdown_is_aligned():
    lines = markdown(pd.DataFrame({"a": ["1.0", "10.0"]}, index=["x", "long"]), "net").splitlines()
    assert lines == ["| net  | a    |", "|------|------|", "| x    | 1.0  |", "| long | 10.0 |"]
