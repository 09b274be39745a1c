"""The problems of `pinn.py`: each with an oracle that no solver sees, and what is asked of it.

An oracle takes NumPy arrays of the coordinates and returns the field there, or a tuple of several: SciPy's
DOP853 with relative tolerance 1e-12 where there is no closed form, and for Burgers' equation the integral of
Cole and Hopf by Gauss-Hermite quadrature.
"""

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy.integrate import solve_ivp
from scipy.optimize import brentq

from funcsci import pinn

PI = math.pi
VISCOSITY = 0.01 / PI
QUADRATURE = 200
"""Nodes of the Cole-Hopf integral; with half as many it changes by less than 1e-14."""

Oracle = Callable[..., Any]


class Case(NamedTuple):
    """A problem and what is asked.

    Attributes:
        name: in the table.
        problem: makes it.
        exact: the oracle.
        oracle: its name.
        error: the largest error asked for.
        seconds: the longest time asked for.
        kind: `"rel"`, the L2 norm of the error over the solution's, or `"rms"`, its root mean square.
        options: of `pinn.solve`.
        count: points along each coordinate on which the error is measured; None is the solution's own number.
    """

    name: str
    problem: Callable[[], pinn.Problem]
    exact: Oracle
    oracle: str
    error: float
    seconds: float
    kind: str = "rel"
    options: Mapping[str, Any] = MappingProxyType({})
    count: int | None = None


def by_scipy(slope: Callable[..., Any], span: tuple[float, float], start: list[float], fields: int) -> Oracle:
    """The first components of an initial value problem, on times in order."""

    def exact(t):
        found = solve_ivp(slope, span, start, method="DOP853", rtol=1e-12, atol=1e-14, t_eval=t)
        return tuple(found.y[:fields])

    return exact


def oscillation(name: str, equation: Any, acceleration: Callable[[float, float], float], u0: float) -> Case:
    """An oscillation from rest, for ten units of time."""
    exact = by_scipy(lambda t, y: (y[1], acceleration(*y)), (0.0, 10.0), [u0, 0.0], 1)
    return Case(
        name, lambda: pinn.ode(equation, (0.0, 10.0), u0=u0, du0=0.0), exact, "DOP853", error=1e-9, seconds=15
    )


def lotka_volterra() -> Case:
    def equations(u, v):
        return u.t - 2 / 3 * u + 4 / 3 * u * v, v.t + v - u * v

    exact = by_scipy(
        lambda t, y: (2 / 3 * y[0] - 4 / 3 * y[0] * y[1], y[0] * y[1] - y[1]), (0.0, 8.0), [1.0, 1.0], 2
    )
    return Case(
        "Lotka-Volterra", lambda: pinn.ode(equations, (0.0, 8.0), [1.0, 1.0]), exact, "DOP853", 1e-9, 15
    )


def lorenz() -> Case:
    def equations(x, y, z):
        return x.t - 10 * (y - x), y.t - x * (28 - z) + y, z.t - x * y + 8 / 3 * z

    def slope(t, s):
        return 10 * (s[1] - s[0]), s[0] * (28 - s[2]) - s[1], s[0] * s[1] - 8 / 3 * s[2]

    start = [1.0, 1.0, 1.0]
    exact = by_scipy(slope, (0.0, 5.0), start, 3)
    return Case("Lorenz", lambda: pinn.ode(equations, (0.0, 5.0), start), exact, "DOP853", 1e-6, 60)


def boundary_value(name: str, equation: Any, conditions: list[pinn.Condition], exact: Oracle) -> Case:
    """A problem on (0, 1) with a closed form."""

    def problem() -> pinn.Problem:
        return pinn.ode(equation, (0.0, 1.0), conditions=conditions, coordinate="x")

    return Case(name, problem, exact, "closed form", error=1e-10, seconds=5)


def bratu(x):
    """The lower branch."""
    theta = brentq(lambda theta: theta - math.sqrt(2) * math.cosh(theta / 4), 0.0, 3.0, xtol=1e-15)
    return -2 * np.log(np.cosh((x - 0.5) * theta / 2) / np.cosh(theta / 4))


def sines(x, y):
    return np.sin(PI * x) * np.sin(PI * y)


def poisson() -> pinn.Problem:
    return pinn.pde(
        lambda u, x, y: u.laplacian() + 2 * PI**2 * torch.sin(PI * x) * torch.sin(PI * y),
        {"x": (0.0, 1.0), "y": (0.0, 1.0)},
        pinn.dirichlet(("x", "y"), 0.0),
    )


def on_the_square(name: str, error: float, seconds: float, **options: Any) -> Case:
    """Poisson's equation, whose solution is a product of sines."""
    return Case(f"2D Poisson, {name}", poisson, sines, "closed form", error, seconds, "rms", options)


SMALL = {"hidden": (64,), "points": 900, "sampling": "grid", "method": "levenberg_marquardt"}
"""The network 2-64-1 on a grid of 30 x 30 points."""


def heat() -> pinn.Problem:
    return pinn.pde(
        lambda u: u.t - u.xx / 4,
        {"x": (0.0, 1.0), "t": (0.0, 1.0)},
        [pinn.initial(lambda x: torch.sin(PI * x)), pinn.dirichlet("x", 0.0)],
    )


def wave() -> pinn.Problem:
    return pinn.pde(
        lambda u: u.tt - 4 * u.xx,
        {"x": (0.0, 1.0), "t": (0.0, 1.0)},
        [
            pinn.initial(lambda x: torch.sin(PI * x) + torch.sin(4 * PI * x) / 2),
            pinn.initial(0.0, order=1),
            pinn.dirichlet("x", 0.0),
        ],
    )


def exact_wave(x, t):
    return np.sin(PI * x) * np.cos(2 * PI * t) + np.sin(4 * PI * x) * np.cos(8 * PI * t) / 2


def helmholtz() -> pinn.Problem:
    def equation(u, x, y):
        return u.laplacian() + u - (1 - 17 * PI**2) * torch.sin(PI * x) * torch.sin(4 * PI * y)

    square = {"x": (-1.0, 1.0), "y": (-1.0, 1.0)}
    return pinn.pde(equation, square, pinn.dirichlet(("x", "y"), 0.0))


def convection() -> pinn.Problem:
    return pinn.pde(
        lambda u: u.t + 30 * u.x,
        {"x": (0.0, 2 * PI), "t": (0.0, 1.0)},
        [pinn.initial(lambda x: torch.sin(x)), pinn.periodic("x")],
    )


def poisson_5d() -> pinn.Problem:
    names = ("a", "b", "c", "d", "e")

    def exact(a, b, c, d, e):
        return sum(torch.cos(PI * one) for one in (a, b, c, d, e))

    def equation(u, a, b, c, d, e):
        return u.laplacian(*names) + PI**2 * exact(a, b, c, d, e)

    return pinn.pde(equation, dict.fromkeys(names, (0.0, 1.0)), pinn.dirichlet(names, exact))


def burgers() -> pinn.Problem:
    return pinn.pde(
        lambda u: u.t + u * u.x - VISCOSITY * u.xx,
        {"x": (-1.0, 1.0), "t": (0.0, 1.0)},
        [pinn.initial(lambda x: -torch.sin(PI * x)), pinn.dirichlet("x", 0.0)],
    )


def cole_hopf(x, t):
    r"""$-\int \sin \pi(x - \eta)\, f\, e^{-\eta^2 / 4 \nu t} d\eta$ over the same without the sine, where
    $f = \exp(-\cos \pi(x - \eta) / 2 \pi \nu)$; its largest exponent is taken out.
    """
    nodes, weights = np.polynomial.hermite.hermgauss(QUADRATURE)
    y = x[..., None] - np.sqrt(4 * VISCOSITY * t[..., None]) * nodes
    exponent = -np.cos(PI * y) / (2 * PI * VISCOSITY)
    density = weights * np.exp(exponent - exponent.max(-1, keepdims=True))
    return -(np.sin(PI * y) * density).sum(-1) / density.sum(-1)


CASES = [
    oscillation("pendulum", lambda u: u.tt + torch.sin(u), lambda u, v: -math.sin(u), 2.0),
    oscillation(
        "Van der Pol", lambda u: u.tt - 2 * (1 - u**2) * u.t + u, lambda u, v: 2 * (1 - u**2) * v - u, 2.0
    ),
    lotka_volterra(),
    oscillation("Duffing", lambda u: u.tt + u + u**3, lambda u, v: -u - u**3, 1.0),
    boundary_value("Bratu", lambda u: u.xx + torch.exp(u), [pinn.dirichlet("x", 0.0)], bratu),
    boundary_value(
        "clamped beam",
        lambda u: u.xxxx - 1,
        [pinn.dirichlet("x", 0.0), pinn.neumann("x", 0.0)],
        lambda x: x**2 * (1 - x) ** 2 / 24,
    ),
    boundary_value(
        "y'' = y",
        lambda y: y.xx - y,
        [pinn.dirichlet("x", 0.0, side="lower"), pinn.dirichlet("x", 1.0, side="upper")],
        lambda x: np.sinh(x) / math.sinh(1.0),
    ),
    lorenz(),
    on_the_square("net 2-64-1", 1e-9, 4, **SMALL, tol=2e-6),
    on_the_square("net 2-64-1", 1e-10, 10, **SMALL, tol=2e-7),
    on_the_square("any net", 1e-12, 30),
    Case(
        "heat", heat, lambda x, t: np.sin(PI * x) * np.exp(-(PI**2) * t / 4), "closed form", 1e-9, 30, "rms"
    ),
    Case("wave", wave, exact_wave, "closed form", 1e-6, 120),
    Case("Helmholtz", helmholtz, lambda x, y: np.sin(PI * x) * np.sin(4 * PI * y), "closed form", 1e-6, 120),
    Case("convection", convection, lambda x, t: np.sin(x - 30 * t), "closed form", 1e-6, 120),
    Case("5D Poisson", poisson_5d, lambda *x: sum(np.cos(PI * one) for one in x), "closed form", 1e-5, 120),
    Case("Burgers", burgers, cole_hopf, "Cole-Hopf", 1e-4, 180, count=401),
]
"""What the table holds, in its order."""
