# %% naive
after = {row["task"]: row["accuracy"] for row in rows[-2:]}
assert after["moons"] < 0.8 and after["blobs"] > 0.9  # as good as guessed, while the blobs are learned

# %% terms
assert e4_by_hand > 0.01  # fine-tuning would have cost something

# %% plane
table = pd.read_csv("../docs/plane.csv").query("alpha == 10 and distill_weight == 0.25 and seed < 20")
kept = table.pivot(index="seed", columns="method", values="accuracy")
assert (kept - kept.median()).abs().sum(axis=1).idxmin() == 9, "the seed nearest to the medians"
assert (kept["ebll"] < 1).all(), "some moons are lost"
ends = ebll.widgets.plane_run("seed=9").curves.groupby("method").last()
assert ends["along"]["ebll"] > ends["across"]["ebll"], "mostly along"

# %% seeds-table
mean = last.groupby("method")[["accuracy", "feature_distance"]].mean()
assert mean["accuracy"]["ebll"] > mean["accuracy"]["lwf"] + 0.03 > mean["accuracy"]["finetune"] + 0.06
assert mean["feature_distance"].idxmax() == "ebll"  # they move farthest

# %% claim
verdicts = [part.verdict for part in parts.values()]
assert verdicts[0] == "supported" and verdicts[1] != "supported"

# %% price
assert (price > 0).all(), "EBLL pays with the new task"
