"""What the panels compute is what the library computes: runs of a config, and runs whose weights change on the way."""

import copy
import dataclasses
import math

import pandas as pd
import pytest
import torch
from messages import raises, review
from threads import WAIT, in_thread, until
from tiny import blobs, same
from torch.nn import functional

import ebll
from ebll import InputError, Recorder, Task, TrainSettings
from ebll.autoencoder import AutoencoderSettings
from ebll.comparison import branch
from ebll.config import NEW_TASK_IMAGES
from ebll.errors import RunStopped
from ebll.live import LAB_METHODS, LIVE, Change, LabConfig, LabRun, LiveKnobs, run, run_live
from ebll.live.cost import main_steps_of
from ebll.live.lab import FAR, LOG_EVERY, learned, start_of
from ebll.live.offered import offered_tasks
from ebll.methods import Method, Term
from ebll.methods.codes import remember_encoder
from ebll.protocol import complete, learn_first
from ebll.turns import Control, controlled

TASKS = [blobs("old", 1, count=200), blobs("new", 2, count=230, classes=4)]
CONFIG = LabConfig(old="old", new="new", code_size=4, methods=LAB_METHODS)
STEPS = 8 * math.ceil(len(TASKS[1].train) / 64)
CODED = ("ebll", "ebll-separate")


@pytest.fixture(scope="module")
def made():
    return run(CONFIG, tasks=TASKS)


def by_hand(config, name, tasks=TASKS, **options):
    start = learn_first(tasks[:1], settings=TrainSettings(), seed=config.seed, recorder=Recorder(log_every=0))
    options |= {"settings": config.train, "seed": config.seed}
    return complete(branch(tasks, config.method(name), start, {}, **options), tasks, config.train)


def equal(one, other):
    pd.testing.assert_frame_equal(one.reset_index(drop=True), other.reset_index(drop=True), check_exact=True)


# The runs of a config.


@pytest.mark.parametrize("name", LAB_METHODS)
def test_a_run_is_that_of_compare(made, name):
    options = {"settings": TrainSettings(), "seeds": [0], "log_every": LOG_EVERY}
    compared = ebll.compare(TASKS, {name: CONFIG.method(name)}, **options)
    assert same(made.runs[name].net, compared.runs[name, 0].net)
    mine = made.curves[made.curves["method"] == name]
    equal(mine[list(compared.curves.columns)], compared.curves.query("training == 'new' and stage == 'train'"))
    mine = made.accuracy[made.accuracy["method"] == name]
    equal(mine[list(compared.accuracy.columns)], compared.accuracy)


def test_the_new_task_has_its_own_steps_and_the_seed_decides_the_rest():
    config = CONFIG.replace(learning_rate=0.1, epochs=3, seed=4, methods=("finetune", "ebll"))
    found = run(config, tasks=TASKS)
    for name in config.methods:
        assert same(found.runs[name].net, by_hand(config, name).net)
    again = run(config.line(), tasks=TASKS)  # a line is as good as a config
    equal(again.curves, found.curves)


def test_the_table_has_the_accuracies_of_the_networks_and_their_last_distance(made):
    table = made.table()
    assert list(table.index) == list(made.config.methods)
    (_, start, _), old = learned("old", "mlp", 0, TASKS), TASKS[0]
    before = start.net.features(old.validation.inputs)
    held = (start.net(old.validation.inputs, 0).argmax(dim=1) == old.validation.labels).double().mean().item()
    for name, row in table.iterrows():
        net = made.runs[name].net
        right = [(net(t.validation.inputs, i).argmax(dim=1) == t.validation.labels) for i, t in enumerate(TASKS)]
        shares = [100 * r.double().mean().item() for r in right]
        distance = (net.features(old.validation.inputs) - before).norm(dim=1).mean().item()
        wanted = [100 * held, *shares, 100 * held - shares[0], distance]
        assert row.tolist() == pytest.approx(wanted, rel=1e-4, abs=1e-4)


def test_on_the_courses_tasks_the_new_one_is_cut_to_the_size_that_it_has_there():
    config = LabConfig(new="mnist", methods="lwf", epochs=1)
    found = run(config)
    tasks, start, _ = start_of(config)
    whole = ebll.load_task("mnist")
    assert len(whole.train) > NEW_TASK_IMAGES == len(tasks[1].train)
    assert found.steps == main_steps_of(config)
    tasks = [ebll.load_task("letters"), whole.subset(NEW_TASK_IMAGES)]
    other = complete(branch(tasks, config.method("lwf"), start, {}, settings=config.train, seed=0), tasks, config.train)
    assert same(found.runs["lwf"].net, other.net)


def test_known_runs_are_taken_again_where_nothing_that_acts_was_changed():
    one = run(CONFIG, tasks=TASKS, reuse=True)
    two = run(CONFIG.replace(alpha=9.0, code_size=5), tasks=TASKS, reuse=True)
    new = run(CONFIG, tasks=TASKS)
    for name in LAB_METHODS:
        assert (two.runs[name] is one.runs[name]) == (name not in CODED)
        assert (two.recorders[name] is one.recorders[name]) == (name not in CODED)
        assert new.runs[name] is not one.runs[name]
        assert same(new.runs[name].net, one.runs[name].net)
    equal(new.curves, one.curves)
    assert not same(run(CONFIG.replace(epochs=3), tasks=TASKS, reuse=True).runs["lwf"].net, one.runs["lwf"].net)


def test_a_users_task_is_told_from_others_of_its_name():
    own = [dataclasses.replace(TASKS[0], name="letters"), dataclasses.replace(TASKS[1], name="mine")]
    config = LabConfig(old="letters", new="mine", methods="finetune", epochs=2)
    assert offered_tasks(own)["letters"]() is own[0] is not offered_tasks()["letters"]()
    assert learned("letters", "mlp", 0)[1].net.input_shape == (1, 28, 28)
    for seed in (5, 6, 7):  # each may lie where the one before has lain
        own[0] = dataclasses.replace(blobs("letters", seed, count=90))
        wanted = by_hand(config, "finetune", own)
        assert same(run(config, tasks=own).runs["finetune"].net, wanted.net)
        assert same(run(config, tasks=own, reuse=True).runs["finetune"].net, wanted.net)
    with raises(InputError, "tasks", "ebll.Task", "got str"):
        offered_tasks([own[0], "mnist"])
    with pytest.raises(InputError, match=r"^Task.*'ode'.*Did you mean 'old'"):  # of those whose data are here
        run(CONFIG.replace(old="ode"), tasks=TASKS)


def test_the_bigger_of_a_users_tasks_is_cut_too():
    labels = torch.arange(3000) % 3
    split = torch.randn(3000, 12) + labels[:, None], labels
    found = run(CONFIG.replace(new="big", epochs=1), tasks=[TASKS[0], Task.from_tensors("big", split, split)])
    assert found.steps == math.ceil(NEW_TASK_IMAGES / 64)


def test_a_method_that_diverges_is_told_keeps_its_rows_and_stops_no_other():
    config = CONFIG.replace(ewc_strength=1e9, methods=("ewc", "finetune", "ebll"))
    found = run(config, tasks=TASKS)
    assert found.diverged == {"ewc"}
    assert list(found.runs) == ["finetune", "ebll"]
    (note,) = found.notes
    last = found.recorders["ewc"].curve_rows[-1]["step"]
    assert note.startswith(f"EWC diverged after step {last}: ")
    assert "learning_rate" in note
    rows = found.curves[found.curves["method"] == "ewc"]
    assert 0 < len(rows) < len(found.curves[found.curves["method"] == "finetune"])
    assert found.table().loc["ewc", ["old", "new", "forgetting"]].isna().all()


@pytest.mark.parametrize("compute", [run, lambda config, tasks: run_live(config, "ebll", tasks=tasks)])
def test_a_code_as_large_as_the_features_is_told_and_stops_no_other(compute):
    config = CONFIG.replace(code_size=256, methods=("ebll", "lwf"))
    found = compute(config, tasks=TASKS)
    (note,) = found.notes
    review(note, "EBLL", "code_size", "256 features")
    assert found.diverged == {"ebll"}
    assert list(found.runs) == (["lwf"] if compute is run else [])


def test_features_that_end_far_away_are_told():
    config = CONFIG.replace(learning_rate=3.0, methods="finetune", epochs=20)
    found = run(config, tasks=TASKS)
    rows = found.recorders["finetune"].curve_rows
    far = rows[-1]["feature_distance"] > FAR * rows[0]["feature_norm"]
    assert far or found.diverged
    assert len(found.notes) == 1


def test_measuring_every_step_adds_rows_and_changes_no_weight(made):
    asked = []
    found = run(CONFIG.replace(methods="ebll"), tasks=TASKS, every_step=lambda: asked.append(0) or True)
    assert found.steps == made.steps == STEPS
    assert found.curves["step"].tolist() == list(range(STEPS + 1))
    assert set(found.curves["stage"]) == set(made.curves["stage"]) == {"train"}
    assert same(found.runs["ebll"].net, made.runs["ebll"].net)
    few = made.curves[made.curves["method"] == "ebll"]
    equal(found.curves[found.curves["step"].isin(few["step"])], few)
    assert len(few) < STEPS / 2


def ebll_rows(made):
    return len(made.recorders["ebll"].curve_rows) if "ebll" in made.recorders else 0


@pytest.mark.parametrize("compute", [run, run_live])
def test_a_stopped_run_leaves_what_it_has_recorded(compute, made):
    into = LabRun(CONFIG)
    control = Control(on_turn=lambda: ebll_rows(into) == 6 and control.stop())
    with pytest.raises(RunStopped), controlled(control):
        compute(CONFIG, tasks=TASKS, into=into)
    assert "ebll" not in into.runs
    rows, whole = into.recorders["ebll"].curve_rows, made.recorders["ebll"].curve_rows
    assert 0 < len(rows) < len(whole)
    equal(pd.DataFrame(rows), pd.DataFrame(whole[: len(rows)]))


# Runs whose weights change on the way.


@pytest.mark.parametrize("name", LAB_METHODS)
def test_a_live_run_without_changes_is_the_methods_own(made, name):
    live = run_live(CONFIG, name, tasks=TASKS)
    assert live.changes == live.notes == []
    assert same(live.runs[name].net, made.runs[name].net)
    equal(live.curves, made.curves[made.curves["method"] == name])
    equal(live.table(), made.table().loc[[name]])


@pytest.mark.parametrize("name", ["lwf", "ewc", *CODED])
def test_changes_act_and_the_changes_of_a_run_make_it_again(made, name):
    asked = [(9, "recon_weight", 1.0), (3, "alpha", 50.0), (3, "ewc_strength", 9e3), (5, "distill_weight", 30.0)]
    live = run_live(CONFIG, name, [*asked, (10**6, "alpha", 0.0), (4, "alpha", 50.0)], tasks=TASKS)
    assert live.changes == sorted([Change(*change) for change in asked], key=lambda change: change.step)
    assert not same(live.runs[name].net, made.runs[name].net)
    again = run_live(CONFIG, name, live.changes, tasks=TASKS)
    assert same(again.runs[name].net, live.runs[name].net)
    equal(again.curves, live.curves)
    assert again.changes == live.changes


@pytest.mark.parametrize(("name", "setting", "value"), [
    ("ebll", "alpha", 0.0), ("ebll-separate", "alpha", 0.0), ("lwf", "distill_weight", 0.0),
    ("ebll", "distill_weight", 9.0), ("ewc", "ewc_strength", 0.0), ("ebll", "recon_weight", 1.0),
])  # fmt: skip
def test_a_change_before_the_first_step_is_a_config_with_that_value(made, name, setting, value):
    assert setting in LIVE
    live = run_live(CONFIG, name, [(0, setting, value)], tasks=TASKS).runs[name].net
    own = run(CONFIG.replace(methods=name, **{setting: value}), tasks=TASKS).runs[name].net
    assert not same(live, made.runs[name].net)
    if setting != "recon_weight":
        assert same(live, own)
    else:  # codes are made batch by batch there, and the last bits of a product depend on its size
        for one, other in zip(live.parameters(), own.parameters(), strict=True):
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_a_change_asked_for_by_another_thread_takes_effect_at_the_next_step_and_is_recorded(made):
    knobs, into, control = LiveKnobs(CONFIG, "ebll"), LabRun(CONFIG), Control()
    options = {"into": into, "knobs": knobs, "every_step": lambda: True}
    control.step(lambda: into.measured == 12 and (arrived.append(0) or True))
    arrived, before = [], len(made.recorders["ebll"].curve_rows)
    outcome = in_thread(lambda: run_live(CONFIG, tasks=TASKS, **options), control)
    until(lambda: arrived)
    assert into.curves["step"].iloc[-1] == 11
    knobs.set("alpha", 1.0)
    knobs.set("alpha", 80.0)
    knobs.set("distill_weight", CONFIG.distill_weight)
    control.resume()
    live = outcome.result(WAIT)
    assert live is into
    assert live.changes == [(12, "alpha", 80.0)]
    weights = live.curves["loss_code"] / live.curves["raw_code"]
    assert weights[1:12].tolist() == pytest.approx([CONFIG.alpha] * 11)
    assert weights[12:-1].tolist() == pytest.approx([80.0] * (STEPS - 12))
    again = run_live(CONFIG, "ebll", live.changes, tasks=TASKS, every_step=lambda: True)
    assert same(again.runs["ebll"].net, live.runs["ebll"].net)
    equal(again.curves, live.curves)
    assert len(made.recorders["ebll"].curve_rows) == before


@dataclasses.dataclass(frozen=True)
class Swapped(Method):
    """EBLL in the arithmetic of its equations, with another encoder from one step on."""

    name, label = "swapped", "swapped"
    config: LabConfig
    before: torch.nn.Module
    encoders: tuple
    swap: int
    steps: list

    def loss_terms(self, net, batches, memory):
        (batch,) = batches
        encoder = self.encoders[len(self.steps) >= self.swap]
        now, then = net.features(batch.inputs), self.before.features(batch.inputs).detach()
        codes = [torch.sigmoid(f @ encoder.weight.T + encoder.bias) for f in (now, then)]
        code = 0.5 * (codes[0] - codes[1]).square().sum(dim=1).mean()
        self.steps.append(code.item())
        answers, theta = self.before.heads[0](self.before.operator(then)).detach(), self.config.temperature
        distill = functional.cross_entropy(net(batch.inputs, 0) / theta, (answers / theta).softmax(dim=1))
        task = functional.cross_entropy(net(batch.inputs, 1), batch.labels)
        return {"all": Term(task + self.config.distill_weight * distill + self.config.alpha * code)}


def test_another_recon_weight_in_mid_run_swaps_the_encoder_and_the_codes_that_are_held():
    config, swap = CONFIG.replace(alpha=40.0, learning_rate=0.05), 10
    _, start, _ = learned("old", "mlp", 0, TASKS)
    settings = [AutoencoderSettings(code_size=4, recon_weight=weight) for weight in (config.recon_weight, 5.0)]
    encoders = tuple(remember_encoder(start.net, 0, TASKS[0], None, s, 0).encoder(0) for s in settings)
    nets = []
    for at in (swap, 10**6):
        hand = Swapped(config, copy.deepcopy(start.net), encoders, at, [])
        nets.append(ebll.run_sequence(TASKS, hand, settings=config.train, start=start).net)
        if at == swap:
            wanted = hand.steps
    live = run_live(config, "ebll", [(swap, "recon_weight", 5.0)], tasks=TASKS, every_step=lambda: True)
    (net,) = (r.net for r in live.runs.values())
    for one, other in zip(net.parameters(), nets[0].parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5)
    assert (net.features[0][1].weight - nets[1].features[0][1].weight).abs().max() > 1e-3
    assert live.curves["raw_code"][:-1].tolist() == pytest.approx(wanted, rel=1e-3, abs=1e-6)
    held = TASKS[0].validation.inputs  # what is measured is the new encoder's too
    now, then = (encoders[1](n.features(held)) for n in (net, start.net))
    measured = 0.5 * (now - then).square().sum(dim=1).mean().item()
    assert live.curves["code_distance"].iloc[-1] == pytest.approx(measured, rel=1e-4)
