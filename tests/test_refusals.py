"""What the public functions refuse, a row a refusal; tests/messages.txt holds in which words, in the same order."""

import math

import numpy as np
import pandas as pd
import pytest
import torch
from golden import inputs
from messages import refused
from PIL import Image
from tiny import SETTINGS, blobs, method, noisy, sequence, small
from torch import nn

import ebll
from ebll import EBLL, EWC, LwF, Recorder, Task, TrainSettings, build_network, compare, plots, run_sequence
from ebll.comparison import SINGLE_TASK
from ebll.data import Split, load_task
from ebll.fisher import fisher_diagonal, fisher_diagonal_loop
from ebll.methods.base import per_old_task
from ebll.metrics import average_accuracy, backward_transfer, forgetting, forward_transfer
from ebll.protocol import begin, complete, learn, learn_first

X, Y = torch.rand(30, 1, 5, 4, generator=torch.Generator().manual_seed(0)), torch.arange(30) % 3
NAN, INF = math.nan, math.inf


# ---- data


def make(train=(X, Y), test=(X[:9], Y[:9]), **options):
    return Task.from_tensors("mine", train, test, **options)


def test_tensors():
    broken = X.clone()
    broken[3, 0, 0, 0], broken[3, 0, 1, 1], broken[8, 0, 0, 2] = NAN, INF, -INF
    refused(
        lambda: make((X.flatten(), Y)),
        lambda: make((X[:0], Y[:0])),
        lambda: make((X > 0.5, Y)),
        lambda: make((X.to(torch.complex64), Y)),
        lambda: make((np.array([None] * 30), Y)),
        lambda: make(("images", Y)),
        lambda: make(([[1.0, 2.0], [3.0]], [0, 1])),
        lambda: make((broken, Y)),
        lambda: make((X.double() * 1e300, Y)),  # infinite in single precision
        lambda: make((torch.rand(30, 28, 28, 3), Y)),
        lambda: make(X),
    )


def test_labels_and_class_names():
    refused(
        lambda: make((X, Y.float())),
        lambda: make((X, Y[:, None])),
        lambda: make((X, Y[:-1])),
        lambda: make((X, Y - 1)),
        lambda: make((X, Y * 0)),
        lambda: make((X, Y * 2)),
        lambda: make((X, Y + 10**12)),  # and memory is not filled with names
        lambda: make((X[:5], torch.tensor([0, 0, 2, 2, 1]))),
        lambda: make(classes=["cat", "dog"]),
        lambda: make(classes=["cat", "dog", "eel", "fox"]),
        lambda: make(classes=["dog", "dog", "eel"]),
        lambda: make(classes="abc"),
    )


def test_splits_that_do_not_fit_together_and_settings_out_of_range():
    refused(
        lambda: make(test=(torch.rand(9, 1, 5, 5), Y[:9])),
        lambda: make(test=(torch.rand(9, 3, 5, 4), Y[:9])),
        lambda: make(validation=(torch.rand(9, 20), Y[:9])),
        lambda: make(test=(X, Y + 1)),
        lambda: make(test=((X * 255).byte(), Y)),
        lambda: make(validation_fraction=1.0),
        lambda: make(seed=-1),
        lambda: Task.from_tensors(" ", (X, Y), (X, Y)),
        lambda: make().subset(2),
        lambda: Split(X.double(), Y),
        lambda: Split(X[:, 0], Y),
        lambda: Split(X, Y[1:]),
        lambda: load_task("fasion"),
    )


def fill(root, counts):
    """As many images of 8 x 8 pixels as `counts` says of each class."""
    for name, count in counts.items():
        (root / name).mkdir(parents=True, exist_ok=True)
        for i in range(count):
            Image.new("L", (8, 8), i).save(root / name / f"{i}.png")
    return root


def test_folders(tmp_path):
    folder = Task.from_folder
    file, empty = tmp_path / "file", tmp_path / "empty"
    file.write_text("")
    empty.mkdir()
    bare = fill(tmp_path / "bare", {"a": 0, "b": 1})
    one = fill(tmp_path / "one", {"a": 4})
    few, fewer = fill(tmp_path / "few", {"a": 4, "b": 2}), fill(tmp_path / "fewer", {"a": 4, "b": 1})
    halved = fill(tmp_path / "halved" / "train", {"ash": 4, "oak": 4}).parent
    other = fill(tmp_path / "other" / "train", {"ash": 4, "oak": 4, "yew": 4}).parent
    fill(other / "test", {"ash": 2, "elm": 2, "oak": 2})
    refused(
        lambda: folder(tmp_path / "gone"),
        lambda: folder(file),
        lambda: folder(empty),
        lambda: folder(bare),
        lambda: folder(halved),
        lambda: folder(other),
        lambda: folder(one),
        lambda: folder(few),
        lambda: folder(fewer),
        lambda: folder(one, channels=2),
        lambda: folder(one, size=2),
        lambda: folder(one, test_fraction=0),
    )


# ---- networks


class InPlace(nn.Module):
    def forward(self, values):
        return values.sub_(1)


def test_nets():
    flat, pass_on = nn.Linear(12, 3), nn.Identity()
    with_head = build_network("mlp", (12,))
    with_head.add_head(3)
    nets = ["mpl", "resnet18", "cnn", None, 3, flat, (flat,), (flat, "T")]
    nets += [lambda shape: None, lambda shape: flat, lambda shape: [pass_on, None]]
    nets += [(part, pass_on) for part in (nn.Linear(11, 8), nn.Conv2d(1, 2, 3), nn.BatchNorm2d(1))]
    nets += [(nn.Sequential(nn.Linear(12, 4), nn.LSTM(4, 2)), pass_on), (nn.Flatten(), nn.LSTM(12, 4))]
    nets += [(nn.Flatten(), nn.Unflatten(1, (3, 4))), (nn.Linear(12, 8), InPlace()), (InPlace(), pass_on), with_head]
    refused(
        *(lambda net=net: build_network(net, (12,)) for net in nets),
        lambda: build_network(build_network("mlp", (1, 28, 28)), (3, 32, 32)),
        *(lambda classes=classes: build_network(small, (12,)).add_head(classes) for classes in (1, 0, 2.0, "3")),
        lambda: build_network(small, (12,)).separate_operators(),
        *(lambda code=code: ebll.Autoencoder(4, code) for code in (0, 4, 5, -1)),
    )


# ---- runs


def run(chosen="lwf", tasks=None, net=small, settings=SETTINGS, **options):
    return run_sequence(sequence(2) if tasks is None else tasks, chosen, net=net, settings=settings, **options)


def test_methods_are_refused_before_anything_is_learned():
    recorder = Recorder()
    chosen = ["elbb", EBLL, None, 3, nn.Identity(), EBLL(autoencoder={"code_size": 4})]
    refused(*(lambda one=one: run(one, recorder=recorder) for one in chosen))
    assert not recorder.accuracy_rows


def test_a_sequence_is_a_list_of_tasks():
    a, b = blobs("a", 0), blobs("b", 1)
    wrong = [], ["mnist"], [None], "mnist", None, 3, {"a": a}, {a, b}, a
    refused(*(lambda tasks=tasks: run_sequence(tasks, "lwf") for tasks in wrong))


def test_sequences_starts_and_settings_of_a_run():
    first, second = sequence(2)
    start = learn_first([blobs("task0", 0, classes=4)], net=small, settings=SETTINGS)
    left = begin([first, second], method("ebll"), net=small)
    next(learn(left, [first, second], SETTINGS))
    refused(
        lambda: run(tasks=[first, second, first]),
        lambda: run(tasks=[first, blobs("b", 1, shape=(1, 4, 4))]),
        lambda: run(seed=-1),
        lambda: run(seed=2**63),
        lambda: run(settings={"epochs": 1}),
        lambda: run(recorder=[]),
        lambda: run(recorder=start.recorder),
        lambda: run(start=build_network(small, (12,))),
        lambda: run(start=start),
        lambda: Recorder(log_every=-1),
        lambda: next(learn(left, [second, first], SETTINGS)),
        lambda: complete(left, [first, second], SETTINGS),
        lambda: per_old_task((1.0,), 2, "alpha"),
    )


@pytest.mark.parametrize("learns", [learn_first, lambda tasks, **options: run_sequence(tasks, "lwf", **options)])
def test_a_batch_of_one_input_is_refused_where_batchnorm_learns_from_it_alone(learns):
    tasks = sequence(2)
    first, second = (len(task.train) for task in tasks)

    def of(size, net=noisy, tasks=tasks):
        learns(tasks, net=net, settings=SETTINGS.replace(batch_size=size, epochs=1))

    refused(lambda: of(first - 1), lambda: of(1))
    of(first - 1, small)
    of(first)
    of(second - 1)  # it learns no more from the second task
    spread = (nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.Flatten()), nn.Linear(12, 5))
    of(1, spread, [blobs("images", 0, shape=(1, 4, 4))])  # several positions of one image are enough


def test_comparisons():
    tasks, options = sequence(3), {"net": small, "settings": SETTINGS}
    starts = compare(tasks[:2], ["finetune"], seeds=[0], **options).starts
    methods = [[], ["lfw"], {"mine": 3}, [3], ["ewc", "ewc"], [EBLL(alpha=1.0), EBLL(alpha=2.0)], {1: "lwf"}, 5]
    methods += [{SINGLE_TASK: ebll.Finetune()}, {"mine": SINGLE_TASK}]
    refused(
        *(lambda chosen=chosen: compare(tasks, chosen, **options) for chosen in methods),
        *(lambda seeds=seeds: compare(tasks, "lwf", seeds=seeds, **options) for seeds in (3, [], [-1], ["a"], None)),
        lambda: compare(tasks, "lwf", progress=True, **options),
        lambda: compare(tasks[1:], ["finetune"], seeds=[0], starts=starts, **options),
        lambda: compare(tasks[:2], ["finetune"], seeds=[0], starts=[1], **options),
        lambda: compare(tasks[:2], ["finetune"], seeds=[0], starts={0: "a net"}, **options),
    )
    done = []
    with pytest.raises(ebll.InputError):  # the start of the second seed, before anything is learned with the first
        compare(tasks[1:], "lwf", seeds=[1, 0], starts=starts, progress=lambda *told: done.append(told), **options)
    assert done == []


def test_numbers_of_a_run():
    net, x = nn.Linear(4, 3), torch.randn(5, 4)
    matrices = [[0.1, 0.2]], [0.1, 0.2], [], np.zeros((0, 0)), [[0.1, NAN], [NAN, 0.2]]
    summaries = average_accuracy, forgetting, backward_transfer
    refused(
        *(lambda f=f, m=m: f(m) for f in summaries for m in matrices),
        lambda: forward_transfer(np.eye(3), [0.1, 0.2]),
        lambda: fisher_diagonal(net, net, [net.weight], x, Y[:5], "exat"),
        lambda: fisher_diagonal_loop(net, net, [net.weight], x, Y[:5], "exat"),
        lambda: fisher_diagonal(net, net, [net.weight], x[:0], Y[:0]),
    )


# ---- settings


def test_settings():
    refused(
        lambda: LwF(temperature=0),
        lambda: EBLL(alpha="1"),
        lambda: EBLL(temperature=[2, 2]),
        lambda: TrainSettings(batch_size=10**30),
        *(lambda alpha=alpha: EBLL(alpha=alpha) for alpha in ([], [1, -2], (NAN, 1), (1, "2"), [[1.0]])),
        lambda: EWC(fisher="exakt"),
        lambda: EBLL().replace(alpha=-1),
        lambda: EBLL().replace(temprature=1),
        lambda: ebll.course.setup("quick"),
    )


# ---- figures

PAIR = "mlp:letters-textures"
ACCURACY = inputs.accuracy([PAIR]).query("method in ('lwf', 'ebll')").reset_index(drop=True)
FIRST = ACCURACY[ACCURACY["after"] == "letters"]
CURVES = inputs.curves().query("training == 'digits' and method in ('lwf', 'ebll')").reset_index(drop=True)
ANSWERS = inputs.predictions()
SIZES, SWEPT, POINTS = inputs.code_sizes(), inputs.accuracy_by_setting(), inputs.points()


def test_tables_of_accuracies():
    refused(
        lambda: plots.forgetting_bars([1]),
        lambda: plots.forgetting_bars(ACCURACY[:0]),
        lambda: plots.forgetting_bars(ACCURACY.drop(columns=["seed", "after"])),
        lambda: plots.forgetting_bars(ACCURACY.assign(accuracy=92.0)),
        lambda: plots.forgetting_bars(pd.concat([ACCURACY, ACCURACY], ignore_index=True)),
        lambda: plots.forgetting_bars(ACCURACY.query("after == task")),
        lambda: plots.accuracy_matrix(ACCURACY, "mlp:letters"),
        lambda: plots.accuracy_matrix(inputs.accuracy()),
        lambda: plots.accuracy_matrix(ACCURACY, PAIR, ["lfw"]),
        lambda: plots.accuracy_matrix(ACCURACY, PAIR, []),
        lambda: plots.stability_plasticity(FIRST),
        lambda: plots.average_along_sequence(FIRST),
        lambda: plots.average_along_sequence(ACCURACY.assign(accuracy=np.nan)),
        lambda: plots.forgetting_by_gap(ACCURACY, [PAIR]),
        lambda: plots.forgetting_by_gap(ACCURACY, {PAIR: np.nan}),
        lambda: plots.stability_plasticity(SWEPT.query("method != 'single-task' and after == task")),
    )


def over(table, *ys, **options):
    return plots.over_setting(table, "code", {y: y for y in ys}, xlabel="code size", title="Codes", **options)


def test_other_tables_and_images():
    seven = pd.concat([POINTS.assign(label=label) for label in "ABCDEFG"])
    images, (claim, *_) = np.zeros((2, 4, 4)), inputs.claims()
    longer = pd.concat([ANSWERS, ANSWERS.assign(training="mnist")])
    refused(
        lambda: plots.accuracy_over_steps(CURVES.drop(columns="accuracy_new")),
        lambda: plots.accuracy_over_steps(CURVES.assign(accuracy=np.nan)),
        lambda: plots.accuracy_over_steps(CURVES.assign(accuracy=80.0)),
        lambda: plots.feature_distance(CURVES.assign(task="")),
        lambda: plots.feature_distance(CURVES[CURVES["stage"] == "warm-up"]),
        lambda: plots.feature_distance(CURVES, panels=["ewc"]),
        lambda: plots.feature_distance(CURVES, task="mnist"),
        lambda: plots.submanifold(POINTS.drop(columns="x_back")),
        lambda: plots.submanifold(seven),
        lambda: plots.submanifold(POINTS, regions=POINTS[["x", "y"]]),
        lambda: over(SIZES),
        lambda: over(SIZES.replace({"code": {2: np.inf}}).astype({"code": float}), "share"),
        lambda: over(SIZES.assign(share=np.nan), "share"),
        lambda: over(SIZES, "accuracy", references={"joint": {"acuracy": 90}}),
        lambda: over(SIZES.assign(accuracy=0.0), "accuracy", log_y=True),
        lambda: plots.task_images({}),
        lambda: plots.task_images({"a": (np.zeros((2, 3, 4, 4)), "ab")}),
        lambda: plots.task_images({"a": (images, "abc")}),
        lambda: plots.task_images({"a": (images + 255, "ab")}),
        *(
            lambda rows=rows: plots.confusion(rows)
            for rows in (longer, ANSWERS.assign(stage="warm-up"), CURVES, ANSWERS[:0])
        ),
        lambda: plots.lost_images(pd.concat([ANSWERS, ANSWERS])),
        lambda: plots.class_recall(ANSWERS, ["ewc"]),
        lambda: plots.forgotten_images(ANSWERS, blobs("mnist", 0, shape=(1, 4, 4))),
        lambda: plots.forgotten_images(ANSWERS, blobs("letters", 0, count=600)),
        lambda: plots.forgotten_images(ANSWERS.query("step == 0"), blobs("letters", 0, count=600)),
        lambda: plots.claims_overview([]),
        lambda: plots.claims_overview([{key: claim[key] for key in ("id", "statement", "estimate")}]),
    )
