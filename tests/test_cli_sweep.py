"""`ebll sweep` from end to end: the plan, the tables, the store, bad input in a line, and Ctrl-C."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time

import pandas as pd
import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner
from messages import review
from tiny_sweep import SLOW

from ebll import executors
from ebll.cli import cli
from ebll.sweeps import load_sweep, sweep

FILE = """
[grid]
tasks = ["digits", "letters"]
method = ["lwf", "ebll"]
alpha = [1.0, 30.0]
seed = [0, 1]
images = 192
epochs = 1
"""


def invoke(*arguments):
    return CliRunner().invoke(cli, ["sweep", *map(str, arguments)])


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "alphas.toml"
    path.write_text(FILE)
    return path


def test_plan_tables_and_store(tmp_path, file):
    out = tmp_path / "deep" / "out"
    dry = invoke(file, "--out", out, "--dry-run")
    assert dry.exit_code == 0, dry.stderr
    assert "6, of which 0 are done" in dry.stdout
    assert not out.exists()
    done = invoke(file, "--out", out, "--workers", 1)
    assert done.exit_code == 0, done.stderr
    told = " ".join(done.stdout.split())
    assert "grid tasks digits-letters, method x 2, alpha x 2, seed x 2, images 192, epochs 1 runs 6, of which" in told
    assert f"Results are in {out}: table.csv, curves.csv, store" in told
    table = pd.read_csv(out / "table.csv")
    assert len(table) == 6
    for alpha in (1.0, 30.0):
        old = 100 * table.loc[table["alpha"] == alpha, "old_validation"].mean()
        assert re.search(rf"\| ebll, {alpha:g} +\| {old:.1f} ", done.stdout)
    assert set(pd.read_csv(out / "curves.csv")["task"]) == {"digits"}
    assert len(load_sweep(out / "store").results) == 6
    files = [(out / name).read_bytes() for name in ("table.csv", "curves.csv")]
    again = invoke(file, "--out", out, "--workers", 2)  # nothing is left to do, so no worker starts
    assert "6, of which 6 are done" in again.stdout
    assert files == [(out / name).read_bytes() for name in ("table.csv", "curves.csv")]


def test_without_out_the_folder_has_the_name_of_the_file(tmp_path, file, monkeypatch):
    monkeypatch.chdir(tmp_path)
    sweep(file, store=tmp_path / "out" / "alphas" / "store", workers=1)
    done = invoke(file.name)
    assert done.exit_code == 0, done.stderr
    assert "6, of which 6 are done" in done.stdout
    assert (tmp_path / "out" / "alphas" / "table.csv").exists()


def test_a_run_that_fails_is_named_and_the_exit_code_tells(tmp_path, file):
    file.write_text(
        FILE.replace('["lwf", "ebll"]', '"ewc"\newc_strength = [1.0, 1e14]').replace("epochs = 1", "epochs = 20")
    )
    done = invoke(file, "--out", tmp_path / "out", "--workers", 1)
    assert done.exit_code == 1
    assert "error: 2 of 4 runs failed; named above" in done.stderr
    assert "failed: ewc_strength 1e+14, seed 0:" in " ".join(done.stdout.split())
    assert len(pd.read_csv(tmp_path / "out" / "table.csv")) == 4


def test_a_damaged_result_is_named(tmp_path, file):
    invoke(file, "--out", tmp_path / "out", "--workers", 1)
    bad = next((tmp_path / "out" / "store").glob("runs/*.json"))
    bad.write_text("{")
    done = invoke(file, "--out", tmp_path / "out", "--workers", 1)
    assert done.exit_code == 0
    assert f"runs/{bad.name}" in "".join(done.stderr.split())
    assert "6, of which 5 are done" in done.stdout


@pytest.mark.parametrize(
    ("content", "arguments", "named"),
    [
        ("[grid]\nalhpa = 1", [], ["'alhpa'", "'alpha'"]),
        ("[grid]", [], ["grid", "empty"]),
        ("[grid]\nalpha = -1", [], ["alpha", "at least 0", "-1"]),
        ("[grid]\ntasks = ['mnits', 'letters']", [], ["Task", "Did you mean 'mnist'"]),
        ("[grid]\nseed = 1", ["--workers", "0"], ["workers", "at least 1"]),
        ("[grid]\nseed = 1", ["--workers", "x"], ["workers", "whole number"]),
        ("[grid]\nseed = 1", ["--workers", "1", "--dask", "tcp://127.0.0.1:1"], ["--workers", "--dask"]),
    ],
)
def test_bad_input_is_one_line_with_the_way_on(tmp_path, file, content, arguments, named):
    file.write_text(content)
    done = invoke(file, "--out", tmp_path / "out", *arguments)
    (told,) = done.stderr.splitlines()
    assert told.startswith("error: ")
    review(told, *named)
    assert done.exit_code == 2
    assert not (tmp_path / "out" / "table.csv").exists()


@pytest.mark.parametrize(
    ("content", "arguments", "named"),
    [("[grid", [], ["TOML"]), ("[grid]\nseed = 1", ["--dask", "nonsense"], ["Dask scheduler", "nonsense"])],
)
def test_what_others_refuse_is_one_line_too(tmp_path, file, content, arguments, named):
    """With the words of the standard library or of Dask in it."""
    file.write_text(content)
    done = invoke(file, "--out", tmp_path / "out", *arguments)
    (told,) = done.stderr.splitlines()
    assert [part for part in ["error: ", *named] if part not in told] == []
    assert done.exit_code == 2


def test_files_and_folders_that_are_not_there_are_told(tmp_path, file):
    review(invoke(tmp_path / "none.toml").stderr, tmp_path / "none.toml")
    (tmp_path / "taken").write_text("")
    review(invoke(file, "--out", tmp_path / "taken" / "out").stderr, tmp_path / "taken" / "out")
    with socket.socket() as taken, pytest.MonkeyPatch.context() as patch:
        taken.bind(("127.0.0.1", 0))
        patch.setattr(executors, "REACH", 1.0)
        address = f"tcp://127.0.0.1:{taken.getsockname()[1]}"
        done = invoke(file, "--out", tmp_path / "out", "--dask", address)
    assert f"Dask scheduler at {address}" in done.stderr
    assert done.exit_code == 2


def test_options_and_files_are_completed():
    shell = ShellComplete(cli, {}, "ebll", "_EBLL_COMPLETE")
    assert {one.value for one in shell.get_completions(["sweep"], "--d")} == {"--dask", "--device", "--dry-run"}
    assert [one.type for one in shell.get_completions(["sweep"], "al")] == ["file"]


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_ctrl_c_ends_at_once_and_the_same_command_goes_on(tmp_path, file, workers):
    """Two quick runs, then one that would take an hour."""
    slow = SLOW["epochs"]
    file.write_text(FILE.replace('["lwf", "ebll"]', '"finetune"').replace("epochs = 1", f"epochs = [1, {slow}]"))
    out = tmp_path / "out"
    command = [sys.executable, "-m", "ebll", "sweep", file, "--out", out, "--workers", str(workers)]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )  # fmt: skip
    try:
        end = time.monotonic() + 60
        while not list(out.glob("store/runs/*.json")):
            assert process.poll() is None
            assert time.monotonic() < end, "it hangs"
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=60)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 130
    assert "Traceback" not in told
    kept = len(load_sweep(out / "store").results)
    assert kept >= 1
    last = told.splitlines()[-1]
    assert f"{kept} of 4 runs" in last
    assert str(out / "store") in last
    dry = invoke(file, "--out", out, "--dry-run")
    assert f"4, of which {kept} are done" in dry.stdout
