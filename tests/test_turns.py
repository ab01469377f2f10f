"""Runs take turns: a fair lock that can be lent, and reins that are obeyed."""

import threading

import pytest
import torch
from threads import WAIT, in_thread, until

from ebll.errors import RunStopped
from ebll.seeds import cpu_threads, seeded
from ebll.turns import PROCESS, Control, Turnstile, controlled, turn


def turns(count, work):
    for i in range(count):
        turn()
        work.append(i)


# The lock.


def test_the_lock_may_be_taken_again_by_its_thread_and_is_free_after_as_many_exits():
    gate, order = Turnstile(), []

    def other():
        with gate:
            order.append("other")

    with gate:
        with gate:
            outcome = in_thread(other)
            until(lambda: gate._waiting)
        assert gate.mine
        order.append("mine")
    outcome.result(WAIT)
    assert order == ["mine", "other"]
    assert not gate.mine


@pytest.mark.parametrize("lent", [False, True])
def test_the_lock_serves_in_the_order_of_arrival_and_a_lender_comes_last(lent):
    gate, order, outcomes = Turnstile(), [], []

    def enter(i):
        with gate:
            order.append(i)

    with gate:
        for i in range(6):
            outcomes.append(in_thread(lambda i=i: enter(i)))
            until(lambda i=i: len(gate._waiting) == i + 1)
        if lent:
            gate.lend()
            assert order == [0, 1, 2, 3, 4, 5]
        order.append("mine")
    for outcome in outcomes:
        outcome.result(WAIT)
    assert order == ([*range(6), "mine"] if lent else ["mine", *range(6)])


def test_a_lent_lock_comes_back_as_often_as_it_was_held_and_what_was_set_aside_with_it():
    gate, order = Turnstile(), []

    def aside():
        order.append("aside")
        return lambda: order.append("back")

    def other():
        with gate:
            order.append("other")

    def idle():
        assert not gate.mine
        in_thread(other).result(WAIT)
        order.append("idle")

    gate.set_aside = aside
    with gate:
        with gate:
            gate.lend(idle)
            assert order == ["aside", "other", "idle", "back"]
        assert gate.mine
    assert not gate.mine
    gate.lend(lambda: order.append("not mine"))  # nothing to lend
    assert order[4:] == ["not mine"]


def test_ctrl_c_while_the_process_is_lent_leaves_the_lock_and_the_random_numbers_in_order(monkeypatch):
    before, real, left = torch.get_rng_state(), PROCESS._condition.wait_for, [1, 2]

    def interrupted(*arguments):
        if left:
            left.pop()
            raise KeyboardInterrupt
        return real(*arguments)

    def lending():
        with seeded(0, "x"), cpu_threads(2):
            monkeypatch.setattr(PROCESS._condition, "wait_for", interrupted)
            PROCESS.lend()

    with pytest.raises(KeyboardInterrupt):
        lending()
    assert not left
    assert not PROCESS.mine
    assert torch.equal(torch.get_rng_state(), before)
    assert in_thread(lambda: PROCESS.__enter__().__exit__()).result(WAIT) is None


def test_a_run_that_knows_of_no_control_lets_another_one_in():
    entered = threading.Event()

    def other():
        with PROCESS:
            entered.set()

    with PROCESS:
        outcome = in_thread(other)
        until(lambda: turn() or entered.is_set())
    outcome.result(WAIT)


# The reins.


def test_a_step_is_one_turn_however_often_it_is_asked_for():
    control, work = Control(), []
    control.pause()
    outcome = in_thread(lambda: turns(1000, work), control)
    for i in range(5):
        control.step()
        until(lambda i=i: len(work) == i + 1)
    control.stop()
    with pytest.raises(RunStopped):
        outcome.result(WAIT)
    assert len(work) == control.turns == 5


def test_a_step_goes_to_the_first_turn_at_which_its_condition_holds_and_a_resumed_run_to_its_end():
    control, work, held = Control(), [], threading.Event()
    control.step(lambda: len(work) == 7 and (held.set() or True))
    outcome = in_thread(lambda: turns(40, work), control)
    assert held.wait(WAIT)
    assert control.paused
    with pytest.raises(TimeoutError):
        outcome.result(0.05)
    assert len(work) == 7
    control.resume()
    outcome.result(WAIT)
    assert len(work) == 40
    assert not control.paused


def test_a_step_asked_for_while_the_run_is_being_held_is_not_lost():
    control, work, asked = Control(), [], []

    def condition():
        if not asked:
            asked.append(control.step())
        return True

    control.step(condition)
    outcome = in_thread(lambda: turns(1000, work), control)
    until(lambda: len(work) == 1)
    control.stop()
    with pytest.raises(RunStopped):
        outcome.result(WAIT)
    assert len(work) == 1


@pytest.mark.parametrize("how", ["paused", "paced", "before it begins"])
def test_a_stop_ends_a_run_at_once_whatever_it_waits_for(how):
    control, work = Control(pace=3600 if how == "paced" else 0), []
    if how == "paused":
        control.step(lambda: len(work) == 1)
    if how == "before it begins":
        control.stop()
    outcome = in_thread(lambda: turns(1000, work), control)
    if how != "before it begins":
        until(lambda: len(work) == 1)
        control.stop()
    with pytest.raises(RunStopped):
        outcome.result(WAIT)
    assert control.stopped
    assert len(work) == (0 if how == "before it begins" else 1)


def test_a_run_that_is_paused_while_it_keeps_its_pace_is_held_before_its_next_step():
    control, work = Control(pace=3600), []
    outcome = in_thread(lambda: turns(1000, work), control)
    until(lambda: len(work) == 1)
    control.pause()
    with pytest.raises(TimeoutError):
        outcome.result(0.05)
    assert len(work) == 1
    control.step()
    until(lambda: len(work) == 2)
    control.stop()
    with pytest.raises(RunStopped):
        outcome.result(WAIT)
    assert len(work) == 2


def test_only_the_runs_of_the_thread_and_block_obey():
    stopped, inner = Control(), Control()
    stopped.stop()
    turn()
    with controlled(stopped):
        in_thread(lambda: turns(3, [])).result(WAIT)
        with controlled(inner):
            turn()
        with pytest.raises(RunStopped):
            turn()
    turn()
    assert (inner.turns, stopped.turns) == (1, 0)


def test_what_is_done_on_a_turn_comes_before_it():
    seen = []
    control = Control(on_turn=lambda: seen.append(control.turns))
    with controlled(control):
        turns(4, [])
    assert seen == [0, 1, 2, 3]
