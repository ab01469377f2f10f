"""One function over many items, on processes of this machine or on any executor of `concurrent.futures`.

    for item, result in completed(run, items, workers=4):
        ...

Results come as they are done. Local processes have one torch thread each, ignore Ctrl-C, and end with their parent.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, CancelledError, Executor, Future, ProcessPoolExecutor, wait
from typing import TypeVar

from ebll.errors import EbllError, InputError

__all__ = ["completed", "default_workers", "own_environment", "preload"]

Item = TypeVar("Item")
Result = TypeVar("Result")

KEPT = {"HOME", "LANG", "LC_ALL", "LC_CTYPE", "LD_LIBRARY_PATH", "PATH", "PYTHONHOME", "PYTHONPATH", "TMPDIR"}
"""The variables that `own_environment` leaves: where Python and its libraries are, folders, and the language."""
START = "forkserver" if sys.platform == "linux" else "spawn"
_LOST = ("BrokenProcessPool", "BrokenThreadPool", "BrokenExecutor", "CancelledError", "KilledWorker", "CommClosedError")
_IN_A_SCRIPT = (
    'In a script, start processes under `if __name__ == "__main__":`, since the processes read the script too.'
)


def default_workers() -> int:
    """As many processes as this process may use cores, at most eight."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(8, cores)


@contextlib.contextmanager
def own_environment(bare: bool = False) -> Iterator[None]:
    """Processes that are started here find no module in the current folder; if bare, they have no variables but KEPT.

    A server or a worker that runs already keeps what it has. `os.environ` is changed meanwhile.
    """
    before = dict(os.environ)
    for name in before.keys() - KEPT if bare else ():
        del os.environ[name]
    os.environ["PYTHONSAFEPATH"] = "1"  # Python's -c looks there first
    try:
        yield
    finally:
        del os.environ["PYTHONSAFEPATH"]
        os.environ.update(before)


def preload(module: str, bare: bool = False) -> None:
    """Begin to import a module in the process that local workers are forked from, while this one goes on.

    Importing torch takes most of a worker's start. The first call in a process counts; elsewhere than on Linux nothing
    happens, and every worker imports for itself. `bare` is that of `own_environment`.
    """
    if START == "forkserver":
        from multiprocessing import forkserver

        multiprocessing.get_context(START).set_forkserver_preload([module])
        with own_environment(bare), _ctrl_c_blocked():
            forkserver.ensure_running()


def completed(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    *,
    executor: Executor | None = None,
    workers: int | None = None,
) -> Generator[tuple[Item, Result], None, None]:
    """Yield (item, function(item)) as they are done, in no fixed order.

    Args:
        function: of a module, so that it can be sent to a process.
        executor: anything whose `submit` returns a `concurrent.futures.Future`, such as a Dask client's
            `get_executor()`; None for processes of this machine.
        workers: how many processes; as many as cores, at most 8, if None; 1 runs everything in this process.

    Closing the generator, or Ctrl-C inside it, cancels what has not begun and ends local processes at once. Where the
    caller's own work may be interrupted between two results, use `with contextlib.closing(completed(...)) as results`:
    an exception that is not handled keeps the generator alive, and Python waits for its processes before it exits.

    Raises:
        EbllError: a worker was lost, after everything else that was done has been yielded.
        InputError: `executor` has no `submit`.
        Exception: whatever `function` raised.
    """
    items, workers = list(items), workers or default_workers()
    if executor is None and workers == 1:
        for item in items:
            yield item, function(item)
        return
    if executor is not None and not callable(getattr(executor, "submit", None)):
        raise InputError(
            "executor: an executor of concurrent.futures, such as ProcessPoolExecutor() or the get_executor() of a "
            f"Dask client; got {type(executor).__name__}."
        )
    lost: BaseException | None = None
    came, local = False, executor is None
    with contextlib.ExitStack() as stack:
        if local and items:
            executor = stack.enter_context(_processes(min(workers, len(items))))
        futures: dict[Future, Item] = {}
        try:
            try:
                with _ctrl_c_blocked():  # processes are started here
                    for item in items:
                        futures[executor.submit(function, item)] = item
            except RuntimeError as error:  # the executor is broken or closed
                lost = error
            pending = set(futures)
            while pending:
                done, pending = wait(pending, return_when=FIRST_COMPLETED)
                for future in done:
                    error = CancelledError() if future.cancelled() else future.exception()
                    if error is None:
                        came = True
                        yield futures[future], future.result()
                    elif type(error).__name__ in _LOST:
                        lost = lost or error
                    else:
                        raise error
        finally:
            for future in futures:
                future.cancel()
    if lost is not None:
        raise EbllError(_words_for(lost, workers if local else None, came)) from lost


@contextlib.contextmanager
def _processes(workers: int) -> Iterator[Executor]:
    """A pool whose processes end at once when the block ends, whatever they do."""
    context = multiprocessing.get_context(START)
    if START == "forkserver":  # its imports take seconds: wait for them here, where Ctrl-C is heard
        first = context.Process()
        first.start()
        first.join()
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_start_worker)
    try:
        yield pool
    finally:
        for process in list((pool._processes or {}).values()):
            process.terminate()
        pool.shutdown(wait=True, cancel_futures=True)


def _start_worker() -> None:
    """Ctrl-C is the parent's to handle; one thread a worker, so that two workers use two cores and numbers repeat."""
    import torch  # here, so that workers can be started before their parent has imported it

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A parent that was killed cannot end its workers, which would wait for work for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


@contextlib.contextmanager
def _ctrl_c_blocked() -> Iterator[None]:
    """Processes that are started here never see Ctrl-C, not even while they import torch; for us it waits a moment."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    from multiprocessing import resource_tracker

    resource_tracker.ensure_running()  # first, as it unblocks Ctrl-C
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _words_for(error: BaseException, workers: int | None, came: bool) -> str:
    if workers is None:
        what = " ".join(f"{type(error).__name__}: {error}".split())
        return (
            f"The executor has lost a worker or takes no more work ({what}). What was finished is kept where it was "
            "saved; the same call goes on from there."
        )
    hint = f" {_IN_A_SCRIPT}" if not came and hasattr(sys.modules["__main__"], "__file__") else ""
    return (
        "A worker process was ended from outside, most often for want of memory. What was finished is kept; try again "
        f"with fewer workers than {workers}.{hint}"
    )
