"""Families of problems without a solution or with many, on a line, each with well-posed neighbours.

Of a problem with many solutions two are given, which the self-check tries; of one without a solution, why.
"""

import math
from dataclasses import replace
from random import Random

import torch
from scipy.optimize import brentq
from torch import Tensor
from verdict_base import (
    PI,
    Case,
    Known,
    Product,
    manufactured,
    mixed_at,
    periodic,
    point,
    sine,
    slope_at,
    start,
    value_at,
)
from verdict_boundary import ENDS, UNIT
from verdict_initial import smooth

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
    solvable = manufactured(family, f"{told}, forced across", lambda u, x: u.xx + k**2 * u, across, UNIT, ENDS)
    return [
        without(Case(family, told, equation(k**2, n), UNIT, zero), "the force is along the eigenfunction"),
        many(solvable, added),
        many(Case(family, f"{told}, no force", equation(k**2, n, 0.0), UNIT, zero, lambda x: (0 * x,)), added),
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
        manufactured(family, f"{told}, off it", lambda u, x: u.xx + (0.8 * k) ** 2 * u, smooth(source, "x"), UNIT, made),
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
        manufactured(family, f"{told}, off it", operator(near**2), smooth(source, "x", fastest=3.0), space, ENDS),
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
    heavier = replace(balanced, equation=lambda u, x: balanced.equation(u, x) - size, name=f"not balanced, a={a:.2g}")
    at = source.uniform(0, 1)
    return [
        many(balanced, constant),
        without(heavier, "the integral of the force is not that of the slopes"),
        manufactured(family, "and a point", operator, known, UNIT, (*slopes, point(x=at))),
        manufactured(family, "and a value instead", operator, known, UNIT, (slope_at("x", "lower"), value_at("x", "upper"))),
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
    heavier = replace(balanced, name=f"{told}, mean {mean:.2g}", equation=lambda u, x: balanced.equation(u, x) - mean)
    return [
        many(balanced, constant),
        without(heavier, "the mean of the force is not zero"),
        manufactured(family, f"{told}, and a point", operator, known, UNIT, (*around, point(x=0.2)), options=options),
        manufactured(family, f"{told}, + u", lambda u, x: operator(u, x) + u, known, UNIT, around, options=options),
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
        manufactured(family, f"{n} waves, off it", operator((n + 0.4) ** 2), known, space, around, options=options),
    ]


def floating_beam(source: Random) -> Cases:
    """u'''' = f with free ends: it moves and turns as it likes; the force must have no sum and no moment."""
    known, size = smooth(source, "x"), source.uniform(0.5, 3)
    free = (slope_at("x", order=2), slope_at("x", order=3))
    held = (value_at("x", "lower"), slope_at("x", "lower"), slope_at("x", "upper", order=2), slope_at("x", "upper", order=3))  # fmt: skip
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


def rotation(source: Random) -> Cases:
    """a' = k b, b' = -k a with one value at each end: too much or too little where they are in phase."""
    k, size = source.uniform(0.7, 2), source.uniform(0.5, 2)
    family, quarter = "rotation", PI / 2 / k

    def equation(a, b, x):
        return a.x - k * b, b.x + k * a

    def held(right: float):
        return (value_at("x", "lower", "a", size), value_at("x", "upper", "b", right))

    def exact(x: Tensor, phase: float = 0.0) -> tuple[Tensor, Tensor]:
        return size * torch.cos(k * x) + phase * torch.sin(k * x), -size * torch.sin(k * x) + phase * torch.cos(k * x)

    end = quarter * 0.75
    phase = (0.4 + size * math.sin(k * end)) / math.cos(k * end)
    space, shorter, fields = {"x": (0.0, quarter)}, {"x": (0.0, end)}, ("a", "b")
    consistent = Case(family, f"k={k:.2g}, any phase", equation, space, held(-size), exact, fields)
    return [
        many(consistent, lambda x: (torch.sin(k * x), torch.cos(k * x))),
        without(replace(consistent, name=f"k={k:.2g}, in contradiction", edges=held(size / 2)), "b(end) is -a(0)"),
        Case(family, f"k={k:.2g}, shorter", equation, shorter, held(0.4), lambda x: exact(x, phase), fields),
    ]


def points_alone(source: Random) -> Cases:
    """y'' + w^2 y with values at points: one is too few, two fix it."""
    w, size = source.uniform(0.8, 1.8), source.uniform(0.5, 2)
    family, space = "points", {"t": (0.0, 1.5)}

    def equation(u, t):
        return u.tt + w**2 * u

    def exact(t: Tensor) -> tuple[Tensor]:
        return (size * torch.cos(w * t),)

    def at(t: float):
        return point(size * math.cos(w * t), t=t)

    one = Case(family, f"one point, w={w:.2g}", equation, space, (at(0.0),), exact)
    inside = Case(family, f"one point inside, w={w:.2g}", equation, space, (at(0.75),), exact)
    return [
        many(one, lambda t: torch.sin(w * t)),
        many(inside, lambda t: torch.sin(w * (t - 0.75))),
        Case(family, f"two points, w={w:.2g}", equation, space, (at(0.0), at(1.25)), exact),
        Case(family, f"three points, w={w:.2g}", equation, space, (at(0.25), at(0.75), at(1.5)), exact),
    ]


def too_few(source: Random) -> Cases:
    """Fewer conditions than the order, and no counting."""
    known, k = smooth(source, "x"), source.uniform(0.5, 2)
    family = "too few"

    def case(told: str, operator, edges, **rest) -> Case:
        return manufactured(family, told, operator, known, UNIT, edges, well_posed=False, **rest)

    def second(u, x):
        return u.xx - k**2 * u

    return [
        many(case("u'' - k^2 u, one value", second, ENDS[:1]), lambda x: torch.sinh(k * x)),
        many(case("u' + k u, none", lambda u, x: u.x + k * u, ()), lambda x: torch.exp(-k * x)),
        many(case("u'''', three", lambda u, x: u.xxxx, (*ENDS, slope_at("x", "lower"))), lambda x: x**2 * (1 - x)),
        case("u'' - k^2 u, value and slope", second, (ENDS[0], slope_at("x", "lower"))),
        case("u'''' , four", lambda u, x: u.xxxx, (*ENDS, slope_at("x"))),
    ]


def singular(source: Random) -> Cases:
    """t u' = p u, and the equations of Cauchy and Euler, whose factor vanishes at the start."""
    p, size = source.choice((1, 2, 3)), source.uniform(0.5, 2)
    family, space = "singular at the start", {"t": (0.0, 1.0)}

    def power(u, t):
        return t * u.t - p * u

    def euler(u, t):
        return t**2 * u.tt - 2 * t * u.t + 2 * u

    zero = Case(family, f"t u' = {p} u", power, space, (start(value=0.0),), lambda t: (0 * t,))
    flat = Case(family, "t^2 u'' - 2 t u' + 2 u", euler, space, (start(value=0.0),), lambda t: (0 * t,), well_posed=False)  # fmt: skip
    made = manufactured(
        family, "t u' + u = f, made", lambda u, t: t * u.t + u, smooth(source, "t"), space, (start(),)
    )
    return [
        many(zero, lambda t: t**p),
        many(flat, lambda t: t + t**2),
        replace(zero, name=f"t u' = {p} u, from the end", edges=(value_at("t", "upper", value=size),), exact=lambda t: (size * t**p,)),
        made,
    ]  # fmt: skip


def bessel(source: Random) -> Cases:
    """t u'' + u' + t u with a slope of zero at the start: any multiple of J0."""
    size, end = source.uniform(0.5, 2), source.uniform(1.5, 3)

    def series(t: Tensor) -> Tensor:
        total, term = torch.zeros_like(t), torch.ones_like(t)
        for place in range(1, 24):
            total, term = total + term, -term * (t / 2) ** 2 / place**2
        return total

    def equation(u, t):
        return t * u.tt + u.t + t * u

    family, space = "Bessel", {"t": (0.0, end)}
    slope = slope_at("t", "lower", value=0.0)
    free = Case(family, "the slope alone", equation, space, (slope,), lambda t: (0 * t,), well_posed=False)
    return [
        many(free, series),
        Case(family, "value and slope", equation, space, (start(value=size), start(value=0.0, order=1)), lambda t: (size * series(t),)),
    ]  # fmt: skip


def dependent(source: Random) -> Cases:
    """Two equations that say the same, or contradict each other."""
    k, known = source.uniform(0.5, 2), tuple(smooth(source, "t") for _ in range(2))
    family, space, fields = "dependent equations", {"t": (0.0, 1.0)}, ("u", "v")
    edges = (start("u"), start("v"))

    def same(u, v, t):
        return u.t + v.t - k * u, 2 * u.t + 2 * v.t - 2 * k * u

    def apart(u, v, t):
        return u.t + v.t - k * u, u.t - v.t + v

    twice = manufactured(family, "one twice", same, known, space, edges, fields)

    def against(u, v, t):
        first, second = twice.equation(u, v, t)
        return first, second + 1

    def one_field(shift: float):
        return lambda u, t: (u.t + k * u, u.tt - k**2 * u + shift)

    decay = Case(family, "one field, they agree", one_field(0.0), space, (start(value=1.0),), lambda t: (torch.exp(-k * t),), well_posed=False)  # fmt: skip
    return [
        many(twice, lambda t: (t**2, -(t**2) + 2 * _shift(k, t)), "v is free"),
        without(replace(twice, name="one twice, shifted", equation=against), "the second is not twice the first"),
        without(replace(decay, name="one field, they contradict", equation=one_field(1.0)), "the second has a constant more"),
        manufactured(family, "independent", apart, known, space, edges, fields),
        decay,
    ]  # fmt: skip


def _shift(k: float, t: Tensor) -> Tensor:
    """What makes (t^2, -t^2 + 2 s) satisfy u' + v' = k u: s' = k t^2 / 2."""
    return k * t**3 / 6


def contradictory(source: Random) -> Cases:
    """More conditions than the order, that agree or not."""
    k, gap = source.uniform(0.5, 2), source.choice((-1, 1)) * source.uniform(0.2, 1)
    family, told = "too many", f"k={k:.2g}"

    def decay(x: Tensor) -> tuple[Tensor]:
        return (torch.exp(-k * x),)

    last = math.exp(-k)

    def case(name: str, equation, *values: float) -> Case:
        edges = [value_at("x", "lower", value=1.0), value_at("x", "upper", value=values[0])]
        edges += [slope_at("x", "lower", value=values[1])] if len(values) > 1 else []
        return Case(family, f"{name}, {told}", equation, UNIT, tuple(edges), decay, well_posed=False)

    def first(u, x):
        return u.x + k * u

    def second(u, x):
        return u.xx - k**2 * u

    return [
        without(case("u' + k u, two values", first, last + gap), "u(1) follows from u(0)"),
        without(case("u'' - k^2 u, three", second, last, k + gap), "the slope follows from the values"),
        case("u' + k u, two that agree", first, last),
        case("u'' - k^2 u, three that agree", second, last, k),
    ]


def beyond(source: Random) -> Cases:
    """Nonlinear problems past the end of their solutions."""
    strength, end = source.uniform(4.5, 7), source.uniform(1.3, 2)
    family = "past its end"
    return [
        without(
            Case(family, f"u'' + {strength:.2g} e^u", lambda u, x: u.xx + strength * torch.exp(u), UNIT,
                 (value_at("x", value=0.0),)), "Bratu's problem has a solution up to 3.51",
        ),
        without(
            Case(family, f"u' = u^2 to {end:.2g}", lambda u, t: u.t - u**2, {"t": (0.0, end)}, (start(value=1.0),)),
            "u = 1 / (1 - t) ends at 1",
        ),
        Case(family, "u' = u^2 to 0.7", lambda u, t: u.t - u**2, {"t": (0.0, 0.7)}, (start(value=1.0),),
             lambda t: (1 / (1 - t),)),
    ]  # fmt: skip


def adrift(source: Random) -> Cases:
    """Two masses joined by a spring and by nothing else, with slopes at both ends of time."""
    k = source.uniform(0.5, 3)
    known, fields, space = tuple(smooth(source, "t") for _ in range(2)), ("u", "v"), {"t": (0.0, 1.0)}
    slopes = (slope_at("t", field="u"), slope_at("t", field="v"))

    def operators(u, v, t):
        return u.tt - k * (u - v), v.tt - k * (v - u)

    return [
        many(manufactured("adrift", f"k={k:.2g}", operators, known, space, slopes, fields), lambda t: (constant(t), constant(t))),
        manufactured("adrift", f"k={k:.2g}, one held", operators, known, space, (value_at("t", field="u"), slopes[1]), fields),
    ]  # fmt: skip


FAMILIES = {
    resonance: 3, robin_resonance: 1, weighted: 1, slopes_alone: 2, slopes_nonlinear: 1, ring: 2, ring_resonance: 1,
    floating_beam: 1, rotation: 1, points_alone: 1, too_few: 1, singular: 1, bessel: 1, dependent: 1,
    contradictory: 1, beyond: 1, adrift: 1,
}  # fmt: skip
"""How often each is drawn; each draw is several cases."""
