"""A config is a line of code and back, refuses what makes no sense, and knows which of its settings act."""

import contextlib
import types

import pytest
from hypothesis import given, strategies as st
from messages import raises
from tiny import blobs, same

import ebll
from ebll import METHODS, InputError
from ebll.settings import USUAL
from ebll.widgets import SubmanifoldConfig
from ebll.widgets.config import LAB_METHODS, MID_RUN, Change, LabConfig, acts_on

NAMES = st.text(min_size=1).filter(str.strip)
SHARED = {
    "net": st.sampled_from(["mlp", "cnn"]),
    "code_size": st.integers(1, 100_000),
    "recon_weight": st.floats(0, 1e6) | st.integers(1, 100),
    "seed": st.integers(0, 2**31),
}
CHANGES = st.lists(st.builds(Change, st.integers(0, 10**6), st.sampled_from(MID_RUN), st.floats(0, 1e6)))
CONFIGS = st.builds(
    lambda names, **others: LabConfig(old=names[0], new=names[1], **others),
    names=st.lists(NAMES, min_size=2, max_size=2, unique=True),
    methods=st.lists(st.sampled_from(LAB_METHODS), min_size=1),
    alpha=st.floats(0, 1e6),
    temperature=st.floats(0, 1e3, exclude_min=True),
    distill_weight=st.floats(0, 1e6),
    ewc_strength=st.floats(0, 1e9),
    learning_rate=st.floats(0, 1e3, exclude_min=True),
    epochs=st.integers(1, 1000),
    changes=CHANGES,
    **SHARED,
)
PLANES = st.builds(SubmanifoldConfig, task=NAMES, label=NAMES, **SHARED)


# A line of code and back.


@given(CONFIGS | PLANES)
def test_a_config_is_read_from_its_line_and_python_makes_the_same_of_it(config):
    line, kind = config.line(), type(config)
    assert kind.read(line) == kind.read(config) == config
    assert kind.read(line.partition("(")[2].removesuffix(")")) == config
    call = types.SimpleNamespace(run=LabConfig, explore=SubmanifoldConfig)
    assert eval(line, {"ebll": types.SimpleNamespace(widgets=call)}) == config


@given(CHANGES)
def test_changes_come_in_the_order_of_their_steps(changes):
    made = LabConfig(changes=[tuple(change) for change in changes]).changes
    assert [change.step for change in made] == sorted(change.step for change in changes)
    for step in {change.step for change in changes}:  # those of one step stay as they are
        assert [c for c in made if c.step == step] == [c for c in changes if c.step == step]


def test_a_line_tells_only_what_differs_from_the_defaults_and_settings_by_name_take_the_place_of_its_own():
    for text in ("", "  ", "LabConfig()", "ebll.widgets.forgetting_lab( )\n", "made = ebll.widgets.run()"):
        assert LabConfig.read(text) == LabConfig()
    with raises(InputError, "alpha", "more than once"):
        LabConfig.read("alpha=1.0, alpha=2.0")
    config = LabConfig(new="mnist", alpha=1, methods=["ebll"], changes=[(60, "alpha", 0)])
    line = 'ebll.widgets.run(new="mnist", methods=["ebll"], alpha=1.0, changes=[(60, "alpha", 0.0)])'
    assert config.line() == line
    assert LabConfig().line() == "ebll.widgets.run()"
    assert LabConfig.read("", net="cnn") == LabConfig(net="cnn")
    for begun in ("alpha=1.0, epochs=2", LabConfig(epochs=2)):
        assert LabConfig.read(begun, alpha=5.0) == LabConfig(alpha=5.0, epochs=2)
        with raises(InputError, "alhpa", "alpha"):
            LabConfig.read(begun, alhpa=1.0)


# Refusals.

NO_CALL = (
    *("LabConfig('letters')", "LabConfig(**{'seed': 1})", "seed=1), LabConfig(seed=2", "LabConfig(seed=", "import os"),
    *("\0", "nonsense " * 30, "(" * 300, "os.system(seed=3)", "ebll.widgets.explore(seed=3)", "seed=1)(alpha=2"),
)
NO_VALUE = (
    *("run(alpha=1 + 1)", "run(old=name)", "run(alpha={[]: 1})", "run(changes=everything)"),
    "run(changes=[(1, 'alpha', 1 + 1)])",
)
NO_SETTINGS = {
    "alhpa=1": ["LabConfig", "'alhpa'", "Did you mean 'alpha'"],
    "alpha=1e7": ["alpha", "at most 1e+06", "got 1e+07"],
    "old=' '": ["old", "got ' '"],
    "new='letters'": ["old and new", "'letters'"],
    "methods=()": ["methods", "at least one"],
    "methods=3": ["methods", "at least one"],
    "methods='joint'": ["Method", "'joint'"],
    "changes=5": ["changes", "got 5"],
    "changes=['abc']": ["step", "'a'"],
    "changes=[(1, 'alpha')]": ["changes", "(1, 'alpha')"],
    "changes=[(-1, 'alpha', 0.0)]": ["step", "got -1"],
    "changes=[(1, 'recon_weight', 1.0)]": ["setting", "'recon_weight'", *MID_RUN],
    "changes=[(1, 'alpha', -1)]": ["alpha", "got -1"],
}


def test_what_makes_no_run_is_refused():
    for text in NO_CALL:
        with raises(InputError, "config", "run(seed=1)", "got"):
            LabConfig.read(text)
    for text in NO_VALUE:
        with raises(InputError, "config", "every value"):
            LabConfig.read(text)
    for text, named in NO_SETTINGS.items():
        with raises(InputError, *named):
            LabConfig.read(text)
    with raises(InputError, "config", "run(seed=1)", "got int"):
        LabConfig.read(3)


def test_nothing_in_a_line_is_executed(tmp_path):
    target = tmp_path / "touched"
    touch = f"__import__('pathlib').Path('{target.as_posix()}').touch()"
    for line in (
        *("run(alpha={})", "run(alpha=1, **{})", "run({})", "{}", "[{}, run()][1]"),
        *("run({}, changes=[])", "run(changes={})", "run(changes=[(1, 'alpha', {})])"),
    ):
        with contextlib.suppress(InputError):
            LabConfig.read(line.format(touch))
        assert not target.exists()
    eval(touch)  # it would have shown
    assert target.exists()


# What the settings mean.


def test_methods_come_in_the_order_of_the_kit_and_once_each():
    assert LabConfig(methods=["ebll", "lwf", "ebll"]).methods == ("lwf", "ebll")
    assert LabConfig(methods="ewc").methods == ("ewc",)
    assert LabConfig(methods=reversed(LAB_METHODS)).methods == tuple(name for name in METHODS if name in LAB_METHODS)


def test_the_defaults_are_those_of_the_main_job():
    for name in LAB_METHODS:
        assert LabConfig().run(name).made_method() == METHODS[name]()
        assert LabConfig().run(name).train == USUAL


@given(CONFIGS)
def test_the_run_of_each_method_has_the_settings(config):
    for name in LAB_METHODS:
        run = config.run(name)
        assert (run.tasks, run.method) == ((config.old, config.new), name)
        assert run.train == USUAL.replace(learning_rate=config.learning_rate, epochs=config.epochs)
        assert all(getattr(run, setting) == getattr(config, setting) for setting in ("net", "seed", *OTHER))


OWN = [blobs("old", 1, count=200), blobs("new", 2, count=200)]
BASE = LabConfig(old="old", new="new", code_size=4, epochs=3, methods=LAB_METHODS)
OTHER = {
    **{"alpha": 30.0, "temperature": 5.0, "distill_weight": 9.0, "ewc_strength": 3e4, "code_size": 6},
    **{"recon_weight": 1.0, "learning_rate": 0.05, "epochs": 4, "seed": 5},
}


@pytest.fixture(scope="module")
def base():
    return ebll.widgets.run(BASE, tasks=OWN).runs


@pytest.mark.parametrize("setting", OTHER)
def test_a_setting_acts_on_a_method_exactly_where_it_says_so(base, setting):
    made = ebll.widgets.run(BASE.replace(**{setting: OTHER[setting]}), tasks=OWN).runs
    changed = {method for method in LAB_METHODS if not same(made[method].net, base[method].net)}
    assert changed == {method for method in LAB_METHODS if acts_on(setting, [method])}
    assert acts_on(setting, LAB_METHODS)
