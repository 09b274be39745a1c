"""Boundary value problems on (0, 1), and their errors against closed forms.

y'' = y with y(0) = 0, y(1) = 1; the clamped beam u'''' = 1; and Bratu's u'' + exp u = 0, u(0) = u(1) = 0, on
its lower branch. Writes beam.png and bratu.png to the current folder. It takes seconds, with `--smoke` too.
"""

import math

import torch
from scipy.optimize import brentq

from funcsci import examples, pinn

options = examples.options(__doc__)
line = {"t_span": (0, 1), "coordinate": "x"}
here = {"seed": options.seed, "device": options.device, "progress": False}

growth = pinn.solve_ode(
    lambda y: y.xx - y,
    **line,
    **here,
    conditions=[pinn.dirichlet("x", 0.0, side="lower"), pinn.dirichlet("x", 1.0, side="upper")],
    reference=lambda x: torch.sinh(x) / math.sinh(1),
    text="y'' = y",
)
beam = pinn.solve_ode(
    lambda u: u.xxxx - 1,
    **line,
    **here,
    conditions=[pinn.dirichlet("x", 0.0), pinn.neumann("x", 0.0)],
    reference=lambda x: x**2 * (1 - x) ** 2 / 24,
    text="u'''' = 1",
)
# u = -2 log(cosh(c (1 - 2x)) / cosh c), where c is the lower root of cosh c = sqrt(8) c.
c = brentq(lambda c: math.cosh(c) - math.sqrt(8) * c, 0.1, 1.0, xtol=1e-15)
bratu = pinn.solve_ode(
    lambda u: u.xx + torch.exp(u),
    **line,
    **here,
    conditions=pinn.dirichlet("x", 0.0),
    reference=lambda x: -2 * torch.log(torch.cosh(c * (1 - 2 * x)) / math.cosh(c)),
    text="u'' + exp u = 0",
)

print("equation             relative L2 error   largest error   seconds")
for solution in (growth, beam, bratu):
    name = solution.problem.text
    print(f"{name:<20} {solution.relative_l2:17.1e} {solution.max_error:15.1e} {solution.seconds:9.2f}")
    assert solution.status.converged and solution.relative_l2 < 1e-12

beam.plot("beam.png")
bratu.plot("bratu.png")
