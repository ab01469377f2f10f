"""The page of `ebll export`: its numbers against the tables, what stands in the file, and how it is written."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from messages import raises, review
from tiny_pages import tables

import ebll
from ebll import files
from ebll.cli import cli
from ebll.errors import InputError, OutputError
from ebll.sweeps import RunConfig, RunResult, Store, Sweep, export, maps_of
from ebll.sweeps.maps import QUANTITIES
from ebll.sweeps.page import TITLE, document
from ebll.sweeps.view import content

MAX_BYTES = 3_000_000  # more loads slowly on a phone
AXES = ("alpha", "distill_weight", "recon_weight")
ONE = {"tasks": ["letters", "digits"], "method": "ebll", "seed": 0}


def alpha_ten_fails(config):
    return config.method == "ebll" and config.alpha == 10 and (config.seed == 1 or config.recon_weight == 1)


def no_alpha_three(config):
    return config.method == "ebll" and config.alpha == 3 and config.recon_weight == 1e-4


@pytest.fixture(scope="module")
def holes():
    """Tables in which runs failed and cells are missing, and the page's content."""
    made = tables(fails=alpha_ten_fails, leave_out=no_alpha_three)
    return made, content(maps_of(made))


@pytest.fixture(scope="module")
def text(holes):
    return document(maps_of(holes[0]))


def held_of(text):
    """What a page has in it as JSON."""
    return json.loads(re.search(r'<script type="application/json" id="content">(.*?)</script>', text, re.S)[1])


# ---- numbers


def test_its_tables_are_those_of_the_maps_in_percent(holes):
    made, held = holes
    maps = maps_of(made)
    for name in ("cells", "runs", "curves"):
        shown, wanted = pd.DataFrame(held[name]), getattr(maps, name).reset_index(drop=True)
        for column in set(shown) & set(wanted):
            if pd.api.types.is_numeric_dtype(wanted[column]):
                mine = (100 if column.startswith(QUANTITIES) else 1) * wanted[column]
                np.testing.assert_allclose(shown[column].astype(float), mine, rtol=1e-3, atol=1e-4)
            else:
                assert shown[column].tolist() == wanted[column].tolist()
    cells = held["cells"]
    assert cells["beside"] == list(maps.beside.values())
    place = maps.place({"tasks": "letters-digits", "method": "ebll"} | dict(zip(AXES, (10.0, 1.0, 1.0), strict=True)))
    assert cells["name"][place] == "EBLL with alpha 10, distillation weight 1, reconstruction weight 1"
    assert (cells["seeds"][place], cells["words_test"][place]) == (
        "0 seeds, 3 failed",
        "no numbers (0 seeds, 3 failed)",
    )
    assert next(iter(held["methods"])) == "ebll"
    assert held["settings"]["alpha"]["label"] == "alpha α"
    assert (len(held["runs"]["cell"]), sum(map(bool, held["runs"]["failure"]))) == (150, 20)


def test_sweeps_of_other_kinds():
    three = content(maps_of(tables(tasks=[["letters", "digits", "textures"]], alpha=[(1.0, 3.0), (10.0, 1.0)])))
    assert three["methods"]["ebll"]["axes"]["alpha"] == ("1, 3", "10, 1")
    one = content(maps_of(tables(ONE)))["cells"]
    assert one["old_validation_sd"] == [None], "one seed has no spread"
    assert not one.keys() & AXES
    bare = content(maps_of(tables(curves=False)))
    assert bare["curves"]["cell"] == []
    assert {*bare["cells"]["forgetting_validation"]} == {None}
    assert bare["ranges"]["letters-digits"]["ebll"]["validation"]["forgetting"] is None


# ---- the file


def test_the_page_fetches_nothing_and_its_policy_forbids_it(text):
    frame = re.sub(r"<script.*?</script>", "", text, flags=re.S)
    fetched = re.findall(r'\b(?:src|href|action|data|srcset|poster)="([^"]*)"', frame)
    assert fetched == ["data:,"], "the icon, so that no server is asked for one"
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', frame)[1]
    assert policy.startswith("default-src 'none'")
    assert "http" not in policy
    assert not re.search(r"@import|url\(", re.search(r"<style>(.*?)</style>", frame, re.S)[1])
    assert len(text.encode()) < MAX_BYTES
    assert "University of Washington Interactive Data Lab" in text
    assert "{{" not in frame, "every place of the frame is filled"
    assert f"by ebll {ebll.__version__}" in text
    assert f"<title>{TITLE}</title>" in text


def test_title_and_texts_are_text(text):
    made = tables({**ONE, "seed": [0, 1]}, fails=lambda config: config.seed == 1)
    nasty = "</script><script>alert(1)</script><!-- {{version}} &amp;"
    made.table.loc[made.table["failure"] != "", "failure"] = nasty
    other = document(maps_of(made), title=nasty)
    assert other.count("<script") == text.count("<script")
    assert "<title>&lt;/script&gt;&lt;script&gt;alert(1)&lt;/script&gt;&lt;!-- {{version}} &amp;amp;</title>" in other
    assert held_of(other)["content"]["runs"]["failure"] == ["", nasty]


@pytest.mark.slow
def test_the_same_sweep_gives_the_same_bytes_in_another_process(tmp_path):
    code = "import sys; sys.path.insert(0, 'tests'); from tiny_pages import tables; import ebll; " \
           "ebll.sweeps.export(sys.argv[1], tables())"  # fmt: skip
    root = Path(__file__).parents[1]
    for seed in ("1", "2"):
        command = [sys.executable, "-c", code, str(tmp_path / f"{seed}.html")]
        subprocess.run(command, check=True, cwd=root, env={**os.environ, "PYTHONHASHSEED": seed}, timeout=120)
    assert (tmp_path / "1.html").read_bytes() == (tmp_path / "2.html").read_bytes()


# ---- writing


def invoke(*arguments):
    return CliRunner().invoke(cli, ["export", *map(str, arguments)])


def test_the_precomputed_sweep_is_one_small_page(tmp_path):
    path = tmp_path / "page.html"
    done = invoke(path)
    assert done.exit_code == 0, done.stderr
    assert done.stdout.startswith(f"{path}: {path.stat().st_size / 1e6:.1f} MB")
    assert path.stat().st_size < MAX_BYTES
    text = path.read_text(encoding="utf-8")
    assert "3,315 runs of the sweep that comes with the kit" in text
    assert held_of(text)["content"]["tasks"] == ["letters-digits", "letters-mnist", "letters-textures"]


def test_a_store_or_the_folder_around_it_with_a_title(tmp_path):
    store, configs = Store(tmp_path / "out" / "store"), [RunConfig(seed=seed) for seed in range(3)]
    store.plan(configs)
    for config in configs[:2]:
        scalars = {"old": 0.5, "new": 0.25, "old_validation": 0.5, "new_validation": 0.25 + 0.25 * config.seed}
        store.put(RunResult(config, scalars))
    path, texts = tmp_path / "site" / "week 7" / "page.html", []
    for folder in (store.folder, tmp_path / "out"):
        done = invoke(path, "--store", folder, "--title", "Week 7: <alpha>")
        assert done.exit_code == 0, done.stderr
        texts.append(path.read_text(encoding="utf-8"))
    assert texts[0] == texts[1]
    assert [one.name for one in path.parent.iterdir()] == ["page.html"]
    assert "<h1>Week 7: &lt;alpha&gt;</h1>" in texts[0]
    assert "2 runs of a sweep, 2 seeds" in texts[0]
    assert "1 more are not done yet" in texts[0]
    cells = held_of(texts[0])["content"]["cells"]
    assert (cells["old_validation"], cells["new_validation"]) == ([50.0], [37.5])
    assert [cells[name] for name in ("ended", "failed", "planned")] == [[2], [0], [3]]


@pytest.mark.parametrize(
    ("sweep", "named"),
    [
        (Sweep([RunConfig()]), ["no run is done"]),
        (tables(fails=lambda config: True), ["all 162 runs failed", "NaN at step 7"]),
        (3.0, ["sweep", "float"]),
        ("none", ["none"]),
    ],
)
def test_what_cannot_be_shown_is_refused(tmp_path, sweep, named):
    with raises(InputError, *named):
        export(tmp_path / "page.html", sweep)
    for path in ("page.txt", 3):
        with raises(InputError, ".html", f"got '{path}'"):
            export(path, sweep)
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_written_leaves_what_was_there(tmp_path, monkeypatch):
    path = tmp_path / "page.html"
    path.write_text("before")
    done = invoke(path / "page.html")
    (told,) = done.stderr.splitlines()
    assert told.startswith("Error: ")
    review(told, path)
    assert done.exit_code == 2
    monkeypatch.setattr(files.os, "replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with raises(OutputError, tmp_path, "No space left on device"):
        export(path, tables(ONE))
    assert path.read_text() == "before"
    assert [one.name for one in tmp_path.iterdir()] == ["page.html"]
