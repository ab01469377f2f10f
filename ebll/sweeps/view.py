"""What is looked at in the maps of a sweep, and what it shows: as JSON for the front end, and as a chart and in words.

A view is a dict: tasks, method, data ("validation" or "test"), columns and rows (settings along the edges of the maps;
rows are "" where only one setting varies), and the value of each setting that varies.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
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
    cells, runs, curves   the tables of `Maps`, each as column -> values: accuracies and forgetting in %; of the cells'
                    settings only axes, and `beside`, method -> number of the cell beside it
    """
    axes = list(dict.fromkeys(name for own in maps.axes.values() for name in own))
    constant = [name for name in CELL_SETTINGS if name not in axes]
    curves = maps.curves.drop(columns="seeds")
    ends = ["mean", "low", "high"]
    curves[ends] = curves[ends].map(lambda value: float(f"{value:.4g}"))
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
        "cells": _columns(maps.cells.drop(columns=constant).assign(beside=pd.Series(maps.beside))),
        "runs": _columns(maps.runs),
        "curves": _columns(curves),
    }  # fmt: skip


def _columns(frame: pd.DataFrame) -> dict[str, list[Any]]:
    """Column -> values; what is measured in % with four decimals, None for what is not known."""
    measured = [name for name in frame if name.startswith(tuple(f"{quantity}_" for quantity in QUANTITIES))]
    frame = frame.assign(**(100 * frame[measured]).round(4)).astype(object)
    return frame.where(frame.notna(), None).to_dict("list")


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
    tables, fixed = _tables(maps, view, pinned), _listed(view, maps.axes[view["method"]])
    heading = f"{view['tasks']}, {_label(view['method'])}{f': {fixed}' if fixed else ''}"
    images, done = f"{view['data'].capitalize()} images", len(maps.runs)
    caption = (
        f"{f'{done:,} of {maps.planned:,} runs so far. ' if done < maps.planned else ''}{images}; means over the "
        "seeds that ended. Brighter is better; frame and ring: the chosen cell; small dots: its seeds; filled and "
        "joined: the Pareto front. Lines: mean distance; bands: lowest to highest seed. ×n: n seeds failed."
    )
    alt = ". ".join([heading, images, *_description(view, **tables)]) + "."
    return Drawing(spec_of("sweep"), tables, _settings(maps, view, **tables), alt, heading, caption)


def _tables(maps: Maps, view: Mapping[str, Any], pinned: int | None) -> dict[str, pd.DataFrame]:
    """Data sets of the chart: the cells of the map, and curves and points of what is compared."""
    cells = map_cells(maps, view)
    cells[list(QUANTITIES)] *= 100
    cells = cells.assign(**{edge: cells[edge].map(plain) for edge in ("column", "row")}, pinned=cells["cell"] == pinned)
    chosen = cells.loc[cells["chosen"], "cell"].item()
    kinds = {} if math.isnan(chosen) else {**maps.beside[chosen], view["method"]: int(chosen)}
    kinds |= {} if pinned is None else {"pinned": pinned}
    compared = pd.DataFrame({"kind": kinds.keys(), "cell": kinds.values()}).astype({"cell": int})
    curves = compared.merge(maps.curves.astype({"cell": int}), on="cell").drop(columns="cell")
    own = compared["kind"] == view["method"]
    points = pd.concat([
        compared[~own].merge(maps.cells.reset_index(), on="cell").assign(role="mean"),
        compared[own].merge(maps.runs, on="cell").assign(role="seed"),
    ])  # fmt: skip
    points = points.assign(**{name: 100 * points[f"{name}_{view['data']}"] for name in ("old", "new")})
    points = points[["kind", "role", "seed", "old", "new"]].dropna(subset=["old"])
    return {"cells": cells, "curves": curves, "points": points}


def _settings(
    maps: Maps, view: Mapping[str, Any], cells: pd.DataFrame, curves: pd.DataFrame, points: pd.DataFrame
) -> dict[str, Any]:
    """The chart's parameters."""
    settings = {
        "x_title": _with_symbol(view["columns"]),
        "y_title": _with_symbol(view["rows"]),
        "columns_shown": list(cells["column"].unique()),
        "rows_shown": list(cells["row"].unique())[::-1],
        "kinds": list(pd.concat([curves["kind"], points["kind"]]).unique()) or [view["method"]],  # a legend needs one
        "method": view["method"],
        "top": 1.05 * float(curves["high"].max()) if len(curves) else 1.0,
        "last": int(curves["step"].max()) if len(curves) else 1,
    }
    for name in ("old", "new"):  # from a little below the front, the chosen cell and what is compared
        near = pd.concat([cells.loc[cells["on_front"] | cells["chosen"], name], points[name]]).dropna()
        low, high = near.min(), max(near.max(), cells[name].max())
        room = max(1.0, 0.15 * (high - low))
        settings[f"{name}_shown"] = [low - room, high + room / 2] if len(near) else [0.0, 100.0]
    for name, ends in _ranges(maps, view["tasks"], view["method"], view["data"]).items():
        settings[f"{name}_range"] = ends or [0.0, 100.0]
    return settings


def _description(
    view: Mapping[str, Any], cells: pd.DataFrame, curves: pd.DataFrame, points: pd.DataFrame
) -> Iterator[str]:
    """What is seen, a sentence each: the best of each map, the chosen cell, what is beside it."""
    names = dict(zip(QUANTITIES, ("old task", "new task", "forgotten"), strict=True))
    for name, what in names.items():
        title = f"Map of {what}, {'points' if name == 'forgetting' else '%'}"
        known = cells.dropna(subset=[name]).sort_values(name, ascending=name == "forgetting", kind="stable")
        if known.empty:
            yield f"{title}: nothing measured"
            continue
        best, worst = known.iloc[0], known.iloc[-1]
        place = _listed({view["columns"]: best["column"], view["rows"]: best["row"]}, [view["columns"], view["rows"]])
        yield f"{title}: best {best[name]:.1f}{f' at {place}' if place else ''}, worst {worst[name]:.1f}"
    if missing := int((cells["planned"] == 0).sum()):
        yield f"{missing} of {len(cells)} cells are not in the sweep"
    own = cells[cells["chosen"]].iloc[0]
    counts = f"{own['ended']:.0f} seeds" + (f", {own['failed']:.0f} failed" if own["failed"] else "")
    if own["ended"]:
        numbers = [f"{what} {own[name]:.1f} ± {100 * own[f'{name}_sd']:.1f}" for name, what in names.items()]
        told = ", ".join(numbers).replace(" ± nan", "").replace("nan", "not measured")
        yield f"Chosen cell: {told} ({counts})"
    else:
        yield f"Chosen cell: {counts if own['failed'] else 'no run'}"
    for kind, old, new in points.loc[points["role"] == "mean", ["kind", "old", "new"]].itertuples(index=False):
        yield f"{_label(kind)}: {old:.1f} old, {new:.1f} new"
    if len(curve := curves.loc[curves["kind"] == view["method"], "mean"]):
        yield f"Feature distance at the end {curve.iloc[-1]:.3g}, highest {curve.max():.3g}"


def _listed(values: Mapping[str, Any], names: Iterable[str]) -> str:
    return ", ".join(f"{NAMES.get(name, name)} {plain(values[name])}" for name in names if name)
