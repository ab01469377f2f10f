"""The plane: three runs as the library makes them, axes along which the code stands still, and the widget around it."""

from io import BytesIO

import numpy as np
import pandas as pd
import pytest
import torch
from messages import refused
from PIL import Image
from tiny import same, state
from widget_rig import move, settle, wait

import ebll
from benchmarks import plane as benchmark
from benchmarks.plane import DOCS
from ebll.losses import code_distance
from ebll.metrics import accuracy, feature_shift
from ebll.widgets import PlaneConfig, plane_drawing, plane_run, planes

TRAIN = planes.TRAIN.replace(epochs=2, first_epochs=4)
FIT = {"epochs": 2, "learning_rate": 0.01}


@pytest.fixture(autouse=True)
def short(monkeypatch):
    monkeypatch.setattr(planes, "TRAIN", TRAIN)
    monkeypatch.setattr(planes, "FIT", FIT)


@pytest.fixture(scope="module")
def made():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(planes, "TRAIN", TRAIN)
        patch.setattr(planes, "FIT", FIT)
        yield plane_run(seed=3)


@pytest.fixture
def widget(live):
    made = ebll.widgets.plane()
    yield made
    made.close()
    wait()


def marks(made, method, kind, step=None):
    table = pd.concat(made.marks)
    step = table["step"].max() if step is None else step
    return table[(table["method"] == method) & (table["kind"] == kind) & (table["step"] == step)]


def test_the_runs_are_those_of_the_library_and_M10_is_of_all_held_out_moons(made):
    tasks = ebll.plane_tasks(seed=3)
    settings = ebll.AutoencoderSettings(code_size=1, recon_weight=0.1, **FIT)
    method = ebll.EBLL(alpha=10.0, distill_weight=0.25, autoencoder=settings)
    start = ebll.learn_first(tasks[:1], net=ebll.networks.toy, settings=TRAIN, seed=3)
    run = ebll.run_sequence(tasks, method, start=start, settings=TRAIN, seed=3)
    assert same(state(run.net), state(made.runs["ebll"].net))
    inputs = tasks[0].validation.inputs
    with torch.no_grad():
        now, before = run.net.features(inputs), start.net.features(inputs)
    last = made.curves.query("method == 'ebll'").iloc[-1]
    assert (last.across, last.along) == feature_shift(now, before, run.memory.encoder(0).weight)
    assert (last.accuracy, last.feature_distance) == pytest.approx(
        (accuracy(run.net(inputs, 0), tasks[0].validation.labels), (now - before).norm(dim=1).mean().item())
    )


@pytest.mark.parametrize(("features", "code"), [(2, 1), (3, 1), (3, 2)])
def test_to_the_right_the_code_stands_still_and_its_level_lines_are_where_it_has_their_value(features, code):
    made = plane_run(seed=1, features=features, code_size=code)
    scene = made.scene
    right, up = scene.axes
    assert torch.allclose(scene.axes @ scene.axes.T, torch.eye(2), atol=1e-5)
    moved = scene.before + 7 * right
    assert code_distance(scene.encoder(moved), scene.encoder(scene.before)).item() < 1e-8
    assert code_distance(scene.encoder(scene.before + up), scene.encoder(scene.before)).item() > 1e-4
    lines = marks(made, "lwf", "level")
    assert len(lines) == code * len(planes.LEVELS)
    for i, (_, line) in enumerate(lines.iterrows()):
        for x, y in ((line.x, line.y), (line.x2, line.y2)):
            place = scene.middle + x * right + y * up
            assert scene.encoder(place)[i // len(planes.LEVELS)].item() == pytest.approx(line.value, abs=2e-3)


def test_points_and_shades_are_those_of_the_network_now_and_the_border_is_where_the_head_was_undecided(made):
    moons = ebll.plane_tasks(seed=3)[0].validation
    net, some = made.runs["finetune"].net, slice(None, planes.POINTS)
    right = net(moons.inputs[some], 0).argmax(dim=1) == moons.labels[some]
    old = marks(made, "finetune", "old")
    assert old["value"].tolist() == right.float().tolist()
    assert np.allclose(old[["x", "y"]], moons.inputs[some])
    cells = marks(made, "finetune", "cell")
    middle = torch.tensor((cells[["x", "y"]].to_numpy() + cells[["x2", "y2"]].to_numpy()) / 2)
    assert np.allclose(net(middle, 0).softmax(dim=1)[:, 1].detach(), cells["value"].astype(float), atol=1e-5)
    border = torch.tensor(marks(made, "finetune", "border", 0)[["x", "y"]].to_numpy())
    with torch.no_grad():
        sure = made.scene.start(border, 0).softmax(dim=1)[:, 1]
    assert (sure - 0.5).abs().max() < 0.1
    still = marks(made, "lwf", "move", 0)
    assert np.allclose(still[["x", "y"]], still[["x2", "y2"]], atol=1e-6), "nothing has moved at step 0"


def test_a_still_drawing_has_three_moments_and_a_live_one_all(made):
    steps = sorted(made.curves["step"].unique())
    still, live = plane_drawing(made, still=True), plane_drawing(made)
    assert still.settings["moments"] == [0, 4, 20]
    assert sorted(still.data["marks"]["step"].unique()) == [0, 4, 20]
    assert sorted(live.data["marks"]["step"].unique()) == steps
    assert live.settings["moments"] == []
    assert Image.open(BytesIO(still.png())).width > 500
    last = made.curves.query("method == 'lwf'").iloc[-1]
    assert f"LwF: {100 * last.accuracy:.0f} % of the moons" in live.alt


def test_a_moved_slider_starts_runs_what_may_not_be_is_told_and_reset_goes_back(widget):
    first = widget.made
    move(widget, alpha=0.5)
    settle(widget)
    assert widget.made is not first
    assert widget.made.config == PlaneConfig(alpha=0.5)
    assert widget.code.value == "ebll.widgets.plane_run(alpha=0.5)"
    move(widget, code_size=2)
    assert "code_size" in widget.status.wrong
    assert widget.config.code_size == widget.sliders["code_size"].value == 1
    widget.code.value = "features=3, code_size=2"
    settle(widget)
    assert widget.config == PlaneConfig(features=3, code_size=2)
    widget.parts["reset"].click()
    settle(widget)
    assert widget.config == PlaneConfig()
    assert widget.drawing().settings["moments"]
    widget.chart.moment = 8.0
    assert not widget.drawing().settings["moments"]


def test_a_run_that_fails_is_told_in_words(widget, monkeypatch):
    monkeypatch.setattr(planes, "TRAIN", TRAIN.replace(learning_rate=1e30))
    move(widget, alpha=1)
    while widget.running:
        wait()
    assert "diverged" in widget.status.wrong
    assert "Done" not in widget.status.text
    assert widget.errors == []


def test_what_makes_no_plane_is_refused():
    refused(
        *(lambda: PlaneConfig(features=4), lambda: PlaneConfig(code_size=2), lambda: PlaneConfig(distance=-1.0)),
        *(lambda: ebll.plane_tasks(seed=2 * 10**9), lambda: ebll.plane_tasks(distance=float("nan"))),
        *(lambda: ebll.plane_tasks(size=5), lambda: plane_run("alfa=1")),
    )


def test_the_blobs_move_with_the_distance_and_the_moons_stay():
    (moons, near), (same_moons, far) = ebll.plane_tasks(0.0, 60), ebll.plane_tasks(5.0, 60)
    assert moons is same_moons, "so that their network is learned once"
    for split in ("train", "validation", "test"):
        shift = getattr(far, split).inputs - getattr(near, split).inputs
        assert shift.norm(dim=1).mean().item() == pytest.approx(5.0, abs=0.01)
        assert (getattr(far, split).labels == getattr(near, split).labels).all()
    assert (moons.train.inputs[:1] != moons.test.inputs).any(dim=1).all()


def test_the_opening_weights_are_those_that_the_benchmark_chose():
    rows = pd.read_csv(DOCS / "plane.csv")
    chosen = benchmark.best(rows[rows["seed"].isin(benchmark.CHOSEN_ON)])
    assert chosen == (PlaneConfig().alpha, PlaneConfig().distill_weight)
    assert benchmark.page(rows) == (DOCS / "plane.md").read_text(encoding="utf-8")
    apart = rows.assign(accuracy_new=rows["accuracy_new"].where(rows["method"] == "lwf", 0.0))
    with pytest.raises(SystemExit, match=f"{benchmark.COST:g} points"):
        benchmark.best(apart)
