"""Families of problems in time and one or two coordinates of space."""

import math
from random import Random

import torch
from torch import Tensor
from verdict_base import Case, manufactured, mixed_at, periodic, slope_at, start, value_at
from verdict_initial import smooth
from verdict_known import PI, Known, Product, Ridge, exponential, sine, step
from verdict_plane import FEATURES

ROD = {"x": (0.0, 1.0), "t": (0.0, 1.0)}


def heat(source: Random) -> Case:
    k, n = 10 ** source.uniform(-2, -0.3), source.choice((1, 2))
    slopes = source.random() < 0.4
    wave = torch.cos if slopes else torch.sin
    edge = slope_at("x", value=0.0) if slopes else value_at("x", value=0.0)
    return Case(
        "heat", f"k={k:.1e}, {'insulated' if slopes else 'cold'}", lambda u, x, t: u.t - k * u.xx, ROD,
        (start(value=lambda x, t: wave(n * PI * x)), edge),
        lambda x, t: (wave(n * PI * x) * torch.exp(-k * (n * PI) ** 2 * t),), options=FEATURES,
    )  # fmt: skip


def heated(source: Random) -> Case:
    k = 10 ** source.uniform(-2, 0)
    name, edges = source.choice((
        ("values", (value_at("x"),)),
        ("mixture", (value_at("x", "lower"), mixed_at("x", (source.uniform(0.5, 3), 1.0), "upper"))),
        ("soft values", (value_at("x", soft=True),)),
    ))  # fmt: skip
    return manufactured(
        "heat, made", f"k(x) from {k:.1e}, {name}", lambda u, x, t: u.t - k * ((1 + x) * u.xx + u.x),
        smooth(source, "x", "t", fastest=4.0), ROD, (start(), *edges), options=FEATURES,
    )  # fmt: skip


def wave(source: Random) -> Case:
    c, n = source.uniform(0.5, 2), source.choice((1, 2))
    return Case(
        "wave", f"c={c:.2g}, {n} half waves", lambda u, x, t: u.tt - c**2 * u.xx, ROD,
        (start(value=lambda x, t: torch.sin(n * PI * x)), start(value=0.0, order=1),
            value_at("x", value=0.0)),
        lambda x, t: (torch.sin(n * PI * x) * torch.cos(n * PI * c * t),), options=FEATURES,
    )  # fmt: skip


def telegraph(source: Random) -> Case:
    a, b = source.uniform(0, 3), source.uniform(0, 5)
    return manufactured(
        "telegraph", f"a={a:.2g} b={b:.2g}", lambda u, x, t: u.tt - u.xx + a * u.t + b * u,
        smooth(source, "x", "t", fastest=4.0), ROD, (start(), start(order=1), value_at("x")),
        options=FEATURES,
    )  # fmt: skip


def advection(source: Random) -> Case:
    c, around = source.uniform(0.3, 2), source.random() < 0.5
    if around:
        known = Known(Ridge(1.0, sine(2 * PI, source.uniform(0, PI)), {"x": 1.0, "t": -c}), Product(0.5, {}))
        return manufactured(
            "advection", f"periodic, c={c:.2g}", lambda u, x, t: u.t + c * u.x, known, ROD,
            (start(), periodic("x")),
            options=FEATURES,
        )  # fmt: skip
    return manufactured(
        "advection", f"inflow, c={c:.2g}", lambda u, x, t: u.t + c * (1 + x / 2) * u.x,
        smooth(source, "x", "t", fastest=4.0), ROD, (start(), value_at("x", "lower")), options=FEATURES,
    )  # fmt: skip


def burgers(source: Random) -> Case:
    """A front that moves: c - tanh((x - c t - x0) / (2 nu)), or a solution that was chosen."""
    nu = 10 ** source.uniform(-1.3, -0.5)
    if source.random() < 0.5:
        c = source.uniform(0.1, 0.5)
        known = Known(Ridge(-1.0, step(0.3, 2 * nu), {"x": 1.0, "t": -c}), Product(c, {}))
        kind = "front"
    else:
        known, kind = smooth(source, "x", "t", fastest=3.0), "made"
    return manufactured(
        "Burgers", f"{kind}, nu={nu:.1e}", lambda u, x, t: u.t + u * u.x - nu * u.xx, known, ROD,
        (start(), value_at("x")), options=FEATURES,
    )  # fmt: skip


def cole_hopf(source: Random) -> Case:
    """The solution of Burgers' equation whose heat is 1 + a cos(pi x) exp(-nu pi^2 t)."""
    nu, a = source.uniform(0.02, 0.2), source.uniform(0.3, 0.9)

    def exact(x: Tensor, t: Tensor) -> tuple[Tensor]:
        warm = a * torch.exp(-nu * PI**2 * t)
        return (2 * nu * PI * warm * torch.sin(PI * x) / (1 + warm * torch.cos(PI * x)),)

    return Case(
        "Burgers, Cole-Hopf", f"nu={nu:.1e}", lambda u, x, t: u.t + u * u.x - nu * u.xx, ROD,
        (start(value=lambda x, t: exact(x, torch.zeros_like(x))[0]), value_at("x", value=0.0)), exact,
        options=FEATURES,
    )  # fmt: skip


def fisher(source: Random) -> Case:
    """The front that is known in closed form."""
    r, c0 = source.uniform(1, 20), source.uniform(0, 1)

    def exact(x: Tensor, t: Tensor) -> tuple[Tensor]:
        return ((1 + torch.exp(math.sqrt(r / 6) * x - 5 * r / 6 * t + c0)) ** -2,)

    def edge(place: float):
        return lambda x, t: exact(torch.full_like(t, place), t)[0]

    return Case(
        "Fisher", f"r={r:.2g}", lambda u, x, t: u.t - u.xx - r * u * (1 - u),
        {"x": (0.0, 1.0), "t": (0.0, 0.4)},
        (start(value=lambda x, t: exact(x, torch.zeros_like(x))[0]), value_at("x", "lower", value=edge(0.0)),
         value_at("x", "upper", value=edge(1.0))), exact, options=FEATURES,
    )  # fmt: skip


def allen_cahn(source: Random) -> Case:
    eps = source.uniform(0.08, 0.4)
    c = source.uniform(-0.2, 0.2)
    known = Known(Ridge(1.0, step(0.0, math.sqrt(2) * eps), {"x": 1.0, "t": c}))
    return manufactured(
        "Allen-Cahn", f"eps={eps:.2g}", lambda u, x, t: u.t - eps**2 * u.xx + u**3 - u, known,
        {"x": (-1.0, 1.0), "t": (0.0, 1.0)}, (start(), value_at("x")), options=FEATURES,
    )  # fmt: skip


def soliton(source: Random) -> Case:
    c = source.uniform(0.5, 3)

    def exact(x: Tensor, t: Tensor) -> tuple[Tensor]:
        return (c / 2 / torch.cosh(math.sqrt(c) / 2 * (x - c * t + 0.5)) ** 2,)

    def edge(place: float, order: int = 0):
        def value(x: Tensor, t: Tensor) -> Tensor:
            u = exact(torch.full_like(t, place), t)[0]
            return (
                u if not order else -math.sqrt(c) * u * torch.tanh(math.sqrt(c) / 2 * (place - c * t + 0.5))
            )

        return value

    return Case(
        "Korteweg-de Vries", f"c={c:.2g}", lambda u, x, t: u.t + 6 * u * u.x + u.xxx,
        {"x": (-2.0, 2.0), "t": (0.0, 0.5)},
        (start(value=lambda x, t: exact(x, torch.zeros_like(x))[0]), value_at("x", "lower", value=edge(-2.0)),
         value_at("x", "upper", value=edge(2.0)), slope_at("x", "upper", value=edge(2.0, 1))), exact,
        options=FEATURES,
    )  # fmt: skip


def schroedinger(source: Random) -> Case:
    """Real and imaginary part of a free wave, in a box or with a cubic term."""
    n, cubic = source.choice((1, 2)), source.choice((0.0, 1.0))
    known = tuple(
        Known(Product(size, {"x": sine(n * 1.5, 0.4), "t": sine(w, phase)}))
        for size, w, phase in ((1.0, source.uniform(1, 4), PI / 2), (source.uniform(0.5, 1.5), 2.0, 0.3))
    )

    def operators(u, v, x, t):
        strength = cubic * (u**2 + v**2)
        return u.t + v.xx / 2 + strength * v, v.t - u.xx / 2 - strength * u

    return manufactured(
        "Schroedinger", f"cubic {cubic:g}", operators, known, ROD,
        (start("u"), start("v"), value_at("x", field="u"), value_at("x", field="v")), ("u", "v"),
        options={**FEATURES, "hidden": (120,)},
    )  # fmt: skip


def spreading(source: Random) -> Case:
    """Two to four fields that spread and react, of different sizes."""
    count = source.choice((2, 3, 4))
    fields = ("a", "b", "c", "d")[:count]
    rates = [10 ** source.uniform(-2, 0) for _ in fields]

    def operators(*given):
        ring = given[:count]
        return tuple(
            here.t - k * here.xx - after + 0.5 * here * after
            for k, here, after in zip(rates, ring, (*ring[1:], ring[0]), strict=True)
        )

    known = tuple(smooth(source, "x", "t", size=10 ** source.uniform(-1, 0), fastest=3.0) for _ in fields)
    edges = tuple(one for field in fields for one in (start(field), value_at("x", field=field)))
    return manufactured(
        "reaction and diffusion", f"{count} fields", operators, known, ROD, edges, fields,
        options={**FEATURES, "hidden": (300 // count,)},
    )  # fmt: skip


def acoustics(source: Random) -> Case:
    """Pressure and velocity, of first order."""
    c, size = source.uniform(0.5, 2), 10 ** source.uniform(-3, 3)
    p = Known(Product(size, {"x": sine(PI), "t": sine(PI * c, PI / 2)}))
    v = Known(Product(-1.0, {"x": sine(PI, PI / 2), "t": sine(PI * c)}))
    return manufactured(
        "acoustics", f"c={c:.2g}, pressure {size:.1e}",
        lambda p, v, x, t: (p.t / size - c * v.x, v.t - c * p.x / size), (p, v), ROD,
        (start("p"), start("v"), value_at("x", field="p")), ("p", "v"),
        options={**FEATURES, "hidden": (120,)},
    )  # fmt: skip


def heat_in_the_plane(source: Random) -> Case:
    k = 10 ** source.uniform(-1.5, 0)
    space = {"x": (0.0, 1.0), "y": (0.0, 1.0), "t": (0.0, 0.5)}
    edges = source.choice(((value_at(("x", "y")),), (value_at("x"), slope_at("y"))))
    return manufactured(
        "heat in the plane", f"k={k:.1e}", lambda u, x, y, t: u.t - k * (u.xx + u.yy),
        smooth(source, "x", "y", "t", fastest=2.5), space, (start(), *edges), options=FEATURES,
    )  # fmt: skip


def carried_in_the_plane(source: Random) -> Case:
    a, b = source.uniform(0.3, 1), source.uniform(0.3, 1)
    space = {"x": (0.0, 1.0), "y": (0.0, 1.0), "t": (0.0, 0.5)}
    known = Known(
        Ridge(1.0, sine(2.0, 0.3), {"x": 1.0, "y": 1.0, "t": -(a + b)}),
        Product(0.4, {"x": exponential(-0.5), "t": sine(2.0)}),
    )
    return manufactured(
        "advection in the plane", f"{a:.2g} {b:.2g}", lambda u, x, y, t: u.t + a * u.x + b * u.y, known,
        space,
        (start(), value_at(("x", "y"), "lower")), options=FEATURES,
    )  # fmt: skip


FAMILIES = {
    heat: 4, heated: 4, wave: 3, telegraph: 3, advection: 4, burgers: 4, cole_hopf: 2, fisher: 3,
    allen_cahn: 2,
    soliton: 2, schroedinger: 3, spreading: 4, acoustics: 3, heat_in_the_plane: 2, carried_in_the_plane: 2,
}  # fmt: skip
