import pandas as pd
import pytest
import torch

from benchmarks import made, profiled, results, steps, tasks
from benchmarks.rounds import Figure, figure, interleaved
from ebll.methods import METHODS
from ebll.nets import build_network

FACTS = {"machine": "a machine", "torch": "2", "python": "3", "threads": "1", "load": "0.0"}


def tiny(shape):
    nn = torch.nn
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 80), nn.ReLU()), nn.Sequential(nn.Linear(80, 8), nn.ReLU())


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


def test_operations_of_every_method_are_those_of_its_products(monkeypatch):
    monkeypatch.setattr(steps, "IMAGES", 64)
    ready = steps.prepared(tiny, 32, "cpu")
    counts = {name: steps.operations(one, 32) for name, one in ready.items()}
    head, code = 32 * 6 * 8 * 26, 32 * 4 * 80 * 64  # an old head learns, an encoder does not
    assert counts["lwf"] == counts["finetune"] + head
    assert counts["code-only"] == counts["finetune"] + code
    assert counts["ebll"] == counts["products alone"] == counts["finetune"] + head + code
    assert counts["ewc"] == counts["finetune"]


def test_steps_run_gives_all_cases_and_the_tables_of_its_text(monkeypatch):
    for name, value in {"CASES": {"tiny, batch 32": (tiny, 32)}, "IMAGES": 64, "STEPS": 2, "SIZE": 64}.items():
        monkeypatch.setattr(steps, name, value)
    text, figures = steps.run(1, "cpu")
    methods = [*steps.METHODS_TIMED, "products alone"]
    found = {(one.case, one.what) for one in figures}
    for name in methods:
        assert (f"tiny, batch 32, {name}", "step") in found
        assert (f"tiny, batch 32, {name}", "share of the matrix product") in found
        assert ((f"tiny, batch 32, {name}", "to fine-tuning") in found) == (name != "finetune")
    assert figures[-1].what == "matrix product"
    assert figures[-1].unit == "GFLOP/s"
    assert len(figures) == len(found) == 3 * len(methods)
    assert text.count("tiny, batch 32") == 1 + 3 + 1  # operations, three profiles, what products alone would cost
    assert profiled.REST in text


def test_bars_of_steps_stand_only_where_said():
    times = pd.DataFrame(
        {"finetune": [2.0, 2.0], "lwf": [3.0, 3.0], "ebll": [3.0, 2.0], steps.PRODUCT: 2 * steps.SIZE**3 / 100}
    )
    barred = {
        (case, one.case.rpartition(", ")[2], one.what): one
        for case in steps.CASES
        for one in steps.figures_of(case, times, {"finetune": 100, "lwf": 110, "ebll": 120})
        if one.bar is not None
    }
    share = "share of the matrix product"
    expected = {(case, "ebll", "to fine-tuning") for case in steps.CASES}
    expected |= {(case, "finetune", share) for case in ("mlp 784-256-256, batch 128", "cnn, batch 64")}
    assert set(barred) == expected
    one = barred["cnn, batch 64", "finetune", share]
    assert (one.value, one.bar, one.met) == (50, 80, False)  # 100 operations in 2 s, of 100 a second
    one = barred["cnn, batch 64", "ebll", "to fine-tuning"]
    assert (one.value, one.low, one.high, one.met) == (1.25, 1.0, 1.5, False)


def test_tasks_are_prepared_as_after_a_sequence():
    task = made.random_task("new", tasks.CLASSES, 1, images=64)
    for name in tasks.METHODS_TIMED:
        ready = tasks.prepared(name, 4, task, "cpu")
        assert (ready.t, len(ready.net.heads)) == (4, 5)
        widths = {key: value.shape[1] for key, value in ready.recorded.items()}
        wanted = {"soft_targets": 4 * tasks.CLASSES} if name in ("lwf", "ebll") else {}
        assert widths == wanted | ({"codes": 4 * 64} if name == "ebll" else {})


def test_tasks_run_gives_all_cases_and_the_bytes(monkeypatch):
    for name, value in {"OLD": {"2nd": 1, "5th": 2, "10th": 3}, "IMAGES": 64, "STEPS": 1}.items():
        monkeypatch.setattr(tasks, name, value)
    text, figures = tasks.run(1, "cpu")
    found = {(one.case.rpartition(", ")[2], one.what): one for one in figures}
    whats = ("5th task to 2nd", "10th task to 2nd", "bytes kept for each further task")
    whats += ("bytes kept in all, 10th task",)
    assert set(found) == {(name, what) for name in tasks.METHODS_TIMED for what in whats}
    barred = {key for key, one in found.items() if one.bar is not None}
    assert barred == {("lwf", "10th task to 2nd"), ("ebll", "10th task to 2nd")}
    head, encoder = 4 * (128 * 10 + 10), 4 * (256 * 64 + 64)
    kept = {name: found[name, "bytes kept for each further task"].value for name in tasks.METHODS_TIMED}
    assert kept == {"finetune": head, "lwf": head, "ewc": head, "ebll": head + encoder}
    assert f"{head + encoder:,}" in text


def test_shares_sum_to_one_and_see_a_large_product():
    square = torch.randn(700, 700)
    found = profiled.shares(lambda: square @ square)
    assert sum(found.values()) == pytest.approx(1)
    assert set(found) == {*profiled.GROUPS, profiled.REST}
    assert found["products and convolutions"] > 0.5


@pytest.mark.parametrize(
    ("operator", "group"),
    [
        ("aten::addmm", "products and convolutions"),
        ("aten::mkldnn_convolution", "products and convolutions"),
        ("aten::convolution_backward", "products and convolutions"),
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


def test_a_part_replaces_its_own_section_and_rows_only(tmp_path):
    where = {"page": tmp_path / "page.md", "table": tmp_path / "table.csv"}

    def write(part, value):
        figures = [figure("case", "ratio", "x", [value], 1.1), figure("case", "share", "%", [90.0], 80, most=False)]
        results.write_part(part, f"Of {part}", f"Text of {part}.", figures, FACTS, **where)
        return where["page"].read_text(encoding="utf-8")

    assert "1 met, 1 missed;" in write("one", 1.5)
    assert "3 met, 1 missed;" in write("two", 1.05)
    kept = [(part, one.value) for part, one in results.read(where["table"])]
    assert kept == [("one", 1.5), ("one", 90), ("two", 1.05), ("two", 90)]
    page = write("one", 1.02)
    assert "4 met, 0 missed;" in page
    assert page.count("## Of one") == page.count("Text of one.") == page.count("Text of two.") == 1
    assert page.index("## The bars") < page.index("## Of one") < page.index("## Of two")
    assert "1.50" not in page
    assert sorted((part, one.value) for part, one in results.read(where["table"])) == [
        ("one", 1.02),
        ("one", 90),
        ("two", 1.05),
        ("two", 90),
    ]


def test_a_part_without_bars_is_written_and_read_again(tmp_path):
    where = {"page": tmp_path / "page.md", "table": tmp_path / "table.csv"}
    results.write_part("plain", "Plain", "Text.", [figure("case", "step", "ms", [1.0, 2.0, 4.0])], FACTS, **where)
    assert results.read(where["table"]) == [("plain", Figure("case", "step", "ms", 2.0, 1.0, 4.0, 3))]
    assert "0 met, 0 missed;" in where["page"].read_text(encoding="utf-8")
    assert "2.00 (1.00 to 4.00) ms" in where["page"].read_text(encoding="utf-8")
