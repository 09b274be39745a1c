"""As `verdict_ill`: conditions that are too few or too many, equations that depend, and singular ones."""

import math
from dataclasses import replace
from random import Random

import torch
from torch import Tensor
from verdict_base import Case, manufactured, point, slope_at, start, value_at
from verdict_boundary import ENDS, UNIT
from verdict_ill import Cases, constant, many, without
from verdict_initial import smooth
from verdict_known import PI


def rotation(source: Random) -> Cases:
    """a' = k b, b' = -k a with one value at each end: too much or too little where they are in phase."""
    k, size = source.uniform(0.7, 2), source.uniform(0.5, 2)
    family, quarter = "rotation", PI / 2 / k

    def equation(a, b, x):
        return a.x - k * b, b.x + k * a

    def held(right: float):
        return (value_at("x", "lower", "a", size), value_at("x", "upper", "b", right))

    def exact(x: Tensor, phase: float = 0.0) -> tuple[Tensor, Tensor]:
        return size * torch.cos(k * x) + phase * torch.sin(k * x), -size * torch.sin(
            k * x
        ) + phase * torch.cos(k * x)

    end = quarter * 0.75
    phase = (0.4 + size * math.sin(k * end)) / math.cos(k * end)
    space, shorter, fields = {"x": (0.0, quarter)}, {"x": (0.0, end)}, ("a", "b")
    consistent = Case(family, f"k={k:.2g}, any phase", equation, space, held(-size), exact, fields)
    return [
        many(consistent, lambda x: (torch.sin(k * x), torch.cos(k * x))),
        without(
            replace(consistent, name=f"k={k:.2g}, in contradiction", edges=held(size / 2)), "b(end) is -a(0)"
        ),
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
        many(
            case("u'''', three", lambda u, x: u.xxxx, (*ENDS, slope_at("x", "lower"))),
            lambda x: x**2 * (1 - x),
        ),
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
    flat = Case(
        family,
        "t^2 u'' - 2 t u' + 2 u",
        euler,
        space,
        (start(value=0.0),),
        lambda t: (0 * t,),
        well_posed=False,
    )
    made = manufactured(
        family, "t u' + u = f, made", lambda u, t: t * u.t + u, smooth(source, "t"), space, (start(),)
    )
    return [
        many(zero, lambda t: t**p),
        many(flat, lambda t: t + t**2),
        replace(zero, name=f"t u' = {p} u, from the end", edges=(value_at("t", "upper", value=size),),
            exact=lambda t: (size * t**p,)),
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
        Case(family, "value and slope", equation, space, (start(value=size), start(value=0.0, order=1)),
            lambda t: (size * series(t),)),
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

    decay = Case(
        family,
        "one field, they agree",
        one_field(0.0),
        space,
        (start(value=1.0),),
        lambda t: (torch.exp(-k * t),),
        well_posed=False,
    )
    return [
        many(twice, lambda t: (t**2, -(t**2) + 2 * _shift(k, t)), "v is free"),
        without(replace(twice, name="one twice, shifted", equation=against),
            "the second is not twice the first"),
        without(replace(decay, name="one field, they contradict", equation=one_field(1.0)),
            "the second has a constant more"),
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
            Case(family, f"u' = u^2 to {end:.2g}", lambda u, t: u.t - u**2, {"t": (0.0, end)},
                (start(value=1.0),)),
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
        many(manufactured("adrift", f"k={k:.2g}", operators, known, space, slopes, fields),
            lambda t: (constant(t), constant(t))),
        manufactured("adrift", f"k={k:.2g}, one held", operators, known, space,
            (value_at("t", field="u"), slopes[1]), fields),
    ]  # fmt: skip


FAMILIES = {
    rotation: 1, points_alone: 1, too_few: 1, singular: 1, bessel: 1, dependent: 1, contradictory: 1,
    beyond: 1, adrift: 1,
}  # fmt: skip
