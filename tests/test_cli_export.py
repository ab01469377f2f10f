"""`ebll export` from end to end: the ready-made sweep, a store, bad input in a line."""

import sys
import warnings

import pytest
from click.testing import CliRunner
from messages import review
from tiny_pages import tables

import ebll.pages
from ebll.cli import cli
from ebll.pages import MOST_BYTES, writing
from ebll.sweeps import RunConfig, RunResult, Store

FIGURES = {"old": 0.5, "new": 0.25, "old_validation": 0.5, "new_validation": 0.25}


def invoke(*arguments):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return CliRunner().invoke(cli, ["export", *map(str, arguments)])


@pytest.fixture
def out(tmp_path):
    """What `ebll sweep` leaves: a folder with a store in it."""
    store = Store(tmp_path / "out" / "store")
    for seed in range(2):
        store.put(RunResult(RunConfig(seed=seed), figures=FIGURES))
    return tmp_path / "out"


def test_the_ready_made_sweep_is_one_small_page(tmp_path):
    path = tmp_path / "page.html"
    done = invoke(path)
    assert done.exit_code == 0, done.stderr
    assert done.stdout.split() == [f"{path}:", f"{path.stat().st_size / 1e6:.1f}", "MB"]
    assert "takes some seconds" in done.stderr
    assert path.stat().st_size < MOST_BYTES
    text = path.read_text(encoding="utf-8")
    assert "3,315 runs of the sweep that comes with the kit" in text
    assert '{"name":"letters-textures","old":"letters","new":"textures"}' in text


@pytest.mark.parametrize("inner", ["", "store"])
def test_a_store_with_a_title(tmp_path, out, inner):
    path = tmp_path / "page.html"
    path.write_text("before")
    done = invoke(path, "--store", out / inner, "--title", "Week 7: <alpha>")
    assert done.exit_code == 0, done.stderr
    text = path.read_text(encoding="utf-8")
    assert "<h1>Week 7: &lt;alpha&gt;</h1>" in text
    assert "2 runs of a sweep, 2 seeds" in text


def test_a_page_that_is_large_is_told_of_once(tmp_path, out, monkeypatch):
    monkeypatch.setattr(writing, "MOST_BYTES", 500_000)
    done = invoke(tmp_path / "page.html", "--store", out)
    assert done.exit_code == 0, done.stderr
    assert "0.5 MB" in " ".join(done.stdout.split())
    assert (tmp_path / "page.html").exists()


@pytest.mark.parametrize(
    ("name", "store", "named"),
    [
        ("page.txt", None, [".html", "page.txt"]),
        ("", None, [".html"]),
        ("page.html", "none", ["none"]),
        ("page.html", "empty", ["no run"]),
        ("page.html", "failed", ["all 1 runs failed", "NaN"]),
        ("file/page.html", "out", ["file/page.html"]),
    ],
)
def test_bad_input_is_one_line_with_the_way_on(tmp_path, out, name, store, named):
    Store(tmp_path / "empty")
    Store(tmp_path / "failed").put(RunResult(RunConfig(), failure="The loss became NaN."))
    (tmp_path / "file").write_text("")
    done = invoke(tmp_path / name, *([] if store is None else ["--store", tmp_path / store]))
    told = [line for line in done.stderr.splitlines() if not line.startswith("Making")]
    assert len(told) == 1
    assert told[0].startswith("error: ")
    review(told[0], *named)
    assert done.exit_code == 2
    assert not (tmp_path / "page.html").exists()


def test_without_the_extra_the_error_names_it(tmp_path, out, monkeypatch):
    for name in ("document", "charts"):
        monkeypatch.delitem(sys.modules, f"ebll.pages.{name}", raising=False)
        monkeypatch.delattr(ebll.pages, name, raising=False)
    monkeypatch.setitem(sys.modules, "altair", None)
    done = invoke(tmp_path / "page.html", "--store", out)
    review(done.stderr.splitlines()[-1], "altair", 'pip install "ebll[page]"')
    assert done.exit_code == 2


def test_help_shows_an_example_and_the_extra():
    done = invoke("--help")
    assert "ebll export page.html --store out/alphas" in done.stdout
    assert 'pip install "ebll[page]"' in " ".join(done.stdout.split())
    assert "export" in CliRunner().invoke(cli, ["--help"]).stdout


def test_python_and_the_command_write_the_same(tmp_path, monkeypatch):
    made = tables({"tasks": ["letters", "digits"], "method": "ebll", "seed": 0})
    monkeypatch.setattr("ebll.sweeps.maps.ready_sweep", lambda: made)
    assert invoke(tmp_path / "one.html").exit_code == 0
    ebll.pages.export(tmp_path / "two.html")
    assert (tmp_path / "one.html").read_bytes() == (tmp_path / "two.html").read_bytes()
