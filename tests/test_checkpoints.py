"""Checkpoints: a run that was stopped anywhere and goes on ends with the very bits of one that was not."""

import json
import os
import subprocess
import sys

import pytest
import torch
from messages import raises, review
from tiny import kept_up
from torch import nn

import ebll
from ebll.checkpoints import Checkpoints, read_checkpoint, write_checkpoint
from ebll.checkpoints import files as checkpoint_files
from ebll.data import Task
from ebll.errors import InputError, OutputError, RunStopped
from ebll.losses import quadratic_penalty
from ebll.methods import METHODS, Memory
from ebll.protocol import learn_first, run_sequence
from ebll.recording import Recorder
from ebll.training import TrainSettings

SETTINGS = TrainSettings(epochs=2, warmup_epochs=1, batch_size=8, learning_rate=0.05)


def task(name, classes, seed):
    draw = torch.Generator().manual_seed(seed)
    labels = torch.arange(30) % classes
    inputs = torch.randn(30, 6, generator=draw) + labels[:, None]
    return Task.from_tensors(name, (inputs, labels), (inputs + 0.1, labels), (inputs - 0.1, labels))


TASKS = [task("one", 3, 0), task("two", 2, 1), task("three", 4, 2)]


def net(input_shape):
    return nn.Sequential(nn.Linear(6, 10), nn.ReLU()), nn.Sequential(nn.Linear(10, 8), nn.ReLU(), nn.Dropout(0.3))


@pytest.fixture(scope="module")
def start():
    return learn_first(TASKS[:1], net=net, settings=SETTINGS, recorder=Recorder(log_every=2))


def method(name):
    made = METHODS[name]()
    return made.replace(autoencoder=made.autoencoder.replace(code_size=4)) if hasattr(made, "autoencoder") else made


def whole(name, start, kept=None, **options):
    """A run in one go; or, with checkpoints, one that goes on where it was."""
    options |= {"start": start, "settings": SETTINGS, "recorder": Recorder(log_every=2)}
    if kept is None:
        return run_sequence(TASKS, method(name), **options)
    return kept_up(kept, TASKS, method(name), **options)


def stopped_after(steps, name, start, folder, **options):
    with pytest.raises(RunStopped):
        whole(name, start, Checkpoints(folder, {"method": name}, **options), stop_after=steps)


def same(run, other):
    weights, others = run.net.state_dict(), other.net.state_dict()
    assert list(weights) == list(others)
    assert all(torch.equal(weights[name], others[name]) for name in weights)
    for rows in ("curve_rows", "accuracy_rows", "memory_rows"):
        # NaN is not equal to itself, but its text is.
        assert json.dumps(getattr(run.recorder, rows)) == json.dumps(getattr(other.recorder, rows))
    if run.memory is not None:
        kept, others = run.memory.tensors(), other.memory.tensors()
        assert all(torch.equal(kept[n], others[n]) for n in {*kept, *others})


@pytest.mark.parametrize("name", METHODS)
def test_a_run_stopped_in_the_middle_goes_on_to_the_same_bits(name, start, tmp_path):
    stopped_after(17, name, start, tmp_path)  # in the training of the third task
    same(whole(name, start, Checkpoints(tmp_path, {"method": name})), whole(name, start))


STEPS = 2 * (4 + 8)  # two later tasks: 26 training inputs (of 30) in batches of 8


def test_the_number_of_steps_is_as_supposed(start):
    run = ebll.protocol.begin(TASKS, method("ebll"), start=start)
    steps = [(step.task, step.stage, step.index) for step in ebll.protocol.learn(run, TASKS, SETTINGS)]
    assert steps == [
        (t, stage, i) for t in (1, 2) for stage, last in (("warm-up", 4), ("train", 8)) for i in range(last + 1)
    ]
    assert len(steps) == STEPS + 4  # each stage also hands out where it ends


@pytest.mark.parametrize("steps", [1, 3, 4, 5, 8, 12, 13, STEPS - 1, STEPS])
def test_it_may_be_stopped_at_any_step(steps, start, tmp_path):
    stopped_after(steps, "ebll", start, tmp_path)
    same(whole("ebll", start, Checkpoints(tmp_path, {"method": "ebll"})), whole("ebll", start))


def test_it_may_be_stopped_again_and_again(start, tmp_path):
    for _ in range(7):
        stopped_after(3, "lwf", start, tmp_path)
    same(whole("lwf", start, Checkpoints(tmp_path, {"method": "lwf"})), whole("lwf", start))


def test_a_finished_run_is_not_trained_again(start, tmp_path):
    first, steps = whole("ebll", start, Checkpoints(tmp_path, {"method": "ebll"})), []
    same(whole("ebll", start, Checkpoints(tmp_path, {"method": "ebll"}), watch=steps.append), first)
    assert steps == []


def test_resume_false_begins_anew(start, tmp_path):
    stopped_after(9, "ebll", start, tmp_path)
    keep = Checkpoints(tmp_path, {"method": "ebll"}, resume=False)
    assert list(tmp_path.iterdir()) == []
    same(whole("ebll", start, keep), whole("ebll", start))


def test_the_first_task_goes_on_as_well(tmp_path):
    def first(**options):
        given = dict(net=net, settings=SETTINGS, recorder=Recorder(log_every=2))
        return kept_up(Checkpoints(tmp_path, {}), TASKS[:1], "finetune", **given, **options)

    with pytest.raises(RunStopped):
        first(stop_after=5)
    again = first()
    plain = learn_first(TASKS[:1], net=net, settings=SETTINGS, recorder=Recorder(log_every=2))
    for one, other in zip(again.net.parameters(), plain.net.parameters(), strict=True):
        assert torch.equal(one, other)
    assert json.dumps(again.recorder.curve_rows) == json.dumps(plain.recorder.curve_rows)
    third = first()
    assert third.recorder.accuracy_rows == plain.recorder.accuracy_rows
    assert third.net.statistics_frozen


def noisy_net(input_shape):
    features = nn.Sequential(nn.Linear(6, 10), nn.BatchNorm1d(10), nn.ReLU(), nn.Dropout(0.3))
    return features, nn.Sequential(nn.Linear(10, 8), nn.ReLU(), nn.Dropout(0.3))


@pytest.mark.parametrize("name", ["ebll", "ebll-separate"])
@pytest.mark.parametrize("steps", [1, 7, 8, 9, 12, 13, 15, 21])  # 8 of the first task, then 4 and 8 of the second
def test_a_run_from_the_first_task_on_with_batchnorm_and_dropout_goes_on_to_the_same_bits(name, steps, tmp_path):
    def run(**more):
        options = dict(net=noisy_net, settings=SETTINGS, recorder=Recorder(log_every=2))
        return kept_up(Checkpoints(tmp_path, {}), TASKS, method(name), **options, **more)

    with pytest.raises(RunStopped):
        run(stop_after=steps)
    again = run()
    same(again, run_sequence(TASKS, method(name), net=noisy_net, settings=SETTINGS, recorder=Recorder(log_every=2)))
    same(run(), again)  # its end is there, too


def test_a_finished_run_may_be_given_another_task(start, tmp_path):
    options = {"start": start, "settings": SETTINGS}
    kept_up(Checkpoints(tmp_path, {}), TASKS[:2], method("ebll"), **options, recorder=Recorder(log_every=2))
    again = kept_up(Checkpoints(tmp_path, {}), TASKS, method("ebll"), **options, recorder=Recorder(log_every=2))
    same(again, whole("ebll", start))


def test_minutes_decide_how_often_and_two_files_stay(start, tmp_path):
    def files(name, kind):
        return len(list((tmp_path / name).glob(f"{kind}-*")))

    seen = []
    whole(
        "lwf",
        start,
        Checkpoints(tmp_path / "often", {}, minutes=1e-9),
        watch=lambda step: seen.append(files("often", "step")),
    )
    assert max(seen) == 2
    assert files("often", "stage") == 2
    assert files("often", "step") == 0  # the end of the run has taken their place
    seen.clear()
    whole("lwf", start, Checkpoints(tmp_path / "seldom", {}), watch=lambda step: seen.append(files("seldom", "step")))
    assert max(seen) == 0


def newest(folder, kind):
    return sorted(folder.glob(f"{kind}-*"))[-1]


@pytest.mark.parametrize("kind", ["step", "stage"])
@pytest.mark.parametrize("damage", ["cut", "flipped", "other"])
def test_a_damaged_file_is_told_of_and_the_one_before_it_used(kind, damage, start, tmp_path):
    stopped_after(17, "ebll", start, tmp_path, minutes=1e-9)
    path = newest(tmp_path, kind)
    content = bytearray(path.read_bytes())
    if damage == "cut":
        path.write_bytes(content[: len(content) // 2])
    elif damage == "flipped":
        content[-5] ^= 0xFF
        path.write_bytes(content)
    else:
        path.write_bytes(b"something else")
    words = []
    same(whole("ebll", start, Checkpoints(tmp_path, {"method": "ebll"}, say=words.append)), whole("ebll", start))
    assert any(path.name in told and ("damaged" in told or "not a checkpoint" in told) for told in words)


def test_another_runs_files_are_refused_by_name_of_what_differs(start, tmp_path):
    stopped_after(9, "ebll", start, tmp_path)
    words = []
    whole("lwf", start, Checkpoints(tmp_path, {"method": "lwf"}, say=words.append))
    assert any("another run: it differs in method" in told for told in words)


def test_a_full_disk_is_told_of_and_the_run_goes_on(start, tmp_path, monkeypatch):
    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint_files, "save_file", full)
    words = []
    run = whole("ebll", start, Checkpoints(tmp_path, {}, minutes=1e-9, say=words.append))
    same(run, whole("ebll", start))
    review(words[0], tmp_path, "No space left on device")
    assert list(tmp_path.iterdir()) == []


def test_an_unwritable_folder_is_refused_before_the_run(tmp_path):
    (tmp_path / "file").write_text("")
    with raises(OutputError, tmp_path / "file" / "folder"):
        Checkpoints(tmp_path / "file" / "folder", {})


def test_a_memory_that_cannot_be_kept_is_refused_in_words(start, tmp_path):
    class Own(Memory):
        def bytes(self):
            return 0

    class Mine(type(METHODS["finetune"]())):
        def consolidate(self, net, t, task, memory, seed):
            return Own()

    with raises(InputError, "Own", "from_tensors"):
        kept_up(Checkpoints(tmp_path, {}), TASKS, Mine(), start=start, settings=SETTINGS)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.int64, torch.uint8, torch.bool])
def test_tensors_come_back_bit_by_bit(dtype, tmp_path):
    values = {"a": torch.arange(12).reshape(3, 4).to(dtype), "b.c": torch.tensor(1).to(dtype), "e": torch.zeros(0, 2)}
    write_checkpoint(tmp_path / "x.safetensors", values, {"n": 3})
    tensors, facts = read_checkpoint(tmp_path / "x.safetensors")
    assert facts == {"n": 3}
    assert all(
        torch.equal(tensors[name], values[name]) and tensors[name].dtype == values[name].dtype for name in values
    )


def test_a_write_that_fails_leaves_the_older_file(tmp_path, monkeypatch):
    path = tmp_path / "x.safetensors"
    write_checkpoint(path, {"a": torch.ones(2)}, {})

    def half(tensors, where, header):
        where.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint_files, "save_file", half)
    with raises(OutputError, path, "No space left on device"):
        write_checkpoint(path, {"a": torch.zeros(2)}, {})
    assert torch.equal(read_checkpoint(path)[0]["a"], torch.ones(2))
    assert [file.name for file in tmp_path.iterdir()] == ["x.safetensors"]


def test_a_missing_file_is_refused_in_words(tmp_path):
    with pytest.raises(InputError, match=r"none\.safetensors"):
        read_checkpoint(tmp_path / "none.safetensors")


def test_momentum_lies_as_its_weight_does_when_it_comes_back(tmp_path):
    """SGD's fused step pairs a weight and its momentum by where they lie; channels last is not row by row."""

    def last(input_shape):
        first = nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last)
        return nn.Sequential(first, nn.ReLU(), nn.Conv2d(4, 4, 3).to(memory_format=torch.channels_last)), nn.Identity()

    images = Task.from_tensors("images", *[(torch.randn(24, 3, 8, 8), torch.arange(24) % 3)] * 3)
    options = {"net": last, "settings": SETTINGS}
    with pytest.raises(RunStopped):
        kept_up(Checkpoints(tmp_path, {}), [images], "finetune", stop_after=4, **options)
    again = kept_up(Checkpoints(tmp_path, {}), [images], "finetune", **options)
    plain = learn_first([images], **options)
    assert all(torch.equal(a, b) for a, b in zip(again.net.parameters(), plain.net.parameters(), strict=True))


def goes_on_at(name, start, folder):
    """Where each stage of the run that goes on begins; it must end as one that was never stopped."""
    begun, kept = {}, Checkpoints(folder, {"method": name}, say=lambda words: None)
    same(
        whole(name, start, kept, watch=lambda step: begun.setdefault((step.task, step.stage), step.index)),
        whole(name, start),
    )
    return list(begun.values())


def test_files_of_another_run_with_higher_numbers_do_not_push_out_this_ones(start, tmp_path):
    """Settings were changed and the folder kept: the old run had come further than the new one."""
    stopped_after(20, "ebll", start, tmp_path, minutes=1e-9)
    foreign = {path: path.read_bytes() for path in tmp_path.glob("*.safetensors")}
    for folder in (tmp_path, tmp_path / "alone"):
        stopped_after(9, "lwf", start, folder, minutes=1e-9, say=lambda words: None)
    begun_at = goes_on_at("lwf", start, tmp_path)
    assert begun_at == goes_on_at("lwf", start, tmp_path / "alone")
    assert begun_at[0] > 0
    assert len(begun_at) == 3  # the warm-up of the second task was not gone through once more
    assert all(path.read_bytes() == there for path, there in foreign.items() if path.name.startswith("step"))


def test_steps_of_a_stage_that_is_gone_through_once_more_go_first(start, tmp_path):
    """The newest stage file is damaged: its stage is begun anew, and the step files after it lead nowhere."""
    stopped_after(11, "ebll", start, tmp_path, minutes=1e-9)
    assert len(list(tmp_path.glob("step-*"))) == 2
    newest(tmp_path, "stage").write_bytes(b"something else")
    stopped_after(3, "ebll", start, tmp_path, minutes=1e-9, say=lambda words: None)
    begun_at = goes_on_at("ebll", start, tmp_path)
    assert begun_at[0] > 0


def test_a_penalty_read_from_a_file_is_the_very_one_where_weights_lie_channels_last(tmp_path):
    """Large enough that torch adds up in another order where a tensor lies in another."""

    def last(input_shape):
        convolutions = nn.Conv2d(3, 64, 3), nn.ReLU(), nn.Conv2d(64, 48, 3), nn.AdaptiveAvgPool2d(1)
        return nn.Sequential(*convolutions).to(memory_format=torch.channels_last), nn.Linear(48, 8)

    images = Task.from_tensors("images", *[(torch.randn(24, 3, 8, 8), torch.arange(24) % 3)] * 3)
    net = learn_first([images], net=last, settings=SETTINGS).net
    kept = METHODS["ewc"]().consolidate(net, 0, images, None, 0)
    write_checkpoint(tmp_path / "kept.safetensors", kept.tensors(), {})
    again = type(kept).from_tensors(read_checkpoint(tmp_path / "kept.safetensors")[0], {})
    assert not net.features[0][2].weight.is_contiguous()
    for _ in range(20):
        now = [value.detach() + 1e-3 * torch.randn_like(value) for value in net.parameters()][: len(kept.anchors)]
        assert torch.equal(
            quadratic_penalty(now, kept.anchors, kept.fisher), quadratic_penalty(now, again.anchors, again.fisher)
        )


@pytest.mark.parametrize(
    ("facts", "named"),
    [
        ({}, ["run, stage, index, fitted"]),
        ({"run": []}, ["run, stage, index, fitted"]),
        ({"run": {}, "stage": [1, "train"], "index": 0, "fitted": 0}, ["curve_rows, accuracy_rows, memory_rows"]),
        ([1], []),
    ],
)
def test_a_whole_file_that_holds_something_else_is_told_of_and_passed_over(facts, named, start, tmp_path):
    stopped_after(9, "lwf", start, tmp_path)
    path, told = tmp_path / "stage-999-00000999.safetensors", []
    if isinstance(facts, dict):
        write_checkpoint(path, {"x": torch.zeros(1)}, facts)
    else:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(checkpoint_files, "dict", lambda given: given, raising=False)
            write_checkpoint(path, {"x": torch.zeros(1)}, facts)
    (tmp_path / "step-999-00000999.safetensors").mkdir()
    same(whole("lwf", start, Checkpoints(tmp_path, {"method": "lwf"}, say=told.append)), whole("lwf", start))
    (about,) = [one for one in told if path.name in one]
    review(about, path, *named)


def test_a_changed_fact_is_found_out(tmp_path):
    path = tmp_path / "kept.safetensors"
    write_checkpoint(path, {"x": torch.arange(3.0)}, {"step": 14})
    content = path.read_bytes()
    assert content.count(b'{\\"step\\": 14}') == 1
    path.write_bytes(content.replace(b'{\\"step\\": 14}', b'{\\"step\\": 15}'))
    with raises(InputError, path, "checksum"):
        read_checkpoint(path)


def test_half_files_of_a_process_that_was_killed_are_cleared_away_and_those_of_a_living_one_not(tmp_path):
    living = tmp_path / f".stage-001-00000001.safetensors.{os.getpid()}.1"
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        killed = tmp_path / f".step-001-00000001.safetensors.{gone.pid}.1"
    other = tmp_path / ".notes.txt"
    for path in (living, killed, other):
        path.write_text("half")
    Checkpoints(tmp_path, {})
    assert sorted(tmp_path.iterdir()) == sorted([living, other])


@pytest.mark.parametrize(
    ("folder", "run", "named"),
    [
        (None, {}, ["folder", "None"]),
        ("there", None, ["run", "dict", "got None"]),
        ("there", {"a": torch.zeros(1)}, ["run", "JSON"]),
        ("there", {"a": float("nan")}, ["run", "NaN"]),
        ("~nobody-of-this-name/x", {}, ["folder", "'~nobody-of-this-name/x'"]),
    ],
)
def test_what_cannot_name_a_run_is_refused(folder, run, named, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with raises(InputError, *named):
        Checkpoints(folder, run)
