"""Tables of a main job in a world where every claim holds, and changes to it."""

import copy

import pandas as pd

from ebll.reproduce.plan import Experiment

NEAR, FAR = Experiment("mlp", ("letters", "near")), Experiment("mlp", ("letters", "far"))
LONG = Experiment("mlp", ("letters", "near", "far"))
PLAN = (FAR, NEAR, LONG)  # not in the order of the gap, which is measured
SEEDS = range(4)

# method -> sequence -> (forgetting, accuracy on new tasks): a world in which every claim holds.
STORY = {
    "joint": dict.fromkeys(PLAN, (-0.02, 0.85)),
    "finetune": {NEAR: (0.30, 0.80), FAR: (0.40, 0.80), LONG: (0.35, 0.80)},
    "feature-extraction": dict.fromkeys(PLAN, (0.0, 0.60)),
    "lwf": {NEAR: (0.10, 0.80), FAR: (0.20, 0.80), LONG: (0.15, 0.80)},
    "l2": dict.fromkeys(PLAN, (0.11, 0.74)),
    "ewc": dict.fromkeys(PLAN, (0.09, 0.75)),
    "input-moments": dict.fromkeys(PLAN, (0.05, 0.78)),
    "kfac": dict.fromkeys(PLAN, (0.03, 0.80)),
    "code-only": dict.fromkeys(PLAN, (0.25, 0.78)),
    "ebll": {NEAR: (0.06, 0.798), FAR: (0.08, 0.798), LONG: (0.07, 0.798)},
    "ebll-separate": dict.fromkeys(PLAN, (0.02, 0.79)),
}
CURVES = {"ebll": (0, 10, 6, 4, 3), "lwf": (0, 5, 8, 8, 7), "joint": (0, 9, 8, 7, 6)}  # feature distance at five steps
DIPS = {"joint": 0.20, "lwf": 0.05, "ebll": 0.04}  # of the old task's accuracy, at the second of them
GAPS = {NEAR: 0.2, FAR: 0.5}


def accuracy_table(story, seeds=SEEDS):
    """Accuracies that have this forgetting and these new-task accuracies, a little different from seed to seed."""
    rows = []
    for method, sequences in story.items():
        for e, (forgets, new) in sequences.items():
            for seed in seeds:
                best = [0.9 + 0.01 * seed, *(new + 0.001 * seed for _ in e.tasks[1:])]
                for i, after in enumerate(e.tasks):
                    last = i == len(e.tasks) - 1
                    for j, task in enumerate(e.tasks[: i + 1]):
                        lost = forgets * (1 + 0.02 * seed) if last and j < i else 0.0
                        rows.append((e.id, e.net, method, seed, after, task, best[j] - lost))
    return pd.DataFrame(rows, columns=["sequence", "net", "method", "seed", "after", "task", "accuracy"])


def curve_table(curves, seeds=SEEDS, e=NEAR, dips=DIPS):
    facts = {"sequence": e.id, "stage": "train", "training": e.tasks[1], "task": "letters"}
    rows = [
        facts
        | {"method": method, "seed": seed, "step": step, "feature_distance": distance}
        | {"accuracy": 0.8 - dips.get(method, 0) * (1 + 0.1 * seed) * (step == 1)}
        for method, distances in curves.items()
        for seed in seeds
        for step, distance in enumerate(distances)
    ]
    return pd.DataFrame(rows)


def gap_table(gaps=GAPS, seeds=SEEDS):
    return pd.DataFrame([{"sequence": e.id, "seed": s, "gap": gap} for e, gap in gaps.items() for s in seeds])


def changed(method, *, forgets=None, new=None, only=PLAN):
    """The story with one method's numbers replaced."""
    story = copy.deepcopy(STORY)
    for e in only:
        old = story[method][e]
        story[method][e] = (old[0] if forgets is None else forgets, old[1] if new is None else new)
    return story
