# %% sweep-table
assert facts["of the sweep above"] == len(sweep.table), "it is part of the larger one"

# %% front-table
assert front["seeds"].max() < 5, "none is on every front"
assert front["old_validation"].iloc[-2] - front["old_validation"].iloc[-1] > 5
assert front["new_validation"].iloc[-1] - front["new_validation"].iloc[-2] < 2

# %% trade-gains
weaker = gains["alpha 3 minus 0, at lambda_o 0"] - gains["alpha 3 minus 0, at lambda_o 2"]
assert (weaker > 2).all(), "alpha brings less where distillation is on"
assert (gains[[name for name in gains if name.startswith("both")]] > 0.5).all().all(), "both keep more than either"

# %% trade-words
by_weight = old.mean(axis=1).groupby(level=[0, 1]).max().unstack("distill_weight")
assert (by_weight[5.0] < by_weight[[0.0, 1.0, 2.0]].min(axis=1)).all(), "row 5 lies below all others"
assert (short.mean(axis=1) > 0).all(), "falls short"
assert (short.mean(axis=1) < 2).all(), "nearly"
far = ["letters-digits", "letters-textures"]
more_at_two = gains["alpha 3 minus 0, at lambda_o 2"] - gains["alpha 3 minus 0, at lambda_o 1"]
assert (more_at_two[far] > 1).all(), "it brings more"
assert ((at(1, 0) - at(2, 0)).mean(axis=1)[far] > 1.5).all(), "much the worse"

# %% limit-widget
usual = usual_rows[usual_rows["tasks"] == "letters-mnist"].groupby(["alpha", "distill_weight"])["new_validation"].mean()
assert 1 < 100 * (usual.max() - usual.min()) < 2.5, "two points"

# %% limit-sizes
assert (table["code 16, alpha 30"] > table["code 16, alpha 10"] - 3).all(), "as bright as its neighbour"

# %% limit-table
mean = limits.groupby(level=0).mean()
assert (mean["alpha, code 16"] > mean["alpha, code 32"]).all()
assert (mean["alpha, code 32"] > mean["alpha, code 64"]).all(), "a longer code has a lower limit"

# %% limit-forecasts
shares = forecasts["sum"] / forecasts["size"]
assert shares["above the limit"] > 0.9
assert shares["below half of the limit"] < 0.1

# %% limit-distill
assert bound > 5, "stable, by the limit"
assert mnist_lwf[5] < mnist_lwf[1] - 5, "and it is not"

# %% gap-table
assert facts["images alike"].is_monotonic_increasing, "as the gap is"
stable = facts["alpha stable below"]
assert stable.iloc[0] > 1.2 * stable.iloc[1:].max(), "a far task bears less"

# %% gap-test
assert (without > 2 * limits["alpha, code 64"].unstack("seed").loc[pairs]).all(axis=None), "several times"
assert without.mean(axis=1).idxmax() == "letters-textures", "the farthest allows the most"

# %% lambda-table
assert effect.iloc[:-1].min(axis=None) > -1, "less than a point"
assert effect.iloc[:-1].max(axis=None) < 0, "costs"
assert (effect.iloc[-1] < -1).all(), "where no distillation helps, it costs"

# %% seeds-scores
assert all(table.idxmax().nunique() > 1 for table in scores.values()), "with other seeds another cell is best"

# %% seeds-choose
by = by_count.groupby(["cells", "pair"])[["shrinkage", "fresh"]].mean().unstack("pair")
assert (by["shrinkage"].loc[216] > by["shrinkage"].loc[2] + 0.2).all()
assert (by["shrinkage"] > 0).all(axis=None)
assert (by["fresh"].loc[216] - by["fresh"].loc[30] < 0.2).all(), "hardly better choices"

# %% interval-run
assert (regions["not told from the best"] > 1).all(), "a whole region"
assert (regions["not told from the best"] < regions["cells"]).all()

# %% usual-table
assert (chosen_minus_kit < 0.5).all(axis=None), "choosing gains nothing"

# %% selection-run
assert choices["lost with it"].mean() < 1
assert choices["lost without it"].mean() > 5
assert (choices["new task alone"] == 30).all(), "it leads over the cliff"

# %% selection-all
assert abs(regrets.loc["lambda_o 0 to 2", "mean"]) < 0.5 < regrets.loc["lambda_o 5", "mean"]
