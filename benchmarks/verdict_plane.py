"""Families of steady problems over two and three coordinates, and of systems of them."""

from random import Random

import torch
from verdict_base import Case, Edge, manufactured, mixed_at, periodic, point, slope_at, value_at
from verdict_initial import smooth
from verdict_known import PI, Known, Product, Ridge, bump, exponential, polynomial, sine, step

SQUARE = {"x": (0.0, 1.0), "y": (0.0, 1.0)}
CUBE = {**SQUARE, "z": (0.0, 1.0)}
BOTH = ("x", "y")
FEATURES = {"method": "random_features", "hidden": (160,)}
"""Enough for smooth solutions in the plane."""


def around(source: Random, field: str | None = None) -> tuple[str, tuple[Edge, ...]]:
    """Conditions at all four edges, with the value at one of them at least."""
    values = value_at("x", "both", field)
    kinds = {
        "values": (values, value_at("y", "both", field)),
        "values and slopes": (values, slope_at("y", "both", field)),
        "values and mixtures": (values, mixed_at("y", (source.uniform(0.5, 2), 1.0), "both", field)),
        "soft values": (value_at("x", "both", field, soft=True), value_at("y", "both", field, soft=True)),
        "one slope": (values, value_at("y", "lower", field), slope_at("y", "upper", field)),
    }
    name = source.choice(list(kinds))
    return name, kinds[name]


def held(source: Random, field: str = "u", size: float = 1.0) -> tuple[Known, tuple[Edge, ...]]:
    """A solution on the unit square and its values at all edges, zero for every other one."""
    if source.random() < 0.5:
        return smooth(source, *BOTH, size=size, fastest=4.0), (value_at(BOTH, field=field),)
    hill = polynomial(0.0, 1.0, -1.0)
    known = Known(
        Product(size, {name: sine(source.choice((1, 2)) * PI) for name in BOTH}),
        Product(size * source.uniform(-4, 4), dict.fromkeys(BOTH, hill)),
    )
    return known, (value_at(BOTH, field=field, value=0.0),)


def rectangle(source: Random) -> dict[str, tuple[float, float]]:
    return {"x": (0.0, 1.0), "y": (-0.5, source.choice((0.5, 1.0)))}


def poisson(source: Random) -> Case:
    name, edges = around(source)
    return manufactured(
        "Poisson", name, lambda u, x, y: -u.xx - u.yy, smooth(source, *BOTH, fastest=4.0),
        rectangle(source), edges,
        options=FEATURES,
    )  # fmt: skip


def default_poisson(source: Random) -> Case:
    name, edges = around(source)
    return manufactured(
        "Poisson, default",
        name,
        lambda u, x, y: -u.xx - u.yy,
        smooth(source, *BOTH, fastest=3.0),
        SQUARE,
        edges,
    )


def helmholtz(source: Random) -> Case:
    """Below the first resonance of the unit square, or between the second and the third."""
    k2 = PI**2 * source.choice((source.uniform(0.3, 1.5), source.uniform(5.8, 7.2)))
    known, edges = held(source)
    return manufactured(
        "Helmholtz", f"k^2={k2 / PI**2:.2g} pi^2", lambda u, x, y: u.xx + u.yy + k2 * u, known, SQUARE, edges,
        options=FEATURES,
    )  # fmt: skip


def screened(source: Random) -> Case:
    k2 = source.uniform(1, 20)
    kinds = {
        "slopes": (slope_at("x"), slope_at("y")),
        "mixtures": (mixed_at("x", (1.0, 0.5)), mixed_at("y", (2.0, 1.0))),
    }
    name = source.choice(list(kinds))
    return manufactured(
        "screened Poisson", f"k^2={k2:.2g}, {name}", lambda u, x, y: -u.xx - u.yy + k2 * u,
        smooth(source, *BOTH, fastest=4.0), SQUARE, kinds[name], options=FEATURES,
    )  # fmt: skip


def band(source: Random) -> Case:
    """Periodic in x."""
    n = source.choice((1, 2))
    name, edges = source.choice(
        (
            ("values", (value_at("y"),)),
            ("mixture", (value_at("y", "lower"), mixed_at("y", (1.0, 1.0), "upper"))),
        )
    )
    known = Known(
        Product(1.0, {"x": sine(2 * PI * n, 0.4), "y": sine(source.uniform(1, 3), 0.3)}),
        Product(source.uniform(0.2, 1), {"y": exponential(source.uniform(-1, 1))}),
    )
    return manufactured(
        "periodic in x", f"{n} waves, {name}", lambda u, x, y: u.xx + u.yy - u, known, SQUARE,
        (periodic("x"), *edges),
        options={**FEATURES, "harmonics": n},
    )  # fmt: skip


def torus(source: Random) -> Case:
    k2 = source.uniform(1, 10)
    known = Known(
        Product(1.0, {"x": sine(2 * PI, 0.4), "y": sine(2 * PI, 1.3)}), Product(source.uniform(-1, 1), {})
    )
    return manufactured(
        "periodic in both", f"k^2={k2:.2g}", lambda u, x, y: -u.xx - u.yy + k2 * u, known, SQUARE,
        (periodic(BOTH),),
        options=FEATURES,
    )  # fmt: skip


def advected(source: Random) -> Case:
    eps, a, b = 10 ** source.uniform(-2, 0), source.uniform(0.5, 1), source.uniform(-1, 1)
    known, edges = held(source)
    return manufactured(
        "advection and diffusion", f"eps={eps:.1e}", lambda u, x, y: -eps * (u.xx + u.yy) + a * u.x + b * u.y,
        known, SQUARE, edges, options=FEATURES,
    )  # fmt: skip


def advected_layer(source: Random) -> Case:
    """With the layer at the outflow."""
    eps = 10 ** source.uniform(-1.7, -0.7)
    known = Known(
        Product(
            1.0, {"x": lambda n, s: exponential(1 / eps)(n, s - 1.0), "y": sine(source.uniform(1, 3), 0.5)}
        ),
        Product(1.0, {"x": sine(2.0), "y": sine(1.0, 0.2)}),
    )
    return manufactured(
        "layer at an outflow", f"eps={eps:.1e}", lambda u, x, y: -eps * (u.xx + u.yy) + u.x, known, SQUARE,
        (value_at(BOTH),), options={**FEATURES, "hidden": (300,)}, layers={"x": (1.0,)},
    )  # fmt: skip


def varying(source: Random) -> Case:
    a, b = source.uniform(0.3, 2), source.uniform(-0.8, 0.8)
    name, edges = around(source)
    return manufactured(
        "varying coefficients", f"{name}",
        lambda u, x, y: -((1 + a * x) * u.xx + a * u.x) - (1 + b * y * y) * u.yy + torch.exp(x * y) * u,
        smooth(source, *BOTH, fastest=4.0), SQUARE, edges, options=FEATURES,
    )  # fmt: skip


def anisotropic(source: Random) -> Case:
    small = 10 ** source.uniform(-3, 0)
    mixed = source.uniform(-0.9, 0.9) * small**0.5
    known, edges = held(source)
    return manufactured(
        "anisotropic", f"{small:.1e}", lambda u, x, y: -u.xx - small * u.yy - mixed * u.xy + u,
        known, SQUARE, edges, options=FEATURES,
    )  # fmt: skip


def nonlinear_plane(source: Random) -> Case:
    kinds = {
        "u^3": lambda u, x, y: -u.xx - u.yy + u**3,
        "exp u": lambda u, x, y: -u.xx - u.yy + torch.exp(u),
        "(1 + u^2)": lambda u, x, y: -(1 + u**2) * (u.xx + u.yy) - 2 * u * (u.x**2 + u.y**2) + 6 * u,
        "u u_x": lambda u, x, y: -u.xx - u.yy + 0.3 * u * u.x + 3 * u,
    }
    kind = source.choice(list(kinds))
    name, edges = around(source)
    if kind == "(1 + u^2)":  # as on a line, slopes alone leave it two solutions
        name, edges = "values", (value_at("x"), value_at("y"))
    return manufactured(
        "nonlinear plane", f"{kind}, {name}", kinds[kind], smooth(source, *BOTH, fastest=3.0), SQUARE, edges,
        options={**FEATURES, "hidden": (120,)},
    )  # fmt: skip


def fixed_by_a_point(source: Random) -> Case:
    return manufactured(
        "slopes and a point", "Poisson", lambda u, x, y: -u.xx - u.yy, smooth(source, *BOTH, fastest=3.0),
        SQUARE,
        (slope_at("x"), slope_at("y"), point(x=source.uniform(0, 1), y=source.uniform(0, 1))),
        options=FEATURES,
    )  # fmt: skip


def steep_plane(source: Random) -> Case:
    """A step along a slanted line, or a bump."""
    width = 10 ** source.uniform(-1.3, -0.5)
    if source.random() < 0.5:
        known = Known(Ridge(1.0, step(0.1, width), {"x": 0.8, "y": -0.6}), Product(0.5, {"x": sine(2.0)}))
        kind = "step"
    else:
        known = Known(
            Product(1.0, {"x": bump(0.4, width), "y": bump(0.6, width)}), Product(0.3, {"y": sine(2.0)})
        )
        kind = "bump"
    return manufactured(
        "steep plane", f"{kind} of width {width:.1e}", lambda u, x, y: -u.xx - u.yy + u, known, SQUARE,
        (value_at(BOTH),), options={**FEATURES, "hidden": (300,)},
    )  # fmt: skip


def plate(source: Random) -> Case:
    edges = source.choice(
        (
            (value_at(BOTH), slope_at("x"), slope_at("y")),
            (value_at(BOTH), slope_at("x", order=2), slope_at("y", order=2)),
        )
    )
    return manufactured(
        "plate", "clamped" if edges[1].order == 1 else "resting",
        lambda u, x, y: u.xxxx + 2 * u.xxyy + u.yyyy, smooth(source, *BOTH, fastest=3.0), SQUARE, edges,
        options={**FEATURES, "hidden": (150,)},
    )  # fmt: skip


def poisson_3d(source: Random) -> Case:
    k = source.choice((0.0, source.uniform(1, 5)))
    edges = source.choice(((value_at(("x", "y", "z")),), (value_at(BOTH), slope_at("z"))))
    return manufactured(
        "three coordinates", f"k={k:.2g}", lambda u, x, y, z: -u.xx - u.yy - u.zz + k * u,
        smooth(source, "x", "y", "z", fastest=2.5), CUBE, edges, options=FEATURES,
    )  # fmt: skip


def potential_flow(source: Random) -> Case:
    """Cauchy and Riemann's equations for the parts of exp(k z), with v fixed at a point."""
    k, size = source.uniform(0.5, 3), 10 ** source.uniform(-2, 2)
    u = Known(Product(size, {"x": exponential(k), "y": sine(k, PI / 2)}))
    v = Known(Product(size, {"x": exponential(k), "y": sine(k)}))
    return manufactured(
        "Cauchy-Riemann", f"k={k:.2g}", lambda u, v, x, y: (u.x - v.y, u.y + v.x), (u, v), SQUARE,
        (value_at(BOTH, field="u"), point(field="v", x=0.5, y=0.5)), ("u", "v"),
        options={**FEATURES, "hidden": (120,)},
    )  # fmt: skip


def stokes(source: Random) -> Case:
    """The velocities of a stream function; the pressure is fixed at a point."""
    a, b, c, d = source.uniform(1, 3), source.uniform(1, 3), source.uniform(0, 2), source.uniform(0, 2)
    u = Known(Product(b, {"x": sine(a, c), "y": sine(b, d + PI / 2)}))
    v = Known(Product(-a, {"x": sine(a, c + PI / 2), "y": sine(b, d)}))
    p = smooth(source, *BOTH, size=10 ** source.uniform(-1, 1), fastest=3.0)
    viscosity = 10 ** source.uniform(-1, 1)

    def operators(u, v, p, x, y):
        return p.x - viscosity * (u.xx + u.yy), p.y - viscosity * (v.xx + v.yy), u.x + v.y

    return manufactured(
        "Stokes", f"viscosity {viscosity:.1e}", operators, (u, v, p), SQUARE,
        (value_at(BOTH, field="u"), value_at(BOTH, field="v"), point(field="p", x=0.0, y=0.0)),
        ("u", "v", "p"),
        options={**FEATURES, "hidden": (100,)},
    )  # fmt: skip


def elasticity(source: Random) -> Case:
    young, ratio = 10 ** source.uniform(0, 3), source.uniform(0.1, 0.4)
    lam, mu = young * ratio / (1 + ratio) / (1 - 2 * ratio), young / 2 / (1 + ratio)

    def operators(u, v, x, y):
        return (
            (lam + 2 * mu) * u.xx + mu * u.yy + (lam + mu) * v.xy,
            (lam + 2 * mu) * v.yy + mu * v.xx + (lam + mu) * u.xy,
        )

    made = [held(source, field, 10 ** source.uniform(-3, 0)) for field in ("u", "v")]
    return manufactured(
        "elasticity", f"E={young:.1e}", operators, tuple(known for known, _ in made), SQUARE,
        tuple(edge for _, edges in made for edge in edges), ("u", "v"),
        options={**FEATURES, "hidden": (120,)},
    )  # fmt: skip


def flux(source: Random) -> Case:
    """Poisson's equation with the flux as fields of their own."""
    k = 10 ** source.uniform(-1, 2)
    u = smooth(source, *BOTH, fastest=3.0)
    p, q = (Known(*(_times(term, name, k) for term in u.terms)) for name in BOTH)
    return manufactured(
        "flux as fields", f"k={k:.1e}", lambda u, p, q, x, y: (p - k * u.x, q - k * u.y, p.x + q.y),
        (u, p, q), SQUARE,
        (value_at(BOTH, field="u"),), ("u", "p", "q"), options={**FEATURES, "hidden": (150,)},
    )  # fmt: skip


def _times(term: Product, name: str, factor: float) -> Product:
    """The slope of a product along a coordinate."""
    curve = term.curves[name]
    return Product(factor * term.factor, {**term.curves, name: lambda n, s: curve(n + 1, s)})


def reactions(source: Random) -> Case:
    """Two to four fields that react."""
    count = source.choice((2, 3, 4))
    fields = ("a", "b", "c", "d")[:count]
    rate = source.uniform(0.2, 1)

    def operators(*given):
        ring = given[:count]
        return tuple(
            -here.xx - here.yy + 3 * here - rate * after + 0.3 * here**3
            for here, after in zip(ring, (*ring[1:], ring[0]), strict=True)
        )

    made = [held(source, field, 10 ** source.uniform(-1, 0)) for field in fields]
    return manufactured(
        "reactions", f"{count} fields", operators, tuple(known for known, _ in made), SQUARE,
        tuple(edge for _, edges in made for edge in edges), fields,
        options={**FEATURES, "hidden": (240 // count,)},
    )  # fmt: skip


FAMILIES = {
    poisson: 5, default_poisson: 2, helmholtz: 3, screened: 3, band: 3, torus: 2, advected: 3,
    advected_layer: 2,
    varying: 3, anisotropic: 3, nonlinear_plane: 4, fixed_by_a_point: 2, steep_plane: 3, plate: 2,
    poisson_3d: 3,
    potential_flow: 3, stokes: 3, elasticity: 3, flux: 3, reactions: 3,
}  # fmt: skip
