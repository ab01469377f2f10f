"""Where a widget is shown: in a notebook with somebody in front of it, or where only a picture will be seen."""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
from typing import Any

from IPython import get_ipython

from ebll.errors import InputError

__all__ = ["cell_key", "event_loop", "is_static"]

SWITCH = "EBLL_STATIC"
"""Environment variable: 1 for pictures only, 0 for widgets always; without it the front end decides."""


def is_static() -> bool:
    """Whether to leave a picture in place of a widget.

    True without a kernel, and when a notebook is executed by a program (nbconvert, nbclient, papermill): those number
    their messages in a way that front ends for people do not.
    """
    told = os.environ.get(SWITCH, "").strip().lower()
    if told:
        if told not in {"0", "1", "true", "false", "yes", "no"}:
            raise InputError(f"{SWITCH} is 1 (pictures only) or 0 (widgets always); got {told!r}.")
        return told in {"1", "true", "yes"}
    header = _request().get("header", {})
    program = re.fullmatch(r".+_\d+_\d+", str(header.get("msg_id", "")))
    return not header or bool(program and not _cell_id())


def event_loop() -> asyncio.AbstractEventLoop | None:
    """The kernel's event loop, on which runs go on between cells; None outside a kernel."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def cell_key() -> str | None:
    """What tells the cell that is being executed from others, the same when it is executed again; None without one."""
    code = _request().get("content", {}).get("code")
    return _cell_id() or (hashlib.sha256(code.encode()).hexdigest() if code else None)


def _request() -> dict[str, Any]:
    """The message that asked for the cell's execution; empty outside a kernel."""
    kernel = getattr(get_ipython(), "kernel", None)
    try:
        return dict(kernel.get_parent("shell")) if kernel is not None else {}
    except (AttributeError, LookupError, TypeError):
        return {}


def _cell_id() -> str:
    metadata = _request().get("metadata", {})
    return str(metadata.get("cellId", "")) if isinstance(metadata, dict) else ""
