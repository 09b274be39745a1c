"""A problem is complete when it has as many conditions as its equations' orders need."""

import math

import numpy as np
import pytest
import torch

from funcsci import pinn

PLANE = {"x": (0.0, 1.0), "y": (0.0, 2.0)}
STRIP = {"x": (0.0, 1.0), "t": (0.0, 2.0)}
initial, dirichlet, neumann, robin, periodic = (
    pinn.initial, pinn.dirichlet, pinn.neumann, pinn.robin, pinn.periodic
)  # fmt: skip

WELL_POSED = {
    "heat": (lambda u: u.t - u.xx, STRIP, [initial(0.0), dirichlet("x")]),
    "heat, mixed": (
        lambda u: u.t - u.xx,
        STRIP,
        [initial(0.0), dirichlet("x", side="lower"), robin("x", 1.0, 2.0, side="upper")],
    ),
    "wave": (lambda u: u.tt - u.xx, STRIP, [initial(0.0), initial(0.0, order=1), neumann("x")]),
    "convection": (lambda u: u.t + u.x, STRIP, [initial(0.0), dirichlet("x", side="lower")]),
    "convection, periodic": (lambda u: u.t + u.x, STRIP, [initial(0.0), periodic("x")]),
    "Korteweg-de Vries": (lambda u: u.t + u * u.x + u.xxx, STRIP, [initial(0.0), periodic("x")]),
    "plate": (
        lambda u: u.xxxx + 2 * u.xxyy + u.yyyy - 1,
        PLANE,
        [dirichlet(("x", "y")), neumann(("x", "y"))],
    ),
    "Poisson": (lambda u: u.laplacian() - 1, PLANE, [dirichlet(("x", "y"))]),
    "Schroedinger": (
        lambda u, v: (u.t + v.xx, v.t - u.xx),
        STRIP,
        [one for field in "uv" for one in (initial(0.0, field=field), dirichlet("x", field=field))],
    ),
    "pressure at a place": (
        lambda u, v, p: (u.laplacian() - p.x, v.laplacian() - p.y, u.x + v.y),
        PLANE,
        [dirichlet(("x", "y"), field=f) for f in "uv"] + [pinn.point({"x": 0.0, "y": 0.0}, 0.0, field="p")],
    ),
    "time reversed": (lambda u: u.t + u, {"t": (0.0, 1.0)}, [dirichlet("t", 1.0, side="upper")]),
    "data": (lambda u: u.x - u, {"x": (0.0, 1.0)}, [pinn.point({"x": [0.1, 0.9]}, [1.0, 2.0])]),
}  # fmt: skip


@pytest.mark.parametrize("name", WELL_POSED)
def test_well_posed_problems_are_accepted(name: str) -> None:
    equation, domain, conditions = WELL_POSED[name]
    problem = pinn.pde(equation, domain, conditions)
    assert problem.domain.ranges == domain and problem.conditions == tuple(conditions)


UNDER = {
    "no conditions": (
        lambda u: u.t - u.xx,
        STRIP,
        [],
        r"order 2 in x, .* needs 2 .* edges of x\. Got 0\. Add 2, as pinn\.dirichlet",
    ),
    "no start": (
        lambda u: u.t - u.xx,
        STRIP,
        [dirichlet("x")],
        r"order 1 in t, .* needs 1 .*Got 0.*pinn\.initial",
    ),
    "no velocity": (
        lambda u: u.tt - u.xx,
        STRIP,
        [initial(0.0), dirichlet("x")],
        r"order 2 in t, .* needs 2 .*Got 1\. Add 1",
    ),
    "no edges": (lambda u: u.t - u.xx, STRIP, [initial(0.0)], r"edges of x\. Got 0"),
    "one edge": (
        lambda u: u.laplacian(),
        PLANE,
        [dirichlet("x"), dirichlet("y", side="lower")],
        r"edges of y\. Got 1",
    ),
    "one field": (
        lambda u, v: (u.t - v, v.t + u),
        {"t": (0.0, 1.0)},
        [initial(0.0, field="u")],
        r"u is of order 1 in t, v is of order 1 in t, .*Got 1",
    ),
    "clamped once": (
        lambda u: u.xxxx,
        {"x": (0.0, 1.0)},
        [dirichlet("x")],
        r"order 4 in x, .*needs 4 .*Got 2\. Add 2",
    ),
}


@pytest.mark.parametrize("name", UNDER)
def test_missing_conditions_make_a_problem_under_determined(name: str) -> None:
    equation, domain, conditions, story = UNDER[name]
    with pytest.raises(ValueError, match=rf"^The problem is under-determined: .*{story}.*well_posed=False"):
        pinn.pde(equation, domain, conditions)
    pinn.pde(equation, domain, conditions, well_posed=False)


@pytest.mark.parametrize(
    ("equation", "conditions", "story"),
    [
        (lambda u: u.x + u, [dirichlet("x")], "order 1 in x, which takes 1 .*Got 2. Leave 1 out"),
        (lambda u: u.xx, [dirichlet("x"), neumann("x")], "order 2 in x, which takes 2 .*Got 4. Leave 2 out"),
        (lambda u, x: u - x, [dirichlet("x", side="lower")], "no field has a derivative in x, which takes 0"),
    ],
)
def test_too_many_conditions_make_an_ordinary_problem_over_determined(equation, conditions, story) -> None:
    with pytest.raises(ValueError, match=rf"^The problem is over-determined: .*{story}.*well_posed=False"):
        pinn.ode(equation, (0.0, 1.0), coordinate="x", conditions=conditions)
    pinn.ode(equation, (0.0, 1.0), coordinate="x", conditions=conditions, well_posed=False)


def test_an_edge_of_a_coordinate_without_derivatives_takes_no_condition() -> None:
    with pytest.raises(ValueError, match="over-determined: no field has a derivative in y"):
        pinn.pde(lambda u: u.xx, PLANE, [dirichlet("x"), dirichlet("y", side="lower")])


MARCHES = {
    "heat": (lambda u: u.t - u.xx, [initial(0.0), dirichlet("x")], "t"),
    "wave": (lambda u: u.tt - u.xx, [initial(0.0), initial(0.0, order=1), dirichlet("x")], "t"),
    "in x": (lambda u: u.x + u.t, [initial(0.0, coordinate="x"), dirichlet("t", side="lower")], "x"),
    "soft start": (lambda u: u.t - u.xx, [initial(0.0, hard=False), dirichlet("x")], None),
    "data": (lambda u: u.t - u.xx, [initial(([0.0, 0.5], [0.0, 0.5])), dirichlet("x")], None),
    "velocity missing": (lambda u: u.tt - u.xx, [initial(0.0), dirichlet("x")], None),
    "known end": (
        lambda u: u.tt - u.xx, [initial(0.0), dirichlet("t", 1.0, side="upper"), dirichlet("x")], None
    ),
    "measured later": (
        lambda u: u.t - u.xx, [initial(0.0), dirichlet("x"), pinn.point({"x": 0.5, "t": 1.0}, 1.0)], None
    ),
    "no time": (lambda u: u.tt + u.xx, [dirichlet(("x", "t"))], None),
    "two starts": (
        lambda u: u.t + u.x, [initial(0.0), initial(0.0, coordinate="x")], None
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MARCHES)
def test_a_problem_marches_where_all_of_its_start_is_built_in(name: str) -> None:
    equation, conditions, along = MARCHES[name]
    assert pinn.pde(equation, STRIP, conditions, well_posed=False).marches == along


def test_a_system_marches_where_each_field_has_its_start() -> None:
    both = pinn.ode(lambda u, v: (u.tt - v, v.t + u), (0.0, 1.0), {"u": 1.0, "v": 0.0}, {"u": 0.0})
    assert both.marches == "t"
    one = pinn.ode(
        lambda u, v: (u.t - v, v.t + u), (0.0, 1.0), {"u": 1.0},
        conditions=dirichlet("t", 0.0, side="upper", field="v"),
    )  # fmt: skip
    assert one.marches is None


def test_conditions_are_sorted_by_how_they_are_met() -> None:
    problem = pinn.pde(
        lambda u: u.t - u.xx,
        STRIP,
        [
            initial(0.0),
            neumann("x", side="lower"),
            dirichlet("x", side="upper"),
            pinn.point({"x": 0.5, "t": 1}, 2),
        ],
    )
    assert [face.source.kind for face in problem.edges.hard] == ["initial", "dirichlet"]
    assert [face.source.kind for face in problem.edges.soft] == ["neumann"]
    ((condition, (x, values)),) = problem.places
    assert condition.kind == "point" and x.tolist() == [[0.5, 1.0]] and values.tolist() == [2.0]
    around = pinn.pde(lambda u: u.laplacian("x", "y") + u, PLANE, periodic(("y", "x")))
    assert around.periodic == (0, 1) and problem.periodic == ()


def test_an_ode_takes_its_start_as_a_number_in_order_or_by_name() -> None:
    def system(u, v, t):
        return u.t - v, v.t + t * u

    by_order = pinn.ode(system, (0.0, 1.0), [1.0, 2.0])
    by_name = pinn.ode(system, (0.0, 1.0), {"v": 2.0, "u": 1.0})
    array = pinn.ode(system, (0.0, 1.0), np.array([1.0, 2.0]))
    for problem in (by_order, by_name, array):
        assert problem.fields == ("u", "v")
        assert {one.field: one.value for one in problem.conditions} == {"u": 1.0, "v": 2.0}
    one = pinn.ode(lambda u: u.tt + u, (0.0, 1.0), 1, np.float64(2.0))
    assert [(c.terms, c.value) for c in one.conditions] == [(((1.0, 0),), 1.0), (((1.0, 1),), 2.0)]


def test_an_equation_may_have_constants_with_values() -> None:
    assert pinn.ode(lambda u, k=3.0: u.t + k * u, (0.0, 1.0), 1.0).fields == ("u",)
    assert pinn.ode(lambda u, *, k=3.0: u.t + k * u, (0.0, 1.0), 1.0).fields == ("u",)
    assert pinn.pde(lambda u, k=3.0: u.t + k * u, STRIP, initial(1.0)).fields == ("u",)


def test_fields_come_in_the_equations_order_whatever_that_of_the_conditions() -> None:
    conditions = [initial(0.0, field="v"), initial(0.0, field="u")]
    problem = pinn.pde(lambda u, v: (u.t - v, v.t + u), {"t": (0.0, 1.0)}, conditions)
    assert problem.fields == ("u", "v")
    given = pinn.pde(lambda u, v: (u.t - v, v.t + u), {"t": (0.0, 1.0)}, conditions, fields=["v", "u"])
    assert given.fields == ("v", "u")


@pytest.mark.parametrize("kind", [list, tuple, torch.stack])
def test_an_initial_value_problem_is_that_of_scipy(kind) -> None:
    problem = pinn.ivp(lambda t, y: kind([y[1], -4 * y[0] + t]), (0.5, 2.0), [1.0, -1.0])
    assert problem.fields == ("y0", "y1") and problem.marches == "t"
    equations = problem.equations
    values = {
        request: torch.tensor({"y0": [2.0, 3.0], "y1": [5.0, 7.0]}[request.field][len(request.operator[0])])
        for request in equations.requests
    }
    # What is left: y0' - y1 and y1' + 4 y0 - t.
    assert equations.residuals(values, torch.tensor([10.0])).tolist() == [3.0 - 5.0, 7.0 + 8.0 - 10.0]


def test_an_initial_value_problem_of_one_number_has_one_field() -> None:
    for function in (lambda t, y: -y, lambda t, y: -y[0], lambda t, y: [-y[0]], lambda t, y: -0.5):
        problem = pinn.ivp(function, (0.0, 1.0), [math.e])
        assert problem.fields == ("y",) and problem.conditions[0].value == math.e


def test_is_told_to_files_by_its_recipe() -> None:
    problem = pinn.ode(lambda u: u.t + u, (0.0, 1.0), 1.0, text="decay")
    named = problem.with_recipe("decay", {"rate": 1.0}, ("u(0) = 1",))
    assert problem.recipe is None and problem.text == "decay"
    assert named.recipe == ("decay", {"rate": 1.0}) and named.told == ("u(0) = 1",)
    assert named.equations is problem.equations
