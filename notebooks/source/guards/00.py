# %% naive
after = {row["task"]: row["accuracy"] for row in rows[-2:]}
assert after["moons"] < 0.8 and after["blobs"] > 0.9  # as good as guessed, while the blobs are learned

# %% terms
assert e4_by_hand > 0.01  # fine-tuning would have cost something

# %% seeds-table
mean = last.groupby("method")[["accuracy", "feature_distance"]].mean()
assert mean["accuracy"]["ebll"] > mean["accuracy"]["lwf"] + 0.03 > mean["accuracy"]["finetune"] + 0.06
assert mean["feature_distance"].idxmax() == "ebll"  # they move farthest

# %% claim
verdicts = [part.verdict for part in parts.values()]
assert verdicts[0] == "supported" and verdicts[1] != "supported"
