"""The harmonic oscillator u'' + u = 0, u(0) = 1, u'(0) = 0 on [0, 2 pi], solved in three ways.

Challenge IV. The default method, the course's way of training a network, and a classical solver. None of them
sees the cosine; how far each is from it is bounded by its own residual. Writes oscillator.png and
oscillator_adam.png to the current folder. `--smoke` takes a hundredth of the steps.
"""

import math
import time

import numpy as np
import torch
from scipy.integrate import solve_ivp

from funcsci import examples
from funcsci.pinn import solve_oscillator

options = examples.options(__doc__)
STEPS, TOL = (200, 1.0) if options.smoke else (20_000, 1e-2)
times = np.linspace(0, 2 * math.pi, 1_000)
exact = np.cos(times)

here = {"seed": options.seed, "device": options.device, "progress": False}
solution = solve_oscillator(**here)
print(solution, end="\n\n")
solution.plot("oscillator.png")

taught = solve_oscillator(
    method="adam", hidden=(32, 32), points=64, steps=STEPS, tol=TOL, dtype=torch.float32, **here
)  # fmt: skip
print(taught, end="\n\n")
taught.plot("oscillator_adam.png")

start = time.perf_counter()
classical = solve_ivp(
    lambda t, y: (y[1], -y[0]), (0, 2 * math.pi), (1, 0), "DOP853", times, rtol=1e-12, atol=1e-14
).y
spent = time.perf_counter() - start

# The parts of the loss that the course's way has lowered, and what they promise: with R = u'' + u,
# u - cos t = (u(0) - 1) cos t + u'(0) sin t + the integral of sin(t - s) R(s) ds from 0 to t.
print("              |u(0) - 1|   |u'(0)|   mean of R^2   largest error   at most, by its residual")
for name, one in (("default", solution), ("course's way", taught)):
    value, slope, residual = abs(one(0.0) - 1), abs(one.derivative("t", 0.0)), one.residual(times)
    bound = value + slope + 2 * math.pi * float(np.abs(residual).mean())
    largest = float(np.abs(one(times) - exact).max())
    print(f"{name:<12} {value:11.1e} {slope:9.1e} {(residual**2).mean():13.1e} {largest:15.1e} {bound:26.1e}")
    assert largest < bound

print("\n     t   default     course's way       cos t")
for t in np.linspace(0, 2 * math.pi, 7):
    print(f"{t:6.3f} {solution(t):9.6f} {taught(t):16.6f} {math.cos(t):11.6f}")

error = float(np.linalg.norm(classical[0] - exact) / np.linalg.norm(exact))
print("\nway                            relative L2 error   seconds")
print(f"least squares, last layer      {solution.relative_l2:17.1e} {solution.seconds:9.3f}")
print(f"Adam on all parameters         {taught.relative_l2:17.1e} {taught.seconds:9.3f}")
print(f"scipy DOP853                   {error:17.1e} {spent:9.3f}")
assert solution.status.converged and taught.status.converged
assert max(solution.relative_l2, error) < 1e-11 and taught.relative_l2 < (1.0 if options.smoke else 1e-3)
