"""Made-up inputs, the same on every machine: images to learn, and tables to draw. Uses nothing of the library."""

import itertools

import numpy as np
import pandas as pd

METHODS = ("single-task", "joint", "finetune", "feature-extraction", "lwf", "ewc", "code-only", "ebll", "ebll-separate")
SEEDS = range(3)
SEQUENCES = ("mlp:letters-digits", "mlp:letters-textures", "mlp:letters-digits-textures")


def blobs(seed, *, count, classes, shape, apart):
    """Two draws of Gaussian blobs, one a class, whose centres are `apart` deviations: for training and for test."""
    generator = np.random.default_rng(seed)
    labels = np.arange(count) % classes
    centres = apart * generator.standard_normal((classes, *shape))
    return [((centres[labels] + generator.standard_normal((count, *shape))).astype(np.float32), labels) for _ in "ab"]


def wobble(*places):
    """A number from -1 to 1 that looks random and is not."""
    return (sum((3 * i + 7) * place * place + 5 * place for i, place in enumerate(places, 1)) % 41 - 20) / 20


def accuracy(sequences=SEQUENCES, **more):
    """Rows of the accuracy matrix: old tasks lose, the more the longer ago and the less protected they are."""
    rows = []
    for (s, sequence), (m, method), seed in itertools.product(enumerate(sequences), enumerate(METHODS), SEEDS):
        net, tasks = sequence.split(":")[0], sequence.split(":")[1].split("-")
        for i, j in itertools.product(range(len(tasks)), repeat=2):
            if (i == j) if method == "single-task" else (j <= i):
                value = 0.9 - 0.1 * j - 0.03 * (i - j) * (1 + abs(m - 5) / 2 + s) + 0.01 * wobble(s, m, seed, i, j)
                facts = {"sequence": sequence, "net": net, "method": method, "seed": seed}
                rows.append({**facts, "after": tasks[i], "task": tasks[j], "accuracy": value, **more})
    return pd.DataFrame(rows)


def accuracy_by_setting():
    """The accuracies of one sequence for three values of a setting; one seed of the last did not reach the end."""
    table = pd.concat([accuracy(SEQUENCES[1:2], strength=strength) for strength in (0.0, 1.0, 10.0)], ignore_index=True)
    table["accuracy"] -= 0.01 * table["strength"] * np.where(table["task"] == "letters", -0.5, 1)
    late = (table["seed"] == 2) & (table["after"] == "textures") & (table["method"] == "ewc")
    return table[~(late & (table["strength"] == 10))]


def curves():
    """Curves of a sequence of three tasks, warm-up included: losses fall, distances rise and fall."""
    sequence, rows = SEQUENCES[2], []
    terms = {"finetune": (), "lwf": ("distill",), "ewc": ("penalty",), "ebll": ("distill", "code")}
    when = [*itertools.product(["warm-up"], (0, 4)), *itertools.product(["train"], (0, 4, 8, 16))]
    for (m, method), seed, t, (stage, step) in itertools.product(enumerate(terms), SEEDS, (1, 2), when):
        for j in range(t):
            shift, moved = wobble(m, seed, t, j, step), step if stage == "train" else 0
            tasks = sequence.split(":")[1].split("-")
            losses = {"task": 2 / (1 + step) + 0.01 * shift} | {n: 0.1 + 0.02 * moved for n in terms[method]}
            rows.append(
                {"sequence": sequence, "net": "mlp", "method": method, "seed": seed}
                | {"training": tasks[t], "stage": stage, "step": step, "task": tasks[j]}
                | {"feature_distance": moved * (24 - moved) * (4 - m) / 10 + 0.1 * moved * shift}
                | {"feature_norm": 70 + moved / 2, "code_distance": moved / 20, "learning_rate": 0.02}
                | {"accuracy": 0.9 - 0.01 * moved + 0.005 * shift, "accuracy_new": 0.3 + 0.02 * step + 0.01 * shift}
                | {f"loss_{n}": losses.get(n, np.nan) for n in ("task", "distill", "code", "penalty")}
                | {"loss_total": sum(losses.values())}
            )
    return pd.DataFrame(rows)


def predictions(classes="ABCDEFGHIJKLMNOPQRSTUVWXYZ", methods=("finetune", "lwf", "ebll"), seeds=SEEDS):
    """Three images a class, answered right before letters -> textures; later some get the answer of a class nearby."""
    rows, count = [], len(classes)
    for (m, method), seed, step, image in itertools.product(enumerate(methods), seeds, (0, 10, 20), range(3 * count)):
        gone = step > 0 and wobble(image, seed, step) > 0.05 * step - 1.2 + 0.8 * (m + 1)
        label, answer = classes[image // 3], classes[(image // 3 + gone * (1 + image % 4)) % count]
        facts = {"sequence": "mlp:letters-textures", "net": "mlp", "method": method, "seed": seed}
        facts |= {"training": "textures", "stage": "train", "step": step, "task": "letters"}
        rows.append({**facts, "image": image, "label": label, "predicted": answer})
    return pd.DataFrame(rows)


def code_sizes():
    """Accuracy and missed spread over the size of a code, for two ways to get one."""
    rows = [
        {"code": size, "kind": kind, "seed": seed}
        | {"accuracy": 90 - 40 / size - 5 * k + wobble(size, k, seed), "share": 1 / (1 + size) + 0.01 * wobble(k, seed)}
        for size, (k, kind), seed in itertools.product((2, 8, 32), enumerate(("autoencoder", "PCA")), SEEDS)
    ]
    return pd.DataFrame(rows)


def points():
    """Places of features and of their reconstructions, for two codes."""
    rows = []
    for (p, panel), i in itertools.product(enumerate(("code of 2", "code of 10")), range(6)):
        x, y, share = 3 * wobble(i, p), 2 * wobble(p, i, i), 0.5 / (1 + p)
        facts = {"panel": panel, "label": "ABC"[i % 3], "x": x, "y": y, "x_back": x * (1 - share), "y_back": y * share}
        rows.append({**facts, "share": share, "accuracy": 0.9 - share})
    return pd.DataFrame(rows)


def claims():
    """A claim of each verdict."""
    fields = ("id", "statement", "estimate", "low", "high", "verdict")
    told = (
        ("C1", "EBLL keeps more of the old task than LwF", 5.2, 3.9, 6.5, "supported"),
        ("C2", "EBLL costs less than one point on the new task", -2.4, -3.1, -1.7, "not supported"),
        ("C3", "EBLL is better than LwF on the near pair", 0.4, -0.3, 1.1, "undecided"),
    )
    return [dict(zip(fields, claim, strict=True)) for claim in told]


def images():
    """A few grey images of two tasks, with their classes."""
    ramp = np.linspace(0, 1, 64).reshape(1, 8, 8)
    return {"digits": (np.concatenate([ramp, ramp**2]), ["0", "1"]), "letters": (1 - ramp, ["A"])}
