"""What every program of the PINN solvers satisfies, whatever the problem."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
import torch
from torch.func import grad, jacrev, vmap

from funcsci import optim, pinn, random, train, tree
from funcsci.compile import compilations, jit
from funcsci.pinn.last_layer import jets
from funcsci.pinn.network import NetworkSettings
from funcsci.pinn.requirements import all_residuals
from funcsci.pinn.settings import Settings
from funcsci.pinn.task import Task, make_task


def oscillator(derivatives: str, soft: bool = False) -> Task:
    problem = pinn.oscillator(2.0, 0.1, -0.4, 3.0, (1.0, 4.0), soft=soft)
    return make_task(problem, Settings(random.key(0), derivatives=derivatives), NetworkSettings((7, 6)))


def burgers(derivatives: str, hard: bool | None = None) -> Task:
    problem = pinn.pde(
        lambda u: u.t + u * u.x - 0.1 * u.xx,
        {"x": (-1.0, 1.0), "t": (0.0, 1.0)},
        [pinn.initial(lambda x: -torch.sin(math.pi * x), hard=hard), pinn.dirichlet("x", 0.0, hard=hard)],
    )
    return make_task(problem, Settings(random.key(0), derivatives=derivatives), NetworkSettings((6, 5)))


def system(derivatives: str) -> Task:
    problem = pinn.pde(
        lambda u, v, x: (u.laplacian() + v, v.xy - u * torch.cos(x) + v.d("x", 2)),
        {"x": (0.0, 2.0), "y": (0.0, 1.0)},
        [
            pinn.periodic("x"),
            pinn.dirichlet("y", 0.5, field="u"),
            pinn.dirichlet("y", 0.0, field="v", side="lower"),
        ],
    )
    return make_task(problem, Settings(random.key(0), derivatives=derivatives), NetworkSettings((6, 5)))


TASKS = {
    "oscillator": oscillator,
    "soft oscillator": lambda derivatives: oscillator(derivatives, soft=True),
    "burgers": burgers,
    "soft burgers": lambda derivatives: burgers(derivatives, hard=False),
    "system": system,
}


class Program(NamedTuple):
    """A pure function and the arguments it is called with."""

    function: Callable[..., Any]
    arguments: tuple[Any, ...]


def parts(task: Task) -> tuple[Any, tuple[Any, ...]]:
    params = task.trial.init(random.key(0), dtype=torch.float64)
    return params, tuple(points for _, points in task.training(12, random.key(1), "sobol"))


def adam_step(task: Task) -> Program:
    params, points = parts(task)
    optimizer = optim.adam(optim.cosine(1e-2, 100))
    return Program(train.train_step(task.loss, optimizer), (train.start(params, optimizer), points))


def residuals(task: Task) -> Program:
    params, points = parts(task)

    def of(params, points):
        pairs = zip(task.requirements, points, strict=True)
        return [all_residuals(task.residual(one), params, some) for one, some in pairs]

    return Program(of, (params, points))


def jacobian(task: Task) -> Program:
    params, points = parts(task)
    residual = task.residual(task.requirements[0])
    return Program(
        lambda params, points: vmap(jacrev(residual), in_dims=(None, 0))(params, points), (params, points[0])
    )


def features(task: Task) -> Program:
    params, points = parts(task)
    mode = task.settings.derivatives
    requests = task.requirements[0].requests
    return Program(jets(task.trial, requests, task.problem.fields, mode), ([params], points[0].x))


MAKE = {"adam step": adam_step, "residuals": residuals, "jacobian": jacobian, "features": features}
PROGRAMS = {
    f"{name} of {task}": lambda derivatives="taylor", make=make, task=task: make(TASKS[task](derivatives))
    for name, make in MAKE.items()
    for task in (TASKS if name == "residuals" else ("soft oscillator", "burgers"))
}

COMPILED = (
    "adam step of soft oscillator",
    "residuals of soft burgers",
    "residuals of system",
    "jacobian of burgers",
)
backends = pytest.mark.parametrize(
    ("name", "backend"),
    [(name, "trace") for name in PROGRAMS]
    + [pytest.param(name, "compile", marks=pytest.mark.slow) for name in COMPILED],
)
everything = pytest.mark.parametrize("name", PROGRAMS)


@backends
def test_compiled_equals_eager(name: str, backend: str) -> None:
    function, arguments = PROGRAMS[name]()
    expected, found = function(*arguments), jit(function, backend=backend)(*arguments)
    assert tree.paths(found) == tree.paths(expected)
    assert tree.allclose(found, expected, rtol=1e-9, atol=1e-11)


@backends
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


@everything
def test_taylor_mode_equals_nested_gradients(name: str) -> None:
    (taylor, arguments), (nested, _) = (PROGRAMS[name](mode) for mode in ("taylor", "nested"))
    assert tree.allclose(taylor(*arguments), nested(*arguments), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("mode", ["taylor", "nested"])
def test_gradients_of_a_jitted_loss_are_those_of_the_loss(mode: str) -> None:
    task = burgers(mode, hard=False)
    params, points = parts(task)
    expected = grad(task.loss)(params, points)
    assert tree.allclose(
        jit(grad(task.loss), backend="trace")(params, points), expected, rtol=1e-10, atol=1e-12
    )
    assert tree.allclose(
        grad(jit(task.loss, backend="trace"))(params, points), expected, rtol=1e-10, atol=1e-12
    )


def test_adam_step_follows_a_schedule_without_compiling_again() -> None:
    function, (progress, points) = adam_step(oscillator("taylor", soft=True))
    program = jit(function, backend="trace")
    with compilations() as made:
        losses = []
        for _ in range(60):
            progress, metrics = program(progress, points)
            losses.append(float(metrics["loss"]))
    assert len(made) == 1 and losses[-1] < losses[0] and math.isfinite(losses[-1])


@pytest.mark.parametrize("name", ["soft oscillator", "soft burgers"])
def test_the_loss_is_the_sum_of_the_squares_of_every_requirement(name: str) -> None:
    task = TASKS[name]("taylor")
    params, points = parts(task)
    apart = residuals(task).function(params, points)
    assert len(apart) == len(task.requirements) > 1
    total = torch.stack([one.square().sum() for one in apart]).sum()
    torch.testing.assert_close(task.loss(params, points), total, rtol=1e-12, atol=0)
