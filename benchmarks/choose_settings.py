"""Choose the settings of the main job on validation data, with seeds that the main job does not use.

    python -m benchmarks.choose_settings            # writes docs/settings.csv and docs/settings.md

For each net, over letters -> mnist, digits, textures:

1. learning rate: the smallest with which plain fine-tuning learns the new tasks within half a point of the best;
2. distillation weight (for LwF, and then for EBLL): the one with which LwF has the best mean of old- and new-task
   accuracy;
3. EWC strength: the smallest whose mean is within half a point of the best. SGD is stable only while learning rate *
   strength * Fisher information stays below 2 (1 + momentum), and along a sequence the Fisher information adds up;
4. alpha (for all EBLL variants), at that distillation weight: the one with which EBLL has the best mean.

Everything is read on validation splits, with seeds 100 to 104. The winners stand in `ebll/config.py`; a test
compares the two.
"""

from __future__ import annotations

import dataclasses
import itertools
import os
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pandas as pd
import torch

from ebll.autoencoder import AutoencoderSettings
from ebll.config import NEW_TASK_IMAGES, PRESETS
from ebll.data import load_task
from ebll.errors import TrainingDiverged
from ebll.methods import EBLL, EWC, Finetune, LwF, Method
from ebll.protocol import learn_first, run_sequence
from ebll.recording import Recorder, measure_accuracy
from ebll.reproduce.report import markdown

SEEDS = range(100, 105)
NEW_TASKS = ("mnist", "digits", "textures")
LEARNING_RATES = (0.005, 0.01, 0.02, 0.05)
DISTILL_WEIGHTS = (0.5, 1.0, 2.0, 3.0, 5.0)
STRENGTHS = (30.0, 100.0, 300.0, 1000.0, 3000.0)
ALPHAS = (0.3, 1.0, 3.0, 10.0)
SLACK = {"learning_rate": 0.005, "ewc_strength": 0.005}

PAGE = """# How the settings of the main job were chosen

Written by `python -m benchmarks.choose_settings`; the rows behind it are in `settings.csv`. Old task letters, new tasks
with {images} training images each; validation accuracy in %, mean of the {count} seeds {first} to {last}, which the
main job does not use. No test accuracy was used.

For each net: the smallest learning rate with which plain fine-tuning learns the new tasks within half a point of the
best; the distillation weight with which LwF has the best mean of old-task and new-task accuracy, used for EBLL too; the
smallest EWC strength within half a point of the best mean; and, at that distillation weight, the alpha with which EBLL
has the best mean, used for all EBLL variants. Half a point of slack, because large steps and, as the Fisher information
of several tasks adds up, large strengths are unstable. A run that diverged counts as 0.

How it came about: the first rules followed a look at seeds 100 to 102; the slack, and the tuning of the distillation
weight, were added after tables of all five seeds had been seen. Temperature 2 is LwF's. The autoencoder's size, weight
and start were set by looking at its fit and at these pairs with seeds 100 and 101; the number of epochs, so that the
main job stays within minutes. Neighbouring candidates often differ by less than the seeds do. All of it is for letters
as the first task; where the main job begins with mnist, the settings are used as they are.

"""


def measure(net: str, seed: int, distill_weight: float | None) -> list[dict]:
    """Validation accuracies on every pair, one seed: of all alphas at a distillation weight, or of all else if None."""
    torch.set_num_threads(1)
    preset, old = PRESETS[net], load_task("letters")
    start = learn_first([old], net=net, settings=preset.train, seed=seed, recorder=Recorder(log_every=0))
    rate = preset.train.learning_rate
    if distill_weight is None:
        kept = EWC().consolidate(start.net, 0, old, None, seed)
        candidates: list[tuple[str, float, Method, float]] = [
            *(("learning_rate", value, Finetune(), value) for value in LEARNING_RATES),
            *(("distill_weight", value, LwF(distill_weight=value), rate) for value in DISTILL_WEIGHTS),
            *(("ewc_strength", value, EWC(ewc_strength=value), rate) for value in STRENGTHS),
        ]
    else:
        coder = EBLL(distill_weight=distill_weight, autoencoder=AutoencoderSettings(code_size=preset.code_size))
        kept = coder.consolidate(start.net, 0, old, None, seed)
        candidates = [("alpha", value, coder.replace(alpha=value), rate) for value in ALPHAS]
    rows = []
    for name, (setting, value, method, rate) in itertools.product(NEW_TASKS, candidates):
        new = load_task(name).subset(NEW_TASK_IMAGES, seed=seed)
        row = {"net": net, "setting": setting, "value": value, "new_task": name, "seed": seed, "old": 0.0, "new": 0.0}
        try:
            run = run_sequence(
                [old, new],
                method,
                settings=preset.train.replace(learning_rate=rate),
                seed=seed,
                recorder=Recorder(log_every=0),
                start=dataclasses.replace(start, memory=kept if isinstance(method, EBLL | EWC) else None),
                consolidate_last=False,
            )
        except TrainingDiverged:
            rows.append(row)  # counts as nothing learned and all forgotten
            continue
        accuracies = [measure_accuracy(run.net, t, task.validation) for t, task in enumerate((old, new))]
        rows.append(row | dict(zip(("old", "new"), accuracies, strict=True)))
    return rows


def winners(table: pd.DataFrame) -> pd.DataFrame:
    """The rules: a row per net and setting with the value that won, and its score."""
    score = table["new"].where(table["setting"] == "learning_rate", (table["old"] + table["new"]) / 2)
    keys = ["net", "setting", "value"]
    means = table.assign(score=score).groupby(keys, as_index=False)[["old", "new", "score"]].mean()
    best = means.groupby(["net", "setting"])["score"].transform("max")
    slack = means["setting"].map(SLACK).fillna(0.0)
    good = means[means["score"] >= best - slack]
    return good.drop_duplicates(["net", "setting"]).reset_index(drop=True)  # values rise, so the smallest comes first


def page(table: pd.DataFrame) -> str:
    """docs/settings.md: the rules, every candidate's means, the winners. Accuracies in %, validation splits."""
    means = table.groupby(["net", "setting", "value", "new_task"])[["old", "new"]].mean().mul(100).round(1)
    columns = list(itertools.product(NEW_TASKS, ("old", "new")))
    wide = means.unstack("new_task").swaplevel(axis=1).reindex(columns=columns)
    won = set(map(tuple, winners(table)[["net", "setting", "value"]].to_numpy().tolist()))
    wide.columns = [f"{task}, {which}" for task, which in wide.columns]
    wide.index = [f"{row[0]} {row[1]} {row[2]:g}" + " **chosen**" * (row in won) for row in wide.index]
    seeds = table["seed"].unique()
    facts = dict(images=f"{NEW_TASK_IMAGES:,}", count=len(seeds), first=seeds.min(), last=seeds.max())
    return PAGE.format(**facts) + markdown(wide.astype(str), "net, setting, value") + "\n"


def _spread(pool: ProcessPoolExecutor, weights: dict[str, float | None]) -> list[dict]:
    work = [(net, seed, weight) for net, weight in weights.items() for seed in SEEDS]
    return [row for part in pool.map(measure, *zip(*work, strict=True)) for row in part]


def main() -> None:
    """Measure all candidates, write the rows and the page, print the winners."""
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        rows = _spread(pool, {net: None for net in PRESETS})
        won = winners(pd.DataFrame(rows)).set_index(["setting", "net"])["value"]
        rows += _spread(pool, won["distill_weight"].to_dict())
    table, folder = pd.DataFrame(rows), Path(__file__).parents[1] / "docs"
    table.to_csv(folder / "settings.csv", index=False, float_format="%.4f", lineterminator="\n")
    table = pd.read_csv(folder / "settings.csv")  # the page is made from the rows as they are kept
    (folder / "settings.md").write_text(page(table), encoding="utf-8")
    print(winners(table).round(4).to_string())


if __name__ == "__main__":
    main()
