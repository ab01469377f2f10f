"""Checkpoints: a run that was stopped anywhere and goes on ends with the very bits of one that was not."""

import json

import pytest
import torch
from messages import raises
from torch import nn

from ebll.data import Task
from ebll.errors import InputError, OutputError
from ebll.losses import quadratic_penalty
from ebll.methods import METHODS, Memory
from ebll.paper import checkpoint as module, load_checkpoint, save_checkpoint
from ebll.paper.checkpoint import STAGE, STEP, read_tensors, write_tensors
from ebll.protocol import begin, learn, learn_first, run_sequence
from ebll.recording import Recorder
from ebll.seeds import cpu_threads
from ebll.training import TrainSettings

SETTINGS = TrainSettings(epochs=2, warmup_epochs=1, batch_size=8, learning_rate=0.05)


def task(name, classes, seed):
    draw = torch.Generator().manual_seed(seed)
    labels = torch.arange(30) % classes
    inputs = torch.randn(30, 6, generator=draw) + labels[:, None]
    return Task.from_tensors(name, (inputs, labels), (inputs + 0.1, labels), (inputs - 0.1, labels))


TASKS = [task("one", 3, 0), task("two", 2, 1), task("three", 4, 2)]


def noisy(input_shape):
    """With BatchNorm, which learns statistics on the first task, and dropout, which draws."""
    features = nn.Sequential(nn.Linear(6, 10), nn.BatchNorm1d(10), nn.ReLU(), nn.Dropout(0.3))
    return features, nn.Sequential(nn.Linear(10, 8), nn.ReLU(), nn.Dropout(0.3))


@pytest.fixture(scope="module")
def start():
    return learn_first(TASKS[:1], net=noisy, settings=SETTINGS, recorder=Recorder(log_every=2))


def method(name):
    made = METHODS[name]()
    return made.replace(autoencoder=made.autoencoder.replace(code_size=4)) if hasattr(made, "autoencoder") else made


def kept(folder, name, *, stop_after=None, every=10**9, tasks=TASKS, **options):
    """A run that goes on where it was, and saves every so-manieth step; None where it is stopped after some updates.

    returns   (the run, (task, stage, index) of the steps seen)
    """
    run = begin(tasks, method(name), recorder=Recorder(log_every=2, log_predictions=True), **options)
    seen, made, last = [], 0, None
    with cpu_threads(SETTINGS.threads):
        for step in learn(run, tasks, SETTINGS, resume=load_checkpoint(folder, run), consolidate_last=True):
            made += last is not None and step.index > 0
            last = step.index
            seen.append((step.task, step.stage, step.index))
            stop = made == stop_after
            if stop or step.index % every == 0:
                save_checkpoint(folder, run, step)
            if stop:
                return None, seen
    save_checkpoint(folder, run)
    return run, seen


def whole(name, **options):
    recorder = Recorder(log_every=2, log_predictions=True)
    return run_sequence(TASKS, method(name), settings=SETTINGS, recorder=recorder, **options)


def same(run, other):
    weights, others = run.net.state_dict(), other.net.state_dict()
    assert list(weights) == list(others)
    assert all(torch.equal(weights[name], others[name]) for name in weights)
    for rows in ("curve_rows", "accuracy_rows", "memory_rows", "prediction_rows"):
        # NaN is not equal to itself, but its text is.
        assert json.dumps(getattr(run.recorder, rows)) == json.dumps(getattr(other.recorder, rows))
    if run.memory is not None:
        mine, others = run.memory.tensors(), other.memory.tensors()
        assert all(torch.equal(mine[n], others[n]) for n in {*mine, *others})


@pytest.mark.parametrize("name", METHODS)
def test_a_run_stopped_in_the_middle_goes_on_to_the_same_bits(name, start, tmp_path):
    assert kept(tmp_path, name, start=start, stop_after=17)[0] is None  # in the training of the third task
    run, seen = kept(tmp_path, name, start=start)
    assert seen[0] == (2, "train", 1)
    same(run, whole(name, start=start))


# 8 steps of the first task, then 4 and 8 of each later one: 26 training inputs (of 30) in batches of 8
@pytest.fixture(scope="module")
def in_one_go():
    return {name: whole(name, net=noisy) for name in ("ebll", "ebll-separate")}


@pytest.mark.parametrize("name", ["ebll", "ebll-separate"])
@pytest.mark.parametrize("steps", [1, 8, 9, 13, 32])
def test_it_may_be_stopped_at_any_step_from_the_first_task_on(name, steps, tmp_path, in_one_go):
    assert kept(tmp_path, name, net=noisy, stop_after=steps)[0] is None
    run, _ = kept(tmp_path, name, net=noisy)
    same(run, in_one_go[name])
    again, seen = kept(tmp_path, name, net=noisy)  # its end is there, too
    assert seen == []
    same(again, run)


def test_it_may_be_stopped_again_and_again_and_steps_saved_change_nothing(start, tmp_path):
    for _ in range(6):
        assert kept(tmp_path, "lwf", start=start, stop_after=4, every=1)[0] is None
    assert {path.name for path in tmp_path.iterdir()} <= {STAGE, STEP}
    same(kept(tmp_path, "lwf", start=start, every=1)[0], whole("lwf", start=start))
    assert [path.name for path in tmp_path.iterdir()] == [STAGE]  # its end


def test_momentum_and_fisher_information_lie_as_their_weights_do_when_they_come_back(tmp_path):
    """SGD's fused step pairs a weight and its momentum by where they lie, and sums go by it; channels last is not row
    by row."""

    def last(input_shape):
        first = nn.Conv2d(3, 64, 3).to(memory_format=torch.channels_last)
        return nn.Sequential(
            first, nn.ReLU(), nn.Conv2d(64, 48, 3).to(memory_format=torch.channels_last)
        ), nn.Identity()

    images = Task.from_tensors("images", *[(torch.randn(24, 3, 8, 8), torch.arange(24) % 3)] * 3)
    kept(tmp_path, "ewc", net=last, tasks=[images], stop_after=4)
    run, _ = kept(tmp_path, "ewc", net=last, tasks=[images])
    plain = run_sequence([images], method("ewc"), net=last, settings=SETTINGS)
    assert all(torch.equal(a, b) for a, b in zip(run.net.parameters(), plain.net.parameters(), strict=True))
    write_tensors(tmp_path / "kept.safetensors", run.memory.tensors(), {})
    again = type(run.memory).from_tensors(read_tensors(tmp_path / "kept.safetensors")[0], {})
    now = [value.detach() + 1e-3 for value in run.net.parameters()][: len(again.anchors)]
    penalties = [quadratic_penalty(now, memory.anchors, memory.fisher) for memory in (run.memory, again)]
    assert torch.equal(*penalties)


# ---- files


def test_a_write_that_fails_leaves_the_older_file_and_half_files_are_removed(tmp_path, monkeypatch):
    path = tmp_path / "x.safetensors"
    write_tensors(path, {"a": torch.ones(2)}, {})

    def half(tensors, where, header):
        where.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(module, "save_file", half)
        with raises(OutputError, path, "No space left on device"):
            write_tensors(path, {"a": torch.zeros(2)}, {})
    assert torch.equal(read_tensors(path)[0]["a"], torch.ones(2))
    (tmp_path / ".x.safetensors.0a").write_bytes(b"of a process that was killed")
    write_tensors(path, {"a": torch.zeros(2)}, {})
    assert [file.name for file in tmp_path.iterdir()] == ["x.safetensors"]


@pytest.mark.parametrize("name", [STAGE, STEP])
@pytest.mark.parametrize("content", [b"something else", "half"])
def test_a_damaged_file_is_refused_with_what_to_do(name, content, start, tmp_path):
    kept(tmp_path, "ebll", start=start, stop_after=9)
    path = tmp_path / name
    path.write_bytes(path.read_bytes()[:2000] if content == "half" else content)
    with pytest.raises(InputError, match=f"^{path} is damaged.*Delete it"):  # with safetensors' words
        kept(tmp_path, "ebll", start=start)


def test_a_step_of_another_stage_is_passed_over(start, tmp_path):
    kept(tmp_path, "ebll", start=start, stop_after=3)  # in the warm-up of the second task
    step = (tmp_path / STEP).read_bytes()
    kept(tmp_path, "ebll", start=start, stop_after=4)
    (tmp_path / STEP).write_bytes(step)
    run, seen = kept(tmp_path, "ebll", start=start)
    assert seen[0] == (1, "train", 0)
    same(run, whole("ebll", start=start))


def test_a_memory_that_cannot_be_kept_is_refused_in_words(start, tmp_path):
    class Own(Memory):
        pass

    run = begin(TASKS, method("finetune"), start=start)
    run.memory = Own()
    with raises(InputError, "Own", "from_tensors"):
        save_checkpoint(tmp_path, run)
