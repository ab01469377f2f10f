"""The files around the package agree with each other: pyproject, environment, Makefile, README, citation, CI."""

import fnmatch
import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

import ebll
from tests import processors

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT = PYPROJECT["project"]

# PyPI's name -> conda-forge's, where they differ.
CONDA_NAME = {"torch": "pytorch-cpu", "matplotlib": "matplotlib-base", "seaborn": "seaborn-base"}


def text(name):
    return (ROOT / name).read_text(encoding="utf-8")


def requirement(line):
    """`torch>=2.4,<3` -> ("torch", {">=2.4", "<3"})."""
    name, versions = re.fullmatch(r"([A-Za-z0-9_.-]+)\s*(.*)", line).groups()
    return name.lower(), {part.strip() for part in versions.split(",") if part.strip()}


def make(*arguments, **environ):
    """Run make as a person would, not as a child of the `make test` that may be running this."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith("MAKE") and key != "PYTHON"}
    options = {"cwd": ROOT, "env": clean | environ, "capture_output": True, "text": True}
    return subprocess.run(["make", *arguments], timeout=60, check=False, **options)


def test_environment_and_pyproject_name_the_same_packages_and_ranges_and_binder_finds_them():
    whole = yaml.safe_load(text("environment.yml"))
    assert (whole["name"], whole["channels"]) == ("ebll", ["conda-forge", "nodefaults"])
    *lines, pip = whole["dependencies"]
    assert pip == {"pip": ["-e ."]}
    conda = dict(requirement(line) for line in lines)
    assert PROJECT["requires-python"] in conda.pop("python")
    assert conda.pop("pip") == set()
    wanted = dict(requirement(line) for line in PROJECT["dependencies"])
    assert conda == {CONDA_NAME.get(name, name): versions for name, versions in wanted.items()}
    # repo2docker would read these instead of environment.yml.
    assert [name for name in ("Dockerfile", "binder", ".binder") if (ROOT / name).exists()] == []
    declared = sum(PROJECT["optional-dependencies"].values(), PROJECT["dependencies"])
    explained = dict(re.findall(r'^ {4}"([^"]+)",[ \t]*#[ \t]*(\S.*)$', text("pyproject.toml"), re.M))
    assert set(declared) <= set(explained), "every dependency says why"
    for name, versions in map(requirement, declared):
        assert {version.rstrip(".0123456789") for version in versions} == {">=", "<"}, name


def test_the_package_that_is_built_holds_every_module():
    patterns = PYPROJECT["tool"]["setuptools"]["packages"]["find"]["include"]
    folders = {path.parent for path in (ROOT / "ebll").rglob("*.py")}
    for folder in folders:
        assert (folder / "__init__.py").exists(), f"{folder} would be left out: it has no __init__.py"
        name = ".".join(folder.relative_to(ROOT).parts)
        assert any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns), f"{name} is not found by {patterns}"
    data = PYPROJECT["tool"]["setuptools"].get("package-data", {})
    globs = [glob for listed in data.values() for glob in listed]
    others = [p for p in (ROOT / "ebll").rglob("*") if p.is_file() and p.suffix not in {".py", ".pyc"}]
    assert [p for p in others if not any(fnmatch.fnmatch(p.name, Path(glob).name) for glob in globs)] == []


def test_documents_ci_and_make_alone_name_the_targets_that_exist():
    makefile = text("Makefile").replace("\\\n", " ")  # a line that goes on is one line
    targets = set(re.findall(r"^([a-z][a-z0-9-]*):", makefile, re.M))
    assert targets == set(re.search(r"^\.PHONY: (.*)$", makefile, re.M).group(1).split()) - {"FORCE"}
    named = {}
    for name in ("README.md", "CONTRIBUTING.md", "notebooks/README.md"):
        code = "\n".join(piece.strip("`") for piece in re.findall(r"```.*?```|`[^`\n]+`", text(name), re.S))
        named[name] = set(re.findall(r"^[ \t]*(?:\$ )?make (?:[A-Z]+=\S+ )*([a-z][a-z0-9-]*)", code, re.M))
    assert set().union(*named.values()) <= targets
    assert named["README.md"] >= {"reproduce", "test", "lab"}
    listed = set(re.findall(r"^  ([a-z][a-z0-9-]*) +\S", make().stdout, re.M))
    assert listed == targets - {"python"}
    script = text(".ci/run").splitlines()
    tiers = {f"make {tier}" for tier in ("test", "lint", "lint-js", "test-slow", "test-browser", "test-ipykernel6")}
    assert {"set -euo pipefail", *tiers} <= set(script)
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
    assert [name for name in processors.FILES if not (ROOT / "tests" / f"test_{name}.py").exists()] == []


def test_the_citation_names_this_version_and_the_paper():
    citation = yaml.safe_load(text("CITATION.cff"))
    assert citation["version"] == PROJECT["version"] == ebll.__version__
    paper = citation["preferred-citation"]
    families = [author["family-names"] for author in paper["authors"]]
    assert families == ["Rannen Triki", "Aljundi", "Blaschko", "Tuytelaars"]
    assert (paper["title"], paper["year"]) == ("Encoder Based Lifelong Learning", 2017)
    assert (paper["start"], paper["end"], paper["identifiers"][0]["value"]) == (1320, 1328, "arXiv:1704.01920")


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("echo 3.9.1; exit 1", ["needs Python 3.11 or newer", "is 3.9.1", "apt-get install python3", "make PYTHON="]),
        ("exit 127", ["needs Python 3.11 or newer", "does not run", "make PYTHON="]),
        ('case "$2" in *ensurepip*) exit 1;; esac; echo 3.13.5', ["ensurepip", "is 3.13.5", "install python3-venv"]),
        ("echo 3.12.0", []),
    ],
    ids=["too old", "broken", "without venv", "fit"],
)
def test_an_unfit_python_is_refused_in_words_and_another_is_taken_as_it_is(tmp_path, script, words):
    path = tmp_path / "fake python"  # with a space, as in "/Users/Ada Lovelace"
    path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    path.chmod(0o755)
    out = make("--silent", "python", PYTHON=str(path))
    assert (out.returncode != 0) == bool(words)
    assert out.stdout.strip() == ("" if words else str(path))
    assert [word for word in words if word not in out.stderr] == []


def test_no_file_names_an_index_or_a_local_build():
    for name in ("Makefile", "pyproject.toml", "environment.yml", ".ci/run"):
        assert not re.search(r"\+cpu|index-url|https?://|find-links", text(name)), name
