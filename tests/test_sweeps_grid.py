"""One run as a frozen object and its key; a grid of settings, read from a dict or a TOML file."""

import dataclasses
import itertools
import json
import math

import numpy as np
import pytest
from hypothesis import given, strategies as st
from messages import raises

from ebll import METHODS, TASKS, USUAL, InputError
from ebll.methods import settings_of
from ebll.sweeps import RunConfig, axes_of, configs_of, read_grid
from ebll.sweeps.grid import EXAMPLE, MAX_RUNS, check_runs
from ebll.sweeps.runs import run_key

METHOD_SETTINGS = (
    "alpha",
    "temperature",
    "distill_weight",
    "ewc_strength",
    "l2_strength",
    "moments_strength",
    "kfac_strength",
    "replay_weight",
    "code_size",
    "recon_weight",
)
POSITIVE = st.floats(1e-3, 1e3)
VALUES = {
    "tasks": st.permutations(sorted(TASKS)).map(lambda names: tuple(names[:2])),
    "net": st.sampled_from(["mlp", "cnn"]),
    "alpha": POSITIVE | st.tuples(POSITIVE),
    **dict.fromkeys((*METHOD_SETTINGS[1:7], "replay_weight", "recon_weight", "learning_rate"), POSITIVE),
    **dict.fromkeys(("code_size", "epochs"), st.integers(1, 90)),
    **dict.fromkeys(("warmup_epochs", "seed", "images", "log_every"), st.integers(0, 900)),
}
CONFIGS = st.builds(
    lambda method, given: RunConfig.of(method=method, **given),
    st.sampled_from(sorted(METHODS)),
    st.fixed_dictionaries({}, optional=VALUES),
)


@given(CONFIGS, st.data())
def test_the_key_is_equal_for_one_run_and_differs_in_every_setting_that_acts(config, data):
    name = data.draw(st.sampled_from(sorted(VALUES)))
    value = data.draw(VALUES[name])
    other = config.replace(**{name: value})
    acts = name not in METHOD_SETTINGS or name in settings_of(config.method)
    one = value[0] if isinstance(value, tuple) and name == "alpha" else value
    mine = config.alpha[0] if name == "alpha" and isinstance(config.alpha, tuple) else getattr(config, name)
    if name == "net":
        return  # it brings other defaults; the next test changes it
    assert (run_key(other) == run_key(config)) is (not acts or one == mine)
    assert (other.canonical() == config.canonical()) is (run_key(other) == run_key(config))


def test_the_key_tells_nets_and_methods_apart_and_outlives_the_process():
    keys = {run_key(RunConfig(net=net, method=method)) for net in ("mlp", "cnn") for method in METHODS}
    assert len(keys) == 2 * len(METHODS)
    assert run_key(RunConfig(alpha=0.1, seed=3)) == "cf60049471926765a17a72592992f55f"


@given(CONFIGS)
def test_a_config_survives_json_and_its_canonical_form_stands_still(config):
    assert RunConfig.of(**json.loads(json.dumps(dataclasses.asdict(config)))) == config
    assert config.canonical().canonical() == config.canonical()
    assert config.canonical().made_method() == config.replace(alpha=config.canonical().alpha).made_method()


def test_the_defaults_are_those_of_the_methods_and_of_training():
    config = RunConfig()
    assert config == RunConfig.of(net="mlp") == RunConfig.of(**dataclasses.asdict(config))
    assert config.train == USUAL
    for name, method in METHODS.items():
        assert RunConfig(method=name).made_method() == method()


def test_equal_alphas_for_each_task_are_one_alpha():
    three = ("digits", "letters", "mnist")
    one, two = (RunConfig(tasks=three, alpha=alpha) for alpha in (2.0, (2.0, 2.0)))
    assert run_key(one) == run_key(two) != run_key(RunConfig(tasks=three, alpha=(2.0, 1.0)))


AXES = st.fixed_dictionaries(
    {},
    optional={
        "method": st.lists(st.sampled_from(sorted(METHODS)), min_size=1, max_size=3, unique=True),
        "alpha": st.lists(POSITIVE, min_size=1, max_size=3, unique=True),
        "ewc_strength": st.lists(POSITIVE, min_size=1, max_size=2, unique=True),
        "epochs": st.lists(st.integers(1, 9), min_size=1, max_size=3, unique=True),
        "seed": st.lists(st.integers(0, 9), min_size=1, max_size=3, unique=True),
    },
).filter(bool)


@given(AXES)
def test_a_grid_is_its_product_without_runs_that_are_the_same(grid):
    configs = configs_of(grid)
    methods = grid.get("method", ["ebll"])
    # A method multiplies by those axes alone that it has.
    counted = [
        math.prod(
            len(v) for n, v in grid.items() if n != "method" and (n not in METHOD_SETTINGS or n in settings_of(m))
        )
        for m in methods
    ]
    assert len(configs) == len(set(map(run_key, configs))) == sum(counted)
    product = [dict(zip(grid, point, strict=True)) for point in itertools.product(*grid.values())]
    points = [RunConfig.of(**point).canonical() for point in product]
    places = [points.index(config.canonical()) for config in configs]
    assert places == sorted(places)
    assert configs_of(configs + configs) == configs


def test_what_holds_several_values_and_what_is_one():
    arrays = {
        "alpha": np.array([1.0, 3.0]), "seed": np.arange(2), "epochs": np.int64(3), "tasks": [["mnist", "digits"]],
    }  # fmt: skip
    axes = {"alpha": [1.0, 3.0], "seed": [0, 1], "epochs": [3], "tasks": [("mnist", "digits")]}
    assert axes_of(arrays) == axes
    assert configs_of(arrays) == configs_of({**axes, "seed": range(2), "tasks": ("mnist", "digits")})
    assert axes_of({"alpha": [[1.0, 2.0], 3.0]}) == {"alpha": [(1.0, 2.0), 3.0]}
    assert axes_of({"tasks": ["mnist", "digits"]}) == axes_of({"tasks": [("mnist", "digits")]})


@pytest.mark.parametrize(
    ("grid", "named"),
    [
        ({}, ["empty"]),
        ({"alpha": []}, ["alpha", "no values"]),
        ({"alhpa": [1]}, ["'alhpa'", "Did you mean 'alpha'"]),
        ({"alpha": [1, -1]}, ["alpha", "at least 0", "got -1"]),
        ({"alpha": [{1: 2}]}, ["alpha", "{1: 2}"]),
        ({"alpha": (0.3, 1.0)}, ["alpha", "(0.3, 1.0)", "letters-textures needs 1"]),
        ({"method": ["lfw"]}, ["'lfw'", "Did you mean 'lwf'"]),
        ({"seed": [1.5]}, ["seed", "whole number", "1.5"]),
        ({"tasks": ["letters"]}, ["tasks", "two names", "letters"]),
        ({"tasks": [["letters", "letters"]]}, ["tasks", "once", "letters"]),
        ({"seed": range(1000), "alpha": list(range(1, 1001))}, ["1,000,000", f"{MAX_RUNS:,}"]),
        ([{"alpha": 1}], ["RunConfig", "[{'alpha': 1}]"]),
        (None, ["grid", "dict", "None"]),
    ],
)
def test_a_grid_that_cannot_be_run_is_refused(grid, named):
    with raises(InputError, *named):
        configs_of(grid)


def test_what_could_not_begin_is_refused_before_anything_runs():
    with raises(InputError, "'mnits'", "Did you mean 'mnist'"):
        check_runs([RunConfig(tasks=("letters", "mnits"))])
    with raises(InputError, "code_size", 1_000_000):
        check_runs([RunConfig(code_size=1_000_000)])
    check_runs([RunConfig(method="lwf", code_size=1_000_000).canonical()])


@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_the_example_of_a_file_can_be_read(tmp_path, mark):
    (tmp_path / "grid.toml").write_text(mark + EXAMPLE, encoding="utf-8")
    assert len(configs_of(tmp_path / "grid.toml")) == 3 * (1 + 3)


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (None, "No such file"), (b"", r"table \[grid\]"), (b"[grd]\nalpha = 1", r"table \[grid\]"),
        (b"grid = 3", r"table \[grid\]"), (b"\xff\xfe", "utf-8"), (b"[grid\nalpha = 1", "line 1"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_grid_is_refused_with_an_example(tmp_path, content, named):
    path = tmp_path / "alphas.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=rf"alphas\.toml .*{named}(.|\n)*alpha = \[0\.3"):
        read_grid(path)
