"""Scales follow units: a power of two in a field, coordinate or equation is in its scale and nowhere else."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from funcsci import pinn, random
from funcsci.pinn import Domain
from funcsci.pinn.equations import Equations
from funcsci.pinn.network import NetworkSettings
from funcsci.pinn.scales import Linearized, Scales, scales
from funcsci.pinn.settings import Settings
from funcsci.pinn.task import Task, make_task

POWER = st.integers(-40, 40)


def coupled(k=(0, 0), e=(0, 0), c=0) -> pinn.Problem:
    """u' = 300 v - u + 7, v' = -0.02 u - 5 v: fields, equations and coordinate in units of 2^k, 2^e, 2^c."""
    (a, b), (m, n), d = (2.0**one for one in k), (2.0**one for one in e), 2.0**c

    def equations(u, v):
        return (
            m * (d * u.t / a - 300 * v / b + u / a - 7),
            n * (d * v.t / b + 0.02 * u / a + 5 * v / b),
        )

    return pinn.ode(equations, (0.0, 3.0 * d), [4.0 * a, 0.01 * b])


def task_of(problem: pinn.Problem) -> Task:
    return make_task(problem, Settings(random.key(0)), NetworkSettings((4,)))


@settings(max_examples=10)
@given(k=st.tuples(POWER, POWER), e=st.tuples(POWER, POWER), c=POWER)
def test_units_shift_their_scales_and_nothing_else(k, e, c) -> None:
    first, second = task_of(coupled()).scales, task_of(coupled(k, e, c)).scales
    assert second.fields == tuple(2.0**one * size for one, size in zip(k, first.fields, strict=True))
    assert second.equations == tuple(2.0**one * size for one, size in zip(e, first.equations, strict=True))
    np.testing.assert_allclose(second.coupling, first.coupling, rtol=1e-12)


@settings(max_examples=10)
@given(k=POWER, e=POWER, c=st.tuples(POWER, POWER))
def test_units_of_a_box_shift_their_scales(k: int, e: int, c) -> None:
    def scales_of(k: int, e: int, c) -> Scales:
        field, equation, (length, time) = 2.0**k, 2.0**e, (2.0**one for one in c)
        return task_of(
            pinn.pde(
                lambda u: equation * (time * u.t - 0.3 * length**2 * u.xx - 2 * u) / field,
                {"x": (0.0, 3.0 * length), "t": (0.0, 5.0 * time)},
                [
                    pinn.initial(lambda x: 7 * field * x / length),
                    pinn.robin("x", 1.0, 2.0 * length, 9.0 * field),
                ],
            )
        ).scales

    first, second = scales_of(0, 0, (0, 0)), scales_of(k, e, c)
    assert second.fields == (2.0**k * first.fields[0],)
    assert second.equations == (2.0**e * first.equations[0],)


@settings(max_examples=15)
@given(
    sizes=st.lists(st.floats(-30, 30), min_size=9, max_size=9),
    rows=st.tuples(POWER, POWER, POWER),
    columns=st.tuples(POWER, POWER, POWER),
)
def test_are_those_with_the_least_sum_of_squared_logarithms(sizes, rows, columns) -> None:
    """A full matrix of sizes B has the mean of its logarithms by rows and by columns as its closed form."""
    matrix = 2.0 ** np.array(sizes).reshape(3, 3)
    matrix = matrix * 2.0 ** np.array(rows, float)[:, None] * 2.0 ** np.array(columns, float)
    found = of_matrix(matrix)
    logarithms = np.log2(matrix)
    # The closed form of the columns, up to one number: the mean of all minus that of the column.
    expected = logarithms.mean() - logarithms.mean(0)
    by_columns = np.log2(found.fields)
    assert np.abs((by_columns - by_columns.mean()) - (expected - expected.mean())).max() <= 1.0  # rounded
    np.testing.assert_allclose(np.log2(found.fields) % 1, 0)  # powers of two
    largest = (matrix * np.array(found.fields)).max(1)
    assert np.abs(np.log2(largest / np.array(found.equations))).max() <= 0.5 + 1e-12
    np.testing.assert_allclose(
        found.coupling, matrix * np.array(found.fields) / np.array(found.equations)[:, None], rtol=1e-12
    )


SUMS = {
    1: lambda a: a,
    2: lambda a, b: a + b,
    3: lambda a, b, c: a + b + c,
    4: lambda a, b, c, d: a + b + c + d,
}


def of_matrix(matrix, residuals=None, given=None, data=()) -> Scales:
    """The scales of linear equations of a, b, ..., without derivatives, of which the matrix is given."""
    rows, columns = np.shape(matrix)
    equations = Equations.of([SUMS[columns]] * rows, Domain.of({"t": (0.0, 1.0)}))
    order = ["abcd".index(request.field) for request in equations.requests]
    slopes = torch.tensor(np.array(matrix, float))[:, order][None]
    residuals = torch.zeros(1, rows) if residuals is None else torch.tensor([residuals])
    fields = torch.zeros(1, columns) if given is None else torch.tensor([given])
    return scales(equations, Linearized(slopes, residuals, fields), data)


def test_fields_that_share_no_equation_do_not_share_a_factor() -> None:
    matrix = [[1.0, 0.0, 0.0], [0.0, 2.0, 2.0], [0.0, 2.0, 2.0]]
    found = of_matrix(matrix, given=[64.0, 0.5, 0.25])
    assert found.fields == (64.0, 0.5, 0.5)
    assert found.equations == (64.0, 1.0, 1.0)
    assert found.coupling == ((1.0, 0.0, 0.0), (0.0, 1.0, 1.0), (0.0, 1.0, 1.0))
    # Equations couple fields in a chain, whatever their order.
    chain = of_matrix([[1.0, 0, 0, 1], [0, 1, 1, 0], [0, 0, 1, 1], [0, 0, 0, 0]], given=[0.0, 8.0, 0.0, 0.0])
    assert chain.fields == (8.0,) * 4


def test_fields_and_equations_that_hold_nothing_have_scales() -> None:
    found = of_matrix([[0.0, 0.0], [0.0, 3.0]], residuals=[5.0, 0.0])
    assert found.fields[0] == 1.0  # no equation tells anything of it
    assert found.equations[0] == 4.0  # an equation of a source alone has the source's scale
    assert of_matrix([[0.0]]) == Scales((1.0,), (1.0,), ((0.0,),))
    assert of_matrix([[0.0]], given=[32.0]).fields == (32.0,)


def test_what_is_not_finite_has_no_say() -> None:
    matrix = [[math.inf, 1.0], [math.nan, 1.0]]
    found = of_matrix(matrix, residuals=[math.nan, math.inf])
    assert all(math.isfinite(one) and one > 0 for one in (*found.fields, *found.equations))


@pytest.mark.parametrize("size", [1e-280, 1e280])
def test_squares_do_not_overflow_or_vanish(size: float) -> None:
    found = of_matrix([[size]], given=[1.0])
    assert found.equations[0] == pytest.approx(size, rel=0.5) and found.fields == (1.0,)


def test_the_data_set_the_factor() -> None:
    assert of_matrix([[1.0]], given=[100.0]).fields == (128.0,)
    assert of_matrix([[0.5]], residuals=[100.0]).fields == (256.0,)  # 100 / 0.5, rounded
    assert of_matrix([[1.0]], given=[100.0], data=[("a", 1000.0)]).fields == (1024.0,)
    assert of_matrix([[1.0]], given=[100.0], data=[("a", 10.0)]).fields == (128.0,)
    assert of_matrix([[1.0]]).fields == (1.0,)


CONDITIONS = {
    "dirichlet": [pinn.dirichlet("x", 1024.0, hard=False)],
    "neumann": [
        pinn.dirichlet("x", 0.0, side="lower", hard=False),
        pinn.neumann("x", -512.0, side="upper", hard=False),
    ],
    "robin": [
        pinn.dirichlet("x", 0.0, side="lower", hard=False),
        pinn.robin("x", 8.0, 0.0, 8192.0, side="upper"),
    ],
    "point": [pinn.dirichlet("x", 0.0, hard=False), pinn.point({"x": 1.5}, -1024.0)],
}


@pytest.mark.parametrize("name", CONDITIONS)
def test_values_of_conditions_in_the_loss_set_the_factor(name: str) -> None:
    """A slope of 512 over a length of two is a change of 1,024; so is 8,192 over a factor of eight."""
    problem = pinn.ode(
        lambda u: u.xx, (0.0, 2.0), coordinate="x", conditions=CONDITIONS[name], well_posed=False
    )
    assert task_of(problem).scales.fields == (1024.0,)


def test_sizes_of_terms_take_the_lengths_of_the_domain() -> None:
    problem = pinn.pde(
        lambda u: (u.t - 0.25 * u.xx, 5000 * u.laplacian("x", "t")),
        {"x": (0.0, 0.125), "t": (0.0, 8.0)},
        [],
        well_posed=False,
    )
    found = task_of(problem).scales
    sizes = [one / found.fields[0] for one in found.equations]
    assert sizes == [16.0, 2.0 ** round(math.log2(5000 * 64))]
    assert found.coupling[0] == pytest.approx((1.0,))


def test_a_coefficient_has_the_size_of_its_root_mean_square() -> None:
    problem = pinn.ode(
        lambda u, x: u.xx + 1000 * torch.sin(2 * math.pi * x) * u,
        (0.0, 1.0),
        coordinate="x",
        conditions=pinn.dirichlet("x", 0.0),
    )
    found = task_of(problem).scales
    assert found.equations[0] / found.fields[0] == pytest.approx(1000 / math.sqrt(2), rel=0.5)


def test_a_solution_is_of_size_one_in_its_units() -> None:
    """Plane strain with moduli of 1e11: displacements of micrometres, stresses of megapascals."""
    modulus, stretch = 2e11, 1e-5
    problem = pinn.ode(
        lambda u, s: (s - modulus * u.x, s.x + modulus * stretch * torch.ones(())),
        (0.0, 1.0),
        coordinate="x",
        conditions=[
            pinn.dirichlet("x", 0.0, side="lower", field="u"),
            pinn.dirichlet("x", 0.0, side="upper", field="s"),
        ],
    )
    u, s = task_of(problem).scales.fields
    assert stretch / 4 <= u <= 4 * stretch and modulus * stretch / 4 <= s <= 4 * modulus * stretch
