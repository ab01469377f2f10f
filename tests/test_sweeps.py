"""Sweeps end to end: a run is the library's own run, order and place change nothing, nothing finished is lost."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import BrokenExecutor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import pandas as pd
import pytest
import torch
from messages import raises
from pandas.testing import assert_frame_equal
from tiny_sweep import CHEAP, GRID, SLOW, cheap, same

import ebll
from ebll import EBLL, AutoencoderSettings, EbllError, InputError, LwF, Recorder
from ebll.metrics import average_accuracy, forgetting
from ebll.recording import measure_accuracy
from ebll.sweeps import FIGURES, Store, Sweep, choose_alpha, configs_of, load_sweep, plan_sweep, run_one, single
from ebll.sweeps import plan as plan_module
from ebll.sweeps.engines import chunks_of, one_by_one
from ebll.sweeps.sweep import sweep as sweep_function
from ebll.sweeps.version import run_key

HERE = Path(__file__).parent
WAIT = 60  # seconds after which something hangs


@pytest.fixture(scope="module")
def alone():
    """The sweep in this very process, which all others must equal."""
    return ebll.sweep(GRID, workers=1)


def counted(monkeypatch):
    """The configs that `run_one` is asked for in this process."""
    asked = []

    def run(config, *options):
        asked.append(config)
        return run_one(config, *options)

    monkeypatch.setattr("ebll.sweeps.engines.run_one", run)
    return asked


def test_a_run_is_the_run_of_the_library(alone):
    """`compare` on the same images, with the same settings, gives the same accuracies and curves."""
    tasks = [ebll.load_task("digits"), ebll.load_task("letters").subset(192)]
    start = ebll.learn_first(tasks[:1], seed=1, recorder=Recorder(log_every=0))
    settings = cheap().train
    methods = {
        "lwf": LwF(distill_weight=2.0),
        "ebll": EBLL(alpha=30.0, distill_weight=2.0, autoencoder=AutoencoderSettings(64)),
    }
    found = ebll.compare(tasks, methods, settings=settings, seeds=[1], starts={1: start})
    table = alone.table.set_index(["method", "seed"])
    for name in methods:
        row = table.loc[[(name, 1)]].iloc[-1]
        run = found.runs[name, 1]
        matrix = run.accuracy_matrix()
        assert (row["old"], row["new"]) == tuple(matrix.iloc[-1])
        assert (row["average"], row["forgetting"]) == (average_accuracy(matrix), forgetting(matrix))
        held = [measure_accuracy(run.net, t, task.validation) for t, task in enumerate(tasks)]
        assert [row["old_validation"], row["new_validation"]] == held
        curves = run.curves[run.curves["task"] != ""]
        ends = curves[(curves["stage"] == "train") & (curves["step"] == curves["step"].max())]
        assert row["distance"] == ends["feature_distance"].iloc[-1]
        assert row["kept_bytes"] == (run.memory.bytes() if run.memory else 0)
        mine = alone.curves.query("method == @name and seed == 1")
        mine = mine[mine["alpha"].isin([30.0]) | mine["alpha"].isna()]
        assert list(mine["feature_distance"]) == list(curves["feature_distance"])
        assert list(mine["step_learning_rate"]) == list(curves["learning_rate"])
        assert set(mine["learning_rate"]) == {0.05}
    codes = found.runs["ebll", 1].curves.query("stage == 'train'")["raw_code"].dropna()
    assert table.loc[("ebll", 1)].iloc[-1]["code_loss"] == codes.iloc[-max(1, len(codes) // 4) :].mean()


def test_tables_hold_a_row_a_run_and_leave_empty_what_a_method_lacks(alone):
    table = alone.table
    assert len(table) == len(alone.configs) == 8
    assert list(table)[-len(FIGURES) - 2 :] == [*FIGURES, "failure", "code"]
    assert table.groupby("method")["alpha"].nunique().to_dict() == {"finetune": 0, "lwf": 0, "ebll": 2}
    assert table.loc[table["method"] == "finetune", "temperature"].isna().all()
    assert not table[["old", "new", "distance"]].isna().any().any()
    assert table.loc[table["method"] == "ebll", "code_loss"].notna().all()
    assert alone.varied == ["method", "alpha", "seed"]
    assert repr(alone) == "Sweep(8 of 8 runs, 0 failed)"
    assert not alone.stopped
    # The runs do differ, or equal tables would show nothing.
    assert table["distance"].nunique() == len(table)


def test_the_order_of_runs_changes_nothing(alone):
    for cache in (single._start, single._cut, single._task):
        cache.cache_clear()
    backwards = ebll.sweep(alone.configs[::-1], workers=1)
    turned = Sweep(alone.configs, backwards.results)
    assert backwards.configs == alone.configs[::-1]
    same(turned, alone)


def test_longer_sequences_are_a_pure_function_too():
    grid = {**CHEAP, "tasks": ["digits", "letters", "mnist"], "method": ["ewc", "ebll"], "alpha": [1.0, [1.0, 20.0]]}
    one = ebll.sweep(grid, workers=1)
    assert list(one.table["alpha"].fillna("none")) == ["none", 1.0, "1, 20"]
    other = ebll.sweep(one.configs[::-1], workers=1)
    same(Sweep(one.configs, other.results), one)
    assert one.table["old"].nunique() == 3


@pytest.mark.slow
def test_a_pool_gives_the_same_tables(alone, tmp_path):
    same(ebll.sweep(GRID, workers=2, store=tmp_path), alone)
    assert {one.config for one in Store(tmp_path).all()} == set(alone.configs)
    same(ebll.sweep(GRID, workers=2, store=tmp_path), alone)


def test_an_executor_gives_the_same_tables(alone, tmp_path, monkeypatch):
    monkeypatch.setattr("ebll.sweeps.engines.SLICE", 0.0)  # every chunk comes back after one run, and goes on
    with ThreadPoolExecutor(2) as executor:
        told = []
        found = ebll.sweep(GRID, executor=executor, store=tmp_path, progress=lambda *counts: told.append(counts))
    same(found, alone)
    assert told == [(done, 8) for done in range(9)]
    assert load_sweep(tmp_path).table["old"].sum() == pytest.approx(alone.table["old"].sum())


def test_chunks_hold_every_run_once_and_share_a_first_network():
    configs = configs_of({**GRID, "seed": range(9), "alpha": [1.0, 2.0, 3.0]})
    for workers in (1, 2, 7, 1000):
        chunks = chunks_of(configs, workers)
        assert sorted(run_key(one) for chunk in chunks for one in chunk) == sorted(map(run_key, configs))
        assert {len({config.seed for config in chunk}) for chunk in chunks} == {1}
        assert max(map(len, chunks)) <= 8


def test_what_is_there_is_not_run_again(alone, tmp_path, monkeypatch):
    asked = counted(monkeypatch)
    ebll.sweep({**GRID, "alpha": 30.0}, store=tmp_path, workers=1)
    assert len(asked) == 6
    found = ebll.sweep(GRID, store=tmp_path, workers=1)
    assert {config.alpha for config in asked[6:]} == {1.0}
    assert len(asked) == 8
    same(found, alone)
    same(load_sweep(tmp_path), Sweep(load_sweep(tmp_path).configs, alone.results))


def test_a_damaged_result_is_named_and_run_again(alone, tmp_path, monkeypatch):
    ebll.sweep(GRID, store=tmp_path, workers=1)
    path = Store(tmp_path).path(run_key(alone.configs[3]))
    path.write_bytes(path.read_bytes()[:-30])
    asked = counted(monkeypatch)
    found = ebll.sweep(GRID, store=tmp_path, workers=1)
    assert asked == [alone.configs[3]]
    assert found.damaged == [path.name]
    assert [one.name for one in (tmp_path / "damaged").iterdir()] == [path.name]
    same(found, alone)
    assert ebll.sweep(GRID, store=tmp_path, workers=1).damaged == []


def test_another_version_of_the_code_runs_all_anew_and_loses_nothing(tmp_path, monkeypatch):
    grid = {**GRID, "method": "lwf"}
    with monkeypatch.context() as patch:
        for module in ("version", "single"):
            patch.setattr(f"ebll.sweeps.{module}.code_version", lambda: "older")
        ebll.sweep(grid, store=tmp_path, workers=1)
    assert plan_sweep(grid, store=tmp_path).known == 0
    asked = counted(monkeypatch)
    assert set(load_sweep(tmp_path).table["code"]) == {"older"}
    found = ebll.sweep(grid, store=tmp_path, workers=1)
    assert len(asked) == 2
    assert "older" not in set(found.table["code"])
    assert len(list(Store(tmp_path).all())) == 4


def test_a_run_that_diverges_is_told_kept_and_stops_no_other(tmp_path, monkeypatch):
    grid = {**CHEAP, "method": "ewc", "epochs": 20, "ewc_strength": [1.0, 1e14]}
    found = ebll.sweep(grid, store=tmp_path, workers=1)
    assert list(found.table["failure"] == "") == [True, False]
    assert found.table["old"].notna().tolist() == [True, False]
    (failure,) = found.failures
    assert failure.startswith("ewc_strength 1e+14: ")
    assert "diverged" in failure
    asked = counted(monkeypatch)
    same(ebll.sweep(grid, store=tmp_path, workers=1), found)
    assert asked == []


def test_a_run_in_trouble_costs_no_other_and_is_tried_again(alone, tmp_path, monkeypatch):
    def learn(run, *given):
        if run.method.name == "lwf":
            raise MemoryError("too much")
        return ebll.protocol.learn(run, *given)

    with monkeypatch.context() as patch:
        patch.setattr(single, "learn", learn)
        found = ebll.sweep(GRID, store=tmp_path, workers=1)
    assert set(found.table.loc[found.table["failure"] != "", "method"]) == {"lwf"}
    assert "MemoryError: too much (not kept" in found.failures[0]
    asked = counted(monkeypatch)
    same(ebll.sweep(GRID, store=tmp_path, workers=1), alone)
    assert {config.method for config in asked} == {"lwf"}


class Broken(ThreadPoolExecutor):
    """Loses its second chunk: the error of a task, or of the whole executor."""

    def __init__(self, error):
        super().__init__(1)
        self.error, self.calls = error, 0

    def submit(self, fn, /, *args):
        self.calls += 1
        if self.calls != 2:
            return super().submit(fn, *args)
        lost = Future()
        lost.set_exception(self.error)
        return lost


def test_a_chunk_that_is_lost_takes_no_other_with_it(alone, tmp_path):
    with Broken(ValueError("lost in space")) as executor, raises(EbllError, "1 portions", "lost in space"):
        ebll.sweep(GRID, store=tmp_path, executor=executor)
    left = set(alone.configs) - {one.config for one in Store(tmp_path).all()}
    assert left == set(chunks_of(alone.configs, 1)[1])
    same(ebll.sweep(GRID, store=tmp_path, workers=1), alone)


def test_a_broken_executor_is_told_at_once_in_words():
    with (
        Broken(BrokenExecutor("all gone")) as executor,
        raises(EbllError, "all gone"),
    ):
        ebll.sweep(GRID, executor=executor)
    closed = ThreadPoolExecutor(1)
    closed.shutdown()
    with raises(EbllError, "shutdown"):
        ebll.sweep(GRID, executor=closed)


def test_workers_of_another_version_are_refused(monkeypatch):
    from ebll.sweeps import engines

    with raises(EbllError, "ebll"):
        engines._run_chunk([cheap()], None, "another")


@pytest.mark.slow
@pytest.mark.parametrize("where", ["here", "threads", "pool"])
def test_stop_ends_soon_and_keeps_what_is_done(alone, tmp_path, where):
    """Two quick runs, then runs that would take an hour."""
    slow = configs_of({**SLOW, "distill_weight": [2.0, 3.0]})
    quick = [config for config in alone.configs if config.seed == 0][:2]  # they begin as the slow ones do, before them
    made, since = Sweep(), []

    def stop():
        if len(made.results) >= 2 and not since:
            since.append(time.monotonic())
        return bool(since)

    with ThreadPoolExecutor(2) if where == "threads" else contextlib.nullcontext() as executor:
        workers = 2 if where == "pool" else 1
        found = ebll.sweep(
            [*quick, *slow], store=tmp_path if where == "here" else None, workers=workers, executor=executor,
            stop=stop, into=made,
        )  # fmt: skip
    assert time.monotonic() - since[0] < WAIT  # not the hour of the slow runs: the threads have ended, too
    assert found is made
    assert found.stopped
    assert set(found.results) == set(quick)
    if where == "here":
        assert {one.config for one in Store(tmp_path).all()} == set(quick)
    assert list(one_by_one(slow, None, lambda: True)) == []


def test_what_is_collected_can_be_looked_at_meanwhile_and_is_not_run_again(alone, monkeypatch):
    made, rows = Sweep(), []
    ebll.sweep(GRID, workers=1, into=made, progress=lambda done, total: rows.append((done, len(made.table), total)))
    assert rows == [(done, done, 8) for done in range(9)]
    asked = counted(monkeypatch)
    ebll.sweep(GRID, workers=1, into=made)
    assert asked == []
    same(made, alone)


DRIVER = """
import sys; sys.path.insert(0, {here!r})
import ebll
from tiny_sweep import GRID, SLOW
from ebll.sweeps import configs_of
if __name__ == "__main__":
    configs = configs_of(GRID) + (configs_of(SLOW) if {slow} else [])
    ebll.sweep(configs, store={store!r}, workers={workers}, progress=lambda *counts: print(*counts, flush=True))
"""


@contextlib.contextmanager
def started(tmp_path, store, *, workers, slow):
    script = tmp_path / f"driver{workers}{slow}.py"
    script.write_text(DRIVER.format(here=str(HERE), slow=slow, store=str(store), workers=workers))
    process = subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True, start_new_session=True)
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_kill_9_loses_nothing_that_was_done(alone, tmp_path, monkeypatch, workers):
    store = tmp_path / "store"
    with started(tmp_path, store, workers=workers, slow=True) as process:
        for line in process.stdout:
            if line.startswith("3 "):
                break
        process.kill()
        process.wait()
    time.sleep(0.5)  # its workers end with it
    before = {path: path.stat().st_mtime_ns for path in store.glob("runs/*/*.json")}
    assert len(before) >= 3
    asked = counted(monkeypatch)
    found = ebll.sweep(GRID, store=store, workers=1)
    same(found, alone)
    assert len(asked) == 8 - len(before)
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert found.damaged == []


@pytest.mark.slow
def test_two_processes_share_a_store(alone, tmp_path):
    store = tmp_path / "store"
    with started(tmp_path, store, workers=1, slow=False) as other:
        mine = ebll.sweep(GRID, store=store, workers=1)
        told, _ = other.communicate(timeout=WAIT)
        assert other.returncode == 0
    same(mine, alone)
    assert told.splitlines()[-1] == "8 8"
    assert {one.config for one in Store(store).all()} == set(alone.configs)
    assert not (store / "damaged").exists()


def test_the_plan_says_what_there_is_to_do_and_what_it_costs(alone, tmp_path):
    plans = []
    ebll.sweep({**GRID, "alpha": 1.0}, store=tmp_path, workers=1, on_plan=plans.append)
    ebll.sweep(GRID, store=tmp_path, workers=1, on_plan=plans.append)
    first, second = plans
    assert (first.runs, first.known, second.runs, second.known) == (6, 0, 8, 6)
    assert "6 runs: about" in first.words()
    assert "8 runs, 6 of them there already; the other 2: about" in second.words()
    assert plan_sweep(GRID, store=tmp_path, workers=1).words() == "8 runs, all of them there already."
    taken = sum(path.stat().st_size for path in tmp_path.glob("runs/*/*.json"))
    assert 0.5 < (first.disk + second.disk) / taken < 2
    assert first.seconds > 0


def test_the_estimate_of_disk_holds_for_usual_runs(tmp_path):
    plan = plan_sweep({"method": ["lwf", "ebll"]}, store=tmp_path / "store")
    ebll.sweep({"method": ["lwf", "ebll"]}, store=tmp_path / "store", workers=1)
    taken = sum(path.stat().st_size for path in tmp_path.rglob("*.json"))
    assert 0.5 < plan.disk / taken < 2


def test_known_runs_set_the_pace_and_workers_share_the_time():
    configs = configs_of({"method": "lwf", "seed": range(40)})
    known = {config: 7.0 for config in configs[:20]}
    one = plan_module.plan_of(configs, known, 1)
    assert one.seconds == pytest.approx(20 * 7.0)
    assert plan_module.plan_of(configs, known, 4).seconds == pytest.approx(20 * 7.0 / 4 + plan_module._BEGIN)


@pytest.mark.parametrize(
    ("target", "value", "named"),
    [
        ("free_memory", lambda: 1e4, r"8 runs .*memory.* 10 kB"),
        ("shutil.disk_usage", lambda path: type("Usage", (), {"free": 9e3}), r"8 runs .* 9 kB"),
    ],
)
def test_a_grid_too_large_for_memory_or_disk_is_refused_before_anything_runs(
    tmp_path, monkeypatch, target, value, named
):
    asked = counted(monkeypatch)
    monkeypatch.setattr(f"ebll.sweeps.plan.{target}", value)
    with pytest.raises(InputError, match=named):
        ebll.sweep(GRID, store=tmp_path, workers=1)
    with pytest.raises(InputError, match=named):
        plan_sweep(GRID, store=tmp_path / "new")
    assert asked == []
    assert not (tmp_path / "new").exists()


def test_free_memory_is_of_this_machine():
    assert 1e7 < plan_module.free_memory() < 1e14


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"workers": 0}, ["workers", "at least 1", "got 0"]),
        ({"executor": object()}, ["executor", "submit", "got object"]),
        ({"client": 3}, ["client", "Dask Client", "got int"]),
        ({"executor": ThreadPoolExecutor(1), "client": 3}, ["executor", "client"]),
    ],
)
def test_bad_options_are_refused(options, named):
    with raises(InputError, *named):
        ebll.sweep(GRID, **options)


def test_the_front_door_leads_to_the_sweep():
    assert ebll.sweep is sweep_function is ebll.sweeps.sweep
    assert ebll.sweeps.choose_alpha is choose_alpha


def test_tables_are_saved_as_they_are(alone, tmp_path):
    table, curves = alone.save(tmp_path / "deep")
    read = pd.read_csv(table)
    assert list(read) == list(alone.table)
    assert_frame_equal(read.drop(columns="failure"), alone.table.drop(columns="failure"), rtol=1e-5, check_dtype=False)
    assert list(pd.read_csv(curves)) == list(alone.curves)
    assert len(pd.read_csv(curves)) == len(alone.curves) > 0


@pytest.mark.slow
def test_a_process_pool_of_ones_own_will_do(alone):
    with ProcessPoolExecutor(1) as executor:
        found = ebll.sweep(alone.configs[:2], executor=executor)
    same(found, Sweep(alone.configs[:2], alone.results))


@pytest.mark.parametrize("device", ["tpu!", "meta", "cuda:x", None])
def test_an_unknown_device_is_refused(device):
    with raises(InputError, "device", "'cpu'", repr(device)):
        ebll.sweep(GRID, device=device)


@pytest.mark.skipif(torch.cuda.is_available(), reason="has a GPU")
def test_a_gpu_that_is_not_there_is_said():
    with raises(InputError, "'cuda'"):
        ebll.sweep(GRID, device="cuda")


def test_what_a_gpu_will_take_is_not_guessed():
    configs = configs_of(GRID)
    plan = plan_module.plan_of(configs, {}, 1, stored=False, device="cuda")
    assert plan.words() == "8 runs: time unknown before the first."
    known = plan_module.plan_of(configs, {configs[0]: 0.01}, 1, stored=False, device="cuda")
    assert known.words() == "8 runs, 1 of them there already; the other 7: about 1 s."
    assert (
        plan_module.plan_of(configs, dict.fromkeys(configs, 0.01), 1, device="cuda").words()
        == "8 runs, all of them there already."
    )


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"stop": True}, ["stop", "True"]),
        ({"progress": 3}, ["progress", 3]),
        ({"into": {}}, ["into", "Sweep"]),
    ],
)
def test_options_of_the_wrong_kind_are_said(options, named):
    with raises(InputError, *named):
        ebll.sweep(GRID, **options)
    with raises(InputError, "grid", "dict", "None"):
        ebll.sweep(None)
