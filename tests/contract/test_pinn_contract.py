"""What every program of the oscillator's solvers satisfies, whatever its method."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
import torch
from torch.func import grad, vmap

from funcsci import optim, random, train, tree
from funcsci.compile import compilations, jit
from funcsci.pinn.last_layer import solve_last_layer
from funcsci.pinn.methods import soft_loss
from funcsci.pinn.problem import Oscillator, equation
from funcsci.pinn.trial import hard, soft

PROBLEM = Oscillator(2.0, 0.1, -0.4, 3.0, (1.0, 4.0))
HIDDEN = (7, 6)
POINTS = torch.linspace(*PROBLEM.t_span, 33, dtype=torch.float64)


class Program(NamedTuple):
    """A pure function and the arguments it is called with."""

    function: Callable[..., Any]
    arguments: tuple[Any, ...]


def adam_step() -> Program:
    function, optimizer = soft(PROBLEM, HIDDEN), optim.adam(optim.cosine(1e-2, 100))
    params = function.init(random.key(0), dtype=torch.float64)
    step = train.train_step(soft_loss(PROBLEM, function), optimizer)
    return Program(step, (train.start(params, optimizer), POINTS))


def hard_residuals() -> Program:
    function = hard(PROBLEM, HIDDEN)
    params = function.init(random.key(0), dtype=torch.float64)
    return Program(
        lambda p, points: vmap(lambda t: equation(PROBLEM, function, p, t))(points), (params, POINTS)
    )


def last_layer() -> Program:
    function = hard(PROBLEM, (9,))
    params = function.init(random.key(0), dtype=torch.float64)
    return Program(
        lambda p, points: solve_last_layer(lambda q, t: equation(PROBLEM, function, q, t), p, points),
        (params, POINTS),
    )


PROGRAMS = {"adam step": adam_step, "hard residuals": hard_residuals, "last layer": last_layer}
BACKENDS = ["trace", pytest.param("compile", marks=pytest.mark.slow)]
everything = pytest.mark.parametrize("name", PROGRAMS)


@everything
@pytest.mark.parametrize("backend", BACKENDS)
def test_compiled_equals_eager(name: str, backend: str) -> None:
    function, arguments = PROGRAMS[name]()
    expected, found = function(*arguments), jit(function, backend=backend)(*arguments)
    # The last layer's coefficients are those of nearly dependent features: what they amount to counts.
    if name == "last layer":
        trial = hard(PROBLEM, (9,))
        expected, found = (vmap(lambda t, p=p: trial.apply(p, t))(POINTS) for p in (expected, found))
    assert tree.paths(found) == tree.paths(expected)
    assert tree.allclose(found, expected, rtol=1e-9, atol=1e-11)


@everything
@pytest.mark.parametrize("backend", BACKENDS)
def test_later_calls_compile_nothing_and_inputs_stay(name: str, backend: str) -> None:
    function, arguments = PROGRAMS[name]()
    before = tree.map(torch.clone, arguments)
    program = jit(function, backend=backend)
    with compilations() as made:
        results = [program(*arguments) for _ in range(4)]
    assert [one.reason for one in made] == ["first call"]
    assert all(tree.allclose(result, results[0], rtol=0, atol=0) for result in results)
    assert tree.allclose(arguments, before, rtol=0, atol=0)


@everything
def test_runs_on_meta(name: str) -> None:
    function, arguments = PROGRAMS[name]()
    there = tree.map(lambda leaf: leaf.to("meta"), arguments)
    found, expected = function(*there), function(*arguments)
    assert tree.paths(found) == tree.paths(expected)
    for leaf, oracle in zip(tree.leaves(found), tree.leaves(expected), strict=True):
        assert leaf.is_meta and leaf.shape == oracle.shape and leaf.dtype == oracle.dtype


def test_gradients_of_a_jitted_loss_are_those_of_the_loss() -> None:
    function = soft(PROBLEM, HIDDEN)
    params = function.init(random.key(0), dtype=torch.float64)
    loss = soft_loss(PROBLEM, function)
    expected = grad(loss)(params, POINTS)
    assert tree.allclose(jit(grad(loss), backend="trace")(params, POINTS), expected, rtol=1e-10, atol=1e-12)
    assert tree.allclose(grad(jit(loss, backend="trace"))(params, POINTS), expected, rtol=1e-10, atol=1e-12)


def test_adam_step_follows_a_schedule_without_compiling_again() -> None:
    function, (progress, points) = adam_step()
    program = jit(function, backend="trace")
    with compilations() as made:
        losses = []
        for _ in range(60):
            progress, metrics = program(progress, points)
            losses.append(float(metrics["loss"]))
    assert len(made) == 1 and losses[-1] < losses[0] and math.isfinite(losses[-1])
