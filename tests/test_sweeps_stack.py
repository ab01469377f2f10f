"""Sweeps whose runs are trained as one: the same tables to rounding, and nothing lost when a stack fails."""

import pytest
import torch
from messages import raises
from pandas.testing import assert_frame_equal
from tiny_sweep import CHEAP, GRID, cheap

import ebll
from ebll import InputError, OutputError, RunStopped
from ebll.stacked import CannotStack
from ebll.sweeps import Store, Sweep, configs_of, stacks
from ebll.sweeps.engines import chunks_of
from ebll.sweeps.plan import plan_of
from ebll.sweeps.stacks import ALONE, How, portions, run_stack, stack_key
from ebll.turns import Control, controlled

TOGETHER = How(stack=True)


@pytest.fixture(scope="module")
def alone():
    return ebll.sweep(GRID, workers=1)


def alike(one, other):
    """Equal tables to rounding: words and accuracies the same, measured numbers to a thousandth."""
    assert_frame_equal(one.table, other.table, rtol=1e-3, atol=1e-6)
    assert_frame_equal(one.curves, other.curves, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_a_stacked_sweep_is_the_sweep(alone, workers, tmp_path):
    alike(ebll.sweep(GRID, workers=workers, stack=True, store=tmp_path), alone)
    assert len(list(Store(tmp_path).all())) == len(alone.table)


def test_it_was_a_stack(alone, monkeypatch):
    asked = []

    def run(configs, device):
        asked.append(len(configs))
        return run_stack(configs, device)

    monkeypatch.setattr("ebll.sweeps.engines.run_stack", run)
    alike(ebll.sweep(GRID, workers=1, stack=True), alone)
    assert sorted(asked) == [2, 2, 4]  # fine-tuning and LwF with two seeds, EBLL with two alphas each


def test_every_number_in_one_stack_and_all_else_apart():
    together = configs_of({**CHEAP, "alpha": [1.0, 2.0], "temperature": [2.0, 3.0], "learning_rate": [0.01, 0.02],
                           "recon_weight": [0.01, 0.1], "distill_weight": [1.0, 2.0], "seed": [0, 1]})  # fmt: skip
    assert len({stack_key(config) for config in together}) == 1
    assert [len(portion) for portion in portions(together, TOGETHER)] == [64]
    apart = configs_of({**CHEAP, "method": ["ebll", "code-only"], "code_size": [8, 16], "epochs": [1, 2],
                        "log_every": [0, 20], "images": [100, 192]})  # fmt: skip
    assert len({stack_key(config) for config in apart}) == len(apart)
    assert [len(portion) for portion in portions(together, ALONE)] == [1] * 64
    longer = ("digits", "letters", "mnist")
    assert stack_key(cheap(tasks=longer, alpha=1.0)) != stack_key(cheap(tasks=longer, alpha=(1.0, 2.0)))
    assert stack_key(cheap(tasks=longer, alpha=(1.0, 3.0))) == stack_key(cheap(tasks=longer, alpha=(1.0, 2.0)))


def test_the_built_in_nets_are_spread_over_the_cores_unless_asked():
    configs = configs_of(GRID)
    assert [len(portion) for portion in portions(configs, How())] == [1] * len(configs)
    assert max(map(len, chunks_of(configs, 2, How()))) == 2
    assert sorted(map(len, chunks_of(configs, 2, TOGETHER))) == [2, 2, 4]


def test_one_that_diverges_is_told_as_alone(tmp_path):
    grid = {**CHEAP, "method": "ewc", "epochs": 20, "ewc_strength": [1.0, 1e14, 2.0]}
    one, other = ebll.sweep(grid, workers=1), ebll.sweep(grid, workers=1, stack=True, store=tmp_path)
    assert one.failures == other.failures != []
    alike(other, one)
    assert len(list(Store(tmp_path).all())) == 3


@pytest.mark.parametrize("error", [CannotStack("they differ"), ValueError("a bug")])
def test_what_cannot_be_stacked_is_done_one_by_one(alone, monkeypatch, error):
    def fails(*_, **__):
        raise error

    monkeypatch.setattr(stacks, "learn_stacked", fails)
    found = ebll.sweep(GRID, workers=1, stack=True)
    assert_frame_equal(found.table, alone.table, check_exact=True)


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory"), MemoryError()])
def test_a_stack_that_memory_does_not_hold_is_halved(alone, monkeypatch, error):
    sizes, learn = [], stacks.learn_stacked

    def tight(tasks, branches, device):
        sizes.append(len(branches))
        if len(branches) > 2:
            raise error
        return learn(tasks, branches, device=device)

    monkeypatch.setattr(stacks, "learn_stacked", tight)
    alike(ebll.sweep(GRID, workers=1, stack=True), alone)
    assert sizes == [2, 2, 4, 2, 2]


def test_stacks_are_as_large_as_memory_allows(monkeypatch):
    configs = configs_of({**CHEAP, "alpha": [1.0 + i for i in range(10)]})
    size = ebll.stacked.room.bytes_of_run(
        ebll.build_network("mlp", (1, 28, 28)), ebll.load_task("letters").subset(192), 64, 64
    )
    monkeypatch.setattr(stacks, "free_memory", lambda: 2 * 4.5 * size)
    assert [len(portion) for portion in portions(configs, TOGETHER)] == [4, 4, 2]


def test_a_stack_stops_when_told(monkeypatch):
    def stop():
        raise RunStopped("enough")

    configs = configs_of({**CHEAP, "alpha": [1.0, 2.0]})
    with controlled(Control(on_turn=stop)), pytest.raises(RunStopped):
        run_stack(configs)


@pytest.mark.parametrize("device", ["tpu!", "meta", "cuda:x", None])
def test_an_unknown_device_is_refused(device):
    with raises(InputError, "device", "'cpu'", repr(device)):
        ebll.sweep(GRID, device=device)


@pytest.mark.skipif(torch.cuda.is_available(), reason="has a GPU")
def test_a_gpu_that_is_not_there_is_said():
    with raises(InputError, "'cuda'"):
        ebll.sweep(GRID, device="cuda")


def test_what_a_gpu_will_take_is_not_guessed():
    configs = configs_of(GRID)
    plan = plan_of(configs, {}, 1, stored=False, device="cuda")
    assert plan.words() == "8 runs: time unknown before the first."
    known = plan_of(configs, {configs[0]: 0.01}, 1, stored=False, device="cuda")
    assert known.words() == "8 runs, 1 of them there already; the other 7: about 1 s."
    assert (
        plan_of(configs, dict.fromkeys(configs, 0.01), 1, device="cuda").words() == "8 runs, all of them there already."
    )


def test_a_full_disk_costs_no_run_that_a_stack_has_finished(tmp_path, monkeypatch):
    """Two are written, then the disk is full; all that the stack has trained is handed over all the same."""
    kept, write = [], Store.put

    def put(store, result):
        if len(kept) == 2:
            raise OutputError("no space left")
        kept.append(result)
        write(store, result)

    monkeypatch.setattr(Store, "put", put)
    into = Sweep()
    with pytest.raises(OutputError, match="no space left"):
        ebll.sweep({**CHEAP, "method": "lwf", "seed": range(5)}, store=tmp_path, workers=1, stack=True, into=into)
    assert len(into.results) == 5
    assert len(kept) == 2
    assert not into.stopped


def test_a_stack_ends_once_all_have_diverged(monkeypatch):
    steps = []
    monkeypatch.setattr("ebll.stacked.stage.turn", lambda: steps.append(1))
    grid = {**CHEAP, "method": "lwf", "distill_weight": [1e30, 1e31], "epochs": 50}
    found = ebll.sweep(grid, workers=1, stack=True)
    assert len(found.failures) == 2
    assert len(steps) < 20  # of 3 for the warm-up and 150


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"stack": "no"}, ["stack", "True, False", "'no'"]),
        ({"stop": True}, ["stop", "True"]),
        ({"progress": 3}, ["progress", 3]),
        ({"into": {}}, ["into", "Sweep"]),
    ],
)
def test_options_of_the_wrong_kind_are_said(options, named):
    with raises(InputError, *named):
        ebll.sweep(GRID, **options)
    with raises(InputError, "grid", "dict", "None"):
        ebll.sweep(None)
