# %% nudge-figure
both = nudges.groupby(["rank", "kind"])["change"].mean().unstack("kind")
assert (both["measured"] / both["half F δ²"] - 1).abs().max() < 0.3, "the formula predicts it"
assert both["measured"].loc[1] < 10 * both["measured"].loc[1_000], "much alike"
assert both["measured"].loc[1] > 20 * both["measured"].loc[100_000], "by far more than a factor of ten"

# %% kinds-table
mean = kinds.groupby("labels").mean()
assert mean.loc["empirical", "cosine"] > 0.9, "nearly the same pattern"
assert mean.loc["empirical", "ratio of the sums"] < 0.7, "too small"
assert abs(mean.loc["sampled", "ratio of the sums"] - 1) < 0.15

# %% bug-say
assert 128 / 2 < totals[1] / totals[128] < 128 * 2, "about the batch size"

# %% spectrum-figure
left = spectrum.groupby(["kind", "kept"])["left"].mean().unstack("kind")
assert left.loc[64, "first layer"] > 10 > left.loc[128, "first layer"], "a hundred, or somewhat fewer"
assert left.loc[64, "second layer"] < 10, "fewer still"

# %% fronts-table
tops = mean.groupby("method")["letters"].max()
rungs_of_four = ["l2", "ewc", "input-moments", "kfac"]
assert tops[rungs_of_four].min() > tops[["lwf", "ebll"]].max() + 0.5, "the four rungs reach further up"
for name in ("lwf", "ebll"):
    own = mean.loc[name]
    assert own["letters"].iloc[-1] < own["letters"].max() - 20, "they turn back"
best = mean[["letters", "textures"]].mean(axis=1).groupby("method").max()[rungs_of_four]
assert best.max() - best.min() < 2, "the upper ends lie close together"
weak = mean[mean["key"].str.endswith(" x 0.1")].droplevel("strength")["letters"]
assert weak["ewc"] < weak[["l2", "input-moments", "kfac"]].min(), "the lowest of the four on the way"

# %% price-table
kept, products = price["kept between tasks, kB"], price["products a step"]
assert kept["ewc"] > kept["kfac"] > kept["input-moments"] > kept["ebll"] > 0 == kept["lwf"]
assert products["ewc"] == products["l2"] == 1
assert 1.7 < products["input-moments"] < products["kfac"] < 2.5, "it doubles them"

# %% choose-say
assert on_textures["validation"].abs().max() < 1.4, "none by more than that error"
assert on_textures["test"].max() > on_textures["validation"].max() + 1, "on other images they fall apart"
assert on_textures["test", "kfac"] > 1

# %% forecast-table
assert not any(diverged[f"{name} at 0.7", seed] for name in rungs for seed in lesson.seeds)
assert all(diverged[f"{name} at 1.4", seed] for name in rungs for seed in lesson.seeds)
ratio = limits.groupby("rung")[["usual", "a quarter of the training"]].mean()
ratio = ratio["usual"] / ratio["a quarter of the training"]
assert abs(ratio["l2"] - 1) < 1e-6, "with nothing measured the limit belongs to the optimiser alone"
assert 0.5 < ratio["input-moments"] < 2, "changes little"
assert ratio[["ewc", "kfac"]].min() > 2, "several times the strength"

# %% turn-limit
assert all(2 < alpha < 30 for alpha in largest_alphas.values())

# %% turn-measure
mean = turns.groupby(["kind", "alpha"])[["letters", "code"]].mean()
slow, fast = mean.loc["a quarter of the learning rate"], mean.loc["usual steps"]
top = max(slow.index)
assert slow["letters"][top] > fast["letters"][top] + 20
assert slow["letters"][top] > slow["letters"][0] + 1, "it protects"
assert fast["code"][top] > 10 * slow["code"][top], "the code term shows it"
assert fast["code"].iloc[2] > 1.5 * slow["code"].iloc[2], "at the limit the codes move farther"
assert fast["letters"].iloc[2] > fast["letters"].iloc[1] - 3, "but not yet too far"

# %% verdict-figure
assert {"LwF", "EBLL"} <= {row["id"] for row in rows}
assert all(row["low"] > 0 for row in rows if row["id"] == "K-FAC"), "it need not hold each parameter for itself"
verdicts = {row["id"]: row["verdict"] for row in rows}
assert verdicts["L2"] == "undecided", "level with EWC"
assert verdicts["Input moments"] == "above", "the gain begins with A"

# %% verdict-claims
by_claim = parts.set_index("claim")["verdict"]
assert by_claim["C11 (cnn, letters first)"] != "supported", "on the CNN no gain is seen"
