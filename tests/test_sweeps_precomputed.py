"""The sweep that comes with the package: small, whole, what the library gives, and packed without loss."""

import pandas as pd
import pytest
from pandas.testing import assert_frame_equal
from tiny_sweep import GRID

import ebll
from benchmarks.precomputed import KEPT, pack
from ebll.sweeps import SCALARS, RunConfig, configs_of, precomputed_sweep, read_grid, run_one, settings_row
from ebll.sweeps.sweep import PRECOMPUTED, unpack

SETTINGS = list(settings_row(RunConfig()))


def test_it_is_the_whole_grid_and_small():
    table = precomputed_sweep().table
    configs = configs_of(read_grid(PRECOMPUTED / "grid.toml"))
    expected = pd.DataFrame([settings_row(config) for config in configs])
    assert_frame_equal(table[SETTINGS], expected, check_dtype=False)
    diverged = table["failure"] != ""
    assert diverged.sum() < 10
    largest = (table["alpha"] == 30) | (table["distill_weight"] == 5)
    assert largest[diverged].all()
    assert not table.loc[~diverged, list(SCALARS)].drop(columns="code_loss").isna().any(axis=None)
    assert sum(path.stat().st_size for path in PRECOMPUTED.iterdir()) < 2_000_000


@pytest.mark.parametrize(
    "config",
    [
        RunConfig(tasks=("letters", "mnist"), method="finetune", seed=4),
        RunConfig(tasks=("letters", "textures"), alpha=3.0, recon_weight=1.0, code_size=16),
    ],
    ids=["finetune", "ebll"],
)
def test_a_run_of_it_is_what_the_library_gives(config):
    """Within what another processor may change."""
    wanted = {name: value for name, value in settings_row(config).items() if value == value}
    row, curve = (
        table[(table[list(wanted)] == pd.Series(wanted)).all(axis=1)] for table in precomputed_sweep()
    )  # fmt: skip
    again = run_one(config)
    for name in ("old", "new", "old_validation", "new_validation"):
        assert row[name].item() == pytest.approx(again.scalars[name], abs=0.02)
    assert row["distance"].item() == pytest.approx(again.scalars["distance"], rel=0.05)
    rows = pd.DataFrame(again.curves).query("stage == 'train'")
    assert curve["step"].tolist() == rows["step"].tolist()
    assert curve["feature_distance"].tolist() == pytest.approx(rows["feature_distance"].tolist(), rel=0.05, abs=0.05)


def test_alpha_0_is_lwf_and_nothing_at_all_is_fine_tuning():
    table, keys = precomputed_sweep().table, ["tasks", "distill_weight", "seed"]

    def of(rows, keys=keys):
        return rows.set_index(keys)[["old", "new", "old_validation", "new_validation", "distance"]].sort_index()

    lwf, plain = (table[table["method"] == name] for name in ("lwf", "finetune"))
    without = table[(table["method"] == "ebll") & (table["alpha"] == 0)]
    for _, rows in without.groupby(["code_size", "recon_weight"]):
        assert_frame_equal(of(rows), of(lwf), atol=2e-3)
        bare = rows[rows["distill_weight"] == 0]
        assert_frame_equal(of(bare, ["tasks", "seed"]), of(plain, ["tasks", "seed"]), atol=2e-3)


def test_packing_keeps_the_tables(tmp_path):
    made = ebll.sweep(GRID, workers=1)
    table = made.table
    table["failure"] = ["diverged, at 3", *[""] * 7]
    one, two = tmp_path / "one", tmp_path / "two"
    for folder in (one, two):
        folder.mkdir()
        pack(table, made.curves, folder)
    back = unpack(one)
    assert_frame_equal(back.table, table, rtol=1e-3, check_dtype=False)
    trained = made.curves[made.curves["stage"] == "train"].reset_index(drop=True)
    kept = [*SETTINGS, "training", "stage", *KEPT]
    assert_frame_equal(back.curves[kept], trained[kept], rtol=1e-3, check_dtype=False)
    assert list(back.curves) == list(made.curves)
    for file in one.iterdir():
        assert file.read_bytes() == (two / file.name).read_bytes()
