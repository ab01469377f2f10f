"""The paper's runs spread over processes, threads and a Dask cluster: the tables of one process, also after a stop."""

import json
import multiprocessing
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import pandas as pd
import paper_rig
import pytest
from messages import raises
from paper_rig import QUIET, photos, same_results, settings, small_net

import ebll.paper.spread
from ebll.errors import InputError, RunStopped, TrainingDiverged
from ebll.paper import Brake, paper
from ebll.paper.main import chosen_units

pytestmark = pytest.mark.paper

EXPERIMENTS, METHODS = ["flowers-birds", "imagenet-scenes"], ["lwf", "ebll", "ebll-separate"]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    photos(folder)
    return folder


@pytest.fixture(autouse=True)
def quick():
    with small_net():
        yield


def run(root, out, **options):
    usual = dict(experiments=EXPERIMENTS, methods=METHODS, settings=settings(), out=out)
    return paper(root, **usual | QUIET | options)


@pytest.fixture(scope="module")
def whole(root, tmp_path_factory):
    """The same by one process."""
    out = tmp_path_factory.mktemp("whole")
    with small_net():
        run(root, out)
    return out


def results(out):
    """Folders of the runs that are done."""
    return {path.parent for path in out.rglob("result.json")}


def stopped(root, out, **options):
    """Pressed at the first result: what is done and what is begun is kept, and it ends with the error that says so."""
    brake = Brake()
    with pytest.raises(RunStopped, match="--resume"):
        run(root, out, brake=brake, on_result=lambda *told: brake.press(), **options)
    done = results(out)
    assert 1 <= len(done) < 6
    assert not (out / "claims.json").exists()
    assert set(pd.read_csv(out / "accuracy.csv")["method"]) <= {path.name.rpartition("-")[0] for path in done}
    return done


def test_two_devices_give_the_tables_of_one_also_after_a_stop(whole, root, tmp_path, monkeypatch):
    monkeypatch.setattr(ebll.paper.spread, "_portion", paper_rig.portion)
    devices, told = ("cpu", "cpu"), []
    done = stopped(root, tmp_path, devices=devices)
    before = {path: (path / "result.json").stat().st_mtime_ns for path in done}
    run(root, tmp_path, devices=devices, resume=True, on_result=lambda *given: told.append(given))
    same_results(tmp_path, whole)
    assert [given[:2] for given in told] == [(n, 6) for n in range(1, 7)]
    assert before == {path: (path / "result.json").stat().st_mtime_ns for path in done}


def test_each_device_has_its_share(monkeypatch):
    """Every second run goes to either, and none is lost."""
    given = []

    def streamed(work, portions, workers):
        given.append((portions, workers))
        yield None

    monkeypatch.setattr(ebll.paper.spread, "streamed", streamed)
    units = chosen_units(settings(), EXPERIMENTS, METHODS)
    for devices in (("cuda:0", "cuda:1"), tuple(f"cuda:{i}" for i in range(8))):
        assert list(ebll.paper.spread.on_devices(None, settings(), units, devices, lambda: False)) == []
        ((portions, workers),) = given[-1:]
        assert [device for device, _ in portions] == list(devices[:6])
        assert workers == len(devices)
        assert sorted(unit.name for _, part in portions for unit in part) == sorted(unit.name for unit in units)
        assert max(len(part) for _, part in portions) - min(len(part) for _, part in portions) <= 1


def test_a_pool_of_processes_gives_the_same_tables(whole, root, tmp_path):
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn, initializer=paper_rig.install) as pool:
        run(root, tmp_path, executor=pool)
    same_results(tmp_path, whole)


def test_threads_give_the_same_tables_also_after_a_stop(whole, root, tmp_path):
    with ThreadPoolExecutor(2) as pool:
        stopped(root, tmp_path, executor=pool, workers=2)
        run(root, tmp_path, executor=pool, workers=2, resume=True)
    same_results(tmp_path, whole)


@pytest.fixture(scope="module")
def client():
    """A worker of one thread, in this process, so that it has the tiny net."""
    distributed = pytest.importorskip("distributed")
    options = dict(n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None, silence_logs=50)
    options |= dict(protocol="tcp://", host="127.0.0.1")
    with distributed.LocalCluster(**options) as cluster, distributed.Client(cluster) as made:
        yield made


def test_a_dask_cluster_gives_the_same_tables_also_after_a_stop(client, whole, root, tmp_path):
    stopped(root, tmp_path, executor=client)
    run(root, tmp_path, executor=client, resume=True)
    same_results(tmp_path, whole)


def test_the_first_sets_are_learned_once_before_and_only_told_of_then(root, tmp_path):
    steps = []
    with ThreadPoolExecutor(1) as pool:
        run(root, tmp_path, executor=pool, on_step=steps.append, methods="lwf")
    assert sum(steps) == 2 * 6  # two epochs of 42 windows in batches of 8
    *_, kept = sorted((tmp_path / "starts").rglob("stage-*"))
    assert kept.parent.name.startswith("flowers-0-")


def test_a_brake_pressed_while_a_first_set_is_learned_stops_there(root, tmp_path):
    brake = Brake()
    with ThreadPoolExecutor(1) as pool, pytest.raises(RunStopped):
        run(root, tmp_path, executor=pool, brake=brake, on_step=lambda count: brake.press())
    assert not results(tmp_path)
    assert [path.parent.name.split("-")[0] for path in (tmp_path / "starts").rglob("step-*")] == ["flowers"]


def test_a_first_set_that_diverges_is_told_by_its_runs(root, tmp_path):
    with ThreadPoolExecutor(1) as pool, pytest.raises(TrainingDiverged, match=r"All 2 runs .*First task"):
        run(
            root, tmp_path, executor=pool, experiments=["flowers-birds"], methods=["lwf", "ebll"],
            settings=settings(learning_rate=1e9),
        )  # fmt: skip


def test_what_is_no_executor_is_refused(root, tmp_path):
    with raises(InputError, "executor", "submit", "got str"):
        run(root, tmp_path, executor="dask")


def test_a_result_comes_back_from_its_file_as_it_was_given(root, tmp_path):
    """What a run hands over in this process and what another reads of it are the same rows, to the last bit."""
    units = chosen_units(settings(), ["flowers-birds"], ["ebll"])
    place = ebll.paper.Place(root, tmp_path, incomplete=True)
    (made,) = ebll.paper.runs.run_units(place, settings(), units, Brake())
    read = ebll.paper.runs.finished(place, settings(), units[0])
    assert json.dumps(vars(made)) == json.dumps(vars(read))
    assert ebll.paper.runs.finished(place, settings(alpha=0.4), units[0]) is None
