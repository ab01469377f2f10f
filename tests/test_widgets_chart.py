"""The interactive charts without a browser: specifications, data sets, texts, and the static twin."""

import json
import re
import xml.etree.ElementTree as ElementTree
from io import BytesIO

import altair
import numpy as np
import pandas as pd
import pytest
import vl_convert
from PIL import Image

from ebll.errors import InputError, OutputError
from ebll.widgets import Chart, Drawing, Explored, SubmanifoldConfig, explored_drawing, lab_drawing
from ebll.widgets.chart import packed, spec_of
from ebll.widgets.charts import CHARTS, compiled
from tests.messages import raises

METHODS = ["finetune", "lwf", "ebll"]
NAMES = {"old": "letters", "new": "mnist"}


def curves(methods=METHODS, steps=(0, 10, 20), **more):
    rows = [
        {"method": method, "step": step, "task": "letters", "feature_distance": (i + 1) * step / 10,
         "accuracy": 0.8 - 0.1 * i, "accuracy_new": 0.1 + step / 40, "loss_task": 2.0 - step / 20,
         "loss_code": 0.0 if method == "ebll" else np.nan}
        for i, method in enumerate(methods)
        for step in steps
    ]  # fmt: skip
    return pd.DataFrame(rows).assign(**more)


def explored(epoch):
    rng = np.random.default_rng(epoch)
    return Explored(
        SubmanifoldConfig(code_size=3), epoch, epochs=2, extent=(-1.0, 1.0, -2.0, 2.0),
        points=pd.DataFrame(rng.normal(size=(5, 4)), columns=["x", "y", "x_back", "y_back"]),
        others=rng.normal(size=(7, 2)), accuracy={"direct": 0.9, "autoencoder": 0.3 * epoch, "pca": 0.8},
        missed={"autoencoder": 0.4, "pca": 0.2}, holds=[0.1, 0.01, 0.0], field=rng.random((4, 4)),
    )  # fmt: skip


def lab(**more):
    texts = {"alt": "Two tasks & three methods.", "heading": "letters → mnist", "caption": "One run a method."}
    return lab_drawing(curves(), **{**NAMES, **texts, **more})


@pytest.fixture(scope="module")
def drawing():
    return lab(terms_of="ebll", changes=[(10, "alpha 0")], diverged=["lwf"])


@pytest.mark.parametrize("name", CHARTS)
def test_the_specification_keeps_to_the_grammar_of_vega_lite_and_its_file_is_compiled_from_it(name):
    spec = CHARTS[name]().to_dict(validate=True)
    assert spec["$schema"].startswith("https://vega.github.io/schema/vega-lite/")
    kept, now = spec_of(name), compiled(CHARTS[name]())
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
    assert np.frombuffer(sent["step"]["numbers"], np.float32).tolist() == [0, 10, 20] * 3
    names = [sent["method"]["words"][i] for i in np.frombuffer(sent["method"]["codes"], np.int16)]
    assert names == given["method"].tolist()
    table = packed(pd.DataFrame({"a": [1.0, np.nan, np.inf], "b": ["x", None, "y"], "c": [True, False, True]}))
    numbers = np.frombuffer(table["columns"]["a"]["numbers"], np.float32)
    assert np.isnan(numbers).tolist() == [False, True, False]
    assert np.isinf(numbers).tolist() == [False, False, True]
    assert np.frombuffer(table["columns"]["b"]["codes"], np.int16).tolist() == [0, -1, 1]
    assert np.frombuffer(table["columns"]["c"]["numbers"], np.float32).tolist() == [1, 0, 1]


def test_axes_are_those_of_the_run_on_show_not_of_one_that_ran_away():
    made = lab(beside=curves(["lwf"]).assign(run="before", feature_distance=1e9))
    assert made.settings["top"] == 10.0
    assert set(made.data["curves"]["run"]) == {"", "before"}
    far = curves().assign(feature_distance=[np.inf] + 8 * [3.0])
    settings = lab_drawing(far, **NAMES, steps=50).settings
    assert (settings["top"], settings["steps"]) == (4.0, 50)


def test_a_chart_without_rows_is_empty_but_there():
    empty = lab_drawing(curves().iloc[:0], **NAMES)
    assert Image.open(BytesIO(empty.png())).width > 500


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


def test_the_static_twin_shows_the_chosen_moment_and_carries_its_text(drawing):
    chart = Chart(drawing)
    end = chart.drawing.png(scale=1)
    chart.moment = 10.0
    assert chart.drawing.png(scale=1) != end
    assert "at step 10" in chart.drawing.svg()
    picture = Image.open(BytesIO(end))
    assert picture.info["Description"] == drawing.alt
    assert len(picture.resize((200, 200)).getcolors(40_000)) > 50
    root = ElementTree.fromstring(drawing.svg())
    assert root.get("aria-label") == drawing.alt
    words = " ".join("".join(one.itertext()) for one in root.iter("{http://www.w3.org/2000/svg}text"))
    drawn = ("letters → mnist", "One run a method.", "feature distance of letters", "loss terms of EBLL", "alpha 0")
    for text in drawn:
        assert text in words
    assert re.search(r"60\.0 letters.*60\.0 mnist", words)


def test_the_chart_of_the_submanifold_shows_an_epoch():
    plane = explored_drawing([explored(0), explored(1), explored(2)])
    assert "60.0" in plane.svg()
    plane.moment = 1.0
    assert "30.0" in plane.svg()
    assert len(plane.data["field"]) == 3 * 16
    cells = plane.data["field"].query("epoch == 2")
    assert (cells["x"].min(), cells["y"].max()) == (-1, 2)
    assert cells["e4"].tolist() == explored(2).field.ravel().tolist()


def test_files_of_a_chart_and_the_picture_in_a_notebook_without_a_front_end(drawing, tmp_path):
    files = drawing.save(tmp_path / "new" / "lab")
    names = sorted(path.name for path in files.values())
    assert names == ["lab-changes.csv", "lab.csv", "lab.png", "lab.svg", "lab.txt"]
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == names
    assert files["txt"].read_text(encoding="utf-8") == f"{drawing.alt}\n"
    assert pd.read_csv(files["csv"])["feature_distance"].tolist() == curves()["feature_distance"].tolist()
    (tmp_path / "file").write_text("")
    with raises(OutputError, "file"):
        drawing.save(tmp_path / "file" / "lab")
    data, metadata = Chart(drawing)._repr_mimebundle_()
    assert data["text/plain"] == metadata["image/png"]["alt"] == drawing.alt
    assert data["image/png"].startswith("iVBOR")
    assert "application/vnd.jupyter.widget-view+json" in data


def test_vega_is_sent_once_for_all_charts(drawing):
    chart, other = Chart(drawing), Chart(lab())
    assert chart.runtime is other.runtime
    assert len(chart.runtime.code) < 400_000
    state = {name: value for name, value in chart.get_state().items() if name != "runtime"}
    assert len(json.dumps(state, default=repr)) < 150_000
    chart.runtime.close()
    assert Chart(drawing).runtime is not chart.runtime
