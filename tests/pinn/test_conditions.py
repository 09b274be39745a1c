"""Conditions: the exact solution satisfies each kind that is stated of it, and another function does not."""

import numpy as np
import pytest
import torch
from torch.func import vmap

from funcsci import pinn
from funcsci.pinn import Condition, Domain
from funcsci.pinn.conditions import SIDES
from funcsci.pinn.domain import along
from funcsci.pinn.faces import Face, OfPoint, faces, located
from funcsci.pinn.functions import NamedFunction
from funcsci.pinn.requirements import Points, all_residuals, of_terms, residual_at_point

BOX = Domain.of({"x": (-1.0, 2.0), "y": (0.0, 1.0), "t": (1.0, 3.0)})


def exact(x: torch.Tensor) -> torch.Tensor:
    """A function none of whose derivatives is another's multiple at the edges, shape (1,)."""
    return (torch.exp(0.4 * x[0]) * torch.cos(1.3 * x[1]) * torch.sin(0.9 * x[2]) + 0.3 * x[0] ** 2)[None]


def normal_derivative(order: int, name: str, side: str):
    """Of the exact solution in direction of the outward normal, by hand: as a function of all coordinates."""
    index, sign = BOX.index(name), 1 if side == "upper" else (-1) ** order
    return lambda x, y, t: sign * along(lambda p: exact(p)[0], torch.stack([x, y, t]), index, order)


def missed(face: Face, function) -> torch.Tensor:
    """What a function leaves of a condition on random places of its edge."""
    unit = torch.rand(9, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x = BOX.unscaled(unit)
    x[:, face.index] = face.end(BOX)
    requirement = of_terms("", face.field, face.index, face.terms, 1.0, ("u",))
    points = Points(x, vmap(face.at)(x), torch.ones(9))
    residual = residual_at_point(requirement, lambda params, x: function(x), ("u",), "nested")
    return all_residuals(residual, None, points)[:, 0]


def mixed(name: str, side: str):
    value, slope = (normal_derivative(order, name, side) for order in (0, 1))
    return lambda x, y, t: 2 * value(x, y, t) - 0.5 * slope(x, y, t)


KINDS = {
    "dirichlet": lambda name, side: pinn.dirichlet(name, normal_derivative(0, name, side), side=side),
    "neumann": lambda name, side: pinn.neumann(name, normal_derivative(1, name, side), side=side),
    "second": lambda name, side: pinn.neumann(name, normal_derivative(2, name, side), order=2, side=side),
    "third": lambda name, side: pinn.neumann(name, normal_derivative(3, name, side), order=3, side=side),
    "robin": lambda name, side: pinn.robin(name, 2.0, -0.5, mixed(name, side), side=side),
}


@pytest.mark.parametrize("side", ["lower", "upper"])
@pytest.mark.parametrize("name", BOX.names)
@pytest.mark.parametrize("kind", KINDS)
def test_the_exact_solution_satisfies_what_is_said_of_it(kind: str, name: str, side: str) -> None:
    (face,) = faces(KINDS[kind](name, side), "u", BOX)
    assert face.upper == (side == "upper")
    assert float(missed(face, exact).abs().max()) < 1e-11
    # A term that is not zero at the edge, nor any of its derivatives up to the third.
    other = missed(face, lambda x: exact(x) + torch.exp(0.3 * x.sum()))
    assert float(other.abs().min()) > 1e-3


@pytest.mark.parametrize("order", range(4))
def test_an_initial_derivative_is_forward_in_time(order: int) -> None:
    def value(x, y):
        t = torch.as_tensor(1.0)
        return along(lambda p: exact(p)[0], torch.stack([x, y, t]), 2, order)

    (face,) = faces(pinn.initial(value, order=order), "u", BOX)
    assert face.terms == ((1.0, order),) and not face.upper and face.end(BOX) == 1.0
    assert float(missed(face, exact).abs().max()) < 1e-11


def test_the_outward_normal_points_against_the_coordinate_at_the_lower_edge() -> None:
    line = Domain.of({"x": (0.0, 1.0)})
    slopes = [(face.upper, face.terms) for face in faces(pinn.neumann("x", 3.0), "u", line)]
    assert slopes == [(False, ((-1.0, 1),)), (True, ((1.0, 1),))]
    (lower, upper) = faces(pinn.robin("x", 2.0, 5.0, 1.0), "u", line)
    assert lower.terms == ((2.0, 0), (-5.0, 1)) and upper.terms == ((2.0, 0), (5.0, 1))
    # A term of factor zero is no term: Robin's condition then is Dirichlet's or Neumann's.
    assert faces(pinn.robin("x", 0.0, 5.0), "u", line)[1].terms == ((5.0, 1),)


def test_several_coordinates_and_sides_are_several_edges() -> None:
    found = faces(pinn.dirichlet(("x", "y"), 0.0), "u", BOX)
    assert [(face.index, face.upper) for face in found] == [(0, False), (0, True), (1, False), (1, True)]
    assert [len(faces(pinn.dirichlet("y", side=side), "u", BOX)) for side in SIDES] == [1, 1, 2]
    assert found[0].describe(BOX) == "dirichlet(x, y) at x = -1"


@pytest.mark.parametrize(
    "function",
    [
        lambda x, t: x - 2 * t,
        lambda t, x: x - 2 * t,
        lambda a, b, /: a - 2 * b,  # without names: of the free coordinates in order
        lambda *free: free[0] - 2 * free[1],
        lambda t, *, x: x - 2 * t,
        lambda x, t, k=2.0: x - k * t,
    ],
)
def test_a_function_takes_the_coordinates_that_it_names(function) -> None:
    at = NamedFunction.of(function, BOX, "the value", "y")
    assert float(at(torch.tensor([5.0, 7.0, 3.0]))) == -1.0


def test_a_function_may_return_a_number() -> None:
    x = torch.zeros(3, dtype=torch.float32)
    found = NamedFunction.of(lambda x: 2, BOX, "the value")(x)
    assert found.dtype == torch.float32 and float(found) == 2.0
    found = NamedFunction.of(lambda x: (x, 1.5), BOX, "the reference", several=2)(x + 4)
    assert found.tolist() == [4.0, 1.5]


@pytest.mark.parametrize("value", [2, 2.0, np.float32(2.0), np.float64(2.0), np.int64(2), torch.tensor(2.0)])
def test_a_value_may_be_any_real_number(value) -> None:
    for face in faces(pinn.dirichlet("x", value), "u", BOX):
        assert face.value == 2.0 and float(face.at(torch.zeros(3))) == 2.0


def test_data_are_points_on_the_edge() -> None:
    plane = Domain.of({"x": (0.0, 1.0), "t": (0.0, 2.0)})
    where, values = np.linspace(0, 1, 5), np.arange(5)
    (face,) = faces(pinn.initial((where, values)), "u", plane)
    assert face.value is None and face.data is not None
    assert face.data[0].tolist() == [[x, 0.0] for x in where] and face.data[1].tolist() == [0, 1, 2, 3, 4]
    (face,) = faces(pinn.dirichlet("x", (torch.ones(3), [1, 2, 3]), side="upper"), "u", plane)
    assert face.data is not None and face.data[0].tolist() == 3 * [[1.0, 1.0]]
    (face,) = faces(pinn.initial(({"x": 0.5, "y": [0.25, 0.75]}, 3.0)), "u", BOX)
    assert face.data is not None
    assert face.data[0].tolist() == [[0.5, 0.25, 1.0], [0.5, 0.75, 1.0]] and face.data[1].tolist() == [3, 3]


def test_places_have_all_coordinates_and_share_single_numbers() -> None:
    points, values = located({"t": 2.0, "x": [0.0, 1.0], "y": np.array([0.5, 1.0])}, [7, 8], BOX, "data")
    assert points.tolist() == [[0.0, 0.5, 2.0], [1.0, 1.0, 2.0]] and values.tolist() == [7.0, 8.0]
    assert points.dtype == values.dtype == torch.float64


def test_an_earlier_slab_is_a_function_of_a_point() -> None:
    started = pinn.initial(0.0)._replace(value=OfPoint(lambda x: x.sum()))
    (face,) = faces(started, "u", BOX)
    assert float(face.at(torch.tensor([1.0, 2.0, 3.0]))) == 6.0


def test_makers_say_what_they_make() -> None:
    made = pinn.neumann("x", 1.0, order=2, side="upper", field="v", hard=False, weight=3.0)
    assert made == Condition("neumann", ("x",), ("upper",), ((1.0, 2),), 1.0, "v", False, 3.0)
    assert str(made) == "neumann(x) of v"
    assert pinn.robin("x", 1, 2).hard is False and pinn.point({"x": 0.5}, 1.0).hard is False
    assert pinn.periodic(("x", "y")).coordinates == ("x", "y")
    assert str(pinn.point({"x": 0.5}, 1.0)) == "point(at {'x': 0.5})"
    assert pinn.initial(1.0, coordinate="s").coordinates == ("s",)
    assert pinn.dirichlet("x").value == 0.0
