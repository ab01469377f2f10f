"""The benchmarks compare the same work on both sides, and count, divide and attribute rightly; nothing is timed."""

import dataclasses
import functools
import re

import numpy as np
import pandas as pd
import pytest
import torch
from claim_rig import CURVES, PLAN, STORY, accuracy_table, changed, curve_table, gap_table
from tiny import SETTINGS, blobs
from tiny_plan import tiny
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import bare, choose_settings, loop, made, measuring, reproducing, results, steps, tasks, verdicts
from benchmarks.peers import against, sides
from benchmarks.reproducing import REST, SHARED, Clock
from benchmarks.results import read, verdict, write_part
from benchmarks.rounds import Figure, figure, interleaved
from ebll.data.catalog import load_cut
from ebll.methods import METHODS
from ebll.networks import build_network
from ebll.protocol import learn_first
from ebll.recording import Recorder


def small_net(shape):
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 80), nn.ReLU()), nn.Sequential(nn.Linear(80, 8), nn.ReLU())


@pytest.fixture(scope="module")
def ready():
    """Methods about to learn the second of two small tasks, and small sizes in place of those that are timed."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setitem(bare.NETS, "tiny", bare.mlp)
        patched.setattr(loop, "BATCH", 32)
        patched.setattr(loop, "EPOCHS", 1)
        for part in (sides, against):
            patched.setattr(part, "IMAGES", sides.BATCH)  # one batch in place of an epoch
        for part in (made, tasks):
            patched.setattr(part, "IMAGES", 64)
        yield made.prepared(small_net, 32, "cpu", steps.METHODS_TIMED)


def test_a_figure_is_the_median_with_the_extremes_and_keeps_to_its_bar_on_the_right_side():
    assert figure("a", "b", "x", [3.0, 1.0, 2.0]) == Figure("a", "b", "x", 2.0, 1.0, 3.0, 3)
    assert figure("a", "b", "x", [1.0]).met is None
    for values, bar, most, words in [
        ([1.0], 1.1, True, "met"),
        ([80.0], 80, False, "met"),
        ([1.25], 1.1, True, "missed by 0.15"),
        ([3.5], 4.0, False, "missed by 0.50"),
        ([1.1004], 1.1, True, "missed by less than its last digit"),
        ([1.0, 1.2, 1.3], 1.1, True, "missed by 0.10, on both sides"),
    ]:
        one = figure("net", "to that", "x", values, bar, most=most)
        assert (one.met, verdict(one)) == (words == "met", words)


def test_cases_run_in_every_round_and_take_turns():
    called = []
    cases = {name: (lambda name=name: called.append(name)) for name in "abc"}
    times = interleaved(cases, 3, warm_up=1, ready=lambda: called.append("-"))
    assert times.shape == (3, 3)
    assert list(times.columns) == ["a", "b", "c"]
    assert "".join(called) == "a-b-c-b-c-a-c-a-b-a-b-c-"


def test_a_part_replaces_its_own_section_and_rows_only_and_keeps_its_place(tmp_path):
    where = {"page": tmp_path / "page.md", "table": tmp_path / "table.csv"}
    facts = {"machine": "a machine", "torch": "2", "python": "3", "threads": "1", "load": "0.0"}

    def write(part, value):
        figures = [figure("case", "ratio", "x", [value, 2 * value], 2.0), figure("case", "kept", "bytes", [70952.0])]
        write_part(part, f"Of {part}", f"Text of {part}.", figures, facts, **where)
        return figures

    write("one", 1.5)
    two, one = write("two", 1.0), write("one", 1.25)
    page = where["page"].read_text(encoding="utf-8")
    assert "2 of 2 bars are met." in page
    assert read(where["table"]) == [(name, row) for name, part in (("one", one), ("two", two)) for row in part]
    assert page.count("## Of one") == page.count("Text of one.") == page.count("Text of two.") == 1
    assert page.index("| ratio") < page.index("## Of one") < page.index("## Of two")
    assert "70,952" not in page, "only what has a bar stands in the table at the top"
    assert results.PAGE.read_text(encoding="utf-8").startswith(results.top()), "the bars of the committed figures"


def test_measuring_counts_in_the_records():
    pair = [blobs(name, seed, shape=(1, 28, 28)) for seed, name in enumerate(("old", "newer"))]
    begin = learn_first(pair, settings=SETTINGS, recorder=Recorder(log_every=0))
    times, counts = measuring.timed(pair, begin, SETTINGS, 1, "cpu")
    assert list(times.columns) == [*measuring.LOG_EVERY, measuring.GRADIENTS, measuring.DRIFT]
    assert counts[measuring.NEVER] == (0, 0)
    measured, count = counts[measuring.ALWAYS]
    assert measured == count + 2  # in warm-up and training, before each step and after the last
    assert 0 < counts[measuring.DEFAULT][0] < measured
    assert counts[measuring.DEFAULT][1] == count


def test_time_belongs_to_the_innermost_block():
    ticks = iter(range(100))
    clock = Clock(lambda: next(ticks))  # each change of place takes one second
    with clock.at(sequence="a-b", method="lwf"), clock.at(stage="training"):
        with pytest.raises(ValueError, match="stop"), clock.at(stage="measuring"):
            raise ValueError("stop")
        with clock.at(stage="measuring"):
            pass
    spent = {REST: 2, "training": 3, "measuring": 2}
    assert clock.spent == {("a-b", "lwf", stage): time for stage, time in spent.items()} | {(SHARED, SHARED, REST): 1}


def test_the_time_of_a_main_job_is_told_apart(monkeypatch, tmp_path):
    monkeypatch.setattr(reproducing, "CSV", tmp_path / "main_job.csv")
    monkeypatch.setattr(reproducing, "PROFILE", "tiny")
    monkeypatch.setattr(reproducing, "first_lines", lambda folder: [2.0, 4.0])
    monkeypatch.setattr(reproducing, "reproduce", functools.partial(reproducing.reproduce, methods=("ewc", "ebll")))
    monkeypatch.setattr("ebll.reproduce.report.draw", lambda *given: [])
    load_cut.cache_clear()  # as in a process of its own
    with tiny():
        text, _ = reproducing.run(1, "cpu")
    parts = pd.read_csv(reproducing.CSV)
    assert {*reproducing.STAGES, reproducing.FIRST, REST, "training", "warm-up"} <= {*parts["stage"]}
    assert set(parts["method"]) == {"single-task", "ebll", "ewc", SHARED}
    told = {name: float(share) for name, share in re.findall(r"(?:[:,] )([A-Za-z -]+?) ([\d.]+) %", text)}
    assert sum(told.values()) == pytest.approx(100, abs=1)
    training = parts.loc[parts["stage"] == "training", "seconds"].sum() / parts["seconds"].sum()
    assert told["training"] == pytest.approx(100 * training, abs=0.6)


@pytest.mark.parametrize("name", loop.METHODS_TIMED)
def test_both_loops_do_the_same_work(ready, name):
    assert loop.difference(ready[name].in_double(), "tiny") < loop.TOLERANCE


@pytest.mark.parametrize(
    ("name", "changes"), [("lwf", {"temperature": 2.01}), ("lwf", {"distill_weight": 0.99}), ("ebll", {"alpha": 3.01})]
)
def test_other_work_is_seen_and_refused(ready, name, changes):
    double = ready[name].in_double()
    apart = loop.difference(dataclasses.replace(double, method=double.method.replace(**changes)), "tiny")
    for found in (apart, float("nan")):
        with pytest.raises(SystemExit, match="a case: the sides do not do the same work"):
            loop.checked("a case", found)
        with pytest.raises(SystemExit, match="do not do the same work"):
            sides.checked(name, {"first loss": 0.0, "weights": found})


def test_operations_of_every_method_are_those_of_its_products(ready):
    counts = {name: steps.operations(one, 32) for name, one in steps.with_products(ready).items()}
    # Forwards and for the weights, and where what comes in needs a gradient, for that too.
    assert counts["finetune"] == 32 * (4 * 784 * 80 + 6 * 80 * 8 + 6 * 8 * ready["finetune"].task.class_count)
    head, code = 32 * 6 * 8 * 26, 32 * 4 * 80 * 64  # an old head learns, an encoder does not
    assert counts["lwf"] == counts["finetune"] + head
    assert counts["code-only"] == counts["finetune"] + code
    assert counts["ebll"] == counts["products alone"] == counts["finetune"] + head + code
    assert counts["ewc"] == counts["finetune"]


def test_bars_are_to_the_bare_products_and_to_the_growth_of_the_operations():
    times = pd.DataFrame({"finetune": [2.0, 2.0], "ebll": [3.0, 2.8], "products alone": [2.5, 2.8]})
    figures = steps.figures_of("case", times, {"finetune": 100, "ebll": 120, "products alone": 120})
    (one,) = [one for one in figures if one.bar is not None]
    assert one == Figure("case, ebll", steps.TO_PRODUCTS, "x", 1.1, 1.0, 1.2, 2, 1.08)
    times = pd.DataFrame({("ebll", "2nd"): [1.0, 1.0], ("ebll", "5th"): [1.2, 1.2], ("ebll", "10th"): [1.5, 1.8]})
    found = {one.what: one for one in tasks.figures_of("ebll", times, {"2nd": 100, "5th": 120, "10th": 150}, 70)}
    assert found[tasks.GROWTH].value == pytest.approx(1.65)
    one = found[tasks.TO_OPERATIONS]
    assert (one.value, one.low, one.high, one.bar) == pytest.approx((1.1, 1.0, 1.2, 1.05))


def test_tasks_count_the_bytes_of_a_further_task(ready, monkeypatch):
    monkeypatch.setattr(tasks, "OLD", {"2nd": 1, "5th": 2, "10th": 3})
    monkeypatch.setattr(tasks, "interleaved", lambda cases, rounds, **_: pd.DataFrame({c: [1.0] for c in cases}))
    _, figures = tasks.run(1, "cpu")
    head, encoder = 4 * (128 * 10 + 10), 4 * (256 * 64 + 64)
    kept = {one.case.rpartition(", ")[2]: one.value for one in figures if one.what == tasks.KEPT}
    assert kept == {"finetune": head, "lwf": head, "ewc": head, "ebll": head + encoder}


def test_the_ratios_of_peers_are_taken_round_by_round():
    rows = [
        {"round": r, "method": "lwf", "side": side, "threads": 1, "floor": 0.5, "seconds": s, "whole": 2 * s}
        for r, (ours, theirs) in enumerate([(1.0, 4.0), (2.0, 6.0), (1.0, 5.0)])
        for side, s in (("ebll", ours), ("avalanche", theirs))
    ]
    found = {f.what: f for f in against.figures_of(pd.DataFrame(rows))}
    ratio = found[against.RATIO]
    assert (ratio.value, ratio.low, ratio.high, ratio.bar, ratio.met) == (4.0, 3.0, 5.0, 4.0, True)
    assert found[against.POSSIBLE].value == 10.0
    assert found["products alone, of a step of ebll"].value == 50.0


def test_peers_get_the_data_in_the_order_of_our_loop_and_products_are_those_of_a_step(ready):
    data, seen, b = sides.made_data(), [], against.BATCH
    moved, ours = sides.in_our_order(data), sides.begun("naive", data)
    assert not np.array_equal(moved["x1"], data["x1"])
    ours.net.features.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    sides.epoch(ours)
    assert np.array_equal(torch.cat(seen).numpy(), moved["x1"])
    shared, head, code = 4 * b * 784 * 256 + 6 * b * 256 * 256, 6 * b * 256 * 10, 4 * b * 256 * 64
    for name, count in {"naive": shared + head, "lwf": shared + 2 * head, "ebll": shared + 2 * head + code}.items():
        epoch = against.products(name)
        with FlopCounterMode(display=False) as counter:
            epoch()
        assert counter.get_total_flops() == count


# ---- how settings were chosen, and how firm the verdicts are


def test_a_choice_of_settings_that_was_stopped_goes_on_where_it_was(monkeypatch):
    made = []

    def measure(net, seed, stage, chosen):
        made.append((net, seed, stage, chosen))
        fact = {"net": net, "seed": seed, "before": 0.5, "old": 0.5}
        return [
            fact | {"setting": name, "value": value, "new_task": task, "new": 1 / value}
            for name, value, task in choose_settings.expected(stage)
        ]

    monkeypatch.setattr(choose_settings, "measure", measure)
    *_, whole = choose_settings.work([], ["mlp", "cnn"], [100, 101], 1)
    every, chosen = list(made), made[-1][-1]
    assert len(every) == len({call[:3] for call in every}) == 2 * 2 * len(choose_settings.STAGES)
    assert chosen["learning_rate"] == 0.005  # what was chosen in one stage is used in the next
    made.clear()
    rows = [row for row in whole if row["setting"] in choose_settings.STAGES[0] or row["seed"] == 100]
    rows[0] = rows[0] | {"value": 0.25}  # of the mlp's first seed: a value that is not asked for
    *_, again = choose_settings.work(rows, ["mlp", "cnn"], [100, 101], 1)
    assert made == [every[0], *(call for call in every if call[2] > 0)]
    made.clear()
    assert list(choose_settings.work(again, ["mlp", "cnn"], [100, 101], 1))
    assert not made
    key = ["net", "setting", "value", "seed"]
    assert pd.DataFrame(again).sort_values(key).to_dict("list") == pd.DataFrame(whole).sort_values(key).to_dict("list")


def test_verdicts_are_counted_over_repetitions_that_share_no_seed(monkeypatch):
    every = verdicts.repetitions()
    own = [{job.seed for job in verdicts.jobs(one.first_seed)} for one in every]
    assert len(every) == 20
    assert len(set.union(*own)) == sum(map(len, own))
    monkeypatch.setattr(verdicts, "REST", list(PLAN))
    monkeypatch.setattr(verdicts, "CURVES", [])
    worlds = {"one": (STORY, range(5)), "two": (changed("lwf", forgets=0.5), range(5, 10))}
    found = {
        name: {
            "accuracy": accuracy_table(story, seeds),
            "curves": curve_table(CURVES, seeds),
            "gaps": gap_table(seeds=seeds),
        }
        for name, (story, seeds) in worlds.items()
    }
    text, table = verdicts.page(found)
    assert table.groupby("id")["verdict"].agg(list)["C3"] == ["supported", "not supported"]
    assert re.search(r"^\| C3 +\| LwF forgets less than fine-tuning\.", text, re.M)
    assert "supported 1, not supported 1 of 2" in text
    # Of three seeds, one group has some of either world, of which it can decide nothing.
    assert re.search(r"^\| C9 +\| 2 supported, 1 undecided +\| 2 supported +\| 1 supported ", text, re.M)


def test_a_repetition_of_another_plan_is_made_anew(tmp_path, monkeypatch):
    one = verdicts.repetitions()[0]
    (tmp_path / one.name).mkdir()
    assert not verdicts.whole(one, tmp_path)
    (tmp_path / one.name / verdicts.MADE_BY).write_text(verdicts.plan_of(one), encoding="utf-8")
    assert verdicts.whole(one, tmp_path)
    monkeypatch.setitem(METHODS, "ebll", functools.partial(METHODS["ebll"], alpha=2.0))
    assert not verdicts.whole(one, tmp_path)


def test_a_disturbed_network_differs_in_the_last_bits():
    plain, disturbed = (build("mlp", (1, 4, 4), 3) for build in (build_network, verdicts.disturbed_network))
    for one, other in zip(plain.parameters(), disturbed.parameters(), strict=True):
        assert 0 < ((other - one).abs() / one.abs()).max() < 1e-5
