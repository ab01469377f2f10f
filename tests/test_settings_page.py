"""The settings of the main job are those that the committed rows of validation accuracies say."""

import json
from pathlib import Path

import pandas as pd
import pytest

from benchmarks.choose_settings import page, winners
from ebll.config import PRESETS

DOCS = Path(__file__).parents[1] / "docs"


@pytest.fixture(scope="module")
def rows():
    return pd.read_csv(DOCS / "settings.csv")


def test_the_presets_are_the_winners_and_the_committed_figures_were_made_with_them(rows):
    won = winners(rows).set_index(["net", "setting"])["value"]
    for net, preset in PRESETS.items():
        assert won[net, "learning_rate"] == preset.train.learning_rate
        for name in ("distill_weight", "alpha", "ewc_strength"):
            assert won[net, name] == getattr(preset, name)
    made_with = json.loads((DOCS.parent / "figures" / "run.json").read_text(encoding="utf-8"))["settings"]
    assert made_with == {net: repr(preset) for net, preset in PRESETS.items()}


def test_the_rules_by_hand():
    keys = ["net", "setting", "value", "old", "new"]
    table = pd.DataFrame(
        [
            ("mlp", "learning_rate", 0.1, 0.0, 0.800),  # best on the new task, and within half a point of it:
            ("mlp", "learning_rate", 0.05, 0.9, 0.796),
            ("mlp", "learning_rate", 0.01, 0.9, 0.790),
            ("mlp", "ewc_strength", 10.0, 0.60, 0.60),
            ("mlp", "ewc_strength", 30.0, 0.80, 0.706),  # mean 0.753, within half a point of 0.756
            ("mlp", "ewc_strength", 90.0, 0.80, 0.712),
            ("mlp", "alpha", 1.0, 0.80, 0.706),
            ("mlp", "alpha", 3.0, 0.80, 0.712),
        ],
        columns=keys,
    )
    won = winners(table).set_index("setting")["value"].to_dict()
    assert won == {"learning_rate": 0.05, "ewc_strength": 30.0, "alpha": 3.0}


def test_the_page_is_what_the_rows_say_and_they_have_no_seed_of_the_main_job(rows):
    assert (DOCS / "settings.md").read_text(encoding="utf-8") == page(rows)
    assert rows["seed"].min() >= 100
    assert set(rows["new_task"]) == {"mnist", "digits", "textures"}
