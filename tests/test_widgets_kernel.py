"""The widgets in a real kernel, moved by messages as a front end sends them, on whichever thread they arrive."""

import ast
import contextlib
import html
import os
import time
from pathlib import Path

import nbformat
import pytest
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import KernelManager

from ebll.widgets.chart import LIVE
from notebooks.source import build

pytestmark = pytest.mark.slow
PATIENCE = 60  # seconds: for a machine that does much else

BEGIN = """
import asyncio, pathlib, threading, time
import ipykernel
from widget_rig import LONG_RUN, PAIR, TASKS
import ebll.widgets

async def until(true, what):
    end = time.monotonic() + 60
    while not true():
        assert time.monotonic() < end, what
        await asyncio.sleep(0.005)
"""
WIDGET = """
lab = ebll.widgets.forgetting_lab(PAIR, tasks=TASKS)
heard, first = [], lab.chart.alt
lab.sliders["alpha"].observe(lambda _: heard.append(threading.current_thread().name), names="value")
"""
LONG = """
lab.mode, lab.code.value = "wait", LONG_RUN
lab.buttons["run"].click()
await until(lambda: lab.made.measured > 2, "the run")
"""
END = "await until(lambda: not lab.running and not lab.status.text.startswith(('Training', 'Learning', 'Held')), 'end')"
THREADS = "sorted(one.name for one in threading.enumerate())"
SIX = os.environ.get("EBLL_IPYKERNEL6", "")
TESTS = Path(__file__).parent


class Kernel:
    """A kernel of this interpreter and a front end's hand on it."""

    def __init__(self, packages):
        specs = KernelSpecManager(kernel_dirs=[])  # leaves the native kernel alone, whatever else is installed
        self.manager = KernelManager(kernel_name="python3", kernel_spec_manager=specs)
        paths = [*packages, str(TESTS), str(TESTS.parent)]
        environ = {name: value for name, value in os.environ.items() if name != "MPLBACKEND"}
        self.manager.start_kernel(env=environ | {"EBLL_STATIC": "0", "PYTHONPATH": os.pathsep.join(paths)})
        self.connect()

    def connect(self):
        self.client = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=PATIENCE)

    def send(self, kind, content, subshell=None, channel="shell"):
        """Send a message; returns its id."""
        message = self.client.session.msg(kind, content)
        if subshell:
            message["header"]["subshell_id"] = subshell
        getattr(self.client, f"{channel}_channel").send(message)
        return message["header"]["msg_id"]

    def answer(self, asked, channel="shell"):
        """The content of the reply to a message."""
        while True:
            reply = getattr(self.client, f"{channel}_channel").get_msg(timeout=PATIENCE + 30)
            if reply["parent_header"].get("msg_id") == asked:
                return reply["content"]

    def run(self, code, value="None", subshell=None):
        """Execute a cell to its end; returns the value of an expression after it."""
        content = {"code": code, "silent": False, "store_history": False, "user_expressions": {"value": value}}
        reply = self.answer(self.send("execute_request", content, subshell))
        assert reply["status"] == "ok", "\n".join(reply["traceback"])
        return ast.literal_eval(reply["user_expressions"]["value"]["data"]["text/plain"])

    def end_of_run(self, *facts):
        """Wait until nothing runs; returns the state of the run, faults of the widget, and facts about the lab."""
        return self.run(END, f"(lab.state, lab.errors, *({''.join(f'lab.{fact}, ' for fact in facts)}))")

    def tell(self, widget, data, subshell=None):
        """A message of the front end for one widget of the lab."""
        self.send("comm_msg", {"comm_id": self.run("", f"lab.{widget}.model_id"), "data": data}, subshell)

    def slide(self, name, value, subshell=None):
        state = {"method": "update", "state": {"value": value}, "buffer_paths": []}
        self.tell(f"sliders['{name}']", state, subshell)

    def move(self, alpha, subshell=None):
        """Move the slider of alpha; until it has been heard."""
        before = self.run("", "len(heard)")
        self.slide("alpha", alpha, subshell)
        self.run(f"await until(lambda: len(heard) > {before}, 'the message')")

    def click(self, name):
        self.tell(f"buttons['{name}']", {"method": "custom", "content": {"event": "click"}})

    def end(self):
        with contextlib.suppress(RuntimeError):
            self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)
        self.manager.cleanup_resources()


def until(true, what):
    """Wait until `true()`."""
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end, f"{what} has not come within {PATIENCE} s"
        time.sleep(0.005)


@pytest.fixture(scope="module")
def kernel():
    made = Kernel([str(Path(SIX).resolve())] if SIX else [])
    try:
        assert made.run(BEGIN, "ipykernel.__version__").startswith("6.") == bool(SIX)
        yield made
    finally:
        made.end()


@pytest.fixture(scope="module")
def subshell(kernel):
    if SIX:
        pytest.skip("subshells came with ipykernel 7")
    return kernel.answer(kernel.send("create_subshell_request", {}, channel="control"), "control")["subshell_id"]


@pytest.fixture(params=["main shell", "subshell"])
def shell(request):
    return None if request.param == "main shell" else request.getfixturevalue("subshell")


def test_a_slider_moved_by_a_message_runs_on_whichever_thread_it_arrives_and_what_may_not_be_is_set_back(kernel, shell):
    kernel.run(WIDGET, subshell=shell)  # ipykernel 7.4 answers on the shell that spoke last, those before as they are
    kernel.move(30, shell)
    assert kernel.end_of_run("made.config.alpha", "status.wrong") == ("done", [], 30, "")
    assert kernel.run("", "lab.chart.alt != first and 'alpha=30' in lab.code.value")
    assert shell or set(kernel.run("", "heard")) == {"MainThread"}
    kernel.move(-1, shell)
    *state, wrong = kernel.end_of_run("made.config.alpha", "sliders['alpha'].value", "status.wrong")
    assert state == ["done", [], 30, 30]
    assert "alpha" in wrong


def test_buttons_hold_and_end_a_run_and_a_busy_cell_holds_it_up_without_a_thread(kernel):
    threads = kernel.run(WIDGET, THREADS)
    kernel.run(LONG)
    assert kernel.run("before = lab.made.step; time.sleep(0.3)", "lab.made.step - before") == 0
    kernel.run("await until(lambda: lab.made.step > before, 'the run')")
    assert kernel.run("", THREADS) == threads
    kernel.click("pause")
    kernel.run("await until(lambda: lab.paused, 'the pause')\nseen = lab.made.measured")
    kernel.click("step")
    kernel.run("await until(lambda: lab.made.measured == seen + 1, 'the step')")
    kernel.click("stop")
    assert kernel.end_of_run() == ("stopped", [])


def test_moves_from_two_threads_while_cells_draw_leave_the_last_and_no_fault(kernel, subshell):
    kernel.run(WIDGET, subshell=subshell)
    for name, value in (("alpha", 10), ("code_size", 21), ("alpha", 12), ("code_size", 23)):
        kernel.slide(name, value, subshell)
        assert kernel.run("shown = lab._repr_mimebundle_()", "'text/html' in shown[0]")
    kernel.run("await until(lambda: (lab.config.alpha, lab.config.code_size) == (12, 23), 'the last')")
    assert kernel.end_of_run("made.config.alpha", "made.config.code_size") == ("done", [], 12, 23)


def test_the_same_cell_again_and_interrupts_leave_one_widget_that_works(kernel, tmp_path):
    kernel.run(WIDGET)
    kernel.run(f"{LONG}\nold = lab")
    kernel.run(WIDGET)
    kernel.run("await until(lambda: not old.running, 'the end')")
    assert kernel.run("", "(old.closed, lab.closed, old.state)") == (True, False, "stopped")
    kernel.run(LONG)
    begun = tmp_path / "begun"
    code = f"pathlib.Path({str(begun)!r}).touch(); time.sleep(600)"
    asked = kernel.send("execute_request", {"code": code, "silent": False, "store_history": False})
    until(begun.exists, "the cell")
    kernel.manager.interrupt_kernel()
    assert kernel.answer(asked)["ename"] == "KeyboardInterrupt"
    kernel.manager.interrupt_kernel()  # and one where nothing is executed
    time.sleep(0.2)
    assert kernel.run("", "lab.running")
    kernel.click("stop")
    kernel.run("await until(lambda: not lab.running, 'the end')\nlab.mode, lab.code.value = 'run', PAIR")
    kernel.move(5)
    assert kernel.end_of_run("made.config.alpha") == ("done", [], 5)


def test_restart_and_shutdown_end_a_kernel_with_a_run_in_it(kernel):
    """Last of all: this kernel is gone after it."""
    kernel.run(LONG)
    process = kernel.manager.provisioner.process
    kernel.manager.shutdown_wait_time = PATIENCE
    kernel.client.shutdown(restart=True)
    until(lambda: process.poll() is not None, "the end of the kernel")
    assert process.poll() == 0
    kernel.client.stop_channels()
    kernel.manager.restart_kernel(now=True)
    kernel.connect()
    assert not kernel.run("", "'lab' in globals()")


def test_executed_by_a_program_a_cell_leaves_a_picture_with_its_text_and_no_widget(monkeypatch):
    monkeypatch.delenv("EBLL_STATIC", raising=False)
    cell = "import ebll.widgets\nebll.widgets.forgetting_lab('epochs=1', changes=[(5, 'alpha', 0.0)])"
    done = build.execute(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell)]))
    assert "widgets" not in done.metadata
    (output,) = done.cells[0].outputs
    assert set(output.data) - {LIVE} == {"text/html", "text/plain"}
    assert f'alt="{html.escape(output.data["text/plain"])}"' in output.data["text/html"]
    assert "alpha is 0 from step 5" in output.data["text/plain"]
