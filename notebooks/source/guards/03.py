# %% pca-figure
found = {name: ebll.metrics.unexplained_variance(back, held_out) for name, back in panels.items()}
right = {name: ebll.metrics.accuracy(classify(back), moons.validation.labels) for name, back in panels.items()}
assert abs(found["PCA"] - found["autoencoder, E2a"]) < 0.02, "nearly the same line"
assert max(found.values()) < 0.25, "most of the variance"
assert max(right.values()) < 0.92, "points of both moons in one place"

# %% aware
found = {name: ebll.metrics.unexplained_variance(back, held_out) for name, back in panels.items()}
right = {name: ebll.metrics.accuracy(classify(back), moons.validation.labels) for name, back in panels.items()}
assert list(found.values()) == sorted(found.values())
assert right["E2, λ = 0.1"] > right["E2a alone"] + 0.08
assert found["E2, λ = 0"] > 1

# %% aware-seeds
assert (accuracies.loc["PCA"] > 97).sum() >= 2, "in others PCA will do"
assert (accuracies.loc["E2, λ = 0.1"] > 94).all()

# %% sizes-run
mean = sizes.groupby(["kind", "size"])[["accuracy", "fvu"]].mean()
difference = mean.loc["task-aware"] - mean.loc["PCA"]
assert difference["accuracy"][8] > 25
assert difference["fvu"][8] > 5
assert abs(difference["accuracy"][64]) < 4, "with a quarter of the features the two are level"

# %% plane
points = drawn(panels, held_out, labels, classify, shown, means[0], directions).table
found = points.groupby("panel", sort=False)[["share", "accuracy"]].first()
assert found["share"].is_monotonic_increasing
assert found["accuracy"].iloc[0] < found["accuracy"].iloc[1:].min() - 0.15
ends = points.groupby(["panel", "label"])[["x", "y", "x_back", "y_back"]].mean()
spread = {
    panel: float(rows[["x_back", "y_back"]].std().sum() / rows[["x", "y"]].std().sum())
    for panel, rows in ends.groupby("panel")
}
assert spread["PCA, 8 numbers"] < 1, "towards the middle"

# %% level-lines
ends = ebll.widgets.plane_run("seed=2, distill_weight=0.5").curves.groupby("method").last()
last = ends.loc["ebll"]
assert last["along"] > 1.5 * last["across"]
assert last["accuracy"] < min(0.97, ends["accuracy"]["lwf"] + 0.1), "the head misreads some"

# %% explorer
holds = ebll.widgets.explore().holds
assert sum(holds[:64]) / 64 > 20 * sum(holds[100:]) / len(holds[100:]), "it falls off where the code ends"

# %% weight-run
kept = {weight: [row["kept"] for row in rows if row["weight"] == weight] for weight in (0.0, 0.01, 10.0)}
assert sum(kept[0.0]) > sum(kept[10.0]), "the useful one"
assert sum(kept[0.01]) - sum(kept[0.0]) < 3 * len(kept[0.0]), "no need to reconstruct"
