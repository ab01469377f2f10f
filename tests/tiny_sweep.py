"""Sweeps of seconds: a cheap pair of tasks, few images, hardly any training; runs still differ in what they give."""

from pandas.testing import assert_frame_equal

from ebll.sweeps import RunConfig

CHEAP = {"tasks": ["digits", "letters"], "images": 192, "epochs": 1, "warmup_epochs": 1, "learning_rate": 0.05}
GRID = {**CHEAP, "method": ["finetune", "lwf", "ebll"], "alpha": [1.0, 30.0], "seed": [0, 1]}  # 8 runs
SLOW = {**CHEAP, "method": "lwf", "epochs": 100_000, "log_every": 1000}


def cheap(**changes):
    return RunConfig.of(**{**CHEAP, "tasks": ("digits", "letters"), **changes})


def same(one, other):
    """Two sweeps have equal tables, to the last bit."""
    assert_frame_equal(one.table, other.table, check_exact=True)
    assert_frame_equal(one.curves, other.curves, check_exact=True)
