"""The submanifold explorer under a hand: what a moved slider shows, what is refused, and what is told."""

import numpy as np
import pytest
from messages import raises
from widget_rig import LOOP, TASKS, move, press, settle, until, wait, widgets_alive

import ebll.widgets
from ebll.errors import InputError
from ebll.widgets import SubmanifoldConfig


def test_moving_the_code_size_changes_points_numbers_and_words(explorer):
    widget = explorer()
    first = widget.found
    move(widget, code_size=2)
    settle(widget)
    found = widget.found
    assert found.config.code_size == 2
    assert not np.allclose(found.points["x_back"], first.points["x_back"])
    assert np.array_equal(found.points["x"], first.points["x"])
    assert found.missed["pca"] > first.missed["pca"]
    for share in (*found.accuracy.values(), *found.missed.values()):
        assert f"{100 * share:.1f} %" in widget.chart.alt
        assert f"{100 * share:.1f} %" in widget.status.text
    assert "code of 2," in widget.chart.alt
    assert widget.status.done == 1
    alone = ebll.widgets.explore(widget.config, tasks=TASKS)
    assert (alone.accuracy, alone.missed) == (found.accuracy, found.missed)
    shares = widget.chart.drawing.data["shares"]
    last = shares[shares["epoch"] == found.epoch].set_index("name")
    assert last["accuracy"].to_dict() == found.accuracy
    assert shares["epoch"].nunique() == found.epochs + 1, "the scrubber goes through the whole fit"


def test_the_line_of_code_makes_the_same_explorer_and_a_class_that_is_not_named_is_the_first(explorer):
    widget = explorer()
    widget.choices["task"].value = "two"
    widget.choices["label"].value = "3"
    move(widget, code_size=5, recon_weight=0.1)
    settle(widget)
    assert SubmanifoldConfig.read(widget.code.value) == widget.config == widget.found.config
    other = explorer(widget.code.value)
    assert (other.config, other.found.accuracy) == (widget.config, widget.found.accuracy)
    widget.choices["task"].value = "one"  # has no class 3
    assert widget.config.label == "0"
    assert explorer('task="two", code_size=8').config.label == "0"
    with raises(InputError, "'A'"):
        explorer('task="two", label="A", code_size=8')


def test_a_fit_that_cannot_be_or_fails_is_told_and_brings_controls_and_picture_back(explorer, monkeypatch):
    widget = explorer()
    whole, before = widget.found, widget.drawing().alt
    move(widget, code_size=4)
    until(lambda: widget.found.config.code_size == 4 and widget.found.epoch == 2, "the fit")
    for error, words in ((InputError, "code_size must be"), (ZeroDivisionError, "ZeroDivisionError")):
        move(widget, code_size=100_000)  # also where a fit was stopped for it
        with pytest.raises(error):
            LOOP.run_until_complete(widget.finished())
        assert words in widget.status.wrong
        assert (widget.found, widget.config, widget.errors) == (whole, whole.config, [])
        assert widget.sliders["code_size"].value == 8
        assert widget.drawing().alt == widget.chart.alt == before
        monkeypatch.setattr("ebll.widgets.explorer.exploring", lambda *_: 1 / 0)


def test_an_explorer_that_is_moved_fast_shows_the_last_setting_and_leaves_nothing(explorer):
    widget = explorer()
    widgets = widgets_alive()
    for number in range(20):
        move(widget, recon_weight=[0.1, 1, 0.3][number % 3])
        wait(number % 4)
    settle(widget)
    assert (widget.found.config, widget.found.epoch) == (widget.config, widget.found.epochs)
    assert widget.status.wrong == ""
    press(widget, "reset")
    settle(widget)
    assert (widget.config.recon_weight, widget.found.config.recon_weight) == (0.01, 0.01)
    assert widgets_alive() == widgets
    move(widget, code_size=6)
    wait()
    widget.close()
    wait()
    assert (widget.state, widget.errors) == ("stopped", [])
