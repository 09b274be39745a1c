"""Helmholtz' equation on the square (-1, 1)^2: u_xx + u_yy + u = q with u = 0 at the edges.

u = sin(pi x) sin(4 pi y): the solution waves four times faster in one direction than in the other. Writes
helmholtz.png to the current folder. `--smoke` asks for
two digits.
"""

from torch import pi, sin

from funcsci import examples, pinn

options = examples.options(__doc__)
here = {"seed": options.seed, "device": options.device, "progress": False}
TOL = 1e-2 if options.smoke else None


def exact(x, y):
    return sin(pi * x) * sin(4 * pi * y)


solution = pinn.solve_pde(
    lambda u, x, y: u.laplacian() + u - (1 - 17 * pi**2) * exact(x, y),
    domain={"x": (-1, 1), "y": (-1, 1)},
    conditions=pinn.dirichlet(("x", "y"), 0.0),
    reference=exact,
    text="Helmholtz",
    tol=TOL,
    **here,
)
print(solution)
assert solution.status.converged and solution.relative_l2 < (1e-2 if options.smoke else 1e-9)
solution.plot("helmholtz.png")
