"""What is looked at in the maps of a sweep, and what it shows: as JSON for the front end, and as a chart and in words.

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
from ebll.sweeps.maps import CELL_SETTINGS, DATA, QUANTITIES, Maps, map_cells, setting_value
from ebll.sweeps.sweep import plain
from ebll.widgets.chart import Drawing, spec_of
from ebll.widgets.controls import NAMES

__all__ = ["complete_view", "content", "drawing_of"]

VIEW = ("tasks", "method", "data", "columns", "rows")


def complete_view(maps: Maps, wanted: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The view with everything chosen that was left open.

    Left open, columns are alpha, rows lambda or lambda_o, whichever has more values; a value is the kit's default where
    the sweep has that, and else the one in the middle.

    raises  `InputError` for tasks, a method, a setting or a value that the sweep does not have
    """
    wanted = {name: value for name, value in (wanted or {}).items() if value not in ("", None)}
    for name in wanted:
        check_choice(name, (*VIEW, *CELL_SETTINGS), "Setting of a view")
    offered = {"tasks": maps.tasks, "method": maps.methods, "data": DATA}
    view = {name: check_choice(wanted.get(name, own[0]), own, name) for name, own in offered.items()}
    axes, constant = maps.axes[view["method"]], maps.constant[view["method"]]
    at = _usual(maps, view["method"])
    for name in set(wanted) - set(VIEW):
        value, values = setting_value(wanted[name]), axes.get(name) or (constant.get(name),)
        if value not in values:
            told = "; ".join(map(plain, axes.get(name, ()))) or constant.get(name, "not used")
            raise InputError(f"{name}: this sweep has no {plain(value)} for {view['method']}. It has: {told}.")
        at |= {name: value} if name in axes else {}
    columns, rows = (check_choice(wanted[edge], axes, edge) if edge in wanted else "" for edge in ("columns", "rows"))
    if columns and columns == rows:
        raise InputError(f"rows and columns must be different settings; both are {rows!r}.")
    lambdas = sorted(("recon_weight", "distill_weight"), key=lambda name: -len(axes.get(name, ())))
    columns = columns or next((name for name in ("alpha", *axes) if name in axes and name != rows), "")
    rows = rows or next((name for name in (*lambdas, *axes) if name in axes and name != columns), "")
    return {**view, "columns": columns, "rows": rows, **at}


def _usual(maps: Maps, method: str) -> dict[str, Any]:
    """Setting -> the kit's own value if the sweep has it, or else the one in the middle."""
    net = maps.constant[method].get("net")
    kit = RunConfig(net=net if net in PRESETS else "mlp")
    values = {name: (setting_value(getattr(kit, name)), held) for name, held in maps.axes[method].items()}
    return {name: own if own in held else held[(len(held) - 1) // 2] for name, (own, held) in values.items()}


# For the front end


def content(maps: Maps) -> dict[str, Any]:
    """Everything that `front/explorer.js` shows, in the explorer and in the page.

    tasks, data     what there is to choose from
    methods         name -> its label; its axes, setting -> values; its usual view; its constant settings
    settings        name of an axis -> its name in words, the same with its symbol, and what it does
    ranges          tasks -> method -> data -> quantity -> ends of the colour scale, in %
    cells           a list: tasks and method; `at`, values of the method's axes; `done`, seeds that ended and that
                    failed; `planned`; for each data old, new and forgetting in % and their standard deviations;
                    `curve`, the place of its steps in `steps`, then mean, low and high; `seeds`, each with its failure
                    or its numbers by data; `beside`, method -> place of the cell beside it
    """
    measured = {data: [f"{name}_{data}" for name in QUANTITIES] for data in DATA}
    curves, steps = dict(list(maps.curves.groupby("cell"))), {}
    seeds: dict[int, list[Any]] = {}
    for run in _records(maps.runs):
        numbers = [] if run["failure"] else [[run[name] for name in names] for names in measured.values()]
        seeds.setdefault(run["cell"], []).append([run["seed"], run["failure"], *numbers])
    cells = []
    for cell, row in zip(maps.cells.index, _records(maps.cells), strict=True):
        made = {name: row[name] for name in ("tasks", "method", "planned")}
        made |= {"at": [row[name] for name in maps.axes[row["method"]]], "done": [row["ended"], row["failed"]]}
        made |= {data: [row[f"{name}{sd}"] for sd in ("", "_sd") for name in names] for data, names in measured.items()}
        made |= {"curve": None, "seeds": seeds.get(cell, []), "beside": maps.beside[cell]}
        if (rows := curves.get(cell)) is not None:
            place = steps.setdefault(tuple(map(int, rows["step"])), len(steps))
            made["curve"] = [place, *([float(f"{v:.4g}") for v in rows[name]] for name in ("mean", "low", "high"))]
        cells.append(made)
    axes = dict.fromkeys(name for own in maps.axes.values() for name in own)
    return {
        "tasks": list(maps.tasks),
        "data": list(DATA),
        "methods": {
            name: {"label": _label(name), "axes": {axis: list(values) for axis, values in maps.axes[name].items()},
                   "usual": complete_view(maps, {"method": name}), "constant": maps.constant[name]}
            for name in maps.methods
        },
        "settings": {
            name: {"name": NAMES.get(name, name), "label": _with_symbol(name),
                   "hint": RunConfig.metadata()[name]["doc"]}
            for name in axes
        },
        "ranges": {
            tasks: {method: {data: _ranges(maps, tasks, method, data) for data in DATA} for method in maps.methods}
            for tasks in maps.tasks
        },
        "runs": len(maps.runs),
        "failed": int((maps.runs["failure"] != "").sum()),
        "planned": maps.planned,
        "seeds": int(maps.runs["seed"].nunique()),
        "steps": [list(one) for one in steps],
        "cells": cells,
    }  # fmt: skip


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows, what is measured in % with four decimals, None for what is not known."""
    measured = [name for name in frame if name.startswith(tuple(f"{quantity}_" for quantity in QUANTITIES))]
    frame = frame.assign(**(100 * frame[measured]).round(4)).astype(object)
    return frame.where(frame.notna(), None).to_dict("records")


def _ranges(maps: Maps, tasks: str, method: str, data: str) -> dict[str, list[float] | None]:
    """Quantity -> ends of its colour scale in %, None where nothing was measured."""
    ends = maps.ranges(tasks, method, data).items()
    return {
        name: None if math.isnan(low) else [round(100 * low, 4), round(100 * high, 4)] for name, (low, high) in ends
    }


def _label(method: str) -> str:
    return METHODS[method].label if method in METHODS else method


def _with_symbol(name: str) -> str:
    return f"{NAMES.get(name, name)} {RunConfig.metadata()[name]['symbol']}".strip() if name else ""


# For files and for readers without widgets: what the front end shows of a view, without its controls


def drawing_of(maps: Maps, view: Mapping[str, Any], pinned: int | None = None) -> Drawing:
    """The chart "sweep" of a view, with its text.

    pinned   number of a cell that is shown beside the chosen one
    """
    cells = map_cells(maps, view)
    cells[list(QUANTITIES)] *= 100
    cell = cells.loc[cells["chosen"], "cell"].item()
    kinds = {} if math.isnan(cell) else {**maps.beside[cell], view["method"]: int(cell)}
    kinds |= {} if pinned is None else {"pinned": pinned}
    compared = pd.DataFrame({"kind": kinds.keys(), "cell": kinds.values()}).astype({"cell": int})
    curves = compared.merge(maps.curves.astype({"cell": int}), on="cell").drop(columns="cell")
    others, own = (compared[(compared["kind"] == view["method"]) == is_own] for is_own in (False, True))
    points = pd.concat([
        others.merge(maps.cells.reset_index(), on="cell").assign(role="mean"),
        own.merge(maps.runs, on="cell").assign(role="seed"),
    ])  # fmt: skip
    points = points.assign(**{name: 100 * points[f"{name}_{view['data']}"] for name in ("old", "new")})
    points = points[["kind", "role", "seed", "old", "new"]].dropna(subset=["old"])
    shown = cells.assign(**{edge: cells[edge].map(plain) for edge in ("column", "row")}, pinned=cells["cell"] == pinned)
    ends = _ranges(maps, *(view[name] for name in ("tasks", "method", "data")))
    settings = {
        "x_title": _with_symbol(view["columns"]),
        "y_title": _with_symbol(view["rows"]),
        "columns_shown": list(shown["column"].unique()),
        "rows_shown": list(shown["row"].unique())[::-1],
        "kinds": list(kinds) or [view["method"]],  # an empty legend has no size
        "method": view["method"],
        "top": 1.05 * float(curves["high"].max()) if len(curves) else 1.0,
        "last": int(curves["step"].max()) if len(curves) else 1,
        **{f"{name}_shown": _limits(shown, points, name) for name in ("old", "new")},
        **{f"{name}_range": pair or [0.0, 100.0] for name, pair in ends.items()},
    }
    fixed = _listed(view, maps.axes[view["method"]])
    heading = f"{view['tasks']}, {_label(view['method'])}{f': {fixed}' if fixed else ''}"
    images, done = f"{view['data'].capitalize()} images", len(maps.runs)
    caption = (
        f"{f'{done:,} of {maps.planned:,} runs so far. ' if done < maps.planned else ''}{images}; means over the "
        "seeds that ended. Brighter is better; frame and ring: the chosen cell; small dots: its seeds; filled and "
        "joined: the Pareto front. Lines: mean distance; bands: lowest to highest seed. ×n: n seeds failed."
    )
    alt = ". ".join([heading, images, *_description(maps, view, cells)]) + "."
    tables = {"cells": shown, "curves": curves, "points": points}
    return Drawing(spec_of("sweep"), tables, settings, alt, heading, caption)


def _limits(cells: pd.DataFrame, points: pd.DataFrame, side: str) -> list[float]:
    """Ends of an axis of the trade-off: from a little below the front, the chosen cell and what is compared."""
    near = pd.concat([cells.loc[cells["on_front"] | cells["chosen"], side], points[side]]).dropna()
    low, high = near.min(), max(near.max(), cells[side].max())
    room = max(1.0, 0.15 * (high - low))
    return [low - room, high + room / 2] if len(near) else [0.0, 100.0]


def _description(maps: Maps, view: Mapping[str, Any], cells: pd.DataFrame) -> list[str]:
    """What is seen, a sentence each: the best of each map, the chosen cell, what is beside it."""
    parts, what = [], dict(zip(QUANTITIES, ("old task, %", "new task, %", "forgotten, points"), strict=True))
    for name in QUANTITIES:
        known = cells.dropna(subset=[name]).sort_values(name, ascending=name == "forgetting", kind="stable")
        if known.empty:
            parts.append(f"Map of {what[name]}: nothing measured")
            continue
        best, worst = known.iloc[0], known.iloc[-1]
        place = _listed({view["columns"]: best["column"], view["rows"]: best["row"]}, maps.axes[view["method"]])
        at = f" at {place}" if place else ""
        parts.append(f"Map of {what[name]}: best {best[name]:.1f}{at}, worst {worst[name]:.1f}")
    if missing := int((cells["planned"] == 0).sum()):
        parts.append(f"{missing} of {len(cells)} cells are not in the sweep")
    own = cells[cells["chosen"]].iloc[0]
    counts = f"{own['ended']:.0f} seeds" + (f", {own['failed']:.0f} failed" if own["failed"] else "")
    numbers = [f"{what[name].partition(',')[0]} {own[name]:.1f} ± {100 * own[f'{name}_sd']:.1f}".replace(" ± nan", "")
               for name in QUANTITIES]  # fmt: skip
    parts.append(f"Chosen cell: {', '.join(numbers).replace('nan', 'not measured')} ({counts})" if own["ended"] else
                 f"Chosen cell: {counts if own['failed'] else 'no run'}")  # fmt: skip
    for method, cell in maps.beside.get(own["cell"], {}).items():
        old, new = (100 * maps.cells.loc[cell, f"{name}_{view['data']}"] for name in ("old", "new"))
        parts.append(f"{_label(method)}: {old:.1f} old, {new:.1f} new".replace("nan", "not measured"))
    curve = maps.curves.loc[maps.curves["cell"] == own["cell"], "mean"]
    if len(curve):
        parts.append(f"Feature distance at the end {curve.iloc[-1]:.3g}, highest {curve.max():.3g}")
    return parts


def _listed(values: Mapping[str, Any], names: Any) -> str:
    return ", ".join(f"{NAMES.get(name, name)} {plain(values[name])}" for name in names if name in values)
