"""Fields: what an equation asks for is noted once, and what it gets are the derivatives of those names."""

import copy
import math
import operator

import pytest
import torch
from torch.func import vmap

from funcsci.pinn import Field
from funcsci.pinn.field import VALUE, Recorder, Request
from funcsci.pinn.requirements import Differentiated

NAMES = ("x", "t", "theta")
RATES = torch.tensor([0.7, -1.3, 2.0], dtype=torch.float64)
POINT = torch.tensor([0.2, 0.4, -0.3], dtype=torch.float64)


def exponential(x: torch.Tensor) -> torch.Tensor:
    """All its derivatives are itself times the rates."""
    return torch.exp(RATES @ x)


def recorded(use) -> list[Request]:
    recorder = Recorder(torch.tensor(0.5))
    use(Field("u", NAMES, recorder), Field("v", NAMES, recorder))
    return list(recorder.requests)


def holding(number: float) -> Field:
    return Field("u", NAMES, lambda request: torch.tensor(number))


def derivative(use, derivatives: str) -> torch.Tensor:
    """What an expression in a field is for the exponential."""
    requests = recorded(lambda u, v: use(u))
    needed = Differentiated(("u",), tuple(requests), derivatives)
    values = needed.values(lambda x: exponential(x)[None], POINT)
    return use(Field("u", NAMES, values.__getitem__))


def test_asks_for_what_the_equation_names_once_each_in_order() -> None:
    assert recorded(lambda u, v: u.t + u * u.x - 0.1 * u.xx + u**2 + u.x * v + u.t) == [
        Request("u", ((1,),)), Request("u", ((0,),)), Request("u", VALUE), Request("u", ((0, 0),)),
        Request("v", VALUE),
    ]  # fmt: skip
    assert recorded(lambda u, v: v.xt) == recorded(lambda u, v: v.tx) == [Request("v", ((0, 1),))]
    assert recorded(lambda u, v: u.d("theta", 2)) == [Request("u", ((2, 2),))]
    assert recorded(lambda u, v: None) == []


def test_a_laplacian_is_one_sum_over_space() -> None:
    assert recorded(lambda u, v: u.laplacian()) == [Request("u", ((0, 0), (2, 2)))]
    assert recorded(lambda u, v: u.laplacian("x", "t")) == [Request("u", ((0, 0), (1, 1)))]


@pytest.mark.parametrize("derivatives", ["taylor", "nested"])
@pytest.mark.parametrize(
    ("use", "orders"),
    [
        (lambda u: u.value, (0, 0, 0)),
        (lambda u: u.x, (1, 0, 0)),
        (lambda u: u.t, (0, 1, 0)),
        (lambda u: u.xt, (1, 1, 0)),
        (lambda u: u.tx, (1, 1, 0)),
        (lambda u: u.xxt, (2, 1, 0)),
        (lambda u: u.tttt, (0, 4, 0)),
        (lambda u: u.d("theta"), (0, 0, 1)),
        (lambda u: u.d("theta", 2), (0, 0, 2)),
        (lambda u: u.d("x", "theta", 2), (1, 0, 2)),
        (lambda u: u.d("theta", 2, "x", 2), (2, 0, 2)),
    ],
)
def test_a_name_is_its_derivative(use, orders: tuple[int, ...], derivatives: str) -> None:
    expected = math.prod(float(rate) ** order for rate, order in zip(RATES, orders, strict=True))
    found = derivative(use, derivatives)
    assert found.shape == () and float(found / exponential(POINT)) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("derivatives", ["taylor", "nested"])
def test_the_laplacian_is_the_sum_of_second_derivatives(derivatives: str) -> None:
    found = derivative(lambda u: u.laplacian(), derivatives) / exponential(POINT)
    assert float(found) == pytest.approx(0.7**2 + 2.0**2, rel=1e-12)
    found = derivative(lambda u: u.laplacian("x", "t", "theta"), derivatives) / exponential(POINT)
    assert float(found) == pytest.approx(0.7**2 + 1.3**2 + 2.0**2, rel=1e-12)


OPERATORS = ("add", "sub", "mul", "truediv", "pow", "lt", "le", "gt", "ge")


@pytest.mark.parametrize("other", [3.0, 2, torch.tensor(1.5, dtype=torch.float64)])
@pytest.mark.parametrize("name", OPERATORS)
def test_arithmetic_is_that_of_tensors_from_both_sides(name: str, other) -> None:
    act, number = getattr(operator, name), torch.tensor(1.5)
    u = holding(1.5)
    for found, expected in (
        (act(u, other), act(number, other)),
        (act(other, u), act(other, number)),
        (act(u, u), act(number, number)),
    ):
        assert isinstance(found, torch.Tensor) and torch.equal(found, torch.as_tensor(expected))


def test_signs_and_functions_of_torch_take_the_value() -> None:
    u, number = holding(-1.5), torch.tensor(-1.5)
    assert torch.equal(-u, -number) and torch.equal(+u, number) and torch.equal(abs(u), abs(number))
    assert torch.equal(torch.sin(u), torch.sin(number))
    assert torch.equal(torch.where(u > 0, u, -u), -number)
    assert torch.equal(torch.maximum(u, torch.tensor(0.0)), torch.tensor(0.0))
    assert torch.equal(torch.stack([u, u]), torch.stack([number, number]))
    assert torch.equal(torch.clamp(u, min=0.0), torch.tensor(0.0))


def test_is_a_number_under_vmap() -> None:
    numbers = torch.linspace(-1, 1, 5)
    found = vmap(lambda n: 1 - 2 * torch.exp(Field("u", NAMES, lambda request: n)) ** 2)(numbers)
    torch.testing.assert_close(found, 1 - 2 * torch.exp(2 * numbers))


def test_can_be_copied_and_read() -> None:
    u = holding(2.0)
    assert repr(u) == "Field('u', coordinates=('x', 't', 'theta'))"
    assert float(copy.copy(u).value) == 2.0 and not hasattr(u, "__html__")


def test_a_coordinate_may_be_called_d() -> None:
    asked: list[Request] = []

    def look_up(request: Request) -> torch.Tensor:
        asked.append(request)
        return torch.tensor(2.0)

    u = Field("u", ("c", "d"), look_up)
    assert float(u.d + u.dd * u.cd + u.d("d", 3)) == 8.0
    assert {request.operator for request in asked} == {((1,),), ((1, 1),), ((0, 1),), ((1, 1, 1),)}
    with pytest.raises(AttributeError, match=r"u.d.c must be one name. Try u.dc"):
        _ = u.d.c
