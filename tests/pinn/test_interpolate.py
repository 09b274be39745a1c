"""Tables as functions: NumPy's and SciPy's interpolation, with derivatives, under every transform."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.interpolate import CubicSpline, RegularGridInterpolator
from torch.func import vmap
from torch.fx.experimental.proxy_tensor import make_fx

from funcsci import pinn
from funcsci.autodiff import partials

PLACES = np.array([-1.0, -0.2, 0.3, 0.4, 1.5, 2.0])
VALUES = np.array([1.0, 2.0, 0.0, -1.0, 3.0, 2.5])
INSIDE = torch.tensor([-1.0, -0.7, -0.2, 0.0, 0.35, 0.4, 1.0, 1.99, 2.0], dtype=torch.float64)
EVERYWHERE = torch.cat([torch.tensor([-9.0, -1.1]), INSIDE, torch.tensor([2.1, 7.0])])
METHODS = ("linear", "cubic", "previous", "nearest")


@given(numbers=st.lists(st.floats(-2.0, 3.0), min_size=1, max_size=9))
def test_linear_is_that_of_numpy_everywhere(numbers: list[float]) -> None:
    found = pinn.interpolate(PLACES, VALUES)(torch.tensor(numbers))
    np.testing.assert_allclose(found, np.interp(numbers, PLACES, VALUES), atol=1e-14)


@pytest.mark.parametrize("mode", ["nested", "taylor"])
def test_cubic_is_the_spline_of_scipy_with_its_derivatives(mode: str) -> None:
    spline, table = CubicSpline(PLACES, VALUES), pinn.interpolate(PLACES, VALUES, method="cubic")
    operators = (((),), ((0,),), ((0, 0),), ((0, 0, 0),))
    found = vmap(partials(lambda x: table(x[0]), operators, derivatives=mode))(INSIDE[:, None])
    for order, one in enumerate(found):
        np.testing.assert_allclose(one[:-1], spline(INSIDE[:-1], order), rtol=1e-12, atol=1e-12)
        # At its end the table has the derivatives that it has before it.
        np.testing.assert_allclose(one[-1], spline(2.0, order), rtol=1e-12)
    assert table(torch.tensor([-5.0, 5.0])).tolist() == [1.0, 2.5]


@pytest.mark.parametrize("mode", ["nested", "taylor"])
def test_linear_has_the_slopes_of_its_lines(mode: str) -> None:
    table = pinn.interpolate(PLACES, VALUES)
    slope, bend = vmap(partials(lambda x: table(x[0]), (((0,),), ((0, 0),)), derivatives=mode))(
        EVERYWHERE[:, None]
    )
    lines = np.concatenate([[0.0], np.diff(VALUES) / np.diff(PLACES), [0.0]])
    expected = lines[np.searchsorted(PLACES, EVERYWHERE.numpy(), side="right")]
    expected[EVERYWHERE.numpy() == 2.0] = lines[-2]
    np.testing.assert_allclose(slope, expected, rtol=1e-12)
    assert not bend.any()


@pytest.mark.parametrize("mode", ["nested", "taylor"])
def test_what_is_looked_up_is_constant_between_places(mode: str) -> None:
    x = torch.tensor([-3.0, -1.0, -0.3, 0.29, 0.31, 0.36, 1.9, 3.0])
    for method, expected in (
        ("previous", [1.0, 1.0, 1.0, 2.0, 0.0, 0.0, 3.0, 2.5]),
        ("nearest", [1.0, 1.0, 2.0, 0.0, 0.0, -1.0, 2.5, 2.5]),
    ):
        table = pinn.interpolate(PLACES, VALUES, method=method)
        value, slope = vmap(partials(lambda x: table(x[0]), (((),), ((0,),)), derivatives=mode))(x[:, None])  # noqa: B023
        assert value.tolist() == expected and not slope.any()


def test_a_grid_is_interpolated_in_each_coordinate() -> None:
    axes, values = (PLACES, [0.0, 1.0, 4.0]), np.outer(VALUES, [1.0, 2.0, -1.0]) ** 3
    generator = torch.Generator().manual_seed(0)
    x, y = 3 * torch.rand(20, generator=generator) - 1, 4 * torch.rand(20, generator=generator)
    x.clamp_(max=2.0)
    grid = torch.stack([x, y], 1).numpy()
    for method, told in (("linear", "linear"), ("nearest", "nearest")):
        expected = RegularGridInterpolator(axes, values, method=told)(grid)
        np.testing.assert_allclose(pinn.interpolate(axes, values, method=method)(x, y), expected, rtol=1e-12)
    table = pinn.interpolate(axes, values)
    assert table(x[:, None], y[None, :]).shape == (20, 20)
    space = pinn.interpolate(([0.0, 1.0], [0.0, 2.0], [0.0, 4.0]), np.arange(8.0).reshape(2, 2, 2))
    assert float(space(torch.tensor(0.5), torch.tensor(0.5), torch.tensor(1.0))) == 2.0 + 0.5 + 0.25


@pytest.mark.parametrize("method", METHODS)
def test_takes_tensors_of_any_kind_and_numbers(method: str) -> None:
    table = pinn.interpolate(PLACES.tolist(), torch.tensor(VALUES), method=method)
    wide = table(INSIDE)
    assert table(INSIDE.reshape(3, 3)).shape == (3, 3)
    single = table(INSIDE.float())
    assert single.dtype == torch.float32
    torch.testing.assert_close(single, wide.float(), rtol=1e-5, atol=1e-5)
    assert table(torch.empty(4, device="meta")).shape == (4,)
    assert float(table(0.0)) == float(wide[3]) and float(table(torch.tensor(2))) == 2.5
    torch.testing.assert_close(vmap(table)(INSIDE), wide)
    torch.testing.assert_close(make_fx(vmap(table))(INSIDE.clone())(INSIDE), wide)


def test_an_equation_and_a_condition_are_written_with_a_table() -> None:
    # (k u')' = 0 for k = 1 + x, of which a table knows no less
    conductivity = pinn.interpolate([0.0, 0.4, 1.0], [1.0, 1.4, 2.0])
    ends = [pinn.dirichlet("x", 0.0, side="lower"), pinn.dirichlet("x", 1.0, side="upper")]
    rod = pinn.solve_ode(
        lambda u, x: (conductivity(x) * u.x).x, (0.0, 1.0), coordinate="x", conditions=ends,
        reference=lambda x: np.log1p(x) / np.log(2.0), progress=False,
    )  # fmt: skip
    assert rod.status.converged and rod.max_error < 1e-9
    moved = pinn.solve_pde(
        lambda u: u.t + u.x, {"x": (0.0, 1.0), "t": (0.0, 0.5)},
        [pinn.initial(pinn.interpolate([0, 1], [0, 1])), pinn.dirichlet("x", lambda t: -t, side="lower")],
        reference=lambda x, t: x - t, hidden=(40,), method="random_features", progress=False,
    )  # fmt: skip
    assert moved.max_error < 1e-6


def test_a_table_of_a_field_makes_an_equation_of_it() -> None:
    rate = pinn.interpolate(np.linspace(0.0, 2.0, 5), np.linspace(0.0, 2.0, 5))
    decay = pinn.solve_ode(
        lambda u: u.t + rate(u), (0.0, 1.0), 1.0, reference=lambda t: np.exp(-t), progress=False
    )
    assert decay.max_error < 1e-8


REFUSED = {
    "a method": (ValueError, "method must be one of .*Did you mean 'cubic'", ([0, 1], [0, 1], "cubics")),
    "places that fall": (ValueError, "places must increase", ([0, 2, 1], [0, 1, 2], "linear")),
    "places that stay": (ValueError, "places must increase", ([0, 0], [0, 1], "linear")),
    "one place": (ValueError, "places must increase .*two of them at least", ([0], [0], "linear")),
    "too few values": (
        ValueError,
        r"shape of values must be as many as places, of shape \(3,\)\. Got .*\(2,\)",
        ([0, 1, 2], [0, 1], "linear"),
    ),
    "a grid turned over": (
        ValueError,
        r"of shape \(2, 3\)\. Got .*\(3, 2\)",
        (([0, 1], [0, 1, 2]), np.zeros((3, 2)), "linear"),
    ),
    "cubic on a grid": (
        ValueError,
        "method must be another for several coordinates",
        (([0, 1], [0, 1]), np.zeros((2, 2)), "cubic"),
    ),
    "words": (TypeError, "values must be real numbers", ([0, 1], ["a", "b"], "linear")),
    "complex numbers": (TypeError, "values must be real numbers", ([0, 1], [1j, 0], "linear")),
    "a ragged list": (TypeError, "values must be real numbers", ([0, 1], [[0], [1, 2]], "linear")),
    "nan": (ValueError, "values must be finite", ([0, 1], [0, np.nan], "linear")),
}


@pytest.mark.wrong_types
@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_table_is_refused(name: str) -> None:
    kind, story, (places, values, method) = REFUSED[name]
    with pytest.raises(kind, match=story):
        pinn.interpolate(places, values, method=method)


@pytest.mark.wrong_types
def test_a_table_takes_as_many_coordinates_as_it_has() -> None:
    with pytest.raises(TypeError, match="a table must be given 1 coordinates"):
        pinn.interpolate([0, 1], [0, 1])(torch.tensor(0.0), torch.tensor(0.0))
