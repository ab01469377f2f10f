"""Writes what the page needs: images, the first network, its encoders, and the settings with their sentences.

The same kit on the same machine gives the same file to the last byte.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ebll.data import Split, Task
from ebll.errors import expanded
from ebll.files import write_text
from ebll.methods.ebll import fit_to_task
from ebll.plots.style import METHODS as LOOKS, TERMS, Style
from ebll.seeds import cpu_threads
from ebll.settings import USUAL, AutoencoderSettings
from ebll.widgets.controls import GRIDS, NAMES

from .setting import CODE_SIZES, DEMONSTRATION, FIRST, HELD, METHODS, NEW_TASKS, SIDE, WebConfig, first, small

__all__ = ["lab_data", "write_page"]

HERE = Path(__file__).parent


def lab_data() -> dict[str, Any]:
    """What `lab.js` needs, as JSON can hold it.

    arrays   name and shape of each array of `blob`, in order: float32 weights, then images and labels as uint8
    blob     the arrays one after the other, little-endian, by zlib, in base64
    tasks    classes, and mean and standard deviation of the training images' grey values in 0..1
    """
    with cpu_threads(1):  # their number decides the last bits
        arrays = dict(_arrays())
    parts = [array.astype(array.dtype.newbyteorder("<")).tobytes() for array in arrays.values()]
    tasks = {name: small(name) for name in (FIRST, *NEW_TASKS)}
    return {
        "version": version("ebll"), "side": SIDE, "old": FIRST, "batch_size": USUAL.batch_size,
        **{name: getattr(USUAL, name) for name in ("warmup_epochs", "momentum", "weight_decay", "drop_at")},
        "settings": {name: _setting(name, of) for name, of in WebConfig.metadata().items()},
        "demonstration": DEMONSTRATION,
        "methods": {name: _look(LOOKS[name]) for name in METHODS},
        "terms": {name: _look(TERMS[name]) for name in ("task", "distill", "code")},
        "tasks": {n: {"classes": t.classes, "mean": t.offset[0], "std": t.scale[0]} for n, t in tasks.items()},
        "arrays": [[name, list(array.shape)] for name, array in arrays.items()],
        "blob": base64.b64encode(zlib.compress(b"".join(parts), 9)).decode(),
    }  # fmt: skip


def _arrays() -> Iterator[tuple[str, np.ndarray]]:
    """Weights first, so that they lie at multiples of four bytes."""
    start = first()
    layers = {"F": start.net.features[0][1], "T": start.net.operator[0], "head": start.net.heads[0]}
    for size in CODE_SIZES:
        fit = fit_to_task(start.net, 0, small(FIRST), AutoencoderSettings(code_size=size), seed=0)
        layers[f"encoder{size}"] = fit.autoencoder.encode
    for name, layer in layers.items():
        yield f"{name}.weight", layer.weight.detach().numpy()
        yield f"{name}.bias", layer.bias.detach().numpy()
    for name in (FIRST, *NEW_TASKS):
        task = small(name)
        held = task.validation.take(task.validation.spread(HELD))
        for part, split in {"held": held, **({} if name == FIRST else {"train": task.train})}.items():
            yield f"{name}.{part}.images", _grey(task, split)
            yield f"{name}.{part}.labels", split.labels.numpy().astype(np.uint8)


def _grey(task: Task, split: Split) -> np.ndarray:
    """The images as they were: uint8 (n, pixels)."""
    images: Tensor = (task.restored(split.inputs) * 255).round().clamp(0, 255).to(torch.uint8)
    return images.flatten(1).numpy()


def _setting(name: str, of: dict[str, Any]) -> dict[str, Any]:
    """Label, sentence, default, and the values of its slider or list."""
    symbol = f" {of['symbol']}" if of["symbol"] else ""
    grid = CODE_SIZES if name == "code_size" else of["choices"] or GRIDS[name]
    label = "new task" if name == "new" else NAMES.get(name, name.replace("_", " "))
    listed, rules = grid == CODE_SIZES or bool(of["choices"]), {rule: of[rule] for rule in ("low", "high", "above")}
    if listed:
        rules["high"] = 0  # infinity is not JSON
    kind = {"listed": listed, "whole": isinstance(of["default"], int), **rules}
    return {"label": f"{label}{symbol}", "doc": of["doc"], "default": of["default"], "grid": grid, **kind}


def _look(style: Style) -> dict[str, Any]:
    return {"label": style.label, "color": style.color, "dash": [] if style.line == "-" else style.line[1]}


def write_page(path: str | Path) -> Path:
    """Write a page with the lab, module and data inside, that works from disk without a network; returns the file."""
    path = expanded(path, "The page")
    page = (HERE / "page.html").read_text(encoding="utf-8")
    script = (HERE / "lab.js").read_text(encoding="utf-8").partition("\nexport default")[0]
    data = json.dumps(lab_data(), ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    for name, text in {"version": version("ebll"), "data": data, "script": script}.items():
        page = page.replace(f"{{{{{name}}}}}", text)
    write_text(page, path)
    return path
