"""A grid of settings becomes a list of configs: every combination, each run once.

grid = {"method": ["lwf", "ebll"], "alpha": [0.3, 1.0, 3.0], "seed": range(3)}
len(configs_of(grid))             # 12: alpha does nothing for LwF, so LwF runs once a seed
"""

from __future__ import annotations

import itertools
import math
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ebll.config import RunConfig
from ebll.data import TASKS
from ebll.errors import DataMissing, InputError, check_choice
from ebll.networks import build_network

__all__ = ["MAX_RUNS", "Grid", "axes_of", "check_runs", "configs_of", "read_grid"]

MAX_RUNS = 100_000
"""Combinations beyond which a grid is refused before it is multiplied out."""

Grid = Mapping[str, Any] | Iterable[RunConfig] | str | Path
"""Setting -> values, or configs, or a TOML file with a table [grid]."""


def axes_of(grid: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Setting -> its values, in the order given.

    A list, a range or an array holds several values; a tuple or a single thing is one. One sequence of tasks may be
    written as a list of names; as an axis it is a list of such lists.

    raises  `InputError` for an unknown setting, with the near ones, for one without values, and for an empty grid
    """
    axes = {}
    for name, given in grid.items():
        check_choice(name, RunConfig.__dataclass_fields__, "Setting of a grid")
        if name == "tasks" and isinstance(given, list) and all(isinstance(task, str) for task in given):
            given = tuple(given)
        several = isinstance(given, list | range) or (isinstance(given, np.ndarray) and given.ndim > 0)
        axes[name] = list(map(_plain, given if several else [given]))
        if not axes[name]:
            raise InputError(f"grid: {name} has no values. Give at least one, or leave it out for the default.")
    if not axes:
        raise InputError("grid: it is empty. Name a setting and its values, such as {'alpha': [0.3, 1.0, 3.0]}.")
    return axes


def configs_of(grid: Grid) -> list[RunConfig]:
    """Every combination of a grid as a config, in the grid's order, the last setting changing fastest.

    Combinations that are the same run, since they differ in a setting that the method does not use, come once.

    raises  `InputError` for an unknown setting (with the near ones), a value out of range, an empty or too large grid
    """
    grid = read_grid(grid) if isinstance(grid, str | Path) else grid
    if isinstance(grid, Mapping):
        axes = axes_of(grid)
        if (count := math.prod(map(len, axes.values()))) > MAX_RUNS:
            raise InputError(f"grid: {count:,} runs; at most {MAX_RUNS:,} go into one sweep. Take fewer values.")
        configs = [RunConfig(**dict(zip(axes, point, strict=True))) for point in itertools.product(*axes.values())]
    else:
        configs = list(grid) if isinstance(grid, Iterable) else []
        if not configs or not all(isinstance(config, RunConfig) for config in configs):
            raise InputError(f"grid: a dict from settings to values, or a list of RunConfig; got {grid!r:.80}.")
    return list(dict.fromkeys(config.canonical() for config in configs))


def check_runs(configs: Iterable[RunConfig]) -> None:
    """Refuse what could not begin, before anything runs.

    raises  `InputError` for an unknown task or a setting that does not fit its net, `DataMissing` for absent images
    """
    configs = list(configs)
    for name in dict.fromkeys(name for config in configs for name in config.tasks):
        there, why = TASKS[check_choice(name, TASKS, "Task")].available()
        if not there:
            raise DataMissing(f"Task {name!r} is not on this machine: {why}")
    nets = {name: build_network(name, (1, 28, 28), 0) for name in dict.fromkeys(config.net for config in configs)}
    for net, tasks, method in dict.fromkeys((c.net, len(c.tasks), c.made_method()) for c in configs):
        method.check(nets[net], tasks)


def read_grid(path: str | Path) -> dict[str, Any]:
    """The table [grid] of a TOML file.

    raises  `InputError` in words: no such file, not TOML, no table [grid], another table
    """
    try:
        held = tomllib.loads(Path(path).read_text(encoding="utf-8-sig"))  # some editors on Windows write the mark
    except (OSError, ValueError) as error:  # no file, no text in UTF-8, or not TOML
        raise InputError(f"{path} cannot be read as TOML: {error}. It should look like\n{EXAMPLE}") from error
    if list(held) != ["grid"] or not isinstance(held["grid"], dict):
        raise InputError(f"{path} should hold one table [grid], such as\n{EXAMPLE}")
    return held["grid"]


EXAMPLE = """\
[grid]
tasks = ["letters", "textures"]
method = ["lwf", "ebll"]
alpha = [0.3, 1.0, 3.0]
seed = [0, 1, 2]
"""


def _plain(value: Any) -> Any:
    """Numbers of numpy as Python's own, inner lists as tuples."""
    value = value.tolist() if isinstance(value, np.ndarray | np.generic) else value
    return tuple(map(_plain, value)) if isinstance(value, list | tuple) else value
