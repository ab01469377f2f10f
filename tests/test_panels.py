"""The controls of the live panels: names, limits, the line of code, what is hidden, and what is written."""

import io
import json

import numpy as np
import pandas as pd
import pytest
from ipywidgets import Button, Checkbox, Dropdown
from messages import raises, review
from panel_rig import BOTH, CLASS, LONG_RUN, PAIR, TASKS, coarse, one_of, press, settle, turn_knob, until, widgets_alive
from PIL import Image

import ebll.panels
from ebll.errors import InputError
from ebll.live import LabConfig, SubmanifoldConfig
from ebll.live.knobs import read_live
from ebll.panels import ForgettingLab, SubmanifoldExplorer, WhatIf, base
from ebll.panels.widgets import Knob

MAKERS = {
    "lab": lambda line=BOTH, **more: ebll.panels.forgetting_lab(line, tasks=TASKS, **more),
    "what if": lambda line=PAIR, **more: ebll.panels.what_if(line, tasks=TASKS, speed=1e5, **more),
    "explorer": lambda line=CLASS, **more: ebll.panels.submanifold_explorer(line, tasks=TASKS, **more),
}
RUNS = ("lab", "what if")


@pytest.fixture(scope="module", autouse=True)
def live():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EBLL_STATIC", "0")
        yield


@pytest.fixture(scope="module")
def panels(live):
    made = {name: make() for name, make in MAKERS.items()}
    yield made
    for panel in made.values():
        panel.close()


def in_root(panel):
    return {id(one) for one in base._all_in(panel.root)}


def config_of(panel):
    return panel.config if isinstance(panel, SubmanifoldExplorer) else panel.session.config


def code_of(panel):
    return panel.code if isinstance(panel, SubmanifoldExplorer) else panel.widgets.code


def view_of(panel):
    return panel.view if isinstance(panel, SubmanifoldExplorer) else panel.widgets.view


@pytest.mark.parametrize("kind", MAKERS)
def test_every_control_has_its_name_and_the_sentence_of_the_settings(panels, kind):
    panel = panels[kind]
    holder = panel if kind == "explorer" else panel.widgets
    rules = type(config_of(panel)).knobs()
    for name, one in holder.knobs.items():
        assert one.tip == rules[name]["doc"]
        assert one.label.endswith(rules[name]["symbol"])
        assert name.split("_")[0] in one.label.lower()
        assert one.whole == isinstance(rules[name]["default"], int)
        assert one.grid == sorted(one.grid)
        low, high = rules[name].get("low"), rules[name].get("high")
        assert low is None or one.grid[0] >= low
        assert high is None or one.grid[-1] <= high
    for name, one in holder.choices.items():
        assert one.tooltip == rules[name]["doc"]
        assert one.description
    simple = [one for one in base._all_in(panel.root) if isinstance(one, Button | Checkbox | Dropdown)]
    assert all(one.description and one.tooltip for one in simple)
    assert all(one.label and one.tip for one in base._all_in(panel.root) if isinstance(one, Knob))


@pytest.mark.parametrize("kind", MAKERS)
def test_hidden_controls_are_left_out_and_locked_ones_cannot_be_moved(kind):
    panel = MAKERS[kind](hide=["seed", "code"], lock=["code_size", "net"])
    knobs = panel.knobs if kind == "explorer" else panel.widgets.knobs
    choices = panel.choices if kind == "explorer" else panel.widgets.choices
    assert id(knobs["seed"]) not in in_root(panel)
    assert id(code_of(panel)) not in in_root(panel)
    assert id(knobs["code_size"]) in in_root(panel)
    assert knobs["code_size"].locked
    assert choices["net"].disabled
    assert not knobs["recon_weight"].locked
    panel.close()


@pytest.mark.parametrize("panel", [ForgettingLab, WhatIf, SubmanifoldExplorer])
def test_each_name_of_a_control_can_be_hidden_and_an_unknown_one_is_refused_in_words(panel):
    line, options = (CLASS if panel is SubmanifoldExplorer else PAIR), {"tasks": TASKS}
    before = widgets_alive()
    made = panel(line, hide=panel.controls, **options)
    assert not [one for one in base._all_in(made.root) if isinstance(one, Knob | Button | Checkbox | Dropdown)]
    made.close()
    assert widgets_alive() == before
    with raises(InputError, "hide", "'alhpa'"):
        panel(line, hide=["alhpa"], **options)
    with raises(InputError, "lock", "'spead'"):
        panel(line, lock="spead", **options)


def test_a_typed_value_is_as_good_as_one_of_the_slider():
    """0.7 is not on the slider's grid; both ways lead to the same config, and the run is that of the library."""
    panel, other = MAKERS["lab"](PAIR), MAKERS["lab"](PAIR.replace("epochs", "alpha=0.7, epochs"))
    turn_knob(panel, alpha=0.7)
    settle(panel)
    assert 0.7 not in panel.widgets.knobs["alpha"].grid
    assert panel.session.config == other.session.config
    ours, theirs = (one.session.current.table() for one in (panel, other))
    pd.testing.assert_frame_equal(ours, theirs)
    pd.testing.assert_frame_equal(ebll.live.run(panel.session.config, tasks=TASKS).table(), ours)
    panel.close(), other.close()


@pytest.mark.parametrize("kind", MAKERS)
@pytest.mark.parametrize("bad", [{"code_size": 2.5}, {"code_size": 0}, {"recon_weight": -1.0}, {"seed": float("inf")},
                                 {"recon_weight": float("nan")}, {"seed": -1}])  # fmt: skip
def test_typed_values_that_may_not_be_are_refused_in_words_and_set_back(panels, kind, bad):
    panel, (name,) = panels[kind], bad
    status, before = panel.status, config_of(panel)
    turn_knob(panel, **bad)
    assert name in status.wrong
    assert config_of(panel) == before
    assert (panel.knobs if kind == "explorer" else panel.widgets.knobs)[name].value == getattr(before, name)
    assert panel.errors == []


@pytest.mark.parametrize("kind", MAKERS)
@pytest.mark.parametrize("text", ["alpha=", "1 +", "__import__('os')", "nonsense(3)", "old='nowhere'",
                                  "task='nowhere'", "seed='x'", "LabConfig(3)", "methods=()"])  # fmt: skip
def test_lines_of_code_that_cannot_be_read_are_refused_in_words_and_set_back(panels, kind, text):
    panel = panels[kind]
    before, line = config_of(panel), code_of(panel).value
    code_of(panel).value = text
    assert panel.status.wrong
    assert (config_of(panel), code_of(panel).value) == (before, line)
    assert panel.errors == []


def test_what_is_set_is_the_line_of_code_and_the_line_makes_the_same_panel():
    panel = MAKERS["lab"]()
    panel.widgets.auto.value = False
    turn_knob(panel, alpha=0.3, code_size=7, seed=2, learning_rate=0.004)
    panel.widgets.choices["net"].value = "cnn"
    panel.widgets.boxes["ewc"].value = True
    panel.widgets.choices["old"].value = "two"  # was the new one: they swap
    wanted = panel.session.config
    assert (wanted.old, wanted.new, wanted.net, wanted.alpha) == ("two", "one", "cnn", 0.3)
    assert wanted.methods == ("lwf", "ewc", "ebll")
    assert LabConfig.read(panel.widgets.code.value) == wanted
    assert "settings have changed" in panel.status.text
    other = MAKERS["lab"]()
    other.widgets.auto.value = False
    other.widgets.code.value = panel.widgets.code.value
    assert other.session.config == wanted
    values = [{name: one.value for name, one in p.widgets.knobs.items()} for p in (panel, other)]
    assert values[0] == values[1]
    assert [one.widgets.choices["new"].value for one in (panel, other)] == ["one"] * 2
    panel.close(), other.close()


def test_settings_that_were_not_run_do_not_rename_what_is_shown():
    """The picture, its text and its table stay those of the run on show."""
    panel = MAKERS["lab"]()
    panel.widgets.auto.value = False
    alt, titles = panel.scene.alt, [part["title"] for part in panel.scene.readout()]
    panel.widgets.choices["old"].value = "letters"
    panel.widgets.boxes["ebll"].value = False
    picture = panel.picture()
    assert (picture.alt, [part["title"] for part in panel.scene.readout()]) == (alt, titles)
    assert set(picture.table["old"]) == {"one"}
    assert set(picture.table["method"]) == {"lwf", "ebll"}
    panel.close()


def test_the_explorers_line_makes_the_same_explorer():
    panel = MAKERS["explorer"]()
    panel.choices["task"].value = "two"
    panel.choices["label"].value = "3"
    turn_knob(panel, code_size=5, recon_weight=0.1)
    settle(panel)
    assert SubmanifoldConfig.read(panel.code.value) == panel.config == panel.found.config
    other = MAKERS["explorer"](panel.code.value)
    assert other.config == panel.config
    assert (other.found.accuracy, other.found.missed) == (panel.found.accuracy, panel.found.missed)
    panel.choices["task"].value = "one"  # has no class 3
    assert panel.config.label == "0"
    panel.close(), other.close()


@pytest.mark.parametrize("kind", RUNS)
def test_taken_files_agree_with_the_picture_and_the_tables(kind, tmp_path):
    panel = MAKERS[kind](folder=tmp_path / "new" / "place")
    for _ in range(2):
        panel.widgets.take["figure"].click()
        panel.widgets.take["data"].click()
    folder, picture = tmp_path / "new" / "place", panel.picture()
    assert str(folder / "data-2") in panel.status.text
    for number in (1, 2):
        drawn = (folder / f"figure-{number}.png").read_bytes()
        away = np.abs(coarse(drawn) - coarse(picture._repr_png_()))
        assert (away.max() < 100) & (away.mean() < 2)
        assert (folder / f"figure-{number}.txt").read_text() == f"{picture.alt}\n"
        assert panel.scene.title in (folder / f"figure-{number}.svg").read_text()
        written = pd.read_csv(folder / f"figure-{number}.csv")
        assert list(written) == list(picture.table)
        assert np.allclose(written["feature_distance"], picture.table["feature_distance"], rtol=1e-5)
        results = pd.read_csv(folder / f"data-{number}" / "results.csv")
        assert np.allclose(results["old"], panel.session.table()["old"])
        curves = pd.read_csv(folder / f"data-{number}" / "curves.csv")
        assert len(curves) == len(panel.session.current.curves)
        told = json.loads((folder / f"data-{number}" / "config.json").read_text())
        assert LabConfig.read(told["configs"]["now"]) == panel.session.config
    panel.close()


@pytest.mark.parametrize("kind", MAKERS)
def test_a_folder_that_cannot_be_written_is_told_in_words(kind, tmp_path):
    (tmp_path / "file").write_text("")
    panel = MAKERS[kind](folder=tmp_path / "file")
    for one in [panel.take] if kind == "explorer" else panel.widgets.take.values():
        panel.tell("")
        one.click()
        review(panel.status.wrong, tmp_path / "file")
    assert panel.errors == []
    panel.close()


@pytest.mark.parametrize("kind", MAKERS)
def test_without_anybody_in_front_there_is_a_picture_and_no_widget(kind, monkeypatch):
    monkeypatch.setenv("EBLL_STATIC", "1")
    before = widgets_alive()
    panel = MAKERS[kind]()
    data, metadata = panel._repr_mimebundle_()
    assert widgets_alive() == before
    assert set(data) == {"image/png", "text/plain"}
    assert metadata["image/png"]["alt"] == data["text/plain"] == panel.picture().alt
    assert panel.root is None
    panel.close()


@pytest.mark.parametrize("kind", MAKERS)
def test_a_live_panel_shows_itself_as_a_widget_and_as_a_picture(panels, kind):
    data, metadata = panels[kind]._repr_mimebundle_()
    assert data["application/vnd.jupyter.widget-view+json"]["model_id"] == panels[kind].root.model_id
    assert metadata["image/png"]["alt"] == panels[kind].picture().alt == view_of(panels[kind]).alt
    assert Image.open(io.BytesIO(bytes(view_of(panels[kind]).picture))).format == "PNG"


def test_the_switch_for_pictures_refuses_other_words(monkeypatch):
    monkeypatch.setenv("EBLL_STATIC", "maybe")
    with raises(InputError, "EBLL_STATIC", "1", "'maybe'"):
        MAKERS["lab"]()


@pytest.mark.parametrize("kind", MAKERS)
def test_running_the_cell_again_closes_the_panel_before(kind, monkeypatch):
    monkeypatch.setattr(base, "cell_key", lambda: f"the cell of {kind}")
    first = MAKERS[kind](**({} if kind == "explorer" else {"line": LONG_RUN.replace("1000", "1")}))
    if kind == "what if":
        first.session.config = LabConfig.read(LONG_RUN)
        press(first, "run")
        until(lambda: first.session.current.measured, "the run")
    alive = widgets_alive()
    with raises(InputError):
        MAKERS[kind]("no line of code")
    with raises(InputError, "nothing of that name"):
        MAKERS[kind](hide=["nothing of that name"])
    second = MAKERS[kind]()
    assert first.closed
    assert not second.closed
    assert widgets_alive() <= alive
    if kind == "what if":
        assert first.session.worker.current.wait(60)
        assert first.session.worker.current.state == "stopped"
    settle(second)
    assert "application/vnd.jupyter.widget-view+json" not in first._repr_mimebundle_()[0]
    second.close()


def test_what_if_takes_a_line_with_method_and_changes():
    line = f'ebll.live.run_live(ebll.LabConfig({PAIR}), "lwf", changes=[(3, "distill_weight", 5.0)])'
    panel = MAKERS["what if"](line)
    assert read_live(panel.widgets.code.value) == read_live(line)
    assert panel._method.value == "lwf"
    assert [tuple(change) for change in panel.session.current.changes] == [(3, "distill_weight", 5.0)]
    assert len(one_of(panel.session.table(), method="lwf")) == 1
    panel.close()
