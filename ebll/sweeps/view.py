"""What is looked at in the maps of a sweep, and what it shows: as JSON for the front end, and as a chart and in words.

A view is a dict: tasks, method, data ("validation" or "test"), columns and rows (settings along the edges of the maps;
rows are "" where only one setting varies), near (whether the trade-off leaves out cells far from its front), and the
value of each setting that varies.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from ebll.config import RunConfig
from ebll.errors import InputError, check_choice
from ebll.plots.style import METHODS
from ebll.sweeps.maps import CELL_SETTINGS, DATA, QUANTITIES, Maps, setting_value
from ebll.sweeps.sweep import plain
from ebll.widgets.chart import Drawing, spec_of
from ebll.widgets.controls import NAMES

__all__ = ["complete_view", "content", "drawing_of"]

VIEW = ("tasks", "method", "data", "columns", "rows", "near")


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
    at, kit = {}, RunConfig()
    for name, values in axes.items():
        usual = setting_value(getattr(kit, name))
        at[name] = usual if usual in values else values[(len(values) - 1) // 2]
    for name in set(wanted) - set(VIEW):
        value = setting_value(wanted[name])
        if value not in axes.get(name, (constant.get(name),)):
            told = "; ".join(map(plain, axes.get(name, ()))) or constant.get(name, "not used")
            raise InputError(f"{name}: this sweep has no {plain(value)} for {view['method']}. It has: {told}.")
        at |= {name: value} if name in axes else {}
    columns, rows = (check_choice(wanted[edge], axes, edge) if edge in wanted else "" for edge in ("columns", "rows"))
    if columns and columns == rows:
        raise InputError(f"rows and columns must be different settings; both are {rows!r}.")
    lambdas = sorted(("recon_weight", "distill_weight"), key=lambda name: -len(axes.get(name, ())))
    columns = columns or next((name for name in ("alpha", *axes) if name in axes and name != rows), "")
    rows = rows or next((name for name in (*lambdas, *axes) if name in axes and name != columns), "")
    return {**view, "columns": columns, "rows": rows, "near": bool(wanted.get("near", True)), **at}


def content(maps: Maps) -> dict[str, Any]:
    """Everything that `front/explorer.js` shows, in the explorer and in the page.

    tasks, data     what there is to choose from
    methods         name -> its label; its axes, setting -> values; its usual view; its constant settings
    settings        name of an axis -> its name with its symbol, and what it does
    ranges          tasks -> method -> data -> quantity -> ends of the colour scale, in %
    cells, runs, curves   the tables of the chart, each as column -> values, None for what is not known; of the cells'
                    settings only axes, and `beside`, method -> number of the cell beside it
    """
    axes = list(dict.fromkeys(name for own in maps.axes.values() for name in own))
    tables, ends = _tables(maps), ["mean", "low", "high"]
    tables["curves"][ends] = tables["curves"][ends].map(lambda value: float(f"{value:.4g}"))
    tables["cells"] = tables["cells"].drop(columns=["cell", *set(CELL_SETTINGS).difference(axes)])
    usual = {name: complete_view(maps, {"method": name}) for name in maps.methods}
    return {
        "tasks": list(maps.tasks),
        "data": list(DATA),
        "methods": {
            name: {"label": _label(name), "axes": maps.axes[name], "usual": usual[name],
                   "constant": maps.constant[name]}
            for name in maps.methods
        },
        "settings": {
            name: {"label": _with_symbol(name), "hint": RunConfig.metadata()[name]["doc"]} for name in axes
        },
        "ranges": {
            tasks: {method: {data: maps.ranges(tasks, method, data) for data in DATA} for method in maps.methods}
            for tasks in maps.tasks
        },
        **{name: table.astype(object).where(table.notna(), None).to_dict("list") for name, table in tables.items()},
    }  # fmt: skip


def drawing_of(maps: Maps, view: Mapping[str, Any], pinned: int | None = None) -> Drawing:
    """The chart "sweep" of a view, with its text, as the front end shows it: for files and readers without widgets.

    pinned   number of a cell that is shown beside the chosen one
    """
    tables, axes, chosen = _tables(maps), maps.axes[view["method"]], maps.place(view)
    columns, rows = (axes.get(view[edge], ("",)) for edge in ("columns", "rows"))
    compared = {} if chosen is None else {**maps.beside[chosen], view["method"]: chosen}
    compared |= {} if pinned in (None, chosen) else {"pinned": pinned}
    seen = []
    for column, row in itertools.product(columns, rows):
        at = {**view, view["columns"]: column, view["rows"]: row}
        place = {"column": plain(column), "row": plain(row), "cell": maps.place(at)}
        seen.append({**place, "chosen": all(at[name] == view[name] for name in axes)})
    cells = tables["cells"]
    of_map = cells[cells.index.isin([one["cell"] for one in seen])]
    data = {
        "cells": cells[cells.index.isin([*of_map.index, *compared.values()])],
        "runs": tables["runs"][tables["runs"]["cell"] == chosen],
        "curves": tables["curves"][tables["curves"]["cell"].isin(list(compared.values()))],
        "map": pd.DataFrame(seen),
        "compared": pd.DataFrame({"cell": compared.values(), "kind": compared.keys()}),
    }
    settings = {
        "images": view["data"],
        "near": view["near"],
        "method": view["method"],
        "chosen": -1 if chosen is None else chosen,
        "pinned": -1 if pinned is None else pinned,
        "x_title": _with_symbol(view["columns"]),
        "y_title": _with_symbol(view["rows"]),
        "columns_shown": [plain(column) for column in columns],
        "rows_shown": [plain(row) for row in rows[::-1]],
        "kinds": list(compared) or [view["method"]],  # an empty legend has no size
    }
    for name, ends in maps.ranges(view["tasks"], view["method"], view["data"]).items():
        settings[f"{name}_range"] = ends or [0.0, 100.0]
    words = f"words_{view['data']}"
    heading, images = f"{view['tasks']}: {_name(maps, view)}", f"{view['data'].capitalize()} images"
    told = [heading, images, "Chosen cell: " + (cells[words][chosen] if chosen is not None else "not in this sweep")]
    told += [f"{_label(kind)}: {cells[words][cell]}" for kind, cell in compared.items() if cell != chosen]
    for name in QUANTITIES:
        if len(known := of_map.sort_values(f"{name}_{view['data']}").dropna(subset=f"{name}_{view['data']}")):
            best = known.iloc[0 if name == "forgetting" else -1]
            told.append(f"Map of {name}, best: {best['name']}: {best[words]}")
    done = len(maps.runs)
    caption = (
        f"{f'{done:,} of {maps.planned:,} runs so far. ' if done < maps.planned else ''}{images}; means over the "
        "seeds that ended. Brighter is better; frame and ring: the chosen cell; small dots: its seeds; filled and "
        "joined: the Pareto front. Lines: mean distance; thin: lowest and highest seed. ×n: n seeds failed."
    )
    return Drawing(spec_of("sweep"), data, settings, f"{'. '.join(told)}.", heading, caption)


def _tables(maps: Maps) -> dict[str, pd.DataFrame]:
    """The tables of `Maps` for the chart: in %, and of each cell its name, its seeds, and all of it in words."""
    cells, runs = maps.cells.reset_index(), maps.runs
    rows = cells.to_dict("records")
    seeds = [_seeds(row) for row in rows]
    words = {f"words_{data}": [_words(*pair, data) for pair in zip(rows, seeds, strict=True)] for data in DATA}
    named = [_name(maps, row) for row in rows]
    cells = cells.assign(beside=list(maps.beside.values()), name=named, seeds=seeds, **words)
    tables = {"cells": cells, "runs": runs, "curves": maps.curves.drop(columns="seeds")}
    for name in ("cells", "runs"):
        shares = [column for column in tables[name] if column.startswith(tuple(f"{one}_" for one in QUANTITIES))]
        tables[name] = tables[name].assign(**(100 * tables[name][shares]).round(4))
    return tables


def _name(maps: Maps, at: Mapping[str, Any]) -> str:
    """A cell, or the cell of a view, by its method and the settings that vary."""
    settings = [f"{NAMES.get(name, name)} {plain(at[name])}" for name in maps.axes[at["method"]]]
    return _label(at["method"]) + (f" with {', '.join(settings)}" if settings else "")


def _seeds(cell: Mapping[str, Any]) -> str:
    """How many seeds a cell's means are of, and what became of the others."""
    ended, failed, planned = cell["ended"], cell["failed"], cell["planned"]
    others = {"failed": failed, "not done yet": planned - ended - failed}
    return ", ".join([f"{ended} seed{'s' * (ended != 1)}", *(f"{n} {what}" for what, n in others.items() if n)])


def _words(cell: Mapping[str, Any], seeds: str, data: str) -> str:
    units = {"old": "% on the old task", "new": "% on the new task", "forgetting": "points forgotten"}
    values = {unit: cell[f"{name}_{data}"] for name, unit in units.items()}
    numbers = [f"{100 * value:.1f} {unit}" for unit, value in values.items() if not math.isnan(value)]
    return f"{', '.join(numbers) or 'no numbers'} ({seeds})"


def _label(method: str) -> str:
    return METHODS[method].label if method in METHODS else "pinned cell" if method == "pinned" else method


def _with_symbol(name: str) -> str:
    return f"{NAMES.get(name, name)} {RunConfig.metadata()[name]['symbol']}".strip() if name else ""
