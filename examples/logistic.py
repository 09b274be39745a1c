"""Logistic regression from its equations: two blobs, the sigmoid, the cross-entropy and the descent.

Challenge I. First in torch's way, where tensors collect gradients, then as a pure function, where nothing is
zeroed and nothing is switched off: both go the same way. Writes logistic.png to the current folder: the line
between the classes, and the loss. It takes seconds, with `--smoke` too.
"""

import torch
from matplotlib.figure import Figure

from funcsci import data, examples, models, nn, optim, random, tree
from funcsci.plot.style import ORANGE, name_axes

options = examples.options(__doc__)
RATE, STEPS = 0.5, 200
for_data, for_weights = random.split(random.key(options.seed, device=options.device))
blobs = data.two_blobs(for_data)  # 100 points about (-2, -2), and 100 about (2, 2)
x, y = blobs["x"], blobs["y"]
model = models.logistic_regression(2)
start = model.init(for_weights)

# torch's way, each formula written out. The update is in place, for `W = W - ...` would be another tensor.
W = start["weight"].T.clone().requires_grad_()  # 2 x 1
b = start["bias"].clone().requires_grad_()
for _ in range(STEPS):
    logits = (x @ W + b)[:, 0]
    probability = 1 / (1 + torch.exp(-logits))
    (-(y * torch.log(probability) + (1 - y) * torch.log(1 - probability)).mean()).backward()
    with torch.no_grad():
        W -= RATE * W.grad
        b -= RATE * b.grad
    W.grad = b.grad = None


def loss(params):
    """The same loss of the same formulas: finite as long as no probability is rounded to 0 or 1."""
    return models.cross_entropy_by_hand(models.sigmoid(model.apply(params, x)), y)


# The functional way: the gradient is a function of the parameters, and so are the next parameters.
params, losses = start, []
print("step     loss   accuracy")
for step in range(STEPS + 1):
    slopes, value = torch.func.grad_and_value(loss)(params)
    losses.append(float(value))
    accuracy = float(((model.apply(params, x) > 0) == (y > 0.5)).double().mean())
    if step % 50 == 0:
        print(f"{step:4d} {losses[-1]:8.4f} {accuracy:10.1%}")
    if step < STEPS:
        params = tree.map(lambda leaf, slope: leaf - RATE * slope, params, slopes)
assert accuracy > 0.95 and losses[-1] < losses[0] / 5

weight, bias = params["weight"][0].tolist(), params["bias"].item()
apart = float(torch.cat([params["weight"].T - W.detach(), (params["bias"] - b.detach())[None]]).abs().max())
print(f"\nthe line between the classes: {weight[0]:.3f} x1 {weight[1]:+.3f} x2 {bias:+.3f} = 0")
print(f"torch's way has led to the same weights, up to {apart:.0e}")
assert apart < 1e-4

# A logit of 20 for a point of class 1 is right and sure. As the loss is written, it is no number.
sure, right = torch.full((1,), 20.0), torch.ones(1)
written = float(models.cross_entropy_by_hand(models.sigmoid(sure), right))
stable = float(nn.binary_cross_entropy_with_logits(sure, right))
print(f"its loss at a logit of 20, in float32: {written} as it is written, {stable:.1e} in the stable form")
assert written != written and 0 < stable < 1e-8

# Where a line separates the classes the loss has no minimum without a penalty: the weights grow for ever.
sizes = []
for l2 in (0.1, 0.01, 0.001):
    best = optim.minimize(lambda params, l2=l2: models.logistic_loss(params, x, y, l2=l2), params)
    sizes.append(float(best.params["weight"].norm()))
    print(f"with the penalty {l2:<5} / 2 |w|^2 the least loss has |w| = {sizes[-1]:.2f}")
assert sizes == sorted(sizes)

axis = torch.linspace(-5, 5, 101)
grid = torch.stack(torch.meshgrid(axis, axis, indexing="xy"), -1)
z = model.apply(params, grid.to(options.device)).cpu()
figure = Figure(figsize=(9, 3.8), layout="constrained")
panel, course = figure.subplots(1, 2)
levels = panel.contourf(axis, axis, models.sigmoid(z), 20, cmap="RdBu_r", vmin=0, vmax=1)
figure.colorbar(levels, label="probability of class 1")
panel.contour(axis, axis, z, [0.0], colors="black")
panel.scatter(*x.T.cpu(), c=y.cpu(), cmap="gray", edgecolors="black", s=14)
name_axes(panel, "Two blobs, and the line between them", "x1", "x2")
course.semilogy(losses, color=ORANGE)
name_axes(course, "The loss", "step", "cross-entropy")
figure.savefig("logistic.png", dpi=120)
