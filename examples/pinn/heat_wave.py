"""The heat equation and the wave equation on (0, 1) for t <= 1, against closed forms.

u_t = u_xx / 4 from sin(pi x), and u_tt = 4 u_xx from sin(pi x) + sin(4 pi x) / 2 at rest, both with u = 0 at
the ends. Writes heat.png, heat_slices.png and wave.png to the current folder. `--smoke` stops the
wave at t = 0.1 and asks for four digits.
"""

import math

import torch
from torch import cos, exp, pi, sin

from funcsci import examples, pinn

options = examples.options(__doc__)
here = {"seed": options.seed, "device": options.device, "progress": False}
END, TOL = (0.1, 1e-4) if options.smoke else (1.0, None)

heat = pinn.solve_pde(
    lambda u: u.t - u.xx / 4,
    domain={"x": (0, 1), "t": (0, 1)},
    conditions=[pinn.initial(lambda x: sin(pi * x)), pinn.dirichlet("x", 0.0)],
    reference=lambda x, t: sin(pi * x) * exp(-(pi**2) * t / 4),
    text="heat",
    tol=TOL,
    **here,
)
wave = pinn.solve_pde(
    lambda u: u.tt - 4 * u.xx,
    domain={"x": (0, 1), "t": (0, END)},
    conditions=[
        pinn.initial(lambda x: sin(pi * x) + sin(4 * pi * x) / 2),
        pinn.initial(0.0, order=1),
        pinn.dirichlet("x", 0.0),
    ],
    reference=lambda x, t: sin(pi * x) * cos(2 * pi * t) + sin(4 * pi * x) * cos(8 * pi * t) / 2,
    text="wave",
    tol=TOL,
    **here,
)

print("equation   relative L2 error   estimated   largest error   slabs   seconds")
for solution in (heat, wave):
    name, slabs = solution.problem.text, len(solution.parts)
    print(
        f"{name:<10} {solution.relative_l2:17.1e} {solution.error_estimate['u']:11.1e}"
        f" {solution.max_error:15.1e} {slabs:7} {solution.seconds:9.1f}"
    )
    assert solution.status.converged and solution.relative_l2 < (1e-4 if options.smoke else 1e-9)

# The energy of the wave, the mean of u_t^2 / 2 + 2 u_x^2, by derivatives of the solution.
x = torch.linspace(0, 1, 401, dtype=torch.float64)[:, None]
t = torch.linspace(0, END, 11, dtype=torch.float64)
density = wave.derivative("t", x, t) ** 2 / 2 + 2 * wave.derivative("x", x, t) ** 2
energy = torch.trapezoid(density, x[:, 0], dim=0)
change = float((energy - energy[0]).abs().max())
print(f"\nThe wave's energy is {energy[0]:.9f}, by hand {5 * math.pi**2:.9f}, and changes by {change:.0e}.")
assert change < (1e-3 if options.smoke else 1e-7)

heat.plot("heat.png")
heat.plot("heat_slices.png", slices=5)
wave.plot("wave.png")
