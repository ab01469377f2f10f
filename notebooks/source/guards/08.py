# %% own-table
first = 100 * accuracy.query("after == 'pictures'").groupby("seed")["accuracy"].first()
assert (after.loc["pictures", "feature-extraction"] == first).all(), "by construction"
mean = after.mean(axis=1)
assert (
    not backbone.pretrained
    or mean["letters"].drop("feature-extraction").min() > mean["letters", "feature-extraction"] + 5
)
assert not backbone.pretrained or mean["pictures"].idxmax() == "feature-extraction"

# %% know-table
loaded, drawn = known.loc["as loaded"], known.loc["random start"]
if backbone.pretrained:
    assert (loaded.loc[backbone.cut] > 60).all()
    assert loaded.loc[backbone.cut, "letters"] > drawn.loc[backbone.cut, "letters"] + 20, (
        "random features know far less"
    )
    assert drawn.loc[backbone.cut, "letters"] < 30, "next to nothing of letters"
    assert drawn.loc[backbone.cut, "pictures"] > 35, "some of the pictures"
    assert (loaded.loc["features.8"] < loaded.loc[backbone.cut]).all(), "the late stages know less again"

# %% cut-table
pool5, conv1 = (cuts.set_index(["kind", "cut"]).loc["alexnet", cut] for cut in ("avgpool", "features.1"))
assert pool5["features"] == 9216
assert round(pool5["encoder"], 2) == 3.69
assert round(pool5["share"], 1) == 1.5
assert 15 < conv1["encoder"] / pool5["encoder"] < 25

# %% scale-norms
weighs = norms["lambda times E2a of zero"]
assert 0.5 < weighs.iloc[0] / weighs.iloc[1] < 2, "about the same"

# %% statistics-figure
mean = drift.groupby(["kind", "batches"])["right"].mean()
assert mean["frozen"].nunique() == 1
assert not backbone.pretrained or mean["free to follow", 32] < mean["frozen", 32] - 5
assert not backbone.pretrained or mean["free to follow", 2] > mean["frozen", 2] - 5, "it comes late"
