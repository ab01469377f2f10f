"""Imports inside ebll go only downwards, and some packages stay in the modules meant for them."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "ebll"
# Lowest first: a module, or a folder of modules, imports only from lines above its own, or from its own folder.
LEVELS = [
    {"errors", "losses"},
    {"data", "executors", "files", "metrics", "seeds", "settings"},
    {"autoencoder", "networks", "plots"},
    {"fisher"},
    {"methods"},
    {"recording", "training"},
    {"config", "protocol"},
    {"dynamics"},
    {"comparison", "widgets"},
    {"course", "reproduce", "sweeps", "web"},
    {"paper"},
    {"site"},
    {"cli"},
]
LEVEL = {name: level for level, names in enumerate(LEVELS) for name in names}
# Packages that only these may import; pyplot, which holds global state, is for nobody.
KEPT_TO = {
    "matplotlib": {"plots"}, "seaborn": {"plots"}, "click": {"cli", "reproduce"},
    "tqdm": {"cli", "reproduce"}, "ipywidgets": {"sweeps", "widgets"}, "anywidget": {"sweeps", "web", "widgets"},
    "distributed": set(), "altair": {"widgets"}, "vl_convert": {"sweeps", "widgets"}, "pylab": set(),
    "nbconvert": {"site"}, "bs4": {"site"},
}  # fmt: skip
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path.stem not in ("__main__",) and path.parent != PACKAGE)
MODULES += sorted(path for path in PACKAGE.glob("*.py") if not path.stem.startswith("__"))


def offences(path, source):
    """What is wrong with the imports of a module."""
    me = path.relative_to(PACKAGE).with_suffix("").parts
    for node in ast.walk(ast.parse(source)):
        level = getattr(node, "level", 0)
        stem = ("ebll", *me)[: len(me) + 1 - level] if level else ()
        base = (*stem, *(node.module or "").split(".")) if isinstance(node, ast.ImportFrom) else ()
        for alias in node.names if isinstance(node, ast.Import | ast.ImportFrom) else ():
            package, *inner = [part for part in (*base, *alias.name.split(".")) if part]
            if package == "ebll" and inner[0] != me[0] and LEVEL.get(inner[0], 99) >= LEVEL[me[0]]:
                yield f"line {node.lineno}: {me[0]} may not import {inner[0]}: imports go downwards"
            if me[0] not in KEPT_TO.get(package, {me[0]}) or (package, *inner[:1]) == ("matplotlib", "pyplot"):
                yield f"line {node.lineno}: {package} has no business in {me[0]}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_imports_go_only_downwards(path):
    assert list(offences(path, path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("losses.py", "def f():\n    import ebll.training"),
        ("networks.py", "from ebll import EBLL"),
        ("methods/ewc.py", "from ..training import train"),
        ("plots/style.py", "from matplotlib import pyplot as plt"),
        ("training.py", "import matplotlib"),
    ],
)
def test_the_guard_sees(module, source):
    assert len(list(offences(PACKAGE / module, source))) == 1


IMAGES = "torchvision sklearn skimage mlxtend matplotlib"
SPARED = {  # code -> packages that it does not load
    "import ebll.data; ebll.data.task_table()": f"torch {IMAGES}",
    "import ebll; [ebll.load_task(name) for name in ('mnist', 'digits', 'letters', 'textures')]": f"pandas {IMAGES}",
    "import ebll; ebll.run_sequence": "pandas matplotlib seaborn",
    "import ebll; ebll.plots": "seaborn matplotlib.pyplot",
    "import ebll; ebll.widgets.run": "altair seaborn",
    "import ebll.course.checks": "IPython matplotlib.pyplot",
}


@pytest.mark.slow
@pytest.mark.parametrize("code", SPARED)
def test_what_a_user_touches_waits_for_no_package_that_it_can_do_without(code):
    shown = f"{code}; import sys; print(sorted({set(SPARED[code].split())} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", shown], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
