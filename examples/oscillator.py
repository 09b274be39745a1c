"""The harmonic oscillator u'' + u = 0, u(0) = 1, u'(0) = 0 on [0, 2 pi], solved in three ways.

The default method, the course's way of training a network, and a classical solver. Writes
oscillator.png and oscillator_adam.png to the current folder. FUNCSCI_SMOKE=1 takes a hundredth of the steps.
"""

import math
import os
import time

import numpy as np
import torch
from scipy.integrate import solve_ivp

from funcsci.pinn import solve_oscillator

STEPS = 200 if os.environ.get("FUNCSCI_SMOKE") else 20_000

start = time.perf_counter()
solution = solve_oscillator()
first = time.perf_counter() - start
print(solution, end="\n\n")
solution.plot("oscillator.png")

start = time.perf_counter()
taught = solve_oscillator(method="adam", hidden=(32, 32), points=64, steps=STEPS, dtype=torch.float32)
second = time.perf_counter() - start
print(taught, end="\n\n")
taught.plot("oscillator_adam.png")

start = time.perf_counter()
times = np.linspace(0, 2 * math.pi, 1000)
classical = solve_ivp(
    lambda t, y: (y[1], -y[0]), (0, 2 * math.pi), (1, 0), "DOP853", times, rtol=1e-12, atol=1e-14
)
third = time.perf_counter() - start
error = np.linalg.norm(classical.y[0] - np.cos(times)) / np.linalg.norm(np.cos(times))

print("way                            relative L2 error   seconds")
print(f"least squares, last layer      {solution.relative_l2:17.1e} {first:9.3f}")
print(f"Adam on all parameters         {taught.relative_l2:17.1e} {second:9.3f}")
print(f"scipy DOP853                   {error:17.1e} {third:9.3f}")
