"""Families of boundary value problems on a line."""

import math
from dataclasses import replace
from random import Random

import torch
from scipy.integrate import solve_ivp
from scipy.optimize import brentq
from torch import Tensor
from verdict_base import Case, Edge, manufactured, mixed_at, periodic, slope_at, trajectory, value_at
from verdict_initial import smooth
from verdict_known import PI, Known, Product, bump, exponential, polynomial, sine, step

UNIT = {"x": (0.0, 1.0)}
ENDS = (value_at("x", "lower"), value_at("x", "upper"))


def two_ends(source: Random, positive: bool = True) -> tuple[str, tuple[Edge, ...]]:
    """Conditions for an equation of order 2 that fix its solution where the value has a positive factor."""
    mix = (source.uniform(0.5, 3), 1.0)
    kinds = {
        "values": ENDS,
        "value and slope": (ENDS[0], slope_at("x", "upper")),
        "value and mixture": (ENDS[0], mixed_at("x", mix, "upper")),
        "mixtures": (mixed_at("x", mix, "lower"), mixed_at("x", mix, "upper")),
        "soft values": (value_at("x", "lower", soft=True), value_at("x", "upper", soft=True)),
    }
    if positive:
        kinds["slopes"] = (slope_at("x", "lower"), slope_at("x", "upper"))
    name = source.choice(list(kinds))
    return name, kinds[name]


def second_order(source: Random) -> Case:
    k = source.uniform(0.5, 6)
    name, edges = two_ends(source)
    return manufactured(
        "linear, two ends",
        f"-u'' + k^2 u, {name}",
        lambda u, x: -u.xx + k**2 * u,
        smooth(source, "x"),
        UNIT,
        edges,
    )


def divergence_form(source: Random) -> Case:
    a, b = source.uniform(0.3, 3), source.uniform(0.5, 3)
    name, edges = two_ends(source)
    return manufactured(
        "variable coefficient", f"-((1 + a x^2) u')' + b e^x u, {name}",
        lambda u, x: -(1 + a * x**2) * u.xx - 2 * a * x * u.x + b * torch.exp(x) * u,
        smooth(source, "x"), UNIT, edges,
    )  # fmt: skip


def indefinite(source: Random) -> Case:
    """Between two resonances."""
    n = source.choice((1, 2, 3, 4))
    k = (n + source.uniform(0.35, 0.65)) * PI
    return manufactured(
        "oscillating, two ends", f"u'' + k^2 u, k={k / PI:.3g} pi", lambda u, x: u.xx + k**2 * u,
        smooth(source, "x"), UNIT, ENDS,
    )  # fmt: skip


def beam(source: Random) -> Case:
    k = source.choice((0.0, source.uniform(1, 50)))
    held = {
        "clamped": (value_at("x"), slope_at("x")),
        "resting": (value_at("x"), slope_at("x", order=2)),
        "cantilever": (
            value_at("x", "lower"), slope_at("x", "lower"), slope_at("x", "upper", order=2),
            slope_at("x", "upper", order=3),
        ),
        "clamped and resting": (value_at("x"), slope_at("x", "lower"), slope_at("x", "upper", order=2)),
    }  # fmt: skip
    name = source.choice(list(held))
    return manufactured(
        "beam",
        f"u'''' + k u, k={k:.2g}, {name}",
        lambda u, x: u.xxxx + k * u,
        smooth(source, "x"),
        UNIT,
        held[name],
    )


def ring(source: Random) -> Case:
    k, n, cubic = source.uniform(0.5, 3), source.choice((1, 2, 3)), source.random() < 0.4
    known = Known(
        Product(1.0, {"x": sine(2 * PI * n, source.uniform(0, PI))}), Product(source.uniform(-1, 1), {})
    )
    return manufactured(
        "periodic line", f"-u'' + k^2 u{' + u^3' if cubic else ''}, {n} waves",
        lambda u, x: -u.xx + k**2 * u + (u**3 if cubic else 0.0), known, UNIT, (periodic("x"),),
        options={"harmonics": n},
    )  # fmt: skip


def bratu(source: Random) -> Case:
    strength = source.uniform(0.3, 3.2)
    theta = brentq(lambda one: one - math.sqrt(2 * strength) * math.cosh(one / 4), 0.0, 4.79, xtol=1e-15)
    return Case(
        "Bratu", f"u'' + L e^u, L={strength:.2g}", lambda u, x: u.xx + strength * torch.exp(u), UNIT,
        (value_at("x", value=0.0),),
        lambda x: (-2 * torch.log(torch.cosh((x - 0.5) * theta / 2) / math.cosh(theta / 4)),),
    )  # fmt: skip


def liouville(source: Random) -> Case:
    k = source.uniform(0.3, 2.4)

    def exact(x: Tensor) -> tuple[Tensor]:
        return (math.log(2 * k**2) - 2 * torch.log(torch.cos(k * (x - 0.5))),)

    end = float(exact(torch.tensor(1.0, dtype=torch.float64))[0])
    return Case(
        "u'' = exp u",
        f"k={k:.2g}",
        lambda u, x: u.xx - torch.exp(u),
        UNIT,
        (value_at("x", value=end),),
        exact,
    )


def troesch(source: Random) -> Case:
    """By shooting: the slope at 0 that SciPy's integration takes to 1 at 1."""
    m = source.uniform(0.5, 3)

    def slope(t, y):
        return y[1], m * math.sinh(m * y[0])

    def miss(first: float) -> float:
        return (
            solve_ivp(slope, (0.0, 1.0), (0.0, first), method="DOP853", rtol=1e-13, atol=1e-15).y[0, -1] - 1
        )

    first = brentq(miss, 0.01, m / math.sinh(m) * 1.2, xtol=1e-15)  # below the linear problem's slope
    found = trajectory(
        "Troesch", f"u'' = m sinh(m u), m={m:.2g}", lambda u, t: u.tt - m * torch.sinh(m * u), slope,
        (0.0, 1.0), (0.0, first), {"u": (0, 1)},
    )  # fmt: skip
    return replace(found, edges=(value_at("t", "lower", value=0.0), value_at("t", "upper", value=1.0)))


def nonlinear_two_ends(source: Random) -> Case:
    name, edges = two_ends(source)
    a = source.uniform(0.5, 2)
    kinds = {
        "-u'' + u^3 + u": lambda u, x: -u.xx + u**3 + u,
        "-u'' + a u + u u'": lambda u, x: -u.xx + (3 + a) * u + 0.5 * u * u.x,
        "-((1 + u^2) u')' + u": lambda u, x: -(1 + u**2) * u.xx - 2 * u * u.x**2 + 4 * u,
        "-u'' + exp u": lambda u, x: -u.xx + torch.exp(u),
    }
    kind = source.choice(list(kinds))
    if "(1 + u^2)" in kind:  # with its slope given, the flow (1 + u^2) u' is not: there are two solutions
        name, edges = "values", ENDS
    return manufactured(
        "nonlinear, two ends", f"{kind}, {name}", kinds[kind], smooth(source, "x"), UNIT, edges
    )


def outflow_layer(source: Random) -> Case:
    """eps u'' + u' = f has a layer at 0."""
    eps = 10 ** source.uniform(-3, -1)
    f, end = source.choice((0.0, 1.0)), source.uniform(0.5, 2)

    def exact(x: Tensor) -> tuple[Tensor]:
        rise = torch.expm1(-x / eps) / math.expm1(-1 / eps)
        return (f * x + (end - f) * rise,)

    return Case(
        "boundary layer", f"eps u'' + u' = {f:g}, eps={eps:.1e}", lambda u, x: eps * u.xx + u.x - f, UNIT,
        (value_at("x", "lower", value=0.0), value_at("x", "upper", value=end)), exact, layers={"x": (0.0,)},
    )  # fmt: skip


def twin_layers(source: Random) -> Case:
    eps = 10 ** source.uniform(-2.5, -0.7)

    def exact(x: Tensor) -> tuple[Tensor]:
        both = torch.exp(-x / eps) + torch.exp((x - 1) / eps)
        return (1 - both / (1 + math.exp(-1 / eps)),)

    return Case(
        "two layers", f"eps^2 u'' = u - 1, eps={eps:.1e}", lambda u, x: eps**2 * u.xx - u + 1, UNIT,
        (value_at("x", value=0.0),), exact, layers={"x": (0.0, 1.0)},
    )  # fmt: skip


def turning_point(source: Random) -> Case:
    eps = 10 ** source.uniform(-4, -1.3)
    root = math.sqrt(2 * eps)
    end = math.erf(1 / root)
    return Case(
        "turning point", f"eps u'' + x u', eps={eps:.1e}", lambda u, x: eps * u.xx + x * u.x,
        {"x": (-1.0, 1.0)},
        (value_at("x", "lower", value=-end), value_at("x", "upper", value=end)),
        lambda x: (torch.erf(x / root),), layers={"x": (0.0,)},
    )  # fmt: skip


def viscous_layer(source: Random) -> Case:
    """eps u'' = u u', whose layer shifts at nearly no cost."""
    eps = source.uniform(0.07, 0.25)
    k = brentq(lambda k: 2 * eps * k * math.tanh(k) - 1.0, 1e-3, 1e3, xtol=1e-14)
    return Case(
        "viscous layer", f"eps u'' = u u', eps={eps:.2g}", lambda u, x: eps * u.xx - u * u.x,
        {"x": (-1.0, 1.0)},
        (value_at("x", "lower", value=1.0), value_at("x", "upper", value=-1.0)),
        lambda x: (-2 * eps * k * torch.tanh(k * x),), layers={"x": (0.0,)},
    )  # fmt: skip


def steep_made(source: Random) -> Case:
    """A step of a chosen width inside."""
    width, c, a = 10 ** source.uniform(-2, -0.5), source.uniform(0.3, 0.7), source.uniform(0.5, 3)
    known = Known(
        Product(1.0, {"x": step(c, width)}), Product(source.uniform(-1, 1), {"x": polynomial(0.0, 1.0)})
    )
    kinds = {
        "-u'' + a u": lambda u, x: -u.xx + a * u,
        "-w u'' + u' + a u": lambda u, x: -width * u.xx + u.x + a * u,
        "-w u'' + u u' + 3 u": lambda u, x: -width * u.xx + 0.2 * u * u.x + 3 * u,
        "-w^2 u'' + u^3 + u": lambda u, x: -(width**2) * u.xx + u**3 + u,
    }
    kind = source.choice(list(kinds))
    return manufactured(
        "step inside", f"{kind}, w={width:.1e}", kinds[kind], known, UNIT, ENDS, layers={"x": (c,)}
    )


def kinked_source(source: Random) -> Case:
    """u'' = f or k u'' = 1, where f or k jumps."""
    c, low, high = source.uniform(0.2, 0.8), source.uniform(0.5, 2), source.uniform(2, 5)
    slope = -(low / 2 + (high - low) * (1 - c) ** 2 / 2)

    def exact(x: Tensor) -> tuple[Tensor]:
        return (low * x**2 / 2 + (high - low) * torch.clamp(x - c, min=0.0) ** 2 / 2 + slope * x,)

    def jump(x: Tensor, first: float, second: float) -> Tensor:
        return torch.where(x > c, second, first * torch.ones_like(x))

    kind, equation = source.choice((
        ("source", lambda u, x: u.xx - jump(x, low, high)),
        ("coefficient", lambda u, x: jump(x, 1 / low, 1 / high) * u.xx - 1),
    ))  # fmt: skip
    return Case(
        "jump in the data", f"of the {kind} at {c:.2g}, {low:.2g} to {high:.2g}", equation, UNIT,
        (value_at("x", value=0.0),), exact, layers={"x": (c,)},
    )  # fmt: skip


def thin_load(source: Random) -> Case:
    """-u'' = a force of area one and of a small width."""
    width, c = 10 ** source.uniform(-4, -1.5), source.uniform(0.25, 0.75)
    root, height = math.sqrt(2) * width, 1 / (width * math.sqrt(2 * PI))

    def bend(x):
        """Twice integrated."""
        z = (x - c) / root
        return (x - c) * torch.erf(z) / 2 + width**2 * height * torch.exp(-(z**2))

    low, high = (float(bend(torch.tensor(end, dtype=torch.float64))) for end in (0.0, 1.0))
    return Case(
        "thin load", f"-u'', width {width:.1e} at {c:.2g}",
        lambda u, x: u.xx + height * torch.exp(-(((x - c) / width) ** 2) / 2), UNIT,
        (value_at("x", value=0.0),),
        lambda x: (-bend(x) + low + (high - low) * x,), layers={"x": (c,)},
    )  # fmt: skip


def narrow_bump(source: Random) -> Case:
    width, c = 10 ** source.uniform(-2, -1), source.uniform(0.3, 0.7)
    known = Known(
        Product(1.0, {"x": bump(c, width)}), Product(0.5, {"x": exponential(-source.uniform(0.5, 2))})
    )
    return manufactured(
        "bump inside", f"-u'' + 4 u, width {width:.1e}", lambda u, x: -u.xx + 4 * u, known, UNIT, ENDS,
        layers={"x": (c,)},
    )  # fmt: skip


def bar(source: Random) -> Case:
    """Force and displacement of a bar, of first order."""
    stiff = 10 ** source.uniform(-2, 3)
    u = smooth(source, "x")
    s = Known(*(_times_slope(term, stiff) for term in u.terms))
    held = source.choice(
        ((value_at("x", "both", "u"),), (value_at("x", "lower", "u"), value_at("x", "upper", "s")))
    )
    return manufactured(
        "bar, first order", f"s = E u', s' = -f, E={stiff:.1e}",
        lambda u, s, x: (s - stiff * u.x, s.x), (u, s), UNIT, held, ("u", "s"),
    )  # fmt: skip


def _times_slope(term: Product, factor: float) -> Product:
    curve = term.curves["x"]
    return Product(factor * term.factor, {"x": lambda n, s: curve(n + 1, s)})


def beam_of_four(source: Random) -> Case:
    """Deflection, angle, moment and shear of a beam on a bed, of first order."""
    bed = source.uniform(0.5, 20)
    fields = ("w", "a", "m", "q")
    known = tuple(smooth(source, "x", size=10 ** source.uniform(-3, 0)) for _ in fields)
    held = source.choice((
        (value_at("x", "both", "w"), value_at("x", "both", "a")),
        (value_at("x", "both", "w"), value_at("x", "both", "m")),
        (value_at("x", "lower", "w"), value_at("x", "lower", "a"), value_at("x", "upper", "m"),
         value_at("x", "upper", "q")),
    ))  # fmt: skip
    return manufactured(
        "beam, four fields", f"bed {bed:.2g}", lambda w, a, m, q,
        x: (w.x - a, a.x - m, m.x - q, q.x + bed * w),
        known, UNIT, held, fields,
    )  # fmt: skip


def coupled_two_ends(source: Random) -> Case:
    count = source.choice((2, 3))
    fields = ("u", "v", "w")[:count]
    a, cubic = source.uniform(0.5, 2), source.choice((0.0, 0.5))

    def operators(*given):
        one = given[:count]
        return tuple(
            -here.xx + (2 + a) * here - a * after + cubic * here**3
            for here, after in zip(one, (*one[1:], one[0]), strict=True)
        )

    known = tuple(smooth(source, "x", size=10 ** source.uniform(-2, 0)) for _ in fields)
    kinds = (value_at, lambda *rest: mixed_at(rest[0], (1.0, 1.0), *rest[1:]))
    edges = tuple(source.choice(kinds)("x", "both", field) for field in fields)
    return manufactured("coupled, two ends", f"{count} fields", operators, known, UNIT, edges, fields)


FAMILIES = {
    second_order: 5, divergence_form: 4, indefinite: 4, beam: 5, ring: 4, bratu: 3, liouville: 3, troesch: 2,
    nonlinear_two_ends: 5, outflow_layer: 5, twin_layers: 3, turning_point: 3, viscous_layer: 3,
    steep_made: 5,
    kinked_source: 3, thin_load: 4, narrow_bump: 3, bar: 4, beam_of_four: 4, coupled_two_ends: 4,
}  # fmt: skip
