"""`ebll export` from end to end: the precomputed sweep, a store, bad input in a line."""

import pytest
from click.testing import CliRunner
from messages import review

from ebll.cli import cli
from ebll.sweeps import RunConfig, RunResult, Store, page

SCALARS = {"old": 0.5, "new": 0.25, "old_validation": 0.5, "new_validation": 0.25}


def invoke(*arguments):
    return CliRunner().invoke(cli, ["export", *map(str, arguments)])


@pytest.fixture
def out(tmp_path):
    """What `ebll sweep` leaves: a folder with a store in it."""
    store = Store(tmp_path / "out" / "store")
    for seed in range(2):
        store.put(RunResult(RunConfig(seed=seed), SCALARS))
    return tmp_path / "out"


def test_the_precomputed_sweep_is_one_small_page(tmp_path):
    path = tmp_path / "page.html"
    done = invoke(path)
    assert done.exit_code == 0, done.stderr
    assert done.stdout.split() == [f"{path}:", f"{path.stat().st_size / 1e6:.1f}", "MB"]
    assert path.stat().st_size < page.MOST_BYTES
    text = path.read_text(encoding="utf-8")
    assert "3,315 runs of the sweep that comes with the kit" in text
    assert '"tasks":["letters-digits","letters-mnist","letters-textures"]' in text


def test_a_store_with_a_title_and_a_page_that_is_large(tmp_path, out, monkeypatch):
    path = tmp_path / "page.html"
    path.write_text("before")
    monkeypatch.setattr(page, "MOST_BYTES", 500_000)
    done = invoke(path, "--store", out, "--title", "Week 7: <alpha>")
    assert done.exit_code == 0, done.stderr
    assert "more than the 0.5 MB" in " ".join(done.stdout.split())
    text = path.read_text(encoding="utf-8")
    assert "<h1>Week 7: &lt;alpha&gt;</h1>" in text
    assert "2 runs of a sweep, 2 seeds" in text


@pytest.mark.parametrize(
    ("name", "store", "named"),
    [
        ("page.txt", None, [".html", "page.txt"]),
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
    (told,) = done.stderr.splitlines()
    assert told.startswith("Error: ")
    review(told, *named)
    assert done.exit_code == 2
    assert not (tmp_path / "page.html").exists()
