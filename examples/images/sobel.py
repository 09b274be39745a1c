"""A convolution whose weights are set by hand finds edges, and one that is trained finds those weights.

Exercise 5.2. Writes sobel.png to the current folder: what Sobel's filter answers to a strip and to a drawing.
`--smoke` takes a smaller drawing.
"""

import torch
from matplotlib.figure import Figure

from funcsci import examples, nn, optim, random

options = examples.options(__doc__)
torch.set_default_dtype(torch.float64)
key = random.key(options.seed, device=options.device)
sobel = torch.tensor([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]], device=options.device)

strip = torch.zeros(1, 1, 10, 10, device=options.device)
strip[..., 4:6] = 5.0  # bright in the columns 4 and 5
layer = nn.conv2d(1, 1, 3, bias=False)
by_hand = {"weight": sobel[None, None]}  # (to, from, height, width); parameters are an argument, to be chosen
answer = layer.apply(by_hand, strip)
print("a row of the strip:    ", *(f"{number:>4g}" for number in strip[0, 0, 0].tolist()))
print("Sobel's answer:             ", *(f"{number:>4g}" for number in answer[0, 0, 0].tolist()))
print("It is positive at the left, from dark to light, and negative at the right, from light to dark.")
assert answer[0, 0].tolist() == [[0.0, 0.0, 20.0, 20.0, -20.0, -20.0, 0.0, 0.0]] * 8
# The layer slides the kernel as it stands. The convolution of mathematics mirrors it first.
mirrored = layer.apply({"weight": sobel.flip(0, 1)[None, None]}, strip)
print(f"Mirrored, as in a convolution by the book: {mirrored[0, 0, 0, 2]:g} at the left, the other sign.\n")
assert torch.equal(mirrored, -answer)

# Divided by 8 h it is a slope, and 1, 2, 1 across is a mean that takes noise away.
wide = nn.conv2d(1, 2, 3, bias=False)
both = {"weight": torch.stack([sobel, sobel.T])[:, None]}  # along x, along y
errors = []
for cells in (32, 64):
    y, x = torch.meshgrid(*[torch.linspace(0, 1, cells + 1, device=options.device)] * 2, indexing="ij")
    slopes = wide.apply(both, (torch.sin(3 * x) * torch.cos(2 * y))[None, None])[0] * cells / 8
    exact = torch.stack([3 * torch.cos(3 * x) * torch.cos(2 * y), -2 * torch.sin(3 * x) * torch.sin(2 * y)])
    errors.append(float((slopes - exact[:, 1:-1, 1:-1]).abs().max()))
print(f"error of the slopes of a smooth field, on 32 cells {errors[0]:.1e}, on 64 {errors[1]:.1e}")
keys = random.split(key, 2)
grain = random.normal(keys[0], (1, 1, 200, 200))
plain = torch.tensor([[0.0, 0.0, 0.0], [-4.0, 0.0, 4.0], [0.0, 0.0, 0.0]], device=options.device)
spread = [float(layer.apply({"weight": one[None, None] / 8}, grain).std()) for one in (sobel, plain)]
print(f"of noise 1 it leaves {spread[0]:.2f}, and the difference (-1, 0, 1) / 2 leaves {spread[1]:.2f}\n")
assert abs(errors[0] / errors[1] - 4) < 0.2
assert abs(spread[0] - 12**0.5 / 8) < 0.02 and abs(spread[1] - 0.5**0.5) < 0.02

# A drawing: a disc with a soft edge, a frame, and slanted lines.
cells = 60 if options.smoke else 160
y, x = torch.meshgrid(*[torch.linspace(-1, 1, cells, device=options.device)] * 2, indexing="ij")
distance = torch.maximum(x.abs(), y.abs())
disc = torch.sigmoid((0.4 - (x**2 + y**2).sqrt()) * 40)
lines = torch.cos(12 * (x + 0.6 * y)).clamp(min=0) * (distance < 0.7)
drawing = torch.maximum(disc, 0.5 * lines) + 1.0 * ((distance - 0.85).abs() < 0.05)
slopes = wide.apply(both, drawing[None, None])[0] / 8

# What the exercise sets by hand, training finds: from a picture and its edges to the nine weights.
found = optim.minimize(
    lambda params: nn.mse(layer.apply(params, drawing[None, None]) / 8, slopes[None, :1]),
    layer.init(keys[1]), steps=200, warn=False,
)  # fmt: skip
learned = found.params["weight"][0, 0]
print("The weights that minimisation finds from the drawing and its answer, begun at random:")
for row in (learned.round(decimals=4) + 0.0).tolist():  # and no sign on a zero
    print("  ", *(f"{number:>8.4f}" for number in row))
assert float((learned - sobel).abs().max()) < 1e-2

panels = {
    "the strip": (strip[0, 0], "gray", 5), "its answer": (answer[0, 0], "RdBu_r", 20),
    "a drawing": (drawing, "gray", 1), "along x": (slopes[0], "RdBu_r", 0.25),
    "along y": (slopes[1], "RdBu_r", 0.25), "steepness": (slopes.square().sum(0).sqrt(), "gray_r", 0.25),
}  # fmt: skip
figure = Figure(figsize=(9, 6.2), layout="constrained")
for axes, (name, (field, colors, most)) in zip(figure.subplots(2, 3).flat, panels.items(), strict=True):
    least = -most if colors == "RdBu_r" else 0
    axes.imshow(field.cpu(), cmap=colors, vmin=least, vmax=most)
    axes.set(title=name, xticks=[], yticks=[])
figure.savefig("sobel.png", dpi=120)
