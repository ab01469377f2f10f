"""Widgets without a front end or kernel: short tasks, an event loop that goes on only where a test says so, a hand."""

import asyncio

from ipywidgets.widgets.widget import _instances
from tiny import blobs

from ebll.protocol import first_task
from ebll.seeds import cpu_threads
from ebll.settings import USUAL

SIZE = (1, 28, 28)
TASKS = [blobs("one", 1, shape=SIZE, count=240), blobs("two", 2, shape=SIZE, count=240, classes=4)]
PAIR = 'old="one", new="two", epochs=2, methods=("ebll",)'  # 8 steps
LONG_RUN = PAIR.replace("epochs=2", "epochs=1000")  # 4000 steps: ends only if told to
BOTH = PAIR.replace('"ebll",', '"lwf", "ebll"')
CLASS = 'task="one", label="0", code_size=8'
LOOP = asyncio.new_event_loop()


def wait(rounds=3):
    """Let the event loop go on for a few rounds."""
    for _ in range(rounds):
        LOOP.run_until_complete(asyncio.sleep(0))


def until(true, what="it"):
    """Let the event loop go on until `true()`."""
    for _ in range(100_000):
        if true():
            return
        wait(1)
    raise AssertionError(f"{what} has not come")


def settle(widget):
    """Wait for the run that is on; no fault of the widget's own is left."""
    LOOP.run_until_complete(widget.finished())
    assert widget.errors == [], widget.errors


def press(widget, *names):
    """Press buttons, one after the other."""
    for name in names:
        widget.buttons[name].click()


def move(widget, **values):
    """Move sliders, as a front end would."""
    for name, value in values.items():
        widget.sliders[name].value = float(value)


def widgets_alive():
    """How many widgets there are in this process."""
    return len(_instances)


def first_learned(task, seed):
    """What a task that was learned first leaves: the library keeps it, so that all get the same one."""
    steps = first_task(task, "mlp", USUAL, seed)
    with cpu_threads(USUAL.threads):
        while True:
            try:
                next(steps)
            except StopIteration as end:
                return end.value
