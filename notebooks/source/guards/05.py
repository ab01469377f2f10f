# %% teacher-run
by = teachers.groupby(["method", "learning"])[["differ", "right"]].mean()
for name in ("lwf", "ebll"):
    differ, right = by.loc[name]["differ"], by.loc[name]["right"]
    assert differ[2] == 0, "the teacher is the original"
    assert differ[3] > 2
    assert differ[4] > 2
    assert right[2] > right[4], "the teacher has forgotten some letters"
assert by.loc["ebll", 4]["differ"] < by.loc["lwf", 4]["differ"] - 3, "EBLL slows the drift"

# %% objective-by-library
original = checkpoints["ebll", 0][0][0]
with torch.no_grad():
    codes = [memory.encoders[0](net.features(images)) for net in (teacher, original)]
assert torch.allclose(recorded["codes"][:, : codes[0].shape[1]], codes[0], atol=1e-5), "of the newest network"
assert not torch.allclose(codes[0], codes[1], atol=0.01), "not of the one that had just learned letters"

# %% summaries
mean = summary.groupby("method").mean()
assert mean["forward_transfer"].idxmax() == "finetune" == mean["average_accuracy"].idxmin()
assert mean["forgetting"].idxmin() == "ebll-separate" == mean["average_accuracy"].idxmax()
assert (summary["forgetting"] >= -summary["backward_transfer"] - 1e-9).all()

# %% accumulate-table
assert (lost[["finetune", "lwf"]] > 0).all().all(), "it does not stop"
assert (lost["ebll"] > -0.5).all()
each = lost.drop("all three")
assert 0.6 < each["lwf"]["digits"] / each["lwf"]["mnist"] < 1.7, "about as many"
assert each["lwf"]["textures"] > each["lwf"].drop("textures").mean(), "and more with textures"
assert lost["ebll"]["all three"] < lost["lwf"]["all three"] - 1, "smaller in all"
assert lost.loc["all three"].idxmin() == "ebll-separate"

# %% accumulate-pairs
assert gains["letters"].mean() > 1, "EBLL keeps more of the oldest task"
assert gains["mnist"].mean() < 0, "mnist is worse at the end"
stages = 100 * results.accuracy.query("task == 'mnist'").groupby(["method", "after"])["accuracy"].mean()
learned, at_end = (stages["ebll", after] - stages["lwf", after] for after in ("mnist", "textures"))
assert learned < 0, "learned less well"
assert at_end > learned - 0.5, "and not forgotten"

# %% drift-run
sums = drift.groupby(["method", "seed"])["step"].cumsum()
assert (drift["total"] <= sums + 1e-4).all(), "the triangle inequality"
mean = drift.groupby(["method", "learned"])["total"].mean().unstack("method")
assert (mean.diff().dropna() > 0).all().all(), "the distance grows at every stage"
assert (mean["ebll"] < mean["lwf"]).all()
assert mean["ebll-separate"][4] > 0.75 * mean["ebll"][4], "almost as far"
assert (end["ebll-separate", "letters"] - end["ebll", "letters"]).mean() > 1, "and yet more is kept"

# %% drift-probe
assert abs(right[3][1] - right[0][1]) < 3 < right[0][0] - right[3][0] + 1, "what EBLL loses is above F"

# %% original-teachers-run
assert recovery["recovered by the original teachers"].mean() < 0.4 * recovery["lost by LwF"].mean()

# %% bytes-table
assert encoder < operator
assert targets > 3 * encoder
assert 10 < sizes["worth images"]["one encoder"] < 100
assert 5 * encoder < kept_bytes["LwF, original teachers"][0], "a small part of the network"

# %% worth
stages = 100 * kept.groupby(["method", "learned"])["accuracy"].mean()
assert all(stages[name, n] > stages["replay", n] + 1 for name in ("ebll", "lwf") for n in (2, 3, 4)), (
    "keep more letters"
)
assert all(0.4 < kept_bytes["replay"][n] / kept_bytes["ebll"][n] < 1.2 for n in range(3)), "about as many bytes"

# %% alexnet-bytes
assert rows["ten tasks: encoders"] < network / 4
assert 10 < large["worth images"]["encoder, code 100"] < 100

# %% alpha-run
cells = table.set_index(["kind", "old", "seed"])[["letters", "code"]].groupby(["kind", "old"]).mean()
change = cells.loc[larger] - cells.loc[usual]
assert change["letters"][1] > -3, "no harm with one old task"
assert change["letters"][3] < -5, "harm with three"
assert cells["code"][larger, 3] > 1.5 * cells["code"][usual, 3], "the codes move more"
assert cells["code"][usual, 3] > 2 * cells["code"][usual, 2], "it rises for the kit's alpha as well"
