"""Files and notebooks: whole files, errors in words, alt text where screen readers look, no figure left in pyplot."""

import io
from xml.etree import ElementTree

import nbformat
import numpy as np
import pandas as pd
import pytest
from exported import exported_images
from golden import inputs
from matplotlib.figure import Figure
from messages import raises, refused
from PIL import Image

from ebll import plots
from ebll.errors import OutputError
from ebll.plots.figure import png, register, with_palette


@pytest.fixture(scope="module")
def figure():
    return plots.feature_distance(inputs.curves(), panels=[])


def test_files_hold_what_they_should(figure, tmp_path):
    paths = plots.save(figure, tmp_path / "deep" / "er" / "distance.v1")
    assert {suffix: path.name for suffix, path in paths.items()} == {s: f"distance.v1.{s}" for s in paths}
    assert sorted(paths.values()) == sorted(paths["png"].parent.iterdir())
    pd.testing.assert_frame_equal(pd.read_csv(paths["csv"]), figure.table, check_dtype=False, rtol=1e-5)
    assert paths["txt"].read_text() == f"{figure.alt}\n"
    svg = paths["svg"].read_text()
    texts = " ".join(t for e in ElementTree.fromstring(svg).iter() for t in [e.text or ""])
    assert "How far the features of letters move while digits is learned (MLP)" in texts
    assert figure.alt in texts
    assert "<dc:date>" not in svg
    assert int.from_bytes(paths["png"].read_bytes()[16:20], "big") == 7 * 200
    assert paths["png"].stat().st_mode & 0o777 == paths["csv"].stat().st_mode & 0o777 != 0o600


def test_any_figure_with_a_name_words_and_numbers_can_be_saved(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    figure, numbers = Figure(), pd.DataFrame({"a": [1.5]})

    def save(table, alt, name):
        figure.table, figure.alt = table, alt
        return plots.save(figure, name)

    incomplete = (numbers, " ", "x"), (numbers[:0], "A line.", "x"), (None, "A line.", "x")
    nameless = ((numbers, "A line.", name) for name in ("", ".", "/", "figures/.."))
    refused(*(lambda given=given: save(*given) for given in (*incomplete, *nameless)))
    assert list(tmp_path.iterdir()) == []
    assert set(save(numbers, "Nothing.", "x")) == {"png", "svg", "csv", "txt"}
    assert (tmp_path / "x.csv").read_bytes() == b"a\n1.5\n"


def test_the_last_bit_of_a_layout_changes_no_file(tmp_path):
    """The solver of matplotlib's layouts leaves it to chance."""
    written = []
    for left in (0.1, np.nextafter(0.1, 1)):
        figure = Figure()
        figure.add_axes((left, 0.1, 0.8, 0.8)).plot([0, 1], [0, 1])
        figure.table, figure.alt = pd.DataFrame({"a": [1.5]}), "A line."
        written.append([path.read_bytes() for path in plots.save(figure, tmp_path / "line").values()])
    assert written[0] == written[1]
    assert written[0][1].count(b"clip-path") > 0


def test_a_folder_that_cannot_be_written_is_named_and_old_files_stay(figure, tmp_path, monkeypatch):
    old = plots.save(figure, tmp_path / "claims")["csv"].read_bytes()
    with raises(OutputError, tmp_path / "claims.csv"):
        plots.save(figure, tmp_path / "claims.csv" / "claims")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with raises(OutputError, tmp_path / "claims.png", "No space left on device"):
        plots.save(figure, tmp_path / "claims")
    assert (tmp_path / "claims.csv").read_bytes() == old
    assert len(list(tmp_path.iterdir())) == 4


def test_a_notebook_shows_the_figure_with_its_alt_text_and_others_as_ever(figure, monkeypatch):
    formatters, shown = pytest.importorskip("IPython.core.formatters"), []
    monkeypatch.setattr("IPython.display.display", lambda *args, **options: shown.append((*args, options)))
    formatter = formatters.DisplayFormatter()
    register(formatter)
    assert formatter.format(figure) == ({}, {})
    ((data, options),) = shown
    assert data["text/plain"] == figure.alt
    assert options["raw"] is True
    ((alt, picture),) = exported_images(nbformat.v4.new_output("display_data", data))
    assert alt == figure.alt
    image = Image.open(io.BytesIO(picture))
    assert (image.mode, image.width) == ("P", 7 * 144)
    assert image.convert("RGB").getpixel((0, 0)) == (255, 255, 255)
    assert len(png(figure)) < 80_000  # a notebook with its pictures is light
    assert formatter.format(Figure())[0]["text/plain"].startswith("<Figure size")
    assert len(shown) == 1


def test_few_colours_are_those_of_thin_lines_too():
    """Beside a map that fills nearly all of the picture."""
    drawn = np.empty((400, 400, 3), np.uint8)
    drawn[:] = np.stack([np.linspace(0, 255, 400), np.linspace(30, 230, 400), np.linspace(120, 60, 400)], 1)
    lines = {3 * i: list(bytes.fromhex(style.color[1:])) for i, style in enumerate(plots.METHODS.values())}
    for row, color in lines.items():
        drawn[row, :40] = color
    buffer = io.BytesIO()
    Image.fromarray(drawn).save(buffer, "png")
    few = with_palette(buffer.getvalue(), 64)
    assert len(few.getcolors()) <= 64
    kept = np.asarray(few.convert("RGB"), int)
    for row, color in lines.items():
        assert abs(kept[row, 5] - color).max() <= 16
