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

from tests import processors

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT = PYPROJECT["project"]

# PyPI's name -> conda-forge's, where they differ.
CONDA_NAME = {"torch": "pytorch-cpu", "matplotlib": "matplotlib-base", "seaborn": "seaborn-base"}

needs_make = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


def text(name):
    return (ROOT / name).read_text(encoding="utf-8")


def requirement(line):
    """`torch>=2.4,<3` -> ("torch", {">=2.4", "<3"})."""
    name, versions = re.fullmatch(r"([A-Za-z0-9_.-]+)\s*(.*)", line).groups()
    return name.lower(), {part.strip() for part in versions.split(",") if part.strip()}


def environment():
    """What environment.yml asks conda for, name -> range, and what it leaves to pip."""
    listed = yaml.safe_load(text("environment.yml"))["dependencies"]
    conda = dict(requirement(item) for item in listed if isinstance(item, str))
    return conda, [line for item in listed if isinstance(item, dict) for line in item["pip"]]


def make(*arguments, **environ):
    """Run make as a person would, not as a child of the `make test` that may be running this."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith("MAKE") and key != "PYTHON"}
    return subprocess.run(
        ["make", *arguments], cwd=ROOT, env=clean | environ, capture_output=True, text=True, timeout=60, check=False
    )


def targets():
    makefile = text("Makefile").replace("\\\n", " ")  # a line that goes on is one line
    phony = re.search(r"^\.PHONY: (.*)$", makefile, re.M).group(1).split()
    rules = set(re.findall(r"^([a-z][a-z0-9-]*):", makefile, re.M))
    assert rules == set(phony) - {"FORCE"}
    return rules


def commands(document):
    """The targets that a document's code (fenced or inline) tells the reader to make."""
    pieces = re.findall(r"```.*?```|`[^`\n]+`", document, re.S)
    pattern = r"^[ \t]*(?:\$ )?make (?:[A-Z]+=\S+ )*([a-z][a-z0-9-]*)"
    return {target for piece in pieces for target in re.findall(pattern, piece.strip("`"), re.M)}


def test_environment_and_pyproject_name_the_same_packages_and_ranges():
    conda, pip = environment()
    wanted = dict(requirement(line) for line in PROJECT["dependencies"])
    wanted = {CONDA_NAME.get(name, name): versions for name, versions in wanted.items()}
    python = conda.pop("python")
    assert conda.pop("pip") == set()
    assert conda == wanted
    assert PROJECT["requires-python"] in python
    assert pip == ["-e ."]


def test_environment_serves_binder():
    whole = yaml.safe_load(text("environment.yml"))
    assert whole["name"] == "ebll"
    assert whole["channels"] == ["conda-forge", "nodefaults"]
    # repo2docker would read these instead of environment.yml.
    assert [name for name in ("Dockerfile", "binder", ".binder") if (ROOT / name).exists()] == []


def test_every_dependency_says_why_and_has_a_lower_and_an_upper_bound():
    declared = sum(PROJECT["optional-dependencies"].values(), PROJECT["dependencies"])
    explained = dict(re.findall(r'^ {4}"([^"]+)",[ \t]*#[ \t]*(\S.*)$', text("pyproject.toml"), re.M))
    assert [line for line in declared if line not in explained] == []
    for line in declared:
        name, versions = requirement(line)
        assert {re.match(r"[<>=!~]+", version).group() for version in versions} == {">=", "<"}, name


def test_one_version_everywhere():
    import ebll

    assert yaml.safe_load(text("CITATION.cff"))["version"] == PROJECT["version"]
    assert getattr(ebll, "__version__", PROJECT["version"]) == PROJECT["version"]


def test_citation_names_the_paper():
    citation = yaml.safe_load(text("CITATION.cff"))
    paper = citation["preferred-citation"]
    assert citation["cff-version"] == "1.2.0"
    assert citation["license"] == PROJECT["license"]
    assert paper["title"] == "Encoder Based Lifelong Learning"
    families = [author["family-names"] for author in paper["authors"]]
    assert families == ["Rannen Triki", "Aljundi", "Blaschko", "Tuytelaars"]
    assert (paper["year"], paper["start"], paper["end"]) == (2017, 1320, 1328)
    assert paper["identifiers"][0]["value"] == "arXiv:1704.01920"


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


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md", "notebooks/README.md"])
def test_documents_name_only_targets_that_exist(document):
    assert commands(text(document)) - targets() == set()


def test_readme_opens_with_the_two_commands_and_names_the_third():
    assert commands(text("README.md")) >= {"reproduce", "test", "lab"}


def test_ci_runs_the_very_make_test_of_the_readme():
    script = ROOT / ".ci" / "run"
    lines = script.read_text(encoding="utf-8").splitlines()
    assert "set -euo pipefail" in lines
    assert "make test" in lines
    assert "make lint" in lines
    assert "make test-browser" in lines
    assert "make test-ipykernel6" in lines
    assert os.access(script, os.X_OK)
    assert subprocess.run(["bash", "-n", script], check=False).returncode == 0


def test_no_file_names_an_index_or_a_local_build():
    for name in ("Makefile", "pyproject.toml", "environment.yml", ".ci/run"):
        assert not re.search(r"\+cpu|index-url|https?://|find-links", text(name)), name


@needs_make
def test_make_alone_lists_every_target_of_a_reader():
    out = make()
    assert out.returncode == 0, out.stderr
    listed = set(re.findall(r"^  ([a-z][a-z0-9-]*) +\S", out.stdout, re.M))
    assert listed == targets() - {"python"}


def fake_python(folder, script):
    path = folder / "fake python"  # with a space, as in "/Users/Ada Lovelace"
    path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    path.chmod(0o755)
    return str(path)


@needs_make
@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("echo 3.9.1; exit 1", ["needs Python 3.11 or newer", "is 3.9.1", "apt-get install python3", "make PYTHON="]),
        ("exit 127", ["needs Python 3.11 or newer", "does not run", "make PYTHON="]),
        ('case "$2" in *ensurepip*) exit 1;; esac; echo 3.13.5', ["ensurepip", "is 3.13.5", "install python3-venv"]),
    ],
    ids=["too old", "broken", "without venv"],
)
def test_an_unfit_python_is_refused_in_words(tmp_path, script, words):
    out = make("python", PYTHON=fake_python(tmp_path, script))
    assert out.returncode != 0
    assert [word for word in words if word not in out.stderr] == []


@needs_make
def test_a_named_python_is_taken_as_it_is(tmp_path):
    named = fake_python(tmp_path, "echo 3.12.0")
    assert make("--silent", "python", PYTHON=named).stdout.strip() == named


def test_the_tests_for_other_processors_are_there():
    assert [name for name in processors.FILES if not (ROOT / "tests" / f"test_{name}.py").exists()] == []
