"""Panels without a front end: tasks that are learned in a moment, and a hand that moves controls and waits."""

import io
import time

import numpy as np
from ipywidgets.widgets.widget import _instances
from PIL import Image
from tiny import blobs

SIZE = (1, 28, 28)
TASKS = [blobs("one", 1, shape=SIZE, count=240), blobs("two", 2, shape=SIZE, count=240, classes=4)]
LONG = "handwritten_characters_of_the_alphabet_from_many_schools_and_times"
PAIR = 'old="one", new="two", epochs=2, methods=("ebll",)'  # 8 steps
LONG_RUN = PAIR.replace("epochs=2", "epochs=1000")  # 4000 steps: ends only if told to
BOTH = PAIR.replace('"ebll",', '"lwf", "ebll"')
CLASS = 'task="one", label="0", code_size=8'
PATIENCE = 60  # seconds: for a machine that does much else


def until(true, what="it"):
    """Wait until `true()`."""
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end, f"{what} has not come within {PATIENCE} s"
        time.sleep(0.005)


def press(panel, *names):
    """Press buttons, one after the other."""
    for name in names:
        panel.widgets.buttons[name].click()


def turn_knob(panel, **values):
    """Move knobs, as a front end would."""
    knobs = getattr(panel, "knobs", None) or panel.widgets.knobs
    for name, value in values.items():
        knobs[name].value = float(value)


def settle(panel):
    """Wait for what is on, and for the thread to be gone."""
    panel.wait(PATIENCE)
    worker = panel.worker if hasattr(panel, "worker") else panel.session.worker
    until(lambda: worker._thread is None, "the end of the run's thread")
    assert panel.errors == [], panel.errors


def pixels(picture):
    """The picture's bytes as numbers."""
    return np.asarray(Image.open(io.BytesIO(bytes(picture))).convert("RGB"))


def coarse(picture):
    """The picture as large pixels, each the mean of many: the same for every resolution."""
    image = Image.fromarray(pixels(picture)).resize((76, 57), Image.Resampling.BOX)
    return np.asarray(image).astype(int)


def widgets_alive():
    """How many widgets there are in this process."""
    return len(_instances)


def one_of(table, **facts):
    """The rows of a table with these facts."""
    for name, value in facts.items():
        table = table[table[name] == value]
    return table
