"""The Lorenz system: its equations, and a solution that other solvers and the equations' own laws confirm."""

import math
import re

import pytest
import torch
from scipy.integrate import solve_ivp

from funcsci.data import lorenz, lorenz_field


def test_the_field_is_that_of_the_equations_at_its_fixed_points_and_elsewhere():
    wing = math.sqrt(8 / 3 * 27)
    fixed = torch.tensor([[0, 0, 0], [wing, wing, 27], [-wing, -wing, 27]])
    torch.testing.assert_close(lorenz_field(fixed), torch.zeros(3, 3), atol=1e-13, rtol=0)
    velocity = lorenz_field(torch.tensor([1.0, 2.0, 3.0]), sigma=4.0, rho=5.0, beta=6.0)
    assert velocity.tolist() == [4.0, 0.0, -16.0]
    # Volumes shrink at one rate everywhere, -(sigma + 1 + beta).
    jacobian = torch.func.vmap(torch.func.jacrev(lorenz_field))(fixed)
    torch.testing.assert_close(jacobian.diagonal(dim1=1, dim2=2).sum(1), torch.full((3,), -(11 + 8 / 3)))


def test_a_trajectory_is_the_one_of_an_implicit_solver():
    parameters = {"sigma": 9.0, "rho": 25.0, "beta": 2.0}
    options = {"dt": 0.02, "start": (1, 2, 3), "transient": 0.5, **parameters}
    other = solve_ivp(
        lambda _, y: lorenz_field(torch.tensor(y), **parameters).numpy(),
        (0, 2.5), [1, 2, 3], "Radau", t_eval=[0.5, 1.5, 2.5], rtol=1e-9, atol=1e-9,
    )  # fmt: skip
    for method in ("DOP853", "odeint"):
        states = lorenz(101, method=method, **options)
        torch.testing.assert_close(states[[0, 50, 100]], torch.tensor(other.y.T), atol=1e-5, rtol=0)


def test_both_methods_agree_until_chaos_parts_them_and_each_state_follows_from_the_one_before():
    one, other = (lorenz(500, transient=5.0, method=method) for method in ("DOP853", "odeint"))
    assert (one - other).norm(dim=-1).max() < 1e-6
    again = lorenz(2, start=one[:-1], transient=0.0)[:, 1]
    torch.testing.assert_close(again, one[1:], atol=1e-10, rtol=0)


@pytest.mark.parametrize("method", ["DOP853", "odeint"])
def test_several_starts_have_each_its_own_trajectory(method):
    starts = torch.tensor([[1.0, 1, 1], [-3, 2, 20], [0, 0, 5]])
    together = lorenz(50, start=starts, transient=0.0, method=method)
    assert together.shape == (3, 50, 3) and together.is_contiguous()
    assert torch.equal(together[:, 0], starts)
    for start, states in zip(starts, together, strict=True):
        alone = lorenz(50, start=start, transient=0.0, method=method)
        torch.testing.assert_close(states, alone, atol=1e-9, rtol=0)
    # On the axis nothing turns: z decays alone.
    decay = 5 * torch.exp(-8 / 3 * 0.01 * torch.arange(50))
    torch.testing.assert_close(together[2, :, 2], decay, atol=1e-10, rtol=0)


def test_the_transient_is_the_part_that_is_left_out():
    whole = lorenz(300, transient=0.0)
    torch.testing.assert_close(lorenz(100, transient=2.0), whole[200:], atol=1e-9, rtol=0)


@pytest.mark.parametrize("method", ["DOP853", "odeint"])
def test_one_state_and_the_dtype(method):
    assert lorenz(1, transient=0.0, method=method).tolist() == [[1.0, 1.0, 1.0]]
    assert lorenz(2, transient=0.1, method=method, dtype=torch.float32).dtype == torch.float32
    assert lorenz(1, method=method).dtype == torch.float64


@pytest.mark.wrong_types
@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"steps": 0}, ValueError, "steps must be at least 1"),
        ({"steps": 2.0}, TypeError, "steps must be an integer"),
        ({"dt": 0.0}, ValueError, "dt must be positive"),
        ({"sigma": -1.0}, ValueError, "sigma must be positive"),
        ({"beta": 0.0}, ValueError, "beta must be positive"),
        ({"rho": math.inf}, ValueError, "rho must be finite"),
        ({"transient": -1.0}, ValueError, "transient must not be negative"),
        ({"method": "RK45"}, ValueError, "method must be one of 'DOP853', 'odeint'. Got method='RK45'."),
        ({"rtol": 1e-15}, ValueError, "rtol must be at least 1e-13. Got rtol=1e-15. Try rtol=1e-12."),
        ({"atol": 0.0}, ValueError, "atol must be positive"),
        ({"dtype": torch.int64}, ValueError, "dtype must be torch.float32 or torch.float64"),
        ({"start": (1.0, 1.0)}, ValueError, "start must hold three coordinates. Got start of shape (2,)."),
        ({"start": torch.zeros(0, 3)}, ValueError, "start must hold three coordinates"),
        ({"start": "here"}, TypeError, "start must be numbers. Got start='here'."),
        ({"start": (1.0, math.nan, 1.0)}, ValueError, "start must be finite"),
        ({"start": (1e200, 1e200, 1e200)}, ValueError, "start must be one that the solver can follow"),
        (
            {"start": (1e200, 1e200, 1e200), "transient": 0.0, "method": "odeint"},
            ValueError,
            "start must be one that the solver can follow",
        ),
    ],
)
def test_wrong_arguments_say_what_must_hold(options, error, message):
    with pytest.raises(error, match=re.escape(message)):
        lorenz(**{"steps": 3} | options)
