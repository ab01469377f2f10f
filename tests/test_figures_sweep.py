"""The picture of a sweep: what is drawn is what the tables hold, and a reused picture is a fresh one."""

import io
import itertools
import subprocess
import sys

import matplotlib
import numpy as np
import pytest
from matplotlib.text import Text
from PIL import Image
from plots_rig import out_of_view
from sweep_rig import GRID, PAIR, figures_of, swept, whole

from ebll.figures import Picture
from ebll.figures.heat import shown
from ebll.figures.numbers import Number, Numbers
from ebll.figures.style import contrast_to_white
from ebll.figures.sweep import HEIGHT, WIDTH, SweepPlot, SweepSheet
from ebll.figures.sweep_words import MAPS, sweep_alt, sweep_caption, sweep_table
from ebll.sweeps import maps as m
from ebll.sweeps.maps import SweepView

pytestmark = pytest.mark.slow  # how pictures look; what they show is in the tests of their tables


@pytest.fixture(scope="module")
def index():
    return m.index_of(whole())


def sheet_of(index, note="", **view):
    view = m.settled(index, SweepView(**view))
    return SweepSheet(
        m.map_cells(index, view), m.distance_curves(index, view), m.seed_distances(index, view),
        m.seed_spread(index, view), m.reference_points(index, view), m.quantity_ranges(index, view),
        view.method, "alpha" if view.columns else "", "lambda" if view.rows else "",
        view.data, f"{view.tasks}: {view.at}", note,
    )  # fmt: skip


def pixels(data):
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)


def heat(plot, name="old"):
    return plot._maps[name]


def words_in(plot, name="old"):
    return {(one.x, round(one.y)): [] for one in heat(plot, name)._numbers.entries} | {
        (x, y): [one.text for one in heat(plot, name)._numbers.entries if (one.x, round(one.y)) == (x, y)]
        for x in range(4) for y in range(2)
    }  # fmt: skip


def missing_one():
    part = swept(GRID, figures_of, done=lambda c: not (c.alpha == 1.0 and c.recon_weight == 1e-2))
    return m.index_of(part.tables())


def test_a_frame_is_a_png_of_its_size(index):
    data = SweepPlot().frame(sheet_of(index))
    assert data[:4] == b"\x89PNG"
    assert pixels(data).shape == (round(100 * HEIGHT), round(100 * WIDTH), 3)


def test_cells_hold_their_numbers_and_failed_seeds_are_marked(index):
    plot, sheet = SweepPlot(), sheet_of(index)
    plot.frame(sheet)
    told = words_in(plot)
    for i, cell in enumerate(sheet.rows):
        wanted = ([shown(100 * cell["old"])] if cell["ended"] else []) + (
            [f"×{cell['failed']}"] if cell["failed"] else []
        )
        assert told[(i % 3, i // 3)] == wanted
    assert told[(2, 0)] == ["×3"]
    assert told[(2, 1)] == ["89.5", "×1"]


def test_missing_cells_are_hatched_and_nothing_stands_in_them():
    plot, sheet = SweepPlot(), sheet_of(missing_one())
    plot.frame(sheet)
    for name in MAPS:
        (path,) = heat(plot, name)._hatched.get_paths()
        assert path.vertices.min(axis=0).tolist() == [0.5, 0.5]  # column 1, row 1
        assert path.vertices.max(axis=0).tolist() == [1.5, 1.5]
        assert words_in(plot, name)[(1, 1)] == []
    labels = [text.get_text() for text in plot._canvas._around["legend"][0].get_texts()]
    assert "no run" in labels
    assert "1 cell without a run, hatched: alpha 1, lambda 0.01" in sweep_alt(sheet)


def test_the_legend_names_only_what_is_there(index):
    def labels(sheet):
        plot = SweepPlot()
        plot.frame(sheet)
        return [text.get_text() for text in plot._canvas._around["legend"][0].get_texts()]

    clean = m.index_of(swept({"tasks": [PAIR], "alpha": [1.0, 3.0], "seed": [0]}))
    assert labels(sheet_of(clean)) == ["chosen cell", "EBLL", "Pareto front (hollow: off it)"]
    assert {"×n: n seeds failed", "LwF", "Fine-tuning"} < set(labels(sheet_of(index)))
    growing = m.index_of(swept(GRID, figures_of, done=lambda c: c.alpha != 1.0))
    assert "no run yet" in labels(sheet_of(growing, note="3 of 9 runs so far"))


def test_brighter_is_better_in_every_map_and_a_move_changes_no_colour(index):
    plot = SweepPlot()
    plot.frame(sheet_of(index, alpha=0.0))
    before = {name: np.array(heat(plot, name)._image.get_array()) for name in MAPS}
    sheet = sheet_of(index, alpha=1.0)
    plot.frame(sheet)
    for name, (_, falling) in MAPS.items():
        assert np.array_equal(before[name], heat(plot, name)._image.get_array())
        one = heat(plot, name)
        shades = one._shades(np.array([[-5.0, 10.0, 13.0, 17.0, 20.0, 90.0]]), (10.0, 20.0))[0, :, :3]
        bright = [contrast_to_white("#" + "".join(f"{part:02x}" for part in shade)) for shade in shades]
        assert bright == sorted(bright, reverse=not falling)
        assert bright[0] == bright[1]
        assert bright[4] == bright[5]  # beyond the ends: the end's colour
        assert one._shades(np.array([[np.nan]]), (10.0, 20.0))[0, 0].tolist() == [239, 239, 239, 255]


def test_a_reused_picture_is_the_same_as_a_fresh_one(index):
    moves = [
        {"alpha": 10.0, "recon_weight": 1e-4}, {"distill_weight": 1.0}, {"tasks": "letters-textures", "data": "test"},
        {"columns": "recon_weight", "rows": "distill_weight"}, {"method": "finetune"}, {"alpha": 1.0},
    ]  # fmt: skip
    plot, counts = SweepPlot(), set()
    for move in moves * 2:
        plot.frame(sheet_of(index, **move))
        counts.add(len(plot._canvas.figure.findobj()) if move == moves[-1] else 0)
    for move in moves:
        sheet = sheet_of(index, **move)
        again, fresh = pixels(plot.frame(sheet)), pixels(SweepPlot().frame(sheet))
        assert (np.abs(again - fresh).max(axis=2) > 8).mean() < 1e-3, move
    assert len(counts - {0}) == 1  # nothing is left behind


def test_a_cell_far_off_is_a_triangle_on_the_edge_and_squeezes_no_other():
    accuracy = {0.0: 0.70, 1.0: 0.72, 3.0: 0.74, 10.0: 0.73, 20.0: 0.71, 30.0: 0.10}
    grid = {"tasks": [PAIR], "alpha": list(accuracy), "seed": [0]}
    index = m.index_of(swept(grid, lambda c: {"old": accuracy[c.alpha], "new": 0.9 - c.alpha / 1000, "shift": 0.0}))
    plot, sheet = SweepPlot(), sheet_of(index)
    plot.frame(sheet)
    low, high = plot._axes["scatter"].get_ylim()
    assert 60 < low < 70 < 74 < high < 80
    scatter = plot._scatter
    drawn = {name: np.column_stack(getattr(scatter, name).get_data()) for name in ("_on", "_off", "_out")}
    assert len(drawn["_out"]) == 1
    assert low < drawn["_out"][0, 1] < low + 1
    cells = [cell for cell in sheet.rows if cell["on_front"]]
    assert sorted(drawn["_on"][:, 1]) == pytest.approx(sorted(100 * cell["old"] for cell in cells))
    assert len(drawn["_off"]) == len(sheet.rows) - 1 - len(cells)
    ring = np.column_stack(scatter._ring.get_data())
    assert ring.tolist() == [[pytest.approx(100 * sheet.chosen["new"]), pytest.approx(100 * sheet.chosen["old"])]]


def test_the_cell_under_a_place_is_the_one_that_is_drawn_there(index):
    plot, sheet = SweepPlot(), sheet_of(index)
    plot.frame(sheet)
    columns, rows = sheet.edges
    for name in MAPS:
        left, top, right, bottom = plot._canvas.box(name)
        for i, column in enumerate(columns):
            for k, row in enumerate(rows):
                x, y = left + (i + 0.5) / len(columns) * (right - left), bottom - (k + 0.5) / len(rows) * (bottom - top)
                assert plot.cell_at(x, y) == (column, row)
    assert plot.cell_at(0.01, 0.5) is None
    assert plot.cell_at(0.5, 0.8) is None  # in the lower row


def test_the_pointer_reads_what_the_tables_hold(index):
    plot, sheet = SweepPlot(), sheet_of(index, alpha=1.0)
    plot.frame(sheet)
    *cells, distance = plot.readout()
    assert [one["title"] for one in cells] == [title for title, _ in MAPS.values()]
    old = cells[0]
    assert old["words"] == {"0": "alpha 0", "1": "alpha 1", "2": "alpha 10"}
    assert [one["name"] for one in old["series"]] == ["lambda 0.01", "lambda 0.0001"]  # as in the map, from above
    assert old["series"][0]["y"] == [
        "80.0 ± 1.0 (3 seeds)",
        "81.0 ± 1.0 (3 seeds)",
        "89.5 ± 0.7 (2 seeds, 1 seed failed)",
    ]
    assert old["series"][1]["y"][2] == "3 seeds failed"
    named = {one["name"]: dict(zip(one["x"], one["y"], strict=True)) for one in distance["series"]}
    assert named["EBLL"] == {0: 0.0, 10: 5.0, 20: 2.0}
    assert named["LwF"][20] == 7.0
    assert named["seed 2"][10] == 6.0


def test_the_text_says_what_is_seen(index):
    text = sweep_alt(sheet_of(index, alpha=1.0, note="9 of 90 runs so far"))
    for words in (
        "9 of 90 runs so far.",
        "Map of old task: 80.0 to 89.5 % in 5 cells, best at alpha 10, lambda 0.01.",
        "Map of forgotten: 10.5 to 11.0 points in 5 cells, best at alpha 10, lambda 0.01.",
        "2 cells with failed seeds: alpha 10, lambda 0.0001 (3); alpha 10, lambda 0.01 (1).",
        "The chosen cell, alpha 1, lambda 0.01: old task 81.0 ± 1.0 (3 seeds); new task 92.0 ± 1.0 (3 seeds)",
        "EBLL rises to 5.00 at step 10, then ends at 2.00 at step 20",
        "Pareto front of the map: alpha 1, lambda 0.0001 (81.0 % old, 93.0 % new)",
        "Beside it: Fine-tuning 56.0 % old, 95.0 % new; LwF 66.0 % old, 95.0 % new.",
        "Its seeds: old task 80.0 to 82.0;",
        "All of validation data.",
    ):
        assert words in text
    assert "without a run" not in text
    assert "3 seeds failed" in sweep_alt(sheet_of(index, alpha=10.0, recon_weight=1e-4))


def test_the_caption_says_which_data_and_how_many_seeds(index):
    assert "Validation data; forgetting: of the curves' held-out inputs. Cells: mean of 2 to 3 seeds." in sweep_caption(
        sheet_of(index)
    )
    test = sweep_caption(sheet_of(index, data="test"))
    assert test.startswith("Test data. Cells")


def test_the_table_holds_every_number(index):
    sheet = sheet_of(index)
    table = sweep_table(sheet)
    assert table["part"].value_counts().to_dict() == {
        "cell": 6, "reference": 2, "seed": 3, "distance": len(sheet.curves), "seed distance": len(sheet.lines)
    }  # fmt: skip
    cells = table[table["part"] == "cell"]
    assert cells["old"].tolist() == pytest.approx(sheet.cells["old"].tolist(), nan_ok=True)
    assert cells["alpha"].tolist() == sheet.cells["column"].tolist()


def test_saved_the_numbers_are_text(index, tmp_path):
    plot = SweepPlot()
    plot.frame(sheet_of(index))
    picture = plot.picture()
    files = picture.save(tmp_path / "sweep")
    svg = files["svg"].read_text(encoding="utf-8")
    for words in (">80.0<", ">×3<", "forgotten, points", "Pareto front (hollow: off it)"):
        assert words in svg
    assert files["txt"].read_text(encoding="utf-8").strip() == picture.alt


@pytest.mark.parametrize("view", [{}, {"alpha": 10.0, "recon_weight": 1e-4}, {"data": "test"}, {"method": "finetune"}])
def test_nothing_runs_out_of_the_picture(index, view):
    image = pixels(SweepPlot().frame(sheet_of(index, **view)))
    edges = (image[:2], image[-2:], image[:, :2], image[:, -2:])
    assert all((edge == 255).all() for edge in edges)


@pytest.mark.parametrize(
    ("grid", "like", "words"),
    [
        ({"alpha": [1.0, 3.0]}, lambda c: {"failure": "nan", "course": ((0, 0.0), (10, 5e5))}, "no cell is on a"),
        ({"alpha": [1.0, 3.0]}, lambda c: {"course": ()}, "Map of forgotten: nothing measured"),
        ({"alpha": [1.0]}, lambda c: {}, "the only cell"),
        ({"alpha": list(range(40)), "recon_weight": [10.0**-k for k in range(30)]}, lambda c: {}, "1200 cells"),
    ],
    ids=["all failed", "nothing on the way", "one cell", "many cells"],
)  # fmt: skip
def test_odd_sweeps_have_a_picture_and_words(grid, like, words):
    index = m.index_of(swept({"tasks": [PAIR], "seed": [0]} | grid, like))
    plot, sheet = SweepPlot(), sheet_of(index)
    assert pixels(plot.frame(sheet)).shape[2] == 3
    assert words in sweep_alt(sheet)
    assert plot.readout()
    assert len(heat(plot)._numbers.entries) <= 20  # many cells have no room for numbers


def test_a_sweep_without_a_run_has_a_picture():
    index = m.index_of(swept({"alpha": [1.0]}, done=lambda c: False))
    index.refresh()
    plot = SweepPlot()
    assert plot.frame(sheet_of(index))
    assert "not measured" in [one.text for one in plot._distances._word.entries]


def test_numbers_are_where_text_would_be():
    picture = Picture(figsize=(2, 1), dpi=100)
    axes = picture.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    numbers = Numbers(axes, 9.0, zorder=2)
    numbers.entries = [Number(0.5, 0.5, "81.2", "#cc0000")]
    axes.add_artist(numbers)
    picture.canvas.draw()
    fast = np.asarray(picture.canvas.buffer_rgba())[..., :3].astype(int)
    buffer = io.BytesIO()
    picture.savefig(buffer, format="png", dpi=100)
    slow = pixels(buffer.getvalue())
    ink = [np.argwhere(image.min(axis=2) < 200) for image in (fast, slow)]
    for edge in (np.min, np.max, np.mean):
        assert np.abs(edge(ink[0], axis=0) - edge(ink[1], axis=0)).max() <= 1.5
    assert ((fast[..., 0] >= fast[..., 1]) & (fast[..., 0] >= fast[..., 2])).all()  # red on white
    assert len(ink[0]) == pytest.approx(len(ink[1]), rel=0.25)


# Where things stand, and what a picture leaves alone.

VIEWS = [{}, {"alpha": 10.0, "recon_weight": 1e-4}, {"data": "test"}, {"method": "finetune"}]


@pytest.fixture(scope="module", params=VIEWS, ids=str)
def drawn(index, request):
    plot = SweepPlot()
    plot.frame(sheet_of(index, **request.param))
    return plot._canvas


def test_text_and_axes_are_inside_the_cell_of_their_part(drawn):
    renderer, height, hidden = drawn.figure.canvas.get_renderer(), 100 * drawn.height, out_of_view(drawn.figure)
    for key, (axes, (left, top, right, bottom)) in drawn._cells.items():
        texts = [text for text in axes.findobj(Text) if text.get_visible() and text.get_text().strip()]
        for artist in [axes.patch, *(text for text in texts if text not in hidden)]:
            box = artist.get_window_extent(renderer)
            around = (left - 1, height - bottom - 1, right + 1, height - top + 1)
            inside = around[0] <= box.x0 and around[1] <= box.y0 and box.x1 <= around[2] and box.y1 <= around[3]
            assert inside, (key, artist, box.extents.round(1).tolist(), around)


def test_heading_legend_and_caption_are_inside_their_edges_and_apart(drawn):
    renderer, (head, foot) = drawn.figure.canvas.get_renderer(), (100 * edge for edge in drawn._edges)
    width, height = 100 * drawn.width, 100 * drawn.height
    (title,), (legend,), (caption,) = (drawn._around[part] for part in ("title", "legend", "caption"))
    boxes = [one.get_window_extent(renderer) for one in (title, legend, caption)]
    for box in boxes:
        assert box.x0 >= 0, box.extents
        assert box.x1 <= width, box.extents
    assert all(box.y0 >= height - head - 0.5 for box in boxes[:2]), [box.extents for box in boxes[:2]]
    assert boxes[2].y1 <= foot + 0.5
    assert not any(one.padded(-1).overlaps(two.padded(-1)) for one, two in itertools.combinations(boxes, 2))


def test_text_is_large_enough_and_labels_of_one_part_do_not_touch(drawn):
    renderer, hidden = drawn.figure.canvas.get_renderer(), out_of_view(drawn.figure)
    for axes, _ in drawn._cells.values():
        texts = [text for text in axes.findobj(Text) if text.get_visible() and text.get_text().strip()]
        texts = [text for text in texts if text not in hidden]
        assert min(text.get_fontsize() for text in texts) >= 8
        still = [text for text in texts if text not in axes.texts and text.axes is axes]
        boxes = {text: text.get_window_extent(renderer).padded(-1) for text in still}
        assert not [(a, b) for a, b in itertools.combinations(boxes, 2) if boxes[a].overlaps(boxes[b])]


def test_themes_of_the_notebook_neither_leak_in_nor_out(index):
    theme = {"axes.facecolor": "black", "font.size": 30, "font.family": "serif", "lines.markeredgecolor": "red",
             "lines.dash_capstyle": "projecting", "text.color": "white", "savefig.dpi": 30}  # fmt: skip
    sheet = sheet_of(index)
    with matplotlib.rc_context(theme):
        themed = SweepPlot().frame(sheet)
        assert {key: matplotlib.rcParams[key] for key in theme} == theme | {"font.family": ["serif"]}
    assert np.array_equal(pixels(themed), pixels(SweepPlot().frame(sheet)))


def test_a_picture_is_independent_of_later_frames(index):
    plot = SweepPlot()
    plot.frame(sheet_of(index))
    picture, twin = plot.picture(), plot.picture()
    before = twin._repr_png_()
    plot.frame(sheet_of(index, alpha=10.0, recon_weight=1e-4))
    assert picture._repr_png_() == before
    data, metadata = picture._repr_mimebundle_()
    assert metadata == {"image/png": {"alt": picture.alt}}
    assert data["text/plain"] == picture.alt


def test_pyplot_is_never_imported():
    code = "import sys, ebll.figures.sweep as s; s.SweepPlot(); sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=120, check=False).returncode == 0


@pytest.mark.parametrize(("value", "text"), [(81.25, "81.2"), (-0.04, "0.0"), (-1.0, "−1.0"), (float("nan"), "–")])
def test_numbers_as_they_stand_in_cells(value, text):
    assert shown(value) == text
