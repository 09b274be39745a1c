"""One network, five ways to train it: the error each has reached after how many seconds.

u'' + u = 0, u(0) = 1, u'(0) = 0 on [0, 2 pi], with the initial conditions built into u = 1 + t^2 N(t) and a
1-20-20-1 network N in float64. Writes optimizers.png to the current folder. `--smoke` takes few steps.
"""

import math

import torch
from matplotlib.figure import Figure
from torch.func import grad, vmap

from funcsci import examples, nn, optim, random, train

options = examples.options(__doc__)
STEPS, JACOBIANS = (50, 10) if options.smoke else (6_000, 200)
torch.set_default_dtype(torch.float64)

network = nn.mlp((1, 20, 20, 1))
params = network.init(random.key(options.seed, device=options.device))
points = torch.linspace(0, 2 * math.pi, 100, device=options.device)


def u(params, t):
    return 1 + t**2 * network.apply(params, t[None] / math.pi - 1)[0]


def residual(params, t):
    return grad(grad(u, argnums=1), argnums=1)(params, t) + u(params, t)


def loss(params, points):
    return (vmap(residual, (None, 0))(params, points) ** 2).mean()


def error(params):
    times = torch.linspace(0, 2 * math.pi, 1000, device=options.device)
    exact = torch.cos(times)
    return float((vmap(u, (None, 0))(params, times) - exact).norm() / exact.norm())


runs = {}
for name, optimizer in (("Adam", optim.adam), ("SOAP", optim.soap)):
    how = {"steps": STEPS, "backend": "trace", "progress_bar": False}
    result = train.fit(loss, params, optimizer(optim.cosine(5e-3, STEPS)), points, **how)
    runs[name] = (result.seconds, result.loss, result.params)
for name, method in (("L-BFGS", "lbfgs"), ("self-scaled Broyden", "ssbroyden")):
    found = optim.minimize(loss, params, points, method=method, steps=STEPS, warn=False)
    runs[name] = (found.seconds, found.history, found.params)
found = optim.least_squares(residual, params, points, steps=JACOBIANS, warn=False)
runs["Levenberg-Marquardt"] = (found.seconds, 2 * found.history / len(points), found.params)

print("optimizer              relative L2 error   seconds")
errors = {name: error(trained) for name, (_, _, trained) in runs.items()}
for name, (seconds, _, _) in runs.items():
    print(f"{name:<22} {errors[name]:17.1e} {float(seconds[-1]):9.1f}")
assert errors["Levenberg-Marquardt"] < min(errors["Adam"], errors["SOAP"], 1e-1 if options.smoke else 1e-9)

figure = Figure(figsize=(7, 4.2), layout="constrained")
axes = figure.subplots()
for name, (seconds, history, _) in runs.items():
    best = torch.cummin(history.double().cpu(), 0).values
    axes.loglog(seconds.cpu().clamp(min=1e-2), best, label=name)
axes.set_xlabel("seconds")
axes.set_ylabel("mean squared residual, best so far")
axes.grid(alpha=0.25)
axes.legend(frameon=False)
figure.savefig("optimizers.png", dpi=150)
