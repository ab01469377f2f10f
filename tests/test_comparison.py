"""`compare`: every method from the same start, each run equal to the run alone, and nothing lost when one diverges."""

import dataclasses

import pandas as pd
import pytest
from tiny import AUTOENCODER, SETTINGS, method, same, sequence, small

import ebll
from ebll.comparison import SINGLE_TASK, compare

NAMES = ("finetune", "lwf", "ewc", "ebll", "ebll-separate", "code-only", "joint")
OPTIONS = {"net": small, "settings": SETTINGS}


@pytest.fixture(scope="module")
def seven():
    """Tasks, and the comparison of all methods but one on them."""
    tasks = sequence(3)
    return tasks, compare(tasks, {n: method(n) for n in NAMES}, seeds=[4], **OPTIONS)


@pytest.mark.parametrize("name", NAMES)
def test_each_run_equals_the_run_alone(seven, name):
    tasks, made = seven
    run = ebll.run_sequence(tasks, method(name), seed=4, consolidate_last=False, **OPTIONS)
    assert same(made.runs[name, 4].net, run.net)
    mine = made.curves[made.curves["method"] == name].reset_index(drop=True)
    wanted = run.curves[mine.columns].astype(mine.dtypes)
    pd.testing.assert_frame_equal(mine, wanted)


def test_tables_have_a_row_for_every_name_seed_stage_and_task_and_progress_is_told_after_every_run():
    seen = []
    options = {"log_every": 0, "progress": lambda *now: seen.append(now), **OPTIONS}
    made = compare(sequence(3), ["finetune", "lwf"], seeds=[0, 1], **options)
    assert len(made.accuracy) == 2 * 2 * 6
    assert list(made.accuracy.columns) == ["sequence", "net", "method", "seed", "after", "task", "accuracy"]
    assert not made.accuracy.duplicated(["method", "seed", "after", "task"]).any()
    assert made.failures == []
    assert seen == [(1, 4, "finetune"), (2, 4, "lwf"), (3, 4, "finetune"), (4, 4, "lwf")]
    once = compare(sequence(2), "lwf", seeds=[1, 1], **OPTIONS)  # one name will do, and a seed named twice runs once
    assert list(once.runs) == [("lwf", 1)]


def test_what_has_ended_is_kept_when_the_reader_stops_in_the_middle():
    def stop(done, total, name):
        if done == 3:
            raise KeyboardInterrupt

    kept = ebll.Comparison()
    with pytest.raises(KeyboardInterrupt):
        compare(sequence(2), ["finetune", "lwf"], seeds=range(5), progress=stop, into=kept, **OPTIONS)
    assert list(kept.runs) == [("finetune", 0), ("lwf", 0), ("finetune", 1)]
    assert len(kept.accuracy) == 3 * 3


def test_one_method_with_several_settings_under_names_of_their_own():
    methods = {f"alpha {a:g}": ebll.EBLL(alpha=a, autoencoder=AUTOENCODER) for a in (0.0, 5.0)}
    made = compare(sequence(2), methods, seeds=[0], **OPTIONS)
    assert set(made.accuracy["method"]) == set(methods)
    assert not same(made.runs["alpha 0", 0].net, made.runs["alpha 5", 0].net)
    assert set(made.kept["method"]) == set(methods)


def test_what_is_kept_of_the_first_task_is_fitted_once_for_those_that_share_it_and_for_no_other(monkeypatch):
    class Own(ebll.EBLL):
        """A reader's own, which fits for itself."""

    fitted = []
    for cls in (ebll.EBLL, ebll.EBLLSeparate, ebll.EWC):

        def counted(self, *arguments, real=cls.consolidate):
            fitted.append(type(self).__name__)
            return real(self, *arguments)

        monkeypatch.setattr(cls, "consolidate", counted)
    methods = {
        "a": method("ebll"),
        "b": method("ebll", alpha=9.0),
        "c": method("ebll-separate"),
        "d": ebll.EWC(ewc_strength=1.0),
        "e": ebll.EWC(ewc_strength=9.0),
        "f": ebll.EWC(fisher="sampled"),
        "g": Own(autoencoder=AUTOENCODER),
        "h": method("ebll", autoencoder=AUTOENCODER.replace(recon_weight=1.0)),
    }
    compare(sequence(2), methods, seeds=[0], **OPTIONS)
    assert fitted == ["EBLL", "EWC", "EWC", "Own", "EBLL"]


def test_alone_trains_a_fresh_network_for_as_long_as_the_others_see_the_task():
    tasks = sequence(2)
    made = compare(tasks, ["finetune", SINGLE_TASK], seeds=[3], **OPTIONS)
    longer = SETTINGS.replace(epochs=SETTINGS.epochs + SETTINGS.warmup_epochs)
    fresh = ebll.learn_first([tasks[1]], net=small, settings=longer, seed=3).recorder.accuracy_rows[0]["accuracy"]
    rows = made.accuracy[made.accuracy["method"] == SINGLE_TASK]
    assert rows[["after", "task", "accuracy"]].to_numpy().tolist() == [["task1", "task1", fresh]]
    assert rows["sequence"].tolist() == made.accuracy["sequence"].unique().tolist()


def test_a_run_that_diverges_stops_no_other_and_keeps_its_rows():
    methods = {"wild": ebll.EWC(ewc_strength=1e12), "finetune": ebll.Finetune()}
    made = compare(sequence(2), methods, seeds=[0], **OPTIONS)
    assert len(made.failures) == 1
    assert made.failures[0].startswith("wild: EWC, seed 0: training diverged")
    assert made.accuracy.groupby("method").size().to_dict() == {"finetune": 3, "wild": 1}


def test_a_first_task_that_diverges_is_told_and_the_other_seeds_go_on(monkeypatch):
    real = ebll.comparison.learn_first

    def failing(tasks, *, seed, **options):
        if seed == 0:
            raise ebll.TrainingDiverged("First task, seed 0: no")
        return real(tasks, seed=seed, **options)

    monkeypatch.setattr(ebll.comparison, "learn_first", failing)
    made = compare(sequence(2), ["finetune"], seeds=[0, 1], **OPTIONS)
    assert made.failures == ["First task, seed 0: no"]
    assert set(made.accuracy["seed"]) == {1}


def test_a_readers_own_method_may_hold_a_list():
    @dataclasses.dataclass(frozen=True)
    class Own(ebll.methods.Method):
        name, label, loss_terms = "own", "Own", ebll.Finetune.loss_terms
        widths: list = dataclasses.field(default_factory=lambda: [1, 2])

    made = compare(sequence(2), [Own(), "finetune"], seeds=[0], **OPTIONS)
    assert same(made.runs["own", 0].net, made.runs["finetune", 0].net)


def test_networks_that_have_learned_the_first_task_are_not_trained_again_and_give_the_same_runs(monkeypatch):
    tasks, named = sequence(2), {n: method(n) for n in ("lwf", "ebll")}
    first = compare(tasks, named, seeds=[0, 1], **OPTIONS)
    learned = []
    real = ebll.comparison.learn_first
    monkeypatch.setattr(ebll.comparison, "learn_first", lambda *a, **k: learned.append(k["seed"]) or real(*a, **k))
    again = compare(tasks, named, seeds=[0, 1, 2], starts=first.starts, **OPTIONS)
    assert learned == [2]
    assert all(same(again.runs[key].net, run.net) for key, run in first.runs.items())
    pd.testing.assert_frame_equal(again.curves[again.curves["seed"] < 2].reset_index(drop=True), first.curves)
    assert set(again.starts) == {0, 1, 2}
