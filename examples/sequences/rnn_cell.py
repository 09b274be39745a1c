"""A recurrent cell by hand, over a sequence, and how its gradient fades or grows through time.

Exercise 6.1. Writes fading_gradients.png to the current folder.
"""

import torch
from matplotlib.figure import Figure

from funcsci import examples, nn, random
from funcsci.plot.style import CYCLE, name_axes

options = examples.options(__doc__)
keys = random.split(random.key(options.seed, device=options.device), 5)
torch.set_default_dtype(torch.float64)
length, batch, features, hidden = 10, 1, 5, 3

# A cell by hand, h' = tanh(i2h(x) + h2h(h)), of two affine maps, and the library's own with the same weights.
i2h, h2h = nn.linear(features, hidden), nn.linear(hidden, hidden)
first, second = i2h.init(keys[0]), h2h.init(keys[1])
cell = nn.rnn_cell(features, hidden)
params = {
    "weight_ih": first["weight"], "bias_ih": first["bias"],
    "weight_hh": second["weight"], "bias_hh": second["bias"],
}  # fmt: skip
x = random.normal(keys[2], (length, batch, features))
h = torch.zeros(batch, hidden, device=options.device)
by_hand = []
for now in x:
    h = torch.tanh(i2h.apply(first, now) + h2h.apply(second, h))
    by_hand.append(h)
outputs, last = nn.unroll(cell, params, x, batch_first=False)
print(f"{length} steps, batch {batch}, {features} features: hidden state of shape {tuple(h.shape)}")
print(f"largest difference from nn.rnn_cell: {(torch.stack(by_hand) - outputs).abs().max():.1e}")
torch.testing.assert_close(torch.stack(by_hand), outputs, rtol=0, atol=1e-14)
torch.testing.assert_close(h, last, rtol=0, atol=1e-14)

# The eigenvalues decide what becomes of the gradient in the end, the singular values what may happen before.
w = torch.tensor([[0.5, 4.0], [0.0, 0.5]])
print("\nW = [[0.5, 4], [0, 0.5]]: both eigenvalues are 0.5, and the product of n of them has the norm")
norms = [float(torch.linalg.matrix_norm(torch.linalg.matrix_power(w, n), 2)) for n in range(1, 13)]
print(
    ", ".join(f"{one:.2f}" for one in norms[:3])
    + f", ..., {norms[-1]:.2f} (n = 12): it grows before it fades."
)
assert norms[0] > 4 and norms[1] > 4 and norms[-1] < 0.1

# The norm of dh_T/dh_t for recurrent weights whose singular values are all s, on noise of deviation 0.3.
length, size = 50, 32
signal = 0.3 * random.normal(keys[3], (length, 1))
orthogonal, _ = torch.linalg.qr(random.normal(keys[4], (size, size)))
steps = torch.arange(length, -1, -1)
figure = Figure(figsize=(11, 4), layout="constrained")
left, right = figure.subplots(1, 2, sharey=True)
print(f"\n{'norm of dh_T/dh_t, T - t =':<28}{10:>10}{50:>12}{'bound at 50':>14}")
for color, s in zip(CYCLE, (0.5, 0.9, 1.0, 1.5), strict=False):
    cell = nn.rnn_cell(1, size)
    fading = nn.gradient_through_time(cell, {**cell.init(keys[0]), "weight_hh": s * orthogonal}, signal)
    assert (fading.norms <= fading.bound * (1 + 1e-12)).all()
    assert s > 1 or (fading.norms.diff() > 0).all()  # what lies further back counts for less
    left.semilogy(steps, fading.norms.cpu(), color=color, label=f"s = {s}")
    left.semilogy(steps, fading.bound.cpu(), color=color, linestyle=":")
    print(
        f"{f'plain cell, s = {s}':<28}{fading.norms[-11]:10.1e}{fading.norms[0]:12.1e}{fading.bound[0]:14.1e}"
    )
forget = torch.arange(4 * size, device=options.device) // size == 1  # of the rows of i, f, g, o
for color, bias in zip(CYCLE, (0.0, 2.0, 5.0), strict=False):
    name = f"LSTM, forget bias {bias:g}"
    cell = nn.lstm_cell(1, size)
    params = {**cell.init(keys[0]), "bias_ih": bias * forget}
    fading = nn.gradient_through_time(cell, params, signal)
    right.semilogy(steps, fading.norms.cpu(), color=color, label=name)
    print(f"{name:<28}{fading.norms[-11]:10.1e}{fading.norms[0]:12.1e}{'none':>14}")
assert fading.norms[0] > 0.1 * fading.norms[-11]
name_axes(left, "Plain cell: solid the norm, dotted the bound", "steps back, T - t", "norm of dh_T / ds_t")
name_axes(right, "LSTM: the forget gate decides", "steps back, T - t", "")
left.set_ylim(1e-16, 1e10)
for axes in (left, right):
    axes.legend(fontsize=9, frameon=False)
figure.savefig("fading_gradients.png", dpi=120)
