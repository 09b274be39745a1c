"""A transformer learns what Burgers' equation makes of a function, and shows what its first layer attends to.

Exercise 7.3. 1,000 random functions on a circle and what they are at time 1; 200 others to be judged by.
Writes burgers_operator.png and burgers_attention.png to the current folder. `--smoke` takes fewer functions
and epochs.
"""

import torch
from matplotlib.figure import Figure

from funcsci import data, examples, models, nn, optim, plot, random, train, tree

options = examples.options(__doc__, viscosity=0.01)
samples, batch, epochs = (60, 20, 30) if options.smoke else (1000, 50, 300)
bound = 0.6 if options.smoke else 1e-2 if options.viscosity < 0.1 else 2e-3

keys = random.split(random.key(options.seed, device=options.device), 4)
seen = data.burgers(keys[0], samples, viscosity=options.viscosity)
unseen = data.burgers(keys[1], samples // 5, viscosity=options.viscosity)
scale = seen["y"].std()  # of the training functions; the network gives multiples of it
points = unseen["x"].shape[-1]
model = models.operator_transformer(points)


def loss(params, pairs, *, key):
    """The relative error of the pairs, of which each may be mirrored: u(x) to -u(-x) is a symmetry."""
    mirrored = random.bernoulli(key, 0.5, (len(pairs["x"]), 1))
    x, y = (torch.where(mirrored, -one.flip(-1), one) for one in (pairs["x"], pairs["y"]))
    return nn.relative_l2(model.apply(params, x), y / scale)


rate = optim.one_cycle(2e-2, epochs * samples // batch)
optimizer = optim.chain(optim.clip_by_global_norm(1.0), optim.soap(rate))
result = train.fit(loss, model.init(keys[2]), optimizer, seen, key=keys[3], epochs=epochs, batch_size=batch)
print(result, end="\n\n")
found = scale * model.apply(result.params, unseen["x"])
maps = model.attention(result.params, unseen["x"])
found, maps, unseen = tree.map(lambda leaf: leaf.cpu(), (found, maps, unseen))
errors = nn.relative_l2(found, unseen["y"], reduction="none")
wave = 2 * torch.pi * torch.arange(points // 2 + 1)
heat = torch.fft.irfft(torch.fft.rfft(unseen["x"]) * torch.exp(-options.viscosity * wave**2))
without = nn.relative_l2(heat, unseen["y"])
print(f"{tree.size(result.params)} parameters; relative L2 error at viscosity {options.viscosity:g}")
print(f"transformer: mean {errors.mean():.2e}, median {errors.median():.2e}, worst {errors.max():.2e}")
print(f"heat equation, without the wave's own speed: mean {without:.2e}")

# The weights by which the solution is an average of the beginning: exp(-integral / 2ν) times the heat kernel.
way = torch.arange(points) - torch.arange(points)[:, None]
series = torch.fft.rfft(unseen["x"]) / (1j * wave.clamp(min=1.0))  # the first is of the mean, which is zero
kernel = torch.fft.irfft(torch.exp(-options.viscosity * wave**2)).clamp(min=1e-7)
scores = -torch.fft.irfft(series) / (2 * options.viscosity)
exact = torch.softmax(scores[:, None] + kernel.log()[way], -1)
average = (exact @ unseen["x"][..., None]).squeeze(-1)
print(f"the average by Cole and Hopf's weights: {nn.relative_l2(average, unseen['y']):.1e}\n")
# How far away what a point takes up is, on average: 0 is the point itself, 1/4 is all points alike.
apart = torch.minimum(way.abs(), points - way.abs()) / points
alike = torch.full((1, 1, points, points), 1 / points)
told = {"Cole and Hopf": exact[:, None], "all alike": alike, "layer 1": maps[0], "layer 2": maps[1]}
for name, weights in told.items():
    far = (weights * apart).sum(-1).mean((0, 2))  # of each head
    shared = torch.minimum(weights, exact[:, None]).sum(-1).mean((0, 2))  # with Cole and Hopf's weights
    far, shared = (" ".join(f"{one:.2f}" for one in row) for row in (far, shared))
    print(f"{name:<14} mean distance {far:<20} shared {shared}")

figure, place = Figure(figsize=(11, 5), layout="constrained"), torch.arange(points) / points
chosen = dict(zip(("best", "median", "worst"), errors.argsort()[[0, samples // 10, -1]], strict=True))
for column, (name, one) in zip(figure.subplots(2, 3, sharex=True).T, chosen.items(), strict=True):
    column[0].plot(place, unseen["x"][one], color="#999999", lw=1, label="time 0")
    column[0].plot(place, unseen["y"][one], color="#f0a830", lw=5, alpha=0.5, label="time 1")
    column[0].plot(place, found[one], color="#2b4c9b", lw=1.5, label="transformer")
    column[0].set_title(f"{name} of {len(errors)}: relative error {errors[one]:.1e}", fontsize=10)
    column[1].semilogy(place, (found - unseen["y"])[one].abs().clamp(min=1e-9), color="#2b4c9b", lw=1)
    column[1].set(xlabel="x", ylabel="|error|")
figure.axes[0].legend(frameon=False, fontsize=8)
figure.savefig("burgers_operator.png", dpi=120)

heads = {f"layer 1, head {head}": one for head, one in enumerate(maps[0][chosen["median"]], 1)}
figure = plot.attention_figure({**heads, "Cole and Hopf": exact[chosen["median"]]})
figure.savefig("burgers_attention.png", dpi=120)
assert errors.mean() < min(bound, without)
