"""One network, five ways to train it: the error each has reached after how many seconds.

u'' + u = 0, u(0) = 1, u'(0) = 0 on [0, 2 pi], with the initial conditions built into u = 1 + t^2 N(t) and a
1-20-20-1 network N in float64. Writes optimizers.png to the current folder. FUNCSCI_SMOKE=1 takes few steps.
"""

import math
import os

import torch
from matplotlib.figure import Figure
from torch.func import grad, vmap

from funcsci import nn, optim, random, train

SMOKE = bool(os.environ.get("FUNCSCI_SMOKE"))
torch.set_default_dtype(torch.float64)

network = nn.mlp((1, 20, 20, 1))
params = network.init(random.key(0))
points = torch.linspace(0, 2 * math.pi, 100)


def u(params, t):
    return 1 + t**2 * network.apply(params, t[None] / math.pi - 1)[0]


def residual(params, t):
    return grad(grad(u, argnums=1), argnums=1)(params, t) + u(params, t)


def loss(params, points):
    return (vmap(residual, (None, 0))(params, points) ** 2).mean()


def error(params):
    times = torch.linspace(0, 2 * math.pi, 1000)
    exact = torch.cos(times)
    return float((vmap(u, (None, 0))(params, times) - exact).norm() / exact.norm())


runs = {}
for name, optimizer in (("Adam", optim.adam), ("SOAP", optim.soap)):
    steps = 50 if SMOKE else 6000
    result = train.fit(
        loss, params, optimizer(optim.cosine(5e-3, steps)), points, steps=steps, backend="trace"
    )
    runs[name] = (result.seconds, result.loss, result.params)
for name, method in (("L-BFGS", "lbfgs"), ("self-scaled Broyden", "ssbroyden")):
    found = optim.minimize(loss, params, points, method=method, steps=20 if SMOKE else 6000, warn=False)
    runs[name] = (found.seconds, found.history, found.params)
found = optim.least_squares(residual, params, points, steps=10 if SMOKE else 200, warn=False)
runs["Levenberg-Marquardt"] = (found.seconds, 2 * found.history / len(points), found.params)

print("optimizer              relative L2 error   seconds")
for name, (seconds, _, trained) in runs.items():
    print(f"{name:<22} {error(trained):17.1e} {float(seconds[-1]):9.1f}")

figure = Figure(figsize=(7, 4.2), layout="constrained")
axes = figure.subplots()
for name, (seconds, history, _) in runs.items():
    best = torch.cummin(history.double(), 0).values
    axes.loglog(seconds.clamp(min=1e-2), best, label=name)
axes.set_xlabel("seconds")
axes.set_ylabel("mean squared residual, best so far")
axes.grid(alpha=0.25)
axes.legend(frameon=False)
figure.savefig("optimizers.png", dpi=150)
