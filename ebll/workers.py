"""Processes that work beside this one: one torch thread each, deaf to Ctrl-C, and gone when their parent is."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import queue
import signal
import sys
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

from ebll.errors import EbllError

__all__ = ["FORKED", "default_workers", "preload", "send", "streamed"]

Portion = TypeVar("Portion")
Result = TypeVar("Result")

LOOK = 0.05  # seconds for which results are waited for before the user may look up
_IN_A_SCRIPT = (
    'In a script, what starts processes must stand under `if __name__ == "__main__":`, since they read the script too.'
)
_END = "a portion has been worked off"
FORKED = "forkserver" if sys.platform == "linux" else "spawn"
"""Start method whose workers are copies of one process that has imported what they need: see `preload`."""


def default_workers() -> int:
    """As many processes as this process may use cores, at most eight."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(8, cores)


def preload(module: str) -> None:
    """Begin to import a module in the process that `FORKED` workers will be copies of, while this one goes on.

    Importing torch takes most of a worker's start. The first call in a process counts; elsewhere than on Linux nothing
    happens, and every worker imports for itself.
    """
    if FORKED == "forkserver":
        from multiprocessing import forkserver, resource_tracker

        multiprocessing.get_context(FORKED).set_forkserver_preload([module])
        resource_tracker.ensure_running()  # first, as it lets Ctrl-C through again
        with _ctrl_c_kept_from_workers():
            forkserver.ensure_running()


class _Pool(ProcessPoolExecutor):
    """Starts its workers so that they never see Ctrl-C."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """As in `concurrent.futures`."""
        with _ctrl_c_kept_from_workers():
            return super().submit(fn, *args, **kwargs)


def streamed(
    work: Callable[[Portion], Iterable[Result]], portions: Sequence[Portion], workers: int, start: str = "spawn"
) -> Generator[Result | None, None, None]:
    """What `work` yields for each portion, as it comes from a pool of processes, in no fixed order.

    work      a function of a module, which can be sent to a process
    start     how processes are started: "spawn", or `FORKED`, whose environment variables are those of the first call
    returns   a generator that also yields None now and then while nothing comes, so that its user can look up; when it
              is closed, the processes end at once, whatever they are at
    raises    what `work` raised, and `EbllError` in words where a worker was ended from outside, after what had come
    """
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        raise EbllError(_IN_A_SCRIPT)  # a worker is reading the script that has started it, and would start its own
    context = multiprocessing.get_context(start)
    if start == "forkserver":  # wait for its imports with an empty process: a stop meanwhile loses none that has work
        first = context.Process()
        first.start()
        first.join()
    box = context.Queue()
    pool, came = _Pool(workers, mp_context=context, initializer=_start_worker, initargs=(box,)), False
    try:
        jobs = [pool.submit(_into_box, work, portion) for portion in portions]
        left = len(jobs)
        while left:
            for one in _in_box(box):
                came = True
                if one == _END:
                    left -= 1
                else:
                    yield one
            yield None
            failed = next((job for job in jobs if job.done() and job.exception() is not None), None)
            if failed is not None:
                yield from (one for one in _in_box(box) if one != _END)
                failed.result()
    except BrokenProcessPool as error:
        begun = f" {_IN_A_SCRIPT}" if not came and hasattr(sys.modules["__main__"], "__file__") else ""
        raise EbllError(
            "A worker process was ended from outside, most often for want of memory. What was finished is kept; try "
            f"again with fewer workers than {workers}.{begun}"
        ) from error
    finally:
        for process in list((pool._processes or {}).values()):
            process.terminate()
        pool.shutdown(wait=True, cancel_futures=True)


def _in_box(box: Any) -> Iterator[Any]:
    with contextlib.suppress(queue.Empty):
        while True:
            yield box.get(timeout=LOOK)


_box: Any = None  # in a worker: what its results go into


def send(result: Any) -> None:
    """In a worker: deliver a result from inside `work`, without waiting for what it yields next."""
    _box.put(result)


def _into_box(work: Callable[[Any], Iterable[Any]], portion: Any) -> None:
    for result in work(portion):
        _box.put(result)
    _box.put(_END)


def _start_worker(box: Any) -> None:
    """Ctrl-C is the parent's to handle; one thread a worker, so that two workers use two cores and numbers repeat."""
    import torch  # here, so that workers can be started before their parent has imported it

    global _box
    _box = box
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A parent that was killed cannot end its workers; they would wait for work for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


@contextlib.contextmanager
def _ctrl_c_kept_from_workers() -> Iterator[None]:
    """Workers started here never see Ctrl-C, not even while they still import torch; for us it waits a moment."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
