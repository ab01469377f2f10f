"""Sweeps end to end: a run is the library's own run, order and place change nothing, nothing finished is lost."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import pytest
from messages import raises
from tiny_sweep import CHEAP, GRID, cheap, same

import ebll
from ebll import EBLL, EbllError, InputError, LwF, Recorder
from ebll.data.catalog import load_cut
from ebll.metrics import average_accuracy, forgetting
from ebll.recording import measure_accuracy
from ebll.sweeps import SCALARS, Store, Sweep, load_sweep, run_one, runs
from ebll.sweeps.runs import RESULTS_VERSION
from ebll.sweeps.sweep import run_into

HERE = Path(__file__).parent
WAIT = 60  # seconds after which something hangs


@pytest.fixture(scope="module")
def alone():
    """The sweep in this very process, which all others must equal."""
    return ebll.sweep(GRID, workers=1)


@pytest.fixture
def asked(monkeypatch):
    """The configs that are run in this process."""
    made = []

    def run(config, *options):
        made.append(config)
        return run_one(config, *options)

    monkeypatch.setattr(sys.modules["ebll.sweeps.sweep"], "run_one", run)
    return made


def test_a_run_is_the_run_of_the_library(alone):
    """`compare` on the same images, with the same settings, gives the same accuracies and curves."""
    tasks = [ebll.load_task("digits"), ebll.load_task("letters").subset(192)]
    start = ebll.learn_first(tasks[:1], seed=1, recorder=Recorder(log_every=0))
    ours = EBLL(alpha=30.0)
    methods = {"lwf": LwF(), "ebll": ours}
    found = ebll.compare(tasks, methods, settings=cheap().train, seeds=[1], starts={1: start})
    for name in methods:
        run = found.runs[name, 1]
        config = next(one for one in alone.configs if one.method == name and one.seed == 1 and one.alpha in (30.0, 3.0))
        made, matrix = alone.results[config], run.accuracy_matrix()
        held = [measure_accuracy(run.net, t, task.validation) for t, task in enumerate(tasks)]
        curves = run.curves[run.curves["task"] != ""]
        train = curves[curves["stage"] == "train"]
        codes = train["raw_code"].dropna()
        assert made.accuracy == run.recorder.accuracy_rows
        assert [row["feature_distance"] for row in made.curves] == list(curves["feature_distance"])
        assert [row["learning_rate"] for row in made.curves] == list(curves["learning_rate"])
        assert {key: value for key, value in made.scalars.items() if value == value} == {
            "old": matrix.iloc[-1, 0], "new": matrix.iloc[-1, 1], "average": average_accuracy(matrix),
            "forgetting": forgetting(matrix), "old_validation": held[0], "new_validation": held[1],
            "distance": train["feature_distance"].iloc[-1], "kept_bytes": run.memory.bytes() if run.memory else 0,
        } | ({"code_loss": codes.iloc[-max(1, len(codes) // 4) :].mean()} if len(codes) else {})  # fmt: skip


def test_tables_hold_a_row_a_run_and_leave_empty_what_a_method_lacks(alone):
    table = alone.table
    assert len(table) == len(alone.configs) == 8
    assert list(table)[-len(SCALARS) - 1 :] == [*SCALARS, "failure"]
    assert table.groupby("method")["alpha"].nunique().to_dict() == {"finetune": 0, "lwf": 0, "ebll": 2}
    assert table.loc[table["method"] == "finetune", "temperature"].isna().all()
    assert set(alone.curves["learning_rate"]) == {0.05}
    assert alone.curves["step_learning_rate"].nunique() > 1
    assert alone.varied == ["method", "alpha", "seed"]
    assert repr(alone) == "Sweep(8 of 8 runs, 0 failed)"
    assert table["distance"].nunique() == len(table), "the runs do differ, or equal tables would show nothing"


def test_the_order_of_runs_changes_nothing(alone):
    load_cut.cache_clear()
    backwards = ebll.sweep(alone.configs[::-1], workers=1)
    assert backwards.configs == alone.configs[::-1]
    same(Sweep(alone.configs, backwards.results), alone)


def test_longer_sequences_are_a_pure_function_too():
    grid = {**CHEAP, "tasks": ["digits", "letters", "mnist"], "method": ["ewc", "ebll"], "alpha": [1.0, [1.0, 20.0]]}
    one = ebll.sweep(grid, workers=1)
    assert list(one.table["alpha"].fillna("none")) == ["none", 1.0, "1, 20"]
    other = ebll.sweep(one.configs[::-1], workers=1)
    same(Sweep(one.configs, other.results), one)
    assert one.table["old"].nunique() == 3


@pytest.mark.slow
def test_processes_give_the_same_tables(alone, tmp_path):
    same(ebll.sweep(GRID, workers=2, store=tmp_path), alone)
    with ProcessPoolExecutor(1) as executor:
        few = alone.configs[:2]
        same(ebll.sweep(few, executor=executor), Sweep(few, alone.results))


def test_an_executor_gives_the_same_tables(alone, tmp_path):
    with ThreadPoolExecutor(2) as executor:
        told = []
        found = ebll.sweep(GRID, executor=executor, store=tmp_path, progress=lambda *counts: told.append(counts))
    same(found, alone)
    assert told == [(done, 8) for done in range(9)]
    same(load_sweep(tmp_path, GRID), alone)


def test_what_is_there_is_not_run_again_and_a_damaged_result_is_named_and_run_again(alone, tmp_path, asked):
    ebll.sweep({**GRID, "alpha": 30.0}, store=tmp_path, workers=1)
    assert len(asked) == 6
    some = load_sweep(tmp_path, GRID)
    assert (len(some.configs), len(some.results), len(some.missing)) == (8, 6, 2)
    found = ebll.sweep(GRID, store=tmp_path, workers=1)
    assert {config.alpha for config in asked[6:]} == {1.0}
    assert len(asked) == 8
    same(found, alone)
    assert load_sweep(tmp_path).missing == []
    path = Store(tmp_path).path(alone.configs[3])
    path.write_bytes(path.read_bytes()[:-30])
    asked.clear()
    found = ebll.sweep(GRID, store=tmp_path, workers=1)
    assert asked == [alone.configs[3]]
    assert found.damaged == [path.name]
    same(found, alone)
    assert load_sweep(tmp_path, GRID).damaged == []


def test_a_run_that_fails_stops_no_other_and_is_tried_again_unless_it_diverged(tmp_path, monkeypatch, asked):
    def learn(run, *given):
        if run.method.name == "lwf":
            raise MemoryError("too much")
        return ebll.protocol.learn(run, *given)

    grid = {**CHEAP, "method": ["ewc", "lwf"], "epochs": 20, "ewc_strength": [1.0, 1e14]}
    with monkeypatch.context() as patch:
        patch.setattr(runs, "learn", learn)
        found = ebll.sweep(grid, store=tmp_path, workers=1)
    assert found.table["old"].notna().tolist() == (found.table["failure"] == "").tolist() == [True, False, False]
    diverged, lost = found.failures
    assert re.match(r"method ewc, ewc_strength 1e\+14: .*diverged", diverged)
    assert "MemoryError: too much (not saved" in lost
    asked.clear()
    again = ebll.sweep(grid, store=tmp_path, workers=1)
    assert [config.method for config in asked] == ["lwf"]
    assert again.failures == [diverged]


def test_workers_of_another_version_are_refused_and_a_folder_that_they_do_not_see_is_no_matter(alone, tmp_path):
    with raises(EbllError, "ebll"):
        run_into(cheap(), None, "cpu", RESULTS_VERSION + 1)
    done = run_into(alone.configs[0], tmp_path / "elsewhere", "cpu", RESULTS_VERSION)
    assert done.scalars == alone.results[alone.configs[0]].scalars
    assert not (tmp_path / "elsewhere").exists()


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
def test_kill_9_loses_nothing_that_was_done(alone, tmp_path, asked, workers):
    store = tmp_path / "store"
    with started(tmp_path, store, workers=workers, slow=True) as process:
        for line in process.stdout:
            if int(line.split()[0]) >= 3:
                break
        process.kill()
        process.wait()
    time.sleep(0.5)  # its workers end with it
    before = {path: path.stat().st_mtime_ns for path in store.glob("runs/*.json")}
    assert len(before) >= 3
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
    same(load_sweep(store, GRID), alone)


@pytest.mark.parametrize(("option", "value"), [("workers", 0), ("executor", object()), ("device", "tpu!")])
def test_bad_options_are_refused_before_anything_runs(option, value, asked):
    with pytest.raises(InputError, match=f"(?i){option}"):
        ebll.sweep(GRID, **{option: value})
    assert asked == []


@pytest.mark.slow
def test_a_dask_cluster_gives_the_same_tables_and_a_worker_that_is_killed_costs_no_result(alone, tmp_path):
    """It is killed while it has something to do; others, and the one that comes in its place, do it again."""
    distributed = pytest.importorskip("distributed")
    options = {"n_workers": 2, "threads_per_worker": 1, "processes": True, "dashboard_address": None}
    with distributed.LocalCluster(**options, silence_logs=50) as cluster, distributed.Client(cluster) as client:
        same(ebll.sweep(GRID, executor=client.get_executor()), alone)
        killed = []

        def progress(done, total):
            if done >= 1 and not killed:
                victim = next(address for address, runs in client.processing().items() if runs)
                killed.append(client.run(os.getpid, workers=[victim])[victim])
                os.kill(killed[0], signal.SIGKILL)

        grid = {**GRID, "epochs": 40}
        with client.get_executor() as executor:
            found = ebll.sweep(grid, executor=executor, workers=4, store=tmp_path, progress=progress)
        assert len(killed) == 1
        same(found, ebll.sweep(grid, workers=1))
