"""Logistic regression from its equations: the sigmoid, the cross-entropy and the descent written out.

Challenge I. The gradient is a transform of the loss, so nothing is zeroed and nothing is switched off. Writes
logistic.png to the current folder.
"""

import torch
from matplotlib.figure import Figure

from funcsci import data, models, optim, random, tree

blobs = data.two_blobs(random.key(0))
x, y = blobs["x"], blobs["y"]
model = models.logistic_regression(2)


def loss(params):
    """As it is written: finite as long as no probability is rounded to 0 or 1."""
    return models.cross_entropy_by_hand(models.sigmoid(model.apply(params, x)), y)


params = model.init(random.key(1))
for step in range(201):
    gradient, value = torch.func.grad_and_value(loss)(params)
    if step % 50 == 0:
        print(f"step {step:3d}: loss {float(value):.4f}")
    params = tree.map(lambda leaf, slope: leaf - 0.5 * slope, params, gradient)

correct = (model.apply(params, x) > 0) == (y > 0.5)
print(f"{float(correct.float().mean()):.1%} of the points are on their side of the line\n")

# The classes are separable: without a penalty the loss has no minimum, and the weights would grow for ever.
for l2 in (0.1, 0.01, 0.001):
    best = optim.minimize(lambda params, l2=l2: models.logistic_loss(params, x, y, l2=l2), params)
    weight, bias = best.params["weight"][0].tolist(), best.params["bias"].item()
    print(f"lambda {l2:<5}: w = ({weight[0]:.3f}, {weight[1]:.3f}), b = {bias:.3f}")

axis = torch.linspace(-5, 5, 101)
grid = torch.stack(torch.meshgrid(axis, axis, indexing="xy"), -1)
figure = Figure(figsize=(4.6, 4), layout="constrained")
panel = figure.subplots()
probability = models.sigmoid(model.apply(params, grid))
levels = panel.contourf(axis, axis, probability, 20, cmap="RdBu_r", vmin=0, vmax=1)
figure.colorbar(levels, label="probability of class 1")
panel.scatter(*x.T, c=y, cmap="gray", edgecolors="black", s=14)
panel.set(xlabel="x1", ylabel="x2")
figure.savefig("logistic.png", dpi=120)
assert correct.float().mean() > 0.95
