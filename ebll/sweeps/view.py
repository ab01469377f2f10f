"""What is looked at in the maps of a sweep, and what it shows, as tables for the chart and in words.

A view is a dict: tasks, method, data ("validation" or "test"), columns and rows (settings along the edges of the maps;
rows are "" where only one setting varies), and the value of each setting that varies.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from ebll.config import PRESETS, RunConfig
from ebll.errors import InputError, check_choice
from ebll.plots.style import METHODS
from ebll.sweeps.maps import DATA, KNOBS, QUANTITIES, Maps, map_cells, setting_value
from ebll.sweeps.sweep import plain
from ebll.widgets.controls import NAMES

__all__ = ["alt_of", "caption_of", "heading_of", "label_of", "settled", "usual", "view_tables"]

VIEW = ("tasks", "method", "data", "columns", "rows")


def settled(maps: Maps, wanted: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The view with everything chosen that was left open.

    Left open, columns are alpha, rows lambda or lambda_o, whichever has more values; a value is the kit's default where
    the sweep has that, and else the one in the middle.

    raises  `InputError` for tasks, a method, a setting or a value that the sweep does not have
    """
    wanted = {name: value for name, value in (wanted or {}).items() if value not in ("", None)}
    for name in wanted:
        check_choice(name, (*VIEW, *KNOBS), "Setting of a view")
    data = check_choice(wanted.get("data", DATA[0]), DATA, "data")
    tasks = check_choice(wanted.get("tasks", maps.tasks[0]), maps.tasks, "tasks")
    main = max(maps.methods, key=lambda one: math.prod(map(len, maps.axes[one].values())))
    method = check_choice(wanted.get("method", main), maps.methods, "method")
    axes, constant = maps.axes[method], maps.constant[method]
    at = usual(maps, method)
    for name in set(wanted) - set(VIEW):
        value, values = setting_value(wanted[name]), axes.get(name) or (constant.get(name),)
        if value not in values:
            told = "; ".join(map(plain, axes.get(name, ()))) or constant.get(name, "not used")
            raise InputError(f"{name}: this sweep has no {plain(value)} for {method}. It has: {told}.")
        at |= {name: value} if name in axes else {}
    columns, rows = (check_choice(wanted[edge], axes, edge) if edge in wanted else "" for edge in ("columns", "rows"))
    if columns and columns == rows:
        raise InputError(f"rows and columns must be different settings; both are {rows!r}.")
    lambdas = sorted(("recon_weight", "distill_weight"), key=lambda name: -len(axes.get(name, ())))
    columns = columns or next((name for name in ("alpha", *axes) if name in axes and name != rows), "")
    rows = rows or next((name for name in (*lambdas, *axes) if name in axes and name != columns), "")
    return {"tasks": tasks, "method": method, "data": data, "columns": columns, "rows": rows, **at}


def usual(maps: Maps, method: str) -> dict[str, Any]:
    """Setting -> the kit's own value if the sweep has it, or else the one in the middle."""
    net = maps.constant[method].get("net")
    kit = RunConfig(net=net if net in PRESETS else "mlp")
    values = {name: (setting_value(getattr(kit, name)), held) for name, held in maps.axes[method].items()}
    return {name: own if own in held else held[(len(held) - 1) // 2] for name, (own, held) in values.items()}


def view_tables(maps: Maps, view: Mapping[str, Any], pinned: int | None = None) -> tuple[dict, dict]:
    """Data sets and settings of the chart "sweep", see `ebll.widgets.sweep_chart`."""
    cells = map_cells(maps, view)
    chosen = cells.loc[cells["chosen"], "cell"].item()
    shown = cells.assign(
        column=cells["column"].map(plain), row=cells["row"].map(plain), front=cells["on_front"],
        pinned=cells["cell"] == pinned, told="", note=[f"×{n:.0f}" if n else "" for n in cells["failed"]],
    )  # fmt: skip
    shown[list(QUANTITIES)] *= 100
    kinds = {} if math.isnan(chosen) else {**maps.beside[chosen], view["method"]: int(chosen)}
    kinds |= {} if pinned is None else {"pinned": pinned}
    curves = [maps.curves[maps.curves["cell"] == cell].assign(kind=kind) for kind, cell in kinds.items()]
    names = {f"{name}_{view['data']}": name for name in ("old", "new")}
    means = maps.cells.loc[list(kinds.values()), list(names)].assign(kind=list(kinds), role="mean")
    seeds = maps.runs.loc[maps.runs["cell"] == chosen, ["seed", *names]].assign(kind=view["method"], role="seed")
    points = pd.concat([means.drop(means.index[means["kind"] == view["method"]]), seeds]).rename(columns=names)
    points = points.assign(old=100 * points["old"], new=100 * points["new"], told="").dropna(subset=["old"])
    curves = pd.concat([maps.curves.assign(kind="").iloc[:0], *curves]).drop(columns="cell")
    tables = {"cells": shown, "curves": curves, "points": points}
    settings = {
        "x_title": label_of(view["columns"]),
        "y_title": label_of(view["rows"]),
        "columns_shown": list(dict.fromkeys(shown["column"])),
        "rows_shown": list(dict.fromkeys(shown["row"]))[::-1],
        "kinds": list(kinds) or [view["method"]],  # an empty legend has no size
        "method": view["method"],
        "top": 1.05 * float(curves["high"].max()) if len(curves) else 1.0,
        "last": int(curves["step"].max()) if len(curves) else 1,
        **{f"{name}_shown": _near(shown, points, name) for name in ("old", "new")},
    }
    ends = maps.ranges(view["tasks"], view["method"], view["data"])
    settings |= {
        f"{name}_range": [0.0, 100.0] if math.isnan(low) else [100 * low, 100 * high]
        for name, (low, high) in ends.items()
    }
    return tables, settings


def _near(cells: pd.DataFrame, points: pd.DataFrame, side: str) -> list[float]:
    """Ends of an axis of the trade-off: of the front, of what is compared and of the chosen cell."""
    held = pd.concat([cells.loc[cells["front"], side], points[side]]).dropna()
    values = pd.concat([cells[side], points[side]]).dropna()
    if held.empty or values.empty:
        return [0.0, 100.0]
    least = min([held.min() - max(1.0, (held.max() - held.min()) / 2), *cells.loc[cells["chosen"], side].dropna()])
    low, high = values[values >= least].min(), values.max()
    room = max(0.5, 0.06 * (high - low))
    return [float(low - room), float(high + room)]


def label_of(name: str) -> str:
    """A setting with its symbol; "" for none."""
    return f"{NAMES.get(name, name)} {RunConfig.metadata()[name]['symbol']}".strip() if name else ""


def heading_of(maps: Maps, view: Mapping[str, Any]) -> str:
    """Tasks, method and settings."""
    method = METHODS[view["method"]].label if view["method"] in METHODS else view["method"]
    told = _settings(view, maps.axes[view["method"]])
    return f"{view['tasks']}, {method}{f': {told}' if told else ''}"


def caption_of(maps: Maps, view: Mapping[str, Any]) -> str:
    """Data, seeds, and how the marks are to be read."""
    done = len(maps.runs)
    open_ = f"{done:,} of {maps.planned:,} runs so far. " if done < maps.planned else ""
    return (
        f"{open_}{view['data'].capitalize()} images; means over the seeds that ended. Brighter is better; frame and "
        "ring: the chosen cell; small dots: its seeds; filled and joined: the Pareto front. Lines: mean distance; "
        "bands: lowest to highest seed. ×n: n seeds failed."
    )


def alt_of(maps: Maps, view: Mapping[str, Any]) -> str:
    """What is seen, in words."""
    cells, axes = map_cells(maps, view), maps.axes[view["method"]]
    parts = [f"{heading_of(maps, view)}. {view['data'].capitalize()} images"]
    for name, what in zip(QUANTITIES, ("old task, %", "new task, %", "forgotten, points"), strict=True):
        known = cells.dropna(subset=[name]).sort_values(name, ascending=name == "forgetting", kind="stable")
        if known.empty:
            parts.append(f"Map of {what}: nothing measured")
            continue
        best, worst = known.iloc[0], known.iloc[-1]
        where = _settings({view["columns"]: best["column"], view["rows"]: best["row"]}, axes)
        place = f" at {where}" if where else ""
        parts.append(f"Map of {what}: best {_percent(best[name])}{place}, worst {_percent(worst[name])}")
    if missing := int((cells["planned"] == 0).sum()):
        parts.append(f"{missing} of {len(cells)} cells are not in the sweep")
    own = cells[cells["chosen"]].iloc[0]
    parts.append(f"Chosen cell: {_numbers(own)}")
    for method, cell in maps.beside.get(own["cell"], {}).items():
        beside = maps.cells.loc[cell].rename({f"{name}_{view['data']}": name for name in QUANTITIES})
        parts.append(f"{METHODS[method].label}: {_percent(beside['old'])} old, {_percent(beside['new'])} new")
    curve = maps.curves[maps.curves["cell"] == own["cell"]]
    if len(curve):
        parts.append(f"Feature distance at the end {curve['mean'].iloc[-1]:.3g}, highest {curve['mean'].max():.3g}")
    return ". ".join(parts) + "."


def _numbers(cell: pd.Series) -> str:
    counts = f"{cell['ended']:.0f} seeds" + (f", {cell['failed']:.0f} failed" if cell["failed"] else "")
    if not cell["ended"]:
        return counts if cell["failed"] else "no run"
    spread = {
        name: "" if math.isnan(cell[f"{name}_sd"]) else f" ± {100 * cell[f'{name}_sd']:.1f}" for name in QUANTITIES
    }
    told = [f"{what} {_percent(cell[name])}{spread[name]}" for name, what in
            zip(QUANTITIES, ("old task", "new task", "forgotten"), strict=True)]  # fmt: skip
    return f"{', '.join(told)} ({counts})"


def _percent(value: float) -> str:
    return "not measured" if math.isnan(value) else f"{100 * value:.1f}"


def _settings(values: Mapping[str, Any], names: Any) -> str:
    return ", ".join(f"{NAMES.get(name, name)} {plain(values[name])}" for name in names if name in values)
