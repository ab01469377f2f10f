"""Files and notebooks: stable bytes, whole files, errors in words, alt text where screen readers look, no pyplot."""

import base64
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pandas as pd
import pytest
from matplotlib.figure import Figure
from messages import raises
from test_figures_data import CLAIMS, accuracy_table, curves_table

from ebll import figures
from ebll.errors import InputError, OutputError


@pytest.fixture(scope="module")
def picture():
    return figures.feature_distance(curves_table(seeds=2, methods=["lwf", "ebll"], steps=100), "cnn:letters-textures")


def test_save_writes_the_same_bytes_twice(picture, tmp_path):
    first, second = picture.save(tmp_path / "a"), picture.save(tmp_path / "b")
    again = figures.feature_distance(
        curves_table(seeds=2, methods=["lwf", "ebll"], steps=100), "cnn:letters-textures"
    ).save(tmp_path / "deep" / "er" / "c.v1")
    assert [path.name for path in again.values()] == ["c.v1.png", "c.v1.svg", "c.v1.csv", "c.v1.txt"]
    for suffix, path in first.items():
        assert path.read_bytes() == second[suffix].read_bytes() == again[suffix].read_bytes(), suffix
    assert not [p for p in tmp_path.rglob("*") if p.name.startswith(".")]


def test_files_hold_what_they_should(picture, tmp_path):
    paths = picture.save(tmp_path / "distance")
    csv = pd.read_csv(paths["csv"])
    pd.testing.assert_frame_equal(csv, picture.table, check_dtype=False, rtol=1e-5)
    assert paths["txt"].read_text() == f"{picture.alt}\n"
    svg = paths["svg"].read_text()
    texts = " ".join(t for e in ElementTree.fromstring(svg).iter() for t in [e.text or ""])
    assert "optimiser step while textures is learned" in texts
    assert picture.alt in texts
    assert "<dc:date>" not in svg
    width = int.from_bytes(paths["png"].read_bytes()[16:20], "big")
    assert width == 7 * 200
    assert paths["png"].stat().st_mode & 0o777 == paths["csv"].stat().st_mode & 0o777 != 0o600


def test_a_picture_shows_itself_with_its_alt_text(picture):
    data, metadata = picture._repr_mimebundle_()
    assert base64.b64decode(data["image/png"]).startswith(b"\x89PNG")
    assert data["text/plain"] == picture.alt
    assert metadata == {"image/png": {"alt": picture.alt}}


def test_ipython_takes_the_bundle(picture):
    formatters = pytest.importorskip("IPython.core.formatters")
    data, metadata = formatters.DisplayFormatter().format(picture)
    assert metadata["image/png"] == {"alt": picture.alt}
    assert data["text/plain"] == picture.alt


def test_save_refuses_a_picture_without_words_or_numbers(tmp_path):
    table = pd.DataFrame({"a": [1]})
    with raises(InputError, "alt text", "alt="):
        figures.save(Figure(), tmp_path / "x", table, " ")
    with raises(InputError, "table"):
        figures.save(Figure(), tmp_path / "x", table[:0], "A line.")
    assert list(tmp_path.iterdir()) == []


def test_any_figure_can_be_saved(tmp_path):
    assert set(figures.save(Figure(), tmp_path / "x", pd.DataFrame({"a": [1.5]}), "Nothing.")) == {
        "png",
        "svg",
        "csv",
        "txt",
    }
    assert (tmp_path / "x.csv").read_bytes() == b"a\n1.5\n"


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    picture = figures.claims_overview(CLAIMS)
    with raises(OutputError, "'claims'", f"'{tmp_path / 'file'}'"):
        picture.save(tmp_path / "file" / "claims")


def test_a_failed_replacement_leaves_the_old_file(tmp_path, monkeypatch):
    picture = figures.forgetting_bars(accuracy_table(seeds=2, methods=["lwf", "ebll"]))
    old = picture.save(tmp_path / "bars")["csv"].read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with raises(OutputError, "'bars'", tmp_path, "No space left on device"):
        picture.save(tmp_path / "bars")
    assert (tmp_path / "bars.csv").read_bytes() == old
    assert len(list(tmp_path.iterdir())) == 4


@pytest.mark.slow
def test_neither_pyplot_nor_torch_is_imported():
    code = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from test_figures_data import accuracy_table\n"
        "import matplotlib; before = dict(matplotlib.rcParams)\n"
        "from ebll import figures\n"
        "figures.forgetting_bars(accuracy_table(seeds=2))._repr_png_()\n"
        "assert dict(matplotlib.rcParams) == before\n"
        "print([m for m in ('matplotlib.pyplot', 'torch', 'seaborn') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
