"""The paper's runs: the bits of the same thing done by hand, wherever they are stopped; and runs that diverge."""

import json
import shutil

import pandas as pd
import pytest
import tiny_photos
import torch
from messages import raises, review
from paper_rig import QUIET, cut_net, photos, same_results, same_rows, settings, small_net
from torch import nn

import ebll
from ebll import METHODS
from ebll.autoencoder import AutoencoderSettings
from ebll.backbones import accelerated
from ebll.checkpoints import read_checkpoint
from ebll.comparison import branch
from ebll.errors import InputError, OutputError, RunStopped, TrainingDiverged
from ebll.networks import Network
from ebll.paper import Brake, Place, paper, runs, start
from ebll.paper.main import chosen_units
from ebll.paper.runs import run_units
from ebll.photos import load_photos
from ebll.protocol import complete
from ebll.recording import Recorder
from ebll.reproduce.report import draw
from ebll.runs import Snapshot

pytestmark = pytest.mark.paper

PAIR = ["flowers-birds"]
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


def run(root, out, *, methods=("lwf", "ebll"), chosen=None, experiments=PAIR, **options):
    chosen = settings() if chosen is None else chosen
    return paper(root, experiments=experiments, methods=methods, settings=chosen, out=out, **QUIET | options)


# ---- the same by hand


def tasks_of(names, root, chosen):
    """The photo sets, standardised as torchvision's AlexNet was pretrained."""
    mean, deviation = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    options = dict(mean=mean, deviation=deviation, incomplete=True)
    return [load_photos(name, root, chosen.photos_of(name), **options) for name in names]


def bare(chosen, seed):
    made = cut_net(chosen, seed)
    parts = [accelerated(part, channels_last=True) for part in (made.features, made.operator)]
    return Network(*parts, made.input_shape), made.head


def methods_by_hand(alphas, codes):
    fit = AutoencoderSettings(code_size=codes, **FIT)
    return {
        "finetune": ebll.Finetune(),
        "feature-extraction": ebll.FeatureExtraction(),
        "joint": ebll.Joint(),
        "lwf": ebll.LwF(temperature=2.0, distill_weight=1.0),
        "ewc": ebll.EWC(ewc_strength=300.0, fisher="sampled", fisher_samples=8),
        "ebll": ebll.EBLL(temperature=2.0, distill_weight=1.0, alpha=alphas, autoencoder=fit),
        "ebll-separate": ebll.EBLLSeparate(alpha=alphas, autoencoder=fit),
        "code-only": ebll.CodeOnly(alpha=alphas, autoencoder=fit),
    }


def same_as_by_hand(tmp_path, root, chosen, experiment, start, tasks, made, seed):
    """All methods of `made`, by the paper's path and by `branch` from `start`: rows and weights to the last bit."""
    units = chosen_units(chosen, [experiment], list(made), first_seed=seed)
    place = Place(root, tmp_path, incomplete=True, keep_weights=True)
    results = {result.facts["method"]: result for result in run_units(place, chosen, units, Brake())}
    for name, method in made.items():
        options = dict(settings=chosen.train, seed=seed, recorder=Recorder(log_every=2))
        mine = complete(branch(tasks, method, start, {}, **options), tasks, chosen.train)
        assert results[name].facts == mine.facts
        assert not results[name].failure
        same_rows(results[name].curves, mine.recorder.curve_rows)
        same_rows(results[name].accuracy, mine.recorder.accuracy_rows)
        same_rows(results[name].kept, mine.recorder.memory_rows)
        weights, _ = read_checkpoint(tmp_path / "runs" / experiment / f"{name}-{seed}" / "network.safetensors")
        mine = mine.net.state_dict()
        assert weights.keys() == mine.keys()
        assert all(torch.equal(weights[key], mine[key]) for key in mine)


def test_every_method_is_made_by_hand_here():
    assert set(methods_by_hand((1.0,), (2,))) == set(METHODS)


@pytest.mark.parametrize("augment", ["fixed", "random"])
def test_a_sequence_is_to_the_last_bit_what_it_is_by_hand(tmp_path, root, augment):
    chosen, names = settings(augment=augment), ("flowers", "scenes", "birds")
    tasks = tasks_of(names, root, chosen)
    net, _ = bare(chosen, 3)
    begun = ebll.learn_first(tasks[:1], net=net, settings=chosen.train, seed=3, recorder=Recorder(log_every=2))
    begun = Snapshot(begun.net, begun.recorder, "resnet18")
    made = methods_by_hand((0.3, 0.3), (5, 5))
    if augment == "random":
        made = {name: made[name] for name in ("lwf", "ebll")}
    same_as_by_hand(tmp_path, root, chosen, "-".join(names), begun, tasks, made, 3)


def test_a_pretrained_head_is_taken_over_and_imagenet_has_its_own_alpha_and_code(tmp_path, root):
    chosen = settings(imagenet_images=18)
    tasks = tasks_of(("imagenet", "birds"), root, chosen)
    assert len(tasks[0].train) + len(tasks[0].validation) * 2 == 18 * 2  # two versions of each that is learned
    net, head = bare(chosen, 1)
    net.add_head(3)
    with torch.no_grad():
        net.heads[0].weight.copy_(head.weight)
        net.heads[0].bias.copy_(head.bias)
    recorder = Recorder(log_every=2)
    recorder.add_accuracies(net, tasks, 0)
    begun = Snapshot(net, recorder, "resnet18")
    made = methods_by_hand((0.1,), (7,))
    some = {name: made[name] for name in ("lwf", "ewc", "feature-extraction", "ebll")}
    same_as_by_hand(tmp_path, root, chosen, "imagenet-birds", begun, tasks, some, 1)
    assert not list((tmp_path / "starts").rglob("stage-*"))  # nothing of ImageNet was learned


def test_without_pretrained_weights_imagenet_is_learned_as_any_other_set(tmp_path, root):
    outcome = run(root, tmp_path, methods="finetune", chosen=settings(weights="none"), experiments=["imagenet-flowers"])
    first = outcome.curves[outcome.curves["training"] == "imagenet"]
    assert len(first)
    assert (first["task"] == "").all()


def test_a_set_of_other_classes_than_the_pretrained_head_is_refused_in_words(tmp_path, root, monkeypatch):
    def four(*given):
        made = cut_net(*given)
        return type(made)(**{**vars(made), "head": nn.Linear(10, 4)})

    with monkeypatch.context() as patch:  # undone before the tiny net is
        patch.setattr(start, "cut_net", four)
        with raises(InputError, "imagenet", "3 classes", "resnet18", "has 4"):
            run(root, tmp_path, experiments=["imagenet-birds"])


def test_the_pretrained_weights_are_those_of_the_start_and_the_seed_draws_only_what_is_new(tmp_path, root):
    """One first network for all methods of a seed: what they say of it is equal."""
    outcome = run(root, tmp_path, methods=("finetune", "lwf", "ewc"), seeds=2)
    first = outcome.accuracy[outcome.accuracy["after"] == "flowers"]
    assert len(first) == 6
    assert (first.groupby("seed")["accuracy"].nunique() == 1).all()


# ---- stop and go on


class Tracing:
    """Counts the steps of all runs, notes the stage of each, and calls `at` at one of them."""

    def __init__(self, monkeypatch, turn=0, at=lambda: None):
        self.stages, original = [], runs.Checkpoints.save

        def save(kept, run, step, stop=False):
            self.stages.append((run.method.name, step.task, step.stage))
            if len(self.stages) == turn:
                at()
            original(kept, run, step, stop)

        monkeypatch.setattr(runs.Checkpoints, "save", save)


@pytest.fixture(scope="module")
def whole(root, tmp_path_factory):
    """An uninterrupted run of two methods, and the stage of each of its steps."""
    out = tmp_path_factory.mktemp("whole")
    with small_net(), pytest.MonkeyPatch.context() as patch:
        traced = Tracing(patch)
        run(root, out)
    return out, traced.stages


def points_of(stages):
    """Of each stage the first step, one in its middle and the last; counted from 1."""
    begun = [i for i, stage in enumerate(stages) if i == 0 or stages[i - 1] != stage]
    ends = [*begun[1:], len(stages)]
    return sorted({n for i, j in zip(begun, ends, strict=True) for n in (i + 1, (i + j) // 2 + 1, j)})


def test_stopped_at_any_step_it_goes_on_to_the_same_bytes(whole, root, tmp_path, monkeypatch):
    """In the first set, in warm-up, in training, at the end of a stage, and between two runs."""
    *points, last = points_of(whole[1])
    assert len(points) >= 12
    for turn in points:
        out, brake = tmp_path / str(turn), Brake()
        with monkeypatch.context() as patch:
            Tracing(patch, turn, brake.press)
            with raises(RunStopped):
                run(root, out, brake=brake)
        assert not (out / "claims.json").exists()
        run(root, out, resume=True)
        same_results(out, whole[0])
    brake = Brake()  # at the very last step nothing is left to stop
    Tracing(monkeypatch, last, brake.press)
    run(root, tmp_path / "last", brake=brake)
    same_results(tmp_path / "last", whole[0])


def test_it_may_be_stopped_again_and_again(whole, root, tmp_path):
    stopped = 0
    for _ in range(100):
        brake = Brake()
        try:
            run(root, tmp_path, brake=brake, on_step=pressing(brake, 4, parts=True), resume=stopped > 0)
            break
        except RunStopped:
            stopped += 1
    assert stopped >= 5
    same_results(tmp_path, whole[0])


def test_a_brake_pressed_before_stops_before_the_first_step(root, tmp_path):
    brake, steps = Brake(), []
    brake.press()
    with pytest.raises(RunStopped):
        run(root, tmp_path, brake=brake, on_step=steps.append)
    assert steps == []
    assert not list(tmp_path.rglob("result.json"))


def test_checkpoints_within_a_stage_change_nothing(whole, root, tmp_path):
    run(root, tmp_path, minutes=1e-9)
    same_results(tmp_path, whole[0])
    assert not list((tmp_path / "runs").rglob("*.safetensors"))  # what is done needs no checkpoint


def test_finished_runs_are_not_run_again(whole, root, tmp_path, monkeypatch):
    run(root, tmp_path, methods="lwf")
    seen, original = [], runs.run_unit

    def noted(place, settings, unit, *given, **options):
        seen.append(unit.method)
        return original(place, settings, unit, *given, **options)

    monkeypatch.setattr(runs, "run_unit", noted)
    with raises(InputError, tmp_path, "2 of these 2 runs", "flowers-birds/lwf-0", "--resume", "--out"):
        run(root, tmp_path)
    assert seen == []
    run(root, tmp_path, resume=True)
    assert seen == ["ebll"]
    same_results(tmp_path, whole[0])
    run(root, tmp_path, resume=True, on_step=lambda count: pytest.fail("a step was made"))
    assert seen == ["ebll"]
    same_results(tmp_path, whole[0])


def test_stopped_between_runs_the_tables_of_what_is_done_are_there(root, tmp_path):
    brake = Brake()
    run(root, tmp_path, methods="lwf")
    with pytest.raises(RunStopped):
        run(root, tmp_path, brake=brake, resume=True, on_result=lambda *told: brake.press())
    assert set(pd.read_csv(tmp_path / "accuracy.csv")["method"]) == {"lwf"}
    left = {path.name for path in tmp_path.iterdir() if path.is_file()}
    assert left == {"accuracy.csv", "curves.csv", "kept.csv", "inputs.json", ".lock"}  # no claims or layout of before


def test_other_settings_in_the_same_folder_are_kept_apart(root, tmp_path):
    """Of a run that is new there: neither the first network nor what methods keep of it is taken for the other's."""
    other = settings(code_size=4, learning_rate=0.01)
    run(root, tmp_path / "other", methods="ebll", chosen=other)
    run(root, tmp_path / "both", methods="lwf")
    words = []
    run(root, tmp_path / "both", methods="ebll", chosen=other, say=words.append)
    same_results(tmp_path / "both", tmp_path / "other")
    assert words == []


@pytest.mark.parametrize("stopped", [False, True])
def test_a_run_of_other_settings_is_not_gone_on_with_nor_overwritten(stopped, root, tmp_path):
    brake = Brake()
    if stopped:  # in the run itself: the first set takes 12 steps, and its warm-up 8
        with pytest.raises(RunStopped):
            run(root, tmp_path, chosen=settings(alpha=0.5), brake=brake, on_step=pressing(brake, 23), methods="ebll")
    else:
        run(root, tmp_path, chosen=settings(alpha=0.5), methods="ebll")
    before = {path: path.read_bytes() for path in (tmp_path / "runs").rglob("*") if path.is_file()}
    for changes, named in (
        ({"alpha": 0.25}, ["alpha", 0.5, 0.25]),
        ({"alpha": 0.5, "versions": 3}, ["versions", 2, 3]),
    ):
        with raises(InputError, tmp_path / "runs/flowers-birds/ebll-0", *named, "--out"):
            run(root, tmp_path, chosen=settings(**changes), resume=True, methods="ebll")
    assert {path: path.read_bytes() for path in (tmp_path / "runs").rglob("*") if path.is_file()} == before
    run(root, tmp_path, chosen=settings(alpha=0.5), resume=True, methods="ebll")


@pytest.mark.parametrize("content", ["null", "[]", '{"run": 3}', "{", '{"run": {}, "result": {}}'])
def test_a_damaged_result_is_made_once_more(content, root, tmp_path):
    run(root, tmp_path, methods="lwf")
    (result,) = (tmp_path / "runs").rglob("result.json")
    before = result.read_bytes()
    result.write_text(content)
    run(root, tmp_path, methods="lwf", resume=True)
    assert result.read_bytes() == before


def test_the_note_of_the_images_keeps_those_of_other_runs_and_is_not_believed_once_damaged(root, tmp_path):
    data, out = tmp_path / "data", tmp_path / "out"
    shutil.copytree(root, data)
    run(data, out, methods="lwf")
    run(data, out, methods="lwf", experiments=["scenes-imagenet"])
    assert set(json.loads((out / "inputs.json").read_text())) == {"flowers", "birds", "scenes", "imagenet", "weights"}
    (out / "inputs.json").write_text("[]")
    with raises(InputError, out / "inputs.json", "damaged", "--out"):
        run(data, out, methods="lwf", resume=True)


def test_two_at_once_in_one_folder_are_refused(root, tmp_path):
    def second(units, steps):
        with raises(OutputError, tmp_path):
            run(root, tmp_path, methods="lwf", resume=True)

    run(root, tmp_path, methods="lwf", on_start=second)


def test_a_network_that_is_asked_for_too_late_is_told_of(root, tmp_path):
    words, network = [], tmp_path / "runs" / "flowers-birds" / "lwf-0" / "network.safetensors"
    run(root, tmp_path, methods="lwf")
    run(root, tmp_path, methods="lwf", resume=True, keep_weights=True, say=words.append)
    review(*words, "flowers-birds/lwf-0", "--keep-weights")
    run(root, tmp_path / "new", methods="lwf", keep_weights=True, say=words.append)
    assert (tmp_path / "new" / network.relative_to(tmp_path)).exists()
    assert len(words) == 1


@pytest.mark.parametrize(
    "name", ["/data/own:birds", "../own:birds", "x/own:birds", "~me:birds", "flowers:..", "a\\b:c"]
)
def test_folders_elsewhere_are_refused_as_their_names_would_be_paths_in_the_results(name, root, tmp_path):
    with raises(InputError, "Experiment", "path", "data root"):
        run(root, tmp_path, methods="lwf", experiments=[name])


def test_unreadable_images_that_are_left_out_are_named(root, tmp_path):
    data, words = tmp_path / "data", []
    shutil.copytree(root, data)
    bad = sorted((data / "CUB_200_2011").rglob("*.jpg"))[0]
    bad.write_text("no image")
    run(data, tmp_path / "out", methods="lwf", skip_unreadable=True, say=words.append)
    (told,) = words
    review(told, "birds", "1 unreadable", bad.name)
    assert bad.name in told
    assert bad.name in json.loads((tmp_path / "out" / "run.json").read_text())["unreadable"]["birds"][0]


def pressing(brake, steps, parts=False):
    """Presses the brake once so many steps were made in all, or were told of, some of them together."""
    made = [0]

    def on_step(count):
        made[0] += 1 if parts else count
        if made[0] >= steps:
            brake.press()

    return on_step


def test_the_same_method_of_another_sequence_and_seed_has_its_own_memories(root, tmp_path):
    """All in one folder, and each alone: the same numbers."""
    experiments = ["flowers-birds", "flowers-scenes-birds"]
    together = run(root, tmp_path / "all", methods="ebll", experiments=experiments, seeds=2)
    for experiment in experiments:
        for seed in (0, 1):
            out = tmp_path / f"{experiment}-{seed}"
            alone = run(root, out, methods="ebll", experiments=[experiment], first_seed=seed)
            for name in ("accuracy", "curves", "kept"):
                table, mine = getattr(together, name), getattr(alone, name)
                rows = table[(table["sequence"] == f"resnet18:{experiment}") & (table["seed"] == seed)]
                assert rows.to_csv(index=False) == mine.to_csv(index=False)


@pytest.mark.parametrize("damage", ["cut", "gone"])
def test_what_was_kept_of_the_first_set_is_read_again_or_fitted_anew(damage, whole, root, tmp_path, monkeypatch):
    run(root, tmp_path, methods="ebll")
    (path,) = (tmp_path / "starts").rglob("memory-*")
    fits, original = [], start.memory_of
    monkeypatch.setattr(start, "memory_of", lambda *given: fits.append(1) or original(*given))
    (tmp_path / "runs/flowers-birds/ebll-0/result.json").unlink()
    run(root, tmp_path, methods="ebll", resume=True)
    assert fits == []
    (tmp_path / "runs/flowers-birds/ebll-0/result.json").write_text('{"run": {"name":')  # cut off, too
    path.write_bytes(path.read_bytes()[:100]) if damage == "cut" else path.unlink()
    run(root, tmp_path, resume=True)
    assert fits == [1, 1]  # and lwf's, which keeps nothing
    same_results(tmp_path, whole[0])
    assert path.exists()


def test_memories_that_cannot_be_written_are_no_reason_to_stop(whole, root, tmp_path, monkeypatch):
    def full(*given):
        raise OutputError("No space left on device.")

    monkeypatch.setattr(start, "write_checkpoint", full)
    run(root, tmp_path)
    same_results(tmp_path, whole[0])


def test_a_result_that_cannot_be_written_is_told_in_words(root, tmp_path):
    folder = tmp_path / "runs/flowers-birds/lwf-0"
    folder.mkdir(parents=True)
    (folder / "result.json").mkdir()
    with raises(OutputError, folder / "result.json", "Is a directory"):
        run(root, tmp_path, methods="lwf", resume=True)


@pytest.mark.parametrize("minutes", [0, -1, "often", float("nan")])
def test_minutes_that_cannot_be_are_refused_before_anything_is_done(minutes, root, tmp_path):
    with raises(InputError, "minutes", "above 0"):
        run(root, tmp_path, minutes=minutes)
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
    again = run(
        root, tmp_path, methods=("ewc", "finetune"), chosen=settings(ewc_strength=1e12), resume=True,
        on_step=lambda count: pytest.fail("a step was made"),
    )  # fmt: skip
    assert again.failures == outcome.failures


def test_a_first_set_that_diverges_costs_its_own_runs_only(root, tmp_path, monkeypatch):
    """ImageNet's network is pretrained; the flowers have to be learned, which a step size of 1e9 does not do."""
    chosen = settings(learning_rate=1e9)
    experiments = ["flowers-birds", "imagenet-birds"]
    seen = []
    with pytest.raises(TrainingDiverged, match=r"All 4 runs .*resnet18:flowers-birds, LwF: F"):
        run(root, tmp_path, chosen=chosen, experiments=experiments, on_result=lambda *told: seen.append(told[2]))
    assert len(seen) == 4
    assert set(pd.read_csv(tmp_path / "accuracy.csv")["after"]) == {"imagenet"}
    original = runs.prepare_start

    def broken(place, settings, first, *given):
        if first == "flowers":
            raise TrainingDiverged("First task, seed 0: not finite.")
        return original(place, settings, first, *given)

    with monkeypatch.context() as patch:
        patch.setattr(runs, "prepare_start", broken)
        outcome = run(root, tmp_path / "one", experiments=experiments)
    assert outcome.failures == [
        "resnet18:flowers-birds, LwF: First task, seed 0: not finite.",
        "resnet18:flowers-birds, EBLL: First task, seed 0: not finite.",
    ]
    assert [e.id for e in outcome.experiments] == ["resnet18:imagenet-birds"]
    run(root, tmp_path / "two", experiments=["imagenet-birds"])
    same_results(tmp_path / "one", tmp_path / "two")
    assert json.loads((tmp_path / "one" / "run.json").read_text())["sequences"] == ["resnet18:imagenet-birds"]


def test_it_does_not_go_on_with_other_images(root, tmp_path):
    data = tmp_path / "data"
    shutil.copytree(root, data)
    run(data, tmp_path / "out", methods=("lwf",))
    tiny_photos.write_birds(data, *(2 * [6] + [2]))  # two classes more, and fewer images of each
    with raises(InputError, "birds"):
        run(data, tmp_path / "out", methods=("lwf",), resume=True)


def test_nothing_logged_leaves_out_the_curves_and_nothing_else(root, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(ebll.reproduce.report, "draw", draw)
        run(root, tmp_path, methods=("finetune", "lwf", "ebll"), chosen=settings(log_every=0))
    assert (tmp_path / "paper-layout.md").is_file()
    assert (tmp_path / "forgetting.png").is_file()
    assert not list(tmp_path.glob("feature-distance*"))
    assert len(pd.read_csv(tmp_path / "curves.csv")) == 0
