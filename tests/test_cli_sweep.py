"""`ebll sweep` from end to end: the plan, the tables, the store, and bad input in a line."""

import re

import pandas as pd
import pytest
from click.testing import CliRunner
from messages import review

from ebll.cli import cli
from ebll.sweeps import load_sweep

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


def test_plan_tables_and_store(tmp_path, file, monkeypatch):
    monkeypatch.chdir(tmp_path)
    out = tmp_path / "out" / "alphas"  # by default, in the folder `out`
    dry = invoke(file.name, "--dry-run")
    assert dry.exit_code == 0, dry.stderr
    assert "6 runs, of which 0 are done; results to out/alphas" in dry.stderr
    assert not out.exists()
    done = invoke(file.name, "--workers", 1)
    assert done.exit_code == 0, done.stderr
    assert "Results are in out/alphas: table.csv, curves.csv, store" in done.stdout
    table = pd.read_csv(out / "table.csv")
    assert len(table) == 6
    for alpha in (1.0, 30.0):
        old = 100 * table.loc[table["alpha"] == alpha, "old_validation"].mean()
        assert re.search(rf"ebll +{alpha:.1f} +{old:.1f} ", done.stdout)
    assert set(pd.read_csv(out / "curves.csv")["task"]) == {"digits"}
    assert len(load_sweep(out / "store").results) == 6
    files = [(out / name).read_bytes() for name in ("table.csv", "curves.csv")]
    again = invoke(file, "--out", out, "--workers", 2)  # nothing is left to do, so no worker starts
    assert "6 runs, of which 6 are done" in again.stderr
    assert files == [(out / name).read_bytes() for name in ("table.csv", "curves.csv")]
    bad = next((out / "store").glob("runs/*.json"))
    bad.write_text("{")
    mended = invoke(file, "--out", out, "--workers", 1)
    assert mended.exit_code == 0
    assert f"runs/{bad.name}" in mended.stderr
    assert "of which 5 are done" in mended.stderr


def test_a_run_that_fails_is_named_and_the_exit_code_tells(tmp_path, file):
    grid = FILE.replace('["lwf", "ebll"]', '"ewc"\newc_strength = [1.0, 1e14]').replace("epochs = 1", "epochs = 20")
    file.write_text(grid)
    done = invoke(file, "--out", tmp_path / "out", "--workers", 1)
    assert done.exit_code == 1
    assert "2 of 4 runs failed" in done.stderr
    assert "failed: ewc_strength 1e+14, seed 0:" in done.stdout
    assert len(pd.read_csv(tmp_path / "out" / "table.csv")) == 4


@pytest.mark.parametrize(
    ("content", "arguments", "named"),
    [
        ("[grid]\nalhpa = 1", [], ["'alhpa'", "'alpha'"]),
        ("[grid]\ntasks = ['mnits', 'letters']", [], ["Task", "Did you mean 'mnist'"]),
        ("[grid]\nseed = 1", ["--workers", "0"], ["workers", "at least 1"]),
        ("[grid]\nseed = 1", ["--out", "FILE/out"], ["alphas.toml/out"]),
    ],
)
def test_bad_input_is_one_line_with_the_way_on(tmp_path, file, content, arguments, named):
    file.write_text(content)
    done = invoke(file, "--out", tmp_path / "out", *(one.replace("FILE", str(file)) for one in arguments))
    told = done.stderr.splitlines()[-1]
    assert told.startswith("Error: ")
    review(told, *named)
    assert done.exit_code == 2
