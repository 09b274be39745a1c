"""Convection in a circle: u_t + 30 u_x = 0 from sin x, with u periodic in x, for t <= 1.

Nearly five turns. The network sees x by its sine and cosine, so it is periodic whatever its weights are.
Writes convection.png to the current folder. `--smoke` stops at t = 0.1.
"""

from torch import pi, sin

from funcsci import examples, pinn

options = examples.options(__doc__)
here = {"seed": options.seed, "device": options.device, "progress": False}
END = 0.1 if options.smoke else 1.0

solution = pinn.solve_pde(
    lambda u: u.t + 30 * u.x,
    domain={"x": (0, 2 * pi), "t": (0, END)},
    conditions=[pinn.initial(lambda x: sin(x)), pinn.periodic("x")],
    reference=lambda x, t: sin(x - 30 * t),
    text="convection",
    harmonics=1,
    tol=1e-8,
    **here,
)
print(solution)
gap = max(abs(solution(0.0, t) - solution(2 * pi, t)) for t in (0.0, END / 2, END))
print(f"\nThe largest gap between x = 0 and x = 2 pi: {gap:.0e}")
assert solution.status.converged and solution.relative_l2 < 1e-7
assert gap < 1e-9  # the round-off of a sum of 1,024 terms, some of which are 1e5
solution.plot("convection.png")
