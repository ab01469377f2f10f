"""The package as others get it: its type hints, and a wheel that works without the repository."""

import inspect
import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

import ebll

ROOT = Path(__file__).parents[1]


def run(*words, cwd, **environ):
    done = subprocess.run(words, cwd=cwd, env=os.environ | environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def public_functions():
    """Every function behind a public name, of the public modules, and every public method of the classes."""
    values = {name: getattr(ebll, name) for name in ebll.__all__}
    modules = {name: value for name, value in values.items() if inspect.ismodule(value)}
    for name, module in modules.items():
        values |= {f"{name}.{member}": getattr(module, member) for member in getattr(module, "__all__", ())}
    for name, value in values.items():
        if inspect.isfunction(value) and value.__module__.startswith("ebll"):
            yield name, value
        for key, method in vars(value).items() if inspect.isclass(value) else []:
            function = method.fget if isinstance(method, property) else getattr(method, "__func__", method)
            if not key.startswith("_") and key not in inspect.get_annotations(value) and inspect.isfunction(function):
                yield f"{name}.{key}", function


def test_type_hints_of_public_names_are_complete():
    lacking = []
    for name, function in public_functions():
        signature = inspect.signature(function)
        hints = [p.annotation for key, p in signature.parameters.items() if key not in ("self", "cls")]
        if inspect.Parameter.empty in [*hints, signature.return_annotation]:
            lacking.append(name)
    assert not lacking


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Folder with the sdist, and with the wheel that was built from it."""
    out = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(ROOT), cwd=out)
    return out


@pytest.fixture(scope="module")
def installed(built, tmp_path_factory):
    """Folder into which the wheel was installed, beside the packages of this environment."""
    target = tmp_path_factory.mktemp("installed")
    (wheel,) = built.glob("*.whl")
    run(sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(target), str(wheel), cwd=target)
    return target


@pytest.mark.slow
def test_wheel_and_sdist_hold_every_file_of_the_package(built):
    wanted = {name for name in run("git", "ls-files", "ebll", cwd=ROOT).split() if (ROOT / name).exists()}
    (wheel,), (sdist,) = built.glob("*.whl"), built.glob("*.tar.gz")
    with zipfile.ZipFile(wheel) as file:
        assert wanted <= set(file.namelist())
    with tarfile.open(sdist) as file:
        assert wanted <= {name.partition("/")[2] for name in file.getnames()}


@pytest.mark.slow
def test_installed_wheel_gives_command_widget_page_and_types(installed):
    code = (
        "import ebll, importlib.resources as r; print(ebll.__file__);"
        "ebll.widgets.forgetting_lab(); ebll.course.checks; ebll.sweeps.precomputed_sweep();"
        "assert r.files(ebll).joinpath('py.typed').is_file()"
    )
    assert run(sys.executable, "-c", code, cwd=installed, PYTHONPATH=str(installed)).startswith(str(installed))
    command = installed / "bin" / "ebll"
    assert "reproduce" in run(sys.executable, str(command), "--help", cwd=installed, PYTHONPATH=str(installed))
