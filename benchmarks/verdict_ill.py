"""Families of problems without a solution or with many, on a line, each with well-posed neighbours.

Of a problem with many solutions two are given, which the self-check tries; of one without a solution, why.
"""

import math
from dataclasses import replace
from random import Random

import torch
from scipy.optimize import brentq
from torch import Tensor
from verdict_base import Case, manufactured, mixed_at, periodic, point, slope_at, value_at
from verdict_boundary import ENDS, UNIT
from verdict_initial import smooth
from verdict_known import PI, Known, Product, sine

Cases = list[Case]
NONE, MANY = "no solution", "not unique"


def many(case: Case, added, why: str = "") -> Case:
    """A case with many solutions: the known one, and what may be added to it."""

    def other(*coordinates: Tensor) -> tuple[Tensor, ...]:
        extra = added(*coordinates)
        extra = extra if isinstance(extra, tuple) else (extra,)
        return tuple(one + more for one, more in zip(case.exact(*coordinates), extra, strict=True))

    return replace(case, other=other, expected=MANY, why=why)


def without(case: Case, why: str) -> Case:
    return replace(case, exact=None, other=None, expected=NONE, why=why)


def constant(*coordinates: Tensor) -> Tensor:
    return 1.0 + 0 * coordinates[0]


def resonance(source: Random) -> Cases:
    """u'' + k^2 u at an eigenvalue: forced along the eigenfunction, across it, or not at all."""
    n, size = source.choice((1, 2, 3, 4)), source.uniform(0.3, 3)
    k, off = n * PI, n * PI * source.choice((0.8, 1.2)) if n < 3 else (n + 0.45) * PI
    other = n + source.choice((1, 2))
    zero = (value_at("x", value=0.0),)
    across = Known(Product(size, {"x": sine(other * PI)}))

    def equation(square: float, wave: int, force: float = size):
        return lambda u, x: u.xx + square * u - force * torch.sin(wave * PI * x)

    def added(x: Tensor) -> Tensor:
        return torch.sin(n * PI * x)

    def off_exact(x: Tensor) -> tuple[Tensor]:
        return (size * torch.sin(n * PI * x) / (off**2 - k**2),)

    family, told = "resonance", f"{n} half waves"
    solvable = manufactured(
        family, f"{told}, forced across", lambda u, x: u.xx + k**2 * u, across, UNIT, ENDS
    )
    return [
        without(Case(family, told, equation(k**2, n), UNIT, zero), "the force is along the eigenfunction"),
        many(solvable, added),
        many(
            Case(family, f"{told}, no force", equation(k**2, n, 0.0), UNIT, zero, lambda x: (0 * x,)), added
        ),
        Case(family, f"{told}, off it, k={off / PI:.3g} pi", equation(off**2, n), UNIT, zero, off_exact),
        manufactured(family, f"{told}, off it, made", lambda u, x: u.xx + off**2 * u, across, UNIT, ENDS),
    ]


def robin_resonance(source: Random) -> Cases:
    """u(0) = 0, u'(1) + h u(1) = 0: the eigenvalues are where tan k = -k / h."""
    h, n = source.uniform(0.3, 3), source.choice((1, 2))
    low, high = (n - 0.5) * PI + 1e-9, n * PI
    k = brentq(lambda k: k * math.cos(k) + h * math.sin(k), low, high, xtol=1e-15)
    edges = (value_at("x", "lower", value=0.0), mixed_at("x", (h, 1.0), "upper", value=0.0))
    made = (value_at("x", "lower"), mixed_at("x", (h, 1.0), "upper"))
    family, told = "resonance, mixture", f"h={h:.2g} k={k:.3g}"
    return [
        without(
            Case(family, told, lambda u, x: u.xx + k**2 * u - torch.sin(k * x), UNIT, edges),
            "the force is along the eigenfunction",
        ),
        many(
            Case(family, f"{told}, no force", lambda u, x: u.xx + k**2 * u, UNIT, edges, lambda x: (0 * x,)),
            lambda x: torch.sin(k * x),
        ),
        manufactured(family, f"{told}, off it", lambda u, x: u.xx + (0.8 * k) ** 2 * u,
            smooth(source, "x"), UNIT, made),
    ]  # fmt: skip


def weighted(source: Random) -> Cases:
    """x^2 u'' + x u' + m^2 u on (1, b): the eigenfunctions are sin(m log x)."""
    b, n = source.uniform(2, 4), source.choice((1, 2, 3))
    m = n * PI / math.log(b)
    zero, space = (value_at("x", value=0.0),), {"x": (1.0, b)}
    near = m * (1.2 if n == 1 else (n + 0.5) / n)
    family, told = "resonance with a weight", f"{n} half waves to {b:.2g}"

    def operator(square: float):
        return lambda u, x: x**2 * u.xx + x * u.x + square * u

    return [
        without(
            Case(family, told, lambda u, x: operator(m**2)(u, x) - torch.sin(m * torch.log(x)), space, zero),
            "the force is along the eigenfunction",
        ),
        many(
            Case(family, f"{told}, no force", operator(m**2), space, zero, lambda x: (0 * x,)),
            lambda x: torch.sin(m * torch.log(x)),
        ),
        manufactured(family, f"{told}, off it", operator(near**2), smooth(source, "x", fastest=3.0), space,
            ENDS),
    ]  # fmt: skip


def slopes_alone(source: Random) -> Cases:
    """(p u')' = f with slopes at both ends: a constant is free, and the force must balance them."""
    a, size = source.choice((0.0, source.uniform(0.5, 2))), source.uniform(0.5, 3)
    known = smooth(source, "x")
    slopes = (slope_at("x"),)
    family = "slopes alone"

    def operator(u, x):
        return (1 + a * x) * u.xx + a * u.x

    balanced = manufactured(family, f"balanced, a={a:.2g}", operator, known, UNIT, slopes)
    heavier = replace(
        balanced, equation=lambda u, x: balanced.equation(u, x) - size, name=f"not balanced, a={a:.2g}"
    )
    at = source.uniform(0, 1)
    return [
        many(balanced, constant),
        without(heavier, "the integral of the force is not that of the slopes"),
        manufactured(family, "and a point", operator, known, UNIT, (*slopes, point(x=at))),
        manufactured(family, "and a value instead", operator, known, UNIT,
            (slope_at("x", "lower"), value_at("x", "upper"))),
        manufactured(family, "and a spring", lambda u, x: operator(u, x) - 3 * u, known, UNIT, slopes),
    ]  # fmt: skip


def slopes_nonlinear(source: Random) -> Cases:
    """((1 + b u'^2) u')' = f, into which u itself does not enter."""
    b, known = source.uniform(0.1, 0.5), smooth(source, "x", fastest=2.0)
    family = "slopes alone, nonlinear"

    def operator(u, x):
        return (1 + b * u.x**2) * u.xx

    return [
        many(manufactured(family, f"b={b:.2g}", operator, known, UNIT, (slope_at("x"),)), constant),
        manufactured(family, "and a point", operator, known, UNIT, (slope_at("x"), point(x=0.3))),
    ]


def ring(source: Random) -> Cases:
    """-u'' = f, or u' = f, around a ring: f must have a mean of zero, and a constant is free."""
    n, mean, order = source.choice((1, 2)), source.uniform(0.3, 2), source.choice((1, 2))
    family, told, around = "ring", f"order {order}, {n} waves", (periodic("x"),)
    known, options = Known(Product(1.0, {"x": sine(2 * PI * n, 0.5)})), {"harmonics": n}

    def operator(u, x):
        return u.x if order == 1 else -u.xx

    balanced = manufactured(family, f"{told}, mean 0", operator, known, UNIT, around, options=options)
    heavier = replace(
        balanced, name=f"{told}, mean {mean:.2g}", equation=lambda u, x: balanced.equation(u, x) - mean
    )
    return [
        many(balanced, constant),
        without(heavier, "the mean of the force is not zero"),
        manufactured(
            family, f"{told}, and a point", operator, known, UNIT, (*around, point(x=0.2)), options=options
        ),
        manufactured(
            family, f"{told}, + u", lambda u, x: operator(u, x) + u, known, UNIT, around, options=options
        ),
    ]


def ring_resonance(source: Random) -> Cases:
    """u'' + u around 2 pi n."""
    n = source.choice((1, 2))
    family, space, around = "ring at resonance", {"x": (0.0, 2 * PI)}, (periodic("x"),)
    known, options = Known(Product(0.7, {"x": sine(n + 1.0, 0.3)})), {"harmonics": n + 1}

    def operator(square: float):
        return lambda u, x: u.xx + square * u

    solvable = manufactured(family, f"{n} waves", operator(n**2), known, space, around, options=options)
    forced = replace(
        solvable, name=f"{n} waves, forced", equation=lambda u, x: solvable.equation(u, x) - torch.cos(n * x)
    )
    return [
        many(solvable, lambda x: torch.sin(n * x)),
        without(forced, "the force is along an eigenfunction"),
        manufactured(
            family, f"{n} waves, off it", operator((n + 0.4) ** 2), known, space, around, options=options
        ),
    ]


def floating_beam(source: Random) -> Cases:
    """u'''' = f with free ends: it moves and turns as it likes; the force must have no sum and no moment."""
    known, size = smooth(source, "x"), source.uniform(0.5, 3)
    free = (slope_at("x", order=2), slope_at("x", order=3))
    held = (
        value_at("x", "lower"),
        slope_at("x", "lower"),
        slope_at("x", "upper", order=2),
        slope_at("x", "upper", order=3),
    )
    family = "free beam"

    def operator(u, x):
        return u.xxxx

    balanced = manufactured(family, "balanced", operator, known, UNIT, free)
    heavier = replace(balanced, name="not balanced", equation=lambda u, x: balanced.equation(u, x) - size * x)
    bed = source.uniform(1, 20)
    return [
        many(balanced, lambda x: 0.5 + x),
        without(heavier, "the force has a sum"),
        manufactured(family, "held at one end", operator, known, UNIT, held),
        manufactured(family, f"on a bed, k={bed:.2g}", lambda u, x: u.xxxx + bed * u, known, UNIT, free),
    ]


FAMILIES = {
    resonance: 3, robin_resonance: 1, weighted: 1, slopes_alone: 2, slopes_nonlinear: 1, ring: 2,
    ring_resonance: 1, floating_beam: 1,
}  # fmt: skip
"""How often each is drawn; each draw is several cases."""
