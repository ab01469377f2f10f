"""Items mapped over processes and executors: equal results, lost workers, and an end that leaves nothing."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import pytest
import torch
from messages import raises

from ebll.errors import EbllError, InputError
from ebll.executors import completed

WAIT = 60  # seconds after which something hangs


def squared(item):
    return item * item


def threads(item):
    return torch.get_num_threads(), signal.getsignal(signal.SIGINT) == signal.SIG_IGN


def refused(item):
    if item == 2:
        raise InputError(f"{item} is refused")
    return item


def ends(item):
    if item == 1:
        time.sleep(1.0)
        os.kill(os.getpid(), signal.SIGKILL)
    return item


def sleeps(item):
    time.sleep(3600 * item)
    return os.getpid()


def test_every_item_comes_with_its_result_wherever_it_runs():
    expected = {item: item * item for item in range(20)}
    assert dict(completed(squared, range(20), workers=1)) == expected
    with ThreadPoolExecutor(3) as pool:
        assert dict(completed(squared, range(20), executor=pool)) == expected
    assert list(completed(squared, [])) == list(completed(squared, [], workers=1)) == []


@pytest.mark.slow
def test_processes_have_one_thread_and_ignore_ctrl_c():
    assert dict(completed(squared, range(20), workers=2)) == {i: i * i for i in range(20)}
    assert dict(completed(threads, range(2), workers=2)) == {0: (1, True), 1: (1, True)}


@pytest.mark.parametrize("options", [{"workers": 1}, {"executor": ThreadPoolExecutor(1)}], ids=["here", "threads"])
def test_what_the_function_raises_comes_out_as_it_is(options):
    with raises(InputError, "2 is refused"):
        list(completed(refused, range(9), **options))


class Losing(ThreadPoolExecutor):
    """An executor that loses its second item."""

    calls = 0

    def submit(self, *given):
        self.calls += 1
        if self.calls != 2:
            return super().submit(*given)
        lost = Future()
        lost.set_exception(BrokenProcessPool("a worker died"))
        return lost


def test_what_an_executor_loses_is_told_after_all_that_came_and_what_is_none_is_refused():
    seen = []
    with Losing(1) as pool, raises(EbllError, "BrokenProcessPool", "a worker died"):
        for item, _ in completed(squared, range(5), executor=pool):
            seen.append(item)
    assert sorted(seen) == [0, 2, 3, 4]
    with raises(EbllError, "shutdown"):
        list(completed(squared, [1], executor=pool))  # it is closed now
    with raises(InputError, "executor", "got object"):
        list(completed(squared, [1], executor=object()))


@pytest.mark.slow
def test_a_killed_process_is_told_in_words_and_what_was_done_is_kept():
    seen = []
    with raises(EbllError, "fewer workers than 2"):
        for item, _ in completed(ends, [0, 1, 2], workers=2):
            seen.append(item)
    assert set(seen) >= {0}


@pytest.mark.slow
def test_closing_ends_the_processes_at_once():
    results = completed(sleeps, [0, 1, 1, 1], workers=2)
    _, process = next(results)
    begun = time.monotonic()
    results.close()
    assert time.monotonic() - begun < WAIT
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)


DRIVER = """
import contextlib, sys, time; sys.path.insert(0, {here!r})
from ebll.executors import completed
from test_executors import sleeps
if __name__ == "__main__":
    with contextlib.closing(completed(sleeps, [0, 1, 1], workers=2)) as results:
        for item, process in results:
            print(process, flush=True)
            time.sleep(3600)  # what the caller does between two results may be interrupted too
"""


def running(process):
    """Whether it is there and has not ended; who reaps an orphan may take time."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_processes_end_with_their_parent(tmp_path, how):
    script = tmp_path / "driver.py"
    script.write_text(DRIVER.format(here=str(Path(__file__).parent)))
    parent = subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              start_new_session=True)  # fmt: skip
    try:
        worker = int(parent.stdout.readline())
        os.kill(parent.pid, how)
        _, told = parent.communicate(timeout=WAIT)
        assert how == signal.SIGKILL or told.count("Traceback") == 1, "the parent's own"
        end = time.monotonic() + WAIT
        while running(worker):
            assert time.monotonic() < end
            time.sleep(0.05)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(parent.pid, signal.SIGKILL)
