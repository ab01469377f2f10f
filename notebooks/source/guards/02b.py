# %% mode-run
mean = modes.groupby("rate")[["differ", "drift"]].mean()
assert mean.iloc[0].max() < 1e-6, "without dropout a teacher agrees with itself"
assert (mean.diff().dropna() > 0).all().all(), "more with every unit that is dropped"

# %% temperature-table
assert mean["others"].is_monotonic_increasing, "below 1 sharpens, above 1 lifts"
assert mean["gradient"].is_monotonic_decreasing
assert 3.5 < mean.gradient[8.0] / mean.gradient[16.0] < 5, "about the square of 2"

# %% matched-rows
letters_kept = temperatures.pivot(index="seed", columns=["kind", "theta"], values="old")
fixed, matched = letters_kept["weight 1"], letters_kept["matched weight"]
assert matched[2.0].mean() > matched[0.5].mean() + 1, "sharp targets keep fewer letters"
assert matched[2.0].mean() > matched[1.0].mean()
assert (fixed[2.0] > fixed[0.5] + 10).all(), "worse than to protect little"
assert fixed[0.5].mean() < unprotected["old"] - 5, "and than not to protect"
spans = temperatures.groupby(["kind", "theta"])["new"].mean()
assert spans.max() - spans.min() < 3, "few points"
assert letters_kept.mean().idxmin() == ("weight 1", 0.5)
assert abs(fixed[8.0] - fixed[2.0]).mean() < 6, "small differences"
assert abs(matched[8.0] - matched[2.0]).mean() < 6

# %% warmup-table
assert (gain["Fine-tuning"]["mnist"] > 0).all(), "in every seed"
assert gain["Fine-tuning"]["mnist"].mean() > gain["LwF"]["mnist"].mean() + 1
assert (table.loc[(slice(None), "LwF"), :].mean(axis=1) > 0).all(), "LwF gains on both"
assert gain["Fine-tuning"]["textures"].agg(lambda points: points.max() - points.min()) > 5, "far apart"
size = gradients.pivot(index=["task", "seed"], columns="head", values="gradient on F")
assert (size["random"] > size["warmed up"]).all()
assert size["random"]["textures"].mean() > size["random"]["mnist"].mean()

# %% warmup-longer
assert max(right) < kept["finetune"]["mnist"].mean(), "it is not the epochs"
