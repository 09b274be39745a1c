"""The closed form is the solution: it agrees with scipy, and its own derivatives fit the equation."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import solve_ivp
from torch.func import vmap

from funcsci.autodiff import derivative
from funcsci.nn import Model
from funcsci.pinn.problem import Oscillator, check_oscillator, closed_form, equation

SPANS = [(0.0, 5.0), (-3.0, 4.0), (2.0, 2.5)]


@pytest.mark.parametrize("t_span", SPANS)
@pytest.mark.parametrize("omega", [0.0, 0.3, 1.0, 6.0])
@pytest.mark.parametrize("damping", [0.0, 0.05, 0.999999, 1.0, 1.000001, 3.0, 20.0])
def test_closed_form_agrees_with_scipy(omega: float, damping: float, t_span: tuple[float, float]) -> None:
    problem = Oscillator(omega, damping, -0.7, 1.3, t_span)
    times = np.linspace(*t_span, 50)
    oracle = solve_ivp(
        lambda t, y: (y[1], -2 * damping * omega * y[1] - omega**2 * y[0]),
        t_span, (-0.7, 1.3), "DOP853", times, rtol=1e-12, atol=1e-14,
    ).y[0]  # fmt: skip
    found = closed_form(problem, torch.from_numpy(times)).numpy()
    assert np.abs(found - oracle).max() < 1e-9 * np.abs(oracle).max()


@given(
    omega=st.floats(0, 10), damping=st.floats(0, 5), u0=st.floats(-5, 5), du0=st.floats(-5, 5),
    start=st.floats(-10, 10), duration=st.floats(0.1, 5),
)  # fmt: skip
def test_closed_form_meets_its_initial_conditions(omega, damping, u0, du0, start, duration) -> None:
    problem = Oscillator(omega, damping, u0, du0, (start, start + duration))
    t = torch.tensor(start)
    assert float(closed_form(problem, t)) == pytest.approx(u0, abs=1e-12)
    velocity = derivative(lambda s: closed_form(problem, s))(t)
    assert float(velocity) == pytest.approx(du0, abs=1e-9 * (1 + omega * (1 + damping)) ** 2)


@pytest.mark.parametrize("damping", [0.0, 0.2, 1.0, 2.5])
def test_the_equation_vanishes_on_the_closed_form_and_nowhere_else(damping: float) -> None:
    problem = Oscillator(2.0, damping, 1.0, -1.0, (1.0, 4.0))
    times = torch.linspace(1.0, 4.0, 40)

    def residuals(exact: bool) -> torch.Tensor:
        u = Model(lambda key: None, lambda _, t: closed_form(problem, t) + (0.0 if exact else 0.01 * t))
        return vmap(lambda t: equation(problem, u, None, t))(times)

    assert residuals(exact=True).abs().max() < 1e-12
    # For u = 0.01 t the left side is 2 zeta omega 0.01 + omega^2 0.01 t, over k^2 = omega^2.
    expected = 0.01 * (2 * damping * 2.0 + 4.0 * times) / 4.0
    torch.testing.assert_close(residuals(exact=False), expected, atol=1e-12, rtol=0)


def test_large_times_do_not_overflow() -> None:
    problem = Oscillator(100.0, 30.0, 1.0, 0.0, (0.0, 1e4))
    values = closed_form(problem, torch.linspace(0, 1e4, 100))
    assert torch.isfinite(values).all()


def test_rates_and_decay() -> None:
    assert Oscillator(0.0, 0.0, 1.0, 0.0, (0.0, 4.0)).rate == 0.25
    assert Oscillator(3.0, 0.0, 1.0, 0.0, (0.0, 4.0)).rate == 3.0
    assert Oscillator(2.0, 0.5, 1.0, 0.0, (0.0, 1.0)).decay == 1.0
    assert Oscillator(1.0, 1.25, 1.0, 0.0, (0.0, 1.0)).decay == pytest.approx(2.0)


def test_checked_numbers_are_plain_floats() -> None:
    problem = check_oscillator(Oscillator(np.float32(2.0), 1, np.int64(3), 0, (0, np.float64(math.pi))))
    assert problem == Oscillator(2.0, 1.0, 3.0, 0.0, (0.0, math.pi))
    assert {type(value) for value in (*problem[:4], *problem.t_span)} == {float}
