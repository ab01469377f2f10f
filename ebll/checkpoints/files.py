"""One checkpoint as one safetensors file: written in one move, read only if it is whole."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ebll.errors import InputError, OutputError
from ebll.files import whole

__all__ = ["read_checkpoint", "read_facts", "reason", "write_checkpoint"]

FORMAT = "ebll checkpoint 1"


def write_checkpoint(path: Path, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
    """Write tensors and facts as one safetensors file, in one move.

    tensors   any shapes and types, from any device
    facts     what JSON can hold; kept in the header, with a checksum of them and the tensors
    raises    `OutputError` where the file cannot be written, such as on a full disk; an older one stays as it was
    """
    there = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    told = json.dumps(dict(facts))
    header = {"format": FORMAT, "facts": told, "checksum": _checksum(there, told)}
    try:
        with whole(path) as part:
            save_file(there, part, header)
    except (OSError, SafetensorError) as error:
        raise OutputError(f"{path} cannot be written: {reason(error)}.") from error


def read_checkpoint(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors on the CPU and facts of a file that `write_checkpoint` wrote.

    raises   `InputError` for a file that is cut off, damaged or something else
    """
    try:
        with safe_open(path, "pt") as file:
            header = file.metadata() or {}
            if header.get("format") != FORMAT:
                raise InputError(f"{path} is not a checkpoint of this version of ebll.")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - the file has no iterator
            told = header["facts"]
            facts = json.loads(told)
    except (OSError, SafetensorError, ValueError, KeyError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path} is cut off or damaged: {reason(error)}.") from error
    if header.get("checksum") != _checksum(tensors, told):
        raise InputError(f"{path} is damaged: its checksum does not fit.")
    if not isinstance(facts, dict):
        raise InputError(f"{path} is not a checkpoint of ebll: it says nothing of what it is.")
    return tensors, facts


def read_facts(path: Path) -> dict[str, Any]:
    """The facts of a file alone, its tensors not looked at; empty for one that cannot be read."""
    try:
        with safe_open(path, "pt") as file:
            header = file.metadata() or {}
        facts = json.loads(header["facts"]) if header.get("format") == FORMAT else {}
        return facts if isinstance(facts, dict) else {}
    except (OSError, SafetensorError, ValueError, KeyError):
        return {}


def reason(error: Exception) -> str:
    """What an operating system or safetensors objected to, without a full stop."""
    return str(getattr(error, "strerror", None) or error).rstrip(".")


def _checksum(tensors: Mapping[str, Tensor], told: str) -> str:
    total = zlib.crc32(told.encode())
    for name in sorted(tensors):
        total = zlib.crc32(name.encode(), total)
        total = zlib.crc32(tensors[name].reshape(-1).view(torch.uint8).numpy(), total)
    return f"{total:08x}"
