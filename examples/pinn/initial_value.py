"""Initial value problems: the pendulum as an equation, and Lorenz' system in the form that SciPy takes.

theta'' + sin theta = 0 from theta = 2 at rest for t <= 10, and x' = 10 (y - x), y' = x (28 - z) - y,
z' = x y - 8/3 z from (1, 1, 1) for t <= 5, which is solved in slabs of time. SciPy's DOP853 solves both for
comparison. Writes pendulum.png and lorenz.png to the current folder. `--smoke` stops Lorenz at t = 0.5.
"""

import time

import numpy as np
import torch
from scipy.integrate import solve_ivp

from funcsci import examples, pinn

options = examples.options(__doc__)
here = {"seed": options.seed, "device": options.device, "progress": False}
END = 0.5 if options.smoke else 5.0


def classical(function, t_span, y0):
    """DOP853's solution at 1,000 times, and the seconds it took."""
    times, start = np.linspace(*t_span, 1_000), time.perf_counter()
    solution = solve_ivp(function, t_span, y0, "DOP853", times, rtol=1e-12, atol=1e-14)
    return times, solution.y, time.perf_counter() - start


def compare(name, found, wanted, seconds, by_scipy):
    difference = np.linalg.norm(found - wanted) / np.linalg.norm(wanted)
    print(f"{name:<10} {difference:26.1e} {seconds:16.2f} {by_scipy:15.3f}")
    return difference


pendulum = pinn.solve_ode(
    lambda u: u.tt + torch.sin(u), t_span=(0, 10), u0=2.0, du0=0.0, text="u'' + sin u = 0", **here
)
print(pendulum, end="\n\n")


def lorenz(t, y):
    a, b, c = y
    return [10 * (b - a), a * (28 - c) - b, a * b - 8 / 3 * c]


chaos = pinn.solve_ivp(lorenz, (0, END), [1.0, 1.0, 1.0], text="Lorenz", **here)
print(chaos, end="\n\n")

print("problem     difference from DOP853   seconds: network   SciPy's DOP853")
times, wanted, seconds = classical(lambda t, y: (y[1], -np.sin(y[0])), (0, 10), (2, 0))
assert pendulum.status.converged
assert compare("pendulum", pendulum(times), wanted[0], pendulum.seconds, seconds) < 1e-10
times, wanted, seconds = classical(lorenz, (0, END), (1, 1, 1))
assert chaos.status.converged
assert compare("Lorenz", np.stack(chaos(times)), wanted, chaos.seconds, seconds) < 1e-9

pendulum.plot("pendulum.png")
chaos.plot("lorenz.png")
