"""What a user writes on the first day works, or is answered in words that name what to write instead."""

import math

import numpy as np
import pytest
import torch

from funcsci import checks, pinn
from funcsci.pinn import Domain
from funcsci.pinn.equations import Equations
from funcsci.pinn.functions import NamedFunction

LINE = Domain.of({"t": (0.0, 1.0)})
STRIP = {"x": (0.0, 1.0), "t": (0.0, 1.0)}
TABLE = torch.tensor([1.0, 2.0])
LEARNED = torch.tensor(1.0, requires_grad=True)


def heat(u):
    return u.t - u.xx


def looping(u, t):
    return u.t + sum(u for _ in range(t))


def branching(u, t):
    return u.t if 0.2 < t < 0.5 else u.t + u


NUMBER = "stands for a number at every point"
BRANCH = rf"{NUMBER}: it is neither true nor false, as if, and, or, max and min need\. Use torch\.where"
FLOAT = rf"{NUMBER}: it cannot be made into one, as float.*Use torch's functions, torch\.sin for math\.sin"
INDEX = rf"{NUMBER}: it is no integer, as an index and range need.*pinn\.interpolate"
PARTS = rf"{NUMBER}: it is a single one, without length, items or parts\. Name each field of a system"
GENERAL = r"must be made of torch's functions.*torch\.where for if.*pinn\.interpolate for a table"
EQUATIONS = {
    "math.sin of a field": (rf"In the equation: u {FLOAT}", lambda u: u.t + math.sin(u)),
    "math.exp of a coordinate": (FLOAT, lambda u, t: u.t + math.exp(-t)),
    "float of a derivative": (rf"u\.t {FLOAT}", lambda u: float(u.t)),
    "int of a coordinate": (rf"t {FLOAT}", lambda u, t: u.t + int(t) * u),
    "a complex number": (FLOAT, lambda u: u.t + complex(u).real),
    "an if": (rf"In the equation branching: An expression {BRANCH}", branching),
    "bool": (BRANCH, lambda u: u.t + bool(u > 0)),
    "max": (BRANCH, lambda u: u.t + max(u, 0)),
    "min of a coordinate": (BRANCH, lambda u, t: u.t + min(t, 0.5)),
    "and": (BRANCH, lambda u, t: u.t + (u and t)),
    "not": (rf"u {BRANCH}", lambda u: u.t + (not u)),
    "range": (rf"In the equation looping: t {INDEX}", looping),
    "a list by index": (INDEX, lambda u, t: u.t + [1.0, 2.0][t]),
    "a table by index": (GENERAL, lambda u, t: u.t + TABLE[(2 * t).long().clamp(0, 1)] * u),
    "a table by field": (GENERAL, lambda u: u.t + TABLE[u]),
    "item": (GENERAL, lambda u, t: u.t + t.item() * u),
    "numpy()": (GENERAL, lambda u, t: u.t + t.numpy() * u),
    "round": (r"u stands.*round needs one\. Use torch\.round", lambda u: u.t + round(u)),
    "round of a coordinate": (r"t stands.*Use torch\.round", lambda u, t: u.t + round(t) * u),
    "math.floor": (r"Use torch\.floor", lambda u: u.t + math.floor(u)),
    "math.ceil": (r"Use torch\.ceil", lambda u: u.t + math.ceil(u)),
    "math.trunc": (r"Use torch\.trunc", lambda u: u.t + math.trunc(u)),
    "NumPy's sine": (r"NumPy's sin does not take it\. Use torch\.sin for np\.sin", lambda u: u.t + np.sin(u)),
    "NumPy's exp of a coordinate": (r"Use torch\.exp for np\.exp", lambda u, t: u.t + np.exp(-t) * u),
    "NumPy's where": (r"Use torch\.where for np\.where", lambda u, t: u.t + np.where(t > 0.5, u, 0)),
    "NumPy's interp": (
        r"Use pinn\.interpolate for np\.interp",
        lambda u, t: u.t + np.interp(t, [0, 1], [0, 1]),
    ),
    "NumPy's gradient": (r"Use torch\.gradient for np\.gradient", lambda u: np.gradient(u)),
    "NumPy's array times a field": (NUMBER, lambda u: u.t + (np.ones(2) * u)[0]),
    "np.asarray": (r"it is no array of NumPy\. Use torch's functions", lambda u: u.t + np.asarray(u)),
    "torch.tensor of fields": (NUMBER, lambda u: torch.tensor([u, u])),
    "a delay": (
        r"u is u\(t\) there, and u at another place, as a delay u\(t - 1\) asks for, is not known.*by steps",
        lambda u, t: u.t + u(t - 1),
    ),
    "a derivative with parentheses": (r"u\.t is a value at one point, no function", lambda u: u.t() + u),
    "an item of a field": (PARTS, lambda u: u[0].t),
    "the length of a field": (PARTS, lambda u: u.t * len(u)),
    "the parts of a field": (PARTS, lambda u: u.t + sum(u)),
    "the length of a derivative": (rf"u\.t {PARTS}", lambda u: len(u.t)),
    "a comparison for an equation": (r"Got a comparison, which is true or false", lambda u: u.t == -u),
    "several comparisons": (r"Got a comparison", lambda u: torch.stack([u > 0, u.t > 0])),
    "NumPy's truth": (r"Got (np\.)?True", lambda u: (u.t, np.bool_(True))[1]),
    "complex numbers in a vector": (r"Got a complex tensor", lambda u: torch.stack([u.t * 1j])),
    "a constant that is learned": (
        r"Constants of the equation must not require a gradient.*Pass constant\.detach\(\)",
        lambda u, k=LEARNED: u.t + k * u,
    ),
}


@pytest.mark.parametrize("name", EQUATIONS)
def test_what_an_equation_cannot_do_is_told_in_words(name: str) -> None:
    story, equation = EQUATIONS[name]
    with pytest.raises(TypeError, match=story) as caught:
        pinn.ode(equation, (0.0, 1.0))
    assert type(caught.value) is TypeError and "vmap" not in str(caught.value)


def test_an_unknown_attribute_names_the_coordinates() -> None:
    with pytest.raises(AttributeError, match=r"u\.T must be a derivative by the coordinates t"):
        pinn.ode(lambda u: u.T, (0.0, 1.0))


def test_an_error_of_the_user_is_left_as_it_is() -> None:
    for kind, equation in (
        (ZeroDivisionError, lambda u: u.t + 1 / 0),
        (NameError, lambda u: u.t + missing),  # noqa: F821
        (RuntimeError, lambda u: u.t + torch.ones(2) @ torch.ones(3)),
        (KeyError, lambda u: {}["k"]),
    ):
        with pytest.raises(kind) as caught:
            pinn.ode(equation, (0.0, 1.0))
        assert type(caught.value) is kind and "the equation" not in str(caught.value)


WORKS = {
    "NumPy's number first": (lambda u: u.t + np.float64(2) * u - np.float32(1), 6.0),
    "NumPy's number last": (lambda u: u.t + u * np.float64(2) - u / np.int64(1) + u ** np.float64(2), 9.0),
    "NumPy's number compared": (lambda u: u.t + torch.where(np.float64(1) < u, 1.0, 0.0), 4.0),
    "a number of math": (lambda u: u.t * math.sin(math.pi / 2) * np.cos(0.0), 3.0),
    "equality": (lambda u: u.t + torch.where(u == 2, 10.0, 0.0) + torch.where(u != 2, 50.0, 0.0), 13.0),
    "an absolute value": (lambda u: abs(-u) + 0 * u.t, 2.0),
    "remainders": (lambda u: u.t + u % 1.5 + 7 % u + u // 1.5 + 5 // u, 3.0 + 0.5 + 1 + 1 + 2),
    "whole constants": (lambda u: torch.tensor(2) * u.t + u * torch.tensor(1), 8.0),
    "torch with a number": (lambda u: torch.maximum(u, torch.tensor(9.0)) + 0 * u.t, 9.0),
    "a sum over numbers": (lambda u: u.t + sum(k * u for k in range(3)), 9.0),
    "a gradient of torch.func": (lambda u, t: u.t + torch.func.grad(torch.sin)(0 * t) * u, 5.0),
    "NumPy's number returned": (lambda u: (u.t, np.float32(1.0))[0] + 0 * u, 3.0),
}  # fmt: skip


@pytest.mark.parametrize("name", WORKS)
def test_what_an_equation_can_do_gives_its_number(name: str) -> None:
    equation, expected = WORKS[name]
    equations = Equations.of(equation, LINE)
    values = {one: torch.tensor([2.0, 3.0][len(one.operator[0])]) for one in equations.requests}
    assert float(equations.residuals(values, torch.tensor([0.5]))) == expected


CONDITIONS = {
    "an if": (rf"In the function of initial\(t\): An expression {BRANCH}", lambda x: 1.0 if x > 0.5 else 0.0),
    "NumPy": (r"Use torch\.sin for np\.sin", lambda x: np.sin(np.pi * x)),
    "math": (rf"x {FLOAT}", lambda x: math.sin(x)),
    "int": (rf"x {FLOAT}", lambda x: int(x)),
    "max": (BRANCH, lambda x: max(x, 0.5)),
    "a table by index": (GENERAL, lambda x: TABLE[(2 * x).long().clamp(0, 1)]),
    "a comparison": (r"must return a number at each point\. Got a torch\.bool tensor", lambda x: x > 0.5),
    "complex numbers": (r"must return a number at each point\. Got a torch\.complex", lambda x: x * 1j),
    "a truth": (r"must return a number at each point\. Got True", lambda x: True),
    "a constant that is learned": (
        r"Constants of initial\(t\) must not require a gradient",
        lambda x, k=LEARNED: k * x,
    ),
}


@pytest.mark.parametrize("name", CONDITIONS)
def test_what_a_condition_cannot_do_is_told_in_words(name: str) -> None:
    story, value = CONDITIONS[name]
    with pytest.raises(TypeError, match=story) as caught:
        pinn.pde(heat, STRIP, [pinn.initial(value), pinn.dirichlet("x", 0.0)])
    assert type(caught.value) is TypeError and "vmap" not in str(caught.value)


NAMES = {
    "a field": (r"Got the function of neumann\(x\)=\('u',\)\. Try lambda t: \.\.\.", lambda u: -(u**4)),
    "another name": (r"must take coordinates by name, of x, t", lambda s: s),
    "one of two": (r"must take coordinates by name", lambda x, y: x),
    "too many without names": (r"must take coordinates by name", lambda a, b, /: a),
    "a name and one without": (r"must take coordinates by name", lambda a, /, t: a),
    "a coordinate with a value": (
        r"t must be without a value in the function of neumann\(x\), since it is a coordinate.*Got t=0\.0",
        lambda x, t=0.0: x,
    ),
}


@pytest.mark.parametrize("name", NAMES)
def test_the_arguments_of_a_condition_are_never_guessed_at(name: str) -> None:
    story, value = NAMES[name]
    with pytest.raises(ValueError, match=story):
        pinn.pde(heat, STRIP, [pinn.initial(0.0), pinn.neumann("x", value)])


@pytest.mark.parametrize(
    "function",
    [torch.sin, lambda y, /: torch.sin(y), lambda *free: torch.sin(free[0]), lambda *, y: torch.sin(y)],
)
def test_arguments_without_names_are_the_free_coordinates(function) -> None:
    plane = Domain.of({"x": (0.0, 1.0), "y": (0.0, 1.0)})
    found = NamedFunction.of(function, plane, "a value", "x")(torch.tensor([5.0, 0.5]))
    assert float(found) == math.sin(0.5)


def test_a_coordinate_of_an_equation_has_no_value() -> None:
    with pytest.raises(ValueError, match=r"t must be without a value in the equation.*Got t=0\.5"):
        pinn.ode(lambda u, t=0.5: u.t + t * u, (0.0, 1.0))


SOLUTION = pinn.solve_ode(lambda u: u.t + u, (0.0, 1.0), 1.0, progress=False)


@pytest.mark.parametrize(
    "reference",
    [
        lambda t: np.exp(-t),
        lambda t: math.exp(-t),
        lambda t: torch.exp(-t),
        lambda t: np.exp(-t) if t > 0.5 else math.exp(-t),
        lambda t: [np.exp(-t)],
        lambda t: np.array(np.exp(-t)),
    ],
)
def test_a_reference_may_be_written_with_numpy_or_math(reference) -> None:
    errors = SOLUTION.errors(reference=reference)
    assert errors == pytest.approx(SOLUTION.errors(reference=lambda t: torch.exp(-t)), abs=1e-15)


def test_a_reference_of_numpy_serves_wherever_one_does() -> None:
    problem = pinn.ode(
        lambda u, v: (u.t - v, v.t + u), (0.0, 1.0), [0.0, 1.0], reference=lambda t: (np.sin(t), np.cos(t))
    )
    solution = pinn.solve(problem, progress=False)
    assert solution.max_error < 1e-9
    u, v = solution.exact(np.array([0.0, 0.5]))
    np.testing.assert_allclose([u, v], [[0.0, math.sin(0.5)], [1.0, math.cos(0.5)]])
    assert solution.exact([])[0].shape == (0,)
    solution.plot(reference=lambda t: (np.sin(t), np.cos(t)))


def test_a_reference_that_no_number_suits_is_told_in_words() -> None:
    def mixed(t):
        return torch.sin(t) if t > 0.5 else t

    with pytest.raises(TypeError, match=rf"In the function of the reference: An expression {BRANCH}"):
        SOLUTION.errors(reference=mixed)
    with pytest.raises(TypeError, match="function of the reference must return a number at each point"):
        SOLUTION.errors(reference=lambda t: None)


@pytest.mark.parametrize(
    ("call", "of", "wrong", "right"),
    [
        (lambda **o: pinn.solve_ode(heat, (0.0, 1.0), **o), "solve_ode", "hiden", "hidden"),
        (
            lambda **o: pinn.solve_ode(lambda u: u.t + u, (0.0, 1.0), 1.0, **o),
            "solve_ode",
            "feilds",
            "fields",
        ),
        (lambda **o: pinn.solve_pde(heat, STRIP, [], **o), "solve_pde", "metod", "method"),
        (lambda **o: pinn.solve_pde(heat, STRIP, [], **o), "solve_pde", "refrence", "reference"),
        (lambda **o: pinn.solve_ivp(lambda t, y: -y, (0.0, 1.0), [1.0], **o), "solve_ivp", "step", "steps"),
        (lambda **o: pinn.solve(SOLUTION.problem, **o), "solve", "tolerance", "tol"),
        (lambda **o: pinn.solve_oscillator(**o), "solve_oscillator", "omga", "omega"),
        (lambda **o: pinn.oscillator(**o), "oscillator", "dampin", "damping"),
        (lambda **o: pinn.ode(heat, (0.0, 1.0), **o), "ode", "conditon", "conditions"),
        (lambda **o: pinn.pde(heat, STRIP, [], **o), "pde", "feild", "fields"),
        (lambda **o: pinn.ivp(heat, (0.0, 1.0), [1.0], **o), "ivp", "txt", "text"),
        (lambda **o: pinn.initial(0.0, **o), "initial", "ordr", "order"),
        (lambda **o: pinn.dirichlet("x", **o), "dirichlet", "sides", "side"),
        (lambda **o: pinn.neumann("x", **o), "neumann", "wieght", "weight"),
        (lambda **o: pinn.robin("x", 1.0, 1.0, **o), "robin", "filed", "field"),
        (lambda **o: pinn.point({"x": 0.0}, 1.0, **o), "point", "wait", "weight"),
        (lambda **o: pinn.periodic("x", **o), "periodic", "coordinates", "coordinate"),
    ],
)
def test_a_misspelt_option_is_answered_with_the_nearest(call, of: str, wrong: str, right: str) -> None:
    with pytest.raises(
        TypeError, match=rf"{of} has no argument {wrong}\. Got {wrong}=3\. Did you mean {right}\?"
    ):
        call(**{wrong: 3})


def test_an_option_that_is_like_none_is_answered_with_all() -> None:
    with pytest.raises(TypeError, match=r"Its arguments are function, t_span, .*progress\.") as caught:
        pinn.solve_ivp(lambda t, y: -y, (0.0, 1.0), [1.0], qqq=3)
    assert "problem" not in str(caught.value)  # which is not an option

    @checks.named_options()
    def free(a: int, **more: int) -> int:
        return a + sum(more.values())

    with pytest.raises(TypeError, match="free has no argument zzz"):
        free(1, zzz=2)


@pytest.mark.wrong_types
@pytest.mark.parametrize("side", [0.5, None, True, ("lower",), "left"])
@pytest.mark.parametrize(
    "make",
    [
        lambda side: pinn.dirichlet("x", 0.0, side=side),
        lambda side: pinn.neumann("x", 0.0, side=side),
        lambda side: pinn.robin("x", 1.0, 1.0, side=side),
    ],
)
def test_what_is_no_side_is_refused(make, side) -> None:
    with pytest.raises(ValueError, match="side must be one of 'lower', 'upper', 'both'"):
        make(side)


STARTS = [1.0, 1, [1.0], (1.0,), np.array(1.0), np.array([1]), np.float32(1.0)]
STARTS += [torch.tensor(1.0), torch.tensor([1.0]), [torch.tensor(1.0)], {"u": torch.tensor(1.0)}]


@pytest.mark.parametrize("u0", STARTS)
@pytest.mark.parametrize("span", [(0, 1), [0.0, 1.0], np.array([0.0, 1.0]), torch.tensor([0.0, 1.0])])
def test_a_start_and_a_span_may_be_of_any_kind(u0, span) -> None:
    problem = pinn.ode(lambda u: u.t + u, span, u0)
    assert problem.domain.ranges == {"t": (0.0, 1.0)} and problem.edges.hard[0].value == 1.0


@pytest.mark.wrong_types
@pytest.mark.parametrize("u0", ["1", 1j, [[1.0]], lambda t: 1.0, True, torch.tensor(1j)])
def test_a_start_that_is_no_number_is_refused(u0) -> None:
    with pytest.raises(TypeError, match="u0 must be a real number"):
        pinn.ode(lambda u: u.t + u, (0.0, 1.0), u0)


@pytest.mark.wrong_types
def test_a_span_and_conditions_of_another_kind_are_refused_by_their_names() -> None:
    for kind, story, span in (
        (TypeError, r"t_span must be a pair", 1.0),
        (TypeError, r"t_span must be a pair", "01"),
        (TypeError, r"t_span must be a pair", np.array([0.0, 1.0, 2.0])),
        (ValueError, r"t_span must run forward.*Try t_span=\(0\.0, 1\.0\)", (1.0, 0.0)),
    ):
        with pytest.raises(kind, match=story):
            pinn.ode(lambda u: u.t + u, span, 1.0)
    with pytest.raises(
        TypeError, match="conditions must be a condition, or a list of them. Got conditions=None"
    ):
        pinn.ode(lambda u: u.t + u, (0.0, 1.0), 1.0, conditions=None)


def test_an_argument_that_no_condition_names_is_a_field_where_equations_suffice() -> None:
    square = {"x": (0.0, 1.0), "y": (0.0, 1.0)}
    edges = [pinn.dirichlet(("x", "y"), 0.0, field=name) for name in "uv"]

    def stokes(u, v, s, x, y):
        return u.x + s.y, v.y + s.x, s - u.y - v.x

    assert pinn.pde(stokes, square, edges, well_posed=False).fields == ("u", "v", "s")
    with pytest.raises(ValueError, match=r"must be a field \(u, v\) or a coordinate.*Got .*'s'"):
        pinn.pde(lambda u, v, s, x, y: (u.x + s.y, v.y), square, edges, well_posed=False)
    with pytest.raises(ValueError, match=r"field must be one of 'u', 'v', 's'\. Got field='w'"):
        wrong = [*edges, pinn.dirichlet("x", 0.0, field="w")]
        pinn.pde(stokes, square, wrong, well_posed=False)
