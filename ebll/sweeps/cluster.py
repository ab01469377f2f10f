"""What a sweep needs of a Dask cluster: that it is there, how many runs it does at a time, and a way to say stop.

Dask is imported only when a cluster is asked for; it comes with the extra `ebll[scale]`.
"""

from __future__ import annotations

import contextlib
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from ebll.errors import EbllError, InputError

__all__ = ["Flag", "connected", "is_dask", "told", "workers_of"]

REACH = 10.0
"""Seconds after which a scheduler that does not answer is taken for unreachable."""

ASK = 0.2  # seconds between two questions of a worker whether it should stop: each is a message


def is_dask(executor: Any) -> bool:
    """Whether this is a Dask `Client`; without importing Dask, since who has one has imported it."""
    module = sys.modules.get("distributed")
    return module is not None and isinstance(executor, module.Client)


@contextlib.contextmanager
def connected(client: Any) -> Iterator[Any]:
    """A Dask client, made from an address if it is one, and then closed at the end.

    client   a `distributed.Client`, or the address of a scheduler, such as "tcp://10.0.0.1:8786"
    raises   `InputError` where it is something else, `EbllError` in words where Dask or the cluster is not there
    """
    if not isinstance(client, str):
        if not is_dask(client):
            raise InputError(
                "client: a Dask Client, such as distributed.Client(cluster), or the address of a scheduler; got "
                f"{type(client).__name__}."
            )
        if client.asynchronous:
            raise InputError("client: a Client that waits for its answers; this one is asynchronous. Leave that out.")
        if client.status != "running":
            raise EbllError(f"The Dask client is {client.status}, not running: connect a new one to its cluster.")
        yield client
        return
    try:
        from distributed import Client
        from distributed.comm.addressing import get_address_host_port
    except ImportError:
        raise EbllError('Dask is not installed. It comes with: pip install "ebll[scale]"') from None
    try:
        # First a bare connection: a Client that finds nobody complains for long, and once more when Python ends.
        host, port = get_address_host_port(client, strict=True)
        socket.create_connection((host, port), timeout=REACH).close()
        made = _within(lambda: Client(client, timeout=REACH), 2 * REACH)
    except ValueError as error:
        raise InputError(f"client: an address such as tcp://10.0.0.1:8786; got {client!r} ({error}).") from None
    except OSError as error:  # TimeoutError is one
        raise EbllError(
            f"The Dask cluster at {client} cannot be reached: {error.strerror or str(error) or 'no answer'}. Is its "
            "scheduler running, and is this the address that it gave?"
        ) from error
    try:
        yield made
    finally:
        with contextlib.suppress(Exception):  # the cluster may be gone
            made.close(timeout=1)


def _within(make: Callable[[], Any], seconds: float) -> Any:
    """What `make` returns, if it does so in time: a Client waits for ever for one who listens and says nothing."""
    made: Future[Any] = Future()

    def go() -> None:
        try:
            made.set_result(make())
        except BaseException as error:
            made.set_exception(error)

    threading.Thread(target=go, daemon=True).start()
    return made.result(timeout=seconds)


def workers_of(executor: Any, otherwise: int) -> int:
    """How many runs an executor does at a time, as far as it says; a cluster without workers as yet counts as one.

    raises  `EbllError` where a Dask cluster does not answer
    """
    if not is_dask(executor):
        return getattr(executor, "_max_workers", None) or otherwise
    try:
        # Runs in threads of one process take turns, so that processes count.
        return max(1, len(executor.nthreads()))
    except Exception as error:
        raise EbllError(
            f"The Dask cluster does not answer: {str(error) or type(error).__name__}. Is its scheduler running?"
        ) from error


class Flag:
    """Tells runs elsewhere to stop, where that can be done: in threads of this process, and on a Dask cluster.

    token   what a worker is given, to ask `told` about; None where nobody can be told
    """

    def __init__(self, executor: Any) -> None:
        self.token: Any = None
        self._event: Any = None
        self._client = executor if is_dask(executor) else None
        if self._client is not None:
            from distributed import Event

            self._event = Event(client=executor)
            self.token = self._event.name
        elif isinstance(executor, ThreadPoolExecutor):
            self._event = self.token = threading.Event()

    def raise_it(self) -> bool:
        """Say stop; returns whether anybody hears it."""
        if self._event is None or (self._client is not None and self._client.status != "running"):
            return False
        with contextlib.suppress(Exception):  # the cluster may be going
            self._event.set()
        return True


def told(token: Any) -> Callable[[], bool]:
    """For a worker: a function that says whether the flag with this token is up."""
    if token is None:
        return lambda: False
    if isinstance(token, threading.Event):
        return token.is_set
    from distributed import Event

    event, asked, up = Event(token), 0.0, False

    def ask() -> bool:
        nonlocal asked, up
        if not up and time.monotonic() - asked > ASK:
            asked = time.monotonic()
            with contextlib.suppress(Exception):  # a message that was lost is no order to stop
                up = event.is_set()
        return up

    return ask
