"""Where a widget is shown: in a front end or as a picture, by which cell, on which event loop."""

from __future__ import annotations

import asyncio
import os
import re
from typing import Any

from IPython import get_ipython

from ebll.errors import InputError

__all__ = ["cell_key", "event_loop", "is_static"]


def is_static() -> bool:
    """Whether to leave a picture in place of a widget; the environment variable EBLL_STATIC, 1 or 0, decides first.

    True without a kernel, and when a notebook is executed by a program (nbconvert, nbclient, papermill): those number
    their messages in a way that front ends for people do not.
    """
    switch = os.environ.get("EBLL_STATIC", "").strip()
    if switch not in {"", "0", "1"}:
        raise InputError(f"EBLL_STATIC is 1 (pictures only) or 0 (widgets always); got {switch!r}.")
    request = _request()
    program = re.fullmatch(r".+_\d+_\d+", str(request.get("header", {}).get("msg_id", "")))
    return switch == "1" if switch else not request or bool(program and not _cell_id(request))


def event_loop() -> asyncio.AbstractEventLoop | None:
    """The kernel's event loop, on which runs go on between cells; None outside a kernel."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def cell_key() -> str:
    """What tells the cell that is being executed from others, the same when it is executed again; "" without one."""
    request = _request()
    return _cell_id(request) or request.get("content", {}).get("code", "")


def _request() -> dict[str, Any]:
    """The message that asked for the cell's execution; empty outside a kernel."""
    kernel = getattr(get_ipython(), "kernel", None)
    try:
        return dict(kernel.get_parent("shell")) if kernel is not None else {}
    except (AttributeError, LookupError, TypeError):
        return {}


def _cell_id(request: dict[str, Any]) -> str:
    return str((request.get("metadata") or {}).get("cellId", ""))
