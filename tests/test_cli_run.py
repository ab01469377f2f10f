"""`ebll run` from end to end: what it prints is what it wrote, and nothing recorded is lost when it ends early."""

import contextlib
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner
from folders import image_folder
from messages import review
from tiny import blobs

import ebll
from ebll import METHODS, TrainSettings
from ebll.cli import cli
from ebll.cli.work import Work
from ebll.errors import OutputError

HERE = Path(__file__).parent
CURVES = ["sequence", "method", "seed", "step", "task", "feature_distance"]
LOSSES = [f"loss_{name}" for name in ("task", "distill", "code", "penalty")]


def run(*arguments):
    return CliRunner().invoke(cli, ["run", *map(str, arguments)])


@pytest.fixture
def two(tmp_path):
    """--tasks for two image folders."""
    return f"{image_folder(tmp_path / 'one')},{image_folder(tmp_path / 'two', seed=1)}"


def test_it_prints_what_it_writes(tmp_path, two):
    out = tmp_path / "out"
    done = run("--tasks", two, "--method", "ebll", "--epochs", 3, "--code-size", 8, "--alpha", "1.5", "--out", out)
    assert done.exit_code == 0, done.stderr
    accuracy = pd.read_csv(out / "accuracy.csv")
    assert list(accuracy)[:6] == ["sequence", "method", "seed", "after", "task", "accuracy"]
    assert set(accuracy["sequence"]) == {"mlp:one-two"}
    before, after, new = 100 * accuracy["accuracy"]
    assert re.search(rf"\| one +\| {before:.1f} +\| +\|", done.stdout)
    assert re.search(rf"\| two +\| {after:.1f} +\| {new:.1f} +\|", done.stdout)
    assert re.search(rf"average accuracy +{(after + new) / 2:.1f} %", done.stdout)
    assert re.search(rf"forgetting +{before - after:.1f} points", done.stdout)
    assert "alpha = 1.5, code_size = 8, epochs = 3" in done.stdout
    curves = pd.read_csv(out / "curves.csv")
    assert list(curves)[:10] == CURVES + LOSSES
    assert list(pd.read_csv(out / "kept.csv")["after"]) == ["one", "two"]
    assert {path.suffix for path in out.glob("feature-distance.*")} == {".png", ".svg", ".csv", ".txt"}


def test_the_same_seed_gives_the_same_files(tmp_path, two):
    files = []
    for folder in (tmp_path / "a", tmp_path / "b"):
        assert run("--tasks", two, "--method", "lwf", "--epochs", 2, "--out", folder).exit_code == 0
        files.append({path.name: path.read_bytes() for path in folder.iterdir()})
    assert files[0] == files[1]
    # A method that keeps nothing still leaves a table that can be read.
    assert pd.read_csv(tmp_path / "a" / "kept.csv").empty


@pytest.mark.parametrize("method", ["joint", "ebll"])
def test_the_progress_ends_where_the_work_does(method):
    tasks = [blobs(f"task{i}", seed=i, count=40 + 30 * i, shape=(1, 12, 12)) for i in range(3)]
    training = TrainSettings(epochs=2, warmup_epochs=1, batch_size=16)
    work = Work(tasks, METHODS[method](), "mlp", training, 0, "cpu", None)
    told = []
    work.do(told.append)
    assert work.done == work.steps == len(told)
    assert len(work.made.alone_rows) == 2


def test_one_task_has_nothing_to_forget(tmp_path, two):
    done = run("--tasks", two.split(",")[0], "--epochs", 1, "--out", tmp_path / "out")
    assert done.exit_code == 0, done.stderr
    assert "forgetting" not in done.stdout
    assert not list((tmp_path / "out").glob("*.png"))


def test_a_broken_image_is_named(tmp_path, two):
    broken = tmp_path / "two" / "light" / "3.png"
    broken.write_bytes(b"not an image")
    done = run("--tasks", two)
    assert done.exit_code == 2
    assert str(broken) in done.stderr  # and what Pillow says of it


@pytest.mark.parametrize("out", [True, False])
def test_when_training_diverges_the_tables_so_far_are_kept(tmp_path, two, out):
    where = ["--out", tmp_path / "out"] if out else []
    done = run("--tasks", two, "--method", "lwf", "--batch-size", 4, "--distill-weight", "1e30", *where)
    assert done.exit_code == 1
    stopped, error = done.stderr.splitlines()
    assert error.startswith("error: LwF, seed 0: ")  # then terms and a step that depend on the processor
    assert "distill_weight" in error
    assert (str(tmp_path / "out") if out else "--out DIR") in stopped
    if out:
        accuracy = pd.read_csv(tmp_path / "out" / "accuracy.csv")
        assert accuracy[["after", "task"]].values.tolist() == [["one", "one"]]
        assert len(pd.read_csv(tmp_path / "out" / "curves.csv")) > 0


def test_the_tables_are_written_before_the_figure_and_a_figure_that_fails_leaves_them(tmp_path, two, monkeypatch):
    out, found = tmp_path / "out", []

    def draw(work):
        found.extend(path.name for path in out.iterdir())
        raise OSError("no space left on device")

    monkeypatch.setattr(Work, "draw", draw)
    done = run("--tasks", two, "--method", "lwf", "--epochs", 1, "--out", out)
    assert done.exit_code == 1
    assert sorted(found) == sorted(path.name for path in out.iterdir()) == ["accuracy.csv", "curves.csv", "kept.csv"]
    assert len(pd.read_csv(out / "accuracy.csv")) == 3
    assert "no space left on device" in done.stderr


def test_what_was_learned_is_kept_when_something_later_fails(tmp_path, two, monkeypatch):
    def fail(*given, **options):  # the networks alone, after all tasks are learned
        raise RuntimeError("lost in space")
        yield

    monkeypatch.setattr("ebll.cli.work.learn_with", fail)
    done = run("--tasks", two, "--method", "lwf", "--epochs", 1, "--out", tmp_path / "out")
    assert done.exit_code == 1
    stopped, error = done.stderr.splitlines()
    assert str(tmp_path / "out") in stopped
    assert error.startswith("error: RuntimeError: lost in space")
    assert len(pd.read_csv(tmp_path / "out" / "accuracy.csv")) == 3


def test_an_error_is_shown_even_if_the_tables_cannot_be_kept_after_it(tmp_path, two, monkeypatch):
    def fail(*args, **options):
        raise OutputError("the disk is full")

    monkeypatch.setattr("ebll.reproduce.report.write_tables", fail)
    wild = ["--method", "lwf", "--batch-size", 4, "--distill-weight", "1e30"]
    done = run("--tasks", two, *wild, "--out", tmp_path / "out")
    assert done.exit_code == 1
    assert done.stderr.startswith("error: LwF, seed 0: ")


def test_an_error_before_the_first_step_is_one_line(tmp_path):
    done = run("--tasks", "letters,letters", "--out", tmp_path)
    assert done.exit_code == 2
    assert done.stderr.count("\n") == 1
    review(done.stderr, "error", "got letters, letters")


def test_outside_the_main_thread_the_tables_are_kept_too(tmp_path, two):
    done, wild = [], ["--method", "lwf", "--batch-size", 4, "--distill-weight", "1e30"]
    thread = threading.Thread(target=lambda: done.append(run("--tasks", two, *wild, "--out", tmp_path / "out")))
    thread.start()
    thread.join()
    assert done[0].stderr.splitlines()[-1].startswith("error: LwF, seed 0: ")
    assert len(pd.read_csv(tmp_path / "out" / "accuracy.csv")) == 1


# A process of its own, as a person starts it, but with a line of progress for each unit.
DRIVER = """
import sys; sys.path.insert(0, {here!r})
from ebll.cli import main, terminal
from tiny_plan import tiny
if __name__ == "__main__":
    terminal.Progress.__init__.__kwdefaults__["every"] = 0
    with tiny():
        main(sys.argv[1:])
"""


@contextlib.contextmanager
def started(tmp_path, arguments, line):
    """The command in a process group of its own, from its plan, or a line on stderr that matches `line`, on."""
    script = tmp_path / "driver.py"  # a file, since worker processes import it again
    script.write_text(DRIVER.format(here=str(HERE)))
    process = subprocess.Popen(
        [sys.executable, script, *map(str, arguments)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    try:
        assert process.stdout.readline(), process.stderr.read()
        while line and not re.match(line, process.stderr.readline()):
            assert process.poll() is None
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):  # workers may outlive the command
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def interrupted(tmp_path, arguments, line, seconds, how=signal.SIGINT):
    """Start the command, wait for its line, wait, press Ctrl-C or send SIGTERM."""
    with started(tmp_path, arguments, line) as process:
        time.sleep(seconds)
        # A terminal's Ctrl-C reaches the workers too, `kill` does not.
        (os.killpg if how == signal.SIGINT else os.kill)(process.pid, how)
        _, told = process.communicate(timeout=60)
    assert process.returncode == 130, (seconds, told)
    assert "Traceback" not in told, (seconds, told)
    return told.splitlines()[-1]


ENDS = pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "kill"])


@pytest.mark.slow
@ENDS
def test_ctrl_c_and_kill_keep_the_tables_of_a_run(tmp_path, two, how):
    out, seconds = tmp_path / "out", random.SystemRandom().uniform(0, 1)
    told = interrupted(
        tmp_path, ["run", "--tasks", two, "--epochs", 100_000, "--out", out], r"[1-9]\d* of", seconds, how
    )
    assert re.match(rf"stopped at step \d+ of \d+; the tables so far are in {out}", told)
    for name in ("accuracy", "curves", "kept"):
        assert "sequence" in pd.read_csv(out / f"{name}.csv")


@pytest.mark.slow
@ENDS
@pytest.mark.parametrize("workers", [1, 2])
def test_ctrl_c_and_kill_keep_the_runs_that_were_done(tmp_path, workers, how):
    out, seconds = tmp_path / "out", random.SystemRandom().uniform(0, 0.5)
    arguments = ["reproduce", "--profile", "tiny", "--workers", workers, "--out", out, "--methods", "finetune,lwf"]
    told = interrupted(tmp_path, arguments, r"([2-9]|1\d) of", seconds, how)  # two may end at once
    assert told.endswith("pictures there, if any, are of an earlier run")
    done = int(re.match(r"stopped after (\d+) of 18 runs; their tables are in", told)[1])
    accuracy = pd.read_csv(out / "accuracy.csv")
    assert accuracy.groupby(["sequence", "method", "seed"]).ngroups == done >= 2
    for path in out.glob("*.csv"):
        assert "sequence" in pd.read_csv(path)


@pytest.mark.slow
def test_ctrl_c_while_the_workers_start_is_quiet_and_leaves_earlier_results(tmp_path):
    (tmp_path / "accuracy.csv").write_text("earlier")
    arguments = ["reproduce", "--profile", "tiny", "--workers", 2, "--out", tmp_path]
    seconds = random.SystemRandom().uniform(0, 0.3)
    assert "nothing was written" in interrupted(tmp_path, arguments, "", seconds)
    assert (tmp_path / "accuracy.csv").read_text() == "earlier"


@pytest.mark.slow
def test_workers_end_when_their_parent_is_killed(tmp_path):
    with started(
        tmp_path, ["reproduce", "--profile", "tiny", "--workers", 2, "--out", tmp_path], r"[1-9]\d* of"
    ) as process:
        process.kill()
        process.communicate(timeout=30)  # until nobody holds the pipes any more
