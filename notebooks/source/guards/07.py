# %% sweep-table
assert facts["of the sweep above"] == len(sweep.table), "it is part of the larger one"

# %% front-table
assert marks.all(axis=0).sum() < len(front), "hardly any cell is on every front"
assert front["old_validation"].iloc[-2] - front["old_validation"].iloc[-1] > 5
assert front["new_validation"].iloc[-1] - front["new_validation"].iloc[-2] < 2

# %% trade-gains
weaker = gains["alpha 3 minus 0, at lambda_o 0"] - gains["alpha 3 minus 0, at lambda_o 2"]
assert (weaker > 2).all(), "alpha brings less where distillation is on"
assert (gains[[name for name in gains if name.startswith("both")]] > 0.5).all().all(), "both keep more than either"

# %% trade-iso
assert (pd.DataFrame(smallest)["lambda_o 5"] == "none").all()
by_weight = means.groupby(level=[0, 1]).max().unstack("distill_weight")
assert (by_weight[5.0] < by_weight[[0.0, 1.0, 2.0]].min(axis=1)).all(), "row 5 lies below all others"

# %% limit-table
mean = limits.groupby(level=0).mean()
assert (mean["alpha, code 16"] > mean["alpha, code 32"]).all()
assert (mean["alpha, code 32"] > mean["alpha, code 64"]).all(), "a longer code has a lower limit"

# %% limit-forecasts
shares = forecasts["sum"] / forecasts["size"]
assert shares["above 1.1 of the limit"] > 0.9
assert shares["below 0.3 of the limit"] < 0.1

# %% gap-table
assert facts["images alike"].is_monotonic_increasing, "as the gap is"
stable = facts["alpha stable below"]
assert stable.iloc[0] > 1.2 * stable.iloc[1:].max(), "a far task bears less"

# %% gap-test
assert min(wider.values()) > 2

# %% lambda-table
assert effect.iloc[:-1].abs().max().max() < 1.5, "it hardly moves the old task"
assert (effect.iloc[-1] < -1).all(), "where no distillation helps, it costs"

# %% lambda-codes
assert same.loc["code 64", "both lambdas"] > 0.9
assert 0.4 < same.loc["code 16", "both lambdas"] < 0.85

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
