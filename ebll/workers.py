"""Processes that work beside this one: one torch thread each, deaf to Ctrl-C, and gone when their parent is.

This room knows processes; nothing of what they compute.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any

import torch

from ebll.errors import EbllError

__all__ = ["default_workers", "worker_pool"]


def default_workers() -> int:
    """As many processes as this process may use cores, at most eight."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(8, cores)


class _Pool(ProcessPoolExecutor):
    """Starts its workers so that they never see Ctrl-C."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """As in `concurrent.futures`."""
        with _ctrl_c_kept_from_workers():
            return super().submit(fn, *args, **kwargs)


@contextlib.contextmanager
def worker_pool(workers: int, first: Callable[..., None] | None = None, *given: Any) -> Iterator[ProcessPoolExecutor]:
    """A pool of processes that ends at once when the block does, whatever its workers are at.

    first, given   a function that runs first in each worker, and what it is given
    raises         `EbllError` in words where a worker was ended from outside
    """
    context = multiprocessing.get_context("spawn")
    pool = _Pool(workers, mp_context=context, initializer=_start_worker, initargs=(first, given))
    try:
        yield pool
    except BrokenProcessPool as error:
        raise EbllError(
            "A worker process was ended from outside, most often for want of memory. What was finished is kept; try "
            f"again with fewer workers than {workers}."
        ) from error
    finally:
        for process in list((pool._processes or {}).values()):
            process.terminate()
        pool.shutdown(wait=True, cancel_futures=True)


def _start_worker(first: Callable[..., None] | None, given: tuple[Any, ...]) -> None:
    """Ctrl-C is the parent's to handle; one thread a worker, so that two workers use two cores and numbers repeat."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if first is not None:
        first(*given)


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
