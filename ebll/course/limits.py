"""Limits of the process of a submitted answer: network, files, programs, processes, memory.

They are against accidents and simple hostility and are no sandbox: what a process may read is not limited, and where
the kernel enforces nothing code that is not Python passes the audit hook. Linux enforces them, for root too: on x86-64
and ARM no processes, sockets, signals, shared memory and changes of metadata; from version 5.13 on, no programs and no
writing outside. `enforced` tells which.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import math
import os
import struct
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

__all__ = ["enforced", "restrict"]

MEMORY, FILE = 2 << 30, 16 << 20
"""Bytes that an answer may take beside what is loaded before it, and that each file of it may have."""
DENIED = (
    "socket.bind", "socket.connect", "socket.getaddrinfo", "socket.gethostby", "socket.send", "subprocess.Popen",
    "os.chflags", "os.chmod", "os.chown", "os.exec", "os.fork", "os.kill", "os.posix_spawn", "os.removexattr",
    "os.setxattr", "os.spawn", "os.startfile", "os.system", "os.utime", "pty.spawn",
)  # fmt: skip
CHANGES = {
    "os.link": [(0, 2), (1, 3)], "os.mkdir": [(0, 2)], "os.remove": [(0, 1)], "os.rename": [(0, 2), (1, 3)],
    "os.rmdir": [(0, 1)], "os.symlink": [(1, 2)], "os.truncate": [(0, None)],
}  # fmt: skip
"""Event -> where it has a path, and the descriptor of the folder that this is relative to."""
CALLS = {
    "x86_64": (0xC000003E, 56, 302, (
        57, 58, 435, 41, 53, 62, 129, 200, 234, 297, 424, 425, 29, 64, 68, 240, 90, 91, 92, 93, 94, 132, 235, 260, 261,
        268, 280, 452, 188, 189, 190, 197, 198, 199, 463, 466, 469,
    )),
    "aarch64": (0xC00000B7, 220, 261, (
        435, 198, 199, 129, 130, 131, 138, 240, 424, 425, 180, 186, 190, 194, 52, 53, 54, 55, 88, 452, 5, 6, 7, 14, 15,
        16, 463, 466, 469,
    )),
}  # fmt: skip
"""Machine -> its number in seccomp, those of clone and prlimit64, and those of denied calls: fork, vfork, clone3
(threads then begin by clone); socket, socketpair; kill, and the other ways to signal; io_uring_setup, whose operations
no filter sees; System V's memory, semaphores and queues, and POSIX's queues, which outlive a process; and what sets
modes, owners, times and extended attributes, which Landlock allows everywhere (chattr's flags, by ioctl, stay)."""
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


def enforced() -> dict[str, int]:
    """What this kernel enforces the limits with: {"seccomp": 1, "Landlock": its version}; 0 for what it lacks."""
    if sys.platform != "linux":
        return {"seccomp": 0, "Landlock": 0}
    libc = ctypes.CDLL(None)
    filters = os.uname().machine in CALLS and libc.prctl(21, 0, 0, 0, 0) >= 0
    return {"seccomp": int(filters), "Landlock": max(0, libc.syscall(444, None, 0, 1))}


def restrict(folder: str, kept: int, seconds: float) -> None:
    """Close all files but `kept`, silence the output, empty `os.environ`, and allow writing in `folder` alone.

    It cannot be undone; the process becomes the leader of a session. One that leaves it still ends after so many
    seconds of processor time, rounded up.
    """
    os.setsid()
    os.closerange(3, kept)
    os.closerange(kept + 1, 4096)
    null = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):
        os.dup2(null, stream)
    os.environ.clear()
    threads = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL")}
    os.environ.update(PATH=os.defpath, HOME=folder, TMPDIR=folder, LC_ALL="C.UTF-8", MPLBACKEND="Agg", **threads)
    os.chdir(folder)
    tempfile.tempdir = folder
    _limit(math.ceil(time.process_time() + seconds) + 1)
    if sys.platform == "linux":
        _ask_kernel(folder)
    _hook(os.path.realpath(folder))


def _limit(seconds: int) -> None:
    import resource

    limits = {resource.RLIMIT_CPU: seconds, resource.RLIMIT_FSIZE: FILE, resource.RLIMIT_CORE: 0}
    with contextlib.suppress(OSError):  # elsewhere than on Linux, where memory cannot be limited so
        pages = int(Path("/proc/self/statm").read_text("ascii").split()[0])
        limits[resource.RLIMIT_AS] = pages * os.sysconf("SC_PAGE_SIZE") + MEMORY
    for kind, limit in limits.items():
        with contextlib.suppress(ValueError, OSError):  # it is lower already
            resource.setrlimit(kind, (limit, limit))


def _ask_kernel(folder: str) -> None:
    """By the kernel, as far as it can: no processes and the like (seccomp), no programs, no writing outside."""
    libc, kernel = ctypes.CDLL(None), enforced()
    libc.unshare(0x10000000)  # a user namespace: no privileges beyond it, not even root's
    libc.prctl(38, 1, 0, 0, 0)  # no program gives new ones
    if kernel["seccomp"]:
        _filter(libc, *CALLS[os.uname().machine])
    version = kernel["Landlock"]
    if not version:
        return
    # All rights of this version but reading; from 6 on no signals either, which fcntl sends too.
    rights = (1 << 12 + min(version, 3)) - 1 & ~(1 << 2 | 1 << 3)
    attributes = struct.pack("QQQ", rights, 0, 2)[: 8 if version < 6 else 24]
    ruleset = libc.syscall(444, attributes, len(attributes), 0)
    for path, allowed in ((folder, rights), (os.devnull, 1 << 1)):
        place = os.open(path, os.O_PATH)
        libc.syscall(445, ruleset, 1, struct.pack("=Qi", allowed, place), 0)
        os.close(place)
    libc.syscall(446, ruleset, 0)
    os.close(ruleset)


def _filter(libc: ctypes.CDLL, machine: int, clone: int, prlimit: int, calls: tuple[int, ...]) -> None:
    """Answer ENOSYS to these calls, to `clone` unless it begins a thread, and to `prlimit` of other processes."""
    load, equal, least, bits = 0x20, 0x15, 0x35, 0x45  # a word; jumps: how many steps if so, how many if not
    deny, allow = (0x06, 0, 0, 0x50000 | errno.ENOSYS), (0x06, 0, 0, 0x7FFF0000)
    steps = [
        (load, 0, 0, 4), (equal, 1, 0, machine), deny,
        (load, 0, 0, 0), (least, 0, 1, 1 << 30), deny,  # the numbers of x32
        *(step for call in calls for step in ((equal, 0, 1, call), deny)),
        (equal, 0, 4, prlimit), (load, 0, 0, 16), (equal, 1, 0, 0), deny, allow,
        (equal, 1, 0, clone), allow, (load, 0, 0, 16), (bits, 0, 1, 1 << 16), allow, deny,
    ]  # fmt: skip
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
    libc.prctl(22, 2, struct.pack("HP", len(steps), ctypes.addressof(code)))


def _hook(root: str) -> None:
    """The same for what goes through Python, on every system; the `dir_fd` of `os.open` is not told, so not seen."""

    def outside(path: Any, folder: int = -1) -> bool:
        if not isinstance(path, str | bytes | os.PathLike):
            return False  # a file that is open
        near = "" if folder < 0 else f"/proc/self/fd/{folder}"  # outside, where a system has no such link
        real = os.path.realpath(os.path.join(near, os.fsdecode(path)))
        return real not in (root, os.devnull) and not real.startswith(root + os.sep)

    def hook(event: str, given: tuple) -> None:
        if event.startswith(DENIED):
            raise PermissionError(f"an answer may not use {event}")
        writes = event == "open" and isinstance(given[2], int) and given[2] & WRITES
        paths = [(given[at], -1 if near is None else given[near]) for at, near in CHANGES.get(event, ())]
        if (writes and outside(given[0])) or any(outside(*one) for one in paths):
            raise PermissionError("an answer may write in its own folder only")

    sys.addaudithook(hook)
