# %% forgotten-classes
recalls = ebll.plots.class_recall(predictions).table.groupby(["label", "method"])[["before", "after"]].mean() / 100
lost = (recalls["before"] - recalls["after"]).unstack("method")
assert lost["finetune"].max() > 0.35, "some letters lose most of their recall"
assert (lost["finetune"] < 0.03).sum() >= 3, "others nothing"
same = lost.corr("spearman")["finetune"]
assert same["lwf"] > 0.4 and same["ebll"] > 0.4, "mostly the same letters"

# %% forgotten-images
count = ebll.plots.lost_images(predictions).groupby("method").size()
assert count["finetune"] > count["lwf"] > count["ebll"]

# %% gap-by-hand
assert (gaps["textures"] > gaps["mnist"] + 0.1).all()
assert list(gap.index) == ["mnist", "digits", "textures"]

# %% gap-figure
pairs = [f"mlp:letters-{name}" for name in gap.index]
mean = ebll.plots.outcomes(main_job, pairs).groupby(["method", "sequence"])["forgetting"].mean().unstack()[pairs]
assert (mean.loc["lwf"].diff().dropna() > 0).all(), "more with each step"
assert not mean.loc["finetune"].is_monotonic_increasing
assert (mean.loc["finetune"] > 3 * mean.loc["lwf"]).all()
assert (mean.loc["ebll"] < mean.loc["lwf"]).all()

# %% gap-claim
assert (price > 0).all(), "EBLL pays with the new task"

# %% drift-runs
mean = drifts.groupby(["task", "method", "answers to"])["nats"].mean().unstack("method")
smaller = (mean["finetune"] / mean["lwf"]).unstack()
assert (smaller["new images"] > 8).all()
assert (smaller["letters"] < smaller["new images"] / 1.5).all(), "less where it counts"
assert smaller["letters"]["textures"] < smaller["letters"]["mnist"]

# %% proxy-table
mean = outcomes.groupby(["sequence", "method"])["forgetting"].mean().unstack("method")
near, far = mean.loc["mlp:letters-mnist"], mean.loc["mlp:letters-textures"]
assert (mean["E3 on letters"] < 3).all()
assert (mean["E3 on letters"] < mean["lwf"]).all()
assert (mean["lwf"] < mean["E3 on noise"]).all()
assert (mean["E3 on noise"] < mean["finetune"]).all()
assert near["lwf"] < near["E3 on five a class"] and far["lwf"] > far["E3 on five a class"], "the order differs"
assert far["E3 on noise"] - far["lwf"] < far["lwf"] - far["E3 on letters"], "nearer to noise than to letters"
assert (mean["E3 on five a class"] < mean["replay"]).all(), "soft targets protect more than labels"
learned = outcomes.groupby("method")["new"].mean()
assert learned["E3 on letters"] > learned["lwf"] - 1, "the new tasks are learned as well"

# %% bug-runs
curves = pd.DataFrame(log).set_index(["curve", "step"])
first, last = curves.xs(0, level="step"), curves.groupby("curve").last()
frozen, squared, noise, late = (ebll.course.curve_of(bug) for bug in bugs if bug != "LwF")
assert curves.loc["lwf"].equals(curves.loc[late]), "no bug: the same run"
assert abs(first["term"][frozen] - first["term"]["lwf"]) < 1e-4, "begins at the entropy of the old answers"
assert first["term"][noise] > first["term"]["lwf"] + 0.3
assert curves.loc[squared]["term"].max() < 0.1
finetuned = ebll.recording.measure_accuracy(runs["mnist"].runs["finetune", 0].net, 0, letters.validation)
assert abs(last["letters"][frozen] - 100 * finetuned) < 3, "the run of fine-tuning"
assert all(last["letters"][curve] < last["letters"]["lwf"] - 2 for curve in (frozen, squared, noise))
