"""A file of a solution is loaded for the problem that was solved, and for no other."""

import json
import math
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from funcsci import pinn
from funcsci.pinn import Problem, Solution
from funcsci.pinn.identity import differences, identity

T = np.linspace(0, 1, 7)


def decay(rate: float = 1.0, u0: object = 1.0, span: tuple[float, float] = (0.0, 1.0), **options) -> Problem:
    return pinn.ode(lambda u: u.t + rate * u, span, conditions=[pinn.initial(u0, **options)])


def heat(
    nu: object = 0.1,
    start: Callable = lambda x: torch.sin(torch.pi * x),
    edge: object = 0.0,
    source: object = None,
    **options,
) -> Problem:
    def equation(u, x):
        return u.t - nu * u.xx + (0.0 if source is None else (source * x.cos()).sum())

    conditions = [pinn.initial(start), pinn.dirichlet("x", edge, **options)]
    return pinn.pde(equation, {"x": (0.0, 1.0), "t": (0.0, 1.0)}, conditions)


def pair(coupling: float = 1.0, first: float = 1.0) -> Problem:
    return pinn.ode(
        [lambda u, v: u.t - v, lambda u, v: v.t + coupling * u], (0.0, 1.0),
        conditions=[pinn.initial(first, field="u"), pinn.initial(0.0, field="v")],
    )  # fmt: skip


def observed(values=T, weight: float | None = None, at=T) -> Problem:
    return pinn.ode(
        lambda u: u.t + u, (0.0, 1.0), conditions=[pinn.point({"t": at}, values, weight=weight)],
        well_posed=False,
    )  # fmt: skip


def robin(a: float, b: float, side: str = "upper") -> Problem:
    conditions = [pinn.dirichlet("x", 0.0, side="lower" if side == "upper" else "upper")]
    return pinn.ode(
        lambda u: u.xx, (0.0, 1.0), coordinate="x", conditions=[*conditions, pinn.robin("x", a, b, side=side)]
    )


def table(values) -> Problem:
    return heat(edge=(T, values), hard=False)


SAME = {
    "numbers": (decay, decay),
    "an integer and a float": (lambda: decay(u0=1), lambda: decay(u0=1.0)),
    "a tensor and a float": (lambda: decay(u0=torch.tensor(0.5)), lambda: decay(u0=0.5)),
    "functions": (heat, heat),
    "a field by its only name": (decay, lambda: decay(field="u")),
    "built in, asked for or not": (decay, lambda: decay(hard=True)),
    "systems": (pair, pair),
    "data": (observed, observed),
    "a reference": (decay, lambda: decay_with_reference()),
}


def decay_with_reference() -> Problem:
    return pinn.ode(
        lambda u: u.t + 1.0 * u, (0.0, 1.0), conditions=[pinn.initial(1.0)], reference=lambda t: torch.exp(-t)
    )


@pytest.mark.parametrize("makes", SAME.values(), ids=SAME)
def test_one_problem_made_twice_is_one(makes) -> None:
    one, other = (json.loads(json.dumps(identity(make()), sort_keys=True)) for make in makes)
    assert differences(one, other) == []


OTHER = {
    "a constant": (decay, lambda: decay(2.0), "the equation differs: 1.0 then, 2.0 now"),
    "a formula": (
        decay,
        lambda: pinn.ode(lambda u: u.t + u**2, (0.0, 1.0), 1.0),
        "the equation differs: another formula",
    ),
    "an initial value": (decay, lambda: decay(u0=5.0), "initial(t) differs: 1.0 then, 5.0 now"),
    "a domain": (
        decay,
        lambda: decay(span=(0.0, 2.0)),
        "the domain is {'t': (0.0, 2.0)}, where the file has {'t': (0.0, 1.0)}",
    ),
    "fields": (
        decay,
        lambda: pinn.ode(lambda v: v.t + v, (0.0, 1.0), 1.0),
        "the fields are v, where the file has u",
    ),
    "an order of coordinates": (
        heat,
        lambda: pinn.pde(lambda u: u.t - u.xx, {"t": (0.0, 1.0), "x": (0.0, 1.0)}, heat().conditions),
        "the domain is {'t'",
    ),
    "a coefficient": (heat, lambda: heat(0.2), "the equation differs: 0.1 then, 0.2 now"),
    "a coefficient of NumPy": (heat, lambda: heat(np.float64(0.3)), "the equation differs: 0.1 then, 0.3"),
    "a closed-over table": (
        lambda: heat(source=torch.arange(3.0)),
        lambda: heat(source=torch.tensor([0.0, 1.0, 3.0])),
        "the equation differs: other constants",
    ),
    "a function": (
        heat,
        lambda: heat(start=lambda x: torch.cos(torch.pi * x)),
        "initial(t) differs: another formula",
    ),
    "a function's constant": (
        lambda: heat(start=lambda x: 2 * x * (1 - x)),
        lambda: heat(start=lambda x: 3 * x * (1 - x)),
        "initial(t) differs: 2.0 then, 3.0 now",
    ),
    "a number for a function": (heat, lambda: heat(edge=lambda t: 0 * t), "dirichlet(x) differs: 0.0 then,"),
    "built in or not": (heat, lambda: heat(hard=False), "dirichlet(x) differs: built in True then, False"),
    "a weight": (
        lambda: heat(hard=False, weight=2.0),
        lambda: heat(hard=False, weight=3.0),
        "dirichlet(x) differs: weight 2.0 then, 3.0 now",
    ),
    "one of two equations": (pair, lambda: pair(4.0), "equation 2 differs: 1.0 then, 4.0 now"),
    "one of two fields": (pair, lambda: pair(first=2.0), "initial(t) of u differs: 1.0 then, 2.0 now"),
    "data": (observed, lambda: observed(T + (T == 1) * 1e-15), "point(t) differs: other data"),
    "places": (observed, lambda: observed(at=T / 2), "point(t) differs: other data"),
    "weights of data": (observed, lambda: observed(weight=2.0), "point(t) differs: weight None then, 2.0"),
    "data at an edge": (lambda: table(T), lambda: table(2 * T), "dirichlet(x) differs: other data"),
    "factors": (lambda: robin(1, 2), lambda: robin(1, 3), "robin(x) differs: terms [[1.0, 0], [2.0, 1]]"),
    "an edge": (lambda: robin(1, 2), lambda: robin(1, 2, "lower"), "dirichlet(x) differs: sides ['lower']"),
    "a kind of condition": (
        lambda: heat(),
        lambda: pinn.pde(heat().equations.functions[0][0], {"x": (0.0, 1.0), "t": (0.0, 1.0)},
                         [heat().conditions[0], pinn.neumann("x", 0.0)]),
        "neumann(x) stands where the file has dirichlet(x)",
    ),
    "a number of conditions": (
        lambda: pair(),
        lambda: pinn.ode([one.function for one in pair().equations.functions], (0.0, 1.0),
                         conditions=pair().conditions[:1], fields=["u", "v"], well_posed=False),
        "it has the conditions initial(t) of u, where the file has the conditions initial(t) of u, in",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", OTHER.values(), ids=OTHER)
def test_another_problem_is_told_by_what_differs(case) -> None:
    one, other = (json.loads(json.dumps(identity(make()), sort_keys=True)) for make in case[:2])
    found = differences(one, other)
    assert found and found[0].startswith(case[2])


@pytest.fixture(scope="module")
def file(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("files") / "decay.safetensors"
    pinn.solve(decay(), method="random_features", hidden=(20,), progress=False).save(path)
    return path


def test_a_solution_is_loaded_for_its_problem_alone(file: Path) -> None:
    assert Solution.load(file, problem=decay())(0.5) == pytest.approx(math.exp(-0.5), abs=1e-9)
    for problem, story in (
        (decay(u0=5.0), "initial(t) differs: 1.0 then, 5.0 now"),
        (decay(2.0), "the equation differs: 1.0 then, 2.0 now"),
        (decay(span=(0.0, 3.0)), "domain is"),
    ):
        with pytest.raises(ValueError, match="problem must be the one that the file was") as raised:
            Solution.load(file, problem=problem)
        assert story in str(raised.value) and "start=" in str(raised.value)


def test_in_another_process_it_is_the_same_problem(file: Path) -> None:
    script = f"""
from funcsci import pinn
rate = 1.0
pinn.Solution.load({str(file)!r}, problem=pinn.ode(lambda u: u.t + rate * u, (0.0, 1.0), 1.0))
"""
    subprocess.run([sys.executable, "-c", script], check=True)


def test_graphs_of_another_torch_are_not_compared(file: Path, monkeypatch) -> None:
    """Numbers and domains are; the warning says what was left out."""
    monkeypatch.setattr(torch, "__version__", "0.0.1")
    with pytest.warns(RuntimeWarning, match="functions of the problem cannot be compared.*by torch") as told:
        Solution.load(file, problem=decay(2.0))
    assert len(told) == 1
    Solution.load(file, problem=decay())
    with pytest.raises(ValueError, match=re.escape("initial(t) differs: 1.0 then, 5.0 now")):
        Solution.load(file, problem=decay(u0=5.0))


def test_an_equation_that_cannot_be_traced_is_left_out_of_the_comparison() -> None:
    weight = torch.tensor([0.3])

    def counting(u, x):
        return u.xx + weight.nonzero().sum() * x

    told = identity(pinn.ode(counting, (0.0, 1.0), coordinate="x", conditions=[pinn.dirichlet("x", 0.0)]))
    assert told["equations"] == [None]
    assert differences(told, told) == []
