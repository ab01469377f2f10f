"""The paper's runs: the bits of the same thing done by hand, wherever they are stopped; and runs that diverge."""

import json
import shutil
import signal

import pandas as pd
import pytest
import tiny_photos
import torch
from filelock import FileLock
from messages import raises
from paper_rig import QUIET, photos, same_results, same_rows, settings, small_net, tiny_backbone
from torch import nn

import ebll
from ebll.autoencoder import AutoencoderSettings
from ebll.errors import DataMissing, InputError, OutputError, RunStopped, TrainingDiverged
from ebll.paper import PHOTO_SETS, load_photos, paper, protocol as module
from ebll.paper.checkpoint import STEP, read_tensors
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


def interrupting(steps):
    """A `progress` that presses Ctrl-C at a step, counted over first sets and runs."""
    seen = [0]

    def progress(what, done, total):
        seen[0] += "steps" in what
        if seen[0] == steps and "steps" in what:
            signal.raise_signal(signal.SIGINT)

    return progress


def files(folder, name="result.json"):
    """Path -> time of change, of the files of that name."""
    return {path: path.stat().st_mtime_ns for path in folder.rglob(name)}


# ---- the same by hand


def by_hand(alphas, codes):
    fit = AutoencoderSettings(code_size=codes, **FIT)
    return {
        "joint": ebll.Joint(),
        "lwf": ebll.LwF(temperature=2.0, distill_weight=1.0),
        "ewc": ebll.EWC(ewc_strength=300.0, fisher="sampled", fisher_samples=8),
        "ebll": ebll.EBLL(temperature=2.0, distill_weight=1.0, alpha=alphas, autoencoder=fit),
    }


@pytest.mark.parametrize(
    ("names", "augment", "seed"),
    [("flowers-scenes-birds", "fixed", 3), ("flowers-scenes-birds", "random", 3), ("imagenet-birds", "fixed", 1)],
)
def test_a_sequence_is_to_the_last_bit_what_it_is_by_hand(tmp_path, root, names, augment, seed):
    """Rows and weights. A pretrained head is taken over, and ImageNet has its own alpha, code and number of images."""
    chosen, pretrained = settings(augment=augment, imagenet_images=18), names.startswith("imagenet")
    standard = dict(mean=(0.5,) * 3, std=(0.25,) * 3, incomplete=True)
    tasks = [load_photos(name, root, chosen.photos_of(name), **standard) for name in names.split("-")]
    with seeded(seed, "network"):
        backbone = tiny_backbone("")
    net, recorder = backbone.network(), Recorder(log_every=2)
    if pretrained:
        assert len(tasks[0].train) + len(tasks[0].validation) * 2 == 18 * 2  # two versions of each that is learned
        net.add_head(3)
        net.heads[0].load_state_dict(backbone.head.state_dict())
        recorder.add_accuracies(net, tasks, 0)
    else:  # its statistics count as pretrained, and it is learned all the same: it has not seen flowers
        net = ebll.learn_first(tasks[:1], net=net, settings=chosen.train, seed=seed, recorder=recorder).net
    start, made = Snapshot(net, recorder, "resnet18"), by_hand(*(((0.1,), (7,)) if pretrained else (0.3, 5)))
    if pretrained or augment == "random":
        made = {name: made[name] for name in ("lwf", "ebll")}

    outcome = run(root, tmp_path, methods=list(made), chosen=chosen, experiments=names, first_seed=seed,
                  keep_weights=True)  # fmt: skip
    assert (tmp_path / "starts").exists() == (not pretrained)
    for name, method in made.items():
        mine = begin(tasks, method, start=start, seed=seed, recorder=Recorder(log_every=2))
        complete(mine, tasks, chosen.train)
        (result,) = (tmp_path / "runs" / names).glob(f"{name}-{seed}-*/result.json")
        kept = json.loads(result.read_text())
        assert (kept["facts"], kept["failure"]) == (mine.facts, "")
        same_rows(kept["curves"], mine.recorder.curve_rows)
        same_rows(kept["accuracy"], mine.recorder.accuracy_rows)
        same_rows(kept["kept"], mine.recorder.memory_rows)
        assert len(outcome.curves[outcome.curves["method"] == name]) == len(mine.recorder.curve_rows)
        weights, _ = read_tensors(result.with_name("network.safetensors"))
        assert weights.keys() == mine.net.state_dict().keys()
        assert all(torch.equal(weights[key], value) for key, value in mine.net.state_dict().items())


def test_imagenet_is_learned_without_pretrained_weights_and_refused_where_the_head_does_not_fit(tmp_path, root):
    outcome = run(root, tmp_path, methods="finetune", chosen=settings(weights="none"), experiments="imagenet-flowers")
    first = outcome.curves[outcome.curves["training"] == "imagenet"]
    assert len(first)
    assert (first["task"] == "").all()

    def four(*given, **options):
        made = tiny_backbone(*given, **options)
        return type(made)(**{**vars(made), "head": nn.Linear(10, 4)})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "load_backbone", four)
        with raises(InputError, "imagenet", "3 classes", "resnet18", "has 4"):
            run(root, tmp_path, experiments="imagenet-birds")


def test_runs_in_one_folder_are_those_that_each_is_alone(root, tmp_path):
    """Of two sequences and seeds with the same method, which share first networks and memories."""
    together = run(root, tmp_path, methods="ebll", experiments=["flowers-birds", "flowers-scenes-birds"], seeds=2)
    alone = run(root, tmp_path / "single-task", methods="ebll", experiments="flowers-scenes-birds", first_seed=1)
    for table in ("accuracy", "curves", "kept"):
        rows = getattr(together, table).query("sequence == 'resnet18:flowers-scenes-birds' and seed == 1")
        pd.testing.assert_frame_equal(rows.reset_index(drop=True), getattr(alone, table), check_exact=True)


# ---- stop and go on


@pytest.fixture(scope="module")
def whole(root, tmp_path_factory):
    """The tables of two methods, in one go."""
    out = tmp_path_factory.mktemp("whole")
    with small_net():
        run(root, out)
    return out


@pytest.mark.parametrize(("steps", "augment"), [(9, "fixed"), (18, "fixed"), (16, "random"), (40, "fixed")])
def test_stopped_anywhere_it_goes_on_to_the_same_bits(root, tmp_path, whole, steps, augment):
    """In the first set, in warm-up, in training, and in the second run; an earlier result stays until there is one."""
    (tmp_path / "claims.json").write_text("earlier")
    chosen = settings(augment=augment)
    with pytest.raises(KeyboardInterrupt) as stopped:
        run(root, tmp_path, chosen=chosen, progress=interrupting(steps))
    assert "the same command goes on" in stopped.value.__notes__[0]
    assert len(files(tmp_path, STEP)) == 1
    assert (tmp_path / "claims.json").read_text() == "earlier"
    unfinished = tmp_path / "unfinished"
    if steps == 40:  # one is done
        assert set(pd.read_csv(unfinished / "accuracy.csv")["method"]) == {"lwf"}
        assert str(unfinished) in stopped.value.__notes__[1]
    assert unfinished.exists() == (steps == 40)
    run(root, tmp_path, chosen=chosen)
    if augment == "random":
        run(root, whole := tmp_path / "whole", chosen=chosen)
    same_results(tmp_path, whole)
    assert not unfinished.exists()


def test_finished_runs_are_not_run_again_but_those_of_other_settings_and_images_are(whole, root, tmp_path):
    data, told = tmp_path / "data", []
    shutil.copytree(root, data)
    run(data, tmp_path, methods="lwf")
    (first,) = files(tmp_path).items()
    run(data, tmp_path, progress=lambda *given: told.append(given))
    same_results(tmp_path, whole)
    assert first in files(tmp_path).items()
    assert not [what for what, *_ in told if "first set" in what]
    steps = [done for what, done, total in told if what == "steps"]
    assert steps == sorted(steps)
    assert (steps[0], steps[-1]) == (21, 42)  # 7 batches of birds in 3 epochs, for two methods
    for changes in ({"alpha": 0.25}, {"learning_rate": 0.01}, {}):
        if not changes:
            tiny_photos.write_photo(sorted((data / "CUB_200_2011").rglob("*.jpg"))[0], 1, 7, size=(50, 30))
        before = files(tmp_path)
        run(data, tmp_path, methods="lwf", chosen=settings(**changes))
        assert files(tmp_path).items() > before.items()


def test_a_damaged_result_is_made_once_more(root, tmp_path):
    run(root, tmp_path, methods="lwf")
    (result,) = files(tmp_path)
    before = result.read_bytes()
    result.write_bytes(before[:-30])
    run(root, tmp_path, methods="lwf")
    assert result.read_bytes() == before


def test_a_run_that_another_process_is_at_is_left_to_it(whole, root, tmp_path):
    shutil.copytree(whole / "starts", tmp_path / "starts")
    (result,) = [path for path in files(whole) if path.parent.name.startswith("lwf-0-")]
    folder = tmp_path / result.parent.relative_to(whole)
    folder.mkdir(parents=True)
    with FileLock(folder / ".lock"), pytest.raises(RunStopped, match="Another process"):
        run(root, tmp_path)
    assert set(pd.read_csv(tmp_path / "unfinished/accuracy.csv")["method"]) == {"ebll"}
    run(root, tmp_path)
    same_results(tmp_path, whole)


# ---- what is amiss


def test_all_sets_that_are_missing_are_told_at_once_and_before_anything_is_resized(tmp_path):
    photos(tmp_path / "data", ["flowers"])
    with pytest.raises(DataMissing) as error:
        run(tmp_path / "data", tmp_path / "out", experiments=())
    assert [name for name in ("scenes", "birds", "imagenet") if PHOTO_SETS[name].source not in str(error.value)] == []
    assert not (tmp_path / "data/ebll-cache").exists()


def test_a_result_that_cannot_be_written_is_an_error(root, tmp_path):
    run(root, tmp_path, methods="lwf")
    (result,) = files(tmp_path)
    result.unlink()
    result.mkdir()
    with pytest.raises(OutputError, match=r"result\.json cannot be written: Is a directory"):
        run(root, tmp_path, methods="lwf")


def test_a_run_that_diverges_is_told_as_a_failure_and_the_others_go_on(root, tmp_path):
    chosen = settings(ewc_strength=1e12)
    for _ in range(2):  # the second time from the results
        outcome = run(root, tmp_path, methods=("ewc", "finetune"), chosen=chosen)
        (failure,) = outcome.failures
        assert failure.startswith("resnet18:flowers-birds: EWC, seed 0: ")
    rows = outcome.accuracy
    assert list(rows.loc[rows["method"] == "ewc", "after"]) == ["flowers"]
    assert list(rows.loc[rows["method"] == "finetune", "after"]) == ["flowers", "birds", "birds"]
    assert "no run" in (tmp_path / "paper-layout.md").read_text()
    with pytest.raises(TrainingDiverged, match=r"All 1 runs .*EWC, seed 0"):
        run(root, tmp_path, methods="ewc", chosen=chosen)
    with pytest.raises(TrainingDiverged, match="flowers as the first task, seed 0"):
        run(root, tmp_path, chosen=settings(learning_rate=1e9))


def test_nothing_logged_leaves_out_the_curves_and_nothing_else(root, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(ebll.reproduce.report, "draw", draw)
        run(root, tmp_path, methods="finetune", chosen=settings(log_every=0))
    assert (tmp_path / "forgetting.png").is_file()
    assert not list(tmp_path.glob("feature-distance*"))
    assert len(pd.read_csv(tmp_path / "curves.csv")) == 0
