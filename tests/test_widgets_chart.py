"""The interactive charts without a browser: specifications, data sets, texts, and the static twin."""

import base64
import dataclasses
import gzip
import json
import re
import xml.etree.ElementTree as ElementTree
from io import BytesIO

import altair
import nbformat
import numpy as np
import pandas as pd
import pytest
import vl_convert
from exported import exported_images
from PIL import Image

from ebll.errors import InputError, OutputError
from ebll.recording import Recorder
from ebll.widgets import (
    Change,
    Chart,
    Drawing,
    Explored,
    LabConfig,
    LabRun,
    SubmanifoldConfig,
    explored_drawing,
    lab_drawing,
)  # fmt: skip
from ebll.widgets.chart import LIVE, packed, spec_of
from ebll.widgets.charts import CHARTS, compiled
from ebll.widgets.lab_view import answers_of
from tests.messages import raises

STEPS = [0, 10, 20]


def curves(*methods, **more):
    parts = [
        pd.DataFrame({"method": method, "step": STEPS, "feature_distance": [0.0, i + 1, 2 * i + 2],
                      "accuracy": 0.8 - 0.1 * i, "accuracy_new": [0.1, 0.35, 0.6], "loss_task": [2.0, 1.5, 1.0],
                      "loss_code": 0.0 if method == "ebll" else np.nan})
        for i, method in enumerate(methods or ("finetune", "lwf", "ebll"))
    ]  # fmt: skip
    return pd.concat(parts, ignore_index=True).assign(**more)


def made_of(rows, predictions=(), old="letters", new="mnist", **more):
    """A lab run that has these rows."""
    made = LabRun(LabConfig(old=old, new=new, methods=tuple(rows["method"].unique()) or "lwf"), **more)
    for method, own in rows.groupby("method", sort=False):
        recorder = made.recorders[method] = Recorder(curve_rows=own.drop(columns="method").to_dict("records"))
        recorder.prediction_rows += predictions
    return made


def lab(rows=None, *, terms_of="", beside=None, **more):
    made = made_of(curves() if rows is None else rows, **more)
    return lab_drawing(made, terms_of, {name: made_of(one) for name, one in (beside or {}).items()})


@pytest.fixture(scope="module")
def drawing():
    made = lab(terms_of="ebll", changes=[Change(10, "alpha", 0.0)], diverged={"lwf"})
    return dataclasses.replace(made, alt="Two tasks & three methods.", caption="One run a method.")


@pytest.mark.parametrize("name", CHARTS)
def test_the_specification_keeps_to_the_grammar_of_vega_lite_and_its_file_is_compiled_from_it(name):
    kept, now = spec_of(name), compiled(CHARTS[name]())  # which Altair checks against the schema
    assert "http" not in json.dumps(kept), "nothing is to be fetched"
    if kept["usermeta"]["made_by"] == [altair.__version__, vl_convert.__version__]:  # others may word a chart otherwise
        assert kept == json.loads(json.dumps(now)), "run python -m ebll.widgets.charts"


def test_the_data_that_come_in_are_those_of_the_chart_in_a_file_and_on_a_page(drawing):
    spec, given = drawing._filled(), curves()
    data = {one["name"]: one.get("values") for one in spec["data"]}
    rows = data["curves"]
    for column in ("method", "step", "feature_distance", "accuracy"):
        assert [row[column] for row in rows] == given[column].tolist()
    assert [row["loss_code"] for row in rows] == [None] * 6 + [0.0] * 3
    assert [(row["method"], row["step"]) for row in rows if row["diverged"]] == [("lwf", 20)]
    values = {one["name"]: one.get("value") for one in spec["signals"]}
    assert (values["at"], values["held"], values["terms_label"]) == (20, False, "EBLL")
    assert values["terms"] == ["loss_task", "loss_code"]
    assert data["changes"] == [{"step": 10, "text": "alpha 0"}]
    sent = Chart(drawing).tables["curves"]["columns"]
    names = [sent["method"]["words"][i] for i in np.frombuffer(sent["method"]["codes"], np.int16)]
    assert names == given["method"].tolist()
    table = packed(pd.DataFrame({"a": [1.0, np.nan, np.inf], "b": ["x", None, "y"], "c": [True, False, True]}))
    for name, key, kind, values in (
        ("a", "numbers", np.float32, [1.0, np.nan, np.inf]),
        ("b", "codes", np.int16, [0, -1, 1]),
        ("c", "numbers", np.float32, [1, 0, 1]),
    ):
        assert np.array_equal(np.frombuffer(table["columns"][name][key], kind), values, equal_nan=kind == np.float32)


def test_answers_are_told_when_they_change_and_images_of_a_class_stand_together():
    """Seven images of a, one of b: a has two columns of at most five."""
    answers = {0: "abbaaaaa", 3: "abaaaaab", 6: "aabaaaab"}
    rows = [{"step": at, "label": list("aabaaaaa"), "predicted": list(said)} for at, said in answers.items()]
    found = answers_of(Recorder(prediction_rows=rows))
    first, later = found[:8], found[8:]
    assert first["column"].tolist() == ["a 0", "a 0", "b 0", "a 0", "a 0", "a 0", "a 1", "a 1"]
    assert first["row"].tolist() == [0, 1, 0, 2, 3, 4, 0, 1]
    assert first["state"].tolist() == ["right", "wrong", *6 * ["right"]]
    assert later.to_numpy().tolist() == [
        [3, "b 0", 0, "b", "a", "lost"], [3, "a 1", 1, "a", "b", "lost"],
        [6, "a 0", 1, "a", "a", "right"], [6, "b 0", 0, "b", "b", "right"],
    ]  # fmt: skip
    drawn = lab(curves().replace({"step": {10: 3, 20: 6}}), predictions=rows, terms_of="lwf")
    shown = {}
    for drawn.moment in (0.0, 3.0, None):
        root = ElementTree.fromstring(drawn.svg())
        group = next(one for one in root.iter() if "answers_layer_1_marks" in one.get("class", ""))
        shown[drawn.moment] = [text for one in group if (text := "".join(one.itertext()))]
    assert shown == {0.0: ["b"], 3.0: ["b", "a", "b"], None: ["b"]}
    assert answers_of(None).empty
    assert answers_of(Recorder()).empty


def test_axes_are_those_of_the_run_on_show_not_of_one_that_ran_away():
    made = lab(beside={"before": curves("lwf", feature_distance=1e9)})
    assert made.settings["top"] == 10.0
    assert set(made.data["curves"]["run"]) == {"", "before"}
    settings = lab(curves(feature_distance=[np.inf] + 8 * [3.0]), steps=50).settings
    assert (settings["top"], settings["steps"]) == (4.0, 50)
    assert Image.open(BytesIO(lab(curves().iloc[:0]).png())).width > 500, "without rows it is empty but there"


def test_accuracies_are_zoomed_to_whole_tens_around_all_that_is_drawn():
    rows = curves("lwf", accuracy=[0.85, 0.72, 0.651], accuracy_new=[np.nan, 0.99, 0.3])
    settings = lab(rows).settings
    assert (settings["old_range"], settings["new_range"]) == ([60.0, 90.0], [20.0, 100.0])
    beside = {"before": curves("lwf", accuracy=0.649, accuracy_new=0.04)}
    settings = lab(rows, beside=beside).settings
    assert (settings["old_range"], settings["new_range"]) == ([50.0, 90.0], [0.0, 100.0])
    assert lab(rows.iloc[:0]).settings["old_range"] == [0.0, 100.0]


def test_tasks_may_have_any_name():
    drawn = lab(old="it's", new='a "b" \\ c').svg()
    assert "on it's (full) and a &quot;b&quot; \\ c (pale)" in drawn.replace('"b"', "&quot;b&quot;")
    drawn = lab(old="long " * 40, new="n" * 200).svg()
    assert f"accuracy on {'n' * 29}…" in drawn
    assert "n" * 30 not in drawn


def test_what_a_chart_does_not_have_is_refused():
    with raises(InputError, "curvs"):
        Drawing(spec_of("lab"), {"curvs": curves()})
    with raises(InputError, "terms_off"):
        Drawing(spec_of("lab"), {}, {"terms_off": "ebll"})


def test_the_static_twin_shows_the_chosen_moment_and_carries_its_text(drawing, tmp_path):
    chart = Chart(drawing)
    chart.moment = 10.0
    moved = chart.drawing.png(scale=1)
    assert "at step 10" in chart.drawing.svg()
    files = drawing.save(tmp_path / "new" / "lab")
    names = ["lab-answers.csv", "lab-changes.csv", "lab.csv", "lab.png", "lab.svg", "lab.txt"]
    assert sorted(path.name for path in files.values()) == names
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == names
    assert files["txt"].read_text(encoding="utf-8") == f"{drawing.alt}\n"
    assert pd.read_csv(files["csv"])["feature_distance"].tolist() == curves()["feature_distance"].tolist()
    picture = Image.open(files["png"])
    assert picture.info["Description"] == drawing.alt
    assert len(picture.resize((200, 200)).getcolors(40_000)) > 50
    assert drawing.png(scale=1) != moved
    root = ElementTree.fromstring(files["svg"].read_text(encoding="utf-8"))
    assert root.get("aria-label") == drawing.alt
    words = " ".join("".join(one.itertext()) for one in root.iter("{http://www.w3.org/2000/svg}text"))
    drawn = ("letters → mnist", "One run a method.", "feature distance of letters", "loss terms of EBLL", "alpha 0")
    assert all(text in words for text in drawn)
    assert re.search(r"60\.0 letters.*60\.0 mnist", words)
    (tmp_path / "file").write_text("")
    with raises(OutputError, "file"):
        drawing.save(tmp_path / "file" / "lab")


def test_the_chart_of_the_submanifold_shows_an_epoch():
    rng = np.random.default_rng(0)
    history = [
        Explored(
            SubmanifoldConfig(code_size=3), epoch, epochs=2, extent=(-1.0, 1.0, -2.0, 2.0),
            points=pd.DataFrame(rng.normal(size=(5, 4)), columns=["x", "y", "x_back", "y_back"]),
            others=rng.normal(size=(7, 2)), accuracy={"direct": 0.9, "autoencoder": 0.3 * epoch, "pca": 0.8},
            missed={"autoencoder": 0.4, "pca": 0.2}, holds=[0.1, 0.01, 0.0], field=rng.random((4, 4)),
        )
        for epoch in range(3)
    ]  # fmt: skip
    plane = explored_drawing(history)
    assert "60.0" in plane.svg()
    plane.moment = 1.0
    assert "30.0" in plane.svg()
    assert len(plane.data["field"]) == 3 * 16
    cells = plane.data["field"].query("epoch == 2")
    assert (cells["x"].min(), cells["y"].max()) == (-1, 2)
    assert cells["e4"].tolist() == history[2].field.ravel().tolist()


def test_a_chart_is_a_widget_and_a_picture_and_vega_is_sent_once_for_all(drawing):
    chart, other = Chart(drawing), Chart(lab())
    data, _ = chart._repr_mimebundle_()
    assert data["text/plain"] == drawing.alt
    assert exported_images(nbformat.v4.new_output("display_data", data)) == [(drawing.alt, drawing.png())]
    assert "application/vnd.jupyter.widget-view+json" in data
    assert chart.runtime is other.runtime
    assert len(chart.runtime.code) < 400_000
    state = {name: value for name, value in chart.get_state().items() if name != "runtime"}
    assert len(json.dumps(state, default=repr)) < 150_000
    chart.runtime.close()
    assert Chart(drawing).runtime is not chart.runtime


def test_beside_its_picture_a_chart_keeps_what_it_shows_to_five_digits(drawing):
    data, _ = dataclasses.replace(drawing, moment=10.0)._repr_mimebundle_()
    kept = json.loads(gzip.decompress(base64.b64decode(data[LIVE]["content"])))
    assert data[LIVE]["chart"] in CHARTS
    assert [kept[name] for name in ("alt", "heading", "moment")] == [drawing.alt, drawing.heading, 10.0]
    assert kept["settings"] == drawing.settings
    assert set(kept["tables"]) == set(drawing.data)
    for name, table in drawing.data.items():
        assert kept["tables"][name]["count"] == len(table)
        again = pd.DataFrame(kept["tables"][name]["columns"], columns=table.columns).replace({None: np.nan})
        pd.testing.assert_frame_equal(again, table.reset_index(drop=True), check_dtype=False, rtol=1e-4)
