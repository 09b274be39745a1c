"""A solve says what its answer is worth: how far off it is, and where there are many solutions or none."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.optimize import brentq

from funcsci import pinn
from funcsci.pinn import Problem, Solution
from funcsci.pinn.requirements import Differentiated
from funcsci.pinn.verdict import NO_SOLUTION, NOT_UNIQUE

pytestmark = pytest.mark.filterwarnings("ignore:solve did not converge:RuntimeWarning")

pi, sin, cos, exp = math.pi, torch.sin, torch.cos, torch.exp
SQUARE = {"x": (0.0, 1.0), "y": (0.0, 1.0)}
FIXED = [pinn.dirichlet("x", 0.0)]
CLOSED = [pinn.neumann("x", 0.0)]


def solved(problem: Problem, width: int = 128, **options) -> Solution:
    return pinn.solve(problem, method="random_features", hidden=(width,), progress=False, **options)


def line(equation, conditions, end: float = 1.0, reference=None, **options) -> Problem:
    return pinn.ode(
        equation, (0.0, end), coordinate="x", conditions=conditions, reference=reference, **options
    )


def box(equation, conditions, reference=None, **options) -> Problem:
    return pinn.pde(equation, SQUARE, conditions, reference=reference, **options)


# ---- What has no solution, or many


NO = {
    "resonance": line(lambda u, x: u.xx + pi**2 * u - sin(pi * x), FIXED),
    "resonance of a higher mode": line(lambda u, x: u.xx + 9 * pi**2 * u - sin(3 * pi * x), FIXED),
    "resonance of a closed end": line(
        lambda u, x: u.xx + pi**2 / 4 * u - sin(pi / 2 * x),
        [pinn.dirichlet("x", 0.0, side="lower"), pinn.neumann("x", 0.0, side="upper")],
    ),
    "flux that goes nowhere": line(lambda u: u.xx - 1, CLOSED),
    "source on a circle": line(lambda u, x: u.xx - 1 - cos(2 * pi * x), [pinn.periodic("x")]),
    "a free beam under its weight": line(
        lambda u: u.xxxx - 1, [pinn.neumann("x", 0.0, order=2), pinn.neumann("x", 0.0, order=3)]
    ),
    "a load on a rod that nothing holds": line(
        lambda u, s: (s - u.x, s.x + 1.0), [pinn.dirichlet("x", 0.0, field="s")]
    ),
    "flux into a square": box(lambda u: u.laplacian() + 1, [pinn.neumann(("x", "y"), 0.0)]),
}


@pytest.mark.parametrize("name", NO)
def test_a_problem_without_a_solution_is_said_to_have_none(name: str) -> None:
    solution = solved(NO[name])
    assert solution.verdict.ill_posed == NO_SOLUTION
    assert not solution.status.converged and "no solution" in solution.status.reason
    assert not solution.verdict.meets(1e9)  # whatever is asked


MANY = {
    "a mode": (line(lambda u, x: u.xx + pi**2 * u - sin(2 * pi * x), FIXED), None),
    "a level": (line(lambda u, x: u.xx - cos(pi * x), CLOSED), "a constant in u"),
    "a level on a circle": (
        line(lambda u, x: u.xx - cos(2 * pi * x), [pinn.periodic("x")]),
        "a constant in u",
    ),
    "a pressure": (
        line(lambda u, p: (u.xx - 1, p.x - u.x), [pinn.dirichlet("x", 0.0, field="u")], well_posed=False),
        "a constant in p",
    ),
    "a rotation": (
        pinn.ode(
            lambda a, b: (a.x - b, b.x + a), (pi / 2, pi), coordinate="x",
            conditions=[
                pinn.dirichlet("x", 1.0, side="lower", field="a"),
                pinn.dirichlet("x", -1.0, side="upper", field="b"),
            ],
        ),
        None,
    ),
    "a velocity at the start": (
        pinn.ode(
            lambda u: u.tt + 2 * u, (0.0, 3.0), conditions=[pinn.point({"t": 0.0}, 1.0)], well_posed=False
        ), None
    ),
    "a level in a square": (
        box(lambda u, x: u.laplacian() + pi**2 * cos(pi * x), [pinn.neumann(("x", "y"), 0.0)]),
        "a constant in u",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MANY)
def test_a_problem_with_many_solutions_is_said_to_have_them_with_what_may_be_added(name: str) -> None:
    problem, description = MANY[name]
    solution = solved(problem)
    verdict = solution.verdict
    assert verdict.ill_posed == NOT_UNIQUE and not solution.status.converged
    assert "not unique" in solution.status.reason and "may be added" in solution.status.reason
    told = [null.description for null in verdict.nulls]
    assert len(told) == 1 and (told == [description] if description else "plot(null=0)" in told[0])
    # Both the solution and its sum with any multiple of the null function satisfy the problem.
    (null,) = verdict.nulls
    x = torch.rand(50, problem.domain.dimensions, generator=torch.Generator().manual_seed(0))
    starts = torch.tensor(problem.domain.lower)
    x = starts + x * torch.tensor(problem.domain.lengths)
    equations = problem.equations

    def left(function: Callable) -> torch.Tensor:
        values = Differentiated(problem.fields, equations.requests, "nested")
        return torch.stack([equations.residuals(values.values(function, one), one) for one in x])

    def both(one: torch.Tensor) -> torch.Tensor:
        return solution.function(one) + 3 * null.trial.apply(null.params, one)

    sizes = torch.stack([null.trial.apply(null.params, one) for one in x]).abs().max()
    assert float((left(both) - left(solution.function)).abs().max()) < 1e-4 * float(sizes)


@pytest.mark.parametrize("seed", [0, 1])
def test_of_many_solutions_it_is_that_of_least_norm(seed: int) -> None:
    x = np.linspace(0, 1, 201)
    level = solved(MANY["a level"][0], seed=seed)
    np.testing.assert_allclose(level(x), -np.cos(pi * x) / pi**2, atol=1e-9)  # of mean zero
    mode = solved(MANY["a mode"][0], seed=seed)
    np.testing.assert_allclose(
        mode(x), -np.sin(2 * pi * x) / (3 * pi**2), atol=1e-9
    )  # orthogonal to the mode
    a, b = solved(MANY["a rotation"][0], seed=seed)(x * pi / 2 + pi / 2)
    np.testing.assert_allclose(a, np.sin(x * pi / 2 + pi / 2), atol=1e-9)
    np.testing.assert_allclose(b, np.cos(x * pi / 2 + pi / 2), atol=1e-9)


def test_of_many_solutions_in_a_square_it_is_that_of_mean_zero() -> None:
    solution = solved(MANY["a level in a square"][0])
    x, y = np.meshgrid(np.linspace(0, 1, 21), np.linspace(0, 1, 21))
    found = solution(x, y)
    np.testing.assert_allclose(found - found[0, 0] + 1, np.cos(pi * x), atol=1e-6)
    # The mean is taken over the points of the solve, a few hundred.
    assert abs(found[0, 0] - 1) < 5e-3


def test_zero_is_called_trivial_where_the_problem_is_homogeneous() -> None:
    many = solved(line(lambda u: u.xx + pi**2 * u, FIXED))
    assert many.verdict.trivial and many.verdict.ill_posed == NOT_UNIQUE
    assert "trivial solution, zero" in many.status.reason and not many.status.converged
    one = solved(line(lambda u: u.xx - u, FIXED))
    assert one.verdict.trivial and one.verdict.ill_posed == "" and one.status.converged
    assert "trivial solution, zero" in one.status.reason
    other = solved(line(lambda u: u.xx - u + 1e-30, FIXED))
    assert not other.verdict.trivial and "trivial" not in other.status.reason


NEIGHBOURS = {
    "beside a resonance": line(
        lambda u, x: u.xx + 9.8 * u - sin(pi * x), FIXED, reference=lambda x: sin(pi * x) / (9.8 - pi**2)
    ),
    "a little exchange": line(
        lambda u, x: u.xx - cos(pi * x),
        [pinn.robin("x", 1e-3, 1.0, 0.0, side="lower"), pinn.neumann("x", 0.0, side="upper")],
        reference=lambda x: (1 - cos(pi * x)) / pi**2,
    ),
    "one side held": line(
        lambda u, x: u.xx - cos(pi * x),
        [pinn.neumann("x", 0.0, side="lower"), pinn.dirichlet("x", 2.0, side="upper")],
        reference=lambda x: 2 - (1 + cos(pi * x)) / pi**2,
    ),
    "a pressure at a point": line(
        lambda u, p: (u.xx - 1, p.x - u.x),
        [pinn.dirichlet("x", 0.0, field="u"), pinn.point({"x": 0.5}, 3.0, field="p")],
        reference=lambda x: (x * (x - 1) / 2, 3 + x * (x - 1) / 2 + 0.125),
    ),
    "a decaying square": box(
        lambda u, x: u.laplacian() - u + (pi**2 + 1) * cos(pi * x) * torch.ones(()),
        [pinn.neumann(("x", "y"), 0.0)],
        reference=lambda x, y: cos(pi * x) + 0 * y,
    ),
    "a start of slow decay": pinn.ode(
        lambda u: u.t + 1e-9 * u, (0.0, 1.0), 1.0, reference=lambda t: exp(-1e-9 * t)
    ),
}


@pytest.mark.parametrize("name", NEIGHBOURS)
def test_well_posed_neighbours_are_not_accused(name: str) -> None:
    solution = solved(NEIGHBOURS[name])
    assert solution.verdict.ill_posed == "" and not solution.verdict.nulls
    assert solution.status.converged and solution.relative_l2 < (1e-7 if "little" in name else 1e-8)


@pytest.mark.parametrize("width", [16, 32])
@pytest.mark.parametrize("name", ["beside a resonance", "one side held", "a pressure at a point"])
def test_nor_are_they_by_few_features(name: str, width: int) -> None:
    assert solved(NEIGHBOURS[name], width).verdict.ill_posed == ""


# ---- What ends before its interval does

ENDS_AT = {
    "a pole": (pinn.ode(lambda u: u.t - u**2, (0.0, 1.8), 1.0), 1.0),
    "a logarithm": (pinn.ode(lambda u: u.t - exp(u), (0.0, 2.0), 0.0), 1.0),
    "a root": (pinn.ode(lambda u: u * u.t + 1, (0.0, 1.0), 1.0), 0.5),
}


@pytest.mark.parametrize("name", ENDS_AT)
def test_a_solution_that_ends_too_early_is_none_and_where_it_ends_is_told(name: str) -> None:
    problem, end = ENDS_AT[name]
    solution = pinn.solve(problem, progress=False)
    assert solution.verdict.ill_posed == NO_SOLUTION and not solution.status.converged
    told = solution.status.reason.removeprefix("no solution beyond t = ").split(",")[0]
    assert float(told) == pytest.approx(end, rel=1e-4)


@pytest.mark.parametrize("rate", [3.0, 60.0])
def test_a_steep_passage_is_no_end(rate: float) -> None:
    problem = pinn.ode(
        lambda u: u.t - rate * u * (1 - u), (0.0, 1.0), 1e-6,
        reference=lambda t: 1 / (1 + (1e6 - 1) * exp(-rate * t)),
    )  # fmt: skip
    solution = pinn.solve(problem, progress=False)
    assert solution.status.converged and solution.relative_l2 < 1e-8


@pytest.mark.parametrize("linear", [True, False])
def test_what_data_make_steep_is_no_end(linear: bool) -> None:
    def equation(u, t):
        return u.t - 1e7 / (1 + (1e7 * (t - 0.7)) ** 2) + (u if linear else u + u**3)

    solution = pinn.solve(pinn.ode(equation, (0.0, 1.0), 0.0), progress=False, time_limit=20.0)
    assert solution.verdict.ill_posed == ""


@pytest.mark.parametrize(("strength", "there"), [(3.0, True), (5.0, False)])
def test_a_nonlinear_problem_of_two_ends_may_have_no_solution(strength: float, there: bool) -> None:
    """Bratu's problem has solutions for strengths up to 3.51."""
    solution = pinn.solve(line(lambda u: u.xx + strength * exp(u), FIXED), progress=False)
    assert solution.status.converged is there
    assert solution.verdict.ill_posed == ("" if there else NO_SOLUTION)


@pytest.mark.parametrize("harmonics", [1, 2, 3])
def test_a_ring_is_as_easy_with_many_harmonics(harmonics: int) -> None:
    ring = line(
        lambda u, x: u.xx - u + 5 * sin(2 * x), [pinn.periodic("x")], 2 * pi, reference=lambda x: sin(2 * x)
    )
    solution = pinn.solve(ring, harmonics=harmonics, progress=False)
    assert solution.status.converged and solution.relative_l2 < 1e-9 and solution.steps == 0


# ---- Layers that could stand elsewhere


@pytest.mark.parametrize(
    "options",
    [
        {"method": "random_features", "hidden": (128,)},
        {"method": "random_features", "hidden": (512,)},
        {"method": "levenberg_marquardt", "hidden": (24,)},
    ],
    ids=["few features", "many features", "all parameters"],
)
@pytest.mark.parametrize("thin", [0.1, 0.05, 0.02, 0.01])
def test_a_layer_in_the_wrong_place_does_not_pass(thin: float, options: dict) -> None:
    """Its place costs exp(-1 / eps), and is nowhere else in a few hundred features."""
    size = brentq(lambda a: a * np.tanh(a / (2 * thin)) - 1, 1 - 1e-9, 1.5)
    problem = pinn.ode(
        lambda u: thin * u.xx - u * u.x, (-1.0, 1.0), coordinate="x",
        conditions=[pinn.dirichlet("x", 1.0, side="lower"), pinn.dirichlet("x", -1.0, side="upper")],
        reference=lambda x: -size * torch.tanh(size * x / (2 * thin)),
    )  # fmt: skip
    solution = pinn.solve(problem, progress=False, **options)
    if solution.estimate_trusted and not solution.verdict.ill_posed:
        assert 0.1 < solution.error_estimate["u"] / solution.relative_l2 < 10
    if thin == 0.1:
        assert solution.estimate_trusted
    if thin == 0.01:
        assert not solution.status.converged and not solution.estimate_trusted
