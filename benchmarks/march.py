"""What marching costs: time and network calls against the number of slabs; and a chaotic equation.

    python benchmarks/march.py [--slabs 2 4 8 16] [--only wave heat Kuramoto]

float64, on one thread of the CPU. Products are matrix products for one point of the solution. The slope is
that of the logarithms. Time is the processor's, of solving slabs of one length, so that every slab is as hard
as every other. The oracle for
Kuramoto and Sivashinsky's equation is a pseudo-spectral method in time steps of fourth order.
Source: Kassam and Trefethen (2005), doi:10.1137/S1064827502410633.
"""

import argparse
import math
import time
import warnings
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils._python_dispatch import TorchDispatchMode

from funcsci import pinn

PI = math.pi
LENGTH, WIDTH = 0.25, 128
"""Of each slab, and the features in it."""
A, B, C = 100 / 16, 100 / 16**2, 100 / 16**4
END, KURAMOTO_SLABS, KURAMOTO_TOL = 0.5, 50, 1e-6
MODES, STEPS = 256, 8_000
Array = NDArray[np.float64]


class Products(TorchDispatchMode):
    """Counts matrix products."""

    count = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        aten = torch.ops.aten
        self.count += function.overloadpacket in (aten.mm, aten.addmm, aten.mv, aten.addmv)
        return function(*args, **(kwargs or {}))


def heat(end: float) -> pinn.Problem:
    conditions = [pinn.initial(lambda x: torch.sin(PI * x)), pinn.dirichlet("x", 0.0)]
    return pinn.pde(
        lambda u: u.t - u.xx / 99,
        {"x": (0.0, 1.0), "t": (0.0, end)},
        conditions,
        reference=lambda x, t: torch.sin(PI * x) * torch.exp(-(PI**2) * t / 99),
    )


def wave(end: float) -> pinn.Problem:
    conditions = [
        pinn.initial(lambda x: torch.sin(PI * x)),
        pinn.initial(0.0, order=1),
        pinn.dirichlet("x", 0.0),
    ]
    return pinn.pde(
        lambda u: u.tt - u.xx,
        {"x": (0.0, 1.0), "t": (0.0, end)},
        conditions,
        reference=lambda x, t: torch.sin(PI * x) * torch.cos(PI * t),
    )


def costs(name: str, problem: Callable[[float], pinn.Problem], counts: list[int]) -> None:
    """One row for each number of slabs, and the slopes."""
    found = []
    for count in counts:
        begun = time.process_time()
        solution = pinn.solve(
            problem(LENGTH * count), method="random_features", slabs=count, hidden=(WIDTH,), tol=1e-5,
            progress=False,
        )  # fmt: skip
        seconds = time.process_time() - begun
        with Products() as products:
            solution.function(torch.tensor([0.3, 0.9 * LENGTH * count], dtype=torch.float64))
        found.append((count, seconds, products.count))
        print(
            f"| {name} | {count} | {seconds:.1f} | {products.count} | {solution.relative_l2:.0e} |",
            flush=True,
        )
    logs = np.log(np.array(found))
    slopes = [np.polyfit(logs[:, 0], logs[:, column], 1)[0] for column in (1, 2)]
    print(f"| {name} | slope | {slopes[0]:.2f} | {slopes[1]:.2f} | |", flush=True)


def etdrk4(start: Array, end: float, steps: int) -> Array:
    r"""$u_t = -a u u_x - b u_{xx} - c u_{xxxx}$ with period $2\pi$: the states, from the first on."""
    wave = np.fft.fftfreq(len(start), 1 / len(start))
    linear, h = B * wave**2 - C * wave**4, end / steps
    circle = h * linear[:, None] + np.exp(1j * PI * (np.arange(1, 33) - 0.5) / 32)
    whole, half = np.exp(h * linear), np.exp(h * linear / 2)
    q = h * ((np.exp(circle / 2) - 1) / circle).mean(1).real
    first = h * ((-4 - circle + np.exp(circle) * (4 - 3 * circle + circle**2)) / circle**3).mean(1).real
    middle = h * ((2 + circle + np.exp(circle) * (circle - 2)) / circle**3).mean(1).real
    last = h * ((-4 - 3 * circle - circle**2 + np.exp(circle) * (4 - circle)) / circle**3).mean(1).real
    kept = np.abs(wave) < len(start) / 3  # products of what is kept do not come back as lower waves

    def nonlinear(v: NDArray[np.complex128]) -> NDArray[np.complex128]:
        return -0.5j * A * wave * kept * np.fft.fft(np.fft.ifft(v * kept).real ** 2)

    v = np.fft.fft(start)
    states = [start]
    for _ in range(steps):
        n = nonlinear(v)
        a = half * v + q * n
        n_a = nonlinear(a)
        b = half * v + q * n_a
        n_b = nonlinear(b)
        n_c = nonlinear(half * a + q * (2 * n_b - n))
        v = whole * v + first * n + 2 * middle * (n_a + n_b) + last * n_c
        states.append(np.fft.ifft(v).real)
    return np.array(states)


def kuramoto() -> None:
    """The relative error at some times, of one march."""
    problem = pinn.pde(
        lambda u: u.t + A * u * u.x + B * u.xx + C * u.xxxx,
        {"x": (0.0, 2 * PI), "t": (0.0, END)},
        [pinn.initial(lambda x: torch.cos(x) * (1 + torch.sin(x))), pinn.periodic("x")],
    )
    begun = time.process_time()
    solution = pinn.solve(
        problem, method="random_features", slabs=KURAMOTO_SLABS, tol=KURAMOTO_TOL, progress=False
    )
    seconds = time.process_time() - begun
    x = 2 * PI * np.arange(MODES) / MODES
    start = np.cos(x) * (1 + np.sin(x))
    exact, finer = (etdrk4(start, END, steps)[:: steps // 10] for steps in (STEPS, 2 * STEPS))
    print(f"\n{solution.status}. {seconds:.0f} s of the processor.\n")
    print("| t | relative error of the march | of the oracle, against half of its step |")
    print("|---|---|---|")
    off = []
    for place, t in enumerate(np.linspace(0.0, END, 11)):
        size = np.linalg.norm(finer[place])
        off.append(np.linalg.norm(solution(x, float(t)) - finer[place]))
        missed = np.linalg.norm(exact[place] - finer[place]) / size
        print(f"| {t:.2f} | {off[-1] / size:.1e} | {missed:.1e} |")
    print(f"| all | {np.linalg.norm(off) / np.linalg.norm(finer):.1e} | |")
    print(f"| estimated | {solution.error_estimate['u']:.1e} | |")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--slabs", type=int, nargs="+", default=[2, 4, 8, 16])
    parser.add_argument(
        "--only", nargs="+", choices=("heat", "wave", "Kuramoto"), default=("heat", "wave", "Kuramoto")
    )
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", "solve did not converge")
    print("| problem | slabs | processor s | products | relative L2 error |\n|---|---|---|---|---|")
    for name, problem in (("heat", heat), ("wave", wave)):
        if name in arguments.only:
            costs(name, problem, arguments.slabs)
    if "Kuramoto" in arguments.only:
        kuramoto()
