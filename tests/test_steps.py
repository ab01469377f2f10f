"""Whoever iterates over a run's steps may leave it, change it, or take steps of several in turn."""

import ast
import contextlib
import inspect
import itertools

import pandas as pd
import pytest
import torch
from tiny import SETTINGS, method, noisy, same, sequence, small, state

from ebll import Recorder, build_network
from ebll.protocol import begin, complete, learn, learn_first
from ebll.seeds import cpu_threads, seeded
from ebll.training import train


@pytest.fixture(autouse=True)
def threads_of_the_settings():
    """To the last bit numbers repeat for one count of threads only, which is for whoever iterates to set."""
    with cpu_threads(SETTINGS.threads):
        yield


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_a_run_that_is_left_in_the_middle_leaves_the_rows_that_it_has_recorded_and_the_process_as_it_was(share):
    tasks, full, part = sequence(3), Recorder(log_every=1), Recorder(log_every=1)
    start = learn_first(tasks, net=noisy, settings=SETTINGS)
    torch.manual_seed(7)
    kept, wanted = state(start.net), torch.rand(99)
    whole = len(list(learn(begin(tasks, method("ebll"), start=start, recorder=full), tasks, SETTINGS)))
    run = begin(tasks, method("ebll"), start=start, recorder=part)
    torch.manual_seed(7)
    steps = itertools.islice(learn(run, tasks, SETTINGS), int(share * whole))
    drawn = torch.stack([torch.rand(()) for _ in steps])  # those who iterate may draw in between
    assert torch.equal(drawn, wanted[: len(drawn)])
    assert 0 < len(part.curve_rows) < len(full.curve_rows)
    pd.testing.assert_frame_equal(part.curves(), full.curves()[: len(part.curve_rows)], check_exact=True)
    assert part.accuracy_rows == full.accuracy_rows[: len(part.accuracy_rows)]
    assert same(start.net, kept)
    assert not run.net.training
    assert all(parameter.requires_grad for parameter in run.net.parameters())


@pytest.mark.parametrize("net", [small, noisy])
def test_runs_that_take_steps_in_turn_give_what_each_gives_alone(net):
    """Two runs step by step, while others draw from torch's generator in between."""
    tasks = sequence(3)
    start = learn_first(tasks, net=net, settings=SETTINGS)

    def of(name, seed):
        return begin(tasks, method(name), start=start, seed=seed)

    alone = {seed: complete(of(name, seed), tasks, SETTINGS) for name, seed in (("ebll", 0), ("lwf", 1))}
    runs = {0: of("ebll", 0), 1: of("lwf", 1)}
    for pair in itertools.zip_longest(*(learn(run, tasks, SETTINGS) for run in runs.values())):
        torch.rand(3)
        assert pair != (None, None)
    for seed, run in runs.items():
        assert same(run.net, alone[seed].net)
        assert run.recorder.accuracy_rows == alone[seed].recorder.accuracy_rows


def test_dropout_draws_other_masks_for_other_seeds():
    (task,) = sequence(1)
    net, states = learn_first([task], net=noisy, settings=SETTINGS).net, []
    for seed in (0, 0, 1):
        with contextlib.closing(train(net, method("finetune"), 0, {0: task}, settings=SETTINGS, seed=seed)) as steps:
            states.append(next(steps).dropout.before[0])
    assert torch.equal(states[0], states[1])
    assert not torch.equal(states[0], states[2])


def test_a_run_that_is_learned_makes_no_step_and_fits_nothing_twice():
    tasks = sequence(2)
    run = complete(begin(tasks, method("ebll"), net=small), tasks, SETTINGS, consolidate_last=True)
    rows = len(run.recorder.memory_rows)
    assert list(learn(run, tasks, SETTINGS, consolidate_last=True)) == []
    assert (len(run.memory.encoders), len(run.recorder.memory_rows)) == (2, rows) == (2, 2)


def test_a_method_put_into_the_step_acts_from_the_next_one_on():
    tasks = sequence(2)
    start, own = learn_first(tasks, net=small, settings=SETTINGS), method("ebll", alpha=2.0)
    run, weights = begin(tasks, own, start=start), {}
    for step in learn(run, tasks, SETTINGS):
        if step.stage == "train" and step.terms:
            weights[step.index] = step.terms["code"].weight
            if step.index == 3:
                step.method = own.replace(alpha=0.0)
    assert [weights[i] for i in sorted(weights)] == [2.0] * 4 + [0.0] * (len(weights) - 4)
    same_until = begin(tasks, own, start=start)
    assert not same(complete(same_until, tasks, SETTINGS).net, run.net)


@pytest.mark.parametrize("fails", [False, True])
def test_blocks_in_blocks_each_put_back_what_they_have_found(fails):
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    with cpu_threads(2), seeded(3, "a"):
        first = torch.rand(4)
        with contextlib.suppress(ZeroDivisionError), seeded(4, "b"), cpu_threads(3):
            inner = torch.rand(4)
            assert torch.get_num_threads() == 3
            if fails:
                raise ZeroDivisionError
        assert torch.get_num_threads() == 2
        second = torch.rand(4)
    with cpu_threads(0):  # leaves the number as it is
        assert torch.get_num_threads() == threads
        torch.set_num_threads(3)
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.get_rng_state(), before)
    with seeded(3, "a"):
        assert torch.equal(torch.cat([first, second]), torch.rand(8))
    with seeded(4, "b"):
        assert torch.equal(inner, torch.rand(4))


@pytest.mark.parametrize(("net", "draws"), [(small, False), (noisy, True), ("mlp", False), ("cnn", False)])
def test_a_net_counts_as_drawing_where_its_training_draws(net, draws):
    made = build_network(net, (1, 8, 8))
    made.add_head(3)
    assert made.may_draw() == draws
    made.train()
    before = torch.get_rng_state()
    made(torch.ones(4, 1, 8, 8), 0)
    assert torch.equal(torch.get_rng_state(), before) != draws


def test_the_one_training_loop_can_be_read_at_a_glance():
    source = inspect.getsource(train)
    (function,) = ast.parse(source).body
    first, *_, last = function.body[1:]  # without the docstring
    assert last.end_lineno - first.lineno + 1 <= 40
