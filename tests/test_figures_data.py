"""Made-up tables in the shape of the real ones, for all tests of `ebll.figures`; nothing is trained."""

from __future__ import annotations

import numpy as np
import pandas as pd

METHODS = ["alone", "joint", "finetune", "feature-extraction", "lwf", "ewc", "code-only", "ebll", "ebll-separate"]
FORGET = dict(zip(METHODS, [0.0, 0.01, 0.3, 0.0, 0.1, 0.14, 0.08, 0.05, 0.02], strict=True))


def accuracy_table(*sequences: str, seeds: int = 5, methods: list[str] = METHODS, gap: float = 1.0) -> pd.DataFrame:
    rng, rows = np.random.default_rng(0), []
    for place, sequence in enumerate(sequences or ["mlp:letters-textures"]):
        net, tasks = sequence.split(":")[0], sequence.split(":")[1].split("-")
        best = {task: 0.9 - 0.15 * (i % 4) for i, task in enumerate(tasks)}
        for method in methods:
            for seed in range(seeds):
                for i, after in enumerate(tasks):
                    for j in [i] if method == "alone" else range(i + 1):
                        lost = FORGET.get(method, 0.2) * (i - j) * (0.4 + 0.3 * gap * place) / (1 + 0.4 * (i - j))
                        value = best[tasks[j]] - lost - (0.03 if method == "feature-extraction" and j else 0)
                        value += rng.normal(0, 0.008)
                        rows.append((sequence, net, method, seed, after, tasks[j], float(np.clip(value, 0, 1))))
    return pd.DataFrame(rows, columns=["sequence", "net", "method", "seed", "after", "task", "accuracy"])


def curves_table(
    sequence: str = "cnn:letters-textures", seeds: int = 5, methods: list[str] = METHODS[2:], steps: int = 500
) -> pd.DataFrame:
    rng, rows = np.random.default_rng(1), []
    net, tasks = sequence.split(":")[0], sequence.split(":")[1].split("-")
    end = dict(zip(METHODS, [0, 20, 33, 0, 23, 28, 6, 3, 1.5], strict=True))
    when = [("warm-up", s) for s in range(0, 60, 10)] + [("train", s) for s in range(0, steps + 1, 10)]
    for training in tasks[1:]:
        for method in methods:
            for seed in range(seeds):
                size = 1 + 0.1 * rng.normal()
                for stage, step in when:
                    t = 0 if stage == "warm-up" else step
                    rise = end[method] * (1 - np.exp(-t / 30)) + 0.6 * (end[method] > 0) * t * np.exp(1 - t / 40)
                    distance = size * rise
                    terms = {"task": 2.3 * np.exp(-t / 120) + 0.2 + 0.03 * rng.normal()}
                    if method in ("lwf", "ebll", "ebll-separate"):
                        terms["distill"] = 0.3 + 0.01 * distance
                    if method in ("code-only", "ebll", "ebll-separate"):
                        terms["code"] = 0.02 * distance + 0.001 * (t > 0)
                    if method == "ewc":
                        terms["penalty"] = 0.01 * distance
                    for task in tasks[: tasks.index(training)]:
                        row = dict(sequence=sequence, net=net, method=method, seed=seed, training=training)
                        row |= dict(
                            stage=stage, step=step, task=task, feature_distance=distance, feature_norm=79 + 0.01 * t
                        )
                        row |= dict(code_distance=distance / 10, accuracy=0.9 - 0.003 * distance, learning_rate=0.02)
                        row |= dict(accuracy_new=0.8 - 0.6 * size * np.exp(-(step + 20 * (stage == "train")) / 120))
                        for term in ("task", "distill", "code", "penalty"):
                            row |= {f"loss_{term}": terms.get(term, np.nan), f"raw_{term}": terms.get(term, np.nan)}
                        rows.append(row)
    return pd.DataFrame(rows)


_FAR = "On the far pair EBLL keeps more of the old task than LwF, by at least one point"
_GROWS = "The gain of EBLL over LwF grows with the distance between the domains, in the order near, middle, far"
_FIELDS = ("id", "statement", "estimate", "low", "high", "verdict")
CLAIMS = [
    dict(zip(_FIELDS, values, strict=True))
    for values in (
        ("C1", _FAR, 5.2, 3.9, 6.5, "supported"),
        ("C2", "On the near pair EBLL is better than LwF", 0.4, -0.3, 1.1, "undecided"),
        ("C3", "EBLL costs less than one point on the new task", -2.4, -3.1, -1.7, "not supported"),
        ("C4", _GROWS, 2.4, 1.2, 3.6, "supported"),
    )
]


def test_generators_make_one_row_per_measurement():
    key = ["sequence", "method", "seed", "after", "task"]
    assert not accuracy_table("mlp:a-b-c", "cnn:a-b").duplicated(key).any()
    assert len(curves_table(seeds=2, methods=["lwf"], steps=50)) == 2 * (6 + 6)
