# %% gap-claim
lost = 100 * gaps["accuracy"].agg(lambda run: run.iloc[0] - run.iloc[-1]).groupby("method").mean()
dip_means = dips.mean(axis=1)
assert lost["joint"] < 4, "hardly anything"
assert dip_means["joint"] > 3, "several points"
assert dip_means[constrained].min() > 1.5, "they dip, too"
assert lost[shown].idxmax() == "finetune"
assert dip_means["finetune"] < min(3.5, dip_means["joint"]), "hardly comes back"

# %% competition-claim
means = growth.groupby("method")["difference"].mean()
assert means.min() > 0.05, "the share grows"
assert peak.max() <= 0.4 * measured["step"].max(), "largest early"
ebll_terms = measured.query("method == 'ebll'").set_index("step").groupby("step").mean(numeric_only=True)
assert ebll_terms.loc[0, ["norm_distill", "norm_code"]].max() < 1e-3 * ebll_terms.loc[0, "norm_task"]
for name, runs_of in first.items():
    assert abs(runs_of["cosine_task_old"].mean().mean()) < 0.2, f"hardly against: {name}"
assert ebll_terms["norm_old"].iloc[0] < 0.3 * ebll_terms["norm_old"].max(), "no gradient to speak of"

# %% order-table
of_order = orders.groupby("method").mean()
assert (orders["rise"] > 0).all()
assert (orders["curvature"] > 0).all(), "it rises by curvature"
assert 0.5 < of_order.loc["finetune", "first order"] / of_order.loc["finetune", "rise"] < 0.9, "most of it"
share = of_order["first order"] / of_order["rise"]
assert share[["joint", "ebll"]].max() < 0.35, "hardly any, in the mean"

# %% slow-claim
assert largest < 0.4 * limits["unstable above"]["size"], "well below the limit"
assert sizes["size"].min() > limits["swings above"]["size"]
by_step = sizes.dropna().groupby("step")["size"].mean()
assert by_step.iloc[-1] < 0.3 * by_step.iloc[0], "it falls with the step size"
assert saved.mean() > 1, "less"
assert dips.loc["joint, slow"].mean() > 0.3, "a small gap remains"

# %% drift-shares
for images in ("old", "new"):
    code_share = shares[images]["code"]
    assert code_share["by directions"] + 10 < code_share["finetune"] < code_share["by variance"]
    assert code_share["ebll"] < code_share["finetune"] - 10, "smaller as well"
    apart = (shares[images].loc["ebll"] - shares[images].loc["by directions"]).abs()
    assert apart.max() < 12, "about as by directions"
assert shares["new"].loc["ebll", "code"] < shares["new"].loc["by directions", "code"] - 2, "below that of a random one"
ends_of = {name: measured.query("method == @name").groupby("step").mean(numeric_only=True) for name in drifting}
moved = ends_of["finetune"].iloc[-1] / ends_of["ebll"].iloc[-1]
assert moved[["code_old", "head_old", "free_old"]].min() > 3, "many times smaller"

# %% cka-table
mean_parts = parts.groupby("method").mean().loc[probing]
assert mean_parts["lost by the head"]["finetune"] > 10, "more than ten points"
assert mean_parts["in the readout"]["finetune"] > 0.6 * mean_parts["lost by the head"]["finetune"], "most of it"
assert mean_parts["representation, % of what was learned"].max() < 12, "little by either"
assert mean_parts["CKA, F"].min() > 0.9

# %% lines-claim
of_path = rises.groupby("method").mean()
assert of_path.loc["joint", "straight line, highest"] < 0.15, "changes little"
hills = of_path["straight line, highest"] - of_path["its end"]
assert hills.abs().max() < 0.05, "no line has a hill"
assert higher.mean(axis=1).min() > 0, "no path takes it"
assert of_path.loc["finetune", "its end"] > 3 * of_path.drop("finetune")["its end"].max(), "only fine-tuning goes on"

# %% signals-claim
by = seen.groupby("method")[[*names, "forgetting"]].mean()
assert (by.idxmax() == "finetune").all(), "worst, and largest on every axis"
assert by["code"].idxmin() in ("ebll", "ebll-separate", "l2")
assert by["weights"].idxmin() == "l2"
placed = by.rank().loc["lwf"]
assert placed["kl"] < placed["features"], "LwF looks better by what it holds"
