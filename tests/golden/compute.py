"""What the golden files hold, computed anew: the one place here that uses the library.

Each part is a function that returns dictionaries, lists, texts and numbers under plain names. Where the library's
interface changes, this file follows; the names and the data stay.
"""

import hashlib
import tempfile
from pathlib import Path

import pandas as pd
import pytest
import tiny_pages
import tiny_photos
from sweep_rig import map_of
from torch import nn
from widget_rig import LOOP, move, press, settle, until

import ebll
from ebll import METHODS, AutoencoderSettings, Task, TrainSettings, plots
from ebll.data import TASKS, TaskInfo
from ebll.data.builtin import LOADERS
from ebll.paper import find_photos
from ebll.sweeps.maps import QUANTITIES, maps_of
from ebll.sweeps.view import content
from golden import inputs

__all__ = ["PARTS"]

# ---- runs: final weights, accuracies, curves, bytes

TRAINING = TrainSettings(
    epochs=3,
    warmup_epochs=1,
    batch_size=16,
    learning_rate=0.1,
    momentum=0.9,
    weight_decay=5e-4,
    drop_at=0.75,
    threads=1,
)
AUTOENCODER = AutoencoderSettings(code_size=3, recon_weight=0.01, epochs=4, batch_size=16, learning_rate=0.001)
# Strong enough for every term to leave its mark, and another alpha for each old task.
WEIGHTS = {
    "lwf": {"distill_weight": 1.5, "temperature": 2.0},
    "ewc": {"ewc_strength": 30.0},
    "l2": {"l2_strength": 1.0},
    "input-moments": {"moments_strength": 0.1},
    "kfac": {"kfac_strength": 10.0},
    "replay": {"images_per_class": 3, "replay_weight": 0.5},  # 1.5 is unstable here, and magnifies last bits
    "code-only": {"alpha": (10.0, 20.0), "autoencoder": AUTOENCODER},
    "ebll": {"alpha": (10.0, 20.0), "distill_weight": 1.5, "temperature": 2.0, "autoencoder": AUTOENCODER},
    "ebll-separate": {"alpha": (10.0, 20.0), "autoencoder": AUTOENCODER},
}


def small_mlp(input_shape):
    """12 numbers - 8 (F) - 6 (T)."""
    return nn.Sequential(nn.Linear(*input_shape, 8), nn.ReLU()), nn.Sequential(nn.Linear(8, 6), nn.ReLU())


def small_cnn(input_shape):
    """1 x 8 x 8 - 4 x 4 x 4 (F), with running statistics - 6 (T)."""
    convolution = nn.Conv2d(input_shape[0], 4, 3, stride=2, padding=1)
    return nn.Sequential(convolution, nn.BatchNorm2d(4), nn.ReLU()), nn.Sequential(nn.Linear(64, 6), nn.ReLU())


def task(name, seed, **blobs):
    return Task.from_tensors(name, *inputs.blobs(seed, **blobs))


def tasks_of(shape, apart, length=3):
    """Tasks of different sizes and numbers of classes."""
    sizes = [{"count": 60 + 12 * i, "classes": 3 + i % 2} for i in range(length)]
    return [task(f"task{i}", i, shape=shape, apart=apart, **size) for i, size in enumerate(sizes)]


def runs():
    """Every method on sequences of three small tasks, two seeds; two methods on the built-in nets."""
    small = {"small mlp": (small_mlp, (12,), 1.2), "small cnn": (small_cnn, (1, 8, 8), 0.5)}
    made = {name: compared(net, tasks_of(*tasks), METHODS, (0, 1)) for name, (net, *tasks) in small.items()}
    images = tasks_of((1, 28, 28), 0.2, length=2)
    # alpha 10 is unstable there, and magnifies last bits
    milder = {"ebll": WEIGHTS["ebll"] | {"alpha": 3.0}, "ewc": {"ewc_strength": 300.0}}
    return made | {name: compared(name, images, ("ewc", "ebll"), (0,), milder) for name in ("mlp", "cnn")}


def compared(net, tasks, methods, seeds, weights=WEIGHTS):
    methods = {name: METHODS[name]().replace(**weights.get(name, {})) for name in methods}
    found = ebll.compare(
        tasks, {"single-task": "single-task", **methods}, net=net, settings=TRAINING, seeds=seeds, log_every=10
    )
    sizes = {task.name: len(task.test) for task in tasks}
    made = {}
    for seed in seeds:
        alone = pd.DataFrame([row for row in found.single_task_rows if row["seed"] == seed])
        made[f"single-task, seed {seed}"] = {"accuracy": in_images(alone[["after", "task", "accuracy"]], sizes)}
        for name in methods:
            run = found.runs[name, seed]
            made[f"{name}, seed {seed}"] = {
                "weights": final_weights(run.net),
                "accuracy": in_images(run.accuracy[["after", "task", "accuracy"]], sizes),
                "curves": curves(run, {task.name: len(task.validation) for task in tasks}),
                "kept": columns(run.kept[["after", "bytes"]]) if len(run.kept) else {},
            }
    return made


def final_weights(net):
    """A hash of all weights and buffers, and the norm of each."""
    tensors = {name: tensor.detach().contiguous() for name, tensor in net.state_dict().items()}
    digest = hashlib.sha256(b"".join(tensor.numpy().tobytes() for tensor in tensors.values()))
    return {"sha256": digest.hexdigest(), **{name: tensor.double().norm().item() for name, tensor in tensors.items()}}


def in_images(table, sizes):
    """Accuracies as numbers of images: those that were right, and of how many."""
    of = table["task"].map(sizes)
    return columns(table[["after", "task"]].assign(right=(table["accuracy"] * of).round().astype(int), of=of))


def curves(run, held_out):
    """The curves of a run, with numbers of held-out images in place of accuracies."""
    table = run.curves.drop(columns=["sequence", "net", "method", "seed", "raw_task"])
    for name, of in {"accuracy": table["task"], "accuracy_new": table["training"]}.items():
        table[name.replace("accuracy", "right")] = (table[name] * of.map(held_out)).round().astype("Int64")
    return columns(table.drop(columns=["accuracy", "accuracy_new"]).dropna(axis=1, how="all"))


def columns(table):
    """A table as column -> values, None where there is none."""
    return {name: [None if value is pd.NA else value for value in table[name].tolist()] for name in table}


# ---- figures: the table behind each


def tables():
    """The table behind every figure, from made-up inputs."""
    pair, three = inputs.SEQUENCES[1:]
    accuracy, curves, sizes = inputs.accuracy(), inputs.curves(), inputs.code_sizes()
    learning_second = {"training": "textures", "task": "digits", "methods": ["lwf", "ebll"], "warm_up": True}
    outcomes, heads = plots.outcomes(accuracy, pair), {"xlabel": "code", "title": "Sizes"}
    figures = {
        "accuracy matrix": plots.accuracy_matrix(accuracy, three),
        "accuracy over steps": plots.accuracy_over_steps(curves),
        "average along sequence": plots.average_along_sequence(accuracy, three),
        "claims": plots.claims_overview(inputs.claims()),
        "feature distance": plots.feature_distance(curves),
        "feature distance, last task": plots.feature_distance(curves, **learning_second),
        "forgetting": plots.forgetting_bars(accuracy),
        "forgetting by gap": plots.forgetting_by_gap(accuracy, {inputs.SEQUENCES[0]: 0.2, pair: 0.4}),
        "loss terms": plots.loss_terms(curves),
        "over code size": plots.over_setting(sizes, "code", {"accuracy": "accuracy", "share": "share"}, **heads),
        "stability and plasticity": plots.stability_plasticity(accuracy),
        "submanifold": plots.submanifold(inputs.points()),
        "task images": plots.task_images(inputs.images()),
        "trade-off fronts": plots.stability_plasticity(inputs.accuracy_by_setting()),
    }
    made = {"outcomes": outcomes} | {name: figure.table for name, figure in figures.items()}
    return {name: columns(table) for name, table in made.items()}


# ---- widgets: a trace of twelve events

OPENED = 'old="one", new="two", epochs=2, learning_rate=0.1, methods=("ebll",)'


def widgets():
    """What each widget shows when it is opened, and after each of twelve events."""
    shape = {"shape": (1, 28, 28), "count": 240, "apart": 0.15}
    tasks = [task("one", 1, classes=3, **shape), task("two", 2, classes=4, **shape)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EBLL_STATIC", "0")
        patch.setattr("ebll.widgets.base.event_loop", lambda: LOOP)
        # The trace is of numbers, and drawing would take most of the time.
        return {
            "forgetting lab": forgetting_lab(tasks),
            "what if": what_if(tasks),
            "submanifold explorer": submanifold_explorer(tasks),
            "sweep explorer": sweep_explorer(),
        }


def trace(panel, state, events):
    """The state when the panel is opened, and after each event, by its name."""
    try:
        made = {"opened": state(panel)}
        for place, (name, event) in enumerate(events.items(), 1):
            event(panel)
            made[f"{place}. {name}"] = state(panel)
        return made
    finally:
        panel.close()


def ended(event):
    """The event, and the end of the run that it begins."""
    return lambda panel: (event(panel), settle(panel))


def held(panel):
    """Ask for a step, and wait until the run is held at it."""
    press(panel, "step")
    until(lambda: panel.held, "the step")


def forgetting_lab(tasks):
    def tick_lwf(panel):
        panel.boxes["lwf"].value = True

    events = {
        "pin": lambda panel: press(panel, "pin"),
        "move alpha to 0": ended(lambda panel: move(panel, alpha=0.0)),
        "tick LwF": ended(tick_lwf),
        "step, from rest": held,
        "stop": ended(lambda panel: press(panel, "stop")),
        "move alpha to -1, which is refused": lambda panel: move(panel, alpha=-1.0),
        "reset": ended(lambda panel: press(panel, "reset")),
    }
    return trace(ebll.widgets.forgetting_lab(OPENED, tasks=tasks), state_of_runs, events)


def what_if(tasks):
    events = {
        "step, from rest": held,
        "move alpha to 0, and step": lambda panel: (move(panel, alpha=0.0), held(panel)),
        "resume": ended(lambda panel: press(panel, "pause")),
    }
    return trace(ebll.widgets.forgetting_lab(OPENED, mode="mid-run", speed=1e6, tasks=tasks), state_of_runs, events)


def state_of_runs(panel):
    settings = {name: getattr(panel.config, name) for name in panel.config.__dataclass_fields__ if name != "changes"}
    names = ["step", "feature_distance", "feature_norm", "code_distance", "accuracy", "accuracy_new"]
    rows = {name: pd.DataFrame(recorder.curve_rows) for name, recorder in panel.made.recorders.items()}
    wanted = [*names, "loss_task", "loss_distill", "loss_code"]
    return {
        "settings": settings | {"methods": list(settings["methods"])},
        "refused": bool(panel.status.wrong),
        "pinned": list(panel.pinned),
        "results": columns(panel.table().drop(columns="settings")),
        "curves": {name: columns(table[[n for n in wanted if n in table]]) for name, table in rows.items()},
        "changed in mid-run": [list(change) for change in panel.made.changes],
    }


def submanifold_explorer(tasks):
    def state(panel):
        found = panel.found
        return {
            "settings": {name: getattr(panel.config, name) for name in panel.config.__dataclass_fields__},
            "accuracy": found.accuracy,
            "missed": found.missed,
            "held along the first directions": found.holds[:4],
        }

    events = {"move the code size to 4": ended(lambda panel: move(panel, code_size=4.0))}
    opened = 'task="one", label="0", code_size=8'
    return trace(ebll.widgets.submanifold_explorer(opened, tasks=tasks), state, events)


def sweep_explorer():
    def state(panel):
        maps, view = panel.maps, panel.view
        cells = map_of(maps, **view)
        (chosen,) = cells.loc[cells["chosen"], "cell"]
        kinds = {view["method"]: chosen, **maps.beside[chosen]}
        courses = [maps.curves[maps.curves["cell"] == cell].assign(method=kind) for kind, cell in kinds.items()]
        seeds = maps.runs[maps.runs["cell"] == chosen]
        measured = {f"{name}_{view['data']}": name for name in QUANTITIES}
        return {
            "settings": {name: value for name, value in view.items() if name != "near"},
            "map": columns(cells.drop(columns="cell").astype({"ended": int, "failed": int, "planned": int})),
            "curves": columns(pd.concat(courses)[["method", "step", "mean", "low", "high", "seeds"]]),
            "seeds": columns(seeds.rename(columns=measured)[["seed", *QUANTITIES, "failure"]]),
        }

    def move_alpha(panel):
        panel.root.view = panel.view | {"alpha": 3.0}

    return trace(ebll.widgets.sweep_explorer(small_tables()), state, {"move alpha to 3": move_alpha})


# ---- sweep, page


def sweep():
    """The table of a sweep over method, alpha and seed."""
    grid = {"tasks": [["near_blobs", "far_blobs"]], "images": 150, "epochs": 2, "warmup_epochs": 1, "log_every": 2}
    grid |= {
        "learning_rate": 0.05,
        "code_size": 8,
        "method": ["finetune", "lwf", "ewc", "ebll"],
        "alpha": [1.0, 8.0],
        "seed": [1, 2],
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, load in {"near_blobs": load_near_blobs, "far_blobs": load_far_blobs}.items():
            facts = {"classes": 3, "train": 204, "validation": 36, "test": 240, "source": "", "licence": "", "note": ""}
            here = ("torch", "torch", "version.py")  # a task that needs no file counts as one to be downloaded
            patch.setitem(TASKS, name, TaskInfo(name, **facts, needs=here))
            patch.setitem(LOADERS, name, load)
        found = ebll.sweep(grid, workers=1)
    return columns(found.table.astype({"kept_bytes": int}))


def load_near_blobs(**_):
    return task("near_blobs", 3, count=240, classes=3, shape=(1, 28, 28), apart=0.15)


def load_far_blobs(**_):
    return task("far_blobs", 4, count=240, classes=3, shape=(1, 28, 28), apart=0.15)


def small_tables():
    """Made-up tables of a sweep in which two runs failed."""
    return tiny_pages.tables(
        tasks=[["letters", "digits"]],
        alpha=[0.3, 3.0],
        recon_weight=[1e-2],
        fails=lambda config: config.method == "ebll" and config.alpha == 3 and config.seed == config.distill_weight,
    )


def page():
    """What is inside an exported page: each setting with its accuracies, curve and seeds."""
    maps = maps_of(small_tables())
    told = content(maps)
    runs, curves = pd.DataFrame(told["runs"], dtype=object), pd.DataFrame(told["curves"])
    cells = {}
    for number, cell in enumerate(rows(told["cells"])):
        axes = told["methods"][cell["method"]]["axes"]
        own, curve = runs[runs["cell"] == number], curves[curves["cell"] == number]
        seeds = {name: own[name].tolist() for name in ("seed", "failure")}
        made = {name: cell[name] for name in ("ended", "failed", "planned")}
        edges = dict(zip(("columns", "rows"), [*axes, "", ""], strict=False))
        for data in told["data"]:
            spread = {f"{name} std": cell[f"{name}_{data}_sd"] for name in QUANTITIES}
            at = {name: cell[name] for name in ("tasks", "method", *axes)}
            shown = map_of(maps, **at, **edges, data=data)
            (front,) = shown.loc[shown["chosen"], "on_front"]
            on_front = {"on a front": bool(front) and cell["method"] == "ebll"}
            made[data] = {name: cell[f"{name}_{data}"] for name in QUANTITIES} | spread | on_front
            seeds |= {f"{name}, {data}": own[f"{name}_{data}"].tolist() for name in QUANTITIES}
        if len(curve):
            made["feature distance"] = columns(curve[["step", "mean", "low", "high"]])
        made["beside it"] = sorted(cell["beside"])
        at = [f"{name} {cell[name]:g}" for name in axes]
        cells[", ".join([cell["tasks"], cell["method"], *at])] = made | {"seeds": seeds}
    failed = int((runs["failure"] != "").sum())
    counts = {"runs": len(runs), "failed": failed, "planned": maps.planned, "seeds": int(runs["seed"].nunique())}
    return counts | {"ranges of colour": told["ranges"]["letters-digits"]["ebll"], "settings": cells}


def rows(columns):
    """The rows of a table that stands as column -> values."""
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


# ---- photos


def photos():
    """Which file is which class in which part of every photo set, and of a folder of one's own."""
    made = {}
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        for name, write in tiny_photos.WRITERS.items():
            tiny_photos.counts(patch, name, write(Path(folder)))
            made[name] = layout(find_photos(name, folder))
        tiny_photos.write_folder(Path(folder))
        made["a folder of one's own"] = layout(find_photos("own", folder))
    return made


def layout(found):
    """Of each part, and the classes that have images: torchvision names all that were published."""
    parts = {"train": found.train, "test": found.test}
    return {
        part: {file: found.classes[label] for file, label in sorted(zip(*files, strict=True))}
        for part, files in parts.items()
    } | {"classes": [found.classes[label] for label in sorted(set(found.train.labels))]}


PARTS = {"runs": runs, "figures": tables, "widgets": widgets, "sweep": sweep, "page": page, "photos": photos}
"""Name of each golden file -> what computes it."""
