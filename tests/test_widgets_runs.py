"""What the forgetting lab computes is what the library does: side by side, in turns, left early, changed on the way."""

import contextlib
import dataclasses
import itertools
import math
import re

import numpy as np
import pandas as pd
import pytest
import torch
from messages import raises, review
from tiny import blobs, same, state
from widget_rig import first_learned

from ebll import InputError, Recorder
from ebll.config import NEW_TASK_IMAGES
from ebll.losses import class_loss
from ebll.plots import lost_images
from ebll.protocol import begin, learn, learn_first
from ebll.seeds import cpu_threads
from ebll.settings import USUAL
from ebll.widgets import Change, LabConfig, LabRun, lab, run, training
from ebll.widgets.config import LAB_METHODS, offered_task, offered_tasks
from ebll.widgets.lab_view import lab_alt

TASKS = [blobs("old", 1, count=200), blobs("new", 2, count=230, classes=4)]
CONFIG = LabConfig(
    old="old", new="new", code_size=4, methods=LAB_METHODS, epochs=4, learning_rate=0.03, seed=4
)  # fmt: skip
STEPS = 4 * math.ceil(len(TASKS[1].train) / 64)
THREADS = USUAL.threads
CHANGES = [
    (0, "alpha", 7.0),
    (0, "ewc_strength", 0.0),
    (3, "alpha", 50.0),
    (3, "ewc_strength", 9e3),
    (4, "l2_strength", 3.0),
    (4, "moments_strength", 0.3),
    (4, "kfac_strength", 0.0),
    (5, "distill_weight", 30.0),
    (9, "alpha", 0.0),
]


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch):
    """A test that takes known runs again makes them itself, whichever tests came before."""
    monkeypatch.setattr(lab, "_runs", {})


@pytest.fixture(scope="module")
def made():
    return run(CONFIG, tasks=TASKS)


def trained(made, tasks=TASKS, at=lambda made: None, **options):
    """Take a lab run to its end; `at` is called after each turn."""
    with cpu_threads(THREADS):
        for _ in training(made, tasks, **options):
            at(made)
    return made


def started():
    """The network that has learned the old task."""
    return first_learned(TASKS[0], CONFIG.seed)


def fresh():
    """The same tasks, which nobody has learned yet."""
    return [dataclasses.replace(task) for task in TASKS]


def by_hand(config, name, tasks=TASKS):
    """The run of one method alone; changes are put into the step before the one that they act on."""
    start = learn_first(tasks[:1], seed=config.seed, recorder=Recorder(log_every=0))
    settings, recorder = config.run(name).train, Recorder(log_every=lab.LOG_EVERY, samples=lab.SAMPLES)
    changes, config = config.changes, config.replace(changes=())
    for change in changes:
        if change.step == 0:
            config = config.replace(**{change.name: change.value})
    made = begin(tasks, config.run(name).made_method(), start=start, seed=config.seed, recorder=recorder)
    with cpu_threads(settings.threads):
        for step in learn(made, tasks, settings):
            for change in changes:
                if (step.stage, step.index + 1) == ("train", change.step):
                    config = config.replace(**{change.name: change.value})
                    step.method = config.run(name).made_method()
    return made


def equal(one, other):
    pd.testing.assert_frame_equal(one.reset_index(drop=True), other.reset_index(drop=True), check_exact=True)


def same_runs(one, other):
    """Whether two lab runs have the same weights, curves, accuracies, table and notes, to the last bit."""
    assert one.runs.keys() == other.runs.keys()
    assert all(same(one.runs[name].net, other.runs[name].net) for name in one.runs)
    equal(one.curves, other.curves)
    equal(one.accuracy, other.accuracy)
    pd.testing.assert_frame_equal(one.table(), other.table(), check_exact=True)
    assert (sorted(one.notes), one.diverged, one.steps) == (sorted(other.notes), other.diverged, other.steps)


def same_as_by_hand(made, name, tasks=TASKS):
    hand = by_hand(made.config, name, tasks)
    curves = hand.recorder.curves()
    assert same(made.runs[name].net, hand.net)
    equal(made.recorders[name].curves(), curves[(curves["training"] == tasks[1].name) & (curves["stage"] == "train")])
    assert made.recorders[name].accuracy_rows == hand.recorder.accuracy_rows


def test_the_predictions_are_those_that_the_curves_are_made_of_and_the_words_count_what_is_lost():
    made = run(CONFIG.replace(methods=("finetune", "ebll"), learning_rate=0.3, epochs=10), tasks=TASKS)
    found = made.predictions
    right = (found["label"] == found["predicted"]).groupby([found["method"], found["step"]]).mean()
    wanted = made.curves.set_index(["method", "step"])["accuracy"]
    pd.testing.assert_series_equal(right, wanted.sort_index(), check_names=False)
    words = re.findall(r"; (\d+) of (\d+) images of old are forgotten", lab_alt(made))
    lost = lost_images(found)["method"].value_counts()
    assert lost.sum() > 0
    assert words == [(str(lost.get(name, 0)), str(found["image"].nunique())) for name in made.config.methods]


# The runs of a config.


@pytest.mark.parametrize("name", LAB_METHODS)
def test_a_method_gives_the_bits_that_it_gives_alone_whichever_are_trained_beside_it(made, name):
    other = next(other for other in reversed(LAB_METHODS) if other != name)
    for one in (made, *(run(CONFIG.replace(methods=beside), tasks=TASKS) for beside in ((name,), (name, other)))):
        same_as_by_hand(one, name)
    same_runs(run(one.config.line(), tasks=iter(TASKS)), one)  # a line is as good as a config, an iterator as a list


def test_the_table_has_the_accuracies_of_the_networks_and_their_last_distance(made):
    table = made.table()
    assert list(table.index) == list(made.config.methods)
    start, old = started(), TASKS[0]
    before = start.net.features(old.validation.inputs)

    def right(net, t):
        split = TASKS[t].validation
        return 100 * (net(split.inputs, t).argmax(dim=1) == split.labels).double().mean().item()

    for name, row in table.iterrows():
        net = made.runs[name].net
        distance = (net.features(old.validation.inputs) - before).norm(dim=1).mean().item()
        known, kept = right(start.net, 0), right(net, 0)
        assert row.tolist() == pytest.approx([known, kept, right(net, 1), known - kept, distance], rel=1e-4, abs=1e-4)


def test_a_large_new_task_is_cut_to_the_size_that_later_tasks_have_in_the_course():
    big = blobs("big", 3, count=3000)
    found = run(CONFIG.replace(new="big", epochs=1, methods="finetune"), tasks=[TASKS[0], big])
    same_as_by_hand(found, "finetune", [TASKS[0], big.subset(NEW_TASK_IMAGES)])
    assert found.step == found.steps == math.ceil(NEW_TASK_IMAGES / 64)


def test_a_users_task_is_told_from_others_of_its_name():
    own = [dataclasses.replace(TASKS[0], name="letters"), dataclasses.replace(TASKS[1], name="mine")]
    config = LabConfig(old="letters", new="mine", methods="finetune", epochs=2)
    assert offered_tasks(own)["letters"]() is own[0] is not offered_tasks()["letters"]()
    assert first_learned(offered_task("letters"), 0).net.input_shape == (1, 28, 28)
    for seed in (5, 6, 7):  # each may lie where the one before has lain
        own[0] = blobs("letters", seed, count=90)
        same_as_by_hand(run(config, tasks=own), "finetune", own)
        same_as_by_hand(trained(LabRun(config), own, reuse=True), "finetune", own)
    with raises(InputError, "tasks", "ebll.Task", "got str"):
        offered_tasks([own[0], "mnist"])
    for unknown in ({"old": "ode"}, {"new": "ode"}):
        with pytest.raises(InputError, match=r"^Task.*'ode'.*Did you mean 'old'"):  # of those whose data are here
            run(CONFIG.replace(**unknown), tasks=TASKS)


def test_a_method_that_diverges_or_cannot_be_used_is_told_keeps_its_rows_and_stops_no_other(made):
    found = run(CONFIG.replace(ewc_strength=1e9, code_size=256, methods=("ewc", "finetune", "ebll")), tasks=TASKS)
    assert (found.diverged, list(found.runs)) == ({"ewc", "ebll"}, ["finetune"])
    assert same(found.runs["finetune"].net, made.runs["finetune"].net)
    out, diverged = found.notes
    review(out, "EBLL", "code_size", "256 features")
    assert re.match(r"EWC diverged: the loss is not finite .* at step \d+ of 16\. Try a learning_rate", diverged)
    rows = found.curves.groupby("method").size()
    assert 0 < rows["ewc"] < rows["finetune"]
    assert found.table().loc["ewc", ["old", "new", "forgetting"]].isna().all()
    found = run(CONFIG.replace(learning_rate=3.0, methods="finetune", epochs=20), tasks=TASKS)
    rows = found.recorders["finetune"].curve_rows  # features that end far away are told
    assert rows[-1]["feature_distance"] > lab.FAR * rows[0]["feature_norm"] or found.diverged
    assert len(found.notes) == 1


def test_measuring_every_step_adds_rows_to_all_methods_alike_and_changes_no_weight(made):
    def at(found):
        assert len({len(recorder.curve_rows) for recorder in found.recorders.values()}) == 1
        assert found.measured == len(found.curves)
        seen.append(found.step)

    seen = []
    started()  # the old task is known
    found = trained(LabRun(CONFIG, every_step=True), at=at)
    assert list(dict.fromkeys(seen)) == list(range(STEPS + 1))
    assert set(found.curves["stage"]) == set(made.curves["stage"]) == {"train"}
    for name in LAB_METHODS:
        assert same(found.runs[name].net, made.runs[name].net)
        rows, few = (one.curves[one.curves["method"] == name] for one in (found, made))
        assert rows["step"].tolist() == list(range(STEPS + 1))
        equal(rows[rows["step"].isin(few["step"])], few)
        assert 0 < len(few) < STEPS / 2


# Left early, in turns, and known.


@pytest.mark.parametrize("turns", [1, 7, 12, STEPS])
def test_a_run_that_is_left_leaves_its_rows_and_the_start_as_it_was(made, turns):
    def leave(tasks):
        left = LabRun(CONFIG)
        with cpu_threads(THREADS), contextlib.closing(training(left, tasks)) as steps:
            assert len(list(itertools.islice(steps, turns))) == turns
        return left

    net = started().net
    weights, random, threads = state(net), torch.get_rng_state(), torch.get_num_threads()
    left = leave(TASKS)
    assert same(net, weights)
    assert all(parameter.requires_grad for parameter in net.parameters())
    assert torch.equal(torch.get_rng_state(), random)
    assert torch.get_num_threads() == threads
    assert left.runs == left.validation == {}
    assert left.step < left.steps == STEPS
    for name, recorder in left.recorders.items():
        whole = made.recorders[name].curve_rows
        assert len(recorder.curve_rows) < len(whole)
        equal(pd.DataFrame(recorder.curve_rows), pd.DataFrame(whole[: len(recorder.curve_rows)]))
    leave(tasks := fresh())
    for one in (TASKS, tasks):  # nothing is half learned
        same_runs(run(CONFIG, tasks=one), made)


def test_runs_that_take_turns_give_what_each_gives_alone():
    """They learn their old task in turns too, which is one and the same; others draw random numbers in between."""
    configs = [CONFIG, CONFIG.replace(alpha=9.0, epochs=3), CONFIG.replace(seed=3, methods=("ewc", "ebll"))]
    tasks, together = fresh(), [LabRun(config) for config in configs]
    with cpu_threads(THREADS):
        for _ in itertools.zip_longest(*(training(one, tasks) for one in together)):
            torch.rand(3)
    for one, config in zip(together, configs, strict=True):
        same_runs(one, run(config, tasks=TASKS))


def test_known_runs_are_taken_again_where_nothing_that_acts_was_changed_and_can_change_no_more(made):
    def at(found):
        if found.step == 3:
            with raises(InputError, "Run"):
                found.change("distill_weight", 20.0)

    one = trained(LabRun(CONFIG), reuse=True)
    two = trained(LabRun(CONFIG.replace(alpha=9.0, code_size=5)), reuse=True, at=at)
    assert list(two.recorders) == list(two.table().index) == list(two.curves["method"].unique()) == list(LAB_METHODS)
    for name in LAB_METHODS:
        assert (two.runs[name] is one.runs[name]) == (name not in ("ebll", "ebll-separate"))
        assert made.runs[name] is not one.runs[name]
    same_runs(run(two.made_again.line(), tasks=TASKS), two)
    other = trained(LabRun(CONFIG.replace(epochs=3)), reuse=True)
    assert not same(other.runs["lwf"].net, one.runs["lwf"].net)
    far = CONFIG.replace(ewc_strength=1e9, learning_rate=3.0, epochs=20, methods=("ewc", "finetune", "lwf"))
    new, again = (trained(LabRun(far), reuse=True) for _ in "12")  # with the same notes
    same_runs(again, new)
    assert (again.validation, again.before) == (new.validation, new.before)
    same_runs(trained(LabRun(CONFIG), reuse=True), made)


# Weights that change on the way.


@pytest.mark.parametrize("changes", [[(0, "distill_weight", 30.0)], [(2, "alpha", 50.0), (3, "distill_weight", 30.0)]])
def test_a_run_that_was_changed_on_the_way_is_neither_kept_nor_taken_from_what_is_kept(changes):
    usual = CONFIG.replace(epochs=2, seed=5, methods=("lwf", "ebll"))
    config = usual.replace(changes=changes)
    changed, usual, again = (trained(LabRun(one), reuse=True) for one in (config, usual, config))
    same_runs(again, changed)
    same_runs(run(config, tasks=TASKS), changed)
    for name in config.methods:
        assert not same(usual.runs[name].net, changed.runs[name].net)
        same_as_by_hand(usual, name)


def test_a_change_is_the_same_as_a_method_put_into_the_step_by_hand_and_those_of_a_run_make_it_again(made):
    late = "alpha was to change at step 1000000"
    found = run(CONFIG, changes=[*CHANGES[::-1], (10**6, "alpha", 0.0), (4, "alpha", 50.0)], tasks=TASKS)
    asked = sorted(map(Change._make, CHANGES[::-1]), key=lambda change: change.step)
    assert found.changes == asked  # what changes nothing is left out
    assert [note[: len(late)] for note in found.notes] == [late]
    found.notes.clear()
    for name in LAB_METHODS:
        same_as_by_hand(found, name)
        acts = name not in ("finetune", "feature-extraction", "replay")
        assert same(found.runs[name].net, made.runs[name].net) != acts
    again = run(found.made_again.line(), tasks=TASKS)
    same_runs(again, found)
    assert again.changes == found.changes


WARM_UP = 8  # steps, with the first tasks known: two epochs of four


@pytest.mark.parametrize("when", [-1, 0, WARM_UP - 1, WARM_UP, WARM_UP + 6, WARM_UP + STEPS - 1, WARM_UP + STEPS])
def test_a_change_that_is_asked_for_at_any_time_acts_on_all_methods_alike_and_is_made_again_from_its_line(when):
    """Also while the new head warms up; -1: while the old task is learned; at the last step it does nothing."""
    started()  # of the usual tasks
    found = LabRun(CONFIG)
    with cpu_threads(THREADS):
        for i, _ in enumerate(training(found, fresh() if when < 0 else TASKS)):
            if i == max(when, 0):
                found.change("alpha", 7.0)  # the last of several counts, and what is no change is left out
                found.change("alpha", np.float64(20))
                found.change("ewc_strength", 9e3)
                found.change("distill_weight", CONFIG.distill_weight)
    # Asked for while the new head warms up, it acts from the first step on; then from the next one.
    asked = [] if when == WARM_UP + STEPS else [("alpha", 20.0), ("ewc_strength", 9e3)]
    assert found.changes == [Change(max(0, when - WARM_UP), *one) for one in asked]
    found.notes.clear()
    same_runs(run(found.made_again.line(), tasks=TASKS), found)
    with raises(InputError, "ended"):
        found.change("alpha", 2.0)
    with raises(InputError, "alpha", "got -1"):
        found.change("alpha", -1)
    with raises(InputError, "setting", "'recon_weight'"):
        found.change("recon_weight", 1.0)


def test_the_landscape_holds_the_losses_of_the_ends_and_the_paths_begin_where_the_new_task_does(made):
    """The plane goes through three networks: their losses there are those that they have."""
    surface, paths, lines = made.landscape("lwf")
    start, end = (paths[paths["method"] == name].iloc[[0, -1]] for name in ("joint", "lwf"))
    assert start[["x", "y"]].to_numpy()[0] == pytest.approx([0, 0], abs=1e-3)
    assert start["y"].iloc[-1] == pytest.approx(0, abs=1e-3)  # the first axis leads to joint training's end
    assert start["step"].tolist() == [0, STEPS]
    few = [task.validation.take(task.validation.spread(lab.SAMPLES)) for task in made.tasks]
    for column, (t, split) in zip(("old", "new"), enumerate(few), strict=True):
        with torch.no_grad():
            own = class_loss(made.runs["lwf"].net(split.inputs, t), split.labels).item()
        assert lines[lines["method"] == "lwf"][column].iloc[-1] == pytest.approx(
            own, rel=2e-3
        )  # kept in half precision
        near = (surface[["x", "y"]] - end[["x", "y"]].to_numpy()[-1]).pow(2).sum(axis=1).nsmallest(4).index
        low, high = surface.loc[near, column].agg(["min", "max"])
        assert 0.5 * low < own < 2 * high
    starts = lines[lines["share"] == 0]
    assert starts["old"].nunique() == starts["new"].nunique() == 1
    assert "ebll-separate" not in set(paths["method"])  # its operators are weights more than the others have
    assert set(paths["method"]) == {"joint", *made.runs} - {"ebll-separate"}


def test_a_landscape_needs_a_run_that_has_ended_and_a_plane(made):
    with raises(InputError, "The landscape needs a run of LwF", "Fine-tuning"):
        run(CONFIG, tasks=TASKS, methods=["finetune"]).landscape("lwf")
    with raises(InputError, "three networks of one structure"):
        made.landscape("ebll-separate")


def test_measuring_the_landscape_changes_no_run(made):
    before = state(made.runs["lwf"].net)
    made.landscape("lwf")
    assert same(made.runs["lwf"].net, before)
