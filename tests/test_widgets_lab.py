"""The forgetting lab under a hand: controls, runs, buttons, changes in mid-run, what is shown and what is written."""

import html
import json
import math
import re
from threading import Thread

import numpy as np
import pandas as pd
import pytest
import torch
from ipywidgets import Button, Checkbox, Dropdown
from messages import raises, review
from widget_rig import BOTH, CLASS, LONG_RUN, LOOP, PAIR, TASKS, move, press, settle, until, wait, widgets_alive

import ebll.widgets
from ebll.errors import InputError
from ebll.plots import METHODS
from ebll.seeds import cpu_threads
from ebll.widgets import LabConfig, base
from ebll.widgets.chart import LIVE
from ebll.widgets.controls import Slider, all_in
from ebll.widgets.lab_view import HEADS

USED = Slider | Button | Checkbox | Dropdown
both = pytest.mark.parametrize(("kind", "line"), [("forgetting_lab", PAIR), ("submanifold_explorer", CLASS)])


def same_table(made, line):
    pd.testing.assert_frame_equal(made.table(), ebll.widgets.run(line, tasks=TASKS).table())


def held(widget):
    until(lambda: widget.held, "the step")


# Controls and the line of code


@both
def test_every_control_has_a_name_and_the_sentence_of_its_setting(build, kind, line):
    widget = build(kind, line)
    rules = widget.config.metadata()
    for name, one in widget.sliders.items():
        assert (one.tip, one.whole) == (rules[name]["doc"], isinstance(rules[name]["default"], int))
        assert one.label.endswith(rules[name]["symbol"])
        assert name.split("_")[0] in one.label.lower().replace("-", "")
        assert one.grid == sorted(one.grid)
        assert rules[name]["low"] <= one.grid[0] < one.grid[-1] <= rules[name]["high"]
    assert all(one.tooltip == rules[name]["doc"] for name, one in widget.choices.items())
    for one in all_in(widget.root):
        if isinstance(one, USED):
            assert one.label and one.tip if isinstance(one, Slider) else one.description and one.tooltip


@both
def test_a_move_that_comes_on_another_thread_outlives_a_run_that_ends_before_it_is_acted_on(build, kind, line):
    widget = build(kind, line)
    move(widget, code_size=6)
    until(lambda: widget.running, "the run")
    for value in (5, 3, -3):
        thread = Thread(target=move, args=[widget], kwargs={"code_size": value})
        thread.start()
        thread.join()
    widget._on_end()
    assert (widget.sliders["code_size"].value, widget.config.code_size) == (-3, 6), "neither is set back"
    wait()
    settle(widget)
    assert (widget.sliders["code_size"].value, widget.config.code_size) == (3, 3), "what may not be is refused"


@both
def test_hidden_controls_are_left_out_and_locked_ones_cannot_be_used(build, kind, line):
    def parts(**options):
        widget = build(kind, line, **options)
        found = [one for one in all_in(widget.root) if isinstance(one, USED)]
        usable = [one for one in found if not (one.locked if isinstance(one, Slider) else one.disabled)]
        widget.close()
        return len(found), len(usable)

    whole = parts()[0]
    before, controls = widgets_alive(), getattr(ebll.widgets, kind).controls
    assert parts(hide=controls) == (0, 0)
    assert parts(lock=controls) == (whole, 0)
    assert parts(hide=["seed"], lock="net")[0] == whole - 1
    assert widgets_alive() == before


REFUSED = {
    "forgetting_lab": [
        *(("code_size", 2.5), ("recon_weight", math.nan), ("seed", math.inf), ("alpha", -1.0), ("code", "alpha=")),
        *(("code", "__import__('os')"), ("code", "old='nowhere'"), ("code", "  ")),
    ],
    "submanifold_explorer": [
        *(("code_size", 0.0), ("code", ""), ("code", "task='nowhere'"), ("code", 'task="one", label="nope"')),
    ],
}


@both
def test_what_may_not_be_is_refused_and_set_back(build, kind, line):
    widget = build(kind, line)
    config, code = widget.config, widget.code.value
    for name, value in REFUSED[kind]:
        before = widget.parts[name].value
        widget.parts[name].value = value
        assert name in widget.status.wrong or (name == "code" and widget.status.wrong)
        assert (widget.config, widget.parts[name].value, widget.errors) == (config, before, [])
        widget.code.value = f" {code}"
        assert (widget.status.wrong, widget.code.value) == ("", code)


def test_what_is_set_is_the_line_of_code_and_the_line_makes_the_same_widget(lab):
    widget = lab(BOTH, mode="wait")
    before = widget.drawing()
    move(widget, alpha=0.3, code_size=7, seed=2, learning_rate=0.004)
    widget.choices["net"].value = "cnn"
    widget.boxes["ewc"].value = True
    widget.choices["old"].value = "two"  # was the new one: they swap
    wanted = widget.config
    assert (wanted.old, wanted.new, wanted.net, wanted.alpha) == ("two", "one", "cnn", 0.3)
    assert wanted.methods == ("lwf", "ewc", "ebll")
    assert LabConfig.read(widget.code.value) == wanted
    assert "Press Run" in widget.status.text
    after = widget.drawing()  # what was not run does not rename what is shown
    assert (after.alt, after.heading, after.settings["old_task"]) == (before.alt, before.heading, "one")
    other = lab(mode="wait")
    other.code.value = widget.code.value
    assert other.config == wanted
    assert {n: one.value for n, one in other.sliders.items()} == {n: getattr(wanted, n) for n in other.sliders}
    assert other.choices["new"].value == "one"


def test_a_locked_setting_cannot_be_changed_by_a_line_of_code_nor_a_task_be_swapped(lab):
    widget = lab(lock=["seed", "methods", "alpha", "new"])
    before = widget.code.value
    for name, text in {
        "seed": f"{PAIR}, seed=3",
        "methods": PAIR.replace('"ebll"', '"lwf"'),
        "alpha": f"run({PAIR}, changes=[(2, 'alpha', 0.0)])",
    }.items():
        widget.code.value = text
        assert f"{name} is locked" in widget.status.wrong
    widget.choices["old"].value = "two"
    assert "new is locked" in widget.status.wrong
    assert (widget.code.value, widget.choices["old"].value) == (before, "one")


@pytest.mark.parametrize(
    ("given", "named"),
    [({"tasks": 5}, ["tasks", "ebll.Task", "got int"]), ({"tasks": [*TASKS, TASKS[0]]}, ["'one'"]),
     ({"hide": 5}, ["hide", 5]), ({"hide": ["alhpa"]}, ["hide", "'alhpa'"]), ({"lock": None}, ["lock", "None"]),
     ({"folder": None}, ["folder", "None"]), ({"changes": 5}, ["changes", 5]), ({"mode": "slow"}, ["mode", "'slow'"]),
     ({"speed": -1}, ["speed", -1]), ({"old": "ones"}, ["'ones'"])],
)  # fmt: skip
def test_arguments_of_the_wrong_kind_are_refused_and_leave_nothing(build, given, named):
    build("forgetting_lab", PAIR).close()
    before = widgets_alive()
    with raises(InputError, *named):
        build("forgetting_lab", PAIR, **given)
    assert widgets_alive() == before


# Runs


def test_a_run_gives_the_event_loop_a_turn_after_each_step_and_its_threads_back(lab, monkeypatch):
    widget, steps, closed = lab(), [], []

    def training(*_, **__):
        try:
            while True:
                steps.append(torch.get_num_threads())
                yield True
        finally:
            closed.append(len(steps))

    monkeypatch.setattr("ebll.widgets.forgetting.training", training)
    with cpu_threads(3):
        press(widget, "run")
        while (before := len(steps)) < 20:
            wait(1)
            assert len(steps) <= before + 1
            assert torch.get_num_threads() == 3
        press(widget, "pause")
        wait(30)
        before = len(steps)
        wait(30)
        assert (len(steps), widget.held, closed) == (before, True, [])
        press(widget, "stop")
        wait(5)
    assert (closed, widget.state, set(steps)) == ([before], "stopped", {widget.config.train.threads})
    press(widget, "run")
    widget.halt()  # before it has begun; nothing is told of its end
    wait(5)
    assert (len(steps), widget.state, widget.status.text) == (before, "stopped", "Training.")


def test_a_run_is_begun_stepped_let_go_and_stopped(lab):
    widget = lab(mode="wait")
    pause = widget.buttons["pause"]
    for name in ("pause", "stop"):
        press(widget, name)
        assert "Nothing is running" in widget.status.wrong
    widget.code.value = LONG_RUN
    for count in (1, 3):  # three at once are three that hold it
        press(widget, *["step"] * count)
        held(widget)
        rows = widget.made.recorders["ebll"].curve_rows
        assert widget.status.text == f"Held at step {rows[-1]['step']} of 4000."
    assert ([row["step"] for row in rows], pause.description) == ([0, 1, 2, 3], "Resume")
    press(widget, "pin")
    assert "The run is still on" in widget.status.wrong
    press(widget, "pause")
    assert (pause.description, widget.pinned) == ("Pause", {})
    until(lambda: len(rows) > 5, "the run")
    press(widget, "stop")
    settle(widget)
    assert (widget.state, pause.description) == ("stopped", "Pause")
    assert widget.status.text.startswith("Stopped after")
    assert 0 < widget.status.done < 1
    assert widget.chart.drawing.data["curves"].query("run == ''")["step"].iloc[-1] == rows[-1]["step"]
    assert widget.table().query("run == 'now'")["old"].isna().all()


def test_each_run_is_that_of_its_line_whatever_was_run_before_and_the_chart_has_it(lab):
    widget = lab(BOTH)
    usual = widget.made.measured
    for value in (100, 0.7):  # of the slider, and typed
        move(widget, alpha=value)
        settle(widget)
    assert 0.7 not in widget.sliders["alpha"].grid
    expected = ebll.widgets.run(f"{BOTH}, alpha=0.7", tasks=TASKS)
    pd.testing.assert_frame_equal(widget.made.table(), expected.table())
    shown = widget.chart.drawing.data["curves"]
    columns = ["method", "step", "feature_distance", "accuracy", "accuracy_new", "loss_task"]
    now = shown.query("run == ''").reset_index(drop=True)
    pd.testing.assert_frame_equal(now[columns], expected.curves[columns], check_exact=True)
    assert set(shown["run"]) == {"", "before"}
    assert ("alpha 0.7" in widget.chart.alt, widget.status.done) == (True, 1)
    for _ in range(3):
        press(widget, "step")
        held(widget)
    press(widget, "step", "pause")  # let go before the step was reached: from then on it measures as always
    settle(widget)
    stepped = widget.made
    assert stepped.measured < usual + 10
    move(widget, alpha=7)  # the LwF of a run that was stepped is not taken again
    settle(widget)
    pd.testing.assert_frame_equal(widget.made.curves, ebll.widgets.run(widget.code.value, tasks=TASKS).curves)
    same_table(stepped, stepped.config)


def test_a_hundred_moves_are_one_run_at_a_time_and_leave_nothing_behind(lab):
    widget, runs = lab(), []
    widgets = widgets_alive()
    for number in range(100):
        move(widget, alpha=1 + number / 100)
        runs.append(widget.task)
        wait(number % 4)
        assert sum(not one.done() and not one.cancelling() for one in runs) <= 1
    settle(widget)
    assert all(one.cancelled() for one in runs[:-1])
    assert widget.made.config.alpha == widget.sliders["alpha"].value == 1.99
    same_table(widget.made, widget.config)
    assert widgets_alive() == widgets


def test_pinned_runs_are_kept_shown_and_in_the_table_with_the_numbers_of_the_runs(lab):
    widget = lab(BOTH)
    press(widget, "pin", "pin")
    assert "pinned already" in widget.status.wrong
    for alpha in (50, 7):
        move(widget, alpha=alpha)
        settle(widget)
        press(widget, *["pin"] * (alpha == 50))
    assert set(widget.chart.drawing.data["curves"]["run"]) == {"", "A", "B"}
    rows = re.findall(r"<tr.*?</tr>", widget.results.value, re.S)
    head, *rest = ([cell.strip() for cell in re.findall(r"<t[dh][^>]*>(.*?)</t", row, re.S)] for row in rows)
    rows, table = pd.DataFrame(rest, columns=head), widget.table()
    assert rows["run"].tolist() == table["run"].tolist() == ["A", "A", "B", "B", "now", "now"]
    assert rows["method"].tolist() == [METHODS[name].label for name in table["method"]]
    for name in ("before", "old", "new", "forgetting", "distance"):
        assert rows[HEADS[name]].astype(float).tolist() == pytest.approx(table[name].tolist(), abs=0.051)
    assert ["alpha 50" in text for text in rows["set differently"]] == [name == "B" for name in rows["run"]]
    widget.pinned.update(dict.fromkeys("CDEFGHIJKLMNOPQRSTUVWXYZ", widget.pinned["A"]))
    press(widget, "pin")
    assert list(widget.pinned)[-1] == "A2"
    press(widget, "reset")
    settle(widget)
    assert (widget.pinned, widget.table()["run"].tolist()) == ({}, ["now", "now"])


def test_running_the_cell_again_closes_the_widget_before_and_later_messages_do_no_harm(lab, monkeypatch):
    monkeypatch.setattr(base, "cell_key", lambda: "the cell")
    first = lab(mode="wait")
    first.code.value = LONG_RUN
    press(first, "run")
    task, second = first.task, lab()
    first.tell("late")
    first._draw()
    wait()
    assert (first.closed, second.closed, task.cancelled(), first.errors) == (True, False, True, [])
    assert "application/vnd.jupyter.widget-view+json" not in first._repr_mimebundle_()[0]


def test_extreme_values_end_in_a_picture_and_a_sentence(lab):
    widget = lab()
    for settings, told in [
        ({"alpha": 1e4, "temperature": 0.05}, ""),
        ({"learning_rate": 10}, "EBLL"),
        ({"code_size": 300}, "EBLL was left out"),
        ({"ewc_strength": 1e9, "methods": "ewc", "learning_rate": 10}, "EWC diverged: the loss"),
    ]:
        widget.code.value = LabConfig.read(PAIR, **settings).line()
        settle(widget)
        assert (widget.state, told in widget.status.wrong) == ("done", True)
        assert widget.drawing().png()[:4] == b"\x89PNG"
        assert widget.drawing().alt.endswith(".")


def test_a_long_first_run_waits_for_run_unless_there_is_no_such_button(lab, monkeypatch):
    monkeypatch.setattr("ebll.widgets.forgetting.PATIENCE", 7)
    widget = lab(mode="wait")
    assert widget.made.measured == 0
    assert "8 steps a method: press Run" in widget.status.text
    for button in (widget.buttons["pin"], *widget.take):
        button.click()
        assert "press Run" in widget.status.wrong
    move(widget, alpha=5)
    assert widget.state == "none"
    for without in (lab(hide=["buttons"]), lab(lock=["buttons"], mode="wait")):
        assert without.made.runs
        move(without, alpha=5)
        settle(without)
        assert without.made.config.alpha == 5


def test_a_moved_control_starts_a_run_at_once_however_long_it_is_and_a_newer_move_replaces_it(lab):
    widget = lab(LONG_RUN)
    assert (widget.state, widget.made.measured) == ("none", 0), "only the first picture waits"
    moves = [
        lambda: move(widget, alpha=5),
        lambda: move(widget, alpha=7),
        lambda: setattr(widget.boxes["lwf"], "value", True),
        lambda: setattr(widget.choices["old"], "value", "two"),
        lambda: setattr(widget.code, "value", f"{LONG_RUN}, alpha=9"),
    ]
    before = None
    for act in moves:
        act()
        assert (widget.running, widget.made.config) == (True, widget.config)
        wait()
        assert before is None or before.cancelled()
        before = widget.task
    assert widget.config.alpha == 9
    press(widget, "stop")


def test_faults_and_failures_are_told_and_kept_and_leave_a_widget_that_works(lab, monkeypatch):
    def fail(*_, **__):
        yield
        raise error

    widget = lab()
    with monkeypatch.context() as patch:
        patch.setattr("ebll.widgets.lab_view.lab_drawing", lambda *_, **__: 1 / 0)
        patch.setattr(widget, "_press_pin", lambda: 1 / 0)
        move(widget, alpha=7)
        LOOP.run_until_complete(widget.finished())
        assert ("ZeroDivisionError" in widget.status.wrong, widget.state) == (True, "done")
        seen = len(widget.errors)
        press(widget, "pin")
        assert [type(error) for error in widget.errors] == [ZeroDivisionError] * (seen + 1)
    widget.errors.clear()
    with monkeypatch.context() as patch:
        patch.setattr("ebll.widgets.forgetting.training", fail)
        for error, kind in ((ZeroDivisionError("no"), "ZeroDivisionError: "), (InputError("It takes images."), "")):
            press(widget, "run")
            with pytest.raises(type(error)):
                LOOP.run_until_complete(widget.finished())
            assert (widget.state, widget.status.wrong) == ("failed", f"The run failed: {kind}{error}")
    press(widget, "run")
    settle(widget)
    assert (widget.state, widget.status.wrong) == ("done", "")


# Changes in mid-run


def test_a_weight_acts_in_mid_run_what_cannot_is_set_for_the_next_and_the_line_makes_the_run_again(lab):
    widget = lab(BOTH, mode="mid-run", speed=1e6)
    for change in ({}, {"alpha": 0.0}, {"distill_weight": 0.5}, {"code_size": 5.0}):
        move(widget, **change)
        before = widget.status.text
        press(widget, "step")
        held(widget)
        assert ("next step" in before) == bool({"alpha", "distill_weight"} & change.keys())
    assert "code size: this cannot change in mid-run" in widget.status.text, "it stays while the run goes on"
    made, task = widget.made, widget.task
    for number in range(100):  # between two steps they are one
        move(widget, alpha=1 + number)
    move(widget, alpha=-1)
    assert "alpha" in widget.status.wrong
    press(widget, "pause")
    settle(widget)
    assert (widget.made, widget.task) == (made, task)
    assert [change[1:] for change in made.changes] == [("alpha", 0.0), ("distill_weight", 0.5), ("alpha", 100.0)]
    assert widget.chart.drawing.data["changes"]["text"].tolist() == ["alpha 0", "distill weight 0.5", "alpha 100"]
    for change in made.changes:
        assert f"{change.name.replace('_', ' ')} is {change.value:g} from step {change.step}" in widget.chart.alt
    line = widget.code.value
    assert LabConfig.read(line) == made.config.replace(changes=made.changes)
    same_table(made, line)
    press(widget, "run")
    settle(widget)
    assert widget.made.config.code_size == 5 != made.config.code_size
    widget.code.value = line
    settle(widget)
    assert widget.made is not made
    pd.testing.assert_frame_equal(widget.made.table(), made.table())
    assert widget.code.value == line
    late = lab(f"run({PAIR}, changes=[(1000, 'alpha', 1.0)])", mode="mid-run", speed=1e6)
    assert "step 1000" in late.status.wrong


def test_mode_and_speed_belong_together_and_reset_brings_both_back(lab):
    widget = lab()
    widget.mode_list.value = "mid-run"
    assert (widget.mode, widget.speed) == ("mid-run", 30.0)
    widget.pace.value = 77.0
    widget.pace.value = -3.0
    assert (widget.pace.value, widget.speed) == (77.0, 77.0)
    assert "speed" in widget.status.wrong
    widget.pace.value = 0.5
    press(widget, "run")
    until(lambda: widget.made.measured, "the first measurement")
    wait(50)
    assert widget.made.step <= 1
    press(widget, "reset")
    settle(widget)
    assert (widget.mode_list.value, widget.pace.value) == ("run", 1000.0)


# What is shown and written


def test_taken_files_agree_with_the_picture_and_the_tables(lab, tmp_path):
    folder = tmp_path / "new" / "place"
    widget = lab(BOTH, folder=folder)
    for one in 2 * widget.take:
        one.click()
    drawing = widget.drawing()
    for number in (1, 2):
        figure, data = folder / f"figure-{number}", folder / f"data-{number}"
        assert figure.with_suffix(".png").read_bytes() == drawing.png()
        assert figure.with_suffix(".txt").read_text() == f"{drawing.alt}\n"
        written, results = pd.read_csv(figure.with_suffix(".csv")), pd.read_csv(data / "results.csv")
        assert np.allclose(written["feature_distance"], drawing.data["curves"]["feature_distance"], rtol=1e-5)
        assert np.allclose(results["old"], widget.table()["old"])
        assert len(pd.read_csv(data / "curves.csv")) == len(widget.made.curves)
        about = json.loads((data / "config.json").read_text())
        assert LabConfig.read(about["configs"]["now"]) == widget.config


def test_the_landscape_stands_below_its_run_is_taken_with_the_figure_and_goes_with_the_next_run(lab, tmp_path):
    made = lab(BOTH, folder=tmp_path)
    settle(made)
    press(made, "landscape")
    _, paths, _ = made.made.landscape("ebll")
    pd.testing.assert_frame_equal(made.landscape.table, paths)
    assert f'alt="{made.landscape.alt}"' in made.scene.value
    assert "EBLL" in made.status.text
    made.take[0].click()
    assert (tmp_path / "landscape-1.csv").exists()
    made.terms.value = "lwf"
    assert made.scene.value == "", "a landscape belongs to the method in detail"
    press(made, "landscape", "run", "landscape")
    review(made.status.wrong)
    assert made.landscape is None
    settle(made)


def test_a_folder_that_cannot_be_written_is_told_and_a_home_folder_is_meant_by_its_sign(lab, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    for folder, named in ((tmp_path / "file", tmp_path / "file"), ("x" * 5000, "x" * 80)):
        widget = lab(folder=folder)
        for one in widget.take:
            widget.complain("")
            one.click()
            review(widget.status.wrong, named)
        assert widget.errors == []
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert lab(folder="~/here").folder == tmp_path / "here"


@both
def test_a_live_widget_is_a_widget_and_a_picture_a_static_one_a_picture_alone(build, monkeypatch, kind, line):
    line = line if kind != "forgetting_lab" else f"{line}, changes=[(3, 'alpha', 0.0)]"
    widget = build(kind, line)
    data, _ = widget._repr_mimebundle_()
    assert data["application/vnd.jupyter.widget-view+json"]["model_id"] == widget.root.model_id
    assert f'alt="{html.escape(widget.chart.alt)}"' in data["text/html"]
    monkeypatch.setenv("EBLL_STATIC", "1")
    before = widgets_alive()
    static = build(kind, line)
    data, _ = static._repr_mimebundle_()
    assert (widgets_alive(), static.root) == (before, None)
    assert set(data) - {LIVE} == {"text/html", "text/plain"}
    assert data["text/plain"] == widget.chart.alt
    assert f'alt="{html.escape(widget.chart.alt)}"' in data["text/html"]
    assert ("alpha is 0 from step 3" in data["text/plain"]) == ("changes" in line)
    with raises(InputError, "code_size", 300):
        build("submanifold_explorer", CLASS.replace("8", "300"))
    monkeypatch.setenv("EBLL_STATIC", "maybe")
    with raises(InputError, "EBLL_STATIC", "1", "'maybe'"):
        build(kind, line)
