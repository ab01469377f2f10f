"""The folder of results: whole or not at all, damaged files named, other versions refused."""

import json
import threading

import pytest
from messages import raises
from tiny_sweep import cheap

from ebll import files
from ebll.errors import InputError, OutputError
from ebll.sweeps import RESULTS_VERSION, RunConfig, RunResult, Store, load_sweep, runs


def result(**changes):
    """A result with awkward numbers, as if it had been run."""
    scalars = {"old": 0.1 + 0.2, "new": 1 / 3, "distance": float("nan")}
    curves = [{"task": "digits", "step": 0, "feature_distance": 1e-300, "learning_rate": 0.1}]
    return RunResult(cheap(**changes), scalars, [{"task": "digits", "after": "digits", "accuracy": 0.5}], curves)


def same(one, other):
    return repr(one) == repr(other)  # NaN is equal to nothing


def filled(folder, count=3):
    store = Store(folder)
    for seed in range(count):
        store.put(result(seed=seed))
    return store


def seeds(sweep):
    return [config.seed for config in sweep.configs], [config.seed for config in sweep.missing]


def test_what_is_put_comes_back_to_the_last_bit(tmp_path):
    store = filled(tmp_path / "deep" / "store")
    (store.folder / "runs" / "0.json").symlink_to(tmp_path / "gone")  # a file that vanishes while all are read
    again = Store(store.folder, make=False)
    for seed in range(3):
        assert same(again.get(cheap(seed=seed)), result(seed=seed))
    assert again.get(cheap(seed=3)) is None
    assert sorted(one.config.seed for one in again.read()) == [0, 1, 2]
    assert again.damaged == []
    assert [path for path in store.folder.rglob(".*") if path.is_file()] == []


def test_a_store_says_what_was_planned(tmp_path):
    store = filled(tmp_path, 1)
    store.plan([cheap(seed=seed) for seed in range(4)])
    assert seeds(load_sweep(tmp_path)) == ([0, 1, 2, 3], [1, 2, 3])
    store.plan([cheap(seed=3)])
    assert seeds(load_sweep(tmp_path)) == ([3, 0], [3])
    (tmp_path / "planned.json").write_text("[{")
    assert seeds(load_sweep(tmp_path)) == ([0], []), "a damaged plan counts as none"


@pytest.mark.parametrize(
    "content", [None, b"", b"[]", b'{"config": {}}', b'{"config": {"optimiser": "adam"}, "scalars": {}}', b"\xff\xfe"]
)
def test_a_damaged_file_is_named_and_costs_no_other(tmp_path, content):
    store = filled(tmp_path)
    bad, other = (store.path(cheap(seed=seed)) for seed in (1, 2))
    bad.write_bytes(other.read_bytes() if content is None else content)
    found = load_sweep(tmp_path)
    assert (sorted(found.table["seed"]), found.damaged) == ([0, 2], [bad.name])
    store.put(result(seed=1))
    assert load_sweep(tmp_path).damaged == []


def test_what_cannot_be_written_is_told_and_leaves_nothing_half_made(tmp_path, monkeypatch):
    store = filled(tmp_path, 1)
    monkeypatch.setattr(files.os, "replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with raises(OutputError, "No space left on device"):
        store.put(result(seed=1))
    assert [one.config.seed for one in Store(tmp_path).read()] == [0]


def test_many_may_make_and_fill_one_store_at_once(tmp_path):
    start, faults = threading.Barrier(8), []

    def work(first):
        try:
            start.wait()
            store = Store(tmp_path / "store")
            for seed in range(first, first + 6):
                store.put(result(seed=seed))
                assert same(store.get(cheap(seed=seed)), result(seed=seed))
        except BaseException as error:
            faults.append(error)

    threads = [threading.Thread(target=work, args=(first,)) for first in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    assert sorted(one.config.seed for one in Store(tmp_path / "store").read()) == list(range(13))


def test_a_folder_that_is_no_store_is_refused_and_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with raises(OutputError, tmp_path / "thesis.txt" / "store"):
        Store(tmp_path / "thesis.txt" / "store")
    for folder in (tmp_path, tmp_path / "nowhere", tmp_path / "thesis.txt"):
        with raises(InputError, folder):
            load_sweep(folder)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize(
    ("content", "named"), [(json.dumps({"results": RESULTS_VERSION + 1}), RESULTS_VERSION + 1), ("{", "unknown")]
)
@pytest.mark.parametrize("make", [True, False])
def test_results_of_another_version_are_refused(tmp_path, content, named, make, monkeypatch):
    filled(tmp_path, 1)
    (tmp_path / "format.json").write_text(content)
    with raises(InputError, tmp_path, f"version {named}", f"version {RESULTS_VERSION}"):
        Store(tmp_path, make=make)
    assert (tmp_path / "format.json").read_text() == content
    before = runs.run_key(RunConfig())
    monkeypatch.setattr(runs, "RESULTS_VERSION", RESULTS_VERSION + 1)
    assert runs.run_key(RunConfig()) != before, "and has other files"
