"""One run at a time in a thread of its own, the newest asked for; and what a panel remembers of its runs."""

import io
import json
import threading

import pandas as pd
import pytest
from messages import raises
from threads import WAIT, in_thread, until
from tiny import blobs, same

from ebll import InputError, OutputError
from ebll.errors import RunStopped
from ebll.live import LabConfig, Worker, run, run_live
from ebll.live.session import NAMES, Session, differences, rows_of
from ebll.turns import Control, turn

TASKS = [blobs("old", 1, count=200), blobs("new", 2, count=230, classes=4)]
CONFIG = LabConfig(old="old", new="new", code_size=4, methods=("finetune", "ebll"))
STEPS = 8 * 4


def endless():
    while True:
        turn()


def gone():
    """Wait for the end of the thread of a worker that has nothing to do."""
    for thread in threading.enumerate():
        if thread.name == "ebll-run":
            thread.join(WAIT)
            assert not thread.is_alive()


def equal(one, other):
    pd.testing.assert_frame_equal(one.reset_index(drop=True), other.reset_index(drop=True), check_exact=True)


# The worker.


def test_of_many_starts_the_newest_is_done_one_at_a_time_and_no_thread_is_left():
    alive, most, done, ended = [], [], [], []
    worker = Worker(on_end=lambda handle: ended.append(handle))

    def job(i):
        alive.append(i)
        most.append(len(alive))
        try:
            while i < 99:
                turn()
            done.append(i)
        finally:
            alive.remove(i)

    handles = [worker.start(lambda i=i: job(i)) for i in range(100)]
    assert all(handle.wait(WAIT) for handle in handles)
    assert [handle.state for handle in handles] == ["stopped"] * 99 + ["done"]
    assert done == [99]
    assert max(most) == 1
    assert worker.current is handles[-1]
    assert not worker.busy
    assert ended == sorted(ended, key=handles.index)
    assert ended[-1] is handles[-1]
    gone()


def test_a_run_that_is_held_makes_way_for_a_newer_one():
    worker, control, begun = Worker(), Control(), []
    control.step(lambda: begun.append(0) or True)
    first = worker.start(endless, control)
    until(lambda: begun)
    assert (first.state, worker.busy) == ("running", True)
    with raises(TimeoutError, "0 s"):
        first.result(0)
    second = worker.start(lambda: None)
    assert second.wait(WAIT)
    assert (first.state, second.state, first.alive) == ("stopped", "done", False)
    first.result(WAIT)  # to be stopped is no error
    gone()


def test_those_who_wait_are_woken_when_all_that_belongs_to_the_end_is_done():
    seen, go = [], threading.Event()

    def on_end(handle):
        assert go.wait(WAIT)
        seen.append((handle, handle.state, handle.alive))

    worker = Worker(on_end)
    handle = worker.start(lambda: None)
    waiting = in_thread(lambda: handle.wait(WAIT) and list(seen))
    assert not handle.wait(0)
    go.set()
    assert waiting.result(WAIT) == [(handle, "done", True)]


def test_errors_are_kept_for_whoever_waits_and_the_worker_goes_on():
    worker = Worker(lambda handle: ended.append(handle.state))
    ended, error = [], ZeroDivisionError("no")

    def fail():
        raise error

    handle = worker.start(fail)
    with pytest.raises(ZeroDivisionError) as caught:
        handle.result(WAIT)
    assert caught.value is handle.error is error
    stopped = worker.start(lambda: (_ for _ in ()).throw(RunStopped("from within")))
    stopped.result(WAIT)
    worker.start(lambda: None).result(WAIT)
    assert ended == ["failed", "stopped", "done"]
    broken = Worker(lambda handle: 1 / 0).start(lambda: None)
    with pytest.raises(ZeroDivisionError):
        broken.result(WAIT)
    gone()


def test_a_worker_can_be_stopped_at_any_time():
    worker = Worker()
    worker.stop()
    assert not worker.busy
    handle = worker.start(endless)
    worker.stop()
    assert handle.wait(WAIT)
    assert handle.state == "stopped"
    gone()


# The session.


@pytest.fixture
def session():
    made = Session(CONFIG, TASKS)
    yield made
    made.worker.stop()
    gone()


def test_a_run_in_the_background_is_the_run_here_and_that_of_the_library(session):
    wanted = run(CONFIG, tasks=TASKS)
    session.start().result(WAIT)
    background = session.current
    here = session.run_here()
    assert session.before is background
    assert session.current is here
    for made in (background, here):
        equal(made.curves, wanted.curves)
        equal(made.table(), wanted.table())
        assert same(made.runs["ebll"].net, wanted.runs["ebll"].net)
    assert session.record() == rows_of(here) == {name: r.curve_rows for name, r in here.recorders.items()}
    assert rows_of(None) == {}


def test_a_held_run_goes_on_by_one_measurement_a_step(session):
    session.config = CONFIG.replace(methods="ebll")
    handle, made = session.start(held=True), session.current
    for i in range(6):
        until(lambda i=i: made.measured > i)
        session.step()
    until(lambda: made.measured > 6)
    session.worker.stop()
    assert handle.wait(WAIT)
    assert made.curves["step"].tolist() == list(range(7))
    assert session.control is None
    with raises(InputError, "Run"):
        session.step()


def test_a_held_run_that_goes_on_ends_as_if_it_had_not_been_held(session):
    handle, made = session.start(held=True), session.current
    until(lambda: made.measured)
    session.control.resume()
    handle.result(WAIT)
    wanted = run(CONFIG, tasks=TASKS)
    assert made.steps == STEPS
    assert same(made.runs["ebll"].net, wanted.runs["ebll"].net)
    equal(made.table(), wanted.table())


def test_a_new_start_stops_the_one_before_and_what_that_has_recorded_is_the_run_before(session):
    first = session.start(held=True)
    made = session.current
    until(lambda: made.measured == 1)
    session.config = CONFIG.replace(alpha=9.0)
    session.start().result(WAIT)
    assert first.wait(0)
    assert (first.state, session.before, made.measured) == ("stopped", made, 1)
    assert session.current.config.alpha == 9.0
    session.reset(CONFIG)
    assert (session.current, session.before, session.pinned, session.config) == (None, None, [], CONFIG)
    assert session.table().empty


def test_known_results_are_taken_again_where_asked_for(session):
    session.start(reuse=True).result(WAIT)
    one, session.config = session.current, CONFIG.replace(alpha=9.0)
    session.start(reuse=True).result(WAIT)
    two = session.current
    assert two.runs["finetune"] is one.runs["finetune"]
    assert two.runs["ebll"] is not one.runs["ebll"]
    session.start().result(WAIT)
    assert session.current.runs["finetune"] is not one.runs["finetune"]
    equal(session.current.curves, two.curves)


def test_as_many_runs_can_be_pinned_as_there_are_names_and_then_the_oldest_goes(session):
    with raises(InputError, "no run"):
        session.pin()
    made = []
    for i in range(len(NAMES) + 2):
        session.config = CONFIG.replace(methods="finetune", seed=0, epochs=i + 1)
        made.append(session.run_here())
        pinned = session.pin()
        assert pinned.made is made[-1]
        with raises(InputError, "pinned already"):
            session.pin()
    assert [one.name for one in session.pinned] == [*NAMES[2:], *NAMES[:2]]
    assert [one.made for one in session.pinned] == made[2:]
    session.start(held=True)
    until(lambda: session.current.measured == 1)
    with raises(InputError, "still on"):
        session.pin()


def test_the_table_tells_the_runs_apart_by_name_and_by_what_is_set_differently(session):
    session.run_here()
    session.pin()
    assert list(session.table()["run"]) == ["A", "A"]  # on show, and pinned: once
    session.config = CONFIG.replace(alpha=9.0)
    session.run_here()
    table = session.table()
    assert list(table["run"]) == ["A", "A", "now", "now"]
    assert list(table["method"]) == ["finetune", "ebll"] * 2
    for name, made in (("A", session.pinned[0].made), ("now", session.current)):
        mine = table[table["run"] == name]
        equal(mine[list(made.table().columns)], made.table())
        assert set(mine["settings"]) == {differences(made.config)}
    assert differences(LabConfig()) == "default settings"
    config = LabConfig(alpha=9, code_size=4, methods=["ebll", "ewc"], seed=3)
    assert differences(config) == "methods ewc, ebll, alpha 9, code size 4, seed 3"
    assert differences(config, title=True) == "alpha 9, code size 4"
    assert differences(LabConfig(methods="ewc"), title=True) == "default settings"


def test_saved_data_are_the_tables_and_lines_that_make_them_again(tmp_path):
    session = Session(CONFIG, TASKS, live="ebll", changes=[(5, "alpha", 0.0)])
    with raises(InputError):
        session.save_data(tmp_path)
    session.run_here()
    session.pin()
    alone = session.save_data(tmp_path / "alone")
    assert set(pd.read_csv(alone[0])["run"]) == set(pd.read_csv(alone[1])["run"]) == {"A"}
    session.changes, session.config = (), CONFIG.replace(alpha=9.0, code_size=256)
    session.run_here()
    files = session.save_data(tmp_path / "new" / "folder")
    assert [path.name for path in files] == ["curves.csv", "results.csv", "config.json"]
    curves, results = (pd.read_csv(path) for path in files[:2])
    said = json.loads(files[2].read_text(encoding="utf-8"))
    equal(results, pd.read_csv(io.StringIO(session.table().to_csv(index=False))))
    assert list(said["configs"]) == ["A", "now"]
    assert said["changes"] == {"A": [[5, "alpha", 0.0]]}
    assert said["notes"] == {"now": session.current.notes}
    assert "code_size" in said["notes"]["now"][0]
    again = run_live(said["configs"]["A"], "ebll", said["changes"]["A"], tasks=TASKS)
    kept = curves[curves["run"] == "A"]
    assert len(kept) == len(again.curves)
    for column in ("step", "feature_distance", "loss_code", "accuracy"):
        assert kept[column].to_numpy() == pytest.approx(again.curves[column].to_numpy(), rel=1e-12, nan_ok=True)
    (tmp_path / "file").write_text("", encoding="utf-8")
    with raises(OutputError, f"'{tmp_path / 'file'}'"):
        session.save_data(tmp_path / "file")


def test_the_knobs_of_a_live_session_are_turned_while_it_is_held():
    ended, turns = [], []
    session = Session(CONFIG, TASKS, live="ebll", on_end=ended.append, on_turn=lambda: turns.append(0))
    handle = session.start(held=True)
    made = session.current
    until(lambda: made.measured == 1)
    session.knobs.set("alpha", 50.0)
    session.control.resume()
    handle.result(WAIT)
    assert made.changes == [(1, "alpha", 50.0)]
    assert ended == [handle]
    assert len(turns) > STEPS
    wanted = run_live(CONFIG, "ebll", [(1, "alpha", 50.0)], tasks=TASKS).runs["ebll"].net
    assert same(made.runs["ebll"].net, wanted)
    assert same(run(CONFIG, tasks=TASKS).runs["ebll"].net, run_live(CONFIG, "ebll", tasks=TASKS).runs["ebll"].net)
    gone()
