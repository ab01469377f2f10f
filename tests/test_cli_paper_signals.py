"""`ebll paper` in a process of its own that is told to end, or killed: it goes on to the tables of one that was not."""

import json
import signal
import subprocess
import sys
import time

import pytest
from click.testing import CliRunner
from paper_rig import photos, same_results

from ebll.cli import cli
from ebll.reproduce import report

pytestmark = pytest.mark.paper

QUICK = {
    "experiment": "flowers-birds", "methods": "lwf,ebll", "backbone": "mobilenet_v3_small", "weights": "none",
    "stored": 32, "size": 32, "versions": 2, "epochs": 3, "warmup-epochs": 1, "batch-size": 8, "log-every": 3,
    "learning-rate": 0.001, "code-size": 5, "device": "cpu", "threads": 1,
}  # fmt: skip
WAIT = 120  # seconds after which something hangs


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    photos(folder, ("flowers", "birds"))
    return folder


def arguments(root, out, *more):
    given = [f"--{name}={value}" for name, value in QUICK.items()]
    return ["paper", "--root", str(root), "--out", str(out), "--incomplete", *given, *more]


def here(root, out, *more):
    """In this process, to its end, without pictures."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report, "draw", lambda *given: [])
        result = CliRunner().invoke(cli, arguments(root, out, *more))
    assert result.exit_code == 0, result.output


def checkpoints(out):
    """What there is, and since when: it changes with every checkpoint that is written."""
    found = {}
    for path in out.rglob("*.safetensors"):
        try:
            found[path] = path.stat().st_mtime_ns
        except FileNotFoundError:
            continue
    return found


def told_to_end(root, out, number, *more):
    """Begin, wait until it has written a second checkpoint, send a signal: (exit code, stdout, stderr)."""
    command = [sys.executable, "-m", "ebll", *arguments(root, out, "--minutes", "0.0005", *more)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=out.parent
    ) as process:
        try:
            begun, seen = time.monotonic(), []
            while len(seen) < 3:
                assert process.poll() is None, process.communicate()
                assert time.monotonic() - begun < WAIT
                if (now := checkpoints(out)) not in seen:
                    seen.append(now)
                time.sleep(0.01)
            process.send_signal(number)
            stdout, stderr = process.communicate(timeout=WAIT)
        finally:
            process.kill()
    return process.returncode, stdout, stderr


def test_ended_by_ctrl_c_by_a_batch_system_and_killed_it_goes_on_to_the_same_tables(root, tmp_path):
    """With a real backbone, whose dropout draws; three times in one folder, each going on from the one before."""
    out, resume = tmp_path / "out", []
    for number in (signal.SIGINT, signal.SIGTERM):
        code, stdout, stderr = told_to_end(root, out, number, *resume)
        assert code == 130, stderr
        assert "The paper's protocol" in stdout
        assert "stopping, with a checkpoint of the step that it is at" in stderr
        assert "of 2 runs" in stderr
        assert "--resume" in stderr
        assert "Traceback" not in stderr
        assert not (out / "claims.json").exists()
        resume = ["--resume"]
    code, _, stderr = told_to_end(root, out, signal.SIGKILL, *resume)
    assert code == -signal.SIGKILL, stderr
    kept = [json.loads(path.read_text()) for path in out.rglob("result.json")]
    assert len(kept) < 2  # it was killed in its work, not after it
    here(root, out, "--resume")
    here(root, tmp_path / "whole")
    same_results(out, tmp_path / "whole")
    assert [path.name for path in out.rglob("*") if path.name.startswith(("step", "."))] == [".lock"]
