"""The driver: a generator taken on by an event loop, in slices between which messages are handled."""

import asyncio

import pytest
import torch

from ebll.widgets.driver import Driver


class Counted:
    """A run of `count` steps, of which every second one holds, and what its driver calls."""

    def __init__(self, count=10):
        self.at, self.count, self.closed, self.slices, self.ended, self.threads = 0, count, 0, [], [], []

    def steps(self):
        try:
            while self.at < self.count:
                self.at += 1
                self.threads.append(torch.get_num_threads())
                yield self.at % 2 == 0
        finally:
            self.closed += 1

    def drive(self, loop, steps=None, **more):
        self.driver = Driver(
            steps or self.steps(), on_slice=lambda: self.slices.append(self.driver.held), on_end=self.ended.append,
            loop=loop, **{"threads": 1, **more},
        )  # fmt: skip
        return self.driver


def fail():
    yield
    raise ZeroDivisionError


@pytest.fixture(autouse=True)
def a_step_a_slice(monkeypatch):
    monkeypatch.setattr("ebll.widgets.driver.SLICE", 0.0)


def in_loop(test):
    async def whole():
        await test(asyncio.get_running_loop())

    return lambda: asyncio.run(whole())


async def rounds(count=60):
    for _ in range(count):
        await asyncio.sleep(0)


def test_without_a_loop_it_is_taken_to_its_end_at_once_and_raises_what_it_raises():
    run, before = Counted(), torch.get_num_threads()
    driver = run.drive(None, threads=3)
    assert (driver.state, run.at, run.closed, run.ended) == ("done", 10, 1, [driver])
    assert (set(run.threads), torch.get_num_threads()) == ({3}, before)
    with pytest.raises(ZeroDivisionError):
        run.drive(None, fail())
    assert run.ended == [driver]


@in_loop
async def test_after_every_step_the_loop_has_its_turn_with_its_own_threads_and_the_end_comes_once(loop):
    run, other, before = Counted(), [], torch.get_num_threads()
    driver = run.drive(loop, threads=2)
    while not run.ended:
        other.append(run.at)
        assert torch.get_num_threads() == before
        await asyncio.sleep(0)
    assert set(range(1, 10)) <= set(other)
    assert (driver.state, driver.error, run.closed, run.ended) == ("done", None, 1, [driver])
    assert set(run.threads) == {2}


@in_loop
async def test_it_can_be_held_stepped_and_let_go(loop):
    run = Counted(20)
    driver = run.drive(loop, held=True)
    await rounds()
    assert (run.at, driver.held, run.slices[-1]) == (2, True, True)
    for _ in range(3):  # at once: three steps that hold
        driver.step()
    await rounds(100)
    assert (run.at, driver.paused, driver.held) == (8, True, True)
    driver.resume()
    await rounds(12)
    driver.pause()
    await rounds()
    seen = run.at
    await rounds()
    assert (run.at, driver.held) == (seen, True)
    driver.resume()
    await rounds(300)
    assert (driver.state, run.at) == ("done", 20)


@pytest.mark.parametrize("when", ["before it began", "in the middle", "while it is held", "replaced"])
def test_a_stop_closes_the_generator_and_its_end_is_reported_unless_it_is_replaced(when):
    async def test(loop):
        run = Counted()
        driver = run.drive(loop)
        if when != "before it began":
            await rounds(20)
        if when == "while it is held":
            driver.pause()
            await rounds()
        seen = run.at
        driver.stop(replaced=when == "replaced")
        await rounds(5)
        assert (driver.state, driver.error, run.at) == ("stopped", None, seen)
        assert run.ended == ([] if when == "replaced" else [driver])
        assert run.closed == (when != "before it began")

    in_loop(test)()


@in_loop
async def test_what_a_run_raises_is_kept(loop):
    run = Counted()
    driver = run.drive(loop, fail())
    await rounds()
    assert (driver.state, type(driver.error), run.ended) == ("failed", ZeroDivisionError, [driver])


@in_loop
async def test_a_pace_is_kept(loop):
    run, slept = Counted(4), []

    async def sleep(seconds, sleep=asyncio.sleep):
        slept.append(seconds)
        await sleep(0)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ebll.widgets.driver.asyncio.sleep", sleep)
        run.drive(loop, pace=lambda: 0.25 if run.at > 2 else 0.0)
        while not run.ended:
            await sleep(0)
    assert sum(seconds > 0.2 for seconds in slept) == 2
