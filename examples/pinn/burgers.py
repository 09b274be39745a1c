"""Burgers' equation, u_t + u u_x = nu u_xx with nu = 0.01 / pi, from -sin(pi x) on (-1, 1) for t <= 1.

A front as thin as nu grows at x = 0. The closed form is Cole's and Hopf's, two integrals by Gauss-Hermite
quadrature. Writes burgers.png and burgers_slices.png to the current folder. FUNCSCI_SMOKE=1 takes few steps.
"""

import math
import os
import warnings

import numpy as np
import torch
from torch import cos, pi, sin

from funcsci import pinn

SMOKE = bool(os.environ.get("FUNCSCI_SMOKE"))
NU = 0.01 / math.pi
NODES, WEIGHTS = map(torch.from_numpy, np.polynomial.hermite.hermgauss(200))


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
    hidden=(20, 20, 20),
    points=2_500,
    steps=3 if SMOKE else 120,
    progress=False,
)
print(solution)
solution.plot("burgers.png")
solution.plot("burgers_slices.png", slices=5)
