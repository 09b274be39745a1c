"""A transformer block from its parts, equal to the library's and to torch's with the same weights.

Exercise 7.2. Writes transformer_block.png to the current folder: the gradients that reach each layer of a
deep stack, with and without the sums around its parts. `--smoke` takes fewer layers.
"""

import torch
from matplotlib.figure import Figure

from funcsci import examples, interop, nn, random

options = examples.options(__doc__)
torch.set_default_dtype(torch.float64)
WIDTH, HEADS, HIDDEN, LENGTH, DEPTH = 32, 4, 64, 20, 6 if options.smoke else 24
attend, norm = nn.multi_head_attention(WIDTH, HEADS), nn.layer_norm(WIDTH)
network = nn.feed_forward(WIDTH, HIDDEN, activation="relu")


def block(params, x, residual=True):
    """z = norm(x + attention(x)), y = norm(z + network(z)); without the sums, the parts alone."""
    z = norm.apply(params["norm1"], residual * x + attend.apply(params["self_attn"], x).output)
    return norm.apply(params["norm2"], residual * z + network.apply(params, z))


layer = nn.transformer_layer(WIDTH, HEADS, HIDDEN)
keys = random.split(random.key(options.seed, device=options.device), DEPTH + 1)
params = layer.init(keys[0])
x = random.normal(keys[-1], (8, LENGTH, WIDTH))
module = torch.nn.TransformerEncoderLayer(WIDTH, HEADS, HIDDEN, dropout=0.0, batch_first=True).to(
    options.device
)
module.load_state_dict(interop.state_dict(params))
by_hand = block(params, x)
for name, found in {
    "nn.transformer_layer": layer.apply(params, x).output,
    "torch's": module(x).detach(),
}.items():
    print(f"the block by hand and {name}: {float((by_hand - found).abs().max()):.1e} apart")
    assert torch.allclose(by_hand, found, rtol=0, atol=1e-12)

# Why add: the gradient with respect to the input of each of many blocks, from the last back to the first.
stack = [layer.init(key) for key in keys[:DEPTH]]


def gradients(residual):
    """The size of the gradient at each layer's output, from the first to the last."""

    def loss(nudges):
        y = x
        for params, nudge in zip(stack, nudges, strict=True):
            y = block(params, y, residual) + nudge
        return (y[..., 0] ** 2).mean()

    found = torch.func.grad(loss)([torch.zeros_like(x) for _ in stack])
    return torch.stack([one.norm() for one in found])


sizes = {"with the sums": gradients(True), "without": gradients(False)}
shares = {name: float(found[0] / found[-1]) for name, found in sizes.items()}
for name, share in shares.items():
    print(f"{name:<14} the gradient at the first of {DEPTH} layers is {share:.2f} of that at the last")
print("The norms alone keep a gradient from vanishing altogether; the sums keep its size.")
assert shares["with the sums"] > (1 if options.smoke else 3) * shares["without"]
figure = Figure(figsize=(6, 3.6), layout="constrained")
panel = figure.subplots()
for name, found in sizes.items():
    panel.semilogy(range(1, DEPTH + 1), found.cpu(), "o-", markersize=3, label=name)
panel.set(title="The gradient that reaches each layer", xlabel="layer", ylabel="norm")
panel.legend(frameon=False)
figure.savefig("transformer_block.png", dpi=120)
