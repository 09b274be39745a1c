"""Built-in conditions hold for every parameter: of any order, at one end or both, on boxes, for functions."""

import math
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.polynomial import Polynomial
from torch.func import vmap

from funcsci import pinn, random
from funcsci.autodiff import derivative
from funcsci.pinn import Condition, Domain
from funcsci.pinn.domain import along
from funcsci.pinn.faces import Face, OfPoint, faces
from funcsci.pinn.hard import Line, build, hermite, powers_of_artanh, split
from funcsci.pinn.network import NetworkSettings, network
from funcsci.pinn.trial import Trial

seeds = st.integers(0, 10_000)


@pytest.mark.parametrize(("lower", "upper"), [(a, b) for a in range(5) for b in range(5) if a + b])
def test_hermite_polynomials_have_one_unit_derivative(lower: int, upper: int) -> None:
    wanted = [(0.0, order) for order in range(lower)] + [(1.0, order) for order in range(upper)]
    for place, coefficients in enumerate(hermite(lower, upper)):
        line = Polynomial(coefficients)
        assert len(coefficients) == lower + upper
        found = [line.deriv(order)(end) if order else line(end) for end, order in wanted]
        np.testing.assert_allclose(found, np.eye(lower + upper)[place], atol=1e-10)


def test_hermites_cubics_are_those_of_the_textbook() -> None:
    expected = [[1, 0, -3, 2], [0, 1, -2, 1], [0, 0, 3, -2], [0, 0, -1, 1]]
    np.testing.assert_allclose(hermite(2, 2), expected, atol=1e-13)


@pytest.mark.parametrize(("order", "size"), [(order, size) for size in range(1, 5) for order in range(size)])
def test_powers_of_artanh_are_its_taylor_coefficients(order: int, size: int) -> None:
    def function(y):
        return torch.atanh(y) ** order / math.factorial(order)

    zero = torch.tensor(0.0)
    expected = [
        float(function(zero)) if not k else float(derivative(function, k)(zero)) / math.factorial(k)
        for k in range(size)
    ]
    found = powers_of_artanh(order, size)
    np.testing.assert_allclose(found + [0.0] * (size - len(found)), expected, atol=1e-13)


@pytest.mark.parametrize("ends", [(1, 0), (0, 1), (3, 0), (0, 2), (1, 1), (2, 2), (3, 1), (1, 3)])
def test_shapes_have_one_unit_derivative_and_distances_vanish_to_the_order(ends: tuple[int, int]) -> None:
    domain = Domain.of({"y": (0.0, 1.0), "x": (-2.0, 3.0)})
    line = Line.of(domain, 1, *ends, 0.7)
    wanted = [(at_upper, order) for at_upper in (False, True) for order in range(ends[at_upper])]
    for at_upper, order in wanted:
        for end, taken in wanted:
            x = torch.tensor([0.4, domain.upper[1] if end else domain.lower[1]])
            found = float(along(lambda x: line.shape(at_upper, order, x), x, 1, taken))  # noqa: B023
            assert found == pytest.approx(float((at_upper, order) == (end, taken)), abs=1e-11)
            assert float(along(line.distance, x, 1, taken)) == pytest.approx(0.0, abs=1e-12)
    for side, count in enumerate(ends):  # and to no higher order
        x = torch.tensor([0.4, domain.upper[1] if side else domain.lower[1]])
        assert count == 0 or abs(float(along(line.distance, x, 1, count))) > 1e-3
    inside = torch.stack([torch.zeros(201), torch.linspace(-2.0, 3.0, 201)], 1)
    sizes = vmap(line.distance)(inside).abs()
    assert float(sizes[1:-1].min()) > 0 and float(sizes.max()) <= 1 + 1e-12


def test_one_sided_shapes_stay_bounded_far_away() -> None:
    line = Line.of(Domain.of({"t": (0.0, 1e4)}), 0, 3, 0, 2.0)
    far = torch.tensor([[1e2], [1e4]])
    for order in range(3):
        assert float(vmap(lambda x: line.shape(False, order, x))(far).abs().max()) < 2.0  # noqa: B023


def trial_of(
    domain: Domain, conditions: Sequence[Condition], rates: Sequence[float]
) -> tuple[Trial, tuple[Face, ...]]:
    """A small network with all conditions built in."""
    found = split([face for one in conditions for face in faces(one, "u", domain)], domain)
    assert not found.soft
    made = network(NetworkSettings((7, 5)), domain.dimensions, 1)
    return Trial(domain, made, (build(found.hard, domain, rates),), (1.0,)), found.hard


def worst(trial: Trial, hard: Sequence[Face], seed: int) -> float:
    """The largest miss of any condition for random parameters, on random places of its edge."""
    params = trial.init(random.key(seed), dtype=torch.float64)
    domain, largest = trial.domain, 0.0
    for place, face in enumerate(hard):
        key = random.fold_in(random.key(seed), place)
        x = domain.unscaled(random.uniform(key, (5, domain.dimensions), dtype=torch.float64))
        x[:, face.index] = face.end(domain)
        x[0] = torch.where(torch.arange(domain.dimensions) == face.index, x[0], torch.tensor(domain.lower))
        ((factor, order),) = face.terms

        def miss(x, face=face, factor=factor, order=order):
            return factor * along(lambda x: trial.apply(params, x)[0], x, face.index, order) - face.at(x)

        largest = max(largest, float(vmap(miss)(x).abs().max()))
    return largest


values = st.floats(-3, 3)


@settings(max_examples=10)
@given(given_values=st.lists(values, min_size=1, max_size=4), start=st.floats(-5, 5),
       length=st.floats(0.2, 20), rate=st.floats(0.1, 5), seed=seeds)  # fmt: skip
def test_initial_conditions_of_any_order_hold(given_values, start, length, rate, seed) -> None:
    domain = Domain.of({"t": (start, start + length)})
    conditions = [pinn.initial(value, order=order) for order, value in enumerate(given_values)]
    trial, hard = trial_of(domain, conditions, [rate])
    assert worst(trial, hard, seed) <= 1e-10 * (1 + rate) ** (len(given_values) - 1)


@settings(max_examples=10)
@given(lower=st.lists(values, max_size=3), upper=st.lists(values, max_size=3),
       length=st.floats(0.2, 5), seed=seeds)  # fmt: skip
def test_values_and_normal_derivatives_at_both_ends_hold(lower, upper, length, seed) -> None:
    domain = Domain.of({"x": (-1.0, -1.0 + length)})
    conditions = [
        pinn.neumann("x", value, order=order, side=side) if order else pinn.dirichlet("x", value, side=side)
        for side, given_values in (("lower", lower), ("upper", upper))
        for order, value in enumerate(given_values)
    ]
    trial, hard = trial_of(domain, conditions, [1 / length])
    assert len(hard) == len(lower) + len(upper)
    assert worst(trial, hard, seed) <= 1e-9 * max(1.0, length**-3)


def exact(x: torch.Tensor) -> torch.Tensor:
    return torch.cos(x @ torch.tensor([1.1, -0.6, 0.8][: len(x)]).to(x)) + 0.3 * x[0] * x[-1]


def stated(condition: Condition, index: int, order: int, sign: float = 1.0) -> Condition:
    """The condition that the exact solution satisfies."""
    return condition._replace(value=OfPoint(lambda x: sign * along(exact, x, index, order)))


def initials(names: str, orders: int) -> list[Condition]:
    """The exact solution's first derivatives in time at the start."""
    return [stated(pinn.initial(0.0, order=order), len(names) - 1, order) for order in range(orders)]


def edges(names: str, which: str, orders: int) -> list[Condition]:
    """Its value and normal derivatives at both edges of some coordinates."""
    found = []
    for index in map(names.index, which):
        found.append(stated(pinn.dirichlet(names[index], 0.0), index, 0))
        for order in range(1, orders):
            for side, sign in (("lower", (-1.0) ** order), ("upper", 1.0)):
                one = pinn.neumann(names[index], 0.0, order=order, side=side)
                found.append(stated(one, index, order, sign))
    return found


BOXES = {
    "square": ("xy", edges("xy", "xy", 1)),
    "one edge": ("xy", [stated(pinn.dirichlet("y", 0.0, side="upper"), 1, 0)]),
    "clamped plate": ("xy", edges("xy", "xy", 2)),
    "heat": ("xt", initials("xt", 1) + edges("xt", "x", 1)),
    "wave": ("xt", initials("xt", 2) + edges("xt", "x", 1)),
    "cube": ("xyz", edges("xyz", "xyz", 1)),
    "clamped and moving": ("xyt", initials("xyt", 2) + edges("xyt", "x", 2) + edges("xyt", "y", 1)),
}


@pytest.mark.parametrize("name", BOXES)
def test_functions_at_the_edges_of_a_box_hold_for_any_parameters(name: str) -> None:
    names, conditions = BOXES[name]
    domain = Domain.of({one: ((0.0, 1.5) if one == "t" else (-0.5, 0.7)) for one in names})
    trial, hard = trial_of(domain, conditions, [0.8] * len(names))
    for seed in range(3):
        assert worst(trial, hard, seed) < 1e-10


@settings(max_examples=10)
@given(seed=seeds, a=values, b=values, c=values)
def test_constants_that_meet_hold(seed, a, b, c) -> None:
    # u = a + b x at t = 0, and c its slope in time at every place.
    domain = Domain.of({"x": (0.0, 2.0), "t": (0.0, 1.0)})
    conditions = [
        pinn.initial(lambda x: a + b * x),
        pinn.initial(c, order=1),
        pinn.dirichlet("x", lambda t: a + c * t, side="lower"),
        pinn.dirichlet("x", lambda t: a + 2 * b + c * t, side="upper"),
    ]
    trial, hard = trial_of(domain, conditions, [0.5, 1.0])
    assert worst(trial, hard, seed) < 1e-12


def test_zero_conditions_need_no_extension() -> None:
    domain = Domain.of({"x": (0.0, 1.0), "t": (0.0, 1.0)})
    found = [face for one in (pinn.dirichlet("x"), pinn.initial(0.0)) for face in faces(one, "u", domain)]
    built = build(found, domain, [1.0, 1.0])
    assert built.extension is None and built.distance is not None
    nothing = build([], domain, [1.0, 1.0])
    assert nothing.extension is None and nothing.distance is None


def sides(conditions: Sequence[Condition], domain: Domain) -> tuple[int, int]:
    found = split([face for one in conditions for face in faces(one, "u", domain)], domain)
    return len(found.hard), len(found.soft)


def test_what_can_be_built_in_is() -> None:
    plane = Domain.of({"x": (0.0, 1.0), "t": (0.0, 1.0)})
    assert sides([pinn.dirichlet("x"), pinn.neumann("x")], plane) == (4, 0)
    assert sides([pinn.neumann("x")], plane) == (0, 2)  # the value is missing
    assert sides([pinn.dirichlet("x"), pinn.neumann("x", order=2)], plane) == (2, 2)  # the slope is
    assert sides([pinn.initial(0.0, order=1), pinn.initial(0.0)], plane) == (2, 0)  # in any order
    assert sides([pinn.robin("x", 1.0, 0.0)], plane) == (0, 2)
    assert sides([pinn.dirichlet("x", hard=False), pinn.neumann("x")], plane) == (0, 4)
    assert sides([pinn.dirichlet("x", ([0.1, 0.5], [0.0, 1.0]))], plane) == (0, 2)


def test_functions_on_many_edges_are_built_in_only_on_request() -> None:
    names = "abcef"
    domain = Domain.of({name: (0.0, 1.0) for name in names})
    assert sides([pinn.dirichlet(tuple(names), 1.0)], domain) == (10, 0)
    assert sides([pinn.dirichlet(tuple(names), lambda a: a)], domain) == (0, 10)
    assert sides([pinn.dirichlet(tuple(names[:3]), lambda a: a)], domain) == (6, 0)
    assert sides([pinn.dirichlet(tuple(names), lambda a: a, hard=True)], domain) == (10, 0)
