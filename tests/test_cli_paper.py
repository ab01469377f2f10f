"""`ebll paper` on the command line: the dry run, the files that it leaves, and signals."""

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner
from paper_rig import COUNTS, photos, same_results, small_net

from ebll.cli import cli
from ebll.errors import DataMissing
from ebll.paper import PHOTO_SETS, PaperSettings, PhotoSettings, dry_run, load_photos, protocol, units_of
from ebll.paper.checkpoint import save_checkpoint
from ebll.paper.plan import PAPER_METHODS

pytestmark = pytest.mark.paper

QUICK = {
    "backbone": "mobilenet_v3_small", "stored": 32, "size": 24, "versions": 2, "epochs": 2, "warmup-epochs": 1,
    "batch-size": 8, "learning-rate": 0.02, "alpha": 0.3, "code-size": 5, "code-size-imagenet": 7,
    "fisher-samples": 8, "log-every": 2, "device": "cpu", "threads": 1,
}  # fmt: skip


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    photos(folder)
    return folder


def options(changes):
    return [f"--{name.replace('_', '-')}={value}" for name, value in (QUICK | changes).items()]


def run(root, out, *arguments, **changes):
    given = ["paper", "--root", root, "--out", out, "--incomplete", *options(changes), *arguments]
    with small_net():
        return CliRunner().invoke(cli, [str(one) for one in given])


# ---- the dry run


def test_a_dry_run_says_images_steps_and_bytes_without_any_data_and_writes_nothing(tmp_path):
    result = run(tmp_path / "data", tmp_path / "out", "--dry-run", size=32)
    assert result.exit_code == 0, result.output
    assert not any(tmp_path.iterdir())
    assert re.findall(r"^(\w+|\w+ \w+)$", result.stdout, re.M) == ["Images", "Optimiser steps", "Bytes"]
    told = " ".join(result.stdout.split())
    assert f"{6 * len(PAPER_METHODS)} runs on cpu" in told
    assert [name for name, info in PHOTO_SETS.items() if info.source not in told] == []
    assert "102 classes; 3,672 training crops an epoch, 204 validation and 6,149 test images" in told
    assert "1,000 classes; 180,000 training crops an epoch, 10,000 validation and 50,000 test images" in told


@pytest.mark.parametrize("augment", ["fixed", "random"])
def test_the_numbers_are_those_of_the_tasks_and_of_the_run(root, augment):
    photos_as = PhotoSettings(stored=32, size=24, versions=2, augment=augment)
    train = PaperSettings().train.replace(epochs=3, first_epochs=5, warmup_epochs=1, batch_size=8)
    chosen = PaperSettings(backbone="mobilenet_v3_small", photos=photos_as, imagenet_images=20, train=train)
    units = units_of(chosen, ["flowers-scenes-birds", "imagenet-birds"], ["lwf", "ebll"], seeds=2)
    with small_net():
        told = dry_run(units, chosen, root=root, incomplete=True)
        tasks = {name: load_photos(name, root, chosen.photos_of(name), incomplete=True) for name in COUNTS}
        with pytest.raises(DataMissing, match="'leaves'"):
            dry_run(units_of(chosen, "leaves-birds", "lwf"), chosen, root=root, incomplete=True)
    for name, words in told["Images"]:
        task = tasks[name]
        sizes = f"{len(task.train):,} training crops an epoch, {len(task.validation)} validation and {len(task.test)}"
        assert words == f"{102 if name == 'flowers' else task.class_count} classes; {sizes} test images"
    batches = {name: -(-len(task.train) // 8) for name, task in tasks.items()}
    each = [4 * (batches["scenes"] + batches["birds"]), 4 * batches["birds"]]
    steps = dict(told["Optimiser steps"])
    assert steps["first sets"] == f"{2 * 5 * batches['flowers']}"  # of each seed; ImageNet is pretrained
    assert steps["runs"] == f"{4 * sum(each)} in 8 runs, {min(each)} to {max(each)} each"
    images = sum(len(task.train.inputs.images) + len(task.test.inputs.images) for task in tasks.values()) * 3 * 32**2
    assert dict(told["Bytes"])["resized images"] == f"{images / 1e6:.3g} MB in {root / 'ebll-cache'}"


# ---- what it leaves


def test_it_leaves_the_main_jobs_tables_and_the_papers_layout(root, tmp_path):
    """Of a pair and a sequence of three; a run that diverges is named, and the exit code tells."""
    given = {"experiment": "flowers-birds,imagenet-scenes-birds", "backbone": "resnet18", "ewc_strength": 1e12}
    result = run(root, tmp_path, "--first-seed", 4, methods="finetune,lwf,ewc,ebll", **given)
    assert result.exit_code == 1, result.output
    assert "2 runs diverged" in result.stderr
    assert "resnet18:flowers-birds: EWC, seed 4: " in " ".join(result.stdout.split())
    accuracy = pd.read_csv(tmp_path / "accuracy.csv")
    counts = accuracy.groupby(["sequence", "method"]).size().unstack()[["ebll", "finetune"]]
    assert {name: set(row) for name, row in zip(counts.index, counts.to_numpy(), strict=True)} == {
        "resnet18:flowers-birds": {3}, "resnet18:imagenet-scenes-birds": {6},
    }  # fmt: skip
    about = json.loads((tmp_path / "run.json").read_text())
    assert (about["seeds"], about["settings"]["train"]["epochs"]) == ([4], 2)
    tables, _, diverged = (tmp_path / "tables.md").read_text().partition("# Runs that diverged")
    assert all(table.strip() in result.stdout for table in tables.split("\n\n")[2:])
    assert "- resnet18:flowers-birds: EWC, seed 4: " in diverged
    assert str(tmp_path / "paper-layout.md") in " ".join(result.stdout.split())
    claims = {claim["id"] for claim in json.loads((tmp_path / "claims.json").read_text())}
    assert {"C3", "C4"} <= claims
    assert not {"C1", "C8"} & claims  # not all methods were run, and nobody measured a gap
    layout = (tmp_path / "paper-layout.md").read_text()
    assert re.findall(r"^## (.*)$", layout, re.M) == ["Two tasks, from Flowers", "ImageNet → Scenes → Birds"]
    assert len(list(tmp_path.glob("paper-layout-*.csv"))) == 2


# ---- signals


def test_ended_by_a_batch_system_and_then_killed_it_goes_on_to_the_same_tables(root, tmp_path, monkeypatch):
    """Of a network whose dropout draws; the process that is killed goes on from where the first run was stopped."""
    given = {"experiment": "birds-scenes", "methods": "ebll", "dropout": 0.2}
    given |= {"epochs": 30, "learning_rate": 0.001, "log_every": 50}
    often, out, saved = ("--minutes", "0.0001"), tmp_path / "out", []

    def save(*checkpoint):
        saved.append(save_checkpoint(*checkpoint))
        if len(saved) == 5:
            signal.raise_signal(signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(protocol, "save_checkpoint", save)
        result = run(root, out, *often, **given)
    assert (result.exit_code, result.stderr.splitlines()[-1]) == (130, "Stopped.")
    assert re.search("Stopping, .* Once more ends at once(.|\n)*A checkpoint was written", result.stderr)
    assert len(list(out.rglob("step.safetensors"))) == 1

    words = ["paper", "--root", str(root), "--out", str(out), "--incomplete", *options(given), *often]
    program = f"import paper_rig, ebll.cli\nwith paper_rig.small_net(): ebll.cli.main({words})"
    with subprocess.Popen(
        [sys.executable, "-c", program], stderr=subprocess.PIPE, cwd=Path(__file__).parent
    ) as process:
        try:
            begun, seen = time.monotonic(), set()
            while len(seen) < 4:  # checkpoints of its own, behind the one that is there
                assert process.poll() is None, process.communicate()
                assert time.monotonic() - begun < 120
                seen |= {path.stat().st_mtime_ns for path in out.rglob("step.safetensors") if path.exists()}
                time.sleep(0.01)
        finally:
            process.kill()
    assert process.returncode == -signal.SIGKILL
    assert not (out / "claims.json").exists()

    for folder in (out, tmp_path / "whole"):
        result = run(root, folder, **given)
        assert result.exit_code == 0, result.output
    same_results(out, tmp_path / "whole")
    assert {path.parent.parent.name for path in out.rglob("*.safetensors*")} == {"starts"}
