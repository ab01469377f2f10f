"""The tables of a run: columns as documented, and every number computed again from the run's own networks."""

import math

import numpy as np
import pandas as pd
import pytest
import torch
from tiny import AUTOENCODER, SETTINGS, blobs, method, noisy, same, sequence, small
from torch import nn
from torch.nn import functional

from ebll import METHODS, Recorder, build_network, run_sequence
from ebll.methods import Finetune
from ebll.protocol import learn_first
from ebll.recording import CURVE_COLUMNS, PREDICTION_COLUMNS, TERMS, Probe, measure_accuracy
from ebll.seeds import generator, seeded

WEIGHTS = {"lwf": {"distill": 0.5}, "ewc": {"penalty": 30}, "ebll": {"distill": 0.5, "code": 0.8}}
WEIGHTS |= {"code-only": {"code": 0.8}, "ebll-separate": {"code": 0.8}, "replay": {"replay": 0.6}}
WEIGHTS |= {"l2": {"penalty": 0.3}, "input-moments": {"penalty": 0.02}, "kfac": {"penalty": 5.0}}
FACTS = ["sequence", "net", "method", "seed"]
KNOBS = {"distill": "distill_weight", "code": "alpha", "replay": "replay_weight"}


def weighted(name):
    knobs = KNOBS | {"penalty": METHODS[name].weighs_only}
    return method(name, **{knobs[term]: value for term, value in WEIGHTS.get(name, {}).items()})


@pytest.fixture(scope="module")
def runs():
    """Each method's run of three tasks, logged at every step, and the snapshot they all branch from."""
    tasks = sequence(3)
    start = learn_first(tasks, net=small, settings=SETTINGS, recorder=Recorder(log_every=1))
    made = {
        name: run_sequence(tasks, weighted(name), settings=SETTINGS, start=start, recorder=Recorder(log_every=1))
        for name in METHODS
    }
    return tasks, start, made


def softly(value):
    return pytest.approx(value, rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("name", METHODS)
def test_the_columns_and_rows_are_as_documented(runs, name):
    tasks, _, made = runs
    curves = made[name].curves
    assert list(curves.columns) == [*FACTS, *CURVE_COLUMNS]
    assert made[name].facts == {"sequence": "own:task0-task1-task2", "net": "own", "method": name, "seed": 0}
    for table in (curves, made[name].accuracy, made[name].kept):
        assert table.empty or (table[FACTS] == pd.Series(made[name].facts)).all(axis=None)
    first = curves.query("training == 'task0'")
    assert set(first["task"]) == {""}
    assert first[["feature_distance", "feature_norm", "code_distance", "accuracy"]].isna().all(axis=None)
    for (training, stage), rows in curves.groupby(["training", "stage"]):
        t = int(training[-1])
        counts = [len(task.train) for task in tasks[: t + 1]]
        longest = max(counts) if name == "joint" and stage == "train" else counts[t]
        epochs = SETTINGS.epochs if stage == "train" else SETTINGS.warmup_epochs
        total = epochs * math.ceil(longest / SETTINGS.batch_size)
        old = [task.name for task in tasks[:t]] or [""]
        assert list(zip(rows["step"], rows["task"], strict=True)) == [(s, o) for s in range(total + 1) for o in old]
        assert (rows["loss_total"].isna() == (rows["step"] == total)).all()  # no step follows the last row
        rate = np.where(rows["step"] < round(SETTINGS.drop_at * total), 0.05, 0.005)
        assert rows["learning_rate"].tolist() == softly(rate.tolist())
    stages = [("task0", "train"), *((task, stage) for task in ("task1", "task2") for stage in ("warm-up", "train"))]
    assert list(curves.groupby(["training", "stage"], sort=False).groups) == stages


@pytest.mark.parametrize("name", METHODS)
def test_loss_is_weight_times_raw_and_the_total_is_their_sum(runs, name):
    """And the terms of a method are there, from the second task's training on, and no others."""
    curves = runs[2][name].curves
    weights = {"task": 1, **WEIGHTS.get(name, {})}
    steps = curves[curves["loss_total"].notna()]
    trained = (steps["training"] != "task0") & (steps["stage"] == "train")
    for term in TERMS:
        there = (trained & (term in weights)) | (term == "task")
        assert (steps[f"loss_{term}"].notna() == there).all()
        assert (steps[f"raw_{term}"].notna() == there).all()
        raw = steps.loc[there, f"raw_{term}"] * weights.get(term, 1)
        assert steps.loc[there, f"loss_{term}"].tolist() == softly(raw.tolist())
    total = steps[[f"loss_{term}" for term in TERMS]].sum(axis=1)
    assert steps["loss_total"].tolist() == softly(total.tolist())
    # The first loss computed again, by the batch that the documented generator draws.
    net, data = build_network(small, (12,), 0), runs[0][0].train
    with seeded(0, "head", 0):
        net.add_head(3)
    rows = torch.randperm(len(data), generator=generator(0, "batches", 0, 0))[: SETTINGS.batch_size]
    expected = functional.cross_entropy(net(data.inputs[rows], 0), data.labels[rows])
    assert curves["loss_task"].iloc[0] == softly(expected.item())


@pytest.mark.parametrize("name", METHODS)
def test_at_step_0_of_a_task_nothing_has_moved_and_the_warm_up_moves_no_features(name, runs):
    curves = runs[2][name].curves.query("training != 'task0'")
    first = curves.query("step == 0")
    assert (first["feature_distance"] == 0).all()
    assert (first["code_distance"].dropna() == 0).all()
    assert (first["raw_code"].dropna() < 1e-10).all()
    assert (first["raw_penalty"].dropna() == 0).all()
    assert (curves.query("stage == 'warm-up'")["feature_distance"] == 0).all()


@pytest.mark.parametrize("name", METHODS)
def test_M2_M3_M1_at_the_end_computed_again_from_the_networks_on_validation_inputs(runs, name):
    """The last task's rows against the network before it (a run of two tasks) and after it (the run of three)."""
    tasks, start, made = runs
    before = run_sequence(tasks[:2], weighted(name), settings=SETTINGS, start=start)
    now = made[name]
    curves = now.curves.query("training == 'task2' and stage == 'train'")
    last = curves[curves["step"] == curves["step"].max()].set_index("task")
    assert list(last.index) == ["task0", "task1"]
    for i in (0, 1):
        row, split = last.loc[f"task{i}"], tasks[i].validation
        with torch.no_grad():
            f_now, f_before = (run.net.features(split.inputs) for run in (now, before))
        assert row["feature_distance"] == softly((f_now - f_before).square().sum(dim=1).sqrt().mean().item())
        assert row["feature_norm"] == softly(f_now.square().sum(dim=1).sqrt().mean().item())
        hits = (now.net(split.inputs, i).argmax(dim=1) == split.labels).double().mean().item()
        assert row["accuracy"] == hits
        if "code" in WEIGHTS.get(name, {}):
            encoder = before.memory.encoders[i]
            moved = (encoder(f_now) - encoder(f_before)).square().sum(dim=1).mean().item() / 2
            assert row["code_distance"] == softly(moved)
        else:
            assert math.isnan(row["code_distance"])
    split = tasks[2].validation
    fresh = (now.net(split.inputs, 2).argmax(dim=1) == split.labels).double().mean().item()
    assert (last["accuracy_new"] == fresh).all()
    if name != "feature-extraction":
        assert (last["feature_distance"] > 0).all()


@pytest.mark.parametrize("name", METHODS)
def test_the_accuracy_table_is_measured_on_the_test_split_by_a_plain_loop(runs, name):
    tasks, start, made = runs
    for t in range(3):
        run = run_sequence(tasks[: t + 1], weighted(name), settings=SETTINGS, start=start)
        table = made[name].accuracy.query("after == @tasks[@t].name").set_index("task")["accuracy"]
        assert list(table.index) == [task.name for task in tasks[: t + 1]]
        for i, task in enumerate(tasks[: t + 1]):
            answers = torch.tensor([run.net(x[None], i).argmax() for x in task.test.inputs])
            assert table[task.name] == (answers == task.test.labels).double().mean()
    run.net.train()
    parts = {measure_accuracy(run.net, 2, tasks[2].test, batch_size=size) for size in (1, 7, 60)}
    assert parts == {table["task2"]}
    assert run.net.training


@pytest.mark.parametrize(
    ("log_every", "steps"),
    [
        (1, [*range(33)]),
        (2, [*range(4), *range(4, 33, 2)]),
        (10, [*range(0, 20, 2), 20, 30, 32]),
        (100, [0, 20, 32]),
        (0, []),
    ],
)
def test_rows_come_at_every_so_many_steps_more_often_at_first_and_after_the_last(log_every, steps):
    recorder = Recorder(log_every=log_every)
    settings = SETTINGS.replace(epochs=8)
    assert 8 * math.ceil(len(sequence(1)[0].train) / settings.batch_size) == 32
    learn_first(sequence(1), net=small, settings=settings, recorder=recorder)
    assert recorder.curves()["step"].tolist() == steps


@pytest.mark.parametrize("name", METHODS)
def test_predictions_are_the_networks_own_where_asked_for_and_change_nothing(runs, name):
    tasks, start, made = runs
    plain = made[name]
    assert list(plain.predictions.columns) == [*FACTS, *PREDICTION_COLUMNS]
    assert plain.predictions.empty
    recorder = Recorder(log_every=1, log_predictions=True)
    run = run_sequence(tasks, weighted(name), settings=SETTINGS, start=start, recorder=recorder)
    assert same(run.net, plain.net)
    pd.testing.assert_frame_equal(run.curves, plain.curves, check_exact=True)
    found = run.predictions
    assert list(found.columns) == [*FACTS, *PREDICTION_COLUMNS]
    moment = ["training", "stage", "step", "task"]
    right = (found["label"].astype(str) == found["predicted"].astype(str)).groupby([found[name] for name in moment])
    wanted = run.curves.query("task != ''").set_index(moment)["accuracy"]
    pd.testing.assert_series_equal(right.mean(), wanted.sort_index(), check_names=False)
    last = found.query("training == 'task2' and stage == 'train'")
    for i in (0, 1):
        rows, split = last[(last["task"] == f"task{i}") & (last["step"] == last["step"].max())], tasks[i].validation
        answers = run.net(split.inputs, i).argmax(dim=1)
        assert rows["image"].tolist() == [*range(len(split))]
        assert rows["label"].tolist() == [tasks[i].classes[label] for label in split.labels]
        assert rows["predicted"].tolist() == [tasks[i].classes[label] for label in answers]


def test_the_images_of_predictions_are_rows_of_the_validation_split():
    tasks = [blobs("a", 0, count=200, mixed=False), blobs("b", 1)]
    recorder = Recorder(samples=6, log_predictions=True)
    rows = run_sequence(tasks, "finetune", net=small, settings=SETTINGS, recorder=recorder).predictions
    assert rows["image"].unique().tolist() == [0, 5, 10, 15, 20, 25]  # of 30
    labels = rows.groupby("image")["label"].first()
    assert labels.tolist() == [tasks[0].classes[tasks[0].validation.labels[i]] for i in labels.index]


def test_samples_bound_what_is_looked_at_and_are_spread_over_all_classes_where_the_data_is_sorted():
    task = blobs("sorted", 0, count=400, classes=4, mixed=False)
    net = learn_first([task], net=small, settings=SETTINGS).net
    assert torch.equal(task.validation.labels, task.validation.labels.sort().values)
    for samples, taken in [(20, 20), (60, 60), (1000, 60)]:
        probe = Probe.of(net, 0, task, samples)
        assert len(probe.inputs) == taken
        assert all((task.validation.inputs == row).all(dim=1).any() for row in probe.inputs)
        assert torch.bincount(probe.labels, minlength=4).tolist() == [taken // 4] * 4


def test_a_recorder_goes_on_from_another_one_and_has_its_columns_before_any_row():
    one, other = Recorder(), Recorder()
    assert list(one.curves().columns) == CURVE_COLUMNS
    assert list(one.accuracy().columns) == ["after", "task", "accuracy"]
    assert one.memory().empty
    one.accuracy_rows.append({"after": "a", "task": "a", "accuracy": 1.0})
    one.curve_rows.append({"step": 1, "loss_mine": 2.0, "raw_mine": 1.0})  # a reader's own term
    one.memory_rows.append({"after": "a", "bytes": 3})
    one.prediction_rows.append({"step": 1, "image": [4, 9], "label": ["x", "y"], "predicted": ["y", "y"]})
    other.extend(one)
    rows = other.predictions()[["step", "image", "label", "predicted"]]
    assert rows.to_numpy().tolist() == [[1, 4, "x", "y"], [1, 9, "y", "y"]]
    other.accuracy_rows.append({"after": "b", "task": "b", "accuracy": 0.5})
    assert other.accuracy()["after"].tolist() == ["a", "b"]
    assert list(other.curves().columns) == [*CURVE_COLUMNS, "loss_mine", "raw_mine"]
    assert other.curves()[["step", "loss_mine"]].to_numpy().tolist() == [[1, 2]]
    assert other.memory()["bytes"].tolist() == [3]
    assert len(one.accuracy_rows) == 1


@pytest.mark.parametrize("name", METHODS)
def test_M4_M5_M6_M7_of_a_run_are_those_of_its_matrix(runs, name):
    run = runs[2][name]
    a, alone = run.accuracy_matrix().to_numpy(), [0.9, 0.6, 0.5]
    summary = run.summary(alone)
    assert summary.name == name
    assert summary["average_accuracy"] == pytest.approx((a[2, 0] + a[2, 1] + a[2, 2]) / 3)
    assert summary["forgetting"] == pytest.approx(((max(a[0, 0], a[1, 0]) - a[2, 0]) + (a[1, 1] - a[2, 1])) / 2)
    assert summary["backward_transfer"] == pytest.approx(((a[2, 0] - a[0, 0]) + (a[2, 1] - a[1, 1])) / 2)
    assert summary["forward_transfer"] == pytest.approx(((a[1, 1] - 0.6) + (a[2, 2] - 0.5)) / 2)
    assert list(run.summary().index) == ["average_accuracy", "forgetting", "backward_transfer"]
    named = run_sequence(sequence(2), name, net="mlp", settings=SETTINGS.replace(epochs=1), seed=7)
    assert named.facts == {"sequence": "mlp:task0-task1", "net": "mlp", "method": name, "seed": 7}


@pytest.mark.parametrize("name", ["feature-extraction", "finetune"])
def test_asking_a_network_that_stands_still_once_gives_the_rows_of_asking_it_each_time(name, monkeypatch):
    def rows():
        start = learn_first(sequence(2), net=noisy, settings=SETTINGS, seed=1)
        asked, seen = [], Recorder(log_every=1)
        hook = torch.nn.modules.module.register_module_forward_hook(lambda m, i, o: asked.append(m))
        run_sequence(sequence(2), name, start=start, settings=SETTINGS, seed=1, recorder=seen)
        hook.remove()
        return seen.curves(), len(asked)

    quick, few = rows()
    watching = Recorder.watching
    monkeypatch.setattr(Recorder, "watching", lambda *given: watching(*given[:6]))  # all of it is trained
    plain, many = rows()
    pd.testing.assert_frame_equal(quick, plain, check_exact=True)
    assert few < many  # and the warm-up was spared some


class Adapted(Finetune):
    """Trains the new head and a layer that a hook adds to F, which is no part of the network's own features."""

    name = "adapted"

    def prepare(self, net):
        net.adapter = nn.Linear(net.feature_size, net.feature_size)
        net.features.register_forward_hook(lambda module, inputs, output: output + net.adapter(output))

    def trained_parts(self, net, t):
        return nn.ModuleList([net.adapter, net.heads[t]]) if t else net


def test_a_stage_that_trains_more_than_heads_is_asked_each_time():
    run = run_sequence(sequence(2), Adapted(), net=small, settings=SETTINGS, recorder=Recorder(log_every=1))
    moved = run.curves.query("stage == 'train'")["feature_distance"]
    assert moved.iloc[-1] > 1e-3


def test_the_code_before_is_that_of_the_encoder_at_hand():
    tasks = sequence(2)
    net = learn_first(tasks, net=small, settings=SETTINGS).net
    probe = Probe.of(net, 0, tasks[0], 20)
    for code_size in (2, 4):
        changed = method("ebll", autoencoder=AUTOENCODER.replace(code_size=code_size))
        memory = changed.consolidate(net, 0, tasks[0], None, 0)
        with torch.no_grad():
            assert probe.measure(net, memory)["code_distance"] == 0
