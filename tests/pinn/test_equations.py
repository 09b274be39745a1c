"""Equations as they are written give the numbers that are left of them at a point."""

import math
from functools import partial

import pytest
import torch
from torch.func import vmap

from funcsci.pinn import Domain
from funcsci.pinn.equations import Equations
from funcsci.pinn.field import Request
from funcsci.pinn.requirements import Differentiated

PLANE = Domain.of({"x": (0.0, 1.0), "t": (0.0, 2.0)})
LINE = Domain.of({"t": (0.0, 2.0)})


def residuals(equation, function, domain: Domain, x: torch.Tensor, **options) -> torch.Tensor:
    """Of functions at points, shape `(n, equations)`."""
    equations = Equations.of(equation, domain, **options)
    needed = Differentiated(equations.fields, equations.requests, "nested")
    return vmap(lambda x: equations.residuals(needed.values(function, x), x))(x)


@pytest.mark.parametrize("returned", [tuple, list, torch.stack])
def test_a_system_returns_its_numbers_in_a_tuple_a_list_or_a_tensor(returned) -> None:
    def equation(u, v):
        return returned([u.t - v, v.t + 4 * u])

    def circling(x):
        return torch.stack([torch.sin(x[0]), torch.cos(x[0])])

    t = torch.linspace(0, 2, 5)[:, None]
    found = residuals(equation, circling, LINE, t)
    torch.testing.assert_close(found[:, 0], torch.zeros(5), atol=1e-15, rtol=0)
    torch.testing.assert_close(found[:, 1], 3 * torch.sin(t[:, 0]), atol=1e-14, rtol=0)


def test_a_sequence_of_functions_is_a_system() -> None:
    one = Equations.of([lambda u, v: u.t - v, lambda v, t, u: v.t + t * u], LINE)
    assert one.fields == ("u", "v") and one.count == 2
    values = {
        Request("u", ((0,),)): torch.tensor(5.0), Request("v", ((),)): torch.tensor(2.0),
        Request("v", ((0,),)): torch.tensor(-1.0), Request("u", ((),)): torch.tensor(3.0),
    }  # fmt: skip
    assert set(one.requests) == set(values)
    assert one.residuals(values, torch.tensor([10.0])).tolist() == [3.0, 29.0]


def test_burgers_vanishes_on_its_travelling_wave() -> None:
    nu, speed = 0.1, 0.7

    def wave(x):
        return (speed - torch.tanh((x[0] - speed * x[1]) / (2 * nu)))[None]

    points = PLANE.unscaled(torch.rand(20, 2, generator=torch.Generator().manual_seed(0)))
    found = residuals(lambda u: u.t + u * u.x - nu * u.xx, wave, PLANE, points)
    assert found.shape == (20, 1) and float(found.abs().max()) < 1e-12
    wrong = residuals(lambda u: u.t + u * u.x - 2 * nu * u.xx, wave, PLANE, points)
    assert float(wrong.abs().max()) > 0.1


def test_coordinates_come_by_name_in_any_order() -> None:
    x = torch.tensor([[0.25, 1.5]])

    def still(x):
        return x.new_zeros(1)

    assert float(residuals(lambda t, u, x: u - t - 10 * x, still, PLANE, x)) == -4.0
    assert float(residuals(lambda x, u: u - 10 * x, still, PLANE, x)) == -2.5


def test_constants_have_values() -> None:
    x = torch.tensor([[0.5]])

    def one(x):
        return torch.ones_like(x)

    assert float(residuals(lambda u, *, k=3.0: u.t + k * u, one, LINE, x)) == 3.0
    assert float(residuals(lambda u, k=4.0: u.t + k * u, one, LINE, x)) == 4.0
    assert float(residuals(partial(lambda u, k: u.t + k * u, k=5.0), one, LINE, x)) == 5.0


def test_fields_may_be_named_in_another_order() -> None:
    equations = Equations.of(lambda u, v: (u.t - v, v.t + u), LINE, fields=("v", "u"))
    assert equations.fields == ("v", "u")
    assert Equations.of(lambda u, v: (u.t - v, v.t + u), LINE).fields == ("u", "v")


def test_what_is_left_may_be_a_field_a_number_or_of_another_dtype() -> None:
    x = torch.tensor([[0.5]])

    def two(x):
        return torch.full_like(x, 2.0)

    assert residuals(lambda u: (u, 1, u.t.to(torch.float32)), two, LINE, x).tolist() == [[2.0, 1.0, 0.0]]
    assert residuals(lambda u: u, two, LINE, x.float()).dtype == torch.float32


def test_the_order_is_that_of_the_highest_derivative_by_a_coordinate() -> None:
    equations = Equations.of(lambda u, v: (u.tt + u.xxt * v, v.x - u.laplacian("x", "t")), PLANE)
    assert [equations.order(field, name) for field in "uv" for name in "xt"] == [2, 2, 1, 0]


def test_is_asked_at_the_middle_of_the_domain() -> None:
    # A coefficient may be undefined at an edge, or outside.
    equations = Equations.of(lambda u, t: u.t + u / torch.sqrt(t), Domain.of({"t": (1.0, 3.0)}))
    found = equations.residuals(
        {Request("u", ((0,),)): torch.tensor(0.0), Request("u", ((),)): torch.tensor(1.0)},
        torch.tensor([2.0]),
    )
    assert float(found) == pytest.approx(1 / math.sqrt(2), rel=1e-14)
