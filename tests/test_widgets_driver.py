"""The driver: a generator taken on by an event loop, in slices between which messages are handled."""

import asyncio

import pytest
import torch

from ebll.widgets.driver import Driver


class Told:
    """A run of `count` steps, and what is told of it."""

    def __init__(self, count=10):
        self.at, self.count, self.closed, self.slices, self.ended = 0, count, 0, [], []

    def steps(self):
        try:
            while self.at < self.count:
                self.at += 1
                yield
        finally:
            self.closed += 1

    def drive(self, loop, **more):
        return Driver(self.steps(), on_slice=self.slices.append, on_end=self.ended.append, loop=loop, threads=1, **more)


@pytest.fixture(autouse=True)
def a_step_a_slice(monkeypatch):
    monkeypatch.setattr("ebll.widgets.driver.SLICE", 0.0)


async def rounds(count=60):
    for _ in range(count):
        await asyncio.sleep(0)


def test_without_a_loop_it_is_taken_to_its_end_at_once_and_raises_what_it_raises():
    told = Told()
    driver = told.drive(None)
    assert (driver.state, told.at, told.closed, told.ended) == ("done", 10, 1, [driver])

    inside = []

    def fail():
        inside.append(torch.get_num_threads())
        yield
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        Driver(fail(), on_slice=print, on_end=told.ended.append, loop=None, threads=3)
    assert told.ended == [driver]
    assert inside == [3] != [torch.get_num_threads()]


def test_between_two_slices_the_loop_has_its_turn_and_at_the_end_it_says_so_once():
    async def test():
        told, other = Told(), []

        async def alongside():
            while not told.ended:
                other.append(told.at)
                await asyncio.sleep(0)

        driver = told.drive(asyncio.get_running_loop())
        await alongside()
        assert set(range(1, 10)) <= set(other), "after every step somebody else had a turn"
        assert (driver.state, driver.error, told.closed, told.ended) == ("done", None, 1, [driver])

    asyncio.run(test())


def test_it_can_be_held_stepped_and_let_go():
    async def test():
        told = Told()
        driver = told.drive(asyncio.get_running_loop())
        await rounds(12)
        driver.pause()
        await rounds()
        held = told.at
        await rounds()
        assert (told.at, told.slices[-1], driver.paused) == (held, True, True)
        driver.step(lambda: told.at >= held + 2)
        await rounds()
        assert (told.at, driver.paused) == (held + 2, True)
        driver.resume()
        await rounds(200)
        assert (driver.state, told.at) == ("done", 10)

    asyncio.run(test())


@pytest.mark.parametrize("when", ["before it began", "in the middle", "while it is held"])
def test_a_stop_closes_the_generator_and_is_told(when):
    async def test():
        told = Told()
        driver = told.drive(asyncio.get_running_loop())
        if when != "before it began":
            await rounds(20)
        if when == "while it is held":
            driver.pause()
            await rounds()
        seen = told.at
        driver.stop()
        await rounds(5)
        assert (driver.state, driver.error, told.ended, told.at) == ("stopped", None, [driver], seen)
        assert told.closed == (when != "before it began")

    asyncio.run(test())


def test_of_a_run_that_is_replaced_nothing_more_is_told():
    async def test():
        told = Told()
        driver = told.drive(asyncio.get_running_loop())
        await rounds(20)
        driver.stop(replaced=True)
        await rounds(5)
        assert (driver.state, told.ended, told.closed) == ("stopped", [], 1)

    asyncio.run(test())


def test_what_a_run_raises_is_kept():
    async def test():
        def fail():
            yield
            raise ZeroDivisionError

        ended = []
        driver = Driver(
            fail(), on_slice=lambda _: None, on_end=ended.append, loop=asyncio.get_running_loop(), threads=1
        )
        await rounds()
        assert (driver.state, type(driver.error), ended) == ("failed", ZeroDivisionError, [driver])

    asyncio.run(test())


def test_the_number_of_threads_is_the_runs_within_a_slice_only():
    async def test():
        inside, before = [], torch.get_num_threads()

        def steps():
            for _ in range(3):
                inside.append(torch.get_num_threads())
                yield

        ended = []
        Driver(steps(), on_slice=lambda _: None, on_end=ended.append, loop=asyncio.get_running_loop(), threads=2)
        while not ended:
            assert torch.get_num_threads() == before
            await asyncio.sleep(0)
        assert inside == [2, 2, 2]

    asyncio.run(test())


def test_a_pace_is_kept():
    async def test():
        told, slept = Told(4), []

        async def sleep(seconds, sleep=asyncio.sleep):
            slept.append(seconds)
            await sleep(0)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("ebll.widgets.driver.asyncio.sleep", sleep)
            told.drive(asyncio.get_running_loop(), pace=lambda: 0.25 if told.at > 2 else 0.0)
            while not told.ended:
                await sleep(0)
        assert sum(seconds > 0.2 for seconds in slept) == 2

    asyncio.run(test())
