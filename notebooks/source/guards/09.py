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
assert abs(first["cosine_task_old"].mean().mean()) < 0.15, "nearly orthogonal"
assert first[["cosine_distill_old", "cosine_code_old"]].mean().mean().min() > 0.04, "some way along"
end = ebll_terms.iloc[-4:-1][["cosine_distill_old", "cosine_code_old"]].mean()
assert end.abs().max() < 0.1, "later not at all"

# %% slow-claim
assert largest < 0.4 * limits["unstable above"]["size"], "well below the limit"
assert sizes["size"].min() > limits["swings above"]["size"]
by_step = sizes.dropna().groupby("step")["size"].mean()
assert by_step.iloc[-1] < 0.3 * by_step.iloc[0], "it falls with the step size"
assert saved.mean() > 1, "less"
assert dips.loc["joint, slow"].mean() > 0.3, "a small gap remains"

# %% drift-table
by_chance = 100 * chance[0] / sum(chance)
assert shares["new"].loc["finetune", "code"] > by_chance + 10, "far more than chance"
assert shares["new"].loc["ebll", "code"] < by_chance - 2, "below chance"
parts_of = {
    name: measured.query("method == @name").groupby("step").mean(numeric_only=True) for name in ("finetune", "ebll")
}
moved = parts_of["finetune"].iloc[-1] / parts_of["ebll"].iloc[-1]
assert moved[["code_old", "head_old", "free_old"]].min() > 3, "many times smaller"
for images in ("old", "new"):
    whole = parts_of["ebll"][[f"{part}_{images}" for part in ("code", "head", "free")]]
    share = whole[f"code_{images}"] / whole.sum(axis=1)
    assert share.iloc[-1] < share.iloc[1:4].mean() - 0.03, "it shrinks as training goes on"

# %% cka-table
mean_parts = parts.groupby("method").mean().loc[probing]
assert mean_parts["lost by the head"]["finetune"] > 10, "more than ten points"
assert mean_parts["in the readout"]["finetune"] > 0.6 * mean_parts["lost by the head"]["finetune"], "most of it"
assert mean_parts["representation, % of what was learned"].max() < 12, "little by either"
assert mean_parts["CKA of F"].min() > 0.9

# %% lines-claim
assert hills.loc["the straight line"].max() < 0.05, "no hill"
assert higher.mean() > 0.06, "the path does not take it"
assert hills.drop("the path").max().max() < 0.15, "hardly a hill"
mean_lines = lines.groupby(["method", "share"])["old"].mean()
assert mean_lines["joint"].iloc[-1] - mean_lines["joint"].iloc[0] < 0.25
assert mean_lines["finetune"].iloc[-1] - mean_lines["finetune"].iloc[0] > 0.5

# %% signals-claim
by = seen.groupby("method")[[*names, "forgetting"]].mean()
assert (by.idxmax() == "finetune").all(), "worst, and largest on every axis"
assert by["code"].idxmin() in ("ebll", "ebll-separate", "l2")
assert by["weights"].idxmin() == "l2"
placed = by.rank().loc["lwf"]
assert placed["kl"] < placed["features"], "LwF looks better by what it holds"
