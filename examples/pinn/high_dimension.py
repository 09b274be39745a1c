"""Poisson's equation in five dimensions: u = sum of cos(pi x_i) on the unit cube, given on all ten faces.

Writes high_dimension.png, u on the square where three of the coordinates are 1/2, to the current folder.
`--smoke` asks for one digit.
"""

import torch
from torch import cos, pi

from funcsci import examples, pinn, random

options = examples.options(__doc__)
here = {"seed": options.seed, "device": options.device, "progress": False}
TOL = 1e-1 if options.smoke else 1e-8
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
    **here,
)
print(solution, end="\n\n")

key = random.split(random.key(options.seed, device=options.device))[1]
points = random.uniform(key, (10_000, 5), dtype=torch.float64)
error = (solution(*points.T) - exact(*points.T)).abs()
print(f"On 10,000 random points: mean error {error.mean():.1e}, largest error {error.max():.1e}")
assert solution.status.converged and error.max() < (1e-1 if options.smoke else 1e-6)
solution.plot("high_dimension.png")
