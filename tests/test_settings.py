"""Settings check themselves, document themselves, and cannot be changed behind one's back."""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, strategies as st
from messages import raises

from ebll import EBLL, EWC, METHODS, AutoencoderSettings, CodeOnly, EBLLSeparate, InputError, LwF, TrainSettings
from ebll.config import PRESETS, RunConfig
from ebll.settings import Settings, setting

WITH_ALPHA = [EBLL, EBLLSeparate, CodeOnly]
ALL = [*METHODS.values(), TrainSettings, AutoencoderSettings]

NUMBERS = [  # setting, whether it may be 0, and the largest value
    *((kind, "alpha", True, math.inf) for kind in WITH_ALPHA),
    *((kind, "distill_weight", True, math.inf) for kind in (LwF, EBLL)),
    *((kind, "temperature", False, math.inf) for kind in (LwF, EBLL)),
    (EWC, "ewc_strength", True, math.inf),
    (EWC, "fisher_decay", True, 1),
    (AutoencoderSettings, "recon_weight", True, math.inf),
    *((kind, "learning_rate", False, math.inf) for kind in (TrainSettings, AutoencoderSettings)),
    (TrainSettings, "momentum", True, 0.999),
    (TrainSettings, "weight_decay", True, math.inf),
    (TrainSettings, "drop_at", True, 1),
]
COUNTS = [  # setting, the smallest and the largest value
    (EWC, "fisher_samples", 1, math.inf),
    *((AutoencoderSettings, field, 1, math.inf) for field in ("code_size", "epochs")),
    *((kind, "batch_size", 1, 2**31) for kind in (TrainSettings, AutoencoderSettings)),
    (TrainSettings, "epochs", 1, math.inf),
    (TrainSettings, "warmup_epochs", 0, math.inf),
    (TrainSettings, "threads", 0, 1024),
]


@dataclasses.dataclass(frozen=True)
class Example(Settings):
    share: float = setting(0.5, "A share.", low=0.25, high=0.75, symbol="s")
    strict: float = setting(2.0, "Above one.", low=1, above=True)
    count: int = setting(2, "A count.", low=1)
    flag: bool = setting(True, "A switch.")
    free: object = None


def refuses(kind, *named, **values):
    """That each of many settings refuses each of many values; the wording is reviewed for a few of them below."""
    with pytest.raises(InputError) as caught:
        kind(**values)
    assert [part for part in named if part not in str(caught.value)] == []


# What is a number, a count, a switch.


@given(st.floats())
def test_exactly_the_finite_numbers_within_the_limits_pass(value):
    for name, fits in [("share", 0.25 <= value <= 0.75), ("strict", 1 < value < math.inf)]:
        if fits:
            assert getattr(Example(**{name: value}), name) == value
        else:
            refuses(Example, name, f"got {value:g}", **{name: value})


@pytest.mark.parametrize("value", ["1", "", True, None, 1j, [1.0]], ids=repr)
def test_what_is_no_number_is_refused_by_name(value):
    refuses(Example, "strict", f"{value!r} of type {type(value).__name__}", strict=value)
    refuses(Example, "strict", "got inf", strict=10**400)


@pytest.mark.parametrize("value", [0, -1, 2.0, "2", True, math.nan, None, np.array([1, 2])], ids=repr)
def test_counts_are_whole_numbers(value):
    refuses(Example, "count", "at least 1", f"got {value!r}", count=value)


@pytest.mark.parametrize("value", [0, 1, "yes", None])
def test_a_switch_is_true_or_false(value):
    assert Example(flag=False).flag is False
    with raises(InputError, "flag", f"got {value!r}"):
        Example(flag=value)


# The limits of each setting.


@pytest.mark.parametrize(("kind", "field", "zero", "high"), NUMBERS)
def test_numbers_have_their_limits(kind, field, zero, high):
    if zero:
        assert getattr(kind(**{field: 0}), field) == 0.0
    else:
        refuses(kind, field, "above 0", "got 0", **{field: 0})
    for value in (-1e-9, math.nan, math.inf):
        refuses(kind, field, f"got {value:g}", **{field: value})
    if high < math.inf:
        assert getattr(kind(**{field: high}), field) == high
        refuses(kind, field, f"at most {high}", "got 1.01", **{field: 1.01})


@pytest.mark.parametrize(("kind", "field", "low", "high"), COUNTS)
def test_counts_have_their_limits(kind, field, low, high):
    assert getattr(kind(**{field: low}), field) == low
    refuses(kind, field, f"at least {low}", f"got {low - 1}", **{field: low - 1})
    refuses(kind, field, f"at least {low}", "got 2.0", **{field: 2.0})
    if high < math.inf:
        assert getattr(kind(**{field: high}), field) == high
        refuses(kind, field, f"at most {high}", f"got {high + 1}", **{field: high + 1})


def test_messages_carry_symbol_and_hint():
    with raises(InputError, "temperature (θ)", "above 0", "got 0", "use 2"):
        LwF(temperature=0)
    with raises(InputError, "alpha (α)", "at least 0", "got '1' of type str"):
        EBLL(alpha="1")
    with raises(InputError, "temperature (θ)", "above 0", "got [2, 2] of type list"):
        EBLL(temperature=[2, 2])  # one number serves all tasks
    with raises(InputError, "batch_size", f"at most {2**31}", f"got {10**30}"):
        TrainSettings(batch_size=10**30)


@pytest.mark.parametrize("kind", WITH_ALPHA)
def test_alpha_is_one_number_or_one_per_old_task(kind):
    assert kind(alpha=3).alpha == 3.0
    assert kind(alpha=[1, 2.5]).alpha == (1.0, 2.5)
    assert kind(alpha=(0,)).alpha == (0.0,)
    with raises(InputError, "alpha (α)", "empty"):
        kind(alpha=[])
    for alpha, named in [
        ([1, -2], ["entry 1", "-2"]),
        ((math.nan, 1), ["entry 0", "nan"]),
        ((1, "2"), ["entry 1", "'2'"]),
        ([[1.0]], ["entry 0", "[1.0]"]),
    ]:
        with raises(InputError, "alpha (α)", *named):
            kind(alpha=alpha)


def test_an_unknown_choice_names_the_near_one():
    with raises(InputError, "fisher", "'exakt'", "Did you mean 'exact'", "exact, sampled, empirical"):
        EWC(fisher="exakt")


def test_numpy_numbers_are_numbers():
    assert EBLL(alpha=np.float32(0.5)).alpha == 0.5
    assert type(EBLL(alpha=np.float64(0.5)).alpha) is float
    assert TrainSettings(epochs=np.int64(3)).epochs == 3


def test_replace_checks_again_and_names_near_settings():
    changed = EBLL().replace(alpha=2, temperature=3)
    assert (changed.alpha, changed.temperature, changed.distill_weight) == (2.0, 3.0, 1.0)
    with raises(InputError, "alpha (α)", "at least 0", "got -1"):
        EBLL().replace(alpha=-1)
    with raises(InputError, "Setting of EBLL", "'temprature'", "Did you mean 'temperature'"):
        EBLL().replace(temprature=1)


@pytest.mark.parametrize("kind", ALL)
def test_settings_are_frozen_equal_by_value_and_hashable(kind):
    one, other = kind(), kind()
    assert one == other
    assert hash(one) == hash(other)
    for field in dataclasses.fields(kind):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(one, field.name, 1)


@pytest.mark.parametrize("kind", ALL)
def test_metadata_describes_every_setting_with_a_sentence_and_a_default_within_its_limits(kind):
    metadata = kind.metadata()
    assert set(metadata) == {field.name for field in dataclasses.fields(kind)} - {"autoencoder"}
    for name, rules in metadata.items():
        assert rules["doc"].endswith("."), name
        assert getattr(kind(), name) == rules["default"]
        if not rules["choices"]:
            assert rules["low"] <= rules["default"] <= rules["high"]


def test_the_defaults_are_those_of_the_paper_where_it_names_them():
    assert (LwF().temperature, LwF().distill_weight) == (2.0, 1.0)
    assert (EBLL().temperature, EBLL().distill_weight) == (2.0, 1.0)
    assert (TrainSettings().momentum, TrainSettings().weight_decay) == (0.9, 5e-4)


def test_with_another_net_what_was_not_given_is_the_other_nets():
    own = {net: RunConfig(net=net) for net in PRESETS}
    assert own["mlp"].distill_weight != own["cnn"].distill_weight
    assert own["mlp"].replace(net="cnn") == own["cnn"] == RunConfig.from_dict({"net": "cnn"})
    assert own["mlp"].replace(alpha=7.0).replace(net="cnn", seed=2) == RunConfig(net="cnn", alpha=7.0, seed=2)
