"""The widgets in a real kernel, moved by messages as a front end sends them, on whichever thread they arrive."""

import contextlib
import json
import os
import time
from pathlib import Path

import nbformat
import pytest
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import KernelManager

from notebooks.source import build

pytestmark = pytest.mark.slow
PATIENCE = 60  # seconds: for a machine that does much else

BEGIN = """
import asyncio, json, threading, time
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
threads = set()
lab.sliders["alpha"].observe(lambda _: threads.add(threading.current_thread().name), names="value")
first = lab.chart.alt
"""
LONG = """
lab.mode, lab.code.value = "wait", LONG_RUN
lab.buttons["run"].click()
await until(lambda: lab.made.measured > 2, "the run")
"""
STATE = """
await until(lambda: not lab.running and not lab.status.text.startswith(("Training", "Learning", "Held")), "the end")
print(json.dumps({
    "alpha": lab.made.config.alpha, "code_size": lab.made.config.code_size, "state": lab.state,
    "errors": [repr(error) for error in lab.errors], "changed": lab.chart.alt != first,
    "status": lab.status.text, "wrong": lab.status.wrong, "threads": sorted(threads),
    "main": threading.main_thread().name, "slider": lab.sliders["alpha"].value, "code": lab.code.value,
}))
"""
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

    def begin(self, code, subshell=None):
        """Ask for a cell's execution."""
        content = {"code": code, "silent": False, "store_history": False, "allow_stdin": False}
        return self.dispatch("execute_request", content, subshell)

    def finish(self, asked):
        """Wait for the end of a cell: what it printed; its error if it had one."""
        said, wrong, end = [], [], time.monotonic() + PATIENCE + 30
        while time.monotonic() < end:
            message = self.client.get_iopub_msg(timeout=PATIENCE + 30)
            kind, content = message["msg_type"], message["content"]
            if message["parent_header"].get("msg_id") != asked:
                continue
            if kind == "stream":
                said.append(content["text"])
            if kind == "error":
                wrong.append("\n".join(content["traceback"]))
            if kind == "status" and content["execution_state"] == "idle":
                assert not wrong, wrong[0]
                return "".join(said)
        raise AssertionError(f"a cell has not ended within {PATIENCE + 30} s")

    def run(self, code, subshell=None):
        """Execute a cell, and wait for it."""
        return self.finish(self.begin(code, subshell))

    def dispatch(self, kind, content, subshell=None):
        message = self.client.session.msg(kind, content)
        if subshell:
            message["header"]["subshell_id"] = subshell
        self.client.shell_channel.send(message)
        return message["header"]["msg_id"]

    def ask(self, expression):
        return json.loads(self.run(f"print(json.dumps({expression}))"))

    def state(self):
        return json.loads(self.run(STATE))

    def send(self, widget, data, subshell=None):
        """A message of the front end for one widget."""
        content = {"comm_id": self.ask(f"{widget}.model_id"), "data": data}
        self.dispatch("comm_msg", content, subshell)

    def move(self, name, value, subshell=None):
        """Move a slider; until it has been heard."""
        widget = f"lab.sliders['{name}']"
        before = self.ask("heard := globals().get('heard', 0)")
        self.run(f"{widget}.observe(lambda _: globals().update(heard=heard + 1), names='value')")
        self.send(widget, {"method": "update", "state": {"value": value}, "buffer_paths": []}, subshell)
        self.run(f"await until(lambda: heard > {before}, 'the message')")

    def click(self, name, subshell=None):
        self.send(f"lab.buttons['{name}']", {"method": "custom", "content": {"event": "click"}}, subshell)

    def control(self, kind, **content):
        """Ask for something on the control channel."""
        message = self.client.session.msg(kind, content)
        self.client.control_channel.send(message)
        while True:
            reply = self.client.control_channel.get_msg(timeout=PATIENCE)
            if reply["parent_header"].get("msg_id") == message["header"]["msg_id"]:
                return reply["content"]

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
        made.run(BEGIN + WIDGET)
        assert made.ask("ipykernel.__version__").startswith("6.") == bool(SIX)
        yield made
    finally:
        made.end()


@pytest.fixture(scope="module")
def subshell(kernel):
    if SIX:
        pytest.skip("subshells came with ipykernel 7")
    return kernel.control("create_subshell_request")["subshell_id"]


@pytest.fixture(params=["main shell", "subshell"])
def shell(request):
    return None if request.param == "main shell" else request.getfixturevalue("subshell")


def test_a_slider_moved_by_a_message_runs_on_whichever_thread_it_arrives_and_what_may_not_be_is_set_back(kernel, shell):
    kernel.run(WIDGET, shell)  # ipykernel 7.4 answers on the shell that spoke last, those before as they are told
    kernel.move("alpha", 30, shell)
    state = kernel.state()
    assert (state["alpha"], state["state"], state["errors"], state["wrong"]) == (30, "done", [], "")
    assert state["changed"]
    assert "alpha=30" in state["code"]
    assert state["status"].startswith("Done after")
    assert state["threads"]
    assert shell or state["threads"] == [state["main"]]
    kernel.move("alpha", -1, shell)
    state = kernel.state()
    assert (state["alpha"], state["slider"], state["errors"]) == (30, 30, [])
    assert "alpha" in state["wrong"]


def test_buttons_hold_and_end_a_run(kernel):
    kernel.run(WIDGET)
    kernel.run(LONG)
    kernel.click("pause")
    kernel.run("await until(lambda: lab.paused, 'the pause')")
    kernel.run("seen = lab.made.measured")
    kernel.click("step")
    kernel.run("await until(lambda: lab.made.measured == seen + 1, 'the step')")
    kernel.click("stop")
    state = kernel.state()
    assert (state["state"], state["errors"]) == ("stopped", [])


def test_a_busy_cell_holds_a_run_up_and_it_goes_on_after_it_without_a_thread(kernel):
    kernel.run(WIDGET)
    threads = kernel.ask("sorted(one.name for one in threading.enumerate())")
    kernel.run(LONG)
    assert kernel.ask("[(before := lab.made.step), time.sleep(0.3), lab.made.step - before][2]") == 0
    kernel.run("await until(lambda: lab.made.step > before, 'the run')")
    assert kernel.ask("sorted(one.name for one in threading.enumerate())") == threads
    kernel.click("stop")
    assert kernel.state()["state"] == "stopped"


def test_moves_from_two_threads_while_cells_draw_leave_the_last_and_no_fault(kernel, subshell):
    kernel.run(WIDGET, subshell)
    for number in range(4):
        slider, value = (("alpha", 10 + number), ("code_size", 20 + number))[number % 2]
        message = {"method": "update", "state": {"value": value}, "buffer_paths": []}
        kernel.send(f"lab.sliders['{slider}']", message, subshell)
        kernel.run("shown = lab._repr_mimebundle_(); assert 'image/png' in shown[0]")
    kernel.run("await until(lambda: (lab.config.alpha, lab.config.code_size) == (12, 23), 'the last')")
    state = kernel.state()
    assert (state["alpha"], state["code_size"], state["errors"]) == (12, 23, [])


def test_the_same_cell_again_closes_the_widget_before_and_stops_its_run(kernel):
    cell = "lab = ebll.widgets.forgetting_lab(PAIR, tasks=TASKS)"
    kernel.run(cell)
    kernel.run(LONG)
    kernel.run("old = lab")
    kernel.run(cell)
    kernel.run("await until(lambda: not old.running, 'the end')")
    assert kernel.ask("[old.closed, lab.closed, old.state]") == [True, False, "stopped"]


def test_interrupts_leave_the_widget_usable(kernel):
    kernel.run(WIDGET)
    kernel.run(LONG)
    asked = kernel.begin("print('asleep', flush=True); time.sleep(600)")
    until(lambda: kernel.client.get_iopub_msg(timeout=PATIENCE)["msg_type"] == "stream", "the cell")
    kernel.manager.interrupt_kernel()
    with pytest.raises(AssertionError, match="KeyboardInterrupt"):
        kernel.finish(asked)
    kernel.manager.interrupt_kernel()  # and one where nothing is executed
    time.sleep(0.2)
    assert kernel.ask("lab.running")
    kernel.click("stop")
    kernel.run("await until(lambda: not lab.running, 'the end')\nlab.mode, lab.code.value = 'run', PAIR")
    kernel.move("alpha", 5)
    state = kernel.state()
    assert (state["alpha"], state["state"], state["errors"]) == (5, "done", [])


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
    assert kernel.run("print('lab' in globals())") == "False\n"


def test_executed_by_a_program_a_cell_leaves_a_picture_with_its_text_and_no_widget(monkeypatch):
    monkeypatch.delenv("EBLL_STATIC", raising=False)
    cells = [
        "import ebll.widgets\nebll.widgets.forgetting_lab('epochs=1, methods=(\"ebll\",)')",
        "ebll.widgets.forgetting_lab('epochs=1', changes=[(5, 'alpha', 0.0)])",
        "ebll.widgets.submanifold_explorer('code_size=4')",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    done = build.execute(notebook)
    assert "widgets" not in done.metadata
    for cell in done.cells:
        (output,) = cell.outputs
        assert set(output.data) == {"image/png", "text/plain"}
        assert output.metadata["image/png"]["alt"] == output.data["text/plain"]
        assert len(output.data["text/plain"]) > 100
    assert "alpha is 0 from step 5" in done.cells[1].outputs[0].data["text/plain"]
