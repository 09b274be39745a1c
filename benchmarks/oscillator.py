"""The oscillator beside nn.Module style and, where it is installed, DeepXDE: one run, one table.

    python benchmarks/oscillator.py [--threads 1] [--steps 2000]

Two questions on u'' + u = 0, u(0) = 1, u'(0) = 0, t in [0, 2 pi]:

1. How long to a solution, and how good is it? The first call of a process, a later call, and DeepXDE's usual
   recipe, Adam then L-BFGS, in both precisions. Neither side's imports are counted.
2. How long is one Adam step on a 1-32-32-1 network with 64 points in float32, soft conditions?
   Eager nn.Module, the traced step and the compiled step, by Taylor mode and by nested derivatives; as
   `adam_steps.py` measures it.
"""

import argparse
import contextlib
import importlib.util
import math
import os
import sys
import time
from collections.abc import Callable

os.environ.setdefault("DDE_BACKEND", "pytorch")

import torch
from adam_steps import oscillator_ways, table

from funcsci.pinn import solve_oscillator

SPAN = (0.0, 2 * math.pi)
HIDDEN = (32, 32)


def timed(function: Callable[[], object]) -> tuple[float, object]:
    start = time.perf_counter()
    result = function()
    return time.perf_counter() - start, result


def solutions() -> None:
    print("| solver | seconds | relative L2 error | times our first call | times a later one |")
    print("|---|---|---|---|---|")
    first, solution = timed(lambda: solve_oscillator(progress=False))
    print(f"| funcsci, first call of the process | {first:.3f} | {solution.relative_l2:.1e} | 1 | |")
    later, solution = timed(lambda: solve_oscillator(seed=1, progress=False))
    print(f"| funcsci, a later call | {later:.3f} | {solution.relative_l2:.1e} | | 1 |")
    if importlib.util.find_spec("deepxde") is None:
        print("| DeepXDE | not installed | | | |")
        return
    for bits, conditions in ((32, "soft"), (64, "hard")):
        seconds, error = timed(lambda bits=bits, conditions=conditions: deepxde_error(bits, conditions))
        name = f"DeepXDE, Adam 3,000 + L-BFGS, float{bits}, {conditions}"
        print(
            f"| {name} | {seconds:.2f} | {error:.1e} | {seconds / first:.0f} | {seconds / later:.0f} |",
            flush=True,
        )


def deepxde_error(bits: int, conditions: str) -> float:
    """DeepXDE with a 1-32-32-1 network and 64 points, trained by its usual recipe until L-BFGS stops."""
    import deepxde
    import numpy

    deepxde.config.set_random_seed(0)
    with contextlib.redirect_stdout(sys.stderr):  # it says so, amid the table
        deepxde.config.set_default_float(f"float{bits}")
    torch.set_num_threads(arguments.threads)
    interval = deepxde.geometry.TimeDomain(*SPAN)

    def equation(t, u):
        return deepxde.grad.hessian(u, t) + u

    def at_start(t, on_boundary):
        return on_boundary and deepxde.utils.isclose(t[0], SPAN[0])

    start = [
        deepxde.icbc.DirichletBC(interval, lambda t: 1.0, at_start),
        deepxde.icbc.OperatorBC(interval, lambda t, u, _: deepxde.grad.jacobian(u, t), at_start),
    ]
    data = deepxde.data.PDE(
        interval, equation, start if conditions == "soft" else [], 64, 2, train_distribution="uniform"
    )
    network = deepxde.nn.FNN([1, *HIDDEN, 1], "tanh", "Glorot normal")
    if conditions == "hard":
        network.apply_output_transform(lambda t, y: 1 + (t / SPAN[1]) ** 2 * y)
    model = deepxde.Model(data, network)
    model.compile("adam", lr=1e-3, verbose=0)
    model.train(iterations=3000, display_every=10**9, verbose=0)
    deepxde.optimizers.set_LBFGS_options(maxcor=100, ftol=0, gtol=0, maxiter=15_000)
    model.compile("L-BFGS", verbose=0)
    model.train(display_every=10**9, verbose=0)
    t = numpy.linspace(*SPAN, 1000)
    u = model.predict(t[:, None].astype(f"float{bits}"))[:, 0]
    return float(numpy.linalg.norm(u - numpy.cos(t)) / numpy.linalg.norm(numpy.cos(t)))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--steps", type=int, default=2000)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    solutions()
    table("oscillator", oscillator_ways(), arguments.steps)
