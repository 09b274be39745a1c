"""A perceptron with two hidden layers, and why nothing follows its last one in a regression.

Exercise 4.1. Writes mlp.png to the current folder: one wave, and fits of networks that differ in their end.
`--smoke` takes fewer steps.
"""

import math

import torch
from matplotlib.figure import Figure

from funcsci import examples, nn, optim, random, tree
from funcsci.plot.style import CYCLE, name_axes

options = examples.options(__doc__)
torch.set_default_dtype(torch.float64)
key = random.key(options.seed, device=options.device)
x = torch.linspace(-math.pi, math.pi, 101, device=options.device)[:, None]
y = 2 * torch.sin(x)

# 1 -> 20 -> 20 -> 1: two hidden layers are three affine maps. `nn.mlp((1, 20, 20, 1))` is the same in short.
layers = (nn.linear(1, 20), torch.tanh, nn.linear(20, 20), torch.tanh, nn.linear(20, 1))
model = nn.sequential(*layers)
print(nn.summary(model, key, x))
assert tree.size(model.init(key)) == (20 + 20) + (400 + 20) + (20 + 1)
short = nn.mlp((1, 20, 20, 1))
maps = {"layers": [leaf for leaf in model.init(key) if leaf]}
assert torch.equal(short.apply(maps, x), model.apply(model.init(key), x))

# What each form can reach at best: the distance of the data from what the last line lets through.
slope = float((x * y).sum() / (x * x).sum())
reach = {
    "nothing": (model, torch.zeros_like(y)),
    "tanh": (nn.sequential(*layers, torch.tanh), (y.abs() - 1).clamp(min=0)),
    "relu": (nn.sequential(*layers, torch.relu), y.clamp(max=0)),
    "nothing, nor tanh inside": (nn.sequential(*layers[::2]), y - slope * x),
}
figure = Figure(figsize=(6, 3.6), layout="constrained")
axes = figure.subplots()
axes.plot(x.cpu(), y.cpu(), color="black", linewidth=4, alpha=0.25, label="y = 2 sin x")
print(f"\n{'after the last layer':<28}{'mean squared error':>19}{'least possible':>16}")
for color, (name, (network, missed)) in zip(CYCLE, reach.items(), strict=False):
    found = optim.minimize(
        lambda params, network=network: nn.mse(network.apply(params, x), y),
        network.init(key), steps=30 if options.smoke else 300, warn=False,
    )  # fmt: skip
    bound = float(missed.square().mean())
    print(f"{name:<28}{float(found.value):>19.1e}{bound:>16.1e}")
    assert found.value > bound * (1 - 1e-9) and (options.smoke or found.value < bound + 0.1)
    axes.plot(x.cpu(), network.apply(found.params, x).cpu(), color=color, label=name)
print(
    "\ntanh ends at -1 and 1, relu at 0, and past that no weights help. A target of a regression may be any"
)
print("number. Where it has a range, as a probability has, the last line should have it too.")
name_axes(axes, "The best fit, by what follows the last layer", "x", "y")
axes.legend(frameon=False, fontsize=9)
figure.savefig("mlp.png", dpi=120)
