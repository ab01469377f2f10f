"""Jobs in threads of their own, with limits of time within which they must end; shared by the tests of runs."""

import threading
import time
from concurrent.futures import Future

from ebll.turns import Control, controlled

WAIT = 20  # seconds after which something hangs


def in_thread(job, control=None):
    """Do a job in a thread of its own; its outcome, to ask for with a limit of time."""
    outcome = Future()

    def go():
        try:
            with controlled(control or Control()):
                outcome.set_result(job())
        except BaseException as error:
            outcome.set_exception(error)

    threading.Thread(target=go, daemon=True).start()
    return outcome


def until(condition):
    end = time.monotonic() + WAIT
    while not condition():
        assert time.monotonic() < end, "it hangs"
        time.sleep(0.001)
