"""Units do not matter: multiplied by a power of two or of ten, a problem has the same solution and status."""

import functools
import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from funcsci import pinn
from funcsci.pinn import Solution

pytestmark = pytest.mark.filterwarnings("ignore:solve did not converge:RuntimeWarning")

ROUND_OFF = 1e-13
"""A relative difference between solutions that is round-off."""


class Units(NamedTuple):
    """What fields, equations and coordinates are multiplied by."""

    fields: tuple[float, ...]
    equations: tuple[float, ...]
    coordinates: tuple[float, ...]


class Case(NamedTuple):
    """A problem in units.

    Attributes:
        problem: of the units.
        counts: of fields, of equations and of coordinates.
        ends: of each coordinate, in units of one.
        linear: whether its equations are.
        options: of the solve.
    """

    problem: Callable[[Units], pinn.Problem]
    counts: tuple[int, int, int]
    ends: tuple[float, ...]
    linear: bool = True
    options: dict = {"hidden": (48,)}  # noqa: RUF012


def oscillator(units: Units) -> pinn.Problem:
    (a,), (e,), (s,) = units
    return pinn.ode(
        lambda u, t: e * (s**2 * u.tt / a + 0.3 * s * u.t / a + 9 * u / a - torch.cos(t / s)),
        (0.0, 3.0 * s), 1.0 * a, -0.5 * a / s,
    )  # fmt: skip


def coupled(units: Units) -> pinn.Problem:
    (a, b), (e, f), (s,) = units
    return pinn.ode(
        lambda u, v: (e * (s * u.t / a + u / a - 300 * v / b), f * (s * v.t / b + 0.02 * u / a + 2 * v / b)),
        (0.0, 2.0 * s), [4.0 * a, 0.01 * b],
    )  # fmt: skip


def wall(units: Units) -> pinn.Problem:
    """Heat through a wall: a temperature at one side, an exchange at the other, both in the loss."""
    (a,), (e,), (s,) = units
    return pinn.ode(
        lambda u, x: e * (s**2 * u.xx / a - 4 * u / a + torch.sin(3 * x / s)),
        (0.0, 2.0 * s), coordinate="x",
        conditions=[
            pinn.dirichlet("x", 3.0 * a, side="lower", hard=False),
            pinn.robin("x", 2.0, 5.0 * s, 1.0 * a, side="upper"),
        ],
    )  # fmt: skip


def rod(units: Units) -> pinn.Problem:
    """A displacement and its stress, of first order, with one end held."""
    (a, b), (e, f), (s,) = units
    return pinn.ode(
        lambda u, p, x: (e * (p / b - s * u.x / a), f * (s * p.x / b + torch.cos(2 * x / s))),
        (0.0, 1.0 * s), coordinate="x",
        conditions=[
            pinn.dirichlet("x", 0.0, side="lower", field="u"),
            pinn.dirichlet("x", 0.7 * b, side="upper", field="p"),
        ],
    )  # fmt: skip


def plate(units: Units) -> pinn.Problem:
    (a,), (e,), (s, r) = units
    return pinn.pde(
        lambda u, x, y: (
            e
            * (s**2 * u.xx / a + r**2 * u.yy / a + 0.5 * s * r * u.xy / a - u / a + torch.exp(x / s) * y / r)
        ),
        {"x": (0.0, 1.0 * s), "y": (0.0, 1.0 * r)},
        [pinn.dirichlet(("x", "y"), 0.5 * a)],
    )


def spring(units: Units) -> pinn.Problem:
    """A hardening spring, which is nonlinear."""
    (a,), (e,), (s,) = units
    return pinn.ode(lambda u: e * (s**2 * u.tt / a + u / a + (u / a) ** 3), (0.0, 3.0 * s), 1.0 * a, 0.0)


CASES = {
    "oscillator": Case(oscillator, (1, 1, 1), (3.0,)),
    "coupled": Case(coupled, (2, 2, 1), (2.0,)),
    "wall": Case(wall, (1, 1, 1), (2.0,)),
    "rod": Case(rod, (2, 2, 1), (1.0,)),
    "plate": Case(plate, (1, 1, 2), (1.0, 1.0), options={"hidden": (60,), "points": 200, "tol": 3e-2}),
    "spring": Case(spring, (1, 1, 1), (3.0,), linear=False),
}


def solved(case: Case, units: Units) -> Solution:
    return pinn.solve(case.problem(units), method="random_features", progress=False, **case.options)


@functools.cache
def in_units_of_one(name: str) -> Solution:
    case = CASES[name]
    return solved(case, Units(*((1.0,) * count for count in case.counts)))


def compared(name: str, units: Units) -> tuple[Solution, Solution, list[float]]:
    """A solution in units of one, another in other units, and the relative difference of each field."""
    case = CASES[name]
    first, second = in_units_of_one(name), solved(case, units)
    axes = np.meshgrid(*(np.linspace(0, end, 200 if len(case.ends) == 1 else 15) for end in case.ends))
    here, there = (
        np.stack(np.atleast_2d(one(*(axis.ravel() * unit for axis, unit in zip(axes, scales, strict=True)))))
        for one, scales in ((first, (1.0,) * len(axes)), (second, units.coordinates))
    )
    there = there / np.array(units.fields)[:, None]
    return first, second, (np.linalg.norm(there - here, axis=1) / np.linalg.norm(here, axis=1)).tolist()


def units_of(name: str, base: float, most: int) -> st.SearchStrategy[Units]:
    one = st.integers(-most, most).map(lambda power: base**power)
    return st.tuples(*(st.tuples(*[one] * count) for count in CASES[name].counts)).map(
        lambda many: Units(*many)
    )


def examples(name: str) -> settings:
    """A few, and none to make a failing one smaller: each is a solve."""
    return settings(max_examples=2 if name == "plate" else 6, phases=(Phase.generate,))


def agree(name: str, units: Units, *, to_round_off: bool) -> None:
    first, second, differences = compared(name, units)
    told = repr((units, str(first.status), str(second.status)))
    assert first.status.converged == second.status.converged, told
    assert first.estimate_trusted == second.estimate_trusted, told
    for field, difference in zip(first.fields, differences, strict=True):
        allowed = 0.0 if to_round_off else first.error_estimate[field] + second.error_estimate[field]
        assert difference <= allowed + ROUND_OFF, (field, difference, told)


@pytest.mark.parametrize("name", CASES)
def test_powers_of_two_change_nothing(name: str) -> None:
    @examples(name)
    @given(units_of(name, 2.0, 40))
    def law(units: Units) -> None:
        agree(name, units, to_round_off=CASES[name].linear)

    law()


@pytest.mark.parametrize("name", CASES)
def test_powers_of_ten_change_less_than_the_estimated_error(name: str) -> None:
    @examples(name)
    @given(units_of(name, 10.0, 12))
    def law(units: Units) -> None:
        agree(name, units, to_round_off=False)

    law()


@pytest.mark.parametrize("name", CASES)
def test_solutions_in_units_of_one_are_found(name: str) -> None:
    """Else the laws above would compare one failure with another."""
    first = in_units_of_one(name)
    assert first.estimate_trusted and max(first.error_estimate.values()) < (1e-2 if name == "plate" else 1e-6)
    assert all(math.isfinite(one) for one in first.residuals.values())
