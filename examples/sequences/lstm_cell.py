"""Long short-term memory by hand, all four gates by one affine map, against torch's own cell.

Exercise 6.2. Writes no file.
"""

import torch

from funcsci import examples, nn, random

options = examples.options(__doc__)
keys = random.split(random.key(options.seed, device=options.device), 4)
torch.set_default_dtype(torch.float64)
features, hidden, batch, length = 5, 8, 3, 20

gates = nn.linear(features + hidden, 4 * hidden)
params = gates.init(keys[0])


def step(params, x, h, c):
    i, f, g, o = gates.apply(params, torch.cat([h, x], -1)).chunk(4, -1)
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(c), c


# torch's cell keeps the columns of W for x and those for h apart, and two biases, of which either may hold b.
theirs = {
    "weight_ih": params["weight"][:, hidden:],
    "weight_hh": params["weight"][:, :hidden],
    "bias_ih": params["bias"],
    "bias_hh": torch.zeros_like(params["bias"]),
}
reference = torch.nn.LSTMCell(features, hidden, device=options.device)
reference.load_state_dict(theirs)
cell = nn.lstm_cell(features, hidden)

x = random.normal(keys[1], (length, batch, features))
by_hand = ours = module = (torch.zeros(batch, hidden, device=options.device),) * 2
for now in x:
    by_hand, ours, module = step(params, now, *by_hand), cell.apply(theirs, now, ours), reference(now, module)
for name, mine, own, torchs in zip("hc", by_hand, ours, module, strict=True):
    print(
        f"{name} after {length} steps: by hand and torch.nn.LSTMCell differ by "
        f"{(mine - torchs).abs().max():.1e}, nn.lstm_cell by {(own - torchs).abs().max():.1e}"
    )
    torch.testing.assert_close(mine, torchs.detach(), rtol=0, atol=1e-14)
    torch.testing.assert_close(own, torchs.detach(), rtol=0, atol=1e-14)

# Along the direct path, with h held, the derivative of c' by c is the forget gate: a diagonal, and below one.
h, c = (random.normal(key, (hidden,)) for key in keys[2:])
direct = torch.func.jacrev(lambda c: step(params, x[0, 0], h, c)[1])(c)
forget = torch.sigmoid(gates.apply(params, torch.cat([h, x[0, 0]])).chunk(4)[1])
torch.testing.assert_close(direct, torch.diag(forget), rtol=0, atol=1e-14)
print(
    f"\ndc'/dc with h held is diagonal, the forget gate: {forget.min():.2f} to {forget.max():.2f}, not one:"
)
print(
    f"after {length} steps at its mean {forget.mean():.2f} there is {forget.mean() ** length:.0e} left of it."
)
opened = torch.sigmoid(torch.tensor(5.0))
print(
    f"With a forget bias of 5 it is {opened:.4f} where nothing else speaks, and {opened**length:.2f} is left."
)
