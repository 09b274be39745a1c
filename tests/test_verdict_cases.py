"""The problems by which the verdict of a solve is judged are what they say they are.

Exact solutions are put into equations and conditions by nested derivatives, which share nothing with the
closed forms that the sources are made of.
"""

import importlib
import math
import sys
from dataclasses import replace
from pathlib import Path
from random import Random

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
pytestmark = pytest.mark.skipif(not BENCHMARKS.exists(), reason="the benchmarks are not beside the tests")
ROUND_OFF = 1e-9
SAMPLE = 36


@pytest.fixture(scope="module")
def modules():
    """The benchmark's modules by name, as its scripts import each other."""
    sys.path.insert(0, str(BENCHMARKS))
    yield importlib.import_module
    sys.path.remove(str(BENCHMARKS))


def test_exact_solutions_satisfy_equations_and_conditions(modules) -> None:
    cases, check = modules("verdict_cases"), modules("verdict_check")
    for case in cases.sample(SAMPLE, draw=7):
        case.problem()  # the library takes it
        for name, defect in check.defects(case).items():
            assert defect < ROUND_OFF, (case.family, case.name, name)


def test_a_wrong_solution_is_found(modules) -> None:
    family = modules("verdict_initial").bernoulli
    case = family(Random(0))
    wrong = replace(case, exact=lambda t: (case.exact(t)[0] * 1.001,))
    assert max(modules("verdict_check").defects(wrong).values()) > 1e-4


def test_a_set_is_as_large_and_as_various_as_it_says(modules) -> None:
    every = modules("verdict_cases").cases()
    posed, ill = ([case for case in every if bool(case.expected) is one] for one in (False, True))
    assert len(posed) >= 210 and len(ill) >= 40
    assert {len(case.domain) for case in posed} == {1, 2, 3}
    assert {len(case.fields) for case in posed} == {1, 2, 3, 4}
    kinds = {"initial", "dirichlet", "neumann", "robin", "periodic", "point"}
    assert {edge.kind for case in posed for edge in case.edges} == kinds
    assert all(case.other is not None or case.why for case in ill)
    assert len({(case.family, case.name, tuple(case.options)) for case in every}) > 0.9 * len(every)


def test_a_draw_is_repeated_and_another_differs(modules) -> None:
    sample = modules("verdict_cases").sample
    names = [[case.name for case in sample(30, draw)] for draw in (0, 0, 1)]
    assert names[0] == names[1] != names[2]


@pytest.mark.parametrize("layers", [(), (0.0,), (0.3, 1.0)])
def test_errors_are_integrals(modules, layers) -> None:
    """The weights integrate exp(-x / w), whatever w, to what its integral is."""
    points, lengths = modules("verdict").axis((0.0, 1.0), 4001, layers)
    assert math.isclose(lengths.sum(), 1.0, rel_tol=1e-12)
    width = 0.05 if not layers else 1e-3
    found, wanted = (np.exp(-points / width) * lengths).sum(), width * -math.expm1(-1 / width)
    assert found == pytest.approx(wanted, rel=0.02)


ROW = {
    "family": "f", "name": "n", "expected": "", "failed": "", "named": "", "trusted": True, "tol": 1e-6,
    "errors": {"u": 1e-5, "v": 1e-8}, "estimates": {"u": 2e-5, "v": 3e-8},
}  # fmt: skip
"""A row of the table whose estimates are right."""


@pytest.mark.parametrize(
    ("change", "counts"),
    [
        ({}, {"within": True, "below": False, "untrusted": False, "alarms": False}),
        ({"estimates": {"u": 2e-5, "v": 2e-7}}, {"within": False, "below": False}),
        ({"estimates": {"u": 9e-7, "v": 1e-8}}, {"within": False, "below": True}),
        ({"estimates": {"u": math.nan, "v": 1e-8}}, {"within": False, "below": True}),
        ({"trusted": False}, {"within": True, "below": False, "untrusted": True}),
        ({"trusted": False, "tol": 1e-4}, {"within": False, "untrusted": True}),
        ({"errors": {"u": 1e-16}, "estimates": {"u": 5e-12}}, {"within": True}),
        ({"errors": {"u": math.inf}, "estimates": {"u": 1.0}}, {"within": False, "below": True}),
        ({"named": "not unique"}, {"alarms": True}),
        ({"failed": "ValueError: under-determined"}, {"within": False, "alarms": True}),
        ({"failed": "took longer than 90 s"}, {"within": False, "alarms": False}),
        ({"expected": "not unique", "named": "not unique"}, {"named": True}),
        ({"expected": "not unique", "named": "no solution"}, {"named": False}),
        (
            {
                "expected": "not unique",
                "named": None,
                "failed": "ValueError: The problem is under-determined",
            },
            {"named": True},
        ),
        ({"expected": "no solution", "named": None, "failed": "RuntimeError: singular"}, {"named": False}),
    ],
)
def test_what_counts(modules, change, counts) -> None:
    found = modules("verdict").judged({**ROW, **change})["counts"]
    assert {name: found[name] for name in counts} == counts
