"""As `verdict_ill`, over two and three coordinates."""

from dataclasses import replace
from random import Random

import torch
from torch import Tensor
from verdict_base import Case, manufactured, mixed_at, periodic, point, slope_at, start, value_at
from verdict_ill import Cases, constant, many, without
from verdict_initial import smooth
from verdict_known import PI, Known, Product, exponential, sine
from verdict_plane import BOTH, CUBE, FEATURES, SQUARE


def resonance(source: Random) -> Cases:
    """Helmholtz on a rectangle at one of its eigenvalues."""
    a, (m, n) = source.uniform(0.8, 1.3), source.choice(((1, 1), (1, 2), (2, 1)))
    k2 = (m * PI / a) ** 2 + (n * PI) ** 2
    lower = (PI / a) ** 2 + PI**2
    off = 0.8 * lower
    family, told, space = (
        "resonance in the plane",
        f"{m} by {n}, {a:.2g} wide",
        {"x": (0.0, a), "y": (0.0, 1.0)},
    )
    zero = (value_at(BOTH, value=0.0),)

    def mode(x: Tensor, y: Tensor) -> Tensor:
        return torch.sin(m * PI * x / a) * torch.sin(n * PI * y)

    across = Known(Product(1.0, {"x": sine(3 * PI / a), "y": sine(2 * PI)}))
    solvable = manufactured(
        family, f"{told}, forced across", lambda u, x, y: u.xx + u.yy + k2 * u, across, space,
        (value_at(BOTH),),
        options=FEATURES,
    )  # fmt: skip
    bare = Case(
        family,
        f"{told}, no force",
        lambda u, x, y: u.xx + u.yy + k2 * u,
        space,
        zero,
        lambda x, y: (0 * x,),
        options=FEATURES,
    )
    forced = replace(bare, name=told, equation=lambda u, x, y: u.xx + u.yy + k2 * u - mode(x, y))
    return [
        without(forced, "the force is along the eigenfunction"),
        many(solvable, mode),
        many(bare, mode),
        manufactured(
            family, "off it", lambda u, x, y: u.xx + u.yy + off * u, smooth(source, *BOTH, fastest=4.0),
            space,
            (value_at(BOTH),), options=FEATURES,
        ),
    ]  # fmt: skip


def slopes_alone(source: Random) -> Cases:
    a, size = source.choice((0.0, source.uniform(0.5, 1.5))), source.uniform(0.5, 2)
    family, slopes = "slopes alone in the plane", (slope_at("x"), slope_at("y"))
    known = smooth(source, *BOTH, fastest=3.0)

    def operator(u, x, y):
        return (1 + a * x) * (u.xx + u.yy) + a * u.x

    balanced = manufactured(family, f"balanced, a={a:.2g}", operator, known, SQUARE, slopes, options=FEATURES)
    heavier = replace(
        balanced, name=f"not balanced, a={a:.2g}", equation=lambda u, x, y: balanced.equation(u, x, y) + size
    )
    return [
        many(balanced, constant),
        without(heavier, "the integral of the force is not that of the slopes"),
        manufactured(family, "and a point", operator, known, SQUARE, (*slopes, point(x=0.4, y=0.7)),
            options=FEATURES),
        manufactured(
            family, "and one mixture", operator, known, SQUARE,
            (slopes[0], slope_at("y", "lower"), mixed_at("y", (1.0, 1.0), "upper")), options=FEATURES,
        ),
    ]  # fmt: skip


def slopes_alone_3d(source: Random) -> Cases:
    family, options = "slopes alone in space", {**FEATURES, "hidden": (100,)}
    slopes = tuple(slope_at(name) for name in CUBE)
    known = smooth(source, *CUBE, fastest=2.0)

    def operator(u, x, y, z):
        return -u.xx - u.yy - u.zz

    balanced = manufactured(family, "balanced", operator, known, CUBE, slopes, options=options)
    heavier = replace(
        balanced, name="not balanced", equation=lambda u, x, y, z: balanced.equation(u, x, y, z) - 1
    )
    return [
        many(balanced, constant),
        without(heavier, "the integral of the force is not that of the slopes"),
        manufactured(
            family, "and a value", operator, known, CUBE, (*slopes[:2], value_at("z")), options=options
        ),
    ]


def torus(source: Random) -> Cases:
    mean = source.uniform(0.5, 2)
    known, family, around = (
        Known(Product(1.0, {"x": sine(2 * PI, 0.3), "y": sine(2 * PI, 1.0)})),
        "torus",
        (periodic(BOTH),),
    )

    def operator(u, x, y):
        return u.xx + u.yy

    balanced = manufactured(family, "mean 0", operator, known, SQUARE, around, options=FEATURES)
    heavier = replace(
        balanced, name=f"mean {mean:.2g}", equation=lambda u, x, y: balanced.equation(u, x, y) - mean
    )
    return [
        many(balanced, constant),
        without(heavier, "the mean of the force is not zero"),
        manufactured(
            family, "and a point", operator, known, SQUARE, (*around, point(x=0.1, y=0.6)), options=FEATURES
        ),
    ]


def stokes(source: Random) -> Cases:
    a, b = source.uniform(1, 3), source.uniform(1, 3)
    u = Known(Product(b, {"x": sine(a, 0.2), "y": sine(b, 0.3 + PI / 2)}))
    v = Known(Product(-a, {"x": sine(a, 0.2 + PI / 2), "y": sine(b, 0.3)}))
    known, fields = (u, v, smooth(source, *BOTH, fastest=3.0)), ("u", "v", "p")
    walls = (value_at(BOTH, field="u"), value_at(BOTH, field="v"))
    family, options = "Stokes, its pressure", {**FEATURES, "hidden": (100,)}

    def operators(u, v, p, x, y):
        return p.x - u.xx - u.yy, p.y - v.xx - v.yy, u.x + v.y

    free = manufactured(
        family, "free", operators, known, SQUARE, walls, fields, options=options, well_posed=False
    )

    def leaking(u, v, p, x, y):
        first, second, third = free.equation(u, v, p, x, y)
        return first, second, third - 1

    return [
        many(free, lambda x, y: (0 * x, 0 * x, constant(x))),
        without(replace(free, name="leaking", equation=leaking),
            "what flows in at the walls is not what wells up"),
        manufactured(
            family, "fixed inside", operators, known, SQUARE, (*walls, point(field="p", x=0.6, y=0.3)),
            fields,
            options=options,
        ),
    ]  # fmt: skip


def flux(source: Random) -> Cases:
    """Flux as fields, and its values at the walls alone."""
    u = smooth(source, *BOTH, fastest=3.0)
    p, q = (
        Known(*(Product(one.factor, {**one.curves, name: _slope(one.curves[name])}) for one in u.terms))
        for name in BOTH
    )
    fields, walls = ("u", "p", "q"), (value_at("x", field="p"), value_at("y", field="q"))
    family, options = "flux given at the walls", {**FEATURES, "hidden": (100,)}

    def operators(u, p, q, x, y):
        return p - u.x, q - u.y, p.x + q.y

    free = manufactured(family, "balanced", operators, (u, p, q), SQUARE, walls, fields, options=options)

    def heavier(u, p, q, x, y):
        first, second, third = free.equation(u, p, q, x, y)
        return first, second, third - 1

    return [
        many(free, lambda x, y: (constant(x), 0 * x, 0 * x)),
        without(replace(free, name="not balanced", equation=heavier),
            "the flux out is not the source inside"),
        manufactured(
            family, "and a point", operators, (u, p, q), SQUARE, (*walls, point(field="u", x=0.5, y=0.2)),
            fields,
            options=options,
        ),
    ]  # fmt: skip


def _slope(curve):
    return lambda n, s: curve(n + 1, s)


def free_functions(source: Random) -> Cases:
    """Equations that leave a function of one coordinate free."""
    known, family = smooth(source, *BOTH, fastest=3.0), "a free function"

    def case(told: str, operator, *edges) -> Case:
        return manufactured(family, told, operator, known, SQUARE, edges, well_posed=False, options=FEATURES)

    west, south = value_at("x", "lower"), value_at("y", "lower")
    return [
        many(case("u_x alone", lambda u, x, y: u.x), lambda x, y: torch.sin(2 * y)),
        many(case("u_xy and one edge", lambda u, x, y: u.xy, west), lambda x, y: x * (1 + 0 * y)),
        many(case("u_xx + u_yy, two edges", lambda u, x, y: u.xx + u.yy, value_at("x")), lambda x,
            y: torch.sin(PI * x) * torch.cosh(PI * y) / 10),
        many(case("u_xx alone, one edge", lambda u, x, y: u.xx, west), lambda x, y: x * torch.cos(y)),
        case("u_x and one edge", lambda u, x, y: u.x, west),
        case("u_xy and two edges", lambda u, x, y: u.xy + u.x, west, south),
    ]  # fmt: skip


def no_start(source: Random) -> Cases:
    """Heat and advection without the state at the start; a wave with a state at both ends of time."""
    c = source.uniform(0.5, 2)
    k = source.uniform(0.05, 0.3)
    known, rod = smooth(source, "x", "t", fastest=3.0), {"x": (0.0, 1.0), "t": (0.0, 1.0)}
    family = "no start"

    def case(told: str, operator, *edges, space=rod) -> Case:
        return manufactured(family, told, operator, known, space, edges, well_posed=False, options=FEATURES)

    def heat(u, x, t):
        return u.t - k * u.xx

    def carried(u, x, t):
        return u.t + c * u.x

    def wave(u, x, t):
        return u.tt - u.xx

    both = (value_at("t", "lower"), value_at("t", "upper"))
    return [
        many(case("heat", heat, value_at("x")), lambda x, t: torch.sin(PI * x) * torch.exp(-k * PI**2 * t)),
        many(case("advection", carried, value_at("x", "lower")), lambda x, t: torch.relu(x - c * t) ** 4),
        many(case("wave between two times", wave, value_at("x"), *both), lambda x,
            t: torch.sin(PI * x) * torch.sin(PI * t)),
        case("heat, with it", heat, value_at("x"), start()),
        case("advection, with it", carried, value_at("x", "lower"), start()),
        case("wave, with it", wave, value_at("x"), start(), start(order=1)),
    ]  # fmt: skip


def insulated(source: Random) -> Cases:
    """Two fields that exchange heat behind insulated walls."""
    k = source.uniform(0.5, 3)
    known, fields = tuple(smooth(source, *BOTH, fastest=2.5) for _ in range(2)), ("u", "v")
    slopes = tuple(slope_at(name, field=field) for field in fields for name in BOTH)
    family, options = "insulated pair", {**FEATURES, "hidden": (100,)}

    def operators(u, v, x, y):
        return u.xx + u.yy - k * (u - v), v.xx + v.yy - k * (v - u)

    return [
        many(
            manufactured(family, f"k={k:.2g}", operators, known, SQUARE, slopes, fields, options=options),
            lambda x, y: (constant(x), constant(x)),
        ),
        manufactured(
            family, f"k={k:.2g}, one held", operators, known, SQUARE,
            (value_at(BOTH, field="u"), *slopes[2:]), fields,
            options=options,
        ),
    ]  # fmt: skip


def potential_flow(source: Random) -> Cases:
    """Cauchy and Riemann's equations: v has a free constant."""
    k = source.uniform(0.5, 3)
    u = Known(Product(1.0, {"x": exponential(k), "y": sine(k, PI / 2)}))
    v = Known(Product(1.0, {"x": exponential(k), "y": sine(k)}))
    walls, fields = (value_at(BOTH, field="u"),), ("u", "v")
    options = {**FEATURES, "hidden": (100,)}

    def operators(u, v, x, y):
        return u.x - v.y, u.y + v.x

    mixed = (value_at("x", field="u"), value_at("y", field="v"))
    return [
        many(
            manufactured("conjugate", f"k={k:.2g}", operators, (u, v), SQUARE, walls, fields,
                options=options),
            lambda x, y: (0 * x, constant(x)),
        ),
        manufactured("conjugate", f"k={k:.2g}, v at walls", operators, (u, v), SQUARE, mixed, fields,
            options=options),
    ]  # fmt: skip


FAMILIES = {
    resonance: 1, slopes_alone: 1, slopes_alone_3d: 1, torus: 1, stokes: 1, flux: 1, free_functions: 1,
    no_start: 1,
    insulated: 1, potential_flow: 1,
}  # fmt: skip
