"""A JupyterLab on this machine and a Chromium that drives it, for the browser tests and the widgets' benchmark."""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import nbformat

HOW = (
    "No Chromium is on this machine, so the browser tests cannot run. Debian: apt-get install chromium. Others: put "
    "chromium, chromium-browser or google-chrome on the PATH, or name it in EBLL_CHROMIUM."
)
FLAGS = ("--disable-gpu", "--disable-quic", "--disable-sync")
QUIET = {
    "@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False},
    "@jupyterlab/docmanager-extension:plugin": {"autosave": False},
    "@jupyterlab/notebook-extension:tracker": {"windowingMode": "none"},
}


def chromium():
    """Path of a Chromium, or None."""
    named = [os.environ.get("EBLL_CHROMIUM"), "chromium", "chromium-browser", "google-chrome"]
    return next((found for name in named if name and (found := shutil.which(name))), None)


def write_notebook(path, *cells):
    """A notebook of these code cells."""
    spec = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}
    made = nbformat.v4.new_notebook(metadata={"kernelspec": spec})
    made.cells = [nbformat.v4.new_code_cell(cell) for cell in cells]
    nbformat.write(made, path)


@contextlib.contextmanager
def jupyterlab(folder, **environ):
    """A JupyterLab over `folder`, with settings and kernels of its own; yields its address."""
    folder = Path(folder)
    home = folder / ".home"
    overrides = home / "lab" / "settings" / "overrides.json"
    overrides.parent.mkdir(parents=True, exist_ok=True)
    overrides.write_text(json.dumps(QUIET))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    env = {k: v for k, v in os.environ.items() if k not in ("EBLL_STATIC", "MPLBACKEND", "JUPYTER_TOKEN")} | environ
    env |= {
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        "JUPYTER_DATA_DIR": str(home / "data"),
        "IPYTHONDIR": str(home / "ipython"),
    }
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", f"--port={port}"]
    command += ["--ServerApp.ip=127.0.0.1", "--IdentityProvider.token=", f"--ServerApp.root_dir={folder}"]
    command += [f"--LabApp.app_settings_dir={overrides.parent}", "--ServerApp.open_browser=False"]
    with (home / "server.log").open("w") as log:
        server = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=env, cwd=folder)
        try:
            address = f"http://127.0.0.1:{port}"
            _wait_for(address, server, home / "server.log")
            yield address
        finally:
            server.terminate()
            try:
                server.wait(20)
            except subprocess.TimeoutExpired:
                server.kill()


def _wait_for(address, server, log):
    for _ in range(300):
        if server.poll() is not None:
            break
        with contextlib.suppress(OSError):
            urllib.request.urlopen(f"{address}/api", timeout=2).close()
            return
        time.sleep(0.2)
    raise RuntimeError(f"JupyterLab did not start:\n{log.read_text()[-3000:]}")


class Book:
    """An open notebook: cells to run, and the widgets in their outputs."""

    def __init__(self, page, address, name):
        self.page, self.said, self.asked = page, [], []
        page.on("console", lambda message: self.said.append((message.type, message.text)))
        page.on("pageerror", lambda error: self.said.append(("pageerror", str(error))))
        page.on("request", lambda request: self.asked.append(request.url))
        page.goto(f"{address}/lab/tree/{name}?reset")
        page.wait_for_selector(".jp-NotebookPanel .jp-Cell", timeout=60_000)
        page.get_by_text("| Idle", exact=False).wait_for(timeout=60_000)

    def menu(self, top, item):
        """Choose an entry of the menu bar."""
        self.page.get_by_role("menuitem", name=top, exact=True).click()
        self.page.get_by_role("menuitem", name=item).first.click()

    def run_all(self, timeout=180):
        """Run all cells, and wait until the last one has ended."""
        begun = "() => /\\[[*\\d]+\\]/.test(document.querySelector('.jp-CodeCell .jp-InputPrompt').innerText)"
        for _ in range(3):  # asked before the kernel listens, nothing would happen
            self.menu("Run", "Run All Cells")
            with contextlib.suppress(Exception):
                self.page.wait_for_function(begun, timeout=5000)
                break
        self.wait(timeout)

    def wait(self, timeout=180):
        """Wait until every code cell has a number, and the kernel is idle."""
        done = """() => [...document.querySelectorAll('.jp-CodeCell .jp-InputPrompt')]
            .filter(e => e.closest('.jp-Cell').querySelector('.cm-content')?.innerText.trim())
            .every(e => /\\[\\d+\\]/.test(e.innerText))"""
        self.page.wait_for_function(done, timeout=1000 * timeout)
        self.page.get_by_text("| Idle", exact=False).wait_for(timeout=1000 * timeout)

    def widget(self, place=0):
        """The part of the page that holds a widget."""
        drawn = self.page.locator(".ebll-sweep [role=img], .ebll-chart [role=img]")
        drawn.nth(place).wait_for(timeout=60_000)
        return self.page.locator(".jp-OutputArea-child", has=drawn).nth(place)

    def errors(self):
        """What the console said that is an error of ours or of anybody's."""
        known = ("Failed to load resource",)
        return [text for kind, text in self.said if kind in ("error", "pageerror") and not text.startswith(known)]


@contextlib.contextmanager
def browser():
    """A Chromium with an empty profile."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        made = play.chromium.launch(executable_path=chromium(), args=FLAGS)
        try:
            yield made
        finally:
            made.close()
