"""The tiers of the tests, and what each test runs under: one torch thread, fixed seeds, no display, no network."""

import os

# Before torch is imported, and inherited by every process that a test starts.
os.environ["OMP_NUM_THREADS"] = os.environ.get("EBLL_TEST_THREADS", "1")
os.environ["MPLBACKEND"] = "Agg"

import io
import json
import random
import re
from pathlib import Path

import hypothesis
import numpy as np
import pytest
import torch
from notebook_kernel import offline
from PIL import Image

torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))

# The first example pays for torch's own start-up, so time is no criterion. CI repeats the same examples every time.
hypothesis.settings.register_profile("ebll", deadline=None, derandomize=bool(os.environ.get("CI")))
hypothesis.settings.load_profile("ebll")


def pytest_configure(config):
    """A test that is named is run, whatever its tier."""
    if any("::" in str(argument) for argument in config.invocation_params.args):
        config.option.markexpr = ""


def pytest_ignore_collect(collection_path, config):
    """Tests of the browser import packages that only `make test-browser` installs."""
    wanted = re.search(r"(?<!not )\bbrowser\b", config.option.markexpr) or not config.option.markexpr
    return True if collection_path.name == "browser" and not wanted else None


def pytest_collection_modifyitems(items):
    """Every test of the folder needs a browser; files that take long come first, so that the processes end together."""
    for item in items:
        if Path(__file__).with_name("browser") in item.path.parents:
            item.add_marker("browser")
    items.sort(key=lambda item: item.path.stem not in LONG)


LONG = {
    f"test_{name}"
    for name in ("notebooks", "notebooks_full", "notebooks_answers", "cli_reproduce", "course_checks", "widgets")
}


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """With `--dist loadfile` a file's tests share a process and its fixtures; notebooks, half a minute each, do not."""
    from xdist.scheduler import LoadFileScheduling

    class Scheduling(LoadFileScheduling):
        def _split_scope(self, nodeid):
            return nodeid if "test_notebooks_full.py" in nodeid else super()._split_scope(nodeid)

    return Scheduling(config, log) if config.option.dist == "loadfile" else None


@pytest.fixture(autouse=True)
def seeds():
    """Start each test from the same global generators, in whatever order or process it runs."""
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002 - the legacy generator is the global one
    torch.manual_seed(0)


TRIED = offline()


@pytest.fixture(autouse=True)
def no_network():
    """Fail a test that looks up or connects to another machine, even where the code under test swallows the error."""
    TRIED.clear()
    yield
    assert not TRIED, f"the network was asked for {TRIED}; ebll and its tests work offline"


def plain_picture(spec, kind, scale=1.0):
    """In place of a drawn chart, which takes half a second: what it would show, or an image of its size in bytes."""
    told = json.dumps(spec)
    if kind == "svg":
        return f"<svg>{told}</svg>".encode()
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), (len(told) % 256, 0, 0)).save(buffer, "png")
    return buffer.getvalue()


@pytest.fixture
def live(monkeypatch):
    """Widgets as in a kernel, whose event loop is that of `widget_rig`: see there."""
    from widget_rig import LOOP

    monkeypatch.setenv("EBLL_STATIC", "0")
    monkeypatch.setattr("ebll.widgets.base.event_loop", lambda: LOOP)
    monkeypatch.setattr("ebll.widgets.settings_widget.SLICE", 0.0)
    monkeypatch.setattr("ebll.widgets.settings_widget.FRAME", 0.0)
    monkeypatch.setattr("ebll.widgets.chart._converted", plain_picture)


@pytest.fixture
def build(live):
    """Make widgets that are closed at the end of the test."""
    from widget_rig import TASKS, wait

    import ebll.widgets

    made = []

    def make(kind, *given, **more):
        made.append(getattr(ebll.widgets, kind)(*given, **{"tasks": TASKS, **more}))
        return made[-1]

    yield make
    for widget in made:
        widget.close()
    wait()


@pytest.fixture
def lab(build):
    from widget_rig import PAIR

    return lambda line=PAIR, *given, **more: build("forgetting_lab", line, *given, **more)


@pytest.fixture
def explorer(build):
    from widget_rig import CLASS

    return lambda line=CLASS, **more: build("submanifold_explorer", line, **more)
