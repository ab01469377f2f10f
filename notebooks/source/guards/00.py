# %% naive
after = {row["task"]: row["accuracy"] for row in rows[-2:]}
assert after["moons"] < 0.8 and after["blobs"] > 0.9  # as good as guessed, while the blobs are learned

# %% seeds-table
mean = last.groupby("method")[["accuracy", "feature_distance"]].mean()
assert mean["accuracy"]["ebll"] > mean["accuracy"]["lwf"] + 0.03 > mean["accuracy"]["finetune"] + 0.06
assert mean["feature_distance"]["ebll"] > mean["feature_distance"]["lwf"]  # its features do not stay closest

# %% claim
assert parts["ebll"].verdict == "supported"
assert parts["lwf"].verdict != "supported"
