"""Attention by hand, five lines of matrix products, beside the library's and torch's kernel.

Exercise 7.1. Writes attention.png to the current folder: what a query looks at, with and without a mask.
"""

import math

import torch

from funcsci import examples, nn, plot, random

options = examples.options(__doc__)
torch.set_default_dtype(torch.float64)
BATCH, HEADS, LENGTH, DIM = 2, 4, 24, 16


def attention_by_hand(q, k, v, mask=None):
    scores = torch.matmul(q, k.transpose(-2, -1)) / math.sqrt(q.shape[-1])  # (batch, heads, length, length)
    if mask is not None:
        scores = scores.masked_fill(~mask, -math.inf)
    weights = torch.softmax(scores, -1)
    return torch.matmul(weights, v), weights


key = random.key(options.seed, device=options.device)
q, k, v = (random.normal(one, (BATCH, HEADS, LENGTH, DIM)) for one in random.split(key, 3))
mask = nn.causal_mask(LENGTH, device=options.device)

print("largest difference to the attention by hand")
for name, allowed in {"everything seen": None, "the past alone": mask}.items():
    output, weights = attention_by_hand(q, k, v, allowed)
    ours = nn.attention(q, k, v, mask=allowed, return_weights=True)
    kernel = torch.nn.functional.scaled_dot_product_attention(q, k, v, allowed)
    gaps = [float((one - output).abs().max()) for one in (ours.output, kernel)]
    print(f"  {name:<16} nn.attention {gaps[0]:.1e}   torch's kernel {gaps[1]:.1e}")
    assert max(gaps) < 1e-12
    assert torch.allclose(ours.weights, weights, atol=1e-14)
print(f"each row of weights sums to one, to {float((weights.sum(-1) - 1).abs().max()):.0e}")

# Why divide by the root of d: the variance of a sum of d products is d, and a softmax of large numbers is
# nearly a choice of one, whose gradient is nearly zero.
for dim in (4, 64, 1024):
    a, b = (random.normal(one, (2000, dim)) for one in random.split(random.fold_in(key, dim)))
    spread = float((a * b).sum(-1).std())
    print(f"d = {dim:>4}: scores spread by {spread:6.2f}, scaled {spread / dim**0.5:.2f}")
    assert abs(spread / dim**0.5 - 1) < 0.1

# By itself attention knows no order: shuffled inputs give the same outputs, shuffled. Positions change that.
order = random.permutation(random.fold_in(key, 1), LENGTH)
shuffled = nn.attention(q[..., order, :], k[..., order, :], v[..., order, :]).output
assert torch.allclose(shuffled, nn.attention(q, k, v).output[..., order, :])
turned = [nn.rotary_positions(one) for one in (q, k)]
late = [nn.rotary_positions(one[..., order, :]) for one in (q, k)]
moved = nn.attention(*late, v[..., order, :]).output - nn.attention(*turned, v).output[..., order, :]
print(
    f"shuffling changes nothing without positions, and up to {float(moved.abs().max()):.2f} with rotary ones"
)
assert float(moved.abs().max()) > 0.1

# A query that may look nowhere gets zeros, where the formula gives 0 / 0.
assert float(nn.attention(q, k, v, mask=torch.zeros_like(mask)).output.abs().max()) == 0
assert bool(attention_by_hand(q, k, v, torch.zeros_like(mask))[0].isnan().all())

maps = {name: nn.attention(q, k, v, mask=one, return_weights=True).weights for name, one in
        {"everything seen": None, "the past alone": mask}.items()}  # fmt: skip
plot.attention_figure({name: found[0, 0].cpu() for name, found in maps.items()}).savefig(
    "attention.png", dpi=120
)
