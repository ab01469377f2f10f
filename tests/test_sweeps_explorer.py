"""The sweep explorer without a front end: its view, lines of code, a folder that grows, and what must not leak."""

import gc

import pytest
from messages import raises, review
from sweep_rig import PAIR, result, swept, whole
from widget_rig import wait, widgets_alive

import ebll
from ebll.errors import InputError
from ebll.sweeps import Store, Sweep, SweepTables, maps as maps_module
from ebll.sweeps.view import complete_view, content

NEAR = 'tasks="letters-mnist"'


@pytest.fixture(scope="module")
def found():
    return whole()


@pytest.fixture
def build(live, found):
    made = []

    def make(sweep=None, view=NEAR, **more):
        made.append(ebll.widgets.sweep_explorer(found if sweep is None else sweep, view, **more))
        return made[-1]

    yield make
    for widget in made:
        widget.close()
        assert widget.errors == []
    wait()


def enter(widget, line):
    """A line of code is entered."""
    widget.root._handle_custom_msg({"line": line}, [])


def test_it_begins_where_it_is_told_and_what_the_reader_does_is_its_view_and_picture(build, tmp_path):
    widget = build(view='tasks="letters-mnist", alpha=10.0, rows="distill_weight"', folder=tmp_path)
    begun = {"tasks": "letters-mnist", "alpha": 10.0, "rows": "distill_weight"}
    assert widget.view == widget.root.view == complete_view(widget.maps, begun)
    assert widget.root.content == content(widget.maps)
    assert build(view={"alpha": 0.0}).view["alpha"] == 0.0
    widget.root.view = widget.view | {"alpha": 1.0, "near": False}
    widget.root.pinned = int(widget.maps.cells.index[5])
    drawn = widget.drawing()
    assert "Chosen cell: 79.0 % on the old task" in drawn.alt
    assert "pinned" in drawn.settings["kinds"]
    assert not drawn.settings["near"]
    widget.root._handle_custom_msg({"take": True}, [])
    assert {path.suffix for path in tmp_path.glob("sweep-1*")} == {".png", ".svg", ".csv", ".txt"}
    assert "sweep-1.png" in widget.root.text


def test_a_line_of_code_is_taken_and_one_that_cannot_be_is_told(build):
    widget = build(lock=["recon_weight"], hide=["take"])
    assert (widget.root.hidden, widget.root.locked) == (["take"], ["recon_weight"])
    enter(widget, "ebll.widgets.sweep_explorer(found, view='tasks=\"letters-textures\", alpha=0.0, near=False')")
    assert (widget.view["tasks"], widget.view["alpha"], widget.view["near"]) == ("letters-textures", 0.0, False)
    enter(widget, "alpha=10.0")
    assert (widget.view["tasks"], widget.view["alpha"]) == ("letters-mnist", 10.0)
    assert widget.root.wrong == ""
    view = widget.view
    for line, named in [
        ("", ["empty"]),
        ("alpha=__import__('os')", ["every value"]),
        ("alpa=1.0", ["'alpa'", "Did you mean 'alpha'"]),
        ("alpha=2.0", ["alpha", "0; 1; 10"]),
        ("recon_weight=0.0001", ["recon_weight is locked"]),
    ]:
        enter(widget, line)
        review(widget.root.wrong, *named)
        assert widget.view == widget.root.view == view
    with raises(InputError, "hide", "'recon_wieght'", "Did you mean 'recon_weight'"):
        build(hide=["recon_wieght"])


def test_a_folder_that_is_being_filled_shows_what_is_there(build, found, tmp_path):
    store = Store(tmp_path / "out" / "store")
    store.plan(found.configs)
    widget = build(tmp_path / "out")
    assert (len(widget.maps.runs), widget.maps.planned) == (0, 90)
    for config in found.configs[:60]:
        store.put(found.results[config])
    half = build(tmp_path / "out")
    assert len(half.root.content["runs"]["seed"]) == len(half.maps.runs) == 60
    assert "60 of 90 runs so far" in half.drawing().caption
    for config in found.configs[60:]:
        store.put(found.results[config])
    assert build(tmp_path / "out").root.content == build().root.content


def test_widgets_that_are_closed_leave_nothing_behind(live, found, tmp_path):
    Store(tmp_path).plan(found.configs)
    ebll.widgets.sweep_explorer(found).close()
    gc.collect()
    before = widgets_alive()
    for sweep in (found, tmp_path):
        widget = ebll.widgets.sweep_explorer(sweep)
        widget.close()
    wait()
    gc.collect()
    assert widgets_alive() == before


def test_without_a_kernel_the_call_leaves_a_picture(live, monkeypatch, found):
    monkeypatch.setenv("EBLL_STATIC", "1")
    monkeypatch.setattr(maps_module, "precomputed_sweep", lambda: SweepTables(found.table, found.curves))
    widgets = widgets_alive()
    widget = ebll.widgets.sweep_explorer(view=NEAR)
    assert (widget.root, widgets_alive()) == (None, widgets)
    data, _ = widget._repr_mimebundle_()
    assert set(data) == {"text/html", "text/plain"}
    assert "87.5 % on the old task" in data["text/html"]
    widget.close()


def test_odd_sweeps_have_a_widget(build):
    (config,) = swept({"tasks": [PAIR], "seed": [0]}).configs
    one = build(Sweep([config], {config: result(config)}), "")
    assert "letters-mnist: EBLL." in one.drawing().alt
    grid = {"tasks": [("letters", "mnist", "textures")], "alpha": [1.0, (1.0, 3.0)], "recon_weight": [1e-4, 1e-2]}
    assert build(swept(grid), 'alpha="1, 3"').view["alpha"] == "1, 3"
    view = build(swept({"tasks": [PAIR], "method": ["finetune", "lwf"], "distill_weight": [1.0, 2.0]}), "").view
    assert (view["method"], view["columns"], view["rows"]) == ("lwf", "distill_weight", "")
