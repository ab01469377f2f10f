"""Settings check themselves, document themselves, and cannot be changed behind one's back."""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from messages import raises

from ebll import EBLL, EWC, METHODS, AutoencoderSettings, CodeOnly, EBLLSeparate, InputError, LwF, TrainSettings
from ebll.settings import Settings, setting

WITH_ALPHA = [EBLL, EBLLSeparate, CodeOnly]
ALL = [*METHODS.values(), TrainSettings, AutoencoderSettings]

AT_LEAST_0 = [
    *((kind, "alpha") for kind in WITH_ALPHA),
    *((kind, "distill_weight") for kind in (LwF, EBLL)),
    *((kind, field) for kind, field in [(EWC, "ewc_strength"), (EWC, "fisher_decay")]),
    *((TrainSettings, field) for field in ("momentum", "weight_decay", "drop_at")),
    (AutoencoderSettings, "recon_weight"),
]
ABOVE_0 = [
    *((kind, "temperature") for kind in (LwF, EBLL)),
    *((kind, "learning_rate") for kind in (TrainSettings, AutoencoderSettings)),
]
COUNTS = [
    *((TrainSettings, field) for field in ("epochs", "batch_size")),
    *((AutoencoderSettings, field) for field in ("code_size", "epochs", "batch_size")),
    (EWC, "fisher_samples"),
]


def refuses(kind, *named, **values):
    """That each of many settings refuses each of many values; the wording is reviewed for a few of them below."""
    with pytest.raises(InputError) as caught:
        kind(**values)
    assert [part for part in named if part not in str(caught.value)] == []


@pytest.mark.parametrize(("kind", "field"), AT_LEAST_0 + ABOVE_0)
@pytest.mark.parametrize(
    ("value", "shown"),
    [
        *((value, f"{value:g}") for value in (-1e-9, -3, math.nan, math.inf, -math.inf)),
        *((value, f"{value!r} of type {type(value).__name__}") for value in ("1", "", True, None, 1j)),
        ([[1.0]], "[1.0]"),
        pytest.param(10**400, "inf", id="huge"),
    ],
)
def test_numbers_that_make_no_sense_are_refused_by_name(kind, field, value, shown):
    refuses(kind, field, shown, **{field: value})


@pytest.mark.parametrize(("kind", "field"), AT_LEAST_0)
def test_zero_is_a_weight_like_any_other(kind, field):
    assert getattr(kind(**{field: 0}), field) == 0.0


@pytest.mark.parametrize(("kind", "field"), ABOVE_0)
def test_zero_is_refused_where_it_is_senseless(kind, field):
    refuses(kind, field, "above 0", "got 0", **{field: 0})


@pytest.mark.parametrize(("kind", "field"), COUNTS)
@pytest.mark.parametrize("value", [0, -1, 2.0, "2", True, math.nan, None, np.array([1, 2])], ids=repr)
def test_counts_are_whole_numbers_of_at_least_one(kind, field, value):
    refuses(kind, field, "at least 1", f"got {value!r}", **{field: value})


@pytest.mark.parametrize(
    ("kind", "field", "high"),
    [
        (TrainSettings, "threads", 1024),
        (TrainSettings, "batch_size", 2**31),
        (AutoencoderSettings, "batch_size", 2**31),
    ],
)
def test_counts_that_torch_cannot_take_are_refused(kind, field, high):
    assert getattr(kind(**{field: high}), field) == high
    for value in (high + 1, 10**30):
        with raises(InputError, field, f"at most {high}", f"got {value}"):
            kind(**{field: value})


def test_no_warm_up_is_allowed_and_less_is_not():
    assert TrainSettings(warmup_epochs=0).warmup_epochs == 0
    with raises(InputError, "warmup_epochs", "at least 0", "got -1"):
        TrainSettings(warmup_epochs=-1)


@pytest.mark.parametrize(("kind", "field", "high"), [(TrainSettings, "drop_at", 1), (EWC, "fisher_decay", 1)])
def test_shares_end_at_one(kind, field, high):
    assert getattr(kind(**{field: high}), field) == high
    with raises(InputError, field, "at most 1", "got 1.01"):
        kind(**{field: 1.01})


def test_momentum_stays_below_one():
    with raises(InputError, "momentum", "at most 0.999", "got 1"):
        TrainSettings(momentum=1)


def test_messages_carry_symbol_and_hint():
    with raises(InputError, "temperature (θ)", "above 0", "got 0", "use 2"):
        LwF(temperature=0)
    with raises(InputError, "alpha (α)", "at least 0", "got '1' of type str"):
        EBLL(alpha="1")


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
    ]:
        with raises(InputError, "alpha (α)", *named):
            kind(alpha=alpha)


def test_a_list_is_refused_where_one_number_serves_all_tasks():
    with raises(InputError, "temperature (θ)", "above 0", "got [2, 2] of type list"):
        EBLL(temperature=[2, 2])


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
def test_knobs_describe_every_setting_with_a_sentence_and_a_default_within_its_limits(kind):
    knobs = kind.metadata()
    assert set(knobs) == {field.name for field in dataclasses.fields(kind)} - {"autoencoder"}
    for name, knob in knobs.items():
        assert knob["doc"].endswith("."), name
        assert getattr(kind(), name) == knob["default"]
        if not knob["choices"]:
            assert knob["low"] <= knob["default"] <= knob["high"]


def test_the_defaults_are_those_of_the_paper_where_it_names_them():
    assert (LwF().temperature, LwF().distill_weight) == (2.0, 1.0)
    assert (EBLL().temperature, EBLL().distill_weight) == (2.0, 1.0)
    assert (TrainSettings().momentum, TrainSettings().weight_decay) == (0.9, 5e-4)


@dataclasses.dataclass(frozen=True)
class Example(Settings):
    share: float = setting(0.5, "A share.", low=0.25, high=0.75, symbol="s")
    strict: float = setting(2.0, "Above one.", low=1, above=True)
    flag: bool = setting(True, "A switch.")
    free: object = None


@given(st.floats())
def test_exactly_the_finite_numbers_within_the_limits_pass(value):
    for name, fits in [("share", 0.25 <= value <= 0.75), ("strict", 1 < value < math.inf)]:
        if fits:
            assert getattr(Example(**{name: value}), name) == value
        else:
            refuses(Example, name, f"got {value:g}", **{name: value})


@pytest.mark.parametrize("value", [0, 1, "yes", None])
def test_a_switch_is_true_or_false(value):
    assert Example(flag=False).flag is False
    with raises(InputError, "flag", f"got {value!r}"):
        Example(flag=value)
