"""Burgers' equation from a sine, u_t + u u_x = 0.01 / pi u_xx, whose front is followed to its closed form.

On (-1, 1) for t <= 1, from -sin(pi x). A front as thin as the viscosity grows at x = 0. The closed form is
Cole's and Hopf's, two integrals by Gauss-Hermite quadrature. Writes burgers.png and burgers_slices.png to the
current folder. `--smoke` takes a small network and few steps.
"""

import math
import warnings

import numpy as np
import torch
from torch import cos, pi, sin

from funcsci import examples, pinn

options = examples.options(__doc__)
here = {"seed": options.seed, "device": options.device, "progress": False}

HIDDEN, POINTS, STEPS = ((10,), 200, 5) if options.smoke else ((20, 20, 20), 2_500, 120)
NU = 0.01 / math.pi
NODES, WEIGHTS = torch.tensor(np.stack(np.polynomial.hermite.hermgauss(200)), device=options.device)


def exact(x, t):
    """Cole (1951) and Hopf (1950): u is a quotient of two Gaussian integrals over s."""
    s = 2 * torch.sqrt(NU * t) * NODES
    weight = WEIGHTS * torch.exp(-cos(pi * (x - s)) / (2 * pi * NU))
    return -(weight * sin(pi * (x - s))).sum() / weight.sum()


warnings.filterwarnings("ignore", "solve did not converge")  # the last line says how far it came
solution = pinn.solve_pde(
    lambda u: u.t + u * u.x - NU * u.xx,
    domain={"x": (-1, 1), "t": (0, 1)},
    conditions=[pinn.initial(lambda x: -sin(pi * x)), pinn.dirichlet("x", 0.0)],
    reference=exact,
    text="Burgers",
    method="levenberg_marquardt",
    hidden=HIDDEN,
    points=POINTS,
    steps=STEPS,
    **here,
)
print(solution)
assert solution.relative_l2 < (0.5 if options.smoke else 1e-2)
solution.plot("burgers.png")
solution.plot("burgers_slices.png", slices=5)
