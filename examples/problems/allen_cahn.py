"""A problem in a file, for the command: `funcsci solve examples/problems/allen_cahn.py`.

The file defines `problem`, and `options` for `pinn.solve` if it likes. Here it is the Allen-Cahn equation,
u_t = u_xx / 1000 + 5 (u - u^3), periodic in x, for a short time.
"""

from torch import cos, pi

from funcsci import pinn

problem = pinn.pde(
    lambda u: u.t - u.xx / 1000 - 5 * (u - u**3),
    domain={"x": (-1, 1), "t": (0, 0.1)},
    conditions=[pinn.initial(lambda x: cos(pi * x) / 2), pinn.periodic("x")],
    text="Allen-Cahn",
)
options = {"tol": 1e-6}
