"""Poisson's equation in five dimensions: u = sum of cos(pi x_i) on the unit cube, given on all ten faces.

Writes high_dimension.png, u on the square where three of the coordinates are 1/2, to the current folder.
FUNCSCI_SMOKE=1 asks for two digits.
"""

import os

import torch
from torch import cos, pi

from funcsci import pinn, random

TOL = 1e-1 if os.environ.get("FUNCSCI_SMOKE") else 1e-8
NAMES = ("v", "w", "x", "y", "z")


def exact(v, w, x, y, z):
    return cos(pi * v) + cos(pi * w) + cos(pi * x) + cos(pi * y) + cos(pi * z)


solution = pinn.solve_pde(
    lambda u, v, w, x, y, z: u.laplacian() + pi**2 * exact(v, w, x, y, z),
    domain={name: (0, 1) for name in NAMES},
    conditions=pinn.dirichlet(NAMES, exact),
    reference=exact,
    text="Poisson in 5 dimensions",
    tol=TOL,
    progress=False,
)
print(solution, end="\n\n")

points = random.uniform(random.key(1), (10_000, 5), dtype=torch.float64)
error = (solution(*points.T) - exact(*points.T)).abs()
print(f"On 10,000 random points: mean error {error.mean():.1e}, largest error {error.max():.1e}")
solution.plot("high_dimension.png")
