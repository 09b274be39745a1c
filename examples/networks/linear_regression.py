"""A line is found by gradient descent, as fast as the eigenvalues of its loss allow and no faster.

Exercise 3.2. 100 points about y = 5 x - 2. Writes linear_regression.png to the current folder.
"""

import torch
from matplotlib.figure import Figure

from funcsci import data, examples, nn, optim, random, train
from funcsci.autodiff import value_and_grad
from funcsci.plot.style import CYCLE, name_axes

options = examples.options(__doc__)
torch.set_default_dtype(torch.float64)
keys = random.split(random.key(options.seed, device=options.device))
x, y = data.noisy_line(keys[0]).values()
model = nn.linear(1, 1)
begin = model.init(keys[1])


def loss(params):
    return nn.mse(model.apply(params, x), y)


def flat(params):
    return torch.cat([params["weight"][0], params["bias"]])


# One epoch: the gradient of the loss at the parameters, an update, new parameters.
optimizer = optim.sgd(0.01)
params, state = begin, optimizer.init(begin)
for epoch in range(1, 101):
    value, gradient = value_and_grad(loss)(params)
    updates, state = optimizer.update(gradient, state, params)
    params = optim.apply_updates(params, updates)
    if epoch % 10 == 0:
        print(f"epoch {epoch:3d}: loss {float(value):9.5f}")
asked = flat(params)

# The same on the tape: forward, loss, zero, backward, step.
network = torch.nn.Linear(1, 1, device=x.device)
network.load_state_dict(begin)
descent = torch.optim.SGD(network.parameters(), lr=0.01)
for _ in range(100):
    error = torch.nn.functional.mse_loss(network(x), y)
    descent.zero_grad()
    error.backward()
    descent.step()
gap = float((flat(network.state_dict()) - asked).abs().max())
print(f"torch.nn.Linear under torch.optim.SGD ends at the same numbers, to {gap:.0e}\n")
assert gap < 1e-13

# The loss is quadratic, with the Hessian 2 M. Each step multiplies what is missing by I - 2 lr M.
A = torch.cat([x, torch.ones_like(x)], 1)
best = torch.linalg.lstsq(A, y).solution[:, 0]
M = A.T @ A / len(A)
left = torch.linalg.matrix_power(torch.eye(2, device=x.device) - 2 * 0.01 * M, 100)
assert torch.allclose(asked - best, left @ (flat(begin) - best), rtol=0, atol=1e-12)
least, most = torch.linalg.eigvalsh(M).tolist()
fastest = 1 / (least + most)
print(f"eigenvalues of M: {least:.3f}, {most:.3f}; rates above {1 / most:.2f} diverge, {fastest:.2f} is best")
slow, quick = ((1 - 0.02 * one) ** 100 for one in (least, most))
print(f"100 epochs at 0.01 leave between {quick:.2f} and {slow:.2f} of what was missing\n")

# The loop as one call, with more epochs and with other rates.
runs = {
    f"{lr:.2f}, {epochs} epochs": train.fit(loss, begin, optim.sgd(lr), steps=epochs, progress_bar=False)
    for lr, epochs in ((0.01, 500), (0.1, 100), (fastest, 100))
}
ends = {"0.01, 100 epochs": asked, **{name: flat(run.params) for name, run in runs.items()}}
for name, (slope, intercept) in {**ends, "least squares": best}.items():
    print(f"{name:<18}slope {float(slope):.4f}, intercept {float(intercept):.4f}")
assert (asked - best).norm() > 0.3 and all((flat(run.params) - best).norm() < 1e-2 for run in runs.values())
assert (best - torch.tensor([5.0, -2.0], device=x.device)).abs().max() < 0.05  # five standard errors

figure = Figure(figsize=(6, 3.4), layout="constrained")
axes = figure.subplots()
floor = float(loss({"weight": best[None, :1], "bias": best[1:]}))
for color, (name, run) in zip(CYCLE, runs.items(), strict=False):
    axes.semilogy(run.loss - floor, color=color, label=f"learning rate {name}")
name_axes(axes, "Loss above that of least squares", "epoch", "")
axes.legend(frameon=False, fontsize=9)
figure.savefig("linear_regression.png", dpi=120)
