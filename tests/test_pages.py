"""The page without a kernel: its numbers against the tables, what stands in the file, and how it is written."""

import itertools
import json
import math
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from messages import raises
from tiny_pages import GRID, STEPS, tables

import ebll.pages
from ebll import files
from ebll.errors import EbllError, InputError, OutputError
from ebll.pages import MOST_BYTES, charts, export, writing
from ebll.pages.content import MOST_STEPS, content, kinds_of, offered_methods
from ebll.pages.document import TITLE, document
from ebll.plots import METHODS
from ebll.sweeps import RunConfig, RunResult, Store, Sweep, SweepTables, maps

COLUMN = {"validation": ("old_validation", "new_validation"), "test": ("old", "new")}
AXES = ("alpha", "distill_weight", "recon_weight")


def alpha_ten_fails(config):
    return config.method == "ebll" and config.alpha == 10 and (config.seed == 1 or config.recon_weight == 1)


def no_alpha_three(config):
    return config.method == "ebll" and config.alpha == 3 and config.recon_weight == 1e-4


@pytest.fixture(scope="module")
def holes():
    """Tables in which runs failed and cells are missing, and the page's content."""
    made = tables(fails=alpha_ten_fails, leave_out=no_alpha_three)
    return made, content(maps.index_of(made))


@pytest.fixture(scope="module")
def page():
    return document(maps.index_of(tables(fails=alpha_ten_fails, leave_out=no_alpha_three)))


def rows_of(table, held, key):
    """The rows of a sweep's table that a key of the page's content means."""
    task, method, *places = map(int, key.split("."))
    name = ["ebll", "finetune", "lwf"][method]
    found = table[(table["tasks"] == held["tasks"][task]["name"]) & (table["method"] == name)]
    axes = {"ebll": AXES, "finetune": (), "lwf": ("distill_weight",)}[name]
    for axis, place in zip(axes, places, strict=True):
        found = found[found[axis] == sorted(GRID[axis])[place]]
    return found


def held_of(text):
    """What a page has in it as JSON."""
    return json.loads(re.search(r'<script type="application/json" id="content">(.*?)</script>', text, re.S)[1])


# ---- numbers


def test_every_cell_has_the_means_spreads_and_seeds_of_its_rows(holes):
    made, held = holes
    assert [axis["name"] for axis in held["methods"][0]["axes"]] == list(AXES)
    seen = 0
    for key, cell in held["cells"].items():
        rows = rows_of(made.table, held, key)
        ended = rows[rows["failure"] == ""]
        seen += len(rows)
        assert cell["done"] == [len(ended), len(rows) - len(ended)]
        assert cell["planned"] == len(rows) == 3
        for data, columns in COLUMN.items():
            for place, column in enumerate(columns):
                mean, sd = 100 * ended[column].mean(), 100 * ended[column].std()
                told = cell[data][place], cell[data][place + 3]
                assert told == ((None, None) if ended.empty else pytest.approx((mean, sd), abs=0.006))
        seeds = {one[0]: one for one in cell["seeds"]}
        assert sorted(seeds) == [0, 1, 2]
        for row in rows.itertuples():
            if row.failure:
                assert seeds[row.seed] == [row.seed, "The loss became NaN at step 7."]
            else:
                assert seeds[row.seed][2][:2] == pytest.approx(
                    [100 * row.old_validation, 100 * row.new_validation], abs=0.006
                )
                assert seeds[row.seed][3] == pytest.approx(
                    [100 * row.old, 100 * row.new, 100 * row.forgetting], abs=0.006
                )
    assert seen == len(made.table)


def test_cells_that_the_sweep_lacks_are_not_there(holes):
    _, held = holes
    (ebll,) = held["methods"]
    values = [axis["values"] for axis in ebll["axes"]]
    there = {key for key in held["cells"] if key.split(".")[1] == "0"}
    for task, places in itertools.product((0, 1), itertools.product(*(range(len(v)) for v in values))):
        missing = (values[0][places[0]], values[2][places[2]]) == ("3", "0.0001")
        assert (".".join(map(str, [task, 0, *places])) in there) != missing


def test_forgetting_on_validation_images_is_that_of_the_curves(holes):
    _, held = holes
    cell = held["cells"]["0.0.0.0.0"]
    old = [0.5 + 0.1 + 0.05 * math.log1p(0.3) - 0.008 + 0.004 * seed + 0.01 for seed in range(3)]
    assert cell["validation"][2] == pytest.approx(100 * (0.85 - sum(old) / 3), abs=0.01)


def test_a_curve_is_mean_lowest_and_highest_of_the_seeds_that_ended(holes):
    _, held = holes
    whole = held["cells"]["0.0.1.1.1"]["curve"]  # alpha 1, lambda_o 2: strength 0.2 + 0.05 ln 2
    slope = 1 - (0.2 + 0.05 * math.log(2))
    assert held["steps"][whole[0]] == list(STEPS)
    for values, seed in zip(whole[1:], (1, 0, 2), strict=True):
        assert values == pytest.approx([step * (slope + 0.01 * seed) for step in STEPS], rel=1e-3)
    partly = held["cells"]["0.0.3.1.1"]["curve"]  # alpha 10: seed 1 failed
    slope = 1 - (0.2 + 0.05 * math.log(11))
    assert partly[1] == pytest.approx([step * (slope + 0.01) for step in STEPS], rel=1e-3)
    assert held["cells"]["0.0.3.1.2"]["curve"] is None, "all seeds failed"


def test_the_front_of_every_map_is_that_of_all_pairs_of_its_cells(holes):
    made, held = holes
    assert held["methods"][0]["rows"] == [2, 1]
    off = 0
    for rows, others in ((2, 1), (1, 2)):
        for task, place, data in itertools.product((0, 1), range(2 if others == 1 else 3), COLUMN):
            own = {
                key: cell
                for key, cell in held["cells"].items()
                if key.startswith(f"{task}.0.") and int(key.split(".")[2 + others]) == place and not cell["done"][1]
            }
            points = {key: tuple(rows_of(made.table, held, key)[list(COLUMN[data])].mean()) for key in own}
            front = {
                key for key, (a, b) in points.items()
                if not any(c >= a and d >= b and (c, d) != (a, b) for c, d in points.values())
            }  # fmt: skip
            told = {key for key, cell in own.items() if rows in cell["front"][data]}
            assert told == front
            assert front
            off += len(points) - len(front)
    assert off > 20, "the sweep has cells off its fronts"


def test_references_share_the_settings_that_they_have(holes):
    made, held = holes
    for key, cell in held["cells"].items():
        task, method, *places = key.split(".")
        if method == "0":
            assert cell["references"] == {"finetune": f"{task}.1", "lwf": f"{task}.2.{places[1]}"}
    index = maps.index_of(made)
    view = maps.SweepView("letters-textures", "ebll", alpha=1.0, distill_weight=2.0, recon_weight=1e-2)
    for point in maps.reference_points(index, view).itertuples():
        told = held["cells"][held["cells"]["1.0.1.1.1"]["references"][point.method]]
        assert told["validation"][:2] == pytest.approx([100 * point.old, 100 * point.new], abs=0.006)


def test_axes_say_what_they_are_and_begin_where_the_kit_does(holes):
    _, held = holes
    (ebll,) = held["methods"]
    assert [axis["label"] for axis in ebll["axes"]] == ["alpha (α)", "distill_weight (λo)", "recon_weight (λ)"]
    assert ebll["axes"][0]["hint"] == "Weight of the code term"
    usual = [axis["values"][place] for axis, place in zip(ebll["axes"], ebll["usual"], strict=True)]
    defaults = RunConfig()
    assert [float(value) for value in usual] == [defaults.alpha, defaults.distill_weight, defaults.recon_weight]
    assert ebll["constant"]["net"] == "mlp"
    assert held["tasks"][0] == {"name": "letters-digits", "old": "letters", "new": "digits"}
    assert (held["runs"], held["failed"], held["seeds"]) == (150, 20, 3)


# ---- sweeps of other kinds


def test_three_tasks_and_alphas_as_text():
    made = tables(tasks=[["letters", "digits", "textures"]], alpha=[(1.0, 3.0), (3.0, 3.0), (10.0, 1.0)])
    held = content(maps.index_of(made))
    assert held["methods"][0]["axes"][0]["values"] == ["3", "1, 3", "10, 1"]
    assert held["tasks"] == [{"name": "letters-digits-textures", "old": "", "new": ""}]
    slope = 1 - (0.1 + 0.05 * math.log(2))
    # The second old task moves twice as far as the first: the mean is 1.5 times the first.
    expected = [step * (1.5 * slope + 0.01) for step in STEPS]
    assert held["cells"]["0.0.1.0.0"]["curve"][1] == pytest.approx(expected, rel=1e-3)


def test_one_run_is_a_map_of_one_cell():
    one = {"tasks": ["letters", "digits"], "method": "ebll", "seed": 0}
    held = content(maps.index_of(tables(one)))
    (cell,) = held["cells"].values()
    assert held["methods"][0]["axes"] == []
    assert held["methods"][0]["rows"] == []
    assert cell["front"] == {"validation": [-1], "test": [-1]}
    assert cell["validation"][3:] == [None, None, None], "one seed has no spread"


def test_without_curves_there_is_no_curve_and_no_validation_forgetting():
    held = content(maps.index_of(tables(curves=False)))
    assert {cell["curve"] is None for cell in held["cells"].values()} == {True}
    assert {cell["validation"][2] for cell in held["cells"].values()} == {None}
    assert {cell["test"][2] is None for cell in held["cells"].values()} == {False}
    assert held["ranges"]["0.0"]["validation"]["forgetting"] is None


def test_references_alone_are_methods_to_choose():
    index = maps.index_of(tables(method=["finetune", "lwf"]))
    assert offered_methods(index) == ["lwf", "finetune"]
    assert offered_methods(maps.index_of(tables(method=["finetune", "ebll"]))) == ["ebll"]


def test_long_curves_are_thinned_and_that_is_told():
    made = tables({"tasks": ["letters", "digits"], "method": "ebll", "seed": 0})
    (settings,) = made.curves.drop_duplicates("tasks").to_dict("records")
    rows = [settings | {"step": step, "feature_distance": float(step)} for step in range(1001)]
    index = maps.index_of(SweepTables(made.table, type(made.curves)(rows)))
    held = content(index)
    (cell,) = held["cells"].values()
    steps = held["steps"][cell["curve"][0]]
    assert len(steps) == MOST_STEPS
    assert (steps[0], steps[-1]) == (0, 1000)
    assert cell["curve"][1] == steps, "measured values only"
    assert max(b - a for a, b in itertools.pairwise(steps)) - min(b - a for a, b in itertools.pairwise(steps)) <= 1
    assert f"Curves show {MOST_STEPS} of their measurements" in document(index)
    assert "Curves show" not in document(maps.index_of(made))


def test_a_sweep_that_goes_on_says_what_is_not_done_yet():
    configs = [RunConfig(seed=seed) for seed in range(3)]
    one = RunResult(configs[0], figures=dict.fromkeys(("old", "new", "old_validation", "new_validation"), 0.5))
    text = document(maps.index_of(Sweep(configs, {configs[0]: one})))
    assert "2 more are not done yet" in text
    (cell,) = held_of(text)["cells"].values()
    assert (cell["done"], cell["planned"]) == ([1, 0], 3)


# ---- refused


@pytest.mark.parametrize(
    ("sweep", "named"),
    [
        (Sweep(), ["no run is done"]),
        (tables(fails=lambda config: True), ["all 162 runs failed", "NaN at step 7"]),
        (SweepTables(tables().table.iloc[:0], tables().curves.iloc[:0]), ["no run in it"]),
        (SweepTables(tables().table.drop(columns="old"), tables().curves), ["table", "no old"]),
        (3.0, ["sweep", "float"]),
    ],
)
def test_what_cannot_be_shown_is_refused(tmp_path, sweep, named):
    with raises(InputError, *named):
        export(tmp_path / "page.html", sweep)
    assert list(tmp_path.iterdir()) == []


def test_too_many_combinations_are_refused(monkeypatch):
    monkeypatch.setattr("ebll.pages.content.MOST_CELLS", 23)
    with raises(InputError, "alpha x 4, distill_weight x 2, recon_weight x 3", 24, "at most 23"):
        content(maps.index_of(tables()))


# ---- the file


class References(HTMLParser):
    """Everything in a page that a browser would fetch."""

    def __init__(self, text):
        super().__init__()
        self.found, self.policy = [], ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        named = dict(attributes)
        self.found += [named[name] for name in ("src", "href", "action", "data", "srcset", "poster") if name in named]
        if named.get("http-equiv") == "Content-Security-Policy":
            self.policy = named["content"]


def test_the_page_fetches_nothing_and_its_policy_forbids_it(page):
    seen = References(page)
    assert seen.found == ["data:,"], "the icon, so that no server is asked for one"
    assert "default-src 'none'" in seen.policy
    assert "http" not in seen.policy
    css = re.search(r"<style>(.*?)</style>", page, re.S)[1]
    assert "@import" not in css
    assert "url(" not in css
    assert len(page.encode()) < MOST_BYTES
    assert "University of Washington Interactive Data Lab" in page


def test_title_and_texts_are_text(page):
    made = tables(
        {"tasks": ["letters", "digits"], "method": "ebll", "seed": [0, 1]}, fails=lambda config: config.seed == 1
    )
    nasty = "</script><script>alert(1)</script><!-- {{version}} &amp;"
    made.table.loc[made.table["failure"] != "", "failure"] = nasty
    text = document(maps.index_of(made), title=nasty)
    assert text.count("<script") == page.count("<script")
    assert "<title>&lt;/script&gt;&lt;script&gt;alert(1)&lt;/script&gt;&lt;!-- {{version}} &amp;amp;</title>" in text
    assert held_of(text)["cells"]["0.0"]["seeds"][1] == [1, nasty]
    assert f"<title>{TITLE}</title>" in page


def test_every_place_of_the_frame_is_filled(page):
    outside = re.sub(r"<script.*?</script>", "", page, flags=re.S)
    assert "{{" not in outside
    assert f"by ebll {ebll.__version__}" in page


@pytest.mark.slow
def test_the_same_sweep_gives_the_same_bytes_in_another_process(tmp_path):
    code = "import sys; sys.path.insert(0, 'tests'); from tiny_pages import tables; import ebll; " \
           "import ebll.pages; ebll.pages.export(sys.argv[1], tables())"  # fmt: skip
    root = Path(__file__).parents[1]
    for seed in ("1", "2"):
        command = [sys.executable, "-c", code, str(tmp_path / f"{seed}.html")]
        subprocess.run(command, check=True, cwd=root, env={**os.environ, "PYTHONHASHSEED": seed}, timeout=120)
    assert (tmp_path / "1.html").read_bytes() == (tmp_path / "2.html").read_bytes()


def test_methods_look_as_in_all_figures():
    index = maps.index_of(tables())
    held = held_of(document(index))
    assert list(kinds_of(index)) == ["finetune", "lwf", "ebll"] == list(held["kinds"])
    for name, kind in held["kinds"].items():
        assert (kind["label"], kind["color"]) == (METHODS[name].label, METHODS[name].color)
    drawn = [charts.drawn(look) for look in METHODS.values()]
    assert len({one["shape"] for one in drawn}) == len(METHODS), "told apart without colour"
    assert charts.drawn(METHODS["ebll"])["dash"] == [1, 0]
    assert charts.drawn(METHODS["lwf"])["dash"] == [12, 3, 2, 3]


def test_charts_have_signals_for_what_changes_and_name_no_address():
    made = charts.charts()
    assert set(made) == {"map", "curves", "tradeoff", "seeds"}
    text = json.dumps(made)
    assert "http" not in text
    assert '"@' not in text
    for chart in made.values():
        names = {signal["name"] for signal in chart["signals"]}
        assert {"x_title", "y_title", "width"} <= names
        assert [axis["title"] for axis in chart["axes"] if "title" in axis] == [
            {"signal": "x_title"},
            {"signal": "y_title"},
        ]
        assert {"name": "rows"} in chart["data"]


# ---- writing


def test_folders_are_made_and_a_page_is_replaced(tmp_path):
    path = tmp_path / "site" / "week 7" / "page.html"
    sweep = tables({"tasks": ["letters", "digits"], "method": "ebll", "seed": 0})
    assert export(path, sweep, title="One") == path
    assert "<h1>One</h1>" in path.read_text(encoding="utf-8")
    assert export(str(path), sweep, title="  ") == path
    assert f"<h1>{TITLE}</h1>" in path.read_text(encoding="utf-8")
    assert [one.name for one in path.parent.iterdir()] == ["page.html"]


@pytest.mark.parametrize("path", ["page.txt", "page", 3])
def test_a_page_ends_in_html(path):
    with raises(InputError, ".html", f"got '{path}'"):
        export(path, tables())


def test_what_cannot_be_written_leaves_what_was_there(tmp_path, monkeypatch):
    sweep = tables({"tasks": ["letters", "digits"], "method": "ebll", "seed": 0})
    (tmp_path / "folder.html").mkdir()
    with raises(InputError, tmp_path / "folder.html"):
        export(tmp_path / "folder.html", sweep)
    (tmp_path / "file").write_text("")
    with raises(OutputError, tmp_path / "file"):
        export(tmp_path / "file" / "page.html", sweep)
    path = tmp_path / "page.html"
    path.write_text("before")
    monkeypatch.setattr(files.os, "replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with raises(OutputError, tmp_path, "No space left on device"):
        export(path, sweep)
    assert path.read_text() == "before"
    assert sorted(one.name for one in tmp_path.iterdir()) == ["file", "folder.html", "page.html"]


def test_a_large_page_is_written_and_told(tmp_path, monkeypatch):
    monkeypatch.setattr(writing, "MOST_BYTES", 500_000)
    with pytest.warns(UserWarning, match=r"page.html: [01]\.\d MB.* 0\.5 MB"):
        path = export(tmp_path / "page.html", tables({"tasks": ["letters", "digits"], "method": "ebll", "seed": 0}))
    assert path.stat().st_size > 500_000


def test_a_store_or_the_folder_around_it(tmp_path):
    store = Store(tmp_path / "out" / "store")
    for seed in range(2):
        store.put(RunResult(RunConfig(seed=seed), figures={"old": 0.5, "new": 0.25, "old_validation": 0.5,
                                                           "new_validation": 0.25 + 0.25 * seed}))  # fmt: skip
    pages = [export(tmp_path / f"{i}.html", folder) for i, folder in enumerate((store.folder, str(tmp_path / "out")))]
    texts = [path.read_text(encoding="utf-8") for path in pages]
    assert texts[0] == texts[1]
    (cell,) = held_of(texts[0])["cells"].values()
    assert cell["validation"][:2] == [50.0, 37.5]
    with raises(InputError, tmp_path / "none"):
        export(tmp_path / "page.html", tmp_path / "none")


@pytest.mark.parametrize("package", ["altair", "vl_convert"])
def test_without_the_extra_the_error_names_it(tmp_path, monkeypatch, package):
    for name in ("document", "charts"):
        monkeypatch.delitem(sys.modules, f"ebll.pages.{name}", raising=False)
        monkeypatch.delattr(ebll.pages, name, raising=False)
    monkeypatch.setitem(sys.modules, package, None)
    with raises(EbllError, package, 'pip install "ebll[page]"'):
        export(tmp_path / "page.html", tables())
    assert list(tmp_path.iterdir()) == []
