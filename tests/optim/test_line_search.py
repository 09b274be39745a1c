"""The line search on the functions of Moré and Thuente, and where values are noisy or not finite."""

import math
import re

import pytest

from funcsci.optim.line_search import EVALUATIONS, Trial, wolfe


def rational(a, beta=2.0):
    """Moré and Thuente (1994), eq. 5.1."""
    return -a / (a**2 + beta), (a**2 - beta) / (a**2 + beta) ** 2


def quintic(a, beta=0.004):
    """Eq. 5.2."""
    return (a + beta) ** 5 - 2 * (a + beta) ** 4, 5 * (a + beta) ** 4 - 8 * (a + beta) ** 3


def wiggly(a, beta=0.01, waves=39):
    """Eq. 5.3: a kink of width beta at 1, and a ripple everywhere."""
    if a <= 1 - beta:
        value, slope = 1 - a, -1.0
    elif a >= 1 + beta:
        value, slope = a - 1, 1.0
    else:
        value, slope = (a - 1) ** 2 / (2 * beta) + beta / 2, (a - 1) / beta
    turn = waves * math.pi / 2
    value += 2 * (1 - beta) / (waves * math.pi) * math.sin(turn * a)
    return value, slope + (1 - beta) * math.cos(turn * a)


def hyperbolas(first, second):
    """Eq. 5.4."""
    one, two = (math.sqrt(1 + beta**2) - beta for beta in (first, second))

    def function(a):
        left, right = math.hypot(1 - a, second), math.hypot(a, first)
        return one * left + two * right, one * (a - 1) / left + two * a / right

    return function


PUBLISHED = {
    "1": (rational, 1e-3, 1e-1),
    "2": (quintic, 1e-1, 1e-1),
    "3": (wiggly, 1e-1, 1e-1),
    "4": (hyperbolas(1e-3, 1e-3), 1e-3, 1e-3),
    "5": (hyperbolas(1e-2, 1e-3), 1e-3, 1e-3),
    "6": (hyperbolas(1e-3, 1e-2), 1e-3, 1e-3),
}
"""Functions with the constants of the conditions from the tables of the paper."""


def along(function):
    return lambda step: Trial(step, *function(step))


@pytest.mark.parametrize("first", [1e-3, 1e-1, 1e1, 1e3])
@pytest.mark.parametrize(("function", "decrease", "curvature"), PUBLISHED.values(), ids=PUBLISHED)
def test_the_strong_wolfe_conditions_hold(function, decrease, curvature, first):
    line = along(function)
    found = wolfe(line, line(0.0), first, decrease=decrease, curvature=curvature)
    (value, slope), (start, descent) = function(found.trial.step), function(0.0)
    assert found.satisfied
    assert (found.trial.value, found.trial.slope) == (value, slope)
    assert value <= start + decrease * found.trial.step * descent
    assert abs(slope) <= curvature * abs(descent)
    assert found.evaluations <= 25


def test_a_first_step_that_meets_the_conditions_costs_one_evaluation():
    line = along(lambda a: ((a - 1) ** 2, 2 * (a - 1)))
    assert wolfe(line, line(0.0)) == (line(1.0), True, 1)


@pytest.mark.parametrize("beyond", [math.nan, math.inf, -math.inf])
def test_a_function_that_ends_is_searched_where_it_is_finite(beyond):
    """a log a beyond a wall: steps behind it are not finite, in value or in slope."""

    def function(a):
        return (-math.log(1 + a) + a / 2, -1 / (1 + a) + 0.5) if a < 2 else (beyond, -1.0)

    line = along(function)
    found = wolfe(line, line(0.0), 1e6, curvature=0.1)
    assert found.satisfied
    assert found.trial.step == pytest.approx(1, abs=0.3)
    nowhere = along(lambda a: (function(min(a, 1.9))[0], math.nan if a >= 1.9 else function(a)[1]))
    assert wolfe(nowhere, nowhere(0.0), 50.0).trial.step < 1.9


def test_slopes_decide_where_values_are_noise():
    """A parabola on a large constant: its values are all equal, its slopes are exact."""
    line = along(lambda a: (1e20 + (a - 3) ** 2, 2 * (a - 3)))
    found = wolfe(line, line(0.0), curvature=1e-3, noise=1e14)
    assert found.satisfied
    assert found.trial.step == pytest.approx(3, abs=1e-2)
    wrong = along(lambda a: (1 + 1e-9 * math.sin(1e9 * a) + 1e-10 * (a - 3) ** 2, 2e-10 * (a - 3)))
    found = wolfe(wrong, wrong(0.0), curvature=1e-3, noise=1e-8)
    assert found.satisfied
    assert found.trial.step == pytest.approx(3, abs=1e-2)


def test_without_a_lower_point_the_start_is_returned():
    """A slope that is wrong: no step lowers the value, however short."""
    line = along(lambda a: (a, -1.0))
    found = wolfe(line, line(0.0))
    assert (found.trial, found.satisfied) == (line(0.0), False)
    assert found.evaluations <= EVALUATIONS


def test_a_line_without_end_is_followed_as_far_as_is_allowed():
    line = along(lambda a: (-a, -1.0))
    found = wolfe(line, line(0.0))
    assert (found.satisfied, found.evaluations) == (False, EVALUATIONS)
    assert 1e20 < found.trial.step < math.inf


def test_steps_that_move_nothing_end_the_search():
    line = along(lambda a: (1.0, -1e-30))
    assert wolfe(line, line(0.0)) == (line(0.0), False, 1)


@pytest.mark.parametrize("units", [2.0**-300, 2.0**300])
def test_units_change_no_step(units):
    """Powers of two round alike."""
    plain, other = along(quintic), along(lambda a: tuple(units * number for number in quintic(a)))
    ours = wolfe(plain, plain(0.0), 7.0, curvature=0.1).trial.step
    assert wolfe(other, other(0.0), 7.0, curvature=0.1).trial.step == ours
    stretched = along(lambda a: (quintic(8 * a)[0], 8 * quintic(8 * a)[1]))
    assert wolfe(stretched, stretched(0.0), 7.0 / 8, curvature=0.1).trial.step == ours / 8


@pytest.mark.parametrize(
    ("slope", "first", "message"),
    [
        (0.0, 1.0, "start must have a negative slope. Got start=0.0."),
        (math.nan, 1.0, "start must have a negative slope. Got start=nan."),
        (-1.0, 0.0, "first must be positive. Got first=0.0."),
    ],
)
def test_wrong_arguments_say_what_must_hold(slope, first, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        wolfe(along(rational), Trial(0.0, 0.0, slope), first)


def test_a_rise_within_the_noise_is_no_gain():
    """A slope that is wrong leads uphill by less than the noise: the start is better."""
    line = along(lambda a: (1 + 1e-9 * a, -1.0))
    assert wolfe(line, line(0.0), noise=1e-6).trial == line(0.0)
