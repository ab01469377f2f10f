"""A main job of seconds: three short sequences with hardly any training, run through the command line as it is."""

import contextlib

import pytest
from click.testing import CliRunner

from ebll import TrainSettings
from ebll.cli import cli
from ebll.reproduce.plan import PROFILES, Experiment, More, Profile

SEQUENCES = (
    Experiment("mlp", ("letters", "digits")),
    Experiment("mlp", ("letters", "mnist")),
    Experiment("mlp", ("letters", "digits", "mnist")),
)
MORE = More(SEQUENCES[:2], {"lwf": 3, "ebll": 3})
SETTINGS = TrainSettings(epochs=1, warmup_epochs=1, batch_size=256)


def profile(**changes):
    weights = {"distill_weight": 1.0, "alpha": 1.0, "ewc_strength": 10.0, "code_size": 8, **changes}
    return Profile(SEQUENCES, seeds=2, more=(MORE,), train=SETTINGS, weights=weights)


@contextlib.contextmanager
def tiny(**changes):
    """Add the profile `tiny`; settings travel to worker processes inside the jobs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(PROFILES, "tiny", profile(**changes))
        yield


def reproduce(out, *arguments, **changes):
    """`ebll reproduce --profile tiny`, in this process."""
    with tiny(**changes):
        return CliRunner().invoke(cli, ["reproduce", "--profile", "tiny", "--out", str(out), *arguments])
