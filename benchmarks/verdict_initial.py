"""Families of initial value problems; each takes a source of random numbers and returns a case."""

import math
from random import Random

import torch
from torch import Tensor
from verdict_base import Case, manufactured, start, trajectory
from verdict_known import PI, Known, Product, bump, exponential, polynomial, sine


def smooth(source: Random, *names: str, size: float = 1.0, fastest: float = 5.0) -> Known:
    """A random sum of two products of waves and exponentials, of the size asked for."""
    terms = []
    for factor in (size, size * source.uniform(0.3, 0.8)):
        curves = {}
        for name in names:
            wave = source.random() < 0.7
            k = source.uniform(1.0, fastest)
            curves[name] = (
                sine(k, source.uniform(0, PI)) if wave else exponential(source.choice((-1, 1)) * k / fastest)
            )
        terms.append(Product(factor * source.choice((-1, 1)), curves))
    return Known(*terms)


def starts(orders: int) -> tuple:
    return tuple(start(order=order) for order in range(orders))


def first_order(source: Random) -> Case:
    a, b = source.uniform(-1, 2), source.uniform(0, 2)
    return manufactured(
        "linear, order 1", f"u' + (a + b sin t) u, a={a:.2g} b={b:.2g}",
        lambda u, t: u.t + (a + b * torch.sin(t)) * u,
        smooth(source, "t"), {"t": (0.0, source.choice((1.0, 2.0, 5.0)))}, starts(1),
    )  # fmt: skip


def damped(source: Random) -> Case:
    w, z, end = source.uniform(1, 6), source.uniform(0.02, 0.8), source.uniform(2, 6)
    fast = w * math.sqrt(1 - z**2)

    def exact(t: Tensor) -> tuple[Tensor]:
        return (torch.exp(-z * w * t) * (torch.cos(fast * t) + z * w / fast * torch.sin(fast * t)),)

    return Case(
        "damped oscillation", f"u'' + 2 z w u' + w^2 u, w={w:.2g} z={z:.2g}",
        lambda u, t: u.tt + 2 * z * w * u.t + w**2 * u, {"t": (0.0, end)},
        (start(value=1.0), start(value=0.0, order=1)), exact,
    )  # fmt: skip


def long_oscillation(source: Random) -> Case:
    w, end, u0 = source.uniform(3, 8), source.uniform(8, 14), source.uniform(-2, 2)
    return Case(
        "long oscillation", f"u'' + w^2 u, w T={w * end:.3g}", lambda u, t: u.tt + w**2 * u,
        {"t": (0.0, end)},
        (start(value=u0), start(value=w, order=1)),
        lambda t: (u0 * torch.cos(w * t) + torch.sin(w * t),),
    )  # fmt: skip


def variable_second(source: Random) -> Case:
    a, b = source.uniform(0.2, 2), source.uniform(-3, 3)
    return manufactured(
        "linear, order 2", f"(1 + a t) u'' + t u' + b u, a={a:.2g} b={b:.2g}",
        lambda u, t: (1 + a * t) * u.tt + t * u.t + b * u, smooth(source, "t"),
        {"t": (0.0, source.choice((1.0, 3.0)))}, starts(2),
    )  # fmt: skip


def third_order(source: Random) -> Case:
    a, b, c = (source.uniform(0, 3) for _ in range(3))
    return manufactured(
        "linear, order 3", "u''' + a u'' + b u' + c cos t u",
        lambda u, t: u.ttt + a * u.tt + b * u.t + c * torch.cos(t) * u,
        smooth(source, "t"), {"t": (0.0, source.choice((1.0, 2.0)))}, starts(3),
    )  # fmt: skip


def fourth_order(source: Random) -> Case:
    a, b = source.uniform(0, 3), source.uniform(0, 3)
    return manufactured(
        "linear, order 4", "u'''' + a u'' + b u", lambda u, t: u.tttt + a * u.tt + b * u, smooth(source, "t"),
        {"t": (0.0, source.choice((1.0, 2.0)))}, starts(4),
    )  # fmt: skip


def stiff(source: Random) -> Case:
    rate, off = 10 ** source.uniform(1.3, 3), source.choice((0.0, source.uniform(0.2, 1)))
    return Case(
        "stiff", f"u' + L (u - cos t) + sin t, L={rate:.3g}, off by {off:.2g}",
        lambda u, t: u.t + rate * (u - torch.cos(t)) + torch.sin(t), {"t": (0.0, 2.0)},
        (start(value=1.0 + off),), lambda t: (torch.cos(t) + off * torch.exp(-rate * t),),
        layers={"t": (0.0,)},
    )  # fmt: skip


def kinked(source: Random) -> Case:
    """The forcing, or its slope, jumps in the middle."""
    c, a = source.uniform(0.3, 1.4), source.uniform(0.5, 3)
    jump = source.random() < 0.5

    def forcing(t: Tensor) -> Tensor:
        return torch.where(t > c, 1.0 if jump else t - c, 0.0 * t)

    def exact(t: Tensor) -> tuple[Tensor]:
        s = torch.clamp(t - c, min=0.0)
        part = -torch.expm1(-a * s) / a
        return (torch.exp(-a * t) + (part if jump else (s - part) / a),)

    return Case(
        "kinked", f"u' + a u, a {'jump' if jump else 'kink'} in the force at {c:.2g}",
        lambda u, t: u.t + a * u - forcing(t), {"t": (0.0, 2.0)}, (start(value=1.0),), exact,
        layers={"t": (c,)},
    )  # fmt: skip


def pulse(source: Random) -> Case:
    """A force of area one and of a small width."""
    width, m = 10 ** source.uniform(-4, -1.5), source.uniform(0.4, 2.5)
    root = math.sqrt(2)

    def exact(t: Tensor) -> tuple[Tensor]:
        seen = torch.erf((t - m - width**2) / (width * root)) - math.erf((-m - width**2) / (width * root))
        return (torch.exp(-t) + torch.exp(-(t - m) + width**2 / 2) * seen / 2,)

    return Case(
        "thin pulse", f"u' + u, pulse of width {width:.1e} at {m:.2g}",
        lambda u, t: u.t + u - torch.exp(-(((t - m) / width) ** 2) / 2) / (width * math.sqrt(2 * PI)),
        {"t": (0.0, 3.0)}, (start(value=1.0),), exact, layers={"t": (m,)},
    )  # fmt: skip


def logistic(source: Random) -> Case:
    r, u0 = source.uniform(0.5, 4), source.uniform(0.02, 2)
    return Case(
        "logistic", f"u' = r u (1 - u), r={r:.2g} u0={u0:.2g}", lambda u, t: u.t - r * u * (1 - u),
        {"t": (0.0, 4.0)}, (start(value=u0),), lambda t: (u0 / (u0 + (1 - u0) * torch.exp(-r * t)),),
    )  # fmt: skip


def riccati(source: Random) -> Case:
    a, end = source.uniform(0.5, 2), source.uniform(0.6, 1.2)
    if source.random() < 0.5:
        return Case(
            "Riccati", f"u' = a^2 + u^2, a={a:.2g}", lambda u, t: u.t - a**2 - u**2, {"t": (0.0, end / a)},
            (start(value=0.0),), lambda t: (a * torch.tan(a * t),),
        )  # fmt: skip
    return Case(
        "Riccati", f"u' = a^2 - u^2, a={a:.2g}", lambda u, t: u.t - a**2 + u**2, {"t": (0.0, 4.0)},
        (start(value=0.0),), lambda t: (a * torch.tanh(a * t),),
    )  # fmt: skip


def bernoulli(source: Random) -> Case:
    u0 = source.uniform(0.05, 1.8)
    return Case(
        "Bernoulli", f"u' = u - u^3, u0={u0:.2g}", lambda u, t: u.t - u + u**3, {"t": (0.0, 4.0)},
        (start(value=u0),), lambda t: (1 / torch.sqrt(1 + (u0**-2 - 1) * torch.exp(-2 * t)),),
    )  # fmt: skip


def pendulum(source: Random) -> Case:
    u0, drag = source.uniform(0.3, 2.8), source.choice((0.0, 0.2))
    return trajectory(
        "pendulum", f"u'' + c u' + sin u, c={drag}, u0={u0:.2g}",
        lambda u, t: u.tt + drag * u.t + torch.sin(u), lambda t, y: (y[1], -drag * y[1] - math.sin(y[0])),
        (0.0, source.uniform(3, 8)), (u0, 0.0), {"u": (0, 1)},
    )  # fmt: skip


def van_der_pol(source: Random) -> Case:
    mu = source.uniform(0.3, 2.5)
    return trajectory(
        "Van der Pol", f"mu={mu:.2g}", lambda u, t: u.tt - mu * (1 - u**2) * u.t + u,
        lambda t, y: (y[1], mu * (1 - y[0] ** 2) * y[1] - y[0]), (0.0, 6.0), (2.0, 0.0), {"u": (0, 1)},
    )  # fmt: skip


def duffing(source: Random) -> Case:
    b, f, w = source.uniform(0.5, 3), source.uniform(0, 2), source.uniform(0.5, 3)
    return trajectory(
        "Duffing", f"u'' + u + b u^3 = f cos wt, b={b:.2g} f={f:.2g}",
        lambda u, t: u.tt + u + b * u**3 - f * torch.cos(w * t),
        lambda t, y: (y[1], f * math.cos(w * t) - y[0] - b * y[0] ** 3), (0.0, 5.0), (1.0, 0.0),
        {"u": (0, 1)},
    )  # fmt: skip


def lotka_volterra(source: Random) -> Case:
    a, b, c = (source.uniform(0.5, 1.5) for _ in range(3))
    return trajectory(
        "Lotka-Volterra", f"a={a:.2g} b={b:.2g} c={c:.2g}",
        lambda u, v, t: (u.t - a * u + b * u * v, v.t + c * v - u * v),
        lambda t, y: (a * y[0] - b * y[0] * y[1], -c * y[1] + y[0] * y[1]), (0.0, source.uniform(3, 7)),
        (source.uniform(0.4, 1.5), source.uniform(0.4, 1.5)), {"u": (0,), "v": (1,)},
    )  # fmt: skip


def rigid_body(source: Random) -> Case:
    a, b, c = source.uniform(0.5, 1.5), -source.uniform(0.5, 1.5), source.uniform(-0.6, -0.2)
    return trajectory(
        "rigid body", f"three fields, {a:.2g} {b:.2g} {c:.2g}",
        lambda u, v, w, t: (u.t - a * v * w, v.t - b * u * w, w.t - c * u * v),
        lambda t, y: (a * y[1] * y[2], b * y[0] * y[2], c * y[0] * y[1]), (0.0, 6.0), (0.3, 1.0, 0.9),
        {"u": (0,), "v": (1,), "w": (2,)},
    )  # fmt: skip


def kepler(source: Random) -> Case:
    e = source.uniform(0, 0.4)

    def equation(x, y, p, q, t):
        cube = (x**2 + y**2) ** 1.5
        return x.t - p, y.t - q, p.t + x / cube, q.t + y / cube

    def slope(t, s):
        cube = (s[0] ** 2 + s[1] ** 2) ** 1.5
        return s[2], s[3], -s[0] / cube, -s[1] / cube

    begin = (1 - e, 0.0, 0.0, math.sqrt((1 + e) / (1 - e)))
    fields = {name: (place,) for place, name in enumerate("xypq")}
    return trajectory("Kepler", f"four fields, e={e:.2g}", equation, slope, (0.0, 4.0), begin, fields)


def epidemic(source: Random) -> Case:
    beta, sigma, gamma = source.uniform(1, 3), source.uniform(0.5, 2), source.uniform(0.3, 1)

    def equation(a, b, c, d, t):
        return (
            a.t + beta * a * c,
            b.t - beta * a * c + sigma * b,
            c.t - sigma * b + gamma * c,
            d.t - gamma * c,
        )

    def slope(t, y):
        new = beta * y[0] * y[2]
        return -new, new - sigma * y[1], sigma * y[1] - gamma * y[2], gamma * y[2]

    fields = {name: (place,) for place, name in enumerate("abcd")}
    return trajectory(
        "epidemic",
        f"four fields, beta={beta:.2g}",
        equation,
        slope,
        (0.0, 6.0),
        (0.9, 0.06, 0.04, 0.0),
        fields,
    )


def springs(source: Random) -> Case:
    """Two masses, each on a spring and joined by a third: the sum and the difference oscillate alone."""
    k, c, small = source.uniform(1, 6), source.uniform(0.2, 4), 10 ** source.uniform(-4, 0)
    slow, fast = math.sqrt(k), math.sqrt(k + 2 * c)

    def exact(t: Tensor) -> tuple[Tensor, Tensor]:
        both, apart = torch.cos(slow * t), small * torch.cos(fast * t)
        return (both + apart), (both - apart)

    return Case(
        "coupled springs", f"k={k:.2g} c={c:.2g}, difference {small:.1e}",
        lambda u, v, t: (u.tt + k * u + c * (u - v), v.tt + k * v + c * (v - u)), {"t": (0.0, 5.0)},
        (start("u", 1 + small), start("u", 0.0, 1), start("v", 1 - small), start("v", 0.0, 1)),
        exact, ("u", "v"),
    )  # fmt: skip


def chain(source: Random) -> Case:
    """A decay chain of three fields whose sizes differ by orders."""
    a, b = source.uniform(1, 3), 10 ** source.uniform(-3, -0.5)

    def exact(t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        u, v = torch.exp(-a * t), a / (b - a) * (torch.exp(-a * t) - torch.exp(-b * t))
        w = 1 + (a * torch.exp(-b * t) - b * torch.exp(-a * t)) / (b - a)
        return u, v, w

    return Case(
        "decay chain", f"three fields, a={a:.2g} b={b:.1e}",
        lambda u, v, w, t: (u.t + a * u, v.t - a * u + b * v, w.t - b * v), {"t": (0.0, 3.0)},
        (start("u", 1.0), start("v", 0.0), start("w", 0.0)), exact, ("u", "v", "w"),
    )  # fmt: skip


def nonlinear_made(source: Random) -> Case:
    a = source.uniform(0.3, 2)
    kind = source.choice(("u' + a u^2 t", "u'' + a sin u + u u'", "u''' + a u u''"))
    operators = {
        "u' + a u^2 t": (lambda u, t: u.t + a * u**2 * t, 1),
        "u'' + a sin u + u u'": (lambda u, t: u.tt + a * torch.sin(u) + u * u.t, 2),
        "u''' + a u u''": (lambda u, t: u.ttt + a * u * u.tt, 3),
    }
    operator, order = operators[kind]
    return manufactured(
        "nonlinear, made", kind, operator, smooth(source, "t"), {"t": (0.0, 2.0)}, starts(order)
    )


def bumps(source: Random) -> Case:
    """A solution that is flat but for one bump."""
    width, c = 10 ** source.uniform(-2, -0.7), source.uniform(0.4, 1.6)
    known = Known(
        Product(1.0, {"t": bump(c, width)}), Product(source.uniform(0.1, 1), {"t": polynomial(1.0, 0.5)})
    )
    return manufactured(
        "bump in time", f"width {width:.1e}", lambda u, t: u.tt + u.t + 4 * u, known, {"t": (0.0, 2.0)},
        starts(2),
        layers={"t": (c,)},
    )  # fmt: skip


FAMILIES = {
    first_order: 4, damped: 4, long_oscillation: 3, variable_second: 4, third_order: 3, fourth_order: 3,
    stiff: 4,
    kinked: 3, pulse: 4, logistic: 3, riccati: 3, bernoulli: 3, pendulum: 4, van_der_pol: 3, duffing: 3,
    lotka_volterra: 4, rigid_body: 3, kepler: 3, epidemic: 3, springs: 4, chain: 4, nonlinear_made: 4,
    bumps: 3,
}  # fmt: skip
"""How many of each a set holds."""
