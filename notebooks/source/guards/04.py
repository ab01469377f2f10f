# %% plane
last = plane_curves.groupby(["method", "seed"]).last()
across, along = (last[part].unstack("method") for part in ("across", "along"))
assert across["ebll"].mean() < across["lwf"].mean(), "less across, on average"
assert along["ebll"].mean() > along["lwf"].mean(), "farther along"

# %% push
by = pushes.groupby(["directions", "length"])["accuracy"].mean()
seen, unseen = (by.loc[kind] for kind in ("the code sees", "the code cannot see"))
assert unseen[8] > seen[8] + 5
assert unseen[8] > unseen[0] - 8, "costs little"
assert unseen[16] < unseen[0] - 1, "little is not nothing"

# %% gradient
norms = first_steps.dropna(subset="norm").set_index(["step", "kind", "seed"])["norm"].unstack("kind")
assert (norms.loc[0, "code"] < 1e-6).all()
assert (norms.loc[0, "distill"] < 1e-4).all()
assert (norms.loc[0, "task"] > 0.5).all()
assert norms.loc[15:, ["code", "distill"]].groupby("step").mean().min().min() > 0.1, "active later"
assert norms.loc[20:].mean().idxmax() == "code", "the largest later"
new = first_steps.dropna(subset="digits").pivot(index="step", columns="seed", values="digits")
assert (new.loc[0] - new.loc[1:25].min()).mean() > 1, "accuracy on digits falls at first"

# %% curve-table
ratio = shape["end / peak"].groupby("method").mean()
assert ratio["ebll"] < 0.5, "most of the way back"
assert ratio["ewc"] < 0.5
assert ratio["joint"] < 0.6
assert min(ratio["lwf"], ratio["finetune"]) > 0.6, "a little"
assert curve_table["peak"]["ebll"] < 0.6 * curve_table["peak"]["lwf"]

# %% accuracy-table
assert curve_table["end"]["lwf"] > 3 * curve_table["end"]["ebll"], "several times as far"
assert end["letters", "mean"]["ebll"] - end["letters", "mean"]["lwf"] < 3, "hardly any more"

# %% price
assert behind > 0 and (price > 0).all() and (saved > 0).all()

# %% operators-run
last = 100 * demo.accuracy.query(f"after == '{config.new}'").groupby(["method", "task"])["accuracy"].mean().unstack()
new = last[config.new]
assert new.max() - new.min() < 3, "equally well"
assert last["letters"][["lwf", "code-only"]].max() < last["letters"]["ebll"] - 4, "both together, clearly more"
assert last["letters"].idxmax() == "ebll-separate"

# %% old-operator
mean = operators.groupby("method").mean()
assert (operators.loc["ebll-separate", "as learned"] == operators.loc["ebll-separate", "old T put back"]).all()
start = 100 * ebll.recording.measure_accuracy(starts[0].net, 0, letters.validation)
code, fine = mean.loc["code-only"], mean.loc["finetune"]
assert code["old T put back"] - code["as learned"] > 0.6 * (start - code["as learned"]), "most of it is the operator's"
assert fine["old T put back"] - fine["as learned"] < 0.25 * (start - fine["as learned"]), "nearly nothing"
assert mean["old T put back"]["lwf"] > mean["as learned"]["lwf"] - 1, "T has not followed"
assert mean["across, digits"]["ebll"] < 0.7 * mean["across, digits"]["lwf"]

# %% alpha-figure
mean = alpha_table.groupby("alpha")[["letters", "digits"]].mean()
assert mean["letters"].is_monotonic_increasing
assert mean["letters"][3.0] > mean["letters"][0.0] + 10
assert mean["digits"].max() - mean["digits"].min() < 3, "hardly pays"
spread = alpha_table.groupby("alpha")["letters"].agg(lambda letters: letters.max() - letters.min())
assert spread.mean() > mean["letters"].diff().mean(), "seeds differ by more"

# %% identity-run
kept = on_images.xs("mean", axis=1, level=1)
ours, theirs = kept.loc["ebll"], kept.loc[list(strengths)]
assert abs(theirs["letters"].max() - ours["letters"]) < 4, "as many letters"
assert theirs["digits"].min() > ours["digits"] - 2, "at no cost"

# %% identity-plane
strong = "feature distillation 0.3"
assert in_plane["blobs"][2, strong] < in_plane["blobs"][2, "ebll"] - 5, "the blobs pay"
assert in_plane["moons"][2, strong] > in_plane["moons"][2, "ebll"]
assert in_plane["moons"][3, strong] > in_plane["moons"][3, "ebll"], "the advantage is gone"
assert in_plane["blobs"][3, strong] > 90

# %% old-operator-probe
assert 100 * sum(probes) / len(probes) > back + 12, "the letters can still be told apart"
