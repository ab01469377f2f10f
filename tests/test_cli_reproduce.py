"""`ebll reproduce` from end to end on a tiny plan: the schema of every file, and the same numbers however it is run."""

import dataclasses
import json
import re
import subprocess
import sys

import pandas as pd
import pytest
from tiny_plan import SEQUENCES, SETTINGS, profile, reproduce, tiny

from ebll import reproduce as main_job
from ebll.errors import DataMissing, TrainingDiverged
from ebll.reproduce.jobs import jobs_of
from ebll.reproduce.plan import PROFILES
from ebll.settings import MAIN_METHODS

IDS = [e.id for e in SEQUENCES]


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """The command's result and its folder, with all methods, in one process."""
    folder = tmp_path_factory.mktemp("all") / "deep" / "out"
    return reproduce(folder, "--workers", "1"), folder


def test_the_tables_have_a_row_for_every_task_and_the_losses_of_each_method(done):
    folder = done[1]
    table = pd.read_csv(folder / "accuracy.csv")
    assert list(table)[:6] == ["sequence", "method", "seed", "after", "task", "accuracy"]
    assert table["accuracy"].between(0, 1).all()
    assert list(table["sequence"].unique()) == IDS
    assert list(table["method"].unique()) == ["single-task", *MAIN_METHODS]
    more = table["method"].isin(["lwf", "ebll"]) & (table["sequence"] != IDS[2])
    assert (set(table.loc[more, "seed"]), set(table.loc[~more, "seed"])) == ({0, 1, 2}, {0, 1})
    assert not table.duplicated(["sequence", "method", "seed", "after", "task"]).any()
    whole = table[(table["sequence"] == IDS[2]) & (table["method"] == "ebll") & (table["seed"] == 0)]
    pairs = [("letters", "letters"), ("digits", "letters"), ("digits", "digits")]
    pairs += [("mnist", task) for task in ("letters", "digits", "mnist")]
    assert list(zip(whole["after"], whole["task"], strict=True)) == pairs
    table = pd.read_csv(folder / "curves.csv")
    losses = [f"loss_{name}" for name in ("task", "distill", "code", "penalty")]
    assert list(table)[:10] == ["sequence", "method", "seed", "step", "task", "feature_distance", *losses]
    assert table["task"].notna().all()
    assert (table["feature_distance"] >= 0).all()
    filled = {method: [c for c in losses if rows[c].notna().any()] for method, rows in table.groupby("method")}
    assert filled["finetune"] == ["loss_task"]
    assert filled["ebll"] == ["loss_task", "loss_distill", "loss_code"]
    assert filled["ewc"] == ["loss_task", "loss_penalty"]
    assert list(pd.read_csv(folder / "gaps.csv"))[-3:] == ["old", "new", "gap"]
    run = json.loads((folder / "run.json").read_text())
    assert (run["seeds"], run["more seeds"]) == ([0, 1], [{"sequences": IDS[:2], "lwf": 3, "ebll": 3}])
    assert not [path.name for path in folder.iterdir() if path.name.startswith(".")]


def test_claims_and_tables_are_printed_as_they_are_written_and_every_picture_has_its_data_and_words(done):
    result, folder = done
    assert result.exit_code == 0, result.stderr
    assert result.stderr.startswith(f"tiny: results to {folder}")
    assert f"are in {folder}" in result.stdout
    assert re.findall(r"^\| (mlp:\S+)", result.stdout, re.M) == IDS
    assert (folder / "tables.md").read_text(encoding="utf-8") in result.stdout
    claims = json.loads((folder / "claims.json").read_text(encoding="utf-8"))
    plain = [f"C{n}" for n in range(1, 13) if n != 7]
    assert [claim["id"] for claim in claims] == [*plain, "C7 (mlp, letters first)"]
    for claim in claims:
        assert {"id", "statement", "where", "measured", "estimate", "low", "high", "verdict", "seeds"} <= claim.keys()
        assert claim["verdict"] in {"supported", "not supported", "undecided"}
        assert claim["low"] <= claim["estimate"] <= claim["high"]
        assert claim["seeds"] == (3 if claim["id"] in ("C4", "C8") else 2)
    words = " ".join(result.stdout.split())
    for claim in claims[:-1]:
        assert f"**{claim['id']}: {claim['verdict']}.** {claim['statement']}" in words
        told = re.search(re.escape(f"Measured: {claim['measured']}: ") + r"(\S+) \((\S+) to (\S+)\) (\w+)", words)
        numbers = [claim[name] for name in ("estimate", "low", "high")]
        assert [float(number) for number in told.groups()[:3]] == pytest.approx(numbers, abs=0.006)
        assert told.group(4) == claim["unit"]
    pictures = sorted(folder.glob("*.png"))
    assert len(pictures) >= 6
    for png in pictures:
        assert "<svg" in png.with_suffix(".svg").read_text(encoding="utf-8")
        assert len(png.with_suffix(".txt").read_text(encoding="utf-8")) > 80
        assert len(pd.read_csv(png.with_suffix(".csv"))) > 0


@pytest.mark.slow
def test_again_and_in_two_processes_it_gives_the_same_files(tmp_path):
    for workers in ("1", "2"):
        result = reproduce(tmp_path / workers, "--methods", "ewc,ebll", "--workers", workers)
        assert result.exit_code == 0, result.stderr
    one, two = ({path.name: path.read_bytes() for path in (tmp_path / workers).iterdir()} for workers in ("1", "2"))
    assert one.keys() == two.keys()
    assert [name for name in one if one[name] != two[name]] == []


def test_some_methods_other_seeds_and_a_run_that_ends_early(tmp_path):
    """All that was computed is written and shown; the run that failed is named, and the exit code tells."""
    chosen = ["--methods", "ewc", "--methods", "finetune,ewc", "--seeds", "1", "--first-seed", "7", "--workers", "1"]
    stale, own = tmp_path / "accuracy-matrix-mlp-9.png", tmp_path / "notes.txt"
    for path in (stale, own):
        path.write_text("earlier")
    result = reproduce(tmp_path, *chosen, ewc_strength=1e12)
    assert not stale.exists()  # a figure of an earlier run
    assert own.exists()
    assert result.exit_code == 1
    assert "2 runs diverged" in result.stderr
    told = " ".join(result.stdout.split())
    for name in IDS[1:]:  # the first is the beginning of the third
        assert f"diverged: {name}: EWC, seed 7: training diverged" in told
    accuracy = pd.read_csv(tmp_path / "accuracy.csv")
    assert set(accuracy["seed"]) == {7}
    assert set(accuracy.loc[accuracy["method"] == "ewc", "after"]) == {"letters"}
    assert (tmp_path / "forgetting.png").exists()
    assert json.loads((tmp_path / "claims.json").read_text()) == []
    assert "Claims" not in result.stdout


def test_a_job_that_stops_keeps_its_own_tables_beside_an_earlier_result(tmp_path):
    earlier = {"claims.json", "accuracy.csv", "forgetting.png"}
    for name in earlier:
        (tmp_path / name).write_text("earlier")

    def stop(share):
        if share >= 0.5:  # the first of two jobs has come to its end
            raise KeyboardInterrupt

    with tiny(), pytest.raises(KeyboardInterrupt):
        main_job.reproduce("tiny", methods="finetune", out=tmp_path, workers=1, on_progress=stop)
    assert {path.name for path in tmp_path.iterdir()} == earlier | {"unfinished"}
    assert all((tmp_path / name).read_text() == "earlier" for name in earlier)
    own = tmp_path / "unfinished"
    assert {path.name for path in own.iterdir()} == {"accuracy.csv", "curves.csv", "gaps.csv", "kept.csv"}
    accuracy = pd.read_csv(own / "accuracy.csv")
    assert (set(accuracy["seed"]), set(accuracy["method"])) == ({0}, {"single-task", "finetune"})


def test_an_end_that_fails_leaves_the_earlier_result_and_keeps_the_new_tables(tmp_path, monkeypatch):
    (tmp_path / "claims.json").write_text("earlier")
    (tmp_path / "accuracy.csv").write_text("earlier")

    def full(*given):
        raise OSError("No space left on device")

    monkeypatch.setattr("ebll.reproduce.report.draw", full)
    with tiny(), pytest.raises(OSError, match="No space") as failed:
        main_job.reproduce("tiny", methods="finetune", out=tmp_path, workers=1)
    assert str(tmp_path / "unfinished") in failed.value.__notes__[0]
    assert {path.name for path in tmp_path.iterdir()} == {"accuracy.csv", "claims.json", "unfinished"}
    assert (tmp_path / "claims.json").read_text() == (tmp_path / "accuracy.csv").read_text() == "earlier"
    assert set(pd.read_csv(tmp_path / "unfinished" / "accuracy.csv")["method"]) == {"single-task", "finetune"}


def test_missing_data_is_told_before_anything_starts(tmp_path, monkeypatch):
    monkeypatch.setattr("ebll.data.catalog.TaskInfo.available", lambda info: (False, f"{info.name} is not here"))
    with tiny(), pytest.raises(DataMissing, match="letters is not here"):
        main_job.reproduce("tiny", out=tmp_path / "out", on_progress=lambda *_: pytest.fail("it has started"))
    assert not (tmp_path / "out").exists()


def test_where_every_run_diverges_they_are_told(tmp_path, monkeypatch):
    hot = dataclasses.replace(profile(), train=SETTINGS.replace(learning_rate=1e9))
    monkeypatch.setitem(PROFILES, "hot", hot)
    with pytest.raises(TrainingDiverged, match="all runs that begin with letters"):
        main_job.reproduce("hot", out=tmp_path, workers=1)


def test_the_costliest_jobs_are_begun_first():
    jobs = jobs_of(PROFILES["full"], list(MAIN_METHODS), range(2), PROFILES["full"].more)
    assert [job.net for job in jobs[:4]] == ["cnn", "cnn", "mlp", "mlp"]
    runs = [job.runs for job in jobs if job.net == "mlp"]
    assert runs == sorted(runs, reverse=True)


def test_progress_is_told_from_the_first_task_to_the_figures(tmp_path, monkeypatch):
    monkeypatch.setattr("ebll.reproduce.report.draw", lambda *given: [])
    told = []
    with tiny():
        options = {"methods": "lwf", "out": tmp_path, "workers": 1}
        main_job.reproduce("tiny", on_progress=told.append, **options)
    assert (told[0], told[-1]) == (0, 1)
    assert told == sorted(told)


def test_a_worker_imports_neither_what_draws_nor_what_tests():
    code = "import sys, ebll.reproduce.jobs; print({'scipy', 'matplotlib', 'seaborn'} & set(sys.modules))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout == "set()\n"
