"""The paper's runs: the bits of the same thing done by hand, wherever they are stopped; and runs that diverge."""

import json
import shutil

import pandas as pd
import pytest
import torch
from filelock import FileLock
from messages import raises, review
from paper_rig import QUIET, photos, same_results, same_rows, settings, small_net, tiny_backbone
from torch import nn

import ebll
from ebll.autoencoder import AutoencoderSettings
from ebll.errors import DataMissing, InputError, OutputError, RunStopped, TrainingDiverged
from ebll.paper import PHOTO_SETS, Workspace, load_photos, paper, protocol as module, units_of
from ebll.paper.checkpoint import STAGE, read_tensors
from ebll.protocol import begin, complete
from ebll.recording import Recorder, Snapshot
from ebll.reproduce.report import draw
from ebll.seeds import seeded

pytestmark = pytest.mark.paper

FIT = dict(recon_weight=1e-6, start="pca", optimizer="adam", learning_rate=1e-5, epochs=20, batch_size=512)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    photos(folder)
    return folder


@pytest.fixture(autouse=True)
def quick():
    with small_net():
        yield


def run(root, out, *, methods=("lwf", "ebll"), chosen=None, experiments=("flowers-birds",), **options):
    chosen = settings() if chosen is None else chosen
    return paper(root, experiments=experiments, methods=methods, settings=chosen, out=out, **QUIET | options)


def stopping(steps):
    """A `stop` that says so once it has been asked so often."""
    asked = [0]

    def stop():
        asked[0] += 1
        return asked[0] >= steps

    return stop


# ---- the same by hand


def bare(seed):
    with seeded(seed, "network"):
        made = tiny_backbone("")
    return made.network(), made.head


def methods_by_hand(alphas, codes):
    fit = AutoencoderSettings(code_size=codes, **FIT)
    return {
        "joint": ebll.Joint(),
        "lwf": ebll.LwF(temperature=2.0, distill_weight=1.0),
        "ewc": ebll.EWC(ewc_strength=300.0, fisher="sampled", fisher_samples=8),
        "ebll": ebll.EBLL(temperature=2.0, distill_weight=1.0, alpha=alphas, autoencoder=fit),
    }


def same_as_by_hand(tmp_path, root, chosen, experiment, start, tasks, made, seed):
    """All methods of `made`, by the paper's path and by `branch` from `start`: rows and weights to the last bit."""
    units = units_of(chosen, [experiment], list(made), first_seed=seed)
    space = Workspace(root, tmp_path, chosen, incomplete=True, keep_weights=True)
    space.prepare(units, resume=False)
    results = {result.facts["method"]: result for result in space.results(units)}
    for name, method in made.items():
        mine = begin(tasks, method, start=start, seed=seed, recorder=Recorder(log_every=2))
        complete(mine, tasks, chosen.train)
        assert results[name].facts == mine.facts
        assert not results[name].failure
        same_rows(results[name].curves, mine.recorder.curve_rows)
        same_rows(results[name].accuracy, mine.recorder.accuracy_rows)
        same_rows(results[name].kept, mine.recorder.memory_rows)
        weights, _ = read_tensors(tmp_path / "runs" / experiment / f"{name}-{seed}" / "network.safetensors")
        assert weights.keys() == mine.net.state_dict().keys()
        assert all(torch.equal(weights[key], value) for key, value in mine.net.state_dict().items())


@pytest.mark.parametrize("augment", ["fixed", "random"])
def test_a_sequence_is_to_the_last_bit_what_it_is_by_hand(tmp_path, root, augment):
    chosen, names = settings(augment=augment), ("flowers", "scenes", "birds")
    standard = dict(mean=(0.5,) * 3, std=(0.25,) * 3, incomplete=True)
    tasks = [load_photos(name, root, chosen.photos, **standard) for name in names]
    options = dict(net=bare(3)[0], settings=chosen.train, seed=3, recorder=Recorder(log_every=2))
    # Its statistics count as pretrained, and the network is learned all the same: it has not seen flowers.
    begun = ebll.learn_first(tasks[:1], **options)
    made = methods_by_hand((0.3, 0.3), (5, 5))
    if augment == "random":
        made = {name: made[name] for name in ("lwf", "ebll")}
    start = Snapshot(begun.net, begun.recorder, "resnet18")
    same_as_by_hand(tmp_path, root, chosen, "-".join(names), start, tasks, made, 3)


def test_a_pretrained_head_is_taken_over_and_imagenet_has_its_own_alpha_and_code(tmp_path, root):
    chosen = settings(imagenet_images=18)
    standard = dict(mean=(0.5,) * 3, std=(0.25,) * 3, incomplete=True)
    tasks = [load_photos(name, root, chosen.photos_of(name), **standard) for name in ("imagenet", "birds")]
    assert len(tasks[0].train) + len(tasks[0].validation) * 2 == 18 * 2  # two versions of each that is learned
    net, head = bare(1)
    net.add_head(3)
    net.heads[0].load_state_dict(head.state_dict())
    recorder = Recorder(log_every=2)
    recorder.add_accuracies(net, tasks, 0)
    made = {"ebll": methods_by_hand((0.1,), (7,))["ebll"]}
    start = Snapshot(net, recorder, "resnet18")
    same_as_by_hand(tmp_path, root, chosen, "imagenet-birds", start, tasks, made, 1)
    assert not (tmp_path / "starts").exists()  # nothing of ImageNet was learned


def test_without_pretrained_weights_imagenet_is_learned_as_any_other_set(tmp_path, root):
    outcome = run(root, tmp_path, methods="finetune", chosen=settings(weights="none"), experiments="imagenet-flowers")
    first = outcome.curves[outcome.curves["training"] == "imagenet"]
    assert len(first)
    assert (first["task"] == "").all()


def test_a_set_of_other_classes_than_the_pretrained_head_is_refused_in_words(tmp_path, root, monkeypatch):
    def four(*given, **options):
        made = tiny_backbone(*given, **options)
        return type(made)(**{**vars(made), "head": nn.Linear(10, 4)})

    with monkeypatch.context() as patch:  # undone before the tiny net is
        patch.setattr(module, "load_backbone", four)
        with raises(InputError, "imagenet", "3 classes", "resnet18", "has 4"):
            run(root, tmp_path, experiments="imagenet-birds")


def test_the_same_method_of_another_sequence_and_seed_has_its_own_memories(root, tmp_path):
    """All in one folder, and each alone: the same numbers."""
    units = units_of(settings(), ["flowers-birds", "flowers-scenes-birds"], "ebll", seeds=2)
    space = Workspace(root, tmp_path / "all", settings(), incomplete=True)
    space.prepare(units, resume=False)
    together = list(space.results(units))
    space = Workspace(root, tmp_path / "alone", settings(), incomplete=True)
    space.prepare(units[-1:], resume=True)
    (alone,) = space.results(units[-1:])
    same_rows(vars(together[-1]), vars(alone))


# ---- stop and go on


@pytest.fixture(scope="module")
def whole(root, tmp_path_factory):
    """The tables of two methods, in one go."""
    out = tmp_path_factory.mktemp("whole")
    with small_net():
        run(root, out)
    return out


def results(root, out, *, resume=False, methods=("lwf", "ebll"), chosen=None, **options):
    """What the runs give, without tables, claims and pictures."""
    chosen = settings() if chosen is None else chosen
    units = units_of(chosen, ["flowers-birds"], methods)
    space = Workspace(root, out, chosen, incomplete=True, **options)
    space.prepare(units, resume)
    return [vars(result) for result in space.results(units)]


def test_stopped_anywhere_it_goes_on_to_the_same_bits(root, tmp_path):
    """In the first set, in warm-up, in training, and between two runs."""
    asked = []
    expected = results(root, tmp_path / "whole", stop=lambda: asked.append(1))
    assert len(asked) == 2 * (1 + 7 + 1 + 14 + 1) + 12 + 1
    for steps in (9, 18, 30, 38):
        with pytest.raises(RunStopped):
            results(root, tmp_path / str(steps), stop=stopping(steps))
        same_rows(results(root, tmp_path / str(steps), resume=True), expected)


def test_finished_runs_are_not_run_again(whole, root, tmp_path):
    run(root, tmp_path, methods="lwf")
    with raises(InputError, tmp_path, "1 of these 2 runs", "flowers-birds/lwf-0", "--resume", "--out"):
        run(root, tmp_path)
    result = tmp_path / "runs/flowers-birds/lwf-0/result.json"
    before = result.stat().st_mtime_ns
    told = []
    run(root, tmp_path, resume=True, progress=lambda *given: told.append(given))
    same_results(tmp_path, whole)
    assert result.stat().st_mtime_ns == before
    steps = [done for what, done, total in told if what == "steps"]
    assert steps == sorted(steps)
    assert (steps[0], steps[-1]) == (21, 42)  # 7 batches of birds in 3 epochs, for two methods


def test_stopped_between_runs_the_tables_of_what_is_done_are_there(root, tmp_path):
    run(root, tmp_path, methods="lwf")
    told = []
    with pytest.raises(RunStopped):
        run(root, tmp_path, resume=True, stop=lambda: ("steps", 21, 42) in told, progress=lambda *g: told.append(g))
    assert set(pd.read_csv(tmp_path / "accuracy.csv")["method"]) == {"lwf"}
    left = {path.name for path in tmp_path.iterdir() if path.is_file()}
    assert left == {"accuracy.csv", "curves.csv", "kept.csv"}  # no claims or layout of before


@pytest.mark.parametrize("stopped", [False, True])
def test_a_run_of_other_settings_or_images_is_not_gone_on_with_nor_overwritten(stopped, root, tmp_path):
    data, out = tmp_path / "data", tmp_path / "out"
    shutil.copytree(root, data)
    if stopped:
        with pytest.raises(RunStopped):
            results(data, out, methods="ebll", stop=stopping(25))
        assert (out / "runs/flowers-birds/ebll-0" / STAGE).exists()
    else:
        results(data, out, methods="ebll")
    before = {path: path.read_bytes() for path in (out / "runs").rglob("*") if path.is_file()}
    for changes, named in (({"alpha": 0.25}, "alpha was 0.3, now it is 0.25"), ({"versions": 3}, "versions was 2")):
        with raises(InputError, out / "runs/flowers-birds/ebll-0", named):
            results(data, out, chosen=settings(**changes), resume=True, methods="ebll")
    sorted((data / "CUB_200_2011").rglob("*.jpg"))[0].write_bytes(b"another image")
    with pytest.raises(InputError, match="files of birds was"):
        results(data, out, methods="ebll", resume=True)
    assert {path: path.read_bytes() for path in (out / "runs").rglob("*") if path.is_file()} == before


def test_the_first_network_of_other_settings_is_not_branched_from(root, tmp_path):
    results(root, tmp_path, methods="lwf")
    with raises(InputError, tmp_path / "starts/flowers-0", "learning_rate was 0.02, now it is 0.01"):
        results(root, tmp_path, methods="ebll", chosen=settings(learning_rate=0.01))


def test_a_damaged_result_is_made_once_more(root, tmp_path):
    results(root, tmp_path, methods="lwf")
    (result,) = (tmp_path / "runs").rglob("result.json")
    before = result.read_bytes()
    result.write_text("{")
    results(root, tmp_path, methods="lwf", resume=True)
    assert result.read_bytes() == before


def test_a_run_that_another_process_is_at_is_left_to_it(whole, root, tmp_path):
    folder = tmp_path / "runs/flowers-birds/lwf-0"
    folder.mkdir(parents=True)
    with FileLock(folder / ".lock"), pytest.raises(RunStopped, match="Another process"):
        run(root, tmp_path)
    assert set(pd.read_csv(tmp_path / "accuracy.csv")["method"]) == {"ebll"}
    run(root, tmp_path, resume=True)
    same_results(tmp_path, whole)


def test_a_checkpoint_that_cannot_be_written_is_told_of_and_a_result_is_an_error(root, tmp_path, monkeypatch):
    def full(*given):
        raise OutputError("x.safetensors cannot be written: No space left on device.")

    words = []
    with monkeypatch.context() as patch:
        patch.setattr(module, "save_checkpoint", full)
        found = results(root, tmp_path / "full", say=words.append)
    same_rows(found, results(root, tmp_path / "usual"))
    review(words[0], "No space left on device")
    (tmp_path / "runs/flowers-birds/lwf-0/result.json").mkdir(parents=True)
    with raises(OutputError, tmp_path / "runs/flowers-birds/lwf-0/result.json", "Is a directory"):
        run(root, tmp_path, methods="lwf", resume=True)


# ---- data


def test_all_sets_that_are_missing_are_told_at_once_and_before_anything_is_resized(tmp_path):
    photos(tmp_path / "data", ["flowers"])
    with pytest.raises(DataMissing) as error:
        run(tmp_path / "data", tmp_path / "out", experiments=())
    assert [name for name in ("scenes", "birds", "imagenet") if PHOTO_SETS[name].source not in str(error.value)] == []
    assert not (tmp_path / "data/ebll-cache").exists()


def test_unreadable_images_that_are_left_out_are_named(root, tmp_path):
    data, words = tmp_path / "data", []
    shutil.copytree(root, data)
    bad = sorted((data / "CUB_200_2011").rglob("*.jpg"))[0]
    bad.write_text("no image")
    run(data, tmp_path / "out", methods="lwf", skip_unreadable=True, say=words.append)
    review(*words, "birds", "1 unreadable", bad.name)
    assert bad.name in json.loads((tmp_path / "out" / "run.json").read_text())["unreadable"]["birds"][0]


@pytest.mark.parametrize(
    ("options", "named"),
    [({"minutes": 0}, ["minutes", "above 0"]), ({"chosen": {}}, ["settings"])],
)
def test_what_cannot_be_is_refused_before_anything_is_done(options, named, root, tmp_path):
    with raises(InputError, *named):
        run(root, tmp_path, **options)
    assert not any(tmp_path.iterdir())


# ---- divergence


def test_a_run_that_diverges_is_told_as_a_failure_and_the_others_go_on(root, tmp_path):
    outcome = run(root, tmp_path, methods=("ewc", "finetune"), chosen=settings(ewc_strength=1e12))
    (failure,) = outcome.failures
    assert failure.startswith("resnet18:flowers-birds: EWC, seed 0: ")
    rows = outcome.accuracy
    assert list(rows.loc[rows["method"] == "ewc", "after"]) == ["flowers"]
    assert list(rows.loc[rows["method"] == "finetune", "after"]) == ["flowers", "birds", "birds"]
    assert "no run" in (tmp_path / "paper-layout.md").read_text()
    again = run(root, tmp_path, methods=("ewc", "finetune"), chosen=settings(ewc_strength=1e12), resume=True)
    assert again.failures == outcome.failures


def test_a_first_set_that_diverges_costs_its_own_runs_only(root, tmp_path, monkeypatch):
    """ImageNet's network is pretrained; the flowers have to be learned, which a step size of 1e9 does not do."""
    experiments = ["flowers-birds", "imagenet-birds"]
    with pytest.raises(TrainingDiverged, match=r"All 4 runs .*resnet18:flowers-birds: flowers as the first task"):
        run(root, tmp_path, chosen=settings(learning_rate=1e9), experiments=experiments)
    assert set(pd.read_csv(tmp_path / "accuracy.csv")["after"]) == {"imagenet"}
    original = Workspace._first

    def broken(space, first, seed):
        if first == "flowers":
            raise TrainingDiverged("flowers as the first task, seed 0: not finite.")
        return original(space, first, seed)

    with monkeypatch.context() as patch:
        patch.setattr(Workspace, "_first", broken)
        outcome = run(root, tmp_path / "one", experiments=experiments)
    assert outcome.failures == ["resnet18:flowers-birds: flowers as the first task, seed 0: not finite."] * 2
    run(root, tmp_path / "two", experiments=["imagenet-birds"])
    same_results(tmp_path / "one", tmp_path / "two")
    assert json.loads((tmp_path / "one" / "run.json").read_text())["sequences"] == ["resnet18:imagenet-birds"]


def test_nothing_logged_leaves_out_the_curves_and_nothing_else(root, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(ebll.reproduce.report, "draw", draw)
        run(root, tmp_path, methods="finetune", chosen=settings(log_every=0))
    assert (tmp_path / "forgetting.png").is_file()
    assert not list(tmp_path.glob("feature-distance*"))
    assert len(pd.read_csv(tmp_path / "curves.csv")) == 0
