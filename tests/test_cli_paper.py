"""`ebll paper` on the command line: help, refusals, completion, the dry run, and the files that it leaves."""

import dataclasses
import json
import re

import pandas as pd
import pytest
import tiny_plan
import torch
from click.shell_completion import ShellComplete
from click.testing import CliRunner
from messages import review
from paper_rig import photos, small_net
from torchvision.models import mobilenet_v3_small

from ebll import METHODS
from ebll.backbones import BACKBONES
from ebll.cli import cli
from ebll.paper import SEQUENCES, PaperSettings
from ebll.photos import PHOTO_SETS

pytestmark = pytest.mark.paper

QUICK = {
    "backbone": "resnet18",
    "stored": 32, "size": 24, "versions": 2, "epochs": 2, "warmup-epochs": 1, "batch-size": 8, "learning-rate": 0.02,
    "alpha": 0.3, "code-size": 5, "code-size-imagenet": 7, "fisher-samples": 8, "log-every": 2, "device": "cpu",
}  # fmt: skip


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    photos(folder)
    return folder


def invoke(*arguments):
    return CliRunner().invoke(cli, ["paper", *map(str, arguments)])


def run(root, out, *arguments, draw=False, **options):
    given = [f"--{name.replace('_', '-')}={value}" for name, value in (QUICK | options).items()]
    with small_net(draw=draw):
        return invoke("--root", root, "--out", out, "--incomplete", *given, *arguments)


def refused(result, *named, code=2):
    """One line, without a traceback, that names these."""
    assert result.exit_code == code, result.output
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    assert [part for part in named if part not in result.stderr] == []


# ---- help and completion


def shown(value):
    return f"{value:g}" if isinstance(value, float) else str(value)


def test_the_help_shows_every_setting_with_its_default():
    result = invoke("--help")
    assert result.exit_code == 0
    text = "".join(result.stdout.split())  # however the lines are broken
    usual = PaperSettings()
    for settings in (usual, usual.photos, usual.train):
        for field in {one.name for one in dataclasses.fields(settings)} - {"backbone", "weights", "photos", "train"}:
            option, default = field.replace("_", "-"), shown(getattr(settings, field))
            said = re.search(rf"--{option}(?:/--no-{option})?(?:N|TEXT|NAME)?[^\[]*\[default:([^\]]*)\]", text)
            assert said, option
            assert said[1] == "".join(default.split()), option
    for word in ("--backboneNET[@CUT]", "[default:alexnet]", "[default:torchvision's,fetchedonce]", "--dry-run"):
        assert word in text


def completed(*arguments):
    *before, last = arguments
    complete = ShellComplete(cli, {}, "ebll", "_EBLL_COMPLETE")
    return [item.value for item in complete.get_completions(["paper", *before], last)]


def test_words_are_completed():
    assert completed("--experiment", "fl") == ["flowers-scenes", "flowers-birds"]
    assert completed("--experiment", "flowers-birds,imagenet-b") == ["flowers-birds,imagenet-birds"]
    assert set(completed("--experiment", "")) == set(SEQUENCES)
    assert completed("--backbone", "alex") == ["alexnet"]
    assert set(completed("--backbone", "")) == set(BACKBONES)
    assert completed("--backbone", "resnet18@layer") == [f"resnet18@layer{n}" for n in (1, 2, 3, 4)]
    assert completed("--backbone", "nonsense@") == []
    assert set(completed("--methods", "lwf,eb")) == {"lwf,ebll", "lwf,ebll-separate"}
    assert completed("--autoencoder-i") == ["--autoencoder-images"]
    assert set(completed("--augment", "")) == {"fixed", "random", "none"}


# ---- refusals


@pytest.mark.parametrize(
    ("given", "named"),
    [
        (["--methods", "lwff"], ["Method", "'lwff'", "lwf"]),
        (["--backbone", "alexnett"], ["Backbone", "'alexnett'", "alexnet"]),
        (["--backbone", "resnet18@layer9"], ["Cut of resnet18", "'layer9'", "layer4"]),
        (["--experiment", "flowers"], ["'flowers'", "imagenet-scenes-birds", "'-'"]),
        (["--experiment", "flowers-flowers"], ["'flowers-flowers'", "different sets"]),
        (["--seeds", "some"], ["seeds", "at least 1", "'some'"]),
        (["--seeds", "0"], ["seeds", "at least 1", "got 0"]),
        (["--first-seed", "-1"], ["first_seed", "got -1"]),
        (["--minutes", "often"], ["minutes", "'often'"]),
        (["--minutes", "0"], ["minutes", "above 0"]),
        (["--alpha", "lots"], ["alpha", "'lots'"]),
        (["--epochs", "1.5"], ["epochs", "1.5"]),
        (["--learning-rate", "0"], ["learning_rate", "above 0"]),
        (["--size", "300"], ["size", "300 pixels", "256"]),
        (["--augment", "fxed"], ["'fxed'", "fixed"]),
        (["--precision", "float16"], ["'float16'", "bfloat16"]),
        (["--device", "gpu"], ["Device", "'gpu'", "cuda"]),
        (["--device", "cuda"], ["no GPU"]),
        (["--device", "cuda:0,cuda:1"], ["no GPU"]),
        (["--device", "cpu,cpu", "--dask", "tcp://127.0.0.1:1"], ["devices", "cluster"]),
    ],
)
@pytest.mark.parametrize("dry", [False, True])
def test_what_cannot_be_is_refused_before_anything_is_done(given, named, dry, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.chdir(tmp_path)
    dry_run = ["--dry-run"] if dry else []
    device = [] if "--device" in given else ["--device", "cpu"]
    result = invoke("--root", "data", *given, *device, *dry_run)
    refused(result)
    review(result.stderr, *named)
    assert not list(tmp_path.rglob("*.json"))
    assert not list(tmp_path.rglob("*.safetensors"))


def test_the_root_has_to_be_named():
    refused(invoke(), "'--root'")


def test_an_unknown_option_names_the_near_one():
    refused(invoke("--root", "data", "--epoch", "3"), "--epoch", "--epochs")


def test_all_sets_that_are_missing_are_told_at_once(tmp_path):
    result = run(tmp_path / "data", tmp_path / "out")
    refused(result, *(info.source for info in PHOTO_SETS.values()), *(f"'{name}'" for name in PHOTO_SETS))
    assert not (tmp_path / "data").exists()


def test_a_set_of_that_name_is_not_there(root, tmp_path):
    result = run(root, tmp_path, experiment="flower-birds,leaves-birds")
    refused(result, "photos 'flower'", "photos 'leaves'", str(root / "leaves"))


def test_an_incomplete_set_is_refused_unless_it_is_accepted(root, tmp_path):
    given = ["--root", root, "--out", tmp_path, "--experiment", "flowers-birds", "--size", 24, "--stored", 32]
    with small_net():
        result = invoke(*given, "--device", "cpu")
    refused(
        result,
        "wanted 102 classes, 2,040 training images",
        "came 102 classes, 24 training images, 9 test images",
        "--incomplete",
    )


def test_weights_of_another_net_are_refused(root, tmp_path):
    file = tmp_path / "mobile.pth"
    torch.save(mobilenet_v3_small().state_dict(), file)
    given = ["--root", root, "--out", tmp_path / "out", "--incomplete", "--experiment", "flowers-birds", "--size", 32]
    result = invoke(*given, "--stored", 32, "--backbone", "resnet18", "--weights", file, "--device", "cpu")
    refused(result, str(file), "resnet18")
    assert not list((tmp_path / "out").rglob("*.safetensors"))
    result = invoke(*given, "--backbone", "resnet18", "--weights", tmp_path / "none.pth", "--device", "cpu")
    refused(result, str(tmp_path / "none.pth"))


def test_a_cluster_that_is_not_there_is_told_in_words(root, tmp_path):
    pytest.importorskip("distributed")
    refused(run(root, tmp_path, "--dask", "tcp://127.0.0.1:1"), "tcp://127.0.0.1:1")


# ---- the dry run


def test_a_dry_run_says_what_it_would_take_without_any_data_and_writes_nothing(tmp_path):
    result = run(tmp_path / "data", tmp_path / "out", "--dry-run")
    assert result.exit_code == 0, result.output
    assert not any(tmp_path.iterdir())
    titles = re.findall(r"^(\w[\w' ]+)$", result.stdout, re.M)
    assert titles == ["The paper's protocol", "Data", "Disk", "Memory", "Time"]
    told = " ".join(result.stdout.split())
    for info in PHOTO_SETS.values():
        assert info.source in told
    assert f"{6 * len(METHODS)}, on cpu; 1 epochs of warm-up, 2 of training, batch 8" in told
    assert "102 classes; 3,672 training windows an epoch, 204 validation and 6,149 test images" in told
    assert "1,000 classes; 180,000 training windows an epoch, 10,000 validation and 50,000 test images" in told


def test_a_dry_run_beside_an_earlier_one_leaves_it_as_it_is(root, tmp_path):
    (tmp_path / "accuracy.csv").write_text("earlier")
    result = run(root, tmp_path, "--dry-run", experiment="flowers-birds", methods="lwf,ebll", seeds=3)
    assert result.exit_code == 0, result.output
    assert [path.name for path in tmp_path.iterdir()] == ["accuracy.csv"]
    told = " ".join(result.stdout.split())
    assert "runs 6, on cpu" in told
    assert "seeds 0, 1, 2" in told
    assert "runs 6, from " in told


# ---- what it leaves


@pytest.fixture(scope="module")
def done(root, tmp_path_factory):
    """Two pairs and a sequence of three with all methods, pictures and all."""
    out = tmp_path_factory.mktemp("done")
    names = ["flowers-scenes,flowers-birds", "--experiment", "imagenet-scenes-birds"]
    return run(root, out, "--experiment", *names, "--first-seed", 4, draw=True), out


def test_its_tables_have_the_columns_of_the_main_job(done, tmp_path):
    result, out = done
    assert result.exit_code == 0, result.output
    other = tiny_plan.reproduce(tmp_path, "--methods", "lwf,ebll", "--seeds", "1", "--workers", "1")
    assert other.exit_code == 0, other.output
    for name in ("accuracy.csv", "curves.csv", "kept.csv", "outcomes.csv", "claims-parts.csv"):
        assert list(pd.read_csv(out / name)) == list(pd.read_csv(tmp_path / name)), name
    mine, its = (json.loads((folder / "run.json").read_text()) for folder in (out, tmp_path))
    assert set(its) - set(mine) == {"profile"}
    assert mine["seeds"] == [4]
    assert mine["settings"]["train"]["epochs"] == 2
    claims = [json.loads((folder / "claims.json").read_text()) for folder in (out, tmp_path)]
    assert {tuple(claim) for claim in claims[0]} == {tuple(claim) for claim in claims[1]}


def test_every_run_is_in_its_tables_and_what_it_says_is_what_it_wrote(done):
    result, out = done
    accuracy = pd.read_csv(out / "accuracy.csv")
    counts = accuracy.groupby(["sequence", "seed", "method"]).size().unstack()
    assert list(counts) == sorted(METHODS)
    assert {name[0]: set(row) for name, row in zip(counts.index, counts.to_numpy(), strict=True)} == {
        "resnet18:flowers-birds": {3}, "resnet18:flowers-scenes": {3}, "resnet18:imagenet-scenes-birds": {6},
    }  # fmt: skip
    for table in (out / "tables.md").read_text().split("\n\n")[2:]:
        assert table.strip() in result.stdout
    told = " ".join(result.stdout.split())
    assert f"numbers: {out / 'paper-layout.md'}" in told
    assert "sequences resnet18:flowers-scenes, resnet18:flowers-birds, resnet18:imagenet-scenes-birds" in told
    for name in ("feature-distance", "forgetting", "stability-plasticity", "claims"):
        assert (out / f"{name}.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert list(out.rglob(".*")) == [out / ".lock"]  # no half files


def test_no_claim_is_made_about_a_gap_that_nobody_measured(done):
    claims = [claim["id"] for claim in json.loads((done[1] / "claims.json").read_text())]
    assert "C8" not in claims
    assert {"C1", "C9"} <= set(claims)
    assert "C8" not in done[0].stdout
    assert not (done[1] / "gaps.csv").exists()


def test_the_layout_has_a_table_for_the_pairs_and_one_for_the_three(done):
    out = done[1]
    assert len(list(out.glob("paper-layout-*.csv"))) == 2
    text = (out / "paper-layout.md").read_text()
    assert re.findall(r"^## (.*)$", text, re.M) == ["Two tasks, from Flowers", "ImageNet → Scenes → Birds"]


# ---- go on, and ended early


def test_an_earlier_folder_is_gone_on_with_only_where_that_is_asked_for(root, tmp_path):
    given = {"experiment": "flowers-birds", "methods": "lwf"}
    assert run(root, tmp_path, **given).exit_code == 0
    before = (tmp_path / "accuracy.csv").read_bytes()
    refused(run(root, tmp_path, **given), str(tmp_path), "1 of these 1 runs", "--resume", "--out")
    again = run(root, tmp_path, "--resume", **given)
    assert again.exit_code == 0
    assert (tmp_path / "accuracy.csv").read_bytes() == before


def test_a_run_that_diverges_is_named_and_the_exit_code_tells(root, tmp_path):
    result = run(root, tmp_path, experiment="flowers-birds", methods="ewc,finetune", ewc_strength=1e12)
    assert result.exit_code == 1
    assert "error: 1 of 2 runs " in result.stderr
    assert "resnet18:flowers-birds: EWC, seed 0: " in " ".join(result.stdout.split())
    assert "no run" in (tmp_path / "paper-layout.md").read_text()


def test_where_every_run_diverges_there_is_nothing_to_conclude(root, tmp_path):
    result = run(root, tmp_path, experiment="flowers-birds", methods="lwf,ebll", learning_rate=1e9)
    refused(result, "All 2 runs ", "First task, seed 0: ", code=1)
    assert not (tmp_path / "claims.json").exists()


def test_no_experiment_at_all_is_refused(tmp_path):
    result = CliRunner().invoke(cli, ["paper", "--root", str(tmp_path), "--experiment", ",", "--dry-run"])
    assert result.exit_code == 2
    review(result.stderr, "Experiment", "at least one")
