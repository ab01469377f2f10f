"""The same sweep on a Dask cluster: equal tables, a worker that dies, stop, and a cluster that is not there."""

import os
import signal
import socket
import subprocess
import sys
import time

import pytest
from messages import raises
from tiny_sweep import GRID, SLOW, same

import ebll
from ebll import EbllError, InputError
from ebll.sweeps import Store, Sweep, cluster, configs_of

pytestmark = pytest.mark.slow

distributed = pytest.importorskip("distributed")

WAIT = 60  # seconds after which something hangs


@pytest.fixture(scope="module")
def client():
    """Two worker processes of one thread each, and a client of theirs."""
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, silence_logs=50
        ) as workers,
        distributed.Client(workers) as made,
    ):
        yield made


@pytest.fixture(scope="module")
def alone():
    return ebll.sweep(GRID, workers=1)


def test_a_cluster_gives_the_tables_of_one_process(client, alone, tmp_path):
    plans, told = [], []
    found = ebll.sweep(
        GRID, client=client, store=tmp_path, on_plan=plans.append, progress=lambda *counts: told.append(counts)
    )
    same(found, alone)
    assert plans[0].workers == 2
    assert told == [(done, 8) for done in range(9)]
    same(ebll.sweep(GRID, store=tmp_path, workers=1), alone)


def test_it_may_be_named_by_its_address_or_be_an_executor(client, alone):
    address = client.scheduler.address
    few = alone.configs[:2]
    same(ebll.sweep(few, client=address), Sweep(few, alone.results))
    same(ebll.sweep(few, executor=client), Sweep(few, alone.results))
    same(ebll.sweep(few, executor=client.get_executor()), Sweep(few, alone.results))
    assert client.status == "running"


def test_stop_ends_within_a_moment_and_hands_back_what_is_done(client, alone, tmp_path):
    # The quick ones begin with the same network as the slow ones, and before them.
    quick, slow = alone.configs[:4:2], configs_of({**SLOW, "distill_weight": [2.0, 3.0]})
    assert {config.seed for config in [*quick, *slow]} == {0}
    since = []

    def stop():
        if len(made.results) == 2 and busy(client) and not since:
            since.append(time.monotonic())
        return bool(since)

    made = Sweep()
    found = ebll.sweep([*quick, *slow], client=client, store=tmp_path, stop=stop, into=made)
    assert time.monotonic() - since[0] < WAIT  # not the hour of the slow runs
    assert found.stopped
    assert set(found.results) == set(quick) == {one.config for one in Store(tmp_path).all()}
    while busy(client):  # the runs themselves have ended, too
        assert time.monotonic() - since[0] < WAIT
        time.sleep(0.05)


def busy(client):
    return any(client.processing().values())


def test_a_worker_that_is_killed_in_mid_sweep_costs_no_result(client, tmp_path):
    """It is killed while it has something to do; others, and the one that comes in its place, do it again."""
    client.wait_for_workers(2, timeout=WAIT)
    grid, killed = {**GRID, "epochs": 60}, []

    def progress(done, total):
        if done == 2:
            victim = next(address for address, runs in client.processing().items() if runs)
            killed.append(client.run(os.getpid, workers=[victim])[victim])
            os.kill(killed[0], signal.SIGKILL)

    found = ebll.sweep(grid, client=client, store=tmp_path, progress=progress)
    assert len(killed) == 1
    assert not found.stopped
    same(found, ebll.sweep(grid, workers=1))
    client.wait_for_workers(2, timeout=WAIT)
    assert killed[0] not in client.run(os.getpid).values()


def test_nobody_there_is_told_in_words(monkeypatch):
    monkeypatch.setattr(cluster, "REACH", 1.0)
    with socket.socket() as taken:  # bound, and nobody listens
        taken.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(EbllError, match=address):
            ebll.sweep(GRID, client=address)
    for address in ("nonsense", "", "foo://127.0.0.1:3"):
        with pytest.raises(InputError, match=f"^client.*got '{address}'"):
            ebll.sweep(GRID, client=address)


def test_somebody_who_is_no_scheduler_is_told_in_words(monkeypatch):
    monkeypatch.setattr(cluster, "REACH", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"tcp://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(EbllError, match=address):
            ebll.sweep(GRID, client=address)


def test_a_client_that_will_not_do_is_refused_in_words(client):
    closed = distributed.Client(client.scheduler.address, set_as_default=False)
    closed.close()
    with raises(EbllError, "client", "closed"):
        ebll.sweep(GRID, client=closed)
    with raises(InputError, "client", "Dask Client", "got LocalCluster"):
        ebll.sweep(GRID, client=client.cluster)


def test_without_dask_it_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with raises(EbllError, 'pip install "ebll[scale]"'):
        ebll.sweep(GRID, client="tcp://127.0.0.1:1")


def test_a_scheduler_that_dies_is_told_in_words_and_what_was_done_is_kept(alone, tmp_path):
    """Scheduler and worker are killed like a cluster whose time is up."""
    start = "import sys; from distributed.cli.dask_{0} import main; main(sys.argv[1:])"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"tcp://127.0.0.1:{port}"
    scheduler = ["scheduler", "--host", "127.0.0.1", "--port", str(port), "--no-dashboard"]
    worker = ["worker", address, "--host", "127.0.0.1", "--nthreads", "1", "--no-dashboard", "--no-nanny"]
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", start.format(kind), *rest], stderr=subprocess.DEVNULL, cwd=tmp_path
        )
        for kind, *rest in (scheduler, worker)
    ]  # fmt: skip
    try:
        with distributed.Client(address, timeout=WAIT, set_as_default=False) as made:
            made.wait_for_workers(1, timeout=WAIT)

            def kill(done, total):
                if done == 2:
                    for process in processes:
                        process.kill()

            configs = [*alone.configs[:4:2], *configs_of(SLOW)]
            with pytest.raises(EbllError, match="Dask cluster"):
                ebll.sweep(configs, client=made, store=tmp_path / "store", progress=kill)
            made.close(timeout=1)
    finally:
        for process in processes:
            process.kill()
            process.wait()
    assert {one.config for one in Store(tmp_path / "store").all()} == set(alone.configs[:4:2])
