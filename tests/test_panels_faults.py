"""What a tester once broke in the live panels, and what happens instead."""

import gc
import sys
import threading
import weakref

import pytest
from messages import raises
from panel_rig import CLASS, LONG_RUN, PAIR, TASKS, press, settle, turn_knob, until

import ebll.panels
from ebll.errors import InputError
from ebll.live import LabConfig
from ebll.panels import runs
from ebll.panels.widgets import Knob, Status, View

pytestmark = pytest.mark.slow  # every odd use of a panel; what a panel shows is tested in test_panels.py


@pytest.fixture(autouse=True)
def live(monkeypatch):
    monkeypatch.setenv("EBLL_STATIC", "0")


@pytest.fixture
def panels():
    made = []

    def make(kind, line, **more):
        made.append(getattr(ebll.panels, kind)(line, **{"tasks": TASKS, **more}))
        return made[-1]

    yield make
    for panel in made:
        panel.close()
        panel.halt(60)


@pytest.mark.parametrize(("kind", "line"), [("forgetting_lab", PAIR), ("submanifold_explorer", CLASS)])
def test_a_closed_panel_is_freed(kind, line):
    panel = getattr(ebll.panels, kind)(line, tasks=TASKS)
    left = weakref.ref(panel)
    panel.close()
    del panel
    gc.collect()
    assert left() is None


def test_a_fit_that_was_stopped_half_way_for_one_that_may_not_be_is_not_shown_as_the_result(panels):
    panel = panels("submanifold_explorer", CLASS)
    whole, gate = panel.found, threading.Event()
    draw = panel._draw

    def slow(quick):  # the fit waits at its first epoch until the next setting has been asked for
        draw(quick)
        if panel.found.config.code_size == 4:
            gate.wait(20)

    panel._draw = slow
    turn_knob(panel, code_size=4)
    until(lambda: panel.found.config.code_size == 4, "the fit")
    turn_knob(panel, code_size=300)
    gate.set()
    settle(panel)
    assert panel.found is whole
    assert panel.config == whole.config
    assert panel.knobs["code_size"].value == 8
    assert "code of 8" in panel.view.alt
    assert panel.status.done == 1
    assert "300" in panel.status.wrong
    turn_knob(panel, code_size=4)
    settle(panel)
    assert panel.found.config.code_size == 4
    assert panel.status.wrong == ""


def test_a_fit_that_fails_brings_controls_and_picture_back(panels, monkeypatch):
    panel = panels("submanifold_explorer", CLASS)
    whole = panel.found
    monkeypatch.setattr(sys.modules["ebll.panels.submanifold_explorer"], "explore", lambda *_, **__: 1 / 0)
    turn_knob(panel, code_size=4)
    with pytest.raises(ZeroDivisionError):
        panel.wait(60)
    until(lambda: "ZeroDivisionError" in panel.status.wrong, "the complaint")
    assert panel.config == whole.config
    assert panel.knobs["code_size"].value == 8


@pytest.mark.parametrize(
    ("kind", "line", "lock", "text", "name"),
    [
        ("forgetting_lab", PAIR, "seed", f"{PAIR}, seed=3", "seed"),
        ("forgetting_lab", PAIR, "methods", PAIR.replace('"ebll"', '"lwf"'), "methods"),
        ("what_if", PAIR, "alpha", f"{PAIR}, alpha=7", "alpha"),
        ("submanifold_explorer", CLASS, "code_size", CLASS.replace("code_size=8", "code_size=4"), "code size"),
    ],
)
def test_a_locked_setting_cannot_be_changed_by_a_line_of_code(panels, kind, line, lock, text, name):
    panel = panels(kind, line, lock=[lock])
    code = panel.code if kind == "submanifold_explorer" else panel.widgets.code
    before = code.value
    code.value = text
    settle(panel)
    assert f"{name} is locked" in panel.status.wrong
    assert code.value == before


def test_a_locked_task_is_not_swapped_with_the_other(panels):
    panel = panels("forgetting_lab", PAIR, lock=["new"])
    panel.widgets.choices["old"].value = "two"
    settle(panel)
    assert "new is locked" in panel.status.wrong
    assert (panel.session.config.old, panel.widgets.choices["old"].value) == ("one", "one")


def test_a_method_that_is_locked_stays_whatever_a_line_says(panels):
    panel = panels("what_if", PAIR, lock=["method"])
    panel.widgets.code.value = f'ebll.live.run_live(ebll.LabConfig({PAIR}), "lwf")'
    settle(panel)
    assert "method is locked" in panel.status.wrong
    assert panel.session.live == "ebll"


@pytest.mark.parametrize("kind", ["forgetting_lab", "what_if"])
def test_a_beginning_that_costs_much_is_not_run_by_the_cell(panels, monkeypatch, kind):
    monkeypatch.setattr(runs, "PATIENCE", 0.0)
    panel = panels(kind, PAIR)
    assert panel.session.current is None
    assert panel.widgets.view.count == 1
    assert "Nothing has been trained yet" in panel.status.text
    assert "Press Run" in panel.status.text
    press(panel, "run")
    settle(panel)
    assert panel.session.current.runs


def test_where_there_is_no_run_button_a_costly_setting_runs_by_itself(panels, monkeypatch):
    monkeypatch.setattr(sys.modules["ebll.panels.forgetting_lab"], "QUICK", 0.0)
    panel = panels("forgetting_lab", PAIR, hide=["buttons"])
    turn_knob(panel, alpha=5)
    settle(panel)
    assert panel.session.current.config.alpha == 5


def test_the_title_names_the_weights_of_the_method_that_is_trained(panels):
    line = PAIR.replace('methods=("ebll",)', 'methods=("lwf",)')
    assert "alpha 50" in panels("what_if", f"{line}, alpha=50.0", method="ebll").widgets.view.alt
    assert "alpha 50" not in panels("what_if", f"{PAIR}, alpha=50.0", method="lwf").widgets.view.alt


def test_a_sentence_about_a_change_stays_for_a_while(panels):
    panel = panels("what_if", PAIR, speed=50.0)
    panel.session.config = LabConfig.read(LONG_RUN)
    press(panel, "run")
    until(lambda: panel.session.current.measured > 1, "the run")
    turn_knob(panel, seed=3)
    turns = panel.session.control.turns
    until(lambda: panel.session.control.turns > turns + 5, "some steps")
    assert "cannot change in mid-run" in panel.status.text
    panel._method.value = "lwf"
    settle(panel)
    assert "Settings have changed since" in panel.status.text


def test_reset_also_brings_back_what_is_no_setting_of_a_run(panels):
    lab, slow = panels("forgetting_lab", PAIR), panels("what_if", PAIR, speed=50.0)
    lab.widgets.auto.value, slow._pace.value = False, 1000.0
    press(lab, "reset")
    press(slow, "reset")
    assert lab.widgets.auto.value
    assert slow._pace.value == 50.0
    settle(lab)
    settle(slow)


@pytest.mark.parametrize(("kind", "line"), [("forgetting_lab", PAIR), ("submanifold_explorer", CLASS)])
def test_an_emptied_line_of_code_changes_nothing_and_a_good_one_takes_the_complaint_back(panels, kind, line):
    panel = panels(kind, line)
    code = panel.code if kind == "submanifold_explorer" else panel.widgets.code
    good = code.value
    code.value = "  "
    assert "Reset" in panel.status.wrong
    assert code.value == good
    code.value = f" {good}"
    settle(panel)
    assert panel.status.wrong == ""
    assert code.value == good


def test_a_class_that_is_not_there_is_told(panels):
    panel = panels("submanifold_explorer", CLASS)
    panel.code.value = 'task="one", label="nope", code_size=8'
    assert "Class of one: there is no 'nope'" in panel.status.wrong
    assert panel.config.label == "0"


def test_one_task_need_not_be_in_a_list(panels):
    assert "one" in panels("submanifold_explorer", CLASS, tasks=TASKS[0])._offered


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"tasks": 5}, ["tasks", "ebll.Task", "got int"]),
        ({"hide": 5}, ["hide", 5]),
        ({"lock": None}, ["lock", "None"]),
        ({"folder": None}, ["folder", "None"]),
        ({"changes": 5}, ["changes", 5]),
    ],
)
def test_arguments_of_the_wrong_kind_are_refused(given, named):
    with raises(InputError, *named):
        ebll.panels.what_if(PAIR, **{"tasks": TASKS, **given})


def test_a_folder_that_cannot_be_looked_into_is_told_in_words(panels):
    panel = panels("forgetting_lab", PAIR, folder="x" * 5000)
    panel.widgets.take["data"].click()
    assert "xxx" in panel.status.wrong
    assert "another folder" in panel.status.wrong
    assert panel.errors == []


def test_a_home_folder_is_meant_by_its_sign(panels, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert panels("forgetting_lab", PAIR, folder="~/here").folder == tmp_path / "here"


def test_widgets_hold_texts_and_no_files():
    for kind in (Knob, View, Status):
        assert "export default" in kind._esm
        assert ".ebll" in kind._css
