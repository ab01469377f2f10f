# %% pixels-figure
mean = changes.groupby(["kind", "pixels"])["changed"].mean()
assert mean["shifted", 0] < 1e-3, "the same crop: the same answer"
assert mean["shifted", 4] > mean["shifted", 1] > 0
assert not backbone.pretrained or mean["shifted", 4] > 0.2 * sum(finetuned) / len(finetuned), "a good part"

# %% cost-figure
crossing = sizes[sizes["MB"] > 244.4].groupby("kind")["crops"].min()
assert crossing.max() == 50, "some tens of crops of Flowers"
assert sizes.query("kind.str.startswith('Flowers') and crops == 20")["MB"].item() > 200, "twenty or so"

# %% cost-operations
shares = operations["share of a step, %"]
assert 25 < shares["asking the teacher"] < 45, "about a third"

# %% long-stop
assert 1.8 < files["step.safetensors"] / files["stage.safetensors"] < 2.2, "twice as large"

# %% long-figure
without, whole = (curves[name].set_index("step")["feature_distance"] for name in (names[3], names[0]))
assert abs(without[last] - whole[last]) < 1e-6 * whole[last], "the same weights"
assert curves["resumed"]["apart"].abs().max() < 1e-3 * whole.max(), "follows the uninterrupted one"
assert abs(without - whole[without.index]).max() > 0.02 * whole.max(), "and then another run"

# %% paper-plan
assert plan.exit_code == 0, "the plan goes on"
for name in ("imagenet", "flowers"):
    assert ebll.paper.PHOTO_SETS[name].source in plan.output.replace("\n", ""), "and names the place to get them"

# %% unknown-layout
kept = results.accuracy.query("after == 'letters' and task == 'pictures'").set_index(["method", "seed"])["accuracy"]
_, low, high = ebll.metrics.confidence_interval(kept["ebll"] - kept["feature-extraction"])
assert low < 0 < high, "undecided"
