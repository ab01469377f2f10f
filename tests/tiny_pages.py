"""Tables of sweeps that nobody has run: figures that follow from the settings, for the tests of the page."""

import math

from ebll.sweeps import SCALARS, RunResult, Sweep, SweepTables, configs_of

GRID = {
    "tasks": [["letters", "digits"], ["letters", "textures"]],
    "method": ["finetune", "lwf", "ebll"],
    "alpha": [0.3, 1.0, 3.0, 10.0],
    "distill_weight": [1.0, 2.0],
    "recon_weight": [1e-4, 1e-2, 1.0],
    "seed": [0, 1, 2],
}
STEPS = (0, 10, 20, 30)


def _strength(config):
    if config.method == "finetune":
        return 0.0
    first = config.alpha[0] if isinstance(config.alpha, tuple) else config.alpha
    return 0.1 * config.distill_weight + (0.05 * math.log1p(first) if config.method == "ebll" else 0)


def figures_of(config):
    """More protection keeps more of the old and learns less of the new; lambda and the seed shift it a little."""
    strength, shift = _strength(config), 0.004 * config.seed + 0.002 * math.log10(config.recon_weight)
    old, new = 0.5 + strength + shift, 0.9 - 0.3 * strength**2 + shift / 2
    values = [old, new, (old + new) / 2, 0.85 - old, old + 0.01, new - 0.02, 8 * (1 - strength), 0.1, 1000.0]
    return dict(zip(SCALARS, values, strict=True))


def tables(grid=None, *, fails=lambda config: False, leave_out=lambda config: False, curves=True, **changes):
    """The tables of a grid. fails and leave_out say which configs failed, and which are not there."""
    results = {}
    for config in configs_of({**(grid or GRID), **changes}):
        if leave_out(config):
            continue
        failed, own, rows = fails(config), figures_of(config), []
        for step in STEPS[: 1 if failed else None] if curves else ():
            for place, task in enumerate(config.tasks[:-1]):
                distance = step * (1 + place) * (1 - _strength(config)) + 0.01 * config.seed * step
                drop = {} if failed else {"accuracy": 0.85 - (0.85 - own["old_validation"]) * step / STEPS[-1]}
                facts = {
                    "training": config.tasks[-1],
                    "stage": "train",
                    "step": step,
                    "task": task,
                    "learning_rate": 0.1,
                }
                rows.append(facts | {"feature_distance": distance} | drop)
        why = "The loss became NaN at step 7." if failed else ""
        results[config] = RunResult(config, {} if failed else own, [], rows, why)
    found = Sweep(list(results), results)
    return SweepTables(found.table, found.curves)
