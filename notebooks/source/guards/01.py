# %% joint-run
ends = 100 * accuracy.query("after == 'mnist'").groupby(["task", "method"])["accuracy"].mean()
learned = 100 * accuracy.query("after == 'letters'")["accuracy"].mean()
assert ends["letters", "joint"] > learned - 5, "about as good as alone"
assert ends["mnist", "joint"] > ends["mnist", "single-task"] - 5

# %% shared
sizes = {name: sum(p.numel() for p in part.parameters()) for name, part in parts.items()}
assert sizes["F"] + sizes["T"] > 0.9 * sum(sizes.values()), "nearly all weights are shared"

# %% finetune-saw
assert half < curve.index[-1] / 3, "it falls in the first epochs"
assert lost.iloc[-1] > 8
joint = runs.curves.query("method == 'joint' and stage == 'train' and task == 'letters'")
joint = 100 * joint.groupby("step")["accuracy"].mean()
assert joint.min() < joint.iloc[0] - 2, "joint training dips"
assert joint.iloc[-1] > joint.min() + 1, "and recovers"

# %% what-saw
assert change.iloc[0] < change.mean() - 10, "some letters lose far more than the mean"
assert change[drawn_to].mean() > change.mean() + 4, "the letters that answers drift to keep more than others"
gains = pairs[pairs > 0]
assert gains.iloc[:30].sum() > 0.3 * gains.sum(), "in favour of a few answers"
first = ebll.plots.lost_images(predictions.query("method == 'finetune'")).groupby("seed")["step"].min()
assert (first <= curve.index[-1] / 10).all(), "within a few steps"

# %% plane-saw
assert new["finetune"] > new["feature-extraction"] + 2
assert old["feature-extraction"] > old["finetune"] + 8
means = (old + new).drop("single-task", errors="ignore")
assert means["joint"] > means.drop("joint").max() + 1, "the best mean of both tasks"
assert old["joint"] < old["feature-extraction"] and new["joint"] < new["finetune"], "best on neither axis"
kept = accuracy.query("method == 'feature-extraction' and task == 'letters'").groupby("seed")["accuracy"]
assert (kept.first() == kept.last()).all(), "forgetting is exactly zero"
assert old["replay 12"] > old["replay 5"] + 1 > old["replay 1"] + 1, "more images, more kept"
assert old["finetune"] < old["replay 5"] < old["joint"], "replay lies between"
