"""What the forgetting lab computes is what the library does: side by side, in turns, left early, changed on the way."""

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

import ebll
from ebll import InputError, Recorder, Task, TrainSettings
from ebll.config import NEW_TASK_IMAGES, PRESETS
from ebll.protocol import begin, first_task, learn, learn_first
from ebll.seeds import cpu_threads
from ebll.widgets import Change, LabConfig, LabRun, lab, run, training
from ebll.widgets.config import LAB_METHODS, offered_task, offered_tasks

TASKS = [blobs("old", 1, count=200), blobs("new", 2, count=230, classes=4)]
CONFIG = LabConfig(old="old", new="new", code_size=4, methods=LAB_METHODS, epochs=4)
STEPS = 4 * math.ceil(len(TASKS[1].train) / 64)
THREADS = PRESETS["mlp"].train.threads
CHANGES = [
    (0, "alpha", 7.0),
    (0, "ewc_strength", 0.0),
    (3, "alpha", 50.0),
    (3, "ewc_strength", 9e3),
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


def returned(generator):
    """What a generator returns at its end."""
    with cpu_threads(THREADS):
        while True:
            try:
                next(generator)
            except StopIteration as end:
                return end.value


def trained(made, tasks=TASKS, at=lambda made: None, **options):
    """Take a lab run to its end; `at` is called after each turn."""
    with cpu_threads(THREADS):
        for _ in training(made, tasks, **options):
            at(made)
    return made


def started(name="old", tasks=TASKS, seed=0):
    return returned(first_task(offered_task(name, tasks), "mlp", PRESETS["mlp"].train, seed))


def by_hand(config, name, tasks=TASKS, changes=()):
    """The run of one method alone; changes are put into the step before the one that they act on."""
    start = learn_first(tasks[:1], settings=TrainSettings(), seed=config.seed, recorder=Recorder(log_every=0))
    settings, recorder = config.run(name).train, Recorder(log_every=lab.LOG_EVERY, samples=lab.SAMPLES)
    for _, setting, value in (change for change in changes if change[0] == 0):
        config = config.replace(**{setting: value})
    method = config.run(name).made_method()
    made = begin(tasks, method, start=start, seed=config.seed, recorder=recorder)
    with cpu_threads(settings.threads):
        for step in learn(made, tasks, settings):
            for at, setting, value in changes:
                if (step.stage, step.index + 1) == ("train", at):
                    config = config.replace(**{setting: value})
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


def same_as_by_hand(made, name, hand):
    curves = hand.recorder.curves()
    assert same(made.runs[name].net, hand.net)
    equal(made.recorders[name].curves(), curves[(curves["training"] == hand.tasks[1]) & (curves["stage"] == "train")])
    assert made.recorders[name].accuracy_rows == hand.recorder.accuracy_rows


# The runs of a config.


@pytest.mark.parametrize("name", LAB_METHODS)
def test_a_method_gives_the_bits_that_it_gives_alone_whichever_are_trained_beside_it(made, name):
    hand = by_hand(CONFIG, name)
    other = next(other for other in reversed(LAB_METHODS) if other != name)
    for one in (made, *(run(CONFIG.replace(methods=beside), tasks=TASKS) for beside in ((name,), (name, other)))):
        same_as_by_hand(one, name, hand)


def test_the_new_task_has_its_own_steps_and_the_seed_decides_the_rest():
    config = CONFIG.replace(learning_rate=0.1, epochs=3, seed=4, methods=("finetune", "ebll"))
    found = run(config, tasks=TASKS)
    for name in config.methods:
        same_as_by_hand(found, name, by_hand(config, name))
    same_runs(run(config.line(), tasks=iter(TASKS)), found)  # a line is as good as a config, an iterator as a list


def test_the_table_has_the_accuracies_of_the_networks_and_their_last_distance(made):
    table = made.table()
    assert list(table.index) == list(made.config.methods)
    start, old = started(), TASKS[0]
    before = start.net.features(old.validation.inputs)
    held = (start.net(old.validation.inputs, 0).argmax(dim=1) == old.validation.labels).double().mean().item()
    for name, row in table.iterrows():
        net = made.runs[name].net
        right = [(net(t.validation.inputs, i).argmax(dim=1) == t.validation.labels) for i, t in enumerate(TASKS)]
        shares = [100 * r.double().mean().item() for r in right]
        distance = (net.features(old.validation.inputs) - before).norm(dim=1).mean().item()
        wanted = [100 * held, *shares, 100 * held - shares[0], distance]
        assert row.tolist() == pytest.approx(wanted, rel=1e-4, abs=1e-4)


def test_on_the_courses_tasks_the_new_one_is_cut_to_the_size_that_it_has_there():
    config = LabConfig(new="mnist", methods="lwf", epochs=1)
    found, whole = run(config), ebll.load_task("mnist")
    assert len(whole.train) > NEW_TASK_IMAGES
    assert found.steps == lab.steps_of(config, whole) == math.ceil(NEW_TASK_IMAGES / config.train.batch_size)
    tasks = [ebll.load_task("letters"), whole.subset(NEW_TASK_IMAGES)]
    start = started("letters", ())
    other = begin(tasks, config.run("lwf").made_method(), start=start, seed=0)
    with cpu_threads(THREADS):
        list(learn(other, tasks, config.train))
    assert same(found.runs["lwf"].net, other.net)
    labels = torch.arange(3000) % 3
    split = torch.randn(3000, 12) + labels[:, None], labels
    own = [TASKS[0], Task.from_tensors("big", split, split)]
    big = run(CONFIG.replace(new="big", epochs=1, methods="finetune"), tasks=own)
    assert big.step == big.steps == math.ceil(NEW_TASK_IMAGES / 64)  # as is one of the user's own


def test_a_users_task_is_told_from_others_of_its_name():
    own = [dataclasses.replace(TASKS[0], name="letters"), dataclasses.replace(TASKS[1], name="mine")]
    config = LabConfig(old="letters", new="mine", methods="finetune", epochs=2)
    assert offered_tasks(own)["letters"]() is own[0] is not offered_tasks()["letters"]()
    assert started("letters", ()).net.input_shape == (1, 28, 28)
    for seed in (5, 6, 7):  # each may lie where the one before has lain
        own[0] = dataclasses.replace(blobs("letters", seed, count=90))
        wanted = by_hand(config, "finetune", own)
        same_as_by_hand(run(config, tasks=own), "finetune", wanted)
        same_as_by_hand(trained(LabRun(config), own, reuse=True), "finetune", wanted)
    with raises(InputError, "tasks", "ebll.Task", "got str"):
        offered_tasks([own[0], "mnist"])
    for unknown in ({"old": "ode"}, {"new": "ode"}):
        with pytest.raises(InputError, match=r"^Task.*'ode'.*Did you mean 'old'"):  # of those whose data are here
            run(CONFIG.replace(**unknown), tasks=TASKS)


def test_a_method_that_diverges_or_cannot_be_used_is_told_keeps_its_rows_and_stops_no_other(made):
    config = CONFIG.replace(ewc_strength=1e9, code_size=256, methods=("ewc", "finetune", "ebll"))
    found = run(config, tasks=TASKS)
    assert found.diverged == {"ewc", "ebll"}
    assert list(found.runs) == ["finetune"]
    assert same(found.runs["finetune"].net, made.runs["finetune"].net)
    out, note = found.notes
    review(out, "EBLL", "code_size", "256 features")
    assert re.fullmatch(r"EWC diverged: the loss is not finite .* at step \d+ of 16\. Try a learning_rate .*", note)
    rows = found.curves.groupby("method").size()
    assert 0 < rows["ewc"] < rows["finetune"]
    assert found.table().loc["ewc", ["old", "new", "forgetting"]].isna().all()


def test_features_that_end_far_away_are_told():
    found = run(CONFIG.replace(learning_rate=3.0, methods="finetune", epochs=20), tasks=TASKS)
    rows = found.recorders["finetune"].curve_rows
    assert rows[-1]["feature_distance"] > lab.FAR * rows[0]["feature_norm"] or found.diverged
    assert len(found.notes) == 1


def test_measuring_every_step_adds_rows_and_changes_no_weight(made):
    found = trained(LabRun(CONFIG.replace(methods="ebll"), every_step=True))
    assert found.step == found.steps == made.steps == STEPS
    assert found.curves["step"].tolist() == list(range(STEPS + 1))
    assert set(found.curves["stage"]) == set(made.curves["stage"]) == {"train"}
    assert same(found.runs["ebll"].net, made.runs["ebll"].net)
    few = made.curves[made.curves["method"] == "ebll"]
    equal(found.curves[found.curves["step"].isin(few["step"])], few)
    assert 0 < len(few) < STEPS / 2


# Side by side, in turns, and left early.


def test_all_methods_are_at_the_same_step_after_each_turn():
    def at(found):
        assert len(found.recorders) == len(LAB_METHODS)
        assert len({len(recorder.curve_rows) for recorder in found.recorders.values()}) == 1
        assert found.measured == len(found.curves)
        seen.append(found.step)

    seen = []
    started()  # the old task is known
    found = trained(LabRun(CONFIG.replace(epochs=2), every_step=True), at=at)
    assert seen == sorted(seen)
    assert set(seen) == set(range(found.steps + 1))


@pytest.mark.parametrize("turns", [1, 7, 12, STEPS])
def test_a_run_that_is_left_leaves_its_rows_and_the_start_as_it_was(made, turns):
    net = started().net
    weights, random, threads = state(net), torch.get_rng_state(), torch.get_num_threads()
    left = LabRun(CONFIG)
    steps = training(left, TASKS)
    with cpu_threads(THREADS):
        for _ in itertools.islice(steps, turns):
            pass
        steps.close()
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
    same_runs(run(CONFIG, tasks=TASKS), made)
    tasks = [dataclasses.replace(task) for task in TASKS]  # nobody has learned them yet
    steps = training(LabRun(CONFIG), tasks)
    for _ in itertools.islice(steps, turns):
        pass
    steps.close()  # leaves nothing half learned
    same_runs(run(CONFIG, tasks=tasks), made)


def test_runs_that_take_turns_give_what_each_gives_alone():
    """They learn their old task in turns too, which is one and the same; others draw random numbers in between."""
    configs = [CONFIG, CONFIG.replace(alpha=9.0, epochs=3), CONFIG.replace(seed=3, methods=("ewc", "ebll"))]
    alone = [run(config, tasks=TASKS) for config in configs]
    tasks = [dataclasses.replace(task) for task in TASKS]
    together = [LabRun(config) for config in configs]
    with cpu_threads(THREADS):
        for _ in itertools.zip_longest(*(training(one, tasks) for one in together)):
            torch.rand(3)
    for one, other in zip(together, alone, strict=True):
        same_runs(one, other)


# Known runs.


def test_known_runs_are_taken_again_where_nothing_that_acts_was_changed(made):
    one = trained(LabRun(CONFIG), reuse=True)
    two = trained(LabRun(CONFIG.replace(alpha=9.0, code_size=5)), reuse=True)
    assert list(two.recorders) == list(two.table().index) == list(two.curves["method"].unique()) == list(LAB_METHODS)
    for name in LAB_METHODS:
        assert (two.runs[name] is one.runs[name]) == (name not in ("ebll", "ebll-separate"))
        assert made.runs[name] is not one.runs[name]
    same_runs(made, one)
    other = trained(LabRun(CONFIG.replace(epochs=3)), reuse=True)
    assert not same(other.runs["lwf"].net, one.runs["lwf"].net)


def test_a_run_that_is_taken_again_has_the_same_table_and_notes(made):
    far = CONFIG.replace(ewc_strength=1e9, learning_rate=3.0, epochs=20, methods=("ewc", "finetune", "lwf"))
    for config in (CONFIG, far):
        new, again = (trained(LabRun(config), reuse=True) for _ in "12")
        same_runs(again, new)
        assert (again.validation, again.before) == (new.validation, new.before)
    same_runs(trained(LabRun(CONFIG), reuse=True), made)


@pytest.mark.parametrize("changes", [[(0, "distill_weight", 30.0)], [(2, "alpha", 50.0), (3, "distill_weight", 30.0)]])
def test_a_run_that_was_changed_on_the_way_is_neither_kept_nor_taken_from_what_is_kept(changes):
    config, changes = CONFIG.replace(epochs=2, seed=5, methods=("lwf", "ebll")), list(map(Change._make, changes))
    changed, usual, again = (
        trained(LabRun(config.replace(changes=given)), reuse=True) for given in (changes, [], changes)
    )
    same_runs(again, changed)
    same_runs(run(config, changes=changes, tasks=TASKS), changed)
    for name in config.methods:
        assert not same(usual.runs[name].net, changed.runs[name].net)
        same_as_by_hand(usual, name, by_hand(config, name))


# Weights that change on the way.


def test_a_change_is_the_same_as_a_method_put_into_the_step_by_hand_and_those_of_a_run_make_it_again(made):
    late = "alpha was to change at step 1000000"
    found = run(CONFIG, changes=[*CHANGES[::-1], (10**6, "alpha", 0.0), (4, "alpha", 50.0)], tasks=TASKS)
    asked = sorted(map(Change._make, CHANGES[::-1]), key=lambda change: change.step)
    assert found.changes == asked  # what changes nothing is left out
    assert [note[: len(late)] for note in found.notes] == [late]
    found.notes.clear()
    for name in LAB_METHODS:
        same_as_by_hand(found, name, by_hand(CONFIG, name, changes=CHANGES))
        acts = name not in ("finetune", "feature-extraction")
        assert same(found.runs[name].net, made.runs[name].net) != acts
    for again in (run(found.made_again, tasks=TASKS), run(found.made_again.line(), tasks=TASKS)):
        same_runs(again, found)
        assert again.changes == found.changes


def test_a_change_that_is_asked_for_on_the_way_takes_effect_at_the_next_step_and_is_recorded():
    def at(found):
        if found.measured == 12 and not found.changes:
            assert found.curves["step"].iloc[-1] == found.step == 11
            for name, value in (("alpha", 1.0), ("alpha", np.float64(80)), ("distill_weight", CONFIG.distill_weight)):
                found.change(name, value)

    found = trained(LabRun(CONFIG.replace(methods="ebll"), every_step=True), at=at)
    assert found.changes == [Change(12, "alpha", 80.0)]
    weights = found.curves["loss_code"] / found.curves["raw_code"]
    assert weights[1:12].tolist() == pytest.approx([CONFIG.alpha] * 11)
    assert weights[12:-1].tolist() == pytest.approx([80.0] * (STEPS - 12))
    same_runs(trained(LabRun(found.made_again, every_step=True)), found)
    with raises(InputError, "alpha", "got -1"):
        found.change("alpha", -1)
    with raises(InputError, "setting", "'recon_weight'"):
        found.change("recon_weight", 1.0)


WARM_UP = 8  # steps, with the first tasks known: two epochs of four


@pytest.mark.parametrize("when", [-1, 0, 3, WARM_UP - 1, WARM_UP, WARM_UP + 6, WARM_UP + STEPS - 1])
def test_a_change_that_is_asked_for_at_any_time_acts_on_all_methods_alike_and_is_made_again_from_its_line(when):
    """Also while the new head warms up; -1: while the old task is learned."""
    tasks = [dataclasses.replace(task) for task in TASKS] if when < 0 else TASKS
    started()  # of the usual tasks
    found = LabRun(CONFIG)
    with cpu_threads(THREADS):
        for i, _ in enumerate(training(found, tasks)):
            if i == max(when, 0):
                for name, value in (("alpha", 20.0), ("distill_weight", 5.0), ("ewc_strength", 9e3)):
                    found.change(name, value)
    # Asked for while the new head warms up, it acts from the first step on; then from the next one.
    assert {change.step for change in found.changes} == {max(0, when - WARM_UP)}
    found.notes.clear()
    same_runs(run(found.made_again.line(), tasks=TASKS), found)


def test_a_change_that_is_asked_for_at_the_last_step_does_nothing_and_is_not_noted(made):
    found = trained(LabRun(CONFIG), at=lambda one: one.step == one.steps - 1 and one.change("alpha", 20.0))
    assert found.changes == []
    found.notes.clear()
    same_runs(found, made)


def test_a_change_that_is_asked_for_where_known_runs_are_taken_again_is_refused():
    """It could not act on them, and what is told of the run must make it again."""

    def at(found):
        if found.step == 3:
            with raises(InputError, "Run"):
                found.change("distill_weight", 20.0)

    config = CONFIG.replace(methods=("lwf", "ebll"))
    trained(LabRun(config.replace(methods="ebll")), reuse=True)  # one of the two is known
    found = trained(LabRun(config), reuse=True, at=at)
    same_runs(run(found.made_again.line(), tasks=TASKS), found)
