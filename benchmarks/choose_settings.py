"""Choose the settings of the main job on validation data, with seeds that the main job does not use.

    python -m benchmarks.choose_settings            # writes docs/settings.csv and docs/settings.md

Three rules for each net, over letters -> mnist, digits, textures:

1. learning rate: the smallest with which plain fine-tuning learns the new tasks within half a point of the best;
2. alpha (for all EBLL variants): the one with the best mean of old-task and new-task accuracy;
3. EWC strength: the smallest whose mean is within half a point of the best. SGD is stable only while learning rate *
   strength * Fisher information stays below 2, and along a sequence the Fisher information adds up.

Everything is read on validation splits, with seeds 100 to 104. The winners stand in `ebll/experiments/plan.py`; a test
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
from ebll.data import load_task
from ebll.errors import TrainingDiverged
from ebll.experiments.plan import NEW_TASK_IMAGES, PRESETS
from ebll.experiments.report import markdown
from ebll.methods import EBLL, EWC, Finetune, Method
from ebll.record import Recorder, measure_accuracy
from ebll.training import learn_first, run_sequence

SEEDS = range(100, 105)
NEW_TASKS = ("mnist", "digits", "textures")
LEARNING_RATES = (0.005, 0.01, 0.02, 0.05)
ALPHAS = (0.3, 1.0, 3.0, 10.0)
STRENGTHS = (30.0, 100.0, 300.0, 1000.0, 3000.0)


PAGE = """# How the settings of the main job were chosen

Written by `python -m benchmarks.choose_settings`; the rows behind it are in `settings.csv`. Old task letters, new tasks
with {images} training images each; validation accuracy in %, mean of the {count} seeds {first} to {last}, which the
main job does not use. No test image was looked at.

For each net: the smallest learning rate with which plain fine-tuning learns the new tasks within half a point of the
best; then the alpha (for all EBLL variants) with the best mean of old-task and new-task accuracy, and the smallest EWC
strength within half a point of the best mean: large steps and, as the Fisher information of several tasks adds up,
large strengths make the penalties unstable. A run that diverged counts as 0. These rules were written down after a
first look at seeds 100 to 102. LwF keeps its paper's temperature 2 and weight 1. The autoencoder's size, weight and
start were set by looking at its fit and at these pairs with seeds 100 and 101; the number of epochs, so that the main
job stays within minutes.

"""


def measure(net: str, seed: int) -> list[dict]:
    """Validation accuracies of every candidate on every pair, one seed."""
    torch.set_num_threads(1)
    preset, old = PRESETS[net], load_task("letters")
    start = learn_first([old], net=net, settings=preset.train, seed=seed, recorder=Recorder(log_every=0))
    coder = EBLL(autoencoder=AutoencoderSettings(code_size=preset.code_size))
    kept = {EBLL: coder.after_task(start.net, 0, old, None, seed), EWC: EWC().after_task(start.net, 0, old, None, seed)}
    candidates: list[tuple[str, float, Method, float]] = [
        *(("learning_rate", rate, Finetune(), rate) for rate in LEARNING_RATES),
        *(("alpha", alpha, coder.replace(alpha=alpha), preset.train.learning_rate) for alpha in ALPHAS),
        *(("ewc_strength", s, EWC(ewc_strength=s), preset.train.learning_rate) for s in STRENGTHS),
    ]
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
                start=dataclasses.replace(start, memory=kept.get(type(method))),
                look_back_last=False,
            )
        except TrainingDiverged:
            rows.append(row)  # counts as nothing learned and all forgotten
            continue
        accuracies = [measure_accuracy(run.net, t, task.validation) for t, task in enumerate((old, new))]
        rows.append(row | dict(zip(("old", "new"), accuracies, strict=True)))
    return rows


def winners(table: pd.DataFrame) -> pd.DataFrame:
    """The three rules: a row per net and setting with the value that won, and its score."""
    score = table["new"].where(table["setting"] == "learning_rate", (table["old"] + table["new"]) / 2)
    keys = ["net", "setting", "value"]
    means = table.assign(score=score).groupby(keys, as_index=False)[["old", "new", "score"]].mean()
    best = means.groupby(["net", "setting"])["score"].transform("max")
    slack = means["setting"].map({"learning_rate": 0.005, "ewc_strength": 0.005}).fillna(0.0)
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


def main() -> None:
    """Measure all candidates, write the rows and the page, print the winners."""
    work = list(itertools.product(PRESETS, SEEDS))
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        rows = [row for part in pool.map(measure, *zip(*work, strict=True)) for row in part]
    table, folder = pd.DataFrame(rows), Path(__file__).parents[1] / "docs"
    table.to_csv(folder / "settings.csv", index=False, float_format="%.4f", lineterminator="\n")
    (folder / "settings.md").write_text(page(table), encoding="utf-8")
    print(winners(table).round(4).to_string())


if __name__ == "__main__":
    main()
