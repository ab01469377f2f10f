"""What if, in mid-run, and the submanifold explorer: what moves while it runs, what is kept, and what is told."""

import threading
import time

import numpy as np
import pandas as pd
import pytest
from panel_rig import CLASS, LONG_RUN, PAIR, TASKS, one_of, pixels, press, settle, turn_knob, until, widgets_alive

import ebll.panels
from ebll.figures import alt
from ebll.live.knobs import read_live

pytestmark = pytest.mark.slow  # every odd use of a panel; what a panel shows is tested in test_panels.py


@pytest.fixture(autouse=True)
def live(monkeypatch):
    monkeypatch.setenv("EBLL_STATIC", "0")


@pytest.fixture
def build():
    made = []

    def make(maker, *args, **more):
        made.append(maker(*args, tasks=TASKS, **more))
        return made[-1]

    yield make
    for panel in made:
        panel.close()


@pytest.fixture
def what_if(build):
    return lambda line=PAIR, *args, **more: build(ebll.panels.what_if, line, *args, **({"speed": 1e5} | more))


@pytest.fixture
def explorer(build):
    return lambda line=CLASS, **more: build(ebll.panels.submanifold_explorer, line, **more)


def begun(panel, steps=12):
    """A long run that has come some steps far, held there."""
    panel.session.config = panel.session.config.read(LONG_RUN)
    press(panel, "run")
    until(lambda: panel.session.current.measured > 1 + steps // 10, "the run")
    press(panel, "pause")
    until(lambda: stands_still(panel.session.control), "the hold")
    return panel.session.current


def stands_still(control, moment=0.2):
    """Whether a run takes no turn for a moment: the step that it was at when it was paused is over."""
    turns = control.turns
    time.sleep(moment)
    return control.turns == turns


def distances(curves):
    return curves.set_index("step")["feature_distance"]


def test_a_weight_acts_in_mid_run_is_marked_and_told_and_the_line_makes_the_run_again(what_if):
    panel = what_if(PAIR.replace("epochs=2", "epochs=4"))
    press(panel, "step")
    for knob in ({"alpha": 0.0}, {"recon_weight": 0.1}, {"distill_weight": 0.5}):
        seen = panel.session.current.measured
        until(lambda: panel.session.current.measured > 0, "the first measurement")
        turn_knob(panel, **knob)
        assert panel.status.text.startswith("From the next step on")
        press(panel, "step")
        until(lambda seen=seen: panel.session.current.measured > seen, "a step")
    press(panel, "pause")
    settle(panel)
    made = panel.session.current
    assert [(change.name, change.value) for change in made.changes] == [
        ("alpha", 0.0), ("recon_weight", 0.1), ("distill_weight", 0.5)
    ]  # fmt: skip
    marks = {text.get_text().strip() for text in panel.scene._plot._axes["distance"].texts}
    assert marks == {"alpha 0", "recon weight 0.1", "distill weight 0.5"}
    for change in made.changes:
        assert f"{change.name.replace('_', ' ')} is {change.value:g} from step {change.step}" in panel.widgets.view.alt
    line = panel.widgets.code.value
    config, method, changes = read_live(line)
    assert (config, method, changes) == (made.config, "ebll", tuple(made.changes))
    again = ebll.live.run_live(config, method, changes, tasks=TASKS)
    pd.testing.assert_frame_equal(again.table(), made.table())
    replayed, first = distances(again.curves), distances(made.curves)
    assert replayed.tolist() == first[replayed.index].tolist()
    panel.widgets.code.value = line.replace("ebll.live.run_live", "run_live")
    settle(panel)
    assert panel.session.current is not made
    assert distances(panel.session.current.curves).tolist() == replayed.tolist()
    assert panel.widgets.code.value == line


def test_a_weight_of_zero_from_a_step_on_leaves_the_steps_before_alone(what_if):
    plain = what_if(PAIR.replace("epochs=2", "epochs=10"))
    other = what_if(PAIR.replace("epochs=2", "epochs=10"), "ebll", [(20, "alpha", 0.0)])
    one, two = (distances(panel.session.current.curves) for panel in (plain, other))
    assert one.loc[:20].tolist() == two.loc[:20].tolist()
    assert one.loc[21:].tolist() != two.loc[21:].tolist()


def test_what_cannot_change_in_mid_run_is_set_for_the_next(what_if):
    panel = what_if()
    made = begun(panel)
    turn_knob(panel, code_size=5)
    assert panel.status.text == "code size: this cannot change in mid-run; it is set for the next one."
    assert panel.session.config.code_size == 5 != made.config.code_size
    press(panel, "stop")
    panel.wait(60)
    assert made.changes == []
    turn_knob(panel, epochs=1)
    assert panel.status.text.startswith("Set for the next run: epochs.")
    press(panel, "run")
    settle(panel)
    assert panel.session.current.config.code_size == 5


def test_a_weight_out_of_its_range_is_refused_in_mid_run(what_if):
    panel = what_if()
    made, before = begun(panel), panel.session.config.alpha
    turn_knob(panel, alpha=-1)
    assert "alpha" in panel.status.wrong
    assert panel.widgets.knobs["alpha"].value == before
    press(panel, "stop")
    settle(panel)
    assert made.changes == []


def test_another_method_and_speed_for_the_next_run_and_reset(what_if):
    panel = what_if(method="ebll")
    panel._method.value = "lwf"
    assert panel.status.text.startswith("LwF is set for the next run.")
    press(panel, "run")
    settle(panel)
    assert list(panel.session.current.recorders) == ["lwf"]
    assert set(one_of(panel.session.table(), run="now")["method"]) == {"lwf"}
    assert panel.widgets.knobs["alpha"].locked
    panel._pace.value = 77.0
    assert panel.session.pace == pytest.approx(1 / 77)
    panel._pace.value = -3.0
    assert (panel._pace.value, panel.session.pace) == (77.0, pytest.approx(1 / 77))
    assert "speed" in panel.status.wrong
    press(panel, "reset")
    settle(panel)
    assert list(panel.session.current.recorders) == ["ebll"]


def test_the_speed_of_a_run_that_is_on_changes_at_once(what_if):
    panel = what_if(speed=0.5)  # two seconds a step: it would take minutes
    press(panel, "run")
    until(lambda: panel.session.control is not None, "the run")
    panel._pace.value = 1e5
    press(panel, "step", "pause")
    assert panel.session.control.pace == 1e-5
    press(panel, "stop")
    settle(panel)


def test_a_hundred_changes_in_mid_run_are_one_run(what_if):
    panel = what_if()
    made, threads, widgets = begun(panel), threading.active_count(), widgets_alive()
    handle = panel.session.worker.current
    for move in range(100):
        turn_knob(panel, alpha=1 + move)
    assert panel.session.worker.current is handle
    assert (threading.active_count(), widgets_alive()) == (threads, widgets)
    press(panel, "step")
    until(lambda: made.changes, "the change")
    press(panel, "stop")
    settle(panel)
    assert [change.value for change in made.changes] == [100.0]  # the last before a step counts


def test_moving_the_code_size_changes_points_numbers_and_words(explorer):
    panel = explorer()
    first, picture = panel.found, pixels(panel.view.picture)
    turn_knob(panel, code_size=2)
    settle(panel)
    found = panel.found
    assert found.config.code_size == 2
    assert not np.allclose(found.points["x_back"], first.points["x_back"])
    assert np.array_equal(found.points["x"], first.points["x"])
    assert found.missed["pca"] > first.missed["pca"]
    assert (pixels(panel.view.picture) != picture).any()
    assert "code of 2," in panel.view.alt
    for share in (*found.accuracy.values(), *found.missed.values()):
        assert f"{alt.points(100 * share)} %" in panel.view.alt
        assert f"{100 * share:.1f} %" in panel.status.text
    table = panel.picture().table.set_index("quantity")["value"]
    assert table["missed_pca"] == found.missed["pca"]
    assert panel.status.done == 1
    alone = ebll.live.explore(panel.config, tasks=TASKS)
    assert (alone.accuracy, alone.missed) == (found.accuracy, found.missed)


def test_an_explorer_that_is_moved_fast_shows_the_last_setting_and_leaves_nothing(explorer):
    panel = explorer()
    turn_knob(panel, recon_weight=1)
    settle(panel)
    threads, widgets = threading.active_count(), widgets_alive()
    artists = len(panel._plot._canvas.figure.findobj())
    for move in range(100):  # the 100th is the first of three again
        turn_knob(panel, recon_weight=[0.01, 0.1, 1][move % 3])
    settle(panel)
    assert panel.found.config == panel.config
    assert panel.config.recon_weight == 0.01
    assert panel.found.epoch == panel.found.epochs
    assert (threading.active_count(), widgets_alive()) == (threads, widgets)
    assert len(panel._plot._canvas.figure.findobj()) == artists


def test_a_code_that_is_too_large_is_told_and_the_picture_stays(explorer):
    panel = explorer()
    before = panel.picture().alt
    turn_knob(panel, code_size=100_000)
    settle(panel)
    assert "code_size must be" in panel.status.wrong
    assert "setting is that of the picture again" in panel.status.wrong
    assert panel.knobs["code_size"].value == panel.found.config.code_size
    assert panel.picture().alt == before
    panel.reset.click()
    settle(panel)
    assert panel.status.wrong == ""
    assert panel.config == panel._begin


def test_a_fault_in_the_explorers_picture_is_told_and_kept(explorer, monkeypatch):
    panel = explorer()
    with monkeypatch.context() as patch:
        patch.setattr("ebll.figures.explorer.ExplorerPlot.frame", lambda *_, **__: 1 / 0)
        turn_knob(panel, code_size=4)
        panel.wait(60)
    assert {type(error) for error in panel.errors} == {ZeroDivisionError}
    assert "ZeroDivisionError" in panel.status.wrong


def test_closing_an_explorer_stops_its_fit(explorer):
    panel = explorer()
    turn_knob(panel, code_size=6)
    handle = panel.worker.current
    panel.close()
    assert handle.wait(60)
    assert panel.errors == []
