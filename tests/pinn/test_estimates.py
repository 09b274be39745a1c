"""The estimated error of a solve is its error, against closed forms, or it is not trusted."""

import math

import numpy as np
import pytest
import torch

from funcsci import pinn
from funcsci.pinn import Problem, Solution
from funcsci.pinn.judging import measured
from funcsci.pinn.last_layer import evaluate, jets
from funcsci.pinn.network import NetworkSettings
from funcsci.pinn.settings import Settings
from funcsci.pinn.task import make_task
from funcsci.random import key

pytestmark = pytest.mark.filterwarnings("ignore:solve did not converge:RuntimeWarning")

pi, sin, cos, exp = math.pi, torch.sin, torch.cos, torch.exp
SQUARE = {"x": (0.0, 1.0), "y": (0.0, 1.0)}
FIXED = [pinn.dirichlet("x", 0.0)]
ROUND_OFF = 1e-11
"""Relative errors of which nothing is asked: the terms of high derivatives round by more."""


def line(equation, conditions, reference) -> Problem:
    return pinn.ode(equation, (0.0, 1.0), coordinate="x", conditions=conditions, reference=reference)


def solved(problem: Problem, width: int, **options) -> Solution:
    return pinn.solve(problem, method="random_features", hidden=(width,), progress=False, **options)


def true_errors(solution: Solution) -> dict[str, float]:
    """The relative error of each field on an even grid."""
    domain = solution.problem.domain
    count = 2_001 if domain.dimensions == 1 else 61
    axes = np.meshgrid(*(np.linspace(a, b, count) for a, b in domain.ranges.values()), indexing="ij")
    exact = solution.exact(*axes)
    found = solution(*axes)
    many = len(solution.fields) > 1
    pairs = zip(found, exact, strict=True) if many else [(found, exact)]
    errors = [float(np.linalg.norm(one - other) / np.linalg.norm(other)) for one, other in pairs]
    return dict(zip(solution.fields, errors, strict=True))


def turning(w: float) -> Problem:
    return pinn.ode(
        lambda u, v: (u.t - v, v.t + w**2 * u),
        (0.0, 3.0),
        [1.0, 0.0],
        reference=lambda t: (cos(w * t), -w * sin(w * t)),
    )


def layer(thickness: float) -> Problem:
    ends = [pinn.dirichlet("x", 0.0, side="lower"), pinn.dirichlet("x", 1.0, side="upper")]
    return line(
        lambda u: thickness * u.xx + u.x,
        ends,
        lambda x: (1 - exp(-x / thickness)) / (1 - math.exp(-1 / thickness)),
    )


def product(x, y):
    return sin(pi * x) * sin(2 * pi * y)


POISSON = pinn.pde(
    lambda u, x, y: u.laplacian() + 5 * pi**2 * product(x, y),
    SQUARE,
    [pinn.dirichlet(("x", "y"), 0.0)],
    reference=product,
)
HEAT = pinn.pde(
    lambda u: u.t - u.xx / 4,
    {"x": (0.0, 1.0), "t": (0.0, 1.0)},
    [pinn.initial(lambda x: sin(2 * pi * x)), *FIXED],
    reference=lambda x, t: sin(2 * pi * x) * exp(-(pi**2) * t),
)
SOFT_SQUARE = pinn.pde(
    lambda u: u.laplacian() - 20 * u,
    SQUARE,
    [pinn.dirichlet(("x", "y"), lambda x, y: exp(4 * x + 2 * y), hard=False)],
    reference=lambda x, y: exp(4 * x + 2 * y),
)
WAVES = line(lambda u, x: u.xx + (8 * pi) ** 2 * sin(8 * pi * x), FIXED, lambda x: sin(8 * pi * x))
SOFT_WAVES = line(
    lambda u, x: u.xx - u + (64 * pi**2 + 1) * sin(8 * pi * x),
    [pinn.dirichlet("x", 0.0, hard=False)],
    lambda x: sin(8 * pi * x),
)
EXCHANGE = line(
    lambda u: u.xx + 100 * u,
    [
        pinn.robin("x", 1.0, 1.0, -9.0, side="lower"),
        pinn.dirichlet("x", math.cos(10) + math.sin(10), side="upper"),
    ],
    lambda x: cos(10 * x) + sin(10 * x),
)
GROWTH = pinn.ode(
    lambda u: u.t - 4 * u * (1 - u), (0.0, 2.0), 0.2, reference=lambda t: 1 / (1 + 4 * exp(-4 * t))
)

TOLD = [
    *[("waves", WAVES, width) for width in (12, 16, 24, 32, 48)],
    *[("soft waves", SOFT_WAVES, width) for width in (12, 16, 24, 48)],
    *[("exchange", EXCHANGE, width) for width in (8, 12, 16, 20)],
    *[("growth", GROWTH, width) for width in (6, 8, 12)],
    *[("turning", turning(12.0), width) for width in (24, 32)],
    *[("layer", layer(1e-2), width) for width in (24, 32, 64, 128)],
    *[("poisson", POISSON, width) for width in (30, 60)],
    *[("heat", HEAT, width) for width in (30, 100)],
    *[("soft square", SOFT_SQUARE, width) for width in (30,)],
]


@pytest.mark.parametrize(
    ("problem", "width"), [one[1:] for one in TOLD], ids=[f"{a}-{b}" for a, _, b in TOLD]
)
def test_the_estimate_is_the_error_to_a_factor_of_ten(problem: Problem, width: int) -> None:
    solution = solved(problem, width)
    for field, error in true_errors(solution).items():
        estimate = solution.error_estimate[field]
        if max(error, estimate) > ROUND_OFF:
            assert error / 10 <= estimate <= 10 * error, (field, error, estimate)


def pulse(width: float) -> Problem:
    """y' = -y and a bell of area one about t = 1/2."""

    def exact(t):
        rise = torch.erf((t - 0.5 - width**2) / (width * math.sqrt(2)))
        return exp(-t) + exp(-(t - 0.5) + width**2 / 2) * (rise + 1) / 2

    def equation(u, t):
        return u.t + u - exp(-(((t - 0.5) / width) ** 2) / 2) / (width * math.sqrt(2 * pi))

    return pinn.ode(equation, (0.0, 3.0), 1.0, reference=exact)


UNRESOLVED = {
    "layer": layer(1e-3),
    "thinner layer": layer(1e-5),
    "pulse": pulse(1e-3),
    "thinner pulse": pulse(3e-5),
    "fast waves": line(
        lambda u, x: u.xx + (100 * pi) ** 2 * sin(100 * pi * x), FIXED, lambda x: sin(100 * pi * x)
    ),
    "turning fast": turning(100.0),
}


@pytest.mark.parametrize("width", [16, 32, 64])
@pytest.mark.parametrize("name", UNRESOLVED)
def test_what_is_not_resolved_is_not_trusted_or_its_error_is_told(name: str, width: int) -> None:
    solution = solved(UNRESOLVED[name], width)
    for field, error in true_errors(solution).items():
        told = solution.error_estimate[field] >= min(error, 1.0) / 10
        assert told or not solution.estimate_trusted, (error, solution.verdict)
    assert not solution.status.converged or max(true_errors(solution).values()) <= 10 * solution.settings.tol


@pytest.mark.parametrize("name", ["thinner pulse", "thinner layer"])
def test_by_default_it_is_resolved_or_not_called_converged(name: str) -> None:
    solution = pinn.solve(UNRESOLVED[name], method="random_features", progress=False)
    error = max(true_errors(solution).values())
    assert error <= 1e-7 if solution.status.converged else error > solution.settings.tol / 10


def test_what_only_a_wide_layer_resolves_is_corrected_by_as_many_features() -> None:
    solution = solved(UNRESOLVED["thinner pulse"], 1_024)
    error, told = true_errors(solution)["u"], solution.error_estimate["u"]
    assert solution.status.converged and solution.estimate_trusted and told / 10 < error < 10 * told


# ---- What an estimate is made of


def test_relative_residuals_are_what_is_left_over_the_largest_of_its_terms() -> None:
    # u = 2 + t solves no u' + u = 0: what is left is 3 + t, and the largest of its terms is u.
    task = make_task(pinn.ode(lambda u: u.t + u, (0.0, 1.0), 2.0), Settings(key(0)), NetworkSettings((16,)))

    def verdict(function):
        changed = task._replace(trial=task.trial._replace(before=function))
        params = changed.trial.init(key(5), dtype=torch.float64)
        points = changed.training(100, key(1), "sobol")
        programs = [jets(changed.trial, one.requests, ("u",), "taylor") for one, _ in points]
        blocks = evaluate(programs, params, points, ("u",))
        return measured(changed, blocks, torch.zeros(1, 17)), points[0][1].x

    found, x = verdict(lambda x: (2 + x[0])[None])
    share, t = task.share(x), x[:, 0]
    expected = math.sqrt(float(share @ (3 + t) ** 2) / float(share @ (2 + t) ** 2))
    assert found.residuals["equation"].relative == pytest.approx(expected, rel=1e-12)
    assert found.residuals["equation"].fall == pytest.approx(1.0)  # nothing but the built-in part was tried
    assert found.trusted and found.errors == {} and found.worst_residual == found.error
    infinite, _ = verdict(lambda x: x / 0.0)
    assert infinite.worst_residual == math.inf and not infinite.trusted and not infinite.meets(1e9)


def test_residuals_are_named_and_do_not_depend_on_units() -> None:
    def residuals(a: float, e: float, s: float) -> dict[str, float]:
        problem = pinn.ode(
            lambda u, x: e * (s**2 * u.xx / a - 4 * u / a + sin(20 * x / s)), (0.0, 2.0 * s), coordinate="x",
            conditions=[
                pinn.dirichlet("x", 3.0 * a, side="lower", hard=False),
                pinn.robin("x", 2.0, 5.0 * s, 1.0 * a, side="upper"),
            ],
        )  # fmt: skip
        return solved(problem, 12).residuals

    first, second = residuals(1.0, 1.0, 1.0), residuals(1e6, 1e-9, 60.0)
    assert len(first) == 3 and {"equation"} < set(first)
    for one, other in zip(first.values(), second.values(), strict=True):
        assert one == pytest.approx(other, rel=1e-4, abs=1e-12)


def test_without_an_estimate_tol_is_asked_of_the_residual() -> None:
    solution = solved(WAVES, 48, estimate=False, tol=1e-6)
    assert solution.error_estimate == {} and solution.status.converged
    assert solution.verdict.error == max(solution.residuals.values()) <= 1e-6
    assert "relative residual" in solution.status.reason and "estimated" not in solution.status.reason
    assert torch.equal(
        solution.params[0][0]["layers"][1]["weight"], solved(WAVES, 48).params[0][0]["layers"][1]["weight"]
    )
    rough = solved(WAVES, 12, estimate=False, tol=1e-6)
    assert not rough.status.converged


def steel(modulus: float, size: float) -> Problem:
    """Plane elasticity with the stresses as fields, from a displacement in closed form."""
    nu = 0.3
    lam, mu = modulus * nu / (1 + nu) / (1 - 2 * nu), modulus / 2 / (1 + nu)

    def exact_u(x, y):
        return size * cos(2 * pi * x) * sin(pi * y)

    def exact_v(x, y):
        return size * sin(pi * x) * y**4

    def equations(u, v, p, q, r, x, y):
        stretch = -(lam + 2 * mu) * 4 * pi**2 * exact_u(x, y) + lam * 4 * pi * size * cos(pi * x) * y**3
        shear = mu * size * (-(pi**2) * cos(2 * pi * x) * sin(pi * y) + 4 * pi * cos(pi * x) * y**3)
        lift = (lam + 2 * mu) * 12 * size * sin(pi * x) * y**2
        lift = lift - lam * 2 * pi**2 * size * sin(2 * pi * x) * cos(pi * y)
        turn = mu * size * (-2 * pi**2 * sin(2 * pi * x) * cos(pi * y) - pi**2 * sin(pi * x) * y**4)
        return (
            p.x + r.y - stretch - shear,
            r.x + q.y - lift - turn,
            p - (lam + 2 * mu) * u.x - lam * v.y,
            q - (lam + 2 * mu) * v.y - lam * u.x,
            r - mu * (u.y + v.x),
        )

    def reference(x, y):
        ux, uy = -2 * pi * size * sin(2 * pi * x) * sin(pi * y), pi * size * cos(2 * pi * x) * cos(pi * y)
        vx, vy = pi * size * cos(pi * x) * y**4, 4 * size * sin(pi * x) * y**3
        along, across = (lam + 2 * mu) * ux + lam * vy, (lam + 2 * mu) * vy + lam * ux
        return exact_u(x, y), exact_v(x, y), along, across, mu * (uy + vx)

    return pinn.pde(
        equations, SQUARE,
        [pinn.dirichlet(("x", "y"), exact_u, field="u"), pinn.dirichlet(("x", "y"), exact_v, field="v")],
        reference=reference,
    )  # fmt: skip


def test_steel_is_as_easy_as_moduli_of_one() -> None:
    options = {"points": 120, "tol": 0.9}
    ones, doubled, steels = (
        true_errors(solved(steel(*of), 40, **options))
        for of in ((1.0, 1.0), (2.0**38, 2.0**-17), (210e9, 1e-5))
    )
    assert max(ones.values()) < 0.5
    for field, error in ones.items():
        assert doubled[field] == pytest.approx(error, rel=1e-9)  # powers of two change nothing
        assert (
            1 / 3 < steels[field] / error < 3
        )  # scales are rounded to them, which weighs equations by up to 2


KINK, JUMP = 0.3, 0.7


@pytest.mark.parametrize("found", ["a kink", "a jump", "a pulse in time"])
def test_a_place_that_is_named_is_resolved(found: str) -> None:
    """Each against the same solve without the name."""
    problem, places, options, gain = {
        "a kink": (
            pinn.ode(
                lambda u, x: u.xx - torch.abs(x - KINK), (0.0, 1.0), coordinate="x",
                conditions=pinn.dirichlet("x", 0.0),
                reference=lambda x: (
                    torch.abs(x - KINK) ** 3 - KINK**3 + x * (KINK**3 - (1 - KINK) ** 3)
                ) / 6,
            ), [KINK], {}, 1e-3,
        ),
        "a jump": (
            pinn.ode(
                lambda u, x: u.xx - torch.where(x > JUMP, 1.0, 0.0), (0.0, 1.0), coordinate="x",
                conditions=pinn.dirichlet("x", 0.0),
                reference=lambda x: torch.relu(x - JUMP) ** 2 / 2 - x * (1 - JUMP) ** 2 / 2,
            ), [JUMP], {}, 0.5,
        ),
        "a pulse in time": (
            pinn.ode(
                lambda u, t: u.t - 1e7 / math.pi / (1 + (1e7 * (t - JUMP)) ** 2), (0.0, 1.0),
                -math.atan(-1e7 * JUMP) / -math.pi,
                reference=lambda t: torch.atan(1e7 * (t - JUMP)) / math.pi,
            ), [KINK, JUMP], {"width": 1_024, "slabs": 4}, 1e-2,
        ),
    }[found]  # fmt: skip
    named, alone = (
        solved(problem, **{"width": 512, **options, "breakpoints": some}) for some in (places, ())
    )
    assert named.relative_l2 < gain * alone.relative_l2
    assert not named.estimate_trusted or 0.1 < named.verdict.error / named.relative_l2 < 10
