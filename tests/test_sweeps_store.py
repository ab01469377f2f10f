"""The folder of results: whole or not at all, damaged files found and set aside, and what other versions wrote."""

import json
import os
import re
import threading

import pytest
from messages import raises
from tiny_sweep import cheap

from ebll.errors import InputError, OutputError
from ebll.sweeps import RunConfig, RunResult, Store, load_sweep
from ebll.sweeps import store as store_module
from ebll.sweeps.store import FORMAT
from ebll.sweeps.version import code_version, key_of, run_key


def result(code=None, **changes):
    """A result with awkward numbers, as if it had been run."""
    figures = {"old": 0.1 + 0.2, "new": 1 / 3, "distance": float("nan")}
    rows = [{"task": "digits", "step": 0, "feature_distance": 1e-300}]
    return RunResult(cheap(**changes), figures, rows, "", 0.25, code=code or code_version())


def same(one, other):
    return repr(one) == repr(other)  # NaN is equal to nothing


def filled(folder, count=3):
    store = Store(folder)
    for seed in range(count):
        store.put(result(seed=seed))
    return store


def test_what_is_put_comes_back_to_the_last_bit(tmp_path):
    store = filled(tmp_path / "deep" / "store")
    again = Store(store.folder)
    for seed in range(3):
        assert cheap(seed=seed) in again
        assert same(again.get(cheap(seed=seed)), result(seed=seed))
    assert again.get(cheap(seed=3)) is None
    assert cheap(seed=3) not in again
    assert again.damaged == []


def test_a_result_belongs_to_the_run_whatever_else_the_config_says(tmp_path):
    store = Store(tmp_path)
    store.put(RunResult(cheap(method="lwf", alpha=5.0), {"old": 0.5}))
    assert store.get(cheap(method="lwf", alpha=7.0)).figures == {"old": 0.5}
    assert store.get(cheap(method="ebll", alpha=5.0)) is None


def test_a_result_that_is_there_stays(tmp_path):
    store = filled(tmp_path, 1)
    path = store.path(run_key(cheap()))
    before = path.read_bytes(), path.stat().st_mtime_ns
    store.put(RunResult(cheap(), {"old": 0.0}))
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before


def truncate(path, other):
    path.write_bytes(path.read_bytes()[:100])


def empty(path, other):
    path.write_bytes(b"")


def flip(path, other):
    content = path.read_bytes()
    digit = content.index(b"333333")
    path.write_bytes(content[:digit] + b"4" + content[digit + 1 :])


def swap(path, other):
    path.write_bytes(other.read_bytes())


def other_content(path, other):
    path.write_text(json.dumps({"sha256": "0", "text": ""}))


@pytest.mark.parametrize("damage", [truncate, empty, flip, swap, other_content])
def test_a_damaged_file_is_named_and_set_aside_and_no_other_is(tmp_path, damage):
    store = filled(tmp_path)
    bad, good = store.path(run_key(cheap(seed=1))), store.path(run_key(cheap(seed=2)))
    damage(bad, good)
    content = bad.read_bytes()
    looking = Store(tmp_path, write=False)
    assert looking.get(cheap(seed=1)) is None
    assert looking.damaged == [bad.name]
    assert bad.read_bytes() == content, "who only reads moves nothing"
    store = Store(tmp_path)
    assert store.get(cheap(seed=1)) is None
    assert store.damaged == [bad.name]
    assert not bad.exists()
    assert (tmp_path / "damaged" / bad.name).read_bytes() == content
    assert same(store.get(cheap(seed=2)), result(seed=2))
    store.put(result(seed=1))
    assert same(Store(tmp_path).get(cheap(seed=1)), result(seed=1))


def test_a_crash_in_mid_write_leaves_no_half_result(tmp_path, monkeypatch):
    store = filled(tmp_path, 1)

    def crash(*paths):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(store_module.os, "replace", crash)
        with pytest.raises(KeyboardInterrupt):
            store.put(result(seed=1))
    # After kill -9 the part itself stays behind; nobody takes it for a result.
    path = store.path(run_key(cheap(seed=1)))
    (path.parent / f".{path.name}.0123").write_text('{"sha256"')
    assert cheap(seed=1) not in store
    assert len(list(Store(tmp_path).all())) == 1
    assert Store(tmp_path).damaged == []


def test_a_full_disk_is_told_in_words_and_what_was_there_stays(tmp_path, monkeypatch):
    store = filled(tmp_path, 1)

    def full(file):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(store_module.os, "fsync", full)
    with pytest.raises(OutputError, match=rf"{re.escape(str(tmp_path))}.*\.json: No space left on device"):
        store.put(result(seed=1))
    assert [one.config.seed for one in Store(tmp_path).all()] == [0]
    assert [path for path in tmp_path.rglob(".*") if path.is_file()] == []


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
    assert sorted(one.config.seed for one in Store(tmp_path / "store").all()) == list(range(13))


def test_a_folder_that_is_no_store_is_refused_and_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with raises(InputError, tmp_path, "not empty"):
        Store(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]
    with raises(OutputError, tmp_path / "thesis.txt" / "store"):
        Store(tmp_path / "thesis.txt" / "store")
    with raises(InputError, tmp_path / "nowhere"):
        load_sweep(tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize(
    ("content", "named"),
    [(json.dumps({"format": FORMAT + 1}), [f"format {FORMAT + 1}", f"format {FORMAT}"]), ("{", ["damaged"]),
     ("[]", ["format None"])],
)  # fmt: skip
@pytest.mark.parametrize("write", [True, False])
def test_a_store_of_another_format_is_refused(tmp_path, content, named, write):
    filled(tmp_path, 1)
    (tmp_path / "format.json").write_text(content)
    with raises(InputError, tmp_path, *named):
        Store(tmp_path, write=write)
    assert (tmp_path / "format.json").read_text() == content


def test_results_of_other_versions_are_read_but_not_taken_for_ones_own(tmp_path):
    store = Store(tmp_path)
    for age, (code, seed) in enumerate([("older", 0), ("old", 0), ("old", 1), (None, 1)]):
        store.put(result(code=code, seed=seed))
        path = store.path(key_of(cheap(seed=seed).as_dict(), code or code_version()))
        os.utime(path, (age, age))
    assert cheap(seed=0) not in store
    loaded = load_sweep(tmp_path)
    # Of two foreign results the later, and this version's own before any other.
    assert list(zip(loaded.table["seed"], loaded.table["code"], strict=True)) == [(0, "old"), (1, code_version())]


def test_settings_that_this_version_does_not_know_are_named_and_left(tmp_path, monkeypatch):
    store = filled(tmp_path, 1)
    future = {**cheap(seed=1).as_dict(), "optimiser": "adam"}
    monkeypatch.setattr(RunConfig, "as_dict", lambda config: future)
    store.put(result(code="future", seed=1))
    monkeypatch.undo()
    loaded = load_sweep(tmp_path)
    path = store.path(key_of(future, "future"))
    assert loaded.unknown == [path.name]
    assert loaded.damaged == []
    assert path.exists()
    assert list(loaded.table["seed"]) == [0]
