"""Problems that cannot be read or do not fit together are refused, with the reason and a remedy."""

import math
import re

import numpy as np
import pytest
import torch

from funcsci import pinn
from funcsci.pinn import Domain

STRIP = {"x": (0.0, 1.0), "t": (0.0, 2.0)}
HEAT = [pinn.initial(0.0), pinn.dirichlet("x", 0.0)]


def heat(u):
    return u.t - u.xx


def ode(equation, u0=1.0, **options) -> pinn.Problem:
    return pinn.ode(equation, (0.0, 1.0), u0, **options)


def refused(kind: type[Exception], story: str, call) -> None:
    """The call raises, and its message has these words in order."""
    with pytest.raises(kind, match=re.compile(story, re.DOTALL)):
        call()


EQUATIONS = {
    "a function of torch on the field": (
        AttributeError,
        r"u\.sin must be a derivative by the coordinates t\. Write torch\.sin\(u\)",
        lambda u: u.t + u.sin(),
    ),
    "an unknown derivative": (
        AttributeError,
        r"u\.x must be a derivative by the coordinates t\. Did you mean u\.t\?",
        lambda u: u.t + u.x,
    ),
    "a coordinate that is not there": (
        ValueError,
        r"u\.z must be a derivative by the coordinates t\. Did you mean u\.t\?",
        lambda u: u.d("z"),
    ),
    "an order that is too high": (
        ValueError,
        r"derivative of u must be of an order from 1 to 4\. Got .*'t', 't', 't', 't', 't'",
        lambda u: u.ttttt,
    ),
    "an order that is none": (
        ValueError,
        r"u\.d must name a coordinate, then its order from 1 to 4\. Got .*\('t', 0\)",
        lambda u: u.d("t", 0),
    ),
    "an order before its coordinate": (
        ValueError,
        r"u\.d must name a coordinate, then its order.*Try u\.d\(\"x\", 2\)",
        lambda u: u.d(2, "t"),
    ),
    "no derivative": (ValueError, r"derivative of u must be of an order from 1", lambda u: u.d()),
    "nothing": (TypeError, r"must return a real number .*Got None\. Write u\.t - u\.xx", lambda u: None),
    "a string": (TypeError, r"must return a real number .*Got 'u'", lambda u: "u"),
    "a truth": (TypeError, r"must return a real number .*Got True", lambda u: True),
    "a matrix": (
        TypeError,
        r"must return a real number .*Got a real tensor of shape \(2, 2\)",
        lambda u: u.t * torch.ones(2, 2),
    ),
    "a tuple of vectors": (
        TypeError,
        r"must return a real number .*Got a real tensor of shape \(3,\)",
        lambda u: (u.t * torch.ones(3),),
    ),
    "complex numbers": (TypeError, r"must return a real number .*Got a complex tensor", lambda u: u.t - 1j),
    "a star": (ValueError, r"equation must name each field and coordinate.*u with a star", lambda *u: u[0].t),
    "a constant without a value": (
        ValueError,
        r"constant must have a value.*Got constant='k'.*lambda u, \*, k=0\.1",
        lambda u, *, k: u.t + k * u,
    ),
    "no field": (
        ValueError,
        r"equation must take an unknown function beside the coordinates t\.",
        lambda t: t,
    ),
}


@pytest.mark.parametrize("name", EQUATIONS)
def test_equations_that_cannot_be_read_are_refused(name: str) -> None:
    kind, story, equation = EQUATIONS[name]
    refused(kind, story, lambda: ode(equation, None))


@pytest.mark.wrong_types
@pytest.mark.parametrize("equation", [3, "u.t", None, [lambda u: u.t, 3], []])
def test_what_is_no_equation_is_refused(equation) -> None:
    for make in (
        lambda: pinn.ode(equation, (0.0, 1.0)),
        lambda: pinn.pde(equation, STRIP, HEAT),
    ):
        refused(
            TypeError,
            r"equation must be a function or several\. Got equation=.*Try lambda u: u\.tt \+ u",
            make,
        )


def test_coordinates_of_several_letters_are_explained() -> None:
    domain = {"r": (1.0, 2.0), "theta": (0.0, 1.0)}
    story = r"u\.theta must be a derivative by the coordinates r, theta\..* written u\.d\(\"theta\"\)"
    refused(AttributeError, story, lambda: pinn.pde(lambda u: u.theta, domain, []))


def test_unknown_arguments_are_refused_with_the_nearest_name() -> None:
    two = [pinn.initial(0.0, field="u"), pinn.initial(0.0, field="v")]
    story = r"argument of the equation must be a field \(u, v\) or a coordinate \(x, t\)\. Got .*'{}'\. {}"
    for name, equation, remedy in (
        ("xx", lambda u, v, xx: (u.t, v.t), r"Did you mean 'x'\?"),
        ("u2", lambda u, v, u2: (u.t, v.t), r"Did you mean 'u'\?"),
        ("p", lambda u, v, p: (u.t, v.t), r"Add it to fields=\('u', 'v', 'p'\)\."),
    ):
        refused(ValueError, story.format(name, remedy), lambda e=equation: pinn.pde(e, STRIP, two))


def test_fewer_equations_than_fields_are_under_determined() -> None:
    story = r"As many equations as fields are needed\. Got 1 for u, v: the problem is under-determined\."
    refused(ValueError, story, lambda: pinn.pde(lambda u, v: u.t + v, STRIP, []))
    story = r"fields must be used by an equation\. Got fields='v'"
    refused(ValueError, story, lambda: ode(lambda u: (u.t, u), fields=["u", "v"], u0=None))
    story = r"fields must name no coordinate\. Got fields='t'"
    refused(ValueError, story, lambda: ode(lambda u: u.t, fields=["u", "t"], u0=None))


DOMAINS = {
    "nothing": (ValueError, "domain must have a coordinate", {}),
    "no name": (ValueError, "domain must name coordinates as Python does", {"2x": (0, 1)}),
    "a field's own name": (ValueError, "but not .*laplacian.*Got domain='laplacian'", {"laplacian": (0, 1)}),
    "an empty range": (ValueError, r"domain\['x'\] must have a positive length", {"x": (1, 1)}),
    "a reversed range": (
        ValueError,
        r"domain\['x'\] must run forward.*Try domain\['x'\]=\(0, 1\)",
        {"x": (1, 0)},
    ),
    "an endless range": (ValueError, r"domain\['x'\]\[1\] must be finite", {"x": (0, math.inf)}),
    "a number": (TypeError, r"domain\['x'\] must be a pair", {"x": 3.0}),
    "a pair": (TypeError, "domain must be a dict of ranges", (0, 1)),
}


@pytest.mark.wrong_types
@pytest.mark.parametrize("name", DOMAINS)
def test_domains_that_are_none_are_refused(name: str) -> None:
    kind, story, domain = DOMAINS[name]
    refused(kind, story, lambda: Domain.of(domain))
    refused(kind, story, lambda: pinn.pde(heat, domain, HEAT))


CONDITIONS = {
    "off the domain": (
        ValueError,
        r"coordinate of dirichlet must be a coordinate of the domain, one of 'x', 't'\. Got .*'y'",
        [pinn.dirichlet("y", 0.0)],
    ),
    "of a misspelled coordinate": (
        ValueError,
        r"Got coordinate of initial='tt'\. Did you mean 't'\?",
        [pinn.initial(0.0, coordinate="tt")],
    ),
    "off the domain, periodic": (ValueError, r"Got coordinate of periodic='z'", [pinn.periodic("z")]),
    "of an unknown field": (
        ValueError,
        r"field must be one of 'u'\. Got field='v'",
        [pinn.initial(0.0, field="v")],
    ),
    "twice": (
        ValueError,
        r"must not contradict each other\. Got dirichlet\(x\) at x = 0 twice for u",
        [*HEAT, pinn.dirichlet("x", 1.0, side="lower")],
    ),
    "twice, by another name": (
        ValueError,
        r"must not contradict each other\. Got dirichlet\(t\) at t = 0 twice",
        [*HEAT, pinn.dirichlet("t", 1.0, side="lower")],
    ),
    "twice, in the loss": (
        ValueError,
        r"must not contradict each other\. Got neumann\(x\) at x = 1 twice",
        [pinn.initial(0.0), pinn.neumann("x"), pinn.neumann("x", 2.0, side="upper")],
    ),
    "periodic with an edge": (
        ValueError,
        r"A periodic coordinate has no edges\. Got periodic\(x\) and dirichlet\(x\) at x = 0",
        [*HEAT, pinn.periodic("x")],
    ),
    "periodic in time": (
        ValueError,
        r"A periodic coordinate has no edges\. Got periodic\(t\) and initial\(t\) at t = 0",
        [*HEAT, pinn.periodic("t")],
    ),
    "hard without what is below": (
        ValueError,
        r"what is built in must be of an order for which all lower ones are given.*neumann\(x\) at x = 0",
        [pinn.initial(0.0), pinn.neumann("x", hard=True)],
    ),
    "hard data": (
        ValueError,
        r"what is built in must be .* and no data",
        [pinn.initial(([0.1, 0.2], [0.0, 0.0]), hard=True), pinn.dirichlet("x")],
    ),
    "data of several lengths": (
        ValueError,
        r"initial\(t\) must have one value for each place\. Got \[3, 1\] coordinates and 4 values",
        [pinn.initial((np.zeros(3), np.zeros(4)))],
    ),
    "data of too few coordinates": (
        ValueError,
        r"the data of initial\(t\) must give x for each value",
        [pinn.initial(({}, [1.0]))],
    ),
    "data of an unknown coordinate": (
        ValueError,
        r"Got coordinate of initial\(t\)='y'",
        [pinn.initial(({"x": [0.0], "y": [1.0]}, [1.0]))],
    ),
    "data off the domain": (
        ValueError,
        r"the places of initial\(t\) must lie in the domain .*'x': 3\.0",
        [pinn.initial(([0.5, 3.0], [1.0, 2.0]))],
    ),
    "data that are not finite": (
        ValueError,
        r"initial\(t\) must be finite\. Got nan or inf",
        [pinn.initial(([0.5], [math.nan]))],
    ),
    "data that are no numbers": (
        TypeError,
        r"initial\(t\) must be made of real numbers.*'a'",
        [pinn.initial((["a"], [1.0]))],
    ),
    "data of three parts": (
        ValueError,
        r"initial\(t\) must be a pair of places and values",
        [pinn.initial(([0.5], [0.5], [1.0]))],
    ),
    "no data": (
        ValueError,
        r"point.* must have one value for each place",
        [pinn.point({"x": [], "t": []}, [])],
    ),
    "a place of too few coordinates": (
        ValueError,
        r"the places of point.* must give all coordinates.*Add \"t\"",
        [pinn.point({"x": 0.5}, 1.0)],
    ),
    "a place off the domain": (
        ValueError,
        r"must lie in the domain .*'t': 5\.0",
        [pinn.point({"x": 0.5, "t": 5.0}, 1.0)],
    ),
    "a function of something else": (
        ValueError,
        r"the function of initial\(t\) must take coordinates by name, of x, t\. Got .*Try lambda x: \.\.\.",
        [pinn.initial(lambda x, y: x)],
    ),
    "a value that is none": (
        TypeError,
        r"the value of initial\(t\) must be a number, a function of coordinates, or a pair.*'one'",
        [pinn.initial("one")],
    ),
    "a list": (
        TypeError,
        r"the value of initial\(t\) must be a number.*Try 0\.0",
        [pinn.initial([1.0, 2.0])],
    ),
    "a value that is not finite": (
        ValueError,
        r"the value of initial\(t\) must be finite",
        [pinn.initial(np.float32("nan"))],
    ),
    "a tensor that is not finite": (
        ValueError,
        r"the value of initial\(t\) must be finite",
        [pinn.initial(torch.tensor(math.inf))],
    ),
    "no condition": (TypeError, r"a condition must be made by pinn\.initial and the like\. Got .*=3", [3]),
    "nothing": (TypeError, r"conditions must be a list of them\. Got conditions=None", None),
}


@pytest.mark.wrong_types
@pytest.mark.parametrize("name", CONDITIONS)
def test_conditions_that_do_not_fit_are_refused(name: str) -> None:
    kind, story, conditions = CONDITIONS[name]
    refused(kind, story, lambda: pinn.pde(heat, STRIP, conditions, well_posed=False))


def test_a_condition_of_a_system_names_its_field() -> None:
    story = r"a condition must name its field, one of u, v\. Got a condition='initial\(t\)'\. Add field='u'"
    refused(ValueError, story, lambda: pinn.pde(lambda u, v: (u.t, v.t), STRIP, [pinn.initial(0.0)]))


MAKERS = {
    "side": (
        ValueError,
        "side must be one of 'lower', 'upper', 'both'",
        lambda: pinn.dirichlet("x", side="left"),
    ),
    "order of an initial condition": (
        ValueError,
        "order must be at least 0",
        lambda: pinn.initial(0.0, order=-1),
    ),
    "order of a normal derivative": (
        ValueError,
        "order must be at least 1",
        lambda: pinn.neumann("x", order=0),
    ),
    "order that is no integer": (TypeError, "order must be an integer", lambda: pinn.initial(0.0, order=0.5)),
    "weight": (ValueError, "weight must be positive", lambda: pinn.robin("x", 1.0, 1.0, weight=0.0)),
    "weight of what is built in": (
        ValueError,
        r"weight must be left out of what is built in.*Try hard=False",
        lambda: pinn.dirichlet("x", hard=True, weight=1.0),
    ),
    "value": (ValueError, "value must be finite", lambda: pinn.dirichlet("x", math.nan)),
    "factor": (ValueError, "b must be finite", lambda: pinn.robin("x", 1.0, math.inf)),
    "no factors": (ValueError, "a must be other than zero where b is", lambda: pinn.robin("x", 0.0, 0.0)),
    "coordinate": (TypeError, "coordinate must name a coordinate, or several", lambda: pinn.dirichlet(3)),
    "no coordinate": (TypeError, "coordinate must name a coordinate, or several", lambda: pinn.periodic(())),
    "places": (TypeError, "places must give each coordinate's number", lambda: pinn.point(0.5, 1.0)),
}


@pytest.mark.wrong_types
@pytest.mark.parametrize("name", MAKERS)
def test_conditions_that_are_none_are_refused(name: str) -> None:
    kind, story, make = MAKERS[name]
    refused(kind, story, make)


@pytest.mark.parametrize("value", [lambda x: torch.stack([x, x]), lambda x: None, lambda x: "1"])
def test_functions_that_return_no_number_are_refused(value) -> None:
    story = r"The function of initial\(t\) must return a number at each point\. Got .*torch\.sin\(x\)"
    refused(TypeError, story, lambda: pinn.pde(heat, STRIP, [pinn.initial(value), pinn.dirichlet("x")]))


STARTS = {
    "too few": (ValueError, r"u0 must have one number for each of u, v\. Got u0=\[1\.0\]", [1.0], None),
    "too many": (ValueError, r"du0 must have one number for each of u, v", [1.0, 2.0], [1.0, 2.0, 3.0]),
    "of an unknown field": (ValueError, r"u0, a field must be one of 'u', 'v'.*Got .*'w'", {"w": 1.0}, None),
    "not finite": (ValueError, r"u0\['v'\] must be finite", [1.0, math.nan], None),
    "no number": (TypeError, r"u0\['u'\] must be a real number", ["a", 1.0], None),
    "given twice": (ValueError, r"Got initial\(t\) of u at t = 0 twice for u", [1.0, 2.0], None),
}


@pytest.mark.wrong_types
@pytest.mark.parametrize("name", STARTS)
def test_initial_values_that_do_not_fit_are_refused(name: str) -> None:
    kind, story, u0, du0 = STARTS[name]
    more = [pinn.initial(0.0, field="u")] if name == "given twice" else []
    make = lambda: pinn.ode(lambda u, v: (u.t - v, v.t + u), (0.0, 1.0), u0, du0, conditions=more)  # noqa: E731
    refused(kind, story, make)


@pytest.mark.wrong_types
@pytest.mark.parametrize(
    ("kind", "story", "function", "y0"),
    [
        (ValueError, r"function must return 2 numbers, one for each in y0", lambda t, y: [y[0]], [1.0, 2.0]),
        (ValueError, r"function must return 1 numbers", lambda t, y: torch.stack([y[0], y[0]]), [1.0]),
        (TypeError, r"function must return numbers.*None", lambda t, y: None, [1.0]),
        (TypeError, r"y0 must be a sequence of numbers", lambda t, y: y, "abc"),
        (TypeError, r"y0 must be a sequence of numbers", lambda t, y: y, []),
        (ValueError, r"must be finite", lambda t, y: y, [math.inf]),
    ],
)
def test_initial_value_problems_that_do_not_fit_are_refused(kind, story, function, y0) -> None:
    refused(kind, story, lambda: pinn.ivp(function, (0.0, 1.0), y0))
