"""What the benchmarks of steps compare does the same work on both sides, and is counted rightly. Nothing is timed."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import bare, loop, made, profiled, steps, tasks
from benchmarks.peers import against, sides
from benchmarks.rounds import Figure
from ebll.methods import METHODS
from ebll.networks import build_network


def tiny(shape):
    nn = torch.nn
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 80), nn.ReLU()), nn.Sequential(nn.Linear(80, 8), nn.ReLU())


@pytest.fixture(scope="module")
def ready():
    """Methods about to learn the second of two small tasks."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(made, "IMAGES", 64)
        return made.prepared(tiny, 32, "cpu", steps.METHODS_TIMED)


@pytest.fixture
def small(monkeypatch):
    """The small net and batch in place of those that are timed."""
    monkeypatch.setitem(bare.NETS, "tiny", bare.mlp)
    monkeypatch.setattr(loop, "BATCH", 32)
    monkeypatch.setattr(loop, "EPOCHS", 1)


@pytest.mark.parametrize("name", loop.METHODS_TIMED)
def test_both_loops_do_the_same_work(ready, small, name):
    assert loop.difference(ready[name].in_double(), "tiny") < loop.TOLERANCE


@pytest.mark.parametrize(
    ("name", "changes"), [("lwf", {"temperature": 2.01}), ("lwf", {"distill_weight": 0.99}), ("ebll", {"alpha": 3.01})]
)
def test_other_work_is_seen_and_refused(ready, small, name, changes):
    double = ready[name].in_double()
    apart = loop.difference(dataclasses.replace(double, method=double.method.replace(**changes)), "tiny")
    for found in (apart, float("nan")):
        with pytest.raises(SystemExit, match="a case: the sides do not do the same work"):
            loop.checked("a case", found)
        with pytest.raises(SystemExit, match="do not do the same work"):
            sides.checked(name, {"first loss": 0.0, "weights": found})


def test_a_network_in_double_precision_is_a_copy(ready):
    one = ready["ebll"]
    double = one.in_double()
    tensors = [*double.net.parameters(), *double.targets.values(), double.task.train.inputs]
    assert {tensor.dtype for tensor in [*tensors, double.memory.encoder(0).weight]} == {torch.float64}
    assert double.task.train.take(torch.tensor([0, 2])).inputs.dtype == torch.float64
    assert {parameter.dtype for parameter in one.net.parameters()} == {torch.float32}
    for name, value in one.targets.items():
        torch.testing.assert_close(double.targets[name].float(), value)


def test_operations_are_those_counted_by_hand():
    batch, new = 32, made.random_task("new", 10, 1, images=64)
    net = build_network(made.wide_mlp, new.input_shape, 0)
    net.add_head(26)
    net.add_head(new.class_count)
    ready = made.Ready(METHODS["finetune"](), net, None, {}, new)
    # Forwards and for the weights, and where what comes in needs a gradient, for that too.
    by_hand = batch * (4 * 784 * 256 + 6 * 256 * 256 + 6 * 256 * 10)
    assert steps.operations(ready, batch) == by_hand
    assert steps.operations(ready, batch // 2) == by_hand // 2
    assert all(parameter.grad is None for parameter in net.parameters())


def test_operations_of_every_method_are_those_of_its_products(ready):
    counts = {name: steps.operations(one, 32) for name, one in steps.with_products(ready).items()}
    head, code = 32 * 6 * 8 * 26, 32 * 4 * 80 * 64  # an old head learns, an encoder does not
    assert counts["lwf"] == counts["finetune"] + head
    assert counts["code-only"] == counts["finetune"] + code
    assert counts["ebll"] == counts["products alone"] == counts["finetune"] + head + code
    assert counts["ewc"] == counts["finetune"]


def test_the_bar_of_steps_is_to_the_bare_products():
    times = pd.DataFrame({"finetune": [2.0, 2.0], "ebll": [3.0, 2.8], "products alone": [2.5, 2.8]})
    figures = steps.figures_of("case", times, {"finetune": 100, "ebll": 120, "products alone": 120})
    (one,) = [one for one in figures if one.bar is not None]
    assert one == Figure("case, ebll", steps.TO_PRODUCTS, "x", 1.1, 1.0, 1.2, 2, 1.08)


def test_tasks_are_prepared_as_after_a_sequence():
    task = made.random_task("new", tasks.CLASSES, 1, images=64)
    for name in ("lwf", "ebll"):
        ready = tasks.prepared(name, 4, task, "cpu")
        assert (ready.t, len(ready.net.heads)) == (4, 5)
        widths = {key: value.shape[1] for key, value in ready.targets.items()}
        assert widths == {"soft_targets": 4 * tasks.CLASSES} | ({"codes": 4 * 64} if name == "ebll" else {})


def test_the_growth_of_a_step_is_divided_by_that_of_its_operations():
    times = pd.DataFrame({("ebll", "2nd"): [1.0, 1.0], ("ebll", "5th"): [1.2, 1.2], ("ebll", "10th"): [1.5, 1.8]})
    figures = tasks.figures_of("ebll", times, {"2nd": 100, "5th": 120, "10th": 150}, 70)
    found = {one.what: one for one in figures}
    assert found[tasks.GROWTH].value == pytest.approx(1.65)
    one = found[tasks.TO_OPERATIONS]
    assert (one.value, one.low, one.high) == pytest.approx((1.1, 1.0, 1.2))
    assert [(one.what, one.bar) for one in figures if one.bar is not None] == [(tasks.TO_OPERATIONS, 1.05)]


def test_tasks_count_the_bytes_of_a_further_task(monkeypatch):
    monkeypatch.setattr(tasks, "OLD", {"2nd": 1, "5th": 2, "10th": 3})
    monkeypatch.setattr(tasks, "IMAGES", 64)
    monkeypatch.setattr(tasks, "interleaved", lambda cases, rounds, **_: pd.DataFrame({c: [1.0] for c in cases}))
    _, figures = tasks.run(1, "cpu")
    head, encoder = 4 * (128 * 10 + 10), 4 * (256 * 64 + 64)
    kept = {one.case.rpartition(", ")[2]: one.value for one in figures if one.what == tasks.KEPT}
    assert kept == {"finetune": head, "lwf": head, "ewc": head, "ebll": head + encoder}


@pytest.mark.parametrize(
    ("operators", "group"),
    [
        ("aten::addmm aten::mkldnn_convolution aten::convolution_backward", profiled.PRODUCTS),
        ("aten::_fused_sgd_ Optimizer.step#SGD.step", "optimiser step"),
        ("aten::index_select", "drawing the batch"),
        ("aten::_log_softmax_backward_data aten::nll_loss_forward", "softmax and cross-entropy"),
        ("aten::add_ aten::threshold_backward", "other elementwise"),
        ("aten::t aten::empty autograd::engine::evaluate_function:AddmmBackward0", profiled.REST),
    ],
)
def test_operators_fall_into_groups(operators, group):
    assert {profiled.group_of(operator) for operator in operators.split()} == {group}


def test_the_ratios_of_peers_are_taken_round_by_round():
    rows = [
        {"round": r, "method": "lwf", "side": side, "threads": 1, "floor": 0.5, "seconds": s, "whole": 2 * s}
        for r, (ours, theirs) in enumerate([(1.0, 4.0), (2.0, 6.0), (1.0, 5.0)])
        for side, s in (("ebll", ours), ("avalanche", theirs))
    ]
    found = {f.what: f for f in against.figures_of(pd.DataFrame(rows))}
    ratio = found[against.RATIO]
    assert (ratio.value, ratio.low, ratio.high, ratio.bar, ratio.met) == (4.0, 3.0, 5.0, 4.0, True)
    assert [what for what, f in found.items() if f.bar is not None] == [against.RATIO]
    assert found[against.POSSIBLE].value == 10.0
    assert found["products alone, of a step of ebll"].value == 50.0
    assert found["ebll, a step"].value == pytest.approx(1e3 / (against.IMAGES // against.BATCH))


@pytest.fixture
def few_images(monkeypatch):
    """One batch in place of an epoch."""
    for part in (sides, against):
        monkeypatch.setattr(part, "IMAGES", sides.BATCH)


def test_the_other_side_gets_the_data_in_the_order_of_our_loop(few_images):
    data = sides.made_data()
    moved = sides.in_our_order(data)
    assert not np.array_equal(moved["x1"], data["x1"])
    seen = []
    ready = sides.begun("naive", data)
    ready.net.features.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    sides.epoch(ready)
    assert np.array_equal(torch.cat(seen).numpy(), moved["x1"])


def test_the_products_alone_are_as_many_operations_as_a_step_of_the_method(few_images):
    b = against.BATCH
    shared, head, code = 4 * b * 784 * 256 + 6 * b * 256 * 256, 6 * b * 256 * 10, 4 * b * 256 * 64
    for name, count in {"naive": shared + head, "lwf": shared + 2 * head, "ebll": shared + 2 * head + code}.items():
        epoch = against.products(name)
        with FlopCounterMode(display=False) as counter:
            epoch()
        assert counter.get_total_flops() == count
