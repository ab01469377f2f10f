"""What the benchmarks of steps compare, count and divide. Nothing is timed."""

import dataclasses

import pandas as pd
import pytest
import torch

from benchmarks import bare, loop, made, profiled, steps, tasks
from benchmarks.rounds import Figure, figure, interleaved
from ebll.methods import METHODS
from ebll.networks import build_network


def tiny(shape):
    nn = torch.nn
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 80), nn.ReLU()), nn.Sequential(nn.Linear(80, 8), nn.ReLU())


def untimed(cases, rounds, **options):
    """In place of `interleaved`: every case takes a second, and fine-tuning half of one."""
    return pd.DataFrame({name: [0.5 if "finetune" in name else 1.0] * rounds for name in cases})


@pytest.fixture(scope="module")
def ready():
    """Methods about to learn the second of two small tasks."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(made, "IMAGES", 64)
        return made.prepared(tiny, 32, "cpu", steps.METHODS_TIMED)


@pytest.fixture
def small(monkeypatch, ready):
    """Every part on the small net, without timing."""
    monkeypatch.setitem(bare.NETS, "tiny", bare.mlp)
    for name, value in {"BATCH": 32, "EPOCHS": 1, "NETS": ("tiny",)}.items():
        monkeypatch.setattr(loop, name, value)
    monkeypatch.setattr(steps, "CASES", {"tiny": (tiny, 32)})
    monkeypatch.setattr(steps, "shares", lambda work: {profiled.PRODUCTS: 0.75, profiled.REST: 0.25})
    for part in (loop, steps):
        monkeypatch.setattr(part, "interleaved", untimed)
        monkeypatch.setattr(part, "prepared", lambda net, batch, device, names: {name: ready[name] for name in names})


@pytest.mark.parametrize("name", loop.METHODS_TIMED)
def test_both_loops_do_the_same_work(ready, small, name):
    assert loop.difference(ready[name].in_double(), "tiny") < loop.TOLERANCE


@pytest.mark.parametrize(
    ("name", "changes"), [("lwf", {"temperature": 2.01}), ("lwf", {"distill_weight": 0.99}), ("ebll", {"alpha": 3.01})]
)
def test_other_work_is_seen_and_refused(ready, small, name, changes):
    double = ready[name].in_double()
    apart = loop.difference(dataclasses.replace(double, method=double.method.replace(**changes)), "tiny")
    with pytest.raises(SystemExit, match="a case: the sides do not do the same work"):
        loop.checked("a case", apart)


def test_a_difference_that_is_no_number_is_refused():
    with pytest.raises(SystemExit, match="nan"):
        loop.checked("a case", float("nan"))


def test_the_loop_has_a_bar_for_each_method_and_net(small):
    text, figures = loop.run(3, "cpu")
    barred = {one.case: one for one in figures if one.bar is not None}
    assert set(barred) == {f"tiny, batch 32, {name}" for name in loop.METHODS_TIMED}
    assert {(one.what, one.bar, one.most, one.value) for one in barred.values()} == {(loop.TO_BARE, 1.05, True, 1.0)}
    assert "e-" in text.partition("was ")[2][:8] or "0e+00" in text  # the difference that was found


def test_a_network_in_double_precision_is_a_copy(ready):
    one = ready["ebll"]
    double = one.in_double()
    tensors = [*double.net.parameters(), *double.targets.values(), double.task.train.inputs]
    assert {tensor.dtype for tensor in [*tensors, double.memory.encoder(0).weight]} == {torch.float64}
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


def test_steps_measure_every_method_and_profile_ebll(small):
    text, figures = steps.run(2, "cpu")
    found = {(one.case, one.what): one for one in figures}
    methods = [*steps.METHODS_TIMED, "products alone"]
    assert all(found[f"tiny, {name}", "a step"].value == (500 if name == "finetune" else 1000) for name in methods)
    assert {case for case, what in found if what == "to fine-tuning"} == {f"tiny, {n}" for n in methods[1:]}
    assert {key: one.bar for key, one in found.items() if one.bar is not None} == {
        ("tiny, ebll", steps.TO_PRODUCTS): 1.08
    }
    assert found["tiny, ebll", f"profile, {profiled.PRODUCTS}"].value == 75
    assert len(figures) == len(found) == 3 * len(methods) - 1 + 1 + 2
    assert profiled.REST in text


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
    lwf = tasks.figures_of("lwf", times.rename(columns={"ebll": "lwf"}), {"2nd": 1, "10th": 1}, 70)
    assert all(one.bar is None for one in lwf)


def test_tasks_count_the_bytes_of_a_further_task(monkeypatch):
    for name, value in {"OLD": {"2nd": 1, "5th": 2, "10th": 3}, "IMAGES": 64, "interleaved": untimed}.items():
        monkeypatch.setattr(tasks, name, value)
    text, figures = tasks.run(1, "cpu")
    head, encoder = 4 * (128 * 10 + 10), 4 * (256 * 64 + 64)
    kept = {one.case.rpartition(", ")[2]: one.value for one in figures if one.what == tasks.KEPT}
    assert kept == {"finetune": head, "lwf": head, "ewc": head, "ebll": head + encoder}
    assert f"{head + encoder:,}" in text


def test_shares_sum_to_one_and_see_a_large_product():
    square = torch.randn(700, 700)
    found = profiled.shares(lambda: square @ square)
    assert sum(found.values()) == pytest.approx(1)
    assert set(found) == {*profiled.GROUPS, profiled.REST}
    assert found[profiled.PRODUCTS] > 0


@pytest.mark.parametrize(
    ("operator", "group"),
    [
        ("aten::addmm", profiled.PRODUCTS),
        ("aten::mkldnn_convolution", profiled.PRODUCTS),
        ("aten::convolution_backward", profiled.PRODUCTS),
        ("aten::_fused_sgd_", "optimiser step"),
        ("Optimizer.step#SGD.step", "optimiser step"),
        ("aten::index_select", "drawing the batch"),
        ("aten::_log_softmax_backward_data", "softmax and cross-entropy"),
        ("aten::nll_loss_forward", "softmax and cross-entropy"),
        ("aten::add_", "other elementwise"),
        ("aten::threshold_backward", "other elementwise"),
        ("aten::t", profiled.REST),
        ("aten::empty", profiled.REST),
        ("autograd::engine::evaluate_function: AddmmBackward0", profiled.REST),
    ],
)
def test_operators_fall_into_groups(operator, group):
    assert profiled.group_of(operator) == group


def test_a_figure_keeps_to_its_bar_on_the_right_side():
    assert figure("a", "b", "x", [1.0, 1.1, 1.4], 1.1).met
    assert not figure("a", "b", "x", [1.0, 1.2, 1.4], 1.1).met
    assert figure("a", "b", "%", [80.0], 80, most=False).met
    assert not figure("a", "b", "%", [79.0], 80, most=False).met
    assert figure("a", "b", "x", [1.0]).met is None
    assert figure("a", "b", "x", [3.0, 1.0, 2.0]) == Figure("a", "b", "x", 2.0, 1.0, 3.0, 3)


def test_cases_run_in_every_round_and_take_turns():
    called = []
    cases = {name: (lambda name=name: called.append(name)) for name in "abc"}
    times = interleaved(cases, 3, warm_up=1, ready=lambda: called.append("-"))
    assert times.shape == (3, 3)
    assert list(times.columns) == ["a", "b", "c"]
    assert "".join(called) == "a-b-c-b-c-a-c-a-b-a-b-c-"
