"""Sweeps without training: results that are made up, so that every number of a map can be worked out by hand."""

import itertools

import pandas as pd

from ebll.metrics import pareto_front
from ebll.sweeps import RunResult, Sweep
from ebll.sweeps.grid import configs_of
from ebll.sweeps.maps import QUANTITIES
from ebll.sweeps.view import complete_view

PAIR = ("letters", "mnist")
COURSE = ((0, 0.0), (10, 4.0), (20, 2.0))


def result(config, *, old=0.8, new=0.9, forgetting=0.1, shift=0.05, course=COURSE, before=0.95, end=0.75, failure=""):
    """A finished run, or one that failed: validation accuracies are `shift` above those of the test.

    course       (step, distance) while the last task is trained
    before, end  accuracy of the old tasks on the curves' held-out inputs, before the first step and after the last
    """
    scalars = {
        "old": old,
        "new": new,
        "average": (old + new) / 2,
        "forgetting": forgetting,
        "old_validation": old + shift,
        "new_validation": new + shift,
        "distance": course[-1][1] if course else float("nan"),
        "code_loss": 0.1,
        "kept_bytes": 64.0,
    }
    rows = []
    for old_task in config.tasks[:-1]:
        facts = {"training": config.tasks[-1], "task": old_task, "learning_rate": 0.02}
        if course:
            rows.append({**facts, "stage": "warm-up", "step": 0, "feature_distance": 0.0, "accuracy": before})
        for step, distance in course:
            accuracy = end if step == course[-1][0] else before - 0.01
            rows.append({**facts, "stage": "train", "step": step, "feature_distance": distance, "accuracy": accuracy})
    return RunResult(config, {} if failure else scalars, [], rows, failure)


def swept(grid, like=lambda config: {}, done=lambda config: True):
    """A sweep over a grid: `like` says what `result` is given for a config, `done` whether it has run yet."""
    configs = configs_of(grid)
    return Sweep(configs, {config: result(config, **like(config)) for config in configs if done(config)})


GRID = {
    "tasks": [PAIR, ("letters", "textures")],
    "method": ["finetune", "lwf", "ebll"],
    "alpha": [0.0, 1.0, 10.0],
    "distill_weight": [1.0, 2.0],
    "recon_weight": [1e-4, 1e-2],
    "seed": [0, 1, 2],
}


def figures_of(config):
    """Made-up figures that tell every setting apart; alpha 10 fails for seed 2 and for all seeds at lambda 1e-4."""
    far = config.tasks[-1] == "textures"
    if config.method != "ebll":
        weight = config.distill_weight if config.method == "lwf" else 0.0
        return {"old": 0.5 + 0.05 * weight + 0.01 * config.seed, "new": 0.9, "course": ((0, 0.0), (20, 9.0 - weight))}
    lost = config.alpha == 10.0 and (config.seed == 2 or config.recon_weight == 1e-4)
    return {
        "old": 0.7 + 0.01 * config.alpha + 0.02 * config.distill_weight + 0.01 * config.seed - 0.1 * far,
        "new": 0.9 - 0.01 * config.alpha - config.recon_weight - 0.01 * config.seed,
        "forgetting": 0.1 - 0.01 * config.alpha,
        "end": 0.85 - 0.01 * config.seed,
        "course": ((0, 0.0), (10, 4.0 + config.seed), (20, 2.0)) if not lost else ((0, 0.0), (10, 900.0)),
        "failure": "the loss became nan" if lost else "",
    }


def whole(**changes):
    """The sweep over `GRID`; every run has ended, with `figures_of`."""
    return swept(GRID | changes, figures_of)


def map_of(maps, **wanted):
    """The map of a view as a table, a row a cell from below: what the chart is to show, worked out with pandas."""
    view = complete_view(maps, wanted)
    axes, at = maps.axes[view["method"]], {"row": view["rows"], "column": view["columns"]}
    edges = pd.DataFrame(itertools.product(*(axes.get(name, ("",)) for name in at.values())), columns=list(at))
    edges["cell"] = [maps.place(view | {at[edge]: one[edge] for edge in at}) for one in edges.to_dict("records")]
    edges["chosen"] = edges["cell"].eq(maps.place(view))
    measured = {f"{name}_{view['data']}{sd}": f"{name}{sd}" for name in QUANTITIES for sd in ("", "_sd")}
    numbers = maps.cells[[*measured, "ended", "failed", "planned"]].rename(columns=measured)
    cells = edges.join(numbers, on="cell").fillna({"ended": 0, "failed": 0, "planned": 0})
    points = cells.loc[cells["failed"] == 0, ["new", "old"]].reindex(cells.index)
    return cells.assign(on_front=pareto_front(points.to_numpy()))
