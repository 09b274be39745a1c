"""Poisson's equation on the unit square, three ways: u_xx + u_yy = q, u = 0 at the edges.

u = sin(pi x) sin(pi y). The default, a small network trained whole by Levenberg-Marquardt, and two stages, of
which the second network corrects the first. Writes poisson.png and poisson_stages.png to the current folder.
`--smoke` takes few points and steps.
"""

import warnings

import torch

from funcsci import examples, pinn, tree

options = examples.options(__doc__)
here = {"seed": options.seed, "device": options.device, "progress": False}

warnings.filterwarnings("ignore", "solve did not converge")  # the small network alone: its status says it


def exact(x, y):
    return torch.sin(torch.pi * x) * torch.sin(torch.pi * y)


problem = pinn.pde(
    lambda u, x, y: u.laplacian() + 2 * torch.pi**2 * exact(x, y),
    domain={"x": (0, 1), "y": (0, 1)},
    conditions=pinn.dirichlet(("x", "y"), 0.0),
    reference=exact,
    text="Poisson",
)
WIDTH, POINTS, STEPS = (16, 100, 5) if options.smoke else (64, 900, 40)
small = {
    "method": "levenberg_marquardt",
    "hidden": (WIDTH,),
    "points": POINTS,
    "steps": STEPS,
    "tol": 1e-13,
    **here,
}

solutions = {
    "the default": pinn.solve(problem, **here),
    "2-64-1, all parameters": pinn.solve(problem, **small),
    "2-64-1 in two stages": pinn.solve(problem, **small, stages=2),
}
print("way                      root mean square error   parameters   seconds")
for name, solution in solutions.items():
    size = tree.size(solution.params)
    print(f"{name:<24} {solution.errors()['rms']:22.1e} {size:12,} {solution.seconds:9.1f}")
default, one, two = (solution.errors()["rms"] for solution in solutions.values())
assert default < 1e-12 and two < one < (1.0 if options.smoke else 1e-6)

solutions["the default"].plot("poisson.png")
solutions["2-64-1 in two stages"].plot("poisson_stages.png")
