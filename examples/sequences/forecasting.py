"""An LSTM learns to tell the next value of a noisy signal, and then goes on by itself.

Exercise 6.3. 1,000 points of sin t + sin(t / 2) + noise, windows of 50 steps, the 51st to be told, the last
200 points held out. Writes forecasting.png to the current folder. `--smoke` takes fewer steps and windows
of 20.
"""

import torch
from matplotlib.figure import Figure

from funcsci import data, examples, models, nn, optim, random, train, tree
from funcsci.plot.style import BLUE, CYCLE, GREY, ORANGE, name_axes

options = examples.options(__doc__)
length, steps, rate = (20, 60, 3e-2) if options.smoke else (50, 600, 1e-2)
split, noise = 800, 0.1

keys = random.split(random.key(options.seed, device=options.device), 3)
signal = data.noisy_waves(keys[0], noise=noise)
t, y = signal["t"], signal["y"]
clean = torch.sin(t) + torch.sin(t / 2)
windows = data.windows(y, length + 1)
seen, unseen = windows[: split - length], windows[split - length :]  # by their targets
model = models.forecaster(1, hidden=16, layers=1)


def loss(params, windows):
    return nn.mse(model.apply(params, windows[:, :-1]), windows[:, -1])


# A compiler would be busy for long with so many steps unrolled; the trace is ready in seconds.
result = train.fit(
    loss, model.init(keys[1]), optim.soap(optim.one_cycle(rate, steps)), seen, key=keys[2], batch_size=64,
    drop_last=True, steps=steps, backend="trace",
)  # fmt: skip
print(result, end="\n\n")

told = model.apply(result.params, unseen[:, :-1])
past, target = unseen[:, :-1, 0], unseen[:, -1]
linear = torch.linalg.lstsq(seen[:, :-1, 0], seen[:, -1]).solution
found = {"persistence": unseen[:, -2], f"AR({length}) by least squares": past @ linear, "LSTM": told}
errors = {name: float(nn.mse(one, target).sqrt()) / noise for name, one in found.items()}
print(
    f"{tree.size(result.params)} parameters. Root mean square error of the next value, in units of the noise:"
)
for name, error in errors.items():
    print(f"{name:<24} {error:.2f}")

# Waves of the same periods with another phase obey the same linear recurrence, and lie on another curve.
shifted = data.windows(torch.sin(t) + torch.cos(t / 2) + y - clean, length + 1)[split - length :]
others = {"AR": shifted[:, :-1, 0] @ linear, "LSTM": model.apply(result.params, shifted[:, :-1])}
others = {name: float(nn.mse(one, shifted[:, -1]).sqrt()) / noise for name, one in others.items()}
print(
    f"with sin t + cos(t / 2) in place of what was learned: AR {others['AR']:.2f}, LSTM {others['LSTM']:.2f}"
)

# On its own: the last window it learned from, and then nothing but its own forecasts.
window, ahead = y[None, split - length : split], len(y) - split
autoregression = nn.Model(lambda key: linear, lambda weights, x: x[..., 0] @ weights)
free = models.generate(model, result.params, window, ahead, backend="trace")[0]
free_linear = models.generate(autoregression, linear, window, ahead, backend="trace")[0]
print("free run, distance from the waves in the first 20, 50, 100, 200 steps:")
for name, run in {"LSTM": free, "AR": free_linear}.items():
    off = [float(nn.mse(run[:n], clean[split : split + n]).sqrt()) for n in (20, 50, 100, 200)]
    print(f"{name:<24}", *(f"{one:.2f}" for one in off))

t, y, clean, told, free, free_linear = (one.cpu() for one in (t, y, clean, told, free, free_linear))
figure = Figure(figsize=(11, 6.5), layout="constrained")
upper, lower = figure.subplots(2, 1, sharex=True)
upper.plot(t[split:], y[split:], ".", color=GREY, markersize=4, label="what came")
upper.plot(t[split:], told, color=BLUE, label=f"LSTM, from the {length} values before")
lower.plot(t[split - 100 :], y[split - 100 :], ".", color=GREY, markersize=4, label="what came")
lower.plot(t[split - 100 :], clean[split - 100 :], color=GREY, linewidth=0.8, label="the waves without noise")
lower.plot(t[split:], free_linear, color=CYCLE[2], label="AR, from its own forecasts")
lower.plot(t[split:], free, color=ORANGE, label="LSTM, from its own forecasts")
lower.axvline(float(t[split]), color=GREY, linewidth=0.8, linestyle=":")
name_axes(upper, "One step ahead", "", "y")
name_axes(lower, "Free run: no data right of the dotted line", "t", "y")
for axes in (upper, lower):
    axes.legend(fontsize=9, frameon=False, ncols=4, loc="upper left")
    axes.set_ylim(-2.4, 3.2)
figure.savefig("forecasting.png", dpi=120)
assert errors["LSTM"] < (3 if options.smoke else min(1.2, errors["persistence"]))
assert options.smoke or others["AR"] < others["LSTM"]
