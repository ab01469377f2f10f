"""The sweep explorer without a front end: moves, snapping, growing sweeps, faults, and what must not leak."""

import gc
import os
import threading
import weakref

import ipywidgets
import numpy as np
import pytest
from messages import raises, review
from sweep_rig import GRID, PAIR, figures_of, pixels, result, swept, until, whole
from widget_rig import widgets_alive

import ebll.panels
from ebll.errors import InputError
from ebll.figures import Picture
from ebll.panels.follow import Follower
from ebll.panels.sweep_explorer import SweepExplorer
from ebll.sweeps import Store, Sweep
from ebll.sweeps import maps as m
from ebll.sweeps.maps import SweepView

pytestmark = pytest.mark.slow  # every odd use of a panel; what a panel shows is tested in test_panels.py

NEAR = 'tasks="letters-mnist"'


@pytest.fixture(scope="module")
def found():
    return whole()


@pytest.fixture(autouse=True)
def live(monkeypatch):
    monkeypatch.setenv("EBLL_STATIC", "0")


@pytest.fixture
def build(found):
    made = []

    def make(sweep=None, view=NEAR, **more):
        made.append(ebll.panels.sweep_explorer(found.tables() if sweep is None else sweep, view, **more))
        return made[-1]

    yield make
    for panel in made:
        panel.close()
        assert panel.errors == []


def following():
    return [thread for thread in threading.enumerate() if thread.name == "ebll-follow"]


def turn(panel, **values):
    for name, value in values.items():
        panel.widgets.sliders[name].value = value


def choose(panel, **values):
    for name, value in values.items():
        panel.widgets.lists[name].value = value


def test_a_move_shows_the_cell_of_the_tables(build, found):
    panel = build()
    before = pixels(panel.widgets.view.picture)
    turn(panel, alpha=10.0)
    assert panel.view.alpha == 10.0
    assert (pixels(panel.widgets.view.picture) != before).any()
    assert "The chosen cell, alpha 10, reconstruction weight 0.01: old task 89.5 ± 0.7" in panel.widgets.view.alt
    assert "old task 89.5 ± 0.7 (2 seeds, 1 seed failed)" in panel.status.text
    assert "90 runs" in panel.status.text
    assert panel.status.done == 1
    table = panel.picture().table
    chosen = table[(table["part"] == "cell") & (table["chosen"] == True)]  # noqa: E712
    assert chosen["old"].tolist() == pytest.approx([0.895])
    assert panel.widgets.view.readout[0]["pick"]


def test_sliders_have_the_sweeps_own_values_and_snap_to_them(build):
    panel = build()
    assert panel.widgets.sliders["alpha"].grid == [0.0, 1.0, 10.0]
    assert panel.widgets.sliders["recon_weight"].grid == [1e-4, 1e-2]
    turn(panel, alpha=7.0)
    assert (panel.view.alpha, panel.widgets.sliders["alpha"].value) == (10.0, 10.0)
    review(panel.status.wrong, "alpha", 7, 10)
    turn(panel, alpha=0.0)
    assert panel.status.wrong == ""


def test_every_move_is_what_a_fresh_panel_shows(build):
    panel = build()
    turn(panel, alpha=10.0, recon_weight=1e-4, distill_weight=1.0)
    choose(panel, tasks="letters-textures", data="test", rows="distill_weight")
    fresh = build(view=panel.view)
    assert fresh.view == panel.view
    assert fresh.widgets.view.alt == panel.widgets.view.alt
    assert fresh.widgets.code.value == panel.widgets.code.value
    apart = np.abs(pixels(fresh.widgets.view.picture).astype(int) - pixels(panel.widgets.view.picture)).max(axis=2)
    assert (apart > 8).mean() < 1e-3


def test_rows_and_columns_change_places_rather_than_meet(build):
    panel = build()
    choose(panel, rows="alpha")
    assert (panel.view.columns, panel.view.rows) == ("recon_weight", "alpha")
    choose(panel, rows="distill_weight")
    assert (panel.view.columns, panel.view.rows) == ("recon_weight", "distill_weight")
    assert panel.status.wrong == ""


def test_another_method_brings_its_own_sliders_and_the_old_come_back(build):
    panel = build()
    choose(panel, method="lwf")
    assert [one.label for one in panel.widgets._sliders.children] == ["distillation weight λo"]
    assert "LwF" in panel.widgets.view.alt
    choose(panel, method="finetune")
    assert list(panel.widgets._sliders.children) == []
    choose(panel, method="ebll")
    assert len(panel.widgets._sliders.children) == 3
    assert panel.view == m.settled(panel.index, SweepView(tasks="letters-mnist"))


def test_the_data_is_validation_until_test_is_asked_for_and_said(build):
    panel = build()
    assert panel.widgets.lists["data"].value == "validation"
    assert "validation data" in panel.widgets.view.alt
    choose(panel, data="test")
    assert "test data" in panel.widgets.view.alt
    assert "All of test data" in panel.widgets.view.alt
    assert 'data="test"' in panel.widgets.code.value


def test_the_line_of_code_makes_the_same_panel(build, found):
    panel = build()
    turn(panel, alpha=10.0)
    line = panel.widgets.code.value
    again = eval(line, {"ebll": ebll, "found": found.tables()})
    assert (again.view, again.widgets.view.alt) == (panel.view, panel.widgets.view.alt)
    again.close()
    panel.widgets.code.value = 'alpha=0.0, tasks="letters-textures"'
    assert (panel.view.alpha, panel.view.tasks) == (0.0, "letters-textures")
    panel.widgets.code.value = line
    assert panel.view == again.view
    assert panel.widgets.sliders["alpha"].value == 10.0


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("", ["empty"]),
        ("alpha", ["SweepView", "'alpha'"]),
        ("alpha=__import__('os')", ["every value"]),
        ("alpa=1.0", ["'alpa'", "Did you mean 'alpha'"]),
        ("alpha=2.0", ["alpha", "0; 1; 10"]),
        ("tasks='letters'", ["tasks", "'letters'"]),
        ("rows='seed'", ["rows", "'seed'"]),
        ("alpha={1: 2}", ["value of a setting", "{1: 2}"]),
        ("tasks=3", ["tasks", "no 3"]),
        ("data=['test']", ["data", "['test']"]),
    ],
)
def test_a_line_that_cannot_be_is_told_and_nothing_changes(build, line, named):
    panel = build()
    view, code = panel.view, panel.widgets.code.value
    panel.widgets.code.value = line
    review(panel.status.wrong, *named)
    assert (panel.view, panel.widgets.code.value) == (view, code)


def test_what_is_hidden_is_not_shown_and_what_is_locked_stays(build):
    panel = build(hide=["tasks", "recon_weight", "code", "take"], lock=["alpha", "data"])
    shown = {id(one) for one in _all_widgets(panel.root)}
    assert id(panel.widgets.lists["tasks"]) not in shown
    assert id(panel.widgets.sliders["recon_weight"]) not in shown
    assert id(panel.widgets.code) not in shown
    assert panel.widgets.sliders["alpha"].locked
    assert panel.widgets.lists["data"].disabled
    panel.widgets.code.value = "alpha=0.0"
    assert "alpha is locked" in panel.status.wrong
    assert panel.view.alpha == 1.0
    with raises(InputError, "hide", "'recon_wieght'", "Did you mean 'recon_weight'"):
        build(hide=["recon_wieght"])


def _all_widgets(root):
    return [root, *(one for child in getattr(root, "children", ()) for one in _all_widgets(child))]


def test_a_click_on_a_cell_chooses_it_and_one_beside_changes_nothing(build):
    panel = build()
    left, top, right, _ = panel.scene._plot._canvas.box("forgetting")
    panel.widgets.view.picked = [right - 0.01, top + 0.01, 1.0]
    assert (panel.view.alpha, panel.view.recon_weight) == (10.0, 1e-2)
    assert panel.widgets.sliders["alpha"].value == 10.0
    panel.widgets.view.picked = [left - 0.02, top + 0.01, 2.0]
    assert (panel.view.alpha, panel.view.recon_weight) == (10.0, 1e-2)
    panel.widgets.view.picked = []
    assert panel.status.wrong == ""


def test_reset_and_take_a_figure(build, tmp_path):
    panel = build(folder=tmp_path)
    turn(panel, alpha=10.0)
    choose(panel, tasks="letters-textures")
    panel.widgets.take.click()
    assert {path.name for path in tmp_path.iterdir()} == {f"sweep-1.{end}" for end in ("png", "svg", "csv", "txt")}
    assert (tmp_path / "sweep-1.txt").read_text(encoding="utf-8").strip() == panel.widgets.view.alt
    assert "sweep-1.png" in panel.status.text
    panel.widgets.reset.click()
    assert panel.view == m.settled(panel.index, SweepView(tasks="letters-mnist"))


def test_alphas_for_each_task_are_a_list(build):
    sweep = swept(
        {"tasks": [("letters", "mnist", "textures")], "alpha": [1.0, (1.0, 3.0)], "recon_weight": [1e-4, 1e-2]}
    )
    panel = build(sweep.tables(), "")
    assert isinstance(panel.widgets.sliders["alpha"], ipywidgets.Dropdown)
    assert [text for text, _ in panel.widgets.sliders["alpha"].options] == ["1", "(1, 3)"]
    turn(panel, alpha="1, 3")
    assert panel.view.alpha == "1, 3"
    assert "(1, 3)" in panel.widgets.view.alt
    panel.widgets.code.value = panel.widgets.code.value  # it can be read back
    assert panel.status.wrong == ""


@pytest.mark.slow
def test_a_hundred_moves_leave_nothing_behind(build):
    panel = build()
    turn(panel, alpha=0.0)
    threads, widgets = threading.active_count(), widgets_alive()
    artists = len(panel.scene._plot._canvas.figure.findobj())
    for move in range(100):
        turn(panel, alpha=[0.0, 1.0, 10.0][move % 3])
    turn(panel, alpha=0.0)
    assert (threading.active_count(), widgets_alive()) == (threads, widgets)
    assert len(panel.scene._plot._canvas.figure.findobj()) == artists


# A sweep that grows


def grown(panel, count):
    until(lambda: len(panel.index.runs) == count and f"{count} " in panel.status.text, f"{count} runs")


def test_a_growing_sweep_is_shown_as_it_comes_and_the_choice_stays(build, found):
    growing = Sweep()
    panel = build(growing)
    assert "No run has begun" in panel.status.text
    assert panel.widgets._sliders.children == ()
    growing.configs[:] = found.configs
    until(lambda: panel.widgets.sliders, "the controls")
    turn(panel, alpha=10.0)
    assert "0 of 90 runs so far" in panel.status.text
    for config in found.configs[:60]:
        growing.results[config] = found.results[config]
    grown(panel, 60)
    assert "60 of 90 runs so far" in panel.widgets.view.alt
    assert panel.status.done == pytest.approx(2 / 3)
    assert panel.view.alpha == 10.0
    turn(panel, recon_weight=1e-4)
    growing.results.update(found.results)
    grown(panel, 90)
    assert (panel.view.alpha, panel.view.recon_weight) == (10.0, 1e-4)
    whole_ = build(view=panel.view)
    assert whole_.widgets.view.alt == panel.widgets.view.alt
    assert panel.status.done == 1


def test_a_finished_sweep_is_not_redrawn(build, found):
    panel = build(found)
    count = panel.widgets.view.count
    assert len(following()) == 1
    panel._look()
    panel._look()
    assert panel.widgets.view.count == count


def test_only_a_sweep_is_followed_and_closing_ends_it(build, found, tmp_path):
    store = Store(tmp_path / "store")
    for one in list(found.results.values())[:40]:
        store.put(one)
    build()
    build(tmp_path / "store")
    assert following() == []
    panel = build(Sweep())
    assert len(following()) == 1
    panel.close()
    until(lambda: not following(), "the end of the thread")
    panel._look()  # one that was under way finds it closed


def test_a_fault_while_it_grows_is_told_once_and_kept(found, monkeypatch):
    panel = ebll.panels.sweep_explorer(growing := Sweep(), NEAR)
    monkeypatch.setattr("ebll.panels.sweep_scene.SweepScene.frame", lambda *_, **__: 1 / 0)
    growing.configs[:] = found.configs
    until(lambda: panel.errors, "the fault")
    until(lambda: not following(), "the end of the thread")
    assert [type(error) for error in panel.errors] == [ZeroDivisionError]
    assert "ZeroDivisionError" in panel.status.wrong
    panel.close()


def test_a_follower_ends_with_its_object_and_may_be_ended_from_within():
    class Counter:
        seen = 0

        def look(self):
            self.seen += 1
            if self.seen == 3:
                follower.end(5.0)

    counter = Counter()
    follower = Follower(counter.look, every=0.001)
    until(lambda: counter.seen == 3)
    until(lambda: not following(), "the end of the thread")
    other = Counter()
    Follower(other.look, every=0.001)
    gone = weakref.ref(other)
    del other
    gc.collect()
    until(lambda: gone() is None and not following(), "the end of the thread")


def test_widgets_of_a_growing_sweep_do_not_pile_up(build, found):
    growing = Sweep(list(found.configs))
    panel = build(growing)
    growing.results.update({config: found.results[config] for config in found.configs[:10]})
    grown(panel, 10)
    widgets = widgets_alive()
    for count in (20, 30):
        growing.results.update({config: found.results[config] for config in found.configs[:count]})
        grown(panel, count)
    assert widgets_alive() == widgets


# Without a kernel, and what cannot be


def test_without_a_kernel_the_call_leaves_a_picture(monkeypatch, found):
    monkeypatch.setenv("EBLL_STATIC", "1")
    widgets = widgets_alive()
    panel = ebll.panels.sweep_explorer(found, NEAR)
    assert panel.root is None
    assert widgets_alive() == widgets
    assert following() == []
    data, metadata = panel._repr_mimebundle_()
    assert set(data) == {"image/png", "text/plain"}
    assert "Map of old task: 80.0 to 89.5 %" in metadata["image/png"]["alt"]
    assert isinstance(panel.picture(), Picture)
    panel.close()


def test_the_default_is_the_ready_made_sweep(monkeypatch, build, found):
    monkeypatch.setattr(m, "ready_sweep", found.tables)
    panel = ebll.panels.sweep_explorer()
    assert len(panel.index.runs) == 90
    assert panel.widgets.code.value.startswith("ebll.panels.sweep_explorer(view=ebll.sweeps.maps.SweepView(tasks=")
    panel.close()


def test_a_store_stands_in_the_line_of_code(build, found, tmp_path):
    store = Store(tmp_path / "store")
    for one in found.results.values():
        store.put(one)
    panel = build(str(tmp_path / "store"))
    assert f"sweep_explorer({os.fspath(tmp_path / 'store')!r}, view=" in panel.widgets.code.value


@pytest.mark.parametrize("thing", [7, "no such folder", {"alpha": [1.0]}, Sweep().tables()], ids=str)
def test_what_is_no_sweep_is_refused(thing):
    with pytest.raises(InputError):
        SweepExplorer(thing)


def test_one_run_has_a_panel(build):
    config = next(iter(swept({"tasks": [PAIR], "seed": [0]}).configs))
    panel = build(Sweep([config], {config: result(config)}), "")
    assert panel.widgets._sliders.children == ()
    assert "the only cell" in panel.widgets.view.alt
    panel.widgets.reset.click()
    assert panel.status.wrong == ""


def test_methods_without_alpha_have_a_panel(build):
    panel = build(swept({"tasks": [PAIR]} | {k: v for k, v in GRID.items() if k == "distill_weight"} | {
        "method": ["finetune", "lwf"], "seed": [0, 1]}, figures_of).tables(), "")  # fmt: skip
    assert (panel.view.method, panel.view.columns, panel.view.rows) == ("lwf", "distill_weight", "")
    turn(panel, distill_weight=1.0)
    assert "distillation weight 1" in panel.widgets.view.alt
