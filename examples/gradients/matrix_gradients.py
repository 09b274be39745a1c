"""The gradient of a mean squared error by a matrix and a vector, and what its mean is a mean over.

Exercise 2.2. Prints the gradients beside their closed form, with both meanings of N.
"""

import torch

from funcsci import examples, nn, random, tree
from funcsci.autodiff import per_sample_gradient, value_and_grad

options = examples.options(__doc__)
torch.set_default_dtype(torch.float64)
keys = random.split(random.key(options.seed, device=options.device), 3)
X = random.normal(keys[0], (10, 3))
params = {"W": random.normal(keys[1], (3, 2)), "b": random.normal(keys[2], (2,))}
target = torch.ones(10, 2, device=X.device)

# Torch's way.
W, b = (params[name].clone().requires_grad_() for name in ("W", "b"))
((X @ W + b - target) ** 2).mean().backward()


# As a function of the parameters: the gradient is a tree of the same names and shapes.
def loss(params, X, target):
    return nn.mse(X @ params["W"] + params["b"], target)


value, gradient = value_and_grad(loss)(params, X, target)
print(f"loss {float(value):.6f}\n\n{'':<3}{'shape':<9}{'W.grad, b.grad':<16}{'value_and_grad':<16}difference")
for name, leaf in (("W", W), ("b", b)):
    gap = float((leaf.grad - gradient[name]).abs().max())
    shapes = [str(tuple(one.shape)) for one in (params[name], leaf.grad, gradient[name])]
    print(f"{name:<3}{shapes[0]:<9}{shapes[1]:<16}{shapes[2]:<16}{gap:.0e}")
    assert len(set(shapes)) == 1 and gap < 1e-14

# On paper, with the residual R = X W + b - T. The mean is over all entries: 10 samples of 2 outputs.
residual = X @ params["W"] + params["b"] - target
closed = {"W": 2 / 20 * X.T @ residual, "b": 2 / 20 * residual.sum(0)}
assert tree.allclose(gradient, closed, rtol=0, atol=1e-14)
samples = torch.func.grad(lambda p: ((X @ p["W"] + p["b"] - target) ** 2).sum() / len(X))(params)
ratio = samples["W"] / gradient["W"]
print(
    "\non paper dL/dW = (2 / n) X^T R and dL/db = (2 / n) 1^T R, with n = 20 for .mean(), all entries of R;"
)
print(
    f"with N = 10, the samples, each gradient is {float(ratio.mean()):g} times as large, and so is each step"
)
assert torch.allclose(ratio, torch.full_like(ratio, 2.0))

# Why the shapes must agree: the update W - lr g is entry by entry, and broadcasting would hide a mistake.
flat = gradient["W"].mean(1)  # what is left if someone sums over the outputs: shape (3,)
try:
    params["W"] - 0.1 * flat
except RuntimeError as error:
    print(f"\nW - 0.1 g with g of shape (3,) is refused: {error}")
silent = params["W"] - 0.1 * flat[:, None]
print(f"with g of shape (3, 1) it is not: it gives {tuple(silent.shape)}, a step along another direction")
assert silent.shape == (3, 2)
updated = tree.map(lambda leaf, slope: leaf - 0.1 * slope, params, gradient)
print(f"one step of 0.1 along the true one: loss {float(loss(updated, X, target)):.6f}")
assert loss(updated, X, target) < value

# What the tape has no word for: the gradient of each sample. Their mean is the gradient of the mean.
each = per_sample_gradient(loss)(params, X, target)
lengths = sum(leaf.flatten(1).square().sum(1) for leaf in tree.leaves(each)).sqrt()
print(f"\ngradients by sample: W {tuple(each['W'].shape)}, b {tuple(each['b'].shape)}, lengths from", end=" ")
print(f"{float(lengths.min()):.2f} to {float(lengths.max()):.2f}, and their mean is the gradient above")
assert tree.allclose(tree.map(lambda leaf: leaf.mean(0), each), gradient, rtol=0, atol=1e-14)
