"""Threads that train: every kind of work can be stopped, and random numbers and thread counts are each one's own."""

import threading

import pandas as pd
import pytest
import torch
from threads import WAIT, in_thread
from tiny import AUTOENCODER, SETTINGS, method, noisy, same, sequence, small, state

from ebll import Recorder, build_network, run_sequence
from ebll.autoencoder import fit_autoencoder
from ebll.errors import RunStopped
from ebll.fisher import fisher_diagonal, fisher_diagonal_loop
from ebll.methods.base import record
from ebll.protocol import learn_first
from ebll.record import measure_accuracy
from ebll.seeds import cpu_threads, seeded
from ebll.turns import PROCESS, Control, controlled


def _jobs():
    tasks = sequence(2)
    net = learn_first(tasks, net=small, settings=SETTINGS).net
    inputs, labels = tasks[0].train.inputs, tasks[0].train.labels
    features = net.features(inputs).detach()
    shared = [*net.features.parameters(), *net.operator.parameters()]
    fisher = (net, lambda x: net(x, 0), shared, inputs, labels)
    return {
        "training": lambda: run_sequence(tasks, "finetune", net=small, settings=SETTINGS),
        "autoencoder": lambda: fit_autoencoder(features, labels, lambda f: net.heads[0](net.operator(f)), AUTOENCODER),
        "fisher": lambda: fisher_diagonal(*fisher, batch_size=8),
        "fisher, one by one": lambda: fisher_diagonal_loop(*fisher),
        "record": lambda: record(net, inputs, batch_size=8, features=lambda f: f),
        "accuracy": lambda: measure_accuracy(net, 0, tasks[0].train, batch_size=8),
    }


@pytest.mark.parametrize("name", ["training", "autoencoder", "fisher", "fisher, one by one", "record", "accuracy"])
def test_a_stop_is_honoured_in_the_middle_of_every_kind_of_work_and_leaves_the_process_as_it_was(name):
    job, whole, before = _jobs()[name], Control(), (torch.get_rng_state(), torch.get_num_threads())
    with controlled(whole):
        job()
    assert whole.turns >= 5
    middle = whole.turns // 2
    control = Control(on_turn=lambda: control.turns == middle and control.stop())
    with pytest.raises(RunStopped), controlled(control):
        job()
    assert control.turns == middle
    assert torch.equal(torch.get_rng_state(), before[0])
    assert torch.get_num_threads() == before[1]
    assert not PROCESS.mine


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_a_stopped_run_leaves_the_rows_that_it_has_recorded(share):
    tasks, whole, full = sequence(3), Control(), Recorder(log_every=1)
    start = learn_first(tasks, net=noisy, settings=SETTINGS)
    kept, options = state(start.net), {"settings": SETTINGS, "start": start, "look_back_last": False}
    with controlled(whole):
        run_sequence(tasks, method("ebll"), recorder=full, **options)
    control, part = Control(), Recorder(log_every=1)
    control.on_turn = lambda: control.turns == int(share * whole.turns) and control.stop()
    with pytest.raises(RunStopped), controlled(control):
        run_sequence(tasks, method("ebll"), recorder=part, **options)
    assert 0 < len(part.curve_rows) < len(full.curve_rows)
    pd.testing.assert_frame_equal(part.curves(), full.curves()[: len(part.curve_rows)], check_exact=True)
    assert part.accuracy_rows == full.accuracy_rows[: len(part.accuracy_rows)]
    assert same(start.net, kept)


# Random numbers and processor threads.


def test_a_block_goes_on_with_its_own_numbers_and_threads_after_the_process_was_lent():
    def draw(lend):
        drawn = []
        with cpu_threads(2), seeded(3, "a"):
            drawn.append(torch.rand(4))
            lend()
            with seeded(4, "b"), cpu_threads(3):
                drawn.append(torch.rand(4))
                lend()
                drawn.append(torch.rand(4))
                assert torch.get_num_threads() == 3
            lend()
            drawn.append(torch.rand(4))
            assert torch.get_num_threads() == 2
        return torch.cat(drawn)

    def others():
        mine.append(torch.rand(2))
        assert torch.get_num_threads() == 1
        with seeded(9, "other"), cpu_threads(4):
            torch.rand(5)

    alone, mine = draw(lambda: None), []
    torch.manual_seed(7)
    assert torch.equal(draw(lambda: PROCESS.lend(others)), alone)
    mine.append(torch.rand(2))
    torch.manual_seed(7)
    assert torch.equal(torch.cat(mine), torch.cat([torch.rand(2) for _ in range(4)]))
    assert torch.get_num_threads() == 1


@pytest.mark.parametrize("net", [small, noisy])
def test_runs_held_at_any_turn_disturb_nobody_and_are_disturbed_by_nobody(net):
    """One run is led turn by turn; in between another one learns, and this thread draws numbers of its own."""
    tasks, threads, arrived = sequence(2), [], threading.Semaphore(0)
    start = learn_first(tasks, net=net, settings=SETTINGS)

    def learn(seed, count):
        options = {"settings": SETTINGS.replace(threads=count), "start": start, "seed": seed}
        return run_sequence(tasks, method("ebll"), **options).net

    alone = [learn(0, 2), learn(1, 1)]
    torch.manual_seed(7)
    wanted = torch.rand(500)
    torch.manual_seed(7)
    control, drawn = Control(on_turn=lambda: threads.append(torch.get_num_threads()) or arrived.release()), []
    control.pause()
    outcome = in_thread(lambda: learn(0, 2), control)
    outcome.add_done_callback(lambda _: arrived.release())
    while arrived.acquire(timeout=WAIT) and not outcome.done():
        with PROCESS:  # once it is lent, the run is held
            pass
        drawn.append(torch.rand(()))
        assert torch.get_num_threads() == 1
        if len(drawn) % 7 == 3:
            assert same(learn(1, 1), alone[1])
        control.step()
    assert same(outcome.result(WAIT), alone[0])
    assert len(drawn) == control.turns > 20
    assert set(threads) == {2}
    drawn.append(torch.rand(500 - len(drawn)))
    assert torch.equal(torch.cat([part.reshape(-1) for part in drawn]), wanted)


@pytest.mark.parametrize(("net", "draws"), [(small, False), (noisy, True), ("mlp", False), ("cnn", False)])
def test_a_net_counts_as_drawing_where_its_training_draws(net, draws):
    made = build_network(net, (1, 8, 8))
    made.add_head(3)
    assert made.may_draw() == draws
    made.train()
    before = torch.get_rng_state()
    made(torch.ones(4, 1, 8, 8), 0)
    assert torch.equal(torch.get_rng_state(), before) != draws
