"""How fast a solution changes: rates are the eigenvalues of the linearized system's first-order form."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from funcsci.pinn import Domain
from funcsci.pinn.equations import Equations
from funcsci.pinn.field import Request
from funcsci.pinn.timescales import slopes, timescales

SPAN = {"t": (0.0, 5.0)}


def at(equation, values: dict[str, list[float]], t: float = 0.0, **options):
    """The equations and their slopes where fields and their derivatives have values."""
    equations = Equations.of(equation, Domain.of(options.get("domain", SPAN)))
    given = {
        request: torch.tensor(values.get(request.field, [])[len(request.operator[0])], dtype=torch.float64)
        for request in equations.requests
    }
    return equations, slopes(equations, given, torch.tensor([t], dtype=torch.float64))


ZERO = {"u": [0.0] * 5, "v": [0.0] * 5}


def test_slopes_are_derivatives_by_what_is_asked() -> None:
    equations, slope = at(lambda u, t: u.tt + (1 + t) * u**3 + u * u.t, {"u": [2.0, 5.0, 7.0]}, 3.0)
    by = dict(zip(equations.requests, slope[0].tolist(), strict=True))
    assert by == {
        Request("u", ((0, 0),)): 1.0, Request("u", ((),)): 4 * 3 * 4.0 + 5.0, Request("u", ((0,),)): 2.0,
    }  # fmt: skip


@given(omega=st.floats(0.3, 30), damping=st.floats(0, 5), factor=st.floats(0.1, 10))
def test_a_damped_oscillators_rates_are_its_roots(omega: float, damping: float, factor: float) -> None:
    def equation(u):
        return factor * (u.tt + 2 * damping * omega * u.t + omega**2 * u)

    found = timescales(*at(equation, ZERO))
    roots = np.roots([1.0, 2 * damping * omega, omega**2])
    assert found.rate == pytest.approx(max(omega, 0.2), rel=1e-9)
    assert found.decay == pytest.approx(max(0.0, (-roots.real).max()), rel=1e-6, abs=1e-9)


@given(u=st.floats(0.1, 3), v=st.floats(0.1, 3))
def test_a_systems_rates_are_its_jacobians_eigenvalues(u: float, v: float) -> None:
    found = timescales(
        *at(lambda u, v: (u.t - 2 * u + 3 * u * v, v.t + v - u * v), {"u": [u, 0.0], "v": [v, 0.0]})
    )
    eigenvalues = np.linalg.eigvals(np.array([[2 - 3 * v, -3 * u], [v, u - 1]]))
    mean = math.sqrt(abs(np.prod(eigenvalues)))
    assert found.rate == pytest.approx(max(mean, 0.2), rel=1e-6)
    assert found.decay == pytest.approx(max(0.0, (-eigenvalues.real).max()), rel=1e-6, abs=1e-9)


def test_orders_may_differ_and_equations_be_in_any_order() -> None:
    # v'' = -9 u and u' = v as one equation of third order: u''' + 9 u = 0 has roots of size 9^(1/3).
    found = timescales(*at(lambda u, v: (v.tt + 9 * u, u.t - v), ZERO))
    assert found.rate == pytest.approx(9 ** (1 / 3), rel=1e-12)
    assert found.decay == pytest.approx(9 ** (1 / 3), rel=1e-12)


def test_highest_derivatives_may_be_mixed() -> None:
    # (u + v)' = -4 u - 4 v and (u - v)' = -u + v: rates 4 and 1.
    found = timescales(
        *at(lambda u, v: (u.t + v.t + 4 * u + 4 * v, u.t - v.t + u - v), {"u": [1.0, 0.0], "v": [2.0, 0.0]})
    )
    assert found.rate == pytest.approx(2.0, rel=1e-12) and found.decay == pytest.approx(4.0, rel=1e-12)


@pytest.mark.parametrize(
    "equation",
    [
        lambda u, v: (u.t + v.t, u.t + v.t - u),  # of which no highest derivative can be told
        lambda u, v: (u.t + u - v, u + v),  # algebraic in v
        lambda u, t: t * u.tt + u.t + u,  # singular at its start
        lambda u, t: u.tt + u / t,  # of no finite slope there
        lambda u: (u.t + u, u.t + u),  # of more equations than fields
    ],
)
def test_what_cannot_be_solved_for_its_highest_derivative_has_the_rate_of_its_interval(equation) -> None:
    assert timescales(*at(equation, ZERO)) == (0.2, 0.0)


def test_slow_equations_have_the_rate_of_their_interval() -> None:
    assert timescales(*at(lambda u: u.t + 0.01 * u, ZERO)).rate == 0.2
