"""What names the result of a run in a store: its settings, and the version of the code that runs it."""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ebll.config import RunConfig

__all__ = ["code_version", "key_of", "run_key"]

_SOURCES = (
    *("autoencoder.py", "comparison.py", "config.py", "data", "fisher.py", "methods", "metrics.py", "networks.py"),
    *("protocol.py", "recording.py", "runs.py", "seeds.py", "sweeps/single.py", "losses.py", "training.py"),
)


def run_key(config: RunConfig) -> str:
    """A hash of the canonical settings of a run and of the code that runs it."""
    return key_of(config.canonical().as_dict(), code_version())


def key_of(settings: Mapping[str, Any], code: str) -> str:
    """The key of a run from its canonical settings, as `RunConfig.as_dict` gives them, and a code version."""
    text = json.dumps([dict(settings), code], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


@functools.cache
def code_version() -> str:
    """A hash of the code that decides what a run gives, and of torch's version up to its second number.

    Another release of torch may add up in another order; its corrections (2.4.0 to 2.4.1) are taken to change nothing.
    """
    package = Path(__file__).parents[1]
    paths = [package / source for source in _SOURCES]
    files = [file for path in paths for file in ([path] if path.suffix else path.rglob("*.py"))]
    digest = hashlib.sha256(".".join(importlib.metadata.version("torch").split(".")[:2]).encode())
    for file in sorted(files):
        digest.update(file.relative_to(package).as_posix().encode())
        digest.update(file.read_bytes().replace(b"\r\n", b"\n"))
    return digest.hexdigest()[:16]
