"""`ebll run` from end to end, and how commands end early: nothing recorded is lost."""

import contextlib
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner
from folders import image_folder
from tiny_sweep import SLOW

from ebll.cli import cli, options
from ebll.sweeps import load_sweep

HERE = Path(__file__).parent
WILD = ["--method", "lwf", "--learning-rate", 0.1, "--distill-weight", "1e30"]


@pytest.fixture
def run(tmp_path):
    """Run the command on two image folders."""
    two = f"{image_folder(tmp_path / 'one')},{image_folder(tmp_path / 'two', seed=1)}"
    return lambda *arguments: CliRunner().invoke(cli, ["run", "--tasks", two, *map(str, arguments)])


def test_it_prints_what_it_writes_and_the_same_seed_gives_the_same_files(tmp_path, run):
    arguments = ["--method", "ebll", "--epochs", 3, "--code-size", 8, "--alpha", "1.5", "--out"]
    done, again = run(*arguments, tmp_path / "out"), run(*arguments, tmp_path / "again")
    assert (done.exit_code, again.exit_code) == (0, 0), done.stderr
    out = tmp_path / "out"
    assert all(path.read_bytes() == (tmp_path / "again" / path.name).read_bytes() for path in out.iterdir())
    accuracy = pd.read_csv(out / "accuracy.csv")
    assert list(accuracy)[:6] == ["sequence", "method", "seed", "after", "task", "accuracy"]
    assert set(accuracy["sequence"]) == {"mlp:one-two"}
    assert list(accuracy["method"]) == ["single-task", "ebll", "ebll", "ebll"]
    alone, before, after, new = 100 * accuracy["accuracy"]
    assert re.search(rf"one +{before:.1f} *\n", done.stdout)
    assert re.search(rf"two +{after:.1f} +{new:.1f} *\n", done.stdout)
    assert re.search(rf"average accuracy +{(after + new) / 2:.1f} %", done.stdout)
    assert re.search(rf"forgetting +{before - after:.1f} points", done.stdout)
    assert re.search(rf"forward transfer +[+]?{new - alone:.1f} points", done.stdout)
    assert list(pd.read_csv(out / "curves.csv"))[5:7] == ["feature_distance", "loss_task"]
    assert list(pd.read_csv(out / "kept.csv")["after"]) == ["one"]
    assert {path.suffix for path in out.glob("feature-distance.*")} == {".png", ".svg", ".csv", ".txt"}


def test_the_first_task_is_learned_with_the_settings_of_the_net_as_in_a_sweep(run, tmp_path, monkeypatch):
    """`--epochs` and the like are those of the tasks after it, as `RunConfig` says; each stage is told to its end."""
    first, told = [], []
    monkeypatch.setattr(options.Progress, "at", lambda self, share, text: told.append((share, text)))
    for epochs in (1, 3):
        run("--method", "lwf", "--epochs", epochs, "--log-every", 0, "--out", tmp_path)
        accuracy = pd.read_csv(tmp_path / "accuracy.csv").query("after == 'one'")
        first.append(accuracy["accuracy"].item())
    assert first[0] == first[1]
    assert pd.read_csv(tmp_path / "kept.csv").empty  # of a method that keeps nothing
    assert [text.partition(":")[0] for share, text in told if share == 1.0][-4:] == [
        "one, train", "two, warm-up", "two, train", "one, train",
    ]  # fmt: skip


def full(*given):
    raise OSError(28, "No space left on device")


def test_when_training_diverges_the_tables_so_far_are_kept(tmp_path, run, monkeypatch):
    done = run(*WILD, "--out", tmp_path / "out")
    *_, kept, error = done.stderr.splitlines()
    assert done.exit_code == 1
    assert error.startswith("Error: LwF, seed 0: ")  # then terms and a step that depend on the processor
    assert "distill_weight" in error
    assert str(tmp_path / "out") in kept
    accuracy = pd.read_csv(tmp_path / "out" / "accuracy.csv")
    assert accuracy.loc[accuracy["method"] == "lwf", ["after", "task"]].values.tolist() == [["one", "one"]]
    assert len(pd.read_csv(tmp_path / "out" / "curves.csv")) > 0
    monkeypatch.setattr("ebll.files.write_whole", full)
    done = run(*WILD, "--out", tmp_path / "out")
    assert done.stderr.startswith("Error: LwF, seed 0: ")  # the first error is the one to show


# A process of its own, as a person starts it, but with a line of progress at each step.
DRIVER = f"""
import contextlib, sys; sys.path.insert(0, {str(HERE)!r})
from ebll.cli import main, options
from tiny_plan import tiny
if __name__ == "__main__":
    options.Progress.at = lambda self, share, text: print(f"{{text}}; {{share:.2f}}", file=sys.stderr, flush=True)
    with tiny() if "tiny" in sys.argv else contextlib.nullcontext():
        main(sys.argv[1:])
"""


def interrupted(tmp_path, arguments, line, seconds, how):
    """Start the command in a process group of its own; some time after its line press Ctrl-C or send SIGTERM."""
    script = tmp_path / "driver.py"  # a file, since worker processes import it again
    script.write_text(DRIVER)
    process = subprocess.Popen(
        [sys.executable, script, *map(str, arguments)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    try:
        while not re.match(line, process.stderr.readline()):
            assert process.poll() is None
        time.sleep(random.SystemRandom().uniform(0, seconds))
        # A terminal's Ctrl-C reaches the workers too, `kill` does not.
        (os.killpg if how == signal.SIGINT else os.kill)(process.pid, how)
        _, told = process.communicate(timeout=60)
    finally:
        with contextlib.suppress(ProcessLookupError):  # workers may outlive the command
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert process.returncode == 130, told
    assert "Traceback" not in told
    assert told.splitlines()[-1] == "Stopped."
    return told


ENDS = pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "kill"])


@pytest.mark.slow
@ENDS
def test_ctrl_c_and_kill_keep_the_tables_of_a_run(tmp_path, how):
    two = f"{image_folder(tmp_path / 'one')},{image_folder(tmp_path / 'two', seed=1)}"
    arguments = ["run", "--tasks", two, "--epochs", 100_000, "--code-size", 8, "--out", tmp_path / "out"]
    told = interrupted(tmp_path, arguments, r"two, train: step \d+ of \d+", 1, how)
    assert f"Tables so far are in {tmp_path / 'out'}." in told
    for name in ("accuracy", "curves", "kept"):
        assert "sequence" in pd.read_csv(tmp_path / "out" / f"{name}.csv")


@pytest.mark.slow
@ENDS
@pytest.mark.parametrize("workers", [1, 2])
def test_ctrl_c_and_kill_keep_the_jobs_that_were_done(tmp_path, workers, how):
    out = tmp_path / "out"
    arguments = ["reproduce", "--profile", "tiny", "--seeds", 9, "--workers", workers, "--out", out, "--methods", "lwf"]
    told = interrupted(tmp_path, arguments, r"training; 0\.[3-9]", 0.2, how)
    assert f"finished runs are in {out / 'unfinished'}." in told
    tables = {path.name: pd.read_csv(path) for path in (out / "unfinished").glob("*.csv")}
    assert all("sequence" in table for table in tables.values())
    accuracy = tables["accuracy.csv"]
    assert accuracy.groupby("seed").size().nunique() == 1  # whole jobs
    assert 1 <= accuracy["seed"].nunique() <= 9


@pytest.mark.slow
def test_ctrl_c_while_the_workers_start_is_quiet(tmp_path):
    arguments = ["reproduce", "--profile", "tiny", "--workers", 2, "--out", tmp_path]
    interrupted(tmp_path, arguments, "tiny: results to", 0.3, signal.SIGINT)


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_ctrl_c_ends_a_sweep_at_once_and_the_same_command_goes_on(tmp_path, workers):
    """Two quick runs, then one that would take an hour."""
    file, out = tmp_path / "alphas.toml", tmp_path / "out"
    file.write_text(f"""
        grid.tasks = ["digits", "letters"]
        grid.method = "finetune"
        grid.images = 192
        grid.epochs = [1, {SLOW["epochs"]}]
        grid.seed = [0, 1]
    """)
    arguments = ["sweep", file, "--out", out, "--workers", workers]
    told = interrupted(tmp_path, arguments, r"[1-9] of 4 runs", 0.2, signal.SIGINT)
    assert f"Finished runs are kept in {out / 'store'}" in told
    kept = len(load_sweep(out / "store").results)
    assert kept >= 1
    again = CliRunner().invoke(cli, [*map(str, arguments), "--dry-run"])
    assert f"4 runs, of which {kept} are done" in again.stderr
