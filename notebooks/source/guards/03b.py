# %% linear-run
import numpy as np

made = pd.DataFrame(rows)
end = made[made["step"] == 1000]
assert made["excess"].min() > -0.01, "never below PCA, up to rounding"
assert end["excess"].max() < 0.2
assert end["angle"].max() < 5
means = made.groupby("step")[["excess", "angle"]].mean()
fallen = np.log10(means.loc[50] / means.loc[200])
assert 1.3 < fallen["excess"] / fallen["angle"] < 3, "about twice as many decades"

# %% linear-saw
assert oblique > 0.1, "not PCA's directions"

# %% start-run
made = pd.DataFrame(rows)
first, last = (made[made["epoch"] == epoch].groupby("kind").mean(numeric_only=True) for epoch in (1, 16))
assert last["saturated"]["random weights"] > 20
assert last["saturated"]["principal components"] < 5
assert last["fvu"]["random weights"] > last["fvu"]["principal components"] + 10, "still higher"
assert last["fvu"]["random weights"] < first["fvu"]["random weights"] - 10, "falls"
assert first["accuracy"]["principal components"] > first["accuracy"]["random weights"] + 15
assert abs(last["accuracy"]["random weights"] - last["accuracy"]["principal components"]) < 4, "hardly suffers"

# %% scale-run
port = scale_runs[scale_runs["weight"] == 0.01].groupby("kind")["fvu"].mean()
assert port["MSELoss"] > port["half the sum (E2a)"] + 5
large = scale_runs[scale_runs["weight"] == 1].groupby("kind")["accuracy"].mean()
assert large["MSELoss"] > large["half the sum (E2a)"] + 5, "E2a outweighs the task's loss"

# %% copy-run
assert terms["weighted"]["λ = 1e-6"] < 0.01 * terms["task"]["λ = 1e-6"], "negligible"
assert abs(terms["fvu"]["λ = 1e-6"] - terms["fvu"]["λ = 0"]) < 0.5
assert terms["weighted"]["λ = 0.01"] > 0.1 * terms["task"]["λ = 0.01"], "both count"

# %% square
assert all(abs(row["gradient, E2a"] - row["length of the residual"]) < 1e-3 for row in rows)
assert all(abs(row["gradient, bare norm"] - 1) < 1e-3 for row in rows)
