"""A system: predators and prey, x' = 2/3 x - 4/3 x y, y' = x y - y, from (1, 1) for t <= 8.

H = x - log x + 4/3 y - 2/3 log y is conserved: a witness that needs no other solver. Writes predators.png and
predators_orbit.png to the current folder. It takes seconds, with `--smoke` too.
"""

import numpy as np
from matplotlib.figure import Figure
from scipy.integrate import solve_ivp

from funcsci import examples, pinn

options = examples.options(__doc__)
here = {"seed": options.seed, "device": options.device, "progress": False}

solution = pinn.solve_ode(
    lambda x, y: (x.t - 2 / 3 * x + 4 / 3 * x * y, y.t - x * y + y),
    t_span=(0, 8),
    u0={"x": 1.0, "y": 1.0},
    text="Lotka-Volterra",
    **here,
)
print(solution, end="\n\n")

times = np.linspace(0, 8, 1_000)
x, y = solution(times)
classical = solve_ivp(
    lambda t, u: (2 / 3 * u[0] - 4 / 3 * u[0] * u[1], u[0] * u[1] - u[1]),
    (0, 8), (1, 1), "DOP853", times, rtol=1e-12, atol=1e-14,
)  # fmt: skip
energy = x - np.log(x) + 4 / 3 * y - 2 / 3 * np.log(y)
difference = np.linalg.norm(np.stack([x, y]) - classical.y) / np.linalg.norm(classical.y)
print("difference from DOP853   largest change of H   seconds")
print(f"{difference:22.1e} {np.abs(energy - energy[0]).max():21.1e} {solution.seconds:9.2f}")
assert solution.status.converged and difference < 1e-10 and np.abs(energy - energy[0]).max() < 1e-11

solution.plot("predators.png")
figure = Figure(figsize=(4.2, 4), layout="constrained")
axes = figure.subplots()
axes.plot(x, y)
axes.plot(x[:1], y[:1], "o", label="t = 0")
axes.set_xlabel("prey x")
axes.set_ylabel("predators y")
axes.grid(alpha=0.25)
axes.legend(frameon=False)
figure.savefig("predators_orbit.png", dpi=150)
