# %% nudge-run
table = pd.DataFrame(rows)
assert (table["measured change"] / table["half F δ²"] - 1).abs().max() < 0.2
assert table["measured change"].iloc[0] > 20 * table["measured change"].iloc[-1]

# %% kinds-table
mean = errors.groupby(["images", "kind"])["error"].mean().unstack("kind")
assert (mean.loc[1024] < mean.loc[64])[["exact", "sampled"]].all(), "they converge"
assert mean.loc[1024, "exact"] < mean.loc[1024, "sampled"], "the sampled one with more noise"
assert mean.loc[1024, "empirical"] > 1.5 * mean.loc[1024, "sampled"], "it converges to something else"
assert alike["cosine"].mean() > 0.9, "the same pattern"
assert alike["ratio of the sums"].mean() < 0.7, "too small"

# %% batch-run
right = [fisher_of(net, some, "sampled", seed).sum().item(), batch_squared(net, images, drawn, 1)]
assert abs(right[1] / right[0] - 1) < 1e-3, "size 1 is E7"
times = (shares["share"] * shares["size"])[shares["size"] <= 128]
assert (times - 1).abs().max() < 0.25

# %% stable-table
assert (forecasts["near"] | forecasts["right"]).all(), "which runs diverge is said beforehand"
lowest, highest = limits["largest stable strength, lowest seed"], limits["highest seed"]
assert lowest["256 features"] > 4 * highest["64 features"]
assert len(diverged)

# %% fronts-table
tops = measured.groupby(["method", "strength"])["letters"].mean().groupby("method").max()
assert tops["ewc"] > tops["ebll"] + 0.5, "EWC goes on"
assert by_alpha.loc[30, "letters"] < by_alpha.loc[3, "letters"] - 20, "EBLL turns back"
assert abs(by_alpha.loc[30, "textures"] - by_alpha.loc[3, "textures"]) < 4, "the new task does not show it"

# %% turn-limit
assert all(2 < alpha < 30 for alpha in largest_alphas.values())

# %% turn-run
assert slow[30] > by_alpha.loc[30, "letters"] + 20
assert slow[30] > slow[0] + 1, "it protects"

# %% question-difference
tops = measured.groupby(["method", "strength"])["letters"].mean().groupby("method").max()
assert tops[["ewc", "L2-SP"]].min() > tops["ebll"] + 0.5, "they reach further up"
assert differences.groupby(["method", "letters"])["beyond"].mean().abs().max() < 4, "the differences are small"
same = measured[measured["method"].isin(["ewc", "L2-SP"]) & measured["strength"].isin([300, 1000, 3000])]
same = same.groupby(["method", "strength"])["letters"].mean().unstack("method")
assert (same["L2-SP"] - same["ewc"]).abs().max() < 5, "not far from EWC"
