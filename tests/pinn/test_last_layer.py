"""The last layer alone: least squares on what a trial function is linear in."""

import math

import pytest
import torch
from torch.func import grad, vmap

from funcsci import pinn, random, tree
from funcsci.pinn.last_layer import evaluate, jets, programs, solve_last_layer
from funcsci.pinn.network import NetworkSettings
from funcsci.pinn.settings import Settings
from funcsci.pinn.task import make_task

SETTINGS = Settings(random.key(0))
SHAPE = NetworkSettings((40,))
SLOPES = torch.tensor([6.0], dtype=torch.float64)


def solved(task, count: int = 120, *, start=None, steps: int = 30):
    """The training points, the first parameters and what was found from them."""
    line = task.problem.domain.dimensions == 1
    training = task.training(count, random.key(1), "chebyshev" if line else "sobol")
    params = start or task.trial.init(random.key(0), scales=SLOPES if line else None, **task.settings.where)
    blocks = evaluate(programs(task), params, training, task.problem.fields)
    return training, params, solve_last_layer(blocks, params, steps=steps)


def soft_problem():
    """u'' + x u = cos x on (0, 2) with its ends in the loss."""
    return pinn.ode(
        lambda u, x: u.xx + x * u - torch.cos(x),
        (0.0, 2.0),
        coordinate="x",
        conditions=[
            pinn.dirichlet("x", 0.3, side="lower", hard=False, weight=5.0),
            pinn.neumann("x", -2.0, side="upper", weight=0.5),
        ],
    )


def test_agrees_with_lstsq_on_the_features() -> None:
    shape = NetworkSettings((6,))
    task = make_task(soft_problem(), SETTINGS, shape)
    training, params, found = solved(task, 50)
    layer, x = params["layers"][0], training[0][1].x[:, 0]
    slope, bias = layer["weight"][:, 0], layer["bias"]
    size = 1 / float(task.residual(task.requirements[0])(  # the equation's scale, of u = 0
        {"layers": [layer, tree.map(torch.zeros_like, params["layers"][1])]},
        training[0][1]._replace(
            x=torch.zeros(1), target=torch.zeros(()), weight=torch.ones(())
        ),
    ).abs())  # fmt: skip

    def features(x):
        """Values, first and second derivatives by x of tanh(w s + b) with s = x - 1, and of one."""
        y = torch.tanh((x[:, None] - 1) * slope + bias)
        d = slope * (1 - y**2)
        second = -2 * y * slope * d
        return [torch.cat([part, torch.full_like(x[:, None], end)], 1)
                for part, end in ((y, 1.0), (d, 0.0), (second, 0.0))]  # fmt: skip

    (unit,) = task.scales.fields  # of the field, in which the last layer is written and conditions are met
    (value, _, second), ends = features(x), features(torch.tensor([0.0, 2.0]))
    matrix = torch.cat([
        (second + x[:, None] * value) / size / math.sqrt(50),
        math.sqrt(5.0) * ends[0][:1] / unit,
        math.sqrt(0.5) * ends[1][1:] * 2 / unit,
    ])  # fmt: skip
    target = torch.cat([
        torch.cos(x) / size / math.sqrt(50),
        math.sqrt(5.0) * torch.tensor([0.3]) / unit,
        math.sqrt(0.5) * torch.tensor([-2.0]) * 2 / unit,
    ])  # fmt: skip
    oracle = torch.linalg.lstsq(matrix, target[:, None], driver="gelsd").solution[:, 0]
    last = found.params["layers"][-1]
    weights = unit * torch.cat([last["weight"][0], last["bias"]])
    torch.testing.assert_close(matrix @ weights, matrix @ oracle, atol=1e-10, rtol=0)
    assert found.status.converged and "1 step" in found.status.reason
    assert found.losses[-1] == pytest.approx(float((matrix @ oracle - target).square().sum()) / 2, rel=1e-9)
    assert found.losses[0] == pytest.approx(float(target.square().sum()) / 2, rel=1e-12)


@pytest.mark.parametrize(
    ("equation", "width"), [(lambda u: u.tt + 3 * u.t + 4 * u, 8), (lambda u: u.tt + torch.sin(u), 40)]
)
def test_is_a_minimum_and_keeps_the_hidden_layers(equation, width: int) -> None:
    task = make_task(pinn.ode(equation, (0.0, 3.0), 1.0, 0.0), SETTINGS, NetworkSettings((width,)))
    training, params, found = solved(task)
    assert tree.allclose(found.params["layers"][:-1], params["layers"][:-1], rtol=0, atol=0)
    points = tuple(points for _, points in training)

    def loss(last):
        return task.loss({"layers": [*params["layers"][:-1], last]}, points)

    slope = tree.leaves(grad(loss)(found.params["layers"][-1]))
    first = tree.leaves(grad(loss)(tree.map(torch.zeros_like, params["layers"][-1])))
    assert max(float(a.abs().max()) for a in slope) < 1e-8 * max(float(a.abs().max()) for a in first)
    assert float(loss(found.params["layers"][-1])) == pytest.approx(2 * found.losses[-1], rel=1e-9)
    assert sorted(found.losses, reverse=True) == found.losses and len(found.losses) == len(found.seconds)


def test_does_not_depend_on_where_the_last_layer_was() -> None:
    task = make_task(soft_problem(), SETTINGS, SHAPE)
    _, params, found = solved(task)
    moved = {"layers": [params["layers"][0], tree.map(lambda leaf: leaf + 5.0, params["layers"][1])]}
    assert tree.allclose(found.params, solved(task, start=moved)[2].params, rtol=0, atol=0)


def bratu() -> float:
    """theta of the closed form, theta = sqrt(2) cosh(theta / 4), on the lower branch."""
    theta = 1.0
    for _ in range(200):
        theta = math.sqrt(2.0) * math.cosh(theta / 4)
    return theta


def test_gauss_newton_solves_bratus_equation() -> None:
    problem = pinn.ode(
        lambda u: u.xx + torch.exp(u), (0.0, 1.0), coordinate="x", conditions=pinn.dirichlet("x", 0.0)
    )
    task = make_task(problem, SETTINGS, SHAPE)
    _, _, found = solved(task)
    x, theta = torch.linspace(0, 1, 101), bratu()
    exact = -2 * torch.log(torch.cosh((x - 0.5) * theta / 2) / math.cosh(theta / 4))
    values = vmap(lambda x: task.trial.apply(found.params, x[None])[0])(x)
    assert found.status.converged and 2 <= len(found.losses) <= 10
    assert float((values - exact).abs().max()) < 1e-10


def test_several_fields_share_one_solve() -> None:
    problem = pinn.ode(lambda u, v: (u.t - v, v.t + 4 * u), (0.0, 3.0), [1.0, 0.0])
    task = make_task(problem, SETTINGS, SHAPE)
    _, _, found = solved(task)
    t = torch.linspace(0, 3, 50)
    values = vmap(lambda t: task.trial.apply(found.params, t[None]))(t)
    exact = torch.stack([torch.cos(2 * t), -2 * torch.sin(2 * t)], 1)
    assert found.params["layers"][-1]["weight"].shape == (2, 40)
    assert float((values - exact).abs().max()) < 1e-9


def test_several_coordinates_and_conditions_in_the_loss() -> None:
    problem = pinn.pde(
        lambda u, x, y: u.laplacian() + 2 * u,
        {"x": (0.0, 1.0), "y": (0.0, 1.0)},
        [pinn.dirichlet(("x", "y"), lambda x, y: torch.sin(x) * torch.cos(y), hard=False)],
    )
    points = torch.rand(50, 2, generator=torch.Generator().manual_seed(0))
    exact = torch.sin(points[:, 0]) * torch.cos(points[:, 1])

    def error(width: int) -> float:
        task = make_task(problem, SETTINGS, NetworkSettings((width,)))
        params = solved(task, 3 * width)[2].params
        values = vmap(lambda x: task.trial.apply(params, x)[0])(points)
        return float((values - exact).abs().max())

    errors = [error(width) for width in (40, 80, 160)]
    assert errors[0] > 10 * errors[1] > 100 * errors[2] and errors[2] < 1e-6


def test_a_heavier_condition_is_met_closer() -> None:
    def miss(weight: float) -> float:
        problem = pinn.ode(
            lambda u: u.t + u,
            (0.0, 1.0),
            conditions=[
                pinn.initial(1.0, hard=False, weight=weight),
                pinn.dirichlet("t", 1.0, side="upper", weight=1.0, hard=False),
            ],
            well_posed=False,
        )
        task = make_task(problem, SETTINGS, SHAPE)
        params = solved(task)[2].params
        return abs(float(task.trial.apply(params, torch.zeros(1))[0]) - 1.0)

    misses = [miss(weight) for weight in (0.1, 1.0, 100.0)]
    assert sorted(misses, reverse=True) == misses and misses[-1] < 0.01 < misses[0]


def test_taylor_and_nested_derivatives_give_the_same_columns() -> None:
    problem = pinn.pde(
        lambda u, v, x: (u.t - v.xxt + torch.sin(x) * u.xx, v.tt - u.laplacian("x", "t") + v.xxxx),
        {"x": (0.0, 2.0), "t": (0.0, 1.0)},
        [pinn.initial(lambda x: torch.exp(-x), field="u"), pinn.initial(0.0, field="v")],
        well_posed=False,
    )
    x = torch.rand(6, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = []
    for derivatives in ("taylor", "nested"):
        task = make_task(problem, SETTINGS._replace(derivatives=derivatives), NetworkSettings((4,)))
        params = task.trial.init(random.key(0), dtype=torch.float64)
        (one,) = task.requirements
        found.append(jets(task.trial, one.requests, problem.fields, derivatives)([params], x))
    # Six derivatives, and the two fields themselves, of which a verdict needs the sizes.
    assert len(found[0]) == 6 + 2 and found[0][0].shape == (6, 1 + 5)
    for taylor, nested in zip(*found, strict=True):
        torch.testing.assert_close(taylor, nested, rtol=1e-11, atol=1e-11 * float(nested.abs().max()))


def test_says_when_it_did_not_arrive() -> None:
    task = make_task(pinn.ode(lambda u: u.t - u**2, (0.0, 0.9), 1.0), SETTINGS, SHAPE)
    found = solved(task, steps=1)[2]
    assert not found.status.converged and found.status.reason == "Gauss-Newton took all 1 steps"
    task = make_task(pinn.ode(lambda u: u.t + torch.log(u - 2), (0.0, 1.0), 1.0), SETTINGS, SHAPE)
    found = solved(task)[2]
    assert not found.status.converged and "not finite" in found.status.reason
    assert all(bool(torch.isfinite(leaf).all()) for leaf in tree.leaves(found.params))
