"""What happens when somebody uses a live panel: runs, buttons, many moves, two panels at once, and what goes wrong."""

import re
import threading
import time

import pandas as pd
import pytest
from panel_rig import BOTH, LONG_RUN, PAIR, TASKS, one_of, pixels, press, settle, turn_knob, until, widgets_alive

import ebll.panels
from ebll.live import LabConfig
from ebll.panels.scene import Scene
from ebll.plots import METHODS


@pytest.fixture(autouse=True)
def live(monkeypatch):
    monkeypatch.setenv("EBLL_STATIC", "0")


@pytest.fixture
def lab():
    made = []

    def make(line=PAIR, **more):
        made.append(ebll.panels.forgetting_lab(line, tasks=TASKS, **more))
        return made[-1]

    yield make
    for panel in made:
        handle = panel.session.worker.current
        panel.close()
        assert handle is None or handle.wait(60)


def start_long(panel):
    """A run of thousands of steps that has begun."""
    panel.widgets.auto.value = False
    panel.widgets.code.value = LONG_RUN
    press(panel, "run")
    until(lambda: panel.session.current.measured > 3, "the run")
    return panel.session.worker.current


def html(panel):
    rows = re.findall(r"<tr.*?</tr>", panel.widgets.results.value, re.S)
    head, *rest = ([cell.strip() for cell in re.findall(r"<t[dh][^>]*>(.*?)</t", row, re.S)] for row in rows)
    return pd.DataFrame(rest, columns=head)


def series(panel, place, name):
    """What a pointer reads of a line in one of the four axes."""
    return next(one for one in panel.widgets.view.readout[place]["series"] if one["name"] == name)


def test_a_moved_knob_runs_and_the_picture_has_the_new_run(lab):
    panel = lab(BOTH)
    before, count = pixels(panel.widgets.view.picture), panel.widgets.view.count
    turn_knob(panel, alpha=100)
    settle(panel)
    assert panel.widgets.view.count > count
    assert (pixels(panel.widgets.view.picture) != before).any()
    expected = ebll.live.run(f"{BOTH}, alpha=100", tasks=TASKS)
    pd.testing.assert_frame_equal(panel.session.current.table(), expected.table())
    rows = one_of(expected.curves, method="ebll")
    assert series(panel, 0, "EBLL")["x"] == rows["step"].tolist()
    assert series(panel, 0, "EBLL")["y"] == pytest.approx(rows["feature_distance"].tolist(), rel=1e-3)
    assert series(panel, 3, "LwF")["y"] == pytest.approx(
        (100 * one_of(expected.curves, method="lwf")["accuracy_new"]).tolist(), rel=1e-3
    )
    assert "alpha 100" in panel.widgets.view.alt
    assert panel.status.text.startswith("Done after")
    assert panel.status.done == 1


def test_the_results_table_has_the_numbers_of_the_session(lab):
    panel = lab(BOTH)
    press(panel, "pin")
    turn_knob(panel, alpha=0)
    settle(panel)
    shown, table = html(panel), panel.session.table()
    assert shown["run"].tolist() == table["run"].tolist() == ["A", "A", "now", "now"]
    assert shown["method"].tolist() == [METHODS[name].label for name in table["method"]]
    for head, column in {"old task before, %": "before", "old task after, %": "old", "new task, %": "new",
                         "forgotten, points": "forgetting", "feature distance": "distance"}.items():  # fmt: skip
        assert shown[head].astype(float).tolist() == pytest.approx(table[column].tolist(), abs=0.051)
    assert "alpha 0" in shown["set differently"].iloc[-1]


def test_pinned_runs_are_named_in_the_picture_and_the_ninth_takes_the_place_of_the_oldest(lab):
    panel = lab()
    press(panel, "pin")
    assert "Pinned as A" in panel.status.text
    press(panel, "pin")
    assert "pinned already" in panel.status.wrong
    turn_knob(panel, alpha=0)
    settle(panel)
    names = [one["name"] for one in panel.widgets.view.readout[0]["series"]]
    assert names == ["A: EBLL", "EBLL"]
    assert series(panel, 0, "A: EBLL")["y"] != series(panel, 0, "EBLL")["y"]
    for number in range(8):
        turn_knob(panel, alpha=1 + number)
        settle(panel)
        press(panel, "pin")
    assert sorted(one.name for one in panel.session.pinned) == list("ABCDEFGH")
    assert [one.made.config.alpha for one in panel.session.pinned] == [1 + number for number in range(8)]
    turn_knob(panel, alpha=0)
    settle(panel)
    assert len({one["name"] for one in panel.widgets.view.readout[0]["series"]}) == 9
    assert len(html(panel)) == 9
    press(panel, "reset")
    settle(panel)
    assert panel.session.pinned == []
    assert html(panel)["run"].tolist() == ["now"]


def test_pause_step_resume_and_stop(lab):
    panel = lab()
    press(panel, "pause")
    assert "Nothing is running" in panel.status.wrong
    press(panel, "stop")
    assert "Nothing is running" in panel.status.wrong
    handle, pause = start_long(panel), panel.widgets.buttons["pause"]
    press(panel, "pause")
    assert pause.description == "Resume"
    control, rows = panel.session.control, panel.session.current.recorders["ebll"].curve_rows
    until(lambda: (turns := control.turns, time.sleep(0.1)) and turns == control.turns, "the pause")
    for _ in range(3):
        seen = len(rows)
        press(panel, "step")
        until(lambda seen=seen: len(rows) > seen, "the step")
        time.sleep(0.05)
        assert len(rows) == seen + 1
    assert [rows[i]["step"] - rows[i - 1]["step"] for i in (-1, -2)] == [1, 1]
    until(lambda: f"step {rows[-1]['step']} of" in panel.status.text, "the step's number")
    assert panel.status.text.startswith("Held: EBLL")
    press(panel, "pause")
    assert pause.description == "Pause"
    seen = len(rows)
    until(lambda: len(rows) > seen + 2, "the run")
    press(panel, "stop")
    settle(panel)
    assert (handle.state, pause.description) == ("stopped", "Pause")
    assert panel.status.text.startswith("Stopped after")
    assert 0 < panel.status.done < 1
    assert panel.widgets.view.readout[0]["series"][-1]["x"][-1] == rows[-1]["step"]
    assert pd.isna(one_of(panel.session.table(), run="now")["old"].iloc[0])


def test_step_begins_a_run_that_holds_at_its_first_measurement(lab):
    panel = lab()
    press(panel, "step")
    until(lambda: panel.session.current.measured == 1, "the first measurement")
    assert panel.widgets.buttons["pause"].description == "Resume"
    press(panel, "pause")
    settle(panel)
    assert panel.session.worker.current.state == "done"


@pytest.mark.slow
def test_a_hundred_moves_leave_one_run_alive_and_nothing_behind(lab):
    """Half of them ask for what is known already, half for runs that the next move ends."""
    panel, known, most = lab(PAIR.replace("epochs=2", "epochs=12")), [0.5, 2.0], 0
    for alpha in known:
        turn_knob(panel, alpha=alpha)
        settle(panel)
    threads, widgets = threading.active_count(), widgets_alive()
    artists, handles = len(panel.scene._plot._canvas.figure.findobj()), set()
    for move in range(100):
        turn_knob(panel, alpha=known[move // 2 % 2] if move % 2 else 3 + move / 100)
        handles.add(panel.session.worker.current)
        most = max(most, sum(thread.name == "ebll-run" for thread in threading.enumerate()))
    settle(panel)
    assert (most, len(handles)) == (1, 100)
    assert not any(handle.alive for handle in handles)
    assert panel.session.worker.current.state == "done"
    assert panel.session.current.config.alpha == panel.widgets.knobs["alpha"].value == 2.0
    expected = ebll.live.run(panel.session.config, tasks=TASKS)
    pd.testing.assert_frame_equal(panel.session.current.table(), expected.table())
    assert (threading.active_count(), widgets_alive()) == (threads, widgets)
    assert len(panel.scene._plot._canvas.figure.findobj()) <= artists


def test_new_panels_in_place_of_old_ones_leave_no_widget_and_no_thread(lab):
    lab().close()
    before = threading.active_count(), widgets_alive()
    for _ in range(2):
        panel = lab(hide=["seed"])
        start_long(panel)
        handle = panel.session.worker.current
        panel.close()
        assert handle.wait(60)
        until(lambda panel=panel: panel.session.worker._thread is None, "the end")
    assert (threading.active_count(), widgets_alive()) == before


@pytest.mark.parametrize("paused", [False, True])
def test_two_panels_at_once_give_what_each_gives_alone(lab, paused):
    lines = (PAIR, 'old="two", new="one", epochs=3, methods=("lwf",), seed=1')
    alone = [ebll.live.run(line, tasks=TASKS).table() for line in lines]
    one, two = (lab(line) for line in lines)
    press(one, "step" if paused else "run")
    if paused:
        until(lambda: one.session.current.measured == 1, "the pause")
    press(two, "run")
    if paused:
        settle(two)
        assert one.session.current.measured == 1
        press(one, "pause")
    settle(one)
    settle(two)
    for panel, expected in zip((one, two), alone, strict=True):
        pd.testing.assert_frame_equal(panel.session.current.table(), expected)


def test_closing_stops_the_run_and_later_messages_do_no_harm(lab):
    panel = lab()
    handle = start_long(panel)
    panel.close()
    assert handle.wait(60)
    assert handle.state == "stopped"
    count = panel.widgets.view.count
    panel.tell("late"), panel._draw(quick=False)
    assert (panel.widgets.view.count, panel.errors) == (count, [])


@pytest.mark.parametrize(
    ("knobs", "told"),
    [({"alpha": 1e4, "temperature": 0.05}, ""), ({"learning_rate": 10}, "EBLL"),
     ({"code_size": 300}, "EBLL was left out"),
     ({"ewc_strength": 1e9, "methods": ("ewc",), "learning_rate": 10}, "EWC")],
)  # fmt: skip
def test_extreme_values_end_in_a_picture_and_a_sentence(lab, knobs, told):
    panel = lab()
    panel.widgets.code.value = LabConfig.read(PAIR).replace(**knobs).line()
    if panel.session.current.config != panel.session.config:
        press(panel, "run")
    settle(panel)
    assert all(getattr(panel.session.current.config, name) == value for name, value in knobs.items())
    assert panel.status.text.startswith("Done after")
    assert panel.status.text.endswith(".")
    assert told in panel.status.wrong
    assert pixels(panel.widgets.view.picture).shape == (570, 760, 3)
    assert panel.picture().alt.endswith(".")


def test_a_fault_in_a_picture_is_told_kept_and_does_not_end_the_run(lab, monkeypatch):
    panel = lab()

    def broken(*_, **__):
        raise RuntimeError("no ink")

    with monkeypatch.context() as patch:
        patch.setattr(Scene, "frame", broken)
        turn_knob(panel, alpha=7)
        panel.wait(60)
        assert "RuntimeError: no ink" in panel.status.wrong
        assert {str(error) for error in panel.errors} == {"no ink"}
        assert panel.session.worker.current.state == "done"
        with pytest.raises(RuntimeError):
            panel.picture()
    panel.errors.clear()
    press(panel, "run")
    settle(panel)
    assert panel.status.wrong == ""


def test_a_fault_in_a_handler_is_told_and_kept(lab, monkeypatch):
    panel = lab()
    monkeypatch.setattr(panel.session, "pin", lambda: 1 / 0)
    press(panel, "pin")
    assert [type(error) for error in panel.errors] == [ZeroDivisionError]
    assert "ZeroDivisionError" in panel.status.wrong
    assert "panel.errors" in panel.status.wrong
    panel.errors.clear()


def test_a_fault_in_a_run_is_told_and_raised_by_wait(lab, monkeypatch):
    panel = lab()
    monkeypatch.setattr("ebll.live.session.run", lambda *_, **__: 1 / 0)
    press(panel, "run")
    with pytest.raises(ZeroDivisionError):
        panel.wait(60)
    assert panel.status.wrong.startswith("The run failed: ZeroDivisionError")
    assert panel.status.done == 0


def test_a_change_that_stops_a_run_says_why(lab):
    panel = lab()
    handle = start_long(panel)
    turn_knob(panel, alpha=1)
    assert handle.wait(60)
    assert panel.status.text.startswith("Stopped")
    assert "The settings have changed since." in panel.status.text
